// The largest of the pixels under a window, each channel by itself.
#ifndef MCL_NN_POOL_H
#define MCL_NN_POOL_H

#include "nn/conv.h"

// Of v, a convolution's geometry with as many filters as channels. What lies outside the image is never the largest.
mcl_status mcli_max_forward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x, float *y,
                            mcl_error *err);

// dx is overwritten. A gradient goes to the first of equal pixels, row by row, as in PyTorch.
mcl_status mcli_max_backward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x,
                             const float *y, const float *dy, float *dx, mcl_error *err);

#endif
