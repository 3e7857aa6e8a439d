// JPEG files. What libjpeg-turbo takes by malloc is not counted here; that it stays within bounds is a matter of
// tests/image/test_jpeg.c and of libFuzzer's own limit.
#include "fuzz/image.h"

const int fuzz_large = FUZZ_FINDING;

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_image(context, bytes, n);
}
