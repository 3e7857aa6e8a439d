// discover: from a folder of images to a multistage representation and a report on what each stage learnt.
//
//   options.c  the command line          data.c     rows, bits, held-out rows
//   train.c    the loop, and controls    probes.c   what representations know
//   pictures.c contact sheets            report.c   report.json, labels.csv, the table
//   html.c     report.html               main.c     in this order
#ifndef DISCOVER_H
#define DISCOVER_H

#include "common/common.h"

enum { MAX_STAGES = 64, MAX_ROWS_OF_TABLE = MAX_STAGES + 8 };

typedef struct options {
  const char *data, *labels, *out;
  long rows, holdout;
  int stages, clusters, epochs, batch, size, randbits, threads;
  double temperature, learning_rate;
  int mlp;         // --encoder mlp
  int small_cells; // MCL_SMALL_*
  int batching;    // MCL_BATCH_*
  int controls, resume;
  unsigned long long seed;
} options;

// 0: go on; else exit with this code - 1 (--help and --version are no errors).
int options_parse(options *o, int argc, char **argv);

typedef struct data {
  mcl_dataset *all, *train; // all: the rows to train on, then those held out
  int64_t rows, holdout;    // of `train`, and of the rest
  int32_t height, width, channels, image_channels;
  int32_t *class_of, *code_of; // [rows + holdout]; NULL: not known
  int32_t classes;
  int64_t files, skipped;
} data;
int data_open(data *d, mcl_context *c, const options *o);
void data_close(data *d);

// A representation of all rows: [rows + holdout, dim].
typedef struct representation {
  float *z;
  int32_t dim;
} representation;

typedef struct run {
  mcl_context *context;
  const options *o;
  data data;
  mcl_augmenter *augmenter;
  mcl_multistage *loop;
  int stages;
  representation integrated;     // stages side by side, each of unit rows
  int32_t first[MAX_STAGES + 1]; // its columns of stage s: first[s] .. first[s + 1] - 1
  int32_t *labels[MAX_STAGES];   // clusters of the training rows
  mcl_stage_report report[MAX_STAGES];
  representation ensemble, shuffled, untrained, pixels; // controls; z NULL: not made
  double began;
} run;

// Trains, resumes and embeds. -1: err says why (MCL_E_CANCELLED: stopped and saved).
int train_stages(run *r);
int train_controls(run *r);
int embed_integrator(run *r, mcl_integrator *g, representation *out);

// One line of the table.
typedef struct knowledge {
  char name[32];
  double knn_class, knn_bits, linear_class, linear_bits; // NaN: not measured
  double nmi_class, nmi_bits;                            // of a stage's clusters
} knowledge;
typedef struct table {
  knowledge rows[MAX_ROWS_OF_TABLE];
  int n;
} table;
int probe_all(run *r, table *t);
const knowledge *find_row(const table *t, const char *name);

int write_json(const run *r, const table *t);
int write_labels(const run *r);
int write_embeddings(const run *r);
void print_table(const run *r, const table *t);
void print_advice(const run *r);
// The honest sentence under the table.
void verdict(const run *r, const table *t, char *text, size_t size);

// Pictures as PNG files below out/pictures/.
int draw_clusters(const run *r, int stage, char *path, size_t size);
int draw_blind_pairs(const run *r, char *path, size_t size, int64_t *pairs);
int write_html(const run *r, const table *t);

// A terminal gets a bar, anything else plain lines. Also the place where Ctrl-C is noticed.
void progress_begin(void);
void progress_say(const char *what); // the heading of what comes next
int32_t progress(void *user, const mcl_progress *p);

char *path_in(const options *o, const char *name); // malloc'ed; NULL without memory

#endif
