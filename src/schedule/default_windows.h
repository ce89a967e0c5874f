#pragma once

#include "schedule/default_levels.h"
#include "schedule/default_schedule.h"
#include "schedule/stage_cost.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace tessera {

/// The loop of that name, or null.
[[nodiscard]] LoopSpec* loop_named(StageSpec& spec, std::string_view name);
[[nodiscard]] inline const LoopSpec* loop_named(const StageSpec& spec, std::string_view name) {
    return loop_named(const_cast<StageSpec&>(spec), name);
}

/// Whether `e` is `row` and bounded terms: constants and small dims. Levels of a pyramid read so many times the row, or a part of
/// it.
[[nodiscard]] bool is_shift(const Expr& e, const Dim& row);

/// Whether something that the stage needs is computed once for all positions of its dim `dim`: what it reads or what that is made
/// of. Where it reads no stored definitions, Inputs are.
[[nodiscard]] bool needs_what_lacks(const StageGraph& graph, const Stage& stage, const Dim& dim);

/// Where the windows that slide over an output's rows do not fit the L2 cache together, the output is computed in strips of
/// columns, narrow enough: for task: for row -> for task: for strip: for row. Levels of pyramids reach over ever more columns:
/// their output is left as it is.
void narrow_windows(const StageGraph& graph, const CpuModel& model, const std::map<std::string, RowReach>& reaches,
                    Schedule& schedule);

/// Whether a stage that is computed in the rows of a reader, row by row along its dim `row_dim`, is computed again for other
/// positions of the reader's outer dims, at more cost than memory: f(y / 8, x) for each y, f(y - 1, x) and f(y + 1, x).
[[nodiscard]] bool is_computed_again(const StageGraph& graph, size_t producer, size_t row_dim, const std::vector<Read>& reads);

/// Rows that a task takes so that those computed by its neighbours as well are at most a quarter, for windows that reach `reach`
/// rows further than one step; nothing where a window is too tall for that.
[[nodiscard]] std::optional<std::int64_t> task_rows_for(std::int64_t reach, std::int64_t task_rows);

}  // namespace tessera
