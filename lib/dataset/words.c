// A text in lower case, split by CLIP's pattern:
//
//   's | 't | 're | 've | 'm | 'll | 'd | [\p{L}]+ | [\p{N}] | [^\s\p{L}\p{N}]+                    (1)
//
// of alternatives the first that matches, at the first place where one does. White space is in none
// of them, so cleaning it up before (as CLIP does) changes no word, and is left out. Two
// quirks of CLIP's Python are left out too: that the separators U+001C .. U+001F are lost at the ends
// of a text and kept inside it (here they are characters like others), and that a long s (U+017F) makes a 's.
//
// Lower case is Unicode's full mapping, as Python's lower():
//
//   I with a dot (U+0130)  ->  i, combining dot (U+0307)                                          (2)
//   capital sigma          ->  final sigma where a cased letter stands before it and none behind,
//                              case-ignorable characters in between not counted; else sigma       (3)
//   other letters          ->  one other letter                                                   (4)
#include "dataset/words.h"

#include <string.h>

#include "dataset/unicode.h"
#include "store/utf8.h"

enum { DOTTED_I = 0x130, COMBINING_DOT = 0x307, SIGMA = 0x3A3, SMALL = 0x3C3, FINAL = 0x3C2 };

// Whether the first character of the text that is not ignorable is cased. Bytes that are not UTF-8
// are neither.
static int begins_cased(const char *text, const char *end) {
  while (text < end) {
    int64_t length = mcli_utf8_length(text, end - text);
    if (length == 0) return 0;
    uint32_t code = mcli_utf8_code(text, length);
    if (!mcli_unicode_ignorable(code)) return mcli_unicode_cased(code);
    text += length;
  }
  return 0;
}

static char *put_lower(char *to, uint32_t code, int is_final) {
  if (code == DOTTED_I) return mcli_utf8_put(mcli_utf8_put(to, 'i'), COMBINING_DOT); // (2)
  if (code == SIGMA) return mcli_utf8_put(to, is_final ? FINAL : SMALL);             // (3)
  return mcli_utf8_put(to, mcli_unicode_lower(code));                                // (4)
}

int64_t mcli_words_lower(const char *text, int64_t n, int replace, char *out, int64_t *bad) {
  const char *at = text, *end = text + n;
  char *to = out;
  int after_cased = 0; // the last character that is not ignorable is cased
  while (at < end) {
    int64_t length = mcli_utf8_length(at, end - at);
    if (length == 0 && !replace) {
      if (bad) *bad = at - text;
      return -1;
    }
    uint32_t code = length ? mcli_utf8_code(at, length) : MCLI_UTF8_REPLACEMENT;
    at += length ? length : 1;
    if (code < 0x80) { // most of most texts
      *to++ = (char)(code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code);
    } else {
      to = put_lower(to, code, code == SIGMA && after_cased && !begins_cased(at, end));
    }
    if (!mcli_unicode_ignorable(code)) after_cased = mcli_unicode_cased(code);
  }
  return to - out;
}

static int64_t contraction(const char *at, const char *end) {
  static const char *const all[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  for (int i = 0; i < 7; i++) {
    int64_t n = (int64_t)strlen(all[i]);
    if (end - at >= n && memcmp(at, all[i], (size_t)n) == 0) return n;
  }
  return 0;
}

static mcli_character class_at(const char *at, const char *end, int64_t *length) {
  unsigned char c = (unsigned char)*at;
  *length = 1;
  if (c >= 'a' && c <= 'z') return MCLI_LETTER;
  if (c >= 0x80) *length = mcli_utf8_length(at, end - at);
  return mcli_unicode_class(mcli_utf8_code(at, *length));
}

int64_t mcli_words_next(const char **at, const char *end, const char **word) {
  const char *p = *at;
  mcli_character first = MCLI_SPACE;
  int64_t length = 0;
  while (p < end && (first = class_at(p, end, &length)) == MCLI_SPACE) p += length;
  *word = p;
  if (p == end) {
    *at = p;
    return 0;
  }
  int64_t n = *p == '\'' ? contraction(p, end) : 0;
  if (n > 0) {
    p += n;
  } else { // a run of one class; numbers stand alone
    do p += length;
    while (first != MCLI_NUMBER && p < end && class_at(p, end, &length) == first);
  }
  *at = p;
  return p - *word;
}
