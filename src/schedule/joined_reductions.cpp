#include "schedule/joined_reductions.h"

#include "schedule/derived_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace tessera {
namespace {

bool same_dims(const std::vector<Dim>& a, const std::vector<Dim>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Dim& x, const Dim& y) { return x.id() == y.id(); });
}

// Pairs, triples, ... of which each part is combined by its own monoid.
std::shared_ptr<const MonoidState> product_of(const std::vector<std::pair<std::shared_ptr<const MonoidState>, size_t>>& parts) {
    MonoidTraits traits = parts[0].first->traits;
    for (const auto& part : parts) {
        traits.associative = traits.associative && part.first->traits.associative;
        traits.commutative = traits.commutative && part.first->traits.commutative;
    }
    const auto identity = [parts](const std::vector<DType>& types) {
        std::vector<Expr> all;
        for (const auto& [monoid, size] : parts) {
            const auto from = types.begin() + static_cast<std::ptrdiff_t>(all.size());
            const Tuple own = monoid->identity(std::vector<DType>(from, from + static_cast<std::ptrdiff_t>(size)));
            for (size_t c = 0; c < size; ++c) all.push_back(own[c]);
        }
        return Tuple(all);
    };
    const auto combine = [parts](const Tuple& a, const Tuple& b) {
        std::vector<Expr> all;
        for (const auto& [monoid, size] : parts) {
            std::vector<Expr> left, right;
            for (size_t c = 0; c < size; ++c) {
                left.push_back(a[all.size() + c]);
                right.push_back(b[all.size() + c]);
            }
            const Tuple own = monoid->combine(Tuple(left), Tuple(right));
            for (size_t c = 0; c < size; ++c) all.push_back(own[c]);
        }
        return Tuple(all);
    };
    return monoid(parts[0].first->name, identity, combine, traits).shared();
}

// The schedule's part: what is joined, and that nothing else is said of it.
class JoinedByLoops {
public:
    JoinedByLoops(StageGraph& graph, Schedule& schedule, Target::Kind target)
        : graph_(graph), schedule_(schedule), target_(target) {}

    void run() {
        std::map<std::string, std::vector<std::string>> members;
        for (size_t i = 0; i < graph_.stages.size(); ++i) {
            const auto spec = schedule_.stages.find(stage(i).name);
            if (spec == schedule_.stages.end() || !spec->second.fuse_with || spec->second.fuse_with->online) continue;
            const FuseWith& with = *spec->second.fuse_with;
            const auto leader = graph_.find(with.stage);
            if (!leader || *leader == i || !shares_reduced_loop(i, *leader, with.loop)) continue;
            if (target_ != Target::Kind::cpu && spec->second.loops && has_other_cells(stage(i), stage(*leader))) continue;
            check(i, *leader, spec->second);
            members[with.stage].push_back(stage(i).name);
        }
        for (const auto& [leader, names] : members) {
            check_places(leader, names);
            std::vector<size_t> at;
            for (const std::string& name : names) at.push_back(*graph_.find(name));
            join_reductions(graph_, *graph_.find(leader), at);
            for (const std::string& name : names) schedule_.stages.erase(name);
        }
    }

private:
    [[nodiscard]] const Stage& stage(size_t i) const { return graph_.stages[i]; }

    [[nodiscard]] bool shares_reduced_loop(size_t member, size_t leader, const std::string& loop) const {
        const auto spec = schedule_.stages.find(stage(leader).name);
        if (stage(member).kind != Stage::Kind::reduction || stage(leader).kind != Stage::Kind::reduction) return false;
        if (spec == schedule_.stages.end() || !spec->second.loops) return false;
        const std::vector<Dim>& reduced = stage(leader).update->reduction_dims;
        return std::any_of(spec->second.loops->begin(), spec->second.loops->end(), [&](const LoopSpec& l) {
            const bool named = l.name.empty() ? l.dim == loop : l.name == loop;
            return named && std::any_of(reduced.begin(), reduced.end(), [&](const Dim& d) {
                       return d.name() == l.dim || d.name() == parse_layout_entry(l.dim).dim;
                   });
        });
    }

    static bool has_other_cells(const Stage& a, const Stage& b) {
        return !same_dims(a.dims, b.dims) && same_dims(a.update->reduction_dims, b.update->reduction_dims);
    }

    void check(size_t member, size_t leader, const StageSpec& spec) const {
        const Stage &m = stage(member), &l = stage(leader);
        const StageSpec& with = schedule_.stages.at(l.name);
        if (with.fuse_with)
            throw Error(E0504_placement, m.where,
                        fmt::format("{} is fused with {}, which is fused with {}", m.name, l.name, with.fuse_with->stage),
                        {fix(fmt::format("fuse {} with {} too", m.name, with.fuse_with->stage))});
        if (spec.compute != with.compute)
            throw Error(E0504_placement, m.where,
                        fmt::format("{} shares all loops of {} but is computed elsewhere", m.name, l.name),
                        {fix(fmt::format("give {} the placement of {}", m.name, l.name)), fix("remove fuse_with")});
        std::string reason = why_not_joined(graph_, leader, member);
        if (reason.empty() && ((spec.loops && spec.loops != with.loops) || spec.init || spec.store != StoreSpec{}))
            reason = fmt::format("{} has loops or storage of its own", m.name);
        if (!reason.empty())
            throw Error(E0506_loop_kind, m.where,
                        fmt::format("{} shares the reduced loop {} of {}, but {}", m.name, spec.fuse_with->loop, l.name, reason),
                        {fix(fmt::format("leave loops, init and store of {} to {}", m.name, l.name)), fix("remove fuse_with")});
    }

    // Nothing is placed in what has no loops of its own, and none needs another.
    void check_places(const std::string& leader, const std::vector<std::string>& names) const {
        for (const auto& [other, spec] : schedule_.stages)
            for (const std::string& name : names)
                if (spec.compute && spec.compute->kind == Compute::Kind::at && spec.compute->at.stage == name)
                    throw Error(E0504_placement, stage(*graph_.find(name)).where,
                                fmt::format("{} is placed at a loop of {}, which shares all loops of {}", other, name, leader),
                                {fix(fmt::format("place {} at a loop of {}", other, leader))});
        const auto needs = needed_stages(graph_);
        std::vector<std::string> all = names;
        all.push_back(leader);
        for (const std::string& user : all)
            for (const std::string& producer : all)
                if (user != producer && needs[*graph_.find(user)][*graph_.find(producer)])
                    throw Error(E0504_placement, stage(*graph_.find(user)).where,
                                fmt::format("{} is fused with {}, but {} needs values of {}", all[0], leader, user, producer),
                                {fix("fuse stages of which none reads the other")});
    }

    StageGraph& graph_;
    Schedule& schedule_;
    Target::Kind target_;
};

}  // namespace

std::vector<std::vector<bool>> needed_stages(const StageGraph& graph) {
    const size_t count = graph.stages.size();
    std::map<const FuncState*, size_t> index;
    for (size_t i = 0; i < count; ++i) index[graph.stages[i].func.get()] = i;
    // Producers stand before their users, so what they need is known.
    std::vector<std::vector<bool>> needs(count, std::vector<bool>(count, false));
    for (size_t i = 0; i < count; ++i)
        for_each_node(exprs_of(graph.stages[i]), [&](const Expr& n) {
            if (n->op != Op::access || !n->target().func) return;
            const auto found = index.find(n->target().func.get());
            if (found == index.end() || found->second == i || needs[i][found->second]) return;
            needs[i][found->second] = true;
            for (size_t k = 0; k < found->second; ++k) needs[i][k] = needs[i][k] || needs[found->second][k];
        });
    return needs;
}

std::string why_not_joined(const StageGraph& graph, size_t a, size_t b) {
    const Stage &x = graph.stages[a], &y = graph.stages[b];
    if (x.kind != Stage::Kind::reduction || y.kind != Stage::Kind::reduction) return "both are not reductions";
    if (!same_dims(x.dims, y.dims)) return fmt::format("{} and {} have different dims", x.name, y.name);
    if (!same_dims(x.update->reduction_dims, y.update->reduction_dims))
        return fmt::format("{} and {} reduce over different dims", x.name, y.name);
    const Expr &here = x.update->condition, &there = y.update->condition;
    if (here.defined() != there.defined() || (here.defined() && !here.same_as(there)))
        return fmt::format("{} and {} take different points", x.name, y.name);
    if (!(x.update->order == y.update->order) || !x.update->monoid || !y.update->monoid)
        return fmt::format("{} and {} have different orders", x.name, y.name);
    return {};
}

void join_reductions(StageGraph& graph, size_t leader, const std::vector<size_t>& others) {
    std::vector<size_t> parts{leader};
    parts.insert(parts.end(), others.begin(), others.end());
    Stage joined = graph.stages[leader];
    std::map<const FuncState*, size_t> begins;  // of a part's components
    std::vector<std::pair<std::shared_ptr<const MonoidState>, size_t>> monoids;
    joined.dtypes.clear();
    joined.values.clear();
    joined.update->values.clear();
    for (const size_t p : parts) {
        const Stage& s = graph.stages[p];
        begins[s.func.get()] = joined.dtypes.size();
        monoids.emplace_back(s.update->monoid, s.dtypes.size());
        joined.dtypes.insert(joined.dtypes.end(), s.dtypes.begin(), s.dtypes.end());
        joined.values.insert(joined.values.end(), s.values.begin(), s.values.end());
        joined.update->values.insert(joined.update->values.end(), s.update->values.begin(), s.update->values.end());
    }
    joined.update->monoid = product_of(monoids);
    joined.func = make_stage_func(joined.name, joined.dims, joined.dtypes, joined.where);
    graph.stages[leader] = joined;
    std::vector<Stage> kept;
    for (size_t i = 0; i < graph.stages.size(); ++i)
        if (std::find(others.begin(), others.end(), i) == others.end()) kept.push_back(graph.stages[i]);
    graph.stages = std::move(kept);
    for (Stage& s : graph.stages)
        edit_exprs(s, [&](const Expr& e) {
            return rewrite(e, [&](const Expr& n) -> Expr {
                if (n->op != Op::access || !n->target().func) return {};
                const auto part = begins.find(n->target().func.get());
                if (part == begins.end()) return {};
                AccessTarget target = n->target();
                target.func = joined.func;
                return make_access(target, n->args, n->dtype, n->component() + static_cast<int>(part->second), n->where);
            });
        });
    sort_producers_first(graph);
}

void join_reductions(StageGraph& graph, Schedule& schedule, Target::Kind target) { JoinedByLoops(graph, schedule, target).run(); }

}  // namespace tessera
