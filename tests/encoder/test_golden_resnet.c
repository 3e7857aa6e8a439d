// Residual networks against PyTorch in double (tests/golden/resnet.py): outputs, gradients, five steps of SGD.
#include "encoder/golden.h"

#include "golden/resnet.h"

// images() of resnet.py.
static void fill_patches(uint64_t stream, const int64_t *s, int64_t n, float *out) {
  for (int64_t i = 0; i < n; i++) {
    int64_t c = i % s[3], x = i / s[3] % s[2], y = i / s[3] / s[2] % s[1];
    int64_t row = i / s[3] / s[2] / s[1];
    int64_t patch = ((row * s[1] + y / 8) * s[2] + x / 8) * s[3] + c;
    out[i] = (float)(0.5 + 0.4 * uniform(stream, (uint64_t)patch) +
                     0.1 * uniform(stream + 10, (uint64_t)i));
  }
}

static void check_resnet(const golden *g, mcl_resnet_options o) {
  mcl_optimiser_options optimiser;
  mcl_optimiser_options_init(&optimiser, sizeof optimiser);
  optimiser.kind = MCL_SGD;
  o.optimiser = &optimiser;
  mcl_encoder *e = NULL;
  context = test_context(2);
  CHECK_OK(mcl_encoder_create_resnet(context, &o, &e, &err));
  rate = 1e-5; // RATE of resnet.py
  check_images(g, e, 4, (const int64_t[]){g->n, o.height, o.width, o.channels}, fill_patches);
}

static mcl_resnet_options options_of(int32_t height, int32_t width, int32_t channels,
                                     int32_t depth) {
  mcl_resnet_options o;
  mcl_resnet_options_init(&o, sizeof o);
  o.height = height, o.width = width, o.channels = channels, o.depth = depth;
  return o;
}

START_TEST(basic_blocks_behind_cifars_stem_agree_with_pytorch) {
  static const double mean[3] = {0}; // what it is is set by hash, as all weights
  const golden g = GOLDEN(cifar18, 6, 16 * 14 * 3);
  mcl_resnet_options o = options_of(16, 14, 3, 18);
  o.stem = MCL_STEM_CIFAR, o.filters = 6, o.mean = mean;
  o.projection_hidden = 10, o.projection_dim = 7;
  check_resnet(&g, o);
}
END_TEST

START_TEST(basic_blocks_behind_imagenets_stem_agree_with_pytorch) {
  const golden g = GOLDEN(imagenet18, 7, 45 * 52 * 2);
  mcl_resnet_options o = options_of(45, 52, 2, 18);
  o.filters = 5, o.projection_layers = 3, o.projection_hidden = 9, o.projection_dim = 5;
  check_resnet(&g, o);
}
END_TEST

START_TEST(the_last_bottlenecks_agree_with_pytorch) {
  const golden g = GOLDEN(last50, 7, 45 * 52 * 2);
  mcl_resnet_options o = options_of(45, 52, 2, 50);
  o.filters = 4, o.trained_blocks = 4, o.projection_dim = 0;
  check_resnet(&g, o);
}
END_TEST

START_TEST(the_last_basic_blocks_agree_with_pytorch) {
  const golden g = GOLDEN(last34, 5, 15 * 16 * 3);
  mcl_resnet_options o = options_of(15, 16, 3, 34);
  o.stem = MCL_STEM_CIFAR, o.filters = 4, o.trained_blocks = 3, o.projection_dim = 0;
  check_resnet(&g, o);
}
END_TEST

RUN_TESTS("encoder", basic_blocks_behind_cifars_stem_agree_with_pytorch,
          basic_blocks_behind_imagenets_stem_agree_with_pytorch,
          the_last_bottlenecks_agree_with_pytorch, the_last_basic_blocks_agree_with_pytorch)
