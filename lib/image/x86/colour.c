// Colour jitter, grey, blur and noise on float images of planes, [c, h, w]: one source, compiled
// once for each instruction set under the name MCLI_ISA_NAME.
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
//
// Planes, since then every loop is one over neighbours, which a compiler turns into vectors; with
// the three values of a pixel side by side, hue alone took half of a view's time.
#include <math.h>
#include <string.h>

#include "image/kernels.h"
#include "math/x86/vectors.h"

// Not fminf and fmaxf: these are calls where a NaN must be minded.
INLINE float least(float a, float b) {
  return a < b ? a : b;
}
INLINE float most(float a, float b) {
  return a > b ? a : b;
}

// A NaN stays.
INLINE float unit(float x) {
  return x < 0 ? 0 : x > 1 ? 1 : x;
}

// ---- blends -------------------------------------------------------------------------------------

// (1), of floats and of vectors.
#define LUMA(r, g, b) (0.2989F * (r) + 0.587F * (g) + 0.114F * (b))

static void brightness(float *x, int64_t n, float factor, int clamps) {
  if (clamps)
    for (int64_t i = 0; i < n; i++) x[i] = unit(x[i] * factor);
  else
    for (int64_t i = 0; i < n; i++) x[i] *= factor;
}

// Sixteen lanes of float32 in every instruction set, and so the same bits, added up in double after so
// many values each: a sum of 16 numbers is wrong by less than 2^-20 of it.
enum { RUN = 16 * LANES };

INLINE vector value_at(const float *x, int64_t n, int64_t i, int luma) {
  return luma ? LUMA(load(x + i), load(x + n + i), load(x + 2 * n + i)) : load(x + i);
}

INLINE double sum_up(const float *x, int64_t n, int luma) {
  double sum = 0;
  int64_t i = 0;
  while (i + LANES <= n) {
    vector acc[PARTS] = {{0}};
    float lane[LANES];
    int64_t end = n - i < RUN ? n - LANES : i + RUN - LANES;
    for (; i <= end; i += LANES)
      for (int p = 0; p < PARTS; p++) acc[p] += value_at(x, n, i + p * WIDTH, luma);
    memcpy(lane, acc, sizeof lane);
    for (int l = 0; l < LANES; l++) sum += lane[l];
  }
  for (; i < n; i++) sum += luma ? LUMA(x[i], x[n + i], x[2 * n + i]) : x[i];
  return sum;
}

static void contrast(float *x, int64_t n, int32_t c, float factor) {
  double mean = c == 3 ? sum_up(x, n, 1) / (double)n : sum_up(x, n * c, 0) / (double)(n * c);
  float rest = (1 - factor) * (float)mean;
  for (int64_t i = 0; i < n * c; i++) x[i] = unit(factor * x[i] + rest);
}

static void saturation(float *x, int64_t n, float factor) {
  float *restrict r = x, *restrict g = x + n, *restrict b = x + 2 * n;
  for (int64_t i = 0; i < n; i++) {
    float rest = (1 - factor) * LUMA(r[i], g[i], b[i]);
    r[i] = unit(factor * r[i] + rest);
    g[i] = unit(factor * g[i] + rest);
    b[i] = unit(factor * b[i] + rest);
  }
}

static void grey(float *x, int64_t n) {
  float *restrict r = x, *restrict g = x + n, *restrict b = x + 2 * n;
  for (int64_t i = 0; i < n; i++) r[i] = g[i] = b[i] = LUMA(r[i], g[i], b[i]);
}

// ---- hue ----------------------------------------------------------------------------------------

// (6); k is -3 .. 13 before mod.
INLINE float turned(float high, float chroma, float k) {
  k = k < 0 ? k + 6 : k;
  k = k < 6 ? k : k - 6;
  k = k < 6 ? k : k - 6;
  return high - chroma * most(0, least(least(k, 4 - k), 1));
}

// A grey pixel has no hue, and is only clamped.
static void hue(float *x, int64_t n, float turn) {
  float *restrict r = x, *restrict g = x + n, *restrict b = x + 2 * n;
  for (int64_t i = 0; i < n; i++) {
    float red = r[i], green = g[i], blue = b[i];
    float high = most(red, most(green, blue)), low = least(red, least(green, blue));
    float chroma = high - low, over = chroma > 0 ? chroma : 1;
    // Six times the hue: which edge of the hexagon, and how far along it.
    float along = green == high ? blue - red : red - green, edge = green == high ? 2.0F : 4.0F;
    along = red == high ? green - blue : along;
    edge = red == high ? 0.0F : edge;
    float h = along / over + edge + 6 * turn;
    float to_red = turned(high, chroma, h + 5), to_green = turned(high, chroma, h + 3);
    float to_blue = turned(high, chroma, h + 1);
    r[i] = unit(chroma > 0 ? to_red : red);
    g[i] = unit(chroma > 0 ? to_green : green);
    b[i] = unit(chroma > 0 ? to_blue : blue);
  }
}

// ---- blur ---------------------------------------------------------------------------------------

// SimCLR's widest window is a tenth of the side; 65,535 is the longest side there is.
enum { BLUR_MOST = 2 * (65535 / 20) + 1 };

// The taps of one output: in[place[k]] has weight[k].
typedef struct window {
  int32_t count;
  int32_t place[BLUR_MOST];
  float weight[BLUR_MOST];
} window;

static int32_t mirror(int32_t i, int32_t n) {
  return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

static void gaussian(window *t, int32_t radius, double sigma) {
  double sum = 0;
  t->count = 2 * radius + 1;
  for (int32_t k = -radius; k <= radius; k++) sum += exp(-0.5 * k * k / (sigma * sigma));
  for (int32_t k = -radius; k <= radius; k++)
    t->weight[k + radius] = (float)(exp(-0.5 * k * k / (sigma * sigma)) / sum);
}

INLINE void sum_block(const window *t, const float *in, int vectors, float *out) {
  vector acc[4] = {{0}};
  for (int32_t k = 0; k < t->count; k++) {
    const float *p = in + t->place[k];
    for (int v = 0; v < vectors; v++) acc[v] += load(p + v * WIDTH) * t->weight[k];
  }
  memcpy(out, acc, (size_t)vectors * sizeof *acc);
}

// out[j] = sum_k weight[k] in[place[k] + j]. The last block ends with the row, over what is there
// already.
static void sum_window(const window *t, const float *in, int64_t n, float *out) {
  int64_t j = 0;
  for (; j + 4 * WIDTH <= n; j += 4 * WIDTH) sum_block(t, in + j, 4, out + j);
  for (; j + WIDTH <= n; j += WIDTH) sum_block(t, in + j, 1, out + j);
  if (j < n && n >= WIDTH) sum_block(t, in + n - WIDTH, 1, out + n - WIDTH);
  for (; n < WIDTH && j < n; j++) {
    out[j] = 0;
    // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): gaussian() set `count` of them
    for (int32_t k = 0; k < t->count; k++) out[j] += in[t->place[k] + j] * t->weight[k];
  }
}

static void blur_down(const float *in, int32_t h, int32_t w, int32_t radius, window *t,
                      float *out) {
  for (int32_t y = 0; y < h; y++) {
    for (int32_t k = 0; k < t->count; k++) t->place[k] = mirror(y + k - radius, h) * w;
    sum_window(t, in, w, out + (int64_t)y * w);
  }
}

// `line`: a row with its mirrored ends.
static void blur_along(const float *in, int32_t h, int32_t w, int32_t radius, window *t,
                       float *line, float *out) {
  for (int32_t k = 0; k < t->count; k++) t->place[k] = k;
  for (int32_t y = 0; y < h; y++, in += w, out += w) {
    memcpy(line + radius, in, (size_t)w * sizeof *line);
    for (int32_t k = 1; k <= radius; k++) {
      line[radius - k] = in[k];
      line[radius + w - 1 + k] = in[w - 1 - k];
    }
    sum_window(t, line, w, out);
  }
}

static void blur(float *x, int32_t h, int32_t w, int32_t c, double sigma, int32_t radius_y,
                 int32_t radius_x, float *spare) {
  window t;
  int64_t n = (int64_t)h * w;
  for (float *plane = x; plane < x + c * n; plane += n) {
    gaussian(&t, radius_y, sigma);
    blur_down(plane, h, w, radius_y, &t, spare);
    gaussian(&t, radius_x, sigma);
    blur_along(spare, h, w, radius_x, &t, spare + n, plane);
  }
}

// ---- noise --------------------------------------------------------------------------------------
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

static float bits_to_float(uint32_t word) {
  float f;
  memcpy(&f, &word, sizeof f);
  return f;
}

static uint32_t float_to_bits(float f) {
  uint32_t word;
  memcpy(&word, &f, sizeof word);
  return word;
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

static void noise(float *x, int64_t n, float sd, mcli_rng *rng) {
  uint32_t words[2 * PAIRS];
  float z[2 * PAIRS];
  for (int64_t i = 0; i < n; i += 2 * PAIRS) {
    int64_t some = n - i < 2 * PAIRS ? n - i : 2 * PAIRS;
    mcli_rng_fill(rng, words, 2 * PAIRS);
    normals(words, sd, z);
    for (int64_t j = 0; j < some; j++) x[i + j] += z[j];
  }
}

#define PASTE(a, b) a##b
#define NAME(isa)   PASTE(mcli_colour_kernels_, isa)
#define TEXT(isa)   #isa
#define QUOTE(isa)  TEXT(isa)

const mcli_colour_kernels NAME(MCLI_ISA_NAME) = {
    .name = QUOTE(MCLI_ISA_NAME),
    .brightness = brightness,
    .contrast = contrast,
    .saturation = saturation,
    .hue = hue,
    .grey = grey,
    .blur = blur,
    .noise = noise,
};
