// A C++ program as a user would write it: an exception goes through libmcl and comes out. C++11.
#include <cstdio>
#include <memory>
#include <stdexcept>

#include <libmcl/mcl.hpp>

namespace {

struct network {
  void embed(const mcl_inputs &, const mcl_array &) { throw std::out_of_range("no such row"); }
};

} // namespace

int main() {
  try {
    mcl::context context = mcl::context::create();
    mcl::encoder encoder = mcl::host_encoder(context, std::unique_ptr<network>(new network), 4, 4);
    float z[4];
    mcl_array out = mcl_matrix_f32(z, 1, 4);
    auto in = mcl::make<mcl_inputs>();
    int64_t row = 0;
    in.indices = &row;
    in.n = 1;
    in.view = -1;
    mcl::call(mcl_encoder_embed, encoder.get(), &in, &out);
  } catch (const std::out_of_range &) {
    std::printf("libmcl %s\n", mcl_version_string());
    return 0;
  }
  return 1;
}
