/* A C program as a user would write it: rows are clustered, and it says which library it runs with. C99. */
#include <stdio.h>

#include <libmcl/mcl.h>

int main(void) {
  static float x[40][2];
  int32_t labels[40];
  int i, wrong = 0;
  mcl_error err;
  mcl_context *context = NULL;
  mcl_clusterer *clusterer = NULL;
  mcl_kmeans_options options;
  mcl_rows rows;
  mcl_array matrix = mcl_matrix_f32(x[0], 40, 2);
  for (i = 0; i < 40; i++) x[i][i % 2] = 1;
  mcl_kmeans_options_init(&options, sizeof options);
  options.k = 2;
  mcl_struct_init(&rows, sizeof rows);
  rows.array = &matrix;
  if (mcl_context_create(NULL, &context, &err) < 0 ||
      mcl_clusterer_create_kmeans(context, &options, NULL, &clusterer, &err) < 0 ||
      mcl_clusterer_fit(clusterer, &rows, NULL, &err) < 0 ||
      mcl_clusterer_assign(clusterer, &rows, NULL, labels, NULL, &err) < 0)
    printf("%s\n", err.message);
  for (i = 0; i < 40; i++) wrong += err.status < 0 || (labels[i] == labels[0]) != (i % 2 == 0);
  mcl_clusterer_unref(clusterer);
  mcl_context_unref(context);
  printf("libmcl %s\n", mcl_version_string());
  return wrong != 0;
}
