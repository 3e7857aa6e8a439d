// Encoders for the tests: every kind of PNG and JPEG, made with the libraries themselves into
// memory. The bytes are malloc'ed.
#ifndef MCL_TESTS_ENCODE_H
#define MCL_TESTS_ENCODE_H

#include <check.h>
#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

typedef struct bytes {
  uint8_t *data;
  size_t n, capacity;
} bytes;

static inline void bytes_add(bytes *b, const void *data, size_t n) {
  if (b->n + n > b->capacity) {
    b->capacity = 2 * (b->n + n);
    b->data = realloc(b->data, b->capacity);
  }
  memcpy(b->data + b->n, data, n);
  b->n += n;
}

// Exactly n bytes in a block of their own, so that a sanitizer sees a read past the end.
static inline uint8_t *bytes_cut(const bytes *b, size_t n) {
  uint8_t *cut = malloc(n ? n : 1);
  memcpy(cut, b->data, n);
  return cut;
}

static inline void bytes_insert(bytes *b, size_t at, const void *data, size_t n) {
  bytes whole = {0};
  bytes_add(&whole, b->data, at);
  bytes_add(&whole, data, n);
  bytes_add(&whole, b->data + at, b->n - at);
  free(b->data);
  *b = whole;
}

// ---- PNG ----------------------------------------------------------------------------------------

typedef struct png_spec {
  int width, height, depth, colour, interlace;
  const uint16_t *samples; // [height, width, channels], each below 2^depth
  const png_color *palette;
  int palette_n, alpha_n; // alpha_n: entries of tRNS of a palette
  const uint8_t *alpha;
  const png_color_16 *key; // tRNS of grey and RGB
} png_spec;

static inline int png_spec_channels(int colour) {
  return colour == PNG_COLOR_TYPE_RGB          ? 3
         : colour == PNG_COLOR_TYPE_RGB_ALPHA  ? 4
         : colour == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                               : 1;
}

static inline void png_to_bytes(png_structp png, png_bytep data, size_t n) {
  bytes_add(png_get_io_ptr(png), data, n);
}
static inline void png_no_flush(png_structp png) {
  (void)png;
}

static inline bytes encode_png(const png_spec *s) {
  bytes out = {0};
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &out, png_to_bytes, png_no_flush);
  png_set_IHDR(png, info, (png_uint_32)s->width, (png_uint_32)s->height, s->depth, s->colour,
               s->interlace, 0, 0);
  if (s->palette) png_set_PLTE(png, info, s->palette, s->palette_n);
  if (s->alpha_n || s->key) png_set_tRNS(png, info, s->alpha, s->alpha_n, s->key);
  png_write_info(png, info);
  if (s->depth < 8) png_set_packing(png);
  if (s->depth == 16) png_set_swap(png);
  int c = png_spec_channels(s->colour), passes = png_set_interlace_handling(png);
  size_t n = (size_t)(s->width * c), size = s->depth == 16 ? 2 : 1;
  uint8_t *row = malloc(n * size);
  for (int pass = 0; pass < passes; pass++)
    for (int y = 0; y < s->height; y++) {
      const uint16_t *from = s->samples + (size_t)y * n;
      if (size == 2)
        memcpy(row, from, n * 2);
      else
        for (size_t i = 0; i < n; i++) row[i] = (uint8_t)from[i];
      png_write_row(png, row);
    }
  png_write_end(png, NULL);
  png_destroy_write_struct(&png, &info);
  free(row);
  return out;
}

static inline uint32_t png_crc(const uint8_t *p, size_t n) {
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < n; i++) {
    crc ^= p[i];
    for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

// A chunk of any length claimed, with its CRC, put behind IHDR.
static inline void png_add_chunk(bytes *b, const char *name, const void *data, uint32_t n,
                                 uint32_t claimed) {
  uint8_t *chunk = malloc(n + 12);
  uint8_t length[4] = {(uint8_t)(claimed >> 24), (uint8_t)(claimed >> 16), (uint8_t)(claimed >> 8),
                       (uint8_t)claimed};
  memcpy(chunk, length, 4);
  memcpy(chunk + 4, name, 4);
  if (n) memcpy(chunk + 8, data, n);
  uint32_t crc = png_crc(chunk + 4, n + 4);
  for (int i = 0; i < 4; i++) chunk[8 + n + (uint32_t)i] = (uint8_t)(crc >> (24 - 8 * i));
  bytes_insert(b, 33, chunk, n + 12);
  free(chunk);
}

// ---- JPEG ---------------------------------------------------------------------------------------

typedef struct jpeg_spec {
  int width, height, quality, progressive, arithmetic, restart;
  J_COLOR_SPACE in, stored; // of the samples given, of the file
  int components;
  const uint8_t *samples; // [height, width, components]
  int h_samp, v_samp;     // of the first component; 0: the default
  int no_adobe;
  const void *app1; // written as an APP1 segment
  unsigned app1_n;
} jpeg_spec;

static inline bytes encode_jpeg(const jpeg_spec *s) {
  struct jpeg_compress_struct j;
  struct jpeg_error_mgr errors;
  j.err = jpeg_std_error(&errors);
  jpeg_create_compress(&j);
  unsigned char *data = NULL;
  unsigned long n = 0;
  jpeg_mem_dest(&j, &data, &n);
  j.image_width = (JDIMENSION)s->width;
  j.image_height = (JDIMENSION)s->height;
  j.input_components = s->components;
  j.in_color_space = s->in;
  jpeg_set_defaults(&j);
  jpeg_set_colorspace(&j, s->stored);
  jpeg_set_quality(&j, s->quality, TRUE);
  if (s->h_samp) j.comp_info[0].h_samp_factor = s->h_samp, j.comp_info[0].v_samp_factor = s->v_samp;
  if (s->no_adobe) j.write_Adobe_marker = FALSE;
  j.restart_interval = (unsigned)s->restart;
  j.arith_code = s->arithmetic;
  if (s->progressive) jpeg_simple_progression(&j);
  jpeg_start_compress(&j, TRUE);
  if (s->app1) jpeg_write_marker(&j, JPEG_APP0 + 1, s->app1, s->app1_n);
  while (j.next_scanline < j.image_height) {
    JSAMPROW row = (JSAMPROW)(uintptr_t)(s->samples + (size_t)j.next_scanline *
                                                          (size_t)(s->width * s->components));
    jpeg_write_scanlines(&j, &row, 1);
  }
  jpeg_finish_compress(&j);
  jpeg_destroy_compress(&j);
  bytes out = {0};
  bytes_add(&out, data, n);
  free(data);
  return out;
}

// An EXIF block with an orientation, as the data of APP1 ("Exif\0\0" first) or, from its 6th byte
// on, of eXIf.
static inline size_t exif_block(uint8_t *to, int orientation, int little) {
  static const uint8_t ii[] = {'E',  'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0,
                               0x12, 1,   3,   0,   1, 0, 0,   0,   0,  0, 0, 0, 0, 0, 0, 0};
  static const uint8_t mm[] = {'E', 'x',  'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
                               1,   0x12, 0,   3,   0, 0, 0,   1,   0, 0,  0, 0, 0, 0, 0, 0};
  memcpy(to, little ? ii : mm, sizeof ii);
  to[little ? 24 : 25] = (uint8_t)orientation;
  return sizeof ii;
}

#endif
