// The dataset handle inside: what all kinds share, and the table that tells them apart.
//
// A kind's struct begins with mcl_dataset, so that a pointer to one is a pointer to the other.
// Nothing here knows which kinds there are.
#ifndef MCL_DATASET_DATASET_H
#define MCL_DATASET_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/dataset.h>

#include "base/context.h"

typedef struct mcli_dataset_kind {
  // Rows into `out`; all arguments have been checked, n > 0. On failure `out` is untouched.
  mcl_status (*load)(mcl_dataset *d, const int64_t *indices, int64_t n, int32_t modality,
                     const mcl_array *out, mcl_error *err);
  // The name of a row of a dataset that wraps no other; NULL: its number, which may be replaced by
  // that of a row further in. The function itself NULL: its number.
  const char *(*row_name)(const mcl_dataset *d, int64_t *row);
  // The text of a row's caption. NULL: as of what it wraps; NULL too where there is none.
  const char *(*caption)(const mcl_dataset *d, int64_t row);
  // Numbers for all rows, equal where rows have the same content in the modality; MCL_E_NOT_FOUND:
  // not known. NULL: a wrapper's rows are as those it wraps, others are all different.
  mcl_status (*groups)(mcl_dataset *d, int32_t modality, int64_t *out, mcl_error *err);
  // Frees what the kind added; of a half-built dataset too. NULL: nothing.
  void (*destroy)(mcl_dataset *d);
} mcli_dataset_kind;

struct mcl_dataset {
  mcli_refcount refs;
  const mcli_dataset_kind *kind;
  mcl_context *context;        // a reference
  mcl_dataset *inner;          // what is wrapped, a reference; NULL: nothing
  const mcl_dataset *labelled; // of several joined, the one that labels came from; NULL: itself
  int64_t *inner_rows;         // [rows]: row i is row inner_rows[i] of inner; NULL: row i is row i
  int64_t rows;
  uint64_t fingerprint;
  int32_t modalities;
  int32_t classes;    // labels are below it; 0: none
  mcl_array *shapes;  // [modalities], of one row, data NULL; NULL: the host holds the data
  int32_t *labels;    // [rows]; NULL: none
  int32_t *codes;     // [rows]; NULL: none
  char **class_names; // [classes]; NULL: none here
  int64_t files, skipped, captions_skipped;
  int32_t cached;
  int32_t is_host; // rows come from callbacks of a host, which run on the calling thread only
};

// `size` bytes, zeroed but for one reference, the kind, the context and `modalities` zeroed shapes;
// NULL without memory.
mcl_dataset *mcli_dataset_new(mcl_context *c, size_t size, const mcli_dataset_kind *kind,
                              int32_t modalities);
// The same around another: with its shapes, labels, codes, report, rows and `inner`; copies them
// for `rows` rows by inner_rows where that is not NULL. It takes inner_rows over, also when it
// fails.
mcl_dataset *mcli_dataset_wrap(mcl_context *c, size_t size, const mcli_dataset_kind *kind,
                               mcl_dataset *inner, int64_t *inner_rows, int64_t rows);
// The shape of every row of a modality.
void mcli_dataset_set_shape(mcl_dataset *d, int32_t modality, int32_t dtype, int32_t ndim,
                            const int64_t *shape);
// A copy of from[rows[i]] for n rows, rows NULL: of from[i]; NULL without memory.
int32_t *mcli_dataset_pick(mcl_context *c, const int32_t *from, const int64_t *rows, int64_t n);
// `d` is a dataset whose modality 0 is [h, w, c] of uint8.
mcl_status mcli_dataset_check_images(const mcl_dataset *d, mcl_error *err);

// Each of n indices is in 0 .. rows - 1.
mcl_status mcli_dataset_check_indices(const int64_t *indices, int64_t n, int64_t rows,
                                      mcl_error *err);

// As kind->caption, for all kinds; NULL: there is none.
const char *mcli_dataset_caption_of(const mcl_dataset *d, int64_t row);
// As kind->groups, for all kinds. `modality` has been checked.
mcl_status mcli_dataset_raw_groups(mcl_dataset *d, int32_t modality, int64_t *out, mcl_error *err);
// As kind->row_name, for a wrapper too.
const char *mcli_dataset_row_name(const mcl_dataset *d, int64_t *row);

#endif
