#include "faults/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clusterer/clusters.h"
#include "faults/run.h"

enum { ROWS = 3, SIDE = KINDS_SIDE };

const char *kinds_path(const char *directory, const char *name) {
  static _Thread_local char paths[4][4300];
  static _Thread_local int turn;
  char *path = paths[turn++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", directory, name);
  return path;
}

static void see(seen *s, double x) {
  ck_assert_int_lt(s->n, SEEN);
  s->x[s->n++] = x;
}

void kinds_see(seen *s, const float *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) see(s, (double)x[i]);
}

// ---- plain files -----------------------------------------------------------------------------------

// A matrix is all there is to a checkpoint, a .npy file and a picture.
typedef struct matrix {
  mcl_context *c;
  float x[64];
} matrix;

static void *matrix_make(mcl_context *c, int version) {
  matrix *m = calloc(1, sizeof *m);
  m->c = c;
  test_fill(m->x, 64, 70 + (uint64_t)version, 0, 1);
  return m;
}

static mcl_status checkpoint_save(void *thing, const char *directory, mcl_error *err) {
  matrix *m = thing;
  mcl_checkpoint_writer *w = NULL;
  mcl_array a = mcl_matrix_f32(m->x, 8, 8), b = mcl_matrix_f32(m->x, 1, 3);
  mcl_status s =
      mcl_checkpoint_writer_create(m->c, kinds_path(directory, "x.safetensors"), &w, err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_meta(w, "what", "a matrix", err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_add(w, "all", &a, err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_add(w, "some", &b, err);
  if (s == MCL_OK) s = mcl_checkpoint_writer_commit(w, err);
  mcl_checkpoint_writer_unref(w);
  return s;
}

static mcl_status checkpoint_load(mcl_context *c, const char *directory, seen *out,
                                  mcl_error *err) {
  float x[67];
  mcl_checkpoint *k = NULL;
  mcl_array a = mcl_matrix_f32(x, 8, 8), b = mcl_matrix_f32(x + 64, 1, 3);
  mcl_status s = mcl_checkpoint_open(c, kinds_path(directory, "x.safetensors"), &k, err);
  if (s == MCL_OK) s = mcl_checkpoint_read(k, "all", &a, err);
  if (s == MCL_OK) s = mcl_checkpoint_read(k, "some", &b, err);
  mcl_checkpoint_unref(k);
  if (s == MCL_OK) kinds_see(out, x, 67);
  return s;
}

static mcl_status npy_save(void *thing, const char *directory, mcl_error *err) {
  matrix *m = thing;
  mcl_npy *f = NULL;
  mcl_status s = mcl_npy_create(m->c, kinds_path(directory, "x.npy"), MCL_F16, 16, 4, &f, err);
  for (int i = 0; s == MCL_OK && i < 16; i += 8) {
    mcl_array a = mcl_matrix_f32(m->x + 4 * i, 8, 4);
    s = mcl_npy_write(f, i, &a, err);
  }
  if (s == MCL_OK) s = mcl_npy_commit(f, err);
  mcl_npy_unref(f);
  return s;
}

static mcl_status npy_load(mcl_context *c, const char *directory, seen *out, mcl_error *err) {
  uint16_t x[64];
  mcl_npy *f = NULL;
  mcl_rows rows;
  mcl_struct_init(&rows, sizeof rows);
  mcl_status s = mcl_npy_open(c, kinds_path(directory, "x.npy"), &f, err);
  if (s == MCL_OK) mcl_npy_rows(f, &rows);
  for (int64_t i = 0; s == MCL_OK && i < 16; i += 4) {
    mcl_array a;
    mcl_array_init(&a, x + 4 * i, MCL_F16, 2, (int64_t[]){4, 4});
    s = rows.read(rows.user, i, 4, &a, err);
  }
  mcl_npy_unref(f);
  for (int i = 0; s == MCL_OK && i < 64; i++) see(out, x[i]);
  return s;
}

static mcl_status png_save(void *thing, const char *directory, mcl_error *err) {
  matrix *m = thing;
  mcl_array a;
  mcl_array_init(&a, m->x, MCL_F32, 3, (int64_t[]){4, 4, 4});
  return mcl_image_write_png(m->c, kinds_path(directory, "x.png"), &a, err);
}

// There is no call that reads one picture: a folder of one is read.
static mcl_status png_load(mcl_context *c, const char *directory, seen *out, mcl_error *err) {
  mcl_dataset *d = NULL;
  mcl_folder_options o;
  mcl_folder_options_init(&o, sizeof o);
  o.height = o.width = 4;
  o.on_bad_file = MCL_BAD_FILE_FAIL;
  uint8_t x[48];
  mcl_array a;
  mcl_array_init(&a, x, MCL_U8, 4, (int64_t[]){1, 4, 4, 3});
  const int64_t first = 0;
  mcl_status s = mcl_dataset_create_folder(c, directory, &o, NULL, &d, err);
  if (s == MCL_OK) s = mcl_dataset_load(d, &first, 1, 0, &a, err);
  mcl_dataset_unref(d);
  for (int i = 0; s == MCL_OK && i < 48; i++) see(out, x[i]);
  return s;
}

// ---- a clusterer -----------------------------------------------------------------------------------

enum { POINTS = 32, POINT_DIM = 5, CLUSTERS = 4 };

static mcl_array points(float *x, int version) {
  test_fill_normal(x, POINTS * POINT_DIM, 11 + (uint64_t)version);
  return mcl_matrix_f32(x, POINTS, POINT_DIM);
}

static void *clusterer_make(mcl_context *c, int version) {
  mcl_error err;
  mcl_clusterer *k = NULL;
  mcl_kmeans_options o;
  float x[POINTS * POINT_DIM];
  mcl_array a = points(x, version);
  mcl_rows rows = rows_of(&a);
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = CLUSTERS, o.seed = 5;
  CHECK_OK(mcl_clusterer_create_kmeans(c, &o, NULL, &k, &err));
  CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err));
  return k;
}

static void clusterer_drop(void *thing) {
  mcl_clusterer_unref(thing);
}

static mcl_status clusterer_save(void *thing, const char *directory, mcl_error *err) {
  return mcl_clusterer_save(thing, kinds_path(directory, "k.safetensors"), err);
}

static mcl_status clusterer_load(mcl_context *c, const char *directory, seen *out, mcl_error *err) {
  mcl_clusterer *k = NULL;
  float x[POINTS * POINT_DIM], centroids[CLUSTERS * POINT_DIM];
  int32_t labels[POINTS];
  int64_t sizes[CLUSTERS];
  mcl_array a = points(x, 0), to = mcl_matrix_f32(centroids, CLUSTERS, POINT_DIM);
  mcl_rows rows = rows_of(&a);
  mcl_status s = mcl_clusterer_load(c, kinds_path(directory, "k.safetensors"), NULL, &k, err);
  if (s == MCL_OK) s = mcl_clusterer_assign(k, &rows, NULL, labels, NULL, err);
  if (s == MCL_OK) s = mcl_clusterer_sizes(k, sizes, CLUSTERS, err);
  if (s == MCL_OK) s = mcl_clusterer_centroids(k, &to, err);
  mcl_clusterer_unref(k);
  for (int i = 0; s == MCL_OK && i < POINTS; i++) see(out, labels[i]);
  for (int i = 0; s == MCL_OK && i < CLUSTERS; i++) see(out, (double)sizes[i]);
  if (s == MCL_OK) kinds_see(out, centroids, CLUSTERS * POINT_DIM);
  return s;
}

// ---- an integrator ---------------------------------------------------------------------------------

// Two encoders and between them a stage without one.
static mcl_status integrator_of(mcl_context *c, uint64_t seed, double weight, mcl_integrator **out,
                                mcl_error *err) {
  mcl_status s = mcl_integrator_create(c, NULL, out, err);
  for (int i = 0; s == MCL_OK && i < 2; i++) {
    mcl_encoder *e = NULL;
    s = kinds_make_mlp(c, seed + (uint64_t)i, &e, err);
    if (s == MCL_OK) s = mcl_integrator_add_stage(*out, e, 0, weight + i, err);
    mcl_encoder_unref(e);
  }
  return s;
}

static void *integrator_make(mcl_context *c, int version) {
  mcl_integrator *g = NULL;
  mcl_error err;
  CHECK_OK(integrator_of(c, 40 + 10 * (uint64_t)version, 1 + version, &g, &err));
  return g;
}

static void integrator_drop(void *thing) {
  mcl_integrator_unref(thing);
}

static mcl_status integrator_save(void *thing, const char *directory, mcl_error *err) {
  return mcl_integrator_save(thing, directory, err);
}

static mcl_status integrator_load(mcl_context *c, const char *directory, seen *out,
                                  mcl_error *err) {
  mcl_integrator *g = NULL;
  float pixels[ROWS * SIDE * SIDE], z[ROWS * 8];
  mcl_array data, to = mcl_matrix_f32(z, ROWS, 8);
  test_fill(pixels, ROWS * SIDE * SIDE, 5, 0, 1);
  mcl_array_init(&data, pixels, MCL_F32, 2, (int64_t[]){ROWS, SIDE * SIDE});
  mcl_inputs inputs;
  mcl_struct_init(&inputs, sizeof inputs);
  inputs.n = ROWS, inputs.view = -1, inputs.data = &data;
  mcl_status s = integrator_of(c, 1, 9, &g, err);
  if (s == MCL_OK) s = mcl_integrator_load(g, directory, err);
  if (s == MCL_OK) s = mcl_integrator_embed(g, &inputs, &to, err);
  if (s == MCL_OK) kinds_see(out, z, ROWS * 8);
  for (int32_t i = 0; s == MCL_OK && i < 2; i++) {
    double w = 0;
    s = mcl_integrator_get_weight(g, i, &w, err);
    see(out, w);
  }
  mcl_integrator_unref(g);
  return s;
}

// ---- a tokenizer -----------------------------------------------------------------------------------

static const char *const texts[] = {"a cat on a mat", "the cat sat, the cat ate",
                                    "mat, mat and cat", "nine dogs ran to nine dogs",
                                    "a dog and a cat and a hat"};

// Version 0 has the ids of a file of its own, version 1 those that merges alone give; merges of both differ.
static void *tokenizer_make(mcl_context *c, int version) {
  mcl_error err;
  mcl_tokenizer *t = NULL;
  mcl_tokenizer_options o;
  mcl_tokenizer_options_init(&o, sizeof o);
  o.context = 12;
  if (version == 1) {
    o.vocabulary = 524;
    CHECK_OK(mcl_tokenizer_create(c, &o, texts, 5, NULL, &t, &err));
    return t;
  }
  char vocabulary[4300];
  snprintf(vocabulary, sizeof vocabulary, "%s", test_path("golden/tokenizer/vocab.json"));
  CHECK_OK(
      mcl_tokenizer_load(c, &o, vocabulary, test_path("golden/tokenizer/merges.txt"), &t, &err));
  return t;
}

static void tokenizer_drop(void *thing) {
  mcl_tokenizer_unref(thing);
}

static mcl_status tokenizer_save(void *thing, const char *directory, mcl_error *err) {
  return mcl_tokenizer_save(thing, kinds_path(directory, "vocab.json"),
                            kinds_path(directory, "merges.txt"), err);
}

static mcl_status tokenizer_load(mcl_context *c, const char *directory, seen *out, mcl_error *err) {
  mcl_tokenizer *t = NULL;
  mcl_tokenizer_options o;
  int32_t tokens[5 * 12];
  mcl_tokenizer_options_init(&o, sizeof o);
  o.context = 12;
  mcl_status s = mcl_tokenizer_load(c, &o, kinds_path(directory, "vocab.json"),
                                    kinds_path(directory, "merges.txt"), &t, err);
  if (s == MCL_OK) s = mcl_tokenizer_encode(t, texts, 5, tokens, NULL, err);
  for (int i = 0; s == MCL_OK && i < 5 * 12; i++) see(out, tokens[i]);
  if (s == MCL_OK)
    see(out, (double)(mcl_tokenizer_fingerprint(t) >> 12)); // as much as a double holds
  mcl_tokenizer_unref(t);
  return s;
}

// ---- a run -----------------------------------------------------------------------------------------

// One that has finished, with an encoder a stage. Of the same options, so that either is resumed where the other was.
static void *run_make(mcl_context *c, int version) {
  tiny_run *r = calloc(1, sizeof *r);
  mcl_error err;
  (void)c;
  tiny_run_open(r, (tiny_options){.weights = version});
  CHECK_OK(tiny_run_go(r, &err));
  return r;
}

static void run_drop(void *thing) {
  tiny_run_close(thing);
  free(thing);
}

static mcl_status run_save(void *thing, const char *directory, mcl_error *err) {
  return mcl_multistage_save(((tiny_run *)thing)->loop, directory, err);
}

static mcl_status run_load(mcl_context *c, const char *directory, seen *out, mcl_error *err) {
  tiny_run r;
  (void)c;
  tiny_run_open(&r, (tiny_options){.weights = 2});
  mcl_status s = mcl_multistage_resume(r.loop, directory, err);
  if (s == MCL_OK) s = tiny_run_go(&r, err);
  if (s == MCL_OK) {
    tiny_result got;
    tiny_run_take(&r, &got);
    kinds_see(out, got.z, TINY_ROWS * TINY_DIM);
    for (int i = 0; i < TINY_STAGES; i++)
      for (int row = 0; row < TINY_ROWS; row++) see(out, got.labels[i][row]);
  }
  tiny_run_close(&r);
  return s;
}

// ---- all -------------------------------------------------------------------------------------------

static const kind others[] = {
    {"checkpoint", matrix_make, free, checkpoint_save, checkpoint_load, "x.safetensors", 0},
    {"npy", matrix_make, free, npy_save, npy_load, "x.npy", 1},
    {"png", matrix_make, free, png_save, png_load, "x.png", 1},
    {"clusterer", clusterer_make, clusterer_drop, clusterer_save, clusterer_load, "k.safetensors",
     0},
    {"integrator", integrator_make, integrator_drop, integrator_save, integrator_load,
     "integrator.safetensors stage-0.safetensors stage-1.safetensors", 0},
    {"tokenizer", tokenizer_make, tokenizer_drop, tokenizer_save, tokenizer_load,
     "merges.txt vocab.json", 1},
    {"run", run_make, run_drop, run_save, run_load,
     "loop.safetensors stage-0.safetensors stage-1.safetensors", 0},
};
enum { OTHERS = sizeof others / sizeof *others };

int kinds_count(void) {
  return OTHERS + kinds_encoder_count;
}

const kind *kind_at(int i) {
  return i < OTHERS ? &others[i] : &kinds_encoders[i - OTHERS];
}

const kind *kind_named(const char *name) {
  for (int i = 0; i < kinds_count(); i++)
    if (strcmp(kind_at(i)->name, name) == 0) return kind_at(i);
  ck_abort_msg("no kind %s", name);
  return NULL;
}

void kinds_add_loop(TCase *c, const TTest *t, int argc, char **argv) {
  for (int i = 0; i < kinds_count(); i++)
    if (argc < 2 || strcmp(kind_at(i)->name, argv[1]) == 0) tcase_add_loop_test(c, t, i, i + 1);
}
