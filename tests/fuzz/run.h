// Between fuzz.c and who calls it: corpus.c, the soak.
#ifndef MCL_TESTS_FUZZ_RUN_H
#define MCL_TESTS_FUZZ_RUN_H

#include <stddef.h>
#include <stdint.h>

// The target on these bytes, and then `refusals` times more, each with another request for memory refused.
void fuzz_run(const uint8_t *bytes, size_t n, int refusals);
// So many threads in the context, before the first run; 1 where this is not called.
void fuzz_threads(uint32_t threads);

#endif
