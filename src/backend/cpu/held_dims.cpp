#include "backend/cpu/held_dims.h"

#include <algorithm>

namespace tessera::cpu {

std::optional<HeldDim> HeldDims::of(size_t stage, size_t dim) {
    const auto known = known_.find({stage, dim});
    if (known != known_.end()) return known->second;
    return known_[{stage, dim}] = find(stage, dim);
}

std::optional<HeldDim> HeldDims::find(size_t stage, size_t dim) {
    const BoundStage& b = bound_.stages[stage];
    const Stage& s = bound_.graph.stages[stage];
    if (b.compute_at || b.stored_in || b.fused || bound_.resident_of(stage) || s.output) return {};
    const Dim& d = s.dims[dim];
    const bool constant = needs_constant_extent(b, d);
    if (!constant && !cut(stage, d, Tail::guard)) return {};
    const auto seen = regions().without_conditions(stage, dim);
    if (constant) {
        const auto range = seen ? std::nullopt : regions().of(stage, dim);
        return range ? std::optional(HeldDim{*range, false}) : std::nullopt;
    }
    // Of one cell, Halide simplifies the guards of cut loops so far that they say which blocks exist, and then wants a block's
    // storage to be more than one block.
    return seen && seen->low == seen->high ? std::optional(HeldDim{*seen, true}) : std::nullopt;
}

bool HeldDims::stays_inside(size_t user, const Expr& index, const ConstantRange& range) {
    if (const auto c = integer_constant(index)) return *c >= range.low && *c <= range.high;
    if (index->op != Op::dim) return false;
    const Stage& u = bound_.graph.stages[user];
    const Dim d = index->dim();
    for (size_t k = 0; k < u.dims.size(); ++k) {
        if (u.dims[k].id() != d.id()) continue;
        if (bound_.stages[user].compute_at || cut(user, d)) return false;
        const auto held = of(user, k);
        const auto own = held ? std::optional(held->range) : regions().without_conditions(user, k);
        return own && own->low >= range.low && own->high <= range.high;
    }
    const auto extent = d.extent().constant();
    return extent && range.low <= 0 && *extent - 1 <= range.high;
}

bool HeldDims::cut(size_t stage, const Dim& dim, std::optional<Tail> tail) const {
    bool found = false;
    for (const auto* nest : {&bound_.stages[stage].pure, &bound_.stages[stage].update})
        for (const BoundLoop& loop : *nest) {
            if (loop.dim.id() != dim.id() || (loop.tile == 1 && !loop.parts)) continue;
            if (tail && loop.tail != *tail) return false;
            found = true;
        }
    return found;
}

ConstantRegions& HeldDims::regions() {
    if (!regions_) regions_.emplace(bound_);
    return *regions_;
}

}  // namespace tessera::cpu
