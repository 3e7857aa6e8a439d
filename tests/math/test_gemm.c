#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/gemm.h"

static double at(const float *x, int64_t ld, int transposed, int64_t i, int64_t j) {
  return transposed ? x[j * ld + i] : x[i * ld + j];
}

// The plain twin: C = alpha A B + beta C in double; the bound is the usual one, k eps |A| |B|.
static void check_against_twin(mcl_context *c, int flags, int64_t m, int64_t n, int64_t k,
                               float alpha, float beta, int parallel) {
  int ta = flags & MCLI_GEMM_TA, tb = (flags & MCLI_GEMM_TB) != 0;
  int64_t lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 1, ldc = n + 2;
  float *a = calloc((size_t)((ta ? k : m) * lda + 1), sizeof *a);
  float *b = calloc((size_t)((tb ? n : k) * ldb + 1), sizeof *b);
  float *out = calloc((size_t)(m * ldc + 1), sizeof *out),
        *was = calloc((size_t)(m * ldc + 1), sizeof *was);
  test_fill(a, (ta ? k : m) * lda, 1, -1, 1);
  test_fill(b, (tb ? n : k) * ldb, 2, -1, 1);
  test_fill(out, m * ldc, 3, -1, 1);
  memcpy(was, out, (size_t)(m * ldc) * sizeof *out);
  mcl_error err;
  if (parallel)
    CHECK_OK(mcli_gemm_parallel(c, flags, m, n, k, alpha, a, lda, b, ldb, beta, out, ldc, &err));
  else
    mcli_gemm(c, flags, m, n, k, alpha, a, lda, b, ldb, beta, out, ldc);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < ldc; j++) {
      double sum = 0, size = 0;
      for (int64_t l = 0; l < k && j < n; l++) {
        double term = at(a, lda, ta, i, l) * at(b, ldb, tb, l, j);
        sum += term, size += fabs(term);
      }
      double want =
          j < n ? alpha * sum + beta * (double)was[i * ldc + j] : (double)was[i * ldc + j];
      if (!(fabs(out[i * ldc + j] - want) <=
            1e-6 * (size + 1))) // an assertion an element takes minutes where emulated
        ck_abort_msg("%lld x %lld x %lld at %lld, %lld: %g, not %g", (long long)m, (long long)n,
                     (long long)k, (long long)i, (long long)j, (double)out[i * ldc + j], want);
    }
  free(a), free(b), free(out), free(was);
}

START_TEST(products_agree_with_the_plain_twin_for_odd_shapes) {
  mcl_context *c = test_context(2);
  static const int64_t sizes[][3] = {{1, 1, 1},    {1, 7, 3},    {5, 1, 9},      {3, 3, 0},
                                     {17, 33, 65}, {64, 64, 64}, {100, 10, 130}, {257, 31, 19},
                                     {0, 5, 5},    {129, 128, 1}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (int flags = 0; flags < 4; flags++) {
      check_against_twin(c, flags, sizes[s][0], sizes[s][1], sizes[s][2], 1, 0, 0);
      check_against_twin(c, flags, sizes[s][0], sizes[s][1], sizes[s][2], 0.5f, 1, 0);
    }
  mcl_context_unref(c);
}
END_TEST

START_TEST(products_on_the_pool_agree_too) {
  mcl_context *c = test_context(3);
  for (int flags = 0; flags < 4; flags++) {
    check_against_twin(c, flags, 700, 300, 64, 2, 0.5f, 1);
    check_against_twin(c, flags, 90, 1100, 70, 1, 0, 1);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits) {
  enum { M = 900, N = 333, K = 200 };
  float *a = malloc(sizeof(float) * M * K), *b = malloc(sizeof(float) * K * N);
  float *first = malloc(sizeof(float) * M * N), *out = malloc(sizeof(float) * M * N);
  test_fill_normal(a, M * K, 1);
  test_fill_normal(b, K * N, 2);
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    mcl_error err;
    CHECK_OK(
        mcli_gemm_parallel(c, 0, M, N, K, 1, a, K, b, N, 0, threads == 1 ? first : out, N, &err));
    if (threads > 1) ck_assert_mem_eq(first, out, sizeof(float) * M * N);
    mcl_context_unref(c);
  }
  free(a), free(b), free(first), free(out);
}
END_TEST

START_TEST(beta_zero_does_not_read_the_output) {
  mcl_context *c = test_context(1);
  float a[4] = {1, 2, 3, 4}, b[4] = {1, 0, 0, 1}, out[4] = {NAN, NAN, NAN, INFINITY};
  mcli_gemm(c, 0, 2, 2, 2, 1, a, 2, b, 2, 0, out, 2);
  ck_assert_mem_eq(out, a, sizeof a);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("math", products_agree_with_the_plain_twin_for_odd_shapes, products_on_the_pool_agree_too,
          any_number_of_threads_gives_the_same_bits, beta_zero_does_not_read_the_output)
