// What splitting a text into words asks of a character: its class, and its small letter.
// The only place that knows Unicode's properties; the tables are of version 14.0 (scripts/unicode.py).
#ifndef MCL_DATASET_UNICODE_H
#define MCL_DATASET_UNICODE_H

#include <stdint.h>

typedef enum { MCLI_OTHER, MCLI_LETTER, MCLI_NUMBER, MCLI_SPACE } mcli_character;

mcli_character mcli_unicode_class(uint32_t code);
int mcli_unicode_cased(uint32_t code);     // a letter of two cases that is not ignorable
int mcli_unicode_ignorable(uint32_t code); // passed over where the case of a neighbour is asked for
// The small letter of one, the code point itself of all others. Not of U+0130 and U+03A3, whose
// small forms are two characters, and depend on the neighbours.
uint32_t mcli_unicode_lower(uint32_t code);

#endif
