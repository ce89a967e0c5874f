#pragma once

#include <tessera/schedule.h>

#include "schedule/stages.h"

#include <string>
#include <utility>
#include <vector>

namespace tessera {

/// Joins reductions along columns over the same rows, which read some of the same values, into one reduction of tuples: the rows
/// are gone through once. Returns the names of what was joined, each with the reduction that it is part of.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> join_column_sums(StageGraph& graph);

/// Joins definitions to the recurrences in whose steps most of what they compute is computed anyway. Names as above.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> join_step_values(StageGraph& graph);

/// Says of a schedule for the joined graph which stages share all loops with which.
void share_all_loops(const StageGraph& joined, const std::vector<std::pair<std::string, std::string>>& shared,
                     Schedule& schedule);

}  // namespace tessera
