// The losses against PyTorch: see tests/golden/loss.py, which makes the same rows.
#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/loss.h>

#include "golden/loss.h"

static mcl_error err;

enum { CASES = sizeof golden_loss / sizeof *golden_loss };

static double unit(uint64_t stream, uint64_t i) {
  uint64_t z = (i + (stream << 32)) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  z = z ^ z >> 31;
  return (double)(z >> 40) * 0x1p-24;
}

static float *view(int n, int dim, uint64_t stream) {
  float *z = malloc((size_t)(n * dim) * sizeof *z);
  for (int i = 0; i < n * dim; i++) {
    double x = unit(1, (uint64_t)i) - 0.5 + (unit(stream, (uint64_t)i) - 0.5);
    z[i] = (float)ldexp(x, i / dim % 7 - 3);
  }
  return z;
}

// The largest difference over the kept numbers, relative to the largest of them.
static double apart(const float *got, const double *want, int n, int dim) {
  double most = 0, difference = 0;
  for (int r = 0; r < KEPT_ROWS; r++)
    for (int c = 0; c < KEPT_COLUMNS; c++) {
      int row = r * (n - 1) / (KEPT_ROWS - 1);
      double w = want[r * KEPT_COLUMNS + c];
      most = test_worse(most, fabs(w));
      difference = test_worse(difference, fabs((double)got[row * dim + c] - w));
    }
  return difference / most;
}

static void check_case(mcl_context *c, int i) {
  int n = golden_loss[i].n, dim = golden_loss[i].dim;
  float *a = view(n, dim, 2), *b = view(n, dim, 3);
  float *da = malloc((size_t)(n * dim) * sizeof *da), *db = malloc((size_t)(n * dim) * sizeof *db);
  int64_t *cells = malloc((size_t)n * sizeof *cells), *copies = malloc((size_t)n * sizeof *copies);
  int64_t *others = malloc((size_t)n * sizeof *others);
  for (int64_t k = 0; k < n; k++) {
    cells[k] = k * k % golden_loss[i].cells;
    copies[k] = golden_loss[i].copies && k % 3 ? k / golden_loss[i].copies : -1;
    others[k] = golden_loss[i].others ? k % golden_loss[i].others : -1;
  }
  mcl_array za = mcl_matrix_f32(a, n, dim), zb = mcl_matrix_f32(b, n, dim);
  mcl_array dza = mcl_matrix_f32(da, n, dim), dzb = mcl_matrix_f32(db, n, dim);
  mcl_loss_options o;
  mcl_loss_inputs in;
  mcl_loss_result r;
  mcl_loss_options_init(&o, sizeof o);
  mcl_struct_init(&in, sizeof in);
  mcl_struct_init(&r, sizeof r);
  o.temperature = golden_loss[i].tau;
  in.za = &za, in.zb = &zb, in.dza = &dza, in.dzb = &dzb;
  in.cells = cells, in.duplicates = copies, in.other_duplicates = others;
  CHECK_OK(golden_loss[i].nt_xent ? mcl_loss_nt_xent(c, &o, &in, &r, &err)
                                  : mcl_loss_info_nce(c, &o, &in, &r, &err));
  const char *name = golden_loss[i].name;
  double loss = golden_loss[i].loss, slope = golden_loss[i].d_log_temperature;
  ck_assert_msg(fabs(r.loss - loss) <= 2e-6 * loss, "%s: %.9g, PyTorch %.9g", name, r.loss, loss);
  ck_assert_msg(fabs(r.d_log_temperature - slope) <= 1e-5 * fabs(slope),
                "%s: d_log_temperature %.9g, PyTorch %.9g", name, r.d_log_temperature, slope);
  double worst_a = apart(da, golden_loss[i].dza, n, dim);
  double worst_b = apart(db, golden_loss[i].dzb, n, dim);
  ck_assert_msg(worst_a <= 1e-5 && worst_b <= 1e-5, "%s: gradients differ by %.2g and %.2g", name,
                worst_a, worst_b);
  free(a), free(b), free(da), free(db), free(cells), free(copies), free(others);
}

START_TEST(losses_and_gradients_are_pytorchs_to_1e_5) {
  mcl_context *c = test_context(2);
  for (int i = 0; i < CASES; i++) check_case(c, i);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("golden loss", losses_and_gradients_are_pytorchs_to_1e_5)
