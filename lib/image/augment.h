// The augmenter as the loop sees it, beyond libmcl/image.h.
#ifndef MCL_IMAGE_AUGMENT_H
#define MCL_IMAGE_AUGMENT_H

#include <libmcl/image.h>

// The shape [h, w, c] of a view of rows of the shape `in`.
void mcli_augmenter_output(const mcl_augmenter *a, const int64_t in[3], int64_t out[3]);

#endif
