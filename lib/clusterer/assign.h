// Which centroid is nearest: scored by products, decided in one fixed order of operations.
#ifndef MCL_CLUSTERER_ASSIGN_H
#define MCL_CLUSTERER_ASSIGN_H

#include <libmcl/clusterer.h>

#include "clusterer/sweep.h"

// A row longer than this has a square that leaves float32, whose largest is 3.4e38.
#define MCLI_LONGEST_ROW 1e18

// Rows whose squared distance is at most this share of their squared length are one and the same:
// normalising a row, and the mean of equal rows, leave each coordinate within 2 ulp, (2 x 2^-23)^2
// = 6e-14 in all.
#define MCLI_SAME 1e-13

typedef struct mcli_centres {
  int32_t k, dim, metric, reserved;
  float *rows;   // [k, dim]; unit rows in cosine
  float *packed; // the same, as math/scores.h wants it
  float *bias; // [k, filled up to whole panels]: what is added to -x.c; +infinity: out of the race
  double e0, e1, e2; // a row of length l has scores within e0 + e1 l + e2 l^2 of the truth
} mcli_centres;

mcl_status mcli_centres_new(mcl_context *c, int32_t k, int32_t dim, int32_t metric,
                            mcli_centres **out, mcl_error *err);
void mcli_centres_free(mcl_context *c, mcli_centres *m);
// After `rows` has changed. alive [k] (NULL: all): centroids that rows may choose, at least one.
void mcli_centres_prepare(const mcl_context *c, mcli_centres *m, const uint8_t *alive);

// Scratch memory of one slot.
typedef struct mcli_scorer {
  float *scores; // [tile, k filled up to whole panels]
  float *unit;   // [dim]
  float *norms;  // [MCLI_SWEEP_BLOCK]
  int64_t tile;
} mcli_scorer;

mcl_status mcli_scorer_open(mcl_context *c, int32_t k, int32_t dim, mcli_scorer *s, mcl_error *err);
void mcli_scorer_close(mcl_context *c, mcli_scorer *s); // fine when zeroed

// norms[i] = |row i|, as float32. MCL_E_LIMIT with the row (first + i) when it is longer than
// MCLI_LONGEST_ROW.
mcl_status mcli_row_norms(const mcl_context *c, const float *x, int64_t first, int64_t n,
                          int64_t dim, float *norms, mcl_error *err);

// What is found out about n rows; each array but labels may be NULL.
typedef struct mcli_found {
  int32_t *labels;
  float *distances; // squared, to the chosen centroid
  float *upper;     // at least the distance to the chosen centroid, not squared
  float *lower;     // at most the distance to any other; 0 where that is not known
} mcli_found;

// Labels of n rows x [n, dim] with their norms. Distances are exactly those of mcli_distance if
// `exact`, else as the scores have it, with an error of some 1e-6 |x|^2.
void mcli_assign_block(mcl_context *c, const mcli_centres *m, mcli_scorer *s, const float *x,
                       const float *norms, int64_t n, const mcli_found *out, int exact);

// By how much squared distances of a row, from scores or by the row kernel, may be off when they
// are compared: a label is certain where it is nearer than any other by more than this.
double mcli_slop(const mcli_centres *m, float norm);

// The distance that decides: by the row kernel, in an order of additions that depends on dim alone.
// `unit` is room for one row; norm is the row's.
float mcli_distance(const mcl_context *c, const mcli_centres *m, const float *x, float norm,
                    int32_t j, float *unit);

#endif
