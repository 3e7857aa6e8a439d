// What the golden tests of built-in networks share: weights and inputs by the hash of tests/golden/encoders.py, and a run of
// five steps held against what PyTorch made of it.
#ifndef MCL_TESTS_ENCODER_GOLDEN_H
#define MCL_TESTS_ENCODER_GOLDEN_H

#include "support/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/network.h"

static mcl_error err;
enum { STEPS = 5, SAMPLES = 16, SHOWN = 256 }; // of encoders.py

// The hash of encoders.py: multiples of 2^-23 in [-1, 1).
static inline double uniform(uint64_t stream, uint64_t i) {
  uint32_t h = (uint32_t)((i + 1 + 7919 * stream) * 2654435761U);
  h ^= h >> 15;
  h *= 2246822519U;
  h ^= h >> 13;
  return (double)(h >> 8) / 8388608.0 - 1;
}

static inline void set_weights(mcli_network *w) {
  const mcli_params *p = &w->net.params;
  for (int32_t t = 0; t < p->n_tensors; t++) {
    const mcli_param *tensor = &p->tensors[t];
    const char *what = strchr(tensor->name, '.') + 1;
    double fan_in = (double)(tensor->n / tensor->shape[tensor->ndim - 1]), spread, centre = 0;
    if (!strcmp(what, "kernel"))
      spread = 1.75 / sqrt(fan_in);
    else if (!strcmp(what, "table"))
      spread = 1;
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
static inline void check_near(const golden *g, const char *what, const float *got,
                              const float *wanted, int64_t n) {
  if (n > SHOWN) n = SHOWN;
  float largest = 0;
  for (int64_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(wanted[i]));
  for (int64_t i = 0; i < n; i++)
    ck_assert_msg(fabsf(got[i] - wanted[i]) <= 1e-4F * largest, "%s: %s[%lld] is %.8g, not %.8g",
                  g->name, what, (long long)i, (double)got[i], (double)wanted[i]);
}

// A block of numbers (weights or gradients), tensor by tensor as encoders.py samples them.
static inline void check_samples(const golden *g, const char *what, const mcli_params *p,
                                 const float *block, int trained_only, const float *wanted,
                                 size_t n) {
  size_t at = 0;
  for (int32_t t = 0; t < p->n_tensors; t++) {
    const mcli_param *tensor = &p->tensors[t];
    if (trained_only && !mcli_param_is_trained(p, t)) continue;
    float got[SAMPLES];
    int64_t first = tensor->first - (trained_only ? p->frozen : 0); // of gradients
    int64_t samples = tensor->n < SAMPLES ? tensor->n : SAMPLES;
    for (int64_t i = 0; i < samples; i++)
      got[i] = block[first + (tensor->n <= SAMPLES ? i : i * tensor->n / SAMPLES)];
    char name[64];
    snprintf(name, sizeof name, "%s of %s", what, tensor->name);
    check_near(g, name, got, wanted + at, samples);
    at += (size_t)samples;
  }
  ck_assert_uint_eq(at, n);
}

static double rate = 1e-3; // of the steps
static mcl_context *context;
static mcli_network *network; // behind the encoder at work: for its weights and gradients

// data: of both views.
static inline void check_training(const golden *g, mcl_encoder *e, const mcl_array data[2]) {
  int32_t outputs = mcl_encoder_projection_dim(e), dim = mcl_encoder_dim(e);
  float *grad[2], *z = calloc((size_t)(g->n * (outputs + dim)), sizeof *z);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = g->n;
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = rate;
  mcl_array grads[2], out = mcl_matrix_f32(z, g->n, outputs),
                      embedding = mcl_matrix_f32(z, g->n, dim);
  for (uint64_t v = 0; v < 2; v++) {
    grad[v] = calloc((size_t)(g->n * outputs), sizeof *grad[v]);
    for (int64_t i = 0; i < g->n * outputs; i++) grad[v][i] = (float)uniform(2000 + v, (uint64_t)i);
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
  for (int v = 0; v < 2; v++) free(grad[v]);
  free(z);
}

// The rows of texts.py: every other one has an `end` of its own, the others up to three tokens of padding behind.
static inline int32_t *tokens(uint64_t stream, int64_t n, int32_t length, int32_t vocabulary,
                              int32_t end) {
  int32_t *ids = calloc((size_t)(n * length), sizeof *ids);
  for (int64_t i = 0; i < n * length; i++) {
    int64_t u = (int64_t)((uniform(stream, (uint64_t)i) + 1) * 8388608);
    ids[i] = (int32_t)(u * vocabulary >> 24);
  }
  for (int64_t i = 0; i < n; i++) {
    int64_t padding = i % 4 < length - 1 ? i % 4 : length - 1;
    if (i % 2 == 0 && end >= 0) ids[i * length + (3 * i + 2) % length] = end;
    for (int64_t k = length - padding; i % 2 == 1 && k < length; k++) ids[i * length + k] = 0;
  }
  return ids;
}

// n numbers of a batch of images, a function of the stream.
typedef void fill_fn(uint64_t stream, const int64_t *shape, int64_t n, float *out);

static inline void fill_noise(uint64_t stream, const int64_t *shape, int64_t n, float *out) {
  (void)shape;
  for (int64_t i = 0; i < n; i++) out[i] = (float)(0.5 + 0.5 * uniform(stream, (uint64_t)i));
}

// Two views of this shape, through an encoder whose weights are the hash's. It is unref'd, and so is the context.
static inline void check_images(const golden *g, mcl_encoder *e, int32_t ndim, const int64_t *shape,
                                fill_fn *fill) {
  float *x[2];
  mcl_array data[2];
  network = mcli_encoder_user(e);
  set_weights(network);
  for (uint64_t v = 0; v < 2; v++) {
    x[v] = calloc((size_t)(g->n * g->inputs), sizeof *x[v]);
    fill(1000 + v, shape, g->n * g->inputs, x[v]);
    mcl_array_init(&data[v], x[v], MCL_F32, ndim, shape);
  }
  check_training(g, e, data);
  free(x[0]), free(x[1]);
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}

#endif
