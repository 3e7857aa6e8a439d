// Rows sorted by label inside each cell, where they lie.
#ifndef MCL_SAMPLER_SPLIT_H
#define MCL_SAMPLER_SPLIT_H

#include "sampler/cells.h"

// What each old cell was split into.
typedef struct mcli_parts {
  int64_t *size; // [n] rows of each new cell, those of old cell 0 first, then of 1, ...
  int64_t n, room;
  int64_t *children; // [old cells] new cells of each
  int64_t *kept;     // [old cells] its rows that have a label
} mcli_parts;

// Sorts the rows of every cell of `old` by label, stably; `rows` is old->index or a copy of it, or
// fresh where that is empty (then only rows with a label are in it). Rows without one come last in
// their cell. A failure leaves each cell with its rows in any order.
mcl_status mcli_split(const mcli_cells *old, const mcli_labels *labels, mcli_index *rows,
                      mcli_parts *parts, mcl_error *err);

// Undoes the sorting: the rows of every cell of `old` rise again. Needs no memory.
void mcli_split_undo(const mcli_cells *old, mcli_index *rows);

#endif
