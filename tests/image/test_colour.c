// Changes of colour, blur and noise against plain twins in double.
#include <math.h>
#include <string.h>

#include "image/colour.h"
#include "support/suite.h"

enum { N = 500 };

static double unit(double x) {
  return x < 0 ? 0 : x > 1 ? 1 : x;
}
static double luma(const float *p) {
  return .2989 * p[0] + .587 * p[1] + .114 * p[2];
}

static void draw(float *x, float *copy, int n) {
  test_fill(x, n, 7, 0, 1);
  for (int i = 0; i < 30; i++) x[i] = (float)(i / 3 % 3) / 2; // greys, black and white among them
  memcpy(copy, x, (size_t)n * sizeof *x);
}

START_TEST(brightness_multiplies_and_clamps) {
  float x[3 * N], was[3 * N];
  draw(x, was, 3 * N);
  mcli_brightness(x, N, 3, 1.4F, 1);
  for (int i = 0; i < 3 * N; i++) ck_assert_double_eq_tol(x[i], unit(1.4 * was[i]), 1e-6);
  memcpy(x, was, sizeof x);
  mcli_brightness(x, N, 3, 1.4F, 0);
  for (int i = 0; i < 3 * N; i++) ck_assert_double_eq_tol(x[i], 1.4 * was[i], 1e-6);
}
END_TEST

START_TEST(contrast_blends_with_the_mean_luma) {
  float x[3 * N], was[3 * N];
  static const float factors[] = {0, 0.3F, 1.8F};
  for (int f = 0; f < 3; f++)
    for (int c = 1; c <= 3; c++) {
      draw(x, was, 3 * N);
      double mean = 0;
      for (int i = 0; i < N; i++)
        if (c == 3)
          mean += luma(was + 3 * i) / N;
        else
          for (int k = 0; k < c; k++) mean += was[c * i + k] / (double)(N * c);
      mcli_contrast(x, N, c, factors[f]);
      for (int i = 0; i < c * N; i++)
        ck_assert_double_eq_tol(x[i], unit(factors[f] * was[i] + (1 - factors[f]) * mean), 1e-6);
    }
}
END_TEST

START_TEST(saturation_blends_with_each_pixels_luma) {
  float x[3 * N], was[3 * N];
  draw(x, was, 3 * N);
  mcli_saturation(x, N, 1.7F);
  for (int i = 0; i < 3 * N; i++)
    ck_assert_double_eq_tol(x[i], unit(1.7 * was[i] - .7 * luma(was + i / 3 * 3)), 1e-6);
}
END_TEST

// HSV the long way, sector by sector (Smith 1978).
static void turn_hue(const float *p, double turn, double out[3]) {
  double r = p[0], g = p[1], b = p[2], v = fmax(r, fmax(g, b)), d = v - fmin(r, fmin(g, b)), h = 0;
  if (d > 0) h = v == r ? fmod((g - b) / d + 6, 6) : v == g ? (b - r) / d + 2 : (r - g) / d + 4;
  h = fmod(h / 6 + turn + 1, 1) * 6;
  double s = v > 0 ? d / v : 0, f = h - floor(h);
  double a = v * (1 - s), q = v * (1 - s * f), t = v * (1 - s * (1 - f));
  const double sectors[6][3] = {{v, t, a}, {q, v, a}, {a, v, t}, {a, q, v}, {t, a, v}, {v, a, q}};
  memcpy(out, sectors[(int)h % 6], 3 * sizeof *out);
}

START_TEST(hue_turns_the_colour_circle) {
  float x[3 * N], was[3 * N];
  double wanted[3];
  static const float turns[] = {-0.5F, -0.2F, 0, 0.13F, 0.5F};
  for (int t = 0; t < 5; t++) {
    draw(x, was, 3 * N);
    mcli_hue(x, N, turns[t]);
    for (int i = 0; i < N; i++) {
      turn_hue(was + 3 * i, turns[t], wanted);
      for (int k = 0; k < 3; k++) ck_assert_double_eq_tol(x[3 * i + k], wanted[k], 2e-6);
    }
  }
}
END_TEST

START_TEST(grey_repeats_the_luma) {
  float x[3 * N], was[3 * N];
  draw(x, was, 3 * N);
  mcli_grey(x, N);
  for (int i = 0; i < 3 * N; i++) ck_assert_double_eq_tol(x[i], luma(was + i / 3 * 3), 1e-6);
}
END_TEST

static int mirrored(int i, int n) {
  return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i;
}

START_TEST(blur_is_the_mirrored_gaussian_sum) {
  enum { H = 9, W = 7, C = 2, RY = 3, RX = 2 };
  float x[H * W * C], was[H * W * C], spare[H * W * C];
  test_fill(x, H * W * C, 5, 0, 1);
  memcpy(was, x, sizeof x);
  const double sigma = 1.3;
  mcli_blur(x, H, W, C, sigma, RY, RX, spare);
  for (int i = 0; i < H * W * C; i++) {
    double sum = 0, total = 0;
    for (int dy = -RY; dy <= RY; dy++)
      for (int dx = -RX; dx <= RX; dx++) {
        double w = exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
        int r = mirrored(i / C / W + dy, H), q = mirrored(i / C % W + dx, W);
        sum += w * was[(r * W + q) * C + i % C];
        total += w;
      }
    ck_assert_double_eq_tol(x[i], sum / total, 1e-6);
  }
}
END_TEST

START_TEST(noise_is_normal) {
  enum { MANY = 400001 };
  static float x[MANY];
  mcli_rng r = mcli_rng_make(1, MCLI_RNG_AUGMENT, 2, 3);
  for (int i = 0; i < MANY; i++) x[i] = 10;
  mcli_noise(x, MANY, 2, &r);
  double m[5] = {0}, lag = 0;
  for (int i = 0; i < MANY; i++) {
    double z = (x[i] - 10) / 2;
    for (int k = 1; k < 5; k++) m[k] += pow(z, k) / MANY;
    if (i) lag += z * (x[i - 1] - 10) / 2 / MANY;
  }
  // Five standard errors: 1, sqrt 2, sqrt 15 and sqrt 96 over sqrt n.
  const double e = 5 / sqrt(MANY);
  ck_assert_double_eq_tol(m[1], 0, e);
  ck_assert_double_eq_tol(m[2], 1, 1.5 * e);
  ck_assert_double_eq_tol(m[3], 0, 3.9 * e);
  ck_assert_double_eq_tol(m[4], 3, 9.8 * e);
  ck_assert_double_eq_tol(lag, 0, e);
}
END_TEST

START_TEST(noise_is_box_and_mullers_of_its_stream) {
  enum { PAIRS = 16, MANY = 2 * PAIRS * 500 };
  static float x[MANY];
  uint32_t k[2 * PAIRS];
  mcli_rng r = mcli_rng_make(5, MCLI_RNG_AUGMENT, 2, 3), s = r;
  mcli_noise(x, MANY, 1, &r);
  for (int b = 0; b < MANY; b += 2 * PAIRS) {
    mcli_rng_fill(&s, k, 2 * PAIRS);
    for (int i = 0; i < PAIRS; i++) {
      uint32_t u = k[i], v = k[PAIRS + i];
      double radius = sqrt(-2 * log(((u >> 8) + 1) / 16777216.)); // (7)
      double angle = ((v >> 8) / 16777216. - .5) * acos(0);       // (8)
      double large = radius * cos(angle) * (u & 1 ? -1 : 1), small = radius * sin(angle);
      ck_assert_double_eq_tol(x[b + i], v & 1 ? small : large, 1e-6); // (9)
      ck_assert_double_eq_tol(x[b + PAIRS + i], v & 1 ? large : small, 1e-6);
    }
  }
}
END_TEST

START_TEST(not_a_number_stays_and_harms_nobody) {
  float x[6] = {NAN, 0.5F, 0.2F, 0.1F, 0.9F, 0.4F}, y[3] = {0.1F, 0.9F, 0.4F};
  mcli_hue(x, 2, 0.3F);
  mcli_hue(y, 1, 0.3F);
  ck_assert_mem_eq(x + 3, y, sizeof y);
  float z[3] = {NAN, 2, -1};
  mcli_brightness(z, 3, 1, 1, 1);
  ck_assert(isnan(z[0]) && z[1] == 1 && z[2] == 0);
}
END_TEST

RUN_TESTS("image", brightness_multiplies_and_clamps, contrast_blends_with_the_mean_luma,
          saturation_blends_with_each_pixels_luma, hue_turns_the_colour_circle,
          grey_repeats_the_luma, blur_is_the_mirrored_gaussian_sum, noise_is_normal,
          noise_is_box_and_mullers_of_its_stream, not_a_number_stays_and_harms_nobody)
