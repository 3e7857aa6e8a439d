/* Clusters of embeddings: the k-means of libmcl, or the host's own algorithm behind the same
 * handle.
 *
 * A clusterer is fitted once to rows and then gives every row a label, 0 .. k_effective - 1,
 * without gaps. Rows come as mcl_rows, an array or a callback, and are read block by block; the
 * same numbers give the same bits whichever way they come, for any number of threads, and a row's
 * label never depends on the rows it is asked together with.
 *
 * Over several processes (comm.h) every rank makes a k-means with its comm; fit and assign are
 * COLLECTIVE then, and no other call. `rows` are all rows on every rank, but each reads only its
 * share of them, mcl_comm_share(): a callback is asked for no others; of an array only these are
 * looked at, so the rest of its memory may hold anything. Every rank ends with the same centroids,
 * sizes, report and labels, the bits of one process.
 *
 * Threads: const calls from several threads at once, but for assign with a comm, which is one call
 * at a time (MCL_E_BUSY); fit and set_centroids from one thread at a time, while no const call
 * runs. Breaking this from a callback is MCL_E_BUSY or, for a const call inside fit, answers from
 * the fit before. */
#ifndef LIBMCL_CLUSTERER_H
#define LIBMCL_CLUSTERER_H

#include <stddef.h>
#include <stdint.h>

#include <libmcl/array.h>
#include <libmcl/comm.h>
#include <libmcl/context.h>
#include <libmcl/export.h>
#include <libmcl/rows.h>
#include <libmcl/status.h>

MCL_BEGIN_DECLS

/** Reference-counted; keeps its context. */
typedef struct mcl_clusterer mcl_clusterer;

/** Another reference; NULL gives NULL. Any thread. */
MCL_API mcl_clusterer *mcl_clusterer_ref(mcl_clusterer *clusterer);

/** Gives a reference back; the last one frees the clusterer, calling a host clusterer's
 *  `destroy` on this thread. NULL is fine. Any thread. */
MCL_API void mcl_clusterer_unref(mcl_clusterer *clusterer);

/** How centroids are found. */
enum {
  /** Exact passes over all training rows (Lloyd, "Least squares quantization in PCM", 1982). */
  MCL_LLOYD = 1,
  /** A random batch of rows a step, each centroid the mean of all the rows it was ever given
   *  (Sculley, "Web-scale k-means clustering", 2010, algorithm 1). */
  MCL_MINIBATCH
};

/** Where centroids start. */
enum {
  /** k-means++ (Arthur & Vassilvitskii 2007), greedy: of 2 + ln k candidates at each step the one
   *  that lowers the sum of squared distances most. It sees a sample of max(16384, 64 k) rows, one
   *  drawn from each of as many equal shares of the training rows; all of them where there are
   *  fewer. */
  MCL_INIT_KMEANSPP = 1,
  MCL_INIT_RANDOM, /**< rows of that sample, one drawn from each of k equal shares */
  MCL_INIT_GIVEN   /**< what mcl_clusterer_set_centroids() was last given */
};

/** What is near. */
enum {
  /** Rows are L2-normalised inside, centroids after every update (Dhillon & Modha 2001); the
   *  distance is 2 - 2 cos. A row of zeros has no direction: it is counted in the report, moves no
   *  centroid, and has label 0 and distance 2. */
  MCL_COSINE = 1,
  MCL_L2 /**< squared Euclidean distance of the rows as they are */
};

/** What to do when a cluster has lost all its rows. Where every row coincides with its centroid
 *  (fewer distinct rows than k) it is left out, whichever of these was asked for. */
enum {
  /** It restarts at the row farthest from its own centroid, as in scikit-learn. */
  MCL_EMPTY_FARTHEST = 1,
  /** It restarts half-way between the centroid of the cluster with most rows and that cluster's
   *  farthest row. */
  MCL_EMPTY_SPLIT_LARGEST,
  MCL_EMPTY_SHRINK_K /**< it is left out, and k_effective is smaller */
};

/** Prepared by mcl_kmeans_options_init(). */
typedef struct mcl_kmeans_options {
  size_t struct_size;
  /** default 0; the result is a function of it, the rows and the options */
  uint64_t seed;
  /** clusters asked for, 1 .. 16777216; default 10 */
  int32_t k;
  /** MCL_LLOYD (default) or MCL_MINIBATCH */
  int32_t method;
  /** MCL_COSINE (default) or MCL_L2 */
  int32_t metric;
  /** MCL_INIT_KMEANSPP (default) ... */
  int32_t init;
  /** MCL_EMPTY_FARTHEST (default) ... */
  int32_t empty;
  /** independent starts, 1 .. 1000; the one of least inertia is kept, the first among equals;
   *  default 3; with MCL_INIT_GIVEN always 1 */
  int32_t restarts;
  /** passes over the training rows in a restart, 1 .. 1000000; default 100. A mini-batch step
   *  counts as the part of a pass that its batch is */
  int32_t max_iterations;
  /** rows a step of MCL_MINIBATCH, 1 .. 16777216; default 4096 */
  int32_t minibatch_rows;
  /** default 1e-4. MCL_LLOYD stops when no label changes, or when the squared moves of all
   *  centroids add up to at most tolerance times the mean over columns of the variance of the
   *  training rows (normalised ones for MCL_COSINE), which is scikit-learn's rule. MCL_MINIBATCH
   *  stops when its smoothed inertia has not fallen by this share in 10 steps */
  double tolerance;
  /** 0, the default: train on all rows. Else on a random sample of this many, at least k, held
   *  in memory as float32; sizes and inertia are still of all rows */
  int64_t max_train_rows;
  /** 0, the default: what is quickest. Else fit holds at most this many bytes at one time by the
   *  context's allocator: bounds of distances become fewer, then are left out, which costs time
   *  and changes no result. MCL_E_LIMIT says what is needed where even that is too much */
  int64_t max_bytes;
} mcl_kmeans_options;

/** Writes the defaults above, at most `struct_size` bytes of them. */
MCL_API void mcl_kmeans_options_init(mcl_kmeans_options *options, size_t struct_size);

/** The host's own algorithm. The struct is copied. */
typedef struct mcl_host_clusterer {
  size_t struct_size;
  void *user; /**< handed to every callback */
  /** Fits to `rows` (mcl_rows_read() reads them) and writes the number of clusters, at least 1,
   *  into *k. */
  mcl_status (*fit)(void *user, const mcl_rows *rows, int32_t *k, mcl_error *err);
  /** Labels, 0 .. k - 1, of the rows of `block`, [n, dim] of read-only float32. */
  mcl_status (*assign)(void *user, const mcl_array *block, int32_t *labels, mcl_error *err);
  /** May be NULL. Called exactly once: at the last unref, on its thread, or when create_host
   *  fails. */
  void (*destroy)(void *user);
} mcl_host_clusterer;

/** What a fit came to. Prepared by mcl_struct_init(). For host clusterers the fields that only
 *  k-means knows are 0, and NaN where they are double. */
typedef struct mcl_clusterer_report {
  size_t struct_size;
  /** that the clusterer was fitted to */
  int64_t rows;
  /** distinct rows, counted until k were found: less than k tells that k was too large. In
   *  MCL_COSINE distinct directions (as float32), zero rows left out */
  int64_t distinct;
  /** empty clusters that were started anew, in the restart that was kept */
  int64_t repairs;
  /** rows of zeros, MCL_COSINE only */
  int64_t zero_rows;
  /** asked for; of a host clusterer, what it said */
  int32_t k;
  /** clusters that have rows; labels are 0 .. k_effective - 1. Of a host clusterer k */
  int32_t k_effective;
  /** passes over the training rows, begun ones too, in the restart that was kept */
  int32_t iterations;
  /** 0: max_iterations came first */
  int32_t converged;
  /** mean over all rows of the squared distance to the row's centroid; 2 - 2 cos in MCL_COSINE */
  double inertia;
  /** mean over all rows of the cosine between row and centroid, 0 where either is zero */
  double mean_cosine;
  /** k_effective sum n_i^2 / (sum n_i)^2: 1 when all clusters have as many rows */
  double imbalance;
} mcl_clusterer_report;

/** A k-means clusterer; `options` NULL: the defaults. `comm` NULL: of this process alone; else kept, and
 *  all ranks have the same options, but for max_bytes, which is each one's own. Nothing is exchanged.
 *  Errors: MCL_E_INVALID (an argument or option, named with its range), MCL_E_UNSUPPORTED (an unknown
 *  tail of a newer struct), MCL_E_NOMEM. Any thread. */
MCL_API MCL_CHECK mcl_status mcl_clusterer_create_kmeans(mcl_context *context,
                                                         const mcl_kmeans_options *options,
                                                         mcl_comm *comm, mcl_clusterer **out,
                                                         mcl_error *err);

/** A clusterer of the host's. When this fails `destroy` has been called, unless the struct
 *  itself could not be read.
 *  Errors: MCL_E_INVALID (an argument; fit or assign missing), MCL_E_UNSUPPORTED, MCL_E_NOMEM.
 *  Any thread. */
MCL_API MCL_CHECK mcl_status mcl_clusterer_create_host(mcl_context *context,
                                                       const mcl_host_clusterer *host,
                                                       mcl_clusterer **out, mcl_error *err);

/** Gives k-means its centroids, [k, dim] of any float type, copied: to start fit from
 *  (MCL_INIT_GIVEN), and to assign by at once, without fit. In MCL_COSINE they are normalised
 *  inside. Whatever was fitted before is forgotten. With a comm every rank gives the same ones:
 *  nothing is exchanged here, fit and assign compare them.
 *  Errors: MCL_E_INVALID (NULL; a zero row in MCL_COSINE, named), MCL_E_SHAPE (not k rows),
 *  MCL_E_DTYPE, MCL_E_NOT_FINITE (the row), MCL_E_LIMIT (a row longer than 1e18),
 *  MCL_E_UNSUPPORTED (a host clusterer), MCL_E_BUSY, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_clusterer_set_centroids(mcl_clusterer *clusterer,
                                                         const mcl_array *centroids,
                                                         mcl_error *err);

/** Fits to `rows`, then passes over all of them once more for sizes and inertia. `monitor` (may
 *  be NULL) hears of the phases "seed", "fit" and "assign". Fewer distinct rows than k is no
 *  error: see k_effective.
 *
 *  Memory of k-means beyond the result, in bytes: 12 a row; with MCL_LLOYD bounds, 8 a row where k
 *  <= 16, else 4 + k / 4 rounded up to a multiple of 32, at most 260; 8 k dim (threads + 9) for
 *  sums and 16 k dim for centroids; 512 dim for columns; a thread 96 KiB, max(262144, 96 k) for
 *  scores and, where the rows are no array of contiguous float32, one block of 1024 rows of 8 dim,
 *  or two where the calling thread alone may read them; 16 dim a row of a block more for each thread
 *  that reads numbers of another type than float32. Seeding holds its sample, 4 dim + 100 a row;
 *  max_train_rows and a mini-batch hold theirs. max_bytes bounds all of it. assign: 8 a row, blocks
 *  and scores. With a comm "a row" above is a row of this rank's share, but for assign, which holds 8
 *  bytes for each row of all ranks; samples and batches are whole on every rank; and 48 MiB and k
 *  bytes for each rank are for exchanges.
 *
 *  Errors, after which the clusterer is as before: MCL_E_INVALID (k > rows; an argument),
 *  MCL_E_SHAPE (given centroids of another dim), MCL_E_DTYPE, MCL_E_STATE (MCL_INIT_GIVEN
 *  without set_centroids), MCL_E_NOT_FINITE (the row), MCL_E_LIMIT (a row longer than 1e18: its
 *  square would not fit float32; max_bytes), MCL_E_CANCELLED, MCL_E_CALLBACK (or what a callback
 *  returned), MCL_E_BUSY, MCL_E_NOMEM. Of a host clusterer `fit` has run when a later error is met.
 *  COLLECTIVE: with a comm also MCL_E_MISMATCH (ranks differ in call, options, given centroids or size of
 *  `rows`), MCL_E_COMM, and any of the above that another rank has met. */
MCL_API MCL_CHECK mcl_status mcl_clusterer_fit(mcl_clusterer *clusterer, const mcl_rows *rows,
                                               const mcl_monitor *monitor, mcl_error *err);

/** The label of every row, into rows->rows `labels`; and into `distances` (may be NULL; k-means
 *  only) as many squared distances to the row's centroid, 2 - 2 cos in MCL_COSINE, accurate to
 *  float32.
 *
 *  A label is the lowest id among the centroids of least distance, the distance being computed
 *  in one fixed order. Scores by matrix product only rule centroids out, by more than their
 *  rounding error; so the rows asked along with a row, and how they are cut into blocks, change
 *  nothing. After fit the labels' counts are mcl_clusterer_sizes(), and the mean of the
 *  distances is the report's inertia.
 *
 *  Errors, after which the outputs are untouched: MCL_E_STATE (neither fit nor set_centroids
 *  before), MCL_E_SHAPE (another dim), MCL_E_UNSUPPORTED (distances of a host clusterer), and
 *  those of fit.
 *
 *  COLLECTIVE with a comm, although const: every rank passes `labels`, and all of them or none
 *  `distances`, for rows->rows rows, and gets those of all rows. For labels on one rank alone load a
 *  saved k-means with comm NULL. */
MCL_API MCL_CHECK mcl_status mcl_clusterer_assign(const mcl_clusterer *clusterer,
                                                  const mcl_rows *rows, const mcl_monitor *monitor,
                                                  int32_t *labels, double *distances,
                                                  mcl_error *err);

/** The centroids into `out`, [k_effective, dim] of any float type; after set_centroids alone [k,
 *  dim]. Unit rows in MCL_COSINE (where all rows were zero, the first axis).
 *  Errors: MCL_E_STATE (none yet), MCL_E_SHAPE, MCL_E_DTYPE, MCL_E_INVALID, MCL_E_UNSUPPORTED (a
 *  host clusterer). */
MCL_API MCL_CHECK mcl_status mcl_clusterer_centroids(const mcl_clusterer *clusterer,
                                                     const mcl_array *out, mcl_error *err);

/** How many of the fitted rows each cluster has, into `out` of n == k_effective. Their sum is
 *  the report's rows.
 *  Errors: MCL_E_STATE (not fitted), MCL_E_SHAPE (another n), MCL_E_INVALID. */
MCL_API MCL_CHECK mcl_status mcl_clusterer_sizes(const mcl_clusterer *clusterer, int64_t *out,
                                                 int32_t n, mcl_error *err);

/** Errors: MCL_E_STATE (not fitted), MCL_E_INVALID (out not prepared). */
MCL_API MCL_CHECK mcl_status mcl_clusterer_get_report(const mcl_clusterer *clusterer,
                                                      mcl_clusterer_report *out, mcl_error *err);

/** Writes a k-means into a safetensors file: `centroids` [k_effective, dim] of float32, `sizes`
 *  of int64, options and report. The file is complete or absent. What is loaded from it gives
 *  the same labels, sizes and report to the bit. With a comm one rank is enough: all have the same.
 *  Errors: MCL_E_STATE (neither fit nor set_centroids before), MCL_E_UNSUPPORTED (a host
 *  clusterer), MCL_E_IO, MCL_E_NOT_FOUND (no such directory), MCL_E_INVALID, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_clusterer_save(const mcl_clusterer *clusterer, const char *path,
                                                mcl_error *err);

/** A k-means from such a file. Centroids once given are not in it: with MCL_INIT_GIVEN call
 *  set_centroids again before fit. Nothing in the file is believed unchecked. `comm` as in
 *  mcl_clusterer_create_kmeans(); each rank reads the file.
 *  Errors: MCL_E_NOT_FOUND, MCL_E_IO, MCL_E_FORMAT (not such a file, or damaged: the message
 *  says what), MCL_E_LIMIT, MCL_E_UNSUPPORTED (written by a libmcl of another k-means algorithm
 *  number), MCL_E_INVALID, MCL_E_NOMEM. */
MCL_API MCL_CHECK mcl_status mcl_clusterer_load(mcl_context *context, const char *path,
                                                mcl_comm *comm, mcl_clusterer **out,
                                                mcl_error *err);

MCL_END_DECLS

#endif
