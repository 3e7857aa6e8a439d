// Memory that runs out, in every exported function and at every request for it.
//
// A case is one call: what it needs is prepared, it is made, all that can be seen is looked at, and all is let go again. The
// harness first makes the call undisturbed, and then, for n = 1, 2, ... until the call no longer asks so often, fails its n-th
// request: that one alone, and that one with all later ones. Each time it holds that
//
//   - the call returned MCL_E_NOMEM, its mcl_error says so and has a message;
//   - what was looked at before looks the same: outputs, which were filled with a pattern, out handles, handles, files;
//   - no more pieces and bytes of memory are held than before, and by encoders, which keep buffers for their next call, no more
//     than after the undisturbed call;
//   - the same call made again succeeds, and all then looks as after the undisturbed one;
//   - where the call asked for memory after the request that failed, as it put things back: so too if those fail, in turn;
//   - in the end all memory is given back.
//
// Then the call is made on one set of handles until it succeeds, failing one request further each time. All this on one thread
// and on two, which must come to the same bits. Of calls with more than 300 requests every one of the first 300 fails, and of
// the others those that lie an eighth further each time.
//
// A name of lib/libmcl.map may have several cases, of several kinds of handles; it has one at least, or an entry among those
// that take no memory, which are called while every request fails and must make none.
#ifndef MCL_TESTS_EXHAUSTION_EXHAUST_H
#define MCL_TESTS_EXHAUSTION_EXHAUST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"

// Of the case at work, on this thread. The context's memory is `memory`, which fails.
extern _Thread_local mcl_context *c;
extern _Thread_local mcl_error err;
extern test_allocator memory;

// What was looked at, as bytes.
typedef struct seen {
  unsigned char *bytes;
  size_t n, room;
} seen;
void see(seen *s, const void *data, size_t n);
void see_number(seen *s, double x);
// All files of the case's directory with their names, so that one left behind is seen.
void see_files(seen *s);
const char *
in(const char *
       name); // a path in the case's directory, which is empty at first; static storage, of four calls
void remove_all(
    const char *name); // a file, or a folder with what is in it; fine where there is none
void put_file(const char *name, const void *bytes, size_t n);

// What an out handle holds before the call, and what outputs are filled with.
extern char untouched[1];
#define UNTOUCHED   ((void *)untouched)
#define IS_MADE(h)  ((void *)(h) != UNTOUCHED)
#define PATTERN(of) memset(&(of), 0xa5, sizeof(of))

enum {
  GOES_ON = 1,    // some requests can be done without: then the result is the same
  ADVANCES = 2,   // a call that fails may have come further: only outputs and the end are compared
  NO_MEMORY = 4,  // makes no request: named here because other kinds of its handle do
  ONE_THREAD = 8, // runs no tasks
  KEEPS_ROOM = 16 // what a call that fails has got of its buffers is kept for the next one
};

typedef struct exhaust_case {
  const char *name; // of the export
  const char *of;   // of which kind; "" where there is one
  void (*prepare)(void);
  mcl_status (*call)(void); // into err
  void (*look)(seen *s);
  void (*finish)(void);
  void (*again)(void); // NULL, or what has to be done before the call is made again
  uint32_t flags;
  int sites; // how many of the first requests fail one by one; 0: 300; on two threads a quarter
  void (*run)(void); // instead of all the above: a test of its own
} exhaust_case;

void exhaust(const exhaust_case *e);
void check_same(const seen *a, const seen *b, const char *when); // `when`: for the message
int64_t next_site(int64_t all, int64_t n); // after request n, where each of the first `all` fails
void begin_case(
    uint32_t threads); // for what is not such a case: an empty directory, `memory`, and `c` on it

// A part of the library's cases, and the names of functions that take no memory.
typedef struct exhaust_part {
  const char *name;
  const exhaust_case *cases;
  int n;
} exhaust_part;
extern const exhaust_part base_part, store_part, text_part, image_part, dataset_part, loss_part,
    clusterer_part, sampler_part, probe_part, encoder_part, training_part, integrator_part,
    pull_part, push_part, rank_part, thread_part;
extern const char *const takes_none[];
extern const int n_takes_none;
void check_takes_none(void);

#define PART(of, cases) const exhaust_part of##_part = {#of, cases, sizeof(cases) / sizeof *(cases)}

#endif
