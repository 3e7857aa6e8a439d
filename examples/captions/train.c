// Two towers as one encoder, with a temperature that is learnt.
#include "captions.h"

enum { TOWER_DIM = 64 };

static mcl_status make_image(const run *t, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  // From 64 x 64 to 4 x 4: with a side twice as long the dense layer behind them would have four
  // fifths of all weights.
  static const int32_t filters[] = {32, 64, 64, 64}, kernels[] = {3, 3, 3, 3};
  static const int32_t strides[] = {2, 2, 2, 2};
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.seed = seed;
  o.height = o.width = SIDE, o.channels = 3;
  o.layers = 4, o.filters = filters, o.kernels = kernels, o.strides = strides;
  o.dim = TOWER_DIM, o.projection_dim = 0;
  return mcl_encoder_create_cnn(t->context, &o, out, e);
}

static mcl_status make_text(const run *t, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o); // embeddings of 64 numbers, one hidden layer of 128
  o.seed = seed;
  o.vocabulary = t->w->vocabulary, o.context = t->w->context, o.padding = t->w->padding;
  o.dim = TOWER_DIM;
  return mcl_encoder_create_bag(t->context, &o, out, e);
}

mcl_status make_pair(void *user, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  const run *t = user;
  mcl_encoder *image = NULL, *text = NULL;
  mcl_pair_options o;
  mcl_pair_options_init(&o, sizeof o);
  o.temperature = t->o->shared.temperature;
  mcl_status s = make_image(t, seed, &image, e);
  if (s == MCL_OK) s = make_text(t, ~seed, &text, e);
  if (s == MCL_OK) s = mcl_encoder_create_pair(t->context, &o, image, text, out, e);
  mcl_encoder_unref(image);
  mcl_encoder_unref(text);
  return s;
}
