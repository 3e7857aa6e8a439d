// kNN probe: is a row's label that of its neighbours?
//
//   s_ij = <q_i, z_j> / |q_i| |z_j|                                             (1)
//   the k rows of largest s_ij, the lower j first among equals                   (2)
//   the label with the most of them; among those the one that comes first in (2)  (3)
//
// A task takes a block of queries through all training rows, tile by tile (probe.h): a list of the k best of each query
// takes in what beats its last. A heap was rejected: after the first tiles an insertion is rare, and a sorted list is what
// (3) needs.
#include <string.h>

#include "math/rows.h"
#include "probe/probe.h"

// Blocks of queries between two looks at the monitor.
enum { BLOCKS_A_LOOK = 16 };

typedef struct neighbour {
  float score;
  int32_t votes; // scratch of the vote
  int64_t row;
} neighbour;

typedef struct knn {
  mcl_context *context;
  const mcli_rows_kernels *kernels;
  const float *z, *queries; // packed and negated copies: their tiles are cosines
  const int32_t *y, *test_y;
  int64_t rows, tests, dim, k, first_block;
  float *scores;      // [workers, PROBE_QUERIES, PROBE_TILE]
  neighbour *nearest; // [workers, PROBE_QUERIES, k], sorted
  int64_t *correct;   // [blocks]
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

static void knn_task(void *job, uint32_t task, uint32_t worker) {
  knn *j = job;
  int64_t block = j->first_block + task, first = block * PROBE_QUERIES;
  int64_t n = j->tests - first < PROBE_QUERIES ? j->tests - first : PROBE_QUERIES, full = 0;
  float *scores = j->scores + (int64_t)worker * PROBE_QUERIES * PROBE_TILE;
  neighbour *nearest = j->nearest + (int64_t)worker * PROBE_QUERIES * j->k;
  for (int64_t column = 0; column < j->rows; column += PROBE_TILE) {
    int64_t m = j->rows - column < PROBE_TILE ? j->rows - column : PROBE_TILE, after = full;
    int64_t wide = mcli_probe_tile(j->context, j->queries + first * j->dim, n, j->dim, j->z, column,
                                   j->rows, scores); // (1)
    for (int64_t i = 0; i < n; i++) {
      after = full; // every list has taken in as many rows
      take(j, scores + i * wide, m, column, nearest + i * j->k, &after);
    }
    full = after;
  }
  int64_t correct = 0;
  for (int64_t i = 0; i < n; i++)
    correct += vote(nearest + i * j->k, j->k, j->y) == j->test_y[first + i];
  j->correct[block] = correct;
}

static mcl_status run(knn *j, mcli_watch *watch, int64_t *correct, mcl_error *err) {
  int64_t blocks = mcli_blocks(j->tests, PROBE_QUERIES);
  *correct = 0;
  for (int64_t b = 0; b < blocks; b += BLOCKS_A_LOOK) {
    int64_t n = blocks - b < BLOCKS_A_LOOK ? blocks - b : BLOCKS_A_LOOK;
    j->first_block = b;
    mcl_status s = mcli_parallel(j->context, (uint32_t)n, knn_task, j, err);
    int64_t done = (b + n) * PROBE_QUERIES < j->tests ? (b + n) * PROBE_QUERIES : j->tests;
    if (s == MCL_OK) s = mcli_watch_tell(watch, done, watch->now.loss, err);
    if (s < 0) return s;
  }
  for (int64_t b = 0; b < blocks; b++) *correct += j->correct[b];
  return MCL_OK;
}

static mcl_status allocate(knn *j, mcl_error *err) {
  int64_t lists;
  if (!mcli_mul(PROBE_QUERIES * (int64_t)mcli_workers(j->context), j->k, &lists))
    return mcli_fail(err, MCL_E_LIMIT, "neighbours is too large");
  j->scores = mcli_probe_scratch(j->context, PROBE_QUERIES * PROBE_TILE);
  j->nearest = MCLI_NEW(j->context, neighbour, lists);
  j->correct = MCLI_NEW0(j->context, int64_t, mcli_blocks(j->tests, PROBE_QUERIES));
  return j->scores && j->nearest && j->correct ? MCL_OK : mcli_nomem(err, "the kNN probe");
}

mcl_status mcl_probe_knn(mcl_context *context, const mcl_probe_options *options, const mcl_array *z,
                         const int32_t *y, const mcl_array *test_z, const int32_t *test_y,
                         const mcl_monitor *monitor, mcl_probe_result *out, mcl_error *err) {
  mcl_probe_options o;
  mcli_watch watch;
  float *rows = NULL, *queries = NULL;
  int64_t correct;
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK) s = mcli_probe_halves_check(z, y, test_z, test_y, err);
  if (s == MCL_OK) s = mcli_probe_result_check(out, err);
  if (s == MCL_OK) s = mcli_watch_begin(&watch, monitor, "test", test_z->shape[0], err);
  if (s < 0) return s;
  knn j = {.context = context,
           .kernels = mcli_rows_kernels_of(context),
           .y = y,
           .test_y = test_y,
           .rows = z->shape[0],
           .tests = test_z->shape[0],
           .dim = z->shape[1]};
  j.k = o.neighbours < j.rows ? o.neighbours : j.rows;
  s = mcli_probe_copy(context, z, "z", PROBE_PACKED, &rows, err);
  if (s == MCL_OK) s = mcli_probe_copy(context, test_z, "test_z", PROBE_NEGATED, &queries, err);
  j.z = rows;
  j.queries = queries;
  if (s == MCL_OK) s = allocate(&j, err);
  if (s == MCL_OK) s = run(&j, &watch, &correct, err);
  if (s == MCL_OK) {
    mcl_probe_result r = mcli_probe_share(correct, j.tests, o.confidence);
    s = mcli_struct_out(out, &r, sizeof r, "out", err);
  }
  mcli_free(context, rows);
  mcli_free(context, queries);
  mcli_free(context, j.scores);
  mcli_free(context, j.nearest);
  mcli_free(context, j.correct);
  return s == MCL_OK ? mcl_ok(err) : s;
}
