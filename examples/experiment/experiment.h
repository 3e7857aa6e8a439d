// An experiment: rows with known attributes, a training in stages or one of its controls, and probes of every attribute.
//
//   run.c       the loop: stages, ensemble, shuffled cells, an untrained network
//   watched.c   the encoder with an online probe beside it
//   probes.c    what every stage, and all of them together, know of each attribute
//   pair.c      two towers instead of one network, for images and their captions (pair.h)
//   head.c      a head on the frozen stages
//   report.c    JSON and the table
//   settings.c  the network, the optimiser and the loop that all experiments share
//   options.c   the command line (options.h)
#ifndef EXPERIMENT_H
#define EXPERIMENT_H

#include "common/common.h"
#include "common/networks.h"
#include "options.h"

enum { MAX_STAGES = 16, MAX_ATTRIBUTES = 8 };

// Something that is known of each row.
typedef struct attribute {
  const char *name;
  const int32_t *train, *test; // its values, of the rows of either dataset
  int32_t values;              // 0 .. values - 1
  int linear; // whether a linear probe makes sense: not for a thousand classes of ten rows
} attribute;

// What is trained.
//   STAGES     the loop
//   ENSEMBLE   as many independently seeded stage-0 networks
//   SHUFFLED   the loop, but each row gets the clusters of another row, drawn once: cells of the same sizes, rows at random
//   UNTRAINED  one network as it begins
//   PIXELS     nothing: the images' own numbers, without the extra channels
enum { STAGES, ENSEMBLE, SHUFFLED, UNTRAINED, PIXELS };
extern const char *const control_names[]; // "none", "ensemble", ... ; NULL at the end

typedef struct experiment {
  mcl_context *context;
  mcl_dataset *train, *test;
  int32_t extra_channels; // of the images: a code, not pictures
  attribute attributes[MAX_ATTRIBUTES];
  int n_attributes;
  mcl_augmenter_options views;
  int encoder;                 // NETWORK_...
  mcl_cnn_options network;     // of NETWORK_CNN
  mcl_multistage_options loop; // with kmeans, sampler and loss
  int control;
  int head;      // after the stages of the loop: whether a head on them is trained too
  double growth; // of the stages' weights: stage s is weighted growth^s
} experiment;

// What one representation knows of each attribute: accuracies; NaN: not measured.
typedef struct knowledge {
  double knn[MAX_ATTRIBUTES], linear[MAX_ATTRIBUTES];
  double nmi[MAX_ATTRIBUTES]; // of a stage's clusters
  double online;              // of the first attribute, by a probe that learnt beside the encoder
} knowledge;

// Weights that mcl_integrator_fit_weights() chose by a hundred labelled training rows for one attribute, and what kNN knows
// of it then.
enum { LABELLED = 100, LABELLED_VALUES = 10 };
typedef struct fitted {
  double weights[MAX_STAGES], knn;
} fitted;

// kNN of every attribute by how fast the weights grow.
enum { GROWTHS = 4 };
extern const double growths[GROWTHS];

typedef struct findings {
  int stages;
  knowledge stage[MAX_STAGES], integrated, plain; // weighted by growth^s; with equal weights
  double curve[GROWTHS][MAX_ATTRIBUTES];          // of the loop's stages only; else NaN
  fitted fitted[MAX_ATTRIBUTES];
  knowledge head; // of the head on the stages; else NaN
  mcl_stage_report report[MAX_STAGES];
  double seconds;
} findings;

int experiment_run(const experiment *x, findings *f);
void experiment_print(const experiment *x, const findings *f);
// The members of a JSON object, without its braces.
void experiment_json(const experiment *x, const findings *f, FILE *out);
// The same of a stage's report; `rows`: of the training.
void experiment_stage_json(const mcl_stage_report *r, int64_t rows, FILE *out);
// Runs a loop over rows in these views, with encoders that `factory` makes; says each epoch's loss on standard error.
typedef mcl_status make_fn(void *user, int32_t stage, mcl_encoder **out, mcl_error *e);
int experiment_train(mcl_context *c, mcl_multistage *loop, mcl_dataset *rows,
                     const mcl_augmenter_options *views, make_fn *factory, void *user);

// One more attribute, of all rows of either dataset.
void experiment_know(experiment *x, const char *name, const int32_t *train, const int32_t *test,
                     int linear);

// What an experiment's options point to.
typedef struct experiment_settings {
  mcl_optimiser_options optimiser;
  mcl_kmeans_options kmeans;
  mcl_sampler_options sampler;
  mcl_loss_options loss;
} experiment_settings;
// From the options: everything but context, rows, attributes and views. `s` must outlive the run.
int experiment_configure(experiment *x, experiment_settings *s, const experiment_options *o);
// To the --json file, if one was named; `more`: further members, without a comma around them.
int experiment_write(const experiment *x, const experiment_options *o, const findings *f,
                     const char *more);

// ---- between the files ---------------------------------------------------------------------------------

// The network that is trained, with fresh weights.
mcl_status experiment_network(const experiment *x, uint64_t seed, mcl_encoder **out, mcl_error *e);

// An encoder and beside it a dense layer that learns the first attribute from its embeddings, by the same steps.
typedef struct watched watched;
// `order` (may be NULL): the loop is told the embedding of row order[i] where it asks for that of row i.
int watched_create(const experiment *x, uint64_t seed, const int64_t *order, mcl_encoder **out,
                   watched **handle);
// From now on rows are themselves.
void watched_tell_the_truth(watched *w);
// Accuracy of the online probe of the first attribute on the other dataset, from embeddings as the network makes them: that is
// what it learnt from. A representation's are normalised, and its scores would be of another scale than its biases.
int watched_accuracy(watched *w, double *out);

// Calls `take` with blocks of all images, as they are; `first`: where a block begins.
typedef mcl_status take_fn(void *user, const mcl_inputs *in, int64_t first);
int each_block(mcl_dataset *d, take_fn *take, void *user);

// Embeddings of all rows, one stage after the other within a row, each normalised.
typedef struct representation {
  float *train, *test; // [rows of either dataset, dim]
  int32_t dim;
  int32_t first[MAX_STAGES + 1]; // columns of stage s: first[s] .. first[s + 1] - 1
  int stages;
} representation;
int represent(const experiment *x, mcl_integrator *g, representation *r);
int represent_pixels(const experiment *x, representation *r);
// What columns first .. first + dim - 1 know.
int probe_columns(const experiment *x, const representation *r, int32_t first, int32_t dim,
                  knowledge *k);
// kNN alone, with stage s multiplied by growth^s.
int probe_growth(const experiment *x, const representation *r, double growth, double *knn);
// The same for the findings' curve, once `plain` and `integrated` are known, and by fitted weights.
int probe_curve(const experiment *x, const representation *r, findings *f);
int probe_fitted(const experiment *x, const representation *r, findings *f);
void representation_free(representation *r);

// Trains a head on the stages of g, whose cells `loop` knows.
int head_learn(const experiment *x, mcl_multistage *loop, mcl_integrator *g, int stages,
               knowledge *k);

#endif
