// Losses: with and without cells, duplicates of two kinds, one way, over some anchors, in the least memory.
#include "exhaustion/exhaust.h"

#include <libmcl/loss.h>

enum { N = 40, DIM = 5 };
static float za[N * DIM], zb[N * DIM], da[N * DIM], db[N * DIM];
static int64_t cells[N], duplicates[N], others[N];
static mcl_loss_result result;

static void prepare(void) {
  test_fill_normal(za, N * DIM, 1), test_fill_normal(zb, N * DIM, 2);
  for (int i = 0; i < N; i++) cells[i] = i % 7, duplicates[i] = i / 3, others[i] = (i * 5) % 11;
  PATTERN(da), PATTERN(db), PATTERN(result);
  result.struct_size = sizeof result;
}

typedef mcl_status (*loss)(mcl_context *, const mcl_loss_options *, const mcl_loss_inputs *,
                           mcl_loss_result *, mcl_error *);

static mcl_status call(loss f, uint32_t flags, bool all, int turned) {
  mcl_loss_options o;
  mcl_loss_inputs i;
  mcl_array a = mcl_matrix_f32(za, N, DIM), b = mcl_matrix_f32(zb, N, DIM),
            ga = mcl_matrix_f32(da, N, DIM), gb = mcl_matrix_f32(db, N, DIM);
  mcl_loss_options_init(&o, sizeof o);
  mcl_struct_init(&i, sizeof i);
  o.flags = flags;
  if (turned) a.strides[0] = 1, a.strides[1] = N;
  i.za = &a, i.zb = &b, i.dza = &ga, i.dzb = &gb;
  if (!all) i.cells = cells, i.duplicates = duplicates, i.other_duplicates = others;
  if (flags & MCL_SOME_ANCHORS) i.first_anchor = 10, i.anchors = 15;
  return f(c, &o, &i, &result, &err);
}

static mcl_status nt_xent(void) {
  return call(mcl_loss_nt_xent, 0, true, 0);
}
static mcl_status nt_xent_cells(void) {
  return call(mcl_loss_nt_xent, 0, false, 1);
}
static mcl_status nt_xent_anchors(void) {
  return call(mcl_loss_nt_xent, MCL_SOME_ANCHORS | MCL_REDUCE_SUM, false, 0);
}
static mcl_status nt_xent_least(void) {
  return call(mcl_loss_nt_xent, MCL_LEAST_MEMORY | MCL_ROWS_AS_GIVEN, false, 0);
}
static mcl_status info_nce(void) {
  return call(mcl_loss_info_nce, 0, true, 1);
}
static mcl_status info_nce_cells(void) {
  return call(mcl_loss_info_nce, 0, false, 0);
}
static mcl_status info_nce_one_way(void) {
  return call(mcl_loss_info_nce, MCL_ONE_WAY, false, 0);
}

static void look(seen *s) {
  see(s, za, sizeof za), see(s, zb, sizeof zb);
  see(s, da, sizeof da), see(s, db, sizeof db);
  see(s, &result, sizeof result);
}

static void finish(void) {}

static const exhaust_case list[] = {
    {"mcl_loss_nt_xent", "", prepare, nt_xent, look, finish},
    {"mcl_loss_nt_xent", "with cells and duplicates", prepare, nt_xent_cells, look, finish},
    {"mcl_loss_nt_xent", "of some anchors", prepare, nt_xent_anchors, look, finish},
    {"mcl_loss_nt_xent", "in the least memory", prepare, nt_xent_least, look, finish},
    {"mcl_loss_info_nce", "", prepare, info_nce, look, finish},
    {"mcl_loss_info_nce", "with cells and duplicates", prepare, info_nce_cells, look, finish},
    {"mcl_loss_info_nce", "one way", prepare, info_nce_one_way, look, finish},
};
PART(loss, list);
