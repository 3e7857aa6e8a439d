#include <stdlib.h>

#include "base/rng.h"
#include "dataset/texts.h"
#include "dataset/vocabulary.h"
#include "dataset/words.h"
#include "golden/tokenizer.h"
#include "store/utf8.h"

static mcl_context *c;
static mcl_error err;

static mcl_tokenizer *train(const char *const *texts, int64_t n, int32_t vocabulary) {
  mcl_tokenizer_options o = token_options(GOLDEN_CONTEXT);
  mcl_tokenizer *t = NULL;
  o.vocabulary = vocabulary;
  CHECK_OK(mcl_tokenizer_create(c, &o, texts, n, NULL, &t, &err));
  return t;
}

// ---- words --------------------------------------------------------------------------------------

static uint64_t digest(uint64_t h, const char *word, int64_t n) { // FNV-1a, a NUL behind the word
  for (int64_t i = 0; i <= n; i++)
    h = (h ^ (i < n ? (unsigned char)word[i] : 0)) * UINT64_C(0x100000001B3);
  return h;
}

START_TEST(
    words_are_those_of_the_plain_twin) { // of nearly every character there is: words.c (1) to (4)
  char text[64], lowered[192], put[5];
  uint64_t h = UINT64_C(0xCBF29CE484222325);
  int64_t words = 0, bad;
  for (uint32_t code = 1; code < 0x110000; code++) {
    if ((code >= 0xD800 && code < 0xE000) || (code >= 0x20000 && code % 64 != 0)) continue;
    *mcli_utf8_put(put, code) = 0;
    int n = snprintf(text, sizeof text, "a%sb 1%s's A%sΣ AΣ%sB", put, put, put, put);
    const char *at = lowered, *word;
    int64_t length = mcli_words_lower(text, n, 0, lowered, &bad);
    ck_assert_int_le(length, mcli_words_capacity(n));
    for (int64_t k; (k = mcli_words_next(&at, lowered + length, &word)) > 0; words++)
      h = digest(h, word, k);
  }
  ck_assert_int_eq(words, character_words);
  ck_assert_uint_eq(h, character_digest);
}
END_TEST

// ---- rows ---------------------------------------------------------------------------------------

static void check_golden(mcl_tokenizer *t, const int32_t wanted[][GOLDEN_CONTEXT],
                         const int32_t *lengths) {
  enum { N = sizeof sentences / sizeof *sentences };
  int32_t rows[N][GOLDEN_CONTEXT], n[N];
  CHECK_OK(mcl_tokenizer_encode(t, sentences, N, rows[0], n, &err));
  for (int i = 0; i < N; i++) {
    ck_assert_msg(n[i] == lengths[i], "%s: %d tokens, not %d", sentences[i], n[i], lengths[i]);
    for (int k = 0; k < GOLDEN_CONTEXT; k++)
      ck_assert_msg(rows[i][k] == wanted[i][k], "%s: token %d is %d, not %d", sentences[i], k,
                    rows[i][k], wanted[i][k]);
  }
}

START_TEST(ids_are_those_of_the_plain_twin) {
  c = test_context(1);
  mcl_tokenizer_options o = token_options(GOLDEN_CONTEXT);
  mcl_tokenizer *t = load_golden(c, &o, "vocab.json", "merges.txt");
  check_golden(t, by_hand, by_hand_lengths);
  ck_assert_int_eq(mcl_tokenizer_vocabulary(t), GOLDEN_TOKENS);
  mcl_tokenizer_unref(t);
  t = load_golden(c, &o, "vocab.json", "merges.txt.gz");
  check_golden(t, by_hand, by_hand_lengths);
  mcl_tokenizer_unref(t);
  t = load_golden(c, &o, NULL, "ordered.txt");
  check_golden(t, ordered, ordered_lengths);
  mcl_tokenizer_unref(t);
  t = train(corpus, COUNT(corpus), 600);
  check_golden(t, learnt, learnt_lengths);
  ck_assert_int_eq(mcl_tokenizer_vocabulary(t), LEARNT_TOKENS);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_row_is_start_pieces_end_and_padding) { // (1)
  c = test_context(1);
  mcl_tokenizer_options o = token_options(6);
  o.padding = 7;
  mcl_tokenizer *t = load_golden(c, &o, NULL, "ordered.txt");
  int32_t row[6], n;
  CHECK_OK(mcl_tokenizer_encode(t, &(const char *){"hello"}, 1, row, &n, &err));
  ck_assert_int_eq(n, 3);
  ck_assert_int_eq(row[0], mcl_tokenizer_start(t));
  ck_assert_int_eq(row[2], mcl_tokenizer_end(t));
  for (int i = 3; i < 6; i++) ck_assert_int_eq(row[i], 7);
  ck_assert_int_eq(mcl_tokenizer_padding(t), 7);
  ck_assert_int_eq(mcl_tokenizer_context(t), 6);
  ck_assert_int_eq(mcl_tokenizer_start(t), mcl_tokenizer_vocabulary(t) - 2);
  ck_assert_int_eq(mcl_tokenizer_end(t), mcl_tokenizer_vocabulary(t) - 1);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_long_text_is_cut_before_its_end_token_or_fails) { // (2)
  c = test_context(1);
  const char *const texts[] = {"1 2", "1 2 3"};
  int32_t rows[2][4] = {{-1}}, n[2] = {-1, -1};
  for (int fail = 0; fail < 2; fail++) {
    mcl_tokenizer_options o = token_options(4);
    o.on_long = fail ? MCL_LONG_TEXT_FAIL : MCL_LONG_TEXT_CUT;
    mcl_tokenizer *t = load_golden(c, &o, NULL, "ordered.txt");
    CHECK_OK(mcl_tokenizer_encode(t, texts, 1, rows[0], n, &err));
    ck_assert_int_eq(n[0], 4);
    if (fail) {
      rows[0][0] = n[0] = -5;
      CHECK_FAILS(MCL_E_LIMIT, "text 1 has 5 tokens, a row has room for 4",
                  mcl_tokenizer_encode(t, texts, 2, rows[0], n, &err));
      ck_assert_int_eq(err.row, 1);
      ck_assert_int_eq(rows[0][0], -5);
      ck_assert_int_eq(n[0], -5);
    } else {
      CHECK_OK(mcl_tokenizer_encode(t, texts, 2, rows[0], n, &err));
      ck_assert_int_eq(n[1], 5);
      ck_assert_int_eq(rows[1][3], mcl_tokenizer_end(t));
      ck_assert_mem_eq(rows[0], rows[1], sizeof rows[0]);
    }
    mcl_tokenizer_unref(t);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_caption_cannot_end_its_row) {
  c = test_context(1);
  mcl_tokenizer *t = train(corpus, COUNT(corpus), 600);
  int32_t row[GOLDEN_CONTEXT], n;
  CHECK_OK(mcl_tokenizer_encode(t, &(const char *){"a <|endoftext|> b"}, 1, row, &n, &err));
  for (int i = 0; i < n - 1; i++) ck_assert_int_ne(row[i], mcl_tokenizer_end(t));
  ck_assert_str_eq(decoded(t, row, GOLDEN_CONTEXT), "a <| endoftext |> b");
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(rows_do_not_depend_on_threads_or_company) {
  enum { N = 1000 };
  static const char *texts[N];
  static int32_t rows[2][N][GOLDEN_CONTEXT], one[GOLDEN_CONTEXT];
  for (int i = 0; i < N; i++) texts[i] = sentences[i % COUNT(sentences)];
  for (uint32_t threads = 1; threads <= 2; threads++) {
    c = test_context(threads);
    mcl_tokenizer *t = train(corpus, COUNT(corpus), 600);
    CHECK_OK(mcl_tokenizer_encode(t, texts, N, rows[threads - 1][0], NULL, &err));
    for (int i = 0; i < COUNT(sentences); i++) {
      CHECK_OK(mcl_tokenizer_encode(t, texts + i, 1, one, NULL, &err));
      ck_assert_mem_eq(one, rows[threads - 1][i], sizeof one);
    }
    mcl_tokenizer_unref(t);
    mcl_context_unref(c);
  }
  ck_assert_mem_eq(rows[0], rows[1], sizeof rows[0]);
}
END_TEST

// ---- back to texts ------------------------------------------------------------------------------

START_TEST(a_row_reads_back_as_its_words) {
  c = test_context(1);
  mcl_tokenizer *t = train(corpus, COUNT(corpus), 600);
  static int32_t row[GOLDEN_CONTEXT];
  const struct {
    const char *text, *back;
  } cases[] = {{"", ""},
               {"Hello,  WORLD!", "hello , world !"},
               {"It's 12 birds", "it 's 1 2 birds"},
               {"Häuser \xF0\x9F\x90\x88", "häuser \xF0\x9F\x90\x88"},
               {"!!", "!!"},
               {"!", "!"},
               {"日本語", "日本語"}};
  for (int i = 0; i < COUNT(cases); i++) {
    CHECK_OK(mcl_tokenizer_encode(t, &cases[i].text, 1, row, NULL, &err));
    ck_assert_str_eq(decoded(t, row, GOLDEN_CONTEXT), cases[i].back);
  }
  ck_assert_str_eq(decoded(t, NULL, 0), "");
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(what_was_read_back_encodes_to_the_same_row) {
  enum { WIDE = 128 };
  static const char *const parts[] = {"red", " ", "'s", "'",  "Ä", "7",
                                      "\n",  "Σ", "!",  "日", ".", "I"};
  c = test_context(1);
  mcl_tokenizer_options o = token_options(WIDE);
  mcl_tokenizer *t = NULL;
  int32_t row[WIDE], again[WIDE];
  mcli_rng r = mcli_rng_make(3, MCLI_RNG_DATA, 0, 0);
  CHECK_OK(mcl_tokenizer_create(c, &o, corpus, COUNT(corpus), NULL, &t, &err));
  for (int i = 0; i < 2000; i++) {
    char text[200] = "";
    for (uint64_t k = mcli_rng_below(&r, 30); k > 0; k--)
      strcat(text, parts[mcli_rng_below(&r, (uint64_t)COUNT(parts))]);
    CHECK_OK(mcl_tokenizer_encode(t, &(const char *){text}, 1, row, NULL, &err));
    const char *back = decoded(t, row, WIDE);
    CHECK_OK(mcl_tokenizer_encode(t, &back, 1, again, NULL, &err));
    ck_assert_msg(memcmp(row, again, sizeof row) == 0, "%s | %s", text, back);
  }
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_row_without_an_end_ends_before_its_padding) {
  c = test_context(1);
  mcl_tokenizer *t = load_golden(c, NULL, NULL, "ordered.txt");
  int32_t start = mcl_tokenizer_start(t), end = mcl_tokenizer_end(t), a = 256 + 'a' - '!';
  ck_assert_str_eq(decoded(t, (int32_t[]){start, a, 0, a, 0, 0}, 6), "a !a");
  ck_assert_str_eq(decoded(t, (int32_t[]){a, end, a}, 3), "a");
  ck_assert_str_eq(decoded(t, (int32_t[]){start, start, a}, 3), "a");
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bytes_that_are_no_text_read_back_as_replacements) {
  c = test_context(1);
  mcl_tokenizer *t = load_golden(c, NULL, NULL, "ordered.txt");
  int32_t row[77];
  CHECK_OK(mcl_tokenizer_encode(t, &(const char *){"ä"}, 1, row, NULL, &err));
  ck_assert_str_eq(decoded(t, row + 1, 2), "ä");
  ck_assert_str_eq(decoded(t, row + 1, 1), "\xEF\xBF\xBD");
  ck_assert_str_eq(decoded(t, row + 2, 1), "\xEF\xBF\xBD");
  // CLIP's order: the 188 bytes that are printed, then NUL.
  ck_assert_str_eq(decoded(t, (int32_t[]){188}, 1), "\xEF\xBF\xBD");
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(reading_back_refuses_ids_and_buffers_that_do_not_fit) {
  c = test_context(1);
  mcl_tokenizer *t = load_golden(c, NULL, NULL, "ordered.txt");
  char text[4] = "xyz";
  size_t wanted = 0;
  int32_t a = 256 + 'a' - '!', tokens[] = {a, a, mcl_tokenizer_vocabulary(t)};
  CHECK_FAILS(MCL_E_LIMIT, "tokens[2]", mcl_tokenizer_decode(t, tokens, 3, text, 4, NULL, &err));
  ck_assert_int_eq(err.row, 2);
  tokens[0] = -1;
  CHECK_FAILS(MCL_E_LIMIT, "tokens[0] is -1",
              mcl_tokenizer_decode(t, tokens, 3, text, 4, NULL, &err));
  tokens[0] = a;
  CHECK_FAILS(MCL_E_LIMIT, "capacity", mcl_tokenizer_decode(t, tokens, 2, text, 3, &wanted, &err));
  ck_assert_uint_eq(wanted, 4);
  ck_assert_str_eq(text, "xyz");
  CHECK_OK(mcl_tokenizer_decode(t, tokens, 2, text, 4, &wanted, &err));
  ck_assert_str_eq(text, "a a");
  CHECK_FAILS(MCL_E_INVALID, "n is -1", mcl_tokenizer_decode(t, tokens, -1, text, 4, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "tokens", mcl_tokenizer_decode(t, NULL, 1, text, 4, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "tokenizer",
              mcl_tokenizer_decode(NULL, tokens, 1, text, 4, NULL, &err));
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

// ---- texts that are refused ---------------------------------------------------------------------

START_TEST(bytes_that_are_not_utf8_are_named_or_replaced) {
  static const struct {
    const char *text;
    int place;
    const char *mended;
  } cases[] = {{"ab\xFF"
                "c",
                2,
                "ab\xEF\xBF\xBD"
                "c"},
               {"\x80", 0, "\xEF\xBF\xBD"},
               {"\xC3", 0, "\xEF\xBF\xBD"},
               {"ä\xED\xA0\x80", 2, "ä\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
               {"x \xF4\x90", 2, "x \xEF\xBF\xBD\xEF\xBF\xBD"},
               {"Σ\xFF", 2, "σ\xEF\xBF\xBD"}};
  c = test_context(1);
  for (int i = 0; i < COUNT(cases); i++) {
    mcl_tokenizer_options o = token_options(20);
    mcl_tokenizer *t = load_golden(c, &o, NULL, "ordered.txt");
    const char *texts[] = {"fine", cases[i].text};
    int32_t rows[2][20] = {{-3}}, wanted[20];
    char place[64];
    snprintf(place, sizeof place, "text 1 is not UTF-8 at byte %d", cases[i].place);
    CHECK_FAILS(MCL_E_FORMAT, place, mcl_tokenizer_encode(t, texts, 2, rows[0], NULL, &err));
    ck_assert_int_eq(err.row, 1);
    ck_assert_int_eq(rows[0][0], -3);
    mcl_tokenizer *none = NULL;
    CHECK_FAILS(MCL_E_FORMAT, place, mcl_tokenizer_create(c, &o, texts, 2, NULL, &none, &err));
    ck_assert_ptr_null(none);
    mcl_tokenizer_unref(t);
    o.on_bad_utf8 = MCL_BAD_UTF8_REPLACE;
    t = load_golden(c, &o, NULL, "ordered.txt");
    CHECK_OK(mcl_tokenizer_encode(t, texts, 2, rows[0], NULL, &err));
    CHECK_OK(mcl_tokenizer_encode(t, &cases[i].mended, 1, wanted, NULL, &err));
    ck_assert_mem_eq(rows[1], wanted, sizeof wanted);
    CHECK_OK(mcl_tokenizer_create(c, &o, texts, 2, NULL, &none, &err));
    mcl_tokenizer_unref(none);
    mcl_tokenizer_unref(t);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(texts_that_cannot_be_encoded_are_named) {
  c = test_context(1);
  mcl_tokenizer_options o = token_options(8);
  o.max_text_bytes = 5;
  mcl_tokenizer *t = load_golden(c, &o, NULL, "ordered.txt"), *none = NULL;
  const char *texts[] = {"12345", "123456", NULL};
  int32_t rows[3][8];
  CHECK_OK(mcl_tokenizer_encode(t, texts, 1, rows[0], NULL, &err));
  CHECK_OK(mcl_tokenizer_encode(t, NULL, 0, NULL, NULL, &err));
  CHECK_FAILS(MCL_E_LIMIT, "text 1 has more than 5 bytes",
              mcl_tokenizer_encode(t, texts, 3, rows[0], NULL, &err));
  ck_assert_int_eq(err.row, 1);
  CHECK_FAILS(MCL_E_LIMIT, "text 1", mcl_tokenizer_create(c, &o, texts, 2, NULL, &none, &err));
  texts[1] = "";
  CHECK_FAILS(MCL_E_INVALID, "texts[2]", mcl_tokenizer_encode(t, texts, 3, rows[0], NULL, &err));
  ck_assert_int_eq(err.row, 2);
  CHECK_FAILS(MCL_E_INVALID, "texts[2]", mcl_tokenizer_create(c, &o, texts, 3, NULL, &none, &err));
  CHECK_FAILS(MCL_E_INVALID, "n is -1", mcl_tokenizer_encode(t, texts, -1, rows[0], NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "texts", mcl_tokenizer_encode(t, NULL, 1, rows[0], NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "tokens", mcl_tokenizer_encode(t, texts, 1, NULL, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "tokenizer",
              mcl_tokenizer_encode(NULL, texts, 1, rows[0], NULL, &err));
  ck_assert_ptr_null(none);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(templates_become_prompts_name_by_name) {
  c = test_context(2);
  mcl_tokenizer_options o = token_options(24);
  mcl_tokenizer *t = load_golden(c, &o, NULL, "ordered.txt");
  const char *templates[] = {"a photo of a {}.", "{} {}", "{}{"}, *names[] = {"cat", ""};
  const char *prompts[] = {"a photo of a cat.", "cat cat", "cat{", "a photo of a .", " ", "{"};
  int32_t got[6][24], wanted[6][24];
  CHECK_OK(mcl_tokenizer_encode(t, prompts, 6, wanted[0], NULL, &err));
  CHECK_OK(mcl_tokenizer_encode_templates(t, templates, 3, names, 2, got[0], &err));
  ck_assert_mem_eq(got, wanted, sizeof got);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(templates_that_cannot_be_filled_are_named) {
  c = test_context(1);
  mcl_tokenizer_options o = token_options(24);
  o.max_text_bytes = 8;
  mcl_tokenizer *t = load_golden(c, &o, NULL, "ordered.txt");
  const char *templates[] = {"my {}", "{ }"}, *names[] = {"cat", "elephant", NULL};
  int32_t rows[6][24];
#define ENCODE(t, templates, n, names, m, rows)                                                    \
  mcl_tokenizer_encode_templates(t, templates, n, names, m, rows, &err)
  CHECK_FAILS(MCL_E_INVALID, "tokenizer", ENCODE(NULL, templates, 1, names, 1, rows[0]));
  CHECK_FAILS(MCL_E_INVALID, "no templates", ENCODE(t, templates, 0, names, 1, rows[0]));
  CHECK_FAILS(MCL_E_INVALID, "no templates", ENCODE(t, NULL, 1, names, 1, rows[0]));
  CHECK_FAILS(MCL_E_INVALID, "no names", ENCODE(t, templates, 1, names, 0, rows[0]));
  CHECK_FAILS(MCL_E_INVALID, "name 2 is NULL", ENCODE(t, templates, 1, names, 3, rows[0]));
  CHECK_FAILS(MCL_E_INVALID, "template 1 has no {}", ENCODE(t, templates, 2, names, 1, rows[0]));
  ck_assert_int_eq(err.row, 1);
  CHECK_FAILS(MCL_E_LIMIT, "more than 8 bytes", ENCODE(t, templates, 1, names, 2, rows[0]));
  ck_assert_int_eq(err.row, 1); // the prompt's
  CHECK_FAILS(MCL_E_INVALID, "tokens", ENCODE(t, templates, 1, names, 1, NULL));
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(options_out_of_range_are_named) {
  c = test_context(1);
  const char *texts[] = {"a"};
  mcl_tokenizer *t = NULL;
#define REFUSED(field, value)                                                                      \
  do {                                                                                             \
    mcl_tokenizer_options o = token_options(8);                                                    \
    o.field = value;                                                                               \
    CHECK_FAILS(MCL_E_INVALID, #field, mcl_tokenizer_create(c, &o, texts, 1, NULL, &t, &err));     \
    CHECK_FAILS(MCL_E_INVALID, #field, mcl_tokenizer_load(c, &o, NULL, "x", &t, &err));            \
  } while (0)
  REFUSED(max_text_bytes, 0);
  REFUSED(max_text_bytes, (1 << 20) + 1);
  REFUSED(max_file_bytes, 0);
  REFUSED(max_file_bytes, ((int64_t)1 << 30) + 1);
  REFUSED(vocabulary, 513);
  REFUSED(vocabulary, (1 << 20) + 1);
  REFUSED(context, 1);
  REFUSED(context, 65537);
  REFUSED(padding, -1);
  REFUSED(padding, 49408);
  REFUSED(min_count, 0);
  REFUSED(on_long, 3);
  REFUSED(on_bad_utf8, 0);
#undef REFUSED
  mcl_tokenizer_options o = token_options(8);
  o.padding = 514; // below options.vocabulary, but not the one that is learnt
  CHECK_FAILS(MCL_E_INVALID, "padding", mcl_tokenizer_create(c, &o, texts, 1, NULL, &t, &err));
  o.padding = 513;
  CHECK_FAILS(MCL_E_INVALID, "n is 0", mcl_tokenizer_create(c, &o, texts, 0, NULL, &t, &err));
  CHECK_FAILS(MCL_E_INVALID, "texts", mcl_tokenizer_create(c, &o, NULL, 1, NULL, &t, &err));
  CHECK_FAILS(MCL_E_INVALID, "out", mcl_tokenizer_create(c, &o, texts, 1, NULL, NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "context", mcl_tokenizer_create(NULL, &o, texts, 1, NULL, &t, &err));
  ck_assert_ptr_null(t);
  CHECK_OK(mcl_tokenizer_create(c, &o, texts, 1, NULL, &t, &err));
  ck_assert_int_eq(mcl_tokenizer_vocabulary(t), 514);
  ck_assert_ptr_eq(mcl_tokenizer_ref(t), t);
  mcl_tokenizer_unref(t);
  mcl_tokenizer_unref(t);
  mcl_tokenizer_unref(NULL);
  ck_assert_ptr_null(mcl_tokenizer_ref(NULL));
  ck_assert_int_eq(mcl_tokenizer_vocabulary(NULL), 0);
  ck_assert_int_eq(mcl_tokenizer_context(NULL), 0);
  ck_assert_int_eq(mcl_tokenizer_start(NULL), -1);
  ck_assert_int_eq(mcl_tokenizer_end(NULL), -1);
  ck_assert_int_eq(mcl_tokenizer_padding(NULL), -1);
  ck_assert_uint_eq(mcl_tokenizer_fingerprint(NULL), 0);
  mcl_context_unref(c);
}
END_TEST

// ---- learning -----------------------------------------------------------------------------------

// A text of one word that the alphabet spells as it is.
static void check_token(const mcl_tokenizer *t, int32_t id, const char *text) {
  ck_assert_str_eq(decoded(t, &id, 1), text);
}

START_TEST(equal_counts_go_to_the_smaller_ids) { // (2)
  c = test_context(1);
  mcl_tokenizer *t = train((const char *[]){"zbcd zbcd xbcy"}, 1, 516);
  check_token(t, 512, "bc"); // three times, the others twice
  // z bc and bc d, twice each; z is the smaller left piece.
  check_token(t, 513, "zbc");
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(neighbours_that_overlap_are_both_counted) { // (1)
  c = test_context(1);
  // a a: twice in each aaab, four times; b c: three times.
  mcl_tokenizer *t = train((const char *[]){"aaab aaab bcd bcd bcd"}, 1, 515);
  check_token(t, 512, "aa");
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(rare_pairs_are_not_merged) {
  c = test_context(1);
  const char *texts[] = {"ab ab cd"};
  mcl_tokenizer_options o = token_options(8);
  for (int32_t least = 1; least <= 3; least++) {
    mcl_tokenizer *t = NULL;
    o.min_count = least;
    CHECK_OK(mcl_tokenizer_create(c, &o, texts, 1, NULL, &t, &err));
    ck_assert_int_eq(mcl_tokenizer_vocabulary(t), 514 + 3 - least);
    mcl_tokenizer_unref(t);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_order_of_the_texts_plays_no_part) {
  enum { N = sizeof corpus / sizeof *corpus };
  const char *turned[N];
  uint64_t first = 0;
  for (int i = 0; i < N; i++)
    turned[i] = corpus[(i * 5 + 3) % N]; // 5 and 16 have no common divisor
  for (uint32_t threads = 1; threads <= 2; threads++) {
    c = test_context(threads);
    mcl_tokenizer *a = train(corpus, N, 560), *b = train(turned, N, 560),
                  *o = train(corpus, N, 559);
    ck_assert_int_eq(mcl_tokenizer_vocabulary(a), 560);
    ck_assert_uint_eq(mcl_tokenizer_fingerprint(a), mcl_tokenizer_fingerprint(b));
    ck_assert_uint_ne(mcl_tokenizer_fingerprint(a), mcl_tokenizer_fingerprint(o));
    if (threads == 1) first = mcl_tokenizer_fingerprint(a);
    ck_assert_uint_eq(mcl_tokenizer_fingerprint(a), first);
    mcl_tokenizer_unref(a);
    mcl_tokenizer_unref(b);
    mcl_tokenizer_unref(o);
    mcl_context_unref(c);
  }
}
END_TEST

static int calls, cancel_at;
static int32_t watch(void *user, const mcl_progress *p) {
  (void)user;
  ck_assert(strcmp(p->phase, "count") == 0 || strcmp(p->phase, "merge") == 0);
  ck_assert_int_le(p->done, p->total);
  return ++calls == cancel_at;
}

START_TEST(learning_can_be_watched_and_cancelled) {
  c = test_context(1);
  mcl_monitor m;
  mcl_tokenizer *t = NULL;
  mcl_struct_init(&m, sizeof m);
  m.progress = watch;
  calls = 0, cancel_at = 1;
  CHECK_FAILS(MCL_E_CANCELLED, "",
              mcl_tokenizer_create(c, NULL, corpus, COUNT(corpus), &m, &t, &err));
  ck_assert_ptr_null(t);
  cancel_at = 0;
  CHECK_OK(mcl_tokenizer_create(c, NULL, corpus, COUNT(corpus), &m, &t, &err));
  ck_assert_int_gt(calls, 1);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

// ---- long words ---------------------------------------------------------------------------------

enum { MERGES = 200, LONGEST = 700 };

// Pieces of a and b, joined at random; the merges stand in any order, also before those of their pieces.
static void make_vocabulary(mcli_vocabulary *v, uint64_t seed) {
  mcli_rng r = mcli_rng_make(seed, MCLI_RNG_DATA, 0, 0);
  int32_t pairs[MERGES][3];
  for (int i = 0; i < 2; i++)
    CHECK_OK(mcli_vocabulary_add(
        v, &"ab" [i], 1, 0, &(int32_t) { 0 }, &err));
  for (int i = 0; i < MERGES; i++) {
    do
      for (int k = 0; k < 2; k++) pairs[i][k] = (int32_t)mcli_rng_below(&r, (uint64_t)v->n);
    while (v->tokens[pairs[i][0]].length + v->tokens[pairs[i][1]].length > 16);
    CHECK_OK(mcli_vocabulary_join(v, pairs[i][0], pairs[i][1], 1, &pairs[i][2], &err));
  }
  for (int i = MERGES; i-- > 0;) {
    int32_t *p = pairs[mcli_rng_below(&r, 2) ? i : (int)mcli_rng_below(&r, MERGES)];
    if (mcli_vocabulary_rank(v, p[0], p[1]) < 0)
      CHECK_OK(mcli_vocabulary_add_merge(v, p[0], p[1], p[2], &err));
  }
}

START_TEST(a_long_word_is_merged_as_a_short_one) { // long_word.c (1), against vocabulary.c (1)
  c = test_context(1);
  static int32_t word[LONGEST], other[LONGEST], ranks[LONGEST], room[LONGEST * MCLI_MERGE_ROOM];
  int joined = 0;
  for (uint64_t seed = 0; seed < 40; seed++) {
    mcli_vocabulary v = {.context = c};
    make_vocabulary(&v, seed);
    mcli_rng r = mcli_rng_make(seed, MCLI_RNG_DATA, 1, 0);
    for (int64_t n = 0; n <= LONGEST; n += n < 20 ? 1 : 34) {
      // Every other word of one letter, whose pairs all overlap.
      for (int64_t i = 0; i < n; i++) word[i] = n % 2 ? (int32_t)mcli_rng_below(&r, 2) : 0;
      memcpy(other, word, sizeof word);
      int64_t left = mcli_vocabulary_merge_short(&v, word, n, ranks);
      ck_assert_int_eq(mcli_vocabulary_merge_long(&v, other, n, room), left);
      ck_assert_mem_eq(other, word, (size_t)left * sizeof *word);
      joined += left < n;
    }
    mcli_vocabulary_free(&v);
  }
  ck_assert_int_gt(joined, 800);
  mcl_context_unref(c);
}
END_TEST

// A file could else be made whose tokens all have one hash.
START_TEST(no_two_vocabularies_hash_alike) {
  c = test_context(1);
  mcli_vocabulary a = {.context = c}, b = {.context = c};
  CHECK_OK(mcli_vocabulary_add_alphabet(&a, &err));
  CHECK_OK(mcli_vocabulary_add_alphabet(&b, &err));
  ck_assert_uint_ne(a.seed, b.seed);
  ck_assert_uint_eq(mcli_vocabulary_hash(&a), mcli_vocabulary_hash(&b)); // and are the same
  mcli_vocabulary_free(&a);
  mcli_vocabulary_free(&b);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("tokenizer", words_are_those_of_the_plain_twin, ids_are_those_of_the_plain_twin,
          a_row_is_start_pieces_end_and_padding, a_long_text_is_cut_before_its_end_token_or_fails,
          a_caption_cannot_end_its_row, rows_do_not_depend_on_threads_or_company,
          a_row_reads_back_as_its_words, what_was_read_back_encodes_to_the_same_row,
          a_row_without_an_end_ends_before_its_padding,
          bytes_that_are_no_text_read_back_as_replacements,
          reading_back_refuses_ids_and_buffers_that_do_not_fit,
          bytes_that_are_not_utf8_are_named_or_replaced, texts_that_cannot_be_encoded_are_named,
          templates_become_prompts_name_by_name, templates_that_cannot_be_filled_are_named,
          options_out_of_range_are_named, equal_counts_go_to_the_smaller_ids,
          neighbours_that_overlap_are_both_counted, rare_pairs_are_not_merged,
          the_order_of_the_texts_plays_no_part, learning_can_be_watched_and_cancelled,
          a_long_word_is_merged_as_a_short_one, no_two_vocabularies_hash_alike)
