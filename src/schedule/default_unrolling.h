#pragma once

#include <tessera/schedule.h>

#include "schedule/stages.h"

namespace tessera {

/// Loops at root that unroll all of a constant dim stay so where what is computed along it is known to be the same for all
/// extents; else they become serial. Blocks that stick out of a reader's dim may reach further than the dim, by as much as other
/// extents tell.
void unroll_only_constant(const Algorithm& algorithm, const StageGraph& graph, Schedule& schedule);

}  // namespace tessera
