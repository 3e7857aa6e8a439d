/* Contrastive losses with cells, and their gradients. Pure functions: nothing is kept.
 *
 * An anchor i is to pick its positive p(i) out of its candidates by similarity. With u, v the
 * L2-normalised rows and tau the temperature:
 *
 *   s_ij = <u_i, v_j> / tau                                                                  (1)
 *   N(i) = { j in i's cell, but for i itself, p(i) and i's duplicates }   negatives          (2)
 *   l_i  = -s_i,p(i) + log( exp s_i,p(i) + sum over j in N(i) of exp s_ij )                  (3)
 *   L    = mean over all anchors of l_i                                                      (4)
 *
 * A cell is the rows that shared their cluster in every preceding stage: MCL takes negatives from
 * there alone (Zhang et al. 2024, arXiv 2402.11816, section 3.2, feature-aware negative sampling).
 * Without cells, N(i) is the whole batch. The two losses differ in who the anchors and candidates
 * are:
 *
 *   NT-Xent: the 2n views are both at once, so 2n - 2 negatives
 *            (Chen et al. 2020, SimCLR, arXiv 2002.05709, eq. 1 and algorithm 1).
 *   InfoNCE, cross-view: anchors of one view, candidates of the other only, n - 1 negatives; and
 *            the same the other way (van den Oord et al. 2018, arXiv 1807.03748, eq. 4; Radford et
 *            al. 2021, CLIP, arXiv 2103.00020, figure 3).
 *
 * An anchor without negatives (alone in its cell, or among its duplicates) has l_i = 0 and gradient
 * 0, and is counted in the result. It counts in the mean (4) too. So the loss of a packed batch is
 * the mean of its cells' losses, weighted by their rows, and an anchor weighs the same in every
 * batch of a size; a mean over the others would let the few anchors of a batch that fell apart take
 * as large a step as a full batch. For that mean, divide by (anchors - anchors_without_negatives)
 * yourself under MCL_REDUCE_SUM.
 *
 * A zero row is normalised to zero: its scores are 0, its gradient is 0.
 *
 * Over ranks: each takes anchors of its own, and candidates gathered from all. With MCL_ONE_WAY za
 * are the rank's own rows and first_positive says which rows of zb they pair with. Both ways, and
 * for NT-Xent, za and zb are the gathered rows, and MCL_SOME_ANCHORS says which of them are the
 * rank's; docs/embedding.md has the calls of a step in order. A rank with a share f of the rows then takes 2 f - f^2 of the time of one process with
 * all: a score of two of its anchors serves both, one of an anchor and another rank's row is
 * computed on either's rank.
 *
 * Memory: at most 2 m (8 dim + 128) bytes and 200 KiB a thread; with other_duplicates 72 bytes
 * more for each of the 2 m rows, with MCL_SOME_ANCHORS 16. Rows lie in sixteens, and cells share
 * one only where they fit into it whole: with small cells up to 21 dim instead of 8 dim, and 256
 * dim bytes more in all. What that leaves of 30 MiB is taken for scores, so that fewer are computed
 * twice, but under MCL_LEAST_MEMORY. Never an n x m matrix. This bounds the loss, not your
 * encoder's activations. A call costs the same whether gradients are wanted or not. Any number of
 * calls at once; the same inputs give the same bits for any number of threads. */
#ifndef LIBMCL_LOSS_H
#define LIBMCL_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** Flags. */
enum {
  MCL_REDUCE_SUM = 1,    /**< L is the sum over all anchors, of both directions, instead of (4) */
  MCL_ROWS_AS_GIVEN = 2, /**< (1) takes the rows as they are; they are not normalised */
  MCL_ONE_WAY = 4,       /**< InfoNCE from za to zb only */
  MCL_LEAST_MEMORY = 8,  /**< no scores are kept; the same bits, in up to a third more time */
  /** Only the rows that first_anchor and anchors of mcl_loss_inputs name are anchors, all are candidates. Not with
   *  MCL_ONE_WAY. */
  MCL_SOME_ANCHORS = 16
};

/** Prepared by mcl_loss_options_init(). */
typedef struct mcl_loss_options {
  size_t struct_size;
  double temperature; /**< tau, in [1e-4, 1e4]; default 0.5 */
  uint32_t flags;     /**< MCL_REDUCE_SUM ...; default 0 */
  int32_t reserved;   /**< 0 */
} mcl_loss_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_loss_options_init(mcl_loss_options *options, size_t struct_size);

/** What a loss is computed of. Prepared by mcl_struct_init(). Pointers are borrowed. */
typedef struct mcl_loss_inputs {
  size_t struct_size;
  /** [n, dim], any float type and strides; n and dim at least 1. */
  const mcl_array *za;
  /** [m, dim]; m = n, or with MCL_ONE_WAY m >= n. */
  const mcl_array *zb;
  /** [m]: the cell of each row of zb and of the row of za that is its positive: any numbers, in any
   *  order. NULL: all are one cell. */
  const int64_t *cells;
  /** [m], laid out likewise: rows of equal id are not each other's negatives, positives stay. A
   *  negative id is nobody's duplicate. NULL: none. */
  const int64_t *duplicates;
  /** za[i] pairs with zb[first_positive + i], in 0 .. m - n: this rank's anchors among the gathered
   *  candidates of all. Needs MCL_ONE_WAY when it is not 0. Use MCL_REDUCE_SUM there and divide by
   *  the anchors of all ranks: then losses and dzb added up over the ranks, and each rank's dza,
   *  are those of one process. */
  int64_t first_positive;
  /** [n, dim], any float type: gets dL/dza with respect to the rows as given, through the
   *  normalisation. NULL: not wanted. */
  const mcl_array *dza;
  /** [m, dim]: gets dL/dzb. NULL: not wanted. Both are overwritten, after all inputs have been
   *  read: either may be za or zb itself. They must not overlap each other. */
  const mcl_array *dzb;
  /** [m], laid out likewise: a second kind of `duplicates`, as of captions where those are of
   *  images: rows of equal id in either one are not each other's negatives. No chains are followed:
   *  where one row shares its image with a second, and that one its caption with a third, the first
   *  and the third stay negatives. NULL: none. */
  const int64_t *other_duplicates;
  /** With MCL_SOME_ANCHORS, else 0: rows first_anchor .. first_anchor + anchors - 1 of za and those
   *  of zb are the anchors, a range within 0 .. n - 1. L is of these alone, and dza and dzb are its
   *  gradient with respect to all rows, as each row is a candidate too. So with MCL_REDUCE_SUM, and
   *  ranges that cover all rows once, L, d_log_temperature, dza, dzb and the counts of the result
   *  added up over the ranks are those of one process; for its mean divide by the anchors of all.
   *  `anchors` may be 0, for a rank that has no rows: then L and all gradients are 0. */
  int64_t first_anchor;
  int64_t anchors; /**< how many, from first_anchor on */
} mcl_loss_inputs;

/** Prepared by mcl_struct_init(). */
typedef struct mcl_loss_result {
  size_t struct_size;
  double loss;              /**< L */
  double d_log_temperature; /**< dL / d log tau, for a temperature that is learnt */
  /** Share of the anchors with negatives whose positive scores above all of them; a tie counts as
   *  wrong. 0 where no anchor has any. */
  double accuracy;
  int64_t anchors; /**< n with MCL_ONE_WAY, 2 `anchors` with MCL_SOME_ANCHORS, else 2n */
  int64_t anchors_without_negatives; /**< alone in their cells, or among their duplicates */
} mcl_loss_result;

/** NT-Xent: n = m, no MCL_ONE_WAY. `options` NULL: the defaults.
 *  Errors, after which no output is changed: MCL_E_INVALID (a NULL argument, an option,
 *  first_positive, a range of anchors; named), MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_UNSUPPORTED (an
 *  array on a device, a newer struct's field), MCL_E_LIMIT (more than 2^31 - 1 rows),
 *  MCL_E_NOT_FINITE (the first such row, with its array's name, be it an anchor or not; or rows as
 *  given whose scores overflow float32), MCL_E_NOMEM, MCL_E_CALLBACK (a host's runner failed). Any
 *  thread. */
MCL_API MCL_CHECK mcl_status mcl_loss_nt_xent(mcl_context *context, const mcl_loss_options *options,
                                              const mcl_loss_inputs *in, mcl_loss_result *out,
                                              mcl_error *err);

/** Cross-view InfoNCE, the loss of CLIP: both ways, and L the mean over both directions' anchors,
 *  unless MCL_ONE_WAY. `options` NULL: the defaults. Errors: as above. Any thread. */
MCL_API MCL_CHECK mcl_status mcl_loss_info_nce(mcl_context *context,
                                               const mcl_loss_options *options,
                                               const mcl_loss_inputs *in, mcl_loss_result *out,
                                               mcl_error *err);

MCL_END_DECLS

#endif
