// Tokens by their bytes, merges by their pair: two hash tables with open addressing, at most half
// full, beside the arrays that they point into.
//
// A word is merged by the published loop (Sennrich, Haddow & Birch 2016, section 3.2):
//
//   while some neighbours have a merge: take the merge of the lowest rank, and join its pair from
//   left to right wherever it stands                                                             (1)
//
// The ranks of all neighbours are kept, and only those beside a join are looked up anew: the rest
// of a round is a search for the smallest number. Of long words, where that would be the square of
// their length, long_word.c keeps a heap.
//
// Whoever makes a vocabulary's files may choose its ids and bytes, and so all of a table's hashes were
// these known: tables are hashed with a number drawn for each. Nothing depends on their order.
#include "dataset/vocabulary.h"

#include <string.h>

#include "base/rng.h"
#include "store/copy.h"
#include "store/utf8.h"

static const char WORD_END[] = "</w>";
enum { WORD_END_LENGTH = 4 };

void mcli_vocabulary_free(mcli_vocabulary *v) {
  mcl_context *c = v->context;
  if (!c) return;
  mcli_free(c, v->bytes);
  mcli_free(c, v->tokens);
  mcli_free(c, v->merges);
  mcli_free(c, v->token_slots);
  mcli_free(c, v->merge_slots);
  *v = (mcli_vocabulary){.context = c};
}

// ---- tokens -------------------------------------------------------------------------------------

static uint64_t token_hash(const mcli_vocabulary *v, const void *bytes, int64_t length, int ends) {
  return mcli_hash(bytes, (uint64_t)length, v->seed + (uint64_t)ends);
}

// The slot of a token, or the free one where it belongs.
static int64_t token_slot(const mcli_vocabulary *v, const void *bytes, int64_t length, int ends) {
  uint64_t i = token_hash(v, bytes, length, ends);
  for (;; i++) {
    i &= (uint64_t)v->token_room - 1;
    int32_t id = v->token_slots[i] - 1;
    if (id < 0) return (int64_t)i;
    const mcli_token *t = &v->tokens[id];
    if (t->length == length && t->ends == ends &&
        memcmp(v->bytes + t->at, bytes, (size_t)length) == 0)
      return (int64_t)i;
  }
}

int32_t mcli_vocabulary_find(const mcli_vocabulary *v, const void *bytes, int64_t length,
                             int ends) {
  if (!v->token_room) return -1;
  return v->token_slots[token_slot(v, bytes, length, ends)] - 1;
}

static int grow_token_slots(mcli_vocabulary *v) {
  if (2 * ((int64_t)v->n + 1) <= v->token_room) return 1;
  if (!v->token_room) v->seed = mcli_unpredictable();
  int64_t room = v->token_room ? 2 * v->token_room : 2048;
  int32_t *slots = MCLI_NEW0(v->context, int32_t, room);
  if (!slots) return 0;
  mcli_free(v->context, v->token_slots);
  v->token_slots = slots;
  v->token_room = room;
  for (int32_t id = 0; id < v->n; id++) {
    const mcli_token *t = &v->tokens[id];
    slots[token_slot(v, v->bytes + t->at, t->length, t->ends)] = id + 1;
  }
  return 1;
}

int mcli_bytes_grow(mcl_context *c, unsigned char **bytes, int64_t *capacity, int64_t wanted) {
  if (wanted <= *capacity) return 1;
  int64_t room = *capacity ? *capacity : 4096;
  while (room < wanted) room *= 2;
  unsigned char *larger = mcli_realloc(c, *bytes, (uint64_t)room, 1);
  if (!larger) return 0;
  *bytes = larger;
  *capacity = room;
  return 1;
}

mcl_status mcli_vocabulary_add(mcli_vocabulary *v, const void *bytes, int64_t length, int ends,
                               int32_t *id, mcl_error *err) {
  *id = mcli_vocabulary_find(v, bytes, length, ends);
  if (*id >= 0) return MCL_OK;
  mcli_token *larger = mcli_grown(v->context, v->tokens, v->n, sizeof *v->tokens);
  if (larger) v->tokens = larger;
  if (!larger || !mcli_bytes_grow(v->context, &v->bytes, &v->capacity, v->used + length) ||
      !grow_token_slots(v))
    return mcli_nomem(err, "a vocabulary");
  memcpy(v->bytes + v->used, bytes, (size_t)length);
  v->token_slots[token_slot(v, bytes, length, ends)] = v->n + 1;
  v->tokens[v->n] = (mcli_token){v->used, (int32_t)length, ends};
  v->used += length;
  *id = v->n++;
  return MCL_OK;
}

// ---- merges -------------------------------------------------------------------------------------

static int64_t merge_slot(const mcli_vocabulary *v, int32_t left, int32_t right) {
  uint64_t i = mcli_rng_mix(v->seed ^ ((uint64_t)(uint32_t)left << 32 | (uint32_t)right));
  for (;; i++) {
    i &= (uint64_t)v->merge_room - 1;
    int32_t rank = v->merge_slots[i] - 1;
    if (rank < 0 || (v->merges[rank].left == left && v->merges[rank].right == right))
      return (int64_t)i;
  }
}

int32_t mcli_vocabulary_rank(const mcli_vocabulary *v, int32_t left, int32_t right) {
  return v->merge_room ? v->merge_slots[merge_slot(v, left, right)] - 1 : -1;
}

static int grow_merge_slots(mcli_vocabulary *v) {
  if (2 * ((int64_t)v->merged + 1) <= v->merge_room) return 1;
  int64_t room = v->merge_room ? 2 * v->merge_room : 2048;
  int32_t *slots = MCLI_NEW0(v->context, int32_t, room);
  if (!slots) return 0;
  mcli_free(v->context, v->merge_slots);
  v->merge_slots = slots;
  v->merge_room = room;
  for (int32_t r = 0; r < v->merged; r++)
    slots[merge_slot(v, v->merges[r].left, v->merges[r].right)] = r + 1;
  return 1;
}

mcl_status mcli_vocabulary_add_merge(mcli_vocabulary *v, int32_t left, int32_t right,
                                     int32_t result, mcl_error *err) {
  mcli_merge *larger = mcli_grown(v->context, v->merges, v->merged, sizeof *v->merges);
  if (larger) v->merges = larger;
  if (!larger || !grow_merge_slots(v)) return mcli_nomem(err, "merges");
  v->merge_slots[merge_slot(v, left, right)] = v->merged + 1;
  v->merges[v->merged++] = (mcli_merge){left, right, result};
  return MCL_OK;
}

mcl_status mcli_vocabulary_join(mcli_vocabulary *v, int32_t left, int32_t right, int may_add,
                                int32_t *id, mcl_error *err) {
  mcli_token a = v->tokens[left], b = v->tokens[right];
  unsigned char *bytes = mcli_alloc(v->context, (uint64_t)a.length + (uint64_t)b.length, 1);
  if (!bytes) return mcli_nomem(err, "a token");
  memcpy(bytes, v->bytes + a.at, (size_t)a.length);
  memcpy(bytes + a.length, v->bytes + b.at, (size_t)b.length);
  int64_t length = (int64_t)a.length + b.length;
  mcl_status s = MCL_OK;
  if (may_add)
    s = mcli_vocabulary_add(v, bytes, length, b.ends, id, err);
  else
    *id = mcli_vocabulary_find(v, bytes, length, b.ends);
  mcli_free(v->context, bytes);
  return s;
}

int32_t mcli_vocabulary_pair_rank(const mcli_vocabulary *v, const int32_t *pair) {
  int32_t rank = mcli_vocabulary_rank(v, pair[0], pair[1]);
  return rank < 0 ? MCLI_NO_MERGE : rank;
}

// One round of (1): joins the pair of merge m wherever it stands, and closes up.
static int64_t join_all(const mcli_vocabulary *v, const mcli_merge *m, int32_t best,
                        int32_t *pieces, int64_t n, int32_t *ranks) {
  int64_t to = 0;
  int joined = 0; // the piece before is new
  for (int64_t i = 0; i < n; to++) {
    int here = i + 1 < n && ranks[i] == best;
    int32_t rank = ranks[here ? i + 1 : i];
    pieces[to] = here ? m->result : pieces[i];
    ranks[to] = rank;
    if (to > 0 && (here || joined)) ranks[to - 1] = mcli_vocabulary_pair_rank(v, &pieces[to - 1]);
    joined = here;
    i += here ? 2 : 1;
  }
  return to;
}

int64_t mcli_vocabulary_merge_short(const mcli_vocabulary *v, int32_t *pieces, int64_t n,
                                    int32_t *ranks) {
  for (int64_t i = 0; i + 1 < n; i++) ranks[i] = mcli_vocabulary_pair_rank(v, &pieces[i]);
  while (n > 1) {
    int32_t best = MCLI_NO_MERGE;
    for (int64_t i = 0; i + 1 < n; i++)
      if (ranks[i] < best) best = ranks[i];
    if (best == MCLI_NO_MERGE) break;
    n = join_all(v, &v->merges[best], best, pieces, n, ranks);
  }
  return n;
}

// Pieces of a word that is long: more than any language's words have. At this length both ways take
// as long.
enum { LONG_WORD = 128 };

int64_t mcli_vocabulary_merge(const mcli_vocabulary *v, int32_t *pieces, int64_t n, int32_t *room) {
  return n < LONG_WORD ? mcli_vocabulary_merge_short(v, pieces, n, room)
                       : mcli_vocabulary_merge_long(v, pieces, n, room);
}

// ---- bytes as characters ------------------------------------------------------------------------

// Bytes that are printed as themselves in Latin-1 stand for themselves; the others, in order, for
// U+0100 and on (Radford et al. 2019).
static int is_printed(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

static uint32_t character_of(int byte) {
  uint32_t code = 0x100;
  if (is_printed(byte)) return (uint32_t)byte;
  for (int b = 0; b < byte; b++) code += !is_printed(b);
  return code;
}

enum { MOST_CODE = 0x100 + MCLI_BYTES };

// The byte that each character stands for, -1: none. Looked up, since a file has millions of them.
static void list_bytes(int16_t bytes[MOST_CODE]) {
  uint32_t code = 0x100;
  for (int i = 0; i < MOST_CODE; i++) bytes[i] = -1;
  for (int b = 0; b < MCLI_BYTES; b++) bytes[is_printed(b) ? (uint32_t)b : code++] = (int16_t)b;
}

mcl_status mcli_vocabulary_add_alphabet(mcli_vocabulary *v, mcl_error *err) {
  mcl_status s = MCL_OK;
  int32_t id = -1;
  for (int ends = 0; ends < 2; ends++)
    for (int printed = 1; printed >= 0; printed--)
      for (int b = 0; s == MCL_OK && b < MCLI_BYTES; b++)
        if (is_printed(b) == printed)
          s = mcli_vocabulary_add(v, &(unsigned char){(unsigned char)b}, 1, ends, &id, err);
  return s;
}

mcl_status mcli_vocabulary_add_marks(mcli_vocabulary *v, mcl_error *err) {
  int32_t id;
  mcl_status s = mcli_vocabulary_add(v, MCLI_START, sizeof MCLI_START - 1, 0, &id, err);
  return s < 0 ? s : mcli_vocabulary_add(v, MCLI_END, sizeof MCLI_END - 1, 0, &id, err);
}

void mcli_token_spell(const mcli_vocabulary *v, int32_t id, char *out) {
  const mcli_token *t = &v->tokens[id];
  for (int32_t i = 0; i < t->length; i++)
    out = mcli_utf8_put(out, character_of(v->bytes[t->at + i]));
  memcpy(out, WORD_END, t->ends ? WORD_END_LENGTH : 0);
  out[t->ends ? WORD_END_LENGTH : 0] = 0;
}

int64_t mcli_token_read(const char *text, int64_t n, unsigned char *out, int *ends) {
  int64_t count = 0;
  int16_t bytes[MOST_CODE];
  list_bytes(bytes);
  *ends =
      n >= WORD_END_LENGTH && memcmp(text + n - WORD_END_LENGTH, WORD_END, WORD_END_LENGTH) == 0;
  if (*ends) n -= WORD_END_LENGTH;
  for (int64_t i = 0; i < n;) {
    int64_t length = mcli_utf8_length(text + i, n - i);
    uint32_t code = length ? mcli_utf8_code(text + i, length) : MOST_CODE;
    if (code >= MOST_CODE || bytes[code] < 0) return 0;
    out[count++] = (unsigned char)bytes[code];
    i += length;
  }
  return count;
}

uint64_t mcli_vocabulary_hash(const mcli_vocabulary *v) {
  uint64_t h = mcli_hash(&v->n, sizeof v->n, 0);
  for (int32_t i = 0; i < v->n; i++)
    h = mcli_hash(v->bytes + v->tokens[i].at, (uint64_t)v->tokens[i].length,
                  h + (uint64_t)v->tokens[i].ends);
  return mcli_hash(v->merges, (uint64_t)v->merged * sizeof *v->merges, h);
}
