// Philox4x32-10: a counter goes in, four random words come out (Salmon, Moraes, Dror & Shaw, "Parallel Random Numbers: As
// Easy as 1, 2, 3", SC 2011). A stream is named by (seed, domain, a, b); its i-th block is a function of the name and i,
// so that threads, prefetching and resuming cannot change a draw.
//
//   key     = mix(seed, domain, b)       64 bits      (1)
//   counter = (i, high bits of b, a)     128 bits     (2)
//
// b enters the key through a full 64-bit mixer and the counter directly; a, the row, enters the counter whole: no two
// names of one seed share a (key, counter) pair unless the mixer collides and the high halves agree.
#include "base/rng.h"

#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t mix(uint64_t x) { // the finaliser of splitmix64
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

uint64_t mcli_rng_mix(uint64_t x) {
  return mix(x);
}

// Where the system gives none: a place in memory, which is another one in each process, and the time.
uint64_t mcli_unpredictable(void) {
  uint64_t drawn;
  struct timespec now = {0};
  if (getentropy(&drawn, sizeof drawn) == 0) return drawn;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return mix(mix((uint64_t)(uintptr_t)&drawn) ^ (uint64_t)now.tv_nsec);
}

void mcli_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p = (uint64_t)0xD2511F53u * x0, q = (uint64_t)0xCD9E8D57u * x2;
    uint32_t y0 = (uint32_t)(q >> 32) ^ x1 ^ k0, y2 = (uint32_t)(p >> 32) ^ x3 ^ k1;
    x1 = (uint32_t)q, x3 = (uint32_t)p, x0 = y0, x2 = y2;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  out[0] = x0, out[1] = x1, out[2] = x2, out[3] = x3;
}

mcli_rng mcli_rng_make(uint64_t seed, uint32_t domain, uint64_t a, uint64_t b) {
  mcli_rng r;
  memset(&r, 0, sizeof r);
  uint64_t key = mix(mix(mix(seed) ^ domain) ^ b); // (1)
  r.key[0] = (uint32_t)key, r.key[1] = (uint32_t)(key >> 32);
  r.counter[1] = (uint32_t)(b ^ (b >> 32)), r.counter[2] = (uint32_t)a; // (2)
  r.counter[3] = (uint32_t)(a >> 32);
  r.used = 4;
  return r;
}

uint32_t mcli_rng_u32(mcli_rng *r) {
  if (r->used == 4) {
    mcli_philox(r->counter, r->key, r->block);
    r->counter[0]++;
    r->used = 0;
  }
  return r->block[r->used++];
}

// Four blocks side by side: ten rounds are a chain of multiplications, in which one block alone mostly waits. Twice as fast
// as one by one; eight are no faster.
enum { LANES = 4 };

static void philox_lanes(mcli_rng *r, uint32_t *out) {
  uint32_t x0[LANES], x1[LANES], x2[LANES], x3[LANES], k0 = r->key[0], k1 = r->key[1];
  for (uint32_t i = 0; i < LANES; i++) {
    x0[i] = r->counter[0] + i, x1[i] = r->counter[1];
    x2[i] = r->counter[2], x3[i] = r->counter[3];
  }
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < LANES; i++) {
      uint64_t p = (uint64_t)0xD2511F53u * x0[i], q = (uint64_t)0xCD9E8D57u * x2[i];
      uint32_t y0 = (uint32_t)(q >> 32) ^ x1[i] ^ k0, y2 = (uint32_t)(p >> 32) ^ x3[i] ^ k1;
      x1[i] = (uint32_t)q, x3[i] = (uint32_t)p, x0[i] = y0, x2[i] = y2;
    }
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  for (int i = 0; i < LANES; i++, out += 4)
    out[0] = x0[i], out[1] = x1[i], out[2] = x2[i], out[3] = x3[i];
  r->counter[0] += LANES;
}

void mcli_rng_fill(mcli_rng *r, uint32_t *out, int64_t n) {
  for (; n > 0 && r->used < 4; n--) *out++ = r->block[r->used++];
  for (; n >= 4 * LANES; n -= 4 * LANES, out += 4 * LANES) philox_lanes(r, out);
  for (; n > 0; n--) *out++ = mcli_rng_u32(r);
}

uint64_t mcli_rng_u64(mcli_rng *r) {
  uint64_t high = mcli_rng_u32(r);
  return high << 32 | mcli_rng_u32(r);
}

double mcli_rng_unit(mcli_rng *r) {
  return (double)(mcli_rng_u64(r) >> 11) * 0x1p-53;
}

double mcli_rng_between(mcli_rng *r, double low, double high) {
  return low + (high - low) * mcli_rng_unit(r);
}

// Box and Muller; the second value of the pair is thrown away, so that every draw costs the same two units.
double mcli_rng_normal(mcli_rng *r) {
  double u = 1.0 - mcli_rng_unit(r), v = mcli_rng_unit(r);
  return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

// The upper 64 bits of a product, in halves: machines of 32 bits have no type of 128.
static uint64_t upper_half(uint64_t a, uint64_t b) {
  uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
  uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (uint32_t)middle;
  return a1 * b1 + (middle >> 32) + (other >> 32);
}

// Lemire's multiply-and-reject.
uint64_t mcli_rng_below(mcli_rng *r, uint64_t n) {
  for (;;) {
    uint64_t x = mcli_rng_u64(r), low = x * n;
    if (low >= n || low >= (0 - n) % n) return upper_half(x, n);
  }
}

uint64_t mcli_rng_derive(uint64_t seed, uint32_t domain, uint64_t a) {
  return mix(mix(mix(seed) ^ domain) + a);
}

uint64_t mcli_hash(const void *bytes, uint64_t n, uint64_t seed) {
  const unsigned char *p = bytes;
  uint64_t h = mix(seed ^ n), word;
  for (; n >= 8; n -= 8, p += 8) {
    memcpy(&word, p, 8);
    h = mix(h ^ word);
  }
  word = 0;
  if (n) memcpy(&word, p, (size_t)n);
  return mix(h ^ word);
}
