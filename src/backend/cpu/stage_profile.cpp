#include "backend/cpu/stage_profile.h"

#include "expr/op_cost.h"
#include "schedule/stage_cost.h"

#include <fmt/format.h>

#include <functional>
#include <set>

namespace tessera::cpu {
namespace {

namespace ir = Halide::Internal;
using E = Halide::Expr;

// ---- what a stage has to do

/// Arithmetic and tensors of a stage's definition, those of index expressions apart.
struct Work {
    double init_operations = 0, update_operations = 0;  // of one cell, of one step
    std::vector<Expr> accesses;                         // one per tensor
};

void add_work(const std::vector<Expr>& roots, double& operations, Work& work) {
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

Work work_of(const Stage& stage) {
    Work work;
    add_work(stage.values, work.init_operations, work);
    if (stage.update) add_work(stage.update->values, work.update_operations, work);
    return work;
}

E real(double value) { return ir::make_const(Halide::Float(64), value); }

/// Expressions over the extents of a kernel's dims.
class WorkBuilder {
public:
    WorkBuilder(const BoundSchedule& bound, const Translation& translation) : bound_(bound), translation_(translation) {}

    [[nodiscard]] E operations(size_t s) const {
        const Stage& stage = bound_.graph.stages[s];
        const Work work = work_of(stage);
        E all = real(work.init_operations) * cells(stage.dims);
        if (stage.update) all = all + real(work.update_operations) * cells(update_dims(stage));
        return all;
    }

    /// Tensors that stand in memory of their own, each once.
    [[nodiscard]] E bytes(size_t s) const {
        const Stage& stage = bound_.graph.stages[s];
        E all = real(0);
        if (!bound_.stages[s].compute_at) all = all + cells(stage.dims) * real(cell_bytes(stage.dtypes));
        for (const Expr& access : work_of(stage).accesses) {
            const auto& target = access->target();
            if (!target.func) {
                if (!target.input->scalar) all = all + cells(target.input->dims) * real(dtype_bytes(target.input->dtype));
                continue;
            }
            const auto producer = bound_.graph.find(target.func.get());
            if (!producer || *producer == s || bound_.stages[*producer].compute_at) continue;
            const Stage& from = bound_.graph.stages[*producer];
            all = all + cells(from.dims) * real(cell_bytes(from.dtypes));
        }
        return all;
    }

private:
    static double cell_bytes(const std::vector<DType>& dtypes) {
        double bytes = 0;
        for (const DType t : dtypes) bytes += dtype_bytes(t);
        return bytes;
    }

    static std::vector<Dim> update_dims(const Stage& stage) {
        std::vector<Dim> dims = update_pure_dims(stage);
        for (const Dim& d : stage.update->reduction_dims)
            if (!contains_dim(dims, d)) dims.push_back(d);
        return dims;
    }

    [[nodiscard]] E cells(const std::vector<Dim>& dims) const {
        E product = real(1);
        for (const Dim& d : dims) {
            const auto known = translation_.extents.find(d.id());
            if (known != translation_.extents.end())
                product = product * Halide::cast(Halide::Float(64), known->second);
            else
                product = product * real(estimated_extent(d));
        }
        return product;
    }

    const BoundSchedule& bound_;
    const Translation& translation_;
};

// ---- the pass

class StageTimer : public ir::IRMutator {
public:
    StageTimer(const BoundSchedule& bound, const Translation& translation) : description_(bound.graph.algorithm.name() + "\n") {
        const WorkBuilder work(bound, translation);
        for (size_t s = 0; s < bound.graph.stages.size(); ++s) {
            stages_[halide_name(bound, s)] = stages_[halide_name(bound, s) + "_out"] = static_cast<int>(s);
            const StageAdvice advice = stage_advice(bound, s);
            description_ += bound.graph.stages[s].name + "\n" + advice.memory + "\n" + advice.compute + "\n";
            work_.emplace_back(ir::simplify(work.operations(s)), ir::simplify(work.bytes(s)));
        }
    }

    using ir::IRMutator::mutate;
    ir::Stmt mutate(const ir::Stmt& s) override {
        if (entered_) return ir::IRMutator::mutate(s);
        entered_ = true;
        ir::Stmt body = ir::Block::make(ir::IRMutator::mutate(s), told("end", {}));
        for (size_t i = work_.size(); i-- > 0;)
            body = ir::Block::make(
                told("work", {ir::make_const(Halide::Int(32), static_cast<std::int64_t>(i)), work_[i].first, work_[i].second}),
                body);
        return ir::LetStmt::make(
            handle_name, ir::Call::make(Halide::Handle(), "tessera_profile_begin", {E(description_)}, ir::Call::Extern), body);
    }

private:
    using ir::IRMutator::visit;

    ir::Stmt visit(const ir::ProducerConsumer* op) override {
        const auto found = stages_.find(op->name.substr(0, op->name.find('$')));
        if (!op->is_producer || found == stages_.end()) return ir::IRMutator::visit(op);
        const int outer = here_;
        here_ = found->second;
        const ir::Stmt body = timed("enter", mutate(op->body));
        here_ = outer;
        return ir::ProducerConsumer::make(op->name, true, body);
    }

    ir::Stmt visit(const ir::For* op) override {
        if (op->for_type != ir::ForType::Parallel || here_ < 0) return ir::IRMutator::visit(op);
        return ir::For::make(op->name, op->min, op->extent, op->for_type, op->partition_policy, op->device_api,
                             timed("task", mutate(op->body)));
    }

    [[nodiscard]] ir::Stmt timed(const char* begin, const ir::Stmt& body) const {
        return ir::Block::make({told(begin, {here_}), body, told("leave", {})});
    }

    static ir::Stmt told(const std::string& what, std::vector<E> args) {
        args.insert(args.begin(), ir::Variable::make(Halide::Handle(), handle_name));
        return ir::Evaluate::make(ir::Call::make(Halide::Int(32), "tessera_profile_" + what, args, ir::Call::Extern));
    }

    static constexpr const char* handle_name = "tessera_profile";
    std::string description_;
    std::map<std::string, int> stages_;
    std::vector<std::pair<E, E>> work_;
    bool entered_ = false;
    int here_ = -1;
};

// ---- advice

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

StageAdvice stage_advice(const BoundSchedule& bound, size_t stage) {
    return {memory_advice(bound, stage), compute_advice(bound, stage)};
}

void profile_stages(Halide::Pipeline& pipeline, const BoundSchedule& bound, const Translation& translation) {
    pipeline.add_custom_lowering_pass(new StageTimer(bound, translation));
}

}  // namespace tessera::cpu
