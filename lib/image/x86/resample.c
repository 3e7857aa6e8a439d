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
// NOLINTBEGIN(bugprone-macro-parentheses): SUM in parentheses would be added up in another order
#define PASS(T, TAPS, SUM)                                                                         \
  do {                                                                                             \
    if (k == 0)                                                                                    \
      for (int64_t i = 0; i < n; i++) row[i] = SUM;                                                \
    else                                                                                           \
      for (int64_t i = 0; i < n; i++) row[i] = row[i] + SUM;                                       \
    k += TAPS;                                                                                     \
  } while (0)
// NOLINTEND(bugprone-macro-parentheses)

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

// Here counts stay what they are, since a weight of 0 would spread a NaN. Where an image grows they
// are 2 but for the edges, which is predicted.
INLINE float sum_column(const float *p, int32_t c, const float *w, int32_t count) {
  float sum = p[0] * w[0];
  if (count == 2) return sum + p[c] * w[1];
  for (int32_t k = 1; k < count; k++) sum += p[(int64_t)k * c] * w[k];
  return sum;
}

// Up to four channels at once; lanes past c read the next pixel (or the slack) and are dropped.
INLINE vec4 sum_column4(const float *p, int32_t c, const float *w, int32_t count) {
  vec4 sum = load4(p) * w[0];
  if (count == 2) return sum + load4(p + c) * w[1];
  for (int32_t k = 1; k < count; k++) sum += load4(p + (int64_t)k * c) * w[k];
  return sum;
}

INLINE void column_planes(const float *row, int32_t c, const mcli_taps *t, int32_t planes,
                          float *out, int64_t plane) {
  const int32_t n = t->out, most = t->most, *first = t->first, *count = t->count;
  const float *w = t->weight;
  for (int32_t i = 0; i < n; i++, w += most) {
    const float *p = row + (int64_t)first[i] * c;
    if (planes == 1) {
      out[i] = sum_column(p, c, w, count[i]);
      continue;
    }
    vec4 v = sum_column4(p, c, w, count[i]);
    for (int32_t j = 0; j < planes; j++) out[j * plane + i] = v[j];
  }
}

static void columns_f32(const float *row, int32_t c, const mcli_taps *t, int32_t oc, float *out,
                        int64_t plane) {
  for (int32_t j = 0; j < oc; j += 4, row += 4, out += 4 * plane) {
    int32_t planes = oc - j;
    if (planes == 1)
      column_planes(row, c, t, 1, out, plane);
    else if (planes == 2)
      column_planes(row, c, t, 2, out, plane);
    else if (planes == 3)
      column_planes(row, c, t, 3, out, plane);
    else
      column_planes(row, c, t, 4, out, plane);
  }
}

static void interleave(const float *restrict planes, int64_t n, int32_t c, float *restrict pixels) {
  if (c == 3) {
    const float *r = planes, *g = planes + n, *b = planes + 2 * n;
    for (int64_t i = 0; i < n; i++)
      pixels[3 * i] = r[i], pixels[3 * i + 1] = g[i], pixels[3 * i + 2] = b[i];
    return;
  }
  for (int64_t i = 0; i < n; i++)
    for (int32_t k = 0; k < c; k++) pixels[i * c + k] = planes[k * n + i];
}

#define PASTE(a, b) a##b
#define NAME(isa)   PASTE(mcli_resample_kernels_, isa)
#define TEXT(isa)   #isa
#define QUOTE(isa)  TEXT(isa)

const mcli_resample_kernels NAME(MCLI_ISA_NAME) = {
    .name = QUOTE(MCLI_ISA_NAME),
    .rows_u8 = rows_u8,
    .rows_f32 = rows_f32,
    .columns = columns,
    .to_bytes = to_bytes,
    .columns_f32 = columns_f32,
    .interleave = interleave,
};
