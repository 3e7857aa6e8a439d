// Sizes beyond 32 bits: what a file claims, and where its numbers lie, is never cut to a size_t. The same facts hold on 32 bits,
// where these programs run too (scripts/portability.sh). The files have holes, and take some kilobytes of the disk.
#include <fcntl.h>
#include <unistd.h>

#include <libmcl/dataset.h>
#include <libmcl/rows.h>

#include "store/checkpoint.h"
#include "store/npy.h"
#include "store/store_test.h"

static mcl_error err;

// Without large blocks.
static mcl_context *small_context(test_allocator *a) {
  test_allocator_init(a);
  a->most = 64 << 20;
  return test_context_with(a, 1);
}

// ---- files with holes --------------------------------------------------------------------------------------

// A file of `size` bytes that begins with head[0..n) and ends with tail[0..m), zero between them.
static const char *with_hole(const char *name, const void *head, size_t n, int64_t size,
                             const void *tail, size_t m) {
  const char *path = in(test_directory("sizes"), name);
  int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(pwrite(fd, head, n, 0), (int64_t)n);
  ck_assert_int_eq(ftruncate(fd, size), 0);
  ck_assert_int_eq(pwrite(fd, tail, m, size - (int64_t)m), (int64_t)m);
  ck_assert_int_eq(close(fd), 0);
  return path;
}

#define TWO_32 (INT64_C(1) << 32)
enum { DIM = 8 };

START_TEST(rows_behind_2_34_bytes_are_written_and_read) {
  const int64_t rows =
      TWO_32 / 4 + 3; // of 16 bytes: the low 32 bits of the last row's place are 32 and some
  mcl_context *c = test_context(2);
  const char *path = in(test_directory("sizes"), "far.npy");
  float first[DIM], last[DIM], out[2 * DIM];
  for (int i = 0; i < DIM; i++) first[i] = ramp(i), last[i] = ramp(2 * i + 1);
  mcl_array one = matrix(first, MCL_F32, 1, DIM);
  mcl_npy *f = NULL;
  CHECK_OK(mcl_npy_create(c, path, MCL_F16, rows, DIM, &f, &err));
  CHECK_OK(mcl_npy_write(f, 2, &one, &err));
  one = matrix(last, MCL_F32, 1, DIM);
  CHECK_OK(mcl_npy_write(f, rows - 1, &one, &err));
  CHECK_OK(mcl_npy_commit(f, &err));
  mcl_npy_unref(f);
  CHECK_OK(mcl_npy_open(c, path, &f, &err));
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  mcl_npy_rows(f, &r);
  ck_assert_int_eq(r.rows, rows);
  mcl_array two = matrix(out, MCL_F32, 2, DIM);
  CHECK_OK(mcl_rows_read(&r, rows - 2, 2, &two, &err));
  for (int i = 0; i < DIM; i++) ck_assert(out[i] == 0 && out[DIM + i] == last[i]);
  CHECK_OK(mcl_rows_read(&r, 2, 2, &two, &err));
  for (int i = 0; i < DIM; i++) ck_assert(out[i] == first[i] && out[DIM + i] == 0);
  CHECK_FAILS(MCL_E_LIMIT, "1073741827", mcl_rows_read(&r, rows - 1, 2, &two, &err));
  mcl_npy_unref(f);
  mcl_context_unref(c);
  remove(path);
}
END_TEST

START_TEST(a_tensor_behind_2_35_bytes_is_read) {
  const char *text =
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1073741824,8],\"data_offsets\":[0,34359738368]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[34359738368,34359738380]}} ";
  const float b[3] = {1, -2, 3};
  char head[256] = {0};
  size_t length = strlen(text);
  head[0] = (char)length;
  ck_assert_uint_lt(length, 256);
  memcpy(head + 8, text, length);
  const char *path = with_hole("far.safetensors", head, 8 + length,
                               (int64_t)(8 + length) + 8 * TWO_32 + 12, b, sizeof b);
  test_allocator memory;
  mcl_context *c = small_context(&memory);
  mcl_checkpoint *k = NULL;
  mcl_array a;
  float out[3];
  CHECK_OK(mcl_checkpoint_open(c, path, &k, &err));
  CHECK_OK(mcl_checkpoint_shape(k, "a", &a, &err));
  ck_assert(a.ndim == 2 && a.shape[0] == TWO_32 / 4 && a.shape[1] == 8);
  a = view(out, MCL_F32, 1, 3, 1, 1, 1);
  CHECK_OK(mcl_checkpoint_read(k, "b", &a, &err));
  ck_assert_mem_eq(out, b, sizeof b);
  CHECK_FAILS(MCL_E_SHAPE, "a", mcl_checkpoint_read(k, "a", &a, &err));
  ck_assert_int_eq(memory.too_large, 0);
  mcl_checkpoint_unref(k);
  mcl_context_unref(c);
  remove(path);
}
END_TEST

START_TEST(as_many_labels_as_memory_has_not_are_no_memory) {
  const int64_t shape[1] = {TWO_32 + 4}; // of 4 bytes: 16 in 32 bits
  char head[MCLI_NPY_HEADER_BYTES];
  const int32_t tail = 7;
  int64_t n = mcli_npy_header_write(head, MCL_I32, 1, shape);
  const char *path = with_hole("many.npy", head, (size_t)n, n + 4 * shape[0], &tail, sizeof tail);
  test_allocator memory;
  mcl_context *c = small_context(&memory);
  int32_t *values = NULL;
  int64_t rows = -1, cols = -1;
  CHECK_FAILS(MCL_E_NOMEM, "memory", mcli_npy_load_i32(c, path, &values, &rows, &cols, &err));
  ck_assert(values == NULL && rows == -1 && cols == -1);
  if (sizeof(size_t) > 4) ck_assert_int_eq(memory.too_large, 1); // 32 bits cannot even ask
  mcl_context_unref(c);
  remove(path);
}
END_TEST

START_TEST(an_idx_file_of_2_33_pixels_is_no_memory) {
  const unsigned char head[16] = {0, 0, 8, 3, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0}, tail = 9;
  const char *path = with_hole("images", head, sizeof head, 16 + 2 * TWO_32, &tail, 1);
  test_allocator memory;
  mcl_context *c = small_context(&memory);
  mcl_dataset *d = NULL;
  CHECK_FAILS(MCL_E_NOMEM, "memory", mcl_dataset_create_idx(c, path, NULL, &d, &err));
  ck_assert_ptr_null(d);
  mcl_context_unref(c);
  remove(path);
}
END_TEST

// Sizes whose products are 0 or few in 32 bits, over files that have just so many bytes.
START_TEST(claims_that_32_bits_would_believe_are_refused) {
  mcl_context *c = test_context(1);
  const unsigned char images[] = {0, 0, 8, 3, 0, 1, 0, 0, 0,
                                  1, 0, 0, 0, 0, 0, 1, 5}; // 2^16 x 2^16 x 1
  const char *path = with_hole("images", images, 16, 17, images + 16, 1);
  mcl_dataset *d = NULL;
  CHECK_FAILS(MCL_E_FORMAT, "4294967312", mcl_dataset_create_idx(c, path, NULL, &d, &err));

  const int64_t shapes[][2] = {{TWO_32 + 4, 1}, {TWO_32 / 4, 1}, {TWO_32 / 8 + 1, 2}};
  const double tail[2] = {1, 2};
  for (int i = 0; i < 3; i++) {
    char head[MCLI_NPY_HEADER_BYTES];
    mcl_npy *f = NULL;
    int64_t n = mcli_npy_header_write(head, MCL_F32, 2, shapes[i]);
    path = with_hole("claims.npy", head, (size_t)n, n + 16, tail, sizeof tail);
    CHECK_FAILS(MCL_E_FORMAT, "cut short", mcl_npy_open(c, path, &f, &err));
  }
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("store", rows_behind_2_34_bytes_are_written_and_read, a_tensor_behind_2_35_bytes_is_read,
          as_many_labels_as_memory_has_not_are_no_memory, an_idx_file_of_2_33_pixels_is_no_memory,
          claims_that_32_bits_would_believe_are_refused)
