#pragma once

#include "backend/cuda/scalar_text.h"
#include "tile/lower.h"

namespace tessera::cuda {

/// Who releases a buffer: so many warps of every block of the cluster.
struct Releasing {
    std::int64_t warps = 0, blocks = 1;
};
/// One thread initialises the barriers of the rings that the copy engine fills, before any thread of the cluster goes on; nothing
/// without rings.
void start_rings(Lines& lines, ScalarText& scalars, const tile::SharedPlan& plan, const Releasing& by);

}  // namespace tessera::cuda
