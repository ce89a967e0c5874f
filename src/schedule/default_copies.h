#pragma once

#include <tessera/schedule.h>

#include "schedule/stages.h"

#include <map>
#include <string>
#include <utility>

namespace tessera {

/// Which stages live in the rows of an output.
struct RowPlaces {
    std::map<std::string, std::pair<std::string, size_t>> homes;  // stage -> that output, the stage's dim that follows its rows
    std::map<std::string, std::int64_t> steps;                    // rows of a stage that one step over those rows takes
};

/// An Input that stencils read beyond its edge many times at each point is copied row by row, so that the boundary condition is
/// worked out once for an element: read clamp(f)(y + 0..4, x + 0..4) -> c(y, x) = clamp(f)(y, x) in a window; read c.
/// `written` is the graph before definitions were inlined.
void copy_wrapped_inputs(const StageGraph& graph, const StageGraph& written, const RowPlaces& places, std::int64_t vector_bytes,
                         Schedule& schedule);

}  // namespace tessera
