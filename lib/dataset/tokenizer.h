// The tokenizer handle inside: a vocabulary that is complete, and how rows are made.
#ifndef MCL_DATASET_TOKENIZER_H
#define MCL_DATASET_TOKENIZER_H

#include <libmcl/tokenizer.h>

#include "dataset/vocabulary.h"

struct mcl_tokenizer {
  mcli_refcount refs;
  mcl_context *context; // a reference
  mcl_tokenizer_options options;
  mcli_vocabulary vocabulary;
  int32_t pieces[2][MCLI_BYTES]; // the id of each byte, inside a word and at its end
  int32_t start, end;
  int32_t plain; // ids are laid out as by training, so that the merges give all of them
  uint64_t fingerprint;
};

// The caller's options over the defaults, checked.
mcl_status mcli_tokenizer_options_read(const mcl_tokenizer_options *from, mcl_tokenizer_options *o,
                                       mcl_error *err);
// One reference, an empty vocabulary; NULL without memory.
mcl_tokenizer *mcli_tokenizer_new(mcl_context *c, const mcl_tokenizer_options *o);
// Looks up the bytes and the two marks in the complete vocabulary, checks padding, and hashes.
// MCL_E_FORMAT, MCL_E_INVALID. `where` names the vocabulary.
mcl_status mcli_tokenizer_finish(mcl_tokenizer *t, const char *where, mcl_error *err);

// mcl_tokenizer_encode() of checked arguments, straight into the outputs, which a failure leaves
// half written. `lengths` may be NULL. `what` names a text: "text 3: ...".
mcl_status mcli_tokenizer_rows(const mcl_tokenizer *t, const char *const *texts, int64_t n,
                               int32_t *tokens, int32_t *lengths, mcl_error *err);
// Each of n texts is there and not too long; *longest (may be NULL) is the longest's length.
mcl_status mcli_tokenizer_check_texts(const mcl_tokenizer_options *o, const char *const *texts,
                                      int64_t n, int64_t *longest, mcl_error *err);
mcl_status mcli_tokenizer_fail_utf8(mcl_error *err, int64_t text, int64_t place);

#endif
