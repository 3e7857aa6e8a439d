// What the larger example programs share: one place for errors, a clock, random numbers, and three
// words of JSON.
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

void json_number(FILE *f, double x);       // NaN is null
void json_text(FILE *f, const char *text); // in quotes
const char *advice_name(int32_t advice);   // MCL_ADVICE_... in a word or two

#endif
