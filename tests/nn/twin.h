// Layers once more, in double and as plainly as their formulas; their own gradients are checked by finite differences.
#ifndef MCL_TESTS_NN_TWIN_H
#define MCL_TESTS_NN_TWIN_H

#include "support/suite.h"

#include <math.h>
#include <stdlib.h>

#include "nn/conv.h"

static inline double *twin_of(const float *x, int64_t n) {
  double *y = malloc((size_t)(n + 1) * sizeof *y);
  for (int64_t i = 0; i < n; i++) y[i] = (double)x[i];
  return y;
}

static inline double *twin_zeros(int64_t n) {
  return calloc((size_t)n + 1, sizeof(double));
}

static inline float *floats(int64_t n) {
  return calloc((size_t)n + 1, sizeof(float));
}

// |got - wanted| <= tolerance * (the largest |wanted|, or 1e-6 where all are smaller).
static inline void check_close(const char *what, const float *got, const double *wanted, int64_t n,
                               double tolerance) {
  double largest = 1e-6;
  for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(wanted[i]));
  for (int64_t i = 0; i < n; i++)
    ck_assert_msg(fabs((double)got[i] - wanted[i]) <= tolerance * largest,
                  "%s[%lld] is %.9g, not %.9g (largest %.3g)", what, (long long)i, (double)got[i],
                  wanted[i], largest);
}

// sum_i y_i weight_i, the loss of every gradient test.
static inline double weighted(const double *y, const double *weight, int64_t n) {
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += y[i] * weight[i];
  return s;
}

// d loss / d x by central differences of a twin, against the twin's own gradient. A difference that straddles the
// kink of a ReLU is off by up to the whole slope: inputs are random, so that none lies within the step.
typedef double (*twin_loss)(void *twin);
static inline void check_differences(const char *what, twin_loss loss, void *twin, double *x,
                                     const double *gradient, int64_t n) {
  const double step = 1e-6;
  for (int64_t i = 0; i < n; i++) {
    double kept = x[i];
    x[i] = kept + step;
    double above = loss(twin);
    x[i] = kept - step;
    double below = loss(twin);
    x[i] = kept;
    double wanted = (above - below) / (2 * step);
    ck_assert_msg(fabs(gradient[i] - wanted) <= 1e-6 * (1 + fabs(wanted)),
                  "%s[%lld]: gradient %.9g, difference %.9g", what, (long long)i, gradient[i],
                  wanted);
  }
}

static inline void twin_relu(double *y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = y[i] > 0 ? y[i] : 0;
}

static inline void twin_relu_backward(const double *y, double *dy, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (!(y[i] > 0)) dy[i] = 0;
}

static int twin_padding = -1; // zeros on all four sides; -1: as "same" shares them out

// The input pixel under kernel cell (ky, kx) of output (oy, ox), -1 outside.
static inline int64_t twin_pixel(const mcli_conv *v, int oy, int ox, int ky, int kx) {
  int down = (v->out_height - 1) * v->stride + v->kernel - v->height;
  int across = (v->out_width - 1) * v->stride + v->kernel - v->width;
  int top = twin_padding >= 0 ? twin_padding : down > 0 ? down / 2 : 0;
  int left = twin_padding >= 0 ? twin_padding : across > 0 ? across / 2 : 0;
  int y = oy * v->stride + ky - top, x = ox * v->stride + kx - left;
  if (y < 0 || y >= v->height || x < 0 || x >= v->width) return -1;
  return (int64_t)y * v->width + x;
}

// Either y += x * kernel (dy NULL), or dx += and dk += from dy.
static inline void twin_conv(const mcli_conv *v, int64_t n, const double *x, const double *kernel,
                             double *y, const double *dy, double *dx, double *dk) {
  const int64_t c = v->channels, f = v->filters, in = (int64_t)v->height * v->width;
  for (int64_t i = 0; i < n; i++)
    for (int oy = 0; oy < v->out_height; oy++)
      for (int ox = 0; ox < v->out_width; ox++)
        for (int ky = 0; ky < v->kernel; ky++)
          for (int kx = 0; kx < v->kernel; kx++) {
            int64_t pixel = twin_pixel(v, oy, ox, ky, kx);
            if (pixel < 0) continue;
            int64_t from = (i * in + pixel) * c, cell = (int64_t)(ky * v->kernel + kx) * c * f;
            int64_t to = ((i * v->out_height + oy) * v->out_width + ox) * f;
            for (int64_t a = 0; a < c; a++)
              for (int64_t b = 0; b < f; b++) {
                if (!dy) y[to + b] += x[from + a] * kernel[cell + a * f + b];
                if (dy) dx[from + a] += dy[to + b] * kernel[cell + a * f + b];
                if (dy) dk[cell + a * f + b] += dy[to + b] * x[from + a];
              }
          }
}

static inline void twin_add_bias(double *y, const double *bias, int64_t rows, int64_t cols) {
  for (int64_t i = 0; i < rows * cols; i++) y[i] += bias[i % cols];
}

static inline void twin_column_sums(const double *dy, int64_t rows, int64_t cols, double *sums) {
  for (int64_t i = 0; i < rows * cols; i++) sums[i % cols] += dy[i];
}

#endif
