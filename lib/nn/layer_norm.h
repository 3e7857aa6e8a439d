// Layer norm of [rows, channels]: every row by itself, a token's numbers say.
#ifndef MCL_NN_LAYER_NORM_H
#define MCL_NN_LAYER_NORM_H

#include <stdint.h>

#include "base/context.h"

// Floats of workspace that backward needs.
int64_t mcli_layer_norm_workspace(int64_t rows, int64_t channels);

// y = scale (x - mean) / sqrt(variance + epsilon) + shift.
mcl_status mcli_layer_norm_forward(mcl_context *c, int64_t rows, int64_t channels, float epsilon,
                                   const float *x, const float *scale, const float *shift, float *y,
                                   mcl_error *err);

// d_scale and d_shift are added to; dx (may be dy; NULL: not wanted) is overwritten.
mcl_status mcli_layer_norm_backward(mcl_context *c, int64_t rows, int64_t channels, float epsilon,
                                    const float *x, const float *scale, const float *dy, float *dx,
                                    float *d_scale, float *d_shift, float *workspace,
                                    mcl_error *err);

#endif
