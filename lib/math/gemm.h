// Matrix products: on BLIS (gemm_blis.c, the only place that knows blis.h), or libmcl's own where it is built without
// (gemm_plain.c). Whoever computes them also starts and names itself: base/hooks.h.
#ifndef MCL_MATH_GEMM_H
#define MCL_MATH_GEMM_H

#include "base/context.h"

// C[m, n] = alpha * A B + beta * C on the calling thread, for row-major A [m, k] with row stride lda and B [k, n] with ldb.
// transposed: A is stored [k, m], or B is stored [n, k]. Sizes may be 0. beta 0: C need not be initialised.
// Never fails: dimensions are positive and fit, which the callers have checked.
enum { MCLI_GEMM_TA = 1, MCLI_GEMM_TB = 2 };
void mcli_gemm(mcl_context *c, int flags, int64_t m, int64_t n, int64_t k, float alpha,
               const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *out,
               int64_t ldc);

// The same, cut into tiles by the size of the problem and run on the pool: the same bits for any number of threads.
mcl_status mcli_gemm_parallel(mcl_context *c, int flags, int64_t m, int64_t n, int64_t k,
                              float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                              float beta, float *out, int64_t ldc, mcl_error *err);

#endif
