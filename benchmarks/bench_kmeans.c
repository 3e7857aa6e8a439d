// Whole fits of k-means from given rows as centres, and with greedy k-means++: one JSON line a
// case.
//
//   bench_kmeans [rows [dim [threads [idx-images-file]]]]
//
// Rows are a mixture of 100 groups that overlap; with a file, its images (IDX, unpacked) are
// measured too. The fastest of three. "ms_pass" is the fit divided by its passes, the last one over
// all rows counted.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libmcl/clusterer.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void check(mcl_status s, const mcl_error *err) {
  if (s == MCL_OK) return;
  fprintf(stderr, "%s: %s\n", mcl_status_name(s), err->message);
  exit(1);
}

static uint64_t state = 1;
static float draw(void) { // near normal: the sum of four uniform numbers, deviation 1
  float sum = 0;
  for (int i = 0; i < 4; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    sum += (float)(state >> 40) / 16777216.0f;
  }
  return (sum - 2) * 1.7320508f;
}

static float *mixture(int64_t rows, int32_t dim) {
  enum { GROUPS = 100 };
  float *centres = malloc(sizeof(float) * GROUPS * (size_t)dim);
  float *x = malloc(sizeof(float) * (size_t)rows * (size_t)dim);
  if (!centres || !x) exit(1);
  for (int64_t i = 0; i < (int64_t)GROUPS * dim; i++) centres[i] = 0.6f * draw();
  for (int64_t i = 0; i < rows; i++)
    for (int32_t d = 0; d < dim; d++) x[i * dim + d] = centres[i * 37 % GROUPS * dim + d] + draw();
  free(centres);
  return x;
}

static float *images(const char *path, int64_t *rows, int32_t *dim) {
  unsigned char head[16];
  FILE *f = fopen(path, "rb");
  if (!f || fread(head, 1, 16, f) != 16) return NULL;
  *rows = (int64_t)head[4] << 24 | head[5] << 16 | head[6] << 8 | head[7];
  *dim = (head[10] << 8 | head[11]) * (head[14] << 8 | head[15]);
  size_t n = (size_t)*rows * (size_t)*dim;
  unsigned char *bytes = malloc(n);
  float *x = malloc(n * sizeof *x);
  if (!bytes || !x || fread(bytes, 1, n, f) != n) exit(1);
  for (size_t i = 0; i < n; i++) x[i] = (float)bytes[i] / 255;
  free(bytes);
  fclose(f);
  return x;
}

static void measure(mcl_context *c, const char *name, float *x, int64_t rows, int32_t dim,
                    int32_t k, int32_t init, int threads) {
  mcl_error err;
  mcl_kmeans_options o;
  mcl_clusterer *clusterer;
  mcl_array view = mcl_matrix_f32(x, rows, dim), first = mcl_matrix_f32(x, k, dim);
  mcl_rows r;
  mcl_clusterer_report report;
  double best = 1e300;
  mcl_struct_init(&r, sizeof r);
  r.array = &view;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = k;
  o.metric = MCL_L2;
  o.init = init;
  o.restarts = 1;
  check(mcl_clusterer_create_kmeans(c, &o, NULL, &clusterer, &err), &err);
  if (init == MCL_INIT_GIVEN) check(mcl_clusterer_set_centroids(clusterer, &first, &err), &err);
  for (int i = 0; i < 3; i++) {
    double begun = now();
    check(mcl_clusterer_fit(clusterer, &r, NULL, &err), &err);
    double took = now() - begun;
    if (took < best) best = took;
  }
  mcl_struct_init(&report, sizeof report);
  check(mcl_clusterer_get_report(clusterer, &report, &err), &err);
  printf("{\"bench\":\"kmeans\",\"case\":\"%s-%d\",\"init\":\"%s\",\"rows\":%lld,\"dim\":%d,"
         "\"threads\":%d,"
         "\"ours_ms\":%.2f,\"ms_pass\":%.2f,\"iterations\":%d,\"inertia\":%.6f}\n",
         name, (int)k, init == MCL_INIT_GIVEN ? "given" : "kmeans++", (long long)rows, (int)dim,
         threads, best, best / (report.iterations + 1), (int)report.iterations, report.inertia);
  fflush(stdout);
  mcl_clusterer_unref(clusterer);
}

int main(int argc, char **argv) {
  int64_t rows = argc > 1 ? atoll(argv[1]) : 100000;
  int32_t dim = argc > 2 ? atoi(argv[2]) : 128;
  int threads = argc > 3 ? atoi(argv[3]) : 2;
  mcl_context_options o;
  mcl_context *c;
  mcl_error err;
  if (rows < 1000 || dim < 1 || threads < 1) return 2;
  mcl_context_options_init(&o, sizeof o);
  o.threads = (uint32_t)threads;
  check(mcl_context_create(&o, &c, &err), &err);
  float *x = mixture(rows, dim);
  measure(c, "mixture", x, rows, dim, 10, MCL_INIT_GIVEN, threads);
  measure(c, "mixture", x, rows, dim, 100, MCL_INIT_GIVEN, threads);
  measure(c, "mixture", x, rows, dim, 100, MCL_INIT_KMEANSPP, threads);
  free(x);
  x = argc > 4 ? images(argv[4], &rows, &dim) : NULL;
  if (x) {
    measure(c, "images", x, rows, dim, 10, MCL_INIT_GIVEN, threads);
    measure(c, "images", x, rows, dim, 100, MCL_INIT_GIVEN, threads);
    measure(c, "images", x, rows, dim, 100, MCL_INIT_KMEANSPP, threads);
    free(x);
  }
  mcl_context_unref(c);
  return 0;
}
