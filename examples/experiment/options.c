#include "options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "experiment.h"

static const char shared_usage[] =
    "  --temperature T     of InfoNCE (default: %g)\n"
    "  --epochs N          epochs a stage (default: %ld)\n"
    "  --batch N           rows a step; cells are packed into it (default: %ld)\n"
    "  --clusters K        clusters a stage (default: %ld)\n"
    "  --stages N          1..16 (default: %ld)\n"
    "  --weights W         stage s is weighted W^s in the integrated representation (default: %g)\n"
    "  --control %s   what to train instead of the stages (default: none)\n"
    "  --seed S            (default: 0)\n"
    "  --threads N         0: all cores (default: 0)\n"
    "  --json FILE         where the findings go (default: nowhere)\n"
    "  --help, --version\n";

void experiment_options_init(experiment_options *o) {
  *o = (experiment_options){.epochs = 10, .batch = 1000, .clusters = 32, .stages = 3};
  o->temperature = 0.2, o->growth = 2;
  o->controls = control_names;
}

// ---- one value -----------------------------------------------------------------------------------------

static int bad(const char *program, const char *option, const char *value, const char *wanted) {
  fprintf(stderr, "%s: --%s %s: %s is wanted\n", program, option, value, wanted);
  return 3;
}

static int whole(const char *program, const option_rule *r, const char *text) {
  char *end, range[64];
  long value = strtol(text, &end, 10);
  *(long *)r->into = value;
  if (*text && !*end && value >= r->low && value <= r->high) return 0;
  snprintf(range, sizeof range, "a whole number from %ld to %ld", r->low, r->high);
  return bad(program, r->name, text, range);
}

static int above_0(const char *program, const option_rule *r, const char *text) {
  char *end;
  double value = strtod(text, &end);
  *(double *)r->into = value;
  if (*text && !*end && value > 0 && value < 1e6) return 0;
  return bad(program, r->name, text, "a number above 0");
}

static int choice(const char *program, const option_rule *r, const char *text) {
  char all[128] = "one of";
  for (int i = 0; r->choices[i]; i++) {
    *(int *)r->into = i;
    if (!strcmp(text, r->choices[i])) return 0;
    snprintf(all + strlen(all), sizeof all - strlen(all), " %s", r->choices[i]);
  }
  return bad(program, r->name, text, all);
}

static int take(const char *program, const option_rule *r, const char *text) {
  switch (r->kind) {
  case TEXT:
    *(const char **)r->into = text;
    return 0;
  case WHOLE:
    return whole(program, r, text);
  case ABOVE_0:
    return above_0(program, r, text);
  case CHOICE:
    return choice(program, r, text);
  default:
    r->call(r->into);
    return 0;
  }
}

// ---- all of them ---------------------------------------------------------------------------------------

void experiment_with_head(void *user) {
  ((experiment_options *)user)->head = 1;
}

// The rules of what is common, behind the program's own. How many there are now.
static int add_shared(experiment_options *o, option_rule *rules, int n) {
  const option_rule shared[] = {
      {.name = "temperature", .kind = ABOVE_0, .into = &o->temperature},
      {.name = "weights", .kind = ABOVE_0, .into = &o->growth},
      {.name = "epochs", .kind = WHOLE, .into = &o->epochs, .low = 1, .high = 1000000},
      {.name = "batch", .kind = WHOLE, .into = &o->batch, .low = 4, .high = 1000000},
      {.name = "clusters", .kind = WHOLE, .into = &o->clusters, .low = 1, .high = 1000000},
      {.name = "stages", .kind = WHOLE, .into = &o->stages, .low = 1, .high = MAX_STAGES},
      {.name = "seed", .kind = WHOLE, .into = &o->seed, .low = 0, .high = 0x7fffffff},
      {.name = "threads", .kind = WHOLE, .into = &o->threads, .low = 0, .high = 1024},
      {.name = "control", .kind = CHOICE, .into = &o->control, .choices = o->controls},
      {.name = "json", .kind = TEXT, .into = &o->json},
  };
  enum { SHARED = sizeof shared / sizeof *shared };
  memcpy(rules + n, shared, sizeof shared);
  return n + SHARED;
}

static void help(const char *usage, const experiment_options *o) {
  char controls[128] = "";
  for (int i = 0; o->controls[i]; i++)
    snprintf(controls + strlen(controls), sizeof controls - strlen(controls), "%s%s", i ? "|" : "",
             o->controls[i]);
  fputs(usage, stdout);
  printf(shared_usage, o->temperature, o->epochs, o->batch, o->clusters, o->stages, o->growth,
         controls);
}

int experiment_options_read(experiment_options *o, const char *program, const char *usage,
                            const option_rule *own, int n, int argc, char **argv) {
  enum { HELP = 1000, VERSION };
  option_rule rules[MAX_RULES];
  struct option long_options[MAX_RULES + 3] = {{0}};
  const experiment_options defaults = *o;
  memcpy(rules, own, (size_t)n * sizeof *own);
  n = add_shared(o, rules, n);
  for (int i = 0; i < n; i++)
    long_options[i] = (struct option){rules[i].name, rules[i].kind != CALL, 0, 256 + i};
  long_options[n] = (struct option){"help", 0, 0, HELP};
  long_options[n + 1] = (struct option){"version", 0, 0, VERSION};
  int which, code = 0;
  while (!code && (which = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
    if (which == HELP) {
      help(usage, &defaults);
      return 1;
    }
    if (which == VERSION) {
      printf("%s, %s\n", program, mcl_build_info());
      return 1;
    }
    code = which >= 256 ? take(program, &rules[which - 256], optarg) : 3;
  }
  if (code || optind == argc) return code;
  fprintf(stderr, "%s: %s is no option\n", program, argv[optind]);
  return 3;
}
