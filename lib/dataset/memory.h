// Rows in memory: those of arrays, of tokens, of IDX files, of cached folders and of resized
// datasets.
#ifndef MCL_DATASET_MEMORY_H
#define MCL_DATASET_MEMORY_H

#include "dataset/dataset.h"

// A dataset of `from`, a checked [n, ...] of uint8 or int32, without labels; its fingerprint is of
// the contents. `owned` (may be NULL) is freed with it; on failure it stays the caller's.
mcl_status mcli_memory_create(mcl_context *c, const mcl_array *from, void *owned, mcl_dataset **out,
                              mcl_error *err);
// Labels for it: [rows], copied; none may be negative. `where` names them in messages.
mcl_status mcli_memory_set_labels(mcl_dataset *d, const int32_t *labels, const char *where,
                                  mcl_error *err);

// Rows `indices` of `from` into `out`, converted where out is float32; rows NULL: rows 0 .. n - 1.
// On the pool.
mcl_status mcli_memory_load(mcl_context *c, const mcl_array *from, const int64_t *indices,
                            int64_t n, const mcl_array *out, mcl_error *err);
// One row of `from` to one place of `out`. Of equal type, or uint8 or int32 to float32; equal shapes
// but for the first.
void mcli_row_copy(const mcl_array *from, int64_t row, const mcl_array *out, int64_t place);

#endif
