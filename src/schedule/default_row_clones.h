#pragma once

#include "schedule/default_schedule.h"

namespace tessera {

/// Sums along rows that several outputs read would be complete for all rows before the first output begins. Where they cost
/// little beside the rows that they are of, an output gets clones of them, and of what lies between, which then stand in its own
/// rows.
void clone_row_sums(StageGraph& graph, const CpuModel& model, Schedule& out);

}  // namespace tessera
