// A folder of PNG files as a file of pairs.
//
// A file's caption is its title, else its name, and behind it the names of its folders: of
// science/chemistry_01.png without a title "chemistry 01 science". In names punctuation is blank.
// Of a title nothing is changed: it was written to be read.
#include "captions.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

// Deeper folders are passed over, so that a walk ends before the stack does.
enum { MOST_DEPTH = 32 };

// Paths inside the folder.
typedef struct files {
  char **path;
  size_t n, capacity;
} files;

static void files_free(files *l) {
  for (size_t i = 0; i < l->n; i++) free(l->path[i]);
  free(l->path);
}

// a/b; just b where a is empty.
static char *join(const char *a, const char *b) {
  const size_t n = strlen(a) + strlen(b) + 2;
  char *path = malloc(n);
  if (path) snprintf(path, n, "%s%s%s", a, *a ? "/" : "", b);
  return path;
}

// Takes `path`, also where it fails.
static int files_add(files *l, char *path) {
  if (path && l->n == l->capacity) {
    const size_t capacity = l->capacity ? 2 * l->capacity : 256;
    char **larger = realloc(l->path, capacity * sizeof *larger);
    if (larger) l->path = larger, l->capacity = capacity;
  }
  if (path && l->n < l->capacity) {
    l->path[l->n++] = path;
    return 0;
  }
  free(path);
  return out_of_memory();
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

// ---- the walk ----------------------------------------------------------------------------------

static int read_names(const char *full, files *names) {
  DIR *d = opendir(full);
  if (!d) return fail(MCL_E_IO, "the folder %s cannot be read: %s", full, strerror(errno));
  int s = 0;
  for (struct dirent *e; s == 0 && (e = readdir(d));)
    if (e->d_name[0] != '.') s = files_add(names, join("", e->d_name));
  closedir(d);
  if (s == 0 && names->n) qsort(names->path, names->n, sizeof *names->path, by_bytes);
  return s;
}

static int is_png(const char *name) {
  const size_t n = strlen(name);
  return n > 4 && strcasecmp(name + n - 4, ".png") == 0;
}

static int walk(const char *root, const char *inside, int depth, files *found);

static int visit(const char *root, char *inside, int depth, files *found) {
  struct stat is, link;
  char *full = join(root, inside);
  if (!full) return free(inside), out_of_memory();
  // A link to a file is a file; one to a folder may lead back here.
  const int there = lstat(full, &link) == 0 && stat(full, &is) == 0;
  free(full);
  if (there && S_ISREG(is.st_mode) && is_png(inside)) return files_add(found, inside);
  int s = there && S_ISDIR(link.st_mode) && depth < MOST_DEPTH
              ? walk(root, inside, depth + 1, found)
              : 0;
  free(inside);
  return s;
}

static int walk(const char *root, const char *inside, int depth, files *found) {
  files names = {0};
  char *full = *inside ? join(root, inside) : join("", root);
  int s = full ? read_names(full, &names) : out_of_memory();
  free(full);
  for (size_t i = 0; s == 0 && i < names.n; i++) {
    char *next = join(inside, names.path[i]);
    s = next ? visit(root, next, depth, found) : out_of_memory();
  }
  files_free(&names);
  return s;
}

// ---- the file ----------------------------------------------------------------------------------

// Bytes of the character at s; 0: it is not UTF-8 (RFC 3629, section 4).
static int utf8_length(const unsigned char *s) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (s[0] < 0x80) return 1;
  if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
  const int n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  uint32_t code = s[0] & 0xffu >> (n + 1);
  for (int i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | (s[i] & 0x3f);
  }
  return code < least[n] || code > 0x10ffff || code >> 11 == 0x1b ? 0 : n;
}

// Whether a path may stand in a file of pairs.
static int can_be_written(const char *path) {
  const unsigned char *s = (const unsigned char *)path;
  for (int n; *s; s += n)
    if (*s == '\t' || *s == '\n' || *s == '\r' || !(n = utf8_length(s))) return 0;
  return 1;
}

// Letters and digits of a name. Returns whether there were any.
static int write_words(FILE *f, const char *name, size_t n) {
  int some = 0;
  for (size_t i = 0; i < n; i++) {
    const unsigned char c = (unsigned char)name[i];
    const int word = c >= 0x80 || isalnum(c);
    fputc(word ? c : ' ', f);
    some |= word;
  }
  return some;
}

static int write_line(FILE *f, const char *root, const char *inside) {
  char title[TITLE_ROOM], *full = join(root, inside);
  if (!full) return out_of_memory();
  const char *slash = strrchr(inside, '/'), *name = slash ? slash + 1 : inside;
  const int titled = png_title(full, title);
  fprintf(f, "%s\t%s", full, titled ? title : "");
  // A file called ___.png has no words: it is called an image.
  if (!titled && !write_words(f, name, strlen(name) - 4)) fputs("image", f);
  if (slash) fputc(' ', f);
  if (slash) write_words(f, inside, (size_t)(slash - inside));
  fputc('\n', f);
  free(full);
  return 0;
}

// `wanted` of them, evenly spaced, so that each folder keeps its share.
static int write_lines(FILE *f, const char *root, const files *found, long wanted) {
  const size_t n = found->n, lines = wanted && (size_t)wanted < n ? (size_t)wanted : n;
  size_t passed_over = 0;
  int s = 0;
  for (size_t i = 0; s == 0 && i < lines; i++) {
    const char *path = found->path[n / lines * i + n % lines * i / lines];
    const int fine = can_be_written(path);
    passed_over += !fine;
    if (fine) s = write_line(f, root, path);
  }
  if (passed_over)
    fprintf(stderr, "captions: %zu files passed over, whose names are not UTF-8 or have tabs\n",
            passed_over);
  return s;
}

int folder_write(const char *folder, const char *tsv, long wanted) {
  files found = {0};
  char *root = realpath(folder, NULL); // the pairs may be written to another place
  if (!root)
    return fail(MCL_E_NOT_FOUND, "the folder %s cannot be found: %s", folder, strerror(errno));
  int s = walk(root, "", 0, &found);
  if (s == 0 && !found.n) s = fail(MCL_E_NOT_FOUND, "there are no PNG files in %s", folder);
  if (s == 0 && !can_be_written(root))
    s = fail(MCL_E_FORMAT, "the name of %s is not UTF-8 or has tabs", folder);
  FILE *f = s == 0 ? fopen(tsv, "w") : NULL;
  if (s == 0 && !f) s = fail(MCL_E_IO, "%s cannot be written", tsv);
  if (f) {
    s = write_lines(f, root, &found, wanted);
    const int failed = ferror(f) | fclose(f);
    if (s == 0 && failed) s = fail(MCL_E_IO, "%s cannot be written whole", tsv);
  }
  files_free(&found);
  free(root);
  return s;
}
