// What transformers are made of.
//
// Blocks are layers like others: a block of its own kind would hide ten values that backward needs. A residual is a sum with an
// earlier value.
#include <math.h>

#include "nn/net.h"

// A block at work: its layers that have tensors, counted.
typedef struct block {
  mcli_net *net;
  const mcli_blocks_of *all;
  int32_t number, layer;
} block;

static void call(block *w) {
  const mcli_blocks_of *b = w->all;
  mcli_net_call(w->net, "%s%d.%s", b->block, w->number, b->called[w->layer]);
  w->layer++;
}

static mcl_status add_norm(block *w, mcl_error *err) {
  mcl_status s = mcli_net_layer_norm(w->net, err);
  if (s == MCL_OK) call(w);
  return s;
}

static mcl_status add_dense(block *w, int32_t outputs, double deviation, mcl_error *err) {
  mcl_status s = mcli_net_linear(w->net, outputs, MCLI_WITH_BIAS | MCLI_PER_PLACE, err);
  if (s < 0) return s;
  mcli_net_begin_normal(w->net, deviation);
  call(w);
  return MCL_OK;
}

// Deviations are CLIP's (Radford et al. 2021, model.py): what a block adds is smaller the more blocks there are, so that
// their sum begins as large as what goes into the first.
static mcl_status add_block(mcli_net *net, const mcli_blocks_of *b, int32_t number,
                            mcl_error *err) {
  block w = {net, b, number, 0};
  int32_t from = net->n_layers, width = mcli_net_shape(net, from).channels;
  double inner = 1 / sqrt((double)width), last = inner / sqrt(2.0 * b->layers);
  mcl_status s = add_norm(&w, err);
  if (s == MCL_OK) s = add_dense(&w, 3 * width, inner, err);
  if (s == MCL_OK) s = mcli_net_attention(net, b->heads, b->causal, err);
  if (s == MCL_OK) s = add_dense(&w, width, last, err);
  if (s == MCL_OK) s = mcli_net_sum(net, from, 0, err);
  from = net->n_layers;
  if (s == MCL_OK) s = add_norm(&w, err);
  if (s == MCL_OK) s = add_dense(&w, b->hidden, inner / sqrt(2.0), err);
  if (s == MCL_OK) s = mcli_net_gelu(net, b->gelu, err);
  if (s == MCL_OK) s = add_dense(&w, width, last, err);
  return s < 0 ? s : mcli_net_sum(net, from, 0, err);
}

mcl_status mcli_net_blocks(mcli_net *net, const mcli_blocks_of *b, mcl_error *err) {
  mcl_status s = MCL_OK;
  for (int32_t i = 0; s == MCL_OK && i < b->layers; i++) {
    if (b->layers - i == b->trained) mcli_net_freeze(net);
    s = add_block(net, b, i, err);
  }
  if (b->trained == 0) mcli_net_freeze(net);
  return s;
}
