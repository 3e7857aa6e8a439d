// The JSON that headers and reports need.
#include <locale.h>
#include <math.h>

#include "store/json.h"
#include "store/store_test.h"
#include "store/utf8.h"

// The cursor on a copy in a block of exactly the text's size and the byte it asks for, so that a
// sanitizer sees every step too far.
static mcli_json *begin(mcli_json *j, const char *text) {
  size_t n = strlen(text);
  char *copy = malloc(n + 1);
  memcpy(copy, text, n);
  mcli_json_begin(j, copy, (int64_t)n);
  return j;
}

static void check_string(const char *text, const char *wanted) {
  mcli_json j;
  const char *got = mcli_json_string(begin(&j, text));
  mcli_json_end(&j);
  ck_assert_msg(!j.problem, "%s: %s at %d", text, j.problem, (int)j.place);
  ck_assert_str_eq(got, wanted);
  free(j.begin);
}

static void check_no_string(const char *text, const char *word) {
  mcli_json j;
  ck_assert_str_eq(mcli_json_string(begin(&j, text)), "");
  ck_assert_msg(j.problem && strstr(j.problem, word), "%s: %s", text,
                j.problem ? j.problem : "accepted");
  free(j.begin);
}

// The other way round: a code point is written, and what is not so written is none. Every code point; then every first two
// bytes, with two behind them that are at a bound.
START_TEST(characters_are_what_code_points_are_written_as) {
  char p[4];
  for (uint32_t code = 0; code < 0x110000; code++) {
    int64_t n = mcli_utf8_put(p, code) - p;
    int surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (mcli_utf8_length(p, n) != (surrogate ? 0 : n) || mcli_utf8_code(p, n) != code)
      ck_abort_msg("U+%04X", code); // an assertion for each would take seconds
  }
  const int bound[] = {0x7F, 0x80, 0xBF, 0xC0};
  for (int i = 0; i < 65536 * 16; i++) {
    const int bytes[4] = {i >> 12, i >> 4 & 255, bound[i >> 2 & 3], bound[i & 3]};
    for (int k = 0; k < 4; k++) p[k] = (char)bytes[k];
    int64_t n = mcli_utf8_length(p, 4), is = 0;
    for (int64_t length = 1; length <= 4; length++) {
      char again[4];
      uint32_t code = mcli_utf8_code(p, length);
      int whole = code < 0x110000 && (code < 0xD800 || code > 0xDFFF) &&
                  mcli_utf8_put(again, code) - again == length;
      if (whole && memcmp(again, p, (size_t)length) == 0) is = length;
    }
    if (n != is) ck_abort_msg("%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
  }
}
END_TEST

START_TEST(utf8_is_told_from_what_only_looks_like_it) {
  const char *good[] = {"",
                        "a",
                        "\x7F",
                        "\xC2\x80",
                        "\xDF\xBF",
                        "\xE0\xA0\x80",
                        "\xED\x9F\xBF",
                        "\xEE\x80\x80",
                        "\xEF\xBF\xBF",
                        "\xF0\x90\x80\x80",
                        "\xF4\x8F\xBF\xBF",
                        "a\xC3\xA4z"};
  const char *bad[] = {"\x80",
                       "\xBF",
                       "\xC0\x80",
                       "\xC1\xBF",
                       "\xC2",
                       "\xC2\x61",
                       "\xE0\x9F\xBF",
                       "\xE1\x80",
                       "\xED\xA0\x80",
                       "\xED\xBF\xBF",
                       "\xF0\x8F\xBF\xBF",
                       "\xF4\x90\x80\x80",
                       "\xF5\x80\x80\x80",
                       "\xFF",
                       "a\xE2\x82",
                       "\xF0\x9F\x98",
                       "\xC2\xC2\x80"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    ck_assert_msg(mcli_utf8_valid(good[i], (int64_t)strlen(good[i])), "good[%zu]", i);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    ck_assert_msg(!mcli_utf8_valid(bad[i], (int64_t)strlen(bad[i])), "bad[%zu]", i);
  ck_assert(!mcli_utf8_valid("\xC3\xA4", 1)); // its end lies outside
}
END_TEST

START_TEST(strings_are_decoded) {
  check_string("\"\"", "");
  check_string(" \"plain\" \n", "plain");
  check_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
  check_string("\"\\u0041\\u00e4\\u20AC\\uFFFF\"", "A\xC3\xA4\xE2\x82\xAC\xEF\xBF\xBF");
  check_string("\"\\uD83D\\uDE00\\uDBFF\\uDFFF\"", "\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF");
  check_string("\"\xC3\xA4\xF0\x9F\x98\x80\x7F\"", "\xC3\xA4\xF0\x9F\x98\x80\x7F");
}
END_TEST

START_TEST(strings_that_are_none_are_refused) {
  check_no_string("", "string was expected");
  check_no_string("'a'", "string was expected");
  check_no_string("\"a", "no end");
  check_no_string("\"a\\", "escape");
  check_no_string("\"a\\\"", "no end");
  check_no_string("\"\\x41\"", "escape");
  check_no_string("\"\\u12", "hexadecimal");
  check_no_string("\"\\u12g4\"", "hexadecimal");
  check_no_string("\"\\u0000\"", "NUL");
  check_no_string("\"\\uD83D\"", "surrogate");
  check_no_string("\"\\uD83D\\n\"", "surrogate");
  check_no_string("\"\\uD83D\\u0041\"", "surrogate");
  check_no_string("\"\\uDE00\"", "surrogate");
  check_no_string("\"\\uDE00\\uDE00\"", "surrogate");
  check_no_string("\"\\uD83D\\u", "surrogate");
  check_no_string("\"a\nb\"", "control");
  check_no_string("\"\x1F\"", "control");
  check_no_string("\"\xC3\"", "UTF-8");
  check_no_string("\"\xED\xA0\x80\"", "UTF-8");
}
END_TEST

START_TEST(a_nul_in_the_middle_ends_no_text) {
  char text[] = "\"a\0b\" ";
  mcli_json j;
  mcli_json_begin(&j, text, 5);
  mcli_json_string(&j);
  ck_assert_ptr_nonnull(strstr(j.problem, "control"));
  char after[] = "1\0 ";
  mcli_json_begin(&j, after, 2);
  ck_assert_int_eq(mcli_json_count(&j), 1);
  mcli_json_end(&j);
  ck_assert_ptr_nonnull(strstr(j.problem, "follows"));
}
END_TEST

START_TEST(counts_are_non_negative_integers) {
  const char *good[] = {"0", "7", " 42 ", "9223372036854775807"};
  const int64_t values[] = {0, 7, 42, INT64_MAX};
  const char *bad[] = {"",
                       "-1",
                       "-0",
                       "+1",
                       "01",
                       "00",
                       "1.0",
                       "1e3",
                       "0E1",
                       "0x10",
                       "9223372036854775808",
                       "99999999999999999999",
                       "true",
                       "null",
                       "\"1\"",
                       "1 2",
                       "1a",
                       "[]",
                       ".5"};
  mcli_json j;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    ck_assert_int_eq(mcli_json_count(begin(&j, good[i])), values[i]);
    mcli_json_end(&j);
    ck_assert_msg(!j.problem, "%s", good[i]);
    free(j.begin);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    mcli_json_count(begin(&j, bad[i]));
    mcli_json_end(&j);
    ck_assert_msg(j.problem != NULL, "%s", bad[i]);
    free(j.begin);
  }
}
END_TEST

// {"key": [count, ...], ...}: the sum of the counts, -1 with a problem.
static int64_t sum_of_lists(const char *text) {
  mcli_json j;
  uint64_t sum = 0; // damaged texts may add up to anything
  mcli_json_open(begin(&j, text), '{');
  while (mcli_json_more(&j, '}')) {
    mcli_json_key(&j);
    mcli_json_open(&j, '[');
    while (mcli_json_more(&j, ']')) sum += (uint64_t)mcli_json_count(&j);
  }
  mcli_json_end(&j);
  int64_t result = j.problem ? -1 : (int64_t)sum;
  free(j.begin);
  return result;
}

START_TEST(lists_and_objects_follow_the_grammar) {
  ck_assert_int_eq(sum_of_lists("{}"), 0);
  ck_assert_int_eq(sum_of_lists(" { } "), 0);
  ck_assert_int_eq(sum_of_lists("{\"a\":[]}"), 0);
  ck_assert_int_eq(sum_of_lists("{\"a\":[1]}"), 1);
  ck_assert_int_eq(sum_of_lists("{\"a\":[1,2],\"b\":[30 , 400 ]\n,\t\"c\" : [ ] }"), 433);
  const char *bad[] = {"",
                       "{",
                       "[",
                       "{]",
                       "{}}",
                       "{} {}",
                       "{,}",
                       "{\"a\"}",
                       "{\"a\":}",
                       "{\"a\":[1}",
                       "{\"a\":[1,]}",
                       "{\"a\":[,1]}",
                       "{\"a\":[1 2]}",
                       "{\"a\":[1],}",
                       "{\"a\":[1]\"b\":[2]}",
                       "{\"a\" [1]}",
                       "{a:[1]}",
                       "{\"a\":[1]",
                       "{\"a\":[1",
                       "{\"a\":[[1]]}",
                       "{\"a\":1}",
                       "{\"a\":{}}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    ck_assert_msg(sum_of_lists(bad[i]) == -1, "%s", bad[i]);
}
END_TEST

// Of a value alone, and of it as a member between others.
static int skips(const char *value) {
  char text[400];
  mcli_json j;
  mcli_json_skip(begin(&j, value));
  mcli_json_end(&j);
  int good = !j.problem;
  free(j.begin);
  snprintf(text, sizeof text, "{\"a\":%s,\"b\":7}", value);
  mcli_json_open(begin(&j, text), '{');
  int64_t count = -1;
  for (int i = 0; mcli_json_more(&j, '}'); i++) {
    mcli_json_key(&j);
    if (i == 0)
      mcli_json_skip(&j);
    else
      count = mcli_json_count(&j);
  }
  mcli_json_end(&j);
  ck_assert_msg((!j.problem && count == 7) == good, "%s: %s", text, j.problem ? j.problem : "read");
  free(j.begin);
  return good;
}

START_TEST(values_of_any_kind_are_passed_over) {
  static const char *const good[] = {
      "0",          "-0",   "12",   "-1.5",    "0.25e3",
      "1E+9",       "1e-9", "true", "false",   "null",
      "\"a\\n\"",   "{}",   "[]",   "[[],{}]", "{\"k\":[1,{\"l\":null}],\"m\":\"]}\"}",
      " [ 1 , 2 ] "};
  static const char *const bad[] = {
      "",        "-",        "01",       "1.", ".5", "1e",    "1e+",     "+1",   "tru",
      "nul",     "NaN",      "\"a",      "{",  "[",  "[1",    "[1,]",    "[,1]", "{1}",
      "{\"a\"}", "{\"a\":}", "{\"a\":1", "[}", "{]", "[1 2]", "\"\\x\"", "]"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    ck_assert_msg(skips(good[i]), "%s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) ck_assert_msg(!skips(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(lists_are_passed_over_64_deep) {
  char deep[131];
  for (int n = 64; n <= 65; n++) {
    memset(deep, '[', (size_t)n), memset(deep + n, ']', (size_t)n);
    deep[2 * n] = 0;
    ck_assert_int_eq(skips(deep), n == 64);
  }
}
END_TEST

START_TEST(the_first_problem_stays_with_its_place) {
  mcli_json j;
  mcli_json_open(begin(&j, "{\"a\" 1"), '{');
  while (mcli_json_more(&j, '}')) {
    mcli_json_key(&j);
    mcli_json_count(&j);
  }
  mcli_json_fail(&j, "mine");
  mcli_json_end(&j);
  ck_assert_str_eq(j.problem, "a colon was expected");
  ck_assert_int_eq(j.place, 5);
  free(j.begin);
}
END_TEST

START_TEST(damaged_texts_are_read_without_a_step_too_far) {
  const char text[] =
      "{\"a\\u00e4\\ud83d\\ude00\":[1,22,333],\"b\\n\xC3\xA4\":[9223372036854775807]}";
  mcli_rng r = mcli_rng_make(1, MCLI_RNG_DATA, 0, 0);
  for (int trial = 0; trial < 20000; trial++) {
    char damaged[sizeof text];
    memcpy(damaged, text, sizeof text);
    for (uint64_t times = mcli_rng_below(&r, 4); times <= 3; times++)
      damaged[mcli_rng_below(&r, sizeof text - 1)] =
          "{}[]\",:\\u0d8\n\xC3\xFF"[mcli_rng_below(&r, 15)];
    damaged[mcli_rng_below(&r, sizeof text)] = 0;
    sum_of_lists(damaged);
    mcli_json j;
    mcli_json_skip(begin(&j, damaged));
    free(j.begin);
  }
}
END_TEST

START_TEST(what_is_quoted_is_read_back) {
  const char *texts[] = {"", "plain", "\"\\/\b\f\n\r\t", "\x01\x1F\x7F",
                         "\xC3\xA4\xF0\x9F\x98\x80"};
  mcl_context *c = test_context(1);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    mcli_text t;
    mcli_text_begin(&t, c);
    mcli_text_quote(&t, texts[i]);
    check_string(t.data, texts[i]);
    mcli_text_free(&t);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_replaced_when_quoted) {
  mcl_context *c = test_context(1);
  mcli_text t;
  mcli_text_begin(&t, c);
  mcli_text_quote(&t, "a\xFFz\xC3");
  ck_assert_str_eq(t.data, "\"a\xEF\xBF\xBDz\xEF\xBF\xBD\"");
  mcli_text_free(&t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(numbers_read_back_as_they_were) {
  const double values[] = {0, -1, 0.1, 1.0 / 3, 1e300, -2.5e-310, 123456789012345678.0, 0.5};
  const char *wanted[] = {"0", "-1", "0.1", "0.3333333333333333", "1e+300", NULL, NULL, "0.5"};
  mcl_context *c = test_context(1);
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    mcli_text t;
    mcli_text_begin(&t, c);
    mcli_text_number(&t, values[i]);
    ck_assert(strtod(t.data, NULL) == values[i]);
    if (wanted[i]) ck_assert_str_eq(t.data, wanted[i]);
    mcli_text_free(&t);
  }
  mcli_text t;
  mcli_text_begin(&t, c);
  mcli_text_number(&t, NAN);
  mcli_text_number(&t, -INFINITY);
  ck_assert_str_eq(t.data, "nullnull");
  mcli_text_free(&t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(numbers_have_a_point_whatever_the_locale) {
  const char *names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
  mcl_context *c = test_context(1);
  for (int i = 0; i < 4; i++) {
    if (!setlocale(LC_NUMERIC, names[i])) continue;
    mcli_text t;
    mcli_text_begin(&t, c);
    mcli_text_number(&t, -1.25e-7);
    ck_assert_str_eq(t.data, "-1.25e-07");
    mcli_text_free(&t);
    setlocale(LC_NUMERIC, "C");
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_text_without_memory_says_so_and_keeps_nothing) {
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 1);
  int64_t live = a.live;
  for (int64_t at = 1; at <= 3; at++) {
    mcli_text t;
    mcli_text_begin(&t, c);
    a.fail_at = at;
    for (int i = 0; i < 300; i++) mcli_text_format(&t, "%d,", i);
    ck_assert_int_eq(t.failed, 1);
    mcli_text_add(&t, "more");
    ck_assert(t.data == NULL || strstr(t.data, "more") == NULL);
    mcli_text_free(&t);
    ck_assert_int_eq(a.live, live);
  }
  a.fail_at = 0;
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("json", characters_are_what_code_points_are_written_as,
          utf8_is_told_from_what_only_looks_like_it, strings_are_decoded,
          strings_that_are_none_are_refused, a_nul_in_the_middle_ends_no_text,
          counts_are_non_negative_integers, lists_and_objects_follow_the_grammar,
          values_of_any_kind_are_passed_over, lists_are_passed_over_64_deep,
          the_first_problem_stays_with_its_place, damaged_texts_are_read_without_a_step_too_far,
          what_is_quoted_is_read_back, bytes_that_are_not_utf8_are_replaced_when_quoted,
          numbers_read_back_as_they_were, numbers_have_a_point_whatever_the_locale,
          a_text_without_memory_says_so_and_keeps_nothing)
