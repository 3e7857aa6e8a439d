// Checkpoints, .npy files, and what is kept in them, made to cost as much as they can.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmcl/checkpoint.h>
#include <libmcl/clusterer.h>
#include <libmcl/encoder.h>
#include <libmcl/rows.h>

#include "hostile/hostile.h"

// ---- calls -----------------------------------------------------------------------------------------

static mcl_status open_checkpoint(mcl_context *c, void *user, mcl_error *err) {
  mcl_checkpoint *k = NULL;
  mcl_status s = mcl_checkpoint_open(c, user, &k, err);
  mcl_checkpoint_unref(k);
  return s;
}

// Its one tensor, into memory of the caller's.
static mcl_status read_tensor(mcl_context *c, void *user, mcl_error *err) {
  mcl_checkpoint *k = NULL;
  mcl_array a;
  mcl_status s = mcl_checkpoint_open(c, user, &k, err);
  if (s == MCL_OK) s = mcl_checkpoint_shape(k, "a", &a, err);
  if (s == MCL_OK) {
    a.data = malloc((size_t)a.shape[0] * sizeof(float));
    s = mcl_checkpoint_read(k, "a", &a, err);
    free(a.data);
  }
  mcl_checkpoint_unref(k);
  return s;
}

static mcl_status open_npy(mcl_context *c, void *user, mcl_error *err) {
  mcl_npy *f = NULL;
  mcl_status s = mcl_npy_open(c, user, &f, err);
  mcl_npy_unref(f);
  return s;
}

static mcl_status load_clusterer(mcl_context *c, void *user, mcl_error *err) {
  mcl_clusterer *k = NULL;
  mcl_status s = mcl_clusterer_load(c, user, NULL, &k, err);
  mcl_clusterer_unref(k);
  return s;
}

// ---- checkpoints -----------------------------------------------------------------------------------

// The header's length, the header, and so many bytes of numbers.
static blob checkpoint_of(const blob *header, size_t numbers) {
  blob b = {0};
  blob_little(&b, header->n, 8);
  blob_add(&b, header->data, header->n);
  blob_fill(&b, 0, numbers);
  return b;
}

static void try_header(hostile_case h, blob *header, size_t numbers) {
  blob b = checkpoint_of(header, numbers);
  blob_free(header);
  run_hostile_file(h, "x.safetensors", &b, open_checkpoint);
}

enum { MOST_HEADER = 1000000 / SHRINK };

START_TEST(a_header_full_of_tensors_is_read_within_the_bound) {
  for (int twice = 0; twice < 2; twice++) {
    blob h = {0};
    for (int i = 0; h.n < MOST_HEADER; i++)
      blob_text(&h, "%s\"%d\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
                i ? "," : "{", twice ? i / 2 : i * 7919 % 1000003);
    blob_text(&h, "}");
    try_header((hostile_case){.name = twice ? "safetensors: names that stand there twice"
                                            : "safetensors: 18,000 empty tensors",
                              .accepted = !twice,
                              .why = "stands there twice"},
               &h, 0);
    for (int i = 0; h.n < MOST_HEADER; i++)
      blob_text(&h, "%s\"%d\":\"\"", i ? "," : "{\"__metadata__\":{", twice ? 1 : i);
    blob_text(&h, "}}");
    try_header((hostile_case){.name = twice ? "safetensors: one key 100,000 times"
                                            : "safetensors: 90,000 texts",
                              .accepted = !twice,
                              .why = "stands there twice"},
               &h, 0);
  }
}
END_TEST

// The reason stands behind a name: a long one is cut.
START_TEST(a_name_of_a_megabyte_leaves_room_for_the_reason) {
  static const char *const fields[] = {
      "\"dtype\":\"F32\",\"shape\":[9],\"data_offsets\":[0,0]",
      "\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,99]",
      "\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,99999999999999999999]",
      "\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]",
      "\"dtype\":\"?\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"};
  static const char *const why[] = {"does not fit its bytes", "outside the file", "too large",
                                    "shape that is too large", "shape that is too large"};
  for (int i = 0; i < 5; i++) {
    blob h = {0};
    blob_text(&h, "{\"");
    blob_fill(&h, 'n', MOST_HEADER - 200);
    blob_text(&h, "\":{%s}}", fields[i]);
    try_header((hostile_case){.name = "safetensors: a name of a megabyte", .why = why[i]}, &h, 0);
  }
  blob h = {0};
  for (int i = 0; i < 2; i++) {
    blob_text(&h, i ? "\":{%s},\"" : "{\"",
              "\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]");
    blob_fill(&h, 'n', MOST_HEADER / 2 - 200);
  }
  blob_text(&h, "\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
  try_header((hostile_case){.name = "safetensors: two names of half a megabyte",
                            .why = "stands there twice"},
             &h, 0);
}
END_TEST

START_TEST(headers_that_lie_or_nest_are_refused_within_the_bound) {
  static const struct {
    const char *begin, *more, *why;
  } kinds[] = {{"", "[", "an object was expected"},
               {"{\"a\":", "[", "an object was expected"},
               {"{\"a\":{\"dtype\":", "[", "a string was expected"},
               {"{\"a\":{\"shape\":[", "1,", "more than 32 dimensions"},
               {"{\"a\":{\"shape\":[", "9", "too large"},
               {"{\"__metadata__\":{\"a\":", "{", "a string was expected"},
               {"{\"", "\\u0061", "has no end"},
               {"", " ", "an object was expected"}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    char name[80];
    blob h = {0};
    blob_text(&h, "%s", kinds[i].begin);
    while (h.n < MOST_HEADER) blob_add(&h, kinds[i].more, strlen(kinds[i].more));
    snprintf(name, sizeof name, "safetensors: case %zu, %s", i, kinds[i].why);
    try_header((hostile_case){.name = name, .why = kinds[i].why}, &h, 0);
  }
  for (int i = 0; i < 2; i++) {
    blob b = {0};
    blob_fill(&b, i ? 0xFF : 0, 8);
    if (!i) b.data[3] = 3; // 48 MB
    blob_fill(&b, ' ', MOST_BYTES - 8);
    run_hostile_file((hostile_case){.name = i ? "safetensors: a header of 2^64 bytes"
                                              : "safetensors: one of 48 MB",
                                    .why = i || SANITIZED ? "no safetensors file" : "the limit"},
                     "x.safetensors", &b, open_checkpoint);
  }
}
END_TEST

START_TEST(a_tensor_of_all_the_file_costs_its_bytes) {
  size_t numbers = MOST_BYTES - MB;
  blob h = {0};
  blob_text(&h, "{\"a\":{\"dtype\":\"F32\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", numbers / 4,
            numbers);
  blob b = checkpoint_of(&h, numbers);
  blob_free(&h);
  run_hostile_file((hostile_case){.name = "safetensors: a tensor of 63 MB, read", .accepted = 1},
                   "x.safetensors", &b, read_tensor);
}
END_TEST

// ---- .npy ------------------------------------------------------------------------------------------

static void try_npy(const char *name, int version, const char *begin, const char *more, size_t most,
                    const char *end, const char *why) {
  blob header = {0}, b = {0};
  blob_text(&header, "%s", begin);
  while (*more && header.n + strlen(more) + strlen(end) <= most)
    blob_add(&header, more, strlen(more));
  blob_text(&header, "%s", end);
  blob_add(&b, "\x93NUMPY", 6);
  blob_add(&b, (uint8_t[]){(uint8_t)version, 0}, 2);
  blob_little(&b, header.n, version == 1 ? 2 : 4);
  blob_add(&b, header.data, header.n);
  blob_free(&header);
  run_hostile_file((hostile_case){.name = name, .why = why}, "x.npy", &b, open_npy);
}

START_TEST(npy_headers_that_lie_are_refused_within_the_bound) {
#define BEFORE "{'descr': '<f4', 'fortran_order': False, 'shape': ("
  try_npy("npy: a header of a megabyte of spaces", 2, "{", " ", MB / SHRINK, "", "damaged header");
  try_npy("npy: one of quotes", 2, "{", "''", MB / SHRINK, "", "damaged header");
  try_npy("npy: one of braces", 2, "", "{", MB / SHRINK, "", "damaged header");
  try_npy("npy: a million dimensions", 2, BEFORE, "1,", MB / SHRINK, "), }",
          "more than 32 dimensions");
  try_npy("npy: a size of a million digits", 2, BEFORE, "9", MB / SHRINK, ",), }",
          "too large a number");
  try_npy("npy: sizes whose product is over 2^63", 1, BEFORE "4294967296, 2147483647), }", "", 0,
          "", "cut short");
  try_npy("npy: 2^62 rows of 4 numbers", 1, BEFORE "4611686018427387904, 4), }", "", 0, "",
          "cut short");
  try_npy("npy: a header over the limit", 3, BEFORE, " ", MB + 100, "1,), }", "the limit");
#undef BEFORE
  blob b = {0};
  blob_add(&b, "\x93NUMPY\2\0\xFF\xFF\xFF\xFF", 12);
  blob_fill(&b, ' ', MOST_BYTES - 12);
  run_hostile_file((hostile_case){.name = "npy: a header of 4 GB", .why = "cut short"}, "x.npy", &b,
                   open_npy);
}
END_TEST

// ---- what is kept in checkpoints -------------------------------------------------------------------

// Texts that ask for clusters and dimensions far beyond the file.
START_TEST(what_a_clusterers_file_asks_for_is_bounded_by_its_bytes) {
  static const char *const texts[] = {
      "\"format\":\"libmcl.kmeans\",\"algorithm\":\"2\",\"counted\":\"1\",\"seed\":\"1\",",
      "\"k\":\"2147483647\",\"method\":\"1\",\"metric\":\"2\",\"init\":\"1\",\"empty\":\"1\",",
      "\"restarts\":\"1\",\"max_iterations\":\"1\",\"minibatch_rows\":\"1024\",\"max_train_rows\":"
      "\"0\",",
      "\"rows\":\"9\",\"distinct\":\"9\",\"repairs\":\"0\",\"zero_rows\":\"0\",\"iterations\":"
      "\"1\",",
      "\"converged\":\"1\""};
  static const char *const shapes[] = {"0,2147483647", "2147483647,0", "1,4"};
  for (int i = 0; i < 3; i++) {
    blob h = {0};
    blob_text(&h, "{\"__metadata__\":{");
    for (int k = 0; k < 5; k++) blob_text(&h, "%s", texts[k]);
    blob_text(&h, "},");
    for (int k = 0; k < 3; k++)
      blob_text(&h, "\"%s\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[%d,%d]},",
                k == 0   ? "tolerance"
                : k == 1 ? "inertia"
                         : "mean_cosine",
                8 * k, 8 * k + 8);
    blob_text(&h, "\"centroids\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[24,%d]},",
              shapes[i], i < 2 ? 24 : 40);
    blob_text(&h, "\"sizes\":{\"dtype\":\"I64\",\"shape\":[%d],\"data_offsets\":[%d,%d]}}", i == 2,
              i < 2 ? 24 : 40, i < 2 ? 24 : 48);
    blob b = checkpoint_of(&h, i < 2 ? 24 : 48);
    blob_free(&h);
    run_hostile_file(
        (hostile_case){.name = "clusterer: 2^31 - 1 clusters, [0, n], [n, 0] or [1, 4]"},
        "x.kmeans", &b, load_clusterer);
  }
}
END_TEST

static mcl_status load_encoder(mcl_context *c, void *user, mcl_error *err) {
  mcl_encoder *e = NULL;
  mcl_mlp_options o;
  mcl_mlp_options_init(&o, sizeof o);
  o.inputs = 8;
  o.dim = 4;
  mcl_status s = mcl_encoder_create_mlp(c, &o, &e, err);
  if (s == MCL_OK) s = mcl_encoder_load(e, user, err);
  mcl_encoder_unref(e);
  return s;
}

START_TEST(what_an_encoders_file_asks_for_is_not_made) {
  blob h = {0};
  blob_text(&h, "{\"__metadata__\":{\"libmcl.encoder\":\"1\",\"libmcl.network\":\"mlp 2147483647, "
                "2147483647\","
                "\"libmcl.optimiser\":\"adam\",\"libmcl.steps\":\"9223372036854775807\"}");
  for (int i = 0; h.n < MOST_HEADER - 200; i++)
    blob_text(
        &h,
        ",\"dense%d.kernel\":{\"dtype\":\"F32\",\"shape\":[0,2147483647],\"data_offsets\":[0,0]}",
        i);
  blob_text(&h, "}");
  blob b = checkpoint_of(&h, 0);
  blob_free(&h);
  run_hostile_file((hostile_case){.name = "encoder: 13,000 layers of 2^31 - 1 numbers a row"},
                   "x.encoder", &b, load_encoder);
}
END_TEST

RUN_TESTS("hostile_store", a_header_full_of_tensors_is_read_within_the_bound,
          a_name_of_a_megabyte_leaves_room_for_the_reason,
          headers_that_lie_or_nest_are_refused_within_the_bound,
          a_tensor_of_all_the_file_costs_its_bytes,
          npy_headers_that_lie_are_refused_within_the_bound,
          what_a_clusterers_file_asks_for_is_bounded_by_its_bytes,
          what_an_encoders_file_asks_for_is_not_made)
