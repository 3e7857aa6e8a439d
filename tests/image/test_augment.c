// Views: what may be drawn, of what the draws are functions, and that nothing else matters.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/image.h>

#include "support/suite.h"

static mcl_error err;
static mcl_context *context;

// Nothing drawn at all, to be switched on piece by piece.
static mcl_augmenter_options quiet(void) {
  mcl_augmenter_options o;
  mcl_augmenter_options_init(&o, sizeof o);
  o.crop_area_min = o.crop_area_max = o.crop_aspect_max = 1;
  o.flip = o.jitter = o.grey = o.blur = o.noise = 0;
  return o;
}

static mcl_augmenter *make(mcl_context *c, const mcl_augmenter_options *o) {
  mcl_augmenter *a = NULL;
  CHECK_OK(mcl_augmenter_create(c, o, &a, &err));
  return a;
}

static mcl_inputs inputs(const mcl_array *data, const int64_t *indices, int32_t view) {
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.data = data, in.indices = indices, in.n = data->shape[0];
  in.view = view, in.seed = 11;
  return in;
}

static void apply(mcl_context *c, const mcl_augmenter_options *o, const mcl_inputs *in,
                  const mcl_array *out) {
  mcl_augmenter *a = make(c, o);
  CHECK_OK(mcl_augmenter_apply(a, in, out, &err));
  mcl_augmenter_unref(a);
}

enum { N = 50, S = 24, C = 5, FLOATS = N * S * S * C };
static float data[FLOATS], out[FLOATS], other[FLOATS];
static int64_t rows[N];

static void fill(void) {
  test_fill(data, FLOATS, 1, 0, 1);
  for (int i = 0; i < N; i++) rows[i] = 1000 + 7 * i;
}

// Everything on, two code channels.
static mcl_augmenter_options everything(void) {
  mcl_augmenter_options o;
  mcl_augmenter_options_init(&o, sizeof o);
  o.extra_channels = 2, o.noise = 0.1, o.jitter = o.blur = 1;
  return o;
}

static void begin(void) {
  context = test_context(1);
}

static void end(void) {
  mcl_context_unref(context);
}

START_TEST(without_any_change_a_view_is_the_image) {
  fill();
  mcl_array a = mcl_images_f32(data, N, S, S, C), b = mcl_images_f32(out, N, S, S, C);
  mcl_augmenter_options o = quiet();
  mcl_inputs in = inputs(&a, rows, 0);
  apply(context, &o, &in, &b);
  ck_assert_mem_eq(out, data, sizeof data);
}
END_TEST

START_TEST(view_minus_one_is_the_image_whatever_the_options) {
  fill();
  mcl_array a = mcl_images_f32(data, N, S, S, C), b = mcl_images_f32(out, N, S, S, C);
  mcl_augmenter_options o = everything();
  mcl_inputs in = inputs(&a, NULL, -1);
  apply(context, &o, &in, &b);
  ck_assert_mem_eq(out, data, sizeof data);
}
END_TEST

START_TEST(bytes_become_their_255th) {
  uint8_t bytes[2 * 3 * 3 * 1];
  for (int i = 0; i < 18; i++) bytes[i] = (uint8_t)(i * 14);
  mcl_array a = mcl_images_u8(bytes, 2, 3, 3, 1), b = mcl_images_f32(out, 2, 3, 3, 1);
  mcl_augmenter_options o = quiet();
  mcl_inputs in = inputs(&a, rows, 0);
  apply(context, &o, &in, &b);
  for (int i = 0; i < 18; i++) ck_assert_float_eq_tol(out[i], (float)bytes[i] / 255, 1e-7F);
}
END_TEST

START_TEST(resizing_only_gives_the_mean_of_four_at_half_size) {
  // A ramp: any symmetric filter gives its value at the middle of the output pixel.
  for (int i = 0; i < S * S; i++) data[i] = (float)(i % S) + 100 * (float)(i / S);
  mcl_array a = mcl_images_f32(data, 1, S, S, 1), b = mcl_images_f32(out, 1, S / 2, S / 2, 1);
  mcl_augmenter_options o = everything();
  o.extra_channels = 0;
  o.height = o.width = S / 2;
  mcl_inputs in = inputs(&a, NULL, -1);
  apply(context, &o, &in, &b);
  for (int y = 1; y < S / 2 - 1; y++)
    for (int x = 1; x < S / 2 - 1; x++)
      ck_assert_float_eq_tol(out[y * S / 2 + x], 2 * (float)x + .5F + 100 * (2 * (float)y + .5F),
                             1e-3F);
}
END_TEST

START_TEST(a_view_depends_on_its_own_row_alone) {
  fill();
  static float one[S * S * C], shuffled[FLOATS], from[FLOATS];
  int64_t ids[N];
  mcl_array a = mcl_images_f32(data, N, S, S, C), b = mcl_images_f32(out, N, S, S, C);
  mcl_augmenter_options o = everything();
  mcl_inputs in = inputs(&a, rows, 1);
  apply(context, &o, &in, &b);
  size_t row = S * S * C;
  for (int i = 0; i < N; i++) { // alone
    a = mcl_images_f32(data + (size_t)i * row, 1, S, S, C), b = mcl_images_f32(one, 1, S, S, C);
    in = inputs(&a, rows + i, 1);
    apply(context, &o, &in, &b);
    ck_assert_mem_eq(one, out + (size_t)i * row, sizeof one);
  }
  for (int i = 0; i < N; i++) { // in another order
    int k = (i * 17 + 3) % N;
    ids[i] = rows[k];
    memcpy(from + (size_t)i * row, data + (size_t)k * row, sizeof one);
  }
  a = mcl_images_f32(from, N, S, S, C), b = mcl_images_f32(shuffled, N, S, S, C);
  in = inputs(&a, ids, 1);
  apply(context, &o, &in, &b);
  for (int i = 0; i < N; i++)
    ck_assert_mem_eq(shuffled + (size_t)i * row, out + (size_t)((i * 17 + 3) % N) * row,
                     sizeof one);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits) {
  fill();
  mcl_array a = mcl_images_f32(data, N, S, S, C), b = mcl_images_f32(out, N, S, S, C);
  mcl_augmenter_options o = everything();
  mcl_inputs in = inputs(&a, rows, 1);
  apply(context, &o, &in, &b);
  b = mcl_images_f32(other, N, S, S, C);
  for (uint32_t threads = 2; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    memset(other, 0, sizeof other);
    apply(c, &o, &in, &b);
    ck_assert_mem_eq(other, out, sizeof out);
    mcl_context_unref(c);
  }
}
END_TEST

START_TEST(seed_stage_epoch_view_and_index_each_change_the_view) {
  fill();
  mcl_array a = mcl_images_f32(data, 1, S, S, C), b = mcl_images_f32(out, 1, S, S, C);
  mcl_augmenter_options o = everything();
  mcl_inputs in = inputs(&a, rows, 0);
  apply(context, &o, &in, &b);
  b = mcl_images_f32(other, 1, S, S, C);
  for (int change = 0; change < 6; change++) {
    in = inputs(&a, rows, 0);
    if (change == 0) in.seed++;
    if (change == 1) in.stage++;
    if (change == 2) in.epoch++;
    if (change == 3) in.view++;
    if (change == 4) in.indices = rows + 1;
    if (change == 5) in.modality++; // does not
    apply(context, &o, &in, &b);
    int same = memcmp(other, out, S * S * C * sizeof *out) == 0;
    ck_assert_int_eq(same, change == 5);
  }
}
END_TEST

START_TEST(a_certain_flip_mirrors_the_image_channels_only) {
  fill();
  mcl_array a = mcl_images_f32(data, N, S, S, C), b = mcl_images_f32(out, N, S, S, C);
  mcl_augmenter_options o = quiet();
  o.flip = 1, o.extra_channels = 2;
  mcl_inputs in = inputs(&a, rows, 0);
  apply(context, &o, &in, &b);
  for (int i = 0; i < FLOATS; i++) {
    int k = i % C, x = i / C % S, mirrored = i + (S - 1 - 2 * x) * C;
    ck_assert_float_eq(out[i], data[k < C - 2 ? mirrored : i]);
  }
}
END_TEST

START_TEST(extra_channels_pass_through_whatever_happens_to_the_image) {
  fill();
  mcl_array a = mcl_images_f32(data, N, S, S, C), b = mcl_images_f32(out, N, S, S, C);
  mcl_augmenter_options o = everything();
  mcl_inputs in = inputs(&a, rows, 0);
  apply(context, &o, &in, &b);
  int changed = 0;
  for (int i = 0; i < FLOATS; i++)
    if (i % C >= C - 2)
      ck_assert_float_eq(out[i], data[i]);
    else
      changed += out[i] != data[i];
  ck_assert_int_gt(changed, FLOATS * 3 / 5 * 9 / 10);
}
END_TEST

START_TEST(constant_extra_channels_stay_constant_at_another_size) {
  fill();
  for (int i = 0; i < FLOATS; i++)
    if (i % C >= C - 2) data[i] = (float)(i / (S * S * C) * 2 + i % C);
  enum { OH = 15, OW = 31 };
  static float resized[N * OH * OW * C];
  mcl_array a = mcl_images_f32(data, N, S, S, C), b = mcl_images_f32(resized, N, OH, OW, C);
  mcl_augmenter_options o = everything();
  o.height = OH, o.width = OW;
  mcl_inputs in = inputs(&a, rows, 0);
  apply(context, &o, &in, &b);
  for (int i = 0; i < N * OH * OW * C; i++)
    if (i % C >= C - 2)
      ck_assert_float_eq_tol(resized[i], (float)(i / (OH * OW * C) * 2 + i % C), 1e-4F);
}
END_TEST

START_TEST(strided_and_half_precision_arrays_are_taken) {
  fill();
  static float wide[N * S * S * C * 2];
  static double doubles[FLOATS];
  for (int i = 0; i < FLOATS; i++) wide[2 * i] = data[i];
  mcl_array a = mcl_images_f32(data, N, S, S, C), b = mcl_images_f32(out, N, S, S, C);
  mcl_augmenter_options o = everything();
  mcl_inputs in = inputs(&a, rows, 0);
  apply(context, &o, &in, &b);
  a = mcl_images_f32(wide, N, S, S, C);
  for (int i = 0; i < 4; i++) a.strides[i] *= 2;
  int64_t shape[4] = {N, S, S, C};
  mcl_array_init(&b, doubles, MCL_F64, 4, shape);
  apply(context, &o, &in, &b);
  for (int i = 0; i < FLOATS; i++) ck_assert_double_eq(doubles[i], (double)out[i]);
}
END_TEST

// ---- the draws ----------------------------------------------------------------------------------

// On a picture of its own coordinates a view tells its box: two places a known number of output
// pixels apart.
typedef struct seen {
  double y, x, height, width;
} seen;

static seen box_of(const float *view, int h, int w) {
  int q = h / 4, r = w / 4;
  const float *a = view + (q * w + r) * 2, *b = view + (3 * q * w + 3 * r) * 2;
  seen s = {.height = (b[0] - a[0]) / (2.0 * q), .width = (b[1] - a[1]) / (2.0 * r)};
  s.y = a[0] + .5 - (q + .5) * s.height, s.x = a[1] + .5 - (r + .5) * s.width;
  s.height *= h, s.width *= w;
  return s;
}

static void draw_boxes(const mcl_augmenter_options *o, int h, int w, int n, seen *boxes) {
  float *ramp = malloc((size_t)(h * w * 2) * sizeof *ramp);
  float *view = malloc((size_t)(h * w * 2) * sizeof *view);
  for (int i = 0; i < h * w; i++) ramp[2 * i] = (float)(i / w), ramp[2 * i + 1] = (float)(i % w);
  mcl_array a = mcl_images_f32(ramp, 1, h, w, 2), b = mcl_images_f32(view, 1, h, w, 2);
  mcl_augmenter *g = make(context, o);
  for (int64_t i = 0; i < n; i++) {
    mcl_inputs in = inputs(&a, &i, 0);
    CHECK_OK(mcl_augmenter_apply(g, &in, &b, &err));
    boxes[i] = box_of(view, h, w);
    seen s = boxes[i];
    ck_assert(s.y > -1e-3 && s.x > -1e-3 && s.y + s.height < h + 1e-3 && s.x + s.width < w + 1e-3);
  }
  mcl_augmenter_unref(g);
  free(ramp);
  free(view);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// Kolmogorov and Smirnov's distance from uniform on [low, high]; 1.95 / sqrt n is passed once in a
// thousand.
static void check_uniform(double *x, int n, double low, double high) {
  qsort(x, (size_t)n, sizeof *x, by_value);
  double d = 0;
  for (int i = 0; i < n; i++) {
    double u = (x[i] - low) / (high - low);
    d = fmax(d, fmax(fabs(u - (double)i / n), fabs(u - (i + 1.0) / n)));
  }
  ck_assert_double_lt(d, 1.95 / sqrt(n));
}

START_TEST(square_crops_have_uniform_sides_and_corners) { // EVIDENCE 2
  enum { MANY = 3000 };
  static seen boxes[MANY];
  static double side[MANY], corner[MANY];
  mcl_augmenter_options o = quiet();
  o.crop_area_min = .36, o.crop_size = MCL_CROP_UNIFORM_SIDE;
  draw_boxes(&o, 32, 32, MANY, boxes);
  for (int i = 0; i < MANY; i++) {
    ck_assert_double_eq_tol(boxes[i].height, boxes[i].width, 1e-3);
    side[i] = boxes[i].width / 32;
    corner[i] = boxes[i].width < 31.9 ? boxes[i].x / (32 - boxes[i].width) : .5;
  }
  ck_assert_double_gt(side[0], .6 - 1e-4);
  check_uniform(side, MANY, .6, 1);
  check_uniform(corner, MANY, 0, 1);
}
END_TEST

START_TEST(crops_have_uniform_areas_and_log_uniform_aspects) {
  enum { MANY = 3000 };
  static seen boxes[MANY];
  static double area[MANY], aspect[MANY];
  mcl_augmenter_options o = quiet();
  o.crop_area_min = .3, o.crop_area_max = .6,
  o.crop_aspect_max = 4. / 3; // small enough always to fit
  draw_boxes(&o, 32, 32, MANY, boxes);
  for (int i = 0; i < MANY; i++) {
    area[i] = boxes[i].height * boxes[i].width / 1024;
    aspect[i] = log(boxes[i].width / boxes[i].height);
  }
  check_uniform(area, MANY, .3, .6);
  check_uniform(aspect, MANY, -log(4. / 3), log(4. / 3));
}
END_TEST

START_TEST(crops_that_may_not_fit_stay_in_their_ranges) { // EVIDENCE 1
  enum { MANY = 1000 };
  static seen boxes[MANY];
  mcl_augmenter_options o = quiet();
  o.crop_area_min = .5, o.crop_aspect_max = 4. / 3;
  draw_boxes(&o, 28, 28, MANY, boxes);
  for (int i = 0; i < MANY; i++) {
    double area = boxes[i].height * boxes[i].width / 784, aspect = boxes[i].width / boxes[i].height;
    ck_assert(area > .5 - 1e-3 && area < 1 + 1e-3 && aspect > .75 - 1e-3 && aspect < 4. / 3 + 1e-3);
  }
}
END_TEST

// The share of (1) and (2), area .5 .. 1 and aspect to 4/3, whose width is over the image's: sqrt(A r) > 1.
static double share_too_wide(void) {
  enum { STEPS = 2000 };
  double over = 0, spread = log(4. / 3);
  for (int i = 0; i < STEPS; i++) {
    double log_r = spread * (2 * (i + .5) / STEPS - 1);
    if (log_r > 0) over += fmin(1, 2 * (1 - exp(-log_r))) / STEPS;
  }
  return over;
}

START_TEST(clamped_crops_are_those_that_fit_and_the_others_cut_to_the_image) {
  enum { MANY = 3000 };
  static seen redrawn[MANY], clamped[MANY];
  mcl_augmenter_options o = quiet();
  o.crop_area_min = .5, o.crop_aspect_max = 4. / 3;
  draw_boxes(&o, 28, 28, MANY, redrawn);
  o.clamped_crop = 1;
  draw_boxes(&o, 28, 28, MANY, clamped);
  int wide = 0, tall = 0;
  for (int i = 0; i < MANY; i++) {
    int is_wide = clamped[i].width > 28 - 1e-3, is_tall = clamped[i].height > 28 - 1e-3;
    wide += is_wide, tall += is_tall;
    ck_assert(!(is_wide && is_tall));
    if (is_wide || is_tall) continue;
    ck_assert_double_eq_tol(clamped[i].width, redrawn[i].width, 1e-3);
    ck_assert_double_eq_tol(clamped[i].x, redrawn[i].x, 1e-3);
  }
  double p = share_too_wide(), error = sqrt(p * (1 - p) / MANY);
  ck_assert_double_eq_tol((double)wide / MANY, p, 3.3 * error);
  ck_assert_double_eq_tol((double)tall / MANY, p, 3.3 * error);
}
END_TEST

// Heights lie evenly on the way from the least to the largest that fits, whatever the aspect; and aspects are uniform.
START_TEST(heights_are_uniform_among_those_that_fit) {
  enum { MANY = 3000 };
  static seen boxes[MANY];
  static double height[MANY], aspect[MANY];
  mcl_augmenter_options o = quiet();
  o.crop_area_min = .5, o.crop_aspect_max = 4. / 3, o.crop_size = MCL_CROP_UNIFORM_HEIGHT;
  draw_boxes(&o, 28, 28, MANY, boxes);
  for (int i = 0; i < MANY; i++) {
    double a = boxes[i].width / boxes[i].height, low = 28 * sqrt(.5 / a), high = fmin(28, 28 / a);
    aspect[i] = a;
    height[i] = (boxes[i].height - low) / (high - low);
    ck_assert(boxes[i].y > -1e-3 && boxes[i].y + boxes[i].height < 28 + 1e-3);
    ck_assert(boxes[i].x > -1e-3 && boxes[i].x + boxes[i].width < 28 + 1e-3);
  }
  check_uniform(height, MANY, 0, 1);
  check_uniform(aspect, MANY, .75, 4. / 3);
  // Half of an image twice as wide as high, at aspects under 1, is higher than it: another one is drawn.
  o.crop_area_max = .6;
  draw_boxes(&o, 20, 40, 100, boxes);
  for (int i = 0; i < 100; i++) {
    ck_assert(boxes[i].height < 20 + 1e-3 && boxes[i].width > boxes[i].height);
    ck_assert(boxes[i].width * boxes[i].height > 400 - 1e-1);
  }
}
END_TEST

START_TEST(a_crop_that_never_fits_is_the_centre_of_an_allowed_aspect) {
  seen box;
  mcl_augmenter_options o = quiet();
  o.crop_area_min = .9, o.crop_aspect_max = 1.5;
  draw_boxes(&o, 12, 120, 1, &box);
  ck_assert_double_eq_tol(box.height, 12, 1e-3);
  ck_assert_double_eq_tol(box.width, 18, 1e-3);
  ck_assert_double_eq_tol(box.x, 51, 1e-3);
  draw_boxes(&o, 120, 12, 1, &box);
  ck_assert_double_eq_tol(box.height, 18, 1e-3);
  ck_assert_double_eq_tol(box.width, 12, 1e-3);
  ck_assert_double_eq_tol(box.y, 51, 1e-3);
}
END_TEST

START_TEST(brightness_alone_is_a_uniform_factor) { // EVIDENCE 2
  enum { MANY = 2000 };
  static float grey[MANY * 4], view[MANY * 4];
  static double factor[MANY];
  static int64_t ids[MANY];
  for (int i = 0; i < MANY * 4; i++) grey[i] = .5F;
  for (int i = 0; i < MANY; i++) ids[i] = i;
  mcl_array a = mcl_images_f32(grey, MANY, 2, 2, 1), b = mcl_images_f32(view, MANY, 2, 2, 1);
  mcl_augmenter_options o = quiet();
  o.jitter = 1, o.brightness = .4, o.contrast = o.saturation = o.hue = 0;
  mcl_inputs in = inputs(&a, ids, 0);
  apply(context, &o, &in, &b);
  for (int i = 0; i < MANY; i++) {
    factor[i] = view[4 * i] / .5;
    ck_assert_float_eq(view[4 * i], view[4 * i + 3]);
  }
  check_uniform(factor, MANY, .6, 1.4);
}
END_TEST

START_TEST(probabilities_are_kept) {
  enum { MANY = 4000 };
  static float in[MANY * 12], view[MANY * 12];
  static int64_t ids[MANY];
  for (int i = 0; i < MANY * 12; i++) in[i] = (float)(i % 12) / 12;
  for (int i = 0; i < MANY; i++) ids[i] = i;
  mcl_array a = mcl_images_f32(in, MANY, 2, 2, 3), b = mcl_images_f32(view, MANY, 2, 2, 3);
  for (int which = 0; which < 3; which++) {
    mcl_augmenter_options o = quiet();
    double p = which == 0 ? (o.flip = .5) : which == 1 ? (o.jitter = .8) : (o.grey = .2);
    mcl_inputs inp = inputs(&a, ids, 0);
    apply(context, &o, &inp, &b);
    int changed = 0;
    for (int i = 0; i < MANY; i++) changed += memcmp(in, view + 12 * i, 12 * sizeof *in) != 0;
    ck_assert_double_eq_tol((double)changed / MANY, p, 4 * sqrt(p * (1 - p) / MANY));
  }
}
END_TEST

START_TEST(noise_comes_last_and_is_not_clamped) {
  fill();
  for (int i = 0; i < FLOATS; i++) data[i] = (float)(i & 1);
  mcl_array a = mcl_images_f32(data, N, S, S, C), b = mcl_images_f32(out, N, S, S, C);
  mcl_augmenter_options o = quiet();
  o.noise = .05;
  mcl_inputs in = inputs(&a, rows, 0);
  apply(context, &o, &in, &b);
  double sum = 0, squares = 0;
  int above = 0, below = 0;
  for (int i = 0; i < FLOATS; i++) {
    double d = out[i] - data[i];
    sum += d, squares += d * d;
    above += out[i] > 1, below += out[i] < 0;
  }
  ck_assert_double_eq_tol(sum / FLOATS, 0, 5 * .05 / sqrt(FLOATS));
  ck_assert_double_eq_tol(sqrt(squares / FLOATS), .05, 5 * .05 / sqrt(2. * FLOATS));
  ck_assert_int_gt(above, FLOATS / 5);
  ck_assert_int_gt(below, FLOATS / 5);
}
END_TEST

START_TEST(the_defaults_are_simclrs) {
  mcl_augmenter_options o;
  mcl_augmenter_options_init(&o, sizeof o);
  ck_assert(o.crop_area_min == .08 && o.crop_area_max == 1 && o.crop_aspect_max == 4. / 3);
  ck_assert(o.flip == .5 && o.jitter == .8 && o.grey == .2 && o.blur == .5 && o.noise == 0);
  ck_assert(o.brightness == .8 && o.contrast == .8 && o.saturation == .8 && o.hue == .2);
  ck_assert(o.height == 0 && o.width == 0 && o.extra_channels == 0 &&
            o.crop_size == MCL_CROP_UNIFORM_AREA);
}
END_TEST

// ---- refusals -----------------------------------------------------------------------------------

START_TEST(each_option_is_checked_and_named) {
  mcl_augmenter *a = NULL;
  mcl_augmenter_options o;
#define REFUSED(FIELD, VALUE)                                                                      \
  mcl_augmenter_options_init(&o, sizeof o);                                                        \
  o.FIELD = VALUE;                                                                                 \
  CHECK_FAILS(MCL_E_INVALID, #FIELD, mcl_augmenter_create(context, &o, &a, &err));                 \
  ck_assert_ptr_null(a)
  REFUSED(height, -1);
  REFUSED(width, 65536);
  REFUSED(extra_channels, -1);
  REFUSED(crop_size, 3);
  REFUSED(unclamped_brightness, 2);
  REFUSED(clamped_crop, 2);
  REFUSED(crop_area_min, 0);
  REFUSED(crop_area_max, 1.1);
  REFUSED(crop_area_max, .01);
  REFUSED(crop_aspect_max, .9);
  REFUSED(flip, 1.5);
  REFUSED(jitter, -.1);
  REFUSED(brightness, NAN);
  REFUSED(contrast, -1);
  REFUSED(saturation, -1);
  REFUSED(hue, .6);
  REFUSED(grey, 2);
  REFUSED(blur, -1);
  REFUSED(noise, -1);
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_augmenter_create(NULL, NULL, &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_augmenter_create(context, NULL, NULL, &err));
}
END_TEST

START_TEST(bad_inputs_are_named_and_nothing_is_written) {
  fill();
  memset(out, 0, sizeof out);
  mcl_array a = mcl_images_f32(data, N, S, S, C), b = mcl_images_f32(out, N, S, S, C), bad;
  mcl_augmenter_options o = everything();
  mcl_augmenter *g = make(context, &o);
  mcl_inputs in = inputs(&a, rows, 0);
  CHECK_FAILS(MCL_E_INVALID, "augmenter", mcl_augmenter_apply(NULL, &in, &b, &err));
  CHECK_FAILS(MCL_E_INVALID, "in is", mcl_augmenter_apply(g, NULL, &b, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_augmenter_apply(g, &in, NULL, &err));
  in.indices = NULL;
  CHECK_FAILS(MCL_E_INVALID, "indices", mcl_augmenter_apply(g, &in, &b, &err));
  in = inputs(&a, rows, -2);
  CHECK_FAILS(MCL_E_INVALID, "view", mcl_augmenter_apply(g, &in, &b, &err));
  in = inputs(&a, rows, 0);
  in.data = NULL;
  CHECK_FAILS(MCL_E_INVALID, "data", mcl_augmenter_apply(g, &in, &b, &err));
  in = inputs(&a, rows, 0);
  in.n = N - 1;
  CHECK_FAILS(MCL_E_SHAPE, "data", mcl_augmenter_apply(g, &in, &b, &err));
  in.n = -1;
  CHECK_FAILS(MCL_E_INVALID, "n is -1", mcl_augmenter_apply(g, &in, &b, &err));
  in = inputs(&a, rows, 0);
  bad = mcl_images_f32(out, N, S, S - 1, C);
  CHECK_FAILS(MCL_E_SHAPE, "out", mcl_augmenter_apply(g, &in, &bad, &err));
  bad = b, bad.dtype = MCL_U8;
  CHECK_FAILS(MCL_E_DTYPE, "out", mcl_augmenter_apply(g, &in, &bad, &err));
  bad = b, bad.flags = MCL_ARRAY_READONLY;
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_augmenter_apply(g, &in, &bad, &err));
  bad = a, bad.dtype = MCL_I32;
  in = inputs(&bad, rows, 0);
  CHECK_FAILS(MCL_E_DTYPE, "data", mcl_augmenter_apply(g, &in, &b, &err));
  a = mcl_images_f32(data, N, S, S, 2), b = mcl_images_f32(out, N, S, S, 2);
  in = inputs(&a, rows, 0);
  CHECK_FAILS(MCL_E_SHAPE, "extra_channels", mcl_augmenter_apply(g, &in, &b, &err));
  bad = mcl_images_f32(data, N, 65536, S, C);
  in = inputs(&bad, rows, 0);
  CHECK_FAILS(MCL_E_SHAPE, "shape[1]", mcl_augmenter_apply(g, &in, &b, &err));
  bad = mcl_images_f32(data, 1, 65535, 65535, C);
  in = inputs(&bad, rows, 0);
  mcl_array huge = mcl_images_f32(out, 1, 65535, 65535, C);
  // 32 bits cannot address such images.
  CHECK_FAILS(sizeof(size_t) > 4 ? MCL_E_LIMIT : MCL_E_SHAPE,
              sizeof(size_t) > 4 ? "2^31" : "too large", mcl_augmenter_apply(g, &in, &huge, &err));
  in.n = (int64_t)1 << 32;
  CHECK_FAILS(MCL_E_LIMIT, "n is", mcl_augmenter_apply(g, &in, &b, &err));
  for (int i = 0; i < FLOATS; i++) ck_assert_float_eq(out[i], 0);
  mcl_augmenter_unref(g);
  mcl_augmenter_unref(NULL);
  ck_assert_ptr_null(mcl_augmenter_ref(NULL));
}
END_TEST

START_TEST(an_empty_batch_is_fine) {
  mcl_array a = mcl_images_f32(data, 0, S, S, C), b = mcl_images_f32(out, 0, S, S, C);
  mcl_augmenter_options o = everything();
  mcl_inputs in = inputs(&a, rows, 0);
  apply(context, &o, &in, &b);
}
END_TEST

RUN_TESTS_BETWEEN(
    "image", begin, end, without_any_change_a_view_is_the_image,
    view_minus_one_is_the_image_whatever_the_options, bytes_become_their_255th,
    resizing_only_gives_the_mean_of_four_at_half_size, a_view_depends_on_its_own_row_alone,
    any_number_of_threads_gives_the_same_bits, seed_stage_epoch_view_and_index_each_change_the_view,
    a_certain_flip_mirrors_the_image_channels_only,
    extra_channels_pass_through_whatever_happens_to_the_image,
    constant_extra_channels_stay_constant_at_another_size,
    strided_and_half_precision_arrays_are_taken, square_crops_have_uniform_sides_and_corners,
    crops_have_uniform_areas_and_log_uniform_aspects, crops_that_may_not_fit_stay_in_their_ranges,
    clamped_crops_are_those_that_fit_and_the_others_cut_to_the_image,
    heights_are_uniform_among_those_that_fit,
    a_crop_that_never_fits_is_the_centre_of_an_allowed_aspect, brightness_alone_is_a_uniform_factor,
    probabilities_are_kept, noise_comes_last_and_is_not_clamped, the_defaults_are_simclrs,
    each_option_is_checked_and_named, bad_inputs_are_named_and_nothing_is_written,
    an_empty_batch_is_fine)
