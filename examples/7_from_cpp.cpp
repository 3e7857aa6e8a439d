// From C++: handles that release themselves, a class as an encoder, and exceptions that cross
// libmcl unharmed.
//
// The class below is example 4's network. Its forward() fails once; the very exception that it
// throws comes out of mcl::run(), and the same call then goes on where it failed.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

#include <libmcl/mcl.hpp>

namespace {

const int64_t rows = 512, width = 12;
const int32_t dim = 6;

float uniform(uint64_t s) { // -1 .. 1, a function of s
  s = (s * 0x9e3779b97f4a7c15u ^ s >> 30) * 0xbf58476d1ce4e5b9u;
  s = (s ^ s >> 27) * 0x94d049bb133111ebu;
  return static_cast<float>(s >> 40) / 8388608.0f - 1;
}

struct out_of_memory : std::runtime_error {
  explicit out_of_memory(int64_t at) : std::runtime_error("out of GPU memory"), step(at) {}
  int64_t step;
};

class linear {
public:
  linear(int32_t stage, int64_t *fail_at)
      : w_(dim * width), gradient_(dim * width), fail_at_(fail_at) {
    for (size_t i = 0; i < w_.size(); i++) w_[i] = uniform(mcl_multistage_seed(7, stage) + i) / 2;
  }
  void embed(const mcl_inputs &in, const mcl_array &out) const {
    multiply(look_at(in), in.n, static_cast<float *>(out.data));
  }
  void forward(const mcl_inputs &in, const mcl_array &out) {
    if (steps_ == *fail_at_) {
      *fail_at_ = -1; // once
      throw out_of_memory(steps_);
    }
    std::vector<float> &x = seen_[in.view];
    x = look_at(in);
    multiply(x, in.n, static_cast<float *>(out.data));
  }
  void backward(const mcl_inputs &in, const mcl_array &gradient) {
    const float *g = static_cast<const float *>(gradient.data);
    for (int64_t i = 0; i < in.n; i++)
      for (int d = 0; d < dim; d++)
        for (int64_t j = 0; j < width; j++)
          gradient_[d * width + j] += g[i * dim + d] * seen_[in.view][i * width + j];
  }
  void step(const mcl_step &s) {
    for (size_t i = 0; i < w_.size(); i++) {
      w_[i] -= static_cast<float>(s.learning_rate) * gradient_[i];
      gradient_[i] = 0;
    }
    steps_++;
  }

private:
  // Each row leans to one of four corners; a view shakes it.
  static std::vector<float> look_at(const mcl_inputs &in) {
    std::vector<float> x(in.n * width);
    for (int64_t i = 0; i < in.n; i++)
      for (int64_t j = 0; j < width; j++) {
        uint64_t place = in.indices[i] * width + j;
        x[i * width + j] = uniform(place) + (j == in.indices[i] % 4 ? 3.0f : 0.0f);
        if (in.view >= 0)
          x[i * width + j] += 0.3f * uniform((place * 4096 + in.epoch) * 2 + in.view + 1);
      }
    return x;
  }
  void multiply(const std::vector<float> &x, int64_t n, float *z) const {
    for (int64_t i = 0; i < n; i++)
      for (int d = 0; d < dim; d++, z++) {
        *z = 0;
        for (int64_t j = 0; j < width; j++) *z += w_[d * width + j] * x[i * width + j];
      }
  }
  std::vector<float> w_, gradient_, seen_[2];
  int64_t steps_ = 0, *fail_at_;
};

// Neither shape() nor load() has anything to give: the network holds the data.
mcl::dataset counted(const mcl::context &context) {
  auto host = mcl::make<mcl_host_dataset>();
  host.rows = rows;
  host.modalities = 1;
  mcl::dataset dataset;
  mcl::call(mcl_dataset_create_host, context.get(), &host, dataset.out());
  return dataset;
}

void learn() {
  mcl::context context = mcl::context::create();
  mcl::dataset dataset = counted(context);
  auto sampling = mcl::defaults(mcl_sampler_options_init);
  auto kmeans = mcl::defaults(mcl_kmeans_options_init);
  auto options = mcl::defaults(mcl_multistage_options_init);
  sampling.batch_rows = 64;
  kmeans.k = 4;
  options.stages = 2;
  options.learning_rate = 0.5;
  options.sampler = &sampling;
  options.kmeans = &kmeans;
  mcl::multistage loop;
  mcl::call(mcl_multistage_create, context.get(), &options, rows, nullptr, loop.out());

  int64_t fail_at = 10;
  auto factory = [&](int32_t stage) {
    std::unique_ptr<linear> network(new linear(stage, &fail_at));
    return mcl::host_encoder(context, std::move(network), dim, dim);
  };
  try {
    mcl::run(loop, dataset, mcl::augmenter(), factory);
  } catch (const out_of_memory &x) {
    std::printf("%s in step %d\n", x.what(), static_cast<int>(x.step));
  }
  mcl::run(loop, dataset, mcl::augmenter(), factory);
  for (int32_t s = 0; s < 2; s++) {
    auto report = mcl::make<mcl_stage_report>();
    mcl::call(mcl_multistage_get_report, loop.get(), s, 0, &report);
    std::printf("stage %d: %d cells, loss %.2f, then %.2f\n", s, static_cast<int>(report.cells),
                report.loss_first, report.loss_last);
  }
  auto none = mcl::make<mcl_stage_report>();
  mcl::call(mcl_multistage_get_report, loop.get(), 2, 0, &none); // throws mcl::error
}

} // namespace

int main() {
  try {
    learn();
  } catch (const mcl::error &x) {
    std::printf("%s\n", mcl_status_name(x.status()));
    return x.status() != MCL_E_NOT_FOUND;
  }
  return 1;
}

/* Expected output:
 * out of GPU memory in step 10
 * stage 0: 1 cells, loss 3.42, then 3.32
 * stage 1: 4 cells, loss 3.81, then 3.14
 * MCL_E_NOT_FOUND
 */
