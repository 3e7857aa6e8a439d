#include "support/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/checkpoint.h>
#include <libmcl/integrator.h>

static mcl_error err;

// ---- an encoder whose numbers can be foretold --------------------------------------------------------------

typedef struct host {
  float factor;
  int32_t stage; // it must be told this one; -1: any
  int64_t calls, rows, spoil, largest;
  int destroyed, mute, refuse_load;
  mcl_integrator *call_back;
  mcl_status seen;
} host;

// Column j of dataset row i.
static float number(const host *h, int64_t i, int64_t j) {
  return h->factor * (float)((i * 31 + j * 17) % 23 - 11) + (float)(j == 0);
}

static mcl_status host_embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  host *h = user;
  h->calls++;
  h->rows += in->n;
  if (in->n > h->largest) h->largest = in->n;
  if (h->call_back) {
    mcl_error inner;
    h->seen = mcl_integrator_embed(h->call_back, in, out, &inner);
  }
  if (h->stage >= 0) ck_assert_int_eq(in->stage, h->stage);
  ck_assert_int_eq(in->view, -1);
  ck_assert_int_eq(in->epoch, 4);
  float *y = out->data;
  for (int64_t i = 0; i < in->n; i++) {
    int64_t row = in->indices ? in->indices[i] : 0;
    if (in->data) { // the row's number is its second column
      ck_assert_int_eq(in->data->dtype, MCL_F64);
      row = (int64_t)((const double *)
                          in->data->data)[i * in->data->strides[0] + in->data->strides[1]];
      if (in->indices) ck_assert_int_eq(row, in->indices[i]);
    }
    if (row == h->spoil) return mcl_error_set(e, MCL_E_CALLBACK, 55, "the device is gone");
    for (int64_t j = 0; j < out->shape[1]; j++) y[i * out->shape[1] + j] = number(h, row, j);
  }
  return mcl_ok(e);
}

static mcl_status host_save(void *user, const char *path, mcl_error *e) {
  host *h = user;
  FILE *f = h->mute ? NULL : fopen(path, "w");
  if (!f) return mcl_error_set(e, MCL_E_IO, 5, "the disk is gone");
  fprintf(f, "%.9g", (double)h->factor);
  fclose(f);
  return mcl_ok(e);
}

static mcl_status host_load(void *user, const char *path, mcl_error *e) {
  host *h = user;
  FILE *f = fopen(path, "r");
  double x = 0;
  int ok = f && !h->refuse_load && fscanf(f, "%lf", &x) == 1;
  if (f) fclose(f);
  if (!ok) return mcl_error_set(e, MCL_E_FORMAT, 6, "these are other weights");
  h->factor = (float)x;
  return mcl_ok(e);
}

static void host_destroy(void *user) {
  ((host *)user)->destroyed++;
}

static host new_host(float factor, int32_t stage) {
  host h = {.factor = factor, .stage = stage, .spoil = -1};
  return h;
}

static mcl_encoder *encoder_of(mcl_context *c, host *h, int32_t dim) {
  mcl_host_encoder table;
  mcl_struct_init(&table, sizeof table);
  table.user = h;
  table.dim = dim;
  table.embed = host_embed;
  table.save = host_save;
  table.load = host_load;
  table.destroy = host_destroy;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_host(c, &table, &e, &err));
  return e;
}

static mcl_integrator *integrator(mcl_context *c) {
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  return g;
}

static void add(mcl_integrator *g, mcl_context *c, host *h, int32_t dim, double weight) {
  mcl_encoder *e = h ? encoder_of(c, h, dim) : NULL;
  CHECK_OK(mcl_integrator_add_stage(g, e, e ? 0 : dim, weight, &err));
  mcl_encoder_unref(e);
}

static mcl_inputs inputs(const int64_t *indices, int64_t n) {
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.indices = indices;
  in.n = n;
  in.view = -1;
  in.epoch = 4;
  return in;
}

// The plain twin of one stage: w z / |z| in double.
static double twin(const host *h, int64_t row, int32_t dim, double weight, int32_t j) {
  double squares = 0;
  for (int32_t k = 0; k < dim; k++) squares += pow((double)number(h, row, k), 2);
  return squares > 0 ? weight * (double)number(h, row, j) / sqrt(squares) : 0;
}

enum { N = 1300, A = 3, B = 5, DIM = A + B };

// ---- embed ---------------------------------------------------------------------------------------------------

START_TEST(a_representation_is_each_stage_at_its_weight_side_by_side) {
  mcl_context *c = test_context(2);
  host a = new_host(2, 0), b = new_host(0.01F, 1);
  mcl_integrator *g = integrator(c);
  add(g, c, &a, A, 1);
  add(g, c, &b, B, 2.5);
  ck_assert(mcl_integrator_stages(g) == 2 && mcl_integrator_dim(g) == DIM);
  int32_t first, dim;
  CHECK_OK(mcl_integrator_stage_range(g, 1, &first, &dim, &err));
  ck_assert(first == A && dim == B);
  int64_t *indices = malloc(N * sizeof *indices);
  float *r = malloc(sizeof(float) * N * DIM);
  for (int64_t i = 0; i < N; i++) indices[i] = (i * 7919) % 10007;
  mcl_inputs in = inputs(indices, N);
  mcl_array out = mcl_matrix_f32(r, N, DIM);
  CHECK_OK(mcl_integrator_embed(g, &in, &out, &err));
  for (int64_t i = 0; i < N; i++)
    for (int32_t j = 0; j < DIM; j++)
      ck_assert_double_eq_tol(
          (double)r[i * DIM + j],
          j < A ? twin(&a, indices[i], A, 1, j) : twin(&b, indices[i], B, 2.5, j - A), 1e-6);
  ck_assert(a.rows == N && b.rows == N && a.largest <= 512 && a.calls > 1);
  CHECK_OK(mcl_integrator_set_weight(g, 0, 8, &err));
  CHECK_OK(mcl_integrator_embed(g, &in, &out, &err));
  ck_assert_double_eq_tol((double)r[DIM + 1], twin(&a, indices[1], A, 8, 1), 8e-6);
  mcl_integrator_unref(g);
  ck_assert(a.destroyed == 1 && b.destroyed == 1);
  free(indices), free(r);
  mcl_context_unref(c);
}
END_TEST

// What an image and a caption score by, as a representation of several stages: the sum of the stages' cosines.
START_TEST(at_equal_weights_a_cosine_is_the_mean_of_the_stages_cosines) {
  mcl_context *c = test_context(1);
  host a = new_host(2, 0), b = new_host(0.01F, 1);
  mcl_integrator *g = integrator(c);
  add(g, c, &a, A, 1);
  add(g, c, &b, B, 1);
  const int64_t indices[2] = {3, 77};
  float r[2 * DIM];
  mcl_inputs in = inputs(indices, 2);
  mcl_array out = mcl_matrix_f32(r, 2, DIM);
  CHECK_OK(mcl_integrator_embed(g, &in, &out, &err));
  double product = 0, squares[2] = {0, 0}, cosines = 0;
  for (int32_t j = 0; j < DIM; j++) {
    product += (double)r[j] * (double)r[DIM + j];
    for (int i = 0; i < 2; i++) squares[i] += (double)r[i * DIM + j] * (double)r[i * DIM + j];
  }
  for (int32_t j = 0; j < A; j++) cosines += twin(&a, 3, A, 1, j) * twin(&a, 77, A, 1, j);
  for (int32_t j = 0; j < B; j++) cosines += twin(&b, 3, B, 1, j) * twin(&b, 77, B, 1, j);
  ck_assert_double_eq_tol(product / sqrt(squares[0] * squares[1]), cosines / 2, 1e-6);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(data_of_any_stride_is_cut_into_the_same_rows_as_indices) {
  mcl_context *c = test_context(1);
  host a = new_host(1, 0);
  mcl_integrator *g = integrator(c);
  add(g, c, &a, A, 1);
  double *data = calloc(N * 4, sizeof *data); // three columns, one of padding, back to front
  int64_t *indices = malloc(N * sizeof *indices), shape[2] = {N, 3};
  float *r = malloc(sizeof(float) * N * A), *s = malloc(sizeof(float) * N * A);
  for (int64_t i = 0; i < N; i++) {
    indices[i] = 3 * i;
    data[(N - 1 - i) * 4 + 1] = (double)(3 * i);
  }
  mcl_array view, ar = mcl_matrix_f32(r, N, A), as = mcl_matrix_f32(s, N, A);
  mcl_array_init(&view, data + (N - 1) * 4, MCL_F64, 2, shape);
  view.strides[0] = -4;
  mcl_inputs in = inputs(indices, N);
  CHECK_OK(mcl_integrator_embed(g, &in, &ar, &err));
  in.data = &view;
  CHECK_OK(mcl_integrator_embed(g, &in, &as, &err));
  ck_assert_mem_eq(r, s, sizeof(float) * N * A);
  in.indices = NULL;
  memset(s, 0, sizeof(float) * N * A);
  CHECK_OK(mcl_integrator_embed(g, &in, &as, &err));
  ck_assert_mem_eq(r, s, sizeof(float) * N * A);
  mcl_integrator_unref(g);
  free(data), free(indices), free(r), free(s);
  mcl_context_unref(c);
}
END_TEST

START_TEST(embed_and_concat_give_the_same_bits_for_any_number_of_threads) {
  host a = new_host(3, -1), b = new_host(0.5F, -1);
  float *first = NULL;
  for (uint32_t threads = 1; threads <= 3; threads++) {
    mcl_context *c = test_context(threads);
    mcl_integrator *g = integrator(c);
    add(g, c, &a, A, 1);
    add(g, c, &b, B, 0.3);
    int64_t *indices = malloc(N * sizeof *indices);
    float *r = malloc(sizeof(float) * N * DIM), *s = malloc(sizeof(float) * N * DIM);
    float *za = malloc(sizeof(float) * N * A), *zb = malloc(sizeof(float) * N * B);
    for (int64_t i = 0; i < N; i++) {
      indices[i] = i;
      for (int32_t j = 0; j < A; j++) za[i * A + j] = number(&a, i, j);
      for (int32_t j = 0; j < B; j++) zb[i * B + j] = number(&b, i, j);
    }
    mcl_inputs in = inputs(indices, N);
    mcl_array ar = mcl_matrix_f32(r, N, DIM), as = mcl_matrix_f32(s, N, DIM);
    mcl_array z[2] = {mcl_matrix_f32(za, N, A), mcl_matrix_f32(zb, N, B)};
    CHECK_OK(mcl_integrator_embed(g, &in, &ar, &err));
    CHECK_OK(mcl_integrator_concat(g, z, 2, &as, &err));
    ck_assert_mem_eq(r, s, sizeof(float) * N * DIM);
    if (first)
      ck_assert_mem_eq(r, first, sizeof(float) * N * DIM);
    else
      first = s, s = NULL;
    mcl_integrator_unref(g);
    free(indices), free(r), free(s), free(za), free(zb);
    mcl_context_unref(c);
  }
  free(first);
}
END_TEST

START_TEST(a_zero_embedding_stays_zero_and_no_rows_is_no_work) {
  mcl_context *c = test_context(1);
  host a = new_host(0, -1);
  mcl_integrator *g = integrator(c);
  add(g, c, NULL, 2, 3);
  float z[4] = {0, 0, 0, 5}, r[4] = {9, 9, 9, 9};
  mcl_array in = mcl_matrix_f32(z, 2, 2), out = mcl_matrix_f32(r, 2, 2);
  CHECK_OK(mcl_integrator_concat(g, &in, 1, &out, &err));
  ck_assert(r[0] == 0 && r[1] == 0 && r[2] == 0 && r[3] == 3);
  mcl_array none = mcl_matrix_f32(z, 0, 2), nothing = mcl_matrix_f32(r, 0, 2);
  CHECK_OK(mcl_integrator_concat(g, &none, 1, &nothing, &err));
  mcl_integrator_unref(g);
  g = integrator(c);
  add(g, c, &a, 2, 1);
  mcl_inputs no_rows = inputs(NULL, 0);
  CHECK_OK(mcl_integrator_embed(g, &no_rows, &nothing, &err));
  ck_assert_int_eq(a.calls, 0);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(out_may_be_of_any_float_type_and_stride) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = integrator(c);
  add(g, c, NULL, 2, 1);
  add(g, c, NULL, 1, 0.5);
  double z[4] = {3, 4, 0, -2};
  float w[2] = {7, -7}, plain[6];
  double wide[10];
  for (int i = 0; i < 10; i++) wide[i] = -9;
  int64_t shape[2] = {2, 2}, wanted[2] = {2, 3};
  mcl_array stages[2], out, f32 = mcl_matrix_f32(plain, 2, 3);
  mcl_array_init(&stages[0], z, MCL_F64, 2, shape);
  stages[1] = mcl_matrix_f32(w, 2, 1);
  mcl_array_init(&out, wide, MCL_F64, 2, wanted);
  out.strides[0] = 5;
  CHECK_OK(mcl_integrator_concat(g, stages, 2, &f32, &err));
  CHECK_OK(mcl_integrator_concat(g, stages, 2, &out, &err));
  for (int i = 0; i < 6; i++) ck_assert(wide[i / 3 * 5 + i % 3] == (double)plain[i]);
  ck_assert(wide[3] == -9 && wide[4] == -9);
  ck_assert_double_eq_tol((double)plain[0], 0.6, 1e-7);
  ck_assert_double_eq_tol((double)plain[2], 0.5, 1e-7);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

// ---- what goes wrong -----------------------------------------------------------------------------------------

START_TEST(a_failing_encoder_is_named_with_its_stage_and_row_and_out_is_untouched) {
  mcl_context *c = test_context(2);
  host a = new_host(2, 0), b = new_host(1, 1);
  mcl_integrator *g = integrator(c);
  add(g, c, &a, A, 1);
  add(g, c, &b, B, 1);
  int64_t indices[900];
  float r[900 * DIM];
  for (int64_t i = 0; i < 900; i++) indices[i] = i;
  for (int i = 0; i < 900 * DIM; i++) r[i] = -4;
  mcl_inputs in = inputs(indices, 900);
  mcl_array out = mcl_matrix_f32(r, 900, DIM);
  b.spoil = 700;
  CHECK_FAILS(MCL_E_CALLBACK, "stage 1: ", mcl_integrator_embed(g, &in, &out, &err));
  ck_assert(strstr(err.message, "the device is gone") != NULL);
  ck_assert_int_eq(err.host_code, 55);
  ck_assert_int_eq(err.row, -1);
  b.spoil = -1;
  b.factor = NAN;
  indices[600] = 1; // every row is spoilt: the first of the batch is named
  CHECK_FAILS(MCL_E_NOT_FINITE, "stage 1: ", mcl_integrator_embed(g, &in, &out, &err));
  ck_assert_int_eq(err.row, 0);
  for (int i = 0; i < 900 * DIM; i++) ck_assert(r[i] == -4);
  b.factor = 1;
  CHECK_OK(mcl_integrator_embed(g, &in, &out, NULL));
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

// Says of its eleventh row that it is not finite, in the second block only.
static mcl_status late_embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *e) {
  int *calls = user;
  float *y = out->data;
  for (int64_t i = 0; i < in->n; i++) y[i] = *calls == 1 && i == 10 ? NAN : 1;
  ++*calls;
  return mcl_ok(e);
}

START_TEST(a_row_that_is_not_finite_is_counted_in_the_whole_batch) {
  mcl_context *c = test_context(1);
  int calls = 0;
  mcl_host_encoder table;
  mcl_struct_init(&table, sizeof table);
  table.user = &calls;
  table.dim = 1;
  table.embed = late_embed;
  mcl_encoder *e;
  CHECK_OK(mcl_encoder_create_host(c, &table, &e, &err));
  mcl_integrator *g = integrator(c);
  CHECK_OK(mcl_integrator_add_stage(g, e, 1, 1, &err));
  float r[600];
  int64_t indices[600] = {0};
  mcl_inputs in = inputs(indices, 600);
  mcl_array out = mcl_matrix_f32(r, 600, 1);
  CHECK_FAILS(MCL_E_NOT_FINITE, "stage 0", mcl_integrator_embed(g, &in, &out, &err));
  ck_assert_int_eq(err.row, 522);
  CHECK_FAILS(MCL_E_UNSUPPORTED,
              "stage 0: ", mcl_integrator_save(g, test_directory("integrator-mute"), &err));
  mcl_encoder_unref(e);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_callback_that_calls_back_is_told_busy) {
  mcl_context *c = test_context(1);
  host a = new_host(2, 0);
  mcl_integrator *g = integrator(c);
  add(g, c, &a, A, 1);
  a.call_back = g;
  int64_t index = 3;
  float r[A];
  mcl_inputs in = inputs(&index, 1);
  mcl_array out = mcl_matrix_f32(r, 1, A);
  CHECK_OK(mcl_integrator_embed(g, &in, &out, &err));
  ck_assert_int_eq(a.seen, MCL_E_BUSY);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_arguments_are_named) {
  mcl_context *c = test_context(1);
  host a = new_host(2, -1);
  mcl_encoder *e = encoder_of(c, &a, A);
  mcl_integrator *g = NULL;
  mcl_integrator_options o;
  mcl_integrator_options_init(&o, sizeof o);
  o.flags = 1;
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_integrator_create(NULL, NULL, &g, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_integrator_create(c, NULL, NULL, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "flags", mcl_integrator_create(c, &o, &g, &err));
  ck_assert_ptr_null(g);
  g = integrator(c);
  CHECK_FAILS(MCL_E_INVALID, "integrator", mcl_integrator_add_stage(NULL, e, 0, 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "dim is 0", mcl_integrator_add_stage(g, NULL, 0, 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "dim is -2", mcl_integrator_add_stage(g, e, -2, 1, &err));
  CHECK_FAILS(MCL_E_SHAPE, "dim is 4", mcl_integrator_add_stage(g, e, 4, 1, &err));
  static const double wrong[] = {0, -1, INFINITY, NAN, 1e31, 1e-31};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    CHECK_FAILS(MCL_E_INVALID, "weight", mcl_integrator_add_stage(g, e, 0, wrong[i], &err));
  ck_assert(mcl_integrator_stages(g) == 0 && mcl_integrator_dim(g) == 0);

  float r[2 * A] = {0};
  int64_t indices[2] = {0, 1};
  mcl_inputs in = inputs(indices, 2);
  mcl_array z = mcl_matrix_f32(r, 2, A), out = z, narrow = mcl_matrix_f32(r, 2, 2),
            row = mcl_matrix_f32(r, 1, A);
  CHECK_FAILS(MCL_E_STATE, "no stages", mcl_integrator_concat(g, &z, 0, &out, &err));
  CHECK_FAILS(MCL_E_STATE, "no stages", mcl_integrator_embed(g, &in, &out, &err));
  CHECK_FAILS(MCL_E_STATE, "no stages", mcl_integrator_save(g, "x", &err));
  CHECK_FAILS(MCL_E_STATE, "no stages", mcl_integrator_load(g, "x", &err));
  CHECK_OK(mcl_integrator_add_stage(g, e, 0, 1, &err));
  CHECK_FAILS(MCL_E_LIMIT, "dim", mcl_integrator_add_stage(g, NULL, INT32_MAX, 1, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "stage is 1", mcl_integrator_set_weight(g, 1, 1, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "stage is -1", mcl_integrator_set_weight(g, -1, 1, &err));
  CHECK_FAILS(MCL_E_INVALID, "weight", mcl_integrator_set_weight(g, 0, 0, &err));
  CHECK_FAILS(MCL_E_INVALID, "integrator", mcl_integrator_set_weight(NULL, 0, 1, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "stage is 1", mcl_integrator_stage_range(g, 1, NULL, NULL, &err));
  CHECK_OK(mcl_integrator_stage_range(g, 0, NULL, NULL, &err));

  CHECK_FAILS(MCL_E_INVALID, "integrator", mcl_integrator_embed(NULL, &in, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "in is NULL", mcl_integrator_embed(g, NULL, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_integrator_embed(g, &in, NULL, &err));
  CHECK_FAILS(MCL_E_SHAPE, "out", mcl_integrator_embed(g, &in, &narrow, &err));
  CHECK_FAILS(MCL_E_SHAPE, "out", mcl_integrator_embed(g, &in, &row, &err));
  in.data = &row;
  CHECK_FAILS(MCL_E_SHAPE, "in->data", mcl_integrator_embed(g, &in, &out, &err));
  in.data = NULL;
  in.n = -1;
  CHECK_FAILS(MCL_E_INVALID, "in->n", mcl_integrator_embed(g, &in, &out, &err));

  CHECK_FAILS(MCL_E_INVALID, "integrator", mcl_integrator_concat(NULL, &z, 1, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "stages is NULL", mcl_integrator_concat(g, NULL, 1, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "n is 2", mcl_integrator_concat(g, &z, 2, &out, &err));
  CHECK_FAILS(MCL_E_SHAPE, "stages[0]", mcl_integrator_concat(g, &narrow, 1, &out, &err));
  CHECK_FAILS(MCL_E_SHAPE, "out", mcl_integrator_concat(g, &z, 1, &row, &err));
  out.flags = MCL_ARRAY_READONLY;
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_integrator_concat(g, &z, 1, &out, &err));
  CHECK_OK(mcl_integrator_add_stage(g, NULL, 2, 1, &err));
  float five[10];
  mcl_array both = mcl_matrix_f32(five, 2, 5);
  in.n = 2;
  CHECK_FAILS(MCL_E_STATE, "stage 1 has no encoder", mcl_integrator_embed(g, &in, &both, &err));
  ck_assert(mcl_integrator_stages(NULL) == 0 && mcl_integrator_dim(NULL) == 0);
  ck_assert_ptr_null(mcl_integrator_ref(NULL));
  mcl_integrator_unref(NULL);
  mcl_encoder_unref(e);
  ck_assert_int_eq(a.destroyed, 0);
  mcl_integrator_unref(mcl_integrator_ref(g));
  ck_assert_int_eq(a.destroyed, 0);
  mcl_integrator_unref(g);
  ck_assert_int_eq(a.destroyed, 1);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_row_that_is_not_finite_stops_concat_before_anything_is_written) {
  mcl_context *c = test_context(2);
  mcl_integrator *g = integrator(c);
  add(g, c, NULL, 1, 1);
  add(g, c, NULL, 2, 1);
  float a[N], b[2 * N], r[3 * N];
  for (int i = 0; i < N; i++) a[i] = b[2 * i] = b[2 * i + 1] = 1;
  for (int i = 0; i < 3 * N; i++) r[i] = -4;
  b[2 * 1201] = INFINITY;
  mcl_array z[2] = {mcl_matrix_f32(a, N, 1), mcl_matrix_f32(b, N, 2)},
            out = mcl_matrix_f32(r, N, 3);
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 1201 of stages[1]",
              mcl_integrator_concat(g, z, 2, &out, &err));
  ck_assert_int_eq(err.row, 1201);
  for (int i = 0; i < 3 * N; i++) ck_assert(r[i] == -4);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

// ---- memory ----------------------------------------------------------------------------------------------------

RUN_TESTS("integrator", a_representation_is_each_stage_at_its_weight_side_by_side,
          at_equal_weights_a_cosine_is_the_mean_of_the_stages_cosines,
          data_of_any_stride_is_cut_into_the_same_rows_as_indices,
          embed_and_concat_give_the_same_bits_for_any_number_of_threads,
          a_zero_embedding_stays_zero_and_no_rows_is_no_work,
          out_may_be_of_any_float_type_and_stride,
          a_failing_encoder_is_named_with_its_stage_and_row_and_out_is_untouched,
          a_row_that_is_not_finite_is_counted_in_the_whole_batch,
          a_callback_that_calls_back_is_told_busy, bad_arguments_are_named,
          a_row_that_is_not_finite_stops_concat_before_anything_is_written)
