// A CLIP that was trained elsewhere, as a pair (Radford et al. 2021): reading its weights.
//
// Rejected: reading into a pair made beforehand. Its sizes would have to be those of the file, which says them all but for what
// mcl_clip_options has.
#include "encoder/clip.h"

#include <math.h>

#include "base/alloc.h"
#include "encoder/pair.h"
#include "math/array.h"

// Of log 1/tau, which CLIP holds in 0 .. log 100: by how much bfloat16 rounds the upper one.
static const float log_scale_slack = 0.02F;

static const mcl_clip_options defaults = {.struct_size = sizeof defaults,
                                          .gelu = MCL_GELU_QUICK,
                                          .trained_image_blocks = -1,
                                          .trained_text_blocks = -1};

void mcl_clip_options_init(mcl_clip_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

// ---- weights ---------------------------------------------------------------------------------------

static void turn_dense(const mcli_param *t, const float *from, float *to) {
  int64_t inputs = t->shape[0], outputs = t->shape[1];
  for (int64_t i = 0; i < inputs; i++)
    for (int64_t k = 0; k < outputs; k++) to[i * outputs + k] = from[k * inputs + i];
}

static void turn_patches(const mcli_param *t, const float *from, float *to) {
  int64_t places = t->shape[0] * t->shape[1], channels = t->shape[2], width = t->shape[3];
  for (int64_t p = 0; p < places; p++)
    for (int64_t c = 0; c < channels; c++)
      for (int64_t k = 0; k < width; k++)
        to[(p * channels + c) * width + k] = from[(k * channels + c) * places + p];
}

// A tensor as it lies in the file.
static mcl_status read_plain(const mcli_clip *c, const char *name, const mcl_array *wanted,
                             float *to, int64_t n, mcl_error *err) {
  mcl_array a = *wanted;
  a.data = to;
  mcl_status s = mcl_checkpoint_read(c->file, name, &a, err);
  if (s == MCL_OK && mcli_first_not_finite(to, 1, n) >= 0)
    s = mcli_fail(err, MCL_E_NOT_FINITE, "%s: tensor %s has a NaN or infinity", c->path, name);
  return s;
}

static mcl_status read_tensor(const mcli_clip *c, const char *name, const mcli_param *t, float *to,
                              mcl_error *err) {
  mcl_array wanted = mcli_clip_shape(t);
  mcli_clip_layout l = mcli_clip_layout_of(t);
  if (l != MCLI_CLIP_DENSE && l != MCLI_CLIP_PATCHES)
    return read_plain(c, name, &wanted, to, t->n, err);
  float *from = MCLI_NEW(c->context, float, t->n);
  if (!from) return mcli_nomem(err, "a tensor");
  mcl_status s = read_plain(c, name, &wanted, from, t->n, err);
  if (s == MCL_OK) (l == MCLI_CLIP_DENSE ? turn_dense : turn_patches)(t, from, to);
  mcli_free(c->context, from);
  return s;
}

// The network becomes a tower.
static mcl_status read_tower(mcli_clip *c, int m, mcl_error *err) {
  mcli_network *w = c->networks[m];
  const mcli_params *p = &w->net.params;
  mcl_status s = mcli_net_allocate(&w->net, err);
  for (int32_t i = mcli_clip_skipped(m); s == MCL_OK && i < p->n_tensors; i++) {
    char name[MCLI_CLIP_NAME];
    mcli_clip_name(c, m, i - mcli_clip_skipped(m), name);
    s = read_tensor(c, name, &p->tensors[i], mcli_param_value(p, i), err);
  }
  if (s < 0) return s;
  if (m == 0) mcli_vit_begin_scale(w, &c->image);
  c->networks[m] = NULL;
  return mcli_network_handle(w, m == 0 ? "vit" : "text", &c->towers[m], err);
}

static mcl_status read_own(const mcli_clip *c, const mcli_pair *p, mcl_error *err) {
  const mcli_params *own = &p->own->net.params;
  const int32_t tensors[MCLI_CLIP_OWN] = {p->towers[0].kernel, p->towers[1].kernel, p->scale};
  for (int i = 0; i < MCLI_CLIP_OWN; i++) {
    const mcli_param *t = &own->tensors[tensors[i]];
    mcl_array wanted = mcli_clip_shape(t);
    mcl_status s =
        read_plain(c, mcli_clip_own[i], &wanted, mcli_param_value(own, tensors[i]), t->n, err);
    if (s < 0) return s;
  }
  float *scale = mcli_param_value(own, p->scale), most = (float)log(100);
  if (*scale < -log_scale_slack || *scale > most + log_scale_slack)
    return mcli_fail(err, MCL_E_FORMAT, "%s: tensor %s is %g, not 0..log 100", c->path,
                     mcli_clip_own[2], (double)*scale);
  *scale = fminf(fmaxf(*scale, 0), most);
  return MCL_OK;
}

static mcl_status make_pair(const mcli_clip *c, mcl_encoder **out, mcl_error *err) {
  mcl_pair_options o;
  mcl_encoder *pair = NULL;
  mcl_pair_options_init(&o, sizeof o);
  o.dim = c->dim;
  o.locked = c->o.locked;
  o.optimiser = c->o.optimiser;
  mcl_status s = mcl_encoder_create_pair(c->context, &o, c->towers[0], c->towers[1], &pair, err);
  if (s == MCL_OK) s = read_own(c, mcli_encoder_user(pair), err);
  if (s < 0) {
    mcl_encoder_unref(pair);
    return s;
  }
  *out = pair;
  return mcl_ok(err);
}

mcl_status mcl_encoder_create_clip(mcl_context *context, const mcl_clip_options *options,
                                   const char *path, mcl_encoder **out, mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcli_clip c = {.context = context, .path = path, .o = defaults};
  mcl_status s = mcli_options_copy(&c.o, sizeof c.o, options, "mcl_clip_options", err);
  if (s == MCL_OK) s = mcli_network_range(c.o.gelu, MCL_GELU, MCL_GELU_QUICK, "gelu", err);
  if (s == MCL_OK) s = mcli_network_range(c.o.locked, 0, 3, "locked", err);
  if (s == MCL_OK) s = mcl_checkpoint_open(context, path, &c.file, err);
  if (s == MCL_OK) s = mcli_clip_build(&c, err);
  for (int m = 0; s == MCL_OK && m < 2; m++) s = read_tower(&c, m, err);
  if (s == MCL_OK) s = make_pair(&c, out, err);
  for (int m = 0; m < 2; m++) {
    mcli_network_free(c.networks[m]);
    mcl_encoder_unref(c.towers[m]);
  }
  mcl_checkpoint_unref(c.file);
  return s;
}
