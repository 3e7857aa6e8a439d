// Reading and writing mcl_array views: checks with good messages, and conversion to float32 row by row.
#ifndef MCL_MATH_ARRAY_H
#define MCL_MATH_ARRAY_H

#include <libmcl/array.h>
#include <libmcl/rows.h>

#include "base/context.h"

// Checks everything about a view that does not depend on its use. `name` is the argument's.
mcl_status mcli_array_check(const mcl_array *a, const char *name, mcl_error *err);
// The same for one that is written: not read-only, strides positive, no overlap of rows.
mcl_status mcli_array_check_out(const mcl_array *a, const char *name, mcl_error *err);
// A float matrix [rows, cols]; a negative size is not checked.
mcl_status mcli_matrix_check(const mcl_array *a, const char *name, int64_t rows, int64_t cols,
                             mcl_error *err);
mcl_status mcli_matrix_check_out(const mcl_array *a, const char *name, int64_t rows, int64_t cols,
                                 mcl_error *err);

int mcli_dtype_is_float(int32_t dtype);
int64_t mcli_dtype_size(int32_t dtype);          // 0: unknown
int64_t mcli_array_row_size(const mcl_array *a); // elements of one row: product of shape[1..]

// Rows first .. first + n - 1 as contiguous float32 [n, row_size]. U8 is divided by 255; other integers are converted as
// they are. The array has been checked.
void mcli_array_load(const mcl_array *a, int64_t first, int64_t n, float *out);
// The reverse: float32 rows into the view, rounding to its type (to nearest, ties to even).
void mcli_array_store(const mcl_array *a, int64_t first, int64_t n, const float *rows);
// A pointer into the view when rows first.. are contiguous float32 already, else NULL.
const float *mcli_array_plain(const mcl_array *a, int64_t first);

// First row of [n, dim] that has a NaN or an infinity, -1 when all are finite.
int64_t mcli_first_not_finite(const float *rows, int64_t n, int64_t dim);

float mcli_half_to_float(uint16_t h);
uint16_t mcli_float_to_half(float f);

// mcl_rows, made safe: the struct copied, shapes and types checked. `name` is the argument's. Then rows, dim and
// dtype are set for arrays too.
mcl_status mcli_rows_open(const mcl_rows *rows, const char *name, mcl_rows *out, mcl_error *err);
// Whether they may be had in tasks, by several at once.
static inline int mcli_rows_any_thread(const mcl_rows *opened) {
  return opened->array != NULL || (opened->flags & MCL_ROWS_ANY_THREAD) != 0;
}
// Rows as float32 into `out`, [n, dim], whatever they are; `scratch` as below.
mcl_status mcli_rows_load(const mcl_rows *opened, int64_t first, int64_t n, float *out,
                          void *scratch, mcl_error *err);
// Rows as float32, contiguous: a pointer into the array where that is possible, else read and converted into `buffer`
// (n * dim floats; for callbacks of other types it needs `scratch`, n * dim * 8 bytes, else NULL).
// Finite or MCL_E_NOT_FINITE with the number of the row.
mcl_status mcli_rows_block(const mcl_rows *opened, int64_t first, int64_t n, float *buffer,
                           void *scratch, const float **block, mcl_error *err);

#endif
