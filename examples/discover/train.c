// Training: the loop driven by libmcl, and the controls an honest table needs.
//
// The ensemble is as many independently seeded stage-0 networks as there are stages. "Shuffled" trains in cells of
// the same sizes whose rows are drawn at random: if it gained as much, the clusters would not matter.
#include "discover.h"

#include <stdlib.h>
#include <string.h>

// ---- networks and views --------------------------------------------------------------------------------

typedef struct factory {
  const run *r;
  unsigned long long seed;
} factory;

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  const factory *f = user;
  const data *d = &f->r->data;
  uint64_t seed = mcl_multistage_seed(f->seed, stage);
  if (f->r->o->mlp) {
    mcl_mlp_options o;
    mcl_mlp_options_init(&o, sizeof o);
    o.seed = seed;
    o.inputs = (int64_t)d->height * d->width * d->channels;
    return mcl_encoder_create_mlp(f->r->context, &o, out, e);
  }
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.seed = seed;
  o.height = d->height;
  o.width = d->width;
  o.channels = d->channels;
  return mcl_encoder_create_cnn(f->r->context, &o, out, e);
}

// Grey images: a square crop, brightness and noise. Colour: SimCLR's colour changes at half strength besides, and flips.
static int make_augmenter(run *r) {
  mcl_augmenter_options a;
  mcl_augmenter_options_init(&a, sizeof a);
  a.extra_channels = r->o->randbits;
  a.crop_area_min = 0.36;
  a.crop_aspect_max = 1;
  a.crop_size = MCL_CROP_UNIFORM_SIDE;
  a.noise = 0.05;
  a.blur = 0;
  a.brightness = 0.4;
  if (r->data.image_channels == 1) {
    a.flip = a.grey = a.contrast = a.saturation = a.hue = 0;
    a.jitter = 1;
    a.unclamped_brightness = 1; // white clothes would lose their pattern
  } else {
    a.crop_area_min = 0.2;
    a.contrast = a.saturation = 0.4;
    a.hue = 0.1;
  }
  return mcl_augmenter_create(r->context, &a, &r->augmenter, &err);
}

static int make_loop(const run *r, int stages, unsigned long long seed, const char *directory,
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
  m.learning_rate = r->o->learning_rate;
  m.fingerprint = mcl_dataset_fingerprint(r->data.train);
  m.kmeans = &k;
  m.sampler = &s;
  m.loss = &l;
  m.save_directory = directory;
  m.save_every_steps = 500; // some ten seconds: what a power cut may cost
  return mcl_multistage_create(r->context, &m, r->data.rows, NULL, out, &err);
}

static int run_loop(const run *r, mcl_multistage *loop, unsigned long long seed) {
  factory f = {r, seed};
  mcl_encoder_factory encoders;
  mcl_monitor m;
  mcl_struct_init(&encoders, sizeof encoders);
  mcl_struct_init(&m, sizeof m);
  encoders.user = &f;
  encoders.make = make;
  m.progress = progress;
  return mcl_multistage_run(loop, r->data.train, r->augmenter, &encoders, &m, &err);
}

// ---- embedding -----------------------------------------------------------------------------------------

// Rows at a time. A block of images and embeddings stays in cache; more only adds memory.
enum { BLOCK = 512 };

// Calls one of the two with blocks of all rows, as they are.
static int embed(const run *r, mcl_integrator *g, mcl_encoder *e, representation *out) {
  const data *d = &r->data;
  int64_t n = d->rows + d->holdout, row = (int64_t)d->height * d->width * d->channels;
  int32_t dim = g ? mcl_integrator_dim(g) : mcl_encoder_dim(e);
  uint8_t *images = malloc((size_t)(BLOCK * row));
  int64_t indices[BLOCK];
  out->dim = dim;
  out->z = malloc((size_t)(n * dim) * sizeof *out->z);
  mcl_status s = images && out->z ? MCL_OK : out_of_memory();
  for (int64_t first = 0; s == MCL_OK && first < n; first += BLOCK) {
    int64_t count = n - first < BLOCK ? n - first : BLOCK;
    for (int64_t i = 0; i < count; i++) indices[i] = first + i;
    mcl_array x = mcl_images_u8(images, count, d->height, d->width, d->channels);
    mcl_array z = mcl_matrix_f32(out->z + first * dim, count, dim);
    mcl_inputs in;
    mcl_struct_init(&in, sizeof in);
    in.indices = indices;
    in.n = count;
    in.data = &x;
    in.view = -1;
    s = mcl_dataset_load(d->all, indices, count, 0, &x, &err);
    if (s == MCL_OK)
      s = g ? mcl_integrator_embed(g, &in, &z, &err) : mcl_encoder_embed(e, &in, &z, &err);
  }
  free(images);
  return s;
}

int embed_integrator(run *r, mcl_integrator *g, representation *out) {
  return embed(r, g, NULL, out);
}

// ---- the stages ----------------------------------------------------------------------------------------

static int keep_results(run *r) {
  mcl_integrator *g = NULL;
  TRY(mcl_multistage_integrator(r->loop, &g, &err));
  r->stages = mcl_integrator_stages(g);
  mcl_status s = embed_integrator(r, g, &r->integrated);
  for (int i = 0; s == MCL_OK && i < r->stages; i++) {
    int32_t dim;
    s = mcl_integrator_stage_range(g, i, &r->first[i], &dim, &err);
    r->first[i + 1] = r->first[i] + dim;
    mcl_struct_init(&r->report[i], sizeof r->report[i]);
    if (s == MCL_OK) s = mcl_multistage_get_report(r->loop, i, 0, &r->report[i], &err);
    r->labels[i] = malloc((size_t)r->data.rows * sizeof *r->labels[i]);
    if (!r->labels[i]) s = out_of_memory();
    if (s == MCL_OK) s = mcl_multistage_labels(r->loop, i, 0, r->labels[i], r->data.rows, &err);
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
  if (s == MCL_OK) s = run_loop(r, r->loop, r->o->seed);
  return s == MCL_OK ? keep_results(r) : s;
}

// ---- controls ------------------------------------------------------------------------------------------

// Seeds of the ensemble's members: far from the ones a user would try next.
static unsigned long long member_seed(const run *r, int i) {
  return r->o->seed + 1000003u * (unsigned)i;
}

static int train_ensemble(run *r) {
  mcl_integrator *members = NULL, *first = NULL;
  int64_t n = r->data.rows + r->data.holdout;
  mcl_array parts[MAX_STAGES];
  representation z[MAX_STAGES] = {{0}};
  // Stage 0 of the run is the first member.
  int32_t dim = r->first[1];
  mcl_status s = mcl_integrator_create(r->context, NULL, &members, &err);
  for (int i = 0; s == MCL_OK && i < r->stages; i++) {
    s = mcl_integrator_add_stage(members, NULL, dim, 1, &err);
    if (s < 0 || i == 0) continue;
    mcl_multistage *loop = NULL;
    s = make_loop(r, 1, member_seed(r, i), NULL, &loop);
    if (s == MCL_OK) s = run_loop(r, loop, member_seed(r, i));
    if (s == MCL_OK) s = mcl_multistage_integrator(loop, &first, &err);
    if (s == MCL_OK) s = embed_integrator(r, first, &z[i]);
    mcl_integrator_unref(first);
    first = NULL;
    mcl_multistage_unref(loop);
    if (s == MCL_OK) parts[i] = mcl_matrix_f32(z[i].z, n, dim);
  }
  parts[0] = mcl_matrix_f32(r->integrated.z, n, dim);
  parts[0].strides[0] = r->integrated.dim;
  r->ensemble.dim = dim * r->stages;
  r->ensemble.z = malloc((size_t)(n * r->ensemble.dim) * sizeof(float));
  if (!r->ensemble.z) s = out_of_memory();
  mcl_array out = mcl_matrix_f32(r->ensemble.z, n, r->ensemble.dim);
  if (s == MCL_OK) s = mcl_integrator_concat(members, parts, r->stages, &out, &err);
  for (int i = 0; i < r->stages; i++) free(z[i].z);
  mcl_integrator_unref(members);
  return s;
}

static void shuffle(int32_t *labels, int64_t n, uint64_t seed) {
  for (int64_t i = n - 1; i > 0; i--) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    int64_t j = (int64_t)((seed >> 33) % (uint64_t)(i + 1));
    int32_t label = labels[i];
    labels[i] = labels[j];
    labels[j] = label;
  }
}

// One step of the host's own training: what libmcl does itself in mcl_multistage_run().
static int step(const run *r, mcl_encoder *e, const mcl_event *event, const mcl_batch *b,
                uint8_t *images, float *views[2], float *z[2], float *dz[2]) {
  const data *d = &r->data;
  int32_t dim = mcl_encoder_projection_dim(e);
  mcl_inputs in[2];
  mcl_array x = mcl_images_u8(images, b->n, d->height, d->width, d->channels), view[2], Z[2], D[2];
  TRY(mcl_dataset_load(d->train, b->indices, b->n, 0, &x, &err));
  for (int v = 0; v < 2; v++) {
    mcl_struct_init(&in[v], sizeof in[v]);
    in[v].indices = b->indices;
    in[v].n = b->n;
    in[v].data = &x;
    in[v].view = v;
    in[v].stage = event->stage;
    in[v].epoch = event->epoch;
    in[v].seed = r->o->seed;
    view[v] = mcl_images_f32(views[v], b->n, d->height, d->width, d->channels);
    Z[v] = mcl_matrix_f32(z[v], b->n, dim);
    D[v] = mcl_matrix_f32(dz[v], b->n, dim);
    TRY(mcl_augmenter_apply(r->augmenter, &in[v], &view[v], &err));
    in[v].data = &view[v];
    TRY(mcl_encoder_forward(e, &in[v], &Z[v], &err));
  }
  mcl_loss_options lo;
  mcl_loss_inputs li;
  mcl_loss_result lr;
  mcl_loss_options_init(&lo, sizeof lo);
  mcl_struct_init(&li, sizeof li);
  mcl_struct_init(&lr, sizeof lr);
  lo.temperature = r->o->temperature;
  li.za = &Z[0], li.zb = &Z[1], li.dza = &D[0], li.dzb = &D[1];
  li.cells = b->cells;
  TRY(mcl_loss_nt_xent(r->context, &lo, &li, &lr, &err));
  for (int v = 0; v < 2; v++) TRY(mcl_encoder_backward(e, &in[v], &D[v], &err));
  mcl_step at;
  mcl_struct_init(&at, sizeof at);
  at.learning_rate = r->o->learning_rate;
  at.step = event->epoch * b->steps + b->step;
  at.steps = r->o->epochs * b->steps;
  at.stage = event->stage;
  at.epoch = event->epoch;
  mcl_progress p;
  mcl_struct_init(&p, sizeof p);
  p.phase = "train", p.stage = event->stage, p.epoch = event->epoch, p.loss = lr.loss;
  p.done = at.step + 1, p.total = at.steps;
  TRY(mcl_encoder_step(e, &at, &err));
  return progress(NULL, &p) ? mcl_error_set(&err, MCL_E_CANCELLED, 0, "stopped") : 0;
}

// Pull: the events of the loop, with labels of our own instead of its clusters. Stage 0 is the run's.
static int train_shuffled(run *r) {
  const data *d = &r->data;
  mcl_multistage *loop = NULL;
  mcl_integrator *g = NULL;
  mcl_encoder *e = NULL;
  int64_t cap, row = (int64_t)d->height * d->width * d->channels;
  enum { PROJECTION = 64 };
  factory f = {r, r->o->seed};
  TRY(make_loop(r, r->stages, r->o->seed, NULL, &loop));
  cap = mcl_multistage_batch_capacity(loop);
  int64_t *indices = malloc((size_t)cap * sizeof *indices),
          *cells = malloc((size_t)cap * sizeof *cells);
  int32_t *labels = malloc((size_t)d->rows * sizeof *labels);
  uint8_t *images = malloc((size_t)(cap * row));
  float *f32 = malloc((size_t)(cap * (2 * row + 4 * PROJECTION)) * sizeof *f32);
  mcl_status s = indices && cells && labels && images && f32 ? MCL_OK : out_of_memory();
  float *views[2] = {f32, f32 ? f32 + cap * row : NULL}, *z[2], *dz[2];
  for (int v = 0; v < 2 && f32; v++) {
    z[v] = f32 + 2 * cap * row + v * cap * PROJECTION;
    dz[v] = z[v] + 2 * cap * PROJECTION;
  }
  mcl_event event;
  mcl_batch b;
  mcl_struct_init(&event, sizeof event);
  mcl_struct_init(&b, sizeof b);
  b.indices = indices, b.cells = cells, b.capacity = cap;
  if (s == MCL_OK) s = mcl_integrator_create(r->context, NULL, &g, &err);
  // Of stage 0 only the embeddings are needed, and the run has them: its training is skipped by going to its end.
  if (s == MCL_OK) s = mcl_multistage_seek(loop, 0, r->o->epochs, 0, &err);
  while (s == MCL_OK) {
    s = mcl_multistage_next(loop, NULL, &event, &b, &err);
    if (s < 0 || event.kind == MCL_DONE) break;
    if (event.kind == MCL_BEGIN_STAGE) s = make(&f, event.stage, &e, &err);
    if (event.kind == MCL_TRAIN_BATCH) s = step(r, e, &event, &b, images, views, z, dz);
    if (event.kind == MCL_EMBED_ROWS) {
      // The run's clusters, rows at random: the same draw in every stage, so that cells keep their sizes too.
      memcpy(labels, r->labels[event.stage], (size_t)d->rows * sizeof *labels);
      shuffle(labels, d->rows, r->o->seed);
      s = mcl_multistage_put_labels(loop, 0, labels, d->rows, &err);
    }
    if (event.kind == MCL_END_STAGE && event.stage > 0) {
      s = mcl_integrator_add_stage(g, e, 0, 1, &err);
      mcl_encoder_unref(e);
      e = NULL;
    }
  }
  if (s == MCL_OK && r->stages > 1) {
    representation later = {0};
    int64_t n = d->rows + d->holdout;
    s = embed_integrator(r, g, &later);
    r->shuffled.dim = r->first[1] + later.dim;
    r->shuffled.z = malloc((size_t)(n * r->shuffled.dim) * sizeof(float));
    if (s == MCL_OK && !r->shuffled.z) s = out_of_memory();
    for (int64_t i = 0; s == MCL_OK && i < n; i++) {
      float *out = r->shuffled.z + i * r->shuffled.dim;
      memcpy(out, r->integrated.z + i * r->integrated.dim, (size_t)r->first[1] * sizeof(float));
      memcpy(out + r->first[1], later.z + i * later.dim, (size_t)later.dim * sizeof(float));
    }
    free(later.z);
  }
  mcl_encoder_unref(e);
  mcl_integrator_unref(g);
  mcl_multistage_unref(loop);
  free(indices), free(cells), free(labels), free(images), free(f32);
  return s;
}

static int embed_untrained(run *r) {
  factory f = {r, r->o->seed};
  mcl_encoder *e = NULL;
  mcl_status s = make(&f, 0, &e, &err);
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
  return take_pixels(r);
}
