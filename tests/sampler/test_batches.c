#include "sampler/sampler.h"
#include "sampler/twin.h"

// All ranks of one plan.
typedef struct team {
  int32_t world;
  mcl_sampler *rank[5];
} team;

static void team_make(team *m, mcl_context *c, const mcl_sampler_options *o, const twin *t,
                      int32_t world) {
  mcl_error err;
  m->world = world;
  for (int32_t k = 0; k < world; k++) {
    CHECK_OK(mcl_sampler_create(c, o, t->rows, k, world, &m->rank[k], &err));
    twin_add(t, m->rank[k]);
  }
}

static void team_free(team *m) {
  for (int32_t k = 0; k < m->world; k++) mcl_sampler_unref(m->rank[k]);
}

typedef struct buffer {
  mcl_batch b;
  int64_t indices[2 * TWIN_ROWS], cells[2 * TWIN_ROWS];
} buffer;

// The batch of one rank, in a buffer of exactly the capacity.
static const mcl_batch *get(const mcl_sampler *s, int32_t epoch, int64_t step, buffer *x) {
  mcl_error err;
  mcl_struct_init(&x->b, sizeof x->b);
  x->b.indices = x->indices, x->b.cells = x->cells;
  x->b.capacity = mcl_sampler_batch_capacity(s);
  ck_assert_int_le(x->b.capacity, 2 * TWIN_ROWS);
  CHECK_OK(mcl_sampler_batch(s, epoch, step, &x->b, &err));
  ck_assert_int_le(x->b.n, x->b.capacity);
  ck_assert_int_eq(x->b.step, step);
  ck_assert_int_eq(x->b.epoch, epoch);
  ck_assert_int_eq(x->b.steps, mcl_sampler_steps(s));
  return &x->b;
}

static mcl_sampler_options random_options(mcli_rng *r, int32_t world) {
  mcl_sampler_options o = options_of(0, 1 + (int32_t)mcli_rng_below(r, 3));
  o.seed = mcli_rng_u64(r);
  o.batching = 1 + (int32_t)mcli_rng_below(r, 2);
  o.order = o.batching == MCL_BATCH_PACKED ? 1 : 1 + (int32_t)mcli_rng_below(r, 3);
  o.batch_rows = 2 * world + (int64_t)mcli_rng_below(r, mcli_rng_unit(r) < .5 ? 8 : 100);
  o.min_cell_rows = 1 + (int64_t)mcli_rng_below(r, 10);
  return o;
}

// Counts how often an epoch shows each row, over all ranks.
static void count_rows(const team *m, int32_t epoch, int64_t rows, int32_t *shown) {
  static buffer x;
  memset(shown, 0, (size_t)rows * sizeof *shown);
  for (int32_t k = 0; k < m->world; k++)
    for (int64_t step = 0; step < mcl_sampler_steps(m->rank[k]); step++) {
      const mcl_batch *b = get(m->rank[k], epoch, step, &x);
      for (int64_t i = 0; i < b->n; i++) {
        if (b->indices[i] < 0 || b->indices[i] >= rows) ck_abort_msg("row out of range");
        shown[b->indices[i]]++;
      }
    }
}

START_TEST(every_row_is_used_once_dropped_or_excluded) {
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(1, MCLI_RNG_DATA, 0, 0);
  static twin t;
  static int32_t shown[TWIN_ROWS];
  for (int k = 0; k < 400; k++) {
    int32_t world = 1 + (int32_t)mcli_rng_below(&r, 5);
    mcl_sampler_options o = random_options(&r, world);
    twin_random(&t, &r, 1 + (int64_t)mcli_rng_below(&r, TWIN_ROWS), (int32_t)mcli_rng_below(&r, 4),
                1 + (int32_t)mcli_rng_below(&r, 8), k % 3 ? 0 : .1);
    team m;
    team_make(&m, c, &o, &t, world);
    mcl_sampler_report report = report_of(m.rank[0]);
    for (int32_t i = 1; i < world; i++)
      ck_assert_int_eq(mcl_sampler_steps(m.rank[i]), mcl_sampler_steps(m.rank[0]));
    ck_assert_int_eq(report.rows, t.rows);
    ck_assert_int_eq(report.used + report.dropped + report.excluded, t.rows);
    for (int32_t epoch = 0; epoch < 2; epoch++) {
      count_rows(&m, epoch, t.rows, shown);
      int64_t used = 0, again = 0, excluded = 0;
      for (int64_t i = 0; i < t.rows; i++) {
        used += shown[i] > 0;
        again += shown[i] > 0 ? shown[i] - 1 : 0;
        excluded += twin_excluded(&t, i);
        if (twin_excluded(&t, i)) ck_assert_int_eq(shown[i], 0);
      }
      ck_assert_int_eq(used, report.used);
      ck_assert_int_eq(again, report.repeated);
      ck_assert_int_eq(excluded, report.excluded);
      if (o.order != MCL_ORDER_UNIFORM) ck_assert_int_eq(again, 0);
      if (o.small_cells != MCL_SMALL_DROP) ck_assert_int_eq(report.dropped, 0);
    }
    team_free(&m);
  }
  mcl_context_unref(c);
}
END_TEST

// The rows of a step over all ranks, when they share one cell.
static int64_t whole_step(const team *m, int32_t epoch, int64_t step, int64_t *rows,
                          int64_t *cell) {
  static buffer x;
  int64_t n = 0, most = 0, least = INT64_MAX;
  *cell = -1;
  for (int32_t k = 0; k < m->world; k++) {
    const mcl_batch *b = get(m->rank[k], epoch, step, &x);
    for (int64_t i = 0; i < b->n; i++) {
      ck_assert(*cell < 0 || *cell == b->cells[i]);
      *cell = b->cells[i];
      rows[n++] = b->indices[i];
    }
    most = b->n > most ? b->n : most;
    least = b->n < least ? b->n : least;
  }
  ck_assert_int_le(most - least, 1);
  return n;
}

START_TEST(a_step_is_one_even_piece_of_one_cell) {
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(2, MCLI_RNG_DATA, 0, 0);
  static twin t;
  static int64_t rows[TWIN_ROWS], cell_of[TWIN_ROWS];
  mcl_error err;
  for (int k = 0; k < 100; k++) {
    int32_t world = 1 + (int32_t)mcli_rng_below(&r, 4);
    mcl_sampler_options o = random_options(&r, world);
    o.batching = MCL_BATCH_ONE_CELL;
    twin_random(&t, &r, 50 + (int64_t)mcli_rng_below(&r, TWIN_ROWS - 50),
                (int32_t)mcli_rng_below(&r, 4), 4, 0);
    team m;
    team_make(&m, c, &o, &t, world);
    int64_t pieces[TWIN_ROWS] = {0}, most[TWIN_ROWS] = {0}, least[TWIN_ROWS];
    for (int i = 0; i < TWIN_ROWS; i++) least[i] = INT64_MAX;
    CHECK_OK(mcl_sampler_cells(m.rank[0], cell_of, t.rows, &err));
    for (int64_t step = 0; step < mcl_sampler_steps(m.rank[0]); step++) {
      int64_t cell, n = whole_step(&m, 5, step, rows, &cell);
      ck_assert_int_ge(n, 1);
      ck_assert_int_le(n, o.batch_rows);
      for (int64_t i = 0; i < n; i++) ck_assert_int_eq(cell_of[rows[i]], cell);
      pieces[cell]++;
      most[cell] = n > most[cell] ? n : most[cell];
      least[cell] = n < least[cell] ? n : least[cell];
    }
    int64_t cells = report_of(m.rank[0]).cells, longest = 0;
    for (int64_t i = 0; i < cells; i++) longest = pieces[i] > longest ? pieces[i] : longest;
    for (int64_t i = 0; i < cells; i++) {
      int64_t n = twin_size(&t, cell_of, i);
      ck_assert_int_le(most[i] - least[i], 1);
      if (o.small_cells == MCL_SMALL_DROP) {
        ck_assert_int_eq(most[i], o.batch_rows);
        ck_assert_int_eq(least[i], o.batch_rows);
        if (o.order != MCL_ORDER_UNIFORM) ck_assert_int_eq(pieces[i], n / o.batch_rows);
      } else if (o.order != MCL_ORDER_UNIFORM) {
        ck_assert_int_eq(pieces[i], (n + o.batch_rows - 1) / o.batch_rows);
      }
      if (o.order == MCL_ORDER_UNIFORM) ck_assert_int_eq(pieces[i], longest);
    }
    team_free(&m);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_cell_of_257_rows_at_256_makes_129_and_128) {
  mcl_context *c = test_context(1);
  mcl_sampler_options o = options_of(256, MCL_SMALL_BACK_OFF);
  static twin t = {.rows = 257};
  team m;
  team_make(&m, c, &o, &t, 1);
  static buffer x;
  ck_assert_int_eq(mcl_sampler_steps(m.rank[0]), 2);
  int64_t a = get(m.rank[0], 0, 0, &x)->n, b = get(m.rank[0], 0, 1, &x)->n;
  ck_assert_int_eq(a + b, 257);
  ck_assert(a == 128 || a == 129);
  team_free(&m);
  mcl_context_unref(c);
}
END_TEST

START_TEST(rows_without_negatives_are_counted) {
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(3, MCLI_RNG_DATA, 0, 0);
  static twin t;
  static int64_t rows[TWIN_ROWS];
  for (int k = 0; k < 60; k++) {
    mcl_sampler_options o = options_of(2 + k % 4, 1 + k % 3);
    twin_random(&t, &r, 60, 2, 6, 0);
    team m;
    team_make(&m, c, &o, &t, 1);
    int64_t alone = 0, cell;
    for (int64_t step = 0; step < mcl_sampler_steps(m.rank[0]); step++)
      alone += whole_step(&m, 0, step, rows, &cell) == 1;
    ck_assert_int_eq(report_of(m.rank[0]).alone, alone);
    team_free(&m);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(dropping_keeps_full_batches_only) {
  mcl_context *c = test_context(1);
  mcl_sampler_options o = options_of(5, MCL_SMALL_DROP);
  static twin t = {.rows = 20, .vectors = 1, .stages = 1};
  for (int i = 0; i < 20; i++) t.labels[0][i] = i < 13 ? 0 : i < 17 ? 1 : 2; // 13, 4, 3
  team m;
  team_make(&m, c, &o, &t, 1);
  mcl_sampler_report r = report_of(m.rank[0]);
  ck_assert_int_eq(r.steps, 2);
  ck_assert_int_eq(r.used, 10);
  ck_assert_int_eq(r.dropped, 10); // 4 + 3, and 3 of the 13
  ck_assert_int_eq(r.cells, 1);
  mcl_error err;
  int64_t cells[20];
  CHECK_OK(mcl_sampler_cells(m.rank[0], cells, 20, &err));
  for (int i = 0; i < 20; i++) ck_assert_int_eq(cells[i], i < 13 ? 0 : -1);
  int32_t ever[20] = {0}, shown[20]; // the rest differs from epoch to epoch
  for (int32_t epoch = 0; epoch < 30; epoch++) {
    count_rows(&m, epoch, 20, shown);
    for (int i = 0; i < 20; i++) ever[i] += shown[i];
  }
  for (int i = 0; i < 20; i++) ck_assert_int_eq(ever[i] > 0, i < 13);
  team_free(&m);
  o.min_cell_rows = 14; // larger than a batch: counts too
  team_make(&m, c, &o, &t, 1);
  ck_assert_int_eq(report_of(m.rank[0]).dropped, 20);
  ck_assert_int_eq(mcl_sampler_steps(m.rank[0]), 0);
  team_free(&m);
  mcl_context_unref(c);
}
END_TEST

START_TEST(fewer_rows_than_a_batch_are_dropped_before_labels_too) {
  mcl_context *c = test_context(1);
  mcl_sampler_options o = options_of(5, MCL_SMALL_DROP);
  static twin t = {.rows = 4};
  team m;
  team_make(&m, c, &o, &t, 1);
  ck_assert_int_eq(report_of(m.rank[0]).dropped, 4);
  ck_assert_int_eq(mcl_sampler_steps(m.rank[0]), 0);
  t.vectors = t.stages = 1;
  twin_add(&t, m.rank[0]);
  ck_assert_int_eq(report_of(m.rank[0]).dropped, 4);
  team_free(&m);
  mcl_context_unref(c);
}
END_TEST

// ---- orders -------------------------------------------------------------------------------------

START_TEST(round_robin_takes_one_piece_of_each_cell_in_turn) {
  mcl_context *c = test_context(1);
  mcl_sampler_options o = options_of(4, MCL_SMALL_KEEP);
  o.order = MCL_ORDER_ROUND_ROBIN;
  static twin t = {.rows = 60, .vectors = 1, .stages = 1};
  static int64_t rows[TWIN_ROWS];
  for (int i = 0; i < 60; i++) t.labels[0][i] = i < 30 ? 0 : i < 50 ? 1 : i < 52 ? 2 : 3;
  team m; // pieces: 8, 5, 1, 2
  team_make(&m, c, &o, &t, 1);
  static const int64_t pieces[4] = {8, 5, 1, 2};
  int differ = 0;
  for (int32_t epoch = 0; epoch < 12; epoch++) {
    int64_t step = 0, first[2][4];
    for (int64_t round = 0; round < 8; round++) {
      int seen[4] = {0}, in_round = 0;
      for (int i = 0; i < 4; i++) in_round += pieces[i] > round;
      for (int i = 0; i < in_round; i++) {
        int64_t cell;
        whole_step(&m, epoch, step++, rows, &cell);
        ck_assert_int_gt(pieces[cell], round);
        ck_assert_int_eq(seen[cell]++, 0);
        if (round < 2 && i < 2) first[round][i] = cell;
      }
    }
    ck_assert_int_eq(step, mcl_sampler_steps(m.rank[0]));
    differ += first[0][0] != first[1][0] || first[0][1] != first[1][1];
  }
  ck_assert_int_gt(differ, 0); // rounds have orders of their own
  team_free(&m);
  mcl_context_unref(c);
}
END_TEST

// Cells of 30 and 7 rows at batch 4: 8 steps each; the small one's 2 pieces come four times, cut
// anew each time.
START_TEST(uniform_order_shows_every_cell_equally_often) {
  mcl_context *c = test_context(1);
  mcl_sampler_options o = options_of(4, MCL_SMALL_KEEP);
  o.order = MCL_ORDER_UNIFORM;
  static twin t = {.rows = 37, .vectors = 1, .stages = 1};
  static int64_t rows[TWIN_ROWS];
  for (int i = 0; i < 37; i++) t.labels[0][i] = i >= 30;
  team m;
  team_make(&m, c, &o, &t, 1);
  ck_assert_int_eq(mcl_sampler_steps(m.rank[0]), 16);
  int64_t cuts = 0, steps[2] = {0, 0}, masks[8];
  for (int64_t step = 0; step < 16; step++) {
    int64_t cell, n = whole_step(&m, 0, step, rows, &cell), mask = 0;
    if (cell == 1) {
      for (int64_t i = 0; i < n; i++) mask |= INT64_C(1) << (rows[i] - 30);
      int known = 0;
      for (int64_t i = 0; i < cuts; i++) known |= masks[i] == mask;
      if (!known) masks[cuts++] = mask;
    }
    steps[cell]++;
  }
  ck_assert_int_eq(steps[0], 8);
  ck_assert_int_eq(steps[1], 8);
  ck_assert_int_gt(cuts, 2);
  ck_assert_int_eq(report_of(m.rank[0]).repeated, 3 * 7);
  int32_t shown[37];
  count_rows(&m, 0, 37, shown);
  for (int i = 0; i < 37; i++) ck_assert_int_eq(shown[i], i < 30 ? 1 : 4);
  team_free(&m);
  mcl_context_unref(c);
}
END_TEST

// ---- packed -------------------------------------------------------------------------------------

// First fit decreasing as it is usually told.
static int64_t first_fit(const int64_t *sizes, int64_t n, int64_t capacity) {
  int64_t room[TWIN_ROWS], sorted[TWIN_ROWS], bins = 0;
  memcpy(sorted, sizes, (size_t)n * sizeof *sizes);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i + 1; j < n; j++)
      if (sorted[j] > sorted[i]) {
        int64_t x = sorted[i];
        sorted[i] = sorted[j], sorted[j] = x;
      }
  for (int64_t i = 0; i < n; i++) {
    int64_t b = 0;
    while (b < bins && room[b] < sorted[i]) b++;
    if (b == bins) room[bins++] = capacity;
    room[b] -= sorted[i];
  }
  return bins;
}

START_TEST(packed_batches_hold_whole_pieces) {
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(4, MCLI_RNG_DATA, 0, 0);
  static twin t;
  static buffer x;
  static int64_t cell_of[TWIN_ROWS];
  mcl_error err;
  for (int k = 0; k < 150; k++) {
    int32_t world = 1 + (int32_t)mcli_rng_below(&r, 4);
    mcl_sampler_options o = random_options(&r, world);
    o.batching = MCL_BATCH_PACKED, o.order = MCL_ORDER_PROPORTIONAL;
    twin_random(&t, &r, 1 + (int64_t)mcli_rng_below(&r, TWIN_ROWS), (int32_t)mcli_rng_below(&r, 4),
                6, 0);
    team m;
    team_make(&m, c, &o, &t, world);
    CHECK_OK(mcl_sampler_cells(m.rank[0], cell_of, t.rows, &err));
    int64_t most = o.batch_rows / world, sizes[TWIN_ROWS], pieces = 0, bins = 0, empty = 0;
    for (int64_t step = 0; step < mcl_sampler_steps(m.rank[0]); step++)
      for (int32_t rank = 0; rank < world; rank++) {
        const mcl_batch *b = get(m.rank[rank], 1, step, &x);
        ck_assert_int_le(b->n, most);
        bins += b->n > 0;
        empty += b->n == 0;
        char seen[TWIN_ROWS] = {0};
        for (int64_t i = 0, j; i < b->n; i = j) {
          for (j = i; j < b->n && b->cells[j] == b->cells[i]; j++)
            ck_assert_int_eq(cell_of[b->indices[j]], b->cells[j]);
          ck_assert(!seen[b->cells[i]]); // pieces of one cell never meet
          seen[b->cells[i]] = 1;
          int64_t n = twin_size(&t, cell_of, b->cells[i]), cut = (n + most - 1) / most;
          if (o.small_cells == MCL_SMALL_DROP)
            ck_assert_int_eq(j - i, most);
          else
            ck_assert(j - i == n / cut || j - i == n / cut + 1);
          sizes[pieces++] = j - i;
        }
      }
    ck_assert_int_eq(bins, first_fit(sizes, pieces, most));
    ck_assert_int_eq(mcl_sampler_steps(m.rank[0]), (bins + world - 1) / world);
    ck_assert_int_lt(empty, world); // the last step only
    team_free(&m);
  }
  mcl_context_unref(c);
}
END_TEST

// ---- what a batch depends on --------------------------------------------------------------------

static void random_team(team *m, mcl_context *c, twin *t, uint64_t seed, int32_t batching) {
  mcli_rng r = mcli_rng_make(9, MCLI_RNG_DATA, 0, 0);
  mcl_sampler_options o = options_of(16, MCL_SMALL_BACK_OFF);
  o.seed = seed;
  o.batching = batching;
  twin_random(t, &r, TWIN_ROWS, 2, 3, 0);
  team_make(m, c, &o, t, 1);
}

static int same_batch(const mcl_batch *a, const mcl_batch *b) {
  if (a->n != b->n) return 0;
  size_t bytes = (size_t)a->n * sizeof *a->indices;
  return !memcmp(a->indices, b->indices, bytes) && !memcmp(a->cells, b->cells, bytes);
}

START_TEST(steps_may_be_asked_for_in_any_order) {
  mcl_context *c = test_context(1);
  static twin t;
  static buffer x, first[3][TWIN_ROWS];
  for (int32_t batching = MCL_BATCH_ONE_CELL; batching <= MCL_BATCH_PACKED; batching++) {
    team m;
    random_team(&m, c, &t, 1, batching);
    int64_t steps = mcl_sampler_steps(m.rank[0]);
    for (int32_t epoch = 0; epoch < 3; epoch++)
      for (int64_t step = 0; step < steps; step++) get(m.rank[0], epoch, step, &first[epoch][step]);
    for (int64_t i = 0; i < 3 * steps; i++) {
      int64_t j = (i * 7 + 5) % (3 * steps), epoch = j / steps, step = j % steps;
      ck_assert(same_batch(get(m.rank[0], (int32_t)epoch, step, &x), &first[epoch][step].b));
    }
    team_free(&m);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(seed_and_epoch_change_the_pieces_and_their_order) {
  mcl_context *c = test_context(1);
  static twin t;
  static buffer x, y;
  team a, b;
  random_team(&a, c, &t, 1, MCL_BATCH_ONE_CELL);
  random_team(&b, c, &t, 2, MCL_BATCH_ONE_CELL);
  int64_t steps = mcl_sampler_steps(a.rank[0]), same = 0, cells = 0;
  for (int64_t step = 0; step < steps; step++) {
    const mcl_batch *plain = get(a.rank[0], 0, step, &x), *other = get(b.rank[0], 0, step, &y);
    same += same_batch(plain, other);
    cells += plain->cells[0] == other->cells[0];
    other = get(a.rank[0], 1, step, &y);
    same += same_batch(plain, other);
    cells += plain->cells[0] == other->cells[0];
  }
  ck_assert_int_eq(same, 0);
  ck_assert_int_lt(cells, steps); // of 2 * steps
  team_free(&a);
  team_free(&b);
  mcl_context_unref(c);
}
END_TEST

START_TEST(which_rows_meet_is_drawn_anew_each_epoch) {
  enum { ROWS = 64, EPOCHS = 2000 };
  mcl_context *c = test_context(1);
  mcl_sampler_options o = options_of(8, MCL_SMALL_KEEP);
  static twin t = {.rows = ROWS};
  static int64_t met[ROWS];
  static buffer x;
  team m;
  team_make(&m, c, &o, &t, 1);
  for (int32_t epoch = 0; epoch < EPOCHS; epoch++)
    for (int64_t step = 0; step < 8; step++) {
      const mcl_batch *b = get(m.rank[0], epoch, step, &x);
      int has = 0;
      for (int64_t i = 0; i < b->n; i++) has |= b->indices[i] == 5;
      for (int64_t i = 0; i < b->n && has; i++) met[b->indices[i]]++;
    }
  // Row 5 meets 7 of 63 others an epoch: 222 times each, standard deviation 14.
  for (int i = 0; i < ROWS; i++)
    if (i != 5) ck_assert_msg(met[i] > 222 - 70 && met[i] < 222 + 70, "%d", (int)met[i]);
  team_free(&m);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_batch_says_which_stage_it_trains) {
  mcl_context *c = test_context(1);
  static twin t = {.rows = 20};
  static buffer x;
  mcl_sampler_options o = options_of(8, MCL_SMALL_KEEP);
  team m;
  team_make(&m, c, &o, &t, 1);
  ck_assert_int_eq(get(m.rank[0], 0, 0, &x)->stage, 0);
  t.vectors = 3, t.stages = 2, t.stage[1] = 0, t.stage[2] = 1;
  twin_add(&t, m.rank[0]);
  ck_assert_int_eq(get(m.rank[0], 0, 0, &x)->stage, 2);
  team_free(&m);
  mcl_context_unref(c);
}
END_TEST

// Saved runs rely on these numbers: when they change, MCLI_SAMPLER_ALGORITHM must go up.
START_TEST(algorithm_1_gives_these_batches) {
  static const uint64_t wanted[6] = {UINT64_C(0xcffed4fe696b5999), UINT64_C(0xa0f1eac972b954aa),
                                     UINT64_C(0xc3d04e2555eb1fd6), UINT64_C(0x60ccf8b8c988b567),
                                     UINT64_C(0x245c127d7719f234), UINT64_C(0x79da2b0b78206db0)};
  mcl_context *c = test_context(1);
  static buffer x;
  for (int i = 0; i < 6; i++) {
    mcl_sampler_options o = options_of(i % 2 ? 9 : 20, 1 + i % 3);
    o.seed = UINT64_C(1234567890123);
    o.batching = i < 4 ? MCL_BATCH_ONE_CELL : MCL_BATCH_PACKED;
    o.order = i < 4 ? 1 + i % 3 : MCL_ORDER_PROPORTIONAL;
    static twin t = {.rows = 301, .vectors = 3, .stages = 2, .stage = {0, 0, 1}};
    for (int32_t row = 0; row < 301; row++) {
      t.labels[0][row] = row % 3;
      t.labels[1][row] = row * row / 7 % 2;
      t.labels[2][row] = row == 40 ? -1 : row % 11 * (row % 5) / 9;
    }
    team m;
    team_make(&m, c, &o, &t, 3);
    uint64_t hash = 0;
    for (int32_t rank = 0; rank < 3; rank++)
      for (int64_t step = 0; step < mcl_sampler_steps(m.rank[0]); step++) {
        const mcl_batch *b = get(m.rank[rank], 2, step, &x);
        hash = mcli_hash(b->indices, (uint64_t)b->n * 8, hash);
        hash = mcli_hash(b->cells, (uint64_t)b->n * 8, hash);
      }
    int64_t negatives[5], got;
    mcl_error err;
    for (int64_t anchor = 0; anchor < 60; anchor++) {
      CHECK_OK(mcl_sampler_negatives(m.rank[0], 2, anchor, negatives, 5, &got, &err));
      hash = mcli_hash(negatives, (uint64_t)got * 8, hash);
    }
    ck_assert_msg(hash == wanted[i], "case %d: 0x%016llx", i, (unsigned long long)hash);
    team_free(&m);
  }
  ck_assert_int_eq(MCLI_SAMPLER_ALGORITHM, 1);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("batches", every_row_is_used_once_dropped_or_excluded,
          a_step_is_one_even_piece_of_one_cell, a_cell_of_257_rows_at_256_makes_129_and_128,
          rows_without_negatives_are_counted, dropping_keeps_full_batches_only,
          fewer_rows_than_a_batch_are_dropped_before_labels_too,
          round_robin_takes_one_piece_of_each_cell_in_turn,
          uniform_order_shows_every_cell_equally_often, packed_batches_hold_whole_pieces,
          steps_may_be_asked_for_in_any_order, seed_and_epoch_change_the_pieces_and_their_order,
          which_rows_meet_is_drawn_anew_each_epoch, a_batch_says_which_stage_it_trains,
          algorithm_1_gives_these_batches)
