// The loop as a sequence of events.
//
//   BEGIN -> TRAIN x (epochs x steps) -> EMBED until no row is missing -> [cluster] END -> the next stage's BEGIN
//
// Without TRAIN where a stage comes trained. The place (stage, epoch, step) is that of the next batch to hand out; there is no
// other state in training, because a batch is a function of the place (sampler.h). So seeking and resuming are assignments.
#include <string.h>

#include "math/array.h"
#include "multistage/multistage.h"

// ---- gathering embeddings ------------------------------------------------------------------------------

void mcli_gather_clear(mcl_context *c, mcli_gather *g) {
  mcli_free(c, g->z);
  mcli_free(c, g->have);
  mcli_free(c, g->labels);
  mcl_npy_unref(g->file);
  memset(g, 0, sizeof *g);
}

static bool is_gathered(const mcl_multistage *l, int32_t m) {
  const mcli_gather *g = &l->gather[m];
  if (l->share == 0) return g->labels || g->asked;
  return g->labels || (g->dim && g->missing == 0);
}

static mcl_status gather_begin(mcl_multistage *l, int32_t m, int32_t dim, mcl_error *err) {
  mcli_gather *g = &l->gather[m], fresh = {.missing = l->share, .dim = dim};
  int64_t n;
  if (!mcli_mul(l->share, dim, &n)) return mcli_nomem(err, "the embeddings");
  mcl_status s = MCL_OK;
  fresh.have = MCLI_NEW0(l->context, unsigned char, l->share);
  if (!fresh.have) s = mcli_nomem(err, "the embeddings");
  if (s == MCL_OK && l->embedding_directory) {
    char *path = mcli_embedding_path(l, l->stage, m);
    s = path ? mcl_npy_create(l->context, path, MCL_F32, l->share, dim, &fresh.file, err)
             : mcli_nomem(err, "a path");
    mcli_free(l->context, path);
  } else if (s == MCL_OK && !(fresh.z = MCLI_NEW(l->context, float, n))) {
    s = mcli_nomem(err, "the embeddings");
  }
  if (s < 0)
    mcli_gather_clear(l->context, &fresh);
  else
    *g = fresh;
  return s;
}

static mcl_status check_indices(const mcl_multistage *l, const int64_t *indices, int64_t n,
                                mcl_error *err) {
  if (n < 0) return mcli_fail(err, MCL_E_INVALID, "n is %lld", (long long)n);
  if (n && !indices) return mcli_fail(err, MCL_E_INVALID, "indices is NULL");
  for (int64_t i = 0; i < n; i++) {
    if (indices[i] < 0 || indices[i] >= l->rows)
      return mcli_fail_row(err, MCL_E_LIMIT, i, "indices[%lld] is %lld, there are %lld rows",
                           (long long)i, (long long)indices[i], (long long)l->rows);
    if (indices[i] < l->first || indices[i] >= l->first + l->share)
      return mcli_fail_row(err, MCL_E_LIMIT, i,
                           "indices[%lld] is %lld: rank %d embeds %lld rows from %lld on",
                           (long long)i, (long long)indices[i], (int)mcl_comm_rank(l->comm),
                           (long long)l->share, (long long)l->first);
  }
  return MCL_OK;
}

static mcl_status check_put(const mcl_multistage *l, int32_t modality, mcl_error *err) {
  if (modality < 0 || modality >= l->o.modalities || !(l->clustered >> modality & 1))
    return mcli_fail(err, MCL_E_INVALID, "modality %d is not clustered", (int)modality);
  if (l->phase != MCLI_AT_EMBED)
    return mcli_fail(err, MCL_E_STATE, "no embeddings are wanted before MCL_EMBED_ROWS");
  return MCL_OK;
}

// Consecutive rows go to the file in one write.
static mcl_status store_rows(const mcl_multistage *l, mcli_gather *g, const int64_t *indices,
                             int64_t n, const float *rows, mcl_error *err) {
  for (int64_t i = 0; i < n;) {
    int64_t run = 1;
    while (i + run < n && indices[i + run] == indices[i] + run) run++;
    const float *from = rows + i * g->dim;
    int64_t to = indices[i] - l->first;
    if (g->z) {
      memcpy(g->z + to * g->dim, from, (size_t)(run * g->dim) * sizeof *from);
    } else {
      mcl_array a = mcl_matrix_f32((float *)(uintptr_t)from, run, g->dim);
      mcl_status s = mcl_npy_write(g->file, to, &a, err);
      if (s < 0) return s;
    }
    for (int64_t k = to; k < to + run; k++) {
      g->missing -= !g->have[k];
      g->have[k] = 1;
    }
    i += run;
  }
  return MCL_OK;
}

mcl_status mcli_loop_put(mcl_multistage *l, int32_t modality, const int64_t *indices, int64_t n,
                         const mcl_array *z, mcl_error *err) {
  mcl_status s = check_put(l, modality, err);
  if (s == MCL_OK) s = check_indices(l, indices, n, err);
  mcli_gather *g = &l->gather[modality < 0 ? 0 : modality];
  if (s == MCL_OK) s = mcli_matrix_check(z, "z", n, g->dim ? g->dim : -1, err);
  if (s < 0 || n == 0) return s;
  if (z->shape[1] < 1 || z->shape[1] > INT32_MAX)
    return mcli_fail(err, MCL_E_SHAPE, "z has %lld columns", (long long)z->shape[1]);
  if (g->committed) return mcli_fail(err, MCL_E_STATE, "all rows of this stage have been put");
  int32_t dim = (int32_t)z->shape[1];
  const float *rows = mcli_array_plain(z, 0);
  float *copy = NULL;
  if (!rows) {
    rows = copy = MCLI_NEW(l->context, float, n *dim);
    if (!copy) return mcli_nomem(err, "embeddings");
    mcli_array_load(z, 0, n, copy);
  }
  int64_t bad = mcli_first_not_finite(rows, n, dim);
  if (bad >= 0)
    s = mcli_fail_row(err, MCL_E_NOT_FINITE, bad, "z's row %lld (dataset row %lld) is not finite",
                      (long long)bad, (long long)indices[bad]);
  if (s == MCL_OK && g->dim == 0) s = gather_begin(l, modality, dim, err);
  if (s == MCL_OK) s = store_rows(l, g, indices, n, rows, err);
  mcli_free(l->context, copy);
  return s;
}

mcl_status mcl_multistage_put_embeddings(mcl_multistage *l, int32_t modality,
                                         const int64_t *indices, int64_t n, const mcl_array *z,
                                         mcl_error *err) {
  if (!l) return mcli_fail(err, MCL_E_INVALID, "loop is NULL");
  mcl_status s = mcli_guard_enter(&l->guard, "loop", err);
  if (s < 0) return s;
  s = mcli_loop_put(l, modality, indices, n, z, err);
  mcli_guard_leave(&l->guard);
  return s < 0 ? s : mcl_ok(err);
}

static mcl_status put_labels(mcl_multistage *l, int32_t modality, const int32_t *labels, int64_t n,
                             mcl_error *err) {
  mcl_status s = check_put(l, modality, err);
  if (s < 0) return s;
  if (!labels) return mcli_fail(err, MCL_E_INVALID, "labels is NULL");
  if (n != l->rows)
    return mcli_fail(err, MCL_E_SHAPE, "n is %lld, the loop has %lld rows", (long long)n,
                     (long long)l->rows);
  for (int64_t i = 0; i < n; i++)
    if (labels[i] < -1)
      return mcli_fail_row(err, MCL_E_INVALID, i, "labels[%lld] is %d, below -1", (long long)i,
                           (int)labels[i]);
  int32_t *copy = MCLI_NEW(l->context, int32_t, n);
  if (!copy) return mcli_nomem(err, "labels");
  memcpy(copy, labels, (size_t)n * sizeof *copy);
  mcli_gather_clear(l->context, &l->gather[modality]);
  l->gather[modality].labels = copy;
  return MCL_OK;
}

mcl_status mcl_multistage_put_labels(mcl_multistage *l, int32_t modality, const int32_t *labels,
                                     int64_t n, mcl_error *err) {
  if (!l) return mcli_fail(err, MCL_E_INVALID, "loop is NULL");
  mcl_status s = mcli_guard_enter(&l->guard, "loop", err);
  if (s < 0) return s;
  s = put_labels(l, modality, labels, n, err);
  mcli_guard_leave(&l->guard);
  return s < 0 ? s : mcl_ok(err);
}

// ---- events --------------------------------------------------------------------------------------------

static void embed_modality_begin(mcl_multistage *l, int32_t m) {
  l->embed_modality = m;
  l->embed_next = 0;
  l->embed_missing = l->gather[m].dim ? l->gather[m].missing : l->share;
}

// The first modality that still misses rows, or -1.
static int32_t find_missing(const mcl_multistage *l) {
  for (int32_t m = 0; m < l->o.modalities; m++)
    if (l->clustered >> m & 1 && !is_gathered(l, m)) return m;
  return -1;
}

// A rank without rows is told all the same, once: its host may put labels instead.
static mcl_status ask_for_none(mcli_gather *g, mcl_batch *b) {
  g->asked = true;
  b->step = 0;
  b->steps = 1;
  return MCL_OK;
}

// The next missing rows of this rank in ascending order; embed_next counts from its first one. A pass that brought none
// means that the host does not answer.
static mcl_status ask_rows(mcl_multistage *l, int32_t m, mcl_batch *b, mcl_error *err) {
  if (l->share == 0) return ask_for_none(&l->gather[m], b);
  if (m != l->embed_modality) embed_modality_begin(l, m);
  const mcli_gather *g = &l->gather[m];
  for (int pass = 0; pass < 2; pass++) {
    int64_t n = 0, row = l->embed_next;
    for (; row < l->share && n < b->capacity; row++)
      if (!g->have || !g->have[row]) b->indices[n++] = l->first + row;
    if (n) {
      b->n = n;
      b->step = (row - 1) / b->capacity;
      b->steps = (l->share + b->capacity - 1) / b->capacity;
      l->embed_next = row;
      return MCL_OK;
    }
    int64_t missing = g->dim ? g->missing : l->share;
    if (missing >= l->embed_missing)
      return mcli_fail(err, MCL_E_STATE,
                       "%lld rows of modality %d were asked for, but no embeddings were put",
                       (long long)missing, (int)m);
    embed_modality_begin(l, m);
  }
  return mcli_fail(err, MCL_E_INTERNAL, "no rows are missing");
}

static mcl_status train_batch(mcl_multistage *l, mcl_batch *b, mcl_error *err) {
  mcl_status s = mcl_sampler_batch(l->sampler, l->epoch, l->step, b, err);
  if (s < 0) return s;
  b->stage = l->stage;
  if (++l->step == mcl_sampler_steps(l->sampler)) l->epoch++, l->step = 0;
  return MCL_OK;
}

static mcl_status check_batch(const mcl_multistage *l, const mcl_batch *b, mcl_error *err) {
  if (!b->indices) return mcli_fail(err, MCL_E_INVALID, "batch.indices is NULL");
  int64_t wanted = mcl_sampler_batch_capacity(l->sampler);
  if (b->capacity >= wanted) return MCL_OK;
  return mcli_fail(err, MCL_E_LIMIT, "batch.capacity is %lld, %lld is needed",
                   (long long)b->capacity, (long long)wanted);
}

static void set_event(mcl_event *e, int32_t kind, int32_t stage, int32_t epoch, int32_t modality) {
  e->kind = kind;
  e->stage = stage;
  e->epoch = epoch;
  e->modality = modality;
}

static bool has_no_steps_left(const mcl_multistage *l) {
  // A stage whose cells were all dropped has no step: it is embedded untrained rather than looped over for ever.
  return l->stage < l->o.trained_stages || l->epoch >= l->o.epochs ||
         mcl_sampler_steps(l->sampler) == 0;
}

void mcli_loop_ask_again(mcl_multistage *l) {
  l->embed_modality = -1;
}

void mcli_loop_settle(mcl_multistage *l) {
  if (l->phase != MCLI_AT_TRAIN || !has_no_steps_left(l)) return;
  l->phase = MCLI_AT_EMBED;
  mcli_loop_ask_again(l);
}

bool mcli_loop_is_meeting(const mcl_multistage *l) {
  if (l->phase == MCLI_AT_BEGIN) return true;
  if (l->phase == MCLI_AT_TRAIN && !has_no_steps_left(l)) return false;
  return l->phase != MCLI_AT_DONE && find_missing(l) < 0;
}

mcl_status mcli_loop_next(mcl_multistage *l, const mcl_monitor *m, mcl_event *e, mcl_batch *b,
                          mcl_error *err) {
  mcl_status s = check_batch(l, b, err);
  if (s < 0) return s;
  b->n = 0;
  if (l->phase == MCLI_AT_BEGIN) {
    if (!mcli_comm_is_alone(l->comm))
      s = mcli_comm_begin(l->comm, s, mcli_loop_fingerprint(l), err);
    if (s < 0) return s;
    l->phase = MCLI_AT_TRAIN;
    set_event(e, l->resumed ? MCL_RESUME_STAGE : MCL_BEGIN_STAGE, l->stage, -1, -1);
    return MCL_OK;
  }
  mcli_loop_settle(l);
  if (l->phase == MCLI_AT_TRAIN) {
    set_event(e, MCL_TRAIN_BATCH, l->stage, l->epoch, -1);
    return train_batch(l, b, err);
  }
  if (l->phase == MCLI_AT_EMBED) {
    int32_t modality = find_missing(l);
    if (modality >= 0) {
      set_event(e, MCL_EMBED_ROWS, l->stage, -1, modality);
      return ask_rows(l, modality, b, err);
    }
    int32_t stage = l->stage;
    s = mcli_stage_close(l, m, err);
    if (s == MCL_OK) set_event(e, MCL_END_STAGE, stage, -1, -1);
    return s;
  }
  set_event(e, MCL_DONE, l->stage, -1, -1);
  return MCL_OK;
}

static mcl_status next(mcl_multistage *l, const mcl_monitor *m, mcl_event *event, mcl_batch *batch,
                       mcl_error *err) {
  mcl_event e;
  mcl_batch b;
  if (!event || !batch)
    return mcli_fail(err, MCL_E_INVALID, "%s is NULL", !event ? "event" : "batch");
  mcl_status s = mcli_options_copy(&e, sizeof e, event, "mcl_event", err);
  if (s == MCL_OK) s = mcli_struct_in(&b, sizeof b, batch, "mcl_batch", err);
  if (s == MCL_OK) s = mcli_loop_next(l, m, &e, &b, err);
  if (s == MCL_OK) s = mcli_struct_out(event, &e, sizeof e, "mcl_event", err);
  if (s == MCL_OK) s = mcli_struct_out(batch, &b, sizeof b, "mcl_batch", err);
  return s;
}

mcl_status mcl_multistage_next(mcl_multistage *l, const mcl_monitor *m, mcl_event *event,
                               mcl_batch *batch, mcl_error *err) {
  mcl_error own;
  if (!err) err = &own;
  if (!l) return mcli_fail(err, MCL_E_INVALID, "loop is NULL");
  mcl_status s = mcli_guard_enter(&l->guard, "loop", err);
  if (s < 0) return s;
  s = mcli_comm_enter(l->comm, err);
  if (s == MCL_OK) {
    bool meeting = mcli_loop_is_meeting(l);
    s = next(l, m, event, batch, err);
    if (meeting)
      s = mcli_comm_end(l->comm, s, err);
    else
      mcli_comm_leave(l->comm);
  }
  mcli_guard_leave(&l->guard);
  return s < 0 ? s : mcl_ok(err);
}

// ---- seeking -------------------------------------------------------------------------------------------

static mcl_status seek(mcl_multistage *l, int32_t stage, int32_t epoch, int64_t step,
                       mcl_error *err) {
  if (stage < 0 || stage >= mcli_loop_max_stages(l))
    return mcli_fail(err, MCL_E_LIMIT, "stage is %d, there are %d", (int)stage,
                     (int)mcli_loop_max_stages(l));
  if (stage > l->stage)
    return mcli_fail(err, MCL_E_STATE, "stage %d cannot begin: stage %d is not clustered",
                     (int)stage, (int)l->stage);
  mcl_sampler *sampler = NULL;
  mcl_status s = mcli_loop_make_sampler(l, stage, &sampler, err);
  if (s < 0) return s;
  int64_t steps = mcl_sampler_steps(sampler);
  bool at_end = epoch == l->o.epochs && step == 0;
  if (!at_end && (epoch < 0 || epoch >= l->o.epochs || step < 0 || step >= steps)) {
    mcl_sampler_unref(sampler);
    return mcli_fail(err, MCL_E_LIMIT, "epoch %d, step %lld: there are %d epochs of %lld steps",
                     (int)epoch, (long long)step, (int)l->o.epochs, (long long)steps);
  }
  mcli_loop_forget(l, stage);
  mcl_sampler_unref(l->sampler);
  l->sampler = sampler;
  l->epoch = epoch;
  l->step = step;
  l->resumed = epoch > 0 || step > 0;
  return MCL_OK;
}

mcl_status mcl_multistage_seek(mcl_multistage *l, int32_t stage, int32_t epoch, int64_t step,
                               mcl_error *err) {
  if (!l) return mcli_fail(err, MCL_E_INVALID, "loop is NULL");
  mcl_status s = mcli_guard_enter(&l->guard, "loop", err);
  if (s < 0) return s;
  s = seek(l, stage, epoch, step, err);
  mcli_guard_leave(&l->guard);
  return s < 0 ? s : mcl_ok(err);
}
