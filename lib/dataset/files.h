// Image files decoded to rows of one size: those of a folder, and those that a file of pairs names.
#ifndef MCL_DATASET_FILES_H
#define MCL_DATASET_FILES_H

#include "dataset/dataset.h"

typedef struct mcli_file_list {
  const char *root; // the folder in which relative names lie
  char *text;       // n names, one behind another, each NUL-terminated
  int64_t n;
  const char *source;   // the file that names them, for messages; NULL: none does
  const int64_t *lines; // [n], where it does so
} mcli_file_list;

// The caller's options over the defaults, checked.
mcl_status mcli_files_options_read(const mcl_folder_options *from, mcl_folder_options *o,
                                   mcl_image_options *image, mcl_error *err);

// Decodes all files. places[i], [n], becomes the row of file i, -1 where it was bad and left out.
// Takes list->text over, also when it fails. The watch is told of phase "decode".
mcl_status mcli_files_create(mcl_context *c, const mcli_file_list *list,
                             const mcl_folder_options *o, const mcl_image_options *image,
                             mcli_watch *watch, int64_t *places, mcl_dataset **out, mcl_error *err);

#endif
