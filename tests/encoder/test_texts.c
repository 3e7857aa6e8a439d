// The networks for texts from outside: options, data, files, threads, memory.
#include "encoder/bits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/checkpoint.h>
#include <libmcl/encoder.h>

static mcl_error err;

enum { ROWS = 23, CONTEXT = 9, VOCABULARY = 40, END = 39, DIM = 10, PROJECTION = 6, KINDS = 3 };

static int32_t texts[2][ROWS * CONTEXT];
static float gradients[2][ROWS * PROJECTION];

static void make_data(void) {
  for (int v = 0; v < 2; v++) {
    for (int i = 0; i < ROWS * CONTEXT; i++) texts[v][i] = (i * 7 + i / 5 + 11 * v) % END;
    for (int i = 0; i < ROWS; i++) texts[v][i * CONTEXT + (3 + i) % CONTEXT] = END;
    test_fill_normal(gradients[v], ROWS * PROJECTION, 30 + (uint64_t)v);
  }
}

static mcl_bag_options bag_options(void) {
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o);
  o.vocabulary = VOCABULARY, o.context = CONTEXT, o.embed = 12, o.hidden = 14;
  o.dim = DIM, o.projection_dim = PROJECTION;
  return o;
}

static mcl_text_options text_options(void) {
  mcl_text_options o;
  mcl_text_options_init(&o, sizeof o);
  o.vocabulary = VOCABULARY, o.context = CONTEXT, o.embed = 16, o.end = END;
  o.dim = DIM, o.projection_dim = PROJECTION;
  return o;
}

// A bag; a causal transformer; one that sees the whole row.
static mcl_status create(mcl_context *c, int kind, mcl_encoder **e) {
  mcl_bag_options bag = bag_options();
  mcl_text_options text = text_options();
  text.causal = kind == 1;
  if (kind == 0) return mcl_encoder_create_bag(c, &bag, e, &err);
  return mcl_encoder_create_text(c, &text, e, &err);
}

static mcl_encoder *encoder_of(mcl_context *c, int kind) {
  mcl_encoder *e = NULL;
  CHECK_OK(create(c, kind, &e));
  return e;
}

static mcl_array array_of(const int32_t *ids, int64_t n) {
  mcl_array a;
  const int64_t shape[2] = {n, CONTEXT};
  mcl_array_init(&a, (int32_t *)(uintptr_t)ids, MCL_I32, 2, shape);
  return a;
}

static mcl_inputs inputs_of(const mcl_array *data, int32_t view) {
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = data->shape[0];
  in.data = data;
  in.view = view;
  return in;
}

static mcl_status embed(mcl_encoder *e, const int32_t *ids, int64_t n, float *z) {
  mcl_array data = array_of(ids, n), out = mcl_matrix_f32(z, n, DIM);
  mcl_inputs in = inputs_of(&data, -1);
  return mcl_encoder_embed(e, &in, &out, &err);
}

static mcl_status forward(mcl_encoder *e, int32_t view, float *z) {
  mcl_array data = array_of(texts[view], ROWS), out = mcl_matrix_f32(z, ROWS, PROJECTION);
  mcl_inputs in = inputs_of(&data, view);
  return mcl_encoder_forward(e, &in, &out, &err);
}

static mcl_status backward(mcl_encoder *e, int32_t view) {
  mcl_array grad = mcl_matrix_f32(gradients[view], ROWS, PROJECTION);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = ROWS;
  in.view = view;
  return mcl_encoder_backward(e, &in, &grad, &err);
}

static mcl_status step(mcl_encoder *e) {
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = 1e-2;
  return mcl_encoder_step(e, &s, &err);
}

static void train(mcl_encoder *e, int steps) {
  float z[ROWS * PROJECTION];
  for (int i = 0; i < steps; i++) {
    for (int v = 0; v < 2; v++) CHECK_OK(forward(e, v, z));
    for (int v = 0; v < 2; v++) CHECK_OK(backward(e, v));
    CHECK_OK(step(e));
  }
}

// ---- data ------------------------------------------------------------------------------------------

START_TEST(a_row_embeds_alike_alone_and_among_others) {
  make_data();
  mcl_context *c = test_context(2);
  enum { MANY = 300 }; // more than are embedded at a time
  int32_t *ids = malloc(MANY * CONTEXT * sizeof *ids);
  float *z = malloc(MANY * DIM * sizeof *z), alone[DIM];
  for (int i = 0; i < MANY * CONTEXT; i++) ids[i] = texts[0][i % (ROWS * CONTEXT)];
  for (int kind = 0; kind < KINDS; kind++) {
    mcl_encoder *e = encoder_of(c, kind);
    train(e, 2);
    CHECK_OK(embed(e, ids, MANY, z));
    for (int64_t i = 0; i < MANY; i += 41) {
      CHECK_OK(embed(e, ids + i * CONTEXT, 1, alone));
      ck_assert_mem_eq(alone, z + i * DIM, sizeof alone);
    }
    mcl_encoder_unref(e);
  }
  free(ids), free(z);
  mcl_context_unref(c);
}
END_TEST

// Two rows of this network have more than the 2^24 numbers of a tape: they are embedded one by one.
START_TEST(a_row_too_long_for_a_tape_embeds_alike_alone_and_beside_another) {
  enum { LONG = 60000, WIDE = 16 };
  mcl_context *c = test_context(2);
  mcl_text_options o = text_options();
  o.context = LONG, o.embed = WIDE, o.layers = 1, o.end = -1;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_text(c, &o, &e, &err));
  int32_t *ids = calloc(2 * LONG, sizeof *ids);
  float z[2 * DIM], alone[DIM];
  for (int i = 0; i < 2 * LONG; i++) ids[i] = i * 31 % VOCABULARY;
  for (int i = 20; i < LONG; i++) ids[i] = ids[LONG + i] = 0;
  const int64_t shape[2] = {2, LONG};
  mcl_array data, out = mcl_matrix_f32(z, 2, DIM);
  mcl_array_init(&data, ids, MCL_I32, 2, shape);
  mcl_inputs in = inputs_of(&data, -1);
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  const int64_t second[2] = {1, LONG};
  mcl_array_init(&data, ids + LONG, MCL_I32, 2, second);
  out = mcl_matrix_f32(alone, 1, DIM);
  in = inputs_of(&data, -1);
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  ck_assert_mem_eq(alone, z + DIM, sizeof alone);
  free(ids);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(tokens_behind_the_end_are_not_seen_by_a_transformer) {
  make_data();
  mcl_context *c = test_context(1);
  int32_t one[CONTEXT] = {4, 5, END, 1, 2, 3, 4, 5, 6}, other[CONTEXT] = {4, 5, END, 9, 9};
  int32_t short_one[CONTEXT] = {4, 5, 6}, longer[CONTEXT] = {4, 5, 6, 1};
  float a[DIM], b[DIM];
  for (int kind = 1; kind < KINDS; kind++) {
    mcl_encoder *e = encoder_of(c, kind);
    CHECK_OK(embed(e, one, 1, a));
    CHECK_OK(embed(e, other, 1, b));
    ck_assert_mem_eq(a, b, sizeof a);
    CHECK_OK(embed(e, short_one, 1, a)); // no end: its last token that is no padding
    CHECK_OK(embed(e, longer, 1, b));
    ck_assert(memcmp(a, b, sizeof a) != 0);
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_bag_knows_no_order_and_a_transformer_does) {
  mcl_context *c = test_context(1);
  int32_t one[CONTEXT] = {1, 2, 3}, other[CONTEXT] = {0, 3, 2, 0, 1};
  int32_t swapped[CONTEXT] = {2, 1, 3};
  for (int kind = 0; kind < KINDS; kind++) {
    mcl_encoder *e = encoder_of(c, kind);
    float a[DIM], b[DIM];
    double apart = 0;
    CHECK_OK(embed(e, one, 1, a));
    CHECK_OK(embed(e, kind == 0 ? other : swapped, 1, b));
    for (int i = 0; i < DIM; i++) apart = test_worse(apart, fabs((double)(a[i] - b[i])));
    ck_assert(kind == 0 ? apart < 1e-6 : apart > 1e-4);
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_token_out_of_range_is_named_by_its_row) {
  make_data();
  mcl_context *c = test_context(1);
  float z[ROWS * DIM], y[ROWS * PROJECTION];
  static const int32_t bad[] = {-1, VOCABULARY};
  for (int kind = 0; kind < KINDS; kind++)
    for (int b = 0; b < 2; b++) {
      mcl_encoder *e = encoder_of(c, kind);
      int32_t kept = texts[0][7 * CONTEXT + 4];
      texts[0][7 * CONTEXT + 4] = bad[b];
      CHECK_FAILS(MCL_E_INVALID, "row 7, at 4", embed(e, texts[0], ROWS, z));
      ck_assert_int_eq(err.row, 7);
      CHECK_FAILS(MCL_E_INVALID, "not 0..39", forward(e, 0, y));
      texts[0][7 * CONTEXT + 4] = kept;
      train(e, 1);
      mcl_encoder_unref(e);
    }
  mcl_context_unref(c);
}
END_TEST

START_TEST(data_of_another_kind_is_refused) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, 1);
  float z[ROWS * DIM], numbers[CONTEXT] = {0};
  mcl_array out = mcl_matrix_f32(z, 1, DIM), data = mcl_matrix_f32(numbers, 1, CONTEXT);
  mcl_inputs in = inputs_of(&data, -1);
  CHECK_FAILS(MCL_E_DTYPE, "MCL_I32", mcl_encoder_embed(e, &in, &out, &err));
  const int64_t narrow[2] = {1, CONTEXT - 1}, deep[3] = {1, 3, 3};
  mcl_array_init(&data, texts[0], MCL_I32, 2, narrow);
  CHECK_FAILS(MCL_E_SHAPE, "8 numbers a row", mcl_encoder_embed(e, &in, &out, &err));
  mcl_array_init(&data, texts[0], MCL_I32, 3, deep);
  CHECK_FAILS(MCL_E_SHAPE, "3 dimensions", mcl_encoder_embed(e, &in, &out, &err));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(tokens_may_be_strided) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, 1);
  int32_t spread[CONTEXT * ROWS];
  float z[ROWS * DIM], wanted[ROWS * DIM];
  for (int i = 0; i < ROWS; i++)
    for (int k = 0; k < CONTEXT; k++) spread[k * ROWS + i] = texts[0][i * CONTEXT + k];
  mcl_array data = array_of(spread, ROWS), out = mcl_matrix_f32(z, ROWS, DIM);
  data.strides[0] = 1, data.strides[1] = ROWS;
  mcl_inputs in = inputs_of(&data, -1);
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  CHECK_OK(embed(e, texts[0], ROWS, wanted));
  ck_assert_mem_eq(z, wanted, sizeof z);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// ---- training --------------------------------------------------------------------------------------

static void embed_rows(mcl_encoder *e, float *z) {
  CHECK_OK(embed(e, texts[1], ROWS, z));
}

static const subject all_kinds = {"texts", KINDS, ROWS, encoder_of, train, embed_rows};

START_TEST(training_gives_the_same_bits_for_any_number_of_threads) {
  make_data();
  check_same_bits_for_any_threads(&all_kinds);
}
END_TEST

START_TEST(a_resumed_run_goes_on_bit_for_bit) {
  make_data();
  check_resumed_bit_for_bit(&all_kinds);
}
END_TEST

START_TEST(it_starts_from_the_weights_of_another_with_an_optimiser_anew) {
  make_data();
  check_starts_from_the_bits_of_another(&all_kinds);
}
END_TEST

START_TEST(initial_weights_are_clips) {
  mcl_context *c = test_context(1);
  mcl_text_options o = text_options();
  o.embed = 64, o.layers = 8, o.vocabulary = 500, o.projection_dim = 0, o.dim = 64;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_text(c, &o, &e, &err));
  char path[4200];
  snprintf(path, sizeof path, "%s/e.safetensors", test_directory("texts-initial"));
  CHECK_OK(mcl_encoder_save(e, path, &err));
  static const struct {
    const char *name;
    int64_t rows, cols;
    double deviation;
  } wanted[] = {{"embedding0.table", 500, 64, .02},
                {"position0.table", 9, 64, .01},
                {"dense0.kernel", 64, 192, .125},
                {"dense1.kernel", 64, 64, .125 / 4},
                {"dense30.kernel", 64, 256, .125 / M_SQRT2},
                {"dense31.kernel", 256, 64, .125 / 4},
                {"dense32.kernel", 64, 64, .125}};
  mcl_checkpoint *k = NULL;
  CHECK_OK(mcl_checkpoint_open(c, path, &k, &err));
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    int64_t n = wanted[i].rows * wanted[i].cols;
    float *x = malloc((size_t)n * sizeof *x);
    mcl_array a = mcl_matrix_f32(x, wanted[i].rows, wanted[i].cols);
    CHECK_OK(mcl_checkpoint_read(k, wanted[i].name, &a, &err));
    double squares = 0;
    for (int64_t j = 0; j < n; j++) squares += (double)x[j] * (double)x[j] / (double)n;
    // Four deviations of the estimate.
    ck_assert_msg(fabs(sqrt(squares) / wanted[i].deviation - 1) < 4 / sqrt(2.0 * (double)n),
                  "%s has %g", wanted[i].name, sqrt(squares));
    free(x);
  }
  mcl_checkpoint_unref(k);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// ---- options ---------------------------------------------------------------------------------------

START_TEST(bad_options_of_a_bag_are_named) {
  mcl_context *c = test_context(1);
  mcl_encoder *e = NULL;
  mcl_bag_options o;
#define BAD(field, value, word)                                                                    \
  o = bag_options();                                                                               \
  o.field = value;                                                                                 \
  CHECK_FAILS(MCL_E_INVALID, word, mcl_encoder_create_bag(c, &o, &e, &err))
  BAD(vocabulary, 0, "vocabulary is 0");
  BAD(context, 0, "context is 0");
  BAD(embed, 0, "embed is 0");
  BAD(mean, 2, "mean is 2");
  BAD(hidden, 0, "hidden is 0");
  BAD(layers, 17, "layers is 17");
  BAD(padding, VOCABULARY, "padding is 40");
  BAD(dim, 0, "dim is 0");
  BAD(projection_dim, -1, "projection_dim is -1");
  BAD(reserved, 1, "reserved is 1");
  BAD(struct_size, 3, "mcl_bag_options");
  o = bag_options(), o.vocabulary = 1 << 24;
  o.embed = 64;
  CHECK_FAILS(MCL_E_LIMIT, "bag0.table", mcl_encoder_create_bag(c, &o, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_encoder_create_bag(NULL, &o, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_create_bag(c, &o, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "vocabulary", mcl_encoder_create_bag(c, NULL, &e, &err));
  ck_assert_ptr_null(e);
  mcl_context_unref(c);
}
END_TEST

#undef BAD

START_TEST(bad_options_of_a_transformer_are_named) {
  mcl_context *c = test_context(1);
  mcl_encoder *e = NULL;
  mcl_text_options o;
#define BAD(field, value, word)                                                                    \
  o = text_options();                                                                              \
  o.field = value;                                                                                 \
  CHECK_FAILS(MCL_E_INVALID, word, mcl_encoder_create_text(c, &o, &e, &err))
  BAD(vocabulary, 0, "vocabulary is 0");
  BAD(context, -2, "context is -2");
  BAD(embed, 0, "embed is 0");
  BAD(layers, 0, "layers is 0");
  BAD(heads, 0, "heads is 0");
  BAD(heads, 5, "heads is 5, which does not divide embed, 16");
  BAD(causal, 2, "causal is 2");
  BAD(gelu, 0, "gelu is 0");
  BAD(padding, -2, "padding is -2");
  BAD(end, VOCABULARY, "end is 40");
  BAD(dim, -1, "dim is -1");
  BAD(trained_blocks, 3, "trained_blocks is 3, not -1..2");
  BAD(hidden, -1, "hidden is -1");
  BAD(projection_dim, 70000, "projection_dim is 70000");
  BAD(reserved, 1, "reserved is 1");
  o = text_options(), o.context = 65536, o.embed = 65536;
  CHECK_FAILS(MCL_E_LIMIT, "2^28", mcl_encoder_create_text(c, &o, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_encoder_create_text(NULL, &o, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_create_text(c, &o, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "vocabulary", mcl_encoder_create_text(c, NULL, &e, &err));
  ck_assert_ptr_null(e);
  mcl_context_unref(c);
}
END_TEST

// ---- memory ----------------------------------------------------------------------------------------

RUN_TESTS("encoder", a_row_embeds_alike_alone_and_among_others,
          a_row_too_long_for_a_tape_embeds_alike_alone_and_beside_another,
          tokens_behind_the_end_are_not_seen_by_a_transformer,
          a_bag_knows_no_order_and_a_transformer_does, a_token_out_of_range_is_named_by_its_row,
          data_of_another_kind_is_refused, tokens_may_be_strided,
          training_gives_the_same_bits_for_any_number_of_threads,
          it_starts_from_the_weights_of_another_with_an_optimiser_anew,
          a_resumed_run_goes_on_bit_for_bit, initial_weights_are_clips,
          bad_options_of_a_bag_are_named, bad_options_of_a_transformer_are_named)
