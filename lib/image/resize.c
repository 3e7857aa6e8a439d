// Resampling, one axis after the other.
//
// Output i of `out` looks at the pixels around its centre, in the input's pixels:
//
//   s   = length / out                       the factor; above 1 the image shrinks       (1)
//   u_i = from + (i + 1/2) s                 the centre of output i                       (2)
//
// TRIANGLE, bilinear interpolation whose triangle is as wide as an output pixel when shrinking (as
// Pillow's BILINEAR):
//
//   w_ij = max(0, 1 - |j + 1/2 - u_i| / max(s, 1)),  normalised to sum 1                  (3)
//
// BOX, the share of pixel j that output i covers:
//
//   w_ij = | [j, j + 1] n [from + i s, from + (i + 1) s] |,  normalised                   (4)
//
// Where all of a BOX's corners are whole the weights stay 1 and the sum is divided once, at the
// end: sums of bytes are exact in float32 up to 2^24, so the means of up to 65,536 pixels round as
// they should (5).
//
// Rows go first: a weighted sum of whole input rows is a plain vector loop, and one float row is
// all the memory it takes. Columns go second, on that row, while it is in the cache (the loops are
// in image/x86/resample.c). Sums are
// float32 in the order of the taps; Pillow, which rounds to bytes between the axes, differs by one
// at most. Rejected: integer weights, no faster and less exact.
#include "image/resize.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "image/kernels.h"

// ---- weights ------------------------------------------------------------------------------------

int32_t mcli_taps_most(double length, int32_t out, int filter) {
  double s = length / out;
  if (filter == MCL_FILTER_BOX) return (int32_t)ceil(s) + 1;
  return 2 * (int32_t)ceil(s > 1 ? s : 1) + 1;
}

int64_t mcli_taps_words(int32_t out, int32_t most) {
  return (int64_t)out * (2 + (int64_t)most);
}

void mcli_taps_place(mcli_taps *taps, void *words, int32_t out, int32_t most) {
  int32_t *w = words;
  taps->out = out;
  taps->most = most;
  taps->first = w;
  taps->count = w + out;
  taps->weight = (float *)(void *)(w + 2 * (int64_t)out);
  taps->divisor = 1;
}

// Rounded down; what is below 0, where casting rounds up, is below `low` anyway.
static int32_t clamp(double x, int32_t low, int32_t high) {
  return x < low ? low : x > high ? high : (int32_t)x;
}

// (3) and (4) for one output, not yet normalised. The pixels [*first, *first + count).
static int32_t triangle(double centre, double s, int32_t in, int32_t *first, float *weight) {
  double wide = s > 1 ? s : 1;
  int32_t low = clamp(centre - wide + 0.5, 0, in - 1);
  int32_t high = clamp(centre + wide + 0.5, low + 1, in);
  *first = low;
  for (int32_t j = low; j < high; j++) {
    double w = 1 - fabs(j + 0.5 - centre) / wide;
    weight[j - low] = w > 0 ? (float)w : 0;
  }
  return high - low;
}

static int32_t box(double from, double to, int32_t in, int32_t *first, float *weight) {
  int32_t low = clamp(from, 0, in - 1), high = clamp(ceil(to), low + 1, in);
  *first = low;
  for (int32_t j = low; j < high; j++) {
    double w = fmin(to, j + 1.0) - fmax(from, j);
    weight[j - low] = w > 0 ? (float)w : 0;
  }
  return high - low;
}

// Drops zeros at the end, the only place where (3) and (4) have any: a pixel without weight must
// not cost time, nor spread its NaN.
static int32_t trim(const float *weight, int32_t count) {
  while (count > 1 && weight[count - 1] == 0) count--;
  return count;
}

static void normalise(float *weight, int32_t count) {
  double sum = 0;
  for (int32_t k = 0; k < count; k++) sum += weight[k];
  for (int32_t k = 0; k < count; k++) weight[k] = (float)(weight[k] / sum);
}

void mcli_taps_fill(mcli_taps *taps, int32_t in, double from, double length, int filter,
                    int mirror) {
  double s = length / taps->out;
  int whole = filter == MCL_FILTER_BOX && s == floor(s) && from == floor(from); // (5)
  taps->divisor = whole ? (float)s : 1;
  for (int32_t i = 0; i < taps->out; i++) {
    int32_t at = mirror ? taps->out - 1 - i : i;
    float *weight = taps->weight + (int64_t)at * taps->most;
    int32_t first, count;
    if (filter == MCL_FILTER_BOX)
      count = box(from + length * i / taps->out, from + length * (i + 1.0) / taps->out, in, &first,
                  weight);
    else
      count = triangle(from + (i + 0.5) * s, s, in, &first, weight);
    count = trim(weight, count);
    if (!whole) normalise(weight, count);
    taps->first[at] = first;
    taps->count[at] = count;
  }
}

// ---- images of floats ---------------------------------------------------------------------------

void mcli_resample_f32(const mcli_resample_kernels *k, const float *in, int32_t w, int32_t c,
                       const mcli_taps *ty, const mcli_taps *tx, float *row, int32_t first,
                       int32_t n, float *out) {
  int64_t stride = (int64_t)w * c, plane = (int64_t)ty->out * tx->out;
  for (int32_t y = 0; y < ty->out; y++) {
    k->rows_f32(in + ty->first[y] * stride, stride, ty->weight + (int64_t)y * ty->most,
                ty->count[y], row, stride);
    k->columns_f32(row + first, c, tx, n, out + (int64_t)y * tx->out, plane);
  }
}

// ---- whole images of bytes ----------------------------------------------------------------------

// The whole image, or the largest rectangle around its centre with the aspect of the output. Where
// nothing is scaled the corner is rounded down to a pixel: half a pixel's shift would blur for
// nothing.
static mcli_box fitted(int h, int w, int oh, int ow, int fit) {
  mcli_box b = {0, 0, h, w};
  if (fit != MCL_FIT_CROP) return b;
  if ((int64_t)w * oh > (int64_t)h * ow)
    b.width = (double)h * ow / oh;
  else
    b.height = (double)w * oh / ow;
  b.x = (w - b.width) / 2;
  b.y = (h - b.height) / 2;
  if (b.height == oh && b.width == ow) b.y = floor(b.y), b.x = floor(b.x);
  return b;
}

// Every output gets as many taps as the one that has most, by weights of 0, which add nothing to
// sums of bytes: a loop whose length changes from pixel to pixel costs more in mispredicted branches
// than those taps do.
static void even_out(mcli_taps *t, int32_t in) {
  int32_t most = 0;
  for (int32_t i = 0; i < t->out; i++) most = t->count[i] > most ? t->count[i] : most;
  for (int32_t i = 0; i < t->out; i++) {
    float *weight = t->weight + (int64_t)i * t->most;
    int32_t shift = t->first[i] + most > in ? t->first[i] + most - in : 0;
    memmove(weight + shift, weight, (size_t)t->count[i] * sizeof *weight);
    for (int32_t k = 0; k < shift; k++) weight[k] = 0;
    for (int32_t k = shift + t->count[i]; k < most; k++) weight[k] = 0;
    t->first[i] -= shift;
    t->count[i] = most;
  }
}

// `sums` has a row of the output. Of the input's row, only the columns that the taps look at are
// summed.
static void resample_u8(const mcli_resample_kernels *k, const uint8_t *in, int w, int c,
                        const mcli_taps *ty, const mcli_taps *tx, float *row, float *sums,
                        uint8_t *out) {
  int32_t last = tx->out - 1;
  int64_t stride = (int64_t)w * c, skip = (int64_t)tx->first[0] * c, wide = (int64_t)tx->out * c;
  int64_t n = (int64_t)(tx->first[last] + tx->count[last]) * c - skip;
  for (int32_t y = 0; y < ty->out; y++) {
    k->rows_u8(in + ty->first[y] * stride + skip, stride, ty->weight + (int64_t)y * ty->most,
               ty->count[y], row + skip, n);
    k->columns(row, c, tx, sums);
    k->to_bytes(sums, ty->divisor * tx->divisor, wide, out + y * wide);
  }
}

mcl_status mcli_resize_u8(mcl_context *context, const uint8_t *in, int h, int w, int c, int oh,
                          int ow, uint8_t *out, int filter, int fit, mcl_error *err) {
  if (h == oh && w == ow) {
    memcpy(out, in, (size_t)h * (size_t)w * (size_t)c);
    return MCL_OK;
  }
  mcli_box b = fitted(h, w, oh, ow, fit);
  int32_t most_y = mcli_taps_most(b.height, oh, filter),
          most_x = mcli_taps_most(b.width, ow, filter);
  int64_t words_y = mcli_taps_words(oh, most_y), words_x = mcli_taps_words(ow, most_x);
  int64_t row = (int64_t)w * c + MCLI_ROW_SLACK, sums = (int64_t)ow * c + MCLI_ROW_SLACK;
  int64_t words = words_y + words_x + row + sums;
  float *memory = MCLI_NEW0(context, float, words);
  if (!memory) return mcli_nomem(err, "resizing an image");
  mcli_taps ty, tx;
  mcli_taps_place(&ty, memory, oh, most_y);
  mcli_taps_place(&tx, memory + words_y, ow, most_x);
  mcli_taps_fill(&ty, h, b.y, b.height, filter, 0);
  mcli_taps_fill(&tx, w, b.x, b.width, filter, 0);
  even_out(&tx, w);
  float *at = memory + words_y + words_x;
  resample_u8(mcli_resample_kernels_of(context), in, w, c, &ty, &tx, at, at + row, out);
  mcli_free(context, memory);
  return MCL_OK;
}
