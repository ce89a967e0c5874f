#include "schedule/joined_steps.h"

#include "algorithm/required_region.h"
#include "expr/op_cost.h"
#include "schedule/derived_stages.h"
#include "schedule/joined_reductions.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace tessera {
namespace {

const Dim& time_of(const Stage& recurrence) { return recurrence.update->reduction_dims[0]; }

// Where a recurrence that runs in plain steps writes, given the step: time goes up or down.
std::optional<size_t> time_position(const Stage& recurrence) {
    for (size_t d = 0; d < recurrence.dims.size(); ++d)
        if (recurrence.dims[d].id() == time_of(recurrence).id()) return d;
    return std::nullopt;
}

// The definition's value, or a step of another recurrence, with reads of copies of the states as reads of the states, and of
// states at its own point as their steps.
class InStep {
public:
    InStep(const StageGraph& graph, const Stage& definition, const Stage& recurrence)
        : graph_(graph), definition_(definition), recurrence_(recurrence) {}

    [[nodiscard]] std::vector<Expr> values() const {
        const Dim& t = time_of(recurrence_);
        const Expr here = recurrence_.update->place[*time_position(recurrence_)];
        std::vector<Expr> out;
        if (definition_.update)
            for (const Expr& v : definition_.update->values) out.push_back(at_step(v));
        else
            for (const Expr& v : definition_.values) out.push_back(at_step(substitute_dims(v, {t}, {here})));
        return out;
    }

private:
    [[nodiscard]] Expr at_step(const Expr& value) const {
        return rewrite(value, [&](const Expr& n) -> Expr {
            const Expr read = state_read(n);
            const Expr& at = read.defined() ? read : n;
            if (at->op == Op::access && at->target().func == recurrence_.func && is_own_place(at))
                return recurrence_.update->values[static_cast<size_t>(at->component())];
            return read;
        });
    }
    [[nodiscard]] bool is_own_place(const Expr& read) const {
        for (size_t d = 0; d < recurrence_.dims.size(); ++d)
            if (!simplify_index(read->args[d]).same_as(simplify_index(recurrence_.update->place[d]))) return false;
        return true;
    }
    // Of what gives a state unchanged.
    [[nodiscard]] Expr state_read(const Expr& n) const {
        if (n->op != Op::access || !n->target().func || n->target().boundary != Boundary::none) return {};
        const auto at = graph_.find(n->target().func.get());
        if (!at || graph_.stages[*at].update || graph_.stages[*at].values.size() != 1) return {};
        const Stage& copy = graph_.stages[*at];
        const Expr& of = copy.values[0];
        if (of->op != Op::access || of->target().func != recurrence_.func || of->target().boundary != Boundary::none) return {};
        const std::vector<Expr> indices(n->args.begin(), n->args.begin() + static_cast<std::ptrdiff_t>(n->index_count()));
        return substitute_dims(of, copy.dims, indices);
    }

    const StageGraph& graph_;
    const Stage& definition_;
    const Stage& recurrence_;
};

// Whether the read is of a step before the one at `place`.
bool is_before(const Expr& index, const Expr& place, bool reverse) {
    const Expr away = simplify_index(reverse ? index - place : place - index);
    return proves_nonnegative(simplify_index(away - 1), {.extents_positive = true});
}

bool is_within(const Interval& needed, const Dim& d) {
    return needed.bounded() && proves_nonnegative(needed.low, {.extents_positive = true}) &&
           proves_nonnegative(simplify_index(whole_dim(d).high - needed.high), {.extents_positive = true});
}

// Whether all states of recurrences over these dims are needed inside their extents, in time also before the first step.
bool are_states_inside(const StageGraph& graph, const Stage& recurrence) {
    const RequiredRegions regions = required_regions(graph.algorithm.state());
    for (const Func& f : graph.algorithm.funcs()) {
        const auto region = regions.find(f.state().get());
        if (!f.state()->recurrence || region == regions.end() || f.dims().size() != recurrence.dims.size()) continue;
        for (size_t d = 0; d < f.dims().size(); ++d)
            if (f.dims()[d].id() != time_of(recurrence).id() && !is_within(region->second[d], f.dims()[d])) return false;
    }
    return true;
}

bool is_needed_in_steps(const StageGraph& graph, const Stage& definition, const Dim& t) {
    const RequiredRegions regions = required_regions(graph.algorithm.state());
    const auto region = regions.find(definition.func.get());
    if (region == regions.end()) return false;
    for (size_t d = 0; d < definition.dims.size(); ++d) {
        if (definition.dims[d].id() != t.id()) continue;
        return is_within(region->second[d], t);
    }
    return false;
}

// What is said of a definition in the schedule, beside whose steps it is in.
void check_spec(const Stage& s, const StageSpec& spec, const std::string& recurrence, const Schedule& schedule) {
    const StageSpec& with = schedule.stages.at(recurrence);
    if (spec.compute != with.compute)
        throw Error(E0504_placement, s.where,
                    fmt::format("{} shares the steps of {} but is computed elsewhere", s.name, recurrence),
                    {fix(fmt::format("give {} the placement of {}", s.name, recurrence)), fix("remove fuse_with")});
    for (const auto& [other, placed] : schedule.stages)
        if (placed.compute && placed.compute->kind == Compute::Kind::at && placed.compute->at.stage == s.name)
            throw Error(E0504_placement, s.where,
                        fmt::format("{} is placed at a loop of {}, which shares the steps of {}", other, s.name, recurrence),
                        {fix(fmt::format("compute {} at root", other))});
}

}  // namespace

std::string why_not_in_steps(const StageGraph& graph, size_t definition, size_t recurrence) {
    const Stage &d = graph.stages[definition], &r = graph.stages[recurrence];
    const bool steps = d.kind == Stage::Kind::recurrence;
    if ((d.update && !steps) || d.output || r.kind != Stage::Kind::recurrence)
        return "it is neither a definition nor a recurrence beside a recurrence";
    for (const Stage* s : {&r, &d})
        if (s->update && (s->update->reduction_dims.size() != 1 || s->update->condition.defined() || !time_position(*s)))
            return fmt::format("{} has more in a step than its states", s->name);
    if (!std::equal(d.dims.begin(), d.dims.end(), r.dims.begin(), r.dims.end(),
                    [](const Dim& a, const Dim& b) { return a.id() == b.id(); }))
        return fmt::format("{} and {} have different dims", d.name, r.name);
    if (steps) {
        for (size_t k = 0; k < r.dims.size(); ++k)
            if (!d.update->place[k].same_as(r.update->place[k]))
                return fmt::format("{} and {} run over different steps", d.name, r.name);
        if (!are_states_inside(graph, r)) return fmt::format("states are needed outside the extents of {}", r.name);
    } else if (!is_needed_in_steps(graph, d, time_of(r)))
        return fmt::format("{} is needed at other points than the steps", d.name);
    const auto needs = needed_stages(graph);
    if (needs[recurrence][definition]) return fmt::format("{} needs {}", r.name, d.name);
    const size_t t = *time_position(r);
    const bool reverse = !r.update->place[t].same_as(make_dim(time_of(r)));
    std::string reason;
    for_each_node(steps ? d.values : std::vector<Expr>{}, [&](const Expr& n) {
        const auto from = n->op == Op::access && n->target().func ? graph.find(n->target().func.get()) : std::nullopt;
        if (from && (*from == recurrence || needs[*from][recurrence]))
            reason = fmt::format("{} begins with {}, which needs {}", d.name, graph.stages[*from].name, r.name);
    });
    for_each_node(InStep(graph, d, r).values(), [&](const Expr& n) {
        if (!reason.empty() || n->op != Op::access || !n->target().func) return;
        const auto from = graph.find(n->target().func.get());
        if (n->target().func == r.func) {
            if (n->target().boundary != Boundary::none || !is_before(n->args[t], r.update->place[t], reverse))
                reason = fmt::format("{} reads a state of {} at another step than those before", d.name, r.name);
        } else if (from && *from != definition && needs[*from][recurrence]) {
            reason = fmt::format("{} reads {}, which needs {}", d.name, graph.stages[*from].name, r.name);
        }
    });
    return reason;
}

double cost_beside_step(const StageGraph& graph, size_t definition, size_t recurrence) {
    std::set<const ExprNode*> in_step;
    for_each_node(graph.stages[recurrence].update->values, [&](const Expr& n) { in_step.insert(n.get()); });
    double cost = 0;
    for_each_node(InStep(graph, graph.stages[definition], graph.stages[recurrence]).values(),
                  [&](const Expr& n) { cost += in_step.count(n.get()) ? 0 : op_cost(*n); });
    return cost;
}

void join_step(StageGraph& graph, size_t definition, size_t recurrence) {
    const Stage d = graph.stages[definition];
    Stage joined = graph.stages[recurrence];
    const std::shared_ptr<FuncState> before = joined.func;
    const auto begins = static_cast<int>(joined.dtypes.size());
    const std::vector<Expr> values = InStep(graph, d, joined).values();
    for (size_t c = 0; c < values.size(); ++c) {
        joined.dtypes.push_back(d.dtypes[c]);
        if (d.update)
            joined.values.push_back(d.values[c]);
        else
            joined.values.push_back(is_float(d.dtypes[c]) ? make_constant(d.dtypes[c], 0.0)
                                                          : make_constant(d.dtypes[c], std::int64_t{0}));
        joined.update->values.push_back(values[c]);
    }
    joined.func = make_stage_func(joined.name, joined.dims, joined.dtypes, joined.where);
    graph.stages[recurrence] = joined;
    graph.stages.erase(graph.stages.begin() + static_cast<std::ptrdiff_t>(definition));
    for (Stage& s : graph.stages)
        edit_exprs(s, [&](const Expr& e) {
            return rewrite(e, [&](const Expr& n) -> Expr {
                if (n->op != Op::access || (n->target().func != before && n->target().func != d.func)) return {};
                AccessTarget target = n->target();
                const int component = n->component() + (target.func == before ? 0 : begins);
                target.func = joined.func;
                return make_access(target, n->args, n->dtype, component, n->where);
            });
        });
    sort_producers_first(graph);
}

void join_steps(StageGraph& graph, Schedule& schedule) {
    // One may need another that is joined to the same steps: all that can be joined are, until nothing changes.
    while (true) {
        std::map<std::string, std::string> reasons;
        bool any = false;
        std::vector<std::string> names;
        for (const auto& [name, spec] : schedule.stages)
            if (spec.fuse_with && graph.find(name) && graph.find(spec.fuse_with->stage)) names.push_back(name);
        for (const std::string& name : names) {
            const StageSpec spec = schedule.stages.at(name);
            const size_t member = *graph.find(name), recurrence = *graph.find(spec.fuse_with->stage);
            const Stage &d = graph.stages[member], &r = graph.stages[recurrence];
            if ((d.update && d.kind != Stage::Kind::recurrence) || r.kind != Stage::Kind::recurrence ||
                !schedule.stages.count(r.name))
                continue;
            check_spec(d, spec, r.name, schedule);
            std::string reason = why_not_in_steps(graph, member, recurrence);
            if (reason.empty() && (spec.loops || spec.init || spec.store != StoreSpec{}))
                reason = fmt::format("{} has loops or storage of its own", name);
            if (reason.empty() && spec.fuse_with->loop != time_of(r).name())
                reason = fmt::format("the steps of {} are its loop {}", r.name, time_of(r).name());
            if (!reason.empty()) {
                reasons.emplace(name, reason);
                continue;
            }
            join_step(graph, member, recurrence);
            schedule.stages.erase(name);
            any = true;
        }
        if (any) continue;
        if (reasons.empty()) return;
        const auto& [name, reason] = *reasons.begin();
        throw Error(E0506_loop_kind, graph.stages[*graph.find(name)].where,
                    fmt::format("{} shares the steps of {}, but {}", name, schedule.stages.at(name).fuse_with->stage, reason),
                    {fix(fmt::format("compute {} at root with loops of its own", name))});
    }
}

}  // namespace tessera
