// Which rows share every label so far?
//
// Cells are refined, never computed anew: a label vector splits each cell on its own, by a stable
// radix sort of the cell's rows by their label. So identifiers stay dense, 0 .. n - 1, whatever the
// number of stages. A key such as label_0 + k label_1 + k^2 label_2 + ... overflows, and a table by
// it is empty nearly everywhere.
//
// Splitting in the order of labels keeps three things true: cells are numbered as their label
// tuples are ordered; the rows of a cell rise; cells of one parent are neighbours in number.
#include "sampler/cells.h"

#include <string.h>

// Cells up to this are sorted by insertion: clearing and adding up 256 counters costs more.
enum { INSERTION_ROWS = 32 };
enum {
  DIGIT_BITS = 8,
  DIGITS = 1 << DIGIT_BITS
}; // counters stay in L1; k <= 256 clusters are one pass

static mcli_index index_new(mcl_context *c, int32_t wide, int64_t n) {
  mcli_index x = {wide ? NULL : MCLI_NEW(c, int32_t, n), wide ? MCLI_NEW(c, int64_t, n) : NULL};
  return x;
}

static int index_missing(const mcli_index *x) {
  return !x->narrow && !x->wide;
}

static void index_free(mcl_context *c, mcli_index *x) {
  mcli_free(c, x->narrow);
  mcli_free(c, x->wide);
}

void mcli_cells_free(mcli_cells *cells) {
  if (!cells) return;
  mcl_context *c = cells->context;
  index_free(c, &cells->index);
  mcli_free(c, cells->first);
  mcli_free(c, cells->size);
  mcli_free(c, cells->count);
  if (cells->parent)
    for (int32_t s = 0; s < cells->stages; s++) mcli_free(c, cells->parent[s]);
  mcli_free(c, cells->parent);
  mcli_free(c, cells);
}

// All but the index. NULL without memory.
static mcli_cells *cells_new(mcl_context *c, int64_t rows, int64_t n, int32_t stages) {
  mcli_cells *cells = MCLI_NEW0(c, mcli_cells, 1);
  if (!cells) return NULL;
  cells->context = c, cells->rows = rows, cells->n = n, cells->stages = stages;
  cells->first = MCLI_NEW(c, int64_t, n);
  cells->size = MCLI_NEW(c, int64_t, n);
  cells->count = MCLI_NEW(c, int64_t, stages);
  cells->parent = MCLI_NEW0(c, int64_t *, stages);
  if (cells->first && cells->size && cells->count && cells->parent) return cells;
  mcli_cells_free(cells);
  return NULL;
}

mcl_status mcli_cells_root(mcl_context *c, int64_t rows, int32_t wide, mcli_cells **out,
                           mcl_error *err) {
  mcli_cells *root = cells_new(c, rows, 1, 0);
  if (!root) return mcli_nomem(err, "the cell of all rows");
  root->included = rows, root->wide = wide;
  root->first[0] = 0, root->size[0] = rows;
  *out = root;
  return mcl_ok(err);
}

// ---- sorting the rows of one cell by label ------------------------------------------------------

typedef struct keyed { // rows with their labels beside them
  mcli_index rows;
  int32_t *keys;
} keyed;

typedef struct sorter {
  const mcli_cells *old;
  const int32_t *labels;
  keyed to, spare; // to: all rows; spare: those of the largest cell
  int32_t passes;
} sorter;

static inline void put(keyed *k, int64_t i, int64_t row, int32_t key) {
  mcli_index_set(&k->rows, i, row);
  k->keys[i] = key;
}

// Rows of old cell f that have a label, from `at` on in `k`; how many.
static int64_t load(const sorter *s, int64_t f, keyed *k, int64_t at) {
  int64_t end = s->old->first[f] + s->old->size[f], n = at;
  for (int64_t i = s->old->first[f]; i < end; i++) {
    int64_t row = mcli_index_get(&s->old->index, i);
    int32_t label = s->labels[row];
    if (label >= 0) put(k, n++, row, label);
  }
  return n - at;
}

static void insertion_sort(keyed *k, int64_t at, int64_t n) {
  for (int64_t i = at + 1; i < at + n; i++) {
    int64_t row = mcli_index_get(&k->rows, i), j = i;
    int32_t key = k->keys[i];
    for (; j > at && k->keys[j - 1] > key; j--)
      put(k, j, mcli_index_get(&k->rows, j - 1), k->keys[j - 1]);
    put(k, j, row, key);
  }
}

// One stable pass by the digit at `shift`, from one place to the other.
static void radix_pass(const keyed *from, int64_t first, int64_t n, keyed *to, int64_t at,
                       int32_t shift) {
  int64_t next[DIGITS] = {0};
  for (int64_t i = first; i < first + n; i++) next[from->keys[i] >> shift & (DIGITS - 1)]++;
  for (int32_t d = 0; d < DIGITS; d++) {
    int64_t size = next[d];
    next[d] = at;
    at += size;
  }
  for (int64_t i = first; i < first + n; i++) {
    int32_t key = from->keys[i];
    put(to, next[key >> shift & (DIGITS - 1)]++, mcli_index_get(&from->rows, i), key);
  }
}

// The labelled rows of old cell f, sorted by label, from `at` on in s->to; how many.
static int64_t sort_cell(sorter *s, int64_t f, int64_t at) {
  if (s->old->size[f] <= INSERTION_ROWS) {
    int64_t n = load(s, f, &s->to, at);
    insertion_sort(&s->to, at, n);
    return n;
  }
  int odd =
      s->passes & 1; // then the first pass starts from `spare`, so that the last one ends in `to`
  int64_t n = load(s, f, odd ? &s->spare : &s->to, odd ? 0 : at);
  for (int32_t p = 0; p < s->passes; p++, odd = !odd) {
    if (odd)
      radix_pass(&s->spare, 0, n, &s->to, at, p * DIGIT_BITS);
    else
      radix_pass(&s->to, at, n, &s->spare, 0, p * DIGIT_BITS);
  }
  return n;
}

static mcl_status sorter_start(sorter *s, int32_t max_label, mcl_error *err) {
  mcl_context *c = s->old->context;
  int64_t largest = 0;
  for (int64_t f = 0; f < s->old->n; f++)
    if (s->old->size[f] > largest) largest = s->old->size[f];
  for (s->passes = 1; s->passes < 4 && max_label >> s->passes * DIGIT_BITS; s->passes++) {}
  s->to.rows = index_new(c, s->old->wide, s->old->included);
  s->to.keys = MCLI_NEW(c, int32_t, s->old->included);
  s->spare.rows = index_new(c, s->old->wide, largest);
  s->spare.keys = MCLI_NEW(c, int32_t, largest);
  if (index_missing(&s->to.rows) || !s->to.keys || index_missing(&s->spare.rows) || !s->spare.keys)
    return mcli_nomem(err, "sorting rows by label");
  return mcl_ok(err);
}

static void sorter_end(sorter *s) {
  mcl_context *c = s->old->context;
  index_free(c, &s->to.rows);
  mcli_free(c, s->to.keys);
  index_free(c, &s->spare.rows);
  mcli_free(c, s->spare.keys);
}

// ---- the refined tree ---------------------------------------------------------------------------

static int64_t count_runs(const int32_t *keys, int64_t n) {
  int64_t runs = n > 0;
  for (int64_t i = 1; i < n; i++) runs += keys[i] != keys[i - 1];
  return runs;
}

// Levels of the tree that the new labels leave as they are, and room for the last.
static mcl_status copy_levels(const mcli_cells *old, mcli_cells *new, mcl_error *err) {
  int32_t last = new->stages - 1;
  for (int32_t s = 0; s <= last; s++) {
    new->count[s] = s < last ? old->count[s] : new->n;
    new->parent[s] = MCLI_NEW(new->context, int64_t, new->count[s]);
    if (!new->parent[s]) return mcli_nomem(err, "the tree of cells");
    if (s < last) memcpy(new->parent[s], old->parent[s], (size_t) new->count[s] * sizeof(int64_t));
  }
  return mcl_ok(err);
}

// Each run of equal labels among the kept rows of an old cell is a new cell.
static void name_cells(const sorter *s, const int64_t *kept, mcli_cells *new) {
  int32_t last = new->stages - 1;
  int joins = last < s->old->stages; // the last stage: then parents stay who they are
  int64_t cell = 0, at = 0;
  for (int64_t f = 0; f < s->old->n; f++) {
    int64_t end = at + kept[f];
    while (at < end) {
      int64_t run = at + 1;
      while (run < end && s->to.keys[run] == s->to.keys[at]) run++;
      new->first[cell] = at;
      new->size[cell] = run - at;
      new->parent[last][cell++] = joins ? s->old->parent[last][f] : f;
      at = run;
    }
  }
}

mcl_status mcli_cells_refine(const mcli_cells *old, int32_t stage, const int32_t *labels,
                             int32_t max_label, mcli_cells **out, mcl_error *err) {
  mcl_context *c = old->context;
  sorter s = {.old = old, .labels = labels};
  mcli_cells *new = NULL;
  int64_t *kept = MCLI_NEW(c, int64_t, old->n), cells = 0, at = 0;
  mcl_status status = kept ? sorter_start(&s, max_label, err) : mcli_nomem(err, "sizes of cells");
  if (status < 0) goto done;
  for (int64_t f = 0; f < old->n; f++) {
    kept[f] = sort_cell(&s, f, at);
    cells += count_runs(s.to.keys + at, kept[f]);
    at += kept[f];
  }
  new = cells_new(c, old->rows, cells, stage + 1);
  status = new ? copy_levels(old, new, err) : mcli_nomem(err, "the refined cells");
  if (status < 0) goto done;
  name_cells(&s, kept, new);
  new->wide = old->wide, new->included = at;
  new->index = s.to.rows;
  s.to.rows = (mcli_index){NULL, NULL};
  *out = new;
  new = NULL;
done:
  sorter_end(&s);
  mcli_free(c, kept);
  mcli_cells_free(new);
  return status;
}

// ---- where the rows are -------------------------------------------------------------------------

// cell f's rows go to `to` in x; first[f] follows.
static void move_cell(mcli_cells *cells, int64_t f, mcli_index *x, int64_t to) {
  int64_t from = cells->first[f];
  size_t n = (size_t)cells->size[f];
  if (cells->wide)
    memcpy(x->wide + to, cells->index.wide + from, n * sizeof(int64_t));
  else
    memcpy(x->narrow + to, cells->index.narrow + from, n * sizeof(int32_t));
  cells->first[f] = to;
}

mcl_status mcli_cells_arrange(mcli_cells *cells, const int64_t *training, int64_t n, int64_t *first,
                              mcl_error *err) {
  memset(first, 0, (size_t)(n + 1) * sizeof *first);
  int in_order = 1;
  for (int64_t f = 0; f < cells->n; f++) {
    if (training[f] >= 0) first[training[f] + 1] += cells->size[f];
    in_order &= training[f] == f; // nothing joined, nothing dropped
  }
  for (int64_t t = 0; t < n; t++) first[t + 1] += first[t];
  if (in_order || index_missing(&cells->index)) return mcl_ok(err); // the second is one cell only

  mcli_index x = index_new(cells->context, cells->wide, cells->included);
  if (index_missing(&x)) return mcli_nomem(err, "the rows of cells");
  int64_t dropped = first[n];
  for (int64_t f = 0; f < cells->n;
       f++) { // first[t] runs through its cell and ends where the next begins
    int64_t *to = training[f] < 0 ? &dropped : &first[training[f]];
    move_cell(cells, f, &x, *to);
    *to += cells->size[f];
  }
  memmove(first + 1, first, (size_t)n * sizeof *first);
  first[0] = 0;
  index_free(cells->context, &cells->index);
  cells->index = x;
  return mcl_ok(err);
}

int64_t mcli_cells_find(const mcli_cells *cells, int64_t row) {
  for (int64_t f = 0; f < cells->n; f++) {
    int64_t low = cells->first[f], high = low + cells->size[f];
    while (high - low > 1) { // the row, if it is here, is in [low, high)
      int64_t middle = low + (high - low) / 2;
      if (mcli_index_get(&cells->index, middle) <= row)
        low = middle;
      else
        high = middle;
    }
    if (mcli_index_get(&cells->index, low) == row) return f;
  }
  return -1;
}
