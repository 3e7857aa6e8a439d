// Saves one of each kind, and what is seen of it, into MCL_RELEASED: tests/golden/released/VERSION, once, by the library that
// is released. No test runs it; test_released.c reads what it wrote for ever after.
//
//   mkdir -p tests/golden/released/0.1
//   MCL_TESTS=$PWD/tests MCL_RELEASED=$PWD/tests/golden/released/0.1 build/tests/make_released
#include "support/suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/files.h"
#include "faults/kinds.h"
#include "faults/run.h"

static mcl_error err;

static const char *folder(const char *name) {
  static char path[4300];
  const char *released = getenv("MCL_RELEASED");
  ck_assert_msg(released != NULL, "MCL_RELEASED is not set");
  snprintf(path, sizeof path, "%s/%s", released, name);
  mkdir(path, 0777);
  return path;
}

// More digits than the tolerance has, and all of whole numbers.
static void write_seen(const kind *k, const seen *s) {
  char path[4400];
  snprintf(path, sizeof path, "%s/seen.txt", folder(k->name));
  FILE *f = fopen(path, "w");
  ck_assert_ptr_nonnull(f);
  for (int i = 0; i < s->n; i++) fprintf(f, k->exact ? "%.17g\n" : "%.7g\n", s->x[i]);
  ck_assert_int_eq(fclose(f), 0);
}

START_TEST(one_of_each_kind) {
  const kind *k = kind_at(_i);
  mcl_context *c = test_context(1);
  seen s = {0};
  char directory[4300];
  snprintf(directory, sizeof directory, "%s", folder(k->name));
  void *thing = k->make(c, 1);
  CHECK_OK(k->save(thing, directory, &err));
  k->drop(thing);
  CHECK_OK(k->load(c, directory, &s, &err));
  write_seen(k, &s);
  mcl_context_unref(c);
}
END_TEST

// Killed in its second stage: the place within a stage, and its encoder.
START_TEST(a_run_that_has_not_ended) {
  char directory[4300];
  tiny_run r;
  snprintf(directory, sizeof directory, "%s", folder("place"));
  pid_t id = fork();
  if (id == 0) {
    tiny_run_open(&r, (tiny_options){.directory = directory, .every = 3});
    files_fail(16, 1 << CALL_RENAME, FAULT_KILL_AFTER, 0); // four names a save
    (void)!tiny_run_go(&r, &err);
    _exit(0);
  }
  int status;
  waitpid(id, &status, 0);
  ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

int main(void) {
  TCase *c = tcase_create("make_released");
  tcase_add_loop_test(c, one_of_each_kind, 0, kinds_count());
  tcase_add_test(c, a_run_that_has_not_ended);
  return test_run_case("make_released", c);
}
