// A header is read by the library's own reader, since the file is good, and printed anew after each change.
#include "fuzz/tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/safetensors.h"

enum { MOST = 256, MOST_CHANGES = 24, MOST_NUMBERS = 1 << 20, TEXT = 512 };

typedef struct tensor {
  char name[TEXT];
  const char *type;
  int ndim;
  int64_t shape[5];
  uint8_t *bytes;
  size_t n;
} tensor;

typedef struct text {
  char key[TEXT], value[TEXT];
} text;

typedef struct file {
  tensor *tensors;
  text *texts;
  int64_t n, n_texts;
  size_t cut; // bytes missing at the end
} file;

// ---- reading ------------------------------------------------------------------------------------

static mcl_context *reader(void) {
  static mcl_context *c; // its memory is no run's
  mcl_error err;
  if (!c && mcl_context_create(NULL, &c, &err) < 0) fuzz_fail("%s", err.message);
  return c;
}

static void read_good(file *f, const uint8_t *good, size_t n) {
  mcl_error err;
  mcli_tensors t;
  uint64_t length = 0;
  for (int i = 0; i < MCLI_LENGTH_BYTES; i++) length |= (uint64_t)good[i] << 8 * i;
  const uint8_t *numbers = good + MCLI_LENGTH_BYTES + length;
  char *header = malloc(length + 1);
  memcpy(header, good + MCLI_LENGTH_BYTES, length);
  if (mcli_tensors_read(reader(), "a good file", header, (int64_t)length,
                        (int64_t)(good + n - numbers), &t, &err) < 0)
    fuzz_fail("%s", err.message);
  if (t.n > MOST / 2 || t.n_meta > MOST / 2) fuzz_fail("%lld tensors", (long long)t.n);
  f->tensors = calloc(MOST, sizeof *f->tensors);
  f->texts = calloc(MOST, sizeof *f->texts);
  for (; f->n < t.n; f->n++) {
    const mcli_tensor *from = &t.tensors[f->n];
    tensor *to = &f->tensors[f->n];
    snprintf(to->name, TEXT, "%s", from->name);
    to->type = mcli_dtype_name(from->dtype);
    to->ndim = from->ndim;
    memcpy(to->shape, from->shape, sizeof from->shape);
    to->n = (size_t)(from->end - from->begin);
    to->bytes = malloc(to->n + 1);
    memcpy(to->bytes, numbers + from->begin, to->n);
  }
  for (; f->n_texts < t.n_meta; f->n_texts++) {
    snprintf(f->texts[f->n_texts].key, TEXT, "%s", t.meta[f->n_texts].key);
    snprintf(f->texts[f->n_texts].value, TEXT, "%s", t.meta[f->n_texts].value);
  }
  mcli_tensors_free(reader(), &t);
  free(header);
}

static void file_free(file *f) {
  for (int64_t i = 0; i < f->n; i++) free(f->tensors[i].bytes);
  free(f->tensors);
  free(f->texts);
}

// ---- changing -----------------------------------------------------------------------------------

static size_t size_of_type(const char *type) {
  for (int32_t dtype = MCL_F32; dtype <= MCL_I64; dtype++)
    if (strcmp(type, mcli_dtype_name(dtype)) == 0) return (size_t)mcli_dtype_size(dtype);
  return 1;
}

// As many numbers as the shape says: repeated, or cut off.
static void resize(tensor *t) {
  size_t n = size_of_type(t->type), had = t->n;
  for (int i = 0; i < t->ndim; i++) n *= (size_t)t->shape[i];
  if (n > MOST_NUMBERS) n = MOST_NUMBERS;
  uint8_t *bytes = malloc(n + 1);
  for (size_t i = 0; i < n; i++) bytes[i] = had ? t->bytes[i % had] : 0;
  free(t->bytes);
  t->bytes = bytes;
  t->n = n;
}

static void take_text(fuzz_bytes *b, char to[TEXT]) {
  static const char *const usual[] = {
      "",    "-1", "0",  "1",   "2",   "9223372036854775807", "9223372036854775808",
      "1e5", " 1", "1 ", "nan", "0x1", "2147483648",          "16777216"};
  enum { USUAL = sizeof usual / sizeof *usual };
  int64_t which = fuzz_below(b, USUAL + 3);
  if (which < USUAL) {
    snprintf(to, TEXT, "%s", usual[which]);
    return;
  }
  fuzz_bytes part = fuzz_part(b);
  size_t n = part.n < TEXT ? part.n : TEXT - 1;
  if (n) memcpy(to, part.at, n);
  to[n] = 0;
}

// A number of 4 or 8 bytes somewhere in a tensor: NaN, infinite, huge, tiny, or as the input has it.
static void change_number(fuzz_bytes *b, tensor *t) {
  static const double edges[] = {0.0 / 0.0, 1e300, 1e38,    -1, 0,   1e-40,
                                 0.5,       1e30,  -1e-300, 2,  3e9, -0.0};
  enum { EDGES = sizeof edges / sizeof *edges };
  size_t size = size_of_type(t->type);
  if (t->n < size) return;
  uint8_t *at = t->bytes + size * (size_t)fuzz_below(b, (int64_t)(t->n / size));
  int64_t which = fuzz_below(b, EDGES + 4);
  float narrow = which < EDGES ? (float)edges[which] : 0;
  uint64_t bits = which < EDGES ? 0 : fuzz_bits(b, (int)size);
  if (which >= EDGES || (size != 4 && size != 8))
    memcpy(at, &bits, size);
  else if (size == 4)
    memcpy(at, &narrow, 4);
  else
    memcpy(at, &edges[which], 8);
}

static void drop(file *f, int64_t i) {
  free(f->tensors[i].bytes);
  memmove(f->tensors + i, f->tensors + i + 1, (size_t)(--f->n - i) * sizeof *f->tensors);
}

static void repeat(file *f, int64_t i) {
  if (f->n == MOST) return;
  tensor *t = &f->tensors[f->n++];
  *t = f->tensors[i];
  t->bytes = malloc(t->n + 1);
  memcpy(t->bytes, f->tensors[i].bytes, t->n);
}

static void change_tensor(fuzz_bytes *b, file *f, int64_t i) {
  enum { DROP, REPEAT, NAME_OF, NAME, TYPE, SIZE, DEEPER, FLATTER, NUMBER, MORE_NUMBERS, KINDS };
  static const char *const types[] = {"F32", "F64", "F16", "BF16", "U8", "I32", "I64", "BOOL"};
  tensor *t = &f->tensors[i];
  int64_t kind = fuzz_below(b, KINDS), other = 0;
  if (kind == DROP) drop(f, i);
  if (kind == REPEAT) repeat(f, i);
  if (kind == NAME_OF && (other = fuzz_below(b, f->n)) != i)
    memcpy(t->name, f->tensors[other].name, TEXT);
  if (kind == NAME) take_text(b, t->name);
  if (kind == TYPE) t->type = types[fuzz_below(b, 8)];
  if (kind == SIZE && t->ndim)
    t->shape[fuzz_below(b, t->ndim < 4 ? t->ndim : 4)] = fuzz_below(b, 20);
  if (kind == DEEPER && t->ndim < 5) t->shape[t->ndim++] = 1;
  if (kind == FLATTER && t->ndim) t->ndim--;
  if (kind >= TYPE && kind <= FLATTER) resize(t);
  if (kind >= NUMBER) change_number(b, t);
}

static void change_text(fuzz_bytes *b, file *f, int64_t i) {
  enum { DROP, KEY, VALUE, VALUE_OF, KINDS = 6 };
  int64_t kind = fuzz_below(b, KINDS);
  if (kind == DROP) f->texts[i] = f->texts[--f->n_texts];
  if (kind == KEY) take_text(b, f->texts[i].key);
  if (kind >= VALUE_OF) take_text(b, f->texts[i].value);
  if (kind == VALUE) memcpy(f->texts[i].value, f->texts[fuzz_below(b, f->n_texts)].value, TEXT);
}

// ---- printing -----------------------------------------------------------------------------------

typedef struct output {
  uint8_t *at;
  size_t n, room;
} output;

static void add(output *to, const void *from, size_t n) {
  if (to->n + n > to->room) to->at = realloc(to->at, to->room = 2 * (to->n + n));
  if (n) memcpy(to->at + to->n, from, n);
  to->n += n;
}

static void add_text(output *to, const char *from) {
  add(to, from, strlen(from));
}

static void add_quoted(output *to, const char *from) {
  add_text(to, "\"");
  for (; *from; from++) {
    if (*from == '"' || *from == '\\') add_text(to, "\\");
    add(to, from, 1);
  }
  add_text(to, "\"");
}

static output print(const file *f) {
  static const uint8_t no_length[MCLI_LENGTH_BYTES];
  output to = {0};
  char line[256];
  size_t begin = 0;
  add(&to, no_length, sizeof no_length);
  add_text(&to, "{\"__metadata__\":{");
  for (int64_t i = 0; i < f->n_texts; i++) {
    if (i) add_text(&to, ",");
    add_quoted(&to, f->texts[i].key);
    add_text(&to, ":");
    add_quoted(&to, f->texts[i].value);
  }
  add_text(&to, "}");
  for (int64_t i = 0; i < f->n; begin += f->tensors[i++].n) {
    const tensor *t = &f->tensors[i];
    add_text(&to, ",");
    add_quoted(&to, t->name);
    snprintf(line, sizeof line, ":{\"dtype\":\"%s\",\"data_offsets\":[%zu,%zu],\"shape\":[",
             t->type, begin, begin + t->n);
    add_text(&to, line);
    for (int d = 0; d < t->ndim; d++) {
      snprintf(line, sizeof line, d ? ",%lld" : "%lld", (long long)t->shape[d]);
      add_text(&to, line);
    }
    add_text(&to, "]}");
  }
  add_text(&to, "}");
  for (size_t i = 0; i < MCLI_LENGTH_BYTES; i++)
    to.at[i] = (uint8_t)((to.n - MCLI_LENGTH_BYTES) >> 8 * i);
  for (int64_t i = 0; i < f->n; i++) add(&to, f->tensors[i].bytes, f->tensors[i].n);
  to.n -= f->cut < to.n ? f->cut : to.n;
  return to;
}

uint8_t *fuzz_tensors(fuzz_bytes *b, const uint8_t *good, size_t n, size_t *size) {
  file f = {0};
  read_good(&f, good, n);
  for (int i = 0; i < MOST_CHANGES && b->n; i++) {
    int64_t which = fuzz_below(b, f.n + f.n_texts + 1);
    if (which < f.n)
      change_tensor(b, &f, which);
    else if (which < f.n + f.n_texts)
      change_text(b, &f, which - f.n);
    else
      f.cut = (size_t)fuzz_bits(b, 1);
  }
  output to = print(&f);
  file_free(&f);
  *size = to.n;
  return to.at;
}

const char *fuzz_put_tensors(fuzz_bytes *b, const char *name, const uint8_t *good, size_t n) {
  enum { AS_IT_IS, BYTES, CHANGES };
  int64_t kind = fuzz_below(b, 8);
  if (kind == AS_IT_IS) return fuzz_put(name, good, n);
  fuzz_bytes part = fuzz_part(b);
  if (kind == BYTES) return fuzz_put(name, part.at, part.n);
  size_t size;
  uint8_t *bytes = fuzz_tensors(&part, good, n, &size);
  const char *path = fuzz_put(name, bytes, size);
  free(bytes);
  return path;
}
