// Rows in order: sorted by cell and duplicate id; and who belongs to whom.
//
// Sorted, a cell is one run of rows and only the diagonal blocks of the matrix of scores are ever
// computed; what an anchor must not take as a negative is a run too, so that masking a row of
// scores is one fill. libc's qsort was rejected: it takes memory of its own.
//
// Where only some rows are anchors, a cell's come first and the others, late, behind them, so that the scores of late rows
// among themselves are whole blocks that nobody computes. A row's duplicates are two runs then.
#include "loss/contrast.h"

int mcli_keys_compare(const mcli_sort_key *a, const mcli_sort_key *b) {
  if (a->cell != b->cell) return a->cell < b->cell ? -1 : 1;
  if (a->late != b->late) return a->late < b->late ? -1 : 1;
  return a->id < b->id ? -1 : a->id > b->id;
}

// Of two sorted runs [from, middle) and [middle, end), one into `out`; of equals the left one comes
// first.
static void merge(const mcli_sort_key *keys, int64_t from, int64_t middle, int64_t end,
                  mcli_sort_key *out) {
  for (int64_t a = from, b = middle, o = from; o < end; o++)
    out[o] = b == end || (a < middle && mcli_keys_compare(&keys[a], &keys[b]) <= 0) ? keys[a++]
                                                                                    : keys[b++];
}

mcli_sort_key *mcli_keys_sort(mcli_sort_key *keys, mcli_sort_key *other, int64_t n) {
  for (int64_t run = 1; run < n; run *= 2) {
    for (int64_t i = 0; i < n; i += 2 * run) {
      int64_t middle = i + run < n ? i + run : n, end = i + 2 * run < n ? i + 2 * run : n;
      merge(keys, i, middle, end, other);
    }
    mcli_sort_key *swap = keys;
    keys = other;
    other = swap;
  }
  return keys;
}

static mcl_status sort_rows(mcl_context *c, mcli_side *s, const int64_t *cells,
                            const int64_t *duplicates, mcli_run anchors, mcl_error *err) {
  bool in_order = !cells && !duplicates && anchors.n == s->of_a_view;
  mcli_sort_key *keys = MCLI_NEW(c, mcli_sort_key, s->n), *other = NULL;
  if (keys && !in_order) other = MCLI_NEW(c, mcli_sort_key, s->n);
  if (!keys || (!in_order && !other)) {
    mcli_free(c, keys);
    return mcli_nomem(err, "the loss");
  }
  for (int64_t i = 0; i < s->n; i++) {
    int64_t row = i % s->of_a_view, id = duplicates ? duplicates[row] : -1;
    bool late = row < anchors.from || row >= anchors.from + anchors.n;
    keys[i] = (mcli_sort_key){cells ? cells[row] : 0, id < 0 ? -1 : id, late, (uint32_t)i};
  }
  s->keys = other ? mcli_keys_sort(keys, other, s->n) : keys;
  mcli_free(c, s->keys == keys ? other : keys);
  return MCL_OK;
}

static mcl_status allocate(mcl_context *c, mcli_side *s, bool all, bool as_given, mcl_error *err) {
  int64_t n = s->n;
  if (!as_given) s->norms = MCLI_NEW(c, float, n);
  s->positive = MCLI_NEW(c, int64_t, n);
  s->masks[0] = MCLI_NEW(c, mcli_run, n);
  if (!all) s->masks[1] = MCLI_NEW(c, mcli_run, n);
  s->best = MCLI_NEW(c, float, n);
  s->score = MCLI_NEW0(c, float, n);
  s->shifts = MCLI_NEW(c, float, n);
  s->sums = MCLI_NEW0(c, double, n);
  s->losses = MCLI_NEW0(c, double, n);
  s->weights = MCLI_NEW0(c, float, n);
  s->pulls = MCLI_NEW0(c, float, n);
  bool good = (as_given || s->norms) && s->positive && s->masks[0] && (all || s->masks[1]) &&
              s->best && s->score && s->shifts && s->sums && s->losses && s->weights && s->pulls;
  return good ? MCL_OK : mcli_nomem(err, "the loss");
}

mcl_status mcli_side_make(mcl_context *c, mcli_side *s, int views, const mcl_array *z,
                          const int64_t *cells, const int64_t *duplicates, mcli_run anchors,
                          bool as_given, mcl_error *err) {
  s->of_a_view = z->shape[0];
  s->n = views * s->of_a_view;
  s->dim = z->shape[1];
  mcl_status status = sort_rows(c, s, cells, duplicates, anchors, err);
  return status == MCL_OK ? allocate(c, s, anchors.n == s->of_a_view, as_given, err) : status;
}

void mcli_side_free(mcl_context *c, mcli_side *s) {
  void *const all[] = {s->keys,     s->u,     s->norms, s->d,         s->positive, s->masks[0],
                       s->masks[1], s->best,  s->score, s->shifts,    s->sums,     s->losses,
                       s->weights,  s->pulls, s->order, s->more_from, s->more,     s->panels};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mcli_free(c, all[i]);
}

// ---- who belongs to whom ------------------------------------------------------------------------

enum { PANEL = MCLI_CONTRAST_PANEL };

static int64_t panels_of(int64_t n) {
  return (n + PANEL - 1) / PANEL;
}

// Rows of a block of a cell of n rows. The scores of 128 x 128, once and turned round, are 128 KiB and leave room in a core's
// L2 for the rows and gradients of both sides, 64 KiB each; smaller blocks read and write gradients more often. Small cells
// take smaller blocks, so that several threads find work in one.
static int64_t block_rows(int64_t n) {
  int64_t most = n >= 1024 ? MCLI_CONTRAST_BLOCK : MCLI_CONTRAST_BLOCK / 2;
  int64_t blocks = (n + most - 1) / most;
  if (n == 0) return PANEL; // of none
  return panels_of((n + blocks - 1) / blocks) * PANEL;
}

// Small cells in a row share a panel: one each would be mostly empty.
static bool fit_together(const mcli_cell *last, const mcli_cell *g) {
  return g->x.end - last->x.from <= PANEL && g->y.end - last->y.from <= PANEL;
}

// The run of a cell's rows from place `from` on; the panels behind its last anchor are late.
static mcli_span span_at(const mcli_side *s, int64_t from, int64_t cell) {
  mcli_span out = {.from = from, .late = from, .end = from};
  while (out.end < s->n && s->keys[out.end].cell == cell) {
    out.late += !s->keys[out.end].late;
    out.end++;
  }
  out.late = from + panels_of(out.late - from) * PANEL;
  if (out.late > out.end) out.late = out.end;
  return out;
}

// Does nobody have a negative here? There is no anchor, or only one and its positive. Where not all rows are anchors, both
// sides have the same keys.
static bool is_idle(const mcli_contrast *k, const mcli_cell *g) {
  return g->x.late == g->x.from || g->y.end - g->y.from <= (k->x == k->y ? 2 : 1);
}

// The runs of equal cells that both sides have, but for idle ones. Returns how many; out NULL: counted only.
static int64_t find_cells(const mcli_contrast *k, mcli_cell *out) {
  const mcli_side *x = k->x, *y = k->y;
  int64_t found = 0;
  mcli_cell last = {0};
  for (int64_t i = 0, j = 0; i < x->n;) {
    int64_t cell = x->keys[i].cell;
    while (j < y->n && y->keys[j].cell < cell) j++;
    mcli_cell g = {.x = span_at(x, i, cell), .y = span_at(y, j, cell)};
    i = g.x.end, j = g.y.end;
    if (is_idle(k, &g)) continue;
    if (found > 0 && fit_together(&last, &g)) {
      last.x.late = last.x.end = g.x.end, last.y.late = last.y.end = g.y.end;
      last.several = true;
    } else {
      last = g, found++;
    }
    if (out) out[found - 1] = last;
  }
  return found;
}

// The next span of a side, whose panels follow the last one's.
static void cut(mcli_span *s, int64_t *panel) {
  s->block = block_rows(s->late - s->from), s->late_block = block_rows(s->end - s->late);
  s->panel = *panel;
  *panel += panels_of(s->end - s->from);
}

static void cut_cells(const mcli_contrast *k) {
  int64_t x = 0, y = 0;
  for (int64_t c = 0; c < k->n_cells; c++) {
    cut(&k->cells[c].x, &x);
    cut(&k->cells[c].y, &y);
  }
}

static mcl_status list_panels(const mcli_contrast *k, mcli_side *s, mcl_error *err) {
  const mcli_cell *end = k->cells + k->n_cells;
  s->n_panels = 0;
  for (const mcli_cell *g = k->cells; g < end; g++)
    s->n_panels += panels_of(s == k->x ? g->x.end - g->x.from : g->y.end - g->y.from);
  s->panels = MCLI_NEW(k->context, mcli_panel, s->n_panels);
  if (!s->panels) return mcli_nomem(err, "the loss");
  mcli_panel *out = s->panels;
  for (const mcli_cell *g = k->cells; g < end; g++) {
    const mcli_span *rows = s == k->x ? &g->x : &g->y;
    for (int64_t i = rows->from; i < rows->end; i += PANEL)
      *out++ =
          (mcli_panel){.first = i, .n = rows->end - i < PANEL ? rows->end - i : PANEL, .bad = -1};
  }
  return MCL_OK;
}

// The places of a side that have this key; where there are none, an empty run.
static mcli_run run_of(const mcli_side *s, mcli_sort_key key) {
  int64_t low = 0, high = s->n;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (mcli_keys_compare(&s->keys[middle], &key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  mcli_run run = {.from = low};
  while (low + run.n < s->n && mcli_keys_compare(&s->keys[low + run.n], &key) == 0) run.n++;
  return run;
}

static void find_masks(const mcli_contrast *k, uint32_t late) {
  const mcli_side *x = k->x;
  mcli_run *masks = x->masks[late];
  for (int64_t i = 0; masks && i < x->n; i++) {
    mcli_sort_key key = x->keys[i];
    if (key.id < 0) {
      masks[i] = (mcli_run){i, x == k->y}; // NT-Xent: itself
    } else if (i > 0 && mcli_keys_compare(&x->keys[i - 1], &key) == 0) {
      masks[i] = masks[i - 1];
    } else {
      key.late = late;
      masks[i] = run_of(k->y, key);
    }
  }
}

mcl_status mcli_contrast_link(mcli_contrast *k, int64_t offset, mcl_error *err) {
  mcli_side *x = k->x;
  k->n_cells = find_cells(k, NULL);
  k->cells = MCLI_NEW(k->context, mcli_cell, k->n_cells);
  int64_t *place = MCLI_NEW(k->context, int64_t, k->y->n); // of y's rows, by the caller's order
  if (!k->cells || !place) {
    mcli_free(k->context, place);
    return mcli_nomem(err, "the loss");
  }
  find_cells(k, k->cells);
  cut_cells(k);
  for (uint32_t late = 0; late < 2; late++) find_masks(k, late);
  for (int64_t j = 0; j < k->y->n; j++) place[k->y->keys[j].row] = j;
  for (int64_t i = 0; i < x->n; i++) x->positive[i] = place[(x->keys[i].row + offset) % k->y->n];
  mcli_free(k->context, place);
  mcl_status s = list_panels(k, x, err);
  if (s == MCL_OK && k->y != x) s = list_panels(k, k->y, err);
  return s == MCL_OK && x->other ? mcli_contrast_find_more(k, err) : s;
}
