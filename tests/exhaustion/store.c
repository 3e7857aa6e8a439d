// Files of rows and of tensors.
#include "exhaustion/exhaust.h"

#include <libmcl/checkpoint.h>
#include <libmcl/rows.h>

enum { ROWS = 5, DIM = 3 };
static float z[ROWS * DIM];
static mcl_npy *file;
static mcl_checkpoint *checkpoint;
static mcl_checkpoint_writer *writer;
static float out[ROWS * DIM];

// ---- .npy ------------------------------------------------------------------------------------------------

static void write_npy(int32_t dtype) {
  mcl_npy *f = NULL;
  mcl_array a = mcl_matrix_f32(z, ROWS, DIM);
  CHECK_OK(mcl_npy_create(c, in("rows.npy"), dtype, ROWS, DIM, &f, &err));
  CHECK_OK(mcl_npy_write(f, 0, &a, &err));
  CHECK_OK(mcl_npy_commit(f, &err));
  mcl_npy_unref(f);
}

static void prepare_npy(void) {
  test_fill(z, ROWS * DIM, 1, -1, 1);
  write_npy(MCL_F32);
  file = UNTOUCHED;
}

static mcl_status open_npy(void) {
  return mcl_npy_open(c, in("rows.npy"), &file, &err);
}

// Nothing is in the folder but the old file, as long as the new one is not committed.
static mcl_status create_npy(void) {
  return mcl_npy_create(c, in("rows.npy"), MCL_F64, ROWS, DIM, &file, &err);
}

static void prepare_written(void) {
  prepare_npy();
  for (int i = 0; i < ROWS * DIM; i++) z[i] *= 2;
  CHECK_OK(create_npy());
}

// Turned, so that rows have to be put together.
static mcl_status write_rows(void) {
  mcl_array a = mcl_matrix_f32(z, ROWS, DIM);
  a.strides[0] = 1, a.strides[1] = ROWS;
  return mcl_npy_write(file, 0, &a, &err);
}

static void look_at_rows(seen *s) {
  mcl_rows rows;
  mcl_array a = mcl_matrix_f32(out, ROWS, DIM);
  see_files(s);
  see_number(s, IS_MADE(file));
  if (!IS_MADE(file)) return;
  mcl_struct_init(&rows, sizeof rows);
  mcl_npy_rows(file, &rows);
  CHECK_OK(mcl_rows_read(&rows, 0, ROWS, &a, &err));
  see(s, out, sizeof out);
}

// Beside the old file there is one that is being written, once it is begun and until it is committed.
static void look_at_files(seen *s) {
  see_files(s);
  see_number(s, IS_MADE(file));
}

static void finish_npy(void) {
  if (IS_MADE(file)) mcl_npy_unref(file);
}

// ---- safetensors, read -----------------------------------------------------------------------------------

static mcl_status begin_checkpoint(void) {
  return mcl_checkpoint_writer_create(c, in("t.safetensors"), &writer, &err);
}

static mcl_status add_to_checkpoint(void) {
  mcl_array a = mcl_matrix_f32(z, ROWS, DIM);
  a.strides[0] = 1, a.strides[1] = ROWS;
  return mcl_checkpoint_writer_add(writer, "z", &a, &err);
}

static mcl_status add_text(void) {
  return mcl_checkpoint_writer_meta(writer, "key", "value", &err);
}

static mcl_status commit_checkpoint(void) {
  return mcl_checkpoint_writer_commit(writer, &err);
}

static void prepare_writer(void) {
  writer = UNTOUCHED;
  test_fill(z, ROWS * DIM, 2, -1, 1);
  put_file("t.safetensors", "old", 3);
}

static void prepare_begun(void) {
  prepare_writer();
  CHECK_OK(begin_checkpoint());
}

static void prepare_filled(void) {
  prepare_begun();
  CHECK_OK(add_to_checkpoint());
  CHECK_OK(add_text());
}

static void look_at_writer(seen *s) {
  see_number(s, IS_MADE(writer));
  see_files(s);
}

static void finish_writer(void) {
  if (IS_MADE(writer)) mcl_checkpoint_writer_unref(writer);
}

// What a writer holds can be seen only by what it writes: after a failure it must not have the name already, so the
// same call again says whether it has; and the file is committed in the end.
static void finish_added(void) {
  CHECK_OK(commit_checkpoint());
  finish_writer();
}

static void prepare_checkpoint(void) {
  prepare_filled();
  CHECK_OK(commit_checkpoint());
  finish_writer();
  checkpoint = UNTOUCHED;
  PATTERN(out);
}

static mcl_status open_checkpoint(void) {
  return mcl_checkpoint_open(c, in("t.safetensors"), &checkpoint, &err);
}

static void prepare_opened(void) {
  prepare_checkpoint();
  CHECK_OK(open_checkpoint());
}

static mcl_status read_tensor(void) {
  mcl_array a = mcl_matrix_f32(out, ROWS, DIM);
  return mcl_checkpoint_read(checkpoint, "z", &a, &err);
}

static void look_at_checkpoint(seen *s) {
  char text[16] = "";
  see(s, out, sizeof out);
  see_files(s);
  see_number(s, IS_MADE(checkpoint));
  if (IS_MADE(checkpoint))
    CHECK_OK(mcl_checkpoint_meta(checkpoint, "key", text, sizeof text, NULL, &err));
  see(s, text, sizeof text);
}

static void finish_checkpoint(void) {
  if (IS_MADE(checkpoint)) mcl_checkpoint_unref(checkpoint);
}

static const exhaust_case cases[] = {
    {"mcl_npy_open", "", prepare_npy, open_npy, look_at_rows, finish_npy},
    {"mcl_npy_create", "over an old file", prepare_npy, create_npy, look_at_files, finish_npy},
    {"mcl_npy_write", "of turned rows", prepare_written, write_rows, look_at_files, finish_npy},
    {"mcl_checkpoint_writer_create", "", prepare_writer, begin_checkpoint, look_at_writer,
     finish_writer},
    {"mcl_checkpoint_writer_add", "", prepare_begun, add_to_checkpoint, look_at_writer,
     finish_added},
    {"mcl_checkpoint_writer_meta", "", prepare_begun, add_text, look_at_writer, finish_added},
    {"mcl_checkpoint_writer_commit", "over an old file", prepare_filled, commit_checkpoint,
     look_at_writer, finish_writer},
    {"mcl_checkpoint_open", "", prepare_checkpoint, open_checkpoint, look_at_checkpoint,
     finish_checkpoint},
    {"mcl_checkpoint_read", "", prepare_opened, read_tensor, look_at_checkpoint, finish_checkpoint},
};
PART(store, cases);
