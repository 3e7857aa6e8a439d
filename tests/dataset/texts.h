// Tokenizers of the golden files, for the tests of texts.
#ifndef MCL_TESTS_DATASET_TEXTS_H
#define MCL_TESTS_DATASET_TEXTS_H

#include "support/suite.h"

#include <stdio.h>
#include <string.h>

#include <libmcl/tokenizer.h>

#define COUNT(a) ((int64_t)(sizeof(a) / sizeof *(a)))

static inline const char *golden(const char *name) {
  static char path[4][4096];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", test_path("golden/tokenizer"), name);
  return path[turn];
}

static inline mcl_tokenizer_options token_options(int32_t context) {
  mcl_tokenizer_options o;
  mcl_tokenizer_options_init(&o, sizeof o);
  o.context = context;
  return o;
}

// vocabulary NULL: of merges alone.
static inline mcl_tokenizer *load_golden(mcl_context *c, const mcl_tokenizer_options *o,
                                         const char *vocabulary, const char *merges) {
  mcl_error err;
  mcl_tokenizer *t = NULL;
  CHECK_OK(
      mcl_tokenizer_load(c, o, vocabulary ? golden(vocabulary) : NULL, golden(merges), &t, &err));
  return t;
}

static inline const char *decoded(const mcl_tokenizer *t, const int32_t *tokens, int64_t n) {
  static char text[1 << 16];
  mcl_error err;
  CHECK_OK(mcl_tokenizer_decode(t, tokens, n, text, sizeof text, NULL, &err));
  return text;
}

#endif
