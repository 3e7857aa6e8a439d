// Labels by bounds are those of comparing every row with every centroid, pass after pass; and the
// bounds bound. Looks inside the library, where one pass can be watched.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clusterer/bounds.h"
#include "math/rows.h"
#include "math/scores.h"
#include "support/suite.h"

enum { N = MCLI_SWEEP_BLOCK };

typedef struct scene {
  mcl_context *c;
  mcli_centres *m;
  mcli_groups g;
  mcli_races races;
  mcli_bounds bounds;
  int32_t *labels;
  float *x, *norms, *unit;
  double *moves;
} scene;

static scene scene_of(int32_t k, int32_t dim, int32_t metric) {
  mcl_error err;
  scene s = {.c = test_context(1)};
  ck_assert_int_eq(mcli_centres_new(s.c, k, dim, metric, &s.m, &err), MCL_OK);
  ck_assert_int_eq(mcli_groups_open(s.c, k, MCLI_MOST_GROUPS, &s.g, &err), MCL_OK);
  ck_assert_int_eq(mcli_races_open(s.c, k, dim, &s.races, &err), MCL_OK);
  s.bounds.upper = malloc(sizeof(float) * N);
  s.bounds.lower = malloc(sizeof(float) * (size_t)(N * s.g.stride));
  s.labels = malloc(sizeof *s.labels * N);
  s.x = malloc(sizeof(float) * (size_t)(N * dim));
  s.norms = malloc(sizeof(float) * N);
  s.unit = malloc(sizeof(float) * (size_t)dim);
  s.moves = calloc((size_t)k, sizeof(double));
  return s;
}

static void scene_free(scene *s) {
  mcli_centres_free(s->c, s->m);
  mcli_groups_close(s->c, &s->g);
  mcli_races_close(s->c, &s->races);
  mcl_context_unref(s->c);
  free(s->bounds.upper), free(s->bounds.lower), free(s->labels), free(s->x), free(s->norms);
  free(s->unit), free(s->moves);
}

// Labels brought up to date; how many rows were compared with how many groups.
static int64_t pass(scene *s, int kept) {
  if (kept)
    mcli_groups_moved(&s->g, s->moves, s->m->k);
  else
    mcli_groups_form(s->c, &s->g, s->m);
  mcli_centres_prepare(s->c, s->m, NULL);
  s->races.compared = 0;
  int64_t step = mcli_race_rows(&s->g);
  for (int64_t first = 0; first < N; first += step) {
    mcli_bounds of = {s->bounds.upper + first, s->bounds.lower + first * s->g.stride};
    int64_t n = mcli_race_run(s->c, s->m, &s->g, &s->races, s->x + first * s->m->dim,
                              s->norms + first, s->labels + first, step, &of, kept);
    for (int64_t i = 0; i < n; i++)
      s->labels[first + s->races.rows[i].row] = s->races.rows[i].label;
  }
  return s->races.compared;
}

static double distance(const scene *s, int64_t i, int32_t j) {
  double l = s->m->metric == MCL_COSINE ? s->norms[i] : 1, sum = 0;
  for (int32_t d = 0; d < s->m->dim; d++) {
    double step = s->x[i * s->m->dim + d] / l - s->m->rows[j * s->m->dim + d];
    sum += step * step;
  }
  return sqrt(sum);
}

// An assertion a centroid would take most of the time.
static void check(const scene *s) {
  for (int64_t i = 0; i < N; i++) {
    float least = INFINITY;
    int32_t label = 0, own = s->labels[i];
    for (int32_t j = 0; j < s->m->k; j++) {
      float d = mcli_distance(s->c, s->m, s->x + i * s->m->dim, s->norms[i], j, s->unit);
      if (d < least) least = d, label = j;
    }
    if (own != label) ck_abort_msg("row %d: %d, not %d", (int)i, (int)own, (int)label);
    if (s->norms[i] == 0 && s->m->metric == MCL_COSINE) continue;
    if (s->bounds.upper[i] < distance(s, i, own) * (1 - 1e-9)) ck_abort_msg("upper of %d", (int)i);
    for (int32_t j = 0; j < s->m->k; j++) {
      int32_t group = s->g.place[j] / MCLI_PANEL / s->g.panels;
      float lower = s->bounds.lower[i * s->g.stride + group];
      if (j != own && lower > distance(s, i, j) * (1 + 1e-9)) ck_abort_msg("lower of %d", (int)i);
    }
  }
}

// Centroids step aside, most of them little, one of them far.
static void move(scene *s, uint64_t seed, float by) {
  int32_t dim = s->m->dim;
  float *step = malloc(sizeof(float) * (size_t)(s->m->k * dim));
  test_fill_normal(step, s->m->k * dim, seed);
  for (int32_t j = 0; j < s->m->k; j++) {
    float *c = s->m->rows + j * dim, before[64];
    memcpy(before, c, sizeof(float) * (size_t)dim);
    float most = j == (int32_t)(seed % (uint64_t)s->m->k) ? 10 * by : by;
    for (int32_t d = 0; d < dim; d++) c[d] += most * step[j * dim + d];
    if (s->m->metric == MCL_COSINE) mcli_normalise(s->c, c, 1, dim, c, NULL);
    s->moves[j] = 0;
    for (int32_t d = 0; d < dim; d++)
      s->moves[j] += ((double)c[d] - before[d]) * ((double)c[d] - before[d]);
  }
  free(step);
}

// Groups of rows around the centroids, as clusters are.
static void fill(scene *s, uint64_t seed) {
  int32_t dim = s->m->dim, k = s->m->k;
  mcl_error err;
  test_fill_normal(s->m->rows, k * dim, seed);
  test_fill_normal(s->x, N * dim, seed + 1);
  for (int64_t i = 0; i < N * dim; i++)
    s->x[i] = 0.4f * s->x[i] + s->m->rows[(i / dim % k) * dim + i % dim];
  memset(s->x + 5 * dim, 0, sizeof(float) * (size_t)dim);
  if (s->m->metric == MCL_COSINE) mcli_normalise(s->c, s->m->rows, k, dim, s->m->rows, NULL);
  ck_assert_int_eq(mcli_row_norms(s->c, s->x, 0, N, dim, s->norms, &err), MCL_OK);
}

// 1: nothing to choose. 16 and 17: one group and two. 100: a group that is not full. 1030: groups of
// two panels. 128: as many groups as a vector has bounds.
static const int32_t ks[] = {1, 2, 16, 17, 100, 1030, 128};

static void compare_passes(int32_t metric) {
  for (size_t at = 0; at < sizeof ks / sizeof *ks; at++) {
    int32_t dim = at % 2 ? 5 : 21;
    scene s = scene_of(ks[at], dim, metric);
    int64_t all = (int64_t)N * s.g.n, compared = 0;
    fill(&s, 10 + at);
    ck_assert_int_ge(pass(&s, 0), all - s.g.n); // a row of zeros may need none
    check(&s);
    for (uint64_t step = 0; step < 8; step++) {
      move(&s, 100 * at + step, step < 4 ? 0.02f : 0.002f);
      compared += pass(&s, 1);
      check(&s);
    }
    ck_assert_int_lt(compared, ks[at] == 1 ? 1 : 6 * all); // of eight times
    scene_free(&s);
  }
}

START_TEST(labels_in_l2_are_those_of_comparing_everything) {
  compare_passes(MCL_L2);
}
END_TEST

START_TEST(labels_in_cosine_are_those_of_comparing_everything) {
  compare_passes(MCL_COSINE);
}
END_TEST

// Whole numbers, and every centroid twice: each row has at least two nearest, and takes the lowest.
START_TEST(ties_go_to_the_lowest_id_across_groups) {
  enum { K = 90, DIM = 3 };
  scene s = scene_of(K, DIM, MCL_L2);
  mcl_error err;
  for (uint64_t seed = 0; seed < 6; seed++) {
    test_fill(s.x, N * DIM, seed, -4, 4);
    test_fill(s.m->rows, K * DIM, seed + 50, -4, 4);
    for (int i = 0; i < N * DIM; i++) s.x[i] = roundf(s.x[i]);
    for (int i = 0; i < K * DIM; i++)
      s.m->rows[i] = i < K / 2 * DIM ? roundf(s.m->rows[i]) : s.m->rows[i - K / 2 * DIM];
    ck_assert_int_eq(mcli_row_norms(s.c, s.x, 0, N, DIM, s.norms, &err), MCL_OK);
    pass(&s, 0);
    check(&s);
    for (int i = 0; i < N; i++) ck_assert_int_lt(s.labels[i], K / 2);
    memset(s.moves, 0, sizeof(double) * K);
    pass(&s, 1);
    check(&s);
    // The first of each pair steps away: its rows belong to the second now.
    for (int32_t j = 0; j < K; j++) s.moves[j] = j < K / 2 ? 3 : 0;
    for (int32_t i = 0; i < K / 2 * DIM; i++) s.m->rows[i] += 1;
    pass(&s, 1);
    check(&s);
  }
  scene_free(&s);
}
END_TEST

// Groups of as few panels as there are groups for; bounds of a row in whole vectors, but for one.
START_TEST(groups_are_whole_panels_and_no_more_than_allowed) {
  static const struct {
    int32_t k, most, panels, n, stride;
  } cases[] = {{1, 64, 1, 1, 1},      {16, 0, 1, 1, 1},      {17, 64, 1, 2, 8},
               {128, 64, 1, 8, 8},    {129, 64, 1, 9, 16},   {1024, 64, 1, 64, 64},
               {1025, 64, 2, 33, 40}, {2048, 64, 2, 64, 64}, {2049, 64, 3, 43, 48},
               {100, 4, 2, 4, 8},     {100, 1, 7, 1, 1},     {100, 7, 1, 7, 8}};
  mcl_error err;
  mcl_context *c = test_context(1);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    mcli_groups g;
    CHECK_OK(mcli_groups_open(c, cases[i].k, cases[i].most, &g, &err));
    ck_assert_int_eq(g.panels, cases[i].panels);
    ck_assert_int_eq(g.n, cases[i].n);
    ck_assert_int_eq(g.stride, cases[i].stride);
    mcli_groups_close(c, &g);
  }
  mcl_context_unref(c);
}
END_TEST

// Passes in which nothing moves only round: bounds must not creep towards each other.
START_TEST(bounds_still_bound_after_forty_passes) {
  for (int32_t metric = MCL_COSINE; metric <= MCL_L2; metric++) {
    scene s = scene_of(40, 5, metric);
    fill(&s, 6);
    pass(&s, 0);
    for (int i = 0; i < 40; i++) pass(&s, 1);
    check(&s);
    scene_free(&s);
  }
}
END_TEST

START_TEST(near_centroids_share_a_group) {
  enum { K = 64, DIM = 4 };
  scene s = scene_of(K, DIM, MCL_L2);
  test_fill_normal(s.m->rows, K * DIM, 3);
  for (int i = 0; i < K * DIM; i++) s.m->rows[i] += 100.0f * (float)(i / DIM % 4); // four heaps
  mcli_groups_form(s.c, &s.g, s.m);
  ck_assert_int_eq(s.g.n, 4);
  char seen[K] = {0};
  for (int p = 0; p < K; p++) {
    ck_assert_int_eq(s.m->order[p] % 4, s.m->order[p / 16 * 16] % 4);
    ck_assert_int_eq(s.g.place[s.m->order[p]], p);
    seen[s.m->order[p]]++;
  }
  for (int j = 0; j < K; j++) ck_assert_int_eq(seen[j], 1);
  scene_free(&s);
}
END_TEST

// 2 / |x| is no float any more.
START_TEST(rows_shorter_than_any_normal_number_are_bounded_by_nothing) {
  enum { K = 64, DIM = 3 };
  mcl_error err;
  scene s = scene_of(K, DIM, MCL_COSINE);
  fill(&s, 5);
  for (int i = 0; i < N * DIM; i++) s.x[i] *= 0x1p-128f;
  ck_assert_int_eq(mcli_row_norms(s.c, s.x, 0, N, DIM, s.norms, &err), MCL_OK);
  pass(&s, 0);
  check(&s);
  for (uint64_t step = 0; step < 4; step++) {
    move(&s, step, 0.2f);
    pass(&s, 1);
    check(&s);
  }
  scene_free(&s);
}
END_TEST

RUN_TESTS("bounds", labels_in_l2_are_those_of_comparing_everything,
          labels_in_cosine_are_those_of_comparing_everything,
          ties_go_to_the_lowest_id_across_groups, groups_are_whole_panels_and_no_more_than_allowed,
          bounds_still_bound_after_forty_passes, near_centroids_share_a_group,
          rows_shorter_than_any_normal_number_are_bounded_by_nothing)
