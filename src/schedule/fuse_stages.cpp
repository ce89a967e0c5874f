#include "schedule/fuse_stages.h"

#include "base/closest_name.h"
#include "schedule/bind_loops.h"
#include "schedule/derived_stages.h"
#include "schedule/stage_region.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera {
namespace {

/// Stages by number, each with those that it shares loops with.
class Groups {
public:
    Groups(const StageGraph& graph, const Schedule& schedule)
        : graph_(graph), leader_(graph.stages.size()), reads_(graph.stages.size()) {
        for (size_t i = 0; i < leader_.size(); ++i) leader_[i] = i;
        std::map<const FuncState*, size_t> index;
        for (size_t i = 0; i < leader_.size(); ++i) index[graph.stages[i].func.get()] = i;
        for (size_t i = 0; i < leader_.size(); ++i)
            for_each_node(exprs_of(graph.stages[i]), [&](const Expr& n) {
                if (n->op != Op::access || !n->target().func) return;
                const auto found = index.find(n->target().func.get());
                if (found != index.end() && found->second != i) reads_[i].push_back(found->second);
            });
        for (const auto& [name, spec] : schedule.stages)
            if (spec.fuse_with && !spec.fuse_with->online) join(name, spec.fuse_with->stage, schedule);
    }

    std::vector<Stage> sorted() {
        std::vector<Stage> out;
        std::vector<int> state(leader_.size(), 0);
        for (size_t i = 0; i < leader_.size(); ++i) visit(leader_[i], state, out);
        return out;
    }

private:
    [[nodiscard]] const Stage& stage(size_t i) const { return graph_.stages[i]; }

    void join(const std::string& name, const std::string& with, const Schedule& schedule) {
        const auto at = graph_.find(name), to = graph_.find(with);
        if (!to && !schedule.stages.count(with))
            throw Error(E0501_unknown_stage, at ? stage(*at).where : SourceLoc{},
                        fmt::format("fuse_with of {} names stage {}, which does not exist", name, with),
                        {fix_spelling(with, graph_.names())});
        for (const auto& [which, found] : {std::pair{name, at}, std::pair{with, to}})
            if (!found)
                throw Error(E0504_placement, {},
                            fmt::format("{} is fused with {}, but {} is inline and has no loops", name, with, which),
                            {fix(fmt::format("give {} a placement of its own", which)), fix("remove fuse_with")});
        if (*at == *to)
            throw Error(E0504_placement, stage(*at).where, fmt::format("{} is fused with itself", name),
                        {fix("name another stage at the same place")});
        if (const auto& other = schedule.stages.find(with); other != schedule.stages.end() && other->second.fuse_with)
            throw Error(E0504_placement, stage(*at).where,
                        fmt::format("{} is fused with {}, which is fused with {}", name, with, other->second.fuse_with->stage),
                        {fix(fmt::format("fuse {} with {} too", name, other->second.fuse_with->stage))});
        for (const auto& [user, producer] : {std::pair{*at, *to}, std::pair{*to, *at}})
            if (needs(user, producer))
                throw Error(E0504_placement, stage(*at).where,
                            fmt::format("{} is fused with {}, but {} needs values of {}", name, with, stage(user).name,
                                        stage(producer).name),
                            {fix(fmt::format("compute {} at a loop of {} instead", stage(producer).name, stage(user).name)),
                             fix("fuse stages of which none reads the other")});
        leader_[*at] = *to;
    }

    [[nodiscard]] bool needs(size_t user, size_t producer) const {
        std::vector<size_t> todo{user};
        std::vector<bool> seen(leader_.size(), false);
        while (!todo.empty()) {
            const size_t i = todo.back();
            todo.pop_back();
            if (i == producer) return true;
            if (seen[i]) continue;
            seen[i] = true;
            todo.insert(todo.end(), reads_[i].begin(), reads_[i].end());
        }
        return false;
    }

    // The stages that share loops with `leader`, itself first, behind all that any of them reads.
    void visit(size_t leader, std::vector<int>& state, std::vector<Stage>& out) {
        if (state[leader] == 2) return;
        if (state[leader] == 1)
            throw Error(
                E0504_placement, stage(leader).where,
                fmt::format("stages fused with {} need values of stages that need {}", stage(leader).name, stage(leader).name),
                {fix("remove one fuse_with")});
        state[leader] = 1;
        std::vector<size_t> group{leader};
        for (size_t i = 0; i < leader_.size(); ++i)
            if (leader_[i] == leader && i != leader) group.push_back(i);
        for (const size_t member : group)
            for (const size_t producer : reads_[member]) visit(leader_[producer], state, out);
        for (const size_t member : group) out.push_back(stage(member));
        state[leader] = 2;
    }

    const StageGraph& graph_;
    std::vector<size_t> leader_;
    std::vector<std::vector<size_t>> reads_;
};

std::string place_text(const BoundSchedule& bound, size_t i) {
    const auto& at = bound.stages[i].compute_at;
    if (!at) return "root";
    return fmt::format("{}.{}", bound.graph.stages[at->stage].name, bound.main_nest(at->stage)[at->loop].name);
}

// Whether both loops take their reductions through the same tiles of one dim.
bool reduce_alike(const BoundLoop& a, const BoundLoop& b) {
    return a.reduction && b.reduction && a.dim.id() == b.dim.id() && a.tile == b.tile && a.parts == b.parts;
}

// Why loop `l` of the stage is not shared with those outside it, or nothing.
std::string obstacle(const BoundSchedule& bound, size_t at, size_t leader, size_t l, Target::Kind target) {
    const auto &mine = bound.main_nest(at), &theirs = bound.main_nest(leader);
    for (const auto& [stage, loop] : {std::pair{at, &mine[l]}, std::pair{leader, &theirs[l]}}) {
        const std::string& name = bound.graph.stages[stage].name;
        if (loop->reduction && (target == Target::Kind::cpu || !reduce_alike(mine[l], theirs[l])))
            return fmt::format("loop {} of {} reduces", loop->name, name);
        if (loop->kind != LoopKind::serial && loop->kind != LoopKind::parallel)
            return fmt::format("loop {} of {} is {}, which is not shared", loop->name, name, word(loop->kind));
    }
    for (size_t k = 0; k < l; ++k)
        if ((mine[k].dim.id() == mine[l].dim.id()) != (theirs[k].dim.id() == theirs[l].dim.id()))
            return fmt::format("loops {} and {} run over one dim in {} but not in {}", mine[k].name, mine[l].name,
                               bound.graph.stages[mine[k].dim.id() == mine[l].dim.id() ? at : leader].name,
                               bound.graph.stages[mine[k].dim.id() == mine[l].dim.id() ? leader : at].name);
    if (mine[l].kind != theirs[l].kind)
        return fmt::format("loop {} of {} is {} but loop {} of {} is {}", mine[l].name, bound.graph.stages[at].name,
                           word(mine[l].kind), theirs[l].name, bound.graph.stages[leader].name, word(theirs[l].kind));
    return {};
}

// Whether the shared loops down to `loop` take a member and its leader through the same iterations: equal tiles of one dim, or
// the member has a position for each tile of the leader. Reductions take all tiles of a dim, wherever they are computed.
bool runs_alike(const BoundSchedule& bound, size_t leader, size_t member, size_t loop) {
    const auto all_points = [&](size_t i) {
        const auto& update = bound.graph.stages[i].update;
        return update && !update->condition.defined();
    };
    bool reduced = all_points(leader) && all_points(member);
    for (size_t l = 0; l <= loop; ++l) reduced = reduced && reduce_alike(bound.main_nest(leader)[l], bound.main_nest(member)[l]);
    if (reduced) return true;
    if (bound.stages[leader].compute_at || bound.stages[member].compute_at) return false;
    RegionsInside regions(bound, {}, {});
    const auto region_of = [&](size_t i, const Dim& d) {
        const std::vector<Dim>& dims = bound.graph.stages[i].dims;
        for (size_t k = 0; k < dims.size(); ++k)
            if (dims[k].id() == d.id()) return regions.required(i)[k];
        return whole_dim(d);
    };
    const auto same = [](const Interval& a, const Interval& b) { return a.low.same_as(b.low) && a.high.same_as(b.high); };
    const auto &theirs = bound.main_nest(leader), &mine = bound.main_nest(member);
    for (size_t l = 0; l <= loop; ++l) {
        const BoundLoop &a = theirs[l], &b = mine[l];
        if (a.dim.id() == b.dim.id()) {
            if (a.tile != b.tile || a.parts != b.parts || a.tail != b.tail) return false;
            if (!same(region_of(leader, a.dim), region_of(member, b.dim))) return false;
            continue;
        }
        const bool first = std::none_of(theirs.begin(), theirs.begin() + static_cast<std::ptrdiff_t>(l),
                                        [&](const BoundLoop& outer) { return outer.dim.id() == a.dim.id(); });
        if (!first || a.parts || b.parts || b.tile != 1) return false;
        if (!same(region_of(leader, a.dim), whole_dim(a.dim)) || !same(region_of(member, b.dim), whole_dim(b.dim))) return false;
        const Extent tiles = a.tile == 1 ? a.dim.extent() : (a.dim.extent() + (a.tile - 1)) / a.tile;
        const auto& positions = b.dim.state().extent;
        if (!simplify_index(Expr(tiles)).same_as(simplify_index(Expr(positions ? *positions : b.dim.extent())))) return false;
    }
    return true;
}

// What a stage that runs less often reads is not known in the iterations that are not its own.
void check_iterations(const BoundSchedule& bound, size_t placed, const LoopPosition& at) {
    for (size_t member = 0; member < bound.stages.size(); ++member)
        if (member != at.stage && bound.runs_in(member, at) && !runs_alike(bound, at.stage, member, at.loop))
            throw Limit(L0903_schedule, bound.graph.stages[placed].where,
                        fmt::format("{} is placed at loop {} of {}, which {} shares with other iterations",
                                    bound.graph.stages[placed].name, bound.main_nest(at.stage)[at.loop].name,
                                    bound.graph.stages[at.stage].name, bound.graph.stages[member].name),
                        {fix(fmt::format("compute {} where {} is computed", bound.graph.stages[placed].name,
                                         bound.graph.stages[at.stage].name)),
                         fix("share loops at root, over the same dims in the same tiles")});
}

}  // namespace

void sort_fused_together(StageGraph& graph, const Schedule& schedule) {
    const bool any = std::any_of(schedule.stages.begin(), schedule.stages.end(),
                                 [](const auto& entry) { return entry.second.fuse_with && !entry.second.fuse_with->online; });
    if (any) graph.stages = Groups(graph, schedule).sorted();
}

FusedLoops bind_fused_loops(const BoundSchedule& bound, size_t at, const FuseWith& with, Target::Kind target) {
    const Stage& s = bound.graph.stages[at];
    const size_t leader = *bound.graph.find(with.stage);
    for (const Stage* each : {&s, &bound.graph.stages[leader]})
        if (each->update && (each->update->sequential || each->kind == Stage::Kind::scatter))
            throw Limit(L0903_schedule, s.where,
                        fmt::format("{} is fused with {}, but {} runs in order of its steps", s.name, with.stage, each->name),
                        {fix("fuse definitions and reductions"), fix("remove fuse_with")});
    const std::string mine = place_text(bound, at), theirs = place_text(bound, leader);
    if (mine != theirs)
        throw Error(
            E0504_placement, s.where,
            fmt::format("{} is fused with {}, but one is computed at {} and the other at {}", s.name, with.stage, mine, theirs),
            {fix(fmt::format("compute {} at {}", s.name, theirs))});
    FusedLoops out{leader, 0, with.align};
    out.loop = find_loop(with.stage, bound.main_nest(leader), with.loop, fmt::format("fuse_with of {}", s.name));
    const size_t own = bound.main_nest(at).size();
    for (size_t l = 0; l <= out.loop; ++l) {
        const std::string reason = l < own ? obstacle(bound, at, leader, l, target) : fmt::format("{} has {} loops", s.name, own);
        if (reason.empty()) continue;
        const Hint legal = l == 0 ? fix("remove fuse_with")
                                  : fix(fmt::format("share the loops down to {}", bound.main_nest(leader)[l - 1].name));
        throw Error(E0506_loop_kind, s.where,
                    fmt::format("{} shares the loops of {} down to {}, but {}", s.name, with.stage,
                                bound.main_nest(leader)[out.loop].name, reason),
                    {legal});
    }
    return out;
}

OnlineLoop bind_online_loop(const BoundSchedule& bound, size_t at, const FuseWith& with) {
    const Stage& s = bound.graph.stages[at];
    const auto leader = bound.graph.find(with.stage);
    if (!leader)
        throw Error(E0501_unknown_stage, s.where,
                    fmt::format("fuse_with of {} names stage {}, which does not exist", s.name, with.stage),
                    {fix_spelling(with.stage, bound.graph.names())});
    const Stage& l = bound.graph.stages[*leader];
    const auto is_sum = [](const Stage& each, std::string_view monoid) {
        return each.kind == Stage::Kind::reduction && each.update->monoid && each.update->monoid->name == monoid &&
               each.update->order.kind == Order::Kind::any && each.dtypes.size() == 1 && is_float(each.dtypes[0]) &&
               !each.update->condition.defined();
    };
    if (!is_sum(s, "max") || !is_sum(l, "sum"))
        throw Limit(L0903_schedule, s.where,
                    fmt::format("{} runs online in a loop of {}, but they are no maximum and sum of floats over all points",
                                s.name, l.name),
                    {fix("leave fuse_with out, which computes it first")});
    const std::string mine = place_text(bound, at), theirs = place_text(bound, *leader);
    if (mine != theirs)
        throw Error(E0504_placement, s.where,
                    fmt::format("{} runs online in a loop of {}, but one is computed at {} and the other at {}", s.name, l.name,
                                mine, theirs),
                    {fix(fmt::format("compute {} at {}", s.name, theirs))});
    OnlineLoop out{*leader, find_loop(with.stage, bound.main_nest(*leader), with.loop, fmt::format("fuse_with of {}", s.name)),
                   0};
    const BoundLoop& loop = bound.main_nest(*leader)[out.loop];
    const auto& own = bound.main_nest(at);
    while (out.own < own.size() && !(reduce_alike(own[out.own], loop) && own[out.own].kind == LoopKind::serial)) ++out.own;
    if (out.own == own.size() || loop.kind != LoopKind::serial)
        throw Error(E0506_loop_kind, s.where,
                    fmt::format("{} runs online in loop {} of {}, but has no serial loop over the same tiles of {}", s.name,
                                loop.name, l.name, loop.dim.name()),
                    {fix(fmt::format("give both a serial loop over {} with one tile", loop.dim.name()))});
    return out;
}

void check_shared_places(const BoundSchedule& bound) {
    for (size_t i = 0; i < bound.stages.size(); ++i)
        for (const auto& level : {bound.stages[i].compute_at, bound.stages[i].store_at, bound.stages[i].alloc_at}) {
            if (level) check_iterations(bound, i, *level);
            const auto& fused = level ? bound.stages[level->stage].fused : std::nullopt;
            if (!fused || level->loop > fused->loop) continue;
            const std::string &leader = bound.graph.stages[fused->leader].name, &own = bound.graph.stages[level->stage].name;
            throw Error(E0504_placement, bound.graph.stages[i].where,
                        fmt::format("{} is placed at loop {} of {}, which is a loop of {}", bound.graph.stages[i].name,
                                    bound.main_nest(level->stage)[level->loop].name, own, leader),
                        {fix(fmt::format("name loop {} of {}", bound.main_nest(fused->leader)[level->loop].name, leader))});
        }
}

}  // namespace tessera
