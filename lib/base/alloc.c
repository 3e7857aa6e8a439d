// Memory. Every block is preceded by one cache line that holds its size, because the host's free() is told size and
// alignment (many allocators want them) while libmcl's parts need not carry them along.
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/context.h"

// A cache line, and the widest vector: rows that start on it never straddle more lines than they must.
enum { ALIGNMENT = 64 };

static void *malloc_alloc(void *user, size_t size, size_t alignment) {
  (void)user;
  return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void malloc_free(void *user, void *ptr, size_t size, size_t alignment) {
  (void)user, (void)size, (void)alignment;
  free(ptr);
}

const mcl_allocator mcli_malloc_allocator = {sizeof(mcl_allocator), NULL, malloc_alloc,
                                             malloc_free};

// A pointer's difference must tell any two places of a block apart: half of the address space is the most.
void *mcli_alloc_with(const mcl_allocator *a, uint64_t size) {
  if (size > PTRDIFF_MAX - 2 * (uint64_t)ALIGNMENT) return NULL;
  size_t whole = (size_t)size + ALIGNMENT;
  unsigned char *base = a->alloc(a->user, whole, ALIGNMENT);
  if (!base) return NULL;
  memcpy(base, &whole, sizeof whole);
  return base + ALIGNMENT;
}

void mcli_free_with(const mcl_allocator *a, void *ptr) {
  if (!ptr) return;
  unsigned char *base = (unsigned char *)ptr - ALIGNMENT;
  size_t whole;
  memcpy(&whole, base, sizeof whole);
  a->free(a->user, base, whole, ALIGNMENT);
}

void *mcli_alloc(mcl_context *c, uint64_t count, uint64_t size) {
  if (size && count > UINT64_MAX / size) return NULL;
  return mcli_alloc_with(mcli_context_allocator(c), count * size);
}

void *mcli_calloc(mcl_context *c, uint64_t count, uint64_t size) {
  void *p = mcli_alloc(c, count, size);
  if (p) memset(p, 0, (size_t)(count * size));
  return p;
}

void *mcli_realloc(mcl_context *c, void *ptr, uint64_t count, uint64_t size) {
  void *p = mcli_alloc(c, count, size);
  if (!p || !ptr) return p;
  size_t old, wanted = (size_t)(count * size);
  memcpy(&old, (unsigned char *)ptr - ALIGNMENT, sizeof old);
  old -= ALIGNMENT;
  memcpy(p, ptr, old < wanted ? old : wanted);
  mcli_free(c, ptr);
  return p;
}

void mcli_free(mcl_context *c, void *ptr) {
  if (ptr) mcli_free_with(mcli_context_allocator(c), ptr);
}

char *mcli_strdup(mcl_context *c, const char *text) {
  size_t n = strlen(text) + 1;
  char *copy = mcli_alloc(c, n, 1);
  if (copy) memcpy(copy, text, n);
  return copy;
}

int mcli_mul(int64_t a, int64_t b, int64_t *product) {
  return !__builtin_mul_overflow(a, b, product);
}
