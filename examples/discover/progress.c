// Progress on standard error: a bar that redraws itself on a terminal, a plain line every tenth elsewhere. And the
// handler of Ctrl-C, which only sets a flag: the monitor returns it, and libmcl stops between two steps and saves.
#include "discover.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;
static struct {
  int terminal;
  const char *phase;
  int32_t stage;
  int tenth;
  double began; // of this phase and stage
} state;

static void on_interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

void progress_begin(void) {
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_handler = on_interrupt;
  a.sa_flags = SA_RESETHAND; // a second Ctrl-C ends the program at once
  sigaction(SIGINT, &a, NULL);
  sigaction(SIGTERM, &a, NULL);
  state.terminal = isatty(STDERR_FILENO);
}

void progress_say(const char *what) {
  fprintf(stderr, "%s%s\n", state.terminal ? "\r\033[K" : "", what);
  state.phase = NULL;
}

static void describe(const mcl_progress *p, char *text, size_t size) {
  double seconds = now() - state.began,
         left = seconds * (double)(p->total - p->done) / (double)p->done;
  int n = 0;
  if (p->stage >= 0) n += snprintf(text + n, size - (size_t)n, "stage %d ", p->stage);
  n += snprintf(text + n, size - (size_t)n, "%s", p->phase);
  if (p->epoch >= 0) n += snprintf(text + n, size - (size_t)n, ", epoch %d", p->epoch);
  if (p->epoch >= 0 && !isnan(p->loss))
    n += snprintf(text + n, size - (size_t)n, ", loss %.3f", p->loss);
  if (p->total > 0 && p->done > 0 && seconds > 0.5)
    snprintf(text + n, size - (size_t)n, ", %.0f/s, %.0f s left", (double)p->done / seconds, left);
}

int32_t progress(void *user, const mcl_progress *p) {
  (void)user;
  char text[160];
  int tenth = p->total > 0 ? (int)(10 * p->done / p->total) : 0;
  if (p->phase != state.phase || p->stage != state.stage || p->done <= 1) {
    state.phase = p->phase;
    state.stage = p->stage;
    state.began = now();
    state.tenth = 0;
  }
  describe(p, text, sizeof text);
  if (state.terminal) {
    char bar[31];
    int filled = p->total > 0 ? (int)(30 * p->done / p->total) : 0;
    for (int i = 0; i < 30; i++) bar[i] = i < filled ? '#' : '.';
    bar[30] = 0;
    fprintf(stderr, "\r\033[K[%s] %s", bar, text);
    if (p->total > 0 && p->done == p->total) fputs("\r\033[K", stderr);
  } else if (p->epoch >= 0 && tenth > state.tenth) {
    fprintf(stderr, "  %3d %% %s\n", 10 * tenth, text);
    state.tenth = tenth;
  }
  return interrupted;
}
