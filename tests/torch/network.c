// One network for tests/torch/compare.py: weights by mcl_encoder_load_torch(), a forward and a backward, steps of Adam, and
// weights by mcl_encoder_save_torch().
//
//   network DIRECTORY resnet DEPTH SIDE LAYERS HIDDEN DIM          of the head
//   network DIRECTORY vit SIDE PATCH LAYERS HEADS EMBED HIDDEN DIM PROJECTION BIAS
//
// The directory has model.safetensors, and data.safetensors with images [n, side, side, 3], gradient [n, outputs] and
// optimiser [3], the rate, epsilon and the number of steps. It gets out.safetensors: embedding, output, gradient.NAME,
// trained; and trained.safetensors.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/network.h"
#include "encoder/tensor.h"

static mcl_error err;
static const char *directory;

static void check(mcl_status s) {
  if (s == MCL_OK) return;
  fprintf(stderr, "%s: %s\n", mcl_status_name(s), err.message);
  exit(1);
}

static const char *path_of(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

static int32_t number(const char *text) {
  return (int32_t)strtol(text, NULL, 10);
}

// A tensor of data.safetensors, to be freed.
static mcl_array read_tensor(const mcl_checkpoint *f, const char *name) {
  mcl_array a;
  check(mcl_checkpoint_shape(f, name, &a, &err));
  a.dtype = MCL_F32;
  a.data = calloc((size_t)(a.shape[0] * a.shape[1] * a.shape[2] * a.shape[3]), sizeof(float));
  if (!a.data) exit(1);
  check(mcl_checkpoint_read(f, name, &a, &err));
  return a;
}

static mcl_encoder *encoder_of(mcl_context *c, char **o, const float *optimiser) {
  mcl_optimiser_options adam;
  mcl_encoder *e = NULL;
  mcl_optimiser_options_init(&adam, sizeof adam);
  adam.epsilon = (double)optimiser[1];
  if (strcmp(o[0], "resnet") == 0) {
    mcl_resnet_options r;
    mcl_resnet_options_init(&r, sizeof r);
    r.depth = number(o[1]), r.height = r.width = number(o[2]), r.channels = 3;
    r.projection_layers = number(o[3]), r.projection_hidden = number(o[4]);
    r.projection_dim = number(o[5]), r.optimiser = &adam;
    check(mcl_encoder_create_resnet(c, &r, &e, &err));
  } else {
    mcl_vit_options v;
    mcl_vit_options_init(&v, sizeof v);
    v.height = v.width = number(o[1]), v.channels = 3, v.patch = number(o[2]);
    v.layers = number(o[3]), v.heads = number(o[4]), v.embed = number(o[5]);
    v.hidden = number(o[6]), v.dim = number(o[7]), v.projection_dim = number(o[8]);
    v.patch_bias = number(o[9]), v.optimiser = &adam;
    v.gelu = MCL_GELU, v.pre_norm = 0, v.epsilon = 1e-6;
    check(mcl_encoder_create_vit(c, &v, &e, &err));
  }
  return e;
}

static void add_rows(mcl_checkpoint_writer *f, const char *name, const mcl_array *rows) {
  check(mcl_checkpoint_writer_add(f, name, rows, &err));
}

static void add_embedding(mcl_checkpoint_writer *f, const char *name, mcl_encoder *e,
                          const mcl_array *images) {
  int64_t n = images->shape[0], dim = mcl_encoder_dim(e);
  mcl_array z = mcl_matrix_f32(calloc((size_t)(n * dim), sizeof(float)), n, dim);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = n, in.view = -1, in.data = images;
  check(mcl_encoder_embed(e, &in, &z, &err));
  add_rows(f, name, &z);
  free(z.data);
}

// With PyTorch's axes; the tables of a vision transformer without the 1 in front.
static void add_gradients(mcl_checkpoint_writer *f, mcl_encoder *e) {
  const mcli_params *p = &mcli_network_of(e)->net.params;
  for (int32_t i = 0; i < p->n_tensors; i++) {
    char name[128];
    if (!mcli_param_is_trained(p, i)) continue;
    snprintf(name, sizeof name, "gradient.%s", p->tensors[i].called);
    mcl_array a = mcli_tensor_view(&p->tensors[i], mcli_param_gradient(p, i));
    add_rows(f, name, &a);
  }
}

static void train(mcl_checkpoint_writer *f, mcl_encoder *e, const mcl_array *images,
                  const mcl_array *gradient, const float *optimiser) {
  int64_t n = images->shape[0], outputs = mcl_encoder_projection_dim(e);
  mcl_array z = mcl_matrix_f32(calloc((size_t)(n * outputs), sizeof(float)), n, outputs);
  mcl_inputs in;
  mcl_step step;
  mcl_struct_init(&in, sizeof in);
  mcl_struct_init(&step, sizeof step);
  in.n = n, in.data = images;
  step.learning_rate = (double)optimiser[0];
  for (int i = 0; i < (int)optimiser[2]; i++) {
    check(mcl_encoder_forward(e, &in, &z, &err));
    check(mcl_encoder_backward(e, &in, gradient, &err));
    if (i == 0) add_rows(f, "output", &z);
    if (i == 0) add_gradients(f, e);
    check(mcl_encoder_step(e, &step, &err));
  }
  free(z.data);
}

int main(int argc, char **argv) {
  if (argc < 8) return 2;
  directory = argv[1];
  mcl_context_options o;
  mcl_context *c = NULL;
  mcl_checkpoint *data = NULL;
  mcl_checkpoint_writer *out = NULL;
  mcl_context_options_init(&o, sizeof o);
  o.threads = 1;
  check(mcl_context_create(&o, &c, &err));
  check(mcl_checkpoint_open(c, path_of("data.safetensors"), &data, &err));
  mcl_array images = read_tensor(data, "images"), gradient = read_tensor(data, "gradient");
  mcl_array optimiser = read_tensor(data, "optimiser");
  mcl_encoder *e = encoder_of(c, argv + 2, optimiser.data);
  check(mcl_encoder_load_torch(e, path_of("model.safetensors"), &err));
  check(mcl_checkpoint_writer_create(c, path_of("out.safetensors"), &out, &err));
  add_embedding(out, "embedding", e, &images);
  train(out, e, &images, &gradient, optimiser.data);
  add_embedding(out, "trained", e, &images);
  check(mcl_checkpoint_writer_commit(out, &err));
  check(mcl_encoder_save_torch(e, path_of("trained.safetensors"), &err));
  free(images.data), free(gradient.data), free(optimiser.data);
  mcl_checkpoint_writer_unref(out);
  mcl_checkpoint_unref(data);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
  return 0;
}
