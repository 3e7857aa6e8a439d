// The records of a file of pairs: which image, which caption, in which line.
#ifndef MCL_DATASET_PAIRS_FILE_H
#define MCL_DATASET_PAIRS_FILE_H

#include "dataset/dataset.h"
#include "dataset/table.h"

// Strings lie in the file's text.
typedef struct mcli_pair {
  const char *image, *caption;
  const char *category; // NULL: none
  int64_t line;         // where the record begins, from 1
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

// ---- the steps, for records of another kind (questions.c) ---------------------------------------

// The file's bytes, checked to be UTF-8 without NULs; *text is behind a byte order mark.
mcl_status mcli_pairs_file_load(mcli_pairs_file *f, const mcl_pairs_options *o, char **text,
                                mcl_error *err);
// Its records, behind the heading.
mcl_status mcli_pairs_file_table(const mcli_pairs_file *f, const mcl_pairs_options *o, char *text,
                                 mcli_table *t, mcl_error *err);
// One more pair, whose path and caption are checked not to be blank. `number`: the caption's in its
// record, from 1.
mcl_status mcli_pairs_file_add(mcli_pairs_file *f, const mcli_pair *p, int64_t number,
                               mcl_error *err);
int mcli_is_blank(const char *text);

#endif
