#pragma once

#include "algorithm/required_region.h"
#include "autodiff/access_inverse.h"
#include "autodiff/sweep.h"

namespace tessera {

/// What transposing one access needs to know of where it stands and of what it reads.
struct AccessPlace {
    std::vector<LoopDim> loops;    // of the reading definition
    std::vector<Expr> conditions;  // of the loops: a reduction's predicate
    std::vector<Dim> parameters;   // dims that are fixed: they are dims of what is made too
    std::vector<Dim> target_dims;
    std::vector<Interval> target_region;
    std::string name;  // for Funcs that have to be made
    Order order;
    const RequiredRegions* regions = nullptr;  // of the Funcs that values read: reads are kept inside
    bool check_inverse = false;                // compare every inverted access with its readers, point by point
    bool force_scatter = false;                // tests: add up by a scatter whatever the index
};

/// The sum of `contribution.value` over all points of the loops that read the element at `target_dims`: an expression over
/// target_dims and parameters, with at most one structured node, at its root. Undefined when it is zero.
///
///   F(x) reads G(x + r - 1) for r in [0, 3)   ->   sum({r}, value(u - r + 1, r), where(0 <= u - r + 1 < X))
[[nodiscard]] Expr transposed(const Contribution& contribution, const AccessPlace& place, NameSupply& names);

/// The sum of `value` over the loops, where its condition and those of the place hold, as a function of the target dims: a delta
/// among the conditions takes a loop away.
[[nodiscard]] Expr sum_over_loops(const Guarded& value, const AccessPlace& place, SourceLoc where, NameSupply& names);

/// The parts of a conjunction.
void split_conjunction(const Expr& condition, std::vector<Expr>& parts);
/// sum over `dims` where the conditions hold; without dims a select.
[[nodiscard]] Expr summed(const std::vector<Dim>& dims, const std::vector<Expr>& conditions, const Expr& value,
                          const Order& order, SourceLoc where);

}  // namespace tessera
