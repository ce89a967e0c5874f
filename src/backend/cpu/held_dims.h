#pragma once

#include "schedule/constant_regions.h"

#include <map>
#include <optional>

namespace tessera::cpu {

/// Where Halide finds less out about the region of a stage at root than the schedule relies on: reads of the dim are then held
/// in `range`, and the stage is bounded to it.
struct HeldDim {
    ConstantRange range;
    /// The extent must look as if it depended on arguments.
    bool hidden = false;
};

class HeldDims {
public:
    explicit HeldDims(const BoundSchedule& bound) : bound_(bound) {}

    [[nodiscard]] std::optional<HeldDim> of(size_t stage, size_t dim);
    /// Whether `index` of a read by `user` is inside `range` wherever `user` is computed, also where loops run past what is
    /// needed.
    [[nodiscard]] bool stays_inside(size_t user, const Expr& index, const ConstantRange& range);

private:
    std::optional<HeldDim> find(size_t stage, size_t dim);
    /// Whether loops cut the dim into blocks; with a tail, all of them with that one.
    [[nodiscard]] bool cut(size_t stage, const Dim& dim, std::optional<Tail> tail = {}) const;
    ConstantRegions& regions();

    const BoundSchedule& bound_;
    std::optional<ConstantRegions> regions_;
    std::map<std::pair<size_t, size_t>, std::optional<HeldDim>> known_;
};

}  // namespace tessera::cpu
