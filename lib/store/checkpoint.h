// What a checkpoint holds, for parts that must refuse a file with tensors they do not know.
#ifndef MCL_STORE_CHECKPOINT_H
#define MCL_STORE_CHECKPOINT_H

#include <libmcl/checkpoint.h>

// The i-th tensor's name in the order of bytes, from 0; NULL behind the last one. Lives as long as
// the checkpoint.
const char *mcli_checkpoint_name(const mcl_checkpoint *k, int64_t i);

#endif
