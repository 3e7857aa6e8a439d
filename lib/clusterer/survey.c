// A first look at the training rows: are they numbers, how long are they, how far do they spread?
//
//   variance of column d = sum_i x_id^2 / n - (sum_i x_id / n)^2           (1)
//   their mean over columns = (sum_i |x_i|^2 / n - |mean|^2) / dim         (2)
//
// with x normalised in cosine. In double (2) loses about as many digits as the mean is longer than
// the spread, which for float32 rows leaves enough for a tolerance.
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "clusterer/train.h"
#include "math/array.h"
#include "math/rows.h"

typedef struct look {
  mcl_context *context;
  float *norms;
  double *sums;    // [slots + 1, dim]; the last is the total
  double *squares; // [slots + 1]
  int64_t dim;
  int32_t metric;
  uint32_t slots;
} look;

static mcl_status look_block(void *job, const mcli_block *b, mcl_error *err) {
  const look *l = job;
  float *norms = l->norms + b->first;
  const mcli_rows_kernels *kernels = mcli_rows_kernels_of(l->context);
  mcl_status s = mcli_row_norms(l->context, b->x, b->first, b->n, l->dim, norms, err);
  if (s < 0) return s;
  for (int64_t i = 0; i < b->n; i++) {
    double norm = norms[i], scale = l->metric != MCL_COSINE ? 1 : norm > 0 ? 1 / norm : 0;
    l->squares[b->slot] += scale * norm * scale * norm;
    kernels->add_scaled(scale, b->x + i * l->dim, l->sums + b->slot * l->dim, l->dim);
  }
  return MCL_OK;
}

static mcl_status look_wave(void *job, uint32_t n, int64_t done, int64_t blocks, mcl_error *err) {
  look *l = job;
  (void)done, (void)blocks, (void)err;
  for (uint32_t i = 0; i < n; i++) {
    for (int64_t d = 0; d < l->dim; d++) {
      l->sums[l->slots * l->dim + d] += l->sums[i * l->dim + d];
      l->sums[i * l->dim + d] = 0;
    }
    l->squares[l->slots] += l->squares[i];
    l->squares[i] = 0;
  }
  return MCL_OK;
}

mcl_status mcli_survey(mcl_context *c, const mcli_sweep *s, int32_t metric, float *norms,
                       double *variance, double *squares, mcl_error *err) {
  look l = {.context = c, .norms = norms, .dim = s->rows.dim, .metric = metric, .slots = s->slots};
  l.sums = MCLI_NEW0(c, double, (s->slots + 1) * l.dim);
  l.squares = MCLI_NEW0(c, double, s->slots + 1);
  mcl_status status = l.sums && l.squares ? MCL_OK : mcli_nomem(err, "the sums of columns");
  if (status == MCL_OK) status = mcli_sweep_run(s, look_block, look_wave, &l, err);
  if (status == MCL_OK) {
    double n = (double)s->rows.rows, square = 0;
    for (int64_t d = 0; d < l.dim; d++) {
      double mean = l.sums[s->slots * l.dim + d] / n;
      square += mean * mean;
    }
    *variance = (l.squares[s->slots] / n - square) / (double)l.dim; // (2)
    if (!(*variance > 0)) *variance = 0;
    *squares = l.squares[s->slots];
  }
  mcli_free(c, l.sums);
  mcli_free(c, l.squares);
  return status;
}

// ---- distinct rows ------------------------------------------------------------------------------

// A set of 64-bit hashes, open addressing, at most half full. Two rows of one hash among 10^6 have
// odds of 1 in 4 10^7.
typedef struct hashes {
  uint64_t *at; // 0: free
  uint64_t mask;
  int64_t n;
} hashes;

static void add_hash(hashes *h, uint64_t hash) {
  hash += hash == 0;
  uint64_t i = hash & h->mask;
  while (h->at[i] != 0 && h->at[i] != hash) i = (i + 1) & h->mask;
  h->n += h->at[i] == 0;
  h->at[i] = hash;
}

static void add_rows(mcl_context *c, hashes *h, const float *x, int64_t n, int64_t dim,
                     int32_t metric, float *row, int64_t most) {
  for (int64_t i = 0; i < n && h->n < most; i++) {
    float norm = 1;
    if (metric == MCL_COSINE)
      mcli_normalise(c, x + i * dim, 1, dim, row, &norm);
    else
      memcpy(row, x + i * dim, (size_t)dim * sizeof *row);
    if (norm == 0) continue;
    for (int64_t d = 0; d < dim; d++) row[d] += 0.0f; // -0 and 0 are one number
    add_hash(h, mcli_hash(row, (uint64_t)dim * sizeof *row, 0));
  }
}

mcl_status mcli_count_distinct(mcl_context *c, const mcli_sweep *s, int32_t metric, int64_t most,
                               int64_t *distinct, mcl_error *err) {
  int64_t dim = s->rows.dim;
  hashes h = {.mask = 1};
  while (h.mask < 2 * (uint64_t)most) h.mask *= 2;
  h.at = MCLI_NEW0(c, uint64_t, h.mask);
  h.mask--;
  float *row = MCLI_NEW(c, float, dim);
  mcl_status status = h.at && row ? MCL_OK : mcli_nomem(err, "distinct rows");
  for (int64_t first = 0; first < s->rows.rows && h.n < most && status == MCL_OK;
       first += MCLI_SWEEP_BLOCK) {
    const float *x;
    int64_t n = s->rows.rows - first < MCLI_SWEEP_BLOCK ? s->rows.rows - first : MCLI_SWEEP_BLOCK;
    status = mcli_rows_block(&s->rows, first, n, s->buffers, s->scratch, &x, err);
    if (status == MCL_OK) add_rows(c, &h, x, n, dim, metric, row, most);
  }
  *distinct = h.n;
  mcli_free(c, h.at);
  mcli_free(c, row);
  return status;
}
