#pragma once

#include "schedule/stage_region.h"

#include <cstdint>
#include <optional>

namespace tessera {

/// Cells of a stage at root along one of its dims, the same for all extents.
struct ConstantRange {
    std::int64_t low = 0, high = -1;  // inclusive
    bool operator==(const ConstantRange&) const = default;
};

class ConstantRegions {
public:
    explicit ConstantRegions(const BoundSchedule& bound);

    /// What is computed: exactly that, or all of a constant dim where that much is enough for all extents.
    [[nodiscard]] std::optional<ConstantRange> of(size_t stage, size_t dim);
    /// What is computed exactly, for a reader who does not know that reads stand under conditions, as predicates and selects.
    [[nodiscard]] std::optional<ConstantRange> without_conditions(size_t stage, size_t dim);

private:
    const BoundSchedule& bound_;
    RegionsInside regions_, wide_;
};

/// Whether a nest has all of a dim in one loop that is unrolled or a vector, outermost of the loops over the dim: its extent must
/// then be a constant.
[[nodiscard]] bool needs_constant_extent(const BoundStage& stage, const Dim& dim);

}  // namespace tessera
