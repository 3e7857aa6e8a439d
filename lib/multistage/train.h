// A step of push training: what run.c does with a batch to be trained on.
#ifndef MCL_MULTISTAGE_TRAIN_H
#define MCL_MULTISTAGE_TRAIN_H

#include "multistage/views.h"

// Buffers of the steps, and what they are made of. Zero but for the first two, which live as long as it does.
typedef struct mcli_trainer {
  mcl_multistage *l;
  mcli_views *views;
  float *z[2], *dz[2]; // [batch capacity, projection]: of a whole batch
  float *again;        // [chunk capacity, projection]: of a chunk whose projections are made again
  int32_t projection;
} mcli_trainer;

// Makes room for an encoder's projections. MCL_E_UNSUPPORTED: batches come in chunks, and it takes them whole.
mcl_status mcli_trainer_fit(mcli_trainer *t, mcl_encoder *e, mcl_error *err);
void mcli_trainer_free(mcli_trainer *t);

// One step on a batch of the loop. Where it fails the batch is given up.
mcl_status mcli_train(mcli_trainer *t, mcl_encoder *e, const mcl_event *event,
                      const mcl_batch *batch, mcl_loss_result *r, mcl_error *err);

#endif
