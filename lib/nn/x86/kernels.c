// Elementwise passes: one source, compiled once for each instruction set under the name MCLI_ISA_NAME.
//
// The loops are plain: gcc's vectoriser does them well as soon as it may assume that the arrays do not overlap, that sqrtf sets
// no errno, and that nobody watches for floating-point exceptions (else it keeps a branch for each clamp in the exponential). Products are rounded before they are added (-ffp-contract=off), and a sum along a row runs over
// eight lanes whatever the vector's, so every instruction set gives the same bits.
#include <math.h>
#include <stddef.h>
#include <string.h>

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

static void sums(const float *restrict x, int64_t rows, int64_t cols, int64_t stride,
                 double *restrict sum) {
  for (int64_t i = 0; i < rows; i++, x += stride)
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

// ---- layer norm ------------------------------------------------------------------------------------

enum { LANES = 8 };

static double fold(const double acc[LANES]) {
  return ((acc[0] + acc[4]) + (acc[2] + acc[6])) + ((acc[1] + acc[5]) + (acc[3] + acc[7]));
}

typedef struct spread {
  float mean, inverse;
} spread;

// Lane j % LANES gets number j. Whole groups of lanes are a loop of their own, which is one vector.
#define OVER_LANES(n, j, l, ...)                                                                   \
  do {                                                                                             \
    int64_t j = 0;                                                                                 \
    for (; j + LANES <= (n); j += LANES)                                                           \
      for (int l = 0; l < LANES; l++) __VA_ARGS__;                                                 \
    for (int l = 0; j + l < (n); l++) __VA_ARGS__;                                                 \
  } while (0)

// The variance is of the differences from the mean: nothing is lost where a row lies far from 0.
static spread spread_of(const float *x, int64_t n, float epsilon) {
  double acc[LANES] = {0}, squares[LANES] = {0};
  OVER_LANES(n, j, l, acc[l] += (double)x[j + l]);
  double mean = fold(acc) / (double)n;
  OVER_LANES(n, j, l, {
    double d = (double)x[j + l] - mean;
    squares[l] += d * d;
  });
  double variance = fold(squares) / (double)n;
  return (spread){(float)mean, (float)(1 / sqrt(variance + (double)epsilon))};
}

static void layer_norm(const float *x, int64_t rows, int64_t cols, float epsilon,
                       const float *restrict scale, const float *restrict shift, float *y) {
  for (int64_t i = 0; i < rows; i++, x += cols, y += cols) {
    spread s = spread_of(x, cols, epsilon);
    for (int64_t j = 0; j < cols; j++) y[j] = (x[j] - s.mean) * s.inverse * scale[j] + shift[j];
  }
}

static void layer_norm_backward(const float *x, const float *dy, int64_t rows, int64_t cols,
                                float epsilon, const float *restrict scale, float *dx,
                                double *restrict d_scale, double *restrict d_shift) {
  for (int64_t i = 0; i < rows; i++, x += cols, dy += cols) {
    spread s = spread_of(x, cols, epsilon);
    double acc[LANES] = {0}, along[LANES] = {0};
    OVER_LANES(cols, j, l, {
      float hat = (x[j + l] - s.mean) * s.inverse, g = dy[j + l] * scale[j + l];
      acc[l] += (double)g;
      along[l] += (double)g * (double)hat;
    });
    for (int64_t j = 0; j < cols; j++) {
      d_scale[j] += (double)dy[j] * (double)((x[j] - s.mean) * s.inverse);
      d_shift[j] += (double)dy[j];
    }
    if (!dx) continue;
    float mean = (float)(fold(acc) / (double)cols), product = (float)(fold(along) / (double)cols);
    for (int64_t j = 0; j < cols; j++)
      dx[j] = s.inverse * (dy[j] * scale[j] - mean - (x[j] - s.mean) * s.inverse * product);
    dx += cols;
  }
}

// ---- activations -----------------------------------------------------------------------------------

// exp x for x <= 0, as in math/x86/kernels.c (2), (3); below -87 it is 0.
static inline float exponential(float given) {
  float x = given < -87.0F ? -87.0F : given;
  float rounded = x * 1.44269504F + 12582912.0F, k = rounded - 12582912.0F;
  float r = (x - k * 0.693359375F) - k * -2.12194440e-4F;
  float p = 1.9875691500e-4F * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
  uint32_t bits;
  memcpy(&bits, &rounded, sizeof bits);
  bits = (bits - 0x4B400000U + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return given < -87.0F ? 0 : p * power;
}

// The share of a normal variable below x. Where z = |x| / sqrt 2, erfc z = t exp(-z^2 + P(t)) with t = 1 / (1 + z / 2),
// within 1.2e-7 of itself everywhere (Press et al., "Numerical Recipes in C", 2nd edition, section 6.2).
static inline float normal_below(float x) {
  float z = fabsf(x) * 0.707106781F, t = 1 / (1 + 0.5F * z);
  float p = 0.17087277F * t - 0.82215223F;
  p = p * t + 1.48851587F;
  p = p * t - 1.13520398F;
  p = p * t + 0.27886807F;
  p = p * t - 0.18628806F;
  p = p * t + 0.09678418F;
  p = p * t + 0.37409196F;
  p = p * t + 1.00002368F;
  p = p * t - 1.26551223F;
  float q = p - z * z;
  float below = 0.5F * t * exponential(q > 0 ? 0 : q);
  return x < 0 ? below : 1 - below;
}

static void gelu(const float *x, float *y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i] * normal_below(x[i]);
}

static void gelu_backward(const float *x, const float *y, const float *dy, float *dx, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    float density = 0.398942280F * exponential(-0.5F * x[i] * x[i]), below = y[i] / x[i];
    dx[i] = dy[i] * ((fabsf(x[i]) < 1e-30F ? 0.5F : below) + x[i] * density);
  }
}

// 1 / (1 + exp -x), by the exponential of a number that is not above 0.
static inline float sigmoid(float x) {
  float e = exponential(-fabsf(x)), s = 1 / (1 + e);
  return x < 0 ? e * s : s;
}

static void quick_gelu(const float *x, float *y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i] * sigmoid(1.702F * x[i]);
}

static void quick_gelu_backward(const float *x, const float *dy, float *dx, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    float s = sigmoid(1.702F * x[i]);
    dx[i] = dy[i] * (s + x[i] * (1.702F * s * (1 - s)));
  }
}

// ---- Winograd's transforms -------------------------------------------------------------------------

// Each goes over LANES channels at a time: rows of a tile first, then columns. X is one of the four rows, or columns.
enum { WIDE = MCLI_WINOGRAD_LANES };

typedef float lanes[WIDE];

#define EACH_LANE for (int l = 0; l < WIDE; l++)

static inline void take(lanes to, const float *from) {
  EACH_LANE to[l] = from ? from[l] : 0;
}

// A kernel's gradient that is less than 2^-20 of the largest of the numbers that it is made of is their rounding; direct sums are 0
// there, and Adam would make a whole step of whatever is not. (A pixel that nothing feeds is a sum of zeros by itself.)
static inline void find_floor(const lanes *x, lanes least) {
  EACH_LANE least[l] = fabsf(x[0][l]);
  for (int k = 1; k < 16; k++)
    EACH_LANE least[l] = fabsf(x[k][l]) > least[l] ? fabsf(x[k][l]) : least[l];
  EACH_LANE least[l] *= 0x1p-20F;
}

static inline float above(float x, float least) {
  return fabsf(x) < least ? 0 : x;
}

static void winograd_kernel(const float *g, int64_t n, int64_t plane, int64_t u_plane, float *u) {
  for (int64_t i = 0; i < n; i += WIDE, g += WIDE, u += WIDE) {
    lanes x[9], t[12];
    for (int k = 0; k < 9; k++) take(x[k], g + k * plane);
    for (int k = 0; k < 3; k++) EACH_LANE {
        float a = x[k][l], b = x[3 + k][l], c = x[6 + k][l];
        t[k][l] = a, t[3 + k][l] = 0.5F * (a + b + c), t[6 + k][l] = 0.5F * (a - b + c);
        t[9 + k][l] = c;
      }
    for (int k = 0; k < 4; k++) {
      float *to = u + 4 * k * u_plane;
      const float *a = t[3 * k], *b = t[3 * k + 1], *c = t[3 * k + 2];
      EACH_LANE to[l] = a[l];
      EACH_LANE to[u_plane + l] = 0.5F * (a[l] + b[l] + c[l]);
      EACH_LANE to[2 * u_plane + l] = 0.5F * (a[l] - b[l] + c[l]);
      EACH_LANE to[3 * u_plane + l] = c[l];
    }
  }
}

static void winograd_kernel_backward(const float *du, int64_t n, int64_t u_plane, int64_t plane,
                                     float *dg) {
  for (int64_t i = 0; i < n; i += WIDE, du += WIDE, dg += WIDE) {
    lanes x[16], t[12], least;
    for (int k = 0; k < 16; k++) take(x[k], du + k * u_plane);
    find_floor((const lanes *)x, least);
    for (int k = 0; k < 4; k++) EACH_LANE {
        float b = x[4 + k][l], c = x[8 + k][l];
        t[k][l] = x[k][l] + 0.5F * (b + c), t[4 + k][l] = 0.5F * (b - c);
        t[8 + k][l] = 0.5F * (b + c) + x[12 + k][l];
      }
    for (int k = 0; k < 3; k++) {
      float *to = dg + 3 * k * plane;
      const float *a = t[4 * k], *b = t[4 * k + 1], *c = t[4 * k + 2], *d = t[4 * k + 3];
      EACH_LANE to[l] += above(a[l] + 0.5F * (b[l] + c[l]), least[l]);
      EACH_LANE to[plane + l] += above(0.5F * (b[l] - c[l]), least[l]);
      EACH_LANE to[2 * plane + l] += above(0.5F * (b[l] + c[l]) + d[l], least[l]);
    }
  }
}

static void winograd_input(const float *const d[16], int64_t channels, int64_t plane, float *v) {
  for (int64_t c = 0; c < channels; c += WIDE) {
    lanes x[16], t[16];
    for (int k = 0; k < 16; k++) take(x[k], d[k] ? d[k] + c : NULL);
    for (int k = 0; k < 4; k++) EACH_LANE {
        t[k][l] = x[k][l] - x[8 + k][l];
        t[4 + k][l] = x[4 + k][l] + x[8 + k][l];
        t[8 + k][l] = x[8 + k][l] - x[4 + k][l];
        t[12 + k][l] = x[4 + k][l] - x[12 + k][l];
      }
    for (int k = 0; k < 4; k++) {
      float *to = v + 4 * k * plane + c;
      EACH_LANE to[l] = t[4 * k][l] - t[4 * k + 2][l];
      EACH_LANE to[plane + l] = t[4 * k + 1][l] + t[4 * k + 2][l];
      EACH_LANE to[2 * plane + l] = t[4 * k + 2][l] - t[4 * k + 1][l];
      EACH_LANE to[3 * plane + l] = t[4 * k + 1][l] - t[4 * k + 3][l];
    }
  }
}

static void winograd_input_backward(const float *dv, int64_t channels, int64_t plane,
                                    float *const dd[16]) {
  for (int64_t c = 0; c < channels; c += WIDE) {
    lanes x[16], t[16];
    for (int k = 0; k < 16; k++) take(x[k], dv + k * plane + c);
    for (int k = 0; k < 4; k++) EACH_LANE {
        t[k][l] = x[k][l];
        t[4 + k][l] = x[4 + k][l] - x[8 + k][l] + x[12 + k][l];
        t[8 + k][l] = x[4 + k][l] - x[k][l] + x[8 + k][l];
        t[12 + k][l] = -x[12 + k][l];
      }
    for (int k = 0; k < 4; k++) EACH_LANE {
        float a = t[4 * k][l], b = t[4 * k + 1][l], e = t[4 * k + 2][l], f = t[4 * k + 3][l];
        x[4 * k][l] = a, x[4 * k + 1][l] = b - e + f;
        x[4 * k + 2][l] = b - a + e, x[4 * k + 3][l] = -f;
      }
    for (int k = 0; k < 16; k++)
      if (dd[k]) EACH_LANE dd[k][c + l] += x[k][l];
  }
}

static void winograd_output(const float *m, int64_t filters, int64_t plane, float *const y[4]) {
  for (int64_t c = 0; c < filters; c += WIDE) {
    lanes x[16], t[8];
    for (int k = 0; k < 16; k++) take(x[k], m + k * plane + c);
    for (int k = 0; k < 4; k++) EACH_LANE {
        t[k][l] = x[k][l] + x[4 + k][l] + x[8 + k][l];
        t[4 + k][l] = x[4 + k][l] - x[8 + k][l] - x[12 + k][l];
      }
    for (int k = 0; k < 2; k++) {
      float *even = y[2 * k], *odd = y[2 * k + 1];
      if (even) EACH_LANE even[c + l] = t[4 * k][l] + t[4 * k + 1][l] + t[4 * k + 2][l];
      if (odd) EACH_LANE odd[c + l] = t[4 * k + 1][l] - t[4 * k + 2][l] - t[4 * k + 3][l];
    }
  }
}

static void winograd_output_backward(const float *const dy[4], int64_t filters, int64_t plane,
                                     float *dm) {
  for (int64_t c = 0; c < filters; c += WIDE) {
    lanes x[4], t[8];
    for (int k = 0; k < 4; k++) take(x[k], dy[k] ? dy[k] + c : NULL);
    for (int k = 0; k < 2; k++) EACH_LANE {
        t[k][l] = x[k][l], t[2 + k][l] = x[k][l] + x[2 + k][l];
        t[4 + k][l] = x[k][l] - x[2 + k][l], t[6 + k][l] = -x[2 + k][l];
      }
    for (int k = 0; k < 4; k++) {
      float *to = dm + 4 * k * plane + c;
      EACH_LANE to[l] = t[2 * k][l];
      EACH_LANE to[plane + l] = t[2 * k][l] + t[2 * k + 1][l];
      EACH_LANE to[2 * plane + l] = t[2 * k][l] - t[2 * k + 1][l];
      EACH_LANE to[3 * plane + l] = -t[2 * k + 1][l];
    }
  }
}

// ---- optimisers ------------------------------------------------------------------------------------

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
    .layer_norm = layer_norm,
    .layer_norm_backward = layer_norm_backward,
    .gelu = gelu,
    .gelu_backward = gelu_backward,
    .quick_gelu = quick_gelu,
    .quick_gelu_backward = quick_gelu_backward,
    .winograd_kernel = winograd_kernel,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
    .winograd_kernel_backward = winograd_kernel_backward,
    .winograd_input_backward = winograd_input_backward,
    .winograd_output_backward = winograd_output_backward,
    .adam = adam,
    .sgd = sgd,
};
