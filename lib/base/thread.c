// A small pool of threads that lives as long as its context.
//
// One job at a time: run() publishes it, wakes everybody, and takes part itself as worker 0. Tasks are handed out by an
// atomic counter. A second caller, or a task that runs a job of its own, finds the pool busy and runs its tasks alone:
// no queue, so nothing can deadlock. A thread that cannot be started is done without.
//
// The caller may have work of its own beside the tasks, which no worker may do for it: a host's callback, say. It does
// that first and takes tasks after; workers are not waited for until then. Should that work call for a job, the pool is
// busy, and the caller runs it alone.
//
// Jobs often follow each other at once, and waking a thread takes as long as many a job: who waits looks a while first,
// some tens of microseconds, and sleeps then. Not where threads outnumber cores, for then it keeps the others from work.
#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

struct mcli_pool {
  mcl_context *context; // not a reference: the context owns the pool
  pthread_mutex_t lock;
  pthread_cond_t wake, idle;
  pthread_t *threads;
  uint32_t started, size; // size: threads and the caller
  atomic_flag busy;
  // The job, valid while `busy`.
  mcl_task_fn fn;
  void *job;
  uint32_t tasks, looks; // looks: before who waits sleeps
  atomic_uint next, working;
  atomic_ullong generation;
  bool stop;
  void (*warm)(mcl_context *c);
};

typedef struct seat {
  mcli_pool *pool;
  uint32_t worker;
} seat;

// Set on threads that work ahead: they never take the pool from the call that is waiting for it.
static _Thread_local bool alone;

static void take_tasks(mcli_pool *p, uint32_t worker) {
  for (;;) {
    uint32_t task = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
    if (task >= p->tasks) return;
    p->fn(p->job, task, worker);
  }
}

enum { LOOKS = 1000 }; // of some 40 cycles

static void pause_a_little(void) {
#ifdef __x86_64__
  __builtin_ia32_pause();
#endif
}

static void worker_loop(mcli_pool *p, uint32_t worker) {
  unsigned long long seen = 0;
  for (;;) {
    for (uint32_t i = 0; i < p->looks && atomic_load(&p->generation) == seen; i++) pause_a_little();
    pthread_mutex_lock(&p->lock);
    while (!p->stop && atomic_load(&p->generation) == seen) pthread_cond_wait(&p->wake, &p->lock);
    bool stop = p->stop;
    seen = atomic_load(&p->generation);
    pthread_mutex_unlock(&p->lock);
    if (stop) return;
    take_tasks(p, worker);
    pthread_mutex_lock(&p->lock);
    if (atomic_fetch_sub(&p->working, 1) == 1) pthread_cond_signal(&p->idle);
    pthread_mutex_unlock(&p->lock);
  }
}

static void *worker_main(void *argument) {
  seat *s = argument;
  mcli_pool *p = s->pool;
  uint32_t worker = s->worker;
  mcli_free(p->context, s);
  p->warm(p->context);
  worker_loop(p, worker);
  return NULL;
}

static bool start_thread(mcli_pool *p) {
  seat *s = mcli_alloc(p->context, 1, sizeof *s);
  if (!s) return false;
  s->pool = p;
  s->worker = p->started + 1;
  if (pthread_create(&p->threads[p->started], NULL, worker_main, s) == 0) return true;
  mcli_free(p->context, s);
  return false;
}

static void nothing(void *job, uint32_t task, uint32_t worker) {
  (void)job, (void)task, (void)worker;
}

mcl_status mcli_pool_create(mcl_context *c, uint32_t threads, void (*warm)(mcl_context *c),
                            mcli_pool **out, mcl_error *err) {
  mcli_pool *p = mcli_calloc(c, 1, sizeof *p);
  if (!p) return mcli_nomem(err, "the thread pool");
  p->threads = mcli_alloc(c, threads, sizeof *p->threads);
  if (!p->threads) {
    mcli_free(c, p);
    return mcli_nomem(err, "the thread pool");
  }
  p->context = c;
  p->warm = warm;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->wake, NULL);
  pthread_cond_init(&p->idle, NULL);
  atomic_flag_clear(&p->busy);
  p->looks = threads <= mcli_cores() ? LOOKS : 0;
  // Workers warm up before they wait for their first job; one empty job is the proof that all have.
  warm(c);
  while (p->started + 1 < threads && start_thread(p)) p->started++;
  p->size = p->started + 1;
  if (p->size < threads)
    mcli_log(c, MCL_LOG_WARN, "thread", "%u of %u threads could be started", p->size, threads);
  mcli_pool_run(p, p->size, nothing, NULL);
  *out = p;
  return MCL_OK;
}

void mcli_pool_free(mcl_context *c, mcli_pool *p) {
  if (!p) return;
  pthread_mutex_lock(&p->lock);
  p->stop = true;
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->lock);
  for (uint32_t i = 0; i < p->started; i++) pthread_join(p->threads[i], NULL);
  pthread_cond_destroy(&p->idle);
  pthread_cond_destroy(&p->wake);
  pthread_mutex_destroy(&p->lock);
  mcli_free(c, p->threads);
  mcli_free(c, p);
}

uint32_t mcli_pool_size(const mcli_pool *p) {
  return p->size;
}

static void nothing_beside(void *own_job) {
  (void)own_job;
}

void mcli_pool_run(mcli_pool *p, uint32_t tasks, mcl_task_fn fn, void *job) {
  mcli_pool_run_beside(p, tasks, fn, job, nothing_beside, NULL);
}

void mcli_pool_run_beside(mcli_pool *p, uint32_t tasks, mcl_task_fn fn, void *job,
                          void (*own)(void *own_job), void *own_job) {
  if (p->started == 0 || alone ||
      atomic_flag_test_and_set_explicit(&p->busy, memory_order_acquire)) {
    own(own_job);
    for (uint32_t t = 0; t < tasks; t++) fn(job, t, 0);
    return;
  }
  pthread_mutex_lock(&p->lock);
  p->fn = fn;
  p->job = job;
  p->tasks = tasks;
  atomic_store_explicit(&p->next, 0, memory_order_relaxed);
  atomic_store(&p->working, p->started);
  atomic_fetch_add(&p->generation, 1);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->lock);
  own(own_job);
  take_tasks(p, 0);
  for (uint32_t i = 0; i < p->looks && atomic_load(&p->working); i++) pause_a_little();
  pthread_mutex_lock(&p->lock);
  while (atomic_load(&p->working)) pthread_cond_wait(&p->idle, &p->lock);
  pthread_mutex_unlock(&p->lock);
  atomic_flag_clear_explicit(&p->busy, memory_order_release);
}

bool mcli_thread_is_ahead(void) {
  return alone;
}

uint32_t mcli_cores(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  int n = CPU_COUNT(&set);
  return n > 0 ? (uint32_t)n : 1;
}

// ---- locks ---------------------------------------------------------------------------------------------

struct mcli_lock {
  pthread_mutex_t mutex;
  pthread_cond_t woken;
};

mcli_lock *mcli_lock_new(mcl_context *c) {
  mcli_lock *l = mcli_alloc(c, 1, sizeof *l);
  if (l) pthread_mutex_init(&l->mutex, NULL);
  if (l) pthread_cond_init(&l->woken, NULL);
  return l;
}

void mcli_lock_free(mcl_context *c, mcli_lock *l) {
  if (l) pthread_cond_destroy(&l->woken);
  if (l) pthread_mutex_destroy(&l->mutex);
  mcli_free(c, l);
}

void mcli_lock_take(mcli_lock *l) {
  pthread_mutex_lock(&l->mutex);
}
void mcli_lock_give(mcli_lock *l) {
  pthread_mutex_unlock(&l->mutex);
}
void mcli_lock_wait(mcli_lock *l) {
  pthread_cond_wait(&l->woken, &l->mutex);
}
void mcli_lock_wake(mcli_lock *l) {
  pthread_cond_broadcast(&l->woken);
}

// ---- one job ahead -------------------------------------------------------------------------------------

struct mcli_ahead {
  void (*fn)(void *job);
  void *job;
  pthread_t thread;
  bool running, waiting; // on a thread; to be run at the wait
};

static void *ahead_main(void *argument) {
  mcli_ahead *a = argument;
  alone = true;
  a->fn(a->job);
  return NULL;
}

mcli_ahead *mcli_ahead_new(mcl_context *c) {
  return mcli_calloc(c, 1, sizeof(mcli_ahead));
}

void mcli_ahead_start(mcli_ahead *a, void (*fn)(void *job), void *job) {
  mcli_ahead_wait(a);
  a->fn = fn;
  a->job = job;
  a->running = pthread_create(&a->thread, NULL, ahead_main, a) == 0;
  a->waiting = !a->running;
}

void mcli_ahead_wait(mcli_ahead *a) {
  if (a->running) pthread_join(a->thread, NULL);
  if (a->waiting) a->fn(a->job);
  a->running = a->waiting = false;
}

void mcli_ahead_free(mcl_context *c, mcli_ahead *a) {
  if (a && a->running) pthread_join(a->thread, NULL);
  mcli_free(c, a);
}
