#include "discover.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: discover [options] DATA\n"
    "       discover [options] --pairs FILE\n"
    "\n"
    "Trains a multistage representation on images and reports what each stage learnt.\n"
    "DATA is a folder of PNG and JPEG files (sub-folders are classes), or an IDX image file (.gz "
    "too).\n"
    "FILE names images and holds their captions; two towers learn to match them, and recall of "
    "retrieval is reported.\n"
    "\n"
    "  --pairs FILE        an image and its captions a line: .tsv, .csv, .jsonl, also with .gz\n"
    "  --heading           the first line of FILE is a heading\n"
    "  --sides image|text|both   of pairs: which embeddings are clustered, both apart (default: "
    "image)\n"
    "  --labels FILE       IDX labels of an IDX image file (default: none)\n"
    "  --out DIR           where the report goes (default: discover-out)\n"
    "  --rows N            rows to train on, of pairs images (default: all that are not held "
    "out)\n"
    "  --holdout N         rows, of pairs images, never trained on or clustered, for the probes "
    "(default: a sixth, at most 2000)\n"
    "  --stages N          1..64 (default: 3); 0: until the advice after a stage is to stop\n"
    "  --clusters K        clusters a stage (default: 10)\n"
    "  --epochs N          epochs a stage (default: 8)\n"
    "  --batch N           rows a step (default: 256)\n"
    "  --temperature T     of NT-Xent (default: 0.5); of pairs where it begins, .01 to 1: it is "
    "learnt (default: 0.07)\n"
    "  --learning-rate X   of Adam, constant (default: 0.001)\n"
    "  --encoder cnn|resnet18|vit|mlp   of images (default: cnn); of captions it is a bag of "
    "embeddings\n"
    "  --initial fresh|preceding   what a stage begins with: weights drawn anew, or those of the "
    "stage before (default: fresh)\n"
    "  --size PIXELS       images are brought to this side (default: 32; IDX images stay as they "
    "are)\n"
    "  --randbits B        append B random bit channels, the feature to be suppressed by (default: "
    "0)\n"
    "  --small-cells back-off|keep|drop   cells under 4 rows (default: back-off)\n"
    "  --batching one|packed   cells in a batch: one, or as many as fit (default: one, of "
    "pairs packed)\n"
    "  --controls          also train and probe an ensemble, shuffled cells, an untrained network; "
    "raw pixels, but not of pairs\n"
    "  --seed S            (default: 0)\n"
    "  --threads N         0: all cores (default: 0)\n"
    "  --memory MIB        embeddings to be clustered stay on the disk, beside the report, and "
    "k-means within MIB (default: in memory)\n"
    "  --resume            go on where a stopped run with the same options left off\n"
    "  --help, --version\n";

enum {
  LABELS = 256,
  PAIRS,
  HEADING,
  SIDES,
  OUT,
  ROWS,
  HOLDOUT,
  STAGES,
  CLUSTERS,
  EPOCHS,
  BATCH,
  TEMPERATURE,
  RATE,
  ENCODER,
  INITIAL,
  SIZE,
  RANDBITS,
  SMALL,
  BATCHING,
  CONTROLS,
  SEED,
  THREADS,
  MEMORY,
  RESUME,
  HELP,
  VERSION
};

static const struct option long_options[] = {
    {"labels", 1, 0, LABELS},      {"pairs", 1, 0, PAIRS},       {"heading", 0, 0, HEADING},
    {"sides", 1, 0, SIDES},        {"out", 1, 0, OUT},           {"rows", 1, 0, ROWS},
    {"holdout", 1, 0, HOLDOUT},    {"stages", 1, 0, STAGES},     {"clusters", 1, 0, CLUSTERS},
    {"epochs", 1, 0, EPOCHS},      {"batch", 1, 0, BATCH},       {"temperature", 1, 0, TEMPERATURE},
    {"learning-rate", 1, 0, RATE}, {"encoder", 1, 0, ENCODER},   {"initial", 1, 0, INITIAL},
    {"size", 1, 0, SIZE},          {"randbits", 1, 0, RANDBITS}, {"small-cells", 1, 0, SMALL},
    {"batching", 1, 0, BATCHING},  {"controls", 0, 0, CONTROLS}, {"seed", 1, 0, SEED},
    {"threads", 1, 0, THREADS},    {"memory", 1, 0, MEMORY},     {"resume", 0, 0, RESUME},
    {"help", 0, 0, HELP},          {"version", 0, 0, VERSION},   {0, 0, 0, 0}};

static int bad(const char *option, const char *value, const char *wanted) {
  fprintf(stderr, "discover: --%s %s: %s is wanted\n", option, value, wanted);
  return 3;
}

static int whole(const char *option, const char *text, long low, long high, long *out) {
  char *end, range[64];
  long x = strtol(text, &end, 10);
  if (*text && !*end && x >= low && x <= high) {
    *out = x;
    return 0;
  }
  snprintf(range, sizeof range, "a whole number from %ld to %ld", low, high);
  return bad(option, text, range);
}

static int positive(const char *option, const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  return *text && !*end && *out > 0 && *out < 1e6 ? 0 : bad(option, text, "a number above 0");
}

static int word(const char *option, const char *text, const char *const *words, int *out) {
  char wanted[80] = "";
  for (int i = 0; words[i]; i++) {
    if (!strcmp(text, words[i])) {
      *out = i;
      return 0;
    }
    snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%s%s", i ? " or " : "",
             words[i]);
  }
  return bad(option, text, wanted);
}

static int take(options *o, int option, const char *name, const char *value) {
  static const char *const small[] = {"", "back-off", "keep", "drop", NULL};
  static const char *const batching[] = {"", "one", "packed", NULL};
  long x = 0;
  int code = 0;
  switch (option) {
  case LABELS:
    o->labels = value;
    break;
  case PAIRS:
    o->data = value, o->pairs = 1;
    break;
  case HEADING:
    o->heading = 1;
    break;
  case SIDES:
    return word(name, value, sides_names, &o->sides);
  case OUT:
    o->out = value;
    break;
  case ROWS:
    return whole(name, value, 8, 1000000000, &o->rows);
  case HOLDOUT:
    return whole(name, value, 0, 1000000000, &o->holdout);
  case STAGES:
    code = whole(name, value, 0, MAX_STAGES, &x), o->stages = (int)x;
    break;
  case CLUSTERS:
    code = whole(name, value, 1, 1000000, &x), o->clusters = (int)x;
    break;
  case EPOCHS:
    code = whole(name, value, 1, 1000000, &x), o->epochs = (int)x;
    break;
  case BATCH:
    code = whole(name, value, 4, 1000000, &x), o->batch = (int)x;
    break;
  case SIZE:
    code = whole(name, value, 4, 1024, &x), o->size = (int)x;
    break;
  case RANDBITS:
    code = whole(name, value, 0, 24, &x), o->randbits = (int)x;
    break;
  case THREADS:
    code = whole(name, value, 0, 1024, &x), o->threads = (int)x;
    break;
  case MEMORY:
    return whole(name, value, 1, 1 << 30, &o->memory);
  case SEED:
    code = whole(name, value, 0, 0x7fffffff, &x), o->seed = (unsigned long long)x;
    break;
  case TEMPERATURE:
    return positive(name, value, &o->temperature);
  case RATE:
    return positive(name, value, &o->learning_rate);
  case ENCODER:
    return word(name, value, network_names, &o->encoder);
  case INITIAL:
    return word(name, value, initial_names, &o->initial);
  case SMALL:
    return word(name, value, small, &o->small_cells);
  case BATCHING:
    return word(name, value, batching, &o->batching);
  case CONTROLS:
    o->controls = 1;
    break;
  case RESUME:
    o->resume = 1;
    break;
  case HELP:
    fputs(usage, stdout);
    return 1;
  case VERSION:
    printf("discover, %s\n", mcl_build_info());
    return 1;
  default:
    fputs(usage, stderr);
    return 3;
  }
  return code;
}

static int wrong(const char *what) {
  fprintf(stderr, "discover: %s\n", what);
  return 3;
}

// What goes with pairs and what does not, and the defaults that depend on them.
static int settle(options *o) {
  if (o->pairs && o->labels)
    return wrong("--labels goes with an IDX file, not with --pairs: captions have no classes");
  if (o->pairs && o->randbits) return wrong("--randbits goes with images alone, not with --pairs");
  if (o->pairs && o->temperature != 0 && (o->temperature < 0.01 || o->temperature > 1))
    return wrong("--temperature: with --pairs it is learnt, and begins between 0.01 and 1");
  if (!o->pairs && o->heading) return wrong("--heading goes with --pairs");
  if (!o->pairs && o->sides >= 0) return wrong("--sides goes with --pairs");
  if (o->sides < 0) o->sides = SIDES_IMAGE;
  if (o->temperature == 0) o->temperature = o->pairs ? 0.07 : 0.5;
  if (!o->batching) o->batching = o->pairs ? MCL_BATCH_PACKED : MCL_BATCH_ONE_CELL;
  return 0;
}

int options_parse(options *o, int argc, char **argv) {
  *o = (options){.out = "discover-out",
                 .holdout = -1,
                 .stages = 3,
                 .clusters = 10,
                 .epochs = 8,
                 .batch = 256,
                 .learning_rate = 1e-3,
                 .small_cells = MCL_SMALL_BACK_OFF,
                 .sides = -1};
  int option, index = 0;
  while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
    int code = take(o, option, long_options[index].name, optarg);
    if (code) return code;
  }
  const int given = argc - optind;
  if (o->pairs && given) {
    fprintf(stderr, "discover: --pairs %s is the data, and so no DATA goes with it: not %s\n",
            o->data, argv[optind]);
    return 3;
  }
  if (!o->pairs && given != 1) {
    fprintf(stderr, "discover: one folder or IDX image file is wanted, %d were given\n%s", given,
            usage);
    return 3;
  }
  if (!o->pairs) o->data = argv[optind];
  return settle(o);
}
