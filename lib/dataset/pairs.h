// What a file of pairs has said, put together as a dataset.
#ifndef MCL_DATASET_PAIRS_H
#define MCL_DATASET_PAIRS_H

#include "dataset/pairs_file.h"

// The caller's options over the defaults, checked, with the format that follows from `path`.
mcl_status mcli_pairs_options_read(const mcl_pairs_options *from, const char *path,
                                   mcl_pairs_options *o, mcl_error *err);

// The rows of all pairs of a file that was read, which is spoilt: its text goes over to the
// dataset. Paths are relative to the folder of f->path. `t` NULL: images with texts alone.
mcl_status mcli_pairs_create(mcli_pairs_file *f, const mcl_tokenizer *t,
                             const mcl_folder_options *images, const mcl_image_options *image,
                             mcli_watch *watch, mcl_dataset **out, mcl_error *err);

#endif
