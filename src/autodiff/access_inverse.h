#pragma once

#include "autodiff/names.h"
#include "expr/bounds.h"

namespace tessera {

/// A dim over which a definition runs, with its inclusive range.
struct LoopDim {
    Dim dim;
    Interval range;
    bool reduced = false;
};

/// Whether an index depends on the elements of a tensor.
[[nodiscard]] bool reads_tensors(const Expr& e);

/// left[k] == right[k]: `right` over the loop dims, `left` over the dims of `outer`. A loop dim may also be a dim of `outer`; in
/// `right` it is the loop.
struct AccessSystem {
    std::vector<LoopDim> loops;
    std::vector<Expr> left, right;
    Domain outer;
};

/// The points of the loops that meet the equations: `values` of every loop dim, over the outer dims and the `remaining` ones,
/// where `guards` (and `read_guards`, which read tensors) hold. Equations of `scattered` are not solved: their right sides depend
/// on the remaining dims.
///
///   u == x + r - 1, x in [0, X), r in [0, 3)   ->   x = u - r + 1, remaining r, guards 0 <= u - r + 1 < X
struct InvertedAccess {
    DimValues values;
    std::vector<Dim> remaining;
    std::vector<Expr> guards, read_guards;
    std::vector<size_t> scattered;
};
[[nodiscard]] InvertedAccess inverted(const AccessSystem& system, NameSupply& names);

/// A Dim that counts the elements of `range`, and the element it stands for. `d` itself when the range is all of it and `taken`
/// does not have it.
struct CountedDim {
    Dim dim;
    Expr value;
};
[[nodiscard]] CountedDim counted_dim(const Dim& d, const Interval& range, const std::vector<Dim>& taken, NameSupply& names);
[[nodiscard]] CountedDim counted_dim(const std::string& name, const Interval& range, NameSupply& names);

}  // namespace tessera
