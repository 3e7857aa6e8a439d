// Sequences of public calls: any order, NULLs, sizes, handles in any state (world.h).
#include "fuzz/api/world.h"

const int fuzz_large = FUZZ_REFUSED;

enum { STEPS = 40 }; // an input is soon over: what it found is easier to read

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_bytes in = {bytes, n};
  world w;
  world_begin(&w, context, &in, 0);
  for (int i = 0; i < STEPS && in.n; i++) world_step(&w);
  world_end(&w);
}
