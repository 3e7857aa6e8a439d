// The first inputs of the corpora of png and jpeg: every kind of either, small, made with the encoders of tests/image.
//   fuzz_image_seeds tests/fuzz
#include "image/encode.h"

#include "fuzz/image.h"

static const char *root;

static void put(const char *target, const char *name, const char *choices, const bytes *file,
                size_t n) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s/corpus/%s", root, target, name);
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(choices, 1, FUZZ_IMAGE_CHOICES, f) != FUZZ_IMAGE_CHOICES ||
      fwrite(file->data, 1, n, f) != n || fclose(f)) {
    perror(path);
    exit(1);
  }
}

// Options by their default, an output of 5 x 4; and ones in which all else is chosen: crop, box, truncation allowed.
static const char plain[] = "\0\4\3", other[] = "\7\6\10", small[] = "\30\1\1", few[] = "\140\1\1",
                  wrong[] = "\200\1\1";

static uint32_t noise(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

// ---- PNG ----------------------------------------------------------------------------------------

enum { WIDTH = 9, HEIGHT = 7 };

static bytes png_of_size(int width, int height, int colour, int depth, int interlace, int trns) {
  static uint16_t samples[WIDTH * HEIGHT * 4];
  static png_color palette[256];
  static uint8_t alpha[256];
  uint32_t state = (uint32_t)(colour * 20 + depth);
  int entries = depth == 8 ? 60 : 1 << depth;
  png_color_16 key = {0};
  png_spec s = {.width = width, .height = height, .depth = depth, .colour = colour};
  s.interlace = interlace;
  s.samples = samples;
  for (int i = 0; i < WIDTH * HEIGHT * 4; i++)
    samples[i] = (uint16_t)(noise(&state) % (uint32_t)(colour == 3 ? entries : 1 << depth));
  if (colour == PNG_COLOR_TYPE_PALETTE) {
    for (int i = 0; i < entries; i++) {
      palette[i] = (png_color){(uint8_t)noise(&state), (uint8_t)noise(&state), (uint8_t)i};
      alpha[i] = (uint8_t)noise(&state);
    }
    s.palette = palette, s.palette_n = entries;
    s.alpha = alpha, s.alpha_n = trns ? entries / 2 : 0;
  } else if (trns) {
    key = (png_color_16){0, samples[0], samples[1], samples[2], samples[0]};
    s.key = &key;
  }
  return encode_png(&s);
}

static bytes png_of(int colour, int depth, int interlace, int trns) {
  return png_of_size(WIDTH, HEIGHT, colour, depth, interlace, trns);
}

// Interlaced images so small that passes have no pixels.
static void make_small(void) {
  static const int sides[][2] = {{1, 1}, {1, 5}, {5, 1}, {2, 3}};
  char name[64];
  for (int i = 0; i < 4; i++) {
    bytes b = png_of_size(sides[i][0], sides[i][1], 2, 8, 1, 0);
    snprintf(name, sizeof name, "interlaced-%d-by-%d", sides[i][1], sides[i][0]);
    put("png", name, plain, &b, b.n);
    free(b.data);
  }
}

static void make_pngs(void) {
  static const struct {
    int colour, depth;
  } kinds[] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
               {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};
  char name[64];
  uint8_t exif[32];
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    int colour = kinds[k].colour, depth = kinds[k].depth, trns = colour < 4 && depth != 2;
    bytes b = png_of(colour, depth, (int)k & 1, trns);
    snprintf(name, sizeof name, "colour-%d-depth-%d", colour, depth);
    put("png", name, k % 3 ? plain : other, &b, b.n);
    free(b.data);
  }
  for (int o = 1; o <= 8; o++) {
    bytes b = png_of(o & 1 ? 2 : 0, 8, 0, 0);
    size_t n = exif_block(exif, o, o & 1);
    png_add_chunk(&b, "eXIf", exif + 6, (uint32_t)n - 6, (uint32_t)n - 6);
    snprintf(name, sizeof name, "exif-%d", o);
    put("png", name, o & 2 ? plain : other, &b, b.n);
    free(b.data);
  }
  bytes b = png_of(2, 8, 1, 0);
  put("png", "cut-in-pixels", plain, &b, b.n - 60);
  put("png", "cut-in-pixels-allowed", other, &b, b.n - 60);
  put("png", "cut-in-header", plain, &b, 20);
  b.data[13] = 'X'; // of IHDR
  put("png", "no-header", plain, &b, b.n);
  b.data[13] = 'H';
  put("png", "one-byte-of-exif-is-no-block", plain, &b, 7);
  put("png", "too-many-pixels", small, &b, b.n);
  put("png", "too-many-bytes", few, &b, b.n);
  put("png", "wrong-calls", wrong, &b, b.n);
  png_add_chunk(&b, "zTXt", "a\0\0x", 4, 0x3fffffff);
  put("png", "text-chunk-claims-a-gigabyte", plain, &b, b.n);
  free(b.data);
}

// ---- JPEG ---------------------------------------------------------------------------------------

typedef struct kind {
  const char *name;
  int in, stored, components, h_samp, v_samp, progressive, arithmetic, restart, no_adobe;
} kind;

static bytes jpeg_of(const kind *k, int width, int height, const void *app1, unsigned app1_n) {
  static uint8_t samples[64 * 64 * 4];
  uint32_t state = 1;
  for (size_t i = 0; i < sizeof samples; i++) samples[i] = (uint8_t)(i * 5 + (noise(&state) & 31));
  jpeg_spec s = {.width = width, .height = height, .quality = 40, .samples = samples};
  s.progressive = k->progressive, s.arithmetic = k->arithmetic, s.restart = k->restart;
  s.in = (J_COLOR_SPACE)k->in, s.stored = (J_COLOR_SPACE)k->stored, s.components = k->components;
  s.h_samp = k->h_samp, s.v_samp = k->v_samp, s.no_adobe = k->no_adobe;
  s.app1 = app1, s.app1_n = app1_n;
  return encode_jpeg(&s);
}

static const kind kinds[] = {
    {"grey", JCS_GRAYSCALE, JCS_GRAYSCALE, 1, 0, 0, 0, 0, 0, 0},
    {"grey-progressive", JCS_GRAYSCALE, JCS_GRAYSCALE, 1, 0, 0, 1, 0, 0, 0},
    {"420", JCS_RGB, JCS_YCbCr, 3, 2, 2, 0, 0, 0, 0},
    {"422", JCS_RGB, JCS_YCbCr, 3, 2, 1, 0, 0, 0, 0},
    {"440", JCS_RGB, JCS_YCbCr, 3, 1, 2, 0, 0, 0, 0},
    {"411", JCS_RGB, JCS_YCbCr, 3, 4, 1, 0, 0, 0, 0},
    {"410", JCS_RGB, JCS_YCbCr, 3, 4, 2, 0, 0, 0, 0},
    {"444", JCS_RGB, JCS_YCbCr, 3, 1, 1, 0, 0, 0, 0},
    {"rgb", JCS_RGB, JCS_RGB, 3, 0, 0, 0, 0, 0, 0},
    {"420-progressive", JCS_RGB, JCS_YCbCr, 3, 2, 2, 1, 0, 0, 0},
    {"420-progressive-restart", JCS_RGB, JCS_YCbCr, 3, 2, 2, 1, 0, 1, 0},
    {"420-restart", JCS_RGB, JCS_YCbCr, 3, 2, 2, 0, 0, 1, 0},
    {"420-arithmetic", JCS_RGB, JCS_YCbCr, 3, 2, 2, 0, 1, 0, 0},
    {"420-arithmetic-progressive", JCS_RGB, JCS_YCbCr, 3, 2, 2, 1, 1, 2, 0},
    {"cmyk", JCS_CMYK, JCS_CMYK, 4, 0, 0, 0, 0, 0, 0},
    {"cmyk-no-adobe", JCS_CMYK, JCS_CMYK, 4, 0, 0, 0, 0, 0, 1},
    {"ycck", JCS_CMYK, JCS_YCCK, 4, 2, 2, 0, 0, 0, 0},
};

// The byte behind a marker FF xx, `offset` on from its length.
static uint8_t *behind(bytes *b, uint8_t marker, size_t offset) {
  for (size_t i = 2; i + 1 < b->n; i++)
    if (b->data[i] == 0xFF && b->data[i + 1] == marker) return b->data + i + 2 + offset;
  return b->data;
}

static void make_damaged(void) {
  bytes b = jpeg_of(&kinds[2], 17, 13, NULL, 0);
  put("jpeg", "cut", plain, &b, b.n - 40);
  put("jpeg", "cut-allowed", other, &b, b.n - 40);
  put("jpeg", "cut-in-header", plain, &b, 200);
  put("jpeg", "too-many-pixels", small, &b, b.n);
  *behind(&b, 0xC0, 2) = 12;
  put("jpeg", "of-12-bits", plain, &b, b.n);
  *behind(&b, 0xC0, 2) = 8;
  *behind(&b, 0xC0, (size_t)-1) = 0xC3; // the marker itself
  put("jpeg", "lossless", plain, &b, b.n);
  free(b.data);
  b = jpeg_of(&kinds[9], 40, 40, NULL, 0);
  put("jpeg", "too-many-scans", few, &b, b.n);
  put("jpeg", "progressive-cut-allowed", other, &b, b.n * 2 / 3);
  free(b.data);
  const kind two = {"two", JCS_UNKNOWN, JCS_UNKNOWN, 2, 0, 0, 0, 0, 0, 0};
  b = jpeg_of(&two, 8, 8, NULL, 0);
  put("jpeg", "two-components", plain, &b, b.n);
  free(b.data);
  const kind third = {"third", JCS_RGB, JCS_YCbCr, 3, 3, 1, 0, 0, 0, 0};
  b = jpeg_of(&third, 9, 9, NULL, 0);
  behind(&b, 0xC0, 2)[9] = 0x21; // 3 samples to 2
  put("jpeg", "fractions-of-samples", plain, &b, b.n);
  free(b.data);
}

// Blocks of EXIF that are damaged, or say nothing: a change of one byte of a good one, or fewer bytes.
static void make_exifs(void) {
  static const struct {
    const char *name;
    size_t at, n; // n: of the block
    uint8_t byte;
  } changes[] = {{"no-order", 6, 32, 'X'},
                 {"no-42", 8, 32, 7},
                 {"directory-beyond", 10, 32, 200},
                 {"directory-at-the-end", 10, 32, 24},
                 {"more-entries", 14, 32, 9},
                 {"no-entries", 14, 32, 0},
                 {"other-tag", 16, 32, 0},
                 {"other-tag-byte", 17, 32, 9},
                 {"a-long", 18, 32, 4},
                 {"two-of-them", 20, 32, 2},
                 {"value-0", 24, 32, 0},
                 {"value-9", 24, 32, 9},
                 {"short", 24, 13, 3},
                 {"name-alone", 24, 6, 3},
                 {"other-name", 0, 32, 'h'},
                 {"five-bytes", 0, 5, 'E'},
                 {"cut-entry", 24, 27, 3}};
  char name[64];
  uint8_t exif[32], fill = 0xFF;
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    exif_block(exif, 6, 1);
    exif[changes[i].at] = changes[i].byte;
    bytes b = jpeg_of(&kinds[0], 5, 3, exif, (unsigned)changes[i].n);
    snprintf(name, sizeof name, "exif-%s", changes[i].name);
    put("jpeg", name, plain, &b, b.n);
    free(b.data);
  }
  exif_block(exif, 6, 1);
  bytes b = jpeg_of(&kinds[0], 5, 3, exif, 32);
  bytes_insert(&b, 2, &fill, 1);
  put("jpeg", "exif-behind-fill", plain, &b, b.n);
  put("jpeg", "exif-length-beyond", plain, &b, 30);
  bytes_insert(&b, 2, "\377\345\0", 4); // APP5 of length 0
  put("jpeg", "exif-behind-a-segment-of-no-length", plain, &b, b.n);
  bytes_insert(&b, 2, "x", 1);
  put("jpeg", "exif-behind-a-stray-byte", plain, &b, b.n);
  free(b.data);
  b = jpeg_of(&kinds[1], 7, 6, NULL, 0);
  put("jpeg", "one-scan-is-always-allowed", "\110\1\1", &b, b.n);
  free(b.data);
}

static void make_jpegs(void) {
  char name[64];
  uint8_t exif[32];
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    bytes b = jpeg_of(&kinds[k], 17, 13, NULL, 0);
    put("jpeg", kinds[k].name, k % 3 ? plain : other, &b, b.n);
    free(b.data);
  }
  for (int o = 1; o <= 8; o++) {
    size_t n = exif_block(exif, o, o & 1);
    bytes b = jpeg_of(&kinds[o & 2 ? 0 : 2], 12, 9, exif, (unsigned)n);
    snprintf(name, sizeof name, "exif-%d", o);
    put("jpeg", name, o & 2 ? plain : other, &b, b.n);
    free(b.data);
  }
  make_damaged();
  make_exifs();
}

int main(int argc, char **argv) {
  if (argc != 2) return 1;
  root = argv[1];
  make_pngs();
  make_small();
  make_jpegs();
  return 0;
}
