// k-means over ranks: the bits of one process on any number of them, and a failure anywhere is everyone's.
#include <stdatomic.h>
#include <stdio.h>

#include "clusterer/clusters.h"
#include "support/ranks.h"

// A problem, and what came of it.
typedef struct problem {
  mcl_kmeans_options o;
  const float *x, *given;
  int64_t n;
  int32_t dim,
      by; // 0: an array, 1: a callback, 2: a callback of any thread, 3: an array of float64
  // What rank 0 found in the first run; all others are held against it.
  mcl_clusterer_report report;
  float *centroids;
  int64_t *sizes;
  int32_t *labels;
  double *distances;
  int64_t rows_read[MOST_TEST_RANKS], outside; // by callback
} problem;

typedef struct mine {
  const problem *of;
  const test_rank *rank;
  int64_t first, n;
  atomic_llong read, outside;
} mine;

static mcl_status read_share(void *user, int64_t first, int64_t n, const mcl_array *out,
                             mcl_error *err) {
  mine *m = user;
  if (first < m->first || first + n > m->first + m->n) atomic_fetch_add(&m->outside, 1);
  atomic_fetch_add(&m->read, n);
  int64_t dim = m->of->dim;
  memcpy(out->data, m->of->x + first * dim, (size_t)(n * dim) * sizeof(float));
  return mcl_ok(err);
}

static double *doubles_of(const float *x, int64_t n) {
  double *d = malloc((size_t)n * sizeof *d);
  for (int64_t i = 0; i < n; i++) d[i] = (double)x[i];
  return d;
}

static void fit_and_compare(test_rank *r) {
  problem *p = r->user;
  mcl_error err;
  mcl_clusterer *k = NULL;
  CHECK_OK(mcl_clusterer_create_kmeans(r->context, &p->o, r->comm, &k, &err));
  if (p->given) give(k, p->given, p->o.k, p->dim);
  mine m = {.of = p, .rank = r};
  mcl_comm_share(r->comm, p->n, &m.first, &m.n);
  mcl_array a = mcl_matrix_f32((float *)(uintptr_t)p->x, p->n, p->dim);
  double *wide = p->by == 3 ? doubles_of(p->x, p->n * p->dim) : NULL;
  int64_t shape[2] = {p->n, p->dim};
  if (wide) mcl_array_init(&a, wide, MCL_F64, 2, shape);
  mcl_rows rows = rows_of(&a);
  if (p->by == 1 || p->by == 2) {
    mcl_struct_init(&rows, sizeof rows);
    rows.rows = p->n;
    rows.dim = p->dim;
    rows.dtype = MCL_F32;
    rows.user = &m;
    rows.read = read_share;
    rows.flags = p->by == 2 ? MCL_ROWS_ANY_THREAD : 0;
  }
  CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err));
  mcl_clusterer_report report = report_of(k);
  int32_t found = report.k_effective;
  float *centroids = centroids_of(k, found, p->dim);
  int64_t *sizes = malloc((size_t)found * sizeof *sizes);
  CHECK_OK(mcl_clusterer_sizes(k, sizes, found, &err));
  int32_t *labels = malloc((size_t)p->n * sizeof *labels);
  double *distances = malloc((size_t)p->n * sizeof *distances);
  CHECK_OK(mcl_clusterer_assign(k, &rows, NULL, labels, distances, &err));
  ck_assert_int_eq(atomic_load(&m.outside), 0);
  if (!p->centroids) { // one process
    p->report = report;
    p->centroids = centroids;
    p->sizes = sizes;
    p->labels = labels;
    p->distances = distances;
  } else {
    ck_assert_mem_eq(&report, &p->report, sizeof report);
    ck_assert_mem_eq(centroids, p->centroids, (size_t)found * (size_t)p->dim * sizeof *centroids);
    ck_assert_mem_eq(sizes, p->sizes, (size_t)found * sizeof *sizes);
    ck_assert_mem_eq(labels, p->labels, (size_t)p->n * sizeof *labels);
    ck_assert_mem_eq(distances, p->distances, (size_t)p->n * sizeof *distances);
    free(centroids);
    free(sizes);
    free(labels);
    free(distances);
  }
  free(wide);
  mcl_clusterer_unref(k);
}

static void same_on_all(problem *p) {
  for (int32_t size = 1; size <= 5; size++) {
    test_ranks w = {.size = size, .threads = size == 3 ? 2 : 1};
    test_ranks_run(&w, fit_and_compare, p);
  }
  test_ranks w = {.size = 7};
  test_ranks_run(&w, fit_and_compare, p);
  free(p->centroids);
  free(p->sizes);
  free(p->labels);
  free(p->distances);
  p->centroids = NULL;
}

enum { N = 66 * 1024 + 77, DIM = 6 };

START_TEST(lloyd_has_the_same_bits_on_any_number_of_ranks) {
  float *x = mixture(N, DIM, 9, 1.0F, 1);
  for (int32_t by = 0; by <= 3; by++) {
    int32_t metric = by % 2 ? MCL_L2 : MCL_COSINE;
    problem p = {.o = kmeans_options(7 + 10 * by, metric), .x = x, .n = N, .dim = DIM, .by = by};
    p.o.restarts = 2;
    p.o.max_iterations = 12;
    same_on_all(&p);
  }
  free(x);
}
END_TEST

START_TEST(so_have_minibatches_samples_and_given_starts) {
  float *x = mixture(N, DIM, 9, 1.0F, 3);
  problem p = {.o = kmeans_options(11, MCL_L2), .x = x, .n = N, .dim = DIM, .by = 1};
  p.o.method = MCL_MINIBATCH;
  p.o.minibatch_rows = 3000;
  p.o.max_iterations = 3;
  same_on_all(&p);
  p.o.minibatch_rows = N - 1; // 64 segments, where a rank's own rows have 9
  p.o.max_iterations = 1;
  same_on_all(&p);
  p.o.method = MCL_LLOYD;
  p.o.max_train_rows = 20000;
  same_on_all(&p);
  p.o.init = MCL_INIT_RANDOM;
  p.o.metric = MCL_COSINE;
  same_on_all(&p);
  p.o.max_train_rows = 0;
  p.o.init = MCL_INIT_GIVEN;
  p.given = x + 5 * DIM;
  same_on_all(&p);
  free(x);
}
END_TEST

// A block for the first rank alone; two for two; fewer segments than ranks; more blocks than segments.
START_TEST(shares_of_every_size) {
  const int64_t rows[] = {20, 1024, 1025, 2100, 5 * 1024, 64 * 1024, 64 * 1024 + 1, 130 * 1024};
  float *x = mixture(rows[7], 3, 4, 2.0F, 5);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    problem p = {
        .o = kmeans_options(5, MCL_L2), .x = x, .n = rows[i], .dim = 3, .by = (int32_t)i % 2};
    p.o.max_iterations = 8;
    p.o.restarts = 1;
    same_on_all(&p);
  }
  free(x);
}
END_TEST

// Duplicates: fewer distinct rows than clusters, on all ranks together or in no rank's share alone.
START_TEST(empty_clusters_and_few_distinct_rows) {
  enum { ROWS = 9 * 1024, D = 4 };
  float *x = calloc(ROWS * D, sizeof *x);
  for (int64_t i = 0; i < ROWS; i++) x[i * D + 0] = (float)(i / 1024 % 3 + 1), x[i * D + 1] = 1;
  for (int32_t empty = MCL_EMPTY_FARTHEST; empty <= MCL_EMPTY_SHRINK_K; empty++)
    for (int32_t metric = MCL_COSINE; metric <= MCL_L2; metric++) {
      problem p = {.o = kmeans_options(6, metric), .x = x, .n = ROWS, .dim = D, .by = 1};
      p.o.empty = empty;
      same_on_all(&p);
      ck_assert_int_eq(p.report.distinct, 3);
      ck_assert_int_eq(p.report.k_effective, 3);
    }
  // Given starts far away from all rows: clusters that are empty at once, and are mended or left out.
  float *y = mixture(ROWS, D, 5, 3.0F, 8);
  float given[6 * D];
  for (int i = 0; i < 6 * D; i++) given[i] = i < 2 * D ? y[i] : 1000.0F + (float)i;
  for (int32_t empty = MCL_EMPTY_FARTHEST; empty <= MCL_EMPTY_SHRINK_K; empty++) {
    problem p = {
        .o = kmeans_options(6, MCL_L2), .x = y, .n = ROWS, .dim = D, .by = 1, .given = given};
    p.o.init = MCL_INIT_GIVEN;
    p.o.empty = empty;
    same_on_all(&p);
    ck_assert((p.report.repairs > 0) == (empty != MCL_EMPTY_SHRINK_K));
  }
  memset(x, 0, ROWS * D * sizeof *x);
  problem p = {.o = kmeans_options(3, MCL_COSINE), .x = x, .n = ROWS, .dim = D, .by = 0};
  same_on_all(&p);
  ck_assert_int_eq(p.report.zero_rows, ROWS);
  free(x);
  free(y);
}
END_TEST

// What is wide needs several rounds of an exchange.
START_TEST(sums_larger_than_an_exchange) {
  enum { ROWS = 2100, WIDE = 3000 };
  float *x = mixture(ROWS, WIDE, 4, 1.0F, 15);
  problem p = {
      .o = kmeans_options(150, MCL_L2), .x = x, .n = ROWS, .dim = WIDE, .by = 0, .given = x};
  p.o.init = MCL_INIT_GIVEN; // seeding would take most of the time, and sums little
  p.o.max_iterations = 2;
  p.o.restarts = 1;
  same_on_all(&p);
  free(x);
}
END_TEST

// ---- failures -------------------------------------------------------------------------------------------------------

typedef struct trouble {
  const float *x;
  int64_t n;
  int32_t rank;      // who fails
  int64_t fail_at;   // the call of its callback; 0: none
  int64_t cancel_at; // of its monitor
  int32_t kind;      // of what differs between ranks
} trouble;

typedef struct progress_count {
  int64_t calls, cancel_at;
} progress_count;

static int32_t count_progress(void *user, const mcl_progress *p) {
  progress_count *c = user;
  (void)p;
  return ++c->calls == c->cancel_at;
}

static void one_fails(test_rank *r) {
  const trouble *t = r->user;
  mcl_error err;
  mcl_clusterer *k = NULL;
  mcl_kmeans_options o = kmeans_options(5, MCL_L2);
  o.max_iterations = 5;
  CHECK_OK(mcl_clusterer_create_kmeans(r->context, &o, r->comm, &k, &err));
  reader good = {t->x, 4, 0, 0}, bad = good;
  mcl_rows rows = rows_by(&good, t->n);
  CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err)); // so that there is something to be kept
  mcl_clusterer_report before = report_of(k);
  if (r->rank == t->rank) bad.fail_at = t->fail_at;
  rows = rows_by(&bad, t->n);
  progress_count count = {0, r->rank == t->rank ? t->cancel_at : 0};
  mcl_monitor monitor;
  mcl_struct_init(&monitor, sizeof monitor);
  monitor.user = &count;
  monitor.progress = count_progress;
  mcl_status s = mcl_clusterer_fit(k, &rows, &monitor, &err);
  char word[32];
  snprintf(word, sizeof word, "rank %d: ", (int)t->rank);
  if (s == MCL_OK) { // the call never came
    before = report_of(k);
  } else {
    ck_assert_int_eq(s, t->fail_at ? MCL_E_IO : MCL_E_CANCELLED);
    ck_assert_ptr_nonnull(strstr(err.message, word));
    if (t->fail_at) ck_assert_int_eq(err.host_code, 77);
  }
  mcl_clusterer_report after = report_of(k);
  ck_assert_mem_eq(&before, &after, sizeof after);
  int32_t *labels = malloc((size_t)t->n * sizeof *labels);
  memset(labels, 0x55, (size_t)t->n * sizeof *labels);
  bad.calls = 0;
  s = mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err);
  if (s < 0) ck_assert_int_eq(labels[0] & labels[t->n - 1], 0x55555555);
  // Handles and comm are as good as new.
  rows = rows_by(&good, t->n);
  CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err));
  CHECK_OK(mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err));
  free(labels);
  mcl_clusterer_unref(k);
}

START_TEST(a_failing_callback_on_one_rank_fails_on_all) {
  enum { ROWS = 5000 };
  float *x = mixture(ROWS, 4, 5, 1.0F, 21);
  for (int32_t size = 2; size <= 4; size += 2)
    for (int32_t rank = 0; rank < size; rank++)
      for (int64_t at = 1; at < 40; at += 1 + at / 2) {
        trouble t = {.x = x, .n = ROWS, .rank = rank, .fail_at = at};
        test_ranks w = {.size = size};
        test_ranks_run(&w, one_fails, &t);
      }
  for (int64_t at = 1; at <= 3; at++) {
    trouble t = {.x = x, .n = ROWS, .rank = 1, .cancel_at = at};
    test_ranks w = {.size = 3};
    test_ranks_run(&w, one_fails, &t);
  }
  free(x);
}
END_TEST

// Different options, rows, arguments and calls on one rank.
static void differ(test_rank *r) {
  const trouble *t = r->user;
  mcl_error err;
  mcl_clusterer *k = NULL;
  int odd = r->rank == t->rank;
  mcl_kmeans_options o = kmeans_options(5, MCL_L2);
  if (odd && t->kind == 0) o.seed = 3;
  if (odd && t->kind == 1) o.k = 6;
  if (odd && t->kind == 6) o.max_bytes = INT64_C(1) << 40; // may differ
  CHECK_OK(mcl_clusterer_create_kmeans(r->context, &o, r->comm, &k, &err));
  reader all = {t->x, 4, 0, 0};
  mcl_rows rows = rows_by(&all, t->n - (odd && t->kind == 2));
  int32_t *labels = malloc((size_t)t->n * sizeof *labels);
  mcl_status s;
  if (odd && t->kind == 3)
    s = mcl_clusterer_fit(k, NULL, NULL, &err);
  else if (odd && t->kind == 4)
    s = mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err);
  else
    s = mcl_clusterer_fit(k, &rows, NULL, &err);
  static const mcl_status wanted[] = {MCL_E_MISMATCH, MCL_E_MISMATCH, MCL_E_MISMATCH, MCL_E_INVALID,
                                      MCL_E_STATE,    MCL_OK,         MCL_OK};
  ck_assert_msg(s == wanted[t->kind], "kind %d: %d: %s", (int)t->kind, (int)s, err.message);
  if (s < 0) ck_assert_ptr_nonnull(strstr(err.message, "rank 1"));
  // Centroids that differ do not go together in assign.
  float given[2][20];
  test_fill_normal(&given[0][0], 40, 9);
  o.k = 5;
  o.init = MCL_INIT_GIVEN;
  o.seed = 0;
  mcl_clusterer_unref(k);
  CHECK_OK(mcl_clusterer_create_kmeans(r->context, &o, r->comm, &k, &err));
  give(k, given[odd], 5, 4);
  rows = rows_by(&all, t->n);
  CHECK_FAILS(MCL_E_MISMATCH, "rank 1", mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err));
  CHECK_FAILS(MCL_E_MISMATCH, "rank 1", mcl_clusterer_fit(k, &rows, NULL, &err));
  give(k, given[0], 5, 4);
  CHECK_OK(mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err));
  CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err));
  free(labels);
  mcl_clusterer_unref(k);
}

START_TEST(ranks_that_differ_are_told) {
  enum { ROWS = 5000 };
  float *x = mixture(ROWS, 4, 5, 1.0F, 23);
  for (int32_t kind = 0; kind <= 6; kind++) {
    trouble t = {.x = x, .n = ROWS, .rank = 1, .kind = kind};
    test_ranks w = {.size = 3};
    test_ranks_run(&w, differ, &t);
  }
  free(x);
}
END_TEST

// A process that ends in the middle of a fit.
static void lose(test_rank *r) {
  const trouble *t = r->user;
  mcl_error err;
  mcl_clusterer *k = NULL;
  mcl_kmeans_options o = kmeans_options(5, MCL_L2);
  CHECK_OK(mcl_clusterer_create_kmeans(r->context, &o, r->comm, &k, &err));
  reader all = {t->x, 4, 0, 0};
  mcl_rows rows = rows_by(&all, t->n);
  mcl_status s = MCL_OK;
  for (int i = 0; i < 20 && s == MCL_OK; i++) s = mcl_clusterer_fit(k, &rows, NULL, &err);
  ck_assert_int_eq(s, MCL_E_COMM);
  CHECK_FAILS(MCL_E_COMM, "earlier", mcl_clusterer_fit(k, &rows, NULL, &err));
  mcl_clusterer_unref(k);
}

START_TEST(a_rank_that_ends_is_an_error_on_the_others) {
  enum { ROWS = 5000 };
  float *x = mixture(ROWS, 4, 5, 1.0F, 25);
  for (int64_t at = 1; at < 60; at += 1 + at / 2) {
    trouble t = {.x = x, .n = ROWS};
    test_ranks w = {.size = 3, .die_at = at, .dying = (int32_t)(at % 3)};
    test_ranks_run(&w, lose, &t);
  }
  free(x);
}
END_TEST

// Saved and loaded, it goes on over other ranks.
static void load_and_assign(test_rank *r) {
  const trouble *t = r->user;
  mcl_error err;
  mcl_clusterer *k = NULL;
  char path[256];
  snprintf(path, sizeof path, "%s/k.safetensors", getenv("MCL_SCRATCH"));
  CHECK_OK(mcl_clusterer_load(r->context, path, r->comm, &k, &err));
  int32_t *labels = labels_of(k, t->x, t->n, 4, NULL);
  mcl_context *alone = test_context(1);
  mcl_clusterer *one = NULL;
  CHECK_OK(mcl_clusterer_load(alone, path, NULL, &one, &err));
  int32_t *wanted = labels_of(one, t->x, t->n, 4, NULL);
  ck_assert_mem_eq(labels, wanted, (size_t)t->n * sizeof *labels);
  free(labels);
  free(wanted);
  mcl_clusterer_unref(k);
  mcl_clusterer_unref(one);
  mcl_context_unref(alone);
}

START_TEST(a_saved_one_assigns_over_ranks) {
  enum { ROWS = 5000 };
  float *x = mixture(ROWS, 4, 5, 1.0F, 27);
  mcl_error err;
  char path[256];
  snprintf(path, sizeof path, "%s/k.safetensors", getenv("MCL_SCRATCH"));
  mcl_context *c = test_context(1);
  mcl_kmeans_options o = kmeans_options(5, MCL_COSINE);
  mcl_clusterer *k = make(c, &o);
  fit(k, x, ROWS, 4);
  CHECK_OK(mcl_clusterer_save(k, path, &err));
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
  trouble t = {.x = x, .n = ROWS};
  test_ranks w = {.size = 3};
  test_ranks_run(&w, load_and_assign, &t);
  free(x);
}
END_TEST

RUN_TESTS("clusterer over ranks", lloyd_has_the_same_bits_on_any_number_of_ranks,
          so_have_minibatches_samples_and_given_starts, shares_of_every_size,
          empty_clusters_and_few_distinct_rows, sums_larger_than_an_exchange,
          a_failing_callback_on_one_rank_fails_on_all, ranks_that_differ_are_told,
          a_rank_that_ends_is_an_error_on_the_others, a_saved_one_assigns_over_ranks)
