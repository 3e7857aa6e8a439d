// The handle of every clusterer: who may call when, and what a failed call leaves.
//
// A fit builds its result apart and puts it in place whole, at the very end; so a fit that fails or
// is cancelled leaves the one before. Const calls hold a reference to the result they began with.
// Fit refuses to run (MCL_E_BUSY) inside another fit, and inside a const call, which would lose its
// handle's state under its feet.
#include "clusterer/clusterer.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "math/array.h"

struct mcl_clusterer {
  mcli_refcount refs;
  mcli_guard guard;
  atomic_int readers;
  mcl_context *context;
  mcl_comm *comm; // NULL: one process
  const mcli_clusterer_kind *kind;
  void *self;
  mcli_fitted *fitted; // NULL: neither fit nor set_centroids
};

// ---- what a fit leaves --------------------------------------------------------------------------

mcl_status mcli_fitted_new(mcl_context *c, int32_t k, mcli_fitted **out, mcl_error *err) {
  mcli_fitted *f = MCLI_NEW0(c, mcli_fitted, 1);
  if (!f) return mcli_nomem(err, "the result of fit");
  mcli_ref_init(&f->refs);
  mcl_struct_init(&f->report, sizeof f->report);
  f->report.k = f->report.k_effective = k;
  f->report.inertia = f->report.mean_cosine = f->report.imbalance = NAN;
  f->sizes = MCLI_NEW0(c, int64_t, k);
  if (!f->sizes) {
    mcli_fitted_unref(c, f);
    return mcli_nomem(err, "the sizes of clusters");
  }
  *out = f;
  return MCL_OK;
}

void mcli_fitted_unref(mcl_context *c, mcli_fitted *f) {
  if (!f || !mcli_unref_is_last(&f->refs)) return;
  if (f->free_centres) f->free_centres(c, f->centres);
  mcli_free(c, f->sizes);
  mcli_free(c, f);
}

void mcli_fitted_balance(mcli_fitted *f) {
  double squares = 0, all = 0;
  for (int32_t j = 0; j < f->report.k_effective; j++) {
    double n = (double)f->sizes[j];
    squares += n * n;
    all += n;
  }
  f->report.imbalance = all > 0 ? f->report.k_effective * squares / (all * all) : NAN;
}

// ---- the handle ---------------------------------------------------------------------------------

mcl_status mcli_clusterer_new(mcl_context *c, mcl_comm *comm, const mcli_clusterer_kind *kind,
                              void *self, mcli_fitted *fitted, mcl_clusterer **out,
                              mcl_error *err) {
  mcl_clusterer *k = MCLI_NEW0(c, mcl_clusterer, 1);
  if (!k) {
    kind->destroy(self);
    mcli_fitted_unref(c, fitted);
    return mcli_nomem(err, "a clusterer");
  }
  mcli_ref_init(&k->refs);
  mcli_guard_init(&k->guard);
  atomic_init(&k->readers, 0);
  k->context = mcl_context_ref(c);
  k->comm = mcl_comm_ref(comm);
  k->kind = kind;
  k->self = self;
  k->fitted = fitted;
  *out = k;
  return mcl_ok(err);
}

mcl_clusterer *mcl_clusterer_ref(mcl_clusterer *k) {
  if (k) mcli_ref(&k->refs);
  return k;
}

void mcl_clusterer_unref(mcl_clusterer *k) {
  if (!k || !mcli_unref_is_last(&k->refs)) return;
  mcl_context *c = k->context;
  mcli_fitted_unref(c, k->fitted);
  k->kind->destroy(k->self);
  mcl_comm_unref(k->comm);
  mcli_free(c, k);
  mcl_context_unref(c);
}

mcl_comm *mcli_clusterer_comm(const mcl_clusterer *k) {
  return k->comm;
}

static mcl_status begin_change(mcl_clusterer *k, mcl_error *err) {
  mcl_status s = mcli_guard_enter(&k->guard, "clusterer", err);
  if (s < 0) return s;
  if (atomic_load(&k->readers) == 0) return MCL_OK;
  mcli_guard_leave(&k->guard);
  return mcli_fail(err, MCL_E_BUSY, "the clusterer is in use by a call that has not returned");
}

static void replace(mcl_clusterer *k, mcli_fitted *fitted) {
  mcli_fitted_unref(k->context, k->fitted);
  k->fitted = fitted;
}

// `sizes`: set_centroids is not enough.
static mcl_status want_fitted(const mcl_clusterer *k, int sizes, mcl_error *err) {
  if (!k) return mcli_fail(err, MCL_E_INVALID, "clusterer is NULL");
  if (k->fitted && (k->fitted->counted || !sizes)) return MCL_OK;
  return mcli_fail(err, MCL_E_STATE,
                   "the clusterer has not been fitted: call mcl_clusterer_fit() first");
}

mcl_status mcl_clusterer_set_centroids(mcl_clusterer *k, const mcl_array *centroids,
                                       mcl_error *err) {
  if (!k) return mcli_fail(err, MCL_E_INVALID, "clusterer is NULL");
  if (!centroids) return mcli_fail(err, MCL_E_INVALID, "centroids is NULL");
  if (!k->kind->set_centroids)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "a host clusterer is not given centroids");
  mcl_status s = begin_change(k, err);
  if (s < 0) return s;
  mcli_fitted *fitted = NULL;
  s = k->kind->set_centroids(k->self, centroids, &fitted, err);
  if (s == MCL_OK) replace(k, fitted);
  mcli_guard_leave(&k->guard);
  return s < 0 ? s : mcl_ok(err);
}

// ---- COLLECTIVE -----------------------------------------------------------------------------------

enum { FIT = 1, ASSIGN, ASSIGN_WITH_DISTANCES };

// Of a call: what it is, the rows, and what the kind has.
static uint64_t fingerprint(const mcl_clusterer *k, int32_t call, const mcl_rows *rows,
                            const mcli_fitted *f) {
  int64_t of[3] = {call, rows->rows, rows->dim};
  uint64_t kind = k->kind->fingerprint && k->comm ? k->kind->fingerprint(k->self, f) : 0;
  return mcli_hash(of, sizeof of, kind);
}

static mcl_status fit(mcl_clusterer *k, const mcl_rows *rows, const mcl_monitor *monitor,
                      mcli_fitted **fitted, mcl_error *err) {
  mcl_rows opened;
  mcli_watch watch;
  uint64_t what = 0;
  mcl_status s = rows ? mcli_rows_open(rows, "rows", &opened, err)
                      : mcli_fail(err, MCL_E_INVALID, "rows is NULL");
  if (s == MCL_OK) s = mcli_watch_begin(&watch, monitor, "seed", 0, err);
  if (s == MCL_OK) what = fingerprint(k, FIT, &opened, NULL);
  s = mcli_comm_begin(k->comm, s, what, err);
  return s < 0 ? s : k->kind->fit(k->self, &opened, &watch, fitted, err);
}

mcl_status mcl_clusterer_fit(mcl_clusterer *k, const mcl_rows *rows, const mcl_monitor *monitor,
                             mcl_error *err) {
  mcl_error own;
  mcli_fitted *fitted = NULL;
  if (!err) err = &own;
  if (!k) return mcli_fail(err, MCL_E_INVALID, "clusterer is NULL");
  mcl_status s = mcli_comm_enter(k->comm, err);
  if (s < 0) return s;
  s = begin_change(k, err);
  int changing = s == MCL_OK;
  if (s == MCL_OK) s = fit(k, rows, monitor, &fitted, err);
  s = mcli_comm_end(k->comm, s, err);
  if (s == MCL_OK) replace(k, fitted);
  if (s < 0) mcli_fitted_unref(k->context, fitted);
  if (changing) mcli_guard_leave(&k->guard);
  return s < 0 ? s : mcl_ok(err);
}

static mcl_status assign(const mcl_clusterer *k, const mcl_rows *rows, const mcl_monitor *monitor,
                         int32_t *labels, double *distances, mcl_error *err) {
  mcl_rows opened;
  mcli_watch watch;
  uint64_t what = 0;
  mcl_status s = MCL_OK;
  if (!rows || !labels) s = mcli_fail(err, MCL_E_INVALID, "%s is NULL", rows ? "labels" : "rows");
  if (s == MCL_OK) s = want_fitted(k, 0, err);
  if (s == MCL_OK) s = mcli_rows_open(rows, "rows", &opened, err);
  if (s == MCL_OK) s = mcli_watch_begin(&watch, monitor, "assign", 0, err);
  if (s == MCL_OK)
    what = fingerprint(k, distances ? ASSIGN_WITH_DISTANCES : ASSIGN, &opened, k->fitted);
  s = mcli_comm_begin(k->comm, s, what, err);
  if (s < 0) return s;
  // Const towards the host: the count of readers is the handle's own bookkeeping.
  mcl_clusterer *mine = (mcl_clusterer *)(uintptr_t)k;
  atomic_fetch_add(&mine->readers, 1);
  mcli_fitted *fitted = k->fitted;
  mcli_ref(&fitted->refs);
  s = k->kind->assign(k->self, fitted, &opened, &watch, labels, distances, err);
  mcli_fitted_unref(k->context, fitted);
  atomic_fetch_sub(&mine->readers, 1);
  return s;
}

mcl_status mcl_clusterer_assign(const mcl_clusterer *k, const mcl_rows *rows,
                                const mcl_monitor *monitor, int32_t *labels, double *distances,
                                mcl_error *err) {
  mcl_error own;
  if (!err) err = &own;
  if (!k) return mcli_fail(err, MCL_E_INVALID, "clusterer is NULL");
  mcl_status s = mcli_comm_enter(k->comm, err);
  if (s < 0) return s;
  s = assign(k, rows, monitor, labels, distances, err);
  s = mcli_comm_end(k->comm, s, err);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcl_clusterer_centroids(const mcl_clusterer *k, const mcl_array *out, mcl_error *err) {
  if (!k) return mcli_fail(err, MCL_E_INVALID, "clusterer is NULL");
  if (!k->kind->centroids)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "a host clusterer has no centroids");
  mcl_status s = want_fitted(k, 0, err);
  if (s == MCL_OK) s = k->kind->centroids(k->self, k->fitted, out, err);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcl_clusterer_sizes(const mcl_clusterer *k, int64_t *out, int32_t n, mcl_error *err) {
  mcl_status s = want_fitted(k, 1, err);
  if (s < 0) return s;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  if (n != k->fitted->report.k_effective)
    return mcli_fail(err, MCL_E_SHAPE, "n is %d, but the clusterer has %d clusters", (int)n,
                     (int)k->fitted->report.k_effective);
  memcpy(out, k->fitted->sizes, (size_t)n * sizeof *out);
  return mcl_ok(err);
}

mcl_status mcl_clusterer_get_report(const mcl_clusterer *k, mcl_clusterer_report *out,
                                    mcl_error *err) {
  mcl_status s = want_fitted(k, 1, err);
  if (s < 0) return s;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  s = mcli_struct_out(out, &k->fitted->report, sizeof k->fitted->report, "mcl_clusterer_report",
                      err);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcl_clusterer_save(const mcl_clusterer *k, const char *path, mcl_error *err) {
  if (!k) return mcli_fail(err, MCL_E_INVALID, "clusterer is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  if (!k->kind->save)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "a host clusterer is saved by the host");
  mcl_status s = want_fitted(k, 0, err);
  if (s == MCL_OK) s = k->kind->save(k->self, k->fitted, path, err);
  return s < 0 ? s : mcl_ok(err);
}
