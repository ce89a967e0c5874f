#pragma once

#include <tessera/algorithm.h>

namespace tessera {

/// The algorithm with f64 in the place of every other float: names, dims and integers stay. Throws L0904 for a monoid whose
/// definition has a dtype of its own.
[[nodiscard]] Algorithm widened(const Algorithm& algorithm);

}  // namespace tessera
