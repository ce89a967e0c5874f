#pragma once

#include "schedule/default_schedule.h"

namespace tessera {

/// Schedules the definition `c` of a contraction and its sum: register tiles, the operand that strides along n packed into
/// panels; where the panels of a whole k outgrow the cache, blocks of k that are added in place.
void schedule_contraction(const Stage& c, const Stage& sum, const CpuModel& model, Schedule& out);

}  // namespace tessera
