#include "backend/cpu/step_order.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::cpu {

std::vector<Dim> carried_dims(const Stage& s) {
    std::vector<Dim> out;
    for (const Dim& d : update_pure_dims(s)) {
        size_t at = 0;
        while (s.dims[at].id() != d.id()) ++at;
        for_each_node(s.update->values, [&](const Expr& n) {
            if (n->op != Op::access || n->target().func != s.func) return;
            const Expr& index = n->args[at];
            if ((index->op != Op::dim || index->dim().id() != d.id() || n->target().boundary != Boundary::none) &&
                !contains_dim(out, d))
                out.push_back(d);
        });
    }
    return out;
}

BoundSchedule with_steps_outermost(BoundSchedule bound) {
    for (size_t i = 0; i < bound.stages.size(); ++i) {
        const Stage& s = bound.graph.stages[i];
        if (!s.update || !s.update->sequential) continue;
        const std::vector<Dim> carried = carried_dims(s);
        const auto is_step = [&](const BoundLoop& loop) { return !contains_dim(carried, loop.dim); };
        auto& nest = bound.stages[i].update;
        if (carried.empty() || std::is_partitioned(nest.begin(), nest.end(), is_step)) continue;
        std::stable_partition(nest.begin(), nest.end(), is_step);
        for (const BoundStage& other : bound.stages)
            if (other.compute_at && other.compute_at->stage == i)
                throw Limit(L0903_schedule, s.where,
                            fmt::format("a stage is computed at a loop of {}, whose steps have to stand outside {}", s.name,
                                        carried[0].name()),
                            {fix(fmt::format("list the loop over {} first", s.update->reduction_dims[0].name()))});
    }
    return bound;
}

}  // namespace tessera::cpu
