// Scores of rows against packed centroids: one source, compiled once for each instruction set.
//
// BLIS packs both operands. Against ten or a hundred centroids, packing the rows costs as much as the product. Here a block
// of HIGH rows by WIDE panels of centroids is held in registers, the rows' numbers are broadcast from where they lie, and
// the centroids were packed once (math/scores.c):
//
//   for d: for each of HIGH rows i: acc[i][..] += x_id * c_d[..]                             (1)
//   out = bias - acc
//
// A sum runs over d in order, whatever the block's shape; so a score depends on its row and centroid only. Products are
// fused with additions where the processor can: bits differ from one instruction set to another, and callers must not
// depend on them.
#include <math.h>

#include "math/x86/kernels.h"
#include "math/x86/vectors.h"

// Accumulators must hide the latency of two FMAs a cycle and leave registers for a panel and a broadcast: 12 x 2 of the 32
// registers of AVX-512, 6 x 2 of the 16 of AVX2 and 2 x 4 of SSE's (a panel is 1, 2 and 4 registers). LOW is for the rows
// that are left.
#if defined(__AVX512F__)
enum { HIGH = 12, LOW = 4, WIDE = 2 };
#elif defined(__AVX__)
enum { HIGH = 6, LOW = 2, WIDE = 1 };
#else
enum { HIGH = 2, LOW = 1, WIDE = 1 };
#endif

// (1) for `rows` x `wide` panels, both constants of the caller. Row r is x + r * dim, or x + at[r] * dim.
INLINE void block(int rows, int wide, const float *x, const int32_t *at, int64_t dim,
                  const float *packed, const float *bias, float *out, int64_t stride) {
  vector acc[HIGH][WIDE * PARTS] = {{{0}}};
  const float *second = packed + dim * MCLI_PANEL, *row[HIGH];
  UNROLL for (int r = 0; r < rows; r++) row[r] = at ? x + at[r] * dim : x + r * dim;
  for (int64_t d = 0; d < dim; d++) {
    vector c[WIDE * PARTS];
    UNROLL for (int v = 0; v < wide * PARTS; v++) c[v] =
        load((v < PARTS ? packed : second) + d * MCLI_PANEL + v % PARTS * WIDTH);
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < wide * PARTS; v++) acc[r][v] =
        fused(broadcast(at ? row[r][d] : x[r * dim + d]), c[v], acc[r][v]);
  }
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < wide * PARTS; v++) {
    vector score = load(bias + v * WIDTH) - acc[r][v];
    memcpy(out + r * stride + v * WIDTH, &score, sizeof score);
  }
}

INLINE void strip(int wide, const float *x, int64_t n, int64_t dim, const float *packed,
                  const float *bias, float *out, int64_t stride) {
  int64_t i = 0;
  for (; i + HIGH <= n; i += HIGH)
    block(HIGH, wide, x + i * dim, NULL, dim, packed, bias, out + i * stride, stride);
  for (; i + LOW <= n; i += LOW)
    block(LOW, wide, x + i * dim, NULL, dim, packed, bias, out + i * stride, stride);
  for (; i < n; i++) block(1, wide, x + i * dim, NULL, dim, packed, bias, out + i * stride, stride);
}

static void score(const float *x, int64_t n, int64_t dim, const float *packed, int64_t panels,
                  const float *bias, float *out) {
  int64_t stride = panels * MCLI_PANEL, p = 0;
  for (; p + WIDE <= panels; p += WIDE)
    strip(WIDE, x, n, dim, packed + p * dim * MCLI_PANEL, bias + p * MCLI_PANEL,
          out + p * MCLI_PANEL, stride);
  for (; p < panels; p++)
    strip(1, x, n, dim, packed + p * dim * MCLI_PANEL, bias + p * MCLI_PANEL, out + p * MCLI_PANEL,
          stride);
}

// ---- products of columns -------------------------------------------------------------------------------

// acc[c][..] += x_i[c] * y_i[..] over the rows in order, for `count` columns of x and one panel of y.
INLINE void columns(int count, const float *x, int64_t n, int64_t dim, const float *y,
                    int64_t stride, float *out) {
  vector acc[HIGH][PARTS] = {{{0}}};
  for (int64_t i = 0; i < n; i++, x += dim, y += stride) {
    vector row[PARTS];
    UNROLL for (int v = 0; v < PARTS; v++) row[v] = load(y + v * WIDTH);
    UNROLL for (int c = 0; c < count; c++) UNROLL for (int v = 0; v < PARTS; v++) acc[c][v] =
        fused(broadcast(x[c]), row[v], acc[c][v]);
  }
  UNROLL for (int c = 0; c < count; c++) UNROLL for (int v = 0; v < PARTS; v++)
      memcpy(out + c * MCLI_PANEL + v * WIDTH, &acc[c][v], sizeof acc[c][v]);
}

static void product(const float *x, int64_t n, int64_t dim, const float *y, int64_t panels,
                    float *out) {
  int64_t stride = panels * MCLI_PANEL;
  for (int64_t p = 0; p < panels; p++, y += MCLI_PANEL, out += dim * MCLI_PANEL) {
    int64_t d = 0;
    for (; d + HIGH <= dim; d += HIGH)
      columns(HIGH, x + d, n, dim, y, stride, out + d * MCLI_PANEL);
    for (; d + LOW <= dim; d += LOW) columns(LOW, x + d, n, dim, y, stride, out + d * MCLI_PANEL);
    for (; d < dim; d++) columns(1, x + d, n, dim, y, stride, out + d * MCLI_PANEL);
  }
}

// ---- the smallest ------------------------------------------------------------------------------------

// 0, 1, 2 ...: the lanes' places.
static const uint32_t places[MCLI_PANEL] = PLACES(0);

// Of each lane the smallest and the next: those of all lanes, in each. Rounds of turns meet each lane once, so no value is
// counted twice.
INLINE void fold_two(vector *low, vector *next) {
  UNROLL for (int t = 0; t < TURNS; t++) {
    vector other = (vector)rotated((bits)*low, t);
    *next = smaller(smaller(*next, (vector)rotated((bits)*next, t)), larger(*low, other));
    *low = smaller(other, *low);
  }
}

// Two scans: the smallest two, then how many are at most `limit` and where. Where it is one, the sum
// of places is its place.
static int64_t nearest(const float *scores, int64_t n, float slack, float *least, float *second) {
  vector low = load(scores), next = INFINITY - (vector){0};
  for (int64_t i = WIDTH; i < n; i += WIDTH) {
    vector v = load(scores + i);
    next = smaller(next, larger(low, v));
    low = smaller(v, low);
  }
  fold_two(&low, &next);
  *least = low[0];
  *second = next[0];
  float limit = *least + slack;
  bits many = {0}, where = {0}, place = load_bits(places);
  for (int64_t i = 0; i < n; i += WIDTH, place += WIDTH) {
    bits within = (bits)(load(scores + i) <= limit); // -1 or 0
    many -= within;
    where += within & place;
  }
  UNROLL for (int t = 0; t < TURNS; t++) {
    many += rotated(many, t);
    where += rotated(where, t);
  }
  return many[0] == 1 ? (int64_t)where[0] : -1;
}

// ---- some rows, one panel ------------------------------------------------------------------------------

// The first lane of a panel's scores that equals `least`, which one does.
INLINE int32_t lane_of(const float *scores, float least) {
#if defined(__AVX512F__)
  return __builtin_ctz(_mm512_cmpeq_ps_mask(_mm512_loadu_ps(scores), _mm512_set1_ps(least)));
#elif defined(__AVX__)
  __m256 wanted = _mm256_set1_ps(least);
  int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(scores), wanted, _CMP_EQ_OQ));
  int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(scores + 8), wanted, _CMP_EQ_OQ));
  return __builtin_ctz((unsigned)(low | high << 8));
#else
  int32_t lane = 0;
  while (lane < MCLI_PANEL - 1 && scores[lane] != least) lane++;
  return lane;
#endif
}

INLINE void smallest_two(const float *scores, float *least, float *second, int32_t *lane) {
  vector low = load(scores), next = INFINITY - (vector){0};
  UNROLL for (int v = 1; v < PARTS; v++) {
    vector other = load(scores + v * WIDTH);
    next = smaller(next, larger(low, other));
    low = smaller(other, low);
  }
  fold_two(&low, &next);
  *least = low[0];
  *second = next[0];
  *lane = lane_of(scores, low[0]);
}

INLINE void contest_of(int count, const float *x, int64_t dim, const int32_t *at,
                       const float *packed, const float *bias, float *least, float *second,
                       int32_t *lane) {
  float scores[HIGH * MCLI_PANEL];
  block(count, 1, x, at, dim, packed, bias, scores, MCLI_PANEL);
  for (int i = 0; i < count; i++)
    smallest_two(scores + i * MCLI_PANEL, least + i, second + i, lane + i);
}

static void contest(const float *x, int64_t dim, const int32_t *at, int64_t n, const float *packed,
                    const float *bias, float *least, float *second, int32_t *lane) {
  int64_t i = 0;
  for (; i + HIGH <= n; i += HIGH)
    contest_of(HIGH, x, dim, at + i, packed, bias, least + i, second + i, lane + i);
  for (; i + LOW <= n; i += LOW)
    contest_of(LOW, x, dim, at + i, packed, bias, least + i, second + i, lane + i);
  for (; i < n; i++) contest_of(1, x, dim, at + i, packed, bias, least + i, second + i, lane + i);
}

// ---- pairs -------------------------------------------------------------------------------------------

// Two loads a product: four pairs, each with two sums, keep the loads busy.
enum { PAIRS = 4, SUMS = 2 };

INLINE void pairs_of(int count, const float *x, const int32_t *at, const float *y,
                     const int32_t *of, int64_t dim, float *dots) {
  vector acc[PAIRS][SUMS] = {{{0}}};
  const float *a[PAIRS], *b[PAIRS];
  UNROLL for (int p = 0; p < count; p++) a[p] = x + at[p] * dim, b[p] = y + of[p] * dim;
  int64_t d = 0;
  for (; d + SUMS * WIDTH <= dim; d += SUMS * WIDTH)
    UNROLL for (int p = 0; p < count; p++) UNROLL for (int s = 0; s < SUMS; s++) acc[p][s] =
        fused(load(a[p] + d + s * WIDTH), load(b[p] + d + s * WIDTH), acc[p][s]);
  for (int p = 0; p < count; p++) {
    dots[p] = lanes_added(acc[p][0] + acc[p][1]);
    for (int64_t e = d; e < dim; e++) dots[p] = fused_one(a[p][e], b[p][e], dots[p]);
  }
}

static void pairs(const float *x, const int32_t *at, const float *y, const int32_t *of, int64_t n,
                  int64_t dim, float *dots) {
  int64_t i = 0;
  for (; i + PAIRS <= n; i += PAIRS) pairs_of(PAIRS, x, at + i, y, of + i, dim, dots + i);
  for (; i < n; i++) pairs_of(1, x, at + i, y, of + i, dim, dots + i);
}

#define PASTE(a, b) a##b
#define NAME(isa)   PASTE(mcli_scores_kernels_, isa)

const mcli_scores_kernels NAME(MCLI_ISA_NAME) = {
    .score = score, .product = product, .nearest = nearest, .contest = contest, .pairs = pairs};
