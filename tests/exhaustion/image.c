// Images: decoding, writing, views. libjpeg's own memory is malloc's (docs/embedding.md).
#include "image/encode.h"

#include <libmcl/image.h>

#include "exhaustion/exhaust.h"

enum { N = 3, SIDE = 24, SMALL = 7 };
static uint8_t pixels[N * SIDE * SIDE * 3];
static float out[N * SMALL * SMALL * 3];
static int32_t height, width, channels;
static mcl_augmenter *augmenter;
static bytes encoded;

static mcl_array small(int64_t n) {
  mcl_array a;
  int64_t shape[4] = {SMALL, SMALL, 3, 1};
  if (n) return mcl_images_f32(out, n, SMALL, SMALL, 3);
  mcl_array_init(&a, out, MCL_F32, 3, shape);
  return a;
}

static void fill(void) {
  float x[sizeof pixels];
  test_fill(x, sizeof pixels, 3, 0, 255);
  for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)x[i];
  PATTERN(out), PATTERN(height), PATTERN(width), PATTERN(channels);
  augmenter = UNTOUCHED;
  encoded = (bytes){0};
}

static mcl_status write_png(void) {
  mcl_array a;
  mcl_array_init(&a, pixels, MCL_U8, 3, (int64_t[]){SIDE, SIDE, 3});
  return mcl_image_write_png(c, in("a.png"), &a, &err);
}

static void prepare_writing(void) {
  fill();
  put_file("a.png", "old", 3);
}

static void prepare_png(void) {
  static uint16_t samples[SIDE * SIDE * 4];
  fill();
  for (int i = 0; i < SIDE * SIDE * 4; i++) samples[i] = pixels[i % (SIDE * SIDE * 3)];
  encoded = encode_png(&(png_spec){SIDE, SIDE, 8, PNG_COLOR_TYPE_RGB_ALPHA, 1, samples});
}

static void prepare_jpeg(void) {
  fill();
  encoded = encode_jpeg(&(jpeg_spec){SIDE, SIDE, .quality = 90, .progressive = 1, .in = JCS_RGB,
                                     .stored = JCS_YCbCr, .components = 3, .samples = pixels});
}

static mcl_status decode(void) {
  mcl_array a = small(0);
  return mcl_image_decode(c, NULL, encoded.data, encoded.n, &a, &err);
}

static mcl_status size_of_image(void) {
  return mcl_image_size(c, NULL, encoded.data, encoded.n, &height, &width, &channels, &err);
}

static mcl_status create(void) {
  mcl_augmenter_options o;
  mcl_augmenter_options_init(&o, sizeof o);
  o.height = o.width = SMALL;
  o.blur = o.jitter = o.grey = 1;
  return mcl_augmenter_create(c, &o, &augmenter, &err);
}

static void prepare_augmenter(void) {
  fill();
  CHECK_OK(create());
}

static mcl_status apply(void) {
  static const int64_t indices[N] = {5, 0, 2};
  mcl_inputs i;
  mcl_array images = mcl_images_u8(pixels, N, SIDE, SIDE, 3), views = small(N);
  mcl_struct_init(&i, sizeof i);
  i.n = N, i.indices = indices, i.data = &images, i.seed = 3;
  return mcl_augmenter_apply(augmenter, &i, &views, &err);
}

static void look(seen *s) {
  see(s, out, sizeof out);
  see(s, &height, sizeof height);
  see(s, &width, sizeof width);
  see(s, &channels, sizeof channels);
  see_number(s, IS_MADE(augmenter));
  see_files(s);
}

static void finish(void) {
  if (IS_MADE(augmenter)) mcl_augmenter_unref(augmenter);
  free(encoded.data);
}

static const exhaust_case cases[] = {
    {"mcl_image_size", "png", prepare_png, size_of_image, look, finish},
    {"mcl_image_size", "jpeg", prepare_jpeg, size_of_image, look, finish, .flags = NO_MEMORY},
    {"mcl_image_decode", "png", prepare_png, decode, look, finish},
    {"mcl_image_decode", "jpeg", prepare_jpeg, decode, look, finish},
    {"mcl_image_write_png", "over an old file", prepare_writing, write_png, look, finish},
    {"mcl_augmenter_create", "", fill, create, look, finish},
    {"mcl_augmenter_apply", "", prepare_augmenter, apply, look, finish},
};
PART(image, cases);
