// libmcl from C++11 on: handles that release themselves, errors as exceptions, and the host's own classes as callbacks.
//
//   mcl::context context = mcl::context::create();                 // throws mcl::error
//   mcl::encoder encoder = mcl::host_encoder(context, std::unique_ptr<MyNet>(new MyNet), 128, 64);
//   mcl::call(mcl_encoder_embed, encoder.get(), &in, &out);        // any C function whose last argument is mcl_error *
//
// An exception thrown inside a callback (MyNet::forward, say) does not pass through C code: it is caught, the callback
// fails, libmcl cleans up and returns, and mcl::call() throws the very same exception again. Callbacks run on the thread
// that called libmcl, so one slot a thread is enough. Where one call meets several exceptions (a run is stopped by one, and
// saving what there is throws another) the first comes out. A C function called directly fails with MCL_E_CALLBACK;
// mcl::check(), called right after, throws what was thrown.
#ifndef LIBMCL_MCL_HPP
#define LIBMCL_MCL_HPP

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <libmcl/mcl.h>

namespace mcl {

/// A failed call. what() is the sentence that names the argument, row or file.
class MCL_API error : public std::runtime_error {
public:
  /// Of a call that has failed.
  explicit error(const mcl_error &e)
      : std::runtime_error(std::string(mcl_status_name(e.status)) + ": " + e.message), error_(e) {}
  mcl_status status() const { return error_.status; }    ///< what the call returned
  int64_t row() const { return error_.row; }             ///< first offending row, or -1
  int32_t host_code() const { return error_.host_code; } ///< a callback's own number

private:
  mcl_error error_;
};

namespace detail {

// Visible, so that the parts of a program that is made of several shared objects have one slot between them.
MCL_API inline std::exception_ptr &pending() {
  static thread_local std::exception_ptr slot;
  return slot;
}

// While a callback's body runs, which may use call() itself: what was thrown before it is set aside, and stays first.
class aside {
public:
  aside() { std::swap(first_, pending()); }
  aside(const aside &) = delete;
  aside &operator=(const aside &) = delete;
  ~aside() {
    if (first_) pending() = first_;
  }
  void keep() { pending() = std::current_exception(); }

private:
  std::exception_ptr first_;
};

// Runs a callback's body; what it throws is kept for the call() above it.
template <class F> mcl_status guard(mcl_error *err, F body) noexcept {
  aside slot;
  try {
    body();
    return mcl_ok(err);
  } catch (const std::exception &x) {
    slot.keep();
    return mcl_error_set(err, MCL_E_CALLBACK, 0, x.what());
  } catch (...) {
    slot.keep();
    return mcl_error_set(err, MCL_E_CALLBACK, 0, "a C++ exception that is no std::exception");
  }
}

template <class E> void destroy(void *user) {
  aside slot;
  delete static_cast<E *>(user);
}

} // namespace detail

/// Throws the exception that a callback threw, or mcl::error. Returns when status is MCL_OK.
inline void check(mcl_status status, const mcl_error &err) {
  std::exception_ptr thrown;
  std::swap(thrown, detail::pending());
  if (status >= 0) return;
  if (thrown) std::rethrow_exception(thrown);
  throw error(err);
}

/// Calls a C function with all its arguments but the last, mcl_error *, and checks it.
template <class F, class... Arguments> void call(F function, Arguments &&...arguments) {
  mcl_error err;
  detail::pending() = nullptr;
  check(function(std::forward<Arguments>(arguments)..., &err), err);
}

/// A zeroed struct with its size set (mcl_struct_init): mcl::make<mcl_inputs>().
template <class T> T make() {
  T s;
  mcl_struct_init(&s, sizeof s);
  return s;
}

/// Options with the library's defaults: mcl::defaults(mcl_kmeans_options_init).
template <class T> T defaults(void (*init)(T *, size_t)) {
  T o;
  init(&o, sizeof o);
  return o;
}

/// Owns one reference. Copies are references to the same object; an empty handle is NULL.
template <class T, T *(*Ref)(T *), void (*Unref)(T *)> class handle {
public:
  handle() : h_(nullptr) {}                          ///< empty
  explicit handle(T *owned) : h_(owned) {}           ///< takes over the caller's reference
  handle(const handle &other) : h_(Ref(other.h_)) {} ///< another reference
  /// Takes the reference over; `other` is empty then.
  handle(handle &&other) noexcept : h_(other.h_) { other.h_ = nullptr; }
  /// Gives back what it had.
  handle &operator=(handle other) noexcept {
    std::swap(h_, other.h_);
    return *this;
  }
  ~handle() { Unref(h_); }                                 ///< gives the reference back
  T *get() const { return h_; }                            ///< for C functions; still owned here
  explicit operator bool() const { return h_ != nullptr; } ///< is it not empty?
  /// For a C function's `out` argument: gives back what the handle had.
  T **out() {
    Unref(h_);
    h_ = nullptr;
    return &h_;
  }
  /// Gives the reference to the caller.
  T *release() {
    T *h = h_;
    h_ = nullptr;
    return h;
  }

private:
  T *h_;
};

/// The context, with a way to make one.
class context : public handle<mcl_context, mcl_context_ref, mcl_context_unref> {
public:
  using handle::handle; ///< as a handle is made
  /// mcl_context_create().
  static context create(const mcl_context_options *options = nullptr) {
    context c;
    call(mcl_context_create, options, c.out());
    return c;
  }
};

/// mcl_comm: ranks.
using comm = handle<mcl_comm, mcl_comm_ref, mcl_comm_unref>;
/// mcl_npy: an open .npy file.
using npy = handle<mcl_npy, mcl_npy_ref, mcl_npy_unref>;
/// mcl_checkpoint: an open safetensors file.
using checkpoint = handle<mcl_checkpoint, mcl_checkpoint_ref, mcl_checkpoint_unref>;
/// mcl_checkpoint_writer: a safetensors file in the making.
using checkpoint_writer =
    handle<mcl_checkpoint_writer, mcl_checkpoint_writer_ref, mcl_checkpoint_writer_unref>;
/// mcl_augmenter.
using augmenter = handle<mcl_augmenter, mcl_augmenter_ref, mcl_augmenter_unref>;
/// mcl_tokenizer.
using tokenizer = handle<mcl_tokenizer, mcl_tokenizer_ref, mcl_tokenizer_unref>;
/// mcl_dataset.
using dataset = handle<mcl_dataset, mcl_dataset_ref, mcl_dataset_unref>;
/// mcl_encoder.
using encoder = handle<mcl_encoder, mcl_encoder_ref, mcl_encoder_unref>;
/// mcl_clusterer.
using clusterer = handle<mcl_clusterer, mcl_clusterer_ref, mcl_clusterer_unref>;
/// mcl_sampler.
using sampler = handle<mcl_sampler, mcl_sampler_ref, mcl_sampler_unref>;
/// mcl_integrator.
using integrator = handle<mcl_integrator, mcl_integrator_ref, mcl_integrator_unref>;
/// mcl_multistage: the loop.
using multistage = handle<mcl_multistage, mcl_multistage_ref, mcl_multistage_unref>;

namespace detail {

// save and load are offered to libmcl only where the class has them.
template <class E>
auto set_state(mcl_host_encoder &h, int)
    -> decltype(std::declval<E &>().save(""), std::declval<E &>().load(""), void()) {
  h.save = [](void *u, const char *path, mcl_error *x) {
    return guard(x, [&] { static_cast<E *>(u)->save(path); });
  };
  h.load = [](void *u, const char *path, mcl_error *x) {
    return guard(x, [&] { static_cast<E *>(u)->load(path); });
  };
}
template <class E> void set_state(mcl_host_encoder &, long) {}

template <class E>
auto set_training(mcl_host_encoder &h, int)
    -> decltype(std::declval<E &>().step(std::declval<const mcl_step &>()), void()) {
  h.forward = [](void *u, const mcl_inputs *in, const mcl_array *out, mcl_error *x) {
    return guard(x, [&] { static_cast<E *>(u)->forward(*in, *out); });
  };
  h.backward = [](void *u, const mcl_inputs *in, const mcl_array *grad, mcl_error *x) {
    return guard(x, [&] { static_cast<E *>(u)->backward(*in, *grad); });
  };
  h.step = [](void *u, const mcl_step *step, mcl_error *x) {
    return guard(x, [&] { static_cast<E *>(u)->step(*step); });
  };
}
template <class E> void set_training(mcl_host_encoder &, long) {}

template <class E>
auto set_held(mcl_host_encoder &h, int)
    -> decltype(std::declval<E &>().held(std::declval<const mcl_inputs &>(),
                                         std::declval<const mcl_array &>()),
                void()) {
  h.held = [](void *u, const mcl_inputs *in, const mcl_array *out, mcl_error *x) {
    return guard(x, [&] { static_cast<E *>(u)->held(*in, *out); });
  };
}
template <class E> void set_held(mcl_host_encoder &, long) {}

template <class E>
auto set_temperature(mcl_host_encoder &h, int)
    -> decltype(std::declval<E &>().backward_temperature(std::declval<E &>().temperature()),
                void()) {
  h.temperature = [](void *u, double *out, mcl_error *x) {
    return guard(x, [&] { *out = static_cast<E *>(u)->temperature(); });
  };
  h.backward_temperature = [](void *u, double gradient, mcl_error *x) {
    return guard(x, [&] { static_cast<E *>(u)->backward_temperature(gradient); });
  };
}
template <class E> void set_temperature(mcl_host_encoder &, long) {}

template <class E>
auto set_give_up(mcl_host_encoder &h, int) -> decltype(std::declval<E &>().give_up(), void()) {
  h.give_up = [](void *u) {
    mcl_error unused;
    (void)guard(&unused, [&] { static_cast<E *>(u)->give_up(); });
  };
}
template <class E> void set_give_up(mcl_host_encoder &, long) {}

template <class E>
auto set_start(mcl_host_encoder &h, int)
    -> decltype(std::declval<E &>().start_from(std::declval<const E &>()), void()) {
  h.start_from = [](void *u, void *from, mcl_error *x) {
    return guard(x, [&] { static_cast<E *>(u)->start_from(*static_cast<const E *>(from)); });
  };
}
template <class E> void set_start(mcl_host_encoder &, long) {}

template <class E>
auto set_sum_gradients(mcl_host_encoder &h, int)
    -> decltype(std::declval<E &>().sum_gradients(static_cast<mcl_comm *>(nullptr)), void()) {
  h.sum_gradients = [](void *u, mcl_comm *ranks, mcl_error *x) {
    return guard(x, [&] { static_cast<E *>(u)->sum_gradients(ranks); });
  };
}
template <class E> void set_sum_gradients(mcl_host_encoder &, long) {}

template <class E>
auto set_sum(mcl_host_comm &h, int)
    -> decltype(std::declval<E &>().sum(static_cast<float *>(nullptr), uint64_t()), void()) {
  h.sum = [](void *u, float *data, uint64_t n, mcl_error *x) {
    return guard(x, [&] { static_cast<E *>(u)->sum(data, n); });
  };
}
template <class E> void set_sum(mcl_host_comm &, long) {}

template <class E> auto set_chunks(mcl_host_encoder &h, int) -> decltype(E::takes_chunks, void()) {
  if (E::takes_chunks) h.flags |= MCL_HOST_CHUNKS;
}
template <class E> void set_chunks(mcl_host_encoder &, long) {}

template <class D>
auto set_groups(mcl_host_dataset &h, int)
    -> decltype(std::declval<D &>().groups(int32_t(), static_cast<int64_t *>(nullptr)), void()) {
  h.groups = [](void *u, int32_t modality, int64_t *out, mcl_error *x) {
    bool known = false;
    mcl_status s = guard(x, [&] { known = static_cast<D *>(u)->groups(modality, out); });
    if (s < 0 || known) return s;
    return mcl_error_set(x, MCL_E_NOT_FOUND, 0, "it is not known which rows are the same");
  };
}
template <class D> void set_groups(mcl_host_dataset &, long) {}

} // namespace detail

/// An encoder of a C++ class, which it owns from now on, also when this throws. E has
///   void embed(const mcl_inputs &, const mcl_array &out);
/// and, to be trained, forward(const mcl_inputs &, const mcl_array &out), backward(const mcl_inputs &, const mcl_array
/// &gradient), step(const mcl_step &); and, to be saved, save(const char *path), load(const char *path); and, for an online
/// probe, held(const mcl_inputs &, const mcl_array &out); and, where it learns the loss's temperature, double temperature(),
/// backward_temperature(double d_log_temperature); and give_up(), to forget the gradients of a batch that failed; and, beside
/// it, static constexpr bool takes_chunks = true where MCL_HOST_CHUNKS holds of it; and start_from(const E &), to take over
/// another's weights; and sum_gradients(mcl_comm *), to add its gradients up over ranks.
template <class E>
encoder host_encoder(const context &c, std::unique_ptr<E> network, int32_t dim,
                     int32_t projection_dim, int32_t modalities = 1) {
  mcl_host_encoder h = make<mcl_host_encoder>();
  h.dim = dim;
  h.projection_dim = projection_dim;
  h.modalities = modalities;
  h.embed = [](void *u, const mcl_inputs *in, const mcl_array *out, mcl_error *x) {
    return detail::guard(x, [&] { static_cast<E *>(u)->embed(*in, *out); });
  };
  detail::set_training<E>(h, 0);
  detail::set_held<E>(h, 0);
  detail::set_state<E>(h, 0);
  detail::set_temperature<E>(h, 0);
  detail::set_give_up<E>(h, 0);
  detail::set_chunks<E>(h, 0);
  detail::set_start<E>(h, 0);
  detail::set_sum_gradients<E>(h, 0);
  h.destroy = detail::destroy<E>;
  h.user = network.release();
  encoder e;
  call(mcl_encoder_create_host, c.get(), &h, e.out());
  return e;
}

/// mcl_integrator_view(): some of the stages, which share their encoders with the whole.
inline integrator view(const integrator &whole, const std::vector<int32_t> &stages) {
  integrator some;
  call(mcl_integrator_view, whole.get(), stages.data(), static_cast<int32_t>(stages.size()),
       some.out());
  return some;
}

/// mcl_integrator_fit_weights(): labels [rows.shape[0]].
inline mcl_weights_report fit_weights(const integrator &g, const mcl_array &rows,
                                      const int32_t *labels,
                                      const mcl_weights_options *options = nullptr) {
  mcl_weights_report report = make<mcl_weights_report>();
  call(mcl_integrator_fit_weights, g.get(), options, &rows, labels, nullptr, &report);
  return report;
}

/// A clusterer of a C++ class, which it owns from now on. K has
///   int32_t fit(const mcl_rows &);                                   // the number of clusters
///   void assign(const mcl_array &block, int32_t *labels);
template <class K> clusterer host_clusterer(const context &c, std::unique_ptr<K> algorithm) {
  mcl_host_clusterer h = make<mcl_host_clusterer>();
  h.fit = [](void *u, const mcl_rows *rows, int32_t *k, mcl_error *x) {
    return detail::guard(x, [&] { *k = static_cast<K *>(u)->fit(*rows); });
  };
  h.assign = [](void *u, const mcl_array *block, int32_t *labels, mcl_error *x) {
    return detail::guard(x, [&] { static_cast<K *>(u)->assign(*block, labels); });
  };
  h.destroy = detail::destroy<K>;
  h.user = algorithm.release();
  clusterer k;
  call(mcl_clusterer_create_host, c.get(), &h, k.out());
  return k;
}

/// A communicator of a C++ class, which it owns from now on. E has
///   void allgather(const void *send, void *recv, uint64_t bytes_per_rank);
/// and, to spare bytes, sum(float *data, uint64_t n).
template <class E>
comm host_comm(const context &c, std::unique_ptr<E> engine, int32_t rank, int32_t size) {
  mcl_host_comm h = make<mcl_host_comm>();
  h.rank = rank;
  h.size = size;
  h.allgather = [](void *u, const void *send, void *recv, uint64_t bytes, mcl_error *x) {
    return detail::guard(x, [&] { static_cast<E *>(u)->allgather(send, recv, bytes); });
  };
  detail::set_sum<E>(h, 0);
  h.destroy = detail::destroy<E>;
  h.user = engine.release();
  comm ranks;
  call(mcl_comm_create_host, c.get(), &h, ranks.out());
  return ranks;
}

/// A dataset of a C++ class, which it owns from now on. D has
///   int64_t rows() const; uint64_t fingerprint() const; int32_t modalities() const;
///   void shape(int32_t modality, mcl_array &row);
///   void load(const int64_t *indices, int64_t n, int32_t modality, const mcl_array &out);
/// and, to say which rows are the same, bool groups(int32_t modality, int64_t *out); false: not known.
template <class D> dataset host_dataset(const context &c, std::unique_ptr<D> data) {
  mcl_host_dataset h = make<mcl_host_dataset>();
  h.rows = data->rows();
  h.fingerprint = data->fingerprint();
  h.modalities = data->modalities();
  h.shape = [](void *u, int32_t modality, mcl_array *row, mcl_error *x) {
    return detail::guard(x, [&] { static_cast<D *>(u)->shape(modality, *row); });
  };
  h.load = [](void *u, const int64_t *indices, int64_t n, int32_t modality, const mcl_array *out,
              mcl_error *x) {
    return detail::guard(x, [&] { static_cast<D *>(u)->load(indices, n, modality, *out); });
  };
  detail::set_groups<D>(h, 0);
  h.destroy = detail::destroy<D>;
  h.user = data.release();
  dataset d;
  call(mcl_dataset_create_host, c.get(), &h, d.out());
  return d;
}

/// A monitor of a function of the progress that returns true to stop. Lends `progress`: it must live as long.
template <class P> mcl_monitor monitor(P &progress) {
  mcl_monitor m = make<mcl_monitor>();
  m.user = const_cast<void *>(static_cast<const void *>(std::addressof(progress)));
  m.progress = [](void *u, const mcl_progress *p) -> int32_t {
    detail::aside slot;
    try {
      return (*static_cast<P *>(u))(*p) ? 1 : 0;
    } catch (...) {
      slot.keep();
      return 1;
    }
  };
  return m;
}

/// mcl_multistage_run() with a function of the stage that returns an mcl::encoder, and, if wanted, one of the progress that
/// returns true to stop.
template <class Factory, class Progress>
void run(const multistage &loop, const dataset &d, const augmenter &a, Factory &&factory,
         Progress &&progress) {
  typedef typename std::remove_reference<Factory>::type F;
  mcl_encoder_factory f = make<mcl_encoder_factory>();
  f.user = const_cast<void *>(static_cast<const void *>(std::addressof(factory)));
  f.make = [](void *u, int32_t stage, mcl_encoder **out, mcl_error *x) {
    return detail::guard(x, [&] { *out = encoder((*static_cast<F *>(u))(stage)).release(); });
  };
  mcl_monitor m = monitor(progress);
  call(mcl_multistage_run, loop.get(), d.get(), a.get(), &f, &m);
}

/// The same without a look at the progress.
template <class Factory>
void run(const multistage &loop, const dataset &d, const augmenter &a, Factory &&factory) {
  run(loop, d, a, std::forward<Factory>(factory), [](const mcl_progress &) { return false; });
}

} // namespace mcl

#endif
