// GELU in both forms against libm in double, from one end of float's range to the other.
#include "nn/twin.h"

#include <float.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/kernels.h"

static mcl_error err;
enum { N = 40009 };
static float x[N], y[N], dy[N], dx[N], first[N];

static void fill(void) {
  for (int i = 0; i < N; i++) x[i] = -12 + 24 * (float)i / N;
  static const float special[] = {0, -0.0F, 1e-30F, -1e-30F, 100, -100, 1e30F, -1e30F, FLT_MAX};
  memcpy(x, special, sizeof special);
  test_fill_normal(dy, N, 3);
}

static double gelu_at(double v) {
  return v * 0.5 * erfc(-v / sqrt(2));
}
static double quick_at(double v) {
  return v / (1 + exp(-1.702 * v));
}
static double gelu_slope(double v) {
  return 0.5 * erfc(-v / sqrt(2)) + v * exp(-v * v / 2) / sqrt(2 * M_PI);
}
static double quick_slope(double v) {
  double s = 1 / (1 + exp(-1.702 * v));
  return s + (s > 0 && s < 1 ? 1.702 * v * s * (1 - s) : 0);
}

// Within 1e-6 of the larger of 1 and what it should be; `small`: of itself too, while it is not below 1e-30.
static void near(const char *what, float at, float got, double wanted, int small) {
  double error = fabs((double)got - wanted), size = fmax(fabs(wanted), small ? 1e-30 : 1);
  if (!(error <= (small ? 2e-5 : 1e-6) * size))
    ck_abort_msg("%s(%.9g) is %.9g, not %.9g", what, (double)at, (double)got, wanted);
}

START_TEST(values_and_slopes_are_those_of_libm) {
  mcl_context *c = test_context(2);
  fill();
  for (mcli_gelu kind = MCLI_GELU_ERF; kind <= MCLI_GELU_QUICK; kind++) {
    int quick = kind == MCLI_GELU_QUICK;
    CHECK_OK(mcli_gelu_forward(c, kind, N, x, y, &err));
    CHECK_OK(mcli_gelu_backward(c, kind, N, x, y, dy, dx, &err));
    for (int i = 0; i < N; i++) {
      double v = (double)x[i], wanted = quick ? quick_at(v) : gelu_at(v);
      double slope = quick ? quick_slope(v) : gelu_slope(v);
      near("value", x[i], y[i], wanted, 0);
      if (v > -8) near("small value", x[i], y[i], wanted, 1); // the tail keeps its digits
      near("slope", x[i], dx[i] / dy[i], slope, 0);
    }
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(slopes_are_finite_differences) {
  for (double v = -6; v < 6; v += 0.037) {
    double step = 1e-5;
    double gelu = (gelu_at(v + step) - gelu_at(v - step)) / (2 * step);
    double quick = (quick_at(v + step) - quick_at(v - step)) / (2 * step);
    ck_assert(fabs(gelu - gelu_slope(v)) < 1e-8);
    ck_assert(fabs(quick - quick_slope(v)) < 1e-8);
  }
}
END_TEST

START_TEST(a_nan_stays_one) {
  mcl_context *c = test_context(1);
  for (mcli_gelu kind = MCLI_GELU_ERF; kind <= MCLI_GELU_QUICK; kind++) {
    x[0] = NAN;
    CHECK_OK(mcli_gelu_forward(c, kind, 1, x, y, &err));
    ck_assert(isnan(y[0]));
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_bits_depend_neither_on_threads_nor_on_the_instruction_set) {
  fill();
  for (mcli_isa isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
    const mcli_nn_kernels *k = mcli_nn_kernels_for(isa);
    if (!k) continue;
    k->gelu(x, y, N);
    if (isa == MCLI_ISA_BASE) memcpy(first, y, sizeof y);
    ck_assert_mem_eq(first, y, sizeof y);
  }
  for (uint32_t t = 1; t < 4; t++) {
    mcl_context *c = test_context(t);
    CHECK_OK(mcli_gelu_forward(c, MCLI_GELU_ERF, N, x, y, &err));
    ck_assert_mem_eq(first, y, sizeof y);
    mcl_context_unref(c);
  }
}
END_TEST

START_TEST(a_sum_may_stand_in_either_of_its_terms) {
  mcl_context *c = test_context(2);
  fill();
  for (int relu = 0; relu < 2; relu++) {
    CHECK_OK(mcli_sum_forward(c, N, x, dy, relu, y, &err));
    for (int i = 0; i < N; i++)
      ck_assert_float_eq(y[i], relu && x[i] + dy[i] < 0 ? 0 : x[i] + dy[i]);
    memcpy(dx, dy, sizeof dx);
    CHECK_OK(mcli_sum_forward(c, N, x, dx, relu, dx, &err));
    ck_assert_mem_eq(dx, y, sizeof y);
    memcpy(dx, x, sizeof dx);
    CHECK_OK(mcli_sum_forward(c, N, dx, dy, relu, dx, &err));
    ck_assert_mem_eq(dx, y, sizeof y);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(both_terms_of_a_sum_get_its_gradient_where_it_is_above_0) {
  mcl_context *c = test_context(2);
  fill();
  CHECK_OK(mcli_sum_forward(c, N, x, dy, 1, y, &err));
  CHECK_OK(mcli_sum_backward(c, N, y, 1, dy, dx, &err));
  for (int i = 0; i < N; i++) ck_assert(y[i] > 0 ? dy[i] != 0 : dy[i] == 0);
  ck_assert_mem_eq(dx, dy, sizeof dy);
  memcpy(first, dy, sizeof dy);
  CHECK_OK(mcli_sum_backward(c, N, y, 0, dy, NULL, &err)); // nothing to do
  ck_assert_mem_eq(first, dy, sizeof dy);
  mcl_context_unref(c);
}
END_TEST

START_TEST(relu_keeps_what_is_above_0_and_its_gradient) {
  mcl_context *c = test_context(2);
  fill();
  CHECK_OK(mcli_relu_forward(c, N, x, y, &err));
  CHECK_OK(mcli_relu_backward(c, N, y, dy, dx, &err));
  for (int i = 0; i < N; i++) {
    ck_assert_float_eq(y[i], x[i] > 0 ? x[i] : 0);
    ck_assert_float_eq(dx[i], x[i] > 0 ? dy[i] : 0);
  }
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("nn", values_and_slopes_are_those_of_libm, slopes_are_finite_differences, a_nan_stays_one,
          the_bits_depend_neither_on_threads_nor_on_the_instruction_set,
          a_sum_may_stand_in_either_of_its_terms,
          both_terms_of_a_sum_get_its_gradient_where_it_is_above_0,
          relu_keeps_what_is_above_0_and_its_gradient)
