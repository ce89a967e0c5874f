#pragma once

#include <tessera/schedule.h>

#include "fuzz/random_algorithm.h"

namespace tessera::fuzz {

/// A schedule that is mostly legal: placements, permuted and tiled loops of every kind and tail, parallel loops next to each
/// other, storage levels and spaces, copies with blocked layouts, clones, partials, tile records, variants.
[[nodiscard]] Schedule random_schedule(Random& random, const Algorithm& algorithm);

}  // namespace tessera::fuzz
