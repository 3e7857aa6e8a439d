// Matrix products without a BLAS, for builds that have none: the loops are x86/product.c's.
#include <stdio.h>

#include "base/hooks.h"
#include "math/gemm.h"
#include "math/product.h"
#include "math/rows.h"

// What is left of C[m, n] = alpha A B + beta C where nothing is added.
static void scale(int64_t m, int64_t n, float beta, float *out, int64_t ldc) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) out[i * ldc + j] = beta == 0 ? 0 : beta * out[i * ldc + j];
}

void mcli_gemm(mcl_context *c, int flags, int64_t m, int64_t n, int64_t k, float alpha,
               const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *out,
               int64_t ldc) {
  if (k <= 0 || alpha == 0) { // as BLIS, A and B are not read then
    scale(m, n, beta, out, ldc);
    return;
  }
  mcli_product x = {.m = m,
                    .n = n,
                    .k = k,
                    .a = a,
                    .a_down = flags & MCLI_GEMM_TA ? 1 : lda,
                    .a_right = flags & MCLI_GEMM_TA ? lda : 1,
                    .b = b,
                    .b_down = flags & MCLI_GEMM_TB ? 1 : ldb,
                    .b_right = flags & MCLI_GEMM_TB ? ldb : 1,
                    .alpha = alpha,
                    .beta = beta,
                    .out = out,
                    .stride = ldc};
  mcli_product_of(mcli_context_isa(c))(&x);
}

// ---- nothing is to be started ------------------------------------------------------------------------

mcl_status mcli_hook_setup(mcl_context *c, mcl_error *err) {
  (void)c, (void)err;
  return MCL_OK;
}

void mcli_hook_warm(mcl_context *c) {
  (void)c;
}

void mcli_hook_describe(const mcl_context *c, char *text, size_t capacity) {
  snprintf(text, capacity, "BLIS none, products of kernel %s", mcli_rows_kernels_of(c)->name);
}
