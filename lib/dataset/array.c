// Datasets of images, or of rows of token ids, that lie in the host's memory and stay there.
#include "math/array.h"
#include "dataset/memory.h"

// [n, h, w] is seen as [n, h, w, 1].
static mcl_status check_images(const mcl_array *images, mcl_array *view, mcl_error *err) {
  mcl_status s = mcli_array_check(images, "images", err);
  if (s < 0) return s;
  if (images->dtype != MCL_U8)
    return mcli_fail(err, MCL_E_DTYPE, "images has dtype %d, not MCL_U8 (%d)", (int)images->dtype,
                     (int)MCL_U8);
  if (images->ndim != 3 && images->ndim != 4)
    return mcli_fail(err, MCL_E_SHAPE, "images has %d dimensions, not 3 or 4", (int)images->ndim);
  for (int i = 0; i < images->ndim; i++)
    if (images->shape[i] < 1) return mcli_fail(err, MCL_E_SHAPE, "images.shape[%d] is 0", i);
  *view = *images;
  view->ndim = 4;
  if (images->ndim == 3) view->strides[3] = 1;
  return MCL_OK;
}

mcl_status mcl_dataset_create_array(mcl_context *c, const mcl_array *images, const int32_t *labels,
                                    mcl_dataset **out, mcl_error *err) {
  mcl_array view;
  mcl_dataset *d = NULL;
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  mcl_status s = check_images(images, &view, err);
  if (s < 0) return s;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  s = mcli_memory_create(c, &view, NULL, &d, err);
  if (s == MCL_OK && labels) s = mcli_memory_set_labels(d, labels, "labels", err);
  if (s < 0) {
    mcl_dataset_unref(d);
    return s;
  }
  *out = d;
  return mcl_ok(err);
}

static mcl_status check_tokens(const mcl_array *tokens, mcl_error *err) {
  mcl_status s = mcli_array_check(tokens, "tokens", err);
  if (s < 0) return s;
  if (tokens->dtype != MCL_I32)
    return mcli_fail(err, MCL_E_DTYPE, "tokens has dtype %d, not MCL_I32 (%d)", (int)tokens->dtype,
                     (int)MCL_I32);
  if (tokens->ndim != 2)
    return mcli_fail(err, MCL_E_SHAPE, "tokens has %d dimensions, not 2", (int)tokens->ndim);
  for (int i = 0; i < 2; i++)
    if (tokens->shape[i] < 1) return mcli_fail(err, MCL_E_SHAPE, "tokens.shape[%d] is 0", i);
  // 2^31 ids a row, as of a host's rows: whatever is computed from one fits in int64_t.
  if (tokens->shape[1] > INT32_MAX)
    return mcli_fail(err, MCL_E_SHAPE, "tokens.shape[1] is %lld, too large",
                     (long long)tokens->shape[1]);
  for (int64_t i = 0; i < tokens->shape[0]; i++)
    for (int64_t k = 0; k < tokens->shape[1]; k++) {
      int32_t id = ((const int32_t *)tokens->data)[i * tokens->strides[0] + k * tokens->strides[1]];
      if (id < 0)
        return mcli_fail_row(err, MCL_E_LIMIT, i, "tokens[%lld, %lld] is %d, not 0 or more",
                             (long long)i, (long long)k, (int)id);
    }
  return MCL_OK;
}

mcl_status mcl_dataset_create_tokens(mcl_context *c, const mcl_array *tokens, mcl_dataset **out,
                                     mcl_error *err) {
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  mcl_status s = check_tokens(tokens, err);
  if (s < 0) return s;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  s = mcli_memory_create(c, tokens, NULL, out, err);
  return s < 0 ? s : mcl_ok(err);
}
