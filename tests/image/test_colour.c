// Changes of colour, blur and noise against plain twins in double, in every instruction set, all of
// which give the same bits.
#include <math.h>
#include <string.h>

#include "image/kernels.h"
#include "support/suite.h"

enum { N = 503 };

// For each table that this processor can run.
#define EACH(k)                                                                                    \
  for (const mcli_colour_kernels *k = mcli_colour_kernels_for(MCLI_ISA_BASE); k; k = next(k))

static const mcli_colour_kernels *next(const mcli_colour_kernels *k) {
  mcli_isa isa = MCLI_ISA_BASE;
  while (mcli_colour_kernels_for(isa) != k) isa++;
  return isa < MCLI_ISA_AVX512 ? mcli_colour_kernels_for((mcli_isa)(isa + 1)) : NULL;
}

// Bits of the first table are kept, those of the others must be the same.
static void check_bits(const mcli_colour_kernels *k, const float *x, int n) {
  static float first[4 * N];
  if (k == mcli_colour_kernels_for(MCLI_ISA_BASE)) memcpy(first, x, (size_t)n * sizeof *x);
  ck_assert_mem_eq(x, first, (size_t)n * sizeof *x);
}

static double unit(double x) {
  return x < 0 ? 0 : x > 1 ? 1 : x;
}
static double luma(const float *p) { // of planes of N
  return .2989 * p[0] + .587 * p[N] + .114 * p[2 * N];
}

static void draw(float *x, float *copy, int n) {
  test_fill(x, n, 7, 0, 1);
  for (int i = 0; i < n; i++) // greys, black and white among them
    if (i % N < 30) x[i] = (float)(i % N % 3) / 2;
  memcpy(copy, x, (size_t)n * sizeof *x);
}

START_TEST(brightness_multiplies_and_clamps) {
  float x[3 * N], was[3 * N];
  EACH(k) {
    draw(x, was, 3 * N);
    k->brightness(x, 3 * N, 1.4F, 1);
    for (int i = 0; i < 3 * N; i++) ck_assert_double_eq_tol(x[i], unit(1.4 * was[i]), 1e-6);
    check_bits(k, x, 3 * N);
    memcpy(x, was, sizeof x);
    k->brightness(x, 3 * N, 1.4F, 0);
    for (int i = 0; i < 3 * N; i++) ck_assert_double_eq_tol(x[i], 1.4 * was[i], 1e-6);
  }
}
END_TEST

START_TEST(contrast_blends_with_the_mean_luma) {
  float x[3 * N], was[3 * N];
  static const float factors[] = {0, 0.3F, 1.8F};
  for (int f = 0; f < 3; f++)
    for (int c = 1; c <= 3; c++) EACH(k) {
        draw(x, was, 3 * N);
        double mean = 0;
        for (int i = 0; i < N; i++)
          if (c == 3)
            mean += luma(was + i) / N;
          else
            for (int j = 0; j < c; j++) mean += was[j * N + i] / (double)(N * c);
        k->contrast(x, N, c, factors[f]);
        for (int i = 0; i < c * N; i++)
          ck_assert_double_eq_tol(x[i], unit(factors[f] * was[i] + (1 - factors[f]) * mean), 1e-6);
        check_bits(k, x, c * N);
      }
}
END_TEST

START_TEST(contrast_of_few_pixels_and_of_many_takes_the_mean_of_all) {
  static float x[3000];
  for (int n = 1; n <= 3000; n += 1 + n / 5) EACH(k) {
      double mean = 0;
      test_fill(x, n, 9, 0, 1);
      for (int i = 0; i < n; i++) mean += x[i] / (double)n;
      k->contrast(x, n, 1, 0);
      for (int i = 0; i < n; i++) ck_assert_double_eq_tol(x[i], mean, 1e-6);
    }
}
END_TEST

START_TEST(saturation_blends_with_each_pixels_luma) {
  float x[3 * N], was[3 * N];
  EACH(k) {
    draw(x, was, 3 * N);
    k->saturation(x, N, 1.7F);
    for (int i = 0; i < 3 * N; i++)
      ck_assert_double_eq_tol(x[i], unit(1.7 * was[i] - .7 * luma(was + i % N)), 1e-6);
    check_bits(k, x, 3 * N);
  }
}
END_TEST

// HSV the long way, sector by sector (Smith 1978).
static void turn_hue(const float *p, double turn, double out[3]) {
  double r = p[0], g = p[N], b = p[2 * N], v = fmax(r, fmax(g, b)), d = v - fmin(r, fmin(g, b)),
         h = 0;
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
  for (int t = 0; t < 5; t++) EACH(k) {
      draw(x, was, 3 * N);
      k->hue(x, N, turns[t]);
      for (int i = 0; i < N; i++) {
        turn_hue(was + i, turns[t], wanted);
        for (int j = 0; j < 3; j++) ck_assert_double_eq_tol(x[j * N + i], wanted[j], 2e-6);
      }
      check_bits(k, x, 3 * N);
    }
}
END_TEST

START_TEST(grey_repeats_the_luma) {
  float x[3 * N], was[3 * N];
  EACH(k) {
    draw(x, was, 3 * N);
    k->grey(x, N);
    for (int i = 0; i < 3 * N; i++) ck_assert_double_eq_tol(x[i], luma(was + i % N), 1e-6);
    check_bits(k, x, 3 * N);
  }
}
END_TEST

static int mirrored(int i, int n) {
  return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i;
}

static void check_blur(const mcli_colour_kernels *k, int h, int w, int c, int ry, int rx) {
  static float x[4 * N], was[4 * N], spare[4 * N];
  int n = h * w;
  ck_assert_int_le(c * n, 4 * N);
  ck_assert_int_le((int)mcli_blur_spare(h, w), 4 * N);
  test_fill(x, c * n, 5, 0, 1);
  memcpy(was, x, sizeof x);
  const double sigma = 1.3;
  k->blur(x, h, w, c, sigma, ry, rx, spare);
  for (int i = 0; i < c * n; i++) {
    double sum = 0, total = 0;
    for (int dy = -ry; dy <= ry; dy++)
      for (int dx = -rx; dx <= rx; dx++) {
        double weight = exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
        int r = mirrored(i % n / w + dy, h), q = mirrored(i % n % w + dx, w);
        sum += weight * was[i / n * n + r * w + q];
        total += weight;
      }
    ck_assert_double_eq_tol(x[i], sum / total, 1e-6);
  }
  check_bits(k, x, c * n);
}

START_TEST(blur_is_the_mirrored_gaussian_sum) {
  EACH(k) check_blur(k, 9, 7, 2, 3, 2);
  EACH(k) check_blur(k, 5, 28, 3, 1, 1);
  EACH(k) check_blur(k, 3, 90, 2, 0, 4);
  EACH(k) check_blur(k, 4, 128, 3, 2, 0);
  EACH(k) check_blur(k, 2, 17, 1, 1, 8);
}
END_TEST

START_TEST(noise_is_normal) {
  enum { MANY = 400001 };
  static float x[MANY];
  mcli_rng r = mcli_rng_make(1, MCLI_RNG_AUGMENT, 2, 3);
  for (int i = 0; i < MANY; i++) x[i] = 10;
  mcli_colour_kernels_for(mcli_processor_isa())->noise(x, MANY, 2, &r);
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

static void check_noise(const mcli_colour_kernels *kernels) {
  enum { PAIRS = 16, MANY = 2 * PAIRS * 500 };
  static float x[MANY];
  uint32_t k[2 * PAIRS];
  mcli_rng r = mcli_rng_make(5, MCLI_RNG_AUGMENT, 2, 3), s = r;
  memset(x, 0, sizeof x);
  kernels->noise(x, MANY, 1, &r);
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
  check_bits(kernels, x, 4 * N);
}

START_TEST(noise_is_box_and_mullers_of_its_stream) {
  EACH(k) check_noise(k);
}
END_TEST

// Two pixels, of which the first has one; the second alone.
START_TEST(not_a_number_stays_and_harms_nobody) {
  EACH(k) {
    float x[6] = {NAN, 0.1F, 0.5F, 0.9F, 0.2F, 0.4F}, y[3] = {0.1F, 0.9F, 0.4F};
    k->hue(x, 2, 0.3F);
    k->hue(y, 1, 0.3F);
    for (int j = 0; j < 3; j++) ck_assert(x[2 * j + 1] == y[j]);
    float z[3] = {NAN, 2, -1};
    k->brightness(z, 3, 1, 1);
    ck_assert(isnan(z[0]) && z[1] == 1 && z[2] == 0);
  }
}
END_TEST

RUN_TESTS("image", brightness_multiplies_and_clamps, contrast_blends_with_the_mean_luma,
          contrast_of_few_pixels_and_of_many_takes_the_mean_of_all,
          saturation_blends_with_each_pixels_luma, hue_turns_the_colour_circle,
          grey_repeats_the_luma, blur_is_the_mirrored_gaussian_sum, noise_is_normal,
          noise_is_box_and_mullers_of_its_stream, not_a_number_stays_and_harms_nobody)
