#pragma once

#include "schedule/default_schedule.h"

#include <vector>

namespace tessera {

/// The sums of products that `definition` reads at its own point and alone, those with reuse in both directions of the register
/// tiles that the first of them asks for.
[[nodiscard]] std::vector<size_t> contractions_of(const StageGraph& graph, size_t definition);

/// A sum, and what it was before definitions were inlined into it: copies are of what it reads itself.
struct ContractionSum {
    const Stage &sum, &written;
};
/// Schedules the definition `c` of contractions and their sums: register tiles; the factors that vary along the columns packed
/// into panels where they are not stored like that, the other ones copied where they are read through a boundary condition; where
/// the panels of a whole k outgrow the cache, blocks of k that are added in place. Several sums follow each other in a tile.
void schedule_contraction(const Stage& c, const std::vector<ContractionSum>& sums, const CpuModel& model, Schedule& out);

/// Whether a sum of products is a contraction.
[[nodiscard]] bool is_contraction(const StageGraph& graph, size_t sum);
/// Whether the contraction has what `access` reads as a factor of its rows, for few columns, and stays one where cells of it cost
/// so many operations instead of a load: every tile of columns computes it once.
[[nodiscard]] bool computes_row_factor(const StageGraph& graph, size_t sum, const Expr& access, double operations);

}  // namespace tessera
