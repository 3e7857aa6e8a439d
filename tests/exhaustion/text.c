// Tokenizers.
#include "exhaustion/exhaust.h"

#include <libmcl/tokenizer.h>

static const char *const texts[] = {"a cat on a mat", "A Cat, and a dog's 12 hats", "\xc3\x84pfel"};
enum { TEXTS = sizeof texts / sizeof *texts, CONTEXT = 9, PROMPTS = 4 };
static mcl_tokenizer *tokenizer, *made;
static int32_t tokens[PROMPTS * CONTEXT], lengths[TEXTS];
static char text[64];
static size_t wanted;

static mcl_tokenizer_options options(void) {
  mcl_tokenizer_options o;
  mcl_tokenizer_options_init(&o, sizeof o);
  o.context = CONTEXT, o.vocabulary = 530;
  return o;
}

static mcl_status learn(mcl_tokenizer **out) {
  mcl_tokenizer_options o = options();
  return mcl_tokenizer_create(c, &o, texts, TEXTS, NULL, out, &err);
}

static void prepare_learning(void) {
  tokenizer = NULL;
  made = UNTOUCHED;
}

static void prepare(void) {
  PATTERN(tokens), PATTERN(lengths), PATTERN(text), PATTERN(wanted);
  CHECK_OK(learn(&tokenizer));
  made = UNTOUCHED;
}

static void see_tokenizer(seen *s, const mcl_tokenizer *t) {
  int32_t row[CONTEXT];
  see_number(s, (double)(mcl_tokenizer_fingerprint(t) >> 12));
  CHECK_OK(mcl_tokenizer_encode(t, texts, 1, row, NULL, &err));
  see(s, row, sizeof row);
}

static void look(seen *s) {
  see_files(s);
  see(s, tokens, sizeof tokens);
  see(s, lengths, sizeof lengths);
  see(s, text, sizeof text);
  see(s, &wanted, sizeof wanted);
  if (tokenizer) see_tokenizer(s, tokenizer);
  see_number(s, IS_MADE(made));
  if (IS_MADE(made)) see_tokenizer(s, made);
}

static void finish(void) {
  mcl_tokenizer_unref(tokenizer);
  if (IS_MADE(made)) mcl_tokenizer_unref(made);
}

static mcl_status create(void) {
  return learn(&made);
}

static mcl_status save(void) {
  return mcl_tokenizer_save(tokenizer, in("vocab.json"), in("merges.txt"), &err);
}

// Old files of another tokenizer: a save that fails must not leave one file of each.
static void prepare_saving(void) {
  mcl_tokenizer_options o = options();
  mcl_tokenizer *old = NULL;
  prepare();
  CHECK_OK(mcl_tokenizer_create(c, &o, texts, 1, NULL, &old, &err));
  CHECK_OK(mcl_tokenizer_save(old, in("vocab.json"), in("merges.txt"), &err));
  mcl_tokenizer_unref(old);
}

static void prepare_saved(void) {
  prepare();
  CHECK_OK(save());
}

static mcl_status load(void) {
  mcl_tokenizer_options o = options();
  return mcl_tokenizer_load(c, &o, in("vocab.json"), in("merges.txt"), &made, &err);
}

static mcl_status load_merges(void) {
  mcl_tokenizer_options o = options();
  return mcl_tokenizer_load(c, &o, NULL, in("merges.txt"), &made, &err);
}

static mcl_status encode(void) {
  return mcl_tokenizer_encode(tokenizer, texts, TEXTS, tokens, lengths, &err);
}

static mcl_status encode_templates(void) {
  return mcl_tokenizer_encode_templates(tokenizer, (const char *const[]){"a {}.", "{} or {}"}, 2,
                                        (const char *const[]){"cat", "dog"}, 2, tokens, &err);
}

static mcl_status decode(void) {
  static const int32_t row[] = {512, 64, 320, 321, 65, 513};
  return mcl_tokenizer_decode(tokenizer, row, 6, text, sizeof text, &wanted, &err);
}

static const exhaust_case cases[] = {
    {"mcl_tokenizer_create", "", prepare_learning, create, look, finish},
    {"mcl_tokenizer_load", "of two files", prepare_saved, load, look, finish},
    {"mcl_tokenizer_load", "of merges alone", prepare_saved, load_merges, look, finish},
    {"mcl_tokenizer_save", "over old files", prepare_saving, save, look, finish},
    {"mcl_tokenizer_encode", "", prepare, encode, look, finish},
    {"mcl_tokenizer_encode_templates", "", prepare, encode_templates, look, finish},
    {"mcl_tokenizer_decode", "", prepare, decode, look, finish},
};
PART(text, cases);
