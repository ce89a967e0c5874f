#pragma once

#include <tessera/algorithm.h>

#include <cstdint>
#include <map>
#include <string>

namespace tessera {

/// A copy of `algorithm` whose open dims are promised to be multiples, by name: what holds under the condition of a variant. It
/// has the same arguments and dims in the same order. The algorithm itself where nothing is promised.
[[nodiscard]] Algorithm with_multiples(const Algorithm& algorithm, const std::map<std::string, std::int64_t>& factors);

}  // namespace tessera
