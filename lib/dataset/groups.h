// Which of n items are equal.
#ifndef MCL_DATASET_GROUPS_H
#define MCL_DATASET_GROUPS_H

#include "base/context.h"

typedef struct mcli_group_key {
  uint64_t hash; // equal for equal items
  int64_t item;
} mcli_group_key;

// first[i] becomes the first item that is equal to item i. `keys`: [n], of the items in order; it is
// spoilt. `compare` is a total order, 0 for equal items, asked of items of equal hash; NULL: those
// are equal.
mcl_status mcli_group(mcl_context *c, mcli_group_key *keys, int64_t n,
                      int (*compare)(const void *user, int64_t a, int64_t b), const void *user,
                      int64_t *first, mcl_error *err);

#endif
