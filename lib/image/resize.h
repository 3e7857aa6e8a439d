// Resampling: weights once an axis, then rows of weighted sums. Shared by decoding, the datasets
// and the augmenter.
#ifndef MCL_IMAGE_RESIZE_H
#define MCL_IMAGE_RESIZE_H

#include <libmcl/image.h>

#include "base/context.h"

// in [h, w, c] to out [oh, ow, c], both contiguous; c is 1 .. 4, all sizes at least 1. `filter` and
// `fit` as in mcl_image_options. Equal sizes copy. Rounds halves up. Only MCL_E_NOMEM, before
// anything is written. Any thread.
mcl_status mcli_resize_u8(mcl_context *context, const uint8_t *in, int h, int w, int c, int oh,
                          int ow, uint8_t *out, int filter, int fit, mcl_error *err);

// A rectangle of an image with real-valued corners, in pixels.
typedef struct mcli_box {
  double y, x, height, width;
} mcli_box;

// The weights of one axis: output i is the sum over k < count[i] of weight[i * most + k] *
// input[first[i] + k], over `divisor`. The memory is the caller's.
typedef struct mcli_taps {
  int32_t out, most;
  int32_t *first, *count; // [out]
  float *weight;          // [out, most]
  float divisor;
} mcli_taps;

// The most taps an output can need when `length` pixels become `out`.
int32_t mcli_taps_most(double length, int32_t out, int filter);
// How many 4-byte words mcli_taps_place needs; places the arrays into them.
int64_t mcli_taps_words(int32_t out, int32_t most);
void mcli_taps_place(mcli_taps *taps, void *words, int32_t out, int32_t most);
// The weights for pixels from .. from + length of `in`. `mirror`: the last output first.
void mcli_taps_fill(mcli_taps *taps, int32_t in, double from, double length, int filter,
                    int mirror);

// One float image: in [h, w, c] contiguous, out [n, oh, ow] contiguous, of channels first .. first +
// n - 1. `row` has w * c + MCLI_ROW_SLACK floats.
enum { MCLI_ROW_SLACK = 4 };
struct mcli_resample_kernels;
void mcli_resample_f32(const struct mcli_resample_kernels *kernels, const float *in, int32_t w,
                       int32_t c, const mcli_taps *ty, const mcli_taps *tx, float *row,
                       int32_t first, int32_t n, float *out);

#endif
