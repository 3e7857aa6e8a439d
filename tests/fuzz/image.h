// What the targets png and jpeg do with an image.
#ifndef MCL_TESTS_FUZZ_IMAGE_H
#define MCL_TESTS_FUZZ_IMAGE_H

#include "fuzz/fuzz.h"

// Three bytes choose options and another size, the rest is the file.
enum { FUZZ_IMAGE_CHOICES = 3 };
void fuzz_image(mcl_context *context, const uint8_t *bytes, size_t n);

#endif
