#include "dataset/unicode.h"

#include <stddef.h>

#include "dataset/unicode_tables.h"

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

static int is_in(const range *table, int64_t n, uint32_t code) {
  int64_t low = 0, high = n; // the last range that begins at `code` or before is below high
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (table[middle].first <= code)
      low = middle + 1;
    else
      high = middle;
  }
  return low > 0 && code <= table[low - 1].last;
}

mcli_character mcli_unicode_class(uint32_t code) {
  if (is_in(letters, COUNT(letters), code)) return MCLI_LETTER;
  if (is_in(spaces, COUNT(spaces), code)) return MCLI_SPACE;
  return is_in(numbers, COUNT(numbers), code) ? MCLI_NUMBER : MCLI_OTHER;
}

int mcli_unicode_cased(uint32_t code) {
  return is_in(cased, COUNT(cased), code);
}

int mcli_unicode_ignorable(uint32_t code) {
  return is_in(ignorable, COUNT(ignorable), code);
}

uint32_t mcli_unicode_lower(uint32_t code) {
  int64_t low = 0, high = COUNT(lowerings);
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (lowerings[middle].first <= code)
      low = middle + 1;
    else
      high = middle;
  }
  const lowering *l = low > 0 ? &lowerings[low - 1] : NULL;
  if (!l || code > l->last || (code - l->first) % (uint32_t)l->step != 0) return code;
  return (uint32_t)((int32_t)code + l->delta);
}
