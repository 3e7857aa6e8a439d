#include "probe/common.h"

#include "probe/lbfgs.h"

static mcl_error err;

// ---- L-BFGS ----------------------------------------------------------------------------------------------

static mcl_status rosenbrock(void *user, const double *x, double *value, double *gradient,
                             mcl_error *e) {
  (void)user;
  double a = 1 - x[0], b = x[1] - x[0] * x[0];
  *value = a * a + 100 * b * b;
  gradient[0] = -2 * a - 400 * x[0] * b;
  gradient[1] = 200 * b;
  return mcl_ok(e);
}

START_TEST(lbfgs_finds_the_end_of_rosenbrocks_valley) {
  mcl_context *c = test_context(1);
  mcli_lbfgs_problem p = {2, NULL, rosenbrock, NULL, 1e-9, 200};
  mcli_lbfgs_outcome o;
  double x[2] = {-1.2, 1};
  CHECK_OK(mcli_lbfgs(c, &p, x, &o, &err));
  ck_assert_msg(o.converged && o.iterations < 45, "%d iterations", (int)o.iterations);
  ck_assert(fabs(x[0] - 1) < 1e-8 && fabs(x[1] - 1) < 1e-8);
  mcl_context_unref(c);
}
END_TEST

// sum_k 10^(k/5) (x_k - k)^2 / 2, whose value is rounded to float as the probe's are.
static mcl_status rough_bowl(void *user, const double *x, double *value, double *gradient,
                             mcl_error *e) {
  int *calls = user;
  ++*calls;
  double sum = 5;
  for (int k = 0; k < 20; k++) {
    double s = pow(10, k / 5.0), d = x[k] - k;
    sum += s * d * d / 2;
    gradient[k] = (double)(float)(s * d);
  }
  *value = (double)(float)sum;
  return mcl_ok(e);
}

START_TEST(lbfgs_converges_where_the_value_is_lost_in_float_noise) {
  mcl_context *c = test_context(1);
  int calls = 0;
  mcli_lbfgs_problem p = {20, &calls, rough_bowl, NULL, 1e-7, 500};
  mcli_lbfgs_outcome o;
  double x[20] = {0};
  CHECK_OK(mcli_lbfgs(c, &p, x, &o, &err));
  // As many as SciPy's L-BFGS-B with 20 pairs needs, 228, and some.
  ck_assert_msg(o.converged && o.iterations < 270, "%d iterations", (int)o.iterations);
  ck_assert_int_eq(o.evaluations, calls);
  for (int k = 0; k < 20; k++) ck_assert(fabs(x[k] - k) < 1e-6);
  mcl_context_unref(c);
}
END_TEST

static mcl_status cliff(void *user, const double *x, double *value, double *gradient,
                        mcl_error *e) {
  (void)user;
  *value = x[0] == 0 ? 1 : 2; // the gradient promises a descent that never comes
  gradient[0] = 1;
  return mcl_ok(e);
}

START_TEST(lbfgs_gives_up_where_nothing_descends) {
  mcl_context *c = test_context(1);
  mcli_lbfgs_problem p = {1, NULL, cliff, NULL, 1e-3, 100};
  mcli_lbfgs_outcome o;
  double x = 0;
  CHECK_OK(mcli_lbfgs(c, &p, &x, &o, &err));
  ck_assert(!o.converged && o.iterations == 0 && x == 0);
  mcl_context_unref(c);
}
END_TEST

static mcl_status failing(void *user, const double *x, double *value, double *gradient,
                          mcl_error *e) {
  int *left = user;
  if (--*left < 0) return mcl_error_set(e, MCL_E_CALLBACK, 3, "out of turns");
  return rosenbrock(NULL, x, value, gradient, e);
}

START_TEST(lbfgs_passes_a_failed_evaluation_on) {
  mcl_context *c = test_context(1);
  for (int turns = 0; turns < 5; turns++) {
    int left = turns;
    mcli_lbfgs_problem p = {2, &left, failing, NULL, 1e-9, 100};
    mcli_lbfgs_outcome o;
    double x[2] = {-1.2, 1};
    CHECK_FAILS(MCL_E_CALLBACK, "out of turns", mcli_lbfgs(c, &p, x, &o, &err));
  }
  mcl_context_unref(c);
}
END_TEST

// ---- the probe -------------------------------------------------------------------------------------------

typedef struct watched {
  double loss;
  int64_t fit, test, calls, cancel_at;
} watched;

static int32_t watch(void *user, const mcl_progress *p) {
  watched *w = user;
  w->calls++;
  if (strcmp(p->phase, "fit") == 0) w->loss = p->loss, w->fit = p->done;
  if (strcmp(p->phase, "test") == 0) w->test = p->done;
  return w->cancel_at && w->calls >= w->cancel_at;
}

static mcl_monitor monitor_of(watched *w) {
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  memset(w, 0, sizeof *w);
  m.user = w;
  m.progress = watch;
  return m;
}

// The plain twin: gradient descent in double on standardised features, one row at a time, until nothing moves.
typedef struct twin {
  double loss;
  int64_t correct;
} twin;

enum { TWIN_DIM = 4, TWIN_CLASSES = 3 };

static void twin_scores(const double w[TWIN_CLASSES][TWIN_DIM + 1], const double *x, double *s) {
  for (int c = 0; c < TWIN_CLASSES; c++) {
    s[c] = w[c][TWIN_DIM];
    for (int k = 0; k < TWIN_DIM; k++) s[c] += w[c][k] * x[k];
  }
}

static void twin_standardise(const float *z, int64_t n, const float *of, double *x) {
  for (int k = 0; k < TWIN_DIM; k++) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < n; i++) mean += (double)of[i * TWIN_DIM + k] / (double)n;
    for (int64_t i = 0; i < n; i++)
      variance += pow((double)of[i * TWIN_DIM + k] - mean, 2) / (double)n;
    for (int64_t i = 0; i < n; i++)
      x[i * TWIN_DIM + k] = ((double)z[i * TWIN_DIM + k] - mean) / sqrt(variance);
  }
}

static twin twin_linear(const float *z, const int32_t *y, const float *t, const int32_t *ty,
                        int64_t n, double l2) {
  double w[TWIN_CLASSES][TWIN_DIM + 1] = {{0}}, s[TWIN_CLASSES];
  double *x = malloc((size_t)(n * TWIN_DIM) * sizeof *x);
  twin out = {0, 0};
  twin_standardise(z, n, z, x);
  for (int turn = 0; turn < 20000; turn++) {
    double g[TWIN_CLASSES][TWIN_DIM + 1] = {{0}};
    out.loss = 0;
    for (int64_t i = 0; i < n; i++) {
      double sum = 0;
      twin_scores(w, x + i * TWIN_DIM, s);
      for (int c = 0; c < TWIN_CLASSES; c++) sum += exp(s[c]);
      out.loss += (log(sum) - s[y[i]]) / (double)n;
      for (int c = 0; c < TWIN_CLASSES; c++) {
        double r = (exp(s[c]) / sum - (c == y[i])) / (double)n;
        for (int k = 0; k < TWIN_DIM; k++) g[c][k] += r * x[i * TWIN_DIM + k];
        g[c][TWIN_DIM] += r;
      }
    }
    for (int c = 0; c < TWIN_CLASSES; c++)
      for (int k = 0; k <= TWIN_DIM; k++) {
        if (k < TWIN_DIM) out.loss += l2 * w[c][k] * w[c][k], g[c][k] += 2 * l2 * w[c][k];
        w[c][k] -= 0.5 * g[c][k];
      }
  }
  twin_standardise(t, n, z, x);
  for (int64_t i = 0; i < n; i++) {
    int best = 0;
    twin_scores(w, x + i * TWIN_DIM, s);
    for (int c = 1; c < TWIN_CLASSES; c++)
      if (s[c] > s[best]) best = c;
    out.correct += best == ty[i];
  }
  free(x);
  return out;
}

START_TEST(the_probe_reaches_what_slow_gradient_descent_reaches) {
  mcl_context *c = test_context(2);
  int32_t *y, *ty;
  enum { N = 100 };
  float *z = class_rows(N, TWIN_DIM, TWIN_CLASSES, 0.5F, 1, &y);
  float *t = class_rows(N, TWIN_DIM, TWIN_CLASSES, 0.5F, 2, &ty);
  twin want = twin_linear(z, y, t, ty, N, 1e-2);
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.l2 = 1e-2;
  o.gradient_tolerance = 1e-6;
  watched w;
  mcl_monitor m = monitor_of(&w);
  mcl_array az = mcl_matrix_f32(z, N, TWIN_DIM), at = mcl_matrix_f32(t, N, TWIN_DIM);
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_linear(c, &o, &az, y, &at, ty, &m, &r, &err));
  ck_assert(r.converged && r.iterations > 0);
  ck_assert_msg(fabs(w.loss - want.loss) < 1e-6, "%.9g, not %.9g", w.loss, want.loss);
  ck_assert_int_eq(r.correct, want.correct);
  ck_assert_int_eq(r.total, N);
  ck_assert_int_eq(w.fit, r.iterations);
  ck_assert_int_eq(w.test, N);
  free(z), free(t), free(y), free(ty);
  mcl_context_unref(c);
}
END_TEST

// 250 times 80 rows: every part of the rows is several blocks long.
START_TEST(rows_that_are_repeated_change_nothing) {
  mcl_context *c = test_context(2);
  int32_t *y, *many_y = malloc(20000 * sizeof *many_y);
  float *z = class_rows(80, TWIN_DIM, TWIN_CLASSES, 0.5F, 7, &y);
  float *many = malloc(20000 * TWIN_DIM * sizeof *many);
  for (int i = 0; i < 20000; i++) {
    memcpy(many + i * TWIN_DIM, z + i % 80 * TWIN_DIM, TWIN_DIM * sizeof *z);
    many_y[i] = y[i % 80];
  }
  mcl_array az = mcl_matrix_f32(z, 80, TWIN_DIM), am = mcl_matrix_f32(many, 20000, TWIN_DIM);
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.l2 = 1e-3;
  watched once, often;
  mcl_monitor m = monitor_of(&once), w = monitor_of(&often);
  mcl_probe_result r = new_result(), s = new_result();
  CHECK_OK(mcl_probe_linear(c, &o, &az, y, &az, y, &m, &r, &err));
  CHECK_OK(mcl_probe_linear(c, &o, &am, many_y, &am, many_y, &w, &s, &err));
  ck_assert(s.converged && s.correct == 250 * r.correct && s.total == 20000);
  ck_assert_double_eq_tol(often.loss, once.loss, 1e-6);
  free(z), free(many), free(y), free(many_y);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_same_bits_for_any_number_of_threads) {
  int32_t *y, *ty;
  enum { N = 2111, M = 1500, DIM = 33 };
  float *z = class_rows(N, DIM, 7, 0.4F, 3, &y), *t = class_rows(M, DIM, 7, 0.4F, 4, &ty);
  mcl_array az = mcl_matrix_f32(z, N, DIM), at = mcl_matrix_f32(t, M, DIM);
  mcl_probe_result first = new_result();
  double loss = 0;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    watched w;
    mcl_monitor m = monitor_of(&w);
    mcl_probe_result r = new_result();
    CHECK_OK(mcl_probe_linear(c, NULL, &az, y, &at, ty, &m, &r, &err));
    if (threads == 1) first = r, loss = w.loss;
    ck_assert_mem_eq(&r, &first, sizeof r);
    ck_assert_mem_eq(&w.loss, &loss, sizeof loss);
    mcl_context_unref(c);
  }
  ck_assert_int_gt(first.correct, M / 2);
  free(z), free(t), free(y), free(ty);
}
END_TEST

START_TEST(scale_offset_and_constant_features_change_nothing) {
  mcl_context *c = test_context(2);
  int32_t *y, *ty;
  enum { N = 400, DIM = 6 };
  float *z = class_rows(N, DIM, 3, 0.5F, 5, &y), *t = class_rows(N, DIM, 3, 0.5F, 6, &ty);
  float *wide = malloc(sizeof(float) * N * (DIM + 1)),
        *wide_t = malloc(sizeof(float) * N * (DIM + 1));
  for (int i = 0; i < N; i++) {
    for (int k = 0; k < DIM; k++) { // powers of two and whole offsets: nearly no rounding
      wide[i * (DIM + 1) + k] = ldexpf(z[i * DIM + k], 5 * k - 12) + (k == 1 ? 3 : 0);
      wide_t[i * (DIM + 1) + k] = ldexpf(t[i * DIM + k], 5 * k - 12) + (k == 1 ? 3 : 0);
    }
    wide[i * (DIM + 1) + DIM] = 0.1F;    // constant in training,
    wide_t[i * (DIM + 1) + DIM] = 1e30F; // and not in the test rows
  }
  mcl_array az = mcl_matrix_f32(z, N, DIM), at = mcl_matrix_f32(t, N, DIM);
  mcl_array wz = mcl_matrix_f32(wide, N, DIM + 1), wt = mcl_matrix_f32(wide_t, N, DIM + 1);
  mcl_probe_result r = new_result(), s = new_result();
  CHECK_OK(mcl_probe_linear(c, NULL, &az, y, &at, ty, NULL, &r, &err));
  CHECK_OK(mcl_probe_linear(c, NULL, &wz, y, &wt, ty, NULL, &s, &err));
  ck_assert(s.converged);
  ck_assert_int_le(llabs(r.correct - s.correct), 1);
  free(z), free(t), free(y), free(ty), free(wide), free(wide_t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(labels_need_not_be_dense_and_one_that_is_only_tested_is_wrong) {
  mcl_context *c = test_context(1);
  float z[6] = {-3, -2, -1, 1, 2, 3}, t[4] = {-2.5F, 2.5F, -1.5F, 9};
  int32_t y[6] = {7, 7, 7, 1048575, 1048575, 1048575}, ty[4] = {7, 1048575, 3, 1048575};
  mcl_array az = mcl_matrix_f32(z, 6, 1), at = mcl_matrix_f32(t, 4, 1);
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_linear(c, NULL, &az, y, &at, ty, NULL, &r, &err));
  ck_assert_int_eq(r.correct, 3);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_single_class_is_always_guessed) {
  mcl_context *c = test_context(1);
  float z[4] = {1, 2, 3, 4};
  int32_t y[4] = {5, 5, 5, 5}, ty[4] = {5, 5, 0, 5};
  mcl_array a = mcl_matrix_f32(z, 4, 1);
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_linear(c, NULL, &a, y, &a, ty, NULL, &r, &err));
  ck_assert(r.correct == 3 && r.total == 4 && r.value == 0.75 && r.converged);
  mcl_context_unref(c);
}
END_TEST

START_TEST(too_few_iterations_are_owned_up_to) {
  mcl_context *c = test_context(1);
  int32_t *y;
  float *z = class_rows(200, 5, 4, 0.5F, 8, &y);
  mcl_probe_options o;
  mcl_probe_options_init(&o, sizeof o);
  o.max_iterations = 2;
  mcl_array a = mcl_matrix_f32(z, 200, 5);
  mcl_probe_result r = new_result();
  CHECK_OK(mcl_probe_linear(c, &o, &a, y, &a, y, NULL, &r, &err));
  ck_assert(!r.converged && r.iterations == 2);
  free(z), free(y);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_monitor_cancels) {
  mcl_context *c = test_context(1);
  int32_t *y;
  float *z = class_rows(200, 5, 4, 0.5F, 8, &y);
  mcl_array a = mcl_matrix_f32(z, 200, 5);
  watched w;
  mcl_monitor m = monitor_of(&w);
  w.cancel_at = 1;
  mcl_probe_result r = new_result(), untouched = new_result();
  CHECK_FAILS(MCL_E_CANCELLED, "fit", mcl_probe_linear(c, NULL, &a, y, &a, y, &m, &r, &err));
  ck_assert_mem_eq(&r, &untouched, sizeof r);
  free(z), free(y);
  mcl_context_unref(c);
}
END_TEST

// ---- bad input -------------------------------------------------------------------------------------------

START_TEST(bad_input_is_named) {
  mcl_context *c = test_context(1);
  float z[12], t[6];
  int32_t y[4] = {0, 1, 0, 1}, ty[2] = {0, 1};
  test_fill(z, 12, 1, -1, 1);
  test_fill(t, 6, 2, -1, 1);
  mcl_array az = mcl_matrix_f32(z, 4, 3), at = mcl_matrix_f32(t, 2, 3);
  mcl_array narrow = mcl_matrix_f32(t, 3, 2), empty = mcl_matrix_f32(t, 0, 3);
  mcl_probe_result r = new_result(), raw;
  memset(&raw, 0, sizeof raw);
#define LINEAR(context, z, y, tz, ty, out)                                                         \
  mcl_probe_linear(context, NULL, z, y, tz, ty, NULL, out, &err)
  CHECK_FAILS(MCL_E_INVALID, "context", LINEAR(NULL, &az, y, &at, ty, &r));
  CHECK_FAILS(MCL_E_INVALID, "z is NULL", LINEAR(c, NULL, y, &at, ty, &r));
  CHECK_FAILS(MCL_E_INVALID, "y is NULL", LINEAR(c, &az, NULL, &at, ty, &r));
  CHECK_FAILS(MCL_E_INVALID, "test_z is NULL", LINEAR(c, &az, y, NULL, ty, &r));
  CHECK_FAILS(MCL_E_INVALID, "test_y is NULL", LINEAR(c, &az, y, &at, NULL, &r));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL", LINEAR(c, &az, y, &at, ty, NULL));
  CHECK_FAILS(MCL_E_INVALID, "out.struct_size", LINEAR(c, &az, y, &at, ty, &raw));
  CHECK_FAILS(MCL_E_SHAPE, "test_z", LINEAR(c, &az, y, &narrow, ty, &r));
  CHECK_FAILS(MCL_E_SHAPE, "at least one row", LINEAR(c, &empty, y, &at, ty, &r));
  CHECK_FAILS(MCL_E_SHAPE, "test_z", LINEAR(c, &az, y, &empty, ty, &r));
  y[2] = -1;
  CHECK_FAILS(MCL_E_INVALID, "y[2] is -1", LINEAR(c, &az, y, &at, ty, &r));
  ck_assert_int_eq(err.row, 2);
  y[2] = 0;
  ty[1] = 1 << 20;
  CHECK_FAILS(MCL_E_INVALID, "test_y[1] is 1048576", LINEAR(c, &az, y, &at, ty, &r));
  ck_assert_int_eq(err.row, 1);
  ty[1] = 1;
  z[7] = NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 2 of z", LINEAR(c, &az, y, &at, ty, &r));
  ck_assert_int_eq(err.row, 2);
  z[7] = 0;
  t[0] = INFINITY;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 0 of test_z", LINEAR(c, &az, y, &at, ty, &r));
  t[0] = 0;
  CHECK_OK(LINEAR(c, &az, y, &at, ty, &r));
  mcl_context_unref(c);
}
END_TEST

START_TEST(options_out_of_range_are_named) {
  mcl_context *c = test_context(1);
  float z[4] = {1, 2, 3, 4};
  int32_t y[4] = {0, 1, 0, 1};
  mcl_array a = mcl_matrix_f32(z, 4, 1);
  mcl_probe_result r = new_result();
  mcl_probe_options o;
#define WITH(field, wrong)                                                                         \
  mcl_probe_options_init(&o, sizeof o);                                                            \
  o.field = wrong;                                                                                 \
  CHECK_FAILS(MCL_E_INVALID, #field, mcl_probe_linear(c, &o, &a, y, &a, y, NULL, &r, &err))
  WITH(neighbours, 0);
  WITH(max_iterations, 0);
  WITH(l2, -1);
  WITH(l2, NAN);
  WITH(l2, INFINITY);
  WITH(gradient_tolerance, 0);
  WITH(gradient_tolerance, NAN);
  WITH(confidence, 0);
  WITH(confidence, 1);
  WITH(confidence, NAN);
  memset(&o, 0, sizeof o);
  CHECK_FAILS(MCL_E_INVALID, "options.struct_size",
              mcl_probe_linear(c, &o, &a, y, &a, y, NULL, &r, &err));
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("probe", lbfgs_finds_the_end_of_rosenbrocks_valley,
          lbfgs_converges_where_the_value_is_lost_in_float_noise,
          lbfgs_gives_up_where_nothing_descends, lbfgs_passes_a_failed_evaluation_on,
          the_probe_reaches_what_slow_gradient_descent_reaches,
          rows_that_are_repeated_change_nothing, the_same_bits_for_any_number_of_threads,
          scale_offset_and_constant_features_change_nothing,
          labels_need_not_be_dense_and_one_that_is_only_tested_is_wrong,
          a_single_class_is_always_guessed, too_few_iterations_are_owned_up_to, the_monitor_cancels,
          bad_input_is_named, options_out_of_range_are_named)
