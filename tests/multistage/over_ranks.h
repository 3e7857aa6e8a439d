// A small loop over ranks of any kind: one or two modalities, a pair of built-in encoders or a host's, rows of a host's dataset;
// each rank has all of it for itself. What was made can be compared, and any callback can be made to fail.
#ifndef MCL_TESTS_MULTISTAGE_OVER_RANKS_H
#define MCL_TESTS_MULTISTAGE_OVER_RANKS_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/multistage.h>

#include "support/ranks.h"

// Two blocks of rows: with three ranks one has no share.
enum { ROWS = 1100, INPUTS = 12, CONTEXT = 3, WORDS = 9, DIM = 6, STAGES = 2 };

// A pair of an MLP and a bag of words with a learnt temperature; a host's linear maps whose gradients are added up when libmcl
// asks, and when the host's step does so itself.
enum { PAIR, HOST_SUMS, HOST_STEPS };

// What a rank's callbacks may fail at.
enum { LOAD, GROUPS, MAKE, FORWARD, BACKWARD, EMBED, STEP, SAVE, TELL, CALLS };
enum { MEMORY = CALLS };

typedef struct plan {
  int32_t encoder, modalities, epochs, trained_stages, initial, loss_kind;
  uint32_t clustered, flags; // bits of modalities; of the loss
  int64_t batch_rows, chunk_rows, save_every;
  bool
      duplicates; // rows 2 i and 2 i + 1 share their part of modality 0, rows of one i mod 50 that of modality 1
  bool own_clusterer;
  const char *save, *embeddings;
} plan;

// What came of a loop on a rank.
typedef struct outcome {
  int32_t labels[STAGES][2][ROWS];
  mcl_stage_report reports[STAGES][2];
  float z[STAGES][2][ROWS * DIM];
} outcome;

typedef struct loop {
  const plan *p;
  test_rank *r;
  mcl_dataset *d;
  mcl_multistage *l;
  mcl_encoder *encoders[STAGES]; // the last one made for each
  int64_t calls[CALLS];
  int what;       // which call fails once, at its number `at`; below 0: cancelled
  int64_t at;     // 0: none
  mcl_status why; // what a failing callback returns
} loop;

static inline bool fails(loop *j, int what) {
  return ++j->calls[what] == j->at && j->what == what;
}

static inline mcl_status fail_by(const loop *j, mcl_error *err) {
  return mcl_error_set(err, j->why, 77, "out of luck");
}

// ---- rows ----------------------------------------------------------------------------------------------

// Row i says i mod 4 and i / 4 mod 4, in modality 0 by where it is bright, in modality 1 by a word or a number each.
static inline float number(int64_t row, int32_t modality, int64_t k) {
  int64_t noise = (row * 37 + k * 11 + modality * 5) % 29, place = modality ? INPUTS - 1 - k : k;
  return (float)(place % 4 == row % 4) + (float)(place / 4 == row / 4 % 4) + (float)noise / 60;
}

static inline int32_t word(int64_t row, int64_t k) {
  return k == 0 ? 1 + (int32_t)(row % 4) : k == 1 ? 5 + (int32_t)(row / 4 % 4) : 0;
}

static mcl_status shape(void *user, int32_t modality, mcl_array *row, mcl_error *e) {
  const loop *j = user;
  bool words = modality == 1 && j->p->encoder == PAIR;
  row->dtype = words ? MCL_I32 : MCL_F32;
  row->ndim = 1;
  row->shape[0] = words ? CONTEXT : INPUTS;
  return mcl_ok(e);
}

static mcl_status load(void *user, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *e) {
  loop *j = user;
  if (fails(j, LOAD)) return fail_by(j, e);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < out->shape[1]; k++) {
      int64_t at = i * out->shape[1] + k;
      if (out->dtype == MCL_I32)
        ((int32_t *)out->data)[at] = word(indices[i], k);
      else
        ((float *)out->data)[at] = number(indices[i], modality, k);
    }
  return mcl_ok(e);
}

static mcl_status groups(void *user, int32_t modality, int64_t *out, mcl_error *e) {
  loop *j = user;
  if (fails(j, GROUPS)) return fail_by(j, e);
  for (int64_t i = 0; i < ROWS; i++) out[i] = modality ? i % 50 : i / 2;
  return mcl_ok(e);
}

// ---- a host's encoder: z = W (x + noise of row, view and epoch), a W a modality ---------------------------

typedef struct linear {
  loop *j;
  float w[2][DIM * INPUTS], dw[2][DIM * INPUTS];
  float *x[2]; // of the views that are held
} linear;

static inline void take_inputs(const mcl_inputs *in, float *x) {
  const float *from = in->data ? in->data->data : NULL;
  for (int64_t i = 0; i < in->n * INPUTS; i++) {
    int64_t row = in->indices[i / INPUTS], k = i % INPUTS;
    int64_t noise = (row * 13 + k * 7 + in->epoch * 5 + (in->view + 1) * 11) % 23;
    x[i] = from[i] + (in->view < 0 ? 0 : 0.01F * (float)noise);
  }
}

static inline void multiply(const float *w, const float *x, int64_t n, float *z) {
  for (int64_t i = 0; i < n * DIM; i++) {
    z[i] = 0;
    for (int k = 0; k < INPUTS; k++) z[i] += w[i % DIM * INPUTS + k] * x[i / DIM * INPUTS + k];
  }
}

static mcl_status linear_embed(void *user, const mcl_inputs *in, const mcl_array *out,
                               mcl_error *e) {
  linear *h = user;
  if (fails(h->j, EMBED)) return fail_by(h->j, e);
  float *x = malloc((size_t)(in->n * INPUTS + 1) * sizeof *x);
  take_inputs(in, x);
  multiply(h->w[in->modality], x, in->n, out->data);
  free(x);
  return mcl_ok(e);
}

static inline int view_of(const mcl_inputs *in) {
  return in->view > 0;
}

static mcl_status linear_forward(void *user, const mcl_inputs *in, const mcl_array *out,
                                 mcl_error *e) {
  linear *h = user;
  if (fails(h->j, FORWARD)) return fail_by(h->j, e);
  float **x = &h->x[view_of(in)];
  free(*x);
  *x = malloc((size_t)(in->n * INPUTS + 1) * sizeof **x);
  take_inputs(in, *x);
  multiply(h->w[in->modality], *x, in->n, out->data);
  return mcl_ok(e);
}

static mcl_status linear_backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                                  mcl_error *e) {
  linear *h = user;
  if (fails(h->j, BACKWARD)) return fail_by(h->j, e);
  const float *dz = grad->data, *x = h->x[view_of(in)];
  for (int64_t i = 0; i < in->n * DIM; i++)
    for (int k = 0; k < INPUTS; k++)
      h->dw[in->modality][i % DIM * INPUTS + k] += dz[i] * x[i / DIM * INPUTS + k];
  return mcl_ok(e);
}

static mcl_status linear_sum(void *user, mcl_comm *comm, mcl_error *e) {
  linear *h = user;
  ck_assert_ptr_eq(comm, h->j->r->comm);
  return test_rank_sum(h->j->r, h->dw[0], 2 * DIM * INPUTS, e);
}

static mcl_status linear_step(void *user, const mcl_step *s, mcl_error *e) {
  linear *h = user;
  if (fails(h->j, STEP)) return fail_by(h->j, e);
  if (h->j->p->encoder == HOST_STEPS && h->j->r->size > 1) {
    mcl_status status = test_rank_sum(h->j->r, h->dw[0], 2 * DIM * INPUTS, e);
    if (status < 0) return status;
  }
  for (int m = 0; m < 2; m++)
    for (int i = 0; i < DIM * INPUTS; i++) h->w[m][i] -= (float)s->learning_rate * h->dw[m][i];
  memset(h->dw, 0, sizeof h->dw);
  return mcl_ok(e);
}

static void linear_give_up(void *user) {
  linear *h = user;
  memset(h->dw, 0, sizeof h->dw);
}

static mcl_status linear_file(linear *h, const char *path, const char *mode, mcl_error *e) {
  FILE *f = fopen(path, mode);
  size_t n = !f             ? 0
             : *mode == 'w' ? fwrite(h->w, sizeof h->w, 1, f)
                            : fread(h->w, sizeof h->w, 1, f);
  if (f && fclose(f)) n = 0;
  return n == 1 ? mcl_ok(e) : mcl_error_set(e, MCL_E_IO, 5, "no such weights");
}

static mcl_status linear_save(void *user, const char *path, mcl_error *e) {
  linear *h = user;
  return fails(h->j, SAVE) ? fail_by(h->j, e) : linear_file(h, path, "wb", e);
}

static mcl_status linear_load(void *user, const char *path, mcl_error *e) {
  return linear_file(user, path, "rb", e);
}

static mcl_status linear_start_from(void *user, void *from, mcl_error *e) {
  memcpy(((linear *)user)->w, ((linear *)from)->w, sizeof((linear *)user)->w);
  return mcl_ok(e);
}

static void linear_destroy(void *user) {
  linear *h = user;
  free(h->x[0]), free(h->x[1]);
  free(h);
}

static inline mcl_status make_linear(loop *j, int32_t stage, mcl_encoder **out, mcl_error *e) {
  linear *h = calloc(1, sizeof *h);
  h->j = j;
  test_fill_normal(h->w[0], 2 * DIM * INPUTS, mcl_multistage_seed(3, stage));
  mcl_host_encoder t;
  mcl_struct_init(&t, sizeof t);
  t.user = h, t.dim = DIM, t.modalities = j->p->modalities, t.flags = MCL_HOST_CHUNKS;
  t.embed = linear_embed, t.forward = linear_forward, t.backward = linear_backward;
  t.step = linear_step, t.save = linear_save, t.load = linear_load, t.destroy = linear_destroy;
  t.give_up = linear_give_up, t.start_from = linear_start_from;
  if (j->p->encoder == HOST_SUMS) t.sum_gradients = linear_sum;
  return mcl_encoder_create_host(j->r->context, &t, out, e);
}

// ---- a pair of built-in ones -----------------------------------------------------------------------------

static inline mcl_status make_pair(loop *j, int32_t stage, mcl_encoder **out, mcl_error *e) {
  mcl_optimiser_options descent;
  mcl_mlp_options image;
  mcl_bag_options text;
  mcl_pair_options pair;
  mcl_encoder *a = NULL, *b = NULL;
  mcl_optimiser_options_init(&descent, sizeof descent);
  mcl_mlp_options_init(&image, sizeof image);
  mcl_bag_options_init(&text, sizeof text);
  mcl_pair_options_init(&pair, sizeof pair);
  descent.kind =
      MCL_SGD; // Adam makes a whole step of a last bit where a gradient is next to nothing
  image.seed = text.seed = pair.seed = mcl_multistage_seed(3, stage);
  image.inputs = INPUTS, image.hidden = 16, image.layers = 1, image.dim = 10;
  image.projection_dim = 0;
  text.vocabulary = WORDS, text.context = CONTEXT, text.embed = 8, text.hidden = 16, text.dim = 7;
  pair.dim = DIM, pair.temperature = 0.3;
  image.optimiser = text.optimiser = pair.optimiser = &descent;
  mcl_status s = mcl_encoder_create_mlp(j->r->context, &image, &a, e);
  if (s == MCL_OK) s = mcl_encoder_create_bag(j->r->context, &text, &b, e);
  if (s == MCL_OK) s = mcl_encoder_create_pair(j->r->context, &pair, a, b, out, e);
  mcl_encoder_unref(a);
  mcl_encoder_unref(b);
  return s;
}

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  loop *j = user;
  if (fails(j, MAKE)) return fail_by(j, e);
  mcl_status s =
      j->p->encoder == PAIR ? make_pair(j, stage, out, e) : make_linear(j, stage, out, e);
  if (s < 0) return s;
  mcl_encoder_unref(j->encoders[stage]);
  j->encoders[stage] = mcl_encoder_ref(*out);
  return mcl_ok(e);
}

// ---- the loop --------------------------------------------------------------------------------------------

static inline void loop_options(const plan *p, mcl_multistage_options *o) {
  mcl_multistage_options_init(o, sizeof *o);
  o->stages = STAGES;
  o->epochs = p->epochs ? p->epochs : 1;
  o->seed = 5;
  o->modalities = p->modalities ? p->modalities : 1;
  o->cluster_modalities = p->clustered;
  o->loss_kind = o->modalities == 2 ? MCL_LOSS_INFO_NCE : p->loss_kind;
  if (!o->loss_kind) o->loss_kind = MCL_LOSS_NT_XENT;
  o->learning_rate = 0.05;
  o->trained_stages = p->trained_stages;
  o->initial = p->initial;
  o->chunk_rows = p->chunk_rows;
  o->save_directory = p->save;
  o->save_every_steps = p->save_every;
  o->embedding_directory = p->embeddings;
}

static inline mcl_status loop_open(loop *j, test_rank *r, const plan *p, mcl_error *err) {
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_loss_options loss;
  mcl_multistage_options o;
  mcl_host_dataset rows;
  memset(j, 0, sizeof *j);
  j->p = p;
  j->r = r;
  j->why = MCL_E_IO;
  mcl_struct_init(&rows, sizeof rows);
  rows.user = j, rows.rows = ROWS, rows.fingerprint = 1, rows.modalities = 2;
  rows.shape = shape, rows.load = load;
  if (p->duplicates) rows.groups = groups;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_loss_options_init(&loss, sizeof loss);
  loop_options(p, &o);
  // Starts that do not follow embeddings: a last bit would choose another row, and number the cells otherwise.
  k.k = 3, k.init = MCL_INIT_RANDOM, k.restarts = 1;
  s.batch_rows = p->batch_rows ? p->batch_rows : 128;
  loss.flags = p->flags, loss.temperature = 0.3;
  o.kmeans = &k, o.sampler = &s, o.loss = &loss;
  mcl_status status = mcl_dataset_create_host(r->context, &rows, &j->d, err);
  if (status == MCL_OK && p->own_clusterer)
    status = mcl_clusterer_create_kmeans(r->context, &k, r->comm, &o.clusterer, err);
  if (status == MCL_OK) status = mcl_multistage_create(r->context, &o, ROWS, r->comm, &j->l, err);
  mcl_clusterer_unref(o.clusterer);
  return status;
}

static inline void loop_close(loop *j) {
  for (int s = 0; s < STAGES; s++) mcl_encoder_unref(j->encoders[s]);
  mcl_multistage_unref(j->l);
  mcl_dataset_unref(j->d);
}

static int32_t tell(void *user, const mcl_progress *p) {
  (void)p;
  return fails(user, TELL);
}

static inline mcl_status loop_run(loop *j, mcl_error *err) {
  mcl_encoder_factory f;
  mcl_monitor m;
  mcl_struct_init(&f, sizeof f);
  mcl_struct_init(&m, sizeof m);
  f.user = m.user = j;
  f.make = make;
  m.progress = tell;
  return mcl_multistage_run(j->l, j->d, NULL, &f, &m, err);
}

static inline void take_embeddings(loop *j, int32_t stage, int32_t modality, float *out) {
  mcl_error err;
  int64_t indices[ROWS], shape_of[2] = {ROWS, 0};
  mcl_array row, data, z = mcl_matrix_f32(out, ROWS, DIM);
  for (int i = 0; i < ROWS; i++) indices[i] = i;
  CHECK_OK(mcl_dataset_shape(j->d, modality, &row, &err));
  void *x = malloc((size_t)(ROWS * row.shape[0]) * sizeof(float));
  shape_of[1] = row.shape[0];
  mcl_array_init(&data, x, row.dtype, 2, shape_of);
  CHECK_OK(mcl_dataset_load(j->d, indices, ROWS, modality, &data, &err));
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = ROWS, in.indices = indices, in.data = &data, in.modality = modality, in.view = -1;
  in.epoch = -1;
  CHECK_OK(mcl_encoder_embed(j->encoders[stage], &in, &z, &err));
  free(x);
}

static inline bool is_clustered(const plan *p, int m) {
  return (p->clustered ? p->clustered : 1) >> m & 1;
}

static inline void loop_take(loop *j, outcome *out) {
  mcl_error err;
  memset(out, 0, sizeof *out);
  j->at = 0;
  for (int s = 0; s < STAGES; s++)
    for (int m = 0; m < (j->p->modalities == 2 ? 2 : 1); m++) {
      take_embeddings(j, s, m, out->z[s][m]);
      if (!is_clustered(j->p, m)) continue;
      mcl_struct_init(&out->reports[s][m], sizeof out->reports[s][m]);
      CHECK_OK(mcl_multistage_get_report(j->l, s, m, &out->reports[s][m], &err));
      CHECK_OK(mcl_multistage_labels(j->l, s, m, out->labels[s][m], ROWS, &err));
    }
}

// ---- pulled: embeddings are a function of row and stage ---------------------------------------------------

static inline void loop_put(const loop *j, const mcl_event *e, const mcl_batch *b) {
  mcl_error err;
  float *z = malloc((size_t)(b->n * INPUTS + 1) * sizeof *z);
  for (int64_t i = 0; i < b->n * INPUTS; i++)
    z[i] = number(b->indices[i / INPUTS] * (e->stage + 1), e->stage, i % INPUTS);
  mcl_array a = mcl_matrix_f32(z, b->n, INPUTS);
  CHECK_OK(mcl_multistage_put_embeddings(j->l, 0, b->indices, b->n, &a, &err));
  free(z);
}

static inline void loop_take_labels(const loop *j, outcome *out) {
  mcl_error err;
  memset(out, 0, sizeof *out);
  for (int s = 0; s < STAGES; s++) {
    mcl_struct_init(&out->reports[s][0], sizeof out->reports[s][0]);
    CHECK_OK(mcl_multistage_get_report(j->l, s, 0, &out->reports[s][0], &err));
    CHECK_OK(mcl_multistage_labels(j->l, s, 0, out->labels[s][0], ROWS, &err));
  }
}

static inline void check_same(const outcome *a, const outcome *b) {
  ck_assert_mem_eq(a->z, b->z, sizeof a->z);
  ck_assert_mem_eq(a->labels, b->labels, sizeof a->labels);
  ck_assert_mem_eq(a->reports, b->reports, sizeof a->reports);
}

#endif
