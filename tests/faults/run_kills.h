// A run in processes that are killed at random, one after the other, until one of them ends it.
#ifndef MCL_TESTS_RUN_KILLS_H
#define MCL_TESTS_RUN_KILLS_H

#include <stdint.h>

typedef struct run_kills {
  int64_t kills;    // half of them at a file call, half at any time
  int64_t resumed;  // processes that went on from a save
  int64_t mid_save; // kills that left a part or a pending file
  int64_t torn;     // saves that were refused, or came to something else
  int64_t lost;     // saves that were there, and were not any more
  int64_t runs;     // that ended
  int64_t
      equal; // of them, those whose result and files are the bits of a run that nobody disturbed
} run_kills;

// Runs in `directory`, as many as it takes for so many kills.
void run_kills_go(run_kills *k, const char *directory, int64_t kills, uint64_t seed);

#endif
