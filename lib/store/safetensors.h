// The header of a safetensors file, apart from any file.
//
//   {"__metadata__":{"key":"text"},"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}
#ifndef MCL_STORE_SAFETENSORS_H
#define MCL_STORE_SAFETENSORS_H

#include "store/copy.h"
#include "store/json.h"

#define MCLI_META_NAME "__metadata__"

// The bytes before the header: its length, little-endian. The format allows headers of 100 MB; one
// of 1 MB names some 10,000 tensors, and bounds what a hostile file can make us allocate.
enum { MCLI_LENGTH_BYTES = 8, MCLI_HEADER_LIMIT = 1 << 20 };

typedef struct mcli_tensor {
  const char *name, *type; // in the header's text
  int64_t shape[4];        // of the first four dimensions, 1 beyond ndim
  int64_t elements;        // product over all dimensions
  int64_t begin, end;      // of the numbers, counted from the end of the header
  int32_t dtype;           // MCL_*; 0: not ours
  int32_t ndim;            // as in the file: 0 .. 32
} mcli_tensor;

typedef struct mcli_meta {
  const char *key, *value;
} mcli_meta;

typedef struct mcli_tensors {
  mcli_tensor *tensors; // sorted by name once read
  mcli_meta *meta;      // sorted by key
  int64_t n, n_meta;
} mcli_tensors;

// Reads text[0..length), followed by `bytes` bytes of numbers, and checks it whole. The names point
// into the text, which is spoilt; text[length] must be writable. On failure *out has been freed.
mcl_status mcli_tensors_read(mcl_context *c, const char *path, char *text, int64_t length,
                             int64_t bytes, mcli_tensors *out, mcl_error *err);
void mcli_tensors_free(mcl_context *c, mcli_tensors *t);
const mcli_tensor *mcli_tensors_find(const mcli_tensors *t, const char *name); // NULL: none
const char *mcli_tensors_meta(const mcli_tensors *t, const char *key);

#endif
