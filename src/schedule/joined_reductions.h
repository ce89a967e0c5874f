#pragma once

#include <tessera/schedule.h>
#include <tessera/target.h>

#include "schedule/stages.h"

namespace tessera {

/// For each stage of a graph that is sorted, producers first, which others it needs the values of, through any number of stages.
[[nodiscard]] std::vector<std::vector<bool>> needed_stages(const StageGraph& graph);

/// Why the reductions at `a` and `b` are not one reduction of tuples, or nothing: they need equal dims, equal reduced dims in one
/// order, and the same points and order.
[[nodiscard]] std::string why_not_joined(const StageGraph& graph, size_t a, size_t b);

/// Makes the reductions `others` components of the one at `leader`, behind its own: one nest goes over the points and combines
/// for each of them. Which values are combined, and in what order, stays as it is.
void join_reductions(StageGraph& graph, size_t leader, const std::vector<size_t>& others);

/// Joins the reductions that share a loop of another reduction over a reduced dim (fuse_with), and takes them out of `schedule`.
/// Reductions of other cells that have loops of their own share the loop alone, but for a CPU, and are left.
/// Throws E0504 (another place, a stage placed in them, or one needs the other's values) and E0506 (what why_not_joined() says,
/// loops that differ from the leader's).
void join_reductions(StageGraph& graph, Schedule& schedule, Target::Kind target);

}  // namespace tessera
