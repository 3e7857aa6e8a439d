// Batches in chunks: the same training as with whole ones, in less memory.
#include "support/suite.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <libmcl/multistage.h>

static mcl_error err;

enum { ROWS = 120, SIDE = 6, INPUTS = SIDE * SIDE, CONTEXT = 4, WORDS = 9 };
enum { BATCH = 40, EPOCHS = 2, STAGES = 2, DIM = 6 };

// What is trained on what: two augmented views by a network, or an image and a text by a pair with a learnt temperature.
enum { MLP, CNN, PAIR, KINDS };

// Row i says i mod 4 and i / 4 mod 4, in the image by where it is bright, in the text by a word each.
static float pixel(int64_t row, int64_t k) {
  int64_t noise = (row * 37 + k * 11) % 29;
  return (float)(k % 4 == row % 4) + (float)(k / 9 == row / 4 % 4) + (float)noise / 60;
}

static int32_t word(int64_t row, int64_t k) {
  return k == 0 ? 1 + (int32_t)(row % 4) : k == 1 ? 5 + (int32_t)(row / 4 % 4) : 0;
}

typedef struct job {
  int kind;
  mcl_context *c;
  mcl_dataset *d;
  mcl_augmenter *a;
  mcl_multistage *l;
  mcl_encoder *encoders[STAGES]; // the last one made for each
  int64_t loads, fail_load;      // the number of the call of the host's load that fails; 0: none
  int draws;                     // the host's load gives other rows each time
  int stop_after, told;
} job;

// ---- data: a host's, so that it can fail -----------------------------------------------------------

static mcl_status shape(void *user, int32_t modality, mcl_array *row, mcl_error *e) {
  (void)user;
  row->dtype = modality == 0 ? MCL_F32 : MCL_I32;
  row->ndim = modality == 0 ? 3 : 1;
  row->shape[0] = modality == 0 ? SIDE : CONTEXT;
  if (modality == 0) row->shape[1] = SIDE, row->shape[2] = 1;
  return mcl_ok(e);
}

static mcl_status load(void *user, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *e) {
  job *j = user;
  if (++j->loads == j->fail_load) return mcl_error_set(e, MCL_E_IO, 77, "the disk is gone");
  int64_t size = modality == 0 ? INPUTS : CONTEXT;
  for (int64_t i = 0; i < n * size; i++) {
    int64_t row = indices[i / size], k = i % size;
    if (modality == 0)
      ((float *)out->data)[i] = pixel(row, k) + (j->draws ? (float)(j->loads * k % 7) / 7 : 0);
    if (modality == 1) ((int32_t *)out->data)[i] = word(row, k);
  }
  return mcl_ok(e);
}

static uint8_t bytes[ROWS * INPUTS];

static mcl_dataset *images_in_memory(mcl_context *c) {
  for (int i = 0; i < ROWS * INPUTS; i++) bytes[i] = (uint8_t)(100 * pixel(i / INPUTS, i % INPUTS));
  mcl_array x = mcl_images_u8(bytes, ROWS, SIDE, SIDE, 1);
  mcl_dataset *d = NULL;
  CHECK_OK(mcl_dataset_create_array(c, &x, NULL, &d, &err));
  return d;
}

static mcl_dataset *rows_of_a_host(job *j) {
  mcl_host_dataset rows;
  mcl_struct_init(&rows, sizeof rows);
  rows.user = j, rows.rows = ROWS, rows.modalities = 2, rows.shape = shape, rows.load = load;
  mcl_dataset *d = NULL;
  CHECK_OK(mcl_dataset_create_host(j->c, &rows, &d, &err));
  return d;
}

// ---- encoders: by gradient descent, which does not make rounding larger ------------------------------

static mcl_status make_image_tower(job *j, int32_t stage, int32_t projection, mcl_encoder **out,
                                   mcl_error *e) {
  mcl_optimiser_options descent;
  mcl_optimiser_options_init(&descent, sizeof descent);
  descent.kind = MCL_SGD;
  if (j->kind == CNN) {
    const int32_t filters[2] = {5, 6};
    mcl_cnn_options o;
    mcl_cnn_options_init(&o, sizeof o);
    o.seed = mcl_multistage_seed(3, stage);
    o.height = o.width = SIDE, o.channels = 1, o.layers = 2, o.filters = filters;
    o.dim = DIM, o.projection_dim = projection, o.optimiser = &descent;
    return mcl_encoder_create_cnn(j->c, &o, out, e);
  }
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = mcl_multistage_seed(3, stage);
  o.inputs = INPUTS, o.hidden = 16, o.layers = 1, o.dim = DIM, o.projection_dim = projection;
  o.optimiser = &descent;
  return mcl_encoder_create_mlp(j->c, &o, out, e);
}

static mcl_status make_pair(job *j, int32_t stage, mcl_encoder **out, mcl_error *e) {
  mcl_optimiser_options descent;
  mcl_bag_options text;
  mcl_pair_options pair;
  mcl_encoder *a = NULL, *b = NULL;
  mcl_optimiser_options_init(&descent, sizeof descent);
  mcl_bag_options_init(&text, sizeof text);
  mcl_pair_options_init(&pair, sizeof pair);
  descent.kind = MCL_SGD;
  text.seed = pair.seed = mcl_multistage_seed(3, stage);
  text.vocabulary = WORDS, text.context = CONTEXT, text.embed = 8, text.hidden = 16, text.dim = 7;
  pair.dim = DIM, pair.temperature = 0.3;
  text.optimiser = pair.optimiser = &descent;
  mcl_status s = make_image_tower(j, stage, 0, &a, e);
  if (s == MCL_OK) s = mcl_encoder_create_bag(j->c, &text, &b, e);
  if (s == MCL_OK) s = mcl_encoder_create_pair(j->c, &pair, a, b, out, e);
  mcl_encoder_unref(a);
  mcl_encoder_unref(b);
  return s;
}

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  job *j = user;
  mcl_status s =
      j->kind == PAIR ? make_pair(j, stage, out, e) : make_image_tower(j, stage, DIM, out, e);
  if (s < 0) return s;
  mcl_encoder_unref(j->encoders[stage]);
  j->encoders[stage] = mcl_encoder_ref(*out);
  return mcl_ok(e);
}

// ---- a run -----------------------------------------------------------------------------------------

typedef struct settings {
  int kind;
  uint32_t threads;
  int64_t chunk_rows;
  int32_t batching;
  const char *directory;
} settings;

static void start_with(job *j, const settings *w, mcl_context *c) {
  memset(j, 0, sizeof *j);
  j->kind = w->kind;
  j->c = c;
  j->d = w->kind == PAIR ? rows_of_a_host(j) : images_in_memory(j->c);
  if (w->kind != PAIR) {
    mcl_augmenter_options a;
    mcl_augmenter_options_init(&a, sizeof a);
    a.noise = 0.02;
    CHECK_OK(mcl_augmenter_create(j->c, &a, &j->a, &err));
  }
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage_options o;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_multistage_options_init(&o, sizeof o);
  k.k = 4;
  s.batch_rows = BATCH;
  if (w->batching) s.batching = w->batching;
  o.stages = STAGES, o.epochs = EPOCHS, o.kmeans = &k, o.sampler = &s;
  if (w->kind == PAIR) o.modalities = 2, o.loss_kind = MCL_LOSS_INFO_NCE;
  o.learning_rate = 0.02;
  o.chunk_rows = w->chunk_rows;
  o.save_directory = w->directory;
  o.save_every_steps = w->directory ? 1 : 0;
  CHECK_OK(mcl_multistage_create(j->c, &o, ROWS, NULL, &j->l, &err));
}

static void start(job *j, const settings *w) {
  start_with(j, w, test_context(w->threads));
}

static void stop(job *j) {
  for (int s = 0; s < STAGES; s++) mcl_encoder_unref(j->encoders[s]);
  mcl_multistage_unref(j->l);
  mcl_augmenter_unref(j->a);
  mcl_dataset_unref(j->d);
  mcl_context_unref(j->c);
}

static int32_t watch(void *user, const mcl_progress *p) {
  job *j = user;
  (void)p;
  j->told++;
  return j->stop_after && j->told >= j->stop_after;
}

static mcl_status run(job *j) {
  mcl_encoder_factory f;
  mcl_monitor m;
  mcl_struct_init(&f, sizeof f);
  mcl_struct_init(&m, sizeof m);
  f.user = m.user = j;
  f.make = make;
  m.progress = watch;
  return mcl_multistage_run(j->l, j->d, j->a, &f, &m, &err);
}

typedef struct outcome {
  float z[STAGES][2][ROWS * DIM];
  int32_t labels[STAGES][ROWS];
  double temperature[STAGES];
} outcome;

static void take(job *j, outcome *o) {
  memset(o, 0, sizeof *o);
  static float pixels[ROWS * INPUTS];
  static int32_t words[ROWS * CONTEXT];
  for (int i = 0; i < ROWS * INPUTS; i++) pixels[i] = pixel(i / INPUTS, i % INPUTS);
  for (int i = 0; i < ROWS * CONTEXT; i++) words[i] = word(i / CONTEXT, i % CONTEXT);
  const int64_t shape_of_words[2] = {ROWS, CONTEXT};
  mcl_array data[2] = {mcl_matrix_f32(pixels, ROWS, INPUTS)};
  mcl_array_init(&data[1], words, MCL_I32, 2, shape_of_words);
  for (int s = 0; s < STAGES; s++) {
    CHECK_OK(mcl_multistage_labels(j->l, s, 0, o->labels[s], ROWS, &err));
    if (j->kind == PAIR)
      CHECK_OK(mcl_encoder_temperature(j->encoders[s], &o->temperature[s], &err));
    for (int m = 0; m < mcl_encoder_modalities(j->encoders[s]); m++) {
      mcl_array z = mcl_matrix_f32(o->z[s][m], ROWS, DIM);
      mcl_inputs in;
      mcl_struct_init(&in, sizeof in);
      in.n = ROWS, in.modality = m, in.view = -1, in.data = &data[m];
      CHECK_OK(mcl_encoder_embed(j->encoders[s], &in, &z, &err));
    }
  }
}

static void run_whole(const settings *w, outcome *o) {
  job j;
  start(&j, w);
  CHECK_OK(run(&j));
  take(&j, o);
  stop(&j);
}

static double largest_difference(const outcome *a, const outcome *b) {
  double worst = 0;
  for (int s = 0; s < STAGES; s++) {
    double d = fabs(a->temperature[s] - b->temperature[s]);
    worst = test_worse(worst, d);
    for (int i = 0; i < 2 * ROWS * DIM; i++) {
      d = fabs((double)a->z[s][i / (ROWS * DIM)][i % (ROWS * DIM)] -
               (double)b->z[s][i / (ROWS * DIM)][i % (ROWS * DIM)]);
      worst = test_worse(worst, d);
    }
  }
  return worst;
}

// ---- the same training -----------------------------------------------------------------------------

// The same clusters, whatever their numbers: these follow the draw of the first centres, which rounding in the sums that it
// draws from may turn over.
static bool are_the_same_clusters(const int32_t *a, const int32_t *b) {
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < i; j++)
      if ((a[i] == a[j]) != (b[i] == b[j])) return false;
  return true;
}

// 7 divides no batch; 1 is the least. A batch of one cell, and packed ones.
START_TEST(chunks_come_to_the_training_of_whole_batches) {
  static outcome whole, chunks;
  const int32_t batchings[] = {MCL_BATCH_ONE_CELL, MCL_BATCH_PACKED};
  const int64_t sizes[] = {1, 7, 20};
  for (int kind = 0; kind < KINDS; kind++)
    for (int b = 0; b < 2; b++) {
      settings w = {.kind = kind, .threads = 1, .batching = batchings[b]};
      run_whole(&w, &whole);
      for (int i = 0; i < 3; i++) {
        w.chunk_rows = sizes[i];
        run_whole(&w, &chunks);
        for (int stage = 0; stage < STAGES; stage++)
          ck_assert(are_the_same_clusters(whole.labels[stage], chunks.labels[stage]));
        double d = largest_difference(&whole, &chunks);
        ck_assert_msg(d < 1e-5, "kind %d, batching %d, chunks of %d: %g", kind, batchings[b],
                      (int)sizes[i], d);
      }
    }
}
END_TEST

START_TEST(chunks_as_large_as_a_batch_give_the_bits_of_whole_batches) {
  static outcome whole, chunks;
  for (int kind = 0; kind < KINDS; kind++)
    for (int64_t rows = BATCH; rows <= 10 * BATCH; rows += 9 * BATCH) {
      settings w = {.kind = kind, .threads = 2};
      run_whole(&w, &whole);
      w.chunk_rows = rows;
      run_whole(&w, &chunks);
      ck_assert_mem_eq(&whole, &chunks, sizeof whole);
    }
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits) {
  static outcome one, more;
  for (int kind = 0; kind < KINDS; kind++)
    for (uint32_t threads = 1; threads <= 3; threads++) {
      settings w = {.kind = kind, .threads = threads, .chunk_rows = 9};
      run_whole(&w, threads == 1 ? &one : &more);
      if (threads > 1) ck_assert_mem_eq(&one, &more, sizeof one);
    }
}
END_TEST

START_TEST(a_cancelled_run_goes_on_from_its_files_to_the_same_bits) {
  static outcome whole, resumed;
  char directory[4200];
  snprintf(directory, sizeof directory, "%s", test_directory("chunks-cancelled"));
  settings w = {.kind = PAIR, .threads = 2, .chunk_rows = 9};
  run_whole(&w, &whole);
  w.directory = directory;
  for (int at = 1; at <= 3; at++) {
    job j;
    start(&j, &w);
    j.stop_after = at;
    mcl_status s = run(&j);
    ck_assert(s == MCL_OK || s == MCL_E_CANCELLED);
    if (s == MCL_E_CANCELLED) { // another process
      stop(&j);
      start(&j, &w);
      CHECK_OK(mcl_multistage_resume(j.l, directory, &err));
      CHECK_OK(run(&j));
    }
    take(&j, &resumed);
    ck_assert_mem_eq(&whole, &resumed, sizeof whole);
    stop(&j);
    test_directory("chunks-cancelled");
  }
}
END_TEST

// ---- by pull ---------------------------------------------------------------------------------------

// What a host needs of a batch, and how it trains on it in chunks: docs/embedding.md shows this function.
typedef struct host_batch {
  mcl_context *context;
  mcl_encoder *encoder;
  const mcl_batch *batch;
  int32_t stage, epoch;
  int64_t chunks;
  float *z[2], *dz[2]; // [batch, DIM]
} host_batch;

// Chunk `at` of view v: rows first .. first + n - 1 of the batch.
static mcl_inputs chunk_inputs(const host_batch *h, int v, int64_t at, int64_t *first,
                               mcl_array *data, void *buffer) {
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  *first = at * h->batch->n / h->chunks;
  in.n = (at + 1) * h->batch->n / h->chunks - *first;
  in.indices = h->batch->indices + *first;
  in.modality = in.view = v, in.stage = h->stage, in.epoch = h->epoch;
  const int64_t shapes[2][2] = {{in.n, INPUTS}, {in.n, CONTEXT}};
  mcl_array_init(data, buffer, v == 0 ? MCL_F32 : MCL_I32, 2, shapes[v]);
  job rows = {.kind = PAIR};
  CHECK_OK(load(&rows, in.indices, in.n, v, data, &err));
  in.data = data;
  return in;
}

static mcl_status forward_chunk(const host_batch *h, int v, int64_t at) {
  float buffer[BATCH * INPUTS];
  int64_t first;
  mcl_array data;
  mcl_inputs in = chunk_inputs(h, v, at, &first, &data, buffer);
  mcl_array z = mcl_matrix_f32(h->z[v] + first * DIM, in.n, DIM);
  return mcl_encoder_forward(h->encoder, &in, &z, &err);
}

static mcl_status backward_chunk(const host_batch *h, int v, int64_t at) {
  float buffer[BATCH * INPUTS];
  int64_t first;
  mcl_array data;
  mcl_inputs in = chunk_inputs(h, v, at, &first, &data, buffer);
  mcl_array dz = mcl_matrix_f32(h->dz[v] + first * DIM, in.n, DIM);
  return mcl_encoder_backward(h->encoder, &in, &dz, &err);
}

static mcl_status loss_of_all(const host_batch *h, mcl_loss_result *r) {
  mcl_array z[2], dz[2];
  for (int v = 0; v < 2; v++) {
    z[v] = mcl_matrix_f32(h->z[v], h->batch->n, DIM);
    dz[v] = mcl_matrix_f32(h->dz[v], h->batch->n, DIM);
  }
  mcl_loss_options o;
  mcl_loss_inputs in;
  mcl_loss_options_init(&o, sizeof o);
  mcl_struct_init(&in, sizeof in);
  in.za = &z[0], in.zb = &z[1], in.dza = &dz[0], in.dzb = &dz[1], in.cells = h->batch->cells;
  mcl_status s = mcl_encoder_temperature(h->encoder, &o.temperature, &err);
  return s < 0 ? s : mcl_loss_info_nce(h->context, &o, &in, r, &err);
}

static mcl_status train_in_chunks(const host_batch *h, const mcl_step *step) {
  mcl_loss_result r;
  mcl_struct_init(&r, sizeof r);
  mcl_status s = MCL_OK;
  // 1. The projections of all rows; of each view the last chunk stays held.
  for (int64_t at = 0; s == MCL_OK && at < h->chunks; at++)
    for (int v = 0; s == MCL_OK && v < 2; v++) s = forward_chunk(h, v, at);
  // 2. The loss of all rows, and its gradient by their projections.
  if (s == MCL_OK) s = loss_of_all(h, &r);
  // 3. The chunks once more, the one that is held first: its slice of the gradient goes back.
  for (int64_t at = h->chunks - 1; s == MCL_OK && at >= 0; at--) {
    for (int v = 0; s == MCL_OK && v < 2 && at < h->chunks - 1; v++) s = forward_chunk(h, v, at);
    for (int v = 0; s == MCL_OK && v < 2; v++) s = backward_chunk(h, v, at);
  }
  // 4. The temperature, where one is learnt, and one step for the whole batch.
  if (s == MCL_OK) s = mcl_encoder_backward_temperature(h->encoder, r.d_log_temperature, &err);
  if (s == MCL_OK) s = mcl_encoder_step(h->encoder, step, &err);
  // 5. Whatever has failed: the gradients of the chunks that went before must not stay.
  mcl_error unused;
  if (s < 0 && mcl_encoder_give_up(h->encoder, &unused) < 0) ck_abort();
  return s;
}

static void pull_batch(job *j, const mcl_event *e, const mcl_batch *batch, int64_t chunk_rows) {
  static float z[2][BATCH * DIM], dz[2][BATCH * DIM];
  host_batch h = {.context = j->c,
                  .encoder = j->encoders[e->stage],
                  .batch = batch,
                  .stage = e->stage,
                  .epoch = e->epoch,
                  .chunks = (batch->n + chunk_rows - 1) / chunk_rows,
                  .z = {z[0], z[1]},
                  .dz = {dz[0], dz[1]}};
  mcl_step step;
  mcl_struct_init(&step, sizeof step);
  step.learning_rate = 0.02;
  CHECK_OK(train_in_chunks(&h, &step));
}

static void pull_embeddings(job *j, const mcl_event *e, const mcl_batch *batch) {
  float z[BATCH * DIM], buffer[BATCH * INPUTS];
  host_batch h = {.batch = batch, .chunks = 1};
  int64_t first;
  mcl_array data, out = mcl_matrix_f32(z, batch->n, DIM);
  mcl_inputs in = chunk_inputs(&h, 0, 0, &first, &data, buffer);
  in.view = -1;
  CHECK_OK(mcl_encoder_embed(j->encoders[e->stage], &in, &out, &err));
  CHECK_OK(mcl_multistage_put_embeddings(j->l, 0, batch->indices, batch->n, &out, &err));
}

START_TEST(a_host_that_pulls_comes_to_the_same_bits) {
  static outcome pushed, pulled;
  settings w = {.kind = PAIR, .threads = 1, .chunk_rows = 9};
  run_whole(&w, &pushed);
  job j;
  w.chunk_rows = 0; // of push alone
  start(&j, &w);
  int64_t indices[BATCH], cells[BATCH];
  mcl_event e;
  mcl_batch batch;
  mcl_struct_init(&e, sizeof e);
  mcl_struct_init(&batch, sizeof batch);
  batch.indices = indices, batch.cells = cells, batch.capacity = BATCH;
  ck_assert_int_le(mcl_multistage_batch_capacity(j.l), BATCH);
  do {
    CHECK_OK(mcl_multistage_next(j.l, NULL, &e, &batch, &err));
    mcl_encoder *unused = NULL;
    if (e.kind == MCL_BEGIN_STAGE) CHECK_OK(make(&j, e.stage, &unused, &err));
    if (e.kind == MCL_TRAIN_BATCH) pull_batch(&j, &e, &batch, 9);
    if (e.kind == MCL_EMBED_ROWS) pull_embeddings(&j, &e, &batch);
    mcl_encoder_unref(unused);
  } while (e.kind != MCL_DONE);
  take(&j, &pulled);
  ck_assert_mem_eq(&pushed, &pulled, sizeof pushed);
  stop(&j);
}
END_TEST

// ---- what can go wrong -----------------------------------------------------------------------------

// At every call of the host's load: the same run goes on, and nothing of the batch that failed is left.
START_TEST(a_batch_that_fails_between_its_chunks_comes_again) {
  static outcome whole, again;
  settings w = {.kind = PAIR, .threads = 1, .chunk_rows = 15};
  run_whole(&w, &whole);
  for (int64_t at = 1;; at += 5) {
    job j;
    start(&j, &w);
    j.fail_load = at;
    mcl_status s = run(&j);
    if (s < 0) {
      ck_assert_int_eq(s, MCL_E_IO);
      ck_assert_int_eq(err.host_code, 77);
      CHECK_OK(run(&j));
    }
    take(&j, &again);
    ck_assert_mem_eq(&whole, &again, sizeof whole);
    stop(&j);
    if (s == MCL_OK) break;
    ck_assert_int_lt(at, 1000);
  }
}
END_TEST

START_TEST(rows_that_are_drawn_anew_for_the_second_pass_are_told) {
  settings w = {.kind = PAIR, .threads = 1, .chunk_rows = 15};
  job j;
  start(&j, &w);
  j.draws = 1;
  CHECK_FAILS(MCL_E_CALLBACK, "came out otherwise", run(&j));
  j.draws = 0;
  CHECK_OK(run(&j));
  stop(&j);
}
END_TEST

// ---- a host's encoder ------------------------------------------------------------------------------

typedef struct host {
  mcl_encoder *inner;
  uint32_t flags;
  int forwards, steps;
} host;

static mcl_status host_embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  return mcl_encoder_embed(((host *)user)->inner, in, out, e);
}

static mcl_status host_forward(void *user, const mcl_inputs *in, const mcl_array *out,
                               mcl_error *e) {
  ((host *)user)->forwards++;
  return mcl_encoder_forward(((host *)user)->inner, in, out, e);
}

static mcl_status host_backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                                mcl_error *e) {
  return mcl_encoder_backward(((host *)user)->inner, in, grad, e);
}

static mcl_status host_step(void *user, const mcl_step *s, mcl_error *e) {
  ((host *)user)->steps++;
  return mcl_encoder_step(((host *)user)->inner, s, e);
}

static void host_give_up(void *user) {
  mcl_error unused;
  CHECK_OK(mcl_encoder_give_up(((host *)user)->inner, &unused));
}

static void host_destroy(void *user) {
  mcl_encoder_unref(((host *)user)->inner);
}

typedef struct host_job {
  job *j;
  host hosts[STAGES];
  uint32_t flags;
} host_job;

static mcl_status make_host(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  host_job *w = user;
  host *h = &w->hosts[stage];
  mcl_status s = make_image_tower(w->j, stage, DIM, &h->inner, e);
  if (s < 0) return s;
  mcl_host_encoder t;
  mcl_struct_init(&t, sizeof t);
  t.user = h, t.dim = DIM, t.flags = w->flags;
  t.embed = host_embed, t.forward = host_forward, t.backward = host_backward, t.step = host_step;
  t.give_up = host_give_up, t.destroy = host_destroy;
  return mcl_encoder_create_host(w->j->c, &t, out, e);
}

static mcl_status run_host(host_job *w) {
  mcl_encoder_factory f;
  mcl_struct_init(&f, sizeof f);
  f.user = w, f.make = make_host;
  return mcl_multistage_run(w->j->l, w->j->d, w->j->a, &f, NULL, &err);
}

START_TEST(an_encoder_that_takes_batches_whole_is_refused_before_it_is_trained) {
  settings w = {.kind = MLP, .threads = 1, .chunk_rows = 15};
  job j;
  start(&j, &w);
  host_job h = {.j = &j};
  CHECK_FAILS(MCL_E_UNSUPPORTED, "chunk_rows is 15", run_host(&h));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "MCL_HOST_CHUNKS", run_host(&h));
  ck_assert_int_eq(h.hosts[0].forwards, 0);
  h.flags = MCL_HOST_CHUNKS; // the same loop goes on with another factory
  CHECK_OK(run_host(&h));
  ck_assert_int_gt(h.hosts[0].steps, 0);
  // Three chunks of 40 rows: two views, 2 x 3 - 1 forwards each.
  ck_assert_int_eq(h.hosts[0].forwards, 10 * h.hosts[0].steps);
  stop(&j);
  w.chunk_rows = BATCH; // no batch is larger: nothing is asked of it
  start(&j, &w);
  host_job whole = {.j = &j};
  CHECK_OK(run_host(&whole));
  stop(&j);
}
END_TEST

START_TEST(a_negative_number_of_rows_is_refused) {
  mcl_context *c = test_context(1);
  mcl_multistage_options o;
  mcl_multistage_options_init(&o, sizeof o);
  ck_assert_int_eq(o.chunk_rows, 0);
  o.chunk_rows = -1;
  mcl_multistage *l = NULL;
  CHECK_FAILS(MCL_E_INVALID, "chunk_rows", mcl_multistage_create(c, &o, 100, NULL, &l, &err));
  mcl_context_unref(c);
}
END_TEST

// ---- memory ----------------------------------------------------------------------------------------

enum { LARGE = 4096, LARGE_SIDE = 20 };

static mcl_status make_large(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  const int32_t filters[2] = {8, 12};
  mcl_cnn_options o;
  mcl_cnn_options_init(&o, sizeof o);
  o.seed = mcl_multistage_seed(3, stage);
  o.height = o.width = LARGE_SIDE, o.channels = 1, o.layers = 2, o.filters = filters;
  o.dim = o.projection_dim = 32;
  return mcl_encoder_create_cnn(user, &o, out, e);
}

// The most bytes that a run of one batch of 4096 rows ever has, its clustering and report included; the rows themselves are
// the test's.
static int64_t peak_of(int64_t chunk_rows) {
  static uint8_t images[LARGE * LARGE_SIDE * LARGE_SIDE];
  for (size_t i = 0; i < sizeof images; i++) images[i] = (uint8_t)(i * i % 251);
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 2);
  mcl_array x = mcl_images_u8(images, LARGE, LARGE_SIDE, LARGE_SIDE, 1);
  mcl_dataset *d = NULL;
  mcl_augmenter *augmenter = NULL;
  mcl_augmenter_options noise;
  mcl_multistage *l = NULL;
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage_options o;
  mcl_augmenter_options_init(&noise, sizeof noise);
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_multistage_options_init(&o, sizeof o);
  noise.noise = 0.1;
  k.k = 4, s.batch_rows = LARGE;
  o.stages = o.epochs = 1, o.kmeans = &k, o.sampler = &s, o.chunk_rows = chunk_rows;
  CHECK_OK(mcl_dataset_create_array(c, &x, NULL, &d, &err));
  CHECK_OK(mcl_augmenter_create(c, &noise, &augmenter, &err));
  CHECK_OK(mcl_multistage_create(c, &o, LARGE, NULL, &l, &err));
  mcl_encoder_factory f;
  mcl_struct_init(&f, sizeof f);
  f.user = c, f.make = make_large;
  int64_t before = a.bytes;
  a.peak = a.bytes;
  CHECK_OK(mcl_multistage_run(l, d, augmenter, &f, NULL, &err));
  int64_t peak = a.peak - before;
  mcl_multistage_unref(l);
  mcl_augmenter_unref(augmenter);
  mcl_dataset_unref(d);
  mcl_context_unref(c);
  return peak;
}

// 4096 / 256 = 16: an eighth is a sixteenth for what goes by the rows of a chunk, and as much for the rest, which goes by the
// rows of the batch (projections, their gradients, the loss) or by none.
START_TEST(chunks_of_256_of_4096_rows_take_less_than_an_eighth_of_the_memory) {
  int64_t whole = peak_of(0), chunks = peak_of(256);
  ck_assert_msg(8 * chunks < whole, "%.1f MB in chunks, %.1f MB whole", (double)chunks / 1e6,
                (double)whole / 1e6);
}
END_TEST

RUN_TESTS("multistage", chunks_come_to_the_training_of_whole_batches,
          chunks_as_large_as_a_batch_give_the_bits_of_whole_batches,
          any_number_of_threads_gives_the_same_bits,
          a_cancelled_run_goes_on_from_its_files_to_the_same_bits,
          a_host_that_pulls_comes_to_the_same_bits,
          a_batch_that_fails_between_its_chunks_comes_again,
          rows_that_are_drawn_anew_for_the_second_pass_are_told,
          an_encoder_that_takes_batches_whole_is_refused_before_it_is_trained,
          a_negative_number_of_rows_is_refused,
          chunks_of_256_of_4096_rows_take_less_than_an_eighth_of_the_memory)
