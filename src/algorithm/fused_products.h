#pragma once

#include "expr/expr_node.h"

namespace tessera {

/// The products that a step of a float sum adds by fma, one behind the other: the operand, or where the order is any the terms of
/// an operand that is a sum of products. Empty where it adds the operand as it is.
[[nodiscard]] std::vector<Expr> fused_products(const Reduction& r, const Expr& operand);

}  // namespace tessera
