// Passes over every number of a value, cut into tasks: ReLU, GELU in both forms, and sums.
#ifndef MCL_NN_ACTIVATION_H
#define MCL_NN_ACTIVATION_H

#include <stdint.h>

#include "base/context.h"

typedef enum { MCLI_GELU_ERF, MCLI_GELU_QUICK } mcli_gelu;

mcl_status mcli_gelu_forward(mcl_context *c, mcli_gelu kind, int64_t n, const float *x, float *y,
                             mcl_error *err);
// dx = dy times the derivative at x, where forward's result was y; dx may be dy.
mcl_status mcli_gelu_backward(mcl_context *c, mcli_gelu kind, int64_t n, const float *x,
                              const float *y, const float *dy, float *dx, mcl_error *err);
mcl_status mcli_relu_forward(mcl_context *c, int64_t n, const float *x, float *y, mcl_error *err);
// dx = dy where y, the result of forward, is above 0, else 0; dx may be dy.
mcl_status mcli_relu_backward(mcl_context *c, int64_t n, const float *y, const float *dy, float *dx,
                              mcl_error *err);
// y = a + b, then max(y, 0) where relu; y may be a or b.
mcl_status mcli_sum_forward(mcl_context *c, int64_t n, const float *a, const float *b, int relu,
                            float *y, mcl_error *err);
// The gradient by both a and b: dy, masked by y where relu. It stays in dy; da (NULL: not wanted) gets a copy.
mcl_status mcli_sum_backward(mcl_context *c, int64_t n, const float *y, int relu, float *dy,
                             float *da, mcl_error *err);

#endif
