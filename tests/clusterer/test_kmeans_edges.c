// k-means where rows are few, equal, zero or in the wrong places, and the same bits on every way.
#include "clusterer/clusters.h"

// ---- degenerate rows ----------------------------------------------------------------------------

static mcl_clusterer_report fit_repeated(int64_t n, int64_t distinct, int32_t metric, int32_t empty,
                                         int32_t init) {
  enum { DIM = 6, K = 20 };
  mcl_context *c = test_context(2);
  float *x = malloc((size_t)n * DIM * sizeof *x);
  test_fill_normal(x, distinct * DIM, 11);
  for (int64_t i = distinct; i < n; i++)
    memcpy(x + i * DIM, x + i % distinct * DIM, DIM * sizeof *x);
  mcl_kmeans_options o = kmeans_options(K, metric);
  o.empty = empty;
  o.init = init;
  mcl_clusterer *k = make(c, &o);
  mcl_clusterer_report r = fit(k, x, n, DIM);
  int32_t *labels = labels_of(k, x, n, DIM, NULL);
  int64_t seen[K] = {0}, sizes[K];
  for (int64_t i = 0; i < n; i++) {
    ck_assert_int_ge(labels[i], 0);
    ck_assert_int_lt(labels[i], r.k_effective);
    seen[labels[i]]++;
  }
  mcl_error err;
  CHECK_OK(mcl_clusterer_sizes(k, sizes, r.k_effective, &err));
  for (int32_t j = 0; j < r.k_effective; j++) ck_assert(seen[j] > 0 && seen[j] == sizes[j]);
  free(labels);
  free(x);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
  return r;
}

START_TEST(fewer_distinct_rows_than_k_is_reported) {
  static const int32_t inits[] = {MCL_INIT_KMEANSPP, MCL_INIT_RANDOM};
  for (int32_t metric = MCL_COSINE; metric <= MCL_L2; metric++)
    for (int32_t empty = MCL_EMPTY_FARTHEST; empty <= MCL_EMPTY_SHRINK_K; empty++)
      for (int i = 0; i < 2; i++) {
        mcl_clusterer_report r = fit_repeated(500, 7, metric, empty, inits[i]);
        ck_assert_int_eq(r.distinct, 7);
        ck_assert_int_le(r.k_effective, 7);
        if (empty == MCL_EMPTY_FARTHEST || inits[i] == MCL_INIT_KMEANSPP) {
          ck_assert_int_eq(r.k_effective, 7);
          ck_assert_double_eq_tol(r.inertia, 0, 1e-12);
        }
        ck_assert_int_eq(r.k, 20);
      }
}
END_TEST

START_TEST(k_equal_to_rows_gives_every_row_its_cluster) {
  for (int32_t metric = MCL_COSINE; metric <= MCL_L2; metric++) {
    mcl_clusterer_report r = fit_repeated(20, 20, metric, MCL_EMPTY_FARTHEST, MCL_INIT_KMEANSPP);
    ck_assert_int_eq(r.k_effective, 20);
    ck_assert_double_eq_tol(r.inertia, 0, 1e-12);
    ck_assert_double_eq(r.imbalance, 1);
  }
}
END_TEST

START_TEST(distinct_rows_are_counted_over_all_rows) {
  enum { N = 5000 };
  mcl_context *c = test_context(1);
  float x[N];
  for (int i = 0; i < N; i++)
    x[i] = i % 1000 == 7 ? (float)i : i % 2 ? 0.0f : -0.0f; // 5 others, and one zero
  mcl_kmeans_options o = kmeans_options(6, MCL_L2);
  o.max_train_rows = 6;
  mcl_clusterer *k = make(c, &o);
  ck_assert_int_eq(fit(k, x, N, 1).distinct, 6);
  mcl_clusterer_unref(k);
  o.k = 8;
  o.max_train_rows = 0;
  k = make(c, &o);
  ck_assert_int_eq(fit(k, x, N, 1).distinct, 6);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
}
END_TEST

START_TEST(all_rows_equal_is_one_cluster) {
  for (int32_t metric = MCL_COSINE; metric <= MCL_L2; metric++) {
    mcl_clusterer_report r = fit_repeated(3000, 1, metric, MCL_EMPTY_FARTHEST, MCL_INIT_KMEANSPP);
    ck_assert_int_eq(r.k_effective, 1);
    ck_assert_int_eq(r.distinct, 1);
    ck_assert_int_eq(r.converged, 1);
  }
}
END_TEST

START_TEST(rows_of_zeros_alone_are_one_cluster_at_cosine_zero) {
  mcl_context *c = test_context(1);
  float x[40] = {0};
  mcl_kmeans_options o = kmeans_options(3, MCL_COSINE);
  mcl_clusterer *k = make(c, &o);
  mcl_clusterer_report r = fit(k, x, 10, 4);
  ck_assert_int_eq(r.k_effective, 1);
  ck_assert_int_eq(r.zero_rows, 10);
  ck_assert_int_eq(r.distinct, 0);
  ck_assert_double_eq(r.inertia, 2);
  ck_assert_double_eq(r.mean_cosine, 0);
  float *centroid = centroids_of(k, 1, 4), square = 0;
  for (int d = 0; d < 4; d++) square += centroid[d] * centroid[d];
  ck_assert(square == 1);
  free(centroid);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
}
END_TEST

// Converged centroids are the means of their rows: nothing of a repair is left in the sums.
static void check_means(const mcl_clusterer *k, const float *x, int64_t n, int32_t dim,
                        int32_t clusters) {
  float *centroids = centroids_of(k, clusters, dim);
  int32_t *labels = labels_of(k, x, n, dim, NULL);
  for (int32_t j = 0; j < clusters; j++)
    for (int32_t d = 0; d < dim; d++) {
      double sum = 0;
      int64_t members = 0;
      for (int64_t i = 0; i < n; i++)
        if (labels[i] == j) sum += x[i * dim + d], members++;
      ck_assert_double_eq_tol(centroids[j * dim + d], sum / (double)members,
                              2e-6 * (1 + fabs(sum / (double)members)));
    }
  free(centroids);
  free(labels);
}

// Two groups far apart, and a third centroid that no row will choose.
static mcl_clusterer_report fit_with_stray_centroid(int32_t metric, int32_t empty, int64_t *sizes) {
  enum { N = 600, DIM = 3 };
  mcl_context *c = test_context(2);
  float x[N * DIM], start[3 * DIM] = {10, 0, 1, 0, 10, 1, -50, -50, -50};
  test_fill(x, N * DIM, 12, -1, 1);
  for (int i = 0; i < N; i++) x[i * DIM + (i % 3 == 0)] += 10;
  x[5 * DIM] = 30; // the farthest row
  x[5 * DIM + 2] = 9;
  mcl_kmeans_options o = kmeans_options(3, metric);
  o.empty = empty;
  o.init = MCL_INIT_GIVEN;
  o.tolerance = 0;
  mcl_clusterer *k = make(c, &o);
  give(k, start, 3, DIM);
  mcl_clusterer_report r = fit(k, x, N, DIM);
  mcl_error err;
  CHECK_OK(mcl_clusterer_sizes(k, sizes, r.k_effective, &err));
  if (metric == MCL_L2) check_means(k, x, N, DIM, r.k_effective);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
  return r;
}

START_TEST(an_empty_cluster_restarts_at_the_farthest_row) {
  int64_t sizes[3];
  for (int32_t metric = MCL_COSINE; metric <= MCL_L2; metric++) {
    mcl_clusterer_report r = fit_with_stray_centroid(metric, MCL_EMPTY_FARTHEST, sizes);
    ck_assert_int_eq(r.k_effective, 3);
    ck_assert_int_eq(r.repairs, 1);
    if (metric == MCL_L2) ck_assert_int_eq(sizes[2], 1);
  }
}
END_TEST

START_TEST(an_empty_cluster_splits_the_largest) {
  int64_t sizes[3];
  for (int32_t metric = MCL_COSINE; metric <= MCL_L2; metric++) {
    mcl_clusterer_report r = fit_with_stray_centroid(metric, MCL_EMPTY_SPLIT_LARGEST, sizes);
    ck_assert_int_eq(r.k_effective, 3);
    ck_assert_int_ge(r.repairs, 1);
    ck_assert_int_eq(sizes[1], 200);
  }
}
END_TEST

// From given centroids, of rows of two numbers, in L2; centroids: [k, 2] afterwards.
static mcl_clusterer_report fit_from(mcl_kmeans_options o, const float *x, int64_t n,
                                     const float *start, float *centroids) {
  mcl_context *c = test_context(1);
  o.init = MCL_INIT_GIVEN;
  mcl_clusterer *k = make(c, &o);
  give(k, start, o.k, 2);
  mcl_clusterer_report r = fit(k, x, n, 2);
  ck_assert_int_eq(r.k_effective, o.k);
  float *found = centroids_of(k, o.k, 2);
  memcpy(centroids, found, (size_t)o.k * 2 * sizeof *found);
  free(found);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
  return r;
}

// Two rows that are equally far from their centroid, nine at it, two at another; no row for the third one.
static const float two_far[26] = {8, 4, 8, -4, 100, 0, 100, 0}, stray[6] = {0, 0, 100, 0, -50, -50};

// The third cluster's centroid after one iteration, before rows of its own have moved it.
static void check_restart(mcl_kmeans_options o, float x, float y) {
  float centroids[6];
  o.max_iterations = 1;
  fit_from(o, two_far, 13, stray, centroids);
  ck_assert(centroids[4] == x && centroids[5] == y);
}

START_TEST(a_split_begins_half_way_to_the_farthest_row) {
  mcl_kmeans_options o = kmeans_options(3, MCL_L2);
  o.empty = MCL_EMPTY_SPLIT_LARGEST;
  check_restart(o, 4, 2);
}
END_TEST

START_TEST(of_rows_equally_far_the_first_is_taken) {
  check_restart(kmeans_options(3, MCL_L2), 8, 4);
}
END_TEST

// However large a move may be that ends a fit.
START_TEST(an_iteration_that_repairs_is_never_the_last) {
  float centroids[6];
  mcl_kmeans_options o = kmeans_options(3, MCL_L2);
  o.tolerance = 1e6;
  mcl_clusterer_report r = fit_from(o, two_far, 13, stray, centroids);
  ck_assert_int_eq(r.repairs, 1);
  ck_assert_int_eq(r.iterations, 2);
  ck_assert_int_eq(r.converged, 1);
}
END_TEST

// As many clusters as fill what memory is given in: nothing behind it is read.
START_TEST(all_clusters_but_one_are_split_off) {
  enum { N = 200, MANY = 16 };
  float x[N * 2], start[MANY * 2] = {0}, centroids[MANY * 2];
  test_fill(x, N * 2, 5, -1, 1);
  for (int i = 2; i < MANY * 2; i++) start[i] = (float)(-50 - i);
  mcl_kmeans_options o = kmeans_options(MANY, MCL_L2);
  o.empty = MCL_EMPTY_SPLIT_LARGEST;
  ck_assert_int_ge(fit_from(o, x, N, start, centroids).repairs, MANY - 1);
}
END_TEST

START_TEST(an_empty_cluster_is_left_out_where_k_may_shrink) {
  int64_t sizes[3];
  for (int32_t metric = MCL_COSINE; metric <= MCL_L2; metric++) {
    mcl_clusterer_report r = fit_with_stray_centroid(metric, MCL_EMPTY_SHRINK_K, sizes);
    ck_assert_int_eq(r.k_effective, 2);
    ck_assert_int_eq(r.repairs, 0);
    ck_assert_int_eq(sizes[0] + sizes[1], 600);
  }
}
END_TEST

START_TEST(opposite_rows_that_cancel_leave_a_centroid_of_length_one) {
  float x[8] = {1, 0, -1, 0, 1, 0, -1, 0}, start[2] = {0, 1};
  mcl_context *c = test_context(1);
  mcl_kmeans_options o = kmeans_options(1, MCL_COSINE);
  o.init = MCL_INIT_GIVEN;
  mcl_clusterer *k = make(c, &o);
  give(k, start, 1, 2);
  mcl_clusterer_report r = fit(k, x, 4, 2);
  float *centroid = centroids_of(k, 1, 2);
  ck_assert_double_eq_tol(centroid[0] * centroid[0] + centroid[1] * centroid[1], 1, 1e-6);
  ck_assert_double_eq_tol(r.inertia, 2, 1e-6);
  free(centroid);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
}
END_TEST

// ---- the same bits ------------------------------------------------------------------------------

typedef struct outcome {
  mcl_clusterer_report report;
  float *centroids;
} outcome;

static outcome run(uint32_t threads, const mcl_kmeans_options *o, const float *x, int64_t n,
                   int32_t dim, int by_callback) {
  mcl_context *c = test_context(threads);
  mcl_clusterer *k = make(c, o);
  outcome out;
  reader r = {x, dim, 0, 0};
  mcl_rows rows = rows_by(&r, n);
  mcl_error err;
  if (by_callback)
    CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err));
  else
    fit(k, x, n, dim);
  out.report = report_of(k);
  out.centroids = centroids_of(k, out.report.k_effective, dim);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
  return out;
}

// 100 blocks: segments of one and of two blocks, and a last block that is not full.
static void same_bits(int32_t metric, int32_t method, int32_t init) {
  enum { N = 100 * 1024 - 300, DIM = 7 };
  float *x = mixture(N, DIM, 6, 1, 13);
  mcl_kmeans_options o = kmeans_options(21, metric);
  o.method = method;
  o.init = init;
  o.max_iterations = 4;
  o.restarts = 2;
  outcome first = run(1, &o, x, N, DIM, 0);
  for (uint32_t other = 0; other < 4; other++) {
    outcome now = run(other < 2 ? other + 2 : other - 1, &o, x, N, DIM, other >= 2);
    ck_assert_mem_eq(&first.report, &now.report, sizeof first.report);
    ck_assert_mem_eq(first.centroids, now.centroids,
                     sizeof(float) * DIM * (size_t)first.report.k_effective);
    free(now.centroids);
  }
  free(first.centroids);
  free(x);
}

START_TEST(threads_and_callbacks_change_no_bit_of_lloyd) {
  same_bits(MCL_L2, MCL_LLOYD, MCL_INIT_KMEANSPP);
  same_bits(MCL_COSINE, MCL_LLOYD, MCL_INIT_RANDOM);
}
END_TEST

// Numbers whose sum depends on the order of additions even in double: segments must be added in
// their order.
START_TEST(sums_that_cancel_have_the_same_bits_for_any_threads) {
  enum { N = 64 * 1024 };
  float *x = malloc(N * sizeof *x);
  test_fill(x, N, 14, -1, 1);
  for (int64_t block = 0; block < 64; block += 2) x[block * 1024] = block % 4 ? -1e17f : 1e17f;
  mcl_kmeans_options o = kmeans_options(1, MCL_L2);
  outcome one = run(1, &o, x, N, 1, 0), two = run(2, &o, x, N, 1, 0),
          three = run(3, &o, x, N, 1, 1);
  ck_assert(one.centroids[0] == two.centroids[0] && one.centroids[0] == three.centroids[0]);
  ck_assert_mem_eq(&one.report, &two.report, sizeof one.report);
  ck_assert_mem_eq(&one.report, &three.report, sizeof one.report);
  free(one.centroids), free(two.centroids), free(three.centroids);
  free(x);
}
END_TEST

START_TEST(threads_and_callbacks_change_no_bit_of_minibatch) {
  same_bits(MCL_COSINE, MCL_MINIBATCH, MCL_INIT_KMEANSPP);
}
END_TEST

RUN_TESTS("kmeans_edges", fewer_distinct_rows_than_k_is_reported,
          k_equal_to_rows_gives_every_row_its_cluster, distinct_rows_are_counted_over_all_rows,
          all_rows_equal_is_one_cluster, rows_of_zeros_alone_are_one_cluster_at_cosine_zero,
          an_empty_cluster_restarts_at_the_farthest_row, an_empty_cluster_splits_the_largest,
          a_split_begins_half_way_to_the_farthest_row, of_rows_equally_far_the_first_is_taken,
          an_iteration_that_repairs_is_never_the_last, all_clusters_but_one_are_split_off,
          an_empty_cluster_is_left_out_where_k_may_shrink,
          opposite_rows_that_cancel_leave_a_centroid_of_length_one,
          threads_and_callbacks_change_no_bit_of_lloyd,
          sums_that_cancel_have_the_same_bits_for_any_threads,
          threads_and_callbacks_change_no_bit_of_minibatch)
