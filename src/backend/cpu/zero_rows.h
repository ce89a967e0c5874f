#pragma once

#include "backend/cpu/halide_ir.h"
#include "schedule/bound.h"

#include <limits>

namespace tessera::cpu {

/// The value `v` of a stage at root. Of rows of zeros that are a few vectors long LLVM makes a memset, and of that stores from
/// the last to the first, which memory takes at half the speed: it does not see that they are zeros.
[[nodiscard]] inline Halide::Expr filled_forwards(const BoundSchedule& bound, size_t stage,
                                                  const std::map<std::string, Halide::ImageParam>& images,
                                                  const Halide::Expr& v) {
    constexpr std::int64_t longest = 1024;  // bytes: of what is longer it calls memset
    const std::vector<Dim>& dims = bound.graph.stages[stage].dims;
    if (bound.stages[stage].compute_at || dims.size() < 2 || !Halide::Internal::is_const_zero(v)) return v;
    const auto columns = dims.back().extent().constant();
    if (!columns || *columns * v.type().bytes() > longest) return v;
    for (const auto& [name, image] : images)
        if (image.dimensions() > 1)  // no stride is negative
            return Halide::select(image.dim(1).stride() == std::numeric_limits<int>::min(), Halide::Internal::make_one(v.type()),
                                  v);
    return v;
}

}  // namespace tessera::cpu
