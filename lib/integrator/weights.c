// Weights given by hand: one stage's, or all of them by growth.
//
//   w_s = base^s                                                                   (1)
//
// By cosine two representations are compared by sum_s q_s cos_s, where q_s = w_s^2 / sum_t w_t^2: a base above 1 hands the
// comparison to later stages, a base below 1 to earlier ones, and base 1 counts all alike.
#include <math.h>

#include "integrator/integrator.h"

// A weight outside is a mistake; inside, products with unit rows are normal float32 numbers.
static const double LEAST = 1e-30, MOST = 1e30;

mcl_status mcli_integrator_weight_check(double weight, mcl_error *err) {
  if (weight >= LEAST && weight <= MOST) return MCL_OK;
  return mcli_fail(err, MCL_E_INVALID, "weight is %g, not %g..%g", weight, LEAST, MOST);
}

mcl_status mcl_integrator_set_weight(mcl_integrator *integrator, int32_t stage, double weight,
                                     mcl_error *err) {
  mcl_status s = mcli_integrator_stage_check(integrator, stage, err);
  if (s == MCL_OK) s = mcli_integrator_weight_check(weight, err);
  if (s == MCL_OK) s = mcli_guard_enter(&integrator->guard, "integrator", err);
  if (s < 0) return s;
  integrator->stage[stage].weight = weight;
  mcli_guard_leave(&integrator->guard);
  return mcl_ok(err);
}

mcl_status mcl_integrator_get_weight(const mcl_integrator *integrator, int32_t stage,
                                     double *weight, mcl_error *err) {
  mcl_status s = mcli_integrator_stage_check(integrator, stage, err);
  if (s < 0) return s;
  if (!weight) return mcli_fail(err, MCL_E_INVALID, "weight is NULL");
  *weight = integrator->stage[stage].weight;
  return mcl_ok(err);
}

// The last weight is the most extreme one: where it is in range, all are.
static mcl_status grow(mcl_integrator *g, double base, mcl_error *err) {
  if (g->stages == 0) return mcli_fail(err, MCL_E_STATE, "the integrator has no stages");
  mcl_error inner;
  if (mcli_integrator_weight_check(pow(base, g->stages - 1), &inner) < 0)
    return mcli_fail(err, MCL_E_INVALID, "base is %g: at stage %d the %s", base, (int)g->stages - 1,
                     inner.message);
  for (int32_t s = 0; s < g->stages; s++) g->stage[s].weight = pow(base, s); // (1)
  return MCL_OK;
}

mcl_status mcl_integrator_set_growth(mcl_integrator *integrator, double base, mcl_error *err) {
  if (!integrator) return mcli_fail(err, MCL_E_INVALID, "integrator is NULL");
  if (!(base > 0 && base <= MOST))
    return mcli_fail(err, MCL_E_INVALID, "base is %g, not above 0 and finite", base);
  mcl_status s = mcli_guard_enter(&integrator->guard, "integrator", err);
  if (s < 0) return s;
  s = grow(integrator, base, err);
  mcli_guard_leave(&integrator->guard);
  return s == MCL_OK ? mcl_ok(err) : s;
}
