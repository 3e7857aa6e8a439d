// The context: who gives memory, who runs tasks, who hears the log.
//
// Tasks. The work is cut by the size of the problem, never by the number of threads (mcli_parallel), so that any pool
// gives the same bits. libmcl counts finished tasks itself: a host's runner that loses one is found out.
#include "base/context.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libmcl/version.h>

#include "base/hooks.h"
#include "base/thread.h"

struct mcl_context {
  mcli_refcount refs;
  mcl_allocator allocator;
  mcl_runner runner; // run == NULL: our own pool
  mcli_pool *pool;
  void (*log)(void *user, int32_t level, const char *component, const char *message);
  void *log_user;
  int32_t log_level;
  mcli_isa isa;
  uint32_t workers;
  pid_t process; // who made the pool: after a fork its threads are gone
};

static const mcl_context_options defaults = {.struct_size = sizeof(mcl_context_options),
                                             .log_level = MCL_LOG_WARN};

void mcl_context_options_init(mcl_context_options *o, size_t struct_size) {
  mcli_options_init(o, struct_size, &defaults, sizeof defaults);
}

mcli_isa mcli_processor_isa(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    return MCLI_ISA_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return MCLI_ISA_AVX2;
#endif
  return MCLI_ISA_BASE;
}

static mcl_status read_options(const mcl_context_options *from, mcl_context_options *o,
                               mcl_allocator *allocator, mcl_runner *runner, mcl_error *err) {
  *o = defaults;
  mcl_status s = mcli_options_copy(o, sizeof *o, from, "mcl_context_options", err);
  if (s < 0) return s;
  *allocator = mcli_malloc_allocator;
  memset(runner, 0, sizeof *runner);
  if (o->allocator) {
    s = mcli_struct_in(allocator, sizeof *allocator, o->allocator, "mcl_allocator", err);
    if (s < 0) return s;
    if (!allocator->alloc || !allocator->free)
      return mcli_fail(err, MCL_E_INVALID, "mcl_allocator needs both alloc and free");
  }
  if (o->runner) {
    s = mcli_struct_in(runner, sizeof *runner, o->runner, "mcl_runner", err);
    if (s < 0) return s;
    if (!runner->run || !runner->concurrency)
      return mcli_fail(err, MCL_E_INVALID, "mcl_runner needs both run and concurrency");
  }
  // 4096 threads: past any machine that exists, short of what a mistaken -1 would ask for.
  if (o->threads > 4096)
    return mcli_fail(err, MCL_E_INVALID, "mcl_context_options.threads is %u, not 0..4096",
                     o->threads);
  if (o->log_level < MCL_LOG_OFF || o->log_level > MCL_LOG_DEBUG)
    return mcli_fail(err, MCL_E_INVALID, "mcl_context_options.log_level is %d, not 0..4",
                     (int)o->log_level);
  return MCL_OK;
}

static mcl_status start_workers(mcl_context *c, const mcl_context_options *o, mcl_error *err) {
  mcl_status s = mcli_hook_setup(c, err);
  if (s < 0) return s;
  if (!c->runner.run) {
    s = mcli_pool_create(c, o->threads ? o->threads : mcli_cores(), mcli_hook_warm, &c->pool, err);
    if (s < 0) return s;
    c->workers = mcli_pool_size(c->pool);
    return MCL_OK;
  }
  c->workers = c->runner.concurrency(c->runner.user);
  if (c->workers < 1 || c->workers > 4096)
    return mcli_fail(err, MCL_E_INVALID, "mcl_runner.concurrency returned %u, not 1..4096",
                     c->workers);
  mcli_hook_warm(c);
  return MCL_OK;
}

mcl_status mcl_context_create(const mcl_context_options *options, mcl_context **out,
                              mcl_error *err) {
  mcl_context_options o;
  mcl_allocator allocator;
  mcl_runner runner;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_status s = read_options(options, &o, &allocator, &runner, err);
  if (s < 0) return s;
  mcl_context *c = mcli_alloc_with(&allocator, sizeof *c);
  if (!c) return mcli_nomem(err, "the context");
  memset(c, 0, sizeof *c);
  mcli_ref_init(&c->refs);
  c->allocator = allocator;
  c->runner = runner;
  c->log = o.log;
  c->log_user = o.log_user;
  c->log_level = o.log_level;
  c->isa = mcli_processor_isa();
  c->process = getpid();
  s = start_workers(c, &o, err);
  if (s < 0) {
    mcl_context_unref(c);
    return s;
  }
  *out = c;
  return mcl_ok(err);
}

mcl_context *mcl_context_ref(mcl_context *c) {
  if (c) mcli_ref(&c->refs);
  return c;
}

void mcl_context_unref(mcl_context *c) {
  if (!c || !mcli_unref_is_last(&c->refs)) return;
  // In a forked child the pool's threads do not exist; joining them would wait for ever.
  if (c->process == getpid()) mcli_pool_free(c, c->pool);
  mcl_allocator allocator = c->allocator;
  mcli_free_with(&allocator, c);
}

mcl_status mcl_context_describe(const mcl_context *c, char *text, size_t capacity, size_t *wanted,
                                mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  char line[512], library[256];
  static const char *const isas[] = {"base", "avx2", "avx512"};
  mcli_hook_describe(c, library, sizeof library);
  snprintf(line, sizeof line, "libmcl %s, %s, row kernels %s, %u %s", mcl_version_string(), library,
           isas[c->isa], c->workers, c->runner.run ? "workers of the host" : "threads");
  return mcli_text_out(line, text, capacity, wanted, err);
}

mcli_isa mcli_context_isa(const mcl_context *c) {
  return c->isa;
}
const mcl_allocator *mcli_context_allocator(const mcl_context *c) {
  return &c->allocator;
}
uint32_t mcli_workers(const mcl_context *c) {
  return c->workers;
}

void mcli_log(const mcl_context *c, int32_t level, const char *component, const char *format, ...) {
  if (!c->log || level > c->log_level) return;
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  c->log(c->log_user, level, component, message);
}

// ---- parallel work -----------------------------------------------------------------------------------

typedef struct host_job {
  mcl_context *context;
  mcl_task_fn fn;
  void *job;
  atomic_uint finished, bad_workers;
  uint32_t tasks;
} host_job;

static void run_host_task(void *job, uint32_t task, uint32_t worker) {
  host_job *h = job;
  if (task >= h->tasks || worker >= h->context->workers) {
    atomic_fetch_add(&h->bad_workers, 1);
    return;
  }
  mcli_hook_warm(h->context);
  h->fn(h->job, task, worker);
  atomic_fetch_add(&h->finished, 1);
}

static mcl_status run_on_host(mcl_context *c, uint32_t tasks, mcl_task_fn fn, void *job,
                              mcl_error *err) {
  host_job h = {.context = c, .fn = fn, .job = job, .tasks = tasks};
  int32_t returned = c->runner.run(c->runner.user, &h, run_host_task, tasks);
  uint32_t finished = atomic_load(&h.finished), bad = atomic_load(&h.bad_workers);
  if (returned == 0 && finished == tasks && bad == 0) return MCL_OK;
  return mcli_fail(
      err, MCL_E_CALLBACK,
      "mcl_runner.run returned %d after %u of %u tasks, %u with a wrong task or worker",
      (int)returned, finished, tasks, bad);
}

mcl_status mcli_parallel(mcl_context *c, uint32_t tasks, mcl_task_fn fn, void *job,
                         mcl_error *err) {
  bool may_share = tasks > 1 && c->workers > 1 && !mcli_thread_is_ahead();
  if (c->runner.run && may_share) return run_on_host(c, tasks, fn, job, err);
  if (c->pool && may_share && c->process == getpid()) {
    mcli_pool_run(c->pool, tasks, fn, job);
    return MCL_OK;
  }
  for (uint32_t t = 0; t < tasks; t++) fn(job, t, 0);
  return MCL_OK;
}

mcl_status mcli_parallel_beside(mcl_context *c, uint32_t tasks, mcl_task_fn fn, void *job,
                                void (*own)(void *own_job), void *own_job, mcl_error *err) {
  if (c->pool && tasks > 0 && c->process == getpid()) {
    mcli_pool_run_beside(c->pool, tasks, fn, job, own, own_job);
    return MCL_OK;
  }
  own(own_job);
  return mcli_parallel(c, tasks, fn, job, err);
}

mcl_status mcli_guard_enter(mcli_guard *g, const char *handle, mcl_error *err) {
  if (!atomic_flag_test_and_set_explicit(&g->taken, memory_order_acquire)) return MCL_OK;
  return mcli_fail(err, MCL_E_BUSY, "the %s is in use by a call that has not returned", handle);
}
