#include "tune/schedule_descent.h"

#include "schedule/stages.h"

#include <algorithm>

namespace tessera::tune {
namespace {

constexpr size_t nowhere = static_cast<size_t>(-1);

// The loops of one dim in a nest, by role.
struct AxisLoops {
    std::int64_t outer = 0, unroll = 1, vector = 1;
    size_t outer_at = nowhere, block_at = nowhere, inner_at = nowhere;
};

AxisLoops axis_of(const std::vector<LoopSpec>& loops, const std::string& dim) {
    std::vector<size_t> at;
    for (size_t l = 0; l < loops.size(); ++l)
        if (loops[l].dim == dim) at.push_back(l);
    AxisLoops out;
    if (at.empty()) return out;
    const LoopKind last = loops[at.back()].as;
    size_t tiles = at.size() - 1;
    const auto tile = [&](size_t l) { return loops[at[l]].tile.value_or(1); };
    if (tiles == 0 || (last != LoopKind::vector && last != LoopKind::unroll)) {
        out.block_at = at.back();
        if (tiles > 0) {
            out.outer = tile(0);
            out.outer_at = at[0];
        }
        return out;
    }
    out.inner_at = at.back();
    if (last == LoopKind::unroll)
        out.unroll = tile(--tiles);
    else {
        out.vector = tile(--tiles);
        if (loops[at[tiles]].as == LoopKind::unroll && tiles > 0) {
            out.inner_at = at[tiles];
            --tiles;
            out.unroll = tile(tiles) / out.vector;
        }
    }
    out.block_at = at[tiles];
    if (tiles > 0) {
        out.outer = tile(0);
        out.outer_at = at[0];
    }
    return out;
}

class Reading {
public:
    Reading(const Schedule& schedule, const StageGraph& graph, const PlacementCodes& codes)
        : schedule_(schedule), graph_(graph), codes_(codes) {}

    std::map<std::string, std::int64_t> run() {
        for (const Stage& s : graph_.stages) {
            const auto found = schedule_.stages.find(s.name);
            const bool inlined = found == schedule_.stages.end() || !found->second.compute ||
                                 found->second.compute->kind == Compute::Kind::inline_;
            if (!s.update && !s.output) out_[s.name + ".inline"] = inlined;
            if (found != schedule_.stages.end()) read_stage(s, found->second);
        }
        return std::move(out_);
    }

private:
    std::optional<std::int64_t> code(const LoopRef& ref) const {
        const auto found = schedule_.stages.find(ref.stage);
        if (found == schedule_.stages.end() || !found->second.loops) return std::nullopt;
        const auto& loops = *found->second.loops;
        for (size_t l = 0; l < loops.size(); ++l) {
            if (loops[l].name != ref.loop && !(loops[l].name.empty() && loops[l].dim == ref.loop)) continue;
            const AxisLoops axis = axis_of(loops, loops[l].dim);
            LoopRole role = LoopRole::position;
            if (l == axis.outer_at)
                role = LoopRole::outer;
            else if (l == axis.block_at && loops[l].tile)
                role = LoopRole::block;
            else if (loops[l].tile)
                role = LoopRole::unrolled;
            const auto at = codes_.at.find({ref.stage, loop_name(loops[l].dim, role)});
            return at == codes_.at.end() ? std::nullopt : std::optional(at->second);
        }
        return std::nullopt;
    }

    void read_stage(const Stage& s, const StageSpec& spec) {
        if (spec.compute && spec.compute->kind == Compute::Kind::root) out_[s.name + ".compute"] = PlacementCodes::root;
        if (spec.compute && spec.compute->kind == Compute::Kind::at)
            if (const auto at = code(spec.compute->at)) out_[s.name + ".compute"] = *at;
        out_[s.name + ".store"] = PlacementCodes::none;
        if (spec.store.at)
            if (const auto at = code(*spec.store.at)) out_[s.name + ".store"] = *at;
        const std::vector<LoopSpec> loops = spec.loops.value_or(std::vector<LoopSpec>{});
        std::int64_t tasks = 0;
        while (static_cast<size_t>(tasks) < loops.size() && loops[static_cast<size_t>(tasks)].as == LoopKind::parallel) ++tasks;
        out_[s.name + ".tasks"] = tasks;
        out_[s.name + ".lanes"] = lanes(s);
        out_[s.name + ".registers"] = registers(s, spec, loops);
        for (const auto& [name, other] : schedule_.stages)
            if (other.copy_of && other.for_uses && std::count(other.for_uses->begin(), other.for_uses->end(), s.name))
                out_[s.name + ".pack." + *other.copy_of] = 1;
        read_loops(s, loops);
    }

    std::int64_t lanes(const Stage& s) const {
        for (const auto& [name, spec] : schedule_.stages)
            if (spec.partial_of == s.name && spec.keep && spec.keep->size() == 1)
                return parse_layout_entry(spec.keep->front()).mod;
        return 0;
    }
    std::int64_t registers(const Stage& s, const StageSpec& spec, const std::vector<LoopSpec>& loops) const {
        if (spec.store.space != Space::register_ || s.dims.empty() || loops.empty() || loops.back().as != LoopKind::vector)
            return 0;
        const AxisLoops axis = axis_of(loops, s.dims.back().name());
        if (axis.vector > 1) return axis.vector;
        for (const LoopSpec& l : loops)
            if (l.dim == s.dims.back().name() && l.tile) return *l.tile;
        // One vector loop over all that the consumer's loops leave.
        if (!spec.compute || spec.compute->kind != Compute::Kind::at) return 0;
        const auto user = schedule_.stages.find(spec.compute->at.stage);
        if (user == schedule_.stages.end() || !user->second.loops) return 0;
        std::int64_t left = 0;
        for (const LoopSpec& l : *user->second.loops) {
            if (l.dim == s.dims.back().name()) left = l.tile.value_or(1);
            if (l.name == spec.compute->at.loop || (l.name.empty() && l.dim == spec.compute->at.loop)) break;
        }
        return left;
    }

    void read_loops(const Stage& s, const std::vector<LoopSpec>& loops) {
        const std::vector<Dim> pure = s.update ? update_pure_dims(s) : s.dims;
        size_t first_block = nowhere, row_inner = nowhere, row_block = nowhere, column_block = nowhere, row_outer = nowhere,
               column_outer = nowhere;
        for (size_t back = 0; back < 2 && back < pure.size(); ++back) {
            const std::string dim = pure[pure.size() - 1 - back].name(), prefix = s.name + "." + dim;
            const AxisLoops axis = axis_of(loops, dim);
            out_[prefix + ".outer"] = axis.outer;
            out_[prefix + ".unroll"] = axis.unroll;
            out_[prefix + ".vector"] = axis.vector;
            first_block = std::min(first_block, axis.block_at);
            (back == 0 ? column_block : row_block) = axis.block_at;
            (back == 0 ? column_outer : row_outer) = axis.outer_at;
            if (back == 1) row_inner = axis.inner_at;
        }
        if (pure.size() >= 2) {
            out_[s.name + ".order"] = column_block < row_block;
            out_[s.name + ".outer_order"] = column_outer < row_outer;
        }
        for (size_t d = 0; d + 2 < pure.size(); ++d)
            for (size_t l = 0; l < loops.size(); ++l)
                if (loops[l].dim == pure[d].name()) {
                    out_[s.name + "." + pure[d].name() + ".inside"] = l > first_block;
                    if (l > first_block) row_inner = std::min(row_inner, l);
                }
        if (!s.update) return;
        bool whole = !s.update->reduction_dims.empty();
        size_t first = nowhere;
        for (const Dim& d : s.update->reduction_dims) {
            const AxisLoops axis = axis_of(loops, d.name());
            out_[s.name + "." + d.name() + ".unroll"] = axis.unroll;
            for (size_t l = 0; l < loops.size(); ++l)
                if (loops[l].dim == d.name()) {
                    first = std::min(first, l);
                    whole = whole && loops[l].as == LoopKind::unroll && !loops[l].tile;
                }
        }
        out_[s.name + ".reduced.unroll"] = whole;
        out_[s.name + ".reduced"] = first < first_block ? 0 : first < row_inner ? 1 : 2;
    }

    const Schedule& schedule_;
    const StageGraph& graph_;
    const PlacementCodes& codes_;
    std::map<std::string, std::int64_t> out_;
};

}  // namespace

std::map<std::string, std::int64_t> decisions_in(const Schedule& schedule, const StageGraph& graph, const PlacementCodes& codes) {
    return Reading(schedule, graph, codes).run();
}

}  // namespace tessera::tune
