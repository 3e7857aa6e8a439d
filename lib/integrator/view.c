// Some of the stages as an integrator of their own: the encoders are shared, weights are copied.
//
// A window onto the whole, whose weights would follow it, was rejected: a view is taken to give its stages weights of their
// own. Encoders are told the number they have in the whole, so that a host which keeps one network a stage behind one table
// finds the right one.
#include "integrator/integrator.h"

static mcl_status view_check(const mcl_integrator *g, const int32_t *stages, int32_t n,
                             mcl_integrator **out, mcl_error *err) {
  if (!g) return mcli_fail(err, MCL_E_INVALID, "integrator is NULL");
  if (!stages) return mcli_fail(err, MCL_E_INVALID, "stages is NULL");
  if (!out) return mcli_fail(err, MCL_E_INVALID, "out is NULL");
  if (n < 1) return mcli_fail(err, MCL_E_INVALID, "n is %d, at least 1 is needed", (int)n);
  for (int32_t i = 0; i < n; i++) {
    mcl_status s = mcli_integrator_stage_check(g, stages[i], err);
    if (s < 0) return s;
    for (int32_t j = 0; j < i; j++)
      if (stages[j] == stages[i])
        return mcli_fail(err, MCL_E_INVALID, "stage %d is named twice", (int)stages[i]);
  }
  return MCL_OK;
}

mcl_status mcl_integrator_view(const mcl_integrator *integrator, const int32_t *stages, int32_t n,
                               mcl_integrator **out, mcl_error *err) {
  mcl_status s = view_check(integrator, stages, n, out, err);
  if (s < 0) return s;
  mcl_integrator *view = NULL;
  s = mcl_integrator_create(integrator->context, NULL, &view, err);
  for (int32_t i = 0; s == MCL_OK && i < n; i++) {
    const integrator_stage *of = integrator->stage + stages[i];
    s = mcli_integrator_append(view, of->encoder, of->dim, of->weight, of->number, err);
  }
  if (s < 0) {
    mcl_integrator_unref(view);
    return s;
  }
  *out = view;
  return mcl_ok(err);
}
