// Questions in pairs for mcl_probe_pairs(): those of MMVP-VLM, or a file of one's own.
//
// Either becomes what a file of pairs becomes, two records a question, and pairs.c puts it
// together. A row that is left out would set every later image beside a stranger, so nothing is:
// whatever is wrong is an error with its line.
//
// MMVP-VLM's records name no files and hold no captions yet: both are printed into a text of their
// own, as the authors' script builds them.
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "dataset/files.h"
#include "dataset/groups.h"
#include "dataset/pairs.h"

static const char *const images_folder = "MLLM_VLM Images";

// Of a record of one's own: two images, two captions, a category. A record of MMVP-VLM has three.
enum { MOST_FIELDS = 5, MMVP_FIELDS = 3 };

typedef struct questions {
  mcl_context *context;
  mcli_pairs_file file;
  char *path;         // of Questions.csv; NULL: a file of one's own
  int32_t *labels;    // [file.n]; NULL: there are no categories
  char **class_names; // [classes]
  int32_t classes;
} questions;

static void questions_free(questions *q) {
  mcl_context *c = q->context;
  mcli_pairs_file_free(&q->file);
  mcli_free(c, q->path);
  mcli_free(c, q->labels);
  for (int32_t k = 0; q->class_names && k < q->classes; k++) mcli_free(c, q->class_names[k]);
  mcli_free(c, q->class_names);
}

// ---- records ------------------------------------------------------------------------------------

// All fields of a record are counted, the first ones kept.
static mcl_status read_fields(mcli_table *t, char *fields[MOST_FIELDS], int64_t *n,
                              mcl_error *err) {
  mcl_status s = MCL_OK;
  char *more;
  int ends = 0;
  for (*n = 0; s == MCL_OK && !ends; ++*n)
    s = mcli_table_field(t, *n < MOST_FIELDS ? &fields[*n] : &more, &ends, err);
  return s;
}

static mcl_status check_category(const questions *q, const char *category, int64_t line,
                                 mcl_error *err) {
  const mcli_pairs_file *f = &q->file;
  if (category && mcli_is_blank(category))
    return mcli_line_fail(f->path, err, MCL_E_FORMAT, line, "the category is empty");
  if (f->n == 0 || !category == !f->pairs[0].category) return MCL_OK;
  return mcli_line_fail(f->path, err, MCL_E_FORMAT, line,
                        "there is %s category, unlike in line %lld", category ? "a" : "no",
                        (long long)f->pairs[0].line);
}

static mcl_status read_own(questions *q, mcli_table *t, mcl_error *err) {
  char *x[MOST_FIELDS];
  int64_t n, line = t->begun;
  mcl_status s = read_fields(t, x, &n, err);
  if (s < 0) return s;
  if (n < 4 || n > MOST_FIELDS)
    return mcli_line_fail(q->file.path, err, MCL_E_FORMAT, line,
                          "there are %lld fields, not two images, two captions, and a category or "
                          "none",
                          (long long)n);
  const char *category = n == MOST_FIELDS ? x[4] : NULL;
  s = check_category(q, category, line, err);
  for (int i = 0; s == MCL_OK && i < 2; i++)
    s = mcli_pairs_file_add(&q->file, &(mcli_pair){x[i], x[2 + i], category, line}, 1 + i, err);
  return s;
}

static mcl_status read_mmvp(questions *q, mcli_table *t, mcl_error *err) {
  char *x[MOST_FIELDS];
  int64_t n, line = t->begun;
  mcl_status s = read_fields(t, x, &n, err);
  if (s < 0) return s;
  if (n != MMVP_FIELDS)
    return mcli_line_fail(q->file.path, err, MCL_E_FORMAT, line,
                          "there are %lld fields, not Question ID, Type and Statement",
                          (long long)n);
  if (x[0][0] == 0 || x[0][strspn(x[0], "0123456789")] != 0)
    return mcli_line_fail(q->file.path, err, MCL_E_FORMAT, line, "the Question ID is no number");
  s = check_category(q, x[1], line, err);
  if (s < 0) return s;
  return mcli_pairs_file_add(&q->file, &(mcli_pair){x[0], x[2], x[1], line}, 1, err);
}

// A file without its heading would lose a question, and all pairs would be out of step.
static mcl_status check_heading(const questions *q, mcli_table *t, mcl_error *err) {
  static const char *const names[MMVP_FIELDS] = {"Question ID", "Type", "Statement"};
  char *x[MOST_FIELDS];
  int64_t n = 0;
  if (!mcli_table_next(t)) return MCL_OK; // it has no questions either
  mcl_status s = read_fields(t, x, &n, err);
  if (s < 0) return s;
  int same = n == MMVP_FIELDS;
  for (int i = 0; same && i < MMVP_FIELDS; i++) same = strcmp(x[i], names[i]) == 0;
  if (same) return MCL_OK;
  return mcli_line_fail(q->file.path, err, MCL_E_FORMAT, t->begun,
                        "the heading is not Question ID, Type, Statement");
}

// Of MMVP-VLM: two records are a pair where they are of one type.
static mcl_status check_halves(const mcli_pairs_file *f, mcl_error *err) {
  for (int64_t i = 0; i < f->n; i += 2) {
    const mcli_pair *p = &f->pairs[i];
    if (i + 1 == f->n)
      return mcli_line_fail(f->path, err, MCL_E_FORMAT, p->line,
                            "the pair is cut in half: no second question follows");
    if (strcmp(p[0].category, p[1].category) != 0)
      return mcli_line_fail(f->path, err, MCL_E_FORMAT, p[1].line,
                            "the pair is cut in half: its first question, in line %lld, is of "
                            "another type",
                            (long long)p->line);
  }
  return MCL_OK;
}

static mcl_status read_questions(questions *q, const mcl_pairs_options *o, mcl_error *err) {
  mcli_table t;
  char *text;
  mcl_status s = mcli_pairs_file_load(&q->file, o, &text, err);
  if (s == MCL_OK) s = mcli_pairs_file_table(&q->file, o, text, &t, err);
  if (s == MCL_OK && q->path) s = check_heading(q, &t, err);
  while (s == MCL_OK && mcli_table_next(&t))
    s = q->path ? read_mmvp(q, &t, err) : read_own(q, &t, err);
  if (s == MCL_OK && q->file.n == 0)
    s = mcli_fail(err, MCL_E_FORMAT, "%s has no questions", mcli_path_tail(q->file.path));
  if (s == MCL_OK && q->path) s = check_halves(&q->file, err);
  return s;
}

// ---- categories ---------------------------------------------------------------------------------

static int compare_categories(const void *user, int64_t a, int64_t b) {
  const mcli_pair *pairs = user;
  return strcmp(pairs[a].category, pairs[b].category);
}

// Labels and names: categories are numbered as they are first named. first[i] is the first pair of
// pair i's.
static mcl_status number_categories(questions *q, const int64_t *first, mcl_error *err) {
  const mcli_pairs_file *f = &q->file;
  int64_t classes = 0;
  for (int64_t i = 0; i < f->n; i++) classes += first[i] == i;
  q->labels = MCLI_NEW(q->context, int32_t, f->n);
  q->class_names = MCLI_NEW0(q->context, char *, classes);
  if (!q->labels || !q->class_names) return mcli_nomem(err, "categories");
  for (int64_t i = 0; i < f->n; i++) {
    if (first[i] < i) {
      q->labels[i] = q->labels[first[i]];
      continue;
    }
    char *name = mcli_strdup(q->context, f->pairs[i].category);
    if (!name) return mcli_nomem(err, "categories");
    q->labels[i] = q->classes;
    q->class_names[q->classes++] = name;
  }
  return MCL_OK;
}

static mcl_status find_categories(questions *q, mcl_error *err) {
  const mcli_pairs_file *f = &q->file;
  if (!f->pairs[0].category) return MCL_OK;
  mcli_group_key *keys = MCLI_NEW(q->context, mcli_group_key, f->n);
  int64_t *first = MCLI_NEW(q->context, int64_t, f->n);
  mcl_status s = keys && first ? MCL_OK : mcli_nomem(err, "categories");
  for (int64_t i = 0; s == MCL_OK && i < f->n; i++) {
    const char *category = f->pairs[i].category;
    keys[i] = (mcli_group_key){mcli_hash(category, strlen(category), 0), i};
  }
  if (s == MCL_OK) s = mcli_group(q->context, keys, f->n, compare_categories, f->pairs, first, err);
  if (s == MCL_OK) s = number_categories(q, first, err);
  mcli_free(q->context, keys);
  mcli_free(q->context, first);
  return s;
}

// The joined dataset answers for labels itself, not one of its parts.
static void hand_over_labels(questions *q, mcl_dataset *d) {
  d->labels = q->labels;
  d->class_names = q->class_names;
  d->classes = q->classes;
  d->labelled = NULL;
  q->labels = NULL;
  q->class_names = NULL;
}

// ---- MMVP-VLM's files and captions --------------------------------------------------------------

// Bytes of the string with its NUL, which are written if there is room.
static size_t print_image(char *to, size_t room, const mcli_pair *p) {
  // cppcheck-suppress[nullPointer,ctunullpointer] ; with room 0 nothing is written
  return (size_t)snprintf(to, room, "%s/%s/%s.jpg", images_folder, p->category, p->image) + 1;
}
static size_t print_caption(char *to, size_t room, const mcli_pair *p) {
  // cppcheck-suppress[nullPointer,ctunullpointer] ; likewise
  return (size_t)snprintf(to, room, "a photo of %s", p->caption) + 1;
}

// A type's folder, looked for once: "cannot open" of an image would not say what is missing.
static mcl_status check_folders(const questions *q, const char *root, mcl_error *err) {
  const mcli_pairs_file *f = &q->file;
  int32_t next = 0;
  for (int64_t i = 0; i < f->n; i++) {
    if (q->labels[i] != next) continue;
    char *images = mcli_path_join(q->context, root, images_folder);
    char *folder = images ? mcli_path_join(q->context, images, q->class_names[next]) : NULL;
    int there = 0;
    mcl_status s = folder ? mcli_directory_is(folder, &there, err) : mcli_nomem(err, "a path");
    mcli_free(q->context, images);
    mcli_free(q->context, folder);
    if (s < 0) return s;
    if (!there)
      return mcli_line_fail(f->path, err, MCL_E_NOT_FOUND, f->pairs[i].line,
                            "there is no folder %s/%s", images_folder,
                            mcli_path_end(q->class_names[next], 60));
    next++;
  }
  return MCL_OK;
}

static mcl_status print_records(mcli_pairs_file *f, mcl_error *err) {
  size_t bytes = 0;
  for (int64_t i = 0; i < f->n; i++)
    bytes += print_image(NULL, 0, &f->pairs[i]) + print_caption(NULL, 0, &f->pairs[i]);
  char *text = mcli_alloc(f->context, bytes, 1), *to = text;
  if (!text) return mcli_nomem(err, "captions");
  const char *end = text + bytes;
  for (int64_t i = 0; i < f->n; i++) {
    mcli_pair p = f->pairs[i];
    f->pairs[i].image = to;
    to += print_image(to, (size_t)(end - to), &p);
    f->pairs[i].caption = to;
    to += print_caption(to, (size_t)(end - to), &p);
    f->pairs[i].category = NULL; // it goes with the old text
  }
  mcli_free(f->context, f->text);
  f->text = text;
  return MCL_OK;
}

// ---- making one ---------------------------------------------------------------------------------

static mcl_status build(questions *q, const char *path, const mcl_tokenizer *t,
                        const mcl_pairs_options *o, const mcl_folder_options *images,
                        const mcl_image_options *image, mcli_watch *watch, mcl_dataset **out,
                        mcl_error *err) {
  mcl_status s = read_questions(q, o, err);
  if (s == MCL_OK) s = find_categories(q, err);
  if (s == MCL_OK && q->path) s = check_folders(q, path, err);
  if (s == MCL_OK && q->path) s = print_records(&q->file, err);
  if (s == MCL_OK) s = mcli_pairs_create(&q->file, t, images, image, watch, out, err);
  if (s == MCL_OK && q->labels) hand_over_labels(q, *out);
  return s;
}

// A folder's file is a CSV whose heading is checked, not passed over.
static mcl_status read_options(const questions *q, const mcl_pairs_options *from,
                               mcl_pairs_options *o, mcl_error *err) {
  mcl_status s = mcli_pairs_options_read(from, q->file.path, o, err);
  if (s < 0) return s;
  if (q->path) {
    o->format = MCL_PAIRS_CSV;
    o->heading = 0;
  }
  if (o->format != MCL_PAIRS_JSON_LINES) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "questions are a TSV or a CSV, %s is read as JSON lines",
                   mcli_path_tail(q->file.path));
}

mcl_status mcl_dataset_create_questions(mcl_context *c, const char *path, const mcl_tokenizer *t,
                                        const mcl_pairs_options *options, const mcl_monitor *m,
                                        mcl_dataset **out, mcl_error *err) {
  mcl_pairs_options o;
  mcl_folder_options images;
  mcl_image_options image;
  mcli_watch watch;
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  questions q = {.context = c, .file = {.context = c, .path = path}};
  int is_folder;
  mcl_status s = mcli_directory_is(path, &is_folder, err);
  if (s < 0) return s;
  if (is_folder) {
    q.path = mcli_path_join(c, path, "Questions.csv");
    if (!q.path) return mcli_nomem(err, "a path");
    q.file.path = q.path;
  }
  s = read_options(&q, options, &o, err);
  if (s == MCL_OK) s = mcli_files_options_read(o.images, &images, &image, err);
  if (s == MCL_OK) s = mcli_watch_begin(&watch, m, "read", 0, err);
  if (s == MCL_OK && !out) s = mcli_fail(err, MCL_E_INVALID, "out is NULL");
  images.on_bad_file = MCL_BAD_FILE_FAIL;
  if (s == MCL_OK) s = build(&q, path, t, &o, &images, &image, &watch, out, err);
  questions_free(&q);
  return s < 0 ? s : mcl_ok(err);
}
