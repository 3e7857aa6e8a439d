// Views: some stages of an integrator as one of their own.
#include "support/suite.h"

#include <stdio.h>
#include <string.h>

#include <libmcl/integrator.h>

static mcl_error err;

// An encoder of one number a row: `value` in the first column, the stage it was told in the second.
typedef struct host {
  float value;
  int32_t told;
  int destroyed;
  mcl_integrator *call_back;
  mcl_status seen;
} host;

static mcl_status host_embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  host *h = user;
  h->told = in->stage;
  if (h->call_back) {
    mcl_error inner;
    h->seen = mcl_integrator_embed(h->call_back, in, out, &inner);
  }
  float *y = out->data;
  for (int64_t i = 0; i < in->n; i++) y[2 * i] = h->value, y[2 * i + 1] = 1;
  return mcl_ok(e);
}

static mcl_status host_save(void *user, const char *path, mcl_error *e) {
  FILE *f = fopen(path, "w");
  if (!f) return mcl_error_set(e, MCL_E_IO, 5, "the disk is gone");
  fprintf(f, "%.9g", (double)((host *)user)->value);
  fclose(f);
  return mcl_ok(e);
}

static mcl_status host_load(void *user, const char *path, mcl_error *e) {
  FILE *f = fopen(path, "r");
  double x = 0;
  int ok = f && fscanf(f, "%lf", &x) == 1;
  if (f) fclose(f);
  if (!ok) return mcl_error_set(e, MCL_E_FORMAT, 6, "these are other weights");
  ((host *)user)->value = (float)x;
  return mcl_ok(e);
}

static void host_destroy(void *user) {
  ((host *)user)->destroyed++;
}

enum { STAGES = 4 };

// STAGES stages of two numbers, of weights 1, 2, 3 ...
static mcl_integrator *integrator(mcl_context *c, host *hosts) {
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  for (int32_t s = 0; s < STAGES; s++) {
    hosts[s] = (host){.value = (float)(s + 1), .told = -1};
    mcl_host_encoder table;
    mcl_struct_init(&table, sizeof table);
    table.user = &hosts[s];
    table.dim = 2;
    table.embed = host_embed;
    table.save = host_save;
    table.load = host_load;
    table.destroy = host_destroy;
    mcl_encoder *e = NULL;
    CHECK_OK(mcl_encoder_create_host(c, &table, &e, &err));
    CHECK_OK(mcl_integrator_add_stage(g, e, 0, s + 1, &err));
    mcl_encoder_unref(e);
  }
  return g;
}

static mcl_integrator *view(const mcl_integrator *g, const int32_t *stages, int32_t n) {
  mcl_integrator *v = NULL;
  CHECK_OK(mcl_integrator_view(g, stages, n, &v, &err));
  return v;
}

static void embed(mcl_integrator *g, float *r) {
  int64_t index = 0;
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.indices = &index;
  in.n = 1;
  in.view = -1;
  mcl_array out = mcl_matrix_f32(r, 1, mcl_integrator_dim(g));
  CHECK_OK(mcl_integrator_embed(g, &in, &out, &err));
}

static double weight_of(const mcl_integrator *g, int32_t stage) {
  double w = -1;
  CHECK_OK(mcl_integrator_get_weight(g, stage, &w, &err));
  return w;
}

START_TEST(a_view_is_the_named_stages_columns_in_the_order_named) {
  mcl_context *c = test_context(1);
  host h[STAGES];
  mcl_integrator *g = integrator(c, h), *v = view(g, (const int32_t[]){3, 1}, 2);
  float all[2 * STAGES], some[4];
  embed(g, all);
  ck_assert(h[1].told == 1 && h[3].told == 3);
  h[0].told = h[1].told = h[2].told = h[3].told = -1;
  embed(v, some);
  ck_assert_mem_eq(some, all + 6, 2 * sizeof *some);
  ck_assert_mem_eq(some + 2, all + 2, 2 * sizeof *some);
  ck_assert(mcl_integrator_stages(v) == 2 && mcl_integrator_dim(v) == 4);
  int32_t first, dim;
  CHECK_OK(mcl_integrator_stage_range(v, 1, &first, &dim, &err));
  ck_assert(first == 2 && dim == 2);
  mcl_integrator_unref(v);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(encoders_are_told_their_number_in_the_whole_also_in_a_view_of_a_view) {
  mcl_context *c = test_context(1);
  host h[STAGES];
  mcl_integrator *g = integrator(c, h), *v = view(g, (const int32_t[]){3, 1}, 2);
  mcl_integrator *w = view(v, (const int32_t[]){0}, 1);
  float r[2];
  embed(w, r);
  ck_assert(h[3].told == 3 && h[0].told == -1 && h[1].told == -1 && h[2].told == -1);
  mcl_integrator_unref(v);
  mcl_integrator_unref(w);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(weights_are_copied_and_encoders_shared) {
  mcl_context *c = test_context(1);
  host h[STAGES];
  mcl_integrator *g = integrator(c, h), *v = view(g, (const int32_t[]){1, 2}, 2);
  ck_assert(weight_of(v, 0) == 2 && weight_of(v, 1) == 3);
  CHECK_OK(mcl_integrator_set_weight(v, 0, 0.5, &err));
  CHECK_OK(mcl_integrator_set_growth(g, 10, &err));
  ck_assert(weight_of(g, 1) == 10 && weight_of(v, 0) == 0.5 && weight_of(v, 1) == 3);
  mcl_integrator_unref(g); // the view keeps what it needs
  ck_assert(h[0].destroyed == 1 && h[1].destroyed == 0 && h[2].destroyed == 0);
  float before[4], after[4];
  embed(v, before);
  h[2].value = -7;
  embed(v, after);
  ck_assert_mem_eq(before, after, 2 * sizeof *after);
  ck_assert(after[2] < 0 && before[2] > 0);
  mcl_integrator_unref(v);
  for (int s = 0; s < STAGES; s++) ck_assert_int_eq(h[s].destroyed, 1);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_view_is_saved_as_its_own_stages_and_loaded_into_such_a_view) {
  mcl_context *c = test_context(1);
  host h[STAGES];
  mcl_integrator *g = integrator(c, h), *v = view(g, (const int32_t[]){3, 1}, 2);
  char directory[512];
  snprintf(directory, sizeof directory, "%s", test_directory("integrator-view"));
  CHECK_OK(mcl_integrator_save(v, directory, &err));
  h[3].value = h[1].value = 9;
  CHECK_OK(mcl_integrator_set_weight(v, 0, 0.5, &err));
  CHECK_OK(mcl_integrator_load(v, directory, &err));
  ck_assert(h[3].value == 4 && h[1].value == 2 && weight_of(v, 0) == 4 && weight_of(v, 1) == 2);
  CHECK_FAILS(MCL_E_MISMATCH, "2 stages", mcl_integrator_load(g, directory, &err));
  mcl_integrator_unref(v);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(of_two_calls_that_use_one_encoder_the_second_is_busy) {
  mcl_context *c = test_context(1);
  host h[STAGES];
  mcl_integrator *g = integrator(c, h), *v = view(g, (const int32_t[]){2}, 1);
  h[2].call_back = v;
  float r[2 * STAGES];
  embed(g, r);
  ck_assert_int_eq(h[2].seen, MCL_E_BUSY);
  h[2].call_back = NULL;
  embed(v, r);
  mcl_integrator_unref(v);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_views_are_named_and_out_is_untouched) {
  mcl_context *c = test_context(1);
  host h[STAGES];
  mcl_integrator *g = integrator(c, h), *v = NULL;
  const int32_t twice[] = {1, 0, 1}, far[] = {0, 4}, below[] = {-1};
  CHECK_FAILS(MCL_E_INVALID, "integrator", mcl_integrator_view(NULL, far, 1, &v, &err));
  CHECK_FAILS(MCL_E_INVALID, "stages is NULL", mcl_integrator_view(g, NULL, 1, &v, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_integrator_view(g, far, 1, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "n is 0", mcl_integrator_view(g, far, 0, &v, &err));
  CHECK_FAILS(MCL_E_INVALID, "stage 1 is named twice", mcl_integrator_view(g, twice, 3, &v, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "stage is 4", mcl_integrator_view(g, far, 2, &v, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "stage is -1", mcl_integrator_view(g, below, 1, &v, &err));
  ck_assert_ptr_null(v);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("view", a_view_is_the_named_stages_columns_in_the_order_named,
          encoders_are_told_their_number_in_the_whole_also_in_a_view_of_a_view,
          weights_are_copied_and_encoders_shared,
          a_view_is_saved_as_its_own_stages_and_loaded_into_such_a_view,
          of_two_calls_that_use_one_encoder_the_second_is_busy,
          bad_views_are_named_and_out_is_untouched)
