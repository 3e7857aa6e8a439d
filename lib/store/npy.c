// .npy files: a matrix on disk that numpy reads too, written whole or not at all, read block by
// block.
//
//   "\x93NUMPY", version (2 bytes), length of the header (2 bytes in version 1, 4 in 2 and 3),
//   header, numbers
//
// Nothing is mapped: a mapped file that is cut short under the reader is a SIGBUS in the host's
// process, a pread is an error code. The numbers are read where they are asked for, so that any
// number of threads may read at once.
#include "store/npy.h"

#include <string.h>

#include <libmcl/rows.h>

#include "base/file.h"
#include "store/copy.h"

struct mcl_npy {
  mcli_refcount refs;
  mcli_guard guard;
  mcl_context *context;
  mcli_reader reader; // fd >= 0: opened for reading
  mcli_writer writer; // fd >= 0: being written
  int32_t dtype, dim;
  int64_t rows;
  int64_t begin; // of the numbers, in bytes
};

// A header is some hundred bytes; numpy itself stops at 10,000 unless told.
enum { HEADER_LIMIT = 1 << 20 };

// Bytes converted at a time: one second-level cache.
enum { BLOCK_BYTES = 256 * 1024 };

mcl_npy *mcl_npy_ref(mcl_npy *f) {
  if (f) mcli_ref(&f->refs);
  return f;
}

void mcl_npy_unref(mcl_npy *f) {
  if (!f || !mcli_unref_is_last(&f->refs)) return;
  mcl_context *c = f->context;
  mcli_reader_close(&f->reader);
  mcli_writer_abort(&f->writer);
  mcli_free(c, f);
  mcl_context_unref(c);
}

static mcl_npy *npy_new(mcl_context *c) {
  mcl_npy *f = MCLI_NEW0(c, mcl_npy, 1);
  if (!f) return NULL;
  mcli_ref_init(&f->refs);
  mcli_guard_init(&f->guard);
  f->context = mcl_context_ref(c);
  f->reader.fd = f->writer.fd = -1;
  return f;
}

// ---- reading ------------------------------------------------------------------------------------

static mcl_status read_magic(const mcli_reader *r, int64_t *begin, int64_t *length,
                             mcl_error *err) {
  unsigned char head[12];
  int64_t n = r->size < 12 ? r->size : 12;
  mcl_status s = mcli_reader_at(r, 0, head, n, err);
  if (s < 0) return s;
  if (n < 10 || memcmp(head, "\x93NUMPY", 6) != 0)
    return mcli_fail(err, MCL_E_FORMAT, "%s is not a .npy file", r->path);
  if (head[6] < 1 || head[6] > 3 || head[7] != 0)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "%s is a .npy of version %d.%d, only 1 to 3 are read",
                     r->path, head[6], head[7]);
  *begin = head[6] == 1 ? 10 : 12;
  *length = head[8] | head[9] << 8;
  if (head[6] > 1 && n == 12) *length |= (int64_t)head[10] << 16 | (int64_t)head[11] << 24;
  if (*begin + *length > r->size) return mcli_fail(err, MCL_E_FORMAT, "%s is cut short", r->path);
  if (*length > HEADER_LIMIT)
    return mcli_fail(err, MCL_E_LIMIT, "%s has a header of %lld bytes, the limit is %d", r->path,
                     (long long)*length, HEADER_LIMIT);
  return MCL_OK;
}

static mcl_status read_header(mcl_context *c, const mcli_reader *r, mcli_npy_header *h,
                              int64_t *begin, mcl_error *err) {
  int64_t length = 0;
  mcl_status s = read_magic(r, begin, &length, err);
  if (s < 0) return s;
  char *text = mcli_alloc(c, (uint64_t)length + 1, 1);
  if (!text) return mcli_nomem(err, "a .npy header");
  s = mcli_reader_at(r, *begin, text, length, err);
  if (s == MCL_OK) {
    const char *problem = mcli_npy_header_read(text, length, h);
    if (problem) s = mcli_fail(err, MCL_E_FORMAT, "%s has a damaged header: %s", r->path, problem);
  }
  mcli_free(c, text);
  *begin += length;
  return s;
}

// What libmcl reads of what numpy writes, and whether the file has all the numbers it says.
static mcl_status check_header(const mcli_reader *r, const mcli_npy_header *h, int64_t begin,
                               mcl_error *err) {
  int64_t bytes;
  if (h->big_endian) return mcli_fail(err, MCL_E_UNSUPPORTED, "%s is big-endian", r->path);
  if (!h->dtype)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "%s holds a type that is not read here", r->path);
  if (h->fortran) return mcli_fail(err, MCL_E_UNSUPPORTED, "%s is in Fortran order", r->path);
  if (h->ndim < 1 || h->ndim > 2)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "%s has %d dimensions, not 1 or 2", r->path,
                     (int)h->ndim);
  if (h->shape[1] < 1 || h->shape[1] > INT32_MAX)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "%s has rows of %lld numbers, not 1 .. 2^31 - 1",
                     r->path, (long long)h->shape[1]);
  if (!mcli_mul(h->shape[0], h->shape[1], &bytes) ||
      !mcli_mul(bytes, mcli_dtype_size(h->dtype), &bytes) || bytes > r->size - begin)
    return mcli_fail(err, MCL_E_FORMAT, "%s is cut short: it should hold [%lld, %lld]", r->path,
                     (long long)h->shape[0], (long long)h->shape[1]);
  return MCL_OK;
}

static mcl_status open_for_reading(mcl_context *c, const char *path, mcli_reader *r,
                                   mcli_npy_header *h, int64_t *begin, mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  mcl_status s = mcli_reader_open(c, path, r, err);
  if (s < 0) return s;
  s = read_header(c, r, h, begin, err);
  if (s == MCL_OK) s = check_header(r, h, *begin, err);
  if (s < 0) mcli_reader_close(r);
  return s;
}

mcl_status mcl_npy_open(mcl_context *c, const char *path, mcl_npy **out, mcl_error *err) {
  mcli_reader reader;
  mcli_npy_header h;
  int64_t begin = 0;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_status s = open_for_reading(c, path, &reader, &h, &begin, err);
  if (s != MCL_OK) return s;
  mcl_npy *f = NULL;
  if (!mcli_dtype_is_float(h.dtype))
    s = mcli_fail(err, MCL_E_UNSUPPORTED, "%s holds integers, not floats", reader.path);
  else if (!(f = npy_new(c)))
    s = mcli_nomem(err, "a .npy file");
  if (s < 0) {
    mcli_reader_close(&reader);
    return s;
  }
  f->reader = reader;
  f->dtype = h.dtype;
  f->rows = h.shape[0];
  f->dim = (int32_t)h.shape[1];
  f->begin = begin;
  *out = f;
  return mcl_ok(err);
}

static mcl_status read_rows(void *user, int64_t first, int64_t n, const mcl_array *out,
                            mcl_error *err) {
  const mcl_npy *f = user;
  if (f->reader.fd < 0)
    return mcli_fail(err, MCL_E_STATE, "the .npy file was not opened for reading");
  mcl_status s = mcli_matrix_check_out(out, "out", n, f->dim, err);
  if (s < 0) return s;
  if (out->dtype != f->dtype || !mcli_array_is_contiguous(out))
    return mcli_fail(err, MCL_E_DTYPE, "out must be contiguous and of the file's type, %s",
                     mcli_dtype_name(f->dtype));
  if (first < 0 || n > f->rows - first)
    return mcli_fail(err, MCL_E_LIMIT, "%s has %lld rows: no %lld at %lld", f->reader.path,
                     (long long)f->rows, (long long)n, (long long)first);
  int64_t row = f->dim * mcli_dtype_size(f->dtype);
  s = mcli_reader_at(&f->reader, f->begin + first * row, out->data, n * row, err);
  // Who reads a block reads the next one soon: let the disk begin.
  if (s == MCL_OK) mcli_reader_ahead(&f->reader, f->begin + (first + n) * row, n * row);
  return s < 0 ? s : mcl_ok(err);
}

void mcl_npy_rows(const mcl_npy *f, mcl_rows *out) {
  if (!f || !out) return;
  mcl_rows rows = {.struct_size = sizeof rows, .rows = f->rows, .dim = f->dim, .dtype = f->dtype};
  rows.user = (void *)(uintptr_t)f; // read_rows gives it back its const
  rows.read = read_rows;
  rows.flags = MCL_ROWS_ANY_THREAD;
  (void)mcli_struct_out(out, &rows, sizeof rows, "out", NULL);
}

mcl_status mcli_npy_load_i32(mcl_context *c, const char *path, int32_t **values, int64_t *rows,
                             int64_t *cols, mcl_error *err) {
  mcli_reader r;
  mcli_npy_header h;
  int64_t begin = 0;
  mcl_status s = open_for_reading(c, path, &r, &h, &begin, err);
  if (s != MCL_OK) return s;
  int32_t *buffer = NULL;
  int64_t n = h.shape[0] * h.shape[1];
  if (h.dtype != MCL_I32)
    s = mcli_fail(err, MCL_E_UNSUPPORTED, "%s does not hold int32", r.path);
  else if (!(buffer = MCLI_NEW(c, int32_t, n)))
    s = mcli_nomem(err, "a .npy file's numbers");
  else
    s = mcli_reader_at(&r, begin, buffer, n * (int64_t)sizeof *buffer, err);
  mcli_reader_close(&r);
  if (s < 0) {
    mcli_free(c, buffer);
    return s;
  }
  *values = buffer;
  *rows = h.shape[0];
  *cols = h.shape[1];
  return mcl_ok(err);
}

// ---- writing ------------------------------------------------------------------------------------

static int is_written(int32_t dtype) {
  return dtype == MCL_F32 || dtype == MCL_F64 || dtype == MCL_F16 || dtype == MCL_I32 ||
         dtype == MCL_I64;
}

static mcl_status create(mcl_context *c, const char *path, int32_t dtype, int32_t ndim,
                         int64_t rows, int32_t dim, mcl_npy **out, mcl_error *err) {
  char header[MCLI_NPY_HEADER_BYTES];
  int64_t shape[2] = {rows, dim};
  mcl_npy *f = npy_new(c);
  if (!f) return mcli_nomem(err, "a .npy file");
  f->dtype = dtype;
  f->dim = dim;
  f->rows = rows;
  f->begin = mcli_npy_header_write(header, dtype, ndim, shape);
  mcl_status s = mcli_writer_open(c, path, &f->writer, err);
  if (s == MCL_OK) s = mcli_writer_at(&f->writer, 0, header, f->begin, err);
  if (s == MCL_OK)
    s = mcli_writer_size(&f->writer, f->begin + rows * dim * mcli_dtype_size(dtype), err);
  if (s < 0)
    mcl_npy_unref(f);
  else
    *out = f;
  return s;
}

mcl_status mcl_npy_create(mcl_context *c, const char *path, int32_t dtype, int64_t rows,
                          int32_t dim, mcl_npy **out, mcl_error *err) {
  int64_t bytes;
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  if (!is_written(dtype))
    return mcli_fail(err, MCL_E_DTYPE,
                     "dtype is %s (%d): a .npy file holds F32, F64, F16, I32 or I64",
                     mcli_dtype_name(dtype), (int)dtype);
  if (dim < 1) return mcli_fail(err, MCL_E_INVALID, "dim is %d, at least 1 is needed", (int)dim);
  if (rows < 0 || !mcli_mul(rows, dim, &bytes) || !mcli_mul(bytes, 16, &bytes))
    return mcli_fail(err, MCL_E_INVALID, "rows is %lld, not a number of rows that fits a file",
                     (long long)rows);
  mcl_status s = create(c, path, dtype, 2, rows, dim, out, err);
  return s < 0 ? s : mcl_ok(err);
}

// z has been checked against the file.
static mcl_status write_rows(mcl_npy *f, int64_t first, const mcl_array *z, mcl_error *err) {
  int64_t row = f->dim * mcli_dtype_size(f->dtype), n = z->shape[0];
  int64_t at = f->begin + first * row;
  if (n == 0) return MCL_OK;
  if (z->dtype == f->dtype && mcli_array_is_contiguous(z))
    return mcli_writer_at(&f->writer, at, z->data, n * row, err);
  int64_t block = BLOCK_BYTES / row;
  block = block < 1 ? 1 : block > n ? n : block;
  void *staged = mcli_alloc(f->context, (uint64_t)block, (uint64_t)row);
  if (!staged) return mcli_nomem(err, "a block of rows");
  mcl_status s = MCL_OK;
  for (int64_t i = 0; i < n && s == MCL_OK; i += block) {
    mcl_array to, from = mcli_array_rows(z, i, n - i < block ? n - i : block);
    mcl_array_init(&to, staged, f->dtype, z->ndim, from.shape);
    mcli_array_copy(&from, &to);
    s = mcli_writer_at(&f->writer, at + i * row, staged, from.shape[0] * row, err);
  }
  mcli_free(f->context, staged);
  return s;
}

static mcl_status check_write(const mcl_npy *f, int64_t first, const mcl_array *z, mcl_error *err) {
  if (f->writer.fd < 0)
    return mcli_fail(err, MCL_E_STATE, "the .npy file is not open for writing (any more)");
  mcl_status s = mcli_array_check(z, "z", err);
  if (s < 0) return s;
  if (!mcli_dtype_converts(z->dtype, f->dtype))
    return mcli_fail(err, MCL_E_DTYPE, "z is %s, the file is %s", mcli_dtype_name(z->dtype),
                     mcli_dtype_name(f->dtype));
  if (z->ndim > 2 || z->shape[1] != f->dim)
    return mcli_fail(err, MCL_E_SHAPE,
                     "z has %d dimensions and rows of %lld, the file has rows of %d", (int)z->ndim,
                     (long long)mcli_array_row_size(z), (int)f->dim);
  if (first < 0 || z->shape[0] > f->rows - first)
    return mcli_fail(err, MCL_E_LIMIT, "the file has %lld rows: no %lld at %lld",
                     (long long)f->rows, (long long)z->shape[0], (long long)first);
  return MCL_OK;
}

mcl_status mcl_npy_write(mcl_npy *f, int64_t first, const mcl_array *z, mcl_error *err) {
  if (!f) return mcli_fail(err, MCL_E_INVALID, "file is NULL");
  mcl_status s = mcli_guard_enter(&f->guard, "mcl_npy", err);
  if (s < 0) return s;
  s = check_write(f, first, z, err);
  if (s == MCL_OK) s = write_rows(f, first, z, err);
  mcli_guard_leave(&f->guard);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcl_npy_commit(mcl_npy *f, mcl_error *err) {
  if (!f) return mcli_fail(err, MCL_E_INVALID, "file is NULL");
  mcl_status s = mcli_guard_enter(&f->guard, "mcl_npy", err);
  if (s < 0) return s;
  if (f->writer.fd < 0)
    s = mcli_fail(err, MCL_E_STATE, "the .npy file is not open for writing (any more)");
  else
    s = mcli_writer_commit(&f->writer, err);
  mcli_guard_leave(&f->guard);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcli_npy_save(mcl_context *c, const char *path, const mcl_array *a, mcl_error *err) {
  mcl_npy *f = NULL;
  mcl_status s = mcli_array_check(a, "a", err);
  if (s < 0) return s;
  if (!is_written(a->dtype))
    return mcli_fail(err, MCL_E_DTYPE, "%s is not written to .npy files",
                     mcli_dtype_name(a->dtype));
  if (a->ndim > 2 || a->shape[1] < 1 || a->shape[1] > INT32_MAX)
    return mcli_fail(err, MCL_E_SHAPE, "only vectors and matrices are written to .npy files");
  s = create(c, path, a->dtype, a->ndim, a->shape[0], (int32_t)a->shape[1], &f, err);
  if (s == MCL_OK) s = write_rows(f, 0, a, err);
  if (s == MCL_OK) s = mcli_writer_commit(&f->writer, err);
  mcl_npy_unref(f);
  return s < 0 ? s : mcl_ok(err);
}
