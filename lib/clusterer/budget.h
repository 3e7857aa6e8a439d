// What a fit holds, and what it does without where it may not hold all of it.
#ifndef MCL_CLUSTERER_BUDGET_H
#define MCL_CLUSTERER_BUDGET_H

#include <libmcl/clusterer.h>

#include "clusterer/sweep.h"

// Groups of centroids to keep bounds of, at most MCLI_MOST_GROUPS; 0: no bounds at all. Within
// options.max_bytes, or MCL_E_LIMIT with what is needed at least. `all` is open.
mcl_status mcli_budget_groups(const mcl_kmeans_options *o, const mcli_sweep *all, int32_t *groups,
                              mcl_error *err);

#endif
