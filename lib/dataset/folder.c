// A folder of PNG and JPEG files: which files there are, and their classes. files.c decodes them.
#include <string.h>

#include "dataset/files.h"
#include "dataset/walk.h"

// Labels of all files, and class names, until the dataset takes them over.
typedef struct folder {
  mcl_context *context;
  mcli_walk files;
  int32_t *labels; // [files]; NULL: there are no classes
  char **class_names;
  int32_t classes;
  int64_t *places; // [files]: the row of each
} folder;

// The first sub-folder of a path: its length, 0 at the top level. The walk keeps a sub-folder's
// files together.
static size_t class_length(const char *name) {
  const char *slash = strchr(name, '/');
  return slash ? (size_t)(slash - name) : 0;
}

static mcl_status add_class(folder *f, const char *name, size_t n, mcl_error *err) {
  mcl_context *c = f->context;
  int32_t k = f->classes;
  if ((k & (k - 1)) == 0) { // full at every power of two
    char **larger =
        mcli_realloc(c, f->class_names, k ? (uint64_t)k * 2 : 1, sizeof *f->class_names);
    if (!larger) return mcli_nomem(err, "class names");
    f->class_names = larger;
  }
  char *copy = mcli_calloc(c, n + 1, 1);
  if (!copy) return mcli_nomem(err, "class names");
  memcpy(copy, name, n);
  f->class_names[k] = copy;
  f->classes = k + 1;
  return MCL_OK;
}

// Labels of all files. A class begins where the first sub-folder is another than the
// file's before.
static mcl_status label_files(folder *f, mcl_error *err) {
  mcl_context *c = f->context;
  int64_t files = f->files.files;
  const char *name = f->files.text, *last = "";
  size_t last_length = 0;
  f->labels = MCLI_NEW(c, int32_t, files);
  if (!f->labels) return mcli_nomem(err, "labels");
  for (int64_t i = 0; i < files; i++, name += strlen(name) + 1) {
    size_t n = class_length(name);
    f->labels[i] = -1;
    if (n == 0) continue;
    if (n != last_length || memcmp(name, last, n) != 0) {
      mcl_status s = add_class(f, name, n, err);
      if (s < 0) return s;
    }
    last = name;
    last_length = n;
    f->labels[i] = f->classes - 1;
  }
  if (f->classes == 0) {
    mcli_free(c, f->labels);
    f->labels = NULL;
  }
  return MCL_OK;
}

// The labels of the files that became rows, closed up.
static void hand_over(folder *f, mcl_dataset *d) {
  for (int64_t i = 0; f->labels && i < f->files.files; i++)
    if (f->places[i] >= 0) f->labels[f->places[i]] = f->labels[i];
  d->labels = f->labels;
  d->class_names = f->class_names;
  d->classes = f->classes;
  f->labels = NULL;
  f->class_names = NULL;
}

static mcl_status build(folder *f, const char *path, const mcl_folder_options *o,
                        const mcl_image_options *image, mcli_watch *watch, mcl_dataset **out,
                        mcl_error *err) {
  mcl_status s = mcli_walk_images(f->context, path, &f->files, err);
  if (s < 0) return s;
  if (f->files.files == 0)
    return mcli_fail(err, MCL_E_NOT_FOUND, "no .png, .jpg or .jpeg files in %s",
                     mcli_path_tail(path));
  s = label_files(f, err);
  if (s < 0) return s;
  f->places = MCLI_NEW(f->context, int64_t, f->files.files);
  if (!f->places) return mcli_nomem(err, "file names");
  mcli_file_list list = {.root = path, .text = f->files.text, .n = f->files.files};
  f->files.text = NULL;
  s = mcli_files_create(f->context, &list, o, image, watch, f->places, out, err);
  if (s == MCL_OK) hand_over(f, *out);
  return s;
}

static void folder_free(folder *f) {
  mcl_context *c = f->context;
  mcli_walk_free(c, &f->files);
  mcli_free(c, f->labels);
  for (int32_t k = 0; f->class_names && k < f->classes; k++) mcli_free(c, f->class_names[k]);
  mcli_free(c, f->class_names);
  mcli_free(c, f->places);
}

mcl_status mcl_dataset_create_folder(mcl_context *c, const char *path,
                                     const mcl_folder_options *options, const mcl_monitor *m,
                                     mcl_dataset **out, mcl_error *err) {
  mcl_folder_options o;
  mcl_image_options image;
  mcli_watch watch;
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  mcl_status s = mcli_files_options_read(options, &o, &image, err);
  if (s == MCL_OK) s = mcli_watch_begin(&watch, m, "list", 0, err);
  if (s < 0) return s;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  folder f = {.context = c};
  s = build(&f, path, &o, &image, &watch, out, err);
  folder_free(&f);
  return s < 0 ? s : mcl_ok(err);
}
