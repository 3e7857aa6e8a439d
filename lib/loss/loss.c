// The losses as they are called: checks, sides, results. Gradients are written last, when nothing can fail any more and no
// input is read again.
#include <math.h>
#include <stdbool.h>

#include "loss/contrast.h"
#include "math/array.h"

static const mcl_loss_options defaults = {
    .struct_size = sizeof(mcl_loss_options),
    .temperature = 0.5, // SimCLR's for its small images
};

void mcl_loss_options_init(mcl_loss_options *o, size_t struct_size) {
  mcli_options_init(o, struct_size, &defaults, sizeof defaults);
}

typedef struct call {
  mcl_context *context;
  mcl_loss_options o;
  mcl_loss_inputs in;
  int64_t n, m, dim;
  mcli_run anchors; // of a view
  mcli_contrast k;
  mcli_side a, b; // NT-Xent has only a, of 2n rows
} call;

// ---- checks -------------------------------------------------------------------------------------

static mcl_status check_options(const mcl_loss_options *o, uint32_t allowed, mcl_error *err) {
  // Below 1e-4 scores of 1e4 differ by less than float32 can tell; above 1e4 nothing is learnt.
  if (!(o->temperature >= 1e-4 && o->temperature <= 1e4))
    return mcli_fail(err, MCL_E_INVALID, "mcl_loss_options.temperature is %g, not in [1e-4, 1e4]",
                     o->temperature);
  if (o->flags & ~allowed)
    return mcli_fail(err, MCL_E_INVALID, "mcl_loss_options.flags has 0x%x, which is not taken here",
                     o->flags & ~allowed);
  if (o->reserved != 0)
    return mcli_fail(err, MCL_E_INVALID, "mcl_loss_options.reserved is %d, not 0", o->reserved);
  return MCL_OK;
}

static mcl_status check_anchors(call *l, mcl_error *err) {
  int64_t first = l->in.first_anchor, n = l->in.anchors;
  bool some = l->o.flags & MCL_SOME_ANCHORS;
  if (!some && (first != 0 || n != 0))
    return mcli_fail(err, MCL_E_INVALID, "%s is %lld, which needs MCL_SOME_ANCHORS",
                     n != 0 ? "anchors" : "first_anchor", (long long)(n != 0 ? n : first));
  if (some && (l->o.flags & MCL_ONE_WAY))
    return mcli_fail(err, MCL_E_INVALID,
                     "MCL_SOME_ANCHORS with MCL_ONE_WAY, which takes first_positive");
  if (first < 0 || first > l->n || n < 0 || n > l->n - first)
    return mcli_fail(err, MCL_E_INVALID, "%lld anchors from row %lld on, of %lld rows",
                     (long long)n, (long long)first, (long long)l->n);
  l->anchors = some ? (mcli_run){first, n} : (mcli_run){0, l->n};
  return MCL_OK;
}

static mcl_status check_shapes(call *l, mcl_error *err) {
  mcl_status s = mcli_matrix_check(l->in.za, "za", -1, -1, err);
  if (s == MCL_OK) s = mcli_matrix_check(l->in.zb, "zb", -1, l->in.za->shape[1], err);
  if (s < 0) return s;
  l->n = l->in.za->shape[0];
  l->m = l->in.zb->shape[0];
  l->dim = l->in.za->shape[1];
  int64_t product;
  if (l->n < 1 || l->dim < 1)
    return mcli_fail(err, MCL_E_SHAPE, "za is [%lld, %lld]: at least one row and column are needed",
                     (long long)l->n, (long long)l->dim);
  if (l->m < l->n || (!(l->o.flags & MCL_ONE_WAY) && l->n != l->m))
    return mcli_fail(err, MCL_E_SHAPE, "zb has %lld rows, za %lld; only MCL_ONE_WAY takes more",
                     (long long)l->m, (long long)l->n);
  // So that no count of bytes, and no count of tiles in a round, overflows.
  if (l->m > INT32_MAX || !mcli_mul(2 * l->m, l->dim, &product))
    return mcli_fail(err, MCL_E_LIMIT, "zb is [%lld, %lld], too large", (long long)l->m,
                     (long long)l->dim);
  if (!(l->o.flags & MCL_ONE_WAY) && l->in.first_positive != 0)
    return mcli_fail(err, MCL_E_INVALID, "first_positive is %lld, which needs MCL_ONE_WAY",
                     (long long)l->in.first_positive);
  if (l->in.first_positive < 0 || l->in.first_positive > l->m - l->n)
    return mcli_fail(err, MCL_E_INVALID, "first_positive is %lld, not in 0..%lld",
                     (long long)l->in.first_positive, (long long)(l->m - l->n));
  s = check_anchors(l, err);
  if (s == MCL_OK && l->in.dza) s = mcli_matrix_check_out(l->in.dza, "dza", l->n, l->dim, err);
  if (s == MCL_OK && l->in.dzb) s = mcli_matrix_check_out(l->in.dzb, "dzb", l->m, l->dim, err);
  return s;
}

// ---- the two losses: who picks among whom -------------------------------------------------------

// dL/dl_i; without anchors there is no mean, and nothing to weigh.
static double weight_of(const call *l) {
  int64_t anchors = (l->k.both ? 2 : 1) * l->anchors.n;
  return l->o.flags & MCL_REDUCE_SUM || anchors == 0 ? 1 : 1 / (double)anchors;
}

static mcl_status make_side(call *l, mcli_side *s, int views, const mcl_array *z, int64_t first,
                            mcl_error *err) {
  const int64_t *cells = l->in.cells ? l->in.cells + first : NULL;
  const int64_t *duplicates = l->in.duplicates ? l->in.duplicates + first : NULL;
  bool as_given = (l->o.flags & MCL_ROWS_AS_GIVEN) != 0;
  s->other = l->in.other_duplicates ? l->in.other_duplicates + first : NULL;
  mcli_run anchors = l->k.both ? l->anchors : (mcli_run){0, z->shape[0]};
  return mcli_side_make(l->context, s, views, z, cells, duplicates, anchors, as_given, err);
}

static mcl_status nt_xent(call *l, mcl_error *err) {
  const mcl_array *const both[] = {l->in.za, l->in.zb};
  const char *const names[] = {"za", "zb"};
  l->k.x = l->k.y = &l->a;
  l->k.both = true;
  l->k.weight = weight_of(l);
  mcl_status s = make_side(l, &l->a, 2, l->in.za, 0, err);
  if (s == MCL_OK) s = mcli_contrast_link(&l->k, l->n, err);
  if (s == MCL_OK) s = mcli_panels_load(l->context, &l->a, both, names, true, err);
  return s;
}

static mcl_status info_nce(call *l, mcl_error *err) {
  const char *const names[] = {"za", "zb"};
  mcl_context *c = l->context;
  l->k.x = &l->a, l->k.y = &l->b;
  l->k.both = !(l->o.flags & MCL_ONE_WAY);
  l->k.weight = weight_of(l);
  mcl_status s = make_side(l, &l->a, 1, l->in.za, l->in.first_positive, err);
  if (s == MCL_OK) s = make_side(l, &l->b, 1, l->in.zb, 0, err);
  if (s == MCL_OK) s = mcli_contrast_link(&l->k, l->in.first_positive, err);
  if (s == MCL_OK) s = mcli_panels_load(c, &l->a, &l->in.za, &names[0], true, err);
  if (s == MCL_OK) s = mcli_panels_load(c, &l->b, &l->in.zb, &names[1], l->in.dzb != NULL, err);
  return s;
}

// ---- results ------------------------------------------------------------------------------------

static void add_anchors(const mcli_side *s, double weight, mcl_loss_result *out) {
  double loss = 0;
  int64_t hits = 0, alone = 0, late = 0;
  for (int64_t i = 0; i < s->n; i++) {
    late += s->keys[i].late;
    if (s->keys[i].late) continue;
    bool is_alone = s->best[i] == -INFINITY;
    loss += s->losses[i];
    alone += is_alone;
    hits += !is_alone && s->score[i] > s->best[i];
  }
  out->loss += weight * loss;
  out->accuracy += (double)hits; // a count, until all anchors are in
  out->anchors += s->n - late;
  out->anchors_without_negatives += alone;
}

static mcl_status result_of(call *l, mcl_loss_result *out, mcl_error *err) {
  bool one_side = l->k.x == l->k.y;
  mcl_struct_init(out, sizeof *out);
  add_anchors(&l->a, l->k.weight, out);
  if (l->k.both && !one_side) add_anchors(&l->b, l->k.weight, out);
  int64_t judged = out->anchors - out->anchors_without_negatives;
  out->accuracy = judged > 0 ? out->accuracy / (double)judged : 0;
  double along, other;
  mcl_status s = mcli_panels_finish(l->context, &l->a, &along, err);
  if (s == MCL_OK && l->b.d) s = mcli_panels_finish(l->context, &l->b, &other, err);
  if (s < 0) return s;
  // contrast.c (6). In NT-Xent every score is met twice, from either end.
  out->d_log_temperature = -along * (one_side ? 0.5 : 1);
  if (isfinite(out->loss) && isfinite(out->d_log_temperature)) return MCL_OK;
  return mcli_fail(err, MCL_E_NOT_FINITE,
                   "za, zb: products of rows as given, divided by the temperature, overflow");
}

static void store(const call *l) {
  const mcl_array *const both[] = {l->in.dza, l->in.dzb};
  mcli_panels_store(&l->a, both);
  if (l->b.d) mcli_panels_store(&l->b, &l->in.dzb);
}

static mcl_status run(mcl_context *c, const mcl_loss_options *o, const mcl_loss_inputs *in,
                      mcl_loss_result *out, uint32_t flags,
                      mcl_status (*prepare)(call *, mcl_error *), mcl_error *err) {
  if (!c || !out) return mcli_fail(err, MCL_E_INVALID, "%s is NULL", c ? "out" : "context");
  call l = {.context = c, .o = defaults};
  mcl_loss_result result;
  mcl_status s = mcli_struct_in(&result, sizeof result, out, "mcl_loss_result", err);
  if (s == MCL_OK) s = mcli_options_copy(&l.o, sizeof l.o, o, "mcl_loss_options", err);
  if (s == MCL_OK) s = check_options(&l.o, flags, err);
  if (s == MCL_OK) s = mcli_struct_in(&l.in, sizeof l.in, in, "mcl_loss_inputs", err);
  if (s == MCL_OK) s = check_shapes(&l, err);
  if (s < 0) return s;
  l.k.context = c;
  l.k.temperature = l.o.temperature;
  l.k.keep = !(l.o.flags & MCL_LEAST_MEMORY);
  s = prepare(&l, err);
  if (s == MCL_OK) s = mcli_contrast_run(&l.k, err);
  if (s == MCL_OK) s = result_of(&l, &result, err);
  if (s == MCL_OK) s = mcli_struct_out(out, &result, sizeof result, "mcl_loss_result", err);
  if (s == MCL_OK) store(&l);
  mcli_side_free(c, &l.a);
  mcli_side_free(c, &l.b);
  mcli_free(c, l.k.cells);
  return s < 0 ? s : mcl_ok(err);
}

static const uint32_t common_flags =
    MCL_REDUCE_SUM | MCL_ROWS_AS_GIVEN | MCL_LEAST_MEMORY | MCL_SOME_ANCHORS;

mcl_status mcl_loss_nt_xent(mcl_context *c, const mcl_loss_options *o, const mcl_loss_inputs *in,
                            mcl_loss_result *out, mcl_error *err) {
  return run(c, o, in, out, common_flags, nt_xent, err);
}

mcl_status mcl_loss_info_nce(mcl_context *c, const mcl_loss_options *o, const mcl_loss_inputs *in,
                             mcl_loss_result *out, mcl_error *err) {
  return run(c, o, in, out, common_flags | MCL_ONE_WAY, info_nce, err);
}
