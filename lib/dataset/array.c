// A dataset of images that lie in the host's memory and stay there.
#include "math/array.h"
#include "dataset/memory.h"

// [n, h, w] is seen as [n, h, w, 1].
static mcl_status check(const mcl_array *images, mcl_array *view, mcl_error *err) {
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
  mcl_status s = check(images, &view, err);
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
