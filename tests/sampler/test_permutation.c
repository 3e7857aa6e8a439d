#include "sampler/permutation.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "sampler/plan.h"
#include "support/suite.h"

static void draw_key(mcli_rng *r, uint32_t key[4]) {
  for (int i = 0; i < 4; i++) key[i] = mcli_rng_u32(r);
}

static mcli_permutation draw(mcli_rng *r, uint64_t n) {
  uint32_t key[4];
  draw_key(r, key);
  return mcli_permutation_make(n, key);
}

static void check_bijection(const mcli_permutation *p) {
  char *seen = calloc(p->n, 1);
  uint64_t found = 0;
  for (uint64_t i = 0; i < p->n; i++) {
    uint64_t x = mcli_permutation_at(p, i);
    if (x >= p->n || seen[x]) break;
    seen[x] = 1;
    found++;
  }
  ck_assert_uint_eq(found, p->n); // all of them, once
  free(seen);
}

START_TEST(every_size_from_1_to_300_is_permuted) {
  mcli_rng r = mcli_rng_make(1, MCLI_RNG_DATA, 0, 0);
  for (uint64_t n = 1; n <= 300; n++)
    for (int k = 0; k < 3; k++) {
      mcli_permutation p = draw(&r, n);
      check_bijection(&p);
    }
}
END_TEST

START_TEST(large_odd_sizes_are_permuted) {
  static const uint64_t sizes[] = {511,   512,   513,    1023,   4097,    65535,
                                   65536, 65537, 100003, 999983, 1048577, 3000017};
  mcli_rng r = mcli_rng_make(2, MCLI_RNG_DATA, 0, 0);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    mcli_permutation p = draw(&r, sizes[i]);
    check_bijection(&p);
  }
}
END_TEST

// Too many numbers to mark: no two of a sample meet, none is out of range, and their upper halves
// are even.
START_TEST(sizes_beyond_32_bits_are_permuted) {
  static const uint64_t sizes[] = {UINT64_C(1) << 32,       (UINT64_C(1) << 33) + 1,
                                   UINT64_C(1000000000039), (UINT64_C(1) << 62) - 1,
                                   UINT64_C(1) << 62,       (UINT64_C(1) << 61) + 12345};
  mcli_rng r = mcli_rng_make(3, MCLI_RNG_DATA, 0, 0);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    enum { SAMPLE = 4000 };
    static uint64_t x[SAMPLE];
    mcli_permutation p = draw(&r, sizes[s]);
    int upper = 0, wrong = 0;
    for (uint64_t i = 0; i < SAMPLE; i++) {
      x[i] = mcli_permutation_at(&p, i % 2 ? i : sizes[s] - 1 - i);
      wrong += x[i] >= sizes[s];
      for (uint64_t j = 0; j < i; j++) wrong += x[i] == x[j];
      upper += x[i] >= sizes[s] / 2;
    }
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(upper, SAMPLE / 2 - 160); // five standard deviations of 32
    ck_assert_int_lt(upper, SAMPLE / 2 + 160);
  }
}
END_TEST

START_TEST(a_run_is_the_single_places_on_every_instruction_set) {
  static const uint64_t sizes[] = {1, 2, 3, 17, 127, 128, 1000, 65537, 1048577, UINT64_C(1) << 35};
  enum { MOST = 400 };
  static int64_t out[MOST + 1];
  mcl_context *c = test_context(1);
  mcli_rng r = mcli_rng_make(4, MCLI_RNG_DATA, 0, 0);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (mcli_isa isa = MCLI_ISA_BASE; isa <= mcli_context_isa(c); isa++)
      for (int k = 0; k < 40; k++) {
        mcli_permutation p = draw(&r, sizes[s]);
        int64_t most = sizes[s] < MOST ? (int64_t)sizes[s] : MOST;
        int64_t n = (int64_t)mcli_rng_below(&r, (uint64_t)most + 1);
        uint64_t first = mcli_rng_below(&r, sizes[s] - (uint64_t)n + 1);
        out[n] = -7;
        mcli_permutation_run(&p, isa, first, n, out);
        for (int64_t i = 0; i < n; i++)
          ck_assert_int_eq(out[i], (int64_t)mcli_permutation_at(&p, first + (uint64_t)i));
        ck_assert_int_eq(out[n], -7);
      }
  mcl_context_unref(c);
}
END_TEST

// Chi-square over `cells` equally likely outcomes: (x - df) / sqrt(2 df) is about normal.
static double surplus(const int64_t *counts, int64_t cells, double expected) {
  double x = 0, df = (double)cells - 1;
  for (int64_t i = 0; i < cells; i++) {
    double d = (double)counts[i] - expected;
    x += d * d / expected;
  }
  return (x - df) * (x - df) / (2 * df) * (x > df ? 1 : -1);
}

// Where two places go, over many keys: each ordered pair of different values equally often.
// Twenty-five is five standard deviations, squared.
START_TEST(pairs_of_places_go_anywhere) {
  static const int64_t sizes[] = {2,  3,  4,  5,  6,  7,  8,   9,   12,
                                  16, 17, 31, 32, 33, 64, 100, 128, 200};
  mcli_rng r = mcli_rng_make(5, MCLI_RNG_DATA, 0, 0);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    int64_t n = sizes[s], pairs = n * (n - 1), draws = pairs * 20 < 100000 ? 100000 : pairs * 5;
    int64_t *counts = malloc((size_t)pairs * sizeof *counts);
    for (int64_t gap = 1; gap < n && gap < 4; gap++) {
      memset(counts, 0, (size_t)pairs * sizeof *counts);
      for (int64_t k = 0; k < draws; k++) {
        mcli_permutation p = draw(&r, (uint64_t)n);
        int64_t a = (int64_t)mcli_permutation_at(&p, 0);
        int64_t b = (int64_t)mcli_permutation_at(&p, (uint64_t)gap);
        counts[a * (n - 1) + b - (b > a)]++;
      }
      double z2 = surplus(counts, pairs, (double)draws / (double)pairs);
      ck_assert_msg(z2 < 25, "size %d, gap %d: %f", (int)n, (int)gap, z2);
    }
    free(counts);
  }
}
END_TEST

// All six orders of three, all 120 of five: not only pairs.
START_TEST(whole_orders_are_equally_likely) {
  mcli_rng r = mcli_rng_make(6, MCLI_RNG_DATA, 0, 0);
  for (int64_t n = 3; n <= 5; n++) {
    int64_t counts[3125] = {0}, found[3125], orders = 0, draws = 60000;
    for (int64_t k = 0; k < draws; k++) {
      mcli_permutation p = draw(&r, (uint64_t)n);
      int64_t code = 0;
      for (uint64_t i = 0; i < (uint64_t)n; i++)
        code = code * n + (int64_t)mcli_permutation_at(&p, i);
      counts[code]++;
    }
    for (int64_t i = 0; i < 3125; i++)
      if (counts[i]) found[orders++] = counts[i];
    ck_assert_int_eq(orders, n == 3 ? 6 : n == 4 ? 24 : 120);
    ck_assert(surplus(found, orders, (double)draws / (double)orders) < 25);
  }
}
END_TEST

// Pieces of a large cell: where its rows fall, how many of a piece are neighbours.
START_TEST(a_piece_of_a_large_cell_is_spread_evenly) {
  enum { N = 100000, BLOCKS = 100 };
  mcli_rng r = mcli_rng_make(7, MCLI_RNG_DATA, 0, 0);
  int64_t counts[BLOCKS] = {0}, neighbours = 0;
  static int64_t out[256];
  for (int k = 0; k < 400; k++) {
    mcli_permutation p = draw(&r, N);
    mcli_permutation_run(&p, MCLI_ISA_BASE, 256 * (uint64_t)(k % 390), 256, out);
    for (int i = 0; i < 256; i++) {
      counts[out[i] / (N / BLOCKS)]++;
      for (int j = 0; j < 256; j++) neighbours += out[j] == out[i] + 1;
    }
  }
  ck_assert(surplus(counts, BLOCKS, 400 * 256. / BLOCKS) < 25);
  ck_assert_int_gt(neighbours, 261 - 5 * 16); // 400 * 256 * 255 / N = 261, Poisson
  ck_assert_int_lt(neighbours, 261 + 5 * 16);
}
END_TEST

START_TEST(seed_epoch_purpose_cell_and_pass_change_it) {
  enum { N = 1000 };
  mcli_permutation p[6] = {
      mcli_plan_permutation(11, MCLI_DRAW_CELL, 5, 0, N),
      mcli_plan_permutation(12, MCLI_DRAW_CELL, 5, 0, N),
      mcli_plan_permutation(11, MCLI_DRAW_STEPS, 5, 0, N),
      mcli_plan_permutation(11, MCLI_DRAW_CELL, 6, 0, N),
      mcli_plan_permutation(11, MCLI_DRAW_CELL, 5 + (INT64_C(1) << 32), 0, N),
      mcli_plan_permutation(11, MCLI_DRAW_CELL, 5, 1, N),
  };
  for (int a = 0; a < 6; a++)
    for (int b = 0; b < a; b++) {
      int same = 0; // about one place in a permutation is the same by chance
      for (uint64_t i = 0; i < N; i++)
        same += mcli_permutation_at(&p[a], i) == mcli_permutation_at(&p[b], i);
      ck_assert_int_lt(same, 9);
    }
}
END_TEST

START_TEST(each_bit_of_the_key_changes_it) {
  uint32_t key[4] = {1, 2, 3, 4};
  for (uint64_t n = 200; n <= 2000; n += 1800) {
    mcli_permutation plain = mcli_permutation_make(n, key);
    for (int bit = 0; bit < 128; bit++) {
      uint32_t other[4];
      memcpy(other, key, sizeof key);
      other[bit / 32] ^= 1u << bit % 32;
      mcli_permutation p = mcli_permutation_make(n, other);
      uint64_t same = 0;
      for (uint64_t i = 0; i < n; i++)
        same += mcli_permutation_at(&p, i) == mcli_permutation_at(&plain, i);
      ck_assert_msg(same < n / 2, "bit %d of the key leaves %d places", bit, (int)same);
    }
  }
}
END_TEST

RUN_TESTS("permutation", every_size_from_1_to_300_is_permuted, large_odd_sizes_are_permuted,
          sizes_beyond_32_bits_are_permuted, a_run_is_the_single_places_on_every_instruction_set,
          pairs_of_places_go_anywhere, whole_orders_are_equally_likely,
          a_piece_of_a_large_cell_is_spread_evenly, seed_epoch_purpose_cell_and_pass_change_it,
          each_bit_of_the_key_changes_it)
