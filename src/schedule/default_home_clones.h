#pragma once

#include "schedule/stages.h"

#include <tessera/schedule.h>

namespace tessera {

/// Clones of what a schedule has at root, as a whole in memory, though it is little work on inputs and is read in the loops of
/// several roots: one for each of them but the last, so that each computes what it reads. `written`: the stages before
/// definitions were inlined, `scheduled`: those after. Empty where there is nothing like that.
[[nodiscard]] Schedule clones_for_homes(const StageGraph& written, const StageGraph& scheduled, const Schedule& schedule);
/// Whether none of the definitions that `clones` are of, and none of the clones, is at root.
[[nodiscard]] bool stand_in_homes(const Schedule& clones, const Schedule& schedule);

}  // namespace tessera
