#pragma once

#include "tile/tile_ir.h"

namespace tessera::tile {

/// Maxima of rows with fuse_with.online run in the loop of the reduction that they name, whose sums are rescaled as they grow:
///   for k: top = max(top, f(scores'))        for k: before = top
///   combine the lanes of top                          top = max(top, f(scores)); combine the lanes of top
///   for k: w = exp(scores - shift(top))  ->           sum = sum exp(shift(before) - shift(top))
///          sum += w x                                 w = exp(scores - shift(top)); sum += w x
/// What the first loop computes alike (scores') is that of the second. Throws L0903 for kernels of another form.
[[nodiscard]] Program run_online(Program program);

}  // namespace tessera::tile
