// Work of the caller's own beside tasks: what runs where, in which order, and what failures do.
#include "support/suite.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/context.h"
#include "base/thread.h"

enum {
  TASKS = 6,
  PATIENCE = 20
}; // seconds until a test gives up, far beyond what a busy machine needs

typedef struct beside {
  mcl_context *context;
  pthread_t caller;
  atomic_uint ran, elsewhere, waiting;
  uint32_t ran_before, ran_meanwhile; // when own begins; when it ends
  int own, own_elsewhere, own_waits;
  mcl_status own_status, nested_status;
  atomic_uint nested;
} beside;

static beside of(mcl_context *c) {
  return (beside){.context = c, .caller = pthread_self()};
}

static int wait_for(atomic_uint *n, uint32_t wanted) {
  double began = mcli_seconds();
  while (atomic_load(n) < wanted && mcli_seconds() - began < PATIENCE) usleep(100);
  return atomic_load(n) >= wanted;
}

static void task(void *job, uint32_t number, uint32_t worker) {
  beside *b = job;
  ck_assert_uint_lt(number, TASKS);
  ck_assert_uint_lt(worker, mcli_workers(b->context));
  if (!pthread_equal(pthread_self(), b->caller)) atomic_fetch_add(&b->elsewhere, 1);
  atomic_fetch_add(&b->ran, 1);
}

static void own(void *job) {
  beside *b = job;
  b->own++;
  b->own_elsewhere += !pthread_equal(pthread_self(), b->caller);
  b->ran_before = b->ran;
  if (b->own_waits) wait_for(&b->ran, 1);
  b->ran_meanwhile = b->ran;
}

static void check_all_ran(const beside *b) {
  ck_assert_uint_eq(b->ran, TASKS);
  ck_assert_int_eq(b->own, 1);
  ck_assert_int_eq(b->own_elsewhere, 0);
}

START_TEST(tasks_run_while_the_caller_is_at_its_own) {
  for (uint32_t threads = 2; threads <= 4; threads++) {
    mcl_context *c = test_context(threads);
    beside b = of(c);
    b.own_waits = 1;
    ck_assert_int_eq(mcli_parallel_beside(c, TASKS, task, &b, own, &b, NULL), MCL_OK);
    check_all_ran(&b);
    ck_assert_uint_ge(b.ran_meanwhile, 1);
    ck_assert_uint_ge(b.elsewhere, b.ran_meanwhile);
    mcl_context_unref(c);
  }
}
END_TEST

// Each waits until every thread is in a task.
static void wait_for_everybody(void *job, uint32_t number, uint32_t worker) {
  beside *b = job;
  (void)worker;
  atomic_fetch_add(&b->waiting, 1);
  if (wait_for(&b->waiting, mcli_workers(b->context))) task(job, number, 0);
}

START_TEST(the_caller_takes_tasks_when_it_has_done_its_own) {
  mcl_context *c = test_context(3);
  beside b = of(c);
  ck_assert_int_eq(mcli_parallel_beside(c, 3, wait_for_everybody, &b, own, &b, NULL), MCL_OK);
  ck_assert_uint_eq(b.ran, 3);
  ck_assert_uint_eq(b.elsewhere, 2);
  mcl_context_unref(c);
}
END_TEST

START_TEST(every_task_runs_once_however_often_and_long_the_caller_is_away) {
  mcl_context *c = test_context(4);
  for (int round = 0; round < 300; round++) {
    beside b = of(c);
    b.own_waits = round % 3 == 0;
    ck_assert_int_eq(mcli_parallel_beside(c, TASKS, task, &b, own, &b, NULL), MCL_OK);
    check_all_ran(&b);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(without_tasks_or_with_one_own_is_done_all_the_same) {
  mcl_context *c = test_context(2);
  beside none = of(c), one = of(c);
  ck_assert_int_eq(mcli_parallel_beside(c, 0, task, &none, own, &none, NULL), MCL_OK);
  ck_assert_int_eq(none.own, 1);
  ck_assert_uint_eq(none.ran, 0);
  one.own_waits = 1;
  ck_assert_int_eq(mcli_parallel_beside(c, 1, task, &one, own, &one, NULL), MCL_OK);
  ck_assert_int_eq(one.own, 1);
  ck_assert_uint_eq(one.ran_meanwhile, 1);
  mcl_context_unref(c);
}
END_TEST

// ---- where nobody is beside ---------------------------------------------------------------------

static void check_own_came_first(const beside *b) {
  check_all_ran(b);
  ck_assert_uint_eq(b->ran_before, 0);
  ck_assert_uint_eq(b->ran_meanwhile, 0);
  ck_assert_uint_eq(b->elsewhere, 0);
}

static void run_beside(void *job) {
  beside *b = job;
  b->caller = pthread_self();
  b->nested_status = mcli_parallel_beside(b->context, TASKS, task, b, own, b, NULL);
}

static void run_in_task(void *jobs, uint32_t number, uint32_t worker) {
  (void)worker;
  run_beside((beside *)jobs + number);
}

START_TEST(own_comes_first_on_one_thread_in_a_task_ahead_and_in_a_forked_child) {
  mcl_context *alone = test_context(1), *c = test_context(3);
  beside single = of(alone), in_task[2] = {of(c), of(c)}, ahead = of(c);
  run_beside(&single);
  check_own_came_first(&single);
  ck_assert_int_eq(mcli_parallel(c, 2, run_in_task, in_task, NULL), MCL_OK);
  check_own_came_first(&in_task[0]);
  check_own_came_first(&in_task[1]);
  mcli_ahead *a = mcli_ahead_new(c);
  mcli_ahead_start(a, run_beside, &ahead);
  mcli_ahead_wait(a);
  check_own_came_first(&ahead);
  mcli_ahead_free(c, a);
  pid_t child = fork();
  if (child == 0) {
    beside b = of(c);
    run_beside(&b);
    mcl_context_unref(c);
    _exit(b.ran == TASKS && b.ran_meanwhile == 0 ? 0 : 1);
  }
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  mcl_context_unref(c), mcl_context_unref(alone);
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

static mcl_context *context_on(int32_t *returns) {
  mcl_runner r;
  mcl_struct_init(&r, sizeof r);
  r.user = returns;
  r.concurrency = two;
  r.run = backwards;
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.runner = &r;
  mcl_context *c = NULL;
  mcl_error err;
  CHECK_OK(mcl_context_create(&o, &c, &err));
  return c;
}

START_TEST(on_the_hosts_runner_own_comes_first_and_its_failure_is_the_calls) {
  mcl_error err;
  int32_t returns = 0;
  mcl_context *c = context_on(&returns);
  beside good = of(c), bad = of(c);
  CHECK_OK(mcli_parallel_beside(c, TASKS, task, &good, own, &good, &err));
  check_own_came_first(&good);
  returns = 9;
  CHECK_FAILS(MCL_E_CALLBACK, "returned 9",
              mcli_parallel_beside(c, TASKS, task, &bad, own, &bad, &err));
  check_own_came_first(&bad);
  mcl_context_unref(c);
}
END_TEST

// ---- calls from own, failures -------------------------------------------------------------------

static void add(void *job, uint32_t number, uint32_t worker) {
  (void)worker;
  atomic_fetch_add((atomic_uint *)job, number + 1);
}

static void own_with_calls(void *job) {
  beside *b = job, inner = of(b->context);
  own(b);
  for (int round = 0; round < 20; round++)
    b->nested_status = mcli_parallel(b->context, 4, add, &b->nested, NULL);
  run_beside(&inner);
  check_own_came_first(&inner);
}

START_TEST(own_may_run_tasks_and_have_work_beside_them) {
  int32_t returns = 0;
  mcl_context *contexts[] = {test_context(1), test_context(3), context_on(&returns)};
  for (int i = 0; i < 3; i++) {
    for (int round = 0; round < 50; round++) {
      beside b = of(contexts[i]);
      b.own_waits = i == 1;
      ck_assert_int_eq(mcli_parallel_beside(b.context, TASKS, task, &b, own_with_calls, &b, NULL),
                       MCL_OK);
      check_all_ran(&b);
      ck_assert_int_eq(b.nested_status, MCL_OK);
      ck_assert_uint_eq(b.nested, 20 * 10);
    }
    mcl_context_unref(contexts[i]);
  }
}
END_TEST

static void own_that_fails(void *job) {
  beside *b = job;
  own(b);
  b->own_status = MCL_E_IO;
}

START_TEST(tasks_run_and_the_call_succeeds_though_own_has_failed) {
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    beside b = of(c);
    ck_assert_int_eq(mcli_parallel_beside(c, TASKS, task, &b, own_that_fails, &b, NULL), MCL_OK);
    check_all_ran(&b);
    ck_assert_int_eq(b.own_status, MCL_E_IO);
    mcl_context_unref(c);
  }
}
END_TEST

// ---- waiting for one another --------------------------------------------------------------------

typedef struct table_tennis {
  mcli_lock *lock;
  uint32_t strokes; // guarded by lock
} table_tennis;

// Side 0 strokes at even counts, side 1 at odd ones: neither gets on without the other.
static void strike(table_tennis *t, uint32_t side) {
  mcli_lock_take(t->lock);
  while (t->strokes < 1000) {
    if (t->strokes % 2 == side) {
      t->strokes++;
      mcli_lock_wake(t->lock);
    } else {
      mcli_lock_wait(t->lock);
    }
  }
  mcli_lock_give(t->lock);
}

static void strike_back(void *job, uint32_t number, uint32_t worker) {
  (void)number, (void)worker;
  strike(job, 1);
}
static void serve(void *job) {
  strike(job, 0);
}

START_TEST(who_waits_for_a_lock_is_woken) {
  mcl_context *c = test_context(2);
  table_tennis t = {mcli_lock_new(c), 0};
  ck_assert_int_eq(mcli_parallel_beside(c, 1, strike_back, &t, serve, &t, NULL), MCL_OK);
  ck_assert_uint_eq(t.strokes, 1000);
  mcli_lock_free(c, t.lock);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("beside", tasks_run_while_the_caller_is_at_its_own,
          the_caller_takes_tasks_when_it_has_done_its_own,
          every_task_runs_once_however_often_and_long_the_caller_is_away,
          without_tasks_or_with_one_own_is_done_all_the_same,
          own_comes_first_on_one_thread_in_a_task_ahead_and_in_a_forked_child,
          on_the_hosts_runner_own_comes_first_and_its_failure_is_the_calls,
          own_may_run_tasks_and_have_work_beside_them,
          tasks_run_and_the_call_succeeds_though_own_has_failed, who_waits_for_a_lock_is_woken)
