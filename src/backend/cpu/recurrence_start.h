#pragma once

#include "backend/cpu/halide_ir.h"
#include "schedule/stage_region.h"

#include <algorithm>
#include <vector>

namespace tessera::cpu {

/// What cells of a stage start as. Of a recurrence that runs in plain steps only those outside its steps start at all, and only
/// on the sides where some are needed: every other cell is written by a step before it is read. `extent` is that of a dim.
template <class Extent>
[[nodiscard]] Halide::Expr started(const BoundSchedule& bound, size_t stage, const std::vector<Halide::Var>& vars,
                                   const Halide::Expr& value, Extent&& extent) {
    const Stage& s = bound.graph.stages[stage];
    if (s.kind != Stage::Kind::recurrence || s.update->reduction_dims.size() != 1 || s.update->condition.defined()) return value;
    // Halide makes `and` of a choice between false and an undefined value, which it then does not find; and of a tuple all
    // components must be chosen alike.
    if (std::find(s.dtypes.begin(), s.dtypes.end(), DType::bool_) != s.dtypes.end()) return value;
    const Dim& t = s.update->reduction_dims[0];
    for (size_t d = 0; d < s.dims.size(); ++d) {
        if (s.dims[d].id() != t.id()) continue;
        const Interval needed = RegionsInside(bound, {}, {}).required(stage)[d], steps = whole_dim(t);
        const auto within = [&](const Expr& high, const Expr& low) {
            return proves_nonnegative(simplify_index(high - low), {.nonnegative = {steps.high}});
        };
        // One bound, so that Halide runs the loop up to it and no further. Without steps all cells start; the bound of those
        // leaves Halide room to add to it.
        const Halide::Expr count = extent(t), at = vars[d];
        const int all = 1 << 30;
        const Halide::Expr before = at < Halide::select(count > 0, 0, all), after = at >= Halide::select(count > 0, count, -all);
        const bool none_before = within(needed.low, steps.low), none_after = within(steps.high, needed.high);
        const Halide::Expr starts = none_after ? before : none_before ? after : at < 0 || at >= count;
        return Halide::select(starts, value, Halide::undef(value.type()));
    }
    return value;
}

}  // namespace tessera::cpu
