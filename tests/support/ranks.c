#include "support/ranks.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct test_world {
  pthread_mutex_t lock;
  pthread_cond_t turn;
  test_ranks *made;
  const void *sent[MOST_TEST_RANKS];
  void (*fn)(test_rank *r);
  test_rank ranks[MOST_TEST_RANKS];
  int64_t calls[MOST_TEST_RANKS];
  int64_t round;
  int32_t arrived, present;
  int gone; // a rank has ended while others count on it
} test_world;

// All that are present, or none: 0 when somebody is missing.
static int meet(test_world *w) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 60;
  int64_t round = w->round;
  if (w->present < w->made->size) w->gone = 1;
  if (++w->arrived == w->made->size) {
    w->arrived = 0;
    w->round++;
    pthread_cond_broadcast(&w->turn);
  }
  while (w->round == round && !w->gone)
    if (pthread_cond_timedwait(&w->turn, &w->lock, &until)) w->gone = 1;
  if (w->gone) pthread_cond_broadcast(&w->turn);
  return w->round != round;
}

static mcl_status allgather(void *user, const void *send, void *recv, uint64_t bytes,
                            mcl_error *err) {
  test_rank *r = user;
  test_world *w = r->world;
  ck_assert(bytes >= 1 && bytes <= MCL_COMM_BYTES);
  pthread_mutex_lock(&w->lock);
  int64_t call = ++w->calls[r->rank];
  if (r->rank == 0) w->made->gathers++;
  if (r->rank == 0 && (int64_t)bytes > w->made->most_bytes) w->made->most_bytes = (int64_t)bytes;
  if (w->made->die_at && call >= w->made->die_at && r->rank == w->made->dying) w->gone = 1;
  w->sent[r->rank] = send;
  int together = !w->gone && meet(w);
  for (int32_t i = 0; i < r->size && together; i++)
    memcpy((char *)recv + (uint64_t)i * bytes, w->sent[i], bytes);
  // Nobody's `send` may change before all have read it.
  if (together) together = meet(w);
  if (!together) pthread_cond_broadcast(&w->turn);
  pthread_mutex_unlock(&w->lock);
  return together ? mcl_ok(err) : mcl_error_set(err, MCL_E_IO, 104, "a rank has gone");
}

static mcl_status sum(void *user, float *data, uint64_t n, mcl_error *err) {
  test_rank *r = user;
  ck_assert(n >= 1 && n <= MCL_COMM_FLOATS);
  float *all = malloc(n * sizeof *all * (uint64_t)r->size);
  if (r->rank == 0) r->world->made->sums++;
  mcl_status s = MCL_OK;
  for (uint64_t at = 0, m; at < n && s == MCL_OK; at += m) {
    m = n - at < 1000000 ? n - at : 1000000;
    s = allgather(user, data + at, all, m * sizeof *data, err);
    for (uint64_t i = 0; i < m && s == MCL_OK; i++) {
      float total = 0;
      for (int32_t k = 0; k < r->size; k++) total += all[(uint64_t)k * m + i];
      data[at + i] = total;
    }
  }
  free(all);
  return s;
}

mcl_status test_rank_sum(test_rank *r, float *x, uint64_t n, mcl_error *err) {
  return sum(r, x, n, err);
}

static void *run(void *user) {
  test_rank *r = user;
  test_world *w = r->world;
  mcl_error err;
  r->context =
      test_context_with(w->made->allocators[r->rank], w->made->threads ? w->made->threads : 1);
  if (r->size > 1) {
    mcl_host_comm h;
    mcl_struct_init(&h, sizeof h);
    h.user = r;
    h.rank = r->rank;
    h.size = r->size;
    h.allgather = allgather;
    if (w->made->by_sum) h.sum = sum;
    CHECK_OK(mcl_comm_create_host(r->context, &h, &r->comm, &err));
  }
  w->fn(r);
  pthread_mutex_lock(&w->lock);
  w->present--;
  if (w->arrived) w->gone = 1; // somebody waits for us
  pthread_cond_broadcast(&w->turn);
  pthread_mutex_unlock(&w->lock);
  mcl_comm_unref(r->comm);
  mcl_context_unref(r->context);
  return NULL;
}

void test_ranks_run(test_ranks *made, void (*fn)(test_rank *r), void *user) {
  test_world w = {.made = made, .fn = fn, .present = made->size};
  pthread_t threads[MOST_TEST_RANKS];
  pthread_mutex_init(&w.lock, NULL);
  pthread_cond_init(&w.turn, NULL);
  test_unfilled_memory();
  made->gathers = made->sums = made->most_bytes = 0;
  for (int32_t i = 0; i < made->size; i++) {
    w.ranks[i] = (test_rank){.user = user, .rank = i, .size = made->size, .world = &w};
    ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &w.ranks[i]), 0);
  }
  for (int32_t i = 0; i < made->size; i++) pthread_join(threads[i], NULL);
  pthread_cond_destroy(&w.turn);
  pthread_mutex_destroy(&w.lock);
}
