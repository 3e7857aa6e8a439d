// Prompts out of templates: "a photo of a {}." with a class's name in the place of the braces.
//
// All prompts are put together first, in one piece of memory, and encoded in one call: a few hundred classes by CLIP's 80
// templates are some megabytes.
#include <string.h>

#include <libmcl/tokenizer.h>

#include "base/alloc.h"
#include "dataset/tokenizer.h"

static mcl_status check(const char *const *texts, int64_t n, const char *name, mcl_error *err) {
  if (n < 1 || !texts) return mcli_fail(err, MCL_E_INVALID, "there are no %ss", name);
  for (int64_t i = 0; i < n; i++)
    if (!texts[i])
      return mcli_fail_row(err, MCL_E_INVALID, i, "%s %lld is NULL", name, (long long)i);
  return MCL_OK;
}

static mcl_status check_templates(const char *const *templates, int64_t n, mcl_error *err) {
  mcl_status s = check(templates, n, "template", err);
  for (int64_t i = 0; s == MCL_OK && i < n; i++)
    if (!strstr(templates[i], "{}"))
      s = mcli_fail_row(err, MCL_E_INVALID, i, "template %lld has no {}: '%s'", (long long)i,
                        templates[i]);
  return s;
}

// Writes a prompt with its NUL and returns its bytes; `out` NULL: only counts.
static int64_t fill(const char *template, const char *name, char *out) {
  int64_t size = 0, length = (int64_t)strlen(name);
  for (const char *from = template; *from;) {
    int is_place = from[0] == '{' && from[1] == '}';
    int64_t n = is_place ? length : 1;
    if (out) memcpy(out + size, is_place ? name : from, (size_t)n);
    size += n;
    from += is_place ? 2 : 1;
  }
  if (out) out[size] = 0;
  return size + 1;
}

// texts[n_names * n_templates] into `block`; block NULL: only the bytes of all are counted.
static int64_t fill_all(const char *const *templates, int64_t n_templates, const char *const *names,
                        int64_t n_names, char *block, const char **texts) {
  int64_t size = 0;
  for (int64_t i = 0; i < n_names; i++)
    for (int64_t t = 0; t < n_templates; t++) {
      if (block) texts[i * n_templates + t] = block + size;
      size += fill(templates[t], names[i], block ? block + size : NULL);
    }
  return size;
}

mcl_status mcl_tokenizer_encode_templates(const mcl_tokenizer *tokenizer,
                                          const char *const *templates, int64_t n_templates,
                                          const char *const *names, int64_t n_names,
                                          int32_t *tokens, mcl_error *err) {
  if (!tokenizer) return mcli_fail(err, MCL_E_INVALID, "tokenizer is NULL");
  mcl_status s = check_templates(templates, n_templates, err);
  if (s == MCL_OK) s = check(names, n_names, "name", err);
  int64_t n = 0;
  if (s == MCL_OK && !mcli_mul(n_templates, n_names, &n))
    s = mcli_fail(err, MCL_E_LIMIT, "there are too many prompts");
  if (s < 0) return s;
  mcl_context *c = tokenizer->context;
  int64_t size = fill_all(templates, n_templates, names, n_names, NULL, NULL);
  char *block = MCLI_NEW(c, char, size);
  const char **texts = MCLI_NEW(c, const char *, n);
  s = block && texts ? MCL_OK : mcli_nomem(err, "prompts");
  if (s == MCL_OK) {
    fill_all(templates, n_templates, names, n_names, block, texts);
    s = mcl_tokenizer_encode(tokenizer, texts, n, tokens, NULL, err);
  }
  mcli_free(c, texts);
  mcli_free(c, block);
  return s;
}
