// A long word's merges, by a heap: n log n, where the loop of vocabulary.c takes n^2. 64 KiB without a space are
// a text as good as any, and a file of captions may have a thousand of them.
//
// The pieces are a chain. The heap holds pairs of neighbours, those of the lowest rank first and of one rank
// the leftmost first:
//
//   key = rank 2^32 + place of the left piece                                                    (1)
//
// A round of the published loop takes all pairs of one rank, from left to right. Those whose pieces have been
// joined meanwhile are passed over: of "aaa" the left pair is joined and the right one is gone. Pairs that
// joins have made wait until the round is over, since a file may have a merge before those of its pieces; none of
// them is of the round's own rank, as the joined piece is longer than either of that merge.
#include <stdint.h>

#include "dataset/vocabulary.h"

typedef struct chain {
  const mcli_vocabulary *v;
  int32_t *pieces;      // [n]; -1: joined to the one before
  int32_t *next, *last; // [n]: places of neighbours, n and -1 at the ends
  int32_t *joined;      // [n]: places where the round at hand has joined
  uint64_t *heap;       // [3 n]: a pair each to begin with, and two for every join
  int32_t n;
  int64_t n_heap, n_joined;
} chain;

static void push(chain *c, uint64_t key) {
  int64_t i = c->n_heap++;
  for (; i > 0 && key < c->heap[(i - 1) / 2]; i = (i - 1) / 2) c->heap[i] = c->heap[(i - 1) / 2];
  c->heap[i] = key;
}

static uint64_t pop(chain *c) {
  uint64_t top = c->heap[0], key = c->heap[--c->n_heap];
  int64_t i = 0;
  for (int64_t child; (child = 2 * i + 1) < c->n_heap; i = child) {
    if (child + 1 < c->n_heap && c->heap[child + 1] < c->heap[child]) child++;
    if (c->heap[child] >= key) break;
    c->heap[i] = c->heap[child];
  }
  c->heap[i] = key;
  return top;
}

// The pair that begins at a place, if it has a merge.
static void push_pair(chain *c, int32_t at) {
  if (at < 0 || c->next[at] >= c->n) return;
  const int32_t pair[2] = {c->pieces[at], c->pieces[c->next[at]]};
  int32_t rank = mcli_vocabulary_pair_rank(c->v, pair);
  if (rank != MCLI_NO_MERGE) push(c, (uint64_t)rank << 32 | (uint32_t)at); // (1)
}

// Joins the pair that begins at a place, if it is still the merge's.
static void join(chain *c, const mcli_merge *m, int32_t at) {
  int32_t right = c->next[at];
  if (c->pieces[at] != m->left || right >= c->n || c->pieces[right] != m->right) return;
  c->pieces[at] = m->result;
  c->pieces[right] = -1;
  c->next[at] = c->next[right];
  if (c->next[at] < c->n) c->last[c->next[at]] = at;
  c->joined[c->n_joined++] = at;
}

static void merge_round(chain *c) {
  uint64_t rank = c->heap[0] >> 32;
  c->n_joined = 0;
  while (c->n_heap > 0 && c->heap[0] >> 32 == rank)
    join(c, &c->v->merges[rank], (int32_t)(pop(c) & UINT32_MAX));
  for (int64_t i = 0; i < c->n_joined; i++) {
    push_pair(c, c->last[c->joined[i]]);
    push_pair(c, c->joined[i]);
  }
}

int64_t mcli_vocabulary_merge_long(const mcli_vocabulary *v, int32_t *pieces, int64_t n,
                                   int32_t *room) {
  chain c = {.v = v, .pieces = pieces, .n = (int32_t)n};
  c.heap = (uint64_t *)(void *)room;
  c.next = room + 6 * n;
  c.last = c.next + n;
  c.joined = c.last + n;
  for (int32_t i = 0; i < c.n; i++) c.next[i] = i + 1, c.last[i] = i - 1;
  for (int32_t i = 0; i < c.n; i++) push_pair(&c, i);
  while (c.n_heap > 0) merge_round(&c);
  int64_t left = 0;
  for (int32_t i = 0; i < c.n; i = c.next[i]) pieces[left++] = pieces[i];
  return left;
}
