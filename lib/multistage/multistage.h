// The loop's own memory. pull.c walks it from event to event, stage.c closes a stage, run.c trains, save.c keeps it; what
// goes into a stage's report is in report.h.
#ifndef MCL_MULTISTAGE_MULTISTAGE_H
#define MCL_MULTISTAGE_MULTISTAGE_H

#include <stdbool.h>

#include <libmcl/multistage.h>
#include <libmcl/rows.h>

#include "comm/comm.h"
#include "encoder/folder.h"

// 64 stages: cells halve at least once a stage, and no data set has 2^64 rows.
// 2 modalities: image and text. Everything below is written for any number up to this one.
enum { MCLI_MAX_STAGES = 64, MCLI_MAX_MODALITIES = 2 };

typedef enum { MCLI_AT_BEGIN, MCLI_AT_TRAIN, MCLI_AT_EMBED, MCLI_AT_DONE } mcli_phase;

// The embeddings of this rank's rows by one modality as they come in, any order, any pieces.
typedef struct mcli_gather {
  float *z;            // [share, dim], or NULL when they go to a file
  mcl_npy *file;       // being written until all rows are there, then open for reading
  bool committed;      // all rows are there, and the file is in its place
  bool readable;       // and opened again
  bool asked;          // a rank without rows has heard that they are embedded now
  unsigned char *have; // [share]
  int64_t missing;
  int32_t dim;     // 0: no row has come yet
  int32_t *labels; // [rows]: the host's labels, instead of embeddings; the same on all ranks
} mcli_gather;

typedef struct mcli_stage_result {
  int32_t *labels[MCLI_MAX_MODALITIES]; // [rows], NULL: this modality is not clustered
  mcl_stage_report report[MCLI_MAX_MODALITIES];
} mcli_stage_result;

// What run.c has measured of the stage that is being trained.
typedef struct mcli_tally {
  double loss, accuracy; // sums over the steps of this epoch
  double steps;
  double loss_first, loss_last, accuracy_last; // means of whole epochs, NaN before
} mcli_tally;

struct mcl_multistage {
  mcli_refcount refs;
  mcli_guard guard;
  mcl_context *context;
  mcl_comm *comm;           // NULL: one process
  mcl_multistage_options o; // its pointers lead to the copies below
  mcl_kmeans_options kmeans;
  mcl_sampler_options sampling;
  mcl_loss_options loss;
  char *embedding_directory, *save_directory;
  int64_t rows;
  int64_t first, share; // of them, those that this rank embeds
  uint32_t clustered;   // bit a modality
  bool keeps_clusterer; // o.clusterer is a reference, not yet the host's pointer

  mcli_phase phase;
  int32_t stage, epoch; // of the next batch
  int64_t step;
  bool resumed;         // the encoder of `stage` has begun already: it is loaded, not made
  mcl_sampler *sampler; // cells of all stages before `stage`
  mcli_gather gather[MCLI_MAX_MODALITIES];
  int64_t embed_next,
      embed_missing; // next row to ask for; rows missing when this pass over them began
  int32_t embed_modality;
  mcli_stage_result results[MCLI_MAX_STAGES];

  // Push.
  mcl_encoder *encoders[MCLI_MAX_STAGES];
  mcl_integrator *integrator;
  struct mcli_views *views; // while mcl_multistage_run() works: how its encoders can be shown rows
  mcli_tally tally;
  char *resume_directory; // where the encoders before `stage` lie that are not in memory
  uint64_t
      hashes[MCLI_MAX_STAGES]; // of finished stages' files, as last saved or resumed; 0: not known
  mcli_folder_entry place;     // the file of the place that was resumed from
  int32_t stages_saved;        // finished stages that have been saved in save_directory
};

// multistage.c
mcl_status mcli_loop_make_sampler(const mcl_multistage *l, int32_t stages, mcl_sampler **out,
                                  mcl_error *err);
void mcli_stage_result_clear(mcl_multistage *l, int32_t stage);
void mcli_tally_reset(mcli_tally *t);
// No stage is to come: `stages` are done or, where they were left open, the last one's advice is to stop.
bool mcli_loop_is_over(const mcl_multistage *l);
// How many stages there may be.
int32_t mcli_loop_max_stages(const mcl_multistage *l);
// The most rows of a batch, of all ranks together.
int64_t mcli_loop_batch_rows(const mcl_multistage *l);
// Forgets what was done in `stage` and later, and stands at its beginning.
void mcli_loop_forget(mcl_multistage *l, int32_t stage);

// pull.c: the public calls without their guard.
mcl_status mcli_loop_next(mcl_multistage *l, const mcl_monitor *m, mcl_event *event,
                          mcl_batch *batch, mcl_error *err);
mcl_status mcli_loop_put(mcl_multistage *l, int32_t modality, const int64_t *indices, int64_t n,
                         const mcl_array *z, mcl_error *err);
void mcli_gather_clear(mcl_context *c, mcli_gather *g);

// Goes from training on to embedding where no step is left. Where a rank stands is the same then, whether it has been told so or not.
void mcli_loop_settle(mcl_multistage *l);
// Asks once more for all rows that are missing: those that were last asked for did not come.
void mcli_loop_ask_again(mcl_multistage *l);

// Whether the next event is one at which all ranks meet: a stage begins, or is clustered.
bool mcli_loop_is_meeting(const mcl_multistage *l);

// stage.c: clusters what was gathered, reports, and goes to the next stage.
mcl_status mcli_stage_close(mcl_multistage *l, const mcl_monitor *m, mcl_error *err);

// "directory/stage-3.npy", over ranks "directory/stage-3-rank-0-of-2.npy"; to be freed.
char *mcli_embedding_path(const mcl_multistage *l, int32_t stage, int32_t modality);

// save.c. Of what ranks must have in common: options, place and labels.
uint64_t mcli_loop_fingerprint(const mcl_multistage *l);
// Encoders of finished stages are written where the folder has none of hashes[stage], which are brought up to date.
mcl_status mcli_loop_save(const mcl_multistage *l, const char *directory,
                          uint64_t hashes[MCLI_MAX_STAGES], mcl_error *err);
// Where the loop saves into the folder that it was resumed from, what a killed save has left there is put in order.
mcl_status mcli_loop_tidy(const mcl_multistage *l, mcl_error *err);
// "stage-3", or with a place "stage-3-epoch-2-step-17".
void mcli_encoder_name(char name[MCLI_FOLDER_NAME], int32_t stage, int32_t epoch, int64_t step);

#endif
