#include "support/suite.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libmcl/version.h>

#include "base/context.h"
#include "base/rng.h"
#include "base/thread.h"

static void add_task(void *job, uint32_t task, uint32_t worker) {
  (void)worker;
  atomic_fetch_add((atomic_uint *)job, task + 1);
}

START_TEST(every_task_runs_once_for_any_number_of_threads) {
  for (uint32_t threads = 1; threads <= 5; threads++) {
    mcl_context *c = test_context(threads);
    for (int round = 0; round < 200; round++) {
      atomic_uint sum = 0;
      ck_assert_int_eq(mcli_parallel(c, 37, add_task, &sum, NULL), MCL_OK);
      ck_assert_uint_eq(sum, 37 * 38 / 2);
    }
    mcl_context_unref(c);
  }
}
END_TEST

static mcl_context *nested_context;
static void nested_task(void *job, uint32_t task, uint32_t worker) {
  (void)task, (void)worker;
  mcli_parallel(nested_context, 4, add_task, job, NULL);
}

START_TEST(a_task_may_run_tasks_of_its_own) {
  nested_context = test_context(3);
  atomic_uint sum = 0;
  mcli_parallel(nested_context, 5, nested_task, &sum, NULL);
  ck_assert_uint_eq(sum, 50);
  mcl_context_unref(nested_context);
}
END_TEST

START_TEST(a_forked_child_runs_alone_and_nothing_hangs) {
  mcl_context *c = test_context(3);
  pid_t child = fork();
  if (child == 0) {
    atomic_uint sum = 0;
    mcli_parallel(c, 37, add_task, &sum, NULL);
    mcl_context_unref(c);
    _exit(sum == 37 * 38 / 2 ? 0 : 1);
  }
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  mcl_context_unref(c);
}
END_TEST

static uint32_t two(void *user) {
  (void)user;
  return 2;
}
static int32_t backwards(void *user, void *job, mcl_task_fn fn, uint32_t tasks) {
  for (uint32_t t = tasks; t-- > 0;) fn(job, t, t % 2);
  return *(int32_t *)user;
}
static int32_t loses_one(void *user, void *job, mcl_task_fn fn, uint32_t tasks) {
  (void)user;
  for (uint32_t t = 1; t < tasks; t++) fn(job, t, 0);
  return 0;
}
static int32_t wrong_worker(void *user, void *job, mcl_task_fn fn, uint32_t tasks) {
  (void)user;
  for (uint32_t t = 0; t < tasks; t++) fn(job, t, 2);
  return 0;
}

static mcl_status run_on(int32_t (*run)(void *, void *, mcl_task_fn, uint32_t), int32_t returns,
                         uint32_t *sum, mcl_error *err) {
  mcl_runner r;
  mcl_struct_init(&r, sizeof r);
  r.user = &returns;
  r.concurrency = two;
  r.run = run;
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.runner = &r;
  mcl_context *c = NULL;
  atomic_uint total = 0;
  ck_assert_int_eq(mcl_context_create(&o, &c, err), MCL_OK);
  mcl_status s = mcli_parallel(c, 6, add_task, &total, err);
  mcl_context_unref(c);
  *sum = total;
  return s;
}

START_TEST(the_hosts_runner_runs_the_tasks) {
  mcl_error err;
  uint32_t sum;
  CHECK_OK(run_on(backwards, 0, &sum, &err));
  ck_assert_uint_eq(sum, 21);
}
END_TEST

START_TEST(a_runner_that_fails_loses_a_task_or_invents_workers_is_found_out) {
  mcl_error err;
  uint32_t sum;
  CHECK_FAILS(MCL_E_CALLBACK, "returned 9", run_on(backwards, 9, &sum, &err));
  CHECK_FAILS(MCL_E_CALLBACK, "5 of 6", run_on(loses_one, 0, &sum, &err));
  CHECK_FAILS(MCL_E_CALLBACK, "wrong", run_on(wrong_worker, 0, &sum, &err));
}
END_TEST

START_TEST(all_memory_comes_from_the_hosts_allocator_and_goes_back) {
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 3);
  ck_assert_int_gt(a.requests, 0);
  void *p = mcli_alloc(c, 10, 10);
  ck_assert_uint_eq((uintptr_t)p % 64, 0);
  p = mcli_realloc(c, p, 1000, 10);
  mcli_free(c, p);
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
}
END_TEST

START_TEST(an_overflowing_allocation_is_refused) {
  mcl_context *c = test_context(1);
  ck_assert_ptr_null(mcli_alloc(c, SIZE_MAX / 2, 4));
  ck_assert_ptr_null(mcli_alloc(c, SIZE_MAX, 1));
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_options_are_named) {
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  mcl_context *c = NULL;
  mcl_error err;
  o.threads = 100000;
  CHECK_FAILS(MCL_E_INVALID, "threads", mcl_context_create(&o, &c, &err));
  o.threads = 1;
  o.log_level = 9;
  CHECK_FAILS(MCL_E_INVALID, "log_level", mcl_context_create(&o, &c, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_context_create(NULL, NULL, &err));
  ck_assert_ptr_null(c);
}
END_TEST

START_TEST(describe_names_the_kernel_and_says_how_much_room_it_wants) {
  mcl_context *c = test_context(2);
  char text[512];
  size_t wanted = 0;
  mcl_error err;
  CHECK_FAILS(MCL_E_LIMIT, "capacity", mcl_context_describe(c, text, 3, &wanted, &err));
  CHECK_OK(mcl_context_describe(c, text, wanted, NULL, &err));
  ck_assert_uint_eq(strlen(text) + 1, wanted);
  ck_assert_ptr_nonnull(strstr(text, "BLIS"));
  // Of a shared BLIS the kernel is its own choice.
  const char *kernel = strstr(mcl_build_info(), "blis=static") ? "kernel skx"
                       : strstr(mcl_build_info(), "blis=none") ? "kernel avx512"
                                                               : "kernel ";
  if (mcli_context_isa(c) == MCLI_ISA_AVX512) ck_assert_ptr_nonnull(strstr(text, kernel));
  mcl_context_unref(c);
}
END_TEST

static int32_t stop_at_three(void *user, const mcl_progress *p) {
  (*(int *)user)++;
  return p->done >= 3;
}

START_TEST(a_monitor_is_told_and_can_cancel) {
  int calls = 0;
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.user = &calls;
  m.progress = stop_at_three;
  mcli_watch w;
  mcl_error err;
  CHECK_OK(mcli_watch_begin(&w, &m, "fit", 3, &err));
  CHECK_OK(mcli_watch_tell(&w, 1, 0, &err));
  CHECK_OK(mcli_watch_tell(&w, 2, 0, &err)); // within a tenth of a second: not told
  ck_assert_int_eq(calls, 1);
  CHECK_FAILS(MCL_E_CANCELLED, "fit", mcli_watch_tell(&w, 3, 0, &err));
}
END_TEST

static void count(void *job) {
  (*(int *)job)++;
}

START_TEST(work_ahead_is_done_after_the_wait) {
  mcl_context *c = test_context(2);
  mcli_ahead *a = mcli_ahead_new(c);
  int n = 0;
  for (int i = 0; i < 20; i++) mcli_ahead_start(a, count, &n);
  mcli_ahead_wait(a);
  ck_assert_int_eq(n, 20);
  mcli_ahead_free(c, a);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_version_is_the_headers) {
  ck_assert_uint_eq(mcl_version(),
                    MCL_VERSION_MAJOR << 16 | MCL_VERSION_MINOR << 8 | MCL_VERSION_PATCH);
}
END_TEST

// The versions themselves are the build's to know: here, that each stands where it is looked for.
START_TEST(the_build_says_what_it_is_made_of) {
  char first[64], tail[64];
  const char *info = mcl_build_info();
  static const char *const names[] = {", blis=", ", png=", ", jpeg=", ", zlib=", ", isas=base"};
  snprintf(first, sizeof first, "libmcl %s, ", mcl_version_string());
  ck_assert_msg(strncmp(info, first, strlen(first)) == 0, "%s", info);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    ck_assert_msg(strstr(info, names[i]) != NULL, "no %s in %s", names[i], info);
    info = strstr(info, names[i]) + 1; // in this order
  }
  info = strstr(mcl_build_info(), "blis=");
  mcl_context *c = test_context(1);
  char text[512];
  mcl_error err;
  CHECK_OK(mcl_context_describe(c, text, sizeof text, NULL, &err));
  const char *told = strstr(text, "BLIS ");
  ck_assert_msg(told != NULL, "%s", text);
  // "blis=static 0.9.0", and "BLIS 0.9.0 kernel skx" of the one that was loaded; without, "none" twice.
  if (sscanf(info, "blis=%*[a-z] %60[0-9.]", tail) != 1) {
    ck_assert_msg(strncmp(info, "blis=none", 9) == 0, "%s", info);
    strcpy(tail, "none");
  }
  ck_assert_msg(strncmp(told + 5, tail, strlen(tail)) == 0, "%s, but %s", info, text);
#ifdef __x86_64__
  ck_assert_ptr_nonnull(strstr(info, "isas=base avx2 avx512"));
#endif
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("base", every_task_runs_once_for_any_number_of_threads, a_task_may_run_tasks_of_its_own,
          a_forked_child_runs_alone_and_nothing_hangs, the_hosts_runner_runs_the_tasks,
          a_runner_that_fails_loses_a_task_or_invents_workers_is_found_out,
          all_memory_comes_from_the_hosts_allocator_and_goes_back,
          an_overflowing_allocation_is_refused, bad_options_are_named,
          describe_names_the_kernel_and_says_how_much_room_it_wants,
          a_monitor_is_told_and_can_cancel, work_ahead_is_done_after_the_wait,
          the_version_is_the_headers, the_build_says_what_it_is_made_of)
