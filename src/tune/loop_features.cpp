#include "tune/loop_features.h"

#include <tessera/tune_space.h>

#include "base/match.h"
#include "expr/op_cost.h"
#include "schedule/loop_tree.h"
#include "tile/lower.h"
#include "tune/index_values.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace tessera::tune {
namespace {

constexpr double max_count = 1e18;

// What stands around a statement.
struct Around {
    double trips = 1, unrolled = 1, lanes = 1, depth = 0, live_bytes = 0, innermost = 1;
    bool parallel = false, reducing = false;
    Expr vector_variable;
    Expr last_variable;
};

class Counter {
public:
    Counter(const LoopTree& tree, const std::map<std::string, std::int64_t>& extents) : tree_(tree), indices_(extents) {}

    std::vector<float> run() {
        const StageGraph& graph = tree_.bound.graph;
        at(LoopFeature::stages) = static_cast<double>(graph.stages.size());
        at(LoopFeature::tasks) = 1;
        for (const Argument& a : graph.algorithm.arguments())
            if (!a.state()->scalar) at(LoopFeature::input_bytes) += bytes(a.state()->dims, a.state()->dtype);
        for (const Stage& s : graph.stages)
            if (s.output)
                for (const DType t : s.dtypes) at(LoopFeature::output_bytes) += bytes(s.dims, t);
        visit(*tree_.root, {});
        at(LoopFeature::work_per_task) = at(LoopFeature::operations_issued) / at(LoopFeature::tasks);
        if (at(LoopFeature::stores_issued) > 0) at(LoopFeature::innermost_trips) /= at(LoopFeature::stores_issued);
        std::vector<float> out;
        for (const double c : counts_) out.push_back(static_cast<float>(std::log2(1 + std::clamp(c, 0.0, max_count))));
        return out;
    }

    /// By stage, in their order; after run().
    [[nodiscard]] std::vector<StageWork> work() const {
        std::vector<StageWork> out;
        for (const auto& [stage, work] : work_) {
            out.push_back(work);
            out.back().stage = tree_.bound.graph.stages[stage].name;
        }
        return out;
    }

private:
    double& at(LoopFeature f) { return counts_[static_cast<size_t>(f)]; }

    double bytes(const std::vector<Dim>& dims, DType t) const {
        double total = static_cast<double>(dtype_bytes(t));
        for (const Dim& d : dims) total *= indices_.extent(d);
        return total;
    }

    double value(const Expr& e) const { return indices_.value(e); }

    void visit(const Statement& s, const Around& around) {
        match(
            s.node,
            [&](const Block& b) {
                for (const StatementPtr& part : b.statements) visit(*part, around);
            },
            [&](const Loop& l) { visit_loop(l, around); },
            [&](const Let& l) {
                indices_.set(l.variable, value(l.value));
                visit(*l.body, around);
            },
            [&](const Guard& g) {
                at(LoopFeature::guards) += around.trips / around.lanes;
                visit(*g.body, around);
            },
            [&](const Allocate& a) { visit_allocation(a, around); }, [&](const Produce& p) { visit(*p.body, around); },
            [&](const Store& store) { visit_store(store, around); }, [](const CallRoutine&) {});
    }

    void visit_loop(const Loop& l, Around around) {
        const double count = std::max(value(l.extent), 1.0);
        indices_.set(l.variable, value(l.begin) + std::floor((count - 1) / 2));
        if (l.kind == LoopKind::parallel) {
            if (!around.parallel) task_share_ = 1;
            at(LoopFeature::task_starts) += around.trips * count;
            task_share_ *= count;
            at(LoopFeature::tasks) = std::max(at(LoopFeature::tasks), task_share_);
            around.parallel = true;
            around.live_bytes = 0;
        }
        around.trips = std::min(around.trips * count, max_count);
        around.depth += 1;
        if (l.kind == LoopKind::unroll)
            around.unrolled *= count;
        else if (l.kind == LoopKind::vector) {
            around.lanes *= count;
            around.vector_variable = l.variable;
        } else {
            at(LoopFeature::loop_steps) += around.trips;
            around.innermost = count;
        }
        around.last_variable = l.variable;
        at(LoopFeature::depth) = std::max(at(LoopFeature::depth), around.depth);
        visit(*l.body, around);
    }

    void visit_allocation(const Allocate& a, Around around) {
        const Stage& stage = tree_.bound.graph.stages[a.stage];
        double total = 0;
        for (const DType t : stage.dtypes) total += static_cast<double>(dtype_bytes(t));
        for (const Expr& e : a.extent) total *= std::max(value(e), 1.0);
        if (a.space != Space::register_) {
            at(LoopFeature::allocations) += around.trips;
            at(LoopFeature::allocated_bytes) += around.trips * total;
            at(LoopFeature::largest_allocation) = std::max(at(LoopFeature::largest_allocation), total);
            if (total > 16384) at(LoopFeature::heap_allocations) += around.trips;
            around.live_bytes += total;
            if (around.parallel)
                at(LoopFeature::allocation_in_task) = std::max(at(LoopFeature::allocation_in_task), around.live_bytes);
        }
        visit(*a.body, around);
    }

    static bool depends(const Expr& e, const Expr& variable) {
        bool found = false;
        for_each_node({e}, [&](const Expr& n) { found = found || n.same_as(variable); });
        return found;
    }
    // Whether the index is the variable plus what does not depend on it, but for the ends of its range and of its block.
    static bool steps_by_one(const Expr& e, const Expr& variable) {
        if (e.same_as(variable)) return true;
        if (e->op == Op::mod) return steps_by_one(e->args[0], variable) && !depends(e->args[1], variable);
        if (e->op == Op::min || e->op == Op::max)
            return (steps_by_one(e->args[0], variable) && !depends(e->args[1], variable)) ||
                   (steps_by_one(e->args[1], variable) && !depends(e->args[0], variable));
        if (e->op == Op::add)
            return steps_by_one(e->args[0], variable) ? !depends(e->args[1], variable)
                                                      : steps_by_one(e->args[1], variable) && !depends(e->args[0], variable);
        return e->op == Op::sub && steps_by_one(e->args[0], variable) && !depends(e->args[1], variable);
    }
    enum class Pattern { broadcast, contiguous, strided };
    static Pattern pattern(const std::vector<Expr>& indices, const Expr& variable) {
        Pattern out = Pattern::broadcast;
        for (size_t d = 0; d < indices.size(); ++d) {
            // The block in which a vector lies is one.
            const bool block = indices[d]->op == Op::div && steps_by_one(indices[d]->args[0], variable);
            if (block || !depends(indices[d], variable)) continue;
            if (d + 1 != indices.size() || out != Pattern::broadcast || !steps_by_one(indices[d], variable))
                return Pattern::strided;
            out = Pattern::contiguous;
        }
        return out;
    }

    void visit_store(const Store& store, const Around& around) {
        const double issued = around.trips / around.lanes;
        const Stage& stage = tree_.bound.graph.stages[store.stage];
        bool reads_self = false;
        double cost = 0;
        const double memory_before = at(LoopFeature::loads_issued) + 8 * at(LoopFeature::gathers);
        for_each_node(store.values, [&](const Expr& n) {
            if (n->op != Op::access) {
                if (n->dtype == DType::i64 && n->op != Op::cast)
                    at(LoopFeature::index_operations) += issued * op_cost(*n);
                else
                    cost += op_cost(*n);
                return;
            }
            if (n->target().func == stage.func) {
                reads_self = true;
                return;
            }
            const std::vector<Expr> indices(n->args.begin(), n->args.begin() + static_cast<std::ptrdiff_t>(n->index_count()));
            if (around.lanes <= 1) {
                at(LoopFeature::loads_issued) += issued;
                return;
            }
            switch (pattern(indices, around.vector_variable)) {
                case Pattern::broadcast: at(LoopFeature::broadcast_loads) += issued; break;
                case Pattern::contiguous: at(LoopFeature::contiguous_loads) += issued; break;
                case Pattern::strided: at(LoopFeature::gathers) += around.trips; break;
            }
            at(LoopFeature::loads_issued) += issued;
        });
        StageWork& work = work_[store.stage];
        work.operations += cost * around.trips;
        // Weights as in the analytic model.
        work.instructions += (cost + 2) * issued + at(LoopFeature::loads_issued) + 8 * at(LoopFeature::gathers) - memory_before;
        at(LoopFeature::operations) += cost * around.trips;
        at(LoopFeature::operations_issued) += cost * issued;
        if (around.lanes <= 1) at(LoopFeature::scalar_operations) += cost * issued;
        if (reads_self) at(LoopFeature::reduced_operations) += cost * issued;
        at(LoopFeature::stores_issued) += issued;
        at(LoopFeature::innermost_trips) += issued * around.innermost;
        if (around.lanes > 1 && pattern(store.place, around.vector_variable) == Pattern::strided)
            at(LoopFeature::scattered_stores) += around.trips;
        at(LoopFeature::vector_width) = std::max(at(LoopFeature::vector_width), around.lanes);
        at(LoopFeature::unrolled) = std::max(at(LoopFeature::unrolled), around.unrolled);
    }

    const LoopTree& tree_;
    IndexValues indices_;
    std::array<double, loop_feature_count> counts_{};
    double task_share_ = 1;
    std::map<size_t, StageWork> work_;
};

// What the blocks of the largest kernel have.
void append_block_features(const tile::Program& program, std::vector<float>& out) {
    double threads = 0, shared = 0, least = 0;
    for (const tile::Kernel& k : program.kernels) {
        threads = std::max(threads, static_cast<double>(k.threads));
        shared = std::max(shared, static_cast<double>(tile::plan_shared(program, k).bytes));
        least = std::max(least, static_cast<double>(k.min_ctas));
    }
    for (const double value : {static_cast<double>(program.kernels.size()), threads, shared, least})
        out.push_back(static_cast<float>(std::log2(1 + value)));
}

}  // namespace

const std::vector<std::string>& feature_names() {
    static const std::vector<std::string> names{"operations",
                                                "operations_issued",
                                                "index_operations",
                                                "loads_issued",
                                                "contiguous_loads",
                                                "broadcast_loads",
                                                "gathers",
                                                "stores_issued",
                                                "scattered_stores",
                                                "reduced_operations",
                                                "vector_width",
                                                "scalar_operations",
                                                "unrolled",
                                                "innermost_trips",
                                                "loop_steps",
                                                "guards",
                                                "tasks",
                                                "task_starts",
                                                "work_per_task",
                                                "allocations",
                                                "allocated_bytes",
                                                "largest_allocation",
                                                "allocation_in_task",
                                                "heap_allocations",
                                                "input_bytes",
                                                "output_bytes",
                                                "stages",
                                                "depth"};
    return names;
}

std::vector<float> loop_features(const Algorithm& algorithm, const Schedule& schedule,
                                 const std::map<std::string, std::int64_t>& extents, const Target& target) {
    const LoopTree tree = build_loop_tree(bind(algorithm, schedule, target));
    if (target.kind != Target::Kind::cuda) return tree_features(tree, extents);
    const tile::Program program = tile::lower(tree, target);
    return tree_features(tree, extents, &program);
}

std::vector<float> tree_features(const LoopTree& tree, const std::map<std::string, std::int64_t>& extents,
                                 const tile::Program* program) {
    std::vector<float> out = Counter(tree, extents).run();
    if (program) append_block_features(*program, out);
    return out;
}

std::vector<StageWork> stage_work(const Algorithm& algorithm, const Schedule& schedule,
                                  const std::map<std::string, std::int64_t>& extents, const Target& target) {
    const LoopTree tree = build_loop_tree(bind(algorithm, schedule, target));
    Counter counter(tree, extents);
    (void)counter.run();
    return counter.work();
}

}  // namespace tessera::tune
