#include "fuzz/api/world.h"

#include <string.h>

static float pool[POOL], room[4][POOL];

static void fill_pool(void) {
  uint32_t state = 1;
  if (pool[0] != 0) return;
  for (int64_t i = 0; i < POOL; i++) {
    state = state * 1664525u + 1013904223u;
    pool[i] = (float)(int32_t)(state >> 8 & 0xFFFF) / 16384 - 2;
  }
}

void world_begin(world *w, mcl_context *context, fuzz_bytes *in, int legal) {
  fill_pool();
  memset(w, 0, sizeof *w);
  w->context = context;
  w->in = in;
  w->legal = legal;
}

void world_end(world *w) {
  for (int i = 0; i < SLOTS; i++) {
    mcl_multistage_unref(w->loops[i]);
    mcl_integrator_unref(w->integrators[i]);
    mcl_dataset_unref(w->datasets[i]);
    mcl_tokenizer_unref(w->tokenizers[i]);
    mcl_augmenter_unref(w->augmenters[i]);
    mcl_encoder_unref(w->learners[i].encoder);
    mcl_clusterer_unref(w->clusterers[i]);
    mcl_sampler_unref(w->samplers[i]);
    mcl_npy_unref(w->files[i]);
    mcl_checkpoint_unref(w->checkpoints[i]);
    mcl_checkpoint_writer_unref(w->writers[i]);
    mcl_comm_unref(w->comms[i]);
  }
}

// ---- operations ---------------------------------------------------------------------------------

static const operation *const parts[] = {data_operations, learn_operations, cluster_operations,
                                         loop_operations};
static const char *last = "nothing";
static int64_t at_work; // its number
static world_tally tallies[MOST_OPERATIONS];

const world_tally *world_tallies(void) {
  return tallies;
}

int64_t world_count(void) {
  int64_t n = 0;
  for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
    for (const operation *o = parts[p]; o->name; o++) n++;
  return n;
}

void world_step(world *w) {
  int64_t at = fuzz_below(w->in, world_count());
  at_work = at;
  for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
    for (const operation *o = parts[p]; o->name; o++) {
      if (at-- > 0) continue;
      last = tallies[at_work].name = o->name;
      o->run(w);
      return;
    }
}

// ---- arguments ----------------------------------------------------------------------------------

// What a legal call may meet: state that it has not been told of, files that others have replaced.
static int is_of_state(mcl_status s) {
  return s == MCL_E_STATE || s == MCL_E_NOT_FOUND || s == MCL_E_UNSUPPORTED || s == MCL_E_SHAPE ||
         s == MCL_E_DTYPE || s == MCL_E_MISMATCH || s == MCL_E_LIMIT || s == MCL_E_NOT_FINITE ||
         s == MCL_E_FORMAT;
}

int may(world *w, mcl_status status) {
  int ok = fuzz_ok(status, &w->err);
  tallies[at_work].calls++;
  tallies[at_work].succeeded += ok;
  return ok;
}

int done(world *w, mcl_status status) {
  if (may(w, status)) return 1;
  if (w->legal && !is_of_state(status) && !fuzz_memory_may_fail())
    fuzz_fail("%s: %s: %s", last, mcl_status_name(status), w->err.message);
  return 0;
}

int wild(world *w) {
  return !w->legal && fuzz_chance(w->in, 16);
}

int64_t draw(world *w, int64_t lo, int64_t hi) {
  return wild(w) ? fuzz_size(w->in) : lo + fuzz_below(w->in, hi - lo + 1);
}

double draw_real(world *w, double lo, double hi) {
  return wild(w) ? fuzz_number(w->in) : lo + (hi - lo) * (double)fuzz_below(w->in, 256) / 255;
}

int slot(world *w) {
  return (int)fuzz_below(w->in, SLOTS);
}

const char *some_path(world *w, const char *extension) {
  static const char *const names[] = {"a", "b", "c"};
  char name[64];
  if (wild(w)) {
    static const char *const odd[] = {NULL, "", "/dev/null", "/no/such/folder/file", "."};
    return odd[fuzz_below(w->in, 5)];
  }
  strcpy(name, names[fuzz_below(w->in, 3)]);
  strcat(name, extension);
  return fuzz_path(name);
}

// Never a larger one: what a view spans is the caller's word, which libmcl must believe.
static void bend(world *w, mcl_array *a) {
  switch (fuzz_below(w->in, 8)) {
  case 0:
    a->dtype = MCL_F16;
    break;
  case 1:
    a->dtype = (int32_t)fuzz_size(w->in);
    break;
  case 2:
    a->ndim = (int32_t)fuzz_below(w->in, 4) - 1;
    break;
  case 3:
    a->shape[fuzz_below(w->in, 4)] = -fuzz_below(w->in, 3);
    break;
  case 4:
    a->shape[0] -= a->shape[0] > 1;
    break;
  case 5:
    a->data = NULL;
    break;
  case 6:
    a->device = 1;
    break;
  default:
    a->flags = (uint32_t)fuzz_size(w->in);
    break;
  }
  if (a->dtype == MCL_F64 || a->dtype == MCL_I64) a->dtype = 0;
}

mcl_array some_floats(world *w, int32_t ndim, const int64_t *shape) {
  mcl_array a;
  int64_t n = 1;
  for (int32_t i = 0; i < ndim; i++) n *= shape[i] > 0 && shape[i] <= POOL ? shape[i] : 1;
  int64_t free_places = n < POOL ? POOL - n : 1;
  mcl_array_init(&a, pool + fuzz_below(w->in, free_places < 200 ? free_places : 200), MCL_F32, ndim,
                 shape);
  if (wild(w)) bend(w, &a);
  return a;
}

mcl_array some_matrix(world *w, int64_t rows, int64_t cols) {
  int64_t shape[2] = {rows, cols};
  return some_floats(w, 2, shape);
}

mcl_array some_room(world *w, int64_t rows, int64_t cols) {
  static int turn;
  turn = (turn + 1) % 4;
  mcl_array a = mcl_matrix_f32(room[turn], rows, cols);
  if (wild(w)) bend(w, &a);
  return a;
}

const int32_t *some_labels(world *w, int64_t n, int32_t k) {
  static int32_t labels[4][4 * MOST_ROWS];
  static int turn;
  turn = (turn + 1) % 4;
  uint32_t state = (uint32_t)fuzz_bits(w->in, 1);
  for (int64_t i = 0; i < n && i < 4 * MOST_ROWS; i++) {
    state = state * 1664525u + 1013904223u;
    labels[turn][i] = (int32_t)((state >> 16) % (uint32_t)k);
  }
  if (wild(w) && n > 0 && n <= 4 * MOST_ROWS)
    labels[turn][fuzz_below(w->in, n)] = (int32_t)fuzz_size(w->in);
  return wild(w) ? NULL : labels[turn];
}

const int64_t *some_rows(world *w, int64_t n, int64_t of) {
  static int64_t rows[4][4 * MOST_ROWS];
  static int turn;
  turn = (turn + 1) % 4;
  for (int64_t i = 0; i < n && i < 4 * MOST_ROWS; i++)
    rows[turn][i] = (i * 7 + fuzz_below(w->in, 2)) % (of > 0 ? of : 1);
  if (wild(w) && n > 0 && n <= 4 * MOST_ROWS) rows[turn][fuzz_below(w->in, n)] = fuzz_size(w->in);
  return wild(w) ? NULL : rows[turn];
}
