// Weights by hand and by growth: what they do to cosines.
#include "support/suite.h"

#include <math.h>
#include <string.h>

#include <libmcl/integrator.h>

static mcl_error err;

enum { STAGES = 3, ROWS = 5 };
static const int32_t dims[STAGES] = {4, 2, 3};

static mcl_integrator *integrator(mcl_context *c, int32_t stages) {
  mcl_integrator *g = NULL;
  CHECK_OK(mcl_integrator_create(c, NULL, &g, &err));
  for (int32_t s = 0; s < stages; s++)
    CHECK_OK(mcl_integrator_add_stage(g, NULL, dims[s % STAGES], 1, &err));
  return g;
}

static double weight_of(const mcl_integrator *g, int32_t stage) {
  double w = -1;
  CHECK_OK(mcl_integrator_get_weight(g, stage, &w, &err));
  return w;
}

static double cosine(const float *a, const float *b, int32_t n) {
  double ab = 0, aa = 0, bb = 0;
  for (int32_t i = 0; i < n; i++) {
    ab += (double)a[i] * (double)b[i];
    aa += (double)a[i] * (double)a[i];
    bb += (double)b[i] * (double)b[i];
  }
  return ab / sqrt(aa * bb);
}

START_TEST(growth_gives_stage_s_the_weight_base_to_the_s) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = integrator(c, 5);
  static const double bases[] = {1, 2, 3.5, 0.25, 1e7};
  for (size_t b = 0; b < sizeof bases / sizeof *bases; b++) {
    CHECK_OK(mcl_integrator_set_growth(g, bases[b], &err));
    double w = 1;
    for (int32_t s = 0; s < 5; s++, w *= bases[b])
      ck_assert_double_eq_tol(weight_of(g, s) / w, 1, 1e-12);
  }
  CHECK_OK(mcl_integrator_add_stage(g, NULL, 1, 6, &err));
  ck_assert(weight_of(g, 5) == 6);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(stages_begin_with_the_weight_they_are_added_with_and_base_1_is_the_plain_concatenation) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = integrator(c, STAGES);
  for (int32_t s = 0; s < STAGES; s++) ck_assert(weight_of(g, s) == 1);
  CHECK_OK(mcl_integrator_set_weight(g, 1, 0.125, &err));
  ck_assert(weight_of(g, 0) == 1 && weight_of(g, 1) == 0.125 && weight_of(g, 2) == 1);
  CHECK_OK(mcl_integrator_set_growth(g, 1, &err));
  for (int32_t s = 0; s < STAGES; s++) ck_assert(weight_of(g, s) == 1);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(cosines_of_representations_are_those_of_stages_in_the_shares_of_squared_weights) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = integrator(c, STAGES);
  CHECK_OK(mcl_integrator_set_growth(g, 3, &err));
  float z[STAGES][ROWS * 4], r[ROWS * 9];
  mcl_array stages[STAGES], out = mcl_matrix_f32(r, ROWS, 9);
  for (int32_t s = 0; s < STAGES; s++) {
    test_fill_normal(z[s], ROWS * 4, (uint64_t)s + 1);
    stages[s] = mcl_matrix_f32(z[s], ROWS, dims[s]);
  }
  CHECK_OK(mcl_integrator_concat(g, stages, STAGES, &out, &err));
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < ROWS; j++) {
      double expected = 0;
      for (int32_t s = 0; s < STAGES; s++)
        expected += pow(9, s) / (1 + 9 + 81) *
                    cosine(z[s] + i * (ptrdiff_t)dims[s], z[s] + j * (ptrdiff_t)dims[s], dims[s]);
      ck_assert_double_eq_tol(cosine(r + i * 9, r + j * 9, 9), expected, 1e-6);
    }
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

START_TEST(growth_out_of_range_changes_nothing) {
  mcl_context *c = test_context(1);
  mcl_integrator *g = integrator(c, 4);
  CHECK_OK(mcl_integrator_set_growth(g, 2, &err));
  static const double wrong[] = {0, -2, NAN, INFINITY, 1.1e10, 0.9e-10};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    CHECK_FAILS(MCL_E_INVALID, "base is", mcl_integrator_set_growth(g, wrong[i], &err));
  for (int32_t s = 0; s < 4; s++) ck_assert(weight_of(g, s) == pow(2, s));
  CHECK_FAILS(MCL_E_INVALID, "integrator", mcl_integrator_set_growth(NULL, 2, &err));
  mcl_integrator *none = integrator(c, 0);
  CHECK_FAILS(MCL_E_STATE, "no stages", mcl_integrator_set_growth(none, 2, &err));
  double w = 7;
  CHECK_FAILS(MCL_E_NOT_FOUND, "stage is 4", mcl_integrator_get_weight(g, 4, &w, &err));
  CHECK_FAILS(MCL_E_INVALID, "integrator", mcl_integrator_get_weight(NULL, 0, &w, &err));
  CHECK_FAILS(MCL_E_INVALID, "weight", mcl_integrator_get_weight(g, 0, NULL, &err));
  ck_assert(w == 7);
  mcl_integrator_unref(none);
  mcl_integrator_unref(g);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("weights", growth_gives_stage_s_the_weight_base_to_the_s,
          stages_begin_with_the_weight_they_are_added_with_and_base_1_is_the_plain_concatenation,
          cosines_of_representations_are_those_of_stages_in_the_shares_of_squared_weights,
          growth_out_of_range_changes_nothing)
