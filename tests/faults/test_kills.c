// Processes killed while they save: at each of their file calls, before it and after it.
#include "support/suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/files.h"
#include "faults/kinds.h"

static mcl_error err;

typedef struct bench {
  const kind *k;
  mcl_context *c;
  void *thing[VERSIONS];
  files_tree tree[VERSIONS];
  seen looks[VERSIONS];
  char directory[4200];
} bench;

static void bench_open(bench *b, const kind *k) {
  *b = (bench){.k = k, .c = test_context(1)};
  snprintf(b->directory, sizeof b->directory, "%s", test_directory(k->name));
  for (int v = 0; v < VERSIONS; v++) {
    b->thing[v] = k->make(b->c, v);
    CHECK_OK(k->save(b->thing[v], b->directory, &err));
    b->tree[v] = files_read_tree(b->directory);
    CHECK_OK(k->load(b->c, b->directory, &b->looks[v], &err));
  }
}

static void bench_close(bench *b) {
  for (int v = 0; v < VERSIONS; v++) {
    b->k->drop(b->thing[v]);
    files_tree_free(&b->tree[v]);
  }
  mcl_context_unref(b->c);
}

static int loaded(bench *b) {
  seen s = {0};
  mcl_status status = b->k->load(b->c, b->directory, &s, &err);
  for (int v = 0; status == MCL_OK && v < VERSIONS; v++)
    if (memcmp(&s, &b->looks[v], sizeof s) == 0) return v;
  return -1;
}

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
      int version = loaded(&b);
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

int main(void) {
  Suite *s = suite_create("kills");
  TCase *c = tcase_create("kills");
  tcase_add_loop_test(c, a_save_that_is_killed_leaves_the_old_state_or_the_new, 0, kinds_count());
  suite_add_tcase(s, c);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_NORMAL);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed != 0;
}
