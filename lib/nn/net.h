// A network: layers over images, rows or tokens, and the tapes that remember what a backward pass needs.
//
// Value 0 is the input; layer i (from 0) makes value i + 1, of value i unless it begins a branch, and a sum adds an earlier
// value to it. A tape holds the values of one batch, so one network can hold several views at once; those that nobody will ask
// for lie where others lay before. Nothing here allocates once tapes have their size.
//
// net.c builds, block.c transformers; places.c says where on a tape values lie; pass.c computes.
#ifndef MCL_NN_NET_H
#define MCL_NN_NET_H

#include "nn/activation.h"
#include "nn/attention.h"
#include "nn/conv.h"
#include "nn/embedding.h"
#include "nn/params.h"

// One row of a value: an image, context x 1 x channels for tokens, or 1 x 1 x channels behind a dense layer.
typedef struct mcli_shape {
  int32_t height, width, channels;
} mcli_shape;

typedef enum {
  MCLI_CONV,
  MCLI_LINEAR,
  MCLI_NORM,
  MCLI_RELU,
  MCLI_EMBEDDING,
  MCLI_BAG,
  MCLI_POSITIONS,
  MCLI_LAYER_NORM,
  MCLI_GELU,
  MCLI_ATTENTION,
  MCLI_SUM,
  MCLI_POOL,
  MCLI_STANDARDISE,
  MCLI_CLASS,
  MCLI_MAX_POOL
} mcli_layer_kind;

typedef struct mcli_layer {
  mcli_layer_kind kind;
  int32_t input;                                      // the value that it reads
  int32_t relu;                                       // applied to the layer's output
  int32_t kernel, bias, scale, shift, mean, variance; // tensors; -1: none
  mcli_shape in, out;
  mcli_conv conv;
  int64_t figures; // a batch norm's place in the figures of a tape
  int32_t table;   // tensor of embeddings, of positions, or of a class token
  int32_t
      places; // of a dense layer: pixels or tokens that it goes over one by one; 1: it takes all of a row at once
  int32_t option;   // a bag: its mean; GELU: its kind; attention: causal; a pool: mcli_pool
  int32_t heads;    // of attention
  int32_t from;     // of a sum: the value that is added
  float epsilon;    // of a layer norm
  double deviation; // of its normal initial weights; 0: uniform ones
} mcli_layer;

enum { MCLI_GRADIENTS = 3 };

typedef struct mcli_net {
  mcl_context *context;
  mcli_params params;
  mcli_shape input;
  int32_t init;  // MCL_INIT_*
  float epsilon; // of the layer norms that are added; 1e-5 unless it is set
  mcli_layer *layers;
  int32_t n_layers, capacity;
  int32_t embedding; // a value that is read beside the last one; set before there are weights
  int64_t
      *places[2]; // [values] of a tape's row in evaluation and in training: where each value starts
  int64_t row[2]; // numbers of a tape's row
  int32_t branch; // what the next layer reads, 0: the last value
  int32_t
      lowest; // the first layer with a tensor that is trained: backward stops there; n_layers: none is
  mcli_tokens
      tokens; // vocabulary 0: the input is numbers, else int32 ids in the place of value 0's floats
  int64_t figures; // floats that the batch norms keep of one forward pass
  float *gradients
      [MCLI_GRADIENTS]; // d loss / d value, of the layer at work, of its input, and of one more
  float *workspace;
  int64_t gradients_size, workspace_size;
} mcli_net;

typedef struct mcli_tape {
  float *block;    // the values: one starts at capacity * its place
  float *figures;  // of the batch norms
  float *gathered; // the mean of the figures of a batch's chunks
  int64_t
      *gathered_rows; // [layers]: how many rows that mean is of; NULL where the tape was never used
  int64_t n, capacity;
  int training; // whether it holds what a backward pass needs
} mcli_tape;

void mcli_net_begin(mcl_context *c, mcli_net *net, mcli_shape input);
void mcli_net_free(mcli_net *net);

// Appends a layer. relu is applied behind it. MCL_E_LIMIT for more than
// 2^29 weights, or 2^28 numbers a row.
// MCLI_PER_PLACE: a dense layer over the channels of each pixel or token, as a convolution with a kernel of 1.
enum { MCLI_WITH_BIAS = 1, MCLI_WITH_RELU = 2, MCLI_PER_PLACE = 4 };
mcl_status mcli_net_conv(mcli_net *net, int32_t filters, int32_t kernel, int32_t stride,
                         int32_t padding, int flags, mcl_error *err);
// `padding` zeros on all four sides, as PyTorch pads.
mcl_status mcli_net_conv_padded(mcli_net *net, int32_t filters, int32_t kernel, int32_t stride,
                                int32_t padding, int flags, mcl_error *err);
// The largest of kernel x kernel pixels, padded likewise with what is never the largest.
mcl_status mcli_net_max_pool(mcli_net *net, int32_t kernel, int32_t stride, int32_t padding,
                             mcl_error *err);
mcl_status mcli_net_linear(mcli_net *net, int32_t outputs, int flags, mcl_error *err);
mcl_status mcli_net_norm(mcli_net *net, int flags, mcl_error *err);
mcl_status mcli_net_relu(mcli_net *net, mcl_error *err);
// The first layer of a network whose input is rows of int32 ids, {context, 1, 1}: embeddings of each, or of all in one.
// Of `tokens` vocabulary, padding and end are read.
mcl_status mcli_net_embedding(mcli_net *net, const mcli_tokens *tokens, int32_t width,
                              mcl_error *err);
mcl_status mcli_net_bag(mcli_net *net, const mcli_tokens *tokens, int32_t width, int mean,
                        mcl_error *err);
// Over tokens, or an image's patches: [height * width] of them.
mcl_status mcli_net_positions(mcli_net *net, mcl_error *err);
mcl_status mcli_net_layer_norm(mcli_net *net, mcl_error *err);
mcl_status mcli_net_gelu(mcli_net *net, mcli_gelu kind, mcl_error *err);
// Of queries, keys and values side by side: a third of the channels comes out.
mcl_status mcli_net_attention(mcli_net *net, int32_t heads, int causal, mcl_error *err);
// Adds an earlier value of the same shape: a residual. Not one from before the last sum: they do not nest. Nothing else may read
// the value before it.
mcl_status mcli_net_sum(mcli_net *net, int32_t from, int flags, mcl_error *err);
// The next layer reads this value instead of the last one, which a sum adds later: a shortcut with layers of its own comes
// first, the residual it belongs to behind it. value > 0.
void mcli_net_branch(mcli_net *net, int32_t value);
// The token that stands for its row: the one that ends it, the first, or the mean of all.
typedef enum { MCLI_POOL_END, MCLI_POOL_FIRST, MCLI_POOL_MEAN } mcli_pool;
mcl_status mcli_net_pool(mcli_net *net, mcli_pool which, mcl_error *err);
// Brings pixels to the scale of its tensors "mean" and "deviation", which are not trained and begin as 0 and 1.
mcl_status mcli_net_standardise(mcli_net *net, mcl_error *err);
// Patches to tokens: a token that is learnt in front of them.
mcl_status mcli_net_class(mcli_net *net, mcl_error *err);
// Freezes all tensors added so far.
void mcli_net_freeze(mcli_net *net);
// The layer added last begins with normal weights of this deviation, and biases of 0.
void mcli_net_begin_normal(mcli_net *net, double deviation);
// What PyTorch's models call the layer added last, with what stands between that and "weight": "layer1.0.conv1.", or
// "self_attention.in_proj_". Of a table it is the whole name.
void mcli_net_call(mcli_net *net, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Residual blocks, layer norms first: x + attention(norm x), then x + dense(GELU(dense `hidden` (norm x))). The more there are,
// the smaller the last layers of each begin. `trained` of them, the last ones, are trained, and all that lies before them is
// frozen; -1: nothing is. `called`: what PyTorch's models call a block's layers that have tensors, behind `block` and its number.
enum { MCLI_BLOCK_LAYERS = 6 };
typedef struct mcli_blocks_of {
  int32_t layers, trained, heads, hidden, causal;
  mcli_gelu gelu;
  const char *block, *const *called;
} mcli_blocks_of;
mcl_status mcli_net_blocks(mcli_net *net, const mcli_blocks_of *b, mcl_error *err);

// Gives every value its place: once all layers are there and it is known what is trained.
mcl_status mcli_net_lay_out(mcli_net *net, mcl_error *err);
// Allocates the weights, zero, and lays out. mcli_net_end gives them their initial values, too.
mcl_status mcli_net_allocate(mcli_net *net, mcl_error *err);
mcl_status mcli_net_end(mcli_net *net, uint64_t seed, mcl_error *err);

mcli_shape mcli_net_shape(const mcli_net *net, int32_t value);
static inline int64_t mcli_shape_size(mcli_shape s) {
  return (int64_t)s.height * s.width * s.channels;
}

// Pixels or tokens of n rows of a layer's output.
static inline int64_t mcli_layer_rows(const mcli_layer *l, int64_t n) {
  return n * l->out.height * l->out.width;
}
static inline mcli_attention mcli_attention_of(const mcli_layer *l) {
  return (mcli_attention){l->in.height * l->in.width, l->out.channels, l->heads, l->option};
}

// Makes room for n rows; `training`: for a backward pass too, always the same of one tape. On failure the tape is as before.
mcl_status mcli_net_reserve(mcli_net *net, mcli_tape *tape, int64_t n, int training,
                            mcl_error *err);
void mcli_tape_free(mcl_context *c, mcli_tape *tape);
float *mcli_tape_value(const mcli_net *net, const mcli_tape *tape, int32_t value);

// The first `layers` layers over the n rows that value 0 holds. Training: batch norm by the figures of these rows, kept.
mcl_status mcli_net_forward(mcli_net *net, mcli_tape *tape, int64_t n, int32_t layers, int training,
                            mcl_error *err);
// Adds the gradients of all tensors that are trained; grad [n, outputs] is by the last value.
mcl_status mcli_net_backward(mcli_net *net, const mcli_tape *tape, const float *grad,
                             mcl_error *err);
// Brings the figures that a tape has of its rows into those gathered of the batch.
void mcli_net_gather(const mcli_net *net, const mcli_tape *tape);
// The same of what another tape has gathered: `figures`, of rows [layers].
void mcli_net_gather_from(const mcli_net *net, const mcli_tape *tape, const int64_t *rows,
                          const float *figures);
// Moves the running figures of the batch norms by those gathered in a tape.
void mcli_net_run(mcli_net *net, const mcli_tape *tape);
// Forgets what was gathered.
void mcli_net_forget(const mcli_net *net, const mcli_tape *tape);

#endif
