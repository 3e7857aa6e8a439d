// A keyed permutation of 0 .. n - 1 that is computed, never stored: any place of it in constant
// time.
#ifndef MCL_SAMPLER_PERMUTATION_H
#define MCL_SAMPLER_PERMUTATION_H

#include <stdint.h>

#include "base/context.h"

enum { MCLI_PERMUTATION_ROUNDS = 16 }; // at most

typedef struct mcli_permutation {
  uint64_t n;
  uint32_t shift, columns, rounds, key[MCLI_PERMUTATION_ROUNDS];
} mcli_permutation;

// 1 <= n <= 2^62. Each of the 128 bits of the key matters.
mcli_permutation mcli_permutation_make(uint64_t n, const uint32_t key[4]);

// Where i is sent to; i < n.
uint64_t mcli_permutation_at(const mcli_permutation *p, uint64_t i);

// out[i] = at(first + i) for i < count; the same for every instruction set.
void mcli_permutation_run(const mcli_permutation *p, mcli_isa isa, uint64_t first, int64_t count,
                          int64_t *out);

#endif
