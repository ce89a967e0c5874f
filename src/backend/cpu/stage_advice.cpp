#include "backend/cpu/stage_advice.h"

#include "expr/op_cost.h"

#include <fmt/format.h>

#include <functional>
#include <optional>
#include <set>

namespace tessera::cpu {
namespace {

void add_work(const std::vector<Expr>& roots, double& operations, StageWork& work) {
    std::set<const ExprNode*> seen;
    std::set<const void*> tensors;
    for (const Expr& a : work.accesses)
        tensors.insert(a->target().func ? static_cast<const void*>(a->target().func.get()) : a->target().input.get());
    const std::function<void(const Expr&)> walk = [&](const Expr& e) {
        if (!seen.insert(e.get()).second) return;
        if (e->op == Op::access) {
            const void* tensor = e->target().func ? static_cast<const void*>(e->target().func.get()) : e->target().input.get();
            if (tensors.insert(tensor).second) work.accesses.push_back(e);
            return;
        }
        if (e->op != Op::cast && e->op != Op::select) operations += e->op == Op::fma ? 2 : op_cost(*e);
        for (const Expr& arg : e->args) walk(arg);
    };
    for (const Expr& root : roots) walk(root);
}

bool has_loop(const std::vector<BoundLoop>& nest, LoopKind kind) {
    for (const BoundLoop& loop : nest)
        if (loop.kind == kind) return true;
    return false;
}

// Whether some loop around the stage's values runs on several threads.
bool runs_in_parallel(const BoundSchedule& bound, size_t stage) {
    if (has_loop(bound.main_nest(stage), LoopKind::parallel)) return true;
    const auto& at = bound.stages[stage].compute_at;
    if (!at) return false;
    for (size_t l = 0; l <= at->loop; ++l)
        if (bound.main_nest(at->stage)[l].kind == LoopKind::parallel) return true;
    return runs_in_parallel(bound, at->stage);
}

std::optional<std::string> outermost_pure_loop(const std::vector<BoundLoop>& nest) {
    for (const BoundLoop& loop : nest)
        if (!loop.reduction && loop.kind == LoopKind::serial) return loop.name;
    return std::nullopt;
}

std::string compute_advice(const BoundSchedule& bound, size_t stage) {
    const Stage& s = bound.graph.stages[stage];
    const std::vector<BoundLoop>& nest = bound.main_nest(stage);
    if (!s.dims.empty() && !has_loop(nest, LoopKind::vector))
        return fmt::format("no loop of it is a vector: try its last dim, {}", s.dims.back().name());
    if (!runs_in_parallel(bound, stage)) {
        if (const auto loop = outermost_pure_loop(nest))
            return fmt::format("it runs on one thread: try loop {} in parallel", *loop);
        return "it runs on one thread: try a partial over blocks of what it reduces";
    }
    if (s.update && !s.dims.empty() && !has_loop(nest, LoopKind::unroll))
        return fmt::format("it keeps few sums at a time: try an unrolled loop over {} inside its reduction loops",
                           s.dims.front().name());
    return "it is in vectors and parallel: try other tiles, as tessera-tune does";
}

std::string memory_advice(const BoundSchedule& bound, size_t stage) {
    const BoundStage& placed = bound.stages[stage];
    if (!placed.compute_at && !bound.graph.stages[stage].output && placed.users.size() == 1)
        return fmt::format("memory is what it waits for: try computing it at a loop of {}, in windows that stay in the cache",
                           bound.graph.stages[placed.users[0]].name);
    for (size_t p = 0; p < stage; ++p)
        if (!bound.stages[p].compute_at && bound.stages[p].users == std::vector<size_t>{stage})
            return fmt::format("memory is what it waits for: try computing {} at one of its loops", bound.graph.stages[p].name);
    return "memory is what it waits for, and each value passes once: narrower dtypes would help";
}

}  // namespace

StageWork work_of(const Stage& stage) {
    StageWork work;
    add_work(stage.values, work.init_operations, work);
    if (stage.update) add_work(stage.update->values, work.update_operations, work);
    return work;
}

StageAdvice stage_advice(const BoundSchedule& bound, size_t stage) {
    return {memory_advice(bound, stage), compute_advice(bound, stage)};
}

}  // namespace tessera::cpu
