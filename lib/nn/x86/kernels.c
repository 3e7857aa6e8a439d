// Elementwise passes: one source, compiled once for each instruction set under the name MCLI_ISA_NAME.
//
// The loops are plain: gcc's vectoriser does them well as soon as it may assume that the arrays do not overlap and that
// sqrtf sets no errno. Products are rounded before they are added (-ffp-contract=off), and no sum runs over
// the vector's lanes, so every instruction set gives the same bits.
#include <math.h>
#include <stddef.h>

#include "nn/kernels.h"

static void add(const float *restrict x, float *restrict y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

// Not y > 0 ? y : 0, which would turn a NaN into a healthy 0.
static inline float positive(float y) {
  return y < 0 ? 0 : y;
}

static void relu(const float *x, float *y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = positive(x[i]);
}

static void relu_backward(const float *restrict y, float *restrict dy, int64_t n) {
  for (int64_t i = 0; i < n; i++) dy[i] = y[i] > 0 ? dy[i] : 0;
}

static void add_bias(float *restrict y, const float *restrict bias, int64_t rows, int64_t cols,
                     int rectify) {
  if (!bias) {
    if (rectify) relu(y, y, rows * cols);
    return;
  }
  for (int64_t i = 0; i < rows; i++, y += cols) {
    if (rectify)
      for (int64_t j = 0; j < cols; j++) y[j] = positive(y[j] + bias[j]);
    else
      for (int64_t j = 0; j < cols; j++) y[j] += bias[j];
  }
}

static void sums(const float *restrict x, int64_t rows, int64_t cols, double *restrict sum) {
  for (int64_t i = 0; i < rows; i++, x += cols)
    for (int64_t j = 0; j < cols; j++) sum[j] += (double)x[j];
}

static void moments(const float *restrict x, int64_t rows, int64_t cols, double *restrict sum,
                    double *restrict squares) {
  for (int64_t i = 0; i < rows; i++, x += cols)
    for (int64_t j = 0; j < cols; j++) {
      double v = (double)x[j];
      sum[j] += v;
      squares[j] += v * v;
    }
}

static void normalise(const float *restrict x, int64_t rows, int64_t cols,
                      const float *restrict mean, const float *restrict factor,
                      const float *restrict shift, int rectify, float *restrict y) {
  for (int64_t i = 0; i < rows; i++, x += cols, y += cols) {
    if (rectify)
      for (int64_t j = 0; j < cols; j++) y[j] = positive((x[j] - mean[j]) * factor[j] + shift[j]);
    else
      for (int64_t j = 0; j < cols; j++) y[j] = (x[j] - mean[j]) * factor[j] + shift[j];
  }
}

static void normalise_sums(const float *restrict dy, const float *restrict x, int64_t rows,
                           int64_t cols, const float *restrict mean, const float *restrict inverse,
                           double *restrict sum, double *restrict product) {
  for (int64_t i = 0; i < rows; i++, dy += cols, x += cols)
    for (int64_t j = 0; j < cols; j++) {
      sum[j] += (double)dy[j];
      product[j] += (double)dy[j] * (double)((x[j] - mean[j]) * inverse[j]);
    }
}

static void normalise_backward(const float *dy, const float *x, int64_t rows, int64_t cols,
                               const float *restrict mean, const float *restrict inverse,
                               const float *restrict factor, const float *restrict mean_dy,
                               const float *restrict mean_product, float *dx) {
  for (int64_t i = 0; i < rows; i++, dy += cols, x += cols, dx += cols)
    for (int64_t j = 0; j < cols; j++)
      dx[j] = factor[j] * (dy[j] - mean_dy[j] - (x[j] - mean[j]) * inverse[j] * mean_product[j]);
}

static void adam(const mcli_adam *o, float *restrict w, const float *restrict g, float *restrict m,
                 float *restrict s, int64_t n) {
  const mcli_adam a = *o;
  const float rest1 = 1 - a.beta1, rest2 = 1 - a.beta2;
  for (int64_t i = 0; i < n; i++) {
    float d = g[i] + a.l2 * w[i];
    m[i] = a.beta1 * m[i] + rest1 * d;
    s[i] = a.beta2 * s[i] + rest2 * (d * d);
    w[i] = a.keep * w[i] - a.rate * m[i] / (sqrtf(s[i]) * a.root + a.epsilon);
  }
}

static void sgd(const mcli_sgd *o, float *restrict w, const float *restrict g, float *restrict v,
                int64_t n) {
  const mcli_sgd a = *o;
  for (int64_t i = 0; i < n; i++) {
    v[i] = a.momentum * v[i] + (g[i] + a.l2 * w[i]);
    w[i] = a.keep * w[i] - a.rate * v[i];
  }
}

#define PASTE(a, b) a##b
#define NAME(isa)   PASTE(mcli_nn_kernels_, isa)
#define TEXT(isa)   #isa
#define QUOTE(isa)  TEXT(isa)

const mcli_nn_kernels NAME(MCLI_ISA_NAME) = {
    .name = QUOTE(MCLI_ISA_NAME),
    .add = add,
    .add_bias = add_bias,
    .relu = relu,
    .relu_backward = relu_backward,
    .sums = sums,
    .moments = moments,
    .normalise = normalise,
    .normalise_sums = normalise_sums,
    .normalise_backward = normalise_backward,
    .adam = adam,
    .sgd = sgd,
};
