#include "pair.h"

#include <stdlib.h>

// ---- one loop ------------------------------------------------------------------------------------------

// A training in stages, or one member of an ensemble.
typedef struct training {
  const pair_experiment *x;
  uint64_t seed;
  mcl_multistage *loop;
  mcl_encoder *last; // of the last stage that has begun
} training;

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  training *t = user;
  mcl_status s = t->x->make(t->x->user, mcl_multistage_seed(t->seed, stage), out, e);
  if (s < 0) return s;
  mcl_encoder_unref(t->last);
  t->last = mcl_encoder_ref(*out);
  return mcl_ok(e);
}

static int make_loop(training *t, int stages) {
  const experiment_options *o = t->x->o;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage_options m;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_multistage_options_init(&m, sizeof m); // Adam's rate is 1e-3 at first
  k.k = (int32_t)o->clusters;
  s.batch_rows = o->batch;
  s.batching = MCL_BATCH_PACKED;
  m.seed = t->seed;
  m.stages = stages;
  m.epochs = (int32_t)o->epochs;
  m.modalities = 2;
  m.cluster_modalities = (uint32_t)t->x->sides + 1; // image: 1, text: 2, both: 3
  m.loss_kind = MCL_LOSS_INFO_NCE;
  m.schedule = t->x->schedule;
  if (!t->x->ensemble) m.trained_stages = t->x->trained_stages;
  m.chunk_rows = t->x->chunk_rows;
  if (t->x->learning_rate > 0) m.learning_rate = t->x->learning_rate;
  m.growth = 1; // weights come later
  m.kmeans = &k, m.sampler = &s, m.loss = t->x->loss;
  return mcl_multistage_create(t->x->context, &m, mcl_dataset_rows(t->x->train), NULL, &t->loop,
                               &err);
}

static int train(training *t, int stages) {
  int s = make_loop(t, stages);
  if (s == 0) s = experiment_train(t->x->context, t->loop, t->x->train, &t->x->views, make, t);
  if (t->x->trained) t->x->trained(t->x->user);
  return s;
}

static void training_end(training *t) {
  mcl_encoder_unref(t->last);
  mcl_multistage_unref(t->loop);
}

// ---- what came of it -----------------------------------------------------------------------------------

// Rows at a time: a few of what a CLIP looks at fill megabytes.
enum { BLOCK = 64 };

static int embed_block(const pair_experiment *x, mcl_integrator *g, const mcl_array *row,
                       mcl_inputs *in, void *room, const mcl_array *z) {
  mcl_array data;
  const int64_t shape[4] = {in->n, row->shape[0], row->shape[1], row->shape[2]};
  mcl_array_init(&data, room, row->dtype, row->ndim + 1, shape);
  in->data = &data;
  TRY(mcl_dataset_load(x->test, in->indices, in->n, in->modality, &data, &err));
  return mcl_integrator_embed(g, in, z, &err);
}

// Representations of all test rows.
static int embed_side(const pair_experiment *x, mcl_integrator *g, int32_t modality, float *z) {
  const int64_t n = mcl_dataset_rows(x->test), dim = mcl_integrator_dim(g);
  int64_t indices[BLOCK], size = BLOCK;
  mcl_array row;
  TRY(mcl_dataset_shape(x->test, modality, &row, &err));
  for (int i = 0; i < row.ndim; i++) size *= row.shape[i];
  int32_t *room = malloc((size_t)size * sizeof *room); // token ids, or pixels, which need less
  int s = room ? 0 : out_of_memory();
  for (int64_t first = 0; s == 0 && first < n; first += BLOCK) {
    mcl_inputs in;
    mcl_struct_init(&in, sizeof in);
    in.indices = indices, in.modality = modality, in.view = -1;
    for (in.n = 0; in.n < BLOCK && first + in.n < n; in.n++) indices[in.n] = first + in.n;
    mcl_array out = mcl_matrix_f32(z + first * dim, in.n, dim);
    s = embed_block(x, g, &row, &in, room, &out);
  }
  free(room);
  return s;
}

static int judge_whole(const pair_experiment *x, mcl_integrator *g, double growth, int of,
                       float *const z[2]) {
  const int32_t dim = mcl_integrator_dim(g);
  TRY(mcl_integrator_set_growth(g, growth, &err));
  for (int m = 0; m < 2; m++)
    if (embed_side(x, g, m, z[m]) < 0) return -1;
  return x->judge(x->user, of, z, dim, 0, dim);
}

// Of equal weights, last: the stages' columns.
static int judge_stages(const pair_experiment *x, mcl_integrator *g, float *const z[2]) {
  for (int i = 0; i < mcl_integrator_stages(g); i++) {
    int32_t first, dim;
    TRY(mcl_integrator_stage_range(g, i, &first, &dim, &err));
    if (x->judge(x->user, i, z, mcl_integrator_dim(g), first, dim) < 0) return -1;
  }
  return 0;
}

int pair_judge(const pair_experiment *x, mcl_integrator *g) {
  const size_t rows = (size_t)mcl_dataset_rows(x->test);
  const size_t bytes = rows * (size_t)mcl_integrator_dim(g) * sizeof(float);
  float *z[2] = {malloc(bytes), malloc(bytes)};
  int s = z[0] && z[1] ? 0 : out_of_memory();
  if (s == 0) s = judge_whole(x, g, x->o->growth, PAIR_INTEGRATED, z);
  if (s == 0) s = judge_whole(x, g, 1, PAIR_PLAIN, z);
  if (s == 0) s = judge_stages(x, g, z);
  free(z[0]), free(z[1]);
  return s;
}

// ---- all of it -----------------------------------------------------------------------------------------

static int run_stages(const pair_experiment *x) {
  training t = {.x = x, .seed = (uint64_t)x->o->seed};
  mcl_integrator *g = NULL;
  int s = train(&t, (int)x->o->stages);
  if (s == 0) s = mcl_multistage_integrator(t.loop, &g, &err);
  if (s == 0) s = pair_judge(x, g);
  for (int i = 0; s == 0 && i < x->o->stages; i++) s = x->judge_clusters(x->user, t.loop, i, i);
  mcl_integrator_unref(g);
  training_end(&t);
  return s;
}

static int add_member(const pair_experiment *x, int member, mcl_integrator *all) {
  training t = {.x = x, .seed = ensemble_seed((uint64_t)x->o->seed, member)};
  int s = train(&t, 1);
  if (s == 0) s = x->judge_clusters(x->user, t.loop, 0, member);
  if (s == 0) s = mcl_integrator_add_stage(all, t.last, 0, 1, &err);
  training_end(&t);
  return s;
}

static int run_ensemble(const pair_experiment *x) {
  mcl_integrator *all = NULL;
  int s = mcl_integrator_create(x->context, NULL, &all, &err);
  for (int i = 0; s == 0 && i < x->o->stages; i++) s = add_member(x, i, all);
  if (s == 0) s = pair_judge(x, all);
  mcl_integrator_unref(all);
  return s;
}

int pair_run(const pair_experiment *x) {
  return x->ensemble ? run_ensemble(x) : run_stages(x);
}
