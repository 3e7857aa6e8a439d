// Row kernels: one source, compiled once for each instruction set under the name MCLI_ISA_NAME.
//
// A reduction is 16 lanes wide and, where the row is long enough, DEPTH blocks deep: element i goes
// to lane i mod 16 of accumulator (i / 16) mod DEPTH, and what is left after the last whole DEPTH
// blocks goes to accumulator 0. The end is a fixed tree:
//
//   acc = (acc_0 + acc_1) + (acc_2 + acc_3), then halves 8 + 8, 4 + 4, 2 + 2, 1 + 1        (1)
//
// The order is the source's, products are rounded before they are added (-ffp-contract=off), and so
// every instruction set gives the same bits. A fused multiply-add would change them from one
// processor to the next, and gain little: these kernels wait for memory and for the latency of
// additions, not for multiplications.
//
// GCC's vector types are used at the width of the registers, PARTS of them to a block of 16 lanes:
// wider ones, and plain arrays of 16, are kept in memory by gcc 12.
#include "math/x86/kernels.h"

#include <math.h>
#include <string.h>

// Four accumulators hide the four cycles of an addition. Eight would spill everywhere but on
// AVX-512.
enum { LANES = 16, DEPTH = 4 };

#if defined(__AVX512F__)
enum { BYTES = 64 };
#elif defined(__AVX__)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
enum { WIDTH = BYTES / 4, PARTS = LANES / WIDTH };

typedef float vector __attribute__((vector_size(BYTES)));
typedef uint32_t bits __attribute__((vector_size(BYTES)));
typedef float narrow __attribute__((vector_size(BYTES / 2)));
typedef double wide __attribute__((vector_size(BYTES)));

#define INLINE static inline __attribute__((always_inline))

INLINE vector load(const float *p) {
  vector v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE vector broadcast(float x) {
  return x - (vector){0};
}

// yes where mask is all ones, no where it is zero.
INLINE vector choose(bits mask, vector yes, vector no) {
  return (vector)((mask & (bits)yes) | (~mask & (bits)no));
}

// The last n < 16 floats of a row with zeros behind them: their terms are zeros, which add nothing.
INLINE void copy_tail(float tail[LANES], const float *p, int64_t n) {
  memset(tail, 0, LANES * sizeof *tail);
  memcpy(tail, p, (size_t)n * sizeof *p);
}

// (1)
INLINE float add_up(const vector acc[DEPTH * PARTS]) {
  float x[DEPTH * LANES];
  memcpy(x, acc, sizeof x);
  for (int j = 0; j < LANES; j++)
    x[j] = (x[j] + x[LANES + j]) + (x[2 * LANES + j] + x[3 * LANES + j]);
  for (int w = LANES / 2; w > 0; w /= 2)
    for (int j = 0; j < w; j++) x[j] += x[j + w];
  return x[0];
}

// sum_i term(a_i, b_i). The terms are inlined: every caller passes a constant.
typedef vector (*term_fn)(const float *a, const float *b);

INLINE float reduce(term_fn term, const float *a, const float *b, int64_t n) {
  vector acc[DEPTH * PARTS] = {{0}};
  int64_t i = 0;
  for (; i + DEPTH * LANES <= n; i += DEPTH * LANES)
    for (int p = 0; p < DEPTH * PARTS; p++) acc[p] += term(a + i + p * WIDTH, b + i + p * WIDTH);
  for (; i + LANES <= n; i += LANES)
    for (int p = 0; p < PARTS; p++) acc[p] += term(a + i + p * WIDTH, b + i + p * WIDTH);
  if (i < n) {
    float x[LANES], y[LANES];
    copy_tail(x, a + i, n - i);
    copy_tail(y, b + i, n - i);
    for (int p = 0; p < PARTS; p++) acc[p] += term(x + p * WIDTH, y + p * WIDTH);
  }
  return add_up(acc);
}

INLINE vector term_value(const float *a, const float *b) {
  (void)b;
  return load(a);
}
INLINE vector term_product(const float *a, const float *b) {
  return load(a) * load(b);
}
INLINE vector term_squared_difference(const float *a, const float *b) {
  vector d = load(a) - load(b);
  return d * d;
}

static float dot(const float *a, const float *b, int64_t n) {
  return reduce(term_product, a, b, n);
}
static float sum(const float *a, int64_t n) {
  return reduce(term_value, a, a, n);
}
static float squared_distance(const float *a, const float *b, int64_t n) {
  return reduce(term_squared_difference, a, b, n);
}

// The square of a float is exact in double; only the additions round. 16 lanes, not deep: on every
// instruction set these are at least two registers.
INLINE void add_squares(wide acc[2 * PARTS], const float *a) {
  for (int p = 0; p < 2 * PARTS; p++) {
    narrow v;
    memcpy(&v, a + p * (WIDTH / 2), sizeof v);
    wide x = __builtin_convertvector(v, wide);
    acc[p] += x * x;
  }
}

static double sum_squares(const float *a, int64_t n) {
  wide acc[2 * PARTS] = {{0}};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) add_squares(acc, a + i);
  if (i < n) {
    float tail[LANES];
    copy_tail(tail, a + i, n - i);
    add_squares(acc, tail);
  }
  double x[LANES];
  memcpy(x, acc, sizeof x);
  for (int w = LANES / 2; w > 0; w /= 2)
    for (int j = 0; j < w; j++) x[j] += x[j + w];
  return x[0];
}

static void axpy(float s, const float *x, float *y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] += s * x[i];
}

static void scale(float s, float *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] *= s;
}

static void add_scaled(double s, const float *x, double *y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] += s * (double)x[i];
}

// NaN never compares greater, so all but one in the first place are passed over.
static float max(const float *a, int64_t n) {
  vector m[PARTS];
  for (int p = 0; p < PARTS; p++) m[p] = broadcast(a[0]);
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int p = 0; p < PARTS; p++) {
      vector v = load(a + i + p * WIDTH);
      m[p] = choose((bits)(v > m[p]), v, m[p]);
    }
  float x[LANES], best = a[0];
  memcpy(x, m, sizeof x);
  for (int j = 0; j < LANES; j++) best = x[j] > best ? x[j] : best;
  for (; i < n; i++) best = a[i] > best ? a[i] : best;
  return best;
}

// Two roundings lower a by less than 2^-23 of it; 2^-22 are taken off.
INLINE vector lowered(vector a, vector by) {
  vector v = (a - by) * broadcast(1 - 0x1p-22f);
  return choose((bits)(v > broadcast(0)), v, broadcast(0));
}

static float lower(float *a, const float *by, int64_t n) {
  vector m = broadcast(INFINITY);
  float tail[WIDTH], lanes[WIDTH], least = INFINITY;
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) {
    vector v = lowered(load(a + i), load(by + i));
    memcpy(a + i, &v, sizeof v);
    m = choose((bits)(v < m), v, m);
  }
  for (int64_t j = i; j < n; j++) {
    vector v = lowered(broadcast(a[j]), broadcast(by[j]));
    memcpy(tail, &v, sizeof tail);
    a[j] = tail[0];
    least = a[j] < least ? a[j] : least;
  }
  memcpy(lanes, &m, sizeof lanes);
  for (int j = 0; j < WIDTH; j++) least = lanes[j] < least ? lanes[j] : least;
  return least;
}

// The index of the smallest of sign * a. Each lane keeps its smallest value and the number of the
// block it came from; strict comparison keeps the first. Among lanes the lowest index wins; the
// tail comes last and must be smaller. A NaN is never smaller, so it can win only where nothing is
// below infinity.
INLINE int64_t arg_smallest(float sign, const float *a, int64_t n) {
  vector smallest[PARTS];
  bits block[PARTS] = {{0}}, now = {0};
  for (int p = 0; p < PARTS; p++) smallest[p] = broadcast(INFINITY);
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES, now += 1)
    for (int p = 0; p < PARTS; p++) {
      vector v = sign * load(a + i + p * WIDTH);
      bits less = (bits)(v < smallest[p]);
      smallest[p] = choose(less, v, smallest[p]);
      block[p] = (less & now) | (~less & block[p]);
    }
  float x[LANES], best = INFINITY;
  uint32_t where[LANES];
  memcpy(x, smallest, sizeof x);
  memcpy(where, block, sizeof where);
  int64_t at = 0;
  for (int j = 0; j < LANES && i > 0; j++) {
    int64_t index = (int64_t)where[j] * LANES + j;
    if (x[j] < best || (x[j] == best && index < at)) {
      best = x[j];
      at = index;
    }
  }
  for (; i < n; i++)
    if (sign * a[i] < best) {
      best = sign * a[i];
      at = i;
    }
  return at;
}

static int64_t argmin(const float *a, int64_t n) {
  return arg_smallest(1, a, n);
}
static int64_t argmax(const float *a, int64_t n) {
  return arg_smallest(-1, a, n);
}

// exp x = 2^k exp r,  k = round(x / ln 2),  r = x - k ln 2,  |r| <= ln 2 / 2            (2)
// exp r = 1 + r + r^2 P(r), P of degree 5 (Cephes' expf, S. Moshier)                    (3)
//
// Adding ROUND rounds to an integer and leaves it in the low bits. ln 2 is LN2_HIGH + LN2_LOW, and
// LN2_HIGH has 10 bits, so that k LN2_HIGH is exact. 2^k is applied as two factors: k reaches 128,
// which one factor cannot hold. Below -87 results come near the subnormals, which are slow and have
// lost their last bits: they are 0. From 89 on the result is infinite.
#define ROUND    12582912.0f
#define LN2_HIGH 0.693359375f
#define LN2_LOW  -2.12194440e-4f

INLINE vector power_of_two(vector rounded) {
  return (vector)(((bits)rounded - (bits)broadcast(ROUND) + 127) << 23);
}

INLINE vector exponential(vector x) {
  bits tiny = (bits)(x < -87.0f);
  x = choose((bits)(x > 89.0f), broadcast(89.0f), choose(tiny, broadcast(-87.0f), x));
  vector k = (x * 1.44269504f + ROUND) - ROUND;
  vector r = (x - k * LN2_HIGH) - k * LN2_LOW;
  vector p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  vector half = 0.5f * k + ROUND;
  vector rest = (k - (half - ROUND)) + ROUND;
  return choose(tiny, (vector){0}, p * power_of_two(half) * power_of_two(rest));
}

static float exp_sum(float *x, float shift, int64_t n) {
  vector acc[DEPTH * PARTS] = {{0}};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int p = 0; p < PARTS; p++) {
      vector e = exponential(load(x + i + p * WIDTH) - shift);
      memcpy(x + i + p * WIDTH, &e, sizeof e);
      acc[p] += e;
    }
  if (i < n) {
    float tail[LANES];
    copy_tail(tail, x + i, n - i);
    for (int p = 0; p < PARTS; p++) {
      vector e = exponential(load(tail + p * WIDTH) - shift);
      memcpy(tail + p * WIDTH, &e, sizeof e);
    }
    memcpy(x + i, tail, (size_t)(n - i) * sizeof *x);
    copy_tail(tail, x + i, n - i);
    for (int p = 0; p < PARTS; p++) acc[p] += load(tail + p * WIDTH);
  }
  return add_up(acc);
}

static float max_both(const float *x, float *most, int64_t n) {
  vector m[PARTS];
  for (int p = 0; p < PARTS; p++) m[p] = broadcast(x[0]);
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int p = 0; p < PARTS; p++) {
      vector v = load(x + i + p * WIDTH), old = load(most + i + p * WIDTH);
      old = choose((bits)(v > old), v, old);
      memcpy(most + i + p * WIDTH, &old, sizeof old);
      m[p] = choose((bits)(v > m[p]), v, m[p]);
    }
  float lanes[LANES], best = x[0];
  memcpy(lanes, m, sizeof lanes);
  for (int j = 0; j < LANES; j++) best = lanes[j] > best ? lanes[j] : best;
  for (; i < n; i++) {
    best = x[i] > best ? x[i] : best;
    most[i] = x[i] > most[i] ? x[i] : most[i];
  }
  return best;
}

// 16 scores. Where the shifts are one, so are the exponentials.
INLINE void add_exponentials(const float *x, float shift, const float *shifts, float *sums,
                             vector acc[PARTS]) {
  for (int p = 0; p < PARTS; p++) {
    vector v = load(x + p * WIDTH), e = exponential(v - shift);
    acc[p] += e;
    if (shifts) e = exponential(v - load(shifts + p * WIDTH));
    e += load(sums + p * WIDTH);
    memcpy(sums + p * WIDTH, &e, sizeof e);
  }
}

INLINE float exp_sum_rows(const float *x, float shift, const float *shifts, float *sums,
                          int64_t n) {
  vector acc[DEPTH * PARTS] = {{0}};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    add_exponentials(x + i, shift, shifts ? shifts + i : NULL, sums + i, acc);
  if (i < n) {
    float tail[LANES], tail_shifts[LANES], tail_sums[LANES];
    for (int j = 0; j < LANES; j++) tail[j] = -INFINITY;
    memcpy(tail, x + i, (size_t)(n - i) * sizeof *x);
    if (shifts) copy_tail(tail_shifts, shifts + i, n - i);
    copy_tail(tail_sums, sums + i, n - i);
    add_exponentials(tail, shift, shifts ? tail_shifts : NULL, tail_sums, acc);
    memcpy(sums + i, tail_sums, (size_t)(n - i) * sizeof *sums);
  }
  return add_up(acc);
}

static float exp_sum_both(const float *x, float shift, const float *shifts, float *sums,
                          int64_t n) {
  return shifts ? exp_sum_rows(x, shift, shifts, sums, n) : exp_sum_rows(x, shift, NULL, sums, n);
}

INLINE void weigh(float *x, float shift, float weight, const float *shifts, const float *weights) {
  for (int p = 0; p < PARTS; p++) {
    vector v = load(x + p * WIDTH), w = load(weights + p * WIDTH), e = exponential(v - shift);
    if (shifts)
      v = weight * e + w * exponential(v - load(shifts + p * WIDTH));
    else
      v = e * (weight + w);
    memcpy(x + p * WIDTH, &v, sizeof v);
  }
}

INLINE void exp_weigh_rows(float *x, float shift, float weight, const float *shifts,
                           const float *weights, int64_t n) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    weigh(x + i, shift, weight, shifts ? shifts + i : NULL, weights + i);
  if (i < n) {
    float tail[LANES], tail_shifts[LANES], tail_weights[LANES];
    copy_tail(tail, x + i, n - i);
    if (shifts) copy_tail(tail_shifts, shifts + i, n - i);
    copy_tail(tail_weights, weights + i, n - i);
    weigh(tail, shift, weight, shifts ? tail_shifts : NULL, tail_weights);
    memcpy(x + i, tail, (size_t)(n - i) * sizeof *x);
  }
}

static void exp_weigh_both(float *x, float shift, float weight, const float *shifts,
                           const float *weights, int64_t n) {
  if (shifts)
    exp_weigh_rows(x, shift, weight, shifts, weights, n);
  else
    exp_weigh_rows(x, shift, weight, NULL, weights, n);
}

#define PASTE(a, b) a##b
#define NAME(isa)   PASTE(mcli_rows_kernels_, isa)
#define TEXT(isa)   #isa
#define QUOTE(isa)  TEXT(isa)

const mcli_rows_kernels NAME(MCLI_ISA_NAME) = {
    .name = QUOTE(MCLI_ISA_NAME),
    .dot = dot,
    .sum = sum,
    .max = max,
    .sum_squares = sum_squares,
    .squared_distance = squared_distance,
    .axpy = axpy,
    .scale = scale,
    .add_scaled = add_scaled,
    .exp_sum = exp_sum,
    .max_both = max_both,
    .exp_sum_both = exp_sum_both,
    .exp_weigh_both = exp_weigh_both,
    .lower = lower,
    .argmin = argmin,
    .argmax = argmax,
};
