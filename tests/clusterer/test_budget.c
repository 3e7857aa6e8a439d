// What a fit says it needs, by (1) to (7) of budget.c, to the byte; test_large_rows.c holds it to what fits really take.
#include "clusterer/clusters.h"

#include <stdio.h>

#include "clusterer/bounds.h"
#include "clusterer/budget.h"
#include "clusterer/seeding.h"
#include "clusterer/tree.h"
#include "support/ranks.h"

typedef struct problem {
  const char *name;
  int64_t rows, max_train_rows;
  int32_t k, dim, method, init, batch, dtype; // of a callback's rows; 0: an array
  uint32_t threads;
} problem;

static double least(double a, double b) {
  return a < b ? a : b;
}

static double panels_of(double n) {
  return 16 * ceil(n / 16);
}

// (4): a sample of 64 rows a centroid, 16384 at least; each row's place, length, share of the potential, and its distances to
// the candidates, in whole panels.
static double seeding(double k, double d, double train) {
  double rows = least(train, k * 64 > 16384 ? k * 64 : 16384);
  double lanes = panels_of(2 + floor(log(k)));
  return rows * (4 * d + 4 * lanes + 17) + 4 * d * (32 + lanes) + 8192;
}

static double held(const problem *p, const mcli_sweep *s, double ranks, int32_t groups) {
  double k = p->k, d = p->dim, rows = (double)p->rows, places = panels_of(k),
         segments = s->grid.segments;
  double threads = least(p->threads, segments),
         train = p->max_train_rows ? (double)p->max_train_rows : rows;
  int lloyd = p->method == MCL_LLOYD;
  double stride = groups < 2 ? 1 : 8 * ceil(groups / 8.0);
  double bounds = lloyd && groups ? 4 + 4 * stride : 0;
  double sum = 24576;                                                // 128 allocations' heads
  sum += 2 * (12 * k * d + 4 * places * d + 8 * places + 48 * k);    // (2)
  sum += threads * (8 * k * d + 9 * k + 4 * places + 8 * d + 98304); // (3): sums, a block of races
  sum += threads * (96 * places > 262144 ? 96 * places : 262144);    // scores
  sum += (mcli_tree_depth(&s->grid) + 1) * (8 * k * d + k) + 8 * k;  // the tree
  if (p->dtype) sum += 2 * 1024 * d * 4 * s->slots * s->depth;       // blocks of rows
  if (p->dtype == MCL_F64) sum += 2 * 1024 * d * 8;                  // as they come
  if (p->init != MCL_INIT_GIVEN) sum += seeding(k, d, train);        // (4)
  if (!lloyd) sum += least(p->batch, train) * (4 * d + 20);          // (5)
  if (train < rows) sum += train * (4 * d + 8);                      // its sample
  sum += segments * (8 * d + 8);                                     // (6)
  if (ranks > 1) sum += 48 * 1048576 + (ranks + 1) * k;              // (7)
  double mine = (double)s->n, trained = mine / rows * train;
  if (ranks > 1) trained += train / 64 + 1024;
  double training = trained * (12 + bounds), labelling = mine * 12; // (1)
  return sum + (training > labelling ? training : labelling);
}

static mcl_status no_rows(void *user, int64_t first, int64_t n, const mcl_array *out,
                          mcl_error *err) {
  (void)user, (void)first, (void)n, (void)out;
  return mcl_ok(err);
}

// What is wrong with what budget.c says, or nothing.
static void look(const problem *p, mcl_context *c, mcl_comm *comm, char wrong[300]) {
  enum { SEQUENCE = 8 };
  static const int32_t sequence[SEQUENCE] = {64, 32, 16, 8, 4, 2, 1, 0};
  mcl_error err;
  mcli_sweep s;
  float *x = calloc((size_t)(p->dtype ? 1 : p->rows * p->dim), sizeof *x);
  mcl_array a = mcl_matrix_f32(x, p->rows, p->dim);
  mcl_rows rows = {.struct_size = sizeof rows,
                   .rows = p->rows,
                   .dim = p->dim,
                   .dtype = p->dtype,
                   .read = no_rows};
  if (!p->dtype) rows.array = &a, rows.dtype = MCL_F32;
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = p->k, o.method = p->method, o.init = p->init, o.minibatch_rows = p->batch,
  o.max_train_rows = p->max_train_rows;
  *wrong = 0;
  if (mcli_sweep_open(c, comm, &rows, &s, &err) < 0)
    snprintf(wrong, 300, "%s: %.200s", p->name, err.message);
  double ranks = mcl_comm_size(comm);
  for (int g = 0; g < SEQUENCE && !*wrong; g++)
    for (int off = -1; off <= 1 && !*wrong; off++) {
      int32_t groups = -1;
      int wanted = 0;
      o.max_bytes = (int64_t)held(p, &s, ranks, sequence[g]) + off;
      while (wanted < SEQUENCE && held(p, &s, ranks, sequence[wanted]) > (double)o.max_bytes)
        wanted++;
      mcl_status status = mcli_budget_groups(&o, &s, &groups, &err);
      char figure[64];
      snprintf(figure, sizeof figure, "need %.0f", held(p, &s, ranks, 0));
      if (wanted == SEQUENCE ? status != MCL_E_LIMIT || !strstr(err.message, figure)
                             : status != MCL_OK || groups != sequence[wanted])
        snprintf(wrong, 300, "%s, %lld bytes: %d groups, not %d; %s; %.150s", p->name,
                 (long long)o.max_bytes, (int)groups,
                 wanted == SEQUENCE ? -1 : (int)sequence[wanted], figure,
                 status < 0 ? err.message : "");
    }
  int32_t groups = -1;
  o.max_bytes = 0;
  if (!*wrong && (mcli_budget_groups(&o, &s, &groups, &err) < 0 || groups != 64))
    snprintf(wrong, 300, "%s: without a limit, %d groups", p->name, (int)groups);
  mcli_sweep_close(&s);
  free(x);
}

static const problem problems[] = {
    {"lloyd", 20000, 0, 10, 7, MCL_LLOYD, MCL_INIT_KMEANSPP, 100, 0, 1},
    {"many threads", 3000, 0, 150, 5, MCL_LLOYD, MCL_INIT_RANDOM, 100, 0, 8},
    {"many clusters", 400000, 0, 2800, 3, MCL_LLOYD, MCL_INIT_KMEANSPP, 100, MCL_F32, 2},
    {"few clusters", 100000, 0, 2720, 3, MCL_LLOYD, MCL_INIT_GIVEN, 100, MCL_F64, 3},
    {"one cluster", 50, 0, 1, 1, MCL_LLOYD, MCL_INIT_KMEANSPP, 100, 0, 2},
    {"a sample", 70000, 33333, 100, 4, MCL_LLOYD, MCL_INIT_KMEANSPP, 100, MCL_F64, 2},
    {"mini-batches", 70000, 0, 100, 4, MCL_MINIBATCH, MCL_INIT_KMEANSPP, 5000, MCL_F32, 1},
    {"mini-batches of a sample", 70000, 3000, 300, 4, MCL_MINIBATCH, MCL_INIT_RANDOM, 5000, 0, 2},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

START_TEST(what_a_fit_needs_is_the_sum_of_what_it_holds) {
  char wrong[300];
  for (int i = 0; i < PROBLEMS; i++) {
    mcl_context *c = test_context(problems[i].threads);
    look(&problems[i], c, NULL, wrong);
    ck_assert_msg(!*wrong, "%s", wrong);
    mcl_context_unref(c);
  }
}
END_TEST

START_TEST(seeding_needs_its_sample) {
  for (int i = 0; i < PROBLEMS; i++) {
    const problem *p = &problems[i];
    ck_assert_double_eq(mcli_seeding_bytes(p->k, p->dim, p->rows),
                        seeding(p->k, p->dim, (double)p->rows));
  }
}
END_TEST

static char wrong_of[MOST_TEST_RANKS][300];

static void look_on_rank(test_rank *r) {
  for (int i = 0; i < PROBLEMS && !*wrong_of[r->rank]; i++)
    if (problems[i].threads == 1) look(&problems[i], r->context, r->comm, wrong_of[r->rank]);
}

START_TEST(a_rank_needs_its_share_and_what_it_exchanges) {
  for (int32_t size = 2; size <= 3; size++) {
    test_ranks w = {.size = size};
    test_ranks_run(&w, look_on_rank, NULL);
    for (int r = 0; r < size; r++) ck_assert_msg(!*wrong_of[r], "rank %d: %s", r, wrong_of[r]);
  }
}
END_TEST

RUN_TESTS("budget", what_a_fit_needs_is_the_sum_of_what_it_holds, seeding_needs_its_sample,
          a_rank_needs_its_share_and_what_it_exchanges)
