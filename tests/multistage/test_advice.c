#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/multistage.h>

#include "multistage/report.h"

enum { ROWS = 144, MAX = 8 };

static mcl_error err;

// ---- a loop whose clusters are the test's own ---------------------------------------------------

typedef int32_t (*label_fn)(int stage, int modality, int row);

typedef struct labelled {
  mcl_context *c;
  mcl_multistage *l;
  mcl_event e;
  mcl_batch b;
  int64_t indices[ROWS];
  label_fn label;
} labelled;

static void start(labelled *p, int32_t stages, int32_t modalities, label_fn label) {
  mcl_sampler_options s;
  mcl_multistage_options o;
  mcl_sampler_options_init(&s, sizeof s);
  mcl_multistage_options_init(&o, sizeof o);
  s.batch_rows = 64;
  o.stages = stages;
  o.epochs = 1;
  o.sampler = &s;
  o.modalities = modalities;
  o.cluster_modalities = modalities == 2 ? 3 : 1;
  o.loss_kind = modalities == 2 ? MCL_LOSS_INFO_NCE : MCL_LOSS_NT_XENT;
  memset(p, 0, sizeof *p);
  p->label = label;
  p->c = test_context(1);
  CHECK_OK(mcl_multistage_create(p->c, &o, ROWS, NULL, &p->l, &err));
  mcl_struct_init(&p->e, sizeof p->e);
  mcl_struct_init(&p->b, sizeof p->b);
  p->b.indices = p->indices;
  p->b.capacity = ROWS;
}

static void stop(labelled *p) {
  mcl_multistage_unref(p->l);
  mcl_context_unref(p->c);
}

static int32_t next(labelled *p) {
  CHECK_OK(mcl_multistage_next(p->l, NULL, &p->e, &p->b, &err));
  if (p->e.kind == MCL_EMBED_ROWS) {
    int32_t labels[ROWS];
    for (int i = 0; i < ROWS; i++) labels[i] = p->label(p->e.stage, p->e.modality, i);
    CHECK_OK(mcl_multistage_put_labels(p->l, p->e.modality, labels, ROWS, &err));
  }
  return p->e.kind;
}

static void finish(labelled *p) {
  while (next(p) != MCL_DONE) {}
}

static mcl_stage_report report_of(const mcl_multistage *l, int32_t stage, int32_t modality) {
  mcl_stage_report r;
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_multistage_get_report(l, stage, modality, &r, &err));
  return r;
}

// The advice after the last of some stages.
static int32_t advice_for(int32_t stages, label_fn label) {
  labelled p;
  start(&p, stages, 1, label);
  finish(&p);
  int32_t advice = report_of(p.l, stages - 1, 0).advice;
  stop(&p);
  return advice;
}

// A fixed random number of a row and a stage.
static uint32_t hash(int stage, int row) {
  uint32_t x = (uint32_t)row * 2654435761u + (uint32_t)stage * 40503u + 12345u;
  x = (x ^ x >> 15) * 2246822519u;
  return (x ^ x >> 13) >> 3;
}

static int32_t four(int stage, int modality, int row) {
  (void)stage, (void)modality;
  return row % 4;
}
static int32_t four_then_two(int stage, int modality, int row) {
  (void)modality;
  return stage ? row % 4 / 2 : row % 4;
}
static int32_t unrelated(int stage, int modality, int row) {
  (void)modality;
  return (int32_t)(hash(stage, row) % 3);
}
static int32_t one(int stage, int modality, int row) {
  (void)stage, (void)modality, (void)row;
  return 0;
}
static int32_t pieces_of_9(int stage, int modality, int row) {
  (void)stage, (void)modality;
  return row / 9;
}
static int32_t pieces_of_8(int stage, int modality, int row) {
  (void)stage, (void)modality;
  return row / 8;
}
static int32_t nobody(int stage, int modality, int row) {
  (void)stage, (void)modality, (void)row;
  return -1;
}

START_TEST(clusters_equal_to_the_previous_ones_are_nothing_new) {
  ck_assert_int_eq(advice_for(1, four), MCL_ADVICE_GO_ON);
  ck_assert_int_eq(advice_for(2, four), MCL_ADVICE_NOTHING_NEW);
}
END_TEST

START_TEST(clusters_that_the_cells_determine_are_nothing_new) {
  ck_assert_int_eq(advice_for(2, four_then_two), MCL_ADVICE_NOTHING_NEW);
}
END_TEST

START_TEST(a_single_cluster_is_nothing_new) {
  ck_assert_int_eq(advice_for(1, one), MCL_ADVICE_NOTHING_NEW);
}
END_TEST

START_TEST(unrelated_clusters_in_large_cells_are_a_reason_to_go_on) {
  ck_assert_int_eq(advice_for(1, unrelated), MCL_ADVICE_GO_ON);
  ck_assert_int_eq(advice_for(2, unrelated), MCL_ADVICE_GO_ON);
}
END_TEST

START_TEST(a_row_has_enough_negatives_from_eight_others_on) {
  ck_assert_int_eq(MCL_ENOUGH_NEGATIVES, 8);
  ck_assert_int_eq(advice_for(1, pieces_of_9), MCL_ADVICE_GO_ON);
  ck_assert_int_eq(advice_for(1, pieces_of_8), MCL_ADVICE_CELLS_TOO_SMALL);
  ck_assert_int_eq(advice_for(1, nobody), MCL_ADVICE_CELLS_TOO_SMALL);
}
END_TEST

// ---- the rule, number by number -----------------------------------------------------------------

// The share that b bits come to.
static double told_of(double b) {
  return 1 - pow(2, -b) / 2;
}

static int32_t rule_of_all(double enough, double news, int32_t k, double told_before, double told,
                           double told_next) {
  mcli_stage_result r = {0};
  int32_t label = 0;
  r.labels[0] = &label;
  r.report[0].next_enough_negatives = enough;
  r.report[0].entropy_given_previous = news;
  r.report[0].k_effective = k;
  r.report[0].told_before = told_before;
  r.report[0].told = told;
  r.report[0].told_next = told_next;
  mcli_advise(&r);
  return r.report[0].advice;
}

static int32_t rule(double enough, double news, int32_t k, double told_next) {
  return rule_of_all(enough, news, k, (double)NAN, .9, told_next);
}

START_TEST(the_advice_follows_the_rule_in_its_order) {
  double nan = (double)NAN;
  ck_assert_int_eq(rule(1, 1, 10, .9), MCL_ADVICE_GO_ON);
  ck_assert_int_eq(rule(.5, .1, 10, .9), MCL_ADVICE_GO_ON); // both thresholds belong to going on
  ck_assert_int_eq(rule(.49, 1, 10, .9), MCL_ADVICE_CELLS_TOO_SMALL);
  ck_assert_int_eq(rule(nan, 1, 10, .9), MCL_ADVICE_CELLS_TOO_SMALL);
  ck_assert_int_eq(rule(1, .09, 10, .9), MCL_ADVICE_NOTHING_NEW);
  ck_assert_int_eq(rule(1, nan, 1, .9), MCL_ADVICE_NOTHING_NEW);
  ck_assert_int_eq(rule(.49, .09, 10, 1), MCL_ADVICE_CELLS_TOO_SMALL);
  ck_assert_int_eq(rule(1, .09, 10, 1), MCL_ADVICE_NOTHING_NEW);
}
END_TEST

// bits(1 - 2^-b / 2) = b, and two stages of 8 clusters remove 6.
START_TEST(more_bits_than_two_stages_remove_ask_for_more_clusters) {
  ck_assert_int_eq(rule(1, 1, 8, told_of(6)), MCL_ADVICE_GO_ON);
  ck_assert_int_eq(rule(1, 1, 8, told_of(6.01)), MCL_ADVICE_RAISE_K);
  ck_assert_int_eq(rule(1, 1, 9, told_of(6.01)), MCL_ADVICE_GO_ON);
  ck_assert_int_eq(rule(1, 1, 8, 1), MCL_ADVICE_RAISE_K);
  ck_assert_int_eq(rule(1, 1, 8, .3), MCL_ADVICE_GO_ON);
  ck_assert_int_eq(rule(1, 1, 8, (double)NAN), MCL_ADVICE_GO_ON);
}
END_TEST

START_TEST(a_stage_that_tells_its_rows_hardly_better_than_those_before_found_nothing) {
  double before = told_of(1.5), nan = (double)NAN;
  ck_assert_int_eq(rule_of_all(1, 1, 8, before, told_of(1.3), .7), MCL_ADVICE_NOTHING_NEW);
  ck_assert_int_eq(rule_of_all(1, 1, 8, before, told_of(1.99), .7), MCL_ADVICE_NOTHING_NEW);
  ck_assert_int_eq(rule_of_all(1, 1, 8, before, told_of(2.01), .7), MCL_ADVICE_GO_ON);
  ck_assert_int_eq(rule_of_all(1, 1, 8, before, nan, .7), MCL_ADVICE_GO_ON);
  ck_assert_int_eq(rule_of_all(1, 1, 8, nan, told_of(1), .7), MCL_ADVICE_GO_ON);
  // 3 bits are what 8 clusters take away: more of them are learnt again first.
  ck_assert_int_eq(rule_of_all(1, 1, 8, told_of(2.99), .7, .7), MCL_ADVICE_NOTHING_NEW);
  ck_assert_int_eq(rule_of_all(1, 1, 8, told_of(3.01), .7, .7), MCL_ADVICE_GO_ON);
}
END_TEST

START_TEST(every_advice_has_a_sentence) {
  for (int32_t a = MCL_ADVICE_GO_ON; a <= MCL_ADVICE_CELLS_TOO_SMALL; a++)
    for (int32_t b = 0; b < a; b++) ck_assert_str_ne(mcl_advice_text(a), mcl_advice_text(b));
  ck_assert_str_eq(mcl_advice_text(99), mcl_advice_text(0));
  ck_assert_int_eq(strncmp(mcl_advice_text(MCL_ADVICE_GO_ON), "Go on", 5), 0);
  ck_assert_int_eq(strncmp(mcl_advice_text(MCL_ADVICE_RAISE_K), "Raise K", 7), 0);
  ck_assert_int_eq(strncmp(mcl_advice_text(MCL_ADVICE_NOTHING_NEW), "Stop", 4), 0);
  ck_assert_int_eq(strncmp(mcl_advice_text(MCL_ADVICE_CELLS_TOO_SMALL), "Stop", 4), 0);
}
END_TEST

// Modality 0 repeats itself, modality 1 does not: one piece of news is enough, for both.
static int32_t second_is_news(int stage, int modality, int row) {
  return modality ? (int32_t)(hash(stage, row) & 1) : row % 2;
}

START_TEST(the_modality_with_the_most_news_advises_both) {
  labelled p;
  start(&p, 2, 2, second_is_news);
  finish(&p);
  ck_assert(report_of(p.l, 1, 0).entropy_given_previous == 0);
  for (int32_t m = 0; m < 2; m++) ck_assert_int_eq(report_of(p.l, 1, m).advice, MCL_ADVICE_GO_ON);
  stop(&p);
}
END_TEST

static int32_t own_bit(int stage, int modality, int row) {
  return row >> (2 * stage + modality) & 1;
}

// Two stages, two modalities: 16 cells of 9 rows. A loop that goes back or is resumed makes its cells anew, from the labels
// that it kept.
START_TEST(cells_made_anew_are_of_every_stage_and_every_modality) {
  labelled p;
  int64_t cell[ROWS];
  start(&p, 3, 2, own_bit);
  while (p.e.stage < 2 || p.e.kind != MCL_BEGIN_STAGE) next(&p);
  for (int again = 0; again < 2; again++) {
    mcl_sampler *s;
    CHECK_OK(mcl_multistage_sampler(p.l, &s, &err));
    CHECK_OK(mcl_sampler_cells(s, cell, ROWS, &err));
    mcl_sampler_unref(s);
    for (int i = 0; i < ROWS; i++)
      for (int j = 0; j < i; j++) ck_assert_int_eq(cell[i] == cell[j], i % 16 == j % 16);
    CHECK_OK(mcl_multistage_seek(p.l, 2, 0, 0, &err));
  }
  stop(&p);
}
END_TEST

// ---- sizes of cells -----------------------------------------------------------------------------

// Uneven cells, and a row in eleven left out.
static int32_t uneven(int stage, int modality, int row) {
  (void)modality;
  if (row % 11 == 0) return -1;
  uint32_t x = hash(stage, row) % 100;
  return x < 60 ? 0 : x < 85 ? 1 : x < 95 ? 2 : 3;
}

// By its definition: walks over all sizes and counts rows.
static void check_sizes(const mcl_multistage *l, int64_t low, int64_t high, double enough) {
  int64_t cell[ROWS];
  int size[ROWS] = {0}, rows = 0, with_enough = 0;
  mcl_sampler *s;
  CHECK_OK(mcl_multistage_sampler(l, &s, &err));
  CHECK_OK(mcl_sampler_cells(s, cell, ROWS, &err));
  mcl_sampler_unref(s);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < ROWS; j++) size[i] += cell[i] >= 0 && cell[i] == cell[j];
  for (int i = 0; i < ROWS; i++) rows += size[i] > 0, with_enough += size[i] > 8;
  int want_low = ROWS, want_high = 0;
  for (int i = 0; i < ROWS; i++) {
    int at_most = 0, at_least = 0;
    if (!size[i]) continue;
    for (int j = 0; j < ROWS; j++)
      at_most += size[j] && size[j] <= size[i], at_least += size[j] >= size[i];
    if (10 * at_most >= rows && size[i] < want_low) want_low = size[i];
    if (10 * at_least >= rows && size[i] > want_high) want_high = size[i];
  }
  ck_assert_int_eq(low, want_low);
  ck_assert_int_eq(high, want_high);
  ck_assert_double_eq_tol(enough, (double)with_enough / rows, 1e-15);
}

START_TEST(sizes_of_the_cells_before_and_after_a_stage_are_those_counted) {
  labelled p;
  start(&p, 3, 1, uneven);
  for (int32_t stage = 0; stage < 3; stage++) {
    do next(&p);
    while (p.e.kind != MCL_END_STAGE);
    mcl_stage_report r = report_of(p.l, stage, 0);
    mcl_sampler_report s;
    mcl_sampler *sampler;
    mcl_struct_init(&s, sizeof s);
    CHECK_OK(mcl_multistage_sampler(p.l, &sampler, &err));
    CHECK_OK(mcl_sampler_get_report(sampler, &s, &err));
    mcl_sampler_unref(sampler);
    check_sizes(p.l, r.next_low_cell, r.next_high_cell, r.next_enough_negatives);
    ck_assert_int_eq(r.next_cells, s.cells);
    ck_assert_int_eq(r.next_smallest_cell, s.smallest_cell);
    ck_assert_int_eq(r.next_median_cell, s.median_cell);
    ck_assert_int_eq(r.next_largest_cell, s.largest_cell);
    ck_assert_int_eq(r.next_backed_off, s.backed_off);
    if (stage == 0) continue;
    mcl_stage_report before = report_of(p.l, stage - 1, 0);
    ck_assert_int_eq(r.low_cell, before.next_low_cell);
    ck_assert_int_eq(r.high_cell, before.next_high_cell);
    ck_assert_int_eq(r.cells, before.next_cells);
    ck_assert(r.enough_negatives == before.next_enough_negatives);
  }
  mcl_stage_report first = report_of(p.l, 0, 0);
  ck_assert_int_eq(first.low_cell, ROWS);
  ck_assert_int_eq(first.high_cell, ROWS);
  ck_assert(first.enough_negatives == 1);
  stop(&p);
}
END_TEST

// Of 140 rows the smallest cell has 14, or the largest has.
static int32_t smallest_is_a_tenth(int stage, int modality, int row) {
  (void)stage, (void)modality;
  return row >= 140 ? -1 : row < 14 ? 0 : row < 70 ? 1 : 2;
}
static int32_t largest_is_a_tenth(int stage, int modality, int row) {
  (void)stage, (void)modality;
  return row >= 140 ? -1 : row < 14 ? 0 : row < 23 ? 1 : 2 + (row - 23) / 13;
}

START_TEST(a_cell_of_exactly_a_tenth_is_a_tenth) {
  const label_fn label[2] = {smallest_is_a_tenth, largest_is_a_tenth};
  for (int i = 0; i < 2; i++) {
    labelled p;
    start(&p, 1, 1, label[i]);
    finish(&p);
    mcl_stage_report r = report_of(p.l, 0, 0);
    ck_assert_int_eq(r.next_low_cell, i == 0 ? 14 : 13);
    ck_assert_int_eq(r.next_high_cell, i == 0 ? 70 : 14);
    stop(&p);
  }
}
END_TEST

START_TEST(what_needs_two_views_is_nan_in_pull_mode) {
  labelled p;
  start(&p, 2, 1, unrelated);
  finish(&p);
  mcl_stage_report r = report_of(p.l, 1, 0);
  ck_assert(isnan(r.told) && isnan(r.told_before) && isnan(r.told_next));
  ck_assert(isfinite(r.enough_negatives) && isfinite(r.next_enough_negatives));
  ck_assert_int_eq(r.reserved, 0);
  stop(&p);
}
END_TEST

// ---- until advised to stop ----------------------------------------------------------------------

START_TEST(a_loop_left_open_ends_where_the_advice_is_to_stop) {
  labelled p;
  start(&p, 0, 1, unrelated);
  finish(&p);
  int32_t stages = p.e.stage;
  ck_assert_int_gt(stages, 1);
  for (int32_t s = 0; s + 1 < stages; s++)
    ck_assert_int_eq(report_of(p.l, s, 0).advice, MCL_ADVICE_GO_ON);
  ck_assert_int_eq(report_of(p.l, stages - 1, 0).advice, MCL_ADVICE_CELLS_TOO_SMALL);
  // It stays so, unless the host goes there.
  ck_assert_int_eq(next(&p), MCL_DONE);
  CHECK_OK(mcl_multistage_seek(p.l, stages, 0, 0, &err));
  ck_assert_int_eq(next(&p), MCL_BEGIN_STAGE);
  ck_assert_int_eq(p.e.stage, stages);
  CHECK_FAILS(MCL_E_LIMIT, "there are 64", mcl_multistage_seek(p.l, 64, 0, 0, &err));
  stop(&p);
}
END_TEST

START_TEST(a_loop_left_open_is_saved_and_resumed_at_its_end_too) {
  const char *directory = test_directory("open");
  labelled p, q;
  start(&p, 0, 1, unrelated);
  finish(&p);
  CHECK_OK(mcl_multistage_save(p.l, directory, &err));
  start(&q, 0, 1, unrelated);
  CHECK_OK(mcl_multistage_resume(q.l, directory, &err));
  ck_assert_int_eq(next(&q), MCL_DONE);
  ck_assert_int_eq(q.e.stage, p.e.stage);
  for (int32_t s = 0; s < p.e.stage; s++) {
    mcl_stage_report a = report_of(p.l, s, 0), b = report_of(q.l, s, 0);
    ck_assert_mem_eq(&a, &b, sizeof a);
  }
  stop(&q);
  start(&q, p.e.stage + 1, 1, unrelated); // made longer
  CHECK_OK(mcl_multistage_resume(q.l, directory, &err));
  ck_assert_int_eq(next(&q), MCL_BEGIN_STAGE);
  stop(&q);
  start(&q, p.e.stage - 1, 1, unrelated);
  CHECK_FAILS(MCL_E_MISMATCH, "finished stages", mcl_multistage_resume(q.l, directory, &err));
  stop(&q);
  stop(&p);
}
END_TEST

// Past the advice and in the midst of a stage: the place counts, not the advice.
START_TEST(a_stage_begun_in_spite_of_the_advice_is_resumed) {
  const char *directory = test_directory("spite");
  labelled p, q;
  start(&p, 0, 1, four);
  finish(&p);
  ck_assert_int_eq(p.e.stage, 2);
  CHECK_OK(mcl_multistage_seek(p.l, 2, 0, 0, &err));
  ck_assert_int_eq(next(&p), MCL_BEGIN_STAGE);
  ck_assert_int_eq(next(&p), MCL_TRAIN_BATCH);
  CHECK_OK(mcl_multistage_save(p.l, directory, &err));
  start(&q, 0, 1, four);
  CHECK_OK(mcl_multistage_resume(q.l, directory, &err));
  ck_assert_int_eq(next(&q), MCL_RESUME_STAGE);
  stop(&q);
  stop(&p);
}
END_TEST

// ---- the same, trained by libmcl ----------------------------------------------------------------

typedef struct job {
  mcl_context *c;
  mcl_dataset *d;
  mcl_augmenter *a;
  mcl_multistage *l;
  int stop_after, told;
} job;

enum { SIDE = 5 };

static mcl_status make_mlp(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = mcl_multistage_seed(9, stage);
  o.inputs = SIDE * SIDE;
  o.hidden = 12;
  o.layers = 1;
  o.dim = o.projection_dim = 8;
  return mcl_encoder_create_mlp(((job *)user)->c, &o, out, e);
}

static int32_t watch(void *user, const mcl_progress *p) {
  job *j = user;
  (void)p;
  return j->stop_after && ++j->told >= j->stop_after;
}

static void job_start(job *j, const char *directory, int32_t stages) {
  static uint8_t pixels[ROWS * SIDE * SIDE];
  for (int i = 0; i < ROWS * SIDE * SIDE; i++) pixels[i] = (uint8_t)(hash(3, i) & 255);
  memset(j, 0, sizeof *j);
  j->c = test_context(1);
  mcl_array x = mcl_images_u8(pixels, ROWS, SIDE, SIDE, 1);
  CHECK_OK(mcl_dataset_create_array(j->c, &x, NULL, &j->d, &err));
  mcl_augmenter_options a;
  mcl_augmenter_options_init(&a, sizeof a);
  CHECK_OK(mcl_augmenter_create(j->c, &a, &j->a, &err));
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage_options o;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_multistage_options_init(&o, sizeof o);
  k.k = 2;
  s.batch_rows = 32;
  o.stages = stages;
  o.epochs = 2;
  o.kmeans = &k;
  o.sampler = &s;
  o.save_directory = directory;
  CHECK_OK(mcl_multistage_create(j->c, &o, ROWS, NULL, &j->l, &err));
}

static mcl_status job_run(job *j) {
  mcl_encoder_factory f;
  mcl_monitor m;
  mcl_struct_init(&f, sizeof f);
  mcl_struct_init(&m, sizeof m);
  f.user = m.user = j;
  f.make = make_mlp;
  m.progress = watch;
  return mcl_multistage_run(j->l, j->d, j->a, &f, &m, &err);
}

static void job_stop(job *j) {
  mcl_multistage_unref(j->l);
  mcl_augmenter_unref(j->a);
  mcl_dataset_unref(j->d);
  mcl_context_unref(j->c);
}

// Reports, advice and labels of all stages.
typedef struct outcome {
  int32_t stages, labels[MAX][ROWS];
  mcl_stage_report report[MAX];
} outcome;

static void take(const job *j, outcome *o) {
  mcl_integrator *g;
  memset(o, 0, sizeof *o);
  CHECK_OK(mcl_multistage_integrator(j->l, &g, &err));
  o->stages = mcl_integrator_stages(g);
  mcl_integrator_unref(g);
  ck_assert_int_le(o->stages, MAX);
  for (int32_t s = 0; s < o->stages; s++) {
    o->report[s] = report_of(j->l, s, 0);
    CHECK_OK(mcl_multistage_labels(j->l, s, 0, o->labels[s], ROWS, &err));
  }
}

START_TEST(a_run_left_open_that_was_stopped_anywhere_ends_like_one_that_was_not) {
  static outcome whole, resumed;
  const char *directory = test_directory("anywhere");
  job j;
  job_start(&j, NULL, 0);
  CHECK_OK(job_run(&j));
  take(&j, &whole);
  job_stop(&j);
  ck_assert_int_gt(whole.stages, 1);
  ck_assert(mcli_advice_is_to_stop(whole.report[whole.stages - 1].advice));
  for (int32_t s = 0; s < whole.stages; s++) {
    ck_assert(whole.report[s].told > 0 && whole.report[s].told_next > 0);
    ck_assert(s == whole.stages - 1 || !mcli_advice_is_to_stop(whole.report[s].advice));
  }
  for (int at = 1; at <= 12; at++) {
    job_start(&j, directory, 0);
    j.stop_after = at;
    mcl_status s = job_run(&j);
    ck_assert(s == MCL_OK || s == MCL_E_CANCELLED);
    job_stop(&j);
    job_start(&j, directory, 0);
    CHECK_OK(mcl_multistage_resume(j.l, directory, &err));
    CHECK_OK(job_run(&j));
    take(&j, &resumed);
    ck_assert_mem_eq(&whole, &resumed, sizeof whole);
    job_stop(&j);
  }
}
END_TEST

START_TEST(a_run_of_one_stage_can_be_left_open_later) {
  static outcome whole, resumed;
  const char *directory = test_directory("later");
  job j;
  job_start(&j, NULL, 0);
  CHECK_OK(job_run(&j));
  take(&j, &whole);
  job_stop(&j);
  job_start(&j, directory, 1);
  CHECK_OK(job_run(&j));
  job_stop(&j);
  job_start(&j, directory, 0);
  CHECK_OK(mcl_multistage_resume(j.l, directory, &err));
  CHECK_OK(job_run(&j));
  take(&j, &resumed);
  ck_assert_mem_eq(&whole, &resumed, sizeof whole);
  job_stop(&j);
}
END_TEST

RUN_TESTS("multistage", clusters_equal_to_the_previous_ones_are_nothing_new,
          clusters_that_the_cells_determine_are_nothing_new, a_single_cluster_is_nothing_new,
          unrelated_clusters_in_large_cells_are_a_reason_to_go_on,
          a_row_has_enough_negatives_from_eight_others_on, the_advice_follows_the_rule_in_its_order,
          more_bits_than_two_stages_remove_ask_for_more_clusters,
          a_stage_that_tells_its_rows_hardly_better_than_those_before_found_nothing,
          every_advice_has_a_sentence, the_modality_with_the_most_news_advises_both,
          cells_made_anew_are_of_every_stage_and_every_modality,
          sizes_of_the_cells_before_and_after_a_stage_are_those_counted,
          a_cell_of_exactly_a_tenth_is_a_tenth, what_needs_two_views_is_nan_in_pull_mode,
          a_loop_left_open_ends_where_the_advice_is_to_stop,
          a_loop_left_open_is_saved_and_resumed_at_its_end_too,
          a_stage_begun_in_spite_of_the_advice_is_resumed,
          a_run_left_open_that_was_stopped_anywhere_ends_like_one_that_was_not,
          a_run_of_one_stage_can_be_left_open_later)
