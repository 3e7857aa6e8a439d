// Random legal use of the whole interface, for as long as is asked: episodes of operations (tests/fuzz/api) on handles that come and
// go, with two threads. No call may fail but for its handle's state, and after an episode memory and descriptors are as
// before; the process must not grow.
//
//   soak EPISODES [SECONDS]   that many episodes, or, with EPISODES 0, so many seconds; prints a table
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/api/world.h"
#include "fuzz/run.h"

const int fuzz_large = FUZZ_FINDING; // what is legal here is small

enum { STEPS = 400, BYTES = 16 * STEPS };

static uint64_t state;

static void random_bytes(uint8_t *bytes, size_t n) {
  for (size_t i = 0; i < n; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    bytes[i] = (uint8_t)(state >> 56);
  }
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_bytes in = {bytes, n};
  world w;
  world_begin(&w, context, &in, 1);
  for (int i = 0; i < STEPS && in.n; i++) world_step(&w);
  world_end(&w);
}

// Of the process, in KiB.
static long resident(void) {
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f && fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
  if (f) fclose(f);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

// What malloc has given and not got back, in KiB: what is resident has the sanitizers' own records too, of each stack that ever
// asked for memory, and grows with them.
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));
static size_t in_use(void) {
  if (__sanitizer_get_current_allocated_bytes)
    return __sanitizer_get_current_allocated_bytes() / 1024;
  struct mallinfo2 m = mallinfo2();
  return (m.uordblks + m.hblkhd) / 1024;
}

static void print_sizes(time_t seconds, long episodes) {
  printf("%10ld %10ld %14zu %14ld\n", (long)seconds, episodes, in_use(), resident());
  fflush(stdout);
}

// Each operation and how often its calls succeeded: 1 where one never did, so that it was no use.
static int print_tallies(void) {
  int idle = 0;
  const world_tally *t = world_tallies();
  printf("\n%-18s %10s %10s\n", "operation", "calls", "succeeded");
  for (int64_t i = 0; i < world_count(); i++) {
    printf("%-18s %10lld %10lld\n", t[i].name ? t[i].name : "never drawn", (long long)t[i].calls,
           (long long)t[i].succeeded);
    idle |= !t[i].name || (t[i].calls > 0 && t[i].succeeded == 0 && strcmp(t[i].name, "clip") != 0);
  }
  return idle;
}

int main(int argc, char **argv) {
  long episodes = argc > 1 ? atol(argv[1]) : 30, seconds = argc > 2 ? atol(argv[2]) : 0;
  static uint8_t bytes[BYTES];
  time_t begin = time(NULL), next = begin;
  long done = 0;
  fuzz_threads(2);
  printf("%10s %10s %14s %14s\n", "seconds", "episodes", "in use KiB", "resident KiB");
  for (; episodes ? done < episodes : time(NULL) - begin < seconds; done++) {
    state = (uint64_t)done;
    random_bytes(bytes, sizeof bytes);
    fuzz_run(bytes, sizeof bytes, 0);
    if (time(NULL) < next) continue;
    print_sizes(time(NULL) - begin, done + 1);
    next = time(NULL) + (seconds > 600 ? seconds / 60 : 10);
  }
  print_sizes(time(NULL) - begin, done);
  return print_tallies();
}
