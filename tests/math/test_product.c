// Products without a BLAS: every kernel that this processor has, whether the library is built on them or on BLIS.
#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/product.h"
#include "math/rows.h"

static mcli_product_fn *kernel_for(int isa) {
  return mcli_rows_kernels_for((mcli_isa)isa) ? mcli_product_of((mcli_isa)isa) : NULL;
}

#define FOR_EVERY_ISA(k)                                                                           \
  for (int isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++)                                     \
    for (mcli_product_fn *k = kernel_for(isa); k; k = NULL)

static float *filled(int64_t n, uint64_t seed) {
  float *x = malloc(sizeof *x * (size_t)n);
  test_fill(x, n, seed, -1, 1);
  return x;
}

// Of this shape, in memory of its own; kinds 0..3: A transposed, B transposed.
static mcli_product product_of(int kind, int64_t m, int64_t n, int64_t k) {
  int ta = kind & 1, tb = kind & 2;
  int64_t lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 1;
  return (mcli_product){.m = m,
                        .n = n,
                        .k = k,
                        .a = filled((ta ? k : m) * lda, 1),
                        .a_down = ta ? 1 : lda,
                        .a_right = ta ? lda : 1,
                        .b = filled((tb ? n : k) * ldb, 2),
                        .b_down = tb ? 1 : ldb,
                        .b_right = tb ? ldb : 1,
                        .alpha = 1,
                        .out = filled(m * (n + 2), 3),
                        .stride = n + 2};
}

static void let_go(mcli_product *x) {
  free((void *)(uintptr_t)x->a);
  free((void *)(uintptr_t)x->b);
  free(x->out);
}

static void check_against_twin(mcli_product_fn *product, int kind, int64_t m, int64_t n, int64_t k,
                               float alpha, float beta) {
  mcli_product x = product_of(kind, m, n, k);
  float *was = filled(m * x.stride, 3);
  x.alpha = alpha, x.beta = beta;
  product(&x);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < x.stride; j++) {
      double sum = 0, size = 0, old = was[i * x.stride + j], got = x.out[i * x.stride + j];
      for (int64_t d = 0; d < k && j < n; d++) {
        double term =
            (double)x.a[i * x.a_down + d * x.a_right] * (double)x.b[d * x.b_down + j * x.b_right];
        sum += term, size += fabs(term);
      }
      double want = j < n ? alpha * sum + beta * old : old; // behind the columns nothing is touched
      if (!(fabs(got - want) <=
            (j < n) * 1e-6 * (size + 1))) // an assertion an element takes minutes where emulated
        ck_abort_msg("kind %d, %lld x %lld x %lld at %lld, %lld: %g, not %g", kind, (long long)m,
                     (long long)n, (long long)k, (long long)i, (long long)j, got, want);
    }
  free(was);
  let_go(&x);
}

// Depths of 256 and their rests, blocks of up to 16 rows and theirs, panels of 16 and theirs, more than 480 rows.
START_TEST(products_agree_with_the_plain_twin_for_odd_shapes) {
  static const int64_t sizes[][3] = {{1, 1, 1},     {1, 7, 3},      {5, 1, 9},    {17, 33, 65},
                                     {64, 64, 64},  {100, 10, 130}, {31, 47, 19}, {16, 16, 256},
                                     {19, 31, 257}, {3, 5, 600},    {485, 17, 2}, {129, 128, 1}};
  FOR_EVERY_ISA(k)
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (int kind = 0; kind < 4; kind++) {
      check_against_twin(k, kind, sizes[s][0], sizes[s][1], sizes[s][2], 1, 0);
      check_against_twin(k, kind, sizes[s][0], sizes[s][1], sizes[s][2], 0.5f, 1);
      check_against_twin(k, kind, sizes[s][0], sizes[s][1], sizes[s][2], -2, 0.25f);
    }
}
END_TEST

START_TEST(an_element_has_the_same_bits_wherever_it_lies) {
  enum { M = 53, N = 51, K = 270 };
  FOR_EVERY_ISA(k)
  for (int kind = 0; kind < 4; kind++) {
    mcli_product x = product_of(kind, M, N, K);
    float *was = filled(M * x.stride, 3), one;
    x.alpha = 0.7f, x.beta = 0.3f;
    k(&x);
    for (int64_t i = 0; i < M; i++)
      for (int64_t j = 0; j < N; j++) {
        mcli_product alone = x;
        alone.m = alone.n = 1;
        alone.a += i * x.a_down, alone.b += j * x.b_right;
        alone.out = &one;
        one = was[i * x.stride + j];
        k(&alone);
        ck_assert_msg(memcmp(&one, &x.out[i * x.stride + j], sizeof one) == 0,
                      "kind %d at %lld, %lld: %a, not %a", kind, (long long)i, (long long)j,
                      (double)one, (double)x.out[i * x.stride + j]);
      }
    free(was);
    let_go(&x);
  }
}
END_TEST

START_TEST(beta_zero_does_not_read_the_output) {
  FOR_EVERY_ISA(k) {
    mcli_product x = product_of(0, 20, 21, 300), y = product_of(0, 20, 21, 300);
    for (int64_t i = 0; i < 20 * x.stride; i++) x.out[i] = NAN, y.out[i] = INFINITY;
    k(&x), k(&y);
    for (int64_t i = 0; i < 20; i++)
      ck_assert_mem_eq(x.out + i * x.stride, y.out + i * x.stride, 21 * sizeof *x.out);
    ck_assert(isfinite(x.out[0]));
    let_go(&x), let_go(&y);
  }
}
END_TEST

RUN_TESTS("math", products_agree_with_the_plain_twin_for_odd_shapes,
          an_element_has_the_same_bits_wherever_it_lies, beta_zero_does_not_read_the_output)
