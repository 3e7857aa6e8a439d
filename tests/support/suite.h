// What every test program shares: one line to run its tests, checks that print libmcl's own message, contexts,
// scratch directories, and an allocator that counts and can fail.
#ifndef MCL_TESTS_SUITE_H
#define MCL_TESTS_SUITE_H

#include <check.h>
#include <pthread.h>
#include <stdint.h>

#include <libmcl/context.h>
#include <libmcl/status.h>

// At the end of a test file: RUN_TESTS("clusterer", a_test, another_test)
#define RUN_TESTS(suite, ...)                                                                      \
  int main(void) {                                                                                 \
    const TTest *const tests[] = {__VA_ARGS__};                                                    \
    return test_run(suite, NULL, NULL, tests, sizeof tests / sizeof *tests);                       \
  }
// The same with what is done before each test and after it, static void begin(void) and end(void).
#define RUN_TESTS_BETWEEN(suite, begin, end, ...)                                                  \
  int main(void) {                                                                                 \
    const TTest *const tests[] = {__VA_ARGS__};                                                    \
    return test_run(suite, begin, end, tests, sizeof tests / sizeof *tests);                       \
  }
int test_run(const char *suite, SFun begin, SFun end, const TTest *const *tests, size_t n);
// The same of a case with loops of its own: what main returns, 1 where a test failed or none was run.
int test_run_case(const char *suite, TCase *c);

// CHECK_OK(mcl_x(..., &err)): fails with libmcl's message, and where a public function succeeds but has not written
// the error. An mcl_error named err must be in scope.
#define CHECK_OK(call)                                                                             \
  do {                                                                                             \
    int check_writes = test_writes_error(#call);                                                   \
    if (check_writes) err.status = MCL_E_INTERNAL;                                                 \
    mcl_status check_status = (call);                                                              \
    ck_assert_msg(check_status == MCL_OK, "%s: %s: %s", #call, mcl_status_name(check_status),      \
                  err.message);                                                                    \
    ck_assert_msg(!check_writes || err.status == MCL_OK, "%s does not write the error", #call);    \
  } while (0)
int test_writes_error(const char *call); // "mcl_x(..., &err)"
// CHECK_FAILS(MCL_E_SHAPE, "labels", mcl_x(..., &err)): the status, and a word that the message must have.
#define CHECK_FAILS(wanted, word, call)                                                            \
  do {                                                                                             \
    mcl_status check_status = (call);                                                              \
    ck_assert_msg(check_status == (wanted), "%s: %s, not " #wanted ": %s", #call,                  \
                  mcl_status_name(check_status), err.message);                                     \
    ck_assert_int_eq(err.status, (wanted));                                                        \
    ck_assert_msg(strstr(err.message, word) != NULL, "the message does not say '%s': %s", word,    \
                  err.message);                                                                    \
  } while (0)

mcl_context *test_context(uint32_t threads); // never NULL
// An empty directory of this test's own, "…/scratch/NAME"; static storage.
const char *test_directory(const char *name);
// A path inside tests/: test_path("golden/x.npy"); static storage, overwritten by the next call.
const char *test_path(const char *relative);

// Whether this build can read and write "png", read "jpeg": by mcl_build_info().
int test_has(const char *format);

// Counts what it has given, in pieces and bytes, and the most bytes at once (`peak`, which who asks sets back); fails the
// n-th request from now (fail_at = n, 0: never), and all later ones if `for_ever`, or the fail_then-th after it; and, where
// `most` is not 0, each of more bytes, which it counts.
typedef struct test_allocator {
  mcl_allocator table;
  int64_t live, requests, fail_at, fail_then, bytes, peak, most, too_large;
  int for_ever;
  pthread_mutex_t lock;
} test_allocator;
void test_allocator_init(test_allocator *a);
mcl_context *test_context_with(test_allocator *a, uint32_t threads);

// Meson has malloc fill what it gives, so that who reads what was never written is noticed. Not from here on: of an engine's
// room for a whole exchange, 16 MiB a rank, most calls use some bytes, and filling it took a hundred times as long.
void test_unfilled_memory(void);

// Pseudo-random floats, the same for the same seed: uniform in [low, high), and normal.
void test_fill(float *x, int64_t n, uint64_t seed, float low, float high);
void test_fill_normal(float *x, int64_t n, uint64_t seed);

// The larger of two distances; NaN is larger than any.
double test_worse(double a, double b);

#endif
