#pragma once

#include "schedule/stages.h"

#include <optional>

namespace tessera {

/// What the rows [0, n) of an output need of a stage: its rows from `low` to rate * n + high. A level of a pyramid is read at so
/// many times the row, or at a part of it, in some window between the output and it.
struct RowReach {
    double rate = 1, low = 0, high = 0;
    bool level = false;
};

/// What a stage of that reach needs of what it reads at `index`, whose rows follow `row` of the stage.
[[nodiscard]] RowReach reach_through(const RowReach& reader, const Expr& index, const Dim& row);
/// What both need.
[[nodiscard]] RowReach joined(const RowReach& a, const RowReach& b);

/// Cells of one row of the stage, where rows follow its dim number `row`.
[[nodiscard]] double cells_of_row(const Stage& s, size_t row);
/// Whether a window of the stage over tasks of `task_rows` rows of the output computes little that the tasks beside it compute as
/// well: of its own rows, or of all that the task computes. `row` and `output_row`: cells of one row.
[[nodiscard]] bool reaches_little(const RowReach& reach, double row, double output_row, double task_rows);

}  // namespace tessera
