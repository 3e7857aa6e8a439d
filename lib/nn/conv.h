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

// A backward pass over images is cut into parts, each with gradients of its own in a block of `size` floats: the kernel's, or
// what becomes it, first; the bias's, in double, at the end.
//
// How many parts serve n images of so many pixels or tiles, where a part has `least` of these at least.
int64_t mcli_conv_parts(int64_t n, int64_t units, int64_t least);
static inline double *mcli_conv_part_bias(const mcli_conv *v, float *part, int64_t size) {
  return (double *)(void *)(part + size - 2 * (int64_t)v->filters);
}
// Adds the bias's gradients of all parts, in order; d_bias NULL: nothing.
void mcli_conv_add_biases(const mcli_conv *v, float *first, int64_t size, int64_t parts,
                          float *d_bias);

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
