// k-means behind the handle: options, given centroids, and labels by what was fitted. Fit itself is
// in fit.c.
#include "clusterer/kmeans.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "clusterer/fit.h"
#include "clusterer/label.h"
#include "math/array.h"
#include "math/rows.h"

struct mcli_kmeans {
  mcl_context *context; // alive as long as the handle, which refers to both
  mcl_comm *comm;
  mcl_kmeans_options options;
  float *given; // [k, given_dim], by set_centroids; NULL: none
  int32_t given_dim;
};

// k: 2^24 centroids of 128 floats are 8 GiB. Restarts and iterations: past anything that ends in a
// lifetime, so a larger number is a mistake. A mini-batch of 2^24 rows is a whole data set.
enum { MOST_K = 1 << 24, MOST_RESTARTS = 1000, MOST_ITERATIONS = 1000000, MOST_BATCH = 1 << 24 };

// Restarts: k-means++ alone leaves a few per cent between starts, and three take most of that. 4096
// rows a step: large enough for matrix products, and at k = 100 some forty rows a centroid.
static const mcl_kmeans_options defaults = {
    .struct_size = sizeof(mcl_kmeans_options),
    .k = 10,
    .method = MCL_LLOYD,
    .metric = MCL_COSINE,
    .init = MCL_INIT_KMEANSPP,
    .empty = MCL_EMPTY_FARTHEST,
    .restarts = 3,
    .max_iterations = 100,
    .minibatch_rows = 4096,
    .tolerance = 1e-4,
};

void mcl_kmeans_options_init(mcl_kmeans_options *o, size_t struct_size) {
  mcli_options_init(o, struct_size, &defaults, sizeof defaults);
}

static mcl_status check_range(const char *field, int64_t value, int64_t low, int64_t high,
                              mcl_error *err) {
  if (value >= low && value <= high) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "mcl_kmeans_options.%s is %lld, not %lld..%lld", field,
                   (long long)value, (long long)low, (long long)high);
}

mcl_status mcli_kmeans_check(const mcl_kmeans_options *o, mcl_error *err) {
  mcl_status s = check_range("k", o->k, 1, MOST_K, err);
  if (s == MCL_OK) s = check_range("method", o->method, MCL_LLOYD, MCL_MINIBATCH, err);
  if (s == MCL_OK) s = check_range("metric", o->metric, MCL_COSINE, MCL_L2, err);
  if (s == MCL_OK) s = check_range("init", o->init, MCL_INIT_KMEANSPP, MCL_INIT_GIVEN, err);
  if (s == MCL_OK) s = check_range("empty", o->empty, MCL_EMPTY_FARTHEST, MCL_EMPTY_SHRINK_K, err);
  if (s == MCL_OK) s = check_range("restarts", o->restarts, 1, MOST_RESTARTS, err);
  if (s == MCL_OK) s = check_range("max_iterations", o->max_iterations, 1, MOST_ITERATIONS, err);
  if (s == MCL_OK) s = check_range("minibatch_rows", o->minibatch_rows, 1, MOST_BATCH, err);
  if (s < 0) return s;
  if (!(o->tolerance >= 0 && o->tolerance < INFINITY))
    return mcli_fail(err, MCL_E_INVALID,
                     "mcl_kmeans_options.tolerance is %g, not a number of at least 0",
                     o->tolerance);
  if (o->max_train_rows != 0 && o->max_train_rows < o->k)
    return mcli_fail(err, MCL_E_INVALID,
                     "mcl_kmeans_options.max_train_rows is %lld, neither 0 nor at least k = %d",
                     (long long)o->max_train_rows, (int)o->k);
  if (o->max_bytes < 0)
    return mcli_fail(err, MCL_E_INVALID,
                     "mcl_kmeans_options.max_bytes is %lld, not a number of at least 0",
                     (long long)o->max_bytes);
  return MCL_OK;
}

mcl_status mcli_kmeans_new(mcl_context *c, const mcl_kmeans_options *o, mcl_comm *comm,
                           mcli_kmeans **out, mcl_error *err) {
  mcli_kmeans *k = MCLI_NEW0(c, mcli_kmeans, 1);
  if (!k) return mcli_nomem(err, "a clusterer");
  k->context = c;
  k->comm = comm;
  k->options = *o;
  *out = k;
  return MCL_OK;
}

const mcl_kmeans_options *mcli_kmeans_options_of(const mcli_kmeans *k) {
  return &k->options;
}
mcl_context *mcli_kmeans_context(const mcli_kmeans *k) {
  return k->context;
}

mcl_status mcl_clusterer_create_kmeans(mcl_context *c, const mcl_kmeans_options *options,
                                       mcl_comm *comm, mcl_clusterer **out, mcl_error *err) {
  mcl_kmeans_options o = defaults;
  mcli_kmeans *k = NULL;
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_status s = mcli_options_copy(&o, sizeof o, options, "mcl_kmeans_options", err);
  if (s == MCL_OK) s = mcli_kmeans_check(&o, err);
  if (s == MCL_OK) s = mcli_kmeans_new(c, &o, comm, &k, err);
  return s < 0 ? s : mcli_clusterer_new(c, comm, &mcli_kmeans_kind, k, NULL, out, err);
}

static void free_centres(mcl_context *c, void *centres) {
  mcli_centres_free(c, centres);
}

mcl_status mcli_kmeans_fitted(mcl_context *c, int32_t asked, mcli_centres *centres,
                              mcli_fitted **out, mcl_error *err) {
  mcl_status s = mcli_fitted_new(c, centres->k, out, err);
  if (s < 0) {
    mcli_centres_free(c, centres);
    return s;
  }
  mcli_centres_prepare(c, centres, NULL);
  (*out)->report.k = asked;
  (*out)->centres = centres;
  (*out)->free_centres = free_centres;
  return MCL_OK;
}

// ---- the kind's table ---------------------------------------------------------------------------

static mcl_status check_given(const mcli_kmeans *k, float *rows, int32_t dim, mcl_error *err) {
  int64_t bad = mcli_first_not_finite(rows, k->options.k, dim);
  if (bad >= 0)
    return mcli_fail_row(err, MCL_E_NOT_FINITE, bad, "centroid %lld is not finite", (long long)bad);
  for (int32_t j = 0; j < k->options.k; j++) {
    float norm;
    mcl_status s = mcli_row_norms(k->context, rows + (int64_t)j * dim, j, 1, dim, &norm, err);
    if (s < 0) return s;
    if (norm == 0 && k->options.metric == MCL_COSINE)
      return mcli_fail_row(err, MCL_E_INVALID, j,
                           "centroid %d is zero, which has no direction for MCL_COSINE", (int)j);
  }
  if (k->options.metric == MCL_COSINE)
    mcli_normalise(k->context, rows, k->options.k, dim, rows, NULL);
  return MCL_OK;
}

static mcl_status kmeans_set_centroids(void *self, const mcl_array *centroids, mcli_fitted **out,
                                       mcl_error *err) {
  mcli_kmeans *k = self;
  mcl_context *c = k->context;
  mcl_status s = mcli_matrix_check(centroids, "centroids", k->options.k, -1, err);
  if (s < 0) return s;
  int64_t dim = centroids->shape[1], numbers;
  if (dim > INT32_MAX || !mcli_mul(k->options.k, dim, &numbers))
    return mcli_fail(err, MCL_E_SHAPE, "centroids has too many columns");
  mcli_centres *centres;
  s = mcli_centres_new(c, k->options.k, (int32_t)dim, k->options.metric, &centres, err);
  if (s < 0) return s;
  float *given = MCLI_NEW(c, float, numbers);
  mcli_array_load(centroids, 0, k->options.k, centres->rows);
  s = given ? check_given(k, centres->rows, (int32_t)dim, err) : mcli_nomem(err, "centroids");
  if (s < 0) {
    mcli_free(c, given);
    mcli_centres_free(c, centres);
    return s;
  }
  memcpy(given, centres->rows, (size_t)numbers * sizeof *given);
  s = mcli_kmeans_fitted(c, k->options.k, centres, out, err);
  if (s < 0) {
    mcli_free(c, given);
    return s;
  }
  mcli_free(c, k->given);
  k->given = given;
  k->given_dim = (int32_t)dim;
  return MCL_OK;
}

static mcl_status kmeans_fit(void *self, const mcl_rows *rows, mcli_watch *w, mcli_fitted **out,
                             mcl_error *err) {
  const mcli_kmeans *k = self;
  const mcl_kmeans_options *o = &k->options;
  if (o->k > rows->rows)
    return mcli_fail(err, MCL_E_INVALID, "k is %d, more than the %lld rows", (int)o->k,
                     (long long)rows->rows);
  if (o->init == MCL_INIT_GIVEN && !k->given)
    return mcli_fail(err, MCL_E_STATE,
                     "init is MCL_INIT_GIVEN: call mcl_clusterer_set_centroids() first");
  if (o->init == MCL_INIT_GIVEN && k->given_dim != rows->dim)
    return mcli_fail(err, MCL_E_SHAPE, "rows have dim %d, the given centroids %d", (int)rows->dim,
                     (int)k->given_dim);
  return mcli_fit(k->context, k->comm, o, k->given, rows, w, out, err);
}

static mcl_status kmeans_assign(void *self, const mcli_fitted *f, const mcl_rows *rows,
                                mcli_watch *w, int32_t *labels, double *distances, mcl_error *err) {
  const mcli_kmeans *k = self;
  mcl_context *c = k->context;
  const mcli_centres *m = f->centres;
  if (rows->dim != m->dim)
    return mcli_fail(err, MCL_E_SHAPE, "rows have dim %d, the centroids %d", (int)rows->dim,
                     (int)m->dim);
  mcli_sweep sweep;
  mcl_status s = mcli_sweep_open(c, k->comm, rows, &sweep, err);
  if (s < 0) return s;
  mcli_watch_phase(w, "assign", sweep.blocks);
  // Written aside, so that a row that is not finite leaves the caller's arrays untouched.
  int32_t *all = MCLI_NEW(c, int32_t, rows->rows);
  float *far = distances ? MCLI_NEW(c, float, rows->rows) : NULL;
  s = all && (far || !distances) ? MCL_OK : mcli_nomem(err, "labels");
  if (s == MCL_OK)
    s = mcli_label(c, m, &sweep, w, 0, all + sweep.first, far ? far + sweep.first : NULL, NULL,
                   NULL, err);
  s = mcli_comm_gather_parts(k->comm, s, sweep.shares, all, (int64_t)sizeof *all, err);
  if (distances)
    s = mcli_comm_gather_parts(k->comm, s, sweep.shares, far, (int64_t)sizeof *far, err);
  if (s == MCL_OK && rows->rows > 0) memcpy(labels, all, (size_t)rows->rows * sizeof *labels);
  for (int64_t i = 0; i < rows->rows && s == MCL_OK && far; i++) distances[i] = far[i];
  mcli_free(c, all);
  mcli_free(c, far);
  mcli_sweep_close(&sweep);
  return s;
}

static mcl_status kmeans_centroids(void *self, const mcli_fitted *f, const mcl_array *out,
                                   mcl_error *err) {
  const mcli_centres *m = f->centres;
  (void)self;
  mcl_status s = mcli_matrix_check_out(out, "out", m->k, m->dim, err);
  if (s == MCL_OK) mcli_array_store(out, 0, m->k, m->rows);
  return s;
}

// What ranks must have in common: not how many bytes each of them may hold.
static uint64_t kmeans_fingerprint(const void *self, const mcli_fitted *f) {
  const mcli_kmeans *k = self;
  mcl_kmeans_options o = k->options;
  o.max_bytes = 0;
  uint64_t what = mcli_hash(&o, sizeof o, 1);
  const mcli_centres *m = f ? f->centres : NULL;
  if (m) what = mcli_hash(m->rows, (uint64_t)m->k * (uint64_t)m->dim * sizeof *m->rows, what);
  if (!f && o.init == MCL_INIT_GIVEN && k->given)
    what = mcli_hash(k->given, (uint64_t)o.k * (uint64_t)k->given_dim * sizeof *k->given, what);
  return what;
}

static void kmeans_destroy(void *self) {
  mcli_kmeans *k = self;
  mcli_free(k->context, k->given);
  mcli_free(k->context, k);
}

const mcli_clusterer_kind mcli_kmeans_kind = {
    .fit = kmeans_fit,
    .assign = kmeans_assign,
    .set_centroids = kmeans_set_centroids,
    .centroids = kmeans_centroids,
    .save = mcli_kmeans_save,
    .fingerprint = kmeans_fingerprint,
    .destroy = kmeans_destroy,
};
