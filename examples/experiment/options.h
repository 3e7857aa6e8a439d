// The options of a program with an experiment: a table of rules, those that all of them share and the program's own.
#ifndef EXPERIMENT_OPTIONS_H
#define EXPERIMENT_OPTIONS_H

// What `into` is: const char **, long *, double *, int * (the number of the choice), or what `call` gets.
enum { TEXT, WHOLE, ABOVE_0, CHOICE, CALL };

typedef struct option_rule {
  const char *name; // without the two dashes
  int kind;
  void *into;
  long low, high;             // of WHOLE
  const char *const *choices; // of CHOICE; NULL at the end
  void (*call)(void *);       // of CALL
} option_rule;

enum { MAX_RULES = 32 };

typedef struct experiment_options {
  const char *json;
  long rows, test_rows, epochs, batch, clusters, stages, seed, threads;
  double temperature, growth;
  int control, head;
  int encoder;                 // NETWORK_...
  int initial;                 // MCL_INITIAL_...
  const char *const *controls; // what --control may be, NULL at the end
} experiment_options;

// What is common: 10 epochs, batches of 1,000, 32 clusters, 3 stages, temperature 0.2, growth 2, any control.
void experiment_options_init(experiment_options *o);
// What --head calls, where a program has it: `into` is the experiment_options.
void experiment_with_head(void *options);

// Reads the program's own options, `n` rules, and those in `o` but for the rows, which each program bounds itself. --help
// prints `usage` and then the shared ones with the defaults that `o` came with. 0: go on; else exit with this code - 1
// (--help and --version are no errors).
int experiment_options_read(experiment_options *o, const char *program, const char *usage,
                            const option_rule *own, int n, int argc, char **argv);

#endif
