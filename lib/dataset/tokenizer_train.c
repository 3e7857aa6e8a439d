// Learning merges from texts (Sennrich, Haddow & Birch 2016, algorithm 1).
//
// A word w that is seen n_w times is a row of pieces; how often a pair of neighbours is seen is
//
//   count(a, b) = sum_w n_w |{ i : w_i = a, w_(i+1) = b }|                                        (1)
//
// and each step merges the pair of the largest count; of equal ones, that of the smallest (a, b)   (2)
//
// Neither depends on the order of the words, so that of the texts plays no part. Counting anew at
// each step would cost the whole text each time. Instead each pair knows its count and the words
// that have had it; a merge touches those words only: their pairs are taken off the counts, the word
// is merged, and its pairs are added again. The largest count is found by a heap whose entries may
// be out of date: every pair has an entry of at least its count (3), since one is pushed whenever a
// count has grown; an entry above the count is pushed again with the count when it comes up.
#include "dataset/tokenizer.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "dataset/words.h"

typedef struct word {
  int64_t at, count; // first piece in `pieces`; n_w
  int32_t pieces;    // that are left
  int32_t last;      // the merge that was the last to touch it
} word;

// A word that has had a pair: one of a chain.
typedef struct place {
  int64_t word, next; // next: -1 ends the chain
} place;

typedef struct pair {
  int32_t left, right;
  int64_t count, places; // (1); the chain's first place, -1: none
  int32_t grown;         // the merge that was the last to make the count grow
  int32_t reserved;
} pair;

typedef struct entry {
  int64_t count, pair;
} entry;

typedef struct trainer {
  mcl_context *context;
  mcl_tokenizer *tokenizer;
  char *lowered;          // of the text at hand
  unsigned char *bytes;   // of all words, while they are counted
  int64_t used, capacity; // of bytes
  word *words;
  int64_t n_words, words_room;
  int64_t *word_slots, word_room; // place + 1, by hash
  int32_t *pieces;                // of all words
  pair *pairs;
  int64_t n_pairs, pairs_room;
  int64_t *pair_slots, pair_room; // place + 1, by hash
  place *places;
  int64_t n_places, places_room;
  entry *heap;
  int64_t n_heap, heap_room;
  int64_t *grown; // pairs whose count the merge at hand has made grow
  int64_t n_grown, grown_room;
  int32_t merge; // number of the merge at hand
  uint64_t seed; // of hashes: texts could else be made to collide
} trainer;

static void trainer_free(trainer *t) {
  mcl_context *c = t->context;
  mcli_free(c, t->lowered);
  mcli_free(c, t->bytes);
  mcli_free(c, t->words);
  mcli_free(c, t->word_slots);
  mcli_free(c, t->pieces);
  mcli_free(c, t->pairs);
  mcli_free(c, t->pair_slots);
  mcli_free(c, t->places);
  mcli_free(c, t->heap);
  mcli_free(c, t->grown);
}

// Room for one more in the array that `items` points to; it may have shrunk meanwhile, so that its
// room is counted apart. 0 without memory.
static int has_room(mcl_context *c, void *items, int64_t n, int64_t *room, size_t size) {
  void *array;
  if (n < *room) return 1;
  memcpy(&array, items, sizeof array);
  int64_t wanted = *room ? 2 * *room : 64;
  array = mcli_realloc(c, array, (uint64_t)wanted, size);
  if (!array) return 0;
  memcpy(items, &array, sizeof array);
  *room = wanted;
  return 1;
}
#define HAS_ROOM(t, items, n)                                                                      \
  has_room((t)->context, &(t)->items, (t)->n, &(t)->items##_room, sizeof *(t)->items)

// ---- words --------------------------------------------------------------------------------------

static int64_t word_slot(const trainer *t, const void *bytes, int64_t n) {
  uint64_t i = mcli_hash(bytes, (uint64_t)n, t->seed);
  for (;; i++) {
    i &= (uint64_t)t->word_room - 1;
    int64_t at = t->word_slots[i] - 1;
    if (at < 0 ||
        (t->words[at].pieces == n && memcmp(t->bytes + t->words[at].at, bytes, (size_t)n) == 0))
      return (int64_t)i;
  }
}

static int grow_word_slots(trainer *t) {
  if (2 * (t->n_words + 1) <= t->word_room) return 1;
  int64_t room = t->word_room ? 2 * t->word_room : 1024;
  int64_t *slots = MCLI_NEW0(t->context, int64_t, room);
  if (!slots) return 0;
  mcli_free(t->context, t->word_slots);
  t->word_slots = slots;
  t->word_room = room;
  for (int64_t i = 0; i < t->n_words; i++)
    slots[word_slot(t, t->bytes + t->words[i].at, t->words[i].pieces)] = i + 1;
  return 1;
}

static mcl_status count_word(trainer *t, const char *bytes, int64_t n, mcl_error *err) {
  if (!grow_word_slots(t)) return mcli_nomem(err, "words");
  int64_t slot = word_slot(t, bytes, n);
  if (t->word_slots[slot] > 0) {
    t->words[t->word_slots[slot] - 1].count++;
    return MCL_OK;
  }
  if (!HAS_ROOM(t, words, n_words) ||
      !mcli_bytes_grow(t->context, &t->bytes, &t->capacity, t->used + n))
    return mcli_nomem(err, "words");
  memcpy(t->bytes + t->used, bytes, (size_t)n);
  t->words[t->n_words++] = (word){t->used, 1, (int32_t)n, -1};
  t->word_slots[slot] = t->n_words;
  t->used += n;
  return MCL_OK;
}

static mcl_status count_text(trainer *t, const char *text, int64_t number, mcl_error *err) {
  int replace = t->tokenizer->options.on_bad_utf8 == MCL_BAD_UTF8_REPLACE;
  int64_t bad, length = mcli_words_lower(text, (int64_t)strlen(text), replace, t->lowered, &bad);
  if (length < 0) return mcli_tokenizer_fail_utf8(err, number, bad);
  const char *at = t->lowered, *end = at + length, *found;
  mcl_status s = MCL_OK;
  for (int64_t n; s == MCL_OK && (n = mcli_words_next(&at, end, &found)) > 0;)
    s = count_word(t, found, n, err);
  return s;
}

// Texts between two looks at the monitor.
enum { TEXTS_A_LOOK = 4096 };

static mcl_status count_words(trainer *t, const char *const *texts, int64_t n, mcli_watch *watch,
                              mcl_error *err) {
  int64_t longest;
  mcl_status s = mcli_tokenizer_check_texts(&t->tokenizer->options, texts, n, &longest, err);
  if (s < 0) return s;
  t->lowered = MCLI_NEW(t->context, char, mcli_words_capacity(longest) + 1);
  if (!t->lowered) return mcli_nomem(err, "words");
  for (int64_t i = 0; s == MCL_OK && i < n; i++) {
    s = count_text(t, texts[i], i, err);
    if (s == MCL_OK && ((i + 1) % TEXTS_A_LOOK == 0 || i + 1 == n))
      s = mcli_watch_tell(watch, i + 1, (double)NAN, err);
  }
  return s;
}

// ---- pairs --------------------------------------------------------------------------------------

static int64_t pair_slot(const trainer *t, int32_t left, int32_t right) {
  int32_t key[2] = {left, right};
  uint64_t i = mcli_hash(key, sizeof key, t->seed);
  for (;; i++) {
    i &= (uint64_t)t->pair_room - 1;
    int64_t at = t->pair_slots[i] - 1;
    if (at < 0 || (t->pairs[at].left == left && t->pairs[at].right == right)) return (int64_t)i;
  }
}

static int grow_pair_slots(trainer *t) {
  if (2 * (t->n_pairs + 1) <= t->pair_room) return 1;
  int64_t room = t->pair_room ? 2 * t->pair_room : 1024;
  int64_t *slots = MCLI_NEW0(t->context, int64_t, room);
  if (!slots) return 0;
  mcli_free(t->context, t->pair_slots);
  t->pair_slots = slots;
  t->pair_room = room;
  for (int64_t i = 0; i < t->n_pairs; i++)
    slots[pair_slot(t, t->pairs[i].left, t->pairs[i].right)] = i + 1;
  return 1;
}

// The pair, a new one of count 0 where it is new; -1 without memory.
static int64_t find_pair(trainer *t, int32_t left, int32_t right) {
  if (!grow_pair_slots(t)) return -1;
  int64_t slot = pair_slot(t, left, right);
  if (t->pair_slots[slot] > 0) return t->pair_slots[slot] - 1;
  if (!HAS_ROOM(t, pairs, n_pairs)) return -1;
  t->pairs[t->n_pairs++] = (pair){left, right, 0, -1, -1, 0};
  t->pair_slots[slot] = t->n_pairs;
  return t->n_pairs - 1;
}

static int is_before(const trainer *t, entry a, entry b) { // (2)
  if (a.count != b.count) return a.count > b.count;
  const pair *p = &t->pairs[a.pair], *q = &t->pairs[b.pair];
  return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static mcl_status push(trainer *t, entry e, mcl_error *err) {
  if (!HAS_ROOM(t, heap, n_heap)) return mcli_nomem(err, "pairs");
  int64_t i = t->n_heap++;
  for (; i > 0 && is_before(t, e, t->heap[(i - 1) / 2]); i = (i - 1) / 2)
    t->heap[i] = t->heap[(i - 1) / 2];
  t->heap[i] = e;
  return MCL_OK;
}

static entry pop(trainer *t) {
  entry top = t->heap[0], e = t->heap[--t->n_heap];
  int64_t i = 0;
  for (int64_t child; (child = 2 * i + 1) < t->n_heap; i = child) {
    if (child + 1 < t->n_heap && is_before(t, t->heap[child + 1], t->heap[child])) child++;
    if (!is_before(t, t->heap[child], e)) break;
    t->heap[i] = t->heap[child];
  }
  t->heap[i] = e;
  return top;
}

// Adds a word's pairs to the counts. Those with piece `made` are new in it: they note the word.
// made -1: all are.
static mcl_status add_pairs(trainer *t, int64_t number, int32_t made, mcl_error *err) {
  const word *w = &t->words[number];
  const int32_t *piece = t->pieces + w->at;
  for (int32_t i = 0; i + 1 < w->pieces; i++) {
    int64_t at = find_pair(t, piece[i], piece[i + 1]);
    if (at < 0) return mcli_nomem(err, "pairs");
    t->pairs[at].count += w->count;
    if (made >= 0 && piece[i] != made && piece[i + 1] != made) continue;
    if (!HAS_ROOM(t, places, n_places)) return mcli_nomem(err, "pairs");
    t->places[t->n_places] = (place){number, t->pairs[at].places};
    t->pairs[at].places = t->n_places++;
    if (t->pairs[at].grown == t->merge) continue;
    t->pairs[at].grown = t->merge;
    if (!HAS_ROOM(t, grown, n_grown)) return mcli_nomem(err, "pairs");
    t->grown[t->n_grown++] = at;
  }
  return MCL_OK;
}

static void take_pairs(trainer *t, const word *w) {
  const int32_t *piece = t->pieces + w->at;
  for (int32_t i = 0; i + 1 < w->pieces; i++)
    t->pairs[t->pair_slots[pair_slot(t, piece[i], piece[i + 1])] - 1].count -= w->count;
}

static mcl_status push_grown(trainer *t, mcl_error *err) { // (3)
  mcl_status s = MCL_OK;
  for (int64_t i = 0; s == MCL_OK && i < t->n_grown; i++) {
    int64_t at = t->grown[i];
    s = push(t, (entry){t->pairs[at].count, at}, err);
  }
  t->n_grown = 0;
  return s;
}

// ---- merging ------------------------------------------------------------------------------------

static void merge_word(trainer *t, word *w, const mcli_merge *m) {
  int32_t *piece = t->pieces + w->at, to = 0;
  for (int32_t i = 0; i < w->pieces; to++) {
    int here = i + 1 < w->pieces && piece[i] == m->left && piece[i + 1] == m->right;
    piece[to] = here ? m->result : piece[i];
    i += here ? 2 : 1;
  }
  w->pieces = to;
}

static mcl_status merge_pair(trainer *t, int64_t at, mcl_error *err) {
  mcli_vocabulary *v = &t->tokenizer->vocabulary;
  mcli_merge m = {t->pairs[at].left, t->pairs[at].right, -1};
  mcl_status s = mcli_vocabulary_join(v, m.left, m.right, 1, &m.result, err);
  if (s == MCL_OK) s = mcli_vocabulary_add_merge(v, m.left, m.right, m.result, err);
  t->merge++;
  for (int64_t p = t->pairs[at].places; s == MCL_OK && p >= 0; p = t->places[p].next) {
    word *w = &t->words[t->places[p].word];
    if (w->last == t->merge) continue; // it has the pair twice
    w->last = t->merge;
    take_pairs(t, w);
    merge_word(t, w, &m);
    s = add_pairs(t, t->places[p].word, m.result, err);
  }
  return s == MCL_OK ? push_grown(t, err) : s;
}

static mcl_status begin_pairs(trainer *t, mcl_error *err) {
  t->pieces = MCLI_NEW(t->context, int32_t, t->used);
  if (!t->pieces) return mcli_nomem(err, "words");
  mcl_status s = MCL_OK;
  for (int64_t i = 0; s == MCL_OK && i < t->n_words; i++) {
    const word *w = &t->words[i];
    for (int32_t k = 0; k < w->pieces; k++)
      t->pieces[w->at + k] = mcli_vocabulary_find(&t->tokenizer->vocabulary, t->bytes + w->at + k,
                                                  1, k == w->pieces - 1);
    s = add_pairs(t, i, -1, err);
  }
  return s == MCL_OK ? push_grown(t, err) : s;
}

static mcl_status merge_all(trainer *t, mcli_watch *watch, mcl_error *err) {
  const mcl_tokenizer_options *o = &t->tokenizer->options;
  const mcli_vocabulary *v = &t->tokenizer->vocabulary;
  int32_t most = o->vocabulary - 2; // the two marks come last
  mcli_watch_phase(watch, "merge", most);
  mcl_status s = begin_pairs(t, err);
  while (s == MCL_OK && v->n < most && t->n_heap > 0) {
    entry e = pop(t);
    int64_t count = t->pairs[e.pair].count;
    if (e.count < o->min_count) break;
    if (count == e.count) {
      s = merge_pair(t, e.pair, err);
      if (s == MCL_OK) s = mcli_watch_tell(watch, v->n, (double)NAN, err);
    } else if (count < e.count && count > 0) {
      s = push(t, (entry){count, e.pair}, err);
    }
  }
  return s;
}

static mcl_status train(mcl_tokenizer *tokenizer, const char *const *texts, int64_t n,
                        mcli_watch *watch, mcl_error *err) {
  trainer t = {.context = tokenizer->context, .tokenizer = tokenizer, .seed = mcli_unpredictable()};
  mcli_vocabulary *v = &tokenizer->vocabulary;
  mcl_status s = mcli_vocabulary_add_alphabet(v, err);
  if (s == MCL_OK) s = count_words(&t, texts, n, watch, err);
  if (s == MCL_OK) s = merge_all(&t, watch, err);
  if (s == MCL_OK) s = mcli_vocabulary_add_marks(v, err);
  if (s == MCL_OK) s = mcli_tokenizer_finish(tokenizer, "the vocabulary", err);
  tokenizer->plain = 1;
  trainer_free(&t);
  return s;
}

mcl_status mcl_tokenizer_create(mcl_context *c, const mcl_tokenizer_options *options,
                                const char *const *texts, int64_t n, const mcl_monitor *m,
                                mcl_tokenizer **out, mcl_error *err) {
  mcl_tokenizer_options o;
  mcli_watch watch;
  if (!c) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  mcl_status s = mcli_tokenizer_options_read(options, &o, err);
  if (s < 0) return s;
  if (n < 1) return mcli_fail(err, MCL_E_INVALID, "n is %lld, not 1 or more", (long long)n);
  s = mcli_watch_begin(&watch, m, "count", n, err);
  if (s < 0) return s;
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_tokenizer *t = mcli_tokenizer_new(c, &o);
  if (!t) return mcli_nomem(err, "a tokenizer");
  s = train(t, texts, n, &watch, err);
  if (s < 0) {
    mcl_tokenizer_unref(t);
    return s;
  }
  *out = t;
  return mcl_ok(err);
}
