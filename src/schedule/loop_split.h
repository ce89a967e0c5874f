#pragma once

#include "expr/bounds.h"
#include "schedule/bound.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tessera {

/// What the loops so far leave of one dim: `size` positions from `begin` on, those from `end` on left out. `full`: none is.
struct DimPart {
    Expr begin, size, end;
    bool full = true;
    Expr index;  // after the last loop of the dim: the position

    static DimPart of(const Expr& begin, const Expr& size);
    /// Positions that may be computed, inclusive.
    [[nodiscard]] Interval interval() const;
};

/// One loop over a part: its range, the names bound in its body (outermost first), the condition under which the body runs, and
/// the part that is left to the loops inside.
struct Split {
    Expr variable, begin, extent;
    std::vector<std::pair<Expr, Expr>> outside, lets;
    Expr condition;
    DimPart rest;
};

/// `prefix` is "<stage>.<loop>"; `innermost`: no further loop over the dim; `inner_tile` of the next loop over it.
[[nodiscard]] Split split_part(const DimPart& part, const BoundLoop& loop, const std::string& prefix, bool innermost,
                               std::int64_t inner_tile);

/// i64 arithmetic in normal form.
[[nodiscard]] Expr index_sum(const Expr& a, const Expr& b);
[[nodiscard]] Expr index_difference(const Expr& a, const Expr& b);
[[nodiscard]] Expr index_number(std::int64_t v);

}  // namespace tessera
