// Bicubic with corners kept, as torchvision's interpolate_embeddings does it (torch.nn.functional.interpolate, align_corners).
//
// Place i of n lies at u = i (m - 1) / (n - 1) of the m there were, 0 where n is 1                     (1)
// and is the sum over the four k about u of c(u - k) x_k; beyond the edge the last one stands          (2)
//
//   c(d) = (a + 2) d^3 - (a + 3) d^2 + 1        |d| <= 1
//   c(d) = a d^3 - 5 a d^2 + 8 a d - 4 a        1 < |d| < 2          (Keys 1981, section IV)          (3)
//
// first along one side, then along the other.
//
// Not image/resize: that keeps edges of pixels, not centres of corners, and smooths when it makes smaller.
#include "encoder/positions.h"

#include <math.h>

enum { TAPS = 4 };
// PyTorch's. Keys's own is -.5: smoother, and a resized checkpoint would not be PyTorch's.
static const double a = -0.75;

typedef struct taps {
  int64_t at[TAPS];
  double weight[TAPS];
} taps;

// (3)
static double cubic(double d) {
  d = fabs(d);
  return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

static taps taps_of(int64_t i, int64_t n, int64_t m) {
  taps t;
  double u = n > 1 ? (double)i * (double)(m - 1) / (double)(n - 1) : 0; // (1)
  int64_t first = (int64_t)floor(u) - 1;
  for (int k = 0; k < TAPS; k++) { // (2)
    int64_t at = first + k;
    t.weight[k] = cubic(u - (double)at);
    t.at[k] = at < 0 ? 0 : at < m ? at : m - 1;
  }
  return t;
}

void mcli_positions_resize(const float *from, int64_t side, int64_t dim, int64_t height,
                           int64_t width, float *to) {
  for (int64_t y = 0; y < height; y++) {
    taps rows = taps_of(y, height, side);
    for (int64_t x = 0; x < width; x++, to += dim) {
      taps cols = taps_of(x, width, side);
      for (int64_t d = 0; d < dim; d++) {
        double sum = 0;
        for (int r = 0; r < TAPS; r++)
          for (int c = 0; c < TAPS; c++)
            sum += rows.weight[r] * cols.weight[c] *
                   (double)from[(rows.at[r] * side + cols.at[c]) * dim + d];
        to[d] = (float)sum;
      }
    }
  }
}
