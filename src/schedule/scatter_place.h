#pragma once

#include "expr/expr_node.h"

namespace tessera {

/// The condition under which `index` is a position of `destination`, which a scatter drops otherwise; undefined where every value
/// that the index may have is one.
[[nodiscard]] Expr lands_inside(const Expr& index, const Dim& destination);

}  // namespace tessera
