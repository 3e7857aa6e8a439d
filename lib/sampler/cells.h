// Cells: rows that share every label so far. The tree of cells over the stages, and where a cell's
// rows are kept.
//
// For the loop's reports: mcli_sampler_sizes, at the end.
#ifndef MCL_SAMPLER_CELLS_H
#define MCL_SAMPLER_CELLS_H

#include <stdint.h>

#include <libmcl/sampler.h>

#include "base/context.h"

// A list of rows, of 32 or 64 bits each. Neither pointer: 0, 1, 2, ...
typedef struct mcli_index {
  int32_t *narrow;
  int64_t *wide;
} mcli_index;

static inline int64_t mcli_index_get(const mcli_index *x, int64_t i) {
  return x->narrow ? x->narrow[i] : x->wide ? x->wide[i] : i;
}
static inline void mcli_index_set(mcli_index *x, int64_t i, int64_t row) {
  if (x->narrow)
    x->narrow[i] = (int32_t)row;
  else
    x->wide[i] = row;
}

// The true cells, numbered by their labels, stage by stage; backing off does not change them.
typedef struct mcli_cells {
  mcl_context *context; // borrowed
  int64_t rows;         // of the dataset
  int64_t included;     // rows of `index`: no label vector excluded them
  mcli_index index;     // [included] rows, those of a cell together and rising
  int64_t n;            // cells; may be 0
  int64_t *first;       // [n] where a cell begins in `index`: the sum of the sizes before
  int64_t *size;        // [n] its rows, at least 1
  int32_t wide;         // `index` has 64 bits
  int32_t stages;       // levels of the tree below its root
  int64_t *count;       // [stages] cells of each stage; the last is n
  int64_t **parent;     // [stages][count[s]] the cell of the stage before; stage 0: 0
} mcli_cells;

// One cell of all rows: no memory a row.
mcl_status mcli_cells_root(mcl_context *c, int64_t rows, int32_t wide, mcli_cells **out,
                           mcl_error *err);
void mcli_cells_free(mcli_cells *cells); // NULL and half-built are fine

// One label vector, read and found good.
typedef struct mcli_labels {
  const int32_t *of; // [rows] -1: excluded
  int32_t max;       // the largest, at least 0
  int64_t given;     // rows that are not excluded
} mcli_labels;

// Cells on their way from old to new ones: what there is to undo or to finish.
typedef struct mcli_refined {
  mcli_cells *cells; // the new ones, without an index until the end
  mcli_index index;  // the rows, in the old cells' places
  int64_t *kept;     // [old cells] how many of them the new cells have; they stand first
} mcli_refined;

// Splits every cell by label. `stage` is old->stages - 1 (joins the last stage) or old->stages (a
// new one). Rows move within their old cells, where `own` in old->index itself, else in a copy.
// Afterwards, and after a failure, one of the two calls below follows.
mcl_status mcli_cells_refine(mcli_cells *old, int own, int32_t stage, const mcli_labels *labels,
                             mcli_refined *out, mcl_error *err);
// The old cells are as they were. Needs no memory. `cells` is freed unless NULL.
void mcli_cells_undo(mcli_cells *old, mcli_refined *r);
// r->cells gets its index; the old ones, where it was their own, have none any more.
void mcli_cells_finish(mcli_cells *old, mcli_refined *r);

// Training cells, one a true cell: training[f] is the lowest true cell that f trains with. Cells
// under `min` rows join others: MCL_SMALL_BACK_OFF.
mcl_status mcli_cells_back_off(const mcli_cells *cells, int64_t min, int64_t *training,
                               mcl_error *err);

// The true cell of a row; -1: excluded. O(cells log rows).
int64_t mcli_cells_find(const mcli_cells *cells, int64_t row);

// ---- for reports --------------------------------------------------------------------------------

enum { MCLI_QUANTILES = 7 };

// Sizes of the training cells. quantile[i] is the smallest size that at least a share q_i of the
// cells do not exceed, for q = 0 (the smallest), .05, .25, .5, .75, .95, 1 (the largest); all 0
// where there is no cell.
typedef struct mcli_cell_sizes {
  int64_t cells, quantile[MCLI_QUANTILES];
} mcli_cell_sizes;

void mcli_sampler_sizes(const mcl_sampler *s, mcli_cell_sizes *out);

#endif
