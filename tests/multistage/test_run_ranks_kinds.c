// Loops of every kind over ranks: all ranks end with the same bits, and near what one process comes to.
#include "multistage/over_ranks.h"

static outcome *one;   // of one process
static outcome *first; // of rank 0
static pthread_barrier_t found;

// Gradients are added in another order: figures, not bits.
static void check_near(const outcome *a, const outcome *b, const plan *p) {
  double worst = 0;
  int other = 0;
  for (int s = 0; s < STAGES; s++)
    for (int m = 0; m < 2; m++) {
      for (int i = 0; i < ROWS * DIM; i++) {
        double d = fabs((double)a->z[s][m][i] - (double)b->z[s][m][i]);
        if (!(d <= worst)) worst = d;
      }
      for (int i = 0; i < ROWS; i++) other += a->labels[s][m][i] != b->labels[s][m][i];
      if (!is_clustered(p, m)) continue;
      const mcl_stage_report *x = &a->reports[s][m], *y = &b->reports[s][m];
      ck_assert_int_eq(x->k_effective, y->k_effective);
      ck_assert_int_eq(x->rows_seen, y->rows_seen);
      ck_assert_int_eq(x->cells, y->cells);
      ck_assert_int_eq(x->next_cells, y->next_cells);
      ck_assert_int_eq(x->advice, y->advice);
      if (!isnan(y->loss_last)) ck_assert_double_eq_tol(x->loss_last, y->loss_last, 1e-4);
      if (!isnan(y->accuracy)) ck_assert_double_eq_tol(x->accuracy, y->accuracy, 0.01);
      if (!isnan(y->told)) ck_assert_double_eq_tol(x->told, y->told, 0.005);
      ck_assert_int_eq(isnan(x->told), isnan(y->told));
      ck_assert_double_eq_tol(x->cell_cosine, y->cell_cosine, 1e-4);
    }
  ck_assert_msg(worst < 1e-3, "embeddings differ by %g", worst);
  ck_assert_msg(other <= ROWS / 200, "%d labels differ", other);
}

static void run_rank(test_rank *r) {
  const plan *p = r->user;
  mcl_error err;
  loop j;
  outcome *mine = malloc(sizeof *mine);
  CHECK_OK(loop_open(&j, r, p, &err));
  CHECK_OK(loop_run(&j, &err));
  loop_take(&j, mine);
  if (r->rank == 0) memcpy(first, mine, sizeof *first);
  if (r->size > 1) pthread_barrier_wait(&found);
  check_same(mine, first);
  free(mine);
  loop_close(&j);
}

static void run_on(const plan *p, int32_t size, int by_sum, void (*fn)(test_rank *)) {
  test_ranks w = {.size = size, .by_sum = by_sum};
  pthread_barrier_init(&found, NULL, (unsigned)size);
  test_ranks_run(&w, fn, (void *)(uintptr_t)p);
  pthread_barrier_destroy(&found);
}

static void begin(const plan *p) {
  one = malloc(sizeof *one);
  first = malloc(sizeof *first);
  run_on(p, 1, 0, run_rank);
  memcpy(one, first, sizeof *one);
}

static void end(void) {
  free(one);
  free(first);
}

static void like_one_process(plan p) {
  begin(&p);
  for (int32_t size = 2; size <= 4; size++) {
    run_on(&p, size, size == 3, run_rank);
    check_near(first, one, &p);
  }
  end();
}

static const plan pair = {.encoder = PAIR, .modalities = 2, .clustered = 3};

START_TEST(a_pair_with_a_learnt_temperature_and_both_modalities_clustered) {
  plan p = pair;
  like_one_process(p);
  p.flags = MCL_ONE_WAY;
  p.clustered = 2;
  like_one_process(p);
}
END_TEST

START_TEST(rows_that_are_the_same) {
  plan p = pair;
  p.duplicates = true;
  like_one_process(p);
  p.flags = MCL_ONE_WAY;
  like_one_process(p);
  p = (plan){.encoder = HOST_SUMS, .duplicates = true};
  like_one_process(p);
}
END_TEST

START_TEST(chunks_of_uneven_parts) {
  plan p = pair;
  p.batch_rows = 101;
  p.chunk_rows = 7;
  p.duplicates = true;
  like_one_process(p);
}
END_TEST

START_TEST(stages_that_come_trained) {
  plan p = pair;
  p.trained_stages = 1;
  like_one_process(p);
  p = (plan){.encoder = HOST_SUMS, .trained_stages = STAGES};
  like_one_process(p);
}
END_TEST

START_TEST(stages_that_begin_with_the_weights_before) {
  plan p = pair;
  p.initial = MCL_INITIAL_PRECEDING;
  like_one_process(p);
  p = (plan){.encoder = HOST_STEPS, .initial = MCL_INITIAL_PRECEDING};
  like_one_process(p);
}
END_TEST

START_TEST(a_host_s_encoder_and_a_clusterer_of_its_own) {
  plan p = {.encoder = HOST_SUMS, .own_clusterer = true};
  like_one_process(p);
  p = (plan){.encoder = HOST_STEPS, .modalities = 2, .clustered = 3};
  like_one_process(p);
  p = (plan){.encoder = HOST_STEPS, .batch_rows = 4, .chunk_rows = 1};
  like_one_process(p);
}
END_TEST

RUN_TESTS("multistage over ranks, of every kind",
          a_pair_with_a_learnt_temperature_and_both_modalities_clustered, rows_that_are_the_same,
          chunks_of_uneven_parts, stages_that_come_trained,
          stages_that_begin_with_the_weights_before, a_host_s_encoder_and_a_clusterer_of_its_own)
