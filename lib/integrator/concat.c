// Representations of embeddings that were made elsewhere: rows of arrays, callbacks or files, side by side.
//
// A block of a stage goes straight into the stage's columns of `out`, so that there is no scratch but the blocks that are
// read. A task does a block of all stages in turn, while the rows it writes are in the cache. Where a stage must be read on
// the caller's thread, stages go one after another. A block's numbers are the same whoever brings them, and so are the bits
// of its representation (integrator.c, (1)).
//
// Arrays are looked at whole before anything is written. Of rows from elsewhere that would be a second reading, which may
// fail as well as the first.
#include <stdio.h>

#include "integrator/integrator.h"
#include "math/array.h"
#include "math/rows.h"
#include "probe/source.h"

typedef struct stage_rows {
  const mcl_integrator *integrator;
  const integrator_stage *stage;
  mcli_source source;
  mcli_source_pass pass;
  mcl_array columns; // of `out`
  char name[32];
} stage_rows;

typedef struct concat {
  const mcl_integrator *integrator;
  stage_rows *stages; // [stages]
  int64_t first, n;
} concat;

// ---- arguments -------------------------------------------------------------------------------------------

static mcl_status begin(concat *j, const void *stages, int32_t n, mcl_error *err) {
  const mcl_integrator *g = j->integrator;
  if (!g) return mcli_fail(err, MCL_E_INVALID, "integrator is NULL");
  if (!stages) return mcli_fail(err, MCL_E_INVALID, "stages is NULL");
  if (g->stages == 0) return mcli_fail(err, MCL_E_STATE, "the integrator has no stages");
  if (n != g->stages)
    return mcli_fail(err, MCL_E_INVALID, "n is %d, the integrator has %d stages", (int)n,
                     (int)g->stages);
  j->stages = MCLI_NEW0(g->context, stage_rows, n);
  return j->stages ? MCL_OK : mcli_nomem(err, "the stages");
}

static mcl_status open_stage(concat *j, int32_t s, const mcl_rows *rows, mcl_error *err) {
  stage_rows *r = &j->stages[s];
  snprintf(r->name, sizeof r->name, "stages[%d]", (int)s);
  mcl_status status = mcli_source_open(j->integrator->context, rows, r->name,
                                       j->integrator->stage[s].dim, &r->source, err);
  int64_t wanted = j->stages[0].source.rows.rows;
  if (status == MCL_OK && r->source.rows.rows != wanted)
    status = mcli_fail(err, MCL_E_SHAPE, "%s has %lld rows, not %lld", r->name,
                       (long long)r->source.rows.rows, (long long)wanted);
  return status;
}

static mcl_status check_range(concat *j, const mcl_array *out, mcl_error *err) {
  int64_t all = j->stages[0].source.rows.rows;
  if (j->first < 0 || j->n < 0 || j->n > all - j->first)
    return mcli_fail(err, MCL_E_LIMIT, "rows %lld .. + %lld are asked for, there are %lld",
                     (long long)j->first, (long long)j->n, (long long)all);
  return mcli_matrix_check_out(out, "out", j->n, j->integrator->dim, err);
}

// ---- rows ------------------------------------------------------------------------------------------------

static void stage_block(void *job, const mcli_source_block *b) {
  const stage_rows *r = job;
  mcl_context *c = r->integrator->context;
  int64_t dim = r->stage->dim;
  mcli_normalise(c, b->x, b->n, dim, b->x, NULL);
  mcli_rows_kernels_of(c)->scale((float)r->stage->weight, b->x, b->n * dim);
  mcli_array_store(&r->columns, b->first - r->pass.first, b->n, b->x);
}

static mcl_status start_stage(const concat *j, int32_t s, const mcl_array *out, mcl_error *err) {
  stage_rows *r = &j->stages[s];
  r->integrator = j->integrator;
  r->stage = j->integrator->stage + s;
  r->columns = *out;
  r->columns.shape[1] = r->stage->dim;
  r->columns.data =
      (unsigned char *)out->data + r->stage->first * out->strides[1] * mcli_dtype_size(out->dtype);
  r->pass = (mcli_source_pass){&r->source, j->first, j->n, 0, stage_block, r};
  return mcli_source_start(&r->source, j->n, 0, err);
}

static void block_task(void *job, uint32_t task, uint32_t worker) {
  const concat *j = job;
  for (int32_t s = 0; s < j->integrator->stages; s++)
    mcli_source_part(&j->stages[s].pass, task, worker);
}

static mcl_status write_in_tasks(concat *j, mcl_error *err) {
  int64_t blocks = mcli_source_parts(&j->stages[0].pass);
  mcl_status status = mcli_parallel(j->integrator->context, (uint32_t)blocks, block_task, j, err);
  for (int32_t s = 0; s < j->integrator->stages; s++) {
    mcl_status met = mcli_source_outcome(&j->stages[s].source, status < 0 ? NULL : err);
    if (status == MCL_OK) status = met;
  }
  return status;
}

// All memory is there before the first number is written.
static mcl_status write_all(concat *j, const mcl_array *out, mcl_error *err) {
  int32_t stages = j->integrator->stages, arrays = 0, any = 0;
  mcl_status status = MCL_OK;
  for (int32_t s = 0; status == MCL_OK && s < stages; s++) {
    status = start_stage(j, s, out, err);
    arrays += j->stages[s].source.rows.array != NULL;
    any += mcli_rows_any_thread(&j->stages[s].source.rows);
  }
  for (int32_t s = 0; status == MCL_OK && arrays == stages && s < stages; s++)
    status = mcli_source_finite(&j->stages[s].source, j->first, j->n, err);
  if (status == MCL_OK && any == stages) status = write_in_tasks(j, err);
  for (int32_t s = 0; status == MCL_OK && any < stages && s < stages; s++)
    status = mcli_source_run(&j->stages[s].pass, NULL, err);
  for (int32_t s = 0; s < stages; s++) mcli_source_stop(&j->stages[s].source);
  return status;
}

// ---- the calls -------------------------------------------------------------------------------------------

static mcl_status finish(concat *j, mcl_status status, const mcl_array *out, mcl_error *err) {
  if (status == MCL_OK) status = check_range(j, out, err);
  if (status == MCL_OK && j->n > 0) status = write_all(j, out, err);
  if (j->stages) mcli_free(j->integrator->context, j->stages);
  return status == MCL_OK ? mcl_ok(err) : status;
}

mcl_status mcl_integrator_concat(const mcl_integrator *integrator, const mcl_array *stages,
                                 int32_t n, const mcl_array *out, mcl_error *err) {
  concat j = {.integrator = integrator};
  mcl_rows rows;
  mcl_status status = begin(&j, stages, n, err);
  for (int32_t s = 0; status == MCL_OK && s < n; s++)
    status = open_stage(&j, s, mcli_source_of(stages + s, &rows), err);
  if (status == MCL_OK) j.n = j.stages[0].source.rows.rows;
  return finish(&j, status, out, err);
}

// The host's structs may be smaller or larger than ours.
static const mcl_rows *element(const mcl_rows *stages, int32_t s) {
  return (const mcl_rows *)(const void *)((const unsigned char *)stages +
                                          (size_t)s * stages->struct_size);
}

mcl_status mcl_integrator_concat_rows(const mcl_integrator *integrator, const mcl_rows *stages,
                                      int32_t n, int64_t first, int64_t rows, const mcl_array *out,
                                      mcl_error *err) {
  concat j = {.integrator = integrator, .first = first, .n = rows};
  mcl_status status = begin(&j, stages, n, err);
  for (int32_t s = 0; status == MCL_OK && s < n; s++) {
    size_t size = element(stages, s)->struct_size;
    status =
        size == stages->struct_size
            ? open_stage(&j, s, element(stages, s), err)
            : mcli_fail(err, MCL_E_INVALID, "stages[%d].struct_size is %zu, stages[0]'s is %zu",
                        (int)s, size, stages->struct_size);
  }
  return finish(&j, status, out, err);
}
