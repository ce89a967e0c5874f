#pragma once

#include "schedule/default_schedule.h"

#include <optional>

namespace tessera {

/// The sum of products that `definition` reads at its own point and alone, if there is one with reuse in both directions of a
/// register tile.
[[nodiscard]] std::optional<size_t> contraction_of(const StageGraph& graph, size_t definition);

/// Schedules the definition `c` of a contraction and its sum: register tiles; the factor that varies along the columns packed
/// into panels where it is not stored like that, the other one copied where it is read through a boundary condition; where the
/// panels of a whole k outgrow the cache, blocks of k that are added in place. `written`: the sum before definitions were inlined
/// into it; copies are of what it reads itself.
void schedule_contraction(const Stage& c, const Stage& sum, const Stage& written, const CpuModel& model, Schedule& out);

/// Whether a sum of products is a contraction.
[[nodiscard]] bool is_contraction(const StageGraph& graph, size_t sum);
/// Whether the contraction has what `access` reads as a factor of its rows, for few columns, and stays one where cells of it cost
/// so many operations instead of a load: every tile of columns computes it once.
[[nodiscard]] bool computes_row_factor(const StageGraph& graph, size_t sum, const Expr& access, double operations);

}  // namespace tessera
