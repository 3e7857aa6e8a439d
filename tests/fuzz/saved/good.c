#include "fuzz/saved/good.h"

#include <libmcl/checkpoint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mcl_encoder *mlp(mcl_context *c, uint64_t seed, int32_t projection) {
  mcl_mlp_options o;
  mcl_encoder *e = NULL;
  mcl_error err;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = seed;
  o.inputs = GOOD_INPUTS;
  o.hidden = 2, o.layers = 1, o.dim = GOOD_DIM, o.projection_dim = projection;
  return fuzz_ok(mcl_encoder_create_mlp(c, &o, &e, &err), &err) ? e : NULL;
}

static mcl_encoder *pair(mcl_context *c, uint64_t seed) {
  mcl_pair_options o;
  mcl_encoder *image = mlp(c, seed + 1, 0), *text = mlp(c, seed + 2, 0), *e = NULL;
  mcl_error err;
  mcl_pair_options_init(&o, sizeof o);
  o.seed = seed;
  o.dim = GOOD_DIM;
  if (image && text && !fuzz_ok(mcl_encoder_create_pair(c, &o, image, text, &e, &err), &err))
    e = NULL;
  mcl_encoder_unref(image);
  mcl_encoder_unref(text);
  return e;
}

static mcl_encoder *vit(mcl_context *c, uint64_t seed) {
  mcl_vit_options o;
  mcl_encoder *e = NULL;
  mcl_error err;
  mcl_vit_options_init(&o, sizeof o);
  o.seed = seed;
  o.height = o.width = GOOD_SIDE;
  o.channels = 1, o.patch = 2, o.embed = 4, o.layers = 1, o.heads = 2, o.hidden = 2;
  o.gelu = MCL_GELU, o.pre_norm = 0, o.dim = 0, o.projection_dim = GOOD_DIM, o.epsilon = 1e-6;
  return fuzz_ok(mcl_encoder_create_vit(c, &o, &e, &err), &err) ? e : NULL;
}

mcl_encoder *good_encoder(mcl_context *c, int what, uint64_t seed) {
  return what == GOOD_PAIR    ? pair(c, seed)
         : what == GOOD_TORCH ? vit(c, seed)
                              : mlp(c, seed, GOOD_DIM);
}

// Two stages: an MLP, and one that the host embeds.
mcl_integrator *good_integrator(mcl_context *c) {
  mcl_error err;
  mcl_integrator *g = NULL;
  mcl_encoder *e = mlp(c, 5, GOOD_DIM);
  int made = e && fuzz_ok(mcl_integrator_create(c, NULL, &g, &err), &err) &&
             fuzz_ok(mcl_integrator_add_stage(g, e, 0, 0.5, &err), &err) &&
             fuzz_ok(mcl_integrator_add_stage(g, NULL, 3, 2, &err), &err);
  mcl_encoder_unref(e);
  if (made) return g;
  mcl_integrator_unref(g);
  return NULL;
}

static mcl_clusterer *clusterer(mcl_context *c) {
  float x[6 * 2] = {1, 0, 1, .1F, 0, 1, .1F, 1, -1, 0, -1, .2F};
  mcl_array a = mcl_matrix_f32(x, 6, 2);
  mcl_rows rows;
  mcl_kmeans_options o;
  mcl_clusterer *k = NULL;
  mcl_error err;
  mcl_struct_init(&rows, sizeof rows);
  mcl_kmeans_options_init(&o, sizeof o);
  rows.array = &a;
  o.k = 3;
  if (mcl_clusterer_create_kmeans(c, &o, NULL, &k, &err) < 0 ||
      mcl_clusterer_fit(k, &rows, NULL, &err) < 0)
    fuzz_fail("%s", err.message);
  return k;
}

// ---- a CLIP: heads are 64 wide, so a tower has one ------------------------------------------------

enum { WIDE = 64, HIDDEN = 2, TOKENS = 4, CONTEXT = 3, PATCHES = 4 };

static void add(mcl_checkpoint_writer *f, const char *prefix, const char *name, int64_t a,
                int64_t b, int64_t c, int64_t d) {
  static float x[3 * WIDE * WIDE];
  const int64_t shape[4] = {a, b ? b : 1, c ? c : 1, d ? d : 1};
  char whole[128];
  mcl_array view;
  mcl_error err;
  for (int64_t i = 0; i < a * shape[1] * shape[2] * shape[3]; i++)
    x[i] = (float)(i * 7 % 11 - 5) / 64;
  if (strcmp(name, "logit_scale") == 0) x[0] = 2.5F;
  snprintf(whole, sizeof whole, "%s%s", prefix, name);
  mcl_array_init(&view, x, MCL_F32, d ? 4 : c ? 3 : b ? 2 : 1, shape);
  if (mcl_checkpoint_writer_add(f, whole, &view, &err) < 0) fuzz_fail("%s", err.message);
}

static void add_block(mcl_checkpoint_writer *f, const char *tower) {
  char block[64];
  snprintf(block, sizeof block, "%stransformer.resblocks.0.", tower);
  add(f, block, "ln_1.weight", WIDE, 0, 0, 0);
  add(f, block, "ln_1.bias", WIDE, 0, 0, 0);
  add(f, block, "attn.in_proj_weight", 3 * WIDE, WIDE, 0, 0);
  add(f, block, "attn.in_proj_bias", 3 * WIDE, 0, 0, 0);
  add(f, block, "attn.out_proj.weight", WIDE, WIDE, 0, 0);
  add(f, block, "attn.out_proj.bias", WIDE, 0, 0, 0);
  add(f, block, "ln_2.weight", WIDE, 0, 0, 0);
  add(f, block, "ln_2.bias", WIDE, 0, 0, 0);
  add(f, block, "mlp.c_fc.weight", HIDDEN, WIDE, 0, 0);
  add(f, block, "mlp.c_fc.bias", HIDDEN, 0, 0, 0);
  add(f, block, "mlp.c_proj.weight", WIDE, HIDDEN, 0, 0);
  add(f, block, "mlp.c_proj.bias", WIDE, 0, 0, 0);
}

static void write_clip(mcl_context *c, const char *path) {
  mcl_checkpoint_writer *f = NULL;
  mcl_error err;
  if (mcl_checkpoint_writer_create(c, path, &f, &err) < 0) fuzz_fail("%s", err.message);
  add(f, "visual.", "conv1.weight", WIDE, 1, 2, 2);
  add(f, "visual.", "class_embedding", WIDE, 0, 0, 0);
  add(f, "visual.", "positional_embedding", PATCHES + 1, WIDE, 0, 0);
  add(f, "visual.", "ln_pre.weight", WIDE, 0, 0, 0);
  add(f, "visual.", "ln_pre.bias", WIDE, 0, 0, 0);
  add_block(f, "visual.");
  add(f, "visual.", "ln_post.weight", WIDE, 0, 0, 0);
  add(f, "visual.", "ln_post.bias", WIDE, 0, 0, 0);
  add(f, "visual.", "proj", WIDE, GOOD_DIM, 0, 0);
  add(f, "", "token_embedding.weight", TOKENS, WIDE, 0, 0);
  add(f, "", "positional_embedding", CONTEXT, WIDE, 0, 0);
  add_block(f, "");
  add(f, "", "ln_final.weight", WIDE, 0, 0, 0);
  add(f, "", "ln_final.bias", WIDE, 0, 0, 0);
  add(f, "", "text_projection", WIDE, GOOD_DIM, 0, 0);
  add(f, "", "logit_scale", 1, 0, 0, 0);
  if (mcl_checkpoint_writer_commit(f, &err) < 0) fuzz_fail("%s", err.message);
  mcl_checkpoint_writer_unref(f);
}

// ---- files --------------------------------------------------------------------------------------

static mcl_status save(mcl_context *c, int what, const char *path, mcl_error *err) {
  mcl_encoder *e = what <= GOOD_TORCH ? good_encoder(c, what, 9) : NULL;
  mcl_clusterer *k = what == GOOD_CLUSTERER ? clusterer(c) : NULL;
  mcl_integrator *g = what == GOOD_INTEGRATOR ? good_integrator(c) : NULL;
  if (what == GOOD_CLIP) write_clip(c, path);
  mcl_status s = what == GOOD_TORCH ? mcl_encoder_save_torch(e, path, err)
                 : e                ? mcl_encoder_save(e, path, err)
                 : k                ? mcl_clusterer_save(k, path, err)
                 : g                ? mcl_integrator_save(g, fuzz_empty("good"), err)
                                    : MCL_OK;
  mcl_encoder_unref(e);
  mcl_clusterer_unref(k);
  mcl_integrator_unref(g);
  return s;
}

const uint8_t *good_file(int what, size_t *n) {
  static uint8_t *files[GOODS];
  static size_t sizes[GOODS];
  mcl_error err;
  mcl_context *c = NULL;
  if (!files[what]) {
    const char *path = fuzz_path("good.safetensors");
    if (mcl_context_create(NULL, &c, &err) < 0 || save(c, what, path, &err) < 0)
      fuzz_fail("%s", err.message);
    mcl_context_unref(c);
    files[what] = fuzz_get(
        what == GOOD_INTEGRATOR ? fuzz_path("good/integrator.safetensors") : path, &sizes[what]);
  }
  *n = sizes[what];
  return files[what];
}
