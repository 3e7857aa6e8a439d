// Clusters of rows: the clusterer alone, on embeddings that you have.
//
// Rows are fitted once; then every row, also a new one, gets the label of the nearest centroid.
// Labels are 0 .. k - 1 in no order that means anything.
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include <libmcl/clusterer.h>
#include <libmcl/context.h>

#define TRY(call)                                                                                  \
  do {                                                                                             \
    if ((call) < 0) goto done;                                                                     \
  } while (0)

enum { ROWS = 600, DIM = 8, K = 3 };

// Three kinds of rows, 100, 200 and 300 of them: each kind along an axis of its own, with a little
// of everything.
static void make_rows(float x[ROWS][DIM]) {
  uint32_t s = 1;
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < DIM; j++) {
      int kind = i < 100 ? 0 : i < 300 ? 1 : 2;
      s = s * 1664525 + 1013904223;
      x[i][j] = (float)(s >> 8) / 16777216 * 0.4f + (j == kind ? 3.0f : 0.0f);
    }
}

int main(void) {
  static float x[ROWS][DIM];
  int32_t labels[ROWS];
  int64_t sizes[K];
  mcl_context *context = NULL;
  mcl_clusterer *clusterer = NULL;
  mcl_error err;

  make_rows(x);
  TRY(mcl_context_create(NULL, &context, &err));
  mcl_kmeans_options options;
  mcl_kmeans_options_init(&options, sizeof options);
  options.k = K;
  TRY(mcl_clusterer_create_kmeans(context, &options, NULL, &clusterer, &err));

  // Rows can be an array, as here, a callback that reads a block, or a .npy file (mcl_npy_rows).
  mcl_array matrix = mcl_matrix_f32(x[0], ROWS, DIM);
  mcl_rows rows;
  mcl_struct_init(&rows, sizeof rows);
  rows.array = &matrix;
  TRY(mcl_clusterer_fit(clusterer, &rows, NULL, &err));
  TRY(mcl_clusterer_assign(clusterer, &rows, NULL, labels, NULL, &err));
  TRY(mcl_clusterer_sizes(clusterer, sizes, K, &err));
  printf("rows in the cluster of row 0: %d\n", (int)sizes[labels[0]]);
  printf("rows in the cluster of row 100: %d\n", (int)sizes[labels[100]]);
  printf("rows in the cluster of row 300: %d\n", (int)sizes[labels[300]]);

  mcl_clusterer_report report;
  mcl_struct_init(&report, sizeof report);
  TRY(mcl_clusterer_get_report(clusterer, &report, &err));
  printf("clusters: %d, converged: %d, mean cosine to the centroid: %.2f\n",
         (int)report.k_effective, (int)report.converged, report.mean_cosine);

  // What is wrong is said, with the row; the clusterer stays as it was.
  x[7][2] = NAN;
  if (mcl_clusterer_fit(clusterer, &rows, NULL, &err) == MCL_E_NOT_FINITE)
    printf("refused: row %d\n", (int)err.row);
  TRY(mcl_clusterer_sizes(clusterer, sizes, K, &err));

done:
  if (err.status < 0) fprintf(stderr, "%s: %s\n", mcl_status_name(err.status), err.message);
  mcl_clusterer_unref(clusterer);
  mcl_context_unref(context);
  return err.status < 0;
}

/* Expected output:
 * rows in the cluster of row 0: 100
 * rows in the cluster of row 100: 200
 * rows in the cluster of row 300: 300
 * clusters: 3, converged: 1, mean cosine to the centroid: 1.00
 * refused: row 7
 */
