#pragma once

#include "schedule/stages.h"

#include <vector>

namespace tessera {

/// One step of a reduction node: what follows `so_far` when the point with operands `args` is combined. A float sum of products
/// accumulates by fma; a kahan sum has its compensation (Kahan 1965) as a second component.
[[nodiscard]] std::vector<Expr> accumulated(const Reduction& r, const std::vector<Expr>& args, const std::vector<Expr>& so_far);
/// so_far + operand by fma, where a float sum has products as operands; of several products where the order is any. Undefined
/// otherwise.
[[nodiscard]] Expr accumulated_products(const Reduction& r, const Expr& operand, const Expr& so_far);
/// left ⊕ right, component by component.
[[nodiscard]] std::vector<Expr> combined(const Reduction& r, const std::vector<Expr>& left, const std::vector<Expr>& right);
/// dtypes and identity of what a reduction carries: those of its monoid, and the compensation of a kahan sum.
[[nodiscard]] std::vector<Expr> start_of(const Reduction& r);
/// The predicate of a reduction node, undefined without one; `args` are its operands.
[[nodiscard]] Expr predicate_of(const Reduction& r, const std::vector<Expr>& args);

/// A dim of the compiler's own, whose name need not be an identifier.
[[nodiscard]] Dim made_dim(std::string name, Extent extent, SourceLoc where);
/// The number of points of `dims`.
[[nodiscard]] Extent points_of(const std::vector<Dim>& dims);
/// The indices of point `position` of `dims`, the last dim moving fastest.
[[nodiscard]] std::vector<Expr> point_at(const std::vector<Dim>& dims, const Expr& position);

}  // namespace tessera
