// Processes killed while they save: at each of their file calls, before it and after it.
#include "support/suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/bench.h"

static mcl_error err;

static int64_t count_calls(bench *b) {
  files_write_tree(b->directory, &b->tree[0]);
  files_fail(INT64_MAX, CALLS_ALL, 0, 0);
  CHECK_OK(b->k->save(b->thing[1], b->directory, &err));
  return files_calls();
}

// Saves in a process of its own, which is killed at its n-th file call: 0 when it was through before.
static int killed(bench *b, int64_t n, int how) {
  pid_t child = fork();
  if (child == 0) {
    files_fail(n, CALLS_ALL, how, 0);
    _exit(b->k->save(b->thing[1], b->directory, &err) == MCL_OK ? 0 : 1);
  }
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return 1;
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s fails", b->k->name);
  return 0;
}

START_TEST(a_save_that_is_killed_leaves_the_old_state_or_the_new) {
  bench b;
  bench_open(&b, kind_at(_i));
  int versions[VERSIONS] = {0};
  int64_t calls = count_calls(&b);
  for (int how = FAULT_KILL_BEFORE; how <= FAULT_KILL_AFTER; how++)
    for (int64_t n = 1;; n = files_next(n, calls)) {
      files_write_tree(b.directory, &b.tree[0]);
      if (!killed(&b, n, how)) break;
      int version = bench_loaded(&b, &err);
      ck_assert_msg(version >= 0, "%s, killed at call %lld: neither loads: %s", b.k->name,
                    (long long)n, err.message);
      versions[version]++;
      // What it left is in nobody's way, and does not stay.
      CHECK_OK(b.k->save(b.thing[1], b.directory, &err));
      files_tree now = files_read_tree(b.directory);
      ck_assert_msg(files_same_tree(&now, &b.tree[1]),
                    "%s, killed at call %lld: the next save differs", b.k->name, (long long)n);
      files_tree_free(&now);
    }
  ck_assert_int_ge(versions[0], 4);
  ck_assert_int_ge(versions[1], 2);
  bench_close(&b);
}
END_TEST

// An argument: only the kind of that name.
int main(int argc, char **argv) {
  TCase *c = tcase_create("kills");
  kinds_add_loop(c, a_save_that_is_killed_leaves_the_old_state_or_the_new, argc, argv);
  return test_run_case("kills", c);
}
