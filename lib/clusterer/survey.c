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
  double *sums;    // [segments, dim]
  double *squares; // [segments]
  int64_t dim;
  int32_t metric;
} look;

static mcl_status look_block(void *job, const mcli_block *b, mcl_error *err) {
  const look *l = job;
  float *norms = l->norms + b->first;
  const mcli_rows_kernels *kernels = mcli_rows_kernels_of(l->context);
  mcl_status s = mcli_row_norms(l->context, b->x, b->row, b->n, l->dim, norms, err);
  if (s < 0) return s;
  for (int64_t i = 0; i < b->n; i++) {
    double norm = norms[i], scale = l->metric != MCL_COSINE ? 1 : norm > 0 ? 1 / norm : 0;
    l->squares[b->segment] += scale * norm * scale * norm;
    kernels->add_scaled(scale, b->x + i * l->dim, l->sums + b->segment * l->dim, l->dim);
  }
  return MCL_OK;
}

// Segment after segment into the first, which is (2)'s sums.
static void add_segments(const look *l, uint32_t segments) {
  for (uint32_t i = 1; i < segments; i++) {
    for (int64_t d = 0; d < l->dim; d++) l->sums[d] += l->sums[i * l->dim + d];
    l->squares[0] += l->squares[i];
  }
}

mcl_status mcli_survey(mcl_context *c, const mcli_sweep *s, int32_t metric, float *norms,
                       double *variance, double *squares, mcl_error *err) {
  look l = {.context = c, .norms = norms, .dim = s->rows.dim, .metric = metric};
  uint32_t segments = s->grid.segments;
  l.sums = MCLI_NEW0(c, double, segments *l.dim);
  l.squares = MCLI_NEW0(c, double, segments);
  mcl_status status = l.sums && l.squares ? MCL_OK : mcli_nomem(err, "the sums of columns");
  if (status == MCL_OK) status = mcli_sweep_run(s, look_block, NULL, &l, err);
  status = mcli_sweep_share(s, status, l.sums, l.dim, err);
  status = mcli_sweep_share(s, status, l.squares, 1, err);
  if (status == MCL_OK) {
    add_segments(&l, segments);
    double n = (double)s->rows.rows, square = 0;
    for (int64_t d = 0; d < l.dim; d++) square += l.sums[d] / n * (l.sums[d] / n);
    *variance = (l.squares[0] / n - square) / (double)l.dim; // (2)
    if (!(*variance > 0)) *variance = 0;
    *squares = l.squares[0];
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

// Rows of this rank.
static mcl_status count_mine(mcl_context *c, const mcli_sweep *s, int32_t metric, int64_t most,
                             hashes *h, float *row, mcl_error *err) {
  mcl_status status = MCL_OK;
  for (int64_t at = 0; at < s->n && h->n < most && status == MCL_OK; at += MCLI_SWEEP_BLOCK) {
    const float *x;
    int64_t n = s->n - at < MCLI_SWEEP_BLOCK ? s->n - at : MCLI_SWEEP_BLOCK;
    status = mcli_rows_block(&s->rows, s->first + at, n, s->buffers, s->scratch, &x, err);
    if (status == MCL_OK) add_rows(c, h, x, n, s->rows.dim, metric, row, most);
  }
  return status;
}

// Every rank's hashes, from first[r] on, where none of them has found enough by itself.
static mcl_status join(mcl_context *c, const mcli_sweep *s, const int64_t *first, hashes *h,
                       int64_t most, mcl_error *err) {
  int32_t size = mcl_comm_size(s->comm), rank = mcl_comm_rank(s->comm);
  uint64_t *all = MCLI_NEW(c, uint64_t, first[size]);
  mcl_status status = all ? MCL_OK : mcli_nomem(err, "distinct rows");
  int64_t to = first[rank];
  for (uint64_t i = 0; all && i <= h->mask; i++)
    if (h->at[i] != 0) all[to++] = h->at[i];
  status = mcli_comm_gather_parts(s->comm, status, first, all, (int64_t)sizeof *all, err);
  for (int64_t i = 0; status == MCL_OK && i < first[size] && h->n < most; i++) add_hash(h, all[i]);
  mcli_free(c, all);
  return status;
}

static mcl_status count_all(mcl_context *c, const mcli_sweep *s, mcl_status status, hashes *h,
                            int64_t most, mcl_error *err) {
  int32_t size = mcl_comm_size(s->comm);
  int64_t *first = s->cuts, found = 0, mine = h->n;
  status = mcli_comm_gather(s->comm, status, &mine, first + 1, (int64_t)sizeof mine, err);
  if (status < 0) return status;
  first[0] = 0;
  for (int32_t r = 1; r <= size; r++) {
    if (first[r] > found) found = first[r];
    first[r] += first[r - 1];
  }
  if (found < most) return join(c, s, first, h, most, err);
  h->n = most;
  return MCL_OK;
}

mcl_status mcli_count_distinct(mcl_context *c, const mcli_sweep *s, int32_t metric, int64_t most,
                               int64_t *distinct, mcl_error *err) {
  hashes h = {.mask = 1};
  while (h.mask < 2 * (uint64_t)most) h.mask *= 2;
  h.at = MCLI_NEW0(c, uint64_t, h.mask);
  h.mask--;
  float *row = MCLI_NEW(c, float, s->rows.dim);
  mcl_status status = h.at && row ? MCL_OK : mcli_nomem(err, "distinct rows");
  if (status == MCL_OK) status = count_mine(c, s, metric, most, &h, row, err);
  if (s->shares) status = count_all(c, s, status, &h, most, err);
  *distinct = h.n;
  mcli_free(c, h.at);
  mcli_free(c, row);
  return status;
}
