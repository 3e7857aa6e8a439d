/* What the programs here do with libmcl, and one number that stands for every bit of what came out: k-means, and a loss with its
 * gradients, whose products are BLIS's. 0 is failure. C99. */
#ifndef MCL_CONSUMER_WORK_H
#define MCL_CONSUMER_WORK_H

#include <stdio.h>
#include <stdlib.h>

#include <libmcl/mcl.h>

enum { WORK_ROWS = 1500, WORK_DIM = 48, WORK_K = 6 };

static uint64_t work_hash(uint64_t h, const void *data, size_t bytes) {
  const unsigned char *p = (const unsigned char *)data;
  size_t i;
  for (i = 0; i < bytes; i++) h = (h ^ p[i]) * 1099511628211u;
  return h;
}

static void work_fill(float *x, size_t n) {
  uint32_t state = 1;
  size_t i;
  for (i = 0; i < n; i++) {
    state = state * 1664525u + 1013904223u;
    x[i] = (float)(state >> 8) / 16777216.0f - 0.5f +
           (i / WORK_DIM % WORK_K == i % WORK_K ? 0.4f : 0.0f);
  }
}

static mcl_status work_clusters(mcl_context *context, mcl_array *z, uint64_t *h, mcl_error *err) {
  static const int32_t k = WORK_K;
  float centroids[WORK_K * WORK_DIM];
  int32_t *labels = (int32_t *)calloc(WORK_ROWS, sizeof *labels);
  mcl_array out = mcl_matrix_f32(centroids, WORK_K, WORK_DIM);
  mcl_clusterer *clusterer = NULL;
  mcl_kmeans_options options;
  mcl_rows rows;
  mcl_status s;
  if (!labels) return mcl_error_set(err, MCL_E_NOMEM, 0, "labels");
  mcl_kmeans_options_init(&options, sizeof options);
  options.k = k;
  mcl_struct_init(&rows, sizeof rows);
  rows.array = z;
  s = mcl_clusterer_create_kmeans(context, &options, NULL, &clusterer, err);
  if (s >= 0) s = mcl_clusterer_fit(clusterer, &rows, NULL, err);
  if (s >= 0) s = mcl_clusterer_assign(clusterer, &rows, NULL, labels, NULL, err);
  if (s >= 0) s = mcl_clusterer_centroids(clusterer, &out, err);
  *h = work_hash(*h, labels, WORK_ROWS * sizeof *labels);
  *h = work_hash(*h, centroids, sizeof centroids);
  mcl_clusterer_unref(clusterer);
  free(labels);
  return s;
}

static mcl_status work_loss(mcl_context *context, float *x, uint64_t *h, mcl_error *err) {
  enum { N = WORK_ROWS / 2 };
  float *d = (float *)calloc(N * WORK_DIM, sizeof *d);
  mcl_array za = mcl_matrix_f32(x, N, WORK_DIM), zb = mcl_matrix_f32(x + N * WORK_DIM, N, WORK_DIM);
  mcl_array dza = mcl_matrix_f32(d, N, WORK_DIM);
  mcl_loss_inputs in;
  mcl_loss_result result;
  mcl_status s;
  if (!d) return mcl_error_set(err, MCL_E_NOMEM, 0, "gradients");
  mcl_struct_init(&in, sizeof in);
  mcl_struct_init(&result, sizeof result);
  in.za = &za;
  in.zb = &zb;
  in.dza = &dza;
  s = mcl_loss_nt_xent(context, NULL, &in, &result, err);
  *h = work_hash(*h, &result.loss, sizeof result.loss);
  *h = work_hash(*h, d, N * WORK_DIM * sizeof *d);
  free(d);
  return s;
}

static uint64_t work(mcl_context *context) {
  float *x = (float *)calloc(WORK_ROWS * WORK_DIM, sizeof *x);
  uint64_t h = 14695981039346656037u;
  mcl_array z = mcl_matrix_f32(x, WORK_ROWS, WORK_DIM);
  mcl_error err;
  if (!x) return 0;
  work_fill(x, WORK_ROWS * WORK_DIM);
  if (work_clusters(context, &z, &h, &err) < 0 || work_loss(context, x, &h, &err) < 0) {
    fprintf(stderr, "%s\n", err.message);
    h = 0;
  }
  free(x);
  return h;
}

/* With a context of its own. */
static uint64_t work_alone(uint32_t threads) {
  mcl_context *context = NULL;
  mcl_context_options options;
  mcl_error err;
  uint64_t h = 0;
  mcl_context_options_init(&options, sizeof options);
  options.threads = threads;
  if (mcl_context_create(&options, &context, &err) < 0)
    fprintf(stderr, "%s\n", err.message);
  else
    h = work(context);
  mcl_context_unref(context);
  return h;
}

#endif
