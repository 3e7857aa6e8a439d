// torchvision's files from outside: heads, positions and biases of other kinds, types, and files that are not what they should be.
#include "encoder/torch_file.h"

#include "encoder/tensor.h"
#include "store/checkpoint.h"

enum { ROWS = 4, RESNET_PIXELS = 45 * 52 * 3, EMBED = 12, WIDEST = 40 };

static char path[4200];

static void begin(void) {
  context = test_context(2);
  snprintf(path, sizeof path, "%s/model.safetensors", test_directory("torch_file"));
}

static void end(mcl_encoder *e) {
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}

// Of vision.py's resnet18.
static mcl_encoder *resnet(int32_t layers, int32_t dim) {
  mcl_resnet_options o;
  mcl_encoder *e = NULL;
  mcl_resnet_options_init(&o, sizeof o);
  o.height = 45, o.width = 52, o.channels = 3, o.filters = 5;
  o.projection_layers = layers, o.projection_hidden = 12, o.projection_dim = dim;
  CHECK_OK(mcl_encoder_create_resnet(context, &o, &e, &err));
  return e;
}

// Of vision.py's vit.
static mcl_vit_options vit_options(void) {
  mcl_vit_options o;
  mcl_vit_options_init(&o, sizeof o);
  o.height = o.width = 32, o.channels = 3, o.patch = 8, o.layers = 2, o.heads = 2, o.embed = EMBED;
  o.hidden = 20, o.dim = 8, o.projection_dim = 6, o.gelu = MCL_GELU, o.pre_norm = 0;
  o.patch_bias = 1, o.epsilon = 1e-6;
  return o;
}

static mcl_encoder *vit_of(const mcl_vit_options *o) {
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_vit(context, o, &e, &err));
  return e;
}

static mcl_encoder *vit(void) {
  mcl_vit_options o = vit_options();
  return vit_of(&o);
}

static void write_resnet(const file_options *o) {
  write_torch(context, path, resnet18_tensors, COUNT(resnet18_tensors), o);
}

static void write_vit(const file_options *o) {
  write_torch(context, path, vit_tensors, COUNT(vit_tensors), o);
}

static mcl_inputs inputs_of(const mcl_array *data) {
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = ROWS, in.data = data;
  return in;
}

static float images[ROWS * RESNET_PIXELS];

static mcl_array images_of(mcl_encoder *e) {
  const mcli_shape s = mcli_network_of(e)->net.input;
  test_fill(images, ROWS * mcli_shape_size(s), 7, 0, 1);
  return mcl_images_f32(images, ROWS, s.height, s.width, s.channels);
}

static void embed(mcl_encoder *e, float z[ROWS * WIDEST]) {
  mcl_array data = images_of(e), out = mcl_matrix_f32(z, ROWS, mcl_encoder_dim(e));
  mcl_inputs in = inputs_of(&data);
  in.view = -1;
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
}

static void train(mcl_encoder *e, int steps) {
  float z[ROWS * WIDEST], g[ROWS * WIDEST];
  mcl_array data = images_of(e), out = mcl_matrix_f32(z, ROWS, mcl_encoder_projection_dim(e));
  mcl_array grad = mcl_matrix_f32(g, ROWS, mcl_encoder_projection_dim(e));
  mcl_inputs in = inputs_of(&data);
  mcl_step step;
  mcl_struct_init(&step, sizeof step);
  step.learning_rate = 1e-3;
  test_fill_normal(g, ROWS * WIDEST, 3);
  for (int i = 0; i < steps; i++) {
    CHECK_OK(mcl_encoder_forward(e, &in, &out, &err));
    CHECK_OK(mcl_encoder_backward(e, &in, &grad, &err));
    CHECK_OK(mcl_encoder_step(e, &step, &err));
  }
}

// A tensor of the network by its name in torchvision; *n numbers.
static float *tensor(mcl_encoder *e, const char *name, int64_t *n) {
  const mcli_params *p = &mcli_network_of(e)->net.params;
  for (int32_t i = 0; i < p->n_tensors; i++)
    if (strcmp(p->tensors[i].called, name) == 0) {
      *n = p->tensors[i].n;
      return mcli_param_value(p, i);
    }
  ck_abort_msg("no %s", name);
  return NULL;
}

// All weights of an encoder, to be freed.
static float *weights(mcl_encoder *e) {
  const mcli_params *p = &mcli_network_of(e)->net.params;
  float *all = calloc((size_t)p->n, sizeof *all);
  memcpy(all, p->values, (size_t)p->n * sizeof *all);
  return all;
}

static void check_weights(mcl_encoder *e, const float *wanted) {
  const mcli_params *p = &mcli_network_of(e)->net.params;
  ck_assert_mem_eq(p->values, wanted, (size_t)p->n * sizeof *wanted);
}

// ---- heads -----------------------------------------------------------------------------------------

// The file has another end than the encoder, which keeps its own.
static void check_kept(mcl_encoder *e, const char *name) {
  int64_t n;
  const float *now = tensor(e, name, &n);
  float *before = calloc((size_t)n, sizeof *before);
  memcpy(before, now, (size_t)n * sizeof *before);
  CHECK_OK(mcl_encoder_load_torch(e, path, &err));
  ck_assert_mem_eq(tensor(e, name, &n), before, (size_t)n * sizeof *before);
  free(before);
}

START_TEST(torchvisions_classifier_or_no_head_leaves_the_encoders_own) {
  static const char *const resnets[] = {"fc.weight", "fc.bias", NULL};
  static const char *const vits[] = {"heads.head.weight", "heads.pre_logits.bias", NULL};
  begin();
  mcl_encoder *r = resnet(2, 7), *v = vit();
  for (int i = 0; i < 3; i++) {
    int64_t n;
    write_resnet(&(file_options){.without = "fc.", .with = resnets[i]});
    check_kept(r, "fc.1.running_mean");
    check_kept(r, "fc.3.weight");
    ck_assert_float_eq(tensor(r, "bn1.bias", &n)[1], value_of(&resnet18_tensors[2], 2, 1));
    write_vit(&(file_options){.without = "heads.", .with = vits[i]});
    check_kept(v, "heads.0.weight");
    check_kept(v, "heads.2.bias");
  }
  mcl_encoder_unref(r);
  end(v);
}
END_TEST

START_TEST(a_projection_in_the_file_is_read_whole_or_named) {
  begin();
  mcl_encoder *e = resnet(2, 7), *deeper = resnet(3, 7), *none = resnet(2, 0), *one = resnet(1, 7);
  write_resnet(&(file_options){.without = "fc.3.bias"});
  CHECK_FAILS(MCL_E_MISMATCH, "no tensor fc.3.bias", mcl_encoder_load_torch(e, path, &err));
  write_resnet(&(file_options){.longer = "fc.3.weight"});
  CHECK_FAILS(MCL_E_MISMATCH, "fc.3.weight is [8, 12], the network's is [7, 12]",
              mcl_encoder_load_torch(e, path, &err));
  write_resnet(&(file_options){.with = "fc.weight"});
  CHECK_FAILS(MCL_E_MISMATCH, "fc.weight that the network has not",
              mcl_encoder_load_torch(e, path, &err));
  write_resnet(&(file_options){0});
  CHECK_FAILS(MCL_E_MISMATCH, "fc.3.weight is [7, 12], the network's is [12, 12]",
              mcl_encoder_load_torch(deeper, path, &err));
  CHECK_FAILS(MCL_E_MISMATCH, "fc.0.weight that the network has not",
              mcl_encoder_load_torch(none, path, &err));
  CHECK_FAILS(MCL_E_MISMATCH, "no tensor fc.weight", mcl_encoder_load_torch(one, path, &err));
  mcl_encoder_unref(deeper);
  mcl_encoder_unref(none);
  mcl_encoder_unref(one);
  end(e);
}
END_TEST

// ---- what a file may have ----------------------------------------------------------------------------

START_TEST(other_float_types_are_read) {
  static const int32_t types[] = {MCL_F64, MCL_F16, MCL_BF16};
  static const double apart[] = {0, 1e-3,
                                 1e-2}; // of a weight: ten bits behind the first, and seven
  begin();
  mcl_encoder *e = vit();
  for (int i = 0; i < 3; i++) {
    int64_t n;
    write_vit(&(file_options){.dtype = types[i]});
    CHECK_OK(mcl_encoder_load_torch(e, path, &err));
    const float *x = tensor(e, "encoder.ln.weight", &n);
    for (size_t k = 0; k < COUNT(vit_tensors); k++)
      for (int64_t j = 0; is(vit_tensors[k].name, "encoder.ln.weight") && j < n; j++) {
        double wanted = (double)value_of(&vit_tensors[k], k, j);
        ck_assert_double_le(fabs((double)x[j] - wanted), apart[i] * wanted);
      }
  }
  end(e);
}
END_TEST

START_TEST(counts_of_batches_are_ignored) {
  begin();
  mcl_encoder *e = resnet(2, 7);
  write_resnet(&(file_options){.with = "layer1.0.bn1.num_batches_tracked",
                               .whole = "layer1.0.bn1.num_batches_tracked"});
  CHECK_OK(mcl_encoder_load_torch(e, path, &err));
  end(e);
}
END_TEST

START_TEST(older_names_of_dense_layers_are_read) {
  begin();
  mcl_encoder *e = vit(), *other = vit();
  write_vit(&(file_options){0});
  CHECK_OK(mcl_encoder_load_torch(e, path, &err));
  float *wanted = weights(e);
  write_vit(&(file_options){.from = "mlp.3", .to = "mlp.linear_2"});
  CHECK_OK(mcl_encoder_load_torch(other, path, &err));
  check_weights(other, wanted);
  write_vit(&(file_options){.from = "mlp.0", .to = "mlp.linear_1"});
  CHECK_OK(mcl_encoder_load_torch(other, path, &err));
  check_weights(other, wanted);
  free(wanted);
  mcl_encoder_unref(other);
  end(e);
}
END_TEST

START_TEST(training_begins_anew_from_the_file) {
  begin();
  write_resnet(&(file_options){0});
  mcl_encoder *e = resnet(2, 7), *fresh = resnet(2, 7);
  float z[ROWS * WIDEST];
  train(e, 2);
  mcl_array data = images_of(e), out = mcl_matrix_f32(z, ROWS, 7);
  mcl_inputs in = inputs_of(&data);
  CHECK_OK(mcl_encoder_forward(e, &in, &out, &err));
  CHECK_OK(mcl_encoder_load_torch(e, path, &err));
  CHECK_FAILS(MCL_E_STATE, "without a forward", mcl_encoder_backward(e, &in, &out, &err));
  CHECK_OK(mcl_encoder_load_torch(fresh, path, &err));
  train(e, 2);
  train(fresh, 2);
  float *wanted = weights(fresh);
  check_weights(e, wanted);
  ck_assert_int_eq(mcli_network_of(e)->steps, 2);
  free(wanted);
  mcl_encoder_unref(fresh);
  end(e);
}
END_TEST

START_TEST(what_is_frozen_is_read_too_and_the_scale_of_pixels_stays) {
  static const double mean[3] = {0.5, 0.4, 0.3};
  begin();
  mcl_vit_options o = vit_options();
  o.trained_blocks = 1, o.mean = mean;
  mcl_encoder *e = vit_of(&o);
  int64_t n;
  write_vit(&(file_options){0});
  CHECK_OK(mcl_encoder_load_torch(e, path, &err));
  ck_assert_float_eq(tensor(e, "class_token", &n)[3], value_of(&vit_tensors[0], 0, 3));
  const mcli_net *net = &mcli_network_of(e)->net;
  ck_assert_float_eq(mcli_param_value(&net->params, net->layers[0].mean)[1], 0.4F);
  train(e, 1);
  end(e);
}
END_TEST

// ---- a vision transformer's positions and bias --------------------------------------------------------

static size_t place_of(const char *name) {
  size_t k = 0;
  while (strcmp(vit_tensors[k].name, name) != 0) k++;
  return k;
}

static void check_positions(int32_t height, int32_t width, const float *wanted) {
  mcl_vit_options o = vit_options();
  o.height = 8 * height, o.width = 8 * width;
  mcl_encoder *e = vit_of(&o);
  int64_t n;
  size_t k = place_of("encoder.pos_embedding");
  CHECK_OK(mcl_encoder_load_torch(e, path, &err));
  const float *x = tensor(e, "encoder.pos_embedding", &n);
  ck_assert_int_eq(n, (1 + height * width) * EMBED);
  for (int i = 0; i < EMBED; i++) ck_assert_float_eq(x[i], value_of(&vit_tensors[k], k, i));
  for (int64_t i = EMBED; i < n; i++)
    ck_assert_msg(fabsf(x[i] - wanted[i - EMBED]) <= 1e-6F, "%d x %d: [%lld] is %.8g, not %.8g",
                  height, width, (long long)i, (double)x[i], (double)wanted[i - EMBED]);
  mcl_encoder_unref(e);
}

START_TEST(positions_for_another_size_are_interpolated_as_pytorch_does) {
  begin();
  write_vit(&(file_options){0});
  check_positions(3, 7, positions_3x7);
  check_positions(8, 8, positions_8x8);
  check_positions(1, 2, positions_1x2);
  mcl_context_unref(context);
}
END_TEST

START_TEST(positions_of_no_square_are_named) {
  static const golden_tensor sixteen = {"encoder.pos_embedding", 3, {1, 16, EMBED}, 1, 0};
  static const golden_tensor wider = {"encoder.pos_embedding", 3, {1, 10, EMBED + 1}, 1, 0};
  begin();
  mcl_encoder *e = vit();
  write_vit(&(file_options){.other = &sixteen});
  CHECK_FAILS(MCL_E_MISMATCH, "encoder.pos_embedding is [1, 16, 12], the network's is [1, 17, 12]",
              mcl_encoder_load_torch(e, path, &err));
  write_vit(&(file_options){.other = &wider});
  CHECK_FAILS(MCL_E_MISMATCH, "encoder.pos_embedding is [1, 10, 13]",
              mcl_encoder_load_torch(e, path, &err));
  end(e);
}
END_TEST

START_TEST(a_bias_that_the_network_has_not_goes_into_the_positions_and_comes_out_as_0) {
  begin();
  mcl_vit_options o = vit_options();
  o.patch_bias = 0;
  mcl_encoder *e = vit_of(&o), *with = vit();
  float z[ROWS * WIDEST], wanted[ROWS * WIDEST], bias[EMBED];
  write_vit(&(file_options){0});
  CHECK_OK(mcl_encoder_load_torch(e, path, &err));
  CHECK_OK(mcl_encoder_load_torch(with, path, &err));
  embed(e, z);
  embed(with, wanted);
  for (int i = 0; i < ROWS * 8; i++) ck_assert_float_le(fabsf(z[i] - wanted[i]), 1e-5F);
  CHECK_OK(mcl_encoder_save_torch(e, path, &err));
  mcl_checkpoint *f = NULL;
  const int64_t shape[1] = {EMBED};
  mcl_array a;
  mcl_array_init(&a, bias, MCL_F32, 1, shape);
  CHECK_OK(mcl_checkpoint_open(context, path, &f, &err));
  CHECK_OK(mcl_checkpoint_read(f, "conv_proj.bias", &a, &err));
  for (int i = 0; i < EMBED; i++) ck_assert_float_eq(bias[i], 0);
  mcl_checkpoint_unref(f);
  CHECK_OK(mcl_encoder_load_torch(with, path, &err));
  embed(with, wanted);
  for (int i = 0; i < ROWS * 8; i++) ck_assert_float_le(fabsf(z[i] - wanted[i]), 1e-5F);
  write_vit(&(file_options){.longer = "conv_proj.bias"});
  CHECK_FAILS(MCL_E_MISMATCH, "conv_proj.bias is [13], the network's is [12]",
              mcl_encoder_load_torch(e, path, &err));
  mcl_encoder_unref(with);
  end(e);
}
END_TEST

// ---- errors ------------------------------------------------------------------------------------------

START_TEST(a_file_that_is_not_the_networks_is_named_and_changes_nothing) {
  static const golden_tensor flat = {"layer2.0.conv1.weight", 2, {10, 45}, 0.1, 0};
  static const struct {
    mcl_status status;
    file_options file;
    const char *word;
  } bad[] = {
      {MCL_E_MISMATCH,
       {.without = "layer4.1.bn2.running_var"},
       "no tensor layer4.1.bn2.running_var"},
      {MCL_E_MISMATCH,
       {.with = "layer5.0.conv1.weight"},
       "a tensor layer5.0.conv1.weight that the"},
      {MCL_E_MISMATCH,
       {.longer = "conv1.weight"},
       "conv1.weight is [6, 3, 7, 7], the network's is [5, 3, 7, 7]"},
      {MCL_E_MISMATCH,
       {.other = &flat},
       "layer2.0.conv1.weight is [10, 45], the network's is [10, 5, 3, 3]"},
      {MCL_E_MISMATCH, {.whole = "bn1.bias"}, "bn1.bias is not of a float type"},
      {MCL_E_NOT_FINITE, {.spoilt = "fc.3.bias"}, "fc.3.bias has a NaN"},
      {MCL_E_NOT_FINITE, {.spoilt = "layer1.0.conv2.weight"}, "layer1.0.conv2.weight has a NaN"}};
  begin();
  mcl_encoder *e = resnet(2, 7);
  train(e, 1);
  float *before = weights(e);
  for (size_t i = 0; i < COUNT(bad); i++) {
    write_resnet(&bad[i].file);
    CHECK_FAILS(bad[i].status, bad[i].word, mcl_encoder_load_torch(e, path, &err));
    CHECK_FAILS(bad[i].status, path, mcl_encoder_load_torch(e, path, &err));
    check_weights(e, before);
    ck_assert_int_eq(mcli_network_of(e)->steps, 1);
  }
  write_vit(&(file_options){0});
  CHECK_FAILS(MCL_E_MISMATCH, "no tensor conv1.weight", mcl_encoder_load_torch(e, path, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "nowhere", mcl_encoder_load_torch(e, "/nowhere/model", &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "nowhere", mcl_encoder_save_torch(e, "/nowhere/model", &err));
  CHECK_OK(mcl_encoder_save(e, path, &err)); // a file of our own layout is another kind
  CHECK_FAILS(MCL_E_MISMATCH, "no tensor conv1.weight", mcl_encoder_load_torch(e, path, &err));
  check_weights(e, before);
  free(before);
  end(e);
}
END_TEST

static void check_unlike(const char *word, mcl_encoder *e) {
  CHECK_FAILS(MCL_E_UNSUPPORTED, word, mcl_encoder_save_torch(e, path, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, word, mcl_encoder_load_torch(e, path, &err));
  mcl_encoder_unref(e);
}

static mcl_status nothing(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  (void)user, (void)in, (void)out;
  return mcl_ok(e);
}

START_TEST(what_torchvision_has_not_is_said) {
  begin();
  mcl_vit_options o = vit_options();
  o.pre_norm = 1;
  check_unlike("pre_norm", vit_of(&o));
  o = vit_options(), o.class_token = 0;
  check_unlike("no class token", vit_of(&o));
  o = vit_options(), o.gelu = MCL_GELU_QUICK;
  check_unlike("quick GELU", vit_of(&o));
  mcl_mlp_options m;
  mcl_encoder *e = NULL;
  mcl_mlp_options_init(&m, sizeof m);
  m.inputs = 4;
  CHECK_OK(mcl_encoder_create_mlp(context, &m, &e, &err));
  check_unlike("neither a residual network nor a vision transformer", e);
  mcl_host_encoder h;
  mcl_struct_init(&h, sizeof h);
  h.dim = 3, h.embed = nothing;
  CHECK_OK(mcl_encoder_create_host(context, &h, &e, &err));
  check_unlike("none of the networks built in", e);
  e = vit();
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_save_torch(NULL, path, &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_encoder_save_torch(e, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_load_torch(NULL, path, &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_encoder_load_torch(e, NULL, &err));
  end(e);
}
END_TEST

START_TEST(running_out_of_memory_anywhere_fails_cleanly) {
  test_allocator a;
  begin();
  write_vit(&(file_options){0});
  mcl_context_unref(context);
  test_allocator_init(&a);
  context = test_context_with(&a, 1);
  mcl_vit_options o = vit_options();
  o.patch_bias = 0, o.height = 24; // positions of another grid, and a bias for them
  mcl_encoder *e = vit_of(&o);
  float *before = weights(e);
  int64_t live = a.live;
  mcl_status s = MCL_E_NOMEM;
  for (int64_t n = 1; s != MCL_OK; n++) {
    a.fail_at = n;
    s = mcl_encoder_load_torch(e, path, &err);
    if (s == MCL_OK) break;
    ck_assert_int_eq(s, MCL_E_NOMEM);
    ck_assert_int_eq(a.live, live);
    check_weights(e, before);
  }
  s = MCL_E_NOMEM;
  for (int64_t n = 1; s != MCL_OK; n++) {
    a.fail_at = n;
    s = mcl_encoder_save_torch(e, path, &err);
    ck_assert(s == MCL_OK || s == MCL_E_NOMEM);
    ck_assert_int_eq(a.live, live);
  }
  a.fail_at = 0;
  CHECK_OK(mcl_encoder_load_torch(e, path, &err)); // the file is whole
  free(before);
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}
END_TEST

RUN_TESTS("encoder", torchvisions_classifier_or_no_head_leaves_the_encoders_own,
          a_projection_in_the_file_is_read_whole_or_named, other_float_types_are_read,
          counts_of_batches_are_ignored, older_names_of_dense_layers_are_read,
          training_begins_anew_from_the_file,
          what_is_frozen_is_read_too_and_the_scale_of_pixels_stays,
          positions_for_another_size_are_interpolated_as_pytorch_does,
          positions_of_no_square_are_named,
          a_bias_that_the_network_has_not_goes_into_the_positions_and_comes_out_as_0,
          a_file_that_is_not_the_networks_is_named_and_changes_nothing,
          what_torchvision_has_not_is_said, running_out_of_memory_anywhere_fails_cleanly)
