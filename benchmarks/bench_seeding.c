// Where k-means starts: k-means++, 1000 centres on 500,000 rows of 128, the mixture of
// bench_kmeans.c. Looks inside the library, where seeding is a part of a fit. The fastest of three.
//
// libmcl draws from a sample, of 64 rows a centre, scikit-learn's kmeans_plusplus() from all rows.
// So the answers are compared on all rows: "inertia" is the mean squared distance of a row to the
// nearest of the centres that were chosen.
#include <stdlib.h>
#include <string.h>

#include <libmcl/clusterer.h>

#include "bench.h"
#include "clusterer/seeding.h"
#include "math/array.h"

enum { ROWS = 500000, DIM = 128, CENTRES = 1000, QUICK_ROWS = 5000, TIMES = 3 };

static mcl_error err;

static void seed(void *work) {
  mcli_training *t = work;
  memset(t->state.alive, 0, (size_t)t->options->k);
  bench_check(mcli_seed(t, &err), &err);
}

static double inertia(mcl_context *context, const mcl_kmeans_options *o, const mcl_rows *rows,
                      int64_t n, float *centres) {
  mcl_clusterer *clusterer;
  mcl_array first = mcl_matrix_f32(centres, o->k, DIM);
  int32_t *labels = bench_alloc(n, sizeof *labels);
  double *distances = bench_alloc(n, sizeof *distances), sum = 0;
  bench_check(mcl_clusterer_create_kmeans(context, o, NULL, &clusterer, &err), &err);
  bench_check(mcl_clusterer_set_centroids(clusterer, &first, &err), &err);
  bench_check(mcl_clusterer_assign(clusterer, rows, NULL, labels, distances, &err), &err);
  for (int64_t i = 0; i < n; i++) sum += distances[i];
  mcl_clusterer_unref(clusterer);
  free(labels), free(distances);
  return sum / (double)n;
}

int main(int argc, char **argv) {
  bench_case c;
  bench_start(argc, argv);
  if (!bench_wanted(&c, "seeding", "mixture-%d", CENTRES)) return 0;
  int64_t n = bench.quick ? QUICK_ROWS : ROWS;
  bench_inputs(&c, ",\"rows\":%lld,\"dim\":%d,\"k\":%d", (long long)n, DIM, CENTRES);
  float *x = bench_mixture(n, DIM);
  mcl_array all = mcl_matrix_f32(x, n, DIM);
  mcl_rows rows, open;
  mcl_struct_init(&rows, sizeof rows);
  rows.array = &all;
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = CENTRES;
  o.metric = MCL_L2;
  mcl_context *context = bench_context(&c);
  mcli_watch watch;
  mcli_sweep sweep = {0};
  bench_check(mcli_rows_open(&rows, "rows", &open, &err), &err);
  bench_check(mcli_sweep_open(context, NULL, &open, &sweep, &err), &err);
  bench_check(mcli_watch_begin(&watch, NULL, "seed", CENTRES, &err), &err);
  mcli_training t = {.context = context, .options = &o, .watch = &watch};
  t.members.sweep = &sweep;
  bench_check(mcli_state_open(context, o.k, DIM, o.metric, 1, &t.state, &err), &err);
  bench_result r = bench_fastest(&c, TIMES, seed, &t);
  bench_line(&c, &r, ",\"inertia\":%.6f", inertia(context, &o, &rows, n, t.state.centres->rows));
  mcli_state_close(context, &t.state);
  mcli_sweep_close(&sweep);
  mcl_context_unref(context);
  free(x);
  return 0;
}
