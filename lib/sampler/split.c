// The rows of a cell sorted by label, stably, without a second place for them.
//
// A second index would double the sampler's memory; and at 10^8 rows the system's page faults for
// it took longer than the sorting. So a large cell is sorted by the highest eight bits of its
// labels that differ, called the digit here, in the manner of Axtmann, Witt, Ferizovic and Sanders
// (2017, "In-place Parallel Super Scalar Samplesort"), kept stable:
//
//  1. Rows are dealt in order into a block for each digit; a full block is written to the front of
//     the cell. At most as many rows are written as were read.                                  (1)
//  2. Full blocks go to their places, those of digit 0 first; a block knows its place, so that
//     following the cycles needs room for one block only.                                       (2)
//  3. From the last digit down, the run of each is moved up by what the lower digits have left in
//     their blocks, and what its own block has left is added.                                   (3)
//  4. The rows of one digit are sorted by the next bits in the same way.                        (4)
//
// Cells of up to SMALL_ROWS are sorted by a radix sort from the lowest digit, beside their labels
// in a buffer. Rejected: exchanging rows one by one (American flag sort), which is not stable and
// waits for the label of each row in turn.
#include "sampler/split.h"

#include <string.h>

// Digits of 8 bits: counters stay in L1, and 256 blocks of 128 rows (128 KiB) in L2. Places of
// blocks are 8 bytes in 128 rows, a sixtieth of the index; blocks half as long would need twice
// that.
enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS, BLOCK_ROWS = 128 };
// Two buffers of as many rows and labels: 96 KiB. Twice as many would leave no room in L2 for the
// labels; for fewer, (1) to (3) cost more than two passes.
enum { SMALL_ROWS = 4096 };
// Cells up to this are sorted by insertion: clearing and adding up 256 counters costs more.
enum { INSERTION_ROWS = 32 };
// Rows whose labels are fetched ahead: each may be a line of its own, and some 20 are in flight.
enum { AHEAD = 32 };

typedef struct keyed { // rows with their labels beside them
  int64_t *rows;
  uint32_t *keys;
} keyed;

typedef struct splitter {
  mcl_context *context;
  const int32_t *labels;
  uint32_t last; // the key of rows without a label: above all others
  mcli_index rows;
  mcli_index blocks; // [DIGITS][BLOCK_ROWS]
  int64_t *place;    // [full blocks of the largest cell] its digit, then where it goes
  keyed a, b;        // [SMALL_ROWS]
  mcli_parts *parts;
  int64_t cell; // old cell that is being split
} splitter;

static size_t row_size(const mcli_index *x) {
  return x->narrow ? sizeof *x->narrow : sizeof *x->wide;
}

static char *at(const mcli_index *x, int64_t i) {
  return (x->narrow ? (char *)x->narrow : (char *)x->wide) + (size_t)i * row_size(x);
}

static uint32_t key_of(const splitter *s, int64_t row) {
  int32_t label = s->labels[row];
  return label < 0 ? s->last : (uint32_t)label;
}

// ---- what comes out -----------------------------------------------------------------------------

// n rows of one key are a new cell.
static mcl_status add_part(splitter *s, uint32_t key, int64_t n, mcl_error *err) {
  mcli_parts *p = s->parts;
  if (key == s->last) return MCL_OK;
  if (p->n == p->room) {
    int64_t room = 2 * p->room + 16;
    int64_t *more = mcli_realloc(s->context, p->size, (uint64_t)room, sizeof *more);
    if (!more) return mcli_nomem(err, "sizes of cells");
    p->size = more, p->room = room;
  }
  p->size[p->n++] = n;
  p->children[s->cell]++;
  p->kept[s->cell] += n;
  return MCL_OK;
}

// ---- small cells --------------------------------------------------------------------------------

static void load(const splitter *s, int64_t first, int64_t n, keyed *to) {
  for (int64_t i = 0; i < n; i++) to->rows[i] = mcli_index_get(&s->rows, first + i);
  for (int64_t i = 0; i < n; i++) to->keys[i] = key_of(s, to->rows[i]);
}

static void insertion_sort(keyed *k, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    int64_t row = k->rows[i], j = i;
    uint32_t key = k->keys[i];
    for (; j > 0 && k->keys[j - 1] > key; j--)
      k->rows[j] = k->rows[j - 1], k->keys[j] = k->keys[j - 1];
    k->rows[j] = row, k->keys[j] = key;
  }
}

// One stable pass by the digit at `shift`.
static void radix_pass(const keyed *from, int64_t n, keyed *to, int32_t shift) {
  int32_t next[DIGITS] = {0}, before = 0;
  for (int64_t i = 0; i < n; i++) next[from->keys[i] >> shift & (DIGITS - 1)]++;
  for (int32_t d = 0; d < DIGITS; d++) {
    int32_t size = next[d];
    next[d] = before;
    before += size;
  }
  for (int64_t i = 0; i < n; i++) {
    int32_t to_place = next[from->keys[i] >> shift & (DIGITS - 1)]++;
    to->rows[to_place] = from->rows[i];
    to->keys[to_place] = from->keys[i];
  }
}

static mcl_status split_small(splitter *s, int64_t first, int64_t n, int32_t bits, mcl_error *err) {
  load(s, first, n, &s->a);
  if (n <= INSERTION_ROWS) {
    insertion_sort(&s->a, n);
  } else {
    for (int32_t shift = 0; shift < bits; shift += DIGIT_BITS) {
      radix_pass(&s->a, n, &s->b, shift);
      keyed sorted = s->b;
      s->b = s->a, s->a = sorted;
    }
  }
  for (int64_t i = 0; i < n; i++) mcli_index_set(&s->rows, first + i, s->a.rows[i]);
  for (int64_t i = 0, end; i < n; i = end) {
    for (end = i + 1; end < n && s->a.keys[end] == s->a.keys[i];) end++;
    mcl_status status = add_part(s, s->a.keys[i], end - i, err);
    if (status < 0) return status;
  }
  return MCL_OK;
}

// ---- large cells --------------------------------------------------------------------------------

static void copy_block(const mcli_index *from, int64_t i, const mcli_index *to, int64_t j) {
  memcpy(at(to, j), at(from, i), BLOCK_ROWS * row_size(to));
}

// (1). size[d]: rows of each digit. Returns how many blocks were filled.
static int64_t deal(splitter *s, int64_t first, int64_t n, int32_t shift, int64_t *size) {
  int64_t full = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t row = mcli_index_get(&s->rows, first + i);
    if (i + AHEAD < n) __builtin_prefetch(&s->labels[mcli_index_get(&s->rows, first + i + AHEAD)]);
    uint32_t d = key_of(s, row) >> shift & (DIGITS - 1);
    int64_t place = size[d]++ % BLOCK_ROWS;
    mcli_index_set(&s->blocks, d * BLOCK_ROWS + place, row);
    if (place < BLOCK_ROWS - 1) continue;
    copy_block(&s->blocks, d * BLOCK_ROWS, &s->rows, first + full * BLOCK_ROWS);
    s->place[full++] = d;
  }
  return full;
}

// (2)
static void order_blocks(splitter *s, int64_t first, int64_t full, const int64_t *size) {
  int64_t next[DIGITS], before = 0;
  char spare[BLOCK_ROWS * sizeof(int64_t)];
  size_t bytes = BLOCK_ROWS * row_size(&s->rows);
  for (int32_t d = 0; d < DIGITS; before += size[d++] / BLOCK_ROWS) next[d] = before;
  for (int64_t b = 0; b < full; b++) s->place[b] = next[s->place[b]]++;
  for (int64_t b = 0; b < full; b++)
    while (s->place[b] != b) { // the block here and the one where it belongs change places
      int64_t to = s->place[b];
      memcpy(spare, at(&s->rows, first + to * BLOCK_ROWS), bytes);
      copy_block(&s->rows, first + b * BLOCK_ROWS, &s->rows, first + to * BLOCK_ROWS);
      memcpy(at(&s->rows, first + b * BLOCK_ROWS), spare, bytes);
      s->place[b] = s->place[to];
      s->place[to] = to;
    }
}

// (3)
static void move_runs(splitter *s, int64_t first, int64_t n, int64_t full, const int64_t *size) {
  size_t row = row_size(&s->rows);
  for (int32_t d = DIGITS - 1; d >= 0; d--) {
    int64_t rest = size[d] % BLOCK_ROWS, run = size[d] - rest;
    n -= size[d], full -= run / BLOCK_ROWS;
    memmove(at(&s->rows, first + n), at(&s->rows, first + full * BLOCK_ROWS), (size_t)run * row);
    memcpy(at(&s->rows, first + n + run), at(&s->blocks, d * BLOCK_ROWS), (size_t)rest * row);
  }
}

static int32_t below(int32_t bits) {
  return bits > DIGIT_BITS ? bits - DIGIT_BITS : 0;
}

// Rows whose keys agree but for the lowest `bits` bits.
static mcl_status split(splitter *s, int64_t first, int64_t n, int32_t bits, mcl_error *err) {
  if (n == 0) return MCL_OK;
  if (bits == 0) return add_part(s, key_of(s, mcli_index_get(&s->rows, first)), n, err);
  if (n <= SMALL_ROWS) return split_small(s, first, n, bits, err);
  int64_t size[DIGITS] = {0};
  int64_t full = deal(s, first, n, below(bits), size);
  order_blocks(s, first, full, size);
  move_runs(s, first, n, full, size);
  mcl_status status = MCL_OK;
  for (int32_t d = 0; d < DIGITS && status == MCL_OK; first += size[d++]) // (4)
    status = split(s, first, size[d], below(bits), err);
  return status;
}

// ---- all cells ----------------------------------------------------------------------------------

// The first labels of all: rows are known without an index, so they are put where they belong.
static mcl_status split_all(splitter *s, int64_t rows, int32_t bits, mcl_error *err) {
  int64_t size[DIGITS] = {0}, next[DIGITS], first = 0;
  int32_t shift = below(bits);
  for (int64_t i = 0; i < rows; i++)
    if (s->labels[i] >= 0) size[s->labels[i] >> shift]++;
  for (int32_t d = 0; d < DIGITS; first += size[d++]) next[d] = first;
  for (int64_t i = 0; i < rows; i++)
    if (s->labels[i] >= 0) mcli_index_set(&s->rows, next[s->labels[i] >> shift]++, i);
  mcl_status status = MCL_OK;
  first = 0;
  for (int32_t d = 0; d < DIGITS && status == MCL_OK; first += size[d++])
    status = split(s, first, size[d], shift, err);
  return status;
}

static mcl_status start(splitter *s, int64_t largest, mcl_error *err) {
  mcl_context *c = s->context;
  int64_t small = largest < SMALL_ROWS ? largest : SMALL_ROWS;
  int wide = s->rows.wide != NULL, large = largest > SMALL_ROWS;
  s->a = (keyed){MCLI_NEW(c, int64_t, small), MCLI_NEW(c, uint32_t, small)};
  s->b = (keyed){MCLI_NEW(c, int64_t, small), MCLI_NEW(c, uint32_t, small)};
  if (!s->a.rows || !s->a.keys || !s->b.rows || !s->b.keys)
    return mcli_nomem(err, "sorting rows by label");
  if (!large) return MCL_OK;
  if (wide)
    s->blocks.wide = MCLI_NEW(c, int64_t, DIGITS * BLOCK_ROWS);
  else
    s->blocks.narrow = MCLI_NEW(c, int32_t, DIGITS * BLOCK_ROWS);
  s->place = MCLI_NEW(c, int64_t, largest / BLOCK_ROWS);
  if ((!s->blocks.wide && !s->blocks.narrow) || !s->place)
    return mcli_nomem(err, "sorting rows by label");
  return MCL_OK;
}

static void end(splitter *s) {
  mcl_context *c = s->context;
  mcli_free(c, s->a.rows);
  mcli_free(c, s->a.keys);
  mcli_free(c, s->b.rows);
  mcli_free(c, s->b.keys);
  mcli_free(c, s->blocks.narrow);
  mcli_free(c, s->blocks.wide);
  mcli_free(c, s->place);
}

static int32_t bits_of(int64_t largest) {
  int32_t bits = 0;
  while (largest >> bits) bits++;
  return bits;
}

mcl_status mcli_split(const mcli_cells *old, const mcli_labels *labels, mcli_index *rows,
                      mcli_parts *parts, mcl_error *err) {
  int fresh = !old->index.narrow && !old->index.wide;
  splitter s = {.context = old->context, .labels = labels->of, .rows = *rows, .parts = parts};
  int excludes = labels->given < old->rows; // else there is no such key, and often a bit less
  s.last = excludes ? (uint32_t)labels->max + 1 : UINT32_MAX;
  int32_t bits = bits_of(excludes ? (int64_t)s.last : labels->max);
  int64_t largest = 0;
  for (int64_t f = 0; f < old->n; f++)
    if (old->size[f] > largest) largest = old->size[f];
  mcl_status status = start(&s, largest, err);
  if (fresh && status == MCL_OK) status = split_all(&s, old->rows, bits_of(labels->max), err);
  for (; !fresh && s.cell < old->n && status == MCL_OK; s.cell++)
    status = split(&s, old->first[s.cell], old->size[s.cell], bits, err);
  end(&s);
  return status;
}

// Rows whose numbers agree but for the lowest `bits` bits rise: by exchange, one bit after another.
static void rise(mcli_index *x, int64_t first, int64_t n, int32_t bits) {
  for (; n > 1 && bits > 0; bits--) {
    int64_t low = first, high = first + n;
    while (low < high) {
      int64_t row = mcli_index_get(x, low);
      if (row >> (bits - 1) & 1) {
        mcli_index_set(x, low, mcli_index_get(x, --high));
        mcli_index_set(x, high, row);
      } else {
        low++;
      }
    }
    rise(x, first, low - first, bits - 1);
    n -= low - first, first = low;
  }
}

void mcli_split_undo(const mcli_cells *old, mcli_index *rows) {
  for (int64_t f = 0; f < old->n; f++)
    rise(rows, old->first[f], old->size[f], bits_of(old->rows - 1));
}
