#pragma once

#include "schedule/bound.h"

namespace tessera {

/// Whether the stage is an output that the algorithm lets share an input's memory: each cell is written exactly once.
[[nodiscard]] bool replaces_input(const StageGraph& graph, const Stage& stage);

/// Every read of an input whose memory an output takes comes before the write: the output's own nest reads it at the cell that it
/// writes, and every other stage that reads it is computed before, because the output needs it, or because an output listed
/// before does. Throws E0314.
void check_in_place_outputs(const BoundSchedule& bound);

/// Whether a definition reads an input whose memory an output takes, and is read by something that neither the output
/// nor an output listed before needs: its value has to be stored, since nothing says that those readers run before the input is
/// overwritten.
[[nodiscard]] bool must_stand_alone(const StageGraph& graph, size_t stage);

}  // namespace tessera
