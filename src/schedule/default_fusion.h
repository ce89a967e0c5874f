#pragma once

#include <tessera/schedule.h>

#include "schedule/stages.h"

namespace tessera {

/// Lets definitions of the default schedule run in one nest where they stand at one place, read the same and are read by the
/// same: what they read is loaded once. Rows computed together are as many as all of them have room for. Having the same
/// producers, none of them needs the other.
void share_row_loops(const StageGraph& graph, Schedule& schedule);

}  // namespace tessera
