#pragma once

#include <tessera/tile_kernel.h>

#include "tile/lower.h"

namespace tessera {

struct TileState {
    size_t stage = 0;
    std::shared_ptr<FuncState> func;
    Space space = Space::shared;
    std::vector<std::int64_t> extents;
    /// Of a fragment: how many warps share it along m and n, or warpgroups along m; {0, 0} elsewhere.
    std::array<std::int64_t, 2> warps{0, 0};
    bool grouped = false;  // a fragment of warpgroups
    std::int64_t box = 0;  // of boxes(): columns of one

    [[nodiscard]] bool is_fragment() const { return warps[0] > 0; }
    /// Cells of one warp or warpgroup along a dim of a fragment.
    [[nodiscard]] std::int64_t part(size_t d) const { return extents[d] / warps[d]; }
};

struct TileKernelState {
    tile::Program program;  // as lower_kernels() leaves one
};

namespace tile {

/// The program of a kernel for a target, synchronised; `plain` without asynchronous copies.
[[nodiscard]] Program written_program(const TileKernel& kernel, const Target& target, Copies copies = Copies::as_scheduled);

}  // namespace tile
}  // namespace tessera
