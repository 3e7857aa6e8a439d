// The title of a PNG file: the first tEXt chunk whose keyword is Title (PNG, third edition,
// 11.3.3.2). Its text is Latin-1.
//
// Chunks are walked by their lengths alone: checksums and order are the decoder's matter. A length
// that leads beyond the file ends the walk.
#include "captions.h"

#include <string.h>

// A photograph of 64 MiB, the largest that is decoded, has 8,192 chunks of data of libpng's size.
// More are walked for the text behind them only where a file is made to keep us busy.
enum { MOST_CHUNKS = 10000 };

static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
static const char keyword[6] = "Title"; // with the NUL behind it

// The bytes of the title, at most MOST_TITLE; 0: there is none.
static size_t read_title(FILE *f, unsigned char *text) {
  unsigned char head[8], key[sizeof keyword];
  if (fseek(f, 0, SEEK_END)) return 0;
  const long size = ftell(f);
  long at = sizeof signature;
  rewind(f);
  if (fread(head, 1, 8, f) < 8 || memcmp(head, signature, 8) != 0) return 0;
  for (int i = 0; i < MOST_CHUNKS && size - at >= 12; i++) {
    if (fseek(f, at, SEEK_SET) || fread(head, 1, 8, f) < 8) return 0;
    const uint32_t length = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 |
                            (uint32_t)head[2] << 8 | (uint32_t)head[3];
    if ((int64_t)length > (int64_t)size - at - 12) return 0;
    if (memcmp(head + 4, "tEXt", 4) == 0 && length > sizeof key &&
        fread(key, 1, sizeof key, f) == sizeof key && memcmp(key, keyword, sizeof key) == 0) {
      const size_t n = length - sizeof key;
      return fread(text, 1, n < MOST_TITLE ? n : MOST_TITLE, f);
    }
    at += 12 + (long)length;
  }
  return 0;
}

// A NUL, a tab or the end of a line may not stand in a file of pairs.
static int is_control(unsigned char c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

int png_title(const char *path, char out[TITLE_ROOM]) {
  unsigned char text[MOST_TITLE];
  FILE *f = fopen(path, "rb");
  if (!f) return 0;
  const size_t n = read_title(f, text);
  fclose(f);
  int some = 0;
  for (size_t i = 0; i < n; i++) {
    const unsigned char c = is_control(text[i]) ? ' ' : text[i];
    some |= c != ' ' && c != 0xa0; // a blank that does not break
    if (c >= 0x80) *out++ = (char)(0xc0 | c >> 6);
    *out++ = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
  }
  *out = 0;
  return some;
}
