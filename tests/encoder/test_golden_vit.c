// The vision transformer against PyTorch in double (tests/golden/vit.py): outputs, gradients, five steps of SGD.
#include "encoder/golden.h"

#include "golden/vit.h"

static void check_vit(const golden *g, mcl_vit_options o) {
  mcl_optimiser_options optimiser;
  mcl_optimiser_options_init(&optimiser, sizeof optimiser);
  optimiser.kind = MCL_SGD;
  o.optimiser = &optimiser;
  mcl_encoder *e = NULL;
  context = test_context(2);
  CHECK_OK(mcl_encoder_create_vit(context, &o, &e, &err));
  check_images(g, e, 4, (const int64_t[]){g->n, o.height, o.width, o.channels}, fill_noise);
}

static mcl_vit_options options_of(int32_t height, int32_t width, int32_t channels) {
  mcl_vit_options o;
  mcl_vit_options_init(&o, sizeof o);
  o.height = height, o.width = width, o.channels = channels;
  return o;
}

// What they are is set by hash, as all weights.
static const double mean[3] = {0}, deviation[3] = {1, 1, 1};

START_TEST(a_class_token_and_pixels_to_scale_agree_with_pytorch) {
  const golden g = GOLDEN(token, 9, 12 * 8 * 3);
  mcl_vit_options o = options_of(12, 8, 3);
  o.patch = 4, o.embed = 16, o.layers = 2, o.dim = 0, o.projection_dim = 0;
  o.mean = mean, o.deviation = deviation;
  check_vit(&g, o);
}
END_TEST

START_TEST(a_bias_of_patches_and_an_epsilon_agree_with_pytorch) {
  const golden g = GOLDEN(bias, 8, 8 * 12 * 3);
  mcl_vit_options o = options_of(8, 12, 3);
  o.patch = 4, o.embed = 16, o.layers = 2, o.hidden = 32, o.gelu = MCL_GELU, o.pre_norm = 0;
  o.dim = 0, o.projection_dim = 0, o.patch_bias = 1, o.epsilon = 0.1;
  check_vit(&g, o);
}
END_TEST

START_TEST(a_mean_of_tokens_with_a_head_agrees_with_pytorch) {
  const golden g = GOLDEN(mean, 7, 9 * 12 * 2);
  mcl_vit_options o = options_of(9, 12, 2);
  o.patch = 3, o.embed = 12, o.layers = 2, o.heads = 3, o.hidden = 20, o.gelu = MCL_GELU;
  o.class_token = 0, o.pre_norm = 0, o.dim = 7, o.projection_dim = 5;
  check_vit(&g, o);
}
END_TEST

START_TEST(a_small_image_tower_of_clip_agrees_with_pytorch) {
  const golden g = GOLDEN(clip, 4, 32 * 32 * 3);
  mcl_vit_options o = options_of(32, 32, 3);
  o.patch = 8, o.embed = 64, o.layers = 2, o.heads = 1, o.dim = 32, o.projection_dim = 0;
  o.mean = mean;
  check_vit(&g, o);
}
END_TEST

RUN_TESTS("encoder", a_class_token_and_pixels_to_scale_agree_with_pytorch,
          a_bias_of_patches_and_an_epsilon_agree_with_pytorch,
          a_mean_of_tokens_with_a_head_agrees_with_pytorch,
          a_small_image_tower_of_clip_agrees_with_pytorch)
