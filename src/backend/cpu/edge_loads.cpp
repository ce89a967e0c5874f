// Vectors over the edge of a tensor repeat its last value. Halide gathers them; one load of what is inside does:
//
//   a[min(ramp(i, 1, n), x(k)) + x(j)]  ->  select(ramp(i, 1, n) <= x(k), a[ramp(i + j, 1, n)] where that holds, x(a[k + j]))
#include "backend/cpu/halide_ir.h"

#include <map>
#include <string>
#include <utility>

namespace tessera::cpu {
namespace {

namespace ir = Halide::Internal;
using E = Halide::Expr;

const ir::Ramp* dense_ramp(const E& e) {
    const auto* ramp = e.as<ir::Ramp>();
    return ramp != nullptr && ir::is_const_one(ramp->stride) && !ramp->base.type().is_vector() ? ramp : nullptr;
}

// A value that all lanes have, as a scalar; undefined where they differ.
E of_all_lanes(const E& e) {
    const auto* broadcast = e.as<ir::Broadcast>();
    return broadcast != nullptr && !broadcast->value.type().is_vector() ? broadcast->value : E();
}

/// min(ramp, edge) + offset.
struct EdgeIndex {
    const ir::Ramp* ramp = nullptr;
    E edge, offset;
};

EdgeIndex held_ramp(const E& e) {
    const auto* least = e.as<ir::Min>();
    if (least == nullptr) return {};
    const bool first = dense_ramp(least->a) != nullptr;
    const EdgeIndex found{dense_ramp(first ? least->a : least->b), of_all_lanes(first ? least->b : least->a), E()};
    return found.ramp != nullptr && found.edge.defined() ? found : EdgeIndex{};
}

class EdgeLoads : public ir::IRMutator {
private:
    using ir::IRMutator::visit;

    E visit(const ir::Let* op) override { return named<E>(op); }
    ir::Stmt visit(const ir::LetStmt* op) override { return named<ir::Stmt>(op); }

    template <class Result, class Node>
    Result named(const Node* op) {
        const bool edge = held_ramp(op->value).ramp != nullptr;
        if (edge) held_.emplace(op->name, op->value);
        Result made = ir::IRMutator::visit(op);
        if (edge) held_.erase(op->name);
        return made;
    }

    [[nodiscard]] E written_out(const E& e) const {
        const auto* name = e.as<ir::Variable>();
        const auto found = name == nullptr ? held_.end() : held_.find(name->name);
        return found == held_.end() ? e : found->second;
    }

    [[nodiscard]] EdgeIndex edge_index(const E& index) const {
        EdgeIndex found = held_ramp(written_out(index));
        const auto* sum = index.as<ir::Add>();
        if (sum == nullptr) return found;
        for (const auto& [held, offset] : {std::pair{sum->a, sum->b}, std::pair{sum->b, sum->a}}) {
            found = held_ramp(written_out(held));
            found.offset = of_all_lanes(offset);
            if (found.ramp != nullptr && found.offset.defined()) return found;
        }
        return {};
    }

    E visit(const ir::Load* op) override {
        const EdgeIndex at = ir::is_const_one(op->predicate) ? edge_index(op->index) : EdgeIndex{};
        if (at.ramp == nullptr || op->type.is_bool()) return ir::IRMutator::visit(op);
        const auto moved = [&](const E& e) { return at.offset.defined() ? ir::simplify(e + at.offset) : e; };
        const int lanes = at.ramp->lanes;
        const E inside = ir::LE::make(E(at.ramp), ir::Broadcast::make(at.edge, lanes));
        const E within = ir::Load::make(op->type, op->name, ir::Ramp::make(moved(at.ramp->base), at.ramp->stride, lanes),
                                        op->image, op->param, inside, ir::ModulusRemainder());
        const E last = ir::Load::make(op->type.element_of(), op->name, moved(at.edge), op->image, op->param, ir::const_true(),
                                      ir::ModulusRemainder());
        return ir::Select::make(inside, within, ir::Broadcast::make(last, lanes));
    }

    std::map<std::string, E> held_;
};

}  // namespace

void load_edges_whole(Halide::Pipeline& pipeline) { pipeline.add_custom_lowering_pass(new EdgeLoads); }

}  // namespace tessera::cpu
