/* Texts as rows of token ids, by byte-pair encoding in the style of CLIP.
 *
 * A text is lower-cased, split into words, and each word, as bytes, is put together from the pieces that a vocabulary
 * has. What is done, step by step:
 *
 *   1. Lower case (Unicode 14.0, full mappings, with the final sigma of Greek).
 *   2. Words: 's 't 're 've 'm 'll 'd; runs of letters; single digits (any number character); runs of anything else.
 *      White space separates words and is otherwise lost.
 *   3. A word's bytes are its first pieces; the last one is marked as a word's end ("</w>").
 *   4. Of all pairs of neighbouring pieces that have a merge, the one with the earliest merge becomes one piece, wherever
 *      it stands, from left to right; until no pair has one (Sennrich, Haddow & Birch 2016, "Neural Machine
 *      Translation of Rare Words with Subword Units", section 3.2; on bytes: Radford et al. 2019, "Language Models are
 *      Unsupervised Multitask Learners", section 2.2).
 *   5. A row is the start token, the pieces' ids, the end token, and padding up to `context`.
 *
 * The ids are those of CLIP's tokenizer (Radford et al. 2021, section 2.4) when its files are loaded, but: HTML entities
 * are not unescaped, and broken encodings are not mended (its `ftfy`): give texts in which that is done. And a
 * text that spells "<|startoftext|>" or "<|endoftext|>" gets the ids of its letters: what a caption says never ends a row.
 *
 * Threads: a tokenizer never changes; every call on it may be made by several threads at once. */
#ifndef LIBMCL_TOKENIZER_H
#define LIBMCL_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** A vocabulary and its merges. Reference-counted. */
typedef struct mcl_tokenizer mcl_tokenizer;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_tokenizer *mcl_tokenizer_ref(mcl_tokenizer *tokenizer);

/** Gives a reference back; the last one frees it. NULL is fine. Any thread. */
MCL_API void mcl_tokenizer_unref(mcl_tokenizer *tokenizer);

/** What becomes of a text with more tokens than a row has room for. */
enum {
  MCL_LONG_TEXT_CUT = 1, /**< the row's last token is the end token, what lies behind is left out */
  MCL_LONG_TEXT_FAIL     /**< MCL_E_LIMIT */
};

/** What becomes of bytes that are not UTF-8. */
enum {
  MCL_BAD_UTF8_FAIL = 1, /**< MCL_E_FORMAT */
  MCL_BAD_UTF8_REPLACE   /**< each such byte becomes U+FFFD */
};

/** Prepared by mcl_tokenizer_options_init(). None of it is kept in the files of mcl_tokenizer_save(). */
typedef struct mcl_tokenizer_options {
  size_t struct_size;
  int64_t max_text_bytes; /**< of one text, 1 .. 1048576; default 65536 */
  int64_t max_file_bytes; /**< of a file, unpacked too, 1 .. 2^30; default 64 MiB */
  int32_t vocabulary;     /**< tokens at most, 514 .. 1048576; default 49408, CLIP's */
  int32_t context;        /**< tokens a row, 2 .. 65536; default 77, CLIP's */
  int32_t padding;        /**< the id that fills a row, below the vocabulary; default 0 */
  int32_t min_count;      /**< training only: rarer pairs are not merged, 1 or more; default 2 */
  int32_t on_long;        /**< MCL_LONG_TEXT_CUT, the default, or MCL_LONG_TEXT_FAIL */
  int32_t on_bad_utf8;    /**< MCL_BAD_UTF8_FAIL, the default, or MCL_BAD_UTF8_REPLACE */
} mcl_tokenizer_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_tokenizer_options_init(mcl_tokenizer_options *options, size_t struct_size);

/** Learns a vocabulary from `texts`, n of them, each NUL-terminated: again and again, the pair of neighbouring pieces
 * that is seen most often, in all words of all texts, becomes a piece; pairs overlap when they are counted. Of
 * pairs that are seen equally often, the one whose left piece has the smaller id, then whose right piece has. It ends
 * when `vocabulary` is full, or no pair is seen min_count times. The order of the texts plays no part.
 * Ids are laid out as CLIP's: 256 bytes, 256 bytes that end a word, pieces in the order of their merges, start, end.
 * Memory: some 40 bytes for each byte of all different words together.
 * Monitor: phases "count" (texts) and "merge" (tokens).
 * Errors: MCL_E_INVALID (a field, named; n < 1; a NULL text: err->row is its place), MCL_E_LIMIT (a text is longer than
 * max_text_bytes: err->row), MCL_E_FORMAT (not UTF-8; the byte's place is named, err->row is the text's),
 * MCL_E_CANCELLED, MCL_E_NOMEM, MCL_E_UNSUPPORTED (newer options). */
MCL_API MCL_CHECK mcl_status mcl_tokenizer_create(mcl_context *context,
                                                  const mcl_tokenizer_options *options,
                                                  const char *const *texts, int64_t n,
                                                  const mcl_monitor *monitor, mcl_tokenizer **out,
                                                  mcl_error *err);

/** Reads a vocabulary from files, each plain or gzip'ed.
 * `merges`: a line a merge, "left right", earliest first; a first line with "#version" in it is a heading. CLIP's
 * merges.txt, or its bpe_simple_vocab_16e6.txt.gz.
 * `vocabulary`: a JSON object from pieces to ids, CLIP's vocab.json. The ids are 0 .. count - 1; there are all 512
 * bytes, "<|startoftext|>" and "<|endoftext|>", and every merge's pieces and result. NULL: ids are laid out as in
 * mcl_tokenizer_create(), and merges are read until there are options.vocabulary tokens, as CLIP reads its own file.
 * Errors: MCL_E_INVALID (a field, named), MCL_E_NOT_FOUND, MCL_E_IO, MCL_E_FORMAT (names the file, and the line of merges or
 * byte of the vocabulary), MCL_E_LIMIT (a file, or the vocabulary, is larger than the options allow),
 * MCL_E_MISMATCH (two files of mcl_tokenizer_save() that do not belong together), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_tokenizer_load(mcl_context *context,
                                                const mcl_tokenizer_options *options,
                                                const char *vocabulary, const char *merges,
                                                mcl_tokenizer **out, mcl_error *err);

/** Writes the two files that mcl_tokenizer_load() reads, not packed. The heading of `merges` names the vocabulary, so that
 * files of two different savings are not taken for a pair. Whatever becomes of the call, killed or not, mcl_tokenizer_load()
 * reads the pair that was there or the new one: before the merges are replaced, the new vocabulary lies beside its own
 * place, at VOCABULARY and 16 digits, and is removed when it has come there. Another save of the same files waits for this
 * one. `vocabulary` NULL: only the merges, which is enough where ids are laid out as in mcl_tokenizer_create().
 * Errors: MCL_E_INVALID, MCL_E_UNSUPPORTED (`vocabulary` is NULL and ids are laid out otherwise), MCL_E_NOT_FOUND (no
 * such folder), MCL_E_IO, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_tokenizer_save(const mcl_tokenizer *tokenizer,
                                                const char *vocabulary, const char *merges,
                                                mcl_error *err);

/** Rows of texts, on the pool.
 * `texts`: n of them, each NUL-terminated; n = 0 is fine.
 * `tokens`: [n, context], all of it is written.
 * `lengths`: [n] or NULL: tokens of each text, start and end among them, before it was cut; so a row is cut where its
 * length is larger than context.
 * Errors: MCL_E_INVALID (a NULL text: err->row is its place), MCL_E_LIMIT (a text is longer than max_text_bytes, or has
 * too many tokens where MCL_LONG_TEXT_FAIL is set: err->row), MCL_E_FORMAT (not UTF-8; the byte's place is named, err->row is
 * the text's), MCL_E_NOMEM, MCL_E_CALLBACK (the host's runner). After a failure the outputs are untouched. */
MCL_API MCL_CHECK mcl_status mcl_tokenizer_encode(const mcl_tokenizer *tokenizer,
                                                  const char *const *texts, int64_t n,
                                                  int32_t *tokens, int32_t *lengths,
                                                  mcl_error *err);

/** Rows of prompts: every template with every name in place of its "{}", as "a photo of a {}." (Radford et al. 2021, section
 * 3.1.4). Row i * templates + t is template t with name i.
 * `templates`, `names`: n_templates and n_names of them, each NUL-terminated, at least one; a template has one "{}" or more,
 * each of which becomes the name. `tokens`: [n_names * n_templates, context], all of it is written.
 * Errors: as mcl_tokenizer_encode(), err->row being the prompt's; MCL_E_INVALID (fewer than one; a NULL text or a template
 * without "{}": err->row is its place), MCL_E_LIMIT (too many prompts). */
MCL_API MCL_CHECK mcl_status mcl_tokenizer_encode_templates(
    const mcl_tokenizer *tokenizer, const char *const *templates, int64_t n_templates,
    const char *const *names, int64_t n_names, int32_t *tokens, mcl_error *err);

/** The text of a row, NUL-terminated: lower-cased, one space between words, also before a comma. It ends at the first end
 * token, or before the padding at the end of the row; start tokens are passed over. Bytes that are not UTF-8, which other
 * models' rows may give, become U+FFFD.
 * `tokens`: [n], n >= 0. `wanted` (may be NULL) gets the bytes needed, the NUL included.
 * Errors: MCL_E_INVALID, MCL_E_LIMIT (an id out of range: err->row is its place; capacity too small: `text` is untouched),
 * MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_tokenizer_decode(const mcl_tokenizer *tokenizer,
                                                  const int32_t *tokens, int64_t n, char *text,
                                                  size_t capacity, size_t *wanted, mcl_error *err);

/** Number of tokens, ids being below it, for an encoder's table; 0 for NULL. */
MCL_API int32_t mcl_tokenizer_vocabulary(const mcl_tokenizer *tokenizer);

/** Tokens a row; 0 for NULL. */
MCL_API int32_t mcl_tokenizer_context(const mcl_tokenizer *tokenizer);

/** The id of the start token; -1 for NULL. */
MCL_API int32_t mcl_tokenizer_start(const mcl_tokenizer *tokenizer);

/** The id of the end token; -1 for NULL. */
MCL_API int32_t mcl_tokenizer_end(const mcl_tokenizer *tokenizer);

/** The id of padding; -1 for NULL. Its default, 0, is CLIP's; it is also the id of "!" inside a word, so a row's length is told
 *  by its end token. */
MCL_API int32_t mcl_tokenizer_padding(const mcl_tokenizer *tokenizer);

/** A hash of all tokens in the order of their ids and of the merges: tokenizers of one fingerprint give the same ids. 0 for
 * NULL. */
MCL_API uint64_t mcl_tokenizer_fingerprint(const mcl_tokenizer *tokenizer);

MCL_END_DECLS

#endif
