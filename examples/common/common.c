#include "common.h"

#include <math.h>
#include <time.h>

mcl_error err;

int out_of_memory(void) {
  return mcl_error_set(&err, MCL_E_NOMEM, 0, "out of memory");
}

double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// splitmix64 (Steele, Lea & Flood 2014, "Fast Splittable Pseudorandom Number Generators", figure
// 16).
uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double next_uniform(uint64_t *state, double low, double high) {
  return low + (high - low) * ((double)(next_random(state) >> 11) / 9007199254740992.0);
}

uint64_t ensemble_seed(uint64_t seed, int member) {
  return seed + 1000003u * (unsigned)member;
}

FILE *json_open(const char *path) {
  FILE *f = fopen(path, "w");
  if (!f) mcl_error_set(&err, MCL_E_IO, 0, "the --json file cannot be written");
  return f;
}

int json_close(FILE *f) {
  int failed = ferror(f) | fclose(f);
  return failed ? mcl_error_set(&err, MCL_E_IO, 0, "the --json file cannot be written whole") : 0;
}

void json_number(FILE *f, double x) {
  if (isnan(x))
    fputs("null", f);
  else
    fprintf(f, "%.9g", x); // 1 - told is wanted to a few digits
}

const char *advice_name(int32_t advice) {
  static const char *const names[] = {"none", "go on", "raise K", "nothing new", "cells too small"};
  return names[advice >= MCL_ADVICE_GO_ON && advice <= MCL_ADVICE_CELLS_TOO_SMALL ? advice : 0];
}

void json_text(FILE *f, const char *text) {
  fputc('"', f);
  for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
    if (*p == '"' || *p == '\\')
      fprintf(f, "\\%c", *p);
    else if (*p < 32)
      fprintf(f, "\\u%04x", *p);
    else
      fputc(*p, f);
  }
  fputc('"', f);
}
