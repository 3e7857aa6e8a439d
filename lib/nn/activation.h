// Passes over every number of a value, cut into tasks: GELU in both forms, and sums.
#ifndef MCL_NN_ACTIVATION_H
#define MCL_NN_ACTIVATION_H

#include <stdint.h>

#include "base/context.h"

typedef enum { MCLI_GELU_ERF, MCLI_GELU_QUICK } mcli_gelu;

mcl_status mcli_gelu_forward(mcl_context *c, mcli_gelu kind, int64_t n, const float *x, float *y,
                             mcl_error *err);
// dx = dy times the derivative at x; dx may be dy.
mcl_status mcli_gelu_backward(mcl_context *c, mcli_gelu kind, int64_t n, const float *x,
                              const float *dy, float *dx, mcl_error *err);
// y = a + b; y may be a or b.
mcl_status mcli_sum(mcl_context *c, int64_t n, const float *a, const float *b, float *y,
                    mcl_error *err);

#endif
