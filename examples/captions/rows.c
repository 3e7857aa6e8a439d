// Which rows there are: images in an order drawn by the seed, the first of them held out.
//
// Rows to judge by are all captions of the images held out, but for those that an image before has:
// any caption of its own is a right answer of an image.
#include "captions.h"

#include <stdlib.h>
#include <string.h>

static int open_file(mcl_context *c, const options *o, const char *path, pairs_file *p) {
  mcl_folder_options f;
  mcl_pairs_options as;
  mcl_dataset_report report;
  mcl_folder_options_init(&f, sizeof f);
  mcl_pairs_options_init(&as, sizeof as);
  mcl_struct_init(&report, sizeof report);
  f.height = f.width = SIDE;
  as.images = &f;
  as.heading = o->heading;
  if (pairs_open(p, c, path, &as, NULL, (uint64_t)o->shared.seed) < 0) return -1;
  TRY(mcl_dataset_get_report(p->file, &report, &err));
  if (report.skipped)
    fprintf(stderr, "captions: %lld of %lld images cannot be read\n", (long long)report.skipped,
            (long long)report.files);
  return 0;
}

static int count_held_out(const pairs_file *p, const options *o, world *w) {
  w->held_out = o->holdout ? o->holdout : p->images / 5;
  // Two captions are the least that can be mistaken for each other; a batch has four rows.
  if (w->held_out >= 2 && p->images - w->held_out >= 4) return 0;
  return fail(MCL_E_INVALID, "--holdout %lld of %lld images leaves too few on one side",
              (long long)w->held_out, (long long)p->images);
}

static int make_train(const pairs_file *p, int64_t *chosen, mcl_tokenizer **t, world *w) {
  rows *r = &w->train;
  r->images = p->images - w->held_out;
  r->n = pairs_rows(p, w->held_out, p->images, chosen);
  pairs_sort(chosen, r->n);
  if (pairs_tokenizer(p, chosen, r->n, t, &w->sizes) < 0) return -1;
  return pairs_join(p, *t, chosen, r->n, &r->tokens, &r->joined);
}

static int make_test(const pairs_file *p, int64_t *chosen, const mcl_tokenizer *t, world *w) {
  rows *r = &w->test;
  const int64_t n = pairs_rows(p, 0, w->held_out, chosen);
  if (pairs_judged(p, t, chosen, n, &r->n) < 0) return -1;
  w->test_image = malloc((size_t)r->n * sizeof *w->test_image);
  if (!w->test_image) return out_of_memory();
  for (int64_t i = 0; i < r->n; i++) {
    w->test_image[i] = p->image[chosen[i]];
    r->images += i == 0 || w->test_image[i] != w->test_image[i - 1];
  }
  return pairs_join(p, t, chosen, r->n, &r->tokens, &r->joined);
}

int world_make(mcl_context *c, const options *o, const char *path, world *w) {
  pairs_file p = {0};
  mcl_tokenizer *t = NULL;
  int64_t *chosen = NULL;
  int s = open_file(c, o, path, &p);
  if (s == 0) s = count_held_out(&p, o, w);
  if (s == 0 && !(chosen = malloc((size_t)p.n * sizeof *chosen))) s = out_of_memory();
  if (s == 0) s = make_train(&p, chosen, &t, w);
  if (s == 0) s = make_test(&p, chosen, t, w);
  mcl_tokenizer_unref(t);
  free(chosen);
  pairs_close(&p);
  return s;
}

void world_free(world *w) {
  mcl_dataset_unref(w->train.joined);
  mcl_dataset_unref(w->test.joined);
  free(w->train.tokens), free(w->test.tokens), free(w->test_image);
}
