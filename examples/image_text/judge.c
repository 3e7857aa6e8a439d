// Which pairs of images does a representation tell apart by their captions? A pair counts when both
// images are nearer to their own caption than to the other's (mcl_probe_pairs). The cosine of all
// stages side by side is the sum of the stages' cosines, by the stages' weights, since the
// integrator brings each stage to length 1.
#include "image_text.h"

#include <math.h>
#include <stdlib.h>

// Representations of all test rows.
static int embed_side(const training *t, mcl_integrator *g, int32_t modality, float *z) {
  mcl_dataset *d = t->w->test.joined;
  const int64_t n = t->w->test.n;
  mcl_array row, x, out = mcl_matrix_f32(z, n, mcl_integrator_dim(g));
  TRY(mcl_dataset_shape(d, modality, &row, &err));
  const int64_t shape[4] = {n, row.shape[0], row.shape[1], row.shape[2]};
  int64_t size = n, *indices = malloc((size_t)n * sizeof *indices);
  for (int i = 0; i < row.ndim; i++) size *= row.shape[i];
  int32_t *room = malloc((size_t)size * sizeof *room); // token ids, or pixels, which need less
  int s = indices && room ? 0 : out_of_memory();
  if (s == 0) {
    mcl_inputs in;
    mcl_struct_init(&in, sizeof in);
    for (int64_t i = 0; i < n; i++) indices[i] = i;
    mcl_array_init(&x, room, row.dtype, row.ndim + 1, shape);
    in.indices = indices, in.n = n, in.data = &x, in.modality = modality, in.view = -1;
    s = mcl_dataset_load(d, indices, n, modality, &x, &err);
    if (s == 0) s = mcl_integrator_embed(g, &in, &out, &err);
  }
  free(indices), free(room);
  return s;
}

// By columns first .. first + dim - 1 of the representations.
static int probe(const training *t, float *const z[2], int32_t total, int32_t first, int32_t dim,
                 told *out) {
  mcl_array images = mcl_matrix_f32(z[0] + first, t->w->test.n, dim);
  mcl_array texts = mcl_matrix_f32(z[1] + first, t->w->test.n, dim);
  images.strides[0] = texts.strides[0] = total;
  for (int i = 0; i <= t->w->n_known; i++) mcl_struct_init(&out->of[i], sizeof out->of[i]);
  return mcl_probe_pairs(t->context, NULL, &images, &texts, t->w->category, out->of, t->w->n_known,
                         &err);
}

static int probe_weighted(const training *t, mcl_integrator *g, double growth, float *const z[2],
                          told *out) {
  TRY(mcl_integrator_set_growth(g, growth, &err));
  for (int m = 0; m < 2; m++)
    if (embed_side(t, g, m, z[m]) < 0) return -1;
  return probe(t, z, mcl_integrator_dim(g), 0, mcl_integrator_dim(g), out);
}

static int probe_stages(const training *t, mcl_integrator *g, float *const z[2], outcome *f) {
  for (int s = 0; s < f->stages; s++) {
    int32_t first, dim;
    TRY(mcl_integrator_stage_range(g, s, &first, &dim, &err));
    if (probe(t, z, mcl_integrator_dim(g), first, dim, &f->stage[s]) < 0) return -1;
  }
  return 0;
}

int judge_stages(const training *t, mcl_integrator *g, outcome *f) {
  size_t bytes = (size_t)t->w->test.n * (size_t)mcl_integrator_dim(g) * sizeof(float);
  float *z[2] = {malloc(bytes), malloc(bytes)};
  int s = z[0] && z[1] ? 0 : out_of_memory();
  if (s == 0) s = probe_weighted(t, g, t->o->shared.growth, z, &f->integrated);
  if (s == 0) s = probe_weighted(t, g, 1, z, &f->plain);
  if (s == 0) s = probe_stages(t, g, z, f);
  free(z[0]), free(z[1]);
  return s;
}

static int agree(const training *t, int32_t stage, int32_t modality, double *nmi) {
  const int64_t n = t->w->train.n;
  int32_t *labels = malloc((size_t)n * sizeof *labels);
  if (!labels) return out_of_memory();
  int s = mcl_multistage_labels(t->loop, stage, modality, labels, n, &err);
  for (int a = 0; s == 0 && a < t->w->n_known; a++)
    s = mcl_probe_agreement(t->context, labels, t->w->train.values[a], n, &nmi[a], NULL, NULL,
                            &err);
  free(labels);
  return s;
}

// Stage `from` of a training is stage `to` of the outcome. The shuffled control's clusters follow
// nothing: they are other rows'.
int judge_clusters(const training *t, int32_t from, int to, outcome *f) {
  const uint32_t clustered = (uint32_t)t->o->sides + 1;
  for (int32_t m = 0; m < 2; m++) {
    for (int a = 0; a < MAX_ATTRIBUTES; a++) f->nmi[to][m][a] = NAN;
    if (!(clustered >> m & 1) || t->o->shared.control == SHUFFLED) continue;
    if (agree(t, from, m, f->nmi[to][m]) < 0) return -1;
  }
  mcl_struct_init(&f->report[to], sizeof f->report[to]);
  return mcl_multistage_get_report(t->loop, from, clustered & 1 ? 0 : 1, &f->report[to], &err);
}
