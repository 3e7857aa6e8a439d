// The stage integrator: each stage's embedding at length w_s, side by side.
//
//   r_i = ( w_0 z_i0 / |z_i0|, w_1 z_i1 / |z_i1|, ... )                            (1)
//
// Whitening the parts, scaling them by the spread of their cosines, and fusing ranks were tried and rejected: none did better
// than weights (docs/evidence.md).
#include "integrator/integrator.h"

#include <string.h>

#include "math/array.h"
#include "math/rows.h"

// Rows an encoder is given at once. Enough that its products run at full speed; the activations of a block are
// what an embedding pass needs in memory.
enum { BLOCK = 512 };

// ---- life ------------------------------------------------------------------------------------------------

static const mcl_integrator_options defaults = {.struct_size = sizeof defaults};

void mcl_integrator_options_init(mcl_integrator_options *options, size_t struct_size) {
  mcli_options_init(options, struct_size, &defaults, sizeof defaults);
}

mcl_status mcl_integrator_create(mcl_context *context, const mcl_integrator_options *options,
                                 mcl_integrator **out, mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  mcl_integrator_options o = defaults;
  mcl_status s = mcli_options_copy(&o, sizeof o, options, "options", err);
  if (s < 0) return s;
  if (o.flags || o.reserved)
    return mcli_fail(err, MCL_E_UNSUPPORTED, "options.%s must be 0 in this version",
                     o.flags ? "flags" : "reserved");
  mcl_integrator *g = MCLI_NEW0(context, mcl_integrator, 1);
  if (!g) return mcli_nomem(err, "the integrator");
  mcli_ref_init(&g->refs);
  mcli_guard_init(&g->guard);
  g->context = mcl_context_ref(context);
  *out = g;
  return mcl_ok(err);
}

mcl_integrator *mcl_integrator_ref(mcl_integrator *integrator) {
  if (integrator) mcli_ref(&integrator->refs);
  return integrator;
}

void mcl_integrator_unref(mcl_integrator *integrator) {
  if (!integrator || !mcli_unref_is_last(&integrator->refs)) return;
  mcl_context *c = integrator->context;
  for (int32_t s = 0; s < integrator->stages; s++) mcl_encoder_unref(integrator->stage[s].encoder);
  mcli_free(c, integrator->stage);
  mcli_free(c, integrator);
  mcl_context_unref(c);
}

// ---- stages ----------------------------------------------------------------------------------------------

mcl_status mcli_integrator_stage_check(const mcl_integrator *g, int32_t stage, mcl_error *err) {
  if (!g) return mcli_fail(err, MCL_E_INVALID, "integrator is NULL");
  if (stage >= 0 && stage < g->stages) return MCL_OK;
  return mcli_fail(err, MCL_E_NOT_FOUND, "stage is %d, there are %d", (int)stage, (int)g->stages);
}

mcl_status mcli_integrator_append(mcl_integrator *g, mcl_encoder *encoder, int32_t dim,
                                  double weight, int32_t number, mcl_error *err) {
  if (dim > INT32_MAX - g->dim)
    return mcli_fail(err, MCL_E_LIMIT, "dim is %d on top of %d: more than 2^31 - 1", (int)dim,
                     (int)g->dim);
  integrator_stage *more =
      mcli_realloc(g->context, g->stage, (uint64_t)g->stages + 1, sizeof *more);
  if (!more) return mcli_nomem(err, "the stage");
  g->stage = more;
  more[g->stages++] = (integrator_stage){mcl_encoder_ref(encoder), weight, g->dim, dim, number};
  g->dim += dim;
  return MCL_OK;
}

mcl_status mcl_integrator_add_stage(mcl_integrator *integrator, mcl_encoder *encoder, int32_t dim,
                                    double weight, mcl_error *err) {
  if (!integrator) return mcli_fail(err, MCL_E_INVALID, "integrator is NULL");
  if (encoder && dim == 0) dim = mcl_encoder_dim(encoder);
  if (dim < 1)
    return mcli_fail(err, MCL_E_INVALID, "dim is %d, at least 1 is needed without an encoder",
                     (int)dim);
  if (encoder && dim != mcl_encoder_dim(encoder))
    return mcli_fail(err, MCL_E_SHAPE, "dim is %d, the encoder's is %d", (int)dim,
                     (int)mcl_encoder_dim(encoder));
  mcl_status s = mcli_integrator_weight_check(weight, err);
  if (s == MCL_OK) s = mcli_guard_enter(&integrator->guard, "integrator", err);
  if (s < 0) return s;
  s = mcli_integrator_append(integrator, encoder, dim, weight, integrator->stages, err);
  mcli_guard_leave(&integrator->guard);
  return s == MCL_OK ? mcl_ok(err) : s;
}

int32_t mcl_integrator_stages(const mcl_integrator *integrator) {
  return integrator ? integrator->stages : 0;
}

int32_t mcl_integrator_dim(const mcl_integrator *integrator) {
  return integrator ? integrator->dim : 0;
}

mcl_status mcl_integrator_stage_range(const mcl_integrator *integrator, int32_t stage,
                                      int32_t *first, int32_t *dim, mcl_error *err) {
  mcl_status s = mcli_integrator_stage_check(integrator, stage, err);
  if (s < 0) return s;
  if (first) *first = integrator->stage[stage].first;
  if (dim) *dim = integrator->stage[stage].dim;
  return mcl_ok(err);
}

mcl_status mcli_integrator_stage_failed(const mcl_error *inner, int32_t stage, int64_t first,
                                        mcl_error *err) {
  int64_t row = inner->row < 0 ? -1 : inner->row + first;
  mcl_status s = mcli_fail_row(err, inner->status, row, "stage %d: %s", (int)stage, inner->message);
  if (err) err->host_code = inner->host_code;
  return s;
}

// (1) for one stage: n embeddings into columns first.. of rows of `width`. z is spoilt.
static void place(const mcl_integrator *g, const integrator_stage *stage, float *z, int64_t n,
                  float *rows, int64_t width) {
  const mcli_rows_kernels *k = mcli_rows_kernels_of(g->context);
  mcli_normalise(g->context, z, n, stage->dim, z, NULL);
  k->scale((float)stage->weight, z, n * stage->dim);
  for (int64_t i = 0; i < n; i++)
    memcpy(rows + i * width + stage->first, z + i * stage->dim, (size_t)stage->dim * sizeof *rows);
}

static int32_t widest(const mcl_integrator *g) {
  int32_t most = 1;
  for (int32_t s = 0; s < g->stages; s++)
    if (g->stage[s].dim > most) most = g->stage[s].dim;
  return most;
}

// ---- embed -----------------------------------------------------------------------------------------------

static mcl_status embed_check(const mcl_integrator *g, const mcl_inputs *in, const mcl_array *out,
                              mcl_error *err) {
  if (in->n < 0) return mcli_fail(err, MCL_E_INVALID, "in->n is %lld", (long long)in->n);
  if (in->data) {
    mcl_status s = mcli_array_check(in->data, "in->data", err);
    if (s < 0) return s;
    if (in->data->shape[0] != in->n)
      return mcli_fail(err, MCL_E_SHAPE, "in->data has %lld rows, in->n is %lld",
                       (long long)in->data->shape[0], (long long)in->n);
  }
  if (g->stages == 0) return mcli_fail(err, MCL_E_STATE, "the integrator has no stages");
  for (int32_t s = 0; s < g->stages; s++)
    if (!g->stage[s].encoder)
      return mcli_fail(err, MCL_E_STATE, "stage %d has no encoder: use mcl_integrator_concat",
                       (int)s);
  return mcli_matrix_check_out(out, "out", in->n, g->dim, err);
}

// Rows first .. first + n - 1 of a batch; `data` is where the view of their data goes.
static mcl_inputs block_of(const mcl_inputs *in, int64_t first, int64_t n, int32_t stage,
                           mcl_array *data) {
  mcl_inputs block = *in;
  block.n = n;
  block.stage = stage;
  if (in->indices) block.indices = in->indices + first;
  if (in->data) {
    *data = *in->data;
    data->shape[0] = n;
    data->data = (unsigned char *)in->data->data +
                 first * in->data->strides[0] * mcli_dtype_size(in->data->dtype);
    block.data = data;
  }
  return block;
}

static mcl_status embed_stage(const mcl_integrator *g, int32_t stage, const mcl_inputs *in,
                              float *z, float *rows, mcl_error *err) {
  const integrator_stage *of = g->stage + stage;
  for (int64_t first = 0; first < in->n; first += BLOCK) {
    int64_t n = in->n - first < BLOCK ? in->n - first : BLOCK;
    mcl_array data, out = mcl_matrix_f32(z, n, of->dim);
    mcl_inputs block = block_of(in, first, n, of->number, &data);
    mcl_error inner;
    if (mcl_encoder_embed(of->encoder, &block, &out, &inner) < 0)
      return mcli_integrator_stage_failed(&inner, stage, first, err);
    place(g, of, z, n, rows + first * g->dim, g->dim);
  }
  return MCL_OK;
}

static mcl_status embed(const mcl_integrator *g, const mcl_inputs *in, const mcl_array *out,
                        mcl_error *err) {
  mcl_status s = embed_check(g, in, out, err);
  if (s < 0) return s;
  int64_t size;
  if (!mcli_mul(in->n, g->dim, &size))
    return mcli_fail(err, MCL_E_LIMIT, "in->n times dim does not fit");
  float *rows = MCLI_NEW(g->context, float, size);
  float *z = MCLI_NEW(g->context, float, (int64_t)BLOCK *widest(g));
  s = rows && z ? MCL_OK : mcli_nomem(err, "the representation");
  for (int32_t stage = 0; s == MCL_OK && stage < g->stages; stage++)
    s = embed_stage(g, stage, in, z, rows, err);
  if (s == MCL_OK) mcli_array_store(out, 0, in->n, rows);
  mcli_free(g->context, rows);
  mcli_free(g->context, z);
  return s;
}

mcl_status mcl_integrator_embed(mcl_integrator *integrator, const mcl_inputs *in,
                                const mcl_array *out, mcl_error *err) {
  if (!integrator) return mcli_fail(err, MCL_E_INVALID, "integrator is NULL");
  mcl_inputs mine;
  mcl_status s = mcli_struct_in(&mine, sizeof mine, in, "in", err);
  if (s == MCL_OK) s = mcli_guard_enter(&integrator->guard, "integrator", err);
  if (s < 0) return s;
  s = embed(integrator, &mine, out, err);
  mcli_guard_leave(&integrator->guard);
  return s == MCL_OK ? mcl_ok(err) : s;
}
