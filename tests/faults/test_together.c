// Two that save to the same place again and again, while a third loads: each load sees one whole version. In processes, and in
// threads of one.
#include "support/suite.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/files.h"
#include "faults/kinds.h"
#include "faults/run.h"

static mcl_error err;

// Loads that are looked at, of each kind and way. More find no more, and take longer.
enum { LOADS = 30 };

typedef struct bench {
  const kind *k;
  mcl_context *c;
  seen looks[VERSIONS];
  char directory[4200];
} bench;

static void bench_open(bench *b, const kind *k, const char *directory) {
  *b = (bench){.k = k, .c = test_context(1)};
  snprintf(b->directory, sizeof b->directory, "%s", directory);
  for (int v = 0; v < VERSIONS; v++) {
    void *thing = k->make(b->c, v);
    CHECK_OK(k->save(thing, b->directory, &err));
    CHECK_OK(k->load(b->c, b->directory, &b->looks[v], &err));
    k->drop(thing);
  }
}

// How often either version was seen. A run is loaded in two steps, by resume and by run: it may be told that the encoders are
// another save's by then, and begins anew.
static void load_many(bench *b, int counts[VERSIONS]) {
  for (int i = 0; i < LOADS; i++) {
    seen s = {0};
    mcl_status status = b->k->load(b->c, b->directory, &s, &err);
    if (status == MCL_E_MISMATCH && strcmp(b->k->name, "run") == 0) continue;
    ck_assert_msg(status == MCL_OK, "%s: %s: %s", b->k->name, mcl_status_name(status), err.message);
    int found = 0;
    for (int v = 0; v < VERSIONS; v++)
      if (memcmp(&s, &b->looks[v], sizeof s) == 0) counts[v]++, found = 1;
    ck_assert_msg(found, "%s: neither version", b->k->name);
  }
}

static void check_folder(bench *b) {
  ck_assert_msg(files_parts(b->directory) == 0, "%s: a part is left", b->k->name);
}

// ---- processes -------------------------------------------------------------------------------------

static pid_t start_saving(const kind *k, const char *directory, int version) {
  pid_t id = fork();
  if (id != 0) return id;
  mcl_context *c = test_context(1);
  void *thing = k->make(c, version);
  while (getppid() != 1)
    if (k->save(thing, directory, &err) < 0) {
      fprintf(stderr, "%s: %s\n", k->name, err.message);
      _exit(1);
    }
  _exit(0);
}

static void stop_saving(pid_t id) {
  int status;
  ck_assert_int_eq(waitpid(id, &status, WNOHANG), 0); // it has not failed
  kill(id, SIGKILL);
  waitpid(id, &status, 0);
}

START_TEST(each_load_sees_one_version_while_two_processes_save) {
  bench b;
  int counts[VERSIONS] = {0};
  bench_open(&b, kind_at(_i), test_directory(kind_at(_i)->name));
  pid_t savers[VERSIONS];
  for (int v = 0; v < VERSIONS; v++) savers[v] = start_saving(b.k, b.directory, v);
  load_many(&b, counts);
  for (int v = 0; v < VERSIONS; v++) stop_saving(savers[v]);
  // They were killed: the next save is alone, and tidies up.
  for (int v = 0; v < VERSIONS; v++) {
    void *thing = b.k->make(b.c, v);
    for (int twice = 0; twice < 2; twice++) CHECK_OK(b.k->save(thing, b.directory, &err));
    b.k->drop(thing);
  }
  mcl_context_unref(b.c);
}
END_TEST

// ---- threads ---------------------------------------------------------------------------------------

typedef struct saver {
  const bench *b;
  int version;
  atomic_int *stop;
  mcl_status failed;
  mcl_error error;
} saver;

static void *save_until_stopped(void *user) {
  saver *s = user;
  mcl_context *c = test_context(1);
  void *thing = s->b->k->make(c, s->version);
  while (!atomic_load(s->stop) && s->failed == MCL_OK)
    s->failed = s->b->k->save(thing, s->b->directory, &s->error);
  s->b->k->drop(thing);
  mcl_context_unref(c);
  return NULL;
}

START_TEST(each_load_sees_one_version_while_two_threads_save) {
  bench b;
  int counts[VERSIONS] = {0};
  atomic_int stop = 0;
  bench_open(&b, kind_at(_i), test_directory(kind_at(_i)->name));
  saver savers[VERSIONS];
  pthread_t threads[VERSIONS];
  for (int v = 0; v < VERSIONS; v++) {
    savers[v] = (saver){.b = &b, .version = v, .stop = &stop};
    ck_assert_int_eq(pthread_create(&threads[v], NULL, save_until_stopped, &savers[v]), 0);
  }
  load_many(&b, counts);
  atomic_store(&stop, 1);
  for (int v = 0; v < VERSIONS; v++) {
    pthread_join(threads[v], NULL);
    ck_assert_msg(savers[v].failed == MCL_OK, "%s: %s", b.k->name, savers[v].error.message);
  }
  check_folder(&b);
  mcl_context_unref(b.c);
}
END_TEST

// ---- two runs in one folder ------------------------------------------------------------------------

static void whole_run(int weights, int later, tiny_result *out) {
  tiny_run r;
  tiny_run_open(&r, (tiny_options){.weights = weights, .later = later});
  CHECK_OK(tiny_run_go(&r, &err));
  memset(out, 0, sizeof *out);
  tiny_run_take(&r, out);
  tiny_run_close(&r);
}

static pid_t start_running(int weights, const char *directory) {
  pid_t id = fork();
  if (id != 0) return id;
  for (;;) {
    tiny_run r;
    tiny_run_open(&r, (tiny_options){.weights = weights, .directory = directory, .every = 1});
    if (tiny_run_go(&r, &err) < 0) {
      fprintf(stderr, "run: %s\n", err.message);
      _exit(1);
    }
    tiny_run_close(&r);
  }
}

// Who resumes makes the encoders of stages that have not begun, of weights 2: what it comes to is the one run, or the other, or
// the first stage of either and a second stage of weights 2.
enum { OUTCOMES = 4 };

static int outcome_of(tiny_run *r, const tiny_result wanted[OUTCOMES]) {
  static tiny_result got;
  memset(&got, 0, sizeof got);
  tiny_run_take(r, &got);
  for (int i = 0; i < OUTCOMES; i++)
    if (memcmp(&got, &wanted[i], sizeof got) == 0) return i;
  return -1;
}

START_TEST(of_two_runs_in_one_folder_what_is_resumed_is_one_of_them) {
  static tiny_result wanted[OUTCOMES];
  char directory[4200];
  int resumed = 0;
  snprintf(directory, sizeof directory, "%s", test_directory("two_runs"));
  for (int i = 0; i < OUTCOMES; i++) whole_run(i % 2, i < 2 ? 0 : 2 - i % 2, &wanted[i]);
  pid_t runs[2];
  for (int v = 0; v < 2; v++) runs[v] = start_running(v, directory);
  for (int i = 0; i < 4000 && resumed < LOADS; i++) {
    tiny_run r;
    tiny_run_open(&r, (tiny_options){.weights = 2});
    mcl_status s = mcl_multistage_resume(r.loop, directory, &err);
    if (s == MCL_OK) s = tiny_run_go(&r, &err);
    // Nothing saved yet; or saved over, between the two calls.
    ck_assert_msg(s == MCL_OK || s == MCL_E_NOT_FOUND || s == MCL_E_MISMATCH, "%s: %s",
                  mcl_status_name(s), err.message);
    int outcome = s == MCL_OK ? outcome_of(&r, wanted) : 0;
    ck_assert_msg(outcome >= 0, "a run of both");
    resumed += s == MCL_OK;
    if (s != MCL_OK) usleep(2000);
    tiny_run_close(&r);
  }
  for (int v = 0; v < 2; v++) stop_saving(runs[v]);
  ck_assert_int_ge(resumed, 4);
}
END_TEST

int main(void) {
  TCase *c = tcase_create("together");
  tcase_add_loop_test(c, each_load_sees_one_version_while_two_processes_save, 0, kinds_count());
  tcase_add_loop_test(c, each_load_sees_one_version_while_two_threads_save, 0, kinds_count());
  tcase_add_test(c, of_two_runs_in_one_folder_what_is_resumed_is_one_of_them);
  return test_run_case("together", c);
}
