// Between fuzz.c and corpus.c.
#ifndef MCL_TESTS_FUZZ_RUN_H
#define MCL_TESTS_FUZZ_RUN_H

#include <stddef.h>
#include <stdint.h>

// The target on these bytes, and then `refusals` times more, each with another request for memory refused.
void fuzz_run(const uint8_t *bytes, size_t n, int refusals);

#endif
