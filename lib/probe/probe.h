// What the probes share: checked arguments, unit rows, and shares with their intervals.
#ifndef MCL_PROBE_PROBE_H
#define MCL_PROBE_PROBE_H

#include <libmcl/probe.h>

#include "base/context.h"
#include "math/array.h"
#include "probe/source.h"

// Labels above are ids, not classes: a table over all of them must stay small (4 MiB at 2^20).
enum { PROBE_LABELS = 1 << 20 };

// The caller's options over the defaults, every field in its range. `context` is checked too.
mcl_status mcli_probe_begin(const mcl_context *context, const mcl_probe_options *from,
                            mcl_probe_options *to, mcl_error *err);
// A result that can be written: not NULL, initialised.
mcl_status mcli_probe_result_check(const mcl_probe_result *out, mcl_error *err);
mcl_status mcli_probe_labels_check(const int32_t *y, int64_t n, const char *name, mcl_error *err);
// One side of a probe, opened: `cols` columns unless negative, and at least one row.
mcl_status mcli_probe_side_open(mcl_context *c, const mcl_rows *rows, const char *name,
                                int64_t cols, mcli_source *side, mcl_error *err);
// The training and test halves of a classification, z and test_z, opened: shapes, labels, and at least a row of each.
mcl_status mcli_probe_halves_open(mcl_context *c, const mcl_rows *z, const int32_t *y,
                                  const mcl_rows *test_z, const int32_t *test_y, mcli_source *train,
                                  mcli_source *test, mcl_error *err);
// At least one row and one column.
mcl_status mcli_probe_matrix_check(const mcl_array *a, const char *name, int64_t rows, int64_t cols,
                                   mcl_error *err);

// correct of total with Wilson's interval.
mcl_probe_result mcli_probe_share(int64_t correct, int64_t total, double confidence);

// How rows are copied.
enum {
  PROBE_AS_GIVEN,
  PROBE_UNIT,    // at length 1
  PROBE_NEGATED, // at length 1, turned round: mcli_scores_kernels.score subtracts products
  PROBE_PACKED   // at length 1, packed as by mcli_scores_pack
};
typedef struct mcli_probe_fill {
  mcli_source *source;
  int64_t first; // the row at the beginning of `out`
  float *out;    // [n, dim], or packed, whole panels
  int how;
} mcli_probe_fill;
// The work of a pass that copies rows, blocks its parts: `job` is a mcli_probe_fill.
void mcli_probe_fill_block(void *job, const mcli_source_block *b);
mcl_status mcli_probe_fill_rows(const mcli_probe_fill *f, int64_t n, mcl_error *err);

// A new copy of a checked matrix: finite, or MCL_E_NOT_FINITE with the row. To be freed with mcli_free; NULL on failure.
mcl_status mcli_probe_copy(mcl_context *c, const mcl_array *a, const char *name, int how,
                           float **out, mcl_error *err);
// Row i of a packed copy.
void mcli_probe_unpack(const float *packed, int64_t i, int64_t dim, float *row);

// Scores are made in tiles of PROBE_QUERIES rows by PROBE_TILE packed ones: 256 KiB of scores, which stay in a core's second
// cache with the rows they came from, and enough rows to pay for reading the packed ones. Most scores of a tile interest
// nobody: they are skipped PROBE_RUN at a time by their maximum. Longer runs are rarely free of a hit, shorter ones cost
// more calls.
enum { PROBE_QUERIES = 128, PROBE_TILE = 512, PROBE_RUN = 64 };
// out[i, j] = -<queries_i, packed row first + j>; out is [n, PROBE_TILE wide at most]: its width, rounded up to whole panels
// (what is beyond the last row is 0), is returned. `first` is a multiple of PROBE_TILE, `rows` the number of packed rows.
int64_t mcli_probe_tile(const mcl_context *c, const float *queries, int64_t n, int64_t dim,
                        const float *packed, int64_t first, int64_t rows, float *out);

// Every worker's share of scratch memory, n floats each; NULL without memory.
float *mcli_probe_scratch(mcl_context *c, int64_t n);

#endif
