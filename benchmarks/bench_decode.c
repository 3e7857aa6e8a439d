// Decoding files of 500 x 375 and resizing them to 224 x 224: JPEG of quality 90, 4:2:0, and PNG.
// The fastest of five times all 64 images.
//
// "decode": from memory, one thread. "views": what training on a folder does for a batch whose rows
// are not kept: files are read, decoded and resized, and of each image two views are made with
// SimCLR's settings, as float32; and only the views, of 256 images that lie in memory.
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

#include <libmcl/dataset.h>
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

// Makes the files of a case in a folder of their own.
static double open_files(files *w, bench_case *c, const char *kind, char *folder, size_t size) {
  const char *temporary = getenv("TMPDIR");
  snprintf(folder, size, "%s/bench_decode_XXXXXX", temporary ? temporary : "/tmp");
  if (!mkdtemp(folder)) perror(folder), exit(1);
  w->n = bench.quick ? QUICK_IMAGES : IMAGES;
  bench_inputs(c, ",\"images\":%d,\"folder\":\"%s\"", w->n, folder);
  w->context = bench_context(c);
  double bytes = make_files(w, folder, kind);
  mcl_context_unref(w->context);
  w->context = bench_context(c); // counts what decoding needs, not writing
  return bytes;
}

static void close_files(files *w, const char *folder, const char *kind) {
  for (int i = -1; i < w->n; i++) unlink(path_of(folder, kind, i));
  rmdir(folder);
  for (int i = 0; i < w->n; i++) free(w->bytes[i]);
  mcl_context_unref(w->context);
}

static void run_decode(const char *kind) {
  bench_case c;
  char folder[256];
  files w = {0};
  if (!bench_wanted(&c, "decode", "%s", kind)) return;
  c.threads = 1;
  double bytes = open_files(&w, &c, kind, folder, sizeof folder);
  w.out = bench_alloc((int64_t)w.n * SIDE * SIDE, 3);
  decode(&w);
  keep(&w, path_of(folder, kind, -1));
  bench_result r = bench_fastest(&c, TIMES, decode, &w);
  bench_line(&c, &r, ",\"images_per_s\":%.0f,\"bytes_per_image\":%.0f", 1e3 * w.n / r.ms,
             bytes / w.n);
  close_files(&w, folder, kind);
  free(w.out);
}

// ---- views --------------------------------------------------------------------------------------

typedef struct batch {
  mcl_dataset *dataset; // NULL: the images are there
  mcl_augmenter *augmenter;
  mcl_array images, views;
  mcl_inputs in;
} batch;

static void make_views(void *work) {
  batch *b = work;
  if (b->dataset)
    bench_check(mcl_dataset_load(b->dataset, b->in.indices, b->in.n, 0, &b->images, &err), &err);
  for (b->in.view = 0; b->in.view < 2; b->in.view++)
    bench_check(mcl_augmenter_apply(b->augmenter, &b->in, &b->views, &err), &err);
}

// Both views of n images [side, side, channels]; images_per_s counts views, as bench_train does.
static void run_batch(const bench_case *c, mcl_context *context, mcl_dataset *d, int n, int side,
                      int channels) {
  batch b = {.dataset = d};
  int64_t all = (int64_t)n * side * side * channels, *indices = bench_alloc(n, sizeof *indices);
  uint8_t *images = bench_alloc(all, 1);
  float *views = bench_alloc(all, sizeof *views);
  for (int64_t i = 0; i < all; i++) images[i] = (uint8_t)(256 * bench_unit(7, (uint64_t)i));
  for (int i = 0; i < n; i++) indices[i] = i;
  b.images = mcl_images_u8(images, n, side, side, channels);
  b.views = mcl_images_f32(views, n, side, side, channels);
  mcl_struct_init(&b.in, sizeof b.in);
  b.in.n = n, b.in.indices = indices, b.in.data = &b.images;
  bench_check(mcl_augmenter_create(context, NULL, &b.augmenter, &err), &err);
  make_views(&b); // touches the memory
  bench_result r = bench_fastest(c, d ? TIMES : 50 * TIMES, make_views, &b);
  bench_line(c, &r, ",\"images_per_s\":%.0f", 2e3 * n / r.ms);
  mcl_augmenter_unref(b.augmenter);
  free(images), free(views), free(indices);
}

static void run_views_of_files(const char *kind, uint32_t threads) {
  bench_case c;
  char folder[256];
  files w = {0};
  mcl_dataset *d;
  mcl_folder_options o;
  if (!bench_wanted(&c, "views", "%s-%u", kind, (unsigned)threads)) return;
  c.threads = threads;
  open_files(&w, &c, kind, folder, sizeof folder);
  mcl_folder_options_init(&o, sizeof o);
  o.height = o.width = SIDE;
  o.cache_bytes = 0; // decoded again at each load
  bench_check(mcl_dataset_create_folder(w.context, folder, &o, NULL, &d, &err), &err);
  run_batch(&c, w.context, d, w.n, SIDE, 3);
  mcl_dataset_unref(d);
  close_files(&w, folder, kind);
}

static void run_views(int side, int channels, uint32_t threads) {
  enum { ROWS = 256, QUICK_ROWS = 16 };
  bench_case c;
  if (!bench_wanted(&c, "views", "%dx%dx%d-%u", side, side, channels, (unsigned)threads)) return;
  c.threads = threads;
  mcl_context *context = bench_context(&c);
  run_batch(&c, context, NULL, bench.quick ? QUICK_ROWS : ROWS, side, channels);
  mcl_context_unref(context);
}

int main(int argc, char **argv) {
  bench_start(argc, argv);
  run_decode("jpeg");
  run_decode("png");
  for (uint32_t threads = 1; threads <= 2; threads++) {
    run_views_of_files("jpeg", threads);
    run_views_of_files("png", threads);
    run_views(28, 1, threads);
    run_views(32, 3, threads);
  }
  return 0;
}
