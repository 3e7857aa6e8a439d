// .npy files against numpy's own, and against damage.
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include <libmcl/rows.h>

#include "store/npy.h"
#include "store/store_test.h"

static mcl_error err;

static const char *golden(const char *name) {
  char relative[64];
  snprintf(relative, sizeof relative, "golden/store/%s.npy", name);
  return test_path(relative);
}

// ---- reading ------------------------------------------------------------------------------------

static void check_is_ramp(const char *path, int64_t rows, int32_t dim, int32_t dtype) {
  mcl_context *c = test_context(1);
  mcl_npy *f = NULL;
  float out[RAMP];
  CHECK_OK(mcl_npy_open(c, path, &f, &err));
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  mcl_npy_rows(f, &r);
  ck_assert_int_eq(r.rows, rows);
  ck_assert_int_eq(r.dim, dim);
  ck_assert_int_eq(r.dtype, dtype);
  mcl_array all = matrix(out, MCL_F32, rows, dim);
  CHECK_OK(mcl_rows_read(&r, 0, rows, &all, &err));
  for (int i = 0; i < rows * dim; i++) ck_assert_msg(out[i] == ramp(i), "%s: element %d", path, i);
  mcl_npy_unref(f);
  mcl_context_unref(c);
}

START_TEST(files_of_numpy_are_read) {
  check_is_ramp(golden("f4"), 4, 3, MCL_F32);
  check_is_ramp(golden("f8"), 4, 3, MCL_F64);
  check_is_ramp(golden("f2"), 4, 3, MCL_F16);
  check_is_ramp(golden("version2"), 4, 3, MCL_F32);
  check_is_ramp(golden("version3"), 4, 3, MCL_F32);
  check_is_ramp(golden("vector"), 12, 1, MCL_F32);
  check_is_ramp(golden("no_rows"), 0, 3, MCL_F32);
}
END_TEST

START_TEST(files_that_are_not_read_say_why) {
  const struct {
    const char *name, *word;
    mcl_status status;
  } refused[] = {{"fortran", "Fortran", MCL_E_UNSUPPORTED},
                 {"big_endian", "big-endian", MCL_E_UNSUPPORTED},
                 {"objects", "objects.npy", MCL_E_UNSUPPORTED},
                 {"structured", "type", MCL_E_UNSUPPORTED},
                 {"complex", "type", MCL_E_UNSUPPORTED},
                 {"scalar", "0 dimensions", MCL_E_UNSUPPORTED},
                 {"cube", "3 dimensions", MCL_E_UNSUPPORTED},
                 {"i4", "integers", MCL_E_UNSUPPORTED},
                 {"no_columns", "rows of 0", MCL_E_UNSUPPORTED},
                 {"missing", "missing.npy", MCL_E_NOT_FOUND}};
  mcl_context *c = test_context(1);
  mcl_npy *f = NULL;
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    CHECK_FAILS(refused[i].status, refused[i].word,
                mcl_npy_open(c, golden(refused[i].name), &f, &err));
    ck_assert_ptr_null(f);
  }
  CHECK_FAILS(MCL_E_FORMAT, "not a .npy",
              mcl_npy_open(c, test_path("golden/store/make.py"), &f, &err));
  CHECK_FAILS(MCL_E_IO, "regular", mcl_npy_open(c, test_path("golden/store"), &f, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(arguments_that_are_null_are_named) {
  mcl_context *c = test_context(1);
  mcl_npy *f = NULL;
  mcl_rows r;
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_npy_open(NULL, "x", &f, &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_npy_open(c, NULL, &f, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_npy_open(c, "x", NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_npy_create(NULL, "x", MCL_F32, 1, 1, &f, &err));
  CHECK_FAILS(MCL_E_INVALID, "path", mcl_npy_create(c, NULL, MCL_F32, 1, 1, &f, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_npy_create(c, "x", MCL_F32, 1, 1, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "file", mcl_npy_write(NULL, 0, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "file", mcl_npy_commit(NULL, &err));
  mcl_npy_rows(NULL, &r);
  ck_assert_ptr_null(mcl_npy_ref(NULL));
  mcl_npy_unref(NULL);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_file_cut_short_anywhere_is_refused) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("npy-cut"), "x.npy");
  const char *names[] = {"f4", "version2"};
  for (int which = 0; which < 2; which++) {
    size_t n;
    unsigned char *bytes = read_file(golden(names[which]), &n);
    for (size_t cut = 0; cut < n; cut++) {
      mcl_npy *f = NULL;
      write_file(path, bytes, cut);
      CHECK_FAILS(MCL_E_FORMAT, "x.npy", mcl_npy_open(c, path, &f, &err));
    }
    free(bytes);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_file_cut_short_while_it_is_open_is_an_error) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("npy-cut-open"), "x.npy");
  size_t n;
  unsigned char *bytes = read_file(golden("f4"), &n);
  write_file(path, bytes, n);
  mcl_npy *f = NULL;
  mcl_rows r;
  float out[3];
  mcl_array row = matrix(out, MCL_F32, 1, 3);
  CHECK_OK(mcl_npy_open(c, path, &f, &err));
  mcl_struct_init(&r, sizeof r);
  mcl_npy_rows(f, &r);
  ck_assert_int_eq(truncate(path, (off_t)n - 12), 0);
  CHECK_OK(mcl_rows_read(&r, 2, 1, &row, &err));
  CHECK_FAILS(MCL_E_IO, "x.npy", mcl_rows_read(&r, 3, 1, &row, &err));
  mcl_npy_unref(f);
  mcl_context_unref(c);
  free(bytes);
}
END_TEST

START_TEST(versions_and_long_headers_are_refused) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("npy-versions"), "x.npy");
  mcl_npy *f = NULL;
  size_t n;
  unsigned char *bytes = read_file(golden("version2"), &n);
  bytes[6] = 4;
  write_file(path, bytes, n);
  CHECK_FAILS(MCL_E_UNSUPPORTED, "4.0", mcl_npy_open(c, path, &f, &err));
  bytes[6] = 0;
  write_file(path, bytes, n);
  CHECK_FAILS(MCL_E_UNSUPPORTED, "0.0", mcl_npy_open(c, path, &f, &err));
  bytes[6] = 2;
  bytes[10] = 0x11; // a header of a little over 1 MB
  write_file(path, bytes, n);
  CHECK_FAILS(MCL_E_FORMAT, "cut short", mcl_npy_open(c, path, &f, &err));
  ck_assert_int_eq(truncate(path, 2 << 20), 0);
  CHECK_FAILS(MCL_E_LIMIT, "1048576", mcl_npy_open(c, path, &f, &err));
  free(bytes);
  mcl_context_unref(c);
}
END_TEST

static const char *header_problem(const char *text, mcli_npy_header *h) {
  size_t n = strlen(text);
  char *copy = malloc(n + 1); // of exactly this size: a sanitizer sees a step too far
  memcpy(copy, text, n);
  const char *problem = mcli_npy_header_read(copy, (int64_t)n, h);
  free(copy);
  return problem;
}

START_TEST(headers_may_be_written_in_other_ways) {
  const char *good[] = {"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), }\n",
                        "{'shape':(4,3),'descr':'<f4','fortran_order':False}",
                        "  {\"shape\" : ( 4 , 3 , ) ,\"fortran_order\":False,\"descr\":\"<f4\"} \n",
                        "{'descr': '=f4', 'fortran_order': False, 'shape': (4L, 3L), }"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    mcli_npy_header h;
    const char *problem = header_problem(good[i], &h);
    ck_assert_msg(!problem, "%s: %s", good[i], problem);
    ck_assert(h.dtype == MCL_F32 && h.ndim == 2 && h.shape[0] == 4 && h.shape[1] == 3);
    ck_assert(!h.fortran && !h.big_endian);
  }
}
END_TEST

START_TEST(damaged_headers_are_named) {
  const struct {
    const char *text, *word;
  } bad[] = {
      {"", "brace"},
      {"{", "numpy's"},
      {"{}", "missing"},
      {"{'descr': '<f4', 'fortran_order': False}", "missing"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4, 3)}", "numpy's"},
      {"{'descr': '<f4' 'fortran_order': False, 'shape': (4, 3)}", "numpy's"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), 'x': 1}", "numpy's"},
      {"{'descr' '<f4', 'fortran_order': False, 'shape': (4, 3)}", "numpy's"},
      {"{'descr\\x': '<f4', 'fortran_order': False, 'shape': (4, 3)}", "numpy's"},
      {"{'descr: <f4, fortran_order: False, shape: (4, 3)}", "numpy's"},
      {"{'descr': 4, 'fortran_order': False, 'shape': (4, 3)}", "no string"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (4, 3)}", "neither"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': 4}", "no tuple"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4)}", "no tuple"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4 3)}", "comma"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 3)}", "integers"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3", "integers"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", "integers"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808, 3)}", "too large"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': "
       "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
       "32"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3)} x", "follows"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    mcli_npy_header h;
    const char *problem = header_problem(bad[i].text, &h);
    ck_assert_msg(problem && strstr(problem, bad[i].word), "%s: %s", bad[i].text,
                  problem ? problem : "taken");
  }
}
END_TEST

START_TEST(sizes_that_do_not_fit_the_file_are_refused) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("npy-sizes"), "x.npy");
  const int64_t shapes[][2] = {
      {5, 3}, {4, 4}, {INT64_MAX, 3}, {INT64_MAX / 3, 2}, {INT64_MAX / 12, 3}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    char bytes[MCLI_NPY_HEADER_BYTES + 48] = {0};
    mcl_npy *f = NULL;
    int64_t n = mcli_npy_header_write(bytes, MCL_F32, 2, shapes[i]);
    write_file(path, bytes, (size_t)n + 48);
    CHECK_FAILS(MCL_E_FORMAT, "cut short", mcl_npy_open(c, path, &f, &err));
  }
  char bytes[MCLI_NPY_HEADER_BYTES];
  mcl_npy *f = NULL;
  const int64_t wide[2] = {0, (int64_t)INT32_MAX + 1};
  write_file(path, bytes, (size_t)mcli_npy_header_write(bytes, MCL_F32, 2, wide));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "2147483648", mcl_npy_open(c, path, &f, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_longest_header_has_its_room) {
  char bytes[MCLI_NPY_HEADER_BYTES];
  const int64_t shape[2] = {INT64_MAX, INT64_MAX};
  int64_t n = mcli_npy_header_write(bytes, MCL_F32, 2, shape);
  ck_assert(n % 64 == 0 && n <= MCLI_NPY_HEADER_BYTES && bytes[n - 1] == '\n');
  mcli_npy_header h;
  char text[MCLI_NPY_HEADER_BYTES];
  memcpy(text, bytes + 10, (size_t)n - 10);
  ck_assert_ptr_null(mcli_npy_header_read(text, n - 10, &h));
  ck_assert(h.shape[0] == INT64_MAX && h.shape[1] == INT64_MAX);
}
END_TEST

START_TEST(damaged_files_never_do_harm) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("npy-damage"), "x.npy");
  size_t n;
  unsigned char *bytes = read_file(golden("f4"), &n), damaged[256];
  mcli_rng r = mcli_rng_make(2, MCLI_RNG_DATA, 0, 0);
  int taken = 0;
  for (int trial = 0; trial < 3000; trial++) {
    memcpy(damaged, bytes, n);
    for (uint64_t times = mcli_rng_below(&r, 3); times < 3; times++) {
      uint64_t at = mcli_rng_below(&r, 100);
      damaged[at] = mcli_rng_below(&r, 2)
                        ? (unsigned char)mcli_rng_u32(&r)
                        : (unsigned char)"0129<>=fi,()'TL "[mcli_rng_below(&r, 16)];
    }
    write_file(path, damaged, n);
    mcl_npy *f = NULL;
    if (mcl_npy_open(c, path, &f, &err) != MCL_OK) continue;
    mcl_rows rows;
    float out[RAMP * 2];
    taken++;
    mcl_struct_init(&rows, sizeof rows);
    mcl_npy_rows(f, &rows);
    ck_assert(rows.rows * rows.dim <= RAMP * 2);
    mcl_array all = matrix(out, MCL_F32, rows.rows, rows.dim);
    CHECK_OK(mcl_rows_read(&rows, 0, rows.rows, &all, &err));
    mcl_npy_unref(f);
  }
  ck_assert(taken > 0);
  free(bytes);
  mcl_context_unref(c);
}
END_TEST

typedef struct reading {
  mcl_rows rows;
  int failed;
} reading;

static void *read_many(void *user) {
  reading *job = user;
  for (int64_t i = 0; i < 3000; i++) {
    float out[3];
    mcl_error own;
    mcl_array row = matrix(out, MCL_F32, 1, 3);
    if (mcl_rows_read(&job->rows, i % 4, 1, &row, &own) != MCL_OK ||
        out[1] != ramp((int)(i % 4) * 3 + 1))
      job->failed++;
  }
  return NULL;
}

START_TEST(several_threads_read_one_file) {
  mcl_context *c = test_context(1);
  mcl_npy *f = NULL;
  reading jobs[3];
  pthread_t threads[3];
  CHECK_OK(mcl_npy_open(c, golden("f8"), &f, &err));
  for (int i = 0; i < 3; i++) {
    memset(jobs + i, 0, sizeof *jobs);
    mcl_struct_init(&jobs[i].rows, sizeof jobs[i].rows);
    mcl_npy_rows(f, &jobs[i].rows);
    ck_assert_int_eq(pthread_create(threads + i, NULL, read_many, jobs + i), 0);
  }
  for (int i = 0; i < 3; i++) {
    pthread_join(threads[i], NULL);
    ck_assert_int_eq(jobs[i].failed, 0);
  }
  mcl_npy_unref(f);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_callback_checks_what_it_is_given) {
  mcl_context *c = test_context(1);
  mcl_npy *f = NULL;
  mcl_rows r;
  double wide[RAMP];
  float out[RAMP];
  CHECK_OK(mcl_npy_open(c, golden("f4"), &f, &err));
  mcl_struct_init(&r, sizeof r);
  mcl_npy_rows(f, &r);
  mcl_array a = matrix(wide, MCL_F64, 4, 3);
  CHECK_FAILS(MCL_E_DTYPE, "F32", r.read(r.user, 0, 4, &a, &err));
  a = matrix(out, MCL_F32, 3, 3);
  CHECK_FAILS(MCL_E_SHAPE, "rows", r.read(r.user, 0, 4, &a, &err));
  CHECK_FAILS(MCL_E_LIMIT, "4 rows", r.read(r.user, 2, 3, &a, &err));
  CHECK_FAILS(MCL_E_LIMIT, "4 rows", r.read(r.user, -1, 3, &a, &err));
  CHECK_FAILS(MCL_E_LIMIT, "4 rows", r.read(r.user, INT64_MAX, 3, &a, &err));
  CHECK_OK(r.read(r.user, 1, 3, &a, &err));
  ck_assert(out[0] == ramp(3));
  mcl_npy_unref(f);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_short_struct_gets_only_what_fits) {
  mcl_context *c = test_context(1);
  mcl_npy *f = NULL;
  mcl_rows r;
  CHECK_OK(mcl_npy_open(c, golden("f4"), &f, &err));
  memset(&r, 0x55, sizeof r);
  mcl_struct_init(&r, offsetof(mcl_rows, user));
  mcl_npy_rows(f, &r);
  ck_assert_int_eq(r.rows, 4);
  ck_assert_int_eq(r.dim, 3);
  unsigned char untouched[sizeof r.user];
  memset(untouched, 0x55, sizeof untouched);
  ck_assert_mem_eq(&r.user, untouched, sizeof untouched);
  mcl_npy_unref(f);
  mcl_context_unref(c);
}
END_TEST

// ---- writing ------------------------------------------------------------------------------------

static void fill_ramp(float *x) {
  for (int i = 0; i < RAMP; i++) x[i] = ramp(i);
}

static void write_ramp(mcl_context *c, const char *path, int32_t dtype) {
  float x[RAMP];
  mcl_npy *f = NULL;
  fill_ramp(x);
  CHECK_OK(mcl_npy_create(c, path, dtype, 4, 3, &f, &err));
  mcl_array last = matrix(x + 3, MCL_F32, 3, 3), first = matrix(x, MCL_F32, 1, 3);
  CHECK_OK(mcl_npy_write(f, 1, &last, &err));
  CHECK_OK(mcl_npy_write(f, 0, &first, &err));
  CHECK_OK(mcl_npy_commit(f, &err));
  mcl_npy_unref(f);
}

START_TEST(what_is_written_is_numpys_to_the_byte_and_numpy_reads_it) {
  mcl_context *c = test_context(1);
  const char *directory = test_directory("npy-write");
  const struct {
    const char *name;
    int32_t dtype;
  } kinds[] = {{"f4", MCL_F32}, {"f8", MCL_F64}, {"f2", MCL_F16}};
  for (int i = 0; i < 3; i++) {
    char name[16];
    snprintf(name, sizeof name, "%s.npy", kinds[i].name);
    const char *path = in(directory, name);
    write_ramp(c, path, kinds[i].dtype);
    check_is_ramp(path, 4, 3, kinds[i].dtype);
    size_t ours, theirs;
    unsigned char *a = read_file(path, &ours), *b = read_file(golden(kinds[i].name), &theirs);
    ck_assert_uint_eq(ours, theirs);
    ck_assert_mem_eq(a, b, ours);
    free(a);
    free(b);
  }
  int32_t small[RAMP];
  int64_t large[RAMP];
  for (int i = 0; i < RAMP; i++) large[i] = small[i] = i - 6;
  mcl_array vector = view(small, MCL_I32, 1, 12, 1, 1, 1), table = matrix(large, MCL_I64, 4, 3),
            none = matrix(NULL, MCL_F32, 0, 3);
  CHECK_OK(mcli_npy_save(c, in(directory, "i4.npy"), &vector, &err));
  CHECK_OK(mcli_npy_save(c, in(directory, "i8.npy"), &table, &err));
  CHECK_OK(mcli_npy_save(c, in(directory, "none.npy"), &none, &err));
  check_with_python("npy", directory);
  mcl_context_unref(c);
}
END_TEST

START_TEST(strided_and_other_float_types_are_converted_in_blocks) {
  enum { ROWS = 70, DIM = 1500 }; // a row has 6000 bytes, a block 43 rows
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("npy-convert"), "x.npy");
  double *wide = malloc(sizeof *wide * 2 * ROWS * DIM);
  float *back = malloc(sizeof *back * ROWS * DIM);
  for (int i = 0; i < 2 * ROWS * DIM; i++) wide[i] = i;
  // Every second number of every row, the rows backwards.
  mcl_array z = matrix(wide + (ROWS - 1) * 2 * DIM, MCL_F64, ROWS, DIM);
  z.strides[0] = -2 * DIM;
  z.strides[1] = 2;
  z.flags = MCL_ARRAY_READONLY;
  mcl_npy *f = NULL;
  mcl_rows r;
  CHECK_OK(mcl_npy_create(c, path, MCL_F32, ROWS, DIM, &f, &err));
  CHECK_OK(mcl_npy_write(f, 0, &z, &err));
  CHECK_OK(mcl_npy_commit(f, &err));
  mcl_npy_unref(f);
  CHECK_OK(mcl_npy_open(c, path, &f, &err));
  mcl_struct_init(&r, sizeof r);
  mcl_npy_rows(f, &r);
  mcl_array all = matrix(back, MCL_F32, ROWS, DIM);
  CHECK_OK(mcl_rows_read(&r, 0, ROWS, &all, &err));
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < DIM; j++)
      ck_assert(back[i * DIM + j] == (float)((ROWS - 1 - i) * 2 * DIM + 2 * j));
  mcl_npy_unref(f);
  mcl_context_unref(c);
  free(wide);
  free(back);
}
END_TEST

START_TEST(doubles_and_integers_keep_their_bits) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("npy-bits"), "x.npy");
  double x[2] = {0.1, 1e300}, back[2];
  int64_t n[4] = {INT64_MAX, 0, INT64_MIN, 0};
  mcl_array a = matrix(x, MCL_F64, 2, 1), b = matrix(back, MCL_F64, 2, 1);
  mcl_npy *f = NULL;
  mcl_rows r;
  CHECK_OK(mcli_npy_save(c, path, &a, &err));
  CHECK_OK(mcl_npy_open(c, path, &f, &err));
  mcl_struct_init(&r, sizeof r);
  mcl_npy_rows(f, &r);
  CHECK_OK(mcl_rows_read(&r, 0, 2, &b, &err));
  ck_assert_mem_eq(x, back, sizeof x);
  mcl_npy_unref(f);
  a = view(n, MCL_I64, 1, 2, 1, 1, 1);
  a.strides[0] = 2;
  CHECK_OK(mcl_npy_create(c, path, MCL_I64, 2, 1, &f, &err));
  CHECK_OK(mcl_npy_write(f, 0, &a, &err));
  CHECK_OK(mcl_npy_commit(f, &err));
  mcl_npy_unref(f);
  size_t size;
  unsigned char *bytes = read_file(path, &size);
  int64_t got[2];
  memcpy(got, bytes + size - sizeof got, sizeof got);
  ck_assert(got[0] == INT64_MAX && got[1] == INT64_MIN);
  free(bytes);
  mcl_context_unref(c);
}
END_TEST

START_TEST(rows_never_written_are_zero) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("npy-zero"), "x.npy");
  float x[3] = {1, 2, 3}, out[9];
  mcl_npy *f = NULL;
  mcl_rows r;
  mcl_array one = matrix(x, MCL_F32, 1, 3), all = matrix(out, MCL_F32, 3, 3);
  CHECK_OK(mcl_npy_create(c, path, MCL_F32, 3, 3, &f, &err));
  CHECK_OK(mcl_npy_write(f, 1, &one, &err));
  CHECK_OK(mcl_npy_commit(f, &err));
  mcl_npy_unref(f);
  CHECK_OK(mcl_npy_open(c, path, &f, &err));
  mcl_struct_init(&r, sizeof r);
  mcl_npy_rows(f, &r);
  CHECK_OK(mcl_rows_read(&r, 0, 3, &all, &err));
  for (int i = 0; i < 9; i++) ck_assert(out[i] == (i / 3 == 1 ? x[i % 3] : 0));
  mcl_npy_unref(f);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_file_that_is_not_committed_leaves_nothing) {
  mcl_context *c = test_context(1);
  const char *directory = test_directory("npy-abort");
  const char *path = in(directory, "x.npy");
  write_file(path, "old", 3);
  mcl_npy *f = NULL;
  CHECK_OK(mcl_npy_create(c, path, MCL_F32, 3, 3, &f, &err));
  mcl_npy *second = mcl_npy_ref(f);
  mcl_npy_unref(f);
  ck_assert_int_eq(count_files(directory), 2);
  mcl_npy_unref(second);
  ck_assert_int_eq(count_files(directory), 1);
  size_t n;
  unsigned char *bytes = read_file(path, &n);
  ck_assert(n == 3 && memcmp(bytes, "old", 3) == 0);
  free(bytes);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_commit_that_fails_leaves_the_old_file) {
  mcl_context *c = test_context(1);
  const char *directory = test_directory("npy-fail");
  const char *path = in(directory, "x.npy");
  mcl_npy *f = NULL;
  CHECK_OK(mcl_npy_create(c, path, MCL_F32, 3, 3, &f, &err));
  CHECK_OK(mcli_directory_make(c, path, &err)); // no file can be renamed over a directory
  CHECK_FAILS(MCL_E_IO, "x.npy", mcl_npy_commit(f, &err));
  CHECK_FAILS(MCL_E_STATE, "writing", mcl_npy_commit(f, &err));
  mcl_npy_unref(f);
  ck_assert_int_eq(count_files(directory), 1);
  CHECK_FAILS(MCL_E_NOT_FOUND, "y.npy",
              mcl_npy_create(c, in(directory, "no/y.npy"), MCL_F32, 3, 3, &f, &err));
  mcl_context_unref(c);
}
END_TEST

// What a process that has closed its standard input gets next.
START_TEST(descriptor_0_is_one_like_the_others) {
  mcl_context *c = test_context(1);
  const char *path = in(test_directory("npy-zero"), "x.npy");
  float x[4] = {1, 2, 3, 4}, back[4] = {0};
  mcl_array a = matrix(x, MCL_F32, 2, 2), b = matrix(back, MCL_F32, 2, 2);
  mcl_npy *f = NULL;
  mcl_rows r;
  int kept = dup(0);
  close(0);
  CHECK_OK(mcl_npy_create(c, path, MCL_F32, 2, 2, &f, &err));
  ck_assert_int_ge(fcntl(0, F_GETFD), 0);
  CHECK_OK(mcl_npy_write(f, 0, &a, &err));
  CHECK_OK(mcl_npy_commit(f, &err));
  mcl_npy_unref(f);
  CHECK_OK(mcl_npy_open(c, path, &f, &err));
  ck_assert_int_ge(fcntl(0, F_GETFD), 0);
  mcl_struct_init(&r, sizeof r);
  mcl_npy_rows(f, &r);
  CHECK_OK(mcl_rows_read(&r, 0, 2, &b, &err));
  ck_assert_mem_eq(back, x, sizeof x);
  mcl_npy_unref(f);
  ck_assert_int_lt(fcntl(0, F_GETFD), 0);
  if (kept >= 0) dup2(kept, 0), close(kept);
  mcl_context_unref(c);
}
END_TEST

START_TEST(what_cannot_be_created_is_refused) {
  mcl_context *c = test_context(1);
  mcl_npy *f = NULL;
  const char *path = in(test_directory("npy-create"), "x.npy");
  CHECK_FAILS(MCL_E_DTYPE, "BF16", mcl_npy_create(c, path, MCL_BF16, 3, 3, &f, &err));
  CHECK_FAILS(MCL_E_DTYPE, "U8", mcl_npy_create(c, path, MCL_U8, 3, 3, &f, &err));
  CHECK_FAILS(MCL_E_DTYPE, "99", mcl_npy_create(c, path, 99, 3, 3, &f, &err));
  CHECK_FAILS(MCL_E_INVALID, "dim is 0", mcl_npy_create(c, path, MCL_F32, 3, 0, &f, &err));
  CHECK_FAILS(MCL_E_INVALID, "rows is -1", mcl_npy_create(c, path, MCL_F32, -1, 3, &f, &err));
  CHECK_FAILS(MCL_E_INVALID, "rows", mcl_npy_create(c, path, MCL_F32, INT64_MAX / 4, 3, &f, &err));
  ck_assert_ptr_null(f);
  mcl_array bad = matrix(NULL, MCL_U8, 0, 3), cube = view(NULL, MCL_F32, 3, 0, 2, 2, 1);
  CHECK_FAILS(MCL_E_DTYPE, "U8", mcli_npy_save(c, path, &bad, &err));
  CHECK_FAILS(MCL_E_SHAPE, "matrices", mcli_npy_save(c, path, &cube, &err));
  mcl_context_unref(c);
}
END_TEST

START_TEST(what_cannot_be_written_is_refused) {
  mcl_context *c = test_context(1);
  mcl_npy *f = NULL;
  float x[RAMP] = {0};
  int32_t labels[RAMP] = {0};
  mcl_array z = matrix(x, MCL_F32, 4, 3), n = matrix(labels, MCL_I32, 4, 3),
            thin = matrix(x, MCL_F32, 4, 2), cube = view(x, MCL_F32, 3, 2, 3, 2, 1),
            line = view(x, MCL_F32, 1, 3, 1, 1, 1);
  CHECK_OK(mcl_npy_open(c, golden("f4"), &f, &err));
  CHECK_FAILS(MCL_E_STATE, "writing", mcl_npy_write(f, 0, &z, &err));
  CHECK_FAILS(MCL_E_STATE, "writing", mcl_npy_commit(f, &err));
  mcl_npy_unref(f);
  CHECK_OK(mcl_npy_create(c, in(test_directory("npy-refuse"), "x.npy"), MCL_F32, 5, 3, &f, &err));
  CHECK_FAILS(MCL_E_INVALID, "z", mcl_npy_write(f, 0, NULL, &err));
  CHECK_FAILS(MCL_E_DTYPE, "I32", mcl_npy_write(f, 0, &n, &err));
  CHECK_FAILS(MCL_E_SHAPE, "rows of 3", mcl_npy_write(f, 0, &thin, &err));
  CHECK_FAILS(MCL_E_SHAPE, "3 dimensions", mcl_npy_write(f, 0, &cube, &err));
  CHECK_FAILS(MCL_E_SHAPE, "rows of 1", mcl_npy_write(f, 0, &line, &err));
  CHECK_FAILS(MCL_E_LIMIT, "5 rows", mcl_npy_write(f, 2, &z, &err));
  CHECK_FAILS(MCL_E_LIMIT, "5 rows", mcl_npy_write(f, -1, &z, &err));
  CHECK_FAILS(MCL_E_LIMIT, "5 rows", mcl_npy_write(f, INT64_MAX, &z, &err));
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  mcl_npy_rows(f, &r);
  CHECK_FAILS(MCL_E_STATE, "reading", mcl_rows_read(&r, 0, 4, &z, &err));
  CHECK_OK(mcl_npy_commit(f, &err));
  CHECK_FAILS(MCL_E_STATE, "any more", mcl_npy_write(f, 0, &z, &err));
  mcl_npy_unref(f);
  mcl_context_unref(c);
}
END_TEST

START_TEST(int32_files_are_loaded_whole) {
  mcl_context *c = test_context(1);
  int32_t *values = NULL;
  int64_t rows = 0, cols = 0;
  CHECK_OK(mcli_npy_load_i32(c, golden("i4"), &values, &rows, &cols, &err));
  ck_assert(rows == 4 && cols == 3);
  for (int i = 0; i < RAMP; i++) ck_assert_int_eq(values[i], i - 6);
  mcli_free(c, values);
  CHECK_OK(mcli_npy_load_i32(c, golden("i4_vector"), &values, &rows, &cols, &err));
  ck_assert(rows == 12 && cols == 1 && values[11] == 5);
  mcli_free(c, values);
  values = NULL;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "int32",
              mcli_npy_load_i32(c, golden("i8"), &values, &rows, &cols, &err));
  CHECK_FAILS(MCL_E_UNSUPPORTED, "int32",
              mcli_npy_load_i32(c, golden("f4"), &values, &rows, &cols, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "none",
              mcli_npy_load_i32(c, golden("none"), &values, &rows, &cols, &err));
  ck_assert_ptr_null(values);
  mcl_context_unref(c);
}
END_TEST

static mcl_status write_and_read(mcl_context *c, const char *path, mcl_error *e) {
  double x[RAMP] = {0};
  mcl_npy *f = NULL;
  mcl_array z = matrix(x, MCL_F64, 4, 3);
  mcl_status s = mcl_npy_create(c, path, MCL_F32, 4, 3, &f, e);
  if (s == MCL_OK) s = mcl_npy_write(f, 0, &z, e);
  if (s == MCL_OK) s = mcl_npy_commit(f, e);
  mcl_npy_unref(f);
  f = NULL;
  if (s == MCL_OK) s = mcl_npy_open(c, path, &f, e);
  mcl_npy_unref(f);
  return s;
}

static mcl_status load(mcl_context *c, mcl_error *e) {
  int32_t *values = NULL;
  int64_t rows, cols;
  mcl_status s = mcli_npy_load_i32(c, golden("i4"), &values, &rows, &cols, e);
  ck_assert((values != NULL) == (s == MCL_OK));
  mcli_free(c, values);
  return s;
}

START_TEST(memory_that_runs_out_is_an_error_and_no_leak) {
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 1);
  const char *directory = test_directory("npy-memory");
  const char *path = in(directory, "x.npy");
  FOR_EVERY_ALLOCATION(&a, write_and_read(c, path, &err));
  FOR_EVERY_ALLOCATION(&a, load(c, &err));
  ck_assert_int_eq(count_files(directory), 1);
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
}
END_TEST

RUN_TESTS("npy", files_of_numpy_are_read, files_that_are_not_read_say_why,
          arguments_that_are_null_are_named, a_file_cut_short_anywhere_is_refused,
          a_file_cut_short_while_it_is_open_is_an_error, versions_and_long_headers_are_refused,
          headers_may_be_written_in_other_ways, damaged_headers_are_named,
          sizes_that_do_not_fit_the_file_are_refused, the_longest_header_has_its_room,
          damaged_files_never_do_harm, several_threads_read_one_file,
          the_callback_checks_what_it_is_given, a_short_struct_gets_only_what_fits,
          what_is_written_is_numpys_to_the_byte_and_numpy_reads_it,
          strided_and_other_float_types_are_converted_in_blocks,
          doubles_and_integers_keep_their_bits, rows_never_written_are_zero,
          a_file_that_is_not_committed_leaves_nothing, a_commit_that_fails_leaves_the_old_file,
          descriptor_0_is_one_like_the_others, what_cannot_be_created_is_refused,
          what_cannot_be_written_is_refused, int32_files_are_loaded_whole,
          memory_that_runs_out_is_an_error_and_no_leak)
