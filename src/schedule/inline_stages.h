#pragma once

#include "schedule/stages.h"

namespace tessera {

/// The index inside [0, extent) that a boundary condition (not constant) serves `index` from.
[[nodiscard]] Expr boundary_index(Boundary boundary, const Expr& index, const Expr& extent);

/// Replaces reads of the definition `stage` by its value in every other stage and removes it.
void inline_stage(StageGraph& graph, size_t stage);

}  // namespace tessera
