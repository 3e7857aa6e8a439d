// Rows in order: sorted by cell and duplicate id; and who belongs to whom.
//
// Sorted, a cell is one run of rows and only the diagonal blocks of the matrix of scores are ever
// computed; what an anchor must not take as a negative is a run too, so that masking a row of
// scores is one fill. libc's qsort was rejected: it takes memory of its own.
#include "loss/contrast.h"

int mcli_keys_compare(const mcli_sort_key *a, const mcli_sort_key *b) {
  if (a->cell != b->cell) return a->cell < b->cell ? -1 : 1;
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
                            const int64_t *duplicates, mcl_error *err) {
  mcli_sort_key *keys = MCLI_NEW(c, mcli_sort_key, s->n), *other = NULL;
  if (keys && (cells || duplicates)) other = MCLI_NEW(c, mcli_sort_key, s->n);
  if (!keys || ((cells || duplicates) && !other)) {
    mcli_free(c, keys);
    return mcli_nomem(err, "the loss");
  }
  for (int64_t i = 0; i < s->n; i++) {
    int64_t row = i % s->of_a_view, id = duplicates ? duplicates[row] : -1;
    keys[i] = (mcli_sort_key){cells ? cells[row] : 0, id < 0 ? -1 : id, i};
  }
  s->keys = other ? mcli_keys_sort(keys, other, s->n) : keys;
  mcli_free(c, s->keys == keys ? other : keys);
  return MCL_OK;
}

static mcl_status allocate(mcl_context *c, mcli_side *s, bool as_given, mcl_error *err) {
  int64_t n = s->n;
  if (!as_given) s->norms = MCLI_NEW(c, float, n);
  s->positive = MCLI_NEW(c, int64_t, n);
  s->mask_from = MCLI_NEW(c, int64_t, n);
  s->mask = MCLI_NEW(c, int64_t, n);
  s->best = MCLI_NEW(c, float, n);
  s->score = MCLI_NEW0(c, float, n);
  s->shifts = MCLI_NEW(c, float, n);
  s->sums = MCLI_NEW0(c, double, n);
  s->losses = MCLI_NEW0(c, double, n);
  s->weights = MCLI_NEW0(c, float, n);
  s->pulls = MCLI_NEW0(c, float, n);
  bool good = (as_given || s->norms) && s->positive && s->mask_from && s->mask && s->best &&
              s->score && s->shifts && s->sums && s->losses && s->weights && s->pulls;
  return good ? MCL_OK : mcli_nomem(err, "the loss");
}

mcl_status mcli_side_make(mcl_context *c, mcli_side *s, int views, const mcl_array *z,
                          const int64_t *cells, const int64_t *duplicates, bool as_given,
                          mcl_error *err) {
  s->of_a_view = z->shape[0];
  s->n = views * s->of_a_view;
  s->dim = z->shape[1];
  mcl_status status = sort_rows(c, s, cells, duplicates, err);
  return status == MCL_OK ? allocate(c, s, as_given, err) : status;
}

void mcli_side_free(mcl_context *c, mcli_side *s) {
  void *const all[] = {s->keys,    s->u,     s->norms, s->d,         s->positive, s->mask_from,
                       s->mask,    s->best,  s->score, s->shifts,    s->sums,     s->losses,
                       s->weights, s->pulls, s->order, s->more_from, s->more,     s->panels};
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
  return panels_of((n + blocks - 1) / blocks) * PANEL;
}

// Small cells in a row share a panel: one each would be mostly empty.
static bool fit_together(const mcli_cell *last, const mcli_cell *g) {
  return g->x_end - last->x <= PANEL && g->y_end - last->y <= PANEL;
}

// The runs of equal cells that both sides have, but for those where nobody has a negative: only an
// anchor and its positive. Returns how many; out NULL: counted only.
static int64_t find_cells(const mcli_contrast *k, mcli_cell *out) {
  const mcli_side *x = k->x, *y = k->y;
  int64_t found = 0;
  mcli_cell last = {0};
  for (int64_t i = 0, j = 0; i < x->n;) {
    int64_t cell = x->keys[i].cell;
    mcli_cell g = {.x = i};
    while (i < x->n && x->keys[i].cell == cell) i++;
    while (j < y->n && y->keys[j].cell < cell) j++;
    g.y = j;
    while (j < y->n && y->keys[j].cell == cell) j++;
    g.x_end = i, g.y_end = j;
    if (j - g.y <= (x == y ? 2 : 1)) continue;
    if (found > 0 && fit_together(&last, &g))
      last.x_end = g.x_end, last.y_end = g.y_end, last.several = true;
    else
      last = g, found++;
    if (out) out[found - 1] = last;
  }
  return found;
}

static void cut_cells(const mcli_contrast *k) {
  int64_t x = 0, y = 0;
  for (int64_t c = 0; c < k->n_cells; c++) {
    mcli_cell *g = &k->cells[c];
    g->x_block = block_rows(g->x_end - g->x), g->y_block = block_rows(g->y_end - g->y);
    g->x_panel = x, g->y_panel = y;
    x += panels_of(g->x_end - g->x), y += panels_of(g->y_end - g->y);
  }
}

static mcl_status list_panels(const mcli_contrast *k, mcli_side *s, mcl_error *err) {
  const mcli_cell *end = k->cells + k->n_cells;
  s->n_panels = 0;
  for (const mcli_cell *g = k->cells; g < end; g++)
    s->n_panels += panels_of(s == k->x ? g->x_end - g->x : g->y_end - g->y);
  s->panels = MCLI_NEW(k->context, mcli_panel, s->n_panels);
  if (!s->panels) return mcli_nomem(err, "the loss");
  mcli_panel *out = s->panels;
  for (const mcli_cell *g = k->cells; g < end; g++) {
    int64_t last = s == k->x ? g->x_end : g->y_end;
    for (int64_t i = s == k->x ? g->x : g->y; i < last; i += PANEL)
      *out++ = (mcli_panel){.first = i, .n = last - i < PANEL ? last - i : PANEL, .bad = -1};
  }
  return MCL_OK;
}

static void find_masks(const mcli_contrast *k) {
  mcli_side *x = k->x;
  const mcli_side *y = k->y;
  for (int64_t i = 0, j = 0; i < x->n; i++) {
    while (j < y->n && mcli_keys_compare(&y->keys[j], &x->keys[i]) < 0) j++;
    bool again = i > 0 && mcli_keys_compare(&x->keys[i - 1], &x->keys[i]) == 0;
    if (x->keys[i].id < 0) {
      x->mask_from[i] = i;
      x->mask[i] = x == y; // NT-Xent: itself
    } else if (again) {
      x->mask_from[i] = x->mask_from[i - 1];
      x->mask[i] = x->mask[i - 1];
    } else {
      int64_t end = j;
      while (end < y->n && mcli_keys_compare(&y->keys[end], &x->keys[i]) == 0) end++;
      x->mask_from[i] = j;
      x->mask[i] = end - j;
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
  find_masks(k);
  for (int64_t j = 0; j < k->y->n; j++) place[k->y->keys[j].row] = j;
  for (int64_t i = 0; i < x->n; i++) x->positive[i] = place[(x->keys[i].row + offset) % k->y->n];
  mcli_free(k->context, place);
  mcl_status s = list_panels(k, x, err);
  if (s == MCL_OK && k->y != x) s = list_panels(k, k->y, err);
  return s == MCL_OK && x->other ? mcli_contrast_find_more(k, err) : s;
}
