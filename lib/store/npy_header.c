// The header of a .npy file: a Python dict of three keys, in any order
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
//
//   {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 128), }
//
// It is Python source, and numpy reads it with Python's own parser. Here only what numpy writes is
// taken: strings without escapes, True and False, tuples of integers. A descr that is not a string
// (a structured type) is recognised, so that the file can be called unsupported rather than
// damaged, and nothing behind it is read.
#include <stdio.h>
#include <string.h>

#include "store/npy.h"

typedef struct cursor {
  const char *at; // ends in a NUL
  const char *problem;
} cursor;

static void fail(cursor *c, const char *problem) {
  if (!c->problem) c->problem = problem;
}

static char peek(cursor *c) {
  while (*c->at == ' ' || *c->at == '\t' || *c->at == '\n') c->at++;
  return c->problem ? 0 : *c->at;
}

static int take(cursor *c, char wanted) {
  if (peek(c) != wanted) return 0;
  c->at++;
  return 1;
}

// The bytes between two quotes; *n = -1 where there is no string.
static const char *take_string(cursor *c, int64_t *n) {
  char quote = peek(c);
  *n = -1;
  if (quote != '\'' && quote != '"') return c->at;
  const char *text = c->at + 1, *end = strchr(text, quote);
  if (!end || memchr(text, '\\', (size_t)(end - text))) return c->at;
  *n = end - text;
  c->at = end + 1;
  return text;
}

static int is(const char *text, int64_t n, const char *word) {
  return n == (int64_t)strlen(word) && memcmp(text, word, (size_t)n) == 0;
}

static void read_descr(cursor *c, mcli_npy_header *h) {
  static const struct {
    const char *name;
    int32_t dtype;
  } known[] = {{"f4", MCL_F32}, {"f8", MCL_F64}, {"f2", MCL_F16}, {"i4", MCL_I32}, {"i8", MCL_I64}};
  int64_t n;
  const char *text = take_string(c, &n);
  if (n < 0) {
    fail(c, *c->at == '[' ? "structured" : "'descr' is no string");
    return;
  }
  h->big_endian = n > 0 && *text == '>';
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (n > 1 && strchr("<>=", *text) && is(text + 1, n - 1, known[i].name))
      h->dtype = known[i].dtype;
}

static void read_order(cursor *c, mcli_npy_header *h) {
  peek(c);
  int yes = strncmp(c->at, "True", 4) == 0, no = strncmp(c->at, "False", 5) == 0;
  if (!yes && !no) fail(c, "'fortran_order' is neither True nor False");
  c->at += yes ? 4 : no ? 5 : 0;
  h->fortran = yes;
}

static int64_t take_integer(cursor *c) {
  int64_t value = 0;
  char first = peek(c);
  if (first < '0' || first > '9') fail(c, "'shape' is no tuple of integers");
  for (; !c->problem && *c->at >= '0' && *c->at <= '9'; c->at++)
    if (!mcli_mul(value, 10, &value) || __builtin_add_overflow(value, *c->at - '0', &value))
      fail(c, "'shape' has too large a number");
  if (*c->at == 'L') c->at++; // Python 2 wrote 10L
  return value;
}

static void read_shape(cursor *c, mcli_npy_header *h) {
  if (!take(c, '(')) fail(c, "'shape' is no tuple");
  int comma = 1;
  h->ndim = 0;
  h->shape[0] = h->shape[1] = 1;
  while (!c->problem && peek(c) != ')') {
    int64_t value = take_integer(c);
    if (!comma) fail(c, "'shape' lacks a comma");
    if (h->ndim < 2) h->shape[h->ndim] = value;
    if (++h->ndim > 32) fail(c, "'shape' has more than 32 dimensions");
    comma = take(c, ',');
  }
  if (h->ndim == 1 && !comma) fail(c, "'shape' is no tuple");
  take(c, ')');
}

const char *mcli_npy_header_read(char *text, int64_t n, mcli_npy_header *out) {
  enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
  cursor c = {text, NULL};
  mcli_npy_header h = {0};
  int seen = 0, comma = 1;
  text[n] = 0;
  if (!take(&c, '{')) fail(&c, "it does not begin with a brace");
  while (!c.problem && peek(&c) != '}') {
    int64_t length;
    const char *key = take_string(&c, &length);
    int which = is(key, length, "descr")           ? DESCR
                : is(key, length, "fortran_order") ? ORDER
                : is(key, length, "shape")         ? SHAPE
                                                   : 0;
    if (!comma || !which || (seen & which) || !take(&c, ':')) fail(&c, "its keys are not numpy's");
    seen |= which;
    if (which == DESCR) read_descr(&c, &h);
    if (which == ORDER) read_order(&c, &h);
    if (which == SHAPE) read_shape(&c, &h);
    comma = take(&c, ',');
  }
  take(&c, '}');
  if (c.problem && strcmp(c.problem, "structured") == 0) {
    *out = (mcli_npy_header){0};
    return NULL;
  }
  if (!c.problem && seen != ALL) fail(&c, "a key is missing");
  if (!c.problem && (peek(&c) || c.at != text + n)) fail(&c, "something follows its end");
  *out = h;
  return c.problem;
}

// numpy's header for a matrix of 2^63 - 1 rows and columns has 97 bytes, magic and version
// included.
int64_t mcli_npy_header_write(char bytes[MCLI_NPY_HEADER_BYTES], int32_t dtype, int32_t ndim,
                              const int64_t *shape) {
  const char *type = dtype == MCL_F32   ? "<f4"
                     : dtype == MCL_F64 ? "<f8"
                     : dtype == MCL_F16 ? "<f2"
                     : dtype == MCL_I32 ? "<i4"
                                        : "<i8";
  enum { BEFORE = 10 }; // magic, version, length
  char *text = bytes + BEFORE;
  int room = MCLI_NPY_HEADER_BYTES - BEFORE;
  int n = snprintf(text, (size_t)room, "{'descr': '%s', 'fortran_order': False, 'shape': (%lld,",
                   type, (long long)shape[0]);
  if (ndim == 2) n += snprintf(text + n, (size_t)(room - n), " %lld", (long long)shape[1]);
  n += snprintf(text + n, (size_t)(room - n), "), }");
  int whole = (BEFORE + n + 1 + 63) / 64 * 64;
  memset(text + n, ' ', (size_t)(whole - BEFORE - n));
  bytes[whole - 1] = '\n';
  // NOLINTNEXTLINE(bugprone-not-null-terminated-result): bytes, no text
  memcpy(bytes, "\x93NUMPY\x01\x00", 8);
  bytes[8] = (char)((whole - BEFORE) & 0xFF);
  bytes[9] = (char)((whole - BEFORE) >> 8);
  return whole;
}
