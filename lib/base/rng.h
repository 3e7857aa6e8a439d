// Random numbers that are a function of where they are used, never of the order of calls.
#ifndef MCL_BASE_RNG_H
#define MCL_BASE_RNG_H

#include <stdint.h>

// What a stream is for: two parts that use the same seed never share a stream.
enum {
  MCLI_RNG_INIT = 1, // weights of an encoder: a = tensor
  MCLI_RNG_AUGMENT,  // a = row, b = stage, epoch and view
  MCLI_RNG_KMEANS,   // a = restart
  MCLI_RNG_SAMPLER,  // a = epoch, b = cell
  MCLI_RNG_DATA,     // drawn attributes and permutations of examples: a = row
  MCLI_RNG_STAGE,    // derived seeds: a = stage
  MCLI_RNG_PROBE
};

typedef struct mcli_rng {
  uint32_t key[2], counter[4], block[4];
  uint32_t used;
} mcli_rng;

// The stream (seed, domain, a, b). Streams differ in every argument.
mcli_rng mcli_rng_make(uint64_t seed, uint32_t domain, uint64_t a, uint64_t b);

uint32_t mcli_rng_u32(mcli_rng *r);
void mcli_rng_fill(mcli_rng *r, uint32_t *out, int64_t n); // the next n of them, faster
uint64_t mcli_rng_u64(mcli_rng *r);
double mcli_rng_unit(mcli_rng *r);                             // [0, 1), 53 bits
double mcli_rng_between(mcli_rng *r, double low, double high); // [low, high)
double mcli_rng_normal(mcli_rng *r);                           // mean 0, sd 1
uint64_t mcli_rng_below(mcli_rng *r, uint64_t n);              // 0 .. n - 1, unbiased; n > 0

// A seed for a part: the same (seed, domain, a) always gives the same one.
uint64_t mcli_rng_derive(uint64_t seed, uint32_t domain, uint64_t a);

// Ten rounds of Philox4x32 (Salmon et al. 2011), the generator under all of the above.
void mcli_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// 64 bits mixed, one to one: the last step of SplitMix64.
uint64_t mcli_rng_mix(uint64_t x);

// A number that nobody can know before: for hash tables of what a file names, which could else be made to
// collide. No result may depend on it.
uint64_t mcli_unpredictable(void);

// A 64-bit hash of bytes, for fingerprints; chain by passing the last result as `seed`.
uint64_t mcli_hash(const void *bytes, uint64_t n, uint64_t seed);

#endif
