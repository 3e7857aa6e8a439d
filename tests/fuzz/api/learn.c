// Encoders of every kind, and what is done with them in any order.
#include <string.h>

#include "fuzz/api/world.h"

// Not kept: a network whose rows, in or out, the pools are too small for.
static void put(world *w, mcl_encoder *e, int32_t vocabulary, int32_t ndim, int64_t a, int64_t b,
                int64_t c) {
  int at = slot(w);
  int64_t most = POOL / MOST_ROWS;
  if (a > most || b > most || c > most || a * b * c > most || mcl_encoder_dim(e) > most ||
      mcl_encoder_projection_dim(e) > most) {
    mcl_encoder_unref(e);
    return;
  }
  mcl_encoder_unref(w->learners[at].encoder);
  w->learners[at] = (learner){e, {a, b, c}, ndim, vocabulary};
}

static const mcl_optimiser_options *some_optimiser(world *w) {
  static mcl_optimiser_options o;
  mcl_optimiser_options_init(&o, sizeof o);
  o.kind = (int32_t)draw(w, 1, 2);
  o.weight_decay = draw_real(w, 0, .1);
  o.flags = fuzz_below(w->in, 2) ? MCL_DECOUPLED_DECAY : 0;
  if (wild(w)) o.beta1 = fuzz_number(w->in);
  return fuzz_below(w->in, 2) ? &o : NULL;
}

// Structs cut short would take defaults, which are large networks: the fuzzer gives whole ones or longer ones here.
#define GIVE_WHOLE(o) (w->legal || !wild(w) ? &(o) : fuzz_whole(w, &(o), sizeof(o)))
static const void *fuzz_whole(world *w, const void *s, size_t size) {
  const void *given = fuzz_struct(w->in, s, size);
  size_t told = 0;
  if (given) memcpy(&told, given, sizeof told);
  return told < size ? NULL : given;
}

static void make_mlp(world *w) {
  mcl_encoder *e = NULL;
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.inputs = draw(w, 1, 12), o.hidden = (int32_t)draw(w, 1, 9), o.layers = (int32_t)draw(w, 0, 2);
  o.dim = (int32_t)draw(w, 1, 6), o.projection_dim = (int32_t)draw(w, 0, 5);
  o.optimiser = some_optimiser(w);
  if (TRY(mcl_encoder_create_mlp(w->context, GIVE_WHOLE(o), &e, &w->err)))
    put(w, e, 0, 1, o.inputs, 1, 1);
}

static void make_cnn(world *w) {
  static const int32_t filters[] = {3, 2}, kernels[] = {3, 1}, strides[] = {2, 1};
  mcl_encoder *e = NULL;
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.height = (int32_t)draw(w, 3, 8), o.width = (int32_t)draw(w, 3, 8),
  o.channels = (int32_t)draw(w, 1, 3);
  o.layers = 1 + (int32_t)fuzz_below(w->in, 2);
  o.filters = filters, o.kernels = kernels, o.strides = strides;
  o.batch_norm = (uint32_t)draw(w, 0, 1), o.dim = (int32_t)draw(w, 1, 6);
  o.projection_hidden = (int32_t)draw(w, 0, 3), o.projection_dim = (int32_t)draw(w, 0, 5);
  o.padding = (int32_t)draw(w, 0, 1), o.init = (int32_t)draw(w, 0, 1);
  if (w->legal && !o.projection_dim) o.projection_hidden = 0;
  o.optimiser = some_optimiser(w);
  if (TRY(mcl_encoder_create_cnn(w->context, GIVE_WHOLE(o), &e, &w->err)))
    put(w, e, 0, 3, o.height, o.width, o.channels);
}

static void make_resnet(world *w) {
  mcl_encoder *e = NULL;
  mcl_resnet_options o;
  mcl_resnet_options_init(&o, sizeof o);
  o.height = o.width = (int32_t)draw(w, 8, 9), o.channels = 1 + (int32_t)fuzz_below(w->in, 3);
  o.depth = 18, o.stem = MCL_STEM_CIFAR, o.filters = 1 + (int32_t)fuzz_below(w->in, 2);
  if (wild(w)) o.depth = (int32_t)fuzz_size(w->in) % 60;
  o.trained_blocks = (int32_t)draw(w, -1, 2);
  o.projection_dim = (int32_t)draw(w, 0, 3), o.projection_layers = (int32_t)draw(w, 1, 2);
  o.optimiser = some_optimiser(w);
  if (TRY(mcl_encoder_create_resnet(w->context, GIVE_WHOLE(o), &e, &w->err)))
    put(w, e, 0, 3, o.height, o.width, o.channels);
}

static void make_vit(world *w) {
  mcl_encoder *e = NULL;
  mcl_vit_options o;
  mcl_vit_options_init(&o, sizeof o);
  o.height = 8, o.width = 4, o.channels = 1 + (int32_t)fuzz_below(w->in, 3),
  o.patch = (int32_t)draw(w, 1, 1) * 4;
  o.embed = (int32_t)draw(w, 1, 3) * 2, o.heads = (int32_t)draw(w, 1, 2),
  o.layers = 1 + (int32_t)fuzz_below(w->in, 2);
  o.class_token = (int32_t)draw(w, 0, 1), o.pre_norm = (int32_t)draw(w, 0, 1);
  o.gelu = (int32_t)draw(w, 1, 2), o.trained_blocks = (int32_t)draw(w, -1, 1);
  o.dim = (int32_t)draw(w, 0, 5), o.projection_dim = (int32_t)draw(w, 0, 3);
  o.patch_bias = (int32_t)draw(w, 0, 1), o.optimiser = some_optimiser(w);
  if (TRY(mcl_encoder_create_vit(w->context, GIVE_WHOLE(o), &e, &w->err)))
    put(w, e, 0, 3, 8, 4, o.channels);
}

static void make_bag(world *w) {
  mcl_encoder *e = NULL;
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o);
  o.vocabulary = 5 + (int32_t)fuzz_below(w->in, 9), o.context = 1 + (int32_t)fuzz_below(w->in, 5);
  o.embed = (int32_t)draw(w, 1, 5), o.mean = (int32_t)draw(w, 0, 1),
  o.hidden = (int32_t)draw(w, 1, 5);
  o.layers = (int32_t)draw(w, 0, 2), o.padding = (int32_t)draw(w, -1, 1);
  o.dim = (int32_t)draw(w, 1, 6), o.projection_dim = (int32_t)draw(w, 0, 4),
  o.optimiser = some_optimiser(w);
  if (TRY(mcl_encoder_create_bag(w->context, GIVE_WHOLE(o), &e, &w->err)))
    put(w, e, o.vocabulary, 1, o.context, 1, 1);
}

static void make_text(world *w) {
  mcl_encoder *e = NULL;
  mcl_text_options o;
  mcl_text_options_init(&o, sizeof o);
  o.vocabulary = 5 + (int32_t)fuzz_below(w->in, 9), o.context = 1 + (int32_t)fuzz_below(w->in, 5);
  o.embed = (int32_t)draw(w, 1, 3) * 2, o.heads = (int32_t)draw(w, 1, 2),
  o.layers = 1 + (int32_t)fuzz_below(w->in, 2);
  o.causal = (int32_t)draw(w, 0, 1), o.end = (int32_t)draw(w, -1, 3),
  o.padding = (int32_t)draw(w, -1, 1);
  o.dim = (int32_t)draw(w, 0, 6), o.projection_dim = (int32_t)draw(w, 0, 4);
  o.trained_blocks = (int32_t)draw(w, -1, 1), o.optimiser = some_optimiser(w);
  if (TRY(mcl_encoder_create_text(w->context, GIVE_WHOLE(o), &e, &w->err)))
    put(w, e, o.vocabulary, 1, o.context, 1, 1);
}

// Modality 0 is what the first reads; the pair is used by it alone, unless both read rows of the same shape.
static void make_pair(world *w) {
  mcl_encoder *e = NULL;
  mcl_pair_options o;
  mcl_pair_options_init(&o, sizeof o);
  learner a = w->learners[slot(w)], b = w->learners[slot(w)];
  o.dim = (int32_t)draw(w, 0, 4), o.locked = (uint32_t)draw(w, 0, 2),
  o.optimiser = some_optimiser(w);
  o.temperature = draw_real(w, .02, .5);
  if (w->legal && (!a.encoder || !b.encoder || a.encoder == b.encoder)) return;
  if (mcl_encoder_modalities(a.encoder) > 1 || mcl_encoder_modalities(b.encoder) > 1) return;
  if (w->legal && (mcl_encoder_projection_dim(a.encoder) != mcl_encoder_dim(a.encoder) ||
                   mcl_encoder_projection_dim(b.encoder) != mcl_encoder_dim(b.encoder)))
    return;
  if (TRY(mcl_encoder_create_pair(w->context, GIVE_WHOLE(o), a.encoder, b.encoder, &e, &w->err)))
    put(w, e, a.vocabulary, a.ndim, a.shape[0], a.shape[1], a.shape[2]);
}

// ---- a host's: the mean of a row times 1, 2, ... ------------------------------------------------

static mcl_status host_embed(void *user, const mcl_inputs *in, const mcl_array *out,
                             mcl_error *err) {
  (void)user;
  float *to = out->data;
  for (int64_t i = 0; i < in->n; i++)
    for (int64_t d = 0; d < out->shape[1]; d++)
      to[i * out->shape[1] + d] =
          (float)(d + 1) * ((const float *)in->data->data)[i * in->data->strides[0]];
  return mcl_ok(err);
}
static mcl_status host_backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                                mcl_error *err) {
  (void)user, (void)in, (void)grad;
  return mcl_ok(err);
}
static mcl_status host_step(void *user, const mcl_step *step, mcl_error *err) {
  (void)user, (void)step;
  return mcl_ok(err);
}

static void make_host(world *w) {
  mcl_encoder *e = NULL;
  mcl_host_encoder h;
  mcl_struct_init(&h, sizeof h);
  h.dim = (int32_t)draw(w, 1, 5), h.projection_dim = h.dim, h.modalities = 1;
  h.embed = host_embed, h.forward = host_embed, h.backward = host_backward, h.step = host_step;
  if (TRY(mcl_encoder_create_host(w->context, &h, &e, &w->err))) put(w, e, 0, 1, 4, 1, 1);
}

// ---- used ---------------------------------------------------------------------------------------

static mcl_array some_inputs(world *w, const learner *l, int64_t n) {
  static int32_t tokens[MOST_ROWS * 8];
  int64_t shape[4] = {n, l->shape[0], l->shape[1], l->shape[2]};
  if (!l->vocabulary) return some_floats(w, 1 + l->ndim, shape);
  mcl_array a;
  for (int64_t i = 0; i < n * l->shape[0]; i++)
    tokens[i] = (int32_t)fuzz_below(w->in, l->vocabulary);
  if (wild(w)) tokens[0] = (int32_t)fuzz_size(w->in);
  mcl_array_init(&a, tokens, MCL_I32, 2, shape);
  return a;
}

static void use(world *w) {
  const learner *l = &w->learners[slot(w)];
  mcl_encoder *e = wild(w) ? NULL : l->encoder;
  int64_t n = fuzz_below(w->in, 6);
  if (!l->encoder) return;
  mcl_array data = some_inputs(w, l, n), out = some_room(w, n, mcl_encoder_dim(e));
  mcl_array projection = some_room(w, n, mcl_encoder_projection_dim(e));
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.data = &data, in.n = n, in.view = (int32_t)draw(w, 0, 1), in.modality = wild(w) ? 1 : 0;
  switch (fuzz_below(w->in, 4)) {
  case 0:
    TRY(mcl_encoder_embed(e, &in, &out, &w->err));
    break;
  case 1:
    TRY(mcl_encoder_forward(e, &in, &projection, &w->err));
    break;
  case 2:
    TRY(mcl_encoder_held(e, &in, &out, &w->err));
    break;
  default: {
    mcl_array grad = some_matrix(w, n, mcl_encoder_projection_dim(e));
    TRY(mcl_encoder_backward(e, &in, &grad, &w->err));
  }
  }
}

// A step as it should be: both views forward and backward.
static void train(world *w) {
  const learner *l = &w->learners[slot(w)];
  mcl_encoder *e = l->encoder;
  mcl_step step;
  double tau;
  int64_t n = 1 + fuzz_below(w->in, 5);
  if (!e || mcl_encoder_modalities(e) > 1) return;
  mcl_array data = some_inputs(w, l, n), out = some_room(w, n, mcl_encoder_projection_dim(e));
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.data = &data, in.n = n;
  TRY(mcl_encoder_give_up(e, &w->err));
  int ok = 1;
  for (in.view = 0; in.view < 2; in.view++)
    ok = TRY(mcl_encoder_forward(e, &in, &out, &w->err)) && ok;
  for (in.view = 0; ok && in.view < 2; in.view++) {
    mcl_array grad = some_matrix(w, n, mcl_encoder_projection_dim(e));
    ok = TRY(mcl_encoder_backward(e, &in, &grad, &w->err));
  }
  mcl_struct_init(&step, sizeof step);
  step.learning_rate = draw_real(w, 0, .01);
  if (ok && TRY(mcl_encoder_temperature(e, &tau, &w->err)))
    TRY(mcl_encoder_backward_temperature(e, draw_real(w, -1, 1), &w->err));
  TRY(mcl_encoder_sum_gradients(e, NULL, &w->err));
  TRY(mcl_encoder_step(e, &step, &w->err));
}

static void disturb(world *w) {
  mcl_encoder *e = wild(w) ? NULL : w->learners[slot(w)].encoder;
  mcl_step step;
  double tau;
  mcl_struct_init(&step, sizeof step);
  if (!e && w->legal) return;
  switch (fuzz_below(w->in, 4)) {
  case 0:
    TRY(mcl_encoder_give_up(e, &w->err));
    break;
  case 1:
    TRY(mcl_encoder_step(e, &step, &w->err));
    break;
  case 2:
    TRY(mcl_encoder_temperature(e, &tau, &w->err));
    break;
  default:
    TRY(mcl_encoder_backward_temperature(e, draw_real(w, -1, 1), &w->err));
  }
}

static void keep(world *w) {
  mcl_encoder *e = w->learners[slot(w)].encoder, *from = w->learners[slot(w)].encoder;
  if (w->legal && (!e || !from || e == from)) return;
  switch (fuzz_below(w->in, 5)) {
  case 0:
    TRY(mcl_encoder_save(e, some_path(w, ".encoder"), &w->err));
    break;
  case 1:
    TRY(mcl_encoder_load(e, some_path(w, ".encoder"), &w->err));
    break;
  case 2:
    TRY(mcl_encoder_save_torch(e, some_path(w, ".torch"), &w->err));
    break;
  case 3:
    TRY(mcl_encoder_load_torch(e, some_path(w, ".torch"), &w->err));
    break;
  default:
    TRY(mcl_encoder_start_from(e, from, &w->err));
  }
}

static void open_clip(world *w) {
  mcl_encoder *e = NULL;
  mcl_clip_options o;
  mcl_clip_options_init(&o, sizeof o);
  // None of the files here is a CLIP's: the safetensors target has those.
  if (TRY(mcl_encoder_create_clip(w->context, &o, some_path(w, ".encoder"), &e, &w->err)))
    fuzz_fail("a CLIP of another encoder's file");
}

const operation learn_operations[] = {
    {"mlp", make_mlp},   {"cnn", make_cnn},           {"resnet", make_resnet},
    {"vit", make_vit},   {"bag", make_bag},           {"text", make_text},
    {"pair", make_pair}, {"host encoder", make_host}, {"use", use},
    {"train", train},    {"train more", train},       {"disturb", disturb},
    {"keep", keep},      {"clip", open_clip},         {NULL, NULL}};
