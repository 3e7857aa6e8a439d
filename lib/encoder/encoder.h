// The encoder handle: one table of callbacks, whoever wrote it.
#ifndef MCL_ENCODER_ENCODER_H
#define MCL_ENCODER_ENCODER_H

#include <libmcl/encoder.h>

#include "base/context.h"

// Makes a handle of a table that has been checked. `name` (static) stands before every message: "cnn". It owns `table`
// from here on: when it fails, table->destroy has run.
mcl_status mcli_encoder_create(mcl_context *c, const char *name, const mcl_host_encoder *table,
                               mcl_encoder **out, mcl_error *err);

// table->user: for the pair, and tests that look inside.
void *mcli_encoder_user(mcl_encoder *e);
const mcl_host_encoder *mcli_encoder_table(const mcl_encoder *e);

// Gives the batch at work up, as a backward that fails does. For what has an encoder within it.
void mcli_encoder_give_up(mcl_encoder *e);

// Whether a forward may follow a backward: MCL_HOST_CHUNKS.
int mcli_encoder_takes_chunks(const mcl_encoder *e);

// What mcl_encoder_sum_gradients() does, within a COLLECTIVE call. A host's encoder that leaves it to itself: nothing.
mcl_status mcli_encoder_sum_gradients(mcl_encoder *e, mcl_comm *comm, mcl_error *err);

// For who reads or writes behind the handle: MCL_E_BUSY while another call is at work.
mcl_status mcli_encoder_enter(mcl_encoder *e, mcl_error *err);
void mcli_encoder_leave(mcl_encoder *e);

#endif
