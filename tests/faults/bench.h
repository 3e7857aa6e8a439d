// What can happen to calls; and a bench: two versions of a thing that is saved, in a folder of its own, what the files are after an
// undisturbed save of each, and what is seen of each when it is loaded.
#ifndef MCL_TESTS_BENCH_H
#define MCL_TESTS_BENCH_H

#include "faults/files.h"
#include "faults/kinds.h"

// What happens to a call.
typedef struct fault {
  const char *name;
  int what, for_ever;
  uint32_t calls;
  int survived; // the call succeeds all the same
} fault;
extern const fault faults[];
extern const int faults_count;

typedef struct bench {
  const kind *k;
  mcl_context *c;
  void *thing[VERSIONS];
  files_tree
      tree[VERSIONS]; // after an undisturbed save of each version, the later over the earlier
  seen looks[VERSIONS];
  char directory[4200];
  const char *word; // its last part, that each message has
  int64_t sites;    // calls that failed, counted by who makes them fail
} bench;

void bench_open(bench *b, const kind *k);
void bench_close(bench *b);
// Which version loads; -1: none, and why is in `err`.
int bench_loaded(bench *b, mcl_error *err);

#endif
