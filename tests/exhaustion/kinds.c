#include "exhaustion/kinds.h"

#include <libmcl/checkpoint.h>

// ---- a CLIP of one block a tower -------------------------------------------------------------------------

enum { WIDE = 8, PATCH = 4, PLACES = 1 + (SIDE / PATCH) * (SIDE / PATCH) };

static void put_tensor(mcl_checkpoint_writer *f, const char *name, int32_t ndim, int64_t a,
                       int64_t b, int64_t d, int64_t e) {
  static float x[4096];
  int64_t shape[4] = {a, b, d, e}, n = a * b * d * e;
  mcl_array t;
  ck_assert_int_le(n, 4096);
  test_fill(x, n, strlen(name) + (uint64_t)n, -0.3F, 0.3F);
  if (strstr(name, "ln_") && strstr(name, "weight"))
    for (int64_t i = 0; i < n; i++) x[i] += 1;
  mcl_array_init(&t, x, MCL_F32, ndim, shape);
  CHECK_OK(mcl_checkpoint_writer_add(f, name, &t, &err));
}

static void put_block(mcl_checkpoint_writer *f, const char *tower) {
  const struct {
    const char *name;
    int64_t rows, cols; // cols 1: one dimension
  } block[] = {{"ln_1.weight", WIDE, 1},
               {"ln_1.bias", WIDE, 1},
               {"attn.in_proj_weight", 3 * WIDE, WIDE},
               {"attn.in_proj_bias", 3 * WIDE, 1},
               {"attn.out_proj.weight", WIDE, WIDE},
               {"attn.out_proj.bias", WIDE, 1},
               {"ln_2.weight", WIDE, 1},
               {"ln_2.bias", WIDE, 1},
               {"mlp.c_fc.weight", 4 * WIDE, WIDE},
               {"mlp.c_fc.bias", 4 * WIDE, 1},
               {"mlp.c_proj.weight", WIDE, 4 * WIDE},
               {"mlp.c_proj.bias", WIDE, 1}};
  for (size_t i = 0; i < sizeof block / sizeof *block; i++) {
    char name[96];
    snprintf(name, sizeof name, "%stransformer.resblocks.0.%s", tower, block[i].name);
    put_tensor(f, name, block[i].cols > 1 ? 2 : 1, block[i].rows, block[i].cols, 1, 1);
  }
}

void put_clip(void) {
  static bool done;
  mcl_checkpoint_writer *f = NULL;
  if (done) return;
  done = true;
  CHECK_OK(mcl_checkpoint_writer_create(c, in("clip.safetensors"), &f, &err));
  put_tensor(f, "visual.conv1.weight", 4, WIDE, CHANNELS, PATCH, PATCH);
  put_tensor(f, "visual.class_embedding", 1, WIDE, 1, 1, 1);
  put_tensor(f, "visual.positional_embedding", 2, PLACES, WIDE, 1, 1);
  put_tensor(f, "visual.ln_pre.weight", 1, WIDE, 1, 1, 1);
  put_tensor(f, "visual.ln_pre.bias", 1, WIDE, 1, 1, 1);
  put_block(f, "visual.");
  put_tensor(f, "visual.ln_post.weight", 1, WIDE, 1, 1, 1);
  put_tensor(f, "visual.ln_post.bias", 1, WIDE, 1, 1, 1);
  put_tensor(f, "token_embedding.weight", 2, WORDS, WIDE, 1, 1);
  put_tensor(f, "positional_embedding", 2, CONTEXT, WIDE, 1, 1);
  put_block(f, "");
  put_tensor(f, "ln_final.weight", 1, WIDE, 1, 1, 1);
  put_tensor(f, "ln_final.bias", 1, WIDE, 1, 1, 1);
  put_tensor(f, "visual.proj", 2, WIDE, DIM, 1, 1);
  put_tensor(f, "text_projection", 2, WIDE, DIM, 1, 1);
  float scale = 2;
  mcl_array a;
  mcl_array_init(&a, &scale, MCL_F32, 1, (int64_t[]){1});
  CHECK_OK(mcl_checkpoint_writer_add(f, "logit_scale", &a, &err));
  CHECK_OK(mcl_checkpoint_writer_commit(f, &err));
  mcl_checkpoint_writer_unref(f);
}

// ---- one of each kind ------------------------------------------------------------------------------------

mcl_status make_mlp(int64_t inputs, int32_t out_dim, uint64_t seed, mcl_encoder **out) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = seed, o.inputs = inputs, o.hidden = 5, o.layers = 1, o.dim = DIM;
  o.projection_dim = out_dim;
  return mcl_encoder_create_mlp(c, &o, out, &err);
}

static mcl_status make_cnn(int normed, uint64_t seed, mcl_encoder **out) {
  static const int32_t filters[] = {4, 5}, kernels[] = {3, 3}, strides[] = {2, 1};
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.seed = seed, o.height = o.width = SIDE, o.channels = CHANNELS, o.layers = 2;
  o.filters = filters, o.kernels = kernels, o.strides = strides;
  o.batch_norm = (uint32_t)normed, o.dim = DIM, o.projection_dim = OUT;
  if (normed) o.projection_hidden = 5;
  return mcl_encoder_create_cnn(c, &o, out, &err);
}

static mcl_status make_resnet(uint64_t seed, mcl_encoder **out) {
  static const double mean[CHANNELS] = {.5, .4, .3}, deviation[CHANNELS] = {.2, .3, .2};
  mcl_resnet_options o;
  mcl_resnet_options_init(&o, sizeof o);
  o.seed = seed, o.height = o.width = SIDE, o.channels = CHANNELS, o.stem = MCL_STEM_CIFAR;
  o.filters = 1, o.projection_dim = OUT, o.mean = mean, o.deviation = deviation;
  return mcl_encoder_create_resnet(c, &o, out, &err);
}

static mcl_status make_vit(uint64_t seed, mcl_encoder **out) {
  mcl_vit_options o;
  mcl_vit_options_init(&o, sizeof o);
  o.seed = seed, o.height = o.width = SIDE, o.channels = CHANNELS, o.patch = PATCH;
  o.embed = WIDE, o.layers = 1, o.heads = 2, o.hidden = WIDE, o.dim = 0, o.projection_dim = OUT;
  o.pre_norm = 0, o.gelu = MCL_GELU;
  return mcl_encoder_create_vit(c, &o, out, &err);
}

static mcl_status make_text(uint64_t seed, mcl_encoder **out) {
  mcl_text_options o;
  mcl_text_options_init(&o, sizeof o);
  o.seed = seed, o.vocabulary = WORDS, o.context = CONTEXT, o.embed = WIDE, o.layers = 1;
  o.heads = 2, o.dim = DIM, o.projection_dim = OUT;
  return mcl_encoder_create_text(c, &o, out, &err);
}

static mcl_status make_bag(uint64_t seed, mcl_encoder **out) {
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o);
  o.seed = seed, o.vocabulary = WORDS, o.context = CONTEXT, o.embed = 4, o.hidden = 5;
  o.dim = DIM;
  return mcl_encoder_create_bag(c, &o, out, &err);
}

static mcl_status make_pair(bool hosts, uint64_t seed, mcl_encoder **out) {
  mcl_pair_options o;
  mcl_encoder *image = NULL, *inner = NULL, *text = NULL;
  mcl_pair_options_init(&o, sizeof o);
  o.seed = seed, o.dim = OUT;
  mcl_status s = make_mlp(SIDE * SIDE * CHANNELS, 0, seed, hosts ? &inner : &image);
  if (s == MCL_OK && hosts) s = make_host(inner, &image);
  if (s == MCL_OK) s = make_bag(seed, &text);
  if (s == MCL_OK) s = mcl_encoder_create_pair(c, &o, image, text, out, &err);
  mcl_encoder_unref(image);
  mcl_encoder_unref(text);
  return s;
}

static mcl_status make_clip(mcl_encoder **out) {
  mcl_clip_options o;
  mcl_clip_options_init(&o, sizeof o);
  o.image_heads = o.text_heads = 2;
  return mcl_encoder_create_clip(c, &o, in("clip.safetensors"), out, &err);
}

// Two stages, and an MLP on top of what they say.
static mcl_status make_head(uint64_t seed, mcl_encoder **out) {
  mcl_integrator *g = NULL;
  mcl_encoder *e[3] = {0};
  mcl_status s = mcl_integrator_create(c, NULL, &g, &err);
  for (int i = 0; i < 2 && s == MCL_OK; i++) {
    s = make_mlp(SIDE * SIDE * CHANNELS, 0, 20 + (uint64_t)i, &e[i]);
    if (s == MCL_OK) s = mcl_integrator_add_stage(g, e[i], 0, 1, &err);
  }
  if (s == MCL_OK) s = make_mlp(2 * DIM, OUT, seed, &e[2]);
  if (s == MCL_OK) s = mcl_integrator_encoder(g, e[2], out, &err);
  for (int i = 0; i < 3; i++) mcl_encoder_unref(e[i]);
  mcl_integrator_unref(g);
  return s;
}

mcl_status make_kind(int kind, uint64_t seed, mcl_encoder **out) {
  mcl_encoder *inner = NULL;
  mcl_status s;
  switch (kind) {
  case CNN:
  case NORMED:
    return make_cnn(kind == NORMED, seed, out);
  case MLP:
    return make_mlp(SIDE * SIDE * CHANNELS, OUT, seed, out);
  case RESNET:
    return make_resnet(seed, out);
  case VIT:
    return make_vit(seed, out);
  case TEXT:
    return make_text(seed, out);
  case BAG:
    return make_bag(seed, out);
  case PAIR:
  case HOSTS:
    return make_pair(kind == HOSTS, seed, out);
  case CLIP:
    return make_clip(out);
  case HEAD:
    return make_head(seed, out);
  default:
    s = make_mlp(SIDE * SIDE * CHANNELS, OUT, seed, &inner);
    return s == MCL_OK ? make_host(inner, out) : s;
  }
}

// ---- a host's: all calls go to an encoder within ---------------------------------------------------------

static mcl_status host_embed(void *u, const mcl_inputs *i, const mcl_array *out, mcl_error *e) {
  return mcl_encoder_embed(u, i, out, e);
}
static mcl_status host_forward(void *u, const mcl_inputs *i, const mcl_array *out, mcl_error *e) {
  return mcl_encoder_forward(u, i, out, e);
}
static mcl_status host_backward(void *u, const mcl_inputs *i, const mcl_array *g, mcl_error *e) {
  return mcl_encoder_backward(u, i, g, e);
}
static mcl_status host_held(void *u, const mcl_inputs *i, const mcl_array *out, mcl_error *e) {
  return mcl_encoder_held(u, i, out, e);
}
static mcl_status host_step(void *u, const mcl_step *s, mcl_error *e) {
  return mcl_encoder_step(u, s, e);
}
static mcl_status host_save(void *u, const char *path, mcl_error *e) {
  return mcl_encoder_save(u, path, e);
}
static mcl_status host_load(void *u, const char *path, mcl_error *e) {
  return mcl_encoder_load(u, path, e);
}
static mcl_status host_start_from(void *u, void *from, mcl_error *e) {
  return mcl_encoder_start_from(u, from, e);
}
static mcl_status host_sum(void *u, mcl_comm *comm, mcl_error *e) {
  return mcl_encoder_sum_gradients(u, comm, e);
}
static void host_give_up(void *u) {
  ck_assert_int_eq(mcl_encoder_give_up(u, NULL), MCL_OK);
}
static void host_destroy(void *u) {
  mcl_encoder_unref(u);
}

mcl_status make_host(mcl_encoder *inner, mcl_encoder **out) {
  mcl_host_encoder h;
  mcl_struct_init(&h, sizeof h);
  h.user = inner, h.flags = MCL_HOST_CHUNKS;
  h.dim = mcl_encoder_dim(inner), h.projection_dim = mcl_encoder_projection_dim(inner);
  h.embed = host_embed, h.forward = host_forward, h.backward = host_backward;
  h.held = host_held, h.step = host_step, h.save = host_save, h.load = host_load;
  h.start_from = host_start_from, h.sum_gradients = host_sum;
  h.give_up = host_give_up, h.destroy = host_destroy;
  return mcl_encoder_create_host(c, &h, out, &err);
}

// ---- rows ------------------------------------------------------------------------------------------------

static bool reads_tokens(int kind, int32_t modality) {
  return kind == TEXT || kind == BAG || modality == 1;
}

mcl_inputs inputs_of(int kind, int32_t modality, int32_t view) {
  static _Thread_local uint8_t pixels[ROWS * SIDE * SIDE * CHANNELS];
  static _Thread_local int32_t ids[ROWS * CONTEXT];
  static const int64_t indices[ROWS] = {3, 1, 0, 2};
  static _Thread_local mcl_array a;
  for (int i = 0; i < (int)sizeof pixels; i++)
    pixels[i] = (uint8_t)((i * 37 + i / 91 + 50 * (view + 1)) % 251);
  for (int i = 0; i < ROWS * CONTEXT; i++)
    ids[i] = i % CONTEXT == 3 ? 0 : (i * 3 + i / CONTEXT + view + 1) % WORDS;
  if (reads_tokens(kind, modality))
    mcl_array_init(&a, ids, MCL_I32, 2, (int64_t[]){ROWS, CONTEXT});
  else
    a = mcl_images_u8(pixels, ROWS, SIDE, SIDE, CHANNELS);
  mcl_inputs i;
  mcl_struct_init(&i, sizeof i);
  i.n = ROWS, i.indices = indices, i.data = &a, i.modality = modality, i.view = view;
  return i;
}

int32_t width_of(const mcl_encoder *e, bool projection) {
  return projection ? mcl_encoder_projection_dim(e) : mcl_encoder_dim(e);
}

void see_embeddings(seen *s, mcl_encoder *e, int kind) {
  static _Thread_local float z[ROWS * 64];
  for (int32_t m = 0; m < mcl_encoder_modalities(e); m++) {
    mcl_inputs i = inputs_of(kind, m, -1);
    mcl_array out = mcl_matrix_f32(z, ROWS, width_of(e, false));
    CHECK_OK(mcl_encoder_embed(e, &i, &out, &err));
    see(s, z, ROWS * (size_t)width_of(e, false) * sizeof *z);
  }
}

void see_encoder(seen *s, mcl_encoder *e, int kind) {
  see_embeddings(s, e, kind);
  if (kind == RESNET) return; // has some hundred tensors, and nothing else that others have not
  CHECK_OK(mcl_encoder_save(e, in("seen"), &err));
  see_files(s);
  ck_assert_int_eq(remove(in("seen")), 0);
}
