#pragma once

#include <tessera/schedule.h>

#include "schedule/stages.h"

#include <string>
#include <vector>

namespace tessera {

/// Why the definition, or another recurrence, is not computed in the steps of the recurrence, or nothing: it is needed at those
/// steps only, or has the same, over the dims of the states, and reads them at the steps before or at its own point.
[[nodiscard]] std::string why_not_in_steps(const StageGraph& graph, size_t definition, size_t recurrence);

/// Operations of the definition at a point that the step does not have already.
[[nodiscard]] double cost_beside_step(const StageGraph& graph, size_t definition, size_t recurrence);

/// Makes the definition a state of the recurrence that nothing reads at the steps before: each step computes and stores it. The
/// states of another recurrence become states of this one.
void join_step(StageGraph& graph, size_t definition, size_t recurrence);

/// Joins the definitions and recurrences that share the loop over the steps of a recurrence (fuse_with), and takes them out of
/// `schedule`; in a graph without what is inline. Throws E0504 (not at root, a stage placed in them) and E0506 (what
/// why_not_in_steps() says, loops).
void join_steps(StageGraph& graph, Schedule& schedule);

}  // namespace tessera
