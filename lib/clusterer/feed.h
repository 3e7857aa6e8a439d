// Rows by a callback that only the caller's thread may call: read ahead beside the work.
#ifndef MCL_CLUSTERER_FEED_H
#define MCL_CLUSTERER_FEED_H

#include "clusterer/sweep.h"

typedef struct mcli_feed mcli_feed;

// For one pass over the rows of `s`, which outlives it. NULL without memory.
mcli_feed *mcli_feed_open(const mcli_sweep *s, mcli_block_fn block, void *job);
// Has block() work on all of segments first .. first + n - 1, of slots 0 .. n - 1. Waves come in
// order, each with as many segments as there are slots, or what is left.
mcl_status mcli_feed_wave(mcli_feed *f, uint32_t first, uint32_t n, mcl_error *err);
void mcli_feed_close(mcli_feed *f); // NULL is fine

#endif
