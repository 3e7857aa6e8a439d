// Progress and cancelling of long calls: the host is told at most ten times a second, on the thread that called.
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/context.h"

// Ten a second: a progress bar looks smooth, and a Python callback costs nothing that can be measured.
static const double interval = 0.1;

double mcli_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

mcl_status mcli_watch_begin(mcli_watch *w, const mcl_monitor *m, const char *phase, int64_t total,
                            mcl_error *err) {
  memset(w, 0, sizeof *w);
  mcl_status s = mcli_options_copy(&w->monitor, sizeof w->monitor, m, "monitor", err);
  if (s < 0) return s;
  mcl_struct_init(&w->now, sizeof w->now);
  w->now.stage = w->now.epoch = -1;
  w->now.loss = (double)NAN;
  w->began = mcli_seconds();
  mcli_watch_phase(w, phase, total);
  return MCL_OK;
}

void mcli_watch_phase(mcli_watch *w, const char *phase, int64_t total) {
  w->now.phase = phase;
  w->now.total = total;
  w->now.done = 0;
}

mcl_status mcli_watch_tell(mcli_watch *w, int64_t done, double loss, mcl_error *err) {
  w->now.done = done;
  w->now.loss = loss;
  if (!w->monitor.progress) return MCL_OK;
  double now = mcli_seconds();
  if (done != w->now.total && now - w->told < interval) return MCL_OK;
  w->told = now;
  w->now.seconds = now - w->began;
  if (w->monitor.progress(w->monitor.user, &w->now) == 0) return MCL_OK;
  return mcli_fail(err, MCL_E_CANCELLED, "cancelled by the monitor in phase \"%s\"", w->now.phase);
}
