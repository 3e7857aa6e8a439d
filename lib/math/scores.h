// Scores of rows against a set of centroids, and the smallest of them: a matrix product for narrow and small shapes.
//
// The rows are read as they lie; only the centroids are packed, once for all rows. A score's bits depend on its row and its
// centroid alone, not on how many of either are asked for at once.
#ifndef MCL_MATH_SCORES_H
#define MCL_MATH_SCORES_H

#include <stdint.h>

#include "base/context.h"

// Centroids a panel: [MCLI_PANEL] of each coordinate lie together.
enum { MCLI_PANEL = 16 };

typedef struct mcli_scores_kernels {
  // out[i, j] = bias[j] - x_i . c_j for n rows of x [n, dim] and all j of `panels` panels; out is [n, 16 panels].
  void (*score)(const float *x, int64_t n, int64_t dim, const float *packed, int64_t panels,
                const float *bias, float *out);
  // The reverse: out[p, d, lane] = sum_i x[i, d] * y[i, 16 p + lane] over n rows in order, x [n, dim], y [n, 16 panels];
  // out is laid out as `packed` is. For the gradient by what was scored. n is a block that stays in the cache.
  void (*product)(const float *x, int64_t n, int64_t dim, const float *y, int64_t panels,
                  float *out);
  // The place of the smallest of n scores, n a multiple of MCLI_PANEL, if no other is within `slack`
  // of it, else -1; *least is the smallest, *second the next, its equal if there is one. No NaN.
  int64_t (*nearest)(const float *scores, int64_t n, float slack, float *least, float *second);
  // Of rows x + at[i] * dim, i < n, against one panel: the smallest score of each, the next, its equal
  // if there is one, and the first lane of the smallest. No NaN.
  void (*contest)(const float *x, int64_t dim, const int32_t *at, int64_t n, const float *packed,
                  const float *bias, float *least, float *second, int32_t *lane);
  // dots[i] = row at[i] of x times row of[i] of y, both of `dim`, i < n.
  void (*pairs)(const float *x, const int32_t *at, const float *y, const int32_t *of, int64_t n,
                int64_t dim, float *dots);
} mcli_scores_kernels;

// The kernels of this context's instruction set; of a given one, where the processor has it (else NULL).
const mcli_scores_kernels *mcli_scores_kernels_of(const mcl_context *c);
const mcli_scores_kernels *mcli_scores_kernels_for(mcli_isa isa);

static inline int64_t mcli_panels(int64_t k) {
  return (k + MCLI_PANEL - 1) / MCLI_PANEL;
}

// Centroids [k, dim] into packed [panels, dim, MCLI_PANEL]; the last panel is filled up with zeros.
void mcli_scores_pack(const float *centroids, int64_t k, int64_t dim, float *packed);
// One panel of them, those of numbers ids[0 .. MCLI_PANEL - 1]; -1: zeros.
void mcli_scores_pack_panel(const float *centroids, const int32_t *ids, int64_t dim, float *panel);

#endif
