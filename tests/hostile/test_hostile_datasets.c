// IDX files, folders, and files of pairs made to cost as much as they can.
//
// Where a file's rows are what it is for, the bound is in proportion to them, and stands beside the case: a caption of one byte
// is a row as good as any.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmcl/dataset.h>
#include <libmcl/image.h>

#include "hostile/hostile.h"

// ---- calls -----------------------------------------------------------------------------------------

static mcl_status open_idx(mcl_context *c, void *user, mcl_error *err) {
  mcl_dataset *d = NULL;
  mcl_status s = mcl_dataset_create_idx(c, user, NULL, &d, err);
  mcl_dataset_unref(d);
  return s;
}

static mcl_status open_folder(mcl_context *c, void *user, mcl_error *err) {
  mcl_dataset *d = NULL;
  mcl_status s = mcl_dataset_create_folder(c, user, NULL, NULL, &d, err);
  mcl_dataset_unref(d);
  return s;
}

static mcl_status open_pairs(mcl_context *c, void *user, mcl_error *err) {
  mcl_dataset *d = NULL;
  mcl_status s = mcl_dataset_create_pairs(c, user, NULL, NULL, NULL, &d, err);
  mcl_dataset_unref(d);
  return s;
}

static mcl_status open_pairs_and_groups(mcl_context *c, void *user, mcl_error *err) {
  mcl_dataset *d = NULL;
  mcl_status s = mcl_dataset_create_pairs(c, user, NULL, NULL, NULL, &d, err);
  if (s < 0) return s;
  int64_t n = mcl_dataset_rows(d);
  int64_t *groups = malloc((size_t)n * sizeof *groups);
  s = mcl_dataset_groups(d, 0, groups, n, err);
  free(groups);
  mcl_dataset_unref(d);
  return s;
}

// ---- IDX -------------------------------------------------------------------------------------------

static blob begin_idx(int dimensions, uint32_t size) {
  blob b = {0};
  blob_add(&b, (uint8_t[]){0, 0, 8, (uint8_t)dimensions}, 4);
  for (int i = 0; i < dimensions; i++) blob_big32(&b, size);
  return b;
}

START_TEST(an_idx_header_that_lies_costs_nothing) {
  static const uint32_t sizes[] = {0xFFFFFFFF, 0x7FFFFFFF, 0x10000, 2048, 2};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (int dimensions = 3; dimensions <= 4; dimensions++) {
      char name[80];
      blob b = begin_idx(dimensions, sizes[i]);
      snprintf(name, sizeof name, "idx: %d sizes of %u, no bytes", dimensions, (unsigned)sizes[i]);
      run_hostile_file((hostile_case){.name = name, .why = i < 2 ? "claims" : ""}, "lies.idx", &b,
                       open_idx);
    }
}
END_TEST

START_TEST(a_packed_idx_file_is_not_unpacked_beyond_reason) {
  blob zeros = {0}, head = begin_idx(3, 2048), b = {0};
  blob_fill(&zeros, 0, MB);
  blob_pack(&b, head.data, head.n, 1, 1, 9); // a member for the header, others for the pixels
  blob_pack(&b, zeros.data, zeros.n, SANITIZED ? 4000 : 62000, 1, 9);
  run_hostile_file((hostile_case){.name = "idx: 60 GB of zeros, packed 1000:1", .why = "unpack"},
                   "bomb.idx.gz", &b, open_idx);
  blob_pack(&b, head.data, head.n, 1, 1, 9);
  blob_pack(&b, zeros.data, zeros.n, 1024, 1, 9);
  run_hostile_file((hostile_case){.name = "idx: 1 GB of zeros, packed 1000:1", .why = "unpack"},
                   "bomb.idx.gz", &b, open_idx);
  blob_free(&head);
  head = begin_idx(3, 1);
  blob_pack(&b, head.data, head.n, 1, 1, 9);
  blob_pack(&b, zeros.data, zeros.n, SANITIZED ? 4000 : 62000, 1, 9);
  run_hostile_file((hostile_case){.name = "idx: 60 GB of zeros behind one pixel", .why = "unpack"},
                   "bomb.idx.gz", &b, open_idx);
  blob_free(&head);
  blob_free(&zeros);
}
END_TEST

START_TEST(millions_of_empty_gzip_members_are_passed_over) {
  blob one = {0}, b = {0};
  blob_pack(&one, "", 1, 0, 1, 9);
  while (b.n + one.n <= MOST_BYTES) blob_add(&b, one.data, one.n);
  blob_free(&one);
  run_hostile_file(
      (hostile_case){.name = "idx: millions of empty members", .why = "not an IDX file"},
      "members.idx.gz", &b, open_idx);
}
END_TEST

START_TEST(a_good_idx_file_costs_its_own_bytes) {
  blob b = {0};
  blob_add(&b, (uint8_t[]){0, 0, 8, 3}, 4);
  blob_big32(&b, MOST_BYTES / MB - 1);
  blob_big32(&b, 1024);
  blob_big32(&b, 1024);
  blob_noise(&b, (size_t)MOST_BYTES - MB, 1);
  run_hostile_file((hostile_case){.name = "idx: 63 images of 1024 x 1024", .accepted = 1},
                   "good.idx", &b, open_idx);
}
END_TEST

// ---- pairs -----------------------------------------------------------------------------------------

static blob repeated(const char *text, size_t most) {
  blob b = {0};
  size_t n = strlen(text);
  while (b.n + n <= most) blob_add(&b, text, n);
  return b;
}

START_TEST(files_of_pairs_of_one_byte_over_and_over_are_refused_within_the_bound) {
  static const struct {
    const char *text, *file, *why;
  } kinds[] = {
      {"x", "one.tsv", "a record has more than"},
      {"\n", "one.tsv", "has no captions"},
      {"\r", "one.tsv", "a record has more than"},
      {"\t", "one.tsv", "the image's path is empty"},
      {",", "one.csv", "the image's path is empty"},
      {"\"", "one.csv", "a record has more than"},
      {"\n", "one.csv", "has no captions"},
      {"a,\"", "one.csv", "something follows"},
      {"\"\n\"", "one.csv", "a record has more than"},
      {"{", "one.jsonl", "a record has more than"},
      {"{\n", "one.jsonl", "a string was expected"},
      {"\n", "one.jsonl", "has no captions"},
      {" \n", "one.jsonl", "has no captions"},
      {"\xC3", "one.tsv", "not UTF-8"},
      {"\n\n\n\n\n\n\n\xC3", "one.tsv", "not UTF-8"},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    char name[80];
    // What is refused in its first line costs its bytes.
    int soon = !strstr(kinds[i].text, "\n") && i > 0;
    blob b = repeated(kinds[i].text, soon ? 8 * MB : MOST_BYTES);
    snprintf(name, sizeof name, "pairs: case %zu, %s", i, kinds[i].why);
    run_hostile_file((hostile_case){.name = name, .why = kinds[i].why}, kinds[i].file, &b,
                     open_pairs);
  }
}
END_TEST

START_TEST(deep_json_is_refused_within_the_bound) {
  blob b = {0};
  blob_text(&b, "{\"a\": ");
  blob_fill(&b, '[', 1000000);
  run_hostile_file((hostile_case){.name = "pairs: lists 1,000,000 deep", .why = "nested too deep"},
                   "deep.jsonl", &b, open_pairs);
  // Lines of just under a megabyte, each 64 deep again and again, and then without a caption.
  while (b.n < MOST_BYTES - MB) {
    size_t begin = b.n;
    blob_text(&b, "{\"a\": [");
    while (b.n - begin < MB - 200) {
      blob_fill(&b, '[', 60);
      blob_fill(&b, ']', 60);
      blob_text(&b, ",");
    }
    blob_text(&b, "[]], \"image\": \"x.png\", \"caption\": \"y\"}\n");
  }
  run_hostile_file((hostile_case){.name = "pairs: 64 MB of lists 60 deep", .why = "x.png"},
                   "deep.jsonl", &b, open_pairs);
  for (int i = 0; b.n < MOST_BYTES - 100; i++)
    blob_text(&b, "{\"image\": \"\\u0041\", \"\\ud83d\\ude00\": 1e5, \"captions\": [\"%d\"]}\n", i);
  run_hostile_file((hostile_case){.name = "pairs: 64 MB of escapes", .why = "A: cannot open"},
                   "deep.jsonl", &b, open_pairs);
}
END_TEST

static void save_image(const char *path) {
  mcl_context *c = test_context(1);
  mcl_error err;
  uint8_t pixel[3] = {1, 2, 3};
  mcl_array a;
  mcl_array_init(&a, pixel, MCL_U8, 3, (int64_t[]){1, 1, 3});
  CHECK_OK(mcl_image_write_png(c, path, &a, &err));
  mcl_context_unref(c);
}

// 64 bytes a caption, and 32 more while they are grouped: of captions of four bytes a large multiple of the file.
START_TEST(captions_of_one_letter_cost_so_many_bytes_each) {
  save_image(hostile_path("a.png"));
  blob b = repeated("a.png\tb\n", MOST_BYTES / 8);
  run_hostile_file((hostile_case){.name = "pairs: 1,000,000 captions, all the same", .accepted = 1},
                   "same.tsv", &b, open_pairs_and_groups);
  blob_text(&b, "a.png");
  while (b.n < MB - 5) blob_text(&b, "\tb");
  run_hostile_file((hostile_case){.name = "pairs: one image with 500,000 captions", .accepted = 1},
                   "many.tsv", &b, open_pairs_and_groups);
  unlink(hostile_path("a.png"));
}
END_TEST

// Each is looked for, named in the log, and left out: 5 microseconds.
START_TEST(images_that_are_not_there_cost_no_pixels) {
  blob b = {0};
  for (int i = 0; i < 200000 / SHRINK; i++) blob_text(&b, "%d\tx\n", i);
  run_hostile_file(
      (hostile_case){.name = "pairs: 200,000 images that are not there", .why = "none of the"},
      "none.tsv", &b, open_pairs);
}
END_TEST

START_TEST(a_packed_file_of_pairs_is_not_unpacked_beyond_reason) {
  blob lines = repeated("\n", MB), b = {0};
  blob_pack(&b, lines.data, lines.n, SANITIZED ? 4000 : 62000, 1, 9);
  run_hostile_file(
      (hostile_case){.name = "pairs: 60 GB of empty lines, packed 1000:1", .why = "unpack"},
      "bomb.tsv.gz", &b, open_pairs);
  blob_pack(&b, lines.data, lines.n, 1000, 1, 9);
  run_hostile_file(
      (hostile_case){.name = "pairs: 1 GB of empty lines, packed 1000:1", .why = "unpack"},
      "bomb.tsv.gz", &b, open_pairs);
  blob_free(&lines);
}
END_TEST

// ---- folders ---------------------------------------------------------------------------------------

static void make_folder(char *path, size_t room, const char *name) {
  snprintf(path, room, "%s", hostile_path(name));
  ck_assert_int_eq(mkdir(path, 0777), 0);
}

static void make_empty(const char *folder, const char *name, int i) {
  char path[4200];
  snprintf(path, sizeof path, "%s/%s%d.png", folder, name, i);
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  fclose(f);
}

START_TEST(a_folder_of_many_empty_files_is_refused_within_the_bound) {
  char folder[4096];
  make_folder(folder, sizeof folder, "many");
  for (int i = 0; i < 100000 / SHRINK; i++) make_empty(folder, "", i);
  run_hostile(
      &(hostile_case){.name = "folder: 100,000 empty files", .why = "none of the", .file = "many"},
      open_folder, folder);
  hostile_clean();
}
END_TEST

START_TEST(folders_that_are_deep_are_refused) {
  char folder[4096], path[4096];
  make_folder(folder, sizeof folder, "deep");
  snprintf(path, sizeof path, "%s", folder);
  for (int i = 0; i < 40; i++) {
    strncat(path, "/x", sizeof path - strlen(path) - 1);
    ck_assert_int_eq(mkdir(path, 0777), 0);
    for (int k = 0; k < 100; k++) make_empty(path, "y", k);
  }
  run_hostile(&(hostile_case){.name = "folder: 40 deep", .why = "over 32 deep"}, open_folder,
              folder);
  hostile_clean();
}
END_TEST

// A folder is read once however many links lead to it: 1000 links to 1000 files are 1000 files.
START_TEST(links_to_one_folder_cost_no_more_than_the_folder) {
  char folder[4096], target[4200], link[4200];
  make_folder(folder, sizeof folder, "links");
  snprintf(target, sizeof target, "%s/target", folder);
  ck_assert_int_eq(mkdir(target, 0777), 0);
  for (int i = 0; i < 10000 / SHRINK; i++) make_empty(target, "", i);
  for (int i = 0; i < 10000 / SHRINK; i++) {
    snprintf(link, sizeof link, "%s/link%d", folder, i);
    ck_assert_int_eq(symlink(i % 2 ? "target" : ".", link), 0);
  }
  run_hostile(&(hostile_case){.name = "folder: 10,000 links to itself and to 10,000 files",
                              .why = "none of the"},
              open_folder, folder);
  hostile_clean();
}
END_TEST

RUN_TESTS("hostile_datasets", an_idx_header_that_lies_costs_nothing,
          a_packed_idx_file_is_not_unpacked_beyond_reason,
          millions_of_empty_gzip_members_are_passed_over, a_good_idx_file_costs_its_own_bytes,
          files_of_pairs_of_one_byte_over_and_over_are_refused_within_the_bound,
          deep_json_is_refused_within_the_bound, captions_of_one_letter_cost_so_many_bytes_each,
          images_that_are_not_there_cost_no_pixels,
          a_packed_file_of_pairs_is_not_unpacked_beyond_reason,
          a_folder_of_many_empty_files_is_refused_within_the_bound,
          folders_that_are_deep_are_refused, links_to_one_folder_cost_no_more_than_the_folder)
