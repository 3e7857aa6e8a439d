// A text in lower case, and its words.
#ifndef MCL_DATASET_WORDS_H
#define MCL_DATASET_WORDS_H

#include <stdint.h>

// Bytes that n bytes have at most when lowered: a byte that is replaced becomes three, U+0130 of
// two bytes becomes three.
static inline int64_t mcli_words_capacity(int64_t n) {
  return 3 * n;
}

// The text in lower case into `out`; returns its length. A byte that is not UTF-8 becomes U+FFFD
// where `replace`, else the result is -1 and *bad (which may be NULL) its place.
int64_t mcli_words_lower(const char *text, int64_t n, int replace, char *out, int64_t *bad);

// The next word of a lowered text: *at moves behind it. Its length, 0 at the end.
int64_t mcli_words_next(const char **at, const char *end, const char **word);

#endif
