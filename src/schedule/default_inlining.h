#pragma once

#include "schedule/stages.h"

namespace tessera {

/// Operations that are not worth a store and a load.
inline constexpr double cheap_recompute = 8;
/// Operations that are not worth a store to memory and a load from there.
inline constexpr double cheaper_than_memory = 32;
/// Of a tensor that leaves the second level of cache.
inline constexpr double far_bytes = 4 << 20;

/// Puts definitions into their readers where storing them would cost more.
void inline_definitions(StageGraph& graph);
/// Operations of a cell, those of the reductions that it reads included.
[[nodiscard]] double cost_with_reductions(const StageGraph& graph, size_t stage);

}  // namespace tessera
