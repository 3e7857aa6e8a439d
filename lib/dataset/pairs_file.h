// The records of a file of pairs: which image, which caption, in which line.
#ifndef MCL_DATASET_PAIRS_FILE_H
#define MCL_DATASET_PAIRS_FILE_H

#include "dataset/dataset.h"

// Strings lie in the file's text.
typedef struct mcli_pair {
  const char *image, *caption;
  int64_t line; // where the record begins, from 1
} mcli_pair;

typedef struct mcli_pairs_file {
  mcl_context *context;
  const char *path; // for messages; the caller's
  char *text;       // of the whole file, cut into strings
  int64_t size;
  mcli_pair *pairs; // [n], in the order of the file
  int64_t n, capacity;
} mcli_pairs_file;

// Reads all of it; options are checked, their format is known. At least one pair. To be freed with
// mcli_pairs_file_free, also after a failure; zeroed before but for context and path.
mcl_status mcli_pairs_file_read(mcli_pairs_file *f, const mcl_pairs_options *o, mcl_error *err);
void mcli_pairs_file_free(mcli_pairs_file *f);
// The place in a message: "pairs.tsv, line 3: " and what `format` gives.
mcl_status mcli_pairs_file_fail(const mcli_pairs_file *f, mcl_error *err, mcl_status status,
                                int64_t line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
