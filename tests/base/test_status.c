#include "support/suite.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

typedef struct options {
  size_t struct_size;
  int32_t a, b;
  double x;
} options;
typedef struct older {
  size_t struct_size;
  int32_t a, b;
} older;
typedef struct newer {
  size_t struct_size;
  int32_t a, b;
  double x, y;
} newer;
static const options defaults = {sizeof(options), 1, 2, 3};

START_TEST(init_fills_defaults_and_the_callers_size) {
  options o;
  mcli_options_init(&o, sizeof o, &defaults, sizeof defaults);
  ck_assert_int_eq(o.a, 1);
  ck_assert_uint_eq(o.struct_size, sizeof o);
}
END_TEST

START_TEST(init_never_writes_past_an_older_struct) {
  struct {
    older o;
    uint64_t guard;
  } s = {.guard = 7};
  mcli_options_init(&s.o, sizeof s.o, &defaults, sizeof defaults);
  ck_assert_int_eq(s.o.b, 2);
  ck_assert_uint_eq(s.guard, 7);
}
END_TEST

START_TEST(an_older_struct_leaves_newer_fields_at_their_defaults) {
  older from = {sizeof from, 5, 6};
  options o = defaults;
  mcl_error err;
  CHECK_OK(mcli_options_copy(&o, sizeof o, &from, "options", &err));
  ck_assert_int_eq(o.a, 5);
  ck_assert(o.x == 3);
}
END_TEST

START_TEST(a_newer_struct_is_taken_only_while_its_tail_is_zero) {
  newer from = {sizeof from, 5, 6, 7, 0};
  options o = defaults;
  mcl_error err;
  CHECK_OK(mcli_options_copy(&o, sizeof o, &from, "options", &err));
  from.y = 1;
  CHECK_FAILS(MCL_E_UNSUPPORTED, "options",
              mcli_options_copy(&o, sizeof o, &from, "options", &err));
}
END_TEST

START_TEST(a_size_that_no_struct_has_is_refused) {
  enum { HALF = sizeof(void *) / 2 }; // a pointer: no struct ends there
  static const size_t sizes[] = {0,    7,       3 * HALF, sizeof(newer) - 1, sizeof(newer) + HALF,
                                 4104, SIZE_MAX};
  newer from = {sizeof from, 5, 6, 7, 0};
  options o = defaults;
  mcl_error err;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    from.struct_size = sizes[i];
    CHECK_FAILS(MCL_E_INVALID, "struct_size",
                mcli_options_copy(&o, sizeof o, &from, "options", &err));
    ck_assert(memcmp(&o, &defaults, sizeof o) == 0);
  }
}
END_TEST

START_TEST(output_writes_at_most_the_callers_size) {
  struct {
    older o;
    uint64_t guard;
  } s = {.o = {sizeof(older), 0, 0}, .guard = 7};
  mcl_error err;
  CHECK_OK(mcli_struct_out(&s.o, &defaults, sizeof defaults, "report", &err));
  ck_assert_int_eq(s.o.b, 2);
  ck_assert_uint_eq(s.o.struct_size, sizeof s.o);
  ck_assert_uint_eq(s.guard, 7);
}
END_TEST

static mcl_status ends(mcl_status returned, int says_ok, mcl_error *err) {
  mcl_error inner;
  mcli_callback_begin(&inner);
  if (says_ok) mcl_ok(&inner);
  return mcli_callback_end(returned, &inner, "host.embed", err);
}

START_TEST(a_callback_succeeds_only_by_mcl_ok) {
  mcl_error err;
  ck_assert_int_eq(ends(0, 1, &err), MCL_OK);
  CHECK_FAILS(MCL_E_CALLBACK, "without mcl_ok", ends(0, 0, &err));
  CHECK_FAILS(MCL_E_CALLBACK, "host.embed", ends(12345, 1, &err));
  CHECK_FAILS(MCL_E_IO, "host.embed", ends(MCL_E_IO, 0, &err));
}
END_TEST

START_TEST(a_callbacks_own_code_and_message_pass_through) {
  mcl_error err, inner;
  mcli_callback_begin(&inner);
  mcl_status s = mcl_error_set(&inner, MCL_E_CALLBACK, 42, "the GPU is gone");
  CHECK_FAILS(MCL_E_CALLBACK, "GPU", mcli_callback_end(s, &inner, "host.embed", &err));
  ck_assert_int_eq(err.host_code, 42);
}
END_TEST

START_TEST(what_was_in_an_error_before_leaves_no_trace) {
  mcl_error err;
  mcl_error_set(&err, MCL_E_CALLBACK, 42, "an earlier callback");
  CHECK_FAILS(MCL_E_CALLBACK, "gave label 9", mcli_fail(&err, MCL_E_CALLBACK, "gave label 9"));
  ck_assert_int_eq(err.host_code, 0);
}
END_TEST

START_TEST(a_long_message_is_cut_at_a_whole_character) {
  char text[600];
  for (size_t pad = 0; pad < 3; pad++) {
    memset(text, 'x', pad);
    for (size_t i = pad; i + 3 < sizeof text; i += 3)
      memcpy(text + i, "\xE2\x82\xAC", 4); // euro signs
    mcl_error err;
    mcl_error_set(&err, MCL_E_IO, 0, text);
    ck_assert_uint_eq((strlen(err.message) - pad) % 3, 0);
  }
}
END_TEST

START_TEST(null_errors_are_allowed_everywhere) {
  ck_assert_int_eq(mcl_ok(NULL), MCL_OK);
  ck_assert_int_eq(mcl_error_set(NULL, MCL_E_IO, 0, "x"), MCL_E_IO);
  ck_assert_int_eq(mcli_fail(NULL, MCL_E_IO, "%d", 1), MCL_E_IO);
}
END_TEST

START_TEST(every_status_has_its_name) {
  for (mcl_status s = -16; s <= 0; s++) ck_assert_str_ne(mcl_status_name(s), "unknown status");
  ck_assert_str_eq(mcl_status_name(MCL_E_INTERNAL), "MCL_E_INTERNAL");
  ck_assert_str_eq(mcl_status_name(17), "unknown status");
}
END_TEST

RUN_TESTS("base", init_fills_defaults_and_the_callers_size, init_never_writes_past_an_older_struct,
          an_older_struct_leaves_newer_fields_at_their_defaults,
          a_newer_struct_is_taken_only_while_its_tail_is_zero, a_size_that_no_struct_has_is_refused,
          output_writes_at_most_the_callers_size, a_callback_succeeds_only_by_mcl_ok,
          a_callbacks_own_code_and_message_pass_through,
          what_was_in_an_error_before_leaves_no_trace, a_long_message_is_cut_at_a_whole_character,
          null_errors_are_allowed_everywhere, every_status_has_its_name)
