// PNG files.
#include "fuzz/image.h"

const int fuzz_large = FUZZ_FINDING;

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_image(context, bytes, n);
}
