#pragma once

#include "schedule/bound.h"

#include <string>
#include <vector>

namespace tessera::cpu {

/// Arithmetic and tensors of a stage's definition, those of index expressions apart.
struct StageWork {
    double init_operations = 0, update_operations = 0;  // of one cell, of one step
    std::vector<Expr> accesses;                         // one per tensor
};
[[nodiscard]] StageWork work_of(const Stage& stage);

/// What to try for a stage when memory, or arithmetic, is what it waits for.
struct StageAdvice {
    std::string memory, compute;
};
[[nodiscard]] StageAdvice stage_advice(const BoundSchedule& bound, size_t stage);

}  // namespace tessera::cpu
