// What the losses compute.
#include "loss/twin.h"

START_TEST(the_twin_s_gradients_are_finite_differences) {
  int64_t cells[7] = {3, 1, 3, 3, 1, 3, 3}, duplicates[7] = {1, 2, 1, -1, 2, 3, -1};
  for (int kind = 0; kind < 3; kind++)
    for (int variant = 0; variant < 4; variant++) {
      problem p = make_problem(kind == 2 ? 5 : 7, 7, 3, 1);
      p.nt_xent = kind == 0;
      p.flags = kind == 2 ? MCL_ONE_WAY : 0;
      p.flags |= variant & 1 ? MCL_ROWS_AS_GIVEN : MCL_REDUCE_SUM;
      p.first = kind == 2 ? 1 : 0;
      if (variant & 2) p.cells = cells, p.duplicates = duplicates;
      check_differences(&p);
      problem_free(&p);
    }
}
END_TEST

START_TEST(losses_and_gradients_are_the_twin_s_under_every_option) {
  mcl_context *c = test_context(2);
  static const int64_t sizes[][2] = {{1, 3}, {2, 2}, {7, 5}, {33, 17}, {65, 2}, {129, 8}};
  int64_t cells[129], duplicates[129], others[129];
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (uint32_t variant = 0; variant < 32; variant++)
      for (int kind = 0; kind < 4; kind++) {
        int64_t n = sizes[k][0], fewer = kind == 3 ? (n + 1) / 2 : n;
        problem p = make_problem(fewer, n, sizes[k][1], k + 1);
        for (int64_t i = 0; i < n; i++) {
          cells[i] = i * 7 % 5 - 2 + (i == 1) * 100;
          duplicates[i] = i % 3 ? i / 4 : -1 - i;
          others[i] = i % 7 ? i * 5 % 11 : -3;
        }
        p.nt_xent = kind == 0;
        p.flags = kind >= 2 ? MCL_ONE_WAY : 0;
        p.first = kind == 3 ? n / 3 < n - fewer ? n / 3 : n - fewer : 0;
        if (variant & 1) p.flags |= MCL_REDUCE_SUM;
        if (variant & 2) p.cells = cells;
        if (variant & 4) p.duplicates = duplicates;
        if (variant & 16) p.others = others;
        if (variant & 8) p.flags |= MCL_ROWS_AS_GIVEN, p.tau = 2;
        check_problem(c, &p);
        problem_free(&p);
      }
  mcl_context_unref(c);
}
END_TEST

// Odd and even numbers of blocks, blocks of both widths, and cells of very different sizes side by
// side.
START_TEST(cells_of_many_blocks_are_the_twin_s) {
  mcl_context *c = test_context(2);
  int64_t cells[1100], duplicates[1100];
  for (int64_t i = 0; i < 1100; i++) {
    cells[i] = i < 300 ? -5 : i * i % 1100 < 500 ? 8 : i % 40;
    duplicates[i] = i % 50;
  }
  static const int64_t sizes[] = {128, 257, 400, 1100};
  for (int k = 0; k < 4; k++)
    for (int kind = 0; kind < 3; kind++)
      for (int with = 0; with < 2; with++) {
        problem p = make_problem(sizes[k] - (kind == 2 ? 60 : 0), sizes[k], 3, 2);
        p.nt_xent = kind == 0;
        p.flags = kind == 2 ? MCL_ONE_WAY : 0;
        p.first = kind == 2 ? 17 : 0;
        if (with) p.cells = cells, p.duplicates = duplicates;
        check_problem(c, &p);
        problem_free(&p);
      }
  mcl_context_unref(c);
}
END_TEST

// One large group, whose masks go through every block, and many small ones.
START_TEST(other_duplicates_in_many_blocks_are_the_twin_s) {
  mcl_context *c = test_context(2);
  int64_t cells[400], duplicates[400], others[400];
  for (int64_t i = 0; i < 400; i++) {
    cells[i] = i * i % 400 < 300;
    duplicates[i] = i % 50;
    others[i] = i * i % 37 < 9 ? 4 : i / 3;
  }
  for (int kind = 0; kind < 3; kind++)
    for (int with = 0; with < 2; with++) {
      problem p = make_problem(400 - (kind == 2 ? 60 : 0), 400, 3, 2);
      p.nt_xent = kind == 0;
      p.flags = kind == 2 ? MCL_ONE_WAY : 0;
      p.first = kind == 2 ? 17 : 0;
      p.others = others;
      if (with) p.cells = cells, p.duplicates = duplicates;
      check_problem(c, &p);
      problem_free(&p);
    }
  mcl_context_unref(c);
}
END_TEST

START_TEST(other_duplicates_alone_are_duplicates) {
  mcl_context *c = test_context(1);
  int64_t ids[40];
  for (int64_t i = 0; i < 40; i++) ids[i] = i % 5 ? i % 6 : -1;
  for (int kind = 0; kind < 3; kind++) {
    problem p = make_problem(40, 40, 4, 9);
    p.nt_xent = kind == 0;
    p.flags = kind == 2 ? MCL_ONE_WAY : 0;
    p.duplicates = ids;
    solved first = solve(c, &p);
    p.duplicates = NULL, p.others = ids;
    solved second = solve(c, &p);
    // The rows lie in another order, so sums are rounded otherwise.
    ck_assert_double_eq_tol(first.r.loss, second.r.loss, 1e-6);
    ck_assert_int_eq(first.r.anchors_without_negatives, second.r.anchors_without_negatives);
    for (int i = 0; i < 160; i++) {
      ck_assert_float_eq_tol(first.dza[i], second.dza[i], 1e-7f);
      ck_assert_float_eq_tol(first.dzb[i], second.dzb[i], 1e-7f);
    }
    solved_free(&first), solved_free(&second);
    problem_free(&p);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(chains_of_duplicates_are_not_followed) {
  mcl_context *c = test_context(1);
  // 0 and 1 share the first kind, 1 and 2 the second: only 0 and 2 are negatives.
  int64_t images[3] = {5, 5, 6}, captions[3] = {7, 8, 8};
  problem p = make_problem(3, 3, 2, 4);
  p.duplicates = images, p.others = captions;
  solved s = solve(c, &p);
  ck_assert_int_eq(s.r.anchors_without_negatives, 2); // row 1, both ways
  check_problem(c, &p);
  solved_free(&s);
  problem_free(&p);
  mcl_context_unref(c);
}
END_TEST

// Sums relative to one number for all end at tau = 0.025; below, each anchor has its own.
START_TEST(small_temperatures_lose_nothing) {
  mcl_context *c = test_context(1);
  static const double taus[] = {0.03, 0.0251, 0.025, 0.0249, 0.01, 0.003, 0.0001};
  int64_t cells[300];
  for (int64_t i = 0; i < 300; i++) cells[i] = i % 7 == 3;
  for (size_t k = 0; k < sizeof taus / sizeof *taus; k++)
    for (int kind = 0; kind < 3; kind++) {
      problem p = make_problem(300, 300, 4, 3);
      p.nt_xent = kind == 0;
      p.flags = kind == 2 ? MCL_ONE_WAY : 0;
      p.tau = taus[k];
      p.cells = k % 2 ? cells : NULL;
      check_problem(c, &p);
      problem_free(&p);
    }
  mcl_context_unref(c);
}
END_TEST

// One negative, opposite to its anchor: the lowest sum that there can be.
START_TEST(scores_at_both_ends_of_their_range_lose_nothing) {
  mcl_context *c = test_context(1);
  for (int sign = -1; sign <= 1; sign += 2)
    for (double tau = 0.0125; tau < 1; tau *= 2) {
      problem p = make_problem(2, 2, 1, 3);
      p.za[0] = 1, p.zb[0] = sign, p.za[1] = -1, p.zb[1] = -sign;
      p.tau = tau;
      answer a = {0};
      twin(&p, &a);
      solved s = solve(c, &p);
      ck_assert_msg(fabs(s.r.loss - a.loss) <= 1e-5 * a.loss, "tau %g: %.9g, not %.9g", tau,
                    s.r.loss, a.loss);
      ck_assert(s.r.accuracy == (sign > 0));
      solved_free(&s);
      problem_free(&p);
    }
  mcl_context_unref(c);
}
END_TEST

START_TEST(long_rows_as_given_stay_within_the_range_of_exp) {
  mcl_context *c = test_context(1);
  for (int kind = 0; kind < 3; kind++) {
    problem p = make_problem(140, 140, 4, 3);
    for (int64_t i = 0; i < 140 * 4; i++) p.za[i] *= 16, p.zb[i] *= 16; // scores of thousands
    p.nt_xent = kind == 0;
    p.flags = MCL_ROWS_AS_GIVEN | (kind == 2 ? MCL_ONE_WAY : 0);
    p.tau = 1;
    solved s = solve(c, &p);
    answer a = {0};
    twin(&p, &a);
    ck_assert_double_eq_tol(s.r.loss, a.loss, 1e-5 * a.loss);
    ck_assert_double_eq_tol(s.r.d_log_temperature, a.slope, 1e-5 * fabs(a.slope));
    solved_free(&s);
    problem_free(&p);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(a_tie_with_a_negative_is_no_hit) {
  mcl_context *c = test_context(1);
  for (int kind = 0; kind < 2; kind++) {
    problem p = make_problem(300, 300, 6, 3);
    for (int64_t i = 0; i < 300 * 6; i++) p.za[i] = p.zb[i] = p.za[i % 6]; // collapsed
    p.nt_xent = kind == 0;
    solved s = solve(c, &p);
    ck_assert(s.r.accuracy == 0);
    ck_assert_double_eq_tol(s.r.loss, log(kind ? 300 : 599), 1e-5);
    solved_free(&s);
    problem_free(&p);
  }
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
  p.nt_xent = true;
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

START_TEST(a_zero_row_has_scores_of_zero_and_no_gradient) {
  mcl_context *c = test_context(1);
  for (int kind = 0; kind < 3; kind++) {
    problem p = make_problem(8, 8, 3, 6);
    p.nt_xent = kind == 0;
    p.flags = kind == 2 ? MCL_ONE_WAY : 0;
    p.za[6] = p.za[7] = p.za[8] = p.zb[0] = p.zb[1] = p.zb[2] = 0;
    check_problem(c, &p);
    solved s = solve(c, &p);
    for (int d = 0; d < 3; d++) ck_assert(s.dza[6 + d] == 0 && s.dzb[d] == 0);
    solved_free(&s);
    problem_free(&p);
  }
  mcl_context_unref(c);
}
END_TEST

START_TEST(rows_of_any_length_give_the_same_loss) {
  mcl_context *c = test_context(1);
  problem p = make_problem(8, 8, 3, 6), q = make_problem(8, 8, 3, 6);
  for (int i = 0; i < 24; i++) q.za[i] = ldexp(p.za[i], -100), q.zb[i] = ldexp(p.zb[i], 100);
  solved s = solve(c, &p), t = solve(c, &q);
  ck_assert_double_eq_tol(s.r.loss, t.r.loss, 1e-6);
  for (int i = 0; i < 24; i++) {
    ck_assert_double_eq_tol(ldexp((double)t.dza[i], -100), (double)s.dza[i], 1e-7);
    ck_assert_double_eq_tol(ldexp((double)t.dzb[i], 100), (double)s.dzb[i], 1e-7);
  }
  // Shorter than any normal float: directions are coarse, gradients large, none is NaN.
  // A coordinate that nobody has keeps a gradient of 0.
  for (int i = 0; i < 24; i++) {
    q.za[i] = i % 3 == 2 ? 0 : ldexp(1 + i % 5, -149);
    if (i % 3 == 2) q.zb[i] = 0;
  }
  solved_free(&t);
  t = solve(c, &q);
  ck_assert(isfinite(t.r.loss) && isfinite(t.r.d_log_temperature));
  for (int i = 0; i < 24; i++) ck_assert(!isnan(t.dza[i]) && isfinite(t.dzb[i]));
  solved_free(&s), solved_free(&t);
  problem_free(&p), problem_free(&q);
  mcl_context_unref(c);
}
END_TEST

// Candidates in a cell that no anchor is in meet nobody.
START_TEST(a_cell_without_anchors_has_no_gradient) {
  mcl_context *c = test_context(1);
  problem p = make_problem(4, 12, 5, 9);
  int64_t cells[12] = {9, 9, 0, 0, 0, 0, -9, -9, 5, 5, 5, 5};
  p.cells = cells, p.first = 2;
  p.flags = MCL_ONE_WAY;
  check_problem(c, &p);
  solved s = solve(c, &p);
  for (int i = 0; i < 60; i++) ck_assert((s.dzb[i] == 0) == (cells[i / 5] != 0));
  solved_free(&s);
  problem_free(&p);
  mcl_context_unref(c);
}
END_TEST

START_TEST(the_order_of_rows_does_not_matter) {
  mcl_context *c = test_context(1);
  enum { N = 200, D = 4 };
  problem p = make_problem(N, N, D, 9), q = make_problem(N, N, D, 9);
  int64_t cells[N], turned[N];
  for (int64_t i = 0; i < N; i++) {
    int64_t to = i * 37 % N;
    cells[i] = i % 6, turned[to] = cells[i];
    memcpy(q.za + to * D, p.za + i * D, D * sizeof *q.za);
    memcpy(q.zb + to * D, p.zb + i * D, D * sizeof *q.zb);
  }
  p.cells = cells, q.cells = turned;
  p.nt_xent = q.nt_xent = true;
  solved s = solve(c, &p), t = solve(c, &q);
  ck_assert_double_eq_tol(s.r.loss, t.r.loss, 1e-6);
  for (int64_t i = 0; i < N * D; i++)
    ck_assert(fabsf(s.dza[i] - t.dza[i / D * 37 % N * D + i % D]) < 1e-7f);
  solved_free(&s), solved_free(&t);
  problem_free(&p), problem_free(&q);
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("loss", the_twin_s_gradients_are_finite_differences,
          losses_and_gradients_are_the_twin_s_under_every_option,
          cells_of_many_blocks_are_the_twin_s, other_duplicates_in_many_blocks_are_the_twin_s,
          other_duplicates_alone_are_duplicates, chains_of_duplicates_are_not_followed,
          small_temperatures_lose_nothing, scores_at_both_ends_of_their_range_lose_nothing,
          long_rows_as_given_stay_within_the_range_of_exp, a_tie_with_a_negative_is_no_hit,
          one_row_cell_has_zero_loss_and_exactly_zero_gradient, cells_are_losses_of_their_own,
          a_zero_row_has_scores_of_zero_and_no_gradient, rows_of_any_length_give_the_same_loss,
          a_cell_without_anchors_has_no_gradient, the_order_of_rows_does_not_matter)
