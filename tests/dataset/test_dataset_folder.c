#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// jpeglib.h needs stdio.h before it.
#include <jpeglib.h>

#include "base/file.h"
#include "dataset/data.h"

static mcl_context *c;
static mcl_error err;
static char directory[4096];

enum { H = 6, W = 5 };

// ---- a log that can be read ---------------------------------------------------------------------

static char logged[8192];
static int lines;

static void listen(void *user, int32_t level, const char *component, const char *message) {
  (void)user;
  if (strcmp(component, "gemm") == 0) return; // a shared BLIS's kernels
  ck_assert_int_eq(level, MCL_LOG_WARN);
  ck_assert_str_eq(component, "dataset");
  strncat(logged, message, sizeof logged - strlen(logged) - 2);
  strcat(logged, "\n");
  lines++;
}

static void start(uint32_t threads, const char *name) {
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.threads = threads;
  o.log = listen;
  logged[0] = 0, lines = 0;
  CHECK_OK(mcl_context_create(&o, &c, &err));
  snprintf(directory, sizeof directory, "%s", test_directory(name));
}

// ---- files --------------------------------------------------------------------------------------

static const char *in(const char *name) {
  static char path[4][8300];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
  return path[turn];
}

static void make_folder(const char *name) {
  CHECK_OK(mcli_directory_make(c, in(name), &err));
}

// An image of H x W whose pixels are a function of `seed`.
static void image(uint8_t *out, uint64_t seed) {
  fill_bytes(out, H * W * 3, seed + 100);
}

static void put_png(const char *name, uint64_t seed) {
  uint8_t pixels[H * W * 3];
  image(pixels, seed);
  mcl_array a;
  mcl_array_init(&a, pixels, MCL_U8, 3, (int64_t[]){H, W, 3});
  CHECK_OK(mcl_image_write_png(c, in(name), &a, &err));
}

// The same image under another name, without the flush to the disk of mcl_image_write_png().
static void copy_png(const char *name, const char *from) {
  unsigned char *bytes = NULL;
  int64_t n = 0;
  CHECK_OK(mcli_file_read_all(c, in(from), 1 << 20, &bytes, &n, &err));
  FILE *f = fopen(in(name), "wb");
  ck_assert_int_eq((int64_t)fwrite(bytes, 1, (size_t)n, f), n);
  ck_assert_int_eq(fclose(f), 0);
  mcli_free(c, bytes);
}

static void put_text(const char *name, const char *text) {
  CHECK_OK(mcli_file_write_all(c, in(name), text, (int64_t)strlen(text), &err));
}

// A grey JPEG of one value, which survives the codec exactly.
static void put_jpeg(const char *name, uint8_t value) {
  struct jpeg_compress_struct j;
  struct jpeg_error_mgr e;
  unsigned char row[8];
  JSAMPROW rows[1] = {row};
  FILE *f = fopen(in(name), "wb");
  memset(row, value, sizeof row);
  j.err = jpeg_std_error(&e);
  jpeg_create_compress(&j);
  jpeg_stdio_dest(&j, f);
  j.image_width = j.image_height = 8, j.input_components = 1, j.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&j);
  jpeg_start_compress(&j, TRUE);
  while (j.next_scanline < 8) jpeg_write_scanlines(&j, rows, 1);
  jpeg_finish_compress(&j);
  jpeg_destroy_compress(&j);
  fclose(f);
}

static mcl_folder_options options(void) {
  mcl_folder_options o;
  mcl_folder_options_init(&o, sizeof o);
  o.height = H, o.width = W;
  return o;
}

static mcl_dataset *open_folder(const mcl_folder_options *o) {
  mcl_dataset *d = NULL;
  CHECK_OK(mcl_dataset_create_folder(c, directory, o, NULL, &d, &err));
  return d;
}

static void check_row(mcl_dataset *d, int64_t row, uint64_t seed) {
  uint8_t out[H * W * 3], wanted[H * W * 3];
  mcl_array a = mcl_images_u8(out, 1, H, W, 3);
  image(wanted, seed);
  CHECK_OK(mcl_dataset_load(d, &row, 1, 0, &a, &err));
  ck_assert_mem_eq(out, wanted, sizeof out);
}

static void stop(mcl_dataset *d) {
  mcl_dataset_unref(d);
  mcl_context_unref(c);
}

// Two classes and a top level: a/0.png a/1.PNG b/x/2.png b/3.Jpeg 4.jpg
static void make_tree(void) {
  make_folder("a");
  make_folder("b/x");
  put_png("a/0.png", 0);
  put_png("a/1.PNG", 1);
  put_png("b/x/2.png", 2);
  put_jpeg("b/3.Jpeg", 77);
  put_png("4.jpg", 4); // what a file is, its bytes say
  put_text("a/notes.txt", "not an image");
  put_text("png", "not an image either");
}

// ---- tests --------------------------------------------------------------------------------------

START_TEST(files_are_rows_in_the_order_of_their_names) {
  start(2, "folder-order");
  make_tree();
  mcl_folder_options o = options();
  mcl_dataset *d = open_folder(&o);
  static const char *const names[5] = {"4.jpg", "a/0.png", "a/1.PNG", "b/3.Jpeg", "b/x/2.png"};
  ck_assert_int_eq(mcl_dataset_rows(d), 5);
  for (int64_t i = 0; i < 5; i++) ck_assert_str_eq(name_of(d, i), names[i]);
  check_row(d, 0, 4);
  check_row(d, 1, 0);
  check_row(d, 2, 1);
  check_row(d, 4, 2);
  uint8_t grey[H * W * 3];
  mcl_array a = mcl_images_u8(grey, 1, H, W, 3);
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){3}, 1, 0, &a, &err));
  for (size_t i = 0; i < sizeof grey; i++) ck_assert_int_eq(grey[i], 77);
  mcl_dataset_report r = report_of(d);
  ck_assert_int_eq(r.files, 5);
  ck_assert_int_eq(r.rows, 5);
  ck_assert_int_eq(r.skipped, 0);
  ck_assert_int_eq(r.cached, 1);
  ck_assert_int_eq(lines, 0);
  stop(d);
}
END_TEST

START_TEST(the_first_sub_folder_is_the_class) {
  start(1, "folder-class");
  make_tree();
  mcl_folder_options o = options();
  mcl_dataset *d = open_folder(&o);
  int32_t labels[5];
  CHECK_OK(mcl_dataset_labels(d, labels, 5, &err));
  ck_assert_mem_eq(labels, ((int32_t[]){-1, 0, 0, 1, 1}), sizeof labels);
  ck_assert_int_eq(report_of(d).classes, 2);
  ck_assert_str_eq(class_of(d, 0), "a");
  ck_assert_str_eq(class_of(d, 1), "b");
  stop(d);
}
END_TEST

START_TEST(classes_are_sorted_by_their_names_not_by_their_paths) {
  // As paths "a-b/0.png" is before "a/0.png"; as names "a" is before "a-b".
  start(1, "folder-sort");
  static const char *const folders[4] = {"a", "a-b", "a b", "B"};
  for (int i = 0; i < 4; i++) {
    char name[64];
    make_folder(folders[i]);
    snprintf(name, sizeof name, "%s/0.png", folders[i]);
    put_png(name, (uint64_t)i);
  }
  mcl_folder_options o = options();
  mcl_dataset *d = open_folder(&o);
  static const char *const wanted[4] = {"B", "a", "a b", "a-b"};
  for (int32_t i = 0; i < 4; i++) ck_assert_str_eq(class_of(d, i), wanted[i]);
  check_row(d, 0, 3);
  check_row(d, 1, 0);
  stop(d);
}
END_TEST

START_TEST(a_flat_folder_has_no_labels) {
  start(1, "folder-flat");
  make_folder("empty"); // no images: no class
  put_png("x.png", 1);
  mcl_folder_options o = options();
  mcl_dataset *d = open_folder(&o);
  int32_t labels[1];
  CHECK_FAILS(MCL_E_NOT_FOUND, "no labels", mcl_dataset_labels(d, labels, 1, &err));
  ck_assert_int_eq(report_of(d).classes, 0);
  stop(d);
}
END_TEST

START_TEST(images_are_resized_to_the_options_size) {
  start(1, "folder-size");
  put_jpeg("a.jpg", 10);
  mcl_dataset *d = open_folder(NULL);
  mcl_array row;
  CHECK_OK(mcl_dataset_shape(d, 0, &row, &err));
  ck_assert_int_eq(row.shape[0], 64);
  ck_assert_int_eq(row.shape[1], 64);
  ck_assert_int_eq(row.shape[2], 3);
  static uint8_t out[64 * 64 * 3];
  mcl_array a = mcl_images_u8(out, 1, 64, 64, 3);
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){0}, 1, 0, &a, &err));
  for (size_t i = 0; i < sizeof out; i++) ck_assert_int_eq(out[i], 10);
  stop(d);
}
END_TEST

static void make_bad(void) {
  make_tree();
  put_text("a/05.png", "this is no image");
  put_text("b/empty.jpeg", "");
  ck_assert_int_eq(symlink("/nowhere/at/all", in("c.png")), 0);
  ck_assert_int_eq(mkfifo(in("pipe.png"), 0600), 0);
}

START_TEST(bad_files_are_named_in_the_log_counted_and_left_out) {
  start(3, "folder-bad");
  make_bad();
  mcl_folder_options o = options();
  mcl_dataset *d = open_folder(&o);
  mcl_dataset_report r = report_of(d);
  ck_assert_int_eq(r.files, 9);
  ck_assert_int_eq(r.skipped, 4);
  ck_assert_int_eq(r.rows, 5);
  ck_assert_int_eq(mcl_dataset_rows(d), 5);
  ck_assert_int_eq(lines, 4);
  const char *first = strstr(logged, "left out a/05.png: "),
             *next = strstr(logged, "b/empty.jpeg: ");
  ck_assert_ptr_nonnull(first);
  ck_assert_ptr_nonnull(next);
  ck_assert(first < next); // in the order of the files
  ck_assert_ptr_nonnull(strstr(logged, "c.png: "));
  ck_assert_ptr_nonnull(strstr(logged, "pipe.png: "));
  static const char *const names[5] = {"4.jpg", "a/0.png", "a/1.PNG", "b/3.Jpeg", "b/x/2.png"};
  for (int64_t i = 0; i < 5; i++) ck_assert_str_eq(name_of(d, i), names[i]);
  int32_t labels[5];
  CHECK_OK(mcl_dataset_labels(d, labels, 5, &err));
  ck_assert_mem_eq(labels, ((int32_t[]){-1, 0, 0, 1, 1}), sizeof labels);
  check_row(d, 2, 1);
  check_row(d, 4, 2);
  stop(d);
}
END_TEST

START_TEST(a_bad_file_is_fatal_by_option_and_named) {
  start(2, "folder-fatal");
  make_bad();
  mcl_folder_options o = options();
  mcl_dataset *d = NULL;
  o.on_bad_file = MCL_BAD_FILE_FAIL;
  CHECK_FAILS(MCL_E_FORMAT,
              "a/05.png: ", mcl_dataset_create_folder(c, directory, &o, NULL, &d, &err));
  ck_assert_ptr_null(d);
  ck_assert_int_eq(lines, 0);
  stop(NULL);
}
END_TEST

START_TEST(a_class_whose_files_are_all_bad_keeps_its_number) {
  start(1, "folder-hollow");
  make_folder("a");
  make_folder("b");
  put_text("a/x.png", "bad");
  put_png("b/y.png", 1);
  mcl_folder_options o = options();
  mcl_dataset *d = open_folder(&o);
  int32_t label = 9;
  CHECK_OK(mcl_dataset_labels(d, &label, 1, &err));
  ck_assert_int_eq(label, 1);
  ck_assert_str_eq(class_of(d, 0), "a");
  stop(d);
}
END_TEST

START_TEST(a_folder_without_images_is_not_found_by_name) {
  start(1, "folder-empty");
  mcl_dataset *d = NULL;
  CHECK_FAILS(MCL_E_NOT_FOUND, "folder-empty",
              mcl_dataset_create_folder(c, directory, NULL, NULL, &d, &err));
  make_folder("sub/sub");
  put_text("sub/readme.txt", "x");
  CHECK_FAILS(MCL_E_NOT_FOUND, "folder-empty",
              mcl_dataset_create_folder(c, directory, NULL, NULL, &d, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "nowhere",
              mcl_dataset_create_folder(c, in("nowhere"), NULL, NULL, &d, &err));
  CHECK_FAILS(MCL_E_IO, "readme.txt",
              mcl_dataset_create_folder(c, in("sub/readme.txt"), NULL, NULL, &d, &err));
  put_text("sub/only.png", "bad");
  CHECK_FAILS(MCL_E_FORMAT,
              "sub/only.png: ", mcl_dataset_create_folder(c, directory, NULL, NULL, &d, &err));
  ck_assert_ptr_nonnull(strstr(err.message, "folder-empty"));
  ck_assert_ptr_null(d);
  stop(NULL);
}
END_TEST

START_TEST(one_image_is_a_dataset) {
  start(2, "folder-one");
  put_png("only.png", 8);
  mcl_folder_options o = options();
  mcl_dataset *d = open_folder(&o);
  ck_assert_int_eq(mcl_dataset_rows(d), 1);
  check_row(d, 0, 8);
  stop(d);
}
END_TEST

START_TEST(loops_of_links_are_walked_once) {
  start(1, "folder-loop");
  make_folder("a");
  make_folder("b");
  put_png("a/0.png", 0);
  put_png("b/1.png", 1);
  ck_assert_int_eq(symlink(".", in("here")), 0);
  // Six folders' worth of links to one another: as paths, more than can be walked.
  for (int i = 0; i < 6; i++) {
    char name[64];
    snprintf(name, sizeof name, "a/up%d", i);
    ck_assert_int_eq(symlink("..", in(name)), 0);
    snprintf(name, sizeof name, "b/side%d", i);
    ck_assert_int_eq(symlink("../a", in(name)), 0);
  }
  mcl_folder_options o = options();
  mcl_dataset *d = open_folder(&o);
  ck_assert_int_eq(mcl_dataset_rows(d), 2);
  ck_assert_str_eq(name_of(d, 0), "a/0.png");
  ck_assert_str_eq(name_of(d, 1), "b/1.png");
  stop(d);
}
END_TEST

START_TEST(links_to_folders_and_files_elsewhere_are_followed) {
  start(1, "folder-links");
  make_folder("elsewhere");
  make_folder("data");
  put_png("elsewhere/x.png", 3);
  put_png("y.png", 4);
  ck_assert_int_eq(symlink("../elsewhere", in("data/class")), 0);
  ck_assert_int_eq(symlink("../y.png", in("data/z.png")), 0);
  mcl_folder_options o = options();
  mcl_dataset *d = NULL;
  CHECK_OK(mcl_dataset_create_folder(c, in("data/"), &o, NULL, &d, &err));
  ck_assert_int_eq(mcl_dataset_rows(d), 2);
  ck_assert_str_eq(name_of(d, 0), "class/x.png");
  check_row(d, 0, 3);
  check_row(d, 1, 4);
  stop(d);
}
END_TEST

START_TEST(hundreds_of_folders_are_each_read_once) {
  start(1, "folder-many");
  char name[64];
  for (int i = 0; i < 150; i++) { // the set of folders grows twice
    snprintf(name, sizeof name, "k%03d", i);
    make_folder(name);
    snprintf(name, sizeof name, "k%03d/x.png", i);
    if (i == 0 || i == 149)
      put_png(name, (uint64_t)i);
    else
      copy_png(name, "k000/x.png");
  }
  ck_assert_int_eq(symlink("k000", in("last")), 0); // of the first that were seen
  mcl_folder_options o = options();
  mcl_dataset *d = open_folder(&o);
  ck_assert_int_eq(mcl_dataset_rows(d), 150);
  ck_assert_int_eq(report_of(d).classes, 150);
  ck_assert_str_eq(class_of(d, 149), "k149");
  check_row(d, 149, 149);
  stop(d);
}
END_TEST

START_TEST(folders_over_32_deep_are_refused) {
  start(1, "folder-deep");
  char path[256] = "d";
  for (int i = 1; i < 32; i++) strcat(path, "/d");
  make_folder(path);
  char file[300];
  snprintf(file, sizeof file, "%s/x.png", path);
  put_png(file, 5);
  mcl_folder_options o = options();
  mcl_dataset *d = open_folder(&o);
  ck_assert_int_eq(mcl_dataset_rows(d), 1);
  mcl_dataset_unref(d);
  strcat(path, "/d");
  make_folder(path);
  d = NULL;
  CHECK_FAILS(MCL_E_LIMIT, "32 deep", mcl_dataset_create_folder(c, directory, &o, NULL, &d, &err));
  ck_assert_ptr_null(d);
  stop(NULL);
}
END_TEST

START_TEST(rows_that_are_not_kept_are_the_same_rows) {
  start(2, "folder-uncached");
  make_bad();
  mcl_folder_options o = options();
  mcl_dataset *kept = open_folder(&o);
  o.cache_bytes = 5 * H * W * 3 - 1; // one byte short of the good files
  mcl_dataset *d = open_folder(&o);
  ck_assert_int_eq(report_of(d).cached, 0);
  ck_assert_int_eq(report_of(kept).cached, 1);
  ck_assert(mcl_dataset_fingerprint(d) == mcl_dataset_fingerprint(kept));
  float a[4 * H * W * 3], b[4 * H * W * 3];
  mcl_array x = mcl_images_f32(a, 4, H, W, 3), y = mcl_images_f32(b, 4, H, W, 3);
  const int64_t rows[4] = {4, 3, 0, 4};
  CHECK_OK(mcl_dataset_load(d, rows, 4, 0, &x, &err));
  CHECK_OK(mcl_dataset_load(kept, rows, 4, 0, &y, &err));
  ck_assert_mem_eq(a, b, sizeof a);
  for (int64_t i = 0; i < 5; i++) ck_assert_str_eq(name_of(d, i), name_of(kept, i));
  mcl_dataset_unref(kept);
  o.cache_bytes++;
  kept = open_folder(&o);
  ck_assert_int_eq(report_of(kept).cached, 1);
  mcl_dataset_unref(kept);
  stop(d);
}
END_TEST

START_TEST(rows_larger_than_a_batch_are_decoded_one_at_a_time) {
  start(1, "folder-huge");
  put_jpeg("a.jpg", 50);
  put_jpeg("b.jpg", 60);
  mcl_folder_options o = options();
  o.height = o.width = 4800; // 66 MiB a row
  o.cache_bytes = 0;
  mcl_dataset *d = open_folder(&o);
  ck_assert_int_eq(mcl_dataset_rows(d), 2);
  ck_assert_int_eq(report_of(d).cached, 0);
  stop(d);
}
END_TEST

START_TEST(a_file_that_goes_bad_later_fails_the_load_by_name) {
  start(2, "folder-later");
  make_tree();
  mcl_folder_options o = options();
  o.cache_bytes = 0;
  mcl_dataset *d = open_folder(&o);
  uint8_t out[2 * H * W * 3];
  memset(out, 3, sizeof out);
  mcl_array a = mcl_images_u8(out, 2, H, W, 3);
  put_text("a/1.PNG", "gone bad");
  CHECK_FAILS(MCL_E_FORMAT, "a/1.PNG: ", mcl_dataset_load(d, (int64_t[]){1, 2}, 2, 0, &a, &err));
  ck_assert_int_eq(err.row, 2);
  for (size_t i = 0; i < sizeof out; i++) ck_assert_int_eq(out[i], 3);
  ck_assert_int_eq(unlink(in("a/1.PNG")), 0);
  CHECK_FAILS(MCL_E_NOT_FOUND, "a/1.PNG", mcl_dataset_load(d, (int64_t[]){1, 2}, 2, 0, &a, &err));
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){1, 0}, 2, 0, &a, &err));
  stop(d);
}
END_TEST

// 300 files: more than one batch, some of them bad, on 1, 2 and 3 threads, kept and not.
START_TEST(rows_and_log_do_not_depend_on_threads_or_the_cache) {
  enum { FILES = 300 };
  static uint8_t out[2][FILES * H * W * 3];
  static char log[sizeof logged];
  static const char *const source[5] = {"000.png", "001.png", "002.png", "003.png", "004.png"};
  uint64_t fingerprint = 0;
  int64_t rows[FILES], good = 0;
  for (uint32_t run = 0; run < 4; run++) {
    mcl_folder_options o = options();
    start(run % 3 + 1, "folder-threads");
    for (int i = 0; i < FILES; i++) {
      char name[64];
      snprintf(name, sizeof name, "%03d.png", i);
      if (i % 37 == 5)
        put_text(name, "bad");
      else if (i < 5 || i == FILES - 1)
        put_png(name, (uint64_t)i);
      else
        copy_png(name, source[i % 5]);
    }
    if (run == 3) o.cache_bytes = 0;
    mcl_dataset *d = open_folder(&o);
    good = mcl_dataset_rows(d);
    ck_assert_int_eq(good, FILES - 8);
    ck_assert_int_eq(lines, 8);
    for (int64_t i = 0; i < good; i++) rows[i] = i;
    mcl_array a = mcl_images_u8(out[run > 0], good, H, W, 3);
    CHECK_OK(mcl_dataset_load(d, rows, good, 0, &a, &err));
    if (run == 0) {
      fingerprint = mcl_dataset_fingerprint(d);
      memcpy(log, logged, sizeof log);
    }
    ck_assert(mcl_dataset_fingerprint(d) == fingerprint);
    ck_assert_str_eq(logged, log);
    if (run > 0) ck_assert_mem_eq(out[0], out[1], (size_t)good * H * W * 3);
    stop(d);
  }
  uint8_t wanted[H * W * 3];
  image(wanted, 299);
  ck_assert_mem_eq(out[0] + (good - 1) * H * W * 3, wanted, sizeof wanted);
  image(wanted, 298 % 5);
  ck_assert_mem_eq(out[0] + (good - 2) * H * W * 3, wanted, sizeof wanted);
}
END_TEST

START_TEST(the_fingerprint_follows_names_sizes_and_the_image_size) {
  start(1, "folder-print");
  put_png("a.png", 1);
  put_png("b.png", 2);
  mcl_folder_options o = options();
  uint64_t f[6];
  mcl_dataset *d = open_folder(&o);
  f[0] = mcl_dataset_fingerprint(d);
  mcl_dataset_unref(d);
  d = open_folder(&o);
  ck_assert(mcl_dataset_fingerprint(d) == f[0]);
  mcl_dataset_unref(d);
  o.height++;
  d = open_folder(&o);
  f[1] = mcl_dataset_fingerprint(d);
  mcl_dataset_unref(d);
  o.height--;
  mcl_image_options i;
  mcl_image_options_init(&i, sizeof i);
  i.fit = MCL_FIT_CROP;
  o.image = &i;
  d = open_folder(&o);
  f[2] = mcl_dataset_fingerprint(d);
  mcl_dataset_unref(d);
  o.image = NULL;
  ck_assert_int_eq(rename(in("b.png"), in("c.png")), 0);
  d = open_folder(&o);
  f[3] = mcl_dataset_fingerprint(d);
  mcl_dataset_unref(d);
  put_jpeg("c.png", 9); // the same name, another size
  d = open_folder(&o);
  f[4] = mcl_dataset_fingerprint(d);
  mcl_dataset_unref(d);
  put_png("d.png", 3);
  d = open_folder(&o);
  f[5] = mcl_dataset_fingerprint(d);
  for (int a = 0; a < 6; a++)
    for (int b = 0; b < a; b++) ck_assert(f[a] != f[b]);
  stop(d);
}
END_TEST

static int32_t told, cancel_at;
static int32_t watch(void *user, const mcl_progress *p) {
  ck_assert_str_eq(p->phase, "decode");
  ck_assert_int_eq(p->total, 300);
  *(int64_t *)user = p->done;
  return ++told == cancel_at;
}

START_TEST(the_monitor_hears_of_the_end_and_can_cancel) {
  start(2, "folder-monitor");
  for (int i = 0; i < 300; i++) {
    char name[64];
    snprintf(name, sizeof name, "%03d.png", i);
    if (i == 0)
      put_png(name, 1);
    else
      copy_png(name, "000.png");
  }
  int64_t done = 0;
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.user = &done, m.progress = watch;
  mcl_folder_options o = options();
  mcl_dataset *d = NULL;
  told = 0, cancel_at = 0;
  CHECK_OK(mcl_dataset_create_folder(c, directory, &o, &m, &d, &err));
  ck_assert_int_eq(done, 300);
  mcl_dataset_unref(d);
  d = NULL;
  told = 0, cancel_at = 1;
  CHECK_FAILS(MCL_E_CANCELLED, "decode", mcl_dataset_create_folder(c, directory, &o, &m, &d, &err));
  ck_assert_ptr_null(d);
  ck_assert_int_eq(told, 1);
  m.struct_size = 0;
  CHECK_FAILS(MCL_E_INVALID, "monitor", mcl_dataset_create_folder(c, directory, &o, &m, &d, &err));
  stop(NULL);
}
END_TEST

START_TEST(a_file_over_the_image_limits_is_a_bad_file) {
  start(1, "folder-limits");
  put_png("a.png", 1);
  put_jpeg("b.jpg", 2);
  mcl_image_options i;
  mcl_image_options_init(&i, sizeof i);
  i.max_pixels = H * W; // the JPEG has 64
  mcl_folder_options o = options();
  o.image = &i;
  mcl_dataset *d = open_folder(&o);
  ck_assert_int_eq(mcl_dataset_rows(d), 1);
  ck_assert_ptr_nonnull(strstr(logged, "left out b.jpg: "));
  mcl_dataset_unref(d);
  i.max_pixels = 1 << 20;
  i.max_bytes = 20;
  CHECK_FAILS(MCL_E_FORMAT, "a.png: ", mcl_dataset_create_folder(c, directory, &o, NULL, &d, &err));
  ck_assert_ptr_nonnull(strstr(logged, "the limit is 20"));
  stop(NULL);
}
END_TEST

START_TEST(bad_options_are_named_before_any_file_is_read) {
  start(1, "folder-options");
  mcl_dataset *d = NULL;
  struct {
    int64_t cache_bytes;
    int32_t height, width, on_bad_file, reserved;
    const char *word;
  } t[] = {{-1, H, W, 1, 0, "cache_bytes is -1"},  {0, 0, W, 1, 0, "height is 0"},
           {0, 16385, W, 1, 0, "height is 16385"}, {0, H, -1, 1, 0, "width is -1"},
           {0, H, 16385, 1, 0, "width is 16385"},  {0, H, W, 0, 0, "on_bad_file is 0"},
           {0, H, W, 3, 0, "on_bad_file is 3"},    {0, H, W, 2, 5, "reserved is 5"}};
  for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
    mcl_folder_options o = options();
    o.cache_bytes = t[k].cache_bytes, o.height = t[k].height, o.width = t[k].width;
    o.on_bad_file = t[k].on_bad_file, o.reserved = t[k].reserved;
    CHECK_FAILS(MCL_E_INVALID, t[k].word,
                mcl_dataset_create_folder(c, "/nowhere", &o, NULL, &d, &err));
  }
  mcl_image_options i;
  mcl_image_options_init(&i, sizeof i);
  i.fit = 9;
  mcl_folder_options o = options();
  o.image = &i;
  CHECK_FAILS(MCL_E_INVALID, "fit", mcl_dataset_create_folder(c, "/nowhere", &o, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_dataset_create_folder(c, NULL, NULL, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "context",
              mcl_dataset_create_folder(NULL, directory, NULL, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "out",
              mcl_dataset_create_folder(c, directory, NULL, NULL, NULL, &err));
  o.struct_size = 0;
  CHECK_FAILS(MCL_E_INVALID, "mcl_folder_options",
              mcl_dataset_create_folder(c, directory, &o, NULL, &d, &err));
  stop(NULL);
}
END_TEST

START_TEST(wrappers_keep_a_folders_names_and_report) {
  start(1, "folder-wrapped");
  make_bad();
  mcl_folder_options o = options();
  mcl_dataset *d = open_folder(&o), *bits = NULL, *sub = NULL;
  CHECK_OK(mcl_dataset_create_randbits(c, d, 3, 1, &bits, &err));
  CHECK_OK(mcl_dataset_create_subset(c, bits, (int64_t[]){4, 0}, 2, &sub, &err));
  ck_assert_str_eq(name_of(sub, 0), "b/x/2.png");
  ck_assert_str_eq(class_of(sub, 1), "b");
  mcl_dataset_report r = report_of(sub);
  ck_assert_int_eq(r.files, 9);
  ck_assert_int_eq(r.skipped, 4);
  ck_assert_int_eq(r.rows, 2);
  int32_t labels[2];
  CHECK_OK(mcl_dataset_labels(sub, labels, 2, &err));
  ck_assert_int_eq(labels[0], 1);
  ck_assert_int_eq(labels[1], -1);
  mcl_dataset_unref(sub);
  mcl_dataset_unref(bits);
  stop(d);
}
END_TEST

typedef struct loader {
  mcl_dataset *d;
  uint8_t out[5 * H * W * 3];
  mcl_status status;
} loader;

static void *load_often(void *argument) {
  loader *l = argument;
  mcl_error e;
  for (int i = 0; i < 20 && l->status == MCL_OK; i++) {
    mcl_array a = mcl_images_u8(l->out, 5, H, W, 3);
    l->status = mcl_dataset_load(l->d, (int64_t[]){0, 1, 2, 3, 4}, 5, 0, &a, &e);
  }
  return NULL;
}

START_TEST(several_threads_may_load_at_once) {
  for (int cached = 0; cached < 2; cached++) {
    start(2, "folder-concurrent");
    make_tree();
    mcl_folder_options o = options();
    if (!cached) o.cache_bytes = 0;
    mcl_dataset *d = open_folder(&o);
    static loader l[2];
    pthread_t t;
    l[0] = l[1] = (loader){.d = d};
    ck_assert_int_eq(pthread_create(&t, NULL, load_often, &l[0]), 0);
    load_often(&l[1]);
    pthread_join(t, NULL);
    ck_assert_int_eq(l[0].status, MCL_OK);
    ck_assert_int_eq(l[1].status, MCL_OK);
    ck_assert_mem_eq(l[0].out, l[1].out, sizeof l[0].out);
    stop(d);
  }
}
END_TEST

RUN_TESTS("dataset", files_are_rows_in_the_order_of_their_names, the_first_sub_folder_is_the_class,
          classes_are_sorted_by_their_names_not_by_their_paths, a_flat_folder_has_no_labels,
          images_are_resized_to_the_options_size,
          bad_files_are_named_in_the_log_counted_and_left_out,
          a_bad_file_is_fatal_by_option_and_named, a_class_whose_files_are_all_bad_keeps_its_number,
          a_folder_without_images_is_not_found_by_name, one_image_is_a_dataset,
          loops_of_links_are_walked_once, links_to_folders_and_files_elsewhere_are_followed,
          hundreds_of_folders_are_each_read_once, folders_over_32_deep_are_refused,
          rows_that_are_not_kept_are_the_same_rows,
          rows_larger_than_a_batch_are_decoded_one_at_a_time,
          a_file_that_goes_bad_later_fails_the_load_by_name,
          rows_and_log_do_not_depend_on_threads_or_the_cache,
          the_fingerprint_follows_names_sizes_and_the_image_size,
          the_monitor_hears_of_the_end_and_can_cancel, a_file_over_the_image_limits_is_a_bad_file,
          bad_options_are_named_before_any_file_is_read, wrappers_keep_a_folders_names_and_report,
          several_threads_may_load_at_once)
