// The controls an honest table needs.
//
// The ensemble is as many independently seeded stage-0 networks as there are stages. "Shuffled"
// trains in cells of the same sizes whose rows are drawn at random: if it gained as much, the
// clusters would not matter.
#include "discover.h"

#include <stdlib.h>
#include <string.h>

// Room for `dim` columns of all rows, of pairs for captions too.
static int allocate(const run *r, representation *out, int32_t dim) {
  const size_t bytes = (size_t)((r->data.rows + r->data.holdout) * dim) * sizeof(float);
  out->dim = dim;
  out->z = malloc(bytes);
  if (r->o->pairs) out->texts = malloc(bytes);
  return out->z && (out->texts || !r->o->pairs) ? 0 : out_of_memory();
}

// ---- the ensemble -------------------------------------------------------------------------------

static int train_member(const run *r, int i, representation *z) {
  mcl_multistage *loop = NULL;
  mcl_integrator *first = NULL;
  const uint64_t seed = ensemble_seed(r->o->seed, i);
  mcl_status s = make_loop(r, 1, seed, NULL, &loop);
  if (s == MCL_OK) s = run_loop(r, loop, seed, NULL);
  if (s == MCL_OK) s = mcl_multistage_integrator(loop, &first, &err);
  if (s == MCL_OK) s = embed(r, first, NULL, z);
  mcl_integrator_unref(first);
  mcl_multistage_unref(loop);
  return s;
}

// Members side by side. Stage 0 of the run is the first.
static int join_members(run *r, mcl_integrator *members, const representation *z, int modality) {
  const int64_t n = r->data.rows + r->data.holdout;
  const int32_t dim = r->first[1];
  mcl_array parts[MAX_STAGES];
  for (int i = 1; i < r->stages; i++)
    parts[i] = mcl_matrix_f32(representation_of(&z[i], modality), n, dim);
  parts[0] = mcl_matrix_f32(representation_of(&r->integrated, modality), n, dim);
  parts[0].strides[0] = r->integrated.dim;
  mcl_array out = mcl_matrix_f32(representation_of(&r->ensemble, modality), n, r->ensemble.dim);
  return mcl_integrator_concat(members, parts, r->stages, &out, &err);
}

static int train_ensemble(run *r) {
  mcl_integrator *members = NULL;
  representation z[MAX_STAGES] = {{0}};
  mcl_status s = mcl_integrator_create(r->context, NULL, &members, &err);
  for (int i = 0; s == MCL_OK && i < r->stages; i++) {
    s = mcl_integrator_add_stage(members, NULL, r->first[1], 1, &err);
    if (s >= 0 && i > 0) s = train_member(r, i, &z[i]);
  }
  if (s == MCL_OK) s = allocate(r, &r->ensemble, r->first[1] * r->stages);
  for (int m = 0; s == MCL_OK && m <= r->o->pairs; m++) s = join_members(r, members, z, m);
  for (int i = 0; i < r->stages; i++) representation_free(&z[i]);
  mcl_integrator_unref(members);
  return s;
}

// ---- shuffled cells -----------------------------------------------------------------------------

static void shuffle(int32_t *labels, int64_t n, uint64_t seed) {
  for (int64_t i = n - 1; i > 0; i--) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    int64_t j = (int64_t)((seed >> 33) % (uint64_t)(i + 1));
    int32_t label = labels[i];
    labels[i] = labels[j];
    labels[j] = label;
  }
}

enum { PROJECTION = 64 }; // of images alone; of pairs it is the embedding

// What a loop of the host's own needs.
typedef struct host {
  const run *r;
  mcl_multistage *loop;
  mcl_encoder *encoder, *previous; // of the stage at work, and of the one before
  mcl_integrator *later;
  mcl_batch batch;
  uint8_t *images;
  int32_t *tokens;                // of pairs
  float *views[2], *z[2], *dz[2]; // of pairs one view
  int64_t *same[2],
      *of_batch[2]; // of pairs: which training rows share image or caption; those of a batch
} host;

static int host_pairs(host *h) {
  const run *r = h->r;
  const size_t cap = (size_t)h->batch.capacity, rows = (size_t)r->data.rows;
  h->tokens = malloc(cap * (size_t)r->data.sizes.context * sizeof *h->tokens);
  for (int m = 0; m < 2; m++) {
    h->same[m] = malloc(rows * sizeof *h->same[m]);
    h->of_batch[m] = malloc(cap * sizeof *h->of_batch[m]);
    if (!h->tokens || !h->same[m] || !h->of_batch[m]) return out_of_memory();
    TRY(mcl_dataset_groups(r->data.train, m, h->same[m], r->data.rows, &err));
  }
  return 0;
}

static int host_begin(host *h) {
  const run *r = h->r;
  const data *d = &r->data;
  if (make_loop(r, r->stages, r->o->seed, NULL, &h->loop) < 0) return -1;
  TRY(mcl_integrator_create(r->context, NULL, &h->later, &err));
  const size_t cap = (size_t)mcl_multistage_batch_capacity(h->loop);
  const size_t row = (size_t)d->height * (size_t)d->width * (size_t)d->channels;
  const size_t dim = r->o->pairs ? (size_t)r->first[1] : PROJECTION;
  h->batch.capacity = (int64_t)cap;
  h->batch.indices = malloc(cap * sizeof *h->batch.indices);
  h->batch.cells = malloc(cap * sizeof *h->batch.cells);
  h->images = malloc(cap * row);
  if (!h->batch.indices || !h->batch.cells || !h->images) return out_of_memory();
  for (int v = 0; v < 2; v++) {
    h->views[v] = malloc(cap * row * sizeof(float));
    h->z[v] = malloc(cap * dim * sizeof(float));
    h->dz[v] = malloc(cap * dim * sizeof(float));
    if (!h->views[v] || !h->z[v] || !h->dz[v]) return out_of_memory();
  }
  return r->o->pairs ? host_pairs(h) : 0;
}

static void host_end(host *h) {
  mcl_encoder_unref(h->encoder);
  mcl_encoder_unref(h->previous);
  mcl_integrator_unref(h->later);
  mcl_multistage_unref(h->loop);
  free(h->batch.indices), free(h->batch.cells), free(h->images), free(h->tokens);
  for (int v = 0; v < 2; v++) {
    free(h->views[v]), free(h->z[v]), free(h->dz[v]);
    free(h->same[v]), free(h->of_batch[v]);
  }
}

// View v of the batch, whose images are loaded, or its captions.
static int forward(host *h, const mcl_event *event, int v, mcl_inputs *in, mcl_array *x) {
  const run *r = h->r;
  const data *d = &r->data;
  const mcl_batch *b = &h->batch;
  mcl_array images = mcl_images_u8(h->images, b->n, d->height, d->width, d->channels);
  mcl_array Z = mcl_matrix_f32(h->z[v], b->n, mcl_encoder_projection_dim(h->encoder));
  mcl_struct_init(in, sizeof *in);
  in->indices = b->indices;
  in->n = b->n;
  in->data = &images;
  in->modality = r->o->pairs ? v : 0;
  in->view = v;
  in->stage = event->stage;
  in->epoch = event->epoch;
  in->seed = r->o->seed;
  if (in->modality) {
    const int64_t shape[2] = {b->n, d->sizes.context};
    mcl_array_init(x, h->tokens, MCL_I32, 2, shape);
    TRY(mcl_dataset_load(d->train, b->indices, b->n, 1, x, &err));
  } else {
    *x = mcl_images_f32(h->views[v], b->n, d->height, d->width, d->channels);
    TRY(mcl_augmenter_apply(r->augmenter, in, x, &err));
  }
  in->data = x;
  return mcl_encoder_forward(h->encoder, in, &Z, &err);
}

static int find_loss(host *h, mcl_array D[2], mcl_loss_result *lr) {
  const run *r = h->r;
  const int32_t dim = mcl_encoder_projection_dim(h->encoder);
  mcl_array Z[2];
  mcl_loss_options lo;
  mcl_loss_inputs li;
  mcl_loss_options_init(&lo, sizeof lo);
  mcl_struct_init(&li, sizeof li);
  mcl_struct_init(lr, sizeof *lr);
  for (int v = 0; v < 2; v++) {
    Z[v] = mcl_matrix_f32(h->z[v], h->batch.n, dim);
    D[v] = mcl_matrix_f32(h->dz[v], h->batch.n, dim);
  }
  lo.temperature = r->o->temperature;
  li.za = &Z[0], li.zb = &Z[1], li.dza = &D[0], li.dzb = &D[1];
  li.cells = h->batch.cells;
  if (!r->o->pairs) return mcl_loss_nt_xent(r->context, &lo, &li, lr, &err);
  for (int m = 0; m < 2; m++)
    for (int64_t i = 0; i < h->batch.n; i++) h->of_batch[m][i] = h->same[m][h->batch.indices[i]];
  li.duplicates = h->of_batch[0], li.other_duplicates = h->of_batch[1];
  TRY(mcl_encoder_temperature(h->encoder, &lo.temperature, &err));
  return mcl_loss_info_nce(r->context, &lo, &li, lr, &err);
}

// One step of the host's own training: what libmcl does itself in mcl_multistage_run().
static int step(host *h, const mcl_event *event) {
  const run *r = h->r;
  const data *d = &r->data;
  const mcl_batch *b = &h->batch;
  mcl_inputs in[2];
  mcl_array images = mcl_images_u8(h->images, b->n, d->height, d->width, d->channels), x[2], D[2];
  mcl_loss_result lr;
  mcl_step at;
  mcl_progress p;
  TRY(mcl_dataset_load(d->train, b->indices, b->n, 0, &images, &err));
  for (int v = 0; v < 2; v++)
    if (forward(h, event, v, &in[v], &x[v]) < 0) return -1;
  if (find_loss(h, D, &lr) < 0) return -1;
  for (int v = 0; v < 2; v++) TRY(mcl_encoder_backward(h->encoder, &in[v], &D[v], &err));
  if (r->o->pairs) TRY(mcl_encoder_backward_temperature(h->encoder, lr.d_log_temperature, &err));
  mcl_struct_init(&at, sizeof at);
  at.learning_rate = r->o->learning_rate;
  at.step = event->epoch * b->steps + b->step;
  at.steps = r->o->epochs * b->steps;
  at.stage = event->stage;
  at.epoch = event->epoch;
  mcl_struct_init(&p, sizeof p);
  p.phase = "train", p.stage = event->stage, p.epoch = event->epoch, p.loss = lr.loss;
  p.done = at.step + 1, p.total = at.steps;
  TRY(mcl_encoder_step(h->encoder, &at, &err));
  return progress(NULL, &p) ? mcl_error_set(&err, MCL_E_CANCELLED, 0, "stopped") : 0;
}

// The run's clusters, rows at random: the same draw in every stage, so that cells keep their sizes
// too.
static int put_shuffled(host *h, const mcl_event *event) {
  const run *r = h->r;
  const size_t bytes = (size_t)r->data.rows * sizeof(int32_t);
  int32_t *labels = malloc(bytes);
  if (!labels) return out_of_memory();
  memcpy(labels, r->labels[event->modality][event->stage], bytes);
  shuffle(labels, r->data.rows, r->o->seed);
  mcl_status s = mcl_multistage_put_labels(h->loop, event->modality, labels, r->data.rows, &err);
  free(labels);
  return s;
}

static int begin(host *h, int32_t stage) {
  const run *r = h->r;
  TRY(make_encoder(r, r->o->seed, stage, &h->encoder, &err));
  if (r->o->initial == MCL_INITIAL_FRESH) return 0;
  return mcl_encoder_start_from(h->encoder, stage == 1 ? r->first_encoder : h->previous, &err);
}

static int carry_out(host *h, const mcl_event *event) {
  if (event->kind == MCL_BEGIN_STAGE) return begin(h, event->stage);
  if (event->kind == MCL_TRAIN_BATCH) return step(h, event);
  if (event->kind == MCL_EMBED_ROWS) return put_shuffled(h, event);
  if (event->kind != MCL_END_STAGE || event->stage == 0) return 0;
  TRY(mcl_integrator_add_stage(h->later, h->encoder, 0, 1, &err));
  mcl_encoder_unref(h->previous);
  h->previous = h->encoder;
  h->encoder = NULL;
  return 0;
}

static int join_stages(run *r, const representation *later) {
  const int64_t n = r->data.rows + r->data.holdout;
  const int32_t own = r->first[1], dim = own + later->dim;
  if (allocate(r, &r->shuffled, dim) < 0) return -1;
  for (int m = 0; m <= r->o->pairs; m++) {
    const float *first = representation_of(&r->integrated, m), *rest = representation_of(later, m);
    for (int64_t i = 0; i < n; i++) {
      float *out = representation_of(&r->shuffled, m) + i * dim;
      memcpy(out, first + i * r->integrated.dim, (size_t)own * sizeof(float));
      memcpy(out + own, rest + i * later->dim, (size_t)later->dim * sizeof(float));
    }
  }
  return 0;
}

// Pull: the events of the loop, with labels of our own instead of its clusters. Stage 0 is the
// run's.
static int train_shuffled(run *r) {
  host h = {.r = r};
  representation later = {0};
  mcl_event event;
  mcl_struct_init(&event, sizeof event);
  mcl_struct_init(&h.batch, sizeof h.batch);
  mcl_status s = host_begin(&h);
  // Of stage 0 only the embeddings are needed, and the run has them: its training is skipped.
  if (s == MCL_OK) s = mcl_multistage_seek(h.loop, 0, r->o->epochs, 0, &err);
  while (s == MCL_OK) {
    s = mcl_multistage_next(h.loop, NULL, &event, &h.batch, &err);
    if (s < 0 || event.kind == MCL_DONE) break;
    s = carry_out(&h, &event);
  }
  if (s == MCL_OK && r->stages > 1) {
    s = embed(r, h.later, NULL, &later);
    if (s == MCL_OK) s = join_stages(r, &later);
    representation_free(&later);
  }
  host_end(&h);
  return s;
}

// ---- nothing learnt -----------------------------------------------------------------------------

static int embed_untrained(run *r) {
  mcl_encoder *e = NULL;
  mcl_status s = make_encoder(r, r->o->seed, 0, &e, &err);
  if (s == MCL_OK) s = embed(r, NULL, e, &r->untrained);
  mcl_encoder_unref(e);
  return s;
}

// The image channels alone: what is known before anything is learnt.
static int take_pixels(run *r) {
  const data *d = &r->data;
  int64_t n = d->rows + d->holdout, pixels = (int64_t)d->height * d->width;
  uint8_t *row = malloc((size_t)(pixels * d->channels));
  r->pixels.dim = (int32_t)(pixels * d->image_channels);
  r->pixels.z = malloc((size_t)(n * r->pixels.dim) * sizeof(float));
  mcl_status s = row && r->pixels.z ? MCL_OK : out_of_memory();
  for (int64_t i = 0; s == MCL_OK && i < n; i++) {
    mcl_array x = mcl_images_u8(row, 1, d->height, d->width, d->channels);
    s = mcl_dataset_load(d->all, &i, 1, 0, &x, &err);
    float *out = r->pixels.z + i * r->pixels.dim;
    for (int64_t p = 0; p < pixels; p++)
      for (int32_t c = 0; c < d->image_channels; c++)
        *out++ = (float)row[p * d->channels + c] / 255.0f;
  }
  free(row);
  return s;
}

int train_controls(run *r) {
  progress_say("training the ensemble");
  if (train_ensemble(r) < 0) return -1;
  progress_say("training in shuffled cells");
  if (train_shuffled(r) < 0) return -1;
  if (embed_untrained(r) < 0) return -1;
  return r->o->pairs ? 0 : take_pixels(r); // pixels find no captions
}
