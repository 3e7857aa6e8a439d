#include "store/utf8.h"

int64_t mcli_utf8_length(const char *bytes, int64_t n) {
  const unsigned char *p = (const unsigned char *)bytes;
  if (p[0] < 0x80) return 1;
  if (p[0] < 0xC2 || p[0] > 0xF4) return 0; // a continuation, an overlong form, beyond U+10FFFF
  int64_t length = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
  if (length > n) return 0;
  for (int64_t i = 1; i < length; i++)
    if ((p[i] & 0xC0) != 0x80) return 0;
  if (p[0] == 0xE0 && p[1] < 0xA0) return 0; // overlong
  if (p[0] == 0xED && p[1] > 0x9F) return 0; // surrogates
  if (p[0] == 0xF0 && p[1] < 0x90) return 0; // overlong
  if (p[0] == 0xF4 && p[1] > 0x8F) return 0; // beyond U+10FFFF
  return length;
}

uint32_t mcli_utf8_code(const char *p, int64_t length) {
  static const unsigned char first[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  uint32_t code = (unsigned char)p[0] & first[length];
  for (int64_t i = 1; i < length; i++) code = code << 6 | ((unsigned char)p[i] & 0x3F);
  return code;
}

char *mcli_utf8_put(char *to, uint32_t code) {
  if (code < 0x80) {
    *to++ = (char)code;
    return to;
  }
  if (code < 0x800) {
    *to++ = (char)(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      *to++ = (char)(0xE0 | code >> 12);
    } else {
      *to++ = (char)(0xF0 | code >> 18);
      *to++ = (char)(0x80 | (code >> 12 & 63));
    }
    *to++ = (char)(0x80 | (code >> 6 & 63));
  }
  *to++ = (char)(0x80 | (code & 63));
  return to;
}

int64_t mcli_utf8_bad(const char *bytes, int64_t n) {
  for (int64_t i = 0; i < n;) {
    int64_t length = mcli_utf8_length(bytes + i, n - i);
    if (length == 0) return i;
    i += length;
  }
  return -1;
}
