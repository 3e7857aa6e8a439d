// Rows larger than memory: read by any thread, from files of every float type, within a number of
// bytes; and always the same bits.
#include "clusterer/clusters.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { N = 9 * 1024 + 77, DIM = 20, K = 40 };

typedef struct outcome {
  mcl_clusterer_report report;
  float *centroids;
  int32_t *labels;
} outcome;

static void outcome_free(outcome *o) {
  free(o->centroids), free(o->labels);
}

static outcome run(mcl_context *c, const mcl_kmeans_options *o, const mcl_rows *rows) {
  mcl_clusterer *k = make(c, o);
  outcome out;
  mcl_error err;
  CHECK_OK(mcl_clusterer_fit(k, rows, NULL, &err));
  out.report = report_of(k);
  out.centroids = centroids_of(k, out.report.k_effective,
                               rows->array ? (int32_t)rows->array->shape[1] : rows->dim);
  out.labels = malloc(sizeof *out.labels * N);
  CHECK_OK(mcl_clusterer_assign(k, rows, NULL, out.labels, NULL, &err));
  mcl_clusterer_unref(k);
  return out;
}

static void check_same(const outcome *a, const outcome *b, int32_t dim) {
  ck_assert_mem_eq(&a->report, &b->report, sizeof a->report);
  ck_assert_mem_eq(a->centroids, b->centroids,
                   sizeof(float) * (size_t)(a->report.k_effective * dim));
  ck_assert_mem_eq(a->labels, b->labels, sizeof *a->labels * N);
}

static mcl_kmeans_options options_of(int32_t k, int32_t metric) {
  mcl_kmeans_options o = kmeans_options(k, metric);
  o.max_iterations = 6;
  o.restarts = 2;
  return o;
}

// ---- by any thread ------------------------------------------------------------------------------

typedef struct watched {
  reader r;
  pthread_t caller;
  pthread_mutex_t lock;
  int calls, elsewhere, at_once, most_at_once;
} watched;

static mcl_status read_watched(void *user, int64_t first, int64_t n, const mcl_array *out,
                               mcl_error *err) {
  watched *w = user;
  pthread_mutex_lock(&w->lock);
  w->calls++;
  w->elsewhere += !pthread_equal(pthread_self(), w->caller);
  if (++w->at_once > w->most_at_once) w->most_at_once = w->at_once;
  int fails = w->r.fail_at > 0 && w->calls >= w->r.fail_at;
  pthread_mutex_unlock(&w->lock);
  memcpy(out->data, w->r.x + first * w->r.dim, (size_t)(n * w->r.dim) * sizeof(float));
  pthread_mutex_lock(&w->lock);
  w->at_once--;
  pthread_mutex_unlock(&w->lock);
  return fails ? mcl_error_set(err, MCL_E_IO, 77, "the disk is gone") : mcl_ok(err);
}

static mcl_rows rows_watched(watched *w, const float *x, int32_t flags) {
  *w = (watched){.r = {x, DIM, 0, 0}, .caller = pthread_self()};
  pthread_mutex_init(&w->lock, NULL);
  mcl_rows rows = rows_by(&w->r, N);
  rows.user = w;
  rows.read = read_watched;
  rows.flags = flags;
  return rows;
}

START_TEST(any_thread_reads_where_it_may_and_only_the_callers_otherwise) {
  float *x = mixture(N, DIM, K, 1, 1);
  mcl_context *c = test_context(3);
  for (int32_t method = MCL_LLOYD; method <= MCL_MINIBATCH; method++) {
    mcl_kmeans_options o = options_of(K, MCL_L2);
    o.method = method;
    watched alone, together;
    mcl_rows one = rows_watched(&alone, x, 0),
             any = rows_watched(&together, x, MCL_ROWS_ANY_THREAD);
    mcl_array a = mcl_matrix_f32(x, N, DIM);
    mcl_rows array = rows_of(&a);
    outcome by_one = run(c, &o, &one), by_any = run(c, &o, &any), by_array = run(c, &o, &array);
    check_same(&by_array, &by_one, DIM);
    check_same(&by_array, &by_any, DIM);
    ck_assert_int_eq(alone.elsewhere, 0);
    ck_assert_int_eq(alone.most_at_once, 1);
    ck_assert_int_gt(together.elsewhere, 0);
    outcome_free(&by_one), outcome_free(&by_any), outcome_free(&by_array);
  }
  mcl_context_unref(c);
  free(x);
}
END_TEST

START_TEST(a_reader_that_fails_on_another_thread_fails_the_call) {
  float *x = mixture(N, DIM, K, 1, 2);
  mcl_context *c = test_context(3);
  mcl_kmeans_options o = options_of(K, MCL_L2);
  mcl_clusterer *k = make(c, &o);
  mcl_error err;
  for (int64_t at = 1; at < 60; at += 7) {
    watched w;
    mcl_rows rows = rows_watched(&w, x, MCL_ROWS_ANY_THREAD);
    w.r.fail_at = at;
    ck_assert_int_eq(mcl_clusterer_fit(k, &rows, NULL, &err), MCL_E_IO);
    ck_assert_int_eq(err.host_code, 77);
    ck_assert_msg(strstr(err.message, "the disk is gone") != NULL, "%s", err.message);
  }
  fit(k, x, N, DIM);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
  free(x);
}
END_TEST

START_TEST(unknown_flags_are_refused) {
  float x[4] = {0};
  mcl_array a = mcl_matrix_f32(x, 2, 2);
  mcl_rows rows = rows_of(&a);
  mcl_context *c = test_context(1);
  mcl_kmeans_options o = kmeans_options(1, MCL_L2);
  mcl_clusterer *k = make(c, &o);
  mcl_error err;
  rows.flags = 2;
  ck_assert_int_eq(mcl_clusterer_fit(k, &rows, NULL, &err), MCL_E_UNSUPPORTED);
  ck_assert_msg(strstr(err.message, "flags") != NULL, "%s", err.message);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
}
END_TEST

// ---- from files ---------------------------------------------------------------------------------

static void compare_file(int32_t dtype, const mcl_array *numbers) {
  char path[512];
  mcl_npy *file = NULL;
  mcl_error err;
  mcl_context *c = test_context(2);
  mcl_kmeans_options o = options_of(K, MCL_COSINE);
  snprintf(path, sizeof path, "%s/rows.npy", test_directory("large_rows"));
  CHECK_OK(mcl_npy_create(c, path, dtype, N, DIM, &file, &err));
  CHECK_OK(mcl_npy_write(file, 0, numbers, &err));
  CHECK_OK(mcl_npy_commit(file, &err));
  mcl_npy_unref(file);
  CHECK_OK(mcl_npy_open(c, path, &file, &err));
  mcl_rows rows, array = rows_of(numbers);
  mcl_struct_init(&rows, sizeof rows);
  mcl_npy_rows(file, &rows);
  ck_assert_int_eq(rows.flags, MCL_ROWS_ANY_THREAD);
  outcome by_file = run(c, &o, &rows), by_array = run(c, &o, &array);
  check_same(&by_array, &by_file, DIM);
  outcome_free(&by_file), outcome_free(&by_array);
  mcl_npy_unref(file);
  mcl_context_unref(c);
}

START_TEST(a_file_gives_the_bits_of_its_array_in_every_float_type) {
  float *x = mixture(N, DIM, K, 1, 3);
  double *wide = malloc(sizeof *wide * N * DIM);
  for (int64_t i = 0; i < N * DIM; i++) wide[i] = (double)x[i];
  int64_t shape[2] = {N, DIM};
  mcl_array narrow = mcl_matrix_f32(x, N, DIM), doubles;
  mcl_array_init(&doubles, wide, MCL_F64, 2, shape);
  compare_file(MCL_F32, &narrow);
  compare_file(MCL_F64, &doubles);
  for (int64_t i = 0; i < N * DIM; i++) x[i] = roundf(x[i] * 64) / 64; // exact in f16
  compare_file(MCL_F16, &narrow);
  free(wide);
  free(x);
}
END_TEST

START_TEST(a_file_cut_short_is_an_error_and_not_a_signal) {
  float *x = mixture(N, DIM, K, 1, 4);
  char path[512];
  mcl_npy *file = NULL;
  mcl_error err;
  mcl_context *c = test_context(2);
  mcl_kmeans_options o = options_of(K, MCL_L2);
  mcl_array a = mcl_matrix_f32(x, N, DIM);
  mcl_clusterer *k = make(c, &o);
  mcl_rows rows;
  snprintf(path, sizeof path, "%s/cut.npy", test_directory("large_rows_cut"));
  CHECK_OK(mcl_npy_create(c, path, MCL_F32, N, DIM, &file, &err));
  CHECK_OK(mcl_npy_write(file, 0, &a, &err));
  CHECK_OK(mcl_npy_commit(file, &err));
  mcl_npy_unref(file);
  CHECK_OK(mcl_npy_open(c, path, &file, &err));
  mcl_struct_init(&rows, sizeof rows);
  mcl_npy_rows(file, &rows);
  ck_assert_int_eq(truncate(path, N * DIM * 2), 0);
  ck_assert_int_eq(mcl_clusterer_fit(k, &rows, NULL, &err), MCL_E_IO);
  ck_assert_msg(strstr(err.message, "cut.npy") != NULL, "%s", err.message);
  mcl_clusterer_unref(k);
  mcl_npy_unref(file);
  mcl_context_unref(c);
  free(x);
}
END_TEST

// ---- within a number of bytes -------------------------------------------------------------------

// The most that a fit held, beyond what the context and the clusterer hold.
static int64_t peak_of(uint32_t threads, const mcl_kmeans_options *o, const mcl_rows *rows,
                       outcome *out) {
  test_allocator a;
  mcl_error err;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, threads);
  mcl_clusterer *k = make(c, o);
  int64_t before = a.bytes;
  a.peak = a.bytes;
  mcl_status s = mcl_clusterer_fit(k, rows, NULL, &err);
  int64_t peak = a.peak - before;
  if (s < 0) {
    ck_assert_msg(s == MCL_E_LIMIT && strstr(err.message, "max_bytes"), "%s", err.message);
    peak = -1;
  } else {
    out->report = report_of(k);
    out->centroids = centroids_of(k, out->report.k_effective, DIM);
    out->labels = malloc(sizeof *out->labels * N);
    CHECK_OK(mcl_clusterer_assign(k, rows, NULL, out->labels, NULL, &err));
  }
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
  return peak;
}

// Down from what is wanted to what is refused: never more than allowed, nothing changed, and what the
// refusal asks for is enough.
static void tighten(const mcl_kmeans_options *wanted, const mcl_rows *rows, int by_bounds) {
  mcl_kmeans_options o = *wanted;
  outcome free_hand, now;
  int64_t most = peak_of(2, &o, rows, &free_hand), least = most;
  int steps = 0;
  for (o.max_bytes = 2 * most;; o.max_bytes = o.max_bytes * 9 / 10) {
    int64_t peak = peak_of(2, &o, rows, &now);
    if (peak < 0) break;
    ck_assert_int_le(peak, o.max_bytes);
    check_same(&free_hand, &now, DIM);
    outcome_free(&now);
    least = peak;
    steps++;
  }
  ck_assert_int_gt(steps, 2);
  ck_assert_int_gt(o.max_bytes, least / 2); // the formula is not far above what is held
  if (by_bounds) ck_assert_int_lt(least, most * 9 / 10);
  outcome_free(&free_hand);
}

START_TEST(a_fit_stays_within_max_bytes_and_finds_the_same) {
  float *x = mixture(N, DIM, K, 1, 5);
  reader r = {x, DIM, 0, 0};
  mcl_array a = mcl_matrix_f32(x, N, DIM);
  mcl_rows array = rows_of(&a), callback = rows_by(&r, N);
  mcl_kmeans_options o = options_of(K, MCL_L2);
  o.init = MCL_INIT_RANDOM;
  tighten(&o, &array, 0);
  o.k = 150;
  tighten(&o, &array, 1);
  tighten(&o, &callback, 1);
  o.init = MCL_INIT_KMEANSPP;
  tighten(&o, &array, 0);
  o.max_train_rows = 3000;
  tighten(&o, &array, 0);
  o.max_train_rows = 0;
  o.method = MCL_MINIBATCH;
  tighten(&o, &callback, 0);
  free(x);
}
END_TEST

RUN_TESTS("large_rows", any_thread_reads_where_it_may_and_only_the_callers_otherwise,
          a_reader_that_fails_on_another_thread_fails_the_call, unknown_flags_are_refused,
          a_file_gives_the_bits_of_its_array_in_every_float_type,
          a_file_cut_short_is_an_error_and_not_a_signal,
          a_fit_stays_within_max_bytes_and_finds_the_same)
