// A step of push training: what run.c does with a batch to be trained on.
#ifndef MCL_MULTISTAGE_TRAIN_H
#define MCL_MULTISTAGE_TRAIN_H

#include "multistage/views.h"

// The batch of all ranks together, where there are several; of packed batches no rows.
typedef struct mcli_whole {
  char *rows;     // [batch_rows of all ranks, index, cell and two projections]: what is sent
  int64_t *first; // [ranks + 1]: where each rank's rows begin
  char *notes;    // what ranks tell each other
  int64_t *indices, *cells; // [batch_rows of all ranks]
  float *z[2], *dz[2];      // [batch_rows of all ranks, projection]
} mcli_whole;

// Buffers of the steps, and what they are made of. Zero but for the first two, which live as long as it does.
typedef struct mcli_trainer {
  mcl_multistage *l;
  mcli_views *views;
  float *z[2], *dz[2]; // [batch capacity, projection]: of a whole batch
  mcli_whole whole;
  float *again; // [chunk capacity, projection]: of a chunk whose projections are made again
  int32_t projection;
} mcli_trainer;

// Makes room for an encoder's projections. MCL_E_UNSUPPORTED: batches come in chunks, and it takes them whole.
mcl_status mcli_trainer_fit(mcli_trainer *t, mcl_encoder *e, mcl_error *err);
void mcli_trainer_free(mcli_trainer *t);

// The loss of this process's rows, into t->dz; of no rows it is nothing.
mcl_status mcli_loss_at_home(mcli_trainer *t, const mcl_batch *batch, int32_t dim,
                             const mcl_loss_options *options, mcl_loss_result *r, mcl_error *err);
// By the loop's loss.
mcl_status mcli_loss_run(const mcli_trainer *t, const mcl_loss_options *options,
                         const mcl_loss_inputs *in, mcl_loss_result *r, mcl_error *err);

// ranks.c. t->dz, and the result, by the loss of all ranks' batch: options as of one process.
mcl_status mcli_whole_fit(mcl_multistage *l, int32_t projection, mcli_whole *w, mcl_error *err);
void mcli_whole_free(mcl_context *c, mcli_whole *w); // fine when zeroed
mcl_status mcli_loss_over_ranks(mcli_trainer *t, const mcl_event *event, const mcl_batch *batch,
                                int32_t dim, const mcl_loss_options *options, mcl_loss_result *r,
                                mcl_error *err);

// One step on a batch of the loop. Where it fails the batch is given up.
mcl_status mcli_train(mcli_trainer *t, mcl_encoder *e, const mcl_event *event,
                      const mcl_batch *batch, mcl_loss_result *r, mcl_error *err);

#endif
