// A folder of images that the input describes: three bytes of choices, then an entry after the other, of any kind, under any
// name, in any of the folders so far.
//
//   there are rows or a refusal; where nothing is wrong but files, they are left out                     (1)
//   names are the paths of files, each once; labels are those of the first sub-folders                   (2)
//   rows are the same a second time, in floats, one by one, and whether they are kept or decoded again   (3)
//   a bad file is an error where it shall be, and then it is named                                       (4)
#include <libmcl/dataset.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"

const int fuzz_large = FUZZ_FINDING;

enum { MOST_ENTRIES = 40, MOST_FOLDERS = 36, MOST_SIDE = 6, PATH = 512 };
enum { CROP = 1, BOX = 2, FAIL = 4, KEEP = 8, SMALL = 16, TRUNCATED = 32, WRONG = 64 };

// ---- making it ----------------------------------------------------------------------------------

typedef struct tree {
  char folders[MOST_FOLDERS][PATH]; // paths from the root, "" first
  int n;
  const char *root;
} tree;

// A small image, grey or in colour.
static const uint8_t *image(int which, size_t *n) {
  static uint8_t *files[2], pixels[3 * 4 * 3];
  static size_t sizes[2];
  mcl_error err;
  mcl_context *own = NULL;
  if (!files[which]) {
    const char *path = fuzz_path("small.png");
    const int64_t shape[3] = {3, 4, which ? 3 : 1};
    mcl_array a;
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 29);
    mcl_array_init(&a, pixels, MCL_U8, 3, shape);
    if (mcl_context_create(NULL, &own, &err) < 0 || mcl_image_write_png(own, path, &a, &err) < 0)
      fuzz_fail("%s", err.message);
    mcl_context_unref(own);
    files[which] = fuzz_get(path, &sizes[which]);
  }
  *n = sizes[which];
  return files[which];
}

// A name of a few bytes, whatever they are but '/' and NUL, or one of the usual ones; with an ending, mostly.
static void take_name(fuzz_bytes *b, char name[64]) {
  static const char *const usual[] = {"a", "b", "B", "x.png", "loop", ".hidden", "\xFF\xFE", "a b"};
  static const char *const endings[] = {".png", ".PNG", ".jpg", ".Jpeg",
                                        "",     ".txt", ".png", ".png"};
  size_t n = (size_t)fuzz_below(b, 12), used = 0;
  if (n < 8)
    used = (size_t)snprintf(name, 32, "%s", usual[n]);
  else
    for (; used < n - 6; used++) {
      uint8_t byte = (uint8_t)fuzz_bits(b, 1);
      name[used] = (char)(byte == 0 || byte == '/' ? '_' : byte);
    }
  snprintf(name + used, 32, "%s", endings[fuzz_below(b, 8)]);
}

static void put(const char *path, const uint8_t *bytes, size_t n) {
  FILE *f = fopen(path, "wbx"); // x: never into a pipe of that name, which would wait for a reader
  if (!f) return;
  fwrite(bytes, 1, n, f);
  fclose(f);
}

static void add_folder(tree *t, const char *relative, const char *path) {
  if (t->n == MOST_FOLDERS || strlen(relative) > PATH - 100 || mkdir(path, 0777)) return;
  strcpy(t->folders[t->n++], relative);
}

static void add_entry(tree *t, fuzz_bytes *b) {
  enum { FOLDER, GREY, COLOUR, BYTES, CUT, EMPTY, TO_FOLDER, TO_NOWHERE, TO_ROOT, PIPE, KINDS };
  char name[64], relative[PATH + 64], path[2 * PATH];
  size_t n;
  int kind = (int)fuzz_below(b, KINDS);
  const char *in = t->folders[fuzz_below(b, t->n)];
  take_name(b, name);
  snprintf(relative, sizeof relative, "%s%s%s", in, *in ? "/" : "", name);
  snprintf(path, sizeof path, "%s/%s", t->root, relative);
  const uint8_t *png = image(kind == COLOUR, &n);
  fuzz_bytes part = kind == BYTES ? fuzz_part(b) : (fuzz_bytes){0};
  int failed = 0;
  if (kind == FOLDER) add_folder(t, relative, path);
  if (kind == GREY || kind == COLOUR) put(path, png, n);
  if (kind == BYTES) put(path, part.at, part.n);
  if (kind == CUT) put(path, png, n / 2);
  if (kind == EMPTY) put(path, png, 0);
  if (kind == TO_FOLDER) {
    char to[2 * PATH];
    snprintf(to, sizeof to, "%s/%s", t->root, t->folders[fuzz_below(b, t->n)]);
    failed = symlink(to, path);
  }
  if (kind == TO_NOWHERE) failed = symlink("nowhere", path);
  if (kind == TO_ROOT) failed = symlink(t->root, path);
  if (kind == PIPE) failed = mkfifo(path, 0666);
  (void)failed; // a name that is there already
}

// ---- what must hold -----------------------------------------------------------------------------

static size_t row_bytes(const mcl_folder_options *o) {
  return (size_t)o->height * (size_t)o->width * 3;
}

// Rows `indices`, to be freed; NULL without memory.
static void *load(mcl_dataset *d, const mcl_folder_options *o, const int64_t *indices, int64_t n,
                  int32_t dtype) {
  mcl_error err;
  mcl_array a;
  const int64_t shape[4] = {n, o->height, o->width, 3};
  size_t size = (size_t)n * row_bytes(o) * (dtype == MCL_F32 ? 4 : 1);
  void *to = fuzz_room(size);
  mcl_array_init(&a, to, dtype, 4, shape);
  if (fuzz_ok(mcl_dataset_load(d, indices, n, 0, &a, &err), &err)) return to;
  fuzz_untouched(to, size, "mcl_dataset_load");
  if (!fuzz_memory_may_fail()) fuzz_fail("not loaded: %s", err.message);
  free(to);
  return NULL;
}

// (3)
static void check_rows(mcl_dataset *d, mcl_dataset *other, const mcl_folder_options *o) {
  int64_t n = mcl_dataset_rows(d), indices[MOST_ENTRIES];
  for (int64_t i = 0; i < n; i++) indices[i] = n - 1 - i;
  uint8_t *x = load(d, o, indices, n, MCL_U8), *y = load(other, o, indices, n, MCL_U8), *one;
  float *z = load(d, o, indices, n, MCL_F32);
  if (x && y && memcmp(x, y, (size_t)n * row_bytes(o)))
    fuzz_fail("kept rows are others than decoded ones");
  for (size_t i = 0; x && z && i < (size_t)n * row_bytes(o); i++)
    if (z[i] != (float)x[i] / 255) fuzz_fail("a float is no byte over 255");
  for (int64_t i = 0; x && i < n; i++) {
    if ((one = load(d, o, indices + i, 1, MCL_U8)) &&
        memcmp(one, x + (size_t)i * row_bytes(o), row_bytes(o)))
      fuzz_fail("row %lld alone is another", (long long)i);
    free(one);
  }
  free(x);
  free(y);
  free(z);
}

static int32_t label_of(const mcl_dataset *d, int64_t row) {
  int32_t labels[MOST_ENTRIES];
  mcl_error err;
  return fuzz_ok(mcl_dataset_labels(d, labels, MOST_ENTRIES, &err), &err) ? labels[row] : -1;
}

// (2)
static void check_names(const mcl_dataset *d, const tree *t) {
  mcl_error err;
  char name[2 * PATH], last[2 * PATH] = "", path[4 * PATH], class_name[PATH];
  for (int64_t i = 0; i < mcl_dataset_rows(d); i++) {
    size_t wanted = 0;
    if (!fuzz_ok(mcl_dataset_name(d, i, name, sizeof name, &wanted, &err), &err) ||
        strlen(name) + 1 != wanted)
      fuzz_fail("row %lld has no name", (long long)i);
    snprintf(path, sizeof path, "%s/%s", t->root, name);
    if (access(path, F_OK) || strcmp(name, last) == 0) fuzz_fail("there is no other '%s'", name);
    strcpy(last, name);
    int32_t label = label_of(d, i);
    size_t n = strcspn(name, "/");
    if ((label < 0) != (name[n] == 0)) fuzz_fail("'%s' is of class %d", name, (int)label);
    if (label < 0) continue;
    if (!fuzz_ok(mcl_dataset_class_name(d, label, class_name, sizeof class_name, NULL, &err),
                 &err) ||
        strlen(class_name) != n || memcmp(class_name, name, n))
      fuzz_fail("'%s' is of class '%s'", name, class_name);
  }
}

static mcl_dataset *open_folder(mcl_context *c, const char *root, const mcl_folder_options *o,
                                mcl_error *err) {
  mcl_dataset *d = NULL;
  if (fuzz_ok(mcl_dataset_create_folder(c, root, o, NULL, &d, err), err)) return d;
  if (d) fuzz_fail("refused, and given");
  return NULL;
}

static void check(mcl_context *c, const tree *t, mcl_folder_options *o) {
  mcl_error err, why;
  mcl_dataset *d = open_folder(c, t->root, o, &err);
  mcl_folder_options again = *o;
  again.cache_bytes = o->cache_bytes ? 0 : 1 << 20;
  mcl_dataset *other = open_folder(c, t->root, &again, &why);
  if (!d != !other && !fuzz_memory_may_fail())
    fuzz_fail("kept or not: %s%s", d ? "" : err.message, other ? "" : why.message);
  mcl_dataset_report report;
  mcl_struct_init(&report, sizeof report);
  if (d && other) {
    if (!fuzz_ok(mcl_dataset_get_report(d, &report, &err), &err)) fuzz_fail("no report");
    if (report.rows < 1 || report.rows + report.skipped != report.files) // (1)
      fuzz_fail("%lld rows and %lld of %lld files", (long long)report.rows,
                (long long)report.skipped, (long long)report.files);
    if (o->on_bad_file == MCL_BAD_FILE_FAIL && report.skipped) fuzz_fail("a bad file is left out");
    if (mcl_dataset_fingerprint(d) != mcl_dataset_fingerprint(other))
      fuzz_fail("kept or not: another fingerprint");
    check_rows(d, other, o);
    check_names(d, t);
  } else if (!d && err.status != MCL_E_NOMEM && o->on_bad_file == MCL_BAD_FILE_SKIP &&
             err.status != MCL_E_LIMIT &&
             !strstr(err.message,
                     "images-of-folder")) { // (4); a folder that is too deep is named by its end
    fuzz_fail("the folder is not named: %s", err.message);
  }
  mcl_dataset_unref(d);
  mcl_dataset_unref(other);
}

static void refuse(mcl_context *c, const char *root, const mcl_folder_options *o) {
  mcl_folder_options wrong[9];
  mcl_image_options image_options = *o->image;
  mcl_dataset *d = NULL;
  mcl_error err;
  enum { N = sizeof wrong / sizeof *wrong };
  for (int i = 0; i < N; i++) wrong[i] = *o;
  wrong[0].cache_bytes = -1, wrong[1].height = 0, wrong[2].height = 16385, wrong[3].width = 0;
  wrong[4].width = 16385, wrong[5].on_bad_file = 0, wrong[6].on_bad_file = 3, wrong[7].reserved = 1;
  image_options.fit = 9, wrong[8].image = &image_options;
  for (int i = 0; i < N; i++)
    fuzz_refused(mcl_dataset_create_folder(c, root, &wrong[i], NULL, &d, &err), &err,
                 MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_folder(NULL, root, o, NULL, &d, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_folder(c, NULL, o, NULL, &d, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_folder(c, root, o, NULL, NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_folder(c, fuzz_path("no-folder"), o, NULL, &d, &err), &err,
               MCL_E_NOT_FOUND);
  if (d) fuzz_fail("refused, and given");
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_bytes b = {bytes, n};
  mcl_folder_options o;
  mcl_image_options image_options;
  uint64_t how = fuzz_bits(&b, 1);
  mcl_folder_options_init(&o, sizeof o);
  mcl_image_options_init(&image_options, sizeof image_options);
  image_options.fit = how & CROP ? MCL_FIT_CROP : MCL_FIT_STRETCH;
  image_options.filter = how & BOX ? MCL_FILTER_BOX : MCL_FILTER_TRIANGLE;
  image_options.max_pixels = how & SMALL ? 11 : 1 << 14;
  image_options.allow_truncated = how & TRUNCATED ? 1 : 0;
  o.image = &image_options;
  o.on_bad_file = how & FAIL ? MCL_BAD_FILE_FAIL : MCL_BAD_FILE_SKIP;
  o.cache_bytes = how & KEEP ? 1 << 20 : 0;
  o.height = 1 + (int32_t)fuzz_below(&b, MOST_SIDE);
  o.width = 1 + (int32_t)fuzz_below(&b, MOST_SIDE);
  static tree t;
  t.n = 1;
  static char root[PATH];
  snprintf(root, sizeof root, "%s", fuzz_empty("images-of-folder"));
  t.root = root;
  for (int i = 0; i < MOST_ENTRIES && b.n; i++) add_entry(&t, &b);
  check(context, &t, &o);
  if (how & WRONG) refuse(context, root, &o);
}
