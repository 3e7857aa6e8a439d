// Checkpoints: round trips, files made from the format's description alone, damage, and failures to
// write.
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <libmcl/checkpoint.h>

#include "store/store_test.h"

static mcl_error err;

static const char *golden(const char *name) {
  char relative[64];
  snprintf(relative, sizeof relative, "golden/store/%s", name);
  return test_path(relative);
}

// ---- reading ------------------------------------------------------------------------------------

static void check_shape(const mcl_checkpoint *k, const char *name, int32_t dtype, int32_t ndim,
                        int64_t a, int64_t b, int64_t c, int64_t d) {
  mcl_array found, wanted = view(NULL, dtype, ndim, a, b, c, d);
  CHECK_OK(mcl_checkpoint_shape(k, name, &found, &err));
  ck_assert_mem_eq(&found, &wanted, sizeof wanted);
}

static void check_golden(const char *file) {
  mcl_context *c = test_context(1);
  mcl_checkpoint *k = NULL;
  CHECK_OK(mcl_checkpoint_open(c, golden(file), &k, &err));
  check_shape(k, "f64", MCL_F64, 2, 1, 3, 1, 1);
  check_shape(k, "i64", MCL_I64, 1, 2, 1, 1, 1);
  check_shape(k, "f32", MCL_F32, 2, 4, 3, 1, 1);
  check_shape(k, "i32", MCL_I32, 4, 1, 2, 1, 1);
  check_shape(k, "scalar", MCL_F32, 1, 1, 1, 1, 1);
  check_shape(k, "f16", MCL_F16, 1, 4, 1, 1, 1);
  check_shape(k, "bf16", MCL_BF16, 1, 2, 1, 1, 1);
  check_shape(k, "u8", MCL_U8, 1, 3, 1, 1, 1);
  check_shape(k, "empty", MCL_F32, 2, 0, 5, 1, 1);
  float x[RAMP];
  double d[RAMP];
  int64_t l[2];
  int32_t i[2];
  uint8_t u[3];
  mcl_array a = matrix(x, MCL_F32, 4, 3);
  CHECK_OK(mcl_checkpoint_read(k, "f32", &a, &err));
  for (int at = 0; at < RAMP; at++) ck_assert(x[at] == ramp(at));
  a = matrix(d, MCL_F64, 1, 3);
  CHECK_OK(mcl_checkpoint_read(k, "f64", &a, &err));
  ck_assert(d[0] == 1.5 && d[1] == -2.25 && d[2] == 1e300);
  a = matrix(x, MCL_F32, 1, 3);
  CHECK_OK(mcl_checkpoint_read(k, "f64", &a, &err));
  ck_assert(x[0] == 1.5f && x[1] == -2.25f && isinf(x[2]));
  a = view(l, MCL_I64, 1, 2, 1, 1, 1);
  CHECK_OK(mcl_checkpoint_read(k, "i64", &a, &err));
  ck_assert(l[0] == INT64_MIN && l[1] == INT64_MAX);
  a = view(i, MCL_I32, 4, 1, 2, 1, 1);
  CHECK_OK(mcl_checkpoint_read(k, "i32", &a, &err));
  ck_assert(i[0] == INT32_MIN && i[1] == 7);
  a = view(x, MCL_F32, 1, 1, 1, 1, 1);
  CHECK_OK(mcl_checkpoint_read(k, "scalar", &a, &err));
  ck_assert(x[0] == 0.75f);
  a = view(x, MCL_F32, 1, 4, 1, 1, 1);
  CHECK_OK(mcl_checkpoint_read(k, "f16", &a, &err));
  ck_assert(x[0] == 1 && x[1] == 65504 && x[2] == 0x1p-24f && x[3] == -0.5f);
  a = view(d, MCL_F64, 1, 2, 1, 1, 1);
  CHECK_OK(mcl_checkpoint_read(k, "bf16", &a, &err));
  ck_assert(d[0] == 1 && d[1] == -3);
  a = view(u, MCL_U8, 1, 3, 1, 1, 1);
  CHECK_OK(mcl_checkpoint_read(k, "u8", &a, &err));
  ck_assert(u[0] == 0 && u[1] == 1 && u[2] == 255);
  a = matrix(NULL, MCL_F32, 0, 5);
  CHECK_OK(mcl_checkpoint_read(k, "empty", &a, &err));
  char text[64];
  size_t wanted = 0;
  CHECK_OK(mcl_checkpoint_meta(k, "note", text, sizeof text, &wanted, &err));
  ck_assert_str_eq(text, "tab\there, \"quotes\", \xC3\xA4 and \xF0\x9F\x98\x80");
  ck_assert_uint_eq(wanted, strlen(text) + 1);
  mcl_checkpoint_unref(k);
  mcl_context_unref(c);
}

START_TEST(files_of_others_are_read) {
  check_golden("all.safetensors");
  check_golden("all_utf8.safetensors");
}
END_TEST

START_TEST(types_that_are_not_ours_are_refused_only_when_asked_for) {
  mcl_context *c = test_context(1);
  mcl_checkpoint *k = NULL;
  mcl_array a;
  float x[2];
  CHECK_OK(mcl_checkpoint_open(c, golden("all.safetensors"), &k, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "F8_E4M3", mcl_checkpoint_shape(k, "f8", &a, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "5 dimensions", mcl_checkpoint_shape(k, "five", &a, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "BOOL",
              mcl_checkpoint_shape(k, "n\xC3\xA4me \"quoted\" \xF0\x9F\x98\x80", &a, &err));
  a = view(x, MCL_F32, 1, 2, 1, 1, 1);
  CHECK_FAILS(MCL_E_UNSUPPORTED, "five", mcl_checkpoint_read(k, "five", &a, &err));
  mcl_checkpoint_unref(k);
  mcl_context_unref(c);
}
END_TEST

START_TEST(what_is_not_there_or_does_not_fit_is_named) {
  mcl_context *c = test_context(1);
  mcl_checkpoint *k = NULL;
  float x[RAMP] = {7};
  int32_t i[2] = {7, 7};
  int64_t l[2] = {7, 7};
  char text[8] = "old";
  size_t wanted = 0;
  CHECK_OK(mcl_checkpoint_open(c, golden("all.safetensors"), &k, &err));
  mcl_array a = matrix(x, MCL_F32, 3, 4), flat = view(x, MCL_F32, 1, 12, 1, 1, 1),
            narrow = view(i, MCL_I32, 1, 2, 1, 1, 1), wide = view(l, MCL_I64, 4, 1, 2, 1, 1),
            real = view(x, MCL_F32, 1, 2, 1, 1, 1), fixed = matrix(x, MCL_F32, 4, 3);
  fixed.flags = MCL_ARRAY_READONLY;
  CHECK_FAILS(MCL_E_NOT_FOUND, "F32", mcl_checkpoint_read(k, "F32", &a, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "__metadata__", mcl_checkpoint_shape(k, "__metadata__", &a, &err));
  CHECK_FAILS(MCL_E_SHAPE, "f32 is [4, 3], out is [3, 4]", mcl_checkpoint_read(k, "f32", &a, &err));
  CHECK_FAILS(MCL_E_SHAPE, "out is [12]", mcl_checkpoint_read(k, "f32", &flat, &err));
  CHECK_FAILS(MCL_E_DTYPE, "i64 is I64, out is I32", mcl_checkpoint_read(k, "i64", &narrow, &err));
  CHECK_FAILS(MCL_E_DTYPE, "i32 is I32, out is I64", mcl_checkpoint_read(k, "i32", &wide, &err));
  CHECK_FAILS(MCL_E_DTYPE, "i64", mcl_checkpoint_read(k, "i64", &real, &err));
  CHECK_FAILS(MCL_E_INVALID, "read-only", mcl_checkpoint_read(k, "f32", &fixed, &err));
  mcl_array column = matrix(x, MCL_F32, 4, 1);
  CHECK_FAILS(MCL_E_SHAPE, "f16 is [4], out is [4, 1]",
              mcl_checkpoint_read(k, "f16", &column, &err));
  ck_assert(x[0] == 7 && i[0] == 7 && l[0] == 7);
  CHECK_FAILS(MCL_E_NOT_FOUND, "author", mcl_checkpoint_meta(k, "author", text, 8, &wanted, &err));
  CHECK_FAILS(MCL_E_LIMIT, "capacity", mcl_checkpoint_meta(k, "note", text, 8, &wanted, &err));
  ck_assert_str_eq(text, "old");
  ck_assert_uint_eq(wanted, 32);
  mcl_checkpoint_unref(k);
  CHECK_FAILS(MCL_E_NOT_FOUND, "missing", mcl_checkpoint_open(c, golden("missing"), &k, &err));
  CHECK_FAILS(MCL_E_IO, "regular", mcl_checkpoint_open(c, test_path("golden"), &k, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(arguments_that_are_null_are_named) {
  mcl_context *c = test_context(1);
  mcl_checkpoint *k = NULL, *other = NULL;
  mcl_checkpoint_writer *w = NULL;
  mcl_array a;
  CHECK_OK(mcl_checkpoint_open(c, golden("all.safetensors"), &k, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_checkpoint_open(NULL, "x", &other, &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_checkpoint_open(c, NULL, &other, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_checkpoint_open(c, "x", NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "checkpoint", mcl_checkpoint_shape(NULL, "f32", &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "name", mcl_checkpoint_shape(k, NULL, &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_checkpoint_shape(k, "f32", NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "checkpoint", mcl_checkpoint_read(NULL, "f32", &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "name", mcl_checkpoint_read(k, NULL, &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_checkpoint_read(k, "f32", NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "checkpoint", mcl_checkpoint_meta(NULL, "x", NULL, 0, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "key", mcl_checkpoint_meta(k, NULL, NULL, 0, NULL, &err));
  CHECK_FAILS(MCL_E_LIMIT, "capacity", mcl_checkpoint_meta(k, "format", NULL, 0, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_checkpoint_writer_create(NULL, "x", &w, &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_checkpoint_writer_create(c, NULL, &w, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_checkpoint_writer_create(c, "x", NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "writer", mcl_checkpoint_writer_add(NULL, "x", &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "writer", mcl_checkpoint_writer_meta(NULL, "x", "y", &err));
  CHECK_FAILS(MCL_E_INVALID, "writer", mcl_checkpoint_writer_commit(NULL, &err));
  ck_assert_ptr_null(mcl_checkpoint_ref(NULL));
  ck_assert_ptr_null(mcl_checkpoint_writer_ref(NULL));
  mcl_checkpoint_writer_unref(NULL);
  mcl_checkpoint_unref(NULL);
  mcl_checkpoint_unref(mcl_checkpoint_ref(k));
  mcl_checkpoint_unref(k);
  mcl_context_unref(c);
}
END_TEST

// ---- damage -------------------------------------------------------------------------------------

static size_t make_file(const char *header, size_t numbers, unsigned char *bytes) {
  size_t n = strlen(header);
  memset(bytes, 0, 8 + n + numbers);
  bytes[0] = (unsigned char)n;
  bytes[1] = (unsigned char)(n >> 8);
  memcpy(bytes + 8, header, n);
  return 8 + n + numbers;
}

static mcl_status open_made(mcl_context *c, const char *path, const char *header, size_t numbers,
                            mcl_checkpoint **k) {
  unsigned char bytes[4096];
  write_file(path, bytes, make_file(header, numbers, bytes));
  return mcl_checkpoint_open(c, path, k, &err);
}

#define T(name, dtype, shape, begin, end)                                                          \
  "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end \
  "]}"

START_TEST(headers_that_are_well_formed_are_taken) {
  const struct {
    const char *header;
    size_t numbers;
  } good[] = {
      {"{}", 0},
      {"{}   \n", 0},
      {"{\"__metadata__\":{}}", 0},
      {"{" T("a", "F32", "2", 0, 8) "}", 8},
      {"{" T("a", "F32", "2", 8, 16) "," T("b", "I64", "1", 0, 8) "}", 16},
      {"{" T("a", "F32", "0,7", 8, 8) "," T("b", "I64", "1", 0, 8) "," T("c", "U8", "0", 0, 0) "}",
       8},
      {"{" T("a", "F32", "", 0, 4) ",\"__metadata__\":{\"k\":\"\"}}", 4},
      {"{" T("a", "NEW", "9223372036854775807", 0, 4) "}", 4},
      {"{\"a\":{\"data_offsets\":[0,4],\"shape\":[1],\"dtype\":\"F32\"}}", 4}};
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("checkpoint-good"), "x.safetensors");
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    mcl_checkpoint *k = NULL;
    CHECK_OK(open_made(c, path, good[i].header, good[i].numbers, &k));
    mcl_checkpoint_unref(k);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(damaged_headers_name_the_file_and_the_tensor) {
  const struct {
    const char *header, *word;
    size_t numbers;
  } bad[] = {
      {"", "an object", 0},
      {"[]", "an object", 0},
      {"{} x", "follows", 0},
      {"{", "a string", 0},
      {"{\"a\":1}", "tensor a", 0},
      {"{\"a\":{}}", "lacks", 0},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "lacks", 0},
      {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
       "twice", 4},
      {"{\"a\":{\"dtype\":\"F32\",\"x\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", "unknown field",
       4},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", "two numbers", 4},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}", "two numbers", 4},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "tensor a", 4},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", "tensor a", 4},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", "an array", 4},
      {"{" T("a", "F32", "1", 4, 0) "}", "tensor a lies outside", 4},
      {"{" T("a", "F32", "1", 0, 4) "}", "tensor a lies outside", 3},
      {"{" T("a", "F32", "1", 0, 4) "}", "end at byte 4 of 5", 5},
      {"{" T("a", "F32", "1", 9223372036854775807, 9223372036854775807) "}", "outside", 4},
      {"{" T("a", "F32", "1", 0, 4) "," T("b", "F32", "1", 0, 4) "}", "overlaps", 4},
      {"{" T("a", "F32", "2", 0, 8) "," T("b", "F32", "1", 4, 8) "}", "tensor b overlaps", 8},
      {"{" T("a", "F32", "1", 0, 4) "," T("b", "F32", "1", 8, 12) "}", "tensor b leaves a gap", 12},
      {"{" T("a", "F32", "1", 4, 8) "}", "tensor a leaves a gap", 8},
      {"{" T("a", "F32", "2", 0, 4) "}", "tensor a has a shape", 4},
      {"{" T("a", "F32", "1", 0, 8) "}", "tensor a has a shape", 8},
      {"{" T("a", "F32", "", 0, 0) "}", "tensor a has a shape", 0},
      {"{" T("a", "F32", "4611686018427387904", 0, 0) "}", "tensor a has a shape", 0},
      {"{" T("a", "F32", "9223372036854775807,9223372036854775807", 0, 4) "}", "too large", 4},
      {"{" T("a", "NEW", "4294967296,4294967296,0", 0, 0) "}", "too large", 0},
      {"{" T("a", "F32", "9223372036854775808", 0, 4) "}", "too large", 4},
      {"{" T("a", "F32", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", 0,
             4) "}",
       "32", 4},
      {"{" T("a", "F32", "1", 0, 4) "," T("a", "F32", "1", 4, 8) "}", "tensor a stands there twice",
       8},
      {"{" T("\\u0061", "F32", "1", 0, 4) "," T("a", "F32", "1", 4, 8) "}",
       "tensor a stands there twice", 8},
      {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", "key k", 0},
      {"{\"__metadata__\":{\"k\":1}}", "a string", 0},
      {"{\"__metadata__\":{},\"__metadata__\":{}}", "twice", 0},
      {"{" T("a\xFF", "F32", "1", 0, 4) "}", "UTF-8", 4},
      {"{" T("a", "F\xC3", "1", 0, 4) "}", "UTF-8", 4},
      {"{\"__metadata__\":{\"k\":\"\xED\xA0\x80\"}}", "UTF-8", 0},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[[[[1]]]],\"data_offsets\":[0,4]}}", "tensor a", 4}};
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("checkpoint-bad"), "x.safetensors");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    mcl_checkpoint *k = NULL;
    CHECK_FAILS(MCL_E_FORMAT, bad[i].word, open_made(c, path, bad[i].header, bad[i].numbers, &k));
    ck_assert_msg(strstr(err.message, "x.safetensors") != NULL, "%s", err.message);
    ck_assert_ptr_null(k);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_file_cut_short_anywhere_is_refused) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("checkpoint-cut"), "x.safetensors");
  size_t n;
  unsigned char *bytes = read_file(golden("all.safetensors"), &n);
  for (size_t cut = 0; cut < n; cut++) {
    mcl_checkpoint *k = NULL;
    write_file(path, bytes, cut);
    CHECK_FAILS(MCL_E_FORMAT, "x.safetensors", mcl_checkpoint_open(c, path, &k, &err));
  }
  free(bytes);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_file_cut_short_while_it_is_open_is_an_error_and_writes_nothing) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("checkpoint-cut-open"), "x.safetensors");
  mcl_checkpoint *k = NULL;
  float x[4] = {7, 7, 7, 7};
  mcl_array a = view(x, MCL_F32, 1, 4, 1, 1, 1);
  CHECK_OK(open_made(c, path, "{" T("a", "F32", "4", 0, 16) "}", 16, &k));
  ck_assert_int_eq(truncate(path, 72), 0);
  CHECK_FAILS(MCL_E_IO, "x.safetensors", mcl_checkpoint_read(k, "a", &a, &err));
  for (int i = 0; i < 4; i++) ck_assert(x[i] == 7);
  mcl_checkpoint_unref(k);
  mcl_context_unref(c);
}
END_TEST

START_TEST(lengths_that_lie_are_refused_before_anything_is_allocated) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("checkpoint-length"), "x.safetensors");
  mcl_checkpoint *k = NULL;
  unsigned char bytes[16] = "\x10\0\0\0\0\0\0\0{}";
  for (int at = 0; at < 8; at++) {
    unsigned char lie[16];
    memcpy(lie, bytes, sizeof lie);
    lie[at] = 0xFF;
    write_file(path, lie, sizeof lie);
    CHECK_FAILS(MCL_E_FORMAT, "cut short", mcl_checkpoint_open(c, path, &k, &err));
  }
  bytes[2] = 0x11; // a little over 1 MB, and a file that has it
  bytes[0] = 0;
  write_file(path, bytes, sizeof bytes);
  ck_assert_int_eq(truncate(path, 2 << 20), 0);
  CHECK_FAILS(MCL_E_LIMIT, "1048576", mcl_checkpoint_open(c, path, &k, &err));
  mcl_context_unref(c);
}
END_TEST

static void read_everything(const mcl_checkpoint *k) {
  const char *names[] = {"f64",  "i64", "f32",   "i32", "scalar", "f16",
                         "bf16", "u8",  "empty", "f8",  "five"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    mcl_array a;
    if (mcl_checkpoint_shape(k, names[i], &a, &err) != MCL_OK) continue;
    int64_t n = a.shape[0] * mcli_array_row_size(&a);
    ck_assert(n >= 0 && n <= 4096);
    a.data = malloc((size_t)n * 8 + 1);
    CHECK_OK(mcl_checkpoint_read(k, names[i], &a, &err));
    free(a.data);
  }
}

START_TEST(damaged_files_never_do_harm) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("checkpoint-damage"), "x.safetensors");
  const char *files[] = {"all.safetensors", "all_utf8.safetensors"};
  mcli_rng r = mcli_rng_make(3, MCLI_RNG_DATA, 0, 0);
  int taken = 0;
  for (int trial = 0; trial < 4000; trial++) {
    size_t n;
    unsigned char *bytes = read_file(golden(files[trial % 2]), &n);
    for (uint64_t times = mcli_rng_below(&r, 4); times < 4; times++) {
      uint64_t at = mcli_rng_below(&r, n), from = mcli_rng_below(&r, n),
               size = mcli_rng_below(&r, 12);
      if (mcli_rng_below(&r, 4) == 0 && at + size < n && from + size < n)
        memmove(bytes + at, bytes + from, size);
      else
        bytes[at] = mcli_rng_below(&r, 2)
                        ? (unsigned char)mcli_rng_u32(&r)
                        : (unsigned char)"0123,:[]{}\"\\u "[mcli_rng_below(&r, 14)];
    }
    write_file(path, bytes, n);
    free(bytes);
    mcl_checkpoint *k = NULL;
    mcl_status s = mcl_checkpoint_open(c, path, &k, &err);
    ck_assert(s == MCL_OK || s == MCL_E_FORMAT || s == MCL_E_LIMIT);
    if (s != MCL_OK) continue;
    taken++;
    read_everything(k);
    mcl_checkpoint_unref(k);
  }
  ck_assert(taken > 0 && taken < 4000);
  mcl_context_unref(c);
}
END_TEST

// ---- writing ------------------------------------------------------------------------------------

typedef struct numbers {
  float f32[RAMP];
  double f64[RAMP];
  uint16_t f16[RAMP], bf16[RAMP];
  uint8_t u8[3];
  int32_t i32[RAMP];
  int64_t i64[RAMP];
} numbers;

static void fill(numbers *x) {
  mcl_array f16 = matrix(x->f16, MCL_F16, 4, 3), bf16 = matrix(x->bf16, MCL_BF16, 4, 3);
  for (int i = 0; i < RAMP; i++) {
    x->f32[i] = ramp(i);
    x->f64[i] = ramp(i);
    x->i64[i] = x->i32[i] = i - 6;
  }
  for (int i = 0; i < 3; i++) x->u8[i] = (uint8_t)i;
  mcli_array_store(&f16, 0, 4, x->f32);
  mcli_array_store(&bf16, 0, 4, x->f32);
}

static mcl_status add_all(mcl_checkpoint_writer *w, numbers *x, mcl_error *e) {
  mcl_array transposed = matrix(x->f32, MCL_F32, 3, 4);
  transposed.strides[0] = 1;
  transposed.strides[1] = 3;
  const struct {
    const char *name;
    mcl_array a;
  } tensors[] = {{"u8", view(x->u8, MCL_U8, 1, 3, 1, 1, 1)},
                 {"f32", matrix(x->f32, MCL_F32, 4, 3)},
                 {"f16", matrix(x->f16, MCL_F16, 4, 3)},
                 {"bf16", matrix(x->bf16, MCL_BF16, 4, 3)},
                 {"i32", matrix(x->i32, MCL_I32, 4, 3)},
                 {"i64", view(x->i64, MCL_I64, 4, 2, 2, 1, 3)},
                 {"f64", matrix(x->f64, MCL_F64, 4, 3)},
                 {"transposed", transposed},
                 {"n\xC3\xA4me \"x\"", matrix(NULL, MCL_F32, 0, 2)}};
  mcl_status s = MCL_OK;
  for (size_t i = 0; i < sizeof tensors / sizeof *tensors && s == MCL_OK; i++)
    s = mcl_checkpoint_writer_add(w, tensors[i].name, &tensors[i].a, e);
  if (s == MCL_OK) s = mcl_checkpoint_writer_meta(w, "format", "pt", e);
  if (s == MCL_OK)
    s = mcl_checkpoint_writer_meta(w, "odd \"key\" \xC3\xA4",
                                   "tab\t line\n quote\" back\\ bell\a \xF0\x9F\x98\x80", e);
  return s;
}

static mcl_status write_all(mcl_context *c, const char *path, mcl_error *e) {
  numbers x;
  mcl_checkpoint_writer *w = NULL;
  fill(&x);
  mcl_status s = mcl_checkpoint_writer_create(c, path, &w, e);
  if (s == MCL_OK) s = add_all(w, &x, e);
  memset(&x, 0xEE, sizeof x); // what was added has been copied
  if (s == MCL_OK) s = mcl_checkpoint_writer_commit(w, e);
  mcl_checkpoint_writer_unref(w);
  return s;
}

static void check_tensor(const mcl_checkpoint *k, const char *name, const mcl_array *wanted) {
  unsigned char got[RAMP * 8];
  mcl_array a = *wanted;
  memset(got, 0x77, sizeof got);
  a.data = got;
  CHECK_OK(mcl_checkpoint_read(k, name, &a, &err));
  int64_t n = a.shape[0] * mcli_array_row_size(&a) * mcli_dtype_size(a.dtype);
  ck_assert_msg(memcmp(got, wanted->data, (size_t)n) == 0, "%s", name);
}

START_TEST(what_is_written_is_read_back_and_python_reads_it) {
  mcl_context *c = test_context(1);
  const char *directory = test_directory("checkpoint-write"),
             *path = in(directory, "ours.safetensors");
  numbers x;
  fill(&x);
  CHECK_OK(write_all(c, path, &err));
  mcl_checkpoint *k = NULL;
  CHECK_OK(mcl_checkpoint_open(c, path, &k, &err));
  mcl_array a = view(x.u8, MCL_U8, 1, 3, 1, 1, 1);
  check_tensor(k, "u8", &a);
  a = matrix(x.f32, MCL_F32, 4, 3);
  check_tensor(k, "f32", &a);
  a = matrix(x.f16, MCL_F16, 4, 3);
  check_tensor(k, "f16", &a);
  a = matrix(x.bf16, MCL_BF16, 4, 3);
  check_tensor(k, "bf16", &a);
  a = matrix(x.i32, MCL_I32, 4, 3);
  check_tensor(k, "i32", &a);
  a = view(x.i64, MCL_I64, 4, 2, 2, 1, 3);
  check_tensor(k, "i64", &a);
  a = matrix(x.f64, MCL_F64, 4, 3);
  check_tensor(k, "f64", &a);
  check_shape(k, "n\xC3\xA4me \"x\"", MCL_F32, 2, 0, 2, 1, 1);
  // Back through a transposed view: the numbers as they were.
  float back[RAMP];
  a = matrix(back, MCL_F32, 3, 4);
  CHECK_OK(mcl_checkpoint_read(k, "transposed", &a, &err));
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 4; j++) ck_assert(back[i * 4 + j] == ramp(j * 3 + i));
  char text[64];
  CHECK_OK(mcl_checkpoint_meta(k, "odd \"key\" \xC3\xA4", text, sizeof text, NULL, &err));
  ck_assert_str_eq(text, "tab\t line\n quote\" back\\ bell\a \xF0\x9F\x98\x80");
  check_with_python("checkpoint", directory);
  mcl_checkpoint_unref(k);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_strided_output_is_filled_and_nothing_between) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("checkpoint-stride"), "x.safetensors");
  mcl_checkpoint *k = NULL;
  CHECK_OK(write_all(c, path, &err));
  CHECK_OK(mcl_checkpoint_open(c, path, &k, &err));
  double x[100];
  for (int i = 0; i < 100; i++) x[i] = 99;
  mcl_array a = matrix(x, MCL_F64, 4, 3);
  a.strides[0] = 20;
  a.strides[1] = 4;
  CHECK_OK(mcl_checkpoint_read(k, "bf16", &a, &err));
  int written = 0;
  for (int i = 0; i < 100; i++) written += x[i] != 99;
  ck_assert_int_eq(written, RAMP);
  for (int i = 0; i < RAMP; i++) ck_assert(x[i / 3 * 20 + i % 3 * 4] == ramp(i));
  mcl_checkpoint_unref(k);
  mcl_context_unref(c);
}
END_TEST

START_TEST(many_tensors_are_found_by_name) {
  enum { N = 700 };
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("checkpoint-many"), "x.safetensors");
  mcl_checkpoint_writer *w = NULL;
  mcl_checkpoint *k = NULL;
  CHECK_OK(mcl_checkpoint_writer_create(c, path, &w, &err));
  for (int32_t i = 0; i < N; i++) {
    char name[32], text[32];
    int32_t value = i * 31 % N;
    mcl_array a = view(&value, MCL_I32, 1, 1, 1, 1, 1);
    snprintf(name, sizeof name, "layer.%d", (int)value);
    snprintf(text, sizeof text, "text %d", (int)value);
    CHECK_OK(mcl_checkpoint_writer_add(w, name, &a, &err));
    CHECK_OK(mcl_checkpoint_writer_meta(w, name, text, &err));
  }
  CHECK_OK(mcl_checkpoint_writer_commit(w, &err));
  CHECK_OK(mcl_checkpoint_open(c, path, &k, &err));
  for (int32_t i = 0; i < N; i++) {
    char name[32], wanted[32], text[32];
    int32_t value = -1;
    mcl_array a = view(&value, MCL_I32, 1, 1, 1, 1, 1);
    snprintf(name, sizeof name, "layer.%d", (int)i);
    snprintf(wanted, sizeof wanted, "text %d", (int)i);
    CHECK_OK(mcl_checkpoint_read(k, name, &a, &err));
    CHECK_OK(mcl_checkpoint_meta(k, name, text, sizeof text, NULL, &err));
    ck_assert_int_eq(value, i);
    ck_assert_str_eq(text, wanted);
  }
  mcl_checkpoint_unref(k);
  mcl_checkpoint_writer_unref(w);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_same_calls_give_the_same_bytes) {
  mcl_context *c = test_context(1);
  const char *directory = test_directory("checkpoint-same");
  const char *paths[] = {in(directory, "a"), in(directory, "b")};
  size_t n[2];
  unsigned char *bytes[2];
  for (int i = 0; i < 2; i++) {
    CHECK_OK(write_all(c, paths[i], &err));
    bytes[i] = read_file(paths[i], &n[i]);
  }
  ck_assert_uint_eq(n[0], n[1]);
  ck_assert_mem_eq(bytes[0], bytes[1], n[0]);
  free(bytes[0]);
  free(bytes[1]);
  mcl_context_unref(c);
}
END_TEST

START_TEST(names_and_texts_that_cannot_be_are_refused_and_change_nothing) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("checkpoint-names"), "x.safetensors");
  mcl_checkpoint_writer *w = NULL;
  float x[2] = {1, 2};
  mcl_array a = view(x, MCL_F32, 1, 2, 1, 1, 1), bad = a;
  bad.dtype = 77;
  CHECK_OK(mcl_checkpoint_writer_create(c, path, &w, &err));
  CHECK_OK(mcl_checkpoint_writer_add(w, "a", &a, &err));
  CHECK_OK(mcl_checkpoint_writer_meta(w, "k", "v", &err));
  CHECK_FAILS(MCL_E_INVALID, "used", mcl_checkpoint_writer_add(w, "a", &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "name", mcl_checkpoint_writer_add(w, NULL, &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "name", mcl_checkpoint_writer_add(w, "", &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "__metadata__",
              mcl_checkpoint_writer_add(w, "__metadata__", &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "UTF-8", mcl_checkpoint_writer_add(w, "\xFF", &a, &err));
  CHECK_FAILS(MCL_E_INVALID, "a is NULL", mcl_checkpoint_writer_add(w, "b", NULL, &err));
  CHECK_FAILS(MCL_E_DTYPE, "77", mcl_checkpoint_writer_add(w, "b", &bad, &err));
  CHECK_FAILS(MCL_E_INVALID, "used", mcl_checkpoint_writer_meta(w, "k", "v", &err));
  CHECK_FAILS(MCL_E_INVALID, "key", mcl_checkpoint_writer_meta(w, NULL, "v", &err));
  CHECK_FAILS(MCL_E_INVALID, "value", mcl_checkpoint_writer_meta(w, "l", NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "key", mcl_checkpoint_writer_meta(w, "\xC3", "v", &err));
  CHECK_FAILS(MCL_E_INVALID, "value", mcl_checkpoint_writer_meta(w, "l", "\xED\xA0\x80", &err));
  CHECK_OK(mcl_checkpoint_writer_commit(w, &err));
  CHECK_FAILS(MCL_E_STATE, "committed", mcl_checkpoint_writer_commit(w, &err));
  CHECK_FAILS(MCL_E_STATE, "committed", mcl_checkpoint_writer_add(w, "b", &a, &err));
  CHECK_FAILS(MCL_E_STATE, "committed", mcl_checkpoint_writer_meta(w, "l", "v", &err));
  mcl_checkpoint_writer_unref(mcl_checkpoint_writer_ref(w));
  mcl_checkpoint_writer_unref(w);
  size_t n;
  unsigned char *bytes = read_file(path, &n);
  bytes[n] = 0;
  const char *wanted = "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2],"
                       "\"data_offsets\":[0,8]}}";
  ck_assert_mem_eq(bytes + 8, wanted, strlen(wanted));
  ck_assert_uint_eq(n, 8 + (strlen(wanted) + 7) / 8 * 8 + 8);
  free(bytes);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_header_that_could_not_be_read_is_not_written) {
  mcl_context *c = test_context(1);
  const char *directory = test_directory("checkpoint-large");
  mcl_checkpoint_writer *w = NULL;
  char *text = malloc((1 << 20) + 1);
  memset(text, 'x', 1 << 20);
  text[1 << 20] = 0;
  CHECK_OK(mcl_checkpoint_writer_create(c, in(directory, "x.safetensors"), &w, &err));
  CHECK_OK(mcl_checkpoint_writer_meta(w, "k", text, &err));
  CHECK_FAILS(MCL_E_LIMIT, "1048576", mcl_checkpoint_writer_commit(w, &err));
  mcl_checkpoint_writer_unref(w);
  text[(1 << 20) - 24] = 0; // one byte too many
  CHECK_OK(mcl_checkpoint_writer_create(c, in(directory, "x.safetensors"), &w, &err));
  CHECK_OK(mcl_checkpoint_writer_meta(w, "k", text, &err));
  CHECK_FAILS(MCL_E_LIMIT, "1048584 bytes", mcl_checkpoint_writer_commit(w, &err));
  mcl_checkpoint_writer_unref(w);
  // The largest that is written is read.
  mcl_checkpoint *k = NULL;
  text[(1 << 20) - 25] = 0;
  CHECK_OK(mcl_checkpoint_writer_create(c, in(directory, "x.safetensors"), &w, &err));
  CHECK_OK(mcl_checkpoint_writer_meta(w, "k", text, &err));
  CHECK_OK(mcl_checkpoint_writer_commit(w, &err));
  CHECK_OK(mcl_checkpoint_open(c, in(directory, "x.safetensors"), &k, &err));
  mcl_checkpoint_unref(k);
  mcl_checkpoint_writer_unref(w);
  free(text);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_commit_that_failed_leaves_the_old_file_and_can_be_tried_again) {
  mcl_context *c = test_context(1);
  const char *directory = test_directory("checkpoint-retry"),
             *path = in(directory, "x.safetensors");
  mcl_checkpoint_writer *w = NULL;
  float x = 1;
  mcl_array a = view(&x, MCL_F32, 1, 1, 1, 1, 1);
  CHECK_OK(mcl_checkpoint_writer_create(c, path, &w, &err));
  CHECK_OK(mcl_checkpoint_writer_add(w, "a", &a, &err));
  CHECK_OK(mcli_directory_make(c, path, &err)); // no file can be renamed over a directory
  CHECK_FAILS(MCL_E_IO, "x.safetensors", mcl_checkpoint_writer_commit(w, &err));
  ck_assert_int_eq(count_files(directory), 1);
  ck_assert_int_eq(rmdir(path), 0);
  CHECK_OK(mcl_checkpoint_writer_commit(w, &err));
  ck_assert_int_eq(count_files(directory), 1);
  mcl_checkpoint_writer_unref(w);
  CHECK_OK(mcl_checkpoint_writer_create(c, in(directory, "no/x.safetensors"), &w, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "no/x.safetensors", mcl_checkpoint_writer_commit(w, &err));
  mcl_checkpoint_writer_unref(w);
  mcl_context_unref(c);
}
END_TEST

// A limit on the size of files fails writes as a full disk does, and needs no disk to be filled.
START_TEST(a_write_that_fails_leaves_the_old_file_and_nothing_beside_it) {
  mcl_context *c = test_context(1);
  const char *directory = test_directory("checkpoint-full"), *path = in(directory, "x.safetensors");
  struct rlimit before, small = {.rlim_cur = 100};
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
  small.rlim_max = before.rlim_max;
  write_file(path, "old", 3);
  signal(SIGXFSZ, SIG_IGN);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
  mcl_status s = write_all(c, path, &err);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_DFL);
  CHECK_FAILS(MCL_E_IO, "x.safetensors", s);
  ck_assert_int_eq(count_files(directory), 1);
  size_t n;
  unsigned char *bytes = read_file(path, &n);
  ck_assert(n == 3 && memcmp(bytes, "old", 3) == 0);
  free(bytes);
  mcl_context_unref(c);
}
END_TEST

START_TEST(an_addition_that_found_no_memory_can_be_made_again) {
  test_allocator t;
  test_allocator_init(&t);
  mcl_context *c = test_context_with(&t, 1);
  const char *path = in(test_directory("checkpoint-again"), "x.safetensors");
  mcl_checkpoint_writer *w = NULL;
  float x[3] = {1, 2, 3};
  mcl_array a = view(x, MCL_F32, 1, 3, 1, 1, 1);
  CHECK_OK(mcl_checkpoint_writer_create(c, path, &w, &err));
  for (int i = 0; i < 5; i++) {
    char name[2] = {(char)('a' + i), 0};
    for (int64_t at = 1; at <= 2; at++) {
      t.fail_at = at;
      CHECK_FAILS(MCL_E_NOMEM, "tensor", mcl_checkpoint_writer_add(w, name, &a, &err));
      t.fail_at = at;
      CHECK_FAILS(MCL_E_NOMEM, "text", mcl_checkpoint_writer_meta(w, name, name, &err));
    }
    t.fail_at = 0;
    CHECK_OK(mcl_checkpoint_writer_add(w, name, &a, &err));
    CHECK_OK(mcl_checkpoint_writer_meta(w, name, name, &err));
  }
  CHECK_OK(mcl_checkpoint_writer_commit(w, &err));
  mcl_checkpoint_writer_unref(w);
  mcl_checkpoint *k = NULL;
  CHECK_OK(mcl_checkpoint_open(c, path, &k, &err));
  check_tensor(k, "e", &a);
  mcl_checkpoint_unref(k);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("checkpoint", files_of_others_are_read,
          types_that_are_not_ours_are_refused_only_when_asked_for,
          what_is_not_there_or_does_not_fit_is_named, arguments_that_are_null_are_named,
          headers_that_are_well_formed_are_taken, damaged_headers_name_the_file_and_the_tensor,
          a_file_cut_short_anywhere_is_refused,
          a_file_cut_short_while_it_is_open_is_an_error_and_writes_nothing,
          lengths_that_lie_are_refused_before_anything_is_allocated, damaged_files_never_do_harm,
          what_is_written_is_read_back_and_python_reads_it,
          a_strided_output_is_filled_and_nothing_between, many_tensors_are_found_by_name,
          the_same_calls_give_the_same_bytes,
          names_and_texts_that_cannot_be_are_refused_and_change_nothing,
          a_header_that_could_not_be_read_is_not_written,
          a_commit_that_failed_leaves_the_old_file_and_can_be_tried_again,
          a_write_that_fails_leaves_the_old_file_and_nothing_beside_it,
          an_addition_that_found_no_memory_can_be_made_again)
