// What does each representation know of each attribute? Probes learn on the training rows and are judged on held-out ones.
#include "discover.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef mcl_status (*probe_fn)(mcl_context *, const mcl_probe_options *, const mcl_array *,
                               const int32_t *, const mcl_array *, const int32_t *,
                               const mcl_monitor *, mcl_probe_result *, mcl_error *);

// Columns first .. first + dim - 1 of z; NaN where the attribute is not known.
static int probe(const run *r, probe_fn fn, const representation *z, int32_t first, int32_t dim,
                 const int32_t *y, double *out) {
  const data *d = &r->data;
  *out = NAN;
  if (!y || d->holdout == 0) return 0;
  mcl_array train = mcl_matrix_f32(z->z + first, d->rows, dim);
  mcl_array test = mcl_matrix_f32(z->z + first + d->rows * z->dim, d->holdout, dim);
  train.strides[0] = test.strides[0] = z->dim;
  mcl_probe_result result;
  mcl_struct_init(&result, sizeof result);
  mcl_monitor m;
  mcl_struct_init(&m, sizeof m);
  m.progress = progress;
  TRY(fn(r->context, NULL, &train, y, &test, y + d->rows, &m, &result, &err));
  *out = result.value;
  return 0;
}

// The code is one label of 2^bits classes, each with weights of its own in the linear probe. 256 classes take seconds;
// 1024 of ten rows each take longer than the training.
enum { MOST_LINEAR_BITS = 8 };

static int probe_row(const run *r, table *t, const char *name, const representation *z,
                     int32_t first, int32_t dim) {
  if (!z->z) return 0;
  knowledge *k = &t->rows[t->n++];
  const data *d = &r->data;
  snprintf(k->name, sizeof k->name, "%s", name);
  k->nmi_class = k->nmi_bits = NAN;
  if (probe_recall(r, z, first, dim, &k->recall) < 0) return -1;
  if (probe(r, mcl_probe_knn, z, first, dim, d->class_of, &k->knn_class) < 0) return -1;
  if (probe(r, mcl_probe_knn, z, first, dim, d->code_of, &k->knn_bits) < 0) return -1;
  if (probe(r, mcl_probe_linear, z, first, dim, d->class_of, &k->linear_class) < 0) return -1;
  k->linear_bits = NAN;
  if (r->o->randbits > MOST_LINEAR_BITS) return 0;
  return probe(r, mcl_probe_linear, z, first, dim, d->code_of, &k->linear_bits);
}

static int add_nmi(const run *r, int stage, knowledge *k) {
  const data *d = &r->data;
  if (d->class_of)
    TRY(mcl_probe_agreement(r->context, r->labels[0][stage], d->class_of, d->rows, &k->nmi_class,
                            NULL, NULL, &err));
  if (d->code_of)
    TRY(mcl_probe_agreement(r->context, r->labels[0][stage], d->code_of, d->rows, &k->nmi_bits,
                            NULL, NULL, &err));
  return 0;
}

int probe_all(run *r, table *t) {
  progress_say("probing");
  t->n = 0;
  if (probe_row(r, t, "pixels", &r->pixels, 0, r->pixels.dim) < 0) return -1;
  if (probe_row(r, t, "untrained", &r->untrained, 0, r->untrained.dim) < 0) return -1;
  for (int s = 0; s < r->stages; s++) {
    char name[32];
    snprintf(name, sizeof name, "stage %d", s);
    if (probe_row(r, t, name, &r->integrated, r->first[s], r->first[s + 1] - r->first[s]) < 0)
      return -1;
    if (add_nmi(r, s, &t->rows[t->n - 1]) < 0) return -1;
  }
  if (probe_row(r, t, "integrated", &r->integrated, 0, r->integrated.dim) < 0) return -1;
  if (probe_row(r, t, "ensemble", &r->ensemble, 0, r->ensemble.dim) < 0) return -1;
  return probe_row(r, t, "shuffled", &r->shuffled, 0, r->shuffled.dim);
}

const knowledge *find_row(const table *t, const char *name) {
  for (int i = 0; i < t->n; i++)
    if (!strcmp(t->rows[i].name, name)) return &t->rows[i];
  return NULL;
}

const knowledge *last_stage(const run *r, const table *t) {
  char name[32];
  snprintf(name, sizeof name, "stage %d", r->stages - 1);
  return find_row(t, name);
}
