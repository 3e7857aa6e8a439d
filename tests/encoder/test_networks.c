// The built-in networks from outside: options, data, the order of a step, files, threads, memory.
#include "support/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/checkpoint.h>
#include <libmcl/encoder.h>

static mcl_error err;

enum { H = 9, W = 8, C = 3, INPUTS = H * W * C, DIM = 10, PROJECTION = 6, ROWS = 37 };

static mcl_cnn_options cnn_options(uint32_t batch_norm) {
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.height = H, o.width = W, o.channels = C;
  o.dim = DIM, o.projection_dim = PROJECTION;
  o.projection_hidden = batch_norm ? 11 : 0;
  o.batch_norm = batch_norm;
  o.seed = 3;
  return o;
}

static mcl_encoder *cnn(mcl_context *c, uint32_t batch_norm) {
  mcl_cnn_options o = cnn_options(batch_norm);
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_cnn(c, &o, &e, &err));
  return e;
}

static mcl_encoder *mlp(mcl_context *c) {
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.inputs = INPUTS, o.hidden = 20, o.dim = DIM, o.projection_dim = PROJECTION;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_mlp(c, &o, &e, &err));
  return e;
}

// The three networks that the tests below go through.
enum { KINDS = 3 };
static mcl_encoder *encoder_of(mcl_context *c, int kind) {
  return kind == 2 ? mlp(c) : cnn(c, (uint32_t)kind);
}

static float images[2][ROWS * INPUTS], gradients[2][ROWS * PROJECTION];

static void make_data(void) {
  for (int v = 0; v < 2; v++) {
    test_fill(images[v], ROWS * INPUTS, 20 + (uint64_t)v, 0, 1);
    test_fill_normal(gradients[v], ROWS * PROJECTION, 30 + (uint64_t)v);
  }
}

static mcl_inputs inputs_of(const mcl_array *data, int32_t view) {
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = data->shape[0];
  in.data = data;
  in.view = view;
  return in;
}

static mcl_status embed(mcl_encoder *e, float *x, int64_t n, float *z) {
  mcl_array data = mcl_images_f32(x, n, H, W, C), out = mcl_matrix_f32(z, n, DIM);
  mcl_inputs in = inputs_of(&data, -1);
  return mcl_encoder_embed(e, &in, &out, &err);
}

static mcl_status forward(mcl_encoder *e, int32_t view, int64_t n, float *z) {
  mcl_array data = mcl_images_f32(images[view], n, H, W, C);
  mcl_array out = mcl_matrix_f32(z, n, PROJECTION);
  mcl_inputs in = inputs_of(&data, view);
  return mcl_encoder_forward(e, &in, &out, &err);
}

static mcl_status backward(mcl_encoder *e, int32_t view, int64_t n) {
  mcl_array grad = mcl_matrix_f32(gradients[view], n, PROJECTION);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = n;
  in.view = view;
  return mcl_encoder_backward(e, &in, &grad, &err);
}

static mcl_status step(mcl_encoder *e, double rate) {
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = rate;
  return mcl_encoder_step(e, &s, &err);
}

static void train(mcl_encoder *e, int steps) {
  float z[ROWS * PROJECTION];
  for (int i = 0; i < steps; i++) {
    for (int v = 0; v < 2; v++) CHECK_OK(forward(e, v, ROWS, z));
    for (int v = 0; v < 2; v++) CHECK_OK(backward(e, v, ROWS));
    CHECK_OK(step(e, 1e-2));
  }
}

// ---- data ------------------------------------------------------------------------------------------

START_TEST(a_row_embeds_alike_alone_and_among_others) {
  make_data();
  mcl_context *c = test_context(2);
  enum { MANY = 600 }; // more than are embedded at a time
  float *x = malloc(MANY * INPUTS * sizeof *x), *z = malloc(MANY * DIM * sizeof *z);
  test_fill(x, MANY * INPUTS, 5, 0, 1);
  for (int kind = 0; kind < KINDS; kind++) {
    mcl_encoder *e = encoder_of(c, kind);
    train(e, 2);
    CHECK_OK(embed(e, x, MANY, z));
    for (int64_t i = 0; i < MANY; i += 41) {
      float alone[DIM];
      CHECK_OK(embed(e, x + i * INPUTS, 1, alone));
      ck_assert_mem_eq(alone, z + i * DIM, sizeof alone);
    }
    CHECK_OK(embed(e, x, 0, z)); // nothing is asked for
    mcl_encoder_unref(e);
  }
  free(x);
  free(z);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bytes_stand_for_their_255th_part) {
  mcl_context *c = test_context(1);
  uint8_t bytes[2 * INPUTS];
  float x[2 * INPUTS], z[2 * DIM], zb[2 * DIM];
  for (int i = 0; i < 2 * INPUTS; i++) {
    bytes[i] = (uint8_t)(i * 37);
    x[i] = (float)bytes[i] / 255;
  }
  mcl_encoder *e = cnn(c, 0);
  mcl_array data = mcl_images_u8(bytes, 2, H, W, C), out = mcl_matrix_f32(zb, 2, DIM);
  mcl_inputs in = inputs_of(&data, -1);
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  CHECK_OK(embed(e, x, 2, z));
  for (int i = 0; i < 2 * DIM; i++) ck_assert(fabsf(z[i] - zb[i]) < 1e-6F);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(data_of_another_kind_is_refused) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = cnn(c, 0);
  float z[DIM * 2] = {5};
  mcl_array out = mcl_matrix_f32(z, 2, DIM);
  mcl_array data = mcl_images_f32(images[0], 2, C, H, W);
  mcl_inputs in = inputs_of(&data, -1);
  CHECK_FAILS(MCL_E_SHAPE, "[3, 9, 8]", mcl_encoder_embed(e, &in, &out, &err));
  data = mcl_matrix_f32(images[0], 2, INPUTS - 1);
  CHECK_FAILS(MCL_E_SHAPE, "215 numbers a row", mcl_encoder_embed(e, &in, &out, &err));
  data = mcl_matrix_f32(images[0], 2, INPUTS);
  data.dtype = MCL_I32;
  CHECK_FAILS(MCL_E_DTYPE, "in->data", mcl_encoder_embed(e, &in, &out, &err));
  data.dtype = MCL_F32;
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err)); // flat rows are fine
  z[0] = 5;
  const int64_t index[2] = {0, 1};
  in.indices = index;
  in.data = NULL;
  CHECK_FAILS(MCL_E_INVALID, "in->data", mcl_encoder_embed(e, &in, &out, &err));
  in.data = &data;
  in.modality = 1;
  CHECK_FAILS(MCL_E_INVALID, "modality", mcl_encoder_embed(e, &in, &out, &err));
  ck_assert_float_eq(z[0], 5);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_nan_among_the_inputs_is_named) {
  make_data();
  mcl_context *c = test_context(2);
  float z[ROWS * DIM];
  for (int kind = 0; kind < KINDS; kind++) {
    mcl_encoder *e = encoder_of(c, kind);
    images[0][30 * INPUTS + 2] = NAN;
    images[0][33 * INPUTS] = INFINITY;
    CHECK_FAILS(MCL_E_NOT_FINITE, "row 30", embed(e, images[0], ROWS, z));
    ck_assert_int_eq(err.row, 30);
    CHECK_FAILS(MCL_E_NOT_FINITE, "row 30", forward(e, 0, ROWS, z));
    ck_assert_int_eq(err.row, 30);
    make_data();
    train(e, 1); // nothing is left of it
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(weights_that_have_blown_up_are_told) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = mlp(c);
  float z[ROWS * DIM];
  CHECK_OK(forward(e, 0, ROWS, z));
  CHECK_OK(backward(e, 0, ROWS));
  CHECK_OK(step(e, 1e30));
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 0", embed(e, images[0], ROWS, z));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(gradients_that_overflow_leave_the_weights) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = cnn(c, 0);
  float before[ROWS * DIM], after[ROWS * DIM], z[ROWS * PROJECTION];
  CHECK_OK(embed(e, images[0], ROWS, before));
  for (int i = 0; i < ROWS * PROJECTION; i++) gradients[0][i] = 3e38F;
  CHECK_OK(forward(e, 0, ROWS, z));
  CHECK_OK(backward(e, 0, ROWS));
  CHECK_FAILS(MCL_E_NOT_FINITE, "the gradient of ", step(e, 1e-2));
  CHECK_OK(embed(e, images[0], ROWS, after));
  ck_assert_mem_eq(before, after, sizeof before);
  make_data();
  train(e, 1); // the batch was given up, another is welcome
  CHECK_OK(embed(e, images[0], ROWS, after));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// ---- training --------------------------------------------------------------------------------------

START_TEST(training_gives_the_same_bits_for_any_number_of_threads) {
  make_data();
  for (int kind = 0; kind < KINDS; kind++) {
    float wanted[ROWS * DIM], z[ROWS * DIM];
    for (uint32_t threads = 1; threads <= 3; threads++) {
      mcl_context *c = test_context(threads);
      mcl_encoder *e = encoder_of(c, kind);
      train(e, 3);
      CHECK_OK(embed(e, images[0], ROWS, threads == 1 ? wanted : z));
      if (threads > 1) ck_assert_mem_eq(z, wanted, sizeof z);
      mcl_encoder_unref(e);
      mcl_context_unref(c);
    }
  }
}
END_TEST

START_TEST(only_a_step_changes_what_embed_gives) {
  make_data();
  mcl_context *c = test_context(1);
  float before[ROWS * DIM], after[ROWS * DIM], z[ROWS * PROJECTION];
  for (int kind = 0; kind < KINDS; kind++) {
    mcl_encoder *e = encoder_of(c, kind);
    CHECK_OK(embed(e, images[0], ROWS, before));
    for (int v = 0; v < 2; v++) CHECK_OK(forward(e, v, ROWS, z));
    CHECK_OK(embed(e, images[0], ROWS, after)); // and embedding leaves the activations alone
    ck_assert_mem_eq(before, after, sizeof before);
    for (int v = 0; v < 2; v++) CHECK_OK(backward(e, v, ROWS));
    CHECK_OK(embed(e, images[0], ROWS, after));
    ck_assert_mem_eq(before, after, sizeof before);
    CHECK_OK(step(e, 1e-2));
    CHECK_OK(embed(e, images[0], ROWS, after));
    ck_assert_mem_ne(before, after, sizeof before);

    mcl_encoder *other = encoder_of(c, kind);
    train(other, 1);
    CHECK_OK(embed(other, images[0], ROWS, before));
    ck_assert_mem_eq(before, after, sizeof before);
    mcl_encoder_unref(other);
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_batch_given_up_leaves_no_trace) {
  make_data();
  mcl_context *c = test_context(1);
  float wanted[ROWS * DIM], got[ROWS * DIM], z[ROWS * PROJECTION];
  for (int kind = 0; kind < KINDS; kind++) {
    mcl_encoder *e = encoder_of(c, kind), *other = encoder_of(c, kind);
    CHECK_OK(forward(e, 1, 5, z)); // begun with other rows, then begun again
    images[1][0] = NAN;
    CHECK_FAILS(MCL_E_NOT_FINITE, "row 0", forward(e, 1, 5, z)); // holds nothing from now on
    make_data();
    for (int i = 0; i < 2; i++) {
      mcl_encoder *both = i ? other : e;
      CHECK_OK(forward(both, 0, ROWS, z));
      CHECK_OK(backward(both, 0, ROWS));
      CHECK_OK(step(both, 1e-2));
    }
    CHECK_OK(forward(e, 0, 5, z));
    train(e, 2);
    train(other, 2);
    CHECK_OK(embed(e, images[0], ROWS, got));
    CHECK_OK(embed(other, images[0], ROWS, wanted));
    ck_assert_mem_eq(got, wanted, sizeof got);
    mcl_encoder_unref(other);
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(batches_of_none_and_of_one_train) {
  make_data();
  mcl_context *c = test_context(1);
  float z[ROWS * DIM];
  for (int kind = 0; kind < KINDS; kind++) {
    mcl_encoder *e = encoder_of(c, kind);
    for (int64_t n = 0; n < 2; n++) {
      for (int v = 0; v < 2; v++) CHECK_OK(forward(e, v, n, z));
      for (int v = 0; v < 2; v++) CHECK_OK(backward(e, v, n));
      CHECK_OK(step(e, 1e-2));
    }
    train(e, 1);
    CHECK_OK(embed(e, images[0], ROWS, z));
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_head_may_be_absent) {
  make_data();
  mcl_context *c = test_context(1);
  for (uint32_t norm = 0; norm < 2; norm++) {
    mcl_cnn_options o = cnn_options(norm);
    o.projection_dim = o.projection_hidden = 0;
    mcl_encoder *e = NULL;
    CHECK_OK(mcl_encoder_create_cnn(c, &o, &e, &err));
    ck_assert_int_eq(mcl_encoder_dim(e), DIM);
    ck_assert_int_eq(mcl_encoder_projection_dim(e), DIM);
    float z[ROWS * DIM], y[ROWS * DIM];
    mcl_array data = mcl_images_f32(images[0], ROWS, H, W, C), out = mcl_matrix_f32(z, ROWS, DIM);
    mcl_inputs in = inputs_of(&data, 0);
    CHECK_OK(mcl_encoder_forward(e, &in, &out, &err));
    CHECK_OK(embed(e, images[0], ROWS, y));
    if (!norm) ck_assert_mem_eq(y, z, sizeof y);
    CHECK_OK(mcl_encoder_backward(e, &in, &out, &err));
    CHECK_OK(step(e, 1e-2));
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(seeds_differ_and_a_loss_goes_down) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_cnn_options o = cnn_options(1);
  mcl_encoder *a = cnn(c, 1), *b = NULL;
  o.seed = 4;
  CHECK_OK(mcl_encoder_create_cnn(c, &o, &b, &err));
  float za[ROWS * DIM], zb[ROWS * DIM];
  CHECK_OK(embed(a, images[0], ROWS, za));
  CHECK_OK(embed(b, images[0], ROWS, zb));
  ck_assert_mem_ne(za, zb, sizeof za);
  // loss = |z - target|^2 / 2 with a fixed target: its gradient is z - target.
  float target[ROWS * PROJECTION], z[ROWS * PROJECTION];
  double first = 0, last = 0;
  test_fill_normal(target, ROWS * PROJECTION, 9);
  for (int i = 0; i < 60; i++) {
    CHECK_OK(forward(a, 0, ROWS, z));
    last = 0;
    for (int j = 0; j < ROWS * PROJECTION; j++) {
      gradients[0][j] = z[j] - target[j];
      last += (double)(gradients[0][j] * gradients[0][j]);
    }
    if (i == 0) first = last;
    CHECK_OK(backward(a, 0, ROWS));
    CHECK_OK(step(a, 1e-2));
  }
  ck_assert_msg(last < 0.1 * first, "from %g to %g only", first, last);
  mcl_encoder_unref(a);
  mcl_encoder_unref(b);
  mcl_context_unref(c);
}
END_TEST

// ---- files -----------------------------------------------------------------------------------------

static const char *file_in(const char *directory, const char *name) {
  static char path[2][4200];
  static int which;
  which = !which;
  snprintf(path[which], sizeof path[which], "%s/%s", directory, name);
  return path[which];
}

START_TEST(a_resumed_run_goes_on_bit_for_bit) {
  make_data();
  mcl_context *c = test_context(2);
  const char *path = file_in(test_directory("networks"), "e.safetensors");
  for (int kind = 0; kind < KINDS; kind++) {
    float wanted[ROWS * DIM], got[ROWS * DIM], z[ROWS * PROJECTION];
    mcl_encoder *e = encoder_of(c, kind);
    train(e, 3);
    CHECK_OK(forward(e, 0, ROWS, z)); // in the middle of a batch: no part of the file
    CHECK_OK(mcl_encoder_save(e, path, &err));
    train(e, 2);
    CHECK_OK(embed(e, images[1], ROWS, wanted));
    mcl_encoder *resumed = encoder_of(c, kind);
    CHECK_OK(forward(resumed, 1, ROWS, z));
    CHECK_OK(backward(resumed, 1, ROWS)); // forgotten by the load
    CHECK_OK(mcl_encoder_load(resumed, path, &err));
    train(resumed, 2);
    CHECK_OK(embed(resumed, images[1], ROWS, got));
    ck_assert_mem_eq(got, wanted, sizeof got);
    mcl_encoder_unref(resumed);
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

// load fails as told, and the encoder embeds as before.
static void check_refused(mcl_encoder *e, const char *path, mcl_status status, const char *word) {
  float before[ROWS * DIM], after[ROWS * DIM];
  CHECK_OK(embed(e, images[0], ROWS, before));
  CHECK_FAILS(status, word, mcl_encoder_load(e, path, &err));
  CHECK_OK(embed(e, images[0], ROWS, after));
  ck_assert_mem_eq(before, after, sizeof before);
}

START_TEST(files_of_other_networks_are_refused) {
  make_data();
  mcl_context *c = test_context(1);
  const char *directory = test_directory("networks-other");
  const char *path = file_in(directory, "e.safetensors");
  mcl_encoder *e = cnn(c, 0), *normed = cnn(c, 1), *dense = mlp(c), *sgd = NULL;
  mcl_optimiser_options optimiser;
  mcl_optimiser_options_init(&optimiser, sizeof optimiser);
  optimiser.kind = MCL_SGD;
  mcl_cnn_options o = cnn_options(0);
  o.optimiser = &optimiser;
  CHECK_OK(mcl_encoder_create_cnn(c, &o, &sgd, &err));
  check_refused(e, path, MCL_E_NOT_FOUND, path);
  CHECK_OK(mcl_encoder_save(e, path, &err));
  check_refused(normed, path, MCL_E_MISMATCH, "libmcl.network");
  check_refused(dense, path, MCL_E_MISMATCH, "libmcl.network");
  check_refused(sgd, path, MCL_E_MISMATCH, "libmcl.optimiser");
  CHECK_OK(mcl_encoder_load(e, path, &err));
  CHECK_OK(mcl_encoder_save(sgd, path, &err));
  CHECK_OK(mcl_encoder_load(sgd, path, &err));
  check_refused(e, path, MCL_E_MISMATCH, "libmcl.optimiser");
  CHECK_FAILS(MCL_E_NOT_FOUND, "no/such", mcl_encoder_save(e, "no/such/directory/x", &err));
  mcl_encoder_unref(e);
  mcl_encoder_unref(normed);
  mcl_encoder_unref(dense);
  mcl_encoder_unref(sgd);
  mcl_context_unref(c);
}
END_TEST

// Writes a file for a tiny MLP (2 inputs, dim 1, no head: dense0.kernel [2, 1], dense0.bias [1]) by hand, with one thing
// wrong.
enum {
  FINE,
  NO_KIND,
  BAD_VERSION,
  BAD_STEPS,
  NO_STEPS,
  MISSING,
  SHAPE,
  EXTRA,
  NOT_FINITE,
  INTEGER,
  WAYS
};

static void write_by_hand(mcl_context *c, const char *path, int wrong) {
  mcl_checkpoint_writer *f = NULL;
  float two[2] = {1, 2}, one[1] = {wrong == NOT_FINITE ? NAN : 3};
  int32_t integer[1] = {3};
  const int64_t vector[1] = {1};
  CHECK_OK(mcl_checkpoint_writer_create(c, path, &f, &err));
  if (wrong != NO_KIND)
    CHECK_OK(
        mcl_checkpoint_writer_meta(f, "libmcl.encoder", wrong == BAD_VERSION ? "2" : "1", &err));
  CHECK_OK(mcl_checkpoint_writer_meta(f, "libmcl.network", "mlp 2, 0 x 256, 1, head 0", &err));
  CHECK_OK(mcl_checkpoint_writer_meta(f, "libmcl.optimiser", "sgd", &err));
  if (wrong != NO_STEPS)
    CHECK_OK(mcl_checkpoint_writer_meta(f, "libmcl.steps", wrong == BAD_STEPS ? "4x" : "4", &err));
  mcl_array kernel = mcl_matrix_f32(two, 2, 1), bias;
  mcl_array_init(&bias, one, MCL_F32, 1, vector);
  if (wrong == SHAPE) kernel = mcl_matrix_f32(two, 1, 2);
  CHECK_OK(mcl_checkpoint_writer_add(f, "dense0.kernel", &kernel, &err));
  CHECK_OK(mcl_checkpoint_writer_add(f, "dense0.kernel.moment", &kernel, &err));
  if (wrong != MISSING) CHECK_OK(mcl_checkpoint_writer_add(f, "dense0.bias.moment", &bias, &err));
  if (wrong == INTEGER) mcl_array_init(&bias, integer, MCL_I32, 1, vector);
  CHECK_OK(mcl_checkpoint_writer_add(f, "dense0.bias", &bias, &err));
  if (wrong == EXTRA) CHECK_OK(mcl_checkpoint_writer_add(f, "dense1.kernel", &bias, &err));
  CHECK_OK(mcl_checkpoint_writer_commit(f, &err));
  mcl_checkpoint_writer_unref(f);
}

START_TEST(a_file_with_one_thing_wrong_changes_nothing) {
  mcl_context *c = test_context(1);
  const char *path = file_in(test_directory("networks-wrong"), "e.safetensors");
  static const struct {
    mcl_status status;
    const char *word;
  } wanted[WAYS] = {
      [NO_KIND] = {MCL_E_MISMATCH, "libmcl.encoder"},
      [BAD_VERSION] = {MCL_E_MISMATCH, "libmcl.encoder"},
      [BAD_STEPS] = {MCL_E_FORMAT, "libmcl.steps"},
      [NO_STEPS] = {MCL_E_FORMAT, "libmcl.steps"},
      [MISSING] = {MCL_E_MISMATCH, "no tensor dense0.bias.moment"},
      [SHAPE] = {MCL_E_MISMATCH, "dense0.kernel"},
      [EXTRA] = {MCL_E_MISMATCH, "dense1.kernel"},
      [NOT_FINITE] = {MCL_E_NOT_FINITE, "dense0.bias"},
      [INTEGER] = {MCL_E_MISMATCH, "dense0.bias"},
  };
  mcl_optimiser_options optimiser;
  mcl_optimiser_options_init(&optimiser, sizeof optimiser);
  optimiser.kind = MCL_SGD;
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.inputs = 2, o.layers = 0, o.dim = 1, o.projection_dim = 0;
  o.optimiser = &optimiser;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_mlp(c, &o, &e, &err));
  float x[2] = {10, 100}, z[1], before[1];
  mcl_array data = mcl_matrix_f32(x, 1, 2), out = mcl_matrix_f32(z, 1, 1);
  mcl_inputs in = inputs_of(&data, -1);
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  before[0] = z[0];
  for (int wrong = NO_KIND; wrong < WAYS; wrong++) {
    write_by_hand(c, path, wrong);
    CHECK_FAILS(wanted[wrong].status, wanted[wrong].word, mcl_encoder_load(e, path, &err));
    CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
    ck_assert_float_eq(z[0], before[0]);
  }
  write_by_hand(c, path, FINE);
  CHECK_OK(mcl_encoder_load(e, path, &err));
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  ck_assert_float_eq(z[0], 10 * 1 + 100 * 2 + 3);
  // A file that is cut short.
  char command[9000];
  snprintf(command, sizeof command, "head -c 300 '%s' > '%s.cut'", path, path);
  ck_assert_int_eq(system(command), 0);
  snprintf(command, sizeof command, "%s.cut", path);
  CHECK_FAILS(MCL_E_FORMAT, ".cut", mcl_encoder_load(e, command, &err));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// ---- options ---------------------------------------------------------------------------------------

START_TEST(bad_options_of_a_cnn_are_named) {
  mcl_context *c = test_context(1);
  mcl_encoder *e = NULL;
  mcl_cnn_options o;
#define BAD(field, value, status, word)                                                            \
  o = cnn_options(0);                                                                              \
  o.field = value;                                                                                 \
  CHECK_FAILS(status, word, mcl_encoder_create_cnn(c, &o, &e, &err))
  static const int32_t filters[3] = {4, 0, 4}, kernels[3] = {3, 3, 16}, strides[3] = {-1, 1, 1};
  static const int32_t wide[3] = {4096, 4096, 4096}, five[3] = {5, 5, 5};
  mcl_optimiser_options optimiser;
  mcl_optimiser_options_init(&optimiser, sizeof optimiser);
  optimiser.beta1 = 2;
  BAD(height, 0, MCL_E_INVALID, "height is 0");
  BAD(width, -3, MCL_E_INVALID, "width is -3");
  BAD(channels, 0, MCL_E_INVALID, "channels is 0");
  BAD(layers, 17, MCL_E_INVALID, "layers is 17");
  BAD(filters, filters, MCL_E_INVALID, "filters[1] is 0");
  BAD(kernels, kernels, MCL_E_INVALID, "kernels[2] is 16");
  BAD(strides, strides, MCL_E_INVALID, "strides[0] is -1");
  BAD(batch_norm, 2, MCL_E_INVALID, "batch_norm is 2");
  BAD(init, -1, MCL_E_INVALID, "init is -1");
  BAD(padding, 2, MCL_E_INVALID, "padding is 2");
  BAD(dim, 0, MCL_E_INVALID, "dim is 0");
  BAD(projection_hidden, -1, MCL_E_INVALID, "projection_hidden is -1");
  BAD(projection_dim, 70000, MCL_E_INVALID, "projection_dim is 70000");
  BAD(optimiser, &optimiser, MCL_E_INVALID, "beta1 is 2");
  o = cnn_options(0), o.projection_dim = 0, o.projection_hidden = 8;
  CHECK_FAILS(MCL_E_INVALID, "projection_hidden", mcl_encoder_create_cnn(c, &o, &e, &err));
  o = cnn_options(0),
  o.padding = MCL_PADDING_VALID; // 9 x 8 -> 3 x 2, where a kernel of 3 has no room
  CHECK_FAILS(MCL_E_SHAPE, "conv1", mcl_encoder_create_cnn(c, &o, &e, &err));
  o = cnn_options(0), o.filters = wide, o.kernels = five;
  CHECK_FAILS(MCL_E_LIMIT, "conv2", mcl_encoder_create_cnn(c, &o, &e, &err));
  o = cnn_options(0), o.height = o.width = 4096;
  CHECK_FAILS(MCL_E_LIMIT, "dense0", mcl_encoder_create_cnn(c, &o, &e, &err));
  o.filters = wide;
  CHECK_FAILS(MCL_E_LIMIT, "layer 0", mcl_encoder_create_cnn(c, &o, &e, &err));
  o = cnn_options(0);
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_encoder_create_cnn(NULL, &o, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_create_cnn(c, &o, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "height", mcl_encoder_create_cnn(c, NULL, &e, &err));
  ck_assert_ptr_null(e);
  mcl_context_unref(c);
}
END_TEST

#undef BAD

START_TEST(with_glorots_weights_biases_begin_at_0) {
  mcl_context *c = test_context(1);
  mcl_cnn_options o = cnn_options(0);
  mcl_encoder *e = NULL;
  make_data();
  o.init = MCL_INIT_GLOROT;
  CHECK_OK(mcl_encoder_create_cnn(c, &o, &e, &err));
  float black[INPUTS] = {0}, z[DIM];
  CHECK_OK(embed(e, black, 1, z));
  for (int i = 0; i < DIM; i++) ck_assert_float_eq(z[i], 0); // nothing but biases
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_options_of_an_mlp_are_named) {
  mcl_context *c = test_context(1);
  mcl_encoder *e = NULL;
  mcl_mlp_options o;
#define BAD(field, value, word)                                                                    \
  mcl_mlp_options_init(&o, sizeof o);                                                              \
  o.inputs = 10;                                                                                   \
  o.field = value;                                                                                 \
  CHECK_FAILS(MCL_E_INVALID, word, mcl_encoder_create_mlp(c, &o, &e, &err))
  BAD(inputs, 0, "inputs is 0");
  BAD(hidden, 0, "hidden is 0");
  BAD(layers, -1, "layers is -1");
  BAD(dim, 70000, "dim is 70000");
  BAD(projection_dim, -1, "projection_dim is -1");
  BAD(struct_size, 3, "mcl_mlp_options");
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_encoder_create_mlp(NULL, &o, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_create_mlp(c, &o, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "inputs", mcl_encoder_create_mlp(c, NULL, &e, &err));
  ck_assert_ptr_null(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(layers_beyond_the_defaults_have_defaults_too) {
  mcl_context *c = test_context(1);
  mcl_cnn_options o = cnn_options(0);
  o.layers = 5;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_cnn(c, &o, &e, &err));
  float z[DIM];
  make_data();
  CHECK_OK(embed(e, images[0], 1, z));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// ---- memory ----------------------------------------------------------------------------------------

// ---- what an online probe is given ------------------------------------------------------------------

static mcl_status held(mcl_encoder *e, int32_t view, int64_t n, float *z) {
  mcl_array out = mcl_matrix_f32(z, n, DIM);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = n;
  in.view = view;
  return mcl_encoder_held(e, &in, &out, &err);
}

START_TEST(without_batch_norm_the_held_embedding_is_the_embedding) {
  make_data();
  mcl_context *c = test_context(2);
  float y[ROWS * PROJECTION], got[ROWS * DIM], wanted[ROWS * DIM];
  for (int kind = 0; kind < KINDS; kind += 2) {
    mcl_encoder *e = encoder_of(c, kind);
    for (int v = 0; v < 2; v++) {
      CHECK_OK(forward(e, v, ROWS, y));
      CHECK_OK(held(e, v, ROWS, got));
      CHECK_OK(embed(e, images[v], ROWS, wanted));
      ck_assert_mem_eq(got, wanted, sizeof got);
    }
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

// Without a head, forward gives the embedding itself, normalised by the rows of the batch.
START_TEST(with_batch_norm_the_held_embedding_is_that_of_training) {
  make_data();
  mcl_context *c = test_context(2);
  mcl_cnn_options o = cnn_options(1);
  o.projection_dim = o.projection_hidden = 0;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_cnn(c, &o, &e, &err));
  float got[ROWS * DIM], wanted[ROWS * DIM], evaluated[ROWS * DIM];
  mcl_array data = mcl_images_f32(images[0], ROWS, H, W, C);
  mcl_array out = mcl_matrix_f32(wanted, ROWS, DIM);
  mcl_inputs in = inputs_of(&data, 0);
  CHECK_OK(mcl_encoder_forward(e, &in, &out, &err));
  CHECK_OK(held(e, 0, ROWS, got));
  CHECK_OK(embed(e, images[0], ROWS, evaluated));
  ck_assert_mem_eq(got, wanted, sizeof got);
  ck_assert(memcmp(got, evaluated, sizeof got) != 0);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(embeddings_are_held_from_forward_until_the_step) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = cnn(c, 1);
  float y[ROWS * PROJECTION], z[ROWS * DIM], again[ROWS * DIM];
  CHECK_FAILS(MCL_E_STATE, "view 0", held(e, 0, ROWS, z));
  CHECK_OK(forward(e, 0, ROWS, y));
  CHECK_FAILS(MCL_E_STATE, "view 1", held(e, 1, ROWS, z));
  CHECK_FAILS(MCL_E_SHAPE, "in->n", held(e, 0, ROWS - 1, z));
  CHECK_OK(held(e, 0, ROWS, z));
  CHECK_OK(backward(e, 0, ROWS));
  CHECK_OK(held(e, 0, ROWS, again));
  ck_assert_mem_eq(z, again, sizeof z);
  CHECK_OK(step(e, 1e-3));
  CHECK_FAILS(MCL_E_STATE, "view 0", held(e, 0, ROWS, z));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("encoder", a_row_embeds_alike_alone_and_among_others, bytes_stand_for_their_255th_part,
          data_of_another_kind_is_refused, a_nan_among_the_inputs_is_named,
          weights_that_have_blown_up_are_told, gradients_that_overflow_leave_the_weights,
          training_gives_the_same_bits_for_any_number_of_threads,
          only_a_step_changes_what_embed_gives, a_batch_given_up_leaves_no_trace,
          batches_of_none_and_of_one_train, a_head_may_be_absent, seeds_differ_and_a_loss_goes_down,
          a_resumed_run_goes_on_bit_for_bit, files_of_other_networks_are_refused,
          a_file_with_one_thing_wrong_changes_nothing, bad_options_of_a_cnn_are_named,
          with_glorots_weights_biases_begin_at_0, bad_options_of_an_mlp_are_named,
          layers_beyond_the_defaults_have_defaults_too,
          without_batch_norm_the_held_embedding_is_the_embedding,
          with_batch_norm_the_held_embedding_is_that_of_training,
          embeddings_are_held_from_forward_until_the_step)
