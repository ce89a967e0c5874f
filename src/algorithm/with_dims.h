#pragma once

#include "expr/expr_node.h"

#include <map>

namespace tessera {

/// `e` with its dims replaced, indices brought to normal form; none of the structured nodes may bind a dim of `values`.
using DimValues = std::map<const void*, Expr>;  // by Dim::id(); i64
[[nodiscard]] Expr with_dims(const Expr& e, const DimValues& values);

}  // namespace tessera
