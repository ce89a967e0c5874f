#include "schedule/default_fusion.h"

#include "schedule/derived_stages.h"
#include "schedule/stage_cost.h"

#include <algorithm>
#include <set>

namespace tessera {
namespace {

constexpr const char* shared_loop = "columns";

std::set<const void*> producers_of(const Stage& s) {
    std::set<const void*> out;
    for_each_node(exprs_of(s), [&](const Expr& n) {
        if (n->op == Op::access)
            out.insert(n->target().func ? static_cast<const void*>(n->target().func.get()) : n->target().input.get());
    });
    return out;
}

std::set<size_t> users_of(const StageGraph& graph, size_t i) {
    std::set<size_t> out;
    for (const Read& r : reads_of(graph, i)) out.insert(r.user);
    return out;
}

LoopSpec* rows_loop(StageSpec& spec) {
    for (LoopSpec& l : *spec.loops)
        if (l.name == "rows") return &l;
    return nullptr;
}

// Whether two nests are one but for how many rows they compute together.
bool are_alike(std::vector<LoopSpec> a, const std::vector<LoopSpec>& b) {
    for (size_t i = 0; i < a.size() && i < b.size(); ++i)
        if (a[i].name == "rows" && b[i].name == "rows") a[i].tile = b[i].tile;
    return a == b;
}

// What is shared is loaded once for both: as many rows as the one takes that has room for fewer.
void share_rows(Schedule& schedule, const std::string& leader, const std::string& joined) {
    LoopSpec* own = rows_loop(schedule.stages.at(joined));
    LoopSpec* first = rows_loop(schedule.stages.at(leader));
    if (!own || !first) return;
    const auto rows = std::min(own->tile, first->tile);
    own->tile = first->tile = rows;
    for (auto& [name, spec] : schedule.stages)
        if (spec.fuse_with && spec.fuse_with->stage == leader) rows_loop(spec)->tile = rows;
}

bool can_share(const StageGraph& graph, const Schedule& schedule, size_t leader, size_t i) {
    const Stage &a = graph.stages[leader], &b = graph.stages[i];
    const auto first = schedule.stages.find(a.name), second = schedule.stages.find(b.name);
    if (a.update || b.update || first == schedule.stages.end() || second == schedule.stages.end()) return false;
    const StageSpec &x = first->second, &y = second->second;
    if (x.fuse_with || !x.compute || x.compute->kind != Compute::Kind::at || x.compute != y.compute || x.store != y.store)
        return false;
    if (!x.loops || !y.loops || !are_alike(*x.loops, *y.loops)) return false;
    if (std::none_of(x.loops->begin(), x.loops->end(), [](const LoopSpec& l) { return l.name == shared_loop; })) return false;
    for (const auto& entry : schedule.stages)
        if (const auto& at = entry.second.compute; at && (at->at.stage == a.name || at->at.stage == b.name)) return false;
    const auto producers = producers_of(a);
    return !producers.empty() && producers == producers_of(b) && users_of(graph, leader) == users_of(graph, i);
}

}  // namespace

void share_row_loops(const StageGraph& graph, Schedule& schedule) {
    for (size_t i = 0; i < graph.stages.size(); ++i)
        for (size_t k = 0; k < i; ++k)
            if (can_share(graph, schedule, k, i)) {
                share_rows(schedule, graph.stages[k].name, graph.stages[i].name);
                schedule.stage(graph.stages[i].name).fuse_with({graph.stages[k].name, shared_loop});
                break;
            }
}

}  // namespace tessera
