// Rows from wherever they come, into whatever the caller holds.
//
// No context comes with mcl_rows, so what must be staged is staged in memory from malloc, a bounded
// block at a time.
#include <libmcl/rows.h>

#include "store/copy.h"

// Bytes staged at a time: enough that a callback's own cost is spread over many rows, little enough
// for a cache.
enum { STAGED_BYTES = 256 * 1024 };

static mcl_status ask(const mcl_rows *r, int64_t first, const mcl_array *out, mcl_error *err) {
  mcl_error inner;
  mcli_callback_begin(&inner);
  mcl_status s = r->read(r->user, first, out->shape[0], out, &inner);
  return mcli_callback_end(s, &inner, "mcl_rows.read", err);
}

static mcl_status read_staged(const mcl_rows *r, int64_t first, int64_t n, const mcl_array *out,
                              mcl_error *err) {
  int64_t row_bytes = r->dim * mcli_dtype_size(r->dtype);
  int64_t block = STAGED_BYTES / row_bytes;
  if (block < 1) block = 1;
  if (block > n) block = n;
  void *staged = mcli_alloc_with(&mcli_malloc_allocator, (uint64_t)(block * row_bytes));
  if (!staged) return mcli_nomem(err, "a block of rows");
  mcl_status s = MCL_OK;
  for (int64_t i = 0; i < n && s == MCL_OK; i += block) {
    int64_t shape[2] = {n - i < block ? n - i : block, r->dim};
    mcl_array from, to = mcli_array_rows(out, i, shape[0]);
    mcl_array_init(&from, staged, r->dtype, 2, shape);
    s = ask(r, first + i, &from, err);
    if (s == MCL_OK) mcli_array_copy(&from, &to);
  }
  mcli_free_with(&mcli_malloc_allocator, staged);
  return s;
}

mcl_status mcl_rows_read(const mcl_rows *rows, int64_t first, int64_t n, const mcl_array *out,
                         mcl_error *err) {
  mcl_rows r;
  mcl_status s = mcli_rows_open(rows, "rows", &r, err);
  if (s < 0) return s;
  if (n < 0 || first < 0 || n > r.rows - first)
    return mcli_fail(err, MCL_E_LIMIT, "rows %lld .. + %lld are asked for, there are %lld",
                     (long long)first, (long long)n, (long long)r.rows);
  s = mcli_matrix_check_out(out, "out", n, r.dim, err);
  if (s < 0) return s;
  if (n == 0) return mcl_ok(err);
  if (r.array) {
    mcl_array from = mcli_array_rows(r.array, first, n);
    mcli_array_copy(&from, out);
    return mcl_ok(err);
  }
  if (out->dtype == r.dtype && mcli_array_is_contiguous(out)) {
    mcl_array plain; // strides of dimensions of one element may be anything in the caller's
    mcl_array_init(&plain, out->data, out->dtype, 2, out->shape);
    s = ask(&r, first, &plain, err);
  } else {
    s = read_staged(&r, first, n, out, err);
  }
  return s < 0 ? s : mcl_ok(err);
}
