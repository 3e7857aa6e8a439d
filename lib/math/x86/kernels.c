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
#include "math/x86/kernels.h"

#include <math.h>

#include "math/x86/vectors.h"

// Four accumulators hide the four cycles of an addition. Eight would spill everywhere but on
// AVX-512.
enum { DEPTH = 4 };

typedef float narrow __attribute__((vector_size(BYTES / 2)));
typedef double wide __attribute__((vector_size(BYTES)));

// The last n < 16 floats of a row with zeros behind them: their terms are zeros, which add nothing.
INLINE void copy_tail(float tail[LANES], const float *p, int64_t n) {
  memset(tail, 0, LANES * sizeof *tail);
  memcpy(tail, p, (size_t)n * sizeof *p);
}

// (1)
INLINE float add_up(const vector acc[DEPTH * PARTS]) {
  vector x[PARTS];
  for (int p = 0; p < PARTS; p++)
    x[p] = (acc[p] + acc[PARTS + p]) + (acc[2 * PARTS + p] + acc[3 * PARTS + p]);
  for (int w = PARTS / 2; w > 0; w /= 2)
    for (int p = 0; p < w; p++) x[p] += x[p + w];
  return lanes_added(x[0]);
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
    .lower = lower,
    .argmin = argmin,
    .argmax = argmax,
};
