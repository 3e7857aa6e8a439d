// A k-means as a file: safetensors, so that numpy and PyTorch can read the centroids.
//
//   tensors  centroids [k_effective, dim] f32; sizes [k_effective] i64;
//            tolerance, inertia, mean_cosine [1] f64
//   texts    format "libmcl.kmeans", algorithm, each whole number of options and report in decimal
//
// Doubles are tensors because decimal text depends on the host's locale. On the way back every
// number is checked as if a stranger had written it: options by the rule of create, sizes against
// their sum, centroids for being numbers.
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/checkpoint.h>

#include "clusterer/kmeans.h"
#include "math/array.h"

static const char format_name[] = "libmcl.kmeans";

typedef struct saved {
  mcl_kmeans_options options;
  mcl_clusterer_report report;
  int64_t algorithm;
  int32_t counted;
} saved;

// Whole numbers by name. What may be negative or wrong is found by the checks after reading.
typedef struct field {
  const char *key;
  size_t offset;
  int wide; // 8 bytes, else 4
} field;

#define OPTION(name, wide)                                                                         \
  { #name, offsetof(saved, options) + offsetof(mcl_kmeans_options, name), wide }
#define REPORT(name, wide)                                                                         \
  { #name, offsetof(saved, report) + offsetof(mcl_clusterer_report, name), wide }

static const field fields[] = {
    {"algorithm", offsetof(saved, algorithm), 1},
    {"counted", offsetof(saved, counted), 0},
    OPTION(seed, 1),
    OPTION(k, 0),
    OPTION(method, 0),
    OPTION(metric, 0),
    OPTION(init, 0),
    OPTION(empty, 0),
    OPTION(restarts, 0),
    OPTION(max_iterations, 0),
    OPTION(minibatch_rows, 0),
    OPTION(max_train_rows, 1),
    REPORT(rows, 1),
    REPORT(distinct, 1),
    REPORT(repairs, 1),
    REPORT(zero_rows, 1),
    REPORT(iterations, 0),
    REPORT(converged, 0),
};
enum { N_FIELDS = sizeof fields / sizeof *fields };

static int64_t get(const saved *s, const field *f) {
  int64_t wide;
  int32_t narrow;
  if (f->wide) return memcpy(&wide, (const char *)s + f->offset, sizeof wide), wide;
  return memcpy(&narrow, (const char *)s + f->offset, sizeof narrow), narrow;
}

static void put(saved *s, const field *f, int64_t value) {
  int32_t narrow = (int32_t)value;
  if (f->wide)
    memcpy((char *)s + f->offset, &value, sizeof value);
  else
    memcpy((char *)s + f->offset, &narrow, sizeof narrow);
}

// ---- writing ------------------------------------------------------------------------------------

static mcl_status add_double(mcl_checkpoint_writer *w, const char *name, double value,
                             mcl_error *err) {
  mcl_array a;
  int64_t one = 1;
  mcl_array_init(&a, &value, MCL_F64, 1, &one);
  return mcl_checkpoint_writer_add(w, name, &a, err);
}

static mcl_status add_texts(mcl_checkpoint_writer *w, const saved *s, mcl_error *err) {
  mcl_status status = mcl_checkpoint_writer_meta(w, "format", format_name, err);
  for (int i = 0; i < N_FIELDS && status == MCL_OK; i++) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)get(s, &fields[i]));
    status = mcl_checkpoint_writer_meta(w, fields[i].key, text, err);
  }
  return status;
}

mcl_status mcli_kmeans_save(void *self, const mcli_fitted *f, const char *path, mcl_error *err) {
  const mcli_kmeans *k = self;
  const mcli_centres *m = f->centres;
  saved s = {*mcli_kmeans_options_of(k), f->report, MCLI_KMEANS_ALGORITHM, f->counted};
  mcl_checkpoint_writer *w = NULL;
  mcl_array centroids = mcl_matrix_f32(m->rows, m->k, m->dim), sizes;
  int64_t n = m->k;
  mcl_array_init(&sizes, f->sizes, MCL_I64, 1, &n);
  mcl_status status = mcl_checkpoint_writer_create(mcli_kmeans_context(k), path, &w, err);
  if (status == MCL_OK) status = add_texts(w, &s, err);
  if (status == MCL_OK) status = mcl_checkpoint_writer_add(w, "centroids", &centroids, err);
  if (status == MCL_OK) status = mcl_checkpoint_writer_add(w, "sizes", &sizes, err);
  if (status == MCL_OK) status = add_double(w, "tolerance", s.options.tolerance, err);
  if (status == MCL_OK) status = add_double(w, "inertia", s.report.inertia, err);
  if (status == MCL_OK) status = add_double(w, "mean_cosine", s.report.mean_cosine, err);
  if (status == MCL_OK) status = mcl_checkpoint_writer_commit(w, err);
  mcl_checkpoint_writer_unref(w);
  return status;
}

// ---- reading ------------------------------------------------------------------------------------

// What a file lacks or has of another kind is the file's fault, not an argument's.
static mcl_status damaged(const char *path, const char *what, mcl_error *err) {
  return mcli_fail(err, MCL_E_FORMAT, "%s is not a saved k-means: %s", path, what);
}

static mcl_status blame_file(mcl_status status, const char *path, const char *name,
                             mcl_error *err) {
  if (status == MCL_E_NOMEM || status == MCL_E_IO || status == MCL_OK) return status;
  return damaged(path, name, err);
}

static mcl_status read_number(const mcl_checkpoint *file, const char *path, const field *f,
                              saved *s, mcl_error *err) {
  char text[32], *end;
  mcl_status status = mcl_checkpoint_meta(file, f->key, text, sizeof text, NULL, err);
  if (status < 0) return blame_file(status, path, f->key, err);
  long long value = strtoll(text, &end, 10);
  int fits =
      f->wide ? value > LLONG_MIN && value < LLONG_MAX : value >= INT32_MIN && value <= INT32_MAX;
  if (end == text || *end || !fits) return damaged(path, f->key, err);
  put(s, f, value);
  return MCL_OK;
}

static mcl_status read_double(const mcl_checkpoint *file, const char *path, const char *name,
                              double *value, mcl_error *err) {
  mcl_array a;
  int64_t one = 1;
  mcl_array_init(&a, value, MCL_F64, 1, &one);
  return blame_file(mcl_checkpoint_read(file, name, &a, err), path, name, err);
}

static mcl_status read_head(const mcl_checkpoint *file, const char *path, saved *s,
                            mcl_error *err) {
  char text[32];
  mcl_status status = mcl_checkpoint_meta(file, "format", text, sizeof text, NULL, err);
  if (status < 0) return blame_file(status, path, "format", err);
  if (strcmp(text, format_name) != 0) return damaged(path, "format", err);
  status = read_number(file, path, &fields[0], s, err);
  if (status < 0) return status;
  if (s->algorithm != MCLI_KMEANS_ALGORITHM)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "%s was made by k-means algorithm %lld, this is %d",
                     path, (long long)s->algorithm, MCLI_KMEANS_ALGORITHM);
  for (int i = 1; i < N_FIELDS && status == MCL_OK; i++)
    status = read_number(file, path, &fields[i], s, err);
  if (status == MCL_OK) status = read_double(file, path, "tolerance", &s->options.tolerance, err);
  if (status == MCL_OK) status = read_double(file, path, "inertia", &s->report.inertia, err);
  if (status == MCL_OK)
    status = read_double(file, path, "mean_cosine", &s->report.mean_cosine, err);
  return status;
}

static int report_is_sound(const saved *s) {
  const mcl_clusterer_report *r = &s->report;
  if (s->counted != 0 && s->counted != 1) return 0;
  if (r->rows < 0 || r->distinct < 0 || r->repairs < 0 || r->zero_rows < 0 ||
      r->zero_rows > r->rows)
    return 0;
  if (r->iterations < 0 || (r->converged != 0 && r->converged != 1)) return 0;
  return !s->counted || (r->inertia >= 0 && fabs(r->mean_cosine) <= 1 + 1e-6);
}

static mcl_status read_centroids(mcl_context *c, const mcl_checkpoint *file, const char *path,
                                 const saved *s, mcli_centres **out, mcl_error *err) {
  mcl_array shape;
  mcl_status status = mcl_checkpoint_shape(file, "centroids", &shape, err);
  if (status < 0) return blame_file(status, path, "centroids", err);
  int64_t k = shape.shape[0], dim = shape.shape[1];
  if (shape.ndim != 2 || shape.dtype != MCL_F32 || k < 1 || k > s->options.k || dim < 1 ||
      dim > INT32_MAX || (!s->counted && k != s->options.k))
    return damaged(path, "centroids", err);
  mcli_centres *m;
  status = mcli_centres_new(c, (int32_t)k, (int32_t)dim, s->options.metric, &m, err);
  if (status < 0) return status;
  mcl_array rows = mcl_matrix_f32(m->rows, k, dim);
  status = blame_file(mcl_checkpoint_read(file, "centroids", &rows, err), path, "centroids", err);
  if (status == MCL_OK && mcli_first_not_finite(m->rows, k, dim) >= 0)
    status = damaged(path, "centroids", err);
  for (int64_t j = 0; j < k && status == MCL_OK; j++) {
    float norm;
    // Unit rows but for rounding, which the error bounds of assign.c count on.
    if (mcli_row_norms(c, m->rows + j * dim, j, 1, dim, &norm, NULL) < 0 ||
        (m->metric == MCL_COSINE && fabsf(norm - 1) > 1e-6f))
      status = damaged(path, "centroids", err);
  }
  if (status == MCL_OK)
    *out = m;
  else
    mcli_centres_free(c, m);
  return status;
}

static mcl_status read_sizes(const mcl_checkpoint *file, const char *path, const saved *s,
                             mcli_fitted *f, mcl_error *err) {
  mcl_array a;
  int64_t n = f->report.k_effective, left = s->report.rows;
  mcl_array_init(&a, f->sizes, MCL_I64, 1, &n);
  mcl_status status = blame_file(mcl_checkpoint_read(file, "sizes", &a, err), path, "sizes", err);
  if (status < 0) return status;
  for (int64_t j = 0; j < n; j++) {
    if (f->sizes[j] < 0 || f->sizes[j] > left) return damaged(path, "sizes", err);
    left -= f->sizes[j];
  }
  return left != 0 ? damaged(path, "sizes", err) : status;
}

static mcl_status read_fitted(mcl_context *c, const mcl_checkpoint *file, const char *path,
                              const saved *s, mcli_fitted **out, mcl_error *err) {
  mcli_centres *m = NULL;
  mcli_fitted *f = NULL;
  mcl_status status = read_centroids(c, file, path, s, &m, err);
  if (status == MCL_OK) status = mcli_kmeans_fitted(c, s->options.k, m, &f, err);
  if (status != MCL_OK) return status;
  int32_t k_effective = f->report.k_effective;
  f->report = s->report;
  f->report.k = s->options.k;
  f->report.k_effective = k_effective;
  f->counted = s->counted;
  status = read_sizes(file, path, s, f, err);
  if (status < 0) {
    mcli_fitted_unref(c, f);
    return status;
  }
  mcli_fitted_balance(f);
  *out = f;
  return MCL_OK;
}

static mcl_status load(mcl_context *c, const mcl_checkpoint *file, const char *path, mcl_comm *comm,
                       mcl_clusterer **out, mcl_error *err) {
  saved s = {0};
  mcli_fitted *fitted = NULL;
  mcli_kmeans *k = NULL;
  mcl_struct_init(&s.report, sizeof s.report);
  mcl_kmeans_options_init(&s.options, sizeof s.options);
  mcl_status status = read_head(file, path, &s, err);
  if (status < 0) return status;
  if (mcli_kmeans_check(&s.options, err) < 0) return damaged(path, "options", err);
  if (!report_is_sound(&s)) return damaged(path, "report", err);
  status = read_fitted(c, file, path, &s, &fitted, err);
  if (status != MCL_OK) return status;
  status = mcli_kmeans_new(c, &s.options, comm, &k, err);
  if (status < 0) {
    mcli_fitted_unref(c, fitted);
    return status;
  }
  return mcli_clusterer_new(c, comm, &mcli_kmeans_kind, k, fitted, out, err);
}

mcl_status mcl_clusterer_load(mcl_context *c, const char *path, mcl_comm *comm, mcl_clusterer **out,
                              mcl_error *err) {
  mcl_checkpoint *file;
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_status s = mcl_checkpoint_open(c, path, &file, err);
  if (s < 0) return s;
  s = load(c, file, mcli_path_tail(path), comm, out, err);
  mcl_checkpoint_unref(file);
  return s < 0 ? s : mcl_ok(err);
}
