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
  float *rows; // [k, dim]; unit rows in cosine
  // Places: k filled up to whole panels. Which centroid has one, -1: none; in order at first.
  int32_t *order;
  float *packed;     // the same rows by their places, as math/scores.h wants them
  float *bias;       // [places]: what is added to -x.c; +infinity: out of the race
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

// Labels of n rows x [n, dim] with their norms, and squared distances (NULL: not wanted) to the chosen
// centroids: exactly those of mcli_distance if `exact`, else as the scores have it, with an error of
// some 1e-6 |x|^2.
void mcli_assign_block(mcl_context *c, const mcli_centres *m, mcli_scorer *s, const float *x,
                       const float *norms, int64_t n, int32_t *labels, float *distances, int exact);

// What turns a row's scores into squared distances, and what rounding may do to them.
typedef struct mcli_scale {
  double base, by; // squared distance = base + by * score: assign.c (3)
  double slop;     // a squared distance is certainly the smaller one where it is so by more
  float slack;     // the same for scores
  float reserved;
} mcli_scale;

static inline mcli_scale mcli_scale_of(const mcli_centres *m, float norm) {
  // In cosine scores are in units of the row's length. D is twice a score, and two of them are
  // compared.
  double l = norm, error = m->e0 + m->e1 * l + m->e2 * l * l;
  float slack = (float)(2 * error);
  if (m->metric != MCL_COSINE) return (mcli_scale){l * l, 2, 4 * error, slack, 0};
  return (mcli_scale){2, 2 / l, norm > 0 ? 4 * error / l : 4 * m->e0, slack, 0};
}

// The label of a row whose scores [places] leave more than one within `limit`, the smallest and the
// slack above it; `unit` is room for one row.
int32_t mcli_decide(const mcl_context *c, const mcli_centres *m, const float *x, float *unit,
                    const float *scores, float limit, float *distance);

// The distance that decides: by the row kernel, in an order of additions that depends on dim alone.
// `unit` is room for one row; norm is the row's.
float mcli_distance(const mcl_context *c, const mcli_centres *m, const float *x, float norm,
                    int32_t j, float *unit);

#endif
