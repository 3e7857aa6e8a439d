// Push with two modalities: an image tower and a text tower as one encoder, with a temperature that is learnt.
#include "support/suite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <libmcl/multistage.h>

static mcl_error err;

enum {
  ROWS = 64,
  INPUTS = 12,
  CONTEXT = 4,
  WORDS = 9,
  BATCH = 16,
  EPOCHS = 3,
  STAGES = 2,
  DIM = 6
};

// Row i says i mod 4 and i / 4 mod 4, in the image by where it is bright, in the text by a word each.
static float pixel(int64_t row, int64_t k) {
  int64_t noise = (row * 37 + k * 11) % 29;
  return (float)(k % 4 == row % 4) + (float)(k / 4 == row / 4 % 4) + (float)noise / 60;
}

static int32_t word(int64_t row, int64_t k) {
  return k == 0 ? 1 + (int32_t)(row % 4) : k == 1 ? 5 + (int32_t)(row / 4 % 4) : 0;
}

static mcl_status shape(void *user, int32_t modality, mcl_array *row, mcl_error *e) {
  (void)user;
  row->dtype = modality == 0 ? MCL_F32 : MCL_I32;
  row->ndim = 1;
  row->shape[0] = modality == 0 ? INPUTS : CONTEXT;
  return mcl_ok(e);
}

static mcl_status load(void *user, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *e) {
  (void)user;
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < out->shape[1]; k++) {
      int64_t at = i * out->shape[1] + k;
      if (modality == 0) ((float *)out->data)[at] = pixel(indices[i], k);
      if (modality == 1) ((int32_t *)out->data)[at] = word(indices[i], k);
    }
  return mcl_ok(e);
}

typedef struct job {
  mcl_context *c;
  mcl_dataset *d;
  mcl_multistage *l;
  double begins;                 // of the pair's temperature; 0: none is learnt
  mcl_encoder *encoders[STAGES]; // the last one made for each
  int stop_after, told;
} job;

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  job *j = user;
  mcl_mlp_options image;
  mcl_bag_options text;
  mcl_pair_options pair;
  mcl_encoder *a = NULL, *b = NULL;
  mcl_mlp_options_init(&image, sizeof image);
  mcl_bag_options_init(&text, sizeof text);
  mcl_pair_options_init(&pair, sizeof pair);
  image.seed = text.seed = pair.seed = mcl_multistage_seed(3, stage);
  image.inputs = INPUTS, image.hidden = 16, image.layers = 1, image.dim = 10;
  image.projection_dim = 0;
  text.vocabulary = WORDS, text.context = CONTEXT, text.embed = 8, text.hidden = 16, text.dim = 7;
  pair.dim = DIM, pair.temperature = j->begins;
  mcl_status s = mcl_encoder_create_mlp(j->c, &image, &a, e);
  if (s == MCL_OK) s = mcl_encoder_create_bag(j->c, &text, &b, e);
  if (s == MCL_OK) s = mcl_encoder_create_pair(j->c, &pair, a, b, out, e);
  mcl_encoder_unref(a);
  mcl_encoder_unref(b);
  if (s < 0) return s;
  mcl_encoder_unref(j->encoders[stage]);
  j->encoders[stage] = mcl_encoder_ref(*out);
  return mcl_ok(e);
}

static int32_t trained_stages; // of the loops that start

static void start(job *j, uint32_t threads, double begins, double loops, const char *directory) {
  memset(j, 0, sizeof *j);
  j->begins = begins;
  j->c = test_context(threads);
  mcl_host_dataset rows;
  mcl_struct_init(&rows, sizeof rows);
  rows.rows = ROWS, rows.modalities = 2, rows.shape = shape, rows.load = load;
  CHECK_OK(mcl_dataset_create_host(j->c, &rows, &j->d, &err));
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_loss_options loss;
  mcl_multistage_options o;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_loss_options_init(&loss, sizeof loss);
  mcl_multistage_options_init(&o, sizeof o);
  k.k = 2;
  s.batch_rows = BATCH;
  loss.temperature = loops;
  o.stages = STAGES, o.epochs = EPOCHS, o.modalities = 2, o.cluster_modalities = 3;
  o.kmeans = &k, o.sampler = &s, o.loss = &loss, o.loss_kind = MCL_LOSS_INFO_NCE;
  o.learning_rate = 0.01;
  o.trained_stages = trained_stages;
  o.save_directory = directory;
  o.save_every_steps = directory ? 1 : 0;
  CHECK_OK(mcl_multistage_create(j->c, &o, ROWS, NULL, &j->l, &err));
}

static void stop(job *j) {
  for (int s = 0; s < STAGES; s++) mcl_encoder_unref(j->encoders[s]);
  mcl_multistage_unref(j->l);
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
  return mcl_multistage_run(j->l, j->d, NULL, &f, &m, &err);
}

typedef struct outcome {
  float z[STAGES][2][ROWS * DIM];
  double temperature[STAGES], loss[STAGES];
} outcome;

static void take(job *j, outcome *o) {
  memset(o, 0, sizeof *o);
  float pixels[ROWS * INPUTS];
  int32_t words[ROWS * CONTEXT];
  for (int i = 0; i < ROWS; i++) {
    for (int k = 0; k < INPUTS; k++) pixels[i * INPUTS + k] = pixel(i, k);
    for (int k = 0; k < CONTEXT; k++) words[i * CONTEXT + k] = word(i, k);
  }
  const int64_t shape_of_words[2] = {ROWS, CONTEXT};
  mcl_array data[2] = {mcl_matrix_f32(pixels, ROWS, INPUTS)};
  mcl_array_init(&data[1], words, MCL_I32, 2, shape_of_words);
  for (int s = 0; s < STAGES; s++) {
    mcl_stage_report r;
    mcl_struct_init(&r, sizeof r);
    CHECK_OK(mcl_multistage_get_report(j->l, s, 0, &r, &err));
    o->loss[s] = r.loss_last;
    if (j->begins > 0) CHECK_OK(mcl_encoder_temperature(j->encoders[s], &o->temperature[s], &err));
    for (int m = 0; m < 2; m++) {
      mcl_array z = mcl_matrix_f32(o->z[s][m], ROWS, DIM);
      mcl_inputs in;
      mcl_struct_init(&in, sizeof in);
      in.n = ROWS, in.modality = m, in.view = -1, in.data = &data[m];
      CHECK_OK(mcl_encoder_embed(j->encoders[s], &in, &z, &err));
    }
  }
}

static void run_whole(uint32_t threads, double begins, double loops, outcome *o) {
  job j;
  start(&j, threads, begins, loops, NULL);
  CHECK_OK(run(&j));
  take(&j, o);
  stop(&j);
}

START_TEST(the_loss_is_computed_at_the_temperature_that_the_encoder_has_learnt) {
  static outcome one, other;
  run_whole(1, 0.3, 0.5, &one);
  for (int s = 0; s < STAGES; s++) {
    ck_assert(fabs(one.temperature[s] - 0.3) > 0.01); // it moves in every stage, from the beginning
    ck_assert(one.temperature[s] >= 0.01 && one.temperature[s] <= 1);
  }
  run_whole(1, 0.3, 77, &other); // the loop's own is not used
  ck_assert_mem_eq(&one, &other, sizeof one);
  run_whole(1, 0.4, 0.5, &other);
  ck_assert(memcmp(one.z, other.z, sizeof one.z) != 0);
}
END_TEST

START_TEST(where_none_is_learnt_the_loops_temperature_holds) {
  static outcome one, other;
  run_whole(1, 0, 0.5, &one);
  run_whole(1, 0, 0.3, &other);
  ck_assert(memcmp(one.z, other.z, sizeof one.z) != 0);
}
END_TEST

START_TEST(training_lowers_the_loss_and_every_row_is_seen) {
  job j;
  start(&j, 2, 0.3, 0.5, NULL);
  CHECK_OK(run(&j));
  mcl_stage_report r;
  mcl_struct_init(&r, sizeof r);
  for (int32_t m = 0; m < 2; m++) {
    CHECK_OK(mcl_multistage_get_report(j.l, 0, m, &r, &err));
    ck_assert(r.loss_last < r.loss_first);
    ck_assert_int_eq(r.rows_seen, ROWS);
  }
  stop(&j);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits) {
  static outcome one, more;
  run_whole(1, 0.3, 0.5, &one);
  for (uint32_t threads = 2; threads <= 3; threads++) {
    run_whole(threads, 0.3, 0.5, &more);
    ck_assert_mem_eq(&one, &more, sizeof one);
  }
}
END_TEST

START_TEST(a_cancelled_run_goes_on_from_its_files_with_its_temperature) {
  static outcome whole, resumed;
  char directory[4200];
  snprintf(directory, sizeof directory, "%s", test_directory("pair-cancelled"));
  run_whole(2, 0.3, 0.5, &whole);
  for (int at = 1; at <= 4; at++) {
    job j;
    start(&j, 2, 0.3, 0.5, directory);
    j.stop_after = at;
    mcl_status s = run(&j);
    ck_assert(s == MCL_OK || s == MCL_E_CANCELLED);
    if (s == MCL_E_CANCELLED) { // another process
      stop(&j);
      start(&j, 2, 0.3, 0.5, directory);
      CHECK_OK(mcl_multistage_resume(j.l, directory, &err));
      CHECK_OK(run(&j));
    }
    take(&j, &resumed);
    ck_assert_mem_eq(&whole, &resumed, sizeof whole);
    stop(&j);
    test_directory("pair-cancelled");
  }
}
END_TEST

// The encoder of a stage that comes trained is the factory's to the bit, and its clusters are the cells of the next.
START_TEST(a_trained_stage_keeps_its_weights_and_the_next_is_trained_behind_it) {
  static outcome found, resumed;
  char directory[4200];
  snprintf(directory, sizeof directory, "%s", test_directory("pair-trained"));
  trained_stages = 1;
  for (int at = 0; at <= 3; at++) { // 0: not stopped; else resumed by another process
    job j;
    start(&j, 2, 0.3, 0.5, directory);
    j.stop_after = at;
    if (run(&j) == MCL_E_CANCELLED) {
      stop(&j);
      start(&j, 2, 0.3, 0.5, directory);
      CHECK_OK(mcl_multistage_resume(j.l, directory, &err));
      CHECK_OK(run(&j));
    }
    take(&j, at ? &resumed : &found);
    if (at) ck_assert_mem_eq(found.z, resumed.z, sizeof found.z);
    if (!at) {
      job fresh = {.c = j.c, .begins = 0.3};
      mcl_encoder *e = NULL;
      CHECK_OK(make(&fresh, 0, &e, &err));
      mcl_encoder_unref(j.encoders[0]);
      j.encoders[0] = e;
      take(&j, &resumed);
      ck_assert_mem_eq(found.z[0], resumed.z[0], sizeof found.z[0]);
      ck_assert_double_eq(found.temperature[0], resumed.temperature[0]);
      ck_assert(fabs(found.temperature[1] - 0.3) > 0.01);
      mcl_encoder_unref(fresh.encoders[0]);
    }
    stop(&j);
    test_directory("pair-trained");
  }
  trained_stages = 0;
}
END_TEST

START_TEST(two_modalities_weigh_stages_equally_by_default) {
  job j;
  mcl_integrator *g = NULL;
  start(&j, 1, 0.3, 0.5, NULL);
  CHECK_OK(run(&j));
  CHECK_OK(mcl_multistage_integrator(j.l, &g, &err));
  for (int32_t s = 0; s < STAGES; s++) {
    double weight;
    CHECK_OK(mcl_integrator_get_weight(g, s, &weight, &err));
    ck_assert_double_eq(weight, 1);
  }
  mcl_integrator_unref(g);
  stop(&j);
}
END_TEST

RUN_TESTS("multistage", two_modalities_weigh_stages_equally_by_default,
          a_trained_stage_keeps_its_weights_and_the_next_is_trained_behind_it,
          the_loss_is_computed_at_the_temperature_that_the_encoder_has_learnt,
          where_none_is_learnt_the_loops_temperature_holds,
          training_lowers_the_loss_and_every_row_is_seen, any_number_of_threads_gives_the_same_bits,
          a_cancelled_run_goes_on_from_its_files_with_its_temperature)
