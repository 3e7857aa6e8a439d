// Resizing against a plain twin in double, exact means, and Pillow's bytes.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "golden/pillow_bilinear.h"
#include "image/kernels.h"
#include "image/resize.h"
#include "support/suite.h"

static mcl_error err;
static mcl_context *context;

static void draw(uint8_t *p, int n) {
  uint32_t state = 1;
  for (int i = 0; i < n; i++) {
    state = state * 1664525u + 1013904223u;
    p[i] = (uint8_t)(state >> 24);
  }
}

// Weight of pixel j for output i, straight from the formulas of lib/image/resize.c, over all
// pixels.
static double weight(int filter, int j, int i, double from, double length, int out) {
  double s = length / out;
  if (filter == MCL_FILTER_BOX) {
    double w = fmin(j + 1, from + (i + 1) * s) - fmax(j, from + i * s); // (4)
    return w > 0 ? w : 0;
  }
  double w = 1 - fabs(j + 0.5 - (from + (i + 0.5) * s)) / fmax(s, 1); // (2), (3)
  return w > 0 ? w : 0;
}

static double twin(const uint8_t *in, int h, int w, int c, int oh, int ow, int filter, int fit,
                   int y, int x, int k) {
  double bh = h, bw = w, sum = 0, total = 0;
  if (fit == MCL_FIT_CROP) {
    if ((double)w / h > (double)ow / oh)
      bw = (double)h * ow / oh;
    else
      bh = (double)w * oh / ow;
  }
  double y0 = (h - bh) / 2, x0 = (w - bw) / 2;
  if (bh == oh && bw == ow) y0 = floor(y0), x0 = floor(x0);
  for (int r = 0; r < h; r++) {
    double wr = weight(filter, r, y, y0, bh, oh);
    for (int q = 0; wr > 0 && q < w; q++) {
      double wq = wr * weight(filter, q, x, x0, bw, ow);
      sum += wq * in[(r * w + q) * c + k];
      total += wq;
    }
  }
  return sum / total;
}

static void begin(void) {
  context = test_context(1);
}

static void end(void) {
  mcl_context_unref(context);
}

START_TEST(every_size_filter_and_fit_is_the_plain_twin_rounded) {
  static const int sizes[][4] = {{1, 1, 3, 2},   {3, 2, 1, 1},   {8, 8, 4, 4},   {9, 13, 9, 5},
                                 {9, 12, 9, 9},  {17, 5, 6, 11}, {31, 40, 7, 7}, {12, 30, 12, 12},
                                 {50, 3, 5, 30}, {7, 7, 7, 7},   {60, 60, 1, 2}};
  static uint8_t in[64 * 64 * 4], out[64 * 64 * 4];
  draw(in, sizeof in);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (int c = 1; c <= 4; c++)
      for (int filter = MCL_FILTER_TRIANGLE; filter <= MCL_FILTER_BOX; filter++)
        for (int fit = MCL_FIT_STRETCH; fit <= MCL_FIT_CROP; fit++) {
          int h = sizes[s][0], w = sizes[s][1], oh = sizes[s][2], ow = sizes[s][3];
          CHECK_OK(mcli_resize_u8(context, in, h, w, c, oh, ow, out, filter, fit, &err));
          for (int i = 0; i < oh * ow * c; i++) {
            double v = twin(in, h, w, c, oh, ow, filter, fit, i / c / ow, i / c % ow, i % c);
            ck_assert_double_eq_tol(out[i], v, 0.5 + 1e-4);
          }
        }
}
END_TEST

START_TEST(a_box_of_whole_factors_is_the_exact_mean_with_halves_up) {
  static uint8_t in[120 * 120], out[60 * 60];
  draw(in, sizeof in);
  static const int factors[] = {1, 2, 3, 4, 5, 6, 8, 10, 12};
  for (int a = 0; a < 9; a++)
    for (int b = 0; b < 9; b++) {
      int fy = factors[a], fx = factors[b], oh = 120 / fy, ow = 120 / fx;
      if (oh * ow > 3600) continue;
      CHECK_OK(mcli_resize_u8(context, in, 120, 120, 1, oh, ow, out, MCL_FILTER_BOX,
                              MCL_FIT_STRETCH, &err));
      for (int y = 0; y < oh; y++)
        for (int x = 0; x < ow; x++) {
          int sum = 0, n = fy * fx;
          for (int i = 0; i < n; i++) sum += in[(y * fy + i / fx) * 120 + x * fx + i % fx];
          ck_assert_int_eq(out[y * ow + x], (2 * sum + n) / (2 * n));
        }
    }
}
END_TEST

START_TEST(bilinear_is_within_one_of_pillow) {
  static uint8_t in[64 * 64 * 3], out[64 * 64 * 3];
  draw(in, sizeof in);
  int same = 0, all = 0;
  for (size_t i = 0; i < sizeof pillow_cases / sizeof *pillow_cases; i++) {
    int h = pillow_cases[i].h, w = pillow_cases[i].w, c = pillow_cases[i].c;
    int oh = pillow_cases[i].oh, ow = pillow_cases[i].ow;
    CHECK_OK(mcli_resize_u8(context, in, h, w, c, oh, ow, out, MCL_FILTER_TRIANGLE, MCL_FIT_STRETCH,
                            &err));
    for (int k = 0; k < oh * ow * c; k++, all++) {
      int difference = out[k] - pillow_bytes[pillow_cases[i].first + k];
      ck_assert_int_le(abs(difference), 1);
      same += difference == 0;
    }
  }
  ck_assert_int_gt(same, all * 7 / 10); // Pillow rounds twice
}
END_TEST

START_TEST(white_and_black_stay_white_and_black) {
  static uint8_t in[200 * 150 * 3], out[97 * 61 * 3];
  for (int v = 0; v < 2; v++) {
    memset(in, v ? 255 : 0, sizeof in);
    CHECK_OK(mcli_resize_u8(context, in, 150, 200, 3, 61, 97, out, MCL_FILTER_TRIANGLE,
                            MCL_FIT_STRETCH, &err));
    for (size_t i = 0; i < sizeof out; i++) ck_assert_int_eq(out[i], v ? 255 : 0);
  }
}
END_TEST

START_TEST(the_output_is_written_to_its_end_and_no_further) {
  uint8_t *in = malloc(13 * 9 * 3), *out = malloc(5 * 7 * 3); // a sanitizer watches both
  draw(in, 13 * 9 * 3);
  CHECK_OK(
      mcli_resize_u8(context, in, 13, 9, 3, 5, 7, out, MCL_FILTER_TRIANGLE, MCL_FIT_CROP, &err));
  free(in);
  free(out);
}
END_TEST

START_TEST(a_mirrored_float_resampling_is_the_mirror_image) {
  enum { SIDE = 11, OUT = 6, C = 7, IMAGE = 6 };
  float in[SIDE * SIDE * C], row[SIDE * C + MCLI_ROW_SLACK] = {0}, a[OUT * OUT * IMAGE],
                                            b[OUT * OUT * IMAGE];
  test_fill(in, SIDE * SIDE * C, 3, 0, 1);
  int32_t most = mcli_taps_most(SIDE, OUT, MCL_FILTER_TRIANGLE), words[2][100];
  ck_assert_int_le(mcli_taps_words(OUT, most), 100);
  mcli_taps ty, tx;
  mcli_taps_place(&ty, words[0], OUT, most);
  mcli_taps_place(&tx, words[1], OUT, most);
  mcli_taps_fill(&ty, SIDE, 1.25, 9, MCL_FILTER_TRIANGLE, 0);
  mcli_taps_fill(&tx, SIDE, 0.5, 8.25, MCL_FILTER_TRIANGLE, 0);
  mcli_resample_f32(mcli_resample_kernels_of(context), in, SIDE, C, &ty, &tx, row, 0, IMAGE, a);
  mcli_taps_fill(&tx, SIDE, 0.5, 8.25, MCL_FILTER_TRIANGLE, 1);
  mcli_resample_f32(mcli_resample_kernels_of(context), in, SIDE, C, &ty, &tx, row, 1, IMAGE, b);
  for (int y = 0; y < OUT; y++)
    for (int x = 0; x < OUT; x++)
      for (int k = 0; k < IMAGE; k++) {
        // b is the mirror image, from the second channel on.
        float left = a[(k * OUT + y) * OUT + x], right = b[(k * OUT + y) * OUT + OUT - 1 - x];
        if (k > 0) ck_assert_float_eq(left, b[((k - 1) * OUT + y) * OUT + OUT - 1 - x]);
        for (int m = 0; m < 2; m++) {
          double v = 0, total = 0;
          for (int i = 0; i < SIDE * SIDE; i++) {
            double w = weight(MCL_FILTER_TRIANGLE, i / SIDE, y, 1.25, 9, OUT) *
                       weight(MCL_FILTER_TRIANGLE, i % SIDE, x, 0.5, 8.25, OUT);
            v += w * in[i * C + k + m], total += w;
          }
          ck_assert_double_eq_tol(m ? right : left, v / total, 1e-6);
        }
      }
}
END_TEST

// Rows and columns of odd lengths, on memory of just their size for a sanitizer to watch.
static void run_kernels(const mcli_resample_kernels *k, int w, int c, int taps, float *rows,
                        float *sums, uint8_t *bytes) {
  static uint8_t in[9 * 70 * 4];
  static float floats[9 * 70 * 4];
  float weight[9], *out = malloc((size_t)(w * c + MCLI_ROW_SLACK) * sizeof *out);
  draw(in, sizeof in);
  test_fill(weight, 9, 3, 0, 1);
  for (size_t i = 0; i < sizeof in; i++) floats[i] = (float)in[i] / 255;
  k->rows_u8(in, w * c, weight, taps, rows, w * c);
  memset(rows + w * c, 0, MCLI_ROW_SLACK * sizeof *rows);
  int32_t first[70], count[70];
  float columns[70 * 9];
  test_fill(columns, 70 * 9, 4, 0, 0.3f);
  for (int i = 0; i < w; i++) count[i] = taps, first[i] = i + taps < w ? i : w - taps;
  mcli_taps t = {.out = w, .most = 9, .first = first, .count = count, .weight = columns};
  k->columns(rows, c, &t, out);
  memcpy(sums, out, (size_t)(w * c) * sizeof *out);
  k->to_bytes(sums, 1, w * c, bytes);
  k->to_bytes(sums, 3, w * c, bytes + w * c);
  k->rows_f32(floats, w * c, weight, taps, rows, w * c);
  k->columns_f32(rows, c, &t, c, out, w);
  k->interleave(out, w, c, sums + w * c);
  free(out);
}

START_TEST(every_instruction_set_gives_the_same_bits) {
  enum { MOST = 70 * 4 };
  for (mcli_isa isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
    const mcli_resample_kernels *k = mcli_resample_kernels_for(isa);
    if (!k) continue;
    for (int c = 1; c <= 4; c++)
      for (int taps = 1; taps <= 9; taps++)
        for (int w = taps; w <= 70; w += 1 + w / 3) {
          float rows[2][MOST + MCLI_ROW_SLACK], sums[2][2 * MOST];
          uint8_t bytes[2][2 * MOST];
          run_kernels(mcli_resample_kernels_for(MCLI_ISA_BASE), w, c, taps, rows[0], sums[0],
                      bytes[0]);
          run_kernels(k, w, c, taps, rows[1], sums[1], bytes[1]);
          size_t n = (size_t)(w * c);
          ck_assert_mem_eq(rows[0], rows[1], n * sizeof(float));
          ck_assert_mem_eq(sums[0], sums[1], 2 * n * sizeof(float));
          ck_assert_mem_eq(bytes[0], bytes[1], 2 * n);
        }
  }
}
END_TEST

START_TEST(a_failed_allocation_is_reported_and_leaves_the_output) {
  test_allocator heap;
  test_allocator_init(&heap);
  mcl_context *c = test_context_with(&heap, 1);
  uint8_t in[16] = {0}, out[4] = {9, 9, 9, 9};
  heap.fail_at = 1;
  CHECK_FAILS(MCL_E_NOMEM, "",
              mcli_resize_u8(c, in, 4, 4, 1, 2, 2, out, MCL_FILTER_BOX, MCL_FIT_STRETCH, &err));
  for (int i = 0; i < 4; i++) ck_assert_int_eq(out[i], 9);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS_BETWEEN("image", begin, end, every_size_filter_and_fit_is_the_plain_twin_rounded,
                  a_box_of_whole_factors_is_the_exact_mean_with_halves_up,
                  bilinear_is_within_one_of_pillow, white_and_black_stay_white_and_black,
                  the_output_is_written_to_its_end_and_no_further,
                  a_mirrored_float_resampling_is_the_mirror_image,
                  every_instruction_set_gives_the_same_bits,
                  a_failed_allocation_is_reported_and_leaves_the_output)
