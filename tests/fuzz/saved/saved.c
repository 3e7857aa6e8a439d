// Files that libmcl saves, and those of other models that it reads, changed: a byte says what, the rest what is changed
// (tensors.h).
//
//   a refusal names the file, and what it was to be loaded into is as before                             (1)
//   what was loaded is saved again, and loaded from there the same                                       (2)
//   an encoder gives numbers or MCL_E_NOT_FINITE                                                         (3)
//   centroids are finite, sizes add up, labels are below k                                               (4)
#include <libmcl/checkpoint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/saved/good.h"
#include "fuzz/tensors.h"

const int fuzz_large = FUZZ_FINDING;

enum { ROWS = 2, MOST_DIM = 4 };

// ---- encoders -----------------------------------------------------------------------------------

typedef struct embedding {
  float x[2][ROWS * MOST_DIM]; // of either modality
  mcl_status status[2];
} embedding;

static mcl_status embed_modality(mcl_encoder *e, int what, int32_t modality, float *to) {
  float images[ROWS * GOOD_SIDE * GOOD_SIDE];
  int32_t tokens[ROWS * 3] = {1, 2, 3, 2, 3, 0};
  const int64_t shape[4] = {ROWS, GOOD_SIDE, GOOD_SIDE, 1}, words[2] = {ROWS, 3};
  mcl_array data, out = mcl_matrix_f32(to, ROWS, mcl_encoder_dim(e));
  mcl_inputs in;
  mcl_error err;
  for (int i = 0; i < ROWS * GOOD_SIDE * GOOD_SIDE; i++) images[i] = (float)(i % 7) / 8;
  data = mcl_matrix_f32(images, ROWS, GOOD_INPUTS);
  if (what == GOOD_TORCH || what == GOOD_CLIP) mcl_array_init(&data, images, MCL_F32, 4, shape);
  if (what == GOOD_CLIP && modality) mcl_array_init(&data, tokens, MCL_I32, 2, words);
  mcl_struct_init(&in, sizeof in);
  in.n = ROWS, in.data = &data, in.modality = modality, in.view = -1;
  mcl_status s = mcl_encoder_embed(e, &in, &out, &err);
  if (!fuzz_ok(s, &err) && !fuzz_memory_may_fail() && s != MCL_E_NOT_FINITE)
    fuzz_fail("not embedded: %s", err.message); // (3)
  return s;
}

static void embed(mcl_encoder *e, int what, embedding *x) {
  memset(x, 0, sizeof *x);
  for (int32_t m = 0; m < mcl_encoder_modalities(e); m++)
    x->status[m] = embed_modality(e, what, m, x->x[m]);
}

static void check_same(const embedding *x, const embedding *y, const char *when) {
  int memory = x->status[0] == MCL_E_NOMEM || x->status[1] == MCL_E_NOMEM ||
               y->status[0] == MCL_E_NOMEM || y->status[1] == MCL_E_NOMEM;
  if (!memory && memcmp(x, y, sizeof *x)) fuzz_fail("%s: another embedding", when);
}

// (2)
static void save_again(mcl_context *c, mcl_encoder *e, int what) {
  mcl_error err;
  embedding x, y;
  size_t n, m;
  const char *first = fuzz_path("first.safetensors"), *second = fuzz_path("second.safetensors");
  mcl_encoder *again = good_encoder(c, what, 77);
  int done = again && fuzz_read(mcl_encoder_save(e, first, &err), &err, first) &&
             fuzz_read(mcl_encoder_load(again, first, &err), &err, first) &&
             fuzz_read(mcl_encoder_save(again, second, &err), &err, second);
  if (!done && !fuzz_memory_may_fail()) fuzz_fail("not saved and loaded: %s", err.message);
  if (done) {
    uint8_t *a = fuzz_get(first, &n), *b = fuzz_get(second, &m);
    if (n != m || memcmp(a, b, n)) fuzz_fail("saved, loaded and saved: another file");
    free(a), free(b);
    embed(e, what, &x);
    embed(again, what, &y);
    check_same(&x, &y, "saved and loaded");
  }
  mcl_encoder_unref(again);
}

static void load_encoder(mcl_context *c, int what, const char *path) {
  mcl_error err;
  embedding before, after;
  mcl_encoder *e = good_encoder(c, what, 3);
  if (!e) return;
  embed(e, what, &before);
  if (!fuzz_read(what == GOOD_TORCH ? mcl_encoder_load_torch(e, path, &err)
                                    : mcl_encoder_load(e, path, &err),
                 &err, path)) {
    embed(e, what, &after);
    check_same(&before, &after, "a failed load"); // (1)
  } else {
    save_again(c, e, what);
  }
  mcl_encoder_unref(e);
}

static void create_clip(mcl_context *c, uint64_t how, const char *path) {
  mcl_clip_options o;
  mcl_encoder *e = NULL;
  mcl_error err;
  embedding x, y;
  mcl_clip_options_init(&o, sizeof o);
  o.locked = how & 3;
  if (o.locked == 3) o.locked = 0;
  if (!fuzz_read(mcl_encoder_create_clip(c, &o, path, &e, &err), &err, path)) {
    if (e) fuzz_fail("refused, and given");
    return;
  }
  if (mcl_encoder_modalities(e) != 2)
    fuzz_fail("a CLIP of %d modalities", (int)mcl_encoder_modalities(e));
  // Other sizes than the good file's are no error: then there are no inputs for it here.
  size_t n, m;
  const uint8_t *good = good_file(GOOD_CLIP, &n);
  uint8_t *bytes = fuzz_get(path, &m);
  if (n == m && !memcmp(good, bytes, n)) {
    embed(e, GOOD_CLIP, &x);
    embed(e, GOOD_CLIP, &y);
    check_same(&x, &y, "embedded again");
  }
  free(bytes);
  const char *saved = fuzz_path("clip.safetensors");
  if (fuzz_read(mcl_encoder_save(e, saved, &err), &err, saved) &&
      !fuzz_read(mcl_encoder_load(e, saved, &err), &err, saved) && !fuzz_memory_may_fail())
    fuzz_fail("saved, and not loaded: %s", err.message);
  mcl_encoder_unref(e);
}

// ---- a clusterer --------------------------------------------------------------------------------

static void check_sizes(const mcl_clusterer *k, const mcl_clusterer_report *r) {
  mcl_error err;
  int64_t *sizes = fuzz_room((size_t)r->k_effective * sizeof *sizes), sum = 0;
  if (fuzz_ok(mcl_clusterer_sizes(k, sizes, r->k_effective, &err), &err)) {
    for (int32_t i = 0; i < r->k_effective; i++) sum += sizes[i];
    if (sum != r->rows)
      fuzz_fail("%lld rows in clusters of %lld", (long long)r->rows, (long long)sum); // (4)
  }
  free(sizes);
}

// Centroids, to be freed; NULL without memory.
static float *centroids_of(const mcl_clusterer *k, int64_t n, int64_t dim) {
  mcl_error err;
  float *x = fuzz_room((size_t)(n * dim) * sizeof *x);
  mcl_array a = mcl_matrix_f32(x, n, dim);
  if (!fuzz_ok(mcl_clusterer_centroids(k, &a, &err), &err))
    fuzz_fail("no centroids: %s", err.message);
  for (int64_t i = 0; i < n * dim; i++)
    if (!isfinite(x[i])) fuzz_fail("a centroid of %g", x[i]); // (4)
  return x;
}

static void assign(const mcl_clusterer *k, int32_t n, float *x, int64_t dim) {
  mcl_error err;
  mcl_rows rows;
  int32_t *labels = fuzz_room((size_t)n * sizeof *labels);
  mcl_array a = mcl_matrix_f32(x, n, dim); // the centroids themselves
  mcl_struct_init(&rows, sizeof rows);
  rows.array = &a;
  if (fuzz_ok(mcl_clusterer_assign(k, &rows, NULL, labels, NULL, &err), &err)) {
    for (int32_t i = 0; i < n; i++)
      if (labels[i] < 0 || labels[i] >= n)
        fuzz_fail("label %d of %d", (int)labels[i], (int)n); // (4)
  } else if (!fuzz_memory_may_fail()) {
    fuzz_fail("not assigned: %s", err.message);
  }
  free(labels);
}

static void load_clusterer(mcl_context *c, const char *path) {
  mcl_error err;
  mcl_clusterer *k = NULL, *again = NULL;
  mcl_clusterer_report r;
  size_t n;
  if (!fuzz_read(mcl_clusterer_load(c, path, NULL, &k, &err), &err, path)) {
    if (k) fuzz_fail("refused, and given");
    return;
  }
  mcl_struct_init(&r, sizeof r);
  const char *saved = fuzz_path("again.safetensors");
  int has = fuzz_ok(mcl_clusterer_get_report(k, &r, &err), &err);
  if (has) {
    if (r.k_effective < 1 || r.k_effective > r.k)
      fuzz_fail("%d of %d clusters", (int)r.k_effective, (int)r.k);
    check_sizes(k, &r);
  }
  if (fuzz_read(mcl_clusterer_save(k, saved, &err), &err, saved)) { // (2)
    uint8_t *bytes = fuzz_get(saved, &n);
    if (fuzz_read(mcl_clusterer_load(c, saved, NULL, &again, &err), &err, saved)) {
      mcl_checkpoint *f = NULL;
      mcl_array shape;
      if (has && fuzz_ok(mcl_checkpoint_open(c, saved, &f, &err), &err) &&
          fuzz_ok(mcl_checkpoint_shape(f, "centroids", &shape, &err), &err)) {
        float *x = centroids_of(k, shape.shape[0], shape.shape[1]),
              *y = centroids_of(again, shape.shape[0], shape.shape[1]);
        if (memcmp(x, y, (size_t)(shape.shape[0] * shape.shape[1]) * sizeof *x))
          fuzz_fail("saved and loaded: other centroids");
        assign(k, r.k_effective, x, shape.shape[1]);
        free(x), free(y);
      }
      mcl_checkpoint_unref(f);
    } else if (!fuzz_memory_may_fail()) {
      fuzz_fail("saved, and not loaded: %s", err.message);
    }
    free(bytes);
  } else if (!fuzz_memory_may_fail()) {
    fuzz_fail("not saved: %s", err.message);
  }
  mcl_clusterer_unref(k);
  mcl_clusterer_unref(again);
}

// ---- an integrator ------------------------------------------------------------------------------

static void load_integrator(mcl_context *c, fuzz_bytes *b) {
  mcl_error err;
  size_t n, m;
  double weight;
  const uint8_t *good = good_file(GOOD_INTEGRATOR, &n), *stage = good_file(GOOD_MLP, &m);
  mcl_integrator *g = good_integrator(c);
  if (!g) return;
  const char *folder = fuzz_empty("integrator");
  int without = fuzz_chance(b, 8);
  if (!without) fuzz_put_tensors(b, "integrator/stage-0.safetensors", stage, m);
  fuzz_put_tensors(b, "integrator/integrator.safetensors", good, n);
  int loaded = fuzz_ok(mcl_integrator_load(g, folder, &err), &err);
  if (loaded && without) fuzz_fail("an encoder out of nothing");
  if (!loaded && err.status != MCL_E_NOMEM && !strstr(err.message, "integrator") &&
      !strstr(err.message, "stage 0"))
    fuzz_fail("nothing is named: %s", err.message);
  for (int32_t i = 0; i < 2; i++) {
    if (!fuzz_ok(mcl_integrator_get_weight(g, i, &weight, &err), &err))
      fuzz_fail("no weight: %s", err.message);
    if (!(weight >= 1e-30 && weight <= 1e30) || (!loaded && weight != (i ? 2 : 0.5)))
      fuzz_fail("a weight of %g", weight); // (1)
  }
  mcl_integrator_unref(g);
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_bytes b = {bytes, n};
  uint64_t how = fuzz_bits(&b, 1);
  int what = (int)(how % GOODS);
  size_t size;
  if (what == GOOD_INTEGRATOR) {
    load_integrator(context, &b);
    return;
  }
  const uint8_t *good = good_file(what, &size);
  char path[512];
  snprintf(path, sizeof path, "%s", fuzz_put_tensors(&b, "saved.safetensors", good, size));
  if (what == GOOD_CLIP)
    create_clip(context, how / GOODS, path);
  else if (what == GOOD_CLUSTERER)
    load_clusterer(context, path);
  else
    load_encoder(context, what, path);
}
