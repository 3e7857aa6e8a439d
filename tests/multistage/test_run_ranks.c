// The whole loop over ranks, each a thread with a context, a dataset and encoders of its own: all end alike, and like one process.
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/multistage.h>

#include "support/ranks.h"

enum {
  ROWS = 2300,
  SIDE = 6,
  DIM = 8,
  STAGES = 2
}; // three blocks: with four ranks one has no share

// Two facts in each image: a bright left or right half, and a bright top or bottom.
static const uint8_t *images(void) {
  static uint8_t x[ROWS * SIDE * SIDE];
  if (x[0]) return x;
  for (int i = 0; i < ROWS; i++)
    for (int y = 0; y < SIDE; y++)
      for (int k = 0; k < SIDE; k++)
        x[(i * SIDE + y) * SIDE + k] =
            (uint8_t)(40 + 120 * ((k < SIDE / 2) == (i % 2)) +
                      60 * ((y < SIDE / 2) == (i / 2 % 2)) + (i * 37 + y * 11 + k * 5) % 35);
  return x;
}

enum { MLP, CNN_WITH_NORM, CNN };

// How a run is made, and what came of it on rank 0.
typedef struct plan {
  int32_t encoder, loss_kind, batching, stop_rank, fail_rank, fail_stage, epochs;
  uint32_t flags; // of the loss
  int64_t rows, batch_rows, chunk_rows, stop_after, min_cell_rows;
  const char *save, *embeddings;
  bool resume, odd_seed, wrong_seed;
  mcl_status wanted;
  const char *word;
  // out
  float z[ROWS * STAGES * DIM];
  int32_t labels[STAGES][ROWS];
  mcl_stage_report reports[STAGES];
} plan;

static int64_t rows_of(const plan *p) {
  return p->rows ? p->rows : ROWS;
}

typedef struct job {
  const plan *p;
  const test_rank *r;
  int64_t told;
} job;

static int fails_here(const job *j, int32_t stage) {
  return j->p->fail_rank == j->r->rank && j->p->fail_stage == stage;
}

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  job *j = user;
  if (fails_here(j, stage)) return mcl_error_set(e, MCL_E_CALLBACK, 77, "no more GPUs");
  uint64_t seed = mcl_multistage_seed(9, stage) + (j->p->wrong_seed && j->r->rank == 1);
  if (j->p->encoder != MLP) {
    mcl_optimiser_options sgd;
    mcl_optimiser_options_init(&sgd, sizeof sgd);
    sgd.kind = MCL_SGD; // Adam makes a whole step of a last bit where a gradient is next to nothing
    const int32_t filters[1] = {6}, kernels[1] = {3}, strides[1] = {2};
    mcl_cnn_options o;
    mcl_cnn_options_init(&o, sizeof o);
    o.seed = seed;
    o.height = o.width = SIDE;
    o.channels = o.layers = 1;
    o.filters = filters, o.kernels = kernels, o.strides = strides;
    o.batch_norm = j->p->encoder == CNN_WITH_NORM;
    o.optimiser = &sgd;
    o.dim = DIM;
    o.projection_dim = 8;
    return mcl_encoder_create_cnn(j->r->context, &o, out, e);
  }
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = seed;
  o.inputs = SIDE * SIDE;
  o.hidden = 16;
  o.layers = 1;
  o.dim = DIM;
  o.projection_dim = 8;
  return mcl_encoder_create_mlp(j->r->context, &o, out, e);
}

static int32_t watch(void *user, const mcl_progress *p) {
  job *j = user;
  (void)p;
  return j->p->stop_rank == j->r->rank && ++j->told == j->p->stop_after;
}

static mcl_multistage *make_loop(const test_rank *r, const plan *p, uint64_t fingerprint) {
  mcl_error err;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_loss_options loss;
  mcl_multistage_options o;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_loss_options_init(&loss, sizeof loss);
  mcl_multistage_options_init(&o, sizeof o);
  // Starts that do not follow embeddings: a last bit would choose another row, and number the cells otherwise.
  k.k = 4;
  k.init = MCL_INIT_RANDOM;
  k.restarts = 1;
  s.batch_rows = p->batch_rows ? p->batch_rows : 96;
  if (p->batching) s.batching = p->batching;
  if (p->min_cell_rows) s.min_cell_rows = p->min_cell_rows;
  loss.flags = p->flags;
  o.stages = STAGES;
  o.epochs = p->epochs ? p->epochs : 1;
  o.seed = 5 + (p->odd_seed && r->rank == 1);
  o.kmeans = &k;
  o.sampler = &s;
  o.loss = &loss;
  if (p->loss_kind) o.loss_kind = p->loss_kind;
  o.chunk_rows = p->chunk_rows;
  o.save_directory = p->save;
  o.save_every_steps = p->save ? 5 : 0;
  o.embedding_directory = p->embeddings;
  o.fingerprint = fingerprint;
  o.learning_rate = 0.003;
  mcl_multistage *l = NULL;
  CHECK_OK(mcl_multistage_create(r->context, &o, rows_of(p), r->comm, &l, &err));
  return l;
}

static void take(const plan *p, mcl_multistage *l, plan *out) {
  mcl_error err;
  mcl_integrator *g = NULL;
  int64_t indices[ROWS];
  for (int i = 0; i < ROWS; i++) indices[i] = i;
  CHECK_OK(mcl_multistage_integrator(l, &g, &err));
  mcl_array x = mcl_images_u8((uint8_t *)(uintptr_t)images(), rows_of(p), SIDE, SIDE, 1);
  mcl_array z = mcl_matrix_f32(out->z, rows_of(p), STAGES * DIM);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = rows_of(p);
  in.indices = indices;
  in.data = &x;
  in.view = -1;
  CHECK_OK(mcl_integrator_embed(g, &in, &z, &err));
  for (int s = 0; s < STAGES; s++) {
    mcl_struct_init(&out->reports[s], sizeof out->reports[s]);
    CHECK_OK(mcl_multistage_get_report(l, s, 0, &out->reports[s], &err));
    CHECK_OK(mcl_multistage_labels(l, s, 0, out->labels[s], rows_of(p), &err));
  }
  mcl_integrator_unref(g);
}

static plan *shared; // what rank 0 found
static pthread_barrier_t found;

static void run_rank(test_rank *r) {
  plan *p = r->user;
  mcl_error err;
  job j = {p, r, 0};
  mcl_dataset *d = NULL;
  mcl_augmenter *a = NULL;
  mcl_array x = mcl_images_u8((uint8_t *)(uintptr_t)images(), rows_of(p), SIDE, SIDE, 1);
  CHECK_OK(mcl_dataset_create_array(r->context, &x, NULL, &d, &err));
  mcl_augmenter_options ao;
  mcl_augmenter_options_init(&ao, sizeof ao);
  ao.noise = 0.02;
  CHECK_OK(mcl_augmenter_create(r->context, &ao, &a, &err));
  mcl_multistage *l = make_loop(r, p, mcl_dataset_fingerprint(d));
  if (p->resume) CHECK_OK(mcl_multistage_resume(l, p->save, &err));
  mcl_encoder_factory f;
  mcl_monitor m;
  mcl_struct_init(&f, sizeof f);
  mcl_struct_init(&m, sizeof m);
  f.user = m.user = &j;
  f.make = make;
  m.progress = watch;
  mcl_status s = mcl_multistage_run(l, d, a, &f, &m, &err);
  ck_assert_msg(s == p->wanted, "rank %d: %d, %s", (int)r->rank, (int)s, s < 0 ? err.message : "");
  if (p->word) ck_assert_msg(strstr(err.message, p->word) != NULL, "%s", err.message);
  if (s == MCL_OK) {
    plan *mine = calloc(1, sizeof *mine);
    take(p, l, mine);
    if (r->rank == 0) memcpy(shared, mine, sizeof *mine);
    if (r->size > 1) pthread_barrier_wait(&found);
    ck_assert_mem_eq(mine->z, shared->z, sizeof mine->z);
    ck_assert_mem_eq(mine->labels, shared->labels, sizeof mine->labels);
    ck_assert_mem_eq(mine->reports, shared->reports, sizeof mine->reports);
    free(mine);
  }
  mcl_multistage_unref(l);
  mcl_augmenter_unref(a);
  mcl_dataset_unref(d);
}

static plan *run(plan p, int32_t size, uint32_t threads, int by_sum) {
  test_ranks w = {.size = size, .threads = threads, .by_sum = by_sum};
  shared = calloc(1, sizeof *shared);
  images(); // before there are threads: one that sees them half made has another fingerprint
  pthread_barrier_init(&found, NULL, (unsigned)size);
  test_ranks_run(&w, run_rank, &p);
  pthread_barrier_destroy(&found);
  return shared;
}

static const plan plain = {.stop_rank = -1, .fail_rank = -1};

// Gradients are added in another order, which training makes more of: figures, not bits.
static void check_near(const plan *a, const plan *b) {
  double worst = 0;
  for (int i = 0; i < ROWS * STAGES * DIM; i++) {
    double d = fabs((double)a->z[i] - (double)b->z[i]);
    worst = test_worse(worst, d);
  }
  ck_assert_msg(worst < 2e-3, "representations differ by %g", worst);
  for (int s = 0; s < STAGES; s++) {
    int other = 0;
    for (int i = 0; i < ROWS; i++) other += a->labels[s][i] != b->labels[s][i];
    ck_assert_msg(other <= ROWS / 200, "stage %d: %d labels differ", s, other);
    const mcl_stage_report *x = &a->reports[s], *y = &b->reports[s];
    ck_assert_int_eq(x->k_effective, y->k_effective);
    ck_assert_int_eq(x->rows_seen, y->rows_seen);
    ck_assert_double_eq_tol(x->loss_last, y->loss_last, 1e-3 * fabs(y->loss_last));
    ck_assert_double_eq_tol(x->accuracy, y->accuracy, 0.01);
    ck_assert_double_eq_tol(x->told, y->told, 0.05); // near ties turn over
    ck_assert_double_eq_tol(x->cell_cosine, y->cell_cosine, 1e-3);
  }
}

static void like_one_process(plan p) {
  plan *one = run(p, 1, 1, 0);
  for (int32_t size = 2; size <= 4; size++) {
    plan *many = run(p, size, size == 3 ? 2 : 1, size == 2);
    check_near(many, one);
    free(many);
  }
  free(one);
}

START_TEST(every_number_of_ranks_trains_as_one_process) {
  plan p = plain;
  like_one_process(p);
  p.loss_kind = MCL_LOSS_INFO_NCE;
  like_one_process(p);
  p.flags = MCL_ONE_WAY;
  like_one_process(p);
  p = plain;
  p.encoder = CNN;
  like_one_process(p);
}
END_TEST

START_TEST(in_chunks_and_from_disk_too) {
  plan p = plain;
  p.chunk_rows = 10;
  p.embeddings = test_directory("run_ranks_embeddings");
  like_one_process(p);
  char path[300];
  snprintf(path, sizeof path, "%s/stage-0-rank-1-of-3.npy", p.embeddings);
  FILE *f = fopen(path, "rb");
  ck_assert_ptr_nonnull(f);
  fclose(f);
}
END_TEST

// Steps with fewer rows than ranks: some have none.
START_TEST(ranks_without_rows_take_part) {
  plan p = plain;
  p.rows = 90;
  p.batch_rows = 5;
  p.min_cell_rows = 1;
  like_one_process(p);
}
END_TEST

// Packed batches and batch norm see other rows together on another number of ranks: nothing to compare with, but all ranks must
// end alike, which run_rank sees to.
START_TEST(packed_batches_and_batch_norm_end_alike_on_all_ranks) {
  plan p = plain;
  p.batching = MCL_BATCH_PACKED;
  free(run(p, 3, 1, 0));
  p = plain;
  p.encoder = CNN_WITH_NORM;
  free(run(p, 3, 1, 0));
  p.rows = 90;
  p.batch_rows = 5; // ranks without rows have no figures
  p.min_cell_rows = 1;
  free(run(p, 4, 1, 1));
}
END_TEST

START_TEST(a_cancelled_rank_stops_all_and_another_number_goes_on) {
  plan p = plain;
  p.epochs = 2;
  plan *whole = run(p, 1, 1, 0);
  for (int32_t size = 2; size <= 3; size++) {
    p.save = test_directory("run_ranks_cancelled");
    p.stop_rank = 1;
    p.stop_after = 2;
    p.wanted = MCL_E_CANCELLED;
    p.word = "rank 1";
    p.resume = false;
    free(run(p, size, 1, 0));
    p.stop_rank = -1;
    p.wanted = MCL_OK;
    p.word = NULL;
    p.resume = true;
    plan *rest = run(p, 5 - size, 1, 0);
    check_near(rest, whole);
    free(rest);
    p.save = NULL;
  }
  free(whole);
}
END_TEST

START_TEST(what_fails_on_one_rank_fails_on_all) {
  plan p = plain;
  p.fail_rank = 1;
  p.wanted = MCL_E_CALLBACK;
  p.word = "rank 1: mcl_encoder_factory.make failed: no more GPUs";
  free(run(p, 3, 1, 0));
  p.fail_stage = 1;
  free(run(p, 2, 1, 0));
  p = plain;
  p.odd_seed = true;
  p.wanted = MCL_E_MISMATCH;
  p.word = "rank 1";
  free(run(p, 3, 1, 0));
  p = plain;
  p.wrong_seed = true; // of the weights: the loop cannot know but for looking at them
  p.wanted = MCL_E_MISMATCH;
  p.word = "weights";
  free(run(p, 2, 1, 0));
}
END_TEST

// ---- pull ----------------------------------------------------------------------------------------------

static mcl_multistage *make_pulled(const test_rank *r, int64_t batch_rows, mcl_event *e,
                                   mcl_batch *b) {
  plan p = plain;
  p.batch_rows = batch_rows;
  mcl_multistage *l = make_loop(r, &p, 0);
  mcl_struct_init(e, sizeof *e);
  mcl_struct_init(b, sizeof *b);
  b->capacity = mcl_multistage_batch_capacity(l);
  b->indices = malloc((size_t)b->capacity * sizeof *b->indices);
  return l;
}

// Embeddings that are a function of the row: then all is the same to the bit.
typedef struct pulled {
  int64_t *indices[MOST_TEST_RANKS]; // batches of each rank, [steps, 64]
  int64_t n[MOST_TEST_RANKS][200];
  int32_t labels[STAGES][ROWS];
  mcl_stage_report reports[STAGES];
} pulled;

static void embed(const int64_t *rows, int64_t n, int32_t stage, float *z) {
  for (int64_t i = 0; i < n; i++)
    test_fill_normal(z + i * DIM, DIM, (uint64_t)(rows[i] % 7 + 100 * stage));
  for (int64_t i = 0; i < n * DIM; i++)
    z[i] += 0.1F * (float)((rows[i / DIM] * 31 + i % DIM * 7) % 13);
}

static void pull_rank(test_rank *r) {
  pulled *out = r->user;
  mcl_error err;
  mcl_event e;
  mcl_batch b;
  mcl_multistage *l = make_pulled(r, 64, &e, &b);
  float *z = malloc((size_t)(b.capacity * DIM) * sizeof *z);
  int64_t first, n, embedded = 0, asked = 0, step = 0;
  mcl_comm_share(r->comm, ROWS, &first, &n);
  for (e.kind = 0; e.kind != MCL_DONE;) {
    CHECK_OK(mcl_multistage_next(l, NULL, &e, &b, &err));
    if (e.kind == MCL_TRAIN_BATCH) {
      memcpy(out->indices[r->rank] + step * 64, b.indices, (size_t)b.n * sizeof *b.indices);
      out->n[r->rank][step++] = b.n;
    } else if (e.kind == MCL_EMBED_ROWS) {
      for (int64_t i = 0; i < b.n; i++)
        ck_assert(b.indices[i] >= first && b.indices[i] < first + n);
      embed(b.indices, b.n, e.stage, z);
      mcl_array a = mcl_matrix_f32(z, b.n, DIM);
      CHECK_OK(mcl_multistage_put_embeddings(l, 0, b.indices, b.n, &a, &err));
      embedded += b.n;
      asked++;
      if (r->size > 1 && n < ROWS) {
        int64_t other = first > 0 ? first - 1 : first + n;
        a = mcl_matrix_f32(z, 1, DIM);
        CHECK_FAILS(MCL_E_LIMIT, "rank", mcl_multistage_put_embeddings(l, 0, &other, 1, &a, &err));
      }
    } else if (e.kind == MCL_END_STAGE) {
      ck_assert_int_eq(embedded, n * (e.stage + 1));
      if (n == 0) ck_assert_int_eq(asked, e.stage + 1); // once a stage, for no rows
      int32_t labels[ROWS];
      mcl_stage_report report;
      mcl_struct_init(&report, sizeof report);
      CHECK_OK(mcl_multistage_labels(l, e.stage, 0, labels, ROWS, &err));
      CHECK_OK(mcl_multistage_get_report(l, e.stage, 0, &report, &err));
      if (r->size == 1) {
        memcpy(out->labels[e.stage], labels, sizeof labels);
        out->reports[e.stage] = report;
      }
      ck_assert_mem_eq(labels, out->labels[e.stage], sizeof labels);
      ck_assert_mem_eq(&report, &out->reports[e.stage], sizeof report);
    }
  }
  out->n[r->rank][step] = -1;
  free(b.indices);
  free(z);
  mcl_multistage_unref(l);
}

START_TEST(pulled_over_ranks_it_has_the_bits_of_one_process) {
  static pulled one, many;
  for (int i = 0; i < MOST_TEST_RANKS; i++) {
    one.indices[i] = malloc(200 * 64 * sizeof(int64_t));
    many.indices[i] = malloc(200 * 64 * sizeof(int64_t));
  }
  test_ranks w = {.size = 1};
  test_ranks_run(&w, pull_rank, &one);
  memcpy(many.labels, one.labels, sizeof one.labels);
  memcpy(many.reports, one.reports, sizeof one.reports);
  for (w.size = 2; w.size <= 5; w.size++) {
    test_ranks_run(&w, pull_rank, &many);
    int64_t step = 0;
    for (; one.n[0][step] >= 0; step++) { // the batches of all ranks are that of one process
      int64_t at = 0;
      for (int32_t r = 0; r < w.size; r++) {
        ck_assert_int_ge(many.n[r][step], 0);
        ck_assert_mem_eq(many.indices[r] + step * 64, one.indices[0] + step * 64 + at,
                         (size_t)many.n[r][step] * sizeof(int64_t));
        at += many.n[r][step];
      }
      ck_assert_int_eq(at, one.n[0][step]);
    }
    for (int32_t r = 0; r < w.size; r++) ck_assert_int_eq(many.n[r][step], -1);
  }
  for (int i = 0; i < MOST_TEST_RANKS; i++) free(one.indices[i]), free(many.indices[i]);
}
END_TEST

// The host's labels: the same on all ranks, or nobody goes on.
static void put_labels(test_rank *r) {
  const int *differ = r->user;
  mcl_error err;
  mcl_event e;
  mcl_batch b;
  mcl_multistage *l = make_pulled(r, 2000, &e, &b);
  int32_t labels[ROWS];
  mcl_status s = MCL_OK;
  for (e.kind = 0; e.kind != MCL_DONE && s == MCL_OK;) {
    s = mcl_multistage_next(l, NULL, &e, &b, &err);
    if (s < 0 || e.kind != MCL_EMBED_ROWS) continue;
    for (int i = 0; i < ROWS; i++) labels[i] = i % 4 + (*differ && r->rank == 1 && i == 9);
    CHECK_OK(mcl_multistage_put_labels(l, 0, labels, ROWS, &err));
  }
  ck_assert_int_eq(s, *differ ? MCL_E_MISMATCH : MCL_OK);
  if (s < 0) ck_assert_ptr_nonnull(strstr(err.message, "rank 1"));
  free(b.indices);
  mcl_multistage_unref(l);
}

START_TEST(labels_of_the_host_are_the_same_on_all_ranks) {
  test_ranks w = {0};
  for (w.size = 3; w.size <= 4;
       w.size++) // the fourth has no rows to embed, and labels all the same
    for (int differ = 0; differ <= 1; differ++) test_ranks_run(&w, put_labels, &differ);
}
END_TEST

RUN_TESTS("multistage over ranks", every_number_of_ranks_trains_as_one_process,
          in_chunks_and_from_disk_too, ranks_without_rows_take_part,
          packed_batches_and_batch_norm_end_alike_on_all_ranks,
          a_cancelled_rank_stops_all_and_another_number_goes_on,
          what_fails_on_one_rank_fails_on_all, pulled_over_ranks_it_has_the_bits_of_one_process,
          labels_of_the_host_are_the_same_on_all_ranks)
