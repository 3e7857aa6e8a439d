// A k-means in a file: what comes back, and what is refused.
#include "clusterer/clusters.h"

#include <stdio.h>

#include <libmcl/checkpoint.h>

enum { N = 3000, DIM = 5, K = 7 };

static mcl_context *context;
static float *x;
static mcl_array view;
static mcl_rows rows;
static mcl_error err;

static void begin(void) {
  context = test_context(2);
  x = mixture(N, DIM, K, 2, 31);
  view = mcl_matrix_f32(x, N, DIM);
  rows = rows_of(&view);
}

static void end(void) {
  free(x);
  mcl_context_unref(context);
}

// ---- files --------------------------------------------------------------------------------------

static void round_trip(const mcl_clusterer *k, const char *path, int32_t clusters) {
  mcl_clusterer *loaded = NULL;
  CHECK_OK(mcl_clusterer_save(k, path, &err));
  CHECK_OK(mcl_clusterer_load(context, path, NULL, &loaded, &err));
  double a[N], b[N];
  int32_t *labels = labels_of(k, x, N, DIM, a), *others = labels_of(loaded, x, N, DIM, b);
  float *centroids = centroids_of(k, clusters, DIM), *again = centroids_of(loaded, clusters, DIM);
  ck_assert_mem_eq(labels, others, sizeof *labels * N);
  ck_assert_mem_eq(a, b, sizeof a);
  ck_assert_mem_eq(centroids, again, sizeof(float) * (size_t)clusters * DIM);
  free(labels), free(others), free(centroids), free(again);
  mcl_clusterer_unref(loaded);
}

START_TEST(a_saved_clusterer_answers_as_before) {
  char path[4200];
  snprintf(path, sizeof path, "%s/k.safetensors", test_directory("clusterer"));
  for (int32_t metric = MCL_COSINE; metric <= MCL_L2; metric++) {
    mcl_kmeans_options o = kmeans_options(K, metric);
    o.seed = metric == MCL_L2 ? UINT64_MAX - 3 : (UINT64_C(1) << 40) + 5;
    mcl_clusterer *k = make(context, &o), *loaded = NULL;
    give(k, x, K, DIM);
    round_trip(k, path, K);
    CHECK_OK(mcl_clusterer_load(context, path, NULL, &loaded, &err));
    mcl_clusterer_report r, other;
    mcl_struct_init(&r, sizeof r);
    CHECK_FAILS(MCL_E_STATE, "fit", mcl_clusterer_get_report(loaded, &r, &err));
    mcl_clusterer_unref(loaded);
    r = fit(k, x, N, DIM);
    round_trip(k, path, r.k_effective);
    CHECK_OK(mcl_clusterer_load(context, path, NULL, &loaded, &err));
    other = report_of(loaded);
    ck_assert_mem_eq(&r, &other, sizeof r);
    char seed[32];
    mcl_checkpoint *file = NULL;
    CHECK_OK(mcl_checkpoint_open(context, path, &file, &err));
    CHECK_OK(mcl_checkpoint_meta(file, "seed", seed, sizeof seed, NULL, &err));
    ck_assert_str_eq(seed, metric == MCL_L2 ? "-4" : "1099511627781"); // all 64 bits
    mcl_checkpoint_unref(file);
    other = fit(loaded, x, N, DIM); // the options came along, the seed too
    ck_assert_mem_eq(&r, &other, sizeof r);
    mcl_clusterer_unref(loaded);
    mcl_clusterer_unref(k);
  }
}
END_TEST

// The saved file with one text replaced (NULL: left out), or one number of a tensor.
static void spoil(const char *from, const char *to, const char *key, const char *value,
                  const char *tensor, double number) {
  static const char *const keys[] = {
      "format",         "algorithm",      "counted",        "seed",     "k",
      "method",         "metric",         "init",           "empty",    "restarts",
      "max_iterations", "minibatch_rows", "max_train_rows", "rows",     "distinct",
      "repairs",        "zero_rows",      "iterations",     "converged"};
  mcl_checkpoint *file;
  mcl_checkpoint_writer *w;
  CHECK_OK(mcl_checkpoint_open(context, from, &file, &err));
  CHECK_OK(mcl_checkpoint_writer_create(context, to, &w, &err));
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    char text[64];
    CHECK_OK(mcl_checkpoint_meta(file, keys[i], text, sizeof text, NULL, &err));
    int replaced = key && strcmp(key, keys[i]) == 0;
    if (replaced && !value) continue;
    CHECK_OK(mcl_checkpoint_writer_meta(w, keys[i], replaced ? value : text, &err));
  }
  static const char *const tensors[] = {"centroids", "sizes", "tolerance", "inertia",
                                        "mean_cosine"};
  for (int i = 0; i < 5; i++) {
    mcl_array a;
    _Alignas(64) char data[4096];
    int replaced = tensor && strcmp(tensor, tensors[i]) == 0;
    CHECK_OK(mcl_checkpoint_shape(file, tensors[i], &a, &err));
    a.data = data;
    CHECK_OK(mcl_checkpoint_read(file, tensors[i], &a, &err));
    if (replaced && isinf(number)) continue; // left out
    float narrow = (float)number;
    int64_t whole = isfinite(number) ? (int64_t)number : 0;
    if (replaced && a.dtype == MCL_F32) memcpy(data + 8, &narrow, sizeof narrow);
    if (replaced && a.dtype == MCL_F64) memcpy(data, &number, sizeof number);
    if (replaced && a.dtype == MCL_I64) memcpy(data, &whole, sizeof whole);
    CHECK_OK(mcl_checkpoint_writer_add(w, tensors[i], &a, &err));
  }
  CHECK_OK(mcl_checkpoint_writer_commit(w, &err));
  mcl_checkpoint_writer_unref(w);
  mcl_checkpoint_unref(file);
}

START_TEST(a_damaged_file_is_refused_by_what_is_wrong_with_it) {
  static const struct {
    mcl_status status;
    const char *word, *key, *value, *tensor;
    double number;
  } cases[] = {
      {MCL_E_FORMAT, "format", "format", "libmcl.other", NULL, 0},
      {MCL_E_FORMAT, "format", "format", NULL, NULL, 0},
      {MCL_E_FORMAT, "format", "format", "a text that is longer than any format's name could be",
       NULL, 0},
      {MCL_E_UNSUPPORTED, "algorithm 3", "algorithm", "3", NULL, 0},
      {MCL_E_FORMAT, "algorithm", "algorithm", "one", NULL, 0},
      {MCL_E_FORMAT, "counted", "counted", NULL, NULL, 0},
      {MCL_E_FORMAT, "report", "counted", "2", NULL, 0},
      {MCL_E_FORMAT, "options", "metric", "3", NULL, 0},
      {MCL_E_FORMAT, "k", "k", "7x", NULL, 0},
      {MCL_E_FORMAT, "k", "k", "", NULL, 0},
      {MCL_E_FORMAT, "k", "k", "4294967303", NULL, 0},
      {MCL_E_FORMAT, "centroids", "k", "3", NULL, 0},
      {MCL_E_FORMAT, "seed", "seed", "99999999999999999999", NULL, 0},
      {MCL_E_FORMAT, "report", "repairs", "-1", NULL, 0},
      {MCL_E_FORMAT, "report", "converged", "2", NULL, 0},
      {MCL_E_FORMAT, "report", "zero_rows", "3001", NULL, 0},
      {MCL_E_FORMAT, "sizes", "rows", "2999", NULL, 0},
      {MCL_E_FORMAT, "sizes", NULL, NULL, "sizes", -1},
      {MCL_E_FORMAT, "sizes", NULL, NULL, "sizes", (double)INT64_MIN},
      {MCL_E_FORMAT, "sizes", NULL, NULL, "sizes", 5000},
      {MCL_E_FORMAT, "sizes", NULL, NULL, "sizes", INFINITY},
      {MCL_E_FORMAT, "centroids", NULL, NULL, "centroids", NAN},
      {MCL_E_FORMAT, "centroids", NULL, NULL, "centroids", 3},
      {MCL_E_FORMAT, "centroids", NULL, NULL, "centroids", INFINITY},
      {MCL_E_FORMAT, "report", NULL, NULL, "inertia", NAN},
      {MCL_E_FORMAT, "inertia", NULL, NULL, "inertia", INFINITY},
      {MCL_E_FORMAT, "report", NULL, NULL, "mean_cosine", 2},
      {MCL_E_FORMAT, "options", NULL, NULL, "tolerance", NAN},
  };
  char path[4200], bad[4200];
  const char *directory = test_directory("clusterer");
  snprintf(path, sizeof path, "%s/k.safetensors", directory);
  snprintf(bad, sizeof bad, "%s/bad.safetensors", directory);
  mcl_kmeans_options o = kmeans_options(K, MCL_COSINE);
  mcl_clusterer *k = make(context, &o), *loaded = NULL;
  fit(k, x, N, DIM);
  CHECK_OK(mcl_clusterer_save(k, path, &err));
  spoil(path, bad, NULL, NULL, NULL, 0); // the spoiler itself does no harm
  CHECK_OK(mcl_clusterer_load(context, bad, NULL, &loaded, &err));
  mcl_clusterer_unref(loaded);
  loaded = NULL;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    spoil(path, bad, cases[i].key, cases[i].value, cases[i].tensor, cases[i].number);
    CHECK_FAILS(cases[i].status, cases[i].word,
                mcl_clusterer_load(context, bad, NULL, &loaded, &err));
    ck_assert_ptr_null(loaded);
  }
  CHECK_FAILS(MCL_E_NOT_FOUND, "nothing",
              mcl_clusterer_load(context, "/nothing/here", NULL, &loaded, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "nothing", mcl_clusterer_save(k, "/nothing/here", &err));
  mcl_clusterer_unref(k);
}
END_TEST

RUN_TESTS_BETWEEN("saved_clusterer", begin, end, a_saved_clusterer_answers_as_before,
                  a_damaged_file_is_refused_by_what_is_wrong_with_it)
