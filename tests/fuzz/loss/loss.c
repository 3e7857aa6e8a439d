// The losses on any shapes, strides, types, cells, duplicates and options. What is computed is the plain twin's
// (tests/loss/twin.h) where all numbers are ordinary; the same bits come with the least memory; what is refused writes nothing.
#include <libmcl/loss.h>
#include <math.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "loss/twin.h"

const int fuzz_large = FUZZ_REFUSED;

enum { ROWS = 40, DIM = 24 };

typedef struct inputs {
  float za[ROWS * DIM], zb[ROWS * DIM], dza[ROWS * DIM], dzb[ROWS * DIM];
  int64_t cells[ROWS], duplicates[ROWS], others[ROWS];
} inputs;

static void ids_from(fuzz_bytes *b, int64_t *ids, int64_t n) {
  int64_t k = fuzz_below(b, 8) + 1;
  for (int64_t i = 0; i < n; i++) ids[i] = fuzz_below(b, k) - (k > 4);
}

static void fill_pattern(inputs *x) {
  memset(x->dza, 0x5A, sizeof x->dza);
  memset(x->dzb, 0x5A, sizeof x->dzb);
}

static void check_untouched(const inputs *x, const mcl_loss_result *r, const mcl_loss_result *was) {
  const uint8_t *p = (const uint8_t *)x->dza;
  for (size_t i = 0; i < sizeof x->dza + sizeof x->dzb; i++)
    if (p[i] != 0x5A) fuzz_fail("a refused loss has written a gradient");
  if (memcmp(r, was, sizeof *r)) fuzz_fail("a refused loss has written its result");
}

static void check_near(const char *what, double got, double want, double scale) {
  if (!(fabs(got - want) <= scale)) fuzz_fail("%s is %.9g, not %.9g", what, got, want);
}

// Against the twin, in double: within 1e-5 of the size of the scores, and of gradients of the largest, being sums of float32.
static void check_twin(const problem *p, const inputs *x, const mcl_loss_result *r) {
  answer a = {.dza = zeros(p->n * p->dim, sizeof(double)),
              .dzb = zeros(p->m * p->dim, sizeof(double))};
  twin(p, &a);
  double sum = p->flags & MCL_REDUCE_SUM ? (double)a.anchors + 1 : 1, rough = 1 + 1 / p->tau;
  double largest = 1;
  for (int64_t i = 0; i < p->n * p->dim; i++) largest = fmax(largest, fabs(a.dza[i]));
  for (int64_t i = 0; i < p->m * p->dim; i++) largest = fmax(largest, fabs(a.dzb[i]));
  check_near("the loss", r->loss, a.loss, 1e-5 * rough * sum);
  check_near("its slope", r->d_log_temperature, a.slope, 1e-5 * rough * sum);
  if (r->anchors != a.anchors || r->anchors_without_negatives != a.alone) fuzz_fail("anchors");
  for (int64_t i = 0; i < p->n * p->dim; i++)
    check_near("dza", x->dza[i], a.dza[i], 1e-5 * rough * largest);
  for (int64_t i = 0; i < p->m * p->dim; i++)
    check_near("dzb", x->dzb[i], a.dzb[i], 1e-5 * rough * largest);
  free(a.dza), free(a.dzb);
}

// Rows of at least some length, finite: what float32 can be held to.
static int ordinary(const float *z, int64_t n, int64_t dim) {
  for (int64_t i = 0; i < n; i++) {
    double norm = 0;
    for (int64_t d = 0; d < dim; d++) norm += (double)z[i * dim + d] * z[i * dim + d];
    if (!(norm > 1e-2 && norm < 1e4)) return 0;
  }
  return 1;
}

static double *widened(const float *z, int64_t n) {
  double *d = zeros(n, sizeof *d);
  for (int64_t i = 0; i < n; i++) d[i] = z[i];
  return d;
}

static mcl_status run(mcl_context *c, int nt_xent, const mcl_loss_options *o,
                      const mcl_loss_inputs *in, mcl_loss_result *r, mcl_error *e) {
  return nt_xent ? mcl_loss_nt_xent(c, o, in, r, e) : mcl_loss_info_nce(c, o, in, r, e);
}

// Of the views one may be bent: a stride, a type, a size, a pointer, a device.
static void bend(fuzz_bytes *b, mcl_array *a) {
  switch (fuzz_below(b, 8)) {
  case 0:
    a->dtype = (int32_t)fuzz_below(b, 9);
    break;
  case 1:
    a->ndim = (int32_t)fuzz_below(b, 7) - 1;
    break;
  case 2:
    a->shape[fuzz_below(b, 4)] = fuzz_size(b);
    break;
  case 3:
    a->strides[0] = 0;
    break;
  case 4:
    a->data = NULL;
    break;
  case 5:
    a->device = 1;
    break;
  case 6:
    a->flags = (uint32_t)fuzz_below(b, 4);
    break;
  default:
    a->strides[1] = -1, a->data = (float *)a->data + a->shape[1] - 1;
    break;
  }
}

// Where a bent view still lies within its buffer: its type is not wider, its shape no larger.
static int reaches(const mcl_array *a, int64_t n, int64_t dim) {
  if (a->dtype == MCL_F64 || a->dtype == MCL_I64) return 0;
  return !a->data ||
         (a->shape[0] <= n && a->shape[1] <= dim && a->shape[2] == 1 && a->shape[3] == 1);
}

void fuzz_target(mcl_context *context, const uint8_t *bytes, size_t size) {
  static inputs x;
  fuzz_bytes b = {bytes, size};
  problem p = {.nt_xent = fuzz_below(&b, 2), .tau = exp2((double)fuzz_below(&b, 8) - 5)};
  p.flags = (uint32_t)fuzz_below(&b, 64);
  p.m = fuzz_below(&b, ROWS) + 1;
  p.n = p.flags & MCL_ONE_WAY && !p.nt_xent ? fuzz_below(&b, p.m) + 1 : p.m;
  p.dim = fuzz_below(&b, DIM) + 1;
  p.first = fuzz_below(&b, 3) ? 0 : fuzz_below(&b, p.m - p.n + 2);
  if (p.flags & MCL_SOME_ANCHORS) {
    p.first_anchor = fuzz_below(&b, p.n + 2);
    p.anchors = fuzz_below(&b, p.n + 2);
  }
  fuzz_floats(&b, x.za, p.n * p.dim);
  fuzz_floats(&b, x.zb, p.m * p.dim);
  mcl_array za = mcl_matrix_f32(x.za, p.n, p.dim), zb = mcl_matrix_f32(x.zb, p.m, p.dim);
  mcl_array dza = mcl_matrix_f32(x.dza, p.n, p.dim), dzb = mcl_matrix_f32(x.dzb, p.m, p.dim);
  mcl_loss_options o;
  mcl_loss_inputs in;
  mcl_loss_result r;
  mcl_error e;
  mcl_loss_options_init(&o, sizeof o);
  mcl_struct_init(&in, sizeof in);
  o.temperature = p.tau;
  o.flags = p.flags;
  in.za = &za, in.zb = &zb, in.dza = &dza, in.dzb = &dzb;
  in.first_positive = p.first, in.first_anchor = p.first_anchor, in.anchors = p.anchors;
  if (fuzz_below(&b, 2)) ids_from(&b, x.cells, p.m), in.cells = p.cells = x.cells;
  if (fuzz_chance(&b, 3)) ids_from(&b, x.duplicates, p.m), in.duplicates = x.duplicates;
  if (fuzz_chance(&b, 4)) ids_from(&b, x.others, p.m), in.other_duplicates = x.others;
  p.duplicates = in.duplicates, p.others = in.other_duplicates;
  int bent = fuzz_chance(&b, 6);
  if (bent) {
    mcl_array *all[] = {&za, &zb, &dza, &dzb};
    int which = (int)fuzz_below(&b, 4);
    bend(&b, all[which]);
    if (!reaches(all[which], which % 2 ? p.m : p.n, p.dim)) return;
  }
  if (fuzz_chance(&b, 12)) o.temperature = fuzz_number(&b);
  const mcl_loss_options *options = fuzz_struct(&b, &o, sizeof o);
  const mcl_loss_inputs *told = fuzz_struct(&b, &in, sizeof in);

  mcl_struct_init(&r, sizeof r);
  mcl_loss_result was = r;
  fill_pattern(&x);
  if (!fuzz_ok(run(context, p.nt_xent, options, told, &r, &e), &e)) {
    check_untouched(&x, &r, &was);
    return;
  }
  if (bent || o.temperature != p.tau) return;
  if (!options || options->struct_size < sizeof o || told->struct_size < sizeof in) return;
  static inputs least;
  least = x;
  mcl_array ga = mcl_matrix_f32(least.dza, p.n, p.dim), gb = mcl_matrix_f32(least.dzb, p.m, p.dim);
  mcl_loss_result again = was;
  in.dza = &ga, in.dzb = &gb;
  o.flags ^= MCL_LEAST_MEMORY;
  if (fuzz_ok(run(context, p.nt_xent, &o, &in, &again, &e), &e) &&
      (memcmp(&least, &x, sizeof x) || memcmp(&again, &r, sizeof r)))
    fuzz_fail("other bits with the least memory");
  if (!ordinary(x.za, p.n, p.dim) || !ordinary(x.zb, p.m, p.dim)) return;
  p.za = widened(x.za, p.n * p.dim), p.zb = widened(x.zb, p.m * p.dim);
  check_twin(&p, &x, &r);
  free(p.za), free(p.zb);
}
