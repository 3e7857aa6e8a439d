// Encoders that are kept in a folder beside a list of which belong together: an integrator's, or a run's.
#ifndef MCL_ENCODER_FOLDER_H
#define MCL_ENCODER_FOLDER_H

#include <libmcl/checkpoint.h>
#include <libmcl/encoder.h>

#include "base/file.h"

enum { MCLI_FOLDER_NAME = 96 };

// NAME.safetensors, and a hash of its bytes: 0 where there is no such file, or the list does not say.
typedef struct mcli_folder_entry {
  char name[MCLI_FOLDER_NAME];
  uint64_t hash;
} mcli_folder_entry;

typedef struct mcli_folder_list {
  mcli_folder_entry *entries;
  int32_t n, capacity;
  int is_known; // the list on the disk says what belongs to it
} mcli_folder_list;

mcl_status mcli_folder_list_add(mcl_context *c, mcli_folder_list *l, const char *name,
                                uint64_t hash, mcl_error *err);
// The entry of that name; NULL: none.
const mcli_folder_entry *mcli_folder_list_find(const mcli_folder_list *l, const char *name);
void mcli_folder_list_free(mcl_context *c, mcli_folder_list *l);

// What a list's checkpoint says, and is given to say. Read into an empty list, to be freed whatever comes back.
mcl_status mcli_folder_list_read(mcl_context *c, const mcl_checkpoint *f, const char *path,
                                 mcli_folder_list *out, mcl_error *err);
mcl_status mcli_folder_list_write(mcl_context *c, const mcli_folder_list *l,
                                  mcl_checkpoint_writer *w, mcl_error *err);

// A save. Between open and close nobody else saves into the folder, where its file system has locks.
typedef struct mcli_folder {
  mcl_context *context;
  char *directory, *path; // of the list
  char *from, *to;        // room for paths, so that what comes after the list takes no memory
  int lock, has_list;
  mcli_identity list;        // of the file that was there
  mcli_folder_list was, now; // what the list on the disk says; what it is to say
} mcli_folder;

// The directory is made where it does not exist. `list` is the name of the list's file.
mcl_status mcli_folder_open(mcl_context *c, const char *directory, const char *list, mcli_folder *f,
                            mcl_error *err);
// Puts an encoder there, to take effect when the list does, and adds it to f->now.
mcl_status mcli_folder_put(mcli_folder *f, mcl_encoder *e, const char *name, mcl_error *err);
// Adds one that lies there already: 1, or 0 where there is none of that hash.
int mcli_folder_keep(mcli_folder *f, const char *name, uint64_t hash, mcl_status *s,
                     mcl_error *err);
// After `s`, what came of it all, which it returns: where it is MCL_OK the list that was written says what f->now does.
mcl_status mcli_folder_close(mcli_folder *f, mcl_status s);
// Puts in order what a killed save has left, as the next save would.
mcl_status mcli_folder_tidy(mcl_context *c, const char *directory, const char *list,
                            mcl_error *err);

// Loads an encoder that the list names. MCL_E_NOT_FOUND: there is no such file; MCL_E_MISMATCH: it is another than the list names.
mcl_status mcli_folder_load(mcl_context *c, const char *directory, const mcli_folder_entry *entry,
                            mcl_encoder *e, mcl_error *err);
// MCL_E_BUSY: it was replaced ten times while it was read.
// Whether it could be: the same errors, and nothing is loaded.
mcl_status mcli_folder_check(mcl_context *c, const char *directory, const mcli_folder_entry *entry,
                             mcl_error *err);

// Whether the list on the disk is another by now: then a load that did not find its files begins anew.
int mcli_folder_has_changed(mcl_context *c, const char *directory, const char *list,
                            const mcli_folder_list *was);

#endif
