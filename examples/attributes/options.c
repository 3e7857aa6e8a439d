#include "attributes.h"

static const char usage[] =
    "usage: attributes --data dominoes --images FILE --labels FILE --test-images FILE "
    "--test-labels FILE [options]\n"
    "       attributes --data trifeature [options]\n"
    "\n"
    "Trains on images with several known attributes and reports what each stage knows of each.\n"
    "dominoes: two images on a tile, a plain one of few and a faint one; the files are IDX, .gz "
    "too.\n"
    "trifeature: ten shapes in ten colours and ten textures, drawn by the program.\n"
    "\n"
    "  --rows N            to train on (default: 4000)\n"
    "  --test-rows N       to judge by (default: 2000)\n"
    "  --distinct N        images that the first half of a domino is chosen from (default: 100)\n"
    "  --contrast C        of the second half of a domino (default: 0.15)\n"
    "  --encoder cnn|resnet18|vit|mlp   what is trained (default: cnn)\n"
    "  --initial fresh|preceding   what a stage begins with: weights drawn anew, or those of the "
    "stage before (default: fresh)\n"
    "  --head              train a head on the frozen stages too, by the cells of all of them\n"
    "  --quick             1,500 rows, 500 test rows, 2 epochs, 10 clusters, 2 stages\n";

const char *const data_names[] = {"dominoes", "trifeature", NULL};

static void quick(void *user) {
  experiment_options *s = &((options *)user)->shared;
  s->rows = 1500, s->test_rows = 500, s->epochs = 2, s->clusters = 10, s->stages = 2;
}

int options_parse(options *o, int argc, char **argv) {
  *o = (options){.data = -1, .distinct = 100, .contrast = 0.15};
  experiment_options_init(&o->shared);
  o->shared.rows = 4000, o->shared.test_rows = 2000;
  o->shared.batch = 250, o->shared.epochs = 5;
  const option_rule own[] = {
      {.name = "data", .kind = CHOICE, .into = &o->data, .choices = data_names},
      {.name = "images", .kind = TEXT, .into = &o->images},
      {.name = "labels", .kind = TEXT, .into = &o->labels},
      {.name = "test-images", .kind = TEXT, .into = &o->test_images},
      {.name = "test-labels", .kind = TEXT, .into = &o->test_labels},
      {.name = "distinct", .kind = WHOLE, .into = &o->distinct, .low = 1, .high = 1000000000},
      {.name = "contrast", .kind = ABOVE_0, .into = &o->contrast},
      {.name = "rows", .kind = WHOLE, .into = &o->shared.rows, .low = 4, .high = 1000000000},
      {.name = "test-rows",
       .kind = WHOLE,
       .into = &o->shared.test_rows,
       .low = 1,
       .high = 1000000000},
      {.name = "encoder", .kind = CHOICE, .into = &o->shared.encoder, .choices = network_names},
      {.name = "initial", .kind = CHOICE, .into = &o->shared.initial, .choices = initial_names},
      {.name = "head", .kind = CALL, .into = &o->shared, .call = experiment_with_head},
      {.name = "quick", .kind = CALL, .into = o, .call = quick},
  };
  int code = experiment_options_read(&o->shared, "attributes", usage, own, sizeof own / sizeof *own,
                                     argc, argv);
  if (code) return code;
  const char *missing = NULL;
  if (o->data < 0)
    missing = "--data dominoes or trifeature is wanted";
  else if (o->contrast > 1)
    missing = "--contrast is at most 1";
  else if (o->data == DOMINOES && !(o->images && o->labels && o->test_images && o->test_labels))
    missing = "dominoes want --images, --labels, --test-images and --test-labels";
  if (!missing) return 0;
  fprintf(stderr, "attributes: %s\n", missing);
  return 3;
}
