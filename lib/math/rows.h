// Kernels on rows of float32, chosen at run time by the processor. Plain twins live in tests/math.
//
// Reductions run over 16 fixed lanes, so that the order of additions does not depend on the
// instruction set.
#ifndef MCL_MATH_ROWS_H
#define MCL_MATH_ROWS_H

#include <stdint.h>

#include "base/context.h"

typedef struct mcli_rows_kernels {
  const char *name;
  float (*dot)(const float *a, const float *b, int64_t n);
  float (*sum)(const float *a, int64_t n);
  float (*max)(const float *a, int64_t n);          // n > 0
  double (*sum_squares)(const float *a, int64_t n); // accumulated in double
  float (*squared_distance)(const float *a, const float *b, int64_t n);
  void (*axpy)(float s, const float *x, float *y, int64_t n);         // y += s x
  void (*scale)(float s, float *x, int64_t n);                        // x *= s
  void (*add_scaled)(double s, const float *x, double *y, int64_t n); // y += s x, in double
  // x_i = exp(x_i - shift), their sum returned. At most 2 ulp from exp of the rounded difference;
  // below -87 it is 0.
  float (*exp_sum)(float *x, float shift, int64_t n);
  // a_i = a_i - by_i, rounded down generously and at least 0; returns the smallest, infinity of
  // none. a_i >= 0, by_i >= 0 and finite.
  float (*lower)(float *a, const float *by, int64_t n);
  int64_t (*argmin)(const float *a, int64_t n); // the lowest index among equals; n > 0
  int64_t (*argmax)(const float *a, int64_t n);
} mcli_rows_kernels;

// The kernels of this context's instruction set; of a given one, where the processor has it (else
// NULL).
const mcli_rows_kernels *mcli_rows_kernels_of(const mcl_context *c);
const mcli_rows_kernels *mcli_rows_kernels_for(mcli_isa isa);

// out[i] = in[i] / |in[i]| for n rows; norms (may be NULL) gets |in[i]|. A zero row stays zero. out
// may be in.
void mcli_normalise(const mcl_context *c, const float *in, int64_t n, int64_t dim, float *out,
                    float *norms);
// x = softmax(x) in place; returns log(sum exp(x)).
float mcli_softmax(const mcl_context *c, float *x, int64_t n);

#endif
