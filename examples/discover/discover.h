// discover: from a folder of images, or a file of images and captions, to a multistage
// representation and a report on what each stage learnt.
//
//   options.c  the command line          data.c      rows, bits, held-out rows
//   pairs.c    rows of images, captions  networks.c  what is trained, in which views
//   train.c    the loop, embeddings      controls.c  ensemble, shuffled cells, pixels
//   probes.c   what representations know retrieval.c what finds what among images and captions
//   pictures.c contact sheets            report.c    report.json, labels.csv, the table
//   html.c     report.html               found.c     its part on images and captions
//   main.c     in this order
#ifndef DISCOVER_H
#define DISCOVER_H

#include "common/common.h"
#include "common/networks.h"
#include "common/pairs.h"
#include "common/recall.h"

enum { MAX_STAGES = 64, MAX_ROWS_OF_TABLE = MAX_STAGES + 8 };

typedef struct options {
  const char *data, *labels, *out;
  long rows, holdout;
  long memory; // MiB; 0: embeddings stay in memory
  int stages, clusters, epochs, batch, size, randbits, threads;
  double temperature, learning_rate;
  int encoder;     // NETWORK_..., of images
  int initial;     // MCL_INITIAL_...
  int small_cells; // MCL_SMALL_*
  int batching;    // MCL_BATCH_*
  int controls, resume;
  int pairs;          // data is a file of pairs
  int heading, sides; // of pairs
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
  // Of pairs, where a row is a caption; else 0 and NULL. The first `judged` of the rows held out
  // have captions of their own, the others' are an image's before.
  token_sizes sizes;
  int32_t *tokens; // what `all` reads
  int64_t *image;  // [rows + holdout]: the first row with the image of each
  int64_t images, held_images, judged, judged_images;
} data;
int data_open(data *d, mcl_context *c, const options *o);
void data_close(data *d);
// How many to train on and to hold out, of n; `what` they are.
int data_split(const options *o, int64_t n, const char *what, int64_t *rows, int64_t *holdout);
// The same from a file of pairs.
int data_open_pairs(data *d, mcl_context *c, const options *o);

// A representation of all rows: [rows + holdout, dim].
typedef struct representation {
  float *z, *texts; // of images; of captions, NULL where there are none
  int32_t dim;
} representation;
float *representation_of(const representation *z, int modality);
void representation_free(representation *z);

typedef struct run {
  mcl_context *context;
  const options *o;
  data data;
  mcl_augmenter *augmenter;
  mcl_multistage *loop;
  mcl_encoder *first_encoder; // of stage 0
  int stages;
  representation integrated;     // stages side by side, each of unit rows
  int32_t first[MAX_STAGES + 1]; // its columns of stage s: first[s] .. first[s + 1] - 1
  // Of each modality that is clustered: clusters of the training rows, and how many. Images
  // alone, but for pairs.
  int32_t *labels[2][MAX_STAGES], clusters[2][MAX_STAGES];
  mcl_stage_report report[MAX_STAGES];                  // of images where they are clustered
  representation ensemble, shuffled, untrained, pixels; // controls; z NULL: not made
  double began;
} run;

// Trains, resumes and embeds. -1: err says why (MCL_E_CANCELLED: stopped and saved).
int train_stages(run *r);
int train_controls(run *r);
// A loop of so many stages, its networks seeded by `seed`; `directory` (may be NULL): where it is
// saved.
int make_loop(const run *r, int stages, unsigned long long seed, const char *directory,
              mcl_multistage **out);
// `first` (may be NULL): where the encoder of stage 0 is kept.
int run_loop(const run *r, mcl_multistage *loop, unsigned long long seed, mcl_encoder **first);
// Embeds all rows as they are, by the one of the two that is not NULL.
int embed(const run *r, mcl_integrator *g, mcl_encoder *e, representation *out);
int make_augmenter(run *r);
// A stage's encoder with fresh weights.
mcl_status make_encoder(const run *r, unsigned long long seed, int32_t stage, mcl_encoder **out,
                        mcl_error *e);
uint32_t clustered(const options *o); // bit m: modality m is

// One line of the table.
typedef struct knowledge {
  char name[32];
  double knn_class, knn_bits, linear_class, linear_bits; // NaN: not measured
  double nmi_class, nmi_bits;                            // of a stage's clusters
  recall recall;                                         // of pairs
} knowledge;
typedef struct table {
  knowledge rows[MAX_ROWS_OF_TABLE];
  int n;
} table;
int probe_all(run *r, table *t);
const knowledge *find_row(const table *t, const char *name);
const knowledge *last_stage(const run *r, const table *t);

// What columns first .. first + dim - 1 find; NaN where nothing is held out.
int probe_recall(const run *r, const representation *z, int32_t first, int32_t dim, recall *out);
// The row whose caption is nearest to the image of a row by these columns.
int64_t first_found(const run *r, int32_t first, int32_t dim, int64_t row);
// The verdict on pairs.
void verdict_of_pairs(const run *r, const table *t, char *text, size_t size);

int write_json(const run *r, const table *t);
int write_labels(const run *r);
int write_embeddings(const run *r);
void print_table(const run *r, const table *t);
void print_advice(const run *r);
// The honest sentence under the table.
void verdict(const run *r, const table *t, char *text, size_t size);

// Pictures as PNG files below out/pictures/.
int draw_clusters(const run *r, int stage, int modality, char *path, size_t size);
int draw_blind_pairs(const run *r, char *path, size_t size, int64_t *pairs);
int draw_row(const run *r, int64_t row, char *path, size_t size);
int write_html(const run *r, const table *t);
// What html.c is made of, and found.c.
void html_escaped(FILE *f, const char *text);
int html_picture(FILE *f, const char *path, const char *what);
void html_number(FILE *f, double x);
void html_recalls(FILE *f, const table *t);
int html_found(FILE *f, const run *r);

// A terminal gets a bar, anything else plain lines. Also the place where Ctrl-C is noticed.
void progress_begin(void);
void progress_say(const char *what); // the heading of what comes next
int32_t progress(void *user, const mcl_progress *p);

char *path_in(const options *o, const char *name); // malloc'ed; NULL without memory

#endif
