/* The sampler: which rows train together.
 *
 * Contrastive learning takes the other rows of a batch for its negatives. From the second stage on
 * these must share everything that the stages before have learnt: a *cell* is the set of rows that
 * share their cluster in every preceding stage, and the rows of a batch, or of each piece of a
 * packed one, come from one cell (Zhang et al., "Learning the Unlearned: Mitigating Feature
 * Suppression in Contrastive Learning", 2024: feature-aware negative sampling).
 *
 * There is no cursor. A batch is a function of (labels, options, epoch, step, rank): any step of
 * any epoch may be asked for in any order, by any number of threads, processes or ranks, and again
 * after a crash, with the same result. Nothing is kept between two calls, and nothing is allocated
 * by one.
 *
 * An epoch, with `P` = batch_rows for MCL_BATCH_ONE_CELL and batch_rows / world, rounded down, for
 * MCL_BATCH_PACKED:
 *  1. Rows that share all labels form the true cells. Cells smaller than min_cell_rows follow
 *     `small_cells`; what comes out are the *training cells*, numbered 0, 1, ... without gaps in
 *     the order of their (first) labels, stage by stage.
 *  2. A training cell of n rows is cut into ceil(n / P) pieces whose sizes differ by at most one
 *     row: 257 rows at 256 make 129 + 128, not 256 + 1. Which rows fall into which piece is drawn
 *     anew each epoch.
 *  3. A step is one piece, shared by the ranks in even parts; or, packed, for each rank as many
 *     whole pieces as fit into P.
 *  4. The order of the steps is drawn anew each epoch.
 * Memory: 4 bytes a row that the first labels do not exclude (8 from 2^31 rows on), and about 60
 * bytes a cell, up to 90 where some have joined others; nothing a row before the first labels.
 * mcl_sampler_add_labels() moves the rows where they are: while it runs it needs 8 bytes in 128 rows
 * of the largest cell, up to 360 KiB, and both the old and the new cells. */
#ifndef LIBMCL_SAMPLER_H
#define LIBMCL_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** Const calls may run on several threads at once; mcl_sampler_add_labels() on one thread with no
 *  other call. Safe after fork(): no call starts or waits for a thread. */
typedef struct mcl_sampler mcl_sampler;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_sampler *mcl_sampler_ref(mcl_sampler *sampler);

/** Gives a reference back; the last one frees the sampler. NULL is fine. Any thread. */
MCL_API void mcl_sampler_unref(mcl_sampler *sampler);

/** What happens to a cell that is too small to give its rows negatives. */
enum {
  /** A cell under min_cell_rows joins the smallest other training cell (ties: the lowest number)
   *  under the same parent, which is the cell of the stage before; where it is alone there, under
   *  the parent's parent, and so on. The smallest cell goes first, and one that is still too small
   *  goes on. No row is lost, unless excluded. */
  MCL_SMALL_BACK_OFF = 1,
  /** Every cell trains, however small. A row that is alone in its piece has no negatives:
   *  mcl_sampler_report.alone. */
  MCL_SMALL_KEEP,
  /** The rule of the method's first implementation: cells under max(min_cell_rows, P) are dropped,
   *  and of every other cell only whole pieces of P rows train; its remaining rows, others each
   *  epoch, are dropped too. Measured to see 2.6 % of the rows at a third stage: for
   *  comparisons. */
  MCL_SMALL_DROP
};

/** What a step consists of. */
enum {
  /** One piece of one cell; rank r of w has its r-th part, sizes differing by at most one (0 rows
   *  where the piece is smaller than w). Gather the embeddings of all ranks before the loss: the
   *  negatives of a row are on every rank. */
  MCL_BATCH_ONE_CELL = 1,
  /** Whole pieces of several cells, up to batch_rows / world rows a rank. Which pieces share a
   *  batch depends on the labels alone (first fit, largest first); pass mcl_batch.cells to the
   *  loss, so that negatives stay inside a cell. Two pieces of one cell never meet on one rank. Do
   *  not gather: each rank has its negatives. */
  MCL_BATCH_PACKED
};

/** In which order the pieces of MCL_BATCH_ONE_CELL come. Packed batches come in random order:
 *  MCL_ORDER_PROPORTIONAL. */
enum {
  /** Every piece once an epoch, in random order: a cell has steps in proportion to its rows. */
  MCL_ORDER_PROPORTIONAL = 1,
  /** Every piece once an epoch, in rounds: a round has one piece of each cell that has one left, in
   *  random order. The last rounds are of large cells only. As the method's first implementation
   *  did. */
  MCL_ORDER_ROUND_ROBIN,
  /** Every cell equally often: as many steps as the largest cell has pieces. A smaller cell starts
   *  again, cut and ordered anew (with MCL_SMALL_DROP: with the same pieces), when its pieces are
   *  used up; rows shown again are counted in mcl_sampler_report.repeated. */
  MCL_ORDER_UNIFORM
};

/** Prepared by mcl_sampler_options_init(). */
typedef struct mcl_sampler_options {
  size_t struct_size;
  uint64_t seed;         /**< default 0 */
  int64_t batch_rows;    /**< rows of a step over ALL ranks, default 256; at least 2 and at least
                          *   `world`, when packed at least 2 * world */
  int64_t min_cell_rows; /**< smaller cells follow `small_cells`; at least 1, default 4 */
  int32_t small_cells;   /**< MCL_SMALL_*, default MCL_SMALL_BACK_OFF */
  int32_t batching;      /**< MCL_BATCH_*, default MCL_BATCH_ONE_CELL */
  int32_t order;         /**< MCL_ORDER_*, default MCL_ORDER_PROPORTIONAL */
  uint32_t flags;        /**< 0 */
} mcl_sampler_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_sampler_options_init(mcl_sampler_options *options, size_t struct_size);

/** One rank's part of one step. Prepared by mcl_struct_init(); then set `indices`, `cells` and
 *  `capacity`. */
typedef struct mcl_batch {
  size_t struct_size;
  int64_t *indices; /**< in: the caller's buffer, filled with rows of the dataset, 0 .. rows - 1 */
  int64_t *cells;   /**< in: likewise, the training cell of each; NULL: not wanted */
  int64_t capacity; /**< in: of each buffer; mcl_sampler_batch_capacity() is always enough */
  int64_t n;        /**< out: rows written; may be 0 on a rank in the middle of an epoch */
  int64_t step;     /**< out: as asked for */
  int64_t steps;    /**< out: of this and every epoch of this stage, on every rank */
  int32_t stage;    /**< out: the stage these rows train: how many stages' labels were added */
  int32_t epoch;    /**< out: as asked for */
} mcl_batch;

/** Where the rows went. used + dropped + excluded == rows. Prepared by mcl_struct_init(). */
typedef struct mcl_sampler_report {
  size_t struct_size;
  int64_t rows;          /**< of the dataset */
  int64_t used;          /**< different rows that an epoch shows, over all ranks */
  int64_t dropped;       /**< rows that MCL_SMALL_DROP leaves out of an epoch */
  int64_t repeated;      /**< rows shown once more, by MCL_ORDER_UNIFORM */
  int64_t backed_off;    /**< rows of true cells under min_cell_rows that train in a wider one */
  int64_t alone;         /**< rows that are a piece by themselves and so have no negatives */
  int64_t excluded;      /**< rows that some label vector gave -1 */
  int64_t steps;         /**< of an epoch, on every rank */
  int64_t cells;         /**< training cells */
  int64_t smallest_cell; /**< rows; 0 where there is no cell, as the next two */
  int64_t median_cell;   /**< of an even number of cells the lower of the two in the middle */
  int64_t largest_cell;  /**< rows */
} mcl_sampler_report;

/** Creates a sampler of `rows` rows for rank `rank` of `world`. Until labels are added all rows are
 *  one cell: stage 0, plain contrastive learning. All ranks give the same options and labels and so
 *  have the same plan; none talks to another. `options` NULL: the defaults.
 *  Errors: MCL_E_INVALID (an argument or field, named), MCL_E_LIMIT (an epoch of MCL_ORDER_UNIFORM
 *  over 2^62 steps), MCL_E_UNSUPPORTED (an unknown tail of a newer struct), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_sampler_create(mcl_context *context,
                                                const mcl_sampler_options *options, int64_t rows,
                                                int32_t rank, int32_t world, mcl_sampler **out,
                                                mcl_error *err);

/** Refines the cells by `labels`, one a row, `n` == rows: two rows stay together if they have equal
 *  labels here and were together in their true cells before, backed off or not. Labels are any
 *  numbers from 0 to INT32_MAX, with or without gaps; -1 excludes the row for good. `stage` is 0 at
 *  first, then the same as in the last call (another label vector of that stage, say of another
 *  modality: they refine jointly, and backing off undoes a whole stage) or one more. Copied. Time
 *  O(n) for labels under 256 (under 255 where rows are excluded), else O(n) times the bytes of the
 *  largest; after a failure as much again, O(n) times the bits of n, to put back what was moved.
 *  Errors, all leaving the sampler as it was: MCL_E_INVALID (stage out of turn; a label below -1,
 *  mcl_error.row names it), MCL_E_SHAPE (n), MCL_E_LIMIT (as in create), MCL_E_NOMEM, MCL_E_BUSY
 *  (called from two threads at once). */
MCL_API MCL_CHECK mcl_status mcl_sampler_add_labels(mcl_sampler *sampler, int32_t stage,
                                                    const int32_t *labels, int64_t n,
                                                    mcl_error *err);

/** Steps of every epoch until labels are added again, the same on every rank; 0 where no row is
 *  used. Any thread. */
MCL_API int64_t mcl_sampler_steps(const mcl_sampler *sampler);

/** The most rows that a batch has on any rank at any stage. Never changes. Any thread. */
MCL_API int64_t mcl_sampler_batch_capacity(const mcl_sampler *sampler);

/** Fills in step `step` (0 .. steps - 1) of epoch `epoch` (from 0) for this rank: see mcl_batch.
 *  Rows of one cell stand together. Any order, any thread; O(log cells) for each piece and O(1) for
 *  each row; no allocation.
 *  Errors: MCL_E_LIMIT (step or epoch out of range; or capacity too small: then out->n is the
 *  number wanted, and nothing else is written), MCL_E_INVALID (no buffer; out not prepared). */
MCL_API MCL_CHECK mcl_status mcl_sampler_batch(const mcl_sampler *sampler, int32_t epoch,
                                               int64_t step, mcl_batch *out, mcl_error *err);

/** Rows of the anchor's training cell other than itself, drawn without repetition for this anchor
 *  and epoch, the same at every call; for hosts that choose negatives themselves. Writes *got =
 *  min(capacity, rows of the cell - 1) of them: none for a row that is excluded or whose cell was
 *  dropped. Any thread; O(true cells * log rows) to find the anchor, then O(1) for each row: hosts
 *  that ask for many anchors of large data are better served by mcl_sampler_cells().
 *  Errors: MCL_E_LIMIT (anchor or epoch out of range), MCL_E_INVALID (capacity negative, no buffer,
 *  no `got`). */
MCL_API MCL_CHECK mcl_status mcl_sampler_negatives(const mcl_sampler *sampler, int32_t epoch,
                                                   int64_t anchor, int64_t *out, int64_t capacity,
                                                   int64_t *got, mcl_error *err);

/** Writes the training cell of every row, -1 for rows that are excluded or whose cell was dropped.
 *  `n` == rows. Any thread.
 *  Errors: MCL_E_SHAPE (n), MCL_E_INVALID (no buffer). */
MCL_API MCL_CHECK mcl_status mcl_sampler_cells(const mcl_sampler *sampler, int64_t *cell_of_row,
                                               int64_t n, mcl_error *err);

/** Fills in the report. Any thread. Errors: MCL_E_INVALID (out NULL or not prepared). */
MCL_API MCL_CHECK mcl_status mcl_sampler_get_report(const mcl_sampler *sampler,
                                                    mcl_sampler_report *out, mcl_error *err);

MCL_END_DECLS

#endif
