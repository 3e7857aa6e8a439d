/* What programs here check of themselves and of their process. C99. */
#ifndef MCL_CONSUMER_CHECKS_H
#define MCL_CONSUMER_CHECKS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(what)                                                                                 \
  do {                                                                                             \
    if (!(what)) {                                                                                 \
      printf("%d: not so: %s\n", __LINE__, #what);                                                 \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

/* Of this process; 0 where the system does not tell. */
static inline int threads_now(void) {
  DIR *tasks = opendir("/proc/self/task");
  int n = -2; /* "." and ".." */
  if (!tasks) return 0;
  while (readdir(tasks)) n++;
  closedir(tasks);
  return n;
}

#endif
