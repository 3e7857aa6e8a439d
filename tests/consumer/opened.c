/* A plug-in's way: the library is opened by name, used, and closed again, three times over. Closed it is gone, with its threads. */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <dlfcn.h>
#include <stdio.h>

#include <libmcl/mcl.h>

#include "checks.h"

static int use(const char *path, int say) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  mcl_context *context = NULL;
  mcl_context_options options;
  mcl_error err;
  const char *(*version)(void);
  void (*init)(mcl_context_options *, size_t);
  mcl_status (*create)(const mcl_context_options *, mcl_context **, mcl_error *);
  void (*unref)(mcl_context *);
  int during, tries = 0;
  if (!library) return printf("%s\n", dlerror()), 0;
  /* POSIX's way from an object pointer to a function. */
  *(void **)&version = dlsym(library, "mcl_version_string");
  *(void **)&init = dlsym(library, "mcl_context_options_init");
  *(void **)&create = dlsym(library, "mcl_context_create");
  *(void **)&unref = dlsym(library, "mcl_context_unref");
  if (!version || !init || !create || !unref) return 0;
  init(&options, sizeof options);
  options.threads = 3;
  if (create(&options, &context, &err) < 0) return printf("%s\n", err.message), 0;
  if (say) printf("libmcl %s\n", version());
  during = threads_now();
  unref(context);
  /* A thread that was joined may be listed for a moment longer. */
  while (threads_now() != 1 && tries < 1000000) tries++;
  if (during != 3 || threads_now() != 1)
    return printf("%d threads, then %d\n", during, threads_now()), 0;
  if (dlsym(library, "mcli_alloc")) return printf("an inner function is visible\n"), 0;
  if (dlsym(RTLD_DEFAULT, "mcl_version")) return printf("a name is visible to everybody\n"), 0;
  if (dlclose(library) != 0) return 0;
  if (dlopen(path, RTLD_NOW | RTLD_NOLOAD)) return printf("it is still there\n"), 0;
  return 1;
}

int main(int argc, char **argv) {
  int round;
  for (round = 0; round < 3; round++)
    if (argc < 2 || !use(argv[1], round == 0)) return 1;
  return 0;
}
