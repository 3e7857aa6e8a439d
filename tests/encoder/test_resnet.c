// Residual networks from outside, and blocks of them that are not trained.
#include "encoder/bits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/network.h"

static mcl_error err;

enum {
  ROWS = 7,
  H = 17,
  W = 20,
  C = 3,
  PIXELS = H * W * C,
  PROJECTION = 6,
  KINDS = 3,
  WIDEST = 96
};

static float images[2][ROWS * PIXELS], gradients[2][ROWS * PROJECTION];
static const double mean[C] = {0.5, 0.4, 0.3}, deviation[C] = {0.2, 0.3, 0.4};

static void make_data(void) {
  for (int v = 0; v < 2; v++) {
    test_fill(images[v], ROWS * PIXELS, 5 + (uint64_t)v, 0, 1);
    test_fill_normal(gradients[v], ROWS * PROJECTION, 30 + (uint64_t)v);
  }
}

static mcl_resnet_options options(void) {
  mcl_resnet_options o;
  mcl_resnet_options_init(&o, sizeof o);
  o.height = H, o.width = W, o.channels = C;
  o.stem = MCL_STEM_CIFAR, o.filters = 3, o.projection_dim = PROJECTION;
  return o;
}

// Basic blocks; bottlenecks, pixels to scale, ImageNet's stem; the last blocks trained only.
static mcl_encoder *encoder_of(mcl_context *c, int kind) {
  mcl_resnet_options o = options();
  mcl_encoder *e = NULL;
  if (kind == 1) o.depth = 50, o.mean = mean, o.deviation = deviation, o.stem = MCL_STEM_IMAGENET;
  if (kind == 2) o.depth = 34, o.trained_blocks = 2, o.projection_layers = 1;
  CHECK_OK(mcl_encoder_create_resnet(c, &o, &e, &err));
  return e;
}

static void embed(mcl_encoder *e, float *x, int64_t n, float *z) {
  mcl_array data = mcl_images_f32(x, n, H, W, C), out = mcl_matrix_f32(z, n, mcl_encoder_dim(e));
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = n, in.data = &data, in.view = -1;
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
}

static void train(mcl_encoder *e, int steps) {
  float z[ROWS * PROJECTION];
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = 1e-3;
  for (int i = 0; i < steps; i++) {
    for (int pass = 0; pass < 4; pass++) {
      mcl_array data = mcl_images_f32(images[pass % 2], ROWS, H, W, C);
      mcl_array out = mcl_matrix_f32(pass < 2 ? z : gradients[pass % 2], ROWS, PROJECTION);
      mcl_inputs in;
      mcl_struct_init(&in, sizeof in);
      in.n = ROWS, in.data = &data, in.view = pass % 2;
      CHECK_OK(pass < 2 ? mcl_encoder_forward(e, &in, &out, &err)
                        : mcl_encoder_backward(e, &in, &out, &err));
    }
    CHECK_OK(mcl_encoder_step(e, &s, &err));
  }
}

START_TEST(the_embedding_is_as_wide_as_the_last_group) {
  mcl_context *c = test_context(1);
  const int32_t dims[KINDS] = {24, 96, 24};
  for (int kind = 0; kind < KINDS; kind++) {
    mcl_encoder *e = encoder_of(c, kind);
    ck_assert_int_eq(mcl_encoder_dim(e), dims[kind]);
    ck_assert_int_eq(mcl_encoder_projection_dim(e), PROJECTION);
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

// torchvision's resnet18 has 11,689,512 numbers with its classifier of 513,000, and batch norms that keep 9,600 running figures.
START_TEST(it_has_as_many_weights_as_torchvisions) {
  mcl_context *c = test_context(1);
  const int32_t depths[3] = {18, 34, 50};
  const int64_t wanted[3] = {11176512, 21284672, 23508032}, running[3] = {9600, 17024, 53120};
  for (int i = 0; i < 3; i++) {
    mcl_resnet_options o;
    mcl_encoder *e = NULL;
    mcl_resnet_options_init(&o, sizeof o);
    o.height = o.width = 64, o.channels = 3, o.depth = depths[i], o.projection_dim = 0;
    CHECK_OK(mcl_encoder_create_resnet(c, &o, &e, &err));
    const mcli_network *w = mcli_encoder_user(e);
    ck_assert_int_eq(w->net.params.n - running[i], wanted[i]);
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_row_embeds_alike_alone_and_among_others) {
  make_data();
  mcl_context *c = test_context(2);
  for (int kind = 0; kind < KINDS; kind++) {
    float z[ROWS * WIDEST], alone[WIDEST];
    mcl_encoder *e = encoder_of(c, kind);
    int32_t dim = mcl_encoder_dim(e);
    train(e, 2);
    embed(e, images[0], ROWS, z);
    for (int64_t i = 0; i < ROWS; i++) {
      embed(e, images[0] + i * PIXELS, 1, alone);
      ck_assert_mem_eq(alone, z + i * dim, (size_t)dim * sizeof *z);
    }
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

static void embed_rows(mcl_encoder *e, float *z) {
  embed(e, images[1], ROWS, z);
}

static const subject all_kinds = {"resnet", KINDS, ROWS, encoder_of, train, embed_rows};

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

// Weights and running figures of what is frozen keep their bits; the rest moves.
START_TEST(blocks_that_are_frozen_keep_their_bits) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, 2);
  const mcli_network *w = mcli_encoder_user(e);
  const mcli_params *p = &w->net.params;
  float *before = malloc((size_t)p->n * sizeof *before);
  memcpy(before, p->values, (size_t)p->n * sizeof *before);
  ck_assert(p->frozen > 0 && p->frozen < p->n);
  train(e, 3);
  ck_assert_mem_eq(before, p->values, (size_t)p->frozen * sizeof *before);
  int moved = 0;
  for (int32_t t = 0; t < p->n_tensors; t++) {
    const mcli_param *x = &p->tensors[t];
    if (x->first < p->frozen) continue;
    ck_assert_mem_ne(before + x->first, p->values + x->first, (size_t)x->n * sizeof *before);
    moved++;
  }
  ck_assert_int_eq(
      moved, 2 * 2 * 5 + 2); // two blocks of two convolutions and their norms; a head of one layer
  free(before);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// Numbers of a row on its tape in evaluation, or in training.
static int64_t row_of(mcl_context *c, mcl_resnet_options o, int training) {
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_resnet(c, &o, &e, &err));
  const mcli_network *w = mcli_encoder_user(e);
  int64_t row = w->net.row[training];
  mcl_encoder_unref(e);
  return row;
}

START_TEST(values_are_kept_only_where_a_backward_pass_reads_them) {
  mcl_context *c = test_context(1);
  mcl_resnet_options o = options(), last = options();
  last.trained_blocks = 1;
  int64_t largest = (int64_t)H * W * o.filters, all = row_of(c, o, 1);
  // The input of a block, its shortcut, and two more at most.
  ck_assert_int_le(row_of(c, o, 0), 4 * largest);
  ck_assert_int_le(row_of(c, last, 0), 4 * largest);
  ck_assert_int_gt(all, 12 * largest);
  ck_assert_int_lt(row_of(c, last, 1), all / 2);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_options_are_named) {
  mcl_context *c = test_context(1);
  mcl_encoder *e = NULL;
  mcl_resnet_options o;
#define REFUSED(field, value)                                                                      \
  o = options(), o.field = value;                                                                  \
  CHECK_FAILS(MCL_E_INVALID, #field, mcl_encoder_create_resnet(c, &o, &e, &err))
  const double nothing[C] = {1, 0, 1}, infinite[C] = {1, 1, (double)INFINITY};
  REFUSED(height, 0);
  REFUSED(width, 5000);
  REFUSED(channels, 0);
  REFUSED(depth, 20);
  REFUSED(stem, 2);
  REFUSED(filters, 0);
  REFUSED(trained_blocks, 9);
  REFUSED(trained_blocks, -2);
  REFUSED(projection_layers, 0);
  REFUSED(projection_hidden, -1);
  REFUSED(projection_dim, -1);
  REFUSED(deviation, nothing);
  REFUSED(mean, infinite);
  CHECK_FAILS(MCL_E_INVALID, "height", mcl_encoder_create_resnet(c, NULL, &e, &err));
  o = options();
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_encoder_create_resnet(NULL, &o, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_create_resnet(c, &o, NULL, &err));
  mcl_context_unref(c);
}
END_TEST

// One pixel is enough: everything is padded.
START_TEST(an_image_of_one_pixel_will_do) {
  mcl_context *c = test_context(1);
  mcl_encoder *e = NULL;
  for (int32_t stem = MCL_STEM_IMAGENET; stem <= MCL_STEM_CIFAR; stem++) {
    mcl_resnet_options o = options();
    float pixel[C] = {.1F, .2F, .3F}, z[24];
    mcl_array data = mcl_images_f32(pixel, 1, 1, 1, C), out = mcl_matrix_f32(z, 1, 24);
    mcl_inputs in;
    o.height = o.width = 1, o.stem = stem;
    CHECK_OK(mcl_encoder_create_resnet(c, &o, &e, &err));
    mcl_struct_init(&in, sizeof in);
    in.n = 1, in.data = &data, in.view = -1;
    CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("encoder", the_embedding_is_as_wide_as_the_last_group,
          it_has_as_many_weights_as_torchvisions, a_row_embeds_alike_alone_and_among_others,
          training_gives_the_same_bits_for_any_number_of_threads,
          it_starts_from_the_weights_of_another_with_an_optimiser_anew,
          a_resumed_run_goes_on_bit_for_bit, blocks_that_are_frozen_keep_their_bits,
          values_are_kept_only_where_a_backward_pass_reads_them, bad_options_are_named,
          an_image_of_one_pixel_will_do)
