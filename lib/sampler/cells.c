// Which rows share every label so far?
//
// Cells are refined, never computed anew: a label vector splits each cell on its own, by a stable
// sort of the cell's rows by their label (split.c). So identifiers stay dense, 0 .. n - 1, whatever
// the number of stages. A key such as label_0 + k label_1 + k^2 label_2 + ... overflows, and a table
// by it is empty nearly everywhere.
//
// Splitting in the order of labels keeps three things true: cells are numbered as their label
// tuples are ordered; the rows of a cell rise; cells of one parent are neighbours in number.
//
// Rows are moved within their old cells first, while everything that may fail is done; that is
// undone by sorting each cell's rows by their numbers. Only then do new cells close the gaps that
// excluded rows leave.
#include "sampler/cells.h"

#include <string.h>

#include "sampler/split.h"

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

// ---- the refined tree ---------------------------------------------------------------------------

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

static void name_cells(const mcli_cells *old, const mcli_parts *parts, mcli_cells *new) {
  int32_t last = new->stages - 1;
  int joins = last < old->stages; // the last stage: then parents stay who they are
  int64_t cell = 0, first = 0;
  for (int64_t f = 0; f < old->n; f++)
    for (int64_t end = cell + parts->children[f]; cell < end; cell++) {
      new->first[cell] = first;
      new->size[cell] = parts->size[cell];
      new->parent[last][cell] = joins ? old->parent[last][f] : f;
      first += new->size[cell];
    }
  new->included = first;
}

static size_t row_size(const mcli_index *x) {
  return x->wide ? sizeof *x->wide : sizeof *x->narrow;
}

static char *row_at(const mcli_index *x, int64_t i) {
  return (x->wide ? (char *)x->wide : (char *)x->narrow) + (size_t)i * row_size(x);
}

// Where the rows are sorted: the old index, a copy of it, or room for all rows that have a label.
static mcl_status find_room(mcli_cells *old, int own, int64_t given, mcli_index *x,
                            mcl_error *err) {
  int fresh = index_missing(&old->index);
  *x = old->index;
  if (own && !fresh) return mcl_ok(err);
  *x = index_new(old->context, old->wide, fresh ? given : old->included);
  if (index_missing(x)) return mcli_nomem(err, "the rows of cells");
  if (!fresh) memcpy(row_at(x, 0), row_at(&old->index, 0), (size_t)old->included * row_size(x));
  return mcl_ok(err);
}

mcl_status mcli_cells_refine(mcli_cells *old, int own, int32_t stage, const mcli_labels *labels,
                             mcli_refined *out, mcl_error *err) {
  mcl_context *c = old->context;
  mcli_parts parts = {.children = MCLI_NEW0(c, int64_t, old->n),
                      .kept = MCLI_NEW0(c, int64_t, old->n)};
  *out = (mcli_refined){.kept = parts.kept};
  mcl_status status = parts.children && parts.kept
                          ? find_room(old, own, labels->given, &out->index, err)
                          : mcli_nomem(err, "sizes of cells");
  if (status < 0 || (status = mcli_split(old, labels, &out->index, &parts, err)) < 0) goto done;
  out->cells = cells_new(c, old->rows, parts.n, stage + 1);
  status = out->cells ? copy_levels(old, out->cells, err) : mcli_nomem(err, "the refined cells");
  if (status < 0) goto done;
  out->cells->wide = old->wide;
  name_cells(old, &parts, out->cells);
done:
  mcli_free(c, parts.size);
  mcli_free(c, parts.children);
  return status;
}

static int is_own(const mcli_cells *old, const mcli_index *x) {
  return x->narrow == old->index.narrow && x->wide == old->index.wide;
}

void mcli_cells_undo(mcli_cells *old, mcli_refined *r) {
  if (!is_own(old, &r->index))
    index_free(old->context, &r->index);
  else if (!index_missing(&r->index))
    mcli_split_undo(old, &r->index);
  mcli_cells_free(r->cells);
  mcli_free(old->context, r->kept);
}

void mcli_cells_finish(mcli_cells *old, mcli_refined *r) {
  int64_t to = 0;
  for (int64_t f = 0; f < old->n; to += r->kept[f++])
    if (old->first[f] > to)
      memmove(row_at(&r->index, to), row_at(&r->index, old->first[f]),
              (size_t)r->kept[f] * row_size(&r->index));
  if (is_own(old, &r->index)) old->index = (mcli_index){NULL, NULL};
  r->cells->index = r->index;
  mcli_free(old->context, r->kept);
}

// ---- where the rows are -------------------------------------------------------------------------

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
