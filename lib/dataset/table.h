// Records of a TSV or of a CSV, a field at a time.
#ifndef MCL_DATASET_TABLE_H
#define MCL_DATASET_TABLE_H

#include "dataset/dataset.h"

typedef struct mcli_table {
  const char *path;   // for messages
  char *at, *end;     // what is left of the text; the byte at `end` may be written too
  int64_t most_bytes; // of a record
  int64_t line;       // of `at`, from 1
  char *record;       // where the record begins
  int64_t begun;      // in this line
  char separator;     // '\t': nothing is quoted; ',': RFC 4180
} mcli_table;

// Goes to the next record, over empty lines; 0: there is none. The one before has been read to its
// end.
int mcli_table_next(mcli_table *t);
// The record's next field, in the text itself; *ends: it is the last one.
mcl_status mcli_table_field(mcli_table *t, char **field, int *ends, mcl_error *err);

// The place in a message: "pairs.tsv, line 3: " and what `format` gives.
mcl_status mcli_line_fail(const char *path, mcl_error *err, mcl_status status, int64_t line,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
