#include "randbits.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: randbits [options] --images FILE --labels FILE --test-images FILE --test-labels FILE\n"
    "\n"
    "Trains on images with random bits and reports what each stage knows of class and bits. The "
    "files are IDX, .gz too.\n"
    "\n"
    "  --bits B            0..20 (default: 10)\n"
    "  --temperature T     of InfoNCE (default: 0.2)\n"
    "  --rows N            rows to train on, drawn from the file (default: 0, all)\n"
    "  --epochs N          epochs a stage (default: 10)\n"
    "  --batch N           rows a step; cells are packed into it (default: 1000)\n"
    "  --clusters K        clusters a stage (default: 32)\n"
    "  --stages N          1..16 (default: 3)\n"
    "  --weights W         stage s is weighted W^s in the integrated representation (default: 2)\n"
    "  --control none|ensemble|shuffled|untrained|pixels   what to train instead of the stages "
    "(default: none)\n"
    "  --seed S            (default: 0)\n"
    "  --threads N         0: all cores (default: 0)\n"
    "  --json FILE         where the findings go (default: nowhere)\n"
    "  --quick             2,000 rows, 1,000 test rows, 2 epochs, 3 bits, 8 clusters, 2 stages\n"
    "  --help, --version\n";

static int bad(const char *option, const char *value, const char *wanted) {
  fprintf(stderr, "randbits: --%s %s: %s is wanted\n", option, value, wanted);
  return 3;
}

static int whole(const char *option, const char *text, long low, long high, long *out) {
  char *end, range[64];
  *out = strtol(text, &end, 10);
  if (*text && !*end && *out >= low && *out <= high) return 0;
  snprintf(range, sizeof range, "a whole number from %ld to %ld", low, high);
  return bad(option, text, range);
}

static int positive(const char *option, const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  return *text && !*end && *out > 0 && *out < 1e6 ? 0 : bad(option, text, "a number above 0");
}

static int control(const char *text, int *out) {
  for (int i = 0; control_names[i]; i++) {
    *out = i;
    if (!strcmp(text, control_names[i])) return 0;
  }
  return bad("control", text, "none, ensemble, shuffled, untrained or pixels");
}

static void quick(options *o) {
  o->rows = 2000, o->test_rows = 1000, o->epochs = 2, o->bits = 3, o->clusters = 8, o->stages = 2;
  o->batch = 250;
}

int options_parse(options *o, int argc, char **argv) {
  enum { BITS = 256, TEMPERATURE, ROWS, EPOCHS, BATCH, CLUSTERS, STAGES_, WEIGHTS, CONTROL };
  enum {
    SEED = 300,
    THREADS,
    JSON,
    QUICK,
    HELP,
    VERSION,
    IMAGES,
    LABELS,
    TEST_IMAGES,
    TEST_LABELS
  };
  static const struct option long_options[] = {{"images", 1, 0, IMAGES},
                                               {"labels", 1, 0, LABELS},
                                               {"test-images", 1, 0, TEST_IMAGES},
                                               {"test-labels", 1, 0, TEST_LABELS},
                                               {"bits", 1, 0, BITS},
                                               {"temperature", 1, 0, TEMPERATURE},
                                               {"rows", 1, 0, ROWS},
                                               {"epochs", 1, 0, EPOCHS},
                                               {"batch", 1, 0, BATCH},
                                               {"clusters", 1, 0, CLUSTERS},
                                               {"stages", 1, 0, STAGES_},
                                               {"weights", 1, 0, WEIGHTS},
                                               {"control", 1, 0, CONTROL},
                                               {"seed", 1, 0, SEED},
                                               {"threads", 1, 0, THREADS},
                                               {"json", 1, 0, JSON},
                                               {"quick", 0, 0, QUICK},
                                               {"help", 0, 0, HELP},
                                               {"version", 0, 0, VERSION},
                                               {0, 0, 0, 0}};
  *o = (options){.bits = 10, .epochs = 10, .batch = 1000, .clusters = 32, .stages = 3};
  o->temperature = 0.2, o->growth = 2;
  int which, index = 0, code = 0;
  while (!code && (which = getopt_long(argc, argv, "", long_options, &index)) != -1) {
    const char *name = which == '?' ? "" : long_options[index].name;
    switch (which) {
    case IMAGES:
      o->images = optarg;
      break;
    case LABELS:
      o->labels = optarg;
      break;
    case TEST_IMAGES:
      o->test_images = optarg;
      break;
    case TEST_LABELS:
      o->test_labels = optarg;
      break;
    case JSON:
      o->json = optarg;
      break;
    case BITS:
      code = whole(name, optarg, 0, 20, &o->bits);
      break;
    case ROWS:
      code = whole(name, optarg, 0, 1000000000, &o->rows);
      break;
    case EPOCHS:
      code = whole(name, optarg, 1, 1000000, &o->epochs);
      break;
    case BATCH:
      code = whole(name, optarg, 4, 1000000, &o->batch);
      break;
    case CLUSTERS:
      code = whole(name, optarg, 1, 1000000, &o->clusters);
      break;
    case STAGES_:
      code = whole(name, optarg, 1, MAX_STAGES, &o->stages);
      break;
    case SEED:
      code = whole(name, optarg, 0, 0x7fffffff, &o->seed);
      break;
    case THREADS:
      code = whole(name, optarg, 0, 1024, &o->threads);
      break;
    case TEMPERATURE:
      code = positive(name, optarg, &o->temperature);
      break;
    case WEIGHTS:
      code = positive(name, optarg, &o->growth);
      break;
    case CONTROL:
      code = control(optarg, &o->control);
      break;
    case QUICK:
      quick(o);
      break;
    case HELP:
      fputs(usage, stdout);
      return 1;
    case VERSION:
      printf("randbits, %s\n", mcl_build_info());
      return 1;
    default:
      fputs(usage, stderr);
      return 3;
    }
  }
  if (code) return code;
  if (optind == argc && o->images && o->labels && o->test_images && o->test_labels) return 0;
  fprintf(stderr, "randbits: --images, --labels, --test-images and --test-labels are wanted\n");
  return 3;
}
