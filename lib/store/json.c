// JSON (RFC 8259), as much of it as the library needs.
//
// Why not a library: jansson and its like allocate by malloc or by a process-wide setting, and build a tree; here
// everything must come from the context's allocator, and what is read is one bounded header of a fixed form. A cursor
// that decodes strings where they stand needs no memory and no recursion at all: a decoded string is never
// longer than its source, and the NUL behind it takes the place of the closing quote.
#include "store/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/utf8.h"

// ---- reading ---------------------------------------------------------------------------------------

void mcli_json_begin(mcli_json *j, char *text, int64_t n) {
  *j = (mcli_json){.at = text, .begin = text, .end = text + n};
  // A byte beyond the end that belongs to no token saves every look-ahead a comparison.
  text[n] = 0;
}

void mcli_json_fail(mcli_json *j, const char *problem) {
  if (j->problem) return;
  j->problem = problem;
  j->place = j->at - j->begin;
}

// The next byte that is not white space; 0 at the end and after a problem.
static char peek(mcli_json *j) {
  while (!j->problem && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
    j->at++;
  return j->problem ? 0 : *j->at;
}

static int take(mcli_json *j, char wanted, const char *problem) {
  if (peek(j) != wanted) {
    mcli_json_fail(j, problem);
    return 0;
  }
  j->at++;
  return 1;
}

void mcli_json_open(mcli_json *j, char bracket) {
  take(j, bracket, bracket == '{' ? "an object was expected" : "an array was expected");
  j->after_value = 0;
}

int mcli_json_more(mcli_json *j, char bracket) {
  char next = peek(j);
  if (next == bracket) {
    j->at++;
    j->after_value = 1;
    return 0;
  }
  // A comma before the end needs no test: the element that it promises is found missing.
  if (j->after_value) take(j, ',', "a comma or the end of the list was expected");
  j->after_value = 0;
  return !j->problem;
}

static int hex4(const char *p, uint32_t *code) {
  *code = 0;
  for (int i = 0; i < 4; i++) {
    char c = p[i];
    uint32_t digit;
    if (c >= '0' && c <= '9')
      digit = (uint32_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = (uint32_t)(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F')
      digit = (uint32_t)(c - 'A' + 10);
    else
      return 0; // the 0 behind the text too, so nothing beyond it is read
    *code = *code * 16 + digit;
  }
  return 1;
}

// \uXXXX, or two of them for a character beyond U+FFFF. j->at stands behind the u.
static char *unescape_code(mcli_json *j, char *to) {
  uint32_t code, low;
  if (!hex4(j->at, &code)) {
    mcli_json_fail(j, "\\u needs four hexadecimal digits");
    return to;
  }
  j->at += 4;
  if (code >= 0xD800 && code < 0xE000) {
    if (code >= 0xDC00 || j->at[0] != '\\' || j->at[1] != 'u' || !hex4(j->at + 2, &low) ||
        low < 0xDC00 || low > 0xDFFF) {
      mcli_json_fail(j, "half of a surrogate pair stands alone");
      return to;
    }
    j->at += 6;
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  if (code == 0) mcli_json_fail(j, "a string holds a NUL");
  return mcli_utf8_put(to, code);
}

static char *unescape(mcli_json *j, char *to) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  char name = *j->at;
  const char *found = name ? strchr(names, name) : NULL;
  if (name == 'u') {
    j->at++;
    return unescape_code(j, to);
  }
  if (!found) {
    mcli_json_fail(j, "an unknown escape stands in a string");
    return to;
  }
  j->at++;
  *to++ = values[found - names];
  return to;
}

char *mcli_json_string(mcli_json *j) {
  char *nothing = j->end; // where begin has put a NUL
  if (!take(j, '"', "a string was expected")) return nothing;
  char *text = j->at, *to = j->at;
  while (!j->problem && *j->at != '"') {
    unsigned char c = (unsigned char)*j->at;
    int64_t length = c < 0x20 ? 0 : mcli_utf8_length(j->at, j->end - j->at);
    if (length == 0) {
      mcli_json_fail(j, j->at >= j->end ? "a string has no end"
                        : c < 0x20      ? "a control character stands in a string"
                                        : "a string is not UTF-8");
    } else if (c == '\\') {
      j->at++;
      to = unescape(j, to);
    } else {
      memmove(to, j->at, (size_t)length);
      to += length;
      j->at += length;
    }
  }
  if (j->problem) return nothing;
  j->at++;
  *to = 0;
  j->after_value = 1;
  return text;
}

char *mcli_json_key(mcli_json *j) {
  char *key = mcli_json_string(j);
  take(j, ':', "a colon was expected");
  return key;
}

int64_t mcli_json_count(mcli_json *j) {
  int64_t value = 0;
  char first = peek(j);
  if (first < '0' || first > '9') {
    mcli_json_fail(j, "a non-negative integer was expected");
    return 0;
  }
  do {
    if (!mcli_mul(value, 10, &value) || __builtin_add_overflow(value, *j->at - '0', &value)) {
      mcli_json_fail(j, "an integer is too large");
      return 0;
    }
    j->at++;
  } while (first != '0' && *j->at >= '0' && *j->at <= '9');
  if ((*j->at >= '0' && *j->at <= '9') || *j->at == '.' || *j->at == 'e' || *j->at == 'E') {
    mcli_json_fail(j, "a non-negative integer was expected");
    return 0;
  }
  j->after_value = 1;
  return value;
}

static const char *digits_end(const char *p) {
  while (*p >= '0' && *p <= '9') p++;
  return p;
}

// Behind a number that begins at p; p itself where none does.
static const char *number_end(const char *p) {
  const char *begin = p, *whole = p + (*p == '-'), *end = digits_end(whole);
  if (end == whole || (*whole == '0' && end != whole + 1)) return begin;
  if (*end == '.') {
    p = end + 1;
    if ((end = digits_end(p)) == p) return begin;
  }
  if (*end == 'e' || *end == 'E') {
    p = end + 1 + (end[1] == '+' || end[1] == '-');
    if ((end = digits_end(p)) == p) return begin;
  }
  return end;
}

// A number, true, false or null. j->at stands at it.
static void skip_word(mcli_json *j) {
  static const char *const words[] = {"true", "false", "null"};
  const char *end = number_end(j->at);
  for (int i = 0; i < 3; i++)
    if (strncmp(j->at, words[i], strlen(words[i])) == 0) end = j->at + strlen(words[i]);
  if (end == j->at) mcli_json_fail(j, "a value was expected");
  j->at += end - j->at;
  j->after_value = 1;
}

void mcli_json_skip(mcli_json *j) {
  // The brackets that are to close what is open. 64: deeper than anybody's data, and little on the
  // stack.
  char closing[64];
  int depth = 0;
  do {
    char next = peek(j);
    if (depth > 0 && closing[depth - 1] == '}') {
      mcli_json_key(j);
      next = peek(j);
    }
    if (next == '"') {
      mcli_json_string(j);
    } else if (next != '{' && next != '[') {
      if (!j->problem) skip_word(j);
    } else if (depth == (int)sizeof closing) {
      mcli_json_fail(j, "lists are nested too deep");
    } else {
      mcli_json_open(j, next);
      closing[depth++] = next == '{' ? '}' : ']';
    }
    while (depth > 0 && !j->problem && !mcli_json_more(j, closing[depth - 1])) depth--;
  } while (depth > 0 && !j->problem);
}

void mcli_json_end(mcli_json *j) {
  peek(j);
  if (!j->problem && j->at != j->end) mcli_json_fail(j, "something follows the end");
}

// ---- writing ---------------------------------------------------------------------------------------

void mcli_text_begin(mcli_text *t, mcl_context *c) {
  *t = (mcli_text){.context = c};
}

void mcli_text_free(mcli_text *t) {
  mcli_free(t->context, t->data);
  *t = (mcli_text){.context = t->context};
}

// Room for n more bytes and a NUL.
static int make_room(mcli_text *t, int64_t n) {
  if (t->failed) return 0;
  if (t->n + n < t->capacity) return 1;
  int64_t wanted = t->capacity ? t->capacity : 256;
  while (wanted <= t->n + n) wanted *= 2;
  char *larger = mcli_realloc(t->context, t->data, (uint64_t)wanted, 1);
  if (!larger) {
    t->failed = 1;
    return 0;
  }
  t->data = larger;
  t->capacity = wanted;
  return 1;
}

static void add_bytes(mcli_text *t, const char *bytes, int64_t n) {
  if (!make_room(t, n)) return;
  memcpy(t->data + t->n, bytes, (size_t)n);
  t->n += n;
  t->data[t->n] = 0;
}

void mcli_text_add(mcli_text *t, const char *text) {
  add_bytes(t, text, (int64_t)strlen(text));
}

void mcli_text_format(mcli_text *t, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (n < 0) t->failed = 1;
  if (n < 0 || !make_room(t, n)) return;
  va_start(arguments, format);
  vsnprintf(t->data + t->n, (size_t)n + 1, format, arguments);
  va_end(arguments);
  t->n += n;
}

static void quote_character(mcli_text *t, const char *p, int64_t length) {
  static const char names[] = "\"\\bfnrt", values[] = "\"\\\b\f\n\r\t";
  const char *found = strchr(values, *p);
  if (length == 0)
    mcli_text_add(t, "\xEF\xBF\xBD"); // U+FFFD
  else if (found)
    add_bytes(t, (char[]){'\\', names[found - values]}, 2);
  else if ((unsigned char)*p < 0x20 || *p == 0x7F)
    mcli_text_format(t, "\\u%04x", (unsigned)*p);
  else
    add_bytes(t, p, length);
}

void mcli_text_quote(mcli_text *t, const char *text) {
  int64_t n = (int64_t)strlen(text);
  mcli_text_add(t, "\"");
  for (int64_t i = 0; i < n;) {
    int64_t length = mcli_utf8_length(text + i, n - i);
    quote_character(t, text + i, length);
    i += length ? length : 1;
  }
  mcli_text_add(t, "\"");
}

// The shortest of 15, 16 and 17 digits that reads back as x. printf writes the locale's decimal point, which JSON does
// not know; whatever it is, it is the only thing in the number that is no digit, sign or e.
void mcli_number_print(char text[MCLI_NUMBER_SIZE], double x) {
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, MCLI_NUMBER_SIZE, "%.*g", digits, x);
    if (strtod(text, NULL) == x) break;
  }
  char *from = text, *to = text;
  for (int pointed = 0; *from; from++) {
    if (strchr("0123456789+-e", *from)) {
      *to++ = *from;
    } else if (!pointed) {
      *to++ = '.';
      pointed = 1; // a decimal point of several bytes becomes one
    }
  }
  *to = 0;
}

void mcli_text_number(mcli_text *t, double x) {
  char text[MCLI_NUMBER_SIZE];
  if (isfinite(x)) mcli_number_print(text, x);
  mcli_text_add(t, isfinite(x) ? text : "null");
}
