// A run that is saved every two steps, in processes that are killed at random. MCL_KILLS and MCL_KILLS_SEED make it longer:
// scripts/kills.sh.
#include "support/suite.h"

#include <stdio.h>
#include <stdlib.h>

#include "faults/run_kills.h"

static int64_t number(const char *name, int64_t otherwise) {
  const char *text = getenv(name);
  return text ? atoll(text) : otherwise;
}

START_TEST(a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been) {
  run_kills k;
  int64_t kills = number("MCL_KILLS", 60);
  run_kills_go(&k, test_directory("run_kills"), kills, (uint64_t)number("MCL_KILLS_SEED", 1));
  printf("%8s %9s %8s %6s %6s %6s %6s\n", "kills", "in a save", "resumed", "torn", "lost", "runs",
         "equal");
  printf("%8lld %9lld %8lld %6lld %6lld %6lld %6lld\n", (long long)k.kills, (long long)k.mid_save,
         (long long)k.resumed, (long long)k.torn, (long long)k.lost, (long long)k.runs,
         (long long)k.equal);
  fflush(stdout);
  ck_assert_int_eq(k.torn, 0);
  ck_assert_int_eq(k.lost, 0);
  ck_assert_int_eq(k.equal, k.runs);
  ck_assert_int_ge(k.kills, kills);
  ck_assert_int_ge(k.resumed, kills / 3);
  ck_assert_int_ge(k.mid_save, kills / 20);
  ck_assert_int_ge(k.runs, 2);
}
END_TEST

RUN_TESTS("run_kills", a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been)
