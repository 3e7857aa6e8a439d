// A CLIP read from a file, and trained, against PyTorch in double (tests/golden/clip.py): features, logits, gradients.
#include "encoder/clip_file.h"

#include <libmcl/loss.h>

#include "encoder/pair.h"
#include "golden/clip.h"

enum { TRAINED = 3 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef struct clip_golden {
  golden g;
  int32_t gelu;
  const float *loss, *embedding[2], *logits, *gradients[3], *trained[2];
  size_t n[3];
} clip_golden;

#define CLIP(NAME, GELU)                                                                           \
  {                                                                                                \
    .g = {.name = #NAME}, .gelu = GELU, .loss = NAME##_loss,                                       \
    .embedding = {NAME##_image, NAME##_text}, .logits = NAME##_logits,                             \
    .gradients = {NAME##_image_gradients, NAME##_text_gradients, NAME##_own_gradients},            \
    .trained = {NAME##_trained_image, NAME##_trained_text}, .n = {                                 \
      COUNT(NAME##_image_gradients),                                                               \
      COUNT(NAME##_text_gradients),                                                                \
      COUNT(NAME##_own_gradients)                                                                  \
    }                                                                                              \
  }

static mcl_encoder *read_clip(int32_t gelu) {
  static const file_options whole = {0};
  mcl_optimiser_options sgd;
  mcl_optimiser_options_init(&sgd, sizeof sgd);
  sgd.kind = MCL_SGD;
  mcl_clip_options o;
  mcl_clip_options_init(&o, sizeof o);
  o.gelu = gelu, o.optimiser = &sgd;
  char path[4200];
  snprintf(path, sizeof path, "%s/clip.safetensors", test_directory("golden-clip"));
  write_clip(context, path, &whole);
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_clip(context, &o, path, &e, &err));
  return e;
}

static void check_embeddings(mcl_encoder *e, const golden *g, const mcl_array data[2],
                             const float *const wanted[2], float z[2][N * WIDTH]) {
  for (int m = 0; m < 2; m++) {
    mcl_array out = mcl_matrix_f32(z[m], N, WIDTH);
    mcl_inputs in;
    mcl_struct_init(&in, sizeof in);
    in.n = N, in.modality = m, in.view = -1, in.data = &data[m];
    CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
    check_near(g, m ? "text" : "image", z[m], wanted[m], (int64_t)N * WIDTH);
  }
}

// exp(log scale) cos(image, text).
static void check_logits(mcl_encoder *e, const clip_golden *c, float z[2][N * WIDTH]) {
  double tau;
  float logits[N * N];
  CHECK_OK(mcl_encoder_temperature(e, &tau, &err));
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      double ab = 0, aa = 0, bb = 0;
      for (int k = 0; k < WIDTH; k++) {
        double a = (double)z[0][i * WIDTH + k], b = (double)z[1][j * WIDTH + k];
        ab += a * b, aa += a * a, bb += b * b;
      }
      logits[i * N + j] = (float)(ab / sqrt(aa * bb) / tau);
    }
  check_near(&c->g, "logits", logits, c->logits, (int64_t)N * N);
}

static void check_gradients(mcl_encoder *e, const clip_golden *c) {
  const mcli_pair *p = mcli_encoder_user(e);
  const mcli_network *networks[3] = {p->towers[0].network, p->towers[1].network, p->own};
  for (int i = 0; i < 3; i++) {
    const mcli_params *params = &networks[i]->net.params;
    check_samples(&c->g, "gradient", params, params->gradients, 1, c->gradients[i], c->n[i]);
  }
}

static void train_once(mcl_encoder *e, const clip_golden *c, const mcl_array data[2], int number) {
  static float z[2][N * WIDTH], dz[2][N * WIDTH];
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
    out[m] = mcl_matrix_f32(z[m], N, WIDTH);
    grad[m] = mcl_matrix_f32(dz[m], N, WIDTH);
    mcl_struct_init(&in[m], sizeof in[m]);
    in[m].n = N, in[m].modality = m, in[m].view = m, in[m].data = &data[m];
    CHECK_OK(mcl_encoder_forward(e, &in[m], &out[m], &err));
  }
  CHECK_OK(mcl_encoder_temperature(e, &o.temperature, &err));
  loss.za = &out[0], loss.zb = &out[1], loss.dza = &grad[0], loss.dzb = &grad[1];
  CHECK_OK(mcl_loss_info_nce(context, &o, &loss, &r, &err));
  const float got = (float)r.loss;
  check_near(&c->g, "loss", &got, c->loss + number, 1);
  for (int m = 0; m < 2; m++) CHECK_OK(mcl_encoder_backward(e, &in[m], &grad[m], &err));
  CHECK_OK(mcl_encoder_backward_temperature(e, r.d_log_temperature, &err));
  if (number == 0) check_gradients(e, c);
  step.learning_rate = 0.02;
  CHECK_OK(mcl_encoder_step(e, &step, &err));
}

static void check_clip(const clip_golden *c) {
  static float z[2][N * WIDTH];
  mcl_array data[2];
  context = test_context(2);
  make_batch(data);
  mcl_encoder *e = read_clip(c->gelu);
  check_embeddings(e, &c->g, data, c->embedding, z);
  check_logits(e, c, z);
  for (int i = 0; i < TRAINED; i++) train_once(e, c, data, i);
  check_embeddings(e, &c->g, data, c->trained, z);
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}

START_TEST(a_clip_read_from_openais_names_embeds_and_learns_as_in_pytorch) {
  const clip_golden c = CLIP(quick, MCL_GELU_QUICK);
  check_clip(&c);
}
END_TEST

START_TEST(a_clip_of_openclip_with_exact_gelu_does_too) {
  const clip_golden c = CLIP(exact, MCL_GELU);
  check_clip(&c);
}
END_TEST

RUN_TESTS("encoder", a_clip_read_from_openais_names_embeds_and_learns_as_in_pytorch,
          a_clip_of_openclip_with_exact_gelu_does_too)
