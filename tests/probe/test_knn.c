#include "probe/common.h"

static mcl_error err;

// The plain twin: every cosine in double, the nearest picked one by one.
static int64_t twin_knn(const float *z, const int32_t *y, int64_t n, const float *t,
                        const int32_t *ty, int64_t m, int64_t dim, int64_t k) {
  int64_t correct = 0;
  double *s = malloc((size_t)n * sizeof *s);
  int32_t *voter = malloc((size_t)n * sizeof *voter);
  if (k > n) k = n;
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < n; j++) s[j] = twin_cosine(t + i * dim, z + j * dim, dim);
    for (int64_t v = 0; v < k; v++) {
      int64_t best = 0;
      for (int64_t j = 1; j < n; j++)
        if (s[j] > s[best]) best = j;
      voter[v] = y[best];
      s[best] = -3;
    }
    int64_t most = 0;
    int32_t guess = -1;
    for (int64_t v = 0; v < k; v++) {
      int64_t votes = 0;
      for (int64_t w = 0; w < k; w++) votes += voter[w] == voter[v];
      if (votes > most) most = votes, guess = voter[v];
    }
    correct += guess == ty[i];
  }
  free(s), free(voter);
  return correct;
}

static void against_twin(mcl_context *c, int64_t n, int64_t m, int64_t dim, int32_t classes,
                         int32_t k) {
  int32_t *y, *ty;
  float *z = class_rows(n, dim, classes, 0.7F, 11, &y),
        *t = class_rows(m, dim, classes, 0.7F, 12, &ty);
  mcl_array az = mcl_matrix_f32(z, n, dim), at = mcl_matrix_f32(t, m, dim);
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.neighbours = k;
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_knn(c, &o, &az, y, &at, ty, NULL, &r, &err));
  ck_assert_int_eq(r.correct, twin_knn(z, y, n, t, ty, m, dim, k));
  ck_assert_int_eq(r.total, m);
  ck_assert(r.value == (double)r.correct / (double)m && r.iterations == 0 && r.converged == 1);
  free(z), free(t), free(y), free(ty);
}

START_TEST(votes_are_those_of_the_plain_twin_at_odd_sizes) {
  static const int64_t sizes[][2] = {{1, 1}, {5, 3}, {63, 127}, {64, 128}, {513, 129}, {1100, 300}};
  mcl_context *c = test_context(2);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (int32_t k = 1; k <= 41; k += 20) {
      against_twin(c, sizes[i][0], sizes[i][1], 1 + 5 * (int64_t)i, 4, k);
      against_twin(c, sizes[i][0], sizes[i][1], 19, 100, k);
    }
  mcl_context_unref(c);
}
END_TEST

START_TEST(any_type_and_stride_gives_the_same_votes) {
  mcl_context *c = test_context(1);
  int32_t *y, *ty;
  enum { N = 300, DIM = 7, WIDE = 10 };
  float *z = class_rows(N, DIM, 5, 0.7F, 13, &y), *t = class_rows(N, DIM, 5, 0.7F, 14, &ty);
  double *wide = calloc(N * WIDE, sizeof *wide);
  for (int64_t i = 0; i < N; i++) // back to front
    for (int64_t k = 0; k < DIM; k++) wide[(N - 1 - i) * WIDE + k] = (double)z[i * DIM + k];
  int64_t shape[2] = {N, DIM};
  mcl_array az = mcl_matrix_f32(z, N, DIM), at = mcl_matrix_f32(t, N, DIM), aw;
  mcl_array_init(&aw, wide + (N - 1) * WIDE, MCL_F64, 2, shape);
  aw.strides[0] = -WIDE;
  mcl_probe_result r = new_result(), s = new_result();
  CHECK_OK(mcl_probe_knn(c, NULL, &az, y, &at, ty, NULL, &r, &err));
  CHECK_OK(mcl_probe_knn(c, NULL, &aw, y, &at, ty, NULL, &s, &err));
  ck_assert_int_eq(r.correct, s.correct);
  free(z), free(t), free(y), free(ty), free(wide);
  mcl_context_unref(c);
}
END_TEST

static int64_t right(mcl_context *c, const float *z, const int32_t *y, int64_t n, const float *t,
                     int32_t ty, int32_t k) {
  mcl_array az = mcl_matrix_f32((float *)(uintptr_t)z, n, 2);
  mcl_array at = mcl_matrix_f32((float *)(uintptr_t)t, 1, 2);
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.neighbours = k;
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_knn(c, &o, &az, y, &at, &ty, NULL, &r, &err));
  return r.correct;
}

START_TEST(equal_rows_go_by_number_and_equal_votes_by_the_nearest_voter) {
  mcl_context *c = test_context(1);
  float t[2] = {1, 0};
  float same[6] = {2, 0, 1, 0, 4, 0}; // cosine 1, all three
  int32_t y[3] = {8, 6, 6};
  ck_assert_int_eq(right(c, same, y, 3, t, 8, 1), 1);
  ck_assert_int_eq(right(c, same, y, 3, t, 8, 2), 1); // one vote each: the nearer
  ck_assert_int_eq(right(c, same, y, 3, t, 6, 3), 1);
  float fan[8] = {1, 3, 1, 1, 1, 2, 1, 0}; // nearest last
  int32_t w[4] = {1, 1, 2, 2};
  ck_assert_int_eq(right(c, fan, w, 4, t, 2, 4), 1);
  ck_assert_int_eq(right(c, fan, w, 4, t, 2, 3), 1); // rows 3, 1, 2
  int32_t v[4] = {1, 1, 2, 3};
  ck_assert_int_eq(right(c, fan, v, 4, t, 1, 4), 1);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_zero_row_is_nobodys_neighbour_but_breaks_nothing) {
  mcl_context *c = test_context(1);
  float t[2] = {1, 0}, z[6] = {0, 0, 1, 1, -1, 0};
  int32_t y[3] = {0, 1, 2};
  ck_assert_int_eq(right(c, z, y, 3, t, 1, 1), 1);
  mcl_context_unref(c);
}
END_TEST

START_TEST(fewer_rows_than_neighbours_all_vote) {
  mcl_context *c = test_context(1);
  float t[2] = {1, 0}, z[6] = {1, 0, -1, 0, -1, 1};
  int32_t y[3] = {0, 1, 1};
  ck_assert_int_eq(right(c, z, y, 3, t, 1, 20), 1);
  mcl_context_unref(c);
}
END_TEST

typedef struct looks {
  int64_t n, done, total, cancel_at;
} looks;

static int32_t look(void *user, const mcl_progress *p) {
  looks *l = user;
  ck_assert_str_eq(p->phase, "test");
  l->n++;
  l->done = p->done;
  l->total = p->total;
  return l->cancel_at && l->n >= l->cancel_at;
}

START_TEST(the_same_result_for_any_number_of_threads_and_the_monitor_sees_the_end) {
  int32_t *y, *ty;
  enum { N = 1700, M = 5000, DIM = 24 };
  float *z = class_rows(N, DIM, 9, 0.5F, 15, &y), *t = class_rows(M, DIM, 9, 0.5F, 16, &ty);
  mcl_array az = mcl_matrix_f32(z, N, DIM), at = mcl_matrix_f32(t, M, DIM);
  mcl_probe_result first = new_result();
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    looks l = {0, 0, 0, 0};
    mcl_monitor m;
    mcl_struct_init(&m, sizeof m);
    m.user = &l;
    m.progress = look;
    mcl_probe_result r = new_result();
    CHECK_OK(mcl_probe_knn(c, NULL, &az, y, &at, ty, &m, &r, &err));
    if (threads == 1) first = r;
    ck_assert_mem_eq(&r, &first, sizeof r);
    ck_assert(l.n >= 1 && l.done == M && l.total == M);
    l.n = 0;
    l.cancel_at = 1;
    CHECK_FAILS(MCL_E_CANCELLED, "test", mcl_probe_knn(c, NULL, &az, y, &at, ty, &m, &r, &err));
    ck_assert_mem_eq(&r, &first, sizeof r);
    mcl_context_unref(c);
  }
  free(z), free(t), free(y), free(ty);
}
END_TEST

START_TEST(wilsons_interval_is_the_textbooks) {
  mcl_context *c = test_context(1);
  float z[2] = {1, 0}, t[20];
  int32_t y = 0, ty[10];
  for (int i = 0; i < 10; i++) t[2 * i] = 1, t[2 * i + 1] = 0, ty[i] = i >= 8;
  mcl_array az = mcl_matrix_f32(z, 1, 2), at = mcl_matrix_f32(t, 10, 2);
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_knn(c, &o, &az, &y, &at, ty, NULL, &r, &err));
  ck_assert(r.correct == 8 && r.value == 0.8);
  ck_assert_double_eq_tol(r.low, 0.490162, 1e-6); // 8 of 10 at 95 %: .4902 .. .9433
  ck_assert_double_eq_tol(r.high, 0.943318, 1e-6);
  o.confidence = 0.6826894921370859; // z = 1: (.8 + .05 +- sqrt(.016 + .0025)) / 1.1
  CHECK_OK(mcl_probe_knn(c, &o, &az, &y, &at, ty, NULL, &r, &err));
  ck_assert_double_eq_tol(r.low, (0.85 - sqrt(0.0185)) / 1.1, 1e-12);
  ck_assert_double_eq_tol(r.high, (0.85 + sqrt(0.0185)) / 1.1, 1e-12);
  for (int i = 0; i < 10; i++) ty[i] = 0;
  CHECK_OK(mcl_probe_knn(c, NULL, &az, &y, &at, ty, NULL, &r, &err));
  ck_assert(r.value == 1 && r.high == 1);
  ck_assert_double_eq_tol(r.low, 0.722467, 1e-6);
  for (int i = 0; i < 10; i++) ty[i] = 1;
  CHECK_OK(mcl_probe_knn(c, NULL, &az, &y, &at, ty, NULL, &r, &err));
  ck_assert(r.value == 0 && r.low == 0);
  ck_assert_double_eq_tol(r.high, 1 - 0.722467, 1e-6);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_input_is_named) {
  mcl_context *c = test_context(1);
  float z[4] = {1, 2, 3, 4};
  int32_t y[2] = {0, 1};
  mcl_array a = mcl_matrix_f32(z, 2, 2), narrow = mcl_matrix_f32(z, 2, 1), bytes = a;
  bytes.dtype = MCL_U8;
  mcl_probe_result r = new_result();
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_probe_knn(NULL, NULL, &a, y, &a, y, NULL, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "z is NULL", mcl_probe_knn(c, NULL, NULL, y, &a, y, NULL, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "y is NULL", mcl_probe_knn(c, NULL, &a, NULL, &a, y, NULL, &r, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_probe_knn(c, NULL, &a, y, &a, y, NULL, NULL, &err));
  CHECK_FAILS(MCL_E_SHAPE, "test_z", mcl_probe_knn(c, NULL, &a, y, &narrow, y, NULL, &r, &err));
  CHECK_FAILS(MCL_E_DTYPE, "z", mcl_probe_knn(c, NULL, &bytes, y, &a, y, NULL, &r, &err));
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.neighbours = 0;
  CHECK_FAILS(MCL_E_INVALID, "neighbours is 0", mcl_probe_knn(c, &o, &a, y, &a, y, NULL, &r, &err));
  y[1] = -5;
  CHECK_FAILS(MCL_E_INVALID, "y[1] is -5", mcl_probe_knn(c, NULL, &a, y, &a, y, NULL, &r, &err));
  y[1] = 0;
  float t[2] = {1, 2};
  mcl_array test = mcl_matrix_f32(t, 1, 2);
  z[3] = NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 1 of z",
              mcl_probe_knn(c, NULL, &a, y, &test, y, NULL, &r, &err));
  ck_assert_int_eq(err.row, 1);
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 1 of test_z",
              mcl_probe_knn(c, NULL, &test, y, &a, y, NULL, &r, &err));
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("probe", votes_are_those_of_the_plain_twin_at_odd_sizes,
          any_type_and_stride_gives_the_same_votes,
          equal_rows_go_by_number_and_equal_votes_by_the_nearest_voter,
          a_zero_row_is_nobodys_neighbour_but_breaks_nothing, fewer_rows_than_neighbours_all_vote,
          the_same_result_for_any_number_of_threads_and_the_monitor_sees_the_end,
          wilsons_interval_is_the_textbooks, bad_input_is_named)
