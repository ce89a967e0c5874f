#pragma once

#include <tessera/schedule.h>

#include "schedule/stages.h"

namespace tessera {

/// Points that are unrolled into straight code.
inline constexpr double small_reduction = 32;

/// Whether the values that a reduction reads follow each other in memory along its last dim, and along none of the stage's.
[[nodiscard]] bool reduces_contiguously(const Stage& s);
/// Loops over all of `dims`, the outer ones parallel until there are tasks enough; the name of the innermost one.
std::string parallel_outside(StageEdit& edit, const std::vector<Dim>& dims);
/// A reduction inside a loop, or at root: `width` elements of the stage's last dim at once.
void reduction_loops(StageEdit& edit, const Stage& s, std::int64_t width);
void root_reduction(StageEdit& edit, const Stage& s, std::int64_t width);
/// A reduction along a long dim: partial results in lanes, then one short combination. Whether it is one.
bool sum_in_lanes(const Stage& s, std::int64_t width, bool root, Schedule& out);
/// Scans, recurrences and scatters run in order; what is free of that order runs in parallel outside, and in vectors inside where
/// it is contiguous.
void serial_update(StageEdit& edit, const Stage& s, std::int64_t width);

}  // namespace tessera
