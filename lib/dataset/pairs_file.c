// TSV, CSV (RFC 4180) and JSON lines, read into pairs of an image's path and a caption.
//
// The whole file is read, and its bytes become the strings: a delimiter is overwritten by the NUL
// that ends the field before it, and what is unescaped is never longer than it was, so nothing is
// copied and a caption costs 24 bytes more than its text. Bytes that are not UTF-8, and NULs, are
// looked for once, before any format is; what comes after works on strings.
//
// A record without a caption, or an empty field, is refused and not passed over: it is a sign of
// a file that is cut otherwise than it is read, and then every row is suspect.
#include "dataset/pairs_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "store/json.h"
#include "store/utf8.h"

mcl_status mcli_pairs_file_fail(const mcli_pairs_file *f, mcl_error *err, mcl_status status,
                                int64_t line, const char *format, ...) {
  // As long as a message can be.
  char what[224];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  return mcli_fail(err, status, "%s, line %lld: %s", mcli_path_end(f->path, 60), (long long)line,
                   what);
}

void mcli_pairs_file_free(mcli_pairs_file *f) {
  mcli_free(f->context, f->text);
  mcli_free(f->context, f->pairs);
  f->text = NULL;
  f->pairs = NULL;
}

// ---- pairs --------------------------------------------------------------------------------------

static int is_blank(const char *text) {
  return text[strspn(text, " \t\r\n\v\f")] == 0;
}

// `image` NULL: not known yet. `number`: the caption's in its record, from 1.
static mcl_status add_pair(mcli_pairs_file *f, const char *image, const char *caption,
                           int64_t number, int64_t line, mcl_error *err) {
  if (is_blank(caption))
    return mcli_pairs_file_fail(f, err, MCL_E_FORMAT, line, "caption %lld is empty",
                                (long long)number);
  if (f->n == f->capacity) {
    int64_t capacity = f->capacity ? 2 * f->capacity : 1024;
    mcli_pair *larger = mcli_realloc(f->context, f->pairs, (size_t)capacity, sizeof *larger);
    if (!larger) return mcli_nomem(err, "captions");
    f->pairs = larger;
    f->capacity = capacity;
  }
  f->pairs[f->n++] = (mcli_pair){image, caption, line};
  return MCL_OK;
}

static mcl_status check_image(const mcli_pairs_file *f, const char *image, int64_t line,
                              mcl_error *err) {
  if (!is_blank(image)) return MCL_OK;
  return mcli_pairs_file_fail(f, err, MCL_E_FORMAT, line, "the image's path is empty");
}

static mcl_status fail_long(const mcli_pairs_file *f, const mcl_pairs_options *o, int64_t line,
                            mcl_error *err) {
  return mcli_pairs_file_fail(f, err, MCL_E_LIMIT, line, "a record has more than %lld bytes",
                              (long long)o->max_line_bytes);
}

// ---- tables -------------------------------------------------------------------------------------

// A place in the text, and the record that is being read.
typedef struct table {
  mcli_pairs_file *f;
  const mcl_pairs_options *o;
  char *at, *end;
  int64_t line;  // of `at`, from 1
  char *record;  // where the record begins
  int64_t begun; // in this line
} table;

typedef enum { FIELD_FOLLOWS, RECORD_ENDS } delimiter;

static mcl_status fail_at(const table *t, int64_t line, const char *what, mcl_error *err) {
  return mcli_pairs_file_fail(t->f, err, MCL_E_FORMAT, line, "%s", what);
}

// Takes the delimiter that stands at t->at, and ends the string before it at `stop`.
static delimiter take_delimiter(table *t, char *stop) {
  int follows = t->at < t->end && *t->at != '\n' && *t->at != '\r';
  if (!follows && t->at < t->end) {
    t->at += *t->at == '\r';
    t->line += t->at < t->end;
  }
  t->at += t->at < t->end;
  *stop = 0; // last: it may be the delimiter
  return follows ? FIELD_FOLLOWS : RECORD_ENDS;
}

// A line ends here: at LF, at CRLF, at the end, or at a CR before it.
static int is_line_end(const table *t, const char *p) {
  return p == t->end || *p == '\n' || (*p == '\r' && (p + 1 == t->end || p[1] == '\n'));
}

static mcl_status read_plain(table *t, char separator, char **field, delimiter *d, mcl_error *err) {
  *field = t->at;
  for (; !is_line_end(t, t->at) && *t->at != separator; t->at++) {
    if (t->at - t->record >= t->o->max_line_bytes) return fail_long(t->f, t->o, t->begun, err);
    if (separator == ',' && *t->at == '"')
      return fail_at(t, t->line, "a quote stands in a field that does not begin with one", err);
  }
  *d = take_delimiter(t, t->at);
  return MCL_OK;
}

// t->at stands at the quote. A doubled quote becomes one, so the field moves to the front.
static mcl_status read_quoted(table *t, char **field, delimiter *d, mcl_error *err) {
  int64_t line = t->line;
  char *to = ++t->at;
  *field = to;
  for (;; t->at++) {
    if (t->at == t->end) return fail_at(t, line, "a quoted field has no end", err);
    if (t->at - t->record >= t->o->max_line_bytes) return fail_long(t->f, t->o, t->begun, err);
    if (*t->at == '"' && *++t->at != '"') break;
    t->line += *t->at == '\n';
    *to++ = *t->at;
  }
  if (!is_line_end(t, t->at) && *t->at != ',')
    return fail_at(t, t->line, "something follows the quote that ends a field", err);
  *d = take_delimiter(t, to);
  return MCL_OK;
}

static mcl_status read_record(table *t, char separator, int is_heading, mcl_error *err) {
  mcli_pairs_file *f = t->f;
  const char *image = NULL;
  delimiter d = FIELD_FOLLOWS;
  mcl_status s = MCL_OK;
  for (int64_t number = 0; s == MCL_OK && d == FIELD_FOLLOWS; number++) {
    char *field = NULL;
    s = separator == ',' && *t->at == '"' ? read_quoted(t, &field, &d, err)
                                          : read_plain(t, separator, &field, &d, err);
    if (s < 0 || is_heading) continue;
    if (number == 0)
      s = check_image(f, image = field, t->begun, err);
    else
      s = add_pair(f, image, field, number, t->begun, err);
    if (s == MCL_OK && number == 0 && d == RECORD_ENDS)
      s = fail_at(t, t->begun, "there is a path and no caption", err);
  }
  return s;
}

static mcl_status read_table(mcli_pairs_file *f, const mcl_pairs_options *o, char *text,
                             char separator, mcl_error *err) {
  table t = {.f = f, .o = o, .at = text, .end = f->text + f->size, .line = 1};
  int heading = o->heading;
  mcl_status s = MCL_OK;
  while (s == MCL_OK && t.at < t.end) {
    t.record = t.at;
    t.begun = t.line;
    if (is_line_end(&t, t.at)) { // an empty line
      take_delimiter(&t, t.at);
      continue;
    }
    s = read_record(&t, separator, heading, err);
    heading = 0;
  }
  return s;
}

// ---- JSON lines ---------------------------------------------------------------------------------

static mcl_status read_captions(mcli_pairs_file *f, mcli_json *j, int64_t line, mcl_error *err) {
  int64_t number = 0;
  mcli_json_open(j, '[');
  while (mcli_json_more(j, ']')) {
    const char *caption = mcli_json_string(j);
    mcl_status s = j->problem ? MCL_OK : add_pair(f, NULL, caption, ++number, line, err);
    if (s < 0) return s;
  }
  if (number == 0) mcli_json_fail(j, "captions are an empty list");
  return MCL_OK;
}

static mcl_status read_member(mcli_pairs_file *f, mcli_json *j, const char *key, const char **image,
                              int64_t line, int64_t first, mcl_error *err) {
  if (strcmp(key, "image") == 0) {
    if (*image) mcli_json_fail(j, "image stands twice");
    *image = mcli_json_string(j);
    return MCL_OK;
  }
  int one = strcmp(key, "caption") == 0;
  if (!one && strcmp(key, "captions") != 0) {
    mcli_json_skip(j);
    return MCL_OK;
  }
  if (f->n > first) mcli_json_fail(j, "captions stand twice");
  if (!one) return read_captions(f, j, line, err);
  const char *caption = mcli_json_string(j);
  return j->problem ? MCL_OK : add_pair(f, NULL, caption, 1, line, err);
}

static mcl_status read_object(mcli_pairs_file *f, char *text, int64_t n, int64_t line,
                              mcl_error *err) {
  mcli_json j;
  const char *image = NULL;
  int64_t first = f->n;
  mcli_json_begin(&j, text, n);
  mcli_json_open(&j, '{');
  while (mcli_json_more(&j, '}')) {
    const char *key = mcli_json_key(&j);
    mcl_status s = read_member(f, &j, key, &image, line, first, err);
    if (s < 0) return s;
  }
  mcli_json_end(&j);
  if (j.problem)
    return mcli_pairs_file_fail(f, err, MCL_E_FORMAT, line, "%s, at byte %lld", j.problem,
                                (long long)j.place);
  if (!image) return mcli_pairs_file_fail(f, err, MCL_E_FORMAT, line, "there is no image");
  if (f->n == first) return mcli_pairs_file_fail(f, err, MCL_E_FORMAT, line, "there is no caption");
  for (int64_t i = first; i < f->n; i++) f->pairs[i].image = image;
  return check_image(f, image, line, err);
}

static mcl_status read_objects(mcli_pairs_file *f, const mcl_pairs_options *o, char *text,
                               mcl_error *err) {
  char *end = f->text + f->size;
  mcl_status s = MCL_OK;
  for (int64_t line = 1; s == MCL_OK && text < end; line++) {
    char *stop = memchr(text, '\n', (size_t)(end - text));
    if (!stop) stop = end;
    if (stop - text > o->max_line_bytes) return fail_long(f, o, line, err);
    *stop = 0;
    if (!is_blank(text)) s = read_object(f, text, stop - text, line, err);
    text = stop + 1;
  }
  return s;
}

// ---- the file -----------------------------------------------------------------------------------

static mcl_status check_bytes(const mcli_pairs_file *f, const char *text, mcl_error *err) {
  const char *end = f->text + f->size, *nul = memchr(text, 0, (size_t)(end - text));
  int64_t bad = mcli_utf8_bad(text, (nul ? nul : end) - text), line = 1;
  const char *place = bad >= 0 ? text + bad : nul, *begin = text;
  if (!place) return MCL_OK;
  for (const char *p = text; p < place; p++)
    if (*p == '\n') {
      line++;
      begin = p + 1;
    }
  return mcli_pairs_file_fail(f, err, MCL_E_FORMAT, line, "%s at byte %lld",
                              bad >= 0 ? "it is not UTF-8" : "there is a NUL",
                              (long long)(place - begin));
}

mcl_status mcli_pairs_file_read(mcli_pairs_file *f, const mcl_pairs_options *o, mcl_error *err) {
  unsigned char *bytes = NULL;
  mcl_status s =
      mcli_file_read_all_gz(f->context, f->path, o->max_file_bytes, &bytes, &f->size, err);
  if (s < 0) return s;
  f->text = (char *)bytes;
  char *text = f->text;
  if (f->size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3;
  s = check_bytes(f, text, err);
  if (s < 0) return s;
  if (o->format == MCL_PAIRS_JSON_LINES)
    s = read_objects(f, o, text, err);
  else
    s = read_table(f, o, text, o->format == MCL_PAIRS_CSV ? ',' : '\t', err);
  if (s == MCL_OK && f->n == 0)
    s = mcli_fail(err, MCL_E_FORMAT, "%s has no captions", mcli_path_tail(f->path));
  return s;
}
