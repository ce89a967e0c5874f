#pragma once

#include "autodiff/access_inverse.h"

#include <string>

namespace tessera {

/// Compares an inverted access with the one that it is the inverse of, point by point, at a few small extents: the points of the
/// loops that the inverse gives for each element must be those that read it, each once.
struct Enumeration {
    bool decided = false;  // false: an index reads tensors, or the domain is large by static extents
    std::string problem;   // "" when both sets are equal
};
[[nodiscard]] Enumeration enumerate_inverse(const AccessSystem& system, const InvertedAccess& inverse);

}  // namespace tessera
