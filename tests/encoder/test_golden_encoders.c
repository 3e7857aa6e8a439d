// The built-in networks against PyTorch in double (tests/golden/encoders.py): outputs, gradients, five Adam steps.
#include "encoder/golden.h"

#include "golden/encoders.h"

// Rows of numbers, as an MLP takes them; a CNN does too.
static void check_rows(const golden *g, mcl_encoder *e) {
  check_images(g, e, 2, (const int64_t[]){g->n, g->inputs}, fill_noise);
}

static void check_cnn(const golden *g, const mcl_cnn_options *o) {
  mcl_encoder *e = NULL;
  context = test_context(2);
  CHECK_OK(mcl_encoder_create_cnn(context, o, &e, &err));
  check_rows(g, e);
}

static mcl_cnn_options options_of(int32_t height, int32_t width, int32_t channels) {
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.height = height;
  o.width = width;
  o.channels = channels;
  return o;
}

static const int32_t few[3] = {4, 5, 6}, threes[3] = {3, 3, 3}, twos[3] = {2, 2, 2};

static mcl_optimiser_options decaying(void) {
  mcl_optimiser_options o;
  mcl_optimiser_options_init(&o, sizeof o);
  o.weight_decay = 5e-5;
  return o;
}

START_TEST(a_small_cnn_without_batch_norm_agrees_with_pytorch) {
  const golden g = GOLDEN(plain, 5, 9 * 8 * 3);
  mcl_cnn_options o = options_of(9, 8, 3);
  o.filters = few;
  o.dim = 7;
  o.projection_dim = 5;
  check_cnn(&g, &o);
}
END_TEST

START_TEST(a_small_cnn_with_batch_norm_and_weight_decay_agrees_with_pytorch) {
  const golden g = GOLDEN(normed, 7, 8 * 9 * 2);
  mcl_optimiser_options decay = decaying();
  mcl_cnn_options o = options_of(8, 9, 2);
  o.filters = few, o.kernels = threes, o.strides = twos;
  o.batch_norm = 1;
  o.dim = 7, o.projection_hidden = 9, o.projection_dim = 5;
  o.optimiser = &decay;
  check_cnn(&g, &o);
}
END_TEST

START_TEST(a_small_cnn_without_padding_agrees_with_pytorch) {
  const golden g = GOLDEN(valid, 7, 15 * 16 * 2);
  mcl_optimiser_options decay = decaying();
  mcl_cnn_options o = options_of(15, 16, 2);
  o.filters = few, o.kernels = threes, o.strides = twos;
  o.padding = MCL_PADDING_VALID;
  o.batch_norm = 1;
  o.dim = 7, o.projection_hidden = 9, o.projection_dim = 5;
  o.optimiser = &decay;
  check_cnn(&g, &o);
}
END_TEST

START_TEST(the_network_of_the_small_experiment_agrees_with_pytorch) {
  const golden g = GOLDEN(evidence2, 4, 14 * 14 * 5);
  mcl_cnn_options o = options_of(14, 14, 5);
  check_cnn(&g, &o);
}
END_TEST

START_TEST(the_network_of_the_large_experiment_agrees_with_pytorch) {
  const golden g = GOLDEN(evidence1, 8, 28 * 28 * 11);
  mcl_optimiser_options decay = decaying();
  mcl_cnn_options o = options_of(28, 28, 11);
  o.kernels = threes, o.strides = twos;
  o.batch_norm = 1;
  o.projection_hidden = 256;
  o.optimiser = &decay;
  check_cnn(&g, &o);
}
END_TEST

START_TEST(an_mlp_agrees_with_pytorch) {
  const golden g = GOLDEN(dense, 6, 11);
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.inputs = 11, o.hidden = 9, o.dim = 7, o.projection_dim = 5;
  mcl_encoder *e = NULL;
  context = test_context(2);
  CHECK_OK(mcl_encoder_create_mlp(context, &o, &e, &err));
  check_rows(&g, e);
}
END_TEST

RUN_TESTS("encoder", a_small_cnn_without_batch_norm_agrees_with_pytorch,
          a_small_cnn_with_batch_norm_and_weight_decay_agrees_with_pytorch,
          a_small_cnn_without_padding_agrees_with_pytorch,
          the_network_of_the_small_experiment_agrees_with_pytorch,
          the_network_of_the_large_experiment_agrees_with_pytorch, an_mlp_agrees_with_pytorch)
