// Changes of colour, blur and noise of one float image, [n, c] or [h, w, c], in place.
#ifndef MCL_IMAGE_COLOUR_H
#define MCL_IMAGE_COLOUR_H

#include <stdint.h>

#include "base/rng.h"

// Each clamps its result to 0..1. `hue` and `saturation` need c = 3.
void mcli_brightness(float *x, int64_t n, int32_t c, float factor, int clamps);
void mcli_contrast(float *x, int64_t n, int32_t c, float factor);
void mcli_saturation(float *x, int64_t n, float factor);
void mcli_hue(float *x, int64_t n, float turn);

void mcli_grey(float *x, int64_t n); // c = 3

// Gaussian of `sigma` pixels, cut at the radii, mirrored at the edges without repeating the edge;
// radius < side. `spare` has h * w * c floats.
void mcli_blur(float *x, int32_t h, int32_t w, int32_t c, double sigma, int32_t radius_y,
               int32_t radius_x, float *spare);

// x += sd * normal, n values; draws a whole number of blocks of 32 words.
void mcli_noise(float *x, int64_t n, float sd, mcli_rng *rng);

#endif
