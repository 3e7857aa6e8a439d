// Batches from cells: the sampler alone, for a training loop that you have.
//
// Each stage gives every row a label, its cluster. Rows that share all their labels share a cell,
// and a batch is drawn from one cell: negatives that all earlier stages take for the same.
//
// A batch is a function of (labels, seed, epoch, step), not of what was asked for before. So worker
// threads may prepare any step, and a program that was stopped goes on at any step.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <libmcl/context.h>
#include <libmcl/sampler.h>

#define TRY(call)                                                                                  \
  do {                                                                                             \
    if ((call) < 0) goto done;                                                                     \
  } while (0)

enum { ROWS = 1000, BATCH = 64 };

int main(void) {
  static int32_t colour[ROWS], shape[ROWS];
  static int64_t seen[ROWS];
  int64_t indices[BATCH], cells[BATCH];
  mcl_context *context = NULL;
  mcl_sampler *sampler = NULL;
  mcl_error err;

  // Two stages' labels. Colour 3 with shape 0 is rare: two rows only.
  for (int i = 0; i < ROWS; i++) {
    colour[i] = i % 4;
    shape[i] = colour[i] < 3 ? i / 4 % 3 : i < 8 ? 0 : 1 + i / 4 % 2;
  }

  mcl_sampler_options options;
  mcl_sampler_options_init(&options, sizeof options);
  options.batch_rows = BATCH;
  TRY(mcl_context_create(NULL, &context, &err));
  TRY(mcl_sampler_create(context, &options, ROWS, 0, 1, &sampler, &err));
  TRY(mcl_sampler_add_labels(sampler, 0, colour, ROWS, &err));
  TRY(mcl_sampler_add_labels(sampler, 1, shape, ROWS, &err));

  mcl_sampler_report report;
  mcl_struct_init(&report, sizeof report);
  TRY(mcl_sampler_get_report(sampler, &report, &err));
  // The rare cell has too few rows to be each other's negatives: it joins a sibling of its colour.
  printf("%d cells of %d to %d rows; %d rows of small cells joined others\n", (int)report.cells,
         (int)report.smallest_cell, (int)report.largest_cell, (int)report.backed_off);
  printf("%d rows used, %d dropped\n", (int)report.used, (int)report.dropped);

  mcl_batch batch;
  mcl_struct_init(&batch, sizeof batch);
  batch.indices = indices;
  batch.cells = cells;
  batch.capacity = BATCH;
  int mixed = 0, once = 0;
  for (int64_t step = 0; step < mcl_sampler_steps(sampler); step++) {
    TRY(mcl_sampler_batch(sampler, 0, step, &batch, &err));
    for (int64_t i = 0; i < batch.n; i++) {
      seen[batch.indices[i]]++;
      mixed += colour[batch.indices[i]] != colour[batch.indices[0]];
    }
  }
  for (int i = 0; i < ROWS; i++) once += seen[i] == 1;
  printf("an epoch: %d steps, %d rows seen once, %d beside another colour\n",
         (int)mcl_sampler_steps(sampler), once, mixed);

  // No cursor: step 5 of epoch 3, asked for out of the blue, twice.
  int64_t before[BATCH];
  TRY(mcl_sampler_batch(sampler, 3, 5, &batch, &err));
  memcpy(before, indices, sizeof before);
  int64_t n = batch.n;
  TRY(mcl_sampler_batch(sampler, 0, 0, &batch, &err));
  TRY(mcl_sampler_batch(sampler, 3, 5, &batch, &err));
  printf("the same batch again: %s\n",
         n == batch.n && !memcmp(before, indices, (size_t)n * sizeof *indices) ? "yes" : "no");

done:
  if (err.status < 0) fprintf(stderr, "%s: %s\n", mcl_status_name(err.status), err.message);
  mcl_sampler_unref(sampler);
  mcl_context_unref(context);
  return err.status < 0;
}

/* Expected output:
 * 11 cells of 83 to 126 rows; 2 rows of small cells joined others
 * 1000 rows used, 0 dropped
 * an epoch: 22 steps, 1000 rows seen once, 0 beside another colour
 * the same batch again: yes
 */
