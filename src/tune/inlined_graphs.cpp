#include "tune/inlined_graphs.h"

#include "schedule/inline_stages.h"
#include "schedule/routine_stages.h"

#include <algorithm>

namespace tessera::tune {
namespace {

constexpr double worst_recompute = 512;  // operations times reuse; more is never inlined
constexpr size_t most_kept = 512;

std::shared_ptr<const InlinedGraph> with_reads(StageGraph graph, std::string inlined) {
    std::vector<std::vector<Read>> reads = all_reads(graph);
    std::vector<bool> may_inline;
    for (size_t i = 0; i < graph.stages.size(); ++i) {
        const Stage& s = graph.stages[i];
        may_inline.push_back(!s.update && !s.output && !stands_at_root(graph, i) &&
                             cell_cost(s) * std::max(reuse_of(graph, i, reads[i]), 1.0) <= worst_recompute);
    }
    return std::make_shared<const InlinedGraph>(
        InlinedGraph{std::move(graph), std::move(reads), std::move(may_inline), std::move(inlined)});
}

}  // namespace

InlinedGraphs::InlinedGraphs(StageGraph whole) : whole_(with_reads(std::move(whole), "")) {}

std::shared_ptr<const InlinedGraph> InlinedGraphs::without(const InlinedGraph& from, size_t stage) const {
    std::string inlined = from.inlined + from.graph.stages[stage].name + "\n";
    const std::lock_guard lock(mutex_);
    if (const auto found = made_.find(inlined); found != made_.end()) return found->second;
    if (made_.size() >= most_kept) made_.clear();
    StageGraph graph = from.graph;
    inline_stage(graph, stage);
    auto made = with_reads(std::move(graph), inlined);
    return made_.emplace(std::move(inlined), std::move(made)).first->second;
}

}  // namespace tessera::tune
