#pragma once

#include <tessera/schedule.h>

#include "fuzz/random_algorithm.h"

namespace tessera::fuzz {

/// A schedule that is mostly legal: placements, permuted and tiled loops of every kind and tail, storage levels, copies with
/// blocked layouts, partials.
[[nodiscard]] Schedule random_schedule(Random& random, const Algorithm& algorithm);

}  // namespace tessera::fuzz
