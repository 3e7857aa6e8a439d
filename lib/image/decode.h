// What the decoders share: the bytes and their limits in, pixels out.
#ifndef MCL_IMAGE_DECODE_H
#define MCL_IMAGE_DECODE_H

#include <libmcl/image.h>

#include "base/context.h"

typedef struct mcli_encoded {
  mcl_context *context;
  const mcl_image_options *options; // checked
  const uint8_t *bytes;
  size_t n;
  int luma;        // one channel is wanted, whatever the file has
  int header_only; // no pixels are wanted
} mcli_encoded;

// As the file stores them: the orientation is not applied yet.
typedef struct mcli_raster {
  uint8_t *pixels; // [height, width, luma ? 1 : channels], to be freed; NULL after header_only
  int32_t height, width;
  int32_t channels;    // of the file: 1 grey, 3 colour
  int32_t orientation; // EXIF's, 1..8
} mcli_raster;

// *out is all zero before; on failure nothing is left to be freed.
mcl_status mcli_png_read(const mcli_encoded *in, mcli_raster *out, mcl_error *err);
mcl_status mcli_jpeg_read(const mcli_encoded *in, mcli_raster *out, mcl_error *err);

// What this build has: png.c or no_png.c, jpeg.c or no_jpeg.c.
extern const int mcli_has_png, mcli_has_jpeg;

// Whether it begins as a format that this build has not, which is no fault of the file.
int mcli_image_lacks(const uint8_t *bytes, size_t n);

// A checked copy; from NULL: the defaults.
mcl_status mcli_image_options_read(const mcl_image_options *from, mcl_image_options *o,
                                   mcl_error *err);

// MCL_E_LIMIT where the sides or their product exceed the options, MCL_E_FORMAT where one is 0.
mcl_status mcli_image_check_size(const mcl_image_options *o, int64_t height, int64_t width,
                                 mcl_error *err);

// The orientation in a file's EXIF data, 1 where there is none or it is damaged. Never reads
// outside bytes[0 .. n-1].
int32_t mcli_jpeg_orientation(const uint8_t *bytes, size_t n);
int32_t mcli_png_orientation(const uint8_t *bytes, size_t n);

// .299 R + .587 G + .114 B in 16-bit fixed point, rounded: the weights add up to 2^16, so grey
// stays what it is.
static inline uint8_t mcli_luma(int r, int g, int b) {
  return (uint8_t)((19595 * r + 38470 * g + 7471 * b + 32768) >> 16);
}

#endif
