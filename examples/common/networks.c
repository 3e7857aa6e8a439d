#include "networks.h"

const char *const network_names[] = {"cnn", "resnet18", "vit", "mlp", NULL};
const char *const initial_names[] = {"fresh", "preceding", NULL};

// As wide as the heads of the smaller networks: what is learnt does not hang on it.
enum { PROJECTION = 64 };

static mcl_status make_cnn(mcl_context *c, const image_network *n, mcl_encoder **out,
                           mcl_error *e) {
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.seed = n->seed;
  o.height = n->height, o.width = n->width, o.channels = n->channels;
  o.optimiser = n->optimiser;
  o.projection_dim = n->headless ? 0 : PROJECTION;
  return mcl_encoder_create_cnn(c, &o, out, e);
}

static mcl_status make_mlp(mcl_context *c, const image_network *n, mcl_encoder **out,
                           mcl_error *e) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = n->seed;
  o.inputs = (int64_t)n->height * n->width * n->channels;
  o.optimiser = n->optimiser;
  o.projection_dim = n->headless ? 0 : PROJECTION;
  return mcl_encoder_create_mlp(c, &o, out, e);
}

// A quarter of the published filters: a sixteenth of the work. The embedding has 128 numbers, as
// that of the smaller networks.
static mcl_status make_resnet(mcl_context *c, const image_network *n, mcl_encoder **out,
                              mcl_error *e) {
  mcl_resnet_options o;
  mcl_resnet_options_init(&o, sizeof o);
  o.seed = n->seed;
  o.height = n->height, o.width = n->width, o.channels = n->channels;
  o.stem = MCL_STEM_CIFAR;
  o.filters = 16;
  o.optimiser = n->optimiser;
  o.projection_dim = n->headless ? 0 : PROJECTION;
  return mcl_encoder_create_resnet(c, &o, out, e);
}

// The largest square of up to 8 pixels, and of half the image, that divides it: 16 tokens of 28 or 32
// pixels a side. Four times as many, by half the patch, cost more than four times the work.
static int32_t patch_of(int32_t height, int32_t width) {
  int32_t side = height < width ? height : width, patch = side < 16 ? side / 2 : 8;
  while (patch > 1 && (height % patch || width % patch)) patch--;
  return patch < 1 ? 1 : patch;
}

static mcl_status make_vit(mcl_context *c, const image_network *n, mcl_encoder **out,
                           mcl_error *e) {
  mcl_vit_options o;
  mcl_vit_options_init(&o, sizeof o);
  o.seed = n->seed;
  o.height = n->height, o.width = n->width, o.channels = n->channels;
  o.patch = patch_of(n->height, n->width);
  o.embed = 64;
  o.gelu = MCL_GELU;
  o.optimiser = n->optimiser;
  o.projection_dim = n->headless ? 0 : PROJECTION;
  return mcl_encoder_create_vit(c, &o, out, e);
}

mcl_status image_network_create(mcl_context *c, const image_network *n, mcl_encoder **out,
                                mcl_error *e) {
  switch (n->kind) {
  case NETWORK_RESNET18:
    return make_resnet(c, n, out, e);
  case NETWORK_VIT:
    return make_vit(c, n, out, e);
  case NETWORK_MLP:
    return make_mlp(c, n, out, e);
  default:
    return make_cnn(c, n, out, e);
  }
}
