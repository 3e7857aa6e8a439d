// A dense layer: y [n, outputs] = x [n, inputs] W + b, W stored [inputs, outputs].
#ifndef MCL_NN_LINEAR_H
#define MCL_NN_LINEAR_H

#include <stdint.h>

#include "base/context.h"

// bias NULL: none; max(y, 0) where relu.
mcl_status mcli_linear_forward(mcl_context *c, int64_t n, int64_t inputs, int64_t outputs,
                               const float *x, const float *kernel, const float *bias, int relu,
                               float *y, mcl_error *err);

// dy, by the result of forward y, is used up (masked where relu). d_kernel and d_bias (NULL: no bias) are added to,
// dx (NULL: not wanted) is overwritten.
mcl_status mcli_linear_backward(mcl_context *c, int64_t n, int64_t inputs, int64_t outputs,
                                const float *x, const float *kernel, const float *y, int relu,
                                float *dy, float *dx, float *d_kernel, float *d_bias,
                                mcl_error *err);

#endif
