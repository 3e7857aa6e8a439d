// k-means under any options, on any rows, by an array or a callback that may fail. A fit's sizes are its labels' counts, a
// label's centroid is the nearest one, a row asked for alone has the same label, rows by callback and two threads
// give the same bits, and a clusterer that has refused something is as before.
#include <libmcl/clusterer.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"

const int fuzz_large = FUZZ_REFUSED;

enum { ROWS = 300, DIM = 20, K = 300 };

typedef struct rows_of {
  float *z;
  int64_t n, dim, calls, fail_at;
} rows_of;

static mcl_status read_rows(void *user, int64_t first, int64_t n, const mcl_array *out,
                            mcl_error *err) {
  rows_of *r = user;
  if (first < 0 || n < 1 || first + n > r->n) fuzz_fail("rows asked for that are not there");
  if (++r->calls == r->fail_at) return mcl_error_set(err, MCL_E_IO, 5, "the disk is gone");
  memcpy(out->data, r->z + first * r->dim, (size_t)(n * r->dim) * sizeof(float));
  return mcl_ok(err);
}

static mcl_kmeans_options options_from(fuzz_bytes *b, int64_t n) {
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  o.seed = fuzz_bits(b, 1);
  o.k = (int32_t)(fuzz_chance(b, 16) ? fuzz_size(b) : fuzz_below(b, n < 40 ? n : 40) + 1);
  o.method = 1 + (int32_t)fuzz_below(b, 2);
  o.metric = 1 + (int32_t)fuzz_below(b, 2);
  o.init = 1 + (int32_t)fuzz_below(b, 3);
  o.empty = 1 + (int32_t)fuzz_below(b, 3);
  o.restarts = 1 + (int32_t)fuzz_below(b, 2);
  o.max_iterations = 1 + (int32_t)fuzz_below(b, 12);
  if (fuzz_chance(b, 4)) o.minibatch_rows = 1 + (int32_t)fuzz_below(b, 64);
  if (fuzz_chance(b, 8)) o.tolerance = fuzz_number(b);
  if (fuzz_chance(b, 4)) o.max_train_rows = fuzz_size(b);
  if (fuzz_chance(b, 8)) o.max_bytes = fuzz_size(b) % (1 << 20) * 1000;
  switch (fuzz_below(b, 48)) { // an option that is none
  case 1:
    o.method = (int32_t)fuzz_size(b);
    break;
  case 2:
    o.metric = (int32_t)fuzz_size(b);
    break;
  case 3:
    o.init = (int32_t)fuzz_size(b);
    break;
  case 4:
    o.empty = (int32_t)fuzz_size(b);
    break;
  case 5:
    o.restarts = (int32_t)fuzz_size(b) % 4;
    break;
  }
  return o;
}

static double squared(const float *a, const float *b, int64_t dim, int cosine) {
  double s = 0, na = 0, nb = 0, dot = 0;
  for (int64_t d = 0; d < dim; d++) {
    s += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
    na += (double)a[d] * a[d], nb += (double)b[d] * b[d], dot += (double)a[d] * b[d];
  }
  if (!cosine) return s;
  return na > 0 && nb > 0 ? 2 - 2 * dot / sqrt(na * nb) : 2;
}

static mcl_rows by_array(const mcl_array *a) {
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  r.array = a;
  return r;
}

static mcl_rows by_callback(rows_of *of) {
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  r.rows = of->n, r.dim = (int32_t)of->dim, r.dtype = MCL_F32;
  r.user = of, r.read = read_rows;
  return r;
}

static mcl_clusterer_report report_of(const mcl_clusterer *k) {
  mcl_clusterer_report r;
  mcl_error err;
  mcl_struct_init(&r, sizeof r);
  if (!fuzz_ok(mcl_clusterer_get_report(k, &r, &err), &err)) fuzz_fail("no report of a fit");
  return r;
}

typedef struct fitted {
  int32_t labels[ROWS], k;
  double distances[ROWS];
  float centroids[K * DIM];
  int64_t sizes[K];
} fitted;

static int ask(const mcl_clusterer *k, const mcl_rows *rows, int64_t dim, fitted *f) {
  mcl_error err;
  f->k = report_of(k).k_effective;
  if (f->k < 1 || f->k > K) fuzz_fail("%d clusters", f->k);
  mcl_array c = mcl_matrix_f32(f->centroids, f->k, dim);
  if (!fuzz_ok(mcl_clusterer_assign(k, rows, NULL, f->labels, f->distances, &err), &err)) return 0;
  if (!fuzz_ok(mcl_clusterer_centroids(k, &c, &err), &err)) return 0;
  return fuzz_ok(mcl_clusterer_sizes(k, f->sizes, f->k, &err), &err);
}

static void check_fit(const fitted *f, const float *z, int64_t n, int64_t dim, int cosine) {
  int64_t counts[K] = {0};
  for (int64_t i = 0; i < n; i++) {
    int32_t label = f->labels[i];
    if (label < 0 || label >= f->k) fuzz_fail("label %d of %d", label, f->k);
    counts[label]++;
    const float *row = z + i * dim, *centroid = f->centroids + label * dim;
    double own = squared(row, centroid, dim, cosine), best = own, size = 0;
    for (int32_t j = 0; j < f->k; j++)
      best = fmin(best, squared(row, f->centroids + j * dim, dim, cosine));
    for (int64_t d = 0; d < dim; d++) size += fabs((double)row[d]) + fabs((double)centroid[d]);
    // float32's rounding of a sum of squares of such numbers
    double near = 1e-5 * (cosine ? 1 : 1 + size * size);
    if (own > best + near)
      fuzz_fail("row %lld: %.9g is not the nearest, %.9g", (long long)i, own, best);
    if (fabs(f->distances[i] - own) > near)
      fuzz_fail("row %lld is at %.9g, not %.9g", (long long)i, own, f->distances[i]);
  }
  if (memcmp(counts, f->sizes, (size_t)f->k * sizeof *counts)) fuzz_fail("sizes are no counts");
}

static void same_bits(mcl_context *c, const mcl_kmeans_options *o, const mcl_rows *rows,
                      const mcl_array *given, int64_t n, int64_t dim, const fitted *f) {
  static fitted g;
  mcl_clusterer *k = NULL;
  mcl_error err;
  if (!fuzz_ok(mcl_clusterer_create_kmeans(c, o, NULL, &k, &err), &err)) return;
  int ok = !given || fuzz_ok(mcl_clusterer_set_centroids(k, given, &err), &err);
  if (ok && fuzz_ok(mcl_clusterer_fit(k, rows, NULL, &err), &err) && ask(k, rows, dim, &g) &&
      (f->k != g.k || memcmp(f->labels, g.labels, (size_t)n * sizeof *f->labels) ||
       memcmp(f->distances, g.distances, (size_t)n * sizeof *f->distances) ||
       memcmp(f->centroids, g.centroids, (size_t)(f->k * dim) * sizeof *f->centroids)))
    fuzz_fail("other bits the second way");
  mcl_clusterer_unref(k);
}

static void ask_alone(const mcl_clusterer *k, float *z, int64_t n, int64_t dim, const fitted *f,
                      fuzz_bytes *b) {
  mcl_error err;
  int64_t first = fuzz_below(b, n), m = fuzz_below(b, n - first) + 1;
  mcl_array part = mcl_matrix_f32(z + first * dim, m, dim);
  mcl_rows rows = by_array(&part);
  int32_t labels[ROWS];
  if (!fuzz_ok(mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err), &err)) return;
  if (memcmp(labels, f->labels + first, (size_t)m * sizeof *labels))
    fuzz_fail("other labels in other company");
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t size) {
  static float z[ROWS * DIM], start[K * DIM];
  static fitted f, was;
  fuzz_bytes b = {bytes, size};
  mcl_error err;
  mcl_clusterer *k = NULL;
  int64_t n = fuzz_below(&b, ROWS) + 1, dim = fuzz_below(&b, DIM) + 1;
  mcl_kmeans_options o = options_from(&b, n);
  const mcl_kmeans_options *told = fuzz_struct(&b, &o, sizeof o);
  fuzz_floats(&b, z, n * dim);
  if (fuzz_chance(&b, 4)) memset(z, 0, (size_t)(fuzz_below(&b, n) * dim) * sizeof *z);
  rows_of of = {z, n, dim, 0, fuzz_chance(&b, 4) ? fuzz_below(&b, 12) : 0};
  mcl_array a = mcl_matrix_f32(z, n, dim), given;
  mcl_rows array = by_array(&a), called = by_callback(&of);
  if (!fuzz_ok(mcl_clusterer_create_kmeans(context, told, NULL, &k, &err), &err)) return;
  int64_t rows_given = o.k >= 1 && o.k <= K ? o.k : 1;
  fuzz_floats(&b, start, rows_given * dim);
  given = mcl_matrix_f32(start, rows_given, dim);
  int with = o.init == MCL_INIT_GIVEN && !fuzz_chance(&b, 8);
  if (with) with = fuzz_ok(mcl_clusterer_set_centroids(k, &given, &err), &err);
  int whole = told && told->struct_size >= sizeof o;
  if (fuzz_ok(mcl_clusterer_fit(k, fuzz_below(&b, 2) ? &called : &array, NULL, &err), &err) &&
      ask(k, &array, dim, &f)) {
    if (whole) check_fit(&f, z, n, dim, o.metric == MCL_COSINE);
    ask_alone(k, z, n, dim, &f, &b);
    // A fit that is refused leaves the one before.
    of.calls = 0, of.fail_at = 1;
    if (fuzz_ok(mcl_clusterer_fit(k, &called, NULL, &err), &err)) fuzz_fail("no rows, but a fit");
    if (ask(k, &array, dim, &was) && memcmp(&f, &was, sizeof f)) fuzz_fail("a failed fit is felt");
    of.calls = of.fail_at = 0;
    same_bits(context, told, &called, with ? &given : NULL, n, dim, &f);
  }
  mcl_clusterer_unref(k);
}
