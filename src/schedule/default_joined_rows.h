#pragma once

#include "schedule/default_schedule.h"

#include <string>
#include <vector>

namespace tessera {

/// Outputs of the same dims whose rows need the same sums along rows: computed row by row together, each such sum once. So are
/// outputs of one number a row that need them. Column sums over those rows are added up block by block in the same tasks.
///
///   parallel task: { sums of its rows; for row: { a(row, ..); b(row, ..); n(row) }; part of c from the rows of the task }; c
///   from its parts
struct JoinedRows {
    std::string leader;
    std::vector<std::string> outputs;  // beside the leader
    std::vector<std::string> numbers;  // of rows
    std::vector<std::string> sums;     // of columns
    std::int64_t task_rows = 0;        // with column sums: the rows of a part
};

[[nodiscard]] std::vector<JoinedRows> joined_rows(const StageGraph& graph, const CpuModel& model);

/// The loops of `s`, which has a number for each row of `leader`: those of the leader down to "row", and what they leave of a
/// row.
[[nodiscard]] std::vector<LoopSpec> loops_of_numbers(const Stage& s, const StageSpec& leader);
/// Whether two nests are one down to their loop "row".
[[nodiscard]] bool have_same_rows(const std::vector<LoopSpec>& a, const std::vector<LoopSpec>& b);
/// Column sum `s` in parts over blocks of `rows.task_rows` rows, which share the tasks of the leader,
/// whose loops are there already.
void schedule_parts(const Stage& s, const JoinedRows& rows, const std::vector<Dim>& dims, std::int64_t width, Schedule& out);

}  // namespace tessera
