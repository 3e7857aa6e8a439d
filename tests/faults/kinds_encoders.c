// Encoders of every kind, of some hundred weights each.
#include "faults/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 3, SIDE = KINDS_SIDE, CONTEXT = 5, WORDS = 20 };

static mcl_optimiser_options sgd(void) {
  mcl_optimiser_options o;
  mcl_optimiser_options_init(&o, sizeof o);
  o.kind = MCL_SGD;
  return o;
}

mcl_status kinds_make_mlp(mcl_context *c, uint64_t seed, mcl_encoder **e, mcl_error *err) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = seed, o.inputs = SIDE * SIDE, o.hidden = 5, o.layers = 1, o.dim = 4,
  o.projection_dim = 3;
  return mcl_encoder_create_mlp(c, &o, e, err);
}

static mcl_status make_cnn(mcl_context *c, uint64_t seed, mcl_encoder **e, mcl_error *err) {
  static const int32_t filters[] = {4, 3}, kernels[] = {3, 3}, strides[] = {2, 2};
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.seed = seed, o.height = o.width = SIDE, o.channels = 1, o.layers = 2, o.batch_norm = 1;
  o.filters = filters, o.kernels = kernels, o.strides = strides;
  o.dim = 4, o.projection_dim = 3;
  return mcl_encoder_create_cnn(c, &o, e, err);
}

static mcl_status make_resnet(mcl_context *c, uint64_t seed, mcl_encoder **e, mcl_error *err) {
  mcl_resnet_options o;
  mcl_optimiser_options optimiser = sgd();
  mcl_resnet_options_init(&o, sizeof o);
  o.seed = seed, o.height = o.width = SIDE, o.channels = 1, o.stem = MCL_STEM_CIFAR, o.filters = 1;
  o.projection_layers = 1, o.projection_dim = 3, o.optimiser = &optimiser;
  return mcl_encoder_create_resnet(c, &o, e, err);
}

static mcl_status make_vit(mcl_context *c, uint64_t seed, mcl_encoder **e, mcl_error *err) {
  mcl_vit_options o;
  mcl_vit_options_init(&o, sizeof o);
  o.seed = seed, o.height = o.width = SIDE, o.channels = 1, o.patch = 4, o.embed = 8, o.layers = 1;
  o.heads = 2, o.hidden = 8, o.dim = 4, o.projection_dim = 3;
  return mcl_encoder_create_vit(c, &o, e, err);
}

static mcl_status make_bag(mcl_context *c, uint64_t seed, mcl_encoder **e, mcl_error *err) {
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o);
  o.seed = seed, o.vocabulary = WORDS, o.context = CONTEXT, o.embed = 4, o.hidden = 5, o.dim = 4;
  return mcl_encoder_create_bag(c, &o, e, err);
}

static mcl_status make_text(mcl_context *c, uint64_t seed, mcl_encoder **e, mcl_error *err) {
  mcl_text_options o;
  mcl_text_options_init(&o, sizeof o);
  o.seed = seed, o.vocabulary = WORDS, o.context = CONTEXT, o.embed = 8, o.layers = 1, o.heads = 2;
  o.hidden = 8, o.dim = 4;
  return mcl_encoder_create_text(c, &o, e, err);
}

static mcl_status join(mcl_context *c, uint64_t seed, mcl_encoder *image, mcl_encoder *text,
                       mcl_encoder **e, mcl_error *err) {
  mcl_pair_options o;
  mcl_pair_options_init(&o, sizeof o);
  o.seed = seed, o.dim = 3;
  mcl_status s = mcl_encoder_create_pair(c, &o, image, text, e, err);
  mcl_encoder_unref(image);
  mcl_encoder_unref(text);
  return s;
}

static mcl_status make_bare_mlp(mcl_context *c, uint64_t seed, mcl_encoder **e, mcl_error *err) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = seed, o.inputs = SIDE * SIDE, o.hidden = 5, o.layers = 1, o.dim = 4,
  o.projection_dim = 0;
  return mcl_encoder_create_mlp(c, &o, e, err);
}

static mcl_status make_pair(mcl_context *c, uint64_t seed, mcl_encoder **e, mcl_error *err) {
  mcl_encoder *image = NULL, *text = NULL;
  mcl_status s = make_bare_mlp(c, seed, &image, err);
  if (s == MCL_OK) s = make_bag(c, seed + 100, &text, err);
  return s < 0 ? s : join(c, seed + 200, image, text, e, err);
}

// A host's tower that keeps one number, in a file that it writes carelessly. It embeds the number; nothing is trained.
static mcl_status host_embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  float *z = out->data;
  for (int64_t i = 0; i < in->n * 2; i++) z[i] = *(float *)user + (float)i;
  return mcl_ok(e);
}

static mcl_status host_save(void *user, const char *path, mcl_error *e) {
  FILE *f = fopen(path, "w");
  if (!f) return mcl_error_set(e, MCL_E_IO, 0, "the host cannot write");
  fprintf(f, "%.9g", (double)*(float *)user);
  return fclose(f) == 0 ? mcl_ok(e) : mcl_error_set(e, MCL_E_IO, 0, "the host cannot write");
}

static mcl_status host_load(void *user, const char *path, mcl_error *e) {
  FILE *f = fopen(path, "r");
  if (!f) return mcl_error_set(e, MCL_E_IO, 0, "the host cannot read");
  int ok = fscanf(f, "%f", (float *)user) == 1;
  fclose(f);
  return ok ? mcl_ok(e) : mcl_error_set(e, MCL_E_FORMAT, 0, "the host's file is no number");
}

static mcl_status make_host_pair(mcl_context *c, uint64_t seed, mcl_encoder **e, mcl_error *err) {
  mcl_encoder *image = NULL, *text = NULL;
  mcl_host_encoder table;
  mcl_struct_init(&table, sizeof table);
  float *number = malloc(sizeof *number);
  *number = (float)seed;
  table.user = number, table.dim = 2, table.embed = host_embed;
  table.save = host_save, table.load = host_load, table.destroy = free;
  mcl_pair_options o;
  mcl_pair_options_init(&o, sizeof o);
  o.seed = seed, o.dim = 3, o.locked = 2;
  mcl_status s = make_bare_mlp(c, seed, &image, err);
  if (s == MCL_OK) s = mcl_encoder_create_host(c, &table, &text, err);
  if (s == MCL_OK) s = mcl_encoder_create_pair(c, &o, image, text, e, err);
  mcl_encoder_unref(image);
  mcl_encoder_unref(text);
  return s;
}

static void data_of(int m, float *pixels, int32_t *tokens, mcl_array *out) {
  test_fill(pixels, ROWS * SIDE * SIDE * 3, 5, 0, 1);
  for (int i = 0; i < ROWS * CONTEXT; i++) tokens[i] = (i * 7 + 3) % WORDS;
  if (m == 1) mcl_array_init(out, tokens, MCL_I32, 2, (int64_t[]){ROWS, CONTEXT});
}

// What it embeds, and once more after a step: moments show in the second.
static mcl_status look(mcl_encoder *e, int text, int channels, seen *out, mcl_error *err) {
  float pixels[ROWS * SIDE * SIDE * 3], z[ROWS * 16], g[ROWS * 16];
  int32_t tokens[ROWS * CONTEXT], dim = mcl_encoder_dim(e), wide = mcl_encoder_projection_dim(e);
  int both = mcl_encoder_modalities(e) == 2;
  mcl_array data[2], to = mcl_matrix_f32(z, ROWS, dim), p = mcl_matrix_f32(z, ROWS, wide),
                     grad = mcl_matrix_f32(g, ROWS, wide);
  mcl_array_init(&data[0], pixels, MCL_F32, 4, (int64_t[]){ROWS, SIDE, SIDE, channels});
  data_of(1, pixels, tokens, &data[1]);
  test_fill_normal(g, ROWS * wide, 8);
  mcl_status s = MCL_OK;
  for (int pass = 0; pass < 2; pass++) {
    mcl_inputs inputs[2];
    for (int m = 0; m < 2; m++) {
      mcl_struct_init(&inputs[m], sizeof inputs[m]);
      inputs[m].n = ROWS, inputs[m].modality = both ? m : 0, inputs[m].view = -1;
      inputs[m].data = &data[both ? m : text];
    }
    for (int m = 0; s == MCL_OK && m < 1 + both; m++) {
      s = mcl_encoder_embed(e, &inputs[m], &to, err);
      if (s == MCL_OK) kinds_see(out, z, ROWS * dim);
    }
    if (pass == 1) break;
    for (int m = 0; m < 2; m++) inputs[m].view = m;
    for (int m = 0; s == MCL_OK && m < 1 + both; m++)
      s = mcl_encoder_forward(e, &inputs[m], &p, err);
    for (int m = 0; s == MCL_OK && m < 1 + both; m++)
      s = mcl_encoder_backward(e, &inputs[m], &grad, err);
    if (s == MCL_OK && both) s = mcl_encoder_backward_temperature(e, 0.1, err);
    mcl_step step;
    mcl_struct_init(&step, sizeof step);
    step.learning_rate = 1e-2;
    if (s == MCL_OK) s = mcl_encoder_step(e, &step, err);
  }
  return s;
}

typedef mcl_status (*encoder_fn)(mcl_context *, uint64_t, mcl_encoder **, mcl_error *);

// A step taken before it is saved, so that there are moments.
static void *encoder_make(mcl_context *c, encoder_fn fn, int version, int text) {
  mcl_encoder *e = NULL;
  mcl_error err;
  seen ignored = {0};
  CHECK_OK(fn(c, 30 + (uint64_t)version, &e, &err));
  CHECK_OK(look(e, text, 1, &ignored, &err));
  return e;
}

static void encoder_drop(void *thing) {
  mcl_encoder_unref(thing);
}

static mcl_status encoder_save(void *thing, const char *directory, mcl_error *err) {
  return mcl_encoder_save(thing, kinds_path(directory, "e.safetensors"), err);
}

static mcl_status encoder_load(mcl_context *c, encoder_fn fn, const char *directory, int text,
                               seen *out, mcl_error *err) {
  mcl_encoder *e = NULL;
  mcl_status s = fn(c, 1, &e, err);
  if (s == MCL_OK) s = mcl_encoder_load(e, kinds_path(directory, "e.safetensors"), err);
  if (s == MCL_OK) s = look(e, text, 1, out, err);
  mcl_encoder_unref(e);
  return s;
}

#define ENCODER(name, text)                                                                        \
  static void *name##_make(mcl_context *c, int version) {                                          \
    return encoder_make(c, make_##name, version, text);                                            \
  }                                                                                                \
  static mcl_status name##_load(mcl_context *c, const char *d, seen *out, mcl_error *err) {        \
    return encoder_load(c, make_##name, d, text, out, err);                                        \
  }
static mcl_status make_mlp(mcl_context *c, uint64_t seed, mcl_encoder **e, mcl_error *err) {
  return kinds_make_mlp(c, seed, e, err);
}
ENCODER(mlp, 0)
ENCODER(cnn, 0)
ENCODER(resnet, 0)
ENCODER(vit, 0)
ENCODER(bag, 1)
ENCODER(text, 1)
ENCODER(pair, 0)
ENCODER(host_pair, 0)
#undef ENCODER

static mcl_status torch_save(void *thing, const char *directory, mcl_error *err) {
  return mcl_encoder_save_torch(thing, kinds_path(directory, "torch.safetensors"), err);
}

static mcl_status torch_load(mcl_context *c, const char *directory, seen *out, mcl_error *err) {
  mcl_encoder *e = NULL;
  mcl_status s = make_resnet(c, 1, &e, err);
  if (s == MCL_OK) s = mcl_encoder_load_torch(e, kinds_path(directory, "torch.safetensors"), err);
  if (s == MCL_OK) s = look(e, 0, 1, out, err);
  mcl_encoder_unref(e);
  return s;
}

// ---- a CLIP ----------------------------------------------------------------------------------------

// OpenAI's names and shapes, of one block of 8 numbers each side.
static mcl_status write_clip(mcl_context *c, const char *path, uint64_t seed, mcl_error *err) {
  static const struct {
    const char *name;
    int64_t shape[4];
  } own[] = {{"visual.conv1.weight", {8, 3, 4, 4}},
             {"visual.class_embedding", {8}},
             {"visual.positional_embedding", {5, 8}},
             {"visual.ln_pre.weight", {8}},
             {"visual.ln_pre.bias", {8}},
             {"visual.ln_post.weight", {8}},
             {"visual.ln_post.bias", {8}},
             {"token_embedding.weight", {WORDS, 8}},
             {"positional_embedding", {CONTEXT, 8}},
             {"ln_final.weight", {8}},
             {"ln_final.bias", {8}},
             {"visual.proj", {8, 4}},
             {"text_projection", {8, 4}},
             {"logit_scale", {1}}},
    block[] = {{"ln_1.weight", {8}},
               {"ln_1.bias", {8}},
               {"attn.in_proj_weight", {24, 8}},
               {"attn.in_proj_bias", {24}},
               {"attn.out_proj.weight", {8, 8}},
               {"attn.out_proj.bias", {8}},
               {"ln_2.weight", {8}},
               {"ln_2.bias", {8}},
               {"mlp.c_fc.weight", {8, 8}},
               {"mlp.c_fc.bias", {8}},
               {"mlp.c_proj.weight", {8, 8}},
               {"mlp.c_proj.bias", {8}}};
  enum { OWN = sizeof own / sizeof *own, BLOCK = sizeof block / sizeof *block };
  mcl_checkpoint_writer *w = NULL;
  mcl_status s = mcl_checkpoint_writer_create(c, path, &w, err);
  for (int i = 0; s == MCL_OK && i < OWN + 2 * BLOCK; i++) {
    char name[96];
    float x[512];
    int b = i - OWN;
    const int64_t *shape = b < 0 ? own[i].shape : block[b % BLOCK].shape;
    snprintf(name, sizeof name, "%s%s",
             b < 0       ? ""
             : b < BLOCK ? "visual.transformer.resblocks.0."
                         : "transformer.resblocks.0.",
             b < 0 ? own[i].name : block[b % BLOCK].name);
    int ndim = shape[3] ? 4 : shape[1] ? 2 : 1;
    int64_t n = shape[0] * (shape[1] ? shape[1] : 1) * (shape[3] ? 16 : 1);
    test_fill(x, n, seed * 100 + (uint64_t)i, 0.1F, 1);
    mcl_array a;
    mcl_array_init(&a, x, MCL_F32, ndim, shape);
    s = mcl_checkpoint_writer_add(w, name, &a, err);
  }
  if (s == MCL_OK) s = mcl_checkpoint_writer_commit(w, err);
  mcl_checkpoint_writer_unref(w);
  return s;
}

static mcl_status read_clip(mcl_context *c, const char *path, mcl_encoder **e, mcl_error *err) {
  mcl_clip_options o;
  mcl_clip_options_init(&o, sizeof o);
  mcl_optimiser_options optimiser = sgd();
  o.image_heads = o.text_heads = 2, o.optimiser = &optimiser;
  return mcl_encoder_create_clip(c, &o, path, e, err);
}

// The file that it comes from is one of the files that must not be lost; then it is saved as any pair.
typedef struct clip {
  mcl_context *c;
  int version;
} clip;

static void *clip_make(mcl_context *c, int version) {
  clip *t = calloc(1, sizeof *t);
  t->c = c, t->version = version;
  return t;
}

static mcl_status clip_save(void *thing, const char *directory, mcl_error *err) {
  clip *t = thing;
  mcl_encoder *e = NULL;
  mcl_status s = write_clip(t->c, kinds_path(directory, "clip.safetensors"), 3, err);
  if (s == MCL_OK) s = read_clip(t->c, kinds_path(directory, "clip.safetensors"), &e, err);
  seen ignored = {0};
  for (int i = 0; s == MCL_OK && i <= t->version; i++) s = look(e, 0, 3, &ignored, err);
  if (s == MCL_OK) s = mcl_encoder_save(e, kinds_path(directory, "e.safetensors"), err);
  mcl_encoder_unref(e);
  return s;
}

static mcl_status clip_load(mcl_context *c, const char *directory, seen *out, mcl_error *err) {
  mcl_encoder *e = NULL;
  mcl_status s = read_clip(c, kinds_path(directory, "clip.safetensors"), &e, err);
  if (s == MCL_OK) s = mcl_encoder_load(e, kinds_path(directory, "e.safetensors"), err);
  if (s == MCL_OK) s = look(e, 0, 3, out, err);
  mcl_encoder_unref(e);
  return s;
}

// ---- all -------------------------------------------------------------------------------------------

const kind kinds_encoders[] = {
    {"mlp", mlp_make, encoder_drop, encoder_save, mlp_load, "e.safetensors", 0},
    {"cnn", cnn_make, encoder_drop, encoder_save, cnn_load, "e.safetensors", 0},
    {"resnet", resnet_make, encoder_drop, encoder_save, resnet_load, "e.safetensors", 0},
    {"torch", resnet_make, encoder_drop, torch_save, torch_load, "torch.safetensors", 0},
    {"vit", vit_make, encoder_drop, encoder_save, vit_load, "e.safetensors", 0},
    {"bag", bag_make, encoder_drop, encoder_save, bag_load, "e.safetensors", 0},
    {"text", text_make, encoder_drop, encoder_save, text_load, "e.safetensors", 0},
    {"pair", pair_make, encoder_drop, encoder_save, pair_load, "e.safetensors", 0},
    {"host_pair", host_pair_make, encoder_drop, encoder_save, host_pair_load, "e.safetensors", 0},
    {"clip", clip_make, free, clip_save, clip_load, "clip.safetensors e.safetensors", 0},
};
const int kinds_encoder_count = sizeof kinds_encoders / sizeof *kinds_encoders;
