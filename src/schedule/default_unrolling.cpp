#include "schedule/default_unrolling.h"

#include "schedule/constant_regions.h"
#include "schedule/derived_stages.h"

#include <algorithm>

namespace tessera {
namespace {

bool unrolls_whole(const StageSpec& spec, const Dim& dim) {
    if (!spec.loops || !dim.extent().constant()) return false;
    const auto own = [&](const LoopSpec& l) { return l.dim == dim.name(); };
    return std::count_if(spec.loops->begin(), spec.loops->end(), own) == 1 &&
           std::find_if(spec.loops->begin(), spec.loops->end(), own)->as == LoopKind::unroll;
}

bool may_leave(const Expr& index, const Dim& dim) {
    const auto extent = dim.extent().constant();
    if (!extent || integer_constant(index)) return false;
    const auto own = index->op == Op::dim ? index->dim().extent().constant() : std::nullopt;
    return !own || *own > *extent;
}

// Whether a stage is read along a constant dim at an index that may leave it.
bool may_be_left(const StageGraph& graph) {
    bool found = false;
    for (const Stage& s : graph.stages)
        for_each_node(exprs_of(s), [&](const Expr& n) {
            if (n->op != Op::access || !n->target().func || n->target().boundary != Boundary::none) return;
            for (size_t d = 0; d < n->target().func->dims.size(); ++d)
                found = found || may_leave(n->args[d], n->target().func->dims[d]);
        });
    return found;
}

}  // namespace

void unroll_only_constant(const Algorithm& algorithm, const StageGraph& graph, Schedule& schedule) {
    if (!may_be_left(graph)) return;
    const BoundSchedule bound = bind(algorithm, schedule);
    ConstantRegions regions(bound);
    for (size_t i = 0; i < bound.stages.size(); ++i) {
        const Stage& s = bound.graph.stages[i];
        const auto found = schedule.stages.find(s.name);
        if (s.output || bound.stages[i].compute_at || found == schedule.stages.end()) continue;
        for (size_t d = 0; d < s.dims.size(); ++d) {
            if (!unrolls_whole(found->second, s.dims[d]) || regions.without_conditions(i, d) || regions.of(i, d)) continue;
            for (LoopSpec& loop : *found->second.loops)
                if (loop.dim == s.dims[d].name()) loop.as = LoopKind::serial;
        }
    }
}

}  // namespace tessera
