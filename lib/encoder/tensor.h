// Tensors of networks in files: held against what a file has, read, and seen with the axes that PyTorch gives them.
#ifndef MCL_ENCODER_TENSOR_H
#define MCL_ENCODER_TENSOR_H

#include <libmcl/checkpoint.h>

#include "nn/params.h"

// Whether a file has a tensor `name` of this shape and of a float type; else MCL_E_MISMATCH with file, tensor and both shapes.
mcl_status mcli_tensor_check(const mcl_checkpoint *f, const char *path, const char *name,
                             const mcl_array *wanted, mcl_error *err);
// Reads it into `to`, float32 and of its shape, strides in any order. NaN and infinity are MCL_E_NOT_FINITE.
mcl_status mcli_tensor_read(mcl_context *c, const mcl_checkpoint *f, const char *path,
                            const char *name, const mcl_array *to, mcl_error *err);

// The numbers of a tensor as PyTorch's axes see them, without moving one: outputs come first there.
//
//   a dense layer    [outputs, inputs]                    here [inputs, outputs]                     (1)
//   a convolution    [filters, channels, height, width]   here [height, width, channels, filters]    (2)
//
// All others are the same.
mcl_array mcli_tensor_view(const mcli_param *t, float *numbers);

#endif
