#include <fmt/format.h>

#include "halide_kernel.h"

namespace bench::rivals {

Halide::Target target_of(Arithmetic arithmetic) {
    const Halide::Target host = Halide::get_host_target();
    return arithmetic == Arithmetic::strict ? host.with_feature(Halide::Target::StrictFloat) : host;
}

int native_floats() { return Halide::get_host_target().natural_vector_size<float>(); }

void use_halide_threads(int threads) { Halide::Internal::JITSharedRuntime::set_num_threads(threads); }

std::string halide_version() { return fmt::format("{}.{}.{}", HALIDE_VERSION_MAJOR, HALIDE_VERSION_MINOR, HALIDE_VERSION_PATCH); }

}  // namespace bench::rivals
