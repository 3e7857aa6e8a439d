// The row kernels beside their plain twins, on every instruction set that this processor has.
#include "support/suite.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/rows.h"

static const int64_t sizes[] = {1,  2,  3,  7,   8,   15,  16,  17,  31,  32,  33,  47,
                                63, 64, 65, 127, 128, 129, 200, 257, 783, 784, 1000};
enum { N_SIZES = sizeof sizes / sizeof *sizes, MOST = 1000, GUARD = 32 };

static const mcli_rows_kernels *kernels(int isa) {
  return mcli_rows_kernels_for((mcli_isa)isa);
}

// Runs its argument with k, n and rows a, b of n floats at addresses that are not aligned to a
// register.
#define FOR_EVERY_ISA_AND_SIZE(...)                                                                \
  for (int isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++)                                     \
    for (int at = 0; at < N_SIZES; at++) {                                                         \
      const mcli_rows_kernels *k = kernels(isa);                                                   \
      int64_t n = sizes[at];                                                                       \
      static float storage[2][MOST + 2 * GUARD];                                                   \
      float *a = storage[0] + 1 + at % 5, *b = storage[1] + 1 + at % 3;                            \
      if (!k) continue;                                                                            \
      test_fill_normal(a, n, (uint64_t)at);                                                        \
      test_fill_normal(b, n, (uint64_t)at + 100);                                                  \
      __VA_ARGS__                                                                                  \
    }

// Formula (1) of kernels.c, spelt out: 64 sums while 64 elements remain, then 16, then a tree.
static float plain_sum(const float *terms, int64_t n) {
  float acc[64] = {0};
  int64_t deep = n - n % 64;
  for (int64_t i = 0; i < n; i++) acc[i < deep ? i % 64 : i % 16] += terms[i];
  float x[16];
  for (int j = 0; j < 16; j++) x[j] = (acc[j] + acc[16 + j]) + (acc[32 + j] + acc[48 + j]);
  for (int w = 8; w > 0; w /= 2)
    for (int j = 0; j < w; j++) x[j] += x[j + w];
  return x[0];
}

static void check_near(double got, double want, double terms, int64_t n) {
  // Each of the n / 64 + 10 additions a term goes through rounds by at most half of FLT_EPSILON.
  double bound = ((double)n / 64 + 12) * FLT_EPSILON * terms;
  ck_assert_msg(fabs(got - want) <= bound, "%.9g, not %.9g (n = %lld)", got, want, (long long)n);
}

START_TEST(dot_adds_in_the_order_of_formula_1_on_every_isa){FOR_EVERY_ISA_AND_SIZE({
  float terms[MOST];
  double want = 0, size = 0;
  for (int64_t i = 0; i < n; i++) {
    terms[i] = a[i] * b[i];
    want += (double)a[i] * b[i];
    size += fabs((double)a[i] * b[i]);
  }
  float got = k->dot(a, b, n);
  ck_assert_msg(got == plain_sum(terms, n), "%s, n = %lld", k->name, (long long)n);
  check_near(got, want, size, n);
})} END_TEST

    START_TEST(sum_adds_in_the_order_of_formula_1_on_every_isa){FOR_EVERY_ISA_AND_SIZE({
      double want = 0, size = 0;
      for (int64_t i = 0; i < n; i++) {
        want += a[i];
        size += fabs((double)a[i]);
      }
      float got = k->sum(a, n);
      ck_assert_msg(got == plain_sum(a, n), "%s, n = %lld", k->name, (long long)n);
      check_near(got, want, size, n);
    })} END_TEST

    START_TEST(squared_distance_adds_in_the_order_of_formula_1_on_every_isa){
        FOR_EVERY_ISA_AND_SIZE({
          float terms[MOST];
          double want = 0;
          for (int64_t i = 0; i < n; i++) {
            float d = a[i] - b[i];
            terms[i] = d * d;
            want += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
          }
          float got = k->squared_distance(a, b, n);
          ck_assert_msg(got == plain_sum(terms, n), "%s, n = %lld", k->name, (long long)n);
          check_near(got, want, want, n);
          ck_assert(k->squared_distance(a, a, n) == 0);
        })} END_TEST

    START_TEST(sum_squares_is_accurate_to_double){FOR_EVERY_ISA_AND_SIZE({
      long double want = 0;
      for (int64_t i = 0; i < n; i++) want += (long double)a[i] * a[i];
      double got = k->sum_squares(a, n);
      ck_assert(fabsl(got - want) <= 1e-14L * want);
      ck_assert(got == mcli_rows_kernels_for(MCLI_ISA_BASE)->sum_squares(a, n));
    })} END_TEST

    START_TEST(sum_squares_neither_overflows_nor_vanishes) {
  float big[20], small[20];
  for (int i = 0; i < 20; i++) {
    big[i] = FLT_MAX;
    small[i] = FLT_TRUE_MIN;
  }
  for (int isa = 0; isa <= MCLI_ISA_AVX512; isa++) {
    if (!kernels(isa)) continue;
    ck_assert_double_eq_tol(kernels(isa)->sum_squares(big, 20) / FLT_MAX / FLT_MAX, 20, 1e-12);
    ck_assert_double_eq_tol(kernels(isa)->sum_squares(small, 20) / FLT_TRUE_MIN / FLT_TRUE_MIN, 20,
                            1e-12);
  }
}
END_TEST

START_TEST(axpy_and_scale_round_twice_and_once){FOR_EVERY_ISA_AND_SIZE({
  float y[MOST + 1];
  memcpy(y, b, (size_t)n * sizeof *y);
  y[n] = 7;
  k->axpy(0.3f, a, y, n);
  for (int64_t i = 0; i < n; i++) {
    float product = 0.3f * a[i];
    ck_assert(y[i] == b[i] + product);
  }
  k->scale(-1.7f, y, n);
  for (int64_t i = 0; i < n; i++) {
    float product = 0.3f * a[i];
    ck_assert(y[i] == -1.7f * (b[i] + product));
  }
  ck_assert(y[n] == 7);
})} END_TEST

    START_TEST(add_scaled_rounds_in_double){FOR_EVERY_ISA_AND_SIZE({
      double y[MOST + 1];
      for (int64_t i = 0; i < n; i++) y[i] = b[i];
      y[n] = 7;
      k->add_scaled(0.3, a, y, n);
      for (int64_t i = 0; i < n; i++) {
        double product = 0.3 * (double)a[i];
        ck_assert(y[i] == (double)b[i] + product);
      }
      ck_assert(y[n] == 7);
    })} END_TEST

    START_TEST(max_is_the_largest_wherever_it_stands){FOR_EVERY_ISA_AND_SIZE({
      for (int64_t i = 0; i < n; i++) {
        float before = a[i];
        a[i] = 50;
        ck_assert_msg(k->max(a, n) == 50, "%s, %lld of %lld", k->name, (long long)i, (long long)n);
        a[i] = before;
      }
      for (int64_t i = 0; i < n; i++) a[i] = -1e30f;
      ck_assert(k->max(a, n) == -1e30f);
    })} END_TEST

    // At most the difference, at least but for 2^-21 of it.
    START_TEST(lower_takes_off_at_least_what_it_must){FOR_EVERY_ISA_AND_SIZE({
      float before[MOST];
      for (int64_t i = 0; i < n; i++) before[i] = a[i] = i % 7 == 6 ? INFINITY : fabsf(a[i]);
      for (int64_t i = 0; i < n; i++) b[i] = fabsf(b[i]);
      float least = k->lower(a, b, n), want = INFINITY;
      for (int64_t i = 0; i < n; i++) {
        double difference = (double)before[i] - (double)b[i];
        if (difference < 0) difference = 0;
        ck_assert(a[i] >= 0 && a[i] <= difference);
        ck_assert(a[i] >= difference - 0x1p-21 * (double)before[i] || isinf(before[i]));
        ck_assert(!isinf(before[i]) || isinf(a[i]));
        want = a[i] < want ? a[i] : want;
      }
      ck_assert(least == want);
    })} END_TEST

    START_TEST(argmin_and_argmax_find_the_place_wherever_it_is){FOR_EVERY_ISA_AND_SIZE({
      for (int64_t i = 0; i < n; i++) {
        float before = a[i];
        a[i] = -50;
        ck_assert_int_eq(k->argmin(a, n), i);
        a[i] = 50;
        ck_assert_int_eq(k->argmax(a, n), i);
        a[i] = before;
      }
    })} END_TEST

    START_TEST(argmin_and_argmax_take_the_first_of_equals){FOR_EVERY_ISA_AND_SIZE({
      for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i; j < n; j += 1 + n / 7) {
          float at_i = a[i], at_j = a[j];
          a[i] = a[j] = -50;
          ck_assert_int_eq(k->argmin(a, n), i);
          a[i] = a[j] = 50;
          ck_assert_int_eq(k->argmax(a, n), i);
          a[j] = at_j;
          a[i] = at_i;
        }
      }
      for (int64_t i = 0; i < n; i++) a[i] = 1;
      ck_assert_int_eq(k->argmin(a, n), 0);
      ck_assert_int_eq(k->argmax(a, n), 0);
      for (int64_t i = 0; i < n; i++) a[i] = INFINITY;
      ck_assert_int_eq(k->argmin(a, n), 0);
      ck_assert_int_eq(k->argmax(a, n), 0);
    })} END_TEST

    START_TEST(nan_gives_an_index_inside_the_row){FOR_EVERY_ISA_AND_SIZE({
      for (int64_t i = 0; i < n; i += 3) a[i] = NAN;
      int64_t low = k->argmin(a, n), high = k->argmax(a, n);
      ck_assert(low >= 0 && low < n && high >= 0 && high < n);
      for (int64_t i = 0; i < n; i++) a[i] = NAN;
      ck_assert_int_eq(k->argmin(a, n), 0);
      ck_assert_int_eq(k->argmax(a, n), 0);
      ck_assert(isnan(k->max(a, n)));
      ck_assert(isnan(k->exp_sum(a, 0, n)));
      ck_assert(isnan(a[0]) && isnan(a[n - 1]));
    })} END_TEST

    static double error_in_ulp(float got, double want) {
  float near = (float)want;
  double ulp = (double)nextafterf(near, INFINITY) - near;
  return fabs(got - want) / ulp;
}

// Every 521st float from -87 to 88.7. (All of them were tried once: see x86/vectors.h.)
START_TEST(exp_is_within_two_ulp_of_exp_in_double) {
  for (int isa = 0; isa <= MCLI_ISA_AVX512; isa++) {
    if (!kernels(isa)) continue;
    double worst = 0;
    for (uint32_t at = 0x30000000; at < 0x42b20000; at += 16 * 521) {
      float x[32], y[32];
      for (uint32_t j = 0; j < 32; j++) {
        uint32_t word = (at + (j & 15) * 521) | (j & 16 ? 0x80000000u : 0);
        memcpy(&x[j], &word, sizeof word);
      }
      memcpy(y, x, sizeof x);
      kernels(isa)->exp_sum(y, 0, 32);
      for (int j = 0; j < 32; j++) {
        if (x[j] < -87 || x[j] > 88.7f) continue;
        worst = test_worse(worst, error_in_ulp(y[j], exp(x[j])));
      }
    }
    ck_assert_msg(worst <= 2, "%s: %g ulp", kernels(isa)->name, worst);
  }
}
END_TEST

START_TEST(exp_is_zero_below_minus_87_and_infinite_when_it_overflows) {
  const float x[] = {-87,       nextafterf(-87, -100),
                     -88,       -103,
                     -1e10f,    -FLT_MAX,
                     -INFINITY, 0,
                     -0.0f,     88.72f,
                     88.73f,    89,
                     1e10f,     FLT_MAX,
                     INFINITY};
  enum { N = sizeof x / sizeof *x };
  for (int isa = 0; isa <= MCLI_ISA_AVX512; isa++) {
    if (!kernels(isa)) continue;
    float y[N];
    memcpy(y, x, sizeof x);
    kernels(isa)->exp_sum(y, 0, N);
    ck_assert(y[0] > 1.6e-38f);
    for (int i = 1; i < 7; i++) ck_assert_msg(y[i] == 0, "exp %g is %g", x[i], y[i]);
    ck_assert(y[7] == 1 && y[8] == 1);
    ck_assert(error_in_ulp(y[9], exp(x[9])) <= 2);
    for (int i = 10; i < N; i++) ck_assert_msg(isinf(y[i]), "exp %g is %g", x[i], y[i]);
  }
}
END_TEST

START_TEST(exp_sum_shifts_stores_and_adds){FOR_EVERY_ISA_AND_SIZE({
  double want = 0;
  float x[MOST + 1];
  memcpy(x, a, (size_t)n * sizeof *x);
  x[n] = 7;
  float got = k->exp_sum(x, 0.5f, n);
  for (int64_t i = 0; i < n; i++) {
    ck_assert(error_in_ulp(x[i], exp(a[i] - 0.5f)) <= 2);
    want += x[i];
  }
  ck_assert(x[n] == 7);
  check_near(got, want, want, n);
  memcpy(b, a, (size_t)n * sizeof *b);
  ck_assert(got == mcli_rows_kernels_for(MCLI_ISA_BASE)->exp_sum(b, 0.5f, n));
  ck_assert(memcmp(b, x, (size_t)n * sizeof *x) == 0);
})} END_TEST

    START_TEST(every_isa_of_this_processor_has_its_kernels) {
  mcl_context *c = test_context(1);
  ck_assert_str_eq(mcli_rows_kernels_for(MCLI_ISA_BASE)->name, "base");
  for (int isa = 0; isa <= MCLI_ISA_AVX512; isa++)
    ck_assert((kernels(isa) != NULL) == (isa <= (int)mcli_context_isa(c)));
  ck_assert_ptr_eq(mcli_rows_kernels_of(c), mcli_rows_kernels_for(mcli_context_isa(c)));
  mcl_context_unref(c);
}
END_TEST

START_TEST(normalised_rows_have_length_one_and_zero_rows_stay) {
  mcl_context *c = test_context(1);
  for (int64_t dim = 1; dim <= 130; dim += 43) {
    float in[5 * 130], out[5 * 130], norms[5];
    test_fill_normal(in, 5 * dim, (uint64_t)dim);
    memset(in + 2 * dim, 0, (size_t)dim * sizeof *in);
    mcli_normalise(c, in, 5, dim, out, norms);
    for (int i = 0; i < 5; i++) {
      double want = 0, length = 0;
      for (int64_t j = 0; j < dim; j++) {
        want += (double)in[i * dim + j] * in[i * dim + j];
        length += (double)out[i * dim + j] * out[i * dim + j];
        ck_assert_double_eq_tol(out[i * dim + j] * (double)norms[i], in[i * dim + j], 1e-6);
      }
      ck_assert(fabs(norms[i] - sqrt(want)) <= 1e-6 * sqrt(want));
      ck_assert_double_eq_tol(length, i == 2 ? 0 : 1, 4e-7);
    }
    mcli_normalise(c, in, 5, dim, in, NULL);
    ck_assert(memcmp(in, out, (size_t)(5 * dim) * sizeof *in) == 0);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(rows_near_the_ends_of_float_are_normalised_too) {
  mcl_context *c = test_context(1);
  const float sizes_of[] = {FLT_TRUE_MIN, 1e-40f, 1e-30f, 1e30f, FLT_MAX};
  for (int s = 0; s < 5; s++) {
    float x[9];
    for (int j = 0; j < 9; j++) x[j] = sizes_of[s];
    mcli_normalise(c, x, 1, 9, x, NULL);
    for (int j = 0; j < 9; j++) ck_assert_double_eq_tol(x[j], 1.0 / 3, 1e-7);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(softmax_adds_up_to_one_and_returns_the_log_sum) {
  mcl_context *c = test_context(1);
  for (int at = 0; at < N_SIZES; at++) {
    int64_t n = sizes[at];
    float x[MOST], y[MOST];
    test_fill(x, n, (uint64_t)at, -300, 300);
    memcpy(y, x, sizeof x);
    float got = mcli_softmax(c, y, n);
    double top = -INFINITY, total = 0, length = 0;
    for (int64_t i = 0; i < n; i++) top = fmax(top, x[i]);
    for (int64_t i = 0; i < n; i++) total += exp(x[i] - top);
    for (int64_t i = 0; i < n; i++) {
      ck_assert_double_eq_tol(y[i], exp(x[i] - top) / total, 1e-6);
      length += y[i];
    }
    ck_assert_double_eq_tol(length, 1, 1e-6);
    ck_assert_double_eq_tol(got, top + log(total), 300 * 1e-6);
  }
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("rows", dot_adds_in_the_order_of_formula_1_on_every_isa,
          sum_adds_in_the_order_of_formula_1_on_every_isa,
          squared_distance_adds_in_the_order_of_formula_1_on_every_isa,
          sum_squares_is_accurate_to_double, sum_squares_neither_overflows_nor_vanishes,
          axpy_and_scale_round_twice_and_once, add_scaled_rounds_in_double,
          max_is_the_largest_wherever_it_stands, lower_takes_off_at_least_what_it_must,
          argmin_and_argmax_find_the_place_wherever_it_is,
          argmin_and_argmax_take_the_first_of_equals, nan_gives_an_index_inside_the_row,
          exp_is_within_two_ulp_of_exp_in_double,
          exp_is_zero_below_minus_87_and_infinite_when_it_overflows, exp_sum_shifts_stores_and_adds,
          every_isa_of_this_processor_has_its_kernels,
          normalised_rows_have_length_one_and_zero_rows_stay,
          rows_near_the_ends_of_float_are_normalised_too,
          softmax_adds_up_to_one_and_returns_the_log_sum)
