#include "support/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/multistage.h>
#include <libmcl/probe.h>

enum { ROWS = 120, DIM = 5, BATCH = 16, K = 4 };

static mcl_error err;

typedef struct puller {
  mcl_context *c;
  mcl_multistage *l;
  mcl_event e;
  mcl_batch b;
  int64_t indices[ROWS], cells[ROWS];
} puller;

static int32_t trained_stages; // of the loops that start

static void start_with(puller *p, int32_t stages, int32_t epochs, const char *directory) {
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage_options o;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_multistage_options_init(&o, sizeof o);
  k.k = K;
  s.batch_rows = BATCH;
  o.stages = stages;
  o.epochs = epochs;
  o.trained_stages = trained_stages;
  o.seed = 5;
  o.kmeans = &k;
  o.sampler = &s;
  o.embedding_directory = directory;
  memset(p, 0, sizeof *p);
  p->c = test_context(2);
  CHECK_OK(mcl_multistage_create(p->c, &o, ROWS, NULL, &p->l, &err));
  mcl_struct_init(&p->e, sizeof p->e);
  mcl_struct_init(&p->b, sizeof p->b);
  p->b.indices = p->indices;
  p->b.cells = p->cells;
  p->b.capacity = ROWS;
}

static void start(puller *p, int32_t stages, int32_t epochs) {
  start_with(p, stages, epochs, NULL);
}

static void stop(puller *p) {
  mcl_multistage_unref(p->l);
  mcl_context_unref(p->c);
}

static int32_t next(puller *p) {
  CHECK_OK(mcl_multistage_next(p->l, NULL, &p->e, &p->b, &err));
  return p->e.kind;
}

// The embedding of a row in a stage: any fixed function of the two.
static void embedding_of(int64_t row, int32_t stage, float *z) {
  float blob[DIM];
  test_fill_normal(blob, DIM, 1000 + (uint64_t)stage * 100 + (uint64_t)(row * (stage + 3) % 7));
  test_fill_normal(z, DIM, 5000 + (uint64_t)stage * ROWS + (uint64_t)row);
  for (int d = 0; d < DIM; d++) z[d] = blob[d] + 0.1f * z[d];
}

static void put_all(puller *p) {
  float z[ROWS * DIM];
  for (int64_t i = 0; i < p->b.n; i++) embedding_of(p->indices[i], p->e.stage, z + i * DIM);
  mcl_array a = mcl_matrix_f32(z, p->b.n, DIM);
  CHECK_OK(mcl_multistage_put_embeddings(p->l, 0, p->indices, p->b.n, &a, &err));
}

// Carries out events until one of this kind has come.
static void go_to(puller *p, int32_t kind, int32_t stage) {
  for (;;) {
    int32_t k = next(p);
    if (k == kind && p->e.stage == stage) return;
    if (k == MCL_EMBED_ROWS) put_all(p);
    ck_assert_int_ne(k, MCL_DONE);
  }
}

START_TEST(events_come_in_their_order_and_end_in_done) {
  puller p;
  start(&p, 2, 3);
  for (int32_t stage = 0; stage < 2; stage++) {
    ck_assert_int_eq(next(&p), MCL_BEGIN_STAGE);
    ck_assert_int_eq(p.e.stage, stage);
    mcl_sampler *s;
    CHECK_OK(mcl_multistage_sampler(p.l, &s, &err));
    int64_t steps = mcl_sampler_steps(s);
    mcl_sampler_unref(s);
    for (int32_t epoch = 0; epoch < 3; epoch++)
      for (int64_t step = 0; step < steps; step++) {
        ck_assert_int_eq(next(&p), MCL_TRAIN_BATCH);
        ck_assert_int_eq(p.e.epoch, epoch);
        ck_assert_int_eq(p.b.step, step);
        ck_assert_int_eq(p.b.steps, steps);
        ck_assert_int_gt(p.b.n, 0);
      }
    int64_t embedded = 0;
    while (next(&p) == MCL_EMBED_ROWS) {
      ck_assert_int_eq(p.indices[0], embedded);
      embedded += p.b.n;
      put_all(&p);
    }
    ck_assert_int_eq(embedded, ROWS);
    ck_assert_int_eq(p.e.kind, MCL_END_STAGE);
    ck_assert_int_eq(p.e.stage, stage);
  }
  ck_assert_int_eq(next(&p), MCL_DONE);
  ck_assert_int_eq(next(&p), MCL_DONE);
  stop(&p);
}
END_TEST

START_TEST(a_stage_that_comes_trained_is_embedded_at_once) {
  puller p;
  mcl_stage_report r;
  trained_stages = 1;
  start(&p, 2, 3);
  trained_stages = 0;
  ck_assert_int_eq(next(&p), MCL_BEGIN_STAGE);
  go_to(&p, MCL_END_STAGE, 0);
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_multistage_get_report(p.l, 0, 0, &r, &err));
  ck_assert_int_eq(r.rows_seen, 0);
  ck_assert_int_eq(r.epochs, 0);
  ck_assert(isnan(r.loss_first) && isnan(r.loss_last));
  ck_assert_int_eq(next(&p), MCL_BEGIN_STAGE); // the next one is trained as ever, in its cells
  ck_assert_int_eq(next(&p), MCL_TRAIN_BATCH);
  ck_assert_int_eq(p.e.stage, 1);
  for (int64_t i = 1; i < p.b.n; i++) ck_assert_int_eq(p.cells[i], p.cells[0]);
  go_to(&p, MCL_END_STAGE, 1);
  CHECK_OK(mcl_multistage_get_report(p.l, 1, 0, &r, &err));
  ck_assert_int_eq(r.epochs, 3);
  CHECK_OK(mcl_multistage_seek(p.l, 0, 0, 0, &err));
  ck_assert_int_eq(next(&p), MCL_BEGIN_STAGE);
  ck_assert_int_eq(next(&p), MCL_EMBED_ROWS);
  stop(&p);
}
END_TEST

// The heart of the method. Labels are the host's own, so that the truth is known: stage 0 is row % 3, stage 1 is row % 2.
// The published code mixes up the stages and would let rows meet that differ in stage 0.
START_TEST(negatives_share_their_cluster_in_every_preceding_stage) {
  puller p;
  start(&p, 3, 2);
  int32_t labels[2][ROWS];
  for (int i = 0; i < ROWS; i++) labels[0][i] = i % 3, labels[1][i] = i % 2;
  int64_t pairs = 0;
  for (;;) {
    int32_t kind = next(&p);
    if (kind == MCL_DONE) break;
    if (kind == MCL_EMBED_ROWS)
      CHECK_OK(mcl_multistage_put_labels(p.l, 0, labels[p.e.stage % 2], ROWS, &err));
    if (kind != MCL_TRAIN_BATCH) continue;
    for (int64_t i = 0; i < p.b.n; i++)
      for (int64_t j = 0; j < i; j++) {
        if (p.cells[i] != p.cells[j]) continue;
        pairs++;
        for (int32_t s = 0; s < p.e.stage; s++)
          ck_assert_int_eq(labels[s % 2][p.indices[i]], labels[s % 2][p.indices[j]]);
      }
  }
  ck_assert_int_gt(pairs, 0);
  mcl_stage_report r;
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_multistage_get_report(p.l, 2, 0, &r, &err));
  ck_assert_int_eq(r.cells, 6);
  ck_assert_int_eq(r.median_cell, 20);
  ck_assert_int_eq(r.rows_seen, ROWS);
  stop(&p);
}
END_TEST

START_TEST(rows_that_were_not_put_are_asked_for_again_and_silence_is_an_error) {
  puller p;
  start(&p, 1, 1);
  go_to(&p, MCL_EMBED_ROWS, 0);
  float z[DIM] = {1, 2, 3, 4, 5};
  mcl_array a = mcl_matrix_f32(z, 1, DIM);
  CHECK_OK(mcl_multistage_put_embeddings(p.l, 0, p.indices, 1, &a, &err));
  ck_assert_int_eq(next(&p), MCL_EMBED_ROWS); // the second pass: all rows but row 0
  ck_assert_int_eq(p.indices[0], 1);
  ck_assert_int_eq(p.b.n, ROWS - 1);
  CHECK_FAILS(MCL_E_STATE, "119 rows", mcl_multistage_next(p.l, NULL, &p.e, &p.b, &err));
  // Nothing is lost: they may still be put.
  p.b.n = ROWS - 1;
  for (int64_t i = 0; i < p.b.n; i++) p.indices[i] = i + 1;
  put_all(&p);
  ck_assert_int_eq(next(&p), MCL_END_STAGE);
  stop(&p);
}
END_TEST

START_TEST(seek_goes_to_the_very_batch) {
  puller p, q;
  start(&p, 2, 3);
  start(&q, 2, 3);
  go_to(&p, MCL_END_STAGE, 0);
  go_to(&q, MCL_END_STAGE, 0);
  ck_assert_int_eq(next(&p), MCL_BEGIN_STAGE);
  int64_t want[ROWS], n, step;
  for (int i = 0; i < 11; i++) ck_assert_int_eq(next(&p), MCL_TRAIN_BATCH);
  n = p.b.n, step = p.b.step;
  memcpy(want, p.indices, sizeof want);
  CHECK_OK(mcl_multistage_seek(q.l, 1, p.e.epoch, step, &err));
  ck_assert_int_eq(next(&q), MCL_RESUME_STAGE);
  ck_assert_int_eq(next(&q), MCL_TRAIN_BATCH);
  ck_assert_int_eq(q.b.n, n);
  ck_assert_mem_eq(q.indices, want, (size_t)n * sizeof *want);
  // Back to the stage before; its labels are forgotten, so stage 1 is out of reach.
  CHECK_OK(mcl_multistage_seek(q.l, 0, 3, 0, &err));
  ck_assert_int_eq(next(&q), MCL_RESUME_STAGE);
  ck_assert_int_eq(next(&q), MCL_EMBED_ROWS);
  CHECK_FAILS(MCL_E_STATE, "stage 1", mcl_multistage_seek(q.l, 1, 0, 0, &err));
  CHECK_FAILS(MCL_E_LIMIT, "epoch 9", mcl_multistage_seek(q.l, 0, 9, 0, &err));
  CHECK_FAILS(MCL_E_LIMIT, "stage is 2", mcl_multistage_seek(q.l, 2, 0, 0, &err));
  stop(&p);
  stop(&q);
}
END_TEST

START_TEST(embeddings_on_disk_give_the_same_labels_as_in_memory) {
  puller p, q;
  int32_t a[ROWS], b[ROWS];
  start(&p, 2, 1);
  start_with(&q, 2, 1, test_directory("embeddings"));
  go_to(&p, MCL_DONE, 2);
  go_to(&q, MCL_DONE, 2);
  for (int32_t s = 0; s < 2; s++) {
    mcl_stage_report x, y;
    mcl_struct_init(&x, sizeof x);
    mcl_struct_init(&y, sizeof y);
    CHECK_OK(mcl_multistage_labels(p.l, s, 0, a, ROWS, &err));
    CHECK_OK(mcl_multistage_labels(q.l, s, 0, b, ROWS, &err));
    ck_assert_mem_eq(a, b, sizeof a);
    CHECK_OK(mcl_multistage_get_report(p.l, s, 0, &x, &err));
    CHECK_OK(mcl_multistage_get_report(q.l, s, 0, &y, &err));
    ck_assert(x.cell_cosine == y.cell_cosine && x.inertia == y.inertia);
  }
  stop(&p);
  stop(&q);
}
END_TEST

static double dot(const float *a, const float *b) {
  double s = 0;
  for (int d = 0; d < DIM; d++) s += (double)a[d] * (double)b[d];
  return s;
}

// Every figure of the report against its definition, over pairs of rows.
START_TEST(the_report_says_what_it_defines) {
  puller p;
  start(&p, 2, 1);
  go_to(&p, MCL_END_STAGE, 0);
  int64_t cell[ROWS];
  mcl_sampler *s;
  CHECK_OK(mcl_multistage_sampler(p.l, &s, &err));
  CHECK_OK(mcl_sampler_cells(s, cell, ROWS, &err));
  mcl_sampler_unref(s);
  go_to(&p, MCL_END_STAGE, 1);
  int32_t before[ROWS], labels[ROWS];
  CHECK_OK(mcl_multistage_labels(p.l, 0, 0, before, ROWS, &err));
  CHECK_OK(mcl_multistage_labels(p.l, 1, 0, labels, ROWS, &err));
  mcl_stage_report r;
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_multistage_get_report(p.l, 1, 0, &r, &err));
  double cosines = 0, pairs = 0, entropy = 0, nmi;
  float z[ROWS][DIM];
  for (int i = 0; i < ROWS; i++) embedding_of(i, 1, z[i]);
  for (int i = 0; i < ROWS; i++) {
    double together = 0, alike = 0;
    for (int j = 0; j < ROWS; j++) {
      if (cell[i] != cell[j]) continue;
      together++, alike += labels[i] == labels[j];
      if (i != j) cosines += dot(z[i], z[j]) / sqrt(dot(z[i], z[i]) * dot(z[j], z[j])), pairs++;
    }
    entropy -= log(alike / together) / ROWS;
  }
  CHECK_OK(mcl_probe_agreement(p.c, labels, before, ROWS, &nmi, NULL, NULL, &err));
  ck_assert(fabs(r.cell_cosine - cosines / pairs) < 1e-6);
  ck_assert(fabs(r.entropy_given_previous - entropy / log(r.k_effective)) < 1e-9);
  ck_assert(fabs(r.nmi_previous - nmi) < 1e-12);
  ck_assert_int_eq(r.rows_seen, ROWS);
  ck_assert(isnan(r.loss_first));
  stop(&p);
}
END_TEST

START_TEST(bad_embeddings_are_named_and_change_nothing) {
  puller p;
  start(&p, 1, 1);
  float z[2 * DIM] = {0};
  int64_t rows[2] = {3, ROWS};
  mcl_array a = mcl_matrix_f32(z, 2, DIM);
  CHECK_FAILS(MCL_E_STATE, "MCL_EMBED_ROWS",
              mcl_multistage_put_embeddings(p.l, 0, rows, 2, &a, &err));
  go_to(&p, MCL_EMBED_ROWS, 0);
  CHECK_FAILS(MCL_E_LIMIT, "indices[1] is 120",
              mcl_multistage_put_embeddings(p.l, 0, rows, 2, &a, &err));
  ck_assert_int_eq(err.row, 1);
  rows[1] = 4;
  z[DIM + 2] = NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "dataset row 4",
              mcl_multistage_put_embeddings(p.l, 0, rows, 2, &a, &err));
  z[DIM + 2] = 0;
  CHECK_FAILS(MCL_E_INVALID, "modality 1",
              mcl_multistage_put_embeddings(p.l, 1, rows, 2, &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "indices", mcl_multistage_put_embeddings(p.l, 0, NULL, 2, &a, &err));
  CHECK_FAILS(MCL_E_SHAPE, "z has 2 rows",
              mcl_multistage_put_embeddings(p.l, 0, rows, 1, &a, &err));
  CHECK_OK(mcl_multistage_put_embeddings(p.l, 0, rows, 2, &a, &err));
  mcl_array wide = mcl_matrix_f32(z, 2, DIM - 1);
  CHECK_FAILS(MCL_E_SHAPE, "columns", mcl_multistage_put_embeddings(p.l, 0, rows, 2, &wide, &err));
  int32_t labels[ROWS] = {0};
  labels[7] = -2;
  CHECK_FAILS(MCL_E_INVALID, "labels[7]", mcl_multistage_put_labels(p.l, 0, labels, ROWS, &err));
  CHECK_FAILS(MCL_E_SHAPE, "120 rows", mcl_multistage_put_labels(p.l, 0, labels, ROWS - 1, &err));
  p.b.capacity = 3;
  CHECK_FAILS(MCL_E_LIMIT, "capacity", mcl_multistage_next(p.l, NULL, &p.e, &p.b, &err));
  stop(&p);
}
END_TEST

START_TEST(bad_options_are_named) {
  mcl_context *c = test_context(1);
  mcl_multistage *l = NULL;
  mcl_multistage_options o, good;
  mcl_kmeans_options k;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_multistage_options_init(&good, sizeof good);
#define REFUSED(field, value, word)                                                                \
  o = good, o.field = value;                                                                       \
  CHECK_FAILS(MCL_E_INVALID, word, mcl_multistage_create(c, &o, ROWS, NULL, &l, &err))
  REFUSED(stages, -1, "stages");
  REFUSED(stages, 65, "stages");
  REFUSED(epochs, 0, "epochs");
  REFUSED(modalities, 3, "modalities");
  REFUSED(cluster_modalities, 2, "cluster_modalities");
  REFUSED(learning_rate, 0, "learning_rate");
  REFUSED(learning_rate, (double)NAN, "learning_rate");
  REFUSED(warm_up, 1, "warm_up");
  REFUSED(loss_kind, 9, "loss_kind");
  REFUSED(trained_stages, -1, "trained_stages");
  REFUSED(trained_stages, 4, "trained_stages");
  REFUSED(growth, -2, "growth");
  REFUSED(growth, (double)NAN, "growth");
  REFUSED(growth, 1e16, "growth"); // its square, of the third stage, is over 1e30
  REFUSED(growth, 1e-16, "growth");
  REFUSED(modalities, 2, "MCL_LOSS_INFO_NCE");
  REFUSED(schedule, 0, "schedule");
  REFUSED(save_every_steps, -1, "save_every_steps");
  k.k = ROWS + 1;
  REFUSED(kmeans, &k, "120 rows");
#undef REFUSED
  CHECK_FAILS(MCL_E_INVALID, "rows", mcl_multistage_create(c, NULL, 0, NULL, &l, &err));
  ck_assert_ptr_null(l);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("multistage", a_stage_that_comes_trained_is_embedded_at_once,
          events_come_in_their_order_and_end_in_done,
          negatives_share_their_cluster_in_every_preceding_stage,
          rows_that_were_not_put_are_asked_for_again_and_silence_is_an_error,
          seek_goes_to_the_very_batch, embeddings_on_disk_give_the_same_labels_as_in_memory,
          the_report_says_what_it_defines, bad_embeddings_are_named_and_change_nothing,
          bad_options_are_named)
