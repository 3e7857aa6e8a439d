// Addition in floating point depends on its order, so the order is fixed: leaves are the segments of all
// ranks, and two nodes are added when they are each other's sibling,
//
//   node(l, i) = node(l - 1, 2 i) + node(l - 1, 2 i + 1)                              (1)
//
// and what is left over when the number of segments is no power of two from right to left. A rank has
// segments that follow each other: it adds what (1) allows among them, at most two nodes of a level are
// left, and every rank adds those of all. A running sum, which is what one process would do by
// itself, would need all 64 segments' sums at one place.
//
// Late passes move few rows: only clusters that some rank has touched are sent.
#include "clusterer/tree.h"

#include <string.h>

// Clusters are shared out in a fixed number of parts. Numbers sent at once, of all ranks.
enum { PARTS = 16, ROUND = 1 << 20 };

mcl_status mcli_sums_open(mcl_context *c, int32_t k, int32_t dim, mcli_sums *s, mcl_error *err) {
  s->sums = MCLI_NEW0(c, double, (int64_t)k *dim);
  s->touched = MCLI_NEW0(c, uint8_t, k);
  return s->sums && s->touched ? MCL_OK : mcli_nomem(err, "the sums of clusters");
}

void mcli_sums_close(mcl_context *c, mcli_sums *s) {
  mcli_free(c, s->sums);
  mcli_free(c, s->touched);
  memset(s, 0, sizeof *s);
}

static int are_siblings(const mcli_node *left, const mcli_node *right) {
  return left->level == right->level && left->index % 2 == 0 && right->index == left->index + 1;
}

static mcli_node parent_of(const mcli_node *left) {
  return (mcli_node){left->level + 1, left->index / 2, left->at};
}

// The nodes of a range of segments, and the most that were held at one time.
static int32_t nodes_of(uint32_t first, uint32_t segments, mcli_node *nodes, int32_t *most) {
  int32_t n = 0;
  *most = 0;
  for (uint32_t i = first; i < first + segments; i++) {
    mcli_node node = {0, (int32_t)i, {NULL, NULL}};
    while (n > 0 && are_siblings(&nodes[n - 1], &node)) node = parent_of(&nodes[--n]);
    nodes[n++] = node;
    if (n > *most) *most = n;
  }
  return n;
}

int32_t mcli_tree_depth(const mcli_grid *g) {
  mcli_node nodes[MCLI_TREE_NODES];
  int32_t most;
  nodes_of(g->first, g->n, nodes, &most);
  return most;
}

mcl_status mcli_tree_open(mcl_context *c, mcl_comm *comm, const mcli_grid *g, int32_t k,
                          int32_t dim, mcli_tree *t, mcl_error *err) {
  memset(t, 0, sizeof *t);
  t->context = c;
  t->comm = comm;
  t->grid = *g;
  t->k = k;
  t->dim = dim;
  int64_t note = (int64_t)sizeof(int64_t) + k;
  t->counts = MCLI_NEW0(c, int64_t, k);
  t->touched = MCLI_NEW0(c, uint8_t, note);
  t->all = MCLI_NEW(c, uint8_t, mcli_comm_is_alone(comm) ? 0 : note * mcl_comm_size(comm));
  mcl_status s = t->counts && t->touched && t->all ? MCL_OK : mcli_nomem(err, "sums of clusters");
  for (int32_t i = mcli_tree_depth(g); i > 0 && s == MCL_OK; i--)
    s = mcli_sums_open(c, k, dim, &t->spare[t->n_spare++], err);
  return s;
}

void mcli_tree_close(mcl_context *c, mcli_tree *t) {
  for (int32_t i = 0; i < t->n; i++) mcli_sums_close(c, &t->nodes[i].at);
  for (int32_t i = 0; i < t->n_spare; i++) mcli_sums_close(c, &t->spare[i]);
  mcli_free(c, t->counts);
  mcli_free(c, t->touched);
  mcli_free(c, t->all);
  memset(t, 0, sizeof *t);
}

// ---- within a rank ------------------------------------------------------------------------------

// To be made by mcli_tree_add, in this order; `from` is zero then.
static void put_off(mcli_tree *t, const mcli_sums *to, const mcli_sums *from) {
  t->additions[t->n_additions++] = (mcli_addition){*to, *from};
}

void mcli_tree_push(mcli_tree *t, uint32_t segment, mcli_sums *leaf) {
  mcli_node node = {0, (int32_t)segment, *leaf};
  *leaf = (mcli_sums){NULL, NULL};
  while (t->n > 0 && are_siblings(&t->nodes[t->n - 1], &node)) {
    const mcli_node *left = &t->nodes[--t->n];
    put_off(t, &left->at, &node.at);
    t->spare[t->n_spare++] = node.at;
    node = parent_of(left);
  }
  t->nodes[t->n++] = node;
  *leaf = t->spare[--t->n_spare];
}

static void add_row(double *to, const double *from, int64_t n) {
  for (int64_t d = 0; d < n; d++) to[d] += from[d];
}

static void add_part(void *job, uint32_t task, uint32_t worker) {
  const mcli_tree *t = job;
  int64_t dim = t->dim, first, n;
  (void)worker;
  mcli_part(t->k, PARTS, task, &first, &n);
  for (int32_t i = 0; i < t->n_additions; i++) {
    const mcli_addition *a = &t->additions[i];
    for (int64_t j = first; j < first + n; j++) {
      if (!a->from.touched[j]) continue;
      add_row(a->to.sums + j * dim, a->from.sums + j * dim, dim);
      memset(a->from.sums + j * dim, 0, (size_t)dim * sizeof *a->from.sums);
      a->from.touched[j] = 0;
      a->to.touched[j] = 1;
    }
  }
}

mcl_status mcli_tree_add(mcli_tree *t, mcl_error *err) {
  mcl_status s = mcli_parallel(t->context, PARTS, add_part, t, err);
  t->n_additions = 0;
  return s;
}

// ---- over ranks ---------------------------------------------------------------------------------

// One of all ranks' nodes goes into another.
typedef struct pair {
  int32_t to, from;
} pair;

// Every rank's nodes, those of rank 0 first. What is added to what is the same for every cluster.
typedef struct meeting {
  pair *pairs;          // [n - 1], in this order; all end in node 0
  int64_t *place;       // [n]: where a node's sums of a round's first cluster lie in recv
  double *send, *recv;  // [round, width], [ranks, round, width]
  int64_t width, round; // numbers of a cluster: most nodes of a rank, [dim] each, and its count
  int32_t n;
} meeting;

static void close_meeting(mcl_context *c, meeting *m) {
  mcli_free(c, m->pairs);
  mcli_free(c, m->place);
  mcli_free(c, m->send);
  mcli_free(c, m->recv);
}

// (1), and the rest from right to left: nodes [n] are used up, and at [n] gets their numbers.
static void plan_pairs(mcli_node *nodes, int32_t *at, int32_t n, pair *pairs) {
  int32_t held = 0, found = 0;
  for (int32_t i = 0; i < n; i++) {
    mcli_node node = nodes[i];
    int32_t number = i;
    while (held > 0 && are_siblings(&nodes[held - 1], &node)) {
      node = parent_of(&nodes[--held]);
      pairs[found++] = (pair){at[held], number};
      number = at[held];
    }
    at[held] = number;
    nodes[held++] = node;
  }
  for (; held > 1; held--) pairs[found++] = (pair){at[held - 2], at[held - 1]};
}

// All ranks' nodes, and whose they are.
static int32_t nodes_of_all(const mcli_tree *t, mcli_node *nodes, int32_t *owner, int32_t *most) {
  int32_t n = 0, held;
  *most = 0;
  for (int32_t r = 0; r < mcl_comm_size(t->comm); r++) {
    uint32_t first, segments;
    mcli_grid_segments(&t->grid, mcl_comm_size(t->comm), r, &first, &segments);
    int32_t many = nodes_of(first, segments, nodes + n, &held);
    for (int32_t i = 0; i < many; i++) owner[n++] = r;
    if (many > *most) *most = many;
  }
  return n;
}

static void open_rounds(const mcli_tree *t, meeting *m, const int32_t *owner, int32_t most) {
  int32_t size = mcl_comm_size(t->comm);
  m->width = (int64_t)most * t->dim + 1;
  m->round = ROUND / (m->width * size);
  if (m->round > t->k) m->round = t->k;
  if (m->round < 1) m->round = 1;
  for (int32_t i = 0, of_rank = 0; i < m->n; i++) {
    of_rank = i > 0 && owner[i] == owner[i - 1] ? of_rank + 1 : 0;
    m->place[i] = owner[i] * m->round * m->width + (int64_t)of_rank * t->dim;
  }
  m->send = MCLI_NEW0(t->context, double, m->round * m->width);
  m->recv = MCLI_NEW(t->context, double, m->round * m->width * size);
}

static mcl_status open_meeting(const mcli_tree *t, meeting *m, mcl_error *err) {
  mcl_context *c = t->context;
  int32_t all = mcl_comm_size(t->comm) * MCLI_TREE_NODES, most;
  memset(m, 0, sizeof *m);
  mcli_node *nodes = MCLI_NEW(c, mcli_node, all);
  int32_t *numbers = MCLI_NEW(c, int32_t, all); // owners, then what is left of the nodes
  m->pairs = MCLI_NEW(c, pair, all);
  m->place = MCLI_NEW(c, int64_t, all);
  if (nodes && numbers && m->pairs && m->place) {
    m->n = nodes_of_all(t, nodes, numbers, &most);
    open_rounds(t, m, numbers, most);
    plan_pairs(nodes, numbers, m->n, m->pairs);
  }
  mcli_free(c, nodes);
  mcli_free(c, numbers);
  return m->send && m->recv ? MCL_OK : mcli_nomem(err, "sums of all ranks");
}

// Who has touched which clusters; *changed as of all ranks. t->touched: those of any rank.
static mcl_status tell(mcli_tree *t, mcl_status s, int64_t *changed, mcl_error *err) {
  enum { HEAD = sizeof *changed };
  int64_t note = HEAD + t->k;
  memcpy(t->touched, changed, HEAD);
  memset(t->touched + HEAD, 0, (size_t)t->k);
  for (int32_t i = 0; i < t->n; i++)
    for (int32_t j = 0; j < t->k; j++) t->touched[HEAD + j] |= t->nodes[i].at.touched[j];
  s = mcli_comm_gather(t->comm, s, t->touched, t->all, note, err);
  if (s < 0) return s;
  *changed = 0;
  for (int32_t r = 0; r < mcl_comm_size(t->comm); r++) {
    int64_t theirs;
    const uint8_t *from = t->all + r * note;
    memcpy(&theirs, from, HEAD);
    *changed += theirs;
    for (int32_t j = 0; j < t->k; j++) t->touched[HEAD + j] |= from[HEAD + j];
  }
  return MCL_OK;
}

// This rank's sums of a cluster go, and are zero.
static void take_out(mcli_tree *t, int64_t j, int64_t width, double *to) {
  size_t bytes = (size_t)t->dim * sizeof *to;
  for (int32_t i = 0; i < t->n; i++) {
    double *from = t->nodes[i].at.sums + j * t->dim;
    memcpy(to + (int64_t)i * t->dim, from, bytes);
    memset(from, 0, bytes);
    t->nodes[i].at.touched[j] = 0;
  }
  to[width - 1] = (double)t->counts[j]; // whole, and below 2^53
  t->counts[j] = 0;
}

// Cluster i of the round, of all ranks.
static void put_in(const mcli_tree *t, const meeting *m, int64_t i, double *sum, int64_t *count) {
  double *all = m->recv + i * m->width;
  for (int32_t r = 0; r < mcl_comm_size(t->comm); r++)
    *count += (int64_t)all[r * m->round * m->width + m->width - 1];
  for (int32_t p = 0; p + 1 < m->n; p++)
    add_row(all + m->place[m->pairs[p].to], all + m->place[m->pairs[p].from], t->dim);
  if (m->n > 0) add_row(sum, all + m->place[0], t->dim);
}

static mcl_status exchange(mcli_tree *t, meeting *m, double *sums, int64_t *counts,
                           mcl_error *err) {
  enum { HEAD = sizeof(int64_t) };
  mcl_status s = MCL_OK;
  for (int32_t j = 0, next; j < t->k && s == MCL_OK; j = next) {
    int64_t n = 0;
    for (next = j; next < t->k && n < m->round; next++)
      if (t->touched[HEAD + next]) take_out(t, next, m->width, m->send + n++ * m->width);
    if (n == 0) break;
    s = mcli_comm_gather(t->comm, s, m->send, m->recv, m->round * m->width * HEAD, err);
    n = 0;
    for (int32_t i = j; i < next && s == MCL_OK; i++)
      if (t->touched[HEAD + i]) put_in(t, m, n++, sums + (int64_t)i * t->dim, &counts[i]);
  }
  return s;
}

static mcl_status finish_alone(mcli_tree *t, double *sums, int64_t *counts, mcl_error *err) {
  mcli_sums to = {sums, t->touched};
  for (; t->n > 1; t->n--) {
    put_off(t, &t->nodes[t->n - 2].at, &t->nodes[t->n - 1].at);
    t->spare[t->n_spare++] = t->nodes[t->n - 1].at;
  }
  if (t->n == 1) {
    put_off(t, &to, &t->nodes[0].at);
    t->spare[t->n_spare++] = t->nodes[--t->n].at;
  }
  for (int32_t j = 0; j < t->k; j++) counts[j] += t->counts[j], t->counts[j] = 0;
  return mcli_tree_add(t, err);
}

mcl_status mcli_tree_finish(mcli_tree *t, mcl_status s, double *sums, int64_t *counts,
                            int64_t *changed, mcl_error *err) {
  if (mcli_comm_is_alone(t->comm)) return s < 0 ? s : finish_alone(t, sums, counts, err);
  meeting m;
  mcl_status opened = open_meeting(t, &m, s < 0 ? NULL : err);
  s = tell(t, s < 0 ? s : opened, changed, err);
  if (s == MCL_OK) s = exchange(t, &m, sums, counts, err);
  close_meeting(t->context, &m);
  while (t->n > 0) t->spare[t->n_spare++] = t->nodes[--t->n].at;
  return s;
}
