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
// Two files cannot be replaced at once, and a save that is killed between them would leave a pair of two savings. So our
// heading, which other programs pass over, names the vocabulary by a hash, and the merges are what makes a save valid:
//
//   1  vocab.json.4f1d0c...   the new vocabulary, by its hash
//   2  merges.txt             here the new pair is the one that loads
//   3  vocab.json             the same once more, by the name that everybody knows; then 1 is removed
//
// Who loads takes 1 where the heading names it, else vocab.json. A pair that does not belong together is refused.
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
  unsigned char *bytes = mcli_alloc(t->context, (uint64_t)f.n, 1);
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
  r.bytes = mcli_alloc(t->context, (uint64_t)f->n, 1);
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

// ---- which vocabulary ---------------------------------------------------------------------------

enum { HASH = 16 };
// Times that a load is begun anew because a save has come between.
enum { TRIES = 10 };

// The hash in our heading of merges on the disk; "" for other headings, and where there are none.
static mcl_status read_hash(mcl_context *c, const char *merges, char hash[HASH + 1],
                            mcl_error *err) {
  mcli_reader r;
  char line[sizeof HEADING + HASH] = "";
  hash[0] = 0;
  mcl_status s = mcli_reader_open(c, merges, &r, err);
  if (s == MCL_E_NOT_FOUND) return MCL_OK;
  if (s < 0) return s;
  if (r.size >= (int64_t)sizeof line - 1) s = mcli_reader_at(&r, 0, line, sizeof line - 1, err);
  if (s == MCL_OK && strncmp(line, HEADING, sizeof HEADING - 1) == 0 &&
      strspn(line + sizeof HEADING - 1, "0123456789abcdef") == HASH)
    memcpy(hash, line + sizeof HEADING - 1, HASH + 1);
  mcli_reader_close(&r);
  return s;
}

// "vocab.json.4f1d0c...", to be freed.
static char *hashed_path(mcl_context *c, const char *vocabulary, const char *hash) {
  size_t n = strlen(vocabulary) + HASH + 2;
  char *path = mcli_alloc(c, n, 1);
  if (path) snprintf(path, n, "%s.%s", vocabulary, hash);
  return path;
}

static mcl_status load_new(mcl_context *c, const mcl_tokenizer_options *o, const char *vocabulary,
                           const char *merges, mcl_tokenizer **out, mcl_error *err) {
  mcl_tokenizer *t = mcli_tokenizer_new(c, o);
  if (!t) return mcli_nomem(err, "a tokenizer");
  mcl_status s = load(t, vocabulary, merges, err);
  if (s < 0)
    mcl_tokenizer_unref(t);
  else
    *out = t;
  return s;
}

// The vocabulary that the heading names, where it lies by itself, else the one by the common name.
static mcl_status load_named(mcl_context *c, const mcl_tokenizer_options *o, const char *vocabulary,
                             const char *merges, const char *hash, mcl_tokenizer **out,
                             mcl_error *err) {
  if (hash[0]) {
    char *hashed = hashed_path(c, vocabulary, hash);
    mcl_status s = hashed ? load_new(c, o, hashed, merges, out, err) : mcli_nomem(err, "a path");
    mcli_free(c, hashed);
    if (s != MCL_E_NOT_FOUND) return s;
  }
  return load_new(c, o, vocabulary, merges, out, err);
}

// A save that goes on meanwhile may replace one file before it is read and the other after: then the merges have another
// heading than they had.
static mcl_status load_pair(mcl_context *c, const mcl_tokenizer_options *o, const char *vocabulary,
                            const char *merges, mcl_tokenizer **out, mcl_error *err) {
  char was[HASH + 1], is[HASH + 1];
  mcl_error ignored;
  mcl_status s = MCL_OK;
  for (int i = 0, again = 1; again && i < TRIES; i++) {
    s = read_hash(c, merges, was, err);
    if (s == MCL_OK) s = load_named(c, o, vocabulary, merges, was, out, err);
    again = s < 0 && s != MCL_E_NOMEM && s != MCL_E_IO &&
            read_hash(c, merges, is, &ignored) == MCL_OK && strcmp(was, is) != 0;
  }
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
  s = vocabulary ? load_pair(c, &o, vocabulary, merges, out, err)
                 : load_new(c, &o, NULL, merges, out, err);
  return s < 0 ? s : mcl_ok(err);
}

// ---- saving -------------------------------------------------------------------------------------

// Room for the spelling of any token, to be freed; NULL without memory.
static char *spelling_room(const mcl_tokenizer *t) {
  int64_t longest = 0;
  for (int32_t i = 0; i < t->vocabulary.n; i++)
    if (t->vocabulary.tokens[i].length > longest) longest = t->vocabulary.tokens[i].length;
  return mcli_alloc(t->context, (uint64_t)longest * 2 + 5, 1);
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

// Vocabularies by their hashes that a killed save has left: that of the merges on the disk becomes the vocabulary, others go.
static mcl_status settle(mcl_context *c, const char *vocabulary, const char *merges,
                         mcl_error *err) {
  char hash[HASH + 1];
  mcli_listing l = {0};
  const char *slash = strrchr(vocabulary, '/'), *name = slash ? slash + 1 : vocabulary;
  size_t n = strlen(name);
  char *parent = mcli_path_parent(c, vocabulary);
  mcl_status s = parent ? read_hash(c, merges, hash, err) : mcli_nomem(err, "a path");
  if (s == MCL_OK) s = mcli_directory_list(c, parent, &l, err);
  for (int64_t i = 0; s == MCL_OK && i < l.n; i++) {
    const char *end = l.entries[i].name + n + 1;
    if (strncmp(l.entries[i].name, name, n) != 0 || l.entries[i].name[n] != '.' ||
        strlen(end) != HASH || strspn(end, "0123456789abcdef") != HASH)
      continue;
    char *path = hashed_path(c, vocabulary, end);
    if (!path) s = mcli_nomem(err, "a path");
    if (s == MCL_OK && strcmp(end, hash) == 0) s = mcli_file_copy(c, path, vocabulary, err);
    if (s == MCL_OK) s = mcli_file_remove(path, err);
    mcli_free(c, path);
  }
  mcli_listing_free(c, &l);
  mcli_free(c, parent);
  return s;
}

// Writes a text beside its place; commit puts it there.
static mcl_status write_beside(mcl_context *c, const char *path, const mcli_text *text,
                               mcli_writer *w, mcl_error *err) {
  mcl_status s = mcli_writer_open(c, path, w, err);
  return s < 0 ? s : mcli_writer_at(w, 0, text->data, text->n, err);
}

// (1) to (3). Everything that takes memory comes before (2); where (2) fails, (1) is removed.
static mcl_status write_pair(const mcl_tokenizer *t, const char *vocabulary, const char *merges,
                             const mcli_text *object, const mcli_text *lines, mcl_error *err) {
  mcl_context *c = t->context;
  char hash[HASH + 1];
  mcli_writer common = {.fd = -1}, valid = {.fd = -1};
  mcl_error ignored;
  snprintf(hash, sizeof hash, "%016llx", (unsigned long long)t->fingerprint);
  char *hashed = hashed_path(c, vocabulary, hash);
  if (!hashed) return mcli_nomem(err, "a path");
  mcl_status s = write_beside(c, vocabulary, object, &common, err);
  if (s == MCL_OK) s = write_beside(c, merges, lines, &valid, err);
  if (s == MCL_OK) s = mcli_file_write_all(c, hashed, object->data, object->n, err); // (1)
  if (s == MCL_OK) s = mcli_writer_commit(&valid, err);                              // (2)
  if (s == MCL_OK) s = mcli_writer_commit(&common, err);                             // (3)
  if (s == MCL_OK)
    s = mcli_file_remove(hashed, err);
  else if (!valid.placed)
    mcli_file_remove(hashed, &ignored);
  mcli_writer_abort(&common);
  mcli_writer_abort(&valid);
  mcli_free(c, hashed);
  return s;
}

static mcl_status save_pair(const mcl_tokenizer *t, const char *vocabulary, const char *merges,
                            const mcli_text *object, const mcli_text *lines, mcl_error *err) {
  mcl_context *c = t->context;
  int lock;
  char *parent = mcli_path_parent(c, merges);
  mcl_status s = parent ? mcli_directory_lock(parent, &lock, err) : mcli_nomem(err, "a path");
  mcli_free(c, parent);
  if (s < 0) return s;
  s = settle(c, vocabulary, merges, err);
  if (s == MCL_OK) s = write_pair(t, vocabulary, merges, object, lines, err);
  mcli_directory_unlock(lock);
  return s;
}

static mcl_status save(const mcl_tokenizer *t, const char *vocabulary, const char *merges,
                       mcl_error *err) {
  mcl_context *c = t->context;
  mcli_text lines, object;
  mcli_text_begin(&lines, c);
  mcli_text_begin(&object, c);
  char *room = spelling_room(t);
  mcl_status s = room ? MCL_OK : mcli_nomem(err, "a vocabulary's text");
  if (s == MCL_OK) print_merges(t, room, &lines);
  if (s == MCL_OK && vocabulary) print_vocabulary(t, room, &object);
  if (s == MCL_OK && (lines.failed || object.failed)) s = mcli_nomem(err, "a vocabulary's text");
  if (s == MCL_OK)
    s = vocabulary ? save_pair(t, vocabulary, merges, &object, &lines, err)
                   : mcli_file_write_all(c, merges, lines.data, lines.n, err);
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
