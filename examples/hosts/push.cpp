// A host with a model, driven by libmcl: it loads and augments the images, trains, clusters, and
// goes from stage to stage; the class below does what only a model can do.
//
//   push [FOLDER]    a folder of PNG and JPEG files; without one, images that the program draws
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#include <libmcl/mcl.hpp>

namespace {

const int32_t side = 8, stages = 2, dim = 12;

// One dense layer, z = W x. A real one would be handed in.data on its way to a GPU.
class dense {
public:
  dense(int64_t inputs, int32_t stage) : inputs_(inputs), w_(inputs * dim), gradient_(w_.size()) {
    uint64_t s = mcl_multistage_seed(0, stage);
    for (float &w : w_) {
      s = s * 6364136223846793005u + 1442695040888963407u;
      w = (static_cast<float>(s >> 40) / 8388608.0f - 1) / 8;
    }
  }
  void embed(const mcl_inputs &in, const mcl_array &out) const {
    multiply(static_cast<const float *>(in.data->data), in.n, static_cast<float *>(out.data));
  }
  void forward(const mcl_inputs &in, const mcl_array &out) {
    // What libmcl lends lives during the call only: what backward() needs is copied.
    const float *x = static_cast<const float *>(in.data->data);
    seen_[in.view].assign(x, x + in.n * inputs_);
    embed(in, out);
  }
  void backward(const mcl_inputs &in, const mcl_array &gradient) {
    const float *g = static_cast<const float *>(gradient.data);
    for (int64_t i = 0; i < in.n; i++)
      for (int d = 0; d < dim; d++)
        for (int64_t j = 0; j < inputs_; j++)
          gradient_[d * inputs_ + j] += g[i * dim + d] * seen_[in.view][i * inputs_ + j];
  }
  void step(const mcl_step &s) {
    for (size_t i = 0; i < w_.size(); i++) {
      w_[i] -= static_cast<float>(s.learning_rate) * gradient_[i];
      gradient_[i] = 0;
    }
  }

private:
  void multiply(const float *x, int64_t n, float *z) const {
    for (int64_t i = 0; i < n; i++)
      for (int d = 0; d < dim; d++, z++) {
        *z = 0;
        for (int64_t j = 0; j < inputs_; j++) *z += w_[d * inputs_ + j] * x[i * inputs_ + j];
      }
  }
  int64_t inputs_;
  std::vector<float> w_, gradient_, seen_[2];
};

// 400 squares, bright at one of four sides.
std::vector<uint8_t> draw() {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < 400; i++)
    for (int y = 0; y < side; y++)
      for (int x = 0; x < side; x++) {
        int at[] = {x, y, side - 1 - x, side - 1 - y};
        pixels.push_back(static_cast<uint8_t>(at[i % 4] < 3 ? 150 + i % 50 : 30 + i % 31));
      }
  return pixels;
}

void learn(const char *folder) {
  mcl::context context = mcl::context::create();
  mcl::dataset images;
  std::vector<uint8_t> pixels = draw(); // the dataset reads them until its end
  if (folder) {
    auto o = mcl::defaults(mcl_folder_options_init);
    o.height = o.width = side;
    mcl::call(mcl_dataset_create_folder, context.get(), folder, &o, nullptr, images.out());
  } else {
    mcl_array x = mcl_images_u8(pixels.data(), 400, side, side, 1);
    mcl::call(mcl_dataset_create_array, context.get(), &x, nullptr, images.out());
  }
  mcl_array row;
  mcl::call(mcl_dataset_shape, images.get(), 0, &row);
  auto views = mcl::defaults(mcl_augmenter_options_init);
  views.crop_area_min = 0.7;
  views.flip = 0;
  mcl::augmenter augmenter;
  mcl::call(mcl_augmenter_create, context.get(), &views, augmenter.out());

  auto kmeans = mcl::defaults(mcl_kmeans_options_init);
  auto sampling = mcl::defaults(mcl_sampler_options_init);
  auto options = mcl::defaults(mcl_multistage_options_init);
  kmeans.k = 4;
  sampling.batch_rows = 64;
  options.stages = stages;
  options.learning_rate = 0.1;
  options.kmeans = &kmeans;
  options.sampler = &sampling;
  mcl::multistage loop;
  mcl::call(mcl_multistage_create, context.get(), &options, mcl_dataset_rows(images.get()), nullptr,
            loop.out());
  mcl::run(
      loop, images, augmenter,
      [&](int32_t stage) {
        std::unique_ptr<dense> model(new dense(row.shape[0] * row.shape[1] * row.shape[2], stage));
        return mcl::host_encoder(context, std::move(model), dim, dim);
      },
      [](const mcl_progress &p) {
        if (p.stage >= 0) std::fprintf(stderr, "stage %d: %s\n", p.stage, p.phase);
        return false; // true: stop
      });
  for (int32_t s = 0; s < stages; s++) {
    auto report = mcl::make<mcl_stage_report>();
    mcl::call(mcl_multistage_get_report, loop.get(), s, 0, &report);
    std::printf("stage %d: trained in %d cells, found %d clusters, loss %.2f\n", s,
                static_cast<int>(report.cells), report.k_effective, report.loss_last);
  }
}

} // namespace

int main(int argc, char **argv) {
  try {
    learn(argc > 1 ? argv[1] : nullptr);
  } catch (const std::exception &x) {
    std::fprintf(stderr, "%s\n", x.what());
    return 1;
  }
}

/* Expected output:
 * stage 0: trained in 1 cells, found 4 clusters, loss 3.59
 * stage 1: trained in 4 cells, found 4 clusters, loss 4.59
 */
