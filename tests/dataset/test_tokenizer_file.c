// A vocabulary's files: what is read, what is refused and how it is named, and every request for
// memory failing in turn.
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "dataset/texts.h"
#include "golden/tokenizer.h"

static mcl_context *c;
static mcl_error err;
static char directory[4096];

static const char *in(const char *name) {
  static char path[4][8300];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
  return path[turn];
}

static void put(const char *name, const char *text, int64_t n) {
  CHECK_OK(mcli_file_write_all(c, in(name), text, n, &err));
}

static char *get(const char *name, int64_t *n) {
  unsigned char *bytes = NULL;
  CHECK_OK(mcli_file_read_all(c, in(name), 1 << 20, &bytes, n, &err));
  return (char *)bytes;
}

static void start(const char *name) {
  c = test_context(1);
  snprintf(directory, sizeof directory, "%s", test_directory(name));
}

static mcl_tokenizer *load(const char *vocabulary, const char *merges) {
  mcl_tokenizer *t = NULL;
  CHECK_OK(mcl_tokenizer_load(c, NULL, vocabulary ? in(vocabulary) : NULL, in(merges), &t, &err));
  return t;
}

static mcl_tokenizer *learn(int32_t vocabulary) {
  mcl_tokenizer_options o = token_options(77);
  mcl_tokenizer *t = NULL;
  o.vocabulary = vocabulary;
  CHECK_OK(mcl_tokenizer_create(c, &o, corpus, COUNT(corpus), NULL, &t, &err));
  return t;
}

static void check_same(const mcl_tokenizer *a, const mcl_tokenizer *b) {
  static int32_t rows[2][sizeof sentences / sizeof *sentences][77];
  ck_assert_uint_eq(mcl_tokenizer_fingerprint(a), mcl_tokenizer_fingerprint(b));
  CHECK_OK(mcl_tokenizer_encode(a, sentences, COUNT(sentences), rows[0][0], NULL, &err));
  CHECK_OK(mcl_tokenizer_encode(b, sentences, COUNT(sentences), rows[1][0], NULL, &err));
  ck_assert_mem_eq(rows[0], rows[1], sizeof rows[0]);
}

// ---- both ways ----------------------------------------------------------------------------------

START_TEST(what_is_saved_is_loaded) {
  start("tokenizer_saved");
  mcl_tokenizer *made[] = {learn(600), load_golden(c, NULL, "vocab.json", "merges.txt")};
  for (int i = 0; i < 2; i++) {
    CHECK_OK(mcl_tokenizer_save(made[i], in("vocab.json"), in("merges.txt"), &err));
    mcl_tokenizer *back = load("vocab.json", "merges.txt");
    check_same(made[i], back);
    mcl_tokenizer_unref(back);
  }
  // Where ids are laid out as CLIP's, the merges are enough.
  CHECK_OK(mcl_tokenizer_save(made[0], NULL, in("alone.txt"), &err));
  mcl_tokenizer *back = load(NULL, "alone.txt");
  check_same(made[0], back);
  mcl_tokenizer_unref(back);
  CHECK_FAILS(MCL_E_UNSUPPORTED, "vocabulary is NULL",
              mcl_tokenizer_save(made[1], NULL, in("none.txt"), &err));
  ck_assert(!mcli_file_exists(in("none.txt")));
  mcl_tokenizer_unref(made[0]);
  mcl_tokenizer_unref(made[1]);
  mcl_context_unref(c);
}
END_TEST

START_TEST(what_is_learnt_is_spelt_as_the_twin_spells_it) {
  start("tokenizer_spelt");
  mcl_tokenizer *t = learn(600);
  int64_t n, m;
  unsigned char *wanted = NULL;
  CHECK_OK(mcl_tokenizer_save(t, NULL, in("merges.txt"), &err));
  char *text = get("merges.txt", &n);
  CHECK_OK(mcli_file_read_all(c, golden("learnt.txt"), 1 << 20, &wanted, &m, &err));
  ck_assert(strncmp(text, "#version: 0.2 libmcl ", 21) == 0);
  ck_assert_str_eq(strchr(text, '\n') + 1, (char *)wanted);
  mcli_free(c, text);
  mcli_free(c, wanted);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(files_of_two_savings_are_not_taken_for_a_pair) {
  start("tokenizer_torn");
  mcl_tokenizer *small = learn(540), *large = learn(560), *t = NULL;
  CHECK_OK(mcl_tokenizer_save(small, in("small.json"), in("small.txt"), &err));
  CHECK_OK(mcl_tokenizer_save(large, in("large.json"), in("large.txt"), &err));
  CHECK_FAILS(MCL_E_MISMATCH, "small.txt was saved with another vocabulary",
              mcl_tokenizer_load(c, NULL, in("large.json"), in("small.txt"), &t, &err));
  CHECK_FAILS(MCL_E_FORMAT, "large.txt, line 28: the result is no token",
              mcl_tokenizer_load(c, NULL, in("small.json"), in("large.txt"), &t, &err));
  ck_assert_ptr_null(t);
  mcl_tokenizer_unref(small);
  mcl_tokenizer_unref(large);
  mcl_context_unref(c);
}
END_TEST

START_TEST(saving_that_fails_leaves_the_files_as_they_were) {
  start("tokenizer_as_before");
  mcl_tokenizer *t = learn(540);
  put("vocab.json", "old", 3);
  put("merges.txt", "old", 3);
  CHECK_FAILS(MCL_E_NOT_FOUND, "nowhere",
              mcl_tokenizer_save(t, in("vocab.json"), in("nowhere/merges.txt"), &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "nowhere",
              mcl_tokenizer_save(t, in("nowhere/vocab.json"), in("merges.txt"), &err));
  CHECK_FAILS(MCL_E_INVALID, "merges", mcl_tokenizer_save(t, in("vocab.json"), NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "tokenizer", mcl_tokenizer_save(NULL, NULL, in("merges.txt"), &err));
  mcli_listing l;
  CHECK_OK(mcli_directory_list(c, directory, &l, &err));
  ck_assert_int_eq(l.n, 2);
  for (int i = 0; i < 2; i++) {
    int64_t n;
    char *text = get(l.entries[i].name, &n);
    ck_assert_str_eq(text, "old");
    mcli_free(c, text);
  }
  mcli_listing_free(c, &l);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

// ---- the merges ---------------------------------------------------------------------------------

static void check_merges(mcl_status status, const char *word, const char *text) {
  mcl_tokenizer *t = NULL;
  put("m.txt", text, (int64_t)strlen(text));
  mcl_status s = mcl_tokenizer_load(c, NULL, NULL, in("m.txt"), &t, &err);
  ck_assert_msg(s == status && strstr(err.message, word), "%s: %s: %s", text, mcl_status_name(s),
                err.message);
  mcl_tokenizer_unref(t);
}

START_TEST(merges_that_are_wrong_are_named_by_their_line) {
  start("tokenizer_merges");
  check_merges(MCL_OK, "", "");
  check_merges(MCL_OK, "", "#version: 0.2\n");
  check_merges(MCL_OK, "", "\"bpe_simple_vocab_16e6.txt#version: 0.2\na b\n\n");
  check_merges(MCL_OK, "", "a b\r\nab c</w>\r\n");
  check_merges(MCL_E_FORMAT, "m.txt, line 1: not two pieces", "ab\n");
  check_merges(MCL_E_FORMAT, "m.txt, line 2: not two pieces", "a b\n\nc d\n");
  check_merges(MCL_E_FORMAT, "line 2: not two pieces", "a b\na b c\n");
  check_merges(MCL_E_FORMAT, "line 2: not two pieces", "a b\n#version: 0.2 \n");
  check_merges(MCL_E_FORMAT, "line 1: the left piece is no token", " b\n");
  check_merges(MCL_E_FORMAT, "line 1: the left piece is no token", "</w> b\n");
  check_merges(MCL_E_FORMAT, "line 2: the left piece is no token", "#version\nab c\n");
  check_merges(MCL_E_FORMAT, "line 1: the right piece is no token", "a \n");
  check_merges(MCL_E_FORMAT, "line 1: the right piece is no token", "a \xFF\n");
  check_merges(MCL_E_FORMAT, "line 1: the right piece is no token", "a \xC5\x84\n"); // U+0144
  check_merges(MCL_E_FORMAT, "line 1: the right piece is no token", "a \xC2\xAD\n"); // spelt Ń
  check_merges(MCL_OK, "", "a \xC5\x83\n");                                          // U+0143
  check_merges(MCL_E_FORMAT, "line 1: the left piece ends a word", "a</w> b\n");
  check_merges(MCL_E_FORMAT, "line 3: the pair has been merged before", "a b\nc d\na b\n");
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_result_that_is_there_gets_no_second_id) {
  start("tokenizer_again");
  put("m.txt", "a b\nb c\nab c\na bc\n", 18);
  mcl_tokenizer *t = load(NULL, "m.txt");
  ck_assert_int_eq(mcl_tokenizer_vocabulary(t), 514 + 3);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

START_TEST(merges_beyond_the_vocabulary_are_not_read) {
  start("tokenizer_full");
  mcl_tokenizer_options o = token_options(77);
  mcl_tokenizer *t = NULL;
  o.vocabulary = 516;
  put("m.txt", "#version: 0.2\na b\nb c\nthis is not read\n", 38);
  CHECK_OK(mcl_tokenizer_load(c, &o, NULL, in("m.txt"), &t, &err));
  ck_assert_int_eq(mcl_tokenizer_vocabulary(t), 516);
  mcl_tokenizer_unref(t);
  mcl_context_unref(c);
}
END_TEST

// ---- the vocabulary -----------------------------------------------------------------------------

// The golden vocabulary with one text in it replaced.
static void change(const char *from, const char *to) {
  unsigned char *bytes = NULL;
  int64_t n;
  CHECK_OK(mcli_file_read_all(c, golden("vocab.json"), 1 << 20, &bytes, &n, &err));
  char *at = strstr((char *)bytes, from), *out = calloc(1, (size_t)n + strlen(to) + 1);
  ck_assert_ptr_nonnull(at);
  memcpy(out, bytes, (size_t)(at - (char *)bytes));
  strcat(out, to);
  strcat(out, at + strlen(from));
  put("v.json", out, (int64_t)strlen(out));
  free(out);
  mcli_free(c, bytes);
}

static void check_vocabulary(mcl_status status, const char *word, const char *from,
                             const char *to) {
  mcl_tokenizer *t = NULL;
  change(from, to);
  mcl_status s = mcl_tokenizer_load(c, NULL, in("v.json"), golden("merges.txt"), &t, &err);
  ck_assert_msg(s == status && strstr(err.message, word), "%s for %s: %s: %s", to, from,
                mcl_status_name(s), err.message);
  mcl_tokenizer_unref(t);
}

START_TEST(vocabularies_that_are_wrong_are_refused) {
  start("tokenizer_vocabulary");
  check_vocabulary(MCL_OK, "", "{", " {\n");
  check_vocabulary(MCL_E_FORMAT, "v.json: an object was expected, at byte 0", "{", "[");
  check_vocabulary(MCL_E_FORMAT, "a non-negative integer was expected", "\"!\": 532", "\"!\": -1");
  check_vocabulary(MCL_E_FORMAT, "something follows", ": 0}", ": 0}}");
  check_vocabulary(MCL_E_FORMAT, "an id is given twice", "\"!\": 532", "\"!\": 531");
  check_vocabulary(MCL_E_FORMAT, "has 533 tokens, but none of id 532", "\"!\": 532", "\"!\": 533");
  check_vocabulary(MCL_E_FORMAT, "an id is too large", "\"!\": 532", "\"!\": 49408");
  check_vocabulary(MCL_E_FORMAT, "tokens 531 and 532 are the same", "\"!\": 532", "\"\\\"\": 532");
  check_vocabulary(MCL_E_FORMAT, "token 532 is empty", "\"!\": 532", "\"\": 532");
  check_vocabulary(MCL_E_FORMAT, "token 532 is empty", "\"!\": 532", "\"</w>\": 532");
  check_vocabulary(MCL_E_FORMAT, "token 532 is empty or has a character for no byte", "\"!\": 532",
                   "\"a b\": 532");
  check_vocabulary(MCL_E_FORMAT, "no token for the byte 35", "\"#\": 530", "\"none\": 530");
  check_vocabulary(MCL_E_FORMAT, "no token for the byte 35 at the end", "\"#</w>\"", "\"none\"");
  check_vocabulary(MCL_E_FORMAT, "no token <|endoftext|>", "<|endoftext|>", "<|end|>");
  check_vocabulary(MCL_E_FORMAT, "no token <|startoftext|>", "<|startoftext|>", "<|start|>");
  check_vocabulary(MCL_E_FORMAT, "line 7: the result is no token", "\"he\"", "\"none\"");
  mcl_context_unref(c);
}
END_TEST

START_TEST(files_that_cannot_be_read_are_named) {
  start("tokenizer_files");
  mcl_tokenizer *t = NULL;
  CHECK_FAILS(MCL_E_NOT_FOUND, "none.txt",
              mcl_tokenizer_load(c, NULL, NULL, in("none.txt"), &t, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "none.json",
              mcl_tokenizer_load(c, NULL, in("none.json"), golden("merges.txt"), &t, &err));
  CHECK_FAILS(MCL_E_IO, "not a regular file",
              mcl_tokenizer_load(c, NULL, NULL, directory, &t, &err));
  put("bad.gz", "\x1F\x8B\x08 nothing", 11);
  CHECK_FAILS(MCL_E_FORMAT, "bad.gz", mcl_tokenizer_load(c, NULL, NULL, in("bad.gz"), &t, &err));
  mcl_tokenizer_options o = token_options(77);
  o.max_file_bytes = 100;
  CHECK_FAILS(MCL_E_LIMIT, "merges.txt",
              mcl_tokenizer_load(c, &o, NULL, golden("merges.txt"), &t, &err));
  CHECK_FAILS(MCL_E_INVALID, "merges", mcl_tokenizer_load(c, NULL, NULL, NULL, &t, &err));
  CHECK_FAILS(MCL_E_INVALID, "out",
              mcl_tokenizer_load(c, NULL, NULL, golden("merges.txt"), NULL, &err));
  CHECK_FAILS(MCL_E_INVALID, "context",
              mcl_tokenizer_load(NULL, NULL, NULL, golden("merges.txt"), &t, &err));
  o = token_options(77);
  o.padding = 533;
  CHECK_FAILS(MCL_E_INVALID, "padding is 533, the vocabulary has 533",
              mcl_tokenizer_load(c, &o, golden("vocab.json"), golden("merges.txt"), &t, &err));
  ck_assert_ptr_null(t);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("tokenizer_file", what_is_saved_is_loaded, what_is_learnt_is_spelt_as_the_twin_spells_it,
          files_of_two_savings_are_not_taken_for_a_pair,
          saving_that_fails_leaves_the_files_as_they_were,
          merges_that_are_wrong_are_named_by_their_line, a_result_that_is_there_gets_no_second_id,
          merges_beyond_the_vocabulary_are_not_read, vocabularies_that_are_wrong_are_refused,
          files_that_cannot_be_read_are_named)
