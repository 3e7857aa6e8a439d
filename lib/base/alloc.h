// Memory: everything comes from the context's allocator, aligned to 64 bytes, and knows its own size.
#ifndef MCL_BASE_ALLOC_H
#define MCL_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/context.h>

// NULL when there is none, or when count * size is more than can be addressed; count 0 gives a valid pointer. Any thread.
// Sizes have 64 bits on every machine: one of a file is passed as it is, never cut to a size_t before it is looked at.
void *mcli_alloc(mcl_context *c, uint64_t count, uint64_t size);
void *mcli_calloc(mcl_context *c, uint64_t count, uint64_t size);
// A larger block with the old contents; NULL leaves the old one as it was.
void *mcli_realloc(mcl_context *c, void *ptr, uint64_t count, uint64_t size);
void mcli_free(mcl_context *c, void *ptr); // NULL is fine
char *mcli_strdup(mcl_context *c, const char *text);

// Before there is a context: the context itself.
void *mcli_alloc_with(const mcl_allocator *a, uint64_t size);
void mcli_free_with(const mcl_allocator *a, void *ptr);
extern const mcl_allocator mcli_malloc_allocator;

#define MCLI_NEW(c, T, n)  ((T *)mcli_alloc((c), (uint64_t)(n), sizeof(T)))
#define MCLI_NEW0(c, T, n) ((T *)mcli_calloc((c), (uint64_t)(n), sizeof(T)))

// *product = a * b for non-negative sizes; 0 when it does not fit in int64_t.
int mcli_mul(int64_t a, int64_t b, int64_t *product);

#endif
