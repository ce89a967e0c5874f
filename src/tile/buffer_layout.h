#pragma once

#include "tile/tile_ir.h"

namespace tessera::tile {

/// Of the memory of a stage: how many buffers its schedule gives it, and whether their rows are swizzled. Throws L0903 for what
/// its space, its copies or its rows do not allow.
void lay_out(const Stage& stage, const BoundStage& bound, Alloc& memory);

}  // namespace tessera::tile
