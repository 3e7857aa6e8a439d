// The built-in networks against PyTorch in double (tests/golden/encoders.py): outputs, gradients, five Adam steps.
#include "support/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/network.h"
#include "golden/encoders.h"

static mcl_error err;
enum { STEPS = 5, SAMPLES = 16, SHOWN = 256 }; // of encoders.py

// The hash of encoders.py: multiples of 2^-23 in [-1, 1).
static double uniform(uint64_t stream, uint64_t i) {
  uint32_t h = (uint32_t)((i + 1 + 7919 * stream) * 2654435761U);
  h ^= h >> 15;
  h *= 2246822519U;
  h ^= h >> 13;
  return (double)(h >> 8) / 8388608.0 - 1;
}

static void set_weights(mcli_network *w) {
  const mcli_params *p = &w->net.params;
  for (int32_t t = 0; t < p->n_tensors; t++) {
    const mcli_param *tensor = &p->tensors[t];
    const char *what = strchr(tensor->name, '.') + 1;
    double fan_in = (double)(tensor->n / tensor->shape[tensor->ndim - 1]), spread, centre = 0;
    if (!strcmp(what, "kernel"))
      spread = 1.75 / sqrt(fan_in);
    else if (!strcmp(what, "bias") || !strcmp(what, "shift"))
      spread = 0.25;
    else if (!strcmp(what, "mean"))
      spread = 0.125;
    else
      spread = 0.5, centre = 1;
    float *v = mcli_param_value(p, t);
    for (int64_t i = 0; i < tensor->n; i++)
      v[i] = (float)(centre + (double)(float)spread * uniform((uint64_t)t, (uint64_t)i));
  }
}

typedef struct golden {
  const char *name;
  int64_t n, inputs;
  const float *embedding, *projection[2], *gradients, *trained_embedding, *trained_weights;
  size_t n_gradients, n_weights;
} golden;

#define GOLDEN(NAME, N, INPUTS)                                                                    \
  {                                                                                                \
#NAME, N, INPUTS, NAME##_embedding,                                                            \
        {NAME##_projection0, NAME##_projection1 }, NAME##_gradients, NAME##_trained_embedding,     \
         NAME##_trained_weights, sizeof NAME##_gradients / sizeof(float),                          \
         sizeof NAME##_trained_weights / sizeof(float)                                             \
  }

// Within 1e-4 of the largest number: n numbers got, against n wanted (at most the first SHOWN are known).
static void check_near(const golden *g, const char *what, const float *got, const float *wanted,
                       int64_t n) {
  if (n > SHOWN) n = SHOWN;
  float largest = 0;
  for (int64_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(wanted[i]));
  for (int64_t i = 0; i < n; i++)
    ck_assert_msg(fabsf(got[i] - wanted[i]) <= 1e-4F * largest, "%s: %s[%lld] is %.8g, not %.8g",
                  g->name, what, (long long)i, (double)got[i], (double)wanted[i]);
}

// A block of numbers (weights or gradients), tensor by tensor as encoders.py samples them.
static void check_samples(const golden *g, const char *what, const mcli_params *p,
                          const float *block, int trained_only, const float *wanted, size_t n) {
  size_t at = 0;
  for (int32_t t = 0; t < p->n_tensors; t++) {
    const mcli_param *tensor = &p->tensors[t];
    if (trained_only && (tensor->flags & MCLI_RUNNING)) continue;
    float got[SAMPLES];
    int64_t samples = tensor->n < SAMPLES ? tensor->n : SAMPLES;
    for (int64_t i = 0; i < samples; i++)
      got[i] = block[tensor->first + (tensor->n <= SAMPLES ? i : i * tensor->n / SAMPLES)];
    char name[64];
    snprintf(name, sizeof name, "%s of %s", what, tensor->name);
    check_near(g, name, got, wanted + at, samples);
    at += (size_t)samples;
  }
  ck_assert_uint_eq(at, n);
}

static mcl_context *context;
static mcli_network *network; // behind the encoder at work: for its weights and gradients

static void check_training(const golden *g, mcl_encoder *e) {
  int32_t outputs = mcl_encoder_projection_dim(e), dim = mcl_encoder_dim(e);
  float *x[2], *grad[2], *z = calloc((size_t)(g->n * (outputs + dim)), sizeof *z);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = g->n;
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = 1e-3;
  mcl_array data[2], grads[2], out = mcl_matrix_f32(z, g->n, outputs),
                               embedding = mcl_matrix_f32(z, g->n, dim);
  for (uint64_t v = 0; v < 2; v++) {
    x[v] = calloc((size_t)(g->n * g->inputs), sizeof *x[v]);
    grad[v] = calloc((size_t)(g->n * outputs), sizeof *grad[v]);
    for (int64_t i = 0; i < g->n * g->inputs; i++)
      x[v][i] = (float)(0.5 + 0.5 * uniform(1000 + v, (uint64_t)i));
    for (int64_t i = 0; i < g->n * outputs; i++) grad[v][i] = (float)uniform(2000 + v, (uint64_t)i);
    data[v] = mcl_matrix_f32(x[v], g->n, g->inputs);
    grads[v] = mcl_matrix_f32(grad[v], g->n, outputs);
  }
  in.view = -1;
  in.data = &data[0];
  CHECK_OK(mcl_encoder_embed(e, &in, &embedding, &err));
  check_near(g, "embedding", z, g->embedding, g->n * dim);
  for (int step = 0; step < STEPS; step++) {
    for (int v = 0; v < 2; v++) {
      in.view = v;
      in.data = &data[v];
      CHECK_OK(mcl_encoder_forward(e, &in, &out, &err));
      if (step == 0) check_near(g, "projection", z, g->projection[v], g->n * outputs);
    }
    for (int v = 1; v >= 0; v--) {
      in.view = v;
      CHECK_OK(mcl_encoder_backward(e, &in, &grads[v], &err));
    }
    const mcli_params *p = &network->net.params;
    if (step == 0) check_samples(g, "gradient", p, p->gradients, 1, g->gradients, g->n_gradients);
    CHECK_OK(mcl_encoder_step(e, &s, &err));
  }
  in.view = -1;
  in.data = &data[0];
  CHECK_OK(mcl_encoder_embed(e, &in, &embedding, &err));
  check_near(g, "trained embedding", z, g->trained_embedding, g->n * dim);
  const mcli_params *p = &network->net.params;
  check_samples(g, "trained weight", p, p->values, 0, g->trained_weights, g->n_weights);
  for (int v = 0; v < 2; v++) free(x[v]), free(grad[v]);
  free(z);
}

static void check_cnn(const golden *g, const mcl_cnn_options *o) {
  mcl_encoder *e = NULL;
  context = test_context(2);
  CHECK_OK(mcl_encoder_create_cnn(context, o, &e, &err));
  network = mcli_encoder_user(e);
  set_weights(network);
  check_training(g, e);
  mcl_encoder_unref(e);
  mcl_context_unref(context);
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
  network = mcli_encoder_user(e);
  set_weights(network);
  check_training(&g, e);
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}
END_TEST

RUN_TESTS("encoder", a_small_cnn_without_batch_norm_agrees_with_pytorch,
          a_small_cnn_with_batch_norm_and_weight_decay_agrees_with_pytorch,
          the_network_of_the_small_experiment_agrees_with_pytorch,
          the_network_of_the_large_experiment_agrees_with_pytorch, an_mlp_agrees_with_pytorch)
