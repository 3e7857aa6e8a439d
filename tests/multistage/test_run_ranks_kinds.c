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

// ---- stopped in mid-epoch, and gone on with elsewhere -------------------------------------------------------

static void stop_within(test_rank *r) {
  const plan *p = r->user;
  mcl_error err;
  loop j;
  CHECK_OK(loop_open(&j, r, p, &err));
  j.what = p->encoder == PAIR
               ? LOAD
               : BACKWARD; // two each a step; of 9 steps an epoch, in the second epoch
  j.at = r->rank == r->size - 1 ? 2 * (9 + 5) + 1 : 0;
  ck_assert_int_eq(loop_run(&j, &err), MCL_E_IO);
  loop_close(&j);
}

static void go_on(test_rank *r) {
  const plan *p = r->user;
  mcl_error err;
  loop j;
  outcome *mine = malloc(sizeof *mine);
  CHECK_OK(loop_open(&j, r, p, &err));
  CHECK_OK(mcl_multistage_resume(j.l, p->save, &err));
  CHECK_OK(loop_run(&j, &err));
  loop_take(&j, mine);
  if (r->rank == 0) memcpy(first, mine, sizeof *first);
  if (r->size > 1) pthread_barrier_wait(&found);
  check_same(mine, first);
  free(mine);
  loop_close(&j);
}

static void stop_and_go_on(plan p) {
  static const int32_t sizes[][2] = {{1, 3}, {3, 1}, {2, 4}};
  p.epochs = 2;
  begin(&p);
  for (int i = 0; i < 3; i++) {
    p.save = test_directory("ranks_go_on");
    p.save_every = 2;
    run_on(&p, sizes[i][0], 0, stop_within);
    run_on(&p, sizes[i][1], 0, go_on);
    check_near(first, one, &p);
  }
  end();
}

START_TEST(a_run_stopped_in_mid_epoch_goes_on_over_another_number_of_ranks) {
  plan p = pair;
  p.duplicates = true;
  stop_and_go_on(p);
  p = (plan){.encoder = HOST_SUMS, .initial = MCL_INITIAL_PRECEDING};
  stop_and_go_on(p);
}
END_TEST

// Pulls until so many batches have been handed out, or to the end.
static void pull(loop *j, int64_t batches, int32_t first_event) {
  mcl_error err;
  mcl_event e;
  mcl_batch b;
  mcl_struct_init(&e, sizeof e);
  mcl_struct_init(&b, sizeof b);
  b.capacity = mcl_multistage_batch_capacity(j->l);
  b.indices = malloc((size_t)b.capacity * sizeof *b.indices);
  for (e.kind = 0; e.kind != MCL_DONE && batches > 0;) {
    CHECK_OK(mcl_multistage_next(j->l, NULL, &e, &b, &err));
    if (first_event) ck_assert_int_eq(e.kind, first_event);
    first_event = 0;
    batches -= e.kind == MCL_TRAIN_BATCH;
    if (e.kind == MCL_EMBED_ROWS) loop_put(j, &e, &b);
  }
  free(b.indices);
}

// Into the second stage; within it, and back into the first; to the end.
static void pull_and_seek(test_rank *r) {
  const plan *p = r->user;
  mcl_error err;
  loop j;
  outcome *mine = malloc(sizeof *mine);
  CHECK_OK(loop_open(&j, r, p, &err));
  pull(&j, 30, MCL_BEGIN_STAGE); // 27 in the first stage
  if (r->size > 1) CHECK_OK(mcl_multistage_seek(j.l, 1, 0, 7, &err));
  if (r->size > 1) pull(&j, 1, MCL_RESUME_STAGE);
  if (r->size > 1) CHECK_OK(mcl_multistage_seek(j.l, 0, 1, 2, &err));
  pull(&j, 30, r->size > 1 ? MCL_RESUME_STAGE : 0);
  if (r->rank == 0) CHECK_OK(mcl_multistage_save(j.l, p->save, &err));
  pull(&j, INT64_MAX, 0);
  loop_take_labels(&j, mine);
  if (r->size == 1) memcpy(one, mine, sizeof *one);
  check_same(mine, one);
  free(mine);
  loop_close(&j);
}

static void pull_the_rest(test_rank *r) {
  const plan *p = r->user;
  mcl_error err;
  loop j;
  outcome *mine = malloc(sizeof *mine);
  CHECK_OK(loop_open(&j, r, p, &err));
  CHECK_OK(mcl_multistage_resume(j.l, p->save, &err));
  pull(&j, INT64_MAX, MCL_RESUME_STAGE);
  loop_take_labels(&j, mine);
  check_same(mine, one);
  free(mine);
  loop_close(&j);
}

START_TEST(a_host_that_seeks_and_resumes_has_the_bits_of_one_process) {
  plan p = {.encoder = HOST_SUMS, .epochs = 3, .save = test_directory("ranks_pulled_on")};
  one = malloc(sizeof *one);
  for (int32_t size = 1; size <= 4; size++) {
    run_on(&p, size, 0, pull_and_seek);
    run_on(&p, 5 - size, 0, pull_the_rest);
  }
  free(one);
}
END_TEST

RUN_TESTS("multistage over ranks, of every kind",
          a_pair_with_a_learnt_temperature_and_both_modalities_clustered, rows_that_are_the_same,
          chunks_of_uneven_parts, stages_that_come_trained,
          stages_that_begin_with_the_weights_before, a_host_s_encoder_and_a_clusterer_of_its_own,
          a_run_stopped_in_mid_epoch_goes_on_over_another_number_of_ranks,
          a_host_that_seeks_and_resumes_has_the_bits_of_one_process)
