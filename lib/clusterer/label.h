// The last pass: every row its label, decided as mcli_distance decides.
#ifndef MCL_CLUSTERER_LABEL_H
#define MCL_CLUSTERER_LABEL_H

#include "clusterer/assign.h"
#include "clusterer/sweep.h"

typedef struct mcli_tally {
  int64_t *counts; // [k]: rows by label, rows of zeros in cosine apart
  int64_t zero_rows;
  double inertia, cosine; // sums over rows
} mcli_tally;

// Of this rank's rows: labels [rows]; distances [rows] (NULL: not wanted) and norms [rows] (NULL). Of
// all ranks' *tally (NULL; its counts are zero before), for fit: an exchange. The centres have been prepared. `known`: labels and norms are
// already those of these centres and rows, only distances and the tally are wanted.
mcl_status mcli_label(mcl_context *c, const mcli_centres *m, const mcli_sweep *s, mcli_watch *w,
                      int known, int32_t *labels, float *distances, float *norms, mcli_tally *tally,
                      mcl_error *err);

#endif
