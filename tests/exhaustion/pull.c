// The loop in pull mode: each event, and the calls between them.
#include "exhaustion/exhaust.h"

#include <libmcl/multistage.h>

enum { PATTERN_INT = (int32_t)0xa5a5a5a5 };
enum { ROWS = 40, DIM = 4, CAPACITY = 1024, STAGES = 2 };
static mcl_multistage *loop, *made;
static mcl_sampler *sampler;
static mcl_event event;
static mcl_batch batch;
static int64_t indices[CAPACITY], cells[CAPACITY];
static float z[CAPACITY * DIM];
static int32_t labels[ROWS];
static bool to_files;

static mcl_status create_into(mcl_multistage **out) {
  mcl_multistage_options o;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage_options_init(&o, sizeof o);
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  k.k = 3, k.restarts = 1, s.batch_rows = 16;
  o.stages = STAGES, o.epochs = 1, o.kmeans = &k, o.sampler = &s;
  if (to_files) o.embedding_directory = in(".");
  return mcl_multistage_create(c, &o, ROWS, NULL, out, &err);
}

static void start(void) {
  to_files = false;
  loop = NULL, made = UNTOUCHED, sampler = UNTOUCHED;
  for (int i = 0; i < ROWS; i++) labels[i] = i % 4;
  PATTERN(event), PATTERN(batch), PATTERN(indices), PATTERN(cells);
  event.struct_size = sizeof event, batch.struct_size = sizeof batch;
  batch.indices = indices, batch.cells = cells, batch.capacity = CAPACITY;
}

// ---- going on until something comes ----------------------------------------------------------------------

static mcl_status next(void) {
  return mcl_multistage_next(loop, NULL, &event, &batch, &err);
}

static mcl_status put(void) {
  for (int64_t i = 0; i < batch.n * DIM; i++) {
    int64_t row = indices[i / DIM], bit = row >> event.stage & 1;
    z[i] = (float)((row * 7 + i % DIM * 5) % 11) / 11 + (float)(i % DIM == 0 ? 4 * bit : 1);
  }
  mcl_array a = mcl_matrix_f32(z, batch.n, DIM);
  return mcl_multistage_put_embeddings(loop, 0, indices, batch.n, &a, &err);
}

// Until an event of this kind and stage has come.
static void go_to(int32_t kind, int32_t stage) {
  do {
    CHECK_OK(next());
    if (event.kind == MCL_EMBED_ROWS && !(kind == MCL_EMBED_ROWS && stage == event.stage))
      CHECK_OK(put());
  } while (event.kind != kind || event.stage != stage);
}

static void clear_events(void) {
  void *const of_indices = batch.indices;
  PATTERN(event), PATTERN(indices), PATTERN(cells);
  event.struct_size = sizeof event;
  ck_assert_ptr_eq(of_indices, indices);
}

static void make(void) {
  start();
  CHECK_OK(create_into(&loop));
}
static void before_train(void) {
  make();
  go_to(MCL_BEGIN_STAGE, 0);
  clear_events();
}
static void before_embed(void) {
  make();
  go_to(MCL_TRAIN_BATCH, 1);
}
static void before_put(void) {
  make();
  go_to(MCL_EMBED_ROWS, 1);
}
static void before_put_to_file(void) {
  start();
  to_files = true;
  CHECK_OK(create_into(&loop));
  go_to(MCL_EMBED_ROWS, 0);
}
static void before_end(void) {
  before_put();
  CHECK_OK(put());
  clear_events();
}
static void before_end_of_file(void) {
  before_put_to_file();
  CHECK_OK(put());
  clear_events();
}
static void before_second(void) {
  make();
  go_to(MCL_END_STAGE, 0);
  clear_events();
}
static void in_the_middle(void) {
  make();
  go_to(MCL_TRAIN_BATCH, 1);
  clear_events();
}

// The rest of the run, so that what a put that failed has left would be told.
static mcl_status put_and_end(void) {
  mcl_status s = put();
  return s == MCL_OK ? next() : s;
}

static mcl_status put_labels(void) {
  return mcl_multistage_put_labels(loop, 0, labels, ROWS, &err);
}

static mcl_status seek_back(void) {
  return mcl_multistage_seek(loop, 0, 0, 1, &err);
}

static mcl_status create(void) {
  return create_into(&made);
}

static mcl_status take_sampler(void) {
  return mcl_multistage_sampler(loop, &sampler, &err);
}

static mcl_status save(void) {
  return mcl_multistage_save(loop, in("s"), &err);
}
// An older state lies there.
static void before_save(void) {
  make();
  go_to(MCL_TRAIN_BATCH, 0);
  CHECK_OK(save());
  go_to(MCL_TRAIN_BATCH, 1);
}
static mcl_status resume(void) {
  return mcl_multistage_resume(loop, in("s"), &err);
}
// At another place than the one that was saved.
static void before_resume(void) {
  before_save();
  CHECK_OK(save());
  mcl_multistage_unref(loop);
  CHECK_OK(create_into(&loop));
  go_to(MCL_TRAIN_BATCH, 0);
  clear_events();
}

// Once it is resumed it goes on where it failed.
static mcl_status resume_and_end(void) {
  mcl_status s = event.kind == PATTERN_INT ? resume() : MCL_OK;
  while (s == MCL_OK && event.kind != MCL_DONE) {
    s = event.kind == MCL_EMBED_ROWS ? put() : MCL_OK;
    if (s == MCL_OK) s = next();
  }
  return s;
}

// ---- what is seen ----------------------------------------------------------------------------------------

// A loop is where it was when it saves the same bytes, and its labels and reports are the same.
static void see_loop(seen *s, mcl_multistage *l) {
  for (int32_t stage = 0; stage < STAGES; stage++) {
    mcl_stage_report r;
    int32_t of[ROWS] = {0};
    mcl_struct_init(&r, sizeof r);
    see_number(s, mcl_multistage_get_report(l, stage, 0, &r, NULL));
    see_number(s, mcl_multistage_labels(l, stage, 0, of, ROWS, NULL));
    see(s, &r, sizeof r), see(s, of, sizeof of);
  }
  mcl_sampler *p = NULL;
  int64_t of[ROWS];
  CHECK_OK(mcl_multistage_sampler(l, &p, &err));
  CHECK_OK(mcl_sampler_cells(p, of, ROWS, &err));
  see(s, of, sizeof of);
  mcl_sampler_unref(p);
  // A loop that has just been resumed is saved into its own directory only.
  mcl_status saved = mcl_multistage_save(l, in("seen"), NULL);
  ck_assert(saved == MCL_OK || saved == MCL_E_STATE);
  see_files(s);
  remove_all("seen");
}

static void look(seen *s) {
  see(s, &event, sizeof event), see(s, indices, sizeof indices), see(s, cells, sizeof cells);
  see_number(s, IS_MADE(made)), see_number(s, IS_MADE(sampler));
  if (loop) see_loop(s, loop);
  if (IS_MADE(made)) see_loop(s, made);
  if (IS_MADE(sampler)) see_number(s, (double)mcl_sampler_steps(sampler));
}

static void finish(void) {
  if (IS_MADE(made)) mcl_multistage_unref(made);
  if (IS_MADE(sampler)) mcl_sampler_unref(sampler);
  mcl_multistage_unref(loop);
}

// Where rows lie in a file, that is in its place once it is whole, whatever fails later.
#define NEXT(of, before, free)                                                                     \
  { "mcl_multistage_next", of, before, next, look, finish, .flags = free }
static const exhaust_case cases[] = {
    {"mcl_multistage_create", "", start, create, look, finish},
    NEXT("to the first stage", make, NO_MEMORY),
    NEXT("to a batch", before_train, NO_MEMORY),
    NEXT("to rows to embed", before_embed, NO_MEMORY),
    NEXT("to the end of a stage", before_end, 0),
    NEXT("to the end of a stage whose rows lie in a file", before_end_of_file, ADVANCES),
    NEXT("to the second stage", before_second, NO_MEMORY),
    {"mcl_multistage_put_embeddings", "and to the end", before_put, put_and_end, look, finish,
     .flags = ADVANCES},
    {"mcl_multistage_put_embeddings", "", before_put, put, look, finish},
    {"mcl_multistage_put_embeddings", "into a file", before_put_to_file, put, look, finish},
    {"mcl_multistage_put_labels", "", before_put, put_labels, look, finish},
    {"mcl_multistage_seek", "", in_the_middle, seek_back, look, finish},
    {"mcl_multistage_sampler", "", in_the_middle, take_sampler, look, finish, .flags = NO_MEMORY},
    {"mcl_multistage_save", "over an older state", before_save, save, look, finish},
    {"mcl_multistage_resume", "", before_resume, resume, look, finish},
    {"mcl_multistage_resume", "and to the end", before_resume, resume_and_end, look, finish,
     .flags = ADVANCES},
};
PART(pull, cases);
