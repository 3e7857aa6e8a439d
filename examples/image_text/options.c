#include "image_text.h"

static const char usage[] =
    "usage: image_text [options]\n"
    "\n"
    "Trains an image and a text tower on images and captions of all that is known of them, and "
    "reports which pairs\nof images each stage tells apart by their captions.\n"
    "\n"
    "  --data classes|figures   images of ten classes with random bits; or shapes of a colour, "
    "texture and\n"
    "                      place, drawn by the program, with random bits (default: classes)\n"
    "  --images FILE --labels FILE   IDX, .gz too, of ten classes called zero to nine (default: "
    "Debian's Fashion-MNIST)\n"
    "  --bits B            0..20 (default: 6)\n"
    "  --rows N            images to train on (default: 10000)\n"
    "  --pairs N           to judge by; of figures, of each kind (default: 1500, of figures "
    "1000)\n"
    "  --sides image|text|both   which embeddings are clustered, both apart (default: both)\n"
    "  --quick             1,500 images, 300 pairs, 4 epochs, 4 bits, 2 stages\n";

const char *const data_names[] = {"classes", "figures", NULL};

static const char *const controls[] = {"none", "ensemble", "shuffled", NULL};

static void quick(void *user) {
  options *o = user;
  experiment_options *s = &o->shared;
  s->rows = 1500, s->test_rows = 300, s->epochs = 4, s->stages = 2, o->bits = 4;
}

int options_parse(options *o, int argc, char **argv) {
  *o = (options){.bits = 6, .sides = SIDES_BOTH};
  experiment_options *s = &o->shared;
  experiment_options_init(s);
  s->rows = 10000, s->batch = 256, s->clusters = 3, s->temperature = 0.3, s->controls = controls;
  const option_rule own[] = {
      {.name = "data", .kind = CHOICE, .into = &o->data, .choices = data_names},
      {.name = "images", .kind = TEXT, .into = &o->images},
      {.name = "labels", .kind = TEXT, .into = &o->labels},
      {.name = "bits", .kind = WHOLE, .into = &o->bits, .low = 0, .high = 20},
      {.name = "rows", .kind = WHOLE, .into = &s->rows, .low = 4, .high = 1000000000},
      {.name = "pairs", .kind = WHOLE, .into = &s->test_rows, .low = 1, .high = 1000000000},
      {.name = "sides", .kind = CHOICE, .into = &o->sides, .choices = sides_names},
      {.name = "quick", .kind = CALL, .into = o, .call = quick},
  };
  int code =
      experiment_options_read(s, "image_text", usage, own, sizeof own / sizeof *own, argc, argv);
  if (code) return code;
  if (!s->test_rows) s->test_rows = o->data == FIGURES ? 1000 : 1500;
  if (!o->images == !o->labels) return 0;
  fprintf(stderr, "image_text: --images and --labels go together\n");
  return 3;
}
