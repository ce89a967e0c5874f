#pragma once

#include <tessera/algorithm.h>

#include <cstdint>
#include <map>
#include <string>

namespace tessera_tune {

/// An algorithm such as people write: a chain of stencils, a normalisation of rows, matrix products, a pyramid, a convolution, or
/// point-wise stages, with sizes of a few milliseconds at most.
struct RandomPipeline {
    std::string family;
    tessera::Algorithm algorithm;
    std::map<std::string, std::int64_t> extents;
};
/// The same for the same number on every machine. Another `shape` is the same algorithm at other extents; where all are fixed
/// there is only shape 0.
[[nodiscard]] RandomPipeline random_pipeline(std::uint64_t number, int shape = 0);

}  // namespace tessera_tune
