#pragma once

#include "autodiff/sweep.h"

namespace tessera {

/// A monoid at the dtypes of a reduction, as a function of expressions.
[[nodiscard]] std::vector<Expr> combine(const Reduction& r, const std::vector<Expr>& left, const std::vector<Expr>& right);
/// The same with its operands exchanged.
[[nodiscard]] Monoid flipped(const Monoid& monoid);

/// What `left` and `right` get when `given` are the cotangents of combine(left, right); undefined cotangents are zero.
struct CombineCotangents {
    std::vector<Guarded> left, right;
};
[[nodiscard]] CombineCotangents combine_cotangents(const Reduction& r, const std::vector<Expr>& left,
                                                   const std::vector<Expr>& right, const std::vector<Expr>& given,
                                                   const SweepContext& context);
/// What `middle` gets when `given` are the cotangents of left ⊕ middle ⊕ right.
[[nodiscard]] std::vector<Guarded> middle_cotangents(const Reduction& r, const std::vector<Expr>& left,
                                                     const std::vector<Expr>& middle, const std::vector<Expr>& right,
                                                     const std::vector<Expr>& given, const SweepContext& context);

/// The monoid of (value, tangent) pairs: components of the values, then one tangent per float component.
struct DualMonoid {
    Monoid monoid;
    std::vector<size_t> tangents;  // the component whose tangent stands there
};
[[nodiscard]] DualMonoid dual(const Reduction& r);

}  // namespace tessera
