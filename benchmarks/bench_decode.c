// Decoding files of 500 x 375 from memory and resizing them to 224 x 224: JPEG of quality 90,
// 4:2:0, and PNG. One thread; the fastest of five times all 64 images.
//
// The images are smooth noise at several scales, brighter below than above, with a few edges, so
// that they compress about as photographs do: to .13 bytes a value as JPEG, .6 as PNG. They are
// written into a folder, which is gone at the end, for peers to read: 0.jpeg, 1.jpeg, ..., and
// "ours", all 64 as decoded here.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jpeglib.h>

#include <libmcl/image.h>

#include "bench.h"

enum { IMAGES = 64, QUICK_IMAGES = 4, WIDTH = 500, HEIGHT = 375, SIDE = 224, TIMES = 5 };
enum { QUALITY = 90, OCTAVES = 8 };

typedef struct files {
  mcl_context *context;
  int n;
  unsigned char *bytes[IMAGES];
  size_t sizes[IMAGES];
  uint8_t *out; // [n, SIDE, SIDE, 3]
} files;

// Each octave's contrast by that of the one before. At .5 a JPEG has 17 KB where a photograph has
// some 70, and is decoded in no time; at 1 it is noise.
static const double FALLS = 0.8;

static mcl_error err;

// ---- images -------------------------------------------------------------------------------------

// Smooth noise in [0, 1): numbers on a grid, bilinear between them.
static double noise(uint64_t stream, double y, double x) {
  uint64_t row = (uint64_t)y, col = (uint64_t)x;
  double dy = y - (double)row, dx = x - (double)col;
  double top = (1 - dx) * bench_unit(stream, row << 10 | col) +
               dx * bench_unit(stream, row << 10 | (col + 1));
  double bottom = (1 - dx) * bench_unit(stream, (row + 1) << 10 | col) +
                  dx * bench_unit(stream, (row + 1) << 10 | (col + 1));
  return (1 - dy) * top + dy * bottom;
}

// Octave o has cells of 128 >> o pixels; luma, and in the first three two colours. What is left of
// a slanted line is darker, which makes an edge.
static void paint(uint64_t image, uint8_t *rgb) {
  double slant = bench_unit(1000, image) - 0.5, at = WIDTH * (0.2 + 0.6 * bench_unit(1001, image));
  double weights[OCTAVES] = {1};
  for (int o = 1; o < OCTAVES; o++) weights[o] = weights[o - 1] * FALLS;
  for (int y = 0; y < HEIGHT; y++) {
    for (int x = 0; x < WIDTH; x++) {
      double v[3] = {0, 0, 0};
      for (int o = 0; o < OCTAVES; o++) {
        double cell = 128 >> o;
        for (int k = 0; k < (o < 3 ? 3 : 1); k++)
          v[k] +=
              weights[o] * (noise(image * 32 + (uint64_t)(o * 3 + k), y / cell, x / cell) - 0.5);
      }
      double luma = 100 + 60.0 * y / HEIGHT + 110 * v[0] - (x < at + slant * y ? 40 : 0);
      double rgb_of[3] = {luma + 70 * v[1], luma - 20 * v[1] - 20 * v[2], luma + 70 * v[2]};
      for (int k = 0; k < 3; k++) {
        double p = rgb_of[k] + 0.5;
        *rgb++ = (uint8_t)(p < 0 ? 0 : p > 255 ? 255 : p);
      }
    }
  }
}

static void write_jpeg(const char *path, uint8_t *rgb) {
  struct jpeg_compress_struct j;
  struct jpeg_error_mgr errors;
  FILE *f = fopen(path, "wb");
  if (!f) perror(path), exit(1);
  j.err = jpeg_std_error(&errors);
  jpeg_create_compress(&j);
  jpeg_stdio_dest(&j, f);
  j.image_width = WIDTH, j.image_height = HEIGHT;
  j.input_components = 3, j.in_color_space = JCS_RGB;
  jpeg_set_defaults(&j);
  jpeg_set_quality(&j, QUALITY, TRUE);
  jpeg_start_compress(&j, TRUE);
  for (JSAMPROW row = rgb; j.next_scanline < HEIGHT; row += WIDTH * 3)
    jpeg_write_scanlines(&j, &row, 1);
  jpeg_finish_compress(&j);
  jpeg_destroy_compress(&j);
  fclose(f);
}

// ---- files --------------------------------------------------------------------------------------

static const char *path_of(const char *folder, const char *kind, int i) {
  static char path[512];
  if (i < 0)
    snprintf(path, sizeof path, "%s/ours", folder);
  else
    snprintf(path, sizeof path, "%s/%d.%s", folder, i, kind);
  return path;
}

static void read_file(const char *path, unsigned char **bytes, size_t *size) {
  FILE *f = fopen(path, "rb");
  if (!f || fseek(f, 0, SEEK_END) != 0) perror(path), exit(1);
  *size = (size_t)ftell(f);
  *bytes = bench_alloc((int64_t)*size, 1);
  rewind(f);
  if (fread(*bytes, 1, *size, f) != *size) perror(path), exit(1);
  fclose(f);
}

static double make_files(files *w, const char *folder, const char *kind) {
  int64_t shape[3] = {HEIGHT, WIDTH, 3};
  double bytes = 0;
  uint8_t *rgb = bench_alloc(HEIGHT * WIDTH, 3);
  mcl_array image;
  mcl_array_init(&image, rgb, MCL_U8, 3, shape);
  for (int i = 0; i < w->n; i++) {
    const char *path = path_of(folder, kind, i);
    paint((uint64_t)i, rgb);
    if (strcmp(kind, "jpeg") == 0)
      write_jpeg(path, rgb);
    else
      bench_check(mcl_image_write_png(w->context, path, &image, &err), &err);
    read_file(path, &w->bytes[i], &w->sizes[i]);
    bytes += (double)w->sizes[i];
  }
  free(rgb);
  return bytes;
}

static void decode(void *work) {
  files *w = work;
  mcl_array all = mcl_images_u8(w->out, w->n, SIDE, SIDE, 3), one;
  for (int i = 0; i < w->n; i++) {
    mcl_array_init(&one, w->out + (ptrdiff_t)i * SIDE * SIDE * 3, MCL_U8, 3, all.shape + 1);
    bench_check(mcl_image_decode(w->context, NULL, w->bytes[i], w->sizes[i], &one, &err), &err);
  }
}

static void keep(const files *w, const char *path) {
  size_t n = (size_t)w->n * SIDE * SIDE * 3;
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(w->out, 1, n, f) != n || fclose(f) != 0) perror(path), exit(1);
}

static void run(const char *kind) {
  bench_case c;
  if (!bench_wanted(&c, "decode", "%s", kind)) return;
  c.threads = 1;
  files w = {.n = bench.quick ? QUICK_IMAGES : IMAGES};
  const char *temporary = getenv("TMPDIR");
  char folder[256];
  snprintf(folder, sizeof folder, "%s/bench_decode_XXXXXX", temporary ? temporary : "/tmp");
  if (!mkdtemp(folder)) perror(folder), exit(1);
  bench_inputs(&c, ",\"images\":%d,\"folder\":\"%s\"", w.n, folder);
  w.out = bench_alloc((int64_t)w.n * SIDE * SIDE, 3);
  w.context = bench_context(&c);
  double bytes = make_files(&w, folder, kind);
  mcl_context_unref(w.context);
  w.context = bench_context(&c); // counts what decoding needs, not writing
  decode(&w);
  keep(&w, path_of(folder, kind, -1));
  bench_result r = bench_fastest(&c, TIMES, decode, &w);
  bench_line(&c, &r, ",\"images_per_s\":%.0f,\"bytes_per_image\":%.0f", 1e3 * w.n / r.ms,
             bytes / w.n);
  for (int i = -1; i < w.n; i++) unlink(path_of(folder, kind, i));
  rmdir(folder);
  for (int i = 0; i < w.n; i++) free(w.bytes[i]);
  free(w.out);
  mcl_context_unref(w.context);
}

int main(int argc, char **argv) {
  bench_start(argc, argv);
  run("jpeg");
  run("png");
  return 0;
}
