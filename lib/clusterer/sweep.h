// A pass over rows on a grid that follows from their number alone.
#ifndef MCL_CLUSTERER_SWEEP_H
#define MCL_CLUSTERER_SWEEP_H

#include <libmcl/rows.h>

#include "base/context.h"

// Rows a block: of 128 floats half a megabyte, which stays in L2 while it is scored and summed;
// fewer rows waste the start of each matrix product. Segments: shares of the rows that are summed
// apart. More would let more processes share the work and cost more combining; the number is part
// of the result's bits, so it may change only with the algorithm number.
enum { MCLI_SWEEP_BLOCK = 1024, MCLI_SWEEP_SEGMENTS = 64 };

typedef struct mcli_block {
  int64_t first, n;
  const float *x; // [n, dim]
  uint32_t slot;  // index of the segment's partial results
} mcli_block;

// Runs in a task; blocks of one slot come one after another, in the order of their rows.
typedef mcl_status (*mcli_block_fn)(void *job, const mcli_block *block, mcl_error *err);
// Runs on the calling thread when slots 0 .. n - 1 hold whole segments, later ones than in the wave
// before: adds them to the totals in the order of slots and empties them. `done` of `blocks` blocks
// have been seen.
typedef mcl_status (*mcli_wave_fn)(void *job, uint32_t n, int64_t done, int64_t blocks,
                                   mcl_error *err);

typedef struct mcli_sweep {
  mcl_context *context;
  mcl_rows rows; // opened
  int64_t blocks;
  uint32_t segments, slots;
  int32_t finite; // set by the owner once a whole sweep has passed: arrays are not checked again
  int32_t reserved;
  float *buffers; // [slots, block, dim] where rows are not contiguous float32
  void *scratch;  // [slots, block, dim] of up to 8 bytes, for callbacks of other types
} mcli_sweep;

// Whether rows may be had in tasks.
static inline int mcli_sweep_any_thread(const mcli_sweep *s) {
  return s->rows.array != NULL || (s->rows.flags & MCL_ROWS_ANY_THREAD) != 0;
}

// `rows` has been opened and outlives the sweep.
mcl_status mcli_sweep_open(mcl_context *c, const mcl_rows *rows, mcli_sweep *s, mcl_error *err);
mcl_status mcli_sweep_run(const mcli_sweep *s, mcli_block_fn block, mcli_wave_fn wave, void *job,
                          mcl_error *err);
void mcli_sweep_close(mcli_sweep *s); // fine when zeroed

// Rows of rising numbers at[0 .. n - 1] into out, [n, dim]. Callbacks on the calling thread.
mcl_status mcli_sweep_gather(const mcli_sweep *s, const int64_t *at, int64_t n, float *out,
                             mcl_error *err);

// One row out of each of n equal shares of `rows` rows, so at[] rises: each row is as likely as any
// other, and no draw needs to know the others. n <= rows.
void mcli_sweep_draw(uint64_t seed, uint64_t a, uint64_t b, int64_t rows, int64_t n, int64_t *at);

// What the draws of k-means are for: the last argument of their random streams.
enum { MCLI_DRAW_TRAIN, MCLI_DRAW_SAMPLE, MCLI_DRAW_SEEDS, MCLI_DRAW_BATCH };

#endif
