// Training: the loop driven by libmcl, and the embeddings of all rows by what it has trained.
#include "discover.h"

#include <stdlib.h>

// ---- the loop -----------------------------------------------------------------------------------

uint32_t clustered(const options *o) {
  return o->pairs ? (uint32_t)o->sides + 1 : 1; // image: 1, text: 2, both: 3
}

typedef struct factory {
  const run *r;
  unsigned long long seed;
  mcl_encoder **first; // where that of stage 0 is kept; NULL: nowhere
} factory;

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  const factory *f = user;
  mcl_status s = make_encoder(f->r, f->seed, stage, out, e);
  if (s < 0 || stage > 0 || !f->first) return s;
  mcl_encoder_unref(*f->first);
  *f->first = mcl_encoder_ref(*out);
  return s;
}

int make_loop(const run *r, int stages, unsigned long long seed, const char *directory,
              mcl_multistage **out) {
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_loss_options l;
  mcl_multistage_options m;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_loss_options_init(&l, sizeof l);
  mcl_multistage_options_init(&m, sizeof m);
  k.k = r->o->clusters;
  s.batch_rows = r->o->batch;
  s.small_cells = r->o->small_cells;
  s.batching = r->o->batching;
  l.temperature = r->o->temperature;
  m.seed = seed;
  m.stages = stages;
  m.growth = 1; // stages are looked at one by one, and side by side as in the paper
  m.epochs = r->o->epochs;
  m.initial = r->o->initial;
  if (r->o->pairs) {
    m.modalities = 2;
    m.cluster_modalities = clustered(r->o);
    m.loss_kind = MCL_LOSS_INFO_NCE;
  }
  m.learning_rate = r->o->learning_rate;
  m.fingerprint = mcl_dataset_fingerprint(r->data.train);
  m.kmeans = &k;
  m.sampler = &s;
  m.loss = &l;
  m.save_directory = directory;
  if (r->o->memory) {
    m.embedding_directory = directory;
    k.max_bytes = (int64_t)r->o->memory << 20;
  }
  m.save_every_steps = 500; // some ten seconds: what a power cut may cost
  return mcl_multistage_create(r->context, &m, r->data.rows, NULL, out, &err);
}

int run_loop(const run *r, mcl_multistage *loop, unsigned long long seed, mcl_encoder **first) {
  factory f = {r, seed, first};
  mcl_encoder_factory encoders;
  mcl_monitor m;
  mcl_struct_init(&encoders, sizeof encoders);
  mcl_struct_init(&m, sizeof m);
  encoders.user = &f;
  encoders.make = make;
  m.progress = progress;
  return mcl_multistage_run(loop, r->data.train, r->augmenter, &encoders, &m, &err);
}

// ---- embedding ----------------------------------------------------------------------------------

float *representation_of(const representation *z, int modality) {
  return modality ? z->texts : z->z;
}

void representation_free(representation *z) {
  free(z->z);
  free(z->texts);
}

// Rows at a time. A block of images and embeddings stays in cache; more only adds memory.
enum { BLOCK = 512 };

static mcl_status embed_block(const run *r, mcl_integrator *g, mcl_encoder *e, int32_t modality,
                              const int64_t *indices, int64_t n, mcl_array *x, const mcl_array *z) {
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.indices = indices;
  in.n = n;
  in.data = x;
  in.modality = modality;
  in.view = -1;
  TRY(mcl_dataset_load(r->data.all, indices, n, modality, x, &err));
  return g ? mcl_integrator_embed(g, &in, z, &err) : mcl_encoder_embed(e, &in, z, &err);
}

// One modality into z, [rows + holdout, dim].
static mcl_status embed_side(const run *r, mcl_integrator *g, mcl_encoder *e, int32_t modality,
                             int32_t dim, float *z) {
  const int64_t n = r->data.rows + r->data.holdout;
  int64_t indices[BLOCK], shape[4], numbers = BLOCK;
  mcl_array row, x;
  TRY(mcl_dataset_shape(r->data.all, modality, &row, &err));
  for (int i = 0; i < row.ndim; i++) numbers *= shape[i + 1] = row.shape[i];
  void *room = malloc((size_t)numbers * sizeof(int32_t)); // token ids, or pixels, which need less
  mcl_status s = room ? MCL_OK : out_of_memory();
  for (int64_t first = 0; s == MCL_OK && first < n; first += BLOCK) {
    const int64_t count = n - first < BLOCK ? n - first : BLOCK;
    for (int64_t i = 0; i < count; i++) indices[i] = first + i;
    shape[0] = count;
    mcl_array_init(&x, room, row.dtype, row.ndim + 1, shape);
    const mcl_array out = mcl_matrix_f32(z + first * dim, count, dim);
    s = embed_block(r, g, e, modality, indices, count, &x, &out);
  }
  free(room);
  return s;
}

int embed(const run *r, mcl_integrator *g, mcl_encoder *e, representation *out) {
  const int64_t n = r->data.rows + r->data.holdout;
  out->dim = g ? mcl_integrator_dim(g) : mcl_encoder_dim(e);
  const size_t bytes = (size_t)(n * out->dim) * sizeof(float);
  out->z = malloc(bytes);
  if (r->o->pairs) out->texts = malloc(bytes);
  if (!out->z || (r->o->pairs && !out->texts)) return out_of_memory();
  TRY(embed_side(r, g, e, 0, out->dim, out->z));
  return r->o->pairs ? embed_side(r, g, e, 1, out->dim, out->texts) : MCL_OK;
}

// ---- the stages ---------------------------------------------------------------------------------

static int keep_clusters(run *r, int stage, int32_t modality) {
  mcl_stage_report report;
  int32_t *labels = r->labels[modality][stage] =
      malloc((size_t)r->data.rows * sizeof *r->labels[modality][stage]);
  if (!labels) return out_of_memory();
  mcl_struct_init(&report, sizeof report);
  TRY(mcl_multistage_get_report(r->loop, stage, modality, &report, &err));
  r->clusters[modality][stage] = report.k_effective;
  if (modality == 0 || !r->labels[0][stage]) r->report[stage] = report;
  return mcl_multistage_labels(r->loop, stage, modality, labels, r->data.rows, &err);
}

static int keep_results(run *r) {
  mcl_integrator *g = NULL;
  TRY(mcl_multistage_integrator(r->loop, &g, &err));
  r->stages = mcl_integrator_stages(g);
  mcl_status s = embed(r, g, NULL, &r->integrated);
  for (int i = 0; s == MCL_OK && i < r->stages; i++) {
    int32_t dim;
    s = mcl_integrator_stage_range(g, i, &r->first[i], &dim, &err);
    r->first[i + 1] = r->first[i] + dim;
    for (int32_t m = 0; s == MCL_OK && m < 2; m++)
      if (clustered(r->o) >> m & 1) s = keep_clusters(r, i, m);
  }
  mcl_integrator_unref(g);
  return s;
}

int train_stages(run *r) {
  char *directory = path_in(r->o, "checkpoint");
  if (!directory) return out_of_memory();
  int s = make_augmenter(r);
  if (s == MCL_OK) s = make_loop(r, r->o->stages, r->o->seed, directory, &r->loop);
  if (s == MCL_OK && r->o->resume) {
    s = mcl_multistage_resume(r->loop, directory, &err);
    if (s == MCL_E_NOT_FOUND) s = MCL_OK; // nothing was saved yet: from the start
  }
  free(directory);
  progress_say("training the stages");
  if (s == MCL_OK) s = run_loop(r, r->loop, r->o->seed, &r->first_encoder);
  return s == MCL_OK ? keep_results(r) : s;
}
