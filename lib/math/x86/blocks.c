// Blocks of 16 x 16 scores: one source, compiled once for each instruction set.
//
// Both products are sums of outer products, held in registers:
//
//   acc[c][..] += x_c,k * y_k[..]                                                         (1)
//
// For scores k runs over coordinates, c over rows of x's panel and the vector over those of y's; for gradients k runs over
// rows, c over coordinates of x's panel and the vector over the columns of a block. What is broadcast is read from a panel
// either way: along its rows or along its coordinates. A panel of 128 coordinates is 8 KiB, so that one of each side stays
// in L1 for a block of scores, and a strip of 8 blocks for the gradients of a panel.
//
// Against BLIS on the same tiles nothing is packed, which took a tenth of its time, exponentials are taken while scores are
// in L1, and no tile's edge is special.
#include <math.h>

#include "math/x86/kernels.h"
#include "math/x86/vectors.h"

// Accumulators of (1) are HIGH x PARTS: enough to hide the latency of two FMAs a cycle, few enough to leave registers for a
// vector of y and a broadcast: 16 x 1 of the 32 registers of AVX-512, 6 x 2 of the 16 of AVX2, 2 x 4 of SSE's.
#if defined(__AVX512F__)
enum { HIGH = 16 };
#elif defined(__AVX__)
enum { HIGH = 6 };
#else
enum { HIGH = 2 };
#endif

// (1) for `count` <= HIGH, a constant: x_c,k is x[c * across + k * along].
INLINE void add_outer(int count, vector acc[HIGH][PARTS], const float *x, int64_t across,
                      int64_t along, int64_t n, const float *y) {
  for (int64_t k = 0; k < n; k++) {
    vector row[PARTS];
    UNROLL for (int v = 0; v < PARTS; v++) row[v] = load(y + k * LANES + v * WIDTH);
    UNROLL for (int c = 0; c < count; c++) UNROLL for (int v = 0; v < PARTS; v++) acc[c][v] =
        fused(broadcast(x[c * across + k * along]), row[v], acc[c][v]);
  }
}

// ---- scores ------------------------------------------------------------------------------------------

INLINE void score_rows(int count, const float *x, const float *y, int64_t dim, float scale,
                       float *out) {
  vector acc[HIGH][PARTS] = {{{0}}};
  add_outer(count, acc, x, 1, LANES, dim, y);
  UNROLL for (int c = 0; c < count; c++) UNROLL for (int v = 0; v < PARTS; v++)
      store(out + c * LANES + v * WIDTH, scale * acc[c][v]);
}

static void score(const float *x, const float *y, int64_t n, int64_t dim, float scale,
                  float *strip) {
  for (int64_t p = 0; p < n; p++, y += dim * LANES, strip += MCLI_BLOCK) {
#if defined(__AVX__) && !defined(__AVX512F__) // 16 = 6 + 5 + 5: four rows would wait for themselves
    score_rows(6, x, y, dim, scale, strip);
    score_rows(5, x + 6, y, dim, scale, strip + 6 * LANES);
    score_rows(5, x + 11, y, dim, scale, strip + 11 * LANES);
#else
    for (int i = 0; i < LANES; i += HIGH) score_rows(HIGH, x + i, y, dim, scale, strip + i * LANES);
#endif
  }
}

// ---- gradients ---------------------------------------------------------------------------------------

INLINE void product_rows(int count, const float *x, const float *strip, int64_t n, int64_t dim,
                         float *out) {
  vector acc[HIGH][PARTS] = {{{0}}};
  for (int64_t p = 0; p < n; p++)
    add_outer(count, acc, x + p * dim * LANES, LANES, 1, LANES, strip + p * MCLI_BLOCK);
  UNROLL for (int c = 0; c < count; c++) UNROLL for (int v = 0; v < PARTS; v++) {
    float *to = out + c * LANES + v * WIDTH;
    store(to, load(to) + acc[c][v]);
  }
}

// How many coordinates are next. On AVX2 the last ones are 4 + 4 rather than 6 + 2, 4 + 3 rather than 6 + 1.
static int64_t next_rows(int64_t left) {
  if (HIGH == 6) return left > 8 || left == 6 ? 6 : left > 6 ? 4 : left;
  if (left >= HIGH) return HIGH;
  return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

// product_rows() wants constants.
#define CASE(COUNT)                                                                                \
  case COUNT:                                                                                      \
    product_rows(COUNT, from, strip, n, dim, to);                                                  \
    break;

static void add_product(const float *x, const float *strip, int64_t n, int64_t dim, float *out) {
  for (int64_t d = 0, count; d < dim; d += count) {
    count = next_rows(dim - d);
    const float *from = x + d * LANES;
    float *to = out + d * LANES;
    switch (count) {
      CASE(1)
      CASE(2)
#if defined(__AVX512F__)
      CASE(4)
      CASE(8)
      CASE(16)
#elif defined(__AVX__)
      CASE(3)
      CASE(4)
      CASE(5)
      CASE(6)
#endif
    }
  }
}
#undef CASE

// ---- what a row's scores come to -----------------------------------------------------------------------

// A row's vectors of a block fold into one, whose lanes are added up, or compared, at the strip's end; a block's rows fold
// into its columns.
typedef vector (*fold_fn)(vector a, vector b);

INLINE vector added(vector a, vector b) {
  return a + b;
}

INLINE vector across(fold_fn fold, const vector x[PARTS]) {
  vector all = x[0];
  UNROLL for (int v = 1; v < PARTS; v++) all = fold(all, x[v]);
  return all;
}

INLINE void load_all(vector x[PARTS], const float *from) {
  UNROLL for (int v = 0; v < PARTS; v++) x[v] = load(from + v * WIDTH);
}

INLINE void store_all(float *to, const vector x[PARTS]) {
  UNROLL for (int v = 0; v < PARTS; v++) store(to + v * WIDTH, x[v]);
}

static void raise(const float *strip, int64_t n, float *rows, float *columns) {
  vector most[LANES], of_columns[PARTS], x[PARTS];
  for (int i = 0; i < LANES; i++) most[i] = broadcast(rows[i]);
  for (int64_t p = 0; p < n; p++) {
    load_all(of_columns, columns + p * LANES);
    for (int i = 0; i < LANES; i++, strip += LANES) {
      load_all(x, strip);
      most[i] = larger(most[i], across(larger, x));
      UNROLL for (int v = 0; v < PARTS; v++) of_columns[v] = larger(of_columns[v], x[v]);
    }
    store_all(columns + p * LANES, of_columns);
  }
  for (int i = 0; i < LANES; i++) {
    float x_i[WIDTH];
    store(x_i, most[i]);
    for (int lane = 0; lane < WIDTH; lane++) rows[i] = x_i[lane] > rows[i] ? x_i[lane] : rows[i];
  }
}

static void add_lanes(const vector sums[LANES], float *rows) {
  for (int i = 0; i < LANES; i++) rows[i] += lanes_added(sums[i]);
}

static void exp_sums(float *strip, int64_t n, float shift, float *rows, float *columns) {
  vector sums[LANES] = {{0}}, of_columns[PARTS], e[PARTS];
  for (int64_t p = 0; p < n; p++) {
    load_all(of_columns, columns + p * LANES);
    for (int i = 0; i < LANES; i++, strip += LANES) {
      load_all(e, strip);
      UNROLL for (int v = 0; v < PARTS; v++) e[v] = exponential_below(e[v] - shift);
      store_all(strip, e);
      sums[i] += across(added, e);
      UNROLL for (int v = 0; v < PARTS; v++) of_columns[v] += e[v];
    }
    store_all(columns + p * LANES, of_columns);
  }
  add_lanes(sums, rows);
}

INLINE void exp_sums_of(const float *strip, int64_t n, const float *row_shifts,
                        const float *column_shifts, float *rows, float *columns) {
  vector sums[LANES] = {{0}}, of_columns[PARTS], shifts[PARTS], x[PARTS], e[PARTS];
  for (int64_t p = 0; p < n; p++) {
    if (column_shifts) {
      load_all(of_columns, columns + p * LANES);
      load_all(shifts, column_shifts + p * LANES);
    }
    for (int i = 0; i < LANES; i++, strip += LANES) {
      load_all(x, strip);
      UNROLL for (int v = 0; v < PARTS; v++) e[v] = exponential_below(x[v] - row_shifts[i]);
      sums[i] += across(added, e);
      if (!column_shifts) continue;
      UNROLL for (int v = 0; v < PARTS; v++) of_columns[v] += exponential_below(x[v] - shifts[v]);
    }
    if (column_shifts) store_all(columns + p * LANES, of_columns);
  }
  add_lanes(sums, rows);
}

static void exp_sums_by(const float *strip, int64_t n, const float *row_shifts,
                        const float *column_shifts, float *rows, float *columns) {
  if (column_shifts)
    exp_sums_of(strip, n, row_shifts, column_shifts, rows, columns);
  else
    exp_sums_of(strip, n, row_shifts, NULL, rows, columns);
}

// ---- weights ------------------------------------------------------------------------------------------

// Lane l of what two vectors a, b become when rows a and b, which are `s` apart, are turned in steps of s; numbers from
// WIDTH on are b's. Shuffles want constants: built at run time they cost more than all the rest.
#define FIRST(l, s)  ((l) & (s) ? WIDTH + (l) - (s) : (l))
#define SECOND(l, s) ((l) & (s) ? WIDTH + (l) : (l) + (s))
#define EACH(f, s)                                                                                 \
  {                                                                                                \
    f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s), f(8, s), f(9, s),      \
        f(10, s), f(11, s), f(12, s), f(13, s), f(14, s), f(15, s)                                 \
  }
enum { STEPS = WIDTH == 16 ? 4 : WIDTH == 8 ? 3 : 2 };
static const uint32_t first[4][LANES] = {EACH(FIRST, 1), EACH(FIRST, 2), EACH(FIRST, 4),
                                         EACH(FIRST, 8)};
static const uint32_t second[4][LANES] = {EACH(SECOND, 1), EACH(SECOND, 2), EACH(SECOND, 4),
                                          EACH(SECOND, 8)};

INLINE vector shuffle(vector a, vector b, const uint32_t lanes[LANES]) {
#if defined(__clang__) // which has no shuffle by a vector
  vector out;
  for (int i = 0; i < WIDTH; i++) out[i] = lanes[i] < WIDTH ? a[lanes[i]] : b[lanes[i] - WIDTH];
  return out;
#else
  bits from;
  memcpy(&from, lanes, sizeof from);
  return __builtin_shuffle(a, b, from);
#endif
}

// WIDTH x WIDTH in registers.
INLINE void turn(vector rows[WIDTH]) {
  UNROLL for (int t = 0; t < STEPS; t++) UNROLL for (int r = 0; r < WIDTH; r++) {
    if (r >> t & 1) continue;
    vector a = rows[r], b = rows[r + (1 << t)];
    rows[r] = shuffle(a, b, first[t]);
    rows[r + (1 << t)] = shuffle(a, b, second[t]);
  }
}

// What the scores of row i become: see math/blocks.h.
typedef struct weights {
  const float *row_shifts, *rows, *column_shifts, *columns;
} weights;

INLINE vector weighed(vector x, const weights *w, int i, int j) {
  vector column = load(w->columns + j);
  if (!w->row_shifts) return x * (w->rows[i] + column);
  vector own = w->rows[i] * exponential_below(x - w->row_shifts[i]);
  if (!w->column_shifts) return own;
  return fused(column, exponential_below(x - load(w->column_shifts + j)), own);
}

INLINE void weigh_block(const float *block, const weights *w, float *out, float *turned) {
  for (int i = 0; i < LANES; i += WIDTH)
    for (int j = 0; j < LANES; j += WIDTH) {
      vector rows[WIDTH];
      UNROLL for (int r = 0; r < WIDTH; r++) {
        rows[r] = weighed(load(block + (i + r) * LANES + j), w, i + r, j);
        store(out + (i + r) * LANES + j, rows[r]);
      }
      turn(rows);
      UNROLL for (int r = 0; r < WIDTH; r++) store(turned + (j + r) * LANES + i, rows[r]);
    }
}

static void weigh(const float *block, const float *row_weights, const float *column_weights,
                  float *out, float *turned) {
  const weights w = {.rows = row_weights, .columns = column_weights};
  weigh_block(block, &w, out, turned);
}

static void weigh_by(const float *block, const float *row_shifts, const float *row_weights,
                     const float *column_shifts, const float *column_weights, float *out,
                     float *turned) {
  if (column_shifts)
    weigh_block(block, &(weights){row_shifts, row_weights, column_shifts, column_weights}, out,
                turned);
  else
    weigh_block(block, &(weights){row_shifts, row_weights, NULL, column_weights}, out, turned);
}

#define PASTE(a, b) a##b
#define NAME(isa)   PASTE(mcli_blocks_kernels_, isa)

const mcli_blocks_kernels NAME(MCLI_ISA_NAME) = {.score = score,
                                                 .add_product = add_product,
                                                 .raise = raise,
                                                 .exp_sums = exp_sums,
                                                 .exp_sums_by = exp_sums_by,
                                                 .weigh = weigh,
                                                 .weigh_by = weigh_by};
