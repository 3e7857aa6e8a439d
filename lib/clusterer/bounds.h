// Which rows may have changed their label, and which centroids they must be compared with.
#ifndef MCL_CLUSTERER_BOUNDS_H
#define MCL_CLUSTERER_BOUNDS_H

#include "clusterer/assign.h"

// Groups of centroids at most: a row's are the bits of a word, and its bounds take 4 bytes each.
enum { MCLI_MOST_GROUPS = 64 };

// Centroids in groups of whole panels, near ones together, and how far they moved last.
typedef struct mcli_groups {
  int32_t n, panels; // of a group; the last one may have fewer
  int32_t stride;    // n filled up to whole vectors
  int32_t reserved;
  int32_t *place; // [k]: of a centroid, in mcli_centres.order
  float *drift;   // [k]: how far each centroid moved, rounded up
  float *most;    // [stride]: the farthest of each group
  float *next;    // [n]: the farthest but for that one
  int32_t *of;    // [n]: that one
} mcli_groups;

// At most `most` groups; one where it is 0.
mcl_status mcli_groups_open(mcl_context *c, int32_t k, int32_t most, mcli_groups *g,
                            mcl_error *err);
void mcli_groups_close(mcl_context *c, mcli_groups *g); // fine when zeroed

// Orders the centroids anew, so that near ones share a panel. Bounds that were kept mean nothing then.
void mcli_groups_form(const mcl_context *c, mcli_groups *g, mcli_centres *m);
// moves [k]: squared moves since the bounds were last brought up to date.
void mcli_groups_moved(mcli_groups *g, const double *moves, int32_t k);

// A row that is looked at in a pass.
typedef struct mcli_race {
  uint64_t groups;      // that it is compared with, one a bit
  float best, next;     // the smallest scores of these
  float own_next;       // the next in the group of the smallest
  int32_t place;        // of the smallest
  int32_t row;          // in the block
  int32_t label;        // what it was found to be
  float distance;       // squared, roughly
  float base, by, slop; // of its mcli_scale
} mcli_race;

// Room to look at one block.
typedef struct mcli_races {
  mcli_race *rows;   // [MCLI_SWEEP_BLOCK]
  int32_t *at, *own; // [MCLI_SWEEP_BLOCK]: rows whose bounds leave doubt, and their labels
  float *dots;       // [MCLI_SWEEP_BLOCK]: the products of the two
  float *scores;     // [k filled up to whole panels], of a row whose scores alone do not decide
  float *unit;       // [dim]
  int64_t compared;  // rows with groups of centroids, since it was last set to 0
} mcli_races;

mcl_status mcli_races_open(mcl_context *c, int32_t k, int32_t dim, mcli_races *r, mcl_error *err);
void mcli_races_close(mcl_context *c, mcli_races *r); // fine when zeroed

// What is known of rows between passes.
typedef struct mcli_bounds {
  float *upper; // [rows]: at least the distance to the row's centroid
  float *lower; // [rows, stride]: at most that to any other centroid of a group
} mcli_bounds;

// How many rows are best asked for at a time, at most MCLI_SWEEP_BLOCK.
int64_t mcli_race_rows(const mcli_groups *g);

// Labels of n rows x [n, dim]: r->rows[0 .. returned - 1] were looked at, all others keep theirs.
// `norms` and `labels` [n] are the rows', `of` their bounds; `kept`: these hold, but for the moves.
int64_t mcli_race_run(const mcl_context *c, const mcli_centres *m, const mcli_groups *g,
                      mcli_races *r, const float *x, const float *norms, const int32_t *labels,
                      int64_t n, const mcli_bounds *of, int kept);

#endif
