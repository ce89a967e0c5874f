#pragma once

#include "autodiff/names.h"
#include "expr/bounds.h"

namespace tessera {

/// A Func over the places of a padded tensor, of which `padded` (with inclusive `range`) becomes `dim`.
struct FoldedDim {
    Func func;
    std::vector<Dim> dims;  // of func, in its order
    Dim padded, dim;
    Interval range;
};
/// The sum of `fold.func` over all padded places that the boundary condition serves from element `dim`: an expression over dims
/// with `padded` replaced by `dim`.
///
///   clamp:  P(u) + (u == 0 ? sum of P(p), p < 0) + (u == N - 1 ? sum of P(p), p >= N)
[[nodiscard]] Expr fold_boundary(Boundary boundary, const FoldedDim& fold, const Order& order, const std::string& name,
                                 NameSupply& names);

/// The element in [0, extent) from which index `e` is served.
[[nodiscard]] Expr index_inside(Boundary boundary, const Expr& e, const Expr& extent);

}  // namespace tessera
