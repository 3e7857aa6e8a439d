// Which rows are said to have the same image or the same caption.
#include "dataset/data.h"
#include "dataset/groups.h"

static mcl_context *c;
static mcl_error err;

enum { N = 7, CONTEXT = 3 };
static uint8_t bytes[N * 4];
// The captions a b a c b a d.
static int32_t ids[N * CONTEXT] = {9, 1, 0, 9, 2, 0, 9, 1, 0, 9, 1, 1, 9, 2, 0, 9, 1, 0, 8, 1, 0};
static mcl_dataset *images, *tokens;

static void start(void) {
  c = test_context(1);
  mcl_array a;
  mcl_array_init(&a, ids, MCL_I32, 2, (int64_t[]){N, CONTEXT});
  images = array_of(c, bytes, N, 2, 2, 1, NULL);
  CHECK_OK(mcl_dataset_create_tokens(c, &a, &tokens, &err));
}

static void stop(mcl_dataset *d) {
  mcl_dataset_unref(d);
  mcl_dataset_unref(images);
  mcl_dataset_unref(tokens);
  mcl_context_unref(c);
}

static void check_groups(mcl_dataset *d, int32_t modality, const int64_t *want) {
  int64_t out[16] = {0}, n = mcl_dataset_rows(d);
  CHECK_OK(mcl_dataset_groups(d, modality, out, 16, &err));
  for (int64_t i = 0; i < n; i++)
    ck_assert_msg(out[i] == want[i], "row %d: %d, not %d", (int)i, (int)out[i], (int)want[i]);
}

START_TEST(images_of_an_array_are_all_different) {
  start();
  check_groups(images, 0, (int64_t[]){0, 1, 2, 3, 4, 5, 6});
  stop(NULL);
}
END_TEST

START_TEST(captions_of_equal_ids_are_the_same_whatever_the_strides) {
  start();
  const int64_t want[N] = {0, 1, 0, 3, 1, 0, 6};
  check_groups(tokens, 0, want);
  int32_t turned[N * CONTEXT];
  mcl_dataset *d = NULL;
  mcl_array a;
  for (int i = 0; i < N * CONTEXT; i++) turned[i % CONTEXT * N + i / CONTEXT] = ids[i];
  mcl_array_init(&a, turned, MCL_I32, 2, (int64_t[]){N, CONTEXT});
  a.strides[0] = 1, a.strides[1] = N;
  CHECK_OK(mcl_dataset_create_tokens(c, &a, &d, &err));
  check_groups(d, 0, want);
  stop(d);
}
END_TEST

START_TEST(a_subset_names_its_own_first_rows) {
  start();
  mcl_dataset *d = NULL, *again = NULL, *pairs = NULL;
  CHECK_OK(mcl_dataset_create_joined(c, images, tokens, &pairs, &err));
  CHECK_OK(mcl_dataset_create_subset(c, pairs, (int64_t[]){6, 5, 2, 5, 1}, 5, &d, &err));
  check_groups(d, 0, (int64_t[]){0, 1, 2, 1, 4});
  check_groups(d, 1, (int64_t[]){0, 1, 1, 1, 4});
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){4, 3, 2, 1}, 4, &again, &err));
  check_groups(again, 0, (int64_t[]){0, 1, 2, 1});
  check_groups(again, 1, (int64_t[]){0, 1, 1, 1});
  mcl_dataset_unref(again), mcl_dataset_unref(pairs);
  stop(d);
}
END_TEST

START_TEST(bits_and_sizes_make_no_other_image) {
  start();
  mcl_dataset *d = NULL, *small = NULL, *bits = NULL, *pairs = NULL;
  CHECK_OK(mcl_dataset_create_subset(c, images, (int64_t[]){3, 3, 1, 0, 1, 5, 6}, N, &d, &err));
  CHECK_OK(mcl_dataset_create_resized(c, d, 1, 1, MCL_FILTER_BOX, &small, &err));
  CHECK_OK(mcl_dataset_create_randbits(c, small, 3, 1, &bits, &err));
  CHECK_OK(mcl_dataset_create_joined(c, tokens, bits, &pairs, &err));
  check_groups(pairs, 1, (int64_t[]){0, 0, 2, 3, 2, 5, 6});
  check_groups(pairs, 0, (int64_t[]){0, 1, 0, 3, 1, 0, 6});
  mcl_dataset_unref(small), mcl_dataset_unref(bits), mcl_dataset_unref(pairs);
  stop(d);
}
END_TEST

// ---- a host's -----------------------------------------------------------------------------------

typedef struct host {
  mcl_dataset *self;
  int again; // asks from inside
  mcl_status status;
} host;

static mcl_status give(void *user, int32_t modality, int64_t *out, mcl_error *e) {
  static const int64_t numbers[N] = {INT64_MAX, -1, 4, INT64_MIN, INT64_MAX, -1, 0};
  host *h = user;
  if (h->status) return mcl_error_set(e, h->status, 0, "not now");
  if (modality == 1) return mcl_error_set(e, MCL_E_NOT_FOUND, 0, "not known of texts");
  if (h->again) {
    int64_t inner[N];
    mcl_error x;
    return mcl_error_set(e, mcl_dataset_groups(h->self, 0, inner, N, &x), 0, x.message);
  }
  memcpy(out, numbers, sizeof numbers);
  return mcl_ok(e);
}

static mcl_dataset *host_of(host *h, int says) {
  mcl_host_dataset t;
  mcl_struct_init(&t, sizeof t);
  t.user = h, t.rows = N, t.modalities = 2;
  if (says) t.groups = give;
  CHECK_OK(mcl_dataset_create_host(c, &t, &h->self, &err));
  return h->self;
}

START_TEST(a_hosts_numbers_become_first_rows_and_negative_ones_share_with_none) {
  start();
  host h = {0};
  mcl_dataset *d = host_of(&h, 1), *sub = NULL;
  check_groups(d, 0, (int64_t[]){0, 1, 2, 3, 0, 5, 6});
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){1, 5, 1, 4, 0}, 5, &sub, &err));
  check_groups(sub, 0, (int64_t[]){0, 1, 0, 3, 3}); // row 1 is itself, named twice
  mcl_dataset_unref(sub);
  stop(d);
}
END_TEST

START_TEST(what_is_not_known_or_fails_leaves_out_untouched) {
  start();
  host h = {0}, mute = {0};
  int64_t out[N] = {-9, -9, -9, -9, -9, -9, -9};
  mcl_dataset *d = host_of(&h, 1), *silent = host_of(&mute, 0), *sub = NULL;
  CHECK_OK(mcl_dataset_create_subset(c, d, (int64_t[]){1, 5}, 2, &sub, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "does not say", mcl_dataset_groups(silent, 0, out, N, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "not known of texts", mcl_dataset_groups(d, 1, out, N, &err));
  CHECK_FAILS(MCL_E_NOT_FOUND, "not known of texts", mcl_dataset_groups(sub, 1, out, N, &err));
  h.again = 1;
  CHECK_FAILS(MCL_E_BUSY, "dataset", mcl_dataset_groups(d, 0, out, N, &err));
  h.status = MCL_E_IO;
  CHECK_FAILS(MCL_E_IO, "not now", mcl_dataset_groups(d, 0, out, N, &err));
  CHECK_FAILS(MCL_E_INVALID, "dataset is NULL", mcl_dataset_groups(NULL, 0, out, N, &err));
  CHECK_FAILS(MCL_E_INVALID, "out is NULL", mcl_dataset_groups(images, 0, NULL, N, &err));
  CHECK_FAILS(MCL_E_LIMIT, "modality is 1, not 0..0", mcl_dataset_groups(images, 1, out, N, &err));
  CHECK_FAILS(MCL_E_LIMIT, "modality is -1", mcl_dataset_groups(images, -1, out, N, &err));
  CHECK_FAILS(MCL_E_LIMIT, "n is 6, the dataset has 7 rows",
              mcl_dataset_groups(images, 0, out, N - 1, &err));
  for (int i = 0; i < N; i++) ck_assert_int_eq(out[i], -9);
  mcl_dataset_unref(silent), mcl_dataset_unref(sub);
  stop(d);
}
END_TEST

// ---- memory, and the sort -----------------------------------------------------------------------

static int compare_bytes(const void *user, int64_t a, int64_t b) {
  const uint8_t *x = user;
  return x[a] < x[b] ? -1 : x[a] > x[b];
}

// Hashes that tell nothing, little, and everything, beside the plain search.
START_TEST(items_of_equal_hash_are_told_apart_by_what_they_are) {
  c = test_context(1);
  for (int64_t n = 0; n < 70; n++)
    for (uint8_t kinds = 1; kinds < 40; kinds += 13)
      for (int hash = 0; hash < 3; hash++) {
        uint8_t items[70];
        mcli_group_key keys[70];
        int64_t first[70];
        fill_bytes(items, n, (uint64_t)n);
        for (int64_t i = 0; i < n; i++) {
          items[i] = (uint8_t)(items[i] % kinds);
          keys[i] = (mcli_group_key){hash == 0 ? 5 : hash == 1 ? items[i] % 3 : items[i], i};
        }
        CHECK_OK(mcli_group(c, keys, n, compare_bytes, items, first, &err));
        for (int64_t i = 0; i < n; i++) {
          int64_t want = 0;
          while (items[want] != items[i]) want++;
          ck_assert_int_eq(first[i], want);
        }
      }
  mcl_context_unref(c);
}
END_TEST

RUN_TESTS("dataset", images_of_an_array_are_all_different,
          captions_of_equal_ids_are_the_same_whatever_the_strides,
          a_subset_names_its_own_first_rows, bits_and_sizes_make_no_other_image,
          a_hosts_numbers_become_first_rows_and_negative_ones_share_with_none,
          what_is_not_known_or_fails_leaves_out_untouched,
          items_of_equal_hash_are_told_apart_by_what_they_are)
