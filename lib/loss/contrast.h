// The engine under both losses: sides of rows, sorted by cell, and two passes over their scores.
#ifndef MCL_LOSS_CONTRAST_H
#define MCL_LOSS_CONTRAST_H

#include <stdbool.h>

#include <libmcl/loss.h>

#include "base/context.h"

// Rows of a block of scores at most, a multiple of 16: see side.c.
enum { MCLI_CONTRAST_BLOCK = 128, MCLI_CONTRAST_PANEL = 16 };

typedef struct mcli_sort_key {
  int64_t cell, id;   // id -1: no duplicate
  uint32_t late, row; // late: 1 for a candidate that is no anchor
} mcli_sort_key;

// Sorted by cell, in it anchors first, and by id; equals keep their order. One of the two arrays, each of n keys, is
// returned.
mcli_sort_key *mcli_keys_sort(mcli_sort_key *keys, mcli_sort_key *other, int64_t n);
int mcli_keys_compare(const mcli_sort_key *a, const mcli_sort_key *b);

// Places from .. from + n - 1 of a side.
typedef struct mcli_run {
  int64_t from, n;
} mcli_run;

// Rows sorted by cell and, in a cell, anchors first and by duplicate id: all are runs. All arrays have n values, in sorted
// order.
typedef struct mcli_side {
  int64_t n, dim;
  int64_t of_a_view;    // n, or half of it for NT-Xent
  const int64_t *other; // [of_a_view] other ids, in the caller's order; NULL: none
  int64_t *order;       // places sorted by cell and other id; NULL: there are none
  mcli_sort_key *keys;  // row: in the caller's order; NT-Xent's second view comes after its first
  float *norms;         // NULL: as given
  // Those of them that have something to compute lie in panels of 16 rows (math/blocks.h), a cell beginning with a new one.
  struct mcli_panel *panels;
  int64_t n_panels;
  // [n_panels, dim, 16]: the rows, normalised; dL/du, and behind it a row of zeros. d NULL: not wanted
  float *u, *d;
  // Of anchors, and of no meaning for others:
  int64_t *positive; // its place on the other side
  // The run of the other side's anchors that are no negatives: duplicates, or itself; and that of its other rows, NULL where
  // it has none.
  mcli_run *masks[2];
  // The same by the other ids, which are no runs of places: a run of the other side's `order`.
  int64_t *more_from, *more; // NULL: there are no other ids
  float *best, *score;    // the highest score of a negative, -infinity without one; the positive's
  float *shifts;          // what sums of exponentials are relative to
  double *sums, *losses;  // of the negatives' exponentials; l_i
  float *weights, *pulls; // see contrast.c (4)
} mcli_side;

// Rows first .. first + n - 1 of a side, n <= 16.
typedef struct mcli_panel {
  int64_t first, n;
  int64_t bad;  // the caller's row that is not finite, the first of this panel; -1: none
  double along; // sum of <dL/du, u>
} mcli_panel;

// A cell's rows from .. end - 1 of one side, in panels from `panel` on, cut into blocks: those with anchors into blocks of
// `block` rows, and from `late` on those without, which begin with a new panel, into blocks of `late_block`.
typedef struct mcli_span {
  int64_t from, late, end, panel, block, late_block;
} mcli_span;

// A cell that has something to compute, or several small ones.
typedef struct mcli_cell {
  mcli_span x, y;
  bool several;
} mcli_cell;

typedef struct mcli_contrast {
  mcl_context *context;
  mcli_side *x, *y; // anchors and candidates; one and the same for NT-Xent
  bool both;        // y's rows are anchors too, those that are not late, and choose among x
  bool keep;        // scores between the passes, as far as there is room
  double temperature, weight; // dL/dl_i
  mcli_cell *cells;
  int64_t n_cells;
} mcli_contrast;

// Rows 0 .. n - 1 of each of `views` arrays of n rows; row i has cells[i] and duplicates[i] (either may be NULL), and is an
// anchor if it is in the run. Sorted, but not yet loaded.
mcl_status mcli_side_make(mcl_context *c, mcli_side *s, int views, const mcl_array *z,
                          const int64_t *cells, const int64_t *duplicates, mcli_run anchors,
                          bool as_given, mcl_error *err);
void mcli_side_free(mcl_context *c, mcli_side *s);

// Finds cells, positives, masks and panels. The positive of x's row i is y's row (i + offset) mod y->n, in the callers'
// orders.
mcl_status mcli_contrast_link(mcli_contrast *k, int64_t offset, mcl_error *err);

// other.c: finds the masks by other ids. Both sides have some.
mcl_status mcli_contrast_find_more(const mcli_contrast *k, mcl_error *err);

// All of losses, best, score; and d.
mcl_status mcli_contrast_run(const mcli_contrast *k, mcl_error *err);

// panels.c: the rows of `views` arrays, normalised into panels; d is made where `gradient`. `names` for the message about a
// row that is not finite.
mcl_status mcli_panels_load(mcl_context *c, mcli_side *s, const mcl_array *const *z,
                            const char *const *names, bool gradient, mcl_error *err);
// dL/du becomes dL/dz in place, row by row; returns the sum of <dL/du, u>. Once.
mcl_status mcli_panels_finish(mcl_context *c, mcli_side *s, double *along, mcl_error *err);
// Then into the callers' arrays, of which either may be NULL; those of rows without a panel are 0.
void mcli_panels_store(const mcli_side *s, const mcl_array *const *dz);

#endif
