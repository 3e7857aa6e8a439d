// What a network computes.
//
// Forward fills a tape, layer by layer, each cut into tasks of its own; backward walks the layers in reverse, with buffers for
// the gradients by the values that are not done with: that of a layer's output, that of its input, and one for a value
// that a sum has added or that a branch began at, until the walk arrives there. The input of the lowest layer that is
// trained needs none, and the walk ends there.
//
// Rejected: running a chunk of images through all layers in one task. It would save some cache misses, but batch norm
// needs every row's value before it can go on, and small dense layers do best as one product.
#include <string.h>

#include "nn/attention.h"
#include "nn/kernels.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/net.h"
#include "nn/norm.h"
#include "nn/patches.h"
#include "nn/pool.h"

// The ids of a tape's rows, or its patches.
static mcli_tokens tokens_of(const mcli_net *net, const mcli_layer *l, const mcli_tape *tape) {
  mcli_tokens t = net->tokens;
  t.context = l->in.height * l->in.width;
  if (t.vocabulary > 0) t.ids = (const int32_t *)(const void *)mcli_tape_value(net, tape, 0);
  return t;
}

// ---- forward ---------------------------------------------------------------------------------------

static mcl_status norm_forward(mcli_net *net, const mcli_layer *l, mcli_tape *tape, int training,
                               const float *x, float *y, mcl_error *err) {
  const mcli_params *p = &net->params;
  int64_t rows = mcli_layer_rows(l, tape->n), channels = l->out.channels;
  const float *scale = mcli_param_value(p, l->scale), *shift = mcli_param_value(p, l->shift);
  if (!training)
    return mcli_norm_evaluate(net->context, rows, channels, x, scale, shift,
                              mcli_param_value(p, l->mean), mcli_param_value(p, l->variance),
                              l->relu, y, net->workspace, err);
  mcli_norm_figures kept = mcli_norm_figures_at(tape->figures + l->figures, channels);
  return mcli_norm_train(net->context, rows, channels, x, scale, shift, l->relu, &kept, y,
                         net->workspace, err);
}

static mcl_status pool_forward(const mcli_net *net, const mcli_layer *l, const mcli_tokens *t,
                               int64_t n, const float *x, float *y, mcl_error *err) {
  if (l->option == MCLI_POOL_MEAN)
    return mcli_mean_forward(net->context, n, t->context, l->out.channels, x, y, err);
  if (l->option == MCLI_POOL_FIRST)
    mcli_first_forward(n, t->context, l->out.channels, x, y);
  else
    mcli_pool_forward(t, n, l->out.channels, x, y);
  return MCL_OK;
}

static mcl_status tokens_forward(mcli_net *net, const mcli_layer *l, const mcli_tape *tape,
                                 const float *x, float *y, mcl_error *err) {
  mcl_context *c = net->context;
  const float *table = mcli_param_value(&net->params, l->table);
  mcli_tokens t = tokens_of(net, l, tape);
  mcli_attention a = mcli_attention_of(l);
  switch (l->kind) {
  case MCLI_EMBEDDING:
    return mcli_embedding_forward(c, &t, tape->n, l->out.channels, table, y, err);
  case MCLI_BAG:
    return mcli_bag_forward(c, &t, tape->n, l->out.channels, l->option, table, y, err);
  case MCLI_POSITIONS:
    return mcli_positions_forward(c, tape->n, t.context, l->out.channels, x, table, y, err);
  case MCLI_ATTENTION:
    return mcli_attention_forward(c, &a, tape->n, &t, x, y, net->workspace, err);
  case MCLI_CLASS:
    return mcli_class_forward(c, tape->n, t.context, l->out.channels, x, table, y, err);
  default: // MCLI_POOL
    return pool_forward(net, l, &t, tape->n, x, y, err);
  }
}

static mcl_status layer_forward(mcli_net *net, const mcli_layer *l, mcli_tape *tape, int training,
                                const float *x, float *y, mcl_error *err) {
  const mcli_params *p = &net->params;
  mcl_context *c = net->context;
  int64_t n = tape->n, size = n * mcli_shape_size(l->out);
  switch (l->kind) {
  case MCLI_CONV:
    return mcli_conv_forward(c, &l->conv, n, x, mcli_param_value(p, l->kernel),
                             mcli_param_value(p, l->bias), l->relu, y, net->workspace, err);
  case MCLI_LINEAR:
    return mcli_linear_forward(c, n * l->places, mcli_shape_size(l->in) / l->places,
                               l->out.channels, x, mcli_param_value(p, l->kernel),
                               mcli_param_value(p, l->bias), l->relu, y, err);
  case MCLI_NORM:
    return norm_forward(net, l, tape, training, x, y, err);
  case MCLI_RELU:
    return mcli_relu_forward(c, size, x, y, err);
  case MCLI_LAYER_NORM:
    return mcli_layer_norm_forward(c, mcli_layer_rows(l, n), l->out.channels, l->epsilon, x,
                                   mcli_param_value(p, l->scale), mcli_param_value(p, l->shift), y,
                                   err);
  case MCLI_GELU:
    return mcli_gelu_forward(c, (mcli_gelu)l->option, size, x, y, err);
  case MCLI_STANDARDISE:
    return mcli_standardise(c, mcli_layer_rows(l, n), l->out.channels, x,
                            mcli_param_value(p, l->mean), mcli_param_value(p, l->scale), y, err);
  case MCLI_SUM:
    return mcli_sum_forward(c, size, x, mcli_tape_value(net, tape, l->from), l->relu, y, err);
  case MCLI_MAX_POOL:
    return mcli_max_forward(c, &l->conv, n, x, y, err);
  default:
    return tokens_forward(net, l, tape, x, y, err);
  }
}

mcl_status mcli_net_forward(mcli_net *net, mcli_tape *tape, int64_t n, int32_t layers, int training,
                            mcl_error *err) {
  tape->n = n;
  for (int32_t i = 0; i < layers && n > 0; i++) {
    const mcli_layer *l = &net->layers[i];
    // What is frozen does not follow the batches.
    mcl_status s =
        layer_forward(net, l, tape, training && i >= net->lowest,
                      mcli_tape_value(net, tape, l->input), mcli_tape_value(net, tape, i + 1), err);
    if (s < 0) return s;
  }
  return MCL_OK;
}

// ---- backward --------------------------------------------------------------------------------------

static mcl_status pool_backward(const mcli_net *net, const mcli_layer *l, const mcli_tokens *t,
                                int64_t n, const float *dy, float *dx, mcl_error *err) {
  if (l->option == MCLI_POOL_MEAN)
    return mcli_mean_backward(net->context, n, t->context, l->out.channels, dy, dx, err);
  if (l->option == MCLI_POOL_FIRST)
    mcli_first_backward(n, t->context, l->out.channels, dy, dx);
  else
    mcli_pool_backward(t, n, l->out.channels, dy, dx);
  return MCL_OK;
}

static mcl_status tokens_backward(mcli_net *net, const mcli_layer *l, const mcli_tape *tape,
                                  const float *x, const float *dy, float *dx, mcl_error *err) {
  mcl_context *c = net->context;
  float *d_table = mcli_param_gradient(&net->params, l->table);
  mcli_tokens t = tokens_of(net, l, tape);
  mcli_attention a = mcli_attention_of(l);
  int64_t n = tape->n, width = l->out.channels;
  switch (l->kind) {
  case MCLI_EMBEDDING:
    return mcli_embedding_backward(c, &t, n, width, dy, d_table, net->workspace, err);
  case MCLI_BAG:
    return mcli_bag_backward(c, &t, n, width, l->option, dy, d_table, net->workspace, err);
  case MCLI_POSITIONS:
    if (dx) memcpy(dx, dy, (size_t)(n * mcli_shape_size(l->out)) * sizeof *dx);
    return mcli_positions_backward(c, n, t.context, width, dy, d_table, err);
  case MCLI_ATTENTION:
    return mcli_attention_backward(c, &a, n, &t, x, dy, dx, net->workspace, err);
  case MCLI_CLASS:
    return mcli_class_backward(c, n, t.context, width, dy, dx, d_table, err);
  default: // MCLI_POOL
    return pool_backward(net, l, &t, n, dy, dx, err);
  }
}

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
    return mcli_linear_backward(c, n * l->places, mcli_shape_size(l->in) / l->places,
                                l->out.channels, x, mcli_param_value(p, l->kernel), y, l->relu, dy,
                                dx, mcli_param_gradient(p, l->kernel),
                                mcli_param_gradient(p, l->bias), err);
  case MCLI_NORM: {
    mcli_norm_figures kept = mcli_norm_figures_at(tape->figures + l->figures, l->out.channels);
    return mcli_norm_backward(c, mcli_layer_rows(l, n), l->out.channels, x,
                              mcli_param_value(p, l->scale), y, l->relu, &kept, dy, dx,
                              mcli_param_gradient(p, l->scale), mcli_param_gradient(p, l->shift),
                              net->workspace, err);
  }
  case MCLI_RELU:
    return dx ? mcli_relu_backward(c, size, y, dy, dx, err) : MCL_OK;
  case MCLI_LAYER_NORM:
    return mcli_layer_norm_backward(c, mcli_layer_rows(l, n), l->out.channels, l->epsilon, x,
                                    mcli_param_value(p, l->scale), dy, dx,
                                    mcli_param_gradient(p, l->scale),
                                    mcli_param_gradient(p, l->shift), net->workspace, err);
  case MCLI_GELU:
    return mcli_gelu_backward(c, (mcli_gelu)l->option, size, x, y, dy, dx, err);
  case MCLI_MAX_POOL:
    return dx ? mcli_max_backward(c, &l->conv, n, x, y, dy, dx, err) : MCL_OK;
  default:
    return tokens_backward(net, l, tape, x, dy, dx, err);
  }
}

// Gradients by the values that are not done with.
typedef struct flow {
  float *buffer[MCLI_GRADIENTS];
  int32_t value[MCLI_GRADIENTS]; // -1: free
} flow;

static int find(const flow *f, int32_t value) {
  for (int i = 0; i < MCLI_GRADIENTS; i++)
    if (f->value[i] == value) return i;
  return -1;
}

// What buffer b holds is d loss / d value by one of the layers that read the value. Those of another may be there already.
static mcl_status arrive(const mcli_net *net, flow *f, int b, int32_t value, int64_t n,
                         mcl_error *err) {
  int other = find(f, value);
  f->value[b] = value;
  if (other < 0) return MCL_OK;
  f->value[other] = -1;
  return mcli_sum_forward(net->context, n * mcli_shape_size(mcli_net_shape(net, value)),
                          f->buffer[b], f->buffer[other], 0, f->buffer[b], err);
}

// dy is the gradient of both values that are added.
// NOLINTBEGIN(clang-analyzer-core.CallAndMessage): there is always a buffer for what is wanted, see MCLI_GRADIENTS
static mcl_status sum_backward(const mcli_net *net, const mcli_layer *l, const mcli_tape *tape,
                               flow *f, int b, const float *y, mcl_error *err) {
  int64_t size = tape->n * mcli_shape_size(l->out);
  int copy = l->from > net->lowest ? find(f, -1) : -1;
  mcl_status s = mcli_sum_backward(net->context, size, y, l->relu, f->buffer[b],
                                   copy < 0 ? NULL : f->buffer[copy], err);
  if (s == MCL_OK && copy >= 0) s = arrive(net, f, copy, l->from, tape->n, err);
  f->value[b] = -1;
  return s == MCL_OK && l->input > net->lowest ? arrive(net, f, b, l->input, tape->n, err) : s;
}

mcl_status mcli_net_backward(mcli_net *net, const mcli_tape *tape, const float *grad,
                             mcl_error *err) {
  if (tape->n == 0) return MCL_OK;
  flow f;
  int64_t outputs = mcli_shape_size(mcli_net_shape(net, net->n_layers));
  for (int b = 0; b < MCLI_GRADIENTS; b++) f.buffer[b] = net->gradients[b], f.value[b] = -1;
  memcpy(f.buffer[0], grad, (size_t)(tape->n * outputs) * sizeof *grad);
  f.value[0] = net->n_layers;
  for (int32_t i = net->n_layers - 1; i >= net->lowest; i--) {
    const mcli_layer *l = &net->layers[i];
    const float *x = mcli_tape_value(net, tape, l->input), *y = mcli_tape_value(net, tape, i + 1);
    int b = find(&f, i + 1), wanted = l->input > net->lowest;
    mcl_status s = MCL_OK;
    if (l->kind == MCLI_SUM) {
      s = sum_backward(net, l, tape, &f, b, y, err);
    } else {
      int below = find(&f, -1);
      s = layer_backward(net, l, tape, x, y, f.buffer[b], wanted ? f.buffer[below] : NULL, err);
      f.value[b] = -1;
      if (s == MCL_OK && wanted) s = arrive(net, &f, below, l->input, tape->n, err);
    }
    if (s < 0) return s;
  }
  return MCL_OK;
}
// NOLINTEND(clang-analyzer-core.CallAndMessage)

// ---- running figures -------------------------------------------------------------------------------

void mcli_net_gather(const mcli_net *net, const mcli_tape *tape) {
  if (!tape->gathered_rows) return; // never used
  for (int32_t i = net->lowest; i < net->n_layers; i++) {
    const mcli_layer *l = &net->layers[i];
    if (l->kind != MCLI_NORM) continue;
    mcli_norm_figures chunk = mcli_norm_figures_at(tape->figures + l->figures, l->out.channels);
    mcli_norm_figures mean = mcli_norm_figures_at(tape->gathered + l->figures, l->out.channels);
    mcli_norm_gather(mcli_layer_rows(l, tape->n), l->out.channels, &chunk, &tape->gathered_rows[i],
                     &mean);
  }
}

void mcli_net_gather_from(const mcli_net *net, const mcli_tape *tape, const int64_t *rows,
                          const float *figures) {
  for (int32_t i = net->lowest; i < net->n_layers; i++) {
    const mcli_layer *l = &net->layers[i];
    if (l->kind != MCLI_NORM) continue;
    float *theirs = (float *)(uintptr_t)(figures + l->figures);
    mcli_norm_figures chunk = mcli_norm_figures_at(theirs, l->out.channels);
    mcli_norm_figures mean = mcli_norm_figures_at(tape->gathered + l->figures, l->out.channels);
    mcli_norm_gather(rows[i], l->out.channels, &chunk, &tape->gathered_rows[i], &mean);
  }
}

void mcli_net_run(mcli_net *net, const mcli_tape *tape) {
  const mcli_params *p = &net->params;
  if (!tape->gathered_rows) return; // never used
  for (int32_t i = net->lowest; i < net->n_layers; i++) {
    const mcli_layer *l = &net->layers[i];
    if (l->kind != MCLI_NORM) continue;
    mcli_norm_figures mean = mcli_norm_figures_at(tape->gathered + l->figures, l->out.channels);
    mcli_norm_run(tape->gathered_rows[i], l->out.channels, &mean, mcli_param_value(p, l->mean),
                  mcli_param_value(p, l->variance));
  }
}

void mcli_net_forget(const mcli_net *net, const mcli_tape *tape) {
  if (!tape->gathered_rows) return;
  memset(tape->gathered_rows, 0, (size_t)net->n_layers * sizeof *tape->gathered_rows);
}
