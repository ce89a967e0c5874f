#pragma once

#include "schedule/loop_tree.h"

#include <string>

namespace tessera::fuzz {

/// How the loops that the CPU backend gives to Halide differ from those of the loop tree; "" when they do not. For every place
/// where a stage is produced or stored, and every store of values: the loops around it, with their kinds, from outside in. Stages
/// that share loops or memory are left out: Halide prints shared loops under names of its own.
[[nodiscard]] std::string nest_difference(const LoopTree& tree);

}  // namespace tessera::fuzz
