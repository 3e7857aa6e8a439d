#include "faults/run_kills.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "faults/files.h"
#include "faults/run.h"

// What a process ends with, if it is not killed.
enum { ENDED = 0, REFUSED = 3, FAILED = 4 };

typedef struct wanted {
  tiny_result result;
  files_tree files;
  double seconds; // that an undisturbed run takes, start and all
  int64_t calls;  // and its file calls
} wanted;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int has_save(const char *directory) {
  char path[4400];
  snprintf(path, sizeof path, "%s/loop.safetensors", directory);
  return access(path, F_OK) == 0;
}

static tiny_options options_of(const char *directory) {
  return (tiny_options){.directory = directory, .every = 2};
}

// In the child: begins, or goes on, and writes what it comes to into the pipe.
static int child(const char *directory, int to) {
  mcl_error err;
  tiny_run r;
  tiny_run_open(&r, options_of(directory));
  mcl_status s = mcl_multistage_resume(r.loop, directory, &err);
  if (s < 0 && (s != MCL_E_NOT_FOUND || has_save(directory))) {
    fprintf(stderr, "not resumed: %s\n", err.message);
    return REFUSED;
  }
  s = tiny_run_go(&r, &err);
  if (s < 0) {
    fprintf(stderr, "not ended: %s\n", err.message);
    return FAILED;
  }
  tiny_result got;
  tiny_run_take(&r, &got);
  tiny_run_close(&r);
  return write(to, &got, sizeof got) == sizeof got ? ENDED : FAILED;
}

static void run_undisturbed(wanted *w, const char *directory) {
  mcl_error err;
  tiny_run r;
  double begin = now();
  files_fail(INT64_MAX, CALLS_ALL, 0, 0);
  tiny_run_open(&r, options_of(directory));
  CHECK_OK(tiny_run_go(&r, &err));
  w->calls = files_calls();
  memset(&w->result, 0, sizeof w->result);
  tiny_run_take(&r, &w->result);
  tiny_run_close(&r);
  w->seconds = now() - begin;
  w->files = files_read_tree(directory);
}

// Starts a process that is killed at a file call, or that its parent kills at some time; what it ended with, or -1.
static int one_process(const char *directory, const wanted *w, mcli_rng *rng, tiny_result *got) {
  int ends[2], status;
  int by_call = mcli_rng_below(rng, 2) == 0;
  int64_t call = 1 + (int64_t)mcli_rng_below(rng, (uint64_t)w->calls);
  double delay = mcli_rng_between(rng, 0, w->seconds);
  ck_assert_int_eq(pipe(ends), 0);
  pid_t id = fork();
  if (id == 0) {
    close(ends[0]);
    if (by_call) files_fail(call, CALLS_ALL, call % 2 ? FAULT_KILL_BEFORE : FAULT_KILL_AFTER, 0);
    _exit(child(directory, ends[1]));
  }
  close(ends[1]);
  if (!by_call) {
    usleep((useconds_t)(1e6 * delay));
    kill(id, SIGKILL);
  }
  ssize_t n = read(ends[0], got, sizeof *got);
  close(ends[0]);
  ck_assert_int_eq(waitpid(id, &status, 0), id);
  if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGKILL ? -1 : FAILED;
  return WEXITSTATUS(status) == ENDED && n != sizeof *got ? FAILED : WEXITSTATUS(status);
}

static int is_equal(const wanted *w, const char *directory, const tiny_result *got) {
  files_tree tree = files_read_tree(directory);
  int same = memcmp(got, &w->result, sizeof *got) == 0 && files_same_tree(&tree, &w->files);
  files_tree_free(&tree);
  return same;
}

// Kills until a process has ended the run.
static void one_run(run_kills *k, const char *directory, const wanted *w, mcli_rng *rng) {
  const files_tree nothing = {0};
  int had = 0, ended = 1;
  files_write_tree(directory, &nothing);
  while (ended != ENDED) {
    tiny_result got;
    ended = one_process(directory, w, rng, &got);
    if (had) k->resumed++;
    if (ended < 0) k->kills++;
    if (ended > 0) k->torn++;
    if (had && !has_save(directory)) k->lost++;
    had = has_save(directory);
    k->mid_save += files_parts(directory) > 0;
    if (ended > 0) return; // it would be refused for ever
    if (ended == ENDED) {
      k->runs++;
      k->equal += is_equal(w, directory, &got);
    }
  }
}

void run_kills_go(run_kills *k, const char *directory, int64_t kills, uint64_t seed) {
  char undisturbed[4300], disturbed[4300];
  wanted w;
  mcli_rng rng = mcli_rng_make(seed, MCLI_RNG_DATA, 7, 0);
  *k = (run_kills){0};
  snprintf(undisturbed, sizeof undisturbed, "%s/undisturbed", directory);
  snprintf(disturbed, sizeof disturbed, "%s/disturbed", directory);
  run_undisturbed(&w, undisturbed);
  while (k->kills < kills && k->torn + k->lost < 10) one_run(k, disturbed, &w, &rng);
  files_tree_free(&w.files);
}
