#pragma once

#include "autodiff/names.h"

namespace tessera {

[[nodiscard]] bool is_extreme(const ExprNode& n);

/// Whether the place of a maximum or minimum can be found as the first one whose value equals it. The value is then computed
/// twice: it has to be cheap, and the same bits wherever a schedule computes it.
[[nodiscard]] bool found_by_equality(const Expr& extreme);

/// The number of a point, row-major over its dims.
[[nodiscard]] Expr flat_place(const std::vector<Dim>& dims);

/// The number of the first point of the reduction `root`, which is all of `f`, that has the extreme value; beyond all points
/// where there is none.
[[nodiscard]] Expr first_extreme(const Func& f, const Expr& root, NameSupply& names);

/// Where a point of the reduction `root`, which is all of `f`, is the first that has the extreme value. The place is a Func of
/// its own; a NaN is the extreme value where there is one.
///
///   y(m) = max({i}, x(m, i))
///   -> y/first(m) = min({i}, select(x(m, i) == y(m) || is_nan(x(m, i)), i, 2147483647));  y/first(m) == i
[[nodiscard]] Expr is_first_extreme(const Func& f, const Expr& root, NameSupply& names);

}  // namespace tessera
