/* Arrays to and from DLPack tensors, by borrowing: nothing is copied, owned or released here.
 *
 * Needs DLPack's own header, <dlpack/dlpack.h>, before or on the include path; without it this header is empty. */
#ifndef LIBMCL_DLPACK_H
#define LIBMCL_DLPACK_H

#include <libmcl/array.h>
#include <libmcl/status.h>

#if !defined(DLPACK_VERSION) && !defined(DLPACK_MAJOR_VERSION) && defined(__has_include)
#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>
#endif
#endif

#if defined(DLPACK_VERSION) || defined(DLPACK_MAJOR_VERSION)

/** The libmcl dtype of a DLPack one, 0 where there is none. */
static inline int32_t mcl_dtype_from_dlpack(DLDataType t) {
  if (t.lanes != 1) return 0;
  switch (t.code) {
  case kDLFloat:
    return t.bits == 32 ? MCL_F32 : t.bits == 64 ? MCL_F64 : t.bits == 16 ? MCL_F16 : 0;
  case kDLBfloat:
    return t.bits == 16 ? MCL_BF16 : 0;
  case kDLUInt:
    return t.bits == 8 ? MCL_U8 : 0;
  case kDLInt:
    return t.bits == 32 ? MCL_I32 : t.bits == 64 ? MCL_I64 : 0;
  default:
    return 0;
  }
}

/** A view of a tensor, valid as long as the tensor is.
 *  Errors: MCL_E_UNSUPPORTED (not in host memory), MCL_E_DTYPE, MCL_E_SHAPE (0 or more than 4 dimensions). */
static inline mcl_status mcl_array_from_dltensor(const DLTensor *t, mcl_array *out,
                                                 mcl_error *err) {
  int64_t shape[4];
  int32_t dtype, i;
  if (t->device.device_type != kDLCPU)
    return mcl_error_set(err, MCL_E_UNSUPPORTED, 0, "the tensor is not in host memory");
  dtype = mcl_dtype_from_dlpack(t->dtype);
  if (!dtype)
    return mcl_error_set(err, MCL_E_DTYPE, 0, "the tensor's type has no counterpart in libmcl");
  if (t->ndim < 1 || t->ndim > 4)
    return mcl_error_set(err, MCL_E_SHAPE, 0, "the tensor does not have 1 to 4 dimensions");
  for (i = 0; i < t->ndim; i++) shape[i] = t->shape[i];
  mcl_array_init(out, (char *)t->data + t->byte_offset, dtype, t->ndim, shape);
  for (i = 0; t->strides && i < t->ndim; i++) out->strides[i] = t->strides[i];
  return mcl_ok(err);
}

/** A tensor that views an array; shape and strides point into `a`, which must outlive it. */
static inline mcl_status mcl_array_to_dltensor(mcl_array *a, DLTensor *out, mcl_error *err) {
  static const uint8_t codes[] = {0,         kDLFloat, kDLFloat, kDLFloat,
                                  kDLBfloat, kDLUInt,  kDLInt,   kDLInt};
  static const uint8_t bits[] = {0, 32, 64, 16, 16, 8, 32, 64};
  if (a->device != 0 || a->dtype < MCL_F32 || a->dtype > MCL_I64)
    return mcl_error_set(err, MCL_E_UNSUPPORTED, 0, "the array has no counterpart in DLPack");
  out->data = a->data;
  out->device.device_type = kDLCPU;
  out->device.device_id = 0;
  out->ndim = a->ndim;
  out->dtype.code = codes[a->dtype];
  out->dtype.bits = bits[a->dtype];
  out->dtype.lanes = 1;
  out->shape = a->shape;
  out->strides = a->strides;
  out->byte_offset = 0;
  return mcl_ok(err);
}

#endif

#endif
