// A chain of layers.
//
// Forward fills a tape, layer by layer, each cut into tasks of its own; backward walks the chain in reverse with two
// buffers that change places: the gradient by a layer's output and that by its input. The first layer's input needs none.
//
// Rejected: running a chunk of images through all layers in one task. It would save some cache misses, but batch norm
// needs every row's value before it can go on, and small dense layers do best as one product.
#include "nn/net.h"

#include <string.h>

#include "base/alloc.h"
#include "nn/kernels.h"
#include "nn/linear.h"
#include "nn/norm.h"

static const int64_t max_row = INT64_C(1) << 28;

// ---- building --------------------------------------------------------------------------------------

void mcli_net_begin(mcl_context *c, mcli_net *net, mcli_shape input) {
  *net = (mcli_net){.context = c, .input = input};
}

void mcli_net_free(mcli_net *net) {
  mcl_context *c = net->context;
  if (!c) return;
  mcli_params_free(c, &net->params);
  mcli_free(c, net->layers);
  mcli_free(c, net->gradients[0]);
  mcli_free(c, net->gradients[1]);
  mcli_free(c, net->workspace);
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
    mcli_layer *larger = mcli_realloc(net->context, net->layers, (size_t)capacity, sizeof *larger);
    if (!larger) return mcli_nomem(err, "the layers");
    net->layers = larger;
    net->capacity = capacity;
  }
  net->layers[net->n_layers++] = *layer;
  return MCL_OK;
}

static mcli_layer new_layer(const mcli_net *net, mcli_layer_kind kind, int flags) {
  mcli_shape in = mcli_net_shape(net, net->n_layers);
  return (mcli_layer){.kind = kind,
                      .relu = (flags & MCLI_WITH_RELU) != 0,
                      .kernel = -1,
                      .bias = -1,
                      .scale = -1,
                      .shift = -1,
                      .mean = -1,
                      .variance = -1,
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

mcl_status mcli_net_conv(mcli_net *net, int32_t filters, int32_t kernel, int32_t stride, int flags,
                         mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_CONV, flags);
  l.conv = mcli_conv_make(l.in.height, l.in.width, l.in.channels, filters, kernel, stride);
  l.out = (mcli_shape){l.conv.out_height, l.conv.out_width, filters};
  int64_t shape[4] = {kernel, kernel, l.in.channels, filters};
  mcl_status s = mcli_params_add(net->context, &net->params, "conv", count(net, MCLI_CONV),
                                 "kernel", 4, shape, MCLI_KERNEL, &l.kernel, err);
  if (s == MCL_OK && (flags & MCLI_WITH_BIAS))
    s = add_vector(net, &l, "conv", "bias", 0, &l.bias, err);
  return s < 0 ? s : append(net, &l, err);
}

mcl_status mcli_net_linear(mcli_net *net, int32_t outputs, int flags, mcl_error *err) {
  mcli_layer l = new_layer(net, MCLI_LINEAR, flags);
  l.out = (mcli_shape){1, 1, outputs};
  int64_t shape[2] = {mcli_shape_size(l.in), outputs};
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

mcl_status mcli_net_end(mcli_net *net, uint64_t seed, mcl_error *err) {
  mcli_params *p = &net->params;
  mcl_status s = mcli_params_allocate(net->context, p, err);
  if (s < 0) return s;
  for (int32_t i = 0; i < net->n_layers; i++) {
    const mcli_layer *l = &net->layers[i];
    int64_t fan_in = l->kernel >= 0 ? mcli_fan_in(p, l->kernel) : 0;
    if (l->kernel >= 0) mcli_init_uniform(p, l->kernel, fan_in, seed);
    if (l->bias >= 0) mcli_init_uniform(p, l->bias, fan_in, seed);
    if (l->scale >= 0) mcli_init_constant(p, l->scale, 1);
    if (l->variance >= 0) mcli_init_constant(p, l->variance, 1);
  }
  return MCL_OK;
}

// ---- room ------------------------------------------------------------------------------------------

static int64_t rows_of(const mcli_layer *l, int64_t n) {
  return n * l->out.height * l->out.width;
}

static int64_t workspace_of(const mcli_net *net, const mcli_layer *l, int64_t n) {
  if (l->kind == MCLI_CONV) return mcli_conv_workspace(net->context, &l->conv, n);
  if (l->kind == MCLI_NORM) return mcli_norm_workspace(rows_of(l, n), l->out.channels);
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
  int64_t size0 = net->gradients_size, size1 = net->gradients_size;
  mcl_status s = enlarge(net->context, &net->gradients[0], &size0, size, "gradients", err);
  if (s == MCL_OK) s = enlarge(net->context, &net->gradients[1], &size1, size, "gradients", err);
  if (s == MCL_OK) net->gradients_size = size0;
  return s;
}

static mcl_status enlarge_tape(mcli_net *net, mcli_tape *tape, int64_t n, mcl_error *err) {
  if (n <= tape->capacity) return MCL_OK;
  n = (n + 15) / 16 * 16; // every value starts at a multiple of 64 bytes
  int64_t row = 0, size;
  for (int32_t i = 0; i <= net->n_layers; i++) row += mcli_shape_size(mcli_net_shape(net, i));
  if (!mcli_mul(row, n, &size)) return mcli_nomem(err, "activations");
  float *figures = tape->figures ? tape->figures : MCLI_NEW0(net->context, float, net->figures);
  float *block = figures ? MCLI_NEW(net->context, float, size) : NULL;
  tape->figures = figures;
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
  return s < 0 ? s : enlarge_tape(net, tape, n, err);
}

void mcli_tape_free(mcl_context *c, mcli_tape *tape) {
  mcli_free(c, tape->block);
  mcli_free(c, tape->figures);
  *tape = (mcli_tape){0};
}

float *mcli_tape_value(const mcli_net *net, const mcli_tape *tape, int32_t value) {
  int64_t row = 0;
  for (int32_t i = 0; i < value; i++) row += mcli_shape_size(mcli_net_shape(net, i));
  return tape->block + row * tape->capacity;
}

// ---- forward ---------------------------------------------------------------------------------------

static mcl_status norm_forward(mcli_net *net, const mcli_layer *l, mcli_tape *tape, int training,
                               const float *x, float *y, mcl_error *err) {
  const mcli_params *p = &net->params;
  int64_t rows = rows_of(l, tape->n), channels = l->out.channels;
  const float *scale = mcli_param_value(p, l->scale), *shift = mcli_param_value(p, l->shift);
  if (!training)
    return mcli_norm_evaluate(net->context, rows, channels, x, scale, shift,
                              mcli_param_value(p, l->mean), mcli_param_value(p, l->variance),
                              l->relu, y, net->workspace, err);
  mcli_norm_figures kept = mcli_norm_figures_at(tape->figures + l->figures, channels);
  return mcli_norm_train(net->context, rows, channels, x, scale, shift, l->relu, &kept, y,
                         net->workspace, err);
}

static mcl_status layer_forward(mcli_net *net, const mcli_layer *l, mcli_tape *tape, int training,
                                const float *x, float *y, mcl_error *err) {
  const mcli_params *p = &net->params;
  mcl_context *c = net->context;
  switch (l->kind) {
  case MCLI_CONV:
    return mcli_conv_forward(c, &l->conv, tape->n, x, mcli_param_value(p, l->kernel),
                             mcli_param_value(p, l->bias), l->relu, y, net->workspace, err);
  case MCLI_LINEAR:
    return mcli_linear_forward(c, tape->n, mcli_shape_size(l->in), l->out.channels, x,
                               mcli_param_value(p, l->kernel), mcli_param_value(p, l->bias),
                               l->relu, y, err);
  case MCLI_NORM:
    return norm_forward(net, l, tape, training, x, y, err);
  case MCLI_RELU:
    mcli_nn_kernels_of(c)->relu(x, y, rows_of(l, tape->n) * l->out.channels);
  }
  return MCL_OK;
}

mcl_status mcli_net_forward(mcli_net *net, mcli_tape *tape, int64_t n, int32_t layers, int training,
                            mcl_error *err) {
  tape->n = n;
  for (int32_t i = 0; i < layers && n > 0; i++) {
    mcl_status s =
        layer_forward(net, &net->layers[i], tape, training, mcli_tape_value(net, tape, i),
                      mcli_tape_value(net, tape, i + 1), err);
    if (s < 0) return s;
  }
  return MCL_OK;
}

// ---- backward --------------------------------------------------------------------------------------

static mcl_status layer_backward(mcli_net *net, const mcli_layer *l, const mcli_tape *tape,
                                 const float *x, const float *y, float *dy, float *dx,
                                 mcl_error *err) {
  const mcli_params *p = &net->params;
  mcl_context *c = net->context;
  int64_t n = tape->n, size = n * mcli_shape_size(l->out);
  switch (l->kind) {
  case MCLI_CONV:
    return mcli_conv_backward(c, &l->conv, n, x, mcli_param_value(p, l->kernel), y, l->relu, dy, dx,
                              mcli_param_gradient(p, l->kernel), mcli_param_gradient(p, l->bias),
                              net->workspace, err);
  case MCLI_LINEAR:
    return mcli_linear_backward(
        c, n, mcli_shape_size(l->in), l->out.channels, x, mcli_param_value(p, l->kernel), y,
        l->relu, dy, dx, mcli_param_gradient(p, l->kernel), mcli_param_gradient(p, l->bias), err);
  case MCLI_NORM: {
    mcli_norm_figures kept = mcli_norm_figures_at(tape->figures + l->figures, l->out.channels);
    return mcli_norm_backward(c, rows_of(l, n), l->out.channels, x, mcli_param_value(p, l->scale),
                              y, l->relu, &kept, dy, dx, mcli_param_gradient(p, l->scale),
                              mcli_param_gradient(p, l->shift), net->workspace, err);
  }
  case MCLI_RELU:
    if (!dx) break;
    memcpy(dx, dy, (size_t)size * sizeof *dx);
    mcli_nn_kernels_of(c)->relu_backward(y, dx, size);
  }
  return MCL_OK;
}

mcl_status mcli_net_backward(mcli_net *net, const mcli_tape *tape, const float *grad,
                             mcl_error *err) {
  if (tape->n == 0) return MCL_OK;
  float *dy = net->gradients[0], *dx = net->gradients[1];
  int64_t outputs = mcli_shape_size(mcli_net_shape(net, net->n_layers));
  memcpy(dy, grad, (size_t)(tape->n * outputs) * sizeof *dy);
  for (int32_t i = net->n_layers - 1; i >= 0; i--) {
    mcl_status s = layer_backward(net, &net->layers[i], tape, mcli_tape_value(net, tape, i),
                                  mcli_tape_value(net, tape, i + 1), dy, i > 0 ? dx : NULL, err);
    if (s < 0) return s;
    float *done = dy;
    dy = dx;
    dx = done;
  }
  return MCL_OK;
}

void mcli_net_run(mcli_net *net, const mcli_tape *tape) {
  const mcli_params *p = &net->params;
  for (int32_t i = 0; i < net->n_layers; i++) {
    const mcli_layer *l = &net->layers[i];
    if (l->kind != MCLI_NORM) continue;
    mcli_norm_figures kept = mcli_norm_figures_at(tape->figures + l->figures, l->out.channels);
    mcli_norm_run(rows_of(l, tape->n), l->out.channels, &kept, mcli_param_value(p, l->mean),
                  mcli_param_value(p, l->variance));
  }
}
