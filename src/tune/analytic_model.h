#pragma once

#include "tune/cpu_facts.h"

#include <optional>
#include <span>

namespace tessera::tune {

/// Seconds, roughly, from features of a loop tree: instructions by issue width, memory traffic, starting loops and tasks,
/// allocations, idle cores. It ranks candidates when nothing has been measured.
[[nodiscard]] std::optional<double> analytic_seconds(std::span<const float> features, const CpuFacts& facts);

}  // namespace tessera::tune
