// What the kernels of one instruction set share: its vectors and the exponential. Every source that includes this is
// compiled once for each of them (math/meson.build).
//
// GCC's vector types are used at the width of the registers, PARTS of them to a block of 16 lanes: wider ones, and plain
// arrays of 16, are kept in memory by gcc 12.
#ifndef MCL_MATH_X86_VECTORS_H
#define MCL_MATH_X86_VECTORS_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
enum { BYTES = 64 };
#elif defined(__AVX__)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
enum { LANES = 16, WIDTH = BYTES / 4, PARTS = LANES / WIDTH };

typedef float vector __attribute__((vector_size(BYTES)));
typedef uint32_t bits __attribute__((vector_size(BYTES)));

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__) // which passes over gcc's pragma: accumulators would lie in memory
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE vector load(const float *p) {
  vector v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE void store(float *p, vector v) {
  memcpy(p, &v, sizeof v);
}

INLINE vector broadcast(float x) {
  return x - (vector){0};
}

// a b + c; in files compiled with MCLI_FUSED rounded once, where the processor can. Which products a compiler fuses by
// itself is its own choice: clang 14 chose one way in a block of rows and another in a row alone, whose bits have to be the
// same.
INLINE vector fused(vector a, vector b, vector c) {
#if defined(MCLI_FUSED) && defined(__AVX512F__)
  return (vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(MCLI_FUSED) && defined(__FMA__)
  return (vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(MCLI_FUSED) && defined(__aarch64__)
  return (vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

INLINE float fused_one(float a, float b, float c) {
#if defined(MCLI_FUSED) && (defined(__FMA__) || defined(__aarch64__))
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

// yes where mask is all ones, no where it is zero.
INLINE vector choose(bits mask, vector yes, vector no) {
  return (vector)((mask & (bits)yes) | (~mask & (bits)no));
}

// The second where either is no number. Written out, gcc 12 makes four instructions of one.
#if defined(__AVX512F__)
INLINE vector smaller(vector a, vector b) {
  return (vector)_mm512_min_ps((__m512)a, (__m512)b);
}
INLINE vector larger(vector a, vector b) {
  return (vector)_mm512_max_ps((__m512)a, (__m512)b);
}
#elif defined(__AVX__)
INLINE vector smaller(vector a, vector b) {
  return (vector)_mm256_min_ps((__m256)a, (__m256)b);
}
INLINE vector larger(vector a, vector b) {
  return (vector)_mm256_max_ps((__m256)a, (__m256)b);
}
#else
INLINE vector smaller(vector a, vector b) {
  bits less = (bits)(a < b);
  return (vector)((less & (bits)a) | (~less & (bits)b));
}
INLINE vector larger(vector a, vector b) {
  bits less = (bits)(a > b);
  return (vector)((less & (bits)a) | (~less & (bits)b));
}
#endif

// Shuffles want constants: built at run time they cost more than the scan. Row t of turns: lane j from lane j + 2^t, for
// t below log2 WIDTH.
enum { TURNS = WIDTH == 16 ? 4 : WIDTH == 8 ? 3 : 2 };
#define PLACES(first)                                                                              \
  {                                                                                                \
    (first) % WIDTH, ((first) + 1) % WIDTH, ((first) + 2) % WIDTH, ((first) + 3) % WIDTH,          \
        ((first) + 4) % WIDTH, ((first) + 5) % WIDTH, ((first) + 6) % WIDTH,                       \
        ((first) + 7) % WIDTH, ((first) + 8) % WIDTH, ((first) + 9) % WIDTH,                       \
        ((first) + 10) % WIDTH, ((first) + 11) % WIDTH, ((first) + 12) % WIDTH,                    \
        ((first) + 13) % WIDTH, ((first) + 14) % WIDTH, ((first) + 15) % WIDTH                     \
  }
static const uint32_t turns[4][LANES] = {PLACES(1), PLACES(2), PLACES(4), PLACES(8)};

INLINE bits load_bits(const uint32_t *p) {
  bits v;
  memcpy(&v, p, sizeof v);
  return v;
}

// Lane j from lane j + 2^t, mod WIDTH.
INLINE bits rotated(bits v, int t) {
#if defined(__clang__) // which has no shuffle by a vector of its own
  bits out;
  for (int i = 0; i < WIDTH; i++) out[i] = v[turns[t][i]];
  return out;
#else
  return __builtin_shuffle(v, load_bits(turns[t]));
#endif
}

// In halves: 8 + 8, 4 + 4, 2 + 2, 1 + 1.
INLINE float lanes_added(vector v) {
  UNROLL for (int t = TURNS - 1; t >= 0; t--) v += (vector)rotated((bits)v, t);
  return v[0];
}

// exp x = 2^k exp r,  k = round(x / ln 2),  r = x - k ln 2,  |r| <= ln 2 / 2            (1)
// exp r = 1 + r + r^2 P(r), P of degree 4, the farthest 3.1e-9 off (fitted by Lawson's weights)   (2)
//
// Adding ROUND rounds to an integer and leaves it in the low bits, from where it is added to the exponent. ln 2 is LN2_HIGH +
// LN2_LOW, and LN2_HIGH has 10 bits, so that k LN2_HIGH is exact. From -87 to 80 the farthest result was 0.90 ulp from the
// exponential in double where products are fused with additions (all floats), 1.17 ulp where they are not (one block of
// floats in seven); 2 ulp are tested. Below -87 results come near the subnormals, which are slow
// and have lost their last bits: they are 0.
#define ROUND    12582912.0f
#define LN2_HIGH 0.693359375f
#define LN2_LOW  (-2.12194440e-4f)

INLINE vector exp_between(vector x) {
  vector rounded = fused(x, broadcast(1.44269504f), broadcast(ROUND)), k = rounded - ROUND;
  vector r = fused(k, broadcast(-LN2_LOW), fused(k, broadcast(-LN2_HIGH), x));
  vector p = fused(broadcast(1.3814539e-3f), r, broadcast(8.3687454e-3f));
  p = fused(p, r, broadcast(4.1668389e-2f));
  p = fused(p, r, broadcast(1.66665211e-1f));
  p = fused(p, r, broadcast(4.9999994e-1f));
  p = fused(p, r, broadcast(1.0f));
  p = fused(p, r, broadcast(1.0f));
  return (vector)((bits)p + ((bits)rounded << 23));
}

// exp x for x up to 88.
INLINE vector exponential_below(vector x) {
  bits tiny = (bits)(x < -87.0f);
  return choose(tiny, (vector){0}, exp_between(larger(broadcast(-87.0f), x)));
}

// exp x; above the logarithm of the largest float infinite.
INLINE vector exponential(vector x) {
  return choose((bits)(x > 88.72283f), broadcast(__builtin_inff()),
                exponential_below(smaller(broadcast(89.0f), x)));
}

#endif
