/* The stage integrator: one representation out of the embeddings of all stages.
 *
 * A row's representation is the concatenation of its embeddings, stage 0 first, each L2-normalised and multiplied by
 * its stage's weight:
 *
 *     r_i = ( w_0 z_i0 / |z_i0| , w_1 z_i1 / |z_i1| , ... )
 *
 * (Zhang et al. 2024, "Learning the Unlearned: Mitigating Feature Suppression in Contrastive Learning", section 3.3, where
 * all weights are 1.) A zero embedding stays zero. By cosine, two representations without zero embeddings are compared by
 *
 *     cos(r_i, r_j) = sum_s q_s cos(z_is, z_js),   q_s = w_s^2 / sum_t w_t^2
 *
 * With equal weights early stages, whose cosines spread widest, dominate it (docs/evidence.md). Which weights to use:
 *
 *   - A linear map goes on top (a probe, a last layer): any. It undoes the weights, but for its own penalty.
 *   - Rows are compared by cosine (nearest neighbours, retrieval, clustering) and there are no labels:
 *     mcl_integrator_set_growth() with a base of 2 to 4, the larger the more the last stages are wanted.
 *   - The same, and a few rows of the task have labels: mcl_integrator_fit_weights().
 *   - One stage is known to hold what is wanted: mcl_integrator_view() of it alone.
 *
 * Stages begin with the weight they are added with, and mcl_multistage_run() adds stage s with growth^s, an option of the
 * loop whose default is 2.
 *
 * Threads: const calls from several threads at once, but not beside another call. Of two other calls at once, also when
 * the second comes from a callback of one of the encoders, the second is MCL_E_BUSY and does nothing. */
#ifndef LIBMCL_INTEGRATOR_H
#define LIBMCL_INTEGRATOR_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/context.h>
#include <libmcl/encoder.h>
#include <libmcl/export.h>
#include <libmcl/inputs.h>
#include <libmcl/rows.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** Reference-counted; keeps its context and its encoders. */
typedef struct mcl_integrator mcl_integrator;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_integrator *mcl_integrator_ref(mcl_integrator *integrator);

/** Gives a reference back; NULL is fine. */
MCL_API void mcl_integrator_unref(mcl_integrator *integrator);

/** Prepared by mcl_integrator_options_init(). Each stage is normalised, then weighted: there is nothing to choose yet. */
typedef struct mcl_integrator_options {
  size_t struct_size;
  uint32_t flags;   /**< 0 */
  int32_t reserved; /**< 0 */
} mcl_integrator_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_integrator_options_init(mcl_integrator_options *options, size_t struct_size);

/** Makes an integrator without stages. `options` NULL: the defaults.
 *  Errors: MCL_E_INVALID, MCL_E_UNSUPPORTED (a flag or an unknown tail), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_integrator_create(mcl_context *context,
                                                   const mcl_integrator_options *options,
                                                   mcl_integrator **out, mcl_error *err);

/** Adds the next stage. encoder: kept; NULL for a stage whose embeddings the host makes itself and hands to
 *  mcl_integrator_concat(). dim: numbers an embedding; 0 means the encoder's, and where there is an encoder it must be the
 *  encoder's. weight: finite, 1e-30 .. 1e30; 1 for every stage is the paper's choice.
 *  Errors: MCL_E_INVALID, MCL_E_SHAPE (dim is not the encoder's), MCL_E_LIMIT (the sum of dims is over 2^31 - 1),
 *  MCL_E_NOMEM, MCL_E_BUSY. */
MCL_API MCL_CHECK mcl_status mcl_integrator_add_stage(mcl_integrator *integrator,
                                                      mcl_encoder *encoder, int32_t dim,
                                                      double weight, mcl_error *err);

/** How many stages there are; 0 for NULL. */
MCL_API int32_t mcl_integrator_stages(const mcl_integrator *integrator);

/** The sum of the stages' dims: numbers of a representation; 0 for NULL. */
MCL_API int32_t mcl_integrator_dim(const mcl_integrator *integrator);

/** The columns of a stage in a representation: *first .. *first + *dim - 1. Either output may be NULL.
 *  Errors: MCL_E_INVALID, MCL_E_NOT_FOUND (no such stage). */
MCL_API MCL_CHECK mcl_status mcl_integrator_stage_range(const mcl_integrator *integrator,
                                                        int32_t stage, int32_t *first, int32_t *dim,
                                                        mcl_error *err);

/** Representations of the rows of `in`: every stage's encoder embeds them (mcl_encoder_embed()) in blocks of at most 512
 *  rows, with in->stage replaced by the stage's number (of a view: its number in the integrator it is a view of). An
 *  encoder whose rows depend on the rows beside them is not one in evaluation mode.
 *  in->data, if any, is [in->n, ...]; out: [in->n, mcl_integrator_dim()] of any float type. Memory: in->n times dim
 *  float32, since `out` is written on success only.
 *  Errors: MCL_E_INVALID, MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_STATE (no stages, or one without an encoder), MCL_E_LIMIT,
 *  MCL_E_NOMEM, MCL_E_BUSY, what an encoder returns, its stage named; mcl_error.row is the place in the batch. */
MCL_API MCL_CHECK mcl_status mcl_integrator_embed(mcl_integrator *integrator, const mcl_inputs *in,
                                                  const mcl_array *out, mcl_error *err);

/** Representations of embeddings that were made elsewhere. stages [n]: of each stage an array [rows, dim of the stage] of
 *  any float type, n the number of stages; out: [rows, mcl_integrator_dim()] of any float type, overlapping none of them.
 *  The same bits as mcl_integrator_embed() gives for the same embeddings.
 *  Errors: MCL_E_INVALID, MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_NOT_FINITE (a row, its stage named), MCL_E_STATE (no stages),
 *  MCL_E_NOMEM, MCL_E_CALLBACK (a host's runner failed; then, and only then, `out` may be written in part). */
MCL_API MCL_CHECK mcl_status mcl_integrator_concat(const mcl_integrator *integrator,
                                                   const mcl_array *stages, int32_t n,
                                                   const mcl_array *out, mcl_error *err);

/** The same of rows first .. first + rows - 1 of embeddings from anywhere (libmcl/rows.h). stages [n]: of each stage an mcl_rows,
 *  all prepared with the same size and with equally many rows. Arrays, and rows with MCL_ROWS_ANY_THREAD, are read by all
 *  threads of the context, others on the calling thread, in blocks of 256 rows. out: [rows, mcl_integrator_dim()].
 *
 *  So the representation of embeddings that do not fit in memory is itself rows, for k-means, a probe or another integrator:
 *
 *    static mcl_status representation(void *user, int64_t first, int64_t n, const mcl_array *out, mcl_error *err) {
 *      const struct mine *m = user;
 *      return mcl_integrator_concat_rows(m->integrator, m->stages, m->n, first, n, out, err);
 *    }
 *
 *  `dim` is then mcl_integrator_dim(), `dtype` MCL_F32, and `flags` may have MCL_ROWS_ANY_THREAD where every stage is an array
 *  or has it.
 *
 *  Memory: a block of every stage as float32, and once more 8 bytes a number where a callback writes another type; of more
 *  than 256 rows, that a thread. Errors: as above; MCL_E_LIMIT (there are no such rows); MCL_E_UNSUPPORTED (a flag); what
 *  reading returns. Where a stage is no array, a call that fails may have written a part of `out`. */
MCL_API MCL_CHECK mcl_status mcl_integrator_concat_rows(const mcl_integrator *integrator,
                                                        const mcl_rows *stages, int32_t n,
                                                        int64_t first, int64_t rows,
                                                        const mcl_array *out, mcl_error *err);

/** Another weight for a stage: finite, 1e-30 .. 1e30.
 *  Errors: MCL_E_INVALID, MCL_E_NOT_FOUND (no such stage), MCL_E_BUSY. */
MCL_API MCL_CHECK mcl_status mcl_integrator_set_weight(mcl_integrator *integrator, int32_t stage,
                                                       double weight, mcl_error *err);

/** A stage's weight into *weight.
 *  Errors: MCL_E_INVALID, MCL_E_NOT_FOUND (no such stage). */
MCL_API MCL_CHECK mcl_status mcl_integrator_get_weight(const mcl_integrator *integrator,
                                                       int32_t stage, double *weight,
                                                       mcl_error *err);

/** Weights that grow from stage to stage: base^s for each stage s that there is now (one added later has the weight it is
 *  added with). base 1 is the paper's plain concatenation. A base of 2 to 4 lets what later stages learnt decide a cosine,
 *  at the price of what stage 0 knows: docs/evidence.md has the figures. base: above 0, every base^s within 1e-30 .. 1e30.
 *  Errors: MCL_E_INVALID, MCL_E_STATE (no stages), MCL_E_BUSY. On failure no weight has changed. */
MCL_API MCL_CHECK mcl_status mcl_integrator_set_growth(mcl_integrator *integrator, double base,
                                                       mcl_error *err);

/** How weights are judged by labelled rows. P(i) are the other rows of i's label, s_ij the inner products of representations
 *  (their common scale is fitted too, so there is no temperature), p_ij = exp s_ij / sum over k != i of exp s_ik:
 *
 *    MCL_WEIGHTS_NEIGHBOURS   -mean_i log( sum over j in P(i) of p_ij )
 *                             some rows of i's label are near (Goldberger et al. 2004, "Neighbourhood Components Analysis",
 *                             section 3: the logarithmic form, over one number a stage in place of a matrix)
 *    MCL_WEIGHTS_CONTRASTIVE  -mean_i 1/|P(i)| sum over j in P(i) of log p_ij
 *                             all rows of i's label are near (Khosla et al. 2020, "Supervised Contrastive Learning", eq. 2)
 *
 *  The mean is over rows that share their label with another. Lower is better. The first is for kNN and for labels that fall
 *  into several groups; the second has one minimum, and leans harder on the stages that hold the label.
 *
 *  Where the rows are told apart without a mistake, a larger common scale is always better. So 1e-4 (log sum_s w_s^2 - log 10)^2,
 *  of the weights before the largest becomes 1, is added: it draws the scale to a temperature of 0.1, and hardly matters
 *  elsewhere (libmcl's own; docs/design.md). */
enum {
  MCL_WEIGHTS_NEIGHBOURS = 1, /**< some rows of its label are near a row */
  MCL_WEIGHTS_CONTRASTIVE     /**< all rows of its label are */
};

/** Prepared by mcl_weights_options_init(). */
typedef struct mcl_weights_options {
  size_t struct_size;
  int32_t method;         /**< MCL_WEIGHTS_NEIGHBOURS (the default) or MCL_WEIGHTS_CONTRASTIVE */
  int32_t neighbours;     /**< votes a row of the accuracies reported; >= 1; default 5 */
  int32_t max_iterations; /**< of L-BFGS, from each start; >= 1; default 200 */
  uint32_t flags;         /**< 0 */
  /** Added to the criterion: penalty times sum_s (log w_s - mean log w)^2; finite, >= 0; default 1e-3. It draws weights
   *  together where few labels say little; at 0 a stage that never helps goes straight to the floor. */
  double penalty;
} mcl_weights_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_weights_options_init(mcl_weights_options *options, size_t struct_size);

/** What fitting came to. Prepared by mcl_struct_init(). Weights: mcl_integrator_get_weight(). */
typedef struct mcl_weights_report {
  size_t struct_size;
  double
      criterion_before; /**< of the weights before, at their best common scale, without penalties */
  double criterion;     /**< of the weights fitted, without penalties */
  double
      accuracy_before; /**< share of rows that have the label of their nearest others, by cosine: the votes are */
  double accuracy; /**< those of mcl_probe_knn() on all rows but the one; before and after */
  int64_t
      anchors; /**< rows that share their label with another: what the criterion is a mean over */
  int32_t iterations; /**< of L-BFGS, from the start that was best */
  int32_t converged;  /**< 1: every derivative of it by a log w_s is within 1e-7 of 0 */
} mcl_weights_report;

/** Weights from a few labelled rows of the task at hand: one number a stage is fitted, so a hundred rows are enough where each
 *  label has half a dozen. They are for that label alone: weights that serve one attribute by cosine give up others.
 *
 *  rows: representations [n, mcl_integrator_dim()] of any float type, as mcl_integrator_embed() or mcl_integrator_concat()
 *  makes them; each stage's part is normalised, so weights they were made with do not matter. labels [n]: at least 0; equal
 *  numbers are one label. At least two labels must have two rows or more. Both are read during the call only. options NULL:
 *  the defaults. monitor NULL: none; its phase is "fit" (done: starts of L-BFGS, loss: criterion and penalties).
 *  report: may be NULL.
 *
 *  The largest weight becomes 1 and none less than 2^-10: its square, a stage's part of a cosine, is then the rounding of a
 *  float32, so the stage decides nothing, yet a linear map can still read it. The search begins at equal weights and, of
 *  MCL_WEIGHTS_NEIGHBOURS, once at each stage; the least cost is kept. The result depends on rows, labels and options
 *  alone, not on the weights before, and has the same bits for any number of threads.
 *
 *  Memory: 4 stages n^2 + 4 n dim bytes; time likewise n^2: a thousand rows take seconds.
 *  Errors, on which no weight has changed and nothing but `err` is written: MCL_E_INVALID (an option; a label below 0, its
 *  row in mcl_error.row; fewer than two labels of two rows), MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_NOT_FINITE (a row),
 *  MCL_E_STATE (no stages), MCL_E_UNSUPPORTED (a flag or an unknown tail), MCL_E_LIMIT (n^2 stages does not fit), MCL_E_NOMEM,
 *  MCL_E_CANCELLED, MCL_E_CALLBACK (a host's runner failed), MCL_E_BUSY. */
MCL_API MCL_CHECK mcl_status mcl_integrator_fit_weights(
    mcl_integrator *integrator, const mcl_weights_options *options, const mcl_array *rows,
    const int32_t *labels, const mcl_monitor *monitor, mcl_weights_report *report, mcl_error *err);

/** Some of the stages as an integrator of their own, in the order named: stages[i], each at most once, is the view's stage i.
 *
 *  Shared with `integrator`: the encoders, by reference, so training or loading one through either is seen by both, and of two
 *  calls that use one encoder at once the second is MCL_E_BUSY. Copied: weights, as they are now; later changes of one are not
 *  changes of the other. Encoders are told the stage's number in `integrator`. All other calls count the view's own
 *  stages, from 0: so does mcl_integrator_save(), and what a view saves is loaded into such a view. A view of a view is one
 *  too. *out is the caller's, to be given back by mcl_integrator_unref(); `integrator` may go before it.
 *  Errors: MCL_E_INVALID (n < 1, a stage named twice), MCL_E_NOT_FOUND (no such stage), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_integrator_view(const mcl_integrator *integrator,
                                                 const int32_t *stages, int32_t n,
                                                 mcl_integrator **out, mcl_error *err);

/** The stages, frozen, as one encoder: its embedding is their representation or, with a head, the head's embedding of it.
 *
 *  A head is any encoder that reads rows of mcl_integrator_dim() numbers, mcl_encoder_create_mlp() with `inputs` set to that
 *  for one: a *learned projection* of the concatenation. It is trained as every encoder is, on two views of each row: within
 *  cells by a loop of the host's own, with batches of mcl_sampler_batch() and their cells handed to mcl_loss_info_nce(); without
 *  cells also by mcl_multistage_run() of one stage. forward embeds the view with the stages in evaluation mode and hands it
 *  to the head's forward; backward and step are the head's, so nothing of the stages moves. Without a head there is nothing
 *  to train (forward, backward, step, save and load are MCL_E_UNSUPPORTED), but it can be embedded, clustered, or a stage of
 *  another integrator.
 *
 *  Stages and weights are those of now, as of a view of all of them (mcl_integrator_view()): encoders are shared, later changes
 *  of weights are not. save and load are of the head alone; mcl_integrator_save() keeps the stages. dim, projection_dim:
 *  the head's, or mcl_integrator_dim(); modalities: the fewest of any part.
 *  integrator: not kept. head: kept; NULL: none. *out is the caller's, to be given back by mcl_encoder_unref().
 *  Memory of a call: n times mcl_integrator_dim() float32, twice.
 *  Errors: MCL_E_INVALID, MCL_E_STATE (no stages, or one without an encoder), MCL_E_LIMIT (dim over 1048576 without a head),
 *  MCL_E_NOMEM. A head of another width is MCL_E_SHAPE at the first embed or forward. */
MCL_API MCL_CHECK mcl_status mcl_integrator_encoder(const mcl_integrator *integrator,
                                                    mcl_encoder *head, mcl_encoder **out,
                                                    mcl_error *err);

/** Writes into `directory`, which is made where it does not exist:
 *
 *    stage-0.safetensors, stage-1.safetensors, ...   by mcl_encoder_save(), of the stages that have an encoder
 *    integrator.safetensors                          tensors `dims` and `encoders` (0 or 1), int64 [stages], and
 *                                                    `weights`, float64 [stages]; texts `format`: "libmcl integrator 1", and
 *                                                    `files`: a hash of each encoder's file
 *
 *  Whatever becomes of the call, killed or not, mcl_integrator_load() reads what was there or the new state, whole:
 *  encoders take their names after integrator.safetensors has been replaced, and lie beside them until then, with a hash in the
 *  name (docs/checkpoint-format.md). Another save into the directory waits for this one.
 *  Errors: MCL_E_INVALID, MCL_E_STATE (no stages), MCL_E_IO, MCL_E_NOMEM, MCL_E_BUSY, what an encoder returns, its
 *  stage named (MCL_E_UNSUPPORTED: a host's encoder without `save`). */
MCL_API MCL_CHECK mcl_status mcl_integrator_save(mcl_integrator *integrator, const char *directory,
                                                 mcl_error *err);

/** Reads what mcl_integrator_save() wrote into an integrator with the same stages: as many, of the same dims, with encoders
 *  where the saved one had them. The encoders are loaded by mcl_encoder_load(), then the weights replaced.
 *  Everything that can be checked is checked first, and then nothing has changed on failure; when an encoder refuses its
 *  file, those of the stages before it have been loaded.
 *  Errors: MCL_E_INVALID, MCL_E_NOT_FOUND (a file), MCL_E_FORMAT (integrator.safetensors is not of an integrator, or
 *  damaged), MCL_E_MISMATCH (other stages: the first that differs is named; an encoder's file that is not the one saved), MCL_E_STATE (no stages), MCL_E_IO, MCL_E_NOMEM, MCL_E_BUSY, what an
 *  encoder returns, its stage named. */
MCL_API MCL_CHECK mcl_status mcl_integrator_load(mcl_integrator *integrator, const char *directory,
                                                 mcl_error *err);

MCL_END_DECLS

#endif
