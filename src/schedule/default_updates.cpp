#include "schedule/default_updates.h"

#include "schedule/stage_cost.h"

#include <cmath>

namespace tessera {
namespace {

constexpr double least_tasks = 16;  // that keep all threads busy to the end

// Loops that fill a stage with what it starts from.
std::vector<LoopSpec> first_values(const Stage& s, std::int64_t width) {
    std::vector<LoopSpec> loops;
    for (const Dim& d : s.dims) {
        const bool innermost = d.id() == s.dims.back().id();
        const bool wide = innermost && estimated_extent(d) >= static_cast<double>(width);
        const bool outermost = loops.empty();
        if (outermost && (!innermost || wide))
            loops.push_back({.dim = d.name(),
                             .tile = innermost ? 64 * width : 64,
                             .as = LoopKind::parallel,
                             .name = "task",
                             .tail = Tail::guard});
        if (wide) loops.push_back({.dim = d.name(), .tile = width, .name = "columns", .tail = Tail::guard});
        loops.push_back({.dim = d.name(), .as = wide ? LoopKind::vector : LoopKind::serial});
    }
    return loops;
}

// Vectors of a step that are computed as one: each waits for its own values of the step before, so that two of them keep the
// machine busy where one would wait. An odd number of them would have one more.
std::int64_t chains_together(const Dim& columns, std::int64_t width) {
    constexpr double many = 8;
    const double vectors = std::ceil(estimated_extent(columns) / static_cast<double>(width));
    return vectors >= many || std::fmod(vectors, 2) == 0 ? 2 : 1;
}

// Vectors of partial results: each addition waits for the one before it in its vector, unless the terms take longer anyway.
std::int64_t chains_of(const Stage& s, std::int64_t width) {
    constexpr double slow_terms = 8;  // operations
    double cost = 0;
    for (const Expr& e : s.update->values) cost += expression_cost(e);
    const bool is_long = estimated_extent(s.update->reduction_dims.back()) >= static_cast<double>(8 * width);
    // Lanes and chains of one number would have one name.
    return is_long && cost < slow_terms && s.dtypes.size() == 1 && width != 4 ? 4 : 2;
}

}  // namespace

bool reduces_contiguously(const Stage& s) {
    const Dim& k = s.update->reduction_dims.back();
    bool by_k = false, by_own = false;
    for_each_node(s.update->values, [&](const Expr& n) {
        if (n->op != Op::access || n->target().func == s.func || !contains_dim(free_dims(n), k)) return;
        const auto fastest = free_dims(n->args[n->index_count() - 1]);
        by_k = by_k || contains_dim(fastest, k);
        by_own = by_own || (!s.dims.empty() && contains_dim(fastest, s.dims.back()));
    });
    return by_k && !by_own;
}

std::string parallel_outside(StageEdit& edit, const std::vector<Dim>& dims) {
    double tasks = 1;
    std::string innermost;
    for (const Dim& d : dims) {
        const double extent = estimated_extent(d);
        innermost = d.name();
        if (tasks >= least_tasks) {
            edit.serial(d.name());
        } else if (tasks * extent <= 4 * least_tasks) {
            edit.parallel(d.name());
        } else {
            innermost = "each_" + d.name();
            edit.parallel(d.name(), static_cast<std::int64_t>(tasks * extent / (2 * least_tasks)), "task");
            edit.serial(d.name(), 0, innermost);
        }
        tasks *= extent;
    }
    return innermost;
}

void reduction_loops(StageEdit& edit, const Stage& s, std::int64_t width) {
    double points = 1;
    for (const Dim& d : s.update->reduction_dims) points *= estimated_extent(d);
    for (size_t d = 0; d + 1 < s.dims.size(); ++d) edit.serial(s.dims[d].name());
    const bool vector = !s.dims.empty() && estimated_extent(s.dims.back()) >= static_cast<double>(width);
    if (vector)
        edit.serial(s.dims.back().name(), width, "columns");
    else if (!s.dims.empty())
        edit.serial(s.dims.back().name());
    for (const Dim& d : s.update->reduction_dims) {
        if (points <= small_reduction && d.extent().constant())
            edit.unroll(d.name());
        else
            edit.serial(d.name());
    }
    if (vector) edit.vector(s.dims.back().name());
}

void root_reduction(StageEdit& edit, const Stage& s, std::int64_t width) {
    if (s.dims.empty()) {
        for (const Dim& d : s.update->reduction_dims) edit.serial(d.name());
        return;
    }
    if (s.dims.size() >= 2) {
        for (size_t d = 0; d + 1 < s.dims.size(); ++d) edit.parallel(s.dims[d].name());
        Stage row = s;
        row.dims = {s.dims.back()};
        reduction_loops(edit, row, width);
        return;
    }
    // Sums of columns take a piece of every row after the other, as it lies in memory.
    if (estimated_extent(s.dims[0]) > static_cast<double>(8 * width)) edit.parallel(s.dims[0].name(), 8 * width, "task");
    for (const Dim& d : s.update->reduction_dims) edit.serial(d.name());
    edit.serial(s.dims[0].name(), width, "columns");
    edit.vector(s.dims[0].name());
}

bool sum_in_lanes(const Stage& s, std::int64_t width, bool root, Schedule& out) {
    const auto& u = *s.update;
    if (u.order.kind != Order::Kind::any || !u.monoid->traits.associative || !u.monoid->traits.commutative ||
        u.reduction_dims.empty() || !reduces_contiguously(s))
        return false;
    const Dim& k = u.reduction_dims.back();
    const std::int64_t chains = chains_of(s, width);
    if (estimated_extent(k) < static_cast<double>(4 * width)) return false;
    if (root && s.dims.empty()) return false;
    const std::string lane = k.name() + "%" + std::to_string(width), chain = k.name() + "%" + std::to_string(chains);
    const std::string vectors = s.name + ".lanes", parts = s.name + ".chains";
    StageEdit edit = out.stage(s.name);
    std::string outside;
    if (root)
        outside = parallel_outside(edit, s.dims);
    else
        for (const Dim& d : s.dims) edit.serial(d.name()), outside = d.name();
    edit.serial(lane);
    // Of several rows each has its vectors while it is summed, so that they stay in registers.
    const StageSpec& placed = out.stages.at(s.name);
    const bool rows = root || placed.compute->at.loop == "task";
    const LoopRef at = rows ? LoopRef{s.name, outside} : placed.compute->at;
    out.partial(vectors, s.name, {lane}).at(at.stage, at.loop);
    out.partial(parts, vectors, {chain}).at(at.stage, at.loop);
    StageEdit sum = out.stage(vectors), part = out.stage(parts);
    for (const Dim& d : s.dims) sum.serial(d.name()), part.serial(d.name());
    for (const Dim& d : u.reduction_dims) part.serial(d.name());
    sum.serial(chain).vector(lane);
    part.unroll(chain).vector(lane);
    return true;
}

void serial_update(StageEdit& edit, const Stage& s, std::int64_t width) {
    const std::vector<Dim> carried = s.update->sequential ? carried_dims(s) : std::vector<Dim>{};
    std::vector<Dim> free;
    for (const Dim& d : update_pure_dims(s))
        if (!contains_dim(carried, d)) free.push_back(d);
    // Dims that a step reads across stand inside it, and inside of vectors nothing does.
    const bool vectors = carried.empty() && !free.empty() && free.back().id() == s.dims.back().id() &&
                         estimated_extent(free.back()) >= static_cast<double>(width);
    std::optional<Dim> columns;
    if (vectors) {
        columns = free.back();
        free.pop_back();
    }
    if (carried.empty()) {
        parallel_outside(edit, free);
    } else {
        for (const Dim& d : free)
            if (d.id() == free[0].id())
                edit.parallel(d.name());
            else
                edit.serial(d.name());
    }
    // One strip needs no loop over strips, and no guard in its last vector.
    if (columns && estimated_extent(*columns) > static_cast<double>(8 * width))
        edit.parallel(columns->name(), 8 * width, "strip").tail(Tail::guard);
    for (size_t i = 0; i < s.update->reduction_dims.size(); ++i) {
        // The phases of a step differ in what runs: written out, each has only its own loops.
        if (s.kind == Stage::Kind::recurrence && i == 1)
            edit.unroll(s.update->reduction_dims[i].name());
        else
            edit.serial(s.update->reduction_dims[i].name());
    }
    for (const Dim& d : carried) edit.serial(d.name());
    if (columns) {
        const std::int64_t chains = s.kind == Stage::Kind::recurrence ? chains_together(*columns, width) : 1;
        edit.serial(columns->name(), chains * width, "columns").vector(columns->name());
    }
    if (s.kind == Stage::Kind::scatter || s.kind == Stage::Kind::recurrence) edit.init(first_values(s, width));
}

}  // namespace tessera
