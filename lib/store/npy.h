// Whole .npy files for the library's own use, beside the public mcl_npy.
#ifndef MCL_STORE_NPY_H
#define MCL_STORE_NPY_H

#include "math/array.h"

// Writes an array of one or two dimensions of MCL_F32, MCL_F64, MCL_F16, MCL_I32 or MCL_I64,
// complete or not at all.
mcl_status mcli_npy_save(mcl_context *c, const char *path, const mcl_array *a, mcl_error *err);

// All of a .npy of int32, [rows] (then cols is 1) or [rows, cols], to be freed with mcli_free.
// Errors as mcl_npy_open's.
mcl_status mcli_npy_load_i32(mcl_context *c, const char *path, int32_t **values, int64_t *rows,
                             int64_t *cols, mcl_error *err);

// ---- the header, apart from any file (npy_header.c) ---------------------------------------------
typedef struct mcli_npy_header {
  int32_t dtype; // MCL_*; 0: a type that libmcl does not read
  int32_t ndim;  // as in the file, up to 32; shape is set for 1 and 2, with shape[1] = 1 for 1
  int fortran;   // column-major
  int big_endian;
  int64_t shape[2];
} mcli_npy_header;

// The dict of a header, text[0..n). NULL, or what is wrong with it. The text is spoilt; text[n]
// must be writable.
const char *mcli_npy_header_read(char *text, int64_t n, mcli_npy_header *out);

// A whole header of version 1, the magic included, 64-byte aligned; its length, at most
// MCLI_NPY_HEADER_BYTES.
enum { MCLI_NPY_HEADER_BYTES = 192 };
int64_t mcli_npy_header_write(char bytes[MCLI_NPY_HEADER_BYTES], int32_t dtype, int32_t ndim,
                              const int64_t *shape);

#endif
