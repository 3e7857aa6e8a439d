// Rows larger than memory: writes a .npy of some GiB, clusters it within some MiB, and says how
// much memory the process had at most. By hand: scripts/large.sh.
//
//   large FILE GIB MIB K [caller]
//   large ROWS
//   large ROWS K
//
// Rows of 128 float32 in 100 groups that overlap. The file is removed at the end. Its pages stay in
// the system's cache as far as there is room, which is no memory of the process.
//
// caller: as if only the calling thread might read, which it then does ahead, beside the work.
//
// ROWS: that many rows of 4 that are nowhere but in a formula, by which sizes, centroids and inertia
// are known: do counts and sums hold where float32 and int32 end? 12 bytes of memory a row.
//
// ROWS K: that many rows of 16, random and nowhere either; two stages of K clusters each get labels, the
// sampler both, and an epoch's batches are drawn.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <libmcl/clusterer.h>
#include <libmcl/context.h>
#include <libmcl/rows.h>
#include <libmcl/sampler.h>

#include "bench.h"

enum { DIM = 128, BLOCK = 4096, GROUPS = 100 };

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// A line of /proc/self/status, in MiB.
static double mib_of(const char *name) {
  char line[256], format[64];
  double kib = 0;
  FILE *f = fopen("/proc/self/status", "r");
  snprintf(format, sizeof format, "%s: %%lf", name);
  while (f && fgets(line, sizeof line, f)) sscanf(line, format, &kib);
  if (f) fclose(f);
  return kib / 1024;
}

static uint64_t state = 1;
static float unit(void) {
  return (float)(bench_next(&state) >> 40) / 16777216;
}

static void write_rows(mcl_context *context, const char *path, int64_t rows) {
  static float centres[GROUPS][DIM], x[BLOCK][DIM];
  mcl_npy *file = NULL;
  mcl_error err;
  for (int g = 0; g < GROUPS; g++)
    for (int d = 0; d < DIM; d++) centres[g][d] = unit();
  bench_check(mcl_npy_create(context, path, MCL_F32, rows, DIM, &file, &err), &err);
  for (int64_t first = 0; first < rows; first += BLOCK) {
    int64_t n = rows - first < BLOCK ? rows - first : BLOCK;
    for (int64_t i = 0; i < n; i++) {
      const float *c = centres[(int)(unit() * GROUPS)];
      for (int d = 0; d < DIM; d++) x[i][d] = c[d] + 2 * unit();
    }
    mcl_array a = mcl_matrix_f32(x[0], n, DIM);
    bench_check(mcl_npy_write(file, first, &a, &err), &err);
  }
  bench_check(mcl_npy_commit(file, &err), &err);
  mcl_npy_unref(file);
}

// ---- rows of a formula --------------------------------------------------------------------------

// Row i is of group i mod 3, at 1000 times that in every coordinate, and one to its left or right in
// turn: each centroid is its group's place, each row at distance 4 from it, squared.
enum { FORMULA_DIM = 4, FORMULA_GROUPS = 3, APART = 1000 };

static mcl_status read_formula(void *user, int64_t first, int64_t n, const mcl_array *out,
                               mcl_error *err) {
  float *x = out->data;
  (void)user;
  for (int64_t i = first; i < first + n; i++)
    for (int d = 0; d < FORMULA_DIM; d++)
      *x++ = (float)(i % FORMULA_GROUPS * APART + (i / FORMULA_GROUPS % 2 ? 1 : -1));
  return mcl_ok(err);
}

static int wrong(const char *what, double got, double wanted) {
  if (got == wanted) return 0;
  fprintf(stderr, "%s: %.17g, not %.17g\n", what, got, wanted);
  return 1;
}

static int run_formula(mcl_context *context, int64_t rows) {
  float start[FORMULA_GROUPS][FORMULA_DIM], found[FORMULA_GROUPS][FORMULA_DIM];
  int64_t sizes[FORMULA_GROUPS];
  mcl_clusterer *clusterer = NULL;
  mcl_error err;
  mcl_rows all;
  mcl_kmeans_options o;
  mcl_clusterer_report report;
  double began = seconds();
  rows -= rows % (2 * FORMULA_GROUPS); // as many to the left as to the right
  for (int g = 0; g < FORMULA_GROUPS; g++)
    for (int d = 0; d < FORMULA_DIM; d++) start[g][d] = (float)(g * APART + 100 + d);
  mcl_struct_init(&all, sizeof all);
  all.rows = rows;
  all.dim = FORMULA_DIM;
  all.dtype = MCL_F32;
  all.read = read_formula;
  all.flags = MCL_ROWS_ANY_THREAD;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = FORMULA_GROUPS;
  o.metric = MCL_L2;
  o.init = MCL_INIT_GIVEN;
  o.max_bytes = rows * 12 + (64 << 20);
  mcl_array a = mcl_matrix_f32(start[0], FORMULA_GROUPS, FORMULA_DIM),
            b = mcl_matrix_f32(found[0], FORMULA_GROUPS, FORMULA_DIM);
  bench_check(mcl_clusterer_create_kmeans(context, &o, NULL, &clusterer, &err), &err);
  bench_check(mcl_clusterer_set_centroids(clusterer, &a, &err), &err);
  bench_check(mcl_clusterer_fit(clusterer, &all, NULL, &err), &err);
  bench_check(mcl_clusterer_centroids(clusterer, &b, &err), &err);
  bench_check(mcl_clusterer_sizes(clusterer, sizes, FORMULA_GROUPS, &err), &err);
  mcl_struct_init(&report, sizeof report);
  bench_check(mcl_clusterer_get_report(clusterer, &report, &err), &err);
  int bad = wrong("inertia", report.inertia, FORMULA_DIM);
  for (int g = 0; g < FORMULA_GROUPS; g++) {
    bad += wrong("a size", (double)sizes[g], (double)(rows / FORMULA_GROUPS));
    for (int d = 0; d < FORMULA_DIM; d++) bad += wrong("a centroid", found[g][d], g * APART);
  }
  printf("{\"rows\":%lld,\"dim\":%d,\"k\":%d,\"fit_s\":%.0f,\"passes\":%d,\"wrong\":%d,"
         "\"peak_mib\":%.0f}\n",
         (long long)rows, FORMULA_DIM, FORMULA_GROUPS, seconds() - began, (int)report.iterations,
         bad, mib_of("VmHWM"));
  mcl_clusterer_unref(clusterer);
  return bad != 0;
}

// ---- what a stage does with many rows ---------------------------------------------------------

enum { WIDE = 16, STAGES = 2, BATCH_ROWS = 4096 };

// Of stage *user: a function of row and place, which is all that k-means asks for.
static mcl_status read_random(void *user, int64_t first, int64_t n, const mcl_array *out,
                              mcl_error *err) {
  float *x = out->data;
  uint64_t stage = (uint64_t) * (const int *)user;
  for (int64_t i = first; i < first + n; i++) {
    uint64_t s = (uint64_t)i * 0x9e3779b97f4a7c15u + stage;
    for (int d = 0; d < WIDE; d++) *x++ = (float)(bench_next(&s) >> 40) / 16777216 - 0.5F;
  }
  return mcl_ok(err);
}

static double told_at;
static void tell(const char *what, int64_t rows) {
  double now = seconds();
  printf("{\"step\":\"%s\",\"rows\":%lld,\"s\":%.2f,\"ns_a_row\":%.1f,\"now_mib\":%.0f,"
         "\"peak_mib\":%.0f}\n",
         what, (long long)rows, now - told_at, 1e9 * (now - told_at) / (double)rows,
         mib_of("VmRSS"), mib_of("VmHWM"));
  fflush(stdout);
  told_at = seconds();
}

static void label_stage(mcl_context *context, int stage, int64_t rows, int32_t k, int32_t *labels) {
  mcl_error err;
  mcl_rows all;
  mcl_clusterer *clusterer = NULL;
  mcl_kmeans_options o;
  float *centroids = malloc((size_t)k * WIDE * sizeof *centroids);
  for (int i = 0; i < k * WIDE; i++) centroids[i] = unit() - 0.5F;
  mcl_struct_init(&all, sizeof all);
  all.rows = rows;
  all.dim = WIDE;
  all.dtype = MCL_F32;
  all.user = &stage;
  all.read = read_random;
  all.flags = MCL_ROWS_ANY_THREAD;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = k;
  o.metric = MCL_L2;
  mcl_array a = mcl_matrix_f32(centroids, k, WIDE);
  bench_check(mcl_clusterer_create_kmeans(context, &o, NULL, &clusterer, &err), &err);
  bench_check(mcl_clusterer_set_centroids(clusterer, &a, &err), &err);
  bench_check(mcl_clusterer_assign(clusterer, &all, NULL, labels, NULL, &err), &err);
  mcl_clusterer_unref(clusterer);
  free(centroids);
}

static void run_stages(mcl_context *context, int64_t rows, int32_t k) {
  static int64_t indices[BATCH_ROWS];
  mcl_error err;
  mcl_sampler *sampler = NULL;
  mcl_sampler_options o;
  mcl_batch batch;
  int32_t *labels = malloc((size_t)rows * sizeof *labels);
  mcl_sampler_options_init(&o, sizeof o);
  o.batch_rows = BATCH_ROWS;
  told_at = seconds();
  bench_check(mcl_sampler_create(context, &o, rows, 0, 1, &sampler, &err), &err);
  for (int stage = 0; stage < STAGES && labels; stage++) {
    label_stage(context, stage, rows, k, labels);
    tell("labels", rows);
    bench_check(mcl_sampler_add_labels(sampler, stage, labels, rows, &err), &err);
    tell("sampler", rows);
  }
  free(labels);
  mcl_struct_init(&batch, sizeof batch);
  batch.indices = indices;
  batch.capacity = BATCH_ROWS;
  int64_t steps = mcl_sampler_steps(sampler), drawn = 0;
  for (int64_t step = 0; step < steps; step++) {
    bench_check(mcl_sampler_batch(sampler, 0, step, &batch, &err), &err);
    drawn += batch.n;
  }
  tell("epoch", drawn);
  mcl_sampler_unref(sampler);
}

int main(int argc, char **argv) {
  if (argc < 2 || argc == 4 || argc > 6) {
    fprintf(stderr, "large FILE GIB MIB K [caller]\nlarge ROWS\nlarge ROWS K\n");
    return 2;
  }
  int64_t rows =
      argc < 5 ? 0 : (int64_t)(atof(argv[2]) * (double)(1 << 30) / (DIM * sizeof(float)));
  mcl_context *context = NULL;
  mcl_clusterer *clusterer = NULL;
  mcl_npy *file = NULL;
  mcl_error err;
  mcl_rows all;
  mcl_kmeans_options o;
  mcl_clusterer_report report;
  bench_check(mcl_context_create(NULL, &context, &err), &err);
  if (argc == 2) {
    int bad = run_formula(context, atoll(argv[1]));
    mcl_context_unref(context);
    return bad;
  }
  if (argc == 3) {
    run_stages(context, atoll(argv[1]), atoi(argv[2]));
    mcl_context_unref(context);
    return 0;
  }
  double began = seconds();
  write_rows(context, argv[1], rows);
  double written = seconds(), start = mib_of("VmHWM");
  bench_check(mcl_npy_open(context, argv[1], &file, &err), &err);
  mcl_struct_init(&all, sizeof all);
  mcl_npy_rows(file, &all);
  if (argc == 6) all.flags = 0;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = atoi(argv[4]);
  o.metric = MCL_L2;
  o.restarts = 1;
  o.max_iterations = 20;
  o.max_bytes = (int64_t)atoi(argv[3]) << 20;
  bench_check(mcl_clusterer_create_kmeans(context, &o, NULL, &clusterer, &err), &err);
  mcl_status s = mcl_clusterer_fit(clusterer, &all, NULL, &err);
  double fitted = seconds();
  unlink(argv[1]);
  bench_check(s, &err);
  mcl_struct_init(&report, sizeof report);
  bench_check(mcl_clusterer_get_report(clusterer, &report, &err), &err);
  printf("{\"rows\":%lld,\"dim\":%d,\"k\":%d,\"max_mib\":%s,\"write_s\":%.0f,\"fit_s\":%.2f,"
         "\"passes\":%d,\"inertia\":%.6f,\"start_mib\":%.0f,\"peak_mib\":%.0f}\n",
         (long long)rows, DIM, (int)o.k, argv[3], written - began, fitted - written,
         (int)report.iterations, report.inertia, start, mib_of("VmHWM"));
  mcl_clusterer_unref(clusterer);
  mcl_npy_unref(file);
  mcl_context_unref(context);
  return 0;
}
