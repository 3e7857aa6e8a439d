// Ranks as threads: memory runs out on one of them, in turn at each request. Then the call fails on all, with the same status and
// that rank's number, nothing has changed on any, and the same call made again by all comes to what it would have.
#include <libmcl/multistage.h>

#include "exhaustion/kinds.h"
#include "support/ranks.h"

enum {
  RANKS = 3,
  N = 1100,
  WIDTH = 3,
  STAGES = 2,
  CAPACITY = 1024
}; // rows: the last rank has no share

// What a rank has.
typedef struct part {
  test_rank *r;
  mcl_encoder *encoder;
  mcl_clusterer *clusterer;
  mcl_multistage *loop;
  mcl_dataset *dataset;
  mcl_event event;
  mcl_batch batch;
  int64_t indices[CAPACITY];
  int32_t labels[N];
  double distances[N];
} part;

typedef struct rank_case {
  void (*open)(part *p);
  mcl_status (*call)(part *p); // COLLECTIVE, into err
  void (*look)(part *p, seen *s);
  void (*again)(part *p); // or NULL
  int advances;           // a call that fails may have come further
  int64_t sites;          // as of exhaust_case
  test_allocator memory[RANKS];
  int64_t failures;
} rank_case;

static float x[N * WIDTH];
static int kind;

// ---- one failure on one rank -----------------------------------------------------------------------------

static void close_part(part *p) {
  mcl_encoder_unref(p->encoder);
  mcl_clusterer_unref(p->clusterer);
  mcl_multistage_unref(p->loop);
  mcl_dataset_unref(p->dataset);
}

static void open_part(rank_case *k, part *p, test_rank *r) {
  memset(p, 0, sizeof *p);
  p->r = r;
  PATTERN(p->labels), PATTERN(p->distances);
  k->open(p);
}

static void look_at(rank_case *k, part *p, seen *s) {
  s->n = 0;
  k->look(p, s);
}

// On rank `who` request n fails, and all later ones if for_ever. Whether the call failed, which all ranks say alike.
static bool fail_on(rank_case *k, test_rank *r, int32_t who, int64_t n, int for_ever,
                    const seen *before, const seen *wanted, int64_t kept) {
  part *p = malloc(sizeof *p);
  test_allocator *mine = &k->memory[r->rank];
  seen after = {0};
  char word[32];
  int64_t live = mine->live;
  open_part(k, p, r);
  int64_t live_before = mine->live;
  if (r->rank == who) mine->for_ever = for_ever, mine->fail_at = n;
  mcl_status s = k->call(p);
  mine->fail_at = mine->for_ever = 0;
  bool failed = s < 0;
  if (failed) {
    snprintf(word, sizeof word, "rank %d: ", (int)who);
    CHECK_FAILS(MCL_E_NOMEM, word, s);
    if (!k->advances) {
      ck_assert_msg(mine->live <= live_before + kept, "rank %d, request %lld of %d", (int)r->rank,
                    (long long)n, (int)who);
      look_at(k, p, &after);
      check_same(before, &after, "after the failure");
    }
    if (k->again) k->again(p);
    CHECK_OK(k->call(p));
  }
  ck_assert_msg(failed || s == MCL_OK, "%s", err.message);
  look_at(k, p, &after);
  check_same(wanted, &after, "in the end");
  close_part(p);
  ck_assert_int_eq(mine->live, live);
  free(after.bytes), free(p);
  return failed;
}

static void on_rank(test_rank *r) {
  rank_case *k = r->user;
  part *p = malloc(sizeof *p);
  seen before = {0}, wanted = {0};
  c = r->context;
  open_part(k, p, r);
  look_at(k, p, &before);
  close_part(p);
  open_part(k, p, r);
  int64_t kept = k->memory[r->rank].live;
  CHECK_OK(k->call(p));
  // Encoders keep room for their next call.
  kept = k->again ? k->memory[r->rank].live - kept : 0;
  look_at(k, p, &wanted);
  close_part(p);
  free(p);
  for (int32_t who = 0; who < RANKS; who += RANKS - 1) // with most rows, with none
    for (int for_ever = 0; for_ever < 2; for_ever++)
      for (int64_t n = 1; fail_on(k, r, who, n, for_ever, &before, &wanted, kept);) {
        n = next_site(k->sites, n);
        if (r->rank == 0) k->failures++;
      }
  free(before.bytes), free(wanted.bytes);
}

static void run_case(rank_case *k) {
  test_ranks w = {.size = RANKS};
  begin_case(1);
  test_fill_normal(x, N * WIDTH, 3);
  for (int i = 0; i < N * WIDTH; i++) x[i] = 0.1F * x[i] + (float)(i / WIDTH % WIDTH == i % WIDTH);
  if (!k->sites) k->sites = 60;
  for (int i = 0; i < RANKS; i++) {
    test_allocator_init(&k->memory[i]);
    w.allocators[i] = &k->memory[i];
  }
  test_ranks_run(&w, on_rank, k);
  ck_assert_int_gt(k->failures, 0);
  printf("over ranks: %lld failures\n", (long long)k->failures);
  mcl_context_unref(c);
}

// ---- gradients -------------------------------------------------------------------------------------------

// Rows of its own on each rank, the last of which has none.
static void forward_and_backward(part *p) {
  static const float dy[ROWS * OUT] = {.1F, .2F, -.3F, .4F, .5F, -.6F, .7F, .8F};
  float y[ROWS * OUT];
  for (int v = 0; v < 2; v++) {
    mcl_inputs i = inputs_of(kind, mcl_encoder_modalities(p->encoder) == 2 ? v : 0, v);
    i.n = p->r->rank == RANKS - 1 ? 0 : ROWS - p->r->rank;
    mcl_array data = *i.data, out = mcl_matrix_f32(y, i.n, OUT),
              grad = mcl_matrix_f32((float *)(uintptr_t)dy, i.n, OUT);
    data.shape[0] = i.n;
    i.data = &data;
    CHECK_OK(mcl_encoder_forward(p->encoder, &i, &out, &err));
    CHECK_OK(mcl_encoder_backward(p->encoder, &i, &grad, &err));
  }
}

static void open_gradients(part *p) {
  CHECK_OK(make_kind(kind, 1, &p->encoder));
  forward_and_backward(p);
}

// And the step that they are for.
static mcl_status sum_gradients(part *p) {
  mcl_step one;
  mcl_struct_init(&one, sizeof one);
  one.learning_rate = 0.1;
  mcl_status s = mcl_encoder_sum_gradients(p->encoder, p->r->comm, &err);
  if (s == MCL_OK) CHECK_OK(mcl_encoder_step(p->encoder, &one, &err));
  return s;
}

static void look_at_encoder(part *p, seen *s) {
  see_embeddings(s, p->encoder, kind);
}

static void run_gradients(int of) {
  static rank_case k;
  kind = of;
  k = (rank_case){open_gradients, sum_gradients, look_at_encoder, forward_and_backward};
  run_case(&k);
}
static void sum_normed(void) {
  run_gradients(NORMED);
}
static void sum_pair(void) {
  run_gradients(PAIR);
}
static void sum_host(void) {
  run_gradients(HOST);
}
static void sum_head(void) {
  run_gradients(HEAD);
}

// ---- k-means ---------------------------------------------------------------------------------------------

static mcl_rows rows_of(const mcl_array *a) {
  mcl_rows rows;
  mcl_struct_init(&rows, sizeof rows);
  rows.array = a;
  return rows;
}

static mcl_status fit(part *p) {
  mcl_array a = mcl_matrix_f32(x, N, WIDTH);
  mcl_rows rows = rows_of(&a);
  return mcl_clusterer_fit(p->clusterer, &rows, NULL, &err);
}

static mcl_status assign(part *p) {
  mcl_array a = mcl_matrix_f32(x, N, WIDTH);
  mcl_rows rows = rows_of(&a);
  return mcl_clusterer_assign(p->clusterer, &rows, NULL, p->labels, p->distances, &err);
}

static void open_with(part *p, int32_t method) {
  mcl_kmeans_options o;
  mcl_kmeans_options_init(&o, sizeof o);
  o.k = 5, o.restarts = 1, o.max_iterations = 3, o.method = method, o.minibatch_rows = 64;
  CHECK_OK(mcl_clusterer_create_kmeans(p->r->context, &o, p->r->comm, &p->clusterer, &err));
}
static void open_lloyd(part *p) {
  open_with(p, MCL_LLOYD);
}
static void open_minibatch(part *p) {
  open_with(p, MCL_MINIBATCH);
}
static void open_fitted(part *p) {
  open_lloyd(p);
  CHECK_OK(fit(p));
}

static void look_at_clusterer(part *p, seen *s) {
  mcl_clusterer_report r;
  float centroids[5 * WIDTH] = {0};
  mcl_array a = mcl_matrix_f32(centroids, 5, WIDTH);
  mcl_struct_init(&r, sizeof r);
  see_number(s, mcl_clusterer_get_report(p->clusterer, &r, NULL));
  see_number(s, mcl_clusterer_centroids(p->clusterer, &a, NULL));
  see(s, &r, sizeof r), see(s, centroids, sizeof centroids);
  see(s, p->labels, sizeof p->labels), see(s, p->distances, sizeof p->distances);
}

static void fit_lloyd(void) {
  static rank_case k = {open_lloyd, fit, look_at_clusterer};
  run_case(&k);
}
static void fit_minibatch(void) {
  static rank_case k = {open_minibatch, fit, look_at_clusterer};
  run_case(&k);
}
static void assign_rows(void) {
  static rank_case k = {open_fitted, assign, look_at_clusterer};
  run_case(&k);
}

// ---- the loop --------------------------------------------------------------------------------------------

static void open_loop(part *p) {
  mcl_multistage_options o;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage_options_init(&o, sizeof o);
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  k.k = 2, k.restarts = 1, s.batch_rows = 700;
  o.stages = STAGES, o.epochs = 1, o.kmeans = &k, o.sampler = &s;
  CHECK_OK(mcl_multistage_create(p->r->context, &o, N, p->r->comm, &p->loop, &err));
  mcl_struct_init(&p->event, sizeof p->event);
  mcl_struct_init(&p->batch, sizeof p->batch);
  p->batch.indices = p->indices, p->batch.capacity = CAPACITY;
}

static mcl_status next(part *p) {
  return mcl_multistage_next(p->loop, NULL, &p->event, &p->batch, &err);
}

static void put(part *p) {
  float z[CAPACITY * WIDTH];
  for (int64_t i = 0; i < p->batch.n * WIDTH; i++)
    z[i] = x[p->indices[i / WIDTH] * WIDTH + i % WIDTH];
  mcl_array a = mcl_matrix_f32(z, p->batch.n, WIDTH);
  CHECK_OK(mcl_multistage_put_embeddings(p->loop, 0, p->indices, p->batch.n, &a, &err));
}

// All its rows are embedded: what comes next is the stage's end.
static void open_at_end(part *p) {
  int64_t left;
  open_loop(p);
  mcl_comm_share(p->r->comm, N, NULL, &left);
  do {
    CHECK_OK(next(p));
    if (p->event.kind != MCL_EMBED_ROWS) continue;
    put(p);
    left -= p->batch.n;
  } while (left > 0 || p->event.kind != MCL_EMBED_ROWS); // a rank without rows is asked once too
  memset(&p->event, 0, sizeof p->event);
  p->event.struct_size = sizeof p->event;
}

static mcl_status next_stage(part *p) {
  mcl_status s = p->event.kind == MCL_END_STAGE ? MCL_OK : next(p);
  return s == MCL_OK ? next(p) : s;
}

static void look_at_loop(part *p, seen *s) {
  mcl_stage_report r;
  int32_t labels[N] = {0};
  see(s, &p->event, sizeof p->event);
  for (int32_t stage = 0; stage < STAGES; stage++) {
    mcl_struct_init(&r, sizeof r);
    see_number(s, mcl_multistage_get_report(p->loop, stage, 0, &r, NULL));
    see_number(s, mcl_multistage_labels(p->loop, stage, 0, labels, N, NULL));
    see(s, &r, sizeof r), see(s, labels, sizeof labels);
  }
}

static void next_to_end(void) {
  static rank_case k = {open_at_end, next, look_at_loop, .sites = 30};
  run_case(&k);
}
static void next_to_second(void) {
  static rank_case k = {open_at_end, next_stage, look_at_loop, .advances = 1, .sites = 30};
  run_case(&k);
}

// ---- a run -----------------------------------------------------------------------------------------------

static mcl_status shape(void *user, int32_t modality, mcl_array *row, mcl_error *e) {
  (void)user, (void)modality;
  row->dtype = MCL_F32, row->ndim = 1, row->shape[0] = WIDTH;
  return mcl_ok(e);
}

static mcl_status load(void *user, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *e) {
  (void)user, (void)modality;
  for (int64_t i = 0; i < n * WIDTH; i++)
    ((float *)out->data)[i] = x[indices[i / WIDTH] * WIDTH + i % WIDTH];
  return mcl_ok(e);
}

static mcl_status make_stage(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  (void)user;
  mcl_status s = make_mlp(WIDTH, OUT, (uint64_t)stage, out);
  if (s < 0) *e = err;
  return s < 0 ? s : mcl_ok(e);
}

static void open_run(part *p) {
  mcl_host_dataset h;
  open_loop(p);
  mcl_struct_init(&h, sizeof h);
  h.rows = N, h.modalities = 1, h.shape = shape, h.load = load;
  CHECK_OK(mcl_dataset_create_host(p->r->context, &h, &p->dataset, &err));
}

static mcl_status run(part *p) {
  mcl_encoder_factory f;
  mcl_struct_init(&f, sizeof f);
  f.make = make_stage;
  return mcl_multistage_run(p->loop, p->dataset, NULL, &f, NULL, &err);
}

static void run_loop(void) {
  static rank_case k = {open_run, run, look_at_loop, .advances = 1, .sites = 20};
  run_case(&k);
}

static const exhaust_case cases[] = {
    {"mcl_encoder_sum_gradients", "with batch norms", .run = sum_normed},
    {"mcl_encoder_sum_gradients", "of a pair", .run = sum_pair},
    {"mcl_encoder_sum_gradients", "of a host's", .run = sum_host},
    {"mcl_encoder_sum_gradients", "of a head", .run = sum_head},
    {"mcl_clusterer_fit", "over ranks", .run = fit_lloyd},
    {"mcl_clusterer_fit", "of mini-batches over ranks", .run = fit_minibatch},
    {"mcl_clusterer_assign", "over ranks", .run = assign_rows},
    {"mcl_multistage_next", "to a stage's end over ranks", .run = next_to_end},
    {"mcl_multistage_next", "to the second stage over ranks", .run = next_to_second},
    {"mcl_multistage_run", "over ranks", .run = run_loop},
};
PART(rank, cases);
