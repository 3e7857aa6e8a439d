// The encoder handle: one table of callbacks, whoever wrote it.
#ifndef MCL_ENCODER_ENCODER_H
#define MCL_ENCODER_ENCODER_H

#include <libmcl/encoder.h>

#include "base/context.h"

// Makes a handle of a table that has been checked. `name` (static) stands before every message: "cnn". It owns `table`
// from here on: when it fails, table->destroy has run.
mcl_status mcli_encoder_create(mcl_context *c, const char *name, const mcl_host_encoder *table,
                               mcl_encoder **out, mcl_error *err);

// table->user: for tests that look inside.
void *mcli_encoder_user(mcl_encoder *e);

#endif
