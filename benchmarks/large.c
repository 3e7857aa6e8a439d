// Rows larger than memory: writes a .npy of some GiB, clusters it within some MiB, and says how
// much memory the process had at most. By hand: scripts/large.sh.
//
//   large FILE GIB MIB K
//
// Rows of 128 float32 in 100 groups that overlap. The file is removed at the end. Its pages stay in
// the system's cache as far as there is room, which is no memory of the process.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <libmcl/clusterer.h>
#include <libmcl/context.h>
#include <libmcl/rows.h>

enum { DIM = 128, BLOCK = 4096, GROUPS = 100 };

static void check(mcl_status s, const mcl_error *err) {
  if (s >= 0) return;
  fprintf(stderr, "%s: %s\n", mcl_status_name(s), err->message);
  exit(1);
}

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
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (float)(state >> 40) / 16777216;
}

static void write_rows(mcl_context *context, const char *path, int64_t rows) {
  static float centres[GROUPS][DIM], x[BLOCK][DIM];
  mcl_npy *file = NULL;
  mcl_error err;
  for (int g = 0; g < GROUPS; g++)
    for (int d = 0; d < DIM; d++) centres[g][d] = unit();
  check(mcl_npy_create(context, path, MCL_F32, rows, DIM, &file, &err), &err);
  for (int64_t first = 0; first < rows; first += BLOCK) {
    int64_t n = rows - first < BLOCK ? rows - first : BLOCK;
    for (int64_t i = 0; i < n; i++) {
      const float *c = centres[(int)(unit() * GROUPS)];
      for (int d = 0; d < DIM; d++) x[i][d] = c[d] + 2 * unit();
    }
    mcl_array a = mcl_matrix_f32(x[0], n, DIM);
    check(mcl_npy_write(file, first, &a, &err), &err);
  }
  check(mcl_npy_commit(file, &err), &err);
  mcl_npy_unref(file);
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "large FILE GIB MIB K\n");
    return 2;
  }
  int64_t rows = (int64_t)(atof(argv[2]) * (double)(1 << 30) / (DIM * sizeof(float)));
  mcl_context *context = NULL;
  mcl_clusterer *clusterer = NULL;
  mcl_npy *file = NULL;
  mcl_error err;
  mcl_rows all;
  mcl_kmeans_options o;
  mcl_clusterer_report report;
  check(mcl_context_create(NULL, &context, &err), &err);
  double began = seconds();
  write_rows(context, argv[1], rows);
  double written = seconds(), start = mib_of("VmHWM");
  check(mcl_npy_open(context, argv[1], &file, &err), &err);
  mcl_struct_init(&all, sizeof all);
  mcl_npy_rows(file, &all);
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = atoi(argv[4]);
  o.metric = MCL_L2;
  o.restarts = 1;
  o.max_iterations = 20;
  o.max_bytes = (int64_t)atoi(argv[3]) << 20;
  check(mcl_clusterer_create_kmeans(context, &o, NULL, &clusterer, &err), &err);
  mcl_status s = mcl_clusterer_fit(clusterer, &all, NULL, &err);
  double fitted = seconds();
  unlink(argv[1]);
  check(s, &err);
  mcl_struct_init(&report, sizeof report);
  check(mcl_clusterer_get_report(clusterer, &report, &err), &err);
  printf("{\"rows\":%lld,\"dim\":%d,\"k\":%d,\"max_mib\":%s,\"write_s\":%.0f,\"fit_s\":%.0f,"
         "\"passes\":%d,\"inertia\":%.6f,\"start_mib\":%.0f,\"peak_mib\":%.0f}\n",
         (long long)rows, DIM, (int)o.k, argv[3], written - began, fitted - written,
         (int)report.iterations, report.inertia, start, mib_of("VmHWM"));
  mcl_clusterer_unref(clusterer);
  mcl_npy_unref(file);
  mcl_context_unref(context);
  return 0;
}
