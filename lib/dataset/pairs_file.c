// TSV, CSV and JSON lines, read into pairs of an image's path and a caption.
//
// The whole file is read, and its bytes become the strings: a delimiter is overwritten by the NUL
// that ends the field before it (table.c), and what is unescaped is never longer than it was, so
// nothing is copied and a caption costs 32 bytes more than its text. Bytes that are not UTF-8, and
// NULs, are looked for once, before any format is; what comes after works on strings.
//
// A record without a caption, or an empty field, is refused and not passed over: it is a sign of
// a file that is cut otherwise than it is read, and then every row is suspect.
#include "dataset/pairs_file.h"

#include <string.h>

#include "base/file.h"
#include "store/json.h"
#include "store/utf8.h"

void mcli_pairs_file_free(mcli_pairs_file *f) {
  mcli_free(f->context, f->text);
  mcli_free(f->context, f->pairs);
  f->text = NULL;
  f->pairs = NULL;
}

// ---- pairs --------------------------------------------------------------------------------------

int mcli_is_blank(const char *text) {
  return text[strspn(text, " \t\r\n\v\f")] == 0;
}

// `image` NULL: not known yet. `number`: the caption's in its record, from 1.
static mcl_status add_pair(mcli_pairs_file *f, const char *image, const char *caption,
                           int64_t number, int64_t line, mcl_error *err) {
  if (mcli_is_blank(caption))
    return mcli_line_fail(f->path, err, MCL_E_FORMAT, line, "caption %lld is empty",
                          (long long)number);
  if (f->n == f->capacity) {
    int64_t capacity = f->capacity ? 2 * f->capacity : 1024;
    mcli_pair *larger = mcli_realloc(f->context, f->pairs, (uint64_t)capacity, sizeof *larger);
    if (!larger) return mcli_nomem(err, "captions");
    f->pairs = larger;
    f->capacity = capacity;
  }
  f->pairs[f->n++] = (mcli_pair){.image = image, .caption = caption, .line = line};
  return MCL_OK;
}

static mcl_status check_image(const mcli_pairs_file *f, const char *image, int64_t line,
                              mcl_error *err) {
  if (!mcli_is_blank(image)) return MCL_OK;
  return mcli_line_fail(f->path, err, MCL_E_FORMAT, line, "the image's path is empty");
}

mcl_status mcli_pairs_file_add(mcli_pairs_file *f, const mcli_pair *p, int64_t number,
                               mcl_error *err) {
  mcl_status s = check_image(f, p->image, p->line, err);
  if (s == MCL_OK) s = add_pair(f, p->image, p->caption, number, p->line, err);
  if (s == MCL_OK) f->pairs[f->n - 1].category = p->category;
  return s;
}

static mcl_status fail_long(const mcli_pairs_file *f, const mcl_pairs_options *o, int64_t line,
                            mcl_error *err) {
  return mcli_line_fail(f->path, err, MCL_E_LIMIT, line, "a record has more than %lld bytes",
                        (long long)o->max_line_bytes);
}

// ---- tables -------------------------------------------------------------------------------------

mcl_status mcli_pairs_file_table(const mcli_pairs_file *f, const mcl_pairs_options *o, char *text,
                                 mcli_table *t, mcl_error *err) {
  *t = (mcli_table){.path = f->path,
                    .at = text,
                    .end = f->text + f->size,
                    .most_bytes = o->max_line_bytes,
                    .line = 1,
                    .separator = o->format == MCL_PAIRS_CSV ? ',' : '\t'};
  int ends = !o->heading || !mcli_table_next(t);
  mcl_status s = MCL_OK;
  for (char *field; s == MCL_OK && !ends;) s = mcli_table_field(t, &field, &ends, err);
  return s;
}

static mcl_status read_record(mcli_pairs_file *f, mcli_table *t, mcl_error *err) {
  char *image = NULL, *caption = NULL;
  int ends = 0;
  mcl_status s = mcli_table_field(t, &image, &ends, err);
  if (s == MCL_OK) s = check_image(f, image, t->begun, err);
  if (s == MCL_OK && ends)
    s = mcli_line_fail(f->path, err, MCL_E_FORMAT, t->begun, "there is a path and no caption");
  for (int64_t number = 1; s == MCL_OK && !ends; number++) {
    s = mcli_table_field(t, &caption, &ends, err);
    if (s == MCL_OK) s = add_pair(f, image, caption, number, t->begun, err);
  }
  return s;
}

static mcl_status read_table(mcli_pairs_file *f, const mcl_pairs_options *o, char *text,
                             mcl_error *err) {
  mcli_table t;
  mcl_status s = mcli_pairs_file_table(f, o, text, &t, err);
  while (s == MCL_OK && mcli_table_next(&t)) s = read_record(f, &t, err);
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
    return mcli_line_fail(f->path, err, MCL_E_FORMAT, line, "%s, at byte %lld", j.problem,
                          (long long)j.place);
  if (!image) return mcli_line_fail(f->path, err, MCL_E_FORMAT, line, "there is no image");
  if (f->n == first) return mcli_line_fail(f->path, err, MCL_E_FORMAT, line, "there is no caption");
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
    if (!mcli_is_blank(text)) s = read_object(f, text, stop - text, line, err);
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
  return mcli_line_fail(f->path, err, MCL_E_FORMAT, line, "%s at byte %lld",
                        bad >= 0 ? "it is not UTF-8" : "there is a NUL",
                        (long long)(place - begin));
}

mcl_status mcli_pairs_file_load(mcli_pairs_file *f, const mcl_pairs_options *o, char **text,
                                mcl_error *err) {
  unsigned char *bytes = NULL;
  mcl_status s =
      mcli_file_read_all_gz(f->context, f->path, o->max_file_bytes, &bytes, &f->size, err);
  if (s < 0) return s;
  f->text = (char *)bytes;
  *text = f->text;
  if (f->size >= 3 && memcmp(*text, "\xEF\xBB\xBF", 3) == 0) *text += 3;
  return check_bytes(f, *text, err);
}

mcl_status mcli_pairs_file_read(mcli_pairs_file *f, const mcl_pairs_options *o, mcl_error *err) {
  char *text;
  mcl_status s = mcli_pairs_file_load(f, o, &text, err);
  if (s < 0) return s;
  if (o->format == MCL_PAIRS_JSON_LINES)
    s = read_objects(f, o, text, err);
  else
    s = read_table(f, o, text, err);
  if (s == MCL_OK && f->n == 0)
    s = mcli_fail(err, MCL_E_FORMAT, "%s has no captions", mcli_path_tail(f->path));
  return s;
}
