// Rows of tokens [n, context]: tables of embeddings, positions, and the token that stands for its row.
#ifndef MCL_NN_EMBEDDING_H
#define MCL_NN_EMBEDDING_H

#include <stdint.h>

#include "base/context.h"

typedef struct mcli_tokens {
  const int32_t
      *ids; // [n, context], each below `vocabulary`; NULL: every token counts (an image's patches)
  int32_t context, vocabulary;
  int32_t padding, end; // -1: there is none
} mcli_tokens;

// Tokens of a row that count: up to and with the first `end`; where there is none, up to the last one that is no padding.
// At least 1: a row of padding alone is its first token.
int64_t mcli_tokens_length(const mcli_tokens *t, int64_t row);

// y [n, context, width]: of each token its row of table [vocabulary, width].
mcl_status mcli_embedding_forward(mcl_context *c, const mcli_tokens *t, int64_t n, int64_t width,
                                  const float *table, float *y, mcl_error *err);
// Adds to d_table. Tokens beyond a row's length have no gradient, whatever dy has there.
mcl_status mcli_embedding_backward(mcl_context *c, const mcli_tokens *t, int64_t n, int64_t width,
                                   const float *dy, float *d_table, float *workspace,
                                   mcl_error *err);
// Floats of workspace for the backward passes of both.
int64_t mcli_embedding_workspace(const mcli_tokens *t, int64_t n);

// y [n, width]: the sum of the embeddings of a row's tokens that are no padding, or their mean. None: zeros.
mcl_status mcli_bag_forward(mcl_context *c, const mcli_tokens *t, int64_t n, int64_t width,
                            int mean, const float *table, float *y, mcl_error *err);
mcl_status mcli_bag_backward(mcl_context *c, const mcli_tokens *t, int64_t n, int64_t width,
                             int mean, const float *dy, float *d_table, float *workspace,
                             mcl_error *err);

// y = x + table, for x [n, context, width] and a table [context, width]. Its backward leaves dx = dy, and adds to d_table.
mcl_status mcli_positions_forward(mcl_context *c, int64_t n, int64_t context, int64_t width,
                                  const float *x, const float *table, float *y, mcl_error *err);
mcl_status mcli_positions_backward(mcl_context *c, int64_t n, int64_t context, int64_t width,
                                   const float *dy, float *d_table, mcl_error *err);

// y [n, width]: the last token of each row's length. Backward overwrites all of dx.
void mcli_pool_forward(const mcli_tokens *t, int64_t n, int64_t width, const float *x, float *y);
void mcli_pool_backward(const mcli_tokens *t, int64_t n, int64_t width, const float *dy, float *dx);

#endif
