// An encoder that is one of our own networks: a chain of layers, an optimiser, and a tape for every view.
#ifndef MCL_ENCODER_NETWORK_H
#define MCL_ENCODER_NETWORK_H

#include <libmcl/checkpoint.h>

#include "encoder/encoder.h"
#include "nn/net.h"
#include "nn/optimiser.h"

enum { MCLI_NETWORK_VIEWS = 3 }; // -1, 0, 1

typedef struct mcli_network {
  mcl_context *context;
  mcl_optimiser_options optimiser;
  mcli_net net;
  int64_t steps; // of the optimiser so far
  mcli_tape tapes[MCLI_NETWORK_VIEWS], evaluation;
  char description[512];   // of the layers: a saved file belongs to one that has the same
  size_t layers_described; // of it, what does not say which weights are trained; 0: all of it
  const char *unlike;      // what it has, or is, that torchvision's models are not; NULL: nothing
} mcli_network;

// Begins a network whose optimiser options are checked and copied; NULL options are the defaults. Then layers are
// added to net, and `embedding` is set.
mcl_status mcli_network_begin(mcl_context *c, mcli_shape input,
                              const mcl_optimiser_options *optimiser, mcli_network **out,
                              mcl_error *err);
// Gives the weights their initial values and makes the handle. On failure the network is freed.
mcl_status mcli_network_end(mcli_network *w, const char *name, uint64_t seed, mcl_encoder **out,
                            mcl_error *err);
void mcli_network_free(void *network);
// The two halves of it, for who has the weights already: mcli_net_allocate, then the handle. Freed on failure.
mcl_status mcli_network_handle(mcli_network *w, const char *name, mcl_encoder **out,
                               mcl_error *err);
// Before the weights are there: none of them is to be trained.
void mcli_network_freeze(mcli_network *w);

// The options that the transformers of images and texts have in common. hidden 0 has been made 4 embed before they are built.
typedef struct mcli_transformer {
  int32_t embed, layers, heads, hidden, gelu, trained_blocks, dim, projection_dim;
} mcli_transformer;
mcl_status mcli_transformer_check(const mcli_transformer *t, mcl_error *err);
// What PyTorch's models call the layers of a transformer, as mcli_net_call() wants it; NULL: what they have not.
typedef struct mcli_transformer_names {
  const char *patches, *token; // token: of classes, or the table of tokens
  const char *positions, *pre;
  const char *block, *const *of_block; // [MCLI_BLOCK_LAYERS]
  const char *last;
  const char *head; // of a torch.nn.Sequential: dense layer, ReLU, dense layer
} mcli_transformer_names;
// The layer added last is a table of tokens, positions or a class: how it begins, and its name.
void mcli_transformer_table(mcli_net *net, double deviation, const char *name);
// The blocks behind the tokens that the network has, the pooling (MCLI_POOL_*), the dense layer and the head.
mcl_status mcli_transformer_build(mcli_network *w, const mcli_transformer *t, int causal,
                                  mcli_pool pooling, const mcli_transformer_names *names,
                                  mcl_error *err);

// The layers of transformers (vit.c, text.c), their options checked, without weights.
mcl_status mcli_vit_build(mcl_context *c, const mcl_vit_options *options,
                          const mcli_transformer_names *called, mcli_network **out, mcl_error *err);
mcl_status mcli_text_build(mcl_context *c, const mcl_text_options *options, mcli_network **out,
                           mcl_error *err);
// OpenAI's names: of a block, of all of the text tower.
extern const char *const mcli_openai_block[MCLI_BLOCK_LAYERS];
extern const mcli_transformer_names mcli_text_names;

// Mean and deviation of each channel, either of which may be NULL, of a network whose first layer brings pixels to scale. Where
// both are, there is no such layer.
mcl_status mcli_scale_check(const double *mean, const double *deviation, int32_t channels,
                            mcl_error *err);
void mcli_scale_begin(const mcli_network *w, const double *mean, const double *deviation,
                      int32_t channels);

// MCL_E_INVALID naming options->name when value is not in low..high.
mcl_status mcli_network_range(int64_t value, int64_t low, int64_t high, const char *name,
                              mcl_error *err);

// Dense layers behind what the network has: `layers` times `hidden` with ReLU, then `dim`, which is the embedding; and a head.
mcl_status mcli_network_dense(mcli_network *w, int32_t layers, int32_t hidden, int32_t dim,
                              int32_t projection_dim, mcl_error *err);
// What the network has so far is the embedding; behind it ReLU and a dense layer, unless projection_dim is 0.
mcl_status mcli_network_head(mcli_network *w, int32_t projection_dim, mcl_error *err);

// Appends to the description, which is cut where it is full.
void mcli_network_describe(mcli_network *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// The end of a description: the last so many blocks are trained; below 0: all of it is, and nothing is said.
void mcli_network_describe_trained(mcli_network *w, int32_t blocks);

// MCL_E_MISMATCH when the weights of one network mean something else in the other.
mcl_status mcli_network_check_same(const mcli_network *w, const mcli_network *from, mcl_error *err);
// The weights of a network that is the same; the optimiser begins anew. What mcl_encoder_start_from does.
void mcli_network_start_from(mcli_network *w, const mcli_network *from);

// Forgets the batch at work: views held, and gradients.
void mcli_network_give_up(void *network);
// What mcl_encoder_sum_gradients does, within its COLLECTIVE call (ranks.c).
mcl_status mcli_network_sum(void *network, mcl_comm *comm, mcl_error *err);
// The network behind a handle, NULL where there is none.
mcli_network *mcli_network_of(mcl_encoder *e);

// What mcl_encoder_save and _load do (network_file.c).
mcl_status mcli_network_save(void *network, const char *path, mcl_error *err);
mcl_status mcli_network_load(void *network, const char *path, mcl_error *err);

// The same as a part of a larger file: every name and text begins with `prefix`. What is read is kept apart until it is
// taken, which cannot fail; a state that is zero, or was taken, may be freed.
enum { MCLI_NETWORK_BLOCKS = 3 };
typedef struct mcli_network_state {
  float *blocks[MCLI_NETWORK_BLOCKS]; // values, moments, second moments
  int64_t steps;
} mcli_network_state;
// Blocks of zeros, and no steps.
mcl_status mcli_network_state_new(const mcli_network *w, mcli_network_state *state, mcl_error *err);
mcl_status mcli_network_write(const mcli_network *w, mcl_checkpoint_writer *f, const char *prefix,
                              mcl_error *err);
mcl_status mcli_network_read(const mcli_network *w, const mcl_checkpoint *f, const char *path,
                             const char *prefix, mcli_network_state *state, mcl_error *err);
void mcli_network_take(mcli_network *w, mcli_network_state *state);
void mcli_network_state_free(const mcli_network *w, mcli_network_state *state);
int mcli_network_owns(const mcli_network *w, const char *prefix, const char *name);

#endif
