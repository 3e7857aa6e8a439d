// Probes, of arrays and of rows that are read.
#include "exhaustion/exhaust.h"

#include <libmcl/probe.h>

enum { N = 40, M = 30, DIM = 5, CLASSES = 3, PAIRS = 15 };
static float z[N * DIM], test_z[N * DIM];
static int32_t y[N], test_y[N], category[PAIRS];
static int64_t match[M], group[N], pairs[2 * 4], got;
static mcl_probe_result result[1 + CLASSES];
static double figures[3];
static mcl_array a, b;
static mcl_rows rows, test_rows;
static mcl_probe_options options;

static mcl_status read_doubles(void *user, int64_t first, int64_t n, const mcl_array *out,
                               mcl_error *e) {
  for (int64_t i = 0; i < n * DIM; i++) ((double *)out->data)[i] = ((float *)user)[first * DIM + i];
  return mcl_ok(e);
}

static mcl_rows rows_of(float *x, int64_t n) {
  mcl_rows r;
  mcl_struct_init(&r, sizeof r);
  r.user = x, r.rows = n, r.dim = DIM, r.dtype = MCL_F64, r.read = read_doubles;
  return r;
}

static void prepare(void) {
  test_fill_normal(z, N * DIM, 7), test_fill_normal(test_z, N * DIM, 8);
  for (int i = 0; i < N; i++) y[i] = i % CLASSES, test_y[i] = (i * 2) % CLASSES, group[i] = i % 9;
  for (int i = 0; i < N; i++) z[i * DIM + y[i]] += 2, test_z[i * DIM + test_y[i]] += 2;
  for (int i = 0; i < M; i++) match[i] = (i * 7) % N;
  for (int i = 0; i < PAIRS; i++) category[i] = i % CLASSES;
  a = mcl_matrix_f32(z, N, DIM), b = mcl_matrix_f32(test_z, M, DIM);
  rows = rows_of(z, N), test_rows = rows_of(test_z, M);
  mcl_probe_options_init(&options, sizeof options);
  options.neighbours = 3, options.max_iterations = 4;
  PATTERN(result), PATTERN(pairs), PATTERN(got), PATTERN(figures);
  for (int i = 0; i < 1 + CLASSES; i++) result[i].struct_size = sizeof *result;
}

static void look(seen *s) {
  see(s, result, sizeof result), see(s, pairs, sizeof pairs);
  see(s, &got, sizeof got), see(s, figures, sizeof figures);
}

static void finish(void) {}

static mcl_status linear(void) {
  return mcl_probe_linear(c, &options, &a, y, &b, test_y, NULL, result, &err);
}
static mcl_status linear_rows(void) {
  return mcl_probe_linear_rows(c, &options, &rows, y, &test_rows, test_y, NULL, result, &err);
}
static mcl_status knn(void) {
  return mcl_probe_knn(c, &options, &a, y, &b, test_y, NULL, result, &err);
}
static mcl_status knn_rows(void) {
  return mcl_probe_knn_rows(c, &options, &rows, y, &test_rows, test_y, NULL, result, &err);
}
static mcl_status recall(void) {
  return mcl_probe_recall(c, &options, &b, &a, match, 2, result, &err);
}
static mcl_status recall_rows(void) {
  return mcl_probe_recall_rows(c, &options, &test_rows, &rows, match, 2, result, &err);
}
static mcl_status retrieval(void) {
  return mcl_probe_retrieval(c, &options, &b, group, &a, group, 2, result, &err);
}
static mcl_status retrieval_rows(void) {
  return mcl_probe_retrieval_rows(c, &options, &test_rows, group, &rows, group, 2, result, &err);
}
static mcl_status zero_shot(void) {
  return mcl_probe_zero_shot(c, &options, &a, y, &b, test_y, result, &err);
}
static mcl_status zero_shot_rows(void) {
  return mcl_probe_zero_shot_rows(c, &options, &a, y, &test_rows, test_y, result, &err);
}
static mcl_status pairs_of(void) {
  mcl_array texts = mcl_matrix_f32(z, 2 * PAIRS, DIM);
  return mcl_probe_pairs(c, &options, &b, &texts, category, result, CLASSES, &err);
}
static mcl_status blind_pairs(void) {
  mcl_array after = mcl_matrix_f32(test_z, N, DIM);
  return mcl_probe_blind_pairs(c, &a, &after, 0.5, pairs, 4, &got, &err);
}
static mcl_status agreement(void) {
  return mcl_probe_agreement(c, y, test_y, N, &figures[0], &figures[1], &figures[2], &err);
}
static mcl_status alignment_uniformity(void) {
  mcl_array other = mcl_matrix_f32(test_z, N, DIM);
  return mcl_probe_alignment_uniformity(c, &a, &other, &figures[0], &figures[1], &err);
}

#define PROBE(f, of, call)                                                                         \
  { "mcl_probe_" #f, of, prepare, call, look, finish }
static const exhaust_case cases[] = {
    PROBE(linear, "", linear),
    PROBE(linear_rows, "", linear_rows),
    PROBE(knn, "", knn),
    PROBE(knn_rows, "", knn_rows),
    PROBE(recall, "", recall),
    PROBE(recall_rows, "", recall_rows),
    PROBE(retrieval, "", retrieval),
    PROBE(retrieval_rows, "", retrieval_rows),
    PROBE(zero_shot, "", zero_shot),
    PROBE(zero_shot_rows, "", zero_shot_rows),
    PROBE(pairs, "", pairs_of),
    PROBE(blind_pairs, "", blind_pairs),
    PROBE(agreement, "", agreement),
    PROBE(alignment_uniformity, "", alignment_uniformity),
};
PART(probe, cases);
