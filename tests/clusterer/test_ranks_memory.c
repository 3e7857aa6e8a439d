// k-means over ranks of which one runs out of memory: every request of a fit and of an assign fails once, and all ranks are told,
// keep what they had, and go on to the same bits.
#include <stdio.h>

#include "clusterer/clusters.h"
#include "support/ranks.h"

enum { ROWS = 2300, DIM = 4 };

typedef struct job {
  mcl_kmeans_options o;
  const float *x;
  int by; // 0: an array, 1: a callback
  int32_t rank;
  test_allocator allocator; // of that rank
} job;

// What a clusterer says.
typedef struct answers {
  mcl_clusterer_report report;
  float *centroids;
  int32_t labels[ROWS];
  double distances[ROWS];
} answers;

static void check_centroids(const mcl_clusterer *k, const answers *a) {
  mcl_clusterer_report report = report_of(k);
  float *centroids = centroids_of(k, a->report.k_effective, DIM);
  ck_assert_mem_eq(&report, &a->report, sizeof report);
  ck_assert_mem_eq(centroids, a->centroids, (size_t)report.k_effective * DIM * sizeof *centroids);
  free(centroids);
}

// 0: fit, 1: assign.
static mcl_status call(int what, mcl_clusterer *k, const mcl_rows *rows, answers *out,
                       mcl_error *err) {
  return what ? mcl_clusterer_assign(k, rows, NULL, out->labels, out->distances, err)
              : mcl_clusterer_fit(k, rows, NULL, err);
}

static void fail_each_request(test_rank *r, job *j, int what, mcl_clusterer *k,
                              const mcl_rows *rows, const answers *wanted) {
  mcl_error err;
  char word[32];
  answers *out = malloc(sizeof *out);
  int fails = r->rank == j->rank;
  snprintf(word, sizeof word, "rank %d: ", (int)j->rank);
  mcl_status s = MCL_E_NOMEM;
  for (int64_t n = 1; s < 0; n++) {
    memset(out, 0x55, sizeof *out);
    int64_t live = fails ? j->allocator.live : 0;
    if (fails) j->allocator.fail_at = n;
    s = call(what, k, rows, out, &err);
    if (fails) ck_assert_int_eq(j->allocator.fail_at == 0, s < 0);
    if (fails) j->allocator.fail_at = 0;
    check_centroids(k, wanted);
    if (s == MCL_OK) break;
    ck_assert_msg(s == MCL_E_NOMEM, "request %lld: %s", (long long)n, err.message);
    ck_assert_ptr_nonnull(strstr(err.message, word));
    if (fails) ck_assert_int_eq(j->allocator.live, live);
    ck_assert_int_eq(out->labels[0] & out->labels[ROWS - 1], 0x55555555);
  }
  if (what) ck_assert_mem_eq(out->labels, wanted->labels, sizeof out->labels);
  if (what) ck_assert_mem_eq(out->distances, wanted->distances, sizeof out->distances);
  free(out);
}

static void fit_and_assign(test_rank *r) {
  job *j = r->user;
  mcl_error err;
  mcl_clusterer *k = NULL;
  CHECK_OK(mcl_clusterer_create_kmeans(r->context, &j->o, r->comm, &k, &err));
  if (j->o.init == MCL_INIT_GIVEN) give(k, j->x, j->o.k, DIM);
  mcl_array a = mcl_matrix_f32((float *)(uintptr_t)j->x, ROWS, DIM);
  reader by = {j->x, DIM, 0, 0};
  mcl_rows rows = j->by ? rows_by(&by, ROWS) : rows_of(&a);
  answers *wanted = malloc(sizeof *wanted);
  CHECK_OK(call(0, k, &rows, wanted, &err));
  wanted->report = report_of(k);
  wanted->centroids = centroids_of(k, wanted->report.k_effective, DIM);
  CHECK_OK(call(1, k, &rows, wanted, &err));
  for (int what = 0; what < 2; what++) fail_each_request(r, j, what, k, &rows, wanted);
  free(wanted->centroids);
  free(wanted);
  mcl_clusterer_unref(k);
}

static void on_each_rank(const job *of, uint32_t threads) {
  for (int32_t size = 2; size <= 3; size++)
    for (int32_t rank = 0; rank < size; rank += size - 1) {
      job j = *of;
      test_allocator_init(&j.allocator);
      j.rank = rank;
      test_ranks w = {.size = size, .threads = threads};
      w.allocators[rank] = &j.allocator;
      test_ranks_run(&w, fit_and_assign, &j);
      ck_assert_int_eq(j.allocator.live, 0);
    }
}

static mcl_kmeans_options options(int32_t k, int32_t metric) {
  mcl_kmeans_options o = kmeans_options(k, metric);
  o.restarts = 1;
  o.max_iterations = 3;
  return o;
}

START_TEST(each_request_of_lloyd) {
  float *x = mixture(ROWS, DIM, 5, 1.0F, 3);
  job j = {.o = options(5, MCL_COSINE), .x = x};
  on_each_rank(&j, 1);
  j.by = 1;
  on_each_rank(&j, 2);
  free(x);
}
END_TEST

START_TEST(each_request_of_minibatches_and_samples) {
  float *x = mixture(ROWS, DIM, 5, 1.0F, 5);
  job j = {.o = options(5, MCL_L2), .x = x, .by = 1};
  j.o.max_train_rows = 1500;
  on_each_rank(&j, 1);
  j.o.method = MCL_MINIBATCH;
  j.o.init = MCL_INIT_GIVEN;
  j.o.minibatch_rows = 500;
  on_each_rank(&j, 2);
  free(x);
}
END_TEST

// Six distinct rows for nine clusters: some are mended, in vain.
START_TEST(each_request_of_empty_clusters) {
  float *x = malloc(ROWS * DIM * sizeof *x);
  for (int i = 0; i < ROWS * DIM; i++)
    x[i] = (float)((i / DIM) % 6 + 1) * (i % DIM == i / DIM % DIM);
  job j = {.o = options(9, MCL_L2), .x = x};
  j.o.init = MCL_INIT_RANDOM;
  on_each_rank(&j, 1);
  j.o.empty = MCL_EMPTY_SPLIT_LARGEST;
  on_each_rank(&j, 1);
  free(x);
}
END_TEST

RUN_TESTS("clusterer over ranks, without memory", each_request_of_lloyd,
          each_request_of_minibatches_and_samples, each_request_of_empty_clusters)
