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

/// The plans that one of Halide's autoschedulers makes.
[[nodiscard]] inline bool is_automatic(Plan plan) { return plan == Plan::mullapudi2016 || plan == Plan::adams2019; }

/// Compiles `func`; under an automatic plan its autoscheduler is asked first, with the estimates that were set.
[[nodiscard]] Halide::Callable callable_of(Halide::Func func, const std::vector<Halide::Argument>& arguments, Plan, Arithmetic);

template <typename Param>
void set_extents(Param param, const std::vector<int>& extents) {
    for (int dim = 0; dim < param.dimensions(); ++dim) param.dim(dim).set_estimate(0, extents[std::size_t(dim)]);
}

/// The kernel of a func of one input, estimates set to the extents that it runs on.
template <typename In, typename Out>
Kernel kernel_of(Halide::Func func, Halide::ImageParam image, const std::vector<int>& in_extents, const In* in,
                 const std::vector<int>& out_extents, Out* out, Plan plan, Arithmetic arithmetic) {
    set_extents(image, in_extents);
    set_extents(func.output_buffer(), out_extents);
    return [kernel = callable_of(func, {image}, plan, arithmetic), from = array(in, in_extents),
            to = array(static_cast<const Out*>(out), out_extents)]() mutable { run(kernel, from, to); };
}

}  // namespace bench::rivals
