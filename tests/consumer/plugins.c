/* A host that uses libmcl, with plug-ins that do so too, all at the same time: each has its own context and threads, and all come to
 * the same bits. The plug-ins are unloaded and loaded again in between. C99. */
#include <dlfcn.h>
#include <pthread.h>

#include "work.h"

enum { MOST = 8, ROUNDS = 3 };

typedef struct plugin {
  void *library;
  uint64_t (*work)(uint32_t threads);
  uint64_t result;
  uint32_t threads;
} plugin;

static void *use(void *argument) {
  plugin *p = (plugin *)argument;
  p->result = p->work(p->threads);
  return NULL;
}

static int load(plugin *p, const char *path) {
  const char *(*version)(void);
  p->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!p->library) return printf("%s\n", dlerror()), 0;
  *(void **)&p->work = dlsym(p->library, "plugin_work");
  *(void **)&version = dlsym(p->library, "plugin_version");
  return p->work && version && version() != NULL;
}

int main(int argc, char **argv) {
  plugin plugins[MOST];
  pthread_t threads[MOST];
  int i, round, n = argc - 1, wrong = 0;
  uint64_t own = work_alone(2);
  if (n > MOST || !own) return 1;
  for (round = 0; round < ROUNDS; round++) {
    for (i = 0; i < n; i++) {
      if (!load(&plugins[i], argv[i + 1])) return 1;
      plugins[i].threads = (uint32_t)(1 + (i + round) % 3);
    }
    for (i = 0; i < n; i++)
      if (pthread_create(&threads[i], NULL, use, &plugins[i]) != 0) return 1;
    wrong += work_alone(2) != own;
    for (i = 0; i < n; i++) {
      pthread_join(threads[i], NULL);
      if (plugins[i].result != own) wrong++, printf("%s has other bits\n", argv[i + 1]);
      wrong += dlclose(plugins[i].library) != 0;
    }
  }
  printf("libmcl %s\n", mcl_version_string());
  return wrong != 0;
}
