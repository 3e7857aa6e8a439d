// The loops over pixels, chosen at run time by the processor. Plain twins live in tests/image.
// Floats lie in planes, [c, h, w]: loops over neighbours become vectors.
//
// Every sum is taken in the order of its taps and products are rounded before they are added, so
// every instruction set gives the same bits.
#ifndef MCL_IMAGE_KERNELS_H
#define MCL_IMAGE_KERNELS_H

#include "base/context.h"
#include "base/rng.h"
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
  // The first oc channels of pixels of c, each to its plane: out[j * plane + i]. `row` has
  // MCLI_ROW_SLACK floats behind it.
  void (*columns_f32)(const float *row, int32_t c, const mcli_taps *taps, int32_t oc, float *out,
                      int64_t plane);
  // Planes [c, n] to pixels [n, c]
  void (*interleave)(const float *planes, int64_t n, int32_t c, float *pixels);
} mcli_resample_kernels;

typedef struct mcli_colour_kernels {
  const char *name;
  // x [n], any layout
  void (*brightness)(float *x, int64_t n, float factor, int clamps);
  // x [c, n]; each clamps its result to 0..1. `saturation`, `hue` and `grey` need c = 3.
  void (*contrast)(float *x, int64_t n, int32_t c, float factor);
  void (*saturation)(float *x, int64_t n, float factor);
  void (*hue)(float *x, int64_t n, float turn);
  void (*grey)(float *x, int64_t n);
  // x [c, h, w]: Gaussian of `sigma` pixels, cut at the radii, mirrored at the edges without
  // repeating the edge; radius < side. `spare` has mcli_blur_spare(h, w) floats.
  void (*blur)(float *x, int32_t h, int32_t w, int32_t c, double sigma, int32_t radius_y,
               int32_t radius_x, float *spare);
  // x += sd * normal, n values; draws a whole number of blocks of 32 words.
  void (*noise)(float *x, int64_t n, float sd, mcli_rng *rng);
} mcli_colour_kernels;

// A plane, and a row with its mirrored ends.
static inline int64_t mcli_blur_spare(int64_t h, int64_t w) {
  return h * w + 3 * w;
}

const mcli_resample_kernels *mcli_resample_kernels_of(const mcl_context *c);
// NULL where the processor cannot run them.
const mcli_resample_kernels *mcli_resample_kernels_for(mcli_isa isa);

const mcli_colour_kernels *mcli_colour_kernels_of(const mcl_context *c);
const mcli_colour_kernels *mcli_colour_kernels_for(mcli_isa isa);

extern const mcli_resample_kernels mcli_resample_kernels_base;
extern const mcli_colour_kernels mcli_colour_kernels_base;
#ifdef __x86_64__
extern const mcli_resample_kernels mcli_resample_kernels_avx2;
extern const mcli_resample_kernels mcli_resample_kernels_avx512;
extern const mcli_colour_kernels mcli_colour_kernels_avx2;
extern const mcli_colour_kernels mcli_colour_kernels_avx512;
#endif

#endif
