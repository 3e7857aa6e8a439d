/* One view of one modality of one batch: what an encoder and an augmenter are given. */
#ifndef LIBMCL_INPUTS_H
#define LIBMCL_INPUTS_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/export.h>

MCL_BEGIN_DECLS

/** Prepared by mcl_struct_init(); then all fields mean what zero means, so set `view` to -1 where nothing is augmented. */
typedef struct mcl_inputs {
  size_t struct_size;
  const int64_t *indices; /**< [n] rows of the dataset; NULL is allowed where only `data` is used */
  int64_t n;              /**< rows in this batch */
  const mcl_array *data;  /**< [n, ...] their contents; NULL when the host holds the data itself */
  int32_t modality;       /**< 0 .. modalities - 1 */
  int32_t view;           /**< 0 or 1 in training; -1: the row as it is, not augmented */
  int32_t stage;          /**< of the loop, from 0 */
  int32_t epoch;          /**< of the stage, from 0 */
  uint64_t seed; /**< of the loop; every random draw is a function of it and the fields above */
} mcl_inputs;

MCL_END_DECLS

#endif
