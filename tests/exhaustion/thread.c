// Threads that cannot be started: the n-th one, or it and all later ones. A context is made all the same and says in the log what it
// had to do without, and what is computed with it has the same bits; so has a run that cannot load its next batch beside a step.
//
// The linker hands pthread_create() to us (--wrap).
#include <errno.h>
#include <stdatomic.h>

#include "exhaustion/exhaust.h"

enum { THREADS = 4 };

static atomic_int created, fail_at; // fail_at 0: none
static atomic_bool for_ever;

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg) {
  int n = ++created, at = fail_at;
  if (at && (n == at || (for_ever && n > at))) return EAGAIN;
  return __real_pthread_create(t, a, fn, arg);
}

static void fail_from(int n, bool all) {
  created = 0;
  fail_at = n;
  for_ever = all;
}

// ---- the context -----------------------------------------------------------------------------------------

static char said[256];

static void log_to(void *user, int32_t level, const char *component, const char *message) {
  (void)user, (void)level;
  if (strcmp(component, "gemm") == 0) return; // a shared BLIS's kernels
  snprintf(said, sizeof said, "%s", message);
}

static void make_context(int64_t fail_memory_at) {
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  test_allocator_init(&memory);
  memory.fail_at = fail_memory_at;
  o.allocator = &memory.table;
  o.threads = THREADS;
  o.log = log_to;
  *said = 0;
  c = NULL;
  mcl_status s = mcl_context_create(&o, &c, &err);
  memory.fail_at = 0;
  ck_assert(s == MCL_OK || (fail_memory_at && s == MCL_E_NOMEM));
}

static void let_context_go(void) {
  mcl_context_unref(c);
  ck_assert_int_eq(memory.live, 0);
}

// The pool ends with the first thread that cannot be had: who waits for memory would not get it by asking again.
static void context_does_with_fewer(void) {
  char wanted[64], text[256];
  for (int all = 0; all < 2; all++)
    for (int n = 1; n <= THREADS; n++) {
      fail_from(n, all);
      make_context(0);
      fail_from(0, false);
      snprintf(wanted, sizeof wanted, "%d of %d threads could be started", n, THREADS);
      ck_assert_str_eq(said, n < THREADS ? wanted : "");
      CHECK_OK(mcl_context_describe(c, text, sizeof text, NULL, &err));
      snprintf(wanted, sizeof wanted, "%d thread", n);
      ck_assert_msg(strstr(text, wanted) != NULL, "%s: %s", wanted, text);
      let_context_go();
    }
}

// A thread and a request for memory both.
static void context_without_memory_or_threads(void) {
  int failures = 0;
  for (int n = 0; n < THREADS; n++) {
    bool hit = true;
    for (int64_t m = 1; hit; m++) {
      fail_from(n, true);
      make_context(m);
      fail_from(0, false);
      hit = memory.requests >= m;
      failures += hit;
      let_context_go();
    }
  }
  ck_assert_int_gt(failures, 3 * THREADS);
}

// ---- the same bits ---------------------------------------------------------------------------------------

static const exhaust_case *case_of(const exhaust_part *part, const char *name, const char *of) {
  for (int i = 0; i < part->n; i++)
    if (!strcmp(part->cases[i].name, name) && !strcmp(part->cases[i].of, of))
      return &part->cases[i];
  ck_abort_msg("no case %s %s", name, of);
  return NULL;
}

// Threads asked for.
static int make_call(const exhaust_case *e, seen *s) {
  make_context(0);
  e->prepare();
  CHECK_OK(e->call());
  int asked = created;
  s->n = 0;
  e->look(s);
  e->finish();
  let_context_go();
  return asked;
}

// How many threads the undisturbed call and its context asked for.
static int same_bits(const exhaust_part *part, const char *name, const char *of) {
  const exhaust_case *e = case_of(part, name, of);
  seen wanted = {0}, got = {0};
  char when[64];
  begin_case(1);
  mcl_context_unref(c);
  fail_from(0, false);
  int undisturbed = make_call(e, &wanted);
  for (int all = 0; all < 2; all++)
    for (int n = 1, asked = n; asked >= n; n++) {
      fail_from(n, all);
      asked = make_call(e, &got);
      fail_from(0, false);
      snprintf(when, sizeof when, "%s %s, without thread %d", name, of, n);
      check_same(&wanted, &got, when);
    }
  free(wanted.bytes), free(got.bytes);
  return undisturbed;
}

static void fit(void) {
  same_bits(&clusterer_part, "mcl_clusterer_fit", "Lloyd");
  same_bits(&clusterer_part, "mcl_clusterer_fit", "rows that are read");
}
static void loss(void) {
  same_bits(&loss_part, "mcl_loss_nt_xent", "with cells and duplicates");
  same_bits(&loss_part, "mcl_loss_info_nce", "");
}
static void train(void) {
  same_bits(&training_part, "mcl_encoder_forward", "NORMED to step, the first");
  same_bits(&training_part, "mcl_encoder_forward", "VIT to step, the first");
  same_bits(&training_part, "mcl_encoder_forward", "PAIR to step, the second");
}
static void probe(void) {
  same_bits(&probe_part, "mcl_probe_linear_rows", "");
  same_bits(&probe_part, "mcl_probe_knn", "");
}
static void folder(void) {
  same_bits(&dataset_part, "mcl_dataset_create_folder", "folder");
}
// Each batch is loaded on a thread of its own.
static void run(void) {
  ck_assert_int_gt(same_bits(&push_part, "mcl_multistage_run", "MLP, with files"), THREADS);
  ck_assert_int_gt(same_bits(&push_part, "mcl_multistage_run", "pair in chunks"), THREADS);
}

static const exhaust_case cases[] = {
    {"mcl_context_create", "with fewer threads", .run = context_does_with_fewer},
    {"mcl_context_create", "without memory or threads", .run = context_without_memory_or_threads},
    {"mcl_clusterer_fit", "with fewer threads", .run = fit},
    {"mcl_loss_nt_xent", "with fewer threads", .run = loss},
    {"mcl_encoder_forward", "with fewer threads", .run = train},
    {"mcl_probe_linear_rows", "with fewer threads", .run = probe},
    {"mcl_dataset_create_folder", "with fewer threads", .run = folder},
    {"mcl_multistage_run", "with fewer threads", .run = run},
};
PART(thread, cases);
