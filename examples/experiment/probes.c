// What does each representation know of each attribute? Probes learn on the training rows and are judged on the others.
#include "experiment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- representations -----------------------------------------------------------------------------------

// Rows at a time. A block of images and embeddings stays in cache; more only adds memory.
enum { BLOCK = 512 };

// Calls `take` with blocks of all images, as they are.
typedef mcl_status (*take_fn)(void *user, const mcl_inputs *in, int64_t first);

static int each_block(mcl_dataset *d, take_fn take, void *user) {
  mcl_array row;
  TRY(mcl_dataset_shape(d, 0, &row, &err));
  int64_t n = mcl_dataset_rows(d), size = row.shape[0] * row.shape[1] * row.shape[2];
  uint8_t *images = malloc((size_t)(BLOCK * size));
  int64_t indices[BLOCK];
  mcl_status s = images ? MCL_OK : out_of_memory();
  for (int64_t first = 0; s == MCL_OK && first < n; first += BLOCK) {
    int64_t count = n - first < BLOCK ? n - first : BLOCK;
    for (int64_t i = 0; i < count; i++) indices[i] = first + i;
    mcl_array x = mcl_images_u8(images, count, row.shape[0], row.shape[1], row.shape[2]);
    mcl_inputs in;
    mcl_struct_init(&in, sizeof in);
    in.indices = indices;
    in.n = count;
    in.data = &x;
    in.view = -1;
    s = mcl_dataset_load(d, indices, count, 0, &x, &err);
    if (s == MCL_OK) s = take(user, &in, first);
  }
  free(images);
  return s;
}

typedef struct embedding {
  mcl_integrator *g;
  float *z;
  int32_t dim;
} embedding;

static mcl_status embed_block(void *user, const mcl_inputs *in, int64_t first) {
  embedding *e = user;
  mcl_array z = mcl_matrix_f32(e->z + first * e->dim, in->n, e->dim);
  return mcl_integrator_embed(e->g, in, &z, &err);
}

static int make_room(const experiment *x, representation *r) {
  r->train = malloc((size_t)(mcl_dataset_rows(x->train) * r->dim) * sizeof *r->train);
  r->test = malloc((size_t)(mcl_dataset_rows(x->test) * r->dim) * sizeof *r->test);
  return r->train && r->test ? 0 : out_of_memory();
}

int represent(const experiment *x, mcl_integrator *g, representation *r) {
  r->dim = mcl_integrator_dim(g);
  r->stages = mcl_integrator_stages(g);
  for (int s = 0; s < r->stages; s++) {
    int32_t dim;
    TRY(mcl_integrator_stage_range(g, s, &r->first[s], &dim, &err));
    r->first[s + 1] = r->first[s] + dim;
  }
  if (make_room(x, r) < 0) return -1;
  embedding train = {g, r->train, r->dim}, test = {g, r->test, r->dim};
  if (each_block(x->train, embed_block, &train) < 0) return -1;
  return each_block(x->test, embed_block, &test);
}

typedef struct pixels {
  float *z;
  int32_t dim, channels;
} pixels;

static mcl_status pixel_block(void *user, const mcl_inputs *in, int64_t first) {
  pixels *p = user;
  const uint8_t *image = in->data->data;
  int64_t all = in->data->shape[3], n = in->n * in->data->shape[1] * in->data->shape[2];
  float *out = p->z + first * p->dim;
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = 0; c < p->channels; c++) *out++ = (float)image[i * all + c] / 255.0f;
  return MCL_OK;
}

int represent_pixels(const experiment *x, representation *r) {
  mcl_array row;
  TRY(mcl_dataset_shape(x->train, 0, &row, &err));
  int32_t channels = (int32_t)row.shape[2] - x->extra_channels;
  r->dim = (int32_t)(row.shape[0] * row.shape[1]) * channels;
  r->stages = 1;
  r->first[1] = r->dim;
  if (make_room(x, r) < 0) return -1;
  pixels train = {r->train, r->dim, channels}, test = {r->test, r->dim, channels};
  if (each_block(x->train, pixel_block, &train) < 0) return -1;
  return each_block(x->test, pixel_block, &test);
}

void representation_free(representation *r) {
  free(r->train), free(r->test);
  memset(r, 0, sizeof *r);
}

// ---- probes --------------------------------------------------------------------------------------------

typedef mcl_status (*probe_fn)(mcl_context *, const mcl_probe_options *, const mcl_array *,
                               const int32_t *, const mcl_array *, const int32_t *,
                               const mcl_monitor *, mcl_probe_result *, mcl_error *);

static int probe(const experiment *x, probe_fn fn, const mcl_array *train, const mcl_array *test,
                 const attribute *a, double *out) {
  mcl_probe_result result;
  mcl_struct_init(&result, sizeof result);
  TRY(fn(x->context, NULL, train, a->train, test, a->test, NULL, &result, &err));
  *out = result.value;
  return 0;
}

int probe_columns(const experiment *x, const representation *r, int32_t first, int32_t dim,
                  knowledge *k) {
  mcl_array train = mcl_matrix_f32(r->train + first, mcl_dataset_rows(x->train), dim);
  mcl_array test = mcl_matrix_f32(r->test + first, mcl_dataset_rows(x->test), dim);
  train.strides[0] = test.strides[0] = r->dim;
  for (int i = 0; i < x->n_attributes; i++) {
    const attribute *a = &x->attributes[i];
    if (probe(x, mcl_probe_knn, &train, &test, a, &k->knn[i]) < 0) return -1;
    if (a->linear && probe(x, mcl_probe_linear, &train, &test, a, &k->linear[i]) < 0) return -1;
  }
  return 0;
}

static void weigh(const representation *r, float *z, int64_t rows, double growth) {
  for (int s = 1; s < r->stages; s++) {
    float w = (float)pow(growth, s);
    for (int64_t i = 0; i < rows; i++)
      for (int32_t c = r->first[s]; c < r->first[s + 1]; c++) z[i * r->dim + c] *= w;
  }
}

int probe_weighted(const experiment *x, const representation *r, double growth, knowledge *k) {
  int64_t n = mcl_dataset_rows(x->train), m = mcl_dataset_rows(x->test);
  weigh(r, r->train, n, growth);
  weigh(r, r->test, m, growth);
  int s = probe_columns(x, r, 0, r->dim, k);
  weigh(r, r->train, n, 1 / growth);
  weigh(r, r->test, m, 1 / growth);
  return s;
}
