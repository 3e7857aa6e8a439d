// Labels: the lowest of the nearest, the same alone and among thousands, on every way in.
#include "clusterer/clusters.h"

#include "math/rows.h"

enum { DIM = 37 };

// What the library promises: the lowest id of least kernel distance, rows normalised first in
// cosine.
static int32_t label_by_definition(mcl_context *c, int32_t metric, const float *x,
                                   const float *centroids, int32_t k) {
  float row[DIM], least = INFINITY;
  int32_t label = 0;
  memcpy(row, x, sizeof row);
  if (metric == MCL_COSINE) mcli_normalise(c, row, 1, DIM, row, NULL);
  for (int32_t j = 0; j < k; j++) {
    float d = mcli_rows_kernels_of(c)->squared_distance(row, centroids + j * DIM, DIM);
    if (d < least) least = d, label = j;
  }
  return label;
}

// Centroids of which many are a rounding error apart, and rows that lie half-way between two of
// them: near ties abound.
static void near_ties(float *x, int64_t n, float *centroids, int32_t k) {
  test_fill_normal(centroids, (int64_t)k * DIM, 21);
  for (int32_t j = 1; j < k; j += 2) {
    memcpy(centroids + j * DIM, centroids + (j - 1) * DIM, DIM * sizeof *x);
    if (j % 4 == 1) centroids[j * DIM + 5] *= 1 + 3e-7f; // its twin but for some ulp
  }
  test_fill_normal(x, n * DIM, 22);
  for (int64_t i = 0; i < n; i += 2) {
    const float *a = centroids + i % k * DIM, *b = centroids + (i * 7 + 3) % k * DIM;
    for (int d = 0; d < DIM; d++) x[i * DIM + d] = (a[d] + b[d]) / 2;
  }
}

static void check_labels(int32_t metric) {
  enum { N = 3000, K = 60 };
  mcl_context *c = test_context(2);
  float *x = malloc(sizeof *x * N * DIM), *given = malloc(sizeof *given * K * DIM);
  near_ties(x, N, given, K);
  mcl_kmeans_options o = kmeans_options(K, metric);
  mcl_clusterer *k = make(c, &o);
  give(k, given, K, DIM);
  float *centroids = centroids_of(k, K, DIM);
  double *together = malloc(sizeof *together * N), alone;
  int32_t *labels = labels_of(k, x, N, DIM, together);
  for (int i = 0; i < N; i++) {
    ck_assert_int_eq(labels[i], label_by_definition(c, metric, x + i * DIM, centroids, K));
    int32_t *label = labels_of(k, x + i * DIM, 1, DIM, &alone);
    ck_assert_int_eq(labels[i], *label);
    ck_assert(together[i] == alone);
    free(label);
  }
  for (int64_t first = 0, n = 1; first + n <= N; first += n, n = n * 2 % 1021) {
    int32_t *part = labels_of(k, x + first * DIM, n, DIM, NULL);
    ck_assert_mem_eq(part, labels + first, sizeof *part * (size_t)n);
    free(part);
  }
  free(x), free(given), free(centroids), free(together), free(labels);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
}

START_TEST(a_row_has_one_label_alone_and_among_thousands) {
  check_labels(MCL_L2);
  check_labels(MCL_COSINE);
}
END_TEST

// So many that a tile of the least rows does not fit a cache any more.
START_TEST(a_row_finds_its_own_among_thousands_of_centroids) {
  enum { K = 6000 };
  mcl_context *c = test_context(1);
  float *x = malloc(sizeof *x * K * DIM);
  test_fill_normal(x, K * DIM, 23);
  mcl_kmeans_options o = kmeans_options(K, MCL_L2);
  mcl_clusterer *k = make(c, &o);
  give(k, x, K, DIM);
  int32_t *labels = labels_of(k, x + 100 * DIM, 60, DIM, NULL);
  for (int i = 0; i < 60; i++) ck_assert_int_eq(labels[i], 100 + i);
  free(labels), free(x);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_tie_goes_to_the_lowest_id) {
  mcl_context *c = test_context(1);
  float centroids[] = {0, 4, 3, 0, 3, 0, -3, 0}, x[] = {3, 0, 0, 0, -7, 0};
  mcl_kmeans_options o = kmeans_options(4, MCL_L2);
  mcl_clusterer *k = make(c, &o);
  give(k, centroids, 4, 2);
  int32_t *labels = labels_of(k, x, 3, 2, NULL);
  ck_assert(labels[0] == 1 && labels[1] == 1 && labels[2] == 3);
  free(labels);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
}
END_TEST

// Far from the origin products lose all digits of the distance; the label must not.
START_TEST(an_offset_of_ten_thousand_changes_no_label) {
  enum { N = 500, K = 8 };
  mcl_context *c = test_context(1);
  float *x = mixture(N, DIM, K, 3, 23), *far = malloc(sizeof *far * N * DIM);
  for (int i = 0; i < N * DIM; i++) {
    x[i] = roundf(x[i] * 64) / 64; // so that adding the offset rounds nothing
    far[i] = x[i] + 10000;
  }
  mcl_kmeans_options o = kmeans_options(K, MCL_L2);
  mcl_clusterer *near = make(c, &o), *away = make(c, &o);
  give(near, x, K, DIM);
  give(away, far, K, DIM);
  double a[N], b[N];
  int32_t *labels = labels_of(near, x, N, DIM, a), *others = labels_of(away, far, N, DIM, b);
  ck_assert_mem_eq(labels, others, sizeof *labels * N);
  ck_assert_mem_eq(a, b, sizeof a);
  free(x), free(far), free(labels), free(others);
  mcl_clusterer_unref(near);
  mcl_clusterer_unref(away);
  mcl_context_unref(c);
}
END_TEST

START_TEST(cosine_labels_do_not_depend_on_lengths) {
  enum { N = 400, K = 5 };
  mcl_context *c = test_context(1);
  float *x = mixture(N, DIM, K, 3, 24), *scaled = malloc(sizeof *scaled * N * DIM);
  for (int i = 0; i < N * DIM; i++)
    scaled[i] = ldexpf(x[i], i / DIM % 200 - 100); // 2^-100 .. 2^99, exactly
  mcl_kmeans_options o = kmeans_options(K, MCL_COSINE);
  mcl_clusterer *k = make(c, &o);
  give(k, x, K, DIM);
  double a[N];
  int32_t *labels = labels_of(k, x, N, DIM, a);
  mcl_array view = mcl_matrix_f32(scaled, N, DIM);
  mcl_rows rows = rows_of(&view);
  int32_t others[N];
  mcl_error err;
  // Past 1e18 is refused with the row; the rest must agree.
  CHECK_FAILS(MCL_E_LIMIT, "length", mcl_clusterer_assign(k, &rows, NULL, others, NULL, &err));
  ck_assert_int_gt(err.row, 150);
  view = mcl_matrix_f32(scaled, 150, DIM);
  CHECK_OK(mcl_clusterer_assign(k, &rows, NULL, others, NULL, &err));
  ck_assert_mem_eq(labels, others, sizeof *labels * 150);
  free(x), free(scaled), free(labels);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
}
END_TEST

START_TEST(types_and_strides_of_rows_change_nothing_that_fits_them) {
  enum { N = 2500, K = 6 };
  mcl_context *c = test_context(2);
  float *x = mixture(N, DIM, K, 2, 25);
  double *wide = malloc(sizeof *wide * N * (DIM + 3));
  for (int i = 0; i < N; i++)
    for (int d = 0; d < DIM; d++) wide[i * (DIM + 3) + d] = x[i * DIM + d];
  mcl_kmeans_options o = kmeans_options(K, MCL_L2);
  mcl_clusterer *a = make(c, &o), *b = make(c, &o);
  mcl_clusterer_report r = fit(a, x, N, DIM);
  mcl_array view;
  int64_t shape[2] = {N, DIM};
  mcl_array_init(&view, wide, MCL_F64, 2, shape);
  view.strides[0] = DIM + 3;
  mcl_rows rows = rows_of(&view);
  mcl_error err;
  CHECK_OK(mcl_clusterer_fit(b, &rows, NULL, &err));
  mcl_clusterer_report other = report_of(b);
  ck_assert_mem_eq(&r, &other, sizeof r);
  free(x), free(wide);
  mcl_clusterer_unref(a);
  mcl_clusterer_unref(b);
  mcl_context_unref(c);
}
END_TEST

START_TEST(no_rows_have_no_labels) {
  mcl_context *c = test_context(1);
  float x[2 * DIM];
  test_fill_normal(x, 2 * DIM, 26);
  mcl_kmeans_options o = kmeans_options(2, MCL_COSINE);
  mcl_clusterer *k = make(c, &o);
  give(k, x, 2, DIM);
  free(labels_of(k, x, 0, DIM, NULL));
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("assign", a_row_has_one_label_alone_and_among_thousands,
          a_row_finds_its_own_among_thousands_of_centroids, a_tie_goes_to_the_lowest_id,
          an_offset_of_ten_thousand_changes_no_label, cosine_labels_do_not_depend_on_lengths,
          types_and_strides_of_rows_change_nothing_that_fits_them, no_rows_have_no_labels)
