// Weighted sums of rows and of columns: one source, compiled once for each instruction set under
// the name MCLI_ISA_NAME.
//
// Rows are long and add up in whole vectors. Columns have a few taps each, at places of their own:
// there a vector of four holds the channels of one pixel.
#include <string.h>

#include "image/kernels.h"

#define INLINE static inline __attribute__((always_inline))

typedef float vec4 __attribute__((vector_size(16)));
typedef int32_t int4 __attribute__((vector_size(16)));

// ---- rows ---------------------------------------------------------------------------------------

// Up to four taps a pass: each pass over the row costs a load and a store. Three rows in one pass
// are what shrinking by less than two needs most.
#define PASS(T, TAPS, SUM)                                                                         \
  do {                                                                                             \
    if (k == 0)                                                                                    \
      for (int64_t i = 0; i < n; i++) row[i] = SUM;                                                \
    else                                                                                           \
      for (int64_t i = 0; i < n; i++) row[i] = row[i] + SUM;                                       \
    k += TAPS;                                                                                     \
  } while (0)

#define SUM_ROWS(NAME, T)                                                                          \
  static void NAME(const T *restrict in, int64_t stride, const float *weight, int32_t count,       \
                   float *restrict row, int64_t n) {                                               \
    for (int32_t k = 0; k < count;) {                                                              \
      int32_t left = count - k;                                                                    \
      const T *a = in + k * stride, *b = a + stride, *c = b + stride, *d = c + stride;             \
      const float p = weight[k], q = left > 1 ? weight[k + 1] : 0,                                 \
                  r = left > 2 ? weight[k + 2] : 0, s = left > 3 ? weight[k + 3] : 0;              \
      if (left == 1)                                                                               \
        PASS(T, 1, p *(float)a[i]);                                                                \
      else if (left == 2)                                                                          \
        PASS(T, 2, p *(float)a[i] + q * (float)b[i]);                                              \
      else if (left == 3)                                                                          \
        PASS(T, 3, p *(float)a[i] + q * (float)b[i] + r * (float)c[i]);                            \
      else                                                                                         \
        PASS(T, 4, p *(float)a[i] + q * (float)b[i] + r * (float)c[i] + s * (float)d[i]);          \
    }                                                                                              \
  }
SUM_ROWS(rows_u8, uint8_t)
SUM_ROWS(rows_f32, float)

// ---- columns ------------------------------------------------------------------------------------

INLINE vec4 load4(const float *p) {
  vec4 v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE float sum_column(const float *row, int32_t c, const mcli_taps *t, int32_t i) {
  const float *p = row + (int64_t)t->first[i] * c, *w = t->weight + (int64_t)i * t->most;
  float sum = p[0] * w[0];
  for (int32_t k = 1; k < t->count[i]; k++) sum += p[(int64_t)k * c] * w[k];
  return sum;
}

// Four floats are stored for each pixel, and the next pixel's over those past c.
INLINE void columns_of(const float *row, int32_t c, const mcli_taps *t, int32_t count,
                       float *restrict out) {
  const int32_t n = t->out, most = t->most, *first = t->first;
  const float *weight = t->weight;
  for (int32_t i = 0; i < n; i++) {
    const float *p = row + (int64_t)first[i] * c, *w = weight + (int64_t)i * most;
    vec4 sum = load4(p) * w[0];
    for (int32_t k = 1; k < count; k++) sum += load4(p + (int64_t)k * c) * w[k];
    memcpy(out + (int64_t)i * c, &sum, sizeof sum);
  }
}

// The counts of shrinking by up to 3 have loops of their own, without a branch.
static void columns(const float *row, int32_t c, const mcli_taps *t, float *out) {
  int32_t count = t->count[0];
  if (c == 3 && count == 3)
    columns_of(row, 3, t, 3, out);
  else if (c == 3 && count == 4)
    columns_of(row, 3, t, 4, out);
  else if (c == 3 && count == 5)
    columns_of(row, 3, t, 5, out);
  else if (c == 3 && count == 6)
    columns_of(row, 3, t, 6, out);
  else
    columns_of(row, c, t, count, out);
}

// Sums of bytes are neither negative nor NaN.
static void to_bytes(const float *restrict x, float divisor, int64_t n, uint8_t *restrict out) {
  if (divisor == 1)
    for (int64_t i = 0; i < n; i++) out[i] = (uint8_t)(int32_t)((x[i] < 255 ? x[i] : 255) + 0.5F);
  else
    for (int64_t i = 0; i < n; i++) {
      float v = x[i] / divisor;
      out[i] = (uint8_t)(int32_t)((v < 255 ? v : 255) + 0.5F);
    }
}

static void columns_f32(const float *row, int32_t c, const mcli_taps *t, int32_t oc, float *out) {
  for (int32_t j = 0; j < oc; j++)
    for (int32_t i = 0; i < t->out; i++) out[(int64_t)i * oc + j] = sum_column(row + j, c, t, i);
}

#define PASTE(a, b) a##b
#define TABLE(isa)  PASTE(mcli_resample_kernels_, isa)
#define STRING(a)   #a
#define NAME(isa)   STRING(isa)

const mcli_resample_kernels TABLE(MCLI_ISA_NAME) = {
    NAME(MCLI_ISA_NAME), rows_u8, rows_f32, columns, to_bytes, columns_f32,
};
