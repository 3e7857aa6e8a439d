// Every row of one side against every row of another, neither of them whole in memory.
#ifndef MCL_PROBE_CROSS_H
#define MCL_PROBE_CROSS_H

#include "probe/probe.h"

// Bytes of a chunk of queries, and of a slab of the gallery. A chunk costs a pass over the gallery, so it is as large as a
// host is sure not to mind; a slab is read from the third cache by all blocks of queries in turn.
enum { CROSS_CHUNK_BYTES = 64 << 20, CROSS_SLAB_BYTES = 4 << 20 };

// What a task works on: at most PROBE_QUERIES queries against a slab.
typedef struct mcli_cross_block {
  const float *queries; // [n, dim], at length 1 and negated
  int64_t first, n;     // their rows
  int64_t place;        // of the first in its chunk
  const float *slab;    // packed, at length 1
  int64_t from, rows;   // the gallery's rows in it
  int first_slab, last_slab;
  float *scores; // [PROBE_QUERIES, PROBE_TILE], the worker's own
  uint32_t worker;
} mcli_cross_block;

typedef void (*mcli_cross_fn)(void *job, const mcli_cross_block *b);

typedef struct mcli_cross {
  mcl_context *context;
  mcli_source *queries, *gallery; // started
  int64_t chunk, slab;            // rows of each at a time
  float *rows;                    // [chunk, dim]
  float *slabs[2];                // [slab, dim] each; the second where there is more than one slab
  int64_t holds[2];               // number of the slab in each; -1: none
  float *scores;                  // [workers, PROBE_QUERIES, PROBE_TILE]
} mcli_cross;

// `state`: bytes that the owner keeps for each query of a chunk.
mcl_status mcli_cross_open(mcli_cross *x, mcli_source *queries, mcli_source *gallery, int64_t state,
                           mcl_error *err);
// Of each chunk in turn `rounds` rounds of all slabs in the order of their rows. A block's calls come in that order, blocks of
// queries run at once. `watch` (may be NULL) is told of queries done, those of a chunk by the share of its slabs.
mcl_status mcli_cross_run(mcli_cross *x, const mcli_cross_fn *round, int32_t rounds, void *job,
                          mcli_watch *watch, mcl_error *err);
void mcli_cross_close(mcli_cross *x); // fine when zeroed

#endif
