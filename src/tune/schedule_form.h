#pragma once

#include <tessera/schedule.h>

#include "tune/schedule_descent.h"

#include <functional>

namespace tessera::tune {

/// The written schedule with other sizes: decisions "<stage>.<loop>.tile", from inner loops to outer ones. Everything else stays
/// as it is written: placements, kinds and order of loops, copies, fused nests, whose loops have the sizes of the nest that they
/// are in. In a schedule for a GPU all sizes along a dim share one decision, so that threads and warps stay as many. Rings of
/// rows grow with the blocks that are computed at once. Not every value leads to a legal schedule; on a GPU every one does of
/// which `is_legal` says so, where it is given.
using IsLegal = std::function<bool(const Schedule&)>;
[[nodiscard]] Schedule resized(const Schedule& written, const Choose& choose, const IsLegal& is_legal = {});

/// The value of each of these decisions in the schedule as it is written.
[[nodiscard]] std::map<std::string, std::int64_t> sizes_of(const Schedule& written);

}  // namespace tessera::tune
