// A CLIP from a file: what is trained of it, types, and files that are not what they should be.
#include "encoder/clip_file.h"

#include "encoder/pair.h"

static char path[4200];

static void begin(uint32_t threads) {
  context = test_context(threads);
  snprintf(path, sizeof path, "%s/clip.safetensors", test_directory("clip"));
}

static mcl_clip_options options(void) {
  mcl_clip_options o;
  mcl_clip_options_init(&o, sizeof o);
  return o;
}

static mcl_encoder *read_clip(const mcl_clip_options *o) {
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_clip(context, o, path, &e, &err));
  return e;
}

static mcl_encoder *clip_of(const file_options *f, const mcl_clip_options *o) {
  write_clip(context, path, f);
  return read_clip(o);
}

static void embed(mcl_encoder *e, float z[2][N * WIDTH]) {
  mcl_array data[2];
  make_batch(data);
  for (int m = 0; m < 2; m++) {
    mcl_array out = mcl_matrix_f32(z[m], N, WIDTH);
    mcl_inputs in;
    mcl_struct_init(&in, sizeof in);
    in.n = N, in.modality = m, in.view = -1, in.data = &data[m];
    CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  }
}

static mcl_status train(mcl_encoder *e, int steps) {
  static float z[N * WIDTH], gradient[N * WIDTH];
  mcl_array data[2], out = mcl_matrix_f32(z, N, WIDTH), grad = mcl_matrix_f32(gradient, N, WIDTH);
  mcl_status s = MCL_OK;
  make_batch(data);
  test_fill_normal(gradient, (int64_t)N * WIDTH, 3);
  mcl_step step;
  mcl_struct_init(&step, sizeof step);
  step.learning_rate = 1e-3;
  for (int i = 0; s == MCL_OK && i < steps; i++) {
    for (int m = 0; s == MCL_OK && m < 4; m++) {
      mcl_inputs in;
      mcl_struct_init(&in, sizeof in);
      in.n = N, in.modality = m % 2, in.view = m % 2, in.data = &data[m % 2];
      s = m < 2 ? mcl_encoder_forward(e, &in, &out, &err)
                : mcl_encoder_backward(e, &in, &grad, &err);
    }
    if (s == MCL_OK) s = mcl_encoder_backward_temperature(e, 0.1, &err);
    if (s == MCL_OK) s = mcl_encoder_step(e, &step, &err);
  }
  return s;
}

// ---- what is read ----------------------------------------------------------------------------------

START_TEST(sizes_follow_from_the_shapes) {
  begin(2);
  mcl_clip_options o = options();
  mcl_encoder *e = clip_of(&(file_options){0}, &o);
  const mcli_pair *p = mcli_encoder_user(e);
  ck_assert_int_eq(mcl_encoder_dim(e), WIDTH);
  ck_assert_int_eq(mcl_encoder_modalities(e), 2);
  ck_assert_str_eq(p->towers[0].network->description,
                   "vit 32 x 32 x 3 to scale, patches of 8, class token, norm, 2 x 128 (512), "
                   "2 heads, quick gelu, 0, head 0");
  ck_assert_str_eq(p->towers[1].network->description,
                   "text 12 of 50, 2 x 64, 1 heads, causal, quick gelu, padding 0, end 49, 0, "
                   "head 0");
  double tau;
  CHECK_OK(mcl_encoder_temperature(e, &tau, &err));
  ck_assert(fabs(log(tau) + 2.3) < 1e-6);
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}
END_TEST

START_TEST(float16_and_bfloat16_are_read_like_their_numbers_in_float32) {
  begin(2);
  mcl_clip_options o = options();
  float z[2][N * WIDTH], wanted[2][N * WIDTH];
  mcl_encoder *e = clip_of(&(file_options){.dtype = MCL_F16}, &o);
  embed(e, z);
  mcl_encoder_unref(e);
  e = clip_of(&(file_options){.through_half = 1}, &o);
  embed(e, wanted);
  mcl_encoder_unref(e);
  ck_assert_mem_eq(z, wanted, sizeof z);
  e = clip_of(&(file_options){.dtype = MCL_BF16}, &o);
  embed(e, z);
  mcl_encoder_unref(e);
  double apart = 0, size = 0;
  for (int i = 0; i < N * WIDTH; i++) {
    apart += pow((double)(z[0][i] - wanted[0][i]), 2);
    size += pow((double)wanted[0][i], 2);
  }
  ck_assert(apart > 0 && sqrt(apart / size) < 0.05); // eight bits of mantissa, a few layers deep
  mcl_context_unref(context);
}
END_TEST

START_TEST(sizes_that_openais_archives_carry_are_ignored) {
  begin(1);
  static const char *const names[] = {"input_resolution", "context_length", "vocab_size"};
  mcl_clip_options o = options();
  for (int i = 0; i < 3; i++)
    mcl_encoder_unref(clip_of(&(file_options){.with = names[i], .whole = names[i]}, &o));
  mcl_context_unref(context);
}
END_TEST

START_TEST(a_scale_that_bfloat16_rounds_above_the_limit_is_held_to_it) {
  begin(1);
  mcl_clip_options o = options();
  mcl_encoder *e = clip_of(&(file_options){.log_scale = 4.62}, &o), *none = NULL;
  double tau;
  CHECK_OK(mcl_encoder_temperature(e, &tau, &err));
  ck_assert(fabs(tau - 0.01) < 1e-8);
  mcl_encoder_unref(e);
  write_clip(context, path, &(file_options){.log_scale = 4.7});
  CHECK_FAILS(MCL_E_FORMAT, "logit_scale is 4.7",
              mcl_encoder_create_clip(context, &o, path, &none, &err));
  write_clip(context, path, &(file_options){.log_scale = -1});
  CHECK_FAILS(MCL_E_FORMAT, "logit_scale is -1",
              mcl_encoder_create_clip(context, &o, path, &none, &err));
  ck_assert_ptr_null(none);
  mcl_context_unref(context);
}
END_TEST

START_TEST(heads_and_the_scale_of_pixels_may_be_given) {
  begin(1);
  static const double mean[3] = {0.5, 0.5, 0.5}, deviation[3] = {0.5, 0.25, 1};
  mcl_clip_options o = options();
  o.image_heads = 4, o.text_heads = 8, o.mean = mean, o.deviation = deviation;
  mcl_encoder *e = clip_of(&(file_options){0}, &o);
  const mcli_pair *p = mcli_encoder_user(e);
  ck_assert_ptr_nonnull(strstr(p->towers[0].network->description, "4 heads"));
  ck_assert_ptr_nonnull(strstr(p->towers[1].network->description, "8 heads"));
  const mcli_net *net = &p->towers[0].network->net;
  for (int k = 0; k < 3; k++) {
    ck_assert_float_eq(mcli_param_value(&net->params, net->layers[0].mean)[k], (float)mean[k]);
    ck_assert_float_eq(mcli_param_value(&net->params, net->layers[0].scale)[k],
                       (float)deviation[k]);
  }
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}
END_TEST

// ---- what is trained -------------------------------------------------------------------------------

// Tensors of a network that have moved away from those of another.
static int32_t moved(const mcli_network *w, const mcli_network *from) {
  const mcli_params *p = &w->net.params, *q = &from->net.params;
  int32_t n = 0;
  for (int32_t t = 0; t < p->n_tensors; t++)
    n += memcmp(mcli_param_value(p, t), mcli_param_value(q, t),
                (size_t)p->tensors[t].n * sizeof(float)) != 0;
  return n;
}

START_TEST(what_the_options_say_is_trained_and_the_rest_keeps_its_bits) {
  begin(2);
  static const struct {
    int32_t image, text;
    uint32_t locked;
    int32_t moved[2]; // tensors: a block has twelve, a last layer norm two
  } cases[] = {{-1, -1, 0, {5 + 24 + 2, 2 + 24 + 2}},
               {1, 0, 0, {12 + 2, 2}},
               {2, -1, 2, {24 + 2, 0}},
               {-1, 1, 1, {0, 12 + 2}},
               {-1, -1, 3, {0, 0}}};
  mcl_clip_options o = options();
  mcl_encoder *untouched = clip_of(&(file_options){0}, &o);
  const mcli_pair *q = mcli_encoder_user(untouched);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    o = options();
    o.trained_image_blocks = cases[i].image, o.trained_text_blocks = cases[i].text;
    o.locked = cases[i].locked;
    mcl_encoder *e = read_clip(&o);
    CHECK_OK(train(e, 2));
    const mcli_pair *p = mcli_encoder_user(e);
    for (int m = 0; m < 2; m++) {
      ck_assert_int_eq(moved(p->towers[m].network, q->towers[m].network), cases[i].moved[m]);
      const mcli_params *w = &p->towers[m].network->net.params;
      if (cases[i].moved[m] == 0) ck_assert_int_eq(w->frozen, w->n);
    }
    ck_assert_int_eq(moved(p->own, q->own), 3);
    mcl_encoder_unref(e);
  }
  mcl_encoder_unref(untouched);
  mcl_context_unref(context);
}
END_TEST

START_TEST(a_clip_in_training_is_saved_and_goes_on_bit_for_bit) {
  begin(2);
  mcl_clip_options o = options();
  o.trained_image_blocks = 1, o.locked = 2;
  mcl_encoder *e = clip_of(&(file_options){0}, &o), *other = read_clip(&o);
  char saved[4300];
  snprintf(saved, sizeof saved, "%s.saved", path);
  CHECK_OK(train(e, 2));
  CHECK_OK(mcl_encoder_save(e, saved, &err));
  CHECK_OK(mcl_encoder_load(other, saved, &err));
  CHECK_OK(train(e, 1));
  CHECK_OK(train(other, 1));
  float z[2][N * WIDTH], wanted[2][N * WIDTH];
  embed(e, wanted);
  embed(other, z);
  ck_assert_mem_eq(z, wanted, sizeof z);
  o.trained_image_blocks = 2;
  mcl_encoder *another = read_clip(&o);
  CHECK_FAILS(MCL_E_MISMATCH, "libmcl.image.network", mcl_encoder_load(another, saved, &err));
  mcl_encoder_unref(e);
  mcl_encoder_unref(other);
  mcl_encoder_unref(another);
  mcl_context_unref(context);
}
END_TEST

START_TEST(training_gives_the_same_bits_for_any_number_of_threads) {
  float z[2][N * WIDTH], wanted[2][N * WIDTH];
  for (uint32_t threads = 1; threads < 4; threads++) {
    begin(threads);
    mcl_clip_options o = options();
    mcl_encoder *e = clip_of(&(file_options){0}, &o);
    CHECK_OK(train(e, 2));
    embed(e, threads == 1 ? wanted : z);
    if (threads > 1) ck_assert_mem_eq(z, wanted, sizeof z);
    mcl_encoder_unref(e);
    mcl_context_unref(context);
  }
}
END_TEST

// ---- files that are not what they should be --------------------------------------------------------

static void check_refused(const file_options *f, mcl_status status, const char *word) {
  mcl_clip_options o = options();
  mcl_encoder *e = NULL;
  write_clip(context, path, f);
  mcl_status s = mcl_encoder_create_clip(context, &o, path, &e, &err);
  ck_assert_msg(s == status, "%s: %d, not %d: %s", word, s, status, err.message);
  ck_assert_msg(strstr(err.message, word) != NULL, "%s is not in: %s", word, err.message);
  ck_assert_msg(strstr(err.message, "clip.safetensors") != NULL, "no file in: %s", err.message);
  ck_assert_ptr_null(e);
}

START_TEST(each_tensor_that_is_missing_misshaped_or_no_number_is_named_with_the_file) {
  begin(1);
  file_tensor all[TENSORS];
  list_tensors(all);
  for (int i = 0; i < TENSORS; i += i % 12 == 7 ? 4 : 1) { // most of them: each writes four files
    const char *name = all[i].name;
    char block[96];
    snprintf(block, sizeof block, "%s", name);
    // The last block's first tensor is what says that there is one: without it the block's others are too many.
    int says = ends_with(name, "1.ln_1.weight");
    char *behind = says ? strstr(block, "ln_1.weight") : NULL;
    if (behind) *behind = 0;
    check_refused(&(file_options){.without = name}, MCL_E_FORMAT, block);
    if (all[i].ndim < 4) // no more are written
      check_refused(&(file_options){.deeper = name}, MCL_E_FORMAT, name);
    check_refused(&(file_options){.whole = name}, MCL_E_FORMAT, name);
    check_refused(&(file_options){.spoilt = name}, MCL_E_NOT_FINITE, name);
  }
  mcl_context_unref(context);
}
END_TEST

START_TEST(each_tensor_of_another_size_than_the_others_say_is_refused_with_a_name) {
  begin(1);
  file_tensor all[TENSORS];
  list_tensors(all);
  for (int i = 0; i < TENSORS; i++) {
    const char *name = all[i].name, *word = name;
    // From these the sizes are taken, so another tensor is the one that does not fit.
    if (is("visual.conv1.weight", name)) word = "image_heads";
    if (is("visual.conv1.weight", name) || is("token_embedding.weight", name) ||
        is("positional_embedding", name) || ends_with(name, "0.mlp.c_fc.weight"))
      continue;
    check_refused(&(file_options){.longer = name}, MCL_E_FORMAT, word);
  }
  check_refused(&(file_options){.longer = "transformer.resblocks.0.mlp.c_fc.weight"}, MCL_E_FORMAT,
                "transformer.resblocks.0.mlp.c_fc.bias");
  mcl_clip_options o = options();
  mcl_encoder *e = NULL;
  write_clip(context, path, &(file_options){.longer = "visual.conv1.weight"});
  CHECK_FAILS(MCL_E_INVALID, "image_heads is 0, but the tower's width, 129",
              mcl_encoder_create_clip(context, &o, path, &e, &err));
  mcl_context_unref(context);
}
END_TEST

START_TEST(a_longer_context_or_vocabulary_is_read_as_it_is) {
  begin(1);
  mcl_clip_options o = options();
  mcl_encoder *e = clip_of(&(file_options){.longer = "token_embedding.weight"}, &o);
  const mcli_pair *p = mcli_encoder_user(e);
  ck_assert_int_eq(p->towers[1].network->net.tokens.vocabulary, VOCABULARY + 1);
  ck_assert_int_eq(p->towers[1].network->net.tokens.end, VOCABULARY);
  mcl_encoder_unref(e);
  e = clip_of(&(file_options){.longer = "positional_embedding"}, &o);
  p = mcli_encoder_user(e);
  ck_assert_int_eq(p->towers[1].network->net.input.height, CONTEXT + 1);
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}
END_TEST

START_TEST(names_that_are_not_openais_are_refused_with_a_reason) {
  begin(1);
  check_refused(&(file_options){.with = "vision_model.embeddings.class_embedding"},
                MCL_E_UNSUPPORTED, "Hugging Face's names");
  check_refused(&(file_options){.with = "text_model.final_layer_norm.weight"}, MCL_E_UNSUPPORTED,
                "Hugging Face's names");
  check_refused(&(file_options){.with = "visual.layer1.0.conv1.weight"}, MCL_E_UNSUPPORTED,
                "a ResNet");
  check_refused(&(file_options){.with = "logit_bias"}, MCL_E_FORMAT, "logit_bias");
  check_refused(&(file_options){.with = "visual.transformer.resblocks.2.ln_1.weight"}, MCL_E_FORMAT,
                "visual.transformer.resblocks.2.ln_1.weight has 1 numbers");
  check_refused(&(file_options){.with = "transformer.resblocks.7.ln_1.weight"}, MCL_E_FORMAT,
                "transformer.resblocks.7.ln_1.weight");
  mcl_context_unref(context);
}
END_TEST

START_TEST(a_file_cut_short_anywhere_is_refused) {
  begin(1);
  mcl_clip_options o = options();
  mcl_encoder *e = NULL;
  write_clip(context, path, &(file_options){.dtype = MCL_F16});
  FILE *f = fopen(path, "rb");
  ck_assert_ptr_nonnull(f);
  fseek(f, 0, SEEK_END);
  long size = ftell(f);
  char *bytes = malloc((size_t)size), cut[4300];
  rewind(f);
  ck_assert_uint_eq(fread(bytes, 1, (size_t)size, f), (size_t)size);
  fclose(f);
  snprintf(cut, sizeof cut, "%s.cut", path);
  static const double shares[] = {0, 1e-6, 1e-3, 0.01, 0.5, 0.999999};
  for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
    f = fopen(cut, "wb");
    fwrite(bytes, 1, (size_t)(shares[i] * (double)size), f);
    fclose(f);
    CHECK_FAILS(MCL_E_FORMAT, "clip.safetensors.cut",
                mcl_encoder_create_clip(context, &o, cut, &e, &err));
  }
  free(bytes);
  CHECK_FAILS(MCL_E_NOT_FOUND, "",
              mcl_encoder_create_clip(context, &o, "/nowhere/clip.safetensors", &e, &err));
  ck_assert_ptr_null(e);
  mcl_context_unref(context);
}
END_TEST

START_TEST(bad_options_are_named) {
  begin(1);
  mcl_encoder *e = NULL;
  mcl_clip_options o;
  write_clip(context, path, &(file_options){0});
#define BAD(field, value, word)                                                                    \
  o = options();                                                                                   \
  o.field = value;                                                                                 \
  CHECK_FAILS(MCL_E_INVALID, word, mcl_encoder_create_clip(context, &o, path, &e, &err))
  static const double flat[3] = {1, 0, 1};
  BAD(image_heads, 3, "image_heads is 3");
  BAD(image_heads, -1, "image_heads is -1");
  BAD(text_heads, 128, "text_heads is 128");
  BAD(gelu, 0, "gelu is 0");
  BAD(trained_image_blocks, 3, "trained_image_blocks is 3, not -1..2");
  BAD(trained_text_blocks, -2, "trained_text_blocks is -2, not -1..2");
  BAD(locked, 4, "locked is 4");
  BAD(deviation, flat, "deviation[1] is 0");
  BAD(struct_size, 3, "mcl_clip_options");
#undef BAD
  o = options();
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_encoder_create_clip(NULL, &o, path, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_encoder_create_clip(context, &o, NULL, &e, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_create_clip(context, &o, path, NULL, &err));
  ck_assert_ptr_null(e);
  CHECK_OK(mcl_encoder_create_clip(context, NULL, path, &e, &err));
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}
END_TEST

RUN_TESTS("encoder", sizes_follow_from_the_shapes,
          float16_and_bfloat16_are_read_like_their_numbers_in_float32,
          sizes_that_openais_archives_carry_are_ignored,
          a_scale_that_bfloat16_rounds_above_the_limit_is_held_to_it,
          heads_and_the_scale_of_pixels_may_be_given,
          what_the_options_say_is_trained_and_the_rest_keeps_its_bits,
          a_clip_in_training_is_saved_and_goes_on_bit_for_bit,
          training_gives_the_same_bits_for_any_number_of_threads,
          each_tensor_that_is_missing_misshaped_or_no_number_is_named_with_the_file,
          each_tensor_of_another_size_than_the_others_say_is_refused_with_a_name,
          a_longer_context_or_vocabulary_is_read_as_it_is,
          names_that_are_not_openais_are_refused_with_a_reason,
          a_file_cut_short_anywhere_is_refused, bad_options_are_named)
