#pragma once

#include "schedule/bound.h"

namespace tessera {

/// Sorts the stages: producers first, those that share loops by fuse_with together behind the one that they name.
/// Throws E0501 (unknown stage), E0504 (inline, fused with itself or in a chain, or one needs the other's values).
void sort_fused_together(StageGraph& graph, const Schedule& schedule);

/// The loops that the stage at `at` shares; all stages are bound but for `fused`. Loops over what both reduce are shared but for
/// a CPU.
/// Throws E0502 (unknown loop), E0504 (another place), E0506 (kinds that are not shared), L0903
/// (stages that run in order).
[[nodiscard]] FusedLoops bind_fused_loops(const BoundSchedule& bound, size_t at, const FuseWith& with, Target::Kind target);
/// The loop in which the maximum at `at` runs online. Throws E0501, E0502, E0504 (another place), E0506
/// (loops over other tiles), L0903 (no maximum).
[[nodiscard]] OnlineLoop bind_online_loop(const BoundSchedule& bound, size_t at, const FuseWith& with);
/// Stages placed at shared loops name those of the leader, E0504 otherwise, and all that share them run through the same
/// iterations, L0903 otherwise.
void check_shared_places(const BoundSchedule& bound);

}  // namespace tessera
