// The tokenizer handle: options, rows of texts, texts of rows.
//
// A row of a text with m pieces w_1 .. w_m and a context of C tokens:
//
//   start w_1 .. w_m end pad .. pad        m + 2 <= C                     (1)
//   start w_1 .. w_(C-2) end               else: cut, length m + 2        (2)
//
// as CLIP's `tokenize`. Texts are encoded in blocks, one a task, each on memory of its worker, so
// rows do not depend on the threads; of several bad texts the first one fails the call. Rejected: a
// cache of words, as CLIP's has. It must be locked, and a caption of eleven words takes 4
// microseconds without.
#include "dataset/tokenizer.h"

#include <string.h>

#include "dataset/words.h"
#include "store/utf8.h"

// Texts of one task: a millisecond for captions, a thousand times what starting it costs. More
// would leave threads idle at the end.
enum { BLOCK_TEXTS = 256 };

enum { MOST_TEXT = 1 << 20, MOST_CONTEXT = 65536 };
static const int64_t MOST_FILE = (int64_t)1 << 30;

// 64 KiB of text are a thousand captions; the slowest text of that size, one word of random letters, takes
// some 20 milliseconds. 64 MiB are ten times CLIP's largest file.
static const mcl_tokenizer_options defaults = {.struct_size = sizeof(mcl_tokenizer_options),
                                               .max_text_bytes = 65536,
                                               .max_file_bytes = (int64_t)64 << 20,
                                               .vocabulary = 49408,
                                               .context = 77,
                                               .padding = 0,
                                               .min_count = 2,
                                               .on_long = MCL_LONG_TEXT_CUT,
                                               .on_bad_utf8 = MCL_BAD_UTF8_FAIL};

void mcl_tokenizer_options_init(mcl_tokenizer_options *o, size_t struct_size) {
  mcli_options_init(o, struct_size, &defaults, sizeof defaults);
}

static mcl_status check_range(int64_t value, int64_t low, int64_t high, const char *name,
                              mcl_error *err) {
  if (value >= low && value <= high) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "mcl_tokenizer_options.%s is %lld, not %lld..%lld", name,
                   (long long)value, (long long)low, (long long)high);
}

mcl_status mcli_tokenizer_options_read(const mcl_tokenizer_options *from, mcl_tokenizer_options *o,
                                       mcl_error *err) {
  *o = defaults;
  mcl_status s = mcli_options_copy(o, sizeof *o, from, "mcl_tokenizer_options", err);
  if (s == MCL_OK) s = check_range(o->max_text_bytes, 1, MOST_TEXT, "max_text_bytes", err);
  if (s == MCL_OK) s = check_range(o->max_file_bytes, 1, MOST_FILE, "max_file_bytes", err);
  if (s == MCL_OK)
    s = check_range(o->vocabulary, MCLI_ALPHABET + 2, MCLI_MOST_TOKENS, "vocabulary", err);
  if (s == MCL_OK) s = check_range(o->context, 2, MOST_CONTEXT, "context", err);
  if (s == MCL_OK) s = check_range(o->padding, 0, o->vocabulary - 1, "padding", err);
  if (s == MCL_OK) s = check_range(o->min_count, 1, INT32_MAX, "min_count", err);
  if (s == MCL_OK)
    s = check_range(o->on_long, MCL_LONG_TEXT_CUT, MCL_LONG_TEXT_FAIL, "on_long", err);
  if (s == MCL_OK)
    s = check_range(o->on_bad_utf8, MCL_BAD_UTF8_FAIL, MCL_BAD_UTF8_REPLACE, "on_bad_utf8", err);
  return s;
}

// ---- the handle ---------------------------------------------------------------------------------

mcl_tokenizer *mcli_tokenizer_new(mcl_context *c, const mcl_tokenizer_options *o) {
  mcl_tokenizer *t = MCLI_NEW0(c, mcl_tokenizer, 1);
  if (!t) return NULL;
  mcli_ref_init(&t->refs);
  t->context = mcl_context_ref(c);
  t->options = *o;
  t->vocabulary.context = c;
  return t;
}

mcl_tokenizer *mcl_tokenizer_ref(mcl_tokenizer *t) {
  if (t) mcli_ref(&t->refs);
  return t;
}

void mcl_tokenizer_unref(mcl_tokenizer *t) {
  if (!t || !mcli_unref_is_last(&t->refs)) return;
  mcl_context *c = t->context;
  mcli_vocabulary_free(&t->vocabulary);
  mcli_free(c, t);
  mcl_context_unref(c);
}

static mcl_status find_mark(const mcl_tokenizer *t, const char *mark, int32_t *id,
                            const char *where, mcl_error *err) {
  *id = mcli_vocabulary_find(&t->vocabulary, mark, (int64_t)strlen(mark), 0);
  if (*id >= 0) return MCL_OK;
  return mcli_fail(err, MCL_E_FORMAT, "%s has no token %s", where, mark);
}

mcl_status mcli_tokenizer_finish(mcl_tokenizer *t, const char *where, mcl_error *err) {
  const mcli_vocabulary *v = &t->vocabulary;
  for (int ends = 0; ends < 2; ends++)
    for (int b = 0; b < MCLI_BYTES; b++) {
      unsigned char byte = (unsigned char)b;
      int32_t id = mcli_vocabulary_find(v, &byte, 1, ends);
      if (id < 0)
        return mcli_fail(err, MCL_E_FORMAT, "%s has no token for the byte %d%s", where, b,
                         ends ? " at the end of a word" : "");
      t->pieces[ends][b] = id;
    }
  mcl_status s = find_mark(t, MCLI_START, &t->start, where, err);
  if (s == MCL_OK) s = find_mark(t, MCLI_END, &t->end, where, err);
  if (s < 0) return s;
  if (t->options.padding >= v->n)
    return mcli_fail(err, MCL_E_INVALID,
                     "mcl_tokenizer_options.padding is %d, the vocabulary has %d tokens",
                     (int)t->options.padding, (int)v->n);
  t->fingerprint = mcli_vocabulary_hash(v);
  return MCL_OK;
}

int32_t mcl_tokenizer_vocabulary(const mcl_tokenizer *t) {
  return t ? t->vocabulary.n : 0;
}
int32_t mcl_tokenizer_context(const mcl_tokenizer *t) {
  return t ? t->options.context : 0;
}
int32_t mcl_tokenizer_start(const mcl_tokenizer *t) {
  return t ? t->start : -1;
}
int32_t mcl_tokenizer_end(const mcl_tokenizer *t) {
  return t ? t->end : -1;
}
int32_t mcl_tokenizer_padding(const mcl_tokenizer *t) {
  return t ? t->options.padding : -1;
}
uint64_t mcl_tokenizer_fingerprint(const mcl_tokenizer *t) {
  return t ? t->fingerprint : 0;
}

// ---- texts to rows ------------------------------------------------------------------------------

mcl_status mcli_tokenizer_check_texts(const mcl_tokenizer_options *o, const char *const *texts,
                                      int64_t n, int64_t *longest, mcl_error *err) {
  size_t most = (size_t)o->max_text_bytes, top = 0;
  if (n > 0 && !texts) return mcli_fail(err, MCL_E_INVALID, "texts is NULL");
  for (int64_t i = 0; i < n; i++) {
    if (!texts[i]) return mcli_fail_row(err, MCL_E_INVALID, i, "texts[%lld] is NULL", (long long)i);
    size_t length = strnlen(texts[i], most + 1);
    if (length > most)
      return mcli_fail_row(err, MCL_E_LIMIT, i, "text %lld has more than %lld bytes", (long long)i,
                           (long long)most);
    if (length > top) top = length;
  }
  if (longest) *longest = (int64_t)top;
  return MCL_OK;
}

mcl_status mcli_tokenizer_fail_utf8(mcl_error *err, int64_t text, int64_t place) {
  return mcli_fail_row(err, MCL_E_FORMAT, text, "text %lld is not UTF-8 at byte %lld",
                       (long long)text, (long long)place);
}

// What went wrong in a block, in its first bad text.
typedef struct bad_text {
  int64_t text; // -1: none
  int64_t place;
  int32_t length;
} bad_text;

typedef struct encode_job {
  const mcl_tokenizer *tokenizer;
  const char *const *texts;
  int64_t n, capacity; // of a lowered text, in bytes
  int32_t *tokens, *lengths;
  char *lowered;   // [workers, capacity]
  int32_t *pieces; // [workers, capacity]
  int32_t *room;   // [workers, capacity, MCLI_MERGE_ROOM]
  bad_text *bad;   // [tasks]
} encode_job;

// One text to its row; its length by (1), or -1 and *bad where it is not UTF-8.
static int64_t encode_text(const encode_job *j, const char *text, uint32_t worker, int32_t *row,
                           int64_t *bad) {
  const mcl_tokenizer *t = j->tokenizer;
  int64_t used = 1, context = t->options.context;
  char *lowered = j->lowered + worker * j->capacity;
  int32_t *pieces = j->pieces + worker * j->capacity,
          *room = j->room + worker * j->capacity * MCLI_MERGE_ROOM;
  int64_t length = mcli_words_lower(text, (int64_t)strlen(text),
                                    t->options.on_bad_utf8 == MCL_BAD_UTF8_REPLACE, lowered, bad);
  if (length < 0) return -1;
  const char *at = lowered, *end = lowered + length, *word;
  row[0] = t->start;
  for (int64_t n; (n = mcli_words_next(&at, end, &word)) > 0; used += n) {
    for (int64_t i = 0; i < n; i++) pieces[i] = t->pieces[i == n - 1][(unsigned char)word[i]];
    n = mcli_vocabulary_merge(&t->vocabulary, pieces, n, room);
    for (int64_t i = 0; i < n && used + i < context; i++) row[used + i] = pieces[i];
  }
  row[used < context ? used : context - 1] = t->end;
  for (int64_t i = used + 1; i < context; i++) row[i] = t->options.padding;
  return used + 1;
}

static void encode_block(void *job, uint32_t task, uint32_t worker) {
  const encode_job *j = job;
  const mcl_tokenizer_options *o = &j->tokenizer->options;
  int64_t first = (int64_t)task * BLOCK_TEXTS, place = -1;
  int64_t end = first + BLOCK_TEXTS < j->n ? first + BLOCK_TEXTS : j->n;
  j->bad[task].text = -1;
  for (int64_t i = first; i < end; i++) {
    int64_t length = encode_text(j, j->texts[i], worker, j->tokens + i * o->context, &place);
    if (j->lengths) j->lengths[i] = (int32_t)length;
    if (length >= 0 && (length <= o->context || o->on_long == MCL_LONG_TEXT_CUT)) continue;
    j->bad[task] = (bad_text){i, place, (int32_t)length};
    return;
  }
}

static mcl_status first_bad(const encode_job *j, uint32_t tasks, mcl_error *err) {
  for (uint32_t i = 0; i < tasks; i++) {
    const bad_text *b = &j->bad[i];
    if (b->text < 0) continue;
    if (b->length < 0) return mcli_tokenizer_fail_utf8(err, b->text, b->place);
    return mcli_fail_row(err, MCL_E_LIMIT, b->text,
                         "text %lld has %d tokens, a row has room for %d", (long long)b->text,
                         (int)b->length, (int)j->tokenizer->options.context);
  }
  return MCL_OK;
}

mcl_status mcli_tokenizer_rows(const mcl_tokenizer *t, const char *const *texts, int64_t n,
                               int32_t *tokens, int32_t *lengths, mcl_error *err) {
  mcl_context *c = t->context;
  int64_t longest;
  mcl_status s = mcli_tokenizer_check_texts(&t->options, texts, n, &longest, err);
  if (s < 0) return s;
  uint32_t tasks = mcli_blocks(n, BLOCK_TEXTS);
  encode_job j = {t,    texts, n,   mcli_words_capacity(longest) + 1, tokens, lengths, NULL,
                  NULL, NULL,  NULL};
  int64_t room = mcli_workers(c) * j.capacity;
  j.lowered = MCLI_NEW(c, char, room);
  j.pieces = MCLI_NEW(c, int32_t, room);
  j.room = MCLI_NEW(c, int32_t, room * MCLI_MERGE_ROOM);
  j.bad = MCLI_NEW(c, bad_text, tasks);
  if (!j.lowered || !j.pieces || !j.room || !j.bad)
    s = mcli_nomem(err, "tokens");
  else
    s = mcli_parallel(c, tasks, encode_block, &j, err);
  if (s == MCL_OK) s = first_bad(&j, tasks, err);
  mcli_free(c, j.lowered);
  mcli_free(c, j.pieces);
  mcli_free(c, j.room);
  mcli_free(c, j.bad);
  return s;
}

mcl_status mcl_tokenizer_encode(const mcl_tokenizer *t, const char *const *texts, int64_t n,
                                int32_t *tokens, int32_t *lengths, mcl_error *err) {
  if (!t) return mcli_fail(err, MCL_E_INVALID, "tokenizer is NULL");
  if (n < 0) return mcli_fail(err, MCL_E_INVALID, "n is %lld", (long long)n);
  if (n > 0 && !tokens) return mcli_fail(err, MCL_E_INVALID, "tokens is NULL");
  mcl_context *c = t->context;
  size_t width = (size_t)t->options.context * sizeof *tokens;
  int32_t *rows = mcli_alloc(c, (uint64_t)n, width), *counts = MCLI_NEW(c, int32_t, n);
  mcl_status s = rows && counts ? MCL_OK : mcli_nomem(err, "tokens");
  if (s == MCL_OK) s = mcli_tokenizer_rows(t, texts, n, rows, counts, err);
  if (s == MCL_OK && n > 0) memcpy(tokens, rows, (size_t)n * width);
  if (s == MCL_OK && n > 0 && lengths) memcpy(lengths, counts, (size_t)n * sizeof *lengths);
  mcli_free(c, rows);
  mcli_free(c, counts);
  return s < 0 ? s : mcl_ok(err);
}

// ---- rows to texts ------------------------------------------------------------------------------

// Bytes of tokens, with a space behind each word; returns their number. `out` NULL: only counts.
static int64_t bytes_of(const mcl_tokenizer *t, const int32_t *tokens, int64_t n, char *out) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    const mcli_token *token = &t->vocabulary.tokens[tokens[i]];
    if (tokens[i] == t->start) continue;
    if (out) {
      memcpy(out + count, t->vocabulary.bytes + token->at, (size_t)token->length);
      if (token->ends) out[count + token->length] = ' ';
    }
    count += token->length + token->ends;
  }
  return count;
}

// Bytes that are not UTF-8 replaced; NUL-terminated. `out` has room for 3 n + 1.
static void mend(const char *bytes, int64_t n, char *out) {
  for (int64_t i = 0; i < n;) {
    int64_t length = mcli_utf8_length(bytes + i, n - i);
    // A NUL, which no text has, would end the answer.
    int good = length > 0 && bytes[i] != 0;
    out = mcli_utf8_put(out, good ? mcli_utf8_code(bytes + i, length) : MCLI_UTF8_REPLACEMENT);
    i += length ? length : 1;
  }
  *out = 0;
}

// Tokens before the end token, or before the padding that a row without one ends in.
static int64_t before_end(const mcl_tokenizer *t, const int32_t *tokens, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (tokens[i] == t->end) return i;
  while (n > 0 && tokens[n - 1] == t->options.padding) n--;
  return n;
}

mcl_status mcl_tokenizer_decode(const mcl_tokenizer *t, const int32_t *tokens, int64_t n,
                                char *text, size_t capacity, size_t *wanted, mcl_error *err) {
  if (!t) return mcli_fail(err, MCL_E_INVALID, "tokenizer is NULL");
  if (n < 0) return mcli_fail(err, MCL_E_INVALID, "n is %lld", (long long)n);
  if (n > 0 && !tokens) return mcli_fail(err, MCL_E_INVALID, "tokens is NULL");
  for (int64_t i = 0; i < n; i++)
    if (tokens[i] < 0 || tokens[i] >= t->vocabulary.n)
      return mcli_fail_row(err, MCL_E_LIMIT, i, "tokens[%lld] is %d, not 0..%d", (long long)i,
                           (int)tokens[i], (int)t->vocabulary.n - 1);
  mcl_context *c = t->context;
  n = before_end(t, tokens, n);
  int64_t count = bytes_of(t, tokens, n, NULL);
  char *bytes = MCLI_NEW(c, char, count), *mended = mcli_alloc(c, (uint64_t)count * 3 + 1, 1);
  mcl_status s = MCL_OK;
  if (!bytes || !mended) {
    s = mcli_nomem(err, "a text");
  } else {
    bytes_of(t, tokens, n, bytes);
    if (count > 0 && bytes[count - 1] == ' ') count--; // behind the last word
    mend(bytes, count, mended);
    s = mcli_text_out(mended, text, capacity, wanted, err);
  }
  mcli_free(c, bytes);
  mcli_free(c, mended);
  return s;
}
