/* A borrowed view of numbers: the one way in which matrices and images cross the interface.
 *
 * libmcl reads or writes through a view during the call only and never keeps it, unless a function's comment says
 * KEEPS. Indices and labels are not arrays: they are plain pointers with a count. */
#ifndef LIBMCL_ARRAY_H
#define LIBMCL_ARRAY_H

#include <stdint.h>

#include <libmcl/export.h>

MCL_BEGIN_DECLS

/** Element types. Everything is computed in float32; the others are converted block by block. */
enum {
  MCL_F32 = 1, /**< float */
  MCL_F64,     /**< double */
  MCL_F16,     /**< IEEE 754 binary16 */
  MCL_BF16,    /**< the upper half of a float */
  MCL_U8,      /**< bytes; of images 0 .. 255 stands for 0 .. 1 */
  MCL_I32,     /**< int32_t: tokens */
  MCL_I64      /**< int64_t: labels and indices in files */
};

/** Flags of an array. */
enum { MCL_ARRAY_READONLY = 1 /**< libmcl refuses to write to it (MCL_E_INVALID) */ };

/** Frozen: its size and members never change. */
typedef struct mcl_array {
  void *data;         /**< first element; the host's */
  int32_t dtype;      /**< MCL_F32 ... */
  int32_t ndim;       /**< 1..4 */
  uint32_t flags;     /**< MCL_ARRAY_READONLY or 0 */
  int32_t device;     /**< 0: host memory; anything else is MCL_E_UNSUPPORTED */
  int64_t shape[4];   /**< 1 beyond ndim */
  int64_t strides[4]; /**< in elements; 0 and negative ones only in inputs */
} mcl_array;

/** A contiguous (row-major) view of `data` with `ndim` dimensions of the sizes in `shape`. Nothing is checked here:
 *  the call that gets the view checks it and names it. Any thread. */
MCL_API void mcl_array_init(mcl_array *a, void *data, int32_t dtype, int32_t ndim,
                            const int64_t *shape);

/** [rows, cols] of float32. */
static inline mcl_array mcl_matrix_f32(float *data, int64_t rows, int64_t cols) {
  mcl_array a;
  int64_t shape[2];
  shape[0] = rows;
  shape[1] = cols;
  mcl_array_init(&a, data, MCL_F32, 2, shape);
  return a;
}

/** [n, height, width, channels] of uint8; 0..255 stands for 0..1. */
static inline mcl_array mcl_images_u8(uint8_t *data, int64_t n, int64_t height, int64_t width,
                                      int64_t channels) {
  mcl_array a;
  int64_t shape[4];
  shape[0] = n;
  shape[1] = height;
  shape[2] = width;
  shape[3] = channels;
  mcl_array_init(&a, data, MCL_U8, 4, shape);
  return a;
}

/** [n, height, width, channels] of float32, usually 0..1. */
static inline mcl_array mcl_images_f32(float *data, int64_t n, int64_t height, int64_t width,
                                       int64_t channels) {
  mcl_array a;
  int64_t shape[4];
  shape[0] = n;
  shape[1] = height;
  shape[2] = width;
  shape[3] = channels;
  mcl_array_init(&a, data, MCL_F32, 4, shape);
  return a;
}

MCL_END_DECLS

#endif
