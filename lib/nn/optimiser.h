// Adam and SGD over the tensors of a network.
#ifndef MCL_NN_OPTIMISER_H
#define MCL_NN_OPTIMISER_H

#include <libmcl/encoder.h>

#include "nn/params.h"

// NULL options give the defaults. MCL_E_INVALID names the field.
mcl_status mcli_optimiser_options(mcl_optimiser_options *to, const mcl_optimiser_options *from,
                                  mcl_error *err);

// MCL_E_NOT_FINITE, the tensor named, where a gradient is not finite: a step would refuse it.
mcl_status mcli_optimiser_check(mcl_context *c, const mcli_params *p, mcl_error *err);

// Step number t (from 1) of every trained tensor by the gradients, which are then zero. A gradient that is not finite:
// MCL_E_NOT_FINITE, the tensor named, nothing else changed.
mcl_status mcli_optimiser_step(mcl_context *c, const mcl_optimiser_options *o, mcli_params *p,
                               double learning_rate, int64_t t, mcl_error *err);

#endif
