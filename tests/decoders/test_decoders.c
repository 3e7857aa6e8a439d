// Files of every kind that libpng and libjpeg can write, decoded here and by the plain library side by side. tests/image
// holds decoded samples against those that were encoded; here what a reader makes of the file is the measure.
#include "decoders/reference.h"

#include "image/encode.h"

#include <libmcl/image.h>

#include "base/rng.h"
#include "support/suite.h"

enum { MOST = 24 };

static mcl_error err;

static void check(mcl_context *c, const bytes *file, int may_differ, const char *what) {
  static uint8_t pixels[MOST * MOST * 3];
  picture p = reference(file->data, file->n);
  ck_assert_msg(p.rgb != NULL, "%s: the library refuses it: %s", what, p.why);
  mcl_array out;
  mcl_array_init(&out, pixels, MCL_U8, 3, (int64_t[]){p.height, p.width, 3});
  CHECK_OK(mcl_image_decode(c, NULL, file->data, file->n, &out, &err));
  int d = largest_difference(pixels, p.rgb, (size_t)p.height * (size_t)p.width * 3);
  ck_assert_msg(d <= may_differ, "%s differs by %d", what, d);
  free(p.rgb);
}

static void fill(uint16_t *samples, int n, int most, uint64_t seed) {
  mcli_rng r = mcli_rng_make(seed, MCLI_RNG_DATA, 0, 0);
  for (int i = 0; i < n; i++) samples[i] = (uint16_t)mcli_rng_below(&r, (uint64_t)most);
}

// Sizes at which passes of an interlaced image are empty, and at which bits fill no byte.
START_TEST(every_png_is_what_libpng_makes_of_it) {
  static const int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_PALETTE,
                                PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB_ALPHA};
  static uint16_t samples[MOST * MOST * 4], alpha[256];
  static uint8_t transparent[256];
  static png_color palette[256];
  mcl_context *c = test_context(1);
  int compared = 0;
  fill(alpha, 256, 256, 1);
  for (int i = 0; i < 256; i++) {
    transparent[i] = (uint8_t)alpha[i];
    palette[i] =
        (png_color){(uint8_t)alpha[(i + 9) % 256], (uint8_t)alpha[(i * 7) % 256], (uint8_t)i};
  }
  for (int k = 0; k < 5; k++)
    for (int depth = 1; depth <= 16; depth *= 2)
      for (int kind = 0; kind < 2 * 3 * 81; kind++) {
        int colour = colours[k], coloured = colour & PNG_COLOR_MASK_COLOR;
        int trns = kind / 2 % 3, height = kind / 6 % 9 + 1, width = kind / 54 + 1;
        int is_palette = colour == PNG_COLOR_TYPE_PALETTE, channels = png_spec_channels(colour);
        if (is_palette ? depth == 16 : depth < 8 && (coloured || channels == 2)) continue;
        if (trns && !is_palette && channels % 2 == 0) continue;
        fill(samples, height * width * channels, 1 << depth, (uint64_t)kind);
        png_color_16 key = {0, samples[0], samples[channels > 1], samples[2], samples[0]};
        png_spec s = {.width = width,
                      .height = height,
                      .depth = depth,
                      .colour = colour,
                      .interlace = kind % 2,
                      .samples = samples};
        if (is_palette) s.palette = palette, s.palette_n = 1 << depth, s.alpha = transparent;
        if (is_palette) s.alpha_n = trns == 0 ? 0 : trns == 1 ? 1 << depth >> 1 : 1 << depth;
        if (trns && !is_palette) s.key = &key;
        char what[80];
        snprintf(what, sizeof what, "colour %d, depth %d, %d x %d, interlace %d, tRNS %d", colour,
                 depth, height, width, kind % 2, trns);
        bytes file = encode_png(&s);
        check(c, &file, 0, what);
        free(file.data);
        compared++;
      }
  ck_assert_int_gt(compared, 5000);
  mcl_context_unref(c);
}
END_TEST

// Values of 16 bits, each of them: to 8 bits they are rounded, not cut.
START_TEST(sixteen_bits_are_rounded_as_they_should_be) {
  mcl_context *c = test_context(1);
  static uint16_t samples[MOST * MOST];
  for (int first = 0; first < 65536; first += MOST * MOST) {
    for (int i = 0; i < MOST * MOST; i++) samples[i] = (uint16_t)(first + i);
    bytes file =
        encode_png(&(png_spec){.width = MOST, .height = MOST, .depth = 16, .samples = samples});
    check(c, &file, 0, "grey of 16 bits");
    free(file.data);
  }
  mcl_context_unref(c);
}
END_TEST

// gAMA, cHRM, sRGB and bKGD change nothing.
START_TEST(gamma_and_background_are_passed_over) {
  static const struct {
    const char *name, *data;
    uint32_t n;
  } chunks[] = {{"gAMA", "\0\0\x27\x10", 4}, {"sRGB", "\1", 1}, {"bKGD", "\0\x11\0\x22\0\x33", 6}};
  static uint16_t samples[MOST * MOST * 4];
  mcl_context *c = test_context(1);
  fill(samples, MOST * MOST * 4, 256, 2);
  for (int i = 0; i < 3; i++) {
    bytes file = encode_png(&(png_spec){.width = MOST,
                                        .height = MOST,
                                        .depth = 8,
                                        .colour = PNG_COLOR_TYPE_RGB_ALPHA,
                                        .samples = samples});
    png_add_chunk(&file, chunks[i].name, chunks[i].data, chunks[i].n, chunks[i].n);
    check(c, &file, 0, chunks[i].name);
    free(file.data);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(every_jpeg_is_what_libjpeg_makes_of_it) {
  static const struct {
    J_COLOR_SPACE in, stored;
    int components;
  } kinds[] = {{JCS_GRAYSCALE, JCS_GRAYSCALE, 1},
               {JCS_RGB, JCS_YCbCr, 3},
               {JCS_RGB, JCS_RGB, 3},
               {JCS_CMYK, JCS_CMYK, 4},
               {JCS_CMYK, JCS_YCCK, 4}};
  static const int samplings[][2] = {{1, 1}, {2, 1}, {2, 2}, {1, 2}, {4, 1}, {4, 2}, {1, 4}};
  static uint16_t wide[MOST * MOST * 4];
  static uint8_t samples[MOST * MOST * 4];
  mcl_context *c = test_context(1);
  fill(wide, MOST * MOST * 4, 256, 3);
  for (int i = 0; i < MOST * MOST * 4; i++) samples[i] = (uint8_t)wide[i];
  for (int k = 0; k < 5; k++)
    for (int i = 0; i < 7 * 16; i++) {
      char what[80];
      jpeg_spec s = {.width = MOST - i % 5,
                     .height = MOST - i % 3,
                     .quality = 85,
                     .progressive = i & 1,
                     .arithmetic = i >> 1 & 1,
                     .restart = i & 4 ? 2 : 0,
                     .no_adobe = i >> 3 & 1,
                     .in = kinds[k].in,
                     .stored = kinds[k].stored,
                     .components = kinds[k].components,
                     .samples = samples,
                     .h_samp = samplings[i / 16][0],
                     .v_samp = samplings[i / 16][1]};
      // Without Adobe's marker YCCK is taken for CMYK, and RGB by the names of its components.
      if (s.no_adobe && s.stored == JCS_YCCK) continue;
      if (s.components == 4 && s.h_samp * s.v_samp == 8) continue; // over 10 blocks together
      snprintf(what, sizeof what, "colours %d, case %d", k, i);
      bytes file = encode_jpeg(&s);
      check(c, &file, 2, what);
      free(file.data);
    }
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("decoders", every_png_is_what_libpng_makes_of_it,
          sixteen_bits_are_rounded_as_they_should_be, gamma_and_background_are_passed_over,
          every_jpeg_is_what_libjpeg_makes_of_it)
