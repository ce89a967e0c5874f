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

struct NodeOrder {
    bool operator()(const Expr& a, const Expr& b) const { return a.get() < b.get(); }
};
/// The ranges of make_dim()s and make_variable()s (and of other terms that a condition narrowed).
using Ranges = std::map<Expr, Interval, NodeOrder>;

/// The points at which an expression is evaluated: its dims and variables take every value of their ranges for which every
/// expression of `nonnegative` is >= 0.
struct Domain {
    Ranges ranges;
    std::vector<Expr> nonnegative;
    bool narrows = true;  // false: no condition does

    Domain() = default;
    Domain(Ranges r) : ranges(std::move(r)) {}
    void set(const Dim& dim, Interval range) { ranges[make_dim(dim)] = std::move(range); }
    /// The points at which `condition` is `holds`; comparisons of integers joined by and, or, not narrow, all else is ignored.
    [[nodiscard]] Domain narrowed(const Expr& condition, bool holds = true) const;
};

/// How a read of an Input at a fixed place enters bounds: by the range of its values, or as itself.
enum class InputReads { by_range, symbolic };

/// An integer expression in a normal form: a polynomial over extents, scalars, dims, variables and opaque terms, printed back as
/// an Expr. Equal polynomials give the same node. Wrap-around of i64 and i32 is not considered (extents are below 2^48).
[[nodiscard]] Expr simplify_index(const Expr& e);

/// The values that integer `e` takes over the points of `domain` (ends may mention extents, scalars and the dims and variables
/// that have no range, which stay as they are). Knows small dtypes, %, clamp, min, max, select (branches under their condition),
/// floor division, values_in() of Inputs, results of arg-reductions and counts.
[[nodiscard]] Interval bounds(const Expr& e, const Domain& domain, InputReads reads = InputReads::by_range);

/// Smallest interval known to contain both.
[[nodiscard]] Interval hull(const Interval& a, const Interval& b);
/// True when `e` >= 0 for all extents (each >= 0, or >= 1 where `extents_positive`), using multiple_of / at_most / derived
/// extents / `equalities` (pairs that are equal).
struct Facts {
    bool extents_positive = false;
    std::vector<std::pair<Expr, Expr>> equalities;
    std::vector<Expr> nonnegative;  // expressions known to be >= 0
};
[[nodiscard]] bool proves_nonnegative(const Expr& e, const Facts& facts = {});

/// min / max in normal form; the smaller / larger one where that is proved.
[[nodiscard]] Expr lesser(const Expr& a, const Expr& b, const Facts& facts = {});
[[nodiscard]] Expr greater(const Expr& a, const Expr& b, const Facts& facts = {});

}  // namespace tessera
