#pragma once

#include "kernels.h"

#include <string>
#include <vector>

namespace demo {

/// The meaning of an algorithm, evaluated definition by definition without a schedule.
/// Throws tessera::Error when the graph cannot be read (E0605) or parsed.
[[nodiscard]] Planes evaluate(const std::string& graph_file, const std::vector<Planes>& inputs,
                              const std::vector<std::int64_t>& extents);

/// The largest difference of two arrays of equal extents, relative to the largest value of `expected`; 0 means the same bits
/// everywhere, infinity that one has a NaN where the other has none.
[[nodiscard]] double largest_difference(const Planes& values, const Planes& expected);

}  // namespace demo
