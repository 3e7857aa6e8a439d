// A file of an image: its size, and its pixels at that size and at another, in bytes and floats, in one channel and three.
//
//   what mcl_image_size() says is within the limits, and what it refuses is not decoded, for the same reason       (1)
//   an array that a failed call was given is as before, and so are the gaps of one with strides                    (2)
//   decoding twice gives the same bytes; floats are the bytes over 255; a grey image is repeated                   (3)
//   what is decoded strictly is decoded to the same where truncation is allowed                                    (4)
//   what mcl_image_write_png() writes is read back equal                                                           (5)
#include "fuzz/image.h"

#include <libmcl/image.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Sides of an output: more only costs time. What fuzz_room() is filled with.
enum { SIDES = 24, GAP = 0xA5 };

// 1: wrong calls are wanted too.
static int choose(fuzz_bytes *b, mcl_image_options *o) {
  uint64_t bits = fuzz_bits(b, 1);
  mcl_image_options_init(o, sizeof *o);
  o->fit = bits & 1 ? MCL_FIT_CROP : MCL_FIT_STRETCH;
  o->filter = bits & 2 ? MCL_FILTER_BOX : MCL_FILTER_TRIANGLE;
  o->allow_truncated = bits & 4 ? 1 : 0;
  // An input of a few bytes may say any size: images of the default limits would leave a few runs a second.
  o->max_pixels = bits & 8 ? 64 : 1 << 14;
  o->max_side = bits & 16 ? 12 : 4096;
  o->max_bytes = bits & 32 ? 256 : 1 << 20;
  o->max_scans = bits & 64 ? 2 : 100;
  return bits & 128 ? 1 : 0;
}

typedef struct picture {
  mcl_context *context;
  const mcl_image_options *options;
  const uint8_t *bytes;
  size_t n;
} picture;

static mcl_array array_of(void *data, int32_t dtype, int64_t h, int64_t w, int64_t c) {
  mcl_array a;
  const int64_t shape[3] = {h, w, c};
  mcl_array_init(&a, data, dtype, 3, shape);
  return a;
}

static size_t bytes_of(const mcl_array *a) {
  return (size_t)(a->shape[0] * a->shape[1] * a->shape[2]) * (a->dtype == MCL_F32 ? 4 : 1);
}

// The image in an array of its own, to be freed; NULL where it is refused, and *err says why.
static uint8_t *decode(const picture *p, int32_t dtype, int64_t h, int64_t w, int64_t c,
                       mcl_error *err) {
  mcl_array a = array_of(NULL, dtype, h, w, c);
  size_t n = bytes_of(&a);
  a.data = fuzz_room(n);
  if (fuzz_ok(mcl_image_decode(p->context, p->options, p->bytes, p->n, &a, err), err))
    return a.data;
  fuzz_untouched(a.data, n, "a decode"); // (2)
  free(a.data);
  return NULL;
}

static void check_same(const void *a, const void *b, size_t n, const char *what) {
  if (memcmp(a, b, n) != 0) fuzz_fail("%s: other pixels", what);
}

// (3) for an image of which `pixels` [h, w, 3] are known.
static void check_again(const picture *p, const uint8_t *pixels, int64_t h, int64_t w, int grey) {
  size_t n = (size_t)(h * w);
  mcl_error err;
  uint8_t *bytes = decode(p, MCL_U8, h, w, 3, &err), *luma = decode(p, MCL_U8, h, w, 1, &err);
  float *floats = (float *)(void *)decode(p, MCL_F32, h, w, 3, &err);
  if ((!bytes || !luma || !floats) && !fuzz_memory_may_fail())
    fuzz_fail("decoded once, and then: %s", err.message);
  if (bytes) check_same(bytes, pixels, 3 * n, "decoded again");
  for (size_t i = 0; floats && i < 3 * n; i++)
    if (floats[i] != (float)pixels[i] / 255) fuzz_fail("%g is not %d / 255", floats[i], pixels[i]);
  for (size_t i = 0; luma && grey && i < n; i++)
    for (size_t k = 0; k < 3; k++)
      if (pixels[3 * i + k] != luma[i]) fuzz_fail("grey has a colour");
  free(bytes);
  free(luma);
  free(floats);
}

// Columns as wide as four channels, rows with a gap behind: (2) of a success.
static void check_gaps(const picture *p, const uint8_t *pixels, int64_t h, int64_t w) {
  mcl_error err;
  mcl_array a = array_of(NULL, MCL_U8, h, w, 3);
  a.strides[1] = 4, a.strides[0] = 4 * w + 5;
  size_t n = (size_t)(h * a.strides[0]);
  uint8_t *to = fuzz_room(n);
  a.data = to;
  if (fuzz_ok(mcl_image_decode(p->context, p->options, p->bytes, p->n, &a, &err), &err))
    for (int64_t i = 0, stride = a.strides[0]; i < h * stride; i++) {
      int64_t x = i % stride / 4, k = i % stride % 4;
      int inside = x < w && k < 3;
      if (to[i] != (inside ? pixels[(i / stride * w + x) * 3 + k] : GAP))
        fuzz_fail("an array with strides: byte %lld is wrong", (long long)i);
    }
  free(to);
}

// (4)
static void check_allowed(const picture *p, const uint8_t *pixels, int64_t h, int64_t w) {
  mcl_image_options o = *p->options;
  picture q = *p;
  mcl_error err;
  if (o.allow_truncated) return;
  o.allow_truncated = 1;
  q.options = &o;
  uint8_t *same = decode(&q, MCL_U8, h, w, 3, &err);
  if (!same && !fuzz_memory_may_fail()) fuzz_fail("refused where more is allowed: %s", err.message);
  if (same) check_same(same, pixels, (size_t)(3 * h * w), "where truncation is allowed");
  free(same);
}

// (5). The file is read by the default options: whatever was decoded within other limits fits these.
static void check_round_trip(const picture *p, uint8_t *pixels, int64_t h, int64_t w) {
  mcl_error err;
  const char *path = fuzz_path("written.png");
  mcl_array a = array_of(pixels, MCL_U8, h, w, 3);
  if (!fuzz_read(mcl_image_write_png(p->context, path, &a, &err), &err, path)) {
    if (!fuzz_memory_may_fail()) fuzz_fail("%s", err.message);
    return;
  }
  picture written = {.context = p->context};
  uint8_t *bytes = fuzz_get(path, &written.n);
  written.bytes = bytes;
  uint8_t *back = decode(&written, MCL_U8, h, w, 3, &err);
  if (!back && !fuzz_memory_may_fail()) fuzz_fail("a written file: %s", err.message);
  if (back) check_same(back, pixels, bytes_of(&a), "written and read");
  free(back);
  free(bytes);
}

// (1)
static int size_of(const picture *p, int32_t *h, int32_t *w, int32_t *c) {
  mcl_error err, why;
  const mcl_image_options *o = p->options;
  if (fuzz_ok(mcl_image_size(p->context, o, p->bytes, p->n, h, w, c, &err), &err)) {
    if (*h < 1 || *w < 1 || *h > o->max_side || *w > o->max_side ||
        (int64_t)*h * *w > o->max_pixels || (*c != 1 && *c != 3))
      fuzz_fail("an image of %d x %d x %d", (int)*h, (int)*w, (int)*c);
    return 1;
  }
  uint8_t *pixels = decode(p, MCL_U8, 2, 3, 1, &why);
  if (!fuzz_memory_may_fail() && (pixels || strcmp(err.message, why.message) != 0))
    fuzz_fail("size: %s, decode: %s", err.message, pixels ? "fine" : why.message);
  free(pixels);
  return 0;
}

// ---- wrong calls --------------------------------------------------------------------------------

static void refuse_options(const picture *p) {
  mcl_image_options o[11];
  mcl_error err;
  int32_t h, w, c;
  enum { N = sizeof o / sizeof *o };
  for (int i = 0; i < N; i++) o[i] = *p->options;
  o[0].max_pixels = 0, o[1].max_pixels = (int64_t)INT32_MAX + 1, o[2].max_bytes = 0;
  o[3].max_bytes = ((int64_t)1 << 40) + 1, o[4].max_side = 0, o[5].max_side = 65536;
  o[6].max_scans = 0, o[7].fit = 3, o[8].filter = 0, o[9].allow_truncated = 2, o[10].reserved = 1;
  for (int i = 0; i < N; i++)
    fuzz_refused(mcl_image_size(p->context, &o[i], p->bytes, p->n, &h, &w, &c, &err), &err,
                 MCL_E_INVALID);
}

static void refuse_out(const picture *p) {
  uint8_t *room = fuzz_room(64);
  mcl_array a = array_of(room, MCL_U8, 2, 2, 3);
  mcl_error err;
  const struct {
    int32_t dtype, ndim;
    int64_t h, w, c;
    mcl_status wanted;
  } wrong[] = {{MCL_I32, 3, 2, 2, 3, MCL_E_DTYPE}, {MCL_U8, 1, 2, 1, 1, MCL_E_SHAPE},
               {MCL_U8, 4, 2, 2, 3, MCL_E_SHAPE},  {MCL_U8, 3, 2, 2, 2, MCL_E_SHAPE},
               {MCL_U8, 3, 0, 2, 3, MCL_E_SHAPE},  {MCL_U8, 3, 65536, 1, 1, MCL_E_SHAPE}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    const int64_t shape[4] = {wrong[i].h, wrong[i].w, wrong[i].c, 1};
    mcl_array_init(&a, room, wrong[i].dtype, wrong[i].ndim, shape);
    fuzz_refused(mcl_image_decode(p->context, NULL, p->bytes, p->n, &a, &err), &err,
                 wrong[i].wanted);
    fuzz_untouched(room, 64, "a decode");
    if (wrong[i].h == 2 && wrong[i].dtype == MCL_U8 && wrong[i].ndim == 3)
      continue; // no image of 2 channels either: below
    if (wrong[i].h != 65536)
      fuzz_refused(mcl_image_write_png(p->context, fuzz_path("never.png"), &a, &err), &err,
                   wrong[i].wanted);
  }
  a = array_of(room, MCL_U8, 2, 2, 2);
  fuzz_refused(mcl_image_write_png(p->context, fuzz_path("never.png"), &a, &err), &err,
               MCL_E_SHAPE);
  a = array_of(room, MCL_U8, 1, 1000001, 1);
  fuzz_refused(mcl_image_write_png(p->context, fuzz_path("never.png"), &a, &err), &err,
               MCL_E_SHAPE);
  a = array_of(room, MCL_U8, 2, 2, 3);
  fuzz_refused(mcl_image_decode(NULL, NULL, p->bytes, p->n, &a, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_image_decode(p->context, NULL, NULL, 0, &a, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_image_decode(p->context, NULL, p->bytes, p->n, NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_image_write_png(NULL, "never.png", &a, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_image_write_png(p->context, NULL, &a, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_image_write_png(p->context, fuzz_path("no/never.png"), &a, &err), &err,
               MCL_E_NOT_FOUND);
  free(room);
}

// What else is written as a PNG: floats of any kind, grey, with alpha.
static void write_kinds(const picture *p) {
  float x[8] = {0, 1, .5F, -1, 2, NAN, 1e30F, .25F};
  uint8_t bytes[8] = {1, 2, 3, 255, 5, 6, 7, 0};
  const mcl_array kinds[] = {array_of(x, MCL_F32, 2, 4, 1), array_of(bytes, MCL_U8, 1, 2, 4)};
  mcl_error err;
  for (int i = 0; i < 2; i++) {
    const char *path = fuzz_path("written.png");
    if (fuzz_read(mcl_image_write_png(p->context, path, &kinds[i], &err), &err, path)) continue;
    if (!fuzz_memory_may_fail()) fuzz_fail("not written: %s", err.message);
  }
  (void)fuzz_ok(mcl_image_size(p->context, NULL, p->bytes, p->n, NULL, NULL, NULL, &err), &err);
}

void fuzz_image(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_bytes b = {bytes, n};
  mcl_image_options o;
  mcl_error err;
  int32_t h, w, c;
  int wrong = choose(&b, &o);
  int64_t other_h = 1 + fuzz_below(&b, SIDES), other_w = 1 + fuzz_below(&b, SIDES);
  const picture p = {context, &o, b.at, b.n};
  if (wrong) {
    refuse_options(&p);
    refuse_out(&p);
    write_kinds(&p);
  }
  if (!size_of(&p, &h, &w, &c)) return;
  uint8_t *pixels = decode(&p, MCL_U8, h, w, 3, &err);
  uint8_t *resized = decode(&p, MCL_U8, other_h, other_w, 3, &err);
  if (!pixels != !resized && !fuzz_memory_may_fail())
    fuzz_fail("of one size only: %s", err.message);
  if (resized) check_again(&p, resized, other_h, other_w, c == 1);
  if (pixels) {
    check_again(&p, pixels, h, w, c == 1);
    check_gaps(&p, pixels, h, w);
    check_allowed(&p, pixels, h, w);
    check_round_trip(&p, pixels, h, w);
  }
  free(pixels);
  free(resized);
}
