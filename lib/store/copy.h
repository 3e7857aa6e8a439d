// Copies between views of different strides: what reading and writing files share.
#ifndef MCL_STORE_COPY_H
#define MCL_STORE_COPY_H

#include "math/array.h"

// Files hold little-endian numbers, and so does memory on every machine that libmcl is built for.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "a big-endian machine needs byte swaps in lib/store");

// to = from for checked views of one shape. Of one type: the same bits. From one float type to
// another: by way of float32.
void mcli_array_copy(const mcl_array *from, const mcl_array *to);

// Can that be done? MCL_E_DTYPE naming both otherwise.
int mcli_dtype_converts(int32_t from, int32_t to);
const char *mcli_dtype_name(int32_t dtype); // "F32"; "?" for others

// Row-major without gaps, whatever its type.
int mcli_array_is_contiguous(const mcl_array *a);

// A view of rows first .. first + n - 1 of a.
mcl_array mcli_array_rows(const mcl_array *a, int64_t first, int64_t n);

// An array that grows by doubling: `items` with room for one more behind n, perhaps moved. NULL
// without memory; then `items` is as it was.
void *mcli_grown(mcl_context *c, void *items, int64_t n, size_t size);

#endif
