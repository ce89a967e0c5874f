#pragma once

#include "backend/cuda/scalar_text.h"
#include "tile/lower.h"

namespace tessera::cuda {

/// One thread initialises the barriers of the rings that the copy engine fills, before any thread goes on; nothing without rings.
void start_rings(Lines& lines, ScalarText& scalars, const tile::SharedPlan& plan, std::int64_t warps);

}  // namespace tessera::cuda
