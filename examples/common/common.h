// What the larger example programs share: one place for errors, a clock, random numbers, and what
// is common to their JSON.
#ifndef COMMON_H
#define COMMON_H

#include <stdio.h>

#include <libmcl/mcl.h>

// Every call's error ends up here: printed once, by main.
extern mcl_error err;
#define TRY(call)                                                                                  \
  do {                                                                                             \
    if ((call) != MCL_OK) return -1;                                                               \
  } while (0)
int out_of_memory(void); // fills err, returns -1

double now(void); // seconds since some moment

// A sequence of random numbers, the same everywhere: seeds that follow each other give sequences
// that have nothing in common.
uint64_t next_random(uint64_t *state);
double next_uniform(uint64_t *state, double low, double high);

// The first member of an ensemble has the seed of the run, and so is its stage 0; the others' are
// far from those a user would try next.
uint64_t ensemble_seed(uint64_t seed, int member);

// The file of --json, and its end: nothing was lost on the way. NULL, -1: err says what.
FILE *json_open(const char *path);
int json_close(FILE *f);
void json_number(FILE *f, double x);       // NaN is null
void json_text(FILE *f, const char *text); // in quotes
const char *advice_name(int32_t advice);   // MCL_ADVICE_... in a word or two

#endif
