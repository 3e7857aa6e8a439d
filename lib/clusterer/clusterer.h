// The handle: what every clusterer has, and the table of what each kind does in its own way.
#ifndef MCL_CLUSTERER_CLUSTERER_H
#define MCL_CLUSTERER_CLUSTERER_H

#include <stdatomic.h>

#include <libmcl/clusterer.h>

#include "comm/comm.h"

// What a fit leaves behind. Never changed once a handle holds it: a new fit makes a new one.
typedef struct mcli_fitted {
  mcli_refcount refs;
  int32_t counted; // sizes and report are there: not after set_centroids
  int32_t reserved;
  int64_t *sizes; // [report.k_effective]
  void *centres;  // of a k-means
  void (*free_centres)(mcl_context *c, void *centres);
  mcl_clusterer_report report;
} mcli_fitted;

mcl_status mcli_fitted_new(mcl_context *c, int32_t k, mcli_fitted **out,
                           mcl_error *err);             // sizes are zero
void mcli_fitted_unref(mcl_context *c, mcli_fitted *f); // NULL is fine
// sizes -> imbalance
void mcli_fitted_balance(mcli_fitted *f);

// `self` is the kind's own. `rows` has been opened. With a comm, fit and assign are within its
// COLLECTIVE call.
typedef struct mcli_clusterer_kind {
  mcl_status (*fit)(void *self, const mcl_rows *rows, mcli_watch *w, mcli_fitted **out,
                    mcl_error *err);
  mcl_status (*assign)(void *self, const mcli_fitted *f, const mcl_rows *rows, mcli_watch *w,
                       int32_t *labels, double *distances, mcl_error *err);
  // The next three NULL: MCL_E_UNSUPPORTED.
  mcl_status (*set_centroids)(void *self, const mcl_array *centroids, mcli_fitted **out,
                              mcl_error *err);
  mcl_status (*centroids)(void *self, const mcli_fitted *f, const mcl_array *out, mcl_error *err);
  mcl_status (*save)(void *self, const mcli_fitted *f, const char *path, mcl_error *err);
  void (*destroy)(void *self);
  // What ranks must have in common to fit, or to assign by `f`. NULL: of one process only.
  uint64_t (*fingerprint)(const void *self, const mcli_fitted *f);
} mcli_clusterer_kind;

// Takes `self`: destroyed also on failure. `fitted` (may be NULL) becomes the handle's. Keeps `comm`.
mcl_status mcli_clusterer_new(mcl_context *c, mcl_comm *comm, const mcli_clusterer_kind *kind,
                              void *self, mcli_fitted *fitted, mcl_clusterer **out, mcl_error *err);

mcl_comm *mcli_clusterer_comm(const mcl_clusterer *k);

#endif
