// The image files under a folder, in an order that does not depend on the file system.
#ifndef MCL_DATASET_WALK_H
#define MCL_DATASET_WALK_H

#include "base/context.h"

// Paths relative to the root, "class/a.png", one after the other in `text`, each NUL-terminated. To
// be freed with mcli_walk_free, also after a failure; zeroed before.
typedef struct mcli_walk {
  char *text;
  int64_t used, capacity; // bytes of text
  int64_t files;
} mcli_walk;

mcl_status mcli_walk_images(mcl_context *c, const char *root, mcli_walk *w, mcl_error *err);
void mcli_walk_free(mcl_context *c, mcli_walk *w);

#endif
