// Image files decoded to rows of one size.
//
// Every file is decoded when the dataset is made. That costs one pass over the files, which
// training would pay anyway, and finds the damaged one among thousands before hours are spent.
// Where the rows fit in `cache_bytes` they are kept, so that nothing is decoded twice. A file that is not
// there, or is too short to be an image, gets no place among them: a list of a million names must
// not cost 12 GB for images that are not there.
//
// Files are decoded in batches, one task a file. After each batch, in the order of the files, bad
// ones are logged and left out and the monitor is told; so neither the rows nor the log depend on
// the threads.
#include "dataset/files.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "dataset/memory.h"
#include "image/decode.h"
#include "math/array.h"

// Files of one batch: enough tasks for any number of threads to be evenly loaded, and a monitor
// that hears of slow ones.
enum { BATCH_FILES = 256 };

// Decoded bytes of one batch where rows are not kept: rows of 16384 x 16384 are then decoded one at
// a time.
static const int64_t BATCH_BYTES = (int64_t)64 << 20;

enum { MOST_SIDE = 16384, CHANNELS = 3 };

typedef struct files_dataset {
  mcl_dataset base;
  char *root, *text;
  const char **names; // [rows], into text
  mcl_image_options image;
  mcl_array images; // [rows, height, width, 3]; data NULL: not kept
  uint8_t *pixels;
} files_dataset;

static const mcl_folder_options defaults = {.struct_size = sizeof(mcl_folder_options),
                                            .cache_bytes = (int64_t)4 << 30,
                                            .height = 64,
                                            .width = 64,
                                            .on_bad_file = MCL_BAD_FILE_SKIP};

void mcl_folder_options_init(mcl_folder_options *o, size_t struct_size) {
  mcli_options_init(o, struct_size, &defaults, sizeof defaults);
}

mcl_status mcli_files_options_read(const mcl_folder_options *from, mcl_folder_options *o,
                                   mcl_image_options *image, mcl_error *err) {
  *o = defaults;
  mcl_status s = mcli_options_copy(o, sizeof *o, from, "mcl_folder_options", err);
  if (s < 0) return s;
  s = mcli_image_options_read(o->image, image, err);
  if (s < 0) return s;
  if (o->cache_bytes < 0)
    return mcli_fail(err, MCL_E_INVALID, "mcl_folder_options.cache_bytes is %lld, not 0 or more",
                     (long long)o->cache_bytes);
  if (o->height < 1 || o->height > MOST_SIDE)
    return mcli_fail(err, MCL_E_INVALID, "mcl_folder_options.height is %d, not 1..%d",
                     (int)o->height, MOST_SIDE);
  if (o->width < 1 || o->width > MOST_SIDE)
    return mcli_fail(err, MCL_E_INVALID, "mcl_folder_options.width is %d, not 1..%d", (int)o->width,
                     MOST_SIDE);
  if (o->on_bad_file != MCL_BAD_FILE_SKIP && o->on_bad_file != MCL_BAD_FILE_FAIL)
    return mcli_fail(err, MCL_E_INVALID, "mcl_folder_options.on_bad_file is %d, not 1 or 2",
                     (int)o->on_bad_file);
  if (o->reserved != 0)
    return mcli_fail(err, MCL_E_INVALID, "mcl_folder_options.reserved is %d, not 0",
                     (int)o->reserved);
  return MCL_OK;
}

// ---- decoding -----------------------------------------------------------------------------------

typedef struct decode_job {
  const files_dataset *files;
  const int64_t *indices; // rows to decode; NULL: first, first + 1, ...
  int64_t first;
  uint8_t *to;       // [n, row]
  int64_t *places;   // [n]: of each file in `to`, -1: it cannot be an image; NULL: 0, 1, ...
  int64_t *sizes;    // [n] bytes of each file; NULL: not wanted
  char *lacks;       // [n]: 1 where the build has no such format; NULL: not wanted
  mcl_error *errors; // [n]
} decode_job;

// The shortest PNG has 67 bytes, the shortest JPEG some 120.
enum { LEAST_IMAGE = 64 };

static char *path_of(const files_dataset *f, const char *name) {
  mcl_context *c = f->base.context;
  return name[0] == '/' ? mcli_strdup(c, name) : mcli_path_join(c, f->root, name);
}

// `to` NULL: there was no image when the files were counted.
static mcl_status decode(const files_dataset *f, const char *name, uint8_t *to, int64_t *size,
                         char *lacks, mcl_error *err) {
  mcl_context *c = f->base.context;
  unsigned char *bytes = NULL;
  mcl_array out;
  char *path = path_of(f, name);
  if (!path) return mcli_nomem(err, "a path");
  mcl_status s = mcli_file_read_all(c, path, f->image.max_bytes, &bytes, size, err);
  mcli_free(c, path);
  if (s < 0) return s;
  if (to) {
    mcl_array_init(&out, to, MCL_U8, 3, f->base.shapes[0].shape);
    s = mcl_image_decode(c, &f->image, bytes, (size_t)*size, &out, err);
  } else { // says what it is instead
    s = mcl_image_size(c, &f->image, bytes, (size_t)*size, NULL, NULL, NULL, err);
    if (s == MCL_OK) s = mcli_fail(err, MCL_E_FORMAT, "the file was too short for an image");
  }
  if (lacks) *lacks = s < 0 && mcli_image_lacks(bytes, (size_t)*size);
  mcli_free(c, bytes);
  return s;
}

static void decode_file(void *job, uint32_t task, uint32_t worker) {
  const decode_job *j = job;
  int64_t row = j->indices ? j->indices[task] : j->first + task, size = 0;
  int64_t place = j->places ? j->places[task] : (int64_t)task;
  uint8_t *to = place < 0 ? NULL : j->to + place * mcli_array_row_size(&j->files->images);
  (void)worker;
  char *lacks = j->lacks ? &j->lacks[task] : NULL;
  if (lacks) *lacks = 0;
  mcl_status s = decode(j->files, j->files->names[row], to, &size, lacks, &j->errors[task]);
  j->errors[task].status = s;
  if (j->sizes) j->sizes[task] = size;
}

// ---- the first pass -----------------------------------------------------------------------------

typedef struct first_pass {
  files_dataset *dataset;
  const mcli_file_list *list;
  const mcl_folder_options *options;
  int64_t *places;  // [files]: the row of each file, -1 for one left out
  uint8_t *staging; // [batch, row]; NULL: rows are decoded to their place
  int64_t *sizes;   // [files]; of good files, closed up
  char *possible;   // [files]: 1 where there is something that may be an image
  int64_t taken;    // places among kept rows that were given to the files before
  mcl_error *errors;
  mcl_error first_bad; // of the first bad file
  int64_t good;
} first_pass;

// Closes row `from` up to the next free place; the good rows are then 0 .. good - 1.
static void keep_row(first_pass *p, int64_t from, const uint8_t *pixels, int64_t size) {
  files_dataset *f = p->dataset;
  int64_t row = mcli_array_row_size(&f->images), to = p->good++;
  f->names[to] = f->names[from];
  p->places[from] = to;
  p->sizes[to] = size;
  if (f->pixels && pixels != f->pixels + to * row)
    memmove(f->pixels + to * row, pixels, (size_t)row);
}

// "pairs.tsv, line 3: ", or nothing where no list names the file.
enum { PLACE_SIZE = 96 };
static void print_place(char place[PLACE_SIZE], const mcli_file_list *list, int64_t file) {
  place[0] = 0;
  if (list->source)
    snprintf(place, PLACE_SIZE, "%s, line %lld: ", mcli_path_end(list->source, 60),
             (long long)list->lines[file]);
}

static mcl_status leave_out(first_pass *p, int64_t file, const mcl_error *why, int lacks,
                            mcl_error *err) {
  files_dataset *f = p->dataset;
  const char *name = f->names[file];
  char place[PLACE_SIZE];
  p->places[file] = -1;
  print_place(place, p->list, file);
  // Not the file's fault, and the next file would meet the same.
  if (why->status == MCL_E_NOMEM) return mcli_fail(err, MCL_E_NOMEM, "%s", why->message);
  // Nor is a format that the build has not: half of a folder is not left out for that.
  if (p->options->on_bad_file == MCL_BAD_FILE_FAIL || lacks)
    return mcli_fail(err, why->status, "%s%s: %s", place, mcli_path_tail(name), why->message);
  mcli_log(f->base.context, MCL_LOG_WARN, "dataset", "left out %s%s: %s", place, name,
           why->message);
  if (f->base.skipped++ == 0)
    mcli_fail(&p->first_bad, why->status, "%s%s: %s", place, mcli_path_tail(name), why->message);
  return MCL_OK;
}

static mcl_status pass_batch(first_pass *p, int64_t first, int64_t n, mcl_error *err) {
  files_dataset *f = p->dataset;
  int64_t row = mcli_array_row_size(&f->images), sizes[BATCH_FILES], places[BATCH_FILES],
          n_places = 0;
  char lacks[BATCH_FILES];
  uint8_t *to = p->staging ? p->staging : f->pixels + p->taken * row;
  for (int64_t i = 0; i < n; i++) places[i] = p->possible[first + i] ? n_places++ : -1;
  decode_job j = {f, NULL, first, to, places, sizes, lacks, p->errors};
  mcl_status s = mcli_parallel(f->base.context, (uint32_t)n, decode_file, &j, err);
  p->taken += n_places;
  for (int64_t i = 0; s == MCL_OK && i < n; i++) {
    if (p->errors[i].status == MCL_OK)
      keep_row(p, first + i, to + places[i] * row, sizes[i]);
    else
      s = leave_out(p, first + i, &p->errors[i], lacks[i], err);
  }
  return s;
}

static mcl_status pass_all(first_pass *p, mcli_watch *watch, mcl_error *err) {
  files_dataset *f = p->dataset;
  int64_t files = p->list->n, row = mcli_array_row_size(&f->images);
  int64_t batch = f->pixels ? BATCH_FILES : BATCH_BYTES / row;
  if (batch > BATCH_FILES) batch = BATCH_FILES;
  if (batch < 1) batch = 1;
  mcl_context *c = f->base.context;
  p->sizes = MCLI_NEW(c, int64_t, files);
  p->errors = MCLI_NEW(c, mcl_error, batch);
  if (!f->pixels) p->staging = mcli_alloc(c, (uint64_t)batch, (uint64_t)row);
  if (!p->sizes || !p->errors || (!f->pixels && !p->staging))
    return mcli_nomem(err, "decoding image files");
  mcl_status s = MCL_OK;
  mcli_watch_phase(watch, "decode", files);
  for (int64_t first = 0; s == MCL_OK && first < files; first += batch) {
    int64_t n = files - first < batch ? files - first : batch;
    s = pass_batch(p, first, n, err);
    if (s == MCL_OK) s = mcli_watch_tell(watch, first + n, (double)NAN, err);
  }
  if (s == MCL_OK && p->good == 0)
    s = mcli_fail(err, MCL_E_FORMAT, "none of the %lld image files in %s is good, the first: %s",
                  (long long)files, mcli_path_tail(p->list->source ? p->list->source : f->root),
                  p->first_bad.message);
  return s;
}

// Hash of what the rows are: height, width, fit and filter, then each name and size, chained in
// order.
static uint64_t fingerprint(const files_dataset *f, const int64_t *sizes, int64_t rows) {
  const int64_t *shape = f->base.shapes[0].shape;
  int64_t head[4] = {shape[0], shape[1], f->image.fit, f->image.filter};
  uint64_t h = mcli_hash(head, sizeof head, 0);
  for (int64_t i = 0; i < rows; i++) {
    h = mcli_hash(f->names[i], strlen(f->names[i]), h);
    h = mcli_hash(&sizes[i], sizeof sizes[i], h);
  }
  return h;
}

// Looks for every file; *n = those that may be images.
static mcl_status find_possible(first_pass *p, int64_t *n, mcl_error *err) {
  const files_dataset *f = p->dataset;
  mcl_context *c = f->base.context;
  p->possible = mcli_alloc(c, (uint64_t)p->list->n, 1);
  if (!p->possible) return mcli_nomem(err, "file names");
  *n = 0;
  for (int64_t i = 0; i < p->list->n; i++) {
    char *path = path_of(f, f->names[i]);
    if (!path) return mcli_nomem(err, "a path");
    p->possible[i] = (char)mcli_file_may_have(path, LEAST_IMAGE);
    *n += p->possible[i];
    mcli_free(c, path);
  }
  return MCL_OK;
}

static mcl_status decode_all(files_dataset *f, const mcli_file_list *list,
                             const mcl_folder_options *o, mcli_watch *watch, int64_t *places,
                             mcl_error *err) {
  mcl_context *c = f->base.context;
  first_pass p = {.dataset = f, .list = list, .options = o, .places = places};
  int64_t files = list->n, row = mcli_array_row_size(&f->images), possible = 0, bytes;
  mcl_status s = find_possible(&p, &possible, err);
  if (s == MCL_OK && mcli_mul(possible, row, &bytes) && bytes <= o->cache_bytes) {
    f->pixels = mcli_alloc(c, (uint64_t)bytes, 1);
    if (!f->pixels) s = mcli_nomem(err, "the decoded rows; lower cache_bytes");
  }
  if (s == MCL_OK) s = pass_all(&p, watch, err);
  if (s == MCL_OK) {
    f->base.rows = p.good;
    f->base.files = files;
    f->base.cached = f->pixels != NULL;
    f->base.fingerprint = fingerprint(f, p.sizes, p.good);
    f->images.data = f->pixels;
    f->images.shape[0] = p.good;
  }
  mcli_free(c, p.staging);
  mcli_free(c, p.errors);
  mcli_free(c, p.sizes);
  mcli_free(c, p.possible);
  return s;
}

// ---- loading ------------------------------------------------------------------------------------

// Rows that are not kept, decoded again to `to`, [n, row].
static mcl_status decode_again(const files_dataset *f, const int64_t *indices, int64_t n,
                               uint8_t *to, mcl_error *err) {
  mcl_context *c = f->base.context;
  int64_t row = mcli_array_row_size(&f->images);
  mcl_error *errors = MCLI_NEW(c, mcl_error, n < BATCH_FILES ? n : BATCH_FILES);
  mcl_status s = errors ? MCL_OK : mcli_nomem(err, "a batch");
  for (int64_t first = 0; s == MCL_OK && first < n; first += BATCH_FILES) {
    int64_t m = n - first < BATCH_FILES ? n - first : BATCH_FILES;
    decode_job j = {f, indices + first, 0, to + first * row, NULL, NULL, NULL, errors};
    s = mcli_parallel(c, (uint32_t)m, decode_file, &j, err);
    for (int64_t i = 0; s == MCL_OK && i < m; i++)
      if (errors[i].status < 0) {
        int64_t at = indices[first + i];
        s = mcli_fail_row(err, errors[i].status, at, "%s: %s", mcli_path_tail(f->names[at]),
                          errors[i].message);
      }
  }
  mcli_free(c, errors);
  return s;
}

static mcl_status load(mcl_dataset *d, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *err) {
  files_dataset *f = (files_dataset *)d;
  (void)modality;
  if (f->pixels) return mcli_memory_load(d->context, &f->images, indices, n, out, err);
  mcl_array rows = f->images;
  rows.shape[0] = n;
  rows.data = mcli_alloc(d->context, (uint64_t)n, (uint64_t)mcli_array_row_size(&rows));
  if (!rows.data) return mcli_nomem(err, "a batch");
  mcl_status s = decode_again(f, indices, n, rows.data, err);
  if (s == MCL_OK) s = mcli_memory_load(d->context, &rows, NULL, n, out, err);
  mcli_free(d->context, rows.data);
  return s;
}

static const char *row_name(const mcl_dataset *d, int64_t *row) {
  return ((const files_dataset *)d)->names[*row];
}

static void destroy(mcl_dataset *d) {
  files_dataset *f = (files_dataset *)d;
  mcli_free(d->context, f->text);
  mcli_free(d->context, f->names);
  mcli_free(d->context, f->root);
  mcli_free(d->context, f->pixels);
}

static const mcli_dataset_kind files_kind = {
    .load = load, .row_name = row_name, .destroy = destroy};

// ---- making one ---------------------------------------------------------------------------------

static mcl_status build(files_dataset *f, const mcli_file_list *list, const mcl_folder_options *o,
                        mcli_watch *watch, int64_t *places, mcl_error *err) {
  mcl_context *c = f->base.context;
  mcli_dataset_set_shape(&f->base, 0, MCL_U8, 3, (int64_t[]){o->height, o->width, CHANNELS});
  mcl_array_init(&f->images, NULL, MCL_U8, 4, (int64_t[]){1, o->height, o->width, CHANNELS});
  f->root = mcli_strdup(c, list->root);
  f->names = MCLI_NEW(c, const char *, list->n);
  if (!f->root || !f->names) return mcli_nomem(err, "file names");
  const char *name = f->text;
  for (int64_t i = 0; i < list->n; i++, name += strlen(name) + 1) f->names[i] = name;
  return decode_all(f, list, o, watch, places, err);
}

mcl_status mcli_files_create(mcl_context *c, const mcli_file_list *list,
                             const mcl_folder_options *o, const mcl_image_options *image,
                             mcli_watch *watch, int64_t *places, mcl_dataset **out,
                             mcl_error *err) {
  mcl_dataset *d = mcli_dataset_new(c, sizeof(files_dataset), &files_kind, 1);
  if (!d) {
    mcli_free(c, list->text);
    return mcli_nomem(err, "a dataset");
  }
  ((files_dataset *)d)->image = *image;
  ((files_dataset *)d)->text = list->text;
  mcl_status s = build((files_dataset *)d, list, o, watch, places, err);
  if (s < 0) {
    mcl_dataset_unref(d);
    return s;
  }
  *out = d;
  return MCL_OK;
}
