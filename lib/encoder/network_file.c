// A network in a file: safetensors, with every tensor under its name ("conv0.kernel") and the optimiser's moments beside
// it ("conv0.kernel.moment", for Adam "conv0.kernel.second" too). What the tensors belong to stands in the texts:
//
//   libmcl.encoder    "1", the number of this layout
//   libmcl.network    the layers, "cnn 14 x 14 x 5, 32@5/2, ..."
//   libmcl.optimiser  "adam" or "sgd"
//   libmcl.steps      steps taken so far
//
// Reading fills blocks of its own, which change places with the network's when all is well: a failed load changes nothing.
#include "encoder/network.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/checkpoint.h>

#include "base/alloc.h"
#include "encoder/tensor.h"
#include "store/checkpoint.h"

enum { BLOCKS = MCLI_NETWORK_BLOCKS, NAME_SIZE = 64 };

static const char *optimiser_name(const mcli_network *w) {
  return w->optimiser.kind == MCL_ADAM ? "adam" : "sgd";
}

// Blocks of numbers that a tensor has in a file: its values, and the moments of this optimiser.
static int blocks_of(const mcli_network *w, int32_t tensor) {
  if (!mcli_param_is_trained(&w->net.params, tensor)) return 1;
  return w->optimiser.kind == MCL_ADAM ? 3 : 2;
}

static void name_of(const mcli_param *t, const char *prefix, int block, char name[NAME_SIZE]) {
  static const char *const suffixes[BLOCKS] = {"", ".moment", ".second"};
  snprintf(name, NAME_SIZE, "%s%s%s", prefix, t->name, suffixes[block]);
}

static const char *key_of(const char *prefix, const char *what, char key[NAME_SIZE]) {
  snprintf(key, NAME_SIZE, "libmcl.%s%s", prefix, what);
  return key;
}

// A tensor's numbers within block number b: only the values have those of frozen tensors.
static mcl_array view_of(const mcli_params *p, int32_t tensor, float *const blocks[BLOCKS], int b) {
  const mcli_param *t = &p->tensors[tensor];
  mcl_array a;
  mcl_array_init(&a, blocks[b] + t->first - (b > 0 ? p->frozen : 0), MCL_F32, t->ndim, t->shape);
  return a;
}

// ---- save ------------------------------------------------------------------------------------------

static mcl_status add_texts(const mcli_network *w, mcl_checkpoint_writer *f, const char *prefix,
                            mcl_error *err) {
  char steps[24], key[NAME_SIZE];
  snprintf(steps, sizeof steps, "%" PRId64, w->steps);
  mcl_status s = mcl_checkpoint_writer_meta(f, key_of(prefix, "encoder", key), "1", err);
  if (s == MCL_OK)
    s = mcl_checkpoint_writer_meta(f, key_of(prefix, "network", key), w->description, err);
  if (s == MCL_OK)
    s = mcl_checkpoint_writer_meta(f, key_of(prefix, "optimiser", key), optimiser_name(w), err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_meta(f, key_of(prefix, "steps", key), steps, err);
  return s;
}

static mcl_status add_tensors(const mcli_network *w, mcl_checkpoint_writer *f, const char *prefix,
                              mcl_error *err) {
  const mcli_params *p = &w->net.params;
  float *blocks[BLOCKS] = {p->values, p->moments, p->second};
  for (int32_t i = 0; i < p->n_tensors; i++)
    for (int b = 0; b < blocks_of(w, i); b++) {
      char name[NAME_SIZE];
      name_of(&p->tensors[i], prefix, b, name);
      mcl_array a = view_of(p, i, blocks, b);
      mcl_status s = mcl_checkpoint_writer_add(f, name, &a, err);
      if (s < 0) return s;
    }
  return MCL_OK;
}

mcl_status mcli_network_write(const mcli_network *w, mcl_checkpoint_writer *f, const char *prefix,
                              mcl_error *err) {
  mcl_status s = add_texts(w, f, prefix, err);
  return s < 0 ? s : add_tensors(w, f, prefix, err);
}

mcl_status mcli_network_save(void *network, const char *path, mcl_error *err) {
  const mcli_network *w = network;
  mcl_checkpoint_writer *f = NULL;
  mcl_status s = mcl_checkpoint_writer_create(w->context, path, &f, err);
  if (s == MCL_OK) s = mcli_network_write(w, f, "", err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_commit(f, err);
  mcl_checkpoint_writer_unref(f);
  return s;
}

// ---- load ------------------------------------------------------------------------------------------

// The text under `key` must be `wanted`. One that is missing, or longer than any of ours, is of another kind of file.
static mcl_status check_text(const mcl_checkpoint *f, const char *path, const char *key,
                             const char *wanted, mcl_error *err) {
  char text[512] = "";
  mcl_status s = mcl_checkpoint_meta(f, key, text, sizeof text, NULL, err);
  if (s == MCL_OK && strcmp(text, wanted) == 0) return MCL_OK;
  if (s == MCL_OK)
    return mcli_fail(err, MCL_E_MISMATCH, "%s: %s is \"%s\", not \"%s\"", path, key, text, wanted);
  if (s != MCL_E_NOT_FOUND && s != MCL_E_LIMIT) return s;
  return mcli_fail(err, MCL_E_MISMATCH, "%s has no %s that this version knows", path, key);
}

static mcl_status read_steps(const mcl_checkpoint *f, const char *path, const char *prefix,
                             int64_t *steps, mcl_error *err) {
  char text[24] = "", *end = text, key[NAME_SIZE];
  key_of(prefix, "steps", key);
  mcl_status s = mcl_checkpoint_meta(f, key, text, sizeof text, NULL, err);
  if (s < 0 && s != MCL_E_NOT_FOUND && s != MCL_E_LIMIT) return s;
  *steps = strtoll(text, &end, 10);
  if (s == MCL_OK && end != text && *end == 0 && *steps >= 0) return MCL_OK;
  return mcli_fail(err, MCL_E_FORMAT, "%s: %s is \"%s\", not a count", path, key, text);
}

static mcl_status check_texts(const mcli_network *w, const mcl_checkpoint *f, const char *path,
                              const char *prefix, mcl_error *err) {
  char key[NAME_SIZE];
  mcl_status s = check_text(f, path, key_of(prefix, "encoder", key), "1", err);
  if (s == MCL_OK) s = check_text(f, path, key_of(prefix, "network", key), w->description, err);
  if (s == MCL_OK)
    s = check_text(f, path, key_of(prefix, "optimiser", key), optimiser_name(w), err);
  return s;
}

int mcli_network_owns(const mcli_network *w, const char *prefix, const char *name) {
  for (int32_t i = 0; i < w->net.params.n_tensors; i++)
    for (int b = 0; b < blocks_of(w, i); b++) {
      char ours[NAME_SIZE];
      name_of(&w->net.params.tensors[i], prefix, b, ours);
      if (strcmp(name, ours) == 0) return 1;
    }
  return 0;
}

static mcl_status check_extra(const mcli_network *w, const mcl_checkpoint *f, const char *path,
                              mcl_error *err) {
  const char *name;
  for (int64_t i = 0; (name = mcli_checkpoint_name(f, i)); i++)
    if (!mcli_network_owns(w, "", name))
      return mcli_fail(err, MCL_E_MISMATCH, "%s has a tensor %s that the network has not", path,
                       mcli_path_end(name, 60));
  return MCL_OK;
}

static mcl_status read_tensors(const mcli_network *w, const mcl_checkpoint *f, const char *path,
                               const char *prefix, float *blocks[BLOCKS], mcl_error *err) {
  const mcli_params *p = &w->net.params;
  for (int32_t i = 0; i < p->n_tensors; i++)
    for (int b = 0; b < blocks_of(w, i); b++) {
      char name[NAME_SIZE];
      name_of(&p->tensors[i], prefix, b, name);
      mcl_array a = view_of(p, i, blocks, b);
      mcl_status s = mcli_tensor_check(f, path, name, &a, err);
      if (s == MCL_OK) s = mcli_tensor_read(w->context, f, path, name, &a, err);
      if (s < 0) return s;
    }
  return MCL_OK;
}

static void exchange(float **a, float **b) {
  float *kept = *a;
  *a = *b;
  *b = kept;
}

static int64_t numbers_of(const mcli_network *w, int block) {
  return w->net.params.n - (block > 0 ? w->net.params.frozen : 0);
}

mcl_status mcli_network_state_new(const mcli_network *w, mcli_network_state *state,
                                  mcl_error *err) {
  for (int b = 0; b < BLOCKS; b++)
    if (!(state->blocks[b] = MCLI_NEW0(w->context, float, numbers_of(w, b))))
      return mcli_nomem(err, "the weights");
  return MCL_OK;
}

mcl_status mcli_network_read(const mcli_network *w, const mcl_checkpoint *f, const char *path,
                             const char *prefix, mcli_network_state *state, mcl_error *err) {
  mcl_status s = check_texts(w, f, path, prefix, err);
  if (s == MCL_OK) s = read_steps(f, path, prefix, &state->steps, err);
  if (s == MCL_OK) s = mcli_network_state_new(w, state, err);
  return s < 0 ? s : read_tensors(w, f, path, prefix, state->blocks, err);
}

void mcli_network_take(mcli_network *w, mcli_network_state *state) {
  mcli_params *p = &w->net.params;
  exchange(&p->values, &state->blocks[0]);
  exchange(&p->moments, &state->blocks[1]);
  exchange(&p->second, &state->blocks[2]);
  w->steps = state->steps;
}

void mcli_network_state_free(const mcli_network *w, mcli_network_state *state) {
  for (int b = 0; b < BLOCKS; b++) mcli_free(w->context, state->blocks[b]);
  *state = (mcli_network_state){0};
}

mcl_status mcli_network_load(void *network, const char *path, mcl_error *err) {
  mcli_network *w = network;
  mcl_checkpoint *f = NULL;
  mcli_network_state state = {0};
  mcl_status s = mcl_checkpoint_open(w->context, path, &f, err);
  if (s == MCL_OK) s = mcli_network_read(w, f, mcli_path_tail(path), "", &state, err);
  if (s == MCL_OK) s = check_extra(w, f, mcli_path_tail(path), err);
  if (s == MCL_OK) mcli_network_take(w, &state);
  mcli_network_state_free(w, &state);
  mcl_checkpoint_unref(f);
  return s < 0 ? s : mcl_ok(err);
}
