#include "image_text.h"

#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: image_text [options]\n"
    "       image_text --clip FILE --vocab FILE --merges FILE --mmvp PATH [--pairs FILE] "
    "[options]\n"
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
    "  --quick             1,500 images, 300 pairs, 4 epochs, 4 bits, 2 stages\n"
    "\n"
    "With --clip, a CLIP that was trained elsewhere (docs/clip.md) is asked which image has which "
    "caption:\n"
    "\n"
    "  --clip FILE         safetensors, with the names of OpenAI's state dict\n"
    "  --vocab FILE --merges FILE   of its tokenizer\n"
    "  --mmvp PATH         MMVP-VLM's folder, or a TSV or CSV of image A, image B, caption A, "
    "caption B[, category]\n"
    "  --pairs FILE        train --stages stages on these images and captions, the first of which "
    "is the CLIP as it\n"
    "                      came; a TSV, CSV or JSON lines, paths relative to it\n"
    "  --heading           the first record of --pairs is a heading\n"
    "  --blocks N          the last blocks of the image tower that are trained; the text tower is "
    "frozen (default: 6)\n"
    "  --learning-rate X   at first; it falls to 0 by half a cosine (default: 1e-5)\n"
    "  --chunk N           rows that are in memory at once; 0: the whole batch (default: 0)\n"
    "  --gelu quick|exact  OpenAI's or OpenCLIP's (default: quick)\n"
    "\n";

const char *const data_names[] = {"classes", "figures", NULL};

static const char *const controls[] = {"none", "ensemble", "shuffled", NULL};

static void quick(void *user) {
  options *o = user;
  experiment_options *s = &o->shared;
  s->rows = 1500, s->test_rows = 300, s->epochs = 4, s->stages = 2, o->bits = 4;
}

static const char *const gelus[] = {"quick", "exact", NULL};

static void heading(void *user) {
  ((options *)user)->heading = 1;
}

static int refuse(const char *text) {
  fprintf(stderr, "image_text: %s\n", text);
  return 3;
}

// What goes with --clip, and what without.
static int check_clip(const options *o) {
  if (!o->clip)
    return o->vocab || o->merges || o->mmvp || o->heading
               ? refuse("--vocab, --merges, --mmvp and --heading go with --clip")
               : 0;
  if (!o->vocab || !o->merges || !o->mmvp)
    return refuse("--clip wants --vocab, --merges and --mmvp");
  if (o->images || o->data != CLASSES)
    return refuse("--images, --labels and --data do not go with --clip");
  if (o->heading && !o->pairs) return refuse("--heading goes with --pairs");
  if (!strcmp(controls[o->shared.control], "shuffled"))
    return refuse("--control shuffled does not go with --clip");
  if (o->shared.control && !o->pairs) return refuse("--control goes with --pairs");
  return 0;
}

// --pairs where it is a number.
static int count_pairs(options *o) {
  char *end = NULL;
  if (o->pairs) {
    o->shared.test_rows = strtol(o->pairs, &end, 10);
    if (!*o->pairs || *end || o->shared.test_rows < 1 || o->shared.test_rows > 1000000000)
      return refuse(
          "--pairs: a whole number from 1 to 1000000000 is wanted, or a file with --clip");
  }
  if (!o->shared.test_rows) o->shared.test_rows = o->data == FIGURES ? 1000 : 1500;
  return 0;
}

int options_parse(options *o, int argc, char **argv) {
  *o = (options){.bits = 6, .sides = SIDES_BOTH, .blocks = 6, .learning_rate = 1e-5};
  experiment_options *s = &o->shared;
  experiment_options_init(s);
  s->rows = 10000, s->batch = 256, s->clusters = 3, s->temperature = 0.3, s->controls = controls;
  const option_rule own[] = {
      {.name = "data", .kind = CHOICE, .into = &o->data, .choices = data_names},
      {.name = "images", .kind = TEXT, .into = &o->images},
      {.name = "labels", .kind = TEXT, .into = &o->labels},
      {.name = "bits", .kind = WHOLE, .into = &o->bits, .low = 0, .high = 20},
      {.name = "rows", .kind = WHOLE, .into = &s->rows, .low = 4, .high = 1000000000},
      {.name = "pairs", .kind = TEXT, .into = &o->pairs},
      {.name = "sides", .kind = CHOICE, .into = &o->sides, .choices = sides_names},
      {.name = "quick", .kind = CALL, .into = o, .call = quick},
      {.name = "clip", .kind = TEXT, .into = &o->clip},
      {.name = "vocab", .kind = TEXT, .into = &o->vocab},
      {.name = "merges", .kind = TEXT, .into = &o->merges},
      {.name = "mmvp", .kind = TEXT, .into = &o->mmvp},
      {.name = "heading", .kind = CALL, .into = o, .call = heading},
      {.name = "blocks", .kind = WHOLE, .into = &o->blocks, .low = 0, .high = 1000},
      {.name = "learning-rate", .kind = ABOVE_0, .into = &o->learning_rate},
      {.name = "chunk", .kind = WHOLE, .into = &o->chunk, .low = 0, .high = 1000000},
      {.name = "gelu", .kind = CHOICE, .into = &o->gelu, .choices = gelus},
  };
  int code =
      experiment_options_read(s, "image_text", usage, own, sizeof own / sizeof *own, argc, argv);
  if (!code) code = check_clip(o);
  if (!code && !o->clip) code = count_pairs(o);
  if (code) return code;
  if (!o->images == !o->labels) return 0;
  return refuse("--images and --labels go together");
}
