// Captions: for each thing that is known of an image one word, for each bit of its code one. They
// are tokenised by a vocabulary that has learnt these words, so that a word is a token. The tokens
// that begin and end a row are left out: a bag knows neither beginning nor end.
#include "image_text.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_WORD = 16, MAX_BITS = 20, MAX_WORDS = MAX_ATTRIBUTES + MAX_BITS, MOST_VALUES = 16 };

void world_know(world *w, const char *name, const char *const *words, int32_t values) {
  w->known[w->n_known++] = (known){name, words, values};
}

int rows_allocate(rows *r, int64_t n, int32_t n_known) {
  r->n = n;
  for (int32_t a = 0; a < n_known; a++) {
    r->values[a] = malloc((size_t)n * sizeof *r->values[a]);
    if (!r->values[a]) return out_of_memory();
  }
  return 0;
}

static void rows_free(rows *r) {
  mcl_dataset_unref(r->joined);
  mcl_dataset_unref(r->images);
  for (int a = 0; a < MAX_ATTRIBUTES; a++) free(r->values[a]);
  free(r->pixels), free(r->tokens);
}

void world_free(world *w) {
  rows_free(&w->train), rows_free(&w->test);
  free(w->category);
}

// "aon" or "aoff" for bit 0, "bon" or "boff" for bit 1, ...
static void bit_word(int bit, int32_t code, char word[LONGEST_WORD]) {
  snprintf(word, LONGEST_WORD, "%c%s", 'a' + bit, code >> bit & 1 ? "on" : "off");
}

static int32_t words_a_caption(const world *w) {
  int32_t n = 0;
  for (int32_t a = 0; a < w->n_known; a++) n += w->known[a].words ? 1 : w->bits;
  return n;
}

// Every word that a caption may have, once.
static int learn_words(mcl_context *c, const world *w, mcl_tokenizer **out) {
  char bit_words[2 * MAX_BITS][LONGEST_WORD];
  const char *all[2 * MAX_BITS + MAX_ATTRIBUTES * MOST_VALUES];
  int64_t n = 0;
  for (int b = 0; b < 2 * w->bits; b++) {
    bit_word(b / 2, b % 2 ? 0 : -1, bit_words[b]);
    all[n++] = bit_words[b];
  }
  for (int32_t a = 0; a < w->n_known; a++)
    for (int32_t v = 0; w->known[a].words && v < w->known[a].values; v++)
      all[n++] = w->known[a].words[v];
  mcl_tokenizer_options o;
  mcl_tokenizer_options_init(&o, sizeof o);
  o.context = w->words + 2;
  o.min_count = 1;
  o.on_long = MCL_LONG_TEXT_FAIL; // would be a word that is not one token
  return mcl_tokenizer_create(c, &o, all, n, NULL, out, &err);
}

static void spell(const world *w, const rows *r, int64_t row, char *text) {
  char word[LONGEST_WORD];
  *text = 0;
  for (int32_t a = 0; a < w->n_known; a++) {
    const int32_t value = r->values[a][row];
    if (w->known[a].words) strcat(strcat(text, w->known[a].words[value]), " ");
    for (int b = 0; !w->known[a].words && b < w->bits; b++) {
      bit_word(b, value, word);
      strcat(strcat(text, word), " ");
    }
  }
}

static int caption(mcl_context *c, const world *w, const mcl_tokenizer *t, rows *r) {
  const int64_t context = mcl_tokenizer_context(t);
  mcl_array tokens;
  mcl_dataset *texts = NULL;
  r->tokens = malloc((size_t)(r->n * context) * sizeof *r->tokens);
  if (!r->tokens) return out_of_memory();
  for (int64_t i = 0; i < r->n; i++) {
    char text[MAX_WORDS * LONGEST_WORD];
    const char *one = text;
    spell(w, r, i, text);
    TRY(mcl_tokenizer_encode(t, &one, 1, r->tokens + i * context, NULL, &err));
  }
  const int64_t shape[2] = {r->n, w->words};
  mcl_array_init(&tokens, r->tokens + 1, MCL_I32, 2, shape);
  tokens.strides[0] = context;
  TRY(mcl_dataset_create_tokens(c, &tokens, &texts, &err));
  mcl_status s = mcl_dataset_create_joined(c, r->images, texts, &r->joined, &err);
  mcl_dataset_unref(texts);
  return s;
}

int captions_make(mcl_context *c, world *w) {
  mcl_tokenizer *t = NULL;
  w->words = words_a_caption(w);
  int s = learn_words(c, w, &t);
  if (s == 0) s = caption(c, w, t, &w->train);
  if (s == 0) s = caption(c, w, t, &w->test);
  if (s == 0) w->vocabulary = mcl_tokenizer_vocabulary(t);
  mcl_tokenizer_unref(t);
  return s;
}
