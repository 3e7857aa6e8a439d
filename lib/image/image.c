// From the bytes of a file to the pixels a caller asked for.
//
// limits -> format by its first bytes -> decoder -> resize -> orientation -> the caller's array
//
// Resizing comes before turning: the output is the smaller image, nearly always. The two commute:
// the filters are symmetric, and a centred crop stays centred, but for one that is not scaled and has
// an odd margin: its half pixel is rounded off in the file's direction. Nothing is written to the
// caller before all that can fail has been done.
#include <stdbool.h>
#include <string.h>

#include "image/decode.h"
#include "image/resize.h"
#include "math/array.h"

static const mcl_image_options defaults = {
    .struct_size = sizeof(mcl_image_options),
    .max_pixels =
        1 << 24, // 48 MB of RGB: four times a common camera's picture fits, a bomb does not
    .max_bytes = 64 << 20,
    .max_side = 16384,
    .max_scans = 100, // encoders use about 10
    .fit = MCL_FIT_STRETCH,
    .filter = MCL_FILTER_TRIANGLE,
};

void mcl_image_options_init(mcl_image_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

// ---- checks -------------------------------------------------------------------------------------

static mcl_status check_range(const char *name, int64_t value, int64_t low, int64_t high,
                              mcl_error *err) {
  if (value >= low && value <= high) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "mcl_image_options.%s is %lld, not %lld..%lld", name,
                   (long long)value, (long long)low, (long long)high);
}

mcl_status mcli_image_options_read(const mcl_image_options *from, mcl_image_options *o,
                                   mcl_error *err) {
  *o = defaults;
  mcl_status s = MCL_OK;
  if (from) s = mcli_options_copy(o, sizeof *o, from, "mcl_image_options", err);
  if (s == MCL_OK) s = check_range("max_pixels", o->max_pixels, 1, INT32_MAX, err);
  if (s == MCL_OK) s = check_range("max_bytes", o->max_bytes, 1, (int64_t)1 << 40, err);
  if (s == MCL_OK) s = check_range("max_side", o->max_side, 1, 65535, err);
  if (s == MCL_OK) s = check_range("max_scans", o->max_scans, 1, INT32_MAX, err);
  if (s == MCL_OK) s = check_range("fit", o->fit, MCL_FIT_STRETCH, MCL_FIT_CROP, err);
  if (s == MCL_OK) s = check_range("filter", o->filter, MCL_FILTER_TRIANGLE, MCL_FILTER_BOX, err);
  if (s == MCL_OK) s = check_range("allow_truncated", o->allow_truncated, 0, 1, err);
  if (s == MCL_OK) s = check_range("reserved", o->reserved, 0, 0, err);
  return s;
}

mcl_status mcli_image_check_size(const mcl_image_options *o, int64_t height, int64_t width,
                                 mcl_error *err) {
  if (height < 1 || width < 1)
    return mcli_fail(err, MCL_E_FORMAT, "the image is %lld x %lld pixels", (long long)height,
                     (long long)width);
  if (height > o->max_side || width > o->max_side)
    return mcli_fail(err, MCL_E_LIMIT, "the image is %lld x %lld pixels, max_side is %d",
                     (long long)height, (long long)width, (int)o->max_side);
  if (height * width > o->max_pixels)
    return mcli_fail(err, MCL_E_LIMIT, "the image has %lld pixels, max_pixels is %lld",
                     (long long)(height * width), (long long)o->max_pixels);
  return MCL_OK;
}

static mcl_status check_encoded(mcl_context *c, const mcl_image_options *from, const void *bytes,
                                size_t n, mcl_image_options *o, mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!bytes) return mcli_fail(err, MCL_E_INVALID, "bytes is NULL");
  mcl_status s = mcli_image_options_read(from, o, err);
  if (s == MCL_OK && (uint64_t)n > (uint64_t)o->max_bytes)
    return mcli_fail(err, MCL_E_LIMIT, "the file has %llu bytes, max_bytes is %lld",
                     (unsigned long long)n, (long long)o->max_bytes);
  return s;
}

static mcl_status check_out(const mcl_array *out, mcl_error *err) {
  mcl_status s = mcli_array_check_out(out, "out", err);
  if (s < 0) return s;
  if (out->dtype != MCL_U8 && out->dtype != MCL_F32)
    return mcli_fail(err, MCL_E_DTYPE, "out must be of MCL_U8 or MCL_F32");
  if (out->ndim != 2 && out->ndim != 3)
    return mcli_fail(err, MCL_E_SHAPE, "out has %d dimensions, not [h, w, c] or [h, w]",
                     (int)out->ndim);
  if (out->shape[2] != 1 && out->shape[2] != 3)
    return mcli_fail(err, MCL_E_SHAPE, "out has %lld channels, not 1 or 3",
                     (long long)out->shape[2]);
  for (int i = 0; i < 2; i++) // the same bound as any image that can be read
    if (out->shape[i] < 1 || out->shape[i] > 65535)
      return mcli_fail(err, MCL_E_SHAPE, "out.shape[%d] is %lld, not 1..65535", i,
                       (long long)out->shape[i]);
  return MCL_OK;
}

// ---- decoding -----------------------------------------------------------------------------------

static bool is_png(const uint8_t *bytes, size_t n) {
  static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  return n >= sizeof png && memcmp(bytes, png, sizeof png) == 0;
}

static bool is_jpeg(const uint8_t *bytes, size_t n) {
  static const uint8_t jpeg[3] = {0xFF, 0xD8, 0xFF};
  return n >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0;
}

int mcli_image_lacks(const uint8_t *bytes, size_t n) {
  return (is_png(bytes, n) && !mcli_has_png) || (is_jpeg(bytes, n) && !mcli_has_jpeg);
}

static mcl_status read_raster(const mcli_encoded *in, mcli_raster *raster, mcl_error *err) {
  *raster = (mcli_raster){0};
  if (is_png(in->bytes, in->n)) return mcli_png_read(in, raster, err);
  if (is_jpeg(in->bytes, in->n)) return mcli_jpeg_read(in, raster, err);
  return mcli_fail(err, MCL_E_FORMAT, "the file is neither a PNG nor a JPEG");
}

mcl_status mcl_image_size(mcl_context *context, const mcl_image_options *options, const void *bytes,
                          size_t n, int32_t *height, int32_t *width, int32_t *channels,
                          mcl_error *err) {
  mcl_image_options o;
  mcli_raster r;
  mcl_status s = check_encoded(context, options, bytes, n, &o, err);
  if (s < 0) return s;
  mcli_encoded in = {context, &o, bytes, n, 0, 1};
  s = read_raster(&in, &r, err);
  if (s < 0) return s;
  int turned = r.orientation >= 5;
  if (height) *height = turned ? r.width : r.height;
  if (width) *width = turned ? r.height : r.width;
  if (channels) *channels = r.channels;
  return mcl_ok(err);
}

// Where the pixel shown at (y, x) is stored, for EXIF orientation o of h x w stored pixels: start +
// y * down + x * right.
typedef struct walk {
  int64_t start, down, right;
} walk;

static walk oriented(int32_t o, int64_t h, int64_t w) {
  switch (o) {
  case 2:
    return (walk){w - 1, w, -1}; // mirrored
  case 3:
    return (walk){h * w - 1, -w, -1}; // upside down
  case 4:
    return (walk){(h - 1) * w, -w, 1}; // top to bottom
  case 5:
    return (walk){0, 1, w}; // transposed
  case 6:
    return (walk){(h - 1) * w, 1, -w}; // to be turned clockwise
  case 7:
    return (walk){h * w - 1, -1, -w}; // transposed about the other diagonal
  case 8:
    return (walk){w - 1, -1, w}; // to be turned anticlockwise
  default:
    return (walk){0, w, 1};
  }
}

// pixels [h, w, c] as stored into out; one channel is repeated where out has three.
static void write_out(const uint8_t *pixels, int64_t h, int64_t w, int64_t c, int32_t orientation,
                      const mcl_array *out) {
  walk at = oriented(orientation, h, w);
  int64_t repeat = c == 1 ? 0 : 1;
  for (int64_t y = 0; y < out->shape[0]; y++)
    for (int64_t x = 0; x < out->shape[1]; x++) {
      const uint8_t *p = pixels + (at.start + y * at.down + x * at.right) * c;
      int64_t to = y * out->strides[0] + x * out->strides[1];
      for (int64_t k = 0; k < out->shape[2]; k++, to += out->strides[2])
        if (out->dtype == MCL_U8)
          ((uint8_t *)out->data)[to] = p[k * repeat];
        else
          ((float *)out->data)[to] = (float)p[k * repeat] / 255;
    }
}

// Whether out's bytes are an upright image of c channels, one value after the other.
static bool is_plain(const mcl_array *out, int32_t orientation, int c) {
  return orientation == 1 && out->dtype == MCL_U8 && out->shape[2] == c && out->strides[2] == 1 &&
         out->strides[1] == c && out->strides[0] == out->shape[1] * c;
}

// The raster, resized to what out shows and turned into it; where nothing is to be turned or
// converted it is resized into out itself.
static mcl_status fit_out(const mcli_encoded *in, const mcli_raster *r, const mcl_array *out,
                          mcl_error *err) {
  const mcl_image_options *o = in->options;
  int c = in->luma ? 1 : r->channels;
  int turned = r->orientation >= 5;
  int h = (int)out->shape[turned ? 1 : 0], w = (int)out->shape[turned ? 0 : 1];
  if (is_plain(out, r->orientation, c))
    return mcli_resize_u8(in->context, r->pixels, r->height, r->width, c, h, w, out->data,
                          o->filter, o->fit, err);
  if (h == r->height && w == r->width) {
    write_out(r->pixels, h, w, c, r->orientation, out);
    return MCL_OK;
  }
  uint8_t *resized = mcli_alloc(in->context, (uint64_t)h * (uint64_t)w, (uint64_t)c);
  if (!resized) return mcli_nomem(err, "a resized image");
  mcl_status s = mcli_resize_u8(in->context, r->pixels, r->height, r->width, c, h, w, resized,
                                o->filter, o->fit, err);
  if (s == MCL_OK) write_out(resized, h, w, c, r->orientation, out);
  mcli_free(in->context, resized);
  return s;
}

mcl_status mcl_image_decode(mcl_context *context, const mcl_image_options *options,
                            const void *bytes, size_t n, const mcl_array *out, mcl_error *err) {
  mcl_image_options o;
  mcli_raster r;
  mcl_status s = check_encoded(context, options, bytes, n, &o, err);
  if (s == MCL_OK) s = check_out(out, err);
  if (s < 0) return s;
  mcli_encoded in = {context, &o, bytes, n, out->shape[2] == 1, 0};
  s = read_raster(&in, &r, err);
  if (s < 0) return s;
  s = fit_out(&in, &r, out, err);
  mcli_free(context, r.pixels);
  return s < 0 ? s : mcl_ok(err);
}
