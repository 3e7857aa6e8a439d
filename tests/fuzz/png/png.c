// PNG files: their size, and their pixels at that size and at another, in bytes and floats.
#include <libmcl/image.h>
#include <string.h>

#include "fuzz/fuzz.h"

const int fuzz_large = FUZZ_FINDING;

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  mcl_error err;
  int32_t height, width, channels;
  if (!fuzz_ok(mcl_image_size(context, NULL, bytes, n, &height, &width, &channels, &err), &err))
    return;
  (void)height, (void)width, (void)channels;
}
