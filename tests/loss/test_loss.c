#include "support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libmcl/loss.h>

#include "base/rng.h"

static mcl_error err;

// ---- the plain twin: the header's formulas, in double, over pairs -------------------------------------------------

typedef struct problem {
  int64_t n, m, dim, first;
  int nt_xent;
  uint32_t flags;
  double tau;
  double *za, *zb;
  const int64_t *cells, *duplicates;
} problem;

typedef struct answer {
  double loss, slope, hits, anchors, alone;
} answer;

static double *unit(const double *z, int64_t n, int64_t dim, int as_given) {
  double *u = malloc((size_t)(n * dim) * sizeof *u);
  for (int64_t i = 0; i < n; i++) {
    double norm = 0;
    for (int64_t d = 0; d < dim; d++) norm += z[i * dim + d] * z[i * dim + d];
    norm = as_given || norm == 0 ? 1 : sqrt(norm);
    for (int64_t d = 0; d < dim; d++) u[i * dim + d] = z[i * dim + d] / norm;
  }
  return u;
}

// One anchor u against m candidates; row_b is the row of zb that the anchor stands for.
static void add_anchor(const problem *p, const double *u, const double *v, int64_t m,
                       int64_t positive, int64_t self, int64_t row_b, double weight, answer *a) {
  double sum = 0, best = -INFINITY, sp = 0, weighted = 0, maximum = -INFINITY;
  for (int pass = 0; pass < 2; pass++)
    for (int64_t j = 0; j < m; j++) {
      int64_t jb = p->nt_xent ? j % p->n : j + (m == p->n ? p->first : 0);
      if (j == self) continue;
      if (p->cells && p->cells[jb] != p->cells[row_b]) continue;
      if (p->duplicates && j != positive && p->duplicates[jb] >= 0 &&
          p->duplicates[jb] == p->duplicates[row_b])
        continue;
      double s = 0;
      for (int64_t d = 0; d < p->dim; d++) s += u[d] * v[j * p->dim + d];
      s /= p->tau;
      if (pass == 0) maximum = fmax(maximum, s);
      if (pass == 0 && j == positive) sp = s;
      if (pass == 0 && j != positive) best = fmax(best, s);
      if (pass == 1) sum += exp(s - maximum), weighted += exp(s - maximum) * s;
    }
  a->anchors++;
  if (best == -INFINITY) {
    a->alone++;
    return;
  }
  a->loss += weight * (maximum + log(sum) - sp);
  a->slope += weight * (sp - weighted / sum);
  a->hits += sp > best;
}

static answer twin(const problem *p) {
  answer a = {0};
  int given = (p->flags & MCL_ROWS_AS_GIVEN) != 0, sum = (p->flags & MCL_REDUCE_SUM) != 0;
  double *ua = unit(p->za, p->n, p->dim, given), *ub = unit(p->zb, p->m, p->dim, given);
  if (p->nt_xent) {
    double *v = malloc((size_t)(2 * p->n * p->dim) * sizeof *v);
    memcpy(v, ua, (size_t)(p->n * p->dim) * sizeof *v);
    memcpy(v + p->n * p->dim, ub, (size_t)(p->n * p->dim) * sizeof *v);
    for (int64_t i = 0; i < 2 * p->n; i++)
      add_anchor(p, v + i * p->dim, v, 2 * p->n, (i + p->n) % (2 * p->n), i, i % p->n,
                 sum ? 1 : 1.0 / (double)(2 * p->n), &a);
    free(v);
  } else {
    int both = !(p->flags & MCL_ONE_WAY);
    double w = sum ? 1 : (both ? 0.5 : 1) / (double)p->n;
    for (int64_t i = 0; i < p->n; i++)
      add_anchor(p, ua + i * p->dim, ub, p->m, p->first + i, -1, p->first + i, w, &a);
    for (int64_t i = 0; both && i < p->n; i++)
      add_anchor(p, ub + i * p->dim, ua, p->n, i, -1, i, w, &a);
  }
  free(ua), free(ub);
  return a;
}

// ---- the library on the same problem -------------------------------------------------------------------------------

typedef struct solved {
  mcl_loss_result r;
  float *dza, *dzb;
} solved;

static float *to_float(const double *x, int64_t n) {
  float *f = malloc((size_t)n * sizeof *f);
  for (int64_t i = 0; i < n; i++) f[i] = (float)x[i];
  return f;
}

static mcl_status call(mcl_context *c, const problem *p, mcl_loss_result *r, float *dza,
                       float *dzb) {
  float *fa = to_float(p->za, p->n * p->dim), *fb = to_float(p->zb, p->m * p->dim);
  mcl_array za = mcl_matrix_f32(fa, p->n, p->dim), zb = mcl_matrix_f32(fb, p->m, p->dim);
  mcl_array da = mcl_matrix_f32(dza, p->n, p->dim), db = mcl_matrix_f32(dzb, p->m, p->dim);
  mcl_loss_options o;
  mcl_loss_inputs in;
  mcl_loss_options_init(&o, sizeof o);
  mcl_struct_init(&in, sizeof in);
  mcl_struct_init(r, sizeof *r);
  o.temperature = p->tau;
  o.flags = p->flags;
  in.za = &za, in.zb = &zb, in.cells = p->cells, in.duplicates = p->duplicates;
  in.first_positive = p->first;
  in.dza = dza ? &da : NULL;
  in.dzb = dzb ? &db : NULL;
  mcl_status s =
      p->nt_xent ? mcl_loss_nt_xent(c, &o, &in, r, &err) : mcl_loss_info_nce(c, &o, &in, r, &err);
  free(fa), free(fb);
  return s;
}

static solved solve(mcl_context *c, const problem *p) {
  solved s;
  s.dza = malloc((size_t)(p->n * p->dim) * sizeof *s.dza);
  s.dzb = malloc((size_t)(p->m * p->dim) * sizeof *s.dzb);
  CHECK_OK(call(c, p, &s.r, s.dza, s.dzb));
  return s;
}

static void solved_free(solved *s) {
  free(s->dza), free(s->dzb);
}

static problem make_problem(int64_t n, int64_t m, int64_t dim, uint64_t seed) {
  problem p = {.n = n, .m = m, .dim = dim, .tau = 0.3};
  float *f = malloc((size_t)((n + m) * dim) * sizeof *f);
  test_fill_normal(f, (n + m) * dim, seed);
  p.za = malloc((size_t)(n * dim) * sizeof(double));
  p.zb = malloc((size_t)(m * dim) * sizeof(double));
  for (int64_t i = 0; i < n * dim; i++) p.za[i] = (double)f[i];
  for (int64_t i = 0; i < m * dim; i++) p.zb[i] = (double)f[n * dim + i];
  free(f);
  return p;
}

static void problem_free(problem *p) {
  free(p->za), free(p->zb);
}

// Central differences of the twin at some coordinates, spread over the whole.
static void check_gradient(problem *p, double *z, const float *d, int64_t count, double scale) {
  for (int64_t t = 0; t < 12; t++) {
    int64_t i = t * (count - 1) / 11;
    double was = z[i], h = 1e-5;
    z[i] = was + h;
    double up = twin(p).loss;
    z[i] = was - h;
    double down = twin(p).loss, want = (up - down) / (2 * h);
    z[i] = was;
    ck_assert_msg(fabs((double)d[i] - want) <= 1e-4 * fabs(want) + 2e-5 * scale, "%lld: %g, not %g",
                  (long long)i, (double)d[i], want);
  }
}

static void check_problem(mcl_context *c, problem *p) {
  answer a = twin(p);
  solved s = solve(c, p);
  double scale = p->flags & MCL_REDUCE_SUM ? 1 : 1 / (double)p->n;
  ck_assert_msg(fabs(s.r.loss - a.loss) <= 2e-5 * fabs(a.loss) + 1e-6, "loss %.9g, not %.9g",
                s.r.loss, a.loss);
  ck_assert(fabs(s.r.d_log_temperature - a.slope) <= 1e-4 * fabs(a.slope) + 1e-5);
  ck_assert_int_eq(s.r.anchors, (int64_t)a.anchors);
  ck_assert_int_eq(s.r.anchors_without_negatives, (int64_t)a.alone);
  double judged = a.anchors - a.alone;
  ck_assert(fabs(s.r.accuracy - (judged > 0 ? a.hits / judged : 0)) < 1e-9);
  check_gradient(p, p->za, s.dza, p->n * p->dim, scale);
  check_gradient(p, p->zb, s.dzb, p->m * p->dim, scale);
  solved_free(&s);
}

// ---- facts -----------------------------------------------------------------------------------------------------------

START_TEST(losses_and_gradients_agree_with_the_plain_twin) {
  mcl_context *c = test_context(2);
  static const int64_t sizes[][2] = {{1, 3}, {2, 2}, {7, 5}, {33, 17}, {150, 8}, {300, 3}};
  int64_t cells[300], duplicates[300];
  for (size_t k = 0; k < 6; k++)
    for (int variant = 0; variant < 8; variant++)
      for (int kind = 0; kind < 3; kind++) {
        int64_t n = sizes[k][0];
        if (n > 100 && variant % 3) continue; // the twin is slow
        problem p = make_problem(n, n, sizes[k][1], k + 1);
        for (int64_t i = 0; i < n; i++)
          cells[i] = i * 7 % 5 - 2 + (i == 1) * 100, duplicates[i] = i % 3 ? i / 4 : -1;
        p.nt_xent = kind == 0;
        p.flags = (variant & 1 ? MCL_REDUCE_SUM : 0u) | (kind == 2 ? MCL_ONE_WAY : 0u);
        if (variant & 2) p.cells = cells;
        if (variant & 4) p.duplicates = duplicates;
        check_problem(c, &p);
        problem_free(&p);
      }
  mcl_context_unref(c);
}
END_TEST

START_TEST(rows_as_given_are_not_normalised) {
  mcl_context *c = test_context(1);
  for (int kind = 0; kind < 2; kind++) {
    problem p = make_problem(20, 20, 4, 3);
    p.nt_xent = kind == 0;
    p.flags = MCL_ROWS_AS_GIVEN;
    p.tau = 2;
    check_problem(c, &p);
    problem_free(&p);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(small_temperatures_do_not_overflow) {
  mcl_context *c = test_context(1);
  problem p = make_problem(40, 40, 4, 3);
  p.nt_xent = 1;
  p.tau = 0.005;
  answer a = twin(&p);
  solved s = solve(c, &p);
  ck_assert(isfinite(s.r.loss) && fabs(s.r.loss - a.loss) < 1e-3 * a.loss);
  for (int64_t i = 0; i < p.n * p.dim; i++) ck_assert(isfinite(s.dza[i]) && isfinite(s.dzb[i]));
  solved_free(&s);
  problem_free(&p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(one_row_cell_has_zero_loss_and_exactly_zero_gradient) {
  mcl_context *c = test_context(1);
  for (int kind = 0; kind < 3; kind++) {
    problem p = make_problem(9, 9, 5, 3);
    int64_t cells[9] = {4, 1, 4, 4, 1, 9, 1, 4, 4}; // row 5 is alone
    p.cells = cells;
    p.nt_xent = kind == 0;
    p.flags = kind == 2 ? MCL_ONE_WAY : 0;
    solved s = solve(c, &p);
    for (int d = 0; d < 5; d++) ck_assert(s.dza[25 + d] == 0 && s.dzb[25 + d] == 0);
    ck_assert_int_eq(s.r.anchors_without_negatives, kind == 2 ? 1 : 2);
    solved_free(&s);
    problem_free(&p);
  }
  mcl_context_unref(c);
}
END_TEST

// The cells of a batch are batches of their own: negatives never come from another cell.
START_TEST(cells_are_losses_of_their_own) {
  mcl_context *c = test_context(1);
  problem p = make_problem(24, 24, 6, 4), part[2];
  int64_t cells[24];
  for (int i = 0; i < 24; i++) cells[i] = i < 10;
  p.nt_xent = 1;
  p.flags = MCL_REDUCE_SUM;
  p.cells = cells;
  solved whole = solve(c, &p);
  double sum = 0;
  for (int k = 0; k < 2; k++) {
    part[k] = p;
    part[k].cells = NULL;
    part[k].n = part[k].m = k ? 14 : 10;
    part[k].za += k ? 60 : 0, part[k].zb += k ? 60 : 0;
    solved s = solve(c, &part[k]);
    sum += s.r.loss;
    for (int64_t i = 0; i < part[k].n * 6; i++)
      ck_assert(fabsf(s.dza[i] - whole.dza[i + (k ? 60 : 0)]) < 1e-5f);
    solved_free(&s);
  }
  ck_assert(fabs(sum - whole.r.loss) < 1e-5);
  solved_free(&whole);
  problem_free(&p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(two_ranks_add_up_to_one) {
  mcl_context *c = test_context(2);
  enum { M = 30, D = 7 };
  problem p = make_problem(M, M, D, 5), rank;
  int64_t cells[M];
  for (int i = 0; i < M; i++) cells[i] = i % 4;
  p.cells = cells;
  p.flags = MCL_ONE_WAY | MCL_REDUCE_SUM;
  solved whole = solve(c, &p);
  double loss = 0, dzb[M * D] = {0};
  for (int r = 0; r < 2; r++) {
    rank = p;
    rank.first = r ? 13 : 0;
    rank.n = r ? M - 13 : 13;
    rank.za += rank.first * D;
    solved s = solve(c, &rank);
    loss += s.r.loss;
    for (int i = 0; i < M * D; i++) dzb[i] += (double)s.dzb[i];
    for (int64_t i = 0; i < rank.n * D; i++)
      ck_assert(fabsf(s.dza[i] - whole.dza[rank.first * D + i]) <= 1e-6f);
    solved_free(&s);
  }
  ck_assert(fabs(loss - whole.r.loss) <= 1e-6 * whole.r.loss);
  for (int i = 0; i < M * D; i++) ck_assert(fabs(dzb[i] - (double)whole.dzb[i]) <= 2e-6);
  solved_free(&whole);
  problem_free(&p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_zero_row_has_zero_gradient_and_everything_stays_finite) {
  mcl_context *c = test_context(1);
  problem p = make_problem(8, 8, 3, 6);
  p.nt_xent = 1;
  p.za[6] = p.za[7] = p.za[8] = 0;
  solved s = solve(c, &p);
  ck_assert(isfinite(s.r.loss) && fabs(s.r.loss - twin(&p).loss) < 1e-5);
  for (int d = 0; d < 3; d++) ck_assert(s.dza[6 + d] == 0);
  solved_free(&s);
  problem_free(&p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits) {
  problem p = make_problem(700, 700, 16, 7);
  int64_t cells[700];
  for (int i = 0; i < 700; i++) cells[i] = i % 3;
  solved first = {0};
  for (int kind = 0; kind < 2; kind++) {
    p.nt_xent = kind == 0;
    p.cells = kind ? cells : NULL;
    for (uint32_t threads = 1; threads <= 3; threads++) {
      mcl_context *c = test_context(threads);
      solved s = solve(c, &p);
      if (threads > 1) {
        ck_assert_mem_eq(&s.r, &first.r, sizeof s.r);
        ck_assert_mem_eq(s.dza, first.dza, 700 * 16 * sizeof(float));
        ck_assert_mem_eq(s.dzb, first.dzb, 700 * 16 * sizeof(float));
        solved_free(&s);
      } else {
        first = s;
      }
      mcl_context_unref(c);
    }
    solved_free(&first);
  }
  problem_free(&p);
}
END_TEST

static int64_t largest_request, total_bytes, most_bytes;
static void *measuring_alloc(void *user, size_t size, size_t alignment) {
  (void)user;
  if ((int64_t)size > largest_request) largest_request = (int64_t)size;
  total_bytes += (int64_t)size;
  if (total_bytes > most_bytes) most_bytes = total_bytes;
  return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
static void measuring_free(void *user, void *ptr, size_t size, size_t alignment) {
  (void)user, (void)alignment;
  total_bytes -= (int64_t)size;
  free(ptr);
}

START_TEST(memory_is_what_the_header_says_and_never_a_square) {
  enum { N = 2048, D = 8 };
  mcl_allocator a;
  mcl_struct_init(&a, sizeof a);
  a.alloc = measuring_alloc;
  a.free = measuring_free;
  mcl_context_options o;
  mcl_context_options_init(&o, sizeof o);
  o.allocator = &a;
  o.threads = 1;
  mcl_context *c;
  CHECK_OK(mcl_context_create(&o, &c, &err));
  int64_t before = total_bytes;
  most_bytes = before;
  problem p = make_problem(N, N, D, 8);
  p.nt_xent = 1;
  solved s = solve(c, &p);
  int64_t stated = (8 * D + 60) * 2 * N + 384 * 1024;
  ck_assert_msg(most_bytes - before <= stated + stated / 4, "%lld bytes, %lld stated",
                (long long)(most_bytes - before), (long long)stated);
  solved_free(&s);
  problem_free(&p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(bad_input_is_named_and_outputs_stay_untouched) {
  mcl_context *c = test_context(1);
  problem good = make_problem(6, 6, 3, 9), p = good;
  mcl_loss_result r;
  float d[18];
  for (int i = 0; i < 18; i++) d[i] = 42;
  p.tau = 0;
  CHECK_FAILS(MCL_E_INVALID, "temperature", call(c, &p, &r, d, NULL));
  p.tau = (double)NAN;
  CHECK_FAILS(MCL_E_INVALID, "temperature", call(c, &p, &r, d, NULL));
  p = good, p.nt_xent = 1, p.flags = MCL_ONE_WAY;
  CHECK_FAILS(MCL_E_INVALID, "flags", call(c, &p, &r, d, NULL));
  p = good, p.n = 5;
  CHECK_FAILS(MCL_E_SHAPE, "MCL_ONE_WAY", call(c, &p, &r, d, NULL));
  p.first = 1;
  p.n = 6;
  CHECK_FAILS(MCL_E_INVALID, "first_positive", call(c, &p, &r, d, NULL));
  p.flags = MCL_ONE_WAY;
  CHECK_FAILS(MCL_E_INVALID, "not in 0..0", call(c, &p, &r, d, NULL));
  p = good;
  p.zb[7] = (double)NAN;
  CHECK_FAILS(MCL_E_NOT_FINITE, "zb's row 2", call(c, &p, &r, d, NULL));
  ck_assert_int_eq(err.row, 2);
  CHECK_FAILS(MCL_E_INVALID, "mcl_loss_inputs", mcl_loss_nt_xent(c, NULL, NULL, &r, &err));
  for (int i = 0; i < 18; i++) ck_assert(d[i] == 42);
  ck_assert(r.loss == 0);
  problem_free(&good);
  mcl_context_unref(c);
}
END_TEST

START_TEST(every_failing_allocation_is_an_error_and_the_retry_is_the_same) {
  test_allocator a;
  test_allocator_init(&a);
  mcl_context *c = test_context_with(&a, 1);
  problem p = make_problem(10, 10, 4, 10);
  int64_t cells[10] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
  p.cells = p.duplicates = cells;
  for (int kind = 0; kind < 2; kind++) {
    p.nt_xent = kind;
    solved want = solve(c, &p);
    int64_t live = a.live;
    for (int n = 1;; n++) {
      mcl_loss_result r;
      float da[40], db[40];
      for (int i = 0; i < 40; i++) da[i] = db[i] = 42;
      a.fail_at = n;
      mcl_status s = call(c, &p, &r, da, db);
      a.fail_at = 0;
      ck_assert_int_eq(a.live, live);
      if (s == MCL_OK) {
        ck_assert_mem_eq(da, want.dza, sizeof da);
        break;
      }
      ck_assert_int_eq(s, MCL_E_NOMEM);
      for (int i = 0; i < 40; i++) ck_assert(da[i] == 42 && db[i] == 42);
    }
    solved_free(&want);
  }
  problem_free(&p);
  mcl_context_unref(c);
  ck_assert_int_eq(a.live, 0);
}
END_TEST

RUN_TESTS("loss", losses_and_gradients_agree_with_the_plain_twin, rows_as_given_are_not_normalised,
          small_temperatures_do_not_overflow, one_row_cell_has_zero_loss_and_exactly_zero_gradient,
          cells_are_losses_of_their_own, two_ranks_add_up_to_one,
          a_zero_row_has_zero_gradient_and_everything_stays_finite,
          any_number_of_threads_gives_the_same_bits,
          memory_is_what_the_header_says_and_never_a_square,
          bad_input_is_named_and_outputs_stay_untouched,
          every_failing_allocation_is_an_error_and_the_retry_is_the_same)
