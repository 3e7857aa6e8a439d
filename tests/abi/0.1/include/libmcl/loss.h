/* Contrastive losses with cells, and their gradients. Pure functions: nothing is kept between calls.
 *
 * An anchor i is to pick its positive p(i) out of its candidates by similarity. With u, v the L2-normalised rows and tau the
 * temperature:
 *
 *   s_ij = <u_i, v_j> / tau                                                                  (1)
 *   N(i) = { j : cell(j) = cell(i), j is not p(i), not i itself, not a duplicate of i }      (2) negatives
 *   l_i  = -s_i,p(i) + log( exp s_i,p(i) + sum over j in N(i) of exp s_ij )                  (3)
 *   L    = mean over all anchors of l_i                                                      (4)
 *
 * MCL restricts N(i) to the anchor's cell, the rows that shared its cluster in every preceding stage (Zhang et al. 2024, arXiv
 * 2402.11816, section 3.2: feature-aware negative sampling); without cells (2) is the whole batch.
 *
 *   NT-Xent: the 2n views are anchors and candidates at once, so 2n - 2 negatives (Chen et al. 2020, SimCLR, eq. 1).
 *   InfoNCE, cross-view: anchors of one view, candidates of the other only, n - 1 negatives, and the same the other
 *   way (van den Oord et al. 2018, eq. 4; Radford et al. 2021, CLIP, figure 3).
 *
 * An anchor without negatives (alone in its cell) has l_i = 0 and no gradient. It counts in the mean (4), so that a batch's
 * weight does not depend on how it is cut into cells, and it is counted in the result.
 *
 * Memory: some (8 dim + 60) (n + m) bytes and 384 KiB a thread, never a matrix of n x m. This bounds the loss, not your
 * encoder's activations. Threads: any number of calls at once. The same inputs give the same bits for any number of threads. */
#ifndef LIBMCL_LOSS_H
#define LIBMCL_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** Flags. MCL_REDUCE_SUM: L is the sum over anchors instead of (4); for InfoNCE both ways the sum of the two directions'
 *  means becomes the sum of their sums. MCL_ROWS_AS_GIVEN: rows are not normalised here; (1) takes them as they are.
 *  MCL_ONE_WAY: InfoNCE from za to zb only. */
enum { MCL_REDUCE_SUM = 1, MCL_ROWS_AS_GIVEN = 2, MCL_ONE_WAY = 4 };

/** Prepared by mcl_loss_options_init(). */
typedef struct mcl_loss_options {
  size_t struct_size;
  double temperature; /**< tau, in [1e-4, 1e4]; default 0.5 */
  uint32_t flags;     /**< MCL_REDUCE_SUM ...; default 0 */
  int32_t reserved;   /**< 0 */
} mcl_loss_options;

MCL_API void mcl_loss_options_init(mcl_loss_options *options, size_t struct_size);

/** What a loss is computed of. Prepared by mcl_struct_init(). All pointers are borrowed for the call. */
typedef struct mcl_loss_inputs {
  size_t struct_size;
  const mcl_array *za; /**< [n, dim] anchors, any float type, n >= 1 */
  const mcl_array *zb; /**< [m, dim] candidates; m = n unless MCL_ONE_WAY */
  const int64_t *
      cells; /**< [m] the cell of each row of zb and of its anchor, any numbers in any order; NULL: one cell */
  const int64_t *
      duplicates; /**< [m] rows of equal id are not each other's negatives; a negative id: no duplicate; NULL: none */
  /** za[i] pairs with zb[first_positive + i]: this rank's anchors among the gathered candidates of all. Other than 0 needs
   *  MCL_ONE_WAY. With gathered candidates take MCL_REDUCE_SUM and divide by the anchors of all ranks: then the sums of
   *  the ranks' losses and gradients are those of one process. */
  int64_t first_positive;
  const mcl_array *
      dza; /**< [n, dim] gets dL/dza, by the rows as given (through the normalisation); NULL: not wanted */
  const mcl_array *
      dzb; /**< [m, dim] likewise. Both are overwritten at the end; they may be za and zb themselves */
} mcl_loss_inputs;

/** Prepared by mcl_struct_init(). */
typedef struct mcl_loss_result {
  size_t struct_size;
  double loss;              /**< L; both ways: the mean of the two directions */
  double d_log_temperature; /**< dL / d log tau */
  double
      accuracy; /**< share of anchors, among those with negatives, whose positive scores above all of them; ties
                                 count as wrong; 0 where no anchor has negatives */
  int64_t anchors; /**< n, or 2n for NT-Xent and InfoNCE both ways */
  int64_t anchors_without_negatives;
} mcl_loss_result;

/** NT-Xent. n == m; no MCL_ONE_WAY. A zero row is similar to nothing (s = 0) and has gradient 0.
 *  Errors, after which no output is changed: MCL_E_INVALID (a NULL, an option, named), MCL_E_SHAPE, MCL_E_DTYPE,
 *  MCL_E_NOT_FINITE (the first such row, named with its array), MCL_E_NOMEM, MCL_E_CALLBACK (a host's runner failed). */
MCL_API MCL_CHECK mcl_status mcl_loss_nt_xent(mcl_context *context, const mcl_loss_options *options,
                                              const mcl_loss_inputs *in, mcl_loss_result *out,
                                              mcl_error *err);

/** Cross-view InfoNCE. Both ways: L is the mean of (4) from za to zb and from zb to za. Errors: as above. */
MCL_API MCL_CHECK mcl_status mcl_loss_info_nce(mcl_context *context,
                                               const mcl_loss_options *options,
                                               const mcl_loss_inputs *in, mcl_loss_result *out,
                                               mcl_error *err);

MCL_END_DECLS

#endif
