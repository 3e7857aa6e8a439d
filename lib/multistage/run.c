// Push: libmcl trains. Written on the same events a host would pull; what is added here is embedding, and keeping
// encoders. train.c has the step, views.c loads ahead.
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "encoder/encoder.h"
#include "multistage/train.h"

typedef struct push {
  mcl_multistage *l;
  mcli_views views;
  mcl_encoder_factory factory;
  mcli_watch watch;
  const mcl_monitor *monitor;
  mcli_trainer trainer;
  float *embeddings; // [capacity of the views, dim]
  int32_t dim;
} push;

// What the loop asks of an encoder, before a stage of it has been trained.
static mcl_status check_encoder(const mcl_multistage *l, mcl_encoder *e, mcl_error *err) {
  if (mcl_encoder_modalities(e) < l->o.modalities)
    return mcli_fail(err, MCL_E_INVALID, "the encoder has %d modalities, the loop %d",
                     (int)mcl_encoder_modalities(e), (int)l->o.modalities);
  if (l->o.initial == MCL_INITIAL_PRECEDING && !mcli_encoder_table(e)->start_from)
    return mcli_fail(err, MCL_E_UNSUPPORTED,
                     "mcl_multistage_options.initial: this encoder has no start_from");
  return MCL_OK;
}

static mcl_status fit_buffers(push *p, mcl_encoder *e, mcl_error *err) {
  mcl_context *c = p->l->context;
  int32_t dim = mcl_encoder_dim(e);
  mcl_status s = check_encoder(p->l, e, err);
  if (s == MCL_OK) s = mcli_trainer_fit(&p->trainer, e, err);
  if (s < 0) return s;
  if (dim > p->dim) {
    mcli_free(c, p->embeddings);
    p->embeddings = mcli_alloc(c, (uint64_t)(p->views.capacity * dim), sizeof(float));
    p->dim = p->embeddings ? dim : 0;
    if (!p->embeddings) return mcli_nomem(err, "embeddings");
  }
  return MCL_OK;
}

// ---- training ------------------------------------------------------------------------------------------

static void tally_step(mcl_multistage *l, const mcl_loss_result *r, bool epoch_ends) {
  mcli_tally *t = &l->tally;
  t->loss += r->loss;
  t->accuracy += r->accuracy;
  t->steps += 1;
  if (!epoch_ends) return;
  t->loss_last = t->loss / t->steps;
  t->accuracy_last = t->accuracy / t->steps;
  if (isnan(t->loss_first)) t->loss_first = t->loss_last;
  t->loss = t->accuracy = t->steps = 0;
}

// Rank 0 writes, for all.
static bool writes(const mcl_multistage *l) {
  return mcl_comm_rank(l->comm) == 0;
}

static mcl_status save(mcl_multistage *l, mcl_error *err) {
  mcl_status s = writes(l) ? mcli_loop_save(l, l->save_directory, l->hashes, err) : MCL_OK;
  if (s == MCL_OK) l->stages_saved = l->stage;
  return s;
}

static mcl_status on_train(push *p, const mcl_event *e, const mcl_batch *batch, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_loss_result r;
  mcl_struct_init(&r, sizeof r);
  mcl_status s = mcli_train(&p->trainer, l->encoders[e->stage], e, batch, &r, err);
  if (s < 0) { // not trained: the same batch comes again
    l->epoch = e->epoch;
    l->step = batch->step;
    return s;
  }
  tally_step(l, &r, batch->step + 1 == batch->steps);
  int64_t done = (int64_t)e->epoch * batch->steps + batch->step + 1;
  if (l->o.save_every_steps && l->save_directory && done % l->o.save_every_steps == 0)
    s = save(l, err);
  p->watch.now.stage = e->stage;
  p->watch.now.epoch = e->epoch;
  p->watch.now.total = (int64_t)l->o.epochs * batch->steps;
  return s < 0 ? s : mcli_watch_tell(&p->watch, done, r.loss, err);
}

// ---- other events --------------------------------------------------------------------------------------

static mcl_status make_encoder(push *p, int32_t stage, mcl_error *err) {
  mcl_encoder *e = NULL;
  mcl_error inner;
  mcli_callback_begin(&inner);
  mcl_status s = p->factory.make(p->factory.user, stage, &e, &inner);
  s = mcli_callback_end(s, &inner, "mcl_encoder_factory.make", err);
  if (s == MCL_OK && !e)
    s = mcli_fail(err, MCL_E_CALLBACK, "mcl_encoder_factory.make gave no encoder");
  if (s == MCL_OK) s = fit_buffers(p, e, err);
  if (s < 0) {
    mcl_encoder_unref(e);
    return s;
  }
  mcl_encoder_unref(p->l->encoders[stage]);
  p->l->encoders[stage] = e;
  return MCL_OK;
}

// The encoder that a stage begins with. A resumed stage's is loaded instead: its weights have moved since.
static mcl_status begin_encoder(push *p, int32_t stage, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_status s = make_encoder(p, stage, err);
  bool fresh = l->o.initial == MCL_INITIAL_FRESH || stage == 0 || stage < l->o.trained_stages;
  if (s < 0 || fresh) return s;
  return mcl_encoder_start_from(l->encoders[stage], l->encoders[stage - 1], err);
}

static mcl_status load_encoder(push *p, int32_t stage, int32_t epoch, int64_t step,
                               mcl_error *err) {
  mcl_multistage *l = p->l;
  if (!l->resume_directory)
    return mcli_fail(err, MCL_E_STATE, "stage %d was begun elsewhere: resume from its directory",
                     (int)stage);
  mcl_status s = make_encoder(p, stage, err);
  if (s < 0) return s;
  mcli_folder_entry e;
  mcli_encoder_name(e.name, stage, epoch, step);
  e.hash = epoch < 0 ? l->hashes[stage] : strcmp(e.name, l->place.name) == 0 ? l->place.hash : 0;
  s = mcli_folder_load(l->context, l->resume_directory, &e, l->encoders[stage], err);
  if (s == MCL_E_NOT_FOUND)
    s = mcli_fail(err, MCL_E_MISMATCH, "the encoder of stage %d is not in %s", (int)stage,
                  l->resume_directory);
  if (s < 0) {
    mcl_encoder_unref(l->encoders[stage]);
    l->encoders[stage] = NULL;
  }
  return s;
}

static mcl_status embed_rows(push *p, const mcl_event *e, const int64_t *rows, int64_t n,
                             mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_encoder *encoder = l->encoders[e->stage];
  mcli_prepared *b = &p->views.slots[0];
  int32_t dim = mcl_encoder_dim(encoder);
  memcpy(b->indices, rows, (size_t)n * sizeof *b->indices);
  b->n = n;
  b->step = -1; // no batch to train on any more
  // With one modality slot 0 serves; with two, the slot of the modality.
  int v = l->o.modalities == 2 ? e->modality : 0;
  mcl_status s = p->views.has_data ? mcli_views_make(&p->views, b, v, -1, err) : MCL_OK;
  if (s < 0) return s;
  mcl_inputs in;
  mcl_array data = mcli_views_batch(&b->view_shape[v], b->view[v], b->n);
  mcl_array z = mcl_matrix_f32(p->embeddings, b->n, dim);
  mcli_views_inputs(&p->views, &in, b->indices, b->n, e->modality, -1, e->stage, -1);
  in.data = p->views.has_data ? &data : NULL;
  s = mcl_encoder_embed(encoder, &in, &z, err);
  return s < 0 ? s : mcli_loop_put(l, e->modality, b->indices, b->n, &z, err);
}

// No more rows at once than a chunk has: an embedding must not need more memory than training.
static mcl_status on_embed(push *p, const mcl_event *e, const mcl_batch *batch, mcl_error *err) {
  mcl_status s = MCL_OK;
  for (int64_t i = 0; s == MCL_OK && i < batch->n; i += p->views.capacity) {
    int64_t left = batch->n - i;
    s = embed_rows(p, e, batch->indices + i, left < p->views.capacity ? left : p->views.capacity,
                   err);
  }
  if (s < 0) mcli_loop_ask_again(p->l);
  p->watch.now.stage = e->stage;
  p->watch.now.epoch = -1;
  p->watch.now.total = batch->steps;
  return s < 0 ? s : mcli_watch_tell(&p->watch, batch->step + 1, (double)NAN, err);
}

static mcl_status add_to_integrator(push *p, int32_t stage, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_integrator *i = l->integrator;
  mcl_status s = i ? MCL_OK : mcl_integrator_create(l->context, NULL, &i, err);
  if (s == MCL_OK && mcl_integrator_stages(i) <= stage)
    s = mcl_integrator_add_stage(i, l->encoders[stage], 0, pow(l->o.growth, stage), err);
  // The loop has one with a stage or none: nobody lets go of one that is empty, nor is it to be had.
  if (s == MCL_OK)
    l->integrator = i;
  else if (!l->integrator)
    mcl_integrator_unref(i);
  return s;
}

static mcl_status on_end_stage(push *p, int32_t stage, mcl_error *err) {
  mcl_status s = add_to_integrator(p, stage, err);
  return s < 0 || !p->l->save_directory ? s : save(p->l, err);
}

// A run that could not write its last stage, or remove what is not needed any more, has another call to do so.
static mcl_status on_done(mcl_multistage *l, mcl_error *err) {
  return l->save_directory && l->stages_saved < l->stage ? save(l, err) : MCL_OK;
}

// ---- the run -------------------------------------------------------------------------------------------

// After a resume: finished stages' encoders come from their files, the current one from the file of the place.
static mcl_status restore(push *p, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_status s = writes(l) ? mcli_loop_tidy(l, err) : MCL_OK;
  for (int32_t stage = 0; s == MCL_OK && stage < l->stage; stage++) {
    if (!l->encoders[stage]) s = load_encoder(p, stage, -1, 0, err);
    if (s == MCL_OK) s = add_to_integrator(p, stage, err);
  }
  if (s < 0 || l->phase == MCLI_AT_BEGIN || l->phase == MCLI_AT_DONE) return s;
  if (!l->encoders[l->stage])
    return mcli_fail(err, MCL_E_STATE, "stage %d was begun by mcl_multistage_next", (int)l->stage);
  return fit_buffers(p, l->encoders[l->stage], err);
}

static mcl_status handle(push *p, const mcl_event *e, const mcl_batch *b, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_status s = MCL_OK;
  switch (e->kind) {
  case MCL_BEGIN_STAGE:
    s = begin_encoder(p, e->stage, err);
    break;
  case MCL_RESUME_STAGE:
    s = load_encoder(p, e->stage, l->epoch, l->step, err);
    break;
  case MCL_TRAIN_BATCH:
    mcli_watch_phase(&p->watch, "train", 0);
    return on_train(p, e, b, err);
  case MCL_EMBED_ROWS:
    mcli_watch_phase(&p->watch, "embed", 0);
    return on_embed(p, e, b, err);
  case MCL_END_STAGE:
    return on_end_stage(p, e->stage, err);
  case MCL_DONE:
    return on_done(l, err);
  default:
    break;
  }
  // The event comes again, on every rank, where one has not carried it out.
  if (e->kind == MCL_BEGIN_STAGE || e->kind == MCL_RESUME_STAGE)
    s = mcli_comm_gather(l->comm, s, NULL, NULL, 0, err);
  if (s < 0) l->phase = MCLI_AT_BEGIN;
  return s;
}

static mcl_status walk(push *p, mcl_batch *batch, mcl_error *err) {
  for (;;) {
    mcl_event e;
    mcl_struct_init(&e, sizeof e);
    mcl_status s = mcli_loop_next(p->l, p->monitor, &e, batch, err);
    if (s == MCL_OK) s = handle(p, &e, batch, err);
    if (s < 0 || e.kind == MCL_DONE) return s;
  }
}

static mcl_status run(push *p, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_context *c = l->context;
  mcl_batch batch;
  mcl_struct_init(&batch, sizeof batch);
  batch.capacity = p->views.batch_capacity = mcl_multistage_batch_capacity(l);
  batch.indices = MCLI_NEW(c, int64_t, batch.capacity);
  batch.cells = MCLI_NEW(c, int64_t, batch.capacity);
  mcl_status s = MCL_OK;
  if (!batch.indices || !batch.cells) s = mcli_nomem(err, "a batch");
  if (s == MCL_OK) s = mcli_views_open(&p->views, err);
  if (s == MCL_OK) s = restore(p, err);
  l->views = &p->views;
  if (s == MCL_OK) s = walk(p, &batch, err);
  l->views = NULL;
  mcli_views_close(&p->views);
  mcli_free(c, batch.indices);
  mcli_free(c, batch.cells);
  mcli_trainer_free(&p->trainer);
  mcli_free(c, p->embeddings);
  return s;
}

static mcl_status check_run(push *p, mcl_error *err) {
  const mcl_multistage *l = p->l;
  if (!p->factory.make) return mcli_fail(err, MCL_E_INVALID, "mcl_encoder_factory.make is NULL");
  if (!p->views.dataset) return mcli_fail(err, MCL_E_INVALID, "dataset is NULL");
  int64_t rows = mcl_dataset_rows(p->views.dataset);
  uint64_t fingerprint = mcl_dataset_fingerprint(p->views.dataset);
  if (rows != l->rows)
    return mcli_fail(err, MCL_E_SHAPE, "the dataset has %lld rows, the loop %lld", (long long)rows,
                     (long long)l->rows);
  if (l->o.fingerprint && l->o.fingerprint != fingerprint)
    return mcli_fail(err, MCL_E_MISMATCH, "the dataset's fingerprint is not the loop's");
  if (mcl_dataset_modalities(p->views.dataset) < l->o.modalities)
    return mcli_fail(err, MCL_E_INVALID, "the dataset has %d modalities, the loop %d",
                     (int)mcl_dataset_modalities(p->views.dataset), (int)l->o.modalities);
  return MCL_OK;
}

// What ranks must have in common: the loop and the rows.
static uint64_t fingerprint(const push *p) {
  const mcl_multistage *l = p->l;
  if (mcli_comm_is_alone(l->comm)) return 0;
  uint64_t rows = mcl_dataset_fingerprint(p->views.dataset);
  const uint64_t of[3] = {mcli_loop_fingerprint(l), rows, (uint64_t)l->phase};
  return mcli_hash(of, sizeof of, 0);
}

// A cancelled run keeps what it has, unless that cannot be written either.
static void keep(push *p) {
  mcl_multistage *l = p->l;
  mcl_error ignored;
  if (!l->save_directory || l->phase == MCLI_AT_DONE) return;
  if (save(l, &ignored) < 0)
    mcli_log(l->context, MCL_LOG_WARN, "multistage", "not saved: %s", ignored.message);
}

// Whoever comes in has been given everything but what is wrong with it.
static mcl_status run_guarded(push *p, mcl_status s, mcl_error *err) {
  mcl_multistage *l = p->l;
  if (s == MCL_OK) s = check_run(p, err);
  mcli_loop_settle(l);
  if (s == MCL_OK) s = mcli_watch_begin(&p->watch, p->monitor, "train", 0, err);
  s = mcli_comm_begin(l->comm, s, s < 0 ? 0 : fingerprint(p), err);
  if (s == MCL_OK) s = run(p, err);
  return mcli_comm_end(l->comm, s, err);
}

mcl_status mcl_multistage_run(mcl_multistage *l, mcl_dataset *d, mcl_augmenter *a,
                              const mcl_encoder_factory *f, const mcl_monitor *m, mcl_error *err) {
  mcl_error own, entering;
  if (!err) err = &own;
  push p = {.l = l, .views = {.l = l, .dataset = d, .augmenter = a}, .monitor = m};
  p.trainer.l = l;
  p.trainer.views = &p.views;
  if (l) p.views.chunk_rows = l->o.chunk_rows;
  mcl_status s = mcli_struct_in(&p.factory, sizeof p.factory, f, "mcl_encoder_factory", err);
  mcl_status entered = l ? mcli_guard_enter(&l->guard, "loop", &entering)
                         : mcli_fail(&entering, MCL_E_INVALID, "loop is NULL");
  if (entered == MCL_OK) {
    entered = mcli_comm_enter(l->comm, &entering);
    if (entered == MCL_OK) s = run_guarded(&p, s, err);
    if (entered == MCL_OK && s == MCL_E_CANCELLED) keep(&p);
    mcli_guard_leave(&l->guard);
  }
  if (entered < 0 && s == MCL_OK) *err = entering, s = entered;
  if (p.factory.destroy) p.factory.destroy(p.factory.user);
  return s < 0 ? s : mcl_ok(err);
}
