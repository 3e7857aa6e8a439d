// Do weights put rows of one label beside each other? Two smooth answers, and the plain one.
//
// c_sij is the cosine of rows i and j in stage s, t_s the logarithm of a weight, P(i) the other rows of i's label; rows with an
// empty P(i) are nobody's anchor but everybody's neighbour. N is the number of anchors.
//
//   s_ij = sum_s exp(2 t_s) c_sij                    inner product of representations           (1)
//   p_ij = exp s_ij / sum over k != i of exp s_ik                                               (2)
//   F    = -1/N sum_i log( sum over j in P(i) of p_ij )             neighbours                  (3)
//   F    = -1/N sum_i 1/|P(i)| sum over j in P(i) of log p_ij       contrastive                 (4)
//   cost = F + penalty sum_s (t_s - mean t)^2 + 1e-4 (log sum_s exp(2 t_s) - log 10)^2          (5)
//   dF/dt_s = 2 exp(2 t_s) / N sum_ij G_ij c_sij                                                (6)
//   G_ij = p_ij - p_ij [j in P(i)] / sum over k in P(i) of p_ik     of (3)
//   G_ij = p_ij - [j in P(i)] / |P(i)|                              of (4)
//
// There is no temperature: the length of all weights together is one, and is fitted with them. Where the rows at hand are told
// apart without a mistake, a longer one is better for ever, until scores have lost all digits: so (5) draws it, weakly, to a
// temperature of 0.1. (4) is convex in the squared weights, so it has one minimum; (3) is not, but asks only that some rows of
// the label are near, not all of them.
//
// The expected number of hits, sum_i sum_j p_ij, was rejected in place of (3): it gives rows up that a first guess has
// wrong, and its weights kept less of a class (docs/design.md has the figures).
//
// A task takes a block of anchors; sums over rows are in double and put together in the order of tasks.
#include "integrator/criterion.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

// Anchors a task. Few rows are the rule, a hundred: blocks of 8 still keep several threads busy.
enum { BLOCK = 8 };
// Of (5). At 100 times the sum of squares it costs .002: less than one row of a hundred at the wrong place.
static const double HOLD = 1e-4;

// ---- memory ----------------------------------------------------------------------------------------------

static bool has_partner(const mcli_criterion *k, int64_t i) {
  for (int64_t j = 0; j < k->rows; j++)
    if (j != i && k->labels[j] == k->labels[i]) return true;
  return false;
}

mcl_status mcli_criterion_open(mcli_criterion *k, mcl_error *err) {
  k->anchors = 0;
  for (int64_t i = 0; i < k->rows; i++) k->anchors += has_partner(k, i);
  k->parts = MCLI_NEW0(k->context, double, (k->stages + 1) * (int64_t)mcli_blocks(k->rows, BLOCK));
  k->scores = MCLI_NEW(k->context, double, (int64_t)mcli_workers(k->context) * k->rows);
  k->squares = MCLI_NEW(k->context, double, k->stages);
  return k->parts && k->scores && k->squares ? MCL_OK : mcli_nomem(err, "the criterion");
}

void mcli_criterion_free(mcli_criterion *k) {
  mcli_free(k->context, k->parts);
  mcli_free(k->context, k->scores);
  mcli_free(k->context, k->squares);
  k->parts = k->scores = k->squares = NULL;
}

// ---- the smooth criterion ----------------------------------------------------------------------------------

// (1) for one anchor.
static void scores_of(const mcli_criterion *k, int64_t i, double *scores) {
  memset(scores, 0, (size_t)k->rows * sizeof *scores);
  for (int32_t s = 0; s < k->stages; s++) {
    const float *c = k->cosines + ((int64_t)s * k->rows + i) * k->rows;
    for (int64_t j = 0; j < k->rows; j++) scores[j] += k->squares[s] * (double)c[j];
  }
}

// Log-sums of all others' scores and of those of i's label; how many the latter are, and the sum of their scores.
typedef struct anchor {
  double all, own, own_sum;
  int64_t partners;
} anchor;

static anchor look(const mcli_criterion *k, int64_t i, const double *scores) {
  double most = -INFINITY, most_own = -INFINITY, all = 0, own = 0;
  anchor a = {.partners = 0};
  for (int64_t j = 0; j < k->rows; j++) {
    if (j == i) continue;
    if (scores[j] > most) most = scores[j];
    if (k->labels[j] != k->labels[i]) continue;
    if (scores[j] > most_own) most_own = scores[j];
    a.own_sum += scores[j];
    a.partners++;
  }
  if (!a.partners) return a;
  for (int64_t j = 0; j < k->rows; j++) {
    if (j == i) continue;
    all += exp(scores[j] - most);
    if (k->labels[j] == k->labels[i]) own += exp(scores[j] - most_own);
  }
  a.all = most + log(all);
  a.own = most_own + log(own);
  return a;
}

// Scores become G_ij (6).
static void residuals(const mcli_criterion *k, int64_t i, const anchor *a, double *scores) {
  for (int64_t j = 0; j < k->rows; j++) {
    double g = exp(scores[j] - a->all);
    if (k->labels[j] == k->labels[i])
      g -= k->kind == MCL_WEIGHTS_NEIGHBOURS ? exp(scores[j] - a->own) : 1 / (double)a->partners;
    scores[j] = j == i ? 0 : g;
  }
}

// A task's part: the sum of F over its anchors, then that of G_ij c_sij by stage.
static void evaluate_task(void *job, uint32_t task, uint32_t worker) {
  const mcli_criterion *k = job;
  double *part = k->parts + (int64_t)task * (k->stages + 1);
  double *scores = k->scores + (int64_t)worker * k->rows;
  int64_t first = (int64_t)task * BLOCK;
  int64_t end = first + BLOCK < k->rows ? first + BLOCK : k->rows;
  memset(part, 0, ((size_t)k->stages + 1) * sizeof *part);
  for (int64_t i = first; i < end; i++) {
    scores_of(k, i, scores);
    anchor a = look(k, i, scores);
    if (!a.partners) continue;
    part[0] += a.all - (k->kind == MCL_WEIGHTS_NEIGHBOURS ? a.own                            // (3)
                                                          : a.own_sum / (double)a.partners); // (4)
    residuals(k, i, &a, scores);
    for (int32_t s = 0; s < k->stages; s++) {
      const float *c = k->cosines + ((int64_t)s * k->rows + i) * k->rows;
      for (int64_t j = 0; j < k->rows; j++) part[1 + s] += scores[j] * (double)c[j];
    }
  }
}

// (5): what the penalties add to the cost and its gradient.
static double penalise(const mcli_criterion *k, const double *theta, double *gradient) {
  double mean = 0, sum = 0, squares = k->squares[0];
  for (int32_t s = 0; s < k->stages; s++) mean += theta[s] / k->stages;
  for (int32_t s = 1; s < k->stages; s++) squares += k->squares[s];
  double longer = log(squares / MCLI_SQUARES_AT_START);
  for (int32_t s = 0; s < k->stages; s++) {
    sum += (theta[s] - mean) * (theta[s] - mean);
    if (gradient)
      gradient[s] +=
          2 * k->penalty * (theta[s] - mean) + 4 * HOLD * longer * k->squares[s] / squares;
  }
  return k->penalty * sum + HOLD * longer * longer;
}

mcl_status mcli_criterion_evaluate(mcli_criterion *k, const double *theta, double *value,
                                   double *cost, double *gradient, mcl_error *err) {
  uint32_t tasks = mcli_blocks(k->rows, BLOCK);
  for (int32_t s = 0; s < k->stages; s++) k->squares[s] = exp(2 * theta[s]);
  mcl_status status = mcli_parallel(k->context, tasks, evaluate_task, k, err);
  *value = 0;
  for (int32_t s = 0; gradient && s < k->stages; s++) gradient[s] = 0;
  for (int64_t t = 0; t < tasks; t++) {
    const double *part = k->parts + t * (k->stages + 1);
    *value += part[0] / (double)k->anchors;
    for (int32_t s = 0; gradient && s < k->stages; s++)
      gradient[s] += 2 * k->squares[s] * part[1 + s] / (double)k->anchors; // (6)
  }
  double more = penalise(k, theta, gradient);
  if (cost) *cost = *value + more;
  return status;
}

// ---- leave one out -----------------------------------------------------------------------------------------

typedef struct voting {
  const mcli_criterion *criterion;
  int32_t k;
  int64_t *nearest; // [workers, k], sorted: the most alike first, lower rows first among equals
  double *lengths;  // [rows]: of representations
  int64_t *correct; // [tasks]
} voting;

// Scores become cosines; a row without length has cosine 0 with everything.
static void cosines_of(const voting *v, int64_t i, double *scores) {
  scores_of(v->criterion, i, scores);
  for (int64_t j = 0; j < v->criterion->rows; j++) {
    double length = v->lengths[i] * v->lengths[j];
    scores[j] = length > 0 ? scores[j] / length : 0;
  }
}

static int64_t find_nearest(const voting *v, int64_t i, const double *cosines, int64_t *nearest) {
  int64_t n = 0;
  for (int64_t j = 0; j < v->criterion->rows; j++) {
    if (j == i || (n == v->k && !(cosines[j] > cosines[nearest[n - 1]]))) continue;
    int64_t at = n < v->k ? n++ : n - 1;
    for (; at > 0 && cosines[nearest[at - 1]] < cosines[j]; at--) nearest[at] = nearest[at - 1];
    nearest[at] = j;
  }
  return n;
}

// The label with the most votes, that of the nearest voter among equals.
static int32_t vote(const int32_t *labels, const int64_t *nearest, int64_t n) {
  int64_t best = 0, most = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t votes = 0;
    for (int64_t j = 0; j < n; j++) votes += labels[nearest[j]] == labels[nearest[i]];
    if (votes > most) most = votes, best = i;
  }
  return labels[nearest[best]];
}

static void vote_task(void *job, uint32_t task, uint32_t worker) {
  const voting *v = job;
  const mcli_criterion *k = v->criterion;
  double *cosines = k->scores + (int64_t)worker * k->rows;
  int64_t *nearest = v->nearest + (int64_t)worker * v->k;
  int64_t first = (int64_t)task * BLOCK;
  int64_t end = first + BLOCK < k->rows ? first + BLOCK : k->rows;
  v->correct[task] = 0;
  for (int64_t i = first; i < end; i++) {
    cosines_of(v, i, cosines);
    int64_t n = find_nearest(v, i, cosines, nearest);
    v->correct[task] += vote(k->labels, nearest, n) == k->labels[i];
  }
}

static void measure_lengths(const voting *v) {
  const mcli_criterion *k = v->criterion;
  for (int64_t i = 0; i < k->rows; i++) {
    double squares = 0;
    for (int32_t s = 0; s < k->stages; s++)
      squares += k->squares[s] * (double)k->cosines[((int64_t)s * k->rows + i) * k->rows + i];
    v->lengths[i] = sqrt(squares);
  }
}

mcl_status mcli_leave_one_out(mcli_criterion *c, const double *theta, int32_t k, int64_t *correct,
                              mcl_error *err) {
  mcl_context *x = c->context;
  uint32_t tasks = mcli_blocks(c->rows, BLOCK);
  voting v = {.criterion = c, .k = k < c->rows - 1 ? k : (int32_t)(c->rows - 1)};
  v.nearest = MCLI_NEW(x, int64_t, (int64_t)mcli_workers(x) * v.k);
  v.lengths = MCLI_NEW(x, double, c->rows);
  v.correct = MCLI_NEW(x, int64_t, tasks);
  mcl_status status = MCL_OK;
  if (!v.nearest || !v.lengths || !v.correct) status = mcli_nomem(err, "the votes");
  // Cosines do not depend on a common factor: the largest weight is 1, so nothing overflows.
  double largest = theta[0];
  for (int32_t s = 1; s < c->stages; s++) largest = fmax(largest, theta[s]);
  for (int32_t s = 0; s < c->stages; s++) c->squares[s] = exp(2 * (theta[s] - largest));
  if (status == MCL_OK) measure_lengths(&v);
  if (status == MCL_OK) status = mcli_parallel(x, tasks, vote_task, &v, err);
  *correct = 0;
  for (int64_t t = 0; status == MCL_OK && t < tasks; t++) *correct += v.correct[t];
  mcli_free(x, v.nearest);
  mcli_free(x, v.lengths);
  mcli_free(x, v.correct);
  return status;
}
