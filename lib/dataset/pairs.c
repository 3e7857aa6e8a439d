// Image-caption pairs from a file, put together from parts that are there for other uses too:
//
//   joined( subset( the different images, the image of each caption ),
//           captions( tokens, texts ) )
//
// and without a tokenizer
//
//   captions( subset( ... ), texts )
//
// Captions are tokenised before any image is decoded, since that takes seconds where decoding takes
// hours, and a mistake in the file should be found first. The file's text is kept for the captions;
// the paths of the different images are copied, each once.
#include "dataset/pairs.h"

#include <string.h>
#include <strings.h>

#include "base/rng.h"
#include "dataset/files.h"
#include "dataset/groups.h"
#include "dataset/memory.h"
#include "dataset/tokenizer.h"

// 16 GiB: what fits beside its rows in the memory of a large machine.
static const int64_t MOST_FILE = (int64_t)1 << 34;
static const int64_t MOST_LINE = (int64_t)1 << 30;

// 1 GiB are ten million captions; a line of 1 MiB is a caption of a book.
static const mcl_pairs_options defaults = {.struct_size = sizeof(mcl_pairs_options),
                                           .max_file_bytes = (int64_t)1 << 30,
                                           .max_line_bytes = 1 << 20,
                                           .format = MCL_PAIRS_BY_NAME};

void mcl_pairs_options_init(mcl_pairs_options *o, size_t struct_size) {
  mcli_options_init(o, struct_size, &defaults, sizeof defaults);
}

// ---- options ------------------------------------------------------------------------------------

static int ends_in(const char *path, size_t n, const char *ending) {
  size_t m = strlen(ending);
  return n > m && strncasecmp(path + n - m, ending, m) == 0;
}

static int32_t format_of(const char *path) {
  size_t n = strlen(path);
  if (ends_in(path, n, ".gz")) n -= 3;
  if (ends_in(path, n, ".tsv")) return MCL_PAIRS_TSV;
  if (ends_in(path, n, ".csv")) return MCL_PAIRS_CSV;
  if (ends_in(path, n, ".jsonl") || ends_in(path, n, ".ndjson")) return MCL_PAIRS_JSON_LINES;
  return MCL_PAIRS_BY_NAME;
}

static mcl_status check_range(int64_t value, int64_t low, int64_t high, const char *name,
                              mcl_error *err) {
  if (value >= low && value <= high) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "mcl_pairs_options.%s is %lld, not %lld..%lld", name,
                   (long long)value, (long long)low, (long long)high);
}

mcl_status mcli_pairs_options_read(const mcl_pairs_options *from, const char *path,
                                   mcl_pairs_options *o, mcl_error *err) {
  *o = defaults;
  mcl_status s = mcli_options_copy(o, sizeof *o, from, "mcl_pairs_options", err);
  if (s == MCL_OK) s = check_range(o->max_file_bytes, 1, MOST_FILE, "max_file_bytes", err);
  if (s == MCL_OK) s = check_range(o->max_line_bytes, 1, MOST_LINE, "max_line_bytes", err);
  if (s == MCL_OK)
    s = check_range(o->format, MCL_PAIRS_BY_NAME, MCL_PAIRS_JSON_LINES, "format", err);
  if (s == MCL_OK) s = check_range(o->heading, 0, 1, "heading", err);
  if (s < 0) return s;
  if (o->format == MCL_PAIRS_BY_NAME) o->format = format_of(path);
  if (o->format == MCL_PAIRS_BY_NAME)
    return mcli_fail(err, MCL_E_INVALID,
                     "%s ends in no name of a format: mcl_pairs_options.format is needed",
                     mcli_path_tail(path));
  if (o->format == MCL_PAIRS_JSON_LINES && o->heading)
    return mcli_fail(err, MCL_E_INVALID, "mcl_pairs_options.heading is 1, JSON lines have none");
  return MCL_OK;
}

// ---- captions: texts beside the rows of another dataset ------------------------------------------

typedef struct captions_dataset {
  mcl_dataset base;
  char *text;
  const char **captions; // [rows], into text
} captions_dataset;

static mcl_status load(mcl_dataset *d, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *err) {
  return mcl_dataset_load(d->inner, indices, n, modality, out, err);
}

static const char *caption(const mcl_dataset *d, int64_t row) {
  return ((const captions_dataset *)d)->captions[row];
}

static void destroy(mcl_dataset *d) {
  captions_dataset *k = (captions_dataset *)d;
  mcli_free(d->context, k->captions);
  mcli_free(d->context, k->text);
}

static const mcli_dataset_kind captions_kind = {
    .load = load, .caption = caption, .destroy = destroy};

// ---- building -----------------------------------------------------------------------------------

typedef struct building {
  mcl_context *context;
  mcli_pairs_file *file;
  int64_t rows;          // of file.pairs; in the end those whose image is good
  int32_t *tokens;       // [rows, length]; NULL: there is no tokenizer
  int64_t length;        // of a row of tokens
  int64_t *image_of;     // [rows]: the number of its image among the different ones, then its row
  mcl_dataset *parts[4]; // images, those of each caption, tokens, captions around either
} building;

static void building_free(building *b) {
  for (int i = 0; i < 4; i++) mcl_dataset_unref(b->parts[i]);
  mcli_free(b->context, b->tokens);
  mcli_free(b->context, b->image_of);
}

static mcl_status tokenise(building *b, const mcl_tokenizer *t, mcl_error *err) {
  mcl_error inner;
  b->length = t->options.context;
  const char **texts = MCLI_NEW(b->context, const char *, b->rows);
  b->tokens = mcli_alloc(b->context, (uint64_t)b->rows, (uint64_t)b->length * sizeof *b->tokens);
  mcl_status s = texts && b->tokens ? MCL_OK : mcli_nomem(err, "tokens");
  for (int64_t i = 0; s == MCL_OK && i < b->rows; i++) texts[i] = b->file->pairs[i].caption;
  if (s == MCL_OK) {
    s = mcli_tokenizer_rows(t, texts, b->rows, b->tokens, NULL, &inner);
    if (s < 0 && inner.row >= 0)
      mcli_line_fail(b->file->path, err, s, b->file->pairs[inner.row].line, "%s", inner.message);
    else if (s < 0)
      mcli_fail(err, s, "%s", inner.message);
  }
  mcli_free(b->context, texts);
  return s;
}

static int compare_paths(const void *user, int64_t a, int64_t b) {
  const mcli_pair *pairs = user;
  return strcmp(pairs[a].image, pairs[b].image);
}

// b->image_of[i] becomes the first pair that has the image of pair i.
static mcl_status find_equal_paths(building *b, mcl_error *err) {
  mcli_group_key *keys = MCLI_NEW(b->context, mcli_group_key, b->rows);
  b->image_of = MCLI_NEW(b->context, int64_t, b->rows);
  mcl_status s = keys && b->image_of ? MCL_OK : mcli_nomem(err, "file names");
  for (int64_t i = 0; s == MCL_OK && i < b->rows; i++) {
    const char *image = b->file->pairs[i].image;
    keys[i] = (mcli_group_key){mcli_hash(image, strlen(image), 0), i};
  }
  if (s == MCL_OK)
    s = mcli_group(b->context, keys, b->rows, compare_paths, b->file->pairs, b->image_of, err);
  mcli_free(b->context, keys);
  return s;
}

// The different paths, in the order in which they are first named, and b->image_of their numbers.
static mcl_status list_images(building *b, mcli_file_list *list, int64_t **lines, mcl_error *err) {
  mcl_status s = find_equal_paths(b, err);
  if (s < 0) return s;
  const mcli_pair *pairs = b->file->pairs;
  size_t bytes = 0;
  for (int64_t i = 0; i < b->rows; i++) {
    if (b->image_of[i] != i) continue;
    bytes += strlen(pairs[i].image) + 1;
    list->n++;
  }
  list->text = mcli_alloc(b->context, bytes, 1);
  *lines = MCLI_NEW(b->context, int64_t, list->n);
  list->lines = *lines;
  if (!list->text || !*lines) return mcli_nomem(err, "file names");
  char *to = list->text;
  for (int64_t i = 0, number = 0; i < b->rows; i++) {
    int64_t first = b->image_of[i];
    if (first < i) { // a pair further up, which has its number already
      b->image_of[i] = b->image_of[first];
      continue;
    }
    size_t n = strlen(pairs[i].image) + 1;
    memcpy(to, pairs[i].image, n);
    to += n;
    (*lines)[number] = pairs[i].line;
    b->image_of[i] = number++;
  }
  return MCL_OK;
}

// Leaves out the captions of images that were, and closes up.
static void keep_good(building *b, const int64_t *places) {
  int64_t good = 0;
  for (int64_t i = 0; i < b->rows; i++) {
    int64_t place = places[b->image_of[i]];
    if (place < 0) continue;
    b->image_of[good] = place;
    b->file->pairs[good] = b->file->pairs[i];
    if (b->tokens)
      memmove(b->tokens + good * b->length, b->tokens + i * b->length,
              (size_t)b->length * sizeof *b->tokens);
    good++;
  }
  b->rows = good;
}

// The folder that the file lies in, to be freed; NULL without memory.
static char *folder_of(mcl_context *c, const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return mcli_strdup(c, ".");
  size_t n = slash == path ? 1 : (size_t)(slash - path);
  char *folder = mcli_calloc(c, n + 1, 1);
  if (folder) memcpy(folder, path, n);
  return folder;
}

static mcl_status decode_images(building *b, const mcl_folder_options *o,
                                const mcl_image_options *image, mcli_watch *watch, mcl_error *err) {
  mcl_context *c = b->context;
  mcli_file_list list = {.source = b->file->path};
  int64_t *lines = NULL, *places = NULL;
  char *root = folder_of(c, b->file->path);
  list.root = root;
  mcl_status s = root ? list_images(b, &list, &lines, err) : mcli_nomem(err, "a path");
  if (s == MCL_OK) {
    places = MCLI_NEW(c, int64_t, list.n);
    if (!places) s = mcli_nomem(err, "file names");
  }
  if (s == MCL_OK)
    s = mcli_files_create(c, &list, o, image, watch, places, &b->parts[0], err);
  else
    mcli_free(c, list.text);
  if (s == MCL_OK) keep_good(b, places);
  mcli_free(c, root);
  mcli_free(c, lines);
  mcli_free(c, places);
  return s;
}

static mcl_status make_tokens(building *b, mcl_error *err) {
  mcl_array tokens;
  mcl_array_init(&tokens, b->tokens, MCL_I32, 2, (int64_t[]){b->rows, b->length});
  mcl_status s = mcli_memory_create(b->context, &tokens, b->tokens, &b->parts[2], err);
  if (s == MCL_OK) b->tokens = NULL;
  return s;
}

// The captions' texts around a dataset of as many rows. They take the file's text over.
static mcl_status make_captions(building *b, mcl_dataset *around, mcl_error *err) {
  mcl_context *c = b->context;
  b->parts[3] =
      mcli_dataset_wrap(c, sizeof(captions_dataset), &captions_kind, around, NULL, b->rows);
  if (!b->parts[3]) return mcli_nomem(err, "a dataset");
  captions_dataset *k = (captions_dataset *)b->parts[3];
  k->captions = MCLI_NEW(c, const char *, b->rows);
  if (!k->captions) return mcli_nomem(err, "captions");
  for (int64_t i = 0; i < b->rows; i++) k->captions[i] = b->file->pairs[i].caption;
  k->text = b->file->text;
  b->file->text = NULL;
  b->parts[3]->fingerprint = around->fingerprint;
  return MCL_OK;
}

// With a NUL behind each, so that no two lists of captions are the same bytes.
static uint64_t hash_captions(const building *b, uint64_t h) {
  for (int64_t i = 0; i < b->rows; i++) {
    const char *caption = b->file->pairs[i].caption;
    h = mcli_hash(caption, strlen(caption) + 1, h);
  }
  return h;
}

static mcl_status put_together(building *b, mcl_dataset **out, mcl_error *err) {
  if (b->tokens) {
    mcl_status s = make_tokens(b, err);
    if (s == MCL_OK) s = make_captions(b, b->parts[2], err);
    return s < 0 ? s : mcl_dataset_create_joined(b->context, b->parts[1], b->parts[3], out, err);
  }
  mcl_status s = make_captions(b, b->parts[1], err);
  if (s < 0) return s;
  b->parts[3]->fingerprint = hash_captions(b, b->parts[3]->fingerprint);
  *out = mcl_dataset_ref(b->parts[3]);
  return MCL_OK;
}

mcl_status mcli_pairs_create(mcli_pairs_file *f, const mcl_tokenizer *t,
                             const mcl_folder_options *images, const mcl_image_options *image,
                             mcli_watch *watch, mcl_dataset **out, mcl_error *err) {
  building b = {.context = f->context, .file = f, .rows = f->n};
  mcl_status s = t ? tokenise(&b, t, err) : MCL_OK;
  if (s == MCL_OK) s = decode_images(&b, images, image, watch, err);
  if (s == MCL_OK)
    s = mcl_dataset_create_subset(b.context, b.parts[0], b.image_of, b.rows, &b.parts[1], err);
  if (s == MCL_OK) s = put_together(&b, out, err);
  if (s == MCL_OK) (*out)->captions_skipped = f->n - b.rows;
  building_free(&b);
  return s;
}

mcl_status mcl_dataset_create_pairs(mcl_context *c, const char *path, const mcl_tokenizer *t,
                                    const mcl_pairs_options *options, const mcl_monitor *m,
                                    mcl_dataset **out, mcl_error *err) {
  mcl_pairs_options o;
  mcl_folder_options images;
  mcl_image_options image;
  mcli_watch watch;
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  mcl_status s = mcli_pairs_options_read(options, path, &o, err);
  if (s == MCL_OK) s = mcli_files_options_read(o.images, &images, &image, err);
  if (s == MCL_OK) s = mcli_watch_begin(&watch, m, "read", 0, err);
  if (s < 0) return s;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcli_pairs_file f = {.context = c, .path = path};
  s = mcli_pairs_file_read(&f, &o, err);
  if (s == MCL_OK) s = mcli_pairs_create(&f, t, &images, &image, &watch, out, err);
  mcli_pairs_file_free(&f);
  return s < 0 ? s : mcl_ok(err);
}
