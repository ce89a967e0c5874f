#pragma once

#include "schedule/default_schedule.h"
#include "schedule/stage_cost.h"

#include <vector>

namespace tessera {

/// Recurrences that are computed together in strips of a definition, so that none of them is in memory as a whole: the one that
/// the definition reads at its own points, then those that only steps of such read, all over the same dims beside time.
/// Empty for less than two. `reads`: all_reads() of the graph.
[[nodiscard]] std::vector<size_t> strip_members(const StageGraph& graph, size_t definition,
                                                const std::vector<std::vector<Read>>& reads);

/// The nests of the definition, at root, and of the members in its strips of `width` lanes, two vectors side by side:
///   for strip: { first recurrence; second recurrence; ...; definition }
void schedule_strips(const StageGraph& graph, size_t definition, const std::vector<size_t>& members, std::int64_t width,
                     Schedule& out);

/// Outputs over the same dims with the recurrences that nothing else needs, whose strips fit the L2 cache together: each is read
/// there where it was computed, and none of the recurrences is in memory as a whole.
struct OutputStrips {
    std::vector<size_t> outputs;  // `leader` first
    std::vector<size_t> recurrences;
};
/// Those around output `leader`; no recurrences where there are none. `width`: lanes of a vector.
[[nodiscard]] OutputStrips output_strips(const StageGraph& graph, size_t leader, const std::vector<std::vector<Read>>& reads,
                                         std::int64_t width, const CpuModel& model);

///   for strip: { first recurrence; second recurrence; ...; for t: { leader; other outputs } }
void schedule_output_strips(const StageGraph& graph, const OutputStrips& strips, std::int64_t width, Schedule& out);

}  // namespace tessera
