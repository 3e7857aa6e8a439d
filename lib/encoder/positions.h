// Learned positions of a grid of patches, brought to a grid of another size.
#ifndef MCL_ENCODER_POSITIONS_H
#define MCL_ENCODER_POSITIONS_H

#include <stdint.h>

// from [side, side, dim] to [height, width, dim].
void mcli_positions_resize(const float *from, int64_t side, int64_t dim, int64_t height,
                           int64_t width, float *to);

#endif
