// mcl.hpp: handles keep count, errors carry their row, and what a callback throws comes out as the very object that was
// thrown. Run it under address sanitizer to see that nothing leaks on any of these ways.
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <libmcl/mcl.hpp>

namespace {

int failures;

void expect(bool fact, const char *what, int line) {
  if (fact) return;
  std::fprintf(stderr, "line %d: %s\n", line, what);
  failures++;
}
#define EXPECT(fact) expect((fact), #fact, __LINE__)

struct boom {
  explicit boom(int n) : number(n) {}
  int number;
};
const boom *thrown_at;

// Throws, and remembers where the exception object lies.
[[noreturn]] void explode(int number) {
  try {
    throw boom(number);
  } catch (const boom &x) {
    thrown_at = &x;
    throw;
  }
}

template <class F> bool explodes(int number, F f) {
  thrown_at = nullptr;
  try {
    f();
  } catch (const boom &x) {
    return x.number == number && &x == thrown_at;
  } catch (const std::exception &x) {
    std::fprintf(stderr, "%s\n", x.what());
  }
  return false;
}

template <class F> bool fails(mcl_status status, F f) {
  try {
    f();
  } catch (const mcl::error &x) {
    if (x.status() == status) return true;
    std::fprintf(stderr, "%s\n", x.what());
  }
  return false;
}

int alive;
struct counted {
  counted() { alive++; }
  ~counted() { alive--; }
  counted(const counted &) = delete;
  counted &operator=(const counted &) = delete;
};

// Each of these explodes with the number of the call that it is told to fail at.
enum { NEVER, EMBED, FORWARD, HELD, BACKWARD, STEP, SAVE, LOAD, FIT, ASSIGN, SHAPE, ROWS };

struct net : counted {
  explicit net(int at) : at_(at) {}
  void fill(const mcl_inputs &in, const mcl_array &out) const {
    for (int64_t i = 0; i < in.n * 4; i++)
      static_cast<float *>(out.data)[i] =
          static_cast<float>((in.indices[i / 4] * 7 + i % 4 * 3) % 5) - 2;
  }
  void embed(const mcl_inputs &in, const mcl_array &out) {
    if (at_ == EMBED) explode(EMBED);
    fill(in, out);
  }
  void forward(const mcl_inputs &in, const mcl_array &out) {
    if (at_ == FORWARD) explode(FORWARD);
    fill(in, out);
  }
  void held(const mcl_inputs &in, const mcl_array &out) {
    if (at_ == HELD) explode(HELD);
    fill(in, out);
  }
  void backward(const mcl_inputs &, const mcl_array &) {
    if (at_ == BACKWARD) explode(BACKWARD);
  }
  void step(const mcl_step &) {
    if (at_ == STEP) explode(STEP);
  }
  void save(const char *) {
    if (at_ == SAVE) explode(SAVE);
  }
  void load(const char *) {
    if (at_ == LOAD) explode(LOAD);
  }
  int at_;
};

struct learner : net {
  learner() : net(NEVER), gave_up(0), gradient(0) {}
  double temperature() { return 0.25; }
  void backward_temperature(double d_log_temperature) { gradient += d_log_temperature; }
  void give_up() { gave_up++; }
  void start_from(const learner &other) {
    if (other.gradient < 0) explode(NEVER);
    gradient = other.gradient;
  }
  static constexpr bool takes_chunks = true;
  void step(const mcl_step &) { throw std::runtime_error("no step"); }
  int gave_up;
  double gradient;
};

struct algorithm : counted {
  explicit algorithm(int at) : at_(at) {}
  int32_t fit(const mcl_rows &) {
    if (at_ == FIT) explode(FIT);
    return 2;
  }
  void assign(const mcl_array &block, int32_t *labels) {
    if (at_ == ASSIGN) explode(ASSIGN);
    for (int64_t i = 0; i < block.shape[0]; i++) labels[i] = static_cast<int32_t>(i % 2);
  }
  int at_;
};

struct table : counted {
  explicit table(int at) : at_(at) {}
  int64_t rows() const { return 32; }
  uint64_t fingerprint() const { return 5; }
  int32_t modalities() const { return 1; }
  void shape(int32_t, mcl_array &row) {
    if (at_ == SHAPE) explode(SHAPE);
    row.dtype = MCL_F32;
    row.ndim = 1;
    row.shape[0] = 4;
  }
  void load(const int64_t *indices, int64_t n, int32_t, const mcl_array &out) {
    if (at_ == ROWS) explode(ROWS);
    for (int64_t i = 0; i < n * 4; i++)
      static_cast<float *>(out.data)[i] = static_cast<float>(indices[i / 4] + i % 4);
  }
  int at_;
};

template <class T> std::unique_ptr<T> make(int at) {
  return std::unique_ptr<T>(new T(at));
}

mcl::multistage make_loop(const mcl::context &c, const char *directory = nullptr) {
  auto k = mcl::defaults(mcl_kmeans_options_init);
  auto s = mcl::defaults(mcl_sampler_options_init);
  auto o = mcl::defaults(mcl_multistage_options_init);
  k.k = 2;
  s.batch_rows = 8;
  o.kmeans = &k;
  o.sampler = &s;
  o.stages = 2;
  o.epochs = 2;
  o.save_directory = directory;
  mcl::multistage loop;
  mcl::call(mcl_multistage_create, c.get(), &o, int64_t(32), nullptr, loop.out());
  return loop;
}

// ---- handles -------------------------------------------------------------------------------------------

void a_copy_is_another_reference_to_the_same(const mcl::context &c) {
  mcl::dataset a = mcl::host_dataset(c, make<table>(NEVER));
  {
    mcl::dataset b = a, d;
    d = b;
    EXPECT(b.get() == a.get() && d.get() == a.get());
    a = mcl::dataset();
    EXPECT(alive == 1 && !a && mcl_dataset_rows(d.get()) == 32);
    d = *&d;
    EXPECT(mcl_dataset_rows(d.get()) == 32);
  }
  EXPECT(alive == 0);
}

// Rows i and i + 16 are the same; of a second modality nothing is known.
struct twins : table {
  twins() : table(NEVER) {}
  int32_t modalities() const { return 2; }
  bool groups(int32_t modality, int64_t *out) {
    for (int64_t i = 0; i < 32; i++) out[i] = i % 16;
    return modality == 0;
  }
};

void a_class_may_say_which_rows_are_the_same(const mcl::context &c) {
  std::vector<int64_t> first(32);
  mcl::dataset d = mcl::host_dataset(c, std::unique_ptr<twins>(new twins));
  mcl::call(mcl_dataset_groups, d.get(), 0, first.data(), int64_t(32));
  EXPECT(first[20] == 4 && first[4] == 4);
  mcl_error err;
  EXPECT(mcl_dataset_groups(d.get(), 1, first.data(), 32, &err) == MCL_E_NOT_FOUND);
  mcl::dataset silent = mcl::host_dataset(c, make<table>(NEVER));
  EXPECT(mcl_dataset_groups(silent.get(), 0, first.data(), 32, &err) == MCL_E_NOT_FOUND);
}

void a_move_takes_the_reference_along(const mcl::context &c) {
  mcl::dataset a = mcl::host_dataset(c, make<table>(NEVER));
  mcl::dataset b = std::move(a);
  EXPECT(!a && b && alive == 1);
  a = std::move(b);
  EXPECT(a && !b && alive == 1);
  a = mcl::host_dataset(c, make<table>(NEVER));
  EXPECT(alive == 1);
}

void a_released_reference_is_the_callers(const mcl::context &c) {
  mcl::dataset a = mcl::host_dataset(c, make<table>(NEVER));
  mcl_dataset *raw = a.release();
  EXPECT(!a && alive == 1);
  mcl::dataset b(raw);
  EXPECT(b.get() == raw);
}

void out_gives_back_what_the_handle_had(const mcl::context &c) {
  mcl::sampler s;
  for (int i = 0; i < 2; i++)
    mcl::call(mcl_sampler_create, c.get(), nullptr, int64_t(100), 0, 1, s.out());
  mcl::dataset d = mcl::host_dataset(c, make<table>(NEVER));
  mcl_dataset **out = d.out();
  EXPECT(alive == 0 && *out == nullptr);
}

void a_handle_outlives_the_context_handle() {
  mcl::dataset d;
  {
    mcl::context c = mcl::context::create();
    d = mcl::host_dataset(c, make<table>(NEVER));
  }
  EXPECT(mcl_dataset_rows(d.get()) == 32);
}

// ---- errors --------------------------------------------------------------------------------------------

void an_error_has_status_row_and_sentence(const mcl::context &c) {
  std::vector<float> x(20 * 3, 1.0f);
  x[7 * 3 + 1] = static_cast<float>(HUGE_VAL);
  auto o = mcl::defaults(mcl_kmeans_options_init);
  o.k = 1;
  mcl::clusterer k;
  mcl::call(mcl_clusterer_create_kmeans, c.get(), &o, nullptr, k.out());
  mcl_array a = mcl_matrix_f32(x.data(), 20, 3);
  auto rows = mcl::make<mcl_rows>();
  rows.array = &a;
  try {
    mcl::call(mcl_clusterer_fit, k.get(), &rows, nullptr);
    EXPECT(false);
  } catch (const mcl::error &e) {
    EXPECT(e.status() == MCL_E_NOT_FINITE && e.row() == 7 && e.host_code() == 0);
    EXPECT(std::string(e.what()).find("MCL_E_NOT_FINITE: ") == 0);
  }
}

void a_refused_create_still_destroys_once(const mcl::context &c) {
  EXPECT(fails(MCL_E_INVALID, [&] { mcl::host_encoder(c, make<net>(NEVER), -1, 4); }));
  EXPECT(alive == 0);
  EXPECT(
      fails(MCL_E_INVALID, [&] { mcl::host_clusterer(mcl::context(), make<algorithm>(NEVER)); }));
  EXPECT(alive == 0);
}

// ---- exceptions ----------------------------------------------------------------------------------------

void what_an_encoder_throws_comes_out(const mcl::context &c) {
  float z[4 * 4];
  int64_t indices[4] = {0, 1, 2, 3};
  mcl_array out = mcl_matrix_f32(z, 4, 4);
  auto in = mcl::make<mcl_inputs>();
  auto step = mcl::make<mcl_step>();
  in.indices = indices;
  in.n = 4;
  for (int at = EMBED; at <= LOAD; at++) {
    mcl::encoder e = mcl::host_encoder(c, make<net>(at), 4, 4);
    EXPECT(explodes(at, [&] {
      mcl::call(mcl_encoder_embed, e.get(), &in, &out);
      mcl::call(mcl_encoder_forward, e.get(), &in, &out);
      mcl::call(mcl_encoder_held, e.get(), &in, &out);
      mcl::call(mcl_encoder_backward, e.get(), &in, &out);
      mcl::call(mcl_encoder_step, e.get(), &step);
      mcl::call(mcl_encoder_save, e.get(), "x");
      mcl::call(mcl_encoder_load, e.get(), "x");
    }));
    // The handle is usable, and the exception is not thrown again by a call that fails for another reason.
    EXPECT(fails(MCL_E_INVALID, [&] { mcl::call(mcl_encoder_embed, e.get(), nullptr, &out); }));
  }
  EXPECT(alive == 0);
}

void a_class_may_learn_a_temperature_and_give_a_batch_up(const mcl::context &c) {
  float z[2 * 4] = {0};
  int64_t indices[2] = {0, 1};
  double temperature = 0;
  mcl_array out = mcl_matrix_f32(z, 2, 4);
  auto in = mcl::make<mcl_inputs>();
  auto step = mcl::make<mcl_step>();
  in.indices = indices;
  in.n = 2;
  auto *inside = new learner;
  mcl::encoder e = mcl::host_encoder(c, std::unique_ptr<learner>(inside), 4, 4);
  mcl::call(mcl_encoder_temperature, e.get(), &temperature);
  EXPECT(temperature == 0.25);
  mcl::call(mcl_encoder_forward, e.get(), &in, &out);
  mcl::call(mcl_encoder_backward, e.get(), &in, &out);
  mcl::call(mcl_encoder_backward_temperature, e.get(), 0.5);
  EXPECT(inside->gradient == 0.5);
  auto *other = new learner;
  mcl::encoder e2 = mcl::host_encoder(c, std::unique_ptr<learner>(other), 4, 4);
  mcl::call(mcl_encoder_start_from, e2.get(), e.get());
  EXPECT(other->gradient == 0.5);
  inside->gradient = -1;
  EXPECT(explodes(NEVER, [&] { mcl::call(mcl_encoder_start_from, e2.get(), e.get()); }));
  EXPECT(other->gradient == 0.5);
  mcl::call(mcl_encoder_forward, e.get(), &in, &out); // a further chunk
  mcl::call(mcl_encoder_backward, e.get(), &in, &out);
  EXPECT(inside->gave_up == 0);
  mcl_error err;
  EXPECT(mcl_encoder_step(e.get(), &step, &err) == MCL_E_CALLBACK);
  EXPECT(inside->gave_up == 1);
  mcl::encoder plain = mcl::host_encoder(c, make<net>(NEVER), 4, 4);
  EXPECT(fails(MCL_E_UNSUPPORTED,
               [&] { mcl::call(mcl_encoder_temperature, plain.get(), &temperature); }));
  mcl::call(mcl_encoder_forward, plain.get(), &in, &out);
  mcl::call(mcl_encoder_backward, plain.get(), &in, &out);
  EXPECT(fails(MCL_E_UNSUPPORTED, [&] { mcl::call(mcl_encoder_forward, plain.get(), &in, &out); }));
}

void what_a_clusterer_throws_comes_out(const mcl::context &c) {
  std::vector<float> x(20 * 3, 1.0f);
  mcl_array a = mcl_matrix_f32(x.data(), 20, 3);
  auto rows = mcl::make<mcl_rows>();
  rows.array = &a;
  for (int at : {FIT, ASSIGN}) {
    mcl::clusterer k = mcl::host_clusterer(c, make<algorithm>(at));
    EXPECT(explodes(at, [&] { mcl::call(mcl_clusterer_fit, k.get(), &rows, nullptr); }));
  }
  mcl::clusterer k = mcl::host_clusterer(c, make<algorithm>(NEVER));
  mcl::call(mcl_clusterer_fit, k.get(), &rows, nullptr);
}

// Two ranks, each a thread, and the place where they meet.
struct meeting {
  std::mutex lock;
  std::condition_variable turn;
  const void *sent[2] = {nullptr, nullptr};
  int arrived = 0;
  long round = 0;
  int sums = 0;
  void meet(std::unique_lock<std::mutex> &held) {
    long mine = round;
    if (++arrived == 2) {
      arrived = 0;
      round++;
      turn.notify_all();
    }
    turn.wait(held, [&] { return round != mine; });
  }
};

struct engine {
  engine(meeting &m, int rank) : at(m), rank_(rank) {}
  void allgather(const void *send, void *recv, uint64_t bytes) {
    std::unique_lock<std::mutex> held(at.lock);
    at.sent[rank_] = send;
    at.meet(held);
    for (int i = 0; i < 2; i++)
      std::memcpy(static_cast<char *>(recv) + i * bytes, at.sent[i], bytes);
    at.meet(held);
  }
  void sum(float *data, uint64_t n) {
    std::vector<float> both(2 * n);
    allgather(data, both.data(), n * sizeof(float));
    for (uint64_t i = 0; i < n; i++) data[i] = both[i] + both[n + i];
    at.sums += rank_ == 0;
  }
  meeting &at;
  int rank_;
};

struct broken : counted {
  void allgather(const void *, void *, uint64_t) { explode(FIT); }
};

void two_ranks_of_a_class_cluster_and_add_up(const mcl::context &c) {
  meeting m;
  std::vector<float> x(5000 * 3);
  for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<float>((i * 7919) % 101 + i % 3 * 200);
  std::vector<int32_t> labels[3];
  auto rank = [&](int r) {
    mcl::comm ranks;
    if (r < 2) ranks = mcl::host_comm(c, std::unique_ptr<engine>(new engine(m, r)), r, 2);
    mcl_array a = mcl_matrix_f32(x.data(), 5000, 3);
    auto rows = mcl::make<mcl_rows>();
    rows.array = &a;
    mcl::clusterer k;
    mcl::call(mcl_clusterer_create_kmeans, c.get(), nullptr, ranks.get(), k.out());
    mcl::call(mcl_clusterer_fit, k.get(), &rows, nullptr);
    labels[r].resize(5000);
    mcl::call(mcl_clusterer_assign, k.get(), &rows, nullptr, labels[r].data(), nullptr);
    if (r == 2) return;
    auto o = mcl::defaults(mcl_mlp_options_init);
    o.inputs = 3;
    mcl::encoder e;
    mcl::call(mcl_encoder_create_mlp, c.get(), &o, e.out());
    std::vector<float> z(4 * 64, 0.5f);
    mcl_array rows4 = mcl_matrix_f32(x.data() + r * 12, 4, 3),
              out = mcl_matrix_f32(z.data(), 4, 64);
    auto in = mcl::make<mcl_inputs>();
    in.data = &rows4;
    in.n = 4;
    mcl::call(mcl_encoder_forward, e.get(), &in, &out);
    mcl::call(mcl_encoder_backward, e.get(), &in, &out);
    mcl::call(mcl_encoder_sum_gradients, e.get(), ranks.get());
  };
  std::thread other(rank, 1);
  rank(0);
  other.join();
  rank(2); // alone
  EXPECT(labels[0] == labels[1] && labels[0] == labels[2]);
  EXPECT(m.sums > 0);
  mcl::comm lost = mcl::host_comm(c, std::unique_ptr<broken>(new broken), 0, 2);
  mcl_array a = mcl_matrix_f32(x.data(), 5000, 3);
  auto rows = mcl::make<mcl_rows>();
  rows.array = &a;
  mcl::clusterer k;
  mcl::call(mcl_clusterer_create_kmeans, c.get(), nullptr, lost.get(), k.out());
  EXPECT(explodes(FIT, [&] { mcl::call(mcl_clusterer_fit, k.get(), &rows, nullptr); }));
  EXPECT(fails(MCL_E_COMM, [&] { mcl::call(mcl_clusterer_fit, k.get(), &rows, nullptr); }));
}

void what_a_dataset_throws_comes_out(const mcl::context &c) {
  float row[4];
  int64_t index = 3;
  mcl_array out = mcl_matrix_f32(row, 1, 4);
  EXPECT(explodes(SHAPE, [&] { mcl::host_dataset(c, make<table>(SHAPE)); }));
  EXPECT(alive == 0);
  mcl::dataset d = mcl::host_dataset(c, make<table>(ROWS));
  EXPECT(explodes(ROWS, [&] { mcl::call(mcl_dataset_load, d.get(), &index, 1, 0, &out); }));
}

void what_a_monitor_throws_comes_out(const mcl::context &c) {
  std::vector<float> x(20 * 3, 1.0f);
  mcl_array a = mcl_matrix_f32(x.data(), 20, 3);
  auto rows = mcl::make<mcl_rows>();
  rows.array = &a;
  mcl::clusterer k = mcl::host_clusterer(c, make<algorithm>(NEVER));
  auto angry = [](const mcl_progress &) -> bool { explode(77); };
  auto bored = [](const mcl_progress &) { return true; };
  auto calm = [](const mcl_progress &) { return false; };
  mcl_monitor m = mcl::monitor(angry);
  EXPECT(explodes(77, [&] { mcl::call(mcl_clusterer_fit, k.get(), &rows, &m); }));
  m = mcl::monitor(bored);
  EXPECT(fails(MCL_E_CANCELLED, [&] { mcl::call(mcl_clusterer_fit, k.get(), &rows, &m); }));
  m = mcl::monitor(calm);
  mcl::call(mcl_clusterer_fit, k.get(), &rows, &m);
}

void what_a_part_of_a_run_throws_comes_out_and_the_run_goes_on(const mcl::context &c) {
  for (int at = EMBED; at <= STEP; at++) {
    if (at == HELD) continue; // a run has no online probe
    mcl::dataset d = mcl::host_dataset(c, make<table>(NEVER));
    mcl::multistage loop = make_loop(c);
    net *made = nullptr;
    bool once = true;
    auto factory = [&](int32_t) {
      std::unique_ptr<net> n = make<net>(once ? at : NEVER);
      once = false;
      made = n.get();
      return mcl::host_encoder(c, std::move(n), 4, 4);
    };
    EXPECT(explodes(at, [&] { mcl::run(loop, d, mcl::augmenter(), factory); }));
    made->at_ = NEVER;
    mcl::run(loop, d, mcl::augmenter(), factory);
  }
  EXPECT(alive == 0);
}

void what_a_factory_throws_comes_out(const mcl::context &c) {
  mcl::dataset d = mcl::host_dataset(c, make<table>(NEVER));
  mcl::multistage loop = make_loop(c);
  EXPECT(explodes(9, [&] {
    mcl::run(loop, d, mcl::augmenter(), [](int32_t) -> mcl::encoder { explode(9); });
  }));
  // So does the error of a call inside it, whole.
  EXPECT(fails(MCL_E_INVALID, [&] {
    mcl::run(loop, d, mcl::augmenter(),
             [&](int32_t) { return mcl::host_encoder(c, make<net>(NEVER), -1, 4); });
  }));
  EXPECT(fails(MCL_E_CALLBACK, [&] {
    mcl::run(loop, d, mcl::augmenter(), [](int32_t) { return mcl::encoder(); });
  }));
}

// What stopped a run is what its caller hears of, though saving what there is fails as well.
void the_first_exception_of_a_call_comes_out(const mcl::context &c) {
  mcl::dataset d = mcl::host_dataset(c, make<table>(NEVER));
  const char *scratch = std::getenv("MCL_SCRATCH");
  mcl::multistage loop = make_loop(c, scratch ? scratch : "scratch");
  int number = 0;
  try {
    mcl::run(
        loop, d, mcl::augmenter(),
        [&](int32_t) { return mcl::host_encoder(c, make<net>(SAVE), 4, 4); },
        [](const mcl_progress &) -> bool { explode(78); });
  } catch (const boom &x) {
    number = x.number;
  }
  EXPECT(number == 78);
}

// A network that uses libmcl in its destructor, as one with libmcl's handles inside would.
struct tidy : net {
  explicit tidy(mcl_context *context) : net(FORWARD), context_(context) {}
  ~tidy() {
    mcl::sampler s;
    mcl::call(mcl_sampler_create, context_, nullptr, int64_t(100), 0, 1, s.out());
  }
  mcl_context *context_;
};

void calls_in_a_destructor_leave_an_exception_on_its_way_alone(const mcl::context &c) {
  EXPECT(explodes(FORWARD, [&] {
    float z[4];
    int64_t index = 0;
    mcl_array out = mcl_matrix_f32(z, 1, 4);
    auto in = mcl::make<mcl_inputs>();
    in.indices = &index;
    in.n = 1;
    mcl_error err;
    mcl_status s;
    {
      mcl::encoder e = mcl::host_encoder(c, std::unique_ptr<tidy>(new tidy(c.get())), 4, 4);
      s = mcl_encoder_forward(e.get(), &in, &out, &err); // directly: check() comes after the end
    }
    mcl::check(s, err);
  }));
}

void what_is_no_exception_class_comes_out_too(const mcl::context &c) {
  auto rude = [](const mcl_progress &) -> bool { throw 5; };
  mcl_monitor m = mcl::monitor(rude);
  mcl::clusterer k = mcl::host_clusterer(c, make<algorithm>(NEVER));
  float x[2] = {1, 2};
  mcl_array a = mcl_matrix_f32(x, 2, 1);
  auto rows = mcl::make<mcl_rows>();
  rows.array = &a;
  int caught = 0;
  try {
    mcl::call(mcl_clusterer_fit, k.get(), &rows, &m);
  } catch (int n) {
    caught = n;
  }
  EXPECT(caught == 5);
}

} // namespace

void a_view_shares_the_encoders_of_the_stages_it_names(const mcl::context &c) {
  mcl::integrator whole, some;
  mcl::call(mcl_integrator_create, c.get(), nullptr, whole.out());
  for (int32_t s = 0; s < 3; s++)
    mcl::call(mcl_integrator_add_stage, whole.get(), nullptr, s + 1, 1.0);
  some = mcl::view(whole, {2, 0});
  EXPECT(mcl_integrator_stages(some.get()) == 2 && mcl_integrator_dim(some.get()) == 4);
  EXPECT(fails(MCL_E_NOT_FOUND, [&] { mcl::view(whole, {3}); }));
  EXPECT(fails(MCL_E_INVALID, [&] { mcl::view(whole, {}); }));
}

void weights_are_fitted_by_labelled_rows(const mcl::context &c) {
  mcl::integrator g;
  mcl::call(mcl_integrator_create, c.get(), nullptr, g.out());
  for (int32_t s = 0; s < 2; s++) mcl::call(mcl_integrator_add_stage, g.get(), nullptr, 2, 1.0);
  float z[4 * 4] = {1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1};
  const int32_t labels[4] = {7, 8, 7, 8}; // what the first two columns say
  mcl_weights_report r = mcl::fit_weights(g, mcl_matrix_f32(z, 4, 4), labels);
  double w = 0;
  mcl::call(mcl_integrator_get_weight, g.get(), 0, &w);
  EXPECT(w == 1 && r.anchors == 4 && r.criterion < r.criterion_before);
  mcl::call(mcl_integrator_get_weight, g.get(), 1, &w);
  EXPECT(w < 1);
  z[9] = static_cast<float>(HUGE_VAL);
  EXPECT(fails(MCL_E_NOT_FINITE, [&] { mcl::fit_weights(g, mcl_matrix_f32(z, 4, 4), labels); }));
}

int main() {
  mcl::context c = mcl::context::create();
  a_copy_is_another_reference_to_the_same(c);
  a_class_may_say_which_rows_are_the_same(c);
  a_move_takes_the_reference_along(c);
  a_released_reference_is_the_callers(c);
  out_gives_back_what_the_handle_had(c);
  a_handle_outlives_the_context_handle();
  an_error_has_status_row_and_sentence(c);
  a_refused_create_still_destroys_once(c);
  what_an_encoder_throws_comes_out(c);
  a_class_may_learn_a_temperature_and_give_a_batch_up(c);
  what_a_clusterer_throws_comes_out(c);
  two_ranks_of_a_class_cluster_and_add_up(c);
  what_a_dataset_throws_comes_out(c);
  what_a_monitor_throws_comes_out(c);
  what_a_part_of_a_run_throws_comes_out_and_the_run_goes_on(c);
  what_a_factory_throws_comes_out(c);
  the_first_exception_of_a_call_comes_out(c);
  calls_in_a_destructor_leave_an_exception_on_its_way_alone(c);
  what_is_no_exception_class_comes_out_too(c);
  a_view_shares_the_encoders_of_the_stages_it_names(c);
  weights_are_fitted_by_labelled_rows(c);
  EXPECT(alive == 0);
  return failures != 0;
}
