// Files with torchvision's names against PyTorch in double (tests/golden/vision.py): embeddings, outputs, gradients and ten steps
// of Adam from the weights of a file, and the file that is written.
#include "encoder/torch_file.h"

#include "encoder/tensor.h"
#include "store/checkpoint.h"

enum { ADAM_STEPS = 10, PLACES = 8 }; // of vision.py
// Of the largest number of each tensor; of PyTorch's own float32 vision.py asks half.
static const double forward_limit = 1e-4, gradient_limit = 1e-3, trained_limit = 1e-2;

typedef struct vision {
  const char *name;
  const golden_tensor *tensors;
  size_t n_tensors;
  const float *embedding, *output, *trained_embedding, *gradients, *samples;
  size_t n_gradients, n_samples;
  uint64_t stream; // of its images
  int64_t n;
} vision;

#define VISION(NAME, STREAM, N)                                                                    \
  {                                                                                                \
#NAME, NAME##_tensors, COUNT(NAME##_tensors), NAME##_embedding, NAME##_output,                 \
        NAME##_trained_embedding, NAME##_gradients, NAME##_trained, COUNT(NAME##_gradients),       \
        COUNT(NAME##_trained), STREAM, N                                                           \
  }

static char path[4200];

static void check_all(const vision *g, const char *what, const float *got, const float *wanted,
                      int64_t n, double limit) {
  double largest = 0;
  for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)wanted[i]));
  for (int64_t i = 0; i < n; i++)
    ck_assert_msg(fabs((double)(got[i] - wanted[i])) <= limit * largest,
                  "%s: %s[%lld] is %.8g, not %.8g", g->name, what, (long long)i, (double)got[i],
                  (double)wanted[i]);
}

static int32_t tensor_called(const mcli_params *p, const char *name) {
  for (int32_t i = 0; i < p->n_tensors; i++)
    if (strcmp(p->tensors[i].called, name) == 0) return i;
  ck_abort_msg("the network has no %s", name);
  return -1;
}

// A tensor's number at a place of the file's order of axes.
static float at(const mcl_array *a, int64_t place) {
  int64_t offset = 0;
  for (int k = 3; k >= 0; k--) {
    offset += place % a->shape[k] * a->strides[k];
    place /= a->shape[k];
  }
  return ((const float *)a->data)[offset];
}

// sample() of vision.py, of all tensors or of those that are trained.
static void check_tensors(const vision *g, const char *what, int gradients, const float *wanted,
                          size_t n, double limit) {
  const mcli_params *p = &network->net.params;
  size_t seen = 0;
  for (size_t k = 0; k < g->n_tensors; k++) {
    const golden_tensor *t = &g->tensors[k];
    int32_t i = tensor_called(p, t->name);
    if (gradients && !mcli_param_is_trained(p, i)) continue;
    mcl_array a = mcli_tensor_view(&p->tensors[i],
                                   gradients ? mcli_param_gradient(p, i) : mcli_param_value(p, i));
    float got[PLACES];
    int64_t size = size_of(t), m = size < PLACES ? size : PLACES;
    for (int64_t j = 0; j < m; j++)
      got[j] = at(&a, size <= PLACES ? j : (j * (size / PLACES) + 37 * j) % size);
    char name[160];
    snprintf(name, sizeof name, "%s of %s", what, t->name);
    check_all(g, name, got, wanted + seen, m, limit);
    seen += (size_t)m;
  }
  ck_assert_uint_eq(seen, n);
}

static void check_embedding(const vision *g, mcl_encoder *e, const mcl_array *data,
                            const float *wanted, double limit) {
  int64_t dim = mcl_encoder_dim(e);
  float *z = calloc((size_t)(g->n * dim), sizeof *z);
  mcl_array out = mcl_matrix_f32(z, g->n, dim);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = g->n, in.view = -1, in.data = data;
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  check_all(g, "embedding", z, wanted, g->n * dim, limit);
  free(z);
}

static void check_steps(const vision *g, mcl_encoder *e, const mcl_array *data) {
  int64_t outputs = mcl_encoder_projection_dim(e);
  float *z = calloc((size_t)(g->n * outputs), sizeof *z),
        *y = calloc((size_t)(g->n * outputs), sizeof *y);
  mcl_array out = mcl_matrix_f32(z, g->n, outputs), grad = mcl_matrix_f32(y, g->n, outputs);
  mcl_inputs in;
  mcl_step step;
  mcl_struct_init(&in, sizeof in);
  mcl_struct_init(&step, sizeof step);
  in.n = g->n, in.data = data;
  step.learning_rate = 1e-4; // RATE
  for (int64_t i = 0; i < g->n * outputs; i++)
    y[i] = (float)((double)(float)uniform(2000, (uint64_t)i) / (double)g->n);
  for (int s = 0; s < ADAM_STEPS; s++) {
    CHECK_OK(mcl_encoder_forward(e, &in, &out, &err));
    CHECK_OK(mcl_encoder_backward(e, &in, &grad, &err));
    if (s == 0) {
      check_all(g, "output", z, g->output, g->n * outputs, forward_limit);
      check_tensors(g, "gradient", 1, g->gradients, g->n_gradients, gradient_limit);
    }
    CHECK_OK(mcl_encoder_step(e, &step, &err));
  }
  free(z), free(y);
}

// The file has the tensors of the list and no others, and their numbers to the bit.
static void check_file(const vision *g) {
  mcl_checkpoint *f = NULL;
  CHECK_OK(mcl_checkpoint_open(context, path, &f, &err));
  for (size_t k = 0; k < g->n_tensors; k++) {
    const golden_tensor *t = &g->tensors[k];
    int64_t n = size_of(t);
    float *x = calloc((size_t)n, sizeof *x);
    mcl_array a;
    mcl_array_init(&a, x, MCL_F32, t->ndim, t->shape);
    CHECK_OK(mcl_checkpoint_read(f, t->name, &a, &err));
    for (int64_t i = 0; i < n; i++)
      ck_assert_msg(x[i] == value_of(t, k, i), "%s: %s[%lld] is %.9g, not %.9g", g->name, t->name,
                    (long long)i, (double)x[i], (double)value_of(t, k, i));
    free(x);
  }
  ck_assert_ptr_null(mcli_checkpoint_name(f, (int64_t)g->n_tensors));
  mcl_checkpoint_unref(f);
}

// Reads the file, writes it again, trains. The encoder is unref'd, and so is the context.
static void check_vision(const vision *g, mcl_encoder *e) {
  const mcli_shape s = mcli_network_of(e)->net.input;
  const int64_t shape[4] = {g->n, s.height, s.width, s.channels};
  int64_t pixels = g->n * mcli_shape_size(s);
  float *x = calloc((size_t)pixels, sizeof *x);
  mcl_array data;
  fill_noise(g->stream, shape, pixels, x);
  mcl_array_init(&data, x, MCL_F32, 4, shape);
  network = mcli_encoder_user(e);
  snprintf(path, sizeof path, "%s/%s.safetensors", test_directory("golden_torch"), g->name);
  write_torch(context, path, g->tensors, g->n_tensors, &(file_options){0});
  CHECK_OK(mcl_encoder_load_torch(e, path, &err));
  CHECK_OK(mcl_encoder_save_torch(e, path, &err));
  check_file(g);
  check_embedding(g, e, &data, g->embedding, forward_limit);
  check_steps(g, e, &data);
  check_embedding(g, e, &data, g->trained_embedding, trained_limit);
  check_tensors(g, "trained", 0, g->samples, g->n_samples, trained_limit);
  free(x);
  mcl_encoder_unref(e);
  mcl_context_unref(context);
}

static mcl_optimiser_options adam(void) {
  mcl_optimiser_options o;
  mcl_optimiser_options_init(&o, sizeof o);
  o.epsilon = 1e-2; // EPSILON
  return o;
}

static void check_resnet(const vision *g, mcl_resnet_options o) {
  mcl_optimiser_options optimiser = adam();
  mcl_encoder *e = NULL;
  context = test_context(2);
  o.optimiser = &optimiser;
  CHECK_OK(mcl_encoder_create_resnet(context, &o, &e, &err));
  check_vision(g, e);
}

static mcl_resnet_options resnet(int32_t depth, int32_t filters, int32_t height, int32_t width,
                                 int32_t channels) {
  mcl_resnet_options o;
  mcl_resnet_options_init(&o, sizeof o);
  o.depth = depth, o.filters = filters;
  o.height = height, o.width = width, o.channels = channels;
  return o;
}

START_TEST(a_resnet18_and_its_projection_agree_with_pytorch) {
  const vision g = VISION(resnet18, RESNET18_STREAM, 8);
  mcl_resnet_options o = resnet(18, 5, 45, 52, 3);
  o.projection_hidden = 12, o.projection_dim = 7;
  check_resnet(&g, o);
}
END_TEST

START_TEST(a_projection_of_one_layer_is_torchvisions_classifier) {
  const vision g = VISION(cifar18, CIFAR18_STREAM, 8);
  mcl_resnet_options o = resnet(18, 4, 16, 14, 2);
  o.stem = MCL_STEM_CIFAR, o.projection_layers = 1, o.projection_dim = 9;
  check_resnet(&g, o);
}
END_TEST

START_TEST(all_of_a_resnet50_agrees_with_pytorch) {
  const vision g = VISION(resnet50, RESNET50_STREAM, 8);
  mcl_resnet_options o = resnet(50, 4, 33, 33, 3);
  o.projection_dim = 0;
  check_resnet(&g, o);
}
END_TEST

START_TEST(a_vision_transformer_agrees_with_pytorch) {
  const vision g = VISION(vit, VIT_STREAM, 8);
  mcl_optimiser_options optimiser = adam();
  mcl_encoder *e = NULL;
  mcl_vit_options o;
  context = test_context(2);
  mcl_vit_options_init(&o, sizeof o);
  o.height = o.width = 32, o.channels = 3, o.patch = 8, o.layers = 2, o.heads = 2, o.embed = 12;
  o.hidden = 20, o.dim = 8, o.projection_dim = 6, o.gelu = MCL_GELU, o.pre_norm = 0;
  o.patch_bias = 1, o.epsilon = 1e-6, o.optimiser = &optimiser;
  CHECK_OK(mcl_encoder_create_vit(context, &o, &e, &err));
  check_vision(&g, e);
}
END_TEST

RUN_TESTS("encoder", a_resnet18_and_its_projection_agree_with_pytorch,
          a_projection_of_one_layer_is_torchvisions_classifier,
          all_of_a_resnet50_agrees_with_pytorch, a_vision_transformer_agrees_with_pytorch)
