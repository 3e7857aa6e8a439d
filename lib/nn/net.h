// A network: a chain of layers over images or rows, and the tapes that remember what a backward pass needs.
//
// Value 0 is the input; layer i (from 0) makes value i + 1 of value i. A tape holds the values of one batch, so one
// network can hold several views at once. Nothing here allocates once tapes have their size.
#ifndef MCL_NN_NET_H
#define MCL_NN_NET_H

#include "nn/conv.h"
#include "nn/params.h"

// One row of a value: an image, or 1 x 1 x channels behind a dense layer.
typedef struct mcli_shape {
  int32_t height, width, channels;
} mcli_shape;

typedef enum { MCLI_CONV, MCLI_LINEAR, MCLI_NORM, MCLI_RELU } mcli_layer_kind;

typedef struct mcli_layer {
  mcli_layer_kind kind;
  int32_t relu;                                       // applied to the layer's output
  int32_t kernel, bias, scale, shift, mean, variance; // tensors; -1: none
  mcli_shape in, out;
  mcli_conv conv;
  int64_t figures; // a batch norm's place in the figures of a tape
} mcli_layer;

typedef struct mcli_net {
  mcl_context *context;
  mcli_params params;
  mcli_shape input;
  mcli_layer *layers;
  int32_t n_layers, capacity;
  int64_t figures;     // floats that the batch norms keep of one forward pass
  float *gradients[2]; // d loss / d value, of the layer at work and the one below
  float *workspace;
  int64_t gradients_size, workspace_size;
} mcli_net;

typedef struct mcli_tape {
  float *
      block; // all values, one after the other: value i starts at capacity * (numbers a row of those before)
  float *figures; // of the batch norms
  int64_t n, capacity;
} mcli_tape;

void mcli_net_begin(mcl_context *c, mcli_net *net, mcli_shape input);
void mcli_net_free(mcli_net *net);

// Appends a layer. relu is applied behind it. MCL_E_LIMIT for more than
// 2^28 weights, or 2^28 numbers a row.
enum { MCLI_WITH_BIAS = 1, MCLI_WITH_RELU = 2 };
mcl_status mcli_net_conv(mcli_net *net, int32_t filters, int32_t kernel, int32_t stride, int flags,
                         mcl_error *err);
mcl_status mcli_net_linear(mcli_net *net, int32_t outputs, int flags, mcl_error *err);
mcl_status mcli_net_norm(mcli_net *net, int flags, mcl_error *err);
mcl_status mcli_net_relu(mcli_net *net, mcl_error *err);
// Allocates the weights and gives them their initial values.
mcl_status mcli_net_end(mcli_net *net, uint64_t seed, mcl_error *err);

mcli_shape mcli_net_shape(const mcli_net *net, int32_t value);
static inline int64_t mcli_shape_size(mcli_shape s) {
  return (int64_t)s.height * s.width * s.channels;
}

// Makes room for n rows; `training`: for a backward pass too. On failure the tape is as before.
mcl_status mcli_net_reserve(mcli_net *net, mcli_tape *tape, int64_t n, int training,
                            mcl_error *err);
void mcli_tape_free(mcl_context *c, mcli_tape *tape);
float *mcli_tape_value(const mcli_net *net, const mcli_tape *tape, int32_t value);

// The first `layers` layers over the n rows that value 0 holds. Training: batch norm by the figures of these rows, kept.
mcl_status mcli_net_forward(mcli_net *net, mcli_tape *tape, int64_t n, int32_t layers, int training,
                            mcl_error *err);
// Adds the gradients of all layers' tensors; grad [n, outputs] is by the last value.
mcl_status mcli_net_backward(mcli_net *net, const mcli_tape *tape, const float *grad,
                             mcl_error *err);
// Moves the running figures of the batch norms by those of a tape.
void mcli_net_run(mcli_net *net, const mcli_tape *tape);

#endif
