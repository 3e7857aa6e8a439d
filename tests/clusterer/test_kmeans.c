// Does fit find what it should, and does its report say so? Against a plain twin in double, and
// scikit-learn.
#include "clusterer/clusters.h"

#include <stdio.h>

#include "golden/kmeans.h"

// ---- a plain twin: Lloyd's algorithm in double --------------------------------------------------

typedef struct twin {
  double *c; // [k, dim]
  int32_t *labels;
  double inertia;
  char *moved; // into an empty cluster, this pass
  int64_t repairs;
} twin;

static double *in_double(const float *x, int64_t n, int32_t dim, int unit) {
  double *y = malloc((size_t)n * (size_t)dim * sizeof *y);
  for (int64_t i = 0; i < n; i++) {
    double square = 0;
    for (int32_t d = 0; d < dim; d++) square += (double)x[i * dim + d] * x[i * dim + d];
    for (int32_t d = 0; d < dim; d++)
      y[i * dim + d] = x[i * dim + d] / (unit && square > 0 ? sqrt(square) : 1);
  }
  return y;
}

static double twin_label(const double *x, const double *c, int32_t k, int32_t dim, int32_t *label) {
  double least = INFINITY;
  for (int32_t j = 0; j < k; j++) {
    double d2 = 0;
    for (int32_t d = 0; d < dim; d++) d2 += (x[d] - c[j * dim + d]) * (x[d] - c[j * dim + d]);
    if (d2 < least) least = d2, *label = j;
  }
  return least;
}

static void twin_means(twin *t, const double *x, int64_t n, int32_t dim, int32_t k, int unit) {
  double *sums = calloc((size_t)k * (size_t)dim, sizeof *sums),
         *counts = calloc((size_t)k, sizeof *counts);
  for (int64_t i = 0; i < n; i++) {
    counts[t->labels[i]]++;
    for (int32_t d = 0; d < dim; d++) sums[t->labels[i] * dim + d] += x[i * dim + d];
  }
  for (int32_t j = 0; j < k; j++) {
    double square = 0;
    for (int32_t d = 0; d < dim; d++) square += sums[j * dim + d] * sums[j * dim + d];
    for (int32_t d = 0; d < dim; d++)
      t->c[j * dim + d] = sums[j * dim + d] / (unit ? sqrt(square) : counts[j]);
  }
  free(sums);
  free(counts);
}

// The farthest row of a cluster that has others moves into each empty cluster, in order of ids.
static int twin_repair(twin *t, const double *x, int64_t n, int32_t dim, int32_t k) {
  int repairs = 0;
  int64_t *counts = calloc((size_t)k, sizeof *counts);
  for (int64_t i = 0; i < n; i++) counts[t->labels[i]]++;
  for (int32_t j = 0; j < k; j++) {
    if (counts[j] > 0) continue;
    int64_t far = -1;
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
      double d2 = 0;
      for (int32_t d = 0; d < dim; d++) {
        double step = x[i * dim + d] - t->c[t->labels[i] * dim + d];
        d2 += step * step;
      }
      if (counts[t->labels[i]] > 1 && !t->moved[i] && d2 > most) most = d2, far = i;
    }
    ck_assert_int_ge(far, 0);
    counts[t->labels[far]]--;
    counts[j] = 1;
    t->labels[far] = j;
    t->moved[far] = 1;
    repairs++;
  }
  memset(t->moved, 0, (size_t)n);
  free(counts);
  return repairs;
}

// At most `passes` passes.
static twin twin_fit(const float *rows, int64_t n, int32_t dim, int32_t k, const float *start,
                     int unit, int passes) {
  double *x = in_double(rows, n, dim, unit);
  twin t = {in_double(start, k, dim, unit), malloc((size_t)n * sizeof(int32_t)), 0,
            calloc((size_t)n, 1), 0};
  for (int64_t i = 0; i < n; i++) t.labels[i] = -1;
  for (int changed = 1; changed && passes-- > 0;) {
    changed = 0;
    t.inertia = 0;
    for (int64_t i = 0; i < n; i++) {
      int32_t label = 0;
      t.inertia += twin_label(x + i * dim, t.c, k, dim, &label) / (double)n;
      changed += label != t.labels[i];
      t.labels[i] = label;
    }
    int repairs = twin_repair(&t, x, n, dim, k);
    t.repairs += repairs;
    if (changed || repairs) twin_means(&t, x, n, dim, k, unit);
    changed += repairs;
  }
  free(t.moved);
  t.moved = NULL;
  free(x);
  return t;
}

static void compare_with_twin(int32_t metric, int64_t n, int32_t dim, int32_t k, uint64_t seed) {
  mcl_context *c = test_context(2);
  float *x = mixture(n, dim, k, 1.5f, seed);
  mcl_kmeans_options o = kmeans_options(k, metric);
  o.init = MCL_INIT_GIVEN;
  o.tolerance = 0;
  o.max_iterations = 1000;
  mcl_clusterer *clusterer = make(c, &o);
  give(clusterer, x, k, dim);
  mcl_clusterer_report r = fit(clusterer, x, n, dim);
  int32_t *labels = labels_of(clusterer, x, n, dim, NULL);
  twin t = twin_fit(x, n, dim, k, x, metric == MCL_COSINE, 1000);
  ck_assert_int_eq(r.converged, 1);
  ck_assert_int_eq(r.k_effective, k);
  for (int64_t i = 0; i < n; i++) ck_assert_msg(labels[i] == t.labels[i], "row %d", (int)i);
  ck_assert_double_eq_tol(r.inertia, t.inertia, 1e-6 * t.inertia);
  if (metric == MCL_COSINE) ck_assert_double_eq_tol(r.mean_cosine, 1 - t.inertia / 2, 1e-6);
  free(t.c);
  free(t.labels);
  free(labels);
  free(x);
  mcl_clusterer_unref(clusterer);
  mcl_context_unref(c);
}

START_TEST(lloyd_l2_is_its_plain_twin_in_double) {
  compare_with_twin(MCL_L2, 3000, 17, 9, 1);
  compare_with_twin(MCL_L2, 5000, 40, 33, 2);
}
END_TEST

START_TEST(lloyd_cosine_is_its_plain_twin_in_double) {
  compare_with_twin(MCL_COSINE, 3000, 17, 9, 3);
  compare_with_twin(MCL_COSINE, 5000, 40, 33, 4);
}
END_TEST

// Rows are passed over while bounds say that their labels are certain: stop after each pass and
// look whether the centroids are where plain passes bring them. One centroid starts far off and
// sweeps in, so that bounds must follow the fastest centroid and not their own.
static void compare_every_pass(int32_t metric, int32_t k, uint64_t seed) {
  enum { N = 1500, DIM = 6, MOST_K = 70, PASSES = 14 };
  mcl_context *c = test_context(2);
  float *x = mixture(N, DIM, 4, 0.7f, seed), start[MOST_K * DIM];
  memcpy(start, x, sizeof start);
  for (int d = 0; d < DIM; d++) start[3 * DIM + d] = metric == MCL_L2 ? 4 : -x[3 * DIM + d];
  for (int passes = 1; passes <= PASSES; passes++) {
    mcl_kmeans_options o = kmeans_options(k, metric);
    o.init = MCL_INIT_GIVEN;
    o.tolerance = 0;
    o.max_iterations = passes;
    mcl_clusterer *clusterer = make(c, &o);
    give(clusterer, start, k, DIM);
    fit(clusterer, x, N, DIM);
    float *centroids = centroids_of(clusterer, k, DIM);
    twin t = twin_fit(x, N, DIM, k, start, metric == MCL_COSINE, passes);
    for (int i = 0; i < k * DIM; i++) ck_assert_double_eq_tol(centroids[i], t.c[i], 1e-6);
    free(centroids), free(t.c), free(t.labels);
    mcl_clusterer_unref(clusterer);
  }
  free(x);
  mcl_context_unref(c);
}

START_TEST(every_pass_is_the_plain_pass) {
  for (uint64_t seed = 50; seed < 54; seed++) {
    compare_every_pass(MCL_L2, 11, seed);
    compare_every_pass(MCL_COSINE, 11, seed);
  }
  compare_every_pass(MCL_L2, 70, 54);
  compare_every_pass(MCL_COSINE, 70, 55);
}
END_TEST

// Few rows and many clusters, badly placed: clusters lose their rows at once and in later passes.
START_TEST(repairs_are_those_of_the_plain_twin) {
  enum { N = 40, DIM = 2, K = 12, TRIALS = 3000 };
  mcl_context *c = test_context(1);
  float x[N * DIM], start[K * DIM];
  int64_t repairs = 0;
  for (uint64_t trial = 0; trial < TRIALS; trial++) {
    test_fill(x, N * DIM, 1000 + trial, -1, 1);
    test_fill(start, K * DIM, 5000 + trial, -1.5f, 1.5f);
    if (trial % 4) // in one corner: nearly all get rows at first, and some lose them
      for (int i = 0; i < K * DIM; i++) start[i] = 0.9f + start[i] / 20;
    mcl_kmeans_options o = kmeans_options(K, MCL_L2);
    o.init = MCL_INIT_GIVEN;
    o.tolerance = 0;
    mcl_clusterer *k = make(c, &o);
    give(k, start, K, DIM);
    mcl_clusterer_report r = fit(k, x, N, DIM);
    int32_t *labels = labels_of(k, x, N, DIM, NULL);
    twin t = twin_fit(x, N, DIM, K, start, 0, 100);
    ck_assert_int_eq(r.repairs, t.repairs);
    ck_assert_mem_eq(labels, t.labels, sizeof *labels * N);
    repairs += r.repairs;
    free(labels), free(t.c), free(t.labels);
    mcl_clusterer_unref(k);
  }
  ck_assert_int_gt(repairs, TRIALS);
  mcl_context_unref(c);
}
END_TEST

// ---- scikit-learn -------------------------------------------------------------------------------

static uint64_t state;
static int draw(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (int)((state >> 40) % 1024);
}

// kmeans.py makes the same.
static float *golden_rows(const struct golden *g) {
  float *x = malloc((size_t)(g->n * g->dim) * sizeof *x);
  int *centres = malloc((size_t)(g->groups * g->dim) * sizeof *centres);
  state = 12345;
  for (int i = 0; i < g->groups * g->dim; i++) centres[i] = draw();
  for (int i = 0; i < g->n; i++)
    for (int d = 0; d < g->dim; d++) {
      int a = draw(), b = draw();
      x[i * g->dim + d] = (float)(centres[i % g->groups * g->dim + d] + a + b - 1023) / 1024.0f;
    }
  free(centres);
  return x;
}

START_TEST(inertia_is_scikit_learns_from_the_same_centres) {
  const struct golden *g = &golden[_i];
  mcl_context *c = test_context(2);
  float *x = golden_rows(g);
  mcl_kmeans_options o = kmeans_options(g->k, MCL_L2);
  o.init = MCL_INIT_GIVEN;
  o.max_iterations = 300;
  mcl_clusterer *k = make(c, &o);
  give(k, x, g->k, g->dim);
  mcl_clusterer_report r = fit(k, x, g->n, g->dim);
  ck_assert_double_eq_tol(r.inertia, g->inertia, 1e-3 * g->inertia);
  free(x);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
}
END_TEST

// ---- seeding and restarts -----------------------------------------------------------------------

static double inertia_of(int32_t init, int32_t method, int32_t restarts, int64_t max_train_rows,
                         uint64_t seed) {
  mcl_context *c = test_context(2);
  float *x = mixture(20000, 12, 25, 6, 5);
  mcl_kmeans_options o = kmeans_options(25, MCL_L2);
  o.init = init;
  o.method = method;
  o.restarts = restarts;
  o.seed = seed;
  o.max_train_rows = max_train_rows;
  o.minibatch_rows = 1000;
  mcl_clusterer *k = make(c, &o);
  mcl_clusterer_report r = fit(k, x, 20000, 12);
  ck_assert_int_eq(r.rows, 20000);
  free(x);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
  return r.inertia;
}

static double inertia_with(int32_t init, int32_t method, int32_t restarts, int64_t max_train_rows) {
  return inertia_of(init, method, restarts, max_train_rows, 0);
}

// Well separated groups: with one centroid each the inertia is dim = 12, and a missed group adds
// several times that.
START_TEST(kmeanspp_finds_separated_groups) {
  ck_assert_double_eq_tol(inertia_with(MCL_INIT_KMEANSPP, MCL_LLOYD, 3, 0), 12, 0.2);
}
END_TEST

// Of 25 groups plain k-means++ misses some in most starts; greedy k-means++ in few.
START_TEST(kmeanspp_is_greedy) {
  int found = 0;
  for (uint64_t seed = 0; seed < 8; seed++)
    found += inertia_of(MCL_INIT_KMEANSPP, MCL_LLOYD, 1, 0, seed) < 12.2;
  ck_assert_int_ge(found, 6);
}
END_TEST

START_TEST(more_restarts_are_never_worse) {
  double one = inertia_with(MCL_INIT_RANDOM, MCL_LLOYD, 1, 0);
  double six = inertia_with(MCL_INIT_RANDOM, MCL_LLOYD, 6, 0);
  ck_assert_double_le(six, one * (1 + 1e-6));
  ck_assert_double_lt(six, 0.999 * one);
}
END_TEST

// Of rows so short that squares and their mean are far below 1, too.
START_TEST(the_restart_of_the_least_inertia_is_kept) {
  enum { ROWS = 1200, DIM = 5, GROUPS = 12 };
  mcl_context *c = test_context(1);
  float *x = mixture(ROWS, DIM, GROUPS, 6, 7);
  for (int i = 0; i < ROWS * DIM; i++) x[i] *= 1e-4f;
  for (int32_t metric = MCL_COSINE; metric <= MCL_L2; metric++) {
    int better = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
      double inertia[2];
      for (int several = 0; several < 2; several++) {
        mcl_kmeans_options o = kmeans_options(GROUPS, metric);
        o.init = MCL_INIT_RANDOM;
        o.seed = seed;
        o.restarts = several ? 6 : 1;
        mcl_clusterer *k = make(c, &o);
        inertia[several] = fit(k, x, ROWS, DIM).inertia;
        mcl_clusterer_unref(k);
      }
      ck_assert_double_le(inertia[1], inertia[0] * (1 + 1e-6));
      better += inertia[1] < 0.99 * inertia[0];
    }
    ck_assert_int_ge(better, 3);
  }
  free(x);
  mcl_context_unref(c);
}
END_TEST

// Rows in the order of their groups, two to a block: where only some blocks are drawn from, groups are missed.
START_TEST(kmeanspp_draws_from_every_block) {
  enum { ROWS = 4096, DIM = 4, GROUPS = 8 };
  mcl_context *c = test_context(1);
  float *mixed = mixture(ROWS, DIM, GROUPS, 30, 8), *x = malloc(sizeof *x * ROWS * DIM);
  for (int i = 0; i < ROWS; i++)
    memcpy(x + (i % GROUPS * (ROWS / GROUPS) + i / GROUPS) * DIM, mixed + i * DIM, sizeof *x * DIM);
  int found = 0;
  for (uint64_t seed = 0; seed < 8; seed++) {
    mcl_kmeans_options o = kmeans_options(GROUPS, MCL_L2);
    o.seed = seed;
    o.restarts = o.max_iterations = 1;
    mcl_clusterer *k = make(c, &o);
    found += fit(k, x, ROWS, DIM).inertia < 2 * DIM;
    mcl_clusterer_unref(k);
  }
  ck_assert_int_ge(found, 6);
  free(mixed), free(x);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_larger_tolerance_ends_sooner) {
  mcl_context *c = test_context(1);
  float *x = mixture(3000, 4, 3, 0.5f, 9);
  int32_t iterations[2];
  for (int large = 0; large < 2; large++) {
    mcl_kmeans_options o = kmeans_options(20, MCL_L2);
    o.restarts = 1;
    o.max_iterations = 1000;
    o.tolerance = large ? 1e-2 : 0;
    mcl_clusterer *k = make(c, &o);
    mcl_clusterer_report r = fit(k, x, 3000, 4);
    ck_assert_int_eq(r.converged, 1);
    iterations[large] = r.iterations;
    mcl_clusterer_unref(k);
  }
  ck_assert_int_lt(2 * iterations[1], iterations[0]);
  free(x);
  mcl_context_unref(c);
}
END_TEST

START_TEST(minibatch_comes_near_to_lloyd) {
  ck_assert_double_eq_tol(inertia_with(MCL_INIT_KMEANSPP, MCL_MINIBATCH, 3, 0), 12, 0.4);
}
END_TEST

START_TEST(training_on_a_sample_reports_all_rows) {
  double sampled = inertia_with(MCL_INIT_KMEANSPP, MCL_LLOYD, 3, 2000);
  ck_assert_double_eq_tol(sampled, 12, 0.4);
  ck_assert(sampled != inertia_with(MCL_INIT_KMEANSPP, MCL_LLOYD, 3, 0));
}
END_TEST

START_TEST(seeds_choose_the_result) {
  mcl_context *c = test_context(1);
  float *x = mixture(3000, 8, 4, 0.5f, 6);
  mcl_kmeans_options o = kmeans_options(12, MCL_COSINE);
  double inertia[3];
  for (int i = 0; i < 3; i++) {
    o.seed = i == 1;
    mcl_clusterer *k = make(c, &o);
    inertia[i] = fit(k, x, 3000, 8).inertia;
    mcl_clusterer_unref(k);
  }
  ck_assert(inertia[0] == inertia[2]);
  ck_assert(inertia[0] != inertia[1]);
  free(x);
  mcl_context_unref(c);
}
END_TEST

// ---- the report ---------------------------------------------------------------------------------

static void recount(int32_t metric, int32_t method) {
  enum { N = 5000, DIM = 10, K = 14 };
  mcl_context *c = test_context(2);
  float *x = mixture(N, DIM, 9, 1, 7);
  memset(x + 3 * DIM, 0, DIM * sizeof *x);
  memset(x + 4000 * DIM, 0, DIM * sizeof *x);
  mcl_kmeans_options o = kmeans_options(K, metric);
  o.method = method;
  o.minibatch_rows = 300;
  o.max_iterations = 7; // not converged: the last labels must be of the last centroids all the same
  mcl_clusterer *k = make(c, &o);
  mcl_clusterer_report r = fit(k, x, N, DIM);
  double *distances = malloc(N * sizeof *distances), inertia = 0, cosine = 0, squares = 0;
  int32_t *labels = labels_of(k, x, N, DIM, distances);
  float *centroids = centroids_of(k, r.k_effective, DIM);
  int64_t sizes[K], counted[K] = {0};
  mcl_error err;
  CHECK_OK(mcl_clusterer_sizes(k, sizes, r.k_effective, &err));
  for (int i = 0; i < N; i++) {
    double dot = 0, xx = 0, cc = 0;
    for (int d = 0; d < DIM; d++) {
      double a = x[i * DIM + d], b = centroids[labels[i] * DIM + d];
      dot += a * b, xx += a * a, cc += b * b;
    }
    double cos = xx > 0 ? dot / sqrt(xx * cc) : 0;
    double wanted = metric == MCL_COSINE ? 2 - 2 * cos : xx - 2 * dot + cc;
    ck_assert_double_eq_tol(distances[i], wanted, 2e-6 * (1 + wanted));
    inertia += distances[i];
    cosine += cos;
    counted[labels[i]]++;
  }
  ck_assert_double_eq_tol(r.inertia, inertia / N, 1e-12 * r.inertia);
  ck_assert_double_eq_tol(r.mean_cosine, cosine / N, 1e-6);
  ck_assert_int_eq(r.zero_rows, metric == MCL_COSINE ? 2 : 0);
  if (metric == MCL_COSINE) ck_assert(labels[3] == 0 && distances[3] == 2);
  for (int j = 0; j < r.k_effective; j++) {
    ck_assert_int_eq(sizes[j], counted[j]);
    squares += (double)sizes[j] * (double)sizes[j];
  }
  ck_assert_double_eq_tol(r.imbalance, r.k_effective * squares / ((double)N * N), 1e-12);
  ck_assert_int_eq(r.k, K);
  ck_assert_int_eq(r.distinct, K);
  free(distances);
  free(labels);
  free(centroids);
  free(x);
  mcl_clusterer_unref(k);
  mcl_context_unref(c);
}

START_TEST(report_sizes_and_inertia_are_those_of_assign) {
  recount(MCL_L2, MCL_LLOYD);
  recount(MCL_COSINE, MCL_LLOYD);
  recount(MCL_L2, MCL_MINIBATCH);
  recount(MCL_COSINE, MCL_MINIBATCH);
}
END_TEST

int main(void) {
  TCase *t = tcase_create("kmeans");
  tcase_add_loop_test(t, inertia_is_scikit_learns_from_the_same_centres, 0,
                      sizeof golden / sizeof *golden);
  const TTest *const tests[] = {lloyd_l2_is_its_plain_twin_in_double,
                                lloyd_cosine_is_its_plain_twin_in_double,
                                every_pass_is_the_plain_pass,
                                repairs_are_those_of_the_plain_twin,
                                kmeanspp_finds_separated_groups,
                                kmeanspp_is_greedy,
                                more_restarts_are_never_worse,
                                the_restart_of_the_least_inertia_is_kept,
                                kmeanspp_draws_from_every_block,
                                a_larger_tolerance_ends_sooner,
                                minibatch_comes_near_to_lloyd,
                                training_on_a_sample_reports_all_rows,
                                seeds_choose_the_result,
                                report_sizes_and_inertia_are_those_of_assign};
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(t, tests[i]);
  return test_run_case("kmeans", t);
}
