// The table of an encoder that is one of our own networks.
//
// The handle (encoder.c) has checked the order of calls, shapes and gradients; what is left is the data, and that a
// failure leaves everything that save writes as it was: running figures of batch norm move in step only, and memory is
// had before any number changes.
#include "encoder/network.h"

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "math/array.h"

// Rows embedded at a time: layers are large enough to share out, and a tape of the demo's network is 6 MB. A transformer's
// row may have millions of numbers: fewer rows then, for a tape of 64 MiB.
enum { EMBED_ROWS = 256, EMBED_FLOATS = 16 << 20 };
// Rows a task loads.
enum { LOAD_ROWS = 16 };

// ---- data ------------------------------------------------------------------------------------------

static mcl_status check_shape(const mcli_network *w, const mcl_array *a, mcl_error *err) {
  mcli_shape in = w->net.input;
  int64_t inputs = mcli_shape_size(in), row = mcli_array_row_size(a);
  if (row != inputs)
    return mcli_fail(err, MCL_E_SHAPE, "in->data has %lld numbers a row, the network takes %lld",
                     (long long)row, (long long)inputs);
  // Four dimensions say what they are: [n, channels, height, width] is a mistake that would train.
  if (a->ndim == 4 && in.channels != inputs &&
      (a->shape[1] != in.height || a->shape[2] != in.width))
    return mcli_fail(err, MCL_E_SHAPE,
                     "in->data has rows of [%lld, %lld, %lld], the network takes [%d, %d, %d]",
                     (long long)a->shape[1], (long long)a->shape[2], (long long)a->shape[3],
                     in.height, in.width, in.channels);
  return MCL_OK;
}

static mcl_status check_tokens(const mcli_network *w, const mcl_inputs *in, mcl_error *err) {
  if (in->data->dtype != MCL_I32)
    return mcli_fail(err, MCL_E_DTYPE, "in->data is of type %d, not MCL_I32: tokens are wanted",
                     in->data->dtype);
  if (in->data->ndim > 2)
    return mcli_fail(err, MCL_E_SHAPE, "in->data has %d dimensions, not [n, context]",
                     in->data->ndim);
  mcl_status s = check_shape(w, in->data, err);
  if (s == MCL_OK && in->n * mcli_shape_size(w->net.input) > INT32_MAX)
    return mcli_fail(err, MCL_E_LIMIT, "in->data has more than 2^31 tokens");
  return s;
}

static mcl_status check_data(const mcli_network *w, const mcl_inputs *in, mcl_error *err) {
  if (in->n == 0) return MCL_OK;
  if (!in->data) return mcli_fail(err, MCL_E_INVALID, "in->data is NULL");
  if (w->net.tokens.vocabulary > 0) return check_tokens(w, in, err);
  if (!mcli_dtype_is_float(in->data->dtype) && in->data->dtype != MCL_U8)
    return mcli_fail(err, MCL_E_DTYPE, "in->data is of type %d, not a float type or MCL_U8",
                     in->data->dtype);
  return check_shape(w, in->data, err);
}

typedef struct load_job {
  const mcl_array *data;
  float *rows;
  int64_t first, n, inputs;
  _Atomic int64_t bad; // the first row with a NaN or infinity, else n
} load_job;

static void load_block(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  load_job *j = job;
  int64_t at = (int64_t)task * LOAD_ROWS, n = j->n - at < LOAD_ROWS ? j->n - at : LOAD_ROWS;
  float *rows = j->rows + at * j->inputs;
  mcli_array_load(j->data, j->first + at, n, rows);
  if (j->data->dtype == MCL_U8) return;
  int64_t bad = mcli_first_not_finite(rows, n, j->inputs);
  int64_t known = atomic_load(&j->bad);
  while (bad >= 0 && at + bad < known && !atomic_compare_exchange_weak(&j->bad, &known, at + bad)) {
  }
}

static const int32_t *token_at(const mcl_array *a, int64_t row, int64_t k) {
  return (const int32_t *)a->data + row * a->strides[0] + k * a->strides[1];
}

static mcl_status load_tokens(const mcli_network *w, mcli_tape *tape, const mcl_inputs *in,
                              int64_t first, int64_t n, mcl_error *err) {
  int32_t *to = (int32_t *)(void *)mcli_tape_value(&w->net, tape, 0);
  int64_t context = mcli_shape_size(w->net.input);
  for (int64_t i = first; i < first + n; i++)
    for (int64_t k = 0; k < context; k++) {
      int32_t id = *token_at(in->data, i, k);
      if (id < 0 || id >= w->net.tokens.vocabulary)
        return mcli_fail_row(err, MCL_E_INVALID, i,
                             "in->data has token %d in row %lld, at %lld, not 0..%d", id,
                             (long long)i, (long long)k, w->net.tokens.vocabulary - 1);
      *to++ = id;
    }
  return MCL_OK;
}

// Rows first .. first + n - 1 into value 0 of a tape.
static mcl_status load_rows(const mcli_network *w, mcli_tape *tape, const mcl_inputs *in,
                            int64_t first, int64_t n, mcl_error *err) {
  if (w->net.tokens.vocabulary > 0) return load_tokens(w, tape, in, first, n, err);
  load_job j = {.data = in->data,
                .rows = mcli_tape_value(&w->net, tape, 0),
                .first = first,
                .n = n,
                .inputs = mcli_shape_size(w->net.input)};
  atomic_init(&j.bad, n);
  mcl_status s = mcli_parallel(w->context, mcli_blocks(n, LOAD_ROWS), load_block, &j, err);
  int64_t bad = first + atomic_load(&j.bad);
  if (s < 0 || bad == first + n) return s;
  return mcli_fail_row(err, MCL_E_NOT_FINITE, bad, "in->data has a NaN or infinity in row %lld",
                       (long long)bad);
}

// A value of a tape into the rows of the handle's buffer.
static mcl_status give_rows(const mcli_network *w, const mcli_tape *tape, int32_t value,
                            int64_t first, int64_t n, float *out, mcl_error *err) {
  if (n == 0) return MCL_OK;
  int64_t dim = mcli_shape_size(mcli_net_shape(&w->net, value));
  const float *rows = mcli_tape_value(&w->net, tape, value);
  int64_t bad = mcli_first_not_finite(rows, n, dim);
  if (bad >= 0)
    return mcli_fail_row(err, MCL_E_NOT_FINITE, first + bad,
                         "row %lld has a NaN or infinity: the weights have grown too large",
                         (long long)(first + bad));
  memcpy(out + first * dim, rows, (size_t)(n * dim) * sizeof *out);
  return MCL_OK;
}

// ---- the table -------------------------------------------------------------------------------------

static mcl_status embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  mcli_network *w = user;
  mcl_status s = check_data(w, in, err);
  if (s < 0) return s;
  int64_t most = EMBED_FLOATS / w->net.row[0];
  int64_t rows = most < 1 ? 1 : most < EMBED_ROWS ? most : EMBED_ROWS;
  if (in->n < rows) rows = in->n;
  s = mcli_net_reserve(&w->net, &w->evaluation, rows, 0, err);
  for (int64_t first = 0; s == MCL_OK && first < in->n; first += rows) {
    int64_t n = in->n - first < rows ? in->n - first : rows;
    s = load_rows(w, &w->evaluation, in, first, n, err);
    if (s == MCL_OK) s = mcli_net_forward(&w->net, &w->evaluation, n, w->net.embedding, 0, err);
    if (s == MCL_OK) s = give_rows(w, &w->evaluation, w->net.embedding, first, n, out->data, err);
  }
  return s < 0 ? s : mcl_ok(err);
}

static mcl_status forward(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  mcli_network *w = user;
  mcli_tape *tape = &w->tapes[in->view + 1];
  mcl_status s = check_data(w, in, err);
  if (s == MCL_OK) s = mcli_net_reserve(&w->net, tape, in->n, 1, err);
  if (s == MCL_OK && in->n > 0) s = load_rows(w, tape, in, 0, in->n, err);
  if (s == MCL_OK) s = mcli_net_forward(&w->net, tape, in->n, w->net.n_layers, 1, err);
  if (s == MCL_OK) s = give_rows(w, tape, w->net.n_layers, 0, in->n, out->data, err);
  return s < 0 ? s : mcl_ok(err);
}

static mcl_status held(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  mcli_network *w = user;
  mcl_status s = give_rows(w, &w->tapes[in->view + 1], w->net.embedding, 0, in->n, out->data, err);
  return s < 0 ? s : mcl_ok(err);
}

static void forget_views(mcli_network *w) {
  for (int i = 0; i < MCLI_NETWORK_VIEWS; i++) mcli_net_forget(&w->net, &w->tapes[i]);
}

void mcli_network_give_up(void *network) {
  mcli_network *w = network;
  forget_views(w);
  memset(w->net.params.gradients, 0,
         (size_t)(w->net.params.n - w->net.params.frozen) * sizeof(float));
}

static mcl_status backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                           mcl_error *err) {
  mcli_network *w = user;
  mcli_tape *tape = &w->tapes[in->view + 1];
  mcl_status s = mcli_net_backward(&w->net, tape, grad->data, err);
  if (s < 0) return s;
  mcli_net_gather(&w->net, tape);
  return mcl_ok(err);
}

static mcl_status step(void *user, const mcl_step *given, mcl_error *err) {
  mcli_network *w = user;
  mcl_status s = mcli_optimiser_step(w->context, &w->optimiser, &w->net.params,
                                     given->learning_rate, w->steps + 1, err);
  if (s < 0) {
    mcli_network_give_up(w);
    return s;
  }
  w->steps++;
  for (int i = 0; i < MCLI_NETWORK_VIEWS; i++) mcli_net_run(&w->net, &w->tapes[i]);
  forget_views(w); // gradients are zero already
  return mcl_ok(err);
}

static mcl_status load(void *user, const char *path, mcl_error *err) {
  mcl_status s = mcli_network_load(user, path, err);
  if (s == MCL_OK) mcli_network_give_up(user);
  return s;
}

// ---- the weights of another -----------------------------------------------------------------------

static size_t layers_described(const mcli_network *w) {
  return w->layers_described ? w->layers_described : strlen(w->description);
}

static int same_tensors(const mcli_params *p, const mcli_params *from) {
  if (p->n != from->n || p->n_tensors != from->n_tensors) return 0;
  for (int32_t i = 0; i < p->n_tensors; i++)
    if (memcmp(p->tensors[i].shape, from->tensors[i].shape, sizeof p->tensors[i].shape) != 0)
      return 0;
  return 1;
}

// A pair's projections do not describe how wide the towers are: the tensors do.
mcl_status mcli_network_check_same(const mcli_network *w, const mcli_network *from,
                                   mcl_error *err) {
  size_t n = layers_described(w);
  if (n == layers_described(from) && memcmp(w->description, from->description, n) == 0 &&
      same_tensors(&w->net.params, &from->net.params))
    return MCL_OK;
  return mcli_fail(err, MCL_E_MISMATCH, "\"%s\" cannot start from \"%s\"", w->description,
                   from->description);
}

void mcli_network_start_from(mcli_network *w, const mcli_network *from) {
  mcli_params *p = &w->net.params;
  size_t trained = (size_t)(p->n - p->frozen) * sizeof(float);
  memcpy(p->values, from->net.params.values, (size_t)p->n * sizeof(float));
  memset(p->moments, 0, trained);
  memset(p->second, 0, trained);
  w->steps = 0;
  mcli_network_give_up(w);
}

static mcl_status start_from(void *user, void *from, mcl_error *err) {
  mcl_status s = mcli_network_check_same(user, from, err);
  if (s < 0) return s;
  mcli_network_start_from(user, from);
  return mcl_ok(err);
}

// ---- life ------------------------------------------------------------------------------------------

void mcli_network_free(void *network) {
  mcli_network *w = network;
  if (!w) return;
  mcl_context *c = w->context;
  for (int i = 0; i < MCLI_NETWORK_VIEWS; i++) mcli_tape_free(c, &w->tapes[i]);
  mcli_tape_free(c, &w->evaluation);
  mcli_net_free(&w->net);
  mcli_free(c, w);
}

mcl_status mcli_network_begin(mcl_context *c, mcli_shape input,
                              const mcl_optimiser_options *optimiser, mcli_network **out,
                              mcl_error *err) {
  mcl_optimiser_options ours;
  mcl_status s = mcli_optimiser_options(&ours, optimiser, err);
  if (s < 0) return s;
  mcli_network *w = MCLI_NEW0(c, mcli_network, 1);
  if (!w) return mcli_nomem(err, "the network");
  w->context = c; // the handle keeps it
  w->optimiser = ours;
  w->unlike = "is neither a residual network nor a vision transformer";
  mcli_net_begin(c, &w->net, input);
  *out = w;
  return MCL_OK;
}

mcl_status mcli_network_head(mcli_network *w, int32_t projection_dim, mcl_error *err) {
  w->net.embedding = w->net.n_layers;
  if (projection_dim == 0) return MCL_OK;
  mcl_status s = mcli_net_relu(&w->net, err);
  if (s == MCL_OK) s = mcli_net_linear(&w->net, projection_dim, MCLI_WITH_BIAS, err);
  return s;
}

mcl_status mcli_network_dense(mcli_network *w, int32_t layers, int32_t hidden, int32_t dim,
                              int32_t projection_dim, mcl_error *err) {
  mcl_status s = MCL_OK;
  for (int32_t i = 0; s == MCL_OK && i < layers; i++)
    s = mcli_net_linear(&w->net, hidden, MCLI_WITH_BIAS | MCLI_WITH_RELU, err);
  if (s == MCL_OK) s = mcli_net_linear(&w->net, dim, MCLI_WITH_BIAS, err);
  return s < 0 ? s : mcli_network_head(w, projection_dim, err);
}

mcl_status mcli_network_end(mcli_network *w, const char *name, uint64_t seed, mcl_encoder **out,
                            mcl_error *err) {
  mcl_status s = mcli_net_end(&w->net, seed, err);
  if (s == MCL_OK) return mcli_network_handle(w, name, out, err);
  mcli_network_free(w);
  return s;
}

void mcli_network_freeze(mcli_network *w) {
  mcli_net_freeze(&w->net);
  w->layers_described = layers_described(w);
  mcli_network_describe(w, ", frozen");
}

mcl_status mcli_network_handle(mcli_network *w, const char *name, mcl_encoder **out,
                               mcl_error *err) {
  mcl_host_encoder table = {.struct_size = sizeof table,
                            .user = w,
                            .dim = mcli_net_shape(&w->net, w->net.embedding).channels,
                            .projection_dim = mcli_net_shape(&w->net, w->net.n_layers).channels,
                            .modalities = 1,
                            .flags = MCL_HOST_CHUNKS,
                            .embed = embed,
                            .forward = forward,
                            .backward = backward,
                            .step = step,
                            .save = mcli_network_save,
                            .load = load,
                            .destroy = mcli_network_free,
                            .held = held,
                            .give_up = mcli_network_give_up,
                            .start_from = start_from,
                            .sum_gradients = mcli_network_sum};
  return mcli_encoder_create(w->context, name, &table, out, err);
}

mcli_network *mcli_network_of(mcl_encoder *e) {
  return mcli_encoder_table(e)->destroy == mcli_network_free ? mcli_encoder_user(e) : NULL;
}

mcl_status mcli_network_range(int64_t value, int64_t low, int64_t high, const char *name,
                              mcl_error *err) {
  if (value >= low && value <= high) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "options->%s is %lld, not %lld..%lld", name,
                   (long long)value, (long long)low, (long long)high);
}

void mcli_network_describe(mcli_network *w, const char *format, ...) {
  size_t used = strlen(w->description);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(w->description + used, sizeof w->description - used, format, arguments);
  va_end(arguments);
}

void mcli_network_describe_trained(mcli_network *w, int32_t blocks) {
  if (blocks < 0) return;
  w->layers_described = strlen(w->description);
  mcli_network_describe(w, ", last %d trained", blocks);
}

// ---- pixels to scale -------------------------------------------------------------------------------

mcl_status mcli_scale_check(const double *mean, const double *deviation, int32_t channels,
                            mcl_error *err) {
  for (int32_t k = 0; k < channels; k++) {
    if (mean && !isfinite((float)mean[k]))
      return mcli_fail(err, MCL_E_INVALID, "options->mean[%d] is %g", k, mean[k]);
    if (deviation && !((float)deviation[k] > 0 && isfinite((float)deviation[k])))
      return mcli_fail(err, MCL_E_INVALID, "options->deviation[%d] is %g, not above 0", k,
                       deviation[k]);
  }
  return MCL_OK;
}

void mcli_scale_begin(const mcli_network *w, const double *mean, const double *deviation,
                      int32_t channels) {
  if (!mean && !deviation) return;
  const mcli_layer *l = &w->net.layers[0];
  for (int32_t k = 0; k < channels; k++) {
    mcli_param_value(&w->net.params, l->mean)[k] = mean ? (float)mean[k] : 0;
    mcli_param_value(&w->net.params, l->scale)[k] = deviation ? (float)deviation[k] : 1;
  }
}
