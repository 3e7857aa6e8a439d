/* Encoders: what turns rows into embeddings, and learns to.
 *
 * A handle is either the host's own network behind a table of callbacks (mcl_encoder_create_host) or one of the networks
 * built in (mcl_encoder_create_mlp, _cnn, _resnet, _vit, _bag, _text, or _pair of two others, or _clip from a file);
 * everything else is the same for both. An encoder gives two things of two widths: the *embedding*, which is clustered,
 * integrated and kept, and the *projection*, which the loss sees during training (Chen et al. 2020, "A Simple Framework for Contrastive Learning", section 4.2). Neither is
 * L2-normalised: the loss, the clusterer and the integrator normalise what they are given.
 *
 * One step of training:
 *
 *   forward   once for every (modality, view) of the batch: the activations are kept;
 *   backward  once for each of them, in any order, with d loss / d projection: the gradients add up;
 *   step      once: the weights move, activations and gradients are forgotten.
 *
 * A forward of a view that is already held replaces it as long as no backward has followed, so a batch may be given up and
 * another begun.
 *
 * A batch may also be larger than memory. Once a backward has been, a forward begins a further *chunk* of the same batch, and
 * its backward adds to the same gradients (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory
 * Limited Setup", section 3.2). A view holds the rows of its last forward, so memory is that of a chunk: first a forward of
 * every chunk, for the loss, then a forward and a backward of every chunk, then the step. mcl_multistage_run() does this for
 * `chunk_rows`; docs/embedding.md has the calls in order for who trains by hand. A view whose forward came after the first
 * backward must have its own backward before its next forward. The networks built in can do it, a pair if both its
 * encoders can, a host's if it says so (MCL_HOST_CHUNKS).
 *
 * Any other order is MCL_E_STATE, for the host's own encoders too. A backward, a step, or a forward after a backward, that
 * fails while it works (not for its arguments or the order) gives the whole batch up, and so does mcl_encoder_give_up().
 * Only step, load and start_from change what save writes: a run that is resumed from a save goes on bit for bit as if it had
 * never stopped.
 *
 * Threads: one call at a time on one encoder; a call from a second thread, or from one of the encoder's own callbacks,
 * is MCL_E_BUSY and does nothing. The built-in networks use the context's threads and give the same bits for any number
 * of them. */
#ifndef LIBMCL_ENCODER_H
#define LIBMCL_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/comm.h>
#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/inputs.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** Reference-counted; keeps its context. The last unref runs a host's `destroy`, on the thread that gives it. */
typedef struct mcl_encoder mcl_encoder;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_encoder *mcl_encoder_ref(mcl_encoder *encoder);

/** Gives a reference back; NULL is fine. */
MCL_API void mcl_encoder_unref(mcl_encoder *encoder);

/** What a step is given. Prepared by mcl_struct_init(). */
typedef struct mcl_step {
  size_t struct_size;
  double learning_rate; /**< of this step, schedule included; finite, at least 0 */
  int64_t step;         /**< of this stage, from 0 */
  int64_t steps;        /**< of this stage in all; 0: not known */
  int32_t stage;        /**< of the loop, from 0 */
  int32_t epoch;        /**< of the stage, from 0 */
} mcl_step;

/** Flags of a host's encoder. */
enum {
  /** forward may be called after a backward and before the step, for a further chunk of the batch: gradients stay, and go on
   *  adding up. A forward that is given the same rows again before the step gives the same projections, so whatever it draws
   *  at random (dropout) is a function of what mcl_inputs holds, and a forward alone moves nothing. `give_up` must be there:
   *  without it nobody could tell the next batch's first chunk from a further one of this batch. Who passes another encoder's
   *  calls on passes its flag on too. */
  MCL_HOST_CHUNKS = 1
};

/** The host's own network. Prepared by mcl_struct_init(). The struct is copied; `user` must live until `destroy`.
 *
 *  Callbacks run on the thread that called libmcl; `err` is never NULL; success is `return mcl_ok(err);`. Only `embed` is
 *  required; a call whose callback is NULL is MCL_E_UNSUPPORTED.
 *
 *  Every `out` is a contiguous float32 [n, dim] (or [n, projection_dim]) of libmcl's own, and every `grad` likewise; both
 *  live during the call only. What `out` holds on success is checked: NaN and infinity are MCL_E_NOT_FINITE. */
typedef struct mcl_host_encoder {
  size_t struct_size;
  void *user;             /**< handed to every callback */
  int32_t dim;            /**< width of the embedding, 1 .. 1048576 */
  int32_t projection_dim; /**< width of the projection; 0: `dim` */
  int32_t modalities;     /**< in->modality is below it; 0 means 1; at most 32 */
  uint32_t flags;         /**< MCL_HOST_CHUNKS or 0 */
  /** Embeddings in evaluation mode. */
  mcl_status (*embed)(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err);
  /** Projections in training mode; keeps what backward needs. */
  mcl_status (*forward)(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err);
  /** The gradient of the loss by the projections of that (modality, view): adds to the gradients of the weights. */
  mcl_status (*backward)(void *user, const mcl_inputs *in, const mcl_array *grad, mcl_error *err);
  /** Moves the weights and forgets activations and gradients. Over ranks a failure on one of them alone leaves the others a step
   *  ahead, as weights do not move back: the next mcl_multistage_run() is MCL_E_MISMATCH, until all resume from a save. */
  mcl_status (*step)(void *user, const mcl_step *step, mcl_error *err);
  /** Writes all that training goes on from: weights, optimiser, counters. */
  mcl_status (*save)(void *user, const char *path, mcl_error *err);
  /** Reads what save has written. */
  mcl_status (*load)(void *user, const char *path, mcl_error *err);
  /** Runs exactly once: at the last unref, or at once when mcl_encoder_create_host() fails. */
  void (*destroy)(void *user);
  /** Embeddings, in training mode, of the rows that forward holds for that (modality, view). */
  mcl_status (*held)(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err);
  /** The temperature that it has learnt. Both this and backward_temperature, or neither: NULL learns none. */
  mcl_status (*temperature)(void *user, double *temperature, mcl_error *err);
  /** The gradient of the loss by the temperature's logarithm. */
  mcl_status (*backward_temperature)(void *user, double d_log_temperature, mcl_error *err);
  /** Forgets activations and gradients: the batch at work is given up, by mcl_encoder_give_up() or because a forward, backward
   *  or step has failed, of this encoder or, in a pair, of the other one. NULL: nothing is to be forgotten. */
  void (*give_up)(void *user);
  /** Takes over the weights of another encoder, whose `user` is `from` and whose `start_from` is this function too: what
   *  mcl_encoder_start_from() says. On failure it is as before. `from` is only read. */
  mcl_status (*start_from)(void *user, void *from, mcl_error *err);
  /** Of training over ranks: the gradients that backward has added up become their sum over all ranks of `comm`. Every rank is asked
   *  at the same point of each batch, also one whose part of the batch has no rows. What has encoders within it may call
   *  mcl_encoder_sum_gradients() for them, with this comm. NULL: the host does so itself, in backward or step. */
  mcl_status (*sum_gradients)(void *user, mcl_comm *comm, mcl_error *err);
} mcl_host_encoder;

/** Makes an encoder of the host's callbacks. When it fails, `destroy` has run (unless `host` is NULL or was never
 *  initialised).
 *  Errors: MCL_E_INVALID (a field, named), MCL_E_UNSUPPORTED (an unknown tail), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_encoder_create_host(mcl_context *context,
                                                     const mcl_host_encoder *host,
                                                     mcl_encoder **out, mcl_error *err);

/** Width of the embedding; 0 for NULL. Any thread. */
MCL_API int32_t mcl_encoder_dim(const mcl_encoder *encoder);

/** Width of the projection; 0 for NULL. Any thread. */
MCL_API int32_t mcl_encoder_projection_dim(const mcl_encoder *encoder);

/** Number of modalities; 0 for NULL. Any thread. */
MCL_API int32_t mcl_encoder_modalities(const mcl_encoder *encoder);

/** Embeddings of the rows of `in` in evaluation mode (batch norm by its running figures), for any in->n, 0 included.
 *  out: [n, dim] of any float type. in->view is -1, 0 or 1. Activations held for training are untouched.
 *  The built-in networks read in->data, [n, ...] with as many numbers a row as the network takes: float types as they
 *  are, MCL_U8 divided by 255; in->indices may be NULL. They have one modality, and the numbers of a row do not depend on
 *  the rows beside it.
 *  Errors: MCL_E_INVALID, MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_NOT_FINITE (inputs or results; mcl_error.row is the place in
 *  the batch), MCL_E_NOMEM, MCL_E_BUSY, MCL_E_UNSUPPORTED, what a callback returns. `out` is written on success only. */
MCL_API MCL_CHECK mcl_status mcl_encoder_embed(mcl_encoder *encoder, const mcl_inputs *in,
                                               const mcl_array *out, mcl_error *err);

/** Projections of the rows of `in` in training mode: batch norm by the figures of this call's rows alone, so each view, and
 *  each chunk of it, is normalised by itself. Activations are kept under (in->modality, in->view), in place of those that
 *  were. in->n may be 0: a rank without rows.
 *  out: [n, projection_dim] of any float type.
 *  Errors: as mcl_encoder_embed(); after a backward of the batch also MCL_E_STATE (the view still waits for its backward) and
 *  MCL_E_UNSUPPORTED (a host's encoder without MCL_HOST_CHUNKS: step first), which change nothing. A forward that failed
 *  holds nothing for its view; after a backward the batch is given up. */
MCL_API MCL_CHECK mcl_status mcl_encoder_forward(mcl_encoder *encoder, const mcl_inputs *in,
                                                 const mcl_array *out, mcl_error *err);

/** Embeddings of the rows that the last forward of (in->modality, in->view) holds, in training mode: what an online probe
 *  learns from, beside the encoder and without touching it (Chen et al. 2020, "SimCLR", appendix B.9: its gradient is
 *  stopped here). From forward until the step; of a batch in chunks, the last chunk's. Of `in` only modality, view and n are
 *  read. It costs one copy.
 *  out: [n, dim] of any float type.
 *  Errors: MCL_E_INVALID, MCL_E_SHAPE (another n than forward's), MCL_E_DTYPE, MCL_E_STATE (no forward of this view),
 *  MCL_E_NOT_FINITE, MCL_E_NOMEM, MCL_E_BUSY, MCL_E_UNSUPPORTED, what a callback returns. */
MCL_API MCL_CHECK mcl_status mcl_encoder_held(mcl_encoder *encoder, const mcl_inputs *in,
                                              const mcl_array *out, mcl_error *err);

/** Adds the gradients of the weights for a view that forward holds. in: its modality, view and n; the built-in networks
 *  read nothing else of it. grad: d loss / d projection, [n, projection_dim] of any float type.
 *  Errors: as mcl_encoder_embed(); MCL_E_STATE (no forward of this view, or it had its backward); MCL_E_SHAPE (another n
 *  than forward's); MCL_E_NOT_FINITE (a row of grad). */
MCL_API MCL_CHECK mcl_status mcl_encoder_backward(mcl_encoder *encoder, const mcl_inputs *in,
                                                  const mcl_array *grad, mcl_error *err);

/** The temperature tau that the encoder has learnt, which the next loss is to be computed with: mcl_multistage_run() does.
 *  Errors: MCL_E_INVALID (NULL), MCL_E_UNSUPPORTED (it learns none: a temperature is the loss's own option), MCL_E_CALLBACK
 *  (a host's is not finite or not above 0), MCL_E_BUSY, what a callback returns. */
MCL_API MCL_CHECK mcl_status mcl_encoder_temperature(mcl_encoder *encoder, double *temperature,
                                                     mcl_error *err);

/** Adds dL / d log tau of the batch at work, mcl_loss_result.d_log_temperature; after its backwards and before the step,
 *  which moves the temperature. A batch without this call leaves it.
 *  Errors: MCL_E_INVALID (NULL), MCL_E_NOT_FINITE, MCL_E_STATE (no backward yet), MCL_E_UNSUPPORTED (it learns none),
 *  MCL_E_BUSY, what a callback returns: the batch is given up then. */
MCL_API MCL_CHECK mcl_status mcl_encoder_backward_temperature(mcl_encoder *encoder,
                                                              double d_log_temperature,
                                                              mcl_error *err);

/** Over ranks (comm.h): the gradients that have added up on each become their sum over all, and what batch norms keep for their
 *  running figures the mean weighted by rows; then a step moves the weights of all ranks alike. After the last backward and before the
 *  step. Each rank has given its own rows' gradients by the loss of the whole batch, a rank without rows those of none
 *  (forward and backward with n = 0). A temperature's gradient is summed likewise: mcl_encoder_backward_temperature() is given
 *  this rank's part of it, before this call. For who trains by hand (docs/embedding.md): mcl_multistage_run() does it. `comm`
 *  NULL or of one rank: nothing is done or checked, and MCL_OK.
 *  COLLECTIVE. Errors, which give the batch up: MCL_E_INVALID (NULL), MCL_E_STATE (no backward yet, or a view waits for its
 *  backward), MCL_E_UNSUPPORTED (a host's encoder without sum_gradients), MCL_E_MISMATCH (another network, or other weights,
 *  which are compared at every 64th step), MCL_E_BUSY, MCL_E_NOMEM, MCL_E_COMM, what a callback returns. */
MCL_API MCL_CHECK mcl_status mcl_encoder_sum_gradients(mcl_encoder *encoder, mcl_comm *comm,
                                                       mcl_error *err);

/** Moves the weights by the gradients that have added up, and forgets these and the activations.
 *  Errors: MCL_E_INVALID (learning_rate), MCL_E_STATE (no backward yet, or a view still waits for its backward),
 *  MCL_E_NOT_FINITE (the gradient of a tensor, named: weights and optimiser are as before, and the batch is given up). */
MCL_API MCL_CHECK mcl_status mcl_encoder_step(mcl_encoder *encoder, const mcl_step *step,
                                              mcl_error *err);

/** Gives the batch at work up: activations and gradients are forgotten, and the next forward begins another. For when what
 *  lies between a forward and its step fails. Where nothing is at work nothing happens, and a host hears nothing.
 *  Errors: MCL_E_INVALID (NULL), MCL_E_BUSY. */
MCL_API MCL_CHECK mcl_status mcl_encoder_give_up(mcl_encoder *encoder, mcl_error *err);

/** Writes all that training goes on from. The built-in networks write a safetensors file (docs/checkpoint-format.md):
 *  weights, running figures of batch norm, the optimiser's moments and count of steps; activations are not part of it.
 *  The file is complete or as it was before.
 *  Errors: MCL_E_NOT_FOUND (no such directory), MCL_E_IO, MCL_E_NOMEM, MCL_E_BUSY, MCL_E_UNSUPPORTED. */
MCL_API MCL_CHECK mcl_status mcl_encoder_save(mcl_encoder *encoder, const char *path,
                                              mcl_error *err);

/** Reads what mcl_encoder_save() wrote, into an encoder made with the same options (the seed may differ). Activations and
 *  gradients held are forgotten. On failure the encoder is as before.
 *  Errors: MCL_E_NOT_FOUND, MCL_E_IO, MCL_E_FORMAT, MCL_E_MISMATCH (another network or optimiser; a tensor that is missing,
 *  of another shape, or too many: named), MCL_E_NOT_FINITE (a tensor, named), MCL_E_NOMEM, MCL_E_BUSY, MCL_E_UNSUPPORTED. */
MCL_API MCL_CHECK mcl_status mcl_encoder_load(mcl_encoder *encoder, const char *path,
                                              mcl_error *err);

/** Gives an encoder the weights of another, to go on from there with a training of its own: weights, running figures of batch
 *  norm, a pair's temperature are then those of `from` to the bit; the optimiser begins anew, without moments and at step 0.
 *  Activations and gradients held are forgotten. `from` is only read, and may be trained on or let go of afterwards. What
 *  mcl_multistage_run() does for MCL_INITIAL_PRECEDING; who trains by hand calls it at MCL_BEGIN_STAGE.
 *  Both are of the same network: seed, optimiser and which of the weights are trained (trained_blocks, locked) may differ. Of a
 *  pair, each tower takes over that of the other pair; a locked host's encoder without a start_from stays what it is. Of
 *  mcl_integrator_encoder() the head takes over the head. Of a host's encoder it is the host's to say (start_from).
 *  Errors: MCL_E_INVALID (NULL; twice the same encoder), MCL_E_UNSUPPORTED (a host's without start_from), MCL_E_MISMATCH
 *  (another network, a host's of another kind), MCL_E_BUSY (either), what a host's start_from returns. On failure the encoder is
 *  as before, but for the first of two hosts' encoders in a pair where it is the second that fails. */
MCL_API MCL_CHECK mcl_status mcl_encoder_start_from(mcl_encoder *encoder, mcl_encoder *from,
                                                    mcl_error *err);

/* ---- the networks built in ---------------------------------------------------------------------------------------------- */

/** Optimisers: w is a weight, g its gradient, lr the learning rate of the step, t counts steps from 1.
 *
 *    MCL_SGD   v <- momentum v + g;  w <- w - lr v                               (as PyTorch; no dampening)
 *    MCL_ADAM  m <- beta1 m + (1 - beta1) g;  s <- beta2 s + (1 - beta2) g^2
 *              w <- w - lr (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + epsilon)
 *              (Kingma & Ba 2015, algorithm 1) */
enum {
  MCL_SGD = 1, /**< stochastic gradient descent with momentum */
  MCL_ADAM     /**< moments of the gradient, their bias taken off */
};

/** Flags of an optimiser. */
enum {
  /** Decoupled weight decay, w <- w - lr weight_decay w before the step (Loshchilov & Hutter 2019, "AdamW"), in place of the
   *  term in the loss. */
  MCL_DECOUPLED_DECAY = 1
};

/** Prepared by mcl_optimiser_options_init(). */
typedef struct mcl_optimiser_options {
  size_t struct_size;
  int32_t kind;    /**< MCL_ADAM (the default) or MCL_SGD */
  uint32_t flags;  /**< MCL_DECOUPLED_DECAY or 0 (the default) */
  double momentum; /**< of MCL_SGD, [0, 1); default 0.9 */
  double beta1;    /**< of MCL_ADAM, [0, 1); default 0.9 */
  double beta2;    /**< of MCL_ADAM, [0, 1); default 0.999 */
  double epsilon;  /**< of MCL_ADAM, above 0; default 1e-8 */
  /** At least 0; default 0. Without MCL_DECOUPLED_DECAY, weight_decay * (sum of w^2) is added to the loss, so
   *  2 weight_decay w to the gradient (Keras's `l2`; half of PyTorch's `weight_decay`). Kernels of convolutions and dense
   *  layers and tables of embeddings, never biases nor the scales and shifts of norms. */
  double weight_decay;
} mcl_optimiser_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_optimiser_options_init(mcl_optimiser_options *options, size_t struct_size);

/** A multilayer perceptron: `layers` times (dense `hidden`, ReLU), then dense `dim` = the embedding; then, unless
 *  projection_dim is 0, ReLU and dense `projection_dim` = the projection. Prepared by mcl_mlp_options_init(). */
typedef struct mcl_mlp_options {
  size_t struct_size;
  uint64_t seed;          /**< of the initial weights; default 0 */
  int64_t inputs;         /**< numbers a row, 1 .. 16777216; must be set */
  int32_t hidden;         /**< 1 .. 65536; default 256 */
  int32_t layers;         /**< 0 .. 16; default 2 */
  int32_t dim;            /**< 1 .. 65536; default 128 */
  int32_t projection_dim; /**< 0 .. 65536; default 64; 0: no head, forward gives the embedding */
  const mcl_optimiser_options *optimiser; /**< NULL: the defaults */
} mcl_mlp_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_mlp_options_init(mcl_mlp_options *options, size_t struct_size);

/** Makes an MLP. Initial weights: see mcl_encoder_create_cnn().
 *  Errors: MCL_E_INVALID (a field, named), MCL_E_UNSUPPORTED (an unknown tail), MCL_E_LIMIT (over 2^29 weights),
 *  MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_encoder_create_mlp(mcl_context *context,
                                                    const mcl_mlp_options *options,
                                                    mcl_encoder **out, mcl_error *err);

/** Padding of convolutions: mcl_encoder_create_cnn() has both. */
enum {
  MCL_PADDING_SAME = 0, /**< zeros around the image */
  MCL_PADDING_VALID     /**< none: a layer sees whole windows only */
};

/** Initial weights: mcl_encoder_create_cnn() has both. */
enum {
  MCL_INIT_FAN_IN = 0, /**< by a layer's inputs */
  MCL_INIT_GLOROT      /**< by inputs and outputs */
};

/** A convolutional network for rows of images [height, width, channels], row-major:
 *
 *    `layers` times:  convolution, [batch norm,] ReLU
 *    flatten
 *    dense `dim` [, batch norm, ReLU]                               = the embedding
 *    [ReLU, where it has not been taken yet]
 *    where projection_hidden > 0:  dense `projection_hidden`, [batch norm,] ReLU
 *    dense `projection_dim`                                         = the projection
 *
 *  What is in brackets [batch norm ...] is there when batch_norm is not 0. Without batch norm the embedding is the dense
 *  layer's output as it is, negative numbers too. projection_dim 0: no head at all, forward gives the embedding.
 *
 *  Convolutions are padded with zeros as TensorFlow's "same" (MCL_PADDING_SAME): out = ceil(in / stride), the padding in all
 *  is max((out - 1) stride + kernel - in, 0), of which the smaller half lies above and to the left; or not at all
 *  (MCL_PADDING_VALID): out = floor((in - kernel) / stride) + 1. Each layer has a bias unless batch norm follows it.
 *
 *  Batch norm (Ioffe & Szegedy 2015, algorithms 1 and 2), epsilon 1e-5: in training by the mean and variance of a channel over the
 *  rows of one forward call; running figures move by a tenth of the way at each step, a view at a time in the order -1, 0, 1,
 *  with the unbiased variance (as PyTorch). Of a view in chunks they move once, towards the mean of the chunks' figures,
 *  weighted by their rows: evaluation then normalises as the chunks were, at a pace that does not depend on how many there
 *  were. A forward whose channel has one number only gives the shift alone and does not count for the running figures. */
typedef struct mcl_cnn_options {
  size_t struct_size;
  uint64_t seed;    /**< of the initial weights; default 0 */
  int32_t height;   /**< 1 .. 4096; must be set; so must the next two */
  int32_t width;    /**< 1 .. 4096 */
  int32_t channels; /**< 1 .. 4096 */
  int32_t layers;   /**< convolutions, 1 .. 16; default 3 */
  /** [layers] each, copied. NULL, the default: filters 32, then 64; kernels 5, then 3; strides 2, 2, then 1: with three
   *  layers a network for images of 14 to 64 pixels a side. */
  const int32_t *filters;                 /**< output channels, 1 .. 4096 */
  const int32_t *kernels;                 /**< sides, 1 .. 15 */
  const int32_t *strides;                 /**< 1 .. 15 */
  uint32_t batch_norm;                    /**< 0 (the default) or 1 */
  int32_t dim;                            /**< 1 .. 65536; default 128 */
  int32_t projection_hidden;              /**< 0 .. 65536; default 0: the head is one dense layer */
  int32_t projection_dim;                 /**< 0 .. 65536; default 64 */
  const mcl_optimiser_options *optimiser; /**< NULL: the defaults */
  int32_t padding; /**< MCL_PADDING_SAME, the default, or MCL_PADDING_VALID */
  int32_t init;    /**< MCL_INIT_FAN_IN, the default, or MCL_INIT_GLOROT */
} mcl_cnn_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_cnn_options_init(mcl_cnn_options *options, size_t struct_size);

/** Makes a convolutional network.
 *  Initial weights are a function of (seed, tensor, place). MCL_INIT_FAN_IN: kernels and biases are uniform in +-1 / sqrt(fan_in)
 *  (after LeCun et al. 1998, Efficient BackProp, eq. 16; PyTorch's default). MCL_INIT_GLOROT: kernels are uniform in
 *  +-sqrt(6 / (fan_in + fan_out)), biases 0 (Glorot & Bengio 2010, eq. 16; Keras's default). Shifts are 0, scales of batch norm 1.
 *  Without batch norm larger kernels, or biases of 0, suppress less in stage 0 and teach less in later stages:
 *  lib/nn/params.h has the figures.
 *  Errors: MCL_E_INVALID (a field, named), MCL_E_UNSUPPORTED (an unknown tail), MCL_E_SHAPE (MCL_PADDING_VALID: a kernel larger
 *  than what its layer sees, named), MCL_E_LIMIT (over 2^29 weights, or 2^28 numbers in a layer's output for one row),
 *  MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_encoder_create_cnn(mcl_context *context,
                                                    const mcl_cnn_options *options,
                                                    mcl_encoder **out, mcl_error *err);

/** What a residual network begins with. */
enum {
  /** A convolution 7 x 7 of stride 2, batch norm, ReLU, and the largest of 3 x 3 pixels at stride 2. */
  MCL_STEM_IMAGENET = 0,
  /** A convolution 3 x 3 of stride 1, batch norm and ReLU, for images of some 32 pixels a side (Chen et al. 2020, SimCLR,
   *  appendix B.9). */
  MCL_STEM_CIFAR = 1
};

/** A residual network for rows of images [height, width, channels], row-major (He et al. 2016, "Deep Residual Learning for Image
 *  Recognition", sections 3.3 and 4.1, table 1), layer for layer torchvision's:
 *
 *    (image - mean) / deviation, of each channel, where either is given
 *    the stem
 *    four groups of blocks, of f, 2 f, 4 f and 8 f filters, f = `filters`; the first block of the last three has stride 2
 *    the mean of all pixels                                           = the embedding, 8 f numbers, or 32 f with depth 50
 *    where projection_dim > 0:  projection_layers - 1 times (dense `projection_hidden`, batch norm, ReLU), dense projection_dim
 *                                                                     = the projection
 *
 *  A block is ReLU(x + F(x)). With depth 18 (2, 2, 2, 2 blocks) and 34 (3, 4, 6, 3) F is two convolutions 3 x 3; with depth 50
 *  (3, 4, 6, 3) it is 1 x 1, 3 x 3 and 1 x 1 of 4 times the filters, and the stride is the 3 x 3's. Batch norm follows each, and
 *  ReLU all but the last. Where stride or filters change, x passes through a convolution 1 x 1 and batch norm of its own.
 *  Convolutions have no bias and are padded with kernel / 2 zeros on all four sides. Batch norm is that of
 *  mcl_encoder_create_cnn(). The head is SimCLR's (Chen et al. 2020, section 2.1), deeper as in SimCLR v2 (Chen et al. 2020b,
 *  section 3). Prepared by mcl_resnet_options_init(). */
typedef struct mcl_resnet_options {
  size_t struct_size;
  uint64_t seed;    /**< of the initial weights; default 0 */
  int32_t height;   /**< 1 .. 4096; must be set; so must the next two */
  int32_t width;    /**< 1 .. 4096 */
  int32_t channels; /**< 1 .. 4096 */
  int32_t depth;    /**< 18 (the default), 34 or 50 */
  int32_t stem;     /**< MCL_STEM_IMAGENET (the default) or MCL_STEM_CIFAR */
  int32_t filters;  /**< of the first group, 1 .. 1024; default 64 */
  /** -1, the default: all weights are trained. n, 0 .. all blocks: the last n blocks and the head are, while stem and blocks
   *  before keep weights and running figures to the bit: their batch norms work by these in training too, and they cost neither
   *  a backward pass nor memory for gradients and moments. */
  int32_t trained_blocks;
  int32_t projection_layers; /**< dense layers of the head, 1 .. 8; default 2 */
  int32_t projection_hidden; /**< 0 .. 65536; default 0: as wide as the embedding */
  int32_t projection_dim;  /**< 0 .. 65536; default 128; 0: no head, forward gives the embedding */
  const double *mean;      /**< [channels], finite, copied; NULL, the default: 0 */
  const double *deviation; /**< [channels], above 0, copied; NULL, the default: 1 */
  const mcl_optimiser_options *optimiser; /**< NULL: the defaults */
} mcl_resnet_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_resnet_options_init(mcl_resnet_options *options, size_t struct_size);

/** Makes a residual network. Initial weights: convolutions normal with deviation sqrt(2 / (kernel kernel filters)) (He et al. 2015,
 *  "Delving Deep into Rectifiers", section 2.2, backward; as torchvision), scales 1, shifts 0, the head as in
 *  mcl_encoder_create_cnn(). mean and deviation are kept in the file that mcl_encoder_save() writes, and mcl_encoder_load()
 *  reads them. Weight decay holds for kernels.
 *  Errors: as mcl_encoder_create_cnn(); MCL_E_SHAPE too where a convolution is left with no pixel. */
MCL_API MCL_CHECK mcl_status mcl_encoder_create_resnet(mcl_context *context,
                                                       const mcl_resnet_options *options,
                                                       mcl_encoder **out, mcl_error *err);

/** Gaussian error linear units (Hendrycks & Gimpel 2016). */
enum {
  MCL_GELU = 1,  /**< x Phi(x) */
  MCL_GELU_QUICK /**< x / (1 + exp(-1.702 x)), which CLIP was trained with */
};

/** A vision transformer for rows of images [height, width, channels], row-major (Dosovitskiy et al. 2021, "An Image is Worth
 *  16x16 Words", section 3.1; with the defaults the image tower of CLIP, Radford et al. 2021, section 2.4):
 *
 *    (image - mean) / deviation, of each channel
 *    patches of `patch` x `patch` pixels, each times a kernel that is learnt: tokens of `embed` numbers
 *    where class_token: a token that is learnt, in front of them
 *    + learned positions
 *    where pre_norm: layer norm
 *    `layers` times:  x + attention(layer norm x),  then  x + dense(GELU(dense `hidden` (layer norm x)))
 *    where class_token the first token, else the mean of all; layer norm
 *    where dim > 0:  dense `dim`, without a bias                    = the embedding
 *    where projection_dim > 0:  ReLU, dense `projection_dim`        = the projection
 *
 *  With dim 0 the layer norm's `embed` numbers are the embedding: a pair's own projection takes the dense layer's place. The
 *  patches' kernel has no bias unless patch_bias says so: positions can do what it does. Attention and layer norm are those of
 *  mcl_encoder_create_text(), without a mask. Images of bytes are divided by 255 before the mean is taken off.
 *
 *  torchvision's vit_b_16 is: patch 16, embed 768, layers 12, heads 12, gelu MCL_GELU, class_token 1, pre_norm 0, patch_bias 1,
 *  epsilon 1e-6 (mcl_encoder_load_torch()). Prepared by mcl_vit_options_init(). */
typedef struct mcl_vit_options {
  size_t struct_size;
  uint64_t seed;       /**< of the initial weights; default 0 */
  int32_t height;      /**< 1 .. 4096; must be set; so must the next three */
  int32_t width;       /**< 1 .. 4096 */
  int32_t channels;    /**< 1 .. 4096 */
  int32_t patch;       /**< side of a patch; divides height and width */
  int32_t embed;       /**< numbers of a token, 1 .. 65536; default 128; CLIP ViT-B: 768 */
  int32_t layers;      /**< blocks, 1 .. 64; default 4; CLIP ViT-B: 12 */
  int32_t heads;       /**< divides `embed`; default 4; CLIP: embed / 64 */
  int32_t hidden;      /**< 0 .. 262144; default 0: 4 times `embed` */
  int32_t gelu;        /**< MCL_GELU_QUICK (the default) or MCL_GELU */
  int32_t class_token; /**< 1 (the default) or 0 */
  int32_t pre_norm;    /**< 1 (the default) or 0 */
  /** -1, the default: all weights are trained. n, 0 .. layers: the last n blocks and what follows them are, while the
   *  patches' kernel, class token, positions and the blocks before keep their weights to the bit, and cost neither a
   *  backward pass nor memory for gradients, moments and activations. */
  int32_t trained_blocks;
  int32_t dim;             /**< 0 .. 65536; default 128; 0: no dense layer, `embed` numbers */
  int32_t projection_dim;  /**< 0 .. 65536; default 64; 0: no head, forward gives the embedding */
  const double *mean;      /**< [channels], finite, copied; NULL, the default: 0 */
  const double *deviation; /**< [channels], above 0, copied; NULL, the default: 1 */
  const mcl_optimiser_options *optimiser; /**< NULL: the defaults */
  double epsilon;     /**< of the layer norms, 1e-12 .. 1; default 1e-5; torchvision: 1e-6 */
  int32_t patch_bias; /**< 1: the patches' kernel has a bias, as torchvision's; default 0 */
  int32_t reserved;   /**< 0 */
} mcl_vit_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_vit_options_init(mcl_vit_options *options, size_t struct_size);

/** Makes a vision transformer. Initial weights: the patches' kernel as in mcl_encoder_create_cnn(), class token and positions
 *  normal with deviation 1 / sqrt(embed), the rest as in mcl_encoder_create_text(). mean and deviation are kept in the file
 *  that mcl_encoder_save() writes, and mcl_encoder_load() reads them. Weight decay holds for kernels, class token and
 *  positions. With t tokens a row, activations of a training step take about 4 (8 + 2 hidden / embed) embed layers t bytes a
 *  row.
 *  Errors: as mcl_encoder_create_cnn(). */
MCL_API MCL_CHECK mcl_status mcl_encoder_create_vit(mcl_context *context,
                                                    const mcl_vit_options *options,
                                                    mcl_encoder **out, mcl_error *err);

/** Writes a residual network or a vision transformer as torchvision keeps its models: a safetensors file with the names and
 *  layouts of their state dicts, float32, of weights and running figures alone (docs/torchvision.md has the list).
 *  load_state_dict() takes it, strictly too, where the model ends as this encoder does: `fc`, or a vision transformer's `heads`, is
 *  torch.nn.Identity() for an encoder without a projection, and else a torch.nn.Sequential of the projection's layers, or
 *  torchvision's own `fc` where the head of a residual network is one dense layer. `mean` and `deviation` are no part of it:
 *  PyTorch is to be given pixels that have been brought to scale. Where there is no patch_bias, conv_proj.bias is 0.
 *
 *  Of vision transformers torchvision has those with a class token, without pre_norm, with MCL_GELU, and has epsilon 1e-6.
 *  Any encoder is saved for training to go on by mcl_encoder_save() only.
 *  Errors: MCL_E_INVALID (NULL), MCL_E_UNSUPPORTED (an encoder that torchvision has no model like: what it has is named), and as
 *  mcl_encoder_save(). */
MCL_API MCL_CHECK mcl_status mcl_encoder_save_torch(mcl_encoder *encoder, const char *path,
                                                    mcl_error *err);

/** Reads weights and running figures of a safetensors file with torchvision's names and layouts, in float32, float16, bfloat16 or
 *  float64, into an encoder of the same layers: what mcl_encoder_save_torch() wrote, or a checkpoint of torchvision's that
 *  scripts/safetensors.py has converted. The optimiser begins anew: moments and steps are 0. Activations and gradients held
 *  are forgotten; `mean` and `deviation` stay. On failure the encoder is as before.
 *
 *  The head: where the file has a projection under the names of mcl_encoder_save_torch(), all of it must be there; where it
 *  has torchvision's classifier (`fc.weight`, `heads.head.weight`, ...) or nothing, the encoder's own projection stays.
 *  `fc.weight` and `fc.bias` are read where the projection is a residual network's one dense layer.
 *
 *  Positions for a square of another number of patches are interpolated as torchvision's interpolate_embeddings() does,
 *  bicubically with corners kept; where the number of tokens is the encoder's they are taken as they are. An encoder without
 *  patch_bias adds the file's conv_proj.bias to the positions of the patches, which gives the same embeddings. `num_batches_tracked` is
 *  ignored, and torchvision's names before 0.14 (`mlp.linear_1`) are read too.
 *  Errors: MCL_E_INVALID (NULL), MCL_E_UNSUPPORTED (as mcl_encoder_save_torch(); a type that is not read), MCL_E_MISMATCH (a
 *  tensor that is missing, too many, of another shape or no float type: tensor and file are named, and both shapes),
 *  MCL_E_NOT_FINITE (a tensor, named), MCL_E_NOT_FOUND, MCL_E_IO, MCL_E_FORMAT, MCL_E_NOMEM, MCL_E_BUSY. */
MCL_API MCL_CHECK mcl_status mcl_encoder_load_torch(mcl_encoder *encoder, const char *path,
                                                    mcl_error *err);

/* ---- networks for texts -------------------------------------------------------------------------------------------------- */

/** Rows of tokens: in->data is MCL_I32 [n, context], ids in 0 .. vocabulary - 1. A row *ends* with the first token `end`;
 *  where there is none (or `end` is -1), with the last token that is not `padding`; a row of padding alone, with its first
 *  token. Of what lies behind its end nothing is seen.
 *  An id out of range is MCL_E_INVALID with the row; another type is MCL_E_DTYPE. */

/** A bag of embeddings: the embeddings of a row's tokens, but for padding, added up or averaged; `layers` times (dense
 *  `hidden`, ReLU); dense `dim` = the embedding; then, unless projection_dim is 0, ReLU and dense `projection_dim`. All
 *  tokens but padding count, wherever they stand: a bag knows neither order nor end. Prepared by mcl_bag_options_init(). */
typedef struct mcl_bag_options {
  size_t struct_size;
  uint64_t seed;          /**< of the initial weights; default 0 */
  int32_t vocabulary;     /**< 1 .. 16777216; must be set; so must the next one */
  int32_t context;        /**< tokens a row, 1 .. 65536 */
  int32_t embed;          /**< numbers of a token's embedding, 1 .. 65536; default 64 */
  int32_t mean;           /**< 0 (the default): the sum; 1: the mean, of no tokens 0 */
  int32_t hidden;         /**< 1 .. 65536; default 128 */
  int32_t layers;         /**< 0 .. 16; default 1 */
  int32_t padding;        /**< an id that counts as no token; default 0; -1: none */
  int32_t dim;            /**< 1 .. 65536; default 128 */
  int32_t projection_dim; /**< 0 .. 65536; default 0: no head, forward gives the embedding */
  int32_t reserved;       /**< 0 */
  const mcl_optimiser_options *optimiser; /**< NULL: the defaults */
} mcl_bag_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_bag_options_init(mcl_bag_options *options, size_t struct_size);

/** Makes a bag of embeddings. Embeddings begin normal with deviation 1, the rest as in mcl_encoder_create_cnn(). Weight
 *  decay holds for embeddings too.
 *  Errors: as mcl_encoder_create_mlp(). */
MCL_API MCL_CHECK mcl_status mcl_encoder_create_bag(mcl_context *context,
                                                    const mcl_bag_options *options,
                                                    mcl_encoder **out, mcl_error *err);

/** A transformer over tokens, the text tower of CLIP (Radford et al. 2021, section 2.4; Vaswani et al. 2017):
 *
 *    embeddings of the tokens + learned positions
 *    `layers` times:  x + attention(layer norm x),  then  x + dense(GELU(dense `hidden` (layer norm x)))
 *    the token that ends the row, layer norm
 *    where dim > 0:  dense `dim`, without a bias                    = the embedding
 *    where projection_dim > 0:  ReLU, dense `projection_dim`        = the projection
 *
 *  With dim 0 the layer norm's `embed` numbers are the embedding: a pair's own projection takes the dense layer's place.
 *  Attention: `heads` of embed / heads numbers each, scores by their square root. Layer norm (Ba et al. 2016): epsilon 1e-5.
 *  Prepared by mcl_text_options_init(). */
typedef struct mcl_text_options {
  size_t struct_size;
  uint64_t seed;      /**< of the initial weights; default 0 */
  int32_t vocabulary; /**< 1 .. 16777216; must be set; so must the next one */
  int32_t context;    /**< tokens a row, 1 .. 65536; CLIP: 77 */
  int32_t embed;      /**< numbers of a token, 1 .. 65536; default 128; CLIP: 512 */
  int32_t layers;     /**< 1 .. 64; default 2; CLIP: 12 */
  int32_t heads;      /**< divides `embed`; default 4; CLIP: 8 */
  int32_t
      causal;   /**< 1 (the default): a token sees itself and those before it; 0: all of its row */
  int32_t gelu; /**< MCL_GELU_QUICK (the default) or MCL_GELU */
  int32_t padding;        /**< default 0; -1: none */
  int32_t end;            /**< default -1: none */
  int32_t dim;            /**< 0 .. 65536; default 128; 0: no dense layer, `embed` numbers */
  int32_t projection_dim; /**< 0 .. 65536; default 0: no head, forward gives the embedding */
  /** -1, the default: all weights are trained. n, 0 .. layers: the last n blocks and what follows them; see mcl_vit_options. */
  int32_t trained_blocks;
  const mcl_optimiser_options *optimiser; /**< NULL: the defaults */
  int32_t hidden;                         /**< 0 .. 262144; default 0: 4 times `embed` */
  int32_t reserved;                       /**< 0 */
} mcl_text_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_text_options_init(mcl_text_options *options, size_t struct_size);

/** Makes a transformer. Initial weights are CLIP's: normal, with deviation .02 for embeddings, .01 for positions, and by
 *  width and depth for the rest; biases 0. Activations of a training step take about 4 (16 embed context layers) bytes a row.
 *  Weight decay holds for kernels, embeddings and positions.
 *  Errors: as mcl_encoder_create_cnn(). */
MCL_API MCL_CHECK mcl_status mcl_encoder_create_text(mcl_context *context,
                                                     const mcl_text_options *options,
                                                     mcl_encoder **out, mcl_error *err);

/* ---- two modalities ------------------------------------------------------------------------------------------------------ */

/** Two encoders as one of two modalities (Radford et al. 2021, "CLIP", section 2.3). Prepared by mcl_pair_options_init(). */
typedef struct mcl_pair_options {
  size_t struct_size;
  uint64_t seed; /**< of the projections' weights; default 0 */
  /** Where the learnt temperature begins, .01 .. 1; default .07, CLIP's. 0: none is learnt, the loss's own option holds.
   *  What is learnt is log 1/tau, held after each step in 0 .. log 100, as CLIP does: scores are scaled by at most 100. */
  double temperature;
  uint32_t locked; /**< bit m: the encoder of modality m is locked; default 0 */
  int32_t
      dim; /**< both are projected to this width, 1 .. 65536; default 0: they have one width already */
  const mcl_optimiser_options *optimiser; /**< of projections and temperature; NULL: the defaults */
} mcl_pair_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_pair_options_init(mcl_pair_options *options, size_t struct_size);

/** Makes one encoder of two: modality 0 goes to `image`, 1 to `text`, each of which is given it as its modality 0. Either may
 *  be a host's; each keeps its own optimiser. References to both are kept: calls to them from elsewhere between a forward and
 *  its step would disturb the batch.
 *
 *  dim 0: embeddings and projections are theirs, and must be of one width.
 *  dim > 0: the embedding of either, times a matrix [width, dim] that is learnt, without a bias, is the pair's embedding and
 *  its projection alike, as in CLIP. An encoder that is not locked must give the loss its embedding then: no head of its own.
 *
 *  A locked encoder is frozen (Zhai et al. 2022, "LiT"): forward gives its embedding in evaluation mode, nothing goes back to
 *  it, no step moves it; only its embed is needed.
 *
 *  A step that cannot be taken because a gradient of a built-in encoder, a projection or the temperature is not finite moves
 *  neither; where both are a host's, one that fails may leave the other moved.
 *
 *  mcl_encoder_save() writes one file with both: a built-in encoder's tensors under "image." or "text.", all bytes of a
 *  host's file (which it writes and reads beside the pair's, at a name that begins with PATH.image or PATH.text, for the
 *  length of the call) as one tensor; a locked host's encoder without a save is left out.
 *  Errors: MCL_E_INVALID (an option or argument, named; nothing would be trained), MCL_E_SHAPE (the widths differ, or an
 *  encoder has a head), MCL_E_UNSUPPORTED (an unknown tail; an encoder that is not locked without forward, backward or step),
 *  MCL_E_LIMIT, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_encoder_create_pair(mcl_context *context,
                                                     const mcl_pair_options *options,
                                                     mcl_encoder *image, mcl_encoder *text,
                                                     mcl_encoder **out, mcl_error *err);

/** What a file of CLIP does not say. Prepared by mcl_clip_options_init(). */
typedef struct mcl_clip_options {
  size_t struct_size;
  int32_t image_heads; /**< divides the image tower's width; default 0: width / 64, as in CLIP */
  int32_t text_heads;  /**< likewise, of the text tower */
  int32_t gelu; /**< MCL_GELU_QUICK (the default, OpenAI's) or MCL_GELU (most of OpenCLIP's) */
  int32_t trained_image_blocks; /**< as trained_blocks of mcl_vit_options; default -1: all */
  int32_t trained_text_blocks;  /**< as trained_blocks of mcl_text_options; default -1: all */
  uint32_t locked;              /**< as in mcl_pair_options; default 0 */
  const double *mean;           /**< [channels] of pixels in 0 .. 1; NULL, the default: CLIP's */
  const double *deviation;      /**< likewise */
  const mcl_optimiser_options
      *optimiser; /**< of towers, projections, temperature; NULL: the defaults */
} mcl_clip_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_clip_options_init(mcl_clip_options *options, size_t struct_size);

/** Makes a pair of a CLIP that was trained elsewhere: `path` is a safetensors file whose tensors have the names and shapes of
 *  OpenAI's state dict, with a vision transformer as its image tower, in float32, float16, bfloat16 or float64
 *  (docs/clip.md has the list, and how such a file is made). All sizes follow from the shapes, so there is no pair to be made
 *  for it beforehand: an mcl_vit with `dim` 0, an mcl_text with `dim` 0 whose `end` is the vocabulary's last token, projected
 *  to one width, with the file's temperature, which goes on being learnt. Images are [side, side, channels], bytes or 0 .. 1,
 *  brought to scale by the network; rows of tokens are as long as the file's text positions.
 *
 *  What is trained: locked bit 0 or 1 freezes a tower whole, trained_image_blocks and trained_text_blocks all of it but its
 *  last blocks and its last layer norm; the projections are trained always. What is frozen takes no memory for gradients and
 *  moments.
 *
 *  A row of tokens without an end token ends with its last one that is not 0, where OpenAI's code takes the one with the
 *  highest id. The tensors input_resolution, context_length and vocab_size of OpenAI's archives are ignored.
 *
 *  Errors: MCL_E_INVALID (an option, named), MCL_E_UNSUPPORTED (an unknown tail; a file with Hugging Face's names, or with a
 *  ResNet; a type that is not read), MCL_E_FORMAT (not a safetensors file; a tensor that is missing, too many, of another shape
 *  or no float type; a logit_scale outside 0 .. log 100: tensor and file are named), MCL_E_NOT_FINITE (a tensor, named),
 *  MCL_E_LIMIT, MCL_E_NOT_FOUND, MCL_E_IO, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_encoder_create_clip(mcl_context *context,
                                                     const mcl_clip_options *options,
                                                     const char *path, mcl_encoder **out,
                                                     mcl_error *err);

MCL_END_DECLS

#endif
