// Good files of everything that is saved, as small as they get, made once by libmcl itself.
#ifndef MCL_TESTS_FUZZ_SAVED_GOOD_H
#define MCL_TESTS_FUZZ_SAVED_GOOD_H

#include <libmcl/clusterer.h>
#include <libmcl/encoder.h>
#include <libmcl/integrator.h>

#include "fuzz/fuzz.h"

enum { GOOD_MLP, GOOD_PAIR, GOOD_TORCH, GOOD_CLUSTERER, GOOD_INTEGRATOR, GOOD_CLIP, GOODS };
enum { GOOD_INPUTS = 3, GOOD_DIM = 2, GOOD_SIDE = 4 };

const uint8_t *good_file(int what, size_t *n);
// An encoder that the file is of; NULL without memory.
mcl_encoder *good_encoder(mcl_context *context, int what, uint64_t seed);
mcl_integrator *good_integrator(mcl_context *context);

#endif
