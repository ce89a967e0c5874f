#pragma once

#include "schedule/stages.h"

#include <optional>

namespace tessera::tile {

/// What depends on a row's maximum as exp(x - shift(maximum)) does, times what does not depend on it. With another maximum it is
/// that times exp(shift(maximum) - shift(the other one)).
struct RowScaling {
    Op exponential = Op::exp;  // or exp2
    Expr shift, maximum;       // maximum: the read in it, at the dims of its stage
    /// The factor, where `before` and `after` are reads of two maxima. Before the first value there is nothing to scale.
    [[nodiscard]] Expr factor(const Expr& before, const Expr& after) const;
};

/// Of what the reduction adds up, through stages that are no reductions; nothing where it does not depend on the maximum. Throws
/// L0903 where it depends on it in another way: the rules are
///   exp(x - s), exp2(x - s)            with s = select(maximum == lowest, constant, maximum), or that times a constant
///   cast(v), v x, select(c, v, 0)      of a v that has a rule, x and c without the maximum
[[nodiscard]] std::optional<RowScaling> row_scaling(const StageGraph& graph, size_t reduction, size_t maximum);

}  // namespace tessera::tile
