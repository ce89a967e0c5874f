#pragma once

#include "expr/expr_node.h"

namespace tessera {

/// Rough operations of a node apart from its args: 0 for leaves, 1 for add or a load, 4 for a float division, 15 for a
/// transcendental.
[[nodiscard]] double op_cost(const ExprNode& node);

}  // namespace tessera
