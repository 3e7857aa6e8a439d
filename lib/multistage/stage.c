// Closing a stage: cluster its embeddings, say what came of it, and refine the cells for the next.
//
// What a stage report measures, for labels l and training cells c over n rows that have both:
//
//   entropy_given_previous = H(l | c) / log k,  H(l | c) = -sum_c n_c/n sum_l p(l|c) log p(l|c)          (1)
//
// cell_cosine is in cosine.c.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/probe.h>

#include "base/file.h"
#include "base/rng.h"
#include "math/array.h"
#include "multistage/report.h"

char *mcli_embedding_path(const mcl_multistage *l, int32_t stage, int32_t modality) {
  char of_modality[32] = "", of_rank[64] = "", name[128];
  if (modality > 0) snprintf(of_modality, sizeof of_modality, "-modality-%d", (int)modality);
  if (!mcli_comm_is_alone(l->comm))
    snprintf(of_rank, sizeof of_rank, "-rank-%d-of-%d", (int)mcl_comm_rank(l->comm),
             (int)mcl_comm_size(l->comm));
  snprintf(name, sizeof name, "stage-%d%s%s.npy", (int)stage, of_modality, of_rank);
  return mcli_path_join(l->context, l->embedding_directory, name);
}

// ---- the report's figures --------------------------------------------------------------------------------

static double entropy_of(const int64_t *counts, int64_t k, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < k; i++)
    if (counts[i]) sum -= (double)counts[i] * log((double)counts[i] / (double)n);
  return sum;
}

// (1)
static mcl_status conditional_entropy(const mcl_multistage *l, const mcli_cell_order *o,
                                      const int32_t *labels, int32_t k, double *out,
                                      mcl_error *err) {
  *out = (double)NAN;
  if (k < 2) return MCL_OK;
  int64_t *counts = MCLI_NEW0(l->context, int64_t, k), used = 0;
  if (!counts) return mcli_nomem(err, "the stage report");
  double sum = 0;
  for (int64_t cell = 0; cell < o->cells; cell++) {
    int64_t n = 0;
    for (int64_t i = o->first[cell]; i < o->first[cell + 1]; i++) {
      int32_t label = labels[o->rows[i]];
      if (label >= 0) counts[label]++, n++;
    }
    sum += entropy_of(counts, k, n);
    used += n;
    for (int64_t i = o->first[cell]; i < o->first[cell + 1]; i++)
      if (labels[o->rows[i]] >= 0) counts[labels[o->rows[i]]] = 0;
  }
  if (used) *out = sum / (double)used / log((double)k);
  mcli_free(l->context, counts);
  return MCL_OK;
}

// Agreement with the preceding stage over the rows that have a label in both.
static mcl_status nmi_with_previous(const mcl_multistage *l, int32_t m, const int32_t *labels,
                                    double *out, mcl_error *err) {
  *out = (double)NAN;
  const int32_t *before = l->stage ? l->results[l->stage - 1].labels[m] : NULL;
  if (!before) return MCL_OK;
  int32_t *pairs = MCLI_NEW(l->context, int32_t, 2 * l->rows);
  if (!pairs) return mcli_nomem(err, "the stage report");
  int64_t n = 0;
  for (int64_t i = 0; i < l->rows; i++)
    if (labels[i] >= 0 && before[i] >= 0) pairs[n] = labels[i], pairs[l->rows + n++] = before[i];
  mcl_status s = MCL_OK;
  if (n) s = mcl_probe_agreement(l->context, pairs, pairs + l->rows, n, out, NULL, NULL, err);
  mcli_free(l->context, pairs);
  return s;
}

// ---- clustering ------------------------------------------------------------------------------------------

// What could not be put in its place is gone: its rows are to be embedded once more.
static mcl_status commit(mcl_multistage *l, mcli_gather *g, mcl_error *err) {
  mcl_status s = mcl_npy_commit(g->file, err);
  g->committed = s == MCL_OK;
  if (s < 0) {
    mcli_gather_clear(l->context, g);
    mcli_loop_ask_again(l);
  }
  return s;
}

// A file is committed and opened again for reading. Idempotent, so that a cancelled clustering can be asked for again.
static mcl_status reopen(mcl_multistage *l, int32_t m, mcl_error *err) {
  mcli_gather *g = &l->gather[m];
  mcl_npy *file = NULL;
  if (!g->file || g->readable) return MCL_OK;
  char *path = mcli_embedding_path(l, l->stage, m);
  if (!path) return mcli_nomem(err, "a path");
  mcl_status s = g->committed ? MCL_OK : commit(l, g, err);
  if (s == MCL_OK) s = mcl_npy_open(l->context, path, &file, err);
  mcli_free(l->context, path);
  if (s < 0) return s;
  mcl_npy_unref(g->file);
  g->file = file;
  g->readable = true;
  return MCL_OK;
}

// This rank's rows, numbered among all.
typedef struct share {
  mcl_rows held; // by their numbers in the share
  mcl_array view;
  int64_t first;
} share;

static mcl_status read_share(void *user, int64_t first, int64_t n, const mcl_array *out,
                             mcl_error *err) {
  const share *of = user;
  return mcl_rows_read(&of->held, first - of->first, n, out, err);
}

// All rows are there. `dim`: of all ranks, as one without rows does not know it.
static mcl_status open_rows(mcl_multistage *l, int32_t m, int32_t dim, share *of, mcl_rows *rows,
                            mcl_error *err) {
  mcli_gather *g = &l->gather[m];
  mcl_status s = reopen(l, m, err);
  if (s < 0) return s;
  mcl_struct_init(&of->held, sizeof of->held);
  of->first = l->first;
  if (g->file) {
    mcl_npy_rows(g->file, &of->held);
  } else {
    of->view = mcl_matrix_f32(g->z, l->share, dim);
    of->held.array = &of->view;
  }
  mcl_struct_init(rows, sizeof *rows);
  if (mcli_comm_is_alone(l->comm)) return mcli_rows_open(&of->held, "embeddings", rows, err);
  rows->rows = l->rows;
  rows->dim = dim;
  rows->dtype = MCL_F32;
  rows->user = of;
  rows->read = read_share;
  rows->flags = MCL_ROWS_ANY_THREAD;
  return MCL_OK;
}

// What a rank has of a modality: all have embeddings of one dim, or all the same labels.
typedef struct having {
  uint64_t labels; // hash of the host's; 0: none
  int64_t dim;     // 0: no rows
} having;

static mcl_status agree(const mcl_multistage *l, int32_t m, int32_t *dim, mcl_error *err) {
  const mcli_gather *g = &l->gather[m];
  int32_t size = mcl_comm_size(l->comm);
  having mine = {0, g->dim}, *all = MCLI_NEW(l->context, having, size);
  if (g->labels) mine.labels = mcli_hash(g->labels, (uint64_t)l->rows * sizeof *g->labels, 0) | 1;
  mcl_status s = all ? MCL_OK : mcli_nomem(err, "what the ranks have");
  s = mcli_comm_gather(l->comm, s, &mine, all, (int64_t)sizeof mine, err);
  *dim = 0;
  for (int32_t r = 0; r < size && s == MCL_OK; r++) {
    if (all[r].labels != all[0].labels)
      s = mcli_fail(err, MCL_E_MISMATCH, "rank %d has other labels of modality %d than rank 0",
                    (int)r, (int)m);
    else if (*dim && all[r].dim && all[r].dim != *dim)
      s = mcli_fail(err, MCL_E_MISMATCH, "rank %d has embeddings of %d numbers, another has %d",
                    (int)r, (int)all[r].dim, (int)*dim);
    if (all[r].dim) *dim = (int32_t)all[r].dim;
  }
  mcli_free(l->context, all);
  return s;
}

static mcl_status cluster(mcl_multistage *l, int32_t m, const mcl_rows *rows,
                          const mcl_monitor *monitor, int32_t *labels, mcl_stage_report *r,
                          mcl_error *err) {
  mcl_kmeans_options o = l->kmeans;
  o.seed = mcli_rng_derive(l->o.seed, MCLI_RNG_STAGE,
                           (uint64_t)l->stage * MCLI_MAX_MODALITIES + (uint64_t)m);
  mcl_clusterer *k = NULL;
  mcl_clusterer_report report;
  mcl_struct_init(&report, sizeof report);
  mcl_status s = MCL_OK;
  if (l->o.clusterer)
    k = mcl_clusterer_ref(l->o.clusterer);
  else
    s = mcl_clusterer_create_kmeans(l->context, &o, l->comm, &k, err);
  int32_t lent = mcli_comm_lend(l->comm);
  if (s == MCL_OK) s = mcl_clusterer_fit(k, rows, monitor, err);
  if (s == MCL_OK) s = mcl_clusterer_assign(k, rows, monitor, labels, NULL, err);
  mcli_comm_take_back(l->comm, lent);
  if (s == MCL_OK) s = mcl_clusterer_get_report(k, &report, err);
  r->k_effective = report.k_effective;
  r->repairs = report.repairs;
  r->inertia = report.inertia;
  mcl_clusterer_unref(k);
  return s;
}

// Labels and report of one modality, into `result`.
static mcl_status close_modality(mcl_multistage *l, int32_t m, const mcli_cell_order *o,
                                 const mcl_monitor *monitor, mcli_stage_result *result,
                                 mcl_error *err) {
  mcl_stage_report *r = &result->report[m];
  r->modality = m;
  r->inertia = r->cell_cosine = (double)NAN;
  int32_t *labels = MCLI_NEW(l->context, int32_t, l->rows);
  if (!labels) return mcli_nomem(err, "labels");
  result->labels[m] = labels;
  int32_t dim = 0;
  mcl_status s = agree(l, m, &dim, err);
  if (s < 0) return s;
  if (l->gather[m].labels) {
    memcpy(labels, l->gather[m].labels, (size_t)l->rows * sizeof *labels);
    for (int64_t i = 0; i < l->rows; i++)
      if (labels[i] >= r->k_effective) r->k_effective = labels[i] + 1;
  } else {
    mcl_rows rows;
    share of;
    s = open_rows(l, m, dim, &of, &rows, err);
    if (s == MCL_OK) s = cluster(l, m, &rows, monitor, labels, r, err);
    if (s == MCL_OK) s = mcli_cell_cosine(l, o, &rows, &r->cell_cosine, err);
  }
  if (s == MCL_OK) s = nmi_with_previous(l, m, labels, &r->nmi_previous, err);
  if (s == MCL_OK)
    s = conditional_entropy(l, o, labels, r->k_effective, &r->entropy_given_previous, err);
  return s;
}

// What the reports of all modalities share, of the cells that the stage trained in.
static mcl_status report_training(mcl_multistage *l, mcli_cell_order *o, mcl_stage_report *r,
                                  mcl_error *err) {
  mcli_cell_figures f;
  mcl_status s = mcli_cell_figures_find(l, l->sampler, o, &f, err);
  r->stage = l->stage;
  r->epochs = l->epoch;
  r->loss_first = l->tally.loss_first;
  r->loss_last = l->tally.loss_last;
  r->accuracy = l->tally.accuracy_last;
  r->rows_seen = l->stage < l->o.trained_stages ? 0 : f.used;
  r->cells = f.cells;
  r->smallest_cell = f.smallest;
  r->low_cell = f.low;
  r->median_cell = f.median;
  r->high_cell = f.high;
  r->largest_cell = f.largest;
  r->backed_off = f.backed_off;
  r->enough_negatives = f.enough;
  return s == MCL_OK ? mcli_told(l, o, l->stage, &r->told, err) : s;
}

// Likewise, of the cells of the stage to come.
static mcl_status report_next(mcl_multistage *l, const mcl_sampler *next, mcl_stage_report *r,
                              mcl_error *err) {
  mcli_cell_order o;
  mcli_cell_figures f = {0};
  mcl_status s = mcli_cell_order_make(l, next, &o, err);
  if (s == MCL_OK) s = mcli_cell_figures_find(l, next, &o, &f, err);
  if (s == MCL_OK) s = mcli_told(l, &o, 0, &r->told_next, err);
  mcli_cell_order_free(l->context, &o);
  r->next_cells = f.cells;
  r->next_smallest_cell = f.smallest;
  r->next_low_cell = f.low;
  r->next_median_cell = f.median;
  r->next_high_cell = f.high;
  r->next_largest_cell = f.largest;
  r->next_backed_off = f.backed_off;
  r->next_enough_negatives = f.enough;
  return s;
}

// The cells, rows, views and encoders are those of the stage before when it was closed: it was measured then.
static double told_before(const mcl_multistage *l) {
  for (int m = 0; l->stage && m < MCLI_MAX_MODALITIES; m++)
    if (l->results[l->stage - 1].labels[m]) return l->results[l->stage - 1].report[m].told_next;
  return (double)NAN;
}

static void share_report(mcli_stage_result *result, const mcl_stage_report *shared) {
  for (int m = 0; m < MCLI_MAX_MODALITIES; m++) {
    mcl_stage_report *r = &result->report[m], own = *r;
    if (!result->labels[m]) continue;
    *r = *shared;
    r->modality = own.modality;
    r->k_effective = own.k_effective;
    r->repairs = own.repairs;
    r->nmi_previous = own.nmi_previous;
    r->entropy_given_previous = own.entropy_given_previous;
    r->cell_cosine = own.cell_cosine;
    r->inertia = own.inertia;
  }
}

static mcl_status close_into(mcl_multistage *l, const mcl_monitor *monitor,
                             mcli_stage_result *result, mcl_sampler **next, mcl_error *err) {
  mcli_cell_order order;
  mcl_stage_report shared;
  mcl_struct_init(&shared, sizeof shared);
  mcl_status s = mcli_cell_order_make(l, l->sampler, &order, err);
  for (int32_t m = 0; s == MCL_OK && m < l->o.modalities; m++)
    if (l->clustered >> m & 1) s = close_modality(l, m, &order, monitor, result, err);
  if (s == MCL_OK) s = report_training(l, &order, &shared, err);
  mcli_cell_order_free(l->context, &order);
  if (s == MCL_OK) s = mcli_loop_make_sampler(l, l->stage + 1, next, err);
  if (s == MCL_OK) s = report_next(l, *next, &shared, err);
  if (s < 0) return s;
  shared.told_before = told_before(l);
  share_report(result, &shared);
  mcli_advise(result);
  return MCL_OK;
}

mcl_status mcli_stage_close(mcl_multistage *l, const mcl_monitor *monitor, mcl_error *err) {
  mcli_stage_result *result = &l->results[l->stage];
  mcl_sampler *next = NULL;
  mcl_status s = close_into(l, monitor, result, &next, err);
  s = mcli_comm_gather(l->comm, s, NULL, NULL, 0, err); // all ranks go to the next stage, or none
  if (s < 0) {
    mcl_sampler_unref(next);
    mcli_stage_result_clear(l, l->stage);
    return s;
  }
  mcl_sampler_unref(l->sampler);
  l->sampler = next;
  for (int m = 0; m < MCLI_MAX_MODALITIES; m++) mcli_gather_clear(l->context, &l->gather[m]);
  mcli_tally_reset(&l->tally);
  l->stage++;
  l->epoch = 0;
  l->step = 0;
  l->resumed = false;
  l->phase = mcli_loop_is_over(l) ? MCLI_AT_DONE : MCLI_AT_BEGIN;
  return MCL_OK;
}
