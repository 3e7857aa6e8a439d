// What does each representation know of each attribute? Probes learn on the training rows and are judged on the others.
#include "experiment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- representations -----------------------------------------------------------------------------------

// Rows at a time. A block of images and embeddings stays in cache; more only adds memory.
enum { BLOCK = 512 };

int each_block(mcl_dataset *d, take_fn *take, void *user) {
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

// ---- weights of stages ---------------------------------------------------------------------------------

const double growths[GROWTHS] = {1, 2, 3, 4};

static void weigh(const representation *r, const double *weights, const float *from, float *to,
                  int64_t rows) {
  for (int64_t i = 0; i < rows; i++)
    for (int s = 0; s < r->stages; s++)
      for (int64_t c = i * r->dim + r->first[s]; c < i * r->dim + r->first[s + 1]; c++)
        to[c] = from[c] * (float)weights[s];
}

static int weighted(const experiment *x, const representation *r, const double *weights,
                    representation *out) {
  *out = *r;
  out->train = out->test = NULL;
  if (make_room(x, out) < 0) return -1;
  weigh(r, weights, r->train, out->train, mcl_dataset_rows(x->train));
  weigh(r, weights, r->test, out->test, mcl_dataset_rows(x->test));
  return 0;
}

static void grow(double *weights, double growth) {
  for (int s = 0; s < MAX_STAGES; s++) weights[s] = pow(growth, s);
}

static int knn_of(const experiment *x, const representation *r, const double *weights, int a,
                  double *out) {
  representation w;
  int s = weighted(x, r, weights, &w);
  mcl_array train = mcl_matrix_f32(w.train, mcl_dataset_rows(x->train), w.dim);
  mcl_array test = mcl_matrix_f32(w.test, mcl_dataset_rows(x->test), w.dim);
  if (s == 0) s = probe(x, mcl_probe_knn, &train, &test, &x->attributes[a], out);
  representation_free(&w);
  return s;
}

int probe_growth(const experiment *x, const representation *r, double growth, double *knn) {
  double weights[MAX_STAGES];
  grow(weights, growth);
  for (int a = 0; a < x->n_attributes; a++)
    if (knn_of(x, r, weights, a, &knn[a]) < 0) return -1;
  return 0;
}

int probe_curve(const experiment *x, const representation *r, findings *f) {
  for (int g = 0; g < GROWTHS; g++) {
    const knowledge *had = growths[g] == 1           ? &f->plain
                           : growths[g] == x->growth ? &f->integrated
                                                     : NULL;
    if (had)
      memcpy(f->curve[g], had->knn, sizeof f->curve[g]);
    else if (probe_growth(x, r, growths[g], f->curve[g]) < 0)
      return -1;
  }
  return 0;
}

// The commonest values of an attribute, the lower one among equals; fewer where it has fewer.
static int commonest(const attribute *a, int64_t n, int32_t *values) {
  int64_t *count = calloc((size_t)a->values, sizeof *count);
  int got = 0;
  for (int64_t i = 0; count && i < n; i++) count[a->train[i]]++;
  for (; count && got < LABELLED_VALUES; got++) {
    int32_t best = 0;
    for (int32_t v = 1; v < a->values; v++)
      if (count[v] > count[best]) best = v;
    if (count[best] < 2) break;
    values[got] = best;
    count[best] = 0;
  }
  free(count);
  return got;
}

// The first rows that have one of these values, at most as many of each as make LABELLED in all.
static int pick_labelled(const experiment *x, const representation *r, const attribute *a,
                         float *rows, int32_t *labels) {
  int32_t values[LABELLED_VALUES];
  int64_t n = mcl_dataset_rows(x->train);
  int got = 0, kinds = commonest(a, n, values), had[LABELLED_VALUES] = {0};
  for (int64_t i = 0; i < n && got < LABELLED; i++)
    for (int v = 0; v < kinds && got < LABELLED; v++) {
      if (a->train[i] != values[v] || had[v] * kinds >= LABELLED) continue;
      had[v]++;
      memcpy(rows + got * r->dim, r->train + i * r->dim, (size_t)r->dim * sizeof *rows);
      labels[got++] = v;
    }
  return got;
}

static int fit(const experiment *x, const representation *r, const attribute *a, double *weights) {
  int32_t labels[LABELLED];
  mcl_integrator *g = NULL;
  float *rows = malloc((size_t)(LABELLED * r->dim) * sizeof *rows);
  if (!rows) return out_of_memory();
  mcl_array z = mcl_matrix_f32(rows, pick_labelled(x, r, a, rows, labels), r->dim);
  mcl_status s = mcl_integrator_create(x->context, NULL, &g, &err);
  for (int i = 0; s == MCL_OK && i < r->stages; i++)
    s = mcl_integrator_add_stage(g, NULL, r->first[i + 1] - r->first[i], 1, &err);
  if (s == MCL_OK) s = mcl_integrator_fit_weights(g, NULL, &z, labels, NULL, NULL, &err);
  for (int i = 0; s == MCL_OK && i < r->stages; i++)
    s = mcl_integrator_get_weight(g, i, &weights[i], &err);
  mcl_integrator_unref(g);
  free(rows);
  return s;
}

int probe_fitted(const experiment *x, const representation *r, findings *f) {
  for (int a = 0; a < x->n_attributes; a++) {
    if (fit(x, r, &x->attributes[a], f->fitted[a].weights) < 0) return -1;
    if (knn_of(x, r, f->fitted[a].weights, a, &f->fitted[a].knn) < 0) return -1;
  }
  return 0;
}
