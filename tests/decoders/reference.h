// What libpng and libjpeg themselves make of a file, by their plain interfaces and the rules in image.h: the twin that
// mcl_image_decode() is held against.
//
//   16 bits to 8        round(v 255 / 65535)                            (1)
//   on white            round((a v + (255 - a) 255) / 255)              (2)   PNG 1.2, section 10.5, of 8 bits
//   CMYK as light       r = round(c k / 255), g, b likewise             (3)   inverted before, but for Adobe's files
#ifndef MCL_TESTS_REFERENCE_H
#define MCL_TESTS_REFERENCE_H

#include <png.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

// RGB, malloc'ed; NULL where the library refuses the file, and then why.
typedef struct picture {
  uint8_t *rgb; // [height, width, 3]
  int height, width;
  char why[200];
} picture;

// ---- PNG -------------------------------------------------------------------------------------------

typedef struct png_source {
  const uint8_t *bytes;
  size_t n, at;
  picture *out;
} png_source;

static inline void reference_png_read(png_structp png, png_bytep to, size_t n) {
  png_source *s = png_get_io_ptr(png);
  if (n > s->n - s->at) png_error(png, "the file ends too soon");
  memcpy(to, s->bytes + s->at, n);
  s->at += n;
}

static inline void reference_png_error(png_structp png, png_const_charp text) {
  picture *p = png_get_error_ptr(png);
  snprintf(p->why, sizeof p->why, "%s", text);
  png_longjmp(png, 1);
}

static inline void reference_png_warning(png_structp png, png_const_charp text) {
  (void)png, (void)text;
}

static inline uint8_t reference_on_white(unsigned v, unsigned a) { // (2)
  return (uint8_t)((a * v + (255 - a) * 255 + 127) / 255);
}

// One pixel of 1 to 4 channels of 8 or 16 bits.
static inline void reference_pixel(const uint8_t *from, int channels, int depth, uint8_t *rgb) {
  unsigned v[4];
  for (int k = 0; k < channels; k++)
    v[k] =
        depth == 8 ? from[k] : ((from[2 * k] << 8 | from[2 * k + 1]) * 255u + 32767) / 65535; // (1)
  unsigned alpha = channels % 2 ? 255 : v[channels - 1];
  for (int k = 0; k < 3; k++) rgb[k] = reference_on_white(v[channels < 3 ? 0 : k], alpha);
}

static inline picture reference_png(const uint8_t *bytes, size_t n) {
  static picture p; // outlives the jump
  p = (picture){0};
  png_source source = {bytes, n, 0, &p};
  png_structp png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &p, reference_png_error, reference_png_warning);
  png_infop info = png_create_info_struct(png);
  png_set_read_fn(png, &source, reference_png_read);
  if (setjmp(png_jmpbuf(png)) == 0) {
    png_read_png(png, info, PNG_TRANSFORM_EXPAND, NULL); // palettes, few bits and tRNS
    p.height = (int)png_get_image_height(png, info);
    p.width = (int)png_get_image_width(png, info);
    int channels = png_get_channels(png, info), depth = png_get_bit_depth(png, info);
    p.rgb = malloc((size_t)p.height * (size_t)p.width * 3);
    png_bytepp rows = png_get_rows(png, info);
    for (int y = 0; y < p.height; y++)
      for (int x = 0; x < p.width; x++)
        reference_pixel(rows[y] + x * channels * depth / 8, channels, depth,
                        p.rgb + ((size_t)y * (size_t)p.width + (size_t)x) * 3);
  }
  png_destroy_read_struct(&png, &info, NULL);
  return p;
}

// ---- JPEG ------------------------------------------------------------------------------------------

typedef struct reference_errors {
  struct jpeg_error_mgr base;
  jmp_buf jump;
} reference_errors;

static inline void reference_jpeg_error(j_common_ptr jpeg) {
  longjmp(((reference_errors *)jpeg->err)->jump, 1);
}

static inline void reference_jpeg_quiet(j_common_ptr jpeg) {
  (void)jpeg;
}

static inline void reference_cmyk(const uint8_t *from, int inverted, uint8_t *rgb) { // (3)
  unsigned v[4];
  for (int k = 0; k < 4; k++) v[k] = inverted ? from[k] : 255u - from[k];
  for (int k = 0; k < 3; k++) rgb[k] = (uint8_t)((v[k] * v[3] + 127) / 255);
}

static inline picture reference_jpeg(const uint8_t *bytes, size_t n) {
  static picture p;
  static struct jpeg_decompress_struct j;
  static uint8_t *row;
  reference_errors errors;
  p = (picture){0};
  row = NULL;
  j.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = reference_jpeg_error;
  errors.base.output_message = reference_jpeg_quiet;
  if (setjmp(errors.jump) == 0) {
    jpeg_create_decompress(&j);
    jpeg_mem_src(&j, bytes, (unsigned long)n);
    jpeg_read_header(&j, TRUE);
    if (j.jpeg_color_space == JCS_YCCK) j.out_color_space = JCS_CMYK;
    jpeg_start_decompress(&j);
    p.height = (int)j.output_height;
    p.width = (int)j.output_width;
    p.rgb = malloc((size_t)p.height * (size_t)p.width * 3);
    row = malloc((size_t)p.width * (size_t)j.output_components);
    for (uint8_t *to = p.rgb; j.output_scanline < j.output_height;) {
      jpeg_read_scanlines(&j, &row, 1);
      for (int x = 0; x < p.width; x++, to += 3)
        if (j.output_components == 4)
          reference_cmyk(row + 4 * x, j.saw_Adobe_marker, to);
        else
          for (int k = 0; k < 3; k++) to[k] = row[j.output_components == 1 ? x : 3 * x + k];
    }
    jpeg_finish_decompress(&j);
  } else {
    errors.base.format_message((j_common_ptr)&j, p.why);
    free(p.rgb);
    p.rgb = NULL;
  }
  free(row);
  jpeg_destroy_decompress(&j);
  return p;
}

static inline picture reference(const uint8_t *bytes, size_t n) {
  return n > 1 && bytes[0] == 0xFF && bytes[1] == 0xD8 ? reference_jpeg(bytes, n)
                                                       : reference_png(bytes, n);
}

// The largest difference of two pictures' samples.
static inline int largest_difference(const uint8_t *a, const uint8_t *b, size_t n) {
  int largest = 0;
  for (size_t i = 0; i < n; i++) {
    int d = a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
    if (d > largest) largest = d;
  }
  return largest;
}

#endif
