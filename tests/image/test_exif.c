// The orientation in a file's EXIF data, against a plain twin of the same rules in 64 bits, over files cut anywhere and
// with any byte changed. Each lies in a block of its own size, so that the address sanitizer sees a byte read beyond.
#include "support/suite.h"

#include <stdlib.h>
#include <string.h>

#include "image/decode.h"

// ---- the twin ---------------------------------------------------------------------------------------

static uint64_t number(const uint8_t *p, int bytes, int little) {
  uint64_t x = 0;
  for (int i = 0; i < bytes; i++) x = x << 8 | p[little ? bytes - 1 - i : i];
  return x;
}

static int of_tiff(const uint8_t *b, uint64_t n) {
  if (n < 8) return 1;
  int little = b[0] == 'I';
  if (memcmp(b, little ? "II\x2A\0" : "MM\0\x2A", 4) != 0) return 1;
  uint64_t at = number(b + 4, 4, little);
  if (at + 2 > n) return 1;
  uint64_t entries = number(b + at, 2, little);
  for (uint64_t e = at + 2; entries > 0 && e + 12 <= n; e += 12, entries--) {
    if (number(b + e, 2, little) != 0x0112) continue;
    uint64_t value = number(b + e + 8, 2, little);
    if (number(b + e + 2, 2, little) != 3 || number(b + e + 4, 4, little) != 1) return 1;
    return value >= 1 && value <= 8 ? (int)value : 1;
  }
  return 1;
}

static int of_jpeg(const uint8_t *b, uint64_t n) {
  for (uint64_t at = 2; at + 4 <= n;) {
    if (b[at] != 0xFF || (b[at + 1] >= 0xD8 && b[at + 1] <= 0xDA)) return 1;
    if (b[at + 1] == 0xFF) {
      at++;
      continue;
    }
    uint64_t length = number(b + at + 2, 2, 0);
    if (length < 2 || at + 2 + length > n) return 1;
    if (b[at + 1] == 0xE1 && length >= 8 && memcmp(b + at + 4, "Exif\0", 6) == 0)
      return of_tiff(b + at + 10, length - 8);
    at += 2 + length;
  }
  return 1;
}

static int of_png(const uint8_t *b, uint64_t n) {
  for (uint64_t at = 8; at + 12 <= n;) {
    uint64_t length = number(b + at, 4, 0);
    if (at + 12 + length > n) return 1;
    if (memcmp(b + at + 4, "eXIf", 4) == 0) return of_tiff(b + at + 8, length);
    at += 12 + length;
  }
  return 1;
}

// ---- files ------------------------------------------------------------------------------------------

enum { MOST = 256 };

static size_t put(uint8_t *to, size_t at, const void *bytes, size_t n) {
  memcpy(to + at, bytes, n);
  return at + n;
}

static size_t put_number(uint8_t *to, size_t at, uint64_t x, int bytes, int little) {
  for (int i = 0; i < bytes; i++)
    to[at + (size_t)(little ? i : bytes - 1 - i)] = (uint8_t)(x >> 8 * i);
  return at + (size_t)bytes;
}

// A directory behind 2 bytes of nothing, in which the orientation is the second of three entries.
static size_t put_tiff(uint8_t *to, size_t at, int orientation, int little) {
  at = put(to, at, little ? "II\x2A\0" : "MM\0\x2A", 4);
  at = put_number(to, at, 10, 4, little);
  at = put_number(to, at, 0, 2, little);
  at = put_number(to, at, 3, 2, little);
  for (int e = 0; e < 3; e++) {
    at = put_number(to, at, (uint64_t)(0x0111 + e), 2, little);
    at = put_number(to, at, 3, 2, little);
    at = put_number(to, at, 1, 4, little);
    at = put_number(to, at, (uint64_t)(e == 1 ? orientation : 5), 2, little);
    at = put_number(to, at, 0, 2, little);
  }
  return at;
}

// A JFIF segment, fill bytes, an APP1 that is no EXIF, the EXIF, and the pixels.
static size_t make_jpeg(uint8_t *to, int orientation, int little) {
  size_t at = put(to, 0,
                  "\xFF\xD8\xFF\xE0\0\4ab\xFF\xFF\xFF\xE1\0\x0A"
                  "Exif\0x..\xFF\xE1",
                  24);
  size_t length = at, end = put(to, at + 2, "Exif\0", 6);
  end = put_tiff(to, end, orientation, little);
  put_number(to, length, end - length, 2, 0);
  return put(to, end, "\xFF\xDA\0\2\1\2\3", 7);
}

static size_t make_png(uint8_t *to, int orientation, int little) {
  size_t at = put(to, 0, "\x89PNG\r\n\x1A\n\0\0\0\3tEXta=b....", 23);
  size_t length = at, begin = put(to, at + 4, "eXIf", 4);
  size_t end = put_tiff(to, begin, orientation, little);
  put_number(to, length, end - begin, 4, 0);
  return put(to, end, "....\0\0\0\0IEND....", 16);
}

typedef struct kind {
  size_t (*make)(uint8_t *to, int orientation, int little);
  int (*twin)(const uint8_t *b, uint64_t n);
  int32_t (*read)(const uint8_t *b, size_t n);
} kind;

static const kind kinds[] = {{make_jpeg, of_jpeg, mcli_jpeg_orientation},
                             {make_png, of_png, mcli_png_orientation}};

static int same(const kind *k, const uint8_t *bytes, size_t n) {
  uint8_t *own = malloc(n ? n : 1);
  memcpy(own, bytes, n);
  int32_t got = k->read(own, n);
  int same = got == k->twin(own, n);
  free(own);
  return same;
}

START_TEST(all_orientations_are_found_in_both_byte_orders) {
  uint8_t file[MOST];
  for (int k = 0; k < 2; k++)
    for (int o = 0; o <= 9; o++)
      for (int little = 0; little < 2; little++) {
        size_t n = kinds[k].make(file, o, little);
        ck_assert_int_eq(kinds[k].read(file, n), o >= 1 && o <= 8 ? o : 1);
      }
}
END_TEST

START_TEST(a_file_cut_anywhere_is_read_as_by_the_twin) {
  uint8_t file[MOST];
  for (int k = 0; k < 2; k++)
    for (int little = 0; little < 2; little++) {
      size_t n = kinds[k].make(file, 6, little);
      for (size_t cut = 0; cut <= n; cut++)
        ck_assert_msg(same(&kinds[k], file, cut), "kind %d cut at %zu", k, cut);
    }
}
END_TEST

START_TEST(a_file_with_any_byte_changed_is_read_as_by_the_twin) {
  uint8_t file[MOST];
  for (int k = 0; k < 2; k++)
    for (int little = 0; little < 2; little++) {
      size_t n = kinds[k].make(file, 6, little);
      for (size_t at = 0; at < n; at++) {
        uint8_t was = file[at];
        for (int value = 0; value < 256; value++) {
          file[at] = (uint8_t)value;
          ck_assert_msg(same(&kinds[k], file, n), "kind %d, byte %zu is %d", k, at, value);
        }
        file[at] = was;
      }
    }
}
END_TEST

// Lengths and offsets that end exactly at, just before and just behind the data, and far away.
START_TEST(lengths_that_lie_are_read_as_by_the_twin) {
  uint8_t file[MOST];
  for (int k = 0; k < 2; k++) {
    size_t n = kinds[k].make(file, 6, 0);
    size_t tiff = n - (k ? 16 : 7) - 48, length = tiff - 8, bytes = k ? 4 : 2;
    for (uint64_t x = 0; x <= 80; x++) {
      put_number(file, length, x, (int)bytes, 0);
      ck_assert_msg(same(&kinds[k], file, n), "kind %d, length %d", k, (int)x);
    }
    kinds[k].make(file, 6, 0);
    for (uint64_t x = 0; x <= 60; x++) {
      put_number(file, tiff + 4, x, 4, 0);
      ck_assert_msg(same(&kinds[k], file, n), "kind %d, offset %d", k, (int)x);
    }
    for (uint64_t x = 0xFFFFFFFF; x > 0xFFFFFFEF; x--) {
      put_number(file, tiff + 4, x, 4, 0);
      ck_assert(same(&kinds[k], file, n));
    }
  }
}
END_TEST

RUN_TESTS("image", all_orientations_are_found_in_both_byte_orders,
          a_file_cut_anywhere_is_read_as_by_the_twin,
          a_file_with_any_byte_changed_is_read_as_by_the_twin,
          lengths_that_lie_are_read_as_by_the_twin)
