#include "randbits.h"

static const char usage[] =
    "usage: randbits [options] --images FILE --labels FILE --test-images FILE --test-labels FILE\n"
    "\n"
    "Trains on images with random bits and reports what each stage knows of class and bits. The "
    "files are IDX, .gz too.\n"
    "\n"
    "  --bits B            0..20 (default: 10)\n"
    "  --encoder cnn|resnet18|vit|mlp   what is trained (default: cnn)\n"
    "  --initial fresh|preceding   what a stage begins with: weights drawn anew, or those of the "
    "stage before (default: fresh)\n"
    "  --size PIXELS       images are brought to this side (default: as they are)\n"
    "  --published         views, initial weights, padding and weight decay of the authors' "
    "program\n"
    "  --rows N            rows to train on, drawn from the file (default: 0, all)\n"
    "  --test-rows N       rows to judge by, likewise (default: 0, all)\n"
    "  --head              train a head on the frozen stages too, by the cells of all of them\n"
    "  --quick             2,000 rows, 1,000 test rows, 2 epochs, 3 bits, 8 clusters, 2 stages\n";

static void quick(void *user) {
  options *o = user;
  experiment_options *s = &o->shared;
  s->rows = 2000, s->test_rows = 1000, s->epochs = 2, s->clusters = 8, s->stages = 2;
  s->batch = 250, o->bits = 3;
}

static void published(void *user) {
  ((options *)user)->published = 1;
}

int options_parse(options *o, int argc, char **argv) {
  *o = (options){.bits = 10};
  experiment_options_init(&o->shared);
  const option_rule own[] = {
      {.name = "images", .kind = TEXT, .into = &o->images},
      {.name = "labels", .kind = TEXT, .into = &o->labels},
      {.name = "test-images", .kind = TEXT, .into = &o->test_images},
      {.name = "test-labels", .kind = TEXT, .into = &o->test_labels},
      {.name = "bits", .kind = WHOLE, .into = &o->bits, .low = 0, .high = 20},
      {.name = "rows", .kind = WHOLE, .into = &o->shared.rows, .low = 0, .high = 1000000000},
      {.name = "test-rows",
       .kind = WHOLE,
       .into = &o->shared.test_rows,
       .low = 0,
       .high = 1000000000},
      {.name = "size", .kind = WHOLE, .into = &o->size, .low = 4, .high = 1024},
      {.name = "published", .kind = CALL, .into = o, .call = published},
      {.name = "encoder", .kind = CHOICE, .into = &o->shared.encoder, .choices = network_names},
      {.name = "initial", .kind = CHOICE, .into = &o->shared.initial, .choices = initial_names},
      {.name = "head", .kind = CALL, .into = &o->shared, .call = experiment_with_head},
      {.name = "quick", .kind = CALL, .into = o, .call = quick},
  };
  int code = experiment_options_read(&o->shared, "randbits", usage, own, sizeof own / sizeof *own,
                                     argc, argv);
  if (code) return code;
  if (o->published && o->shared.encoder != NETWORK_CNN) {
    fprintf(stderr, "randbits: --published is of the authors' network, --encoder cnn\n");
    return 3;
  }
  if (o->images && o->labels && o->test_images && o->test_labels) return 0;
  fprintf(stderr, "randbits: --images, --labels, --test-images and --test-labels are wanted\n");
  return 3;
}
