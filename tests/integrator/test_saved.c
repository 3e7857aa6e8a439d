// Integrators on disk. Encoders here are one number each, written as text.
#include "support/suite.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmcl/checkpoint.h>
#include <libmcl/integrator.h>

static mcl_error err;

typedef struct host {
  double weight;
  int mute, deaf; // save, load fails
} host;

static mcl_status host_embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  (void)user, (void)in, (void)out;
  return mcl_error_set(e, MCL_E_INTERNAL, 0, "not asked for here");
}

static mcl_status host_save(void *user, const char *path, mcl_error *e) {
  host *h = user;
  FILE *f = h->mute ? NULL : fopen(path, "w");
  if (!f) return mcl_error_set(e, MCL_E_IO, 5, "the disk is gone");
  fprintf(f, "%.17g", h->weight);
  fclose(f);
  return mcl_ok(e);
}

static mcl_status host_load(void *user, const char *path, mcl_error *e) {
  host *h = user;
  FILE *f = h->deaf ? NULL : fopen(path, "r");
  double x = 0;
  int ok = f && fscanf(f, "%lf", &x) == 1;
  if (f) fclose(f);
  if (!ok) return mcl_error_set(e, MCL_E_FORMAT, 6, "these are other weights");
  h->weight = x;
  return mcl_ok(e);
}

static void add(mcl_integrator *g, mcl_context *c, host *h, int32_t dim, double weight) {
  mcl_host_encoder table;
  mcl_struct_init(&table, sizeof table);
  table.user = h;
  table.dim = dim;
  table.embed = host_embed;
  table.save = host_save;
  table.load = host_load;
  mcl_encoder *e = NULL;
  if (h) CHECK_OK(mcl_encoder_create_host(c, &table, &e, &err));
  CHECK_OK(mcl_integrator_add_stage(g, e, dim, weight, &err));
  mcl_encoder_unref(e);
}

// Stages: an encoder of 2, none of 3, an encoder of 1.
static mcl_integrator *three(mcl_context *c, host *first, host *last, const double *weights) {
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  add(g, c, first, 2, weights[0]);
  add(g, c, NULL, 3, weights[1]);
  add(g, c, last, 1, weights[2]);
  return g;
}

// The weights, seen from outside.
static void check_weights(mcl_integrator *g, const double *weights) {
  float a[2] = {0, 7}, b[3] = {2, 0, 0}, d[1] = {-3}, r[6];
  mcl_array z[3] = {mcl_matrix_f32(a, 1, 2), mcl_matrix_f32(b, 1, 3), mcl_matrix_f32(d, 1, 1)};
  mcl_array out = mcl_matrix_f32(r, 1, 6);
  CHECK_OK(mcl_integrator_concat(g, z, 3, &out, &err));
  ck_assert(r[1] == (float)weights[0] && r[2] == (float)weights[1] && r[5] == -(float)weights[2]);
}

static const double saved_weights[3] = {1, 2, 4}, other_weights[3] = {3, 5, 7};

static const char *save_three(mcl_context *c, const char *name) {
  static char directory[4096];
  host first = {11, 0, 0}, last = {22, 0, 0};
  mcl_integrator *g = three(c, &first, &last, saved_weights);
  snprintf(directory, sizeof directory, "%s/new/one", test_directory(name)); // parents are made
  CHECK_OK(mcl_integrator_save(g, directory, &err));
  mcl_integrator_unref(g);
  return directory;
}

static char *inside(const char *directory, const char *name) {
  static char path[4400];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

START_TEST(what_was_saved_comes_back) {
  mcl_context *c = test_context(1);
  const char *directory = save_three(c, "saved");
  ck_assert_int_eq(access(inside(directory, "stage-0.safetensors"), F_OK), 0);
  ck_assert_int_ne(access(inside(directory, "stage-1.safetensors"), F_OK), 0);
  host first = {0, 0, 0}, last = {0, 0, 0};
  mcl_integrator *g = three(c, &first, &last, other_weights);
  CHECK_OK(mcl_integrator_load(g, directory, &err));
  ck_assert(first.weight == 11 && last.weight == 22);
  check_weights(g, saved_weights);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(weights_come_back_to_the_last_bit) {
  mcl_context *c = test_context(1);
  const char *directory = test_directory("saved-bits");
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  add(g, c, NULL, 1, 0.1);
  CHECK_OK(mcl_integrator_save(g, directory, &err));
  mcl_checkpoint *k;
  double weight;
  int64_t shape = 1;
  mcl_array a;
  mcl_array_init(&a, &weight, MCL_F64, 1, &shape);
  CHECK_OK(mcl_checkpoint_open(c, inside(directory, "integrator.safetensors"), &k, &err));
  CHECK_OK(mcl_checkpoint_read(k, "weights", &a, &err));
  ck_assert(weight == 0.1);
  mcl_checkpoint_unref(k);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

// Fails to load, and nothing has changed.
static void check_refused(mcl_context *c, const char *directory, mcl_status wanted,
                          const char *word) {
  host first = {1, 0, 0}, last = {2, 0, 0};
  mcl_integrator *g = three(c, &first, &last, other_weights);
  mcl_status s = mcl_integrator_load(g, directory, &err);
  ck_assert_msg(s == wanted && strstr(err.message, word), "%s: %s", mcl_status_name(s),
                err.message);
  ck_assert(first.weight == 1 && last.weight == 2);
  check_weights(g, other_weights);
  mcl_integrator_unref(g);
}

START_TEST(other_stages_are_refused_by_name) {
  mcl_context *c = test_context(1);
  const char *directory = save_three(c, "other");
  host h = {1, 0, 0};
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  add(g, c, &h, 2, 1);
  add(g, c, NULL, 3, 1);
  CHECK_FAILS(MCL_E_MISMATCH, "has 3 stages, the integrator has 2",
              mcl_integrator_load(g, directory, &err));
  add(g, c, &h, 9, 1);
  CHECK_FAILS(MCL_E_MISMATCH, "stage 2 has dim 1", mcl_integrator_load(g, directory, &err));
  mcl_integrator_unref(g);
  g = three(c, NULL, &h, saved_weights);
  CHECK_FAILS(MCL_E_MISMATCH, "stage 0 has an encoder", mcl_integrator_load(g, directory, &err));
  ck_assert(h.weight == 1);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(missing_files_are_found_before_anything_changes) {
  mcl_context *c = test_context(1);
  const char *directory = save_three(c, "missing");
  unlink(inside(directory, "stage-2.safetensors"));
  check_refused(c, directory, MCL_E_NOT_FOUND, "stage 2 has no file");
  unlink(inside(directory, "integrator.safetensors"));
  check_refused(c, directory, MCL_E_NOT_FOUND, "integrator.safetensors");
  check_refused(c, "/nonexistent", MCL_E_NOT_FOUND, "/nonexistent");
  mcl_context_unref(c);
}
END_TEST

// Writes a manifest by hand; NULL leaves a tensor out.
static void manifest(mcl_context *c, const char *directory, const char *format, const int64_t *dims,
                     const int64_t *encoders, const double *weights, int32_t dims_type) {
  mcl_checkpoint_writer *w;
  int64_t shape = 3;
  mcl_array a;
  CHECK_OK(mcl_checkpoint_writer_create(c, inside(directory, "integrator.safetensors"), &w, &err));
  if (format) CHECK_OK(mcl_checkpoint_writer_meta(w, "format", format, &err));
  mcl_array_init(&a, (void *)(uintptr_t)dims, dims_type, 1, &shape);
  if (dims) CHECK_OK(mcl_checkpoint_writer_add(w, "dims", &a, &err));
  mcl_array_init(&a, (void *)(uintptr_t)encoders, MCL_I64, 1, &shape);
  if (encoders) CHECK_OK(mcl_checkpoint_writer_add(w, "encoders", &a, &err));
  mcl_array_init(&a, (void *)(uintptr_t)weights, MCL_F64, 1, &shape);
  if (weights) CHECK_OK(mcl_checkpoint_writer_add(w, "weights", &a, &err));
  CHECK_OK(mcl_checkpoint_writer_commit(w, &err));
  mcl_checkpoint_writer_unref(w);
}

START_TEST(a_damaged_manifest_is_refused) {
  mcl_context *c = test_context(1);
  const char *directory = save_three(c, "damaged");
  const char *format = "libmcl integrator 1";
  int64_t dims[3] = {2, 3, 1}, encoders[3] = {1, 0, 1};
  double weights[3] = {1, 2, 4}, negative[3] = {1, -2, 4};
  manifest(c, directory, NULL, dims, encoders, weights, MCL_I64);
  check_refused(c, directory, MCL_E_FORMAT, "libmcl integrator 1");
  manifest(c, directory, "libmcl integrator 2", dims, encoders, weights, MCL_I64);
  check_refused(c, directory, MCL_E_FORMAT, "libmcl integrator 1");
  manifest(c, directory, "something altogether different", dims, encoders, weights, MCL_I64);
  check_refused(c, directory, MCL_E_FORMAT, "libmcl integrator 1");
  manifest(c, directory, format, NULL, encoders, weights, MCL_I64);
  check_refused(c, directory, MCL_E_FORMAT, "\"dims\"");
  manifest(c, directory, format, dims, NULL, weights, MCL_I64);
  check_refused(c, directory, MCL_E_FORMAT, "\"encoders\"");
  manifest(c, directory, format, dims, encoders, NULL, MCL_I64);
  check_refused(c, directory, MCL_E_FORMAT, "\"weights\"");
  manifest(c, directory, format, dims, encoders, weights, MCL_F64);
  check_refused(c, directory, MCL_E_FORMAT, "\"dims\"");
  manifest(c, directory, format, dims, encoders, negative, MCL_I64);
  check_refused(c, directory, MCL_E_FORMAT, "stage 1 has weight -2");
  ck_assert_int_eq(truncate(inside(directory, "integrator.safetensors"), 60), 0);
  check_refused(c, directory, MCL_E_FORMAT, "integrator.safetensors");
  mcl_context_unref(c);
}
END_TEST

START_TEST(an_encoder_that_refuses_its_file_is_named_and_the_weights_stay) {
  mcl_context *c = test_context(1);
  const char *directory = save_three(c, "refused");
  host first = {1, 0, 0}, last = {2, 0, 1};
  mcl_integrator *g = three(c, &first, &last, other_weights);
  CHECK_FAILS(MCL_E_FORMAT, "stage 2: ", mcl_integrator_load(g, directory, &err));
  ck_assert(strstr(err.message, "these are other weights") && err.host_code == 6);
  ck_assert(first.weight == 11 && last.weight == 2); // as the header says
  check_weights(g, other_weights);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_save_that_fails_leaves_no_manifest) {
  mcl_context *c = test_context(1);
  const char *directory = test_directory("failing");
  host first = {1, 0, 0}, last = {2, 1, 0};
  mcl_integrator *g = three(c, &first, &last, other_weights);
  CHECK_FAILS(MCL_E_IO, "stage 2: ", mcl_integrator_save(g, directory, &err));
  ck_assert_int_ne(access(inside(directory, "integrator.safetensors"), F_OK), 0);
  last.mute = 0;
  CHECK_OK(mcl_integrator_save(g, directory, &err));
  // A file stands where the directory should be.
  CHECK_FAILS(MCL_E_IO, "stage-0.safetensors",
              mcl_integrator_save(g, inside(directory, "stage-0.safetensors"), &err));
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_arguments_are_named) {
  mcl_context *c = test_context(1);
  host h = {1, 0, 0};
  mcl_integrator *g = three(c, &h, &h, saved_weights);
  CHECK_FAILS(MCL_E_INVALID, "integrator", mcl_integrator_save(NULL, "x", &err));
  CHECK_FAILS(MCL_E_INVALID, "directory", mcl_integrator_save(g, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "integrator", mcl_integrator_load(NULL, "x", &err));
  CHECK_FAILS(MCL_E_INVALID, "directory", mcl_integrator_load(g, NULL, &err));
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("integrator", what_was_saved_comes_back, weights_come_back_to_the_last_bit,
          other_stages_are_refused_by_name, missing_files_are_found_before_anything_changes,
          a_damaged_manifest_is_refused,
          an_encoder_that_refuses_its_file_is_named_and_the_weights_stay,
          a_save_that_fails_leaves_no_manifest, bad_arguments_are_named)
