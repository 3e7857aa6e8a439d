// Building a chain of layers, and room for what passes through it.
#include "nn/net.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "nn/attention.h"
#include "nn/layer_norm.h"
#include "nn/norm.h"

static const int64_t max_row = INT64_C(1) << 28;
// Keeps a constant row from being divided by zero: PyTorch's value, and CLIP's.
static const float layer_norm_epsilon = 1e-5F;

// ---- building --------------------------------------------------------------------------------------

void mcli_net_begin(mcl_context *c, mcli_net *net, mcli_shape input) {
  *net = (mcli_net){.context = c, .input = input, .epsilon = layer_norm_epsilon};
}

void mcli_net_free(mcli_net *net) {
  mcl_context *c = net->context;
  if (!c) return;
  mcli_params_free(c, &net->params);
  mcli_free(c, net->layers);
  for (int i = 0; i < MCLI_GRADIENTS; i++) mcli_free(c, net->gradients[i]);
  mcli_free(c, net->workspace);
  mcli_free(c, net->places[0]);
  mcli_free(c, net->places[1]);
  *net = (mcli_net){0};
}

mcli_shape mcli_net_shape(const mcli_net *net, int32_t value) {
  return value == 0 ? net->input : net->layers[value - 1].out;
}

static int32_t count(const mcli_net *net, mcli_layer_kind kind) {
  int32_t n = 0;
  for (int32_t i = 0; i < net->n_layers; i++) n += net->layers[i].kind == kind;
  return n;
}

static mcl_status append(mcli_net *net, const mcli_layer *layer, mcl_error *err) {
  int64_t pixels = (int64_t)layer->out.height * layer->out.width, size;
  if (!mcli_mul(pixels, layer->out.channels, &size) || size > max_row)
    return mcli_fail(err, MCL_E_LIMIT, "layer %d has an output of more than 2^28 numbers a row",
                     net->n_layers);
  if (net->n_layers == net->capacity) {
    int32_t capacity = net->capacity ? 2 * net->capacity : 8;
    mcli_layer *larger =
        mcli_realloc(net->context, net->layers, (uint64_t)capacity, sizeof *larger);
    if (!larger) return mcli_nomem(err, "the layers");
    net->layers = larger;
    net->capacity = capacity;
  }
  net->layers[net->n_layers++] = *layer;
  net->branch = 0;
  return MCL_OK;
}

static mcli_layer new_layer(const mcli_net *net, mcli_layer_kind kind, int flags) {
  int32_t input = net->branch ? net->branch : net->n_layers;
  mcli_shape in = mcli_net_shape(net, input);
  return (mcli_layer){.kind = kind,
                      .input = input,
                      .relu = (flags & MCLI_WITH_RELU) != 0,
                      .kernel = -1,
                      .bias = -1,
                      .scale = -1,
                      .shift = -1,
                      .mean = -1,
                      .variance = -1,
                      .table = -1,
                      .places = 1,
                      .in = in,
                      .out = in};
}

// A tensor of one number for each channel of a layer's output.
static mcl_status add_vector(mcli_net *net, const mcli_layer *l, const char *kind, const char *what,
                             uint32_t flags, int32_t *index, mcl_error *err) {
  int64_t shape[1] = {l->out.channels};
  return mcli_params_add(net->context, &net->params, kind, count(net, l->kind), what, 1, shape,
                         flags, index, err);
}

static mcl_status add_conv(mcli_net *net, mcli_layer *l, int flags, mcl_error *err) {
  const mcli_conv *v = &l->conv;
  l->out = (mcli_shape){v->out_height, v->out_width, v->filters};
  int64_t shape[4] = {v->kernel, v->kernel, l->in.channels, v->filters};
  mcl_status s = mcli_params_add(net->context, &net->params, "conv", count(net, MCLI_CONV),
                                 "kernel", 4, shape, MCLI_KERNEL, &l->kernel, err);
  if (s == MCL_OK && (flags & MCLI_WITH_BIAS))
    s = add_vector(net, l, "conv", "bias", 0, &l->bias, err);
  return s < 0 ? s : append(net, l, err);
}

static mcl_status does_not_fit(const mcli_net *net, const mcli_layer *l, int32_t kernel,
                               mcl_error *err) {
  return mcli_fail(err, MCL_E_SHAPE, "a kernel of %d does not fit into the %d x %d that %s%d sees",
                   kernel, l->in.height, l->in.width, "conv", count(net, MCLI_CONV));
}

mcl_status mcli_net_conv(mcli_net *net, int32_t filters, int32_t kernel, int32_t stride,
                         int32_t padding, int flags, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_CONV, flags);
  if (padding == MCL_PADDING_VALID && (kernel > l.in.height || kernel > l.in.width))
    return does_not_fit(net, &l, kernel, err);
  l.conv = mcli_conv_make(l.in.height, l.in.width, l.in.channels, filters, kernel, stride, padding);
  return add_conv(net, &l, flags, err);
}

mcl_status mcli_net_conv_padded(mcli_net *net, int32_t filters, int32_t kernel, int32_t stride,
                                int32_t padding, int flags, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_CONV, flags);
  if (kernel > l.in.height + 2 * padding || kernel > l.in.width + 2 * padding)
    return does_not_fit(net, &l, kernel, err);
  l.conv =
      mcli_conv_padded(l.in.height, l.in.width, l.in.channels, filters, kernel, stride, padding);
  return add_conv(net, &l, flags, err);
}

mcl_status mcli_net_max_pool(mcli_net *net, int32_t kernel, int32_t stride, int32_t padding,
                             mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_MAX_POOL, 0);
  if (kernel > l.in.height + 2 * padding || kernel > l.in.width + 2 * padding)
    return does_not_fit(net, &l, kernel, err);
  l.conv = mcli_conv_padded(l.in.height, l.in.width, l.in.channels, l.in.channels, kernel, stride,
                            padding);
  l.out = (mcli_shape){l.conv.out_height, l.conv.out_width, l.in.channels};
  return append(net, &l, err);
}

mcl_status mcli_net_linear(mcli_net *net, int32_t outputs, int flags, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_LINEAR, flags);
  l.out = (mcli_shape){1, 1, outputs};
  if (flags & MCLI_PER_PLACE) {
    l.places = l.in.height * l.in.width;
    l.out = (mcli_shape){l.in.height, l.in.width, outputs};
  }
  int64_t shape[2] = {mcli_shape_size(l.in) / l.places, outputs};
  mcl_status s = mcli_params_add(net->context, &net->params, "dense", count(net, MCLI_LINEAR),
                                 "kernel", 2, shape, MCLI_KERNEL, &l.kernel, err);
  if (s == MCL_OK && (flags & MCLI_WITH_BIAS))
    s = add_vector(net, &l, "dense", "bias", 0, &l.bias, err);
  return s < 0 ? s : append(net, &l, err);
}

mcl_status mcli_net_norm(mcli_net *net, int flags, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_NORM, flags);
  l.figures = net->figures;
  mcl_status s = add_vector(net, &l, "norm", "scale", 0, &l.scale, err);
  if (s == MCL_OK) s = add_vector(net, &l, "norm", "shift", 0, &l.shift, err);
  if (s == MCL_OK) s = add_vector(net, &l, "norm", "mean", MCLI_RUNNING, &l.mean, err);
  if (s == MCL_OK) s = add_vector(net, &l, "norm", "variance", MCLI_RUNNING, &l.variance, err);
  if (s == MCL_OK) s = append(net, &l, err);
  if (s == MCL_OK) net->figures += MCLI_NORM_FIGURES * l.out.channels;
  return s;
}

mcl_status mcli_net_relu(mcli_net *net, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_RELU, 0);
  return append(net, &l, err);
}

// ---- tokens ----------------------------------------------------------------------------------------

static mcl_status add_table(mcli_net *net, mcli_layer *l, const char *kind, int64_t rows,
                            mcl_error *err) {
  int64_t shape[2] = {rows, l->out.channels};
  return mcli_params_add(net->context, &net->params, kind, count(net, l->kind), "table", 2, shape,
                         MCLI_KERNEL, &l->table, err);
}

mcl_status mcli_net_embedding(mcli_net *net, const mcli_tokens *tokens, int32_t width,
                              mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_EMBEDDING, 0);
  net->tokens = *tokens;
  net->tokens.context = l.in.height;
  l.out.channels = width;
  mcl_status s = add_table(net, &l, "embedding", tokens->vocabulary, err);
  return s < 0 ? s : append(net, &l, err);
}

mcl_status mcli_net_bag(mcli_net *net, const mcli_tokens *tokens, int32_t width, int mean,
                        mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_BAG, 0);
  net->tokens = *tokens;
  net->tokens.context = l.in.height;
  l.out = (mcli_shape){1, 1, width};
  l.option = mean;
  mcl_status s = add_table(net, &l, "bag", tokens->vocabulary, err);
  return s < 0 ? s : append(net, &l, err);
}

mcl_status mcli_net_positions(mcli_net *net, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_POSITIONS, 0);
  mcl_status s = add_table(net, &l, "position", (int64_t)l.in.height * l.in.width, err);
  return s < 0 ? s : append(net, &l, err);
}

mcl_status mcli_net_layer_norm(mcli_net *net, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_LAYER_NORM, 0);
  l.epsilon = net->epsilon;
  mcl_status s = add_vector(net, &l, "layernorm", "scale", 0, &l.scale, err);
  if (s == MCL_OK) s = add_vector(net, &l, "layernorm", "shift", 0, &l.shift, err);
  return s < 0 ? s : append(net, &l, err);
}

mcl_status mcli_net_gelu(mcli_net *net, mcli_gelu kind, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_GELU, 0);
  l.option = (int32_t)kind;
  return append(net, &l, err);
}

mcl_status mcli_net_attention(mcli_net *net, int32_t heads, int causal, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_ATTENTION, 0);
  l.out.channels = l.in.channels / 3;
  l.heads = heads;
  l.option = causal;
  return append(net, &l, err);
}

mcl_status mcli_net_sum(mcli_net *net, int32_t from, int flags, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_SUM, flags);
  l.from = from;
  return append(net, &l, err);
}

void mcli_net_branch(mcli_net *net, int32_t value) {
  net->branch = value;
}

mcl_status mcli_net_pool(mcli_net *net, mcli_pool which, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_POOL, 0);
  l.option = (int32_t)which;
  l.out = (mcli_shape){1, 1, l.in.channels};
  return append(net, &l, err);
}

// ---- images as tokens ------------------------------------------------------------------------------

mcl_status mcli_net_standardise(mcli_net *net, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_STANDARDISE, 0);
  mcl_status s = add_vector(net, &l, "input", "mean", MCLI_RUNNING, &l.mean, err);
  if (s == MCL_OK) s = add_vector(net, &l, "input", "deviation", MCLI_RUNNING, &l.scale, err);
  return s < 0 ? s : append(net, &l, err);
}

mcl_status mcli_net_class(mcli_net *net, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_CLASS, 0);
  mcl_status s = add_table(net, &l, "class", 1, err);
  l.out = (mcli_shape){1 + l.in.height * l.in.width, 1, l.in.channels};
  return s < 0 ? s : append(net, &l, err);
}

void mcli_net_freeze(mcli_net *net) {
  mcli_params_freeze(&net->params);
}

void mcli_net_begin_normal(mcli_net *net, double deviation) {
  net->layers[net->n_layers - 1].deviation = deviation;
}

static void call(mcli_net *net, int32_t tensor, const char *layer, const char *what) {
  if (tensor < 0) return;
  mcli_param *t = &net->params.tensors[tensor];
  snprintf(t->called, sizeof t->called, "%s%s", layer, what);
}

void mcli_net_call(mcli_net *net, const char *format, ...) {
  const mcli_layer *l = &net->layers[net->n_layers - 1];
  char name[MCLI_CALLED - 16]; // "running_mean" follows
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name, sizeof name, format, arguments);
  va_end(arguments);
  call(net, l->kernel, name, "weight");
  call(net, l->scale, name, "weight");
  call(net, l->bias, name, "bias");
  call(net, l->shift, name, "bias");
  call(net, l->mean, name, "running_mean");
  call(net, l->variance, name, "running_var");
  call(net, l->table, name, "");
}

// ---- weights ---------------------------------------------------------------------------------------

static void begin_kernel(const mcli_net *net, const mcli_layer *l, uint64_t seed) {
  const mcli_params *p = &net->params;
  if (l->deviation > 0) {
    mcli_init_normal(p, l->kernel, l->deviation, seed);
    return;
  }
  double bound = mcli_init_bound(p, l->kernel, net->init);
  mcli_init_uniform(p, l->kernel, bound, seed);
  if (l->bias >= 0 && net->init == MCL_INIT_FAN_IN) mcli_init_uniform(p, l->bias, bound, seed);
}

static int is_trained(const mcli_net *net, const mcli_layer *l) {
  const int32_t tensors[] = {l->kernel, l->bias, l->scale, l->shift, l->table};
  for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
    if (tensors[i] >= 0 && mcli_param_is_trained(&net->params, tensors[i])) return 1;
  return 0;
}

mcl_status mcli_net_allocate(mcli_net *net, mcl_error *err) {
  while (net->lowest < net->n_layers && !is_trained(net, &net->layers[net->lowest])) net->lowest++;
  mcl_status s = mcli_net_lay_out(net, err);
  return s < 0 ? s : mcli_params_allocate(net->context, &net->params, err);
}

mcl_status mcli_net_end(mcli_net *net, uint64_t seed, mcl_error *err) {
  const mcli_params *p = &net->params;
  mcl_status s = mcli_net_allocate(net, err);
  if (s < 0) return s;
  for (int32_t i = 0; i < net->n_layers; i++) {
    const mcli_layer *l = &net->layers[i];
    if (l->kernel >= 0) begin_kernel(net, l, seed);
    if (l->table >= 0) mcli_init_normal(p, l->table, l->deviation, seed);
    if (l->scale >= 0) mcli_init_constant(p, l->scale, 1);
    if (l->variance >= 0) mcli_init_constant(p, l->variance, 1);
  }
  return MCL_OK;
}

// ---- room ------------------------------------------------------------------------------------------

static int64_t workspace_of(const mcli_net *net, const mcli_layer *l, int64_t n) {
  if (l->kind == MCLI_CONV) return mcli_conv_workspace(net->context, &l->conv, n);
  if (l->kind == MCLI_NORM) return mcli_norm_workspace(mcli_layer_rows(l, n), l->out.channels);
  if (l->kind == MCLI_LAYER_NORM)
    return mcli_layer_norm_workspace(mcli_layer_rows(l, n), l->out.channels);
  if (l->kind == MCLI_EMBEDDING || l->kind == MCLI_BAG)
    return mcli_embedding_workspace(&net->tokens, n);
  if (l->kind == MCLI_ATTENTION) {
    mcli_attention a = mcli_attention_of(l);
    return mcli_attention_workspace(net->context, &a);
  }
  return 0;
}

// Replaces *block by a larger one; what it held is lost.
static mcl_status enlarge(mcl_context *c, float **block, int64_t *size, int64_t wanted,
                          const char *what, mcl_error *err) {
  if (wanted <= *size) return MCL_OK;
  float *larger = MCLI_NEW(c, float, wanted);
  if (!larger) return mcli_nomem(err, what);
  mcli_free(c, *block);
  *block = larger;
  *size = wanted;
  return MCL_OK;
}

static mcl_status enlarge_gradients(mcli_net *net, int64_t n, mcl_error *err) {
  int64_t widest = 0, size;
  for (int32_t i = 0; i < net->n_layers; i++) {
    int64_t row = mcli_shape_size(net->layers[i].out);
    if (row > widest) widest = row;
  }
  if (!mcli_mul(widest, n, &size)) return mcli_nomem(err, "gradients");
  int buffers = count(net, MCLI_SUM) > 0 ? MCLI_GRADIENTS : 2;
  mcl_status s = MCL_OK;
  for (int i = 0; s == MCL_OK && i < buffers; i++) {
    int64_t had = net->gradients_size;
    s = enlarge(net->context, &net->gradients[i], &had, size, "gradients", err);
  }
  if (s == MCL_OK && size > net->gradients_size) net->gradients_size = size;
  return s;
}

static mcl_status enlarge_tape(mcli_net *net, mcli_tape *tape, int64_t n, mcl_error *err) {
  if (n <= tape->capacity) return MCL_OK;
  n = (n + 15) / 16 * 16; // every value starts at a multiple of 64 bytes
  int64_t size;
  if (!mcli_mul(net->row[tape->training], n, &size)) return mcli_nomem(err, "activations");
  if (!tape->figures) tape->figures = MCLI_NEW0(net->context, float, net->figures);
  if (!tape->gathered) tape->gathered = MCLI_NEW0(net->context, float, net->figures);
  // Last, and by it all know whether the others are there.
  if (tape->figures && tape->gathered && !tape->gathered_rows)
    tape->gathered_rows = MCLI_NEW0(net->context, int64_t, net->n_layers);
  if (!tape->gathered_rows) return mcli_nomem(err, "figures of batch norms");
  float *block = MCLI_NEW(net->context, float, size);
  if (!block) return mcli_nomem(err, "activations");
  mcli_free(net->context, tape->block);
  tape->block = block;
  tape->capacity = n;
  return MCL_OK;
}

mcl_status mcli_net_reserve(mcli_net *net, mcli_tape *tape, int64_t n, int training,
                            mcl_error *err) {
  int64_t workspace = 0;
  for (int32_t i = 0; i < net->n_layers; i++) {
    int64_t wanted = workspace_of(net, &net->layers[i], n);
    if (wanted > workspace) workspace = wanted;
  }
  mcl_status s = enlarge(net->context, &net->workspace, &net->workspace_size, workspace,
                         "patches of images", err);
  if (s == MCL_OK && training) s = enlarge_gradients(net, n, err);
  tape->training = training;
  return s < 0 ? s : enlarge_tape(net, tape, n, err);
}

void mcli_tape_free(mcl_context *c, mcli_tape *tape) {
  mcli_free(c, tape->block);
  mcli_free(c, tape->figures);
  mcli_free(c, tape->gathered);
  mcli_free(c, tape->gathered_rows);
  *tape = (mcli_tape){0};
}

float *mcli_tape_value(const mcli_net *net, const mcli_tape *tape, int32_t value) {
  return tape->block + net->places[tape->training][value] * tape->capacity;
}
