#pragma once

#include "schedule/default_schedule.h"

#include <functional>
#include <string>

namespace tessera {

/// Sums along rows that several outputs read would be complete for all rows before the first output begins. Where they cost
/// little beside the rows that they are of, an output gets clones of them, and of what lies between, which then stand in its own
/// rows.
/// `is_joined`: outputs that share rows with others, and those sums with them.
void clone_row_sums(StageGraph& graph, const CpuModel& model, Schedule& out,
                    const std::function<bool(const std::string&)>& is_joined);

}  // namespace tessera
