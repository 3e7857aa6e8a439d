/* All of libmcl's C interface. Parts can be included one by one; dlpack.h is apart. */
#ifndef LIBMCL_MCL_H
#define LIBMCL_MCL_H

#include <libmcl/array.h>
#include <libmcl/checkpoint.h>
#include <libmcl/clusterer.h>
#include <libmcl/comm.h>
#include <libmcl/context.h>
#include <libmcl/dataset.h>
#include <libmcl/encoder.h>
#include <libmcl/export.h>
#include <libmcl/image.h>
#include <libmcl/inputs.h>
#include <libmcl/integrator.h>
#include <libmcl/loss.h>
#include <libmcl/multistage.h>
#include <libmcl/probe.h>
#include <libmcl/rows.h>
#include <libmcl/sampler.h>
#include <libmcl/status.h>
#include <libmcl/tokenizer.h>
#include <libmcl/version.h>

#endif
