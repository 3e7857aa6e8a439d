// RandBit data (Chen, Luo & Li, "Intriguing Properties of Contrastive Losses", NeurIPS 2021,
// section 4.1): random bits as constant channels, an easy feature that every loss can satisfy at
// the cost of all others.
//
//   code_i = low bits of the first word of stream (seed, DATA, i)        (1)
//   channel c + j of row i = 255 [bit j of code_i is set]                (2)
//
// By (1) a row's code depends on its number alone: more bits, other rows or another order of
// loading change none of it.
#include "base/rng.h"
#include "dataset/dataset.h"

// Bits of a code that is a non-negative int32_t.
enum { MOST_BITS = 31 };

// Numbers a task writes: some 100 microseconds.
static const int64_t FILL_NUMBERS = 65536;

typedef struct fill_job {
  const mcl_array *out;
  const int64_t *indices;
  const int32_t *codes;
  int64_t n, channels;
  uint32_t tasks;
} fill_job;

static void fill_row(const fill_job *job, int64_t i) {
  const mcl_array *out = job->out;
  const int64_t *t = out->strides;
  int32_t code = job->codes[job->indices[i]];
  for (int64_t k = job->channels; k < out->shape[3]; k++) {
    int64_t plane = i * t[0] + k * t[3];
    int set = code >> (k - job->channels) & 1; // (2)
    for (int64_t y = 0; y < out->shape[1]; y++)
      for (int64_t x = 0; x < out->shape[2]; x++)
        if (out->dtype == MCL_U8)
          ((uint8_t *)out->data)[plane + y * t[1] + x * t[2]] = set ? 255 : 0;
        else
          ((float *)out->data)[plane + y * t[1] + x * t[2]] = (float)set;
  }
}

static void fill_rows(void *job, uint32_t task, uint32_t worker) {
  const fill_job *j = job;
  int64_t first, n;
  (void)worker;
  mcli_part(j->n, j->tasks, task, &first, &n);
  for (int64_t i = first; i < first + n; i++) fill_row(j, i);
}

static mcl_status load(mcl_dataset *d, const int64_t *indices, int64_t n, int32_t modality,
                       const mcl_array *out, mcl_error *err) {
  if (modality != 0) return mcl_dataset_load(d->inner, indices, n, modality, out, err);
  int64_t channels = d->inner->shapes[0].shape[2], bits = out->shape[3] - channels;
  mcl_array image = *out;
  image.shape[3] = channels;
  mcl_status s = mcl_dataset_load(d->inner, indices, n, 0, &image, err);
  if (s < 0 || bits == 0) return s;
  int64_t block = FILL_NUMBERS / (out->shape[1] * out->shape[2] * bits) + 1;
  fill_job j = {out, indices, d->codes, n, channels, mcli_blocks(n, block)};
  return mcli_parallel(d->context, j.tasks, fill_rows, &j, err);
}

static const mcli_dataset_kind randbits_kind = {.load = load};

static mcl_status draw_codes(mcl_dataset *d, int32_t bits, uint64_t seed, mcl_error *err) {
  int32_t *codes = MCLI_NEW(d->context, int32_t, d->rows);
  if (!codes) return mcli_nomem(err, "codes");
  uint32_t mask = (UINT32_C(1) << bits) - 1;
  for (int64_t i = 0; i < d->rows; i++) {
    mcli_rng r = mcli_rng_make(seed, MCLI_RNG_DATA, (uint64_t)i, 0);
    codes[i] = (int32_t)(mcli_rng_u32(&r) & mask); // (1)
  }
  mcli_free(d->context, d->codes); // those of a wrapper further in
  d->codes = codes;
  return MCL_OK;
}

mcl_status mcl_dataset_create_randbits(mcl_context *c, mcl_dataset *inner, int32_t bits,
                                       uint64_t seed, mcl_dataset **out, mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  mcl_status s = mcli_dataset_check_images(inner, err);
  if (s < 0) return s;
  if (bits < 0 || bits > MOST_BITS)
    return mcli_fail(err, MCL_E_INVALID, "bits is %d, not 0..%d", (int)bits, MOST_BITS);
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_dataset *d = mcli_dataset_wrap(c, sizeof *d, &randbits_kind, inner, NULL, inner->rows);
  if (!d) return mcli_nomem(err, "a dataset");
  s = draw_codes(d, bits, seed, err);
  if (s < 0) {
    mcl_dataset_unref(d);
    return s;
  }
  int64_t shape[3] = {d->shapes[0].shape[0], d->shapes[0].shape[1], d->shapes[0].shape[2] + bits};
  mcli_dataset_set_shape(d, 0, MCL_U8, 3, shape);
  uint64_t words[2] = {(uint64_t)bits, seed};
  d->fingerprint = mcli_hash(words, sizeof words, inner->fingerprint);
  *out = d;
  return mcl_ok(err);
}
