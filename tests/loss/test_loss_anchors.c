// Losses of a part of the rows as anchors, as a rank computes them among the candidates of all: what
// the parts add up to, and what rows get that meet no anchor.
#include "loss/twin.h"

// The kinds of loss: NT-Xent, InfoNCE both ways, InfoNCE one way, which has first_positive instead.
enum { NT_XENT, BOTH_WAYS, ONE_WAY };

static void set_part(problem *p, int kind, int64_t first, int64_t rows) {
  p->nt_xent = kind == NT_XENT;
  if (kind == ONE_WAY) {
    p->flags |= MCL_ONE_WAY;
    p->first = first, p->n = rows, p->za += first * p->dim;
  } else {
    p->flags |= MCL_SOME_ANCHORS;
    p->first_anchor = first, p->anchors = rows;
  }
}

START_TEST(the_twin_s_gradients_of_some_anchors_are_finite_differences) {
  int64_t cells[7] = {3, 1, 3, 3, 1, 3, 3}, duplicates[7] = {1, 2, 1, -1, 2, 3, -1};
  for (int kind = NT_XENT; kind <= BOTH_WAYS; kind++)
    for (int variant = 0; variant < 4; variant++) {
      problem p = make_problem(7, 7, 3, 1);
      p.flags = variant & 1 ? MCL_ROWS_AS_GIVEN : MCL_REDUCE_SUM;
      if (variant & 2) p.cells = cells, p.duplicates = duplicates;
      set_part(&p, kind, 2, 3);
      check_differences(&p);
      problem_free(&p);
    }
}
END_TEST

START_TEST(losses_and_gradients_of_some_anchors_are_the_twin_s_under_every_option) {
  mcl_context *c = test_context(2);
  static const int64_t sizes[][4] = {{1, 3, 0, 1},     {2, 2, 1, 1},  {7, 5, 2, 3},
                                     {33, 17, 0, 16},  {65, 2, 7, 1}, {129, 8, 100, 29},
                                     {300, 4, 41, 130}};
  int64_t cells[300], duplicates[300], others[300];
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (uint32_t variant = 0; variant < 32; variant++)
      for (int kind = NT_XENT; kind <= BOTH_WAYS; kind++) {
        int64_t n = sizes[k][0];
        problem p = make_problem(n, n, sizes[k][1], k + 1);
        for (int64_t i = 0; i < n; i++) {
          cells[i] = n > 200 ? i % 2 : i * 7 % 5 - 2 + (i == 1) * 100;
          duplicates[i] = i % 3 ? i % (n / 2 + 1) : -1 - i;
          others[i] = i % 7 ? i * 5 % 11 : -3;
        }
        if (variant & 1) p.flags |= MCL_REDUCE_SUM;
        if (variant & 2) p.cells = cells;
        if (variant & 4) p.duplicates = duplicates;
        if (variant & 16) p.others = others;
        if (variant & 8) p.flags |= MCL_ROWS_AS_GIVEN, p.tau = 2;
        set_part(&p, kind, sizes[k][2], sizes[k][3]);
        check_problem(c, &p);
        problem_free(&p);
      }
  mcl_context_unref(c);
}
END_TEST

// Where each anchor has its own shift, a candidate that is no anchor has none.
START_TEST(some_anchors_at_small_temperatures_lose_nothing) {
  mcl_context *c = test_context(1);
  static const double taus[] = {0.0251, 0.0249, 0.01, 0.0001};
  int64_t cells[300];
  for (int64_t i = 0; i < 300; i++) cells[i] = i % 7 == 3;
  for (int k = 0; k < 4; k++)
    for (int kind = NT_XENT; kind <= BOTH_WAYS; kind++) {
      problem p = make_problem(300, 300, 4, 3);
      p.tau = taus[k];
      p.cells = k % 2 ? cells : NULL;
      set_part(&p, kind, 170, 60);
      check_problem(c, &p);
      problem_free(&p);
    }
  mcl_context_unref(c);
}
END_TEST

// ---- parts and the whole ------------------------------------------------------------------------

static int64_t hits_of(const mcl_loss_result *r) {
  return llround(r->accuracy * (double)(r->anchors - r->anchors_without_negatives));
}

// Adds up what one rank computed. Its first row is `from`, where dza is of its own rows alone.
static void add_part(const problem *part, const solved *s, int64_t from, answer *sum) {
  sum->loss += s->r.loss, sum->slope += s->r.d_log_temperature;
  sum->hits += hits_of(&s->r), sum->alone += s->r.anchors_without_negatives;
  sum->anchors += s->r.anchors;
  for (int64_t i = 0; i < part->n * part->dim; i++)
    sum->dza[from * part->dim + i] += (double)s->dza[i];
  for (int64_t i = 0; i < part->m * part->dim; i++) sum->dzb[i] += (double)s->dzb[i];
}

static void check_sum(const problem *p, const solved *whole, const answer *sum) {
  ck_assert_msg(fabs(sum->loss - whole->r.loss) <= 1e-6 * fabs(whole->r.loss),
                "loss %.9g, not %.9g", sum->loss, whole->r.loss);
  ck_assert_msg(fabs(sum->slope - whole->r.d_log_temperature) <=
                    1e-6 * (fabs(whole->r.loss) + fabs(whole->r.d_log_temperature)),
                "slope %.9g, not %.9g", sum->slope, whole->r.d_log_temperature);
  ck_assert_int_eq(sum->hits, hits_of(&whole->r));
  ck_assert_int_eq(sum->anchors, whole->r.anchors);
  ck_assert_int_eq(sum->alone, whole->r.anchors_without_negatives);
  check_array(whole->dza, sum->dza, p->n * p->dim, 1e-6, "dza");
  check_array(whole->dzb, sum->dzb, p->m * p->dim, 1e-6, "dzb");
}

// Uneven parts of n rows, the second of them empty where there are three or more.
static int64_t end_of_part(int64_t n, int parts, int part) {
  if (part + 1 == parts) return n;
  if (parts > 2 && part == 1) part = 0;
  return n * (part + 1) * (part + 2) / (parts * (parts + 1));
}

static void check_parts(mcl_context *c, const problem *p, int kind, int parts) {
  problem all = *p;
  all.nt_xent = kind == NT_XENT;
  all.flags |= kind == ONE_WAY ? MCL_ONE_WAY : 0;
  solved whole = solve(c, &all);
  answer sum = {.dza = zeros(p->n * p->dim, sizeof(double)),
                .dzb = zeros(p->m * p->dim, sizeof(double))};
  for (int i = 0; i < parts; i++) {
    int64_t from = i ? end_of_part(p->n, parts, i - 1) : 0;
    problem part = *p;
    set_part(&part, kind, from, end_of_part(p->n, parts, i) - from);
    if (part.n == 0) continue; // one way: such a rank has nothing to call with
    solved s = solve(c, &part);
    add_part(&part, &s, kind == ONE_WAY ? from : 0, &sum);
    solved_free(&s);
  }
  check_sum(p, &whole, &sum);
  solved_free(&whole);
  free(sum.dza), free(sum.dzb);
}

START_TEST(ranks_add_up_to_one_process) {
  mcl_context *c = test_context(1);
  static const int64_t sizes[] = {9, 40, 170};
  static const int parts[] = {1, 2, 3, 4, 7};
  int64_t cells[170], duplicates[170], others[170];
  for (int64_t i = 0; i < 170; i++) {
    cells[i] = i * i % 170 < 60 ? 8 : i % 23;
    duplicates[i] = i % 5 ? i % 50 : -1;
    others[i] = i * i % 37 < 9 ? 4 : i / 3;
  }
  for (int size = 0; size < 3; size++)
    for (int k = 0; k < 5; k++)
      for (int kind = NT_XENT; kind <= ONE_WAY; kind++)
        for (int with = 0; with < 16; with++) {
          problem p = make_problem(sizes[size], sizes[size], 7, 5);
          p.flags = MCL_REDUCE_SUM | (with & 8 ? MCL_ROWS_AS_GIVEN : 0);
          if (with & 8) p.tau = 3;
          if (with & 1) p.cells = cells;
          if (with & 2) p.duplicates = duplicates;
          if (with & 4) p.others = others;
          check_parts(c, &p, kind, parts[k]);
          problem_free(&p);
        }
  mcl_context_unref(c);
}
END_TEST

// So many rows that blocks have both widths, and anchors end within one.
START_TEST(ranks_add_up_to_one_process_over_many_blocks) {
  mcl_context *c = test_context(2);
  int64_t cells[1500];
  for (int64_t i = 0; i < 1500; i++) cells[i] = i % 11 == 0;
  for (int kind = NT_XENT; kind <= ONE_WAY; kind++)
    for (int with = 0; with < 2; with++) {
      problem p = make_problem(1500, 1500, 5, 6);
      p.flags = MCL_REDUCE_SUM;
      p.cells = with ? cells : NULL;
      check_parts(c, &p, kind, 2);
      problem_free(&p);
    }
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_mean_is_over_this_call_s_anchors) {
  mcl_context *c = test_context(1);
  for (int kind = NT_XENT; kind <= BOTH_WAYS; kind++) {
    problem p = make_problem(40, 40, 4, 5);
    set_part(&p, kind, 11, 13);
    solved mean = solve(c, &p);
    p.flags |= MCL_REDUCE_SUM;
    solved sum = solve(c, &p);
    ck_assert_int_eq(sum.r.anchors, 26);
    ck_assert_double_eq_tol(mean.r.loss * 26, sum.r.loss, 1e-6 * sum.r.loss);
    for (int i = 0; i < 160; i++)
      ck_assert_double_eq_tol((double)mean.dza[i] * 26, (double)sum.dza[i], 1e-5);
    solved_free(&mean), solved_free(&sum);
    problem_free(&p);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(all_rows_as_anchors_give_the_bits_of_the_plain_call) {
  mcl_context *c = test_context(2);
  int64_t cells[200];
  for (int64_t i = 0; i < 200; i++) cells[i] = i % 3;
  for (int kind = NT_XENT; kind <= BOTH_WAYS; kind++)
    for (int with = 0; with < 2; with++) {
      problem p = make_problem(200, 200, 4, 5);
      p.nt_xent = kind == NT_XENT;
      if (with) p.cells = p.duplicates = cells;
      solved plain = solve(c, &p);
      set_part(&p, kind, 0, 200);
      solved all = solve(c, &p);
      ck_assert_mem_eq(&all.r, &plain.r, sizeof all.r);
      ck_assert_mem_eq(all.dza, plain.dza, 800 * sizeof(float));
      ck_assert_mem_eq(all.dzb, plain.dzb, 800 * sizeof(float));
      solved_free(&plain), solved_free(&all);
      problem_free(&p);
    }
  mcl_context_unref(c);
}
END_TEST

// ---- work ---------------------------------------------------------------------------------------

static uint32_t two(void *user) {
  (void)user;
  return 2;
}

static int32_t run_and_count(void *user, void *job, mcl_task_fn fn, uint32_t tasks) {
  *(int64_t *)user += tasks;
  for (uint32_t t = 0; t < tasks; t++) fn(job, t, 0);
  return 0;
}

// A tile is a task of each pass; a panel of 16 rows is one when it is loaded and when it is finished.
static int64_t tasks_of(const problem *p) {
  int64_t tasks = 0;
  mcl_runner r;
  mcl_struct_init(&r, sizeof r);
  r.user = &tasks, r.concurrency = two, r.run = run_and_count;
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.runner = &r;
  mcl_context *c;
  CHECK_OK(mcl_context_create(&o, &c, &err));
  solved s = solve(c, p);
  solved_free(&s);
  mcl_context_unref(c);
  return tasks;
}

START_TEST(tiles_without_an_anchor_are_not_computed) {
  enum { N = 4096 };
  int64_t *cells = zeros(N, sizeof *cells);
  for (int64_t i = 0; i < N; i++) cells[i] = i * 4 / N;
  for (int kind = NT_XENT; kind <= BOTH_WAYS; kind++)
    for (int with = 0; with < 2; with++) {
      problem p = make_problem(N, N, 2, 5);
      p.nt_xent = kind == NT_XENT;
      p.cells = with ? cells : NULL;
      int64_t whole = tasks_of(&p);
      set_part(&p, kind, 0, N / 4);
      // .44 of the tiles and all panels; with cells a quarter of both.
      double share = (double)tasks_of(&p) / (double)whole;
      ck_assert_msg(share < (with ? 0.27 : 0.65), "%g of the tasks, kind %d", share, kind);
      problem_free(&p);
    }
  free(cells);
}
END_TEST

// ---- nothing to do ------------------------------------------------------------------------------

START_TEST(no_anchors_have_a_loss_of_zero_and_gradients_of_zero) {
  mcl_context *c = test_context(1);
  for (int kind = NT_XENT; kind <= BOTH_WAYS; kind++)
    for (int64_t first = 0; first <= 20; first += 10)
      for (int sum = 0; sum < 2; sum++) {
        problem p = make_problem(20, 20, 3, 5);
        p.flags = sum ? MCL_REDUCE_SUM : 0;
        set_part(&p, kind, first, 0);
        float da[60], db[60];
        for (int i = 0; i < 60; i++) da[i] = db[i] = 42;
        mcl_loss_result r;
        CHECK_OK(call(c, &p, &r, da, db));
        ck_assert(r.loss == 0 && r.d_log_temperature == 0 && r.accuracy == 0);
        ck_assert(r.anchors == 0 && r.anchors_without_negatives == 0);
        for (int i = 0; i < 60; i++) ck_assert(da[i] == 0 && db[i] == 0);
        problem_free(&p);
      }
  mcl_context_unref(c);
}
END_TEST

// Rows 0 to 7 are the anchors; cell 7 has none of them, and row 30 is a duplicate of the only one in its cell.
START_TEST(rows_that_meet_no_anchor_have_gradients_of_exactly_zero) {
  mcl_context *c = test_context(1);
  int64_t cells[40], duplicates[40];
  for (int64_t i = 0; i < 40; i++) {
    cells[i] = i < 8 ? i % 2 : i % 3 ? 7 : i % 2;
    duplicates[i] = -1;
  }
  cells[5] = cells[30] = cells[31] = 9;
  duplicates[5] = duplicates[30] = 1;
  for (int kind = NT_XENT; kind <= BOTH_WAYS; kind++) {
    problem p = make_problem(40, 40, 3, 5);
    p.cells = cells, p.duplicates = duplicates;
    set_part(&p, kind, 0, 8);
    check_problem(c, &p);
    solved s = solve(c, &p);
    for (int64_t i = 0; i < 120; i++) {
      bool none = cells[i / 3] == 7 || i / 3 == 30;
      ck_assert((s.dza[i] == 0) == none && (s.dzb[i] == 0) == none);
    }
    solved_free(&s);
    problem_free(&p);
  }
  mcl_context_unref(c);
}
END_TEST

// A caller that was built before there were anchors to choose.
START_TEST(a_shorter_struct_of_inputs_has_all_rows_as_anchors) {
  mcl_context *c = test_context(1);
  problem p = make_problem(6, 6, 3, 5);
  float a[18], b[18];
  for (int i = 0; i < 18; i++) a[i] = (float)p.za[i], b[i] = (float)p.zb[i];
  mcl_array za = mcl_matrix_f32(a, 6, 3), zb = mcl_matrix_f32(b, 6, 3);
  mcl_loss_inputs in;
  mcl_loss_result r[2];
  for (int old = 0; old < 2; old++) {
    mcl_struct_init(&in, sizeof in);
    mcl_struct_init(&r[old], sizeof r[old]);
    in.za = &za, in.zb = &zb;
    if (old) in.struct_size = offsetof(mcl_loss_inputs, first_anchor), in.anchors = 3;
    CHECK_OK(mcl_loss_info_nce(c, NULL, &in, &r[old], &err));
  }
  ck_assert_mem_eq(&r[0], &r[1], sizeof r[0]);
  problem_free(&p);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("loss anchors", the_twin_s_gradients_of_some_anchors_are_finite_differences,
          losses_and_gradients_of_some_anchors_are_the_twin_s_under_every_option,
          some_anchors_at_small_temperatures_lose_nothing, ranks_add_up_to_one_process,
          ranks_add_up_to_one_process_over_many_blocks, the_mean_is_over_this_call_s_anchors,
          all_rows_as_anchors_give_the_bits_of_the_plain_call,
          tiles_without_an_anchor_are_not_computed,
          no_anchors_have_a_loss_of_zero_and_gradients_of_zero,
          rows_that_meet_no_anchor_have_gradients_of_exactly_zero,
          a_shorter_struct_of_inputs_has_all_rows_as_anchors)
