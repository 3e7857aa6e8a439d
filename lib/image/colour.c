// Colour jitter, grey, blur and noise, on float images.
//
// Luma and blends are torchvision's (functional_tensor.py), so that published settings mean the
// same here:
//
//   L          = .2989 R + .587 G + .114 B                                  (1)
//   brightness:  x' = f x                                                    (2)
//   contrast:    x' = f x + (1 - f) mean(L)                                  (3)
//   saturation:  x' = f x + (1 - f) L                                        (4)
//   hue:         h' = (h + turn) mod 1 in HSV                                (5)
//
// (2) to (5) clamp to 0..1. (5) is done without a branch on the sector, which a NaN would send
// anywhere; for n = 5, 3, 1 (R, G, B), with V the largest channel and C the largest less the
// smallest:
//
//   k = (n + 6 h') mod 6,   x' = V - C max(0, min(k, 4 - k, 1))             (6)
#include "image/colour.h"

#include <math.h>
#include <string.h>

// Not fminf and fmaxf: these are calls where a NaN must be minded.
static float least(float a, float b) {
  return a < b ? a : b;
}
static float most(float a, float b) {
  return a > b ? a : b;
}

// A NaN stays.
static float unit(float x) {
  return x < 0 ? 0 : x > 1 ? 1 : x;
}

static float luma(const float *p) { // (1)
  return 0.2989F * p[0] + 0.587F * p[1] + 0.114F * p[2];
}

void mcli_brightness(float *x, int64_t n, int32_t c, float factor, int clamps) {
  for (int64_t i = 0; i < n * c; i++) x[i] *= factor;
  for (int64_t i = 0; clamps && i < n * c; i++) x[i] = unit(x[i]);
}

void mcli_contrast(float *x, int64_t n, int32_t c, float factor) {
  double sum = 0;
  if (c == 3)
    for (int64_t i = 0; i < n; i++) sum += luma(x + 3 * i);
  else
    for (int64_t i = 0; i < n * c; i++) sum += x[i];
  float rest = (1 - factor) * (float)(sum / (double)(c == 3 ? n : n * c));
  for (int64_t i = 0; i < n * c; i++) x[i] = unit(factor * x[i] + rest);
}

void mcli_saturation(float *x, int64_t n, float factor) {
  for (float *p = x; p < x + 3 * n; p += 3) {
    float rest = (1 - factor) * luma(p);
    for (int k = 0; k < 3; k++) p[k] = unit(factor * p[k] + rest);
  }
}

void mcli_grey(float *x, int64_t n) {
  for (float *p = x; p < x + 3 * n; p += 3) p[0] = p[1] = p[2] = luma(p);
}

// Six times the hue of a pixel of chroma above 0: which edge of the hexagon, and how far along it.
static float sextant(const float *p, float largest, float chroma) {
  if (p[0] == largest) return (p[1] - p[2]) / chroma;
  if (p[1] == largest) return (p[2] - p[0]) / chroma + 2;
  return (p[0] - p[1]) / chroma + 4;
}

void mcli_hue(float *x, int64_t n, float turn) {
  static const float offset[3] = {5, 3, 1};
  for (float *p = x; p < x + 3 * n; p += 3) {
    float high = most(p[0], most(p[1], p[2])), low = least(p[0], least(p[1], p[2]));
    float chroma = high - low;
    if (chroma > 0) {
      float h = sextant(p, high, chroma) + 6 * turn; // -4 .. 8
      for (int k = 0; k < 3; k++) {
        float at = h + offset[k];
        at -= 6 * floorf(at / 6);
        p[k] = high - chroma * most(0, least(least(at, 4 - at), 1)); // (6)
      }
    }
    for (int k = 0; k < 3; k++) p[k] = unit(p[k]);
  }
}

// ---- blur ---------------------------------------------------------------------------------------

// SimCLR's widest window is a tenth of the side; 65,535 is the longest side there is.
enum { BLUR_MOST = 2 * (65535 / 20) + 1 };

static int64_t mirror(int64_t i, int64_t n) {
  return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

// Along one axis: `n` places `step` apart, each of `run` floats side by side.
static void blur_line(const float *in, int64_t n, int64_t step, int64_t run, const float *weight,
                      int32_t radius, float *out) {
  for (int64_t i = 0; i < n; i++) {
    float *to = out + i * step;
    for (int64_t j = 0; j < run; j++) to[j] = 0;
    for (int32_t k = -radius; k <= radius; k++) {
      const float w = weight[k + radius], *from = in + mirror(i + k, n) * step;
      for (int64_t j = 0; j < run; j++) to[j] += w * from[j];
    }
  }
}

static void gaussian(float *weight, int32_t radius, double sigma) {
  double sum = 0;
  for (int32_t k = -radius; k <= radius; k++) sum += exp(-0.5 * k * k / (sigma * sigma));
  for (int32_t k = -radius; k <= radius; k++)
    weight[k + radius] = (float)(exp(-0.5 * k * k / (sigma * sigma)) / sum);
}

void mcli_blur(float *x, int32_t h, int32_t w, int32_t c, double sigma, int32_t radius_y,
               int32_t radius_x, float *spare) {
  float weight[BLUR_MOST];
  int64_t row = (int64_t)w * c;
  gaussian(weight, radius_y, sigma);
  blur_line(x, h, row, row, weight, radius_y, spare);
  gaussian(weight, radius_x, sigma);
  for (int32_t y = 0; y < h; y++)
    blur_line(spare + y * row, w, c, c, weight, radius_x, x + y * row);
}

// ---- noise
// ---------------------------------------------------------------------------------------
//
// Box and Muller, both values of each pair, with every step a loop over PAIRS that the compiler
// turns into vector code: one libm call after the other took most of a view's time. From 24 bits
// each:
//
//   u = (k + 1) / 2^24,      radius = sd sqrt(-2 log u)                     (7)
//   a = (j / 2^24 - 1/2) pi / 2, in [-pi/4, pi/4)                           (8)
//   (radius cos a, radius sin a), swapped by one bit, its larger part's sign changed by another: the whole circle   (9)
//
// The tail ends at 5.8 sd, where u = 2^-24 does. The polynomials are Cephes' logf, sinf and cosf
// (Moshier 1989): errors of some 2^-23, in a value that is noise.
enum { PAIRS = 16 };

static float bits_to_float(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static uint32_t float_to_bits(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

// log x for positive normal x: x = 2^e (1 + f), sqrt 1/2 <= 1 + f < sqrt 2.
static float log_of(float x) {
  int32_t e = (int32_t)(float_to_bits(x) - 0x3F3504F3u) >> 23;
  float f = bits_to_float(float_to_bits(x) - ((uint32_t)e << 23)) - 1, z = f * f, n = (float)e;
  float p = 7.0376836292e-2F;
  p = p * f - 1.1514610310e-1F;
  p = p * f + 1.1676998740e-1F;
  p = p * f - 1.2420140846e-1F;
  p = p * f + 1.4249322787e-1F;
  p = p * f - 1.6668057665e-1F;
  p = p * f + 2.0000714765e-1F;
  p = p * f - 2.4999993993e-1F;
  p = p * f + 3.3333331174e-1F;
  return n * 0.693359375F + (f + (p * f * z - 2.12194440e-4F * n - 0.5F * z));
}

static float sine(float a) { // |a| <= pi/4
  float z = a * a;
  return a + a * z * ((-1.9515295891e-4F * z + 8.3321608736e-3F) * z - 1.6666654611e-1F);
}

static float cosine(float a) {
  float z = a * a;
  return 1 - 0.5F * z +
         z * z * ((2.443315711809948e-5F * z - 1.388731625493765e-3F) * z + 4.166664568298827e-2F);
}

// z: the first values of all pairs, then the second ones.
static void normals(const uint32_t *words, float sd, float *z) {
  for (int i = 0; i < PAIRS; i++) {
    uint32_t k = words[i], j = words[PAIRS + i];
    float radius = sd * sqrtf(-2 * log_of((float)(int32_t)((k >> 8) + 1) * 0x1p-24F)); // (7)
    float a = ((float)(int32_t)(j >> 8) * 0x1p-24F - 0.5F) * 1.57079633F;              // (8)
    uint32_t large = float_to_bits(radius * cosine(a)) ^ (k & 1) << 31;                // (9)
    uint32_t small = float_to_bits(radius * sine(a)), both = (large ^ small) & -(j & 1);
    z[i] = bits_to_float(large ^ both);
    z[PAIRS + i] = bits_to_float(small ^ both);
  }
}

void mcli_noise(float *x, int64_t n, float sd, mcli_rng *rng) {
  uint32_t words[2 * PAIRS];
  float z[2 * PAIRS];
  for (int64_t i = 0; i < n; i += 2 * PAIRS) {
    int64_t some = n - i < 2 * PAIRS ? n - i : 2 * PAIRS;
    mcli_rng_fill(rng, words, 2 * PAIRS);
    normals(words, sd, z);
    for (int64_t j = 0; j < some; j++) x[i + j] += z[j];
  }
}
