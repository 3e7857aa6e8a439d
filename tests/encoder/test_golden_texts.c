// The networks for texts against PyTorch in double (tests/golden/texts.py): outputs, gradients, five steps of SGD.
#include "encoder/golden.h"

#include "golden/texts.h"

// Takes over the caller's reference.
static void check_texts(const golden *g, mcl_encoder *e, int32_t vocabulary, int32_t end) {
  int32_t *ids[2];
  mcl_array data[2];
  const int64_t shape[2] = {g->n, g->inputs};
  for (uint64_t v = 0; v < 2; v++) {
    ids[v] = tokens(1000 + v, g->n, (int32_t)g->inputs, vocabulary, end);
    mcl_array_init(&data[v], ids[v], MCL_I32, 2, shape);
  }
  network = mcli_encoder_user(e);
  set_weights(network);
  check_training(g, e, data);
  free(ids[0]), free(ids[1]);
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}

static mcl_optimiser_options sgd(void) {
  mcl_optimiser_options o;
  mcl_optimiser_options_init(&o, sizeof o);
  o.kind = MCL_SGD;
  return o;
}

static void check_bag(const golden *g, mcl_bag_options o) {
  mcl_optimiser_options optimiser = sgd();
  o.optimiser = &optimiser;
  o.context = (int32_t)g->inputs;
  mcl_encoder *e = NULL;
  context = test_context(2);
  CHECK_OK(mcl_encoder_create_bag(context, &o, &e, &err));
  check_texts(g, e, o.vocabulary, -1);
}

START_TEST(a_bag_of_sums_agrees_with_pytorch) {
  const golden g = GOLDEN(bag_sum, 9, 6);
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o);
  o.vocabulary = 13, o.embed = 8, o.hidden = 9, o.layers = 2, o.dim = 7, o.projection_dim = 5;
  check_bag(&g, o);
}
END_TEST

START_TEST(a_bag_of_means_agrees_with_pytorch) {
  const golden g = GOLDEN(bag_mean, 11, 9);
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o);
  o.vocabulary = 31, o.embed = 16, o.mean = 1, o.hidden = 12, o.dim = 10;
  check_bag(&g, o);
}
END_TEST

static void check_text(const golden *g, mcl_text_options o) {
  mcl_optimiser_options optimiser = sgd();
  o.optimiser = &optimiser;
  o.context = (int32_t)g->inputs;
  mcl_encoder *e = NULL;
  context = test_context(2);
  CHECK_OK(mcl_encoder_create_text(context, &o, &e, &err));
  check_texts(g, e, o.vocabulary, o.end);
}

START_TEST(a_causal_transformer_with_quick_gelu_agrees_with_pytorch) {
  const golden g = GOLDEN(causal, 9, 7);
  mcl_text_options o;
  mcl_text_options_init(&o, sizeof o);
  o.vocabulary = 17, o.embed = 12, o.heads = 3, o.dim = 6, o.end = 16;
  check_text(&g, o);
}
END_TEST

START_TEST(a_transformer_that_sees_all_of_its_row_but_the_padding_agrees_with_pytorch) {
  const golden g = GOLDEN(whole, 10, 9);
  mcl_text_options o;
  mcl_text_options_init(&o, sizeof o);
  o.vocabulary = 17, o.embed = 16, o.causal = 0, o.gelu = MCL_GELU, o.end = 3;
  o.dim = 7, o.projection_dim = 5;
  check_text(&g, o);
}
END_TEST

START_TEST(a_transformer_of_clips_context_agrees_with_pytorch) {
  const golden g = GOLDEN(clip, 5, 77);
  mcl_text_options o;
  mcl_text_options_init(&o, sizeof o);
  o.vocabulary = 40, o.embed = 64, o.heads = 8, o.dim = 32, o.end = 39;
  check_text(&g, o);
}
END_TEST

RUN_TESTS("encoder", a_bag_of_sums_agrees_with_pytorch, a_bag_of_means_agrees_with_pytorch,
          a_causal_transformer_with_quick_gelu_agrees_with_pytorch,
          a_transformer_that_sees_all_of_its_row_but_the_padding_agrees_with_pytorch,
          a_transformer_of_clips_context_agrees_with_pytorch)
