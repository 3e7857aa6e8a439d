// A CLIP that was trained elsewhere, as a pair (Radford et al. 2021): reading its weights.
//
// Rejected: reading into a pair made beforehand. Its sizes would have to be those of the file, which says them all but for what
// mcl_clip_options has.
#include "encoder/clip.h"

#include <math.h>

#include "encoder/pair.h"
#include "encoder/tensor.h"

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

// The network becomes a tower.
static mcl_status read_tower(mcli_clip *c, int m, mcl_error *err) {
  mcli_network *w = c->networks[m];
  const mcli_params *p = &w->net.params;
  mcl_status s = mcli_net_allocate(&w->net, err);
  for (int32_t i = 0; s == MCL_OK && i < p->n_tensors; i++) {
    const mcli_param *t = &p->tensors[i];
    mcl_array to = mcli_clip_view(t, mcli_param_value(p, i));
    if (t->called[0]) s = mcli_tensor_read(c->context, c->file, c->path, t->called, &to, err);
  }
  if (s < 0) return s;
  if (m == 0) mcli_scale_begin(w, c->image.mean, c->image.deviation, c->image.channels);
  c->networks[m] = NULL;
  return mcli_network_handle(w, m == 0 ? "vit" : "text", &c->towers[m], err);
}

static mcl_status read_own(const mcli_clip *c, const mcli_pair *p, mcl_error *err) {
  const mcli_params *own = &p->own->net.params;
  const int32_t tensors[MCLI_CLIP_OWN] = {p->towers[0].kernel, p->towers[1].kernel, p->scale};
  for (int i = 0; i < MCLI_CLIP_OWN; i++) {
    mcl_array to = mcli_tensor_view(&own->tensors[tensors[i]], mcli_param_value(own, tensors[i]));
    mcl_status s = mcli_tensor_read(c->context, c->file, c->path, mcli_clip_own[i], &to, err);
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
  mcli_clip c = {.context = context, .path = mcli_path_tail(path), .o = defaults};
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
