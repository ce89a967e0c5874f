#pragma once

#include "schedule/bound.h"

namespace tessera {

/// Whether updates with conditions stand between the loop where `stage` is computed and the one where its values are kept: an
/// iteration whose condition does not hold computes nothing that the next could use.
[[nodiscard]] bool kept_under_condition(const BoundSchedule& bound, size_t stage);

}  // namespace tessera
