// The kernel of matrix products where libmcl is built without a BLAS: x86/product.c, once for each instruction set.
#ifndef MCL_MATH_PRODUCT_H
#define MCL_MATH_PRODUCT_H

#include <stdint.h>

#include "base/context.h"

// C[m, n] = alpha A B + beta C, all sizes positive. Element (i, j) of A is a[i * a_down + j * a_right], of B likewise, of
// C out[i * stride + j]. beta 0: C is not read.
typedef struct mcli_product {
  int64_t m, n, k;
  const float *a, *b;
  int64_t a_down, a_right, b_down, b_right;
  float alpha, beta;
  float *out;
  int64_t stride;
} mcli_product;

typedef void mcli_product_fn(const mcli_product *x);

mcli_product_fn mcli_product_base;
#ifdef __x86_64__
mcli_product_fn mcli_product_avx2, mcli_product_avx512;
#endif

// The one of an instruction set, which the processor must have.
static inline mcli_product_fn *mcli_product_of(mcli_isa isa) {
  static mcli_product_fn *const all[] = {
      [MCLI_ISA_BASE] = mcli_product_base,
#ifdef __x86_64__
      [MCLI_ISA_AVX2] = mcli_product_avx2,
      [MCLI_ISA_AVX512] = mcli_product_avx512,
#endif
  };
  return all[isa];
}

#endif
