// A clusterer of the host's: its answers are checked, and it is destroyed exactly once.
#include "clusterer/clusters.h"

enum { N = 2500, DIM = 3 };

// Clusters by the sign of the first number.
typedef struct signs {
  int32_t k, wrong_label_at, silent, destroyed, blocks;
  int64_t fitted_rows, seen;
  mcl_status fail_fit, fail_assign;
} signs;

static mcl_status signs_fit(void *user, const mcl_rows *rows, int32_t *k, mcl_error *err) {
  signs *s = user;
  float row[DIM];
  mcl_array a = mcl_matrix_f32(row, 1, DIM);
  *k = s->k;
  if (s->silent) return MCL_OK;
  if (s->fail_fit) return mcl_error_set(err, s->fail_fit, 5, "no fit today");
  mcl_status status = mcl_rows_read(rows, rows->rows - 1, 1, &a, err);
  if (status < 0) return status;
  s->fitted_rows = rows->rows;
  return mcl_ok(err);
}

static mcl_status signs_assign(void *user, const mcl_array *block, int32_t *labels,
                               mcl_error *err) {
  signs *s = user;
  const float *x = block->data;
  ck_assert(block->ndim == 2 && block->dtype == MCL_F32 && block->shape[1] == DIM);
  ck_assert_uint_eq(block->flags, MCL_ARRAY_READONLY);
  s->blocks++;
  if (s->fail_assign) return mcl_error_set(err, s->fail_assign, 6, "no labels today");
  for (int64_t i = 0; i < block->shape[0]; i++, s->seen++) {
    if (s->seen == s->wrong_label_at) continue; // forgotten
    labels[i] = x[i * block->strides[0]] > 0;
  }
  return mcl_ok(err);
}

static void signs_destroy(void *user) {
  ((signs *)user)->destroyed++;
}

static mcl_host_clusterer table_of(signs *s) {
  mcl_host_clusterer t;
  mcl_struct_init(&t, sizeof t);
  t.user = s;
  t.fit = signs_fit;
  t.assign = signs_assign;
  t.destroy = signs_destroy;
  return t;
}

static mcl_context *context;
static float x[N * DIM];
static mcl_array view;
static mcl_rows rows;
static mcl_error err;
static signs state;

static void begin(void) {
  context = test_context(2);
  test_fill_normal(x, N * DIM, 41);
  view = mcl_matrix_f32(x, N, DIM);
  rows = rows_of(&view);
  state = (signs){.k = 2, .wrong_label_at = -1};
}

static void end(void) {
  mcl_context_unref(context);
}

static mcl_clusterer *make_host(void) {
  mcl_host_clusterer t = table_of(&state);
  mcl_clusterer *k = NULL;
  CHECK_OK(mcl_clusterer_create_host(context, &t, &k, &err));
  return k;
}

START_TEST(the_hosts_labels_are_passed_on_and_counted) {
  mcl_clusterer *k = make_host();
  int32_t labels[N];
  int64_t sizes[2], positive = 0;
  CHECK_FAILS(MCL_E_STATE, "fit", mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err));
  mcl_clusterer_report r = fit(k, x, N, DIM);
  CHECK_OK(mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err));
  for (int i = 0; i < N; i++) {
    ck_assert_int_eq(labels[i], x[i * DIM] > 0);
    positive += labels[i];
  }
  CHECK_OK(mcl_clusterer_sizes(k, sizes, 2, &err));
  ck_assert(sizes[0] == N - positive && sizes[1] == positive);
  ck_assert(r.rows == N && r.k == 2 && r.k_effective == 2 && isnan(r.inertia) &&
            isnan(r.mean_cosine));
  ck_assert(r.imbalance >= 1 && r.imbalance < 1.1);
  ck_assert_int_eq(state.fitted_rows, N);
  mcl_clusterer_unref(k);
  ck_assert_int_eq(state.destroyed, 1);
}
END_TEST

START_TEST(a_label_out_of_range_is_named_by_its_row) {
  mcl_clusterer *k = make_host();
  state.k = 1;
  CHECK_FAILS(MCL_E_CALLBACK, "label 1, not 0..0", mcl_clusterer_fit(k, &rows, NULL, &err));
  ck_assert(x[err.row * DIM] > 0);
  state.k = 2;
  state.seen = 0;
  state.wrong_label_at = 2100;
  CHECK_FAILS(MCL_E_CALLBACK, "row 2100", mcl_clusterer_fit(k, &rows, NULL, &err));
  ck_assert_int_eq(err.row, 2100);
  state.k = 0;
  CHECK_FAILS(MCL_E_CALLBACK, "k = 0", mcl_clusterer_fit(k, &rows, NULL, &err));
  mcl_clusterer_unref(k);
}
END_TEST

START_TEST(a_callback_that_fails_or_says_nothing_fails_the_call) {
  mcl_clusterer *k = make_host();
  int32_t labels[N];
  memset(labels, 0x55, sizeof labels);
  state.silent = 1;
  CHECK_FAILS(MCL_E_CALLBACK, "mcl_ok", mcl_clusterer_fit(k, &rows, NULL, &err));
  state.silent = 0;
  state.fail_fit = MCL_E_IO;
  CHECK_FAILS(MCL_E_IO, "no fit today", mcl_clusterer_fit(k, &rows, NULL, &err));
  ck_assert_int_eq(err.host_code, 5);
  state.fail_fit = 0;
  CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err));
  state.fail_assign = 12345;
  CHECK_FAILS(MCL_E_CALLBACK, "no labels today",
              mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err));
  ck_assert_int_eq(err.host_code, 6);
  ck_assert_int_eq(labels[0], 0x55555555);
  mcl_clusterer_unref(k);
}
END_TEST

START_TEST(what_only_kmeans_has_is_unsupported) {
  mcl_clusterer *k = make_host();
  int32_t labels[N];
  double distances[N];
  fit(k, x, N, DIM);
  CHECK_FAILS(MCL_E_UNSUPPORTED, "host",
              mcl_clusterer_assign(k, &rows, NULL, labels, distances, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "host", mcl_clusterer_set_centroids(k, &view, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "host", mcl_clusterer_centroids(k, &view, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "host", mcl_clusterer_save(k, "x", &err));
  mcl_clusterer_unref(k);
}
END_TEST

START_TEST(destroy_runs_once_also_when_create_fails) {
  mcl_host_clusterer t = table_of(&state);
  mcl_clusterer *k = NULL;
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_clusterer_create_host(context, &t, NULL, &err));
  ck_assert_int_eq(state.destroyed, 1);
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_clusterer_create_host(NULL, &t, &k, &err));
  ck_assert_int_eq(state.destroyed, 2);
  t.assign = NULL;
  CHECK_FAILS(MCL_E_INVALID, "assign", mcl_clusterer_create_host(context, &t, &k, &err));
  ck_assert_int_eq(state.destroyed, 3);
  struct {
    mcl_host_clusterer table;
    int64_t unknown;
  } newer = {table_of(&state), 1};
  newer.table.struct_size = sizeof newer;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "mcl_host_clusterer",
              mcl_clusterer_create_host(context, &newer.table, &k, &err));
  ck_assert_int_eq(state.destroyed, 4);
  t = table_of(&state);
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 1);
  int destroyed = 4;
  mcl_status s = MCL_E_NOMEM;
  for (int64_t n = 1; s == MCL_E_NOMEM; n++) {
    a.fail_at = n;
    s = mcl_clusterer_create_host(c, &t, &k, &err);
    if (s < 0) ck_assert_int_eq(state.destroyed, ++destroyed);
  }
  ck_assert_int_eq(s, MCL_OK);
  ck_assert_int_eq(state.destroyed, destroyed);
  s = MCL_E_NOMEM;
  for (int64_t n = 1, live = a.live; s == MCL_E_NOMEM; n++) {
    a.fail_at = n;
    s = mcl_clusterer_fit(k, &rows, NULL, &err);
    if (s < 0) ck_assert_int_eq(a.live, live);
  }
  a.fail_at = 0;
  mcl_clusterer_unref(k);
  ck_assert_int_eq(state.destroyed, destroyed + 1);
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
}
END_TEST

RUN_TESTS_BETWEEN("host_clusterer", begin, end, the_hosts_labels_are_passed_on_and_counted,
                  a_label_out_of_range_is_named_by_its_row,
                  a_callback_that_fails_or_says_nothing_fails_the_call,
                  what_only_kmeans_has_is_unsupported, destroy_runs_once_also_when_create_fails)
