// Tokens and their ids, merges and their ranks: what a tokenizer is made of, while it is built and
// afterwards.
#ifndef MCL_DATASET_VOCABULARY_H
#define MCL_DATASET_VOCABULARY_H

#include <stdint.h>

#include "base/context.h"

enum {
  MCLI_BYTES = 256,
  MCLI_ALPHABET = 2 * MCLI_BYTES, // each byte, inside a word and at its end
  MCLI_MOST_TOKENS = 1 << 20
};

#define MCLI_START "<|startoftext|>"
#define MCLI_END   "<|endoftext|>"

typedef struct mcli_token {
  int64_t at;     // in bytes
  int32_t length; // of its bytes, without the mark of a word's end
  int32_t ends;   // 1: a word ends with it
} mcli_token;

typedef struct mcli_merge {
  int32_t left, right, result;
} mcli_merge;

typedef struct mcli_vocabulary {
  mcl_context *context;
  unsigned char *bytes; // of all tokens, one after the other
  int64_t used, capacity;
  mcli_token *tokens; // [n]
  int32_t n;
  mcli_merge *merges; // [merged]; the place is the rank
  int32_t merged;
  int32_t *token_slots, *merge_slots; // id + 1 and rank + 1 by hash; 0: free
  int64_t token_room, merge_room;     // slots: powers of two, or 0
  uint64_t seed;                      // of their hashes
} mcli_vocabulary;

// Room for `wanted` bytes, doubled until they fit; what is there stays. 0 without memory.
int mcli_bytes_grow(mcl_context *c, unsigned char **bytes, int64_t *capacity, int64_t wanted);

// `v` is zeroed but for the context. Frees what is there, of a half-built one too.
void mcli_vocabulary_free(mcli_vocabulary *v);

// The token's id; -1: there is none.
int32_t mcli_vocabulary_find(const mcli_vocabulary *v, const void *bytes, int64_t length, int ends);
// Its id, a new one where it is new. MCL_E_NOMEM.
mcl_status mcli_vocabulary_add(mcli_vocabulary *v, const void *bytes, int64_t length, int ends,
                               int32_t *id, mcl_error *err);
// All 512 bytes, in CLIP's order: those that are printed as themselves, then the others.
mcl_status mcli_vocabulary_add_alphabet(mcli_vocabulary *v, mcl_error *err);
// The start and the end token.
mcl_status mcli_vocabulary_add_marks(mcli_vocabulary *v, mcl_error *err);

// The rank of a pair's merge; -1: there is none.
int32_t mcli_vocabulary_rank(const mcli_vocabulary *v, int32_t left, int32_t right);
// A merge of a pair that has none yet. MCL_E_NOMEM.
mcl_status mcli_vocabulary_add_merge(mcli_vocabulary *v, int32_t left, int32_t right,
                                     int32_t result, mcl_error *err);
// The token whose bytes are left's and right's; a new one where it is new and `may_add`, else -1.
// MCL_E_NOMEM.
mcl_status mcli_vocabulary_join(mcli_vocabulary *v, int32_t left, int32_t right, int may_add,
                                int32_t *id, mcl_error *err);

enum { MCLI_NO_MERGE = INT32_MAX };
// The rank of two neighbours' merge, MCLI_NO_MERGE where they have none.
int32_t mcli_vocabulary_pair_rank(const mcli_vocabulary *v, const int32_t *pair);

// Merges a word's n pieces where they stand; the number that is left. `room` is for MCLI_MERGE_ROOM n
// numbers, on a boundary of 8 bytes. Both ways give the same; the long word's takes n log n time.
enum { MCLI_MERGE_ROOM = 9 };
int64_t mcli_vocabulary_merge(const mcli_vocabulary *v, int32_t *pieces, int64_t n, int32_t *room);
int64_t mcli_vocabulary_merge_short(const mcli_vocabulary *v, int32_t *pieces, int64_t n,
                                    int32_t *ranks);
int64_t mcli_vocabulary_merge_long(const mcli_vocabulary *v, int32_t *pieces, int64_t n,
                                   int32_t *room);

uint64_t mcli_vocabulary_hash(const mcli_vocabulary *v);

// Bytes as the files spell them, each as one printable character, and "</w>" at a word's end. `out`
// has room for 2 length + 5; NUL-terminated.
void mcli_token_spell(const mcli_vocabulary *v, int32_t id, char *out);
// The reverse: the bytes of n characters into `out`, which has room for n. Their number, 0 where a
// character stands for no byte, or nothing is there.
int64_t mcli_token_read(const char *text, int64_t n, unsigned char *out, int *ends);

#endif
