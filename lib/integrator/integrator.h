// The integrator's inside, for the files that weigh, view, save and load it.
#ifndef MCL_INTEGRATOR_INTEGRATOR_H
#define MCL_INTEGRATOR_INTEGRATOR_H

#include <libmcl/integrator.h>

#include "base/context.h"

typedef struct integrator_stage {
  mcl_encoder *encoder; // a reference, or NULL
  double weight;
  int32_t first, dim; // its columns
  int32_t number;     // what its encoder is told it is: of a view, its number in the whole
} integrator_stage;

struct mcl_integrator {
  mcli_refcount refs;
  mcli_guard guard;
  mcl_context *context;
  integrator_stage *stage; // [stages]
  int32_t stages, dim;     // dim: of all stages together
};

mcl_status mcli_integrator_stage_check(const mcl_integrator *g, int32_t stage, mcl_error *err);
// Another stage at the end, all arguments checked; keeps a reference to the encoder.
mcl_status mcli_integrator_append(mcl_integrator *g, mcl_encoder *encoder, int32_t dim,
                                  double weight, int32_t number, mcl_error *err);
mcl_status mcli_integrator_weight_check(double weight, mcl_error *err);
// Passes an encoder's failure on with the stage's number; `first` is added to the row.
mcl_status mcli_integrator_stage_failed(const mcl_error *inner, int32_t stage, int64_t first,
                                        mcl_error *err);

#endif
