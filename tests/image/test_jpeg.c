// Every kind of JPEG against a plain decoding with libjpeg, orientations, and damaged and hostile
// files.
#include "image/encode.h"

#include <libmcl/image.h>

#include "support/suite.h"

static mcl_error err;
static mcl_context *context;

enum { H = 37, W = 51, MOST = H * W * 4 };

// Smooth, so that compression loses little; channel k leans its own way.
static void smooth(uint8_t *p, int h, int w, int c) {
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++)
      for (int k = 0; k < c; k++)
        p[(y * w + x) * c + k] = (uint8_t)(20 + 200 * (k % 2 ? x : y) / (k % 2 ? w : h) + 5 * k);
}

static mcl_array bytes_of(uint8_t *p, int64_t h, int64_t w, int64_t c) {
  int64_t shape[3] = {h, w, c};
  mcl_array a;
  mcl_array_init(&a, p, MCL_U8, 3, shape);
  return a;
}

// The plain twin: what libjpeg itself gives.
static void plain(const bytes *file, J_COLOR_SPACE wanted, uint8_t *out) {
  struct jpeg_decompress_struct j;
  struct jpeg_error_mgr errors;
  j.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&j);
  jpeg_mem_src(&j, file->data, file->n);
  jpeg_read_header(&j, TRUE);
  j.out_color_space = wanted;
  jpeg_start_decompress(&j);
  while (j.output_scanline < j.output_height) {
    JSAMPROW row = out + j.output_scanline * j.output_width * (unsigned)j.output_components;
    jpeg_read_scanlines(&j, &row, 1);
  }
  jpeg_finish_decompress(&j);
  jpeg_destroy_decompress(&j);
}

static jpeg_spec rgb_spec(const uint8_t *samples) {
  return (jpeg_spec){.width = W,
                     .height = H,
                     .quality = 92,
                     .in = JCS_RGB,
                     .stored = JCS_YCbCr,
                     .components = 3,
                     .samples = samples};
}

static double difference(const uint8_t *a, const uint8_t *b, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
  return sum / n;
}

static void begin(void) {
  context = test_context(1);
}

static void end(void) {
  mcl_context_unref(context);
}

START_TEST(every_sampling_and_coding_decodes_as_libjpeg_does) {
  static const int sampling[][2] = {{1, 1}, {2, 1}, {2, 2}, {1, 2}, {4, 1}, {4, 2}, {1, 4}};
  static uint8_t in[MOST], out[MOST], wanted[MOST];
  smooth(in, H, W, 3);
  for (int s = 0; s < 7; s++)
    for (int coding = 0; coding < 8; coding++) {
      jpeg_spec spec = rgb_spec(in);
      spec.h_samp = sampling[s][0], spec.v_samp = sampling[s][1];
      spec.progressive = coding & 1, spec.arithmetic = coding >> 1 & 1;
      spec.restart = coding & 4 ? 3 : 0;
      bytes file = encode_jpeg(&spec);
      mcl_array a = bytes_of(out, H, W, 3);
      CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
      plain(&file, JCS_RGB, wanted);
      ck_assert_mem_eq(out, wanted, H * W * 3);
      ck_assert_double_le(difference(out, in, H * W * 3), 4);
      a = bytes_of(out, H, W, 1);
      CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
      plain(&file, JCS_GRAYSCALE, wanted);
      ck_assert_mem_eq(out, wanted, H * W);
      free(file.data);
    }
}
END_TEST

START_TEST(grey_and_rgb_files_decode_to_either_number_of_channels) {
  static uint8_t in[MOST], out[MOST], wanted[MOST];
  smooth(in, H, W, 1);
  jpeg_spec spec = rgb_spec(in);
  spec.in = spec.stored = JCS_GRAYSCALE;
  spec.components = 1;
  bytes file = encode_jpeg(&spec);
  int32_t h, w, c;
  CHECK_OK(mcl_image_size(context, NULL, file.data, file.n, &h, &w, &c, &err));
  ck_assert(h == H && w == W && c == 1);
  mcl_array a = bytes_of(out, H, W, 3);
  CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
  plain(&file, JCS_GRAYSCALE, wanted);
  for (int i = 0; i < H * W * 3; i++) ck_assert_int_eq(out[i], wanted[i / 3]);
  free(file.data);
  smooth(in, H, W, 3);
  spec = rgb_spec(in);
  spec.stored = JCS_RGB;
  file = encode_jpeg(&spec);
  CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
  ck_assert_double_le(difference(out, in, H * W * 3), 2);
  free(file.data);
}
END_TEST

START_TEST(inks_are_inverted_by_adobes_marker_alone) {
  static uint8_t in[MOST], out[MOST], cmyk[MOST];
  smooth(in, H, W, 4);
  for (int adobe = 0; adobe < 2; adobe++)
    for (int ycck = 0; ycck <= adobe; ycck++) {
      jpeg_spec spec = rgb_spec(in);
      spec.in = JCS_CMYK, spec.stored = ycck ? JCS_YCCK : JCS_CMYK;
      spec.components = 4, spec.no_adobe = !adobe;
      bytes file = encode_jpeg(&spec);
      mcl_array a = bytes_of(out, H, W, 3);
      CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
      plain(&file, JCS_CMYK, cmyk);
      for (int i = 0; i < H * W; i++)
        for (int k = 0; k < 3; k++) {
          int ink = cmyk[4 * i + k], black = cmyk[4 * i + 3];
          double light = adobe ? ink * black / 255.0 : (255 - ink) * (255 - black) / 255.0;
          ck_assert_double_eq_tol(out[3 * i + k], light, 0.5);
        }
      uint8_t luma[H * W];
      a = bytes_of(luma, H, W, 1);
      CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
      for (int i = 0; i < H * W; i++)
        ck_assert_double_eq_tol(
            luma[i], .299 * out[3 * i] + .587 * out[3 * i + 1] + .114 * out[3 * i + 2], .51);
      free(file.data);
    }
}
END_TEST

// Orientation o of stored [h, w]: where the pixel shown at (y, x) is stored (EXIF 2.3, table of tag
// 274).
static int stored_at(int o, int h, int w, int y, int x) {
  int row = o == 1 || o == 2 ? y : o == 3 || o == 4 ? h - 1 - y : o == 5 || o == 8 ? x : h - 1 - x;
  int col = o == 1 || o == 4 ? x : o == 2 || o == 3 ? w - 1 - x : o == 5 || o == 6 ? y : w - 1 - y;
  return row * w + col;
}

START_TEST(all_eight_orientations_are_applied_in_both_byte_orders) {
  static uint8_t in[MOST], out[MOST], wanted[MOST], exif[64];
  smooth(in, H, W, 3);
  for (int o = 0; o <= 9; o++)
    for (int little = 0; little < 2; little++) {
      jpeg_spec spec = rgb_spec(in);
      spec.app1 = exif;
      spec.app1_n = (unsigned)exif_block(exif, o, little);
      bytes file = encode_jpeg(&spec);
      int seen = o == 0 || o == 9 ? 1 : o, h = seen > 4 ? W : H, w = seen > 4 ? H : W;
      int32_t got_h, got_w;
      CHECK_OK(mcl_image_size(context, NULL, file.data, file.n, &got_h, &got_w, NULL, &err));
      ck_assert(got_h == h && got_w == w);
      mcl_array a = bytes_of(out, h, w, 3);
      CHECK_OK(mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
      plain(&file, JCS_RGB, wanted);
      for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
          ck_assert_mem_eq(out + (y * w + x) * 3, wanted + stored_at(seen, H, W, y, x) * 3, 3);
      free(file.data);
    }
}
END_TEST

START_TEST(resizing_a_turned_image_equals_turning_a_resized_one) {
  static uint8_t in[MOST], out[20 * 12 * 3], wanted[20 * 12 * 3], exif[64];
  smooth(in, H, W, 3);
  jpeg_spec spec = rgb_spec(in);
  bytes file = encode_jpeg(&spec);
  mcl_image_options o;
  mcl_image_options_init(&o, sizeof o);
  o.fit = MCL_FIT_CROP;
  mcl_array a = bytes_of(wanted, 12, 20, 3);
  CHECK_OK(mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  free(file.data);
  spec.app1 = exif;
  spec.app1_n = (unsigned)exif_block(exif, 6, 0);
  file = encode_jpeg(&spec);
  a = bytes_of(out, 20, 12, 3);
  CHECK_OK(mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  for (int y = 0; y < 20; y++)
    for (int x = 0; x < 12; x++)
      ck_assert_mem_eq(out + (y * 12 + x) * 3, wanted + stored_at(6, 12, 20, y, x) * 3, 3);
  free(file.data);
}
END_TEST

START_TEST(fill_bytes_and_other_segments_before_exif_are_passed_over) {
  static uint8_t in[MOST], exif[64], fill[3] = {0xFF, 0xFF, 0xFF};
  smooth(in, H, W, 3);
  jpeg_spec spec = rgb_spec(in);
  spec.app1 = exif;
  spec.app1_n = (unsigned)exif_block(exif, 6, 1);
  bytes file = encode_jpeg(&spec);
  bytes_insert(&file, 2, fill, sizeof fill); // before APP0
  bytes_insert(&file, 2, "\xFF\xE1\0\10http:/", 10);
  int32_t h;
  CHECK_OK(mcl_image_size(context, NULL, file.data, file.n, &h, NULL, NULL, &err));
  ck_assert_int_eq(h, W);
  free(file.data);
}
END_TEST

START_TEST(a_damaged_exif_block_means_as_stored) {
  static uint8_t in[MOST], exif[64];
  smooth(in, H, W, 3);
  for (int at = 0; at < 32; at++)
    for (int value = 0; value < 256; value += 5) {
      jpeg_spec spec = rgb_spec(in);
      spec.app1 = exif;
      spec.app1_n = (unsigned)exif_block(exif, 6, 1);
      exif[at] = (uint8_t)value;
      bytes file = encode_jpeg(&spec);
      uint8_t *cut = bytes_cut(&file, file.n);
      int32_t h;
      CHECK_OK(mcl_image_size(context, NULL, cut, file.n, &h, NULL, NULL, &err));
      ck_assert(h == H || h == W);
      free(cut);
      free(file.data);
    }
}
END_TEST

START_TEST(a_file_cut_at_any_byte_is_a_format_error_and_leaves_the_output) {
  static uint8_t in[MOST], out[16 * 16 * 3];
  uint8_t untouched[sizeof out];
  memset(untouched, 77, sizeof untouched);
  smooth(in, 16, 16, 3);
  for (int progressive = 0; progressive < 2; progressive++) {
    jpeg_spec spec = rgb_spec(in);
    spec.width = spec.height = 16, spec.progressive = progressive, spec.quality = 50;
    bytes file = encode_jpeg(&spec);
    mcl_array a = bytes_of(out, 16, 16, 3);
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

START_TEST(a_truncated_file_gives_its_first_rows_where_allowed) {
  static uint8_t in[MOST], out[MOST], whole[MOST];
  smooth(in, H, W, 3);
  jpeg_spec spec = rgb_spec(in);
  bytes file = encode_jpeg(&spec);
  mcl_image_options o;
  mcl_image_options_init(&o, sizeof o);
  o.allow_truncated = 1;
  mcl_array a = bytes_of(out, H, W, 3);
  CHECK_OK(mcl_image_decode(context, &o, file.data, file.n - 200, &a, &err));
  plain(&file, JCS_RGB, whole);
  ck_assert_mem_eq(out, whole, 8 * W * 3);
  ck_assert(memcmp(out, whole, H * W * 3) != 0);
  free(file.data);
}
END_TEST

START_TEST(a_flipped_bit_anywhere_never_crashes) {
  static uint8_t in[MOST], out[16 * 16 * 3];
  smooth(in, 16, 16, 3);
  for (int coding = 0; coding < 4; coding++) {
    jpeg_spec spec = rgb_spec(in);
    spec.width = spec.height = 16, spec.progressive = coding & 1, spec.arithmetic = coding >> 1;
    bytes file = encode_jpeg(&spec);
    mcl_image_options o;
    mcl_image_options_init(&o, sizeof o);
    mcl_array a = bytes_of(out, 16, 16, 3);
    for (size_t bit = 0; bit < file.n * 8; bit += 5) {
      file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
      o.allow_truncated = (int32_t)(bit & 1);
      mcl_status s = mcl_image_decode(context, &o, file.data, file.n, &a, &err);
      ck_assert_msg(s == MCL_OK || s == MCL_E_FORMAT || s == MCL_E_LIMIT || s == MCL_E_UNSUPPORTED,
                    "%s", err.message);
      file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(file.data);
  }
}
END_TEST

static size_t find(const bytes *b, uint8_t marker, size_t from) {
  for (size_t i = from; i + 1 < b->n; i++)
    if (b->data[i] == 0xFF && b->data[i + 1] == marker) return i;
  return b->n;
}

START_TEST(twelve_bits_lossless_and_strange_colours_are_unsupported_by_name) {
  static uint8_t in[MOST], out[3];
  smooth(in, H, W, 3);
  mcl_array a = bytes_of(out, 1, 1, 3);
  jpeg_spec spec = rgb_spec(in);
  bytes file = encode_jpeg(&spec);
  size_t frame = find(&file, 0xC0, 0);
  file.data[frame + 4] = 12;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "12",
              mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
  file.data[frame + 4] = 8;
  file.data[frame + 1] = 0xC3;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "0xc3",
              mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
  free(file.data);
  spec.in = spec.stored = JCS_UNKNOWN;
  spec.components = 2;
  file = encode_jpeg(&spec);
  CHECK_FAILS(MCL_E_UNSUPPORTED, "2 components",
              mcl_image_decode(context, NULL, file.data, file.n, &a, &err));
  free(file.data);
}
END_TEST

// A progressive file whose last scan stands there `times` times more.
static bytes scan_bomb(int side, int times) {
  uint8_t *in = calloc((size_t)(side * side), 3);
  jpeg_spec spec = rgb_spec(in);
  spec.width = spec.height = side, spec.progressive = 1;
  bytes file = encode_jpeg(&spec), bomb = {0};
  size_t last = 0, at = 0;
  while ((at = find(&file, 0xDA, at + 1)) < file.n) last = at;
  size_t end = file.n - 2;
  bytes_add(&bomb, file.data, end);
  for (int i = 0; i < times; i++) bytes_add(&bomb, file.data + last, end - last);
  bytes_add(&bomb, file.data + end, 2);
  free(file.data);
  free(in);
  return bomb;
}

START_TEST(a_scan_bomb_stops_at_the_limit) {
  uint8_t out[3];
  mcl_array a = bytes_of(out, 1, 1, 3);
  bytes bomb = scan_bomb(512, 300);
  CHECK_FAILS(MCL_E_LIMIT, "max_scans",
              mcl_image_decode(context, NULL, bomb.data, bomb.n, &a, &err));
  mcl_image_options o;
  mcl_image_options_init(&o, sizeof o);
  o.max_scans = 400;
  CHECK_OK(mcl_image_decode(context, &o, bomb.data, bomb.n, &a, &err));
  free(bomb.data);
  // Scans times pixels: 30 scans are fine for a small image and too many for the largest.
  bomb = scan_bomb(512, 20);
  CHECK_OK(mcl_image_decode(context, NULL, bomb.data, bomb.n, &a, &err));
  mcl_image_options_init(&o, sizeof o);
  o.max_pixels = 512 * 512;
  CHECK_FAILS(MCL_E_LIMIT, "max_scans", mcl_image_decode(context, &o, bomb.data, bomb.n, &a, &err));
  free(bomb.data);
  bomb = scan_bomb(512, 0);
  CHECK_OK(mcl_image_decode(context, &o, bomb.data, bomb.n, &a, &err));
  free(bomb.data);
}
END_TEST

// jpeg.c (1) and (3): what is just within is read.
START_TEST(scans_and_arithmetic_codes_may_be_as_many_as_the_limits_say) {
  enum { SIDE = 16 };
  static uint8_t in[SIDE * SIDE * 3], out[3];
  smooth(in, SIDE, SIDE, 3);
  mcl_array a = bytes_of(out, 1, 1, 3);
  jpeg_spec spec = rgb_spec(in);
  mcl_image_options o;
  mcl_image_options_init(&o, sizeof o);
  spec.width = spec.height = SIDE;
  bytes file = encode_jpeg(&spec);
  o.max_scans = 1, o.max_pixels = SIDE * SIDE; // a whole image in one scan is always read
  CHECK_OK(mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  free(file.data);
  spec.progressive = 1;
  file = encode_jpeg(&spec);
  int scans = 0;
  for (size_t at = 0; (at = find(&file, 0xDA, at + 1)) < file.n;) scans++;
  ck_assert_int_ge(scans, 4);
  o.max_scans = scans, o.max_pixels = 5 * SIDE * SIDE;
  CHECK_OK(mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  o.max_pixels--;
  CHECK_FAILS(MCL_E_LIMIT, "scans", mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  o.max_scans--, o.max_pixels = 1 << 20;
  CHECK_FAILS(MCL_E_LIMIT, "scans", mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  free(file.data);
  spec.progressive = 0, spec.arithmetic = 1;
  file = encode_jpeg(&spec);
  mcl_image_options_init(&o, sizeof o);
  o.max_bytes = 5 * (int64_t)file.n;
  CHECK_OK(mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  o.max_bytes--;
  CHECK_FAILS(MCL_E_LIMIT, "arithmetic",
              mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  free(file.data);
}
END_TEST

START_TEST(limits_name_the_limit) {
  static uint8_t in[MOST], out[3];
  smooth(in, H, W, 3);
  mcl_array a = bytes_of(out, 1, 1, 3);
  jpeg_spec spec = rgb_spec(in);
  bytes file = encode_jpeg(&spec);
  mcl_image_options o;
  mcl_image_options_init(&o, sizeof o);
  o.max_pixels = H * W - 1;
  CHECK_FAILS(MCL_E_LIMIT, "max_pixels",
              mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  o.max_pixels++;
  o.max_side = W - 1;
  CHECK_FAILS(MCL_E_LIMIT, "max_side", mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  o.max_side++;
  CHECK_OK(mcl_image_decode(context, &o, file.data, file.n, &a, &err));
  free(file.data);
}
END_TEST

START_TEST(bad_arguments_are_named) {
  static uint8_t in[MOST], out[64];
  smooth(in, H, W, 3);
  jpeg_spec spec = rgb_spec(in);
  bytes file = encode_jpeg(&spec);
  mcl_array a = bytes_of(out, 4, 4, 3);
  const void *p = file.data;
  size_t n = file.n;
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_image_decode(NULL, NULL, p, n, &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "bytes", mcl_image_decode(context, NULL, NULL, n, &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_image_decode(context, NULL, p, n, NULL, &err));
  CHECK_FAILS(MCL_E_FORMAT, "neither", mcl_image_decode(context, NULL, "GIF89a", 6, &a, &err));
  CHECK_FAILS(MCL_E_FORMAT, "neither", mcl_image_decode(context, NULL, p, 0, &a, &err));
  mcl_array b = bytes_of(out, 4, 4, 2);
  CHECK_FAILS(MCL_E_SHAPE, "channels", mcl_image_decode(context, NULL, p, n, &b, &err));
  b = bytes_of(out, 0, 4, 3);
  CHECK_FAILS(MCL_E_SHAPE, "shape[0]", mcl_image_decode(context, NULL, p, n, &b, &err));
  b = bytes_of(out, 4, 4, 3);
  b.dtype = MCL_F64;
  CHECK_FAILS(MCL_E_DTYPE, "MCL_F32", mcl_image_decode(context, NULL, p, n, &b, &err));
  b = bytes_of(out, 4, 4, 3);
  b.flags = MCL_ARRAY_READONLY;
  CHECK_FAILS(MCL_E_INVALID, "read-only", mcl_image_decode(context, NULL, p, n, &b, &err));
  b = bytes_of(out, 4, 4, 3);
  b.ndim = 4;
  CHECK_FAILS(MCL_E_SHAPE, "dimensions", mcl_image_decode(context, NULL, p, n, &b, &err));
  free(file.data);
}
END_TEST

START_TEST(each_option_is_checked_and_named) {
  uint8_t out[3];
  mcl_array a = bytes_of(out, 1, 1, 3);
  mcl_image_options o;
#define REFUSED(FIELD, VALUE)                                                                      \
  mcl_image_options_init(&o, sizeof o);                                                            \
  o.FIELD = VALUE;                                                                                 \
  CHECK_FAILS(MCL_E_INVALID, #FIELD, mcl_image_decode(context, &o, "x", 1, &a, &err))
  REFUSED(max_pixels, 0);
  REFUSED(max_pixels, (int64_t)1 << 31);
  REFUSED(max_bytes, 0);
  REFUSED(max_side, 0);
  REFUSED(max_side, 65536);
  REFUSED(max_scans, 0);
  REFUSED(fit, 0);
  REFUSED(fit, 3);
  REFUSED(filter, 0);
  REFUSED(filter, 3);
  REFUSED(allow_truncated, 2);
  REFUSED(reserved, 1);
}
END_TEST

// How many allocations decoding into `out` takes, each of which has failed once.
static int count_allocations(const bytes *file, const mcl_array *out, uint8_t *memory,
                             size_t size) {
  test_allocator heap;
  test_allocator_init(&heap);
  mcl_context *c = test_context_with(&heap, 1);
  int64_t before = heap.live;
  mcl_status status = MCL_E_NOMEM;
  int n = 0;
  while (status != MCL_OK) {
    memset(memory, 9, size);
    heap.fail_at = ++n;
    status = mcl_image_decode(c, NULL, file->data, file->n, out, &err);
    ck_assert_int_eq(heap.live, before);
    if (status == MCL_OK) break;
    ck_assert_int_eq(status, MCL_E_NOMEM);
    for (size_t i = 0; i < size; i++) ck_assert_int_eq(memory[i], 9);
  }
  heap.fail_at = 0;
  mcl_context_unref(c);
  return n - 1;
}

START_TEST(every_failed_allocation_is_reported_and_nothing_leaks) {
  static uint8_t in[MOST];
  smooth(in, H, W, 3);
  jpeg_spec spec = rgb_spec(in);
  bytes file = encode_jpeg(&spec);
  uint8_t out[48 * sizeof(float)];
  mcl_array a = bytes_of(out, 4, 4, 3), f;
  mcl_array_init(&f, out, MCL_F32, 3, a.shape);
  // Pixels, the resizer's memory; and where they are converted, the resized image.
  ck_assert_int_eq(count_allocations(&file, &a, out, sizeof out), 2);
  ck_assert_int_eq(count_allocations(&file, &f, out, sizeof out), 3);
  free(file.data);
}
END_TEST

RUN_TESTS_BETWEEN("image", begin, end, every_sampling_and_coding_decodes_as_libjpeg_does,
                  grey_and_rgb_files_decode_to_either_number_of_channels,
                  inks_are_inverted_by_adobes_marker_alone,
                  all_eight_orientations_are_applied_in_both_byte_orders,
                  resizing_a_turned_image_equals_turning_a_resized_one,
                  fill_bytes_and_other_segments_before_exif_are_passed_over,
                  a_damaged_exif_block_means_as_stored,
                  a_file_cut_at_any_byte_is_a_format_error_and_leaves_the_output,
                  a_truncated_file_gives_its_first_rows_where_allowed,
                  a_flipped_bit_anywhere_never_crashes,
                  twelve_bits_lossless_and_strange_colours_are_unsupported_by_name,
                  a_scan_bomb_stops_at_the_limit,
                  scans_and_arithmetic_codes_may_be_as_many_as_the_limits_say,
                  limits_name_the_limit, bad_arguments_are_named, each_option_is_checked_and_named,
                  every_failed_allocation_is_reported_and_nothing_leaks)
