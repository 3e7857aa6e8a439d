/* What does a representation know? Probes: numbers about embeddings that were made elsewhere.
 *
 * Every probe is a pure function of its arguments: no handle, no random draw, the same bits for any number of
 * threads. Arrays are [rows, dim] of any float type and are read during the call only; a row with a NaN or an infinity
 * is MCL_E_NOT_FINITE with its number in mcl_error.row.
 *
 * Where a probe has a twin whose name ends in _rows, embeddings may come from a callback or a .npy file too (libmcl/rows.h):
 * they are read block by block, as often as the twin says, and need not fit in memory. The function without _rows is that
 * one with two arrays. Arrays, and rows with MCL_ROWS_ANY_THREAD, are read by all threads of the context, other callbacks on
 * the calling thread. What memory a twin states is all it takes, whatever the number of rows. It counts in blocks: 256 rows
 * as float32, and once more 8 bytes a number where a callback writes another type.
 *
 * "Cosine" is the inner product of L2-normalised rows in float32; a zero row has cosine 0 with everything. Rows that are
 * probed must never have been trained on or clustered: the probes cannot know.
 *
 * Labels are int32 values 0 .. 1048575 (2^20 - 1), in no need of being dense; one outside is MCL_E_INVALID with its row:
 * larger numbers are ids, and a class each would never end.
 *
 * Errors of every call here: MCL_E_INVALID (a NULL argument, an option or a label out of its range), MCL_E_SHAPE,
 * MCL_E_DTYPE, MCL_E_NOT_FINITE, MCL_E_LIMIT (sizes whose product does not fit), MCL_E_NOMEM, MCL_E_CALLBACK (a host's
 * runner failed, or a read callback with a status of its own), what else reading rows returns (MCL_E_IO: a file cut short),
 * and MCL_E_CANCELLED where there is a monitor. A failed call writes nothing but `err`. Any thread. */
#ifndef LIBMCL_PROBE_H
#define LIBMCL_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/rows.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** Prepared by mcl_probe_options_init(). */
typedef struct mcl_probe_options {
  size_t struct_size;
  uint64_t seed; /**< not used by the probes of this version, none of which draws */
  int32_t
      neighbours; /**< kNN: votes a query; >= 1; default 20; all rows vote where there are fewer */
  int32_t max_iterations;    /**< linear: of L-BFGS; >= 1; default 2000 */
  double l2;                 /**< linear: penalty on the squared weights; >= 0; default 1e-6 */
  double gradient_tolerance; /**< linear: see mcl_probe_linear(); > 0; default 1e-6 */
  double confidence;         /**< of the interval low .. high; inside (0, 1); default .95 */
} mcl_probe_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_probe_options_init(mcl_probe_options *options, size_t struct_size);

/** A share of rows (or pairs) that came out right. Prepared by mcl_struct_init().
 *
 *  The interval is Wilson's score interval for `correct` of `total` (Wilson 1927; Brown, Cai & DasGupta 2001, eq. 4): it
 *  says how far another sample of test rows might differ, not another training run. It is never empty and stays in
 *  0..1; at total 0 it is 0..1 and `value` is NaN. */
typedef struct mcl_probe_result {
  size_t struct_size;
  double value;       /**< correct / total */
  double low;         /**< lower end of the interval at options' `confidence` */
  double high;        /**< upper end */
  int64_t correct;    /**< how many came out right */
  int64_t total;      /**< of so many */
  int32_t iterations; /**< linear: of L-BFGS; else 0 */
  int32_t
      converged; /**< linear: 1 when the gradient tolerance was reached, else 0; other probes: 1 */
} mcl_probe_result;

/** Accuracy of a converged linear classifier: multinomial logistic regression on standardised features.
 *
 *  Each feature is standardised by the mean and the standard deviation (divisor n) of the training rows; one that is
 *  constant there is ignored. Minimised is
 *      mean over rows of -log softmax(W x + b)_y  +  l2 * sum W^2
 *  (the bias is not penalised; scikit-learn's C is 1 / (2 l2 n)) by L-BFGS (Nocedal & Wright 2006, algorithm 7.5) from
 *  zero until the largest absolute partial derivative with respect to any weight or bias is <= gradient_tolerance.
 *  Out of iterations, or where float32 sums allow no further descent, the call succeeds with converged 0: show that
 *  number beside the accuracy.
 *
 *  A test row is right when its label has the largest score, the lowest label among equals. The classes are the labels
 *  that occur in y; a test row of another label is wrong, not an error.
 *
 *  z [n, dim], y [n]: training rows, n >= 1; test_z [m, dim], test_y [m]: m >= 1. `options` NULL: the defaults;
 *  `monitor` NULL: none; its phases are "fit" (done: iterations, loss: the minimised value) and "test". */
MCL_API MCL_CHECK mcl_status mcl_probe_linear(mcl_context *context,
                                              const mcl_probe_options *options, const mcl_array *z,
                                              const int32_t *y, const mcl_array *test_z,
                                              const int32_t *test_y, const mcl_monitor *monitor,
                                              mcl_probe_result *out, mcl_error *err);

/** The same of rows from anywhere. Rows of z that are no array are read once, and once more in every evaluation of the
 *  minimised value, a little more than one an iteration; those of test_z twice.
 *
 *  Memory: 50 doubles a weight, the classes rounded up to 16; for partial sums at most 32 MiB or 4 doubles a weight; 5 MiB for
 *  labels; a thread two blocks, 256 scores a class and 4 bytes a weight. Of an array z, a float32 copy: converting and
 *  standardising its rows again in every evaluation would take more than half as long again as all the rest. A host that
 *  has no room for the copy hands its array over by a callback. */
MCL_API MCL_CHECK mcl_status mcl_probe_linear_rows(mcl_context *context,
                                                   const mcl_probe_options *options,
                                                   const mcl_rows *z, const int32_t *y,
                                                   const mcl_rows *test_z, const int32_t *test_y,
                                                   const mcl_monitor *monitor,
                                                   mcl_probe_result *out, mcl_error *err);

/** Accuracy of a vote of the nearest training rows by cosine.
 *
 *  The `neighbours` rows of z with the largest cosine to a test row vote with one vote each; among rows of equal
 *  cosine the lower row number is nearer. The label with the most votes wins; among labels with equally many votes, the
 *  one whose nearest voter is nearest. Equal means equal in float32.
 *
 *  Arguments as for mcl_probe_linear(); the monitor's phase is "test" (done: test rows, of which those that have seen a half of
 *  z count a half). */
MCL_API MCL_CHECK mcl_status mcl_probe_knn(mcl_context *context, const mcl_probe_options *options,
                                           const mcl_array *z, const int32_t *y,
                                           const mcl_array *test_z, const int32_t *test_y,
                                           const mcl_monitor *monitor, mcl_probe_result *out,
                                           mcl_error *err);

/** The same of rows from anywhere. test_z is read once, z once for every chunk of test rows: as many as fit in 64 MiB with
 *  16 bytes a neighbour, 80,000 of 128 numbers; at least 128 a thread.
 *
 *  Memory: a chunk; two slabs of z, of 4 MiB or 512 rows; a thread two blocks and 256 KiB. */
MCL_API MCL_CHECK mcl_status mcl_probe_knn_rows(mcl_context *context,
                                                const mcl_probe_options *options, const mcl_rows *z,
                                                const int32_t *y, const mcl_rows *test_z,
                                                const int32_t *test_y, const mcl_monitor *monitor,
                                                mcl_probe_result *out, mcl_error *err);

/** Recall at k of retrieval: the share of queries that find their own match among the k nearest rows of the gallery.
 *
 *  match[i] (0 .. m - 1) is the gallery row that belongs to query i. It is found when fewer than k other gallery rows
 *  have a cosine above its own less 1e-6: ties, and what float32 cannot tell from a tie, count against the query, so
 *  that a collapsed representation has recall 0 rather than 1. Copies of the match in the gallery count as others.
 *
 *  queries [n, dim], gallery [m, dim], match [n], k in 1 .. m; only `confidence` is used of the options. */
MCL_API MCL_CHECK mcl_status mcl_probe_recall(mcl_context *context,
                                              const mcl_probe_options *options,
                                              const mcl_array *queries, const mcl_array *gallery,
                                              const int64_t *match, int32_t k,
                                              mcl_probe_result *out, mcl_error *err);

/** The same of rows from anywhere. Queries are read once, the gallery twice for every chunk of queries, once in all where
 *  two slabs hold it. Chunks, slabs and memory as for mcl_probe_knn_rows(), with 12 bytes a query in place of the neighbours. */
MCL_API MCL_CHECK mcl_status mcl_probe_recall_rows(mcl_context *context,
                                                   const mcl_probe_options *options,
                                                   const mcl_rows *queries, const mcl_rows *gallery,
                                                   const int64_t *match, int32_t k,
                                                   mcl_probe_result *out, mcl_error *err);

/** Recall at k of retrieval with several right answers, as images with five captions have: the share of queries that
 *  find a gallery row of their own group among the k nearest.
 *
 *  Rows of equal group belong together; groups are any numbers (mcl_dataset_groups() has some). The best row of the
 *  query's group is found when fewer than k gallery rows of other groups have a cosine above its own less 1e-6: ties
 *  count against the query, as in mcl_probe_recall(), and rows of its group never do. Image to text and text to image
 *  are the same call with the arrays exchanged. With groups that have one gallery row each it is mcl_probe_recall().
 *
 *  queries [n, dim], query_group [n], gallery [m, dim], gallery_group [m], k in 1 .. m. A query whose group the gallery
 *  lacks is MCL_E_INVALID with its row. Only `confidence` is used of the options. */
MCL_API MCL_CHECK mcl_status
mcl_probe_retrieval(mcl_context *context, const mcl_probe_options *options,
                    const mcl_array *queries, const int64_t *query_group, const mcl_array *gallery,
                    const int64_t *gallery_group, int32_t k, mcl_probe_result *out, mcl_error *err);

/** The same of rows from anywhere, read as for mcl_probe_recall_rows(). Memory: its, and 16 bytes a row of the gallery. */
MCL_API MCL_CHECK mcl_status mcl_probe_retrieval_rows(
    mcl_context *context, const mcl_probe_options *options, const mcl_rows *queries,
    const int64_t *query_group, const mcl_rows *gallery, const int64_t *gallery_group, int32_t k,
    mcl_probe_result *out, mcl_error *err);

/** Accuracy of classification by prompts alone (Radford et al. 2021, "CLIP", section 3.1.4, prompt ensembling).
 *
 *  A class's prototype is the mean of the L2-normalised embeddings of its prompts, normalised again. A row is right when
 *  no other class's prototype has a cosine above that of its own class's less 1e-6: ties count against it. The classes
 *  are the labels that occur in prompt_y.
 *
 *  Of an integrator's representations (of prompts and rows alike) the same holds as of one embedding: the mean is
 *  normalised whole, not stage by stage. So a row's score is the mean of its cosines with the class's prompts, times a
 *  number of the class, and every stage has its weight q_s in each of those cosines. A stage in which the
 *  prompts of a class contradict one another has a short mean and says little; normalised by itself it would
 *  speak with full weight about noise. Whoever wants that all the same gives mcl_integrator_concat() the stages' own means.
 *
 *  prompts [p, dim], prompt_y [p]: the class of each; z [n, dim], y [n]: rows and their labels. A label that has no prompt
 *  is MCL_E_INVALID with its row. mcl_tokenizer_encode_templates() makes prompts. Only `confidence` is used of the
 *  options. */
MCL_API MCL_CHECK mcl_status mcl_probe_zero_shot(mcl_context *context,
                                                 const mcl_probe_options *options,
                                                 const mcl_array *prompts, const int32_t *prompt_y,
                                                 const mcl_array *z, const int32_t *y,
                                                 mcl_probe_result *out, mcl_error *err);

/** The same of rows from anywhere, each read once; the prompts stay an array. Memory: a float32 copy of the prompts, one row a
 *  class, 4 MiB for labels, and what mcl_probe_recall_rows() takes with z as queries and the classes as gallery. */
MCL_API MCL_CHECK mcl_status mcl_probe_zero_shot_rows(mcl_context *context,
                                                      const mcl_probe_options *options,
                                                      const mcl_array *prompts,
                                                      const int32_t *prompt_y, const mcl_rows *z,
                                                      const int32_t *y, mcl_probe_result *out,
                                                      mcl_error *err);

/** Pair accuracy as in MMVP-VLM (Tong et al. 2024, "Eyes Wide Shut?", section 3.2): rows 2i and 2i + 1 of `images` and of
 *  `texts` are a pair of images that are hard to tell apart and their captions. A pair counts when both images
 *  prefer their own caption to the other one, by cosine; an exact tie is no preference. Chance is 1/4.
 *
 *  The authors' script asks the other way round, each caption for its image: swap the two arrays to get that figure.
 *  mcl_dataset_create_questions() opens their files, or one's own, as rows in this order; the categories are the labels
 *  of the even rows.
 *
 *  images, texts [2 p, dim], p >= 1. category [p]: of each pair, 0 .. n_categories - 1; NULL with n_categories 0.
 *  out [1 + n_categories]: each element prepared by mcl_struct_init() with the same size; out[0] is over all pairs,
 *  out[1 + c] over those of category c (`total` may be 0). An offending pair's number is in mcl_error.row. Only
 *  `confidence` is used of the options. */
MCL_API MCL_CHECK mcl_status mcl_probe_pairs(mcl_context *context, const mcl_probe_options *options,
                                             const mcl_array *images, const mcl_array *texts,
                                             const int32_t *category, mcl_probe_result *out,
                                             int32_t n_categories, mcl_error *err);

/** Pairs of rows that `before` cannot tell apart and `after` can: what a later stage has learnt.
 *
 *  Two rows are alike when their cosine in `before` is >= alike (to within 1e-6, so that copies are alike at 1); .95 is a
 *  good start. Of all alike pairs of unused rows the one with the smallest cosine in `after` is taken, its two rows
 *  are used up, and so on: each row is in at most one pair, since otherwise one odd row would fill the list. Of
 *  pairs with equal cosines the one with the lower first row goes first, then the lower second row. The pairs come
 *  in the order in which they were taken, farthest apart first; nothing is said about how far that is.
 *
 *  before [n, dim], after [n, dim2]. pairs [2 * capacity]: pair i is rows pairs[2 i] < pairs[2 i + 1]. `got` gets the
 *  number of pairs, at most `capacity` (>= 1); fewer when there are no more. Time is O(n^2 (dim + dim2)) for the first
 *  pass, some .2 s at 10,000 rows of 128; memory O(n (dim + dim2)). */
MCL_API MCL_CHECK mcl_status mcl_probe_blind_pairs(mcl_context *context, const mcl_array *before,
                                                   const mcl_array *after, double alike,
                                                   int64_t *pairs, int64_t capacity, int64_t *got,
                                                   mcl_error *err);

/** How well two labellings of the same n rows (n >= 1) agree. Any of the outputs may be NULL. Labels are any int32 >= 0
 *  here.
 *
 *  nmi: mutual information over the arithmetic mean of the two entropies, 0..1, 1 when both have a single label
 *  (scikit-learn's normalized_mutual_info_score). ari: adjusted Rand index (Hubert & Arabie 1985), 1 for the same
 *  partition, about 0 for unrelated ones. purity: share of rows whose label in b is the commonest one of their
 *  cluster in a; it is not symmetric and grows with the number of clusters. Time O(n), memory 16 n bytes. */
MCL_API MCL_CHECK mcl_status mcl_probe_agreement(mcl_context *context, const int32_t *a,
                                                 const int32_t *b, int64_t n, double *nmi,
                                                 double *ari, double *purity, mcl_error *err);

/** Alignment and uniformity on the unit sphere (Wang & Isola 2020, section 4.1), with alpha = 2 and t = 2:
 *      alignment  = mean over i of |a_i - b_i|^2                               0 is best
 *      uniformity = log of the mean over pairs i < j of exp(-2 |a_i - a_j|^2)  lower is better, 0 is collapsed
 *  for L2-normalised rows; uniformity is the mean of za's and zb's, or za's alone when zb is NULL.
 *
 *  za, zb [n, dim]: rows i are two views of the same. Either output may be NULL; alignment must be when zb is.
 *  Uniformity needs n >= 2 and is exact over all n (n - 1) / 2 pairs: O(n^2 dim), about .1 s at 10,000 rows of 128,
 *  so pass a sample of a large set. */
MCL_API MCL_CHECK mcl_status mcl_probe_alignment_uniformity(mcl_context *context,
                                                            const mcl_array *za,
                                                            const mcl_array *zb, double *alignment,
                                                            double *uniformity, mcl_error *err);

MCL_END_DECLS

#endif
