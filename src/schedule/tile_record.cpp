#include "schedule/tile_record.h"

#include <fmt/format.h>

namespace tessera {
namespace {

struct Axes {
    std::string m, n, k;
};

// m and n: the last two pure dims of the contraction; k: its reduction dim.
Axes axes_of(const Stage& stage, const Stage& sum, const StageSpec& spec) {
    Axes axes;
    const auto named = [&](const std::string& key, std::string inferred) {
        const auto found = spec.axes.find(key);
        return found == spec.axes.end() || found->second.empty() ? std::move(inferred) : found->second.back();
    };
    if (sum.dims.size() < 2 || sum.update->reduction_dims.empty())
        throw Error(E0509_derived_stage, stage.where,
                    fmt::format("the tile record of {} needs a contraction with two free dims and one reduced", stage.name),
                    {fix("write loops instead")});
    axes.m = named("m", sum.dims[sum.dims.size() - 2].name());
    axes.n = named("n", sum.dims.back().name());
    axes.k = named("k", sum.update->reduction_dims.back().name());
    return axes;
}

void add(std::vector<LoopSpec>& loops, const std::string& dim, std::optional<std::int64_t> tile, LoopKind as, std::string name) {
    if (tile && *tile > 1) loops.push_back({.dim = dim, .tile = tile, .as = as, .name = std::move(name)});
}

}  // namespace

void expand_tile_records(const StageGraph& graph, Schedule& schedule) {
    std::vector<std::string> names;
    for (const auto& [name, spec] : schedule.stages)
        if (spec.tile) names.push_back(name);
    for (const std::string& name : names) {
        StageSpec& spec = schedule.stages.at(name);
        const TileRecord t = *spec.tile;
        const Stage& stage = graph.stages[*graph.find(name)];
        if (t.warps || t.stages || t.swizzle_pattern)
            throw Limit(L0903_schedule, stage.where,
                        fmt::format("the tile record of {} has fields for GPUs (warps, stages, swizzle_pattern)", name),
                        {fix("remove them on this target")});
        const auto sum_at = graph.find(name + ".sum");
        if (!sum_at || stage.update)
            throw Error(E0509_derived_stage, stage.where,
                        fmt::format("the tile record of {} stands on no consumer of a contraction", name),
                        {fix("put it on the Func that is defined by sum(...)"), fix("write loops instead")});
        const Stage& sum = graph.stages[*sum_at];
        const Axes axes = axes_of(stage, sum, spec);
        const std::int64_t vector = t.vector_width.value_or(8), tile_m = t.tile_m.value_or(4),
                           tile_n = std::max(t.tile_n.value_or(2 * vector), vector);
        if (tile_n % vector != 0)
            throw Error(E0503_tile, stage.where,
                        fmt::format("tile_n {} of {} is no multiple of vector_width {}", tile_n, name, vector),
                        {fix("use a multiple")});
        std::vector<LoopSpec> loops;
        add(loops, axes.m, t.block_m, LoopKind::parallel, "mb");
        add(loops, axes.n, t.block_n, t.block_m ? LoopKind::serial : LoopKind::parallel, "nb");
        add(loops, axes.n, tile_n, LoopKind::serial, "nw");
        loops.push_back({.dim = axes.m, .tile = tile_m, .name = "mw"});
        std::vector<LoopSpec> inner;
        if (tile_m > 1) inner.push_back({.dim = axes.m, .as = LoopKind::unroll});
        if (tile_n > vector) inner.push_back({.dim = axes.n, .tile = vector, .as = LoopKind::unroll, .name = "nu"});
        inner.push_back({.dim = axes.n, .as = LoopKind::vector});
        if (tile_m == 1) loops.back().tile.reset();
        loops.insert(loops.end(), inner.begin(), inner.end());
        std::vector<LoopSpec> sum_loops;
        if (t.tile_k && *t.tile_k > 1) sum_loops.push_back({.dim = axes.k, .tile = t.tile_k, .name = "ks"});
        if (t.unroll_factor && *t.unroll_factor > 1 && *t.unroll_factor < t.tile_k.value_or(std::int64_t{1} << 40)) {
            sum_loops.push_back({.dim = axes.k, .tile = t.unroll_factor, .name = "kk"});
            sum_loops.push_back({.dim = axes.k, .as = LoopKind::unroll, .name = "ku"});
        } else
            sum_loops.push_back({.dim = axes.k, .name = "kk"});
        sum_loops.insert(sum_loops.end(), inner.begin(), inner.end());
        spec.tile.reset();
        spec.loops = std::move(loops);
        if (!spec.compute) spec.compute = Compute{Compute::Kind::root, {}};
        StageSpec& reduction = schedule.stages[sum.name];
        if (!reduction.loops) reduction.loops = std::move(sum_loops);
        if (!reduction.compute) reduction.compute = Compute{Compute::Kind::at, {name, "mw"}};
        if (!reduction.store.space) reduction.store.space = Space::register_;
    }
}

}  // namespace tessera
