// What fails on one rank in the middle of a run fails on all, and the run goes on from there to what it would have come to.
#include <sys/stat.h>

#include "multistage/over_ranks.h"

typedef struct trouble {
  const plan *p;
  int32_t rank; // who fails
  int what;     // at which call
  int64_t step; // every so-many-th of them, all of the first ones
  mcl_status why;
  int64_t failures;         // out, of rank 0
  test_allocator allocator; // of that rank
} trouble;

static void empty_directory(const char *path) {
  char command[4200];
  snprintf(command, sizeof command, "rm -f '%s'/*", path);
  ck_assert_int_eq(system(command), 0);
}

// What lies in the directory is the run that has ended.
static void check_saved(test_rank *r, const plan *p, const outcome *wanted) {
  mcl_error err;
  loop j;
  outcome *got = malloc(sizeof *got);
  CHECK_OK(loop_open(&j, r, p, &err));
  CHECK_OK(mcl_multistage_resume(j.l, p->save, &err));
  CHECK_OK(loop_run(&j, &err));
  ck_assert_int_eq(j.calls[STEP], 0);
  loop_take(&j, got);
  check_same(got, wanted);
  free(got);
  loop_close(&j);
}

// Fails once and goes on; whether it has failed.
static bool fail_and_go_on(test_rank *r, trouble *t, int64_t at, const outcome *wanted) {
  mcl_error err;
  char word[32];
  loop j;
  outcome *got = malloc(sizeof *got);
  int64_t live = r->rank == t->rank ? t->allocator.live : 0;
  if (r->rank == 0 && t->p->save) empty_directory(t->p->save);
  CHECK_OK(loop_open(&j, r, t->p, &err));
  j.what = t->what, j.why = t->why;
  if (r->rank == t->rank) j.at = at;
  if (r->rank == t->rank && t->what == MEMORY) t->allocator.fail_at = at;
  mcl_status s = loop_run(&j, &err);
  if (r->rank == t->rank) t->allocator.fail_at = 0;
  bool failed = s < 0;
  if (failed) {
    ck_assert_msg(s == t->why, "call %lld of %d: %s", (long long)at, t->what, err.message);
    snprintf(word, sizeof word, "rank %d: ", (int)t->rank);
    ck_assert(r->size == 1 || strstr(err.message, word) != NULL);
    s = loop_run(&j, &err);
  }
  ck_assert_msg(s == MCL_OK, "rank %d, after call %lld of %d: %s", (int)r->rank, (long long)at,
                t->what, err.message);
  loop_take(&j, got);
  check_same(got, wanted);
  free(got);
  loop_close(&j);
  if (r->rank == t->rank) ck_assert_int_eq(t->allocator.live, live);
  if (t->p->save) check_saved(r, t->p, wanted);
  return failed;
}

static void fail_again_and_again(test_rank *r) {
  trouble *t = r->user;
  mcl_error err;
  loop j;
  outcome *wanted = malloc(sizeof *wanted);
  CHECK_OK(loop_open(&j, r, t->p, &err));
  CHECK_OK(loop_run(&j, &err));
  loop_take(&j, wanted);
  loop_close(&j);
  int64_t at = 1;
  while (fail_and_go_on(r, t, at, wanted)) {
    if (r->rank == 0) t->failures++;
    at += at < 4 ? 1 : t->step;
  }
  free(wanted);
}

static void on_rank(const plan *p, int32_t size, int32_t rank, int what, mcl_status why,
                    int64_t step) {
  trouble t = {.p = p, .rank = rank, .what = what, .why = why, .step = step};
  test_ranks w = {.size = size};
  test_allocator_init(&t.allocator);
  w.allocators[rank] = &t.allocator;
  test_ranks_run(&w, fail_again_and_again, &t);
  ck_assert_int_eq(t.allocator.live, 0);
  ck_assert_int_ge(t.failures, 1);
}

// In training, in embedding, and where the stage's report is made, after the last exchange that carries numbers.
START_TEST(rows_that_cannot_be_loaded) {
  plan p = {.encoder = PAIR, .modalities = 2, .clustered = 3, .duplicates = true};
  on_rank(&p, 3, 0, LOAD, MCL_E_IO, 61);
  on_rank(&p, 2, 1, LOAD, MCL_E_IO, 53);
  on_rank(&p, 2, 1, GROUPS, MCL_E_IO, 1);
}
END_TEST

// A host whose step exchanges gradients must not be in there while a rank is not.
START_TEST(callbacks_of_an_encoder) {
  plan p = {.encoder = HOST_STEPS};
  on_rank(&p, 3, 1, MAKE, MCL_E_CALLBACK, 1);
  on_rank(&p, 3, 1, FORWARD, MCL_E_CALLBACK, 7);
  on_rank(&p, 3, 1, BACKWARD, MCL_E_CALLBACK, 7);
  on_rank(&p, 3, 1, EMBED, MCL_E_CALLBACK, 53);
  p.encoder = HOST_SUMS;
  on_rank(&p, 2, 0, BACKWARD, MCL_E_CALLBACK, 7);
}
END_TEST

START_TEST(a_host_that_cancels) {
  plan p = {.encoder = HOST_STEPS};
  on_rank(&p, 3, 1, TELL, MCL_E_CANCELLED, 4);
  on_rank(&p, 2, 0, TELL, MCL_E_CANCELLED, 4);
}
END_TEST

// Rank 0 writes for all; the last file of all is the one that no later save would make good.
START_TEST(files_that_cannot_be_written) {
  char directory[4200];
  snprintf(directory, sizeof directory, "%s", test_directory("ranks_unwritten"));
  plan p = {.encoder = HOST_SUMS, .save = directory, .save_every = 4};
  on_rank(&p, 3, 0, SAVE, MCL_E_IO, 1);
  on_rank(&p, 1, 0, SAVE, MCL_E_IO, 1);
}
END_TEST

// The name of the file of embeddings is taken, by a folder, on the last rank with rows.
static void put_in_place(test_rank *r) {
  const plan *p = r->user;
  mcl_error err;
  loop j;
  char path[4300], inside[4310], word[32] = "";
  outcome *wanted = malloc(sizeof *wanted), *got = malloc(sizeof *got);
  int32_t last = r->size > 1;
  CHECK_OK(loop_open(&j, r, p, &err));
  CHECK_OK(loop_run(&j, &err));
  loop_take(&j, wanted);
  loop_close(&j);
  snprintf(path, sizeof path, "%s/stage-1.npy", p->embeddings);
  if (r->size > 1)
    snprintf(path, sizeof path, "%s/stage-1-rank-1-of-%d.npy", p->embeddings, (int)r->size);
  snprintf(inside, sizeof inside, "%s/x", path);
  if (r->rank == last) {
    ck_assert_int_eq(remove(path), 0);
    ck_assert_int_eq(mkdir(path, 0777), 0);
    ck_assert_int_eq(mkdir(inside, 0777), 0);
  }
  CHECK_OK(loop_open(&j, r, p, &err));
  if (r->size > 1) snprintf(word, sizeof word, "rank 1: ");
  for (int i = 0; i < 2; i++) CHECK_FAILS(MCL_E_IO, word, loop_run(&j, &err));
  if (r->rank == last) {
    ck_assert_int_eq(remove(inside), 0);
    ck_assert_int_eq(remove(path), 0);
  }
  CHECK_OK(loop_run(&j, &err));
  loop_take(&j, got);
  check_same(got, wanted);
  loop_close(&j);
  free(wanted);
  free(got);
}

START_TEST(embeddings_that_cannot_be_put_in_place) {
  plan p = {.encoder = HOST_SUMS, .embeddings = test_directory("ranks_taken")};
  for (int32_t size = 1; size <= 3; size++) {
    test_ranks w = {.size = size};
    test_ranks_run(&w, put_in_place, &p);
  }
}
END_TEST

START_TEST(memory) {
  plan p = {.encoder = HOST_SUMS};
  on_rank(&p, 3, 1, MEMORY, MCL_E_NOMEM, 149);
  p = (plan){.encoder = PAIR, .modalities = 2, .clustered = 3, .duplicates = true};
  p.chunk_rows = 30;
  on_rank(&p, 2, 1, MEMORY, MCL_E_NOMEM, 307);
}
END_TEST

// ---- pull ----------------------------------------------------------------------------------------------

// Pulls a whole loop; each request of memory in a stage's end fails once on t->rank where `failing`.
static void pull(test_rank *r, trouble *t, bool failing, outcome *out) {
  mcl_error err;
  loop j;
  mcl_event e;
  mcl_batch b;
  int64_t share, embedded = 0, live = r->rank == t->rank ? t->allocator.live : 0;
  CHECK_OK(loop_open(&j, r, t->p, &err));
  mcl_comm_share(r->comm, ROWS, NULL, &share);
  mcl_struct_init(&e, sizeof e);
  mcl_struct_init(&b, sizeof b);
  b.capacity = mcl_multistage_batch_capacity(j.l);
  b.indices = malloc((size_t)b.capacity * sizeof *b.indices);
  for (e.kind = 0; e.kind != MCL_DONE;) {
    bool ends = e.kind == MCL_EMBED_ROWS && embedded == share;
    mcl_status s = MCL_E_NOMEM;
    for (int64_t n = 1; s < 0; n++) {
      if (failing && ends && r->rank == t->rank) t->allocator.fail_at = n;
      s = mcl_multistage_next(j.l, NULL, &e, &b, &err);
      if (r->rank == t->rank) t->allocator.fail_at = 0;
      ck_assert_msg(s == MCL_OK || (failing && ends && s == MCL_E_NOMEM), "%lld: %s", (long long)n,
                    err.message);
      if (r->rank == 0 && s < 0) t->failures++;
    }
    if (e.kind == MCL_BEGIN_STAGE) embedded = 0;
    if (e.kind == MCL_EMBED_ROWS) loop_put(&j, &e, &b), embedded += b.n;
  }
  loop_take_labels(&j, out);
  free(b.indices);
  loop_close(&j);
  if (r->rank == t->rank) ck_assert_int_eq(t->allocator.live, live);
}

static void pull_twice(test_rank *r) {
  outcome *wanted = malloc(sizeof *wanted), *got = malloc(sizeof *got);
  pull(r, r->user, false, wanted);
  pull(r, r->user, true, got);
  check_same(got, wanted);
  free(wanted);
  free(got);
}

START_TEST(each_request_of_a_stage_s_end) {
  plan p = {.encoder = HOST_SUMS, .batch_rows = 600};
  p.embeddings = test_directory("ranks_pulled"); // files are closed, and opened again
  for (int32_t size = 1; size <= 3; size++) {
    trouble t = {.p = &p, .rank = size > 1};
    test_ranks w = {.size = size};
    test_allocator_init(&t.allocator);
    w.allocators[t.rank] = &t.allocator;
    test_ranks_run(&w, pull_twice, &t);
    ck_assert_int_ge(t.failures, 100);
  }
}
END_TEST

RUN_TESTS("multistage over ranks, with failures", rows_that_cannot_be_loaded,
          callbacks_of_an_encoder, a_host_that_cancels, files_that_cannot_be_written,
          embeddings_that_cannot_be_put_in_place, memory, each_request_of_a_stage_s_end)
