// Cells too small to give negatives join others, as near as possible in the tree of stages.
//
// From the last stage up, among the training cells below each parent:
//   while one is smaller than `min` and there is another, the smallest joins the next one  (1)
//   (of equals the lowest number; a joined cell bears the lower number).
// A parent whose only training cell is still too small leaves it to the parent's parent.
//
// (1) needs no full order. The two smallest are both small until at most one small cell is left, so
// a heap of the small ones does; the last of them joins the smallest of the large ones, and that
// happens at most once a parent, so that knowing one large cell is enough. Whole cost O(cells log
// cells) a stage, and nothing above the stage where no small cell is left.
#include "sampler/cells.h"

// Arrays of one value a true cell. Only the lowest cell of a training cell stands for it.
typedef struct joiner {
  int64_t *training; // the caller's
  int64_t *weight;   // rows of the training cell
  int64_t *node;     // the parent, at the level being looked at
  int64_t *large;    // [parents] its smallest training cell that is not small; -1: none
  int64_t *small;    // [parents] list of its small ones, through `next`; -1: end
  int64_t *next;
  int64_t *heap; // training cells, the smallest on top
  int64_t heaped, min;
} joiner;

static int before(const joiner *j, int64_t a, int64_t b) {
  // cppcheck-suppress arrayIndexThenCheck ; the order of a and b decides a tie
  return j->weight[a] < j->weight[b] || (j->weight[a] == j->weight[b] && a < b);
}

static void push(joiner *j, int64_t cell) {
  int64_t i = j->heaped++;
  for (; i > 0 && before(j, cell, j->heap[(i - 1) / 2]); i = (i - 1) / 2)
    j->heap[i] = j->heap[(i - 1) / 2];
  j->heap[i] = cell;
}

static int64_t pop(joiner *j) {
  int64_t top = j->heap[0], last = j->heap[--j->heaped], i = 0;
  for (int64_t child = 1; child < j->heaped; child = 2 * i + 1) {
    if (child + 1 < j->heaped && before(j, j->heap[child + 1], j->heap[child])) child++;
    if (!before(j, j->heap[child], last)) break;
    j->heap[i] = j->heap[child];
    i = child;
  }
  j->heap[i] = last;
  return top;
}

static int64_t join(joiner *j, int64_t a, int64_t b) {
  int64_t lower = a < b ? a : b, other = a < b ? b : a;
  j->training[other] = lower;
  j->weight[lower] += j->weight[other];
  return lower;
}

static void join_below(joiner *j, int64_t parent) { // (1)
  j->heaped = 0;
  for (int64_t f = j->small[parent]; f >= 0; f = j->next[f]) push(j, f);
  while (j->heaped > 1) {
    int64_t smallest = pop(j), both = join(j, smallest, pop(j));
    if (j->weight[both] < j->min)
      push(j, both);
    else if (j->large[parent] < 0 || before(j, both, j->large[parent]))
      j->large[parent] = both;
  }
  if (j->heaped && j->large[parent] >= 0) join(j, pop(j), j->large[parent]);
}

// Goes up to stage s - 1 from stage s, whose cells have the parents `up`: sorts the training cells
// by parent, and returns how many are small.
static int64_t climb(joiner *j, int64_t cells, const int64_t *up, int64_t parents) {
  int64_t smalls = 0;
  for (int64_t p = 0; p < parents; p++) j->large[p] = j->small[p] = -1;
  for (int64_t f = 0; f < cells; f++) {
    if (j->training[f] != f) continue;
    int64_t p = j->node[f] = up[j->node[f]];
    if (j->weight[f] < j->min) {
      j->next[f] = j->small[p];
      j->small[p] = f;
      smalls++;
    } else if (j->large[p] < 0 || before(j, f, j->large[p])) {
      j->large[p] = f;
    }
  }
  return smalls;
}

// The most cells of any stage: more than the last has, where all rows of some were excluded later.
static int64_t widest(const mcli_cells *cells) {
  int64_t most = cells->n > 1 ? cells->n : 1;
  for (int32_t s = 0; s < cells->stages; s++)
    if (cells->count[s] > most) most = cells->count[s];
  return most;
}

mcl_status mcli_cells_back_off(const mcli_cells *cells, int64_t min, int64_t *training,
                               mcl_error *err) {
  int64_t n = cells->n, most = widest(cells);
  int64_t *memory = mcli_alloc(cells->context, 6 * (uint64_t)most, sizeof *memory);
  if (!memory) return mcli_nomem(err, "joining small cells");
  joiner j = {.training = training, .min = min};
  int64_t **arrays[] = {&j.weight, &j.node, &j.large, &j.small, &j.next, &j.heap};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    *arrays[i] = memory + (int64_t)i * most;
  for (int64_t f = 0; f < n; f++) {
    training[f] = j.node[f] = f;
    j.weight[f] = cells->size[f];
  }
  for (int32_t s = cells->stages - 1; s >= 0; s--) {
    int64_t parents = s > 0 ? cells->count[s - 1] : 1;
    if (climb(&j, n, cells->parent[s], parents) == 0) break;
    for (int64_t p = 0; p < parents; p++) join_below(&j, p);
  }
  for (int64_t f = 0; f < n; f++) training[f] = training[training[f]]; // the lower is final already
  mcli_free(cells->context, memory);
  return mcl_ok(err);
}
