// Convolution of images [n, height, width, channels] with kernels [k, k, channels, filters], padded as "same" or not at all.
#ifndef MCL_NN_CONV_H
#define MCL_NN_CONV_H

#include <stdint.h>

#include <libmcl/encoder.h>

#include "base/context.h"

typedef struct mcli_conv {
  int32_t height, width, channels, filters, kernel, stride;
  int32_t out_height, out_width, pad_top, pad_left;
} mcli_conv;

// The sizes that follow from the others. MCL_PADDING_SAME: out = ceil(in / stride), the smaller half of the padding above and
// to the left. MCL_PADDING_VALID: out = floor((in - kernel) / stride) + 1; the kernel must fit into the image.
mcli_conv mcli_conv_make(int32_t height, int32_t width, int32_t channels, int32_t filters,
                         int32_t kernel, int32_t stride, int32_t padding);

// `padding` zeros on all sides: out = floor((in + 2 padding - kernel) / stride) + 1.
mcli_conv mcli_conv_padded(int32_t height, int32_t width, int32_t channels, int32_t filters,
                           int32_t kernel, int32_t stride, int32_t padding);

// Numbers of an image that goes in, and pixels of one that comes out.
static inline int64_t mcli_conv_image(const mcli_conv *v) {
  return (int64_t)v->height * v->width * v->channels;
}
static inline int64_t mcli_conv_pixels(const mcli_conv *v) {
  return (int64_t)v->out_height * v->out_width;
}

// Floats of workspace that forward and backward need for n images on this context.
int64_t mcli_conv_workspace(mcl_context *c, const mcli_conv *v, int64_t n);

// y [n, out_height, out_width, filters] = x * kernel + bias (NULL: none), then max(y, 0) where relu.
mcl_status mcli_conv_forward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x,
                             const float *kernel, const float *bias, int relu, float *y,
                             float *workspace, mcl_error *err);

// dy, by the result of forward y, is used up (masked where relu). d_kernel and d_bias (NULL: no bias) are added to,
// dx (NULL: not wanted) is overwritten.
mcl_status mcli_conv_backward(mcl_context *c, const mcli_conv *v, int64_t n, const float *x,
                              const float *kernel, const float *y, int relu, float *dy, float *dx,
                              float *d_kernel, float *d_bias, float *workspace, mcl_error *err);

#endif
