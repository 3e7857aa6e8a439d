// Go on or stop, and more clusters or not? From the stage report alone: no label is looked at.
//
// The next stage trains a fresh encoder in the cells that this stage's clusters leave. Four things
// can make it useless, and each shows in figures of its own:
//
//   1. Its cells are too small. A row alone in its cell has no loss at all; with m negatives the
//      loss can teach no more than log2(m + 1) bits about a row. Figure: the share of rows with
//      enough negatives.
//   2. Its cells are those of this stage. Then it is this stage once more with another seed: a
//      member of an ensemble. Figure: H(clusters | cells) / log K, 0 where the cells determine the
//      clusters. This is so when an encoder keeps what the cells are made of, as a perceptron keeps
//      bits in its input that training no longer asks for.
//   3. This stage found nothing: it tells rows of its cells apart hardly better than the stages
//      before it. Then the next, in smaller cells yet, is not likely to. Figures: bits of told
//      against told_before, on the same rows and views. It does not hold while the cells still
//      leave more of the old features than a stage can take away: then learning those again is what
//      a stage has to do.
//   4. What has been learnt still tells rows apart in them. Then the old features satisfy the new
//      loss, and the next stage learns them again, or more of the same. Figure: told_next, in bits
//      (told.c): how many yes-or-no questions the old features still answer within a cell. A stage
//      answers log2 K of them at most.
//
// The first three are reasons to stop. The last is not: a code of 10 bits and K = 32 has 5 bits
// left after a stage, and none after the next, which then learns what the code suppressed. But
// where what is left outlasts two more stages, K is too small for it, or for many rows no K is
// enough: the cells will be too small before the code is used up.
//
// The order is that of certainty. 1 is arithmetic. 2 is exact for the cells there are. 3 and 4 are
// estimates; in 4 natural features, which every stage should learn, also tell rows of a cell apart,
// which is why it needs a margin.
//
// What no figure tells in time: whether the clusters already follow the attribute that the host
// wants. Then the next stage must forget it. Once it is trained, 3 may show that it found nothing
// instead; before, it looks like any good stage. The integrated representation keeps what came
// before it.
//
// Rejected: NMI with the stage before, which is low for a good stage and also for one that splits a
// rich code in another way; the mean cosine within a cell, whose scale is the temperature's; the
// loss and its accuracy, which depend on the sizes of cells.
#include <math.h>

#include "multistage/report.h"

// How many rows must have enough negatives: a stage is trained by its rows, so half of them. Were
// it less, most rows of the next stage would have next to no loss; were it more, one cluster that
// falls to dust would end a run in which the other rows still learn.
static const double LEAST_ENOUGH = 0.5;

// MCL_ENOUGH_NEGATIVES is 8, so cells of 9 rows are the smallest that count: 3 bits a row. At 32
// the cells of 13 rows would not count in which ten random bits and K = 32 give way to the class
// (docs/choosing.md). At 3, the rows of a cell that backing off puts together from its siblings
// would, which differ in what was learnt.

// The least news, as a share of log K. With K = 10 a tenth is .23 nats: as if one cell in ten were
// split evenly among all clusters. Were it larger, a stage that splits only the few large cells
// that are left would be the last; were it smaller, rows at the borders of clusters, which fall to
// one side or the other by the seed, would pass for news. It also ends every run: each stage adds
// at least this to the entropy of the cells, which cannot exceed log rows.
static const double LEAST_NEWS = 0.1;

// How many more stages of K clusters what is left may outlast. 10 bits with K = 32 and rows enough
// are left after stage 0 of a code of 15, and two stages later the class is learnt: with 1, that
// would be called hopeless. With 3 and K = 10, 10 bits would be called near, and a data set of
// 10,000 rows has no cells for that.
static const double MOST_STAGES = 2;

// told = 1 - 2^-b / 2, solved for b; no fewer than 0, which is chance.
static double bits(double told) {
  return told > 0.5 ? -log2(2 * (1 - told)) : 0;
}

// How much better than the stages before it, in bits, a stage has to tell rows of its cells apart:
// half a question. Stages that find what was suppressed gain 1.6 to 2 bits. A stage on plain
// images, which had suppressed nothing and forgets much, gains 0; a perceptron's, which make a
// worse representation than an ensemble, .2 to .4; the last stage that gains anything with four
// random bits .3 or less. At .1, three standard errors of the difference, each of these runs would
// go on for one or two stages in vain; at 1 and more, what is half suppressed would not be looked
// for.
static const double LEAST_FOUND = 0.5;

// A stage of K clusters takes away log2 K bits at most. Up to there what is left of the old
// features is not in the way; beyond it, it is what the stage learns first.
static bool found_nothing(const mcl_stage_report *r, double k) {
  return bits(r->told) < bits(r->told_before) + LEAST_FOUND && bits(r->told_before) <= log2(k) &&
         !isnan(r->told) && !isnan(r->told_before);
}

// k: clusters of all modalities, as they split the cells together.
static int32_t advise(const mcl_stage_report *r, double k) {
  if (!(r->next_enough_negatives >= LEAST_ENOUGH)) return MCL_ADVICE_CELLS_TOO_SMALL;
  if (r->k_effective < 2 || r->entropy_given_previous < LEAST_NEWS) return MCL_ADVICE_NOTHING_NEW;
  if (found_nothing(r, k)) return MCL_ADVICE_NOTHING_NEW;
  if (bits(r->told_next) > MOST_STAGES * log2(k)) return MCL_ADVICE_RAISE_K;
  return MCL_ADVICE_GO_ON;
}

static double news(const mcl_stage_report *r) {
  return r->entropy_given_previous > 0 ? r->entropy_given_previous : 0;
}

void mcli_advise(mcli_stage_result *r) {
  int most = -1;
  double k = 1;
  for (int m = 0; m < MCLI_MAX_MODALITIES; m++) {
    if (!r->labels[m]) continue;
    k *= r->report[m].k_effective;
    if (most < 0 || news(&r->report[m]) > news(&r->report[most])) most = m;
  }
  for (int m = 0; most >= 0 && m < MCLI_MAX_MODALITIES; m++)
    r->report[m].advice = advise(&r->report[most], k);
}

bool mcli_advice_is_to_stop(int32_t advice) {
  return advice == MCL_ADVICE_NOTHING_NEW || advice == MCL_ADVICE_CELLS_TOO_SMALL;
}

const char *mcl_advice_text(int32_t advice) {
  switch (advice) {
  case MCL_ADVICE_GO_ON:
    return "Go on: the clusters split the cells, and these are large enough to train in.";
  case MCL_ADVICE_RAISE_K:
    return "Raise K, or go on for many stages: within the cells, rows are still told apart by what "
           "has been learnt.";
  case MCL_ADVICE_NOTHING_NEW:
    return "Stop: this stage tells its cells' rows apart hardly better than those before it, or "
           "leaves the cells as they are.";
  case MCL_ADVICE_CELLS_TOO_SMALL:
    return "Stop: the next cells would be too small, most rows having too few negatives.";
  default:
    return "No advice.";
  }
}
