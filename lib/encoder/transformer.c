// What the transformers of images and of texts have in common: their blocks and what stands behind them.
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

mcl_status mcli_transformer_build(mcli_network *w, const mcli_transformer *t, int causal,
                                  mcli_pool pooling, mcl_error *err) {
  mcli_blocks_of blocks = {.layers = t->layers,
                           .trained = t->trained_blocks,
                           .heads = t->heads,
                           .hidden = t->hidden,
                           .causal = causal,
                           .gelu = t->gelu == MCL_GELU ? MCLI_GELU_ERF : MCLI_GELU_QUICK};
  mcl_status s = mcli_net_blocks(&w->net, &blocks, err);
  if (s == MCL_OK) s = mcli_net_pooled(&w->net, pooling, t->dim, err);
  return s < 0 ? s : mcli_network_head(w, t->projection_dim, err);
}
