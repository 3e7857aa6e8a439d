// A pair against PyTorch in double (tests/golden/pair.py): an MLP and a bag, projected to one width, with a temperature that
// is learnt, through the loss.
#include "encoder/golden.h"

#include <libmcl/loss.h>

#include "encoder/pair.h"
#include "golden/pair.h"

enum { TRAINED = 6, ROWS = 9, INPUTS = 11, CONTEXT = 6, VOCABULARY = 13, WIDTH = 6 };

static mcl_optimiser_options sgd;

static mcl_encoder *image_tower(mcl_context *c) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.inputs = INPUTS, o.hidden = 9, o.layers = 1, o.dim = 7, o.projection_dim = 0;
  o.optimiser = &sgd;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_mlp(c, &o, &e, &err));
  set_weights(mcli_encoder_user(e));
  return e;
}

static mcl_encoder *text_tower(mcl_context *c) {
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o);
  o.vocabulary = VOCABULARY, o.context = CONTEXT, o.embed = 8, o.hidden = 9, o.dim = 5;
  o.optimiser = &sgd;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_bag(c, &o, &e, &err));
  set_weights(mcli_encoder_user(e));
  return e;
}

static mcli_pair *pair;

// Takes over the towers.
static mcl_encoder *pair_of(mcl_context *c, mcl_encoder *image, mcl_encoder *text) {
  mcl_pair_options o;
  mcl_pair_options_init(&o, sizeof o);
  o.dim = WIDTH;
  o.optimiser = &sgd;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_pair(c, &o, image, text, &e, &err));
  mcl_encoder_unref(image);
  mcl_encoder_unref(text);
  pair = mcli_encoder_user(e);
  set_weights(pair->own);
  return e;
}

static void check_gradients(const char *what, const mcli_network *w, const float *wanted,
                            size_t n) {
  const golden g = {.name = what};
  check_samples(&g, "gradient", &w->net.params, w->net.params.gradients, 1, wanted, n);
}

static void check_number(const char *what, double got, double wanted) {
  ck_assert_msg(fabs(got - wanted) <= 1e-5 * fabs(wanted), "%s is %.9g, not %.9g", what, got,
                wanted);
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void train_once(mcl_encoder *e, const mcl_array data[2], int number) {
  static float z[2][ROWS * WIDTH], dz[2][ROWS * WIDTH];
  mcl_array out[2], grad[2];
  mcl_inputs in[2];
  mcl_loss_options o;
  mcl_loss_inputs loss;
  mcl_loss_result r;
  mcl_step step;
  mcl_struct_init(&step, sizeof step);
  mcl_struct_init(&loss, sizeof loss);
  mcl_struct_init(&r, sizeof r);
  mcl_loss_options_init(&o, sizeof o);
  for (int m = 0; m < 2; m++) {
    out[m] = mcl_matrix_f32(z[m], ROWS, WIDTH);
    grad[m] = mcl_matrix_f32(dz[m], ROWS, WIDTH);
    mcl_struct_init(&in[m], sizeof in[m]);
    in[m].n = ROWS, in[m].modality = m, in[m].view = m, in[m].data = &data[m];
    CHECK_OK(mcl_encoder_forward(e, &in[m], &out[m], &err));
  }
  CHECK_OK(mcl_encoder_temperature(e, &o.temperature, &err));
  loss.za = &out[0], loss.zb = &out[1], loss.dza = &grad[0], loss.dzb = &grad[1];
  CHECK_OK(mcl_loss_info_nce(context, &o, &loss, &r, &err));
  check_number("loss", r.loss, (double)pair_loss[number]);
  for (int m = 0; m < 2; m++) CHECK_OK(mcl_encoder_backward(e, &in[m], &grad[m], &err));
  CHECK_OK(mcl_encoder_backward_temperature(e, r.d_log_temperature, &err));
  if (number == 0) {
    check_gradients("image", pair->towers[0].network, pair_image_gradients,
                    COUNT(pair_image_gradients));
    check_gradients("text", pair->towers[1].network, pair_text_gradients,
                    COUNT(pair_text_gradients));
    check_gradients("own", pair->own, pair_own_gradients, COUNT(pair_own_gradients));
  }
  step.learning_rate = 0.2;
  CHECK_OK(mcl_encoder_step(e, &step, &err));
  CHECK_OK(mcl_encoder_temperature(e, &o.temperature, &err));
  check_number("temperature", o.temperature, (double)pair_temperature[number]);
}

START_TEST(towers_projections_and_temperature_learn_as_in_pytorch) {
  mcl_optimiser_options_init(&sgd, sizeof sgd);
  sgd.kind = MCL_SGD;
  context = test_context(2);
  mcl_encoder *e = pair_of(context, image_tower(context), text_tower(context));
  float x[ROWS * INPUTS], z[ROWS * WIDTH];
  int32_t *ids = tokens(1001, ROWS, CONTEXT, VOCABULARY, -1);
  for (int i = 0; i < ROWS * INPUTS; i++) x[i] = (float)(0.5 + 0.5 * uniform(1000, (uint64_t)i));
  const int64_t shape[2] = {ROWS, CONTEXT};
  mcl_array data[2] = {mcl_matrix_f32(x, ROWS, INPUTS)}, out = mcl_matrix_f32(z, ROWS, WIDTH);
  mcl_array_init(&data[1], ids, MCL_I32, 2, shape);
  for (int i = 0; i < TRAINED; i++) train_once(e, data, i);
  const float *wanted[2] = {pair_image_embedding, pair_text_embedding};
  for (int m = 0; m < 2; m++) {
    const golden g = {.name = "pair"};
    mcl_inputs in;
    mcl_struct_init(&in, sizeof in);
    in.n = ROWS, in.modality = m, in.view = -1, in.data = &data[m];
    CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
    check_near(&g, "embedding", z, wanted[m], ROWS * WIDTH);
  }
  free(ids);
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}
END_TEST

RUN_TESTS("encoder", towers_projections_and_temperature_learn_as_in_pytorch)
