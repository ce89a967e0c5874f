#pragma once

#include "schedule/default_schedule.h"
#include "schedule/stages.h"

namespace tessera {

/// Cells of a stage in a vector along its last dim: of what it reads and stores, or of values of which two vectors hold as many.
[[nodiscard]] std::int64_t lanes_of(const Stage& s, const CpuModel& model);

/// After how many rows the values of a stage are made in the same way, where rows between share what they read or choose by
/// their remainder: 2 where it reads at y / 2 or asks for y % 2. 1 where each row is made like the others.
[[nodiscard]] std::int64_t row_period(const Stage& s, const Dim& row);

}  // namespace tessera
