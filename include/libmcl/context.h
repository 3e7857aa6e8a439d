/* The context: memory, threads and log of everything made with it. Make one a process, or one a thread pool.
 *
 * Every other handle keeps a reference to its context, so handles may be released in any order. */
#ifndef LIBMCL_CONTEXT_H
#define LIBMCL_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/export.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** Reference-counted; may be used by any number of threads at once. */
typedef struct mcl_context mcl_context;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_context *mcl_context_ref(mcl_context *context);

/** Gives a reference back; the last one joins the built-in pool's threads and frees the context. NULL is fine. Never
 *  call it from a task or a callback of the same context. */
MCL_API void mcl_context_unref(mcl_context *context);

/** The host's memory. Callbacks may be called from any thread, several at once. The struct is copied; what `user`
 *  points to must outlive the context. */
typedef struct mcl_allocator {
  size_t struct_size;
  void *user; /**< handed to every callback */
  /** At least `size` bytes aligned to `alignment` (a power of two), or NULL: the call then fails with MCL_E_NOMEM. */
  void *(*alloc)(void *user, size_t size, size_t alignment);
  /** Called with exactly the size and alignment that were asked for; never with NULL. */
  void (*free)(void *user, void *ptr, size_t size, size_t alignment);
} mcl_allocator;

/** One task of a parallel job: given to the host's pool by mcl_runner.run. */
typedef void (*mcl_task_fn)(void *job, uint32_t task, uint32_t worker);

/** The host's thread pool. The struct is copied; what `user` points to must outlive the context.
 *
 *  Results never depend on the pool: the work is cut by the size of the problem and combined in a fixed order.
 *  The pool's threads should live long: a thread that is new to libmcl warms the BLAS up at its first task, and the
 *  BLAS aborts the process if memory runs out right there. */
typedef struct mcl_runner {
  size_t struct_size;
  void *user; /**< handed to every callback */
  /** How many tasks can run at once, at least 1; asked once, when the context is created. */
  uint32_t (*concurrency)(void *user);
  /** Runs fn(job, task, worker) for every task in 0..tasks-1, in any order, and returns 0 when all have ended.
   *  `worker` is below concurrency() and no two tasks that run at the same time share it. Anything but 0 fails the
   *  call with MCL_E_CALLBACK; so does a task that was not run. A task must not be run twice. */
  int32_t (*run)(void *user, void *job, mcl_task_fn fn, uint32_t tasks);
} mcl_runner;

/** Levels of the log. */
enum {
  MCL_LOG_OFF,   /**< nothing */
  MCL_LOG_ERROR, /**< no message has it yet: what fails is told by the call that failed */
  MCL_LOG_WARN, /**< what was done without: files left out, threads that could not be started, a slow BLIS */
  MCL_LOG_INFO, /**< no message has it yet */
  MCL_LOG_DEBUG /**< what image decoders remark about files */
};

/** Prepared by mcl_context_options_init(). */
typedef struct mcl_context_options {
  size_t struct_size;
  const mcl_allocator *allocator; /**< NULL: malloc */
  const mcl_runner *runner;       /**< NULL: a pool of `threads` threads that the context owns */
  /** NULL: silent. Called from any thread, never while libmcl holds a lock; the strings live during the call only. */
  void (*log)(void *user, int32_t level, const char *component, const char *message);
  void *log_user;    /**< handed to `log` */
  int32_t log_level; /**< messages above it are not made; default MCL_LOG_WARN */
  uint32_t
      threads; /**< 0, the default: as many as the cores this process may use; 1: none but the caller's */
} mcl_context_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_context_options_init(mcl_context_options *options, size_t struct_size);

/** Creates a context; `options` NULL: the defaults. Starts the pool and warms the BLAS up on each of its threads. This is
 *  the one place where running out of memory may abort the process, inside BLIS; a trial allocation goes before.
 *  A thread that cannot be started is done without: fewer threads, the same results.
 *  Errors: MCL_E_INVALID (a field, named), MCL_E_NOMEM, MCL_E_UNSUPPORTED (an unknown tail of a newer struct; a BLIS whose
 *  layout this build does not know). */
MCL_API MCL_CHECK mcl_status mcl_context_create(const mcl_context_options *options,
                                                mcl_context **out, mcl_error *err);

/** Writes one line of text, NUL-terminated, about what this context runs on: version, BLIS and the kernel chosen for this
 *  processor, the row kernels, threads. `wanted` (may be NULL) gets the bytes needed, the NUL included.
 *  Errors: MCL_E_LIMIT (capacity too small; `text` untouched). Any thread. */
MCL_API MCL_CHECK mcl_status mcl_context_describe(const mcl_context *context, char *text,
                                                  size_t capacity, size_t *wanted, mcl_error *err);

/** How far a long call has come; filled by libmcl. */
typedef struct mcl_progress {
  size_t struct_size;
  const char *phase; /**< "seed", "fit", "assign", "train", "embed" ...: static storage */
  int64_t done;      /**< of `total` blocks, iterations or steps of this phase */
  int64_t total;     /**< 0: not known */
  int32_t stage;     /**< -1 where there is none */
  int32_t epoch;     /**< -1 where there is none */
  double loss;       /**< the latest loss or inertia; NaN where there is none */
  double seconds;    /**< since the call began */
} mcl_progress;

/** Watches and cancels a long call. */
typedef struct mcl_monitor {
  size_t struct_size;
  void *user; /**< handed to every callback */
  /** Called on the thread that called libmcl, between blocks of work, at most ten times a second and once at the end of a
   *  phase. Non-zero: the call stops and returns MCL_E_CANCELLED, leaving what it was to change as it was.
   *  NULL: nothing is watched. */
  int32_t (*progress)(void *user, const mcl_progress *progress);
} mcl_monitor;

MCL_END_DECLS

#endif
