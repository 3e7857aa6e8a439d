// The loops over pixels, chosen at run time by the processor. Plain twins live in tests/image.
//
// Every sum is taken in the order of its taps and products are rounded before they are added, so
// every instruction set gives the same bits.
#ifndef MCL_IMAGE_KERNELS_H
#define MCL_IMAGE_KERNELS_H

#include "base/context.h"
#include "image/resize.h"

typedef struct mcli_resample_kernels {
  const char *name;
  // row[i] = sum over k < count of weight[k] in[k * stride + i], i < n; count >= 1
  void (*rows_u8)(const uint8_t *in, int64_t stride, const float *weight, int32_t count, float *row,
                  int64_t n);
  void (*rows_f32)(const float *in, int64_t stride, const float *weight, int32_t count, float *row,
                   int64_t n);
  // out [taps->out, c] of pixels of c <= 4 channels; all outputs have the first one's count. Both
  // `row` and `out` have MCLI_ROW_SLACK floats behind them.
  void (*columns)(const float *row, int32_t c, const mcli_taps *taps, float *out);
  // x / divisor, x >= 0, rounded to a byte, halves up
  void (*to_bytes)(const float *x, float divisor, int64_t n, uint8_t *out);
  // The first oc <= c channels, of any number: out [taps->out, oc]
  void (*columns_f32)(const float *row, int32_t c, const mcli_taps *taps, int32_t oc, float *out);
} mcli_resample_kernels;

const mcli_resample_kernels *mcli_resample_kernels_of(const mcl_context *c);
// NULL where the processor cannot run them.
const mcli_resample_kernels *mcli_resample_kernels_for(mcli_isa isa);

extern const mcli_resample_kernels mcli_resample_kernels_base;
#ifdef __x86_64__
extern const mcli_resample_kernels mcli_resample_kernels_avx2;
extern const mcli_resample_kernels mcli_resample_kernels_avx512;
#endif

#endif
