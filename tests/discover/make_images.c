// make_images DIR: two classes of small PNG files, one file that is no image, and, beside DIR, an IDX file of each kind.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libmcl/context.h>
#include <libmcl/image.h>

enum { EACH = 40, SIDE = 12 };

static void draw(uint8_t *x, int class_of, int i) {
  for (int p = 0; p < SIDE * SIDE; p++) {
    int y = p / SIDE, z = p % SIDE, bright = class_of ? (y / 3) % 2 : (z / 3) % 2;
    for (int c = 0; c < 3; c++)
      x[p * 3 + c] = (uint8_t)(bright * 150 + (i * 31 + p * (c + 1) * 7) % 80);
  }
}

static void write_idx(const char *path, const unsigned char *header, size_t n, int images) {
  FILE *f = fopen(path, "wb");
  uint8_t x[SIDE * SIDE * 3];
  fwrite(header, 1, n, f);
  for (int i = 0; i < 2 * EACH; i++) {
    draw(x, i % 2, i);
    if (!images) fputc(i % 2, f);
    for (int p = 0; images && p < SIDE * SIDE; p++) fputc(x[p * 3], f);
  }
  fclose(f);
}

int main(int argc, char **argv) {
  static const unsigned char images[16] = {0, 0, 8, 3,    0, 0, 0, 2 * EACH,
                                           0, 0, 0, SIDE, 0, 0, 0, SIDE};
  static const unsigned char labels[8] = {0, 0, 8, 1, 0, 0, 0, 2 * EACH};
  char path[4096];
  mcl_error err;
  mcl_context *c = NULL;
  if (argc != 2 || mcl_context_create(NULL, &c, &err) < 0) return 1;
  mkdir(argv[1], 0777);
  for (int k = 0; k < 2; k++) {
    snprintf(path, sizeof path, "%s/%s", argv[1], k ? "rows" : "columns");
    mkdir(path, 0777);
    for (int i = 0; i < EACH; i++) {
      uint8_t x[SIDE * SIDE * 3];
      int64_t shape[3] = {SIDE, SIDE, 3};
      mcl_array a;
      mcl_array_init(&a, x, MCL_U8, 3, shape);
      draw(x, k, i);
      snprintf(path, sizeof path, "%s/%s/%02d.png", argv[1], k ? "rows" : "columns", i);
      if (mcl_image_write_png(c, path, &a, &err) < 0) return 1;
    }
  }
  snprintf(path, sizeof path, "%s/rows/broken.png", argv[1]);
  FILE *f = fopen(path, "wb");
  fputs("this is no image", f);
  fclose(f);
  snprintf(path, sizeof path, "%s.idx3", argv[1]);
  write_idx(path, images, sizeof images, 1);
  snprintf(path, sizeof path, "%s.idx1", argv[1]);
  write_idx(path, labels, sizeof labels, 0);
  mcl_context_unref(c);
  return 0;
}
