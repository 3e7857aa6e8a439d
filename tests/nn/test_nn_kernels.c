// Every kernel of every instruction set against a plain loop, bit for bit.
#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/kernels.h"

enum { MAX = 1 << 12 };
static float x[MAX], y[MAX], z[MAX], a[MAX], b[MAX], c[MAX], d[MAX], e[MAX], wanted[MAX];
static double sums[MAX], products[MAX], wanted_sums[MAX], wanted_products[MAX];

static void fill(void) {
  test_fill_normal(x, MAX, 1);
  test_fill_normal(y, MAX, 2);
  test_fill_normal(a, MAX, 3);
  test_fill(b, MAX, 4, .5F, 2);
  test_fill_normal(c, MAX, 5);
  test_fill_normal(d, MAX, 6);
  test_fill_normal(e, MAX, 7);
  test_fill_normal(z, MAX, 8);
  y[3] = NAN, y[5] = -0.0F, y[6] = 0;
  for (int i = 0; i < MAX; i++) sums[i] = wanted_sums[i] = i, products[i] = wanted_products[i] = -i;
}

static const int64_t shapes[][2] = {{1, 1}, {3, 5}, {2, 16}, {5, 17}, {7, 64}, {4, 129}, {0, 4}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void check_bits(const float *got, int64_t n) {
  ck_assert_mem_eq(got, wanted, (size_t)n * 4);
}

static void check_elementwise(const mcli_nn_kernels *k, int64_t rows, int64_t cols) {
  int64_t n = rows * cols;
  fill();
  for (int64_t i = 0; i < n; i++) wanted[i] = z[i] + x[i];
  k->add(x, z, n);
  check_bits(z, n);
  for (int relu = 0; relu < 2; relu++)
    for (int biased = 0; biased < 2; biased++) {
      fill();
      for (int64_t i = 0; i < n; i++) {
        wanted[i] = biased ? y[i] + a[i % cols] : y[i];
        if (relu && wanted[i] < 0) wanted[i] = 0;
      }
      k->add_bias(y, biased ? a : NULL, rows, cols, relu);
      check_bits(y, n);
    }
  fill();
  for (int64_t i = 0; i < n; i++) wanted[i] = y[i] < 0 ? 0 : y[i];
  k->relu(y, z, n);
  check_bits(z, n);
  fill();
  for (int64_t i = 0; i < n; i++) wanted[i] = y[i] > 0 ? z[i] : 0;
  k->relu_backward(y, z, n);
  check_bits(z, n);
}

static void check_normalise(const mcli_nn_kernels *k, int64_t rows, int64_t cols) {
  int64_t n = rows * cols;
  for (int relu = 0; relu < 2; relu++) {
    fill();
    for (int64_t i = 0; i < n; i++) {
      wanted[i] = (x[i] - a[i % cols]) * b[i % cols] + c[i % cols];
      if (relu && wanted[i] < 0) wanted[i] = 0;
    }
    k->normalise(x, rows, cols, a, b, c, relu, z);
    check_bits(z, n);
  }
  fill();
  for (int64_t i = 0; i < n; i++) {
    int64_t j = i % cols;
    wanted[i] = c[j] * (z[i] - d[j] - (x[i] - a[j]) * b[j] * e[j]);
  }
  k->normalise_backward(z, x, rows, cols, a, b, c, d, e, z); // in place
  check_bits(z, n);
}

static void check_sums(const mcli_nn_kernels *k, int64_t rows, int64_t cols) {
  fill();
  int64_t width = cols > 1 ? cols - 1 : cols; // rows may lie further apart than they are wide
  for (int64_t i = 0; i < rows * cols; i++)
    if (i % cols < width) wanted_sums[i % cols] += (double)x[i];
  k->sums(x, rows, width, cols, sums);
  ck_assert_mem_eq(sums, wanted_sums, sizeof sums);
  for (int64_t i = 0; i < rows * cols; i++) {
    wanted_sums[i % cols] += (double)x[i];
    wanted_products[i % cols] += (double)x[i] * (double)x[i];
  }
  k->moments(x, rows, cols, sums, products);
  ck_assert_mem_eq(sums, wanted_sums, sizeof sums);
  ck_assert_mem_eq(products, wanted_products, sizeof products);
  for (int64_t i = 0; i < rows * cols; i++) {
    int64_t j = i % cols;
    wanted_sums[j] += (double)z[i];
    wanted_products[j] += (double)z[i] * (double)((x[i] - a[j]) * b[j]);
  }
  k->normalise_sums(z, x, rows, cols, a, b, sums, products);
  ck_assert_mem_eq(sums, wanted_sums, sizeof sums);
  ck_assert_mem_eq(products, wanted_products, sizeof products);
}

START_TEST(every_pass_gives_the_plain_loops_bits) {
  for (mcli_isa isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
    const mcli_nn_kernels *k = mcli_nn_kernels_for(isa);
    if (!k) continue;
    for (int i = 0; i < SHAPES; i++) {
      check_elementwise(k, shapes[i][0], shapes[i][1]);
      check_normalise(k, shapes[i][0], shapes[i][1]);
      check_sums(k, shapes[i][0], shapes[i][1]);
    }
  }
}
END_TEST

// One step of each optimiser gives the same weights and moments in every instruction set.
START_TEST(optimiser_steps_give_the_same_bits_everywhere) {
  const mcli_adam adam = {.9F, .999F, 1e-3F, 30, 1e-8F, 1e-2F, .99F};
  const mcli_sgd sgd = {.9F, 1e-2F, 1e-2F, .99F};
  static float first[4][MAX];
  for (mcli_isa isa = MCLI_ISA_BASE; isa <= MCLI_ISA_AVX512; isa++) {
    const mcli_nn_kernels *k = mcli_nn_kernels_for(isa);
    if (!k) continue;
    fill();
    k->adam(&adam, x, a, c, b, 77);
    k->sgd(&sgd, z, a, d, 77);
    const float *now[4] = {x, c, z, d};
    for (int i = 0; i < 4; i++) {
      if (isa == MCLI_ISA_BASE) memcpy(first[i], now[i], sizeof first[i]);
      ck_assert_mem_eq(first[i], now[i], sizeof first[i]);
    }
  }
}
END_TEST

RUN_TESTS("nn", every_pass_gives_the_plain_loops_bits,
          optimiser_steps_give_the_same_bits_everywhere)
