// The two files of a vocabulary, and vocabularies learnt from texts. Four bytes of choices, then parts: vocab.json, merges.txt,
// and texts, each ended by a NUL.
//
// 512 bytes spelt out do not fit into an input: the target can put them, and the two marks, before the rest of vocab.json.
//
//   a refusal names the file                                                                             (1)
//   what is loaded is saved, loaded again, and the same: fingerprint and rows                            (2)
//   a row begins with start, ends with end, has ids below the vocabulary, and its length is told         (3)
//   encoding a decoded row gives the row, where nothing was cut                                          (4)
#include <libmcl/tokenizer.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/gzip.h"
#include "store/utf8.h"

const int fuzz_large = FUZZ_FINDING;

enum {
  ALPHABET = 1,
  PACK = 2,
  NO_VOCABULARY = 4,
  LEARN = 8,
  MARKS = 16,
  FAIL_LONG = 32,
  REPLACE = 64,
  SMALL = 128
};
enum { TEXTS = 8, MOST_CONTEXT = 40 };

static void choose(fuzz_bytes *b, uint64_t how, mcl_tokenizer_options *o) {
  mcl_tokenizer_options_init(o, sizeof *o);
  o->vocabulary = 514 + (int32_t)fuzz_below(b, 256);
  o->context = 2 + (int32_t)fuzz_below(b, MOST_CONTEXT - 1);
  o->padding = (int32_t)fuzz_below(b, 256) * 2;
  o->min_count = 1 + (o->padding >> 1) % 3;
  o->on_long = how & FAIL_LONG ? MCL_LONG_TEXT_FAIL : MCL_LONG_TEXT_CUT;
  o->on_bad_utf8 = how & REPLACE ? MCL_BAD_UTF8_REPLACE : MCL_BAD_UTF8_FAIL;
  if (how & SMALL) o->max_text_bytes = 12, o->max_file_bytes = 6000;
}

// ---- files --------------------------------------------------------------------------------------

// '{"!": 0, ... "<|endoftext|>": 513', as mcl_tokenizer_save() writes them; without the marks where none are wanted.
static const char *alphabet(int marks) {
  static char text[2][16384];
  mcl_error err;
  mcl_context *c = NULL;
  mcl_tokenizer *t = NULL;
  mcl_tokenizer_options o;
  if (text[0][0]) return text[marks];
  mcl_tokenizer_options_init(&o, sizeof o);
  const char *merges = fuzz_put("none.txt", "", 0), *path = fuzz_path("alphabet.json");
  if (mcl_context_create(NULL, &c, &err) < 0 ||
      mcl_tokenizer_load(c, &o, NULL, merges, &t, &err) < 0 ||
      mcl_tokenizer_save(t, path, merges, &err) < 0)
    fuzz_fail("%s", err.message);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
  size_t n;
  char *all = (char *)fuzz_get(path, &n);
  for (int with = 0; with < 2; with++) {
    memcpy(text[with], all, n);
    text[with][n] = 0;
    *strstr(text[with], with ? "}\n" : ", \"<|startoftext|>") = 0;
  }
  free(all);
  return text[marks];
}

static const char *put(const char *name, const void *bytes, size_t n, uint64_t how) {
  return how & PACK ? fuzz_put_packed(name, bytes, n) : fuzz_put(name, bytes, n);
}

static const char *put_vocabulary(fuzz_bytes part, uint64_t how) {
  static char text[16384 + 65536 + 2];
  if (how & NO_VOCABULARY) return NULL;
  if (!(how & ALPHABET)) return put("vocab.json", part.at, part.n, how);
  const char *first = alphabet(how & MARKS ? 1 : 0);
  size_t n = strlen(first);
  memcpy(text, first, n);
  if (part.n) memcpy(text + n, part.at, part.n);
  text[n + part.n] = '}';
  return put("vocab.json", text, n + part.n + 1, how);
}

static mcl_tokenizer *load(mcl_context *c, const mcl_tokenizer_options *o, const char *vocabulary,
                           const char *merges, mcl_error *err) {
  mcl_tokenizer *t = NULL;
  if (fuzz_ok(mcl_tokenizer_load(c, o, vocabulary, merges, &t, err), err)) return t;
  if (t) fuzz_fail("refused, and given");
  if (err->status != MCL_E_NOMEM && !strstr(err->message, "vocab.json") &&
      !strstr(err->message, "merges.txt")) // (1)
    fuzz_fail("no file is named: %s", err->message);
  return NULL;
}

// ---- texts --------------------------------------------------------------------------------------

typedef struct texts {
  char *all;
  const char *of[TEXTS];
  int64_t n;
} texts;

static texts cut(fuzz_bytes b) {
  texts t = {.all = calloc(1, b.n + 1)};
  if (b.n) memcpy(t.all, b.at, b.n);
  for (char *p = t.all; t.n < TEXTS && p <= t.all + b.n; p += strlen(p) + 1) t.of[t.n++] = p;
  return t;
}

// A row's text, to be freed; NULL without memory.
static char *decode(const mcl_tokenizer *t, const int32_t *row, int32_t n) {
  mcl_error err;
  size_t wanted = 0;
  char *room = fuzz_room(1 << 16);
  if (!fuzz_ok(mcl_tokenizer_decode(t, row, n, room, 1 << 16, &wanted, &err), &err)) {
    if (!fuzz_memory_may_fail() && err.status != MCL_E_LIMIT)
      fuzz_fail("not decoded: %s", err.message);
    free(room);
    return NULL;
  }
  if (strlen(room) + 1 != wanted || !mcli_utf8_valid(room, (int64_t)wanted - 1))
    fuzz_fail("'%s' is no text", room);
  char *little = fuzz_room(wanted);
  if (fuzz_ok(mcl_tokenizer_decode(t, row, n, little, wanted - 1, NULL, &err), &err))
    fuzz_fail("a text in too little room");
  fuzz_untouched(little, wanted, "mcl_tokenizer_decode");
  free(little);
  return room;
}

// (3)
static void check_row(const mcl_tokenizer *t, const int32_t *row, int32_t length) {
  int32_t n = mcl_tokenizer_context(t), kept = length < n ? length : n;
  if (length < 2 || row[0] != mcl_tokenizer_start(t) || row[kept - 1] != mcl_tokenizer_end(t))
    fuzz_fail("a row of %d does not begin and end", (int)length);
  for (int32_t i = 0; i < n; i++)
    if (row[i] < 0 || row[i] >= mcl_tokenizer_vocabulary(t) ||
        (i >= kept && row[i] != mcl_tokenizer_padding(t)))
      fuzz_fail("token %d is %d", (int)i, (int)row[i]);
}

// (4)
static void check_decoded(const mcl_tokenizer *t, const int32_t *row, int32_t length) {
  mcl_error err;
  int32_t n = mcl_tokenizer_context(t), again[MOST_CONTEXT + 2];
  char *text = decode(t, row, n);
  const char *one = text;
  if (text && length <= n && fuzz_ok(mcl_tokenizer_encode(t, &one, 1, again, NULL, &err), &err) &&
      memcmp(row, again, (size_t)n * sizeof *row))
    fuzz_fail("'%s' is encoded otherwise than it was decoded", text);
  free(text);
}

static int32_t *encode(const mcl_tokenizer *t, const texts *x, int32_t lengths[TEXTS]) {
  mcl_error err;
  size_t n = (size_t)x->n * (size_t)mcl_tokenizer_context(t) * sizeof(int32_t);
  int32_t *rows = fuzz_room(n);
  if (fuzz_ok(mcl_tokenizer_encode(t, x->of, x->n, rows, lengths, &err), &err)) return rows;
  if (err.status != MCL_E_NOMEM && (err.row < 0 || err.row >= x->n))
    fuzz_fail("text %lld: %s", (long long)err.row, err.message);
  fuzz_untouched(rows, n, "mcl_tokenizer_encode");
  free(rows);
  return NULL;
}

// (2)
static void check_saved(mcl_context *c, const mcl_tokenizer_options *o, const mcl_tokenizer *t,
                        const texts *x, const int32_t *rows, int with) {
  mcl_error err;
  int32_t lengths[TEXTS];
  const char *vocabulary = with ? fuzz_path("again-vocab.json") : NULL,
             *merges = fuzz_path("again-merges.txt");
  mcl_tokenizer_options same = *o;
  same.max_file_bytes = 1 << 20; // what is written is longer than what was read
  mcl_status s = mcl_tokenizer_save(t, vocabulary, merges, &err);
  if (!fuzz_ok(s, &err)) {
    if (!fuzz_memory_may_fail() && (with || s != MCL_E_UNSUPPORTED))
      fuzz_fail("not saved: %s", err.message);
    return;
  }
  mcl_tokenizer *again = load(c, &same, vocabulary, merges, &err);
  if (!again && !fuzz_memory_may_fail()) fuzz_fail("saved, and not loaded: %s", err.message);
  if (again && (mcl_tokenizer_fingerprint(again) != mcl_tokenizer_fingerprint(t) ||
                mcl_tokenizer_vocabulary(again) != mcl_tokenizer_vocabulary(t)))
    fuzz_fail("saved and loaded: another fingerprint");
  int32_t *back = again && rows ? encode(again, x, lengths) : NULL;
  if (back && memcmp(rows, back, (size_t)x->n * (size_t)o->context * sizeof *back))
    fuzz_fail("saved and loaded: other rows");
  if (again && rows && !back && !fuzz_memory_may_fail()) fuzz_fail("saved and loaded: no rows");
  free(back);
  mcl_tokenizer_unref(again);
}

static void use(mcl_context *c, const mcl_tokenizer_options *o, const mcl_tokenizer *t,
                const texts *x) {
  int32_t lengths[TEXTS], any[4] = {0, mcl_tokenizer_vocabulary(t) - 1, 300, (int32_t)x->n};
  if (mcl_tokenizer_vocabulary(t) > o->vocabulary || mcl_tokenizer_context(t) != o->context)
    fuzz_fail("%d tokens", (int)mcl_tokenizer_vocabulary(t));
  int32_t *rows = encode(t, x, lengths);
  for (int64_t i = 0; rows && i < x->n; i++) {
    check_row(t, rows + i * o->context, lengths[i]);
    check_decoded(t, rows + i * o->context, lengths[i]);
  }
  free(decode(t, any, 4)); // tokens that no text gives
  check_saved(c, o, t, x, rows, 1);
  check_saved(c, o, t, x, rows, 0);
  free(rows);
}

static void refuse(mcl_context *c, const mcl_tokenizer_options *o) {
  mcl_error err;
  mcl_tokenizer *t = NULL;
  const char *merges = fuzz_put("merges.txt", "", 0);
  fuzz_refused(mcl_tokenizer_load(NULL, o, NULL, merges, &t, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_tokenizer_load(c, o, NULL, NULL, &t, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_tokenizer_load(c, o, NULL, merges, NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_tokenizer_load(c, o, fuzz_path("none"), merges, &t, &err), &err,
               MCL_E_NOT_FOUND);
  fuzz_refused(mcl_tokenizer_load(c, o, NULL, fuzz_path("none"), &t, &err), &err, MCL_E_NOT_FOUND);
  fuzz_refused(mcl_tokenizer_save(NULL, NULL, merges, &err), &err, MCL_E_INVALID);
  if (t) fuzz_fail("refused, and given");
  if (!fuzz_ok(mcl_tokenizer_load(c, o, NULL, merges, &t, &err), &err)) return;
  fuzz_refused(mcl_tokenizer_save(t, NULL, NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_tokenizer_save(t, NULL, fuzz_path("no/merges"), &err), &err, MCL_E_NOT_FOUND);
  fuzz_refused(mcl_tokenizer_save(t, fuzz_path("no/vocabulary"), merges, &err), &err,
               MCL_E_NOT_FOUND);
  mcl_tokenizer_unref(t);
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_bytes b = {bytes, n};
  mcl_error err;
  mcl_tokenizer_options o;
  uint64_t how = fuzz_bits(&b, 1);
  choose(&b, how, &o);
  mcl_tokenizer *t = NULL;
  fuzz_bytes vocabulary = how & LEARN ? (fuzz_bytes){0} : fuzz_part(&b);
  fuzz_bytes merges = how & LEARN ? (fuzz_bytes){0} : fuzz_part(&b);
  texts x = cut(b);
  if (how & LEARN)
    (void)fuzz_ok(mcl_tokenizer_create(context, &o, x.of, x.n, NULL, &t, &err), &err);
  else {
    const char *first = put_vocabulary(vocabulary, how),
               *second = put("merges.txt", merges.at, merges.n, how);
    t = load(context, &o, first, second, &err);
  }
  if (how == (LEARN | NO_VOCABULARY)) refuse(context, &o);
  if (t) use(context, &o, t, &x);
  mcl_tokenizer_unref(t);
  free(x.all);
}
