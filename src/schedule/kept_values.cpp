#include "schedule/kept_values.h"

namespace tessera {

bool kept_under_condition(const BoundSchedule& bound, size_t stage) {
    const BoundStage& b = bound.stages[stage];
    if (!b.store_root && !b.store_at) return false;
    for (auto at = b.compute_at; at; at = bound.stages[at->stage].compute_at) {
        const auto& update = bound.graph.stages[at->stage].update;
        if (update && update->condition.defined()) return true;
        if (b.store_at && b.store_at->stage == at->stage) return false;
    }
    return false;
}

}  // namespace tessera
