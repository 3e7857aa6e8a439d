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

mcl_status make_pair(void *user, uint64_t seed, mcl_encoder **out, mcl_error *e) {
  const run *t = user;
  mcl_encoder *image = NULL;
  mcl_status s = make_image(t, seed, &image, e);
  if (s < 0) return s;
  return pairs_towers(t->context, &t->w->sizes, seed, t->o->shared.temperature, image, out, e);
}
