// What the clusterer's tests share: rows with known structure, ways to hand them over, and short
// names for calls.
#ifndef MCL_TESTS_CLUSTERER_CLUSTERS_H
#define MCL_TESTS_CLUSTERER_CLUSTERS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/clusterer.h>

#include "support/suite.h"

// n rows around `groups` centres of deviation `spread`; row i is of group i mod groups.
static inline float *mixture(int64_t n, int32_t dim, int32_t groups, float spread, uint64_t seed) {
  float *centres = malloc((size_t)groups * (size_t)dim * sizeof(float));
  float *x = malloc((size_t)n * (size_t)dim * sizeof(float));
  test_fill_normal(centres, (int64_t)groups * dim, seed);
  test_fill_normal(x, n * dim, seed + 1);
  for (int64_t i = 0; i < n; i++)
    for (int32_t d = 0; d < dim; d++)
      x[i * dim + d] = centres[i % groups * dim + d] * spread + x[i * dim + d];
  free(centres);
  return x;
}

static inline mcl_rows rows_of(const mcl_array *a) {
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  r.array = a;
  return r;
}

// The same rows by callback; fails at call number fail_at (from 1; 0: never).
typedef struct reader {
  const float *x;
  int64_t dim, calls, fail_at;
} reader;

static inline mcl_status read_floats(void *user, int64_t first, int64_t n, const mcl_array *out,
                                     mcl_error *err) {
  reader *r = user;
  if (++r->calls == r->fail_at) return mcl_error_set(err, MCL_E_IO, 77, "the disk is gone");
  memcpy(out->data, r->x + first * r->dim, (size_t)(n * r->dim) * sizeof(float));
  return mcl_ok(err);
}

static inline mcl_rows rows_by(reader *r, int64_t n) {
  mcl_rows rows;
  mcl_struct_init(&rows, sizeof rows);
  rows.rows = n;
  rows.dim = (int32_t)r->dim;
  rows.dtype = MCL_F32;
  rows.user = r;
  rows.read = read_floats;
  return rows;
}

static inline mcl_kmeans_options kmeans_options(int32_t k, int32_t metric) {
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = k;
  o.metric = metric;
  return o;
}

static inline mcl_clusterer *make(mcl_context *c, const mcl_kmeans_options *o) {
  mcl_clusterer *k = NULL;
  mcl_error err;
  CHECK_OK(mcl_clusterer_create_kmeans(c, o, NULL, &k, &err));
  return k;
}

static inline void give(mcl_clusterer *k, const float *centroids, int32_t n, int32_t dim) {
  mcl_array a = mcl_matrix_f32((float *)(uintptr_t)centroids, n, dim);
  mcl_error err;
  CHECK_OK(mcl_clusterer_set_centroids(k, &a, &err));
}

static inline mcl_clusterer_report report_of(const mcl_clusterer *k) {
  mcl_clusterer_report r;
  mcl_error err;
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_clusterer_get_report(k, &r, &err));
  return r;
}

static inline mcl_clusterer_report fit(mcl_clusterer *k, const float *x, int64_t n, int32_t dim) {
  mcl_array a = mcl_matrix_f32((float *)(uintptr_t)x, n, dim);
  mcl_rows rows = rows_of(&a);
  mcl_error err;
  CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err));
  return report_of(k);
}

static inline int32_t *labels_of(const mcl_clusterer *k, const float *x, int64_t n, int32_t dim,
                                 double *distances) {
  mcl_array a = mcl_matrix_f32((float *)(uintptr_t)x, n, dim);
  mcl_rows rows = rows_of(&a);
  int32_t *labels = malloc((size_t)(n > 0 ? n : 1) * sizeof *labels);
  mcl_error err;
  CHECK_OK(mcl_clusterer_assign(k, &rows, NULL, labels, distances, &err));
  return labels;
}

static inline float *centroids_of(const mcl_clusterer *k, int32_t n, int32_t dim) {
  float *c = malloc((size_t)n * (size_t)dim * sizeof *c);
  mcl_array a = mcl_matrix_f32(c, n, dim);
  mcl_error err;
  CHECK_OK(mcl_clusterer_centroids(k, &a, &err));
  return c;
}

#endif
