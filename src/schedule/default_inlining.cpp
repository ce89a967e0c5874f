#include "schedule/default_inlining.h"

#include "expr/op_cost.h"
#include "schedule/default_contraction.h"
#include "schedule/derived_stages.h"
#include "schedule/inline_stages.h"
#include "schedule/stage_cost.h"

#include <algorithm>

namespace tessera {
namespace {

// One operation on what other definitions hold at the same point: no dearer than reading the result back.
bool is_light(const StageGraph& graph, const Stage& s) {
    double operations = 0;
    bool same_point = true;
    for_each_node(s.values, [&](const Expr& n) {
        if (n->op != Op::access) {
            operations += op_cost(*n);
            return;
        }
        same_point = same_point && n->target().func && n->index_count() == s.dims.size() && is_pointwise(n) &&
                     !graph.stages[*graph.find(n->target().func.get())].update;
    });
    return same_point && operations <= 1;
}

bool is_reduced(const StageGraph& graph, size_t i) {
    const auto reads = reads_of(graph, i);
    return std::any_of(reads.begin(), reads.end(), [&](const Read& r) { return graph.stages[r.user].update && !r.in_init; });
}

// Readers take one component each: inline they share no operations, but neither store nor load any.
bool keeps_tuple(const StageGraph& graph, size_t i, double reuse) {
    const Stage& s = graph.stages[i];
    const auto cost = [&](const std::vector<Expr>& values) {
        double sum = 0;
        // What does not change along the last dim is computed outside of its loop.
        for_each_node(values, [&](const Expr& n) { sum += contains_dim(free_dims(n), s.dims.back()) ? op_cost(*n) : 0; });
        return sum;
    };
    if (s.dims.empty()) return true;
    const auto reads = reads_of(graph, i);
    double apart = 0;
    for (const Read& r : reads)
        apart += cost({s.values[static_cast<size_t>(r.access->component())]}) * reuse / static_cast<double>(reads.size());
    return apart - cost(s.values) > cheap_recompute * static_cast<double>(s.values.size());
}

// A definition is stored when its cells are read several times and cost more than reading them back.
bool keeps(const StageGraph& graph, size_t i) {
    const double cost = cost_with_reductions(graph, i);
    const double reuse = reuse_of(graph, i);
    bool wrapped = false;
    for (const Read& r : reads_of(graph, i)) wrapped = wrapped || r.access->target().boundary != Boundary::none;
    if (wrapped && cost > 2) return true;
    // A contraction has its register tiles in a definition; reductions that read it add nothing to them.
    if (contraction_of(graph, i) && is_reduced(graph, i)) return true;
    if (is_light(graph, graph.stages[i])) return false;
    if (graph.stages[i].values.size() > 1 && !graph.stages[i].update) return keeps_tuple(graph, i, reuse);
    return cost * (reuse - 1) > cheap_recompute && cost > 2;
}

}  // namespace

double cost_with_reductions(const StageGraph& graph, size_t i) {
    double cost = cell_cost(graph.stages[i]);
    for (const Stage& p : graph.stages)
        if (p.update && reads(graph.stages[i], p.func.get())) cost += cell_cost(p);
    return cost;
}

void inline_definitions(StageGraph& graph) {
    for (size_t i = 0; i < graph.stages.size();) {
        const Stage& s = graph.stages[i];
        if (s.update || s.output || keeps(graph, i)) {
            ++i;
            continue;
        }
        inline_stage(graph, i);
        sort_producers_first(graph);
        i = 0;
    }
}

}  // namespace tessera
