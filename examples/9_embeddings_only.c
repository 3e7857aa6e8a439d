// Embeddings in, cells and batches out: no image, no network, whatever made the embeddings.
//
//   9_embeddings_only K STAGE_0.npy [STAGE_1.npy ...]     a file for each stage that is trained
//
// Prints the steps of the next stage's first epoch: a cell, and its rows to train on. Rows share a
// cell where they share a cluster in every file. The output below is that of
//
//   9_embeddings_only 2 embeddings/stage_0.npy embeddings/stage_1.npy
//
// whose 32 rows are of two kinds, i % 2 and i / 2 % 2, one a file.
#include <stdio.h>
#include <stdlib.h>

#include <libmcl/clusterer.h>
#include <libmcl/sampler.h>

static mcl_error err;

static void try(mcl_status status) { // a program may exit; the library never does
  if (status < 0) exit(fprintf(stderr, "%s\n", err.message) > 0);
}

int main(int n, char **words) {
  mcl_context *context;
  mcl_clusterer *kmeans;
  mcl_sampler *sampler = NULL;
  mcl_kmeans_options options;
  mcl_kmeans_options_init(&options, sizeof options);
  options.k = n > 2 ? atoi(words[1]) : 0;
  try(mcl_context_create(NULL, &context, &err));
  try(mcl_clusterer_create_kmeans(context, &options, NULL, &kmeans, &err));
  for (int stage = 0; stage < n - 2; stage++) {
    mcl_npy *file;
    mcl_rows z = {.struct_size = sizeof z};
    try(mcl_npy_open(context, words[stage + 2], &file, &err));
    mcl_npy_rows(file, &z);
    int32_t *labels = malloc((size_t)z.rows * sizeof *labels);
    try(mcl_clusterer_fit(kmeans, &z, NULL, &err));
    try(mcl_clusterer_assign(kmeans, &z, NULL, labels, NULL, &err));
    if (stage == 0) try(mcl_sampler_create(context, NULL, z.rows, 0, 1, &sampler, &err));
    try(mcl_sampler_add_labels(sampler, stage, labels, z.rows, &err)); // its row count is checked
    mcl_npy_unref(file), free(labels);
  }
  int64_t rows[256], cells[256]; // as many as a batch has by default
  mcl_batch batch = {.struct_size = sizeof batch, .indices = rows, .cells = cells, .capacity = 256};
  for (int64_t step = 0; step < mcl_sampler_steps(sampler); step++) {
    try(mcl_sampler_batch(sampler, 0, step, &batch, &err));
    printf("%d:", (int)cells[0]);
    for (int64_t i = 0; i < batch.n; i++)
      printf(" %d%c", (int)rows[i], i + 1 < batch.n ? ',' : '\n');
  }
  mcl_sampler_unref(sampler), mcl_clusterer_unref(kmeans), mcl_context_unref(context);
}

/* Expected output:
 * 2: 23, 19, 11, 31, 27, 3, 15, 7
 * 1: 20, 28, 0, 16, 8, 12, 4, 24
 * 3: 5, 9, 17, 1, 13, 21, 29, 25
 * 0: 6, 30, 22, 18, 14, 10, 26, 2
 */
