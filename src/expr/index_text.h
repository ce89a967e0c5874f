#pragma once

#include "expr/expr_node.h"

#include <string>

namespace tessera {

/// An index expression as people write it: "y*4 + r - 1", "min(x, n.extent - 8)", "idx(i)"; the extent of dim x is "x.extent".
/// Ops without a symbol are calls by the name of their row.
[[nodiscard]] std::string index_text(const Expr& e);

}  // namespace tessera
