// How often is a caption of an image among the nearest captions, and a caption's image among the
// nearest images? The cosine of all stages side by side is the sum of the stages' cosines, by
// the stages' weights, since the integrator brings each stage to length 1.
#include "captions.h"

int judge(void *user, int of, float *const z[2], int32_t total, int32_t first, int32_t dim) {
  run *t = user;
  recall *out = of == PAIR_INTEGRATED ? &t->found.integrated
                : of == PAIR_PLAIN    ? &t->found.plain
                                      : &t->found.stage[of];
  return recall_measure(t->context, z, t->w->test_image, t->w->test.n, total, first, dim, out);
}

int judge_clusters(void *user, mcl_multistage *loop, int32_t from, int to) {
  run *t = user;
  const int32_t modality = t->o->sides == SIDES_TEXT ? 1 : 0;
  mcl_stage_report *r = &t->found.report[to];
  mcl_struct_init(r, sizeof *r);
  return mcl_multistage_get_report(loop, from, modality, r, &err);
}
