// From cells to steps.
//
//   pieces(n) = ceil(n / P), sizes differing by at most one    (1)
//               (dropping: floor(n / P) pieces of P rows)
//   piece j of a cell = places [first_j, first_j + n_j) of the cell's rows under the permutation
//               keyed by (seed, stage, epoch, cell, pass)      (2)
//   proportional: step t = piece perm(t)                       (3)
//   round robin:  step t = piece r of the perm_r(i)-th of the cells with more than r pieces,
//                       where t is the i-th step of round r    (4)
//   uniform:      q = perm(t): piece q / cells of cell q mod cells, through its passes   (5)
//   packed:       rank k of step t has batch perm(t world + k), if there are so many   (6)
//
// Even pieces rather than full ones and a rest: a cell of one row more than a batch would give a
// batch of one row, which has no negatives.
//
// The rows of a true cell stay where they are when it joins others: a training cell is a list of true
// cells. Moving them together would need a second index, or a way to do it in place; now only rows of
// joined cells are looked for, among the parts of their cell.
#include "sampler/plan.h"

#include "base/rng.h"

int64_t mcli_plan_piece_rows(const mcl_sampler_options *o, int64_t rows, int32_t world) {
  int64_t most = o->batching == MCL_BATCH_PACKED ? o->batch_rows / world : o->batch_rows;
  int32_t drops = o->small_cells == MCL_SMALL_DROP; // a piece that no cell can fill is meant then
  return most < rows || drops ? most : rows;
}

mcli_plan *mcli_plan_ref(mcli_plan *p) {
  mcli_ref(&p->references);
  return p;
}

void mcli_plan_unref(mcli_plan *p) {
  if (!p || !mcli_unref_is_last(&p->references)) return;
  mcl_context *c = p->context;
  mcli_cells_free(p->cells);
  mcli_free(c, p->cell_first);
  mcli_free(c, p->training);
  mcli_free(c, p->part_first);
  mcli_free(c, p->part_at);
  mcli_free(c, p->part_shift);
  mcli_free(c, p->piece_first);
  mcli_free(c, p->bin_first);
  mcli_free(c, p->bin_piece);
  mcli_free(c, p->round_first);
  mcli_free(c, p->turn);
  mcli_free(c, p);
}

static int drops(const mcli_plan *p) {
  return p->options.small_cells == MCL_SMALL_DROP;
}

// ---- training cells and pieces ------------------------------------------------------------------

// training[f]: the training cell of true cell f, -1 where it is dropped; numbered by their lowest
// true cell.
static mcl_status choose_cells(mcli_plan *p, int64_t *training, mcl_error *err) {
  const mcli_cells *cells = p->cells;
  int64_t least = p->options.min_cell_rows;
  if (drops(p) && least < p->piece_rows) least = p->piece_rows;
  if (p->options.small_cells == MCL_SMALL_BACK_OFF) {
    mcl_status status = mcli_cells_back_off(cells, least, training, err);
    if (status < 0) return status;
  } else {
    for (int64_t f = 0; f < cells->n; f++) training[f] = f;
  }
  for (int64_t f = 0; f < cells->n;
       f++) { // training[f] <= f, and the lower ones have their numbers
    if (drops(p) && cells->size[f] < least)
      training[f] = -1;
    else
      training[f] = training[f] == f ? p->trained++ : training[training[f]];
  }
  return mcl_ok(err);
}

// Fills in cell_first.
static mcl_status measure_cells(mcli_plan *p, const int64_t *training, mcl_error *err) {
  int64_t *first = p->cell_first = MCLI_NEW0(p->context, int64_t, p->trained + 1);
  if (!first) return mcli_nomem(err, "the cells of an epoch");
  for (int64_t f = 0; f < p->cells->n; f++)
    if (training[f] >= 0) first[training[f] + 1] += p->cells->size[f];
  for (int64_t t = 0; t < p->trained; t++) first[t + 1] += first[t];
  return mcl_ok(err);
}

// The true cells of each training cell, in rising order: nothing to list where each trains by
// itself. Keeps `training` if it is needed.
static mcl_status list_parts(mcli_plan *p, int64_t **training, mcl_error *err) {
  const mcli_cells *cells = p->cells;
  int in_order = 1;
  for (int64_t f = 0; f < cells->n; f++) in_order &= (*training)[f] == f;
  if (in_order) return mcl_ok(err);
  p->training = *training;
  *training = NULL;
  p->part_first = MCLI_NEW0(p->context, int64_t, p->trained + 2);
  p->part_at = MCLI_NEW(p->context, int64_t, cells->n);
  p->part_shift = MCLI_NEW(p->context, int64_t, cells->n);
  int64_t *next = p->part_first;
  if (!next || !p->part_at || !p->part_shift) return mcli_nomem(err, "the parts of cells");
  for (int64_t f = 0; f < cells->n; f++)
    if (p->training[f] >= 0) next[p->training[f] + 2]++;
  for (int64_t t = 0; t < p->trained; t++) next[t + 2] += next[t + 1];
  for (int64_t f = 0; f < cells->n; f++) // next[t + 1] runs through t's, to where t + 1 begins
    if (p->training[f] >= 0) p->part_shift[next[p->training[f] + 1]++] = f;
  for (int64_t i = 0, at = 0; i < next[p->trained]; i++) {
    int64_t f = p->part_shift[i];
    p->part_at[i] = at;
    p->part_shift[i] = cells->first[f] - at;
    at += cells->size[f];
  }
  return mcl_ok(err);
}

// Rows of small cells that train with others: in a training cell that is larger than they.
static void count_backed_off(mcli_plan *p, const int64_t *training) {
  for (int64_t f = 0; f < p->cells->n; f++) {
    int64_t size = p->cells->size[f];
    if (training[f] >= 0 && size < p->options.min_cell_rows &&
        mcli_plan_cell_rows(p, training[f]) > size)
      p->report.backed_off += size;
  }
}

static mcl_status cut_pieces(mcli_plan *p, mcl_error *err) {
  mcl_sampler_report *r = &p->report;
  p->piece_first = MCLI_NEW(p->context, int64_t, p->trained + 1);
  if (!p->piece_first) return mcli_nomem(err, "the pieces of cells");
  p->piece_first[0] = 0;
  for (int64_t t = 0; t < p->trained; t++) {
    int64_t n = mcli_plan_cell_rows(p, t), full = n / p->piece_rows, rest = n % p->piece_rows;
    int64_t pieces = full + (!drops(p) && rest > 0);
    p->piece_first[t + 1] = p->piece_first[t] + pieces;
    r->used += drops(p) ? full * p->piece_rows : n;
    if (pieces > 0 && n / pieces == 1) r->alone += pieces - n % pieces;
  }
  r->excluded = r->rows - p->cells->included;
  r->dropped = p->cells->included - r->used;
  return mcl_ok(err);
}

// The smallest size that more than `rank` cells do not exceed, by halving the range of sizes: no
// memory, no sort.
static int64_t size_at(const mcli_plan *p, int64_t rank, int64_t largest) {
  int64_t low = 1, high = largest; // the size is in [low, high]
  while (low < high) {
    int64_t middle = low + (high - low) / 2, within = 0;
    for (int64_t t = 0; t < p->trained; t++) within += mcli_plan_cell_rows(p, t) <= middle;
    if (within > rank)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

static void measure(mcli_plan *p) {
  static const int64_t percent[MCLI_QUANTILES] = {0, 5, 25, 50, 75, 95, 100};
  p->sizes.cells = p->report.cells = p->trained;
  int64_t largest = 0;
  for (int64_t t = 0; t < p->trained; t++)
    if (mcli_plan_cell_rows(p, t) > largest) largest = mcli_plan_cell_rows(p, t);
  if (!largest) return;
  for (int32_t i = 0; i < MCLI_QUANTILES; i++) {
    int64_t wanted = p->trained / 100 * percent[i] + (p->trained % 100 * percent[i] + 99) / 100;
    p->sizes.quantile[i] = size_at(p, wanted > 0 ? wanted - 1 : 0, largest);
  }
  p->report.smallest_cell = p->sizes.quantile[0];
  p->report.median_cell = p->sizes.quantile[3];
  p->report.largest_cell = p->sizes.quantile[MCLI_QUANTILES - 1];
}

// ---- steps --------------------------------------------------------------------------------------

static int64_t pieces_of(const mcli_plan *p, int64_t cell) {
  return p->piece_first[cell + 1] - p->piece_first[cell];
}

static int64_t most_pieces(const mcli_plan *p) {
  int64_t most = 0;
  for (int64_t t = 0; t < p->trained; t++)
    if (pieces_of(p, t) > most) most = pieces_of(p, t);
  return most;
}

// The largest size up to `room` of which pieces are left; 0: none. below[s] leads there, and is
// shortened on the way.
static int64_t fitting(const int64_t *left, int64_t *below, int64_t room) {
  int64_t s = room;
  while (s > 0 && left[s] == 0) s = below[s];
  while (room > s) {
    int64_t next = below[room];
    below[room] = s;
    room = next;
  }
  return s;
}

// First fit, largest first: into one batch after another goes the largest piece that still fits,
// which fills the same batches as the usual wording (each piece, from the largest down, into the
// first batch with room) without looking for room.
static void fill_bins(mcli_plan *p, int64_t *left, int64_t *below, int64_t *first,
                      const int64_t *by_size) {
  int64_t packed = 0, pieces = p->piece_first[p->trained];
  while (packed < pieces) {
    int64_t room = p->piece_rows, size;
    p->bin_first[p->bins++] = packed;
    while ((size = fitting(left, below, room)) > 0) {
      p->bin_piece[packed++] = by_size[first[size]++];
      left[size]--;
      room -= size;
    }
  }
  p->bin_first[p->bins] = packed;
}

static mcl_status pack(mcli_plan *p, mcl_error *err) {
  mcl_context *c = p->context;
  int64_t pieces = p->piece_first[p->trained], sizes = p->piece_rows + 1;
  if (pieces == 0) sizes = 1;
  int64_t *left = MCLI_NEW0(c, int64_t, sizes + 1), *below = MCLI_NEW(c, int64_t, sizes),
          *first = MCLI_NEW0(c, int64_t, sizes + 1), *by_size = MCLI_NEW(c, int64_t, pieces);
  p->bin_first = MCLI_NEW(c, int64_t, pieces + 1);
  p->bin_piece = MCLI_NEW(c, int64_t, pieces);
  mcl_status status = mcli_nomem(err, "packing cells");
  if (!left || !below || !first || !by_size || !p->bin_first || !p->bin_piece) goto done;

  for (int64_t i = 0; i < pieces; i++) first[mcli_plan_span(p, i).n + 1]++;
  for (int64_t s = 0; s < sizes; s++) first[s + 1] += first[s];
  for (int64_t s = 0; s < sizes; s++) below[s] = s - 1;
  for (int64_t i = 0; i < pieces; i++) {
    int64_t s = mcli_plan_span(p, i).n;
    by_size[first[s] + left[s]++] = i;
  }
  fill_bins(p, left, below, first, by_size);
  p->report.steps = (p->bins + p->world - 1) / p->world;
  status = mcl_ok(err);
done:
  mcli_free(c, left);
  mcli_free(c, below);
  mcli_free(c, first);
  mcli_free(c, by_size);
  return status;
}

static mcl_status take_turns(mcli_plan *p, mcl_error *err) {
  p->rounds = most_pieces(p);
  p->turn = MCLI_NEW(p->context, int64_t, p->trained);
  p->round_first = MCLI_NEW0(p->context, int64_t, p->rounds + 2);
  int64_t *more = p->round_first; // first: more[r + 1] = cells with more than r pieces
  if (!p->turn || !more) return mcli_nomem(err, "the order of cells");
  for (int64_t t = 0; t < p->trained; t++) more[pieces_of(p, t)]++;
  for (int64_t r = p->rounds; r > 0; r--) more[r] += more[r + 1];
  for (int64_t t = p->trained - 1; t >= 0; t--) { // places of cells with m pieces end at more[m]
    int64_t m = pieces_of(p, t);
    p->turn[--more[m]] = t;
  }
  // more[m] is now where the cells with m pieces begin, that is how many have more: the size of
  // round m.
  int64_t size = p->trained, step = 0;
  for (int64_t r = 0; r <= p->rounds; r++) {
    int64_t next = r < p->rounds ? more[r + 1] : 0;
    p->round_first[r] = step;
    step += size;
    size = next;
  }
  p->report.steps = p->piece_first[p->trained];
  return mcl_ok(err);
}

static mcl_status even_out(mcli_plan *p, mcl_error *err) {
  p->rounds = most_pieces(p);
  int64_t *steps = &p->report.steps, drawn = 0;
  if (!mcli_mul(p->trained, p->rounds, steps) || *steps > INT64_C(1) << 62)
    return mcli_fail(err, MCL_E_LIMIT,
                     "order MCL_ORDER_UNIFORM would make an epoch of %lld cells times %lld steps",
                     (long long)p->trained, (long long)p->rounds);
  for (int64_t t = 0; t < p->trained; t++) {
    int64_t pieces = pieces_of(p, t), passes = p->rounds / pieces, rest = p->rounds % pieces;
    mcli_span last = mcli_plan_span(p, p->piece_first[t + 1] - 1);
    drawn += passes * (last.first + last.n);
    drawn += rest ? mcli_plan_span(p, p->piece_first[t] + rest).first : 0;
  }
  p->report.repeated = drawn - p->report.used;
  return mcl_ok(err);
}

static mcl_status order_steps(mcli_plan *p, mcl_error *err) {
  if (p->options.batching == MCL_BATCH_PACKED) return pack(p, err);
  if (p->options.order == MCL_ORDER_ROUND_ROBIN) return take_turns(p, err);
  if (p->options.order == MCL_ORDER_UNIFORM) return even_out(p, err);
  p->report.steps = p->piece_first[p->trained];
  return mcl_ok(err);
}

mcl_status mcli_plan_make(const mcl_sampler_options *o, int32_t world, mcli_cells *cells,
                          mcli_plan **out, mcl_error *err) {
  mcl_context *c = cells->context;
  mcl_status status = mcli_nomem(err, "the plan of an epoch");
  int64_t *training = MCLI_NEW(c, int64_t, cells->n);
  mcli_plan *p = MCLI_NEW0(c, mcli_plan, 1);
  if (!p || !training) {
    mcli_free(c, p);
    mcli_cells_free(cells);
    mcli_free(c, training);
    return status;
  }
  p->context = c, p->cells = cells, p->options = *o, p->world = world;
  mcli_ref_init(&p->references);
  p->report.rows = cells->rows;
  p->piece_rows = mcli_plan_piece_rows(o, cells->rows, world);
  p->key = mcli_rng_derive(o->seed, MCLI_RNG_SAMPLER, (uint64_t)cells->stages);
  if ((status = choose_cells(p, training, err)) < 0) goto done;
  if ((status = measure_cells(p, training, err)) < 0) goto done;
  count_backed_off(p, training);
  if ((status = list_parts(p, &training, err)) < 0 || (status = cut_pieces(p, err)) < 0 ||
      (status = order_steps(p, err)) < 0)
    goto done;
  measure(p);
  *out = p;
  p = NULL;
done:
  mcli_plan_unref(p);
  mcli_free(c, training);
  return status;
}

// ---- what a step is -----------------------------------------------------------------------------

// The last i in 0 .. n - 1 with first[i] <= x; first[0] <= x.
static int64_t find(const int64_t *first, int64_t n, int64_t x) {
  int64_t low = 0;
  while (n - low > 1) {
    int64_t middle = low + (n - low) / 2;
    if (first[middle] <= x)
      low = middle;
    else
      n = middle;
  }
  return low;
}

mcli_span mcli_plan_span(const mcli_plan *p, int64_t piece) { // (1)
  mcli_span s;
  s.cell = find(p->piece_first, p->trained, piece);
  int64_t pieces = pieces_of(p, s.cell), i = piece - p->piece_first[s.cell];
  int64_t rows = drops(p) ? pieces * p->piece_rows : mcli_plan_cell_rows(p, s.cell);
  mcli_part(rows, pieces, i, &s.first, &s.n);
  return s;
}

int64_t mcli_plan_place(const mcli_plan *p, int64_t cell, int64_t i) {
  int64_t place = p->cell_first[cell] + i;
  if (!p->part_first) return place;
  int64_t first = p->part_first[cell], parts = p->part_first[cell + 1] - first;
  return place + p->part_shift[first + find(p->part_at + first, parts, place)];
}

uint64_t mcli_plan_epoch_key(const mcli_plan *p, int32_t epoch) {
  return mcli_rng_derive(p->key, MCLI_RNG_SAMPLER, (uint64_t)epoch);
}

mcli_permutation mcli_plan_permutation(uint64_t epoch_key, uint32_t what, int64_t id, int64_t pass,
                                       int64_t n) {
  uint32_t counter[4] = {(uint32_t)id, (uint32_t)((uint64_t)id >> 32), (uint32_t)pass, what};
  uint32_t key[2] = {(uint32_t)epoch_key, (uint32_t)(epoch_key >> 32)}, out[4];
  mcli_philox(counter, key, out);
  return mcli_permutation_make((uint64_t)n, out);
}

static int64_t permuted(uint64_t key, uint32_t what, int64_t id, int64_t n, int64_t i) {
  mcli_permutation p = mcli_plan_permutation(key, what, id, 0, n);
  return (int64_t)mcli_permutation_at(&p, (uint64_t)i);
}

mcli_draw mcli_plan_draw(const mcli_plan *p, uint64_t key, int64_t step, int32_t rank) {
  mcli_draw d = {NULL, 1, 0, 0};
  if (p->options.batching == MCL_BATCH_PACKED) { // (6)
    int64_t bin = step * p->world + rank;
    if (bin >= p->bins) return (mcli_draw){p->bin_piece, 0, 0, 0};
    bin = permuted(key, MCLI_DRAW_STEPS, 0, p->bins, bin);
    d.pieces = p->bin_piece + p->bin_first[bin];
    d.n = p->bin_first[bin + 1] - p->bin_first[bin];
  } else if (p->options.order == MCL_ORDER_ROUND_ROBIN) { // (4)
    int64_t r = find(p->round_first, p->rounds, step), first = p->round_first[r];
    int64_t i = permuted(key, MCLI_DRAW_ROUND, r, p->round_first[r + 1] - first, step - first);
    d.single = p->piece_first[p->turn[i]] + r;
  } else if (p->options.order == MCL_ORDER_UNIFORM) { // (5)
    int64_t q = permuted(key, MCLI_DRAW_STEPS, 0, p->report.steps, step);
    int64_t cell = q % p->trained, pieces = pieces_of(p, cell);
    d.single = p->piece_first[cell] + q / p->trained % pieces;
    d.pass = drops(p) ? 0 : q / p->trained / pieces; // what an epoch drops, it drops in each pass
  } else {                                           // (3)
    d.single = permuted(key, MCLI_DRAW_STEPS, 0, p->report.steps, step);
  }
  return d;
}
