// What the rivals written in Halide share. Included only by them.
#pragma once

#include <Halide.h>

#include "halide_rivals.h"

namespace bench::rivals {

[[nodiscard]] Halide::Target target_of(Arithmetic);
/// f32 lanes of this processor's vectors.
[[nodiscard]] int native_floats();

/// Promises that every dim of a buffer starts at 0.
template <typename Param>
void start_at_zero(Param param) {
    for (int dim = 0; dim < param.dimensions(); ++dim) param.dim(dim).set_min(0);
}

template <typename... Buffers>
void run(const Halide::Callable& kernel, Buffers&... buffers) {
    if (kernel(buffers...) != 0) throw Halide::RuntimeError("a rival's kernel failed");
}

/// A dense array, innermost extent first. Halide's calls take no buffers of const elements.
template <typename T>
Halide::Buffer<T> array(const T* values, const std::vector<int>& extents) {
    return Halide::Buffer<T>(const_cast<T*>(values), extents);
}

}  // namespace bench::rivals
