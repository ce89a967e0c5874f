#pragma once

#include <tessera/schedule.h>

#include "schedule/stages.h"

namespace tessera {

/// Replaces `tile` records by loops with the documented names: of the stage named, which must be the reduction of a contraction
/// (one reduction dim k, and pure dims m and n) or its consumer. Throws E0509, L0903.
void expand_tile_records(const StageGraph& graph, Schedule& schedule);

}  // namespace tessera
