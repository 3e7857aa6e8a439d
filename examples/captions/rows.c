// Which rows there are: images in an order drawn by the seed, the first of them held out.
//
// A file of pairs is read with a tokenizer, and the tokenizer wanted here is trained on the
// captions that are trained on. So the file is read with one that knows bytes alone, for images and
// texts; then the captions are tokenised once more. Images are copied out of that dataset, an array
// for the rows of either part: at 12 KiB an image, a hundred thousand of them need 1.2 GB.
//
// Rows to judge by are one caption an image, its first, and one image a caption: what a caption of
// several images looks for has several right answers, and each would count as wrong but one.
#include "captions.h"

#include <stdlib.h>
#include <string.h>

enum { IMAGE_BYTES = SIDE * SIDE * 3 };
// Tokens at most. A vocabulary larger than the captions' words has words seen twice or three times
// as tokens of their own, of which nothing can be learnt.
enum { MOST_TOKENS = 8192 };

// ---- the file ----------------------------------------------------------------------------------

typedef struct source {
  mcl_context *context;
  mcl_dataset *pairs;
  int64_t n, images;
  int64_t *image; // [n]: the first row with the image of each
  int64_t *order; // [images]: such rows, in the order drawn
  char **captions;
} source;

static int open_pairs(source *s, const options *o, const char *path) {
  static const char *const nothing[] = {"-"};
  mcl_tokenizer_options t;
  mcl_folder_options f;
  mcl_pairs_options p;
  mcl_tokenizer *bytes = NULL;
  mcl_tokenizer_options_init(&t, sizeof t);
  mcl_folder_options_init(&f, sizeof f);
  mcl_pairs_options_init(&p, sizeof p);
  t.context = 2; // start and end: what stands between is not looked at
  f.height = f.width = SIDE;
  p.images = &f;
  p.heading = o->heading;
  TRY(mcl_tokenizer_create(s->context, &t, nothing, 1, NULL, &bytes, &err));
  mcl_status code = mcl_dataset_create_pairs(s->context, path, bytes, &p, NULL, &s->pairs, &err);
  mcl_tokenizer_unref(bytes);
  return code;
}

static int read_captions(source *s) {
  for (int64_t i = 0; i < s->n; i++) {
    size_t wanted = 0;
    if (mcl_dataset_caption(s->pairs, i, NULL, 0, &wanted, &err) != MCL_E_LIMIT) return -1;
    if (!(s->captions[i] = malloc(wanted))) return out_of_memory();
    TRY(mcl_dataset_caption(s->pairs, i, s->captions[i], wanted, NULL, &err));
  }
  return 0;
}

static int draw_order(source *s, uint64_t seed) {
  TRY(mcl_dataset_groups(s->pairs, 0, s->image, s->n, &err));
  for (int64_t i = 0; i < s->n; i++) {
    if (s->image[i] != i) continue;
    const int64_t j = (int64_t)(next_random(&seed) % (uint64_t)(s->images + 1));
    s->order[s->images++] = s->order[j];
    s->order[j] = i;
  }
  return 0;
}

static int source_open(source *s, const options *o, const char *path) {
  TRY(open_pairs(s, o, path));
  s->n = mcl_dataset_rows(s->pairs);
  s->image = malloc((size_t)s->n * sizeof *s->image);
  s->order = calloc((size_t)s->n, sizeof *s->order);
  s->captions = calloc((size_t)s->n, sizeof *s->captions);
  if (!s->image || !s->order || !s->captions) return out_of_memory();
  if (read_captions(s) < 0) return -1;
  return draw_order(s, (uint64_t)o->shared.seed);
}

static void source_close(source *s) {
  for (int64_t i = 0; s->captions && i < s->n; i++) free(s->captions[i]);
  free(s->captions), free(s->image), free(s->order);
  mcl_dataset_unref(s->pairs);
}

// ---- some of its rows --------------------------------------------------------------------------

// Rows of the source, to become rows of a part.
typedef struct chosen {
  int64_t *row; // [n]
  const char **texts;
  int64_t n;
} chosen;

static int choose(const source *s, chosen *c) {
  c->row = malloc((size_t)s->n * sizeof *c->row);
  c->texts = malloc((size_t)s->n * sizeof *c->texts);
  return c->row && c->texts ? 0 : out_of_memory();
}

static void chosen_free(chosen *c) {
  free(c->row), free(c->texts);
}

static void add(const source *s, chosen *c, int64_t row) {
  c->texts[c->n] = s->captions[row];
  c->row[c->n++] = row;
}

// Bytes of the different images of the rows, and which row has which.
static int load_images(const source *s, const chosen *c, rows *r, int64_t *place, mcl_array *all) {
  int64_t *number = malloc((size_t)s->n * sizeof *number); // of an image, by its first row
  int64_t *first = malloc((size_t)c->n * sizeof *first);
  int code = number && first ? 0 : out_of_memory();
  for (int64_t i = 0; code == 0 && i < s->n; i++) number[i] = -1;
  for (int64_t i = 0; code == 0 && i < c->n; i++) {
    const int64_t image = s->image[c->row[i]];
    if (number[image] < 0) number[image] = r->images, first[r->images++] = image;
    place[i] = number[image];
  }
  if (code == 0 && !(r->pixels = malloc((size_t)r->images * IMAGE_BYTES))) code = out_of_memory();
  if (code == 0) {
    const int64_t shape[4] = {r->images, SIDE, SIDE, 3};
    mcl_array_init(all, r->pixels, MCL_U8, 4, shape);
    code = mcl_dataset_load(s->pairs, first, r->images, 0, all, &err);
  }
  free(number), free(first);
  return code;
}

static int make_images(const source *s, const chosen *c, rows *r, mcl_dataset **out) {
  mcl_array all;
  mcl_dataset *images = NULL;
  int64_t *place = malloc((size_t)c->n * sizeof *place);
  int code = place ? load_images(s, c, r, place, &all) : out_of_memory();
  if (code == 0) code = mcl_dataset_create_array(s->context, &all, NULL, &images, &err);
  if (code == 0) code = mcl_dataset_create_subset(s->context, images, place, c->n, out, &err);
  mcl_dataset_unref(images);
  free(place);
  return code;
}

static int make_tokens(const source *s, const chosen *c, const mcl_tokenizer *t, rows *r,
                       mcl_dataset **out) {
  mcl_array all;
  const int32_t context = mcl_tokenizer_context(t);
  r->tokens = malloc((size_t)c->n * (size_t)context * sizeof *r->tokens);
  if (!r->tokens) return out_of_memory();
  TRY(mcl_tokenizer_encode(t, c->texts, c->n, r->tokens, NULL, &err));
  const int64_t shape[2] = {c->n, context};
  mcl_array_init(&all, r->tokens, MCL_I32, 2, shape);
  return mcl_dataset_create_tokens(s->context, &all, out, &err);
}

static int make_rows(const source *s, const chosen *c, const mcl_tokenizer *t, rows *r) {
  mcl_dataset *images = NULL, *tokens = NULL;
  r->n = c->n;
  int code = make_images(s, c, r, &images);
  if (code == 0) code = make_tokens(s, c, t, r, &tokens);
  if (code == 0) code = mcl_dataset_create_joined(s->context, images, tokens, &r->joined, &err);
  mcl_dataset_unref(images);
  mcl_dataset_unref(tokens);
  return code;
}

// ---- the two parts -----------------------------------------------------------------------------

static int choose_train(const source *s, int64_t held_out, chosen *c) {
  char *is_held = calloc((size_t)s->n, 1);
  if (!is_held) return out_of_memory();
  for (int64_t i = 0; i < held_out; i++) is_held[s->order[i]] = 1;
  for (int64_t i = 0; i < s->n; i++)
    if (!is_held[s->image[i]]) add(s, c, i);
  free(is_held);
  return 0;
}

// The first caption of each image held out, where no image before has it.
static int choose_test(const source *s, int64_t held_out, const mcl_tokenizer *t, chosen *c) {
  rows r = {0};
  mcl_dataset *tokens = NULL;
  int64_t *same = malloc((size_t)held_out * sizeof *same);
  for (int64_t i = 0; i < held_out; i++) add(s, c, s->order[i]);
  int code = same ? make_tokens(s, c, t, &r, &tokens) : out_of_memory();
  if (code == 0) code = mcl_dataset_groups(tokens, 0, same, held_out, &err);
  c->n = 0;
  for (int64_t i = 0; code == 0 && i < held_out; i++)
    if (same[i] == i) add(s, c, s->order[i]);
  mcl_dataset_unref(tokens);
  free(r.tokens), free(same);
  return code;
}

static int train_tokenizer(const source *s, const chosen *c, world *w, mcl_tokenizer **out) {
  mcl_tokenizer_options o;
  mcl_tokenizer_options_init(&o, sizeof o); // 77 tokens a row
  o.vocabulary = MOST_TOKENS;
  TRY(mcl_tokenizer_create(s->context, &o, c->texts, c->n, NULL, out, &err));
  w->vocabulary = mcl_tokenizer_vocabulary(*out);
  w->context = mcl_tokenizer_context(*out);
  w->padding = mcl_tokenizer_padding(*out);
  return 0;
}

static int make_parts(const source *s, world *w) {
  chosen train = {0}, test = {0};
  mcl_tokenizer *t = NULL;
  int code = choose(s, &train) < 0 || choose(s, &test) < 0 ? -1 : 0;
  if (code == 0) code = choose_train(s, w->held_out, &train);
  if (code == 0) code = train_tokenizer(s, &train, w, &t);
  if (code == 0) code = choose_test(s, w->held_out, t, &test);
  if (code == 0) code = make_rows(s, &train, t, &w->train);
  if (code == 0) code = make_rows(s, &test, t, &w->test);
  mcl_tokenizer_unref(t);
  chosen_free(&train), chosen_free(&test);
  return code;
}

int world_make(mcl_context *c, const options *o, const char *pairs, world *w) {
  source s = {.context = c};
  mcl_dataset_report report;
  mcl_struct_init(&report, sizeof report);
  int code = source_open(&s, o, pairs);
  if (code == 0) code = mcl_dataset_get_report(s.pairs, &report, &err);
  if (code == 0 && report.skipped)
    fprintf(stderr, "captions: %lld of %lld images cannot be read\n", (long long)report.skipped,
            (long long)report.files);
  w->held_out = o->holdout ? o->holdout : s.images / 5;
  // Two captions are the least that can be mistaken for each other; a batch has four rows.
  if (code == 0 && (w->held_out < 2 || s.images - w->held_out < 4))
    code = fail(MCL_E_INVALID, "--holdout %lld of %lld images leaves too few on one side",
                (long long)w->held_out, (long long)s.images);
  if (code == 0) code = make_parts(&s, w);
  source_close(&s);
  return code;
}

static void rows_free(rows *r) {
  mcl_dataset_unref(r->joined);
  free(r->pixels), free(r->tokens);
}

void world_free(world *w) {
  rows_free(&w->train);
  rows_free(&w->test);
}
