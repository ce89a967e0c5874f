#include "tune/inlined_graphs.h"

#include "schedule/inline_stages.h"
#include "schedule/routine_stages.h"

#include <algorithm>

namespace tessera::tune {
namespace {

constexpr double worst_recompute = 512;  // operations times reuse; more is never inlined
constexpr size_t most_kept = 4096;

std::vector<ReadPattern> patterns_of(const std::vector<Read>& reads) {
    std::vector<ReadPattern> out;
    const auto same = [](const std::vector<Dim>& a, const std::vector<Dim>& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Dim& x, const Dim& y) { return x.id() == y.id(); });
    };
    for (const Read& r : reads) {
        ReadPattern pattern{r.user, {}};
        for (size_t i = 0; i < r.access->index_count(); ++i) pattern.free.push_back(free_dims(r.access->args[i]));
        if (std::none_of(out.begin(), out.end(), [&](const ReadPattern& p) {
                return p.user == r.user &&
                       std::equal(p.free.begin(), p.free.end(), pattern.free.begin(), pattern.free.end(), same);
            }))
            out.push_back(std::move(pattern));
    }
    return out;
}

std::shared_ptr<const InlinedGraph> with_reads(StageGraph graph, std::string inlined) {
    std::vector<std::vector<Read>> reads = all_reads(graph);
    std::vector<std::vector<ReadPattern>> patterns;
    for (const std::vector<Read>& of_stage : reads) patterns.push_back(patterns_of(of_stage));
    std::vector<bool> may_inline;
    for (size_t i = 0; i < graph.stages.size(); ++i) {
        const Stage& s = graph.stages[i];
        may_inline.push_back(!s.update && !s.output && !stands_at_root(graph, i) &&
                             cell_cost(s) * std::max(reuse_of(graph, i, reads[i]), 1.0) <= worst_recompute);
    }
    return std::make_shared<const InlinedGraph>(
        InlinedGraph{std::move(graph), std::move(reads), std::move(patterns), std::move(may_inline), std::move(inlined)});
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
