// The context as the other parts see it.
#ifndef MCL_BASE_CONTEXT_H
#define MCL_BASE_CONTEXT_H

#include <stdatomic.h>
#include <stdint.h>

#include <libmcl/context.h>

#include "base/alloc.h"
#include "base/status.h"

// Instruction sets in rising order; the row kernels and BLIS's kernel are chosen by it.
typedef enum { MCLI_ISA_BASE, MCLI_ISA_AVX2, MCLI_ISA_AVX512 } mcli_isa;

mcli_isa mcli_processor_isa(void); // the highest that this processor has
mcli_isa mcli_context_isa(const mcl_context *c);
const mcl_allocator *mcli_context_allocator(const mcl_context *c);

// Formats only when the level is wanted. Any thread.
void mcli_log(const mcl_context *c, int32_t level, const char *component, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// ---- parallel work ------------------------------------------------------------------------------------------------------
// Runs fn(job, task, worker) for every task. The number of tasks must follow from the problem alone, never from the
// number of threads; partial results are combined by the caller in task order. Inside a task, or where the pool is
// busy with another thread's job, it runs on the calling thread. worker < mcli_workers(c): index of scratch memory.
// Fails only when a host's runner does.
mcl_status mcli_parallel(mcl_context *c, uint32_t tasks, mcl_task_fn fn, void *job, mcl_error *err);
uint32_t mcli_workers(const mcl_context *c);

// The same with work of the caller's own beside it, such as a host's callback: own(own_job) begins at once on the calling
// thread while workers take tasks; when it has returned, the caller takes tasks too. Where nobody else may take them (no
// workers, a host's runner, a forked child, inside a task or an `own`), own runs to its end before the first task starts:
// so it may wait for a task only once it has seen one run. Tasks run whatever became of own, which keeps its failure in
// its job as tasks do, and may call libmcl.
mcl_status mcli_parallel_beside(mcl_context *c, uint32_t tasks, mcl_task_fn fn, void *job,
                                void (*own)(void *own_job), void *own_job, mcl_error *err);

// rows cut into parts of `block` rows: how many there are, at least 1 for rows > 0.
static inline uint32_t mcli_blocks(int64_t rows, int64_t block) {
  return (uint32_t)((rows + block - 1) / block);
}

// Part `i` of `parts` of `rows`, sizes differing by at most one: [first, first + n).
static inline void mcli_part(int64_t rows, int64_t parts, int64_t i, int64_t *first, int64_t *n) {
  int64_t small = rows / parts, larger = rows % parts;
  *first = i * small + (i < larger ? i : larger);
  *n = small + (i < larger);
}

// ---- references ---------------------------------------------------------------------------------------------------------
typedef struct mcli_refcount {
  atomic_int n;
} mcli_refcount;
static inline void mcli_ref_init(mcli_refcount *r) {
  atomic_init(&r->n, 1);
}
static inline void mcli_ref(mcli_refcount *r) {
  atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed);
}
// Whether nobody else holds it: whoever asks must be a holder, and give no reference away meanwhile.
static inline int mcli_ref_is_only(mcli_refcount *r) {
  return atomic_load_explicit(&r->n, memory_order_acquire) == 1;
}
static inline int mcli_unref_is_last(mcli_refcount *r) {
  return atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel) == 1;
}

// A handle that is changed by one thread at a time: enter fails with MCL_E_BUSY instead of corrupting anything.
typedef struct mcli_guard {
  atomic_flag taken;
} mcli_guard;
static inline void mcli_guard_init(mcli_guard *g) {
  atomic_flag_clear(&g->taken);
}
mcl_status mcli_guard_enter(mcli_guard *g, const char *handle, mcl_error *err);
static inline void mcli_guard_leave(mcli_guard *g) {
  atomic_flag_clear_explicit(&g->taken, memory_order_release);
}

// ---- progress -----------------------------------------------------------------------------------------------------------
// One a long call; begin reads the host's monitor (may be NULL).
typedef struct mcli_watch {
  mcl_monitor monitor;
  mcl_progress now;
  double began, told;
} mcli_watch;

mcl_status mcli_watch_begin(mcli_watch *w, const mcl_monitor *m, const char *phase, int64_t total,
                            mcl_error *err);
// A new phase of the same call; seconds go on.
void mcli_watch_phase(mcli_watch *w, const char *phase, int64_t total);
// MCL_E_CANCELLED when the host asks for it. Calls the host at most ten times a second, and whenever done == total.
mcl_status mcli_watch_tell(mcli_watch *w, int64_t done, double loss, mcl_error *err);

double mcli_seconds(void); // of a steady clock

#endif
