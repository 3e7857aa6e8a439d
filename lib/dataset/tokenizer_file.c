// The two files of a vocabulary, as CLIP's and many other models' are published.
//
//   merges.txt   #version: 0.2 ...       a heading, which may be missing
//                i n                     a merge a line, earliest first
//                in g</w>
//   vocab.json   {"!": 0, ... "in": 512, ... "<|endoftext|>": 49407}
//
// Bytes are spelt as characters (vocabulary.c). Where the vocabulary is laid out as CLIP's (bytes, bytes that end a
// word, results of merges, the two marks), the merges tell it all, and the other file may be missing.
//
// Two files can belong to two savings, where the power fails between them. So our heading names a hash of the vocabulary;
// a pair that differs in it is refused. Other programs pass the heading over.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "dataset/dataset.h"
#include "dataset/tokenizer.h"
#include "store/json.h"

static const char HEADING[] = "#version: 0.2 libmcl ";

typedef struct file {
  char *text; // NUL-terminated
  int64_t n;
  const char *name; // as messages have it
} file;

static mcl_status read_file(mcl_context *c, const char *path, const mcl_tokenizer_options *o,
                            file *f, mcl_error *err) {
  unsigned char *bytes = NULL;
  mcl_status s = mcli_file_read_all_gz(c, path, o->max_file_bytes, &bytes, &f->n, err);
  f->text = (char *)bytes;
  f->name = mcli_path_tail(path);
  return s;
}

// ---- the vocabulary -----------------------------------------------------------------------------

// Spellings by their ids, [capacity]; NULL where there is none yet.
typedef struct spellings {
  char **of;
  int64_t n; // that are there
} spellings;

static void put_spelling(mcli_json *j, spellings *s, char *text, int64_t id, int32_t most) {
  if (j->problem) return;
  if (id >= most)
    mcli_json_fail(j, "an id is too large, or there are too many");
  else if (s->of[id])
    mcli_json_fail(j, "an id is given twice");
  else
    s->of[id] = text, s->n++;
}

// `bytes` has room for any text of the file.
static mcl_status add_spelling(mcl_tokenizer *t, const char *name, const char *text, int32_t id,
                               unsigned char *bytes, mcl_error *err) {
  int ends;
  int32_t given = id;
  int64_t length = mcli_token_read(text, (int64_t)strlen(text), bytes, &ends);
  if (length == 0)
    return mcli_fail(err, MCL_E_FORMAT, "%s: token %d is empty or has a character for no byte",
                     name, (int)id);
  mcl_status s = mcli_vocabulary_add(&t->vocabulary, bytes, length, ends, &given, err);
  if (s == MCL_OK && given != id)
    return mcli_fail(err, MCL_E_FORMAT, "%s: tokens %d and %d are the same", name, (int)given,
                     (int)id);
  return s;
}

static mcl_status parse_vocabulary(mcl_tokenizer *t, const file *f, spellings *words,
                                   unsigned char *bytes, mcl_error *err) {
  mcli_json j;
  mcli_json_begin(&j, f->text, f->n);
  mcli_json_open(&j, '{');
  while (mcli_json_more(&j, '}')) {
    char *text = mcli_json_key(&j);
    put_spelling(&j, words, text, mcli_json_count(&j), t->options.vocabulary);
  }
  mcli_json_end(&j);
  if (j.problem)
    return mcli_fail(err, MCL_E_FORMAT, "%s: %s, at byte %lld", f->name, j.problem,
                     (long long)j.place);
  mcl_status s = MCL_OK;
  for (int64_t id = 0; s == MCL_OK && id < words->n; id++) {
    if (!words->of[id])
      return mcli_fail(err, MCL_E_FORMAT, "%s has %lld tokens, but none of id %lld", f->name,
                       (long long)words->n, (long long)id);
    s = add_spelling(t, f->name, words->of[id], (int32_t)id, bytes, err);
  }
  return s;
}

static mcl_status read_vocabulary(mcl_tokenizer *t, const char *path, mcl_error *err) {
  file f = {0};
  spellings words = {0};
  mcl_status s = read_file(t->context, path, &t->options, &f, err);
  if (s < 0) return s;
  words.of = MCLI_NEW0(t->context, char *, t->options.vocabulary);
  unsigned char *bytes = mcli_alloc(t->context, (size_t)f.n, 1);
  s = words.of && bytes ? parse_vocabulary(t, &f, &words, bytes, err)
                        : mcli_nomem(err, "a vocabulary");
  mcli_free(t->context, bytes);
  mcli_free(t->context, words.of);
  mcli_free(t->context, f.text);
  return s;
}

// ---- merges -------------------------------------------------------------------------------------

static mcl_status fail_line(mcl_error *err, const file *f, int64_t line, const char *problem) {
  return mcli_fail(err, MCL_E_FORMAT, "%s, line %lld: %s", f->name, (long long)line, problem);
}

// The token that is spelt by n characters; -1: none. `bytes` has room for n.
static int32_t piece_of(const mcli_vocabulary *v, const char *text, int64_t n,
                        unsigned char *bytes) {
  int ends;
  int64_t length = mcli_token_read(text, n, bytes, &ends);
  return length > 0 ? mcli_vocabulary_find(v, bytes, length, ends) : -1;
}

typedef struct merge_reader {
  mcl_tokenizer *tokenizer;
  const file *file;
  unsigned char *bytes; // room for the longest line
  int may_add;          // results are new tokens
  int64_t line;
} merge_reader;

static mcl_status read_merge(merge_reader *r, const char *text, int64_t n, mcl_error *err) {
  mcli_vocabulary *v = &r->tokenizer->vocabulary;
  const char *space = memchr(text, ' ', (size_t)n);
  if (!space || memchr(space + 1, ' ', (size_t)(text + n - space - 1)))
    return fail_line(err, r->file, r->line, "not two pieces with a space between");
  int32_t left = piece_of(v, text, space - text, r->bytes), result;
  int32_t right = piece_of(v, space + 1, text + n - space - 1, r->bytes);
  if (left < 0) return fail_line(err, r->file, r->line, "the left piece is no token");
  if (right < 0) return fail_line(err, r->file, r->line, "the right piece is no token");
  if (v->tokens[left].ends) return fail_line(err, r->file, r->line, "the left piece ends a word");
  if (mcli_vocabulary_rank(v, left, right) >= 0)
    return fail_line(err, r->file, r->line, "the pair has been merged before");
  mcl_status s = mcli_vocabulary_join(v, left, right, r->may_add, &result, err);
  if (s < 0) return s;
  if (result < 0) return fail_line(err, r->file, r->line, "the result is no token");
  return mcli_vocabulary_add_merge(v, left, right, result, err);
}

// The next line, without its end; NULL at the end of the file.
static const char *next_line(const file *f, int64_t *at, int64_t *n) {
  if (*at >= f->n) return NULL;
  const char *line = f->text + *at, *end = memchr(line, '\n', (size_t)(f->n - *at));
  *n = end ? end - line : f->n - *at;
  *at += *n + 1;
  if (*n > 0 && line[*n - 1] == '\r') --*n;
  return line;
}

// Only empty lines follow.
static int is_end(const file *f, int64_t at) {
  while (at < f->n && (f->text[at] == '\n' || f->text[at] == '\r')) at++;
  return at == f->n;
}

static mcl_status parse_merges(merge_reader *r, mcl_error *err) {
  const mcli_vocabulary *v = &r->tokenizer->vocabulary;
  int64_t at = 0, n;
  const char *line;
  mcl_status s = MCL_OK;
  // No vocabulary is full of merges while it lacks the two marks. Where all tokens are known, each pair has
  // one merge at most, and a file of 1 GiB holds 2^28 lines; ranks are 32 bits.
  while (s == MCL_OK && !(r->may_add && v->n >= r->tokenizer->options.vocabulary - 2)) {
    if (is_end(r->file, at) || !(line = next_line(r->file, &at, &n))) break;
    r->line++;
    if (r->line == 1 && memmem(line, (size_t)n, "#version", 8)) continue;
    s = read_merge(r, line, n, err);
  }
  return s;
}

// The hash in our heading, against the vocabulary's. Other headings say nothing.
static mcl_status check_heading(const mcl_tokenizer *t, const file *f, mcl_error *err) {
  char wanted[17];
  size_t n = sizeof HEADING - 1;
  if (strncmp(f->text, HEADING, n) != 0) return MCL_OK;
  snprintf(wanted, sizeof wanted, "%016llx", (unsigned long long)t->fingerprint);
  if (strncmp(f->text + n, wanted, 16) == 0) return MCL_OK;
  return mcli_fail(err, MCL_E_MISMATCH, "%s was saved with another vocabulary", f->name);
}

static mcl_status read_merges(mcl_tokenizer *t, const char *path, int may_add, file *f,
                              mcl_error *err) {
  mcl_status s = read_file(t->context, path, &t->options, f, err);
  if (s < 0) return s;
  merge_reader r = {.tokenizer = t, .file = f, .may_add = may_add};
  r.bytes = mcli_alloc(t->context, (size_t)f->n, 1);
  s = r.bytes ? parse_merges(&r, err) : mcli_nomem(err, "merges");
  mcli_free(t->context, r.bytes);
  return s;
}

// ---- loading ------------------------------------------------------------------------------------

// Whether the merges alone give these ids: the alphabet first, then each result that is new, then
// the marks.
static mcl_status is_plain(const mcli_vocabulary *v, int32_t *plain, mcl_error *err) {
  mcli_vocabulary w = {.context = v->context};
  int32_t id;
  mcl_status s = mcli_vocabulary_add_alphabet(&w, err);
  for (int32_t i = 0; s == MCL_OK && i < v->merged; i++) {
    const mcli_token *t = &v->tokens[v->merges[i].result];
    s = mcli_vocabulary_add(&w, v->bytes + t->at, t->length, t->ends, &id, err);
  }
  if (s == MCL_OK) s = mcli_vocabulary_add_marks(&w, err);
  if (s == MCL_OK) {
    *plain = w.n == v->n && w.used == v->used && memcmp(w.bytes, v->bytes, (size_t)w.used) == 0;
    for (int32_t i = 0; *plain && i < w.n; i++)
      *plain = w.tokens[i].at == v->tokens[i].at && w.tokens[i].ends == v->tokens[i].ends;
  }
  mcli_vocabulary_free(&w);
  return s;
}

static mcl_status load(mcl_tokenizer *t, const char *vocabulary, const char *merges,
                       mcl_error *err) {
  mcli_vocabulary *v = &t->vocabulary;
  file f = {0};
  mcl_status s =
      vocabulary ? read_vocabulary(t, vocabulary, err) : mcli_vocabulary_add_alphabet(v, err);
  if (s == MCL_OK) s = read_merges(t, merges, !vocabulary, &f, err);
  if (s == MCL_OK && !vocabulary) s = mcli_vocabulary_add_marks(v, err);
  if (s == MCL_OK)
    s = mcli_tokenizer_finish(t, mcli_path_tail(vocabulary ? vocabulary : merges), err);
  if (s == MCL_OK) s = is_plain(v, &t->plain, err);
  if (s == MCL_OK) s = check_heading(t, &f, err);
  mcli_free(t->context, f.text);
  return s;
}

mcl_status mcl_tokenizer_load(mcl_context *c, const mcl_tokenizer_options *options,
                              const char *vocabulary, const char *merges, mcl_tokenizer **out,
                              mcl_error *err) {
  mcl_tokenizer_options o;
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  mcl_status s = mcli_tokenizer_options_read(options, &o, err);
  if (s < 0) return s;
  if (!merges) return mcli_fail(err, MCL_E_INVALID, "merges is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_tokenizer *t = mcli_tokenizer_new(c, &o);
  if (!t) return mcli_nomem(err, "a tokenizer");
  s = load(t, vocabulary, merges, err);
  if (s < 0) {
    mcl_tokenizer_unref(t);
    return s;
  }
  *out = t;
  return mcl_ok(err);
}

// ---- saving -------------------------------------------------------------------------------------

// Room for the spelling of any token, to be freed; NULL without memory.
static char *spelling_room(const mcl_tokenizer *t) {
  int64_t longest = 0;
  for (int32_t i = 0; i < t->vocabulary.n; i++)
    if (t->vocabulary.tokens[i].length > longest) longest = t->vocabulary.tokens[i].length;
  return mcli_alloc(t->context, (size_t)longest * 2 + 5, 1);
}

static void print_merges(const mcl_tokenizer *t, char *room, mcli_text *text) {
  const mcli_vocabulary *v = &t->vocabulary;
  mcli_text_add(text, HEADING);
  mcli_text_format(text, "%016llx\n", (unsigned long long)t->fingerprint);
  for (int32_t i = 0; i < v->merged; i++) {
    mcli_token_spell(v, v->merges[i].left, room);
    mcli_text_add(text, room);
    mcli_text_add(text, " ");
    mcli_token_spell(v, v->merges[i].right, room);
    mcli_text_add(text, room);
    mcli_text_add(text, "\n");
  }
}

static void print_vocabulary(const mcl_tokenizer *t, char *room, mcli_text *text) {
  for (int32_t i = 0; i < t->vocabulary.n; i++) {
    mcli_token_spell(&t->vocabulary, i, room);
    mcli_text_add(text, i == 0 ? "{" : ", ");
    mcli_text_quote(text, room);
    mcli_text_format(text, ": %d", (int)i);
  }
  mcli_text_add(text, "}\n");
}

// Writes a text beside its place; commit puts it there.
static mcl_status write_beside(mcl_context *c, const char *path, const mcli_text *text,
                               mcli_writer *w, mcl_error *err) {
  if (text->failed) return mcli_nomem(err, "a vocabulary's text");
  mcl_status s = mcli_writer_open(c, path, w, err);
  return s < 0 ? s : mcli_writer_at(w, 0, text->data, text->n, err);
}

static mcl_status save(const mcl_tokenizer *t, const char *vocabulary, const char *merges,
                       mcl_error *err) {
  mcl_context *c = t->context;
  mcli_text lines, object;
  mcli_writer first = {.fd = -1}, second = {.fd = -1};
  mcli_text_begin(&lines, c);
  mcli_text_begin(&object, c);
  char *room = spelling_room(t);
  mcl_status s = room ? MCL_OK : mcli_nomem(err, "a vocabulary's text");
  if (s == MCL_OK) print_merges(t, room, &lines);
  if (s == MCL_OK && vocabulary) print_vocabulary(t, room, &object);
  if (s == MCL_OK && vocabulary) s = write_beside(c, vocabulary, &object, &first, err);
  if (s == MCL_OK) s = write_beside(c, merges, &lines, &second, err);
  if (s == MCL_OK && vocabulary) s = mcli_writer_commit(&first, err);
  if (s == MCL_OK) s = mcli_writer_commit(&second, err);
  mcli_writer_abort(&first);
  mcli_writer_abort(&second);
  mcli_free(c, room);
  mcli_text_free(&lines);
  mcli_text_free(&object);
  return s;
}

mcl_status mcl_tokenizer_save(const mcl_tokenizer *t, const char *vocabulary, const char *merges,
                              mcl_error *err) {
  if (!t) return mcli_fail(err, MCL_E_INVALID, "tokenizer is NULL");
  if (!merges) return mcli_fail(err, MCL_E_INVALID, "merges is NULL");
  if (!vocabulary && !t->plain)
    return mcli_fail(err, MCL_E_UNSUPPORTED,
                     "vocabulary is NULL, but the merges alone do not give its ids");
  mcl_status s = save(t, vocabulary, merges, err);
  return s < 0 ? s : mcl_ok(err);
}
