// Pair accuracy (MMVP-VLM, Tong et al. 2024): do both images of a look-alike pair prefer their own caption?
//
//   <a0, t0> > <a0, t1>  and  <a1, t1> > <a1, t0>,  all rows of length 1           (1)
//
// Products are summed in double in one fixed order, so that equal captions tie exactly and a tie counts as wrong.
#include <math.h>
#include <string.h>

#include "probe/probe.h"

static double cosine(const float *a, const float *b, int64_t dim) {
  double ab = 0, aa = 0, bb = 0;
  for (int64_t k = 0; k < dim; k++) {
    ab += (double)a[k] * (double)b[k];
    aa += (double)a[k] * (double)a[k];
    bb += (double)b[k] * (double)b[k];
  }
  return aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : 0;
}

static int pair_is_right(const float *a, const float *t, int64_t dim) {
  return cosine(a, t, dim) > cosine(a, t + dim, dim) &&
         cosine(a + dim, t + dim, dim) > cosine(a + dim, t, dim); // (1)
}

static mcl_status categories_check(const int32_t *category, int64_t pairs, int32_t n,
                                   mcl_error *err) {
  if (n < 0) return mcli_fail(err, MCL_E_INVALID, "n_categories is %d, not at least 0", (int)n);
  if (!category && n > 0)
    return mcli_fail(err, MCL_E_INVALID, "category is NULL but n_categories is %d", (int)n);
  if (!category) return MCL_OK;
  for (int64_t i = 0; i < pairs; i++)
    if (category[i] < 0 || category[i] >= n)
      return mcli_fail_row(err, MCL_E_INVALID, i, "category[%lld] is %d, n_categories is %d",
                           (long long)i, (int)category[i], (int)n);
  return MCL_OK;
}

// The caller's struct may be shorter or longer than ours: its own size is the distance between elements.
static mcl_probe_result *element(mcl_probe_result *out, int32_t i) {
  return (mcl_probe_result *)(void *)((unsigned char *)out + (size_t)i * out->struct_size);
}

static mcl_status results_check(mcl_probe_result *out, int32_t n, mcl_error *err) {
  mcl_status s = mcli_probe_result_check(out, err);
  for (int32_t i = 1; s == MCL_OK && i <= n; i++) {
    size_t size = element(out, i)->struct_size;
    if (size != out->struct_size)
      s = mcli_fail(err, MCL_E_INVALID, "out[%d].struct_size is %zu, out[0]'s is %zu", (int)i, size,
                    out->struct_size);
  }
  return s;
}

mcl_status mcl_probe_pairs(mcl_context *context, const mcl_probe_options *options,
                           const mcl_array *images, const mcl_array *texts, const int32_t *category,
                           mcl_probe_result *out, int32_t n_categories, mcl_error *err) {
  mcl_probe_options o;
  float *a = NULL, *t = NULL;
  int64_t *counts = NULL; // [1 + n_categories, 2]: right, all
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK) s = mcli_probe_matrix_check(images, "images", -1, -1, err);
  if (s == MCL_OK)
    s = mcli_probe_matrix_check(texts, "texts", images->shape[0], images->shape[1], err);
  if (s < 0) return s;
  int64_t pairs = images->shape[0] / 2, dim = images->shape[1];
  if (images->shape[0] % 2)
    return mcli_fail(err, MCL_E_SHAPE, "images has %lld rows, pairs need an even number",
                     (long long)images->shape[0]);
  s = categories_check(category, pairs, n_categories, err);
  if (s == MCL_OK) s = results_check(out, n_categories, err);
  if (s < 0) return s;
  s = mcli_probe_copy(context, images, "images", PROBE_AS_GIVEN, &a, err);
  if (s == MCL_OK) s = mcli_probe_copy(context, texts, "texts", PROBE_AS_GIVEN, &t, err);
  if (s != MCL_OK) goto done;
  counts = MCLI_NEW0(context, int64_t, 2 + 2 * (int64_t)n_categories);
  if (!counts) {
    s = mcli_nomem(err, "the categories");
    goto done;
  }
  for (int64_t i = 0; i < pairs; i++) {
    int right = pair_is_right(a + 2 * i * dim, t + 2 * i * dim, dim);
    int64_t *of = category ? counts + 2 + 2 * (int64_t)category[i] : counts;
    counts[0] += right;
    counts[1]++;
    if (category) of[0] += right, of[1]++;
  }
  for (int32_t c = 0; s == MCL_OK && c <= n_categories; c++) {
    mcl_probe_result r = mcli_probe_share(counts[2 * c], counts[2 * c + 1], o.confidence);
    s = mcli_struct_out(element(out, c), &r, sizeof r, "out", err);
  }
done:
  mcli_free(context, a);
  mcli_free(context, t);
  mcli_free(context, counts);
  return s == MCL_OK ? mcl_ok(err) : s;
}
