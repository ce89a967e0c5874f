#pragma once

#include "schedule/bound.h"

#include <map>
#include <optional>
#include <vector>

namespace tessera::cpu {

/// Constant upper bounds of how much of a stage one iteration of a loop around it needs: what lets its loops unroll
/// and its storage be registers. Exact in extent for reads at `dim + constant`; unknown for anything else.
class PlacedExtents {
public:
    explicit PlacedExtents(const BoundSchedule& bound) : bound_(bound) {}

    /// Per dim of `stage`, which is computed or stored at a loop; rounded up to the outermost tile of its own nests.
    [[nodiscard]] std::vector<std::optional<std::int64_t>> of(size_t stage, const LoopPosition& at);
    /// Per dim of `stage` the extent that it has wherever it is kept and computed, where loops that unroll or storage in
    /// registers need one.
    [[nodiscard]] std::vector<std::optional<std::int64_t>> promised(size_t stage);
    /// Whether any dim has one.
    [[nodiscard]] bool promises(size_t stage);
    /// The same as of() for a stage that is kept at `at` and computed at a loop inside, which may end with a whole tile there.
    [[nodiscard]] std::vector<std::optional<std::int64_t>> kept(size_t stage, const LoopPosition& at,
                                                                const LoopPosition& computed);

private:
    [[nodiscard]] bool needs_constant(size_t stage, const Dim& d) const;

    using Extents = std::vector<std::optional<std::int64_t>>;

    Extents required(size_t stage, LoopPosition at);
    std::optional<std::int64_t> extent_inside(size_t stage, const Dim& dim, LoopPosition at);
    std::optional<std::int64_t> read_extent(const std::vector<std::pair<size_t, Expr>>& reads, LoopPosition at);
    bool shift_and_width(size_t user, const Expr& e, LoopPosition at, std::int64_t scale, std::int64_t& offset,
                         std::int64_t& width, std::map<const void*, std::int64_t>& moving,
                         std::map<const ExprNode*, std::int64_t>& still);

    const BoundSchedule& bound_;
    std::map<size_t, Extents> known_;
    std::map<size_t, bool> promises_;
    Extents unrounded_;  // of the stage that was asked for
    LoopPosition known_at_;
};

}  // namespace tessera::cpu
