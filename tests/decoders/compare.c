// Holds mcl_image_decode() against the libraries, file by file: `compare FILE ...`; of a JPEG also against FILE.ppm, what djpeg
// made of it, where there is one. A PNG is to be equal, a JPEG within 2; what the library refuses is to be refused with a reason, and
// so is every file whose name begins with an x, as those of PngSuite that are damaged do.
//
// Prints what differs, and the figures at the end. Exit status 1: something did.
#include <libmcl/context.h>
#include <libmcl/image.h>

#include "decoders/reference.h"

enum { JPEG_MAY_DIFFER = 2 };

typedef struct figures {
  int png, jpeg, djpeg, refused, wrong, largest_png, largest_jpeg, largest_djpeg;
} figures;

static uint8_t *read_all(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  uint8_t *bytes = NULL;
  *n = 0;
  if (!f) return NULL;
  if (fseek(f, 0, SEEK_END) == 0) *n = (size_t)ftell(f);
  rewind(f);
  bytes = malloc(*n + 1);
  if (fread(bytes, 1, *n, f) != *n) *n = 0;
  fclose(f);
  return bytes;
}

static int wrong(figures *f, const char *path, const char *what) {
  f->wrong++;
  printf("%s: %s\n", path, what);
  return 0;
}

// P6 or P5, of 8 bits and without comments, as djpeg writes it.
static void compare_ppm(const char *path, const uint8_t *rgb, int height, int width, figures *f) {
  char name[4096];
  size_t n;
  int w, h, at = 0;
  char kind;
  snprintf(name, sizeof name, "%s.ppm", path);
  uint8_t *bytes = read_all(name, &n);
  if (!bytes) return;
  bytes[n] = 0;
  if (sscanf((char *)bytes, "P%c %d %d 255%n", &kind, &w, &h, &at) != 3 || at == 0 || w != width ||
      h != height || n - (size_t)at - 1 < (size_t)w * (size_t)h * (kind == '6' ? 3 : 1)) {
    wrong(f, name, "is no picture of this size");
  } else {
    const uint8_t *p = bytes + at + 1;
    int largest = 0;
    for (size_t i = 0; i < (size_t)w * (size_t)h * 3; i++) {
      int d = abs((int)rgb[i] - (int)p[kind == '6' ? i : i / 3]);
      if (d > largest) largest = d;
    }
    f->djpeg++;
    if (largest > f->largest_djpeg) f->largest_djpeg = largest;
    if (largest > JPEG_MAY_DIFFER) wrong(f, path, "differs from djpeg's");
  }
  free(bytes);
}

static void compare(mcl_context *c, const char *path, const uint8_t *bytes, size_t n, figures *f) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  int jpeg = n > 1 && bytes[0] == 0xFF && bytes[1] == 0xD8, height = 0, width = 0;
  picture p = reference(bytes, n);
  mcl_error err;
  mcl_status s = mcl_image_size(c, NULL, bytes, n, &height, &width, NULL, &err);
  uint8_t *pixels = malloc(p.rgb ? (size_t)p.height * (size_t)p.width * 3 : 3);
  mcl_array out;
  int64_t shape[3] = {p.rgb ? p.height : 1, p.rgb ? p.width : 1, 3};
  mcl_array_init(&out, pixels, MCL_U8, 3, shape);
  s = mcl_image_decode(c, NULL, bytes, n, &out, &err);
  int *largest = jpeg ? &f->largest_jpeg : &f->largest_png;
  if (!p.rgb || name[0] == 'x') {
    f->refused++;
    if (s == MCL_OK) wrong(f, path, "is accepted");
    if (s < 0 && strlen(err.message) < 20) wrong(f, path, "is refused without a reason");
    if (s < 0) printf("%s: %s\n", name, err.message);
  } else if (s < 0) {
    wrong(f, path, err.message);
  } else if (height != p.height || width != p.width) {
    wrong(f, path, "has another size");
  } else {
    int d = largest_difference(pixels, p.rgb, (size_t)height * (size_t)width * 3);
    *(jpeg ? &f->jpeg : &f->png) += 1;
    if (d > *largest) *largest = d;
    if (d > (jpeg ? JPEG_MAY_DIFFER : 0)) wrong(f, path, "differs from its library's");
    if (jpeg) compare_ppm(path, pixels, height, width, f);
  }
  free(pixels);
  free(p.rgb);
}

int main(int argc, char **argv) {
  figures f = {0};
  mcl_context *c = NULL;
  mcl_error err;
  if (mcl_context_create(NULL, &c, &err) < 0) return fprintf(stderr, "%s\n", err.message), 2;
  for (int i = 1; i < argc; i++) {
    size_t n;
    uint8_t *bytes = read_all(argv[i], &n);
    if (bytes)
      compare(c, argv[i], bytes, n, &f);
    else
      wrong(&f, argv[i], "cannot be read");
    free(bytes);
  }
  printf("PNG: %d compared with libpng, largest difference %d\n", f.png, f.largest_png);
  printf("JPEG: %d compared with libjpeg, largest difference %d\n", f.jpeg, f.largest_jpeg);
  printf("JPEG: %d compared with djpeg, largest difference %d\n", f.djpeg, f.largest_djpeg);
  printf("refused with a reason: %d; wrong: %d\n", f.refused, f.wrong);
  mcl_context_unref(c);
  return f.wrong > 0 || f.png + f.jpeg == 0;
}
