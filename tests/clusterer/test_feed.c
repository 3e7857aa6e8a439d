// Rows read ahead by the caller's thread: in which order blocks are read and worked on, by whom,
// and whose failure is the call's.
#include "clusterer/clusters.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "clusterer/sweep.h"

// Blocks enough for several waves, of segments of two lengths.
enum { BLOCKS = 3 * 64 + 5, ROWS = (BLOCKS - 1) * MCLI_SWEEP_BLOCK + 9, NEVER = -1, PATIENCE = 20 };

typedef struct watched {
  mcl_context *context;
  mcl_comm *comm;
  pthread_t caller;
  mcli_sweep sweep;
  // Blocks as they were read; the last one of each slot; how often each was worked on.
  int64_t read[BLOCKS], last[MCLI_SWEEP_SEGMENTS];
  atomic_int reads, works[BLOCKS], elsewhere, waited, wrong;
  int read_elsewhere, waves;
  int64_t done;     // as the last wave said
  uint32_t segment; // that the next wave begins with
  // Blocks that fail or are slow. wait: the third read ends when a worker has done a block, and no
  // worker has before the third read begins.
  int64_t bad_read, bad_work[2], slow;
  int wait, nested;
} watched;

static watched watch(mcl_context *c) {
  return (watched){.context = c,
                   .caller = pthread_self(),
                   .bad_read = NEVER,
                   .slow = NEVER,
                   .bad_work = {NEVER, NEVER}};
}

static int is_caller(const watched *w) {
  return pthread_equal(pthread_self(), w->caller) != 0;
}

// Whether *n gets there before patience ends.
static int wait_for(atomic_int *n, int wanted) {
  double began = mcli_seconds();
  while (atomic_load(n) < wanted && mcli_seconds() - began < PATIENCE) usleep(50);
  return atomic_load(n) >= wanted;
}

static void fit_something(mcl_context *c) {
  float *x = mixture(3000, 3, 4, 9, 1);
  reader r = {x, 3, 0, 0};
  mcl_rows rows = rows_by(&r, 3000);
  mcl_kmeans_options o = kmeans_options(4, MCL_L2);
  mcl_clusterer *k = make(c, &o);
  mcl_error err;
  CHECK_OK(mcl_clusterer_fit(k, &rows, NULL, &err));
  mcl_clusterer_unref(k);
  free(x);
}

static mcl_status failed(mcl_error *err, mcl_status status, const char *what, int64_t number) {
  char message[64];
  snprintf(message, sizeof message, "%s %lld", what, (long long)number);
  return mcl_error_set(err, status, 77, message);
}

static mcl_status read_block(void *user, int64_t first, int64_t n, const mcl_array *out,
                             mcl_error *err) {
  watched *w = user;
  int64_t number = first / MCLI_SWEEP_BLOCK;
  w->read_elsewhere += !is_caller(w);
  w->read[w->reads] = number;
  atomic_fetch_add(&w->reads, 1);
  if (w->wait && w->reads > (int)w->sweep.slots) w->waited += wait_for(&w->elsewhere, 1);
  if (w->nested && number % 50 == 7) fit_something(w->context);
  for (int64_t i = 0; i < n; i++) ((float *)out->data)[i] = (float)(first + i);
  if (number == w->bad_read) return failed(err, MCL_E_IO, "read", number);
  return mcl_ok(err);
}

static mcl_status work(void *job, const mcli_block *b, mcl_error *err) {
  watched *w = job;
  int64_t number = b->row / MCLI_SWEEP_BLOCK;
  if (!is_caller(w)) {
    if (w->wait) w->waited += wait_for(&w->reads, (int)w->sweep.slots + 1);
    atomic_fetch_add(&w->elsewhere, 1);
  }
  if (number == w->slow) usleep(20000);
  for (int64_t i = 0; i < b->n; i++) w->wrong += b->x[i] != (float)(b->row + i);
  w->wrong += number <= w->last[b->slot];
  w->wrong += b->row - b->first != w->sweep.first;
  w->last[b->slot] = number;
  atomic_fetch_add(&w->works[number], 1);
  int bad = number == w->bad_work[0] || number == w->bad_work[1];
  return bad ? failed(err, MCL_E_LIMIT, "work", number) : mcl_ok(err);
}

static mcl_status after_wave(void *job, uint32_t segment, uint32_t n, int64_t done, int64_t blocks,
                             mcl_error *err) {
  watched *w = job;
  ck_assert(is_caller(w));
  ck_assert_uint_le(n, w->sweep.slots);
  ck_assert_int_eq(blocks, w->sweep.blocks);
  ck_assert_uint_eq(segment, w->segment);
  w->segment += n;
  int64_t first = w->sweep.first / MCLI_SWEEP_BLOCK;
  for (int64_t i = 0; i < BLOCKS; i++) w->wrong += w->works[i] != (i >= first && i < first + done);
  w->done = done;
  w->waves++;
  return mcl_ok(err);
}

static mcl_status sweep(watched *w, mcl_error *err) {
  mcl_rows rows;
  mcl_struct_init(&rows, sizeof rows);
  rows.rows = ROWS;
  rows.dim = 1;
  rows.dtype = MCL_F32;
  rows.user = w;
  rows.read = read_block;
  for (int i = 0; i < MCLI_SWEEP_SEGMENTS; i++) w->last[i] = -1;
  mcl_status s = mcli_sweep_open(w->context, w->comm, &rows, &w->sweep, err);
  w->segment = w->sweep.grid.first;
  if (s == MCL_OK) s = mcli_sweep_run(&w->sweep, work, after_wave, w, err);
  mcli_sweep_close(&w->sweep);
  return s;
}

// The order of one thread that in every turn reads a block for every slot, then works on each.
typedef struct order {
  int64_t blocks[BLOCKS];          // by their place
  int place[BLOCKS], turn[BLOCKS]; // by the block
} order;

static order order_of(uint32_t slots) {
  order o = {0};
  int64_t first, n;
  int place = 0, turn = 0;
  for (uint32_t wave = 0; wave < MCLI_SWEEP_SEGMENTS; wave += slots) {
    for (int64_t step = 0; step < 4; step++, turn++) {
      for (uint32_t s = wave; s < wave + slots && s < MCLI_SWEEP_SEGMENTS; s++) {
        mcli_part(BLOCKS, MCLI_SWEEP_SEGMENTS, s, &first, &n);
        if (step >= n) continue;
        o.turn[first + step] = turn;
        o.place[first + step] = place;
        o.blocks[place++] = first + step;
      }
    }
  }
  return o;
}

static void check_whole(const watched *w, uint32_t slots) {
  order o = order_of(slots);
  ck_assert_int_eq(w->reads, BLOCKS);
  ck_assert_mem_eq(w->read, o.blocks, sizeof o.blocks);
  ck_assert_int_eq(w->read_elsewhere, 0);
  ck_assert_int_eq(w->wrong, 0);
  ck_assert_int_eq(w->done, BLOCKS);
  ck_assert_uint_eq(w->segment, MCLI_SWEEP_SEGMENTS);
  ck_assert_int_eq(w->waves, (MCLI_SWEEP_SEGMENTS + (int)slots - 1) / (int)slots);
}

// ---- order --------------------------------------------------------------------------------------

START_TEST(blocks_are_read_in_order_by_the_caller_and_worked_on_in_order_once) {
  mcl_error err;
  for (uint32_t threads = 1; threads <= 5; threads++) {
    mcl_context *c = test_context(threads);
    for (int round = 0; round < 5; round++) {
      watched w = watch(c);
      w.slow = round * 11;
      CHECK_OK(sweep(&w, &err));
      check_whole(&w, threads);
    }
    mcl_context_unref(c);
  }
}
END_TEST

START_TEST(the_caller_reads_on_while_others_work) {
  mcl_error err;
  mcl_context *c = test_context(2);
  watched w = watch(c);
  w.wait = 1;
  CHECK_OK(sweep(&w, &err));
  check_whole(&w, 2);
  ck_assert_int_gt(w.elsewhere, 0);
  ck_assert_int_eq(w.waited, BLOCKS - 2 + w.elsewhere);
  mcl_context_unref(c);
}
END_TEST

static uint32_t three(void *user) {
  (void)user;
  return 3;
}
static int32_t backwards(void *user, void *job, mcl_task_fn fn, uint32_t tasks) {
  (void)user;
  for (uint32_t t = tasks; t-- > 0;) fn(job, t, t % 3);
  return 0;
}

START_TEST(a_hosts_runner_gets_the_work_and_the_caller_reads) {
  mcl_runner r;
  mcl_struct_init(&r, sizeof r);
  r.concurrency = three;
  r.run = backwards;
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.runner = &r;
  mcl_context *c = NULL;
  mcl_error err;
  CHECK_OK(mcl_context_create(&o, &c, &err));
  watched w = watch(c);
  CHECK_OK(sweep(&w, &err));
  check_whole(&w, 3);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_callback_may_fit_another_clusterer_of_the_context) {
  mcl_error err;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    watched w = watch(c);
    w.nested = 1;
    CHECK_OK(sweep(&w, &err));
    check_whole(&w, threads);
    mcl_context_unref(c);
  }
}
END_TEST

static mcl_status never(void *user, const void *send, void *recv, uint64_t bytes, mcl_error *err) {
  (void)user, (void)send, (void)recv, (void)bytes;
  return mcl_error_set(err, MCL_E_COMM, 0, "an exchange");
}

START_TEST(a_rank_reads_its_own_segments_only) {
  mcl_host_comm host;
  mcl_error err;
  mcl_context *c = test_context(3);
  mcl_struct_init(&host, sizeof host);
  host.size = 3;
  host.allgather = never;
  int64_t reads = 0;
  for (host.rank = 0; host.rank < 3; host.rank++) {
    watched w = watch(c);
    CHECK_OK(mcl_comm_create_host(c, &host, &w.comm, &err));
    CHECK_OK(sweep(&w, &err));
    for (int i = 0; i < w.reads; i++) w.wrong += w.works[w.read[i]] != 1;
    ck_assert_int_eq(w.wrong, 0);
    ck_assert_int_eq(w.reads, w.done);
    ck_assert_int_eq(w.read[0], reads); // ranks' blocks follow each other
    reads += w.reads;
    mcl_comm_unref(w.comm);
  }
  ck_assert_int_eq(reads, BLOCKS);
  mcl_context_unref(c);
}
END_TEST

// ---- failures -----------------------------------------------------------------------------------

START_TEST(nothing_is_read_after_a_failure_and_all_turns_before_it_are_done) {
  mcl_error err;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    order o = order_of(threads);
    for (int64_t bad = 0; bad < BLOCKS; bad += 9) {
      watched w = watch(c);
      w.bad_read = bad;
      CHECK_FAILS(MCL_E_IO, "read ", sweep(&w, &err));
      ck_assert_int_eq(err.host_code, 77);
      ck_assert_int_eq(w.reads, o.place[bad] + 1);
      ck_assert_int_eq(w.read_elsewhere, 0);
      for (int i = 0; i < BLOCKS; i++) { // of the same turn either may be
        if (o.turn[i] != o.turn[bad]) w.wrong += w.works[i] != (o.turn[i] < o.turn[bad]);
      }
      ck_assert_int_eq(w.wrong, 0);
    }
    mcl_context_unref(c);
  }
}
END_TEST

// With three slots the first wave's segments are blocks 0-3, 4-7 and 8-11.
static void check_first_failure(int64_t read, int64_t work0, int64_t work1, int64_t slow,
                                const char *wanted) {
  mcl_context *c = test_context(3);
  order o = order_of(3);
  for (int round = 0; round < 10; round++) {
    watched w = watch(c);
    mcl_error err;
    w.bad_read = read;
    w.bad_work[0] = work0;
    w.bad_work[1] = work1;
    w.slow = slow;
    mcl_status s = sweep(&w, &err);
    ck_assert_int_eq(s, wanted[0] == 'r' ? MCL_E_IO : MCL_E_LIMIT);
    ck_assert_msg(strstr(err.message, wanted) != NULL, "%s, not %s", err.message, wanted);
    ck_assert_int_eq(w.waves, 0);
    int turn = o.turn[atoi(wanted + 5)];
    for (int i = 0; i < BLOCKS; i++) w.wrong += w.works[i] < (o.turn[i] < turn);
    ck_assert_int_eq(w.wrong, 0);
  }
  mcl_context_unref(c);
}

START_TEST(the_first_failure_in_order_is_the_calls) {
  check_first_failure(NEVER, 1, 9, 1, "work 1");      // the same turn: the lower slot, though later
  check_first_failure(NEVER, 2, 9, 9, "work 9");      // the earlier turn
  check_first_failure(9, 1, NEVER, NEVER, "read 9");  // a turn is read before it is worked on
  check_first_failure(2, 9, NEVER, 9, "work 9");      // and worked on before the next is read
  check_first_failure(2, 10, NEVER, NEVER, "read 2"); // which one would not have come to
  check_first_failure(12, 3, 11, 3, "work 3");        // rows read ahead for the next wave
}
END_TEST

START_TEST(a_failure_of_rows_read_ahead_waits_for_its_wave) {
  mcl_context *c = test_context(3);
  watched w = watch(c);
  mcl_error err;
  w.bad_read = 12;
  CHECK_FAILS(MCL_E_IO, "read 12", sweep(&w, &err));
  ck_assert_int_eq(w.waves, 1);
  ck_assert_int_eq(w.done, 12);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_pass_survives_every_failing_allocation) {
  for (int n = 1, done = 0; !done; n++) {
    test_allocator a;
    test_allocator_init(&a);
    mcl_context *c = test_context_with(&a, 2);
    int64_t live = a.live;
    watched w = watch(c);
    mcl_error err;
    a.fail_at = n;
    mcl_status s = sweep(&w, &err);
    ck_assert(s == MCL_OK || s == MCL_E_NOMEM);
    ck_assert_int_eq(a.live, live);
    done = s == MCL_OK;
    ck_assert_int_eq(w.reads, done ? BLOCKS : 0);
    mcl_context_unref(c);
  }
}
END_TEST

RUN_TESTS("feed", blocks_are_read_in_order_by_the_caller_and_worked_on_in_order_once,
          the_caller_reads_on_while_others_work, a_hosts_runner_gets_the_work_and_the_caller_reads,
          a_callback_may_fit_another_clusterer_of_the_context, a_rank_reads_its_own_segments_only,
          nothing_is_read_after_a_failure_and_all_turns_before_it_are_done,
          the_first_failure_in_order_is_the_calls, a_failure_of_rows_read_ahead_waits_for_its_wave,
          a_pass_survives_every_failing_allocation)
