// What the programs have in common: their options, a clock, counted memory, the fastest of several
// calls, the line of JSON that comes out.
//
//   PROGRAM [--case NAME] [--threads N] [--times N] [--quick] [--turns] [--list]
//
// --case: one case, "nt_xent 2048-128"; --threads: default 2; --times: calls of each case, where
// the program's own number does not do; --quick: small inputs under the same names, one call, to
// try things out; --list: only prints the names.
//
// --turns: calls are made one at a time, when somebody asks, so that a peer can have its turn
// between two of them. When a case's inputs are ready its line is printed without results; each
// line on standard input then makes a call and prints its milliseconds; at the end of the input the
// case's results are printed.
#ifndef MCL_BENCH_H
#define MCL_BENCH_H

#include <stdint.h>

#include <libmcl/context.h>

typedef struct bench_options {
  const char *only;
  uint32_t threads;
  int times; // 0: the program's own number
  int quick, turns, list;
} bench_options;

extern bench_options bench;

// One case; prepared by bench_wanted(), which says whether it is to run.
typedef struct bench_case {
  const char *bench;
  char name[48];
  uint32_t threads;
  char inputs[160]; // ",\"rows\":1000": what a peer must know to make the same inputs
} bench_case;

typedef struct bench_result {
  double ms, cpu_ms; // the least of all calls; processor time of all threads
  double mib;        // the most that the library held at one time since bench_context()
} bench_result;

// Reads the options; a wrong one ends the program.
void bench_start(int argc, char **argv);
int bench_wanted(bench_case *c, const char *bench, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void bench_inputs(bench_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

// A context of as many threads as the case has, with an allocator that counts from 0.
mcl_context *bench_context(const bench_case *c);

// The fastest of `times` calls.
bench_result bench_fastest(const bench_case *c, int times, void (*call)(void *work), void *work);
// The case, its figures, then `format`: ",\"loss\":%.7f", say.
void bench_line(const bench_case *c, const bench_result *r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// An error ends the program.
void bench_check(mcl_status status, const mcl_error *err);
void *bench_alloc(int64_t count, size_t size);

// Number i of a stream, in [0, 1); tests/golden/probe.py has the same.
double bench_unit(uint64_t stream, uint64_t i);
// x <- a x + c mod 2^64 (Knuth's MMIX): the new state.
uint64_t bench_next(uint64_t *state);

// A mixture of 100 groups that overlap, [rows, dim].
float *bench_mixture(int64_t rows, int32_t dim);

#endif
