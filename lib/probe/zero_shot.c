// Zero shot: is a row nearest to its own class's prompts?
//
//   p_c = mean over prompts i of class c of u_i, u_i at length 1                     (1)
//   found: recall of 1 among the p_c at length 1, each row's match being its class's   (2)
//
// The rows are the queries, however many they are: there are few classes.
#include "probe/recall.h"

// Classes numbered 0, 1, ... in the order of their first prompts: place[label], -1: no prompt. *n: how many.
static int32_t *number_classes(mcl_context *c, const int32_t *prompt_y, int64_t prompts,
                               int32_t *n) {
  int32_t *place = MCLI_NEW(c, int32_t, PROBE_LABELS);
  *n = 0;
  if (!place) return NULL;
  for (int32_t i = 0; i < PROBE_LABELS; i++) place[i] = -1;
  for (int64_t i = 0; i < prompts; i++)
    if (place[prompt_y[i]] < 0) place[prompt_y[i]] = (*n)++;
  return place;
}

// (1), [classes, dim], but for the division, which a normalisation makes idle.
static mcl_status make_prototypes(mcl_context *c, const mcl_array *prompts, const int32_t *prompt_y,
                                  const int32_t *place, float *prototypes, mcl_error *err) {
  float *unit = NULL;
  int64_t dim = prompts->shape[1];
  mcl_status s = mcli_probe_copy(c, prompts, "prompts", PROBE_UNIT, &unit, err);
  for (int64_t i = 0; s == MCL_OK && i < prompts->shape[0]; i++)
    for (int64_t k = 0; k < dim; k++) prototypes[place[prompt_y[i]] * dim + k] += unit[i * dim + k];
  mcli_free(c, unit);
  return s;
}

// A label without a prompt is refused.
static mcl_status check_classes(const int32_t *y, int64_t n, const int32_t *place, mcl_error *err) {
  for (int64_t i = 0; i < n; i++)
    if (place[y[i]] < 0)
      return mcli_fail_row(err, MCL_E_INVALID, i, "y[%lld] is %d, a class that has no prompt",
                           (long long)i, (int)y[i]);
  return MCL_OK;
}

static mcl_status open_sides(mcl_context *c, const mcl_array *prompts, const int32_t *prompt_y,
                             const mcl_rows *z, const int32_t *y, mcli_source *rows,
                             mcl_error *err) {
  mcl_status s = mcli_probe_matrix_check(prompts, "prompts", -1, -1, err);
  if (s == MCL_OK) s = mcli_probe_side_open(c, z, "z", prompts->shape[1], rows, err);
  if (s == MCL_OK) s = mcli_probe_labels_check(prompt_y, prompts->shape[0], "prompt_y", err);
  if (s == MCL_OK) s = mcli_probe_labels_check(y, rows->rows.rows, "y", err);
  return s;
}

mcl_status mcl_probe_zero_shot_rows(mcl_context *context, const mcl_probe_options *options,
                                    const mcl_array *prompts, const int32_t *prompt_y,
                                    const mcl_rows *z, const int32_t *y, mcl_probe_result *out,
                                    mcl_error *err) {
  mcl_probe_options o;
  mcli_source rows, classes;
  int32_t *place = NULL, n = 0;
  int64_t size;
  float *prototypes = NULL;
  mcl_status s = mcli_probe_begin(context, options, &o, err);
  if (s == MCL_OK) s = open_sides(context, prompts, prompt_y, z, y, &rows, err);
  if (s == MCL_OK) s = mcli_probe_result_check(out, err);
  if (s != MCL_OK) return s;
  place = number_classes(context, prompt_y, prompts->shape[0], &n);
  if (mcli_mul(n, rows.rows.dim, &size)) prototypes = MCLI_NEW0(context, float, size);
  s = place && prototypes ? MCL_OK : mcli_nomem(err, "prototypes");
  if (s == MCL_OK) s = check_classes(y, rows.rows.rows, place, err);
  if (s == MCL_OK) s = make_prototypes(context, prompts, prompt_y, place, prototypes, err);
  mcl_array array = mcl_matrix_f32(prototypes, n, rows.rows.dim);
  mcl_rows gallery;
  if (s == MCL_OK)
    s = mcli_source_open(context, mcli_source_of(&array, &gallery), "prompts", -1, &classes, err);
  mcli_retrieval r = {.label = y, .place = place, .k = 1, .confidence = o.confidence};
  if (s == MCL_OK) s = mcli_retrieve_match(&r, &rows, &classes, out, err); // (2)
  mcli_free(context, place);
  mcli_free(context, prototypes);
  return s == MCL_OK ? mcl_ok(err) : s;
}

mcl_status mcl_probe_zero_shot(mcl_context *context, const mcl_probe_options *options,
                               const mcl_array *prompts, const int32_t *prompt_y,
                               const mcl_array *z, const int32_t *y, mcl_probe_result *out,
                               mcl_error *err) {
  mcl_rows rows;
  return mcl_probe_zero_shot_rows(context, options, prompts, prompt_y, mcli_source_of(z, &rows), y,
                                  out, err);
}
