#pragma once

#include <tessera/schedule.h>

#include "fuzz/random_algorithm.h"

namespace tessera::fuzz {

/// A schedule that is mostly legal: placements, permuted and tiled loops of every kind and tail, parallel loops next to each
/// other, storage levels and spaces, copies with blocked layouts, clones, partials, tile records, variants. Of the stages only a
/// `share` is scheduled at random, the others are computed at root.
[[nodiscard]] Schedule random_schedule(Random& random, const Algorithm& algorithm, double share = 1);

}  // namespace tessera::fuzz
