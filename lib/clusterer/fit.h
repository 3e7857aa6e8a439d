// One fit of k-means from start to report.
#ifndef MCL_CLUSTERER_FIT_H
#define MCL_CLUSTERER_FIT_H

#include "clusterer/clusterer.h"

// given [k, dim]: where MCL_INIT_GIVEN starts. rows has been opened; k <= rows. Within a COLLECTIVE call
// of `comm`.
mcl_status mcli_fit(mcl_context *c, mcl_comm *comm, const mcl_kmeans_options *o, const float *given,
                    const mcl_rows *rows, mcli_watch *w, mcli_fitted **out, mcl_error *err);

#endif
