#include "schedule/default_sums.h"

#include "schedule/default_contraction.h"
#include "schedule/default_updates.h"
#include "schedule/derived_stages.h"
#include "schedule/joined_reductions.h"
#include "schedule/joined_steps.h"
#include "schedule/stage_cost.h"

#include <algorithm>
#include <set>

namespace tessera {
namespace {

constexpr double least_shared = 15;  // operations: less is computed again for what it costs to store
constexpr size_t most_joined = 64;   // results a column, which stay in the first cache with what a row of them reads

// Sums over many points are not worth keeping apart to stand in the rows of what reads them.
bool is_column_sum(const StageGraph& graph, size_t i) {
    constexpr double many = 256;
    const Stage& s = graph.stages[i];
    if (s.kind != Stage::Kind::reduction || s.dims.empty() || s.update->order.kind != Order::Kind::any) return false;
    double points = 1;
    for (const Dim& d : s.update->reduction_dims) points *= estimated_extent(d);
    if (points <= (s.dims.size() == 1 ? small_reduction : many) || reduces_contiguously(s)) return false;
    for (size_t user = 0; user < graph.stages.size(); ++user)
        for (const size_t sum : contractions_of(graph, user))
            if (sum == i) return false;
    return true;
}

// The arrays of at least two dims that a reduction reads, itself or through definitions.
std::set<const void*> arrays_read(const StageGraph& graph, const Stage& reduction) {
    std::set<const void*> arrays;
    std::vector<Expr> open = reduction.update->values;
    while (!open.empty()) {
        const std::vector<Expr> now = std::move(open);
        open.clear();
        for_each_node(now, [&](const Expr& n) {
            if (n->op != Op::access || n->index_count() < 2 || n->target().func == reduction.func) return;
            const auto& func = n->target().func;
            const void* const array = func ? static_cast<const void*>(func.get()) : n->target().input.get();
            if (!arrays.insert(array).second || !func) return;
            if (const auto at = graph.find(func.get()); at && !graph.stages[*at].update)
                open.insert(open.end(), graph.stages[*at].values.begin(), graph.stages[*at].values.end());
        });
    }
    return arrays;
}

// The first reduction with others that can be joined to it.
std::vector<size_t> next_group(const StageGraph& graph, const std::vector<std::set<const void*>>& arrays,
                               const std::vector<std::vector<bool>>& needs) {
    const auto meet = [&](size_t a, size_t b) {
        return std::any_of(arrays[a].begin(), arrays[a].end(), [&](const void* x) { return arrays[b].count(x) != 0; });
    };
    for (size_t leader = 0; leader < graph.stages.size(); ++leader) {
        if (arrays[leader].empty()) continue;
        std::vector<size_t> group{leader};
        size_t results = graph.stages[leader].dtypes.size();
        for (size_t i = leader + 1; i < graph.stages.size(); ++i) {
            if (arrays[i].empty() || !why_not_joined(graph, leader, i).empty()) continue;
            if (results + graph.stages[i].dtypes.size() > most_joined) continue;
            if (std::none_of(group.begin(), group.end(), [&](size_t g) { return meet(g, i); })) continue;
            if (std::any_of(group.begin(), group.end(), [&](size_t g) { return needs[i][g] || needs[g][i]; })) continue;
            group.push_back(i);
            results += graph.stages[i].dtypes.size();
        }
        if (group.size() > 1) return group;
    }
    return {};
}

// Whether recurrence `d` reads the states of `r` at its own columns, and something else reads them too. What `d` alone reads may
// stay in strips.
bool follows_beside(const StageGraph& graph, size_t d, size_t r) {
    bool beside = false, follows = false;
    for (const Read& read : reads_of(graph, r)) {
        if (read.user == d) {
            for (size_t k = 0; k < graph.stages[r].dims.size(); ++k) {
                const Dim& own = graph.stages[r].dims[k];
                const Expr& at = read.access->args[k];
                if (own.id() != graph.stages[r].update->reduction_dims[0].id() && !at.same_as(make_dim(own))) return false;
            }
            follows = true;
        } else
            beside = true;
    }
    return beside && follows;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> join_column_sums(StageGraph& graph) {
    std::vector<std::pair<std::string, std::string>> shared;
    while (true) {
        std::vector<std::set<const void*>> arrays;
        for (size_t i = 0; i < graph.stages.size(); ++i)
            arrays.push_back(is_column_sum(graph, i) ? arrays_read(graph, graph.stages[i]) : std::set<const void*>{});
        const std::vector<size_t> group = next_group(graph, arrays, needed_stages(graph));
        if (group.empty()) return shared;
        for (size_t i = 1; i < group.size(); ++i) shared.emplace_back(graph.stages[group[i]].name, graph.stages[group[0]].name);
        join_reductions(graph, group[0], {group.begin() + 1, group.end()});
    }
}

std::vector<std::pair<std::string, std::string>> join_step_values(StageGraph& graph) {
    std::vector<std::pair<std::string, std::string>> shared;
    std::vector<std::string> recurrences, definitions;
    for (const Stage& s : graph.stages) {
        if (s.kind == Stage::Kind::recurrence) recurrences.push_back(s.name);
        if (!s.update && !s.output && cell_cost(s) >= least_shared) definitions.push_back(s.name);
    }
    for (const std::string& r : recurrences)
        for (const std::string& d : definitions) {
            const auto definition = graph.find(d), recurrence = graph.find(r);
            if (!definition || !reads(graph.stages[*definition], graph.stages[*recurrence].func.get())) continue;
            if (!why_not_in_steps(graph, *definition, *recurrence).empty()) continue;
            if (cost_beside_step(graph, *definition, *recurrence) > cell_cost(graph.stages[*definition]) / 4) continue;
            join_step(graph, *definition, *recurrence);
            shared.emplace_back(d, r);
        }
    for (const std::string& r : recurrences)
        for (const std::string& d : recurrences) {
            const auto first = graph.find(r), second = graph.find(d);
            if (r == d || !first || !second || !follows_beside(graph, *second, *first)) continue;
            const bool leads = std::any_of(shared.begin(), shared.end(), [&](const auto& pair) { return pair.second == d; });
            if (leads || !why_not_in_steps(graph, *second, *first).empty()) continue;
            join_step(graph, *second, *first);
            shared.emplace_back(d, r);
        }
    return shared;
}

void share_all_loops(const StageGraph& joined, const std::vector<std::pair<std::string, std::string>>& shared,
                     Schedule& schedule) {
    for (const auto& [member, leader] : shared) {
        const StageSpec& spec = schedule.stages.at(leader);
        const std::vector<Dim>& reduced = joined.stages[*joined.find(leader)].update->reduction_dims;
        std::string loop;
        for (const LoopSpec& l : *spec.loops)
            for (const Dim& d : reduced)
                if (d.name() == parse_layout_entry(l.dim).dim) loop = l.name.empty() ? l.dim : l.name;
        StageSpec& own = schedule.stages[member];
        own = {};
        own.compute = spec.compute;
        own.fuse_with = FuseWith{leader, loop};
    }
}

}  // namespace tessera
