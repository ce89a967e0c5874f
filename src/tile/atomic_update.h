#pragma once

#include "tile/tile_ir.h"

namespace tessera::tile {

/// Whether the store is the update of a scatter whose sources several threads run. Throws E0505, L0903 where its method or its
/// values do not allow that.
[[nodiscard]] bool is_atomic_update(const BoundSchedule& bound, const tessera::Store& w);

}  // namespace tessera::tile
