// What the transformers of images and of texts have in common: their blocks and what stands behind them.
#include <math.h>

#include "encoder/network.h"

enum { MAX_WIDTH = 65536, MAX_LAYERS = 64 };

mcl_status mcli_transformer_check(const mcli_transformer *t, mcl_error *err) {
  mcl_status s = mcli_network_range(t->embed, 1, MAX_WIDTH, "embed", err);
  if (s == MCL_OK) s = mcli_network_range(t->layers, 1, MAX_LAYERS, "layers", err);
  if (s == MCL_OK) s = mcli_network_range(t->heads, 1, t->embed, "heads", err);
  if (s == MCL_OK && t->embed % t->heads != 0)
    return mcli_fail(err, MCL_E_INVALID, "options->heads is %d, which does not divide embed, %d",
                     t->heads, t->embed);
  if (s == MCL_OK) s = mcli_network_range(t->hidden, 0, 4 * MAX_WIDTH, "hidden", err);
  if (s == MCL_OK) s = mcli_network_range(t->gelu, MCL_GELU, MCL_GELU_QUICK, "gelu", err);
  if (s == MCL_OK) s = mcli_network_range(t->trained_blocks, -1, t->layers, "trained_blocks", err);
  if (s == MCL_OK) s = mcli_network_range(t->dim, 0, MAX_WIDTH, "dim", err);
  return s < 0 ? s : mcli_network_range(t->projection_dim, 0, MAX_WIDTH, "projection_dim", err);
}

void mcli_transformer_table(mcli_net *net, double deviation, const char *name) {
  mcli_net_begin_normal(net, deviation);
  mcli_net_call(net, "%s", name);
}

// One token of each row, and the last layer norm.
static mcl_status pool(mcli_net *net, mcli_pool which, const mcli_transformer_names *names,
                       mcl_error *err) {
  mcl_status s = mcli_net_pool(net, which, err);
  if (s == MCL_OK) s = mcli_net_layer_norm(net, err);
  if (s == MCL_OK) mcli_net_call(net, "%s", names->last);
  return s;
}

static void call_head(mcli_net *net, const mcli_transformer_names *names, int place) {
  if (names->head) mcli_net_call(net, "%s%d.", names->head, place);
}

static mcl_status dense(mcli_net *net, int32_t dim, const mcli_transformer_names *names,
                        mcl_error *err) {
  double deviation = 1 / sqrt((double)mcli_net_shape(net, net->n_layers).channels);
  mcl_status s = mcli_net_linear(net, dim, 0, err);
  if (s == MCL_OK) mcli_net_begin_normal(net, deviation);
  if (s == MCL_OK) call_head(net, names, 0);
  return s;
}

mcl_status mcli_transformer_build(mcli_network *w, const mcli_transformer *t, int causal,
                                  mcli_pool pooling, const mcli_transformer_names *names,
                                  mcl_error *err) {
  mcli_blocks_of blocks = {.layers = t->layers,
                           .trained = t->trained_blocks,
                           .heads = t->heads,
                           .hidden = t->hidden,
                           .causal = causal,
                           .gelu = t->gelu == MCL_GELU ? MCLI_GELU_ERF : MCLI_GELU_QUICK,
                           .block = names->block,
                           .called = names->of_block};
  mcl_status s = mcli_net_blocks(&w->net, &blocks, err);
  if (s == MCL_OK) s = pool(&w->net, pooling, names, err);
  if (s == MCL_OK && t->dim > 0) s = dense(&w->net, t->dim, names, err);
  if (s == MCL_OK) s = mcli_network_head(w, t->projection_dim, err);
  if (s == MCL_OK && t->projection_dim > 0)
    call_head(&w->net, names, t->dim > 0 ? 2 : 1); // behind ReLU
  return s;
}
