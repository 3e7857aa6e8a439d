// Where centroids start: greedy k-means++ (Arthur & Vassilvitskii 2007, section 2.2; as
// scikit-learn's).
//
//   D_i = squared distance of row i to the nearest centroid so far,  P = sum_i D_i       (1)
//   the first centroid is any row; the next is row i with probability D_i / P            (2)
//   of T = 2 + floor(ln k) rows so drawn, the one that leaves the least P                (3)
//
// On all rows (3) would cost k T distances a row: six passes of Lloyd's at k = 100. It is done on a
// sample instead, of 64 rows a centroid and 16384 at least, so that a cluster of a tenth of the
// mean size still has some six rows in it.
//
// Products give distances that are wrong by some 1e-7 of the squared lengths, which would make rows
// that equal a centroid look drawable; so what is small against those is computed by the row
// kernel. When P is 0 there are no more distinct rows.
#include "clusterer/seeding.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "math/rows.h"
#include "math/scores.h"

enum { SAMPLE_LEAST = 16384, SAMPLE_PER_CENTROID = 64, MOST_CANDIDATES = 32 };

typedef struct seeding {
  mcl_context *context;
  int64_t n, dim;
  float *x;          // [n, dim]: the sample, normalised in cosine, without rows of zeros
  float *squares;    // [n]
  float *least;      // [n]: D of (1)
  double *block_sum; // [blocks]: of least
  float *to;         // [n, lanes]: distances to the candidates
  double *gain;      // [blocks, MOST]: P of each candidate, by block
  float *candidates; // [MOST, dim]
  float *packed;     // the same, as math/scores.h wants them
  double candidate_squares[MOST_CANDIDATES];
  float bias[MOST_CANDIDATES]; // half of these
  int64_t lanes;               // whole panels of candidates
  int32_t n_candidates, chosen;
  uint32_t blocks;
} seeding;

static int32_t candidates_of(int32_t k) { // T of (3)
  return 2 + (int32_t)log((double)k);
}

// Below this share of the squared lengths a product leaves too few digits: 1e-3 leaves four.
static const double trusted_share = 1e-3;

static void block_rows(const seeding *s, uint32_t task, int64_t *first, int64_t *n) {
  *first = (int64_t)task * MCLI_SWEEP_BLOCK;
  *n = s->n - *first < MCLI_SWEEP_BLOCK ? s->n - *first : MCLI_SWEEP_BLOCK;
}

static float measure(const seeding *s, int64_t i, int64_t t) {
  float d = mcli_rows_kernels_of(s->context)
                ->squared_distance(s->x + i * s->dim, s->candidates + t * s->dim, s->dim);
  return d <= MCLI_SAME * s->squares[i] ? 0 : d;
}

static void measure_block(void *job, uint32_t task, uint32_t worker) {
  const seeding *s = job;
  int64_t first, n, many = s->n_candidates;
  (void)worker;
  block_rows(s, task, &first, &n);
  float *to = s->to + first * s->lanes;
  double *gain = s->gain + (int64_t)task * MOST_CANDIDATES;
  mcli_scores_kernels_of(s->context)
      ->score(s->x + first * s->dim, n, s->dim, s->packed, s->lanes / MCLI_PANEL, s->bias, to);
  for (int64_t t = 0; t < many; t++) gain[t] = 0;
  for (int64_t i = first; i < first + n; i++, to += s->lanes) {
    for (int64_t t = 0; t < many; t++) {
      double d = s->squares[i] + 2 * (double)to[t];
      to[t] = (float)d;
      if (!(d > trusted_share * (s->squares[i] + s->candidate_squares[t])))
        to[t] = measure(s, i, t);
      gain[t] += to[t] < s->least[i] ? to[t] : s->least[i];
    }
  }
}

static void accept_block(void *job, uint32_t task, uint32_t worker) {
  const seeding *s = job;
  int64_t first, n;
  double sum = 0;
  (void)worker;
  block_rows(s, task, &first, &n);
  for (int64_t i = first; i < first + n; i++) {
    float d = s->to[i * s->lanes + s->chosen];
    if (d < s->least[i]) s->least[i] = d;
    sum += s->least[i];
  }
  s->block_sum[task] = sum;
}

static double potential(const seeding *s) {
  double sum = 0;
  for (uint32_t b = 0; b < s->blocks; b++) sum += s->block_sum[b];
  return sum;
}

// (2): the row in which the running sum of D passes `at`. Rounding may leave `at` past the end:
// then the last with D > 0.
static int64_t find(const seeding *s, double at) {
  int64_t last = 0;
  for (uint32_t b = 0; b < s->blocks; b++) {
    if (s->block_sum[b] <= 0) continue;
    int64_t first, n;
    block_rows(s, b, &first, &n);
    if (at >= s->block_sum[b] && b + 1 < s->blocks) {
      at -= s->block_sum[b];
      for (int64_t i = first + n - 1; i >= first; i--)
        if (s->least[i] > 0) {
          last = i;
          break;
        }
      continue;
    }
    for (int64_t i = first; i < first + n; i++) {
      if (s->least[i] <= 0) continue;
      last = i;
      at -= s->least[i];
      if (at < 0) return i;
    }
  }
  return last;
}

static void take_candidate(seeding *s, int32_t t, int64_t row) {
  memcpy(s->candidates + t * s->dim, s->x + row * s->dim, (size_t)s->dim * sizeof(float));
  s->candidate_squares[t] = s->squares[row];
  s->bias[t] = s->squares[row] / 2;
}

static mcl_status best_candidate(seeding *s, mcl_error *err) { // (3)
  mcli_scores_pack(s->candidates, s->n_candidates, s->dim, s->packed);
  mcl_status status = mcli_parallel(s->context, s->blocks, measure_block, s, err);
  if (status < 0) return status;
  double least = INFINITY;
  for (int32_t t = 0; t < s->n_candidates; t++) {
    double p = 0;
    for (uint32_t b = 0; b < s->blocks; b++) p += s->gain[(int64_t)b * MOST_CANDIDATES + t];
    if (p < least) least = p, s->chosen = t;
  }
  return mcli_parallel(s->context, s->blocks, accept_block, s, err);
}

static void place(const seeding *s, mcli_state *state, int32_t j, const float *row) {
  memcpy(state->centres->rows + j * s->dim, row, (size_t)s->dim * sizeof *row);
  state->alive[j] = 1;
}

static mcl_status plus_plus(seeding *s, mcli_training *t, mcl_error *err) {
  int32_t k = t->options->k, most = candidates_of(k);
  mcli_rng r = mcli_rng_make(t->options->seed, MCLI_RNG_KMEANS, t->restart, MCLI_DRAW_SEEDS);
  for (int64_t i = 0; i < s->n; i++) s->least[i] = INFINITY;
  for (int32_t j = 0; j < k; j++) {
    double p = j ? potential(s) : INFINITY;
    if (p <= 0) return MCL_OK;
    s->n_candidates = j ? most : 1;
    for (int32_t i = 0; i < s->n_candidates; i++) {
      int64_t row =
          j ? find(s, mcli_rng_unit(&r) * p) : (int64_t)mcli_rng_below(&r, (uint64_t)s->n);
      take_candidate(s, i, row);
    }
    mcl_status status = best_candidate(s, err);
    if (status == MCL_OK) status = mcli_watch_tell(t->watch, j + 1, NAN, err);
    if (status < 0) return status;
    place(s, &t->state, j, s->candidates + s->chosen * s->dim);
  }
  return MCL_OK;
}

// ---- the sample ---------------------------------------------------------------------------------

static int64_t sample_rows(int32_t k, int64_t rows) {
  int64_t wanted = (int64_t)SAMPLE_PER_CENTROID * k;
  if (wanted < SAMPLE_LEAST) wanted = SAMPLE_LEAST;
  return wanted < rows ? wanted : rows;
}

static int64_t lanes_of(int32_t k) {
  return mcli_panels(candidates_of(k)) * MCLI_PANEL;
}

double mcli_seeding_bytes(int32_t k, int32_t dim, int64_t rows) {
  double n = (double)sample_rows(k, rows), lanes = (double)lanes_of(k);
  return n * (8 + 4.0 * dim + 8 + 4 * lanes + 1) + (MOST_CANDIDATES + lanes) * 4 * dim + 8192;
}

static mcl_status open_sample(seeding *s, mcli_training *t, int64_t **at, mcl_error *err) {
  mcl_context *c = t->context;
  const mcli_sweep *rows = t->members.sweep;
  s->context = c;
  s->dim = rows->rows.dim;
  s->n = sample_rows(t->options->k, rows->rows.rows);
  int64_t blocks = (s->n + MCLI_SWEEP_BLOCK - 1) / MCLI_SWEEP_BLOCK;
  s->lanes = lanes_of(t->options->k);
  *at = MCLI_NEW(c, int64_t, s->n);
  s->x = MCLI_NEW(c, float, s->n * s->dim);
  s->squares = MCLI_NEW(c, float, s->n);
  s->least = MCLI_NEW(c, float, s->n);
  s->block_sum = MCLI_NEW(c, double, blocks);
  s->to = MCLI_NEW(c, float, s->n * s->lanes);
  s->gain = MCLI_NEW(c, double, blocks *MOST_CANDIDATES);
  s->candidates = MCLI_NEW(c, float, MOST_CANDIDATES * s->dim);
  s->packed = MCLI_NEW(c, float, s->lanes * s->dim);
  if (*at && s->x && s->squares && s->least && s->block_sum && s->to && s->gain && s->candidates &&
      s->packed)
    return MCL_OK;
  return mcli_nomem(err, "the sample that centroids are chosen from");
}

static void close_sample(seeding *s) {
  mcl_context *c = s->context;
  mcli_free(c, s->x);
  mcli_free(c, s->squares);
  mcli_free(c, s->least);
  mcli_free(c, s->block_sum);
  mcli_free(c, s->to);
  mcli_free(c, s->gain);
  mcli_free(c, s->candidates);
  mcli_free(c, s->packed);
}

static mcl_status load_sample(seeding *s, mcli_training *t, int64_t *at, mcl_error *err) {
  const mcli_sweep *rows = t->members.sweep;
  const mcli_rows_kernels *kernels = mcli_rows_kernels_of(t->context);
  mcli_sweep_draw(t->options->seed, t->restart, MCLI_DRAW_SAMPLE, rows->rows.rows, s->n, at);
  mcl_status status = mcli_sweep_gather(rows, MCL_OK, at, s->n, s->x, err);
  if (status < 0) return status;
  int64_t kept = 0;
  for (int64_t i = 0; i < s->n; i++) {
    float *x = s->x + i * s->dim, *to = s->x + kept * s->dim;
    if (t->options->metric == MCL_COSINE) {
      float norm;
      mcli_normalise(t->context, x, 1, s->dim, to, &norm);
      if (norm == 0) continue;
    }
    s->squares[kept++] = (float)kernels->sum_squares(to, s->dim);
  }
  s->n = kept;
  s->blocks = mcli_blocks(kept, MCLI_SWEEP_BLOCK);
  return MCL_OK;
}

static void at_random(seeding *s, mcli_training *t, int64_t *at) {
  int64_t n = s->n < t->options->k ? s->n : t->options->k;
  mcli_sweep_draw(t->options->seed, t->restart, MCLI_DRAW_SEEDS, s->n, n, at);
  for (int64_t j = 0; j < n; j++) place(s, &t->state, (int32_t)j, s->x + at[j] * s->dim);
}

mcl_status mcli_seed(mcli_training *t, mcl_error *err) {
  seeding s = {0};
  int64_t *at = NULL;
  mcl_status status = open_sample(&s, t, &at, err);
  if (status == MCL_OK) status = load_sample(&s, t, at, err);
  if (status < 0) goto done;
  if (s.n == 0) { // no row has a direction: any will do, and every row is at cosine 0 from it
    t->state.centres->rows[0] = 1;
    t->state.alive[0] = 1;
  } else if (t->options->init == MCL_INIT_RANDOM) {
    at_random(&s, t, at);
  } else {
    status = plus_plus(&s, t, err);
  }
done:
  mcli_free(t->context, at);
  close_sample(&s);
  return status;
}
