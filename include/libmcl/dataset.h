/* Rows to learn from: images in memory, in IDX files, in folders; captions; files of pairs of both;
 * or whatever a host can load.
 *
 * A dataset is a fixed list of rows 0 .. rows - 1. A row has one part a modality (an image, a
 * caption), and all rows have the same shape. The built-in kinds hold images [height, width,
 * channels] of uint8, 0..255 for 0..1, which may be loaded as uint8 or, divided by 255, as float32;
 * and captions, [context] token ids of int32.
 *
 * Kinds are wrapped in one another: create_subset picks rows, create_resized changes their size,
 * create_randbits adds channels, create_joined lays the modalities of two datasets side by side. A
 * wrapper keeps a reference to what it wraps.
 *
 * Threads: any number may call the const functions of one dataset at once, and mcl_dataset_load()
 * too unless the rows come from a host's callbacks, which are called by one thread at a time
 * (MCL_E_BUSY otherwise). */
#ifndef LIBMCL_DATASET_H
#define LIBMCL_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/image.h>
#include <libmcl/status.h>
#include <libmcl/tokenizer.h>

MCL_BEGIN_DECLS

/** Rows to learn from. Reference-counted. */
typedef struct mcl_dataset mcl_dataset;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_dataset *mcl_dataset_ref(mcl_dataset *dataset);

/** Gives a reference back; the last one frees the rows, or calls the host's `destroy`, on this
 * thread. NULL is fine. */
MCL_API void mcl_dataset_unref(mcl_dataset *dataset);

/** Rows that the host loads. The struct is copied; prepare it by mcl_struct_init(). */
typedef struct mcl_host_dataset {
  size_t struct_size;
  void *user;   /**< handed to every callback */
  int64_t rows; /**< at least 1 */
  /** Of the row ids, in order: two datasets of equal fingerprint are taken for the same rows. */
  uint64_t fingerprint;
  int32_t modalities; /**< 1..32 */
  uint32_t flags;     /**< 0 */
  /** Fills dtype, ndim (1..3) and shape of one row of this modality into `row`, which comes zeroed;
   * the other members are ignored. Called for each modality once, inside mcl_dataset_create_host(),
   * on its thread. */
  mcl_status (*shape)(void *user, int32_t modality, mcl_array *row, mcl_error *err);
  /** Writes the rows `indices`, n of them, into `out`: contiguous, [n, ...the row's shape], of the
   * row's dtype. On the thread that called libmcl, one call at a time, never for n = 0. A NaN or an
   * infinity is MCL_E_NOT_FINITE.
   * `shape` and `load` both NULL: the host's encoder holds the data; rows are only counted. */
  mcl_status (*load)(void *user, const int64_t *indices, int64_t n, int32_t modality,
                     const mcl_array *out, mcl_error *err);
  /** NULL, or called exactly once, on the thread of the last unref; when mcl_dataset_create_host()
   * fails, before it returns (unless struct_size was never set, so that nothing can be read). */
  void (*destroy)(void *user);
  /** NULL, or which rows have the same content in this modality, for mcl_dataset_groups(): fills
   * out, [rows], with equal numbers of 0 or more for rows that do; a negative number is of a row
   * that shares with none. It may return MCL_E_NOT_FOUND, like NULL: not known. On the thread that
   * called libmcl, not while `load` runs. */
  mcl_status (*groups)(void *user, int32_t modality, int64_t *out, mcl_error *err);
} mcl_host_dataset;

/** A dataset of the host's. Both callbacks succeed by `return mcl_ok(err);` only.
 * Errors: MCL_E_INVALID (a member out of its range, or only one of `shape` and `load`), MCL_E_SHAPE
 * and MCL_E_DTYPE (what `shape` gave is no shape of a row), what `shape` returned,
 * MCL_E_UNSUPPORTED (a newer struct), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_dataset_create_host(mcl_context *context,
                                                     const mcl_host_dataset *host,
                                                     mcl_dataset **out, mcl_error *err);

/** Images in the host's memory. KEEPS images->data: it is read until the last unref and must not
 * change until then.
 * `images`: [n, height, width, channels] or [n, height, width] (one channel) of uint8, n >= 1, any
 * strides.
 * `labels`: [n], copied; the class of each row, 0 or more; NULL: none.
 * The fingerprint is a hash of count, shape and contents (of the images, not of the labels),
 * whatever the strides.
 * Errors: MCL_E_INVALID, MCL_E_SHAPE, MCL_E_DTYPE (not uint8), MCL_E_UNSUPPORTED (device),
 * MCL_E_LIMIT (a negative label; err->row is its row), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_dataset_create_array(mcl_context *context, const mcl_array *images,
                                                      const int32_t *labels, mcl_dataset **out,
                                                      mcl_error *err);

/** Texts as rows of token ids in the host's memory, as mcl_tokenizer_encode() writes them. KEEPS
 * tokens->data: it is read until the last unref and must not change until then.
 * `tokens`: [n, context] of int32, n and context >= 1, any strides. Loaded as float32, ids are as
 * they are.
 * The fingerprint is a hash of count, shape and contents, whatever the strides.
 * Errors: MCL_E_INVALID, MCL_E_SHAPE, MCL_E_DTYPE (not int32), MCL_E_UNSUPPORTED (device),
 * MCL_E_LIMIT (a negative id; err->row is its row), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_dataset_create_tokens(mcl_context *context,
                                                       const mcl_array *tokens, mcl_dataset **out,
                                                       mcl_error *err);

/** Images and labels from IDX files, the format of MNIST (LeCun, Cortes & Burges, "The MNIST
 * database", section "File formats"), plain or gzip'ed. Both are read whole into memory, 16 GiB at
 * most; beyond 64 MiB a gzip'ed one is unpacked to at most 64 times what it was packed into, and
 * MCL_E_LIMIT otherwise: unpack such a file first.
 * `images`: uint8 of 3 dimensions [n, height, width] or 4 [n, height, width, channels].
 * `labels`: one dimension, n values of uint8, int8, int16 or int32, none negative; NULL: no labels.
 * The fingerprint is that of the same images given to mcl_dataset_create_array().
 * Errors, each naming the file: MCL_E_NOT_FOUND, MCL_E_IO, MCL_E_FORMAT (not an IDX file, another
 * type or number of dimensions, a size of 0, more or fewer bytes than the header says, a damaged
 * gzip), MCL_E_SHAPE (as many labels as rows are needed), MCL_E_LIMIT (too large; a negative label:
 * err->row is its row), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_dataset_create_idx(mcl_context *context, const char *images,
                                                    const char *labels, mcl_dataset **out,
                                                    mcl_error *err);

/** What becomes of a file that cannot be read or decoded. */
enum {
  MCL_BAD_FILE_SKIP = 1, /**< it is named in the log at MCL_LOG_WARN, counted, and left out */
  MCL_BAD_FILE_FAIL      /**< the call fails and names it */
};

/** Prepared by mcl_folder_options_init(). A struct, not two more arguments, because how a folder is
 * read has more knobs than its size, and will get others. */
typedef struct mcl_folder_options {
  size_t struct_size;
  /** Limits and fit of the decoder; NULL, the default: its defaults. */
  const mcl_image_options *image;
  /** The decoded rows are kept where all of them fit in so many bytes, else decoded again at each
   * load. Default 4 GiB: a quarter of a laptop's memory. 0: never kept. A file that is not there, or is
   * shorter than any image, takes no room. */
  int64_t cache_bytes;
  int32_t height;      /**< of each row, 1..16384; default 64 */
  int32_t width;       /**< of each row, 1..16384; default 64 */
  int32_t on_bad_file; /**< MCL_BAD_FILE_SKIP, the default, or MCL_BAD_FILE_FAIL */
  int32_t reserved;    /**< 0 */
} mcl_folder_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_folder_options_init(mcl_folder_options *options, size_t struct_size);

/** All PNG and JPEG files of a folder and its sub-folders: those whose names end in .png, .jpg or
 * .jpeg, in any case.
 * Rows are [options.height, options.width, 3]: grey is repeated, transparency lies on white
 * (mcl_image_decode()).
 *
 * Order: that of a walk which takes each folder's entries sorted by the bytes of their names, a
 * sub-folder's files where the sub-folder stands. The order of the file system has no part in it.
 * Symbolic links are followed; a folder that is reached twice, as by a loop of links, is read the
 * first time only.
 *
 * Labels: where there are sub-folders with images, the first sub-folder of a file's path is its
 * class: class 0 is the first by the bytes of its name, and so on, and mcl_dataset_class_name()
 * gives the name. Bad files do not change the numbers. An image at the top level beside sub-folders
 * belongs to none: its label is -1, the only kind of dataset with such labels. With no sub-folders
 * there are no labels.
 *
 * Every file is decoded once here, on the pool, so that a bad one is found before training. A file
 * that goes bad later, when rows are not kept, fails the load. mcl_dataset_get_report() counts
 * those left out. mcl_dataset_name() gives a row's path relative to `path`.
 *
 * The fingerprint is a hash of height, width, fit, filter, and each row's relative name and file
 * size, in order.
 *
 * Errors: MCL_E_INVALID (a field, named), MCL_E_NOT_FOUND (no such folder; no image files in it:
 * both name it), MCL_E_IO, MCL_E_FORMAT (every file was bad; names the folder and why the first one
 * was), what a bad file failed with (its name is in the message; MCL_BAD_FILE_FAIL only),
 * MCL_E_UNSUPPORTED (whatever on_bad_file says: a file of a format that this build has not, by
 * name), MCL_E_LIMIT (folders over 32 deep), MCL_E_CANCELLED, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_dataset_create_folder(mcl_context *context, const char *path,
                                                       const mcl_folder_options *options,
                                                       const mcl_monitor *monitor,
                                                       mcl_dataset **out, mcl_error *err);

/** How a file of pairs is written. */
enum {
  MCL_PAIRS_BY_NAME = 0, /**< .tsv, .csv, .jsonl or .ndjson, in any case, with or without .gz */
  MCL_PAIRS_TSV,         /**< fields between tabs, of which nothing is quoted */
  MCL_PAIRS_CSV,         /**< by RFC 4180 */
  MCL_PAIRS_JSON_LINES   /**< an object a line */
};

/** Prepared by mcl_pairs_options_init(). */
typedef struct mcl_pairs_options {
  size_t struct_size;
  /** How the images are decoded and kept, and what becomes of bad ones, as in a folder; NULL, the
   * default: the defaults of mcl_folder_options. */
  const mcl_folder_options *images;
  /** Of the file of pairs, unpacked too, 1 .. 2^34; default 2^30. Beyond 64 MiB a gzip'ed one is
   * unpacked to at most 64 times what it was packed into. */
  int64_t max_file_bytes;
  /** Of one record, its quoted line ends included, 1 .. 2^30; default 1 MiB. */
  int64_t max_line_bytes;
  int32_t format;  /**< MCL_PAIRS_BY_NAME, the default, ... */
  int32_t heading; /**< 1: the first record of a TSV or CSV is a heading, passed over; default 0 */
} mcl_pairs_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_pairs_options_init(mcl_pairs_options *options, size_t struct_size);

/** Pairs of an image and a caption, from a file that names images and holds captions. A row is one
 * caption: modality 0 is its image, [height, width, 3] of uint8, as of mcl_dataset_create_folder();
 * modality 1 its tokens, [mcl_tokenizer_context()] of int32, as of mcl_tokenizer_encode(). An image
 * with several captions gives several rows.
 *
 * The file is UTF-8, plain or gzip'ed; a byte order mark at its beginning is passed over, and so
 * are empty lines. Lines end in LF or CRLF, the last one may also end with the file.
 *
 *   TSV         path<TAB>caption[<TAB>caption ...]; nothing is quoted.
 *   CSV         path,caption[,caption ...] by RFC 4180: a field in double quotes may hold commas,
 *               line ends, and quotes, each doubled; no other field may hold a quote.
 *   JSON lines  an object a line: {"image": "a.png", "caption": "..."}, or "captions" with a list.
 *               Other members are passed over, lists in them at most 64 deep.
 *
 * Whether the first record is a heading is not guessed: say so by `heading`.
 * A path is relative to the file's own folder, or absolute; it may lead to any place that the
 * process may read. Paths that differ by a byte are different images. Each image is decoded once,
 * however many captions it has.
 *
 * Order: that of the captions in the file. mcl_dataset_name() gives the path as it is in the file,
 * mcl_dataset_caption() the caption. mcl_dataset_groups(): rows of one path have the same image;
 * rows of equal tokens the same caption, so also captions that differ in what the tokenizer does
 * not keep. Where a bad image is left out, so are its captions, and mcl_dataset_get_report() counts
 * both; its `files` are the different images.
 *
 * `tokenizer` is used here only. Its options say what becomes of long captions. The file must be
 * UTF-8 whatever they say. NULL: captions are texts alone, and modality 0 is the only one. So a
 * tokenizer can be learnt from the captions of some rows: mcl_tokenizer_encode() them all then,
 * and mcl_dataset_create_joined() the rows with those of mcl_dataset_create_tokens().
 * The fingerprint is a hash of the images' (mcl_dataset_create_folder()), of which row has which,
 * and of the tokens; without a tokenizer, of the captions.
 * Costs, beside the file's bytes: some 64 a caption while it is read, a row of tokens, and for each
 * different image a name and its row (cache_bytes); an image that is not there takes 5 microseconds.
 * Monitor: phases "read" and "decode" (images).
 *
 * Errors, the file's with its name, the line's number, and what is wrong: MCL_E_INVALID (an option,
 * named; no format follows from the name; a heading of JSON lines), MCL_E_NOT_FOUND (no such file,
 * or an image of MCL_BAD_FILE_FAIL), MCL_E_IO, MCL_E_FORMAT (bytes that are not UTF-8, a NUL; a
 * record without path or caption, or with an empty one, which is one of white space alone; a quote
 * where none may be; what is no JSON; no captions at all; every image was bad), MCL_E_LIMIT (the
 * file or a record is too long; a caption, where the tokenizer says so), what a bad image failed
 * with (MCL_BAD_FILE_FAIL only), MCL_E_UNSUPPORTED (whatever on_bad_file says: an image of a format
 * that this build has not), MCL_E_CANCELLED, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_dataset_create_pairs(mcl_context *context, const char *path,
                                                      const mcl_tokenizer *tokenizer,
                                                      const mcl_pairs_options *options,
                                                      const mcl_monitor *monitor, mcl_dataset **out,
                                                      mcl_error *err);

/** Questions in pairs, for mcl_probe_pairs(): rows 2 i and 2 i + 1 are two images that are hard to
 * tell apart, each with its own caption. Rows are those of mcl_dataset_create_pairs(), and so are
 * names, captions, groups and the fingerprint. The label of both is the pair's category,
 * mcl_dataset_class_name() gives its name; categories are numbered as they are first named. The
 * category array of mcl_probe_pairs() is thus the labels of the even rows, and its n_categories
 * mcl_dataset_report.classes.
 *
 * `path` is a file of one's own, TSV or CSV, written as files of pairs are, one record a pair:
 *
 *   image A, image B, caption A, caption B[, category]
 *
 * with a category in every record or in none; where there is none there are no labels.
 * Or `path` is a folder laid out as MMVP-VLM's (Tong et al. 2024, "Eyes Wide Shut?", section 3.2):
 * Questions.csv has the heading Question ID,Type,Statement and two records a pair, one after the
 * other and of one type, which is the category. A record's image is "MLLM_VLM Images/TYPE/ID.jpg",
 * its caption "a photo of " and the statement, as in the authors' script.
 *
 * `options` as for pairs; NULL: the defaults. Not JSON lines. For a folder `format` and `heading`
 * have no part. A bad image is an error here whatever images->on_bad_file says, since leaving one
 * out would break its pair and shift all that follow.
 * `tokenizer`, and the monitor, as for pairs.
 *
 * Errors: those of mcl_dataset_create_pairs(), the file's with its name and the line's number; and
 * MCL_E_INVALID (JSON lines), MCL_E_NOT_FOUND (an image, or a type's folder), MCL_E_FORMAT (a
 * record of another number of fields; a category in some records only, or an empty one; of a
 * folder: another heading, an ID that is no number, a pair cut in half, by the file's end or by two
 * types). */
MCL_API MCL_CHECK mcl_status mcl_dataset_create_questions(mcl_context *context, const char *path,
                                                          const mcl_tokenizer *tokenizer,
                                                          const mcl_pairs_options *options,
                                                          const mcl_monitor *monitor,
                                                          mcl_dataset **out, mcl_error *err);

/** Some rows of another dataset: row i of the new one is row indices[i] of `dataset`. Rows may be
 * named in any order and more than once. `indices`: [n], copied, n >= 1. Labels, names, class names
 * and codes come along.
 * The fingerprint is a hash of the other's and of the indices, in order.
 * Errors: MCL_E_INVALID, MCL_E_LIMIT (an index out of range, named; err->row is its place),
 * MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_dataset_create_subset(mcl_context *context, mcl_dataset *dataset,
                                                       const int64_t *indices, int64_t n,
                                                       mcl_dataset **out, mcl_error *err);

/** The rows of another dataset, resized once and kept in memory: rows * height * width * channels
 * bytes.
 * `dataset`: its modality 0 is [h, w, c] of uint8, c 1..4; other modalities pass unchanged. Each
 * channel is resized apart; a constant channel stays as it is.
 * `filter`: MCL_FILTER_TRIANGLE, or MCL_FILTER_BOX (whole factors give the mean of the pixels
 * covered, halves rounded up).
 * The fingerprint is a hash of the other's, the size and the filter.
 * Errors: MCL_E_INVALID (height or width not in 1..16384, filter unknown), MCL_E_SHAPE (over 4
 * channels, too), MCL_E_DTYPE, MCL_E_NOT_FOUND (the host's dataset has no data), MCL_E_NOMEM, what
 * loading failed with. */
MCL_API MCL_CHECK mcl_status mcl_dataset_create_resized(mcl_context *context, mcl_dataset *dataset,
                                                        int32_t height, int32_t width,
                                                        int32_t filter, mcl_dataset **out,
                                                        mcl_error *err);

/** The rows of another dataset with `bits` random bits each, as constant channels: the RandBit data
 * of Chen, Luo & Li, "Intriguing Properties of Contrastive Losses" (NeurIPS 2021, section 4 and
 * figure 5). They are the same in both views, since augmentation changes no channel that is
 * constant; a loss is then satisfied by the bits alone.
 * A row's code is a number of `bits` random bits, a function of (seed, number of the row in
 * `dataset`) alone; channel c + j of an image of c channels is 255 where bit j of the code is set,
 * else 0. The first bits are the same for any `bits`.
 * `dataset`: its modality 0 is [h, w, c] of uint8; other modalities pass unchanged.
 * `bits`: 0..31; 0 adds none.
 * The fingerprint is a hash of the other's, bits and seed.
 * Errors: MCL_E_INVALID, MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_NOT_FOUND (the host's dataset has no
 * data), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_dataset_create_randbits(mcl_context *context, mcl_dataset *dataset,
                                                         int32_t bits, uint64_t seed,
                                                         mcl_dataset **out, mcl_error *err);

/** The rows of two datasets side by side: row i is row i of `first` and row i of `second`, and the
 * modalities of `first` come before those of `second`. So images and captions make pairs. For
 * several captions an image, wrap the images in a subset that names each as often as it has
 * captions.
 * Labels with their class names, names, and codes are those of `first` where it has them, else
 * those of `second`; the report counts the files of one of them likewise, and rows as cached where
 * both are.
 * The fingerprint is a hash of both, in order.
 * Errors: MCL_E_INVALID, MCL_E_SHAPE (they have different numbers of rows), MCL_E_LIMIT (over 32
 * modalities together), MCL_E_NOT_FOUND (a host's dataset has no data), MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_dataset_create_joined(mcl_context *context, mcl_dataset *first,
                                                       mcl_dataset *second, mcl_dataset **out,
                                                       mcl_error *err);

/** Number of rows; 0 for NULL. */
MCL_API int64_t mcl_dataset_rows(const mcl_dataset *dataset);

/** Number of modalities; 0 for NULL. */
MCL_API int32_t mcl_dataset_modalities(const mcl_dataset *dataset);

/** A hash of which rows these are, in order; each create function says of what. 0 for NULL. Stored
 * beside labels and checkpoints, so that they are never used with other rows. */
MCL_API uint64_t mcl_dataset_fingerprint(const mcl_dataset *dataset);

/** The shape of one row: dtype, ndim and shape of `row`, contiguous, with data NULL.
 * Errors: MCL_E_INVALID, MCL_E_LIMIT (no such modality), MCL_E_NOT_FOUND (the host's encoder holds
 * the data). */
MCL_API MCL_CHECK mcl_status mcl_dataset_shape(const mcl_dataset *dataset, int32_t modality,
                                               mcl_array *row, mcl_error *err);

/** Writes the rows `indices`, n of them, in this order, into `out`: [n, ...the row's shape], of the
 * row's dtype or float32. uint8 becomes float32 by x / 255, other types as they are. n = 0 is fine.
 * Errors: MCL_E_INVALID, MCL_E_LIMIT (no such modality; an index out of range, named, err->row its
 * place), MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_NOT_FOUND (the host's encoder holds the data),
 * MCL_E_BUSY, MCL_E_NOT_FINITE (err->row: the dataset's row), what the host's `load` returned,
 * MCL_E_IO and MCL_E_FORMAT (a file of a folder went bad), MCL_E_NOMEM. After a failure `out` is
 * untouched. */
MCL_API MCL_CHECK mcl_status mcl_dataset_load(mcl_dataset *dataset, const int64_t *indices,
                                              int64_t n, int32_t modality, const mcl_array *out,
                                              mcl_error *err);

/** The class of every row. `n`, the length of `out`, is at least the number of rows.
 * Errors: MCL_E_INVALID, MCL_E_NOT_FOUND (it has no labels), MCL_E_LIMIT (n is smaller). */
MCL_API MCL_CHECK mcl_status mcl_dataset_labels(const mcl_dataset *dataset, int32_t *out, int64_t n,
                                                mcl_error *err);

/** The code of every row of mcl_dataset_create_randbits(), or of what wraps one: 0 .. 2^bits - 1,
 * all bits as one label. Of several such wrappers, the outermost.
 * Errors: MCL_E_INVALID, MCL_E_NOT_FOUND (there are no bits), MCL_E_LIMIT (n is smaller than the
 * number of rows). */
MCL_API MCL_CHECK mcl_status mcl_dataset_codes(const mcl_dataset *dataset, int32_t *out, int64_t n,
                                               mcl_error *err);

/** Which rows have the same content in a modality: the same image under several captions, or the
 * same caption under several images. Such rows are false negatives of each other. out[i] gets the
 * first row that has the content of row i: i itself for a row that shares it with no earlier one.
 * mcl_multistage_run() hands this to its loss; with a loop of your own, give the loss out[row] of
 * each row of a batch as mcl_loss_inputs.duplicates, and those of a second modality as
 * other_duplicates.
 * An image of an array, IDX file or folder is one of its own, whatever its pixels. Captions are the
 * same where their rows of tokens are. Wrappers go by the rows they wrap, so an image that a subset
 * names twice is the same; random bits make no other image of it.
 * `n`, the length of `out`, is at least the number of rows.
 * Errors: MCL_E_INVALID, MCL_E_LIMIT (no such modality; n is smaller), MCL_E_NOT_FOUND (a host's
 * dataset does not say), MCL_E_BUSY (inside a call of the host), what the host's `groups` returned,
 * MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_dataset_groups(mcl_dataset *dataset, int32_t modality,
                                                int64_t *out, int64_t n, mcl_error *err);

/** A row's name, NUL-terminated: the path of its file inside the folder or as in the file of pairs,
 * else its number in the innermost dataset. `wanted` (may be NULL) gets the bytes needed, the NUL
 * included.
 * Errors: MCL_E_INVALID, MCL_E_LIMIT (no such row; capacity too small: `text` is untouched). */
MCL_API MCL_CHECK mcl_status mcl_dataset_name(const mcl_dataset *dataset, int64_t row, char *text,
                                              size_t capacity, size_t *wanted, mcl_error *err);

/** A row's caption as it was in the file of pairs, as for mcl_dataset_name(). Wrappers and joined
 * datasets pass it on.
 * Errors: MCL_E_INVALID, MCL_E_NOT_FOUND (there are no texts of captions, also where there are
 * tokens), MCL_E_LIMIT (no such row; capacity too small: `text` is untouched). */
MCL_API MCL_CHECK mcl_status mcl_dataset_caption(const mcl_dataset *dataset, int64_t row,
                                                 char *text, size_t capacity, size_t *wanted,
                                                 mcl_error *err);

/** A class's name, as for mcl_dataset_name(): the sub-folder's or the category's, else the number
 * itself.
 * Errors: MCL_E_INVALID, MCL_E_NOT_FOUND (it has no labels, or label is not in 0 .. classes - 1),
 * MCL_E_LIMIT. */
MCL_API MCL_CHECK mcl_status mcl_dataset_class_name(const mcl_dataset *dataset, int32_t label,
                                                    char *text, size_t capacity, size_t *wanted,
                                                    mcl_error *err);

/** Filled by mcl_dataset_get_report(); prepared by mcl_struct_init(). */
typedef struct mcl_dataset_report {
  size_t struct_size;
  /** Image files that the innermost folder or file of pairs had; 0 where there is neither. */
  int64_t files;
  int64_t skipped; /**< of these, bad ones that were left out */
  int64_t rows;    /**< of this dataset */
  int32_t classes; /**< labels are below it; a subset has its parent's; 0: no labels */
  int32_t cached;  /**< 1: the rows lie in memory; 0: they are loaded or decoded each time */
  int64_t captions_skipped; /**< captions of those bad files, left out with them */
} mcl_dataset_report;

/** What is in it.
 * Errors: MCL_E_INVALID. */
MCL_API MCL_CHECK mcl_status mcl_dataset_get_report(const mcl_dataset *dataset,
                                                    mcl_dataset_report *out, mcl_error *err);

MCL_END_DECLS

#endif
