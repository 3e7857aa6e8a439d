// A step, for the two views (or modalities) v = 0, 1 of a batch, in chunks c = 1 .. C of its rows (Gao et al. 2021, "Scaling
// Deep Contrastive Learning Batch Size under Memory Limited Setup", section 3.2):
//
//   x_vc = augment(load(rows of c), v)      on a thread of its own, one chunk ahead     (1)
//   z_vc = forward(x_vc), c = 1 .. C                                                    (2)
//   loss, dz_0, dz_1 = loss(z_0, z_1, cells, duplicates), of all rows                   (3)
//   backward(dz_vC); c = C-1 .. 1: (1) and (2) once more, backward(dz_vc)               (4)
//   one optimiser step at the scheduled rate                                            (5)
//
// By the chain rule (4) adds up to the gradient of the whole batch: of dz_v it needs all rows, of activations a chunk's. With
// C = 1 it is the plain step. The last chunk still is held when the loss is known, so it is not forwarded twice: C chunks cost
// 2 C - 1 forwards and C backwards. Rejected: keeping the views between (2) and (4), which are as large as the batch and a
// function of seed, row and epoch anyway.
//
// Over ranks (3) is of all ranks' rows (ranks.c), and before (5) gradients are added up (encoder/ranks.c).
//
// The temperature of (3) is the encoder's where it learns one, and goes back to it before (5); else the loop's.
//
// The learning rate of step t of T, with warm-up over the first w T of them:
//
//   rate * (t + 1) / (w T)                    t < w T                             (6)
//   rate * {1, 1 - u, (1 + cos pi u) / 2}     u = (t - w T) / (T - w T)           (7)
#include "multistage/train.h"

#include <math.h>

#include "encoder/encoder.h"

// How far projections that are made again may be from the first ones, relative to the row: the same inputs and weights give
// the same bits here, and on an accelerator what a changing order of additions leaves, in half precision too. Dropout that
// is drawn anew moves rows by a tenth and more; gradients of other rows than the loss saw would train unnoticed.
static const double again_tolerance = 0.02;

// ---- memory --------------------------------------------------------------------------------------------

void mcli_trainer_free(mcli_trainer *t) {
  mcl_context *c = t->l->context;
  for (int v = 0; v < 2; v++) {
    mcli_free(c, t->z[v]);
    mcli_free(c, t->dz[v]);
    t->z[v] = t->dz[v] = NULL;
  }
  mcli_free(c, t->again);
  mcli_whole_free(c, &t->whole);
  t->again = NULL;
  t->projection = 0;
}

static mcl_status check_chunks(const mcli_trainer *t, const mcl_encoder *e, mcl_error *err) {
  int64_t chunk = t->views->chunk, batch = t->views->batch_capacity;
  if (chunk >= batch || mcli_encoder_takes_chunks(e)) return MCL_OK;
  return mcli_fail(
      err, MCL_E_UNSUPPORTED,
      "mcl_multistage_options.chunk_rows is %lld and batches have up to %lld rows, but "
      "the encoder takes a batch whole: its table's flags lack MCL_HOST_CHUNKS",
      (long long)chunk, (long long)batch);
}

mcl_status mcli_trainer_fit(mcli_trainer *t, mcl_encoder *e, mcl_error *err) {
  mcl_context *c = t->l->context;
  int32_t projection = mcl_encoder_projection_dim(e);
  mcl_status s = check_chunks(t, e, err);
  if (s < 0 || projection <= t->projection) return s;
  mcli_trainer_free(t);
  int64_t chunk, batch;
  if (!mcli_mul(t->views->batch_capacity, projection, &batch) ||
      !mcli_mul(t->views->chunk, projection, &chunk))
    return mcli_nomem(err, "projections");
  for (int v = 0; v < 2; v++) {
    t->z[v] = MCLI_NEW(c, float, batch);
    t->dz[v] = MCLI_NEW(c, float, batch);
  }
  t->again = MCLI_NEW(c, float, chunk);
  if (!t->z[0] || !t->z[1] || !t->dz[0] || !t->dz[1] || !t->again) {
    mcli_trainer_free(t);
    return mcli_nomem(err, "projections");
  }
  s = mcli_comm_is_alone(t->l->comm) ? MCL_OK : mcli_whole_fit(t->l, projection, &t->whole, err);
  if (s < 0) {
    mcli_trainer_free(t);
    return s;
  }
  t->projection = projection;
  return MCL_OK;
}

// ---- the learning rate and the temperature -------------------------------------------------------------

static double learning_rate(const mcl_multistage_options *o, int64_t step, int64_t steps) {
  double warm = o->warm_up * (double)steps, t = (double)step;
  if (t < warm)
    return o->learning_rate * (t + 1) / warm < o->learning_rate // (6)
               ? o->learning_rate * (t + 1) / warm
               : o->learning_rate;
  double u = (t - warm) / ((double)steps - warm); // (7)
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

// ---- chunks --------------------------------------------------------------------------------------------

// A chunk of the batch at work: its views, and where its rows lie in the batch.
typedef struct chunk {
  mcli_prepared *b;
  int64_t first;
  mcl_inputs in[2];
  mcl_array data[2];
} chunk;

// The chunk with its views; `next` is prepared meanwhile, -1: the first chunk of the batch that comes after this one.
static mcl_status take(mcli_trainer *t, const mcl_event *event, const mcl_batch *batch, int64_t at,
                       int64_t next, chunk *k, mcl_error *err) {
  mcli_views *views = t->views;
  mcl_status s = mcli_views_take(views, event, batch, at, &k->b, err);
  if (s == MCL_OK) s = mcli_views_start_next(views, k->b, batch, next, err);
  if (s < 0) return s;
  k->first = mcli_views_chunk(views, batch->n, at).first;
  for (int v = 0; v < 2; v++) {
    k->data[v] = mcli_views_batch(&k->b->view_shape[v], k->b->view[v], k->b->n);
    mcli_views_inputs(views, &k->in[v], k->b->indices, k->b->n, mcli_views_modality(views, v), v,
                      k->b->stage, k->b->epoch);
    k->in[v].data = views->has_data ? &k->data[v] : NULL;
  }
  return MCL_OK;
}

static float *rows_at(float *rows, const chunk *k, const mcl_encoder *e) {
  // NOLINTNEXTLINE(clang-analyzer-core.*): a batch has a first chunk, which take() filled in
  return rows + k->first * mcl_encoder_projection_dim(e);
}

// (2)
static mcl_status forward(mcli_trainer *t, mcl_encoder *e, chunk *k, mcl_error *err) {
  mcl_status s = MCL_OK;
  for (int v = 0; s == MCL_OK && v < 2; v++) {
    mcl_array z = mcl_matrix_f32(rows_at(t->z[v], k, e), k->b->n, mcl_encoder_projection_dim(e));
    s = mcl_encoder_forward(e, &k->in[v], &z, err);
  }
  return s;
}

// Are the rows of a chunk those that the loss has seen?
static mcl_status check_again(const float *first, const float *again, const chunk *k, int64_t dim,
                              mcl_error *err) {
  for (int64_t i = 0; i < k->b->n; i++) {
    double norm = 0, distance = 0;
    for (int64_t j = 0; j < dim; j++) {
      double x = (double)first[i * dim + j], d = (double)again[i * dim + j] - x;
      norm += x * x;
      distance += d * d;
    }
    if (distance > again_tolerance * again_tolerance * norm)
      return mcli_fail(err, MCL_E_CALLBACK,
                       "row %lld came out otherwise when its chunk was forwarded again: what the "
                       "dataset or the encoder draws must be a function of mcl_inputs",
                       (long long)k->b->indices[i]);
  }
  return MCL_OK;
}

static mcl_status forward_again(mcli_trainer *t, mcl_encoder *e, chunk *k, mcl_error *err) {
  int32_t dim = mcl_encoder_projection_dim(e);
  mcl_array z = mcl_matrix_f32(t->again, k->b->n, dim);
  mcl_status s = MCL_OK;
  for (int v = 0; s == MCL_OK && v < 2; v++) {
    s = mcl_encoder_forward(e, &k->in[v], &z, err);
    if (s == MCL_OK) s = check_again(rows_at(t->z[v], k, e), t->again, k, dim, err);
  }
  return s;
}

static mcl_status backward(mcli_trainer *t, mcl_encoder *e, chunk *k, mcl_error *err) {
  mcl_status s = MCL_OK;
  for (int v = 0; s == MCL_OK && v < 2; v++) {
    // NOLINTNEXTLINE(clang-analyzer-core.*): likewise
    mcl_array dz = mcl_matrix_f32(rows_at(t->dz[v], k, e), k->b->n, mcl_encoder_projection_dim(e));
    s = mcl_encoder_backward(e, &k->in[v], &dz, err);
  }
  return s;
}

// ---- a step --------------------------------------------------------------------------------------------

mcl_status mcli_loss_run(const mcli_trainer *t, const mcl_loss_options *o,
                         const mcl_loss_inputs *in, mcl_loss_result *r, mcl_error *err) {
  return t->l->o.loss_kind == MCL_LOSS_NT_XENT ? mcl_loss_nt_xent(t->l->context, o, in, r, err)
                                               : mcl_loss_info_nce(t->l->context, o, in, r, err);
}

mcl_status mcli_loss_at_home(mcli_trainer *t, const mcl_batch *batch, int32_t dim,
                             const mcl_loss_options *o, mcl_loss_result *r, mcl_error *err) {
  mcl_array z[2], dz[2];
  mcl_loss_inputs in;
  if (batch->n == 0) return MCL_OK;
  for (int v = 0; v < 2; v++) {
    z[v] = mcl_matrix_f32(t->z[v], batch->n, dim);
    dz[v] = mcl_matrix_f32(t->dz[v], batch->n, dim);
  }
  mcl_struct_init(&in, sizeof in);
  in.za = &z[0], in.zb = &z[1], in.dza = &dz[0], in.dzb = &dz[1];
  in.cells = batch->cells;
  in.duplicates = mcli_views_duplicates(t->views, batch, 0);
  in.other_duplicates = mcli_views_duplicates(t->views, batch, 1);
  return mcli_loss_run(t, o, &in, r, err);
}

// (3)
static mcl_status find_loss(mcli_trainer *t, mcl_encoder *e, const mcl_event *event,
                            const mcl_batch *batch, bool *learnt, mcl_loss_result *r,
                            mcl_error *err) {
  mcl_multistage *l = t->l;
  mcl_loss_options o = l->loss;
  if (l->o.chunk_rows > 0) o.flags |= MCL_LEAST_MEMORY; // that is what chunks are for
  mcl_status s = find_temperature(e, &o.temperature, learnt, err);
  if (s < 0) return s;
  int32_t dim = mcl_encoder_projection_dim(e);
  return mcli_comm_is_alone(l->comm) ? mcli_loss_at_home(t, batch, dim, &o, r, err)
                                     : mcli_loss_over_ranks(t, event, batch, dim, &o, r, err);
}

// (5)
static mcl_status move(const mcli_trainer *t, mcl_encoder *e, const mcl_event *event,
                       const mcl_batch *batch, mcl_error *err) {
  const mcl_multistage_options *o = &t->l->o;
  mcl_step step;
  mcl_struct_init(&step, sizeof step);
  step.step = (int64_t)event->epoch * batch->steps + batch->step;
  step.steps = (int64_t)o->epochs * batch->steps;
  step.learning_rate = learning_rate(o, step.step, step.steps);
  step.stage = event->stage;
  step.epoch = event->epoch;
  return mcl_encoder_step(e, &step, err);
}

// (1) to (4)
static mcl_status pass(mcli_trainer *t, mcl_encoder *e, const mcl_event *event,
                       const mcl_batch *batch, mcl_loss_result *r, mcl_error *err) {
  int64_t chunks = mcli_views_chunks(t->views, batch->n);
  chunk k;
  bool learnt = false;
  mcl_status s = MCL_OK;
  for (int64_t i = 0; s == MCL_OK && i < chunks; i++) {
    s = take(t, event, batch, i, i + 1 < chunks ? i + 1 : chunks - 2, &k, err);
    if (s == MCL_OK) s = forward(t, e, &k, err);
  }
  if (s == MCL_OK) s = find_loss(t, e, event, batch, &learnt, r, err);
  if (s == MCL_OK && !isfinite(r->loss))
    s = mcli_fail(err, MCL_E_NOT_FINITE, "the loss diverged in stage %d, epoch %d, step %lld",
                  (int)event->stage, (int)event->epoch, (long long)batch->step);
  if (s == MCL_OK) s = backward(t, e, &k, err);
  for (int64_t i = chunks - 2; s == MCL_OK && i >= 0; i--) {
    s = take(t, event, batch, i, i - 1, &k, err);
    if (s == MCL_OK) s = forward_again(t, e, &k, err);
    if (s == MCL_OK) s = backward(t, e, &k, err);
  }
  if (s == MCL_OK && learnt) s = mcl_encoder_backward_temperature(e, r->d_log_temperature, err);
  return s;
}

mcl_status mcli_train(mcli_trainer *t, mcl_encoder *e, const mcl_event *event,
                      const mcl_batch *batch, mcl_loss_result *r, mcl_error *err) {
  mcl_status s = pass(t, e, event, batch, r, err);
  if (s == MCL_OK) s = mcli_encoder_sum_gradients(e, t->l->comm, err);
  // All ranks move or none does: the batch comes again, and of weights that have moved nobody could take that back.
  s = mcli_comm_gather(t->l->comm, s, NULL, NULL, 0, err);
  if (s == MCL_OK) s = move(t, e, event, batch, err);
  if (s < 0) { // the encoder is ready for another batch
    mcl_error ignored;
    if (mcl_encoder_give_up(e, &ignored) < 0)
      mcli_log(t->l->context, MCL_LOG_WARN, "multistage", "not given up: %s", ignored.message);
  }
  return s;
}
