#pragma once

#include "tile/environment.h"

namespace tessera::tile {

/// The copy by which the copy engine fills `memory` with what `produce`, the production of a stage with engine tma, computes. The
/// box has the size of the memory; what it has beyond the region that is produced is zero or not read. Throws L0903 for a stage
/// that is no plain copy of an input, and for boxes that the engine does not move.
[[nodiscard]] BoxCopy box_copy(const BoundSchedule& bound, const tessera::Produce& produce, const Alloc& memory,
                               const Environment& environment);

}  // namespace tessera::tile
