#include "backend/cpu/placed_extents.h"

#include "algorithm/graph.h"
#include "schedule/constant_regions.h"

#include <algorithm>
#include <set>

namespace tessera::cpu {
namespace {

std::int64_t round_up(std::int64_t value, std::int64_t to) { return (value + to - 1) / to * to; }

// The outermost tile of a dim in a nest, 1 when there is none.
std::int64_t outermost_tile(const std::vector<BoundLoop>& nest, const Dim& d) {
    for (const BoundLoop& loop : nest)
        if (loop.dim.id() == d.id()) return loop.tile;
    return 1;
}

}  // namespace

std::vector<std::optional<std::int64_t>> PlacedExtents::of(size_t stage, const LoopPosition& at) {
    known_.clear();
    known_at_ = at;
    return required(stage, known_at_);
}

std::vector<std::optional<std::int64_t>> PlacedExtents::kept(size_t stage, const LoopPosition& at, const LoopPosition& computed) {
    const Extents whole = of(stage, computed), exact = unrounded_;
    (void)of(stage, at);
    Extents out = unrounded_;
    for (size_t d = 0; d < out.size(); ++d)
        out[d] = out[d] && whole[d] ? std::optional(*out[d] + *whole[d] - *exact[d]) : std::nullopt;
    return out;
}

std::vector<std::optional<std::int64_t>> PlacedExtents::promised(size_t stage) {
    const BoundStage& b = bound_.stages[stage];
    Extents out(bound_.graph.stages[stage].dims.size());
    if (!b.compute_at || b.store_root) return out;
    const Extents extents = of(stage, *b.compute_at);
    const Extents all = b.store_at ? kept(stage, *b.store_at, *b.compute_at) : extents;
    for (size_t d = 0; d < out.size(); ++d)
        if (all[d] == extents[d] && needs_constant(stage, bound_.graph.stages[stage].dims[d])) out[d] = extents[d];
    return out;
}

bool PlacedExtents::promises(size_t stage) {
    const auto known = promises_.find(stage);
    if (known != promises_.end()) return known->second;
    const Extents extents = promised(stage);
    return promises_[stage] = std::any_of(extents.begin(), extents.end(), [](const auto& e) { return e.has_value(); });
}

bool PlacedExtents::needs_constant(size_t stage, const Dim& d) const {
    const auto space = bound_.stages[stage].storage.space;
    if (space == Space::register_ || space == Space::stack) return true;
    return needs_constant_extent(bound_.stages[stage], d);
}

PlacedExtents::Extents PlacedExtents::required(size_t stage, LoopPosition at) {
    const auto found = known_.find(stage);
    if (found != known_.end()) return found->second;
    const Stage& s = bound_.graph.stages[stage];
    Extents out(s.dims.size()), unrounded(s.dims.size());
    const std::vector<Dim> pure = s.update ? update_pure_dims(s) : s.dims;
    const std::vector<Dim> carried = s.update ? carried_dims(s) : std::vector<Dim>{};
    for (size_t d = 0; d < s.dims.size(); ++d) {
        // An update that writes where it pleases, or reads its neighbours, needs the whole of a dim, however little of it is
        // read.
        if (!contains_dim(pure, s.dims[d]) || contains_dim(carried, s.dims[d])) continue;
        std::vector<std::pair<size_t, Expr>> reads;
        bool wrapped = false;
        for (const size_t user : bound_.stages[stage].users) {
            const Stage& u = bound_.graph.stages[user];
            std::vector<Expr> all = u.values;
            if (u.update) {
                all.insert(all.end(), u.update->values.begin(), u.update->values.end());
                all.insert(all.end(), u.update->place.begin(), u.update->place.end());
                if (u.update->condition.defined()) all.push_back(u.update->condition);
            }
            for_each_node(all, [&](const Expr& n) {
                if (n->op != Op::access || n->target().func != s.func) return;
                wrapped = wrapped || n->target().boundary != Boundary::none;
                reads.emplace_back(user, n->args[d]);
            });
        }
        if (!wrapped) out[d] = read_extent(reads, at);
        unrounded[d] = out[d];
        if (!out[d]) continue;
        for (const auto* nest : {&bound_.stages[stage].pure, &bound_.stages[stage].update})
            out[d] = round_up(*out[d], outermost_tile(*nest, s.dims[d]));
    }
    unrounded_ = unrounded;
    return known_[stage] = out;
}

// How many positions of `dim` of `stage` one iteration of the loop `at` covers.
std::optional<std::int64_t> PlacedExtents::extent_inside(size_t stage, const Dim& dim, LoopPosition at) {
    const Stage& s = bound_.graph.stages[stage];
    std::optional<std::int64_t> whole = dim.extent().constant();
    if (!bound_.runs_in(stage, at)) {
        for (size_t d = 0; d < s.dims.size(); ++d)
            if (s.dims[d].id() == dim.id()) return bound_.stages[stage].compute_at ? required(stage, at)[d] : std::nullopt;
        return whole;
    }
    const auto& nest = bound_.main_nest(stage);
    std::optional<std::int64_t> tile;
    for (size_t l = 0; l <= at.loop; ++l)
        if (nest[l].dim.id() == dim.id()) tile = nest[l].parts ? std::nullopt : std::optional(nest[l].tile);
    if (tile) return tile;
    const bool reduced = s.update && contains_dim(s.update->reduction_dims, dim);
    return reduced || s.output ? whole : std::nullopt;
}

bool PlacedExtents::shift_and_width(size_t user, const Expr& e, LoopPosition at, std::int64_t scale, std::int64_t& offset,
                                    std::int64_t& width, std::map<const void*, std::int64_t>& moving,
                                    std::map<const ExprNode*, std::int64_t>& still) {
    const auto inner = [&](const Expr& a, std::int64_t by) {
        return shift_and_width(user, a, at, by, offset, width, moving, still);
    };
    if (const auto c = integer_constant(e)) {
        offset += scale * *c;
        return true;
    }
    if (e->op == Op::add) return inner(e->args[0], scale) && inner(e->args[1], scale);
    if (e->op == Op::sub) return inner(e->args[0], scale) && inner(e->args[1], -scale);
    if (e->op == Op::neg) return inner(e->args[0], -scale);
    if (e->op == Op::mul) {
        if (const auto c = integer_constant(e->args[1])) return inner(e->args[0], scale * *c);
        if (const auto c = integer_constant(e->args[0])) return inner(e->args[1], scale * *c);
        return false;
    }
    if (e->op == Op::mod) {
        const auto c = integer_constant(e->args[1]);
        if (!c || *c < 1) return false;
        if (scale < 0) offset += scale * (*c - 1);
        width += std::abs(scale) * (*c - 1);
        return true;
    }
    if (e->op == Op::extent) {
        still[e.get()] += scale;
        return true;
    }
    if (e->op != Op::dim) return false;
    const Dim d = e->dim();
    const auto extent = extent_inside(user, d, at);
    if (!extent) return false;
    if (scale < 0) offset += scale * (*extent - 1);
    width += std::abs(scale) * (*extent - 1);
    moving[d.id()] += scale;
    return true;
}

std::optional<std::int64_t> PlacedExtents::read_extent(const std::vector<std::pair<size_t, Expr>>& reads, LoopPosition at) {
    std::optional<std::int64_t> low, high;
    std::optional<std::map<const void*, std::int64_t>> moves;
    std::map<const ExprNode*, std::int64_t> stands;
    std::set<std::pair<size_t, const ExprNode*>> seen;
    for (const auto& [user, e] : reads) {
        if (!seen.emplace(user, e.get()).second) continue;
        std::int64_t offset = 0, width = 0;
        std::map<const void*, std::int64_t> moving;
        std::map<const ExprNode*, std::int64_t> still;
        if (!shift_and_width(user, e, at, 1, offset, width, moving, still)) return {};
        // Two reads are one block only when they move together.
        std::erase_if(moving, [](const auto& term) { return term.second == 0; });
        if (moves && (*moves != moving || stands != still)) return {};
        moves = moving;
        stands = still;
        low = low ? std::min(*low, offset) : offset;
        high = high ? std::max(*high, offset + width) : offset + width;
    }
    if (!low) return {};
    return *high - *low + 1;
}

}  // namespace tessera::cpu
