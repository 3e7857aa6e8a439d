/* The multistage loop: train, embed, cluster, and train another encoder inside the clusters, stage by stage
 * (Zhang et al. 2024, "Learning the Unlearned: Mitigating Feature Suppression in Contrastive Learning", arXiv 2402.11816,
 * section 3).
 *
 * Stage s trains an encoder whose negatives come only from the anchor's cell: the rows that shared its cluster in every
 * stage before s. There the old features no longer tell rows apart, so new ones must be learnt. The representation is
 * all stages' embeddings, concatenated (integrator.h).
 *
 * Two ways to use it. *Pull*: the host trains; mcl_multistage_next() tells it what to do next, event by event, and no
 * callback is involved. *Push*: mcl_multistage_run() trains encoders that a factory makes, built in or the host's own; it
 * is written on the same events.
 *
 * Over ranks (comm.h) each process makes a loop with its comm. A batch of sampler.batch_rows is spread over all ranks; each
 * embeds its share of the rows (mcl_comm_share(): at most 64 ranks have one); they cluster together, and all end with the same
 * labels and cells, which are the bits of one process if the embeddings are. mcl_multistage_next() is COLLECTIVE when it returns
 * MCL_BEGIN_STAGE, MCL_RESUME_STAGE or MCL_END_STAGE, mcl_multistage_run() throughout; other calls exchange nothing. Every rank has
 * the whole dataset to load from, and loads its own rows and, in push mode, up to 4096 at the end of a stage. Labels and cells of
 * all rows are held by every rank: 4 bytes a row and stage, and what the sampler takes. Saved state may be resumed on
 * another number of ranks.
 *
 * Threads: const calls from several threads at once while no other call runs; other calls from one thread at a time, else
 * MCL_E_BUSY. */
#ifndef LIBMCL_MULTISTAGE_H
#define LIBMCL_MULTISTAGE_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/clusterer.h>
#include <libmcl/comm.h>
#include <libmcl/context.h>
#include <libmcl/dataset.h>
#include <libmcl/encoder.h>
#include <libmcl/export.h>
#include <libmcl/image.h>
#include <libmcl/integrator.h>
#include <libmcl/loss.h>
#include <libmcl/sampler.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** Reference-counted; keeps its context. */
typedef struct mcl_multistage mcl_multistage;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_multistage *mcl_multistage_ref(mcl_multistage *loop);

/** Gives a reference back; NULL is fine. The last one lets go of encoders and labels; nothing is saved. */
MCL_API void mcl_multistage_unref(mcl_multistage *loop);

/** Which loss mcl_multistage_run() trains with. */
enum {
  MCL_LOSS_NT_XENT = 1, /**< NT-Xent over 2n views (SimCLR) */
  MCL_LOSS_INFO_NCE     /**< cross-view InfoNCE both ways (CLIP) */
};

/** How the learning rate falls over a stage's steps, after the warm-up. */
enum {
  MCL_SCHEDULE_CONSTANT = 1, /**< not at all */
  MCL_SCHEDULE_LINEAR,       /**< linearly to 0 */
  MCL_SCHEDULE_COSINE        /**< by half a cosine to 0 */
};

/** What a stage's training begins with. */
enum {
  MCL_INITIAL_FRESH = 0, /**< the weights that the factory's encoder has */
  MCL_INITIAL_PRECEDING  /**< those with which the stage before it ended */
};

/** Prepared by mcl_multistage_options_init(). Copied whole, with the structs and strings it points to. */
typedef struct mcl_multistage_options {
  size_t struct_size;
  /** Default 0. Seeds of the sampler, of the clustering of each stage and of the augmentation are derived from it; the
   *  seeds in the structs below are not used. Weights are the factory's: mcl_multistage_seed() derives a seed a stage. */
  uint64_t seed;
  /** 1 .. 64; default 3. 0: until a stage's advice is to stop (MCL_ADVICE_NOTHING_NEW, MCL_ADVICE_CELLS_TOO_SMALL), or 64.
   *  mcl_multistage_seek() to the stage after it goes on in spite of the advice. */
  int32_t stages;
  int32_t epochs;     /**< a stage, 1 .. 1000000; default 8 */
  int32_t modalities; /**< 1: two views of each row (default); 2: one view of each modality */
  uint32_t
      cluster_modalities; /**< bit m: modality m is clustered, each apart; 0, the default: modality 0 alone */
  uint64_t
      fingerprint; /**< of the dataset; 0, the default: rows are only counted when a run is resumed */
  /** NULL, the default: embeddings to be clustered are held in memory, 4 rows dim bytes, and forgotten then. Else they are
   *  written to stage-S.npy there (stage-S-modality-M.npy for modalities above 0), read back block by block, and kept. Over
   *  ranks each has the rows of its share, in stage-S-rank-R-of-N.npy. */
  const char *embedding_directory;
  /** NULL, the default: k-means by `kmeans`. Else this clusterer, fitted anew to each stage's embeddings; the loop keeps a
   *  reference. It must be one that can be fitted to any dim. */
  mcl_clusterer *clusterer;
  const mcl_kmeans_options *kmeans;   /**< NULL: the defaults */
  const mcl_sampler_options *sampler; /**< NULL: the defaults; so with the next */
  const mcl_loss_options *loss;       /**< push only, as are all fields below */
  /** NULL, the default: nothing is saved. Else mcl_multistage_run() saves there at the end of each stage, every
   *  `save_every_steps` steps, and when it is cancelled; mcl_multistage_resume() goes on from it. Over ranks rank 0 writes, and
   *  all read to go on. */
  const char *save_directory;
  int64_t save_every_steps; /**< 0, the default: not within a stage */
  double learning_rate;     /**< at its highest, above 0; default 1e-3 */
  double
      warm_up; /**< share of a stage's steps over which the rate rises linearly from 0, [0, 1); default 0 */
  int32_t
      loss_kind; /**< MCL_LOSS_NT_XENT (default) or MCL_LOSS_INFO_NCE; with 2 modalities the latter only */
  int32_t schedule; /**< MCL_SCHEDULE_CONSTANT (default) ... */
  /** mcl_multistage_integrator() weights stage s growth^s. 0, the default, is 2 with one modality: by cosine that keeps the
   *  largest share of what each stage knows, over all attributes; and 1 with two: there the matching of image and caption is
   *  the sum of the stages' cosines, to which every stage has its say (docs/evidence.md). 1 is the paper's plain concatenation, of
   *  which one modality's cosines see little but stage 0; linear probes do not mind either. Else above 0, and
   *  growth^(stages - 1) within 1e-30 .. 1e30. */
  double growth;
  /** 0, the default: a batch is forwarded whole. Else batches of more rows come in chunks of at most so many, of even size: all
   *  projections chunk by chunk, the loss on all of them, and each chunk (but the last, which still is held) once more for
   *  its gradient; then one step (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited
   *  Setup", section 3.2). Memory is that of a chunk, and of the batch four rows of projections a row, the loss being computed under
   *  MCL_LEAST_MEMORY; the time of a step grows
   *  by up to a forward and the loading of the batch. The step is that of the whole batch but for rounding, and but for
   *  batch norm, whose statistics are of a chunk then (mcl_encoder_create_cnn()). Rows are loaded twice, and embedded
   *  in chunks too. A run may be resumed with another number.
   *  A host's encoder must take chunks (MCL_HOST_CHUNKS): else MCL_E_UNSUPPORTED before anything is trained. Projections
   *  that come out otherwise the second time, by more than .02 of the row's length, are MCL_E_CALLBACK: a host's dataset or
   *  encoder draws what is no function of mcl_inputs. */
  int64_t chunk_rows;
  /** The first so many stages are not trained: their encoders know something already, and are only embedded with and clustered.
   *  So the loop begins behind a model from elsewhere, a CLIP for one (mcl_encoder_create_clip()): in push mode the factory
   *  makes it for these stages, in pull mode MCL_BEGIN_STAGE is followed by MCL_EMBED_ROWS. Their reports have no rows
   *  seen, no epochs and no loss. 0, the default, .. stages (.. 64 where that is 0). */
  int32_t trained_stages;
  /** MCL_INITIAL_FRESH, the default: each stage begins with the factory's weights, so that nothing but the cells comes from the
   *  stages before. MCL_INITIAL_PRECEDING: every stage but the first, and but those that come trained, begins with the weights
   *  of the stage before it and an optimiser without moments (mcl_encoder_start_from()), as the method's authors train their CLIP:
   *  for encoders that would need long to learn all anew. What the stage before had learnt is in the weights then, and
   *  has to be unlearnt. The factory still makes an encoder for each stage, whose seed only matters for stage 0.
   *  Push only; an encoder that cannot start from another is MCL_E_UNSUPPORTED before anything is trained. */
  int32_t initial;
} mcl_multistage_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_multistage_options_init(mcl_multistage_options *options, size_t struct_size);

/** What the host is asked to do. */
enum {
  MCL_BEGIN_STAGE = 1, /**< make an encoder for event.stage */
  MCL_RESUME_STAGE,    /**< load the encoder of event.stage that was saved; its training goes on */
  MCL_TRAIN_BATCH, /**< one step on batch.indices; a row's negatives are the rows of equal batch.cells */
  MCL_EMBED_ROWS, /**< embed batch.indices by event.modality, and mcl_multistage_put_embeddings() */
  MCL_END_STAGE, /**< the stage is clustered; its report and labels can be had; a good place to save */
  MCL_DONE       /**< all stages are; every later call says so again */
};

/** Filled by mcl_multistage_next(); prepared by mcl_struct_init(). */
typedef struct mcl_event {
  size_t struct_size;
  int32_t kind;     /**< MCL_BEGIN_STAGE ... */
  int32_t stage;    /**< from 0; after the last one, how many there were */
  int32_t epoch;    /**< of the batch to be trained; else -1 */
  int32_t modality; /**< of the rows to be embedded; else -1 */
} mcl_event;

/** What to do after a stage. The rule, of quantities of its report alone (no label is used), the first that holds; K is
 *  k_effective; of two clustered modalities it is the product of both, and the rest is of the one whose clusters are the most
 *  news:
 *
 *    CELLS_TOO_SMALL   next_enough_negatives < 1/2
 *    NOTHING_NEW       K is 1, or entropy_given_previous < 0.1,
 *                      or bits(told) < bits(told_before) + 1/2 while bits(told_before) <= log2 K
 *    RAISE_K           bits(told_next) > 2 log2 K
 *    GO_ON
 *
 *  where bits(t) = -log2(2 (1 - t)), 0 for t below 1/2: what b independent bits that survive every view come to is b.
 *
 *  lib/multistage/advice.c argues each number; docs/choosing.md shows what the advice was, and what was so, in runs
 *  whose labels are known. Without labels nobody can tell whether the attribute you want is learnt already: a stage that may
 *  lose it looks like any other. */
enum {
  MCL_ADVICE_GO_ON = 1, /**< another stage has cells to learn in */
  MCL_ADVICE_RAISE_K, /**< what was learnt is far richer than the cells: it outlasts two more stages of K clusters */
  MCL_ADVICE_NOTHING_NEW, /**< the cells stay as they are, or rows are told apart in them hardly better than before */
  MCL_ADVICE_CELLS_TOO_SMALL /**< in the next stage's cells most rows would lack negatives */
};

/** The advice in an English sentence, static storage; a number that is none says so. Any thread. */
MCL_API const char *mcl_advice_text(int32_t advice);

/** A constant of the report. */
enum {
  MCL_ENOUGH_NEGATIVES =
      8 /**< other rows of its cell that a row needs in mcl_stage_report.enough_negatives */
};

/** What a stage came to. Prepared by mcl_struct_init(). */
typedef struct mcl_stage_report {
  size_t struct_size;
  int32_t stage;         /**< from 0 */
  int32_t modality;      /**< whose embeddings were clustered */
  int32_t k_effective;   /**< clusters found in this stage's embeddings */
  int32_t epochs;        /**< trained */
  int64_t rows_seen;     /**< rows that an epoch trains on */
  int64_t cells;         /**< that this stage trained in */
  int64_t smallest_cell; /**< rows; likewise the next two */
  int64_t median_cell;   /**< of an even number of cells the lower of the two in the middle */
  int64_t largest_cell;  /**< rows */
  int64_t backed_off;    /**< rows of cells that were too small and joined others */
  int64_t repairs;       /**< empty clusters restarted */
  double
      loss_first;   /**< mean loss of the first epoch; push only, else NaN; likewise the next two */
  double loss_last; /**< of the last epoch */
  double
      accuracy; /**< of the last epoch: share of anchors whose positive scores highest in its cell */
  /** Normalised mutual information of this stage's clusters and the preceding stage's; NaN in stage 0. */
  double nmi_previous;
  /** H(clusters of this stage | cells it trained in) / log(k_effective): 1 when the clusters are news to the cells, 0 when
   *  the cells determine them. NaN where k_effective is 1. */
  double entropy_given_previous;
  /** Mean cosine of two different rows of one training cell in this stage's embedding: near 1 when the encoder has learnt
   *  nothing that tells rows of a cell apart. Over all cells or, where there are more than 2^23 / (dim + 1), over evenly
   *  chosen ones. NaN when labels came from the host. */
  double cell_cosine;
  double
      inertia; /**< of the clustering: mean squared distance to the centroid; NaN when labels came from the host */
  /** A tenth of the rows seen, or more, train in cells of at most low_cell rows. 0 where there is no cell. */
  int64_t low_cell;
  int64_t high_cell; /**< a tenth, or more, in cells of at least so many; likewise */
  /** Share of the rows, those aside that labels of -1 exclude, with at least MCL_ENOUGH_NEGATIVES other rows in the
   *  training cell. NaN where all are excluded. */
  double enough_negatives;
  int64_t
      next_cells; /**< the cells that the next stage would train in; likewise all next_... below */
  int64_t next_smallest_cell;   /**< as smallest_cell */
  int64_t next_low_cell;        /**< as low_cell */
  int64_t next_median_cell;     /**< as median_cell */
  int64_t next_high_cell;       /**< as high_cell */
  int64_t next_largest_cell;    /**< as largest_cell */
  int64_t next_backed_off;      /**< as backed_off */
  double next_enough_negatives; /**< as enough_negatives */
  /** How well positives are told from negatives of the same cell: with two views a, b of each of some rows and e(.) an
   *  embedding, the mean over rows i of the share of other rows j of i's cell for which
   *  cos(e(a_i), e(b_i)) > cos(e(a_i), e(b_j)), half for equal; 1/2 is chance. Of at most 2048 rows, in groups of up to 32 of
   *  a cell. `told`: by this stage, in the cells it trained in. `told_before`: by the representation of the stages before, equal
   *  weights, in the same cells; NaN in stage 0. `told_next`: by that of all stages so far, in the next stage's cells.
   *  With two modalities a is view 0 of modality 0 and b view 1 of modality 1, and rows that are the same in either
   *  (mcl_dataset_groups()) are not set against each other, with one modality neither. NaN in pull mode, where no cell has two
   *  rows, where the two views of every row are one, and with two modalities where projection_dim is not dim: then the
   *  loss compares something else than embeddings. */
  double told_before;
  double told;      /**< by this stage: see told_before */
  double told_next; /**< by all stages so far: see told_before */
  int32_t advice; /**< MCL_ADVICE_GO_ON ...; the same in the reports of all modalities of a stage */
  int32_t reserved; /**< 0 */
} mcl_stage_report;

/** Makes the encoder of each stage, on the thread that called mcl_multistage_run(). The struct is copied for the call. */
typedef struct mcl_encoder_factory {
  size_t struct_size;
  void *user; /**< handed to every callback */
  /** A fresh encoder; its reference becomes the loop's. Also called to get an encoder to load saved state into. */
  mcl_status (*make)(void *user, int32_t stage, mcl_encoder **out, mcl_error *err);
  /** May be NULL; runs exactly once, when mcl_multistage_run() returns, however it ends. */
  void (*destroy)(void *user);
} mcl_encoder_factory;

/** A loop over `rows` rows; `options` NULL: the defaults. `comm` NULL: one process; else kept, and every rank makes such a loop
 *  with the same options, those aside that name directories, chunk_rows and save_every_steps. Nothing is exchanged yet.
 *  Errors: MCL_E_INVALID (an argument or option, named with its range), MCL_E_UNSUPPORTED (a newer struct; with a comm, a clusterer
 *  that was not made with it), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_multistage_create(mcl_context *context,
                                                   const mcl_multistage_options *options,
                                                   int64_t rows, mcl_comm *comm,
                                                   mcl_multistage **out, mcl_error *err);

/** The seed for the weights of a stage's encoder: a function of `seed` and `stage` alone. Any thread. */
MCL_API uint64_t mcl_multistage_seed(uint64_t seed, int32_t stage);

/* ---- pull ------------------------------------------------------------------------------------------------------------- */

/** Enough for any batch of mcl_multistage_next(). Never grows. 0 for NULL. */
MCL_API int64_t mcl_multistage_batch_capacity(const mcl_multistage *loop);

/** What to do next. Calling it again says that the event before was carried out: a batch counts as trained when the next event
 *  is asked for. Clusters when all rows of a stage are embedded, which may take long: `monitor`.
 *
 *  `batch` has the host's buffers (indices; cells, which may be NULL) of `capacity` elements. For MCL_TRAIN_BATCH and
 *  MCL_EMBED_ROWS it gets n rows, and step and steps of the epoch or of the embedding. Rows are embedded in ascending order;
 *  rows that were not put are asked for once more.
 *
 *  Over ranks every rank gets as many MCL_TRAIN_BATCH, each with its own part of the batch; n may be 0 there, and the rank takes
 *  part in the step without rows (docs/embedding.md has a step's calls in order). MCL_EMBED_ROWS asks for the rank's share; a
 *  rank without one gets it once for each modality, with n = 0. COLLECTIVE when the event is MCL_BEGIN_STAGE, MCL_RESUME_STAGE or
 *  MCL_END_STAGE: there ranks with other options, labels or at another place get MCL_E_MISMATCH. What fails at another event
 *  fails on this rank alone.
 *
 *  Errors, after which the same call may be made again: MCL_E_INVALID, MCL_E_LIMIT (capacity), MCL_E_STATE (a whole
 *  pass over the missing rows brought none), MCL_E_CANCELLED, MCL_E_NOT_FINITE, MCL_E_IO, MCL_E_BUSY, MCL_E_NOMEM, and those
 *  of mcl_clusterer_fit(). */
MCL_API MCL_CHECK mcl_status mcl_multistage_next(mcl_multistage *loop, const mcl_monitor *monitor,
                                                 mcl_event *event, mcl_batch *batch,
                                                 mcl_error *err);

/** The embeddings of n rows: z, [n, dim] of any float type, copied. dim is the same for all rows of a stage and modality.
 *  A row put twice keeps the later one. Over ranks, rows of this rank's share only.
 *  Errors: MCL_E_STATE (no embeddings are wanted now), MCL_E_INVALID (a modality that is not clustered; indices NULL),
 *  MCL_E_LIMIT (an index out of range; err->row is its place), MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_NOT_FINITE (err->row is the
 *  place in z), MCL_E_IO, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_multistage_put_embeddings(mcl_multistage *loop, int32_t modality,
                                                           const int64_t *indices, int64_t n,
                                                           const mcl_array *z, mcl_error *err);

/** Instead of embeddings: the host clustered all n == rows rows itself. Labels are 0 or more, or -1: this row is left out
 *  of training from the next stage on. Over ranks every rank puts the same labels, also one without rows to embed.
 *  Errors: MCL_E_STATE, MCL_E_INVALID (a label below -1; err->row), MCL_E_SHAPE (n), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_multistage_put_labels(mcl_multistage *loop, int32_t modality,
                                                       const int32_t *labels, int64_t n,
                                                       mcl_error *err);

/** Goes to a place: the next batch to train is `step` of `epoch` of `stage`. For a host whose own checkpoint, weights and
 *  place in one file, is the truth. The next event is MCL_RESUME_STAGE, or MCL_BEGIN_STAGE at the very beginning of a
 *  stage. epoch == epochs with step 0 means that the stage is trained and to be embedded. Labels of `stage` and later are
 *  forgotten. Over ranks each goes to the same place.
 *  Errors: MCL_E_STATE (a stage whose predecessors are not clustered yet), MCL_E_LIMIT (out of range), MCL_E_BUSY, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_multistage_seek(mcl_multistage *loop, int32_t stage, int32_t epoch,
                                                 int64_t step, mcl_error *err);

/* ---- push ------------------------------------------------------------------------------------------------------------- */

/** Runs the whole loop, or what is left of it: after MCL_E_CANCELLED or another error the same call goes on, and so does one
 *  after mcl_multistage_resume().
 *
 *  `dataset` has the loop's rows; where it can load them, each batch is loaded and augmented on a thread of its own while
 *  the batch before is trained on (rows of a host dataset: on the calling thread). `augmenter`: NULL: the views
 *  are the rows as they are, which only makes sense with two modalities. The augmenter works on modality 0.
 *  `factory` makes an encoder a stage; where it learns a temperature (mcl_encoder_temperature()), each batch's loss is
 *  computed at that one instead of loss->temperature, and its gradient goes back to it. `monitor` hears of "train" (done:
 *  steps of the stage), "embed" and the phases of mcl_clusterer_fit(). At the end of a stage the encoders of all stages so
 *  far embed views 0 and 1 of up to 4096 rows too (with two modalities the view that each is trained on), at epoch `epochs`,
 *  which is never trained on: for told, told_next.
 *
 *  Rows that are the same in a modality of the loop (mcl_dataset_groups()) are not each other's negatives: the loss gets
 *  the groups of modality 0 as duplicates and those of modality 1 as other_duplicates. Where no two rows are the same, or
 *  the dataset does not say, it gets none.
 *
 *  COLLECTIVE over ranks: the loss is that of the batch of all ranks, gradients of weights are added up
 *  (mcl_encoder_sum_gradients(); a host's encoder may see to it itself, in backward or step), and all weights move alike; batch norm's
 *  figures are of a rank's rows, as they are of a chunk's. Rank 0 writes what is saved; every rank reads it to go on, so
 *  save_directory is on a file system that all see, or is copied. Each rank holds the projections of the whole batch:
 *  24 projection_dim + 32 bytes for each of sampler.batch_rows, with MCL_BATCH_PACKED none but its own.
 *
 *  Errors: MCL_E_INVALID, MCL_E_SHAPE (rows), MCL_E_MISMATCH (another fingerprint; saved encoders are not there; ranks differ),
 *  MCL_E_NOT_FINITE (the loss diverged), MCL_E_CANCELLED, MCL_E_UNSUPPORTED (options' chunk_rows, initial), MCL_E_CALLBACK
 *  (chunk_rows), and what the parts and the callbacks return. A batch that fails is given up (mcl_encoder_give_up()); it
 *  comes again. */
MCL_API MCL_CHECK mcl_status mcl_multistage_run(mcl_multistage *loop, mcl_dataset *dataset,
                                                mcl_augmenter *augmenter,
                                                const mcl_encoder_factory *factory,
                                                const mcl_monitor *monitor, mcl_error *err);

/* ---- both ------------------------------------------------------------------------------------------------------------- */

/** Saves the loop into a directory, which is made: loop.safetensors with place, labels and reports; in push mode the encoders
 *  too, stage-S.safetensors and, within a stage, one file named after the place. Whatever becomes of the call, killed or not,
 *  the old state is there or the new one, whole, also where the folder held another run's; it says which files are its own by
 *  their hashes, and another save into the folder waits for this one (docs/checkpoint-format.md). Pull: what was handed out counts as
 *  carried out (mcl_multistage_seek() corrects this). Over ranks nothing is exchanged and all have the same to save: one
 *  rank calls this, between two events that all have carried out.
 *  Errors: MCL_E_INVALID, MCL_E_IO, MCL_E_NOMEM, MCL_E_STATE (another directory, after a resume and before a run has loaded the
 *  encoders), MCL_E_MISMATCH (likewise, and another run has replaced them), what an encoder's save returns. */
MCL_API MCL_CHECK mcl_status mcl_multistage_save(const mcl_multistage *loop, const char *directory,
                                                 mcl_error *err);

/** Goes on from what mcl_multistage_save() wrote. The loop was made with the same options; only `stages` may differ, if it is
 *  not less than the stages that are finished, or 0. Over ranks every rank does so, for itself: where one fails, the
 *  next COLLECTIVE call tells that they are at different places.
 *  Errors, after which the loop is as before: MCL_E_NOT_FOUND (nothing there: a new run), MCL_E_MISMATCH (other rows,
 *  fingerprint, seed or options, named), MCL_E_FORMAT, MCL_E_IO, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_multistage_resume(mcl_multistage *loop, const char *directory,
                                                   mcl_error *err);

/** Errors: MCL_E_NOT_FOUND (the stage is not clustered yet, or not by this modality), MCL_E_INVALID. */
MCL_API MCL_CHECK mcl_status mcl_multistage_get_report(const mcl_multistage *loop, int32_t stage,
                                                       int32_t modality, mcl_stage_report *out,
                                                       mcl_error *err);

/** The cluster of every row in a stage, into out[n], n == rows. Errors: as get_report; MCL_E_SHAPE. */
MCL_API MCL_CHECK mcl_status mcl_multistage_labels(const mcl_multistage *loop, int32_t stage,
                                                   int32_t modality, int32_t *out, int64_t n,
                                                   mcl_error *err);

/** A new reference to the sampler of the stage that is trained now; the loop goes on without changing it.
 *  Errors: MCL_E_INVALID, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_multistage_sampler(const mcl_multistage *loop, mcl_sampler **out,
                                                    mcl_error *err);

/** A new reference to the integrator of the stages that mcl_multistage_run() has finished, weighted by options' growth. It grows while
 *  the loop runs. Errors: MCL_E_STATE (no stage is finished, or pull mode), MCL_E_INVALID. */
MCL_API MCL_CHECK mcl_status mcl_multistage_integrator(const mcl_multistage *loop,
                                                       mcl_integrator **out, mcl_error *err);

MCL_END_DECLS

#endif
