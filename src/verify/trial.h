#pragma once

#include <tessera/compile.h>

#include "algorithm/extent_values.h"

#include <string>
#include <vector>

namespace tessera {

/// The extents of a call with these buffers. Throws E0701 for an input that is not there.
[[nodiscard]] ExtentValues extents_of(const Algorithm& algorithm, const NamedInputs& inputs);

/// Random values for an input inside its promises; floats in [low, high). The same for one seed and name.
[[nodiscard]] AnyBuffer random_buffer(const InputState& input, ExtentValues& extents, std::uint64_t seed, double low,
                                      double high);

/// Buffers for all outputs, by the names that a Module takes.
[[nodiscard]] NamedOutputs allocated_outputs(const Algorithm& algorithm, ExtentValues& extents);
[[nodiscard]] std::vector<std::string> buffer_names(const Func& output);

/// Elements of a dense buffer as numbers.
[[nodiscard]] std::vector<double> numbers_of(const AnyBuffer& buffer);
[[nodiscard]] AnyBuffer buffer_of(DType dtype, const std::vector<std::int64_t>& extents, const std::vector<double>& numbers);
/// Row-major position -> index.
[[nodiscard]] std::vector<std::int64_t> index_at(std::int64_t position, const std::vector<std::int64_t>& extents);
/// "(2, 0)"
[[nodiscard]] std::string place_text(const std::vector<std::int64_t>& index);

/// Compiled with the default schedule of the target.
[[nodiscard]] Module default_module(const Algorithm& algorithm, const Target& target);

}  // namespace tessera
