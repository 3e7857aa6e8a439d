// One side of a probe: rows of an array, a callback or a file, read block by block in tasks.
#ifndef MCL_PROBE_SOURCE_H
#define MCL_PROBE_SOURCE_H

#include <libmcl/rows.h>

#include "base/context.h"

// Rows a block. At 128 numbers 256 rows are 128 KiB, which a core's second cache holds while a block is worked on; fewer are
// small reads of a file and small products. The linear probe adds a block up in float32, so the number is part of its bits.
enum { SOURCE_ROWS = 256 };

typedef struct mcli_source_failure {
  mcl_status status; // MCL_OK: none
  int64_t first;     // of the block
  mcl_error error;
} mcli_source_failure;

typedef struct mcli_source {
  mcl_context *context;
  const char *name; // of the argument
  mcl_rows rows;    // opened
  int32_t filled;   // `held` has all rows
  int32_t finite;   // an array that has been looked at, which is not done again
  int32_t slots;    // blocks at once
  float *held;      // [rows, dim], a copy for who passes over the rows often; or NULL
  float *buffers;   // [slots, SOURCE_ROWS, dim], where nothing is held
  void *scratch;    // [slots, SOURCE_ROWS, dim] of 8 bytes, for callbacks of other types
  mcli_source_failure *failures; // [slots]: the first of each worker
} mcli_source;

// Of an array, in `rows`; NULL of NULL, which opening will refuse.
const mcl_rows *mcli_source_of(const mcl_array *array, mcl_rows *rows);
// Checks: `cols` columns unless negative. Nothing is read or allocated.
mcl_status mcli_source_open(mcl_context *c, const mcl_rows *rows, const char *name, int64_t cols,
                            mcli_source *s, mcl_error *err);
// Memory to read by, for passes over at most `rows` rows: one block's needs no more than a slot. `hold`: for a copy too, which
// the first pass fills.
mcl_status mcli_source_start(mcli_source *s, int64_t rows, int hold, mcl_error *err);
void mcli_source_stop(mcli_source *s); // fine when zeroed, opened only, or stopped

// Row i, finite, into out [dim]. On the calling thread.
mcl_status mcli_source_row(const mcli_source *s, int64_t i, float *out, mcl_error *err);

typedef struct mcli_source_block {
  int64_t first, n;     // rows
  float *x;             // [n, dim], finite; may be spoilt, which lasts only where rows are held
  int64_t part, number; // it is block `number` of its part
  uint32_t worker;
} mcli_source_block;

typedef void (*mcli_source_fn)(void *job, const mcli_source_block *b);

// Rows first .. first + n - 1 in parts of nearly equal length; parts 0: each block is a part of its own. Blocks of a part come
// one after another, in the order of their rows; parts run at once.
typedef struct mcli_source_pass {
  mcli_source *source;
  int64_t first, n, parts;
  mcli_source_fn fn;
  void *job;
} mcli_source_pass;

// Fails with the first row that is not finite, or as reading does. Where rows are not in memory `watch` (may be NULL) is told
// every few parts what it was told last, so that the host may cancel.
mcl_status mcli_source_run(const mcli_source_pass *p, mcli_watch *watch, mcl_error *err);

// Only looks whether rows are finite; of an array later passes must keep to these rows.
mcl_status mcli_source_finite(mcli_source *s, int64_t first, int64_t n, mcl_error *err);

// The same by hand, in tasks of the caller's, where any thread may read: how many parts; one of them; what became of all.
int64_t mcli_source_parts(const mcli_source_pass *p);
void mcli_source_part(const mcli_source_pass *p, int64_t part, uint32_t worker);
mcl_status mcli_source_outcome(mcli_source *s, mcl_error *err);

#endif
