// Do two labellings of the same rows say the same? From their contingency table n_ij, with row and column sums a_i, b_j:
//
//   H(a) = -sum_i a_i/n log a_i/n,   I = sum_ij n_ij/n log (n n_ij / a_i b_j)       (1)
//   nmi = I / ((H(a) + H(b)) / 2)                                                (2)
//   ari = (sum_ij C(n_ij, 2) - E) / ((sum_i C(a_i, 2) + sum_j C(b_j, 2)) / 2 - E),
//   E   = sum_i C(a_i, 2) sum_j C(b_j, 2) / C(n, 2)                               (3)
//   purity = sum_i max_j n_ij / n                                                (4)
//
// The table may be far too large to write down (every row its own cell), so rows are sorted by (a, b) and the cells
// that are not empty counted as runs.
#include <math.h>
#include <string.h>

#include "probe/probe.h"

typedef struct table {
  double n, mutual, entropy_a, entropy_b; // n log n sums, see count_*
  double pairs, pairs_a, pairs_b;         // sums of C(., 2)
  double matched;                         // (4) times n
  int64_t clusters_a, clusters_b;
} table;

static double pairs_of(int64_t n) {
  return (double)n * (double)(n - 1) / 2;
}

static double n_log_n(int64_t n) {
  return (double)n * log((double)n);
}

// Sorts n keys by their lowest `bytes` bytes, eight bits a pass; `other` is as large. Returns where the result is.
// libc's qsort was rejected: it takes memory of its own.
static uint64_t *sort_keys(uint64_t *keys, uint64_t *other, int64_t n, int bytes) {
  for (int shift = 0; shift < 8 * bytes; shift += 8) {
    int64_t at[257] = {0};
    for (int64_t i = 0; i < n; i++) at[(keys[i] >> shift & 255) + 1]++;
    for (int b = 0; b < 256; b++) at[b + 1] += at[b];
    for (int64_t i = 0; i < n; i++) other[at[keys[i] >> shift & 255]++] = keys[i];
    uint64_t *swap = keys;
    keys = other;
    other = swap;
  }
  return keys;
}

// Of keys sorted by (a, b): everything but what needs the sums of b.
static void count_a(const uint64_t *keys, int64_t n, table *t) {
  for (int64_t i = 0; i < n;) {
    int64_t begin = i, most = 0;
    while (i < n && keys[i] >> 32 == keys[begin] >> 32) {
      int64_t cell = i;
      while (i < n && keys[i] == keys[cell]) i++;
      t->mutual += n_log_n(i - cell);
      t->pairs += pairs_of(i - cell);
      if (i - cell > most) most = i - cell;
    }
    t->entropy_a += n_log_n(i - begin);
    t->pairs_a += pairs_of(i - begin);
    t->matched += (double)most;
    t->clusters_a++;
  }
}

// Of keys sorted by b, which is in their low half.
static void count_b(const uint64_t *keys, int64_t n, table *t) {
  for (int64_t i = 0; i < n;) {
    int64_t begin = i;
    while (i < n && (uint32_t)keys[i] == (uint32_t)keys[begin]) i++;
    t->entropy_b += n_log_n(i - begin);
    t->pairs_b += pairs_of(i - begin);
    t->clusters_b++;
  }
}

// (1), (2). With S(x) = sum x log x over cells: n H(a) = n log n - S(a) and n I = S(ab) - S(a) - S(b) + n log n.
static double nmi_of(const table *t) {
  if (t->clusters_a == 1 && t->clusters_b == 1) return 1;
  double whole = t->n * log(t->n);
  double mutual = t->mutual - t->entropy_a - t->entropy_b + whole;
  double mean = (2 * whole - t->entropy_a - t->entropy_b) / 2;
  // Independent labels: what is left of the difference of large sums is rounding.
  if (mutual <= 1e-14 * whole || mean <= 0) return 0;
  return fmin(1, mutual / mean);
}

// (3).
static double ari_of(const table *t) {
  double all = t->n * (t->n - 1) / 2, sum = (t->pairs_a + t->pairs_b) / 2;
  if (t->pairs == t->pairs_a && t->pairs == t->pairs_b) return 1; // the same partition
  double expected = t->pairs_a / all * t->pairs_b;
  return (t->pairs - expected) / (sum - expected);
}

static mcl_status keys_of(const int32_t *a, const int32_t *b, int64_t n, uint64_t *keys,
                          mcl_error *err) {
  for (int64_t i = 0; i < n; i++) {
    if (a[i] < 0 || b[i] < 0)
      return mcli_fail_row(err, MCL_E_INVALID, i, "%s[%lld] is %d, labels are at least 0",
                           a[i] < 0 ? "a" : "b", (long long)i, (int)(a[i] < 0 ? a[i] : b[i]));
    keys[i] = (uint64_t)(uint32_t)a[i] << 32 | (uint32_t)b[i];
  }
  return MCL_OK;
}

mcl_status mcl_probe_agreement(mcl_context *context, const int32_t *a, const int32_t *b, int64_t n,
                               double *nmi, double *ari, double *purity, mcl_error *err) {
  if (!context) return mcli_fail(err, MCL_E_INVALID, "context is NULL");
  if (!a || !b) return mcli_fail(err, MCL_E_INVALID, "%s is NULL", a ? "b" : "a");
  int64_t size;
  if (n < 1) return mcli_fail(err, MCL_E_INVALID, "n is %lld, it must be at least 1", (long long)n);
  if (!mcli_mul(n, 16, &size)) return mcli_fail(err, MCL_E_LIMIT, "n is too large");
  uint64_t *keys = MCLI_NEW(context, uint64_t, 2 * n);
  if (!keys) return mcli_nomem(err, "the labels");
  mcl_status s = keys_of(a, b, n, keys, err);
  if (s == MCL_OK) {
    table t = {.n = (double)n};
    // The low half first, so that the table's columns can be counted on the way.
    uint64_t *sorted = sort_keys(keys, keys + n, n, 4);
    count_b(sorted, n, &t);
    sorted = sort_keys(sorted, sorted == keys ? keys + n : keys, n, 8);
    count_a(sorted, n, &t);
    if (nmi) *nmi = nmi_of(&t);
    if (ari) *ari = ari_of(&t);
    if (purity) *purity = t.matched / t.n;
  }
  mcli_free(context, keys);
  return s == MCL_OK ? mcl_ok(err) : s;
}
