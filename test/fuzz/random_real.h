#pragma once

#include "fuzz/random_algorithm.h"

#include <map>

namespace tessera::fuzz {

struct RealProgram {
    Algorithm algorithm;
    std::map<std::string, std::int64_t> extents;  // of every dim without one
    bool ordered = false;                         // its sums are in ascending order: every legal schedule gives the same bits
};

/// A smooth program of reals, or its value and gradients by its inputs: mixtures (reductions of reductions with log and exp, of
/// factors gathered by label), attention and normalisation with up to three leading dims, triangular sums, chains of random
/// definitions with reads anywhere, scans and recurrences.
[[nodiscard]] RealProgram random_real(Random& random);

}  // namespace tessera::fuzz
