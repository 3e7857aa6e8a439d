#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/multistage.h>

enum { ROWS = 144, DIM = 12, MAX = 8 };

static mcl_error err;

static mcl_stage_report report_of(const mcl_multistage *l, int32_t stage, int32_t modality) {
  mcl_stage_report r;
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_multistage_get_report(l, stage, modality, &r, &err));
  return r;
}

// A host's encoder that looks at row and view only, and never learns. Of each stage it is another
// one.
typedef void (*embedding_fn)(int stage, int view, int64_t row, float *z);
typedef struct fixed {
  mcl_context *c;
  embedding_fn embedding;
  int calls;
} fixed;
typedef struct fixed_stage {
  fixed *all;
  int32_t stage;
} fixed_stage;
static fixed_stage fixed_stages[MAX];

static mcl_status fixed_embed(void *user, const mcl_inputs *in, const mcl_array *out,
                              mcl_error *e) {
  fixed_stage *f = user;
  f->all->calls++;
  ck_assert_int_eq(in->stage, f->stage);
  for (int64_t i = 0; i < in->n; i++)
    f->all->embedding(f->stage, in->view, in->indices[i], (float *)out->data + i * DIM);
  return mcl_ok(e);
}
static mcl_status fixed_backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                                 mcl_error *e) {
  (void)user, (void)in, (void)grad;
  return mcl_ok(e);
}
static mcl_status fixed_step(void *user, const mcl_step *step, mcl_error *e) {
  (void)user, (void)step;
  return mcl_ok(e);
}

static mcl_status fixed_make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  mcl_host_encoder h;
  mcl_struct_init(&h, sizeof h);
  fixed_stages[stage] = (fixed_stage){user, stage};
  h.user = &fixed_stages[stage];
  h.dim = DIM;
  h.modalities = 2;
  h.embed = h.forward = fixed_embed;
  h.backward = fixed_backward;
  h.step = fixed_step;
  return mcl_encoder_create_host(((fixed *)user)->c, &h, out, e);
}

// A loop of `stages` stages over `rows` rows of f's context, and its dataset; both are to be unref'd.
static void make_fixed(fixed *f, int64_t rows, int32_t stages, int32_t k, int32_t modalities,
                       mcl_multistage **l, mcl_dataset **d) {
  mcl_host_dataset h;
  mcl_kmeans_options km;
  mcl_sampler_options s;
  mcl_multistage_options o;
  mcl_struct_init(&h, sizeof h);
  mcl_kmeans_options_init(&km, sizeof km);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_multistage_options_init(&o, sizeof o);
  h.rows = rows;
  h.modalities = modalities;
  km.k = k;
  s.batch_rows = 64;
  o.stages = stages;
  o.epochs = 1;
  o.kmeans = &km;
  o.sampler = &s;
  o.modalities = modalities;
  o.loss_kind = modalities == 2 ? MCL_LOSS_INFO_NCE : MCL_LOSS_NT_XENT;
  CHECK_OK(mcl_dataset_create_host(f->c, &h, d, &err));
  CHECK_OK(mcl_multistage_create(f->c, &o, rows, NULL, l, &err));
}

static mcl_status go_fixed(fixed *f, mcl_multistage *l, mcl_dataset *d) {
  mcl_encoder_factory factory;
  mcl_struct_init(&factory, sizeof factory);
  factory.user = f;
  factory.make = fixed_make;
  return mcl_multistage_run(l, d, NULL, &factory, NULL, &err);
}

static mcl_multistage *run_fixed(fixed *f, int64_t rows, int32_t stages, int32_t k,
                                 int32_t modalities, embedding_fn embedding) {
  mcl_dataset *d;
  mcl_multistage *l;
  *f = (fixed){.c = test_context(1), .embedding = embedding};
  make_fixed(f, rows, stages, k, modalities, &l, &d);
  CHECK_OK(go_fixed(f, l, d));
  mcl_dataset_unref(d);
  return l;
}

// Stage 0 falls into 6 far groups; both stages have something of the row and much noise of the
// view.
static void noisy(int stage, int view, int64_t row, float *z) {
  float own[DIM], noise[DIM];
  test_fill_normal(own, DIM, 77 + (uint64_t)(row * 3 + stage));
  test_fill_normal(noise, DIM, 9999 + (uint64_t)((row * 3 + stage) * 3 + view + 1));
  for (int d = 0; d < DIM; d++) {
    float group = stage == 0 && d == row % 6 ? 12.0f : 0.0f;
    z[d] = group + own[d] + (view < 0 ? 0.0f : 0.9f * noise[d]);
  }
}

// All pairs of a cell, by the cosine of the concatenation of unit embeddings.
static double told_by_definition(const int32_t *cell, embedding_fn embedding, int first, int last) {
  double told = 0;
  int rows = 0;
  for (int i = 0; i < ROWS; i++) {
    double wins = 0, others = 0, score[ROWS];
    for (int j = 0; j < ROWS; j++) {
      score[j] = 0;
      for (int s = first; s <= last; s++) {
        float a[DIM], b[DIM];
        double ab = 0, aa = 0, bb = 0;
        embedding(s, 0, i, a);
        embedding(s, 1, j, b);
        for (int d = 0; d < DIM; d++)
          ab += (double)a[d] * (double)b[d], aa += (double)a[d] * (double)a[d],
              bb += (double)b[d] * (double)b[d];
        score[j] += ab / sqrt(aa * bb);
      }
    }
    for (int j = 0; j < ROWS; j++)
      if (j != i && cell[i] == cell[j]) wins += score[i] > score[j], others++;
    if (others > 0) told += wins / others, rows++;
  }
  return told / rows;
}

// 144 rows in 6 cells of 24: no cell is cut, so that every pair counts.
START_TEST(told_is_what_its_definition_says) {
  fixed f;
  mcl_multistage *l = run_fixed(&f, ROWS, 2, 6, 1, noisy);
  int32_t cell[ROWS], label[ROWS], finer[ROWS];
  CHECK_OK(mcl_multistage_labels(l, 0, 0, cell, ROWS, &err));
  CHECK_OK(mcl_multistage_labels(l, 1, 0, label, ROWS, &err));
  mcl_stage_report a = report_of(l, 0, 0), b = report_of(l, 1, 0);
  ck_assert_int_eq(a.next_largest_cell, 24);
  ck_assert_int_eq(a.next_smallest_cell, 24);
  ck_assert_double_eq_tol(a.told_next, told_by_definition(cell, noisy, 0, 0), 1e-12);
  ck_assert_double_eq_tol(b.told, told_by_definition(cell, noisy, 1, 1), 1e-12);
  ck_assert(b.told_before == a.told_next);
  ck_assert(isnan(a.told_before));
  // All rows are one cell for stage 0: cut into pieces, an estimate. Groups of 6 are told apart,
  // 5/6 of the negatives.
  ck_assert(a.told > .9 && a.told < 1 && a.told > a.told_next);
  for (int i = 0; i < ROWS; i++) finer[i] = cell[i] * 6 + label[i];
  if (b.next_backed_off == 0)
    ck_assert_double_eq_tol(b.told_next, told_by_definition(finer, noisy, 0, 1), 1e-12);
  mcl_multistage_unref(l);
  mcl_context_unref(f.c);
}
END_TEST

START_TEST(a_report_that_ran_out_of_memory_is_the_same_when_asked_for_again) {
  fixed f;
  mcl_multistage *whole = run_fixed(&f, ROWS, 2, 6, 1, noisy), *l;
  mcl_stage_report want = report_of(whole, 1, 0);
  mcl_multistage_unref(whole);
  mcl_context_unref(f.c);
  test_allocator a;
  test_allocator_init(&a);
  f.c = test_context_with(&a, 1);
  int failed = 0;
  for (int64_t n = 1;; n++) {
    mcl_dataset *d;
    make_fixed(&f, ROWS, 2, 6, 1, &l, &d);
    a.requests = 0, a.fail_at = n;
    mcl_status s = go_fixed(&f, l, d);
    a.fail_at = 0;
    failed += s == MCL_E_NOMEM;
    ck_assert(s == MCL_OK || s == MCL_E_NOMEM);
    if (s == MCL_E_NOMEM) CHECK_OK(go_fixed(&f, l, d));
    mcl_stage_report got = report_of(l, 1, 0);
    ck_assert_mem_eq(&got, &want, sizeof got);
    mcl_multistage_unref(l);
    mcl_dataset_unref(d);
    if (s == MCL_OK) break;
  }
  ck_assert_int_gt(failed, 20);
  mcl_context_unref(f.c);
  ck_assert_int_eq(a.live, 0);
}
END_TEST

// Bits of the row's number, the same in both views, but for a little noise that decides where they
// agree.
static void four_bits(int stage, int view, int64_t row, float *z) {
  test_fill_normal(z, DIM, 555 + (uint64_t)(row * 3 + view + 1));
  for (int d = 0; d < DIM; d++) z[d] *= 0.01f;
  for (int d = 0; d < 4; d++) z[d] += (row * 2654435761 >> 8 >> d & 1) ? 1.0f : -1.0f;
  (void)stage;
}

// 6000 rows are more than are looked at: told is of a sample.
START_TEST(bits_that_survive_both_views_are_counted) {
  fixed f;
  mcl_multistage *l = run_fixed(&f, 6000, 1, 2, 1, four_bits);
  mcl_stage_report r = report_of(l, 0, 0);
  ck_assert_double_eq_tol(r.told, 1 - pow(2, -4) / 2, .006);
  // Two clusters remove about one of the bits.
  ck_assert(r.told_next < r.told - .02 && r.told_next > 1 - pow(2, -2.5) / 2);
  mcl_multistage_unref(l);
  mcl_context_unref(f.c);
}
END_TEST

static void view_only(int stage, int view, int64_t row, float *z) {
  (void)stage;
  memset(z, 0, DIM * sizeof *z);
  z[0] = view < 0 ? (float)(row % 5) : 1.0f;
  z[1] = (float)(view + 1);
}
static void row_only(int stage, int view, int64_t row, float *z) {
  (void)stage, (void)view;
  test_fill_normal(z, DIM, (uint64_t)row);
}

START_TEST(equal_scores_are_chance_and_equal_views_tell_nothing) {
  fixed f;
  mcl_multistage *l = run_fixed(&f, ROWS, 1, 3, 1, view_only);
  ck_assert_double_eq_tol(report_of(l, 0, 0).told, .5, 1e-12);
  mcl_multistage_unref(l);
  mcl_context_unref(f.c);
  l = run_fixed(&f, ROWS, 1, 3, 1, row_only);
  ck_assert(isnan(report_of(l, 0, 0).told) && isnan(report_of(l, 0, 0).told_next));
  mcl_multistage_unref(l);
  mcl_context_unref(f.c);
}
END_TEST

// Modality 0 is viewed as view 0, modality 1 as view 1: the definition's a and b.
START_TEST(of_two_modalities_each_is_a_view) {
  fixed f;
  mcl_multistage *l = run_fixed(&f, ROWS, 2, 6, 2, noisy);
  int32_t cell[ROWS];
  CHECK_OK(mcl_multistage_labels(l, 0, 0, cell, ROWS, &err));
  mcl_stage_report a = report_of(l, 0, 0), b = report_of(l, 1, 0);
  ck_assert_int_eq(a.next_largest_cell, 24);
  ck_assert_double_eq_tol(a.told_next, told_by_definition(cell, noisy, 0, 0), 1e-12);
  ck_assert_double_eq_tol(b.told, told_by_definition(cell, noisy, 1, 1), 1e-12);
  ck_assert(b.told_before == a.told_next);
  mcl_multistage_unref(l);
  mcl_context_unref(f.c);
}
END_TEST

RUN_TESTS("multistage", told_is_what_its_definition_says,
          a_report_that_ran_out_of_memory_is_the_same_when_asked_for_again,
          bits_that_survive_both_views_are_counted,
          equal_scores_are_chance_and_equal_views_tell_nothing, of_two_modalities_each_is_a_view)
