// How often is an image's own caption among the nearest captions, and a caption's own image among
// the nearest images? The cosine of all stages side by side is the sum of the stages' cosines, by
// the stages' weights, since the integrator brings each stage to length 1.
#include "captions.h"

#include <stdlib.h>

const int32_t ranks[RANKS] = {1, 5, 10};

int judge(void *user, int of, float *const z[2], int32_t total, int32_t first, int32_t dim) {
  run *t = user;
  recall *out = of == PAIR_INTEGRATED ? &t->found.integrated
                : of == PAIR_PLAIN    ? &t->found.plain
                                      : &t->found.stage[of];
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

int judge_clusters(void *user, mcl_multistage *loop, int32_t from, int to) {
  run *t = user;
  const int32_t modality = t->o->sides == SIDES_TEXT ? 1 : 0;
  mcl_stage_report *r = &t->found.report[to];
  mcl_struct_init(r, sizeof *r);
  return mcl_multistage_get_report(loop, from, modality, r, &err);
}
