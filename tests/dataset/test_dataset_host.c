#include "dataset/data.h"

#include <math.h>

static mcl_context *c;
static mcl_error err;

// Row i of modality 0 is [2, 3] floats i + k / 10; of modality 1, 4 int32 tokens i * 4 + k; of 2,
// bytes [1, 1, 2].
typedef struct host {
  int destroyed, shapes, loads;
  mcl_status shape_status, load_status;
  int forget, nan_at;
  int32_t dtype, ndim;
  int64_t side;
  mcl_dataset *again; // loaded from inside load
} host;

static host h;

static mcl_status give_shape(void *user, int32_t modality, mcl_array *row, mcl_error *e) {
  host *self = user;
  self->shapes++;
  if (self->shape_status) return mcl_error_set(e, self->shape_status, 42, "no shape today");
  row->dtype = modality == 0 ? self->dtype : modality == 1 ? MCL_I32 : MCL_U8;
  row->ndim = modality == 0 ? self->ndim : modality == 1 ? 1 : 3;
  row->shape[0] = modality == 0 ? self->side : modality == 1 ? 4 : 1;
  row->shape[1] = modality == 0 ? 3 : 1;
  row->shape[2] = 2;
  return mcl_ok(e);
}

static mcl_status give_rows(void *user, const int64_t *indices, int64_t n, int32_t modality,
                            const mcl_array *out, mcl_error *e) {
  host *self = user;
  self->loads++;
  ck_assert_int_eq(out->shape[0], n);
  ck_assert_int_eq(out->strides[0], modality == 0 ? 6 : modality == 1 ? 4 : 2);
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < 6; k++) {
      if (modality == 0 && out->dtype == MCL_F32)
        ((float *)out->data)[i * 6 + k] = (float)indices[i] + (float)k / 10;
      if (modality == 0 && out->dtype == MCL_F64)
        ((double *)out->data)[i * 6 + k] = (double)indices[i] + k / 10.0;
      if (modality == 1 && k < 4) ((int32_t *)out->data)[i * 4 + k] = (int32_t)indices[i] * 4 + k;
      if (modality == 2 && k < 2) ((uint8_t *)out->data)[i * 2 + k] = (uint8_t)(indices[i] * 2 + k);
    }
  if (self->nan_at >= 0) {
    if (out->dtype == MCL_F64)
      ((double *)out->data)[self->nan_at] = (double)NAN;
    else
      ((float *)out->data)[self->nan_at] = INFINITY;
  }
  if (self->again) {
    mcl_error inner;
    mcl_status s = mcl_dataset_load(self->again, indices, n, modality, out, &inner);
    ck_assert_int_eq(s, MCL_E_BUSY);
    return mcl_error_set(e, s, 0, inner.message);
  }
  if (self->load_status) return mcl_error_set(e, self->load_status, 7, "the disk is gone");
  if (self->forget) return 0;
  return mcl_ok(e);
}

static void destroy(void *user) {
  ((host *)user)->destroyed++;
}

static mcl_host_dataset table(void) {
  mcl_host_dataset t;
  h = (host){.nan_at = -1, .dtype = MCL_F32, .ndim = 2, .side = 2};
  mcl_struct_init(&t, sizeof t);
  t.user = &h;
  t.rows = 50;
  t.fingerprint = 0xFEEDu;
  t.modalities = 3;
  t.shape = give_shape;
  t.load = give_rows;
  t.destroy = destroy;
  return t;
}

static mcl_dataset *start(int32_t dtype) {
  mcl_dataset *d = NULL;
  mcl_host_dataset t = table();
  c = test_context(1);
  h.dtype = dtype;
  CHECK_OK(mcl_dataset_create_host(c, &t, &d, &err));
  memset(&t, 0, sizeof t); // it was copied
  return d;
}

static void stop(mcl_dataset *d) {
  mcl_dataset_unref(d);
  mcl_context_unref(c);
  ck_assert_int_eq(h.destroyed, 1);
}

START_TEST(a_hosts_rows_are_loaded_by_modality) {
  mcl_dataset *d = start(MCL_F32);
  ck_assert_int_eq(h.shapes, 3);
  ck_assert_int_eq(mcl_dataset_rows(d), 50);
  ck_assert_int_eq(mcl_dataset_modalities(d), 3);
  ck_assert(mcl_dataset_fingerprint(d) == 0xFEEDu);
  ck_assert_int_eq(report_of(d).cached, 0);
  float image[2 * 6];
  int32_t tokens[2 * 4];
  mcl_array a, t;
  mcl_array_init(&a, image, MCL_F32, 3, (int64_t[]){2, 2, 3});
  mcl_array_init(&t, tokens, MCL_I32, 2, (int64_t[]){2, 4});
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){49, 3}, 2, 0, &a, &err));
  ck_assert(image[1] == 49.1f && image[6] == 3.0f);
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){49, 3}, 2, 1, &t, &err));
  ck_assert_int_eq(tokens[0], 196);
  ck_assert_int_eq(tokens[7], 15);
  mcl_array row;
  CHECK_OK(mcl_dataset_shape(d, 1, &row, &err));
  ck_assert_int_eq(row.dtype, MCL_I32);
  ck_assert_int_eq(row.shape[0], 4);
  ck_assert_int_eq(h.shapes, 3);
  stop(d);
}
END_TEST

START_TEST(a_hosts_rows_become_float32) {
  mcl_dataset *d = start(MCL_F64);
  float image[2 * 2 * 4], bytes[2];
  mcl_array a, b;
  memset(image, 0, sizeof image);
  mcl_array_init(&a, image, MCL_F32, 3, (int64_t[]){2, 2, 3});
  a.strides[1] = 4, a.strides[0] = 8; // with gaps
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){10, 11}, 2, 0, &a, &err));
  ck_assert(image[2] == 10.2f && image[3] == 0 && image[4] == 10.3f && image[8] == 11.0f);
  mcl_array_init(&b, bytes, MCL_F32, 4, (int64_t[]){1, 1, 1, 2});
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){10}, 1, 2, &b, &err));
  ck_assert(bytes[0] == 20 / 255.0f && bytes[1] == 21 / 255.0f);
  stop(d);
}
END_TEST

START_TEST(a_failed_load_passes_on_the_hosts_error_and_writes_nothing) {
  mcl_dataset *d = start(MCL_F32);
  float image[6] = {1, 1, 1, 1, 1, 1};
  mcl_array a;
  mcl_array_init(&a, image, MCL_F32, 3, (int64_t[]){1, 2, 3});
  h.load_status = MCL_E_IO;
  CHECK_FAILS(MCL_E_IO, "mcl_host_dataset.load failed: the disk is gone",
              mcl_dataset_load(d, (int64_t[]){4}, 1, 0, &a, &err));
  ck_assert_int_eq(err.host_code, 7);
  h.load_status = 5; // no status of ours
  CHECK_FAILS(MCL_E_CALLBACK, "load", mcl_dataset_load(d, (int64_t[]){4}, 1, 0, &a, &err));
  h.load_status = 0;
  h.forget = 1;
  CHECK_FAILS(MCL_E_CALLBACK, "mcl_ok", mcl_dataset_load(d, (int64_t[]){4}, 1, 0, &a, &err));
  for (int i = 0; i < 6; i++) ck_assert(image[i] == 1);
  h.forget = 0;
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){4}, 1, 0, &a, &err)); // the handle is usable still
  stop(d);
}
END_TEST

START_TEST(a_nan_or_an_infinity_is_named_by_the_datasets_row) {
  const int32_t types[2] = {MCL_F32, MCL_F64};
  for (int k = 0; k < 2; k++) {
    mcl_dataset *d = start(types[k]);
    float image[12] = {5};
    mcl_array a;
    mcl_array_init(&a, image, MCL_F32, 3, (int64_t[]){2, 2, 3});
    h.nan_at = 8;
    CHECK_FAILS(MCL_E_NOT_FINITE, "row 33",
                mcl_dataset_load(d, (int64_t[]){4, 33}, 2, 0, &a, &err));
    ck_assert_int_eq(err.row, 33);
    ck_assert(image[0] == 5);
    stop(d);
  }
}
END_TEST

START_TEST(a_load_inside_a_load_is_busy_not_a_crash) {
  mcl_dataset *d = start(MCL_F32);
  float image[6];
  mcl_array a;
  mcl_array_init(&a, image, MCL_F32, 3, (int64_t[]){1, 2, 3});
  h.again = d;
  CHECK_FAILS(MCL_E_BUSY, "dataset is in use", mcl_dataset_load(d, (int64_t[]){4}, 1, 0, &a, &err));
  ck_assert_int_eq(h.loads, 1);
  h.again = NULL;
  CHECK_OK(mcl_dataset_load(d, (int64_t[]){4}, 1, 0, &a, &err));
  stop(d);
}
END_TEST

START_TEST(without_callbacks_rows_are_only_counted) {
  mcl_host_dataset t = table();
  mcl_dataset *d = NULL, *sub = NULL;
  mcl_array row;
  c = test_context(1);
  t.shape = NULL, t.load = NULL;
  CHECK_OK(mcl_dataset_create_host(c, &t, &d, &err));
  ck_assert_int_eq(mcl_dataset_rows(d), 50);
  CHECK_FAILS(MCL_E_NOT_FOUND, "encoder", mcl_dataset_shape(d, 0, &row, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "encoder", mcl_dataset_load(d, (int64_t[]){4}, 1, 0, &row, &err));
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){9, 8}, 2, &sub, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "encoder", mcl_dataset_shape(sub, 0, &row, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "encoder", mcl_dataset_create_randbits(c, d, 3, 1, &sub, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "encoder", mcl_dataset_create_resized(c, d, 3, 3, 1, &sub, &err));
  ck_assert_int_eq(mcl_dataset_rows(sub), 2);
  mcl_dataset_unref(d);
  ck_assert_int_eq(h.destroyed, 0); // the subset holds it
  stop(sub);
}
END_TEST

// Each mistake is found, and destroy is called once for each failed create.
START_TEST(a_bad_table_is_refused_and_destroyed_once) {
  c = test_context(1);
  for (int k = 0; k < 14; k++) {
    mcl_host_dataset t = table();
    mcl_dataset *d = NULL, **out = &d;
    mcl_context *with = c;
    mcl_status wanted = MCL_E_INVALID;
    const char *word = "mcl_host_dataset";
    switch (k) {
    case 0:
      t.rows = 0, word = "rows is 0";
      break;
    case 1:
      t.rows = -3, word = "rows is -3";
      break;
    case 2:
      t.modalities = 0, word = "modalities is 0";
      break;
    case 3:
      t.modalities = 33, word = "modalities is 33";
      break;
    case 4:
      t.flags = 1, word = "flags is 1";
      break;
    case 5:
      t.shape = NULL, word = "shape is NULL";
      break;
    case 6:
      t.load = NULL, word = "load is NULL";
      break;
    case 7:
      h.dtype = 99, wanted = MCL_E_DTYPE, word = "dtype 99";
      break;
    case 8:
      h.ndim = 4, wanted = MCL_E_SHAPE, word = "ndim 4";
      break;
    case 9:
      h.side = 0, wanted = MCL_E_SHAPE, word = "shape[0] = 0";
      break;
    case 10:
      h.side = INT64_MAX / 2, wanted = MCL_E_SHAPE, word = "shape[0]";
      break;
    case 11:
      h.shape_status = MCL_E_STATE, wanted = MCL_E_STATE, word = "no shape today";
      break;
    case 12:
      out = NULL, word = "out is NULL";
      break;
    default:
      with = NULL, word = "context";
      break;
    }
    CHECK_FAILS(wanted, word, mcl_dataset_create_host(with, &t, out, &err));
    ck_assert_ptr_null(d);
    ck_assert_int_eq(h.destroyed, 1);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_table_of_a_newer_library_is_refused_and_destroyed_once) {
  struct {
    mcl_host_dataset t;
    void *unknown;
  } newer;
  mcl_dataset *d = NULL;
  c = test_context(1);
  memset(&newer, 0, sizeof newer);
  newer.t = table();
  newer.t.struct_size = sizeof newer;
  newer.unknown = &newer;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "mcl_host_dataset",
              mcl_dataset_create_host(c, &newer.t, &d, &err));
  ck_assert_int_eq(h.destroyed, 1);
  newer.unknown = NULL; // an unknown field of zero means "as before"
  CHECK_OK(mcl_dataset_create_host(c, &newer.t, &d, &err));
  mcl_dataset_unref(d);
  ck_assert_int_eq(h.destroyed, 2);
  newer.t.struct_size = 0;
  CHECK_FAILS(MCL_E_INVALID, "struct_size", mcl_dataset_create_host(c, &newer.t, &d, &err));
  ck_assert_int_eq(h.destroyed, 2); // nothing could be read
  CHECK_FAILS(MCL_E_INVALID, "mcl_host_dataset is NULL",
              mcl_dataset_create_host(c, NULL, &d, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(destroy_may_be_missing) {
  mcl_host_dataset t = table();
  mcl_dataset *d = NULL;
  c = test_context(1);
  t.destroy = NULL;
  CHECK_OK(mcl_dataset_create_host(c, &t, &d, &err));
  mcl_dataset_unref(d);
  t.rows = 0;
  CHECK_FAILS(MCL_E_INVALID, "rows", mcl_dataset_create_host(c, &t, &d, &err));
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("dataset", a_hosts_rows_are_loaded_by_modality, a_hosts_rows_become_float32,
          a_failed_load_passes_on_the_hosts_error_and_writes_nothing,
          a_nan_or_an_infinity_is_named_by_the_datasets_row,
          a_load_inside_a_load_is_busy_not_a_crash, without_callbacks_rows_are_only_counted,
          a_bad_table_is_refused_and_destroyed_once,
          a_table_of_a_newer_library_is_refused_and_destroyed_once, destroy_may_be_missing)
