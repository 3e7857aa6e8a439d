// A residual network or a vision transformer in a file of torchvision's making: the names and layouts of its models' state
// dicts, kept as safetensors.
//
// Each tensor knows its name there (mcli_net_call), and has its shape but for the order of axes (tensor.h) and that a vision
// transformer's tables have a 1 in front:
//
//   class token   [1, 1, embed]         here [1, embed]                                   (1)
//   positions     [1, tokens, embed]    here [tokens, embed]                              (2)
//
// torchvision's models end in a classifier, ours in a projection. A file's classifier is left out, and the encoder's own
// projection stays; a projection of ours has the names it would have in a torch.nn.Sequential, and is read strictly.
//
// A bias of patches is written as 0 where the network has none, and read into the positions of the patches, which do the same.
#include "encoder/network.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "encoder/positions.h"
#include "encoder/tensor.h"
#include "store/checkpoint.h"

static const char bias_name[] = "conv_proj.bias", positions_name[] = "encoder.pos_embedding";

// ---- names -----------------------------------------------------------------------------------------

static int32_t find(const mcli_network *w, const char *name) {
  for (int32_t i = 0; i < w->net.params.n_tensors; i++)
    if (strcmp(name, w->net.params.tensors[i].called) == 0) return i;
  return -1;
}

static int begins(const char *name, const char *with) {
  return strncmp(name, with, strlen(with)) == 0;
}

static int ends(const char *name, const char *with) {
  size_t n = strlen(name), m = strlen(with);
  return n >= m && strcmp(name + n - m, with) == 0;
}

static int is_of_head(const char *name) {
  return begins(name, "fc.") || begins(name, "heads.");
}

static int is_of_classifier(const char *name) {
  return strcmp(name, "fc.weight") == 0 || strcmp(name, "fc.bias") == 0 ||
         begins(name, "heads.head.") || begins(name, "heads.pre_logits.");
}

// torchvision before 0.14 called the dense layers of a block so.
static int old_name(const char *name, char old[MCLI_CALLED]) {
  static const char *const now[2] = {".mlp.0.", ".mlp.3."}, *const then[2] = {".mlp.linear_1.",
                                                                              ".mlp.linear_2."};
  for (int i = 0; i < 2; i++) {
    const char *at = strstr(name, now[i]);
    if (!at) continue;
    snprintf(old, MCLI_CALLED, "%.*s%s%s", (int)(at - name), name, then[i], at + strlen(now[i]));
    return 1;
  }
  return 0;
}

// The network has a bias of patches that is no tensor of its own.
static int folds_bias(const mcli_network *w) {
  return find(w, positions_name) >= 0 && find(w, bias_name) < 0;
}

// ---- shapes ----------------------------------------------------------------------------------------

// A tensor's numbers as torchvision sees them.
static mcl_array view_of(const mcli_param *t, float *numbers) {
  mcl_array a = mcli_tensor_view(t, numbers);
  const int64_t table[3] = {1, t->shape[0], t->shape[1]}; // (1), (2)
  if (begins(t->name, "class") || begins(t->name, "position"))
    mcl_array_init(&a, numbers, MCL_F32, 3, table);
  return a;
}

// The network behind an encoder, which torchvision has a model like.
static mcl_status network_of(mcl_encoder *e, mcli_network **out, mcl_error *err) {
  static const char other[] = "is none of the networks built in";
  *out = mcli_network_of(e);
  const char *unlike = *out ? (*out)->unlike : other;
  if (!unlike) return MCL_OK;
  return mcli_fail(err, MCL_E_UNSUPPORTED, "torchvision has no such model: this encoder %s",
                   unlike);
}

// The start of a call on an encoder and a file of torchvision's: on success the encoder is to be left.
static mcl_status enter(mcl_encoder *e, const char *path, mcli_network **out, mcl_error *err) {
  if (!e) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  mcl_status s = network_of(e, out, err);
  return s < 0 ? s : mcli_encoder_enter(e, err);
}

// ---- save ------------------------------------------------------------------------------------------

static mcl_status add_bias(const mcli_network *w, mcl_checkpoint_writer *f, mcl_error *err) {
  int64_t embed = w->net.params.tensors[find(w, positions_name)].shape[1];
  float *zero = MCLI_NEW0(w->context, float, embed);
  if (!zero) return mcli_nomem(err, "a tensor");
  mcl_array a;
  mcl_array_init(&a, zero, MCL_F32, 1, &embed);
  mcl_status s = mcl_checkpoint_writer_add(f, bias_name, &a, err);
  mcli_free(w->context, zero);
  return s;
}

static mcl_status save(const mcli_network *w, const char *path, mcl_error *err) {
  const mcli_params *p = &w->net.params;
  mcl_checkpoint_writer *f = NULL;
  mcl_status s = mcl_checkpoint_writer_create(w->context, path, &f, err);
  if (s == MCL_OK)
    s = mcl_checkpoint_writer_meta(f, "format", "pt", err); // what safetensors writes
  for (int32_t i = 0; s == MCL_OK && i < p->n_tensors; i++) {
    mcl_array a = view_of(&p->tensors[i], mcli_param_value(p, i));
    if (p->tensors[i].called[0]) s = mcl_checkpoint_writer_add(f, p->tensors[i].called, &a, err);
  }
  if (s == MCL_OK && folds_bias(w)) s = add_bias(w, f, err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_commit(f, err);
  mcl_checkpoint_writer_unref(f);
  return s;
}

mcl_status mcl_encoder_save_torch(mcl_encoder *encoder, const char *path, mcl_error *err) {
  mcli_network *w;
  mcl_status s = enter(encoder, path, &w, err);
  if (s < 0) return s;
  s = save(w, path, err);
  mcli_encoder_leave(encoder);
  return s < 0 ? s : mcl_ok(err);
}

// ---- load ------------------------------------------------------------------------------------------

typedef struct reading {
  const mcli_network *w;
  const mcl_checkpoint *f;
  const char *path;
  float *values; // a block as that of the network's weights, which it begins as
  int has_head;  // the file has a projection
} reading;

static int has_head(const reading *r) {
  const char *name;
  for (int64_t i = 0; (name = mcli_checkpoint_name(r->f, i)); i++)
    if (is_of_head(name) && (!is_of_classifier(name) || find(r->w, name) >= 0)) return 1;
  return 0;
}

// A tensor's name in this file.
static void name_in(const reading *r, const mcli_param *t, char name[MCLI_CALLED]) {
  mcl_error ignored;
  mcl_array a;
  if (!old_name(t->called, name) ||
      mcl_checkpoint_shape(r->f, name, &a, &ignored) == MCL_E_NOT_FOUND)
    snprintf(name, MCLI_CALLED, "%s", t->called);
}

static int is_known(const reading *r, const char *name) {
  char own[MCLI_CALLED];
  const mcli_params *p = &r->w->net.params;
  if (ends(name, ".num_batches_tracked")) return 1;
  if (is_of_classifier(name) && !r->has_head) return 1;
  if (strcmp(name, bias_name) == 0 && folds_bias(r->w)) return 1;
  for (int32_t i = 0; i < p->n_tensors; i++) {
    name_in(r, &p->tensors[i], own);
    if (strcmp(name, own) == 0) return 1;
  }
  return 0;
}

static mcl_status check_extra(const reading *r, mcl_error *err) {
  const char *name;
  for (int64_t i = 0; (name = mcli_checkpoint_name(r->f, i)); i++)
    if (!is_known(r, name))
      return mcli_fail(err, MCL_E_MISMATCH, "%s has a tensor %s that the network has not", r->path,
                       mcli_path_end(name, 60));
  return MCL_OK;
}

static mcl_status read_whole(const reading *r, const char *name, const mcl_array *to,
                             mcl_error *err) {
  mcl_status s = mcli_tensor_check(r->f, r->path, name, to, err);
  return s < 0 ? s : mcli_tensor_read(r->w->context, r->f, r->path, name, to, err);
}

static const mcli_layer *patches_of(const mcli_network *w) {
  const mcli_layer *l = w->net.layers;
  while (l->kind != MCLI_CONV) l++;
  return l;
}

// The side of the grid that a file's positions are for; 0: they are no class token and a square.
static int64_t side_of(const reading *r, const mcl_array *ours) {
  mcl_array theirs;
  mcl_error ignored;
  if (mcl_checkpoint_shape(r->f, positions_name, &theirs, &ignored) < 0 || theirs.ndim != 3 ||
      theirs.shape[0] != 1 || theirs.shape[2] != ours->shape[2])
    return 0;
  int64_t patches = theirs.shape[1] - 1, side = patches > 0 ? (int64_t)sqrt((double)patches) : 0;
  return side * side == patches ? side : 0;
}

// Positions of another grid are interpolated; that of the class token has no place in a grid.
static mcl_status read_positions(const reading *r, const mcl_array *to, mcl_error *err) {
  int64_t side = side_of(r, to), embed = to->shape[2];
  if (side == 0 || side * side + 1 == to->shape[1]) return read_whole(r, positions_name, to, err);
  const int64_t shape[3] = {1, 1 + side * side, embed};
  const mcli_shape grid = patches_of(r->w)->out;
  float *theirs = MCLI_NEW(r->w->context, float, shape[1] * embed), *ours = to->data;
  mcl_array from;
  mcl_array_init(&from, theirs, MCL_F32, 3, shape);
  mcl_status s = theirs ? MCL_OK : mcli_nomem(err, "positions");
  if (s == MCL_OK) s = read_whole(r, positions_name, &from, err);
  if (s == MCL_OK) {
    memcpy(ours, theirs, (size_t)embed * sizeof *ours);
    mcli_positions_resize(theirs + embed, side, embed, grid.height, grid.width, ours + embed);
  }
  mcli_free(r->w->context, theirs);
  return s;
}

static mcl_status read_tensor(const reading *r, int32_t i, mcl_error *err) {
  const mcli_param *t = &r->w->net.params.tensors[i];
  mcl_array to = view_of(t, r->values + t->first);
  char name[MCLI_CALLED];
  if (!t->called[0] || (is_of_head(t->called) && !r->has_head)) return MCL_OK;
  if (strcmp(t->called, positions_name) == 0) return read_positions(r, &to, err);
  name_in(r, t, name);
  return read_whole(r, name, &to, err);
}

// Adds a file's bias of patches to the positions of the patches.
static mcl_status fold_bias(const reading *r, mcl_error *err) {
  const mcli_param *t = &r->w->net.params.tensors[find(r->w, positions_name)];
  int64_t embed = t->shape[1];
  mcl_array to;
  mcl_error ignored;
  if (mcl_checkpoint_shape(r->f, bias_name, &to, &ignored) == MCL_E_NOT_FOUND) return MCL_OK;
  float *bias = MCLI_NEW(r->w->context, float, embed), *table = r->values + t->first;
  if (!bias) return mcli_nomem(err, "a tensor");
  mcl_array_init(&to, bias, MCL_F32, 1, &embed);
  mcl_status s = read_whole(r, bias_name, &to, err);
  for (int64_t i = embed; s == MCL_OK && i < t->n; i++) table[i] += bias[i % embed];
  mcli_free(r->w->context, bias);
  return s;
}

static mcl_status load(mcli_network *w, const char *path, mcl_error *err) {
  const mcli_params *p = &w->net.params;
  mcl_checkpoint *f = NULL;
  mcli_network_state state = {0};
  mcl_status s = mcl_checkpoint_open(w->context, path, &f, err);
  if (s == MCL_OK) s = mcli_network_state_new(w, &state, err);
  if (s == MCL_OK) {
    reading r = {.w = w, .f = f, .path = mcli_path_tail(path), .values = state.blocks[0]};
    memcpy(r.values, p->values, (size_t)p->n * sizeof *r.values);
    r.has_head = has_head(&r);
    for (int32_t i = 0; s == MCL_OK && i < p->n_tensors; i++) s = read_tensor(&r, i, err);
    if (s == MCL_OK && folds_bias(w)) s = fold_bias(&r, err);
    if (s == MCL_OK) s = check_extra(&r, err);
  }
  if (s == MCL_OK) mcli_network_take(w, &state);
  mcli_network_state_free(w, &state);
  mcl_checkpoint_unref(f);
  return s;
}

mcl_status mcl_encoder_load_torch(mcl_encoder *encoder, const char *path, mcl_error *err) {
  mcli_network *w;
  mcl_status s = enter(encoder, path, &w, err);
  if (s < 0) return s;
  s = load(w, path, err);
  if (s == MCL_OK) mcli_encoder_give_up(encoder);
  mcli_encoder_leave(encoder);
  return s < 0 ? s : mcl_ok(err);
}
