// A permutation of n things without a table: a Feistel network with cycle walking.
//
// Numbers x < n are laid out on a grid of 2^s rows and c columns, s = floor(ceil(log2 n) / 2), c =
// ceil(n / 2^s):
//
//   x = r 2^s + l,  l < 2^s,  r < c                        (1)
//   l <- l xor (f(r, k_i) >> (32 - s))                     even rounds i   (2)
//   r <- (r + floor(f(l, k_i) c / 2^32)) mod c             odd rounds      (3)
//   f(v, k): h = (v xor k) A;  h = (h xor h >> 15) B;  f = h xor h >> 13   (4)
//   k_i = key[i mod 4] + floor(i / 4) G                    (5)
//
// Each round can be undone, so that all of them together permute the 2^s c numbers of the grid. A
// result that is not below n goes through the rounds again until it is (cycle walking: Black and
// Rogaway 2002, "Ciphers with Arbitrary Finite Domains"); that permutes 0 .. n - 1. The grid has
// fewer than n + 2^s places, hence one in sqrt(n) numbers walks. Both halves as powers of two would
// need no multiplication in (3), but up to half the numbers would walk, one by one.
//
// Rejected: a table shuffled each epoch, which needs 8 bytes a row and a serial pass before the
// first batch, and makes random access to steps depend on it.
#include "sampler/permutation.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Numbers that go through the rounds side by side: four vectors of 8, whose two halves stay in
// registers. Cells under a hundred rows would lose by more.
enum { LANES = 32 };

// So many that a chi-square test over pairs of places sees nothing in 10^5 draws. The fewer values
// a half has, the worse a round mixes: eight rounds are too few under 32 (at n = 5 to 8 the chances
// of pairs differ by 13 %), six under 128; four were too few at n = 100.
static uint32_t rounds_for(uint64_t n) {
  return n < 32 ? MCLI_PERMUTATION_ROUNDS : n < 128 ? 10 : 6;
}

mcli_permutation mcli_permutation_make(uint64_t n, const uint32_t key[4]) {
  mcli_permutation p = {.n = n, .rounds = rounds_for(n)};
  uint32_t bits = 2; // so that s >= 1: a shift by 32 - s is defined
  while (bits < 62 && (UINT64_C(1) << bits) < n) bits++;
  p.shift = bits / 2;
  p.columns = (uint32_t)((n + (UINT64_C(1) << p.shift) - 1) >> p.shift);
  for (uint32_t i = 0; i < p.rounds; i++) p.key[i] = key[i % 4] + i / 4 * 0x9E3779B9u; // (5)
  return p;
}

static inline uint32_t mix(uint32_t v, uint32_t k) { // (4)
  uint32_t h = (v ^ k) * 0x9E3779B1u;
  h = (h ^ h >> 15) * 0x85EBCA77u;
  return h ^ h >> 13;
}

static inline uint32_t left(uint32_t l, uint32_t r, uint32_t k, uint32_t shift) { // (2)
  return l ^ mix(r, k) >> (32 - shift);
}

static inline uint32_t right(uint32_t l, uint32_t r, uint32_t k, uint32_t columns) { // (3)
  uint32_t sum = r + (uint32_t)((uint64_t)mix(l, k) * columns >> 32), less = sum - columns;
  return less < sum ? less
                    : sum; // columns <= 2^31: sum does not wrap, and less wraps where sum < columns
}

uint64_t mcli_permutation_at(const mcli_permutation *p, uint64_t x) {
  do {
    uint32_t l = (uint32_t)(x & ((UINT64_C(1) << p->shift) - 1)), r = (uint32_t)(x >> p->shift);
    for (uint32_t k = 0; k < p->rounds; k += 2) {
      l = left(l, r, p->key[k], p->shift);
      r = right(l, r, p->key[k + 1], p->columns);
    }
    x = (uint64_t)r << p->shift | l;
  } while (x >= p->n);
  return x;
}

// LANES numbers from `first` on go through the rounds; whether any has to walk. The inner loops have a
// fixed length, which gcc turns into vectors at -O2.
static int rounds_base(const mcli_permutation *p, uint64_t first, int64_t *x) {
  uint32_t l[LANES], r[LANES];
  uint64_t mask = (UINT64_C(1) << p->shift) - 1;
  int walks = 0;
  for (uint64_t i = 0; i < LANES; i++) l[i] = (uint32_t)((first + i) & mask);
  for (uint64_t i = 0; i < LANES; i++) r[i] = (uint32_t)((first + i) >> p->shift);
  for (uint32_t k = 0; k < p->rounds; k += 2) {
    for (int i = 0; i < LANES; i++) l[i] = left(l[i], r[i], p->key[k], p->shift);
    for (int i = 0; i < LANES; i++) r[i] = right(l[i], r[i], p->key[k + 1], p->columns);
  }
  for (int i = 0; i < LANES; i++) x[i] = (int64_t)((uint64_t)r[i] << p->shift | l[i]);
  for (int i = 0; i < LANES; i++) walks |= (uint64_t)x[i] >= p->n;
  return walks;
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))

// Of the compiler's own vectors of the loops above four fifths were shuffles, for the upper halves
// of products in (3). 512-bit ones were no faster.
AVX2 static inline __m256i mix_avx2(__m256i v, uint32_t k) { // (4)
  __m256i h = _mm256_xor_si256(v, _mm256_set1_epi32((int)k));
  h = _mm256_mullo_epi32(h, _mm256_set1_epi32((int)0x9E3779B1u));
  h = _mm256_xor_si256(h, _mm256_srli_epi32(h, 15));
  h = _mm256_mullo_epi32(h, _mm256_set1_epi32((int)0x85EBCA77u));
  return _mm256_xor_si256(h, _mm256_srli_epi32(h, 13));
}

AVX2 static inline __m256i right_avx2(__m256i l, __m256i r, uint32_t k, __m256i columns) { // (3)
  __m256i h = mix_avx2(l, k);
  __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(h, columns), 32);
  __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(h, 32), columns);
  __m256i sum = _mm256_add_epi32(r, _mm256_blend_epi32(even, odd, 0xAA));
  return _mm256_min_epu32(_mm256_sub_epi32(sum, columns), sum);
}

// (1), backwards: four numbers of the grid, and whether any is not below n.
AVX2 static inline __m256i join_avx2(__m128i l, __m128i r, __m128i shift, int64_t *x,
                                     __m256i last) {
  __m256i both =
      _mm256_or_si256(_mm256_sll_epi64(_mm256_cvtepu32_epi64(r), shift), _mm256_cvtepu32_epi64(l));
  _mm256_storeu_si256((__m256i *)x, both);
  return _mm256_cmpgt_epi64(both, last);
}

// LANES numbers from `first` on go through the rounds; whether any has to walk.
AVX2 static int rounds_avx2(const mcli_permutation *p, uint64_t first, int64_t *x) {
  enum { VECTORS = LANES / 8 };
  __m256i l[VECTORS], r[VECTORS], columns = _mm256_set1_epi32((int)p->columns);
  __m128i shift = _mm_cvtsi32_si128((int)p->shift), back = _mm_cvtsi32_si128(32 - (int)p->shift);
  uint32_t mask = (UINT32_C(1) << p->shift) - 1;
  __m256i row = _mm256_set1_epi32((int)(uint32_t)(first >> p->shift));
  __m256i i = _mm256_add_epi32(_mm256_set1_epi32((int)((uint32_t)first & mask)),
                               _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  for (int v = 0; v < VECTORS; v++, i = _mm256_add_epi32(i, _mm256_set1_epi32(8))) {
    l[v] = _mm256_and_si256(i, _mm256_set1_epi32((int)mask));
    r[v] = _mm256_add_epi32(row, _mm256_srl_epi32(i, shift));
  }
  for (uint32_t k = 0; k < p->rounds; k += 2) {
    for (int v = 0; v < VECTORS; v++) // (2)
      l[v] = _mm256_xor_si256(l[v], _mm256_srl_epi32(mix_avx2(r[v], p->key[k]), back));
    for (int v = 0; v < VECTORS; v++) r[v] = right_avx2(l[v], r[v], p->key[k + 1], columns);
  }
  __m256i last = _mm256_set1_epi64x((int64_t)p->n - 1), beyond = _mm256_setzero_si256();
  for (int v = 0; v < VECTORS; v++) {
    __m256i low = join_avx2(_mm256_castsi256_si128(l[v]), _mm256_castsi256_si128(r[v]), shift,
                            x + 8 * v, last);
    __m256i high = join_avx2(_mm256_extracti128_si256(l[v], 1), _mm256_extracti128_si256(r[v], 1),
                             shift, x + 8 * v + 4, last);
    beyond = _mm256_or_si256(beyond, _mm256_or_si256(low, high));
  }
  return !_mm256_testz_si256(beyond, beyond);
}
#undef AVX2
#else
#define rounds_avx2 rounds_base
#endif

void mcli_permutation_run(const mcli_permutation *p, mcli_isa isa, uint64_t first, int64_t count,
                          int64_t *out) {
  int64_t rest[LANES];
  for (int64_t n; count > 0; first += (uint64_t)n, count -= n, out += n) {
    n = count < LANES ? count : LANES;
    int64_t *x = n < LANES ? rest : out;
    int walks = (isa >= MCLI_ISA_AVX2 ? rounds_avx2 : rounds_base)(p, first, x);
    for (int64_t i = 0; walks && i < n; i++)
      if ((uint64_t)x[i] >= p->n) x[i] = (int64_t)mcli_permutation_at(p, (uint64_t)x[i]);
    // cppcheck-suppress uninitvar ; written above, through x
    if (x == rest) memcpy(out, rest, (size_t)n * sizeof *out);
  }
}
