// Sums of clusters over segments, added in an order that no number of threads or ranks changes.
#ifndef MCL_CLUSTERER_TREE_H
#define MCL_CLUSTERER_TREE_H

#include "comm/comm.h"

// What a segment, or some of them together, have gained and lost. Zero where it is not touched.
typedef struct mcli_sums {
  double *sums;     // [k, dim]
  uint8_t *touched; // [k]
} mcli_sums;

mcl_status mcli_sums_open(mcl_context *c, int32_t k, int32_t dim, mcli_sums *s, mcl_error *err);
void mcli_sums_close(mcl_context *c, mcli_sums *s); // fine when zeroed

// Segments index * 2^level .. (index + 1) * 2^level - 1.
typedef struct mcli_node {
  int32_t level, index;
  mcli_sums at;
} mcli_node;

// Nodes that a rank holds at most: of any range of 64 leaves two of each level but the highest.
enum { MCLI_TREE_NODES = 14, MCLI_TREE_ADDITIONS = 2 * MCLI_SEGMENTS };

typedef struct mcli_addition {
  mcli_sums to, from;
} mcli_addition;

typedef struct mcli_tree {
  mcl_context *context;
  mcl_comm *comm;
  mcli_grid grid;
  int32_t k, dim;
  mcli_node nodes[MCLI_TREE_NODES]; // of the segments pushed so far, from left to right
  mcli_sums spare[MCLI_TREE_NODES]; // zero
  int32_t n, n_spare;
  int64_t *counts;        // [k]: rows gained less rows lost, by cluster
  uint8_t *touched, *all; // [8 + k], [ranks, 8 + k]: what ranks tell each other
  mcli_addition additions[MCLI_TREE_ADDITIONS];
  int32_t n_additions, reserved;
} mcli_tree;

mcl_status mcli_tree_open(mcl_context *c, mcl_comm *comm, const mcli_grid *g, int32_t k,
                          int32_t dim, mcli_tree *t, mcl_error *err);
void mcli_tree_close(mcl_context *c, mcli_tree *t); // fine when zeroed
// Sums that it holds besides those of its slots.
int32_t mcli_tree_depth(const mcli_grid *g);

// The next segment of this rank. `leaf` is used up: zero, or another's, when additions have been made.
void mcli_tree_push(mcli_tree *t, uint32_t segment, mcli_sums *leaf);
// Makes the additions that pushing has put off.
mcl_status mcli_tree_add(mcli_tree *t, mcl_error *err);
// When all segments have been pushed: adds those of all ranks to sums [k, dim] and counts [k], and
// leaves the tree empty. *changed becomes the sum over ranks. An exchange, which `status` goes into.
mcl_status mcli_tree_finish(mcli_tree *t, mcl_status status, double *sums, int64_t *counts,
                            int64_t *changed, mcl_error *err);

#endif
