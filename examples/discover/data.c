// Which rows there are: a seeded permutation of the data; the first are trained on, the next only probe.
#include "discover.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int64_t *permutation(int64_t n, uint64_t seed) {
  int64_t *p = malloc((size_t)n * sizeof *p);
  for (int64_t i = 0; p && i < n; i++) {
    int64_t j = (int64_t)(next_random(&seed) % (uint64_t)(i + 1));
    p[i] = p[j];
    p[j] = i;
  }
  return p;
}

static mcl_status open_source(mcl_context *c, const options *o, mcl_dataset **out) {
  struct stat st;
  if (stat(o->data, &st) == 0 && S_ISDIR(st.st_mode)) {
    if (o->labels)
      return mcl_error_set(&err, MCL_E_INVALID, 0, "--labels goes with an IDX file, not a folder");
    mcl_folder_options f;
    mcl_image_options image;
    mcl_image_options_init(&image, sizeof image);
    image.fit = MCL_FIT_CROP;
    mcl_folder_options_init(&f, sizeof f);
    f.image = &image;
    f.height = f.width = o->size ? o->size : 32;
    mcl_monitor m;
    mcl_struct_init(&m, sizeof m);
    m.progress = progress;
    progress_say("decoding the images");
    return mcl_dataset_create_folder(c, o->data, &f, &m, out, &err);
  }
  mcl_dataset *idx = NULL;
  mcl_array row;
  mcl_status s = mcl_dataset_create_idx(c, o->data, o->labels, &idx, &err);
  if (s == MCL_OK) s = mcl_dataset_shape(idx, 0, &row, &err);
  if (s == MCL_OK && o->size && (row.shape[0] != o->size || row.shape[1] != o->size)) {
    s = mcl_dataset_create_resized(c, idx, o->size, o->size, MCL_FILTER_BOX, out, &err);
    mcl_dataset_unref(idx);
  } else if (s == MCL_OK) {
    *out = idx;
  }
  return s;
}

int data_split(const options *o, int64_t n, const char *what, int64_t *rows, int64_t *holdout) {
  *holdout = o->holdout >= 0 ? o->holdout : n / 6 < 2000 ? n / 6 : 2000;
  *rows = o->rows ? o->rows : n - *holdout;
  if (*rows >= 8 && *rows + *holdout <= n) return 0;
  char text[200];
  snprintf(text, sizeof text, "%lld %s to train on (at least 8) and %lld held out, but %s has %lld",
           (long long)*rows, what, (long long)*holdout, o->data, (long long)n);
  return mcl_error_set(&err, MCL_E_INVALID, 0, text);
}

// Rows without a class, images that lie beside the sub-folders, are a class of their own.
static int read_classes(data *d) {
  int64_t n = d->rows + d->holdout;
  d->class_of = malloc((size_t)n * sizeof *d->class_of);
  if (!d->class_of) return out_of_memory();
  mcl_status s = mcl_dataset_labels(d->all, d->class_of, n, &err);
  if (s == MCL_E_NOT_FOUND) {
    free(d->class_of);
    d->class_of = NULL;
    return 0;
  }
  TRY(s);
  int32_t most = -1;
  for (int64_t i = 0; i < n; i++)
    if (d->class_of[i] > most) most = d->class_of[i];
  d->classes = most + 1;
  for (int64_t i = 0; i < n; i++)
    if (d->class_of[i] < 0) d->class_of[i] = most + 1, d->classes = most + 2;
  return 0;
}

static int take_rows(data *d, mcl_context *c, const options *o, mcl_dataset *source) {
  int64_t n = mcl_dataset_rows(source);
  if (data_split(o, n, "rows", &d->rows, &d->holdout) < 0) return -1;
  int64_t *order = permutation(n, o->seed);
  if (!order) return out_of_memory();
  mcl_status s = mcl_dataset_create_subset(c, source, order, d->rows + d->holdout, &d->all, &err);
  for (int64_t i = 0; i < d->rows; i++) order[i] = i;
  if (s == MCL_OK) s = mcl_dataset_create_subset(c, d->all, order, d->rows, &d->train, &err);
  free(order);
  return s;
}

int data_open(data *d, mcl_context *c, const options *o) {
  if (o->pairs) return data_open_pairs(d, c, o);
  mcl_dataset *source = NULL, *with_bits = NULL;
  mcl_array row;
  mcl_dataset_report report;
  mcl_struct_init(&report, sizeof report);
  TRY(open_source(c, o, &source));
  mcl_status s = mcl_dataset_shape(source, 0, &row, &err);
  if (s == MCL_OK) s = mcl_dataset_get_report(source, &report, &err);
  if (s == MCL_OK && o->randbits) {
    s = mcl_dataset_create_randbits(c, source, o->randbits, o->seed, &with_bits, &err);
    mcl_dataset_unref(source);
    source = with_bits;
  }
  if (s == MCL_OK) s = take_rows(d, c, o, source);
  mcl_dataset_unref(source);
  TRY(s);
  d->files = report.files;
  d->skipped = report.skipped;
  d->height = (int32_t)row.shape[0];
  d->width = (int32_t)row.shape[1];
  d->image_channels = (int32_t)row.shape[2];
  d->channels = d->image_channels + o->randbits;
  if (read_classes(d) < 0) return -1;
  if (!o->randbits) return 0;
  d->code_of = malloc((size_t)(d->rows + d->holdout) * sizeof *d->code_of);
  if (!d->code_of) return out_of_memory();
  return mcl_dataset_codes(d->all, d->code_of, d->rows + d->holdout, &err);
}

void data_close(data *d) {
  mcl_dataset_unref(d->train);
  mcl_dataset_unref(d->all);
  free(d->class_of);
  free(d->code_of);
  free(d->tokens);
  free(d->image);
}
