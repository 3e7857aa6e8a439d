#include "support/suite.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

// Known answers of Philox4x32-10 from the generator's reference distribution (Random123, kat_vectors).
START_TEST(philox_gives_the_published_words) {
  static const struct {
    uint32_t counter[4], key[2], out[4];
  } known[] = {{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
               {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
               {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                {0xa4093822, 0x299f31d0},
                {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (int i = 0; i < 3; i++) {
    uint32_t out[4];
    mcli_philox(known[i].counter, known[i].key, out);
    ck_assert_mem_eq(out, known[i].out, sizeof out);
  }
}
END_TEST

START_TEST(streams_differ_in_every_part_of_their_name) {
  mcli_rng base = mcli_rng_make(1, 2, 3, 4);
  uint64_t first = mcli_rng_u64(&base);
  mcli_rng others[] = {mcli_rng_make(2, 2, 3, 4), mcli_rng_make(1, 3, 3, 4),
                       mcli_rng_make(1, 2, 4, 4), mcli_rng_make(1, 2, 3, 5),
                       mcli_rng_make(1, 2, 4, 3)};
  for (int i = 0; i < 5; i++) ck_assert(mcli_rng_u64(&others[i]) != first);
  mcli_rng again = mcli_rng_make(1, 2, 3, 4);
  ck_assert(mcli_rng_u64(&again) == first);
}
END_TEST

START_TEST(normals_have_their_moments) {
  mcli_rng r = mcli_rng_make(7, MCLI_RNG_DATA, 0, 0);
  enum { N = 200000 };
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < N; i++) {
    double x = mcli_rng_normal(&r);
    sum += x, squares += x * x, fourth += x * x * x * x;
  }
  ck_assert(fabs(sum / N) < 5 / sqrt(N)); // five standard errors
  ck_assert(fabs(squares / N - 1) < 5 * sqrt(2.0 / N));
  ck_assert(fabs(fourth / N - 3) < 5 * sqrt(96.0 / N));
}
END_TEST

START_TEST(below_is_unbiased_and_in_range) {
  mcli_rng r = mcli_rng_make(7, MCLI_RNG_DATA, 1, 0);
  enum { K = 7, N = 70000 };
  double chi = 0;
  int counts[K] = {0};
  for (int i = 0; i < N; i++) {
    uint64_t x = mcli_rng_below(&r, K);
    ck_assert_uint_lt(x, K);
    counts[x]++;
  }
  for (int i = 0; i < K; i++) chi += (counts[i] - N / K) * (double)(counts[i] - N / K) / (N / K);
  ck_assert(chi < 30); // 6 degrees of freedom: p < 1e-4
  ck_assert_uint_eq(mcli_rng_below(&r, 1), 0);
}
END_TEST

START_TEST(a_hash_depends_on_every_byte_and_the_length) {
  unsigned char bytes[40] = {0};
  uint64_t h[42];
  h[40] = mcli_hash(bytes, 40, 0);
  h[41] = mcli_hash(bytes, 39, 0);
  for (int i = 0; i < 40; i++) {
    bytes[i] = 1;
    h[i] = mcli_hash(bytes, 40, 0);
    bytes[i] = 0;
  }
  for (int i = 0; i < 42; i++)
    for (int j = 0; j < i; j++) ck_assert(h[i] != h[j]);
}
END_TEST

START_TEST(filling_gives_the_words_one_by_one) {
  for (int before = 0; before < 6; before++)
    for (int64_t n = 0; n < 90; n++) {
      uint32_t filled[90];
      mcli_rng a = mcli_rng_make(1, 2, 3, 4), b = a;
      for (int i = 0; i < before; i++) ck_assert_uint_eq(mcli_rng_u32(&a), mcli_rng_u32(&b));
      mcli_rng_fill(&a, filled, n);
      for (int64_t i = 0; i < n; i++) ck_assert_uint_eq(filled[i], mcli_rng_u32(&b));
      ck_assert_uint_eq(mcli_rng_u32(&a), mcli_rng_u32(&b));
    }
}
END_TEST

RUN_TESTS("base", filling_gives_the_words_one_by_one, philox_gives_the_published_words,
          streams_differ_in_every_part_of_their_name, normals_have_their_moments,
          below_is_unbiased_and_in_range, a_hash_depends_on_every_byte_and_the_length)
