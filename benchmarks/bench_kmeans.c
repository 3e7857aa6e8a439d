// Whole fits of k-means from the first k rows as centres: "fashion-K", the training images of
// Fashion-MNIST (where Debian's dataset-fashion-mnist is installed), and "mixture-K", 500,000 rows
// of 128 in 100 groups that overlap. The fastest of three.
//
// At k = 10 and 100 a fit has at most 100 passes, at k = 1000 at most 30, which keeps scikit-learn
// under a minute a fit; it then stops there without having converged, as we do.
//
// "minibatch": the same rows and centres by mini-batches of 4096 rows, until no batch is better than
// those before, and all rows labelled. Who stops earlier must not have found less: "inertia".
#include <stdlib.h>
#include <zlib.h>

#include <libmcl/clusterer.h>

#include "bench.h"

enum { ROWS = 500000, DIM = 128, QUICK_ROWS = 5000, TIMES = 3 };

static const char fashion[] = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz";

typedef struct fit {
  mcl_clusterer *clusterer;
  mcl_rows rows;
} fit;

static void call(void *work) {
  fit *f = work;
  mcl_error err;
  bench_check(mcl_clusterer_fit(f->clusterer, &f->rows, NULL, &err), &err);
}

// NULL where there are none.
static float *images(int64_t *rows, int32_t *dim) {
  enum { HEAD = 16, SIDE = 28, IMAGES = 60000 };
  unsigned char head[HEAD], image[SIDE * SIDE];
  gzFile f = gzopen(fashion, "rb");
  if (!f) return NULL;
  *rows = bench.quick ? QUICK_ROWS : IMAGES;
  *dim = SIDE * SIDE;
  float *x = bench_alloc(*rows * *dim, sizeof *x);
  int whole = gzread(f, head, HEAD) == HEAD;
  for (int64_t i = 0; i < *rows && whole; i++) {
    whole = gzread(f, image, sizeof image) == (int)sizeof image;
    for (int32_t d = 0; d < *dim; d++) x[i * *dim + d] = (float)image[d] / 255;
  }
  gzclose(f);
  if (whole) return x;
  free(x);
  return NULL;
}

static void measure(bench_case *c, int32_t method, float *x, int64_t rows, int32_t dim, int32_t k) {
  mcl_error err;
  mcl_kmeans_options o;
  fit f;
  mcl_array all = mcl_matrix_f32(x, rows, dim), first = mcl_matrix_f32(x, k, dim);
  mcl_clusterer_report report;
  mcl_struct_init(&f.rows, sizeof f.rows);
  f.rows.array = &all;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = k;
  o.method = method;
  o.metric = MCL_L2;
  o.init = MCL_INIT_GIVEN;
  o.max_iterations = k < 1000 ? 100 : 30;
  if (method == MCL_MINIBATCH) o.tolerance = 0; // any gain counts, as in scikit-learn
  bench_inputs(c, ",\"rows\":%lld,\"dim\":%d,\"k\":%d,\"max_iterations\":%d", (long long)rows,
               (int)dim, (int)k, (int)o.max_iterations);
  mcl_context *context = bench_context(c);
  bench_check(mcl_clusterer_create_kmeans(context, &o, NULL, &f.clusterer, &err), &err);
  bench_check(mcl_clusterer_set_centroids(f.clusterer, &first, &err), &err);
  bench_result r = bench_fastest(c, TIMES, call, &f);
  mcl_struct_init(&report, sizeof report);
  bench_check(mcl_clusterer_get_report(f.clusterer, &report, &err), &err);
  bench_line(c, &r, ",\"iterations\":%d,\"inertia\":%.6f", (int)report.iterations, report.inertia);
  mcl_clusterer_unref(f.clusterer);
  mcl_context_unref(context);
}

static const int32_t ks[] = {10, 100, 1000};

static void cases(const char *name, int32_t method) {
  for (int i = 0; i < 6; i++) {
    int32_t k = ks[i % 3], dim = DIM;
    int64_t rows = bench.quick ? QUICK_ROWS : ROWS;
    bench_case c;
    if (!bench_wanted(&c, name, "%s-%d", i < 3 ? "fashion" : "mixture", (int)k)) continue;
    float *x = i < 3 ? images(&rows, &dim) : bench_mixture(rows, dim);
    if (x) measure(&c, method, x, rows, dim, k);
    free(x);
  }
}

int main(int argc, char **argv) {
  bench_start(argc, argv);
  cases("kmeans", MCL_LLOYD);
  cases("minibatch", MCL_MINIBATCH);
  return 0;
}
