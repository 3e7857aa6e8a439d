#include "support/suite.h"

#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libmcl/checkpoint.h>
#include <libmcl/multistage.h>

#include "base/file.h"

enum { ROWS = 96, SIDE = 6, BATCH = 16, EPOCHS = 2, STAGES = 3, DIM = 8 };

static mcl_error err;

// Two facts in each image: a bright left or right half, and a bright top or bottom.
static const uint8_t *images(void) {
  static uint8_t x[ROWS * SIDE * SIDE];
  for (int i = 0; i < ROWS; i++)
    for (int y = 0; y < SIDE; y++)
      for (int k = 0; k < SIDE; k++)
        x[(i * SIDE + y) * SIDE + k] =
            (uint8_t)(40 + 120 * ((k < SIDE / 2) == (i % 2)) +
                      60 * ((y < SIDE / 2) == (i / 2 % 2)) + (i * 37 + y * 11 + k * 5) % 35);
  return x;
}

typedef struct job {
  mcl_context *c;
  mcl_dataset *d;
  mcl_augmenter *a;
  mcl_multistage *l;
  int stop_after, told, kill_after; // steps
  int made, destroyed, fail_stage;
} job;

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  job *j = user;
  j->made++;
  if (stage == j->fail_stage) return mcl_error_set(e, MCL_E_CALLBACK, 77, "no more GPUs");
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.seed = mcl_multistage_seed(9, stage);
  o.inputs = SIDE * SIDE;
  o.hidden = 16;
  o.layers = 1;
  o.dim = DIM;
  o.projection_dim = 8;
  return mcl_encoder_create_mlp(j->c, &o, out, e);
}

static void destroy(void *user) {
  ((job *)user)->destroyed++;
}

static double growth; // of the stages' weights in the loops that start; 0: the default

static void start(job *j, uint32_t threads, const char *directory, uint64_t seed) {
  memset(j, 0, sizeof *j);
  j->fail_stage = -1;
  j->c = test_context(threads);
  mcl_array x = mcl_images_u8((uint8_t *)(uintptr_t)images(), ROWS, SIDE, SIDE, 1);
  CHECK_OK(mcl_dataset_create_array(j->c, &x, NULL, &j->d, &err));
  mcl_augmenter_options a;
  mcl_augmenter_options_init(&a, sizeof a);
  a.noise = 0.02;
  CHECK_OK(mcl_augmenter_create(j->c, &a, &j->a, &err));
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage_options o;
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_multistage_options_init(&o, sizeof o);
  k.k = 3;
  s.batch_rows = BATCH;
  o.stages = STAGES;
  o.epochs = EPOCHS;
  o.seed = seed;
  o.kmeans = &k;
  o.sampler = &s;
  o.save_directory = directory;
  o.save_every_steps = directory ? 3 : 0;
  o.fingerprint = mcl_dataset_fingerprint(j->d);
  o.schedule = MCL_SCHEDULE_COSINE;
  o.warm_up = 0.2;
  o.learning_rate = 0.01;
  if (growth > 0) o.growth = growth;
  CHECK_OK(mcl_multistage_create(j->c, &o, ROWS, NULL, &j->l, &err));
}

static void stop(job *j) {
  mcl_multistage_unref(j->l);
  mcl_augmenter_unref(j->a);
  mcl_dataset_unref(j->d);
  mcl_context_unref(j->c);
}

// The monitor is told at most ten times a second; the factory and the steps are what the test counts instead.
static int32_t watch(void *user, const mcl_progress *p) {
  job *j = user;
  j->told++;
  if (j->kill_after && p->done >= j->kill_after && p->stage == 1) kill(getpid(), SIGKILL);
  return j->stop_after && j->told >= j->stop_after;
}

static mcl_status run(job *j) {
  mcl_encoder_factory f;
  mcl_monitor m;
  mcl_struct_init(&f, sizeof f);
  mcl_struct_init(&m, sizeof m);
  f.user = m.user = j;
  f.make = make;
  f.destroy = destroy;
  m.progress = watch;
  return mcl_multistage_run(j->l, j->d, j->a, &f, &m, &err);
}

// The whole representation of all rows, and every label: what must be the same.
typedef struct outcome {
  float z[ROWS * STAGES * DIM];
  int32_t labels[STAGES][ROWS];
  double loss[STAGES];
} outcome;

static void take(job *j, outcome *o) {
  memset(o, 0, sizeof *o);
  mcl_integrator *g;
  int64_t indices[ROWS];
  for (int i = 0; i < ROWS; i++) indices[i] = i;
  CHECK_OK(mcl_multistage_integrator(j->l, &g, &err));
  ck_assert_int_eq(mcl_integrator_dim(g), STAGES * DIM);
  mcl_array x = mcl_images_u8((uint8_t *)(uintptr_t)images(), ROWS, SIDE, SIDE, 1);
  mcl_array z = mcl_matrix_f32(o->z, ROWS, STAGES * DIM);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.indices = indices, in.n = ROWS, in.data = &x, in.view = -1;
  CHECK_OK(mcl_integrator_embed(g, &in, &z, &err));
  for (int32_t s = 0; s < STAGES; s++) {
    mcl_stage_report r;
    mcl_struct_init(&r, sizeof r);
    CHECK_OK(mcl_multistage_labels(j->l, s, 0, o->labels[s], ROWS, &err));
    CHECK_OK(mcl_multistage_get_report(j->l, s, 0, &r, &err));
    o->loss[s] = r.loss_last;
    ck_assert(isfinite(r.loss_first) && isfinite(r.loss_last) && r.accuracy >= 0 &&
              r.accuracy <= 1);
  }
  mcl_integrator_unref(g);
}

static void run_whole(uint32_t threads, uint64_t seed, outcome *o) {
  job j;
  start(&j, threads, NULL, seed);
  CHECK_OK(run(&j));
  ck_assert_int_eq(j.made, STAGES);
  ck_assert_int_eq(j.destroyed, 1);
  take(&j, o);
  stop(&j);
}

static void same(const outcome *a, const outcome *b) {
  ck_assert_mem_eq(a, b, sizeof *a);
}

START_TEST(any_number_of_threads_gives_the_same_bits) {
  static outcome one, more;
  run_whole(1, 1, &one);
  for (uint32_t threads = 2; threads <= 3; threads++) {
    run_whole(threads, 1, &more);
    same(&one, &more);
  }
}
END_TEST

START_TEST(another_seed_gives_another_result) {
  static outcome one, other;
  run_whole(2, 1, &one);
  run_whole(2, 2, &other);
  ck_assert(memcmp(one.z, other.z, sizeof one.z) != 0);
}
END_TEST

START_TEST(training_lowers_the_loss_and_every_row_is_seen) {
  job j;
  start(&j, 2, NULL, 1);
  CHECK_OK(run(&j));
  mcl_stage_report r;
  mcl_struct_init(&r, sizeof r);
  CHECK_OK(mcl_multistage_get_report(j.l, 0, 0, &r, &err));
  ck_assert(r.loss_last < r.loss_first);
  ck_assert_int_eq(r.rows_seen, ROWS);
  CHECK_OK(run(&j)); // a finished loop has nothing left to do
  ck_assert_int_eq(j.made, STAGES);
  stop(&j);
}
END_TEST

// At each place where the monitor is told, in memory and from the saved state.
START_TEST(a_cancelled_run_goes_on_as_if_it_never_stopped) {
  static outcome whole, resumed;
  const char *directory = test_directory("cancelled");
  run_whole(2, 1, &whole);
  for (int again = 0; again < 2; again++)
    for (int at = 1; at <= 8; at++) {
      job j;
      start(&j, 2, again ? directory : NULL, 1);
      j.stop_after = at;
      mcl_status s = run(&j);
      ck_assert(s == MCL_OK || s == MCL_E_CANCELLED);
      if (again && s == MCL_E_CANCELLED) { // another process
        stop(&j);
        start(&j, 1, directory, 1);
        s = mcl_multistage_resume(j.l, directory, &err);
        ck_assert_msg(s == MCL_OK, "%d: %s", at, err.message);
      }
      j.stop_after = 0;
      CHECK_OK(run(&j));
      take(&j, &resumed);
      same(&whole, &resumed);
      stop(&j);
    }
}
END_TEST

START_TEST(a_run_killed_in_mid_stage_resumes_to_the_same_bits) {
  static outcome whole, resumed;
  const char *directory = test_directory("killed");
  run_whole(2, 1, &whole);
  pid_t child = fork();
  if (child == 0) {
    job j;
    start(&j, 2, directory, 1);
    j.kill_after = 4;
    mcl_status s = run(&j);
    _exit(s == MCL_OK ? 0 : 1);
  }
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  job j;
  start(&j, 3, directory, 1);
  CHECK_OK(mcl_multistage_resume(j.l, directory, &err));
  CHECK_OK(run(&j));
  take(&j, &resumed);
  same(&whole, &resumed);
  stop(&j);
}
END_TEST

// Encoders within a stage are removed by their names; whoever has named a file nearly so keeps it.
START_TEST(a_hosts_own_files_in_the_folder_of_saves_stay) {
  const char *directory = test_directory("own");
  char path[3][512], tail[240];
  memset(tail, 'x', sizeof tail - 1);
  tail[sizeof tail - 1] = 0;
  snprintf(path[0], sizeof path[0], "%s/stage-0-epoch-0-step-3.backup", directory);
  snprintf(path[1], sizeof path[1], "%s/stage-0-epoch-99999999999999999999-step-3.safetensors",
           directory);
  snprintf(path[2], sizeof path[2], "%s/stage-0-epoch-0-step-3%.220s", directory, tail);
  for (int i = 0; i < 3; i++) {
    FILE *f = fopen(path[i], "w");
    ck_assert(f && fclose(f) == 0);
  }
  job j;
  start(&j, 1, directory, 1);
  CHECK_OK(run(&j));
  for (int i = 0; i < 3; i++) ck_assert_msg(access(path[i], F_OK) == 0, "%s", path[i]);
  stop(&j);
}
END_TEST

START_TEST(a_finished_run_is_resumed_whole_and_can_be_made_longer) {
  static outcome whole, again;
  const char *directory = test_directory("finished");
  job j;
  start(&j, 2, directory, 1);
  CHECK_OK(run(&j));
  take(&j, &whole);
  stop(&j);
  start(&j, 2, directory, 1);
  CHECK_OK(mcl_multistage_resume(j.l, directory, &err));
  CHECK_OK(run(&j));
  take(&j, &again);
  same(&whole, &again);
  // Only what is needed is left: no file of a place within a stage.
  mcli_listing list;
  CHECK_OK(mcli_directory_list(j.c, directory, &list, &err));
  ck_assert_int_eq(list.n, STAGES + 1);
  mcli_listing_free(j.c, &list);
  stop(&j);
}
END_TEST

START_TEST(saved_state_of_another_run_is_refused_and_the_loop_stays_as_it_was) {
  static outcome whole, after;
  const char *directory = test_directory("other");
  char path[4200];
  job j;
  start(&j, 1, directory, 1);
  CHECK_FAILS(MCL_E_NOT_FOUND, "loop.safetensors", mcl_multistage_resume(j.l, directory, &err));
  CHECK_OK(run(&j));
  stop(&j);
  start(&j, 1, NULL, 2);
  CHECK_FAILS(MCL_E_MISMATCH, "seed", mcl_multistage_resume(j.l, directory, &err));
  stop(&j);
  snprintf(path, sizeof path, "%s/loop.safetensors", directory);
  start(&j, 1, NULL, 1);
  unsigned char *bytes;
  int64_t n;
  CHECK_OK(mcli_file_read_all(j.c, path, 1 << 20, &bytes, &n, &err));
  CHECK_OK(mcli_file_write_all(j.c, path, bytes, n - 9, &err));
  CHECK_FAILS(MCL_E_FORMAT, "loop.safetensors", mcl_multistage_resume(j.l, directory, &err));
  mcli_free(j.c, bytes);
  CHECK_OK(run(&j));
  take(&j, &after);
  run_whole(1, 1, &whole);
  same(&whole, &after);
  stop(&j);
}
END_TEST

START_TEST(a_saved_run_states_its_numbers_alike_in_every_locale) {
  const char *names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
  const char *directory = test_directory("locale");
  char path[4200], text[40];
  job j;
  start(&j, 1, NULL, 1);
  for (int i = 0; i < 4 && !setlocale(LC_NUMERIC, names[i]); i++) {}
  CHECK_OK(mcl_multistage_save(j.l, directory, &err));
  setlocale(LC_NUMERIC, "C");
  CHECK_OK(mcl_multistage_resume(j.l, directory, &err));
  mcl_checkpoint *k;
  snprintf(path, sizeof path, "%s/loop.safetensors", directory);
  CHECK_OK(mcl_checkpoint_open(j.c, path, &k, &err));
  CHECK_OK(mcl_checkpoint_meta(k, "warm_up", text, sizeof text, NULL, &err));
  ck_assert_str_eq(text, "0.2"); // the shortest that reads back, not what printf makes of it
  mcl_checkpoint_unref(k);
  stop(&j);
}
END_TEST

static mcl_multistage *loop_of(mcl_context *c, const mcl_kmeans_options *k,
                               const mcl_loss_options *loss) {
  mcl_multistage *l;
  mcl_multistage_options o;
  mcl_multistage_options_init(&o, sizeof o);
  o.kmeans = k;
  o.loss = loss;
  CHECK_OK(mcl_multistage_create(c, &o, ROWS, NULL, &l, &err));
  return l;
}

START_TEST(a_run_is_not_resumed_with_other_clustering_or_another_loss) {
  const char *directory = test_directory("options");
  const char *words[] = {"kmeans.empty",          "kmeans.max_iterations", "kmeans.minibatch_rows",
                         "kmeans.max_train_rows", "kmeans.tolerance",      "loss.flags"};
  mcl_context *c = test_context(1);
  mcl_multistage *l = loop_of(c, NULL, NULL);
  CHECK_OK(mcl_multistage_save(l, directory, &err));
  mcl_multistage_unref(l);
  for (int i = 0; i < 6; i++) {
    mcl_kmeans_options k;
    mcl_loss_options loss;
    mcl_kmeans_options_init(&k, sizeof k);
    mcl_loss_options_init(&loss, sizeof loss);
    if (i == 0) k.empty = MCL_EMPTY_SHRINK_K;
    if (i == 1) k.max_iterations = 7;
    if (i == 2) k.minibatch_rows = 64;
    if (i == 3) k.max_train_rows = 50;
    if (i == 4) k.tolerance = 0;
    if (i == 5) loss.flags = MCL_REDUCE_SUM;
    l = loop_of(c, &k, &loss);
    CHECK_FAILS(MCL_E_MISMATCH, words[i], mcl_multistage_resume(l, directory, &err));
    mcl_multistage_unref(l);
  }
  mcl_context_unref(c);
}
END_TEST

// An encoder of the host's that only writes down the rates it is given. Embeddings follow the row's number.
typedef struct rates {
  mcl_context *c;
  double seen[64];
  int n;
} rates;

static mcl_status rates_forward(void *user, const mcl_inputs *in, const mcl_array *out,
                                mcl_error *e) {
  (void)user;
  float *z = out->data;
  for (int64_t i = 0; i < in->n; i++) {
    z[2 * i] = 1;
    z[2 * i + 1] = (float)(in->indices[i] + in->view);
  }
  return mcl_ok(e);
}

static mcl_status rates_backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                                 mcl_error *e) {
  (void)user, (void)in, (void)grad;
  return mcl_ok(e);
}

static mcl_status rates_step(void *user, const mcl_step *step, mcl_error *e) {
  rates *r = user;
  if (r->n < 64) r->seen[r->n++] = step->learning_rate;
  return mcl_ok(e);
}

static mcl_status rates_make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  (void)stage;
  mcl_host_encoder h;
  mcl_struct_init(&h, sizeof h);
  h.user = user;
  h.dim = 2;
  h.embed = h.forward = rates_forward;
  h.backward = rates_backward;
  h.step = rates_step;
  return mcl_encoder_create_host(((rates *)user)->c, &h, out, e);
}

START_TEST(the_learning_rate_rises_and_falls_as_the_schedule_says) {
  const int32_t kinds[] = {MCL_SCHEDULE_CONSTANT, MCL_SCHEDULE_LINEAR, MCL_SCHEDULE_COSINE};
  for (int kind = 0; kind < 3; kind++) {
    rates r = {.c = test_context(1)};
    mcl_host_dataset rows;
    mcl_dataset *d;
    mcl_multistage *l;
    mcl_kmeans_options k;
    mcl_sampler_options s;
    mcl_multistage_options o;
    mcl_encoder_factory f;
    mcl_struct_init(&rows, sizeof rows);
    mcl_struct_init(&f, sizeof f);
    mcl_kmeans_options_init(&k, sizeof k);
    mcl_sampler_options_init(&s, sizeof s);
    mcl_multistage_options_init(&o, sizeof o);
    rows.rows = 96;
    rows.modalities = 1;
    k.k = 2;
    s.batch_rows = 16; // 6 steps an epoch
    o.stages = 1;
    o.epochs = 2;
    o.kmeans = &k;
    o.sampler = &s;
    o.learning_rate = 0.5;
    o.warm_up = 0.25;
    o.schedule = kinds[kind];
    f.user = &r;
    f.make = rates_make;
    CHECK_OK(mcl_dataset_create_host(r.c, &rows, &d, &err));
    CHECK_OK(mcl_multistage_create(r.c, &o, 96, NULL, &l, &err));
    CHECK_OK(mcl_multistage_run(l, d, NULL, &f, NULL, &err));
    ck_assert_int_eq(r.n, 12);
    for (int t = 0; t < 12; t++) {
      double u = (t - 3) / 9.0;
      double fall[] = {1, 1 - u, (1 + cos(3.14159265358979323846 * u)) / 2};
      double wanted = t < 3 ? 0.5 * (t + 1) / 3 : 0.5 * fall[kind]; // (5), (6)
      ck_assert_double_eq_tol(r.seen[t], wanted, 1e-12);
    }
    mcl_multistage_unref(l);
    mcl_dataset_unref(d);
    mcl_context_unref(r.c);
  }
}
END_TEST

START_TEST(encoders_that_were_not_loaded_are_not_lost_by_saving_elsewhere) {
  char first[4200];
  snprintf(first, sizeof first, "%s", test_directory("here"));
  const char *second = test_directory("there");
  job j;
  start(&j, 1, first, 1);
  CHECK_OK(run(&j));
  stop(&j);
  start(&j, 1, first, 1);
  CHECK_OK(mcl_multistage_resume(j.l, first, &err));
  CHECK_FAILS(MCL_E_STATE, "run the loop first", mcl_multistage_save(j.l, second, &err));
  CHECK_OK(run(&j));
  CHECK_OK(mcl_multistage_save(j.l, second, &err));
  stop(&j);
  start(&j, 1, NULL, 1);
  CHECK_OK(mcl_multistage_resume(j.l, second, &err));
  CHECK_OK(run(&j));
  stop(&j);
}
END_TEST

START_TEST(the_factory_is_destroyed_when_there_is_no_loop_too) {
  job j;
  start(&j, 1, NULL, 1);
  mcl_multistage *l = j.l;
  j.l = NULL;
  CHECK_FAILS(MCL_E_INVALID, "loop", run(&j));
  ck_assert_int_eq(j.destroyed, 1);
  j.l = l;
  stop(&j);
}
END_TEST

START_TEST(a_missing_encoder_file_is_named) {
  const char *directory = test_directory("missing");
  char path[4200];
  job j;
  start(&j, 1, directory, 1);
  CHECK_OK(run(&j));
  stop(&j);
  snprintf(path, sizeof path, "%s/stage-1.safetensors", directory);
  ck_assert_int_eq(unlink(path), 0);
  start(&j, 1, directory, 1);
  CHECK_OK(mcl_multistage_resume(j.l, directory, &err));
  CHECK_FAILS(MCL_E_MISMATCH, "stage 1", run(&j));
  stop(&j);
}
END_TEST

START_TEST(a_factory_that_fails_stops_the_run_and_it_can_go_on) {
  static outcome whole, after;
  job j;
  run_whole(2, 1, &whole);
  start(&j, 2, NULL, 1);
  j.fail_stage = 1;
  CHECK_FAILS(MCL_E_CALLBACK, "no more GPUs", run(&j));
  ck_assert_int_eq(err.host_code, 77);
  ck_assert_int_eq(j.destroyed, 1);
  j.fail_stage = -1;
  CHECK_OK(run(&j));
  take(&j, &after);
  same(&whole, &after);
  stop(&j);
}
END_TEST

START_TEST(a_dataset_that_does_not_fit_is_refused) {
  job j;
  start(&j, 1, NULL, 1);
  static uint8_t other[ROWS * SIDE * SIDE];
  mcl_array x = mcl_images_u8(other, ROWS, SIDE, SIDE, 1);
  mcl_dataset *d = j.d, *wrong = NULL;
  CHECK_OK(mcl_dataset_create_array(j.c, &x, NULL, &wrong, &err));
  j.d = wrong;
  CHECK_FAILS(MCL_E_MISMATCH, "fingerprint", run(&j));
  mcl_dataset_unref(wrong);
  x.shape[0] = ROWS - 1;
  CHECK_OK(mcl_dataset_create_array(j.c, &x, NULL, &wrong, &err));
  j.d = wrong;
  CHECK_FAILS(MCL_E_SHAPE, "95 rows", run(&j));
  mcl_dataset_unref(wrong);
  j.d = NULL;
  CHECK_FAILS(MCL_E_INVALID, "dataset", run(&j));
  j.d = d;
  stop(&j);
}
END_TEST

START_TEST(a_disk_that_cannot_be_written_is_an_error_and_nothing_is_lost) {
  static outcome whole, after;
  job j;
  char file[4200];
  run_whole(2, 1, &whole);
  snprintf(file, sizeof file, "%s/a-file", test_directory("nodisk"));
  start(&j, 2, file, 1);
  CHECK_OK(mcli_file_write_all(j.c, file, "x", 1, &err));
  ck_assert_int_eq(run(&j), MCL_E_IO);
  ck_assert_ptr_nonnull(strstr(err.message, "a-file"));
  CHECK_OK(mcli_file_remove(file, &err)); // now a folder of that name can be made
  CHECK_OK(run(&j));
  take(&j, &after);
  same(&whole, &after);
  stop(&j);
}
END_TEST

static void check_weights(double base) {
  job j;
  growth = base == 2 ? 0 : base;
  start(&j, 1, NULL, 1);
  growth = 0;
  CHECK_OK(run(&j));
  mcl_integrator *g;
  CHECK_OK(mcl_multistage_integrator(j.l, &g, &err));
  ck_assert_int_eq(mcl_integrator_stages(g), STAGES);
  for (int32_t s = 0; s < STAGES; s++) {
    double weight;
    CHECK_OK(mcl_integrator_get_weight(g, s, &weight, &err));
    ck_assert_double_eq(weight, pow(base, s));
  }
  mcl_integrator_unref(g);
  stop(&j);
}

START_TEST(stage_s_is_weighted_by_growth_to_the_s_by_default_2) {
  check_weights(2);
  check_weights(1);
  check_weights(0.5);
}
END_TEST

RUN_TESTS("multistage", stage_s_is_weighted_by_growth_to_the_s_by_default_2,
          any_number_of_threads_gives_the_same_bits, another_seed_gives_another_result,
          training_lowers_the_loss_and_every_row_is_seen,
          a_cancelled_run_goes_on_as_if_it_never_stopped,
          a_run_killed_in_mid_stage_resumes_to_the_same_bits,
          a_hosts_own_files_in_the_folder_of_saves_stay,
          a_finished_run_is_resumed_whole_and_can_be_made_longer,
          saved_state_of_another_run_is_refused_and_the_loop_stays_as_it_was,
          a_saved_run_states_its_numbers_alike_in_every_locale,
          a_run_is_not_resumed_with_other_clustering_or_another_loss,
          the_learning_rate_rises_and_falls_as_the_schedule_says,
          encoders_that_were_not_loaded_are_not_lost_by_saving_elsewhere,
          the_factory_is_destroyed_when_there_is_no_loop_too, a_missing_encoder_file_is_named,
          a_factory_that_fails_stops_the_run_and_it_can_go_on,
          a_dataset_that_does_not_fit_is_refused,
          a_disk_that_cannot_be_written_is_an_error_and_nothing_is_lost)
