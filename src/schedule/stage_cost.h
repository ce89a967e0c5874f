#pragma once

#include "schedule/stages.h"

namespace tessera {

/// Rough elements of a dim: its static extent, or its bound, or 1024; what is derived from such extents.
[[nodiscard]] double estimated_extent(const Dim& dim);
/// Operations to compute one point of `e`, index arithmetic apart (add 1, divide 4, a transcendental 15, a load 1).
[[nodiscard]] double expression_cost(const Expr& e);
/// Operations for one cell of a stage: its value, or body times the reduced points.
[[nodiscard]] double cell_cost(const Stage& stage);

/// One read of a producer.
struct Read {
    size_t user = 0;
    bool in_init = false;
    Expr access;
};
/// All reads of `producer` by other stages.
[[nodiscard]] std::vector<Read> reads_of(const StageGraph& graph, size_t producer);
/// The same of every stage, in one pass.
[[nodiscard]] std::vector<std::vector<Read>> all_reads(const StageGraph& graph);
/// How often a cell of the producer is read, summed over all `reads` of it.
[[nodiscard]] double reuse_of(const StageGraph& graph, size_t producer, const std::vector<Read>& reads);
/// Rough number of positions that an index takes: fewer than its dim has for i / 8, more for i + j.
[[nodiscard]] double positions_of(const Expr& index);
/// Whether an index reads something.
[[nodiscard]] bool depends_on_values(const Expr& index);
/// Every index is a plain dim, each at most once.
[[nodiscard]] bool is_pointwise(const Expr& access);

}  // namespace tessera
