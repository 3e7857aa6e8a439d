// A pass over rows on a grid that follows from their number alone.
#ifndef MCL_CLUSTERER_SWEEP_H
#define MCL_CLUSTERER_SWEEP_H

#include <libmcl/rows.h>

#include "comm/comm.h"

enum { MCLI_SWEEP_BLOCK = MCLI_BLOCK_ROWS, MCLI_SWEEP_SEGMENTS = MCLI_SEGMENTS };

// Blocks that a slot holds where the caller's thread must read them: one in work and one to follow.
// More would outlast longer waits for a disk, at a block of memory a thread each.
enum { MCLI_SWEEP_DEPTH = 2 };

typedef struct mcli_block {
  int64_t row;   // the number of its first row
  int64_t first; // the same among the rows of this rank: the place in arrays of its own
  int64_t n;
  const float *x;   // [n, dim]
  uint32_t slot;    // index of scratch memory and of the segment's partial results
  uint32_t segment; // of all rows
} mcli_block;

// Runs in a task; blocks of one slot come one after another, in the order of their rows.
typedef mcl_status (*mcli_block_fn)(void *job, const mcli_block *block, mcl_error *err);
// NULL where nothing is to be done then. Runs on the calling thread when slots 0 .. n - 1 hold whole segments, `segment` and those after it,
// which come after all of the wave before: adds them to the totals in the order of slots and
// empties them. `done` of `blocks` blocks of this rank have been seen.
typedef mcl_status (*mcli_wave_fn)(void *job, uint32_t segment, uint32_t n, int64_t done,
                                   int64_t blocks, mcl_error *err);

typedef struct mcli_sweep {
  mcl_context *context;
  mcl_comm *comm; // NULL: all rows are this process's
  mcl_rows rows;  // opened; rows.rows counts those of all ranks
  mcli_grid grid;
  int64_t first, n; // rows of this rank
  int64_t blocks;   // likewise
  uint32_t slots;
  int32_t finite;  // set by the owner once a whole sweep has passed: arrays are not checked again
  int32_t depth;   // blocks a slot holds, 1 or MCLI_SWEEP_DEPTH
  int64_t *shares; // [ranks + 1]: where each rank's rows begin; NULL where there is one
  int64_t *cuts;   // [ranks + 1], for a while
  float *buffers;  // [slots, depth, block, dim] where rows are not contiguous float32
  // [slots, block, dim] of up to 8 bytes, for callbacks of other types; of one slot where only the
  // caller's thread reads.
  void *scratch;
} mcli_sweep;

// `rows` has been opened and outlives the sweep, as `comm` does.
mcl_status mcli_sweep_open(mcl_context *c, mcl_comm *comm, const mcl_rows *rows, mcli_sweep *s,
                           mcl_error *err);
// This rank's rows. No exchange.
mcl_status mcli_sweep_run(const mcli_sweep *s, mcli_block_fn block, mcli_wave_fn wave, void *job,
                          mcl_error *err);
void mcli_sweep_close(mcli_sweep *s); // fine when zeroed

// The blocks of a segment, [first, first + n), both numbered over all ranks.
static inline void mcli_sweep_segment(const mcli_sweep *s, uint32_t segment, int64_t *first,
                                      int64_t *n) {
  mcli_part(s->grid.blocks, s->grid.segments, segment, first, n);
}
// Block `number`, which is in `segment`, into the slot's buffer `at`, below depth.
mcl_status mcli_sweep_load(const mcli_sweep *s, int64_t number, uint32_t segment, uint32_t slot,
                           int32_t at, mcli_block *b, mcl_error *err);

// Rows of rising numbers at[0 .. n - 1] into out, [n, dim], on every rank: an exchange, which
// `status` goes into. Callbacks on the calling thread.
mcl_status mcli_sweep_gather(const mcli_sweep *s, mcl_status status, const int64_t *at, int64_t n,
                             float *out, mcl_error *err);

// data [segments, width], of which the segments of this rank are filled in, gets the others'.
mcl_status mcli_sweep_share(const mcli_sweep *s, mcl_status status, double *data, int64_t width,
                            mcl_error *err);

// One row out of each of n equal shares of `rows` rows, so at[] rises: each row is as likely as any
// other, and no draw needs to know the others. n <= rows.
void mcli_sweep_draw(uint64_t seed, uint64_t a, uint64_t b, int64_t rows, int64_t n, int64_t *at);

// What the draws of k-means are for: the last argument of their random streams.
enum { MCLI_DRAW_TRAIN, MCLI_DRAW_SAMPLE, MCLI_DRAW_SEEDS, MCLI_DRAW_BATCH };

#endif
