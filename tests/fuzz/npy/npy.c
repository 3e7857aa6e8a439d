// .npy files: all of the input is one.
//
//   the rows that a file says are all in it                                                              (1)
//   rows are the same a second time, one by one and in a block, in every float type                      (2)
//   rows behind the last are refused, and nothing is written                                             (3)
//   what is written to another file of the same type is read back equal                                  (4)
#include <libmcl/rows.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "store/copy.h"
#include "store/npy.h"

const int fuzz_large = FUZZ_FINDING;

static mcl_array matrix(void *data, int32_t dtype, int64_t rows, int64_t dim) {
  mcl_array a;
  const int64_t shape[2] = {rows, dim};
  mcl_array_init(&a, data, dtype, 2, shape);
  return a;
}

// Rows first .. first + n - 1, to be freed; NULL where they are refused.
static uint8_t *read_rows(const mcl_rows *r, int32_t dtype, int64_t first, int64_t n) {
  mcl_error err;
  size_t size = (size_t)(n * r->dim * mcli_dtype_size(dtype));
  uint8_t *room = fuzz_room(size);
  mcl_array a = matrix(room, dtype, n, r->dim);
  if (fuzz_ok(mcl_rows_read(r, first, n, &a, &err), &err)) return room;
  fuzz_untouched(room, size, "mcl_rows_read");
  free(room);
  return NULL;
}

// (2), (3)
static void check_rows(const mcl_rows *r, int32_t dtype) {
  size_t row = (size_t)(r->dim * mcli_dtype_size(dtype));
  uint8_t *all = read_rows(r, dtype, 0, r->rows);
  if (!all) fuzz_fail("%lld rows are not read as %s", (long long)r->rows, mcli_dtype_name(dtype));
  for (int64_t i = 0; i < r->rows && i < 4; i++) {
    uint8_t *one = read_rows(r, dtype, i, 1);
    if (!one || memcmp(one, all + (size_t)i * row, row))
      fuzz_fail("row %lld is another", (long long)i);
    free(one);
  }
  if (read_rows(r, dtype, r->rows, 1) || read_rows(r, dtype, -1, 1)) fuzz_fail("a row too many");
  free(all);
}

// (4)
static void write_again(mcl_context *context, const mcl_rows *r) {
  mcl_error err;
  mcl_npy *f = NULL, *back = NULL;
  mcl_rows again;
  const char *path = fuzz_path("again.npy");
  uint8_t *x = read_rows(r, r->dtype, 0, r->rows);
  mcl_array a = matrix(x, r->dtype, r->rows, r->dim);
  int done =
      fuzz_read(mcl_npy_create(context, path, r->dtype, r->rows, r->dim, &f, &err), &err, path);
  done = done && fuzz_read(mcl_npy_write(f, 0, &a, &err), &err, path) &&
         fuzz_read(mcl_npy_commit(f, &err), &err, path) &&
         fuzz_read(mcl_npy_open(context, path, &back, &err), &err, path);
  if (!done && !fuzz_memory_may_fail()) fuzz_fail("not written and read: %s", err.message);
  mcl_struct_init(&again, sizeof again);
  if (done) mcl_npy_rows(back, &again);
  uint8_t *y = done ? read_rows(&again, r->dtype, 0, r->rows) : NULL;
  if (done && (again.rows != r->rows || again.dim != r->dim || again.dtype != r->dtype || !y ||
               memcmp(x, y, (size_t)(r->rows * r->dim * mcli_dtype_size(r->dtype)))))
    fuzz_fail("written and read: other rows");
  free(x);
  free(y);
  mcl_npy_unref(f);
  mcl_npy_unref(back);
}

// Labels of a run are read so.
static void load_integers(mcl_context *context, const char *path, size_t n) {
  mcl_error err;
  int32_t *values = NULL;
  int64_t rows = -1, cols = -1;
  if (fuzz_read(mcli_npy_load_i32(context, path, &values, &rows, &cols, &err), &err, path)) {
    if (rows < 0 || cols < 1 || (size_t)(rows * cols) > n / 4) // (1)
      fuzz_fail("%lld x %lld integers", (long long)rows, (long long)cols);
    mcli_free(context, values);
  } else if (values || rows != -1 || cols != -1) {
    fuzz_fail("refused, and given");
  }
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  mcl_error err;
  mcl_npy *f = NULL;
  mcl_rows r;
  const char *path = fuzz_put("file.npy", bytes, n);
  load_integers(context, path, n);
  if (!fuzz_read(mcl_npy_open(context, path, &f, &err), &err, path)) {
    if (f) fuzz_fail("refused, and given");
    return;
  }
  mcl_struct_init(&r, sizeof r);
  mcl_npy_rows(f, &r);
  if (r.rows < 0 || r.dim < 1 || !mcli_dtype_is_float(r.dtype) || // (1)
      (size_t)(r.rows * r.dim * mcli_dtype_size(r.dtype)) > n)
    fuzz_fail("%lld x %d of type %d", (long long)r.rows, (int)r.dim, (int)r.dtype);
  // A row may be as wide as it likes where there is none.
  if (r.rows > 0)
    for (int32_t dtype = MCL_F32; dtype <= MCL_BF16; dtype++) check_rows(&r, dtype);
  if (r.rows > 0) write_again(context, &r);
  mcl_npy_unref(f);
}
