#include "attributes.h"

#include <stdlib.h>
#include <string.h>

int rows_allocate(rows *r, int64_t n, int32_t height, int32_t width, int32_t channels,
                  int attributes) {
  r->n = n, r->height = height, r->width = width, r->channels = channels;
  r->images = malloc((size_t)n * (size_t)(height * width * channels));
  if (!r->images) return out_of_memory();
  for (int a = 0; a < attributes; a++) {
    r->values[a] = malloc((size_t)n * sizeof *r->values[a]);
    if (!r->values[a]) return out_of_memory();
  }
  return 0;
}

int rows_wrap(mcl_context *c, rows *r) {
  mcl_array images = mcl_images_u8(r->images, r->n, r->height, r->width, r->channels);
  return mcl_dataset_create_array(c, &images, NULL, &r->dataset, &err);
}

void rows_free(rows *r) {
  mcl_dataset_unref(r->dataset);
  free(r->images);
  for (int a = 0; a < MAX_ATTRIBUTES; a++) free(r->values[a]);
  memset(r, 0, sizeof *r);
}
