// Every dataset that is read from files, opened and loaded with each of its file calls failing in turn: it says so and names a
// file, or gives the rows that it always gives. Never fewer, never others, without a word.
#include "support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "faults/bench.h"

enum { SIDE = 5, PIXELS = SIDE * SIDE * 3, ROWS = 3, CONTEXT = 6 };

static mcl_error err;

// ---- what is read ----------------------------------------------------------------------------------

static void put(const char *directory, const char *name, const void *bytes, size_t n) {
  FILE *f = fopen(kinds_path(directory, name), "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
  fclose(f);
}

static void put_text(const char *directory, const char *name, const char *text) {
  put(directory, name, text, strlen(text));
}

static void put_packed(const char *directory, const char *name, const void *bytes, unsigned n) {
  gzFile f = gzopen(kinds_path(directory, name), "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_int_eq(gzwrite(f, bytes, n), (int)n);
  ck_assert_int_eq(gzclose(f), Z_OK);
}

static void put_image(mcl_context *c, const char *directory, const char *name, int grey) {
  uint8_t pixels[PIXELS];
  mcl_array a, all = mcl_images_u8(pixels, 1, SIDE, SIDE, 3);
  for (int i = 0; i < PIXELS; i++) pixels[i] = (uint8_t)(grey + 3 * i);
  mcl_array_init(&a, pixels, MCL_U8, 3, all.shape + 1);
  CHECK_OK(mcl_image_write_png(c, kinds_path(directory, name), &a, &err));
}

static void put_folder(const char *directory, const char *name) {
  ck_assert(mkdir(kinds_path(directory, name), 0777) == 0 || errno == EEXIST);
}

static const uint8_t images_idx[] = {0, 0, 8, 3, 0,  0,  0,  ROWS, 0,  0,  0,  2,  0,  0,
                                     0, 2, 1, 2, 30, 40, 50, 60,   70, 80, 90, 91, 92, 93};
static const uint8_t labels_idx[] = {0, 0, 8, 1, 0, 0, 0, ROWS, 4, 0, 9};

static void put_idx(mcl_context *c, const char *directory) {
  (void)c;
  put(directory, "images", images_idx, sizeof images_idx);
  put_packed(directory, "labels.gz", labels_idx, sizeof labels_idx);
}

static mcl_dataset *idx(mcl_context *c, const char *directory) {
  mcl_dataset *d = NULL;
  (void)!mcl_dataset_create_idx(c, kinds_path(directory, "images"),
                                kinds_path(directory, "labels.gz"), &d, &err);
  return d;
}

static void put_classes(mcl_context *c, const char *directory) {
  put_folder(directory, "cats");
  put_folder(directory, "dogs");
  put_image(c, directory, "cats/1.png", 0);
  put_image(c, directory, "cats/2.png", 50);
  put_image(c, directory, "dogs/1.png", 100);
}

static mcl_folder_options folder_options(int64_t cache_bytes) {
  mcl_folder_options o;
  mcl_folder_options_init(&o, sizeof o);
  o.height = o.width = SIDE;
  o.on_bad_file = MCL_BAD_FILE_FAIL;
  o.cache_bytes = cache_bytes;
  return o;
}

static mcl_dataset *classes(mcl_context *c, const char *directory) {
  mcl_dataset *d = NULL;
  mcl_folder_options o = folder_options(1 << 20);
  (void)!mcl_dataset_create_folder(c, directory, &o, NULL, &d, &err);
  return d;
}

static mcl_dataset *classes_again(mcl_context *c, const char *directory) { // decoded at each load
  mcl_dataset *d = NULL;
  mcl_folder_options o = folder_options(0);
  (void)!mcl_dataset_create_folder(c, directory, &o, NULL, &d, &err);
  return d;
}

static void put_pairs(mcl_context *c, const char *directory) {
  static const char text[] = "a.png\ta cat\tone cat\nb.png\ta dog\n";
  put_image(c, directory, "a.png", 10);
  put_image(c, directory, "b.png", 90);
  put_text(directory, "merges.txt", "c a\nca t</w>\n");
  put_text(directory, "plain.tsv", text);
  put_packed(directory, "packed.tsv.gz", text, sizeof text - 1);
}

static mcl_dataset *pairs_of(mcl_context *c, const char *directory, const char *name) {
  mcl_dataset *d = NULL;
  mcl_tokenizer *t = NULL;
  mcl_tokenizer_options to;
  mcl_pairs_options po;
  mcl_folder_options images = folder_options(1 << 20);
  mcl_tokenizer_options_init(&to, sizeof to);
  mcl_pairs_options_init(&po, sizeof po);
  to.context = CONTEXT;
  po.images = &images;
  if (mcl_tokenizer_load(c, &to, NULL, kinds_path(directory, "merges.txt"), &t, &err) == MCL_OK)
    (void)!mcl_dataset_create_pairs(c, kinds_path(directory, name), t, &po, NULL, &d, &err);
  mcl_tokenizer_unref(t);
  return d;
}

static mcl_dataset *pairs(mcl_context *c, const char *directory) {
  return pairs_of(c, directory, "plain.tsv");
}

static mcl_dataset *packed_pairs(mcl_context *c, const char *directory) {
  return pairs_of(c, directory, "packed.tsv.gz");
}

static void put_questions(mcl_context *c, const char *directory) {
  put_image(c, directory, "a.png", 10);
  put_image(c, directory, "b.png", 90);
  put_text(directory, "q.csv", "a.png,b.png,a cat,a dog,animals\nb.png,a.png,two,one,numbers\n");
}

static mcl_dataset *questions(mcl_context *c, const char *directory) {
  mcl_dataset *d = NULL;
  mcl_pairs_options po;
  mcl_folder_options images = folder_options(1 << 20);
  mcl_pairs_options_init(&po, sizeof po);
  po.images = &images;
  (void)!mcl_dataset_create_questions(c, kinds_path(directory, "q.csv"), NULL, &po, NULL, &d, &err);
  return d;
}

static const struct {
  const char *name;
  void (*put)(mcl_context *c, const char *directory);
  mcl_dataset *(*open)(mcl_context *c, const char *directory); // NULL: why is in `err`
} sources[] = {{"of_idx", put_idx, idx},
               {"of_folder", put_classes, classes},
               {"of_folder_again", put_classes, classes_again},
               {"of_pairs", put_pairs, pairs},
               {"of_packed_pairs", put_pairs, packed_pairs},
               {"of_questions", put_questions, questions}};
enum { SOURCES = sizeof sources / sizeof *sources };

// ---- what is seen ----------------------------------------------------------------------------------

// Every row of every modality, labels where there are some, and the fingerprint.
static mcl_status look(mcl_dataset *d, seen *s) {
  int64_t rows = mcl_dataset_rows(d), indices[8];
  uint64_t print = mcl_dataset_fingerprint(d);
  float x[SEEN], halves[2] = {(float)(print >> 40), (float)(print & 0xFFFFFF)};
  ck_assert_int_le(rows, 8);
  for (int64_t i = 0; i < rows; i++) indices[i] = i;
  for (int32_t m = 0; m < mcl_dataset_modalities(d); m++) {
    mcl_array row, a;
    int64_t shape[4] = {rows, 1, 1, 1}, n = rows;
    CHECK_OK(mcl_dataset_shape(d, m, &row, &err));
    for (int32_t k = 0; k < row.ndim; k++) shape[k + 1] = row.shape[k], n *= row.shape[k];
    ck_assert_int_le(n, SEEN);
    mcl_array_init(&a, x, MCL_F32, row.ndim + 1, shape);
    mcl_status status = mcl_dataset_load(d, indices, rows, m, &a, &err);
    if (status < 0) return status;
    kinds_see(s, x, n);
  }
  int32_t labels[8];
  mcl_error none;
  if (mcl_dataset_labels(d, labels, 8, &none) == MCL_OK)
    for (int64_t i = 0; i < rows; i++) s->x[s->n++] = labels[i];
  kinds_see(s, halves, 2);
  return MCL_OK;
}

static mcl_status open_and_look(int source, mcl_context *c, const char *directory, seen *s) {
  mcl_dataset *d = sources[source].open(c, directory);
  mcl_status status = d ? look(d, s) : err.status;
  mcl_dataset_unref(d);
  return status;
}

#define SITE "%s, %s, call %lld (%s): "

// One opening with the n-th call failing: 0 when there was no n-th call.
static int fails(int source, mcl_context *c, const char *directory, const seen *wanted,
                 const fault *f, int64_t n) {
  seen s = {0};
  int open_before = files_descriptors();
  files_fail(n, f->calls, f->what, f->for_ever);
  mcl_status status = open_and_look(source, c, directory, &s);
  int failed = files_failed() > 0, which = files_failed_kind();
  files_fail(0, 0, 0, 0);
#define HERE sources[source].name, f->name, (long long)n, files_kind_name(which)
  ck_assert_msg(files_descriptors() == open_before, SITE "a descriptor is lost", HERE);
  ck_assert_msg(status == MCL_OK || (failed && !f->survived), SITE "%s", HERE, err.message);
  if (status == MCL_OK)
    ck_assert_msg(memcmp(&s, wanted, sizeof s) == 0, SITE "other rows", HERE);
  else {
    ck_assert_msg(status == MCL_E_IO, SITE "%s: %s", HERE, mcl_status_name(status), err.message);
    ck_assert_msg(strstr(err.message, sources[source].name) || strstr(err.message, ".png"),
                  SITE "no file is named: %s", HERE, err.message);
  }
  return failed;
#undef HERE
}

START_TEST(a_dataset_that_cannot_be_read_says_so) {
  mcl_context *c = test_context(1);
  char directory[4200];
  int64_t sites = 0;
  seen wanted = {0};
  snprintf(directory, sizeof directory, "%s", test_directory(sources[_i].name));
  sources[_i].put(c, directory);
  CHECK_OK(open_and_look(_i, c, directory, &wanted));
  ck_assert_int_gt(wanted.n, 0);
  for (int f = 0; f < faults_count; f++)
    for (int64_t n = 1; fails(_i, c, directory, &wanted, &faults[f], n); n++) sites++;
  ck_assert_int_ge(sites, 20);
  mcl_context_unref(c);
}
END_TEST

int main(void) {
  TCase *c = tcase_create("datasets");
  tcase_add_loop_test(c, a_dataset_that_cannot_be_read_says_so, 0, SOURCES);
  return test_run_case("datasets", c);
}
