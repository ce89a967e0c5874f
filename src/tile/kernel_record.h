#pragma once

#include "tile/tile_ir.h"

namespace tessera::tile {

/// What the spreads of a kernel want of its block.
struct WantedThreads {
    std::int64_t most = 32;     // to give every position a thread, as far as a block has them
    std::int64_t together = 0;  // that scan together: so many at least
};

/// Whether a loop's positions are blocks of the grid.
[[nodiscard]] inline bool is_of_grid(LoopKind kind) { return kind == LoopKind::block || kind == LoopKind::cluster; }
/// Adds the axis of a block loop to the grid, or that of a cluster loop. Throws L0903 for extents that are not known at launch,
/// and for clusters that the GPU does not have.
void add_axis(Kernel& kernel, bool cluster, Axis axis, const std::string& loop, const Stage& root);

/// Gives the kernel the size of its blocks and its roles, as its record (null: none) says. Throws E0506, E0508, L0903 for records
/// that do not fit. `plain`: without roles.
void size_kernel(Kernel& kernel, const WantedThreads& wanted, const KernelSpec* record, const Stage& root, bool plain);

}  // namespace tessera::tile
