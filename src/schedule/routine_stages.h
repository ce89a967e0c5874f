#pragma once

#include "schedule/stages.h"

#include <functional>
#include <memory>
#include <vector>

namespace tessera {

/// The stage of a Func that a routine computes; `computed` gives the stage that has the values of an operand.
[[nodiscard]] Stage make_routine_stage(
    const std::shared_ptr<FuncState>& func,
    const std::function<std::shared_ptr<FuncState>(const std::shared_ptr<FuncState>&)>& computed);

/// What a routine's stage is given, in the order of the C function's operands: reads of each at its own dims.
[[nodiscard]] std::vector<Expr> routine_operands(const Stage& routine);

/// Whether a stage is a routine, or is given to one: it is computed at root, whole.
[[nodiscard]] bool stands_at_root(const StageGraph& graph, size_t stage);

}  // namespace tessera
