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

// Numbers that go through the rounds side by side. 64 hide the latency of the multiplications (32:
// a third slower); 128 would be little faster, and slower for cells under a hundred rows.
enum { LANES = 64, GROUP = 16 };

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

// The rounds over `n` numbers first, first + 1, ...; n is a multiple of GROUP. The inner loops have
// a fixed length, which gcc turns into vectors at -O2.
__attribute__((always_inline)) static inline void rounds(const mcli_permutation *p, uint64_t first,
                                                         int64_t n, uint64_t *x) {
  uint32_t left_half[LANES], right_half[LANES], shift = p->shift, columns = p->columns;
  uint64_t mask = (UINT64_C(1) << shift) - 1;
  for (int64_t g = 0; g < n; g += GROUP) {
    uint32_t *l = left_half + g, *r = right_half + g;
    uint64_t begin = first + (uint64_t)g;
    for (uint64_t i = 0; i < GROUP; i++) l[i] = (uint32_t)((begin + i) & mask);
    for (uint64_t i = 0; i < GROUP; i++) r[i] = (uint32_t)((begin + i) >> shift);
  }
  for (uint32_t k = 0; k < p->rounds; k += 2) {
    uint32_t even = p->key[k], odd = p->key[k + 1];
    for (int64_t g = 0; g < n; g += GROUP) {
      uint32_t *l = left_half + g, *r = right_half + g;
      for (int i = 0; i < GROUP; i++) l[i] = left(l[i], r[i], even, shift);
      for (int i = 0; i < GROUP; i++) r[i] = right(l[i], r[i], odd, columns);
    }
  }
  for (int64_t g = 0; g < n; g += GROUP) {
    uint32_t *l = left_half + g, *r = right_half + g;
    for (int i = 0; i < GROUP; i++) x[g + i] = (uint64_t)r[i] << shift | l[i];
  }
}

static void rounds_base(const mcli_permutation *p, uint64_t first, int64_t n, uint64_t *x) {
  rounds(p, first, n, x);
}

#if defined(__x86_64__)
// The same source: integers give the same results. 512-bit vectors were no faster.
__attribute__((target("avx2"))) static void rounds_avx2(const mcli_permutation *p, uint64_t first,
                                                        int64_t n, uint64_t *x) {
  rounds(p, first, n, x);
}
#else
#define rounds_avx2 rounds_base
#endif

void mcli_permutation_run(const mcli_permutation *p, mcli_isa isa, uint64_t first, int64_t count,
                          int64_t *out) {
  uint64_t x[LANES];
  while (count > 0) {
    int64_t n = count < LANES ? count : LANES;
    (isa >= MCLI_ISA_AVX2 ? rounds_avx2 : rounds_base)(p, first, (n + GROUP - 1) / GROUP * GROUP,
                                                       x);
    for (int64_t i = 0; i < n; i++)
      out[i] = (int64_t)(x[i] < p->n ? x[i] : mcli_permutation_at(p, x[i])); // walks on
    first += (uint64_t)n, count -= n, out += n;
  }
}
