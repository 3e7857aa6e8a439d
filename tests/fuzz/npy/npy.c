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

// Calls that mcl_rows_read() never makes, but a host may.
static void refuse_reading(const mcl_rows *r) {
  mcl_error err;
  float x[2] = {0};
  int32_t whole[2];
  mcl_array one = matrix(x, MCL_F32, 1, r->dim), other = matrix(whole, MCL_I32, 1, r->dim),
            strange = matrix(x, MCL_F32, 1, (int64_t)r->dim + 1);
  if (r->dim > 2) return;
  one.dtype = r->dtype == MCL_F32 ? MCL_F16 : MCL_F32;
  fuzz_refused(r->read(r->user, 0, 1, &one, &err), &err, MCL_E_DTYPE);
  fuzz_refused(r->read(r->user, 0, 1, &other, &err), &err, MCL_E_DTYPE);
  fuzz_refused(r->read(r->user, 0, 1, &strange, &err), &err, MCL_E_SHAPE);
  if (r->dtype != MCL_F32) return;
  one.dtype = MCL_F32;
  fuzz_refused(r->read(r->user, -1, 1, &one, &err), &err, MCL_E_LIMIT);
  fuzz_refused(r->read(r->user, r->rows, 1, &one, &err), &err, MCL_E_LIMIT);
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

// ---- wrong calls --------------------------------------------------------------------------------

static void refuse_writing(mcl_context *c) {
  mcl_error err;
  mcl_npy *f = NULL;
  mcl_rows r;
  float x[6] = {0};
  double wide[6] = {1, 2, 3, 4, 5, 6};
  int64_t whole[6] = {0};
  const char *path = fuzz_path("wrong.npy");
  mcl_array a = matrix(x, MCL_F32, 2, 3), b = matrix(wide, MCL_F64, 2, 3),
            k = matrix(whole, MCL_I64, 2, 3), strange = matrix(x, MCL_F32, 3, 2);
  if (!fuzz_read(mcl_npy_create(c, path, MCL_F32, 2, 3, &f, &err), &err, path)) return;
  mcl_struct_init(&r, sizeof r);
  mcl_npy_rows(f, &r);
  fuzz_refused(mcl_rows_read(&r, 0, 2, &a, &err), &err, MCL_E_STATE);
  fuzz_refused(mcl_npy_write(f, 0, NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_write(f, 0, &k, &err), &err, MCL_E_DTYPE);
  fuzz_refused(mcl_npy_write(f, 0, &strange, &err), &err, MCL_E_SHAPE);
  fuzz_refused(mcl_npy_write(f, 1, &a, &err), &err, MCL_E_LIMIT);
  fuzz_refused(mcl_npy_write(f, -1, &a, &err), &err, MCL_E_LIMIT);
  if (!fuzz_ok(mcl_npy_write(f, 0, &b, &err), &err) && !fuzz_memory_may_fail())
    fuzz_fail("doubles: %s", err.message);
  a.strides[0] = 0; // one row twice
  if (!fuzz_ok(mcl_npy_write(f, 0, &a, &err), &err) && !fuzz_memory_may_fail())
    fuzz_fail("a row twice: %s", err.message);
  b.shape[0] = 0;
  if (!fuzz_ok(mcl_npy_write(f, 2, &b, &err), &err)) fuzz_fail("no rows: %s", err.message);
  if (fuzz_ok(mcl_npy_commit(f, &err), &err))
    fuzz_refused(mcl_npy_commit(f, &err), &err, MCL_E_STATE);
  mcl_npy_unref(mcl_npy_ref(f));
  mcl_npy_unref(f);
}

static void refuse_creating(mcl_context *c) {
  mcl_error err;
  mcl_npy *f = NULL;
  const char *path = fuzz_path("never.npy");
  fuzz_refused(mcl_npy_create(NULL, path, MCL_F32, 2, 3, &f, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_create(c, NULL, MCL_F32, 2, 3, &f, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_create(c, path, MCL_F32, 2, 3, NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_create(c, path, MCL_U8, 2, 3, &f, &err), &err, MCL_E_DTYPE);
  fuzz_refused(mcl_npy_create(c, path, MCL_F32, 2, 0, &f, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_create(c, path, MCL_F32, -1, 3, &f, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_create(c, path, MCL_I32, INT64_MAX / 2, 3, &f, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_create(c, path, MCL_F64, INT64_MAX / 4, 3, &f, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_create(c, fuzz_path("no/never.npy"), MCL_I64, 2, 3, &f, &err), &err,
               MCL_E_NOT_FOUND);
  fuzz_refused(mcl_npy_open(NULL, path, &f, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_open(c, NULL, &f, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_open(c, path, NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_open(c, path, &f, &err), &err, MCL_E_NOT_FOUND);
  fuzz_refused(mcl_npy_write(NULL, 0, NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_npy_commit(NULL, &err), &err, MCL_E_INVALID);
  mcl_npy_rows(NULL, NULL);
  if (f || mcl_npy_ref(NULL)) fuzz_fail("a file out of nothing");
}

// Vectors and matrices written whole, as labels are.
static void save_whole(mcl_context *c) {
  mcl_error err;
  int32_t x[6] = {1, 2, 3, 4, 5, 6};
  uint8_t bytes[6] = {0};
  const int64_t shape[3] = {6, 1, 1}, cube[3] = {1, 2, 3};
  const char *path = fuzz_path("whole.npy");
  mcl_array a, b = matrix(bytes, MCL_U8, 2, 3), empty = matrix(x, MCL_I32, 2, 0);
  mcl_array_init(&a, x, MCL_I32, 1, shape);
  (void)fuzz_read(mcli_npy_save(c, path, &a, &err), &err, path);
  fuzz_refused(mcli_npy_save(c, path, &b, &err), &err, MCL_E_DTYPE);
  fuzz_refused(mcli_npy_save(c, path, &empty, &err), &err, MCL_E_SHAPE);
  mcl_array_init(&a, x, MCL_I32, 3, cube);
  fuzz_refused(mcli_npy_save(c, path, &a, &err), &err, MCL_E_SHAPE);
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  mcl_error err;
  mcl_npy *f = NULL;
  mcl_rows r;
  if (n == 0) { // the one input that says nothing stands for all wrong calls
    refuse_writing(context);
    refuse_creating(context);
    save_whole(context);
  }
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
  refuse_reading(&r);
  mcl_npy_unref(f);
}
