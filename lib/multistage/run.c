// Push: libmcl trains. Written on the same events a host would pull; what is added here is the step, and keeping encoders;
// views.c loads ahead.
//
// A step, for the two views (or modalities) v = 0, 1 of a batch:
//
//   x_v = augment(load(rows), v)      on a thread of its own, one batch ahead     (1)
//   z_v = forward(x_v)                                                            (2)
//   loss, dz_0, dz_1 = loss(z_0, z_1, cells, duplicates)                          (3)
//   backward(dz_v), then one optimiser step at the scheduled rate                 (4)
//
// The temperature of (3) is the encoder's where it learns one, and goes back to it in (4); else the loop's.
//
// The learning rate of step t of T, with warm-up over the first w T of them:
//
//   rate * (t + 1) / (w T)                    t < w T                             (5)
//   rate * {1, 1 - u, (1 + cos pi u) / 2}     u = (t - w T) / (T - w T)           (6)
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "multistage/views.h"

typedef struct push {
  mcl_multistage *l;
  mcli_views views;
  mcl_encoder_factory factory;
  mcli_watch watch;
  const mcl_monitor *monitor;
  float *z[2], *dz[2]; // [capacity, projection]
  int32_t projection;
  float *embeddings; // [capacity, dim]
  int32_t dim;
} push;

static mcl_status fit_buffers(push *p, mcl_encoder *e, mcl_error *err) {
  mcl_context *c = p->l->context;
  int32_t projection = mcl_encoder_projection_dim(e), dim = mcl_encoder_dim(e);
  if (mcl_encoder_modalities(e) < p->l->o.modalities)
    return mcli_fail(err, MCL_E_INVALID, "the encoder has %d modalities, the loop %d",
                     (int)mcl_encoder_modalities(e), (int)p->l->o.modalities);
  if (projection > p->projection) {
    for (int v = 0; v < 2; v++) {
      mcli_free(c, p->z[v]);
      mcli_free(c, p->dz[v]);
      p->z[v] = mcli_alloc(c, (size_t)(p->views.capacity * projection), sizeof(float));
      p->dz[v] = mcli_alloc(c, (size_t)(p->views.capacity * projection), sizeof(float));
    }
    p->projection = projection;
    if (!p->z[0] || !p->z[1] || !p->dz[0] || !p->dz[1]) {
      p->projection = 0;
      return mcli_nomem(err, "projections");
    }
  }
  if (dim > p->dim) {
    mcli_free(c, p->embeddings);
    p->embeddings = mcli_alloc(c, (size_t)(p->views.capacity * dim), sizeof(float));
    p->dim = p->embeddings ? dim : 0;
    if (!p->embeddings) return mcli_nomem(err, "embeddings");
  }
  return MCL_OK;
}

// ---- a step --------------------------------------------------------------------------------------------

static double learning_rate(const mcl_multistage_options *o, int64_t step, int64_t steps) {
  double warm = o->warm_up * (double)steps, t = (double)step;
  if (t < warm)
    return o->learning_rate * (t + 1) / warm < o->learning_rate // (5)
               ? o->learning_rate * (t + 1) / warm
               : o->learning_rate;
  double u = (t - warm) / ((double)steps - warm); // (6)
  if (o->schedule == MCL_SCHEDULE_LINEAR) return o->learning_rate * (1 - u);
  if (o->schedule == MCL_SCHEDULE_COSINE) return o->learning_rate * 0.5 * (1 + cos(M_PI * u));
  return o->learning_rate;
}

static mcl_status find_temperature(mcl_encoder *e, double *temperature, bool *learnt,
                                   mcl_error *err) {
  mcl_status s = mcl_encoder_temperature(e, temperature, err);
  *learnt = s == MCL_OK;
  return s == MCL_E_UNSUPPORTED ? MCL_OK : s;
}

// (3)
static mcl_status find_loss(const push *p, const mcl_loss_options *o, const mcl_loss_inputs *in,
                            mcl_loss_result *r, mcl_error *err) {
  if (p->l->o.loss_kind == MCL_LOSS_NT_XENT) return mcl_loss_nt_xent(p->l->context, o, in, r, err);
  return mcl_loss_info_nce(p->l->context, o, in, r, err);
}

// (2) to (4)
static mcl_status train_on(push *p, mcl_encoder *e, mcli_prepared *b, int64_t steps_an_epoch,
                           mcl_loss_result *r, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_inputs in[2];
  mcl_array data[2], z[2], dz[2];
  mcl_status s = MCL_OK;
  int32_t projection = mcl_encoder_projection_dim(e);
  for (int v = 0; v < 2; v++) {
    data[v] = mcli_views_batch(&b->view_shape[v], b->view[v], b->n);
    z[v] = mcl_matrix_f32(p->z[v], b->n, projection);
    dz[v] = mcl_matrix_f32(p->dz[v], b->n, projection);
    mcli_views_inputs(&p->views, &in[v], b->indices, b->n, mcli_views_modality(&p->views, v), v,
                      b->stage, b->epoch);
    in[v].data = p->views.has_data ? &data[v] : NULL;
  }
  for (int v = 0; s == MCL_OK && v < 2; v++) s = mcl_encoder_forward(e, &in[v], &z[v], err);
  mcl_loss_inputs loss;
  mcl_struct_init(&loss, sizeof loss);
  loss.za = &z[0], loss.zb = &z[1], loss.dza = &dz[0], loss.dzb = &dz[1];
  loss.cells = b->cells;
  loss.duplicates = mcli_views_duplicates(&p->views, b, 0);
  loss.other_duplicates = mcli_views_duplicates(&p->views, b, 1);
  mcl_loss_options options = l->loss;
  bool learnt = false;
  if (s == MCL_OK) s = find_temperature(e, &options.temperature, &learnt, err);
  if (s == MCL_OK) s = find_loss(p, &options, &loss, r, err);
  if (s == MCL_OK && !isfinite(r->loss))
    s = mcli_fail(err, MCL_E_NOT_FINITE, "the loss diverged in stage %d, epoch %d, step %lld",
                  (int)b->stage, (int)b->epoch, (long long)b->step);
  for (int v = 0; s == MCL_OK && v < 2; v++) s = mcl_encoder_backward(e, &in[v], &dz[v], err);
  if (s == MCL_OK && learnt) s = mcl_encoder_backward_temperature(e, r->d_log_temperature, err);
  if (s < 0) return s;
  mcl_step step;
  mcl_struct_init(&step, sizeof step);
  step.step = (int64_t)b->epoch * steps_an_epoch + b->step;
  step.steps = (int64_t)l->o.epochs * steps_an_epoch;
  step.learning_rate = learning_rate(&l->o, step.step, step.steps);
  step.stage = b->stage;
  step.epoch = b->epoch;
  return mcl_encoder_step(e, &step, err);
}

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

static mcl_status save(mcl_multistage *l, mcl_error *err) {
  mcl_status s = mcli_loop_save(l, l->save_directory, l->stages_saved, err);
  if (s == MCL_OK) l->stages_saved = l->stage;
  return s;
}

static mcl_status save_place(push *p, mcl_error *err) {
  mcl_multistage *l = p->l;
  char *file = mcli_encoder_path(l->context, l->save_directory, l->stage, l->epoch, l->step);
  if (!file) return mcli_nomem(err, "a path");
  mcl_status s = save(l, err);
  if (s == MCL_OK && l->place_file && strcmp(file, l->place_file) != 0)
    s = mcli_file_remove(l->place_file, err);
  if (s < 0) {
    mcli_free(l->context, file);
    return s;
  }
  mcli_free(l->context, l->place_file);
  l->place_file = file;
  return MCL_OK;
}

static mcl_status on_train(push *p, const mcl_event *e, const mcl_batch *batch, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcli_prepared *b;
  mcl_loss_result r;
  mcl_struct_init(&r, sizeof r);
  mcl_status s = mcli_views_take(&p->views, e, batch, &b, err);
  if (s == MCL_OK)
    s = mcli_views_start_next(
        &p->views, b == &p->views.slots[0] ? &p->views.slots[1] : &p->views.slots[0], err);
  if (s == MCL_OK) s = train_on(p, l->encoders[e->stage], b, batch->steps, &r, err);
  if (s < 0) { // not trained: the same batch comes again
    l->epoch = e->epoch;
    l->step = batch->step;
    return s;
  }
  tally_step(l, &r, batch->step + 1 == batch->steps);
  int64_t done = (int64_t)e->epoch * batch->steps + batch->step + 1;
  if (l->o.save_every_steps && l->save_directory && done % l->o.save_every_steps == 0)
    s = save_place(p, err);
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

static mcl_status load_encoder(push *p, int32_t stage, int32_t epoch, int64_t step,
                               mcl_error *err) {
  mcl_multistage *l = p->l;
  if (!l->resume_directory)
    return mcli_fail(err, MCL_E_STATE, "stage %d was begun elsewhere: resume from its directory",
                     (int)stage);
  mcl_status s = make_encoder(p, stage, err);
  if (s < 0) return s;
  char *path = mcli_encoder_path(l->context, l->resume_directory, stage, epoch, step);
  s = path ? mcl_encoder_load(l->encoders[stage], path, err) : mcli_nomem(err, "a path");
  if (s == MCL_E_NOT_FOUND)
    s = mcli_fail(err, MCL_E_MISMATCH, "the encoder of stage %d is not in %s", (int)stage,
                  l->resume_directory);
  // From here on this file is the one that the next save replaces.
  if (s == MCL_OK && epoch >= 0 && l->save_directory &&
      strcmp(l->save_directory, l->resume_directory) == 0) {
    mcli_free(l->context, l->place_file);
    l->place_file = path;
    path = NULL;
  }
  mcli_free(l->context, path);
  if (s < 0) {
    mcl_encoder_unref(l->encoders[stage]);
    l->encoders[stage] = NULL;
  }
  return s;
}

static mcl_status on_embed(push *p, const mcl_event *e, const mcl_batch *batch, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_encoder *encoder = l->encoders[e->stage];
  mcli_prepared *b = &p->views.slots[0];
  int32_t dim = mcl_encoder_dim(encoder);
  memcpy(b->indices, batch->indices, (size_t)batch->n * sizeof *b->indices);
  b->n = batch->n;
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
  if (s == MCL_OK) s = mcli_loop_put(l, e->modality, b->indices, b->n, &z, err);
  p->watch.now.stage = e->stage;
  p->watch.now.epoch = -1;
  p->watch.now.total = batch->steps;
  return s < 0 ? s : mcli_watch_tell(&p->watch, batch->step + 1, (double)NAN, err);
}

static mcl_status add_to_integrator(push *p, int32_t stage, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_status s = MCL_OK;
  if (!l->integrator) s = mcl_integrator_create(l->context, NULL, &l->integrator, err);
  if (s < 0 || mcl_integrator_stages(l->integrator) > stage) return s;
  return mcl_integrator_add_stage(l->integrator, l->encoders[stage], 0, pow(l->o.growth, stage),
                                  err);
}

static mcl_status on_end_stage(push *p, int32_t stage, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_status s = add_to_integrator(p, stage, err);
  if (s < 0 || !l->save_directory) return s;
  s = save(l, err);
  if (s == MCL_OK && l->place_file) {
    s = mcli_file_remove(l->place_file, err);
    mcli_free(l->context, l->place_file);
    l->place_file = NULL;
  }
  return s;
}

// ---- the run -------------------------------------------------------------------------------------------

// After a resume: finished stages' encoders come from their files, the current one from the file of the place.
static mcl_status restore(push *p, mcl_error *err) {
  mcl_multistage *l = p->l;
  mcl_status s = MCL_OK;
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
    s = make_encoder(p, e->stage, err);
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
  default:
    break;
  }
  if (s < 0) l->phase = MCLI_AT_BEGIN; // the event was not carried out: it comes again
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
  batch.capacity = p->views.capacity = mcl_multistage_batch_capacity(l);
  batch.indices = MCLI_NEW(c, int64_t, p->views.capacity);
  batch.cells = MCLI_NEW(c, int64_t, p->views.capacity);
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
  for (int i = 0; i < 2; i++) {
    mcli_free(c, p->z[i]);
    mcli_free(c, p->dz[i]);
  }
  mcli_free(c, p->embeddings);
  return s;
}

static mcl_status check_run(push *p, const mcl_encoder_factory *f, mcl_error *err) {
  mcl_status s = mcli_struct_in(&p->factory, sizeof p->factory, f, "mcl_encoder_factory", err);
  if (s < 0) return s;
  if (!p->factory.make) return mcli_fail(err, MCL_E_INVALID, "mcl_encoder_factory.make is NULL");
  if (!p->views.dataset) return mcli_fail(err, MCL_E_INVALID, "dataset is NULL");
  const mcl_multistage *l = p->l;
  if (!l) return mcli_fail(err, MCL_E_INVALID, "loop is NULL");
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

mcl_status mcl_multistage_run(mcl_multistage *l, mcl_dataset *d, mcl_augmenter *a,
                              const mcl_encoder_factory *f, const mcl_monitor *m, mcl_error *err) {
  push p = {.l = l, .views = {.l = l, .dataset = d, .augmenter = a}, .monitor = m};
  mcl_status s = check_run(&p, f, err);
  if (s == MCL_OK) s = mcli_watch_begin(&p.watch, m, "train", 0, err);
  if (s == MCL_OK) s = mcli_guard_enter(&l->guard, "loop", err);
  if (s == MCL_OK) {
    s = run(&p, err);
    // A cancelled run keeps what it has, unless that cannot be written either.
    if (s == MCL_E_CANCELLED && l->save_directory && l->phase != MCLI_AT_DONE) {
      mcl_error ignored;
      if (save_place(&p, &ignored) < 0)
        mcli_log(l->context, MCL_LOG_WARN, "multistage", "not saved: %s", ignored.message);
    }
    mcli_guard_leave(&l->guard);
  }
  if (p.factory.destroy) p.factory.destroy(p.factory.user);
  return s < 0 ? s : mcl_ok(err);
}
