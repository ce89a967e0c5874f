#pragma once

#include "expr/expr_node.h"

#include <map>
#include <vector>

namespace tessera {

/// Inclusive ends; an undefined end is unbounded.
struct Interval {
    Expr low, high;
    [[nodiscard]] bool bounded() const { return low.defined() && high.defined(); }
};

/// The ranges of dims and variables (by node of make_dim() / make_variable()).
using Ranges = std::map<const ExprNode*, Interval>;

/// An integer expression in a normal form: a polynomial over extents, scalars, dims, variables and opaque terms, printed back as
/// an Expr. Equal polynomials give the same node. Wrap-around of i64 is not considered (extents are below 2^48).
[[nodiscard]] Expr simplify_index(const Expr& e);

/// The values that i64-like integer `e` takes while every dim and variable in `ranges` takes every value of its interval (ends
/// may mention extents, scalars and the dims and variables that are not in `ranges`, which stay as they are). Knows small
/// dtypes, %, clamp, min, max, select (branches under their condition), floor division, values_in() of Inputs, boundary wrappers.
[[nodiscard]] Interval bounds(const Expr& e, const Ranges& ranges);

/// True when `e` >= 0 for all extents (each >= 0, or >= 1 where `extents_positive`), using multiple_of / at_most / derived
/// extents / `equalities` (pairs that are equal).
struct Facts {
    bool extents_positive = false;
    std::vector<std::pair<Expr, Expr>> equalities;
    std::vector<Expr> nonnegative;  // expressions known to be >= 0
};
[[nodiscard]] bool proves_nonnegative(const Expr& e, const Facts& facts = {});

}  // namespace tessera
