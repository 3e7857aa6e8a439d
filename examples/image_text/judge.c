// Which pairs of images does a representation tell apart by their captions? A pair counts when both
// images are nearer to their own caption than to the other's (mcl_probe_pairs). The cosine of all
// stages side by side is the sum of the stages' cosines, by the stages' weights, since the
// integrator brings each stage to length 1.
#include "image_text.h"

#include <math.h>
#include <stdlib.h>

int judge(void *user, int of, float *const z[2], int32_t total, int32_t first, int32_t dim) {
  run *r = user;
  const world *w = r->w;
  told *out = of == PAIR_INTEGRATED ? &r->found.integrated
              : of == PAIR_PLAIN    ? &r->found.plain
                                    : &r->found.stage[of];
  mcl_array images = mcl_matrix_f32(z[0] + first, w->test.n, dim);
  mcl_array texts = mcl_matrix_f32(z[1] + first, w->test.n, dim);
  images.strides[0] = texts.strides[0] = total;
  for (int i = 0; i <= w->n_known; i++) mcl_struct_init(&out->of[i], sizeof out->of[i]);
  return mcl_probe_pairs(r->context, NULL, &images, &texts, w->category, out->of, w->n_known, &err);
}

static int agree(const run *t, mcl_multistage *loop, int32_t stage, int32_t modality, double *nmi) {
  const int64_t n = t->w->train.n;
  int32_t *labels = malloc((size_t)n * sizeof *labels);
  if (!labels) return out_of_memory();
  int s = mcl_multistage_labels(loop, stage, modality, labels, n, &err);
  for (int a = 0; s == 0 && a < t->w->n_known; a++)
    s = mcl_probe_agreement(t->context, labels, t->w->train.values[a], n, &nmi[a], NULL, NULL,
                            &err);
  free(labels);
  return s;
}

// The shuffled control's clusters follow nothing: they are other rows'.
int judge_clusters(void *user, mcl_multistage *loop, int32_t from, int to) {
  run *r = user;
  outcome *f = &r->found;
  const uint32_t clustered = (uint32_t)r->o->sides + 1;
  for (int32_t m = 0; m < 2; m++) {
    for (int a = 0; a < MAX_ATTRIBUTES; a++) f->nmi[to][m][a] = NAN;
    if (!(clustered >> m & 1) || r->o->shared.control == SHUFFLED) continue;
    if (agree(r, loop, from, m, f->nmi[to][m]) < 0) return -1;
  }
  mcl_struct_init(&f->report[to], sizeof f->report[to]);
  return mcl_multistage_get_report(loop, from, clustered & 1 ? 0 : 1, &f->report[to], &err);
}
