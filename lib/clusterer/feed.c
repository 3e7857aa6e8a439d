// Reading ahead: while other threads work on blocks, the caller's reads the next ones.
//
// A slot holds up to two blocks in the order of their rows: the older is worked on, or waits for
// it. The caller reads whenever the slot of the next block has room, else works as the others do.
// In turn t the t-th block of every slot is read, slot by slot, and then each is worked on: so one
// thread alone would go. Of this order we keep
//
//   blocks are read in it, by the caller alone, over waves as well                        (1)
//   a slot's blocks are worked on one after another, in it, wave by wave                  (2)
//   what stands before a failure is still read or worked on, and what stands behind it is
//   not begun once it is known; so the first failure in this order is the call's          (3)
//
// Where nobody works beside the caller (one thread, a host's runner, a call from a callback), it
// fills all room, and the tasks then work on all that is there.
//
// Rejected: reading turn t + 1 beside the work on turn t, and waiting for both. With two threads
// and blocks that take twice as long to work on as to read, that gains nothing: when the caller has
// read both, the other thread has done one, and one of the two then waits for the other's second.
#include "clusterer/feed.h"

#include <stdbool.h>
#include <string.h>

#include "base/thread.h"

typedef struct lane {
  mcli_block blocks[MCLI_SWEEP_DEPTH];
  int64_t turns[MCLI_SWEEP_DEPTH];
  int32_t oldest, held; // of blocks, that in work included
  bool working;
} lane;

struct mcli_feed {
  const mcli_sweep *sweep;
  mcli_block_fn block;
  void *job;
  mcli_lock *lock; // over all that follows, but for the rows of blocks
  lane lanes[MCLI_SWEEP_SEGMENTS];
  uint32_t first, slot; // the segment to be read next is first + slot, numbered over all ranks;
  int64_t step, turn;   // of it this block, in this turn; turns count over all waves
  int64_t end, left;    // of this wave: the turn after its last, blocks not yet worked on
  uint32_t helpers;     // threads that came to work
  uint32_t working;     // blocks in work
  bool reading;         // by the caller: wait for more
  int64_t failed;       // place of the first failure
  mcl_status status;    // of it
  mcl_error error;
};

// Where reading (work = 0) and working on (1) a turn's block of a slot stand in the order.
static int64_t place_of(int64_t turn, int work, int64_t slot) {
  return (turn * 2 + work) * MCLI_SWEEP_SEGMENTS + slot;
}

static void note_failure(mcli_feed *f, int64_t place, mcl_status status, const mcl_error *error) {
  if (status == MCL_OK || place >= f->failed) return;
  f->failed = place;
  f->status = status;
  f->error = *error;
}

// ---- reading ------------------------------------------------------------------------------------

static int64_t length_of(const mcli_feed *f, uint32_t segment) {
  int64_t first, n;
  mcli_sweep_segment(f->sweep, segment, &first, &n);
  return n;
}

// Of this rank's segments.
static uint32_t end_of(const mcli_sweep *s) {
  return s->grid.first + s->grid.n;
}

static lane *lane_to_read(mcli_feed *f) {
  lane *l = &f->lanes[f->slot];
  bool may = f->first < end_of(f->sweep) && l->held < f->sweep->depth &&
             place_of(f->turn, 0, f->slot) < f->failed;
  return may ? l : NULL;
}

// Segments never grow longer: the slots that have no block in a turn are the last ones.
static void step_on(mcli_feed *f) {
  uint32_t next = f->first + ++f->slot;
  bool in_wave = f->slot < f->sweep->slots && next < end_of(f->sweep);
  if (in_wave && f->step < length_of(f, next)) return;
  f->slot = 0;
  f->turn++;
  if (++f->step < length_of(f, f->first)) return;
  f->first += f->sweep->slots;
  f->step = 0;
}

// By who holds the lock, as work_on_one; false: there is nothing to read now.
static bool read_one(mcli_feed *f) {
  lane *l = lane_to_read(f);
  if (!l) return false;
  int32_t at = (l->oldest + l->held) % f->sweep->depth; // stays so while older ones leave
  int64_t first, n;
  mcl_error error;
  uint32_t segment = f->first + f->slot;
  mcli_sweep_segment(f->sweep, segment, &first, &n);
  mcli_lock_give(f->lock);
  mcl_status s =
      mcli_sweep_load(f->sweep, first + f->step, segment, f->slot, at, &l->blocks[at], &error);
  mcli_lock_take(f->lock);
  note_failure(f, place_of(f->turn, 0, f->slot), s, &error);
  if (s < 0) return true;
  l->turns[at] = f->turn;
  l->held++;
  step_on(f);
  mcli_lock_wake(f->lock);
  return true;
}

// ---- work ---------------------------------------------------------------------------------------

static int64_t place_of_oldest(const mcli_feed *f, uint32_t slot) {
  return place_of(f->lanes[slot].turns[f->lanes[slot].oldest], 1, slot);
}

// The first in order, so that no slot falls behind and keeps the reader waiting.
static lane *lane_to_work(mcli_feed *f) {
  int64_t best = place_of(f->end, 0, 0) < f->failed ? place_of(f->end, 0, 0) : f->failed;
  lane *found = NULL;
  for (uint32_t slot = 0; slot < f->sweep->slots; slot++) {
    lane *l = &f->lanes[slot];
    if (l->held == 0 || l->working || place_of_oldest(f, slot) >= best) continue;
    best = place_of_oldest(f, slot);
    found = l;
  }
  return found;
}

static bool work_on_one(mcli_feed *f) {
  lane *l = lane_to_work(f);
  if (!l) return false;
  const mcli_block *b = &l->blocks[l->oldest];
  mcl_error error;
  l->working = true;
  f->working++;
  mcli_lock_give(f->lock);
  mcl_status s = f->block(f->job, b, &error);
  mcli_lock_take(f->lock);
  l->working = false;
  f->working--;
  note_failure(f, place_of_oldest(f, b->slot), s, &error);
  if (s == MCL_OK) {
    l->oldest = (l->oldest + 1) % f->sweep->depth;
    l->held--;
    f->left--;
  }
  mcli_lock_wake(f->lock);
  return true;
}

// ---- together -----------------------------------------------------------------------------------

static void help(void *job, uint32_t task, uint32_t worker) {
  mcli_feed *f = job;
  (void)task, (void)worker;
  mcli_lock_take(f->lock);
  f->helpers++;
  for (;;) {
    if (work_on_one(f)) continue;
    if (!f->reading) break;
    mcli_lock_wait(f->lock);
  }
  mcli_lock_give(f->lock);
}

// On the caller's thread. Without helpers the tasks come after it, and must find work.
static void read_on(void *job) {
  mcli_feed *f = job;
  mcli_lock_take(f->lock);
  while (f->left > 0) {
    if (read_one(f)) continue;
    if (f->helpers == 0) break;
    if (work_on_one(f)) continue;
    if (f->working == 0) break; // all that is left stands behind a failure
    mcli_lock_wait(f->lock);
  }
  f->reading = false;
  mcli_lock_wake(f->lock);
  mcli_lock_give(f->lock);
}

mcl_status mcli_feed_wave(mcli_feed *f, uint32_t first, uint32_t n, mcl_error *err) {
  int64_t begun, longest, last, rest;
  mcli_sweep_segment(f->sweep, first, &begun, &longest);
  mcli_sweep_segment(f->sweep, first + n - 1, &last, &rest);
  f->end += longest;
  f->left = last + rest - begun;
  while (f->left > 0 && (lane_to_read(f) || lane_to_work(f))) {
    f->helpers = 0;
    f->reading = true;
    mcl_status s = mcli_parallel_beside(f->sweep->context, n, help, f, read_on, f, err);
    if (s < 0) return s;
  }
  if (f->left == 0) return MCL_OK; // a failure of rows read ahead is a later wave's
  if (err) *err = f->error;
  return f->status;
}

mcli_feed *mcli_feed_open(const mcli_sweep *s, mcli_block_fn block, void *job) {
  mcli_feed *f = MCLI_NEW0(s->context, mcli_feed, 1);
  if (!f) return NULL;
  f->sweep = s;
  f->first = s->grid.first;
  f->block = block;
  f->job = job;
  f->failed = INT64_MAX;
  f->lock = mcli_lock_new(s->context);
  if (f->lock) return f;
  mcli_free(s->context, f);
  return NULL;
}

void mcli_feed_close(mcli_feed *f) {
  if (!f) return;
  mcl_context *c = f->sweep->context;
  mcli_lock_free(c, f->lock);
  mcli_free(c, f);
}
