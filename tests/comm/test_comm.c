// Exchanges between ranks: what they carry, and that a failure anywhere is everyone's.
#include "comm/comm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/ranks.h"

// ---- the handle -----------------------------------------------------------------------------------------------------

static int destroyed;
static void count_destroyed(void *user) {
  (void)user;
  destroyed++;
}

static mcl_status no_gather(void *user, const void *send, void *recv, uint64_t bytes,
                            mcl_error *err) {
  (void)user, (void)send, (void)recv, (void)bytes;
  return mcl_ok(err);
}

static mcl_host_comm table(int32_t rank, int32_t size) {
  mcl_host_comm h;
  mcl_struct_init(&h, sizeof h);
  h.rank = rank;
  h.size = size;
  h.allgather = no_gather;
  h.destroy = count_destroyed;
  return h;
}

START_TEST(create_checks_its_table) {
  mcl_error err;
  mcl_comm *comm = NULL;
  mcl_context *c = test_context(1);
  destroyed = 0;
  mcl_host_comm h = table(0, 2);
  CHECK_FAILS(MCL_E_INVALID, "mcl_host_comm is NULL", mcl_comm_create_host(c, NULL, &comm, &err));
  CHECK_FAILS(MCL_E_INVALID, "context is NULL", mcl_comm_create_host(NULL, &h, &comm, &err));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL", mcl_comm_create_host(c, &h, NULL, &err));
  h = table(2, 2);
  CHECK_FAILS(MCL_E_INVALID, "rank is 2", mcl_comm_create_host(c, &h, &comm, &err));
  h = table(-1, 2);
  CHECK_FAILS(MCL_E_INVALID, "rank is -1", mcl_comm_create_host(c, &h, &comm, &err));
  h = table(0, 0);
  CHECK_FAILS(MCL_E_INVALID, "size is 0", mcl_comm_create_host(c, &h, &comm, &err));
  h = table(0, 65537);
  CHECK_FAILS(MCL_E_INVALID, "size is 65537", mcl_comm_create_host(c, &h, &comm, &err));
  h = table(0, 2);
  h.allgather = NULL;
  CHECK_FAILS(MCL_E_INVALID, "allgather", mcl_comm_create_host(c, &h, &comm, &err));
  struct {
    mcl_host_comm table;
    int64_t unknown;
  } newer = {table(0, 2), 1};
  newer.table.struct_size = sizeof newer;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "mcl_host_comm",
              mcl_comm_create_host(c, &newer.table, &comm, &err));
  ck_assert_int_eq(destroyed, 8); // each but for the NULL
  ck_assert_ptr_null(comm);
  h = table(1, 2);
  CHECK_OK(mcl_comm_create_host(c, &h, &comm, &err));
  ck_assert_int_eq(mcl_comm_rank(comm), 1);
  ck_assert_int_eq(mcl_comm_size(comm), 2);
  ck_assert_ptr_eq(mcl_comm_ref(comm), comm);
  mcl_comm_unref(comm);
  ck_assert_int_eq(destroyed, 8);
  mcl_comm_unref(comm);
  ck_assert_int_eq(destroyed, 9);
  h = table(0, 1);
  h.allgather = NULL; // never called
  CHECK_OK(mcl_comm_create_host(c, &h, &comm, &err));
  mcl_comm_unref(comm);
  mcl_comm_unref(NULL);
  ck_assert_ptr_null(mcl_comm_ref(NULL));
  ck_assert_int_eq(mcl_comm_rank(NULL), 0);
  ck_assert_int_eq(mcl_comm_size(NULL), 1);
  mcl_context_unref(c);
}
END_TEST

// ---- shares ---------------------------------------------------------------------------------------------------------

static mcl_comm *comm_of(mcl_context *c, int32_t rank, int32_t size) {
  mcl_error err;
  mcl_comm *comm;
  mcl_host_comm h = table(rank, size);
  CHECK_OK(mcl_comm_create_host(c, &h, &comm, &err));
  return comm;
}

START_TEST(shares_hold_every_row_once_in_whole_blocks) {
  mcl_context *c = test_context(1);
  const int64_t rows[] = {0, 1, 1023, 1024, 1025, 5000, 65536, 65537, 1000003, INT64_C(1) << 40};
  const int32_t sizes[] = {1, 2, 3, 4, 7, 64, 100};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
      int64_t next = 0;
      for (int32_t r = 0; r < sizes[k]; r++) {
        int64_t first, n;
        mcl_comm *comm = comm_of(c, r, sizes[k]);
        mcl_comm_share(comm, rows[i], &first, &n);
        ck_assert_int_eq(first, next);
        ck_assert(n >= 0 && (first % 1024 == 0 || n == 0));
        next = first + n;
        ck_assert(next % 1024 == 0 || next == rows[i]);
        mcl_comm_unref(comm);
      }
      ck_assert_int_eq(next, rows[i]);
    }
  int64_t first = 9, n = 9;
  mcl_comm_share(NULL, 5000, &first, &n);
  ck_assert(first == 0 && n == 5000);
  mcl_comm_share(NULL, -3, &first, &n);
  ck_assert(first == 0 && n == 0);
  mcl_comm_share(NULL, 5, NULL, NULL);
  mcl_context_unref(c);
}
END_TEST

// ---- exchanges ------------------------------------------------------------------------------------------------------

static void gather_all(test_rank *r) {
  mcl_error err;
  enum { N = 900000 }; // more than one allgather takes at five ranks
  int64_t wrong = 0;
  int64_t *send = malloc(N * sizeof *send), *recv = malloc(N * sizeof *recv * (size_t)r->size);
  for (int64_t i = 0; i < N; i++) send[i] = r->rank * 1000000007LL + i;
  CHECK_OK(mcli_comm_enter(r->comm, &err));
  CHECK_OK(mcli_comm_begin(r->comm, MCL_OK, 77, &err));
  CHECK_OK(mcli_comm_gather(r->comm, MCL_OK, send, recv, N * (int64_t)sizeof *send, &err));
  for (int64_t i = 0; i < N * r->size; i++) wrong += recv[i] != i / N * 1000000007LL + i % N;
  ck_assert_int_eq(wrong, 0);
  CHECK_OK(mcli_comm_gather(r->comm, MCL_OK, send, recv, 8, &err));
  for (int32_t i = 0; i < r->size; i++) ck_assert_int_eq(recv[i], i * 1000000007LL);
  CHECK_OK(mcli_comm_end(r->comm, MCL_OK, &err));
  free(send);
  free(recv);
}

// The longest part is larger than what one allgather takes at five ranks.
static void gather_parts(test_rank *r) {
  mcl_error err;
  int64_t first[MOST_TEST_RANKS + 1] = {0}, row = 100;
  for (int32_t i = 0; i < r->size; i++) first[i + 1] = first[i] + (i == 1 ? 0 : 4000 * (i + 1) + i);
  int64_t n = first[r->size];
  int32_t *data = calloc((size_t)(n * row), sizeof *data);
  for (int64_t i = first[r->rank] * row; i < first[r->rank + 1] * row; i++)
    data[i] = (int32_t)i + 1;
  CHECK_OK(mcli_comm_enter(r->comm, &err));
  CHECK_OK(mcli_comm_gather_parts(r->comm, MCL_OK, first, data, row * 4, &err));
  int64_t wrong = 0;
  for (int64_t i = 0; i < n * row; i++) wrong += data[i] != (int32_t)i + 1;
  ck_assert_int_eq(wrong, 0);
  CHECK_OK(mcli_comm_end(r->comm, MCL_OK, &err));
  free(data);
}

static void add_up(test_rank *r) {
  mcl_error err;
  enum { N = 4300000 };
  float *data = malloc(N * sizeof *data);
  for (int64_t i = 0; i < N; i++) data[i] = (float)((i % 1000) * (r->rank + 1));
  CHECK_OK(mcli_comm_enter(r->comm, &err));
  CHECK_OK(mcli_comm_sum(r->comm, MCL_OK, data, N, &err));
  int32_t times = r->size * (r->size + 1) / 2;
  int64_t wrong = 0;
  for (int64_t i = 0; i < N; i++) wrong += data[i] != (float)(i % 1000 * times);
  ck_assert_int_eq(wrong, 0);
  CHECK_OK(mcli_comm_end(r->comm, MCL_OK, &err));
  free(data);
}

START_TEST(numbers_arrive_in_the_order_of_ranks) {
  for (int32_t size = 1; size <= 5; size++) {
    test_ranks w = {.size = size};
    test_ranks_run(&w, gather_all, NULL);
    ck_assert_int_le(w.most_bytes * size, 32 << 20);
    test_ranks_run(&w, gather_parts, NULL);
    ck_assert_int_le(w.most_bytes * size, 32 << 20);
    if (size == 5) ck_assert_int_eq(w.gathers, 4); // note, two rounds, end
    if (size > 3) continue;
    test_ranks_run(&w, add_up, NULL);
    w.by_sum = 1;
    test_ranks_run(&w, add_up, NULL);
    if (size > 1) ck_assert_int_eq(w.sums, 2);
  }
}
END_TEST

// ---- failures -------------------------------------------------------------------------------------------------------

// `at`: which exchange a rank fails before, from 0 the beginning, to 3 the end.
typedef struct failing {
  int32_t rank, other, at;
} failing;

static mcl_status fail_here(const failing *f, const test_rank *r, int32_t at, mcl_error *err) {
  if (f->at != at || (r->rank != f->rank && r->rank != f->other)) return MCL_OK;
  mcl_error_set(err, MCL_E_IO, 40 + r->rank, "the disk is gone");
  err->row = 1000 + r->rank;
  return MCL_E_IO;
}

static mcl_status call(test_rank *r, const failing *f, mcl_error *err) {
  int32_t mine = r->rank, all[MOST_TEST_RANKS];
  mcl_status s = mcli_comm_enter(r->comm, err);
  if (s < 0) return s;
  s = mcli_comm_begin(r->comm, fail_here(f, r, 0, err), 5, err);
  for (int32_t i = 1; i <= 2 && s == MCL_OK; i++) {
    s = fail_here(f, r, i, err);
    if (s == MCL_OK) s = mcli_comm_gather(r->comm, s, &mine, all, sizeof mine, err);
  }
  if (s == MCL_OK) s = fail_here(f, r, 3, err);
  return mcli_comm_end(r->comm, s, err);
}

static void fails_everywhere(test_rank *r) {
  const failing *f = r->user;
  mcl_error err;
  int32_t first = f->rank < f->other || f->other < 0 ? f->rank : f->other;
  char prefix[32];
  snprintf(prefix, sizeof prefix, "rank %d: the disk", (int)first);
  CHECK_FAILS(MCL_E_IO, prefix, call(r, f, &err));
  ck_assert_int_eq(err.host_code, 40 + first);
  ck_assert_int_eq(err.row, 1000 + first);
  failing none = {-1, -1, -1}; // and the next call is fine
  CHECK_OK(call(r, &none, &err));
}

START_TEST(a_failure_is_the_same_on_all_ranks) {
  for (int32_t size = 2; size <= 4; size++)
    for (int32_t rank = 0; rank < size; rank++)
      for (int32_t at = 0; at <= 3; at++) {
        test_ranks w = {.size = size};
        failing f = {rank, -1, at};
        test_ranks_run(&w, fails_everywhere, &f);
        f.other = (rank + 1) % size;
        test_ranks_run(&w, fails_everywhere, &f);
      }
}
END_TEST

// A call within a call, failing inside or after it.
static void within(test_rank *r) {
  failing *f = r->user;
  mcl_error err;
  failing inner = *f, none = {-1, -1, -1};
  CHECK_OK(mcli_comm_enter(r->comm, &err));
  mcl_status s = mcli_comm_begin(r->comm, MCL_OK, 9, &err);
  int32_t lent = mcli_comm_lend(r->comm);
  CHECK_OK(call(r, &none, &err));
  s = call(r, &inner, &err);
  ck_assert_int_eq(s, MCL_E_IO);
  CHECK_FAILS(MCL_E_IO, "the disk", call(r, &none, &err)); // no further one is made
  mcli_comm_take_back(r->comm, lent);
  if (r->rank == 2) s = MCL_OK; // whoever has not listened has failed all the same
  CHECK_FAILS(MCL_E_IO, "the disk", mcli_comm_end(r->comm, s, &err));
  CHECK_OK(call(r, &none, &err));
}

START_TEST(a_failure_within_a_call_ends_both) {
  for (int32_t at = 0; at <= 3; at++) {
    test_ranks w = {.size = 3};
    failing f = {1, -1, at};
    test_ranks_run(&w, within, &f);
  }
}
END_TEST

static void differ(test_rank *r) {
  mcl_error err;
  CHECK_OK(mcli_comm_enter(r->comm, &err));
  mcl_status s = mcli_comm_begin(r->comm, MCL_OK, r->rank == 2 ? 6 : 5, &err);
  ck_assert_int_eq(s, MCL_E_MISMATCH);
  CHECK_FAILS(MCL_E_MISMATCH, "rank 2", mcli_comm_end(r->comm, s, &err));
  // Another length is another call, too.
  char mine[8] = {0}, all[8 * MOST_TEST_RANKS];
  CHECK_OK(mcli_comm_enter(r->comm, &err));
  s = mcli_comm_gather(r->comm, MCL_OK, mine, all, r->rank == 1 ? 4 : 8, &err);
  ck_assert_int_eq(s, MCL_E_MISMATCH);
  CHECK_FAILS(MCL_E_MISMATCH, "rank 1", mcli_comm_end(r->comm, s, &err));
  failing none = {-1, -1, -1};
  CHECK_OK(call(r, &none, &err));
}

START_TEST(different_calls_are_told_apart) {
  test_ranks w = {.size = 4};
  test_ranks_run(&w, differ, NULL);
}
END_TEST

static void inside_itself(test_rank *r) {
  mcl_error err, other;
  failing none = {-1, -1, -1};
  CHECK_OK(mcli_comm_enter(r->comm, &err));
  if (r->rank == 1) {
    ck_assert_int_eq(call(r, &none, &other), MCL_E_BUSY);
    ck_assert_ptr_nonnull(strstr(other.message, "comm"));
  }
  CHECK_OK(mcli_comm_end(r->comm, MCL_OK, &err));
}

START_TEST(a_second_call_is_busy_and_exchanges_nothing) {
  test_ranks w = {.size = 3};
  test_ranks_run(&w, inside_itself, NULL);
  ck_assert_int_eq(w.gathers, 1);
}
END_TEST

// What was lent is this thread's, one call after the other, until it is taken back.
static void *of_another_thread(void *user) {
  mcl_error err;
  failing none = {-1, -1, -1};
  ck_assert_int_eq(call(user, &none, &err), MCL_E_BUSY);
  return NULL;
}

static void borrow(test_rank *r) {
  mcl_error err, other;
  failing none = {-1, -1, -1};
  pthread_t thread;
  CHECK_OK(mcli_comm_enter(r->comm, &err));
  int32_t lent = mcli_comm_lend(r->comm);
  if (r->rank == 1) {
    ck_assert_int_eq(pthread_create(&thread, NULL, of_another_thread, r), 0);
    pthread_join(thread, NULL);
  }
  CHECK_OK(mcli_comm_enter(r->comm, &err));
  ck_assert_int_eq(call(r, &none, &other), MCL_E_BUSY);
  int32_t again = mcli_comm_lend(r->comm);
  CHECK_OK(call(r, &none, &err));
  mcli_comm_take_back(r->comm, again);
  ck_assert_int_eq(call(r, &none, &other), MCL_E_BUSY);
  CHECK_OK(mcli_comm_end(r->comm, MCL_OK, &err));
  CHECK_OK(call(r, &none, &err));
  mcli_comm_take_back(r->comm, lent);
  ck_assert_int_eq(call(r, &none, &other), MCL_E_BUSY);
  CHECK_OK(mcli_comm_end(r->comm, MCL_OK, &err));
}

START_TEST(calls_within_a_call_are_one_thread_s) {
  test_ranks w = {.size = 3};
  test_ranks_run(&w, borrow, NULL);
}
END_TEST

// A process that has ended: the others fail now, and ever after.
static void lose_one(test_rank *r) {
  mcl_error err;
  failing none = {-1, -1, -1};
  mcl_status s = MCL_OK;
  for (int i = 0; i < 10 && s == MCL_OK; i++) s = call(r, &none, &err);
  ck_assert_int_eq(s, MCL_E_COMM);
  ck_assert_int_eq(err.host_code, 104);
  ck_assert_ptr_nonnull(strstr(err.message, "gone"));
  CHECK_FAILS(MCL_E_COMM, "earlier", call(r, &none, &err));
}

START_TEST(a_lost_rank_loses_the_comm) {
  for (int64_t at = 1; at <= 12; at++) {
    test_ranks w = {.size = 3, .die_at = at, .dying = 1};
    test_ranks_run(&w, lose_one, NULL);
  }
}
END_TEST

START_TEST(an_allgather_that_does_nothing_is_found_out) {
  mcl_error err;
  mcl_context *c = test_context(1);
  mcl_comm *comm = comm_of(c, 0, 2);
  CHECK_OK(mcli_comm_enter(comm, &err));
  mcl_status s = mcli_comm_begin(comm, MCL_OK, 1, &err);
  CHECK_FAILS(MCL_E_COMM, "order of ranks", mcli_comm_end(comm, s, &err));
  mcl_comm_unref(comm);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("comm", create_checks_its_table, shares_hold_every_row_once_in_whole_blocks,
          numbers_arrive_in_the_order_of_ranks, a_failure_is_the_same_on_all_ranks,
          a_failure_within_a_call_ends_both, different_calls_are_told_apart,
          a_second_call_is_busy_and_exchanges_nothing, calls_within_a_call_are_one_thread_s,
          a_lost_rank_loses_the_comm, an_allgather_that_does_nothing_is_found_out)
