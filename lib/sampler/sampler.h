// The sampler as the loop sees it, beyond libmcl/sampler.h and sampler/cells.h.
#ifndef MCL_SAMPLER_SAMPLER_H
#define MCL_SAMPLER_SAMPLER_H

#include <libmcl/sampler.h>

// Which batches (labels, options, epoch, step, rank) give. Goes up when any of them changes; kept
// in saved state, so that a run is never resumed with other batches unnoticed.
enum { MCLI_SAMPLER_ALGORITHM = 1 };

// A new sampler of one reference that is like `s` now and does not follow when labels are added to
// `s`. Shares its memory: costs nothing a row. A const call of `s`.
mcl_status mcli_sampler_clone(const mcl_sampler *s, mcl_sampler **out, mcl_error *err);

// mcl_sampler_create with rows kept in 64 bits where `wide`, whatever their number. For tests: the
// result is the same.
mcl_status mcli_sampler_create(mcl_context *c, const mcl_sampler_options *o, int64_t rows,
                               int32_t rank, int32_t world, int32_t wide, mcl_sampler **out,
                               mcl_error *err);

#endif
