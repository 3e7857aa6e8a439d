#include "support/suite.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmcl/version.h>

#include "base/rng.h"

int test_run_case(const char *suite, TCase *c) {
  Suite *s = suite_create(suite);
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r), run = srunner_ntests_run(r);
  srunner_free(r);
  return failed != 0 || run == 0;
}

int test_run(const char *suite, SFun begin, SFun end, const TTest *const *tests, size_t n) {
  TCase *c = tcase_create(suite);
  tcase_add_checked_fixture(c, begin, end);
  for (size_t i = 0; i < n; i++) tcase_add_test(c, tests[i]);
  return test_run_case(suite, c);
}

int test_writes_error(const char *call) {
  return strncmp(call, "mcl_", 4) == 0 && strstr(call, "&err)") != NULL;
}

mcl_context *test_context(uint32_t threads) {
  return test_context_with(NULL, threads);
}

mcl_context *test_context_with(test_allocator *a, uint32_t threads) {
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.threads = threads;
  if (a) o.allocator = &a->table;
  mcl_context *c = NULL;
  mcl_error err;
  CHECK_OK(mcl_context_create(&o, &c, &err));
  return c;
}

const char *test_directory(const char *name) {
  static char path[4096];
  char command[8300];
  const char *scratch = getenv("MCL_SCRATCH");
  snprintf(path, sizeof path, "%s/%s-%d", scratch ? scratch : "/tmp/mcl-scratch", name,
           (int)getpid());
  snprintf(command, sizeof command, "rm -rf '%s' && mkdir -p '%s'", path, path);
  ck_assert_int_eq(system(command), 0);
  return path;
}

const char *test_path(const char *relative) {
  static char path[4096];
  const char *tests = getenv("MCL_TESTS");
  snprintf(path, sizeof path, "%s/%s", tests ? tests : "tests", relative);
  return path;
}

int test_has(const char *format) {
  char none[32];
  snprintf(none, sizeof none, "%s=none", format);
  return strstr(mcl_build_info(), none) == NULL;
}

static void *counting_alloc(void *user, size_t size, size_t alignment) {
  test_allocator *a = user;
  pthread_mutex_lock(&a->lock);
  a->requests++;
  int fail = a->fail_at > 0 && --a->fail_at == 0;
  if (fail) {
    a->fail_at = a->for_ever ? 1 : a->fail_then;
    a->fail_then = 0;
  }
  if (a->most && size > (uint64_t)a->most) fail = 1, a->too_large++;
  if (!fail) a->live++, a->bytes += (int64_t)size;
  if (a->bytes > a->peak) a->peak = a->bytes;
  pthread_mutex_unlock(&a->lock);
  void *p = NULL;
  if (fail || posix_memalign(&p, alignment, size)) return NULL;
  return p;
}

static void counting_free(void *user, void *ptr, size_t size, size_t alignment) {
  test_allocator *a = user;
  (void)alignment;
  pthread_mutex_lock(&a->lock);
  a->live--;
  a->bytes -= (int64_t)size;
  pthread_mutex_unlock(&a->lock);
  free(ptr);
}

void test_allocator_init(test_allocator *a) {
  memset(a, 0, sizeof *a);
  mcl_struct_init(&a->table, sizeof a->table);
  a->table.user = a;
  a->table.alloc = counting_alloc;
  a->table.free = counting_free;
  pthread_mutex_init(&a->lock, NULL);
}

void test_unfilled_memory(void) {
#ifdef M_PERTURB
  mallopt(M_PERTURB, 0);
#endif
}

void test_fill(float *x, int64_t n, uint64_t seed, float low, float high) {
  mcli_rng r = mcli_rng_make(seed, MCLI_RNG_DATA, 0, 0);
  for (int64_t i = 0; i < n; i++) x[i] = (float)mcli_rng_between(&r, low, high);
}

double test_worse(double a, double b) {
  return a >= b || isnan(a) ? a : b;
}

void test_fill_normal(float *x, int64_t n, uint64_t seed) {
  mcli_rng r = mcli_rng_make(seed, MCLI_RNG_DATA, 1, 0);
  for (int64_t i = 0; i < n; i++) x[i] = (float)mcli_rng_normal(&r);
}
