// Files packed by the targets themselves, so that mutations reach what is inside.
#ifndef MCL_TESTS_FUZZ_GZIP_H
#define MCL_TESTS_FUZZ_GZIP_H

#include <stdlib.h>
#include <zlib.h>

#include "fuzz/fuzz.h"

// As fuzz_put(), packed.
static inline const char *fuzz_put_packed(const char *name, const void *bytes, size_t n) {
  z_stream z = {0};
  if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK) // 16: gzip's wrapping
    fuzz_fail("deflateInit2");
  size_t room = deflateBound(&z, n);
  uint8_t *packed = malloc(room);
  z.next_in = (Bytef *)(uintptr_t)bytes;
  z.avail_in = (unsigned)n;
  z.next_out = packed;
  z.avail_out = (unsigned)room;
  if (deflate(&z, Z_FINISH) != Z_STREAM_END) fuzz_fail("deflate");
  deflateEnd(&z);
  const char *path = fuzz_put(name, packed, room - z.avail_out);
  free(packed);
  return path;
}

#endif
