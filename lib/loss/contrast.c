// InfoNCE, one direction, in tiles: how well does each anchor pick its own positive out of its cell?
//
// Which rows share a cell decides what is learnt; that choice is made in sampler/, never here.
//
//   s_ij = <x_i, y_j> / tau                                             (1)
//   lse_i = log sum_{j in C(i)} exp s_ij,  C(i) = {p(i)} + N(i)         (2)
//   l_i = lse_i - s_i,p(i),  p_ij = exp(s_ij - lse_i)                   (3)
//   dL/dx_i = 1/tau sum_j (w (p_ij - [j = p(i)]) + w' (p_ji - [i = p(j)])) y_j   (4)
//   dl_i/dlog tau = -sum_j (p_ij - [j = p(i)]) s_ij                     (5)
//
// w is the weight of x's anchors, w' that of y's when these pick among x too (NT-Xent, both ways): since s_ij = s_ji,
// both come from one tile of scores. Pass 1 makes (2), (3), (5) with a running maximum, pass 2 makes (4): the scores
// are computed twice and never kept. An n x m matrix kept instead would cost gigabytes where this costs nothing measurable.
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "loss/contrast.h"
#include "math/gemm.h"
#include "math/rows.h"

// A tile of scores is 128 x 256 floats, 128 KiB: with its copy it stays in a core's L2 beside the rows. Smaller tiles waste
// the product's start-up, larger ones evict the rows.
enum { TILE_ROWS = 128, TILE_COLUMNS = 256 };

// A score that no exponential sees: of a row itself and of duplicates.
static const float masked = -1e30f;

typedef struct tile {
  int64_t group, first, n;
} tile;

typedef struct pass {
  const mcli_contrast *k;
  const mcli_rows_kernels *kernels;
  tile *tiles;
  float *scratch; // per worker, two tiles
  float *d;       // pass 2: [n, dim]
} pass;

static float *scratch_of(const pass *p, uint32_t worker) {
  return p->scratch + (int64_t)worker * 2 * TILE_ROWS * TILE_COLUMNS;
}

static int64_t count_tiles(const mcli_contrast *k) {
  int64_t tiles = 0;
  for (int64_t g = 0; g < k->groups; g++)
    tiles += (k->x_end[g] - k->x_first[g] + TILE_ROWS - 1) / TILE_ROWS;
  return tiles;
}

static void list_tiles(const mcli_contrast *k, tile *out) {
  for (int64_t g = 0; g < k->groups; g++)
    for (int64_t i = k->x_first[g]; i < k->x_end[g]; i += TILE_ROWS) {
      int64_t left = k->x_end[g] - i;
      *out++ = (tile){g, i, left < TILE_ROWS ? left : TILE_ROWS};
    }
}

// (1) for n anchors from `row` on and m candidates from `column` on, with what is no negative masked.
static void score_tile(const pass *p, int64_t row, int64_t n, int64_t column, int64_t m, float *s) {
  const mcli_contrast *k = p->k;
  mcli_gemm(k->context, MCLI_GEMM_TB, n, m, k->dim, k->inverse_temperature, k->x->u + row * k->dim,
            k->dim, k->y->u + column * k->dim, k->dim, 0, s, m);
  for (int64_t i = 0; i < n; i++) {
    int64_t self = row + i - column, positive = k->x->positive[row + i] - column;
    if (k->same && self >= 0 && self < m) s[i * m + self] = masked;
    if (!k->x->duplicates || k->x->duplicates[row + i] < 0) continue;
    int64_t id = k->x->duplicates[row + i];
    for (int64_t j = 0; j < m; j++)
      if (k->y->duplicates[column + j] == id && j != positive) s[i * m + j] = masked;
  }
}

// ---- pass 1 ------------------------------------------------------------------------------------------

// What is known of an anchor after some tiles of its cell.
typedef struct running {
  double sum, weighted, maximum, positive, best_negative;
} running;

// Adds m scores; `copy` is overwritten. Sums of exponentials are relative to the running maximum.
static void add_scores(const mcli_rows_kernels *kernels, running *r, const float *s, float *copy,
                       int64_t m, int64_t positive) {
  memcpy(copy, s, (size_t)m * sizeof *s);
  if (positive >= 0 && positive < m) {
    r->positive = (double)s[positive];
    copy[positive] = masked;
  }
  double best = (double)kernels->max(copy, m);
  if (best > r->best_negative) r->best_negative = best;
  if (positive >= 0 && positive < m) copy[positive] = s[positive];
  double maximum = best > r->maximum ? best : r->maximum;
  if (positive >= 0 && positive < m && r->positive > maximum) maximum = r->positive;
  if (maximum <= (double)masked) return; // nothing but masked scores
  double scale = exp(r->maximum - maximum);
  double sum = (double)kernels->exp_sum(copy, (float)maximum, m);
  r->sum = r->sum * scale + sum;
  r->weighted = r->weighted * scale + (double)kernels->dot(copy, s, m);
  r->maximum = maximum;
}

static void finish_anchor(const mcli_contrast *k, int64_t i, const running *r) {
  double *t = k->x->terms + 4 * i, lse = (double)(float)r->maximum + log(r->sum);
  bool has_negatives = r->best_negative > (double)masked;
  k->x->lse[i] =
      has_negatives ? lse : r->positive; // alone: p = 1 exactly, so l = 0 and no gradient
  t[0] = has_negatives ? lse - r->positive : 0;
  t[1] = has_negatives ? r->positive - r->weighted / r->sum : 0; // (5)
  t[2] = has_negatives && r->positive > r->best_negative;
  t[3] = has_negatives;
}

static void score_task(void *job, uint32_t task, uint32_t worker) {
  const pass *p = job;
  const mcli_contrast *k = p->k;
  tile t = p->tiles[task];
  float *s = scratch_of(p, worker), *copy = s + TILE_ROWS * TILE_COLUMNS;
  running r[TILE_ROWS];
  for (int64_t i = 0; i < t.n; i++)
    r[i] = (running){.maximum = (double)masked, .best_negative = (double)masked};
  int64_t end = k->y_end[t.group];
  for (int64_t column = k->y_first[t.group]; column < end; column += TILE_COLUMNS) {
    int64_t m = end - column < TILE_COLUMNS ? end - column : TILE_COLUMNS;
    score_tile(p, t.first, t.n, column, m, s);
    for (int64_t i = 0; i < t.n; i++)
      if (k->x->positive[t.first + i] >= 0)
        add_scores(p->kernels, &r[i], s + i * m, copy, m, k->x->positive[t.first + i] - column);
  }
  for (int64_t i = 0; i < t.n; i++)
    if (k->x->positive[t.first + i] >= 0) finish_anchor(k, t.first + i, &r[i]);
}

// ---- pass 2 ------------------------------------------------------------------------------------------

// Whether an anchor, or its positive where only that one picks, has no negatives: then nothing moves it, exactly.
static bool is_alone(const mcli_contrast *k, int64_t i) {
  const double *t = k->x_weight != 0 ? k->x->terms + 4 * i : k->y->terms + 4 * k->x->positive[i];
  return t[3] == 0;
}

// One row of scores becomes one row of (4)'s coefficients, without 1/tau.
static void coefficients(const pass *p, int64_t i, int64_t column, int64_t m, float *s, float *e) {
  const mcli_contrast *k = p->k;
  int64_t positive = k->x->positive[i] - column;
  float w = (float)k->x_weight, w2 = (float)k->y_weight;
  if (w2 != 0) {
    for (int64_t j = 0; j < m; j++) e[j] = s[j] - (float)k->y->lse[column + j];
    p->kernels->exp_sum(e, 0, m);
  }
  if (w != 0) p->kernels->exp_sum(s, (float)k->x->lse[i], m);
  if (w == 0)
    for (int64_t j = 0; j < m; j++) s[j] = w2 * e[j];
  else if (w2 == 0)
    for (int64_t j = 0; j < m; j++) s[j] = w * s[j];
  else
    for (int64_t j = 0; j < m; j++) s[j] = w * s[j] + w2 * e[j];
  if (k->x->positive[i] < 0 || positive < 0 || positive >= m) return;
  // In both losses positives are mutual: p(p(i)) = i.
  s[positive] = is_alone(k, i) ? 0 : s[positive] - (w + w2);
}

static void gradient_task(void *job, uint32_t task, uint32_t worker) {
  const pass *p = job;
  const mcli_contrast *k = p->k;
  tile t = p->tiles[task];
  float *s = scratch_of(p, worker), *e = s + TILE_ROWS * TILE_COLUMNS;
  float *d = p->d + t.first * k->dim;
  memset(d, 0, (size_t)(t.n * k->dim) * sizeof *d);
  int64_t end = k->y_end[t.group];
  for (int64_t column = k->y_first[t.group]; column < end; column += TILE_COLUMNS) {
    int64_t m = end - column < TILE_COLUMNS ? end - column : TILE_COLUMNS;
    score_tile(p, t.first, t.n, column, m, s);
    for (int64_t i = 0; i < t.n; i++) coefficients(p, t.first + i, column, m, s + i * m, e);
    mcli_gemm(k->context, 0, t.n, k->dim, m, k->inverse_temperature, s, m,
              k->y->u + column * k->dim, k->dim, 1, d, k->dim);
  }
}

// ---- running a pass ------------------------------------------------------------------------------------

static mcl_status run_pass(const mcli_contrast *k, mcl_task_fn fn, float *d, mcl_error *err) {
  mcl_context *c = k->context;
  int64_t tiles = count_tiles(k);
  pass p = {.k = k, .kernels = mcli_rows_kernels_of(c), .d = d};
  p.tiles = MCLI_NEW(c, tile, tiles);
  p.scratch = MCLI_NEW(c, float, (int64_t)mcli_workers(c) * 2 * TILE_ROWS * TILE_COLUMNS);
  mcl_status s = p.tiles && p.scratch ? MCL_OK : mcli_nomem(err, "the loss");
  if (s == MCL_OK) {
    list_tiles(k, p.tiles);
    s = mcli_parallel(c, (uint32_t)tiles, fn, &p, err);
  }
  mcli_free(c, p.tiles);
  mcli_free(c, p.scratch);
  return s;
}

mcl_status mcli_contrast_scores(const mcli_contrast *k, mcl_error *err) {
  return run_pass(k, score_task, NULL, err);
}

mcl_status mcli_contrast_gradient(const mcli_contrast *k, float *d, mcl_error *err) {
  return run_pass(k, gradient_task, d, err);
}
