#pragma once

#include "tile/tile_ir.h"

namespace tessera::tile {

/// Whether the positions of such loops are dealt out to threads.
[[nodiscard]] inline bool is_spread(LoopKind kind) {
    return kind == LoopKind::thread || kind == LoopKind::warpgroup || kind == LoopKind::warp || kind == LoopKind::lane;
}

/// Which cells of a register buffer that a whole block computes belong to which threads: by the spread and fragment loops of its
/// own nest. Throws L0903, E0506 for loops that do not deal its cells out evenly.
[[nodiscard]] std::vector<std::vector<Share>> register_shares(const Stage& stage, const std::vector<BoundLoop>& nest,
                                                              std::vector<std::int64_t> extent);

}  // namespace tessera::tile
