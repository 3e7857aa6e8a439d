/* fork() before and after libmcl is used. A child goes on with a context that its parent used, alone on its thread, and makes one of
 * its own; it comes to the parent's bits and ends by exit(), as programs do; and the parent goes on. Then the same with threads
 * of the host's, whose pool knows by itself that it was forked. C99. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checks.h"
#include "work.h"

enum { THREADS = 3 };

/* A thread that was joined may be listed for a moment longer. */
static int threads_become(int wanted) {
  int i;
  for (i = 0; i < 5000 && threads_now() != wanted; i++) usleep(1000);
  return threads_now() == wanted;
}

/* ---- the host's pool: it lives as long as the program, and is asked for a job at a time. -------------------- */

typedef struct pool {
  pthread_mutex_t lock;
  pthread_cond_t wake, idle;
  void *job;
  mcl_task_fn fn;
  uint32_t tasks, next, ended;
  int runs, serial;
  pid_t process;
} pool;
static pool the_pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
                        .wake = PTHREAD_COND_INITIALIZER,
                        .idle = PTHREAD_COND_INITIALIZER};

static void take(pool *p, uint32_t worker) { /* the lock is held */
  while (p->next < p->tasks) {
    uint32_t task = p->next++;
    pthread_mutex_unlock(&p->lock);
    p->fn(p->job, task, worker);
    pthread_mutex_lock(&p->lock);
    if (++p->ended == p->tasks) pthread_cond_signal(&p->idle);
  }
}

static void *worker_main(void *worker) {
  pool *p = &the_pool;
  pthread_mutex_lock(&p->lock);
  for (;;) {
    take(p, (uint32_t)(uintptr_t)worker);
    pthread_cond_wait(&p->wake, &p->lock);
  }
  return NULL;
}

static uint32_t concurrency(void *user) {
  (void)user;
  return THREADS;
}

static int32_t run(void *user, void *job, mcl_task_fn fn, uint32_t tasks) {
  pool *p = (pool *)user;
  if (p->process != getpid()) { /* the threads are not here */
    uint32_t t;
    for (t = 0; t < tasks; t++) fn(job, t, 0);
    p->serial++;
    return 0;
  }
  pthread_mutex_lock(&p->lock);
  p->runs++;
  p->job = job;
  p->fn = fn;
  p->ended = p->next = 0;
  p->tasks = tasks;
  pthread_cond_broadcast(&p->wake);
  take(p, 0);
  while (p->ended < p->tasks) pthread_cond_wait(&p->idle, &p->lock);
  pthread_mutex_unlock(&p->lock);
  return 0;
}

static mcl_context *make(int of_the_host) {
  mcl_context *context = NULL;
  mcl_context_options options;
  mcl_runner runner;
  mcl_error err;
  mcl_context_options_init(&options, sizeof options);
  options.threads = THREADS;
  mcl_struct_init(&runner, sizeof runner);
  runner.user = &the_pool;
  runner.concurrency = concurrency;
  runner.run = run;
  if (of_the_host) options.runner = &runner;
  if (mcl_context_create(&options, &context, &err) < 0) printf("%s\n", err.message);
  MUST(context);
  return context;
}

/* ---- parents and children ----------------------------------------------------------------------------- */

static void child_with_its_own(uint64_t wanted) {
  mcl_context *own = make(0);
  MUST(threads_now() == THREADS);
  MUST(work(own) == wanted);
  mcl_context_unref(own);
  MUST(threads_become(1));
}

static void child_of_a_used_context(mcl_context *used, uint64_t wanted, int of_the_host) {
  MUST(threads_now() == 1);
  MUST(work(used) == wanted);
  MUST(threads_now() == 1);
  MUST(!of_the_host == !the_pool.serial);
  child_with_its_own(wanted);
  MUST(work(used) == wanted);
  mcl_context_unref(used);
}

static void wait_for(pid_t child) {
  int status = -1;
  MUST(waitpid(child, &status, 0) == child);
  MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static pid_t forked(void) {
  pid_t child;
  fflush(NULL);
  child = fork();
  MUST(child >= 0);
  alarm(90); /* a child has none of its parent's */
  return child;
}

static void parent(int of_the_host, uint64_t wanted) {
  mcl_context *context = make(of_the_host);
  int round;
  pid_t child;
  for (round = 0; round < 2;
       round++) { /* not yet used; used, and its child's end has changed nothing */
    int runs = the_pool.runs;
    child = forked();
    if (child == 0) {
      child_of_a_used_context(context, wanted, of_the_host);
      exit(0);
    }
    wait_for(child);
    MUST(work(context) == wanted);
    MUST(!of_the_host || the_pool.runs > runs);
  }
  child = forked(); /* a child that lets go of nothing ends all the same */
  if (child == 0) exit(work(context) != wanted);
  wait_for(child);
  mcl_context_unref(context);
}

int main(void) {
  uint64_t wanted;
  uintptr_t i;
  pid_t child = forked(); /* before anything */
  if (child == 0) {
    child_with_its_own(work_alone(1));
    exit(0);
  }
  wait_for(child);
  wanted = work_alone(1);
  MUST(wanted);
  child = forked();
  if (child == 0) {
    child_with_its_own(wanted);
    exit(0);
  }
  wait_for(child);
  parent(0, wanted);
  MUST(threads_become(1));
  the_pool.process = getpid();
  for (i = 1; i < THREADS; i++) {
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, worker_main, (void *)i) == 0);
    pthread_detach(thread);
  }
  parent(1, wanted);
  printf("libmcl %s\n", mcl_version_string());
  return 0;
}
