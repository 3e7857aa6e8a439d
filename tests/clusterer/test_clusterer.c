// The handle: bad input, failing memory, cancelling, calls inside calls, and what each leaves
// behind.
#include <unistd.h>

#include "clusterer/clusters.h"
#include "comm/comm.h"

enum { N = 3000, DIM = 5, K = 7 };

static mcl_context *context;
static float *x;
static mcl_array view;
static mcl_rows rows;
static mcl_error err;

static void begin(void) {
  context = test_context(2);
  x = mixture(N, DIM, K, 2, 31);
  view = mcl_matrix_f32(x, N, DIM);
  rows = rows_of(&view);
}

static void end(void) {
  free(x);
  mcl_context_unref(context);
}

static void refuses(mcl_status status, const char *word, const mcl_kmeans_options *o) {
  mcl_clusterer *k = (mcl_clusterer *)&rows;
  CHECK_FAILS(status, word, mcl_clusterer_create_kmeans(context, o, NULL, &k, &err));
  ck_assert_ptr_eq(k, &rows);
}

START_TEST(every_option_out_of_range_is_named) {
  mcl_kmeans_options o;
#define REFUSE(field, value)                                                                       \
  o = kmeans_options(K, MCL_L2);                                                                   \
  o.field = value;                                                                                 \
  refuses(MCL_E_INVALID, #field, &o)
  REFUSE(k, 0);
  REFUSE(k, (1 << 24) + 1);
  REFUSE(method, 0);
  REFUSE(method, 3);
  REFUSE(metric, 0);
  REFUSE(metric, 3);
  REFUSE(init, 0);
  REFUSE(init, 4);
  REFUSE(empty, 0);
  REFUSE(empty, 4);
  REFUSE(restarts, 0);
  REFUSE(restarts, 1001);
  REFUSE(max_iterations, 0);
  REFUSE(max_iterations, 1000001);
  REFUSE(minibatch_rows, 0);
  REFUSE(minibatch_rows, (1 << 24) + 1);
  REFUSE(tolerance, -1e-9);
  REFUSE(tolerance, NAN);
  REFUSE(tolerance, INFINITY);
  REFUSE(max_train_rows, -1);
  REFUSE(max_train_rows, K - 1);
  o = kmeans_options(K, MCL_L2);
  o.struct_size = 0;
  refuses(MCL_E_INVALID, "struct_size", &o);
  struct {
    mcl_kmeans_options o;
    int64_t newer;
  } newer;
  mcl_kmeans_options_init(&newer.o, sizeof newer);
  newer.newer = 1;
  refuses(MCL_E_UNSUPPORTED, "mcl_kmeans_options", &newer.o);
}
END_TEST

START_TEST(defaults_are_as_documented) {
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  ck_assert(o.struct_size == sizeof o && o.seed == 0 && o.k == 10 && o.method == MCL_LLOYD);
  ck_assert(o.metric == MCL_COSINE && o.init == MCL_INIT_KMEANSPP && o.empty == MCL_EMPTY_FARTHEST);
  ck_assert(o.restarts == 3 && o.max_iterations == 100 && o.minibatch_rows == 4096);
  ck_assert(o.tolerance == 1e-4 && o.max_train_rows == 0);
  mcl_clusterer *k = make(context, NULL);
  ck_assert_int_eq(fit(k, x, N, DIM).k, 10);
  mcl_clusterer_unref(k);
}
END_TEST

START_TEST(null_arguments_are_named) {
  mcl_clusterer *k = make(context, NULL), *out = NULL;
  mcl_host_clusterer host;
  int32_t labels[1];
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_clusterer_create_kmeans(NULL, NULL, NULL, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_clusterer_create_kmeans(context, NULL, NULL, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "host", mcl_clusterer_create_host(context, NULL, &out, &err));
  mcl_struct_init(&host, sizeof host);
  CHECK_FAILS(MCL_E_INVALID, "fit and assign",
              mcl_clusterer_create_host(context, &host, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "clusterer", mcl_clusterer_fit(NULL, &rows, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "rows", mcl_clusterer_fit(k, NULL, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "clusterer", mcl_clusterer_set_centroids(NULL, &view, &err));
  CHECK_FAILS(MCL_E_INVALID, "centroids", mcl_clusterer_set_centroids(k, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "clusterer",
              mcl_clusterer_assign(NULL, &rows, NULL, labels, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "rows", mcl_clusterer_assign(k, NULL, NULL, labels, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "labels", mcl_clusterer_assign(k, &rows, NULL, NULL, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "clusterer", mcl_clusterer_centroids(NULL, &view, &err));
  CHECK_FAILS(MCL_E_INVALID, "clusterer", mcl_clusterer_sizes(NULL, NULL, 0, &err));
  CHECK_FAILS(MCL_E_INVALID, "clusterer", mcl_clusterer_get_report(NULL, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "clusterer", mcl_clusterer_save(NULL, "x", &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_clusterer_save(k, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_clusterer_load(NULL, "x", NULL, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_clusterer_load(context, NULL, NULL, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_clusterer_load(context, "x", NULL, NULL, &err));
  fit(k, x, N, DIM);
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_clusterer_centroids(k, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_clusterer_sizes(k, NULL, 10, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_clusterer_get_report(k, NULL, &err));
  ck_assert_ptr_null(out);
  ck_assert_ptr_null(mcl_clusterer_ref(NULL));
  mcl_clusterer_unref(NULL);
  mcl_clusterer_unref(k);
}
END_TEST

START_TEST(nothing_can_be_asked_before_fit) {
  mcl_clusterer *k = make(context, NULL);
  mcl_clusterer_report r;
  int64_t sizes[10];
  int32_t labels[N];
  mcl_struct_init(&r, sizeof r);
  CHECK_FAILS(MCL_E_STATE, "fit", mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err));
  CHECK_FAILS(MCL_E_STATE, "fit", mcl_clusterer_centroids(k, &view, &err));
  CHECK_FAILS(MCL_E_STATE, "fit", mcl_clusterer_sizes(k, sizes, 10, &err));
  CHECK_FAILS(MCL_E_STATE, "fit", mcl_clusterer_get_report(k, &r, &err));
  CHECK_FAILS(MCL_E_STATE, "fit", mcl_clusterer_save(k, "/tmp/never", &err));
  give(k, x, 10, DIM); // enough for assign, not for sizes
  CHECK_OK(mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err));
  CHECK_FAILS(MCL_E_STATE, "fit", mcl_clusterer_sizes(k, sizes, 10, &err));
  CHECK_FAILS(MCL_E_STATE, "fit", mcl_clusterer_get_report(k, &r, &err));
  mcl_clusterer_unref(k);
}
END_TEST

START_TEST(k_above_rows_names_both) {
  mcl_kmeans_options o = kmeans_options(4, MCL_COSINE);
  mcl_clusterer *k = make(context, &o);
  view = mcl_matrix_f32(x, 3, DIM);
  CHECK_FAILS(MCL_E_INVALID, "k is 4, more than the 3 rows",
              mcl_clusterer_fit(k, &rows, NULL, &err));
  view = mcl_matrix_f32(x, 4, DIM);
  CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err));
  mcl_clusterer_unref(k);
}
END_TEST

START_TEST(given_centroids_are_checked) {
  for (int32_t metric = MCL_COSINE; metric <= MCL_L2; metric++) {
    mcl_kmeans_options o = kmeans_options(3, metric);
    o.init = MCL_INIT_GIVEN;
    mcl_clusterer *k = make(context, &o);
    float c[4 * DIM];
    test_fill_normal(c, 4 * DIM, 1);
    mcl_array a = mcl_matrix_f32(c, 3, DIM);
    CHECK_FAILS(MCL_E_STATE, "set_centroids", mcl_clusterer_fit(k, &rows, NULL, &err));
    CHECK_OK(mcl_clusterer_set_centroids(k, &a, &err));
    double before = fit(k, x, N, DIM).inertia;
    a.shape[0] = 2;
    CHECK_FAILS(MCL_E_SHAPE, "centroids", mcl_clusterer_set_centroids(k, &a, &err));
    a.shape[0] = 3;
    a.dtype = MCL_I32;
    CHECK_FAILS(MCL_E_DTYPE, "centroids", mcl_clusterer_set_centroids(k, &a, &err));
    a.dtype = MCL_F32;
    c[2 * DIM + 1] = NAN;
    CHECK_FAILS(MCL_E_NOT_FINITE, "centroid 2", mcl_clusterer_set_centroids(k, &a, &err));
    ck_assert_int_eq(err.row, 2);
    c[2 * DIM + 1] = 3e18f;
    CHECK_FAILS(MCL_E_LIMIT, "row 2", mcl_clusterer_set_centroids(k, &a, &err));
    memset(c + DIM, 0, DIM * sizeof *c);
    c[2 * DIM + 1] = 1;
    if (metric == MCL_COSINE) {
      CHECK_FAILS(MCL_E_INVALID, "centroid 1", mcl_clusterer_set_centroids(k, &a, &err));
      ck_assert_int_eq(err.row, 1);
      ck_assert(report_of(k).inertia == before); // all the failures above changed nothing
      ck_assert(fit(k, x, N, DIM).inertia == before);
    } else {
      CHECK_OK(mcl_clusterer_set_centroids(k, &a, &err));
    }
    view = mcl_matrix_f32(x, N / 2, 2 * DIM);
    CHECK_FAILS(MCL_E_SHAPE, "dim", mcl_clusterer_fit(k, &rows, NULL, &err));
    view = mcl_matrix_f32(x, N, DIM);
    mcl_clusterer_unref(k);
  }
}
END_TEST

START_TEST(outputs_of_the_wrong_shape_are_refused) {
  mcl_kmeans_options o = kmeans_options(K, MCL_L2);
  mcl_clusterer *k = make(context, &o);
  float out[K * DIM];
  int64_t sizes[K];
  int32_t labels[N];
  mcl_array a = mcl_matrix_f32(out, K, DIM - 1), wide = mcl_matrix_f32(x, N / 2, 2 * DIM);
  mcl_rows others = rows_of(&wide);
  mcl_clusterer_report r;
  fit(k, x, N, DIM);
  CHECK_FAILS(MCL_E_SHAPE, "out", mcl_clusterer_centroids(k, &a, &err));
  a = mcl_matrix_f32(out, K, DIM);
  a.flags = MCL_ARRAY_READONLY;
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_clusterer_centroids(k, &a, &err));
  CHECK_FAILS(MCL_E_SHAPE, "n is 6", mcl_clusterer_sizes(k, sizes, K - 1, &err));
  CHECK_FAILS(MCL_E_SHAPE, "dim", mcl_clusterer_assign(k, &others, NULL, labels, NULL, &err));
  r.struct_size = 0;
  CHECK_FAILS(MCL_E_INVALID, "mcl_clusterer_report", mcl_clusterer_get_report(k, &r, &err));
  mcl_clusterer_unref(k);
}
END_TEST

START_TEST(a_row_that_is_no_number_is_named_and_leaves_the_fit_before) {
  static const int32_t methods[] = {MCL_LLOYD, MCL_MINIBATCH};
  for (int m = 0; m < 2; m++)
    for (int64_t sample = 0; sample <= 50; sample += 50) {
      mcl_kmeans_options o = kmeans_options(K, MCL_COSINE);
      o.method = methods[m];
      o.max_train_rows = sample;
      mcl_clusterer *k = make(context, &o);
      double before = fit(k, x, N, DIM).inertia, kept = x[1234 * DIM];
      int32_t labels[N];
      double distances[N];
      memset(labels, 0x55, sizeof labels);
      memset(distances, 0x55, sizeof distances);
      x[1234 * DIM] = m ? NAN : -INFINITY;
      CHECK_FAILS(MCL_E_NOT_FINITE, "1234", mcl_clusterer_fit(k, &rows, NULL, &err));
      ck_assert_int_eq(err.row, 1234);
      CHECK_FAILS(MCL_E_NOT_FINITE, "1234",
                  mcl_clusterer_assign(k, &rows, NULL, labels, distances, &err));
      ck_assert_int_eq(err.row, 1234);
      for (int i = 0; i < N; i++) ck_assert_int_eq(labels[i], 0x55555555);
      for (size_t i = 0; i < sizeof distances; i++) ck_assert_int_eq(((char *)distances)[i], 0x55);
      x[1234 * DIM] = 2e18f;
      CHECK_FAILS(MCL_E_LIMIT, "1234", mcl_clusterer_fit(k, &rows, NULL, &err));
      x[1234 * DIM] = (float)kept;
      ck_assert(report_of(k).inertia == before);
      ck_assert(fit(k, x, N, DIM).inertia == before);
      mcl_clusterer_unref(k);
    }
}
END_TEST

START_TEST(a_reader_that_fails_fails_the_call_and_nothing_else) {
  static const int32_t methods[] = {MCL_LLOYD, MCL_MINIBATCH};
  for (int m = 0; m < 2; m++) {
    mcl_kmeans_options o = kmeans_options(K, MCL_L2);
    o.method = methods[m];
    o.restarts = 1;
    o.max_iterations = 3;
    mcl_clusterer *k = make(context, &o);
    double before = fit(k, x, N, DIM).inertia;
    reader r = {x, DIM, 0, 0};
    mcl_rows read = rows_by(&r, N);
    CHECK_OK(mcl_clusterer_fit(k, &read, NULL, &err));
    int64_t calls = r.calls;
    ck_assert_int_gt(calls, 10);
    for (int64_t at = 1; at <= calls; at++) {
      r.calls = 0;
      r.fail_at = at;
      CHECK_FAILS(MCL_E_IO, "the disk is gone", mcl_clusterer_fit(k, &read, NULL, &err));
      ck_assert_int_eq(err.host_code, 77);
      ck_assert(report_of(k).inertia == before);
    }
    mcl_clusterer_unref(k);
  }
}
END_TEST

START_TEST(an_iteration_reads_every_row_once) {
  int64_t calls[2];
  for (int i = 0; i < 2; i++) {
    mcl_kmeans_options o = kmeans_options(K, MCL_L2);
    o.restarts = 1;
    o.max_iterations = 3 + 2 * i;
    o.tolerance = 0;
    mcl_clusterer *k = make(context, &o);
    reader r = {x, DIM, 0, 0};
    mcl_rows read = rows_by(&r, N);
    CHECK_OK(mcl_clusterer_fit(k, &read, NULL, &err));
    ck_assert_int_eq(report_of(k).iterations, o.max_iterations);
    calls[i] = r.calls;
    mcl_clusterer_unref(k);
  }
  ck_assert_int_eq(calls[1] - calls[0], 2 * ((N + MCLI_BLOCK_ROWS - 1) / MCLI_BLOCK_ROWS));
}
END_TEST

// ---- memory -------------------------------------------------------------------------------------

static void fail_every_request(int32_t method, int32_t metric, int64_t max_train_rows,
                               int by_callback) {
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 2);
  mcl_kmeans_options o = kmeans_options(K, metric);
  o.method = method;
  o.max_train_rows = max_train_rows;
  o.restarts = 2;
  o.max_iterations = 3;
  o.minibatch_rows = 200;
  mcl_clusterer *k = NULL;
  mcl_status s = MCL_E_NOMEM;
  for (int64_t n = 1; s == MCL_E_NOMEM; n++) {
    a.fail_at = n;
    s = mcl_clusterer_create_kmeans(c, &o, NULL, &k, &err);
    if (s < 0) ck_assert_ptr_null(k);
  }
  ck_assert_int_eq(s, MCL_OK);
  a.fail_at = 0;
  double before = fit(k, x, N, DIM).inertia;
  reader r = {x, DIM, 0, 0};
  mcl_rows read = rows_by(&r, N);
  int64_t live = a.live, sites = 0;
  s = MCL_E_NOMEM;
  for (int64_t n = 1; s == MCL_E_NOMEM; n++, sites++) {
    a.fail_at = n;
    s = mcl_clusterer_fit(k, by_callback ? &read : &rows, NULL, &err);
    if (s == MCL_OK) break;
    a.fail_at = 0;
    ck_assert_int_eq(err.status, MCL_E_NOMEM);
    ck_assert_int_eq(a.live, live);
    ck_assert(report_of(k).inertia == before);
  }
  ck_assert_int_eq(s, MCL_OK);
  ck_assert_int_gt(sites, 20);
  ck_assert(report_of(k).inertia == before);
  int32_t labels[N];
  double distances[N];
  memset(labels, 0x55, sizeof labels);
  live = a.live;
  s = MCL_E_NOMEM;
  for (int64_t n = 1; s == MCL_E_NOMEM; n++) {
    a.fail_at = n;
    s = mcl_clusterer_assign(k, by_callback ? &read : &rows, NULL, labels, distances, &err);
    ck_assert_int_eq(a.live, live);
    if (s < 0) ck_assert_int_eq(labels[N - 1], 0x55555555);
  }
  ck_assert_int_eq(s, MCL_OK);
  s = MCL_E_NOMEM;
  view = mcl_matrix_f32(x, K, DIM);
  for (int64_t n = 1; s == MCL_E_NOMEM; n++) {
    a.fail_at = n;
    s = mcl_clusterer_set_centroids(k, &view, &err);
    if (s < 0) ck_assert(report_of(k).inertia == before);
  }
  ck_assert_int_eq(s, MCL_OK);
  view = mcl_matrix_f32(x, N, DIM);
  a.fail_at = 0;
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
}

START_TEST(failing_memory_is_reported_and_leaks_nothing) {
  fail_every_request(MCL_LLOYD, MCL_COSINE, 0, 0);
  fail_every_request(MCL_LLOYD, MCL_L2, 1000, 1);
  fail_every_request(MCL_MINIBATCH, MCL_COSINE, 0, 1);
}
END_TEST

// ---- progress -----------------------------------------------------------------------------------

typedef struct listener {
  int64_t calls, stop_at;
  int32_t seeds, fits, assigns;
  mcl_clusterer *inner;
  mcl_status inner_fit, inner_assign;
} listener;

static int32_t listen_to(void *user, const mcl_progress *p) {
  listener *l = user;
  l->calls++;
  l->seeds += strcmp(p->phase, "seed") == 0;
  l->fits += strcmp(p->phase, "fit") == 0;
  l->assigns += strcmp(p->phase, "assign") == 0;
  ck_assert(p->done >= 0 && p->done <= p->total);
  if (l->inner) {
    int32_t labels[N];
    l->inner_fit = mcl_clusterer_fit(l->inner, &rows, NULL, NULL);
    l->inner_assign = mcl_clusterer_assign(l->inner, &rows, NULL, labels, NULL, NULL);
  }
  return l->calls == l->stop_at;
}

static mcl_monitor monitor_of(listener *l) {
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.user = l;
  m.progress = listen_to;
  return m;
}

START_TEST(progress_tells_every_phase_and_cancels_leaving_the_fit_before) {
  mcl_kmeans_options o = kmeans_options(K, MCL_COSINE);
  mcl_clusterer *k = make(context, &o);
  double before = fit(k, x, N, DIM).inertia;
  listener l = {0};
  mcl_monitor m = monitor_of(&l);
  CHECK_OK(mcl_clusterer_fit(k, &rows, &m, &err));
  ck_assert(l.seeds >= 1 && l.fits >= 1 && l.assigns >= 1);
  int64_t calls = l.calls;
  for (int64_t stop = 1; stop <= calls && stop < 5; stop++) {
    l = (listener){.stop_at = stop};
    CHECK_FAILS(MCL_E_CANCELLED, "", mcl_clusterer_fit(k, &rows, &m, &err));
    ck_assert(report_of(k).inertia == before);
  }
  int32_t labels[N];
  memset(labels, 0x55, sizeof labels);
  l = (listener){.stop_at = 1};
  CHECK_FAILS(MCL_E_CANCELLED, "", mcl_clusterer_assign(k, &rows, &m, labels, NULL, &err));
  ck_assert_int_eq(labels[0], 0x55555555);
  mcl_clusterer_unref(k);
}
END_TEST

typedef struct slow {
  reader rows;
  int64_t read[2]; // blocks, when the monitor was told of passes
  int told;
} slow;

static mcl_status read_slowly(void *user, int64_t first, int64_t n, const mcl_array *out,
                              mcl_error *why) {
  slow *s = user;
  usleep(60000);
  return read_floats(&s->rows, first, n, out, why);
}

static int32_t stop_when_told_again(void *user, const mcl_progress *p) {
  slow *s = user;
  if (strcmp(p->phase, "fit") != 0) return 0;
  s->read[s->told++] = s->rows.calls;
  return s->told == 2;
}

START_TEST(a_pass_that_takes_long_is_told_of_and_cancelled_in_the_middle) {
  enum { BLOCKS = 8, ROWS = BLOCKS * MCLI_BLOCK_ROWS };
  mcl_context *alone = test_context(1);
  float *many = mixture(ROWS, DIM, K, 2, 12);
  mcl_kmeans_options o = kmeans_options(K, MCL_L2);
  o.init = MCL_INIT_GIVEN;
  mcl_clusterer *k = make(alone, &o);
  give(k, many, K, DIM);
  slow s = {.rows = {many, DIM, 0, 0}};
  mcl_rows read = rows_by(&s.rows, ROWS);
  read.user = &s;
  read.read = read_slowly;
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.user = &s;
  m.progress = stop_when_told_again;
  CHECK_FAILS(MCL_E_CANCELLED, "", mcl_clusterer_fit(k, &read, &m, &err));
  ck_assert_int_lt(s.read[1] - s.read[0], BLOCKS);
  mcl_clusterer_unref(k);
  mcl_context_unref(alone);
  free(many);
}
END_TEST

typedef struct last {
  mcl_progress seed, assign;
} last;

static int32_t keep_last(void *user, const mcl_progress *p) {
  last *l = user;
  if (strcmp(p->phase, "seed") == 0) l->seed = *p;
  if (strcmp(p->phase, "assign") == 0) l->assign = *p;
  return 0;
}

// Two whole blocks of rows.
START_TEST(progress_ends_where_all_is_done) {
  enum { ROWS = 2048 };
  float *many = mixture(ROWS, DIM, K, 4, 11);
  mcl_kmeans_options o = kmeans_options(K, MCL_L2);
  mcl_clusterer *k = make(context, &o);
  mcl_array a = mcl_matrix_f32(many, ROWS, DIM);
  mcl_rows of = rows_of(&a);
  last l = {0};
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.user = &l;
  m.progress = keep_last;
  CHECK_OK(mcl_clusterer_fit(k, &of, &m, &err));
  ck_assert_int_eq(l.seed.done, K);
  ck_assert_int_eq(l.seed.total, K);
  ck_assert_int_eq(l.assign.done, 2);
  ck_assert_int_eq(l.assign.total, 2);
  mcl_clusterer_unref(k);
  free(many);
}
END_TEST

START_TEST(fit_inside_fit_or_assign_is_busy_and_assign_answers) {
  mcl_kmeans_options o = kmeans_options(K, MCL_COSINE);
  mcl_clusterer *k = make(context, &o);
  fit(k, x, N, DIM);
  listener l = {.inner = k};
  mcl_monitor m = monitor_of(&l);
  CHECK_OK(mcl_clusterer_fit(k, &rows, &m, &err));
  ck_assert_int_eq(l.inner_fit, MCL_E_BUSY);
  ck_assert_int_eq(l.inner_assign, MCL_OK);
  int32_t labels[N];
  l.inner_fit = l.inner_assign = 1;
  CHECK_OK(mcl_clusterer_assign(k, &rows, &m, labels, NULL, &err));
  ck_assert_int_eq(l.inner_fit, MCL_E_BUSY);
  ck_assert_int_eq(l.inner_assign, MCL_OK);
  CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err)); // free again
  mcl_clusterer_unref(k);
}
END_TEST

START_TEST(a_clusterer_outlives_the_callers_context_reference) {
  mcl_context *c = test_context(2);
  mcl_clusterer *k = make(c, NULL), *again = mcl_clusterer_ref(k);
  mcl_context_unref(c);
  mcl_clusterer_unref(k);
  fit(again, x, N, DIM);
  mcl_clusterer_unref(again);
}
END_TEST

RUN_TESTS_BETWEEN("clusterer", begin, end, every_option_out_of_range_is_named,
                  defaults_are_as_documented, null_arguments_are_named,
                  nothing_can_be_asked_before_fit, k_above_rows_names_both,
                  given_centroids_are_checked, outputs_of_the_wrong_shape_are_refused,
                  a_row_that_is_no_number_is_named_and_leaves_the_fit_before,
                  a_reader_that_fails_fails_the_call_and_nothing_else,
                  an_iteration_reads_every_row_once, failing_memory_is_reported_and_leaks_nothing,
                  progress_tells_every_phase_and_cancels_leaving_the_fit_before,
                  a_pass_that_takes_long_is_told_of_and_cancelled_in_the_middle,
                  progress_ends_where_all_is_done,
                  fit_inside_fit_or_assign_is_busy_and_assign_answers,
                  a_clusterer_outlives_the_callers_context_reference)
