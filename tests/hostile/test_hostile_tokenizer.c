// A vocabulary's files, and texts, made to cost as much as they can.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmcl/tokenizer.h>

#include "hostile/hostile.h"

// ---- calls -----------------------------------------------------------------------------------------

typedef struct files {
  char vocabulary[3200], merges[3200];
  int alone; // the merges are
  const char *text;
} files;

static mcl_status load(mcl_context *c, void *user, mcl_error *err) {
  const files *f = user;
  mcl_tokenizer *t = NULL;
  mcl_status s = mcl_tokenizer_load(c, NULL, f->alone ? NULL : f->vocabulary, f->merges, &t, err);
  if (s == MCL_OK && f->text) {
    int32_t row[77];
    s = mcl_tokenizer_encode(t, &f->text, 1, row, NULL, err);
  }
  mcl_tokenizer_unref(t);
  return s;
}

static mcl_status learn(mcl_context *c, void *user, mcl_error *err) {
  const blob *lines = user;
  const char **texts = malloc(sizeof *texts * (size_t)MOST_BYTES / 8);
  mcl_tokenizer *t = NULL;
  int64_t n = 0;
  for (const char *at = (const char *)lines->data, *end = at + lines->n; at < end;
       at += strlen(at) + 1)
    texts[n++] = at;
  mcl_status s = mcl_tokenizer_create(c, NULL, texts, n, NULL, &t, err);
  mcl_tokenizer_unref(t);
  free(texts);
  return s;
}

static files begin_files(void) {
  files f = {.alone = 1};
  snprintf(f.vocabulary, sizeof f.vocabulary, "%s", hostile_path("vocab.json"));
  snprintf(f.merges, sizeof f.merges, "%s", hostile_path("merges.txt"));
  return f;
}

static void try_merges(hostile_case h, blob *b, const char *text) {
  files f = begin_files();
  f.text = text;
  h.bytes = (int64_t)b->n;
  h.file = "merges.txt";
  blob_write(b, f.merges);
  blob_free(b);
  run_hostile(&h, load, &f);
  unlink(f.merges);
}

static void try_vocabulary(hostile_case h, blob *b) {
  files f = begin_files();
  blob none = {0};
  f.alone = 0;
  h.bytes = (int64_t)b->n;
  h.file = "vocab.json";
  blob_write(&none, f.merges);
  blob_write(b, f.vocabulary);
  blob_free(b);
  run_hostile(&h, load, &f);
  unlink(f.vocabulary);
  unlink(f.merges);
}

// ---- merges ----------------------------------------------------------------------------------------

START_TEST(a_file_of_merges_that_is_one_line_is_refused_within_the_bound) {
  static const struct {
    const char *text, *why;
  } kinds[] = {{"x", "not two pieces"},      {"\xC5\x83", "not two pieces"},
               {" ", "not two pieces"},      {"\n", "no token <|start"},
               {"x ", "not two pieces"},     {"\r", "not two pieces"},
               {"#version", "no token <|s"}, {"a b\n", "merged before"}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    char name[80];
    blob b = {0};
    size_t n = strlen(kinds[i].text);
    while (b.n + n <= MOST_BYTES) blob_add(&b, kinds[i].text, n);
    snprintf(name, sizeof name, "merges: case %zu, %s", i, kinds[i].why);
    try_merges((hostile_case){.name = name, .accepted = -1, .why = kinds[i].why}, &b, NULL);
  }
  // Two halves, of the character that is the last to be looked for.
  blob b = {0};
  while (b.n < MOST_BYTES / 2 - 4) blob_add(&b, "\xC5\x83", 2);
  blob_add(&b, " ", 1);
  while (b.n < MOST_BYTES - 4) blob_add(&b, "\xC5\x83", 2);
  try_merges((hostile_case){.name = "merges: two pieces of 32 MB", .why = "is no token"}, &b, NULL);
}
END_TEST

START_TEST(merges_that_double_are_read_within_the_bound) {
  blob b = {0}, piece = {0};
  blob_text(&piece, "a");
  while (b.n + 2 * piece.n + 2 <= MOST_BYTES) {
    blob_add(&b, piece.data, piece.n);
    blob_add(&b, " ", 1);
    blob_add(&b, piece.data, piece.n);
    blob_add(&b, "\n", 1);
    blob twice = {0};
    blob_add(&twice, piece.data, piece.n);
    blob_add(&twice, piece.data, piece.n);
    blob_free(&piece);
    piece = twice;
  }
  blob_free(&piece);
  try_merges((hostile_case){.name = "merges: pieces that double, the last of 16 MB", .accepted = 1},
             &b, NULL);
}
END_TEST

// Letters that stand for themselves, 60 of them: as many pieces of three and four letters as are wanted.
static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
static void put_letters(char *to, int n, int letters_n) {
  for (int i = 0; i < letters_n; i++, n /= 26) to[i] = letters[n % 26];
  to[letters_n] = 0;
}

// As many merges as there may be, and a text of one word to which they all apply, one at a time:
// each pair of letters, then of pairs.
START_TEST(a_word_to_which_every_merge_applies_is_encoded_within_the_bound) {
  blob b = {0};
  static char text[65536];
  char left[8], right[8];
  size_t n = 0;
  for (int i = 0; i < 26 * 26; i++) {
    put_letters(left, i, 2);
    blob_text(&b, "%c %c\n", left[0], left[1]);
  }
  for (int i = 0; i < 48000 / SHRINK; i++) {
    int at = (int)((uint32_t)i * 7919u % (676u * 676u));
    put_letters(left, at % 676, 2);
    put_letters(right, at / 676, 2);
    blob_text(&b, "%s %s\n", left, right);
    if (n + 8 < sizeof text) n += (size_t)sprintf(text + n, "%s%s", left, right);
  }
  try_merges(
      (hostile_case){.name = "merges: 48,000, and a word of 64 KB for all of them", .accepted = 1},
      &b, text);
}
END_TEST

START_TEST(texts_of_one_long_word_each_are_encoded_within_the_bound) {
  blob b = {0};
  static char text[65536];
  for (int i = 0; i < 26 * 26; i++) blob_text(&b, "%c %c\n", letters[i / 26], letters[i % 26]);
  blob_noise(&(blob){(uint8_t *)text, 0, sizeof text}, sizeof text - 1, 5);
  for (size_t i = 0; i < sizeof text - 1; i++) text[i] = letters[(uint8_t)text[i] % 26];
  try_merges((hostile_case){.name = "merges: all pairs, and a word of 64 KB of random letters",
                            .accepted = 1},
             &b, text);
}
END_TEST

START_TEST(a_word_of_one_letter_is_encoded_within_the_bound) {
  blob b = {0};
  static char text[65536];
  memset(text, 'a', sizeof text - 1);
  for (int i = 1; i < 3000; i++) { // a piece of i + 1 letters, from i and one
    for (int k = 0; k < i; k++) blob_add(&b, "a", 1);
    blob_text(&b, " a\n");
  }
  try_merges(
      (hostile_case){.name = "merges: 3000 of one letter, and a word of 64 KB", .accepted = 1}, &b,
      text);
}
END_TEST

// ---- vocabularies ----------------------------------------------------------------------------------

START_TEST(a_vocabulary_that_is_no_vocabulary_is_refused_within_the_bound) {
  static const struct {
    const char *begin, *text, *why;
  } kinds[] = {{"{", "\"a\": 0,", "twice"},           {"{\"", "\xC5\x83", "no end"},
               {"{", "\"a\": 9999999,", "too large"}, {"", "{", "a string was expected"},
               {"", " ", "an object was expected"},   {"{\"", "\\u0143", "no end"}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    char name[80];
    blob b = {0};
    size_t n = strlen(kinds[i].text);
    blob_text(&b, "%s", kinds[i].begin);
    while (b.n + n <= MOST_BYTES) blob_add(&b, kinds[i].text, n);
    snprintf(name, sizeof name, "vocabulary: case %zu, %s", i, kinds[i].why);
    try_vocabulary((hostile_case){.name = name, .why = kinds[i].why}, &b);
  }
}
END_TEST

START_TEST(a_vocabulary_of_a_million_tokens_is_refused_within_the_bound) {
  blob b = {0};
  blob_text(&b, "{");
  for (int i = 0; i < 1000000; i++) blob_text(&b, "%s\"t%d\": %d", i ? ", " : "", i, i);
  blob_text(&b, "}");
  try_vocabulary((hostile_case){.name = "vocabulary: 1,000,000 tokens", .why = "too many"}, &b);
}
END_TEST

START_TEST(a_vocabulary_of_tokens_of_megabytes_is_refused_within_the_bound) {
  blob b = {0};
  blob_text(&b, "{\"");
  while (b.n < MOST_BYTES - 100) blob_add(&b, "\xC5\x83", 2);
  blob_text(&b, "\": 0}");
  try_vocabulary(
      (hostile_case){.name = "vocabulary: a token of 64 MB", .why = "no token for the byte"}, &b);
  blob_text(&b, "{");
  for (int i = 0; i < 60 && b.n < MOST_BYTES - MB - 100; i++) {
    blob_text(&b, "%s\"", i ? ", " : "");
    blob_fill(&b, 'a' + i % 26, MB - 100 - (size_t)i);
    blob_text(&b, "\": %d", i);
  }
  blob_text(&b, "}");
  try_vocabulary(
      (hostile_case){.name = "vocabulary: 60 tokens of a megabyte", .why = "no token for the byte"},
      &b);
}
END_TEST

START_TEST(packed_vocabularies_are_not_unpacked_beyond_reason) {
  blob lines = {0}, b = {0};
  blob_fill(&lines, '\n', MB);
  blob_pack(&b, lines.data, lines.n, SANITIZED ? 4000 : 62000, 1, 9);
  blob_free(&lines);
  try_merges((hostile_case){.name = "merges: 60 GB of empty lines, packed 1000:1", .why = "unpack"},
             &b, NULL);
}
END_TEST

// ---- texts -----------------------------------------------------------------------------------------

// Merging a word again and again takes the square of its length.
START_TEST(texts_made_for_learning_to_take_long_are_learnt_from_within_the_bound) {
  blob b = {0};
  for (int k = 0; k < 65535 / (SANITIZED ? 4 : 1); k++)
    blob_add(&b, &letters[(k / 7 + (int64_t)k * k / 31) % 26], 1);
  blob_fill(&b, 0, 1);
  hostile_case h = {.name = "learning: a word of 64 KB", .bytes = (int64_t)b.n, .accepted = 1};
  run_hostile(&h, learn, &b);
  blob_free(&b);
  for (int i = 0; i < 16; i++) {
    blob_fill(&b, 'a', 65535 - (size_t)i);
    blob_fill(&b, 0, 1);
  }
  h = (hostile_case){
      .name = "learning: 16 words of one letter, 64 KB each", .bytes = (int64_t)b.n, .accepted = 1};
  run_hostile(&h, learn, &b);
  blob_free(&b);
  // A capital sigma looks for a letter behind it: apostrophes are passed over.
  for (int i = 0; i < 16; i++) {
    blob_text(&b, "a");
    for (int k = 0; k < 16000; k++) blob_text(&b, "\xCE\xA3'");
    blob_fill(&b, '\'', 10000);
    blob_fill(&b, 0, 1);
  }
  h = (hostile_case){
      .name = "learning: sigmas and apostrophes", .bytes = (int64_t)b.n, .accepted = 1};
  run_hostile(&h, learn, &b);
  blob_free(&b);
}
END_TEST

RUN_TESTS("hostile_tokenizer", a_file_of_merges_that_is_one_line_is_refused_within_the_bound,
          merges_that_double_are_read_within_the_bound,
          a_word_to_which_every_merge_applies_is_encoded_within_the_bound,
          texts_of_one_long_word_each_are_encoded_within_the_bound,
          a_word_of_one_letter_is_encoded_within_the_bound,
          a_vocabulary_that_is_no_vocabulary_is_refused_within_the_bound,
          a_vocabulary_of_a_million_tokens_is_refused_within_the_bound,
          a_vocabulary_of_tokens_of_megabytes_is_refused_within_the_bound,
          packed_vocabularies_are_not_unpacked_beyond_reason,
          texts_made_for_learning_to_take_long_are_learnt_from_within_the_bound)
