// Safetensors files that are valid but for what an input says, made out of good ones.
#ifndef MCL_TESTS_FUZZ_TENSORS_H
#define MCL_TESTS_FUZZ_TENSORS_H

#include "fuzz/fuzz.h"

// The good file with the changes that `changes` spells, until it ends: tensors and texts missing, twice, under another name, of
// another type or shape, with other numbers; the file cut. To be freed.
uint8_t *fuzz_tensors(fuzz_bytes *changes, const uint8_t *good, size_t n, size_t *size);
// The good file where a byte says so, one with changes, or bytes that are no better than any: written there.
const char *fuzz_put_tensors(fuzz_bytes *changes, const char *name, const uint8_t *good, size_t n);

#endif
