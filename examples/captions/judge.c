// How often is an image's own caption among the nearest captions, and a caption's own image among
// the nearest images? The cosine of all stages side by side is the sum of the stages' cosines, by
// the stages' weights, since the integrator brings each stage to length 1.
#include "captions.h"

#include <stdlib.h>

const int32_t ranks[RANKS] = {1, 5, 10};

// Representations of all test rows.
static int embed_side(const training *t, mcl_integrator *g, int32_t modality, float *z) {
  const rows *r = &t->w->test;
  const int64_t pixels[4] = {r->n, SIDE, SIDE, 3}, tokens[2] = {r->n, t->w->context};
  mcl_array x, out = mcl_matrix_f32(z, r->n, mcl_integrator_dim(g));
  int64_t *indices = malloc((size_t)r->n * sizeof *indices);
  if (!indices) return out_of_memory();
  // Each test row has an image of its own, in order.
  if (modality == 0)
    mcl_array_init(&x, r->pixels, MCL_U8, 4, pixels);
  else
    mcl_array_init(&x, r->tokens, MCL_I32, 2, tokens);
  mcl_inputs in;
  mcl_struct_init(&in, sizeof in);
  for (int64_t i = 0; i < r->n; i++) indices[i] = i;
  in.indices = indices, in.n = r->n, in.data = &x, in.modality = modality, in.view = -1;
  int s = mcl_integrator_embed(g, &in, &out, &err);
  free(indices);
  return s;
}

// By columns first .. first + dim - 1 of the representations.
static int probe(const training *t, float *const z[2], int32_t total, int32_t first, int32_t dim,
                 recall *out) {
  const int64_t n = t->w->test.n;
  mcl_array side[2];
  int64_t *match = malloc((size_t)n * sizeof *match);
  if (!match) return out_of_memory();
  for (int64_t i = 0; i < n; i++) match[i] = i;
  for (int m = 0; m < 2; m++) {
    side[m] = mcl_matrix_f32(z[m] + first, n, dim);
    side[m].strides[0] = total;
  }
  int s = 0;
  for (int i = 0; s == 0 && i < 2 * RANKS; i++) {
    const int from = i / RANKS == IMAGE_TO_TEXT ? 0 : 1, k = ranks[i % RANKS];
    mcl_probe_result r;
    mcl_struct_init(&r, sizeof r);
    s = mcl_probe_recall(t->context, NULL, &side[from], &side[!from], match, k < n ? k : (int32_t)n,
                         &r, &err);
    out->at[i / RANKS][i % RANKS] = r.value;
  }
  free(match);
  return s;
}

static int probe_weighted(const training *t, mcl_integrator *g, double growth, float *const z[2],
                          recall *out) {
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
  const size_t bytes = (size_t)t->w->test.n * (size_t)mcl_integrator_dim(g) * sizeof(float);
  float *z[2] = {malloc(bytes), malloc(bytes)};
  int s = z[0] && z[1] ? 0 : out_of_memory();
  if (s == 0) s = probe_weighted(t, g, t->o->shared.growth, z, &f->integrated);
  if (s == 0) s = probe_weighted(t, g, 1, z, &f->plain);
  if (s == 0) s = probe_stages(t, g, z, f);
  free(z[0]), free(z[1]);
  return s;
}

int judge_clusters(const training *t, int32_t from, int to, outcome *f) {
  const int32_t modality = t->o->sides == SIDES_TEXT ? 1 : 0;
  mcl_struct_init(&f->report[to], sizeof f->report[to]);
  return mcl_multistage_get_report(t->loop, from, modality, &f->report[to], &err);
}
