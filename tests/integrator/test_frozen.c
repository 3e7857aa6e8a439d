// Frozen stages as one encoder: with a head, and without.
#include "support/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/integrator.h>
#include <libmcl/loss.h>

static mcl_error err;

enum { ROWS = 24, INPUTS = 6, A = 5, B = 3, WIDTH = A + B, DIM = 4, PROJECTION = 3 };

static mcl_encoder *mlp(mcl_context *c, int64_t inputs, int32_t dim, int32_t projection) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = (uint64_t)dim;
  o.inputs = inputs;
  o.hidden = 16;
  o.layers = 1;
  o.dim = dim;
  o.projection_dim = projection;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_mlp(c, &o, &e, &err));
  return e;
}

static mcl_integrator *integrator(mcl_context *c) {
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  mcl_encoder *a = mlp(c, INPUTS, A, 0), *b = mlp(c, INPUTS, B, 0);
  CHECK_OK(mcl_integrator_add_stage(g, a, 0, 1, &err));
  CHECK_OK(mcl_integrator_add_stage(g, b, 0, 2.5, &err));
  mcl_encoder_unref(a);
  mcl_encoder_unref(b);
  return g;
}

static mcl_encoder *frozen(const mcl_integrator *g, mcl_encoder *head) {
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_integrator_encoder(g, head, &e, &err));
  return e;
}

typedef struct batch {
  float x[ROWS * INPUTS];
  mcl_array data;
  mcl_inputs in;
} batch;

static void fill(batch *b, uint64_t seed, int32_t view) {
  test_fill_normal(b->x, (int64_t)ROWS * INPUTS, seed);
  b->data = mcl_matrix_f32(b->x, ROWS, INPUTS);
  mcl_struct_init(&b->in, sizeof b->in);
  b->in.data = &b->data;
  b->in.n = ROWS;
  b->in.view = view;
}

static void embed_stages(mcl_integrator *g, const batch *b, float *r) {
  mcl_array out = mcl_matrix_f32(r, ROWS, WIDTH);
  CHECK_OK(mcl_integrator_embed(g, &b->in, &out, &err));
}

static void embed(mcl_encoder *e, const batch *b, float *z) {
  mcl_array out = mcl_matrix_f32(z, ROWS, mcl_encoder_dim(e));
  CHECK_OK(mcl_encoder_embed(e, &b->in, &out, &err));
}

START_TEST(without_a_head_the_embedding_is_the_representation) {
  mcl_context *c = test_context(2);
  mcl_integrator *g = integrator(c);
  mcl_encoder *e = frozen(g, NULL);
  batch b;
  fill(&b, 1, -1);
  float r[ROWS * WIDTH], z[ROWS * WIDTH];
  embed_stages(g, &b, r);
  embed(e, &b, z);
  ck_assert_mem_eq(r, z, sizeof r);
  ck_assert(mcl_encoder_dim(e) == WIDTH && mcl_encoder_modalities(e) == 1);
  mcl_array out = mcl_matrix_f32(z, ROWS, WIDTH);
  b.in.view = 0;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "forward", mcl_encoder_forward(e, &b.in, &out, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "save", mcl_encoder_save(e, "x", &err));
  mcl_encoder_unref(e);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(with_a_head_the_embedding_is_the_heads_of_the_representation) {
  mcl_context *c = test_context(2);
  mcl_integrator *g = integrator(c);
  mcl_encoder *head = mlp(c, WIDTH, DIM, PROJECTION), *e = frozen(g, head);
  batch b;
  fill(&b, 2, -1);
  float r[ROWS * WIDTH], wanted[ROWS * DIM], z[ROWS * DIM];
  embed_stages(g, &b, r);
  mcl_array data = mcl_matrix_f32(r, ROWS, WIDTH), out = mcl_matrix_f32(wanted, ROWS, DIM);
  mcl_inputs in = b.in;
  in.data = &data;
  CHECK_OK(mcl_encoder_embed(head, &in, &out, &err));
  CHECK_OK(
      mcl_integrator_set_growth(g, 9, &err)); // the encoder has the weights of when it was made
  embed(e, &b, z);
  ck_assert_mem_eq(wanted, z, sizeof z);
  ck_assert(mcl_encoder_dim(e) == DIM && mcl_encoder_projection_dim(e) == PROJECTION);
  mcl_encoder_unref(head);
  mcl_integrator_unref(g);
  embed(e, &b, z); // and keeps what it needs
  ck_assert_mem_eq(wanted, z, sizeof z);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// One step of InfoNCE within two cells, on two views; the loss before it.
static double train(mcl_context *c, mcl_encoder *e, batch *views, const int64_t *cells) {
  float z[2][ROWS * PROJECTION], dz[2][ROWS * PROJECTION];
  mcl_array za[2], dza[2];
  for (int v = 0; v < 2; v++) {
    za[v] = mcl_matrix_f32(z[v], ROWS, PROJECTION);
    dza[v] = mcl_matrix_f32(dz[v], ROWS, PROJECTION);
    CHECK_OK(mcl_encoder_forward(e, &views[v].in, &za[v], &err));
  }
  mcl_loss_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.za = &za[0], in.zb = &za[1], in.dza = &dza[0], in.dzb = &dza[1];
  in.cells = cells;
  mcl_loss_result r;
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_loss_info_nce(c, NULL, &in, &r, &err));
  for (int v = 0; v < 2; v++) CHECK_OK(mcl_encoder_backward(e, &views[v].in, &dza[v], &err));
  mcl_step step;
  mcl_struct_init(&step, sizeof step);
  step.learning_rate = 0.01;
  CHECK_OK(mcl_encoder_step(e, &step, &err));
  return r.loss;
}

START_TEST(training_moves_the_head_and_nothing_of_the_stages) {
  mcl_context *c = test_context(2);
  mcl_integrator *g = integrator(c);
  mcl_encoder *head = mlp(c, WIDTH, DIM, PROJECTION), *e = frozen(g, head);
  batch views[2];
  int64_t cells[ROWS];
  for (int v = 0; v < 2; v++) fill(&views[v], 3, v);
  for (int i = 0; i < ROWS * INPUTS; i++) views[1].x[i] += 0.1F * sinf((float)i);
  for (int v = 0; v < 2; v++) views[v].in.data = &views[v].data;
  for (int i = 0; i < ROWS; i++) cells[i] = i % 2;
  float before[ROWS * WIDTH], after[ROWS * WIDTH];
  views[0].in.view = -1;
  embed_stages(g, &views[0], before);
  views[0].in.view = 0;
  double first = train(c, e, views, cells), last = first;
  for (int i = 0; i < 100; i++) last = train(c, e, views, cells);
  ck_assert_double_lt(last, 0.7 * first);
  views[0].in.view = -1;
  embed_stages(g, &views[0], after);
  ck_assert_mem_eq(before, after, sizeof after);
  mcl_encoder_unref(head);
  mcl_encoder_unref(e);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_head_takes_chunks_through_its_stages) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = integrator(c);
  mcl_encoder *head = mlp(c, WIDTH, DIM, PROJECTION), *e = frozen(g, head);
  float z[ROWS * PROJECTION];
  mcl_array out = mcl_matrix_f32(z, ROWS, PROJECTION);
  for (int chunk = 0; chunk < 2; chunk++) {
    batch b;
    fill(&b, 3, 0);
    CHECK_OK(mcl_encoder_forward(e, &b.in, &out, &err));
    CHECK_OK(mcl_encoder_backward(e, &b.in, &out, &err));
  }
  mcl_encoder_unref(head);
  mcl_encoder_unref(e);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_temperature_is_the_heads) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = integrator(c);
  mcl_encoder *image = mlp(c, WIDTH, DIM, 0), *text = mlp(c, WIDTH, DIM, 0), *head = NULL;
  CHECK_OK(mcl_encoder_create_pair(c, NULL, image, text, &head, &err));
  mcl_encoder *e = frozen(g, head), *plain = frozen(g, image);
  batch b;
  fill(&b, 2, 0);
  float z[ROWS * DIM];
  double before = 0, after = 0;
  mcl_array out = mcl_matrix_f32(z, ROWS, DIM);
  mcl_step step;
  mcl_struct_init(&step, sizeof step);
  step.learning_rate = 0.1;
  CHECK_OK(mcl_encoder_temperature(e, &before, &err));
  CHECK_OK(mcl_encoder_forward(e, &b.in, &out, &err));
  CHECK_OK(mcl_encoder_backward(e, &b.in, &out, &err));
  CHECK_OK(mcl_encoder_backward_temperature(e, 1, &err));
  CHECK_OK(mcl_encoder_step(e, &step, &err));
  CHECK_OK(mcl_encoder_temperature(head, &after, &err));
  ck_assert(fabs(before - 0.07) < 1e-6 && after < 0.07);
  CHECK_FAILS(MCL_E_UNSUPPORTED, "temperature", mcl_encoder_temperature(plain, &after, &err));
  mcl_encoder *all[] = {image, text, head, e, plain};
  for (int i = 0; i < 5; i++) mcl_encoder_unref(all[i]);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_trained_head_is_saved_and_loaded) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = integrator(c);
  mcl_encoder *head = mlp(c, WIDTH, DIM, PROJECTION), *e = frozen(g, head);
  batch views[2];
  for (int v = 0; v < 2; v++) fill(&views[v], 4, v);
  train(c, e, views, NULL);
  char path[512];
  snprintf(path, sizeof path, "%s/head.safetensors", test_directory("integrator-frozen"));
  CHECK_OK(mcl_encoder_save(e, path, &err));
  float before[ROWS * DIM], after[ROWS * DIM];
  batch b;
  fill(&b, 5, -1);
  embed(e, &b, before);
  train(c, e, views, NULL);
  embed(e, &b, after);
  ck_assert(memcmp(before, after, sizeof after) != 0);
  CHECK_OK(mcl_encoder_load(e, path, &err));
  embed(e, &b, after);
  ck_assert_mem_eq(before, after, sizeof after);
  mcl_encoder_unref(head);
  mcl_encoder_unref(e);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

// The stages stay what they are: only what is trained starts from the other one.
START_TEST(a_head_starts_from_the_head_of_another) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = integrator(c);
  mcl_encoder *head[2] = {mlp(c, WIDTH, DIM, PROJECTION), mlp(c, WIDTH, DIM, PROJECTION)};
  mcl_encoder *e = frozen(g, head[0]), *from = frozen(g, head[1]), *without = frozen(g, NULL);
  static batch views[2];
  float wanted[ROWS * DIM], z[ROWS * DIM];
  fill(&views[0], 5, 0), fill(&views[1], 6, 1);
  train(c, from, views, NULL);
  embed(from, &views[0], wanted);
  embed(e, &views[0], z);
  ck_assert(memcmp(z, wanted, sizeof z) != 0);
  CHECK_OK(mcl_encoder_start_from(e, from, &err));
  embed(e, &views[0], z);
  ck_assert_mem_eq(z, wanted, sizeof z);
  CHECK_FAILS(MCL_E_MISMATCH, "kinds", mcl_encoder_start_from(e, head[1], &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "start_from", mcl_encoder_start_from(without, from, &err));
  mcl_encoder *const all[] = {head[0], head[1], e, from, without};
  for (int i = 0; i < 5; i++) mcl_encoder_unref(all[i]);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(what_cannot_be_one_is_named) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = integrator(c), *none = NULL;
  mcl_encoder *e = NULL, *narrow = mlp(c, WIDTH - 1, DIM, 0);
  CHECK_OK(mcl_integrator_create(c, NULL, &none, &err));
  CHECK_FAILS(MCL_E_INVALID, "integrator", mcl_integrator_encoder(NULL, NULL, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_integrator_encoder(g, NULL, NULL, &err));
  CHECK_FAILS(MCL_E_STATE, "no stages", mcl_integrator_encoder(none, NULL, &e, &err));
  CHECK_OK(mcl_integrator_add_stage(none, NULL, 2, 1, &err));
  CHECK_FAILS(MCL_E_STATE, "stage 0 has no encoder", mcl_integrator_encoder(none, NULL, &e, &err));
  ck_assert_ptr_null(e);
  e = frozen(g, narrow);
  batch b;
  fill(&b, 6, -1);
  float z[ROWS * DIM];
  mcl_array out = mcl_matrix_f32(z, ROWS, DIM);
  CHECK_FAILS(MCL_E_SHAPE, "", mcl_encoder_embed(e, &b.in, &out, &err));
  b.x[7 * INPUTS] = NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "stage 0", mcl_encoder_embed(e, &b.in, &out, &err));
  ck_assert_int_eq(err.row, 7);
  mcl_encoder_unref(e);
  mcl_encoder_unref(narrow);
  mcl_integrator_unref(none);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("frozen", without_a_head_the_embedding_is_the_representation,
          with_a_head_the_embedding_is_the_heads_of_the_representation,
          a_head_takes_chunks_through_its_stages, the_temperature_is_the_heads,
          training_moves_the_head_and_nothing_of_the_stages, a_trained_head_is_saved_and_loaded,
          a_head_starts_from_the_head_of_another, what_cannot_be_one_is_named)
