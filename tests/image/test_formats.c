// What a build reads and writes: the formats that mcl_build_info() names, and of the others it says that it has none.
// The one program of images that runs in builds without them.
#include "support/suite.h"

#include <stdio.h>
#include <string.h>

#include <libmcl/dataset.h>
#include <libmcl/image.h>

#include "base/file.h"

static mcl_context *c;
static mcl_error err;
static char directory[4096];

// One grey pixel, 77.
static const uint8_t png[] = {0x89, 0x50, 0x4E, 0x47, 13,   10,   0x1A, 10,   0,    0, 0, 13,
                              0x49, 0x48, 0x44, 0x52, 0,    0,    0,    1,    0,    0, 0, 1,
                              8,    0,    0,    0,    0,    0x3A, 0x7E, 0x9B, 0x55, 0, 0, 0,
                              10,   0x49, 0x44, 0x41, 0x54, 0x78, 0xDA, 0x63, 0xF0, 5, 0, 0,
                              0x4F, 0,    0x4E, 0xC4, 3,    0x7B, 0xE1, 0,    0,    0, 0, 0x49,
                              0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82};

// One grey pixel, 128: divisors of 1, and of both tables one code, for a difference of 0 and for "no more".
static const uint8_t jpeg_head[] = {0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0};
static const uint8_t jpeg_tail[] = {
    0xFF, 0xC0, 0, 11, 8,    0, 1, 0, 1,  1, 1,    0x11, 0, // one component
    0xFF, 0xC4, 0, 20, 0,    1, 0, 0, 0,  0, 0,    0,    0,
    0,    0,    0, 0,  0,    0, 0, 0, 0, // DC: 0
    0xFF, 0xC4, 0, 20, 0x10, 1, 0, 0, 0,  0, 0,    0,    0,
    0,    0,    0, 0,  0,    0, 0, 0, 0, // AC: the end
    0xFF, 0xDA, 0, 8,  1,    1, 0, 0, 63, 0, 0x3F, 0xFF, 0xD9};

static size_t jpeg_of(uint8_t *to) {
  memcpy(to, jpeg_head, sizeof jpeg_head);
  memset(to + sizeof jpeg_head, 1, 64);
  memcpy(to + sizeof jpeg_head + 64, jpeg_tail, sizeof jpeg_tail);
  return sizeof jpeg_head + 64 + sizeof jpeg_tail;
}

static const char *in(const char *name) {
  static char path[4200];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

static void start(void) {
  c = test_context(2);
  strcpy(directory, test_directory("formats"));
}

static void check_format(const char *name, const char *said, const uint8_t *bytes, size_t n,
                         uint8_t value) {
  uint8_t pixel = 1;
  mcl_array out = mcl_images_u8(&pixel, 1, 1, 1, 1);
  out.ndim = 3, out.strides[0] = out.strides[1] = 1;
  int32_t height = 0;
  if (test_has(name)) {
    CHECK_OK(mcl_image_decode(c, NULL, bytes, n, &out, &err));
    ck_assert_int_eq(pixel, value);
    CHECK_OK(mcl_image_size(c, NULL, bytes, n, &height, NULL, NULL, &err));
    ck_assert_int_eq(height, 1);
    return;
  }
  CHECK_FAILS(MCL_E_UNSUPPORTED, said, mcl_image_decode(c, NULL, bytes, n, &out, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, said,
              mcl_image_size(c, NULL, bytes, n, &height, NULL, NULL, &err));
  ck_assert_int_eq(pixel, 1);
  ck_assert_int_eq(height, 0);
}

START_TEST(a_format_is_read_or_it_is_said_that_the_build_has_none) {
  uint8_t jpeg[512];
  start();
  check_format("png", "has no PNG", png, sizeof png, 77);
  check_format("jpeg", "has no JPEG", jpeg, jpeg_of(jpeg), 128);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_png_is_written_or_the_file_is_named) {
  uint8_t pixels[4] = {1, 2, 3, 4};
  mcl_array a = mcl_images_u8(pixels, 1, 2, 2, 1);
  a.ndim = 3;
  memmove(a.shape, a.shape + 1, 3 * sizeof *a.shape), a.shape[3] = 1;
  memmove(a.strides, a.strides + 1, 3 * sizeof *a.strides);
  start();
  if (test_has("png")) {
    CHECK_OK(mcl_image_write_png(c, in("x.png"), &a, &err));
  } else {
    CHECK_FAILS(MCL_E_UNSUPPORTED, "x.png", mcl_image_write_png(c, in("x.png"), &a, &err));
    CHECK_FAILS(MCL_E_INVALID, "path", mcl_image_write_png(c, NULL, &a, &err));
    CHECK_FAILS(MCL_E_INVALID, "context", mcl_image_write_png(NULL, in("x.png"), &a, &err));
  }
  ck_assert_int_eq(mcli_file_exists(in("x.png")), test_has("png"));
  mcl_context_unref(c);
}
END_TEST

// Left out are bad files, not half of a folder.
START_TEST(a_folder_with_a_format_that_the_build_has_not_is_refused_by_the_files_name) {
  uint8_t jpeg[512];
  size_t n = jpeg_of(jpeg);
  mcl_dataset *d = NULL;
  mcl_folder_options o;
  mcl_folder_options_init(&o, sizeof o);
  o.height = o.width = 1;
  start();
  static const struct {
    const char *format, *name;
  } kinds[] = {{"png", "a.png"}, {"jpeg", "b.jpg"}};
  for (int kind = 0; kind < 2; kind++) {
    char name[64];
    CHECK_OK(mcli_directory_make(c, in(kinds[kind].format), &err));
    snprintf(name, sizeof name, "%s/%s", kinds[kind].format, kinds[kind].name);
    CHECK_OK(mcli_file_write_all(c, in(name), kind ? jpeg : png, (int64_t)(kind ? n : sizeof png),
                                 &err));
    if (test_has(kinds[kind].format)) {
      CHECK_OK(mcl_dataset_create_folder(c, in(kinds[kind].format), &o, NULL, &d, &err));
      ck_assert_int_eq(mcl_dataset_rows(d), 1);
      mcl_dataset_unref(d);
      continue;
    }
    CHECK_FAILS(MCL_E_UNSUPPORTED, kinds[kind].name,
                mcl_dataset_create_folder(c, in(kinds[kind].format), &o, NULL, &d, &err));
    CHECK_FAILS(MCL_E_UNSUPPORTED, "this build of libmcl has no",
                mcl_dataset_create_folder(c, in(kinds[kind].format), &o, NULL, &d, &err));
    ck_assert_ptr_null(d);
  }
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("image", a_format_is_read_or_it_is_said_that_the_build_has_none,
          a_png_is_written_or_the_file_is_named,
          a_folder_with_a_format_that_the_build_has_not_is_refused_by_the_files_name)
