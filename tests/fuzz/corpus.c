// A target without libFuzzer: every file of the folders and files that are named, in the order of their names. So a corpus
// is a test, for any compiler and sanitizer; a finding is looked into by `build/tests/fuzz_png FILE`.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/run.h"

#ifdef FUZZ_FAILING
enum { REFUSALS = 12 }; // a file; libFuzzer makes one, and has as many files as it likes
#else
enum { REFUSALS = 0 };
#endif

static int files;

static int run_file(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f || fseek(f, 0, SEEK_END)) return perror(path), 1;
  long n = ftell(f);
  // Exactly as large as the file: a sanitizer sees the first byte behind it.
  uint8_t *bytes = malloc(n > 0 ? (size_t)n : 1);
  rewind(f);
  if (n < 0 || !bytes || fread(bytes, 1, (size_t)n, f) != (size_t)n) return perror(path), 1;
  fclose(f);
  fprintf(stderr, "%s\n", path);
  fuzz_run(bytes, (size_t)n, REFUSALS);
  free(bytes);
  files++;
  return 0;
}

static int run_path(const char *path) {
  struct dirent **entries;
  int failed = 0, n = scandir(path, &entries, NULL, alphasort);
  if (n < 0) return run_file(path);
  for (int i = 0; i < n; i++) {
    char file[4096];
    snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
    if (entries[i]->d_name[0] != '.') failed |= run_file(file);
    free(entries[i]);
  }
  free(entries);
  return failed;
}

int main(int argc, char **argv) {
  int failed = 0;
  for (int i = 1; i < argc; i++) failed |= run_path(argv[i]);
  printf("%d files\n", files);
  return failed || files == 0;
}
