#include "recall.h"

#include <stdlib.h>
#include <string.h>

const int32_t ranks[RANKS] = {1, 5, 10};
static const char *const ways[] = {"image_to_text", "text_to_image"};

// ---- measured ----------------------------------------------------------------------------------

// The rows with which an image is met first, their columns copied side by side.
typedef struct gallery {
  float *z;       // [n, dim]
  int64_t *image; // [n]
  int64_t n;
} gallery;

static int by_image(const void *a, const void *b) {
  const int64_t *x = a, *y = b; // image, row
  if (x[0] != y[0]) return x[0] < y[0] ? -1 : 1;
  return x[1] < y[1] ? -1 : x[1] > y[1];
}

static int take_images(gallery *g, const float *z, const int64_t *image, int64_t n, int32_t total,
                       int32_t dim) {
  int64_t *sorted = malloc((size_t)n * 2 * sizeof *sorted);
  g->z = malloc((size_t)n * (size_t)dim * sizeof *g->z);
  g->image = malloc((size_t)n * sizeof *g->image);
  if (!sorted || !g->z || !g->image) {
    free(sorted);
    return out_of_memory();
  }
  for (int64_t i = 0; i < n; i++) sorted[2 * i] = image[i], sorted[2 * i + 1] = i;
  qsort(sorted, (size_t)n, 2 * sizeof *sorted, by_image);
  for (int64_t i = 0; i < n; i++) {
    if (i && sorted[2 * i] == sorted[2 * i - 2]) continue;
    memcpy(g->z + g->n * dim, z + sorted[2 * i + 1] * total, (size_t)dim * sizeof *g->z);
    g->image[g->n++] = sorted[2 * i];
  }
  free(sorted);
  return 0;
}

int recall_measure(mcl_context *c, float *const z[2], const int64_t *image, int64_t n,
                   int32_t total, int32_t first, int32_t dim, recall *out) {
  gallery g = {0};
  int s = take_images(&g, z[0] + first, image, n, total, dim);
  mcl_array side[2] = {mcl_matrix_f32(g.z, g.n, dim), mcl_matrix_f32(z[1] + first, n, dim)};
  const int64_t *group[2] = {g.image, image}, rows[2] = {g.n, n};
  side[1].strides[0] = total;
  for (int i = 0; s == 0 && i < 2 * RANKS; i++) {
    const int from = i / RANKS == IMAGE_TO_TEXT ? 0 : 1, to = !from;
    const int32_t k = ranks[i % RANKS] < rows[to] ? ranks[i % RANKS] : (int32_t)rows[to];
    mcl_probe_result r;
    mcl_struct_init(&r, sizeof r);
    s = mcl_probe_retrieval(c, NULL, &side[from], group[from], &side[to], group[to], k, &r, &err);
    out->at[i / RANKS][i % RANKS] = r.value;
  }
  free(g.z), free(g.image);
  return s;
}

// ---- written -----------------------------------------------------------------------------------

void recall_json(FILE *f, const recall *r) {
  fputs("\"recall\":{", f);
  for (int way = 0; way < 2; way++) {
    fprintf(f, "%s\"%s\":{", way ? "," : "", ways[way]);
    for (int i = 0; i < RANKS; i++) {
      fprintf(f, "%s\"%d\":", i ? "," : "", ranks[i]);
      json_number(f, r->at[way][i]);
    }
    fputc('}', f);
  }
  fputc('}', f);
}

void recall_heading(const char *name) {
  printf("%-14s%24s%24s\n%-14s", "", "image to text", "text to image", name);
  for (int i = 0; i < 2 * RANKS; i++)
    printf("%6s%2d", i % RANKS == 2 ? "@" : " @", ranks[i % RANKS]);
  putchar('\n');
}

void recall_line(const char *name, const recall *r) {
  printf("%-14s", name);
  for (int way = 0; way < 2; way++)
    for (int i = 0; i < RANKS; i++) printf("%8.3f", r->at[way][i]);
  putchar('\n');
}
