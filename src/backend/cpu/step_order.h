#pragma once

#include "schedule/bound.h"

#include <vector>

namespace tessera::cpu {

/// Dims of the update that it reads itself at other positions of: they run as part of the domain.
[[nodiscard]] std::vector<Dim> carried_dims(const Stage& s);
/// A recurrence that reads its neighbours computes a whole step before the next: its loops over time go outside those over such
/// dims.
[[nodiscard]] BoundSchedule with_steps_outermost(BoundSchedule bound);

}  // namespace tessera::cpu
