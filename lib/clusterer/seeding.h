// Where centroids start.
#ifndef MCL_CLUSTERER_SEEDING_H
#define MCL_CLUSTERER_SEEDING_H

#include "clusterer/train.h"

// Places centroids by options.init, which is not MCL_INIT_GIVEN, and marks those placed as alive.
mcl_status mcli_seed(mcli_training *t, mcl_error *err);

// The most that it holds, in bytes, for k centroids of `rows` rows.
double mcli_seeding_bytes(int32_t k, int32_t dim, int64_t rows);

#endif
