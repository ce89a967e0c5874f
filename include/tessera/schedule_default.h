#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>
#include <tessera/target.h>

#include <string>

namespace tessera {

/// A schedule that is good without tuning, from an analytic model of the target: legal for all extents. Empty for the
/// interpreter.
[[nodiscard]] Schedule default_schedule(const Algorithm& algorithm, const Target& target = {});

/// What a schedule fuses and what it does not, one line a stage with the place or the reason: "gray: fused: in the loop row of
/// corner, kept over task in a ring of 8 y", "counts: not fused: a scatter is complete only after its last step".
[[nodiscard]] std::string fusion_report(const Algorithm& algorithm, const Schedule& schedule);

}  // namespace tessera
