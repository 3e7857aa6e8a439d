// The two losses, from the caller's arrays to his gradients: check, sort by cell, normalise, two passes, and back.
//
// Gradients come by the normalised rows u = z / |z| and are brought to the rows as given:
//
//   dL/dz = (dL/du - u <u, dL/du>) / |z|,  0 for z = 0         (1)
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "loss/contrast.h"
#include "math/array.h"
#include "math/rows.h"

static const mcl_loss_options defaults = {.struct_size = sizeof(mcl_loss_options),
                                          .temperature = 0.5};

void mcl_loss_options_init(mcl_loss_options *o, size_t struct_size) {
  mcli_options_init(o, struct_size, &defaults, sizeof defaults);
}

typedef struct call {
  mcl_context *context;
  mcl_loss_options o;
  mcl_loss_inputs in;
  int64_t n, m, dim;
  int64_t *runs;           // what the groups of k point into
  mcli_contrast k;         // from a (or from both views at once)
  mcli_contrast_rows a, b; // NT-Xent has only a, of 2n rows
  float *gradient;         // [larger of the two, dim], sorted
  float *rows;             // the same size: a caller's rows before sorting, gradients after
} call;

// ---- checks ------------------------------------------------------------------------------------------

static mcl_status check_options(const mcl_loss_options *o, uint32_t allowed, mcl_error *err) {
  // Below 1e-4 scores of 1e4 differ by less than float32 can tell; above 1e4 nothing is learnt.
  if (!(o->temperature >= 1e-4 && o->temperature <= 1e4))
    return mcli_fail(err, MCL_E_INVALID, "mcl_loss_options.temperature is %g, not in [1e-4, 1e4]",
                     o->temperature);
  if (o->flags & ~allowed)
    return mcli_fail(err, MCL_E_INVALID, "mcl_loss_options.flags has 0x%x, which is not taken here",
                     o->flags & ~allowed);
  return MCL_OK;
}

static mcl_status check_shapes(call *l, mcl_error *err) {
  mcl_status s = mcli_matrix_check(l->in.za, "za", -1, -1, err);
  if (s == MCL_OK) s = mcli_matrix_check(l->in.zb, "zb", -1, l->in.za->shape[1], err);
  if (s < 0) return s;
  l->n = l->in.za->shape[0];
  l->m = l->in.zb->shape[0];
  l->dim = l->in.za->shape[1];
  if (l->n < 1 || l->dim < 1)
    return mcli_fail(err, MCL_E_SHAPE, "za is [%lld, %lld]: at least one row and column are needed",
                     (long long)l->n, (long long)l->dim);
  if (!(l->o.flags & MCL_ONE_WAY) && l->n != l->m)
    return mcli_fail(err, MCL_E_SHAPE, "zb has %lld rows, za %lld; only MCL_ONE_WAY takes more",
                     (long long)l->m, (long long)l->n);
  if (!(l->o.flags & MCL_ONE_WAY) && l->in.first_positive != 0)
    return mcli_fail(err, MCL_E_INVALID, "first_positive is %lld, which needs MCL_ONE_WAY",
                     (long long)l->in.first_positive);
  if (l->in.first_positive < 0 || l->in.first_positive > l->m - l->n)
    return mcli_fail(err, MCL_E_INVALID, "first_positive is %lld, not in 0..%lld",
                     (long long)l->in.first_positive, (long long)(l->m - l->n));
  if (l->in.dza) s = mcli_matrix_check_out(l->in.dza, "dza", l->n, l->dim, err);
  if (s == MCL_OK && l->in.dzb) s = mcli_matrix_check_out(l->in.dzb, "dzb", l->m, l->dim, err);
  return s;
}

// ---- sorting and loading -----------------------------------------------------------------------------

typedef struct keyed {
  int64_t cell, row;
} keyed;

static int by_cell(const void *x, const void *y) {
  const keyed *a = x, *b = y;
  if (a->cell != b->cell) return a->cell < b->cell ? -1 : 1;
  return a->row < b->row ? -1 : a->row > b->row;
}

// The cell of row i of these rows: row i of NT-Xent's 2n is row i % n of a view.
static int64_t cell_at(const call *l, int64_t i, int64_t first) {
  return l->in.cells ? l->in.cells[first + i % l->n] : 0;
}

static mcl_status sort_rows(call *l, mcli_contrast_rows *r, int64_t n, bool candidates,
                            int64_t **cells, mcl_error *err) {
  mcl_context *c = l->context;
  keyed *keys = MCLI_NEW(c, keyed, n);
  r->n = n;
  r->u = MCLI_NEW(c, float, n * l->dim);
  r->order = MCLI_NEW(c, int64_t, n);
  r->positive = MCLI_NEW(c, int64_t, n);
  r->lse = MCLI_NEW0(c, double, n);
  r->terms = MCLI_NEW0(c, double, 4 * n);
  if (!(l->o.flags & MCL_ROWS_AS_GIVEN)) r->norms = MCLI_NEW(c, float, n);
  if (l->in.duplicates) r->duplicates = MCLI_NEW(c, int64_t, n);
  *cells = MCLI_NEW(c, int64_t, n);
  bool good = keys && r->u && r->order && r->positive && r->lse && r->terms && *cells &&
              (r->norms || l->o.flags & MCL_ROWS_AS_GIVEN) && (r->duplicates || !l->in.duplicates);
  for (int64_t i = 0; good && i < n; i++) {
    keys[i].row = i;
    keys[i].cell =
        candidates ? (l->in.cells ? l->in.cells[i] : 0) : cell_at(l, i, l->in.first_positive);
  }
  if (good && l->in.cells) qsort(keys, (size_t)n, sizeof *keys, by_cell);
  for (int64_t i = 0; good && i < n; i++) {
    r->order[i] = keys[i].row;
    (*cells)[i] = keys[i].cell;
    int64_t of_b = candidates ? keys[i].row : l->in.first_positive + keys[i].row % l->n;
    if (r->duplicates) r->duplicates[i] = l->in.duplicates[of_b];
  }
  mcli_free(c, keys);
  return good ? MCL_OK : mcli_nomem(err, "the loss");
}

static void rows_free(mcl_context *c, mcli_contrast_rows *r) {
  mcli_free(c, r->u);
  mcli_free(c, r->norms);
  mcli_free(c, r->order);
  mcli_free(c, r->duplicates);
  mcli_free(c, r->positive);
  mcli_free(c, r->lse);
  mcli_free(c, r->terms);
}

static mcl_status load(const call *l, const mcl_array *z, const char *name, float *rows,
                       mcl_error *err) {
  mcli_array_load(z, 0, z->shape[0], rows);
  int64_t bad = mcli_first_not_finite(rows, z->shape[0], l->dim);
  if (bad < 0) return MCL_OK;
  return mcli_fail_row(err, MCL_E_NOT_FINITE, bad, "%s's row %lld is not finite", name,
                       (long long)bad);
}

// rows, in the caller's order, to sorted and normalised ones.
static void take_rows(const call *l, mcli_contrast_rows *r) {
  size_t row = (size_t)l->dim * sizeof(float);
  for (int64_t i = 0; i < r->n; i++) memcpy(r->u + i * l->dim, l->rows + r->order[i] * l->dim, row);
  if (r->norms) mcli_normalise(l->context, r->u, r->n, l->dim, r->u, r->norms);
}

// Where the caller's row i stands among the sorted ones.
static mcl_status places_of(const call *l, const mcli_contrast_rows *r, int64_t **out,
                            mcl_error *err) {
  *out = MCLI_NEW(l->context, int64_t, r->n);
  if (!*out) return mcli_nomem(err, "the loss");
  for (int64_t i = 0; i < r->n; i++) (*out)[r->order[i]] = i;
  return MCL_OK;
}

// Runs of equal cells in both, for the cells that x has.
static mcl_status find_groups(call *l, const int64_t *x_cells, int64_t xn, const int64_t *y_cells,
                              int64_t yn, mcl_error *err) {
  mcli_contrast *k = &l->k;
  int64_t *runs = l->runs = MCLI_NEW(l->context, int64_t, 4 * xn), y = 0, g = 0;
  if (!runs) return mcli_nomem(err, "the loss");
  k->x_first = runs, k->x_end = runs + xn, k->y_first = runs + 2 * xn, k->y_end = runs + 3 * xn;
  for (int64_t x = 0; x < xn; g++) {
    int64_t cell = x_cells[x];
    k->x_first[g] = x;
    while (x < xn && x_cells[x] == cell) x++;
    k->x_end[g] = x;
    while (y < yn && y_cells[y] < cell) y++; // candidates in no anchor's cell
    k->y_first[g] = y;
    while (y < yn && y_cells[y] == cell) y++;
    k->y_end[g] = y;
  }
  k->groups = g;
  return MCL_OK;
}

// ---- results -----------------------------------------------------------------------------------------

static void add_terms(const mcli_contrast_rows *r, double weight, mcl_loss_result *out) {
  double loss = 0, slope = 0, hits = 0, with_negatives = 0, anchors = 0;
  for (int64_t i = 0; i < r->n; i++) {
    const double *t = r->terms + 4 * i;
    if (r->positive[i] < 0) continue;
    loss += t[0], slope += t[1], hits += t[2], with_negatives += t[3], anchors += 1;
  }
  out->loss += weight * loss;
  out->d_log_temperature += weight * slope;
  out->accuracy += hits; // a count until finish_result
  out->anchors += (int64_t)anchors;
  out->anchors_without_negatives += (int64_t)(anchors - with_negatives);
}

static void finish_result(mcl_loss_result *r) {
  int64_t with_negatives = r->anchors - r->anchors_without_negatives;
  r->accuracy = with_negatives ? r->accuracy / (double)with_negatives : 0;
}

// (1), and from sorted rows back to the caller's order, into l->rows.
static void unsort_gradient(call *l, const mcli_contrast_rows *r) {
  const mcli_rows_kernels *kernels = mcli_rows_kernels_of(l->context);
  for (int64_t i = 0; i < r->n; i++) {
    float *d = l->gradient + i * l->dim, *out = l->rows + r->order[i] * l->dim;
    const float *u = r->u + i * l->dim;
    if (!r->norms) {
      memcpy(out, d, (size_t)l->dim * sizeof *d);
      continue;
    }
    float along = kernels->dot(u, d, l->dim), scale = r->norms[i] > 0 ? 1 / r->norms[i] : 0;
    for (int64_t j = 0; j < l->dim; j++) out[j] = (d[j] - along * u[j]) * scale;
  }
}

static void store(const mcl_array *to, const float *rows) {
  if (to) mcli_array_store(to, 0, to->shape[0], rows);
}

// ---- NT-Xent -----------------------------------------------------------------------------------------

static mcl_status nt_xent(call *l, mcl_loss_result *out, mcl_error *err) {
  int64_t rows = 2 * l->n, *cells = NULL, *place = NULL;
  mcli_contrast *k = &l->k;
  mcl_status s = load(l, l->in.za, "za", l->rows, err);
  if (s == MCL_OK) s = load(l, l->in.zb, "zb", l->rows + l->n * l->dim, err);
  if (s == MCL_OK) s = sort_rows(l, &l->a, rows, false, &cells, err);
  if (s == MCL_OK) s = places_of(l, &l->a, &place, err);
  if (s == MCL_OK) s = find_groups(l, cells, rows, cells, rows, err);
  if (s == MCL_OK) {
    for (int64_t i = 0; i < rows; i++) l->a.positive[i] = place[(l->a.order[i] + l->n) % rows];
    take_rows(l, &l->a);
    k->x = k->y = &l->a;
    k->same = true;
    k->x_weight = k->y_weight = l->o.flags & MCL_REDUCE_SUM ? 1 : 1 / (double)rows;
    s = mcli_contrast_scores(k, err);
  }
  if (s == MCL_OK) {
    add_terms(&l->a, k->x_weight, out);
    if (l->in.dza || l->in.dzb) s = mcli_contrast_gradient(k, l->gradient, err);
  }
  if (s == MCL_OK && (l->in.dza || l->in.dzb)) {
    unsort_gradient(l, &l->a);
    store(l->in.dza, l->rows);
    store(l->in.dzb, l->rows + l->n * l->dim);
  }
  mcli_free(l->context, cells);
  mcli_free(l->context, place);
  return s;
}

// ---- InfoNCE -----------------------------------------------------------------------------------------

static mcl_status prepare_info_nce(call *l, int64_t **a_cells, int64_t **b_cells, mcl_error *err) {
  int64_t *a_place = NULL, *b_place = NULL;
  mcl_status s = load(l, l->in.za, "za", l->rows, err);
  if (s == MCL_OK) s = sort_rows(l, &l->a, l->n, false, a_cells, err);
  if (s == MCL_OK) {
    take_rows(l, &l->a);
    s = load(l, l->in.zb, "zb", l->rows, err);
  }
  if (s == MCL_OK) s = sort_rows(l, &l->b, l->m, true, b_cells, err);
  if (s == MCL_OK) {
    take_rows(l, &l->b);
    s = places_of(l, &l->a, &a_place, err);
  }
  if (s == MCL_OK) s = places_of(l, &l->b, &b_place, err);
  if (s == MCL_OK) {
    for (int64_t i = 0; i < l->n; i++)
      l->a.positive[i] = b_place[l->in.first_positive + l->a.order[i]];
    for (int64_t i = 0; i < l->m; i++) {
      int64_t partner = l->b.order[i] - l->in.first_positive;
      l->b.positive[i] = partner >= 0 && partner < l->n ? a_place[partner] : -1;
    }
  }
  mcli_free(l->context, a_place);
  mcli_free(l->context, b_place);
  return s;
}

// The same direction seen from the candidates: who picks whom is exchanged.
static mcli_contrast turned(const mcli_contrast *k) {
  mcli_contrast t = *k;
  t.x = k->y, t.y = k->x;
  t.x_first = k->y_first, t.x_end = k->y_end, t.y_first = k->x_first, t.y_end = k->x_end;
  t.x_weight = k->y_weight, t.y_weight = k->x_weight;
  return t;
}

static mcl_status info_nce_gradients(call *l, const mcli_contrast *back, mcl_error *err) {
  mcl_status s = MCL_OK;
  // Of both, before either is written: the caller may have given za as dzb.
  if (l->in.dza) s = mcli_contrast_gradient(&l->k, l->gradient, err);
  float *da = NULL;
  if (s == MCL_OK && l->in.dza) {
    unsort_gradient(l, &l->a);
    da = MCLI_NEW(l->context, float, l->n * l->dim);
    if (!da) return mcli_nomem(err, "the loss");
    memcpy(da, l->rows, (size_t)(l->n * l->dim) * sizeof *da);
  }
  if (s == MCL_OK && l->in.dzb) {
    // Candidates in cells that no anchor is in have no gradient, and no tile.
    memset(l->gradient, 0, (size_t)(l->m * l->dim) * sizeof *l->gradient);
    s = mcli_contrast_gradient(back, l->gradient, err);
  }
  if (s == MCL_OK) {
    if (l->in.dzb) unsort_gradient(l, &l->b);
    store(l->in.dzb, l->rows);
    if (da) store(l->in.dza, da);
  }
  mcli_free(l->context, da);
  return s;
}

static mcl_status info_nce(call *l, mcl_loss_result *out, mcl_error *err) {
  int64_t *a_cells = NULL, *b_cells = NULL;
  mcli_contrast *k = &l->k, back;
  bool sum = l->o.flags & MCL_REDUCE_SUM, both_ways = !(l->o.flags & MCL_ONE_WAY);
  mcl_status s = prepare_info_nce(l, &a_cells, &b_cells, err);
  if (s == MCL_OK) s = find_groups(l, a_cells, l->n, b_cells, l->m, err);
  if (s == MCL_OK) {
    k->x = &l->a, k->y = &l->b;
    k->x_weight = sum ? 1 : (both_ways ? 0.5 : 1) / (double)l->n;
    k->y_weight = both_ways ? k->x_weight : 0;
    back = turned(k);
    s = mcli_contrast_scores(k, err);
  }
  if (s == MCL_OK && both_ways) s = mcli_contrast_scores(&back, err);
  if (s == MCL_OK) {
    add_terms(&l->a, k->x_weight, out);
    if (both_ways) add_terms(&l->b, k->y_weight, out);
    s = info_nce_gradients(l, &back, err);
  }
  mcli_free(l->context, a_cells);
  mcli_free(l->context, b_cells);
  return s;
}

// ---- the calls ---------------------------------------------------------------------------------------

static mcl_status run(mcl_context *c, const mcl_loss_options *o, const mcl_loss_inputs *in,
                      mcl_loss_result *out, uint32_t flags,
                      mcl_status (*loss)(call *, mcl_loss_result *, mcl_error *), mcl_error *err) {
  if (!c || !out) return mcli_fail(err, MCL_E_INVALID, "%s is NULL", c ? "out" : "context");
  call l = {.context = c, .o = defaults};
  mcl_loss_result result;
  mcl_status s = mcli_struct_in(&result, sizeof result, out, "mcl_loss_result", err);
  if (s == MCL_OK) s = mcli_options_copy(&l.o, sizeof l.o, o, "mcl_loss_options", err);
  if (s == MCL_OK) s = check_options(&l.o, flags, err);
  if (s == MCL_OK) s = mcli_struct_in(&l.in, sizeof l.in, in, "mcl_loss_inputs", err);
  if (s == MCL_OK) s = check_shapes(&l, err);
  if (s < 0) return s;
  int64_t most = loss == nt_xent ? 2 * l.n : l.m;
  l.k.context = c;
  l.k.dim = l.dim;
  l.k.inverse_temperature = (float)(1 / l.o.temperature);
  l.rows = MCLI_NEW(c, float, most *l.dim);
  l.gradient = MCLI_NEW(c, float, most *l.dim);
  mcl_struct_init(&result, sizeof result);
  s = l.rows && l.gradient ? loss(&l, &result, err) : mcli_nomem(err, "the loss");
  finish_result(&result);
  if (s == MCL_OK) s = mcli_struct_out(out, &result, sizeof result, "mcl_loss_result", err);
  rows_free(c, &l.a);
  rows_free(c, &l.b);
  mcli_free(c, l.runs);
  mcli_free(c, l.rows);
  mcli_free(c, l.gradient);
  return s < 0 ? s : mcl_ok(err);
}

mcl_status mcl_loss_nt_xent(mcl_context *c, const mcl_loss_options *o, const mcl_loss_inputs *in,
                            mcl_loss_result *out, mcl_error *err) {
  return run(c, o, in, out, MCL_REDUCE_SUM | MCL_ROWS_AS_GIVEN, nt_xent, err);
}

mcl_status mcl_loss_info_nce(mcl_context *c, const mcl_loss_options *o, const mcl_loss_inputs *in,
                             mcl_loss_result *out, mcl_error *err) {
  return run(c, o, in, out, MCL_REDUCE_SUM | MCL_ROWS_AS_GIVEN | MCL_ONE_WAY, info_nce, err);
}
