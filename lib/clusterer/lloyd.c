// The two ways in which centroids move, over the same pass (pass.c).
//
// Lloyd:        label all rows; each centroid becomes the mean of its rows; until nothing changes.
// Mini-batches: (Sculley 2010) each step moves c_j towards every new member by 1 / (members so far).
//               That is the mean of all members so far, so sums and counts that are never taken
//               back do it, with every row of a batch new.
#include <math.h>

#include "clusterer/train.h"

static int has_empty(const mcli_state *s) {
  for (int32_t j = 0; j < s->centres->k; j++)
    if (s->counts[j] == 0) return 1;
  return 0;
}

// Mends clusters that are empty. Farthest rows are found by distances, which a bounded pass leaves
// stale: so once more, all rows.
static mcl_status mend(mcli_training *t, int stale, mcl_error *err) {
  mcli_state *s = &t->state;
  int64_t changed = s->changed, repairs = s->repairs;
  mcl_status status = MCL_OK;
  if (stale && t->options->empty != MCL_EMPTY_SHRINK_K) {
    s->bounded = 0;
    status = mcli_pass(t, &t->members, err);
    s->changed += changed;
  }
  if (status == MCL_OK) status = mcli_repair(t->context, t->options->empty, &t->members, s, 1, err);
  // A centroid that was put elsewhere may be nearer to any row.
  s->bounded = s->repairs == repairs;
  return status;
}

// sum |x - c|^2 = sum |x|^2 - sum_j gain_j over rows in their clusters, see pass.c (3).
static double inertia(const mcli_training *t) {
  const mcli_state *s = &t->state;
  double gain = 0, n = (double)t->members.sweep->rows.rows, mean;
  for (int32_t j = 0; j < s->centres->k; j++) gain += s->gains[j];
  mean = s->centres->metric == MCL_COSINE ? 2 - 2 * gain / n : (t->squares - gain) / n;
  return mean > 0 ? mean : 0;
}

mcl_status mcli_lloyd(mcli_training *t, mcl_error *err) {
  const mcl_kmeans_options *o = t->options;
  mcli_state *s = &t->state;
  int64_t mine = t->members.sweep->n;
  for (int64_t i = 0; i < mine; i++) t->members.labels[i] = -1;
  for (s->iterations = 1;; s->iterations++) {
    t->told = (int64_t)t->restart * o->max_iterations + s->iterations - 1;
    mcl_status status = mcli_pass(t, &t->members, err);
    int64_t repairs = s->repairs;
    int stale = s->bounded;
    s->bounded = 1;
    if (status == MCL_OK && has_empty(s)) status = mend(t, stale, err);
    double moved = 0;
    if (status == MCL_OK) status = mcli_update(t, &moved, err);
    if (status < 0) return status;
    s->inertia = inertia(t);
    status = mcli_watch_tell(t->watch, t->told, s->inertia, err);
    if (status < 0) return status;
    s->converged =
        s->repairs == repairs && (s->changed == 0 || moved <= o->tolerance * t->variance);
    if (s->converged || s->iterations == o->max_iterations) return MCL_OK;
  }
}

// Ten steps: batches differ, and one that is worse than the last says nothing.
enum { PATIENCE = 10 };

int64_t mcli_batch_rows(const mcl_kmeans_options *o, int64_t rows) {
  return o->minibatch_rows < rows ? o->minibatch_rows : rows;
}

// Lengths of gathered rows: those that this process has looked up already, where it has them all.
static mcl_status find_norms(const mcli_training *t, const int64_t *at, const float *x, int64_t n,
                             float *norms, mcl_error *err) {
  const mcli_sweep *rows = t->members.sweep;
  if (rows->shares) return mcli_row_norms(t->context, x, at[0], n, rows->rows.dim, norms, err);
  for (int64_t i = 0; i < n; i++) norms[i] = t->members.norms[at[i]];
  return MCL_OK;
}

static mcl_status minibatch_step(mcli_training *t, const mcli_sweep *rows, int64_t step,
                                 int64_t *at, float *x, float *norms, int32_t *labels,
                                 float *distances, mcl_error *err) {
  int64_t all = rows->rows.rows, dim = rows->rows.dim;
  int64_t n = mcli_batch_rows(t->options, all);
  mcli_sweep_draw(t->options->seed, t->restart, (uint64_t)(MCLI_DRAW_BATCH + step), all, n, at);
  mcl_status status = mcli_sweep_gather(rows, MCL_OK, at, n, x, err);
  if (status == MCL_OK) status = find_norms(t, at, x, n, norms, err);
  if (status < 0) return status;
  mcl_array array = mcl_matrix_f32(x, n, dim);
  mcl_rows opened = rows->rows;
  opened.array = &array;
  opened.rows = n;
  opened.dtype = MCL_F32;
  mcli_sweep batch;
  status = mcli_sweep_open(t->context, NULL, &opened, &batch, err);
  if (status < 0) return status;
  batch.finite = 1;
  for (int64_t i = 0; i < n; i++) labels[i] = -1;
  mcli_members members = {&batch, norms, labels, distances, {NULL, NULL}};
  status = mcli_pass(t, &members, err);
  mcli_sweep_close(&batch);
  double moved;
  return status < 0 ? status : mcli_update(t, &moved, err);
}

mcl_status mcli_minibatch(mcli_training *t, mcl_error *err) {
  const mcl_kmeans_options *o = t->options;
  const mcli_sweep *rows = t->members.sweep;
  mcl_context *c = t->context;
  int64_t all = rows->rows.rows, n = mcli_batch_rows(o, all);
  int64_t *at = MCLI_NEW(c, int64_t, n);
  float *x = MCLI_NEW(c, float, n * rows->rows.dim), *norms = MCLI_NEW(c, float, n);
  float *distances = MCLI_NEW(c, float, n);
  int32_t *labels = MCLI_NEW(c, int32_t, n);
  mcl_status status =
      at && x && norms && distances && labels ? MCL_OK : mcli_nomem(err, "a mini-batch");
  // A batch of b out of n rows is weighted 2 b / n in the smoothed inertia, as in scikit-learn.
  double smooth = NAN, least = INFINITY, weight = 2.0 * (double)n / (double)(all + 1);
  int64_t most = (int64_t)ceil((double)o->max_iterations * (double)all / (double)n), waited = 0;
  mcli_state *s = &t->state;
  if (weight > 1) weight = 1;
  for (int64_t step = 0; status == MCL_OK && step < most && !s->converged; step++) {
    s->iterations = (int32_t)((double)step * (double)n / (double)all) + 1;
    t->told = (int64_t)t->restart * o->max_iterations + s->iterations - 1;
    status = minibatch_step(t, rows, step, at, x, norms, labels, distances, err);
    smooth = step == 0 ? s->inertia : smooth + weight * (s->inertia - smooth);
    waited = smooth < least * (1 - o->tolerance) ? 0 : waited + 1;
    if (smooth < least) least = smooth;
    s->converged = waited >= PATIENCE;
  }
  s->inertia = smooth;
  mcli_free(c, at);
  mcli_free(c, x);
  mcli_free(c, norms);
  mcli_free(c, distances);
  mcli_free(c, labels);
  return status;
}
