// Tables of text: TSV, in which nothing is quoted, and CSV by RFC 4180. Fields are cut out of the
// text in place, each ended by a NUL where its delimiter stood.
#include "dataset/table.h"

#include <stdarg.h>
#include <stdio.h>

mcl_status mcli_line_fail(const char *path, mcl_error *err, mcl_status status, int64_t line,
                          const char *format, ...) {
  // As long as a message can be.
  char what[224];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  return mcli_fail(err, status, "%s, line %lld: %s", mcli_path_end(path, 60), (long long)line,
                   what);
}

static mcl_status fail_at(const mcli_table *t, int64_t line, const char *what, mcl_error *err) {
  return mcli_line_fail(t->path, err, MCL_E_FORMAT, line, "%s", what);
}

// Before a byte of a record is taken.
static mcl_status check_length(const mcli_table *t, mcl_error *err) {
  if (t->at - t->record < t->most_bytes) return MCL_OK;
  return mcli_line_fail(t->path, err, MCL_E_LIMIT, t->begun, "a record has more than %lld bytes",
                        (long long)t->most_bytes);
}

// Takes the delimiter that stands at t->at, and ends the string before it at `stop`. 1: it ends the
// record.
static int take_delimiter(mcli_table *t, char *stop) {
  int ends = t->at == t->end || *t->at == '\n' || *t->at == '\r';
  if (ends && t->at < t->end) {
    t->at += *t->at == '\r';
    t->line += t->at < t->end;
  }
  t->at += t->at < t->end;
  *stop = 0; // last: it may be the delimiter
  return ends;
}

// A line ends here: at LF, at CRLF, at the end, or at a CR before it.
static int is_line_end(const mcli_table *t, const char *p) {
  return p == t->end || *p == '\n' || (*p == '\r' && (p + 1 == t->end || p[1] == '\n'));
}

static mcl_status read_plain(mcli_table *t, char **field, int *ends, mcl_error *err) {
  *field = t->at;
  for (; !is_line_end(t, t->at) && *t->at != t->separator; t->at++) {
    mcl_status s = check_length(t, err);
    if (s < 0) return s;
    if (t->separator == ',' && *t->at == '"')
      return fail_at(t, t->line, "a quote stands in a field that does not begin with one", err);
  }
  *ends = take_delimiter(t, t->at);
  return MCL_OK;
}

// t->at stands at the quote. A doubled quote becomes one, so the field moves to the front.
static mcl_status read_quoted(mcli_table *t, char **field, int *ends, mcl_error *err) {
  int64_t line = t->line;
  char *to = ++t->at;
  *field = to;
  for (;; t->at++) {
    if (t->at == t->end) return fail_at(t, line, "a quoted field has no end", err);
    mcl_status s = check_length(t, err);
    if (s < 0) return s;
    if (*t->at == '"' && *++t->at != '"') break;
    t->line += *t->at == '\n';
    *to++ = *t->at;
  }
  if (!is_line_end(t, t->at) && *t->at != ',')
    return fail_at(t, t->line, "something follows the quote that ends a field", err);
  *ends = take_delimiter(t, to);
  return MCL_OK;
}

int mcli_table_next(mcli_table *t) {
  while (t->at < t->end && is_line_end(t, t->at)) take_delimiter(t, t->at);
  t->record = t->at;
  t->begun = t->line;
  return t->at < t->end;
}

mcl_status mcli_table_field(mcli_table *t, char **field, int *ends, mcl_error *err) {
  return t->separator == ',' && *t->at == '"' ? read_quoted(t, field, ends, err)
                                              : read_plain(t, field, ends, err);
}
