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
#define UNROLL _Pragma("GCC unroll 16")

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

// exp x = 2^k exp r,  k = round(x / ln 2),  r = x - k ln 2,  |r| <= ln 2 / 2            (1)
// exp r = 1 + r + r^2 P(r), P of degree 5 (Cephes' expf, S. Moshier)                    (2)
//
// Adding ROUND rounds to an integer and leaves it in the low bits. ln 2 is LN2_HIGH + LN2_LOW, and LN2_HIGH has 10 bits, so
// that k LN2_HIGH is exact. Below -87 results come near the subnormals, which are slow and have lost their last bits: they
// are 0. Of all floats from -87 on the farthest result is 0.98 ulp off, where products are fused with additions .94
// (tests/math).
#define ROUND    12582912.0f
#define LN2_HIGH 0.693359375f
#define LN2_LOW  -2.12194440e-4f

INLINE vector power_of_two(vector rounded) {
  return (vector)(((bits)rounded - (bits)broadcast(ROUND) + 127) << 23);
}

// (2); x is clamped already. *rounded is k + ROUND.
INLINE vector exp_part(vector x, vector *rounded) {
  *rounded = x * 1.44269504f + ROUND;
  vector k = *rounded - ROUND;
  vector r = (x - k * LN2_HIGH) - k * LN2_LOW;
  vector p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * (r * r) + r + 1.0f;
}

// exp x; from 89 on infinite. 2^k is applied as two factors: k reaches 128, which one factor cannot hold.
INLINE vector exponential(vector x) {
  bits tiny = (bits)(x < -87.0f);
  x = smaller(broadcast(89.0f), larger(broadcast(-87.0f), x));
  vector rounded, p = exp_part(x, &rounded), k = rounded - ROUND;
  vector half = 0.5f * k + ROUND;
  vector rest = (k - (half - ROUND)) + ROUND;
  return choose(tiny, (vector){0}, p * power_of_two(half) * power_of_two(rest));
}

// The same for x below 88, where one factor does.
INLINE vector exponential_below(vector x) {
  bits tiny = (bits)(x < -87.0f);
  vector rounded, p = exp_part(larger(broadcast(-87.0f), x), &rounded);
  return choose(tiny, (vector){0}, p * power_of_two(rounded));
}

#endif
