// What a stage begins with: the factory's weights, or those of the stage before it.
#include "support/suite.h"

#include <stdlib.h>
#include <string.h>

#include <libmcl/multistage.h>

enum { ROWS = 64, INPUTS = 20, STAGES = 3, DIM = 6, STEPS = 8 }; // 4 steps an epoch, 2 epochs

static mcl_error err;

static uint8_t *rows(void) {
  static uint8_t x[ROWS * INPUTS];
  for (int i = 0; i < ROWS; i++)
    for (int k = 0; k < INPUTS; k++)
      x[i * INPUTS + k] =
          (uint8_t)(40 * ((i % 2) * (k < 10) + (i / 2 % 2) * (k % 2) + (i * 7 + k * 3) % 5));
  return x;
}

// What is trained: a perceptron behind a table, which shows with what each stage begins.
typedef struct job job;
typedef struct watched {
  job *j;
  mcl_encoder *inside;
  int32_t stage;
  int forwards;
} watched;

struct job {
  mcl_context *c;
  mcl_dataset *d;
  mcl_multistage *l;
  int made, starts, cannot_start;
  int64_t stop_after; // steps of stage 1
  mcl_encoder *of_stage[STAGES];
  float begins[STAGES][ROWS * DIM]; // embeddings of all rows before a stage's first step
};

static void embed_all(mcl_encoder *e, float *z) {
  mcl_array x = mcl_images_u8(rows(), ROWS, 1, INPUTS, 1);
  mcl_array out = mcl_matrix_f32(z, ROWS, DIM);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.n = ROWS, in.data = &x, in.view = -1;
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
}

static mcl_status embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  return mcl_encoder_embed(((watched *)user)->inside, in, out, e);
}

static mcl_status forward(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  watched *w = user;
  if (w->forwards++ == 0) embed_all(w->inside, w->j->begins[w->stage]);
  return mcl_encoder_forward(w->inside, in, out, e);
}

static mcl_status backward(void *user, const mcl_inputs *in, const mcl_array *grad, mcl_error *e) {
  return mcl_encoder_backward(((watched *)user)->inside, in, grad, e);
}

static mcl_status step(void *user, const mcl_step *at, mcl_error *e) {
  watched *w = user;
  if (w->j->stop_after && at->stage == 1 && at->step == w->j->stop_after)
    return mcl_error_set(e, MCL_E_CANCELLED, 0, "stopped");
  return mcl_encoder_step(w->inside, at, e);
}

static mcl_status save(void *user, const char *path, mcl_error *e) {
  return mcl_encoder_save(((watched *)user)->inside, path, e);
}

static mcl_status load(void *user, const char *path, mcl_error *e) {
  return mcl_encoder_load(((watched *)user)->inside, path, e);
}

static mcl_status start_from(void *user, void *from, mcl_error *e) {
  ((watched *)user)->j->starts++;
  return mcl_encoder_start_from(((watched *)user)->inside, ((watched *)from)->inside, e);
}

static void destroy(void *user) {
  mcl_encoder_unref(((watched *)user)->inside);
  free(user);
}

static mcl_status make(void *user, int32_t stage, mcl_encoder **out, mcl_error *e) {
  job *j = user;
  mcl_mlp_options o;
  mcl_host_encoder t;
  watched *w = calloc(1, sizeof *w);
  mcl_mlp_options_init(&o, sizeof o);
  mcl_struct_init(&t, sizeof t);
  j->made++;
  o.seed = mcl_multistage_seed(9, stage), o.inputs = INPUTS, o.hidden = 8, o.layers = 1;
  o.dim = DIM, o.projection_dim = 5;
  *w = (watched){.j = j, .stage = stage};
  CHECK_OK(mcl_encoder_create_mlp(j->c, &o, &w->inside, e));
  mcl_encoder_unref(j->of_stage[stage]);
  j->of_stage[stage] = mcl_encoder_ref(w->inside);
  t.user = w, t.dim = DIM, t.projection_dim = 5;
  t.embed = embed, t.forward = forward, t.backward = backward, t.step = step;
  t.save = save, t.load = load, t.destroy = destroy;
  t.start_from = j->cannot_start ? NULL : start_from;
  return mcl_encoder_create_host(j->c, &t, out, e);
}

static void start(job *j, int32_t initial, int32_t trained_stages, const char *directory) {
  mcl_kmeans_options k;
  mcl_sampler_options s;
  mcl_multistage_options o;
  memset(j, 0, sizeof *j);
  j->c = test_context(1);
  mcl_array x = mcl_images_u8(rows(), ROWS, 1, INPUTS, 1);
  CHECK_OK(mcl_dataset_create_array(j->c, &x, NULL, &j->d, &err));
  mcl_kmeans_options_init(&k, sizeof k);
  mcl_sampler_options_init(&s, sizeof s);
  mcl_multistage_options_init(&o, sizeof o);
  k.k = 2;
  s.batch_rows = 16, s.batching = MCL_BATCH_PACKED;
  o.stages = STAGES, o.epochs = 2, o.kmeans = &k, o.sampler = &s;
  o.initial = initial, o.trained_stages = trained_stages;
  o.save_directory = directory, o.save_every_steps = directory ? 1 : 0;
  CHECK_OK(mcl_multistage_create(j->c, &o, ROWS, NULL, &j->l, &err));
}

static mcl_status run(job *j) {
  mcl_encoder_factory f;
  mcl_struct_init(&f, sizeof f);
  f.user = j, f.make = make;
  return mcl_multistage_run(j->l, j->d, NULL, &f, NULL, &err);
}

static void stop(job *j) {
  for (int s = 0; s < STAGES; s++) mcl_encoder_unref(j->of_stage[s]);
  mcl_multistage_unref(j->l);
  mcl_dataset_unref(j->d);
  mcl_context_unref(j->c);
}

// Whether stage s began with what the encoder of stage `of` is now, or with what the factory makes.
static int begins_as(job *j, int s, int of) {
  float z[ROWS * DIM];
  embed_all(j->of_stage[of], z);
  return memcmp(z, j->begins[s], sizeof z) == 0;
}

static int begins_fresh(job *j, int s) {
  float z[ROWS * DIM];
  mcl_encoder *kept = mcl_encoder_ref(j->of_stage[s]), *fresh = NULL;
  CHECK_OK(make(j, s, &fresh, &err));
  embed_all(j->of_stage[s], z);
  mcl_encoder_unref(fresh);
  mcl_encoder_unref(j->of_stage[s]);
  j->of_stage[s] = kept;
  return memcmp(z, j->begins[s], sizeof z) == 0;
}

START_TEST(a_stage_begins_with_the_weights_with_which_the_one_before_ended) {
  job j;
  start(&j, MCL_INITIAL_PRECEDING, 0, NULL);
  CHECK_OK(run(&j));
  ck_assert_int_eq(j.made, STAGES);
  ck_assert_int_eq(j.starts, STAGES - 1);
  ck_assert(begins_fresh(&j, 0));
  for (int s = 1; s < STAGES; s++) {
    ck_assert(begins_as(&j, s, s - 1));
    ck_assert(!begins_as(&j, s, s)); // and went on from there
  }
  stop(&j);
}
END_TEST

START_TEST(a_stage_begins_fresh_by_default) {
  job j;
  mcl_multistage_options o;
  mcl_multistage_options_init(&o, sizeof o);
  ck_assert_int_eq(o.initial, MCL_INITIAL_FRESH);
  start(&j, MCL_INITIAL_FRESH, 0, NULL);
  j.cannot_start = 1; // it needs no start_from
  CHECK_OK(run(&j));
  for (int s = 0; s < STAGES; s++) ck_assert(begins_fresh(&j, s));
  stop(&j);
}
END_TEST

// Stages 0 and 1 come trained: the factory's weights stay what they are; stage 2 is trained on from stage 1.
START_TEST(a_stage_that_comes_trained_is_the_factorys) {
  job j;
  start(&j, MCL_INITIAL_PRECEDING, 2, NULL);
  CHECK_OK(run(&j));
  ck_assert_int_eq(j.starts, 1);
  ck_assert(begins_as(&j, 2, 1));
  for (int s = 0; s < 2; s++) {
    embed_all(j.of_stage[s], j.begins[s]);
    ck_assert(begins_fresh(&j, s));
  }
  stop(&j);
}
END_TEST

// Stopped within stage 1 and gone on from the files.
// What the last stage of an undisturbed run makes of all rows.
static void embed_undisturbed(float *wanted) {
  job whole;
  start(&whole, MCL_INITIAL_PRECEDING, 0, NULL);
  CHECK_OK(run(&whole));
  embed_all(whole.of_stage[STAGES - 1], wanted);
  stop(&whole);
}

START_TEST(a_resumed_run_has_the_same_bits) {
  float wanted[ROWS * DIM], got[ROWS * DIM];
  job j;
  embed_undisturbed(wanted);
  for (int at = 1; at < STEPS; at += 3) {
    const char *directory = test_directory("initial");
    start(&j, MCL_INITIAL_PRECEDING, 0, directory);
    j.stop_after = at;
    ck_assert_int_eq(run(&j), MCL_E_CANCELLED);
    stop(&j);
    start(&j, MCL_INITIAL_PRECEDING, 0, directory);
    CHECK_OK(mcl_multistage_resume(j.l, directory, &err));
    CHECK_OK(run(&j));
    ck_assert_int_eq(j.starts, 1); // stage 1 was begun already
    embed_all(j.of_stage[STAGES - 1], got);
    ck_assert_mem_eq(got, wanted, sizeof got);
    stop(&j);
  }
}
END_TEST

// At the end of stage 0 the encoder of the next stage is not there yet: it begins after the resume.
START_TEST(a_stage_that_begins_after_a_resume_starts_from_the_file_of_the_one_before) {
  const char *directory = test_directory("initial-end");
  float wanted[ROWS * DIM], got[ROWS * DIM];
  job j;
  embed_undisturbed(wanted);
  start(&j, MCL_INITIAL_PRECEDING, 0, directory);
  CHECK_OK(run(&j));
  CHECK_OK(mcl_multistage_seek(j.l, 1, 0, 0, &err));
  CHECK_OK(mcl_multistage_save(j.l, directory, &err));
  stop(&j);
  start(&j, MCL_INITIAL_PRECEDING, 0, directory);
  CHECK_OK(mcl_multistage_resume(j.l, directory, &err));
  CHECK_OK(run(&j));
  ck_assert_int_eq(j.starts, STAGES - 1);
  ck_assert(begins_as(&j, 1, 0));
  embed_all(j.of_stage[STAGES - 1], got);
  ck_assert_mem_eq(got, wanted, sizeof got);
  stop(&j);
}
END_TEST

START_TEST(a_run_is_not_resumed_with_other_initial_weights) {
  const char *directory = test_directory("initial-other");
  job j;
  start(&j, MCL_INITIAL_PRECEDING, 0, directory);
  CHECK_OK(run(&j));
  stop(&j);
  start(&j, MCL_INITIAL_FRESH, 0, NULL);
  CHECK_FAILS(MCL_E_MISMATCH, "initial", mcl_multistage_resume(j.l, directory, &err));
  stop(&j);
}
END_TEST

START_TEST(an_encoder_that_cannot_start_from_another_is_refused_before_it_is_trained) {
  job j;
  start(&j, MCL_INITIAL_PRECEDING, 0, NULL);
  j.cannot_start = 1;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "start_from", run(&j));
  ck_assert_int_eq(j.made, 1);
  j.cannot_start = 0;
  CHECK_OK(run(&j)); // and the run can go on with one that can
  stop(&j);
}
END_TEST

START_TEST(initial_weights_of_another_kind_are_refused) {
  mcl_context *c = test_context(1);
  mcl_multistage *l = NULL;
  mcl_multistage_options o;
  mcl_multistage_options_init(&o, sizeof o);
  o.initial = 2;
  CHECK_FAILS(MCL_E_INVALID, "initial", mcl_multistage_create(c, &o, ROWS, NULL, &l, &err));
  o.initial = -1;
  CHECK_FAILS(MCL_E_INVALID, "initial", mcl_multistage_create(c, &o, ROWS, NULL, &l, &err));
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("multistage", a_stage_begins_with_the_weights_with_which_the_one_before_ended,
          a_stage_begins_fresh_by_default, a_stage_that_comes_trained_is_the_factorys,
          a_resumed_run_has_the_same_bits,
          a_stage_that_begins_after_a_resume_starts_from_the_file_of_the_one_before,
          a_run_is_not_resumed_with_other_initial_weights,
          an_encoder_that_cannot_start_from_another_is_refused_before_it_is_trained,
          initial_weights_of_another_kind_are_refused)
