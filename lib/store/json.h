// The little JSON that the library needs: a reader for trusted-by-nobody headers and a writer for reports and headers.
// The only place that knows JSON's grammar.
#ifndef MCL_STORE_JSON_H
#define MCL_STORE_JSON_H

#include <stdint.h>

#include "base/context.h"

// ---- reading ---------------------------------------------------------------------------------------
// A cursor over a text in memory, which the caller has bounded in size and nesting by what it asks for: the cursor never
// recurses and never allocates. Strings are decoded in place, so the text is spoilt, and they live as long as it.
//
//   mcli_json_begin(&j, text, n);
//   mcli_json_open(&j, '{');
//   while (mcli_json_more(&j, '}')) {
//     char *key = mcli_json_key(&j);
//     ... one value ...
//   }
//   mcli_json_end(&j);
//   if (j.problem) it was not so: "an integer was expected", at byte j.place
//
// After a problem every call does nothing and gives 0, NULL or "", so it is enough to look once, at the end.
typedef struct mcli_json {
  char *at, *begin, *end;
  const char *problem; // NULL: none yet; static text
  int64_t place;       // of the problem, in bytes
  int after_value;     // a comma must come before the next element
} mcli_json;

void mcli_json_begin(mcli_json *j, char *text, int64_t n); // text[n] must be writable
void mcli_json_open(mcli_json *j, char bracket);           // '{' or '['
int mcli_json_more(mcli_json *j, char bracket); // an element follows; 0: the '}' or ']' was read
char *mcli_json_key(mcli_json *j);              // a string and a colon; never NULL
char *mcli_json_string(mcli_json *j);  // NUL-terminated UTF-8 without NULs inside; never NULL
int64_t mcli_json_count(mcli_json *j); // an integer, 0 .. INT64_MAX
void mcli_json_skip(mcli_json *j);     // a value of any kind, lists in it at most 64 deep
void mcli_json_end(mcli_json *j);      // only white space may follow
void mcli_json_fail(mcli_json *j,
                    const char *problem); // the caller's own objection; the first one stays

// ---- writing ---------------------------------------------------------------------------------------
// A finite number as the shortest decimal that reads back as it, with a point whatever the locale.
enum { MCLI_NUMBER_SIZE = 40 };
void mcli_number_print(char text[MCLI_NUMBER_SIZE], double x);

// A text that grows. Without memory it stops growing and says so once, in `failed`.
typedef struct mcli_text {
  mcl_context *context;
  char *data; // NUL-terminated; NULL while empty
  int64_t n, capacity;
  int failed;
} mcli_text;

void mcli_text_begin(mcli_text *t, mcl_context *c);
void mcli_text_add(mcli_text *t, const char *text);
void mcli_text_format(mcli_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mcli_text_quote(mcli_text *t,
                     const char *text); // as a JSON string; bytes that are not UTF-8 become U+FFFD
void mcli_text_number(mcli_text *t, double x); // that reads back as x; null when it is not finite
void mcli_text_free(mcli_text *t);

#endif
