// A pair in one file, so that what belongs together is written whole or not at all: the pair's own tensors as those of a
// network (network_file.c), and beside them
//
//   image.conv0.kernel ...   the tensors of a built-in tower, and its texts, libmcl.image.network ...
//   image.file               u8 [bytes]: all of the file that a host's tower wrote
//
// A host's save and load know paths only, so its file lies beside the pair's for the length of the call: PATH.image.0.part to
// load from, which is locked, so that two calls at once have a file each, and PATH.image.0.part.file to save to, since a host may
// put a file of its own in the place of one that is there. Built-in towers are read first and taken last: a file that is not the pair's changes nothing, unless the load of
// a host's second tower is what fails.
#include "encoder/pair.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "store/checkpoint.h"

enum { PREFIX_SIZE = 8, NAME_SIZE = 16 };

static void prefix_of(const mcli_tower *t, char prefix[PREFIX_SIZE]) {
  snprintf(prefix, PREFIX_SIZE, "%s.", t->name);
}

static void file_of(const mcli_tower *t, char name[NAME_SIZE]) {
  snprintf(name, NAME_SIZE, "%s.file", t->name);
}

// PATH.image, to be freed.
static char *path_beside(mcl_context *c, const char *path, const mcli_tower *t) {
  size_t size = strlen(path) + strlen(t->name) + 2;
  char *beside = MCLI_NEW(c, char, size);
  if (beside) snprintf(beside, size, "%s.%s", path, t->name);
  return beside;
}

// A locked host's tower that cannot be saved is what its maker made it.
static int is_left_out(const mcli_tower *t) {
  return t->locked && !t->network && !mcli_encoder_table(t->encoder)->save;
}

// ---- save ------------------------------------------------------------------------------------------

static mcl_status add_bytes(mcl_context *c, mcl_checkpoint_writer *f, const mcli_tower *t,
                            const char *beside, mcl_error *err) {
  unsigned char *bytes = NULL;
  char name[NAME_SIZE];
  int64_t size = 0;
  mcl_array a;
  file_of(t, name);
  mcl_status s = mcli_file_read_all(c, beside, INT64_MAX / 2, &bytes, &size, err);
  if (s < 0) return s;
  mcl_array_init(&a, bytes, MCL_U8, 1, &size);
  s = mcl_checkpoint_writer_add(f, name, &a, err);
  mcli_free(c, bytes);
  return s;
}

// Saves to a file whose name nobody else has while `part` is open.
static mcl_status add_saved(mcl_context *c, mcl_checkpoint_writer *f, const mcli_writer *part,
                            const mcli_tower *t, mcl_error *err) {
  size_t size = strlen(part->temporary) + sizeof ".file";
  char *file = MCLI_NEW(c, char, size);
  if (!file) return mcli_nomem(err, "a path");
  snprintf(file, size, "%s.file", part->temporary);
  mcl_status s = mcl_encoder_save(t->encoder, file, err);
  if (s == MCL_OK) s = add_bytes(c, f, t, file, err);
  mcl_error ignored;
  mcl_status removed = mcli_file_remove(file, s < 0 ? &ignored : err);
  mcli_free(c, file);
  return s < 0 ? s : removed;
}

static mcl_status add_host(mcl_context *c, mcl_checkpoint_writer *f, const char *path,
                           const mcli_tower *t, mcl_error *err) {
  mcli_writer part;
  char *beside = path_beside(c, path, t);
  if (!beside) return mcli_nomem(err, "a path");
  mcl_status s = mcli_writer_open(c, beside, &part, err);
  if (s == MCL_OK) s = add_saved(c, f, &part, t, err);
  mcli_writer_abort(&part);
  mcli_free(c, beside);
  return s;
}

static mcl_status add_tower(mcl_context *c, mcl_checkpoint_writer *f, const char *path,
                            const mcli_tower *t, mcl_error *err) {
  char prefix[PREFIX_SIZE];
  prefix_of(t, prefix);
  if (is_left_out(t)) return MCL_OK;
  if (!t->network) return add_host(c, f, path, t, err);
  mcl_status s = mcli_encoder_enter(t->encoder, err);
  if (s < 0) return s;
  s = mcli_network_write(t->network, f, prefix, err);
  mcli_encoder_leave(t->encoder);
  return s;
}

mcl_status mcli_pair_save(void *pair, const char *path, mcl_error *err) {
  mcli_pair *p = pair;
  mcl_checkpoint_writer *f = NULL;
  mcl_status s = mcl_checkpoint_writer_create(p->context, path, &f, err);
  if (s == MCL_OK) s = mcli_network_write(p->own, f, "", err);
  for (int m = 0; s == MCL_OK && m < 2; m++) s = add_tower(p->context, f, path, &p->towers[m], err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_commit(f, err);
  mcl_checkpoint_writer_unref(f);
  return s;
}

// ---- load ------------------------------------------------------------------------------------------

static int owns(const mcli_tower *t, const char *name) {
  char prefix[PREFIX_SIZE], file[NAME_SIZE];
  prefix_of(t, prefix);
  file_of(t, file);
  if (t->network) return mcli_network_owns(t->network, prefix, name);
  return !is_left_out(t) && strcmp(name, file) == 0;
}

static mcl_status check_names(const mcli_pair *p, const mcl_checkpoint *f, const char *path,
                              mcl_error *err) {
  const char *name;
  for (int64_t i = 0; (name = mcli_checkpoint_name(f, i)); i++)
    if (!mcli_network_owns(p->own, "", name) && !owns(&p->towers[0], name) &&
        !owns(&p->towers[1], name))
      return mcli_fail(err, MCL_E_MISMATCH, "%s has a tensor %s that the pair has not", path,
                       mcli_path_end(name, 60));
  return MCL_OK;
}

// The bytes of a host's file, to be freed.
static mcl_status read_bytes(mcl_context *c, const mcl_checkpoint *f, const char *path,
                             const mcli_tower *t, unsigned char **bytes, int64_t *size,
                             mcl_error *err) {
  char name[NAME_SIZE];
  mcl_array a;
  file_of(t, name);
  mcl_status s = mcl_checkpoint_shape(f, name, &a, err);
  if (s == MCL_E_NOT_FOUND || (s == MCL_OK && (a.dtype != MCL_U8 || a.ndim != 1)))
    return mcli_fail(err, MCL_E_MISMATCH, "%s has no %s, u8 [bytes]", path, name);
  if (s < 0) return s;
  *size = a.shape[0];
  *bytes = MCLI_NEW(c, unsigned char, *size);
  if (!*bytes) return mcli_nomem(err, "an encoder's file");
  a.data = *bytes;
  return mcl_checkpoint_read(f, name, &a, err);
}

static mcl_status load_host(mcl_context *c, const mcl_checkpoint *f, const char *path,
                            const mcli_tower *t, mcl_error *err) {
  unsigned char *bytes = NULL;
  int64_t size = 0;
  mcli_writer part = {.fd = -1};
  char *beside = path_beside(c, path, t);
  mcl_status s = beside ? MCL_OK : mcli_nomem(err, "a path");
  if (s == MCL_OK) s = read_bytes(c, f, path, t, &bytes, &size, err);
  if (s == MCL_OK) s = mcli_writer_open(c, beside, &part, err);
  if (s == MCL_OK) s = mcli_writer_at(&part, 0, bytes, size, err);
  if (s == MCL_OK) s = mcl_encoder_load(t->encoder, part.temporary, err);
  mcli_writer_abort(&part);
  mcli_free(c, bytes);
  mcli_free(c, beside);
  return s;
}

// The states of own, image, text, and then the hosts' towers.
static mcl_status read_all(mcli_pair *p, const mcl_checkpoint *f, const char *path,
                           mcli_network_state states[3], mcl_error *err) {
  mcl_status s = mcli_network_read(p->own, f, mcli_path_tail(path), "", &states[0], err);
  for (int m = 0; s == MCL_OK && m < 2; m++) {
    char prefix[PREFIX_SIZE];
    prefix_of(&p->towers[m], prefix);
    if (p->towers[m].network)
      s = mcli_network_read(p->towers[m].network, f, mcli_path_tail(path), prefix, &states[1 + m],
                            err);
  }
  if (s == MCL_OK) s = check_names(p, f, mcli_path_tail(path), err);
  for (int m = 0; s == MCL_OK && m < 2; m++)
    if (!p->towers[m].network && !is_left_out(&p->towers[m]))
      s = load_host(p->context, f, path, &p->towers[m], err);
  return s;
}

// Nothing can fail here: a tower that another call is at work on was refused before.
static void take_all(mcli_pair *p, mcli_network_state states[3]) {
  mcli_network_take(p->own, &states[0]);
  for (int m = 0; m < 2; m++)
    if (p->towers[m].network) mcli_network_take(p->towers[m].network, &states[1 + m]);
}

static mcl_status enter_towers(const mcli_pair *p, int *entered, mcl_error *err) {
  for (int m = 0; m < 2; m++) {
    if (!p->towers[m].network) continue;
    mcl_status s = mcli_encoder_enter(p->towers[m].encoder, err);
    if (s < 0) return s;
    *entered |= 1 << m;
  }
  return MCL_OK;
}

mcl_status mcli_pair_load(mcli_pair *p, const char *path, mcl_error *err) {
  mcl_checkpoint *f = NULL;
  mcli_network_state states[3] = {{{0}, 0}, {{0}, 0}, {{0}, 0}};
  int entered = 0;
  mcl_status s = enter_towers(p, &entered, err);
  if (s == MCL_OK) s = mcl_checkpoint_open(p->context, path, &f, err);
  if (s == MCL_OK) s = read_all(p, f, path, states, err);
  if (s == MCL_OK) take_all(p, states);
  mcli_network_state_free(p->own, &states[0]);
  for (int m = 0; m < 2; m++)
    if (p->towers[m].network) mcli_network_state_free(p->towers[m].network, &states[1 + m]);
  mcl_checkpoint_unref(f);
  for (int m = 0; m < 2; m++)
    if (entered & 1 << m) mcli_encoder_leave(p->towers[m].encoder);
  return s;
}
