// The probes against scikit-learn: see tests/golden/probe.py, which makes the same rows.
#include "probe/common.h"

#include "golden/probe.h"

static mcl_error err;

static double unit(uint64_t stream, uint64_t i) {
  uint64_t z = (i + (stream << 32)) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  z = z ^ z >> 31;
  return (double)(z >> 40) * 0x1p-24;
}

static float *rows(uint64_t stream, int n, int dim, int classes, double apart, int32_t **labels) {
  float *z = malloc((size_t)(n * dim) * sizeof *z);
  *labels = malloc((size_t)n * sizeof **labels);
  for (int i = 0; i < n; i++) {
    int y = (*labels)[i] = (int32_t)(unit(stream, (uint64_t)i) * classes);
    for (int k = 0; k < dim; k++) {
      uint64_t at = (uint64_t)(i * dim + k);
      double noise = -2;
      for (uint64_t s = 1; s <= 4; s++) noise += unit(stream + s, at);
      double x = unit(99, (uint64_t)(y * dim + k)) * apart + noise;
      z[at] = k == dim - 1 ? 3.25F : (float)(ldexp(x, k % 5 * 3 - 6) + k % 3 * 8);
    }
  }
  return z;
}

static int32_t last_loss(void *user, const mcl_progress *p) {
  if (strcmp(p->phase, "fit") == 0) *(double *)user = p->loss;
  return 0;
}

START_TEST(linear_reaches_scikit_learns_minimum_and_accuracy) {
  mcl_context *c = test_context(2);
  for (size_t i = 0; i < sizeof golden_linear / sizeof *golden_linear; i++) {
    int n = golden_linear[i].n, m = golden_linear[i].m, dim = golden_linear[i].dim;
    int classes = golden_linear[i].classes;
    int32_t *y, *ty;
    float *z = rows(10, n, dim, classes, golden_linear[i].apart, &y);
    float *t = rows(20, m, dim, classes, golden_linear[i].apart, &ty);
    mcl_array az = mcl_matrix_f32(z, n, dim), at = mcl_matrix_f32(t, m, dim);
    mcl_probe_options o;
    mcl_probe_options_init(&o, sizeof o);
    o.l2 = golden_linear[i].l2;
    double loss = 0;
    mcl_monitor w;
    mcl_struct_init(&w, sizeof w);
    w.user = &loss;
    w.progress = last_loss;
    mcl_probe_result r = new_result();
    CHECK_OK(mcl_probe_linear(c, &o, &az, y, &at, ty, &w, &r, &err));
    ck_assert_msg(r.converged, "%s: not converged", golden_linear[i].name);
    // The tolerance on the gradient is absolute, so a minimum near 0 is met absolutely.
    ck_assert_msg(fabs(loss - golden_linear[i].value) < 1e-4 * golden_linear[i].value + 1e-6,
                  "%s: minimum %.9g, scikit-learn's %.9g", golden_linear[i].name, loss,
                  golden_linear[i].value);
    ck_assert_msg(llabs(r.correct - golden_linear[i].correct) <= 3 * m / 1000,
                  "%s: %d right of %d, scikit-learn %d", golden_linear[i].name, (int)r.correct, m,
                  golden_linear[i].correct);
    free(z), free(t), free(y), free(ty);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(knn_votes_as_scikit_learns_neighbours_do) {
  mcl_context *c = test_context(2);
  for (size_t i = 0; i < sizeof golden_knn / sizeof *golden_knn; i++) {
    int n = golden_knn[i].n, m = golden_knn[i].m, dim = golden_knn[i].dim;
    int32_t *y, *ty;
    float *z = rows(10, n, dim, golden_knn[i].classes, golden_knn[i].apart, &y);
    float *t = rows(20, m, dim, golden_knn[i].classes, golden_knn[i].apart, &ty);
    mcl_array az = mcl_matrix_f32(z, n, dim), at = mcl_matrix_f32(t, m, dim);
    mcl_probe_options o;
    mcl_probe_options_init(&o, sizeof o);
    o.neighbours = golden_knn[i].k;
    mcl_probe_result r = new_result();
    CHECK_OK(mcl_probe_knn(c, &o, &az, y, &at, ty, NULL, &r, &err));
    ck_assert_int_eq(r.correct, golden_knn[i].correct);
    free(z), free(t), free(y), free(ty);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(agreement_is_scikit_learns) {
  mcl_context *c = test_context(1);
  for (size_t i = 0; i < sizeof golden_agreement / sizeof *golden_agreement; i++) {
    int n = golden_agreement[i].n, ka = golden_agreement[i].a, kb = golden_agreement[i].b;
    int32_t *a = malloc((size_t)n * sizeof *a), *b = malloc((size_t)n * sizeof *b);
    for (int k = 0; k < n; k++) {
      uint64_t at = (uint64_t)k;
      a[k] = (int32_t)(unit(30, at) * ka);
      b[k] = unit(31, at) < golden_agreement[i].mix ? a[k] % kb : (int32_t)(unit(32, at) * kb);
    }
    double nmi, ari, purity;
    CHECK_OK(mcl_probe_agreement(c, a, b, n, &nmi, &ari, &purity, &err));
    ck_assert_double_eq_tol(nmi, golden_agreement[i].nmi, 1e-12);
    ck_assert_double_eq_tol(ari, golden_agreement[i].ari, 1e-12);
    ck_assert_double_eq_tol(purity, golden_agreement[i].purity, 1e-15);
    free(a), free(b);
  }
  mcl_context_unref(c);
}
END_TEST

// Only queries whose group the gallery has, which is what retrieval asks for.
START_TEST(retrieval_finds_what_scikit_learns_neighbours_do) {
  mcl_context *c = test_context(2);
  for (size_t i = 0; i < sizeof golden_retrieval / sizeof *golden_retrieval; i++) {
    int n = golden_retrieval[i].n, m = golden_retrieval[i].m, dim = golden_retrieval[i].dim;
    int32_t *y, *ty;
    float *z = rows(10, n, dim, golden_retrieval[i].groups, golden_retrieval[i].apart, &y);
    float *t = rows(20, m, dim, golden_retrieval[i].groups, golden_retrieval[i].apart, &ty);
    int64_t *groups = malloc((size_t)n * sizeof *groups),
            *wanted = malloc((size_t)m * sizeof *wanted);
    int kept = 0;
    for (int k = 0; k < n; k++) groups[k] = y[k];
    for (int k = 0; k < m; k++) {
      int there = 0;
      for (int j = 0; j < n; j++) there |= y[j] == ty[k];
      if (!there) continue;
      memmove(t + kept * dim, t + k * dim, (size_t)dim * sizeof *t);
      wanted[kept++] = ty[k];
    }
    mcl_array az = mcl_matrix_f32(z, n, dim), at = mcl_matrix_f32(t, kept, dim);
    mcl_probe_result r = new_result();
    CHECK_OK(
        mcl_probe_retrieval(c, NULL, &at, wanted, &az, groups, golden_retrieval[i].k, &r, &err));
    ck_assert_int_eq(r.correct, golden_retrieval[i].correct);
    free(z), free(t), free(y), free(ty), free(groups), free(wanted);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(zero_shot_is_right_where_numpys_prototypes_are) {
  mcl_context *c = test_context(2);
  for (size_t i = 0; i < sizeof golden_zero_shot / sizeof *golden_zero_shot; i++) {
    int n = golden_zero_shot[i].n, m = golden_zero_shot[i].m, dim = golden_zero_shot[i].dim;
    int32_t *y, *ty;
    float *z = rows(10, n, dim, golden_zero_shot[i].classes, golden_zero_shot[i].apart, &y);
    float *t = rows(20, m, dim, golden_zero_shot[i].classes, golden_zero_shot[i].apart, &ty);
    mcl_array az = mcl_matrix_f32(z, n, dim), at = mcl_matrix_f32(t, m, dim);
    mcl_probe_result r = new_result();
    CHECK_OK(mcl_probe_zero_shot(c, NULL, &az, y, &at, ty, &r, &err));
    ck_assert_int_eq(r.correct, golden_zero_shot[i].correct);
    free(z), free(t), free(y), free(ty);
  }
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("probe", linear_reaches_scikit_learns_minimum_and_accuracy,
          knn_votes_as_scikit_learns_neighbours_do, agreement_is_scikit_learns,
          retrieval_finds_what_scikit_learns_neighbours_do,
          zero_shot_is_right_where_numpys_prototypes_are)
