// Mutations that get behind a PNG's checksums: most inputs have the CRCs of their chunks mended, so that libpng takes them,
// and in some it is the unpacked pixel data that is mutated, and packed again.
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "fuzz/image.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned int seed);

enum { FIRST = FUZZ_IMAGE_CHOICES + 8, AROUND = 12, RAW = 1 << 16 };

static uint32_t big32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t x) {
  for (int i = 0; i < 4; i++) p[i] = (uint8_t)(x >> (24 - 8 * i));
}

// Where the chunk at `at` ends; 0: it does not, within n.
static size_t chunk_end(const uint8_t *data, size_t n, size_t at) {
  if (at + AROUND > n) return 0;
  size_t length = big32(data + at);
  return length <= n - at - AROUND ? at + AROUND + length : 0;
}

static void mend(uint8_t *data, size_t n) {
  for (size_t at = FIRST, end; (end = chunk_end(data, n, at)); at = end)
    put32(data + end - 4, (uint32_t)crc32(0, data + at + 4, (unsigned)(end - at - 8)));
}

// All chunks of IDAT unpacked; how many bytes, and where the first begins.
static size_t unpack(const uint8_t *data, size_t n, uint8_t *raw, size_t *first) {
  z_stream z = {0};
  if (inflateInit(&z) != Z_OK) return 0;
  z.next_out = raw;
  z.avail_out = RAW;
  *first = 0;
  for (size_t at = FIRST, end; (end = chunk_end(data, n, at)); at = end) {
    if (memcmp(data + at + 4, "IDAT", 4) != 0) continue;
    if (!*first) *first = at;
    z.next_in = (uint8_t *)(uintptr_t)(data + at + 8);
    z.avail_in = (unsigned)(end - at - AROUND);
    if (inflate(&z, Z_SYNC_FLUSH) != Z_OK) break;
  }
  inflateEnd(&z);
  return RAW - z.avail_out;
}

// data[0 .. first), then `raw` packed as one chunk, then what follows the last IDAT.
static size_t pack(uint8_t *data, size_t n, size_t most, size_t first, const uint8_t *raw,
                   size_t size, int level) {
  size_t rest = first, end;
  for (size_t at = first; (end = chunk_end(data, n, at)); at = end)
    if (memcmp(data + at + 4, "IDAT", 4) == 0) rest = end;
  uLongf packed = compressBound(size);
  uint8_t *chunk = malloc(packed + AROUND);
  if (compress2(chunk + 8, &packed, raw, size, level) == Z_OK &&
      first + packed + AROUND + (n - rest) <= most) {
    put32(chunk, (uint32_t)packed);
    memcpy(chunk + 4, "IDAT", 4);
    memmove(data + first + packed + AROUND, data + rest, n - rest);
    memcpy(data + first, chunk, packed + AROUND);
    n = first + packed + AROUND + (n - rest);
  }
  free(chunk);
  return n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned int seed) {
  static uint8_t raw[RAW];
  size_t first = 0, size = seed % 4 == 0 ? unpack(data, n, raw, &first) : 0;
  if (first)
    n = pack(data, n, most, first, raw, LLVMFuzzerMutate(raw, size, RAW), seed % 8 ? 0 : 6);
  else
    n = LLVMFuzzerMutate(data, n, most);
  if (seed % 16 != 1) mend(data, n);
  return n;
}
