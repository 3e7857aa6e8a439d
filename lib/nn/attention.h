// Self-attention of [n, tokens, width] with several heads, between the dense layer that makes queries, keys and values and
// the one that mixes the heads: neither is part of it.
#ifndef MCL_NN_ATTENTION_H
#define MCL_NN_ATTENTION_H

#include "nn/embedding.h"

typedef struct mcli_attention {
  int32_t tokens, width, heads; // heads divides width
  int32_t causal;               // a token sees itself and those before it only
} mcli_attention;

// Floats of workspace that forward and backward need on this context.
int64_t mcli_attention_workspace(mcl_context *c, const mcli_attention *a);

// qkv [n, tokens, 3 width]: of each token its query, its key, its value, each head after head. y [n, tokens, width]. A row's
// tokens from its length on (see mcli_tokens_length) are seen by none, and their y is 0.
mcl_status mcli_attention_forward(mcl_context *c, const mcli_attention *a, int64_t n,
                                  const mcli_tokens *tokens, const float *qkv, float *y,
                                  float *workspace, mcl_error *err);

// d_qkv is overwritten.
mcl_status mcli_attention_backward(mcl_context *c, const mcli_attention *a, int64_t n,
                                   const mcli_tokens *tokens, const float *qkv, const float *dy,
                                   float *d_qkv, float *workspace, mcl_error *err);

#endif
