// A batch in chunks (Gao et al. 2021): all projections chunk by chunk, the loss on all of them, every chunk once more with
// its slice of the gradient, one step. Against the step that holds the whole batch.
#include "support/suite.h"

#include <math.h>
#include <string.h>

#include <libmcl/encoder.h>
#include <libmcl/loss.h>

static mcl_error err;

enum { ROWS = 90, SIDE = 8, INPUTS = SIDE * SIDE, CONTEXT = 5, WORDS = 30, DIM = 7, STEPS = 3 };
enum { MLP, CNN, NORMED, PAIR, KINDS };

static float images[2][ROWS * INPUTS];
static int32_t texts[ROWS * CONTEXT];
static int64_t cells[ROWS];

// Cells of about a half, a third and a sixth of the rows, in pieces: of a packed batch.
static void make_data(void) {
  for (int v = 0; v < 2; v++) test_fill(images[v], ROWS * INPUTS, 20 + (uint64_t)v, 0, 1);
  for (int i = 0; i < ROWS; i++) {
    int k = i * 5 % 6;
    cells[i] = k < 3 ? 4 : k < 5 ? 0 : 9;
    for (int j = 0; j < CONTEXT; j++) texts[i * CONTEXT + j] = (i * 7 + j * j * 3) % WORDS;
  }
}

// Plain gradient descent: Adam divides by the gradient's size, and so makes rounding visible where a gradient is nearly 0.
static mcl_optimiser_options descent(void) {
  mcl_optimiser_options o;
  mcl_optimiser_options_init(&o, sizeof o);
  o.kind = MCL_SGD;
  o.momentum = 0.5;
  return o;
}

static mcl_encoder *mlp(mcl_context *c, int32_t projection_dim) {
  mcl_optimiser_options optimiser = descent();
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.inputs = INPUTS, o.hidden = 20, o.dim = DIM, o.projection_dim = projection_dim;
  o.optimiser = &optimiser;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_mlp(c, &o, &e, &err));
  return e;
}

static mcl_encoder *cnn(mcl_context *c, uint32_t batch_norm) {
  const int32_t filters[2] = {6, 8};
  mcl_optimiser_options optimiser = descent();
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.height = o.width = SIDE, o.channels = 1, o.layers = 2, o.filters = filters;
  o.dim = DIM, o.projection_dim = DIM, o.batch_norm = batch_norm;
  o.optimiser = &optimiser;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_cnn(c, &o, &e, &err));
  return e;
}

static mcl_encoder *pair(mcl_context *c) {
  mcl_optimiser_options optimiser = descent();
  mcl_bag_options text;
  mcl_pair_options o;
  mcl_bag_options_init(&text, sizeof text);
  mcl_pair_options_init(&o, sizeof o);
  text.vocabulary = WORDS, text.context = CONTEXT, text.embed = 6, text.dim = DIM + 2;
  o.dim = DIM, o.temperature = 0.2;
  text.optimiser = o.optimiser = &optimiser;
  mcl_encoder *e = NULL, *a = mlp(c, 0), *b = NULL;
  CHECK_OK(mcl_encoder_create_bag(c, &text, &b, &err));
  CHECK_OK(mcl_encoder_create_pair(c, &o, a, b, &e, &err));
  mcl_encoder_unref(a);
  mcl_encoder_unref(b);
  return e;
}

static mcl_encoder *encoder_of(mcl_context *c, int kind) {
  return kind == PAIR ? pair(c) : kind == MLP ? mlp(c, DIM) : cnn(c, kind == NORMED);
}

// ---- a step ----------------------------------------------------------------------------------------

// Rows first .. first + n - 1 of view v.
static mcl_inputs inputs_of(int kind, int v, int64_t first, int64_t n, mcl_array *data) {
  const int64_t shape[2] = {n, CONTEXT};
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  if (kind == PAIR && v == 1)
    mcl_array_init(data, texts + first * CONTEXT, MCL_I32, 2, shape);
  else
    *data = mcl_matrix_f32(images[v] + first * INPUTS, n, INPUTS);
  in.n = n, in.modality = kind == PAIR ? v : 0, in.view = v, in.data = data;
  return in;
}

static float z[2][ROWS * DIM], dz[2][ROWS * DIM];

static mcl_status forward(mcl_encoder *e, int kind, int v, int64_t first, int64_t n, float *to) {
  mcl_array data, out = mcl_matrix_f32(to, n, DIM);
  mcl_inputs in = inputs_of(kind, v, first, n, &data);
  return mcl_encoder_forward(e, &in, &out, &err);
}

static mcl_status backward(mcl_encoder *e, int kind, int v, int64_t first, int64_t n) {
  mcl_array data, grad = mcl_matrix_f32(dz[v] + first * DIM, n, DIM);
  mcl_inputs in = inputs_of(kind, v, first, n, &data);
  return mcl_encoder_backward(e, &in, &grad, &err);
}

static mcl_loss_result loss_of(mcl_context *c, mcl_encoder *e, int kind) {
  mcl_array a = mcl_matrix_f32(z[0], ROWS, DIM), b = mcl_matrix_f32(z[1], ROWS, DIM);
  mcl_array da = mcl_matrix_f32(dz[0], ROWS, DIM), db = mcl_matrix_f32(dz[1], ROWS, DIM);
  mcl_loss_options o;
  mcl_loss_inputs in;
  mcl_loss_result r;
  mcl_loss_options_init(&o, sizeof o);
  mcl_struct_init(&in, sizeof in);
  mcl_struct_init(&r, sizeof r);
  in.za = &a, in.zb = &b, in.dza = &da, in.dzb = &db, in.cells = cells;
  if (kind == PAIR) CHECK_OK(mcl_encoder_temperature(e, &o.temperature, &err));
  CHECK_OK(kind == PAIR ? mcl_loss_info_nce(c, &o, &in, &r, &err)
                        : mcl_loss_nt_xent(c, &o, &in, &r, &err));
  return r;
}

// A sum of words has larger gradients than a mean over pixels.
static mcl_status step(mcl_encoder *e) {
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = mcl_encoder_modalities(e) == 2 ? 0.02 : 0.5;
  return mcl_encoder_step(e, &s, &err);
}

// The whole batch at once, as encoder.h has it.
static void train_whole(mcl_context *c, mcl_encoder *e, int kind) {
  for (int v = 0; v < 2; v++) CHECK_OK(forward(e, kind, v, 0, ROWS, z[v]));
  mcl_loss_result r = loss_of(c, e, kind);
  for (int v = 0; v < 2; v++) CHECK_OK(backward(e, kind, v, 0, ROWS));
  if (kind == PAIR) CHECK_OK(mcl_encoder_backward_temperature(e, r.d_log_temperature, &err));
  CHECK_OK(step(e));
}

// In chunks of `chunk` rows, the last one smaller.
static void train_chunks(mcl_context *c, mcl_encoder *e, int kind, int64_t chunk) {
  float again[ROWS * DIM];
  for (int64_t first = 0; first < ROWS; first += chunk) {
    int64_t n = ROWS - first < chunk ? ROWS - first : chunk;
    for (int v = 0; v < 2; v++) CHECK_OK(forward(e, kind, v, first, n, z[v] + first * DIM));
  }
  mcl_loss_result r = loss_of(c, e, kind);
  for (int64_t first = 0; first < ROWS; first += chunk) {
    int64_t n = ROWS - first < chunk ? ROWS - first : chunk;
    for (int v = 0; v < 2; v++) {
      CHECK_OK(forward(e, kind, v, first, n, again));
      ck_assert_mem_eq(again, z[v] + first * DIM, (size_t)(n * DIM) * sizeof *again);
      CHECK_OK(backward(e, kind, v, first, n));
    }
  }
  if (kind == PAIR) CHECK_OK(mcl_encoder_backward_temperature(e, r.d_log_temperature, &err));
  CHECK_OK(step(e));
}

// ---- what comes of it ------------------------------------------------------------------------------

typedef struct outcome {
  float y[2][ROWS * DIM];
  double temperature;
} outcome;

static void take(mcl_encoder *e, int kind, outcome *o) {
  memset(o, 0, sizeof *o);
  for (int v = 0; v < 2; v++) {
    mcl_array data, out = mcl_matrix_f32(o->y[v], ROWS, DIM);
    mcl_inputs in = inputs_of(kind, v, 0, ROWS, &data);
    CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  }
  if (kind == PAIR) CHECK_OK(mcl_encoder_temperature(e, &o->temperature, &err));
}

// chunk 0: the whole batch at once.
static void train(int kind, uint32_t threads, int64_t chunk, outcome *o) {
  mcl_context *c = test_context(threads);
  mcl_encoder *e = encoder_of(c, kind);
  for (int i = 0; i < STEPS; i++) {
    if (chunk == 0) train_whole(c, e, kind);
    if (chunk > 0) train_chunks(c, e, kind, chunk);
  }
  take(e, kind, o);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}

static double largest_difference(const outcome *a, const outcome *b) {
  double worst = fabs(a->temperature - b->temperature);
  for (int v = 0; v < 2; v++)
    for (int i = 0; i < ROWS * DIM; i++) {
      double d = fabs((double)a->y[v][i] - (double)b->y[v][i]);
      worst = test_worse(worst, d);
    }
  return worst;
}

START_TEST(chunks_of_any_size_come_to_the_step_of_the_whole_batch) {
  make_data();
  static outcome start, whole, chunks;
  const int64_t sizes[] = {1, 13, 30, 45, 89};
  for (int kind = 0; kind < KINDS; kind++) {
    if (kind == NORMED) continue; // its statistics are of a chunk
    train(kind, 1, 0, &whole);
    mcl_context *c = test_context(1);
    mcl_encoder *e = encoder_of(c, kind);
    take(e, kind, &start);
    ck_assert_double_gt(largest_difference(&start, &whole), 1e-3); // it has learnt something
    mcl_encoder_unref(e);
    mcl_context_unref(c);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      train(kind, 1, sizes[i], &chunks);
      double d = largest_difference(&whole, &chunks);
      ck_assert_msg(d < 1e-5, "network %d, chunks of %d: %g", kind, (int)sizes[i], d);
    }
  }
}
END_TEST

START_TEST(one_chunk_of_all_rows_gives_the_same_bits) {
  make_data();
  static outcome whole, chunks;
  for (int kind = 0; kind < KINDS; kind++) {
    train(kind, 1, 0, &whole);
    train(kind, 1, ROWS, &chunks);
    ck_assert_mem_eq(&whole, &chunks, sizeof whole);
  }
}
END_TEST

START_TEST(chunks_give_the_same_bits_for_any_number_of_threads) {
  make_data();
  static outcome one, more;
  for (int kind = 0; kind < KINDS; kind++) {
    train(kind, 1, 40, &one);
    for (uint32_t threads = 2; threads <= 3; threads++) {
      train(kind, threads, 40, &more);
      ck_assert_mem_eq(&one, &more, sizeof one);
    }
  }
}
END_TEST

// (6) of lib/nn/norm.c, seen from outside: with a step of rate 0 only the running figures move, so what embed gives of a row
// is by those of the chunks. Chunks that are copies of one another have its figures for their mean.
START_TEST(running_figures_move_once_a_batch_whatever_the_chunks) {
  make_data();
  enum { HALF = ROWS / 2 };
  for (int v = 0; v < 2; v++) memcpy(images[v] + HALF * INPUTS, images[v], sizeof images[v] / 2);
  static outcome once, twice, start;
  mcl_context *c = test_context(1);
  for (int chunks = 0; chunks <= 2; chunks++) {
    mcl_encoder *e = encoder_of(c, NORMED);
    memset(dz, 0, sizeof dz);
    for (int k = 0; k < chunks; k++)
      for (int v = 0; v < 2; v++) {
        CHECK_OK(forward(e, NORMED, v, k * HALF, HALF, z[v]));
        CHECK_OK(backward(e, NORMED, v, k * HALF, HALF));
      }
    if (chunks > 0) CHECK_OK(step(e));
    take(e, NORMED, chunks == 0 ? &start : chunks == 1 ? &once : &twice);
    mcl_encoder_unref(e);
  }
  ck_assert_mem_eq(&once, &twice, sizeof once);
  ck_assert_double_gt(largest_difference(&start, &once), 1e-3);
  mcl_context_unref(c);
}
END_TEST

// ---- order and failures ----------------------------------------------------------------------------

START_TEST(a_chunk_that_waits_for_its_backward_is_not_overrun) {
  make_data();
  mcl_context *c = test_context(1);
  memset(dz, 0, sizeof dz);
  for (int kind = 0; kind < KINDS; kind++) {
    mcl_encoder *e = encoder_of(c, kind);
    for (int v = 0; v < 2; v++) CHECK_OK(forward(e, kind, v, 0, 10, z[v]));
    CHECK_OK(backward(e, kind, 0, 0, 10));
    CHECK_OK(forward(e, kind, 0, 10, 10, z[0]));
    CHECK_FAILS(MCL_E_STATE, "view 0, which waits", forward(e, kind, 0, 20, 10, z[0]));
    CHECK_OK(forward(e, kind, 1, 10, 10, z[1])); // its last one was made before any backward
    CHECK_FAILS(MCL_E_STATE, "view 1, which waits", forward(e, kind, 1, 20, 10, z[1]));
    CHECK_FAILS(MCL_E_STATE, "waits for its backward", step(e));
    for (int v = 0; v < 2; v++) CHECK_OK(backward(e, kind, v, 10, 10)); // nothing was lost
    CHECK_FAILS(MCL_E_STATE, "a second backward", backward(e, kind, 0, 10, 10));
    CHECK_OK(step(e));
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

// After one chunk's backward: a forward that meets a NaN, and giving up. Nothing of the batch is left in the next one.
START_TEST(a_batch_given_up_between_chunks_leaves_no_trace) {
  make_data();
  static outcome wanted, got;
  mcl_context *c = test_context(1);
  for (int kind = 0; kind < KINDS; kind++) {
    train(kind, 1, 40, &wanted);
    for (int by_hand = 0; by_hand < 2; by_hand++) {
      mcl_encoder *e = encoder_of(c, kind);
      for (int i = 0; i < STEPS; i++) {
        test_fill_normal(dz[0], ROWS * DIM, 5);
        CHECK_OK(forward(e, kind, 0, 0, 10, z[0]));
        CHECK_OK(backward(e, kind, 0, 0, 10));
        if (by_hand) {
          CHECK_OK(mcl_encoder_give_up(e, &err));
        } else {
          float kept = images[0][0];
          images[0][0] = NAN;
          CHECK_FAILS(MCL_E_NOT_FINITE, "row 0", forward(e, kind, 0, 0, 10, z[0]));
          images[0][0] = kept;
        }
        CHECK_FAILS(MCL_E_STATE, "without a backward", step(e));
        train_chunks(c, e, kind, 40);
      }
      take(e, kind, &got);
      ck_assert_mem_eq(&wanted, &got, sizeof wanted);
      mcl_encoder_unref(e);
    }
  }
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_give_up(NULL, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_rows_of_the_last_chunk_are_held) {
  make_data();
  float first[10 * DIM], last[10 * DIM], wanted[20 * DIM];
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, MLP);
  mcl_array data, all = mcl_matrix_f32(wanted, 20, DIM);
  mcl_inputs in = inputs_of(MLP, 0, 0, 20, &data);
  CHECK_OK(mcl_encoder_embed(e, &in, &all, &err));
  in.n = 10;
  mcl_array a = mcl_matrix_f32(first, 10, DIM), b = mcl_matrix_f32(last, 10, DIM);
  memset(dz, 0, sizeof dz);
  CHECK_OK(forward(e, MLP, 0, 0, 10, z[0]));
  CHECK_OK(backward(e, MLP, 0, 0, 10));
  CHECK_OK(mcl_encoder_held(e, &in, &a, &err));
  CHECK_OK(forward(e, MLP, 0, 10, 10, z[0]));
  CHECK_OK(mcl_encoder_held(e, &in, &b, &err));
  ck_assert_mem_eq(first, wanted, sizeof first);
  ck_assert_mem_eq(last, wanted + 10 * DIM, sizeof last);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("encoder", chunks_of_any_size_come_to_the_step_of_the_whole_batch,
          one_chunk_of_all_rows_gives_the_same_bits,
          chunks_give_the_same_bits_for_any_number_of_threads,
          running_figures_move_once_a_batch_whatever_the_chunks,
          a_chunk_that_waits_for_its_backward_is_not_overrun,
          a_batch_given_up_between_chunks_leaves_no_trace, the_rows_of_the_last_chunk_are_held)
