#pragma once

#include "schedule/default_schedule.h"
#include "schedule/stage_cost.h"

#include <vector>

namespace tessera {

/// Places definition `i` if it is what contractions that are already scheduled read along the rows of their register tiles, and
/// has sums of few points in it (the taps of a filter over an image whose channels the contraction mixes): at those tiles, or,
/// where its cells for one are many, in the rows of tiles. Vectors lie along the last dim, over which the contraction sums; the
/// rows of a tile stand side by side, so that what does not change along them is loaded once. Returns the stages that are placed,
/// none otherwise.
[[nodiscard]] std::vector<size_t> place_row_factor(const StageGraph& graph, size_t i, const std::vector<std::vector<Read>>& reads,
                                                   std::int64_t width, Schedule& out);

}  // namespace tessera
