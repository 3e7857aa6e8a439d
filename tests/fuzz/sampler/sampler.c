// The sampler under any options, labels and order of calls. Cells are those of the plain twin (tests/sampler/twin.h), an epoch
// over all ranks shows what the report says and mixes no cells, the same step comes twice alike, and what is refused
// changes nothing.
#include <libmcl/sampler.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "sampler/twin.h"

const int fuzz_large = FUZZ_REFUSED;

enum { ROWS = 120, WORLD = 4, CAPACITY = 2048 }; // the twin's time grows with the cube of the rows

static twin t;

typedef struct epoch {
  int64_t indices[CAPACITY], cells[CAPACITY];
} epoch;

static mcl_sampler_options options_from(fuzz_bytes *b) {
  mcl_sampler_options o;
  mcl_sampler_options_init(&o, sizeof o);
  o.seed = fuzz_bits(b, 2);
  o.batch_rows = fuzz_size(b);
  o.min_cell_rows = fuzz_chance(b, 4) ? fuzz_size(b) : fuzz_below(b, 9) + 1;
  o.small_cells = (int32_t)fuzz_below(b, 5);
  o.batching = (int32_t)fuzz_below(b, 4);
  o.order = (int32_t)fuzz_below(b, 5);
  o.flags = fuzz_chance(b, 32);
  return o;
}

static mcl_batch buffer_of(epoch *e, int64_t capacity) {
  mcl_batch out;
  mcl_struct_init(&out, sizeof out);
  out.indices = e->indices, out.cells = e->cells, out.capacity = capacity;
  return out;
}

// One step of one rank; counts the rows it shows.
static int64_t show(const mcl_sampler *s, int32_t at, int64_t step, int32_t *shown) {
  static epoch e, again;
  mcl_error err;
  int64_t capacity = mcl_sampler_batch_capacity(s);
  if (capacity > CAPACITY) capacity = CAPACITY;
  mcl_batch out = buffer_of(&e, capacity), twice = buffer_of(&again, capacity);
  if (!fuzz_ok(mcl_sampler_batch(s, at, step, &out, &err), &err)) fuzz_fail("a step refused");
  if (!fuzz_ok(mcl_sampler_batch(s, at, step, &twice, &err), &err)) fuzz_fail("a step once only");
  if (out.n != twice.n || memcmp(e.indices, again.indices, (size_t)out.n * sizeof *e.indices))
    fuzz_fail("another step the second time");
  for (int64_t i = 0; i < out.n; i++) {
    int64_t row = e.indices[i];
    if (row < 0 || row >= t.rows) fuzz_fail("row %lld", (long long)row);
    shown[row]++;
  }
  return out.n;
}

static void check_epoch(mcl_sampler *const *rank, int32_t world, int32_t at,
                        const mcl_sampler_report *r) {
  int32_t shown[ROWS] = {0};
  int64_t used = 0, repeated = 0;
  if (r->steps > 400) return; // of UNIFORM with tiny pieces
  for (int32_t k = 0; k < world; k++)
    for (int64_t step = 0; step < r->steps; step++) show(rank[k], at, step, shown);
  for (int64_t i = 0; i < t.rows; i++) {
    used += shown[i] > 0;
    repeated += shown[i] > 1 ? shown[i] - 1 : 0;
    if (shown[i] && twin_excluded(&t, i)) fuzz_fail("excluded row %lld is shown", (long long)i);
  }
  if (used != r->used || repeated != r->repeated)
    fuzz_fail("%lld rows and %lld again, the report says %lld and %lld", (long long)used,
              (long long)repeated, (long long)r->used, (long long)r->repeated);
}

// cells: what the library says. KEEP and BACK_OFF are the twin's.
static void check_twin(const mcl_sampler *s, const mcl_sampler_options *o) {
  int64_t cells[ROWS];
  mcl_error err;
  if (!fuzz_ok(mcl_sampler_cells(s, cells, t.rows, &err), &err)) fuzz_fail("no cells");
  if (o->small_cells == MCL_SMALL_DROP) return;
  twin_keep(&t);
  if (o->small_cells == MCL_SMALL_BACK_OFF) twin_back_off(&t, o->min_cell_rows);
  for (int64_t i = 0; i < t.rows; i++)
    if (cells[i] != t.cell[i])
      fuzz_fail("row %lld is in cell %lld, not %lld", (long long)i, (long long)cells[i],
                (long long)t.cell[i]);
}

static mcl_sampler_report report_from(const mcl_sampler *s) {
  mcl_sampler_report r;
  mcl_error err;
  mcl_struct_init(&r, sizeof r);
  if (!fuzz_ok(mcl_sampler_get_report(s, &r, &err), &err)) fuzz_fail("no report");
  if (r.used + r.dropped + r.excluded != r.rows || r.rows != t.rows) fuzz_fail("rows are lost");
  if (r.smallest_cell > r.median_cell || r.median_cell > r.largest_cell) fuzz_fail("cells' sizes");
  return r;
}

// Labels that may be bad, in a stage that may be out of turn. 1: all ranks took them.
static int add_labels(mcl_sampler *const *rank, int32_t world, fuzz_bytes *b) {
  int32_t labels[ROWS], stage = t.stages - (t.stages && fuzz_chance(b, 3));
  int64_t k = fuzz_below(b, 6) + 1, n = t.rows;
  mcl_error err;
  uint32_t state = (uint32_t)fuzz_bits(b, 2);
  for (int64_t i = 0; i < n; i++) {
    state = state * 1664525u + 1013904223u;
    labels[i] = (int32_t)((state >> 16) * (uint64_t)k >> 16);
  }
  for (int64_t i = fuzz_below(b, 4); i > 0; i--) // some at an edge
    labels[fuzz_below(b, n)] = (int32_t)fuzz_size(b);
  if (fuzz_chance(b, 16)) stage = (int32_t)fuzz_size(b);
  if (fuzz_chance(b, 16)) n = fuzz_below(b, n + 1);
  int taken = 0;
  for (int32_t r = 0; r < world; r++) {
    int ok = fuzz_ok(mcl_sampler_add_labels(rank[r], stage, labels, n, &err), &err);
    if (r > 0 && ok != taken && !fuzz_memory_may_fail()) fuzz_fail("ranks differ");
    taken = r == 0 ? ok : taken && ok;
    if (ok && !taken) return -1; // memory was refused on one of them
  }
  if (!taken) return world > 1 && fuzz_memory_may_fail() ? -1 : 0;
  memcpy(t.labels[t.vectors], labels, sizeof labels);
  t.stage[t.vectors++] = stage;
  if (stage == t.stages) t.stages++;
  return 1;
}

static void ask(const mcl_sampler *s, fuzz_bytes *b) {
  static epoch e;
  mcl_error err;
  int64_t got = 0, capacity = fuzz_below(b, ROWS), anchor = fuzz_size(b);
  mcl_batch out = buffer_of(&e, fuzz_below(b, CAPACITY));
  fuzz_ok(mcl_sampler_batch(s, (int32_t)fuzz_size(b), fuzz_size(b), &out, &err), &err);
  if (fuzz_ok(mcl_sampler_negatives(s, 0, anchor, e.indices, capacity, &got, &err), &err))
    for (int64_t i = 0; i < got; i++)
      if (e.indices[i] == anchor) fuzz_fail("the anchor is its own negative");
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t n) {
  fuzz_bytes b = {bytes, n};
  mcl_sampler *rank[WORLD] = {NULL};
  mcl_error err;
  int32_t world = 1 + (int32_t)fuzz_below(&b, WORLD), made = 0;
  memset(&t, 0, sizeof t);
  t.rows = fuzz_below(&b, ROWS) + 1;
  mcl_sampler_options o = options_from(&b);
  const mcl_sampler_options *given = fuzz_struct(&b, &o, sizeof o);
  int64_t rows = fuzz_chance(&b, 32) ? fuzz_size(&b) : t.rows;
  // Packing takes 8 bytes a row of a piece: of 2^62 rows no request can be made that memory could refuse.
  if (o.batching == MCL_BATCH_PACKED && rows > INT64_C(1) << 58) rows = INT64_C(1) << 58;
  while (made < world) {
    if (!fuzz_ok(mcl_sampler_create(context, given, rows, made, world, &rank[made], &err), &err))
      break;
    made++;
  }
  // With options cut short the defaults are at work, of which the checks know nothing.
  int whole = made == world && rows == t.rows && given && given->struct_size >= sizeof o;
  for (int call = 0; whole && call < 6 && t.vectors < TWIN_VECTORS && b.n; call++) {
    whole = add_labels(rank, world, &b) >= 0;
    if (!whole) break;
    mcl_sampler_report r = report_from(rank[0]);
    check_twin(rank[0], &o);
    check_epoch(rank, world, call, &r);
    ask(rank[0], &b);
  }
  for (int32_t k = 0; k < made; k++) mcl_sampler_unref(rank[k]);
}
