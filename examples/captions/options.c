#include "captions.h"

static const char usage[] =
    "usage: captions --pairs FILE [options]\n"
    "       captions --folder DIR [options]\n"
    "\n"
    "Trains an image and a text tower on images and their captions, stage by stage, and reports "
    "how often an image\nfinds its own caption, and a caption its image, among those held out.\n"
    "\n"
    "  --pairs FILE        image and captions a line: .tsv, .csv, .jsonl, also with .gz\n"
    "  --heading           the first line of FILE is a heading\n"
    "  --folder DIR        PNG files, below DIR too; a caption is the file's title, else its "
    "name, and its folders' names\n"
    "  --files N           only so many of them, evenly spaced (default: all)\n"
    "  --write FILE        where the pairs of --folder go (default: pairs.tsv beside the --json "
    "file, else here)\n"
    "  --holdout N         images that are never trained on (default: a fifth)\n"
    "  --sides image|text|both   which embeddings are clustered, both apart (default: both)\n"
    "\n"
    "The temperature is where it begins, up to 1; it is learnt.\n";

static const char *const controls[] = {"none", "ensemble", NULL};

static void heading(void *user) {
  ((options *)user)->heading = 1;
}

static int wrong(const char *what) {
  fprintf(stderr, "captions: %s\n", what);
  return 3;
}

int options_parse(options *o, int argc, char **argv) {
  *o = (options){.sides = SIDES_BOTH};
  experiment_options *s = &o->shared;
  experiment_options_init(s);
  s->batch = 256, s->clusters = 3, s->temperature = 0.07, s->controls = controls;
  const option_rule own[] = {
      {.name = "pairs", .kind = TEXT, .into = &o->pairs},
      {.name = "heading", .kind = CALL, .into = o, .call = heading},
      {.name = "folder", .kind = TEXT, .into = &o->folder},
      {.name = "files", .kind = WHOLE, .into = &o->files, .low = 4, .high = 1000000000},
      {.name = "write", .kind = TEXT, .into = &o->write},
      {.name = "holdout", .kind = WHOLE, .into = &o->holdout, .low = 2, .high = 1000000000},
      {.name = "sides", .kind = CHOICE, .into = &o->sides, .choices = sides_names},
  };
  int code =
      experiment_options_read(s, "captions", usage, own, sizeof own / sizeof *own, argc, argv);
  if (code) return code;
  if (!o->pairs == !o->folder) return wrong("either --pairs or --folder is needed");
  if (o->pairs && (o->write || o->files)) return wrong("--write and --files go with --folder");
  if (o->folder && o->heading) return wrong("--heading goes with --pairs");
  return 0;
}
