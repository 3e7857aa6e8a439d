/* A plug-in's way: the library is opened by name, used, and closed again. */
#include <dlfcn.h>
#include <stdio.h>

#include <libmcl/mcl.h>

int main(int argc, char **argv) {
  void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  mcl_context *context = NULL;
  mcl_error err;
  const char *(*version)(void);
  mcl_status (*create)(const mcl_context_options *, mcl_context **, mcl_error *);
  void (*unref)(mcl_context *);
  if (!library) return printf("%s\n", dlerror()), 1;
  /* POSIX's way from an object pointer to a function. */
  *(void **)&version = dlsym(library, "mcl_version_string");
  *(void **)&create = dlsym(library, "mcl_context_create");
  *(void **)&unref = dlsym(library, "mcl_context_unref");
  if (!version || !create || !unref || create(NULL, &context, &err) < 0) return 1;
  printf("libmcl %s\n", version());
  unref(context);
  if (dlsym(library, "mcli_alloc")) return printf("an inner function is visible\n"), 1;
  return dlclose(library) != 0;
}
