#pragma once

#include "backend/cpu/halide_ir.h"
#include "schedule/stages.h"

#include <algorithm>
#include <vector>

namespace tessera::cpu {

/// What cells of the stage start as. Of a recurrence that runs in plain steps only those before its steps start at all: every
/// other cell is written by a step before it is read.
[[nodiscard]] inline Halide::Expr started(const Stage& s, const std::vector<Halide::Var>& vars, const Halide::Expr& value) {
    if (s.kind != Stage::Kind::recurrence || s.update->reduction_dims.size() != 1 || s.update->condition.defined()) return value;
    // Halide makes `and` of a choice between false and an undefined value, which it then does not find; and of a tuple all
    // components must be chosen alike.
    if (std::find(s.dtypes.begin(), s.dtypes.end(), DType::bool_) != s.dtypes.end()) return value;
    const Dim& t = s.update->reduction_dims[0];
    const auto steps = t.extent().constant();
    for (size_t d = 0; steps && d < s.dims.size(); ++d)
        if (s.dims[d].id() == t.id())
            return Halide::select(vars[d] < 0 || vars[d] >= static_cast<int>(*steps), value, Halide::undef(value.type()));
    return value;
}

}  // namespace tessera::cpu
