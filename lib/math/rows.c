// Rows of float32: which kernels a processor gets, and the two things everyone does with them.
#include "math/rows.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "math/x86/kernels.h"

static const mcli_rows_kernels *const tables[] = {
    [MCLI_ISA_BASE] = &mcli_rows_kernels_base,
#ifdef __x86_64__
    [MCLI_ISA_AVX2] = &mcli_rows_kernels_avx2,
    [MCLI_ISA_AVX512] = &mcli_rows_kernels_avx512,
#endif
};

const mcli_rows_kernels *mcli_rows_kernels_of(const mcl_context *c) {
  return tables[mcli_context_isa(c)];
}

const mcli_rows_kernels *mcli_rows_kernels_for(mcli_isa isa) {
  return isa <= mcli_processor_isa() ? tables[isa] : NULL;
}

// |x| is taken in double, where squares neither overflow nor vanish. 1 / |x| is a float for all but
// absurd rows; those are divided in double.
static void normalise_row(const mcli_rows_kernels *k, const float *in, double norm, int64_t dim,
                          float *out) {
  double inverse = norm > 0 ? 1 / norm : 0;
  if (inverse == 0 || (inverse >= FLT_MIN && inverse <= FLT_MAX)) {
    if (out != in) memcpy(out, in, (size_t)dim * sizeof *out);
    if (inverse > 0) k->scale((float)inverse, out, dim);
  } else {
    for (int64_t j = 0; j < dim; j++) out[j] = (float)(in[j] * inverse);
  }
}

void mcli_normalise(const mcl_context *c, const float *in, int64_t n, int64_t dim, float *out,
                    float *norms) {
  const mcli_rows_kernels *k = mcli_rows_kernels_of(c);
  for (int64_t i = 0; i < n; i++) {
    double norm = sqrt(k->sum_squares(in + i * dim, dim));
    normalise_row(k, in + i * dim, norm, dim, out + i * dim);
    if (norms) norms[i] = (float)norm;
  }
}

// log sum_i exp x_i = m + log sum_i exp (x_i - m),  m = max x
float mcli_softmax(const mcl_context *c, float *x, int64_t n) {
  const mcli_rows_kernels *k = mcli_rows_kernels_of(c);
  if (n <= 0) return -INFINITY;
  float m = k->max(x, n);
  float total = k->exp_sum(x, m, n);
  k->scale(1 / total, x, n);
  return m + logf(total);
}
