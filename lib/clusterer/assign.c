// A row's label must not depend on the rows that are asked along with it, nor on the processor, yet
// fast products differ in their last bits from one shape and instruction set to another. So the
// label is defined without them:
//
//   label(x) = the lowest j of least D(x, c_j),  D the row kernel's squared distance       (1)
//
// with x normalised first in cosine. Products only rule centroids out. They give, for every j,
//
//   s_j = b_j - x.c_j,   b_j = |c_j|^2 / 2 in L2, 0 in cosine (|c_j| = 1 there)               (2)
//
// which orders centroids as D does:
//
//   D = |x|^2 + 2 s_j in L2, 2 + 2 s_j / |x| in cosine                                      (3)
//
// s_j differs from its true value, and D / 2 by the kernel from its own, by at most E together;
// hence the j of (1) is among those with
//
//   s_j <= min s + 2 E                                                                      (4)
//
// and where only one is, it is known without computing D. With u = 2^-24, d = dim, l = |x| and m =
// max |c_j|, for any order of additions, fused or not (Higham, "Accuracy and Stability of Numerical
// Algorithms", 3.1):
//
//   product, sum with b_j, b_j, rounding of (4):   u ((d + 5) l m + 3 m^2)
//   kernel, 16 lanes, on D / 2 <= (l + m)^2 / 2:   u (d / 16 + 10) (l + m)^2 / 2     (5)
//
// In cosine all of it is times l with l = m = 1 inside, plus 19 u for |c_j| and |x / l| being 1 but
// for rounding. A row too short for float32's relative precision adds dim times its smallest normal
// number.
//
// Rejected: rounding labels of near ties by the product alone, as faiss does: the same vector then
// changes its label with the size of the query (faiss#361).
#include "clusterer/assign.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "math/rows.h"
#include "math/scores.h"

// Scores of a tile of rows, all k of each, should stay in L2: 65536 floats are 256 KiB. At least 24
// rows, for all centroids are read once a tile; at most 252, past which nothing is gained.
// Multiples of 12, the height of the kernel's block.
enum { TILE_SCORES = 65536, TILE_LEAST = 24, TILE_MOST = 252, TILE_STEP = 12 };

mcl_status mcli_centres_new(mcl_context *c, int32_t k, int32_t dim, int32_t metric,
                            mcli_centres **out, mcl_error *err) {
  mcli_centres *m = MCLI_NEW0(c, mcli_centres, 1);
  int64_t numbers;
  if (!m || !mcli_mul(k, dim, &numbers)) goto nomem;
  m->k = k;
  m->dim = dim;
  m->metric = metric;
  m->rows = MCLI_NEW0(c, float, numbers);
  m->packed = MCLI_NEW(c, float, mcli_panels(k) * MCLI_PANEL * dim);
  m->bias = MCLI_NEW(c, float, mcli_panels(k) * MCLI_PANEL);
  m->order = MCLI_NEW(c, int32_t, mcli_panels(k) * MCLI_PANEL);
  if (!m->rows || !m->packed || !m->bias || !m->order) goto nomem;
  for (int32_t j = 0; j < mcli_panels(k) * MCLI_PANEL; j++) m->order[j] = j < k ? j : -1;
  *out = m;
  return MCL_OK;
nomem:
  mcli_centres_free(c, m);
  return mcli_nomem(err, "centroids");
}

void mcli_centres_free(mcl_context *c, mcli_centres *m) {
  if (!m) return;
  mcli_free(c, m->rows);
  mcli_free(c, m->packed);
  mcli_free(c, m->bias);
  mcli_free(c, m->order);
  mcli_free(c, m);
}

static void bound_errors(mcli_centres *m, double longest) { // (5)
  double u = 1.01 * 0x1p-24, d = m->dim, kernel = d / 16 + 10, product = d + 5;
  m->e0 = d * (double)FLT_MIN;
  m->e1 = m->e2 = 0;
  if (m->metric == MCL_COSINE) {
    m->e1 = u * (product + 3 + kernel * 2 + 19);
    return;
  }
  m->e0 += u * (3 + kernel / 2) * longest * longest;
  m->e1 = u * (product + kernel) * longest;
  m->e2 = u * kernel / 2;
}

void mcli_centres_prepare(const mcl_context *c, mcli_centres *m, const uint8_t *alive) {
  const mcli_rows_kernels *kernels = mcli_rows_kernels_of(c);
  double longest = 0;
  for (int64_t p = 0; p < mcli_panels(m->k); p++)
    mcli_scores_pack_panel(m->rows, m->order + p * MCLI_PANEL, m->dim,
                           m->packed + p * MCLI_PANEL * m->dim);
  for (int64_t p = 0; p < mcli_panels(m->k) * MCLI_PANEL; p++) {
    int64_t j = m->order[p];
    m->bias[p] = INFINITY;
    if (j < 0 || (alive && !alive[j])) continue;
    double square = kernels->sum_squares(m->rows + j * m->dim, m->dim);
    m->bias[p] = m->metric == MCL_COSINE ? 0 : (float)(square / 2);
    if (square > longest) longest = square;
  }
  bound_errors(m, sqrt(longest));
}

mcl_status mcli_scorer_open(mcl_context *c, int32_t k, int32_t dim, mcli_scorer *s,
                            mcl_error *err) {
  int64_t padded = mcli_panels(k) * MCLI_PANEL;
  s->tile = TILE_SCORES / padded / TILE_STEP * TILE_STEP;
  if (s->tile < TILE_LEAST) s->tile = TILE_LEAST;
  if (s->tile > TILE_MOST) s->tile = TILE_MOST;
  s->scores = MCLI_NEW(c, float, s->tile *padded);
  s->unit = MCLI_NEW(c, float, dim);
  s->norms = MCLI_NEW(c, float, MCLI_SWEEP_BLOCK);
  if (s->scores && s->unit && s->norms) return MCL_OK;
  mcli_scorer_close(c, s);
  return mcli_nomem(err, "scores");
}

void mcli_scorer_close(mcl_context *c, mcli_scorer *s) {
  mcli_free(c, s->scores);
  mcli_free(c, s->unit);
  mcli_free(c, s->norms);
  memset(s, 0, sizeof *s);
}

mcl_status mcli_row_norms(const mcl_context *c, const float *x, int64_t first, int64_t n,
                          int64_t dim, float *norms, mcl_error *err) {
  const mcli_rows_kernels *kernels = mcli_rows_kernels_of(c);
  for (int64_t i = 0; i < n; i++) {
    double norm = sqrt(kernels->sum_squares(x + i * dim, dim));
    if (norm > MCLI_LONGEST_ROW)
      return mcli_fail_row(err, MCL_E_LIMIT, first + i, "row %lld has length %.3g, not up to 1e18",
                           (long long)(first + i), norm);
    norms[i] = (float)norm;
  }
  return MCL_OK;
}

float mcli_distance(const mcl_context *c, const mcli_centres *m, const float *x, float norm,
                    int32_t j, float *unit) {
  if (m->metric == MCL_COSINE) {
    if (norm == 0) return 2;
    mcli_normalise(c, x, 1, m->dim, unit, NULL);
    x = unit;
  }
  return mcli_rows_kernels_of(c)->squared_distance(x, m->rows + (int64_t)j * m->dim, m->dim);
}

// Definition (1) over the candidates of (4).
int32_t mcli_decide(const mcl_context *c, const mcli_centres *m, const float *x, float *unit,
                    const float *scores, float limit, float *distance) {
  const mcli_rows_kernels *kernels = mcli_rows_kernels_of(c);
  if (m->metric == MCL_COSINE) mcli_normalise(c, x, 1, m->dim, unit, NULL), x = unit;
  int32_t best = -1;
  for (int64_t p = 0; p < mcli_panels(m->k) * MCLI_PANEL; p++) {
    int32_t j = m->order[p];
    if (j < 0 || !(scores[p] <= limit)) continue;
    float d = kernels->squared_distance(x, m->rows + (int64_t)j * m->dim, m->dim);
    if (best < 0 || d < *distance || (d == *distance && j < best)) *distance = d, best = j;
  }
  return best;
}

static int32_t label_row(const mcl_context *c, const mcli_centres *m, const float *x, float norm,
                         float *unit, const float *scores, float *distance) {
  mcli_scale in = mcli_scale_of(m, norm);
  float least, second;
  int64_t n = mcli_panels(m->k) * MCLI_PANEL;
  int64_t place = mcli_scores_kernels_of(c)->nearest(scores, n, in.slack, &least, &second);
  if (place < 0) return mcli_decide(c, m, x, unit, scores, least + in.slack, distance);
  double own = in.base + in.by * (double)least;
  // As small as its own error: 0 must be told from nearly 0, for a row at distance 0 can start no
  // cluster.
  if (own <= in.slop) own = mcli_distance(c, m, x, norm, m->order[place], unit);
  *distance = (float)own;
  return m->order[place];
}

void mcli_assign_block(mcl_context *c, const mcli_centres *m, mcli_scorer *s, const float *x,
                       const float *norms, int64_t n, int32_t *labels, float *distances,
                       int exact) {
  const mcli_scores_kernels *kernels = mcli_scores_kernels_of(c);
  int64_t panels = mcli_panels(m->k);
  for (int64_t first = 0; first < n; first += s->tile) {
    int64_t rows = n - first < s->tile ? n - first : s->tile;
    kernels->score(x + first * m->dim, rows, m->dim, m->packed, panels, m->bias, s->scores);
    for (int64_t i = first; i < first + rows; i++) {
      const float *row = x + i * m->dim, *scores = s->scores + (i - first) * panels * MCLI_PANEL;
      float distance = 2; // a row of zeros in cosine
      labels[i] = 0;
      if (m->metric != MCL_COSINE || norms[i] > 0)
        labels[i] = label_row(c, m, row, norms[i], s->unit, scores, &distance);
      if (!distances) continue;
      distances[i] = exact ? mcli_distance(c, m, row, norms[i], labels[i], s->unit) : distance;
    }
  }
}
