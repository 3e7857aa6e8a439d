// A PyTorch network in C++, driven by libmcl: libmcl loads and augments the images, trains,
// clusters, and goes from stage to stage; a torch::nn::Module does what only a network can do.
//
//   libtorch [--save FOLDER] [--rows N] [--bits N] [--side N]
//
// The images are Fashion-MNIST's with random bits as further channels, which both views share. A
// network learns those first and has little need of the clothes. The table says what the nearest
// neighbours know by each stage's embedding: the bits, and the clothes. With --save a run that was
// killed goes on where it was when the same command is given again.
//
// Threads: callbacks come on the thread that called libmcl, never beside work of libmcl's pool, so
// PyTorch's threads and libmcl's take turns at the same cores; what runs beside them is the thread
// that prepares the next batch. What PyTorch throws, c10::Error, comes out of mcl::run() as it is:
// see it by --side 20, images of a size that the network does not take.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <libmcl/mcl.hpp>
#include <torch/torch.h>

namespace {

const int32_t dim = 64, projection = 32, stages = 3;

struct network : torch::nn::Module {
  torch::nn::Sequential trunk, head;
  explicit network(int64_t channels)
      : trunk(torch::nn::Conv2d(torch::nn::Conv2dOptions(channels, 16, 5).stride(2)),
              torch::nn::ReLU(), torch::nn::Conv2d(torch::nn::Conv2dOptions(16, 32, 3).stride(2)),
              torch::nn::ReLU(), torch::nn::Flatten(), torch::nn::Linear(32 * 5 * 5, dim)),
        head(torch::nn::ReLU(), torch::nn::Linear(dim, projection)) {
    register_module("trunk", trunk);
    register_module("head", head);
  }
};

// What libmcl asks of an encoder (mcl::host_encoder), by a module and its optimiser.
class encoder {
public:
  encoder(int64_t channels, uint64_t seed) {
    torch::manual_seed(seed);
    net_ = std::make_shared<network>(channels);
    adam_.reset(new torch::optim::Adam(net_->parameters()));
  }
  void embed(const mcl_inputs &in, const mcl_array &out) {
    torch::NoGradGuard no_grad;
    net_->eval();
    lent(out).copy_(net_->trunk->forward(images(in)));
  }
  void forward(const mcl_inputs &in, const mcl_array &out) {
    net_->train();
    // What libmcl lends lives during the call only, and backward() needs it: hence the clone.
    at::Tensor z = net_->head->forward(net_->trunk->forward(images(in).clone()));
    lent(out).copy_(z.detach());
    held_[in.view] = z;
  }
  void backward(const mcl_inputs &in, const mcl_array &gradient) {
    held_.at(in.view).backward(lent(gradient));
  }
  void step(const mcl_step &s) {
    static_cast<torch::optim::AdamOptions &>(adam_->param_groups()[0].options())
        .lr(s.learning_rate);
    adam_->step();
    give_up();
  }
  void give_up() {
    held_.clear();
    adam_->zero_grad();
  }
  void save(const char *path) const {
    torch::serialize::OutputArchive file, state;
    net_->save(file);
    adam_->save(state);
    file.write("adam", state);
    file.save_to(path);
  }
  void load(const char *path) {
    torch::serialize::InputArchive file, state;
    file.load_from(path);
    net_->load(file);
    file.read("adam", state);
    adam_->load(state);
  }

private:
  // Contiguous float32, as libmcl lends it to an encoder.
  static at::Tensor lent(const mcl_array &a) {
    return torch::from_blob(a.data, at::IntArrayRef(a.shape, static_cast<size_t>(a.ndim)));
  }
  static at::Tensor images(const mcl_inputs &in) { return lent(*in.data).permute({0, 3, 1, 2}); }

  std::shared_ptr<network> net_;
  std::unique_ptr<torch::optim::Adam> adam_;
  std::map<int32_t, at::Tensor> held_;
};

struct settings {
  std::string folder = "/usr/share/datasets/fashion-mnist/", save;
  int64_t rows = 2000;
  int32_t bits = 6, side = 28;
};

struct rows {
  mcl::dataset images;
  std::vector<int32_t> bits, clothes;
  int64_t count, side, channels;

  // The first n rows of Fashion-MNIST's files of that name.
  rows(const mcl::context &c, const settings &o, const std::string &name, int64_t n)
      : bits(n), clothes(n), count(n), side(o.side), channels(1 + o.bits) {
    mcl::dataset all, some, sized;
    std::vector<int64_t> first(n);
    std::iota(first.begin(), first.end(), 0);
    mcl::call(mcl_dataset_create_idx, c.get(), (o.folder + name + "-images-idx3-ubyte.gz").c_str(),
              (o.folder + name + "-labels-idx1-ubyte.gz").c_str(), all.out());
    mcl::call(mcl_dataset_create_subset, c.get(), all.get(), first.data(), n, some.out());
    mcl::call(mcl_dataset_create_resized, c.get(), some.get(), o.side, o.side, MCL_FILTER_TRIANGLE,
              sized.out());
    mcl::call(mcl_dataset_create_randbits, c.get(), sized.get(), o.bits, uint64_t(name.size()),
              images.out());
    mcl::call(mcl_dataset_labels, images.get(), clothes.data(), n);
    mcl::call(mcl_dataset_codes, images.get(), bits.data(), n);
  }
  std::vector<float> embed(const mcl::integrator &g) const {
    std::vector<float> x(count * side * side * channels), z(count * mcl_integrator_dim(g.get()));
    std::vector<int64_t> all(count);
    std::iota(all.begin(), all.end(), 0);
    mcl_array data = mcl_images_f32(x.data(), count, side, side, channels);
    mcl_array out = mcl_matrix_f32(z.data(), count, mcl_integrator_dim(g.get()));
    mcl::call(mcl_dataset_load, images.get(), all.data(), count, 0, &data);
    auto in = mcl::make<mcl_inputs>();
    in.indices = all.data();
    in.n = count;
    in.data = &data;
    in.view = -1;
    mcl::call(mcl_integrator_embed, g.get(), &in, &out);
    return z;
  }
};

void judge(const mcl::context &c, const mcl::integrator &g, const rows &train, const rows &test) {
  std::vector<float> z = train.embed(g), t = test.embed(g);
  mcl_array a = mcl_matrix_f32(z.data(), train.count, mcl_integrator_dim(g.get()));
  mcl_array b = mcl_matrix_f32(t.data(), test.count, mcl_integrator_dim(g.get()));
  auto bits = mcl::make<mcl_probe_result>(), clothes = bits;
  mcl::call(mcl_probe_knn, c.get(), nullptr, &a, train.bits.data(), &b, test.bits.data(), nullptr,
            &bits);
  mcl::call(mcl_probe_knn, c.get(), nullptr, &a, train.clothes.data(), &b, test.clothes.data(),
            nullptr, &clothes);
  std::printf(" %.2f, clothes %.2f\n", bits.value, clothes.value);
}

void run(const settings &o) {
  mcl::context context = mcl::context::create();
  rows train(context, o, "train", o.rows), test(context, o, "t10k", 500);
  auto views = mcl::defaults(mcl_augmenter_options_init);
  views.extra_channels = o.bits;
  views.crop_area_min = 0.4;
  mcl::augmenter augmenter;
  mcl::call(mcl_augmenter_create, context.get(), &views, augmenter.out());

  auto sampling = mcl::defaults(mcl_sampler_options_init);
  auto options = mcl::defaults(mcl_multistage_options_init);
  sampling.batch_rows = 128;
  options.stages = stages;
  options.epochs = 6;
  options.sampler = &sampling;
  options.fingerprint = mcl_dataset_fingerprint(train.images.get());
  options.save_directory = o.save.empty() ? nullptr : o.save.c_str();
  options.save_every_steps = 20;
  mcl::multistage loop;
  mcl::call(mcl_multistage_create, context.get(), &options, train.count, nullptr, loop.out());
  mcl_error err;
  if (options.save_directory &&
      mcl_multistage_resume(loop.get(), options.save_directory, &err) != MCL_E_NOT_FOUND)
    mcl::check(err.status, err);
  mcl::run(loop, train.images, augmenter, [&](int32_t stage) {
    std::unique_ptr<encoder> e(new encoder(train.channels, mcl_multistage_seed(0, stage)));
    return mcl::host_encoder(context, std::move(e), dim, projection);
  });

  mcl::integrator all;
  mcl::call(mcl_multistage_integrator, loop.get(), all.out());
  for (int32_t s = 0; s < stages; s++) {
    auto report = mcl::make<mcl_stage_report>();
    mcl::call(mcl_multistage_get_report, loop.get(), s, 0, &report);
    std::printf("stage %d, in %d cells: neighbours know bits", s, static_cast<int>(report.cells));
    judge(context, mcl::view(all, {s}), train, test);
  }
  std::printf("all stages: neighbours know bits");
  judge(context, all, train, test);
}

} // namespace

int main(int argc, char **argv) {
  settings o;
  for (int i = 1; i < argc; i += 2) {
    std::string name = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--save" && !value.empty())
      o.save = value;
    else if (name == "--rows")
      o.rows = std::atoll(value.c_str());
    else if (name == "--bits")
      o.bits = std::atoi(value.c_str());
    else if (name == "--side")
      o.side = std::atoi(value.c_str());
    else
      return std::fprintf(stderr, "libtorch [--save FOLDER] [--rows N] [--bits N] [--side N]\n"), 2;
  }
  // Of one thread a product has the same bits at any time, so that a run that was killed ends as
  // it would have. oneDNN crashes in some convolutions of Debian 12's PyTorch.
  at::set_num_threads(1);
  at::globalContext().setUserEnabledMkldnn(false);
  try {
    run(o);
  } catch (const c10::Error &x) {
    std::fprintf(stderr, "PyTorch: %s\n", x.what_without_backtrace());
    return 3;
  } catch (const std::exception &x) {
    std::fprintf(stderr, "%s\n", x.what());
    return 1;
  }
}
