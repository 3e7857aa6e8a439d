// One fit's training rows, and the centroids as they move.
#ifndef MCL_CLUSTERER_TRAIN_H
#define MCL_CLUSTERER_TRAIN_H

#include <libmcl/clusterer.h>

#include "clusterer/assign.h"
#include "clusterer/bounds.h"
#include "clusterer/sweep.h"
#include "clusterer/tree.h"

// What one slot of a sweep has gathered since it was last added to the totals.
typedef struct mcli_slot {
  mcli_scorer scorer;               // in mini-batches
  int32_t labels[MCLI_SWEEP_BLOCK]; // the same
  float distances[MCLI_SWEEP_BLOCK];
  mcli_races races; // in Lloyd's
  mcli_sums gained; // rows gained less rows lost, by cluster
  int64_t *counts;  // [k], likewise
  double inertia;
  int64_t changed;
} mcli_slot;

// Rows of this rank and where they belong now.
typedef struct mcli_members {
  const mcli_sweep *sweep;
  float *norms;       // [rows]
  int32_t *labels;    // [rows], -1: in no cluster's sums
  float *distances;   // [rows], to the row's centroid, roughly; of rows scored in the last pass
  mcli_bounds bounds; // NULL: every row is compared with every centroid in every pass
} mcli_members;

// A restart in the making.
typedef struct mcli_state {
  mcli_centres *centres;
  double *sums;    // [k, dim] of the members, normalised in cosine
  int64_t *counts; // [k]; rows of zeros in cosine are in no cluster
  uint8_t *alive;  // [k]: may be chosen by rows
  double *moves;   // [k]: squared moves of the last update
  double *gains;   // [k]: by how much each sum lowers the inertia, see pass.c
  mcli_groups groups;
  double inertia; // mean squared distance; of the last batch in mini-batch
  int64_t changed, repairs;
  int32_t bounded; // the bounds of rows hold, but for the moves of the last update
  int32_t iterations, converged, reserved;
} mcli_state;

typedef struct mcli_training {
  mcl_context *context;
  const mcl_kmeans_options *options;
  mcli_watch *watch;
  mcli_members members; // of the training rows
  mcli_slot *slots;     // [n_slots]
  mcli_tree tree;       // over the segments of what is passed over
  int64_t told;         // iteration for the watch
  double variance;      // mean over columns
  double squares;       // sum of squared lengths
  mcli_state state;
  uint32_t n_slots;
  uint32_t restart;
} mcli_training;

// `groups`: of centroids, at most.
mcl_status mcli_state_open(mcl_context *c, int32_t k, int32_t dim, int32_t metric, int32_t groups,
                           mcli_state *s, mcl_error *err);
void mcli_state_close(mcl_context *c, mcli_state *s); // fine when zeroed

mcl_status mcli_slots_open(mcl_context *c, uint32_t n, int32_t k, int32_t dim, mcli_slot **out,
                           mcl_error *err);
void mcli_slots_close(mcl_context *c, mcli_slot *slots, uint32_t n); // NULL is fine

// Lengths of all rows into norms [rows], the mean over columns of their variance, and the sum of
// their squares (of normalised rows in cosine). Every row is checked.
mcl_status mcli_survey(mcl_context *c, const mcli_sweep *s, int32_t metric, float *norms,
                       double *variance, double *squares, mcl_error *err);

// How many distinct rows there are, counted until `most` are found; in cosine after normalising,
// without zero rows.
mcl_status mcli_count_distinct(mcl_context *c, const mcli_sweep *s, int32_t metric, int64_t most,
                               int64_t *distinct, mcl_error *err);

// One pass over rows: labels, sums and counts brought up to date; state.changed, and the batch's
// inertia.
mcl_status mcli_pass(mcli_training *t, const mcli_members *m, mcl_error *err);
// New centroids from sums; *moved: their squared moves, added up.
mcl_status mcli_update(mcli_training *t, double *moved, mcl_error *err);

// Moves centroids until they stay, by options.method.
mcl_status mcli_lloyd(mcli_training *t, mcl_error *err);
mcl_status mcli_minibatch(mcli_training *t, mcl_error *err);
int64_t mcli_batch_rows(const mcl_kmeans_options *o, int64_t rows);

// Starts clusters without members anew by options.empty, and counts them in state.repairs.
// `with_sums`: their first member moves over in labels, sums and counts too.
mcl_status mcli_repair(mcl_context *c, int32_t policy, const mcli_members *m, mcli_state *s,
                       int with_sums, mcl_error *err);

#endif
