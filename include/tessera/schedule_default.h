#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>
#include <tessera/target.h>

namespace tessera {

/// A schedule that is good without tuning, from an analytic model of the target: legal for all extents. Empty for the
/// interpreter.
[[nodiscard]] Schedule default_schedule(const Algorithm& algorithm, const Target& target = {});

}  // namespace tessera
