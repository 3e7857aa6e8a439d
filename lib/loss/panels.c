// Rows into panels and gradients out of them. Gradients go through the normalisation u = z / |z|:
//
//   dL/dz = (dL/du - <dL/du, u> u) / |z|                                           (1)
//
// A panel is a task of its own, but for the writing of results: a host's threads may fail in the middle, and no output is to
// change then.
#include <float.h>
#include <string.h>

#include "loss/contrast.h"
#include "math/array.h"
#include "math/blocks.h"
#include "math/rows.h"

enum { PANEL = MCLI_CONTRAST_PANEL };

typedef struct job {
  mcl_context *context;
  mcli_side *side;
  const mcl_array *const *z;
  float *scratch; // a worker's rows [2, 16, dim]
} job;

static float *rows_of(const job *j, uint32_t worker) {
  return j->scratch + (int64_t)worker * 2 * PANEL * j->side->dim;
}

static mcl_status run(job *j, mcl_task_fn task, mcl_error *err) {
  mcl_context *c = j->context;
  j->scratch = MCLI_NEW(c, float, (int64_t)mcli_workers(c) * 2 * PANEL * j->side->dim);
  if (!j->scratch) return mcli_nomem(err, "the loss");
  mcl_status s = mcli_parallel(c, (uint32_t)j->side->n_panels, task, j, err);
  mcli_free(c, j->scratch);
  return s;
}

// ---- in ----------------------------------------------------------------------------------------

// The row at a place, by the caller's number; and that number if it is not finite, else `bad`, or the lower one.
static int64_t load_row(const job *j, int64_t place, int64_t bad, float *out) {
  int64_t row = j->side->keys[place].row, of_a_view = j->side->of_a_view;
  mcli_array_load(j->z[row / of_a_view], row % of_a_view, 1, out);
  if (mcli_first_not_finite(out, 1, j->side->dim) < 0) return bad;
  return bad < 0 || row < bad ? row : bad;
}

static void load_task(void *user, uint32_t task, uint32_t worker) {
  const job *j = user;
  const mcli_side *s = j->side;
  mcli_panel *p = &s->panels[task];
  float *rows = rows_of(j, worker);
  int64_t dim = s->dim, size = PANEL * dim;
  for (int64_t i = 0; i < p->n; i++) p->bad = load_row(j, p->first + i, p->bad, rows + i * dim);
  memset(rows + p->n * dim, 0, (size_t)((PANEL - p->n) * dim) * sizeof *rows);
  if (s->norms) mcli_normalise(j->context, rows, p->n, dim, rows, s->norms + p->first);
  mcli_panel_pack(rows, dim, s->u + task * size);
  if (s->d) memset(s->d + task * size, 0, (size_t)size * sizeof *s->d);
}

// The first row of all that is not finite, -1: none. Rows without a panel are looked at for that alone.
static int64_t find_bad(const job *j, float *row) {
  const mcli_side *s = j->side;
  int64_t bad = -1, place = 0;
  for (const mcli_panel *p = s->panels; p < s->panels + s->n_panels; place = p->first + p->n, p++) {
    for (; place < p->first; place++) bad = load_row(j, place, bad, row);
    if (p->bad >= 0 && (bad < 0 || p->bad < bad)) bad = p->bad;
  }
  for (; place < s->n; place++) bad = load_row(j, place, bad, row);
  return bad;
}

mcl_status mcli_panels_load(mcl_context *c, mcli_side *s, const mcl_array *const *z,
                            const char *const *names, bool gradient, mcl_error *err) {
  int64_t size = s->n_panels * PANEL * s->dim, bad = -1;
  s->u = MCLI_NEW(c, float, size);
  if (gradient) s->d = MCLI_NEW(c, float, size + s->dim);
  if (s->d) memset(s->d + size, 0, (size_t)s->dim * sizeof *s->d);
  float *row = MCLI_NEW(c, float, s->dim);
  job j = {.context = c, .side = s, .z = z};
  mcl_status status = s->u && (!gradient || s->d) && row ? MCL_OK : mcli_nomem(err, "the loss");
  if (status == MCL_OK) status = run(&j, load_task, err);
  if (status == MCL_OK) bad = find_bad(&j, row);
  mcli_free(c, row);
  if (status < 0 || bad < 0) return status;
  return mcli_fail_row(err, MCL_E_NOT_FINITE, bad % s->of_a_view, "%s's row %lld is not finite",
                       names[bad / s->of_a_view], (long long)(bad % s->of_a_view));
}

// ---- out ---------------------------------------------------------------------------------------

// A zero row has no direction to turn: its gradient is 0. The inverse of a row shorter than any
// normal float is not a float.
static void divide(const mcli_rows_kernels *kernels, float *d, int64_t dim, float norm) {
  if (norm >= FLT_MIN || norm == 0)
    kernels->scale(norm > 0 ? 1 / norm : 0, d, dim);
  else
    for (int64_t j = 0; j < dim; j++) d[j] /= norm;
}

// (1); what was a panel is then rows [16, dim].
static void finish_task(void *user, uint32_t task, uint32_t worker) {
  const job *j = user;
  const mcli_side *s = j->side;
  const mcli_rows_kernels *kernels = mcli_rows_kernels_of(j->context);
  mcli_panel *p = &s->panels[task];
  int64_t dim = s->dim, size = PANEL * dim;
  float *u = rows_of(j, worker), *d = u + size, *panel = s->d + task * size;
  mcli_panel_unpack(s->u + task * size, dim, u);
  mcli_panel_unpack(panel, dim, d);
  p->along = 0;
  for (int64_t i = 0; i < p->n; i++) {
    float along = kernels->dot(u + i * dim, d + i * dim, dim);
    p->along += (double)along;
    if (!s->norms) continue;
    kernels->axpy(-along, u + i * dim, d + i * dim, dim);
    divide(kernels, d + i * dim, dim, s->norms[p->first + i]);
  }
  memcpy(panel, d, (size_t)size * sizeof *d);
}

mcl_status mcli_panels_finish(mcl_context *c, mcli_side *s, double *along, mcl_error *err) {
  job j = {.context = c, .side = s};
  mcl_status status = run(&j, finish_task, err);
  *along = 0;
  for (int64_t p = 0; status == MCL_OK && p < s->n_panels; p++) *along += s->panels[p].along;
  return status;
}

static void store_rows(const mcli_side *s, const mcl_array *const *dz, int64_t place, int64_t n,
                       const float *rows, int64_t stride) {
  for (int64_t i = 0; i < n; i++) {
    int64_t row = s->keys[place + i].row;
    const mcl_array *to = dz[row / s->of_a_view];
    if (to) mcli_array_store(to, row % s->of_a_view, 1, rows + i * stride);
  }
}

void mcli_panels_store(const mcli_side *s, const mcl_array *const *dz) {
  const float *zeros = s->d + s->n_panels * PANEL * s->dim;
  int64_t place = 0;
  for (int64_t at = 0; at < s->n_panels; at++) {
    const mcli_panel *p = &s->panels[at];
    store_rows(s, dz, place, p->first - place, zeros, 0);
    store_rows(s, dz, p->first, p->n, s->d + at * PANEL * s->dim, s->dim);
    place = p->first + p->n;
  }
  store_rows(s, dz, place, s->n - place, zeros, 0);
}
