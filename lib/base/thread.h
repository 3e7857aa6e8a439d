// The built-in thread pool, and the one background task at a time that data loading needs.
// The only place that knows pthreads.
#ifndef MCL_BASE_THREAD_H
#define MCL_BASE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/context.h"

typedef struct mcli_pool mcli_pool;

// `warm` runs once on every worker, all of them at once, before create returns.
mcl_status mcli_pool_create(mcl_context *c, uint32_t threads, void (*warm)(mcl_context *c),
                            mcli_pool **out, mcl_error *err);
void mcli_pool_free(mcl_context *c, mcli_pool *p);
uint32_t mcli_pool_size(const mcli_pool *p); // threads, the caller's included
void mcli_pool_run(mcli_pool *p, uint32_t tasks, mcl_task_fn fn, void *job);
// own(own_job) on the calling thread while workers take tasks, then the rest of the tasks there too; own first where
// there is no worker to be had.
void mcli_pool_run_beside(mcli_pool *p, uint32_t tasks, mcl_task_fn fn, void *job,
                          void (*own)(void *own_job), void *own_job);
uint32_t mcli_cores(void); // that this process may use

typedef struct mcli_lock mcli_lock;
mcli_lock *mcli_lock_new(mcl_context *c); // NULL without memory
void mcli_lock_free(mcl_context *c, mcli_lock *l);
void mcli_lock_take(mcli_lock *l);
void mcli_lock_give(mcli_lock *l);
// By who holds the lock: gives it, sleeps until somebody wakes all (or for no reason), and has it again.
void mcli_lock_wait(mcli_lock *l);
void mcli_lock_wake(mcli_lock *l); // all who wait

// Runs fn(job) on a thread of its own while the caller goes on; where no thread can be had, at the wait.
// For decoding the next batch during training. One job at a time.
typedef struct mcli_ahead mcli_ahead;
mcli_ahead *mcli_ahead_new(mcl_context *c);
void mcli_ahead_start(mcli_ahead *a, void (*fn)(void *job), void *job);
void mcli_ahead_wait(mcli_ahead *a); // returns when the job has ended; fine when there is none
void mcli_ahead_free(mcl_context *c, mcli_ahead *a);
bool mcli_thread_is_ahead(void); // on such a thread; its parallel work runs on it alone

#endif
