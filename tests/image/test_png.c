// Every kind of PNG against its samples, and what happens to damaged and hostile ones.
#include "image/encode.h"

#include <signal.h>
#include <sys/resource.h>

#include <libmcl/image.h>

#include "support/suite.h"

static mcl_error err;
static mcl_context *context;

typedef struct kind {
  int colour, depth;
} kind;
static const kind kinds[] = {
    {PNG_COLOR_TYPE_GRAY, 1},        {PNG_COLOR_TYPE_GRAY, 2},      {PNG_COLOR_TYPE_GRAY, 4},
    {PNG_COLOR_TYPE_GRAY, 8},        {PNG_COLOR_TYPE_GRAY, 16},     {PNG_COLOR_TYPE_RGB, 8},
    {PNG_COLOR_TYPE_RGB, 16},        {PNG_COLOR_TYPE_PALETTE, 1},   {PNG_COLOR_TYPE_PALETTE, 2},
    {PNG_COLOR_TYPE_PALETTE, 4},     {PNG_COLOR_TYPE_PALETTE, 8},   {PNG_COLOR_TYPE_GRAY_ALPHA, 8},
    {PNG_COLOR_TYPE_GRAY_ALPHA, 16}, {PNG_COLOR_TYPE_RGB_ALPHA, 8}, {PNG_COLOR_TYPE_RGB_ALPHA, 16}};
enum { KINDS = sizeof kinds / sizeof *kinds, MOST = 40 * 40 };

static uint32_t noise(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

// Random samples, palette and transparency of one kind; trns 0 none, 1 short, 2 whole.
typedef struct sample {
  png_spec spec;
  uint16_t samples[MOST * 4];
  png_color palette[256];
  uint8_t alpha[256];
  png_color_16 key;
} sample;

static void make(sample *s, kind k, int width, int height, int interlace, int trns) {
  uint32_t state = (uint32_t)(k.colour * 100 + k.depth + width * 7);
  int c = png_spec_channels(k.colour), entries = k.depth == 8 ? 200 : 1 << k.depth;
  memset(s, 0, sizeof *s);
  s->spec =
      (png_spec){width, height, k.depth, k.colour, interlace, s->samples, NULL, 0, 0, NULL, NULL};
  int most = k.colour == PNG_COLOR_TYPE_PALETTE && k.depth <= 8 ? entries : 1 << k.depth;
  for (int i = 0; i < width * height * c; i++)
    s->samples[i] = (uint16_t)(noise(&state) % (uint32_t)most);
  if (k.colour == PNG_COLOR_TYPE_PALETTE) {
    for (int i = 0; i < entries; i++) {
      s->palette[i] =
          (png_color){(uint8_t)noise(&state), (uint8_t)noise(&state), (uint8_t)noise(&state)};
      s->alpha[i] = (uint8_t)noise(&state);
    }
    s->spec.palette = s->palette;
    s->spec.palette_n = entries;
    s->spec.alpha = s->alpha;
    s->spec.alpha_n = trns == 1 ? entries / 2 : trns == 2 ? entries : 0;
  } else if (trns && c % 2 == 1) {
    const uint16_t *p = s->samples; // the first pixel's colour is the transparent one
    s->key = (png_color_16){0, p[0], c == 3 ? p[1] : 0, c == 3 ? p[2] : 0, p[0]};
    s->spec.key = &s->key;
  }
}

static int to_byte(int v, int depth) {
  return depth == 16 ? (int)((v * 255LL + 32767) / 65535) : v * 255 / ((1 << depth) - 1);
}

// The plain twin: pixel i as RGB on white, and whether the file is in colour.
static void expect(const sample *s, int i, int rgb[3]) {
  int c = png_spec_channels(s->spec.colour), d = s->spec.depth, a = 255;
  const uint16_t *p = s->samples + i * c;
  if (s->spec.colour == PNG_COLOR_TYPE_PALETTE) {
    const png_color *e = s->palette + p[0];
    rgb[0] = e->red, rgb[1] = e->green, rgb[2] = e->blue;
    if (p[0] < s->spec.alpha_n) a = s->alpha[p[0]];
  } else {
    for (int k = 0; k < 3; k++) rgb[k] = to_byte(p[c < 3 ? 0 : k], d);
    if (c % 2 == 0) a = to_byte(p[c - 1], d);
    if (s->spec.key && memcmp(p, s->samples, (size_t)c * 2) == 0) a = 0;
  }
  for (int k = 0; k < 3; k++) rgb[k] = (rgb[k] * a + 255 * (255 - a) + 127) / 255;
}

static void check_decodes(const sample *s) {
  static uint8_t out[MOST * 3], luma[MOST];
  bytes file = encode_png(&s->spec);
  int h = s->spec.height, w = s->spec.width, rgb[3];
  int32_t got_h, got_w, got_c;
  int64_t shape[3] = {h, w, 3};
  CHECK_OK(mcl_image_size(context, NULL, file.data, file.n, &got_h, &got_w, &got_c, &err));
  ck_assert_int_eq(got_h, h);
  ck_assert_int_eq(got_w, w);
  ck_assert_int_eq(got_c, s->spec.colour & PNG_COLOR_MASK_COLOR ? 3 : 1);
  mcl_array a;
  mcl_array_init(&a, out, MCL_U8, 3, shape);
  CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
  mcl_array_init(&a, luma, MCL_U8, 2, shape);
  CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
  for (int i = 0; i < h * w; i++) {
    expect(s, i, rgb);
    for (int k = 0; k < 3; k++) ck_assert_int_eq(out[3 * i + k], rgb[k]);
    double y = .299 * rgb[0] + .587 * rgb[1] + .114 * rgb[2];
    ck_assert_double_le(y < luma[i] ? luma[i] - y : y - luma[i], 0.51);
  }
  free(file.data);
}

static void begin(void) {
  context = test_context(1);
}

static void end(void) {
  mcl_context_unref(context);
}

START_TEST(every_kind_depth_and_interlace_decodes_to_its_samples) {
  static sample s;
  static const int sides[][2] = {{1, 1}, {7, 3}, {9, 9}, {33, 20}};
  for (int k = 0; k < KINDS; k++)
    for (int interlace = 0; interlace < 2; interlace++)
      for (int trns = 0; trns < 3; trns++)
        for (int size = 0; size < 4; size++) {
          make(&s, kinds[k], sides[size][0], sides[size][1], interlace, trns);
          check_decodes(&s);
        }
}
END_TEST

// What png.c bounds is what stands behind the last row: rows before it may have as many bytes as they need.
START_TEST(rows_that_do_not_pack_are_read_to_the_last) {
  static const int sides[][3] = {{16000, 8, 0}, {330, 330, 1}};
  for (int i = 0; i < 2; i++) {
    int w = sides[i][0], h = sides[i][1], n = w * h * 3;
    uint32_t state = 7;
    uint16_t *samples = malloc(sizeof *samples * (size_t)n);
    uint8_t *out = malloc((size_t)n);
    for (int k = 0; k < n; k++) samples[k] = (uint16_t)(noise(&state) % 256);
    png_spec spec = {w, h, 8, PNG_COLOR_TYPE_RGB, sides[i][2], samples, NULL, 0, 0, NULL, NULL};
    bytes file = encode_png(&spec);
    ck_assert_uint_gt(file.n, (size_t)n * 3 / 4);
    int64_t shape[3] = {h, w, 3};
    mcl_array a;
    mcl_array_init(&a, out, MCL_U8, 3, shape);
    CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
    for (int k = 0; k < n; k++) ck_assert_msg(out[k] == samples[k], "byte %d", k);
    free(file.data), free(samples), free(out);
  }
}
END_TEST

START_TEST(float_output_is_the_bytes_over_255_in_any_stride) {
  static sample s;
  make(&s, (kind){PNG_COLOR_TYPE_RGB, 8}, 5, 4, 0, 0);
  bytes file = encode_png(&s.spec);
  float out[4 * 5 * 3 * 2];
  for (int i = 0; i < 120; i++) out[i] = -1;
  mcl_array a;
  int64_t shape[3] = {4, 5, 3};
  mcl_array_init(&a, out, MCL_F32, 3, shape);
  for (int i = 0; i < 3; i++) a.strides[i] *= 2;
  CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
  for (int i = 0; i < 60; i++) {
    ck_assert_float_eq(out[2 * i], (float)s.samples[i] / 255);
    ck_assert_float_eq(out[2 * i + 1], -1);
  }
  free(file.data);
}
END_TEST

START_TEST(a_palette_index_past_the_palette_is_black) {
  static sample s;
  make(&s, (kind){PNG_COLOR_TYPE_PALETTE, 8}, 2, 1, 0, 0);
  s.samples[1] = 3;
  bytes file = encode_png(&s.spec);
  // The palette is rewritten with two entries; the pixels still say 3.
  bytes cut = {0};
  bytes_add(&cut, file.data, 33);
  bytes_add(&cut, file.data + 33 + 12 + 600, file.n - 33 - 12 - 600);
  uint8_t two[6] = {1, 2, 3, 4, 5, 6}, out[6];
  png_add_chunk(&cut, "PLTE", two, 6, 6);
  mcl_array a = mcl_images_u8(out, 1, 1, 2, 3);
  int64_t shape[3] = {1, 2, 3};
  mcl_array_init(&a, out, MCL_U8, 3, shape);
  CHECK_OK(mcl_image_decode(context, NULL, cut.data, cut.n, &a, &err));
  for (int k = 3; k < 6; k++) ck_assert_int_eq(out[k], 0);
  free(cut.data);
  free(file.data);
}
END_TEST

START_TEST(a_missing_palette_and_a_broken_checksum_are_format_errors) {
  static sample s;
  uint8_t out[48];
  int64_t shape[3] = {4, 4, 3};
  mcl_array a;
  mcl_array_init(&a, out, MCL_U8, 3, shape);
  make(&s, (kind){PNG_COLOR_TYPE_PALETTE, 8}, 4, 4, 0, 0);
  bytes file = encode_png(&s.spec), cut = {0};
  bytes_add(&cut, file.data, 33);
  bytes_add(&cut, file.data + 33 + 12 + 600, file.n - 33 - 12 - 600);
  CHECK_FAILS(MCL_E_FORMAT, "PLTE", mcl_image_decode(context, NULL, cut.data, cut.n, &a, &err));
  memset(file.data + 16, 0, 4); // a width of 0
  CHECK_FAILS(MCL_E_FORMAT, "x 0 pixels",
              mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
  file.data[19] = 4;
  file.data[file.n - 18] ^= 1; // inside IDAT's checksum
  CHECK_FAILS(MCL_E_FORMAT, "damaged",
              mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
  free(cut.data);
  free(file.data);
}
END_TEST

START_TEST(a_file_cut_at_any_byte_is_a_format_error_and_leaves_the_output) {
  static sample s;
  uint8_t out[17 * 11 * 3];
  uint8_t untouched[sizeof out];
  memset(untouched, 77, sizeof untouched);
  int64_t shape[3] = {11, 17, 3};
  mcl_array a;
  mcl_array_init(&a, out, MCL_U8, 3, shape);
  for (int k = 0; k < KINDS; k += 3) {
    make(&s, kinds[k], 17, 11, k % 2, 2);
    bytes file = encode_png(&s.spec);
    for (size_t n = 0; n < file.n; n++) {
      uint8_t *cut = bytes_cut(&file, n);
      memset(out, 77, sizeof out);
      CHECK_FAILS(MCL_E_FORMAT, "", mcl_image_decode(context, NULL, cut, n, &a, &err));
      ck_assert_mem_eq(out, untouched, sizeof out);
      free(cut);
    }
    free(file.data);
  }
}
END_TEST

START_TEST(a_truncated_file_gives_its_first_rows_and_white_where_allowed) {
  static sample s;
  uint8_t out[40 * 40];
  make(&s, (kind){PNG_COLOR_TYPE_GRAY, 8}, 40, 40, 0, 0);
  bytes file = encode_png(&s.spec);
  mcl_image_options o;
  mcl_image_options_init(&o, sizeof o);
  o.allow_truncated = 1;
  mcl_array a;
  int64_t shape[2] = {40, 40};
  mcl_array_init(&a, out, MCL_U8, 2, shape);
  CHECK_OK(mcl_image_decode(context, &o, file.data, file.n / 2, &a, &err));
  for (int i = 0; i < 10 * 40; i++) ck_assert_int_eq(out[i], s.samples[i]);
  ck_assert_int_eq(out[40 * 40 - 1], 255);
  // Damage is not truncation, and a header must be whole.
  CHECK_FAILS(MCL_E_FORMAT, "", mcl_image_decode(context, &o, file.data, 20, &a, &err));
  file.data[80] ^= 0xFF;
  CHECK_FAILS(MCL_E_FORMAT, "", mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  free(file.data);
}
END_TEST

START_TEST(a_flipped_bit_anywhere_never_crashes) {
  static sample s;
  uint8_t out[9 * 9 * 3];
  int64_t shape[3] = {9, 9, 3};
  mcl_array a;
  mcl_array_init(&a, out, MCL_U8, 3, shape);
  for (int k = 0; k < KINDS; k += 2) {
    make(&s, kinds[k], 9, 9, 1, 1);
    bytes file = encode_png(&s.spec);
    for (size_t bit = 0; bit < file.n * 8; bit += 3) {
      file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
      mcl_status status = mcl_image_decode(context, NULL, file.data, file.n, &a, &err);
      ck_assert(status == MCL_OK || status == MCL_E_FORMAT || status == MCL_E_LIMIT);
      file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(file.data);
  }
}
END_TEST

START_TEST(a_chunk_that_claims_a_gigabyte_costs_nothing) {
  static const char *const names[] = {"zTXt", "iTXt", "pCAL", "sCAL", "sPLT",
                                      "iCCP", "eXIf", "tEXt", "hIST", "teSt"};
  static sample s;
  uint8_t out[3];
  int64_t shape[3] = {1, 1, 3};
  mcl_array a;
  mcl_array_init(&a, out, MCL_U8, 3, shape);
  struct rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    make(&s, (kind){PNG_COLOR_TYPE_RGB, 8}, 1, 1, 0, 0);
    bytes file = encode_png(&s.spec);
    png_add_chunk(&file, names[i], "ab", 2, 0x3fffffff);
    CHECK_FAILS(MCL_E_FORMAT, "", mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
    free(file.data);
  }
  getrusage(RUSAGE_SELF, &after);
  ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 32 << 10); // kilobytes
}
END_TEST

START_TEST(limits_name_the_limit) {
  static sample s;
  uint8_t out[3];
  int64_t shape[3] = {1, 1, 3};
  int32_t h;
  mcl_array a;
  mcl_array_init(&a, out, MCL_U8, 3, shape);
  make(&s, (kind){PNG_COLOR_TYPE_RGB, 8}, 30, 20, 0, 0);
  bytes file = encode_png(&s.spec);
  mcl_image_options o;
  mcl_image_options_init(&o, sizeof o);
  o.max_pixels = 599;
  CHECK_FAILS(MCL_E_LIMIT, "max_pixels",
              mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  o.max_pixels = 600;
  o.max_side = 29;
  CHECK_FAILS(MCL_E_LIMIT, "max_side",
              mcl_image_size(context, &o, file.data, file.n, &h, NULL, NULL, &err));
  o.max_side = 30;
  o.max_bytes = (int64_t)file.n - 1;
  CHECK_FAILS(MCL_E_LIMIT, "max_bytes", mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  o.max_bytes++;
  CHECK_OK(mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  free(file.data);
}
END_TEST

START_TEST(the_orientation_in_an_exif_chunk_is_applied) {
  static sample s;
  uint8_t out[6], exif[64];
  make(&s, (kind){PNG_COLOR_TYPE_GRAY, 8}, 3, 2, 0, 0);
  bytes file = encode_png(&s.spec);
  size_t n = exif_block(exif, 6, 1);
  png_add_chunk(&file, "eXIf", exif + 6, (uint32_t)n - 6, (uint32_t)n - 6);
  int32_t h, w;
  CHECK_OK(mcl_image_size(context, NULL, file.data, file.n, &h, &w, NULL, &err));
  ck_assert_int_eq(h, 3);
  ck_assert_int_eq(w, 2);
  int64_t shape[2] = {3, 2};
  mcl_array a;
  mcl_array_init(&a, out, MCL_U8, 2, shape);
  CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
  static const int turned[6] = {3, 0, 4, 1, 5, 2};
  for (int i = 0; i < 6; i++) ck_assert_int_eq(out[i], s.samples[turned[i]]);
  free(file.data);
}
END_TEST

START_TEST(every_failed_allocation_is_reported_and_nothing_leaks) {
  static sample s;
  for (int interlace = 0; interlace < 2; interlace++) {
    make(&s, (kind){PNG_COLOR_TYPE_PALETTE, 4}, 21, 13, interlace, 1);
    bytes file = encode_png(&s.spec);
    test_allocator heap;
    test_allocator_init(&heap);
    mcl_context *c = test_context_with(&heap, 1);
    int64_t before = heap.live, shape[3] = {5, 8, 3};
    uint8_t wanted[120], out[120];
    mcl_array a;
    mcl_array_init(&a, wanted, MCL_U8, 3, shape);
    CHECK_OK(mcl_image_decode(c, NULL, file.data, file.n, &a, &err));
    mcl_array_init(&a, out, MCL_U8, 3, shape);
    mcl_status status = MCL_E_NOMEM;
    int n = 0;
    while (status != MCL_OK) {
      memset(out, 9, sizeof out);
      heap.fail_at = ++n;
      status = mcl_image_decode(c, NULL, file.data, file.n, &a, &err);
      ck_assert_int_eq(heap.live, before);
      if (status == MCL_OK) break;
      ck_assert_int_eq(status, MCL_E_NOMEM);
      for (int i = 0; i < 120; i++) ck_assert_int_eq(out[i], 9);
    }
    int32_t height = -1;
    for (n = 1, status = MCL_E_NOMEM; status != MCL_OK; n++) {
      ck_assert_int_eq(height, -1);
      heap.fail_at = n;
      status = mcl_image_size(c, NULL, file.data, file.n, &height, NULL, NULL, &err);
      ck_assert(status == MCL_OK || status == MCL_E_NOMEM);
      ck_assert_int_eq(heap.live, before);
    }
    ck_assert_int_gt(n, 3);
    ck_assert_mem_eq(out, wanted, sizeof out);
    heap.fail_at = 0;
    mcl_context_unref(c);
    free(file.data);
  }
}
END_TEST

START_TEST(what_is_written_reads_back_the_same) {
  const char *directory = test_directory("png-write");
  char path[4200];
  snprintf(path, sizeof path, "%s/a.png", directory);
  static const int64_t channels[] = {1, 3, 4};
  for (int i = 0; i < 3; i++) {
    uint8_t pixels[6 * 5 * 4], out[6 * 5 * 3], file[4096];
    for (int k = 0; k < 120; k++) pixels[k] = (uint8_t)(k * 37 + 11);
    int64_t c = channels[i], shape[3] = {6, 5, c}, rgb[3] = {6, 5, 3};
    mcl_array a, b;
    mcl_array_init(&a, pixels, MCL_U8, 3, shape);
    CHECK_OK(mcl_image_write_png(context, path, &a, &err));
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(file, 1, sizeof file, f);
    fclose(f);
    mcl_array_init(&b, out, MCL_U8, 3, rgb);
    CHECK_OK(mcl_image_decode(context, NULL, file, n, &b, &err));
    for (int64_t p = 0; p < 30; p++)
      for (int64_t k = 0; k < 3; k++) {
        int v = pixels[p * c + (c == 1 ? 0 : k)], alpha = c == 4 ? pixels[p * c + 3] : 255;
        ck_assert_int_eq(out[p * 3 + k], (v * alpha + 255 * (255 - alpha) + 127) / 255);
      }
  }
}
END_TEST

START_TEST(floats_are_clamped_and_rounded_when_written) {
  const char *directory = test_directory("png-float");
  char path[4200];
  snprintf(path, sizeof path, "%s/a.png", directory);
  float pixels[6] = {-1, 0.5F, 2, 0.0F / 1, 0.998F, 1.0F / 255};
  pixels[3] = (float)strtod("nan", NULL);
  static const int wanted[6] = {0, 128, 255, 0, 254, 1};
  int64_t shape[2] = {2, 3};
  uint8_t out[6], file[4096];
  mcl_array a, b;
  mcl_array_init(&a, pixels, MCL_F32, 2, shape);
  CHECK_OK(mcl_image_write_png(context, path, &a, &err));
  FILE *f = fopen(path, "rb");
  size_t n = fread(file, 1, sizeof file, f);
  fclose(f);
  mcl_array_init(&b, out, MCL_U8, 2, shape);
  CHECK_OK(mcl_image_decode(context, NULL, file, n, &b, &err));
  for (int i = 0; i < 6; i++) ck_assert_int_eq(out[i], wanted[i]);
}
END_TEST

START_TEST(a_png_that_cannot_be_written_leaves_nothing) {
  uint8_t pixel[3] = {1, 2, 3};
  int64_t shape[3] = {1, 1, 3}, two[3] = {1, 1, 2}, empty[3] = {0, 1, 3};
  mcl_array a;
  mcl_array_init(&a, pixel, MCL_U8, 3, shape);
  const char *directory = test_directory("png-none");
  char path[4200];
  snprintf(path, sizeof path, "%s/none/a.png", directory);
  CHECK_FAILS(MCL_E_NOT_FOUND, "a.png", mcl_image_write_png(context, path, &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_image_write_png(context, NULL, &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_image_write_png(NULL, path, &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "image", mcl_image_write_png(context, path, NULL, &err));
  mcl_array_init(&a, pixel, MCL_U8, 3, two);
  CHECK_FAILS(MCL_E_SHAPE, "2 channels", mcl_image_write_png(context, path, &a, &err));
  mcl_array_init(&a, pixel, MCL_U8, 3, empty);
  CHECK_FAILS(MCL_E_SHAPE, "shape[0]", mcl_image_write_png(context, path, &a, &err));
  int64_t four[4] = {1, 1, 1, 3};
  mcl_array_init(&a, pixel, MCL_U8, 4, four);
  CHECK_FAILS(MCL_E_SHAPE, "dimensions", mcl_image_write_png(context, path, &a, &err));
  mcl_array_init(&a, pixel, MCL_I32, 3, shape);
  CHECK_FAILS(MCL_E_DTYPE, "MCL_U8", mcl_image_write_png(context, path, &a, &err));
}
END_TEST

START_TEST(a_full_disk_is_an_error_and_keeps_the_old_file) {
  const char *directory = test_directory("png-full");
  char path[4200], command[9000];
  snprintf(path, sizeof path, "%s/a.png", directory);
  FILE *f = fopen(path, "wb");
  fputs("old", f);
  fclose(f);
  static uint8_t pixels[300 * 300 * 3];
  uint32_t state = 1;
  for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)noise(&state);
  int64_t shape[3] = {300, 300, 3};
  mcl_array a;
  mcl_array_init(&a, pixels, MCL_U8, 3, shape);
  struct rlimit room = {100000, RLIM_INFINITY};
  signal(SIGXFSZ, SIG_IGN);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &room), 0);
  CHECK_FAILS(MCL_E_IO, "a.png", mcl_image_write_png(context, path, &a, &err));
  snprintf(command, sizeof command, "test \"$(cat '%s')\" = old && test $(ls '%s' | wc -l) = 1",
           path, directory);
  ck_assert_int_eq(system(command), 0);
}
END_TEST

RUN_TESTS_BETWEEN("image", begin, end, every_kind_depth_and_interlace_decodes_to_its_samples,
                  rows_that_do_not_pack_are_read_to_the_last,
                  float_output_is_the_bytes_over_255_in_any_stride,
                  a_palette_index_past_the_palette_is_black,
                  a_missing_palette_and_a_broken_checksum_are_format_errors,
                  a_file_cut_at_any_byte_is_a_format_error_and_leaves_the_output,
                  a_truncated_file_gives_its_first_rows_and_white_where_allowed,
                  a_flipped_bit_anywhere_never_crashes,
                  a_chunk_that_claims_a_gigabyte_costs_nothing, limits_name_the_limit,
                  the_orientation_in_an_exif_chunk_is_applied,
                  every_failed_allocation_is_reported_and_nothing_leaks,
                  what_is_written_reads_back_the_same, floats_are_clamped_and_rounded_when_written,
                  a_png_that_cannot_be_written_leaves_nothing,
                  a_full_disk_is_an_error_and_keeps_the_old_file)
