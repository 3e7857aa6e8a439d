// Rows of a file of images and captions: a caption a row, those of the images that are trained on
// before those of the images held out, so that no image is on both sides.
#include "discover.h"

#include <stdlib.h>

static int open_file(data *d, mcl_context *c, const options *o, pairs_file *p) {
  mcl_folder_options f;
  mcl_image_options image;
  mcl_pairs_options as;
  mcl_dataset_report report;
  mcl_monitor m;
  mcl_image_options_init(&image, sizeof image);
  mcl_folder_options_init(&f, sizeof f);
  mcl_pairs_options_init(&as, sizeof as);
  mcl_struct_init(&report, sizeof report);
  mcl_struct_init(&m, sizeof m);
  image.fit = MCL_FIT_CROP;
  f.image = &image;
  f.height = f.width = o->size ? o->size : 32;
  as.images = &f;
  as.heading = o->heading;
  m.progress = progress;
  progress_say("reading the captions and decoding the images");
  if (pairs_open(p, c, o->data, &as, &m, o->seed) < 0) return -1;
  TRY(mcl_dataset_get_report(p->file, &report, &err));
  d->files = report.files;
  d->skipped = report.skipped;
  return 0;
}

// The rows of the file in the order of `all`.
static int choose(data *d, const options *o, const pairs_file *p, int64_t *rows,
                  mcl_tokenizer **t) {
  if (data_split(o, p->images, "images", &d->images, &d->held_images) < 0) return -1;
  if (d->held_images == 1)
    return mcl_error_set(&err, MCL_E_INVALID, 0,
                         "--holdout 1: an image alone cannot be mistaken for another; 0 or 2 and "
                         "more are wanted");
  d->rows = pairs_rows(p, d->held_images, d->held_images + d->images, rows);
  pairs_sort(rows, d->rows);
  d->holdout = pairs_rows(p, 0, d->held_images, rows + d->rows);
  if (pairs_tokenizer(p, rows, d->rows, t, &d->sizes) < 0) return -1;
  return d->holdout ? pairs_judged(p, *t, rows + d->rows, d->holdout, &d->judged) : 0;
}

static int take_train(data *d, mcl_context *c) {
  int64_t *first = malloc((size_t)d->rows * sizeof *first);
  if (!first) return out_of_memory();
  for (int64_t i = 0; i < d->rows; i++) first[i] = i;
  mcl_status s = mcl_dataset_create_subset(c, d->all, first, d->rows, &d->train, &err);
  free(first);
  return s;
}

static int know_images(data *d) {
  const int64_t n = d->rows + d->holdout;
  d->image = malloc((size_t)n * sizeof *d->image);
  if (!d->image) return out_of_memory();
  TRY(mcl_dataset_groups(d->all, 0, d->image, n, &err));
  for (int64_t i = d->rows; i < d->rows + d->judged; i++) d->judged_images += d->image[i] == i;
  return 0;
}

int data_open_pairs(data *d, mcl_context *c, const options *o) {
  pairs_file p = {0};
  mcl_array row;
  mcl_tokenizer *t = NULL;
  int64_t *rows = NULL;
  int s = open_file(d, c, o, &p);
  if (s == 0 && !(rows = malloc((size_t)p.n * sizeof *rows))) s = out_of_memory();
  if (s == 0) s = choose(d, o, &p, rows, &t);
  if (s == 0) s = pairs_join(&p, t, rows, d->rows + d->holdout, &d->tokens, &d->all);
  mcl_tokenizer_unref(t);
  free(rows);
  pairs_close(&p);
  if (s < 0 || take_train(d, c) < 0 || know_images(d) < 0) return -1;
  TRY(mcl_dataset_shape(d->all, 0, &row, &err));
  d->height = (int32_t)row.shape[0];
  d->width = (int32_t)row.shape[1];
  d->channels = d->image_channels = (int32_t)row.shape[2];
  return 0;
}
