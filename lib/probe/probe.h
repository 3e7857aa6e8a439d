// What the probes share: checked arguments, unit rows, and shares with their intervals.
#ifndef MCL_PROBE_PROBE_H
#define MCL_PROBE_PROBE_H

#include <libmcl/probe.h>

#include "base/context.h"
#include "math/array.h"

// Labels above are ids, not classes: a table over all of them must stay small (4 MiB at 2^20).
enum { PROBE_LABELS = 1 << 20 };

// The caller's options over the defaults, every field in its range. `context` is checked too.
mcl_status mcli_probe_begin(const mcl_context *context, const mcl_probe_options *from,
                            mcl_probe_options *to, mcl_error *err);
// A result that can be written: not NULL, initialised.
mcl_status mcli_probe_result_check(const mcl_probe_result *out, mcl_error *err);
// The training and test halves of a classification: shapes, labels, and at least a row of each.
mcl_status mcli_probe_halves_check(const mcl_array *z, const int32_t *y, const mcl_array *test_z,
                                   const int32_t *test_y, mcl_error *err);
// At least one row and one column.
mcl_status mcli_probe_matrix_check(const mcl_array *a, const char *name, int64_t rows, int64_t cols,
                                   mcl_error *err);

// correct of total with Wilson's interval.
mcl_probe_result mcli_probe_share(int64_t correct, int64_t total, double confidence);

// A new contiguous float32 copy of a checked matrix: finite, or MCL_E_NOT_FINITE with the row; with `unit` each row is
// L2-normalised. To be freed with mcli_free; NULL on failure.
mcl_status mcli_probe_copy(mcl_context *c, const mcl_array *a, const char *name, int unit,
                           float **out, mcl_error *err);

// Only looks whether all rows are finite.
mcl_status mcli_probe_finite(mcl_context *c, const mcl_array *a, const char *name, mcl_error *err);

// Every worker's share of scratch memory, n floats each; NULL without memory.
float *mcli_probe_scratch(mcl_context *c, int64_t n);

#endif
