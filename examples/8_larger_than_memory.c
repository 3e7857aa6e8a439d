// Rows larger than memory: a .npy file, clustered within a number of bytes, and the labels written
// to another.
//
//   8_larger_than_memory                        on a small file of its own, rows.npy
//   8_larger_than_memory FILE.npy K MIB         on yours; also says the memory and time it took
//
// The file is read block by block, by all threads, as often as there are passes. What a fit holds
// beyond a block grows by the row; max_bytes bounds that too, for time.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libmcl/clusterer.h>
#include <libmcl/context.h>
#include <libmcl/rows.h>

#define TRY(call)                                                                                  \
  do {                                                                                             \
    if ((call) < 0) goto done;                                                                     \
  } while (0)

enum { ROWS = 50000, DIM = 16, BLOCK = 1000, GROUPS = 4 };

// Four kinds of rows in turn, each along an axis of its own. Written block by block: no array of all
// rows is ever held.
static mcl_status write_rows(mcl_context *context, const char *path, mcl_error *err) {
  static float x[BLOCK][DIM];
  uint32_t s = 1;
  mcl_npy *file = NULL;
  mcl_status status = mcl_npy_create(context, path, MCL_F32, ROWS, DIM, &file, err);
  for (int first = 0; status == MCL_OK && first < ROWS; first += BLOCK) {
    for (int i = 0; i < BLOCK; i++)
      for (int d = 0; d < DIM; d++) {
        s = s * 1664525 + 1013904223;
        x[i][d] = (float)(s >> 8) / 16777216 + (d == i % GROUPS ? 4.0f : 0.0f);
      }
    mcl_array block = mcl_matrix_f32(x[0], BLOCK, DIM);
    status = mcl_npy_write(file, first, &block, err);
  }
  if (status == MCL_OK) status = mcl_npy_commit(file, err); // without it there is no file
  mcl_npy_unref(file);
  return status;
}

static mcl_status write_labels(mcl_context *context, const int32_t *labels, int64_t n,
                               mcl_error *err) {
  mcl_npy *file = NULL;
  mcl_array all;
  mcl_array_init(&all, (void *)(uintptr_t)labels, MCL_I32, 1, &n);
  mcl_status status = mcl_npy_create(context, "labels.npy", MCL_I32, n, 1, &file, err);
  if (status == MCL_OK) status = mcl_npy_write(file, 0, &all, err);
  if (status == MCL_OK) status = mcl_npy_commit(file, err);
  mcl_npy_unref(file);
  return status;
}

// Of the whole process, as Linux counts it.
static int peak_mib(void) {
  char line[256];
  int kib = 0;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f)) sscanf(line, "VmHWM: %d", &kib);
  if (f) fclose(f);
  return kib / 1024;
}

int main(int argc, char **argv) {
  const char *path = argc == 4 ? argv[1] : "rows.npy";
  mcl_context *context = NULL;
  mcl_clusterer *clusterer = NULL;
  mcl_npy *file = NULL;
  int32_t *labels = NULL;
  mcl_error err;
  time_t began = time(NULL);

  TRY(mcl_context_create(NULL, &context, &err));
  if (argc != 4) TRY(write_rows(context, path, &err));
  mcl_rows rows;
  mcl_struct_init(&rows, sizeof rows);
  TRY(mcl_npy_open(context, path, &file, &err));
  mcl_npy_rows(file, &rows);

  mcl_kmeans_options options;
  mcl_kmeans_options_init(&options, sizeof options);
  options.k = argc == 4 ? atoi(argv[2]) : GROUPS;
  options.restarts = 1;
  options.max_bytes = (int64_t)(argc == 4 ? atoi(argv[3]) : 4) << 20;
  TRY(mcl_clusterer_create_kmeans(context, &options, NULL, &clusterer, &err));
  TRY(mcl_clusterer_fit(clusterer, &rows, NULL, &err));
  mcl_clusterer_report report;
  mcl_struct_init(&report, sizeof report);
  TRY(mcl_clusterer_get_report(clusterer, &report, &err));
  printf("clusters: %d, imbalance of their sizes: %.2f\n", (int)report.k_effective,
         report.imbalance);
  if (argc == 4)
    printf("fit: %d passes, %ld s, %d MiB at most\n", (int)report.iterations,
           (long)(time(NULL) - began), peak_mib());

  labels = malloc((size_t)rows.rows * sizeof *labels);
  if (!labels) return 1;
  TRY(mcl_clusterer_assign(clusterer, &rows, NULL, labels, NULL, &err));
  TRY(write_labels(context, labels, rows.rows, &err));
  printf("rows 0 and 4 share a cluster: %s; 0 and 1: %s\n", labels[0] == labels[4] ? "yes" : "no",
         labels[0] == labels[1] ? "yes" : "no");

  // Too little for anything: how much is needed is said.
  mcl_clusterer_unref(clusterer);
  clusterer = NULL;
  options.max_bytes = 1 << 20;
  TRY(mcl_clusterer_create_kmeans(context, &options, NULL, &clusterer, &err));
  if (mcl_clusterer_fit(clusterer, &rows, NULL, &err) == MCL_E_LIMIT) {
    printf("one MiB is too little\n");
    err.status = MCL_OK;
  }

done:
  if (err.status < 0) fprintf(stderr, "%s: %s\n", mcl_status_name(err.status), err.message);
  free(labels);
  mcl_clusterer_unref(clusterer);
  mcl_npy_unref(file);
  mcl_context_unref(context);
  return err.status < 0;
}

/* Expected output:
 * clusters: 4, imbalance of their sizes: 1.00
 * rows 0 and 4 share a cluster: yes; 0 and 1: no
 * one MiB is too little
 */
