// One direction of a contrastive loss: anchors x pick their positives out of candidates y, cell by cell.
#ifndef MCL_LOSS_CONTRAST_H
#define MCL_LOSS_CONTRAST_H

#include <libmcl/loss.h>

#include "base/context.h"

// Rows of one kind (anchors or candidates), sorted by cell, so that a cell is one run of rows.
typedef struct mcli_contrast_rows {
  int64_t n;
  float *u;            // [n, dim], normalised unless told otherwise, sorted
  float *norms;        // [n], of the sorted rows; NULL: rows as given
  int64_t *order;      // [n]: sorted row i is the caller's row order[i]
  int64_t *duplicates; // [n] sorted; NULL: none
  int64_t *
      positive; // [n]: place of the positive among the sorted rows of the other kind; -1: this row is no anchor
  double *lse;   // [n]: log of the sum in (3), by pass 1
  double *terms; // [n, 4]: l_i, -sum_j (p_ij - [j = p]) s_ij, hit, has negatives; by pass 1
} mcli_contrast_rows;

typedef struct mcli_contrast {
  mcl_context *context;
  int64_t dim;
  float inverse_temperature;
  bool same; // x and y are the same rows: a row is not its own negative
  double x_weight,
      y_weight; // dL/dl_i of x's anchors, and of y's where y's rows are anchors of x too; else 0
  mcli_contrast_rows *x, *y;
  // [groups]: runs of equal cells, [first, end) of x's rows and of y's. Rows of y in no anchor's cell are in none.
  int64_t groups, *x_first, *x_end, *y_first, *y_end;
} mcli_contrast;

// Pass 1: lse and terms of x. Pass 2: d[n, dim] of x's sorted rows, by u; needs the lse of x, and of y if y_weight.
mcl_status mcli_contrast_scores(const mcli_contrast *k, mcl_error *err);
mcl_status mcli_contrast_gradient(const mcli_contrast *k, float *d, mcl_error *err);

#endif
