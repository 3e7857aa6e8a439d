// The handle, seen through an encoder of the host's: y = (data row sum) * weight in every column.
#include "support/suite.h"

#include <math.h>
#include <string.h>

#include <libmcl/encoder.h>

typedef struct host {
  float weight, gradient;
  int embeds, forwards, helds, backwards, steps, saves, loads, give_ups, destroyed;
  int spoil_row;            // a NaN here; -1: none
  int forget_ok;            // returns 0 without mcl_ok()
  mcl_status fail_backward; // MCL_OK: does not
  int fail_start;
  mcl_encoder *call_back; // embed calls itself
  mcl_status seen;
  char path[64];
} host;

static mcl_status rows(host *h, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  ck_assert_int_eq(out->dtype, MCL_F32);
  ck_assert_int_eq(out->strides[0], out->shape[1]);
  float *y = out->data;
  for (int64_t i = 0; i < in->n; i++)
    for (int64_t j = 0; j < out->shape[1]; j++) {
      y[i * out->shape[1] + j] = h->weight * (float)in->indices[i] + (float)j;
      if (i == h->spoil_row) y[i * out->shape[1] + j] = NAN;
    }
  if (h->forget_ok) return 0;
  return mcl_ok(err);
}

static mcl_status embed(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  host *h = user;
  h->embeds++;
  if (h->call_back) {
    mcl_error inner;
    h->seen = mcl_encoder_embed(h->call_back, in, out, &inner);
  }
  return rows(h, in, out, err);
}

static mcl_status forward(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  host *h = user;
  h->forwards++;
  return rows(h, in, out, err);
}

static mcl_status held(void *user, const mcl_inputs *in, const mcl_array *out, mcl_error *err) {
  host *h = user;
  h->helds++;
  for (int64_t i = 0; i < in->n * out->shape[1]; i++)
    ((float *)out->data)[i] = (float)(10 * in->modality + in->view);
  return mcl_ok(err);
}

static mcl_status backward(void *user, const mcl_inputs *in, const mcl_array *grad,
                           mcl_error *err) {
  host *h = user;
  h->backwards++;
  if (h->fail_backward) return mcl_error_set(err, h->fail_backward, 77, "the device is gone");
  ck_assert_int_eq(grad->dtype, MCL_F32);
  for (int64_t i = 0; i < in->n * grad->shape[1]; i++) h->gradient += ((float *)grad->data)[i];
  return mcl_ok(err);
}

static mcl_status step(void *user, const mcl_step *s, mcl_error *err) {
  host *h = user;
  h->steps++;
  h->weight -= (float)s->learning_rate * h->gradient;
  h->gradient = 0;
  return mcl_ok(err);
}

static mcl_status save(void *user, const char *path, mcl_error *err) {
  host *h = user;
  h->saves++;
  strcpy(h->path, path);
  return mcl_ok(err);
}

static mcl_status load(void *user, const char *path, mcl_error *err) {
  host *h = user;
  h->loads++;
  strcpy(h->path, path);
  return mcl_ok(err);
}

static void give_up(void *user) {
  host *h = user;
  h->give_ups++;
  h->gradient = 0;
}

static mcl_status start_from(void *user, void *from, mcl_error *err) {
  host *h = user, *other = from;
  if (h->fail_start) return mcl_error_set(err, MCL_E_CALLBACK, 77, "the device is gone");
  h->weight = other->weight;
  if (h->call_back) {
    mcl_error inner;
    h->seen = mcl_encoder_give_up(h->call_back, &inner);
  }
  return mcl_ok(err);
}

static mcl_status start_otherwise(void *user, void *from, mcl_error *err) {
  return start_from(user, from, err);
}

static void destroy(void *user) {
  ((host *)user)->destroyed++;
}

static mcl_error err;
static const int64_t indices[4] = {3, 1, 4, 1};

static mcl_host_encoder table_of(host *h) {
  mcl_host_encoder t;
  mcl_struct_init(&t, sizeof t);
  memset(h, 0, sizeof *h);
  h->weight = 2;
  h->spoil_row = -1;
  t.user = h;
  t.dim = 3;
  t.projection_dim = 2;
  t.modalities = 2;
  t.embed = embed;
  t.forward = forward;
  t.backward = backward;
  t.step = step;
  t.save = save;
  t.load = load;
  t.destroy = destroy;
  t.held = held;
  return t;
}

static mcl_inputs inputs(int64_t n, int32_t modality, int32_t view) {
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  in.indices = indices;
  in.n = n;
  in.modality = modality;
  in.view = view;
  return in;
}

static mcl_encoder *encoder_of(mcl_context *c, host *h) {
  mcl_host_encoder t = table_of(h);
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_host(c, &t, &e, &err));
  return e;
}

static mcl_status call(mcl_encoder *e, int backwards, int64_t n, int32_t modality, int32_t view) {
  float z[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  mcl_array a = mcl_matrix_f32(z, n, 2);
  mcl_inputs in = inputs(n, modality, view);
  if (backwards) return mcl_encoder_backward(e, &in, &a, &err);
  return mcl_encoder_forward(e, &in, &a, &err);
}

static mcl_status step_at(mcl_encoder *e, double rate) {
  mcl_step s;
  mcl_struct_init(&s, sizeof s);
  s.learning_rate = rate;
  return mcl_encoder_step(e, &s, &err);
}

START_TEST(embeddings_reach_an_array_of_any_float_type_and_stride) {
  host h;
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, &h);
  double z[4][5];
  memset(z, 0, sizeof z);
  const int64_t shape[2] = {4, 3};
  mcl_array out;
  mcl_array_init(&out, z, MCL_F64, 2, shape);
  out.strides[0] = 5;
  mcl_inputs in = inputs(4, 1, -1);
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  ck_assert_int_eq(err.status, MCL_OK);
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 3; j++) ck_assert_double_eq(z[i][j], 2.0 * (double)indices[i] + j);
    ck_assert_double_eq(z[i][3], 0);
  }
  ck_assert_int_eq(mcl_encoder_dim(e), 3);
  ck_assert_int_eq(mcl_encoder_projection_dim(e), 2);
  ck_assert_int_eq(mcl_encoder_modalities(e), 2);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(destroy_runs_once_at_the_last_unref) {
  host h;
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, &h);
  mcl_context_unref(c); // the encoder keeps it
  ck_assert_ptr_eq(mcl_encoder_ref(e), e);
  mcl_encoder_unref(e);
  ck_assert_int_eq(h.destroyed, 0);
  mcl_encoder_unref(e);
  ck_assert_int_eq(h.destroyed, 1);
  mcl_encoder_unref(NULL);
  ck_assert_ptr_null(mcl_encoder_ref(NULL));
  ck_assert_int_eq(mcl_encoder_dim(NULL), 0);
  ck_assert_int_eq(mcl_encoder_projection_dim(NULL), 0);
  ck_assert_int_eq(mcl_encoder_modalities(NULL), 0);
}
END_TEST

// Refused, with `destroy` run and nothing written.
static void check_refused(mcl_context *c, const mcl_host_encoder *t, host *h, mcl_status status,
                          const char *word) {
  mcl_encoder *e = NULL;
  h->destroyed = 0;
  CHECK_FAILS(status, word, mcl_encoder_create_host(c, t, &e, &err));
  ck_assert_ptr_null(e);
  ck_assert_int_eq(h->destroyed, 1);
}

START_TEST(a_bad_table_is_refused_and_destroyed) {
  host h;
  mcl_context *c = test_context(1);
  mcl_host_encoder t = table_of(&h);
  check_refused(NULL, &t, &h, MCL_E_INVALID, "context");
  t.dim = 0;
  check_refused(c, &t, &h, MCL_E_INVALID, "dim is 0");
  t = table_of(&h), t.projection_dim = -1;
  check_refused(c, &t, &h, MCL_E_INVALID, "projection_dim is -1");
  t = table_of(&h), t.modalities = 33;
  check_refused(c, &t, &h, MCL_E_INVALID, "modalities is 33");
  t = table_of(&h), t.flags = 4;
  check_refused(c, &t, &h, MCL_E_UNSUPPORTED, "flags");
  t = table_of(&h), t.flags = MCL_HOST_CHUNKS;
  check_refused(c, &t, &h, MCL_E_INVALID, "give_up");
  t = table_of(&h), t.embed = NULL;
  check_refused(c, &t, &h, MCL_E_INVALID, "embed");
  t = table_of(&h);
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_create_host(c, &t, NULL, &err));
  ck_assert_int_eq(h.destroyed, 1);

  struct {
    mcl_host_encoder table;
    int64_t newer;
  } tail = {table_of(&h), 1};
  tail.table.struct_size = sizeof tail;
  check_refused(c, &tail.table, &h, MCL_E_UNSUPPORTED, "mcl_host_encoder");

  mcl_encoder *e = NULL;
  CHECK_FAILS(MCL_E_INVALID, "mcl_host_encoder", mcl_encoder_create_host(c, NULL, &e, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(zero_means_one_modality_and_one_width) {
  host h;
  mcl_context *c = test_context(1);
  mcl_host_encoder t = table_of(&h);
  t.projection_dim = t.modalities = 0;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_host(c, &t, &e, &err));
  ck_assert_int_eq(mcl_encoder_projection_dim(e), 3);
  ck_assert_int_eq(mcl_encoder_modalities(e), 1);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_step_follows_as_many_backwards_as_forwards) {
  host h;
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, &h);
  CHECK_FAILS(MCL_E_STATE, "step without", step_at(e, 1));
  CHECK_FAILS(MCL_E_STATE, "without a forward", call(e, 1, 4, 0, 0));
  CHECK_OK(call(e, 0, 4, 0, 0));
  CHECK_OK(call(e, 0, 4, 0, 0)); // the batch is given up and begun again
  CHECK_OK(call(e, 0, 4, 1, 1));
  CHECK_FAILS(MCL_E_STATE, "waits", step_at(e, 1));
  CHECK_FAILS(MCL_E_STATE, "modality 0, view 1", call(e, 1, 4, 0, 1));
  CHECK_FAILS(MCL_E_SHAPE, "in->n is 3", call(e, 1, 3, 1, 1));
  CHECK_OK(call(e, 1, 4, 1, 1));
  CHECK_FAILS(MCL_E_STATE, "second backward", call(e, 1, 4, 1, 1));
  // It takes a batch whole, which costs it nothing.
  CHECK_FAILS(MCL_E_UNSUPPORTED, "MCL_HOST_CHUNKS", call(e, 0, 4, 0, -1));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "step first", call(e, 0, 4, 1, 1));
  CHECK_FAILS(MCL_E_STATE, "waits", step_at(e, 1));
  CHECK_OK(call(e, 1, 4, 0, 0));
  CHECK_FAILS(MCL_E_INVALID, "learning_rate is -1", step_at(e, -1));
  CHECK_FAILS(MCL_E_INVALID, "learning_rate is nan", step_at(e, NAN));
  CHECK_OK(step_at(e, 0.125));
  ck_assert_float_eq(h.weight, 2 - 0.125f * 16);
  ck_assert_int_eq(h.forwards, 3);
  ck_assert_int_eq(h.backwards, 2);
  ck_assert_int_eq(h.steps, 1);
  CHECK_FAILS(MCL_E_STATE, "step without", step_at(e, 1)); // all is forgotten
  CHECK_OK(call(e, 0, 0, 0, 0));                           // a rank without rows
  CHECK_OK(call(e, 1, 0, 0, 0));
  CHECK_OK(step_at(e, 1));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// Of 4, 3 and 2 rows; each row has gradient 2 (call).
START_TEST(chunks_add_up_in_a_host_that_takes_them) {
  host h;
  mcl_context *c = test_context(1);
  mcl_host_encoder t = table_of(&h);
  t.flags = MCL_HOST_CHUNKS, t.give_up = give_up;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_host(c, &t, &e, &err));
  CHECK_OK(mcl_encoder_give_up(e, &err)); // nothing is at work: the host hears nothing
  for (int64_t n = 4; n >= 2; n--) {
    CHECK_OK(call(e, 0, n, 1, 0));
    CHECK_OK(call(e, 1, n, 1, 0));
  }
  ck_assert_int_eq(h.give_ups, 0);
  CHECK_OK(step_at(e, 0.125));
  ck_assert_float_eq(h.weight, 2 - 0.125f * 18);
  ck_assert_int_eq(h.forwards, 3);

  CHECK_OK(call(e, 0, 4, 0, 0));
  CHECK_OK(call(e, 1, 4, 0, 0));
  h.spoil_row = 2;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 2", call(e, 0, 4, 0, 1)); // another view's: the batch lacks it
  ck_assert_int_eq(h.give_ups, 1);
  ck_assert_float_eq(h.gradient, 0);
  CHECK_FAILS(MCL_E_STATE, "step without", step_at(e, 1));
  h.spoil_row = -1;
  CHECK_OK(call(e, 0, 4, 0, 0));
  CHECK_OK(mcl_encoder_give_up(e, &err));
  ck_assert_int_eq(h.give_ups, 2);
  CHECK_FAILS(MCL_E_STATE, "without a forward", call(e, 1, 4, 0, 0));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_failed_backward_or_load_leaves_a_usable_encoder) {
  host h;
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, &h);
  CHECK_OK(call(e, 0, 4, 0, 0));
  CHECK_OK(call(e, 0, 4, 0, 1));
  h.fail_backward = MCL_E_IO;
  CHECK_FAILS(MCL_E_IO, "mcl_host_encoder.backward failed: the device is gone",
              call(e, 1, 4, 0, 0));
  ck_assert_int_eq(err.host_code, 77);
  h.fail_backward = MCL_OK;
  CHECK_FAILS(MCL_E_STATE, "without a forward", call(e, 1, 4, 0, 1)); // the batch is given up
  CHECK_OK(call(e, 0, 4, 0, 0));
  CHECK_OK(call(e, 1, 4, 0, 0));
  CHECK_OK(mcl_encoder_load(e, "x.safetensors", &err));
  ck_assert_str_eq(h.path, "x.safetensors");
  CHECK_OK(call(e, 0, 4, 0, 0)); // load has forgotten the backward
  CHECK_OK(mcl_encoder_save(e, "y.safetensors", &err));
  ck_assert_str_eq(h.path, "y.safetensors");
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(not_finite_results_and_gradients_name_the_row) {
  host h;
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, &h);
  float z[12] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};
  mcl_array out = mcl_matrix_f32(z, 4, 3);
  mcl_inputs in = inputs(4, 0, 0);
  h.spoil_row = 2;
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 2", mcl_encoder_embed(e, &in, &out, &err));
  ck_assert_int_eq(err.row, 2);
  for (int i = 0; i < 12; i++) ck_assert_float_eq(z[i], 7); // untouched
  out = mcl_matrix_f32(z, 4, 2);
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 2", mcl_encoder_forward(e, &in, &out, &err));
  CHECK_FAILS(MCL_E_STATE, "without a forward", call(e, 1, 4, 0, 0));
  h.spoil_row = -1;
  CHECK_OK(call(e, 0, 4, 0, 0));
  h.spoil_row = 1; // a forward that fails gives up what the view held before
  CHECK_FAILS(MCL_E_NOT_FINITE, "row 1", call(e, 0, 4, 0, 0));
  CHECK_FAILS(MCL_E_STATE, "without a forward", call(e, 1, 4, 0, 0));
  h.spoil_row = -1;
  CHECK_OK(call(e, 0, 4, 0, 0));
  z[7] = INFINITY;
  CHECK_FAILS(MCL_E_NOT_FINITE, "grad", mcl_encoder_backward(e, &in, &out, &err));
  ck_assert_int_eq(err.row, 3);
  ck_assert_int_eq(h.backwards, 0);
  CHECK_OK(call(e, 1, 4, 0, 0)); // still held
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_callback_without_mcl_ok_has_failed) {
  host h;
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, &h);
  h.forget_ok = 1;
  CHECK_FAILS(MCL_E_CALLBACK, "mcl_host_encoder.forward", call(e, 0, 4, 0, 0));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_call_from_its_own_callback_is_busy) {
  host h;
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, &h);
  float z[12];
  mcl_array out = mcl_matrix_f32(z, 4, 3);
  mcl_inputs in = inputs(4, 0, 0);
  h.call_back = e;
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  ck_assert_int_eq(h.seen, MCL_E_BUSY);
  ck_assert_int_eq(h.embeds, 1);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_arguments_are_named) {
  host h;
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, &h);
  float z[12];
  mcl_array out = mcl_matrix_f32(z, 4, 3);
  mcl_inputs in = inputs(4, 0, 0);
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_embed(NULL, &in, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_forward(NULL, &in, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_backward(NULL, &in, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "encoder", step_at(NULL, 1));
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_save(NULL, "x", &err));
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_load(NULL, "x", &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_encoder_save(e, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_encoder_load(e, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "mcl_step", mcl_encoder_step(e, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "mcl_inputs", mcl_encoder_embed(e, NULL, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_embed(e, &in, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "grad", mcl_encoder_backward(e, &in, NULL, &err));
  in.n = -1;
  CHECK_FAILS(MCL_E_INVALID, "in->n is -1", mcl_encoder_embed(e, &in, &out, &err));
  in = inputs(4, 2, 0);
  CHECK_FAILS(MCL_E_INVALID, "in->modality is 2", mcl_encoder_embed(e, &in, &out, &err));
  in = inputs(4, 0, 2);
  CHECK_FAILS(MCL_E_INVALID, "in->view is 2", mcl_encoder_embed(e, &in, &out, &err));
  in = inputs(4, 0, 0), in.indices = NULL;
  CHECK_FAILS(MCL_E_INVALID, "in->data", mcl_encoder_embed(e, &in, &out, &err));
  in = inputs(3, 0, 0);
  CHECK_FAILS(MCL_E_SHAPE, "out", mcl_encoder_embed(e, &in, &out, &err));
  in = inputs(4, 0, 0), in.data = &out;
  mcl_array wide = mcl_matrix_f32(z, 3, 4);
  in.data = &wide;
  CHECK_FAILS(MCL_E_SHAPE, "in->data", mcl_encoder_embed(e, &in, &out, &err));
  wide.dtype = 99;
  CHECK_FAILS(MCL_E_DTYPE, "in->data", mcl_encoder_embed(e, &in, &out, &err));
  out.flags = MCL_ARRAY_READONLY;
  in = inputs(4, 0, 0);
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_embed(e, &in, &out, &err));
  ck_assert_int_eq(h.embeds, 0);
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_table_with_embed_only_can_embed_only) {
  host h;
  mcl_context *c = test_context(1);
  mcl_host_encoder t;
  mcl_struct_init(&t, sizeof t);
  mcl_host_encoder full = table_of(&h);
  t.user = full.user, t.dim = 3, t.embed = full.embed;
  mcl_encoder *e = NULL;
  CHECK_OK(mcl_encoder_create_host(c, &t, &e, &err));
  float z[12];
  mcl_array out = mcl_matrix_f32(z, 4, 3);
  mcl_inputs in = inputs(4, 0, 0);
  CHECK_OK(mcl_encoder_embed(e, &in, &out, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "forward", mcl_encoder_forward(e, &in, &out, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "held", mcl_encoder_held(e, &in, &out, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "backward", mcl_encoder_backward(e, &in, &out, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "step", step_at(e, 1));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "save", mcl_encoder_save(e, "x", &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "load", mcl_encoder_load(e, "x", &err));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

// Two of a kind, by the function of their tables.
START_TEST(a_host_starts_from_another_of_its_kind) {
  host h, other, third;
  mcl_context *c = test_context(1);
  mcl_host_encoder tables[3] = {table_of(&h), table_of(&other), table_of(&third)};
  mcl_encoder *e[3] = {NULL, NULL, NULL}, *narrow = NULL, *none = encoder_of(c, &third);
  tables[0].start_from = tables[1].start_from = start_from;
  tables[2].start_from = start_otherwise;
  for (int i = 0; i < 3; i++) CHECK_OK(mcl_encoder_create_host(c, &tables[i], &e[i], &err));
  tables[1].dim = 2;
  CHECK_OK(mcl_encoder_create_host(c, &tables[1], &narrow, &err));
  other.weight = 7;
  CHECK_OK(call(e[0], 0, 4, 0, 0));
  CHECK_FAILS(MCL_E_INVALID, "encoder is NULL", mcl_encoder_start_from(NULL, e[1], &err));
  CHECK_FAILS(MCL_E_INVALID, "from is NULL", mcl_encoder_start_from(e[0], NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "one encoder", mcl_encoder_start_from(e[0], e[0], &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "start_from", mcl_encoder_start_from(none, e[1], &err));
  CHECK_FAILS(MCL_E_MISMATCH, "kinds", mcl_encoder_start_from(e[0], none, &err));
  CHECK_FAILS(MCL_E_MISMATCH, "kinds", mcl_encoder_start_from(e[0], e[2], &err));
  CHECK_FAILS(MCL_E_MISMATCH, "3 and 2 numbers", mcl_encoder_start_from(e[0], narrow, &err));
  h.fail_start = 1;
  CHECK_FAILS(MCL_E_CALLBACK, "the device is gone", mcl_encoder_start_from(e[0], e[1], &err));
  h.fail_start = 0;
  CHECK_OK(call(e[0], 1, 4, 0, 0)); // the batch at work is still there
  h.call_back = e[1];               // which is at work too
  CHECK_OK(mcl_encoder_start_from(e[0], e[1], &err));
  ck_assert_int_eq(h.seen, MCL_E_BUSY);
  ck_assert_float_eq(h.weight, 7);
  CHECK_FAILS(MCL_E_STATE, "step without", step_at(e[0], 1)); // and is forgotten now
  mcl_encoder_unref(none);
  mcl_encoder_unref(narrow);
  for (int i = 0; i < 3; i++) mcl_encoder_unref(e[i]);
  mcl_context_unref(c);
}
END_TEST

START_TEST(embeddings_held_are_asked_of_the_host_once_it_has_them) {
  host h;
  mcl_context *c = test_context(1);
  mcl_encoder *e = encoder_of(c, &h);
  double z[6];
  mcl_array out = mcl_matrix_f32(NULL, 2, 3);
  out.data = z, out.dtype = MCL_F64;
  mcl_inputs in = inputs(2, 1, 1);
  CHECK_FAILS(MCL_E_STATE, "modality 1, view 1", mcl_encoder_held(e, &in, &out, &err));
  ck_assert_int_eq(h.helds, 0);
  CHECK_OK(call(e, 0, 2, 1, 1));
  in.view = 1;
  CHECK_OK(mcl_encoder_held(e, &in, &out, &err));
  ck_assert_int_eq(h.helds, 1);
  for (int i = 0; i < 6; i++) ck_assert_double_eq(z[i], 11);
  CHECK_FAILS(MCL_E_INVALID, "encoder", mcl_encoder_held(NULL, &in, &out, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_encoder_held(e, &in, NULL, &err));
  mcl_encoder_unref(e);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("encoder", embeddings_reach_an_array_of_any_float_type_and_stride,
          destroy_runs_once_at_the_last_unref, a_bad_table_is_refused_and_destroyed,
          zero_means_one_modality_and_one_width, a_step_follows_as_many_backwards_as_forwards,
          chunks_add_up_in_a_host_that_takes_them,
          a_failed_backward_or_load_leaves_a_usable_encoder,
          not_finite_results_and_gradients_name_the_row, a_callback_without_mcl_ok_has_failed,
          a_call_from_its_own_callback_is_busy, bad_arguments_are_named,
          a_table_with_embed_only_can_embed_only, a_host_starts_from_another_of_its_kind,
          embeddings_held_are_asked_of_the_host_once_it_has_them)
