// The encoder handle: checks what goes in and out of a table of callbacks, and keeps the order of a training step.
//
// The host's encoders and the built-in ones pass through here alike; nothing below knows whose table it is.
//
// A view (modality, view) of the batch goes through
//
//   empty --forward--> held --backward--> done --step--> empty                               (1)
//                       ^                  |
//                       +----- forward ----+     a further chunk of the batch                (2)
//
// and a step needs at least one backward and no view held. (2), and a forward of an empty view after a backward, are for
// tables that keep their gradients then (MCL_HOST_CHUNKS). One that fails in there gives the batch up, as a backward does:
// else a step could follow that lacks a chunk. For the same reason a view that is held may be forwarded again only if its
// forward came before the first backward: the projections of all chunks are made then, and the last ones are still held.
//
// Callbacks write into a buffer of ours and the caller's array is written when all is well, so a failed call leaves
// it alone, hosts see one type and layout only, and a NaN never leaves an encoder unseen.
#include "encoder/encoder.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "comm/comm.h"
#include "math/array.h"

enum { EMPTY = 0, HELD, DONE };
enum { VIEWS = 3 }; // -1, 0, 1

typedef struct slot {
  int64_t n;
  int32_t phase;
  int32_t late; // its forward came after a backward of the batch
} slot;

struct mcl_encoder {
  mcli_refcount refs;
  mcli_guard guard;
  mcl_context *context;
  const char *name;
  mcl_host_encoder table;
  slot *slots;   // [modalities * VIEWS]
  int32_t begun; // a backward of the batch at work has been
  float *buffer; // [buffer_size]: what callbacks write, or gradients made plain
  int64_t buffer_size;
};

// ---- life ------------------------------------------------------------------------------------------

static void free_encoder(mcl_encoder *e) {
  if (e->table.destroy) e->table.destroy(e->table.user);
  mcl_context *c = e->context;
  mcli_free(c, e->slots);
  mcli_free(c, e->buffer);
  mcli_free(c, e);
  mcl_context_unref(c);
}

mcl_status mcli_encoder_create(mcl_context *c, const char *name, const mcl_host_encoder *table,
                               mcl_encoder **out, mcl_error *err) {
  mcl_encoder *e = MCLI_NEW0(c, mcl_encoder, 1);
  if (!e) {
    if (table->destroy) table->destroy(table->user);
    return mcli_nomem(err, "the encoder");
  }
  mcli_ref_init(&e->refs);
  mcli_guard_init(&e->guard);
  e->context = mcl_context_ref(c);
  e->name = name;
  e->table = *table;
  if (e->table.projection_dim == 0) e->table.projection_dim = e->table.dim;
  if (e->table.modalities == 0) e->table.modalities = 1;
  e->slots = MCLI_NEW0(c, slot, e->table.modalities * VIEWS);
  if (!e->slots) {
    free_encoder(e);
    return mcli_nomem(err, "the encoder");
  }
  *out = e;
  return mcl_ok(err);
}

mcl_encoder *mcl_encoder_ref(mcl_encoder *encoder) {
  if (encoder) mcli_ref(&encoder->refs);
  return encoder;
}

void mcl_encoder_unref(mcl_encoder *encoder) {
  if (encoder && mcli_unref_is_last(&encoder->refs)) free_encoder(encoder);
}

int32_t mcl_encoder_dim(const mcl_encoder *encoder) {
  return encoder ? encoder->table.dim : 0;
}

int32_t mcl_encoder_projection_dim(const mcl_encoder *encoder) {
  return encoder ? encoder->table.projection_dim : 0;
}

int32_t mcl_encoder_modalities(const mcl_encoder *encoder) {
  return encoder ? encoder->table.modalities : 0;
}

void *mcli_encoder_user(mcl_encoder *e) {
  return e->table.user;
}

const mcl_host_encoder *mcli_encoder_table(const mcl_encoder *e) {
  return &e->table;
}

mcl_status mcli_encoder_enter(mcl_encoder *e, mcl_error *err) {
  return mcli_guard_enter(&e->guard, "encoder", err);
}

void mcli_encoder_leave(mcl_encoder *e) {
  mcli_guard_leave(&e->guard);
}

// ---- around a callback -----------------------------------------------------------------------------

static mcl_status enter(mcl_encoder *e, int has, const char *verb, mcl_error *err) {
  if (!has)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "this encoder has no %s: the host left it NULL", verb);
  return mcli_guard_enter(&e->guard, "encoder", err);
}

static mcl_status ended(const mcl_encoder *e, const char *verb, mcl_status returned,
                        const mcl_error *inner, mcl_error *err) {
  char name[64];
  snprintf(name, sizeof name, "%s.%s", e->name, verb);
  return mcli_callback_end(returned, inner, name, err);
}

static slot *slot_of(const mcl_encoder *e, const mcl_inputs *in) {
  return &e->slots[in->modality * VIEWS + in->view + 1];
}

static int any_held(const mcl_encoder *e) {
  for (int32_t i = 0; i < e->table.modalities * VIEWS; i++)
    if (e->slots[i].phase == HELD) return 1;
  return 0;
}

static void forget(mcl_encoder *e) {
  for (int32_t i = 0; i < e->table.modalities * VIEWS; i++) e->slots[i] = (slot){0};
  e->begun = 0;
}

static void give_up(mcl_encoder *e) {
  forget(e);
  if (e->table.give_up) e->table.give_up(e->table.user);
}

void mcli_encoder_give_up(mcl_encoder *e) {
  give_up(e);
}

int mcli_encoder_takes_chunks(const mcl_encoder *e) {
  return (e->table.flags & MCL_HOST_CHUNKS) != 0;
}

// The caller's inputs into *in, checked as far as they do not depend on the network.
static mcl_status take_inputs(const mcl_encoder *e, mcl_inputs *in, const mcl_inputs *given,
                              mcl_error *err) {
  mcl_status s = mcli_struct_in(in, sizeof *in, given, "mcl_inputs", err);
  if (s < 0) return s;
  if (in->n < 0 || in->n > INT32_MAX)
    return mcli_fail(err, MCL_E_INVALID, "in->n is %lld, not 0..%d", (long long)in->n, INT32_MAX);
  if (in->modality < 0 || in->modality >= e->table.modalities)
    return mcli_fail(err, MCL_E_INVALID, "in->modality is %d, not 0..%d", in->modality,
                     e->table.modalities - 1);
  if (in->view < -1 || in->view > 1)
    return mcli_fail(err, MCL_E_INVALID, "in->view is %d, not -1, 0 or 1", in->view);
  return MCL_OK;
}

static mcl_status take_data(const mcl_inputs *in, mcl_error *err) {
  if (!in->data && !in->indices && in->n > 0)
    return mcli_fail(err, MCL_E_INVALID, "in->data and in->indices are both NULL");
  if (!in->data) return MCL_OK;
  mcl_status s = mcli_array_check(in->data, "in->data", err);
  if (s < 0) return s;
  if (in->data->shape[0] != in->n)
    return mcli_fail(err, MCL_E_SHAPE, "in->data has %lld rows but in->n is %lld",
                     (long long)in->data->shape[0], (long long)in->n);
  return MCL_OK;
}

static mcl_status reserve(mcl_encoder *e, int64_t n, int64_t dim, mcl_error *err) {
  int64_t size;
  if (!mcli_mul(n, dim, &size)) return mcli_nomem(err, "the rows of a batch");
  if (size <= e->buffer_size) return MCL_OK;
  float *larger = MCLI_NEW(e->context, float, size);
  if (!larger) return mcli_nomem(err, "the rows of a batch");
  mcli_free(e->context, e->buffer);
  e->buffer = larger;
  e->buffer_size = size;
  return MCL_OK;
}

typedef mcl_status (*rows_fn)(void *, const mcl_inputs *, const mcl_array *, mcl_error *);

// embed and forward: the callback fills the buffer, which is looked at and copied to the caller.
static mcl_status make_rows(mcl_encoder *e, const char *verb, rows_fn fn, const mcl_inputs *in,
                            int32_t dim, const mcl_array *out, mcl_error *err) {
  mcl_status s = reserve(e, in->n, dim, err);
  if (s < 0) return s;
  mcl_array rows = mcl_matrix_f32(e->buffer, in->n, dim);
  mcl_error inner;
  mcli_callback_begin(&inner);
  s = ended(e, verb, fn(e->table.user, in, &rows, &inner), &inner, err);
  if (s < 0) return s;
  int64_t bad = mcli_first_not_finite(e->buffer, in->n, dim);
  if (bad >= 0)
    return mcli_fail_row(err, MCL_E_NOT_FINITE, bad, "%s.%s gave a NaN or infinity in row %lld",
                         e->name, verb, (long long)bad);
  mcli_array_store(out, 0, in->n, e->buffer);
  return mcl_ok(err);
}

// ---- the verbs -------------------------------------------------------------------------------------

mcl_status mcl_encoder_embed(mcl_encoder *encoder, const mcl_inputs *in, const mcl_array *out,
                             mcl_error *err) {
  mcl_encoder *e = encoder;
  if (!e) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  mcl_inputs ours;
  mcl_status s = take_inputs(e, &ours, in, err);
  if (s == MCL_OK) s = take_data(&ours, err);
  if (s == MCL_OK) s = mcli_matrix_check_out(out, "out", ours.n, e->table.dim, err);
  if (s < 0) return s;
  s = enter(e, e->table.embed != NULL, "embed", err);
  if (s < 0) return s;
  if (ours.n == 0)
    s = mcl_ok(err);
  else
    s = make_rows(e, "embed", e->table.embed, &ours, e->table.dim, out, err);
  mcli_guard_leave(&e->guard);
  return s;
}

// After a backward of the batch at work: may this view have a further chunk?
static mcl_status check_chunk(const mcl_encoder *e, const mcl_inputs *in, mcl_error *err) {
  if (!mcli_encoder_takes_chunks(e))
    return mcli_fail(err, MCL_E_UNSUPPORTED,
                     "forward after a backward: this encoder takes a batch whole (its table's "
                     "flags lack MCL_HOST_CHUNKS), mcl_encoder_step first");
  const slot *view = slot_of(e, in);
  if (view->phase == HELD && view->late)
    return mcli_fail(err, MCL_E_STATE,
                     "a further forward of modality %d, view %d, which waits for its backward",
                     in->modality, in->view);
  return MCL_OK;
}

// (1), (2)
static mcl_status forward(mcl_encoder *e, const mcl_inputs *in, const mcl_array *out,
                          mcl_error *err) {
  mcl_status s = e->begun ? check_chunk(e, in, err) : MCL_OK;
  if (s < 0) return s;
  slot *view = slot_of(e, in);
  *view = (slot){0};
  s = make_rows(e, "forward", e->table.forward, in, e->table.projection_dim, out, err);
  if (s == MCL_OK) *view = (slot){.n = in->n, .phase = HELD, .late = e->begun};
  if (s < 0 && e->begun) give_up(e);
  return s;
}

mcl_status mcl_encoder_forward(mcl_encoder *encoder, const mcl_inputs *in, const mcl_array *out,
                               mcl_error *err) {
  mcl_encoder *e = encoder;
  if (!e) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  mcl_inputs ours;
  mcl_status s = take_inputs(e, &ours, in, err);
  if (s == MCL_OK) s = take_data(&ours, err);
  if (s == MCL_OK) s = mcli_matrix_check_out(out, "out", ours.n, e->table.projection_dim, err);
  if (s < 0) return s;
  s = enter(e, e->table.forward != NULL, "forward", err);
  if (s < 0) return s;
  s = forward(e, &ours, out, err);
  mcli_guard_leave(&e->guard);
  return s;
}

static mcl_status check_rows(const slot *view, const mcl_inputs *in, mcl_error *err) {
  if (view->n == in->n) return MCL_OK;
  return mcli_fail(err, MCL_E_SHAPE, "in->n is %lld but forward had %lld rows", (long long)in->n,
                   (long long)view->n);
}

static mcl_status held(mcl_encoder *e, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  const slot *view = slot_of(e, in);
  if (view->phase == EMPTY)
    return mcli_fail(err, MCL_E_STATE, "no forward holds modality %d, view %d", in->modality,
                     in->view);
  mcl_status s = check_rows(view, in, err);
  return s < 0 ? s : make_rows(e, "held", e->table.held, in, e->table.dim, out, err);
}

mcl_status mcl_encoder_held(mcl_encoder *encoder, const mcl_inputs *in, const mcl_array *out,
                            mcl_error *err) {
  mcl_encoder *e = encoder;
  if (!e) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  mcl_inputs ours;
  mcl_status s = take_inputs(e, &ours, in, err);
  if (s == MCL_OK) s = mcli_matrix_check_out(out, "out", ours.n, e->table.dim, err);
  if (s < 0) return s;
  s = enter(e, e->table.held != NULL, "held", err);
  if (s < 0) return s;
  s = held(e, &ours, out, err);
  mcli_guard_leave(&e->guard);
  return s;
}

// The gradient as contiguous float32, in the caller's array where it is so already.
static mcl_status take_gradient(mcl_encoder *e, int64_t n, const mcl_array *grad,
                                const float **rows, mcl_error *err) {
  int64_t dim = e->table.projection_dim;
  mcl_status s = reserve(e, n, dim, err);
  if (s < 0) return s;
  const float *plain = n > 0 ? mcli_array_plain(grad, 0) : NULL;
  if (!plain && n > 0) mcli_array_load(grad, 0, n, e->buffer);
  *rows = plain ? plain : e->buffer;
  int64_t bad = mcli_first_not_finite(*rows, n, dim);
  if (bad < 0) return MCL_OK;
  return mcli_fail_row(err, MCL_E_NOT_FINITE, bad, "grad has a NaN or infinity in row %lld",
                       (long long)bad);
}

static mcl_status backward(mcl_encoder *e, const mcl_inputs *in, const mcl_array *grad,
                           mcl_error *err) {
  slot *view = slot_of(e, in);
  if (view->phase != HELD)
    return mcli_fail(err, MCL_E_STATE, "%s of modality %d, view %d",
                     view->phase == DONE ? "a second backward" : "backward without a forward",
                     in->modality, in->view);
  const float *rows = NULL;
  mcl_status s = check_rows(view, in, err);
  if (s == MCL_OK) s = take_gradient(e, in->n, grad, &rows, err);
  if (s < 0) return s;
  mcl_array ours = mcl_matrix_f32((float *)(uintptr_t)rows, in->n, e->table.projection_dim);
  ours.flags = MCL_ARRAY_READONLY;
  mcl_error inner;
  mcli_callback_begin(&inner);
  s = ended(e, "backward", e->table.backward(e->table.user, in, &ours, &inner), &inner, err);
  if (s < 0) {
    give_up(e);
    return s;
  }
  view->phase = DONE;
  e->begun = 1;
  return mcl_ok(err);
}

mcl_status mcl_encoder_backward(mcl_encoder *encoder, const mcl_inputs *in, const mcl_array *grad,
                                mcl_error *err) {
  mcl_encoder *e = encoder;
  if (!e) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  mcl_inputs ours;
  mcl_status s = take_inputs(e, &ours, in, err);
  if (s == MCL_OK) s = mcli_matrix_check(grad, "grad", ours.n, e->table.projection_dim, err);
  if (s < 0) return s;
  s = enter(e, e->table.backward != NULL, "backward", err);
  if (s < 0) return s;
  s = backward(e, &ours, grad, err);
  mcli_guard_leave(&e->guard);
  return s;
}

mcl_status mcl_encoder_temperature(mcl_encoder *encoder, double *temperature, mcl_error *err) {
  mcl_encoder *e = encoder;
  if (!e) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  if (!temperature) return mcli_fail(err, MCL_E_INVALID, "temperature is NULL");
  mcl_status s = enter(e, e->table.temperature != NULL, "temperature", err);
  if (s < 0) return s;
  mcl_error inner;
  double got = 0;
  mcli_callback_begin(&inner);
  s = ended(e, "temperature", e->table.temperature(e->table.user, &got, &inner), &inner, err);
  mcli_guard_leave(&e->guard);
  if (s == MCL_OK && !(isfinite(got) && got > 0))
    s = mcli_fail(err, MCL_E_CALLBACK, "%s.temperature gave %g", e->name, got);
  if (s < 0) return s;
  *temperature = got;
  return mcl_ok(err);
}

static mcl_status backward_temperature(mcl_encoder *e, double gradient, mcl_error *err) {
  if (!e->begun)
    return mcli_fail(err, MCL_E_STATE, "the temperature's backward before that of a view");
  mcl_error inner;
  mcli_callback_begin(&inner);
  mcl_status s = ended(e, "backward_temperature",
                       e->table.backward_temperature(e->table.user, gradient, &inner), &inner, err);
  if (s < 0) give_up(e);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcl_encoder_backward_temperature(mcl_encoder *encoder, double d_log_temperature,
                                            mcl_error *err) {
  mcl_encoder *e = encoder;
  if (!e) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  if (!isfinite(d_log_temperature))
    return mcli_fail(err, MCL_E_NOT_FINITE, "d_log_temperature is %g", d_log_temperature);
  mcl_status s = enter(e, e->table.backward_temperature != NULL, "backward_temperature", err);
  if (s < 0) return s;
  s = backward_temperature(e, d_log_temperature, err);
  mcli_guard_leave(&e->guard);
  return s;
}

static mcl_status step(mcl_encoder *e, const mcl_step *given, mcl_error *err) {
  if (any_held(e))
    return mcli_fail(err, MCL_E_STATE, "step while a view still waits for its backward");
  if (!e->begun) return mcli_fail(err, MCL_E_STATE, "step without a backward");
  mcl_error inner;
  mcli_callback_begin(&inner);
  mcl_status s = ended(e, "step", e->table.step(e->table.user, given, &inner), &inner, err);
  if (s < 0)
    give_up(e);
  else
    forget(e);
  return s < 0 ? s : mcl_ok(err);
}

static mcl_status sum_gradients(mcl_encoder *e, mcl_comm *comm, mcl_error *err) {
  if (any_held(e))
    return mcli_fail(err, MCL_E_STATE, "gradients while a view still waits for its backward");
  if (!e->begun) return mcli_fail(err, MCL_E_STATE, "gradients before a backward");
  // A host's exchange would wait for a rank that has failed: it begins where all are well.
  mcl_status s = mcli_comm_gather(comm, MCL_OK, NULL, NULL, 0, err);
  if (s == MCL_OK) {
    mcl_error inner;
    mcli_callback_begin(&inner);
    int32_t lent = mcli_comm_lend(comm);
    s = e->table.sum_gradients(e->table.user, comm, &inner);
    mcli_comm_take_back(comm, lent);
    s = ended(e, "sum_gradients", s, &inner, err);
  }
  if (s < 0) give_up(e);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcli_encoder_sum_gradients(mcl_encoder *e, mcl_comm *comm, mcl_error *err) {
  if (mcli_comm_is_alone(comm) || !e->table.sum_gradients) return MCL_OK;
  mcl_status s = mcli_guard_enter(&e->guard, "encoder", err);
  if (s < 0) return s;
  s = sum_gradients(e, comm, err);
  mcli_guard_leave(&e->guard);
  return s;
}

mcl_status mcl_encoder_sum_gradients(mcl_encoder *encoder, mcl_comm *comm, mcl_error *err) {
  mcl_error own;
  if (!err) err = &own;
  if (!encoder) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  if (mcli_comm_is_alone(comm)) return mcl_ok(err);
  mcl_status s = mcli_comm_enter(comm, err);
  if (s < 0) return s;
  if (!encoder->table.sum_gradients)
    s = mcli_fail(err, MCL_E_UNSUPPORTED,
                  "this encoder has no sum_gradients: the host left it NULL");
  const int64_t what[3] = {encoder->table.dim, encoder->table.projection_dim, 0x67726164};
  s = mcli_comm_begin(comm, s, mcli_hash(what, sizeof what, 0), err);
  if (s == MCL_OK) s = mcli_encoder_sum_gradients(encoder, comm, err);
  s = mcli_comm_end(comm, s, err);
  mcl_error ignored;
  if (s < 0 && mcl_encoder_give_up(encoder, &ignored) < 0)
    return s; // in use: whoever uses it goes on
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcl_encoder_step(mcl_encoder *encoder, const mcl_step *step_, mcl_error *err) {
  mcl_encoder *e = encoder;
  if (!e) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  mcl_step ours;
  mcl_status s = mcli_struct_in(&ours, sizeof ours, step_, "mcl_step", err);
  if (s < 0) return s;
  if (!isfinite(ours.learning_rate) || ours.learning_rate < 0)
    return mcli_fail(err, MCL_E_INVALID, "step->learning_rate is %g, not finite and at least 0",
                     ours.learning_rate);
  s = enter(e, e->table.step != NULL, "step", err);
  if (s < 0) return s;
  s = step(e, &ours, err);
  mcli_guard_leave(&e->guard);
  return s;
}

mcl_status mcl_encoder_give_up(mcl_encoder *encoder, mcl_error *err) {
  mcl_encoder *e = encoder;
  if (!e) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  mcl_status s = mcli_guard_enter(&e->guard, "encoder", err);
  if (s < 0) return s;
  if (e->begun || any_held(e)) give_up(e);
  mcli_guard_leave(&e->guard);
  return mcl_ok(err);
}

// The table's own function is what says that both are of one kind.
static mcl_status check_start(const mcl_encoder *e, const mcl_encoder *from, mcl_error *err) {
  if (!e) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  if (!from) return mcli_fail(err, MCL_E_INVALID, "from is NULL");
  if (e == from) return mcli_fail(err, MCL_E_INVALID, "encoder and from are one encoder");
  if (!e->table.start_from)
    return mcli_fail(err, MCL_E_UNSUPPORTED,
                     "this encoder has no start_from: the host left it NULL");
  if (from->table.start_from != e->table.start_from)
    return mcli_fail(err, MCL_E_MISMATCH,
                     "a %s cannot start from a %s: they are of different kinds", e->name,
                     from->name);
  if (from->table.dim == e->table.dim && from->table.projection_dim == e->table.projection_dim)
    return MCL_OK;
  return mcli_fail(err, MCL_E_MISMATCH,
                   "embeddings have %d and %d numbers, projections %d and %d: it cannot start from "
                   "that one",
                   e->table.dim, from->table.dim, e->table.projection_dim,
                   from->table.projection_dim);
}

mcl_status mcl_encoder_start_from(mcl_encoder *encoder, mcl_encoder *from, mcl_error *err) {
  mcl_encoder *e = encoder;
  mcl_status s = check_start(e, from, err);
  if (s == MCL_OK) s = mcli_guard_enter(&e->guard, "encoder", err);
  if (s < 0) return s;
  s = mcli_guard_enter(&from->guard, "from", err);
  if (s == MCL_OK) {
    mcl_error inner;
    mcli_callback_begin(&inner);
    s = e->table.start_from(e->table.user, from->table.user, &inner);
    s = ended(e, "start_from", s, &inner, err);
    mcli_guard_leave(&from->guard);
  }
  if (s == MCL_OK) forget(e);
  mcli_guard_leave(&e->guard);
  return s < 0 ? s : mcl_ok(err);
}

typedef mcl_status (*path_fn)(void *, const char *, mcl_error *);

// save and load.
static mcl_status with_file(mcl_encoder *e, const char *verb, path_fn fn, const char *path,
                            mcl_error *err) {
  if (!path) return mcli_fail(err, MCL_E_INVALID, "path is NULL");
  mcl_status s = enter(e, fn != NULL, verb, err);
  if (s < 0) return s;
  mcl_error inner;
  mcli_callback_begin(&inner);
  s = ended(e, verb, fn(e->table.user, path, &inner), &inner, err);
  if (s == MCL_OK && fn == e->table.load) forget(e);
  mcli_guard_leave(&e->guard);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcl_encoder_save(mcl_encoder *encoder, const char *path, mcl_error *err) {
  if (!encoder) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  return with_file(encoder, "save", encoder->table.save, path, err);
}

mcl_status mcl_encoder_load(mcl_encoder *encoder, const char *path, mcl_error *err) {
  if (!encoder) return mcli_fail(err, MCL_E_INVALID, "encoder is NULL");
  return with_file(encoder, "load", encoder->table.load, path, err);
}
