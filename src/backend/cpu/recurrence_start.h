#pragma once

#include "schedule/stages.h"

#include <Halide.h>

#include <vector>

namespace tessera::cpu {

/// What cells of the stage start as. Of a recurrence that runs in plain steps only those before its steps start at all: every
/// other cell is written by a step before it is read.
[[nodiscard]] Halide::Expr started(const Stage& s, const std::vector<Halide::Var>& vars, const Halide::Expr& value);

}  // namespace tessera::cpu
