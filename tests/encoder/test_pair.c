// A pair from outside: who is spoken to, what is locked, what a failure leaves, files, threads, memory.
#include "support/suite.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/checkpoint.h>
#include <libmcl/encoder.h>

static mcl_error err;

enum { ROWS = 12, SIDE = 6, INPUTS = SIDE * SIDE, CONTEXT = 5, VOCABULARY = 20, DIM = 6, WIDE = 8 };

static float images[ROWS * INPUTS], gradients[2][ROWS * WIDE];
static int32_t texts[ROWS * CONTEXT];

static void make_data(void) {
  test_fill(images, ROWS * INPUTS, 1, 0, 1);
  for (int i = 0; i < ROWS * CONTEXT; i++) texts[i] = i * 7 % VOCABULARY;
  for (int m = 0; m < 2; m++) test_fill_normal(gradients[m], ROWS * WIDE, 30 + (uint64_t)m);
}

// With batch norm, whose forward is not its embed.
static mcl_encoder *image_tower_of(mcl_context *c, int32_t layers, int32_t dim) {
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.height = o.width = SIDE, o.channels = 1, o.layers = layers, o.batch_norm = 1;
  o.dim = dim, o.projection_dim = 0;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_cnn(c, &o, &e, &err));
  return e;
}

static mcl_encoder *image_tower(mcl_context *c, int32_t dim) {
  return image_tower_of(c, 1, dim);
}

static mcl_encoder *text_tower(mcl_context *c, int32_t dim) {
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o);
  o.vocabulary = VOCABULARY, o.context = CONTEXT, o.embed = 7, o.hidden = 9, o.dim = dim;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_bag(c, &o, &e, &err));
  return e;
}

// Takes over the towers.
static mcl_encoder *pair_of(mcl_context *c, const mcl_pair_options *o, mcl_encoder *image,
                            mcl_encoder *text) {
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_pair(c, o, image, text, &e, &err));
  mcl_encoder_unref(image);
  mcl_encoder_unref(text);
  return e;
}

static mcl_pair_options options_of(int32_t dim, uint32_t locked) {
  mcl_pair_options o;
  mcl_pair_options_init(&o, sizeof o);
  o.dim = dim;
  o.locked = locked;
  return o;
}

// Towers of 6 and 8 numbers, projected to 6.
static mcl_encoder *projected(mcl_context *c, uint32_t locked) {
  mcl_pair_options o = options_of(DIM, locked);
  return pair_of(c, &o, image_tower(c, DIM), text_tower(c, WIDE));
}

static mcl_array data_of(int m, int64_t n) {
  mcl_array a;
  const int64_t shape[2] = {n, m == 0 ? INPUTS : CONTEXT};
  if (m == 0) mcl_array_init(&a, images, MCL_F32, 2, shape);
  if (m == 1) mcl_array_init(&a, texts, MCL_I32, 2, shape);
  return a;
}

static mcl_inputs inputs_of(int32_t modality, int32_t view, const mcl_array *data, int64_t n) {
  static const int64_t indices[ROWS] = {5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 10, 11};
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.indices = indices;
  in.n = n;
  in.modality = modality;
  in.view = view;
  in.data = data;
  return in;
}

static mcl_status embed(mcl_encoder *e, int32_t m, float *z) {
  mcl_array data = data_of(m, ROWS);
  mcl_array out = mcl_matrix_f32(z, ROWS, mcl_encoder_dim(e));
  mcl_inputs in = inputs_of(mcl_encoder_modalities(e) == 2 ? m : 0, -1, &data, ROWS);
  return mcl_encoder_embed(e, &in, &out, &err);
}

static mcl_status forward(mcl_encoder *e, int32_t m, float *z) {
  mcl_array data = data_of(m, ROWS);
  mcl_array out = mcl_matrix_f32(z, ROWS, mcl_encoder_projection_dim(e));
  mcl_inputs in = inputs_of(mcl_encoder_modalities(e) == 2 ? m : 0, m, &data, ROWS);
  return mcl_encoder_forward(e, &in, &out, &err);
}

static mcl_status backward(mcl_encoder *e, int32_t m) {
  mcl_array grad = mcl_matrix_f32(gradients[m], ROWS, mcl_encoder_projection_dim(e));
  mcl_inputs in = inputs_of(mcl_encoder_modalities(e) == 2 ? m : 0, m, NULL, ROWS);
  return mcl_encoder_backward(e, &in, &grad, &err);
}

static mcl_status step(mcl_encoder *e) {
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = 1e-2;
  return mcl_encoder_step(e, &s, &err);
}

static mcl_status train_once(mcl_encoder *e, double d_log_temperature) {
  float z[ROWS * WIDE];
  mcl_status s = MCL_OK;
  for (int m = 0; s == MCL_OK && m < 2; m++) s = forward(e, m, z);
  for (int m = 0; s == MCL_OK && m < 2; m++) s = backward(e, m);
  if (s == MCL_OK && d_log_temperature != 0)
    s = mcl_encoder_backward_temperature(e, d_log_temperature, &err);
  return s < 0 ? s : step(e);
}

static void train(mcl_encoder *e, int steps) {
  for (int i = 0; i < steps; i++) CHECK_OK(train_once(e, 0.5 - i));
}

static double temperature_of(mcl_encoder *e) {
  double t = -1;
  CHECK_OK(mcl_encoder_temperature(e, &t, &err));
  return t;
}

// Embeddings of both modalities and the temperature.
typedef struct outcome {
  float z[2][ROWS * WIDE];
  double temperature;
} outcome;

static outcome outcome_of(mcl_encoder *e) {
  outcome o;
  memset(&o, 0, sizeof o);
  for (int m = 0; m < 2; m++) CHECK_OK(embed(e, m, o.z[m]));
  o.temperature = temperature_of(e);
  return o;
}

static void check_same(const outcome *a, const outcome *b) {
  ck_assert_mem_eq(a->z, b->z, sizeof a->z);
  ck_assert_double_eq(a->temperature, b->temperature);
}

// ---- a host's tower: y = weight * index + column ----------------------------------------------------

typedef struct host {
  float weight, gradient;
  int forwards, give_ups, fail_backward, fail_step, fail_load;
} host;

static mcl_status host_rows(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  host *h = user;
  ck_assert_int_eq(in->modality, 0);
  for (int64_t i = 0; i < in->n; i++)
    for (int64_t j = 0; j < out->shape[1]; j++)
      ((float *)out->data)[i * out->shape[1] + j] = h->weight * (float)in->indices[i] + (float)j;
  return mcl_ok(e);
}

static mcl_status host_forward(void *user, const mcl_inputs *in, const mcl_array *out,
                               mcl_error *e) {
  ((host *)user)->forwards++;
  return host_rows(user, in, out, e);
}

static mcl_status host_backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                                mcl_error *e) {
  host *h = user;
  if (h->fail_backward) return mcl_error_set(e, MCL_E_CALLBACK, 7, "the device is gone");
  for (int64_t i = 0; i < in->n * grad->shape[1]; i++) h->gradient += ((float *)grad->data)[i];
  return mcl_ok(e);
}

static mcl_status host_step(void *user, const mcl_step *s, mcl_error *e) {
  host *h = user;
  if (h->fail_step) return mcl_error_set(e, MCL_E_CALLBACK, 7, "the device is gone");
  h->weight -= (float)s->learning_rate * h->gradient;
  h->gradient = 0;
  return mcl_ok(e);
}

static mcl_status host_save(void *user, const char *path, mcl_error *e) {
  FILE *f = fopen(path, "wb");
  fprintf(f, "%.9g", (double)((host *)user)->weight);
  fclose(f);
  return mcl_ok(e);
}

static mcl_status host_load(void *user, const char *path, mcl_error *e) {
  if (((host *)user)->fail_load) return mcl_error_set(e, MCL_E_FORMAT, 7, "not my format");
  FILE *f = fopen(path, "rb");
  char text[64] = "";
  ck_assert(fread(text, 1, sizeof text - 1, f) > 0);
  fclose(f);
  ((host *)user)->weight = strtof(text, NULL);
  return mcl_ok(e);
}

static mcl_status host_start_from(void *user, void *from, mcl_error *e) {
  if (((host *)user)->fail_load) return mcl_error_set(e, MCL_E_FORMAT, 7, "not my format");
  ((host *)user)->weight = ((host *)from)->weight;
  return mcl_ok(e);
}

static void host_give_up(void *user) {
  ((host *)user)->give_ups++;
  ((host *)user)->gradient = 0;
}

static mcl_host_encoder table_of(host *h, int32_t dim) {
  mcl_host_encoder t;
  mcl_struct_init(&t, sizeof t);
  t.user = h, t.dim = dim;
  t.embed = host_rows, t.forward = host_forward, t.backward = host_backward, t.step = host_step;
  t.save = host_save, t.load = host_load, t.give_up = host_give_up;
  return t;
}

static mcl_encoder *host_tower(mcl_context *c, const mcl_host_encoder *t) {
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_host(c, t, &e, &err));
  return e;
}

// ---- who is spoken to --------------------------------------------------------------------------------

START_TEST(a_pair_without_projections_is_its_towers) {
  make_data();
  mcl_context *c = test_context(2);
  mcl_pair_options o = options_of(0, 0);
  mcl_encoder *e = pair_of(c, &o, image_tower(c, DIM), text_tower(c, DIM));
  mcl_encoder *alone[2] = {image_tower(c, DIM), text_tower(c, DIM)};
  ck_assert_int_eq(mcl_encoder_modalities(e), 2);
  ck_assert_int_eq(mcl_encoder_dim(e), DIM);
  ck_assert_int_eq(mcl_encoder_projection_dim(e), DIM);
  float z[ROWS * DIM], y[ROWS * DIM];
  for (int i = 0; i < 3; i++) {
    CHECK_OK(train_once(e, 0));
    for (int m = 0; m < 2; m++) {
      CHECK_OK(forward(alone[m], m, z));
      CHECK_OK(backward(alone[m], m));
      CHECK_OK(step(alone[m]));
    }
  }
  for (int m = 0; m < 2; m++) {
    mcl_inputs in = inputs_of(m, m, NULL, ROWS), own = inputs_of(0, m, NULL, ROWS);
    mcl_array out = mcl_matrix_f32(z, ROWS, DIM), wanted = mcl_matrix_f32(y, ROWS, DIM);
    CHECK_OK(embed(e, m, z));
    CHECK_OK(embed(alone[m], m, y));
    ck_assert_mem_eq(z, y, sizeof z);
    CHECK_OK(forward(e, m, z));
    CHECK_OK(forward(alone[m], m, y));
    ck_assert_mem_eq(z, y, sizeof z);
    CHECK_OK(mcl_encoder_held(e, &in, &out, &err));
    CHECK_OK(mcl_encoder_held(alone[m], &own, &wanted, &err));
    ck_assert_mem_eq(z, y, sizeof z);
    mcl_encoder_unref(alone[m]);
  }
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(with_projections_what_forward_gives_is_held) {
  make_data();
  mcl_context *c = test_context(1);
  for (uint32_t locked = 0; locked < 4; locked++) {
    mcl_encoder *e = projected(c, locked);
    ck_assert_int_eq(mcl_encoder_dim(e), DIM);
    float y[ROWS * DIM], z[ROWS * DIM];
    for (int m = 0; m < 2; m++) {
      mcl_inputs in = inputs_of(m, m, NULL, ROWS);
      mcl_array out = mcl_matrix_f32(z, ROWS, DIM);
      CHECK_OK(forward(e, m, y));
      CHECK_OK(mcl_encoder_held(e, &in, &out, &err));
      ck_assert_mem_eq(z, y, sizeof z);
    }
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_batch_of_no_rows_and_of_one_modality_trains) {
  make_data();
  mcl_context *c = test_context(1);
  for (uint32_t locked = 0; locked < 4; locked++) {
    mcl_encoder *e = projected(c, locked);
    float z[1];
    mcl_array out = mcl_matrix_f32(z, 0, DIM), data[2] = {data_of(0, 0), data_of(1, 0)};
    mcl_inputs in[2] = {inputs_of(0, 0, &data[0], 0), inputs_of(1, 1, &data[1], 0)};
    for (int m = 0; m < 2; m++) CHECK_OK(mcl_encoder_forward(e, &in[m], &out, &err));
    for (int m = 0; m < 2; m++) CHECK_OK(mcl_encoder_backward(e, &in[m], &out, &err));
    CHECK_OK(step(e));
    outcome before = outcome_of(e), after;
    float y[ROWS * DIM];
    CHECK_OK(forward(e, 1, y)); // texts alone
    CHECK_OK(backward(e, 1));
    CHECK_OK(step(e));
    after = outcome_of(e);
    ck_assert_mem_eq(before.z[0], after.z[0], sizeof after.z[0]);
    ck_assert(memcmp(before.z[1], after.z[1], sizeof after.z[1]) != 0);
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

// ---- locked ------------------------------------------------------------------------------------------

START_TEST(a_locked_tower_is_evaluated_and_never_moves) {
  make_data();
  mcl_context *c = test_context(2);
  for (uint32_t locked = 1; locked < 3; locked++) {
    mcl_encoder *towers[2] = {image_tower(c, DIM), text_tower(c, DIM)};
    mcl_pair_options o = options_of(0, locked);
    mcl_encoder *e = NULL;
    CHECK_OK(mcl_encoder_create_pair(c, &o, towers[0], towers[1], &e, &err));
    float before[2][ROWS * DIM], z[ROWS * DIM];
    for (int m = 0; m < 2; m++) CHECK_OK(embed(towers[m], m, before[m]));
    for (int i = 0; i < 3; i++) CHECK_OK(train_once(e, 0));
    for (int m = 0; m < 2; m++) {
      int is_locked = (locked >> m & 1) != 0;
      CHECK_OK(embed(towers[m], m, z));
      ck_assert_int_eq(memcmp(z, before[m], sizeof z) == 0, is_locked);
      CHECK_OK(forward(e, m, z));
      if (is_locked) ck_assert_mem_eq(z, before[m], sizeof z);
      mcl_encoder_unref(towers[m]);
    }
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(projections_are_trained_on_top_of_locked_towers) {
  make_data();
  mcl_context *c = test_context(2);
  mcl_encoder *e = projected(c, 3);
  outcome before = outcome_of(e);
  train(e, 2);
  outcome after = outcome_of(e);
  for (int m = 0; m < 2; m++) ck_assert(memcmp(before.z[m], after.z[m], sizeof after.z[m]) != 0);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_locked_host_needs_embed_only) {
  make_data();
  mcl_context *c = test_context(1);
  host h = {.weight = 2};
  mcl_host_encoder t = table_of(&h, DIM);
  t.forward = NULL, t.backward = NULL, t.step = NULL, t.save = NULL, t.load = NULL;
  t.give_up = NULL;
  mcl_pair_options o = options_of(0, 1);
  mcl_encoder *e = pair_of(c, &o, host_tower(c, &t), text_tower(c, DIM));
  train(e, 2);
  char path[4200];
  snprintf(path, sizeof path, "%s/pair", test_directory("pair-locked"));
  CHECK_OK(mcl_encoder_save(e, path, &err)); // the host is left out
  CHECK_OK(mcl_encoder_load(e, path, &err));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// ---- the temperature ---------------------------------------------------------------------------------

START_TEST(a_temperature_begins_where_it_is_told_and_goes_against_its_gradient) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_pair_options o = options_of(0, 0);
  mcl_encoder *e = pair_of(c, &o, image_tower(c, DIM), text_tower(c, DIM));
  ck_assert(fabs(temperature_of(e) - 0.07) < 1e-7);
  CHECK_OK(train_once(e, 0)); // no gradient: it stays
  ck_assert(fabs(temperature_of(e) - 0.07) < 1e-7);
  CHECK_OK(train_once(e, 0.3));
  ck_assert(temperature_of(e) < 0.07);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_temperature_stays_within_a_hundredth_and_1) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_optimiser_options sgd;
  mcl_optimiser_options_init(&sgd, sizeof sgd);
  sgd.kind = MCL_SGD, sgd.momentum = 0;
  mcl_pair_options o = options_of(0, 0);
  o.optimiser = &sgd;
  mcl_encoder *e = pair_of(c, &o, image_tower(c, DIM), text_tower(c, DIM));
  CHECK_OK(train_once(e, 1e4));
  ck_assert(fabs(temperature_of(e) - 0.01) < 1e-8);
  CHECK_OK(train_once(e, -1e4));
  ck_assert_double_eq(temperature_of(e), 1);
  CHECK_OK(train_once(e, 100)); // by 1, from 0
  ck_assert(fabs(temperature_of(e) - exp(-1)) < 1e-6);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_temperature_has_its_place_in_a_step) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = projected(c, 0);
  float z[ROWS * DIM];
  double t;
  CHECK_FAILS(MCL_E_STATE, "before that of a view", mcl_encoder_backward_temperature(e, 1, &err));
  CHECK_OK(forward(e, 0, z));
  CHECK_FAILS(MCL_E_STATE, "before that of a view", mcl_encoder_backward_temperature(e, 1, &err));
  CHECK_OK(backward(e, 0));
  CHECK_FAILS(MCL_E_NOT_FINITE, "nan", mcl_encoder_backward_temperature(e, NAN, &err));
  CHECK_OK(mcl_encoder_backward_temperature(e, 1, &err));
  CHECK_OK(step(e));
  CHECK_FAILS(MCL_E_INVALID, "temperature", mcl_encoder_temperature(e, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_temperature(NULL, &t, &err));
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_backward_temperature(NULL, 1, &err));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(where_none_is_learnt_there_is_no_temperature) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_pair_options o = options_of(0, 0);
  o.temperature = 0;
  mcl_encoder *e = pair_of(c, &o, image_tower(c, DIM), text_tower(c, DIM));
  double t = 5;
  CHECK_OK(train_once(e, 0));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "temperature", mcl_encoder_temperature(e, &t, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "temperature", mcl_encoder_backward_temperature(e, 1, &err));
  ck_assert_double_eq(t, 5);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

static mcl_status strange_temperature(void *user, double *temperature, mcl_error *e) {
  *temperature = *(double *)user;
  return mcl_ok(e);
}

static mcl_status keep_gradient(void *user, double gradient, mcl_error *e) {
  *(double *)user = gradient;
  return mcl_ok(e);
}

START_TEST(a_host_may_learn_a_temperature) {
  mcl_context *c = test_context(1);
  double t = 0.25, got = 0;
  mcl_host_encoder h;
  mcl_struct_init(&h, sizeof h);
  h.user = &t, h.dim = 1, h.embed = host_rows;
  h.temperature = strange_temperature;
  mcl_encoder *e = NULL;
  CHECK_FAILS(MCL_E_INVALID, "backward_temperature", mcl_encoder_create_host(c, &h, &e, &err));
  h.temperature = NULL, h.backward_temperature = keep_gradient;
  CHECK_FAILS(MCL_E_INVALID, "host->temperature", mcl_encoder_create_host(c, &h, &e, &err));
  h.temperature = strange_temperature;
  CHECK_OK(mcl_encoder_create_host(c, &h, &e, &err));
  CHECK_OK(mcl_encoder_temperature(e, &got, &err));
  ck_assert_double_eq(got, 0.25);
  static const double bad[] = {0, -1, NAN, INFINITY};
  for (int i = 0; i < 4; i++) {
    t = bad[i];
    CHECK_FAILS(MCL_E_CALLBACK, "temperature gave", mcl_encoder_temperature(e, &got, &err));
  }
  ck_assert_double_eq(got, 0.25);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// ---- chunks ------------------------------------------------------------------------------------------

// A pair takes chunks if all that it trains does: a host's tower that is locked is only embedded by.
START_TEST(a_pair_takes_chunks_if_its_towers_do) {
  make_data();
  mcl_context *c = test_context(1);
  for (int flag = 0; flag < 2; flag++)
    for (uint32_t locked = 0; locked <= 2; locked += 2) {
      host h = {.weight = 0.1F};
      mcl_host_encoder t = table_of(&h, DIM);
      mcl_pair_options o = options_of(DIM, locked);
      t.flags = flag ? MCL_HOST_CHUNKS : 0;
      mcl_encoder *e = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t));
      float z[ROWS * DIM];
      CHECK_OK(forward(e, 0, z));
      CHECK_OK(backward(e, 0));
      if (flag || locked) {
        CHECK_OK(forward(e, 0, z));
        CHECK_OK(backward(e, 0));
      } else {
        CHECK_FAILS(MCL_E_UNSUPPORTED, "takes a batch whole", forward(e, 0, z));
      }
      CHECK_OK(step(e));
      mcl_encoder_unref(e);
    }
  mcl_context_unref(c);
}
END_TEST

// ---- failures ----------------------------------------------------------------------------------------

START_TEST(a_backward_that_fails_gives_up_both_towers) {
  make_data();
  mcl_context *c = test_context(1);
  for (int32_t dim = 0; dim <= DIM; dim += DIM) {
    host h = {.weight = 0.1F}, other = h;
    mcl_host_encoder t = table_of(&h, DIM), t2 = table_of(&other, DIM);
    mcl_pair_options o = options_of(dim, 0);
    mcl_encoder *e = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t));
    mcl_encoder *wanted = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t2));
    h.fail_backward = 1;
    CHECK_FAILS(MCL_E_CALLBACK, "the device is gone", train_once(e, 0.5));
    ck_assert_int_eq(err.host_code, 7);
    h.fail_backward = 0;
    ck_assert_int_ge(h.give_ups, 1);
    CHECK_OK(train_once(e, 0.5));
    CHECK_OK(train_once(wanted, 0.5));
    outcome a = outcome_of(e), b = outcome_of(wanted);
    check_same(&a, &b);
    mcl_encoder_unref(e);
    mcl_encoder_unref(wanted);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_host_whose_step_fails_leaves_the_built_in_tower_where_it_was) {
  make_data();
  mcl_context *c = test_context(1);
  host h = {.weight = 0.1F};
  mcl_host_encoder t = table_of(&h, DIM);
  mcl_pair_options o = options_of(DIM, 0);
  mcl_encoder *e = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t));
  outcome before = outcome_of(e);
  h.fail_step = 1;
  CHECK_FAILS(MCL_E_CALLBACK, "the device is gone", train_once(e, 0.5));
  outcome after = outcome_of(e);
  check_same(&before, &after);
  h.fail_step = 0;
  CHECK_OK(train_once(e, 0.5));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// Gradients of 1e38 overflow when they are added up.
START_TEST(a_gradient_that_overflows_in_one_tower_moves_neither) {
  make_data();
  mcl_context *c = test_context(1);
  for (int m = 0; m < 2; m++)
    for (int32_t dim = 0; dim <= DIM; dim += DIM) {
      mcl_pair_options o = options_of(dim, 0);
      mcl_encoder *e = pair_of(c, &o, image_tower(c, DIM), text_tower(c, DIM));
      outcome before = outcome_of(e);
      for (int i = 0; i < ROWS * DIM; i++) gradients[m][i] = 1e38F;
      mcl_status s = train_once(e, 0.5);
      ck_assert_int_eq(s, MCL_E_NOT_FINITE);
      outcome after = outcome_of(e);
      check_same(&before, &after);
      make_data();
      mcl_encoder *wanted = pair_of(c, &o, image_tower(c, DIM), text_tower(c, DIM));
      CHECK_OK(train_once(e, 0.5));
      CHECK_OK(train_once(wanted, 0.5));
      before = outcome_of(wanted), after = outcome_of(e);
      check_same(&before, &after);
      mcl_encoder_unref(e);
      mcl_encoder_unref(wanted);
    }
  mcl_context_unref(c);
}
END_TEST

// ---- the weights of another ---------------------------------------------------------------------------

// Which tower is locked does not matter to it.
START_TEST(a_pair_starts_from_the_towers_projections_and_temperature_of_another) {
  make_data();
  mcl_context *c = test_context(2);
  for (uint32_t locked = 0; locked < 4; locked++) {
    mcl_encoder *from = projected(c, 0), *e = projected(c, locked), *fresh = projected(c, locked);
    train(from, 3);
    train(e, 2);
    CHECK_OK(mcl_encoder_start_from(e, from, &err));
    CHECK_OK(mcl_encoder_start_from(fresh, from, &err));
    outcome wanted = outcome_of(from), got = outcome_of(e);
    check_same(&wanted, &got);
    train(e, 2);
    train(fresh, 2);
    outcome a = outcome_of(e), b = outcome_of(fresh);
    check_same(&a, &b); // no moments, whatever it had learnt before
    got = outcome_of(from);
    check_same(&wanted, &got);
    mcl_encoder_unref(from);
    mcl_encoder_unref(e);
    mcl_encoder_unref(fresh);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_hosts_tower_starts_by_its_own_function_and_before_the_built_in_one) {
  make_data();
  mcl_context *c = test_context(1);
  host h = {.weight = 0.1F}, other = {.weight = 9};
  mcl_host_encoder t = table_of(&h, DIM), t2 = table_of(&other, DIM);
  t.start_from = t2.start_from = host_start_from;
  mcl_pair_options o = options_of(DIM, 0);
  mcl_encoder *from = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t));
  mcl_encoder *e = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t2));
  train(from, 2);
  outcome before = outcome_of(e), wanted = outcome_of(from);
  other.fail_load = 1;
  CHECK_FAILS(MCL_E_FORMAT, "not my format", mcl_encoder_start_from(e, from, &err));
  outcome after = outcome_of(e);
  check_same(&before, &after);
  other.fail_load = 0;
  CHECK_OK(mcl_encoder_start_from(e, from, &err));
  after = outcome_of(e);
  check_same(&wanted, &after);
  mcl_encoder_unref(from);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// A locked one without the function is what its maker made it; one that is trained must have it.
START_TEST(a_host_that_cannot_start_may_be_locked) {
  make_data();
  mcl_context *c = test_context(1);
  host h = {.weight = 0.1F}, other = {.weight = 9};
  mcl_host_encoder t = table_of(&h, DIM), t2 = table_of(&other, DIM);
  mcl_pair_options o = options_of(DIM, 0);
  mcl_encoder *from = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t));
  mcl_encoder *open = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t2));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "start_from", mcl_encoder_start_from(open, from, &err));
  o = options_of(DIM, 2);
  mcl_encoder *locked_from = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t));
  mcl_encoder *locked = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t2));
  train(locked_from, 2);
  CHECK_OK(mcl_encoder_start_from(locked, locked_from, &err));
  ck_assert_float_eq(other.weight, 9);
  outcome a = outcome_of(locked_from), b = outcome_of(locked);
  ck_assert_mem_eq(a.z[0], b.z[0], sizeof a.z[0]);
  mcl_encoder *all[] = {from, open, locked_from, locked};
  for (int i = 0; i < 4; i++) mcl_encoder_unref(all[i]);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_pair_does_not_start_from_another_kind_of_pair) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_pair_options o = options_of(0, 0);
  mcl_encoder *e = projected(c, 0), *alone = image_tower(c, DIM);
  mcl_encoder *plain = pair_of(c, &o, image_tower(c, DIM), text_tower(c, DIM));
  o = options_of(DIM, 0);
  host h = {.weight = 1};
  mcl_host_encoder t = table_of(&h, WIDE);
  t.start_from = host_start_from;
  mcl_encoder *others[] = {alone, plain, pair_of(c, &o, image_tower(c, WIDE), text_tower(c, WIDE)),
                           pair_of(c, &o, image_tower_of(c, 2, DIM), text_tower(c, WIDE)),
                           pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t))};
  const char *const words[] = {"kinds", "cannot start from", "cannot start from",
                               "cannot start from", "a host's"};
  outcome before = outcome_of(e);
  for (int i = 0; i < 5; i++) {
    CHECK_FAILS(MCL_E_MISMATCH, words[i], mcl_encoder_start_from(e, others[i], &err));
    outcome after = outcome_of(e);
    check_same(&before, &after);
    mcl_encoder_unref(others[i]);
  }
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// ---- files -------------------------------------------------------------------------------------------

static char pair_path[4200];
static const char *file_in(const char *directory) {
  snprintf(pair_path, sizeof pair_path, "%s/pair.safetensors", directory);
  return pair_path;
}

// The pair's file alone is there: what lay beside it is gone.
static void check_alone(const char *directory) {
  DIR *d = opendir(directory);
  int files = 0;
  for (const struct dirent *f; (f = readdir(d));) files += f->d_name[0] != '.';
  closedir(d);
  ck_assert_int_eq(files, 1);
}

START_TEST(a_resumed_run_goes_on_bit_for_bit) {
  make_data();
  mcl_context *c = test_context(2);
  char directory[4096];
  strcpy(directory, test_directory("pair"));
  const char *path = file_in(directory);
  for (uint32_t locked = 0; locked < 4; locked++) {
    mcl_encoder *e = projected(c, locked), *other = projected(c, locked);
    train(e, 2);
    CHECK_OK(mcl_encoder_save(e, path, &err));
    CHECK_OK(mcl_encoder_load(other, path, &err));
    check_alone(directory);
    train(e, 2);
    train(other, 2);
    outcome a = outcome_of(e), b = outcome_of(other);
    check_same(&a, &b);
    mcl_encoder_unref(e);
    mcl_encoder_unref(other);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_hosts_file_lies_within_the_pairs) {
  make_data();
  mcl_context *c = test_context(1);
  char directory[4096];
  strcpy(directory, test_directory("pair-host"));
  const char *path = file_in(directory);
  host h = {.weight = 0.1F}, other = {.weight = 9};
  mcl_host_encoder t = table_of(&h, DIM), t2 = table_of(&other, DIM);
  mcl_pair_options o = options_of(DIM, 0);
  mcl_encoder *e = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t));
  mcl_encoder *second = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t2));
  train(e, 2);
  CHECK_OK(mcl_encoder_save(e, path, &err));
  check_alone(directory);
  mcl_checkpoint *k = NULL;
  mcl_array shape;
  CHECK_OK(mcl_checkpoint_open(c, path, &k, &err));
  CHECK_OK(mcl_checkpoint_shape(k, "text.file", &shape, &err));
  ck_assert_int_eq(shape.dtype, MCL_U8);
  CHECK_OK(mcl_checkpoint_shape(k, "image.conv0.kernel", &shape, &err));
  mcl_checkpoint_unref(k);
  outcome before = outcome_of(second);
  other.fail_load = 1; // the built-in tower, read before, is not taken
  CHECK_FAILS(MCL_E_FORMAT, "not my format", mcl_encoder_load(second, path, &err));
  outcome after = outcome_of(second);
  check_same(&before, &after);
  other.fail_load = 0;
  CHECK_OK(mcl_encoder_load(second, path, &err));
  check_alone(directory);
  ck_assert_float_eq(other.weight, h.weight);
  train(e, 1);
  train(second, 1);
  before = outcome_of(e), after = outcome_of(second);
  check_same(&before, &after);
  mcl_encoder_unref(e);
  mcl_encoder_unref(second);
  mcl_context_unref(c);
}
END_TEST

static void check_refused(mcl_encoder *e, const char *path, const char *word) {
  outcome before = outcome_of(e);
  CHECK_FAILS(MCL_E_MISMATCH, word, mcl_encoder_load(e, path, &err));
  outcome after = outcome_of(e);
  check_same(&before, &after);
}

START_TEST(files_of_other_pairs_are_refused) {
  make_data();
  mcl_context *c = test_context(1);
  const char *path = file_in(test_directory("pair-other"));
  mcl_encoder *e = projected(c, 0), *alone = image_tower(c, DIM);
  mcl_pair_options o = options_of(0, 0);
  mcl_encoder *plain = pair_of(c, &o, image_tower(c, DIM), text_tower(c, DIM));
  o = options_of(DIM, 0);
  mcl_encoder *wide = pair_of(c, &o, image_tower(c, WIDE), text_tower(c, WIDE));
  mcl_encoder *deep = pair_of(c, &o, image_tower_of(c, 2, DIM), text_tower(c, WIDE));
  host h = {.weight = 1};
  mcl_host_encoder t = table_of(&h, WIDE);
  mcl_encoder *hosted = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t));
  train(e, 1);
  CHECK_OK(mcl_encoder_save(e, path, &err));
  check_refused(plain, path, "libmcl.network");
  check_refused(wide, path, "projection0.kernel");
  check_refused(deep, path, "libmcl.image.network");
  check_refused(hosted, path, "text."); // has tensors that it has not
  CHECK_FAILS(MCL_E_MISMATCH, "libmcl.network", mcl_encoder_load(alone, path, &err));
  CHECK_OK(mcl_encoder_save(hosted, path, &err));
  check_refused(e, path, "libmcl.text.encoder");
  CHECK_OK(mcl_encoder_save(alone, path, &err));
  check_refused(e, path, "libmcl.network");
  t.save = NULL;
  mcl_encoder *unsaved = pair_of(c, &o, image_tower(c, DIM), host_tower(c, &t));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "save", mcl_encoder_save(unsaved, path, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "no/such", mcl_encoder_save(e, "no/such/directory/x", &err));
  mcl_encoder *all[] = {e, alone, plain, wide, deep, hosted, unsaved};
  for (int i = 0; i < 7; i++) mcl_encoder_unref(all[i]);
  mcl_context_unref(c);
}
END_TEST

// ---- options, threads, memory ------------------------------------------------------------------------

START_TEST(bad_options_of_a_pair_are_named) {
  mcl_context *c = test_context(1);
  mcl_encoder *a = image_tower(c, DIM), *b = text_tower(c, DIM), *wide = text_tower(c, WIDE);
  mcl_encoder *e = NULL;
  mcl_pair_options o;
  mcl_optimiser_options optimiser;
  mcl_optimiser_options_init(&optimiser, sizeof optimiser);
  optimiser.beta1 = 2;
#define BAD(field, value, word)                                                                    \
  o = options_of(0, 0);                                                                            \
  o.field = value;                                                                                 \
  CHECK_FAILS(MCL_E_INVALID, word, mcl_encoder_create_pair(c, &o, a, b, &e, &err))
  BAD(temperature, 0.005, "temperature is 0.005");
  BAD(temperature, 1.5, "temperature is 1.5");
  BAD(temperature, NAN, "temperature is nan");
  BAD(locked, 4, "locked is 0x4");
  BAD(locked, 3, "nothing would be trained");
  BAD(dim, -1, "dim is -1");
  BAD(dim, 70000, "dim is 70000");
  BAD(struct_size, 3, "mcl_pair_options");
  BAD(optimiser, &optimiser, "beta1 is 2");
  o = options_of(0, 0);
  CHECK_FAILS(MCL_E_SHAPE, "6 and 8", mcl_encoder_create_pair(c, &o, a, wide, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_encoder_create_pair(NULL, &o, a, b, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "image", mcl_encoder_create_pair(c, &o, NULL, b, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "text", mcl_encoder_create_pair(c, &o, a, NULL, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "one encoder", mcl_encoder_create_pair(c, &o, a, a, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_create_pair(c, &o, a, b, NULL, &err));
  host h = {.weight = 1};
  mcl_host_encoder t = table_of(&h, DIM);
  t.projection_dim = 4;
  mcl_encoder *headed = host_tower(c, &t);
  o.dim = DIM;
  CHECK_FAILS(MCL_E_SHAPE, "text encoder has a head, from 6 to 4",
              mcl_encoder_create_pair(c, &o, a, headed, &e, &err));
  t.step = NULL;
  mcl_encoder *still = host_tower(c, &t);
  CHECK_FAILS(MCL_E_UNSUPPORTED, "image encoder cannot be trained: step",
              mcl_encoder_create_pair(c, &o, still, b, &e, &err));
  ck_assert_ptr_null(e);
  mcl_encoder *all[] = {a, b, wide, headed, still};
  for (int i = 0; i < 5; i++) mcl_encoder_unref(all[i]);
  mcl_context_unref(c);
}
END_TEST

START_TEST(training_gives_the_same_bits_for_any_number_of_threads) {
  make_data();
  outcome wanted;
  for (uint32_t threads = 1; threads < 4; threads++) {
    mcl_context *c = test_context(threads);
    mcl_encoder *e = projected(c, 0);
    train(e, 3);
    outcome got = outcome_of(e);
    if (threads == 1) wanted = got;
    check_same(&got, &wanted);
    mcl_encoder_unref(e);
    mcl_context_unref(c);
  }
}
END_TEST

RUN_TESTS("encoder", a_pair_without_projections_is_its_towers,
          with_projections_what_forward_gives_is_held,
          a_batch_of_no_rows_and_of_one_modality_trains,
          a_locked_tower_is_evaluated_and_never_moves,
          projections_are_trained_on_top_of_locked_towers, a_locked_host_needs_embed_only,
          a_temperature_begins_where_it_is_told_and_goes_against_its_gradient,
          a_temperature_stays_within_a_hundredth_and_1, a_temperature_has_its_place_in_a_step,
          where_none_is_learnt_there_is_no_temperature, a_host_may_learn_a_temperature,
          a_pair_takes_chunks_if_its_towers_do, a_backward_that_fails_gives_up_both_towers,
          a_host_whose_step_fails_leaves_the_built_in_tower_where_it_was,
          a_gradient_that_overflows_in_one_tower_moves_neither,
          a_pair_starts_from_the_towers_projections_and_temperature_of_another,
          a_hosts_tower_starts_by_its_own_function_and_before_the_built_in_one,
          a_host_that_cannot_start_may_be_locked, a_pair_does_not_start_from_another_kind_of_pair,
          a_resumed_run_goes_on_bit_for_bit, a_hosts_file_lies_within_the_pairs,
          files_of_other_pairs_are_refused, bad_options_of_a_pair_are_named,
          training_gives_the_same_bits_for_any_number_of_threads)
