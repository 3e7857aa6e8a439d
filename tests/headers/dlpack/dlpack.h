/* The part of DLPack's C interface that libmcl/dlpack.h uses, declared anew for the tests: DLPack itself need not be
 * there. Layout and numbers are those of its documentation, "Python Specification" and "C API", version 1. */
#ifndef TESTS_DLPACK_H
#define TESTS_DLPACK_H

#include <stdint.h>

#define DLPACK_MAJOR_VERSION 1

typedef enum { kDLCPU = 1, kDLCUDA = 2 } DLDeviceType;
typedef enum {
  kDLInt = 0,
  kDLUInt = 1,
  kDLFloat = 2,
  kDLOpaqueHandle = 3,
  kDLBfloat = 4
} DLDataTypeCode;

typedef struct {
  DLDeviceType device_type;
  int32_t device_id;
} DLDevice;

typedef struct {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} DLDataType;

typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides; /* in elements; NULL: contiguous */
  uint64_t byte_offset;
} DLTensor;

#endif
