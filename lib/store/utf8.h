// UTF-8 (RFC 3629): no overlong forms, no surrogates, at most U+10FFFF. The only place that knows it.
#ifndef MCL_STORE_UTF8_H
#define MCL_STORE_UTF8_H

#include <stdint.h>

enum { MCLI_UTF8_REPLACEMENT = 0xFFFD };

// Length of the character at p of at most n bytes, n > 0; 0 when it is none.
int64_t mcli_utf8_length(const char *p, int64_t n);
// The code point of a character of that length.
uint32_t mcli_utf8_code(const char *p, int64_t length);
// Writes a code point, at most 4 bytes; returns the place behind it.
char *mcli_utf8_put(char *to, uint32_t code);
// The first byte that is no part of a character, -1 when all n are.
int64_t mcli_utf8_bad(const char *bytes, int64_t n);
static inline int mcli_utf8_valid(const char *bytes, int64_t n) {
  return mcli_utf8_bad(bytes, n) < 0;
}

#endif
