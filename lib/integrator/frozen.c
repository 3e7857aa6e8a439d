// The stages as one encoder, with a head on top or without: the learned projection.
//
//   embedding(x)  = head( r(x) ),   r the representation      (1)
//   forward(x)    = head's forward of r(x), stages in evaluation mode; backward and step are the head's
//
// It is a host's encoder to the rest of the library, so the ordinary loop, sampler and losses train it. A call that trains
// a projection by itself was rejected: it would be mcl_multistage_run() again, with its datasets, views, cells, schedule
// and saving, one layer too low.
#include "encoder/encoder.h"
#include "integrator/integrator.h"

typedef struct frozen {
  mcl_context *context;
  mcl_integrator *stages; // a view of its own: nobody adds to it or changes its weights
  mcl_encoder *head;      // or NULL
} frozen;

static void destroy(void *user) {
  frozen *f = user;
  mcl_context *c = f->context;
  mcl_integrator_unref(f->stages);
  mcl_encoder_unref(f->head);
  mcli_free(c, f);
  mcl_context_unref(c);
}

// ---- callbacks ---------------------------------------------------------------------------------------------

typedef mcl_status (*pass)(mcl_encoder *head, const mcl_inputs *in, const mcl_array *out,
                           mcl_error *err);

// (1), by the head's embed or forward.
static mcl_status through(frozen *f, const mcl_inputs *in, const mcl_array *out, pass head,
                          mcl_error *err) {
  int32_t dim = mcl_integrator_dim(f->stages);
  int64_t size;
  if (!mcli_mul(in->n, dim, &size))
    return mcli_fail(err, MCL_E_LIMIT, "in->n times dim does not fit");
  float *rows = MCLI_NEW(f->context, float, size);
  if (!rows) return mcli_nomem(err, "the representation");
  mcl_array r = mcl_matrix_f32(rows, in->n, dim);
  mcl_status s = mcl_integrator_embed(f->stages, in, &r, err);
  mcl_inputs of_head = *in;
  of_head.data = &r;
  if (s == MCL_OK) s = head(f->head, &of_head, out, err);
  mcli_free(f->context, rows);
  return s;
}

static mcl_status embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  frozen *f = user;
  if (!f->head) return mcl_integrator_embed(f->stages, in, out, err);
  return through(f, in, out, mcl_encoder_embed, err);
}

static mcl_status forward(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  return through(user, in, out, mcl_encoder_forward, err);
}

static mcl_status backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                           mcl_error *err) {
  return mcl_encoder_backward(((frozen *)user)->head, in, grad, err);
}

static mcl_status step(void *user, const mcl_step *of, mcl_error *err) {
  return mcl_encoder_step(((frozen *)user)->head, of, err);
}

static mcl_status save(void *user, const char *path, mcl_error *err) {
  return mcl_encoder_save(((frozen *)user)->head, path, err);
}

static mcl_status load(void *user, const char *path, mcl_error *err) {
  return mcl_encoder_load(((frozen *)user)->head, path, err);
}

static mcl_status temperature(void *user, double *out, mcl_error *err) {
  return mcl_encoder_temperature(((frozen *)user)->head, out, err);
}

static mcl_status backward_temperature(void *user, double d_log_temperature, mcl_error *err) {
  return mcl_encoder_backward_temperature(((frozen *)user)->head, d_log_temperature, err);
}

static void give_up(void *user) {
  mcli_encoder_give_up(((frozen *)user)->head);
}

static mcl_status start_from(void *user, void *from, mcl_error *err) {
  return mcl_encoder_start_from(((frozen *)user)->head, ((frozen *)from)->head, err);
}

static mcl_status sum_gradients(void *user, mcl_comm *comm, mcl_error *err) {
  mcl_status s = mcli_encoder_sum_gradients(((frozen *)user)->head, comm, err);
  return s < 0 ? s : mcl_ok(err);
}

// ---- the handle --------------------------------------------------------------------------------------------

static mcl_status view_of_all(const mcl_integrator *g, mcl_integrator **out, mcl_error *err) {
  int32_t *all = MCLI_NEW(g->context, int32_t, g->stages);
  if (!all) return mcli_nomem(err, "the stages");
  for (int32_t s = 0; s < g->stages; s++) all[s] = s;
  mcl_status s = mcl_integrator_view(g, all, g->stages, out, err);
  mcli_free(g->context, all);
  return s;
}

static mcl_host_encoder table_of(frozen *f) {
  const mcl_integrator *g = f->stages;
  mcl_host_encoder h;
  mcl_struct_init(&h, sizeof h);
  h.user = f;
  h.dim = f->head ? mcl_encoder_dim(f->head) : g->dim;
  h.projection_dim = f->head ? mcl_encoder_projection_dim(f->head) : 0;
  h.modalities = mcl_encoder_modalities(f->head ? f->head : g->stage[0].encoder);
  for (int32_t s = 0; s < g->stages; s++)
    if (mcl_encoder_modalities(g->stage[s].encoder) < h.modalities)
      h.modalities = mcl_encoder_modalities(g->stage[s].encoder);
  h.embed = embed;
  h.destroy = destroy;
  if (!f->head) return h;
  h.flags = mcli_encoder_takes_chunks(f->head) ? MCL_HOST_CHUNKS : 0;
  h.forward = forward;
  h.backward = backward;
  h.step = step;
  h.save = save;
  h.load = load;
  h.give_up = give_up;
  if (mcli_encoder_table(f->head)->start_from) h.start_from = start_from;
  if (mcli_encoder_table(f->head)->sum_gradients) h.sum_gradients = sum_gradients;
  if (!mcli_encoder_table(f->head)->temperature) return h;
  h.temperature = temperature;
  h.backward_temperature = backward_temperature;
  return h;
}

static mcl_status check(const mcl_integrator *g, const mcl_encoder *head, mcl_encoder **out,
                        mcl_error *err) {
  if (!g) return mcli_fail(err, MCL_E_INVALID, "integrator is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  if (g->stages == 0) return mcli_fail(err, MCL_E_STATE, "the integrator has no stages");
  for (int32_t s = 0; s < g->stages; s++)
    if (!g->stage[s].encoder) return mcli_fail(err, MCL_E_STATE, "stage %d has no encoder", (int)s);
  // Wider is no encoder's embedding: encoder.h.
  if (!head && g->dim > 1048576)
    return mcli_fail(err, MCL_E_LIMIT, "dim is %d, over 1048576", (int)g->dim);
  return MCL_OK;
}

mcl_status mcl_integrator_encoder(const mcl_integrator *integrator, mcl_encoder *head,
                                  mcl_encoder **out, mcl_error *err) {
  mcl_status s = check(integrator, head, out, err);
  if (s < 0) return s;
  frozen *f = MCLI_NEW0(integrator->context, frozen, 1);
  if (!f) return mcli_nomem(err, "the encoder");
  f->context = mcl_context_ref(integrator->context);
  f->head = mcl_encoder_ref(head);
  s = view_of_all(integrator, &f->stages, err);
  if (s < 0) {
    destroy(f);
    return s;
  }
  mcl_host_encoder table = table_of(f);
  return mcl_encoder_create_host(integrator->context, &table, out, err); // destroys f on failure
}
