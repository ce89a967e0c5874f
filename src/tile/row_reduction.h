#pragma once

#include "tile/tile_ir.h"

namespace tessera::tile {

/// Whether the stage reduces the columns of fragments to a cell a row: frag loops m, k, of which k is reduced, and no product.
[[nodiscard]] bool reduces_rows(const Stage& stage, const BoundStage& placed);
/// `init` and update of the stage, in which every lane combines its own cells of a row, and behind them the combination of the
/// four lanes of each row.
[[nodiscard]] StatementPtr combine_rows(const Stage& s, size_t stage, StatementPtr init_and_update);

}  // namespace tessera::tile
