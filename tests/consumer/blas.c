/* A host that has OpenMP, or OpenBLAS, or both, beside libmcl: neither gets in the other's way. Its own products are right before and
 * after, and OpenBLAS's; thread counts that it set are as it set them; there is one OpenMP runtime at most, its own; and libmcl's
 * bits, in a parallel region too, are those of a process with neither.
 *   blas ALONE RUNTIME    what alone.c printed; the OpenMP runtime that is expected, "none" where there is to be none
 * Built with -DWITH_BLAS, -fopenmp or both. C99. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "checks.h"
#include "work.h"

enum { N = 300 };

#ifdef WITH_BLAS
/* As in its cblas.h, which is in another package. */
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111 };
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a,
                 int lda, const float *b, int ldb, float beta, float *c, int ldc);
int openblas_get_num_threads(void);
void openblas_set_num_threads(int threads);

static int is_openblas(void) {
  Dl_info info;
  void *function;
  *(void (**)(int, int, int, int, int, int, float, const float *, int, const float *, int, float,
              float *, int)) &
      function = cblas_sgemm;
  return dladdr(function, &info) && info.dli_fname && strstr(info.dli_fname, "openblas") != NULL;
}

static int blas_threads; /* as this host set them */

/* Whole numbers, so that every order of adding up gives the same. */
static void check_product(void) {
  float *a = (float *)calloc(3 * N * N, sizeof *a), *b, *c;
  int i, j, k;
  MUST(a);
  b = a + N * N;
  c = b + N * N;
  for (i = 0; i < 2 * N * N; i++) a[i] = (float)(i * 7919 % 17 - 8);
  cblas_sgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, N, N, N, 1, a, N, b, N, 0, c, N);
  for (i = 0; i < N; i++)
    for (j = 0; j < N; j++) {
      int sum = 0;
      for (k = 0; k < N; k++) sum += (int)a[i * N + k] * (int)b[k * N + j];
      MUST(c[i * N + j] == (float)sum);
    }
  free(a);
}
#endif

static void check_host(void) {
#ifdef WITH_BLAS
  MUST(is_openblas());
  MUST(openblas_get_num_threads() == blas_threads);
  check_product();
#endif
#ifdef _OPENMP
  {
    long sum = 0, i;
    MUST(omp_get_max_threads() == 3);
#pragma omp parallel for reduction(+ : sum)
    for (i = 0; i < 100000; i++) sum += i;
    MUST(sum == 100000L * 99999L / 2);
  }
#endif
}

/* The different files of OpenMP runtimes that are mapped: how many, and the last one's name. */
static int runtimes(char *name, size_t room) {
  static const char *const known[] = {"/libgomp", "/libomp", "/libiomp5"};
  char line[4096];
  FILE *maps = fopen("/proc/self/maps", "r");
  int n = 0;
  MUST(maps);
  snprintf(name, room, "none");
  while (fgets(line, sizeof line, maps)) {
    char *file = strrchr(line, '/');
    size_t i;
    if (!file) continue;
    file[strcspn(file, "\n")] = 0;
    for (i = 0; i < sizeof known / sizeof *known; i++)
      if (strncmp(file, known[i], strlen(known[i])) == 0 && strcmp(name, file + 1) != 0) {
        snprintf(name, room, "%s", file + 1);
        n++;
      }
  }
  fclose(maps);
  return n;
}

int main(int argc, char **argv) {
  char name[4096];
  uint64_t wanted;
  int wrong = 0;
  MUST(argc == 3);
  wanted = strtoull(argv[1], NULL, 16);
#ifdef WITH_BLAS
  openblas_set_num_threads(2);
#endif
#ifdef _OPENMP
  omp_set_num_threads(3);
#endif
#ifdef WITH_BLAS
  check_product(); /* on OpenMP's threads OpenBLAS takes their number over when it is called */
  blas_threads = openblas_get_num_threads();
#endif
  check_host();
  MUST(work_alone(2) == wanted);
  check_host();
#ifdef _OPENMP
#pragma omp parallel num_threads(2) reduction(+ : wrong)
  wrong += work_alone(2) != wanted;
#endif
  MUST(wrong == 0);
  check_host();
  MUST(work_alone(3) == wanted);
  MUST(runtimes(name, sizeof name) == (strcmp(argv[2], "none") != 0));
  MUST(strcmp(name, argv[2]) == 0 || strncmp(name, argv[2], strlen(argv[2])) == 0);
  printf("libmcl %s\n", mcl_version_string());
  return 0;
}
