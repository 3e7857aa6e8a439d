// IDX files, plain and packed: a byte of choices, then the file of images and that of labels as parts.
//
//   a refusal names one of the two files                                                                 (1)
//   the rows are the bytes of the file, and floats those over 255                                        (2)
//   labels are none below 0, and as many as rows                                                         (3)
//   packed or not, and given as an array: the same rows, so the same fingerprint                         (4)
#include <libmcl/dataset.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/gzip.h"

const int fuzz_large = FUZZ_FINDING;

enum { PACK_IMAGES = 1, PACK_LABELS = 2, NO_LABELS = 4, WRONG = 8 };

static const char *put(const char *name, fuzz_bytes part, int pack) {
  return pack ? fuzz_put_packed(name, part.at, part.n) : fuzz_put(name, part.at, part.n);
}

// One row after the other, in pieces of another size than one; NULL where loading failed.
static void *load(mcl_dataset *d, int32_t dtype, int64_t rows, size_t row) {
  mcl_error err;
  mcl_array a;
  mcl_status s = mcl_dataset_shape(d, 0, &a, &err);
  if (!fuzz_ok(s, &err)) fuzz_fail("no shape: %s", err.message);
  size_t n = (size_t)rows * row * (dtype == MCL_F32 ? 4 : 1);
  void *to = fuzz_room(n);
  int64_t shape[4] = {rows, a.shape[0], a.shape[1], a.shape[2]};
  int64_t *indices = malloc((size_t)rows * sizeof *indices);
  for (int64_t i = 0; i < rows; i++) indices[i] = i;
  mcl_array_init(&a, to, dtype, 4, shape);
  s = mcl_dataset_load(d, indices, rows, 0, &a, &err);
  free(indices);
  if (fuzz_ok(s, &err)) return to;
  fuzz_untouched(to, n, "mcl_dataset_load");
  if (!fuzz_memory_may_fail()) fuzz_fail("not loaded: %s", err.message);
  free(to);
  return NULL;
}

// (2), (4)
static void check_rows(mcl_context *context, mcl_dataset *d, fuzz_bytes file, int plain) {
  mcl_error err;
  mcl_array row;
  mcl_dataset *same = NULL;
  if (!fuzz_ok(mcl_dataset_shape(d, 0, &row, &err), &err)) fuzz_fail("no shape: %s", err.message);
  int64_t rows = mcl_dataset_rows(d);
  size_t n = (size_t)(row.shape[0] * row.shape[1] * row.shape[2]);
  if (rows < 1 || n < 1 || (plain && n * (size_t)rows > file.n)) fuzz_fail("rows of %zu bytes", n);
  uint8_t *bytes = load(d, MCL_U8, rows, n);
  float *floats = load(d, MCL_F32, rows, n);
  if (bytes && plain && memcmp(bytes, file.at + file.n - (size_t)rows * n, (size_t)rows * n))
    fuzz_fail("the rows are not those of the file");
  for (size_t i = 0; bytes && floats && i < (size_t)rows * n; i++)
    if (floats[i] != (float)bytes[i] / 255) fuzz_fail("a float is no byte over 255");
  mcl_array a = mcl_images_u8(bytes, rows, row.shape[0], row.shape[1], row.shape[2]);
  if (bytes && fuzz_ok(mcl_dataset_create_array(context, &a, NULL, &same, &err), &err) &&
      mcl_dataset_fingerprint(same) != mcl_dataset_fingerprint(d))
    fuzz_fail("another fingerprint than that of the array");
  mcl_dataset_unref(same);
  free(bytes);
  free(floats);
}

// (3)
static void check_labels(const mcl_dataset *d, int given) {
  mcl_error err;
  mcl_dataset_report report;
  int64_t rows = mcl_dataset_rows(d);
  int32_t *labels = fuzz_room((size_t)rows * sizeof *labels);
  mcl_struct_init(&report, sizeof report);
  if (!fuzz_ok(mcl_dataset_get_report(d, &report, &err), &err)) fuzz_fail("no report");
  if (fuzz_ok(mcl_dataset_labels(d, labels, rows, &err), &err) != given)
    fuzz_fail("labels are %sthere", given ? "not " : "");
  for (int64_t i = 0; given && i < rows; i++)
    if (labels[i] < 0 || labels[i] >= report.classes) fuzz_fail("a label of %d", (int)labels[i]);
  free(labels);
}

static void refuse(mcl_context *c, const char *images) {
  mcl_error err;
  mcl_dataset *d = NULL;
  fuzz_refused(mcl_dataset_create_idx(NULL, images, NULL, &d, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_idx(c, NULL, NULL, &d, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_idx(c, images, NULL, NULL, &err), &err, MCL_E_INVALID);
  fuzz_refused(mcl_dataset_create_idx(c, fuzz_path("none"), NULL, &d, &err), &err, MCL_E_NOT_FOUND);
  fuzz_refused(mcl_dataset_create_idx(c, images, fuzz_path("none"), &d, &err), &err,
               MCL_E_NOT_FOUND);
  if (d) fuzz_fail("refused, and given");
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_bytes b = {bytes, n};
  mcl_error err;
  mcl_dataset *d = NULL;
  uint64_t how = fuzz_bits(&b, 1);
  fuzz_bytes images = fuzz_part(&b);
  const char *at_images = put("images.idx", images, how & PACK_IMAGES);
  const char *at_labels = how & NO_LABELS ? NULL : put("labels.idx", b, how & PACK_LABELS);
  int plain = how & PACK_IMAGES || images.n < 2 || images.at[0] != 0x1F || images.at[1] != 0x8B;
  if (fuzz_ok(mcl_dataset_create_idx(context, at_images, at_labels, &d, &err), &err)) {
    check_rows(context, d, images, plain);
    check_labels(d, at_labels != NULL);
  } else if (d || (err.status != MCL_E_NOMEM && !strstr(err.message, ".idx"))) { // (1)
    fuzz_fail("%s: %s", d ? "refused, and given" : "no file is named", err.message);
  }
  if (d && how & WRONG) refuse(context, at_images);
  mcl_dataset_unref(d);
}
