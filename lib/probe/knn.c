// kNN probe: is a row's label that of its neighbours?
//
//   s_ij = <q_i, z_j> / |q_i| |z_j|                                             (1)
//   the k rows of largest s_ij, the lower j first among equals                   (2)
//   the label with the most of them; among those the one that comes first in (2)  (3)
//
// Training rows go by slab by slab, in rising order (cross.h): a list of the k best of each query takes in what beats its last.
// A heap was rejected: after the first tiles an insertion is rare, and a sorted list is what (3) needs.
#include <string.h>

#include "math/rows.h"
#include "probe/cross.h"

typedef struct neighbour {
  float score;
  int32_t votes; // scratch of the vote
  int64_t row;
} neighbour;

typedef struct knn {
  mcl_context *context;
  const mcli_rows_kernels *kernels;
  const int32_t *y, *test_y;
  int64_t dim, k;
  neighbour *nearest; // [chunk, k], sorted
  int64_t *correct;   // [workers]
} knn;

// Where a score goes into a sorted list of n: behind all that are at least as large, which came from lower rows.
static int64_t place(const neighbour *list, int64_t n, float score) {
  int64_t low = 0;
  while (low < n) {
    int64_t middle = (low + n) / 2;
    if (list[middle].score >= score)
      low = middle + 1;
    else
      n = middle;
  }
  return low;
}

// Takes `count` scores of rows first.. into the list of *n (at most k) best (2).
static void take(const knn *j, const float *scores, int64_t count, int64_t first, neighbour *list,
                 int64_t *n) {
  for (int64_t from = 0; from < count; from += PROBE_RUN) {
    int64_t run = count - from < PROBE_RUN ? count - from : PROBE_RUN;
    if (*n == j->k && !(j->kernels->max(scores + from, run) > list[j->k - 1].score)) continue;
    for (int64_t i = from; i < from + run; i++) {
      if (*n == j->k && !(scores[i] > list[j->k - 1].score)) continue;
      int64_t at = place(list, *n, scores[i]);
      if (*n < j->k) ++*n;
      memmove(list + at + 1, list + at, (size_t)(*n - at - 1) * sizeof *list);
      list[at] = (neighbour){scores[i], 0, first + i};
    }
  }
}

// (3). Votes are counted at a label's first voter: k is small, so looking back is cheaper than a table.
static int32_t vote(neighbour *list, int64_t n, const int32_t *y) {
  int64_t best = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t of = 0;
    while (y[list[of].row] != y[list[i].row]) of++;
    list[of].votes++;
  }
  for (int64_t i = 1; i < n; i++)
    if (list[i].votes > list[best].votes) best = i;
  return y[list[best].row];
}

static void knn_block(void *job, const mcli_cross_block *b) {
  knn *j = job;
  neighbour *nearest = j->nearest + b->place * j->k;
  int64_t full = b->from < j->k ? b->from : j->k; // every list has taken in as many rows
  for (int64_t column = 0; column < b->rows; column += PROBE_TILE) {
    int64_t m = b->rows - column < PROBE_TILE ? b->rows - column : PROBE_TILE, after = full;
    int64_t wide = mcli_probe_tile(j->context, b->queries, b->n, j->dim, b->slab, column, b->rows,
                                   b->scores); // (1)
    for (int64_t i = 0; i < b->n; i++) {
      after = full;
      take(j, b->scores + i * wide, m, b->from + column, nearest + i * j->k, &after);
    }
    full = after;
  }
  if (!b->last_slab) return;
  for (int64_t i = 0; i < b->n; i++)
    j->correct[b->worker] += vote(nearest + i * j->k, j->k, j->y) == j->test_y[b->first + i];
}

static mcl_status allocate(knn *j, int64_t chunk, mcl_error *err) {
  int64_t lists;
  if (!mcli_mul(chunk, j->k, &lists)) return mcli_fail(err, MCL_E_LIMIT, "neighbours is too large");
  j->nearest = MCLI_NEW(j->context, neighbour, lists);
  j->correct = MCLI_NEW0(j->context, int64_t, mcli_workers(j->context));
  return j->nearest && j->correct ? MCL_OK : mcli_nomem(err, "the kNN probe");
}

static mcl_status run(knn *j, mcli_source *train, mcli_source *test, mcli_watch *watch,
                      int64_t *correct, mcl_error *err) {
  static const mcli_cross_fn round[] = {knn_block};
  mcli_cross x = {0};
  mcl_status s = mcli_source_start(train, train->rows.rows, 0, err);
  if (s == MCL_OK) s = mcli_source_start(test, test->rows.rows, 0, err);
  if (s == MCL_OK) s = mcli_cross_open(&x, test, train, j->k * (int64_t)sizeof(neighbour), err);
  if (s == MCL_OK) s = allocate(j, x.chunk, err);
  if (s == MCL_OK) s = mcli_cross_run(&x, round, 1, j, watch, err);
  *correct = 0;
  for (uint32_t w = 0; s == MCL_OK && w < mcli_workers(j->context); w++) *correct += j->correct[w];
  mcli_free(j->context, j->nearest);
  mcli_free(j->context, j->correct);
  mcli_cross_close(&x);
  mcli_source_stop(train);
  mcli_source_stop(test);
  return s;
}

mcl_status mcl_probe_knn_rows(mcl_context *context, const mcl_probe_options *options,
                              const mcl_rows *z, const int32_t *y, const mcl_rows *test_z,
                              const int32_t *test_y, const mcl_monitor *monitor,
                              mcl_probe_result *out, mcl_error *err) {
  mcl_probe_options o;
  mcli_watch watch;
  mcli_source train, test;
  int64_t correct = 0;
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK) s = mcli_probe_halves_open(context, z, y, test_z, test_y, &train, &test, err);
  if (s == MCL_OK) s = mcli_probe_result_check(out, err);
  if (s == MCL_OK) s = mcli_watch_begin(&watch, monitor, "test", test.rows.rows, err);
  if (s != MCL_OK) return s;
  knn j = {.context = context,
           .kernels = mcli_rows_kernels_of(context),
           .y = y,
           .test_y = test_y,
           .dim = train.rows.dim,
           .k = o.neighbours < train.rows.rows ? o.neighbours : train.rows.rows};
  s = run(&j, &train, &test, &watch, &correct, err);
  if (s == MCL_OK) {
    mcl_probe_result r = mcli_probe_share(correct, test.rows.rows, o.confidence);
    s = mcli_struct_out(out, &r, sizeof r, "out", err);
  }
  return s == MCL_OK ? mcl_ok(err) : s;
}

mcl_status mcl_probe_knn(mcl_context *context, const mcl_probe_options *options, const mcl_array *z,
                         const int32_t *y, const mcl_array *test_z, const int32_t *test_y,
                         const mcl_monitor *monitor, mcl_probe_result *out, mcl_error *err) {
  mcl_rows train, test;
  return mcl_probe_knn_rows(context, options, mcli_source_of(z, &train), y,
                            mcli_source_of(test_z, &test), test_y, monitor, out, err);
}
