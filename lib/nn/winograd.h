// Convolution with kernels of 3 x 3 and stride 1 by Winograd's minimal filtering: the same arguments and results as nn/conv.h.
#ifndef MCL_NN_WINOGRAD_H
#define MCL_NN_WINOGRAD_H

#include "nn/conv.h"

// Whether a convolution can be done so, and gains by it. A matter of its shape alone, not of how many images there are: the
// numbers of an image do not depend on its company.
int mcli_winograd_serves(const mcli_conv *v);

int64_t mcli_winograd_workspace(mcl_context *c, const mcli_conv *v, int64_t n);

mcl_status mcli_winograd_forward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x,
                                 const float *kernel, const float *bias, int relu, float *y,
                                 float *workspace, mcl_error *err);

mcl_status mcli_winograd_backward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x,
                                  const float *kernel, const float *y, int relu, float *dy,
                                  float *dx, float *d_kernel, float *d_bias, float *workspace,
                                  mcl_error *err);

#endif
