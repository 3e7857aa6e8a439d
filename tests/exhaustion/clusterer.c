// Clusterers: k-means in its kinds, saved ones, and the host's.
#include "exhaustion/exhaust.h"

#include <libmcl/clusterer.h>

enum { N = 60, DIM = 4, K = 3 };
static float x[N * DIM], given[K * DIM];
static int32_t labels[N];
static double distances[N];
static mcl_clusterer *clusterer, *made;
static mcl_rows rows;
static mcl_array array;
static int destroyed;

static mcl_kmeans_options options(void) {
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = K, o.restarts = 2, o.max_iterations = 5;
  return o;
}

// Groups that lie apart, with a row of zeros.
static void fill(void) {
  test_fill_normal(x, N * DIM, 4);
  test_fill(given, K * DIM, 5, -1, 1);
  for (int i = 0; i < N * DIM; i++) x[i] = 0.2F * x[i] + (float)(i / DIM % K == i % DIM);
  memset(x, 0, DIM * sizeof *x);
  array = mcl_matrix_f32(x, N, DIM);
  mcl_struct_init(&rows, sizeof rows);
  rows.array = &array;
  made = UNTOUCHED;
  clusterer = NULL;
  PATTERN(labels), PATTERN(distances);
}

static mcl_status read_doubles(void *user, int64_t first, int64_t n, const mcl_array *out,
                               mcl_error *e) {
  (void)user;
  for (int64_t i = 0; i < n * DIM; i++) ((double *)out->data)[i] = x[first * DIM + i];
  return mcl_ok(e);
}

static void by_callback(void) {
  rows.array = NULL;
  rows.rows = N, rows.dim = DIM, rows.dtype = MCL_F64, rows.read = read_doubles;
}

// ---- k-means ---------------------------------------------------------------------------------------------

static void make(const mcl_kmeans_options *o) {
  fill();
  CHECK_OK(mcl_clusterer_create_kmeans(c, o, NULL, &clusterer, &err));
}
static void make_lloyd(void) {
  mcl_kmeans_options o = options();
  make(&o);
}
static void make_read(void) {
  make_lloyd();
  by_callback();
}
static void make_minibatch(void) {
  mcl_kmeans_options o = options();
  o.method = MCL_MINIBATCH, o.metric = MCL_L2, o.minibatch_rows = 16;
  make(&o);
}
static void make_sampled(void) {
  mcl_kmeans_options o = options();
  o.max_train_rows = 30, o.init = MCL_INIT_RANDOM, o.empty = MCL_EMPTY_SPLIT_LARGEST;
  make(&o);
  by_callback();
}
static mcl_status give(void) {
  mcl_array a = mcl_matrix_f32(given, K, DIM);
  return mcl_clusterer_set_centroids(clusterer, &a, &err);
}
static void make_given(void) {
  mcl_kmeans_options o = options();
  o.init = MCL_INIT_GIVEN;
  make(&o);
  CHECK_OK(give());
}
static mcl_status fit(void) {
  return mcl_clusterer_fit(clusterer, &rows, NULL, &err);
}
// Fitted to other rows before: what it was is what it stays.
static void fit_before(void) {
  array.shape[0] = N / 2;
  mcl_rows half = rows;
  half.array = &array, half.read = NULL;
  CHECK_OK(mcl_clusterer_fit(clusterer, &half, NULL, &err));
  array.shape[0] = N;
}
static void prepare_lloyd(void) {
  make_lloyd();
  fit_before();
}
static void prepare_minibatch(void) {
  make_minibatch();
  fit_before();
}
static void prepare_given(void) {
  make_given();
  fit_before();
}
static void prepare_read(void) {
  make_read();
  fit_before();
}
static mcl_status assign(void) {
  return mcl_clusterer_assign(clusterer, &rows, NULL, labels, distances, &err);
}
static mcl_status create(void) {
  mcl_kmeans_options o = options();
  return mcl_clusterer_create_kmeans(c, &o, NULL, &made, &err);
}
static mcl_status save(void) {
  return mcl_clusterer_save(clusterer, in("k.safetensors"), &err);
}
static mcl_status load(void) {
  return mcl_clusterer_load(c, in("k.safetensors"), NULL, &made, &err);
}
static void prepare_save(void) {
  prepare_lloyd();
  put_file("k.safetensors", "old", 3);
}
static void prepare_saved(void) {
  prepare_lloyd();
  CHECK_OK(save());
}
// ---- a host's --------------------------------------------------------------------------------------------

static mcl_status host_fit(void *user, const mcl_rows *r, int32_t *k, mcl_error *e) {
  float row[DIM];
  mcl_array a = mcl_matrix_f32(row, 1, DIM);
  (void)user;
  *k = 2;
  mcl_status s = mcl_rows_read(r, 1, 1, &a, e);
  return s < 0 ? s : mcl_ok(e);
}
static mcl_status host_assign(void *user, const mcl_array *block, int32_t *to, mcl_error *e) {
  (void)user;
  for (int64_t i = 0; i < block->shape[0]; i++) to[i] = ((float *)block->data)[i * DIM] > 0;
  return mcl_ok(e);
}
static void host_destroy(void *user) {
  (void)user;
  destroyed++;
}
static mcl_status create_host(void) {
  mcl_host_clusterer h;
  int before = destroyed;
  mcl_struct_init(&h, sizeof h);
  h.fit = host_fit, h.assign = host_assign, h.destroy = host_destroy;
  mcl_status s = mcl_clusterer_create_host(c, &h, &made, &err);
  ck_assert_int_eq(destroyed - before, s < 0);
  return s;
}
static void prepare_host(void) {
  fill();
  CHECK_OK(create_host());
  clusterer = made;
  made = UNTOUCHED;
  fit_before();
}
static mcl_status assign_host(void) {
  return mcl_clusterer_assign(clusterer, &rows, NULL, labels, NULL, &err);
}

// ---- what is seen ----------------------------------------------------------------------------------------

static void see_clusterer(seen *s, const mcl_clusterer *k) {
  mcl_clusterer_report r;
  int32_t of[N] = {0};
  float at[K * DIM] = {0};
  int64_t sizes[K] = {0};
  mcl_array a = mcl_matrix_f32(at, K, DIM);
  mcl_rows all = rows;
  mcl_struct_init(&r, sizeof r);
  all.array = &array, all.read = NULL;
  see_number(s, mcl_clusterer_get_report(k, &r, NULL));
  see(s, &r, sizeof r);
  if (mcl_clusterer_assign(k, &all, NULL, of, NULL, NULL) == MCL_OK) see(s, of, sizeof of);
  if (mcl_clusterer_centroids(k, &a, NULL) == MCL_OK) see(s, at, sizeof at);
  if (mcl_clusterer_sizes(k, sizes, r.k_effective, NULL) == MCL_OK) see(s, sizes, sizeof sizes);
}

static void look(seen *s) {
  see(s, labels, sizeof labels), see(s, distances, sizeof distances);
  see_files(s);
  if (clusterer) see_clusterer(s, clusterer);
  see_number(s, IS_MADE(made));
  if (IS_MADE(made)) see_clusterer(s, made);
}

static void finish(void) {
  if (IS_MADE(made)) mcl_clusterer_unref(made);
  mcl_clusterer_unref(clusterer);
}

static const exhaust_case cases[] = {
    {"mcl_clusterer_create_kmeans", "", fill, create, look, finish},
    {"mcl_clusterer_create_host", "", fill, create_host, look, finish},
    {"mcl_clusterer_set_centroids", "before a fit", make_lloyd, give, look, finish},
    {"mcl_clusterer_set_centroids", "after a fit", prepare_lloyd, give, look, finish},
    {"mcl_clusterer_fit", "Lloyd", prepare_lloyd, fit, look, finish},
    {"mcl_clusterer_fit", "Lloyd, for the first time", make_lloyd, fit, look, finish},
    {"mcl_clusterer_fit", "mini-batches", prepare_minibatch, fit, look, finish},
    {"mcl_clusterer_fit", "a sample that is read", make_sampled, fit, look, finish},
    {"mcl_clusterer_fit", "given centroids", prepare_given, fit, look, finish},
    {"mcl_clusterer_fit", "rows that are read", prepare_read, fit, look, finish},
    {"mcl_clusterer_fit", "host", prepare_host, fit, look, finish},
    {"mcl_clusterer_assign", "an array", prepare_lloyd, assign, look, finish},
    {"mcl_clusterer_assign", "rows that are read", prepare_read, assign, look, finish},
    {"mcl_clusterer_assign", "host", prepare_host, assign_host, look, finish},
    {"mcl_clusterer_save", "over an old file", prepare_save, save, look, finish},
    {"mcl_clusterer_load", "", prepare_saved, load, look, finish},
};
PART(clusterer, cases);
