// Which way up? Finds the EXIF orientation in the bytes of a JPEG or PNG, before any decoder sees
// them.
//
// The containers are walked here rather than by the libraries: libpng would allocate what a chunk's
// length claims, and libjpeg would copy every APP1 segment, while all that is wanted is one number.
// EXIF is a TIFF: a byte order, the offset of a directory, and there entries of 12 bytes (EXIF 2.3,
// section 4.6.2):
//
//   tag u16, type u16, count u32, value (4 bytes, a u16 stands first)
//
// Damage of any kind means 1, "as stored": a picture must not be refused for its metadata.
#include <string.h>

#include "image/decode.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_BYTES = 12 };

typedef struct tiff {
  const uint8_t *bytes;
  size_t n;
  int little;
} tiff;

static uint32_t big32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t get16(const tiff *t, size_t at) {
  const uint8_t *p = t->bytes + at;
  return t->little ? (uint32_t)p[1] << 8 | p[0] : (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const tiff *t, size_t at) {
  return t->little ? get16(t, at + 2) << 16 | get16(t, at) : get16(t, at) << 16 | get16(t, at + 2);
}

static int32_t tiff_orientation(const uint8_t *bytes, size_t n) {
  tiff t = {bytes, n, 0};
  if (n < 8) return 1;
  if (memcmp(bytes, "II*\0", 4) == 0)
    t.little = 1;
  else if (memcmp(bytes, "MM\0*", 4) != 0)
    return 1;
  size_t at = get32(&t, 4);
  if (at > n - 2) return 1;
  size_t entries = get16(&t, at), room = (n - at - 2) / ENTRY_BYTES;
  for (size_t i = 0; i < entries && i < room; i++) {
    size_t entry = at + 2 + i * ENTRY_BYTES;
    if (get16(&t, entry) != TAG_ORIENTATION) continue;
    uint32_t value = get16(&t, entry + 8);
    int sound = get16(&t, entry + 2) == TYPE_SHORT && get32(&t, entry + 4) == 1;
    return sound && value >= 1 && value <= 8 ? (int32_t)value : 1;
  }
  return 1;
}

// Segments are FF, a marker, and a length that counts itself; the walk ends where pixel data
// begins.
int32_t mcli_jpeg_orientation(const uint8_t *bytes, size_t n) {
  enum { SOI = 0xD8, EOI = 0xD9, SOS = 0xDA, APP1 = 0xE1, HEADER = 6 };
  static const char exif[HEADER] = "Exif\0";
  size_t at = 2;
  while (at + 4 <= n) {
    uint8_t marker = bytes[at + 1];
    if (bytes[at] != 0xFF || marker == SOS || marker == EOI || marker == SOI) return 1;
    if (marker == 0xFF) { // fill
      at++;
      continue;
    }
    size_t length = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
    if (length < 2 || length > n - at - 2) return 1;
    if (marker == APP1 && length >= 2 + HEADER && memcmp(bytes + at + 4, exif, HEADER) == 0)
      return tiff_orientation(bytes + at + 4 + HEADER, length - 2 - HEADER);
    at += 2 + length;
  }
  return 1;
}

// Chunks are a length, a name, the data and a CRC. eXIf may stand on either side of the pixel data.
int32_t mcli_png_orientation(const uint8_t *bytes, size_t n) {
  enum { SIGNATURE = 8, AROUND = 12 };
  size_t at = SIGNATURE;
  while (at + AROUND <= n) {
    size_t length = big32(bytes + at);
    if (length > n - at - AROUND) return 1;
    if (memcmp(bytes + at + 4, "eXIf", 4) == 0) return tiff_orientation(bytes + at + 8, length);
    at += AROUND + length;
  }
  return 1;
}
