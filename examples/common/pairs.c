#include "pairs.h"

#include <stdlib.h>

const char *const sides_names[] = {"image", "text", "both", NULL};

// Tokens at most. A vocabulary larger than the captions' words has words seen twice or three times
// as tokens of their own, of which nothing can be learnt.
enum { MOST_TOKENS = 8192 };

// ---- the file ----------------------------------------------------------------------------------

char *read_caption(const mcl_dataset *d, int64_t row) {
  size_t wanted = 0;
  if (mcl_dataset_caption(d, row, NULL, 0, &wanted, &err) != MCL_E_LIMIT) return NULL;
  char *text = malloc(wanted);
  if (!text)
    out_of_memory();
  else if (mcl_dataset_caption(d, row, text, wanted, NULL, &err) != MCL_OK)
    free(text), text = NULL;
  return text;
}

static int read_captions(pairs_file *p) {
  for (int64_t i = 0; i < p->n; i++)
    if (!(p->texts[i] = read_caption(p->file, i))) return -1;
  return 0;
}

static int draw_order(pairs_file *p, uint64_t seed) {
  TRY(mcl_dataset_groups(p->file, 0, p->image, p->n, &err));
  for (int64_t i = 0; i < p->n; i++) {
    if (p->image[i] != i) continue;
    const int64_t j = (int64_t)(next_random(&seed) % (uint64_t)(p->images + 1));
    p->order[p->images++] = p->order[j];
    p->order[j] = i;
  }
  return 0;
}

// From the last row on, so that the first row of each image is known to head its chain.
static int chain_rows(pairs_file *p) {
  int64_t *later = malloc((size_t)p->n * sizeof *later); // by the image's first row
  if (!later) return out_of_memory();
  for (int64_t i = 0; i < p->n; i++) later[i] = -1;
  for (int64_t i = p->n - 1; i >= 0; i--) {
    p->next[i] = later[p->image[i]];
    later[p->image[i]] = i;
  }
  free(later);
  return 0;
}

int pairs_open(pairs_file *p, mcl_context *c, const char *path, const mcl_pairs_options *o,
               const mcl_monitor *m, uint64_t seed) {
  *p = (pairs_file){.context = c};
  TRY(mcl_dataset_create_pairs(c, path, NULL, o, m, &p->file, &err));
  p->n = mcl_dataset_rows(p->file);
  p->image = malloc((size_t)p->n * sizeof *p->image);
  p->order = calloc((size_t)p->n, sizeof *p->order);
  p->next = malloc((size_t)p->n * sizeof *p->next);
  p->texts = calloc((size_t)p->n, sizeof *p->texts);
  if (!p->image || !p->order || !p->next || !p->texts) return out_of_memory();
  if (read_captions(p) < 0 || draw_order(p, seed) < 0) return -1;
  return chain_rows(p);
}

void pairs_close(pairs_file *p) {
  for (int64_t i = 0; p->texts && i < p->n; i++) free((void *)(uintptr_t)p->texts[i]);
  free(p->texts), free(p->image), free(p->order), free(p->next);
  mcl_dataset_unref(p->file);
}

// ---- some of its rows --------------------------------------------------------------------------

int64_t pairs_rows(const pairs_file *p, int64_t from, int64_t to, int64_t *rows) {
  int64_t n = 0;
  for (int64_t i = from; i < to; i++)
    for (int64_t row = p->order[i]; row >= 0; row = p->next[row]) rows[n++] = row;
  return n;
}

static int by_number(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

void pairs_sort(int64_t *rows, int64_t n) {
  qsort(rows, (size_t)n, sizeof *rows, by_number);
}

// The captions of some rows, malloc'ed; the texts stay p's.
static const char **pick_texts(const pairs_file *p, const int64_t *rows, int64_t n) {
  const char **texts = malloc((size_t)n * sizeof *texts);
  for (int64_t i = 0; texts && i < n; i++) texts[i] = p->texts[rows[i]];
  return texts;
}

int pairs_tokenizer(const pairs_file *p, const int64_t *rows, int64_t n, mcl_tokenizer **out,
                    token_sizes *sizes) {
  mcl_tokenizer_options o;
  mcl_tokenizer_options_init(&o, sizeof o); // 77 tokens a row
  o.vocabulary = MOST_TOKENS;
  const char **texts = pick_texts(p, rows, n);
  if (!texts) return out_of_memory();
  mcl_status s = mcl_tokenizer_create(p->context, &o, texts, n, NULL, out, &err);
  free(texts);
  if (s == MCL_OK)
    *sizes = (token_sizes){mcl_tokenizer_vocabulary(*out), mcl_tokenizer_context(*out),
                           mcl_tokenizer_padding(*out)};
  return s;
}

static int make_tokens(const pairs_file *p, const mcl_tokenizer *t, const int64_t *rows, int64_t n,
                       int32_t **tokens, mcl_dataset **out) {
  const int64_t shape[2] = {n, mcl_tokenizer_context(t)};
  const char **texts = pick_texts(p, rows, n);
  mcl_array all;
  *tokens = malloc((size_t)(shape[0] * shape[1]) * sizeof **tokens);
  mcl_status s =
      texts && *tokens ? mcl_tokenizer_encode(t, texts, n, *tokens, NULL, &err) : out_of_memory();
  mcl_array_init(&all, *tokens, MCL_I32, 2, shape);
  if (s == MCL_OK) s = mcl_dataset_create_tokens(p->context, &all, out, &err);
  free(texts);
  return s;
}

int pairs_join(const pairs_file *p, const mcl_tokenizer *t, const int64_t *rows, int64_t n,
               int32_t **tokens, mcl_dataset **out) {
  mcl_dataset *images = NULL, *captions = NULL;
  mcl_status s = mcl_dataset_create_subset(p->context, p->file, rows, n, &images, &err);
  if (s == MCL_OK) s = make_tokens(p, t, rows, n, tokens, &captions);
  if (s == MCL_OK) s = mcl_dataset_create_joined(p->context, images, captions, out, &err);
  mcl_dataset_unref(images);
  mcl_dataset_unref(captions);
  return s;
}

int pairs_judged(const pairs_file *p, const mcl_tokenizer *t, int64_t *rows, int64_t n,
                 int64_t *judged) {
  int32_t *tokens = NULL;
  mcl_dataset *captions = NULL;
  int64_t front = 0, behind = 0, *same = malloc((size_t)n * 2 * sizeof *same);
  mcl_status s = same ? make_tokens(p, t, rows, n, &tokens, &captions) : out_of_memory();
  if (s == MCL_OK) s = mcl_dataset_groups(captions, 0, same, n, &err);
  for (int64_t i = 0; s == MCL_OK && i < n; i++) {
    if (same[i] == i)
      rows[front++] = rows[i];
    else
      same[n + behind++] = rows[i];
  }
  for (int64_t i = 0; i < behind; i++) rows[front + i] = same[n + i];
  *judged = front;
  mcl_dataset_unref(captions);
  free(tokens), free(same);
  return s;
}

// ---- the towers --------------------------------------------------------------------------------

static mcl_status make_text(mcl_context *c, const token_sizes *sizes, uint64_t seed, int32_t dim,
                            mcl_encoder **out, mcl_error *e) {
  mcl_bag_options o;
  mcl_bag_options_init(&o, sizeof o); // embeddings of 64 numbers, one hidden layer of 128
  o.seed = seed;
  o.vocabulary = sizes->vocabulary, o.context = sizes->context, o.padding = sizes->padding;
  o.dim = dim;
  return mcl_encoder_create_bag(c, &o, out, e);
}

mcl_status pairs_towers(mcl_context *c, const token_sizes *sizes, uint64_t seed, double temperature,
                        mcl_encoder *image, mcl_encoder **out, mcl_error *e) {
  mcl_encoder *text = NULL;
  mcl_pair_options o;
  mcl_pair_options_init(&o, sizeof o);
  o.temperature = temperature;
  mcl_status s = make_text(c, sizes, ~seed, mcl_encoder_dim(image), &text, e);
  if (s == MCL_OK) s = mcl_encoder_create_pair(c, &o, image, text, out, e);
  mcl_encoder_unref(image);
  mcl_encoder_unref(text);
  return s;
}
