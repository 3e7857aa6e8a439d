// The vision transformer from outside, and blocks of transformers that are not trained.
#include "encoder/bits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/checkpoint.h>

#include "encoder/network.h"

static mcl_error err;

enum { ROWS = 13, H = 8, W = 12, C = 3, PIXELS = H * W * C, DIM = 10, PROJECTION = 6, KINDS = 3 };

static uint8_t bytes[2][ROWS * PIXELS];
static float images[2][ROWS * PIXELS], gradients[2][ROWS * PROJECTION];
static const double mean[C] = {0.48145466, 0.4578275, 0.40821073};
static const double deviation[C] = {0.26862954, 0.26130258, 0.27577711};

static void make_data(void) {
  for (int v = 0; v < 2; v++) {
    for (int i = 0; i < ROWS * PIXELS; i++) {
      bytes[v][i] = (uint8_t)(((unsigned)i + 77U * (unsigned)v + 1U) * 2654435761U >> 24);
      images[v][i] = (float)bytes[v][i] / 255;
    }
    test_fill_normal(gradients[v], ROWS * PROJECTION, 30 + (uint64_t)v);
  }
}

static mcl_vit_options options(void) {
  mcl_vit_options o;
  mcl_vit_options_init(&o, sizeof o);
  o.height = H, o.width = W, o.channels = C, o.patch = 4;
  o.embed = 16, o.layers = 3, o.dim = DIM, o.projection_dim = PROJECTION;
  return o;
}

// With a class token and pixels to scale; with a mean of tokens; with the last block trained only.
static mcl_status create(mcl_context *c, int kind, mcl_encoder **e) {
  mcl_vit_options o = options();
  if (kind != 1) o.mean = mean, o.deviation = deviation;
  if (kind == 1) o.class_token = 0, o.pre_norm = 0, o.gelu = MCL_GELU, o.hidden = 20;
  if (kind == 2) o.trained_blocks = 1;
  return mcl_encoder_create_vit(c, &o, e, &err);
}

static mcl_encoder *encoder_of(mcl_context *c, int kind) {
  mcl_encoder *e = NULL;
  CHECK_OK(create(c, kind, &e));
  return e;
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
  mcl_array data = mcl_images_f32(x, n, H, W, C), out = mcl_matrix_f32(z, n, mcl_encoder_dim(e));
  mcl_inputs in = inputs_of(&data, -1);
  return mcl_encoder_embed(e, &in, &out, &err);
}

static mcl_status forward(mcl_encoder *e, int32_t view, float *z) {
  mcl_array data = mcl_images_f32(images[view], ROWS, H, W, C);
  mcl_array out = mcl_matrix_f32(z, ROWS, PROJECTION);
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
  float *x = malloc(MANY * PIXELS * sizeof *x), *z = malloc(MANY * DIM * sizeof *z), alone[DIM];
  test_fill(x, MANY * PIXELS, 5, 0, 1);
  for (int kind = 0; kind < KINDS; kind++) {
    mcl_encoder *e = encoder_of(c, kind);
    train(e, 2);
    CHECK_OK(embed(e, x, MANY, z));
    for (int64_t i = 0; i < MANY; i += 41) {
      CHECK_OK(embed(e, x + i * PIXELS, 1, alone));
      ck_assert_mem_eq(alone, z + i * DIM, sizeof alone);
    }
    mcl_encoder_unref(e);
  }
  free(x), free(z);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bytes_are_divided_by_255_before_they_are_brought_to_scale) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, 0);
  const int64_t shape[4] = {ROWS, H, W, C};
  float z[ROWS * DIM], wanted[ROWS * DIM];
  mcl_array data, out = mcl_matrix_f32(z, ROWS, DIM);
  mcl_array_init(&data, bytes[0], MCL_U8, 4, shape);
  mcl_inputs in = inputs_of(&data, -1);
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  CHECK_OK(embed(e, images[0], ROWS, wanted));
  ck_assert_mem_eq(z, wanted, sizeof z);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(an_image_of_another_shape_is_refused) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, 0);
  float z[DIM];
  mcl_array data = mcl_images_f32(images[0], 1, W, H, C), out = mcl_matrix_f32(z, 1, DIM);
  mcl_inputs in = inputs_of(&data, -1);
  CHECK_FAILS(MCL_E_SHAPE, "[12, 8, 3], the network takes [8, 12, 3]",
              mcl_encoder_embed(e, &in, &out, &err));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(without_a_dense_layer_the_embedding_is_as_wide_as_a_token) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_vit_options o = options();
  o.dim = 0, o.projection_dim = 0;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_vit(c, &o, &e, &err));
  ck_assert_int_eq(mcl_encoder_dim(e), 16);
  ck_assert_int_eq(mcl_encoder_projection_dim(e), 16);
  float z[16], sum = 0, squares = 0;
  CHECK_OK(embed(e, images[0], 1, z));
  for (int k = 0; k < 16; k++) sum += z[k], squares += z[k] * z[k];
  ck_assert(fabsf(sum) < 1e-5F && fabsf(squares / 16 - 1) < 1e-3F); // layer norm's, as it begins
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// ---- training --------------------------------------------------------------------------------------

static void embed_rows(mcl_encoder *e, float *z) {
  CHECK_OK(embed(e, images[1], ROWS, z));
}

static const subject all_kinds = {"vit", KINDS, ROWS, encoder_of, train, embed_rows};

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

START_TEST(mean_and_deviation_are_in_the_file_and_training_leaves_them) {
  make_data();
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, 0);
  char path[4200];
  snprintf(path, sizeof path, "%s/e.safetensors", test_directory("vit-scale"));
  train(e, 2);
  CHECK_OK(mcl_encoder_save(e, path, &err));
  static const char *const names[2] = {"input0.mean", "input0.deviation"};
  const double *const wanted[2] = {mean, deviation};
  mcl_checkpoint *k = NULL;
  CHECK_OK(mcl_checkpoint_open(c, path, &k, &err));
  for (int i = 0; i < 2; i++) {
    float x[C];
    const int64_t shape[1] = {C};
    mcl_array a;
    mcl_array_init(&a, x, MCL_F32, 1, shape);
    CHECK_OK(mcl_checkpoint_read(k, names[i], &a, &err));
    for (int j = 0; j < C; j++) ck_assert_float_eq(x[j], (float)wanted[i][j]);
  }
  mcl_checkpoint_unref(k);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// A stage of a CLIP's last blocks may begin where one of all blocks ended, or the other way round.
START_TEST(which_blocks_are_trained_does_not_matter_to_who_starts_from_it) {
  make_data();
  mcl_context *c = test_context(1);
  for (int way = 0; way < 2; way++) {
    mcl_encoder *from = encoder_of(c, way ? 2 : 0), *e = encoder_of(c, way ? 0 : 2);
    size_t size;
    train(from, 2);
    CHECK_OK(mcl_encoder_start_from(e, from, &err));
    float *wanted = embeddings_of(&all_kinds, from, &size);
    float *z = embeddings_of(&all_kinds, e, &size);
    ck_assert_mem_eq(z, wanted, size);
    free(wanted), free(z);
    mcl_encoder_unref(from);
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

// ---- what is not trained ---------------------------------------------------------------------------

static float texts_out[ROWS * PROJECTION];

static mcl_encoder *text(mcl_context *c, int32_t trained) {
  mcl_text_options o;
  mcl_text_options_init(&o, sizeof o);
  o.vocabulary = 40, o.context = 7, o.embed = 16, o.layers = 3, o.dim = DIM;
  o.projection_dim = PROJECTION, o.trained_blocks = trained;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_text(c, &o, &e, &err));
  return e;
}

static mcl_encoder *vit(mcl_context *c, int32_t trained, double decay) {
  mcl_vit_options o = options();
  mcl_optimiser_options optimiser;
  mcl_optimiser_options_init(&optimiser, sizeof optimiser);
  optimiser.weight_decay = decay;
  optimiser.flags = MCL_DECOUPLED_DECAY;
  o.mean = mean, o.trained_blocks = trained, o.optimiser = &optimiser;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_vit(c, &o, &e, &err));
  return e;
}

// Of images, or of texts, whose last token changes from row to row.
static void differentiate(mcl_encoder *e, int texts) {
  if (!texts) {
    CHECK_OK(forward(e, 0, texts_out));
    CHECK_OK(backward(e, 0));
    return;
  }
  int32_t ids[ROWS * 7];
  for (int i = 0; i < ROWS * 7; i++) ids[i] = 1 + (i * 5 + i / 7) % 39;
  const int64_t shape[2] = {ROWS, 7};
  mcl_array data, out = mcl_matrix_f32(texts_out, ROWS, PROJECTION);
  mcl_array_init(&data, ids, MCL_I32, 2, shape);
  mcl_inputs in = inputs_of(&data, 0);
  CHECK_OK(mcl_encoder_forward(e, &in, &out, &err));
  CHECK_OK(backward(e, 0));
}

START_TEST(gradients_of_what_is_trained_are_those_of_the_whole_network) {
  make_data();
  mcl_context *c = test_context(2);
  for (int texts = 0; texts < 2; texts++) {
    mcl_encoder *whole = texts ? text(c, -1) : vit(c, -1, 0);
    differentiate(whole, texts);
    const mcli_params *all = &mcli_network_of(whole)->net.params;
    int32_t before = 0;
    for (int32_t trained = 3; trained >= 0; trained--) {
      mcl_encoder *e = texts ? text(c, trained) : vit(c, trained, 0);
      differentiate(e, texts);
      const mcli_params *p = &mcli_network_of(e)->net.params;
      int32_t frozen = 0;
      for (int32_t t = 0; t < p->n_tensors; t++) {
        const float *d = mcli_param_gradient(p, t);
        frozen += d == NULL;
        if (d)
          ck_assert_mem_eq(d, mcli_param_gradient(all, t), (size_t)p->tensors[t].n * sizeof(float));
      }
      // Each block has twelve tensors; before the first stand scale (2), patches, class token, positions and norm (2), or two
      // tables.
      ck_assert_int_eq(frozen, trained == 3 ? (texts ? 2 : 7) : before + 12);
      before = frozen;
      mcl_encoder_unref(e);
    }
    mcl_encoder_unref(whole);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(weights_that_are_not_trained_keep_their_bits_and_the_others_move) {
  make_data();
  mcl_context *c = test_context(2);
  for (int32_t trained = 0; trained < 3; trained++) {
    mcl_encoder *e = vit(c, trained, 0.1);
    const mcli_params *p = &mcli_network_of(e)->net.params;
    float *kept = malloc((size_t)p->n * sizeof *kept);
    memcpy(kept, p->values, (size_t)p->n * sizeof *kept);
    train(e, 3);
    for (int32_t t = 0; t < p->n_tensors; t++) {
      const mcli_param *tensor = &p->tensors[t];
      size_t size = (size_t)tensor->n * sizeof(float);
      int same = memcmp(kept + tensor->first, p->values + tensor->first, size) == 0;
      ck_assert_msg(same == !mcli_param_is_trained(p, t), "%s with %d trained", tensor->name,
                    trained);
    }
    free(kept);
    mcl_encoder_unref(e);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_file_has_no_moments_of_what_is_not_trained) {
  mcl_context *c = test_context(1);
  mcl_encoder *e = vit(c, 1, 0);
  char path[4200];
  snprintf(path, sizeof path, "%s/e.safetensors", test_directory("vit-frozen"));
  CHECK_OK(mcl_encoder_save(e, path, &err));
  mcl_checkpoint *k = NULL;
  mcl_array a;
  CHECK_OK(mcl_checkpoint_open(c, path, &k, &err));
  CHECK_OK(mcl_checkpoint_shape(k, "dense7.kernel", &a, &err)); // the second block's last
  CHECK_FAILS(MCL_E_NOT_FOUND, "dense7.kernel.moment",
              mcl_checkpoint_shape(k, "dense7.kernel.moment", &a, &err));
  CHECK_OK(mcl_checkpoint_shape(k, "dense8.kernel.moment", &a, &err));
  mcl_checkpoint_unref(k);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// ---- options, memory -------------------------------------------------------------------------------

START_TEST(bad_options_are_named) {
  mcl_context *c = test_context(1);
  mcl_encoder *e = NULL;
  mcl_vit_options o;
#define BAD(field, value, word)                                                                    \
  o = options();                                                                                   \
  o.field = value;                                                                                 \
  CHECK_FAILS(MCL_E_INVALID, word, mcl_encoder_create_vit(c, &o, &e, &err))
  static const double infinite[C] = {0, 1e39, 0}, flat[C] = {1, 1, 0}, tiny[C] = {1, 1e-60, 1};
  BAD(height, 0, "height is 0");
  BAD(width, 4097, "width is 4097");
  BAD(channels, -1, "channels is -1");
  BAD(patch, 0, "patch is 0");
  BAD(patch, 3, "patch is 3, which does not divide height and width, 8 x 12");
  BAD(patch, 8, "patch is 8");
  BAD(embed, 0, "embed is 0");
  BAD(layers, 65, "layers is 65");
  BAD(heads, 0, "heads is 0");
  BAD(heads, 3, "heads is 3, which does not divide embed, 16");
  BAD(hidden, -1, "hidden is -1");
  BAD(gelu, 3, "gelu is 3");
  BAD(class_token, 2, "class_token is 2");
  BAD(pre_norm, -1, "pre_norm is -1");
  BAD(trained_blocks, 4, "trained_blocks is 4, not -1..3");
  BAD(trained_blocks, -2, "trained_blocks is -2");
  BAD(dim, -1, "dim is -1");
  BAD(projection_dim, 70000, "projection_dim is 70000");
  BAD(mean, infinite, "mean[1]");
  BAD(deviation, flat, "deviation[2] is 0");
  BAD(deviation, tiny, "deviation[1]");
  BAD(epsilon, 0, "epsilon is 0, not 1e-12..1");
  BAD(epsilon, NAN, "epsilon is nan");
  BAD(epsilon, 1.5, "epsilon is 1.5");
  BAD(patch_bias, 2, "patch_bias is 2");
  BAD(reserved, 1, "reserved is 1");
  BAD(struct_size, 3, "mcl_vit_options");
#undef BAD
  o = options(), o.height = 4096, o.width = 4096, o.patch = 1;
  CHECK_FAILS(MCL_E_LIMIT, "2^28", mcl_encoder_create_vit(c, &o, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_encoder_create_vit(NULL, &o, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_create_vit(c, &o, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "height", mcl_encoder_create_vit(c, NULL, &e, &err));
  ck_assert_ptr_null(e);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("encoder", a_row_embeds_alike_alone_and_among_others,
          bytes_are_divided_by_255_before_they_are_brought_to_scale,
          an_image_of_another_shape_is_refused,
          without_a_dense_layer_the_embedding_is_as_wide_as_a_token,
          training_gives_the_same_bits_for_any_number_of_threads,
          which_blocks_are_trained_does_not_matter_to_who_starts_from_it,
          it_starts_from_the_weights_of_another_with_an_optimiser_anew,
          a_resumed_run_goes_on_bit_for_bit,
          mean_and_deviation_are_in_the_file_and_training_leaves_them,
          gradients_of_what_is_trained_are_those_of_the_whole_network,
          weights_that_are_not_trained_keep_their_bits_and_the_others_move,
          a_file_has_no_moments_of_what_is_not_trained, bad_options_are_named)
