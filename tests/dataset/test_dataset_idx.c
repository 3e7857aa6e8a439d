#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/file.h"
#include "dataset/data.h"

static mcl_context *c;
static mcl_error err;
static const char *directory;

enum { N = 5, H = 4, W = 3, C = 2 };

static const char *in(const char *name) {
  static char path[2][8300];
  static int turn;
  turn = !turn;
  snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
  return path[turn];
}

// An IDX file of `n` bytes of elements under this header, plain or packed.
static int64_t make_idx(unsigned char *file, int type, int ndim, const uint32_t *shape,
                        const uint8_t *elements, int64_t n) {
  int64_t at = 0;
  file[at++] = 0, file[at++] = 0, file[at++] = (unsigned char)type,
  file[at++] = (unsigned char)ndim;
  for (int i = 0; i < ndim; i++)
    for (int b = 24; b >= 0; b -= 8) file[at++] = (unsigned char)(shape[i] >> b);
  memcpy(file + at, elements, (size_t)n);
  return at + n;
}

static void put(const char *name, const unsigned char *file, int64_t n) {
  CHECK_OK(mcli_file_write_all(c, in(name), file, n, &err));
}

static void put_gz(const char *name, const unsigned char *file, int64_t n) {
  gzFile f = gzopen(in(name), "wb");
  ck_assert_int_eq(gzwrite(f, file, (unsigned)n), (int)n);
  ck_assert_int_eq(gzclose(f), Z_OK);
}

static uint8_t pixels[N * H * W * C];
static unsigned char file[4096];

static int64_t images3(void) {
  return make_idx(file, 8, 3, (uint32_t[]){N, H, W}, pixels, N * H * W);
}
static int64_t labels1(void) {
  return make_idx(file, 8, 1, (uint32_t[]){N}, (uint8_t[]){3, 0, 9, 200, 1}, N);
}

static void start(void) {
  c = test_context(2);
  directory = test_directory("idx");
  fill_bytes(pixels, sizeof pixels, 3);
  int64_t n = images3();
  put("images", file, n);
  put_gz("images.gz", file, n);
  n = labels1();
  put("labels", file, n);
  put_gz("labels.gz", file, n);
}

static void check_rows(mcl_dataset *d, int channels) {
  uint8_t out[H * W * C];
  int row = H * W * channels;
  mcl_array a = mcl_images_u8(out, 1, H, W, channels);
  ck_assert_int_eq(mcl_dataset_rows(d), N);
  for (int64_t i = 0; i < N; i++) {
    CHECK_OK(mcl_dataset_load(d, &i, 1, 0, &a, &err));
    ck_assert_mem_eq(out, pixels + i * row, (size_t)row);
  }
}

START_TEST(plain_and_gzipped_files_are_the_same_rows) {
  start();
  mcl_dataset *plain = NULL, *packed = NULL;
  CHECK_OK(mcl_dataset_create_idx(c, in("images"), in("labels"), &plain, &err));
  CHECK_OK(mcl_dataset_create_idx(c, in("images.gz"), in("labels.gz"), &packed, &err));
  check_rows(plain, 1);
  check_rows(packed, 1);
  int32_t labels[N];
  CHECK_OK(mcl_dataset_labels(packed, labels, N, &err));
  ck_assert_mem_eq(labels, ((int32_t[]){3, 0, 9, 200, 1}), sizeof labels);
  ck_assert_int_eq(report_of(packed).classes, 201);
  mcl_dataset *array = array_of(c, pixels, N, H, W, 1, NULL);
  ck_assert(mcl_dataset_fingerprint(plain) == mcl_dataset_fingerprint(array));
  ck_assert(mcl_dataset_fingerprint(plain) == mcl_dataset_fingerprint(packed));
  mcl_dataset_unref(array);
  mcl_dataset_unref(plain);
  mcl_dataset_unref(packed);
  mcl_context_unref(c);
}
END_TEST

START_TEST(four_dimensions_have_channels) {
  start();
  mcl_dataset *d = NULL;
  put("colour", file, make_idx(file, 8, 4, (uint32_t[]){N, H, W, C}, pixels, N * H * W * C));
  CHECK_OK(mcl_dataset_create_idx(c, in("colour"), NULL, &d, &err));
  check_rows(d, C);
  int32_t labels[N];
  CHECK_FAILS(MCL_E_NOT_FOUND, "no labels", mcl_dataset_labels(d, labels, N, &err));
  mcl_dataset_unref(d);
  mcl_context_unref(c);
}
END_TEST

START_TEST(labels_may_be_wider_integers) {
  start();
  const uint8_t bytes1[] = {1, 2, 3, 4, 127};
  const uint8_t bytes2[] = {0, 1, 0, 2, 1, 0, 0x7F, 0xFF, 0, 0};
  const uint8_t bytes4[] = {0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 0, 0x7F, 0xFF, 0xFF, 0xFE, 0, 0, 0, 0};
  const int32_t wanted[3][N] = {
      {1, 2, 3, 4, 127}, {1, 2, 256, 32767, 0}, {1, 2, 65536, 0x7FFFFFFE, 0}};
  const uint8_t *const elements[3] = {bytes1, bytes2, bytes4};
  const int types[3] = {0x09, 0x0B, 0x0C}, sizes[3] = {1, 2, 4};
  for (int k = 0; k < 3; k++) {
    mcl_dataset *d = NULL;
    int32_t labels[N];
    put("wide", file, make_idx(file, types[k], 1, (uint32_t[]){N}, elements[k], N * sizes[k]));
    CHECK_OK(mcl_dataset_create_idx(c, in("images"), in("wide"), &d, &err));
    CHECK_OK(mcl_dataset_labels(d, labels, N, &err));
    ck_assert_mem_eq(labels, wanted[k], sizeof labels);
    mcl_dataset_unref(d);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_negative_label_is_an_error_with_its_row_and_file) {
  start();
  mcl_dataset *d = NULL;
  put("negative", file, make_idx(file, 9, 1, (uint32_t[]){N}, (uint8_t[]){1, 2, 0xFE, 4, 0xFF}, N));
  CHECK_FAILS(MCL_E_LIMIT, "label 2",
              mcl_dataset_create_idx(c, in("images"), in("negative"), &d, &err));
  ck_assert_ptr_nonnull(strstr(err.message, "negative is -2"));
  ck_assert_int_eq(err.row, 2);
  const uint8_t low[] = {0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  put("negative", file, make_idx(file, 0x0C, 1, (uint32_t[]){N}, low, sizeof low));
  CHECK_FAILS(MCL_E_LIMIT, "is -2147483648",
              mcl_dataset_create_idx(c, in("images"), in("negative"), &d, &err));
  ck_assert_ptr_null(d);
  mcl_context_unref(c);
}
END_TEST

START_TEST(too_few_or_too_many_labels_are_an_error_that_names_the_file) {
  start();
  mcl_dataset *d = NULL;
  put("four", file, make_idx(file, 8, 1, (uint32_t[]){4}, pixels, 4));
  CHECK_FAILS(MCL_E_SHAPE, "four has 4 labels for 5 images",
              mcl_dataset_create_idx(c, in("images"), in("four"), &d, &err));
  put("six", file, make_idx(file, 8, 1, (uint32_t[]){6}, pixels, 6));
  CHECK_FAILS(MCL_E_SHAPE, "six has 6 labels for 5 images",
              mcl_dataset_create_idx(c, in("images"), in("six"), &d, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_file_of_another_kind_is_a_format_error) {
  start();
  mcl_dataset *d = NULL;
  CHECK_FAILS(MCL_E_NOT_FOUND, "nowhere", mcl_dataset_create_idx(c, in("nowhere"), NULL, &d, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "nowhere",
              mcl_dataset_create_idx(c, in("images"), in("nowhere"), &d, &err));
  CHECK_FAILS(MCL_E_FORMAT, "labels has 1 dimensions, images have 3 or 4",
              mcl_dataset_create_idx(c, in("labels"), NULL, &d, &err));
  CHECK_FAILS(MCL_E_FORMAT, "images has 3 dimensions, labels have 1",
              mcl_dataset_create_idx(c, in("images"), in("images"), &d, &err));
  put("png", (const unsigned char *)"\x89PNG\r\n", 6);
  CHECK_FAILS(MCL_E_FORMAT, "png is not an IDX file",
              mcl_dataset_create_idx(c, in("png"), NULL, &d, &err));
  put("empty", file, 0);
  CHECK_FAILS(MCL_E_FORMAT, "empty is not", mcl_dataset_create_idx(c, in("empty"), NULL, &d, &err));
  put("scalar", (const unsigned char *)"\0\0\x08\0x", 5);
  CHECK_FAILS(MCL_E_FORMAT, "scalar", mcl_dataset_create_idx(c, in("scalar"), NULL, &d, &err));
  put("floats", file, make_idx(file, 0x0D, 3, (uint32_t[]){1, 1, 1}, pixels, 4));
  CHECK_FAILS(MCL_E_FORMAT, "type 0x0d", mcl_dataset_create_idx(c, in("floats"), NULL, &d, &err));
  put("shorts", file, make_idx(file, 0x0B, 3, (uint32_t[]){1, 1, 1}, pixels, 2));
  CHECK_FAILS(MCL_E_FORMAT, "images are of 0x08",
              mcl_dataset_create_idx(c, in("shorts"), NULL, &d, &err));
  put("five", file, make_idx(file, 8, 5, (uint32_t[]){1, 1, 1, 1, 1}, pixels, 1));
  CHECK_FAILS(MCL_E_FORMAT, "5 dimensions", mcl_dataset_create_idx(c, in("five"), NULL, &d, &err));
  put("none", file, make_idx(file, 8, 3, (uint32_t[]){0, 2, 2}, pixels, 0));
  CHECK_FAILS(MCL_E_FORMAT, "none has size 0",
              mcl_dataset_create_idx(c, in("none"), NULL, &d, &err));
  ck_assert_ptr_null(d);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_file_cut_short_anywhere_is_an_error_that_names_it) {
  start();
  mcl_dataset *d = NULL;
  int64_t whole = images3();
  for (int64_t n = 0; n < whole; n++) {
    put("cut", file, n);
    CHECK_FAILS(MCL_E_FORMAT, "cut", mcl_dataset_create_idx(c, in("cut"), NULL, &d, &err));
  }
  put("long", file, whole + 1);
  CHECK_FAILS(MCL_E_FORMAT, "long is too long",
              mcl_dataset_create_idx(c, in("long"), NULL, &d, &err));
  whole = labels1();
  for (int64_t n = 0; n < whole; n++) {
    put("cut", file, n);
    CHECK_FAILS(MCL_E_FORMAT, "cut", mcl_dataset_create_idx(c, in("images"), in("cut"), &d, &err));
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_damaged_gzip_is_an_error_that_names_it) {
  start();
  mcl_dataset *d = NULL;
  unsigned char *bytes = NULL;
  int64_t n = 0;
  CHECK_OK(mcli_file_read_all(c, in("images.gz"), 1 << 20, &bytes, &n, &err));
  put("half.gz", bytes, n / 2);
  CHECK_FAILS(MCL_E_FORMAT, "half.gz", mcl_dataset_create_idx(c, in("half.gz"), NULL, &d, &err));
  bytes[n - 6] ^= 1; // the checksum
  put("wrong.gz", bytes, n);
  CHECK_FAILS(MCL_E_FORMAT, "wrong.gz", mcl_dataset_create_idx(c, in("wrong.gz"), NULL, &d, &err));
  mcli_free(c, bytes);
  mcl_context_unref(c);
}
END_TEST

START_TEST(sizes_whose_product_is_absurd_are_refused_before_any_use) {
  start();
  mcl_dataset *d = NULL;
  put("huge", file,
      make_idx(file, 8, 4, (uint32_t[]){UINT32_MAX, UINT32_MAX, UINT32_MAX, 3}, pixels, 9));
  CHECK_FAILS(MCL_E_LIMIT, "huge claims over",
              mcl_dataset_create_idx(c, in("huge"), NULL, &d, &err));
  put("wide", file, make_idx(file, 8, 3, (uint32_t[]){5, 0x10000, 0x10000}, pixels, 9)); // 20 GiB
  CHECK_FAILS(MCL_E_LIMIT, "wide claims over",
              mcl_dataset_create_idx(c, in("wide"), NULL, &d, &err));
  put("lie", file, make_idx(file, 8, 3, (uint32_t[]){0x10000, 0x100, 0x100}, pixels, 9));
  CHECK_FAILS(MCL_E_FORMAT, "lie is cut short",
              mcl_dataset_create_idx(c, in("lie"), NULL, &d, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_long_path_keeps_the_files_name_and_the_reason) {
  start();
  mcl_dataset *d = NULL;
  char path[8300];
  snprintf(path, sizeof path, "%s/", directory);
  for (int i = 0; i < 40; i++) strcat(path, "./././");
  strcat(path, "labels");
  CHECK_FAILS(MCL_E_FORMAT, "labels has 1 dimensions, images have 3 or 4",
              mcl_dataset_create_idx(c, path, NULL, &d, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_shortened_path_begins_with_a_whole_character) {
  start();
  mcl_dataset *d = NULL;
  for (int shift = 0; shift < 2; shift++) { // one of them is cut inside a character
    char name[256] = "xx";
    name[shift + 1] = 0;
    for (int i = 0; i < 100; i++) strcat(name, "\xC3\xA9");
    put(name, (const unsigned char *)"no", 2);
    CHECK_FAILS(MCL_E_FORMAT, "is not an IDX file",
                mcl_dataset_create_idx(c, in(name), NULL, &d, &err));
    ck_assert_int_eq((unsigned char)err.message[0], 0xC3);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_header_with_any_bit_changed_is_refused_by_name) {
  start();
  int64_t n = images3();
  for (int64_t at = 0; at < 16; at++)
    for (int bit = 0; bit < 8; bit++) {
      mcl_dataset *d = NULL;
      file[at] ^= (unsigned char)(1 << bit);
      put("flip", file, n);
      file[at] ^= (unsigned char)(1 << bit);
      mcl_status s = mcl_dataset_create_idx(c, in("flip"), NULL, &d, &err);
      ck_assert_msg(s == MCL_E_FORMAT || s == MCL_E_LIMIT, "byte %d: %s", (int)at, err.message);
      ck_assert_ptr_nonnull(strstr(err.message, "flip"));
    }
  mcl_context_unref(c);
}
END_TEST

START_TEST(null_arguments_are_refused) {
  start();
  mcl_dataset *d = NULL;
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_dataset_create_idx(NULL, in("images"), NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "images is NULL", mcl_dataset_create_idx(c, NULL, NULL, &d, &err));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL",
              mcl_dataset_create_idx(c, in("images"), NULL, NULL, &err));
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("dataset", plain_and_gzipped_files_are_the_same_rows, four_dimensions_have_channels,
          labels_may_be_wider_integers, a_negative_label_is_an_error_with_its_row_and_file,
          too_few_or_too_many_labels_are_an_error_that_names_the_file,
          a_file_of_another_kind_is_a_format_error,
          a_file_cut_short_anywhere_is_an_error_that_names_it,
          a_damaged_gzip_is_an_error_that_names_it,
          sizes_whose_product_is_absurd_are_refused_before_any_use,
          a_long_path_keeps_the_files_name_and_the_reason,
          a_shortened_path_begins_with_a_whole_character,
          a_header_with_any_bit_changed_is_refused_by_name, null_arguments_are_refused)
