// The k-means behind a handle, as its saved form needs to see it.
#ifndef MCL_CLUSTERER_KMEANS_H
#define MCL_CLUSTERER_KMEANS_H

#include "clusterer/assign.h"
#include "clusterer/clusterer.h"

// Numbers the arithmetic that results depend on: grid, seeding, updates, ties. It grows with every
// change of theirs.
enum { MCLI_KMEANS_ALGORITHM = 2 };

extern const mcli_clusterer_kind mcli_kmeans_kind;

typedef struct mcli_kmeans mcli_kmeans;
// Borrows `comm`, which the handle keeps.
mcl_status mcli_kmeans_new(mcl_context *c, const mcl_kmeans_options *o, mcl_comm *comm,
                           mcli_kmeans **out, mcl_error *err);
const mcl_kmeans_options *mcli_kmeans_options_of(const mcli_kmeans *k);
mcl_context *mcli_kmeans_context(const mcli_kmeans *k);

// A result that owns `centres`, prepared here; freed also on failure.
mcl_status mcli_kmeans_fitted(mcl_context *c, int32_t asked, mcli_centres *centres,
                              mcli_fitted **out, mcl_error *err);

// saved.c
mcl_status mcli_kmeans_save(void *self, const mcli_fitted *f, const char *path, mcl_error *err);

// Every field in its range, or MCL_E_INVALID naming it.
mcl_status mcli_kmeans_check(const mcl_kmeans_options *o, mcl_error *err);

#endif
